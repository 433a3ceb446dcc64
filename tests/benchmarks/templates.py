"""What it costs that templates are bounded: templates as people write them, against Jinja's sandbox.

python -m tests.benchmarks templates
"""

from __future__ import annotations

import gc
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jinja2 import StrictUndefined, Template
from jinja2.sandbox import ImmutableSandboxedEnvironment

from hyped_beam.processors.templates.budget import Budget
from hyped_beam.processors.templates.environment import ROW, environment
from hyped_beam.processors.templates.jinja2 import Renderer
from tests.benchmarks.light_flow import WORDS
from tests.benchmarks.measure import Row

TURNS = 300
ROWS = 40

TEMPLATES = {
    "a chat with a system message": (
        "{% if inputs.messages[0]['role'] == 'system' %}{% set rest = inputs.messages[1:] %}"
        "{% set system = inputs.messages[0]['content'] %}{% else %}{% set rest = inputs.messages %}"
        "{% set system = false %}{% endif %}{% for message in rest %}"
        "{% if loop.index0 == 0 and system != false %}"
        "{% set content = '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' + message['content'] %}"
        "{% else %}{% set content = message['content'] %}{% endif %}"
        "{% if message['role'] == 'user' %}{{ '<s>' + '[INST] ' + content.strip() + ' [/INST]' }}"
        "{% elif message['role'] == 'assistant' %}{{ ' ' + content.strip() + ' ' + '</s>' }}{% endif %}"
        "{% endfor %}"
    ),
    "a short chat": (
        "{% for message in inputs.messages %}{{ '<|im_start|>' + message['role'] + '\\n' + "
        "message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
        "{% if inputs.n %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
    ),
    "a chat with a namespace": (
        "{%- set ns = namespace(last=inputs.messages|length - 1, found=false) %}"
        "{%- for message in inputs.messages[::-1] %}"
        "{%- set index = inputs.messages|length - 1 - loop.index0 %}"
        "{%- if not ns.found and message.role == 'user' and not message.content.startswith('<tool>') %}"
        "{%- set ns.found = true %}{%- set ns.last = index %}{%- endif %}{%- endfor %}"
        "{%- for message in inputs.messages %}{%- set content = message.content %}"
        "{%- if '</think>' in content %}{%- set content = content.split('</think>')[-1].lstrip('\\n') %}"
        "{%- endif %}{%- if loop.index0 > ns.last %}{{- '<|im_start|>' + message.role + '\\n<think>\\n' }}"
        "{%- endif %}{{- content + '<|im_end|>\\n' }}{%- endfor %}"
    ),
    "few shots": (
        "{% for shot in inputs.messages %}Q: {{ shot['content'] }}\nA: {{ shot['role'] }}\n\n{% endfor %}"
        "Q: {{ inputs.title }}\nA:"
    ),
    "a question with choices": (
        "{% for part in inputs.messages %}[{{ loop.index }}] {{ part.content|trim }}\n{% endfor %}"
        "{{ inputs.title|default('?', true) }}\n"
        "{% for tag in inputs.tags %}{{ 'ABCDEFG'[loop.index0] }}) {{ tag }} {% endfor %}\nAnswer:"
    ),
    "filters": (
        "{{ inputs.tags|join(', ')|upper }}: {{ inputs.title|trim|replace('\\n', ' ')|title }} "
        "({{ inputs.text|length }})"
    ),
    "conditions": (
        "{% if inputs.score > 0.5 and inputs.label == 'spam' %}Spam: {{ inputs.title }}"
        "{% elif inputs.title is none %}none{% else %}{{ inputs.text }} ({{ inputs.score }}){% endif %}"
        "{{ ' !' if inputs.n >= 3 else '' }}"
    ),
    "JSON": "{{ {'title': inputs.title, 'tags': inputs.tags, 'n': inputs.n}|tojson }}",
    "slices": (
        "{{ inputs.tags[:2]|join(' ') }} {{ inputs.text[:40] }}{{ '...' if inputs.text|length > 40 }} "
        "{{ inputs.messages[-1].content[5:] }}"
    ),
    "text put together": (
        "{{ inputs.title ~ ': ' ~ inputs.text ~ ' [' ~ inputs.n ~ ']' }}{{ '(' + inputs.label + ')' }}"
    ),
    "a macro": (
        "{% macro line(name, value, unit='') %}| {{ name }} | {{ value }}{{ unit }} |\n{% endmacro %}"
        "{{ line('title', inputs.title) }}{{ line('n', inputs.n, 'x') }}{{ line('score', inputs.score) }}"
    ),
    "formats": (
        "{{ '%s: %.2f' % (inputs.label, inputs.score) }} {{ '%05d'|format(inputs.n) }} "
        "{{ '{:>10}'.format(inputs.label) }} {{ inputs.score|round(2) }}"
    ),
    "items and sorting": (
        "{% for key, value in inputs.mail.items() %}{{ key }}={{ value }};{% endfor %}"
        "{% for tag in inputs.tags|sort %}{{ tag|lower }} {% endfor %}"
    ),
    "chosen messages": (
        "{{ inputs.messages|selectattr('role', 'equalto', 'user')|map(attribute='content')|join('\\n') }}"
    ),
    "methods of text": (
        "{{ inputs.title.strip().upper() }} {{ inputs.text.split()[0] }} {{ inputs.label.replace('a', 'b') }}"
    ),
    "paragraphs": (
        "Context:\n{{ inputs.text|indent(2) }}\n{{ inputs.title|truncate(20) }}\n"
        "{{ inputs.text|replace('.', '. ') }}"
    ),
    "a list that grows": (
        "{% set ns = namespace(out=[]) %}{% for tag in inputs.tags %}{% if tag|length > 5 %}"
        "{% set ns.out = ns.out + [tag] %}{% endif %}{% endfor %}{{ ns.out|join('; ') }}"
    ),
    "fields compared": (
        "{% if inputs.title == inputs.text or inputs.label in inputs.tags %}same"
        "{% elif inputs.n > inputs.score %}{{ inputs.title }}{% endif %}{{ inputs.title is string }}"
    ),
    "pairs": "{% for pair in inputs.tags|batch(2) %}{{ pair|join(' - ') }}\n{% endfor %}",
    "numbered": "{% for i in range(inputs.tags|length) %}{{ i }}: {{ inputs.tags[i] }}\n{% endfor %}",
    "arithmetic": (
        "{{ inputs.n + 1 }} {{ inputs.n * 2 }} {{ inputs.score * 100 }} {{ (inputs.n - 1) // 2 }} "
        "{{ inputs.n % 3 }}"
    ),
}


