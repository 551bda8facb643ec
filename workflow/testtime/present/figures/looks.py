"""Labels, colours and markers, the same in every figure and in the report."""

from collections.abc import Iterable

from testtime.study.methods import METHODS, Look
from testtime.study.vocabulary import EASY, HARD, MEDIUM

DPI = 200  # of the PNG files, which pages show at their size in inches

# Lines besides the methods: choices among them, and their upper bound.
LOOKS = {name: method.look for name, method in METHODS.items() if method.look} | {
    "compute_optimal": Look("Compute-optimal", "#CC79A7", "*"),
    "in_sample": Look("Compute-optimal, in-sample", "#CC79A7", "", "--"),
    "pass_at_n": Look("Pass@N", "#999999", "", "--"),
}
SPARE = (("#B03060", "<"), ("#2F4F4F", ">"), ("#A0522D", "8"), ("#6B8E23", "H"))

# For PRMs and policies, which are not methods: another palette, so that the two are never confused.
GROUP_COLORS = ("#332288", "#CC6677", "#117733", "#DDAA33", "#88CCEE", "#882255", "#44AA99")
GROUP_MARKERS = "osD^vPX*ph"

LEVEL_COLORS = {EASY: "#9BD0A6", MEDIUM: "#F2D27A", HARD: "#E39A8B"}


def look(method: str) -> Look:
    """The method's look; one without gets a look that depends on its name alone."""
    if method in LOOKS:
        return LOOKS[method]
    color, marker = SPARE[sum(method.encode()) % len(SPARE)]
    return Look(method.replace("_", " ").capitalize(), color, marker)


def methods_in_order(methods: Iterable[str]) -> list[str]:
    """Known methods in the order of LOOKS, then the others by name."""
    present = set(methods)
    return [m for m in LOOKS if m in present] + sorted(present - set(LOOKS))


def group_look(names: list[str], name: str) -> tuple[str, str]:
    """Colour and marker of a PRM or policy by its position among all."""
    index = names.index(name)
    return GROUP_COLORS[index % len(GROUP_COLORS)], GROUP_MARKERS[index % len(GROUP_MARKERS)]


def count(n: float) -> str:
    """A large number in few characters: 427k, 1.2B, 405B."""
    for size, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if n >= size:
            value = n / size
            return (
                f"{value:.1f}{unit}"
                if value < 10 and f"{value:.1f}"[-1] != "0"
                else (f"{value:.0f}{unit}")
            )
    return f"{n:g}"
