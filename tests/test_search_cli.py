"""`testtime search` and the vote that gives its answers."""

import json
import math
import sys

import pytest
from fakes import FakePolicy, FakePrm, random_tree
from testtime.cli.search import policy_spec, search
from testtime.errors import UserError
from testtime.solve.answer import as_frame, choose_answer
from testtime.study.types import Path
from testtime.study.vocabulary import ALL_VOTES

command = sys.modules["testtime.cli.search"]  # the package's attribute is the function
PROBLEMS = [
    {"problem_id": "x", "problem": "first", "level": 3},
    {"problem_id": 7, "problem": "second"},
]


class BoxedPolicy(FakePolicy):
    """Writes every text into a box, so that there is an answer."""

    def decode(self, token_ids):
        text = super().decode(token_ids)
        return f"\\boxed{{{len(text)}}}" if not text.endswith("\n") else text


@pytest.fixture
def engines(monkeypatch):
    loaded = []

    def load(kind, model):
        def loader(spec, *, engine, threads, beside):
            loaded.append((kind, spec.name))
            return model()

        return loader

    monkeypatch.setattr(
        command, "load_policy", load("policy", lambda: BoxedPolicy(random_tree(1, p_end=0.3)))
    )
    monkeypatch.setattr(command, "load_prm", load("prm", FakePrm))
    return loaded


@pytest.fixture
def problems(tmp_path):
    path = tmp_path / "problems.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in PROBLEMS))
    return path


def run(problems, **changes):
    output = problems.parent / "solved.jsonl"
    settings = {
        "policy": "qwen2.5-0.5b-instruct",
        "prm": "qwen2.5-math-prm-7b",
        "method": "beam_search",
        "budget": 8,
        "output": output,
    }
    search(problems, **(settings | changes))
    return [json.loads(line) for line in output.read_text().splitlines()]


@pytest.mark.parametrize(
    "method", ["cot", "majority", "confidence", "best_of_n", "beam_search", "dvts", "rebase"]
)
def test_every_line_gets_an_answer_its_paths_and_what_they_cost(problems, engines, method):
    lines = run(problems, method=method)
    assert [line["problem_id"] for line in lines] == ["x", 7]
    assert lines[0]["level"] == 3
    for line in lines:
        assert all(
            set(path) == {"text", "steps", "scores", "tokens", "finished"} for path in line["paths"]
        )
        assert line["policy_tokens"] >= sum(path["tokens"] for path in line["paths"][:1])
        assert (line["prm_tokens"] > 0) == (method not in {"cot", "majority", "confidence"})
        assert line["answer"] is None or line["answer"].isdigit()
    expected = {"cot": 1, "majority": 8, "best_of_n": 8, "beam_search": 2, "dvts": 2}
    expected["confidence"] = 8
    if method in expected:
        assert {len(line["paths"]) for line in lines} == {expected[method]}


@pytest.mark.parametrize("method", ["beam_search", "dvts", "lookahead"])
@pytest.mark.parametrize("vote", ALL_VOTES)
def test_all_finished_candidates_vote_where_that_is_asked_for(problems, engines, method, vote):
    """Against a count by hand of what the output says."""
    plain, lines = run(problems, method=method), run(problems, method=method, vote=vote)
    assert sum(len(line["pruned"]) for line in lines) > 0
    for line, before in zip(lines, plain, strict=True):
        assert "pruned" not in before
        for key in ("paths", "policy_tokens", "prm_tokens"):
            assert line[key] == before[key]
        assert all(path["finished"] for path in line["pruned"])
        held = {}
        for path in [*line["paths"], *line["pruned"]]:
            if "boxed" in path["text"]:
                answer = path["text"].removeprefix(r"\boxed{").removesuffix("}")
                weight = path["scores"][-1] if path["scores"] else 0.0
                held[answer] = held.get(answer, 0) + (1 if vote == "majority_all" else weight)
        best = [answer for answer, total in held.items() if math.isclose(total, max(held.values()))]
        assert line["answer"] == (best[0] if best else None)