def make_rows(words: int) -> list[dict[str, Any]]:
    """Rows with messages of so many words, the same each time."""
    chance = random.Random(0)  # noqa: S311 - text for a benchmark

    def text(length: int) -> str:
        return " ".join(chance.choice(WORDS) for _ in range(length))

    return [
        {
            "messages": [{"role": "system", "content": text(words)}]
            + [
                {
                    "role": ("user", "assistant")[turn % 2],
                    "content": "<think>hm</think>" * (turn % 2) + text(words),
                }
                for turn in range(5)
            ],
            "tags": [text(2) for _ in range(5)],
            "title": text(5),
            "text": text(words),
            "score": chance.random(),
            "n": number % 9,
            "label": chance.choice(["spam", "ham"]),
            "mail": {"from": text(2), "to": text(2), "at": number},
        }
        for number in range(ROWS)
    ]


class PlainEnvironment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, where fields of the row come before methods of dicts, as in ours."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        """An attribute or an item."""
        if type(obj) is dict and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)


class PlainRenderer:
    """Renders rows in one context, for making one takes longer than most templates.

    Args:
        template: A template of Jinja's sandbox.
    """

    def __init__(self, template: Template) -> None:
        self._run = template.root_render_func
        self._context = template.new_context({ROW: None})

    def __call__(self, row: Mapping[str, Any]) -> str:
        """The text of a row."""
        self._context.parent[ROW] = row
        try:
            text = "".join(self._run(self._context))
        except Exception as error:
            raise ValueError(row) from error
        if self._context.vars:
            self._context.vars.clear()
            self._context.exported_vars.clear()
        return text


def measure() -> Iterator[Row]:
    """The lines of the table: of all templates together, and of the one that costs most."""
    plain = PlainEnvironment(undefined=StrictUndefined)
    found = []
    for words in (12, 500):
        rows = make_rows(words)
        for name, template in TEMPLATES.items():
            loops = "{% for" in template or "{% macro" in template or "{%- for" in template
            ours = Renderer(environment().from_string(template), Budget(), loops=loops)
            ours.begin(0)
            theirs = PlainRenderer(plain.from_string(template))
            if [ours(row) for row in rows] != [theirs(row) for row in rows]:
                raise AssertionError(name)
            found.append((f"{name}, {words} words", *_least(ours, theirs, rows)))
    ratios = [own / peer for _, own, peer in found]
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    together = f"{sum(own for _, own, _ in found):.0f} / {sum(peer for _, _, peer in found):.0f} us a row"
    peer_name = "Jinja's sandbox, which bounds nothing"
    yield Row(f"{len(found)} templates with loops and filters, mean", peer_name, mean, "<= 1", together)
    name, own, peer = max(found, key=lambda each: each[1] / each[2])
    yield Row(
        f"the dearest of them: {name}", peer_name, own / peer, "<= 1.2", f"{own:.2f} / {peer:.2f} us a row"
    )


def _least(
    ours: Callable[[Any], str], theirs: Callable[[Any], str], rows: list[dict[str, Any]]
) -> tuple[float, float]:
    """The microseconds for a row of each, run in turn: the least of many runs, for each is short."""
    least = [math.inf, math.inf]
    gc.disable()
    try:
        for _ in range(TURNS):
            for place, render in enumerate((ours, theirs)):
                started = time.perf_counter()
                for row in rows:
                    render(row)
                least[place] = min(least[place], time.perf_counter() - started)
    finally:
        gc.enable()
    return least[0] / len(rows) * 1e6, least[1] / len(rows) * 1e6


if __name__ == "__main__":
    for line in measure():
        print(line)
