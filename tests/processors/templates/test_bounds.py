"""A stranger's template neither fills the memory nor runs for ever, and all that it may use is known."""

from __future__ import annotations

import datetime
import inspect
import resource
import time
from decimal import Decimal

import jinja2
import jinja2.sandbox
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyped_beam.errors import DefinitionError, NodeError
from hyped_beam.processors.templates import bounds, filters
from hyped_beam.processors.templates.environment import LEFT_OUT, environment
from hyped_beam.processors.templates.jinja2 import Jinja2
from hyped_beam.testing import evaluate, flow_of
from tests.processors.templates.bombs import BOMBS

AT = datetime.datetime(2001, 1, 1)  # noqa: DTZ001 - as rows have it
ROW = {"text": "ab " * 90, "n": 7, "x": 0.5, "l": ["a", "b", "c"], "at": AT, "d": Decimal("9.5")}
ROW["m"] = [{"a": "b" * 90, "c": ["d"] * 9}] * 90


def render(template, row=ROW, **options):
    table = pa.Table.from_pylist([row])
    made = Jinja2(template=template, **options).call(features=flow_of(table.schema)).rendered
    return evaluate(made, table).to_pylist()[0]


@pytest.mark.parametrize("template", BOMBS, ids=range(len(BOMBS)))
def test_a_bomb_is_an_error_of_its_row(template):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    with pytest.raises((NodeError, DefinitionError)) as raised:
        render(template)
    assert time.process_time() - began < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000  # kB
    said = str(raised.value)
    assert any(
        kind in said
        for kind in ("LimitError", "OverflowError", "SecurityError", "RecursionError", "TypeError")
    )
    if isinstance(raised.value, NodeError):
        assert raised.value.row == 0


LOOP = "{% for i in range(50) %}{{ i }}{% endfor %}"
LIMITED = [
    (LOOP, {"max_steps": 49}, "more than 49 steps; max_steps="),
    ("{{ inputs.text }}{{ 1 if true }}", {"max_characters": 200}, "200 characters; max_characters="),
    ("{{ inputs.text }}", {"max_characters": 200}, "more than 200 characters"),  # by a kernel
    ("{{ inputs.text|replace('a', 'aa') }}", {"max_characters": 300}, "more than 300 characters"),
    ("{{ inputs.text }}" * 3, {"max_characters": 500}, "more than 500 characters"),
]


@pytest.mark.parametrize(("template", "options", "message"), LIMITED)
def test_the_limits_are_options_and_the_message_names_them(template, options, message):
    assert render(template)
    with pytest.raises(NodeError) as raised:
        render(template, **options)
    assert message in str(raised.value)
    assert raised.value.row == 0
    assert render(template, max_steps=10**7, max_characters=10**8)


@pytest.mark.parametrize("name", ["max_steps", "max_characters"])
def test_limits_are_positive(name):
    with pytest.raises(DefinitionError, match=name):
        Jinja2(template="", **{name: 0})


@pytest.mark.parametrize(
    "template",
    ["(" * 5000 + "1" + ")" * 5000, "-" * 100_000 + "1", "[" * 3000 + "]" * 3000],
)
def test_a_template_that_is_nested_too_deep_is_refused(template):
    with pytest.raises(DefinitionError, match="nested too deep"):
        Jinja2(template="{{ " + template + " }}")
    loops = "{% for i in range(1) %}" * 200 + "{% endfor %}" * 200
    with pytest.raises(DefinitionError, match="nested too deep"):
        Jinja2(template=loops)


def test_every_filter_test_and_global_of_jinja_is_known():
    fresh = jinja2.sandbox.ImmutableSandboxedEnvironment()
    assert set(fresh.filters) == set(bounds.FILTERS) | set(LEFT_OUT)
    assert set(fresh.tests) == bounds.TESTS
    assert set(fresh.globals) == bounds.GLOBALS | {"lipsum"}
    assert set(bounds.SMALL) | set(bounds.TEXT_FILTERS) <= set(bounds.FILTERS)


def test_what_another_version_of_jinja_adds_is_refused(monkeypatch):
    monkeypatch.setitem(jinja2.filters.FILTERS, "fresh", lambda value: value * 10**10)
    environment.cache_clear()
    try:
        with pytest.raises(DefinitionError, match="No filter named 'fresh'"):
            Jinja2(template="{{ inputs.text|fresh }}")
    finally:
        environment.cache_clear()


