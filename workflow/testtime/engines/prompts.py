"""Prompts by name, as published; the catalog says which one a policy uses."""

from collections.abc import Callable

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


def messages(name: str, problem: str) -> list[dict[str, str]]:
    """The chat turns that ask a policy for a solution of `problem` under the named prompt."""
    return PROMPTS[name](problem)
