"""What a lookup says: which policy to use, and how to spend an amount or reach an accuracy.

Every answer is read off a policy's curve, its choices by the amount that each was fitted for.
`testtime advise`, its figure and the report's explorer read the same one. At a limit it is the last
choice within, for a target the first from which on all reach it: the one that looks best, or the
first that does, would promise too much (docs/statistics.md).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from testtime.errors import UserError
from testtime.fit.cells import describe
from testtime.fit.cost_axis import SECONDS, per_token
from testtime.fit.lookup import narrowed, the_dataset, values_of
from testtime.study.vocabulary import ALL, ANY, LATENCY, NONE

FORMAT, VERSION = "testtime-advice", 1
BUDGET = "budget"


@dataclass(frozen=True)
class Currency:
    """What is spent on a problem, in the mean; N at most.

    Attributes:
        axis: its name in the lookup.
        label: of an axis.
        amount: how an amount is written.
        least: how the target's cheapest way is asked for.
    """

    axis: str
    label: str
    amount: str
    least: str


CURRENCIES = {
    BUDGET: Currency(BUDGET, "Budget N", "N = {:g}", "smallest N"),
    "tokens": Currency(
        "policy_tokens", "Generated tokens per problem", "{:,.0f} generated tokens", "fewest tokens"
    ),
    "flops": Currency("flops", "FLOPs per problem", "{:.3g} FLOPs", "fewest FLOPs"),
    SECONDS: Currency(SECONDS, "Seconds per problem", "{:.3g} s", "fewest seconds"),
    "latency": Currency(
        LATENCY, "Latency (s), one problem alone", "{:.3g} s of latency", "least latency"
    ),
}


@dataclass(frozen=True)
class Question:
    """What is asked of a lookup: as much as a limit buys, the least that reaches a target, or both.

    Attributes:
        currency: "budget" (N), "tokens", "flops", "seconds" or "latency".
        limit: the most to spend on a problem, in the mean (N: at most).
        target: the accuracy to reach.
        policies: to choose among; none for all of the lookup.
        prm: "any" to choose among all, the name of the only one at hand, or "none".
        difficulty: "all", a level or a quantile.
        dataset: may be left out where the lookup knows only one.
        rates: tokens per second of policies and PRMs, in place of the study's.

    Raises:
        UserError: a value is not allowed.
    """

    currency: str
    limit: float | None = None
    target: float | None = None
    policies: Sequence[str] = ()
    prm: str = ANY
    difficulty: str = ALL
    dataset: str | None = None
    rates: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.currency not in CURRENCIES:
            allowed = ", ".join(CURRENCIES)
            raise UserError(f"currency {self.currency!r} is not known; allowed: {allowed}")
        if self.limit is not None and not (math.isfinite(self.limit) and self.limit > 0):
            raise UserError(f"{self.currency} {self.limit:g}: allowed are numbers above 0")
        if self.target is not None and not 0 <= self.target <= 1:
            raise UserError(f"target {self.target:g} is not a proportion; allowed: 0 to 1")
        for name, rate in self.rates.items():
            if not (math.isfinite(rate) and rate > 0):
                raise UserError(f"rate {rate:g} of {name}: allowed are numbers above 0")


def advise(table: dict, question: Question) -> dict:
    """The advice for a question.

    Args:
        table: of `lookup.load`.
        question: with a limit, a target or both.

    Returns:
        Plain values: format, version; asked, the question; reached, whether the target is, within
        the limit (true without one); advice, the choice of one policy; cheaper, a choice of that
        policy for less that promises no less, or None (always with a target); policies, the choice
        of each, the advised one first; left_out, the others and the least that each can do with,
        None where their costs are not known. A choice has dataset, policy, prm, difficulty,
        strategy, use (the strategy in a phrase), amount (of the currency, for which it was chosen),
        spends (of the currency, by this strategy), accuracy (cross-fitted), ci_low, ci_high,
        in_sample_accuracy, support, cost (policy_tokens, prm_tokens, flops, seconds,
        latency_s, kv_gb) and reached.

    Raises:
        UserError: the context is unknown, costs are, or everything costs more than the limit.
    """
    choices, left_out = [], {}
    limit = math.inf if question.limit is None else question.limit
    by_policy = curves(table, question)
    for policy, curve in by_policy.items():
        within = [choice for choice in curve if choice["amount"] <= limit]
        if within:
            choices.append(_pick(within, question.target))
        else:
            left_out[policy] = min((choice["amount"] for choice in curve), default=None)
    if not choices:
        raise UserError(_nothing(question, left_out))
    choices.sort(key=lambda choice: _rank(choice, question.target))
    best = choices[0]
    return {
        "format": FORMAT,
        "version": VERSION,
        "asked": {
            "currency": question.currency,
            "limit": question.limit,
            "target": question.target,
            "policies": list(question.policies),
            "prm": question.prm,
            "difficulty": question.difficulty,
            "dataset": best["dataset"],
            "rates": dict(question.rates),
        },
        "reached": best["reached"],
        "advice": best,
        "cheaper": None
        if question.target is not None
        else _cheaper(by_policy[best["policy"]], best),
        "policies": choices,
        "left_out": left_out,
    }


def curves(table: dict, question: Question) -> dict[str, list[dict]]:
    """The choices of every policy from cheap to dear, as `advise` describes them.

    An amount of the currency is what a choice was fitted for. Where nothing was (a single PRM,
    other rates than the study's) it is what the chosen strategy spends, and of choices for less
    money that spend as much as one for more, there is none.

    Args:
        table: of `lookup.load`.
        question: its limit and target are not read.

    Raises:
        UserError: a policy, PRM, difficulty, dataset or model with a rate is unknown.
    """
    studied = study_rates(table)
    unknown = [name for name in question.rates if name not in studied]
    if unknown:
        known = ", ".join(studied)
        raise UserError(f"rate of {unknown[0]!r}: no such model in the lookup; known: {known}")
    seconds = per_token(studied | dict(question.rates))
    same_rates = all(studied[name] == rate for name, rate in question.rates.items())
    axis = CURRENCIES[question.currency].axis
    made = {}
    for policy, entries in _entries(table, question).items():
        own, amounts = _fitted(entries, axis, question.prm, same_rates)
        choices = [_choice(entry, axis, seconds) for entry in own]
        if amounts is None:
            made[policy] = _ascending(choices)
        else:
            pairs = zip(choices, amounts, strict=True)
            made[policy] = [choice | {"amount": amount} for choice, amount in pairs]
    return made


def _entries(table: dict, question: Question) -> dict[str, list[dict]]:
    """The lookup's entries that a question is about, by policy."""
    contexts, by_cost = table["contexts"], table["by_cost"]
    if question.prm in values_of(contexts + by_cost, "prm"):
        # A policy that has CoT alone does the same whichever PRM is at hand.
        choosing = set(values_of(contexts, "policy"))
        alone = {"prm": question.prm}
        by_cost = [e if e["policy"] in choosing else e | alone for e in by_cost]
    entries = contexts + by_cost
    dataset = the_dataset(entries) if question.dataset is None else question.dataset
    wanted = {"dataset": dataset}
    rest = {"prm": question.prm, "difficulty": question.difficulty}
    there = narrowed(entries, wanted)
    if question.policies:
        names = dict.fromkeys(question.policies)
        return {name: narrowed(there, {"policy": name} | rest, given=wanted) for name in names}
    chosen = narrowed(there, rest, given=wanted)
    return {
        name: [entry for entry in chosen if entry["policy"] == name]
        for name in values_of(chosen, "policy")
    }


def _fitted(
    entries: Sequence[dict], axis: str, prm: str, same_rates: bool
) -> tuple[list[dict], list[float] | None]:
    """A policy's entries in the order of their money, and the amounts; None if of another axis."""
    by_budget = sorted((e for e in entries if "axis" not in e), key=lambda e: e["budget"])
    by_axis: dict[str, list[dict]] = {}
    for entry in sorted((e for e in entries if "axis" in e), key=lambda e: e["amount"]):
        by_axis.setdefault(entry["axis"], []).append(entry)
    if axis == BUDGET:
        cot = next(iter(by_axis.values()), []) if not by_budget else []
        return by_budget + cot, [e["budget"] for e in by_budget] + [1] * len(cot)
    if axis in by_axis and (axis != SECONDS or same_rates) and (prm == ANY or not by_budget):
        return by_axis[axis], [entry["amount"] for entry in by_axis[axis]]
    if axis == SECONDS and prm == ANY and by_axis:
        return by_axis.get(SECONDS) or by_axis.get("flops") or [], None
    return by_budget, None


def _ascending(choices: Sequence[dict]) -> list[dict]:
    """Those, in order, that spend less than all after them; amounts that are unknown fall out."""
    kept: list[dict] = []
    for choice in reversed(choices):
        if choice["amount"] is not None and (not kept or choice["amount"] < kept[0]["amount"]):
            kept.insert(0, choice)
    return kept


def study_rates(table: dict) -> dict[str, float | None]:
    """Tokens per second of a lookup's policies and PRMs, None where unknown."""
    models = table["policies"] | table["prms"]
    return {name: facts.get("rate") for name, facts in models.items()}


def _choice(entry: dict, axis: str, seconds: Mapping[str, float]) -> dict:
    """An entry of the lookup with what its strategy spends, which is also its amount."""
    cost, strategy = dict(entry["cost"]), entry["strategy"]
    drawing, reading = seconds.get(entry["policy"]), seconds.get(strategy["prm"])
    known = None not in (drawing, reading, cost["policy_tokens"], cost["prm_tokens"])
    cost[SECONDS] = (
        float(f"{cost['policy_tokens'] * drawing + cost['prm_tokens'] * reading:.6g}")
        if known
        else None
    )
    spends = strategy["budget"] if axis == BUDGET else cost.get(axis)
    kept = ("dataset", "policy", "prm", "difficulty", "strategy")
    numbers = ("accuracy", "ci_low", "ci_high", "in_sample_accuracy", "support")
    return {
        **{key: entry[key] for key in kept},
        "use": describe(strategy),
        "amount": spends,
        "spends": spends,
        **{key: entry[key] for key in numbers},
        "cost": cost,
    }


def _pick(within: Sequence[dict], target: float | None) -> dict:
    """The last choice; with a target, the first from which on all reach it."""
    last = within[-1]
    if target is None:
        return last | {"reached": True}
    reaching = list(takewhile(lambda c: (c["accuracy"] or -1.0) >= target, reversed(within)))
    return reaching[-1] | {"reached": True} if reaching else last | {"reached": False}


def _cheaper(curve: Sequence[dict], choice: dict) -> dict | None:
    """The first choice on the curve that promises no less and spends less."""
    known = [other for other in curve if None not in (other["accuracy"], choice["accuracy"])]
    for other in known:
        if other["accuracy"] >= choice["accuracy"] and other["spends"] < choice["spends"]:
            return other
    return None


def _rank(choice: dict, target: float | None) -> tuple:
    """The most accurate first, the cheaper one of two; with a target, the cheapest that reaches."""
    accuracy = -1.0 if choice["accuracy"] is None else choice["accuracy"]
    if target is not None and choice["reached"]:
        return (False, choice["amount"], -accuracy)
    return (True, -accuracy, choice["amount"])


def _nothing(question: Question, left_out: Mapping[str, float | None]) -> str:
    """Why no policy answers."""
    least = {policy: amount for policy, amount in left_out.items() if amount is not None}
    names = ", ".join(left_out)
    if least:
        return (
            f"{question.currency} {question.limit:g} is too little for {names}; "
            f"allowed: {min(least.values()):g} or more"
        )
    if question.currency == SECONDS:
        return (
            f"seconds of {names} are not known; give the tokens per second of the policy and of "
            "its PRMs: --rate NAME=NUMBER"
        )
    return f"{question.currency} of {names} are not known; allowed: another currency"


def words(answer: dict) -> list[str]:
    """The advice as sentences."""
    asked, choice = answer["asked"], answer["advice"]
    support, cost = choice["support"], choice["cost"]
    lines = [_asked(answer)]
    # One policy that was asked for by name is in the first line.
    use = choice["use"] if len(asked["policies"]) == 1 else f"{choice['policy']}: {choice['use']}"
    if answer["reached"]:
        lines.append(f"use {use}.")
    else:
        lines.append(f"{_percent(asked['target'])} is not reachable; the best is {use}.")
    if choice["accuracy"] is None:
        lines.append(
            "The study had no problem of this difficulty: this is the choice over all problems."
        )
        return lines
    lines.append(
        f"Expected accuracy {_accuracy(choice)}, cross-fitted on "
        f"{support['n_problems']} problems; {support['folds_agreeing']} of {support['folds']} "
        "fold-wise choices agree."
    )
    if not support["per_bin"]:
        lines.append("Choosing by difficulty does not pay here: this is the choice over all.")
    elif support["pooled"]:
        lines.append("Too few problems of this difficulty: this is the choice over all problems.")
    if cost["flops"] is not None:
        seconds = "" if cost[SECONDS] is None else f", {cost[SECONDS]:.3g} s"
        if cost.get(LATENCY) is not None:
            seconds += f"; alone on a GPU {cost[LATENCY]:.3g} s"
        lines.append(
            f"Cost per problem: {cost['policy_tokens']:,.0f} generated tokens, "
            f"{cost['prm_tokens']:,.0f} tokens read by the PRM, {cost['flops']:.3g} FLOPs{seconds}."
        )
    less = answer["cheaper"]
    if less is not None:
        amount = CURRENCIES[asked["currency"]].amount.format(less["amount"])
        lines.append(f"No less is promised for {amount}: {_accuracy(less)}, {less['use']}.")
    return lines + _others(answer)


def _asked(answer: dict) -> str:
    """What was asked, and of what."""
    asked, choice = answer["asked"], answer["advice"]
    currency = CURRENCIES[asked["currency"]]
    policy = choice["policy"] if len(asked["policies"]) == 1 else "the best policy"
    prm = {ANY: "any PRM", NONE: "no PRM"}.get(asked["prm"], f"PRM {asked['prm']}")
    parts = []
    if asked["target"] is not None:
        parts.append(f"{_percent(asked['target'])} with the {currency.least}")
    if asked["limit"] is not None:
        amount = currency.amount.format(asked["limit"])
        amount = amount if asked["currency"] == BUDGET else f"{amount} on a problem"
        parts.append(f"at most {amount}" if parts else amount)
    where = f"{policy} on {choice['dataset']}, {prm}"
    return f"{where}, {', '.join(parts)}, {asked['difficulty']} problems:"


def _others(answer: dict) -> list[str]:
    """The choices of the other policies, and who was left out."""
    currency = CURRENCIES[answer["asked"]["currency"]]
    lines = []
    for other in answer["policies"][1:]:
        falls = [] if other["reached"] else ["not reached"]
        spends = [] if currency.axis == BUDGET else [currency.amount.format(other["spends"])]
        parts = [*falls, _accuracy(other), *spends, other["use"]]
        lines.append(f"{other['policy']}: {', '.join(parts)}.")
    for policy, least in answer["left_out"].items():
        if least is None:
            lines.append(f"{policy}: its cost in {answer['asked']['currency']} is not known.")
        else:
            lines.append(f"{policy}: takes {currency.amount.format(least)} or more.")
    return lines


def _accuracy(choice: dict) -> str:
    """An accuracy with its interval."""
    if choice["accuracy"] is None:
        return "accuracy not known"
    low, high = _percent(choice["ci_low"]), _percent(choice["ci_high"])
    return f"{_percent(choice['accuracy'])} ({low} to {high})"


def _percent(value: float) -> str:
    """A proportion as a percentage with one decimal."""
    return f"{100 * value:.1f} %"