@pytest.mark.parametrize("method", ["majority", "confidence"])
def test_methods_without_a_prm_load_none(problems, engines, method):
    run(problems, method=method, prm=None)
    assert [kind for kind, _ in engines] == ["policy"]


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(problems, engines):
    first, second, other = run(problems), run(problems), run(problems, seed=1)
    assert first == second
    assert first != other


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "beam"}, "method 'beam' is not known; allowed: .*dvts"),
        ({"budget": 6}, "budget 6 .* allowed: 4, 8, 12"),
        ({"vote": "best"}, "--vote 'best' .* allowed: majority, max, weighted"),
        (
            {"method": "rebase", "vote": "weighted_all"},
            "--vote 'weighted_all' needs a search with beams; allowed: majority, max, weighted",
        ),
        ({"scoring": "mean"}, "--scoring 'mean' .* allowed: min, last, avg"),
        ({"engine": "onnx"}, "--engine 'onnx' .* allowed: transformers, vllm"),
        ({"prm": None}, "--prm must be given for --method beam_search"),
        ({"policy": "nobody"}, "--policy 'nobody' is neither in the catalog nor a folder"),
        ({"prm": "nobody"}, "--prm 'nobody' is neither in the catalog nor a folder"),
    ],
)
def test_what_cannot_be_is_refused_before_a_model_is_loaded(problems, engines, changes, message):
    with pytest.raises(UserError, match=message):
        run(problems, **changes)
    assert engines == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{}", "line 1: no 'problem_id'"),
        ('{"problem_id": 1}', "line 1: no 'problem'"),
        ('{"problem_id": 1.5, "problem": "?"}', "line 1: 'problem_id' is 1.5"),
        ('{"problem_id": 1, "problem": " "}', "line 1: 'problem' is ' '"),
        (
            '{"problem_id": 1, "problem": "?"}\n{"problem_id": "1", "problem": "?"}',
            "line 2: .*line 1",
        ),
        ("nonsense", "line 1: not JSON"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, engines, line, message):
    path = tmp_path / "problems.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(UserError, match=message):
        run(path)
    assert engines == []


def test_a_folder_is_a_policy(tmp_path):
    (tmp_path / "config.json").write_text('{"max_position_embeddings": 77}')
    spec = policy_spec(str(tmp_path), "vllm")
    assert (spec.location, spec.context, spec.engine) == (str(tmp_path), 77, "vllm")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="max_position_embeddings"):
        policy_spec(str(tmp_path))


def paths(*pairs):
    """(answer, scores) pairs as paths; no box where the answer is None."""
    return as_frame(
        [
            Path(text="" if answer is None else f"so \\boxed{{{answer}}}", scores=tuple(scores))
            for answer, scores in pairs
        ]
    )


@pytest.mark.parametrize(
    ("vote", "scoring", "answer"),
    [
        ("majority", "last", "1/2"),  # 1/2 and 0.5 vote together
        ("max", "last", "3"),
        ("max", "min", "4"),
        ("weighted", "last", "1/2"),  # 0.4 + 0.5 against 0.8
        ("weighted", "min", "4"),  # 0.1 + 0.5 against 0.7
    ],
)
def test_the_vote_is_over_equivalent_answers(vote, scoring, answer):
    drawn = paths(
        ("1/2", [0.1, 0.4]), ("3", [0.2, 0.8]), ("0.5", [0.5]), ("4", [0.7]), (None, [0.99])
    )
    assert choose_answer(drawn, "best_of_n", scoring, vote) == answer


def test_a_tie_goes_to_the_first_path_and_no_answer_is_none():
    tied = paths(("5", [0.1]), ("6", [0.1]))
    assert choose_answer(tied, "best_of_n", "last", "weighted") == "5"
    assert choose_answer(paths((None, [0.9])), "best_of_n", "last", "weighted") is None
    assert choose_answer(paths(), "majority", "last", "majority") is None


def test_the_policy_itself_weighs_where_the_method_is_confidence():
    drawn = [("5", 0.3), ("6", 0.9), ("5", 0.4)]
    rows = as_frame([Path(text=f"\\boxed{{{answer}}}", logprob=math.log(p)) for answer, p in drawn])
    assert choose_answer(rows, "confidence", "last", "weighted") == "6"  # 0.9 against 0.3 + 0.4
    assert choose_answer(rows, "confidence", "last", "majority") == "5"
