"""Math-Shepherd (Wang et al. 2024, arXiv 2312.08935): a tag behind every step.

The model card of peiyi9979/math-shepherd-mistral-7b-prm: the text is `{problem} {step 1} ки` and
then `{step k} ки` on a line of its own for each further step; a step's score is the probability of
"+" against "-" as the next token at its tag.
"""

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
        UserError: the tokenizer does not keep the tag, "+" and "-" as tokens of their own.
    """
    # A word that merely contains the tag's letters stays as it is: tags are found by where they
    # were put, not by their id.
    text = Text(tokenizer, tags=[rf"(?<!\w){TAG}(?!\w)"])

    def encode_batch(texts: Texts) -> list[Encoded]:
        laid_out = [_lay_out(text, problem, steps) for problem, steps in texts]
        encodings = text.encode([whole for whole, _ in laid_out], special=True)
        encoded = []
        for encoding, (_, ends) in zip(encodings, laid_out, strict=True):
            positions = [encoding.char_to_token(end) for end in ends]
            ids = encoding.ids[: positions[-1] + 1] if ends else []
            if any(ids[position] != tag for position in positions):
                raise UserError(f"tokenizer of {text.name} does not keep {TAG!r} apart in a text")
            encoded.append(Encoded(ids, positions))
        return encoded

    tag = _tag(text)
    classes = text.one(GOOD, NAME), text.one(BAD, NAME)
    if classes[0] == classes[1]:
        raise UserError(f"tokenizer of {text.name} does not tell {GOOD!r} from {BAD!r}")
    return Reader(encode_batch, classes, tag)


def _lay_out(text: Text, problem: str, steps) -> tuple[str, list[int]]:
    """The text, and the index of each tag's last character."""
    whole, ends = f"{text.clean(problem)} ", []
    for step in steps:
        # Spaces before the tag would merge with its own into another token.
        whole += ("\n" if ends else "") + f"{text.clean(step).rstrip()} {TAG}"
        ends.append(len(whole) - 1)
    return whole, ends


def _tag(text: Text) -> int:
    """The tag's token: one, and the same at a text's end and before a further step."""
    one, two = text.encode([f"1 {TAG}", f"1 {TAG}\n1 {TAG}"], special=True)
    begin, first, second = (two.char_to_token(index) for index in (2, 3, 8))
    ids = two.ids
    kept = ids[: first + 1] == one.ids[: first + 1] and begin == first
    if not kept or ids[first] != ids[second] or ids[first] == text.unknown:
        raise UserError(f"tokenizer of {text.name} has no token for {TAG!r}, which {NAME} needs")
    return ids[first]


FORMAT = Format(NAME, "lm", reader, language_model, language_model_head)
