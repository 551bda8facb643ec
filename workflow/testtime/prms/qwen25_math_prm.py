"""Qwen2.5-Math-PRM (Zhang et al. 2025, arXiv 2501.07301): two classes at a tag after every step.

The model card of Qwen/Qwen2.5-Math-PRM-7B: a chat of the system prompt below, the problem, and the
assistant's steps, each followed by `<extra_0>`; a step's score is the second class's probability at
its tag.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import nn
from transformers import PreTrainedModel, Qwen2Config, Qwen2Model, Qwen2PreTrainedModel

from testtime.errors import UserError
from testtime.prms.base import Encoded, Format, Reader, Texts
from testtime.prms.text import Chat, Text

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NAME = "qwen2.5-math-prm"
TAG = "<extra_0>"
# As the PRM was trained; independent of a policy's prompt.
SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}."


class Qwen2ForProcessRewardModel(Qwen2PreTrainedModel):
    """Qwen2 with a two-class head; keys `model.*`, `score.0.*` and `score.2.*` as published."""

    _keys_to_ignore_on_load_unexpected = ("lm_head.weight",)

    def __init__(self, config: Qwen2Config):
        super().__init__(config)
        self.model = Qwen2Model(config)
        hidden = config.hidden_size
        self.score = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 2))
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if module not in list(self.score):  # a new head starts as PyTorch makes it
            super()._init_weights(module)

    def forward(self, input_ids: torch.Tensor, **kwargs) -> torch.Tensor:
        """Logits (batch, length, 2) of "wrong" and "right"."""
        return self.score(self.model(input_ids=input_ids, **kwargs).last_hidden_state)


def reader(tokenizer: "PreTrainedTokenizerBase") -> Reader:
    """Bind the format to a tokenizer and its chat template.

    Raises:
        UserError: the tag is not a separate token, or there is no chat template.
    """
    text, chat = Text(tokenizer, tags=[TAG]), Chat(tokenizer)
    before, between, _ = chat.pieces(("system", SYSTEM), ("user", None), ("assistant", None))
    tag = text.one(TAG, NAME)
    if text.ids([f"1{TAG}1{TAG}"])[0].count(tag) != 2:
        raise UserError(f"tokenizer of {text.name} has no token {TAG!r}, which {NAME} needs")

    def encode_batch(texts: Texts) -> list[Encoded]:
        whole = [
            f"{before}{chat.content(text.clean(problem))}{between}"
            + "".join(f"{text.clean(step)}{TAG}" for step in steps)
            for problem, steps in texts
        ]
        encoded = []
        for ids, (_, steps) in zip(text.ids(whole), texts, strict=True):
            positions = [index for index, token in enumerate(ids) if token == tag]
            if len(positions) != len(steps):
                raise UserError(f"tokenizer of {text.name} does not keep {TAG!r} apart in a text")
            encoded.append(Encoded(ids[: positions[-1] + 1] if positions else [], positions))
        return encoded

    return Reader(encode_batch, tag=tag)


def head(model: PreTrainedModel, _: Reader) -> Callable[[torch.Tensor], torch.Tensor]:
    """Probability of the second class, "right", in float32."""
    score = model.score.float()
    return lambda hidden: score(hidden.float()).softmax(-1)[:, 1]


FORMAT = Format("two-class", reader, lambda: Qwen2ForProcessRewardModel, head)
