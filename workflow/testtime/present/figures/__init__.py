"""Figures: each has a function that makes its data and one that draws from those data alone."""

TITLES = {
    "small_vs_large": "Small policies with compute-optimal TTS against large policies' CoT",
    "methods_diagram": "The TTS methods",
    "pass_at_1_distribution": "Distribution of Pass@1",
    "accuracy_by_budget": "Accuracy by budget",
    "prm_quality": "Accuracy by PRM quality",
    "accuracy_by_policy_size": "Accuracy by policy size",
    "accuracy_by_difficulty": "Accuracy by difficulty",
    "voting_ablation": "Scoring and voting",
    "prm_biases": "Biases of PRMs",
    "compute_optimal_curve": "Compute-optimal TTS by budget and FLOPs",
    "accuracy_by_flops": "Accuracy by FLOPs: small policies with TTS beside larger ones",
    "lookup_heatmap": "The compute-optimal lookup",
}


def applicable(
    *,
    has_prm: bool,
    n_policies: int,
    has_cot: bool = True,
    has_scores: bool = True,
    has_quality: bool = True,
) -> list[str]:
    """The figures that a study can fill, in the order of the report.

    Args:
        has_prm: the study has a PRM.
        n_policies: how many policies; comparing sizes takes two.
        has_cot: greedy CoT is among the methods.
        has_scores: best-of-N is, so that the pool's samples are scored.
        has_quality: some dataset has step labels to measure PRMs by.
    """
    left_out = set()
    if n_policies < 2:
        left_out |= {"small_vs_large", "accuracy_by_policy_size"}
    if not has_cot:
        left_out |= {"small_vs_large"}
    if not has_prm or not has_scores:
        left_out |= {"voting_ablation", "prm_biases"}
    if not has_prm or not has_scores or not has_quality:
        left_out |= {"prm_quality"}
    return [name for name in TITLES if name not in left_out]


def headline_budget(budgets: dict[str, list[int]]) -> int:
    """The budget of figures that show one: the largest that search and pool share.

    Args:
        budgets: the study's `budgets`, with keys "pool" and "search".
    """
    shared = set(budgets["pool"]) & set(budgets["search"])
    return max(shared) if shared else max(budgets["pool"])
