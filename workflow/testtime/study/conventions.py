"""Benchmarks disagree about which answers are equal; a dataset's convention settles it."""

from dataclasses import dataclass, replace
from functools import lru_cache

from testtime.errors import UserError

MOST_CHECKED = 2000  # distinct answers of a cell that another grader is asked about
NAMES = ("math", "integer", "exact")
OPTIONS = {
    "percent": ("number", "value", "either"),
    "lists": ("unordered", "ordered"),
    "bases": ("required", "optional"),
    "decimals": tuple(str(n) for n in range(1, 16)),
}


@dataclass(frozen=True)
class Convention:
    """How answers of a dataset are compared.

    Attributes:
        name: "math" reads LaTeX; "integer" is the same where every gold is an integer (AIME, AMC);
            "exact" compares the text itself, ignoring white space.
        percent: what 10 % is: "number" 10, "value" 0.1, "either" whichever matches the other side.
        lists: whether "1,2" and "2,1" without brackets are the same ("unordered") or not.
        bases: whether 4210 may mean 4210_5.
        decimals: a decimal equals an exact value when it shows at least this many decimals and is
            that value rounded to them (0.333333 for 1/3; math-verify rounds to 6 too).
    """

    name: str = "math"
    percent: str = "either"
    lists: str = "unordered"
    bases: str = "required"
    decimals: int = 6


@lru_cache
def convention_named(text: str) -> Convention:
    """Parse a convention as written in a config: a name, and options after commas.

    Examples: "math", "integer", "math,percent=number,decimals=4".

    Raises:
        UserError: an unknown name, option or value.
    """
    name, *settings = [part.strip() for part in text.split(",")]
    if name not in NAMES:
        raise UserError(f"convention {name!r} is not known; allowed: {', '.join(NAMES)}")
    convention = Convention(name)
    for setting in settings:
        option, _, value = setting.partition("=")
        if value not in OPTIONS.get(option, ()):
            allowed = "; ".join(f"{key}={'|'.join(OPTIONS[key])}" for key in OPTIONS)
            raise UserError(f"convention option {setting!r} is not known; allowed: {allowed}")
        convention = replace(convention, **{option: int(value) if value.isdigit() else value})
    return convention
