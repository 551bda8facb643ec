"""`testtime advise`: every currency, a target, several policies, and what it refuses."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import worlds
from testtime.cli import app
from testtime.data.store import write_json
from testtime.errors import UserError
from testtime.fit.advise import CURRENCIES, Question, advise, curves, words
from testtime.fit.cells import Settings
from testtime.fit.cost_axis import cost_fits
from testtime.fit.lookup import load, lookup, narrowed
from testtime.fit.select import fit_study
from testtime.study.catalog import PolicySpec, PrmSpec
from testtime.study.vocabulary import SPENT
from typer.testing import CliRunner

SETTINGS = Settings(seed=1, folds=4, repeats=3, bootstrap=100)
RATES = {"small": 100.0, "large": 20.0, "alone": 50.0, "good": 200.0, "weak": 50.0}
POLICIES = ("small", "large")
AXES = {name: currency.axis for name, currency in CURRENCIES.items() if name != "budget"}


def make_lookup(rows, difficulty, rates=RATES):
    fits = [
        fit
        for binning in ("all", "level", "quantile")
        for fit in fit_study(rows, difficulty, SETTINGS, binning=binning)
    ]
    names = rows["policy"].unique()
    return lookup(
        fits,
        SETTINGS,
        study="toy",
        difficulty={"easy": 0.5, "hard": 0.1, "quantiles": 5},
        policies=[PolicySpec(name=name, parameters=1e6) for name in names],
        prms=[PrmSpec(name=name, parameters=1e6) for name in ("good", "weak")],
        rates=rates,
        by_cost=cost_fits(rows, difficulty, SETTINGS, rates),
    )


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Two policies that spend a budget, of which the larger costs more, and one with CoT alone."""
    small, large = worlds.study(), worlds.study(policy="large", seed=2, gain=0.2)
    large[SPENT] *= 3
    chance = np.linspace(0.02, 0.98, 60)
    alone = worlds.outcome(chance > 0.3, method="cot", policy="alone").assign(flops=5e8)
    rows = pd.concat([small, large, alone], ignore_index=True)
    path = tmp_path_factory.mktemp("study") / "lookup.json"
    write_json(make_lookup(rows, worlds.study_difficulty(policies=POLICIES)), path)
    return path


@pytest.fixture(scope="module")
def table(path):
    return load(path)


def command(path, *arguments):
    return CliRunner().invoke(app, ["advise", "--lookup", str(path), *map(str, arguments)])


def answer(result):
    """The JSON behind the words."""
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout[result.stdout.index("{") :])


def refusal(path, *arguments) -> str:
    result = command(path, *arguments)
    assert isinstance(result.exception, UserError), result.output
    return str(result.exception)


def entries(table, axis, policy, difficulty="all"):
    """What was fitted for amounts of an axis, by amount."""
    own = [e for e in table["by_cost"] if (e["axis"], e["policy"]) == (axis, policy)]
    own = [entry for entry in own if entry["difficulty"] == difficulty]
    return sorted(own, key=lambda entry: entry["amount"])


def test_it_answers_in_words_and_json(path):
    result = command(
        path, "--policy", "small", "--prm", "good", "--budget", 16, "--difficulty", "q2"
    )
    assert result.stdout.startswith("small on toy, PRM good, N = 16, q2 problems:\nuse ")
    assert answer(result)["asked"]["difficulty"] == "q2"


def test_it_answers_for_every_context(path, table):
    for context in table["contexts"][::17]:
        arguments = []
        for key in ("dataset", "policy", "prm", "budget", "difficulty"):
            arguments += [f"--{key}", context[key]]
        found = answer(command(path, *arguments))["advice"]
        assert found["amount"] == context["budget"]
        costs = {name: found["cost"][name] for name in SPENT}
        assert (found | {"cost": costs, "budget": context["budget"]}).items() >= context.items()


def test_n_between_two_budgets_buys_the_smaller_one(path):
    found = answer(command(path, "--policy", "small", "--budget", 15))
    assert found["advice"]["amount"] == 4
    assert found["asked"]["limit"] == 15


@pytest.mark.parametrize("currency", AXES)
@pytest.mark.parametrize("difficulty", ["all", "hard"])
def test_an_amount_buys_what_was_fitted_for_the_most_of_it(path, table, currency, difficulty):
    fitted = entries(table, AXES[currency], "small", difficulty)
    assert len(fitted) >= 3
    for low, high in pairwise(fitted):
        limit = (low["amount"] + high["amount"]) / 2
        arguments = ("--policy", "small", f"--{currency}", limit, "--difficulty", difficulty)
        found = answer(command(path, *arguments))["advice"]
        assert (found["amount"], found["strategy"]) == (low["amount"], low["strategy"])
        assert found["spends"] == found["cost"][AXES[currency]] <= limit
        assert found["ci_low"] <= found["accuracy"] <= found["ci_high"]


