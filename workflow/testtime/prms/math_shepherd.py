"""Math-Shepherd (Wang et al. 2024, arXiv 2312.08935): a tag after every step.

The model card of peiyi9979/math-shepherd-mistral-7b-prm: the text is `{problem} {step 1} ки` and
then `{step k} ки` on a separate line for each further step; a step's score is the probability of
"+" against "-" as the next token at its tag.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from testtime.errors import UserError
from testtime.prms.base import (
    Encoded,
    Format,
    Reader,
    Texts,
    language_model,
    language_model_head,
)
from testtime.prms.text import Text

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NAME = "math-shepherd"
TAG = "ки"
GOOD, BAD = "+", "-"


def reader(tokenizer: "PreTrainedTokenizerBase") -> Reader:
    """Bind the format to a tokenizer.

    Raises:
        UserError: the tokenizer does not keep the tag, "+" and "-" as separate tokens.
    """
    text = Text(tokenizer, tags=[rf"(?<!\w){TAG}(?!\w)"])
    tag = _tag(text)
    classes = text.one(GOOD, NAME), text.one(BAD, NAME)
    if classes[0] == classes[1]:
        raise UserError(f"tokenizer of {text.name} does not tell {GOOD!r} from {BAD!r}")

    def encode_batch(texts: Texts) -> list[Encoded]:
        laid_out = [_lay_out(text, problem, steps) for problem, steps in texts]
        encodings = text.encode([whole for whole, _ in laid_out], special=True)
        encoded = []
        for encoding, (_, ends) in zip(encodings, laid_out, strict=True):
            ids = encoding.ids
            positions = [index for index, token in enumerate(ids) if token == tag]
            if len(positions) != len(ends):  # a word of the text begins with the tag's letters
                positions = [encoding.char_to_token(end) for end in ends]
                if any(index is None or ids[index] != tag for index in positions):
                    raise UserError(
                        f"tokenizer of {text.name}: {TAG!r} is not kept apart in a text"
                    )
            encoded.append(Encoded(ids[: positions[-1] + 1] if positions else [], positions))
        return encoded

    return Reader(encode_batch, classes, tag)


def _lay_out(text: Text, problem: str, steps: Sequence[str]) -> tuple[str, list[int]]:
    """The text, and the index of each tag's last character."""
    whole, ends = f"{text.clean(problem)} ", []
    for step in steps:
        whole += ("\n" if ends else "") + f"{text.clean(step)} {TAG}"
        ends.append(len(whole) - 1)
    return whole, ends


def _tag(text: Text) -> int:
    """The tag's token: the same one at a text's end and before another step."""
    one, two = text.ids([f"1 {TAG}", f"1 {TAG}\n1 {TAG}"])
    tag = one[-1]
    if text.decode([tag]).strip() != TAG or two[: len(one)] != one or two.count(tag) != 2:
        raise UserError(f"tokenizer of {text.name} has no token {TAG!r}, which {NAME} needs")
    return tag


FORMAT = Format("lm", reader, language_model, language_model_head)
