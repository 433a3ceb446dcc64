"""Regular expressions against Python's `re`, over all of Unicode."""

from __future__ import annotations

import contextlib
import itertools
import re
import sys
import tracemalloc
import warnings

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from hyped_beam.errors import DefinitionError
from hyped_beam.processors.strings.regex.alphabet import Alphabet, AlphabetError
from hyped_beam.processors.strings.regex.expression import expression
from hyped_beam.processors.strings.regex.tree import Anchor, Chars, Choice
from hyped_beam.processors.strings.regular_expressions import group_names, template
from hyped_beam.testing import flow_of

EVERY_CHARACTER = "".join(chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000)

ATOMS = st.one_of(
    st.sampled_from(["a", "b", "B", "é", "ß", "k", "S", "新", "😀", " ", r"\n", "[ab]", "[^a]", "[a-zé]"]),
    st.sampled_from([".", r"\w", r"\W", r"\d", r"\D", r"\s", r"\S", r"[\w-]", r"[^\s\d]", r"[^\W_]"]),
    st.sampled_from(["(?i:k)", "(?i:ß)", "(?i:[a-z])", "(?a:\\w)", "(?s:.)"]),
)
ANCHORS = st.sampled_from(["^", "$", r"\A", r"\Z", r"\b", r"\B", "(?m:^)", "(?m:$)", ""])
QUANTIFIERS = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{0,2}", "{1,}", "*?", "+?", "??", "{1,2}?"])
FLAGS = st.sampled_from(["", "", "", "(?i)", "(?s)", "(?m)", "(?a)", "(?x)", "(?im)"])


def grown(inner):
    sequences = st.lists(inner, min_size=1, max_size=3).map("".join)
    choices = st.lists(sequences, min_size=1, max_size=3).map("|".join)
    groups = st.tuples(st.sampled_from(["(?:%s)", "(%s)"]), choices, QUANTIFIERS)
    return st.one_of(sequences, groups.map(lambda made: made[0] % made[1] + made[2]))


BODIES = st.recursive(
    st.one_of(st.builds(lambda atom, often: atom + often, ATOMS, QUANTIFIERS), ANCHORS), grown, max_leaves=6
)
PATTERNS = st.builds(lambda flags, body: flags + body, FLAGS, BODIES)
GROUPED = st.builds(lambda flags, first, second: f"{flags}({first}){second}", FLAGS, BODIES, BODIES)
TEXTS = st.lists(
    st.one_of(
        st.none(),
        st.text("abBkS 1_\n", max_size=8),
        st.text("abéß\u017f\u212aİ٣新😀 \n\x1c\x0b\x85_-", max_size=8),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    ),
    min_size=1,
    max_size=8,
)
MANY = settings(max_examples=150, suppress_health_check=[HealthCheck.filter_too_much])


