"""The microcosm's models: small policies, PRMs built on them, and their folders on disk."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from testtime.data.microcosm import SEPARATOR
from testtime.errors import UserError
from testtime.prms.qwen25_math_prm import Qwen2ForProcessRewardModel
from torch import nn
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
)

from microcosm.tokenizer import (
    CONTEXT,
    END,
    PAD,
    POLICY_TOKENS,
    PRM_TOKENS,
    SHEPHERD_TAG,
    STEP_TAG,
    THINKER_TOKENS,
    policy_tokenizer,
    prm_tokenizer,
    thinker_tokenizer,
)

HEAD_DIM = 32  # the least that vLLM's attention on CPUs supports
TAGS = {"qwen2.5-math-prm": STEP_TAG, "math-shepherd": SHEPHERD_TAG}


def llama_config(
    hidden: int,
    *,
    layers: int,
    heads: int,
    kv_heads: int,
    vocab: int,
    tied: bool = True,
    context: int = CONTEXT,
    theta: float = 100.0,
) -> LlamaConfig:
    """A small Llama; rotary positions turn fast (theta), as texts are short."""
    return LlamaConfig(
        vocab_size=vocab,
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        head_dim=HEAD_DIM,
        max_position_embeddings=context,
        rope_parameters={"rope_type": "default", "rope_theta": theta},
        tie_word_embeddings=tied,
        initializer_range=hidden**-0.5 / 2,
        bos_token_id=None,
        eos_token_id=POLICY_TOKENS.index(END),
        pad_token_id=POLICY_TOKENS.index(PAD),
        dtype="float32",
    )


class ShepherdReward(nn.Module):
    """The published form of Math-Shepherd: a language model that answers "+" or "-"."""

    def __init__(self, lm: LlamaForCausalLM):
        super().__init__()
        self.lm, self.config = lm, lm.config
        self.classes = [PRM_TOKENS.index("-"), PRM_TOKENS.index("+")]

    def forward(self, input_ids: torch.Tensor, **kwargs) -> torch.Tensor:
        """Logits (batch, length, 2) of "-" and "+"."""
        return self.lm(input_ids=input_ids, **kwargs).logits[..., self.classes]


def grow(backbone: PreTrainedModel, format: str, fresh_layers: int) -> nn.Module:
    """A PRM whose first layers are the backbone's, frozen; the others are new.

    Args:
        backbone: a LlamaForCausalLM policy; for qwen2.5-math-prm its heads must fill its hidden
            size, since Qwen2 supports no other head size.
        format: the published form.
        fresh_layers: number of new layers.
    """
    old = backbone.config
    layers = old.num_hidden_layers + fresh_layers
    if format == "math-shepherd":
        config = llama_config(
            old.hidden_size,
            layers=layers,
            heads=old.num_attention_heads,
            kv_heads=old.num_key_value_heads,
            vocab=len(PRM_TOKENS),
            tied=False,
        )
        prm: nn.Module = ShepherdReward(LlamaForCausalLM(config))
        inner = prm.lm.model
    elif format == "qwen2.5-math-prm":
        if old.num_attention_heads * HEAD_DIM != old.hidden_size:
            raise UserError(
                f"backbone of a qwen2.5-math-prm: heads {old.num_attention_heads} x {HEAD_DIM} "
                f"must equal hidden size {old.hidden_size}"
            )
        prm = Qwen2ForProcessRewardModel(_qwen2_config(old, layers))
        inner = prm.model
    else:
        raise UserError(f"microcosm PRM format {format!r}: allowed are {', '.join(TAGS)}")
    _copy(backbone.model, inner, PRM_TOKENS.index(TAGS[format]))
    return prm


def _qwen2_config(old, layers: int) -> Qwen2Config:
    return Qwen2Config(
        vocab_size=len(PRM_TOKENS),
        hidden_size=old.hidden_size,
        intermediate_size=old.intermediate_size,
        num_hidden_layers=layers,
        num_attention_heads=old.num_attention_heads,
        num_key_value_heads=old.num_key_value_heads,
        max_position_embeddings=CONTEXT,
        rope_parameters=dict(old.rope_parameters),
        rms_norm_eps=old.rms_norm_eps,
        initializer_range=old.initializer_range,
        tie_word_embeddings=False,
        use_cache=True,
        bos_token_id=None,
        eos_token_id=old.eos_token_id,
        pad_token_id=PRM_TOKENS.index(PAD),
        architectures=["Qwen2ForProcessRewardModel"],
        num_labels=2,
        dtype="float32",
    )


@torch.no_grad()
def _copy(old: nn.Module, new: nn.Module, tag: int) -> None:
    """Copy embeddings and layers and freeze them; a step tag starts as a copy of the separator."""
    rows = old.embed_tokens.weight
    new.embed_tokens.weight[: len(rows)] = rows
    new.embed_tokens.weight[tag] = rows[PRM_TOKENS.index(SEPARATOR)]
    new.embed_tokens.weight.requires_grad_(False)
    for source, target in zip(old.layers, new.layers, strict=False):
        for name, weight in target.named_parameters():
            known = dict(source.named_parameters()).get(name)
            weight.copy_(known if known is not None else torch.zeros_like(weight))
        target.requires_grad_(False)


def save_policy(
    model: LlamaForCausalLM, folder: str | Path, card: str, stored: str = "float32"
) -> None:
    """Write a policy in the ordinary layout of the hub, weights in a precision that holds them."""
    model.to(getattr(torch, stored)).save_pretrained(folder)
    tokenizer_of(model).save_pretrained(folder)
    _write_card(folder, card)


def save_prm(prm: nn.Module, folder: str | Path, card: str) -> None:
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


def is_thinker(model: PreTrainedModel) -> bool:
    """Whether a policy knows the tokens of thoughts."""
    return model.config.vocab_size == len(THINKER_TOKENS)


def tokenizer_of(model: PreTrainedModel) -> PreTrainedTokenizerFast:
    """The tokenizer that a policy was trained with."""
    return thinker_tokenizer() if is_thinker(model) else policy_tokenizer()


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
