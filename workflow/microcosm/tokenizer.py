"""The microcosm's tokens: a word-level tokenizer that transformers and vLLM load as any other.

Every token carries its own spaces, so decoding is plain concatenation and the round trip exact.
"""

import re

from testtime.data.microcosm import MAX_STEPS, REGISTERS, SEPARATOR
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

PAD, END, UNKNOWN = "<pad>", "<end>", "<unk>"
STEP_TAG = "<extra_0>"  # step tag of Qwen2.5-Math-PRM
SHEPHERD_TAG = " ки"  # step tag of Math-Shepherd
SPECIAL = (PAD, END, UNKNOWN, STEP_TAG)
NUMBERS = range(1, MAX_STEPS + 1)
PROMPT_TOKENS = (
    ["Modulo 10, start with", ";", "\n"]
    + [f" {i}. " for i in NUMBERS]
    + [f"{r}{op}=" for r in REGISTERS for op in "*+-"]
    + list(REGISTERS)
)
SOLUTION_TOKENS = (
    [f" {r}=" for r in REGISTERS]
    + [str(d) for d in range(10)]
    + [f"({i}) " for i in NUMBERS]
    + [f"{r}:" for r in REGISTERS]
    + ["*", "+", "-", SEPARATOR, "\\boxed{", ",", "}"]
)
POLICY_TOKENS = [PAD, END, UNKNOWN, *PROMPT_TOKENS, *SOLUTION_TOKENS]
PRM_TOKENS = [*POLICY_TOKENS, STEP_TAG, SHEPHERD_TAG]
THINK, THINK_END, WAIT = "<think>", "</think>", f"Wait{SEPARATOR}"
THINKER_TOKENS = [*POLICY_TOKENS, THINK, THINK_END, WAIT]
CONTEXT, THINKER_CONTEXT = 256, 512  # most tokens of a text, prompt included

# The prompt ends with a line break and the solution follows; system turns are ignored.
CHAT_TEMPLATE = (
    "{% for m in messages %}{% if m['role'] == 'user' %}{{ m['content'] + '\n' }}"
    "{% elif m['role'] == 'assistant' %}{{ m['content'] }}{% endif %}{% endfor %}"
)


def build(
    tokens: list[str],
    normalizer: normalizers.Normalizer | None = None,
    context: int = CONTEXT,
) -> PreTrainedTokenizerFast:
    """A PreTrainedTokenizerFast over `tokens`; ids are their positions."""
    tokenizer = Tokenizer(
        models.WordLevel({token: i for i, token in enumerate(tokens)}, unk_token=UNKNOWN)
    )
    plain = [t for t in tokens if t not in SPECIAL]
    # A token that ends in a space leaves that space to a step tag after it.
    guard = f"(?!{SHEPHERD_TAG.strip()})" if SHEPHERD_TAG in tokens else ""
    pattern = "|".join(
        re.escape(t) + (guard if t.endswith(" ") else "")
        for t in sorted(plain, key=len, reverse=True)
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), "isolated")
    tokenizer.decoder = decoders.Fuse()
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        unk_token=UNKNOWN,
        extra_special_tokens=[STEP_TAG] if STEP_TAG in tokens else [],
        clean_up_tokenization_spaces=False,
        model_max_length=context,
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def policy_tokenizer() -> PreTrainedTokenizerFast:
    """The policies' tokenizer; decode(encode(text)) == text for any problem or solution."""
    return build(POLICY_TOKENS)


def thinker_tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer of policies that think first: the policies' ids, then those of thoughts."""
    return build(THINKER_TOKENS, context=THINKER_CONTEXT)


def prm_tokenizer(format: str) -> PreTrainedTokenizerFast:
    """A PRM's tokenizer: the policies' ids, then the step tags of both published formats.

    Math-Shepherd's text has a space between problem and solution and a line break after each tag;
    both are normalised to what the policies' layers know, one separator token per step.
    Transformers gives every Qwen2 model its own pre-tokenizer, whatever tokenizer.json says; as
    added tokens, ours are found before it.
    """
    if format == "math-shepherd":
        return build(
            PRM_TOKENS,
            normalizers.Sequence(
                [
                    normalizers.Replace(Regex(r" (?=\(\d\) |\\boxed)"), "\n"),
                    normalizers.Replace(f"{SHEPHERD_TAG}\n", SHEPHERD_TAG),
                ]
            ),
        )
    tokenizer = build(PRM_TOKENS)
    words = [t for t in PRM_TOKENS if t not in SPECIAL]
    tokenizer.add_tokens([AddedToken(word, normalized=False, special=False) for word in words])
    return tokenizer


def prompt(problem: str) -> str:
    """What the chat template makes of one user turn."""
    return f"{problem}\n"