# The methods that templates may not call, by the class of the value; a new one in a new Python is neither.
NOT_CALLED = {
    str: frozenset({"format", "format_map", "maketrans"}),  # the first two are wrapped by the sandbox
    bytes: frozenset({"fromhex", "maketrans"}),
    bool: frozenset(),
    int: frozenset({"from_bytes"}),
    float: frozenset({"fromhex", "from_number"}),
    Decimal: frozenset(
        (
            "as_integer_ratio",
            "compare_signal",
            "compare_total",
            "compare_total_mag",
            "fma",
            "from_float",
            "from_number",
            "logical_and",
            "logical_invert",
            "logical_or",
            "logical_xor",
            "max_mag",
            "min_mag",
            "next_minus",
            "next_plus",
            "next_toward",
            "radix",
            "remainder_near",
            "rotate",
            "same_quantum",
            "scaleb",
            "shift",
            "to_integral",
            "to_integral_exact",
            "to_integral_value",
        )
    ),
    list: frozenset({"append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"}),
    tuple: frozenset(),
    range: frozenset(),
    dict: frozenset({"clear", "fromkeys", "pop", "popitem", "setdefault", "update"}),
    datetime.datetime: frozenset(
        (
            "combine",
            "fromisocalendar",
            "fromisoformat",
            "fromordinal",
            "fromtimestamp",
            "now",
            "strptime",
            "today",
            "utcfromtimestamp",
            "utcnow",
        )
    ),
    datetime.date: frozenset(
        {"fromisocalendar", "fromisoformat", "fromordinal", "fromtimestamp", "strptime", "today"}
    ),
    datetime.time: frozenset({"fromisoformat", "strptime"}),
    datetime.timedelta: frozenset(),
    datetime.tzinfo: frozenset(),
}


@pytest.mark.parametrize("kind", list(bounds.METHODS), ids=lambda kind: kind.__name__)
def test_every_method_of_the_values_of_rows_is_known(kind):
    offered = {name for name in dir(kind) if not name.startswith("_") and callable(getattr(kind, name))}
    inherited = {
        name
        for base in kind.__mro__[1:]
        for name in (*bounds.METHODS.get(base, ()), *NOT_CALLED.get(base, ()))
    }
    known = set(bounds.METHODS[kind]) | NOT_CALLED[kind] | inherited
    assert offered <= known, sorted(offered - known)


@pytest.mark.parametrize(
    "template",
    [
        "{{ inputs.at.now() }}",
        "{{ inputs.at.fromtimestamp(0) }}",
        "{{ inputs.l.append(1) }}",
        "{{ {}.fromkeys([1]) }}",
        "{{ 'a'.maketrans({}) }}",
        "{{ (7).from_bytes(inputs.text.encode()) }}",
        "{{ inputs.at.strptime('', '') }}",
    ],
)
def test_methods_that_change_values_or_tell_the_time_are_refused(template):
    with pytest.raises(NodeError, match="SecurityError"):
        render(template)


@pytest.mark.parametrize(
    "shown",
    [
        *("cycler(1)", "inputs.text.upper", "range", "joiner()", "range(3)|map('string')", "namespace()"),
        *(
            "[range]",
            "{'a': joiner()}",
            "dict(a=joiner()).items()",
            "joiner()|string",
            "range|e",
            "range ~ 1",
        ),
        *("[joiner()]|join", "'%s' % joiner()", "'%s'|format(joiner())", "'{}'.format(joiner())", "dict"),
        *(
            "'{!r}'.format(range)",
            "'{0.upper}'.format('a')",
            "('{}'|e).format(joiner())",
            "[joiner()]|pprint",
        ),
        *("(','|e).join([joiner()])", "inputs.l|map(attribute='upper')|list", "joiner()|lower"),
    ],
)
def test_what_is_no_value_is_not_shown(shown):
    """It would be shown by its address in memory, which is another each time."""
    with pytest.raises(NodeError, match="a template shows values, and this is none: "):
        render(f"{{{{ {shown} }}}}")
    with pytest.raises(NodeError, match="a template shows values, and this is none: "):
        render(f"{{% autoescape true %}}{{{{ {shown} }}}}{{% endautoescape %}}")


@pytest.mark.parametrize("call", ["timestamp()", "astimezone()"])
def test_a_time_without_a_zone_is_not_taken_in_that_of_the_machine(call):
    with pytest.raises(NodeError, match="the time has no zone"):
        render(f"{{{{ inputs.at.{call} }}}}")
    row = {"at": AT.replace(tzinfo=datetime.UTC)}
    assert render("{{ inputs.at.timestamp() }}", row) == "978307200.0"


