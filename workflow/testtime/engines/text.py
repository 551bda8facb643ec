"""How a policy is prompted and its output read, for any engine: prompts, tokens, texts."""

from collections.abc import Sequence
from functools import cached_property

import jinja2
from transformers import PreTrainedTokenizerBase

from testtime.engines.steps import StepEnds, token_texts
from testtime.errors import UserError
from testtime.study.catalog import PolicySpec
from testtime.study.prompts import (
    PROMPTS,
    TEMPLATE_OPTIONS,
    apply_chat_template,
    check_prompt,
)
from testtime.study.types import Request


class PolicyText:
    """A policy's tokenizer with the prompt and separator of its catalog entry.

    Args:
        spec: the catalog entry; `check_options` accepts it.
        tokenizer: has a chat template.
        vocabulary: number of token ids that the model can emit.
    """

    def __init__(self, spec: PolicySpec, tokenizer: PreTrainedTokenizerBase, vocabulary: int):
        self.name, self.tokenizer, self.context = spec.location, tokenizer, spec.context
        self._prompt, self._separator = spec.prompt, spec.separator
        self._vocabulary = vocabulary

    def encode(self, problem: str) -> tuple[int, ...]:
        """The token ids of the whole prompt for this problem.

        Raises:
            UserError: the tokenizer's chat template refuses the prompt's turns.
        """
        turns = PROMPTS[self._prompt](problem)
        try:
            ids = apply_chat_template(
                self.tokenizer,
                turns,
                add_generation_prompt=True,
                tokenize=True,
                return_dict=False,
                **TEMPLATE_OPTIONS.get(self._prompt, {}),
            )
        except jinja2.TemplateError as error:
            raise UserError(
                f"policy {self.name}: its chat template refuses prompt {self._prompt!r}: {error}"
            ) from error
        return tuple(ids)

    def encode_text(self, text: str) -> tuple[int, ...]:
        """The token ids of a text as it stands, without a prompt around it."""
        return tuple(self.tokenizer.encode(text, add_special_tokens=False))

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of generated tokens, end-of-text and other special tokens left out."""
        return self.tokenizer.decode(
            list(token_ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )

    def room(self, request: Request) -> int:
        """Most new tokens of each child; 0 for a path that already fills the context.

        Raises:
            UserError: the prompt is empty or does not fit into the context.
        """
        length = len(request.token_ids)
        if length == 0 or (length >= self.context and request.first_position == 0):
            raise UserError(
                f"policy {self.name}: a prompt of {length} tokens; allowed: 1 to "
                f"{self.context - 1}, which leaves room for one more in its context"
            )
        return max(0, min(request.max_tokens, self.context - length))

    @cached_property
    def step_ends(self) -> StepEnds:
        """Where steps end, by token; building it scans the whole vocabulary."""
        return StepEnds(token_texts(self.tokenizer, self._vocabulary), self._separator)


def check_options(what: str, spec: PolicySpec) -> None:
    """Refuse an unknown prompt or an empty separator, before anything is loaded.

    Raises:
        UserError: names the option, its value and what is allowed.
    """
    check_prompt(f"{what}: prompt", spec.prompt)
    if not spec.separator:
        raise UserError(f"{what}: separator is empty; give the text that ends a step")


def stop_ids(*sources) -> set[int]:
    """Ids of all tokens that end a text, as the generation config, config and tokenizer say."""
    stops: set[int] = set()
    for source in sources:
        ids = getattr(source, "eos_token_id", None)
        if ids is not None:
            stops |= set(ids) if isinstance(ids, list | tuple) else {ids}
    return stops
