"""Jinja2 renders what Jinja renders, by kernels or row by row, and nothing that it should not."""

from __future__ import annotations

import pickle
from datetime import datetime, timezone

import jinja2
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hyped_beam.errors import DefinitionError, NodeError, UnknownNameError
from hyped_beam.nodes.pack import pack
from hyped_beam.processors.templates import fields, kernels
from hyped_beam.processors.templates.jinja2 import Jinja2
from hyped_beam.testing import evaluate, flow_of


def render(template, rows):
    table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows)
    return evaluate(
        Jinja2(template=template).call(features=flow_of(table.schema)).rendered, table
    ).to_pylist()


def by_jinja(template, rows):
    compiled = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(template)  # noqa: S701 - no HTML
    return [compiled.render(inputs=row) for row in rows]


def test_the_row_is_inputs():
    table = pa.table({"text": ["a", "b"]})
    source = flow_of(table.schema)
    prompt = Jinja2(template="Input: {{ inputs.text }}").call(features=pack({"text": source.text}))
    assert evaluate(prompt.rendered, table).to_pylist() == ["Input: a", "Input: b"]


ROWS = [
    {
        "text": "Ab cd",
        "n": 1,
        "f": 0.1,
        "b": True,
        "l": ["x", "y"],
        "s": {"a": "q", "items": 1},
        "items": "i",
    },
    {
        "text": " ÄÖß İ ",
        "n": -(2**62),
        "f": 1e22,
        "b": False,
        "l": [],
        "s": {"a": None, "items": 2},
        "items": "",
    },
    {"text": None, "n": None, "f": None, "b": None, "l": None, "s": {"a": "", "items": None}, "items": None},
]

KERNELS = [
    "",
    "only text\n",
    "line\r\nbreak\n\n",
    "{{ inputs.text }}",
    "Input: {{ inputs['text'] }}!",
    "{{ inputs.text|lower }}{{ inputs.text|upper }}{{ inputs.text|capitalize }}",
    "{{ inputs.text|trim|replace(' ', '_')|length }}",
    "{{ inputs.text|default('none') }}{{ inputs.items|d('none', true) }}",
    "{{ inputs.n }}/{{ inputs.f }}/{{ inputs.b }}/{{ inputs.l }}/{{ inputs.s.a }}/{{ inputs.s }}",
    "{{ inputs.n|string|length }}{{ inputs.b|lower }}{{ inputs.f|upper }}",
    "{{ 'constant' }}{{ 3 }}",
]

ROW_BY_ROW = [
    "{% for item in inputs.l or [] %}{{ loop.index }}:{{ item }} {% endfor %}",
    "{% if inputs.n and inputs.n > 0 %}positive{% else %}{{ inputs.text }}{% endif %}",
    "{% set twice = inputs.text ~ inputs.text %}{{ twice }}",
    "{% macro show(x) %}<{{ x }}>{% endmacro %}{{ show(inputs.n) }}",
    "{{ inputs.text|title }}{{ inputs.f|round(1) if inputs.f }}",
    "{{ inputs.text.upper() if inputs.text is string }}",
    "{% for name in inputs %}{{ name }},{% endfor %}",
    "{{ inputs.get('text') }}{{ inputs.get('none') }}{{ inputs.get('n', 3) }}",
    "{{ inputs|length }}{{ inputs.keys()|list }}",
    "{% set ns = namespace(n=0) %}{% for x in inputs.l or [] %}{% set ns.n = 1 %}{% endfor %}{{ ns.n }}",
    "{% autoescape true %}{{ inputs.text }}{{ '<' }}{% endautoescape %}{{ '<' }}",
    "{{ inputs.text|escape }}{{ '<'|safe }}",
    "{{ inputs.n * 2 if inputs.n is not none }}{{ 'ab' * 2 }}{{ 2 ** 3 }}",
    "{{ 'absent' if inputs.none is undefined else inputs.none }}",
    "{% if 'none' in inputs %}{{ inputs.none }}{% endif %}",
]


MAY_BE_ABSENT = "{{ inputs.none|default('absent') }}"


@pytest.mark.parametrize("template", [*KERNELS, *ROW_BY_ROW, MAY_BE_ABSENT])
def test_renders_what_jinja_renders(template):
    # a field comes before a method of dicts, which Jinja has the other way round
    wanted = by_jinja(template.replace("inputs.items", "inputs['items']"), ROWS)
    assert render(template, ROWS) == wanted


@pytest.mark.parametrize(("templates", "are_kernels"), [(KERNELS, True), (ROW_BY_ROW, False)])
def test_which_templates_become_kernels(templates, are_kernels):
    assert [kernels.pieces_of(fields.parse(template)) is not None for template in templates] == [
        are_kernels
    ] * len(templates)


