"""JSON lines as a source: one object a row."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from pydantic import Field

from hyped_beam.errors import InputError
from hyped_beam.io.filesystem import FileInfo
from hyped_beam.io.paths import Paths
from hyped_beam.io.readers.agreement import disagreement
from hyped_beam.io.readers.base import Block, Piece, batch_of, rows_per_batch
from hyped_beam.io.readers.conditions import Condition
from hyped_beam.io.readers.files import FileReader
from hyped_beam.io.readers.json_numbers import (
    check_infinities,
    holds_infinity,
    holds_text,
    misfit,
    with_numbers_as_text,
)
from hyped_beam.io.readers.json_types import (
    marked,
    merged,
    numbers_as_text,
    numbers_in,
    settled,
    with_bounded_exponents,
)
from hyped_beam.io.readers.json_values import decoded, parsed_type
from hyped_beam.io.readers.lines import (
    BOM,
    CHUNK_BYTES,
    LONGEST_LINE,
    Chunk,
    blocks_of,
    bounds,
    check_utf8,
    chunks,
    compression_of,
    line_number,
    rows_before,
)
from hyped_beam.io.readers.numbers import Numbers, out_of_range, warn_of_texts
from hyped_beam.io.readers.suffixes import compressed_suffixes
from hyped_beam.io.unchanged import present
from hyped_beam.io.versions import Version
from hyped_beam.types import features as features_of
from hyped_beam.types.nesting import DEEPEST, TOO_DEEP

KIND = "JSON lines"
# How pyarrow names columns and rows; rows are counted in what it was given.
COLUMN = re.compile(r"Column\(/(.*?)\)")
NUMBER_FOR_TEXT = "changed from string to number"
NUMBER_TOO_BIG = "Number too big"
IN_ROW = re.compile(r" in row \d+$")
OPENING, CLOSING = ord("{"), ord("}")
# Of a bracket and a brace: their codes differ in one bit.
OPENS, CLOSES, SAME = ord("{"), ord("}"), 0x20
STRING = re.compile(rb'"(?:[^"\\]+|\\.)*(?:"|\\?\Z)', re.DOTALL)


class JsonReader(FileReader):
    r"""Rows of JSON lines: each line is an object, blank lines are left out.

    Types are those of `features=`. There, values are expected as `JsonDatasetWriter` writes them: timestamps,
    dates and times as ISO 8601 strings, durations as numbers of their unit, binary values as base64. Without
    `features=` all files are read once to find the types: numbers are float64 where one of them has a
    fraction, strings stay strings whatever they look like, fields that some rows lack are null there, and
    what is null everywhere is a string.

    Files may be compressed: `.jsonl.gz`, `.jsonl.zst`, `.jsonl.bz2`. Only files that are not are cut into
    ranges, which are read side by side.

    Args:
        paths: See `FileReader`.
        max_line_bytes: The most bytes of a line, decompressed; at least 4 MB.

    Example:
        >>> import pathlib, tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> _ = pathlib.Path(folder.name, "mail.jsonl").write_text('{"text": "a", "n": 1}\n{"text": "b"}\n')
        >>> reader = JsonReader(folder.name)
        >>> [batch.to_pylist() for part in reader.ranges() for batch in reader.read(part, ["n", "text"])]
        [[{'n': 1, 'text': 'a'}, {'n': None, 'text': 'b'}]]
    """

    suffixes: ClassVar[tuple[str, ...]] = compressed_suffixes((".jsonl", ".ndjson", ".json"))
    infers_types: ClassVar[bool] = True
    kind: ClassVar[str] = KIND

    max_line_bytes: int = Field(default=LONGEST_LINE, ge=CHUNK_BYTES)

    def __init__(self, paths: Paths, features: Any = None, **options: Any) -> None:
        super().__init__(paths, features, **options)

    def stored_features(self, files: Sequence[FileInfo]) -> Any:
        """The types of all values of all files, as one type for each column."""
        types: dict[str, pa.DataType] = {}
        found_in: dict[str, str] = {}
        for file in files:
            for name, found in _inferred(file.uri, file.version, self.max_line_bytes):
                try:
                    types[name] = merged(types.get(name, pa.null()), found)
                except TypeError:
                    kinds = (str(settled(kind)) for kind in (types[name], found))
                    raise disagreement(name, next(kinds), found_in[name], next(kinds), file.uri) from None
                if not pa.types.is_null(found):
                    found_in.setdefault(name, file.uri)
        texts = {
            path: numbers for name, found in types.items() for path, numbers in numbers_as_text(found, name)
        }
        warn_of_texts(texts, ((file.uri, _numbers_of(file, self.max_line_bytes)) for file in files))
        return features_of.as_features(pa.schema([(name, settled(found)) for name, found in types.items()]))

    def check_declared(self, files: Sequence[FileInfo], declared: Mapping[str, Any]) -> None:
        """Refuse types that have no form in JSON; the values are looked at when they are read."""
        del files
        for name, feature in declared.items():
            try:
                parsed_type(features_of.to_arrow(feature))
            except NotImplementedError:
                message = f"JSON cannot hold column {name!r}, declared as {features_of.describe(feature)}"
                raise InputError(message, hint="declare a string, and convert it in the flow") from None

    def blocks_of(self, file: FileInfo) -> list[Block]:
        """Any bytes from-to, of which the lines that begin in them are read."""
        return blocks_of(file)

    def told_by_name(self, uri: str) -> str:
        """How a file is compressed."""
        return compression_of(uri) or ""

    def first_rows(self, file: FileInfo, starts: Sequence[int]) -> list[int]:
        """How many lines that are not blank stand before some places."""
        return rows_before(file, KIND, starts, lambda data: len(_rows(data)[0]), self.max_line_bytes)

    def read_piece(
        self,
        piece: Piece,
        wanted: pa.Schema,
        condition: Condition | None,  # noqa: ARG002 - lines keep no statistics
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """The rows of the lines that begin in a piece."""
        parsed: pa.Schema | None = None  # a line of many columns has many pieces that hold no row
        row = 0
        for chunk in _checked_chunks(piece, self.max_line_bytes):
            if parsed is None:
                parsed = pa.schema([(field.name, parsed_type(field.type)) for field in wanted])
            batch = _batch(piece.path, chunk, parsed, wanted)
            step = rows_per_batch(batch.num_rows, len(chunk.data))
            for start in range(0, batch.num_rows, step):
                cut = batch.slice(start, step)
                yield row, cut
                row += cut.num_rows


def _checked_chunks(piece: Piece, longest: int) -> Iterator[Chunk]:
    """Lines that are UTF-8, and each either blank or something in braces."""
    for chunk in chunks(piece, KIND, longest):
        given = chunk
        if chunk.offset == 0 and chunk.data.startswith(BOM):
            given = Chunk(len(BOM), chunk.data[len(BOM) :])
        check_utf8(piece.path, KIND, given)
        starts, ends = _rows(given.data)
        characters = np.frombuffer(given.data, np.uint8)
        wrong = (characters[starts] != OPENING) | (characters[ends - 1] != CLOSING)
        if wrong.any():
            index = int(np.flatnonzero(wrong)[0])
            raise _not_an_object(piece.path, given, int(starts[index]), int(ends[index]))
        _check_nesting(piece.path, given, starts, ends)
        yield given


def _rows(data: bytes) -> tuple[Any, Any]:
    """Where the lines that are not blank begin and end, without white space around them."""
    starts, ends = bounds(data)
    characters = np.frombuffer(data, np.uint8)
    filled = ends > starts
    starts, ends = starts[filled], ends[filled]
    if not len(starts):
        return starts, ends
    odd = np.flatnonzero((characters[starts] <= ord(" ")) | (characters[ends - 1] <= ord(" ")))
    for index in odd:
        line = data[starts[index] : ends[index]]
        starts[index] += len(line) - len(line.lstrip())
        ends[index] -= len(line) - len(line.rstrip())
    kept = ends > starts
    return starts[kept], ends[kept]


def _check_nesting(uri: str, chunk: Chunk, starts: Any, ends: Any) -> None:
    """Refuse lines that are nested too deep: `pyarrow.json` goes down into them until its stack is full.

    Raises:
        InputError: There is one.
    """
    opened = np.flatnonzero((np.frombuffer(chunk.data, np.uint8) | SAME) == OPENS)
    counts = np.searchsorted(opened, ends) - np.searchsorted(opened, starts)
    for index in np.flatnonzero(counts > DEEPEST + 1):  # the row itself is one; brackets in text count, too
        line = chunk.data[starts[index] : ends[index]]
        characters = np.frombuffer(STRING.sub(b"", line), np.uint8) | SAME
        steps = (characters == OPENS).astype(np.int64) - (characters == CLOSES)
        if np.cumsum(steps).max(initial=0) > DEEPEST + 1:
            number = line_number(uri, KIND, chunk.offset + int(starts[index]))
            raise InputError(f"{uri}:{number}: {TOO_DEEP}", hint="flatten what the line holds")


def _not_an_object(uri: str, chunk: Chunk, start: int, end: int) -> InputError:
    line = line_number(uri, KIND, chunk.offset + start)
    text = chunk.data[start:end]
    try:
        found = json.loads(text)
    except ValueError as error:
        if line == 1 and text.lstrip()[:1] in (b"[", b"{"):
            hint = "each line must be an object; jq -c '.[]' makes lines of a file that is one array"
        else:
            hint = "each line must be one JSON object"
        return InputError(f"{uri}:{line}: not a line of JSON: {error}", hint=hint)
    kind = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}.get(
        type(found), "a number"
    )
    return InputError(f"{uri}:{line}: {kind}, not an object", hint="each line must be one JSON object")


def _batch(uri: str, chunk: Chunk, parsed: pa.Schema, wanted: pa.Schema) -> pa.RecordBatch:
    try:
        return _parsed(chunk.data, parsed, wanted)
    except pa.ArrowException as error:
        raise _culprit(uri, chunk, lambda data: _parsed(data, parsed, wanted), error, wanted) from None


def _parsed(data: bytes, parsed: pa.Schema, wanted: pa.Schema) -> pa.RecordBatch:
    rows = len(_rows(data)[0])
    if rows == 0:
        return batch_of([pa.nulls(0, field.type) for field in wanted], wanted.names, 0)
    try:
        table = _table(data, parsed)
    except pa.ArrowInvalid as error:
        has_numbers = NUMBER_FOR_TEXT in str(error) and any(holds_text(field.type) for field in wanted)
        if not has_numbers and NUMBER_TOO_BIG not in str(error):
            raise
        starts, ends = _rows(data)
        columns = with_numbers_as_text(
            (data[start:end] for start, end in zip(starts, ends, strict=True)), wanted, parsed
        )
        table = pa.table(columns, parsed)
    if table.num_rows != rows:
        raise pa.ArrowInvalid("a line holds more than one object")
    columns = [decoded(_whole(table[field.name]), field.type) for field in wanted]
    if any(map(holds_infinity, columns)):
        starts, ends = _rows(data)
        check_infinities((data[start:end] for start, end in zip(starts, ends, strict=True)), wanted)
    return batch_of(columns, wanted.names, rows)


def _table(data: bytes, schema: pa.Schema | None) -> pa.Table:
    import pyarrow.json as pj

    return pj.read_json(
        pa.BufferReader(data),
        read_options=pj.ReadOptions(block_size=len(data) + 1, use_threads=False),
        parse_options=pj.ParseOptions(
            explicit_schema=schema, unexpected_field_behavior="infer" if schema is None else "ignore"
        ),
    )


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _culprit(
    uri: str, chunk: Chunk, parse: Any, error: Exception, wanted: pa.Schema | None = None
) -> InputError:
    """The error for the first line with which lines can no longer be parsed."""
    starts, ends = _rows(chunk.data)
    good, bad = 0, len(starts)  # the lines before `good` parse, those before `bad` do not
    while bad - good > 1:
        middle = (good + bad) // 2
        try:
            parse(chunk.data[: ends[middle - 1]])
            good = middle
        except pa.ArrowException as found:
            bad, error = middle, found
    start, end = int(starts[bad - 1]), int(ends[bad - 1])
    line = line_number(uri, KIND, chunk.offset + start)
    try:
        json.loads(chunk.data[start:end])
    except ValueError as problem:
        message = f"{uri}:{line}: not a line of JSON: {problem}"
        return InputError(message, hint="each line must be one JSON object")
    number = None if wanted is None else misfit(chunk.data[start:end], wanted)
    if number is not None:
        message, hint = out_of_range(*number)
        return InputError(f"{uri}:{line}: {message}", hint=hint)
    reason = IN_ROW.sub("", str(error).removeprefix("JSON parse error: "))
    reason = COLUMN.sub(r"column '\1'", reason)
    hint = "mend the line, or declare what the values are: features=..."
    return InputError(f"{uri}:{line}: {reason}", hint=hint)


@lru_cache(maxsize=1024)
def _inferred(uri: str, version: Version, longest: int) -> tuple[tuple[str, pa.DataType], ...]:
    """The types of the columns of a file, without those that are settled in the end."""
    types: dict[str, pa.DataType] = {}
    for chunk in _checked_chunks(Piece(uri, 0, None), longest):
        if not len(_rows(chunk.data)[0]):
            continue
        for name, found in _inferred_of(uri, chunk):
            try:
                types[name] = merged(types.get(name, pa.null()), found)
            except TypeError:
                line = line_number(uri, KIND, chunk.offset)
                before, now = settled(types[name]), settled(found)
                message = f"{uri}: column {name!r} is {before} before line {line} and {now} from there on"
                raise InputError(message, hint=f"declare what it is: features={{{name!r}: ...}}") from None
    present(uri, version)
    return tuple(types.items())


def _inferred_of(uri: str, chunk: Chunk) -> list[tuple[str, pa.DataType]]:
    def infer(data: bytes) -> pa.Table:
        try:
            table = _table(data, None)
        except pa.ArrowInvalid as error:
            if NUMBER_TOO_BIG not in str(error):
                raise
            table = _table(with_bounded_exponents(data), None)
        if table.num_rows != len(_rows(data)[0]):
            raise pa.ArrowInvalid("a line holds more than one object")
        return table

    try:
        table = infer(chunk.data)
    except pa.ArrowException as error:
        raise _culprit(uri, chunk, infer, error) from None
    return marked(table, chunk.data, *_rows(chunk.data))


def _numbers_of(file: FileInfo, longest: int) -> Iterator[tuple[str, Numbers]]:
    """What the numbers of the columns of a file are, and those within columns."""
    for name, found in _inferred(file.uri, file.version, longest):
        yield from numbers_in(found, name)
