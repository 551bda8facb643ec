"""Pass@k and majority voting of more samples than were drawn."""

from testtime.compare.extrapolation import forecast_table
from testtime.data.samples import read_cells
from testtime.fit.cells import Settings
from testtime.present.registry import Tables

TABLES = Tables(
    "compare",
    tables={
        "forecast": "Pass@k (method pass) and majority voting at multiples of the largest budget; "
        "all but the first of each are extrapolated, the intervals for these problems."
    },
    inputs=("grades",),
    settings=("fit", "evaluate", "seed"),
)


def make(inputs: dict, settings: dict) -> dict:
    """Extrapolated from the pool."""
    return {"forecast": forecast_table(read_cells(inputs["grades"]), Settings.of_study(settings))}
