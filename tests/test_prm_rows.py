"""Reading common beginnings once, and the pool that holds them, against plain bookkeeping."""

import random

import numpy as np
import pytest
import torch
from testtime.engines.transformers.kv_pool import KvPool
from testtime.engines.transformers.prm_rows import Row, batches, share
from transformers import DynamicCache


def random_texts(seed, n=60):
    """Texts that branch like samples of a few problems, some of them equal."""
    rng = random.Random(seed)
    texts = []
    for _ in range(n):
        text = [rng.randrange(3)] * rng.choice((5, 30))
        while rng.random() < 0.85:
            text += [rng.randrange(2) + 5] * rng.choice((1, 3, 20))
        texts.append(text)
    return texts


@pytest.mark.parametrize("seed", range(20))
def test_every_token_is_read_once_along_each_text(seed):
    texts = random_texts(seed)
    rng = random.Random(seed)
    wanted = [sorted(rng.sample(range(len(t)), min(3, len(t)))) for t in texts]
    rows = [Row(text, places, []) for text, places in zip(texts, wanted, strict=True)]
    levels = share(rows)
    seen = set()
    for level in levels:
        for row in level:
            assert row.parent is None or id(row.parent) in seen
        seen |= {id(row) for row in level}
    assert {id(row) for row in rows} <= seen
    for row, text, places in zip(rows, texts, wanted, strict=True):
        chain = [row]
        while chain[-1].parent is not None:
            chain.append(chain[-1].parent)
        read = [token for link in reversed(chain) for token in link.token_ids[link.begin :]]
        assert read == row.token_ids == text
        assert row.begin < len(text)
        assert sorted(place for link in chain for place in link.wanted if place in places) == places


@pytest.mark.parametrize("seed", range(20))
def test_scores_are_found_wherever_they_were_read(seed):
    texts = random_texts(seed)
    rows = [Row(text, list(range(len(text))), []) for text in texts]
    for level in share(rows):
        for row in level:
            row.scores = {place: hash(tuple(row.token_ids[: place + 1])) for place in row.wanted}
    for row, text in zip(rows, texts, strict=True):
        found = [row.score_at(place) for place in range(len(text))]
        assert found == [hash(tuple(text[: place + 1])) for place in range(len(text))]


def test_sharing_saves_tokens_where_texts_branch():
    start = list(range(100))
    rows = [Row([*start, 200 + k, *range(10)], [105], []) for k in range(8)]
    levels = share(rows)
    fed = sum(len(row.token_ids) - row.begin for level in levels for row in level)
    assert fed == 100 + 8 * 11


@pytest.mark.parametrize("max_tokens", [1, 40, 200])
def test_batches_keep_to_their_budget(max_tokens):
    rows = [Row(text, [0], []) for text in random_texts(1)]
    found = list(batches(rows, max_tokens))
    assert sorted(id(row) for batch in found for row in batch) == sorted(map(id, rows))
    for batch in found:
        assert len(batch) == 1 or len(batch) * max(row.new for row in batch) <= max_tokens


def value_of(token_ids, place):
    """What a model might compute for a token: a number that depends on all before it."""
    return float(hash(tuple(token_ids[: place + 1])) % 1000)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("slots", [40, 400])
def test_the_pool_gives_back_what_was_stored_or_nothing(seed, slots):
    rng = random.Random(seed)
    layers, heads, size = 2, 1, 2
    pool = KvPool(max_bytes=slots * 2 * layers * heads * size * 4)
    nothing = np.zeros(0, dtype=np.int64)
    known = [[]]
    for _ in range(60):
        before = [rng.choice(known) for _ in range(rng.randint(1, 3))]
        prefixes = [pool.find(ids) if ids else None for ids in before]
        texts = [[*ids, *(rng.randrange(3) for _ in range(rng.randint(1, 6)))] for ids in before]
        prefixes = [nothing if slots is None else slots for slots in prefixes]
        for slots_ in prefixes:
            pool.hold(slots_)
        start = max(map(len, prefixes))
        width = max(len(t) - len(p) for t, p in zip(texts, prefixes, strict=True))
        kv = torch.zeros(len(texts), heads, start + width, size)
        for row, (text, prefix) in enumerate(zip(texts, prefixes, strict=True)):
            for place in range(len(prefix), len(text)):
                kv[row, :, start + place - len(prefix)] = value_of(text, place)
        cache = DynamicCache([(kv + layer, kv - layer) for layer in range(layers)])
        pool.store(cache, prefixes, texts, [[len(text)] for text in texts])
        for slots_ in prefixes:
            pool.release(slots_)
        known += texts
        kept = [(text, found) for text in known if text and (found := pool.find(text)) is not None]
        assert len(kept) > 0 or slots == 40
        for text, found in kept:
            assert len(found) == len(text)
            expected = [value_of(text, place) for place in range(len(text))]
            for layer, held in enumerate(pool.gather([found]).layers):
                assert held.keys[0, 0, :, 0].tolist() == [x + layer for x in expected]
                assert held.values[0, 0, :, 1].tolist() == [x - layer for x in expected]
        assert pool._tensor is None or len(pool._tensor) <= slots


def test_shorter_prefixes_are_padded_on_the_left():
    pool = KvPool(max_bytes=10**6)
    kv = torch.arange(6.0).view(1, 1, 6, 1)
    none = np.zeros(0, dtype=np.int64)
    pool.store(DynamicCache([(kv, kv)]), [none], [[1, 2, 3, 4, 5, 6]], [[2, 6]])
    both = pool.gather([pool.find([1, 2]), pool.find([1, 2, 3, 4, 5, 6])])
    keys = both.layers[0].keys[:, 0, :, 0]
    assert keys[0, -2:].tolist() == [0, 1]
    assert keys[1].tolist() == [0, 1, 2, 3, 4, 5]
