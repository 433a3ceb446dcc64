"""Regular expressions that are long, deep or repetitive mean what they mean in `re`, or are refused."""

from __future__ import annotations

import json
import re

import pyarrow as pa
import pytest

from hyped_beam.dsl.flow import DataFlow
from hyped_beam.errors import DefinitionError, InputError
from hyped_beam.processors.strings.regex import tree
from hyped_beam.processors.strings.regex.emptiness import options_of
from hyped_beam.processors.strings.regex.expression import expression
from hyped_beam.processors.strings.regex.tree import Chars, every, parse
from hyped_beam.processors.strings.regular_expressions import template
from hyped_beam.processors.strings.splitting import CountRegexParts
from hyped_beam.testing import flow_of

VALUES = ["", "w7", "a b", "é w19 a\n", "abab", "ababé"]
DEEP = ["(" * 500 + ")" * 500, "(?:" * 150 + "a" + "b)*" * 150, "(" * 101 + "a" + ")" * 101]
DOUBLED = "(?:" * 40 + "a" + "b|)+?" * 40
MANY_WAYS = ["a?" * 300, r"(?:\b|^|$|\B)" * 5000, r"(?:\b|a)" * 300]


@pytest.mark.parametrize(
    "pattern",
    [
        r"\b" * 1000,
        r"(\b)" * 500,
        r"\b^\b" * 5000,
        r"\b(?:" + "|".join(f"w{number}" for number in range(2000)) + r")\b|",
        "|".join(f"w{number}" for number in range(5000)),
        "abab" * 25_000 + "|w7",
        "(" * 90 + "a" + ")" * 90,
        "(?:" * 90 + "a" + "b)*" * 90,
        "a?" * 50 + "b" * 10,
    ],
)
def test_what_is_large_means_what_it_means_in_re(pattern):
    ours, made, compiled = expression(pattern), template(pattern, "-"), re.compile(pattern)
    texts = pa.array(VALUES)
    assert ours.matches(texts).to_pylist() == [bool(compiled.search(value)) for value in VALUES]
    assert ours.replace(texts, made).to_pylist() == [compiled.sub("-", value) for value in VALUES]
    parts = [len(compiled.findall(value)) + 1 for value in VALUES]
    assert ours.count_parts(texts).to_pylist() == list(map(len, ours.split(texts).to_pylist())) == parts


@pytest.mark.parametrize("pattern", [*DEEP, DOUBLED])
def test_what_is_too_large_is_refused_where_it_is_written(pattern):
    text = flow_of(pa.schema({"text": pa.string()})).text
    for written in (
        lambda: text.matches(pattern),
        lambda: text.extract(f"(?P<a>{pattern})"),
        lambda: text.replace_regex(pattern, "-"),
        lambda: text.split_regex(f"b{pattern}"),
    ):
        with pytest.raises(DefinitionError, match=r"is not a regular expression: (it is nested|a repeated)"):
            written()


@pytest.mark.parametrize("pattern", MANY_WAYS)
def test_too_many_ways_to_match_empty_text_are_refused(pattern):
    text = flow_of(pa.schema({"text": pa.string()})).text
    for written in (lambda: text.replace_regex(pattern, "-"), lambda: text.split_regex(pattern)):
        with pytest.raises(DefinitionError, match=r"too many ways|does not take it"):
            written()
    with pytest.raises(DefinitionError, match=r"too many ways|does not take it"):
        CountRegexParts(pattern=pattern)


@pytest.mark.parametrize("depth", [200, 700])
def test_depth_is_refused_from_within_many_calls(depth):
    def called(left):
        return called(left - 1) if left else expression("(?:" * 99 + f"a{depth}" + "b)*" * 99)

    try:
        called(depth)
    except DefinitionError as error:
        assert "nested too deeply" in str(error)  # noqa: PT017 - or taken, by how deep the stack may be


@pytest.mark.parametrize(
    "body",
    ["ab", "^ab", r"\w", r"^\w", r"\d\S", r"^\s\-é", "b-ya-ca", "^\0-\U0010ffff", "^a", "新-", r"^\W\d"],
)
@pytest.mark.parametrize("flags", ["", "(?a)"])
def test_sets_are_those_of_re(body, flags):
    pattern = f"{flags}[{body}]"
    characters = [chr(code) for code in range(0x110000)]
    (chars,) = [part for part in every(parse(pattern).tree) if isinstance(part, Chars)]
    ours = {code for first, last in chars.ranges for code in range(first, last + 1)}
    is_one = re.compile(pattern).match
    assert ours == {code for code, character in enumerate(characters) if is_one(character)}
    assert list(chars.ranges) == sorted(chars.ranges)


def test_sets_are_read_without_a_look_at_every_character(monkeypatch):
    asked = []
    spans = tree._spans
    monkeypatch.setattr(tree, "_spans", lambda *given: asked.append(given) or spans(*given))
    parse("".join(f"[{chr(0x3400 + number)}é][^{chr(0x3400 + number)}]" for number in range(1000)))
    assert len(asked) == 0


def test_anchors_that_repeat_are_looked_at_once():
    (option,) = options_of(parse(r"\b^" * 1000).tree)
    assert len(list(every(option.tree))) <= 3


@pytest.mark.parametrize("pattern", [*DEEP, DOUBLED, *MANY_WAYS])
def test_in_a_saved_flow_they_are_refused(tmp_path, pattern):
    flow = DataFlow(features={"text": "string"})
    built, _ = flow.build(collect={"out": flow.src_features.text.replace_regex("PATTERN", "-")})
    built.save(tmp_path / "flow.json")
    saved = (tmp_path / "flow.json").read_text().replace('"PATTERN"', json.dumps(pattern))
    (tmp_path / "flow.json").write_text(saved)
    with pytest.raises(InputError, match="is not a regular expression"):
        DataFlow.load(tmp_path / "flow.json")


def test_too_many_sets_without_case_are_refused():
    sets = "".join(f"[{chr(0x4E00 + number)}a]" for number in range(101))
    assert parse(f"(?i){sets[: 4 * 100]}")
    assert parse(sets)
    with pytest.raises(DefinitionError, match="more than 100 different sets in which case does not count"):
        parse(f"(?i){sets}")
