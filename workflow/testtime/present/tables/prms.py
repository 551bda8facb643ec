"""How good and how biased the PRMs are."""

from testtime.compare.prm_bias import Resampling, bias_table, length_table
from testtime.compare.prm_quality import label_samples, quality_table
from testtime.data.microcosm import label_steps
from testtime.data.samples import read_cells, read_generations, read_scores, whole_thoughts
from testtime.data.store import read_parquet
from testtime.present.registry import Tables

TABLES = Tables(
    "compare",
    tables={
        "prm_quality": "How well each PRM tells right steps from wrong ones.",
        "prm_bias": "Mean score of right and of wrong samples by length.",
        "prm_length": "Length of what each PRM chooses.",
    },
    inputs=("problems", "first_generations", "first_scores", "grades"),
    settings=("labelled", "evaluate", "figures", "seed"),
    needs=("scores",),
    heavy=True,
)
KEYS = ["dataset", "policy", "problem_id", "sample"]


def make(inputs: dict, settings: dict) -> dict:
    """From the pool's first block; quality if the steps are known to be right or wrong."""
    evaluate, seed, scoring = settings["evaluate"], settings["seed"], settings["figures"]["scoring"]
    drawn = whole_thoughts(read_generations(inputs["first_generations"]))
    scores = whole_thoughts(read_scores(inputs["first_scores"]))
    samples = scores.merge(drawn.drop(columns=["block", "thinking"]), on=KEYS)
    grades = whole_thoughts(read_cells(inputs["grades"]))
    grades = grades[grades["method"] == "pool"].rename(columns={"path": "sample"})
    if "thought_tokens" in samples:  # which PRMs do not read
        answer = samples["tokens"] - samples["thought_tokens"].fillna(0)
        samples["tokens"] = answer.where(samples["thinking"] > 0, samples["tokens"])
    graded = samples.merge(grades[[*KEYS, "correct"]], on=KEYS)
    graded["correct"] = graded["correct"].fillna(False).astype(int)
    resampling = Resampling(evaluate["bootstrap"], evaluate["confidence"], seed)
    budgets = [2**i for i in range(int(drawn["sample"].max() + 1).bit_length())]
    known = samples[samples["dataset"].isin(settings["labelled"])]
    labelled = label_samples(read_parquet(*inputs["problems"]), known, label_steps)
    quality = quality_table(
        labelled, bootstrap=evaluate["bootstrap"], confidence=evaluate["confidence"], seed=seed
    )
    return {
        "prm_quality": quality,
        "prm_bias": bias_table(graded, scoring, resampling),
        "prm_length": length_table(graded, budgets, scoring, resampling),
    }