@pytest.mark.parametrize("format", ["%s", "%Y %s", "%-s", "%_s", "%10s", "%Es", "%%%s"])
@pytest.mark.parametrize(
    "call",
    [
        "inputs.at.strftime(F)",
        "inputs.at.strftime(format=F)",
        "inputs.at.date().strftime(F)",
        "inputs.at.time().strftime(F)",
        "('{:' ~ F ~ '}').format(inputs.at)",
        "(('{:' ~ F ~ '}')|e).format(inputs.at)",
    ],
)
@pytest.mark.parametrize("zone", [None, datetime.UTC])
def test_seconds_in_the_zone_of_the_machine_are_refused(format, call, zone):
    row = {"at": AT.replace(tzinfo=zone)}
    with pytest.raises(NodeError, match=r"zone of the machine; write \.timestamp\(\) of a time with a zone"):
        render(f"{{% set F = {format!r} %}}{{{{ {call} }}}}", row)


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        ("{{ inputs.at.strftime('%Y-%m-%d %%s') }}", "2001-01-01 %s"),
        ("{{ inputs.at.strftime('%-d %H:%M:%S') }}", "1 00:00:00"),
        ("{{ '{:%d.%m.%Y}'.format(inputs.at) }}", "01.01.2001"),
        ("{{ '%s' % inputs.at }}", "2001-01-01 00:00:00"),
        ("{{ '%s'|format(inputs.at) }}", "2001-01-01 00:00:00"),
    ],
)
def test_other_formats_of_times_are_as_in_python(template, shown):
    assert render(template, {"at": AT}) == shown


VALUES = [
    *("inputs.text", "inputs.n", "inputs.x", "inputs.l", "inputs.at", "inputs.d", "inputs.s", "inputs.none"),
    *("'a<b>'", "[1, 'a']", "{'a': 1}", "range(3)", "(1, 2)", "true", "2.5"),
]
CALLS = [
    *("upper", "lower", "title", "trim", "length", "string", "e", "join(', ')", "list", "first", "last"),
    *("replace('a', 'b')", "center(9)", "indent(2)", "truncate(3)", "wordwrap(5)", "wordcount", "tojson"),
    *(
        "round(1)",
        "int",
        "float",
        "abs",
        "sort",
        "unique|list",
        "reverse|list",
        "batch(2, 'x')|list",
        "items|list",
    ),
    *("slice(2)|list", "sum", "max", "min", "map('string')|list", "select|list", "reject|list", "urlencode"),
    *(
        "dictsort",
        "pprint",
        "format(1)",
        "striptags",
        "default('x', true)",
        "filesizeformat",
        "urlize",
        "xmlattr",
    ),
    *("capitalize", "count", "escape", "indent(2, true)", "center(3)", "sort(reverse=true)", "sum(start=2)"),
    *("replace('b', '')", "replace('a', 'aaaa', 1)", "trim('a ')", "tojson(indent=1)", "batch(2)|list"),
    *("slice(2, 'y')|list", "unique(true)|list", "map('upper')|list", "select('string')|list", "int(7)"),
    *("round(2, 'ceil')", "round(method='floor')", "truncate(5, end='..')", "wordwrap(3, false)", "d('y')"),
]
METHODS = [
    *(
        "upper()",
        "split()",
        "strip('a')",
        "ljust(9)",
        "replace('a', 'bb')",
        "join(inputs.l)",
        "encode().hex()",
    ),
    *(
        "format(1, 2)",
        "items()|list",
        "get('a')",
        "keys()|list",
        "isoformat()",
        "strftime('%Y')",
        "count('a')",
    ),
    *(
        "count('a')",
        "bit_length()",
        "hex()",
        "as_tuple()|list",
        "total_seconds()",
        "copy()",
        "index('a')",
        "is_integer()",
    ),
]

