"""Trained models as folders that any tool loads: weights, config, tokenizer and a card."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import LlamaForCausalLM

from microcosm.prms import Qwen2Reward, ShepherdReward
from microcosm.tokenizer import policy_tokenizer, prm_tokenizer


def save_policy(model: LlamaForCausalLM, folder: str | Path, card: str) -> None:
    """Write a policy in the ordinary layout of the hub."""
    model.save_pretrained(folder)
    policy_tokenizer().save_pretrained(folder)
    _write_card(folder, card)


def save_prm(prm: Qwen2Reward | ShepherdReward, folder: str | Path, card: str) -> None:
    """Write a PRM under the published key names of its form."""
    folder = Path(folder)
    if isinstance(prm, ShepherdReward):
        prm.lm.save_pretrained(folder)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        prm.config.save_pretrained(folder)
        weights = {name: weight.contiguous() for name, weight in prm.state_dict().items()}
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    form = "math-shepherd" if isinstance(prm, ShepherdReward) else "qwen2.5-math-prm"
    prm_tokenizer(form).save_pretrained(folder)
    _write_card(folder, card)


def count(model: torch.nn.Module) -> tuple[int, int]:
    """Parameters of a model: (all, those of its layers alone)."""
    return (
        sum(p.numel() for p in model.parameters()),
        sum(p.numel() for name, p in model.named_parameters() if ".layers." in name),
    )


def _write_card(folder: str | Path, card: str) -> None:
    (Path(folder) / "README.md").write_text(card, encoding="utf-8")
    for path in Path(folder).iterdir():
        path.chmod(0o644)  # weights are written for their owner alone
