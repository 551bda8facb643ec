"""Every scoring and vote."""

from testtime.compare.voting import voting_ablation
from testtime.data.store import read_parquet
from testtime.fit.cells import Settings
from testtime.present.registry import Tables

TABLES = Tables(
    "compare",
    tables={"voting": "Every scoring and vote, and the paired gain over majority voting."},
    inputs=("outcomes",),
    settings=("fit", "evaluate", "seed"),
    heavy=True,
)


def make(inputs: dict, settings: dict) -> dict:
    """Accuracies and paired differences, with intervals."""
    return {
        "voting": voting_ablation(read_parquet(*inputs["outcomes"]), Settings.of_study(settings))
    }
