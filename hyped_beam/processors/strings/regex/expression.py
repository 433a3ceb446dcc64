"""A regular expression that runs: which rows RE2 reads as they are, and which in a small alphabet."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.processors.strings.buffers import RowBytes, integers
from hyped_beam.processors.strings.regex.alphabet import LINE_BREAK, WORD_ANCHORS, Alphabet, AlphabetError
from hyped_beam.processors.strings.regex.coded import Coded, Places, pieces
from hyped_beam.processors.strings.regex.emptiness import (
    EmptyTurnsError,
    Option,
    TooManyOptionsError,
    bounded,
    in_empty_repeats,
    is_always_empty,
    may_be_empty,
    optional_groups,
    options_of,
    without_empty_turns,
)
from hyped_beam.processors.strings.regex.re2 import ANCHORS, NEVER, Dialect, class_of, written
from hyped_beam.processors.strings.regex.spans import Spans, groups_of, spans_of
from hyped_beam.processors.strings.regex.tree import (
    LESS_DEEP,
    TOO_DEEP,
    Anchor,
    Chars,
    Choice,
    Group,
    Ranges,
    Tree,
    every,
    is_deep,
    merged,
    parse,
    refusal,
)

_LAST_ASCII = 0x7F
_LAST_CODE = 0x10FFFF
_NO_BOUNDARIES = {Anchor.NO_BOUNDARY, Anchor.ASCII_NO_BOUNDARY}
_SEPARATOR = b"\xff"  # no byte of UTF-8
_MOST_REFERENCES = 9
_NEVER_EMPTY = "write the part so that it always matches something: + in place of * in it"

_AS_IT_IS, _RECODED, _EMPTY = range(3)


@dataclass(frozen=True)
class Template:
    """What matches are replaced by: literal texts, and groups by their numbers."""

    parts: tuple[str | int, ...]

    @property
    def groups(self) -> frozenset[int]:
        """The groups in it; 0 is the whole match."""
        return frozenset(part for part in self.parts if isinstance(part, int))


class Expression:
    """A regular expression with the meaning that it has in Python's `re`.

    Args:
        pattern: The expression.

    Attributes:
        pattern: The expression.
        names: The numbers of its groups that have a name.
        groups: The number of its groups.

    Raises:
        DefinitionError: It is none, or RE2 cannot match it.
    """

    def __init__(self, pattern: str) -> None:
        parsed = parse(pattern)
        self.pattern, self.names, self.groups = pattern, parsed.names, parsed.groups
        self._unclear = in_empty_repeats(parsed.tree)
        self._tree = self._without_empty_turns(parsed.tree)
        if is_deep(self._tree):
            raise refusal(pattern, TOO_DEEP, LESS_DEEP)
        self._anchors = {part for part in every(self._tree) if isinstance(part, Anchor)}
        sets = {part.ranges for part in every(self._tree) if isinstance(part, Chars)}
        self._reads_all = not self._anchors & set(WORD_ANCHORS) and all(map(_is_about_ascii, sets))
        self._plain = Dialect(_plain_class, ANCHORS)
        never = dict.fromkeys(_NO_BOUNDARIES, NEVER) if re.search(r"\B", "") is None else {}
        self._of_nothing = Dialect(_plain_class, ANCHORS | never)
        self._is_mixed = may_be_empty(self._tree) and not is_always_empty(self._tree)
        self._check(self._tree)

    def _without_empty_turns(self, tree: Tree) -> Tree:
        try:
            return without_empty_turns(tree)
        except (EmptyTurnsError, TooManyOptionsError):
            raise refusal(
                self.pattern, "a repeated part can be empty, of which RE2 takes another turn", _NEVER_EMPTY
            ) from None

    def _check(self, tree: Tree) -> None:
        dialects = [self._plain]
        if not self._reads_all or Anchor.LAST in self._anchors:
            dialects.append(self._alphabet.dialect)
        for dialect in dialects:
            try:
                pc.match_substring_regex(pa.array([""]), written(tree, dialect))
            except pa.ArrowInvalid as error:
                problem = str(error).removeprefix("Invalid regular expression: ")
                hint = (
                    "RE2 repeats at most 1,000 times, inner and outer repeats together, and bounds the size"
                )
                raise refusal(self.pattern, f"RE2 does not take it: {problem:.200}", hint) from None

    @functools.cached_property
    def _alphabet(self) -> Alphabet:
        try:
            return Alphabet(self._tree)
        except AlphabetError as error:
            raise refusal(self.pattern, str(error), "match the parts apart, and combine them") from None

    def _groups(self, numbers: frozenset[int]) -> list[Group]:
        return [part for part in every(self._tree) if isinstance(part, Group) and part.number in numbers]

    def check_groups(self, numbers: frozenset[int]) -> None:
        """Refuse groups whose match RE2 does not find as `re` does.

        Raises:
            DefinitionError: One of them is in a repeated part that can be empty.
        """
        if numbers & self._unclear:
            raise refusal(
                self.pattern,
                "a group that is used is in a repeated part that can be empty",
                _NEVER_EMPTY,
            )

    def check_spans(self) -> None:
        """Refuse what has too many ways to match empty text for its matches to be found one after another.

        Raises:
            DefinitionError: It has.
        """
        _ = self._options

    @functools.cached_property
    def _options(self) -> list[Option]:
        """The ways in which it matches, checked."""
        try:
            options = options_of(self._tree)
            if may_be_empty(self._tree):
                self._check(bounded(Choice(tuple(option.tree for option in options))))
        except TooManyOptionsError:
            raise refusal(
                self.pattern,
                "it has too many ways to match empty text",
                _NEVER_EMPTY,
            ) from None
        return options

    def matches(self, text: pa.Array) -> pa.Array:
        """Whether it matches anywhere in each text."""

        def run(coded: Coded) -> pa.Array:
            return pc.match_substring_regex(coded.read, written(self._tree, coded.dialect))

        if self._reads_all or self._anchors & set(WORD_ANCHORS):
            return self._by_rows(text, run)
        # Classes of ASCII are part of those of Unicode: a match is one, others need another look.
        found = pc.match_substring_regex(text, written(self._tree, self._plain))
        if found.true_count == len(found) or (kinds := self._kinds(text)) is None:
            return found
        again = (kinds == _RECODED) & ~pc.fill_null(found, True).to_numpy(zero_copy_only=False)  # noqa: FBT003 - no keyword
        mask = pa.array(again)
        return pc.replace_with_mask(found, mask, run(self._coded(text.filter(mask), _RECODED)))

    def extract(self, text: pa.Array, names: Sequence[str]) -> pa.Array:
        """The groups of some names of the first match in each text as a struct; null where there is none."""
        numbers = {name: self.names[name] for name in names}
        captured = frozenset(numbers.values())
        optional = captured & optional_groups(self._tree)
        by_place = any(may_be_empty(group) for group in self._groups(optional))

        def run(coded: Coded) -> pa.Array:
            pattern = written(self._tree, coded.dialect, captured)
            if coded.read is coded.text and not by_place:
                found = pc.extract_regex(coded.text, pattern)
                columns = {
                    name: _unless_empty(column) if number in optional else column
                    for name, number in numbers.items()
                    for column in [found.field(f"g{number}")]
                }
            else:
                found = pc.extract_regex_span(coded.read, pattern)
                columns = {name: _group(coded, found.field(f"g{number}")) for name, number in numbers.items()}
            nulls = found.is_null() if found.null_count else None
            return pa.StructArray.from_arrays(list(columns.values()), list(columns), mask=nulls)

        return self._by_rows(text, run)

    def replace(self, text: pa.Array, template: Template) -> pa.Array:
        """Each text with all matches replaced."""
        captured = template.groups - {0}

        def run(coded: Coded) -> pa.Array:
            if coded.read is coded.text and not self._is_mixed and len(captured) <= _MOST_REFERENCES:
                pattern = written(self._tree, coded.dialect, captured)
                return pc.replace_substring_regex(coded.text, pattern, _rewriting(template))
            return self._replaced(coded, template, captured)

        return self._by_rows(text, run)

    def _replaced(self, coded: Coded, template: Template, captured: frozenset[int]) -> pa.Array:
        spans = spans_of(coded, self._tree)
        groups = groups_of(coded, self._tree, spans, captured) if captured else {}
        groups[0] = spans.starts, spans.stops
        data = coded.text_bytes.data.tobytes()
        literals = b"".join(part.encode() for part in template.parts if isinstance(part, str))
        starts, stops = _gaps(coded, spans)
        columns = [(starts, stops)]  # for each match and each row: the gap before it, and what replaces it
        at = len(data)
        ends_row = np.isin(np.arange(len(starts)), _row_ends(coded, spans))
        for part in template.parts:
            begin, end = np.zeros(len(starts), np.int64), np.zeros(len(starts), np.int64)
            if isinstance(part, int):
                begin[~ends_row], end[~ends_row] = map(coded.in_text, groups[part])
            else:
                begin[~ends_row], end[~ends_row] = at, at + len(part.encode())
                at += len(part.encode())
            columns.append((begin, end))
        begins, ends = (np.stack([column[side] for column in columns], axis=1) for side in (0, 1))
        lengths = np.concatenate([np.zeros(1, np.int64), np.cumsum((ends - begins).sum(axis=1))])
        whole = pieces(data + literals, begins.reshape(-1), ends.reshape(-1), pa.large_string())
        offsets = np.concatenate([np.zeros(1, np.int64), lengths[_row_ends(coded, spans) + 1]])
        buffers = [None, pa.py_buffer(np.ascontiguousarray(offsets)), whole.buffers()[2]]
        return pa.Array.from_buffers(pa.large_string(), len(coded.text), buffers).cast(text_type(coded))

    def split(self, text: pa.Array) -> pa.Array:
        """The parts of each text between the matches."""

        def run(coded: Coded) -> pa.Array:
            if coded.read is coded.text and not self._is_mixed:
                return pc.split_pattern(self._separated(coded), _SEPARATOR)
            spans = spans_of(coded, self._tree)
            parts = pieces(coded.text_bytes.data.tobytes(), *_gaps(coded, spans), text_type(coded))
            offsets = np.concatenate([np.zeros(1, np.int64), _row_ends(coded, spans) + 1])
            return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), parts)

        return self._by_rows(text, run)

    def count_parts(self, text: pa.Array) -> pa.Array:
        """The number of parts that `split` would give."""

        def run(coded: Coded) -> pa.Array:
            if coded.read is coded.text and not self._is_mixed:
                separators = RowBytes.of(self._separated(coded)).occurrences(_SEPARATOR)
                return integers(separators + 1, coded.text)
            spans = spans_of(coded, self._tree)
            return pa.array(np.bincount(spans.rows, minlength=len(coded.text)) + 1, pa.int64())

        return self._by_rows(text, run)

    def _separated(self, coded: Coded) -> pa.Array:
        # Arrow's own split looks at the rest of the text as if it were all: `^` matches again after each
        # part, and one that matches between characters never ends.
        return pc.replace_substring_regex(coded.text, written(self._tree, coded.dialect), _SEPARATOR)

    def _by_rows(self, text: pa.Array, run: Callable[[Coded], pa.Array]) -> pa.Array:
        kinds = self._kinds(text)
        if kinds is None:
            return run(Coded(text, text, self._plain, 0))
        parts, places = [], []
        for kind in (_AS_IT_IS, _RECODED, _EMPTY):
            rows = np.flatnonzero(kinds == kind)
            if len(rows):
                some = text.take(pa.array(rows))
                parts.append(_with_nulls(run(self._coded(pc.fill_null(some, ""), kind)), some))
                places.append(rows)
        order = np.empty(len(text), np.int64)
        order[np.concatenate(places)] = np.arange(len(text))
        return pa.concat_arrays(parts).take(pa.array(order))

    def _coded(self, text: pa.Array, kind: int) -> Coded:
        if kind == _RECODED:
            return Coded.recoded(text, self._alphabet)
        return Coded(text, text, self._of_nothing if kind == _EMPTY else self._plain, 0)

    def _kinds(self, text: pa.Array) -> Any:
        """How each row is read; None if all are read as they are, and nulls need no care."""
        rows = RowBytes.of(text)
        kinds = np.full(len(text), _AS_IT_IS)
        if not self._reads_all and not rows.is_ascii:
            kinds[~pc.fill_null(pc.string_is_ascii(text), True).to_numpy(zero_copy_only=False)] = _RECODED  # noqa: FBT003 - no keyword
        filled = np.diff(rows.offsets) > 0
        if Anchor.LAST in self._anchors:
            ending = np.flatnonzero(filled)
            kinds[ending[rows.data[rows.offsets[1:][ending] - 1] == LINE_BREAK]] = _RECODED
        if self._anchors & _NO_BOUNDARIES:
            kinds[~filled] = _EMPTY
        plain = not (kinds != _AS_IT_IS).any() and not (self._is_mixed and text.null_count)
        return None if plain else kinds


@functools.lru_cache(maxsize=128)
def expression(pattern: str) -> Expression:
    """The expression of a pattern.

    Raises:
        DefinitionError: It is none, or RE2 cannot match it.
    """
    try:
        return Expression(pattern)
    except RecursionError:
        raise refusal(pattern, TOO_DEEP, LESS_DEEP) from None


def _is_about_ascii(ranges: Ranges) -> bool:
    """Whether a set has no character beyond ASCII, or all of them."""
    beyond = merged((max(first, _LAST_ASCII + 1), last) for first, last in ranges if last > _LAST_ASCII)
    return beyond in ((), ((_LAST_ASCII + 1, _LAST_CODE),))


@functools.lru_cache(maxsize=1024)
def _plain_class(ranges: Ranges) -> str:
    """A class for texts of ASCII; of a set that has all other characters, for all texts."""
    if ranges and ranges[-1][1] == _LAST_CODE and _is_about_ascii(ranges):
        return class_of(ranges)
    return class_of(tuple((first, min(last, _LAST_ASCII)) for first, last in ranges if first <= _LAST_ASCII))


def _rewriting(template: Template) -> str:
    """A template in the form of RE2, which numbers the groups that are captured."""
    numbers = sorted(template.groups - {0})
    return "".join(
        part.replace("\\", r"\\") if isinstance(part, str) else f"\\{numbers.index(part) + 1 if part else 0}"
        for part in template.parts
    )


def _group(coded: Coded, spans: pa.Array) -> pa.Array:
    """The texts of a group, from its place in each row; null where it has none."""
    unmatched = spans.is_null().to_numpy(zero_copy_only=False)
    bounds = np.zeros((len(spans), 2), np.int64)
    bounds[~unmatched] = pc.list_flatten(spans).to_numpy().reshape(-1, 2)
    starts = np.asarray(coded.bytes.offsets[:-1], np.int64) + bounds[:, 0]
    begins, ends = coded.in_text(starts), coded.in_text(starts + bounds[:, 1])
    missing = unmatched if unmatched.any() else None
    return pieces(coded.text_bytes.data.tobytes(), begins, ends, text_type(coded), missing)


def _unless_empty(column: pa.Array) -> pa.Array:
    """The texts of a group that is never empty: where RE2 gives the empty text, it did not match."""
    return pc.if_else(pc.equal(pc.binary_length(column), 0), pa.scalar(None, column.type), column)


def _gaps(coded: Coded, spans: Spans) -> tuple[Places, Places]:
    """Where the texts between matches begin and end: before each match, and behind the last of each row."""
    offsets = np.asarray(coded.text_bytes.offsets, np.int64)
    rows = len(coded.text)
    per_row = np.bincount(spans.rows, minlength=rows) + 1
    ends = np.cumsum(per_row) - 1
    at_end = np.zeros(int(per_row.sum()), bool)
    at_end[ends] = True
    at_start = np.concatenate([np.ones(min(rows, 1), bool), at_end[:-1]])
    starts, stops = np.zeros(len(at_end), np.int64), np.zeros(len(at_end), np.int64)
    stops[~at_end], stops[at_end] = coded.in_text(spans.starts), offsets[1:]
    starts[~at_start], starts[at_start] = coded.in_text(spans.stops), offsets[:-1]
    return starts, stops


def _row_ends(coded: Coded, spans: Spans) -> Places:
    """Which of the gaps end their row."""
    return np.cumsum(np.bincount(spans.rows, minlength=len(coded.text)) + 1) - 1


def text_type(coded: Coded) -> pa.DataType:
    """The type of the texts."""
    return coded.text.type


def _with_nulls(values: pa.Array, text: pa.Array) -> pa.Array:
    return pc.if_else(text.is_valid(), values, pa.scalar(None, values.type)) if text.null_count else values