def test_seconds_are_tokens_at_the_rates(path, table):
    found = answer(command(path, "--policy", "small", "--prm", "weak", "--budget", 16))["advice"]
    cost = found["cost"]
    assert cost["prm_tokens"] > 0
    seconds = cost["policy_tokens"] / RATES["small"]
    seconds += cost["prm_tokens"] / RATES[found["strategy"]["prm"]]
    assert cost["seconds"] == pytest.approx(seconds, rel=1e-5)


def test_other_rates_change_what_fits(path, table):
    """A PRM that takes a week is not advised, one that takes no time may be."""
    most = entries(table, "seconds", "small")[-1]["amount"]
    arguments = ("--policy", "small", "--seconds", most, "--rate", "small=100")
    usual = answer(command(path, *arguments))["advice"]
    assert usual["amount"] == most
    slow = ("--rate", "good=1e-3", "--rate", "weak=1e-3")
    without = answer(command(path, *arguments, *slow))["advice"]
    assert without["strategy"]["prm"] == "none"
    assert without["spends"] == pytest.approx(without["cost"]["policy_tokens"] / 100, rel=1e-5)
    bare = answer(command(path, "--policy", "small", "--seconds", most, "--rate", 1000))
    assert bare["asked"]["rates"] == {"small": 1000}
    assert bare["advice"]["spends"] <= most


def test_measured_rates_are_read_from_logs(path, tmp_path):
    log = tmp_path / "logs/generate/x.log"
    log.parent.mkdir(parents=True)
    facts = {"kind": "policies", "name": "small", "tokens": 5000, "seconds": 10, "start_seconds": 1}
    log.write_text(f"measured {json.dumps(facts)}\n")
    arguments = ("--policy", "small", "--seconds", 100, "--rates-from", tmp_path)
    assert answer(command(path, *arguments))["asked"]["rates"] == {"small": 500}
    over = answer(command(path, *arguments, "--rate", "small=7"))
    assert over["asked"]["rates"] == {"small": 7}
    log.write_text(f"measured {json.dumps(facts | {'name': 'other'})}\n")
    assert "it measured other; the lookup has alone, large, small" in refusal(path, *arguments)


def test_without_a_policy_the_most_accurate_one_is_advised(path, table):
    limit = 2e9
    found = answer(command(path, "--flops", limit))
    best = {}
    for policy in (*POLICIES, "alone"):
        within = [e for e in entries(table, "flops", policy) if e["amount"] <= limit]
        best[policy] = within[-1]["accuracy"]
    assert {choice["policy"]: choice["accuracy"] for choice in found["policies"]} == best
    assert found["advice"]["policy"] == max(best, key=best.get)
    accuracies = [choice["accuracy"] for choice in found["policies"]]
    assert accuracies == sorted(accuracies, reverse=True)
    assert found["advice"] == found["policies"][0]


def test_policies_may_be_named_and_those_too_dear_are_left_out(path, table):
    cheapest = entries(table, "policy_tokens", "large")[0]["amount"]
    arguments = ("--policy", "small", "--policy", "large", "--tokens", cheapest - 1)
    result = command(path, *arguments)
    found = answer(result)
    assert [choice["policy"] for choice in found["policies"]] == ["small"]
    assert found["left_out"] == {"large": cheapest}
    assert f"large: takes {cheapest:,.0f} generated tokens or more." in result.stdout


def test_a_policy_with_cot_alone_has_n_1_whatever_the_prm(path):
    for prm in ("any", "good", "none"):
        found = answer(command(path, "--policy", "alone", "--budget", 16, "--prm", prm))["advice"]
        assert (found["strategy"]["method"], found["amount"]) == ("cot", 1)


@pytest.mark.parametrize("currency", CURRENCIES)
def test_a_target_is_reached_by_the_cheapest_choice_that_does(path, table, currency):
    reaching = []
    for policy, curve in curves(table, Question(currency)).items():
        for i, choice in enumerate(curve):
            if all(dearer["accuracy"] >= 0.6 for dearer in curve[i:]):
                reaching.append((choice["amount"], policy))
    found = answer(command(path, "--target", 0.6, "--currency", currency))
    assert found["reached"]
    assert (found["advice"]["amount"], found["advice"]["policy"]) == min(reaching)
    assert found["advice"]["accuracy"] >= 0.6


def test_a_target_met_by_chance_alone_does_not_count_as_reached(table):
    """A choice whose dearer neighbours fall short of it looks better than it is."""
    by_cost = [
        entry | {"accuracy": value}
        for entry, value in zip(
            entries(table, "flops", "small")[:4], (0.4, 0.7, 0.6, 0.8), strict=True
        )
    ]
    made = table | {"contexts": [], "by_cost": by_cost}

    def amount(target: float, limit: float | None = None) -> float | None:
        found = advise(made, Question("flops", limit, target=target))
        return found["advice"]["amount"] if found["reached"] else None

    amounts = [entry["amount"] for entry in by_cost]
    assert amount(0.55) == amounts[1]
    assert amount(0.65) == amounts[3]
    assert amount(0.65, limit=amounts[1]) == amounts[1]
    assert amount(0.9) is None


