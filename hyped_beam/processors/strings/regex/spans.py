"""Where a pattern matches, one match after another, as `re.finditer` finds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.processors.strings.buffers import RowBytes
from hyped_beam.processors.strings.regex.coded import Coded, Places, pieces
from hyped_beam.processors.strings.regex.emptiness import Option, may_be_empty, options_of
from hyped_beam.processors.strings.regex.re2 import written
from hyped_beam.processors.strings.regex.tree import Choice, Tree

# Bytes that are in no UTF-8.
_OPEN, _NEXT, _CLOSE = b"\xfd", b"\xfe", b"\xff"
_FIRST_MARK = _OPEN[0]


@dataclass(frozen=True)
class Spans:
    """Matches, in the order of the rows and in each from left to right.

    Attributes:
        rows: The number of the row of each.
        starts: Where it begins in the bytes that RE2 reads.
        stops: Where it ends.
    """

    rows: Places
    starts: Places
    stops: Places


@dataclass(frozen=True)
class _Segment:
    """Options that are not empty, and the empty ones that are tried before them."""

    before: tuple[Tree, ...]
    options: tuple[Tree, ...]


def spans_of(coded: Coded, tree: Tree) -> Spans:
    """All matches of a tree in some texts.

    Raises:
        TooManyOptionsError: There are too many ways to match empty text.
    """
    if not may_be_empty(tree):
        return _long(coded, [tree])[0]
    options = options_of(tree)
    segments = _segments(options)
    long, segment = (
        _long(coded, [_choice(one.options) for one in segments]) if segments else (_none(), _none().rows)
    )
    rows, places = _empty(coded, [option.tree for option in options if option.empty])
    # The end of a row and the start of the next are one place in the bytes, but different ones here.
    keys, starts, stops = places + rows, long.starts + long.rows, long.stops + long.rows
    before = np.searchsorted(starts, keys) - 1
    is_inside = (before >= 0) & (np.append(stops, 0)[before] > keys)
    is_start = np.isin(keys, starts)
    kept = ~is_inside & ~is_start
    for number, one in enumerate(segments):
        if one.before:  # here `re` takes an empty match before the longer one
            first_rows, first_places = _empty(coded, one.before)
            kept |= np.isin(keys, starts[segment == number]) & np.isin(keys, first_places + first_rows)
    rows, places = rows[kept], places[kept]
    found = [
        np.concatenate(both) for both in ((long.rows, rows), (long.starts, places), (long.stops, places))
    ]
    order = np.lexsort((found[2], found[1], found[0]))
    return Spans(*(column[order] for column in found))


def _none() -> Spans:
    nothing = np.zeros(0, np.int64)
    return Spans(nothing, nothing, nothing)


def _segments(options: Sequence[Option]) -> list[_Segment]:
    """The options that are not empty, cut where empty ones stand between them."""
    found: list[_Segment] = []
    before: list[Tree] = []
    begun = False
    for option in options:
        if option.empty:
            before.append(option.tree)
            begun = False
        elif begun:
            found[-1] = _Segment(found[-1].before, (*found[-1].options, option.tree))
        else:
            found.append(_Segment(tuple(before), (option.tree,)))
            begun = True
    return found


def _choice(options: Sequence[Tree]) -> Tree:
    return options[0] if len(options) == 1 else Choice(tuple(options))


def _long(coded: Coded, segments: Sequence[Tree]) -> tuple[Spans, Places]:
    """The matches of trees that are never empty, and the number of the tree of each."""
    pattern = "|".join(f"({written(tree, coded.dialect)})" for tree in segments)
    parts = _NEXT.join(b"\\%d" % number for number in range(1, len(segments) + 1))
    marked = _marked(coded, pattern, _OPEN + parts + _CLOSE)
    marks = _marks(marked)
    if not len(marks):
        return _none(), _none().rows
    each = len(segments) + 1
    places = (marks - np.arange(len(marks))).reshape(-1, each)
    number = np.argmax(np.diff(places, axis=1) > 0, axis=1)
    return Spans(_rows(marked, marks[::each]), places[:, 0], places[:, -1]), number


def _empty(coded: Coded, trees: Sequence[Tree]) -> tuple[Places, Places]:
    """The rows and places at which one of some trees matches empty text."""
    marked = _marked(coded, written(_choice(trees), coded.dialect), _OPEN)
    marks = _marks(marked)
    places = marks - np.arange(len(marks))
    rows = _rows(marked, marks)
    if coded.width > 1:  # between the bytes of a character there is no place
        whole = places % coded.width == 0
        return rows[whole], places[whole]
    return rows, places


def _marked(coded: Coded, pattern: str, replacement: bytes) -> RowBytes:
    read = pc.cast(coded.read, pa.large_string())
    return RowBytes.of(pc.replace_substring_regex(read, pattern, replacement))


def _marks(marked: RowBytes) -> Places:
    return np.flatnonzero(marked.data >= _FIRST_MARK)


def _rows(marked: RowBytes, marks: Places) -> Places:
    return np.searchsorted(marked.offsets, marks, side="right") - 1


def groups_of(
    coded: Coded, tree: Tree, spans: Spans, numbers: frozenset[int]
) -> dict[int, tuple[Places, Places]]:
    """Where groups of matches are, which may be nowhere: they are then empty.

    Each match is looked at again with one character before and one behind it, and has to be exactly that.
    """
    before, behind = coded.before(spans.starts, spans.rows), coded.behind(spans.stops, spans.rows)
    found = {number: (spans.starts.copy(), spans.starts.copy()) for number in numbers}
    data = coded.bytes.data.tobytes()
    one = f"(?s:.{{{max(coded.width, 1)}}})"
    inside = written(tree, coded.dialect, numbers)
    for has_before in (False, True):
        for has_behind in (False, True):
            here = np.flatnonzero(
                ((before < spans.starts) == has_before) & ((behind > spans.stops) == has_behind)
            )
            if not len(here):
                continue
            texts = pieces(data, before[here], behind[here], pa.large_string())
            pattern = rf"\A{one * has_before}(?:{inside}){one * has_behind}\z"
            groups = pc.extract_regex_span(texts, pattern)
            for number, (starts, stops) in found.items():
                group = groups.field(f"g{number}")
                known = group.is_valid().to_numpy(zero_copy_only=False)
                bounds = pc.list_flatten(group).to_numpy().reshape(-1, 2)
                starts[here[known]] = before[here[known]] + bounds[:, 0]
                stops[here[known]] = starts[here[known]] + bounds[:, 1]
    return found
