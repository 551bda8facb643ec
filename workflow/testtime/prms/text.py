"""Tokens of untrusted text, and chat templates as fixed pieces around it."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jinja2 import TemplateError
from tokenizers import Encoding, Tokenizer

from testtime.errors import UserError
from testtime.study.prompts import apply_chat_template

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Text:
    """A tokenizer that never reads a special token in a problem or a step.

    Args:
        tokenizer: any fast tokenizer; it is copied, so its padding and truncation do not matter.
        tags: regular expressions of a format's own tags, which text must not contain either.

    Raises:
        UserError: the tokenizer is not one of the tokenizers library.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", tags: Sequence[str] = ()):
        if not tokenizer.is_fast:
            raise UserError(f"tokenizer of {tokenizer.name_or_path}: no tokenizer.json")
        self.name = tokenizer.name_or_path
        self._backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        self._backend.no_padding()
        self._backend.no_truncation()
        self._backend.encode_special_tokens = False
        unknown = getattr(self._backend.model, "unk_token", None)
        self.unknown = None if unknown is None else self._backend.token_to_id(unknown)
        special = {
            token.content for token in tokenizer.added_tokens_decoder.values() if token.special
        } | set(tokenizer.all_special_tokens)
        patterns = [*tags, *map(re.escape, sorted(special, key=len, reverse=True))]
        self._reserved = re.compile("|".join(patterns)) if patterns else None

    def clean(self, text: str) -> str:
        """The text with a space inside everything that would be read as a special token or tag."""
        # Breaking one may leave an overlapping one intact, so look again.
        while self._reserved is not None and self._reserved.search(text):
            text = self._reserved.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)
        return text

    def encode(self, texts: list[str], special: bool = False) -> list[Encoding]:
        """Tokenise whole texts, keeping offsets.

        Args:
            texts: what to tokenise, trusted or cleaned.
            special: add the tokens that the tokenizer puts around a text, such as its first token.
        """
        return self._backend.encode_batch(texts, add_special_tokens=special)

    def ids(self, texts: list[str]) -> list[list[int]]:
        """Token ids of texts without added tokens; faster than `encode`."""
        encodings = self._backend.encode_batch_fast(texts, add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def decode(self, token_ids: list[int]) -> str:
        """The text of tokens."""
        return self._backend.decode(token_ids, skip_special_tokens=False)

    def one(self, token: str, format: str) -> int:
        """The id of a text that must be one token at a text's end.

        Raises:
            UserError: the tokenizer does not know it.
        """
        ids = self.ids([token])[0]
        if not ids or ids[-1] == self.unknown or self.decode(ids[-1:]).strip(" ") != token:
            raise UserError(
                f"tokenizer of {self.name} has no token {token!r}, which {format} needs"
            )
        return ids[-1]


class Chat:
    """A tokenizer's chat template as fixed pieces of text around the contents of the turns.

    The template is rendered once per number of turns, not once per text.

    Raises:
        UserError: the tokenizer has no chat template, or it does not take these turns.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase"):
        self._tokenizer = tokenizer
        self._pieces: dict[tuple, list[str]] = {}
        probe = self._render([("user", f" {_mark(0)} ")])
        self._trims = f" {_mark(0)} " not in probe

    def pieces(self, *turns: tuple[str, str | None]) -> list[str]:
        """The text before, between and after the contents given as None.

        Args:
            turns: (role, content) with None for a content to be filled in.
        """
        if turns not in self._pieces:
            marks, marked = 0, []
            for role, content in turns:
                marked.append((role, _mark(marks) if content is None else content))
                marks += content is None
            text = self._render(marked)
            pieces, rest = [], text
            for index in range(marks):
                before, found, rest = rest.partition(_mark(index))
                if not found or _mark(index) in rest:
                    raise UserError(
                        f"chat template of {self._tokenizer.name_or_path}: "
                        f"does not give each turn's text once and in order"
                    )
                pieces.append(before)
            self._pieces[turns] = [*pieces, rest]
        return self._pieces[turns]

    def content(self, text: str) -> str:
        """A turn's text as the template renders it: trimmed, if the template does that."""
        return text.strip() if self._trims else text

    def _render(self, turns: Sequence[tuple[str, str]]) -> str:
        messages = [{"role": role, "content": content} for role, content in turns]
        try:
            return apply_chat_template(self._tokenizer, messages, tokenize=False)
        except (TemplateError, ValueError) as error:
            name = self._tokenizer.name_or_path
            raise UserError(f"chat template of {name} cannot be used: {error}") from error


def _mark(index: int) -> str:
    # Private-use characters: no template has them, and none trims them.
    return f"\ue000{index}\ue001"
