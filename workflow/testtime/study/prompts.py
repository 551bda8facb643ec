"""The prompts that policies are given, by the names that catalog entries use."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import TYPE_CHECKING

from testtime.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# The day that chat templates are told which write today's date, as Llama 3.2's does: a prompt must
# not depend on the calendar. It is what Llama 3's templates write where they know no date.
DAY = date(2024, 7, 26)

BOXED = "Please reason step by step, and put your final answer within \\boxed{}."

LLAMA3 = """\
Solve the following math problem efficiently and clearly:

- For simple problems (2 steps or fewer):
Provide a concise solution with minimal explanation.

- For complex problems (3 steps or more):
Use this step-by-step format:

## Step 1: [Concise description]
[Brief explanation and calculations]

## Step 2: [Concise description]
[Brief explanation and calculations]

...

Regardless of the approach, always conclude with:

Therefore, the final answer is: $\\boxed{answer}$. I hope it is correct.

Where [answer] is just the final number or expression that solves the problem."""

# Prompts by name, as published: the chat turns that ask for a solution. The catalog names the
# prompt of each policy.
PROMPTS: dict[str, Callable[[str], list[dict[str, str]]]] = {
    "plain": lambda problem: [{"role": "user", "content": problem}],
    "boxed": lambda problem: [
        {"role": "system", "content": BOXED},
        {"role": "user", "content": problem},
    ],
    "boxed-user": lambda problem: [{"role": "user", "content": f"{problem}\n{BOXED}"}],
    "llama3-math": lambda problem: [
        {"role": "system", "content": LLAMA3},
        {"role": "user", "content": problem},
    ],
}
PROMPTS["boxed-user-no-think"] = PROMPTS["boxed-user"]
# What chat templates are told besides: Qwen3's closes the thought before it began.
TEMPLATE_OPTIONS: dict[str, dict[str, object]] = {
    "boxed-user-no-think": {"enable_thinking": False},
}


def check_prompt(what: str, prompt: str) -> None:
    """Refuse an unknown prompt.

    Raises:
        UserError: says what named it, the name and what is allowed.
    """
    if prompt not in PROMPTS:
        raise UserError(f"{what} {prompt!r} is not known; allowed: {', '.join(PROMPTS)}")


def apply_chat_template(
    tokenizer: "PreTrainedTokenizerBase", turns: Sequence[dict[str, str]], **options: object
) -> object:
    """What the tokenizer's own function of this name gives, on `DAY`."""
    return tokenizer.apply_chat_template(turns, strftime_now=DAY.strftime, **options)
