"""How files are cut: segments that scan batches are made of, and ranges of neighbouring segments.

A segment is a file, a part of a large one, or several tiny ones. Where it begins and ends follows from the
file alone and from the order of magnitude of the whole source, so that a file more or less leaves the
segments of all others as they are. Ranges are put together from segments as they come, and shift with what
comes before them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import xxhash

from hyped_beam.io.readers.base import (
    BATCH_ROWS,
    RANGE_BYTES,
    RANGES_OF_SMALL_SOURCE,
    SMALLEST_RANGE_BYTES,
    SMALLEST_RANGE_ROWS,
    Block,
    Piece,
    Range,
)

# Files smaller than this may share scan batches: nodes pay for each, and some sources are many tiny files.
SHARED_BYTES = 1 << 20
# Files are tiny where a source has so many of them, or more, that a batch for each would cost too much.
BATCHES_OF_TINY_FILES = 1024
# Sizes are rounded down to powers of these, so that they stay as they are while a source grows.
SEGMENT_STEP, SHARED_STEP = 2, 4

Segment = tuple[Piece, ...]
"""Pieces whose rows share scan batches: one piece, or several small files."""


def pack(files: Iterable[tuple[str, Sequence[Block]]]) -> list[Range]:
    """Blocks put together into ranges of some 64 MB, in order; blocks without rows are left out."""
    held = [(path, list(_pieces(path, blocks))) for path, blocks in files]
    total = sum(piece.size for _, pieces in held for piece in pieces)
    ranges: list[Range] = []
    first_row: int | None = 0
    for segments in _gathered(_segments(held, total), min(total // RANGES_OF_SMALL_SOURCE, RANGE_BYTES)):
        pieces = tuple(piece for segment in segments for piece in segment)
        ranges.append(Range(len(ranges), pieces, rows_of(pieces), first_row))
        first_row = _after(ranges[-1])
    return ranges or [Range(0, (), 0, 0)]


def segments_of(pieces: Iterable[Piece]) -> list[Segment]:
    """The segments of a range."""
    found: list[list[Piece]] = []
    for piece in pieces:
        if piece.joins and found:
            found[-1].append(piece)
        else:
            found.append([piece])
    return [tuple(segment) for segment in found]


def rows_of(pieces: Iterable[Piece]) -> int | None:
    """The rows of some pieces, where they are known."""
    counts = [piece.rows for piece in pieces]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _segments(files: Iterable[tuple[str, Sequence[Piece]]], total: int) -> Iterator[Segment]:
    """The segments of files, in order."""
    largest = _rounded_down(total // RANGES_OF_SMALL_SOURCE, RANGE_BYTES, SEGMENT_STEP)
    tiny = _rounded_down(total // BATCHES_OF_TINY_FILES, SHARED_BYTES, SHARED_STEP)
    shared: list[Piece] = []
    for path, pieces in files:
        size, rows = _size(pieces), _counted(pieces)
        if size >= tiny:
            yield from _joined(shared)
            shared = []
            for blocks in _gathered(((piece,) for piece in pieces), largest):
                yield (_whole([piece for block in blocks for piece in block]),)
            continue
        if _size(shared) + size > SHARED_BYTES or _counted(shared) + rows > BATCH_ROWS:
            yield from _joined(shared)
            shared = []
        if pieces:
            shared.append(_whole(pieces))
        if _ends_here(path, size, tiny):
            yield from _joined(shared)
            shared = []
    yield from _joined(shared)


def _rounded_down(size: int, most: int, step: int) -> int:
    """A size as `most` divided by a power of `step`."""
    while most > size:
        most //= step
    return most


def _ends_here(path: str, size: int, tiny: int) -> bool:
    """Whether a tiny file is the last of its segment, as one in each `tiny` bytes is.

    It is drawn from what the file is called and how large it is, not from what stands before it. Where the
    files are does not matter, only the folders that tell columns.
    """
    *folders, name = path.partition("?")[0].split("/")
    told = [folder for folder in folders if "=" in folder]
    drawn = xxhash.xxh3_64_intdigest(f"{'/'.join([*told, name])} {size}".encode())
    return drawn * tiny < size << 64


def _gathered(segments: Iterable[Segment], target: int) -> Iterator[list[Segment]]:
    """Neighbours put together to about some size."""
    held: list[Segment] = []
    size = rows = 0
    for segment in segments:
        more = _size(segment)
        nearer_without = size + more / 2 >= target  # so that the last is not what is left over
        if held and nearer_without and (size >= SMALLEST_RANGE_BYTES or rows >= SMALLEST_RANGE_ROWS):
            yield held
            held, size, rows = [], 0, 0
        held.append(segment)
        size, rows = size + more, rows + _counted(segment)
    if held:
        yield held


def _size(pieces: Iterable[Piece]) -> int:
    return sum(piece.size for piece in pieces)


def _counted(pieces: Iterable[Piece]) -> int:
    """The rows of pieces; where only reading tells they are taken to be enough for a range."""
    return sum(SMALLEST_RANGE_ROWS if piece.rows is None else piece.rows for piece in pieces)


def _after(part: Range) -> int | None:
    if part.first_row is None or part.rows is None:
        return None
    return part.first_row + part.rows


def _joined(shared: Sequence[Piece]) -> Iterator[Segment]:
    """Small files as a segment, if there are any."""
    if shared:
        yield (shared[0], *(replace(piece, joins=True) for piece in shared[1:]))


def _whole(blocks: Sequence[Piece]) -> Piece:
    """Neighbouring blocks of a file as one piece."""
    first, last = blocks[0], blocks[-1]
    return Piece(first.path, first.start, last.stop, rows_of(blocks), _size(blocks), first.first_row)


def _pieces(path: str, blocks: Sequence[Block]) -> Iterator[Piece]:
    """The blocks of a file, each with the number of its first row; those without rows are left out."""
    row: int | None = 0
    for block in blocks:
        if block.rows != 0:
            yield Piece(path, block.start, block.stop, block.rows, block.size, row)
        row = None if row is None or block.rows is None else row + block.rows
