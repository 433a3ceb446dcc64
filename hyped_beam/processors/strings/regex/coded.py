"""Texts in the form in which RE2 reads them, and the way back from there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hyped_beam.processors.strings.buffers import RowBytes
from hyped_beam.processors.strings.regex.alphabet import Alphabet
from hyped_beam.processors.strings.regex.re2 import Dialect

Places = NDArray[np.int64]

_CONTINUATION_BITS = 0xC0
_CONTINUATION = 0x80


@dataclass(frozen=True)
class Coded:
    """Texts, and what RE2 reads in their place.

    Attributes:
        text: The texts, none of them null.
        read: What RE2 reads: as many rows.
        dialect: How patterns are written for that.
        width: The number of bytes of each character in `read`; 0 where it is that of UTF-8.
    """

    text: pa.Array
    read: pa.Array
    dialect: Dialect
    width: int

    @classmethod
    def recoded(cls, text: pa.Array, alphabet: Alphabet) -> Coded:
        """Texts in a small alphabet."""
        rows = RowBytes.of(text)
        if rows.is_ascii:
            codes, ends = rows.data.astype(np.uint32), rows.offsets[1:].astype(np.int64)
        else:
            codes = np.frombuffer(rows.data.tobytes().decode().encode("utf-32-le"), np.uint32)
            ends = np.cumsum(pc.utf8_length(text).to_numpy(zero_copy_only=False), dtype=np.int64)
        offsets = np.concatenate([np.zeros(1, np.int64), ends]) * alphabet.width
        read = _texts(alphabet.recoded(codes, ends), offsets, pa.large_string())
        return cls(text, read, alphabet.dialect, alphabet.width)

    def picked(self, rows: Places) -> Coded:
        """Some of the texts."""
        chosen = pa.array(rows)
        return replace(self, text=self.text.take(chosen), read=self.read.take(chosen))

    @cached_property
    def bytes(self) -> RowBytes:
        """The bytes that RE2 reads."""
        return RowBytes.of(self.read)

    @cached_property
    def text_bytes(self) -> RowBytes:
        """The bytes of the texts."""
        return RowBytes.of(self.text)

    @cached_property
    def _begins(self) -> Places:
        """Where each character of the texts begins, and where the last one ends."""
        data = self.text_bytes.data
        return np.append(np.flatnonzero((data & _CONTINUATION_BITS) != _CONTINUATION), len(data))

    def in_text(self, places: Places) -> Places:
        """Where in the bytes of the texts some places in the bytes that RE2 reads are."""
        if not self.width:
            return places
        if self.text_bytes.is_ascii:
            return places // self.width
        return self._begins[places // self.width]

    def before(self, places: Places, rows: Places) -> Places:
        """Where the characters before some places begin; at the start of a row, that."""
        first = np.asarray(self.bytes.offsets, np.int64)[rows]
        if self.width:
            return np.maximum(places - self.width, first)
        found = np.maximum(places - 1, first)
        while (inner := (found > first) & self._continues(found)).any():
            found = found - inner
        return found

    def behind(self, places: Places, rows: Places) -> Places:
        """Where the characters at some places end; at the end of a row, that."""
        last = np.asarray(self.bytes.offsets, np.int64)[rows + 1]
        if self.width:
            return np.minimum(places + self.width, last)
        found = np.minimum(places + 1, last)
        while (inner := (found < last) & self._continues(found)).any():
            found = found + inner
        return found

    def _continues(self, places: Places) -> Any:
        data = self.bytes.data
        at = data[np.minimum(places, max(len(data) - 1, 0))] if len(data) else np.zeros(len(places), np.uint8)
        return (at & _CONTINUATION_BITS) == _CONTINUATION


def _texts(data: NDArray[np.uint8], offsets: Places, arrow_type: pa.DataType) -> pa.Array:
    wide = pa.types.is_large_string(arrow_type) or pa.types.is_large_binary(arrow_type)
    begins = np.ascontiguousarray(offsets, np.int64 if wide else np.int32)
    return pa.Array.from_buffers(
        arrow_type, len(offsets) - 1, [None, pa.py_buffer(begins), pa.py_buffer(data)]
    )


def pieces(
    data: bytes, starts: Places, stops: Places, arrow_type: pa.DataType, missing: Any = None
) -> pa.Array:
    """Parts of some bytes as texts.

    Args:
        data: The bytes.
        starts: Where each part begins.
        stops: Where it ends.
        arrow_type: A type of text.
        missing: Which are null instead.
    """
    lengths = stops - starts
    joined = b"".join([data[start:stop] for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)])
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    found = _texts(np.frombuffer(joined, np.uint8), offsets, pa.large_string()).cast(arrow_type)
    return found if missing is None else pc.if_else(pa.array(missing), pa.scalar(None, arrow_type), found)