FILTERS = st.sampled_from(
    [
        "lower",
        "upper",
        "capitalize",
        "trim",
        "trim('ab ')",
        "trim('')",
        "string",
        "length",
        "count",
        "replace('a', 'bb')",
        "replace('aa', '')",
        "replace('ß', 'A')",
        "default('d')",
        "default('é', true)",
        "d('', false)",
    ]
)
FIELDS = st.tuples(st.sampled_from(["text", "n", "small", "b", "f"]), st.lists(FILTERS, max_size=3)).map(
    lambda field: "{{ inputs." + "|".join([field[0], *field[1]]) + " }}"
)
LITERALS = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="{}%#"), max_size=5)
TEMPLATES = st.lists(FIELDS | LITERALS, max_size=5).map("".join)
TEXT = st.text(
    alphabet=st.characters(exclude_categories=["Cs"]) | st.sampled_from("aAbßİςΣΣ \u0131\x1c\x85\u3000\u200b")
)
TYPES = pa.schema(
    {"text": pa.string(), "n": pa.int64(), "small": pa.uint8(), "b": pa.bool_(), "f": pa.float64()}
)
VALUES = st.fixed_dictionaries(
    {
        "text": st.none() | TEXT,
        "n": st.none() | st.integers(-(2**63), 2**63 - 1),
        "small": st.none() | st.integers(0, 255),
        "b": st.none() | st.booleans(),
        "f": st.none() | st.floats(),
    }
)


@settings(max_examples=200, deadline=None)
@given(TEMPLATES, st.lists(VALUES, min_size=1, max_size=4), st.sampled_from([pa.string(), pa.large_string()]))
@example(
    "{{ inputs.text|lower }}", [{"text": "ΑΣ İI", "n": 1, "small": 1, "b": None, "f": None}], pa.string()
)
def test_kernels_and_jinja_agree_on_everything(template, rows, kind):
    table = pa.Table.from_pylist(rows, TYPES.set(0, pa.field("text", kind)))
    try:
        wanted = by_jinja(template, rows)
    except TypeError:  # the length of what has none
        with pytest.raises(NodeError, match="has no len"):
            render(template, table)
        return
    assert render(template, table) == wanted


@pytest.mark.parametrize(
    "values",
    [
        pa.array([datetime(2024, 2, 29, 1, 2, 3, tzinfo=timezone.utc), None]),
        pa.array([b"\xff", None]),
        pa.array([1.5, None], pa.float32()),
        pa.array([{"a": [1, None]}, None]),
        pa.array([[1], None], pa.list_(pa.int8())),
        pa.nulls(2),
    ],
    ids=lambda values: str(values.type),
)
def test_other_types_print_as_python_does(values):
    table = pa.table({"x": values})
    assert render("<{{ inputs.x }}>", table) == [f"<{value}>" for value in values.to_pylist()]
    assert render("{% if 1 %}<{{ inputs.x }}>{% endif %}", table) == [
        f"<{value}>" for value in values.to_pylist()
    ]


@pytest.mark.parametrize("template", ["<{{ inputs.a }}>", "{% if 1 %}<{{ inputs.a }}>{% endif %}", "text"])
def test_a_null_struct_gives_null(template):
    table = pa.table({"s": pa.array([{"a": "x"}, None, {"a": None}], pa.struct({"a": pa.string()}))})
    found = evaluate(Jinja2(template=template).call(flow_of(table.schema).s).rendered, table).to_pylist()
    assert found == ["text", None, "text"] if template == "text" else found == ["<x>", None, "<None>"]


@pytest.mark.parametrize(
    "template",
    ["{{ inputs.a|upper }}{{ inputs.n }}", "{% if 1 %}{{ inputs.a|upper }}{{ inputs.n }}{% endif %}"],
)
def test_slices_and_empty_batches(template):
    table = pa.table({"a": ["left out", "ä", "b", "left out"], "n": [0, 1, 2, 3]})
    assert render(template, table.slice(1, 2)) == ["Ä1", "B2"]
    assert render(template, table.slice(0, 0)) == []


def test_what_one_row_sets_is_not_seen_by_the_next():
    template = "{% if inputs.n == 1 %}{% set seen = 'yes' %}{% endif %}{{ seen|default('no') }}"
    assert render(template, [{"n": 1}, {"n": 2}, {"n": 1}]) == by_jinja(
        template, [{"n": 1}, {"n": 2}, {"n": 1}]
    )


@pytest.mark.parametrize(
    "template",
    [
        "{% if inputs.n == 1 %}{% set a = 'x' %}{% else %}{% set a = inputs.n %}{% endif %}{{ a }}",
        "{% for i in [1, 2] %}{% if i == 1 %}{% set a = i %}{{ a }}{% endif %}{% endfor %}",
        "{% if inputs.n %}{% set a %}{{ inputs.n }}{% endset %}{{ a }}{% endif %}",
    ],
)
def test_names_are_known_that_a_branch_sets(template):
    rows = [{"n": 1}, {"n": 2}]
    assert render(template, rows) == by_jinja(template, rows)


def test_a_name_that_no_branch_has_set_is_an_error_of_its_row():
    template = "{% if inputs.n == 1 %}{% set a = 'x' %}{% endif %}{{ a }}"
    with pytest.raises(NodeError, match="'a' is undefined") as raised:
        render(template, [{"n": 1}, {"n": 2}])
    assert raised.value.row == 1


