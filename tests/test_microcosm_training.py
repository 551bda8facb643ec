"""Training the microcosm's models: losses fall, seeds decide, folders load as any other's."""

import random

import pytest
import torch
from microcosm.checks import (
    LATE_WEIGHT,
    PAST_ERROR,
    faulty,
    faulty_solutions,
    sampled_solutions,
    tagged,
    token_labels,
)
from microcosm.data import IGNORED, memory, solutions
from microcosm.models import TAGS, count, grow, save_policy, save_prm
from microcosm.quality import policy_quality
from microcosm.sampler import sample
from microcosm.tokenizer import (
    POLICY_TOKENS,
    PRM_TOKENS,
    policy_tokenizer,
    prompt,
)
from microcosm.training import train_policy, train_prm
from safetensors import safe_open
from testtime.data.microcosm import (
    SEPARATOR,
    compute,
    generate_problems,
    label_steps,
    split_of,
    write,
)
from testtime.errors import UserError
from transformers import AutoModelForCausalLM, AutoTokenizer

TINY = {"hidden": 32, "heads": 1, "kv_heads": 1, "layers": 1, "steps": 25, "seed": 0}
TAG = PRM_TOKENS.index(TAGS["qwen2.5-math-prm"])


def loss_of(model):
    feed = solutions("fresh", 5, {})
    total = 0.0
    for _ in range(20):
        example = next(feed)
        ids, labels = torch.tensor([example.ids]), torch.tensor([example.labels])
        total += float(model(input_ids=ids, labels=labels).loss.detach())
    return total / 20


@pytest.fixture(scope="module")
def policy():
    torch.set_num_threads(1)
    return train_policy(TINY)


