"""The bytes behind a column of texts, looked at by numpy: all rows at once, whatever their number.

Arrow's kernels walk a column row by row. Where a question is about bytes (is it all ASCII, where does this
text occur, how many words are there), looking at all bytes together is several times faster.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Mask: TypeAlias = NDArray[np.bool_]
Positions: TypeAlias = NDArray[np.integer[Any]]

_LAST_ASCII = 0x7F
_WORD = 64
# From frequent to rare in mail and prose; bytes that are not here are rarer. A search looks for the rare
# bytes of a pattern first, so that this decides about speed only.
_FREQUENT = b" etaoinsrhldcumfpgwybvk\n.,-0TSAICMEx1PBRDNLOHFW2WG35j9486qz7:/'\"U\t()JVYK"


@dataclass(frozen=True)
class RowBytes:
    """The bytes of a column of texts or binary values.

    Attributes:
        data: The bytes of all rows, one after another.
        offsets: Where each row begins in `data`, and where the last one ends.
    """

    data: NDArray[np.uint8]
    offsets: Positions

    @classmethod
    def of(cls, column: pa.Array) -> RowBytes:
        """The bytes of a column, without a copy.

        Args:
            column: An array of string, binary or their large forms, sliced or not.
        """
        wide = pa.types.is_large_string(column.type) or pa.types.is_large_binary(column.type)
        _, offsets_buffer, data_buffer = column.buffers()
        if len(column) == 0 or offsets_buffer is None:
            return cls(np.empty(0, np.uint8), np.zeros(len(column) + 1, np.int64 if wide else np.int32))
        offsets: Positions = np.frombuffer(offsets_buffer, np.int64 if wide else np.int32)
        offsets = offsets[column.offset : column.offset + len(column) + 1]
        first, last = int(offsets[0]), int(offsets[-1])
        if data_buffer is None or first == last:
            return cls(np.empty(0, np.uint8), np.zeros_like(offsets))
        data = np.frombuffer(data_buffer, np.uint8)[first:last]
        return cls(data, offsets - offsets[0] if first else offsets)

    @cached_property
    def is_ascii(self) -> bool:
        """Whether all of them are ASCII; bytes under null rows count, so that it may be False too often."""
        return self.data.size == 0 or int(self.data.max()) <= _LAST_ASCII

    def occurrences(self, pattern: bytes) -> NDArray[np.int64]:
        """How often a pattern occurs in each row, overlapping occurrences included.

        Args:
            pattern: At least one byte.
        """
        starts, ends = self.offsets[:-1], self.offsets[1:]
        if len(self.data) < len(pattern):
            return np.zeros(len(starts), np.int64)
        candidates, rest = _candidates(self.data, pattern)
        if rest:
            found = _confirmed(self.data, pattern, marked_positions(candidates), rest)
            if len(found) * 8 < len(starts):
                rows = np.searchsorted(ends, found, side="right")
                return np.bincount(rows[found + len(pattern) <= ends[rows]], minlength=len(starts))
            candidates = np.zeros(len(candidates), np.bool_)
            candidates[found] = True
        marks = Marks.of(candidates)
        if len(pattern) == 1:
            return marks.between(self.offsets)
        return marks.before(np.maximum(ends - (len(pattern) - 1), starts)) - marks.before(starts)

    def holds(self, pattern: bytes) -> bool:
        """Whether a pattern of one or two bytes occurs anywhere, also across two rows or under null ones."""
        return len(self.data) >= len(pattern) and bool(_candidates(self.data, pattern)[0].any())


def _candidates(data: NDArray[np.uint8], pattern: bytes) -> tuple[Mask, list[int]]:
    """Where the two rarest bytes of a pattern are in their places, and the places of its other bytes."""
    places = sorted(range(len(pattern)), key=lambda place: _FREQUENT.find(pattern[place]) % 256, reverse=True)
    size = len(data) - len(pattern) + 1
    mask = data[places[0] : places[0] + size] == pattern[places[0]]
    for place in places[1:2]:
        mask &= data[place : place + size] == pattern[place]
    return mask, places[2:]


def _confirmed(
    data: NDArray[np.uint8], pattern: bytes, found: NDArray[np.int64], places: list[int]
) -> NDArray[np.int64]:
    """Those of the positions found at which the bytes in other places of the pattern are there, too."""
    for place in places:
        found = found[data[found + place] == pattern[place]]
    return found


class Marks:
    """Marked positions, as bits, so that those before any position are counted in constant time.

    Args:
        words: 64 positions in each, the first in the lowest bit; the last word has none marked.
    """

    def __init__(self, words: NDArray[np.uint64]) -> None:
        self.words = words
        self._before = np.zeros(len(words), np.int64)
        np.cumsum(np.bitwise_count(words[:-1]), out=self._before[1:])

    @classmethod
    def of(cls, mask: Mask) -> Marks:
        """The positions at which a mask is set."""
        return cls(packed(mask))

    def before(self, positions: Positions) -> NDArray[np.int64]:
        """The number of marks before each position."""
        word = positions >> 6
        lower = (np.uint64(1) << (positions & 63).astype(np.uint64)) - np.uint64(1)
        counted: NDArray[np.int64] = self._before[word] + np.bitwise_count(self.words[word] & lower)
        return counted

    def between(self, positions: Positions) -> NDArray[np.int64]:
        """The number of marks from each position (included) to the next one (not included)."""
        return np.diff(self.before(positions))


def packed(mask: Mask) -> NDArray[np.uint64]:
    """A mask as bits, 64 a word, with an empty word at the end."""
    words = np.zeros(len(mask) // _WORD + 2, np.uint64)
    bits = np.packbits(mask, bitorder="little")
    words.view(np.uint8)[: len(bits)] = bits
    return words


def marked_positions(mask: Mask) -> NDArray[np.int64]:
    """The positions at which a mask is set; fast where few are."""
    words = packed(mask)
    holding = np.flatnonzero(words)
    if len(holding) * 8 > len(words):
        return np.flatnonzero(mask)
    bits = np.unpackbits(words[holding].view(np.uint8), bitorder="little")
    inside = np.flatnonzero(bits)
    positions: NDArray[np.int64] = holding[inside >> 6] * _WORD + (inside & 63)
    return positions


def whitespace(rows: RowBytes) -> Mask:
    """Which bytes belong to a character that `str.isspace` takes as white space."""
    data = rows.data
    # One comparison a range, as bytes below its first wrap around.
    shifted = data - np.uint8(ord("\t"))
    mask: Mask = shifted <= ord("\r") - ord("\t")
    np.subtract(data, 0x1C, out=shifted)
    mask |= shifted <= ord(" ") - 0x1C
    if not rows.is_ascii:
        _mark_wide_whitespace(data, mask)
    return mask


_WIDE_WHITESPACE = (
    "\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
_WIDE_WHITESPACE_BYTES = [character.encode() for character in _WIDE_WHITESPACE]
_LEADS = sorted({encoded[0] for encoded in _WIDE_WHITESPACE_BYTES})
_WIDTHS = (2, 3)
_CODES = {
    width: np.array([int.from_bytes(code, "big") for code in _WIDE_WHITESPACE_BYTES if len(code) == width])
    for width in _WIDTHS
}


def _mark_wide_whitespace(data: NDArray[np.uint8], mask: Mask) -> None:
    is_lead = data == _LEADS[0]
    for lead in _LEADS[1:]:
        is_lead |= data == lead
    leads = marked_positions(is_lead)
    code = data[leads].astype(np.int64)
    for width in _WIDTHS:
        code = code << 8 | data[np.minimum(leads + (width - 1), len(data) - 1)]
        found = leads[np.isin(code, _CODES[width])]
        for step in range(width):
            mask[found + step] = True


def integers(values: NDArray[Any], like: pa.Array) -> pa.Array:
    """Numbers as an int64 column that is null where another column is."""
    validity = pc.is_valid(like).buffers()[1] if like.null_count else None
    return pa.Array.from_buffers(
        pa.int64(), len(values), [validity, pa.py_buffer(np.ascontiguousarray(values, np.int64))]
    )


def booleans(values: Mask, like: pa.Array) -> pa.Array:
    """Truth values as a column that is null where another column is."""
    validity = pc.is_valid(like).buffers()[1] if like.null_count else None
    bits = np.packbits(values, bitorder="little")
    return pa.Array.from_buffers(pa.bool_(), len(values), [validity, pa.py_buffer(bits)])


def slice_bytes(column: pa.Array, start: int, stop: int | None) -> pa.Array:
    """The bytes of each row from one place to another, as `value[start:stop]`.

    Args:
        column: An array of binary or large binary.
        start: The first byte; counted from the end if negative.
        stop: The byte before which to stop; the end of the row if None.
    """
    # Within the longest row, as the kernel's estimate of its result overflows for numbers far beyond.
    longest = int(np.diff(RowBytes.of(column).offsets).max(initial=0))
    first = min(max(start, -longest), longest)
    last = longest if stop is None else min(max(stop, -longest), longest)
    return pc.binary_slice(column, first, last)
