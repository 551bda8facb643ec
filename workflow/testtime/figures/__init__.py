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
    "lookup_heatmap": "The compute-optimal lookup",
}


def applicable(
    *, has_prm: bool, has_scores: bool = True, n_policies: int = 1, has_quality: bool = True
) -> list[str]:
    """The figures that a study can fill, in the order of the report.

    Args:
        has_prm: some strategy uses a PRM.
        has_scores: step scores of the pool exist (best-of-N is in the study).
        n_policies: how many policies; comparing sizes takes two.
        has_quality: the PRMs' own quality was measured.
    """
    left_out = set()
    if n_policies < 2:
        left_out |= {"small_vs_large", "accuracy_by_policy_size"}
    if not has_prm:
        left_out |= {"prm_quality", "voting_ablation", "prm_biases"}
    if not has_scores:
        left_out |= {"prm_biases"}
    if not has_quality:
        left_out |= {"prm_quality"}
    return [name for name in TITLES if name not in left_out]