def test_a_target_may_have_a_limit(path, table):
    curve = curves(table, Question("tokens", policies=["small"]))["small"]
    target = curve[-1]["accuracy"]
    first = next(choice for choice in curve if choice["accuracy"] >= target)
    assert first["amount"] > curve[0]["amount"]
    arguments = ("--policy", "small", "--target", target, "--tokens")
    assert answer(command(path, *arguments, first["amount"]))["advice"]["amount"] == first["amount"]
    below = command(path, *arguments, first["amount"] - 1)
    assert answer(below)["reached"] is False
    assert "with the fewest tokens, at most" in below.stdout


def test_a_target_out_of_reach_names_the_best(path, table):
    result = command(path, "--target", 1)
    found = answer(result)
    assert found["reached"] is False
    most = [curve[-1]["accuracy"] for curve in curves(table, Question("flops")).values()]
    assert found["advice"]["accuracy"] == max(most)
    assert "100.0 % is not reachable; the best is" in result.stdout
    assert all("not reached" in line for line in words(found)[4:])


def test_the_json_keeps_its_keys(path):
    choice = {"dataset", "policy", "prm", "difficulty", "strategy", "use", "amount", "spends"}
    choice |= {"accuracy", "ci_low", "ci_high", "in_sample_accuracy", "support", "cost", "reached"}
    asked = {"currency", "limit", "target", "policies", "prm", "difficulty", "dataset", "rates"}
    top = {"format", "version", "asked", "reached", "advice", "cheaper", "policies", "left_out"}
    for arguments in (("--budget", 4), ("--flops", 1e9), ("--target", 0.5), ("--target", 1)):
        result = command(path, *arguments, "--json")
        found = json.loads(result.stdout)
        assert set(found) == top
        assert (found["format"], found["version"]) == ("testtime-advice", 1)
        assert set(found["asked"]) == asked
        assert all(set(each) == choice for each in [found["advice"], *found["policies"]])
        assert set(found["advice"]["cost"]) == {*SPENT, "seconds"}
        strategy = {"prm", "method", "scoring", "vote", "thinking", "budget"}
        assert set(found["advice"]["strategy"]) == strategy


def test_a_cheaper_choice_that_promises_no_less_is_pointed_out(table):
    question = Question("budget", 16, policies=["small"], prm="good")
    own = {"policy": "small", "prm": "good", "difficulty": "all"}

    def at(accuracy: float) -> dict:
        """The lookup with this accuracy at N = 4 and 0.7 at N = 16, each with all its samples."""
        contexts = []
        for entry in table["contexts"]:
            if own.items() <= entry.items():
                strategy = entry["strategy"] | {"budget": entry["budget"]}
                value = accuracy if entry["budget"] == 4 else 0.7
                contexts.append(entry | {"accuracy": value, "strategy": strategy})
            else:
                contexts.append(entry)
        return advise(table | {"contexts": contexts}, question)

    assert at(0.7)["cheaper"]["amount"] == 4
    assert "No less is promised for N = 4: 70.0 %" in "\n".join(words(at(0.7)))
    assert at(0.69)["cheaper"] is None


def test_a_level_that_no_problem_had_is_answered_without_an_accuracy():
    table = make_lookup(worlds.study(), worlds.difficulty(np.full(60, 0.3)))
    found = advise(table, Question("tokens", 1000, policies=["small"], difficulty="easy"))
    assert found["advice"]["accuracy"] is None
    assert "no problem of this difficulty" in "\n".join(words(found))
    assert not advise(table, Question("tokens", target=0.1, difficulty="easy"))["reached"]


def test_a_quantile_is_answered_by_what_its_choices_spend(table):
    """Choices by cost are fitted by level; for quantiles there are those by N."""
    entries = narrowed(table["contexts"], {"policy": "small", "prm": "any", "difficulty": "q2"})
    found = advise(table, Question("tokens", 500, policies=["small"], difficulty="q2"))
    assert found["advice"]["strategy"] in [entry["strategy"] for entry in entries]
    assert found["advice"]["cost"]["policy_tokens"] <= 500
    assert advise(table, Question("flops", target=0.01, difficulty="q2"))["reached"]


def test_costs_that_are_unknown_are_not_advised_on():
    rows = worlds.study()
    rows[SPENT] = np.nan
    table = make_lookup(rows, worlds.study_difficulty())
    assert advise(table, Question("budget", 16))["advice"]["amount"] == 16
    with pytest.raises(UserError, match="tokens of small are not known; allowed: another currency"):
        advise(table, Question("tokens", 100))


