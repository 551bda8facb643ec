"""Drawing one token per row from logits, each row with its own uniform number."""

import torch

from testtime.study.types import Sampling


def draw(
    logits: torch.Tensor, sampling: Sampling, uniforms: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw by inverse CDF, in the order of the vocabulary; temperature 0 takes the likeliest.

    Each row's token depends on its own logits and uniform number alone.

    Args:
        logits: (rows, vocabulary).
        sampling: temperature first, then top-k, then top-p, as transformers and vLLM do.
        uniforms: float64 in [0, 1), one per row.

    Returns:
        The tokens, and their log-probabilities at temperature 1 without truncation; both (rows,).
    """
    logprobs = torch.log_softmax(logits, dim=-1, dtype=torch.float32)
    if sampling.temperature == 0:
        tokens = logits.argmax(dim=-1)
    else:
        tokens = _invert(_probabilities(logprobs, sampling), uniforms)
    return tokens, logprobs.gather(-1, tokens[:, None]).squeeze(-1)


def _probabilities(logprobs: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """Probabilities after temperature and truncation, not renormalised."""
    if sampling.temperature == 1:
        probabilities = logprobs.exp()
    else:
        probabilities = torch.softmax(logprobs / sampling.temperature, dim=-1)
    if 0 < sampling.top_k < probabilities.shape[-1]:
        least = probabilities.topk(sampling.top_k, dim=-1).values[:, -1:]
        probabilities = probabilities.masked_fill(probabilities < least, 0.0)
    if sampling.top_p < 1:
        probabilities = _nucleus(probabilities, sampling.top_p)
    return probabilities


def _nucleus(probabilities: torch.Tensor, top_p: float) -> torch.Tensor:
    """Keep the fewest tokens, likeliest first, that hold at least top_p of the mass.

    Source: Holtzman et al. (2020), "The curious case of neural text degeneration".
    """
    ranked, order = probabilities.sort(dim=-1, descending=True, stable=True)
    mass = ranked.cumsum(dim=-1, dtype=torch.float64)
    before = mass - ranked
    ranked = ranked.masked_fill(before >= top_p * mass[:, -1:], 0.0)
    ranked[:, 0] = probabilities.amax(dim=-1)  # one token always stays, top_p 0 included
    return torch.zeros_like(ranked).scatter_(-1, order, ranked)


def _invert(probabilities: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """First token at which the cumulative probability exceeds uniform x total."""
    cumulative = probabilities.cumsum(dim=-1, dtype=torch.float64)
    total = cumulative[:, -1]
    # Rounding must not raise the target to the total, past the last possible token.
    target = torch.minimum(uniforms * total, torch.nextafter(total, torch.zeros_like(total)))
    return torch.searchsorted(cumulative, target[:, None], right=True).squeeze(-1)
