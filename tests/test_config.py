import copy

import pytest
import yaml
from testtime.errors import UserError
from testtime.study.config import read, validate


@pytest.fixture(scope="module")
def shipped(root):
    return yaml.safe_load((root / "config.yaml").read_text())


def changed(config, path, value):
    config = copy.deepcopy(config)
    *parents, last = path.split("/")
    part = config
    for key in parents:
        part = part.setdefault(key, {})
    part[last] = value
    return config


def test_the_shipped_study_is_valid(shipped):
    validate(shipped)


@pytest.mark.parametrize(
    "study", ["smoke", "from-scratch", "thinking-from-scratch", "one-gpu", "headline", "paper"]
)
def test_the_other_studies_are_valid_on_top_of_it(shipped, root, study):
    overlay = yaml.safe_load((root / f"workflow/studies/{study}.yaml").read_text())
    for key, value in overlay.items():
        shipped = changed(shipped, key, shipped[key] | value if isinstance(value, dict) else value)
    validate(shipped)


WRONG = [
    ("policies", ["gpt-17"], "policies: 'gpt-17'"),
    ("policies", [], "policies: []"),
    ("policies", ["micro-xs", "micro-xs"], "policies: 'micro-xs' is given twice"),
    ("prms", ["no-such-prm"], "prms: 'no-such-prm'"),
    ("prms", [], "prms: [] is empty but best_of_n"),
    ("datasets", ["math5000"], "datasets: 'math5000'"),
    ("methods", ["bean_search"], "methods: 'bean_search'"),
    ("scorings", ["mean"], "scorings.0: 'mean' is not known; allowed: min, last, avg"),
    ("votes", ["plurality"], "votes.0: 'plurality'"),
    ("budgets/search", [4, 6], "budgets.search: 6 is not a multiple of beam_width 4"),
    ("budgets/search", [], "budgets.search: [] is empty"),
    ("budgets/pool", [4, -16], "budgets.pool.1: -16"),
    ("budgets/pool", [16, 4], "budgets.pool: [16, 4] is out of order"),
    ("budgets/pool", [4, 4], "budgets.pool: 4 is given twice"),
    ("budgets/pools", [4], "unknown key 'pools' (did you mean 'pool'?)"),
    ("fit/folds", 2, "fit.folds: 2"),
    ("per_policy/micro-9", {"methods": ["cot"]}, "per_policy: 'micro-9' is not known"),
    ("per_policy/micro-s", {"methods": ["cott"]}, "per_policy.micro-s.methods: 'cott'"),
    ("per_policy/micro-s", {"budgets": {"pool": [9, 4]}}, "micro-s.budgets.pool: [9, 4] is out of"),
    ("per_policy/micro-s", {"budgets": {"search": [6]}}, "micro-s.budgets.search: 6 is not a mul"),
    ("per_policy/micro-s", {"sampling": {}}, "unknown key 'sampling'"),
    ("methods", ["cot"], "methods: every policy has CoT alone"),
    ("jobs/gpu", "tpu", "jobs.gpu: 'tpu' is not known; allowed: h100, "),
    ("beam_width", 1, "beam_width: 1"),
    ("beem_width", 4, "unknown key 'beem_width' (did you mean 'beam_width'?)"),
    ("difficulty/hard", 0.7, "difficulty.hard: 0.7 is not below difficulty.easy 0.5"),
    ("difficulty/samples", -1, "difficulty.samples: -1"),
    ("seed", "lucky", "seed: 'lucky'"),
    ("engine", "tgi", "engine: 'tgi' is not known; allowed: transformers, vllm"),
    (
        "catalog",
        {"prms": {"micro-prm-good": {"engine": "tgi"}}},
        "catalog.prms.micro-prm-good.engine: 'tgi' is not known; allowed: transformers, vllm",
    ),
    ("threads", 0, "threads: 0"),
    ("pinned", "yes", "pinned: 'yes'"),
    ("jobs/fleet", 0, "jobs.fleet: 0"),
    ("jobs/max_hours", 0.5, "jobs.max_hours: 0.5 is below jobs.hours 1"),
    ("problems/limit", 0, "problems.limit: 0"),
    ("evaluate/confidence", 95, "evaluate.confidence: 95"),
    ("fit/folds", 500, "fit.folds: 500 is more than the problems of microcosm"),
    ("figures/scoring", "mean", "figures.scoring: 'mean'"),
    ("catalog", {"policies": {"micro-xs": {"model": "no/such/folder"}}}, "no such folder"),
    ("catalog", {"policies": {"micro-xs": {"temprature": 1}}}, "did you mean 'temperature'?"),
    ("catalog", {"policies": {"micro-xs": {"base": "micro-xss"}}}, "'micro-xss' is not in the"),
    ("catalog", {"datasets": {"microcosm": {"source": "file", "path": "no.jsonl"}}}, "no.jsonl"),
    ("catalog", {"prms": {"micro-prm-good": {"format": "prm800k"}}}, "'prm800k' is not known"),
    (
        "catalog",
        {"prms": {"micro-prm-good": {"trained_context": 9000}}},
        "is not below its context",
    ),
    ("paths_end_at", "answer", "paths_end_at: 'answer'"),
    ("catalog", {"policies": {"../evil": {"parameters": 1}}}, "letters, digits"),
]


