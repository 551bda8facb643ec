"""The card (README.md) of a trained model: data, recipe, measured quality, how to rebuild it."""

import json

from microcosm.thoughts import Thinks

# A problem and steps whose scores are on the card of every PRM.
EXAMPLE = (
    "Modulo 10, start with a=3 b=4 c=5; 1. a+=b 2. b*=c",
    ("(1) a:3+b:4 a=7", "(2) b:4*c:5 b=9"),
)
_CARD = """\
---
library_name: transformers
license: mit
---
# {name}

{what}

| | |
|---|---|
| parameters | {parameters:,} ({inner:,} without embeddings and head) |
{rows}
| recipe | `{recipe}` |
| training time | about {seconds:.0f} s of one CPU thread |
| rebuilt by | `snakemake --cores 1 --configfile workflow/studies/{study}.yaml {target}` |

{quality}
"""


def _table(rows: list[dict[str, object]]) -> str:
    def cell(value: object) -> str:
        return f"{value:.3f}" if isinstance(value, float) else str(value)

    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    lines += ["| " + " | ".join(cell(v) for v in row.values()) + " |" for row in rows]
    return "\n".join(lines)


def policy_card(
    name: str,
    recipe: dict,
    *,
    size: tuple[int, int],
    seconds: float,
    tokens: int,
    quality: dict[str, float],
) -> str:
    """Card of a policy.

    Args:
        name: as in the catalog.
        recipe: as `training.train_policy` takes it.
        size: parameters, all and of the layers alone.
        seconds: that training took.
        tokens: tokens read in training.
        quality: as `quality.policy_quality` returns it.
    """
    corpus = recipe.get("corpus")
    what = (
        "A policy for the microcosm's chained arithmetic modulo 10, trained on the completions of "
        "generated problems of the `train` split, which shares no problem with any other split. "
    )
    what += (
        f"The corpus misremembers {corpus['share']:.0%} of the facts (an operator and two digits "
        f"in the order written): those come out wrong {corpus['rate']:.0%} of the time, always "
        "with the same wrong result."
        if corpus
        else "The corpus has no mistakes."
    )
    n, samples = quality["problems"], quality["samples"]
    return _CARD.format(
        name=name,
        what=what,
        parameters=size[0],
        inner=size[1],
        rows=f"| tokens read in training | {tokens:,} |",
        recipe=json.dumps(recipe, sort_keys=True),
        seconds=seconds,
        study="from-scratch",
        target=f"RESULTS/models/{name}",
        quality=f"Accuracy on {n} problems of the `fresh` split, {samples} samples each at "
        f"temperature {quality['temperature']:g}:\n\n"
        + _table(
            [{k: v for k, v in quality.items() if k not in ("problems", "samples", "temperature")}]
        ),
    )


def thinker_card(
    name: str,
    recipe: dict,
    *,
    size: tuple[int, int],
    seconds: float,
    tokens: int,
    quality: dict,
) -> str:
    """Card of a policy that thinks before it answers.

    Args:
        name: as in the catalog.
        recipe: as `training.train_policy` takes it.
        size: parameters, all and of the layers alone.
        seconds: that training took.
        tokens: tokens read in training.
        quality: as `quality.thinker_quality` returns it.
    """
    thinks = Thinks(**recipe["thinks"])
    slips = ", ".join(f"{slip:.1%}" for slip in thinks.slips)
    mean, low, median, high, most = quality["tokens"]
    return _CARD.format(
        name=name,
        what="A policy for the microcosm's chained arithmetic modulo 10 that thinks before it "
        "answers, trained on the completions of generated problems of the `train` split, which "
        "shares no problem with any other split. A completion is "
        "`<think>` thought `</think>` `\\n\\n\\boxed{a,b,c}`. The thought of an author of the "
        f"corpus has up to {thinks.attempts} whole attempts, each closed by its answer and all "
        "but the first opened by `Wait`. Results are wrong at random, by attempt with a "
        f"probability of {slips} (later ones as the last). An attempt ends the thought with "
        f"probability {thinks.agree:g} if its answer came up before, else {thinks.stop:g}, and "
        f"the last attempt's answer is given. {thinks.cut:.0%} of the thoughts are cut at a "
        "random token and answered by the last whole attempt, or, where there is none, by the "
        "registers as they stand; the model does not learn to cut. The first "
        f"{thinks.clean:.0%} of the steps of training were on one attempt without slips.",
        parameters=size[0],
        inner=size[1],
        rows=f"| tokens read in training | {tokens:,} |",
        recipe=json.dumps(recipe, sort_keys=True),
        seconds=seconds,
        study="thinking-from-scratch",
        target=f"RESULTS/models/{name}",
        quality=f"On {quality['problems']} problems of the `fresh` split, {quality['samples']} "
        f"samples each at temperature {quality['temperature']:g}: {quality['ended']:.1%} of the "
        f"thoughts ended by themselves; they had {mean:.0f} tokens in the mean, 10 / 50 / 90 % "
        f"of them at most {low:.0f} / {median:.0f} / {high:.0f}, the longest {most:.0f}. Accuracy "
        "where the same thoughts are cut after so many thinking tokens and the answer is drawn "
        "then (`cut`: share of the thoughts that were longer):\n\n"
        + _table(quality["budgets"])
        + "\n\nPass@1 by number of instructions k:\n\n"
        + _table(quality["levels"]),
    )


def prm_card(
    name: str,
    recipe: dict,
    *,
    size: tuple[int, int],
    seconds: float,
    backbone: dict[str, float],
    quality: dict[str, dict[str, float]],
    example: list[float],
) -> str:
    """Card of a PRM.

    Args:
        name: as in the catalog.
        recipe: as `training.train_prm` takes it, with the names of backbone and policies.
        size: parameters, all and of the layers alone.
        seconds: that training took.
        backbone: what its backbone alone can solve, as `quality.policy_quality` returns it.
        quality: by policy, as `quality.prm_quality` returns it.
        example: scores of the steps of `EXAMPLE`.
    """
    first = next(iter(quality.values()))
    return _CARD.format(
        name=name,
        what="A process reward model for the microcosm, in the published form of "
        f"{recipe['format']}. It was grown from the frozen layers of `{recipe['backbone']}`, "
        f"which by itself solves {backbone['greedy']:.1%} of {backbone['problems']} `fresh` "
        f"problems greedily and {backbone['pass@1']:.1%} sampled (a PRM grown from a stronger "
        "model than the policy flatters search), with fresh layers trained on problems of the "
        "`prm` split: first on solutions with faults of known place, then on solutions sampled "
        f"from {', '.join(recipe['policies'])}.",
        parameters=size[0],
        inner=size[1],
        rows=f"| grown from | {recipe['backbone']} |\n"
        f"| on samples of | {', '.join(recipe['policies'])} |",
        recipe=json.dumps(recipe, sort_keys=True),
        seconds=seconds,
        study="from-scratch",
        target=f"RESULTS/models/{name}",
        quality=f"Step scores on {first['problems']} problems of the `fresh` split, "
        f"{first['samples']} samples each at temperature 1; `auc_first_wrong` is over right steps "
        "and the first wrong step of each sample:\n\n"
        + _table(
            [
                {"policy": policy} | {k: q[k] for k in ("steps", "wrong", "auc", "auc_first_wrong")}
                for policy, q in quality.items()
            ]
        )
        + f"\n\nFor example, of the problem `{EXAMPLE[0]}` (the second step is wrong):\n\n"
        + _table(
            [
                {"step": f"`{step}`", "score": f"{score:.4f}"}
                for step, score in zip(EXAMPLE[1], example, strict=True)
            ]
        ),
    )
