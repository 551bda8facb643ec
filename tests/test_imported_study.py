"""Studies whose samples, and step scores, were made elsewhere, from one command to the report."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml

pytestmark = pytest.mark.study

N_PROBLEMS, RIGHT = 12, {"long": 0.5, "short": 0.25, "large": 0.25}


def rows_of(policy, n_samples, rng):
    """Samples that are right with a known chance; a right one has the better last step."""
    for problem in range(N_PROBLEMS):
        for sample in range(n_samples):
            right = sample < RIGHT[policy] * n_samples
            answer = problem if right else 1000 + int(rng.integers(3))
            yield {
                "problem_id": f"p{problem:02d}",
                "sample": sample,
                "completion": f"First.\n\nSo \\boxed{{{answer}}}.",
                "token_count": 20 + sample if policy == "long" else None,
                "scores": {"elsewhere": [0.5, 0.9 if right else 0.1]},
            }


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def run(root, folder, *arguments):
    files = [root / "config.yaml", folder / "study.yaml"]
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "-s", root / "Snakefile"]
    command += ["--configfile", *files, *arguments]
    return subprocess.run(
        list(map(str, command)), cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def study(root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("imported")
    rng = np.random.default_rng(0)
    problems = [
        {"problem_id": f"p{i:02d}", "problem": f"{i}?", "answer": str(i)} for i in range(12)
    ]
    write(folder / "problems.jsonl", problems)
    write(folder / "long.jsonl", rows_of("long", 16, rng))
    write(folder / "short.jsonl", rows_of("short", 8, rng))
    write(folder / "large-own.jsonl", rows_of("large", 8, rng))
    config = {
        "study": "imported",
        "results": "results",
        "datasets": ["own"],
        "policies": ["long", "short", "large"],
        "per_policy": {"large": {"methods": ["cot"]}},
        "prms": ["elsewhere"],
        "methods": ["majority", "best_of_n"],
        "budgets": {"pool": [2, 8, 16]},
        "difficulty": {"samples": 0},
        "evaluate": {"subsets": 100, "bootstrap": 100},
        "fit": {"folds": 3, "repeats": 2},
        "catalog": {
            "datasets": {"own": {"source": "file", "path": "problems.jsonl", "size": N_PROBLEMS}},
            "policies": {
                "long": {"samples": "long.jsonl", "parameters": 7e9},
                "short": {"samples": "short.jsonl", "parameters": 1e9, "n_samples": 8},
                # The first two of its eight samples are right, and the first four are its CoT.
                "large": {"samples": "large-{dataset}.jsonl", "parameters": 7e10, "cot_samples": 4},
            },
            "prms": {"elsewhere": {"in_samples": True, "parameters": 7e9}},
        },
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(config))
    done = run(root, folder)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-8000:]
    return folder / "results"


@pytest.fixture(scope="module")
def accuracy(study):
    table = pd.read_csv(study / "tables/accuracy.csv", keep_default_na=False, na_values=[""])
    return table[table["difficulty"] == "all"]


def test_a_short_file_has_the_budgets_that_it_can_fill(accuracy):
    budgets = accuracy.groupby("policy")["budget"].unique().map(sorted)
    assert budgets["long"] == [2, 8, 16]
    assert budgets["short"] == [2, 8]


def test_pass_at_1_is_the_share_of_right_samples(study):
    table = pd.read_csv(study / "tables/pass_at_k.csv").set_index(["policy", "k"])["pass_at_k"]
    assert table["long", 1] == pytest.approx(0.5)
    assert table["short", 1] == pytest.approx(0.25)


def test_imported_scores_choose_the_answer(accuracy):
    chosen = accuracy[(accuracy["method"] == "best_of_n") & (accuracy["scoring"] == "last")]
    best = chosen[chosen["vote"] == "max"].set_index(["policy", "budget"])["accuracy"]
    # A right sample outscores every wrong one: the best of all is right, of two if one is.
    assert best["long", 16] == best["short", 8] == 1
    assert best["short", 2] == pytest.approx(1 - (6 * 5) / (8 * 7), abs=1e-5)


def test_tokens_are_those_of_the_file_and_unknown_ones_stay_empty(accuracy):
    majority = accuracy[accuracy["method"] == "majority"].set_index(["policy", "budget"])
    assert majority["policy_tokens"]["long", 2] == pytest.approx(2 * (20 + 7.5))
    assert majority["policy_tokens"]["short"].isna().all()
    assert accuracy.loc[accuracy["method"] == "best_of_n", "prm_tokens"].isna().all()


def test_a_policy_that_is_only_compared_with_has_the_mean_over_its_samples(study, accuracy):
    (row,) = accuracy[accuracy["policy"] == "large"].itertuples()
    assert (row.method, row.budget, row.accuracy) == ("cot", 1, 0.5)
    assert not (study / "difficulty/own/large.parquet").exists()
    assert set(pd.read_csv(study / "tables/pass_at_k.csv")["policy"]) == {"long", "short"}
    pairs = pd.read_csv(study / "tables/overtaking.csv").set_index("small")
    assert set(pairs["large"]) == {"large"}
    assert pairs["large_accuracy"].to_list() == [0.5, 0.5]
    assert pairs["difference"]["long"] == pytest.approx(0.5, abs=1e-6)  # the best of 16 is right


def test_it_ends_with_a_report(study):
    assert "pass_at_k.csv" in (study / "report.html").read_text(encoding="utf-8")


def test_scores_from_files_go_with_samples_from_files_only(root, tmp_path):
    config = {"prms": ["own"], "catalog": {"prms": {"own": {"in_samples": True, "parameters": 1}}}}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(config))
    done = run(root, tmp_path, "-n")
    assert done.returncode != 0
    assert "the scores of 'own' come from files of samples" in done.stdout + done.stderr