@pytest.fixture(scope="module")
def folder(policy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_policy(policy, folder, "# tiny\n")
    return folder


def test_training_lowers_the_loss(policy):
    untrained = train_policy(TINY | {"steps": 1, "muon_lr": 0.0, "adam_lr": 0.0})
    assert loss_of(policy) < 0.9 * loss_of(untrained)


def test_the_same_recipe_gives_the_same_weights(policy):
    again = train_policy(TINY)
    for one, two in zip(policy.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, two)


def test_a_saved_policy_loads_and_answers_alike(policy, folder):
    loaded = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    problems = [row["problem"] for row in generate_problems("fresh", 7, 0)]
    assert sample(loaded, tokenizer, problems, n=2, temperature=1.0, seed=3) == sample(
        policy, policy_tokenizer(), problems, n=2, temperature=1.0, seed=3
    )
    assert loaded.generation_config.eos_token_id == tokenizer.eos_token_id
    assert (folder / "README.md").read_text() == "# tiny\n"


def test_greedy_samples_equal_those_of_generate(policy):
    tokenizer = policy_tokenizer()
    problem = generate_problems("fresh", 1, 1)[0]["problem"]
    ids = torch.tensor([tokenizer(prompt(problem))["input_ids"]])
    ours = sample(policy, tokenizer, [problem], n=1, temperature=0, seed=0)[0][0]
    theirs = policy.generate(ids, do_sample=False, max_new_tokens=len(ours))
    assert theirs[0, ids.shape[1] :].tolist() == ours


def test_policies_and_prms_learn_from_their_own_splits():
    tokenizer = policy_tokenizer()
    feeds = {"train": solutions("train", 0, {}), "prm": faulty_solutions(0, TAG)}
    for split, examples in feeds.items():
        for _ in range(20):
            example = next(examples)
            head = example.ids[: example.labels.count(IGNORED)]
            assert split_of(tokenizer.decode(head).removesuffix("\n")) == split


def test_memory_is_wrong_about_its_share_of_facts_and_always_alike():
    rng = random.Random(0)
    recall = memory(rng, share=0.2, rate=1.0, seed=3)
    facts = [(op, x, y) for op in "*+-" for x in range(10) for y in range(10)]
    wrong = [f for f in facts if recall(*f) != compute(*f)]
    assert 0.1 < len(wrong) / len(facts) < 0.3
    assert [recall(*f) for f in wrong] == [recall(*f) for f in wrong]


def test_a_better_memory_keeps_what_a_worse_one_knows():
    facts = [(op, x, y) for op in "*+-" for x in range(10) for y in range(10)]
    worse, better = (memory(random.Random(0), share, 1.0, 0) for share in (0.25, 0.1))
    assert all(better(*f) == compute(*f) for f in facts if worse(*f) == compute(*f))


def test_no_faults_give_a_right_solution():
    for row in generate_problems("fresh", 50, 0):
        tokens, right = faulty(row["problem"], random.Random(1), 0.0)
        steps = "".join(tokens).split(SEPARATOR)
        assert all(right)
        assert all(label_steps(row["problem"], steps))


def test_the_first_fault_is_where_the_reference_parts():
    rng = random.Random(0)
    for row in generate_problems("fresh", 200, 0):
        tokens, right = faulty(row["problem"], rng, 0.05)
        ids = [TAG if t == SEPARATOR else POLICY_TOKENS.index(t) for t in tokens]
        labels = token_labels(row["problem"], ids, TAG)
        first = right.index(False) if False in right else len(right)
        assert labels == [1] * first + [0] * (len(labels) - first)


def test_token_labels_agree_with_step_labels(policy):
    tokenizer = policy_tokenizer()
    rows = generate_problems("fresh", 20, 0)
    drawn = sample(policy, tokenizer, [r["problem"] for r in rows], n=1, temperature=1.0, seed=0)
    written = [write(r["problem"], random.Random(0), compute) for r in rows]
    right = [tokenizer(SEPARATOR.join(steps))["input_ids"] for steps in written]
    for row, (wrong,), good in zip(rows, drawn, right, strict=True):
        for plain in (wrong, good):
            ids = tagged(plain, TAG)
            *steps, rest = "".join("|" if i == TAG else POLICY_TOKENS[i] for i in ids).split("|")
            assert rest == ""
            marks = zip(ids, token_labels(row["problem"], ids, TAG), strict=True)
            assert [bool(m) for i, m in marks if i == TAG] == label_steps(row["problem"], steps)


def test_tokens_long_after_the_first_error_weigh_less(folder):
    examples = sampled_solutions([folder], 10, 0, TAG, "test")
    for _ in range(10):
        example = next(examples)
        wrong = [w for w, label in zip(example.weights, example.labels, strict=True) if label == 0]
        late = max(len(wrong) - PAST_ERROR, 0)
        assert wrong == [1.0] * (len(wrong) - late) + [LATE_WEIGHT] * late


@pytest.mark.parametrize("form", sorted(TAGS))
def test_a_grown_prm_starts_as_its_backbone(policy, form):
    """Without fresh layers, its last hidden states are those of the policy at the same tokens."""
    prm = grow(policy, form, 0)
    inner = prm.model if hasattr(prm, "model") else prm.lm.model
    tokenizer = policy_tokenizer()
    row = generate_problems("fresh", 1, 0)[0]
    steps = write(row["problem"], random.Random(0), compute)
    ids = tokenizer(prompt(row["problem"]) + SEPARATOR.join(steps))["input_ids"]
    tag = PRM_TOKENS.index(TAGS[form])
    tagged = [tag if i == POLICY_TOKENS.index(SEPARATOR) else i for i in ids]
    ours = inner(input_ids=torch.tensor([tagged])).last_hidden_state
    with torch.no_grad():
        policy_norm = policy.model(input_ids=torch.tensor([ids])).last_hidden_state
        policy_norm = policy_norm / policy.model.norm.weight * inner.norm.weight
    assert torch.allclose(ours, policy_norm, atol=1e-4)


@pytest.mark.parametrize("form", sorted(TAGS))
def test_a_trained_prm_leaves_its_backbone_alone_and_is_saved_as_published(
    policy, folder, form, tmp_path
):
    recipe = {"format": form, "steps": 4, "seed": 0, "problems": 20, "fresh_layers": 1}
    prm = train_prm(recipe, folder, [folder])
    inner = prm.model if hasattr(prm, "model") else prm.lm.model
    one, two = inner.layers[0].mlp.up_proj, policy.model.layers[0].mlp.up_proj
    assert torch.equal(one.weight, two.weight)
    save_prm(prm, tmp_path / "prm", "# card\n")
    with safe_open(tmp_path / "prm" / "model.safetensors", "pt") as weights:
        outer = {key for key in weights.keys() if not key.startswith("model.")}  # noqa: SIM118
    heads = {"score.0.weight", "score.0.bias", "score.2.weight", "score.2.bias"}
    assert outer == (heads if form == "qwen2.5-math-prm" else {"lm_head.weight"})


def test_qwen_prms_need_heads_that_fill_the_hidden_size():
    backbone = train_policy(TINY | {"heads": 2, "steps": 1})
    with pytest.raises(UserError, match="heads 2 x 32 must equal hidden size 32"):
        grow(backbone, "qwen2.5-math-prm", 1)


def test_an_unknown_prm_format_is_refused(policy):
    with pytest.raises(UserError, match="format 'orm': allowed are"):
        grow(policy, "orm", 1)


def test_quality_is_counted_as_defined(policy):
    quality = policy_quality(policy, n=14, samples=4)
    assert quality["pass@4"] >= quality["pass@1"] >= 0
    assert quality["maj@4"] <= quality["pass@4"]


def test_parameters_are_counted_by_kind(policy):
    everything, layers = count(policy)
    assert everything - layers == 32 * len(POLICY_TOKENS) + 32  # tied embedding and last norm
