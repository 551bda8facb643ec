"""The command line explains itself: groups, examples, completion, errors in one line."""

import shlex

import pytest
from testtime.cli import PANELS, app
from testtime.cli.complete import engines, formats, methods, policies, prm_names
from typer.main import get_command
from typer.testing import CliRunner

COMMANDS = [command.__name__ for commands in PANELS.values() for command in commands]


def invoke(*arguments: str):
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})


def test_the_help_lists_every_command_in_its_group():
    shown = invoke("--help").output
    assert all(f" {name} " in shown for name in COMMANDS)
    assert all(panel in shown for panel in PANELS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example_that_it_understands(name):
    command = get_command(app).commands[name]
    _, found, example = command.help.partition("Example: testtime ")
    assert found
    words = shlex.split(example)
    assert words[0] == name
    command.make_context(name, words[1:])  # refuses an unknown or a missing option


def test_completion_offers_what_starts_so():
    assert policies("micro-") == ["micro-xs", "micro-s", "micro-m", "micro-l", "micro-xl"] + [
        f"micro-think-{size}" for size in ("xs", "s", "m")
    ]
    assert set(prm_names("micro-")) == {"micro-prm-good", "micro-prm-weak"}
    assert methods("b") == ["best_of_n", "beam_search"]
    assert engines("v") == ["vllm"]
    assert "rlhflow" in formats("")
