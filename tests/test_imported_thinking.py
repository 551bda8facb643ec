"""Samples made elsewhere at several thinking budgets, a file for each."""

import json
import lzma
import re

import numpy as np
import pytest
from small_study import SmallStudy
from testtime.data.imports import import_samples
from testtime.data.store import read_csv, read_parquet

BUDGETS = (500, 2000, 8000)
CLOSE = "<|im_start|>answer"


def test_the_answer_is_what_follows_the_last_end_of_a_thought(tmp_path):
    rows = [
        {
            "problem_id": "a",
            "sample": 0,
            "completion": "<think>so 1</think> or <x></think>\\boxed{2}",
        },
        {"problem_id": "b", "sample": 0, "completion": "no thought: \\boxed{3}"},
    ]
    path = tmp_path / "samples.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = import_samples(path, ["a", "b"], close="</think>")
    assert found["text"].tolist() == ["\\boxed{2}", "no thought: \\boxed{3}"]
    assert import_samples(path, ["a", "b"])["text"][0].startswith("<think>")


def letter(completion):
    """The choice that an answer names last, "" if none; by a rule of this test's own."""
    answer = completion.rpartition(CLOSE)[2]
    named = re.findall(r"(?:answer is|Answer:|boxed\{|correct answer is:)\W*([AB])\b", answer)
    return named[-1] if named else ""


@pytest.mark.study
def test_real_logs_at_three_budgets_become_a_study_over_them(shared_data, tmp_path):
    """184 questions, one sample of a 32B model at 500, 2,000 and 8,000 thinking tokens."""
    folder = tmp_path / "study"
    folder.mkdir()
    shares, problems = {}, {}
    for budget in BUDGETS:
        log = shared_data / f"logs/lm_eval_s1_fork_{budget}.jsonl.xz"
        rows, right = [], []
        for line in lzma.decompress(log.read_bytes()).decode().splitlines():
            row = json.loads(line)
            name, completion = row["doc"]["id"], row["resps"][0][0]
            problems[name] = (row["doc"]["question"], row["target"])
            boxed = f"{completion}\n\n\\boxed{{{letter(completion)}}}"
            tokens = len(completion) // 4
            rows.append(
                {"problem_id": name, "sample": 0, "completion": boxed, "token_count": tokens}
            )
            right.append(letter(completion) == row["target"])
        shares[budget] = np.mean(right)
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"s1-{budget}.jsonl").write_text(lines)
    asked = [{"problem_id": p, "problem": q, "answer": a} for p, (q, a) in problems.items()]
    (folder / "asked.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked))
    files = {"source": "file", "path": "asked.jsonl", "size": len(asked), "convention": "exact"}
    policy = {"samples": "s1-{thinking}.jsonl", "parameters": 3.28e10, "thinking": {"close": CLOSE}}
    study = SmallStudy(
        folder,
        {
            "datasets": ["asked"],
            "policies": ["s1"],
            "prms": [],
            "methods": ["majority"],
            "budgets": {"pool": [1], "search": [], "thinking": list(BUDGETS)},
            "difficulty": {"samples": 0},
            "catalog": {"datasets": {"asked": files}, "policies": {"s1": policy}},
        },
    )
    study.run("results/tables/thinking.csv", "results/lookup.json", "results/report.html")
    table = read_csv(study.results / "tables/thinking.csv")
    found = table[table["difficulty"] == "all"].set_index("thinking")["accuracy"]
    assert found.to_dict() == pytest.approx(shares, abs=1e-6)
    assert found[500] > 0.4, "the rule finds answers"
    tokens = read_parquet(study.results / "tables/outcomes.parquet").groupby("thinking")
    assert tokens["policy_tokens"].mean().is_monotonic_increasing
