"""Skywork-o1-Open-PRM (Skywork 2024): a value at the newline that ends every step.

As in SkyworkAI/skywork-o1-prm-inference: the tokenizer's first token, the problem and a newline;
then each step's own tokens and one newline token, at which the sigmoid of the value head is the
step's score. Newlines within a step would end it, so they become spaces.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import nn
from transformers import PreTrainedModel, Qwen2Config, Qwen2Model, Qwen2PreTrainedModel

from testtime.prms.base import Encoded, Format, Reader, Texts
from testtime.prms.text import Text

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NAME = "skywork"
END = "\n"


class ValueHead(nn.Module):
    """A linear layer from hidden states to one value (the published one drops out in training)."""

    def __init__(self, hidden_size: int):
        super().__init__()
        self.summary = nn.Linear(hidden_size, 1)


class Qwen2ForPrmModel(Qwen2PreTrainedModel):
    """Qwen2 with a value head; keys `model.*` and `v_head.summary.*` as published."""

    # The published files may include the language model's head, which scores do not use.
    _keys_to_ignore_on_load_unexpected = ("lm_head.weight",)

    def __init__(self, config: Qwen2Config):
        super().__init__(config)
        self.model = Qwen2Model(config)
        self.v_head = ValueHead(config.hidden_size)
        self.post_init()

    def forward(self, input_ids: torch.Tensor, **kwargs) -> torch.Tensor:
        """Values (batch, length); their sigmoid is a score where a step ends."""
        hidden = self.model(input_ids=input_ids, **kwargs).last_hidden_state
        return self.v_head.summary(hidden).squeeze(-1)


def reader(tokenizer: "PreTrainedTokenizerBase") -> Reader:
    """Bind the format to a tokenizer; one without a first token begins with the problem.

    Raises:
        UserError: the tokenizer has no newline token.
    """
    text = Text(tokenizer)
    end = text.one(END, NAME)
    first = tokenizer.bos_token or ""

    def encode_batch(texts: Texts) -> list[Encoded]:
        # Problems and steps are tokenised separately, as published, so each distinct one only once.
        parts: dict[str, int] = {}
        laid_out = [
            [
                parts.setdefault(part, len(parts))
                for part in (
                    f"{first}{text.clean(problem)}{END}",
                    *(text.clean(step.replace(END, " ")) for step in steps),
                )
            ]
            for problem, steps in texts
        ]
        tokens = text.ids(list(parts))
        return [_join([tokens[index] for index in indices], end) for indices in laid_out]

    return Reader(encode_batch, tag=end)


def _join(parts: list[list[int]], end: int) -> Encoded:
    ids, positions = list(parts[0]), []
    for step in parts[1:]:
        ids += step
        positions.append(len(ids))
        ids.append(end)
    return Encoded(ids if positions else [], positions)


def head(model: PreTrainedModel, _: Reader) -> Callable[[torch.Tensor], torch.Tensor]:
    """Sigmoid of the value head, in float32 as published."""
    summary = model.v_head.summary.float()
    return lambda hidden: summary(hidden.float()).squeeze(-1).sigmoid()


# A wrapper around a language model prefixes that model's names with its own.
RENAMED = {r"^pretrained_model\.": ""}
FORMAT = Format("value", reader, lambda: Qwen2ForPrmModel, head, RENAMED)
