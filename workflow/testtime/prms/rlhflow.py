"""RLHFlow's PRMs (Xiong et al. 2024, RLHFlow/RLHF-Reward-Modeling): a chat, one turn per step.

The first user turn is the problem, a space and the first step; each later one is a step. The
assistant answers every turn with "+". A step's score is the probability of "+" against "-" as
predicted where that answer begins.
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
from testtime.prms.text import Chat, Text

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NAME = "rlhflow"
GOOD, BAD = "+", "-"


def reader(tokenizer: "PreTrainedTokenizerBase") -> Reader:
    """Bind the format to a tokenizer and its chat template.

    Raises:
        UserError: no chat template takes such turns, or "+" and "-" are not tokens in it.
    """
    text, chat = Text(tokenizer), Chat(tokenizer)

    def encode_batch(texts: Texts) -> list[Encoded]:
        laid_out = [_lay_out(text, chat, problem, steps) for problem, steps in texts]
        encodings = text.encode([whole for whole, _ in laid_out])
        encoded = []
        for encoding, (_, answers) in zip(encodings, laid_out, strict=True):
            positions = [encoding.char_to_token(answer) - 1 for answer in answers]
            ids = encoding.ids[: positions[-1] + 1] if answers else []
            encoded.append(Encoded(ids, positions))
        return encoded

    return Reader(encode_batch, _classes(text, chat))


def _lay_out(text: Text, chat: Chat, problem: str, steps: Sequence[str]) -> tuple[str, list[int]]:
    """The conversation up to its last answer, and the index of each answer's character."""
    if not steps:
        return "", []
    pieces = chat.pieces(*[("user", None), ("assistant", None)] * len(steps))
    contents = [text.clean(step) for step in steps]
    contents[0] = f"{text.clean(problem)} {contents[0]}"
    whole, answers = "", []
    for k, content in enumerate(contents):
        whole += pieces[2 * k] + chat.content(content) + pieces[2 * k + 1]
        answers.append(len(whole))
        whole += GOOD
    # The text is tokenised together with what follows the last answer, as in a longer one.
    return whole + pieces[-1], answers


def _classes(text: Text, chat: Chat) -> tuple[int, int]:
    """The tokens of "+" and "-" as answers, which may differ from those elsewhere in the text."""
    before, between, behind = chat.pieces(("user", None), ("assistant", None))
    start = f"{before}1{between}"
    encodings = text.encode([f"{start}{answer}{behind}" for answer in (GOOD, BAD)])
    places = [encoding.char_to_token(len(start)) for encoding in encodings]
    ids = [encoding.ids[place] for encoding, place in zip(encodings, places, strict=True)]
    same_start = encodings[0].ids[: places[0]] == encodings[1].ids[: places[1]]
    if not same_start or ids[0] == ids[1]:
        raise UserError(
            f"chat template of {text.name}: {GOOD!r} and {BAD!r} are not tokens of their own "
            f"as answers, which {NAME} needs"
        )
    return ids[0], ids[1]


FORMAT = Format("lm", reader, language_model, language_model_head)