def test_seconds_without_rates_ask_for_them():
    table = make_lookup(worlds.study(), worlds.study_difficulty(), dict.fromkeys(RATES))
    question = Question("seconds", 100, policies=["small"])
    with pytest.raises(UserError, match=r"seconds of small are not known.*--rate NAME=NUMBER"):
        advise(table, question)
    found = advise(table, replace(question, rates={"small": 10, "good": 20, "weak": 20}))
    assert 0 < found["advice"]["spends"] <= 100


def test_costs_are_read_and_not_derived_from_n(table):
    """A rule that stops early spends less than N samples: only the tables know."""
    rows = worlds.study()
    early = rows["method"] == "majority"
    rows.loc[early, SPENT] *= 0.25
    found = make_lookup(rows, worlds.study_difficulty())
    advice = advise(found, Question("budget", 16, prm="none"))["advice"]
    assert (advice["strategy"]["method"], advice["strategy"]["budget"]) == ("majority", 16)
    assert advice["cost"]["policy_tokens"] == 0.25 * 16 * worlds.SAMPLE_TOKENS
    bought = advise(found, Question("tokens", 0.25 * 16 * worlds.SAMPLE_TOKENS))["advice"]
    assert bought["spends"] == advice["cost"]["policy_tokens"]


def test_pass_at_1_stands_for_a_level(path):
    arguments = ("--policy", "small", "--prm", "good", "--budget", 4)
    assert answer(command(path, *arguments, "--pass-at-1", 0.3))["advice"]["difficulty"] == "medium"


def test_without_a_difficulty_it_answers_for_all_problems(path):
    found = answer(command(path, "--policy", "small", "--budget", 4))["advice"]
    assert (found["difficulty"], found["prm"]) == ("all", "any")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--policy", "huge", "--budget", 4], "policy 'huge' .* known: large, small, alone"),
        (["--prm", "best", "--tokens", 400], "prm 'best' is not .* known: any, good, none, weak"),
        (["--tokens", 400, "--difficulty", "q9"], "difficulty 'q9' is not in the lookup"),
        (["--tokens", 400, "--flops", 1e9], "give one of --budget, --tokens, --flops, --seconds"),
        (["--policy", "small"], "give one of .*, or --target"),
        (["--tokens", -1], "tokens -1: allowed are numbers above 0"),
        (["--budget", 0], "budget 0: allowed are numbers above 0"),
        (["--seconds", "nan"], "seconds nan: allowed are numbers above 0"),
        (["--target", 80], "target 80 is not a proportion; allowed: 0 to 1"),
        (["--target", 0.5, "--currency", "euro"], "currency 'euro' is not known; allowed: budget"),
        (["--target", 0.5, "--tokens", 9, "--currency", "flops"], "--tokens is a limit in tokens"),
        (["--policy", "small", "--tokens", 3], "tokens 3 is too little for small; allowed: 50 or"),
        (["--seconds", 9, "--rate", 5], "--rate 5: allowed are NAME=NUMBER, or NUMBER with one"),
        (["--seconds", 9, "--rate", "small=fast"], "--rate small=fast: allowed are"),
        (["--seconds", 9, "--rate", "small=-1"], "rate -1 of small: allowed are numbers above 0"),
        (["--seconds", 9, "--rate", "huge=5"], "rate of 'huge': no such model .* known: "),
        (["--tokens", 9, "--figure", "x.txt"], "figure x.txt: allowed are .pdf, .png, .svg"),
        (["--budget", 4, "--difficulty", "easy", "--pass-at-1", 0.9], "not both"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_bad_input_is_refused_with_what_is_allowed(path, arguments, message):
    with pytest.raises(UserError, match=message):
        raise command(path, *arguments).exception


def test_a_figure_has_a_line_per_policy_and_marks_the_advice(path, table, tmp_path):
    from testtime.present.figures import advice

    image = tmp_path / "advice.png"
    found = answer(command(path, "--flops", 2e9, "--figure", image))
    assert image.read_bytes().startswith(b"\x89PNG")
    question = Question("flops", 2e9)
    rows = advice.data(table, question, found)
    assert set(rows["policy"]) == {*POLICIES, "alone"}
    (marked,) = rows[rows["advised"]].to_dict("records")
    assert marked["policy"] == found["advice"]["policy"]
    assert marked["accuracy"] == found["advice"]["accuracy"]
    ax = advice.draw(rows).axes[0]
    star = next(line for line in ax.lines if line.get_marker() == "*")
    assert star.get_ydata().tolist() == [marked["accuracy"]]
    (limit,) = [line for line in ax.lines if line.get_linestyle() == "--"]
    assert limit.get_xdata() == [2e9, 2e9]