OF_TWO = [
    "{{ '{1} {0:>3}'.format(VALUE, OTHER) }}{{ '{}{}'.format(VALUE, OTHER) }}",
    "{{ VALUE == OTHER }}{{ VALUE != 7 }}{{ 'a' == OTHER }}",
    "{{ VALUE in OTHER }}{{ VALUE not in OTHER }}",
    "{{ VALUE in ('a', 7) }}{{ 'a' in OTHER }}{{ 1 < VALUE <= OTHER }}",
    "{{ 'x' + VALUE + OTHER + 'y' }}",
    "{{ VALUE + OTHER + VALUE }}{{ VALUE + 1 + OTHER }}",
    "{{ VALUE" + " + OTHER" * 20 + " }}",
    "{{ VALUE" + " ~ OTHER" * 20 + " }}",
    "{% set x = VALUE + OTHER + VALUE %}{{ x }}",
    "{% set x = 'a' ~ VALUE ~ 1 ~ OTHER %}{{ x }}",
    "{{ VALUE * OTHER }}",
    "{{ VALUE % OTHER }}{{ VALUE % 3 }}",
    "{{ '%s %5.1f' % (VALUE, OTHER) }}",
    "{{ '%s %r'|format(VALUE, OTHER) }}",
    "{{ '%(a)s'|format(a=VALUE) }}{{ '%s' % VALUE }}{{ '%d%%' % OTHER }}",
    "{{ VALUE.b[0] }}{{ OTHER['a'] }}{{ VALUE[0] }}",
    "{{ VALUE[-1] }}{{ OTHER[:2] }}{{ VALUE[1:] }}",
    "{{ VALUE.split('b')[0].strip('a ').startswith(OTHER) }}",
    "{{ VALUE.replace(' ', '--') }}{{ VALUE.replace('a', OTHER) }}",
    "{{ VALUE|replace(OTHER, '-') }}{{ VALUE|join(OTHER) }}",
    "{{ VALUE|default(OTHER, true) }}{{ [VALUE, OTHER]|tojson }}",
    "{{ [VALUE, OTHER]|join('-') }}{{ {'a': VALUE}|tojson }}",
    "{{ [{'r': VALUE}]|selectattr('r', 'equalto', OTHER)|map(attribute='r')|list }}",
    "{{ [VALUE]|reject('in', [OTHER])|list }}{{ VALUE|indent(OTHER) }}",
    "{{ VALUE|truncate(9, true, OTHER) }}{{ VALUE|trim(OTHER) }}",
    "{{ VALUE is eq OTHER }}{{ VALUE is in OTHER }}",
    "{% if VALUE %}{% set s = OTHER %}{% endif %}{{ s|default('none') }}",
    (
        "{% for i in [VALUE, OTHER] %}{{ loop.cycle('a', 'b') }}{{ loop.changed(i) }}"
        "{{ loop.last }}{{ loop.length }}{{ loop.previtem|default('-') }}{% endfor %}"
    ),
    "{% macro f(a, b=OTHER) %}{{ b }}{{ varargs }}{% endmacro %}{{ f(VALUE) }}{{ f(1, 2, VALUE) }}",
    "{% macro f(a) %}{{ caller(a) }}{% endmacro %}{% call(b) f(VALUE) %}{{ b }}{% endcall %}",
    (
        "{% set ns = namespace(a=VALUE, n=0) %}{% for i in OTHER %}{% set ns.a = i %}"
        "{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.a }}{{ ns.n }}"
    ),
    "{% with inputs = VALUE %}{{ inputs }}{% endwith %}{{ inputs.n }}",
    "{% for inputs in [VALUE] %}{{ inputs }}{% endfor %}",
    "{% set t %}{% for i in range(900) %}{{ i }},{% endfor %}{{ VALUE }}{% endset %}{{ t }}",
    "{% for i in VALUE if i == OTHER %}{{ i }}{% else %}none{% endfor %}",
    "{% filter upper %}{{ VALUE }}x{% endfilter %}{{ range(OTHER|length)|list }}",
    "{% for k, v in {'a': VALUE}.items() %}{{ k }}{{ v }}{% endfor %}{{ {'a': 1}.get(VALUE, OTHER) }}",
]


