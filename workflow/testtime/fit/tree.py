"""A decision tree that a person can read: which method for which policy, PRM, budget, difficulty.

It is fitted to the choices of all contexts with a named PRM, and reports the accuracy lost by
following it instead of each context's own choice; also for a policy that it has not seen.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from sklearn.tree import DecisionTreeClassifier

from testtime.fit.select import Fit
from testtime.study.vocabulary import ANY, COT, LEVELS, NONE

FEATURES = ("log10_parameters", "prm_quality", "log2_budget", "difficulty")
CHOICE = ["method", "scoring", "vote"]
MAX_DEPTH = 4


def tree_contexts(
    fits: Sequence[Fit],
    parameters: Mapping[str, float],
    prm_quality: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """One row per context with a named PRM (or none in the study) and a difficulty that occurs.

    Args:
        fits: of `fit_study` with the binning "level" or "chosen".
        parameters: weights of each policy.
        prm_quality: a number per PRM; unless every PRM has one, PRMs are not distinguished.

    Returns:
        The features, and policy, method, scoring, vote, n_problems, and `means`: accuracy of every
        (method, scoring, vote) of the context.
    """
    named = [fit for fit in fits if fit.prm not in (ANY, NONE)]
    known = all(fit.prm in (prm_quality or {}) for fit in named)
    quality = prm_quality or {} if known else {}
    rows = []
    for fit in named or [fit for fit in fits if fit.prm == NONE]:
        names = list(fit.strategies[CHOICE].itertuples(index=False, name=None))
        for b, choice in fit.choices.iterrows():
            if choice["n_problems"]:
                rows.append(
                    {"policy": fit.policy, "n_problems": choice["n_problems"]}
                    | {"log10_parameters": np.log10(parameters[fit.policy])}
                    | {"prm_quality": quality.get(fit.prm, 0.0)}
                    | {"log2_budget": np.log2(fit.budget)}
                    | {"difficulty": LEVELS.index(choice["difficulty"])}
                    | {name: choice[name] for name in CHOICE}
                    | {"means": dict(zip(names, fit.means[int(b)].tolist(), strict=True))}
                )
    return pd.DataFrame(rows)


def fit_tree(contexts: pd.DataFrame) -> dict:
    """Fit the tree and say what it costs to follow it.

    Args:
        contexts: of `tree_contexts`.

    Returns:
        Plain values: nodes (nested; a split has feature, threshold, low, high; a leaf has method,
        scoring, vote, contexts, agreement), text (the tree as lines), n_contexts, regret (accuracy
        lost against each context's own choice, mean weighted by problems) and regret_unseen (the
        same with each policy's contexts left out of the fit; null with one policy).
    """
    nodes = _grow(contexts)
    unseen = [
        _regrets(_grow(contexts[contexts["policy"] != policy]), group)
        for policy, group in contexts.groupby("policy", sort=True)
        if contexts["policy"].nunique() > 1
    ]
    return {
        "features": list(FEATURES),
        "nodes": nodes,
        "text": render(nodes),
        "n_contexts": len(contexts),
        "regret": _mean(_regrets(nodes, contexts)),
        "regret_unseen": _mean(np.concatenate(unseen)) if unseen else None,
    }


def choose(nodes: dict, features: Mapping[str, float]) -> dict:
    """The leaf that a context falls into."""
    while "feature" in nodes:
        nodes = nodes["low" if features[nodes["feature"]] <= nodes["threshold"] else "high"]
    return nodes


def render(nodes: dict, indent: str = "") -> str:
    """The tree as text, with thresholds in the field's terms."""
    if "feature" not in nodes:
        parts = [nodes["method"], *(nodes[k] for k in ("scoring", "vote") if nodes[k] != NONE)]
        share = f"{nodes['agreement']:.0%} of {nodes['contexts']} contexts"
        return f"{indent}{' / '.join(parts)}  ({share})"
    low, high = _question(nodes["feature"], nodes["threshold"])
    deeper = indent + "  "
    return "\n".join(
        [
            f"{indent}if {low}:",
            render(nodes["low"], deeper),
            f"{indent}if {high}:",
            render(nodes["high"], deeper),
        ]
    )


def _grow(contexts: pd.DataFrame) -> dict:
    """Fit the classifier and copy it into plain nodes."""
    x = contexts[list(FEATURES)].to_numpy(dtype=float)
    model = DecisionTreeClassifier(
        max_depth=MAX_DEPTH, min_samples_leaf=max(1, len(contexts) // 20), random_state=0
    )
    model.fit(x, contexts["method"], sample_weight=contexts["n_problems"])
    inside = model.decision_path(x).toarray().astype(bool)
    tree = model.tree_

    def node(i: int) -> dict:
        if tree.children_left[i] < 0:
            return _leaf(contexts[inside[:, i]])
        low, high = node(tree.children_left[i]), node(tree.children_right[i])
        # A split that does not change the advice is not worth showing.
        leaves = "feature" not in low and "feature" not in high
        if leaves and all(low[key] == high[key] for key in CHOICE):
            return _leaf(contexts[inside[:, i]])
        return {
            "feature": FEATURES[tree.feature[i]],
            "threshold": float(tree.threshold[i]),
            "low": low,
            "high": high,
        }

    return node(0)


def _leaf(contexts: pd.DataFrame) -> dict:
    votes: Counter = Counter()
    for names, n in zip(_names(contexts), contexts["n_problems"], strict=True):
        votes[names] += int(n)
    methods: Counter = Counter()
    for (method, _, _), n in votes.items():
        methods[method] += n
    method = min(methods, key=lambda name: (-methods[name], name))
    ranked = sorted(votes, key=lambda names: (-votes[names], names))
    best = next(names for names in ranked if names[0] == method)
    return {
        **dict(zip(CHOICE, best, strict=True)),
        "contexts": len(contexts),
        "agreement": float((contexts["method"] == method).mean()),
    }


def _regrets(nodes: dict, contexts: pd.DataFrame) -> np.ndarray:
    """Accuracy lost in each context, and its problems, (n_contexts, 2).

    A strategy that the context lacks (a search beyond its largest budget) counts as CoT or, without
    CoT, as the worst strategy.
    """
    rows = []
    for context, own in zip(contexts.to_dict("records"), _names(contexts), strict=True):
        leaf = choose(nodes, context)
        means = context["means"]
        fallback = means.get((COT, NONE, NONE), min(means.values()))
        advised = means.get(tuple(leaf[key] for key in CHOICE), fallback)
        rows.append((means[own] - advised, context["n_problems"]))
    return np.array(rows)


def _names(contexts: pd.DataFrame) -> list[tuple]:
    return list(contexts[CHOICE].itertuples(index=False, name=None))


def _mean(regrets: np.ndarray) -> float:
    return float(np.average(regrets[:, 0], weights=regrets[:, 1]))


def _question(feature: str, threshold: float) -> tuple[str, str]:
    if feature == "log10_parameters":
        value = f"{10**threshold:.2g} parameters"
        return f"policy has at most {value}", f"policy has more than {value}"
    if feature == "log2_budget":
        value = f"{2**threshold:.3g}"
        return f"budget is below {value}", f"budget is above {value}"
    if feature == "difficulty":
        cut = int(np.floor(threshold)) + 1
        return f"problem is {' or '.join(LEVELS[:cut])}", f"problem is {' or '.join(LEVELS[cut:])}"
    return f"PRM quality is below {threshold:.3g}", f"PRM quality is above {threshold:.3g}"
