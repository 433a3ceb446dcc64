"""Templates that would fill the memory or run for ever; each is an error within its bounds."""

from __future__ import annotations


def grown(start, step, turns=100):
    """A template that makes a value again and again of what it was."""
    return (
        f"{{% set ns = namespace(x={start}) %}}{{% for i in range({turns}) %}}"
        f"{{% set ns.x = {step} %}}{{% endfor %}}{{{{ ns.x|string|length }}}}"
    )


BOMBS = [
    "{{ 'a'|center(10**10) }}",
    "{{ 'a'.center(10**10) }}",
    "{{ 'a'.ljust(10**10) }}",
    "{{ 'a'.rjust(10**10) }}",
    "{{ 'a'.zfill(10**10) }}",
    "{{ ('\\t' * 1000).expandtabs(10**8) }}",
    "{{ '%10000000000d'|format(1) }}",
    "{{ '%10000000000d' % 1 }}",
    "{{ '%.10000000000f' % 1.0 }}",
    "{{ '%*d' % (10**10, 1) }}",
    "{{ '%.*f' % (10**10, 1.0) }}",
    "{{ '%*d'|format(10**10, 1) }}",
    "{{ '{:10000000000}'.format(1) }}",
    "{{ '{:.10000000000f}'.format(1.0) }}",
    "{{ '{:{}}'.format(1, 10**10) }}",
    "{{ '{a:10000000000}'.format_map({'a': 1}) }}",
    "{{ ('{0}' * 100000).format('a' * 100000) }}",
    "{{ ('a\\n' * 1000)|indent(10**9) }}",
    "{{ ('a\\n' * 1000)|indent('b' * 1000000) }}",
    "{{ ('a' * 100000)|replace('a', 'b' * 100000) }}",
    "{{ ('a' * 100000).replace('a', 'b' * 100000) }}",
    "{{ ('a' * 100000)|replace('', 'b' * 100000) }}",
    "{{ range(100000)|join('a' * 100000) }}",
    "{{ ('a' * 100000).join(inputs.text * 1000) }}",
    "{{ inputs.l|batch(10**9, 'x')|list }}",
    "{{ inputs.l|slice(10**9)|list|length }}",
    "{{ inputs.l|slice(10**9, 'x')|list|length }}",
    "{{ ('a ' * 100000)|wordwrap(1, wrapstring='b' * 100000) }}",
    "{{ ('http://a.b ' * 100000)|urlize(rel='b' * 100000) }}",
    "{{ {'a': inputs.l}|tojson(indent=10**9) }}",
    "{{ 1.5|round(10**9, 'ceil') }}",
    "{{ (7).to_bytes(10**10, 'big') }}",
    "{{ 'a'.translate({97: 'b' * 1000000}) * 1000 }}",
    "{{ ('a' * 1000000).translate({97: 'b' * 1000000}) }}",
    "{{ ('9' * 1000000)|int(base=16) }}",
    "{{ 2 ** 100000 }}",
    "{{ 'a' * 10**10 }}",
    "{{ [1] * 10**10 }}",
    "{{ ('a' * 1000000).encode('punycode') }}",
    "{{ ('a' * 1000000).encode().decode('idna') }}",
    "{{ ('<!---->' * 1000000)|striptags }}",
    "{{ ('a' * 1000000)|wordwrap(1) }}",
    grown("'a'", "ns.x ~ ns.x"),
    grown("'a'", "ns.x + ns.x"),
    grown("'ab'", "ns.x|replace('a', 'aa')"),
    grown("'ab'", "ns.x.replace('a', 'aa')"),
    grown("'a'", "'%s%s' % (ns.x, ns.x)"),
    grown("'a'", "'{0}{0}'.format(ns.x)"),
    grown("'a'", "[ns.x, ns.x]|join"),
    grown("[1]", "ns.x + ns.x"),
    grown("[1]", "[ns.x, ns.x]"),
    grown("(1,)", "(ns.x, ns.x)"),
    grown("{}", "{'a': ns.x, 'b': ns.x}"),
    grown("{}", "dict(a=ns.x, b=ns.x)"),
    grown("[1]", "cycler(ns.x, ns.x).items"),
    grown("[1]", "[ns.x]|batch(2, ns.x)|list"),
    grown("7", "ns.x * ns.x"),
    grown("7", "ns.x ** 2"),
    (
        "{% set ns = namespace(a=[1], b=[1]) %}{% for i in range(60) %}"
        "{% set ns.a = [ns.a, ns.a] %}{% set ns.b = [ns.b, ns.b] %}{% endfor %}{{ ns.a == ns.b }}"
    ),
    "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
    "{% for i in range(100000) %}{{ 'a' * 10000 }}{% endfor %}",
    "{% for i in range(100000) %}" + "a" * 1000 + "{% endfor %}",
    "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "{% macro f(x) %}{{ x }}{{ x }}{% endmacro %}" + grown("'a'", "f(ns.x)"),
    (
        "{% macro f() %}{% set ns.x = varargs %}{% endmacro %}{% set ns = namespace(x=[1]) %}"
        "{% for i in range(60) %}{{ f(ns.x, ns.x) }}{% endfor %}{{ ns.x }}"
    ),
    (
        "{% set ns = namespace(x='a') %}{% for i in range(60) %}{% set y %}{{ ns.x }}{{ ns.x }}{% endset %}"
        "{% set ns.x = y %}{% endfor %}"
    ),
    "{% for i in [1] recursive %}{{ loop([1, 1]) if loop.depth < 60 }}{% endfor %}",
    "{% filter center(10**10) %}a{% endfilter %}",
    "{% for i in range(100000) %}{{ 'a' * 1000000 == 'a' * 1000000 }}{% endfor %}",
    "{% for x in range(100000)|map('center', 1000) %}{% for y in range(100000) %}{% endfor %}{% endfor %}",
    "{{ range(100000)|map('string')|map('center', 100000)|join }}",
    "{{ range(100000)|map('list')|list }}",
    "{{ [[1] * 100000] * 100000 }}",
    *(
        f"{{{{ (({template!r}*5000) {given})|length }}}}"
        for template, given in [
            ("%(a)s", "% {'a': 'x' * 1000000}"),
            ("%(a)s", "|format(a='x' * 1000000)"),
            ("%(a)r", "% {'a': inputs.text * 4000}"),
            ("%(a)5s%%", "|format(a='x' * 1000000)"),
            ("%(a)s", "|e|format(a='x' * 1000000)"),
            ("{0}", ".format('x' * 1000000)"),
            ("{a!r}", ".format(a='x' * 1000000)"),
        ]
    ),
    "{{ (('{0}'|e) * 5000).format('x' * 1000000)|length }}",
    "{{ (('{a}'|e) * 5000).format_map({'a': 'x' * 1000000})|length }}",
    "{% for i in range(100000) %}{{ 1 if 'x' in range(100000) }}{% endfor %}",
    "{% for i in range(100000) %}{{ 1 if 'x' not in range(100000) }}{% endfor %}",
    "{% for i in range(100000) %}{{ 1 if 'x' is in(range(100000)) }}{% endfor %}",
    "{% set l = range(100000)|list %}{% for i in range(100000) %}{{ 1 if 'x' in l }}{% endfor %}",
    "{% set l = range(100000)|list %}{% for i in range(100000) %}{{ 1 if l == l + [] }}{% endfor %}",
    "{% set l = range(100000)|list %}{% set m = l + [] %}{% for i in l %}{{ 1 if l is eq(m) }}{% endfor %}",
    "{% for i in range(100000) %}{{ 1 if range(100000)|sum }}{% endfor %}",
    "{% for i in range(100000) %}{{ 1 if range(100000)|max }}{% endfor %}",
    "{% for i in range(100000) %}{{ 1 if range(100000)|join }}{% endfor %}",
    "{% for i in range(100000) %}{{ 1 if range(100000).count('x') }}{% endfor %}",
    "{% for i in range(100000) %}{{ 1 if cycler(*range(100000)) }}{% endfor %}",
    "{% for i in range(100000) %}{{ '{}'.format(*range(100000)) }}{% endfor %}",
    "{% set c = range(100000)|map('string')|join %}{{ ('x' * 5000000)|trim('y' * 4000000 ~ 'x') }}",
    "{{ ('x' * 5000000).strip('y' * 4000000 ~ 'x') }}",
    "{{ ('x' * 5000000).rstrip('y' * 4000000 ~ 'x') }}",
    "{% for i in range(100000) %}{{ ('x' * 900)|trim('y' * 900 ~ 'x') }}{% endfor %}",
    "{{ (' ' * 1000000)|wordwrap(1) }}",
    "{{ '%d' % (inputs.d ** 999999) }}",
    "{{ '%(a)d' % {'a': inputs.d ** 999999} }}",
    "{{ '%i'|format(inputs.d ** 999999) }}",
    "{{ (inputs.d ** 999999)|round(2, 'floor') }}",
    "{{ (inputs.d ** 999999)|round(2, 'ceil') }}",
    "{% for i in range(100000) %}{{ 1 if '{:f}'.format(inputs.d ** 999999) }}{% endfor %}",
    "{% for i in range(100000) %}{{ 1 if 7 ** 5000|string }}{{ (7 ** 5000)|string|length }}{% endfor %}",
    "{% set z = 7 ** 5000 %}{% for i in range(100000) %}{{ '%s' % z|string|length }}{% endfor %}",
    "{% for i in range(1000) %}{{ [7 ** 5000] * 1000 }}{% endfor %}",
    "{{ ([[1] * 1000] * 1000)|sum(start=[])|length }}{{ ([[1]] * 100000)|sum(start=[])|length }}" * 20,
]

