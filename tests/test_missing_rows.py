"""After a change a model computes the rows that are missing and no other, in real runs.

Rows are counted in the store, to which every job appends what it computes.
"""

import pytest
from small_study import SmallStudy
from testtime.data.store import read_parquet

STUDY = {
    "policies": ["micro-xs"],
    "prms": ["micro-prm-good"],
    "methods": ["cot", "majority", "best_of_n", "beam_search", "dvts"],
    "problems": {"limit": 6},
    "budgets": {"pool": [2, 8], "search": [4, 12]},
    "difficulty": {"samples": 4},
}
STAGES = ("generate", "score", "search")
# New samples and new trees.
CHANGES = {
    "nothing": ({}, 0, 0),
    "a larger pool budget": ({"budgets": {"pool": [2, 8, 16]}}, 6 * 8, 0),
    "a pool budget between two others": ({"budgets": {"pool": [2, 4, 8]}}, 0, 0),
    "a larger search budget": ({"budgets": {"search": [4, 12, 16]}}, 0, 6 * (1 + 1)),
    "a search budget between two others": ({"budgets": {"search": [4, 8, 12]}}, 0, 6 * 1),
    "a method": ({"methods": [*STUDY["methods"], "rebase"]}, 0, 6 * 2),
    "two more runs of each search": ({"search_runs": 3}, 0, 6 * 2 * 2),
    "a PRM": ({"prms": ["micro-prm-good", "micro-prm-weak"]}, 0, 6 * (2 + 3)),
    "a policy": ({"policies": ["micro-xs", "micro-s"]}, 6 * 13, 6 * (2 + 3)),
    "ten problems": ({"problems": {"limit": 16}}, 10 * 13, 10 * (2 + 3)),
    "shorter jobs": ({"jobs": {"hours": 1e-6}}, 0, 0),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    study = SmallStudy(tmp_path_factory.mktemp("missing") / "study", STUDY)
    study.run_models()
    assert study.kept("generate").total() == 6 * 13
    assert study.kept("search").total() == 6 * (2 + 3)
    return study


@pytest.mark.parametrize("change", CHANGES)
def test_only_missing_rows_are_computed(finished, tmp_path, change):
    changes, samples, trees = CHANGES[change]
    study = finished.copied(tmp_path / "study")
    before, contents = {stage: study.kept(stage) for stage in STAGES}, study.contents()
    study.change(changes)
    study.run_models()
    after = {stage: study.kept(stage) for stage in STAGES}
    assert all(set(rows.values()) == {1} for rows in after.values())
    assert all(before[stage] <= after[stage] for stage in STAGES)
    assert (after["generate"] - before["generate"]).total() == samples
    assert (after["search"] - before["search"]).total() == trees
    assert after["score"].total() == distinct_texts(study)
    for stage in STAGES:  # what was there is there, in as many files as there are now
        assert finished.rows(stage) <= study.rows(stage)
    now = study.contents()
    assert change != "shorter jobs" or len(now) > 3 * len(contents)
    more = {"ten problems": "", "two more runs of each search": "/searches/"}  # parts of paths
    changed = {path for path in contents.keys() & now.keys() if now[path] != contents[path]}
    grown = more.get(change)
    assert changed == {path for path in contents if grown is not None and grown in path}


def distinct_texts(study):
    """How many texts of the pool the study's PRMs read: each once per problem and PRM."""
    texts = {}
    for path in study.files("generate"):
        policy, block = path.split("/")[3:5]
        if "-" in block:
            rows = read_parquet(study.folder / path, columns=["problem_id", "steps"])
            known = texts.setdefault(policy, set())
            known.update((name, *steps) for name, steps in rows.itertuples(index=False))
    readings = {tuple(path.split("/")[3:5]) for path in study.files("score")}
    return sum(len(texts[policy]) for policy, _ in readings)