@pytest.mark.parametrize(("path", "value", "message"), WRONG)
def test_a_wrong_config_gets_one_line_naming_key_value_and_what_is_allowed(
    shipped, path, value, message
):
    with pytest.raises(UserError) as caught:
        validate(changed(shipped, path, value))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(("config", "catalog"))


def test_a_pinned_study_refuses_what_the_hub_may_change(shipped):
    pinned = changed(shipped, "pinned", True)
    validate(pinned)  # everything is local
    hub = changed(pinned, "policies", ["qwen2.5-0.5b-instruct"])
    with pytest.raises(UserError, match=r"policies.qwen2.5-0.5b-instruct.revision is None"):
        validate(hub)
    entry = "catalog/policies/qwen2.5-0.5b-instruct/revision"
    with pytest.raises(UserError, match="revision is 'main'; allowed: a commit of 40 hex digits"):
        validate(changed(hub, entry, "main"))
    validate(changed(hub, entry, "0123456789" * 4))
    validate(changed(pinned, "datasets", ["math500"]))
    with pytest.raises(UserError, match=r"catalog.datasets.amc23.revision is None"):
        validate(changed(pinned, "datasets", ["amc23"]))


def thinking_config(**changes):
    return read("config.yaml", "workflow/studies/thinking.yaml") | changes


def test_methods_that_suit_no_thoughts_are_refused_and_the_way_out_is_named():
    config = thinking_config(methods=["beam_search"], prms=["micro-prm-good"])
    with pytest.raises(UserError, match=r"none of them suits micro-think-xs.*thinking: \[\]"):
        validate(config)


def test_methods_for_limited_thoughts_alone_are_refused_without_any():
    config = read("config.yaml") | {"methods": ["unforced_majority"], "per_policy": {}}
    with pytest.raises(UserError, match="none of them suits micro-xs, whose thoughts are not lim"):
        validate(config)


def test_files_for_each_thinking_budget_need_budgets_and_an_entry():
    own = {"samples": "mine-{thinking}.jsonl", "parameters": 1e6}
    config = thinking_config(policies=["mine"], catalog={"policies": {"mine": own}})
    with pytest.raises(UserError, match="a file for each thinking budget"):
        validate(config)


def test_thoughts_that_leave_no_room_for_an_answer_are_refused():
    budgets = {"pool": [4], "search": [], "thinking": [128, 500]}
    with pytest.raises(UserError, match=r"thinking: 500 leaves no room.*at most 495"):
        validate(thinking_config(budgets=budgets))
