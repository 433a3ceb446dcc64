"""Texts taken apart, and the number of parts counted without making them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import field_validator

from hyped_beam.nodes.configuration import Operator
from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import method, register
from hyped_beam.processors.strings.buffers import Marks, RowBytes, integers, packed, whitespace
from hyped_beam.processors.strings.regex.expression import expression
from hyped_beam.processors.strings.regular_expressions import RegularExpression
from hyped_beam.processors.strings.searching import count_literal
from hyped_beam.types import features
from hyped_beam.types.features import Feature
from hyped_beam.types.patterns import Int64Column, StringColumn


def _check_pattern(pattern: str) -> str:
    expression(pattern).check_spans()
    return pattern


def _check_separator(separator: str | None) -> str | None:
    if separator == "":
        msg = "should not be empty; leave it out to split on white space"
        raise ValueError(msg)
    return separator


@method("split")
class Split(Processor):
    """The parts of each text between separators, as `str.split`.

    Attributes:
        separator: What separates, literally. If None, runs of white space do, and there are no empty parts.

    Example:
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> import pyarrow as pa
        >>> table = pa.table({"text": [" a  b ", "", None]})
        >>> src = flow_of(table.schema)
        >>> evaluate(src.text.split(), table).to_pylist()
        [['a', 'b'], [], None]
        >>> evaluate(src.text.split("  "), table).to_pylist()
        [[' a', 'b '], [''], None]
    """

    separator: str | None = None
    _check = field_validator("separator")(_check_separator)

    def output(self, text: Feature) -> Feature:
        return features.list_of(text)

    def process(self, text: StringColumn) -> pa.Array:
        return split_words(text) if self.separator is None else pc.split_pattern(text, self.separator)

    def absorb(self, consumer: Operator) -> Processor | None:
        """The node that counts the parts, if that is all that the consumer does with them."""
        if not getattr(consumer, "measures_length", False):
            return None
        return CountWords() if self.separator is None else CountParts(separator=self.separator)


@method("split_regex")
class SplitRegex(Processor):
    r"""The parts of each text between the matches of a regular expression, as `re.split` without groups.

    Attributes:
        pattern: A regular expression; where it matches empty text, it separates there, too.

    Example:
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> import pyarrow as pa
        >>> table = pa.table({"text": ["a, b;c", "", None]})
        >>> evaluate(flow_of(table.schema).text.split_regex(r"[,;]\s*"), table).to_pylist()
        [['a', 'b', 'c'], [''], None]
    """

    pattern: RegularExpression
    _check = field_validator("pattern")(_check_pattern)

    def output(self, text: Feature) -> Feature:
        return features.list_of(text)

    def process(self, text: StringColumn) -> pa.Array:
        return expression(self.pattern).split(text)

    def absorb(self, consumer: Operator) -> Processor | None:
        """The node that counts the parts, if that is all that the consumer does with them."""
        return CountRegexParts(pattern=self.pattern) if getattr(consumer, "measures_length", False) else None


@register
class CountWords(Processor):
    """Number of words of each text: of runs of characters that are no white space."""

    def process(self, text: StringColumn) -> Int64Column:
        rows = RowBytes.of(text)
        is_space = whitespace(rows)
        spaces = packed(is_space)
        # A word begins after white space; before the lowest bit is the highest of the integer before.
        after_space = spaces << np.uint64(1)
        after_space[1:] |= spaces[:-1] >> np.uint64(63)
        begins = after_space & ~spaces
        begins[-1] = 0
        words = Marks(begins).between(rows.offsets)
        return integers(words + _word_begins_row(rows, is_space), text)


@register
class CountParts(Processor):
    """Number of parts of each text between separators.

    Attributes:
        separator: What separates, literally.
    """

    separator: str
    _check = field_validator("separator")(_check_separator)

    def process(self, text: StringColumn) -> Int64Column:
        return pc.add(count_literal(text, self.separator), 1)


@register
class CountRegexParts(Processor):
    """Number of parts of each text between the matches of a regular expression.

    Attributes:
        pattern: A regular expression.
    """

    pattern: RegularExpression
    _check = field_validator("pattern")(_check_pattern)

    def process(self, text: StringColumn) -> Int64Column:
        return expression(self.pattern).count_parts(text)


def _word_begins_row(rows: RowBytes, is_space: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which rows begin with a word, right after a byte (of the row before) that is no white space."""
    starts, ends = rows.offsets[:-1], rows.offsets[1:]
    begins = np.zeros(len(starts), np.bool_)
    if is_space.size:
        last = len(is_space) - 1
        begins = (starts < ends) & ~is_space[np.minimum(starts, last)]
        begins &= (starts == 0) | ~is_space[np.maximum(starts, 1) - 1]
    return begins


def split_words(text: pa.Array) -> pa.Array:
    """The words of each text, as `str.split()`."""
    trimmed = pc.utf8_trim_whitespace(text)
    rows = RowBytes.of(trimmed)
    # Arrow's ASCII white space lacks the separators \x1c to \x1f.
    is_plain = rows.is_ascii and not ((rows.data - np.uint8(0x1C)) < 4).any()  # noqa: PLR2004 - four of them
    words = pc.ascii_split_whitespace(trimmed) if is_plain else pc.utf8_split_whitespace(trimmed)
    blank = (rows.offsets[:-1] == rows.offsets[1:]) & text.is_valid().to_numpy(zero_copy_only=False)
    return _without_word(words, blank) if blank.any() else words


def _without_word(lists: pa.ListArray, rows: NDArray[np.bool_]) -> pa.ListArray:
    """Lists of words, those of some rows, which hold the empty word alone, emptied."""
    offsets = lists.offsets.to_numpy()
    words = lists.values
    keep = np.ones(len(words) + 1, np.bool_)
    keep[offsets[:-1][rows]] = False
    # Dropping where an empty word begins is dropping the word.
    ends = RowBytes.of(words).offsets[keep]
    fewer = np.concatenate([np.zeros(1, offsets.dtype), np.cumsum(rows, dtype=offsets.dtype)])
    kept = pa.Array.from_buffers(
        words.type, len(ends) - 1, [None, pa.py_buffer(np.ascontiguousarray(ends)), words.buffers()[2]]
    )
    nulls = lists.is_null() if lists.null_count else None
    return pa.ListArray.from_arrays(pa.array(offsets - fewer), kept, mask=nulls)
