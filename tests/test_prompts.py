"""What a policy is asked does not depend on the day."""

from datetime import datetime

import pytest
from conftest import ROOT
from testtime.engines.text import PolicyText
from testtime.study.catalog import load
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
