"""A context of the lookup in words."""

from testtime.fit.cells import describe


def cheaper(table: dict, context: dict) -> dict | None:
    """The smallest budget at which the same context promises at least the same, spending less."""
    keys = ("dataset", "policy", "prm", "difficulty")
    if context["accuracy"] is None:
        return None
    for other in table["contexts"]:  # by budget within equal keys
        same = all(other[key] == context[key] for key in keys)
        less = other["strategy"]["budget"] < context["strategy"]["budget"]
        if same and less and (other["accuracy"] or 0.0) >= context["accuracy"]:
            return other
    return None


def words(context: dict, less: dict | None = None) -> list[str]:
    """The advice as sentences."""
    support, strategy = context["support"], context["strategy"]
    prm = {"any": "any PRM", "none": "no PRM"}.get(context["prm"], f"PRM {context['prm']}")
    lines = [
        f"{context['policy']} on {context['dataset']}, {prm}, N = {context['budget']}, "
        f"{context['difficulty']} problems:",
        f"use {describe(strategy)}.",
    ]
    if context["accuracy"] is None:
        lines.append(
            "The study had no problem of this difficulty: this is the choice over all problems."
        )
        return lines
    lines.append(
        f"Expected accuracy {percent(context['accuracy'])} "
        f"({percent(context['ci_low'])} to {percent(context['ci_high'])}), cross-fitted on "
        f"{support['n_problems']} problems; {support['folds_agreeing']} of {support['folds']} "
        "fold-wise choices agree."
    )
    if support["pooled"]:
        lines.append("Too few problems of this difficulty: this is the choice over all problems.")
    cost = context["cost"]
    if cost["flops"] is not None:
        lines.append(
            f"Cost per problem: {cost['policy_tokens']:,.0f} generated tokens, "
            f"{cost['prm_tokens']:,.0f} tokens read by the PRM, {cost['flops']:.3g} FLOPs."
        )
    if less is not None:
        lines.append(
            f"N = {less['budget']} promises no less ({percent(less['accuracy'])}): "
            f"{describe(less['strategy'])}."
        )
    return lines


def percent(value: float) -> str:
    """A proportion as a percentage with one decimal."""
    return f"{100 * value:.1f} %"
