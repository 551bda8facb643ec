"""The prompts that policies are given, by the names that catalog entries use."""

from collections.abc import Callable

from testtime.errors import UserError

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


def check_prompt(what: str, prompt: str) -> None:
    """Refuse an unknown prompt.

    Raises:
        UserError: says what named it, the name and what is allowed.
    """
    if prompt not in PROMPTS:
        raise UserError(f"{what} {prompt!r} is not known; allowed: {', '.join(PROMPTS)}")
