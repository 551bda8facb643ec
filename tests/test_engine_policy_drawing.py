"""Drawing tokens: the right distribution, each row by its own number."""

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from testtime.engines.transformers.drawing import draw
from testtime.study.seeds import uniforms
from testtime.study.types import Sampling

LOGITS = torch.tensor([2.0, -1.0, 0.5, 1.9, -3.0, 0.0, 1.0])


def truncated(logits: np.ndarray, sampling: Sampling) -> np.ndarray:
    """Probabilities after temperature, top-k and top-p, one token at a time."""
    p = np.exp(logits / sampling.temperature)
    p /= p.sum()
    order = sorted(range(len(p)), key=lambda token: -p[token])
    if sampling.top_k:
        order = order[: sampling.top_k]
    total, mass, kept = sum(p[token] for token in order), 0.0, []
    for token in order:
        if kept and mass >= sampling.top_p * total:
            break
        kept.append(token)
        mass += p[token]
    result = np.zeros_like(p)
    result[kept] = p[kept] / mass
    return result


SAMPLINGS = [
    Sampling(),
    Sampling(temperature=0.5),
    Sampling(top_k=3),
    Sampling(top_p=0.7),
    Sampling(temperature=1.7, top_k=5, top_p=0.9),
    Sampling(top_p=0.01),
]


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_frequencies_match_the_softmax(sampling):
    n = 20_000
    numbers = torch.from_numpy(uniforms(np.arange(n), np.zeros(n, dtype=np.int64)))
    tokens, _ = draw(LOGITS.expand(n, -1), sampling, numbers)
    expected = truncated(LOGITS.double().numpy(), sampling)
    counts = np.bincount(tokens.numpy(), minlength=len(LOGITS))
    assert counts[expected == 0].sum() == 0
    possible = expected > 0
    if possible.sum() > 1:
        assert chisquare(counts[possible], n * expected[possible]).pvalue > 0.001


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_a_number_falls_into_its_token_s_share_of_the_unit_interval(sampling):
    edges = np.cumsum(truncated(LOGITS.double().numpy(), sampling))
    numbers = np.linspace(0, 1, 1001)[:-1]
    numbers = numbers[np.abs(numbers[:, None] - edges).min(axis=1) > 1e-6]
    tokens, _ = draw(LOGITS.expand(len(numbers), -1), sampling, torch.from_numpy(numbers))
    assert tokens.tolist() == np.searchsorted(edges, numbers, side="right").tolist()


def test_the_last_number_below_one_draws_a_token_that_is_possible():
    logits = torch.tensor([[0.0, 1.0, -torch.inf, -torch.inf]])
    below_one = torch.tensor([np.nextafter(1.0, 0.0)], dtype=torch.float64)
    assert draw(logits, Sampling(), below_one)[0].item() == 1
    assert draw(logits, Sampling(), torch.zeros(1, dtype=torch.float64))[0].item() == 0


def test_temperature_zero_takes_the_likeliest_token():
    logits = torch.randn(50, 11, generator=torch.Generator().manual_seed(0))
    tokens, _ = draw(logits, Sampling(temperature=0), torch.rand(50, dtype=torch.float64))
    assert torch.equal(tokens, logits.argmax(dim=-1))


def test_logprobs_are_those_at_temperature_one_without_truncation():
    logits = torch.randn(50, 11, generator=torch.Generator().manual_seed(0))
    numbers = torch.linspace(0, 0.99, 50, dtype=torch.float64)
    tokens, logprobs = draw(logits, Sampling(temperature=0.3, top_k=4, top_p=0.8), numbers)
    expected = logits.double().softmax(dim=-1).log()[torch.arange(50), tokens]
    torch.testing.assert_close(logprobs.double(), expected, atol=1e-5, rtol=0)


def test_a_row_s_token_does_not_depend_on_the_other_rows():
    logits = torch.randn(64, 100, generator=torch.Generator().manual_seed(0))
    numbers = torch.rand(64, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    together, _ = draw(logits, Sampling(top_p=0.9), numbers)
    alone = [draw(logits[i : i + 1], Sampling(top_p=0.9), numbers[i : i + 1])[0] for i in range(64)]
    assert torch.equal(together, torch.cat(alone))
