"""What every PRM format defines: its text as tokens, where scores are read, and by which head."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from testtime.errors import UserError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Texts = Sequence[tuple[str, Sequence[str]]]


@dataclass(frozen=True)
class Encoded:
    """A problem and its steps as a PRM reads them.

    Attributes:
        token_ids: everything up to the last read position; later tokens cannot change a causal
            model's scores and are left out.
        positions: index into token_ids at which each step's score is read, one per step.
    """

    token_ids: list[int]
    positions: list[int]


@dataclass(frozen=True)
class Reader:
    """A format bound to one tokenizer.

    Attributes:
        encode_batch: (problem, steps) pairs -> their encodings, in order. The encoding of k steps
            is a prefix of that of the same k steps and more. Steps come without outer white space.
        classes: token ids of "right" and "wrong", for a language model's head; None for others.
        tag: token at which each score is read, None if the format has none.
    """

    encode_batch: Callable[[Texts], list[Encoded]]
    classes: tuple[int, int] | None = None
    tag: int | None = None

    def encode(self, problem: str, steps: Sequence[str]) -> Encoded:
        """Encode one problem with its steps.

        Raises:
            UserError: a step is blank.
        """
        return self.read([(problem, steps)])[0]

    def read(self, texts: Texts) -> list[Encoded]:
        """Encode many; a blank step is refused, as its score would be meaningless.

        White space around a step is left out: the formats' authors cut their training texts so.

        Raises:
            UserError: a step is blank; names the problem and the step.
        """
        texts = [(problem, [step.strip() for step in steps]) for problem, steps in texts]
        for problem, steps in texts:
            for number, step in enumerate(steps, 1):
                if not step:
                    raise UserError(f"step {number} of problem {start_of(problem)} is empty")
        return self.encode_batch(texts)


@dataclass(frozen=True)
class Format:
    """How a family of PRMs is read.

    Attributes:
        readout: "lm" (probability of one token against another), "two-class" (softmax of a
            two-class head) or "value" (sigmoid of a scalar head).
        reader: binds the format to a tokenizer.
        model_class: the native class whose `from_pretrained` takes the published weights.
        renamed: pattern -> replacement for weights that also occur under other names.
        head: (model, reader) -> function from hidden states (n, hidden) to probabilities (n,).
    """

    readout: Literal["lm", "two-class", "value"]
    reader: Callable[["PreTrainedTokenizerBase"], Reader]
    model_class: Callable[[], type["PreTrainedModel"]]
    head: Callable[["PreTrainedModel", Reader], Callable[["torch.Tensor"], "torch.Tensor"]]
    renamed: dict[str, str] | None = None


def language_model() -> type["PreTrainedModel"]:
    """The model class of formats that are plain language models."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM


def language_model_head(
    model: "PreTrainedModel", reader: Reader
) -> Callable[["torch.Tensor"], "torch.Tensor"]:
    """Probability of the "right" token against the "wrong" one, in float32.

    Only two rows of the output matrix are multiplied, never the vocabulary's.

    Raises:
        UserError: the model scales its logits, as no PRM of these formats does.
    """
    import torch

    for key in ("final_logit_softcapping", "logit_scale", "logits_scaling"):
        if getattr(model.config, key, None) not in (None, 1.0):
            raise UserError(f"PRM {model.name_or_path}: {key} is not supported")
    head = model.get_output_embeddings()
    rows = torch.tensor(reader.classes, device=head.weight.device)
    weight = head.weight.detach()[rows].float()
    bias = None if head.bias is None else head.bias.detach()[rows].float()

    def probability(hidden: torch.Tensor) -> torch.Tensor:
        logits = torch.nn.functional.linear(hidden.float(), weight, bias)
        return logits.softmax(-1)[:, 0]

    return probability


def fit(encoded: Encoded, context: int) -> Encoded:
    """The encoding up to the last step that ends within a PRM's context; empty if none does.

    A causal model's scores of these steps do not depend on what follows, so they equal those of the
    whole text; later steps have none. A step is never cut.
    """
    positions = [position for position in encoded.positions if position < context]
    return Encoded(encoded.token_ids[: positions[-1] + 1] if positions else [], positions)


def start_of(problem: str) -> str:
    """A problem's first characters, to name it in a message."""
    return repr(problem if len(problem) <= 60 else problem[:60] + "…")
