"""Files of lines, compressed or not: cut by bytes, read as text that ends where lines end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from hyped_beam.errors import InputError
from hyped_beam.io.filesystem import FileInfo, locate
from hyped_beam.io.readers.base import RANGES_OF_SMALL_SOURCE, Block, Piece
from hyped_beam.io.readers.files import damaged
from hyped_beam.io.readers.suffixes import COMPRESSIONS

NEWLINE, RETURN = 10, 13
BOM = b"\xef\xbb\xbf"

CHUNK_BYTES = 4 << 20
LARGEST_BLOCK = 4 << 20
SMALLEST_BLOCK = 64 << 10
# Beyond this a file hardly has lines, and would only fill the memory: a gigabyte fits into a megabyte.
LONGEST_LINE = 64 << 20


class Chunk(NamedTuple):
    """Whole lines of a file.

    Attributes:
        offset: Where in the (decompressed) file they begin.
        data: The lines; only the last of a file may lack its end.
    """

    offset: int
    data: bytes


def compression_of(uri: str) -> str | None:
    """How a file is compressed, by its name."""
    name = uri.partition("?")[0].lower() if "://" in uri else uri.lower()
    return next((codec for suffix, codec in COMPRESSIONS.items() if name.endswith(suffix)), None)


@contextmanager
def text_of(uri: str, kind: str) -> Iterator[Any]:
    """A file as a stream of its decompressed bytes.

    Raises:
        InputError: It is cut short, or compressed otherwise than its name says.
    """
    filesystem, path = locate(uri)
    codec = compression_of(uri)
    try:
        with filesystem.open_input(path) as file:
            if codec is None:
                yield file
            else:
                yield pa.CompressedInputStream(file, codec)
    except OSError as error:
        raise damaged(uri, kind, error) from error


def blocks_of(file: FileInfo, *, whole: bool = False) -> list[Block]:
    """Where a file of lines can be cut: anywhere, for the lines that begin in a block belong to it.

    Args:
        file: The file.
        whole: Whether it must be read from its beginning.
    """
    if file.size == 0:
        return []
    if whole or compression_of(file.uri) is not None:
        return [Block(0, None, file.size, None)]
    step = min(max(file.size // (RANGES_OF_SMALL_SOURCE * 4), SMALLEST_BLOCK), LARGEST_BLOCK)
    cuts = [*range(0, file.size, step)]
    if len(cuts) > 1 and file.size - cuts[-1] < step // 2:
        cuts.pop()
    stops = [*cuts[1:], None]
    return [
        Block(start, stop, (file.size if stop is None else stop) - start, None)
        for start, stop in zip(cuts, stops, strict=True)
    ]


def chunks(piece: Piece, kind: str, longest: int = LONGEST_LINE) -> Iterator[Chunk]:
    """The lines that begin in a piece.

    Args:
        piece: The piece.
        kind: The format.
        longest: The most bytes of a line; no less than are read at once.

    Raises:
        InputError: The file cannot be read, or a line is longer.
    """
    with text_of(piece.path, kind) as file:
        position = 0
        if piece.start > 0:
            position = piece.start - 1  # whose byte says whether a line begins at the start
            file.seek(position)
            position, rest = _after_line_end(file, position)
        else:
            rest = b""
        yield from _until(file, Chunk(position, rest), piece, kind, longest)


def _after_line_end(file: Any, position: int) -> tuple[int, bytes]:
    """Where the next line begins, and what was read of it."""
    while data := file.read(CHUNK_BYTES):
        end = data.find(b"\n")
        if end >= 0:
            return position + end + 1, data[end + 1 :]
        position += len(data)
    return position, b""


def _until(file: Any, held: Chunk, piece: Piece, kind: str, longest: int) -> Iterator[Chunk]:
    """The lines from `held` on that begin before the piece ends."""
    offset, data = held
    # the line that begins before it ends at or after its last byte
    last = None if piece.stop is None else piece.stop - 1
    if last is not None and offset > last:
        return
    more, end = b"-", _last_end(offset, data, last)
    while more and end == 0:
        begin = data.rfind(b"\n") + 1
        more = _to_a_line_end(file, longest - (len(data) - begin))
        found = more.find(b"\n")
        if len(data) - begin + (len(more) if found < 0 else found) > longest:
            raise _too_long(piece.path, kind, offset + begin, longest)
        data += more
        end = _last_end(offset, data, last)
        cut = data.rfind(b"\n") + 1
        if cut and not end and more and len(data) >= CHUNK_BYTES:
            yield Chunk(offset, data[:cut])
            offset, data = offset + cut, data[cut:]
    if data:
        yield Chunk(offset, data[: end or len(data)])


def _last_end(offset: int, data: bytes, last: int | None) -> int:
    """Where the last line of a piece ends in what was read from `offset` on; 0 where it does not yet."""
    if last is None or offset + len(data) <= last:
        return 0
    return data.find(b"\n", max(last - offset, 0)) + 1


def _to_a_line_end(file: Any, longest: int) -> bytes:
    """What comes next, up to what has the end of a line in it; of a line that is too long not much more."""
    parts, size = [], 0
    while size <= longest and (more := file.read(CHUNK_BYTES)):
        parts.append(more)
        size += len(more)
        if b"\n" in more:
            break
    return b"".join(parts)  # once: a long line is not copied again with each part


def _too_long(uri: str, kind: str, offset: int, longest: int) -> InputError:
    return InputError(
        f"{uri}:{line_number(uri, kind, offset)}: the line has more than {longest:,} bytes",
        hint="is it a file of lines? if so, say how long they may be: max_line_bytes=...",
    )


def whole_text(uri: str, kind: str, longest: int) -> bytes:
    """All that a file holds, decompressed.

    Raises:
        InputError: It is longer than may be, or cannot be read.
    """
    parts, size = [], 0
    with text_of(uri, kind) as file:
        while more := file.read(CHUNK_BYTES):
            parts.append(more)
            size += len(more)
            if size > longest:
                raise InputError(
                    f"{uri} holds more than {longest:,} bytes",
                    hint="if that is right, say how many there may be: max_line_bytes=...",
                )
    return b"".join(parts)


def bounds(data: bytes) -> tuple[Any, Any]:
    """Where each line begins and ends, without its line end, as arrays of numbers."""
    characters = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(characters == NEWLINE)
    starts = np.concatenate(([0], ends + 1))
    ends = np.concatenate((ends, [len(data)]))
    if starts[-1] == len(data):
        starts, ends = starts[:-1], ends[:-1]
    returns = (ends > starts) & (characters[np.maximum(ends - 1, 0)] == RETURN)
    return starts, ends - returns


def line_number(uri: str, kind: str, offset: int) -> int:
    """The number, from 1, of the line that begins at a place."""
    count = 1
    with text_of(uri, kind) as file:
        while offset > 0 and (data := file.read(min(CHUNK_BYTES, offset))):
            count += data.count(b"\n")
            offset -= len(data)
    return count


def rows_before(
    file: FileInfo, kind: str, starts: Sequence[int], count: Any, longest: int = LONGEST_LINE
) -> list[int]:
    """How many rows begin before each of some places, which are in order.

    Args:
        file: The file, not compressed.
        kind: The format.
        starts: The places.
        count: How many rows some whole lines are.
        longest: The most bytes of a line.
    """
    rows, position, told = 0, 0, []
    for start in starts:
        if start > position:
            rows += sum(
                count(chunk.data) for chunk in chunks(Piece(file.uri, position, start), kind, longest)
            )
            position = start
        told.append(rows)
    return told


def check_utf8(uri: str, kind: str, chunk: Chunk) -> None:
    """Refuse text that is not UTF-8.

    Raises:
        InputError: It is not; the message says the line and the byte in it.
    """
    text = pa.py_buffer(chunk.data)
    ends = pa.py_buffer(np.array([0, len(chunk.data)], np.int64))
    try:
        pa.Array.from_buffers(pa.large_string(), 1, [None, ends, text]).validate(full=True)
    except pa.ArrowInvalid:
        try:
            chunk.data.decode()
        except UnicodeDecodeError as error:
            begin = chunk.data.rfind(b"\n", 0, error.start) + 1
            line = line_number(uri, kind, chunk.offset + begin)
            byte = chunk.data[error.start]
            message = f"{uri}:{line}: byte {error.start - begin + 1} of the line, 0x{byte:02x}, is not UTF-8"
            raise InputError(message, hint="convert the file to UTF-8, for instance with iconv") from None
        raise
