import json

import pytest
import worlds
from testtime.cli import app
from testtime.data.store import write_json
from testtime.errors import UserError
from testtime.fit.cells import Settings
from testtime.fit.lookup import lookup
from testtime.fit.select import fit_study
from typer.testing import CliRunner

SETTINGS = Settings(seed=1, folds=4, repeats=3, bootstrap=100)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    rows, difficulty = worlds.study(), worlds.study_difficulty()
    fits = [
        fit
        for binning in ("all", "level", "quantile")
        for fit in fit_study(rows, difficulty, SETTINGS, binning=binning)
    ]
    settings = {"easy": 0.5, "hard": 0.1, "quantiles": 5}
    path = tmp_path_factory.mktemp("study") / "lookup.json"
    write_json(lookup(fits, SETTINGS, study="toy", difficulty=settings), path)
    return path


def advise(path, *arguments):
    return CliRunner().invoke(app, ["advise", "--lookup", str(path), *map(str, arguments)])


def answer(result):
    """The JSON behind the words."""
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout[result.stdout.index("{") :])


def test_it_answers_in_words_and_json(path):
    result = advise(
        path, "--policy", "small", "--prm", "good", "--budget", 16, "--difficulty", "q2"
    )
    assert result.stdout.startswith("small on toy, PRM good, N = 16, q2 problems:\nuse ")
    assert answer(result)["difficulty"] == "q2"


def test_it_answers_for_every_context(path):
    contexts = json.loads(path.read_text())["contexts"]
    for context in contexts[::7]:
        arguments = []
        for key in ("dataset", "policy", "prm", "budget", "difficulty"):
            arguments += [f"--{key}", context[key]]
        assert answer(advise(path, *arguments)) == context


def test_pass_at_1_stands_for_a_level(path):
    arguments = ("--policy", "small", "--prm", "good", "--budget", 4)
    assert answer(advise(path, *arguments, "--pass-at-1", 0.3))["difficulty"] == "medium"


def test_without_a_difficulty_it_answers_for_all_problems(path):
    found = answer(advise(path, "--policy", "small", "--budget", 4))
    assert (found["difficulty"], found["prm"]) == ("all", "any")


def test_json_alone_is_json(path):
    result = advise(path, "--policy", "small", "--budget", 4, "--json")
    assert json.loads(result.stdout)["policy"] == "small"


def test_an_unknown_context_is_refused(path):
    result = advise(path, "--policy", "huge", "--budget", 4)
    assert isinstance(result.exception, UserError)
    assert "known: small" in str(result.exception)


def test_difficulty_and_pass_at_1_exclude_each_other(path):
    arguments = ("--policy", "small", "--budget", 4, "--difficulty", "easy", "--pass-at-1", 0.9)
    assert "not both" in str(advise(path, *arguments).exception)