@settings(max_examples=600)
@given(
    st.sampled_from(VALUES),
    st.sampled_from(VALUES),
    st.sampled_from(CALLS),
    st.sampled_from(METHODS),
    st.data(),
)
def test_within_its_limits_it_renders_what_jinja_renders(value, other, call, method, data):
    template = data.draw(
        st.sampled_from(
            [
                *(text.replace("VALUE", value).replace("OTHER", other) for text in OF_TWO),
                f"{{{{ {value}|{call} }}}}",
                f"{{{{ [{value}, {other}]|map('{call.partition('(')[0].partition('|')[0]}')|join(',') }}}}",
                f"{{{{ {value}.{method} }}}}",
                f"{{% for i in {value} %}}{{{{ loop.index }}}}{{{{ i }}}}{{% endfor %}}",
                f"{{{{ {value} ~ {other} }}}}{{{{ {value} + {other} }}}}",
                f"{{{{ {value} * 3 }}}}{{{{ '%s' % ({value},) }}}}{{{{ [{value}, {other}] }}}}",
                f"{{% set x %}}{{{{ {value} }}}}{{% endset %}}{{{{ x|{call} }}}}",
                f"{{% macro f(a) %}}{{{{ a }}}}{{% endmacro %}}{{{{ f({value}) }}}}{{{{ f(1)|{call} }}}}",
                f"{{% for i in [{value}] recursive %}}{{{{ loop(i) if i is iterable }}}}{{% endfor %}}",
                f"{{{{ namespace(a={value}).a }}}}{{{{ dict(a={other}) }}}}{{{{ cycler({value}).next() }}}}",
                f"{{% autoescape true %}}{{{{ {value} }}}}{{{{ {value} ~ {other} }}}}{{% endautoescape %}}",
                f"{{{{ '{{!r:>30}} {{}}'.format({value}, {other}) }}}}",
            ]
        )
    )
    row = {**ROW, "d": Decimal("1.5"), "s": {"a": "x", "b": [1]}, "none": None}
    plain = jinja2.sandbox.ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined)
    try:
        expected = plain.from_string(template).render(inputs=row)
    except Exception:  # noqa: BLE001 - whatever Jinja does not render
        return
    try:
        found = render(template, row)
    except NodeError as error:
        found = str(error)
    refused = ("templates do not call", "a template shows values, and this is none")
    assert found == expected or any(said in found for said in refused), template


def test_quick_filters_take_what_those_of_jinja_take():
    for name, quick in filters.QUICK.items():
        own = jinja2.filters.FILTERS[name]
        taken = list(inspect.signature(quick(own, own)).parameters.values())
        if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in taken):
            continue  # it gives on whatever it is given
        value = 1 if hasattr(own, "jinja_pass_arg") else 0
        expected = list(inspect.signature(own).parameters.values())
        assert [(one.name, one.default) for one in taken[value + 1 :]] == [
            (one.name, one.default) for one in expected[value + 1 :]
        ], name


def test_the_turn_of_a_long_body_takes_more_steps():
    loop = "{% for i in range(50) %}" + "{{ i|upper }}" * 100 + "{% endfor %}"
    assert render(loop, max_steps=700)
    with pytest.raises(NodeError, match="more than 400 steps"):
        render(loop, max_steps=400)


def test_what_a_row_may_cost_does_not_hang_on_the_row_before():
    table = pa.table({"n": [200_000, 1]})
    template = "{% set x = 'a' * inputs.n %}{% for i in range(900) %}{% endfor %}{{ x|length }}"
    made = Jinja2(template=template, max_steps=6_000).call(features=flow_of(table.schema)).rendered
    assert evaluate(made, table).to_pylist() == ["200000", "1"]
    made = Jinja2(template=template, max_steps=3_000).call(features=flow_of(table.schema)).rendered
    with pytest.raises(NodeError) as raised:
        evaluate(made, table)
    assert raised.value.row == 0
    assert evaluate(made, table.slice(1)).to_pylist() == ["1"]


def test_a_row_of_many_short_values_is_large():
    row = {"l": [["a" * 90] * 90] * 90}
    template = "{% for i in range(1000) %}{{ 1 if inputs.l|tojson }}{% endfor %}"
    with pytest.raises(NodeError, match="LimitError"):
        render(template, row)


def test_steps_are_counted_anew_for_each_row_and_batch():
    table = pa.table({"n": [90] * 50})
    made = Jinja2(template="{% for i in range(inputs.n) %}{{ i }}{% endfor %}", max_steps=110)
    rows = evaluate(made.call(features=flow_of(table.schema)).rendered, table).to_pylist()
    assert rows == ["".join(map(str, range(90)))] * 50


def test_large_values_make_turns_dearer():
    """Each turn may compare or cut them, which takes no step of its own."""
    row = {"text": "a" * 5_000_000}
    template = "{% for i in range(100000) %}{{ 1 if inputs.text == inputs.text + '' }}{% endfor %}"
    with pytest.raises(NodeError, match="LimitError"):
        render(template, row)
    assert render("{% for i in range(3) %}{{ inputs.text|length }}{% endfor %}", row) == "5000000" * 3


def test_signatures_of_methods_are_those_that_their_bounds_read():
    for kind, name, place, parameter in [(int, "to_bytes", 0, "length"), (str, "expandtabs", 0, "tabsize")]:
        assert list(inspect.signature(getattr(kind, name)).parameters)[place + 1] == parameter
