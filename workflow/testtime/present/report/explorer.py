"""The explorer of the page: what a budget buys, by the curves of `testtime advise`."""

from collections.abc import Iterator

from testtime.fit.advise import CURRENCIES, Question, advise, curves
from testtime.fit.lookup import values_of
from testtime.study.vocabulary import ALL, INTERVAL, LEVELS

FEW = 4  # budgets of the table that needs no JavaScript


def explorer(lookup: dict) -> dict:
    """The steps of every policy's curve, and the advice for a few budgets.

    Args:
        lookup: a study's.

    Returns:
        Plain values: currencies, name -> label, those whose costs are known; curves, each with
        dataset, difficulty, currency, policy and steps (amount, accuracy, ci_low, ci_high, use,
        cost; from cheap to dear); few, rows with dataset, budget (written out), policy, use,
        accuracy, ci_low, ci_high, cost, of the advice on problems of all difficulties.
    """
    found = list(_curves(lookup))
    known = values_of(found, "currency")
    return {
        "currencies": {name: CURRENCIES[name].label for name in CURRENCIES if name in known},
        "curves": found,
        "few": list(_few(lookup, found)),
    }


def _curves(lookup: dict) -> Iterator[dict]:
    entries = lookup["contexts"] + lookup["by_cost"]
    keys = ("amount", "accuracy", *INTERVAL, "use", "cost")
    for dataset in values_of(entries, "dataset"):
        there = values_of([e for e in entries if e["dataset"] == dataset], "difficulty")
        for difficulty in filter(there.__contains__, (ALL, *LEVELS)):
            for currency in CURRENCIES:
                question = Question(currency, difficulty=difficulty, dataset=dataset)
                names = {"dataset": dataset, "difficulty": difficulty, "currency": currency}
                for policy, curve in curves(lookup, question).items():
                    steps = [step for step in curve if step["accuracy"] is not None]
                    if steps:
                        kept = [{key: step[key] for key in keys} for step in steps]
                        yield names | {"policy": policy, "steps": kept}


def _few(lookup: dict, found: list[dict]) -> Iterator[dict]:
    """The advice at some of the amounts that choices were fitted for, over the whole range."""
    over_all = [curve for curve in found if curve["difficulty"] == ALL]
    for dataset in values_of(over_all, "dataset"):
        for name, currency in CURRENCIES.items():
            mine = [c for c in over_all if (c["dataset"], c["currency"]) == (dataset, name)]
            amounts = sorted({step["amount"] for curve in mine for step in curve["steps"]})
            last = min(FEW, len(amounts)) - 1
            for i in range(last + 1):
                amount = amounts[round(i * (len(amounts) - 1) / max(last, 1))]
                choice = advise(lookup, Question(name, amount, dataset=dataset))["advice"]
                budget = {"budget": currency.amount.format(amount)}
                keys = ("dataset", "policy", "use", "accuracy", *INTERVAL, "cost")
                yield budget | {key: choice[key] for key in keys}
