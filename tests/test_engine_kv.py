"""Keys and values: the store of prefixes and the buckets of rows, against plain bookkeeping."""

import random

import numpy as np
import pytest
import torch
from testtime.engines.transformers.kv import DenseKv, KvStore, token_bytes
from testtime.engines.transformers.prm import Row, batches
from testtime.engines.transformers.rows import Buckets, Rows
from transformers import LlamaConfig, LlamaModel

LAYERS, HEADS, SIZE = 2, 2, 4


@pytest.fixture(scope="module")
def model():
    return LlamaModel(
        LlamaConfig(
            vocab_size=8,
            hidden_size=HEADS * SIZE,
            intermediate_size=8,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            num_key_value_heads=HEADS,
            head_dim=SIZE,
        )
    )


def value_of(token_ids, place):
    """What a model might compute for a token: a number that depends on all before it."""
    return float(hash(tuple(token_ids[: place + 1])) % 1000)


def written(store, text, begin, slots):
    """Write the text's values from `begin` on into slots."""
    for place, slot in enumerate(slots, begin):
        store.tensor[slot] = value_of(text, place)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("slots", [40, 400])
def test_the_store_gives_back_what_was_kept_or_a_shorter_prefix(model, seed, slots):
    rng = random.Random(seed)
    store = KvStore(model, slots * token_bytes(model))
    known, found = [[]], 0
    for _ in range(200):
        text = [*rng.choice(known), *(rng.randrange(3) for _ in range(rng.randint(1, 6)))]
        prefix = store.longest(text)
        found += len(prefix)
        values = [store.tensor[slot, 0, 0, 0].item() for slot in prefix]
        assert values == [value_of(text, place) for place in range(len(prefix))]
        new = store.take(len(text) - len(prefix))
        if new is not None:
            assert not set(new) & set(prefix)
            written(store, text, len(prefix), new)
            store.keep(text, np.concatenate([prefix, new]))
            store.release(new)
            known.append(text)
        store.release(prefix)
    assert found > 0
    assert len(store.tensor) == slots


def test_the_prefix_used_longest_ago_goes_first(model):
    store = KvStore(model, 3 * token_bytes(model))
    for token in (1, 2, 3):
        slots = store.take(1)
        store.keep([token], slots)
        store.release(slots)
    store.release(store.longest([1]))
    store.release(store.take(1))
    assert [len(store.longest([token])) for token in (1, 2, 3)] == [1, 0, 1]


def test_what_is_held_is_not_given_to_others(model):
    store = KvStore(model, 4 * token_bytes(model))
    slots = store.take(3)
    store.keep([1, 2, 3], slots)
    assert store.take(2) is None  # and the prefix is forgotten for it
    assert len(store.longest([1, 2, 3])) == 0
    store.release(slots)
    assert len(store.take(4)) == 4


def test_only_prefixes_of_the_lengths_asked_for_are_found(model):
    store = KvStore(model, 10 * token_bytes(model))
    slots = store.take(5)
    for length in (2, 4):
        store.keep([1, 2, 3, 4, 5][:length], slots[:length])
    assert len(store.longest([1, 2, 3, 4, 5])) == 4
    assert len(store.longest([1, 2, 3, 4, 5], [3, 2, 1])) == 2
    assert len(store.longest([1, 2, 3, 4, 5], [])) == 0


def test_dense_rows_are_loaded_from_the_store_and_saved_to_it(model):
    store, dense = KvStore(model, 20 * token_bytes(model)), DenseKv(model)
    slots = store.take(5)
    store.tensor[slots] = torch.randn(5, 2 * LAYERS, HEADS, SIZE)
    dense.fit(3, 4)
    dense.load([2, 0], [slots[:4], slots[3:]], store)
    back = store.take(6)
    dense.save(np.array([0, 2]), np.array([2, 4]), store, back)
    assert torch.equal(store.tensor[back], store.tensor[[*slots[3:], *slots[:4]]])


@pytest.mark.parametrize("seed", range(5))
def test_rows_keep_their_keys_and_values_as_they_grow_and_others_finish(model, seed):
    """Rows are filled with numbers of their own, token by token, over several buckets."""
    rng = np.random.default_rng(seed)
    size, context = 20, 150
    rows, buckets = Rows(size, context), Buckets(model, size, context)
    lengths = np.zeros(size, dtype=int)
    for step in range(400):
        finished = rows.fed >= lengths
        rows.used[finished] = False
        new = np.flatnonzero(~rows.used & (rng.random(size) < 0.5))
        rows.used[new], rows.fed[new], lengths[new] = (
            True,
            0,
            rng.choice([3, 40, 70, 149], len(new)),
        )
        rows.child[new] = step * size + new
        if not rows.used.any():
            continue
        spans, order = buckets.arrange(rows)
        assert sorted(order) == np.flatnonzero(rows.used).tolist()
        assert [span.start for span in spans[1:]] == [span.stop for span in spans[:-1]]
        for span in spans:
            for place, row in enumerate(order[span.start : span.stop]):
                held, fed = span.kv.tensor[:, :, place], rows.fed[row]
                expected = rows.child[row] + torch.arange(fed) / 1000
                assert torch.equal(held[-1, -1, -1, :fed, -1], expected.float())
                held[..., fed, :] = float(rows.child[row] + torch.tensor(fed) / 1000)
        assert len(spans) == len({span.kv for span in spans})
        rows.fed[order] += 1


@pytest.mark.parametrize("max_tokens", [1, 40, 200])
def test_batches_keep_to_their_budget(max_tokens):
    rng = random.Random(1)
    rows = [Row([0] * rng.randint(1, 60), wanted=[0]) for _ in range(60)]
    found = list(batches(rows, max_tokens))
    assert sorted(id(row) for batch in found for row in batch) == sorted(map(id, rows))
    for batch in found:
        assert len(batch) == 1 or len(batch) * max(row.new for row in batch) <= max_tokens