def taken(pattern):
    """A pattern as `re` compiles it, where both take it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            compiled = re.compile(pattern)
        except (re.error, Warning):
            assume(condition=False)
    try:
        return compiled, expression(pattern)
    except DefinitionError:
        assume(condition=False)


def column(values, kind):
    return pa.array(["é before", *values, "after", None], kind).slice(1, len(values))


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
@MANY
@given(PATTERNS, TEXTS)
@example(r"\b\w+\b", ["müller ßa", "a b"])
@example(r"a$", ["a\n", "é a\n", "a\n\n", "a"])
@example(r"\B", ["", "a", "é"])
def test_matches(kind, pattern, values):
    compiled, ours = taken(pattern)
    assert ours.matches(column(values, kind)).to_pylist() == [
        None if value is None else bool(compiled.search(value)) for value in values
    ]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
@MANY
@given(PATTERNS, TEXTS)
@example("", ["ab", "é", ""])
@example("a*", ["baac", "éaa", None])
@example("a*?|b", ["ab", "éab"])
@example("(?m:^)|$", ["a\nb\n", "é\n"])
@example("(?:a|b|)" * 12, ["abab", "é"])
@example("(?:.*)+?", ["1"])
def test_split_and_count(kind, pattern, values):
    pattern = re.sub(r"\((?!\?)", "(?:", pattern)
    compiled, ours = taken(pattern)
    try:
        ours.check_spans()
    except DefinitionError:
        assume(condition=False)
    expected = [None if value is None else compiled.split(value) for value in values]
    assert ours.split(column(values, kind)).to_pylist() == expected
    assert ours.count_parts(column(values, kind)).to_pylist() == [
        None if parts is None else len(parts) for parts in expected
    ]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
@MANY
@given(PATTERNS | GROUPED, TEXTS, st.sampled_from(["", "-", r"<\g<0>>", r"\1|\1", r"\2\1é\\", r"\n"]))
@example(r"\w+@\w+\.\w+", ["müller@example.com", "a@b.c"], "-")
@example(r"(\b\w+)(?:(a)|$)", ["äa\n", "éa öa"], r"\2\1é\\")
@example(r"(a*)", ["baac", "éaab"], r"\1|\1")
def test_replace(kind, pattern, values, replacement):
    compiled, ours = taken(pattern)
    try:
        made = template(pattern, replacement)
    except DefinitionError:
        assume(condition=False)
    assert ours.replace(column(values, kind), made).to_pylist() == [
        None if value is None else compiled.sub(replacement, value) for value in values
    ]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
@MANY
@given(GROUPED, TEXTS)
@example("(a)?(b|)(é)*", ["", "b", "é", "abéé"])
def test_extract(kind, pattern, values):
    numbers = itertools.count()
    named = re.sub(r"\((?!\?)", lambda _: f"(?P<ñ{next(numbers)}>", pattern)
    compiled, ours = taken(named)
    try:
        names = group_names(named)
    except DefinitionError:
        assume(condition=False)
    found = [None if value is None else compiled.search(value) for value in values]
    assert ours.extract(column(values, kind), names).to_pylist() == [
        None if match is None else match.groupdict() for match in found
    ]


CLASSES = [r"\w", r"\W", r"\d", r"\D", r"\s", r"\S", ".", "(?s).", r"\b", r"\B", r"(?a)\w", r"(?a)\b", "[^é]"]
FOLDED = ["k", "[a-z]", "ß", "\u03c3", "[^a-zµ]", "\u0131", "[à-þ]"]


@pytest.mark.parametrize("pattern", [*CLASSES, *(f"(?i){one}" for one in FOLDED), "(?ai)k", "$", "(?m)^"])
def test_every_character(pattern):
    compiled = re.compile(pattern)
    for between in ("", "a"):
        values = [
            between.join(EVERY_CHARACTER[start : start + 99]) for start in range(0, len(EVERY_CHARACTER), 99)
        ]
        replaced = expression(pattern).replace(pa.array(values), template(pattern, "<>"))
        assert replaced.to_pylist() == [compiled.sub("<>", value) for value in values]


def test_more_characters_told_apart_than_there_are_letters():
    words = [chr(0x4E00 + number) for number in range(2000)]
    pattern = rf"\b(?:{'|'.join(words)})\b$"
    values = ["一", "a一", "a 一", "一\n", "龥", "丁 七\n", "", None]
    assert expression(pattern).matches(pa.array(values)).to_pylist() == [
        None if value is None else bool(re.search(pattern, value)) for value in values
    ]
    made = template(pattern, "<>")
    assert expression(pattern).replace(pa.array(values), made).to_pylist() == [
        None if value is None else re.sub(pattern, "<>", value) for value in values
    ]


SINGLE = [((code, code),) for code in range(0x4E00, 0x4E00 + 20_000)]
OTHERS = [((0, code - 1), (code + 1, sys.maxunicode)) for code in range(0x4E00, 0x4E00 + 20_000)]


@pytest.mark.parametrize(
    ("sets", "often", "is_taken"),
    [(SINGLE[:4000], 1, True), (SINGLE, 1, False), (OTHERS, 1, False), (OTHERS[:500], 100, False)],
)
def test_memory_does_not_grow_with_the_square_of_the_characters_told_apart(sets, often, is_taken):
    tree = Choice((*(Chars(ranges) for ranges in sets * often), Anchor.BOUNDARY))
    Alphabet(Anchor.BOUNDARY)  # what is known of all characters
    tracemalloc.start()
    try:
        with contextlib.nullcontext() if is_taken else pytest.raises(AlphabetError, match="too many"):
            Alphabet(tree)
        assert tracemalloc.get_traced_memory()[1] < 96 << 20
    finally:
        tracemalloc.stop()


def test_time_does_not_grow_with_what_could_match():
    # `re` would try 2 ** 2000 ways.
    values = ["é" + "a" * 2000 + "!\n", "a" * 2000 + "!"]
    assert expression(r"\b(?:\w+\s?)+$").matches(pa.array(values)).to_pylist() == [False, False]


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("(?=a)b", "look-around"),
        ("(?<!a)b", "look-around"),
        (r"(a)\1", "back-references"),
        (r"(?P<a>b)(?P=a)", "back-references"),
        ("a++", "possessive"),
        ("(?>a)", "atomic"),
        ("(a)?(?(1)b|c)", "conditional"),
        (r"a\z", r"\Z"),
        (r"\pL", r"[^\W\d_]"),
        (r"(?<name>a)", "(?P<name>"),
        (r"\x{20ac}", r"\u20ac"),
        (r"\Qa.b\E", "re.escape"),
        ("[[:alpha:]]", "[:alpha:]"),
        ("(a", "Python's re"),
        ("a{1001}", "1,000"),
        ("(?m:^)a$", "apart"),
        (r"\b(?a:\b)", "apart"),
        ("(" * 4000 + ")" * 4000, "at most 100 others"),
    ],
)
def test_what_is_not_taken_is_refused_where_it_is_written(pattern, hint):
    text = flow_of(pa.schema({"text": pa.string()})).text
    with pytest.raises(DefinitionError) as error:
        text.matches(pattern)
    assert hint in error.value.hint
    assert error.value.site.file == __file__


@pytest.mark.parametrize(
    "pattern", ["(?:$|a)*", r"(?:\b|a)+", "(?:a??|b){2,3}c", "(?:^|a){2}", "(?:.*)+?", "(?:a*?)+b"]
)
def test_repeated_parts_on_which_the_engines_differ(pattern):
    text = flow_of(pa.schema({"text": pa.string()})).text
    try:
        ours = expression(pattern)
    except DefinitionError:
        with pytest.raises(DefinitionError, match="can be empty"):
            text.matches(pattern)
        return
    values = ["", "a", "aac", "éa", "bac", "a\n"]
    replaced = ours.replace(pa.array(values), template(pattern, "-")).to_pylist()
    assert replaced == [re.sub(pattern, "-", value) for value in values]


def test_groups_on_which_the_engines_differ_are_refused():
    text = flow_of(pa.schema({"text": pa.string()})).text
    with pytest.raises(DefinitionError, match="can be empty"):
        text.replace_regex("(a*)*", r"\1")
    with pytest.raises(DefinitionError, match="can be empty"):
        text.extract("(?:(?P<a>a*)b?)*")
    text.replace_regex("(a*)*", "-")