TURNS = "{% for i in range(100000) %}{% for j in range(20) %}"
ENDS = "{% endfor %}{% endfor %}"
LONG = "{% set t = 'ab' * 4900 %}"  # as long as is put together without steps
AS_LONG = "{% set u = 'ab' * 4900 %}"
SHORT = "{% set t = 'ab' * 490 %}"  # as long as costs no steps in quick filters and methods
SHORTCUTS = [  # each does again and again, or to much, what costs no steps of its own when it is done once
    LONG + TURNS + "{% if t + t %}{% endif %}" * 9 + ENDS,
    LONG + TURNS + "{% if t ~ t ~ j %}{% endif %}" * 9 + ENDS,
    LONG + AS_LONG + TURNS + "{% if t == u %}{% endif %}" * 9 + ENDS,
    "{% for i in range(100000) %}" + "{% if inputs.text|upper %}{% endif %}" * 1000 + "{% endfor %}",
    "{% for i in [1] * 50000 recursive %}" + "{% if inputs.text|upper %}{% endif %}" * 1000 + "{% endfor %}",
    "{% macro f() %}"
    + "{% if inputs.text|upper %}{% endif %}" * 1000
    + "{% endmacro %}"
    + TURNS
    + "{{ f() }}"
    + ENDS,
    (
        "{% macro f() %}{{ caller() }}{% endmacro %}"
        + TURNS
        + "{% call f() %}"
        + "{% if inputs.text|upper %}{% endif %}" * 1000
        + "{% endcall %}"
        + ENDS
    ),
    "{% set x = 'a' * 9000000 %}{{ (" + " + ".join(["x"] * 100) + ")|length }}",
    "{% set x = 'a' * 9000000 %}{{ (" + " ~ ".join(["x"] * 1000) + ")|length }}",
    "{% set x = [1] * 300000 %}{{ (" + " + ".join(["x"] * 100) + ")|length }}",
    "{% set x = 'a' * 9000000 %}" + "{{ x }}" * 1000,
    "{% set x = 'a' * 90000 %}" + "{{ x }}" * 1000,
    LONG + "{% for i in range(100000) %}{{ t + i|string }}{% endfor %}",
    LONG + "{% set x %}{% for i in range(100000) %}{{ t + i|string }}{% endfor %}{% endset %}",
    "{% set x %}" + TURNS + "{{ i }}{{ j }}" * 4 + ENDS + "{% endset %}",
    SHORT + "{% macro f() %}" + TURNS + "{{ t|upper }}" + ENDS + "{% endmacro %}{{ f() }}",
    SHORT + "{% filter upper %}" + TURNS + "{{ t|upper }}" + ENDS + "{% endfilter %}",
    SHORT + "{% for i in range(100000) recursive %}{{ t|upper }}{% endfor %}",
    grown("'a'", "ns.x + 'a' + ns.x"),
    grown("'a'", "'' ~ ns.x ~ '' ~ ns.x"),
    grown("'aaaaaaaa'", "ns.x|replace('a', 'bbbbbbbb')|replace('b', 'aaaaaaaa')"),
    grown("'a'", "ns.x.replace('a', 'bb').replace('b', 'aa')"),
    grown("'a'", "ns.x|replace('a', 'b' * 32)|replace('b', 'a' * 32)"),
    grown("'a'", "ns.x|indent(32, first=true)", turns=100_000),
    grown("'a'", "[ns.x, ns.x]|tojson"),
    grown("'a'", "(ns.x|list + ns.x|list)|map('upper')|join"),
    grown("'a'", "'%s %s' % (ns.x, ns.x)"),
    grown("'a'", "'{} {}'.format(ns.x, ns.x)"),
    grown("'a'", "'%s%s'|format(ns.x, ns.x)"),
    grown("[1]", "[ns.x, 1]", turns=100_000),
    grown("[]", "ns.x + [ns.x]"),
    grown("{}", "{'a': ns.x, 'b': [ns.x]}"),
    grown("2", "ns.x * ns.x * ns.x"),
    grown("2.0", "ns.x|int * ns.x|int"),
    SHORT + "{% set n = 'b' ~ 'ab' * 200 %}" + TURNS + "{% if n in t %}{% endif %}" * 9 + ENDS,
    SHORT + "{% set n = 'b' ~ 'ab' * 200 %}" + TURNS + "{% if t.find(n) %}{% endif %}" * 9 + ENDS,
    SHORT + TURNS + "{% if t.split('b') %}{% endif %}" * 40 + ENDS,
    SHORT + TURNS + "{% if t|replace('b', 'aaaaaaaa') %}{% endif %}" * 40 + ENDS,
    SHORT + TURNS + "{% if t|title %}{% endif %}" * 20 + ENDS,
    "{% set t = 'ab' * 9900 %}" + TURNS + "{% if t.split('b') %}{% endif %}" + ENDS,
    "{% set t = 'ab' * 9900 %}" + TURNS + "{% if t|replace('b', 'c') %}{% endif %}" + ENDS,
    "{% set t = 'a<' * 480 %}" + TURNS + "{% if t|e %}{% endif %}" * 20 + ENDS,
    "{% set t = 'a\n' * 480 %}" + TURNS + "{% if t|indent(32) %}{% endif %}" + ENDS,
    "{% set t = 'a ' * 480 %}" + TURNS + "{% if t|wordwrap(1) %}{% endif %}" + ENDS,
    "{% set t = '<a' * 480 %}" + TURNS + "{% if t|striptags %}{% endif %}" + ENDS,
    "{% set t = 'a.b ' * 240 %}" + TURNS + "{% if t|urlize %}{% endif %}" + ENDS,
    "{% set l = ['ab'] * 5000 %}" + TURNS + "{% if l|sort %}{% endif %}" + ENDS,
    "{% set l = ['ab'] * 5000 %}" + TURNS + "{% if l|unique|list %}{% endif %}" + ENDS,
    "{% set l = ['ab'] * 5000 %}" + TURNS + "{% if l|batch(2)|list %}{% endif %}" + ENDS,
    "{% set l = ['ab'] * 5000 %}" + TURNS + "{% if l|slice(2)|list %}{% endif %}" + ENDS,
    "{% set l = ['ab'] * 5000 %}" + TURNS + "{% if l|reverse|list %}{% endif %}" + ENDS,
    "{% set l = ['ab'] * 5000 %}" + TURNS + "{% if l|list %}{% endif %}" + ENDS,
    "{% set l = ['ab'] * 5000 %}" + TURNS + "{% if l|join %}{% endif %}" + ENDS,
    "{% set l = ['ab'] * 5000 %}" + TURNS + "{% if l|map('upper')|list %}{% endif %}" + ENDS,
    "{% set l = ['ab'] * 5000 %}" + TURNS + "{% if l|select('equalto', 'x')|list %}{% endif %}" + ENDS,
    "{% set l = ['ab'] * 5000 %}" + TURNS + "{% if 'x' in l %}{% endif %}" + ENDS,
    "{% set l = ['ab'] * 5000 %}" + TURNS + "{% if l|tojson %}{% endif %}" + ENDS,
    "{% set l = [1] * 5000 %}" + TURNS + "{% if l|sum %}{% endif %}" + ENDS,
    "{% set l = ['x' * 999] * 32 %}" + TURNS + "{% if l|reverse|list|batch(1)|list %}{% endif %}" * 9 + ENDS,
    "{% set l = [7] * 32 %}" + TURNS + "{% if l|sum %}{% endif %}" * 40 + ENDS,
    "{% set l = ['x' * 999] * 32 %}" + grown("[]", "ns.x + l|reverse|list"),
    "{% set l = ['x' * 900] * 10000 %}{% set ns = namespace(x=[]) %}"
    + TURNS
    + "{% set ns.x = l|map('upper')|list %}"
    + ENDS,
    "{{ " + "range(100000)" + "|map('string')" * 90 + "|list|length }}",
    "{% for i in range(100000) %}{{ 1 if inputs.m|tojson }}{% endfor %}",
]
BOMBS += SHORTCUTS