def test_the_node_is_its_template():
    node = Jinja2(template="{{ inputs.text }}")
    assert pickle.loads(pickle.dumps(node)) == node  # noqa: S301
    assert len(pickle.dumps(node)) < 1000


# ------------------------------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("a\n{% if %}", "line 2: Expected an expression"),
        ("{{ inputs.text", "line 1: unexpected end of template"),
        ("{{ inputs.text|loer }}", "Did you mean 'lower'?"),
        ("{{ 1 is evn }}", "Did you mean 'even'?"),
        ("a\n\n{{ text }}", "line 3: there is no 'text'; a field of the row is inputs.text"),
        ("{{ inputs.l|random }}", "it would not give the same twice"),
        ("{{ lipsum() }}", "there is no 'lipsum'"),
        ("{% include 'other' %}", "cannot load another one"),
        ("{% extends 'other' %}", "cannot load another one"),
        ("{% from 'other' import x %}", "cannot load another one"),
        ("\n{{ inputs.__class__ }}", "line 2: '__class__' is out of bounds"),
        ("{{ inputs['__class__'] }}", "out of bounds"),
        ("{{ ''.__class__.__mro__ }}", "out of bounds"),
        ("{{ inputs.text|attr('__class__') }}", "out of bounds"),
    ],
)
def test_wrong_templates_are_refused_where_they_are_written(template, message):
    with pytest.raises(DefinitionError) as caught:
        Jinja2(template=template)
    assert message in str(caught.value)
    assert caught.value.site.file == __file__


SOURCE = pa.schema({"text": pa.string(), "l": pa.list_(pa.string()), "s": pa.struct({"inner": pa.string()})})


@pytest.mark.parametrize(
    ("template", "message", "hint"),
    [
        ("{{ inputs.txt }}", "line 1 of the template: inputs has no field 'txt'", "did you mean 'text'?"),
        (
            "\n{{ inputs['txt']|upper }}",
            "line 2 of the template: inputs has no field 'txt'",
            "did you mean 'text'?",
        ),
        ("{% if inputs.txt %}a{% endif %}", "has no field 'txt'", "did you mean 'text'?"),
        ("{{ inputs.s.iner }}", "inputs.s has no field 'iner'", "did you mean 'inner'?"),
        ("{{ inputs.quite.other|default('') }}", "has no field 'quite'", "there are: l, s, text"),
    ],
)
def test_fields_that_are_not_there_are_refused_at_the_call(template, message, hint):
    with pytest.raises(UnknownNameError) as caught:
        Jinja2(template=template).call(flow_of(SOURCE))
    assert message in str(caught.value)
    assert caught.value.hint == hint
    assert caught.value.site.file == __file__


@pytest.mark.parametrize(
    "template",
    [
        "{{ inputs.txt|default('') }}",
        "{{ inputs.txt|upper|default('') if inputs.txt is defined }}",
        "{{ inputs.txt if 'txt' in inputs }}",
        "{{ inputs.get('txt') }}",
        "{% for inputs in inputs.l %}{{ inputs.txt }}{% endfor %}",
        "{{ txt if txt is defined else '' }}",
        "{% for k, v in inputs.items() %}{{ v.anything }}{% endfor %}",
    ],
)
def test_fields_that_may_be_absent_are_not_refused(template):
    Jinja2(template=template).call(flow_of(SOURCE))


def test_only_structs_are_rows():
    with pytest.raises(DefinitionError, match="takes a struct as 'features', got string"):
        Jinja2(template="").call(flow_of(SOURCE).text)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{% for i in range(10**9) %}{% endfor %}", "OverflowError: Range too big"),
        (
            "{{ 'a' * 10000000000 }}",
            "LimitError: a value or the output would have more than",
        ),
        ("{{ 10 ** 1000000000 }}", "LimitError: the result of ** is too large"),
        ("{{ '{0.__class__}'.format(inputs.text) }}", "SecurityError"),
        ("{{ ''[inputs.text] }}", "SecurityError"),
        ("{{ inputs.l.append('x') }}", "SecurityError"),
        ("{{ inputs.update({}) }}", "SecurityError"),
    ],
)
def test_the_sandbox_holds(template, message):
    rows = [{"text": "__class__", "l": ["a"]}]
    with pytest.raises(NodeError, match="RenderError") as caught:
        render(template, rows)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "template", ["\n{{ inputs.text|length }}", "\n{% if 1 %}{{ inputs.text|length }}{% endif %}"]
)
def test_an_error_says_row_and_line(template):
    with pytest.raises(NodeError) as caught:
        render(template, [{"text": "a"}, {"text": None}])
    assert caught.value.row == 1
    assert "has no len() (line 2 of the template)" in str(caught.value)


def test_the_row_of_an_error_counts_null_rows():
    table = pa.table({"s": pa.array([None, {"a": "x"}, None, {"a": None}], pa.struct({"a": pa.string()}))})
    with pytest.raises(NodeError) as caught:
        evaluate(Jinja2(template="{{ inputs.a|length }}").call(flow_of(table.schema).s).rendered, table)
    assert caught.value.row == 3
