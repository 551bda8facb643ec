"""What tests need of a machine."""

import os

import pytest


def require(what: str, reason: str | None) -> None:
    """Skip where something is missing; fail where TESTTIME_REQUIRE names it, as the gate does."""
    if reason and what in os.environ.get("TESTTIME_REQUIRE", "").split():
        pytest.fail(f"{what} is required here: {reason}")
    if reason:
        pytest.skip(reason, allow_module_level=True)
