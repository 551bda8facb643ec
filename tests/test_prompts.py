"""What a policy is asked does not depend on the day."""

from dataclasses import replace
from datetime import datetime

import pytest
from conftest import ROOT
from testtime.data.decided import Cell
from testtime.engines.text import PolicyText
from testtime.study.catalog import load
from testtime.study.config import read, validate
from testtime.study.study import Study
from testtime.study.types import Problem
from transformers import AutoTokenizer
from transformers.utils import chat_template_utils

# The parts of the templates of Llama 3.1 and 3.2 that write a date, and one that writes its own.
LLAMA_31 = """\
{%- if not date_string is defined %}{%- set date_string = "26 Jul 2024" %}{%- endif %}
{{- "Today Date: " + date_string + messages[0]["content"] }}"""
LLAMA_32 = """\
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{{- "Today Date: " + date_string + messages[0]["content"] }}"""
OTHER = """{{ "The date is " + strftime_now("%Y-%m-%d") + messages[0]["content"] }}"""


def prompt_on(day, template, monkeypatch):
    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return day

    monkeypatch.setattr(chat_template_utils, "datetime", Clock)
    spec = load().policy("micro-xs")
    tokenizer = AutoTokenizer.from_pretrained(ROOT / spec.model)
    tokenizer.chat_template = template
    return PolicyText(spec, tokenizer, len(tokenizer)).encode("1 + 1")


@pytest.mark.parametrize("template", [LLAMA_31, LLAMA_32, OTHER])
def test_a_template_that_writes_the_date_writes_the_same_on_every_day(template, monkeypatch):
    days = datetime(2025, 1, 2), datetime(2031, 12, 30)
    first, second = (prompt_on(day, template, monkeypatch) for day in days)
    assert first == second


def test_llamas_of_both_versions_are_told_the_same_day(monkeypatch):
    day = datetime(2025, 1, 2)
    assert prompt_on(day, LLAMA_31, monkeypatch) == prompt_on(day, LLAMA_32, monkeypatch)


# The part of Qwen3's template that closes a thought before it began.
QWEN3 = """\
{{- messages[0]["content"] + "\n" }}
{%- if enable_thinking is defined and enable_thinking is false %}
    {{- "<think></think>" }}
{%- endif %}"""


def test_a_policy_may_be_asked_not_to_think():
    spec = load().policy("micro-think-xs")
    tokenizer = AutoTokenizer.from_pretrained(ROOT / spec.model)
    tokenizer.chat_template = QWEN3
    asked = {}
    for prompt in ("boxed-user", "boxed-user-no-think"):
        text = PolicyText(replace(spec, prompt=prompt), tokenizer, len(tokenizer))
        asked[prompt] = text.encode("1 + 1")
    closed = tuple(tokenizer.encode("<think></think>", add_special_tokens=False))
    assert len(closed) == 2
    assert asked["boxed-user-no-think"] == asked["boxed-user"] + closed


def test_samples_of_both_ways_of_asking_are_told_apart():
    config = read() | {"policies": ["qwen3-4b", "qwen3-4b-no-think"]}
    study = Study(config, validate(config))
    problem = Problem("a", "1 + 1")
    same = replace(study.catalog.policy("qwen3-4b"), prompt="boxed-user-no-think", thinking=None)
    both = []
    for spec in (replace(same, prompt="boxed-user"), same):
        study.catalog.policies["qwen3-4b"] = spec
        both.append(
            Cell(study, "generate", "microcosm", "qwen3-4b").row_stamps(str)(problem, "pool")
        )
    assert both[0] != both[1]
