"""CSV text to Arrow: parsing, and saying where a file is wrong."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pyarrow as pa

from hyped_beam.errors import InputError
from hyped_beam.io.readers.agreement import check_unique
from hyped_beam.io.readers.base import Piece
from hyped_beam.io.readers.lines import (
    BOM,
    CHUNK_BYTES,
    Chunk,
    bounds,
    check_utf8,
    chunks,
    line_number,
    text_of,
)
from hyped_beam.io.readers.numbers import declared_name, is_number, is_number_type, out_of_range
from hyped_beam.io.unchanged import present
from hyped_beam.io.versions import Version
from hyped_beam.types.arrays import storage_type

KIND = "CSV"
# The longest row that can be read: a row must lie within one block.
BLOCK_BYTES = 2 * CHUNK_BYTES
ROW = re.compile(r"Row #(\d+): ")
COLUMN = re.compile(r"In CSV column #(\d+): ")
# How pyarrow says that a value is not of the type of its column, and in what decimals differ.
VALUE = re.compile(
    r"CSV conversion error to (?P<type>.*): invalid value '(?P<value>.*)'"
    r"|Error converting '(?P<number>.*)' to (?P<decimal>decimal.*): .*",
    re.DOTALL,
)
HINT = "mend the line, or look at delimiter= and quote="
HINT_OF_VALUES = "declare what the values are: features=..., or what stands for null: null_values=..."

HEXADECIMAL = re.compile(rb"0[xX]")


@dataclass(frozen=True)
class Dialect:
    """How a file is written; see `CsvReader`."""

    delimiter: str
    quote: str | None
    names: tuple[str, ...] | None
    null_values: tuple[str, ...]
    newlines_in_values: bool

    def parse_options(self) -> Any:
        """For `pyarrow.csv`."""
        from pyarrow.csv import ParseOptions

        return ParseOptions(
            delimiter=self.delimiter,
            quote_char=self.quote or False,
            newlines_in_values=self.newlines_in_values,
        )

    def convert_options(self, schema: pa.Schema, *, alone: bool) -> Any:
        """For `pyarrow.csv`.

        Args:
            schema: The columns to read.
            alone: Whether the file has only this one: then a null is in quotes, for it would be no line.
        """
        from pyarrow.csv import ConvertOptions

        is_text = len(schema) == 1 and pa.types.is_string(schema.field(0).type)
        return ConvertOptions(
            column_types=schema,
            include_columns=schema.names,
            null_values=list(self.null_values),
            strings_can_be_null=True,
            quoted_strings_can_be_null=alone and not is_text,
        )

    def rows(self, text: Iterable[str]) -> Any:
        """The rows by Python's parser, which knows lines."""
        if self.quote is None:
            return csv.reader(text, delimiter=self.delimiter, quoting=csv.QUOTE_NONE)
        return csv.reader(text, delimiter=self.delimiter, quotechar=self.quote)


def parsed_type(arrow_type: pa.DataType) -> pa.DataType:
    """The type as which `pyarrow.csv` parses the values of a type.

    Raises:
        NotImplementedError: Values of the type have no form in CSV.
    """
    kind = storage_type(arrow_type)
    if pa.types.is_nested(kind) or pa.types.is_dictionary(kind):
        raise NotImplementedError(str(arrow_type))
    if pa.types.is_float16(kind):
        return pa.float32()
    if pa.types.is_duration(kind):
        return pa.int64()
    as_text = (
        pa.types.is_binary,
        pa.types.is_large_binary,
        pa.types.is_fixed_size_binary,
        pa.types.is_binary_view,
        pa.types.is_large_string,
        pa.types.is_string_view,
        pa.types.is_decimal32,
        pa.types.is_decimal64,
        pa.types.is_decimal256,
    )
    return pa.string() if any(check(kind) for check in as_text) else kind


# ------------------------------------------------------------------------------------------------- columns


@contextmanager
def _python_text(uri: str) -> Iterator[io.TextIOBase]:
    with text_of(uri, KIND) as file:
        text = io.TextIOWrapper(io.BufferedReader(_Raw(file)), encoding="utf-8-sig", newline="")
        yield text
        text.detach()


class _Raw(io.RawIOBase):
    """An Arrow stream as Python's text layer takes it."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _short_lines(uri: str, text: io.TextIOBase) -> Iterator[str]:
    """Lines, one after the other.

    Raises:
        InputError: One is longer than a row may be.
    """
    while line := text.readline(BLOCK_BYTES):
        if len(line) == BLOCK_BYTES:
            raise InputError(f"{uri} has a row of more than {BLOCK_BYTES >> 20} MB", hint=HINT)
        yield line


def column_names(uri: str, version: Version | None, dialect: Dialect) -> tuple[str, ...]:
    """The names of the columns of a version of a file.

    Raises:
        InputError: It has no header, or a name twice.
    """
    return dialect.names or _header(uri, version, dialect)


@lru_cache(maxsize=1024)
def _header(uri: str, version: Version | None, dialect: Dialect) -> tuple[str, ...]:
    try:
        with _python_text(uri) as text:
            names = next((row for row in dialect.rows(_short_lines(uri, text)) if row), None)
    except UnicodeDecodeError:
        for chunk in chunks(Piece(uri, 0, None), KIND):
            check_utf8(uri, KIND, chunk)
        raise
    except csv.Error as error:
        raise InputError(f"{uri}:1: the header cannot be read: {error}", hint=HINT) from None
    if names is None:
        hint = "the first line must name the columns; for files without: header=False, names=[...]"
        raise InputError(f"{uri} is empty", hint=hint)
    check_unique(uri, names)
    present(uri, version)
    return tuple(names)


# -------------------------------------------------------------------------------------------------- tables


def tables(piece: Piece, dialect: Dialect, schema: pa.Schema) -> Iterator[tuple[pa.RecordBatch, int, bool]]:
    """The rows of a piece, some megabytes at a time, each with the bytes that it took.

    With them comes whether there may be hexadecimal numbers among them, which `pyarrow` reads as integers.

    Args:
        piece: A piece of a file.
        dialect: How it is written.
        schema: The columns to read, and the types to parse them as.

    Raises:
        InputError: A row is not what it should be; the message says the line.
    """
    names = column_names(piece.path, piece.version, dialect)
    read = pa.schema([(names[0], pa.string())]) if not len(schema) else schema
    options = dialect.convert_options(read, alone=len(names) == 1)
    parts = _streamed if dialect.newlines_in_values else _line_by_line
    try:
        yield from parts(piece, dialect, names, options)
    except pa.ArrowInvalid as error:
        raise _explained(piece, dialect, names, options, error) from None


def _streamed(
    piece: Piece, dialect: Dialect, names: tuple[str, ...], options: Any
) -> Iterator[tuple[pa.RecordBatch, int, bool]]:
    from pyarrow import csv as arrow_csv

    with text_of(piece.path, KIND) as file:
        counted = _Counted(file, dialect.quote)
        if not _has_rows(counted.begin(), dialect):
            return
        reader = arrow_csv.open_csv(
            pa.PythonFile(counted, mode="r"),
            read_options=arrow_csv.ReadOptions(
                use_threads=False,
                block_size=BLOCK_BYTES,
                column_names=list(names),
                skip_rows=0,
                skip_rows_after_names=0 if dialect.names else 1,
            ),
            parse_options=dialect.parse_options(),
            convert_options=options,
        )
        for batch in reader:
            yield batch, BLOCK_BYTES, counted.has_hexadecimal
    if counted.quotes % 2:
        with _python_text(piece.path) as text:
            _check_ends(piece.path, dialect, text)


def _line_by_line(
    piece: Piece, dialect: Dialect, names: tuple[str, ...], options: Any
) -> Iterator[tuple[pa.RecordBatch, int, bool]]:
    from pyarrow import csv as arrow_csv

    is_first = piece.start == 0
    for chunk in chunks(piece, KIND):
        data = chunk.data.removeprefix(BOM) if is_first else chunk.data
        skipped = 1 if is_first and dialect.names is None else 0
        if not (_has_rows(data, dialect) if is_first else data.strip(b"\r\n")):
            continue
        is_first = False
        if dialect.quote and data.count(dialect.quote.encode()) % 2:
            line = line_number(piece.path, KIND, chunk.offset)
            _check_ends(piece.path, dialect, io.StringIO(data.decode(errors="replace")), line)
        try:
            table = arrow_csv.read_csv(
                pa.BufferReader(data),
                read_options=arrow_csv.ReadOptions(
                    use_threads=False,
                    block_size=len(data) + 1,
                    column_names=list(names),
                    skip_rows_after_names=skipped,
                ),
                parse_options=dialect.parse_options(),
                convert_options=options,
            )
        except pa.ArrowInvalid as error:
            raise _explained(piece, dialect, names, options, error, chunk) from None
        for batch in table.combine_chunks().to_batches():
            yield batch, len(data), HEXADECIMAL.search(data) is not None


def _has_rows(begin: bytes, dialect: Dialect) -> bool:
    """Whether a file that begins so may hold more than its header, which pyarrow does not read alone."""
    text = begin.strip(b"\r\n")
    return bool(text) and (dialect.names is not None or b"\n" in text or b"\r" in text)


class _Counted:
    """A stream that counts quotes: pyarrow takes a file that ends within quotes for a whole one."""

    def __init__(self, file: Any, quote: str | None) -> None:
        self._file = file
        self._quote = quote.encode() if quote else None
        self._begun = b""
        self.quotes = 0
        self.has_hexadecimal = False
        self._last = b""
        self.closed = False

    def begin(self) -> bytes:
        """The beginning, without a byte order mark; nothing where the file is empty."""
        self._begun = self._file.read(CHUNK_BYTES)
        self._begun = self._begun.removeprefix(BOM)
        return self._begun

    def read(self, size: int = -1) -> bytes:
        if self._begun:
            data, self._begun = self._begun[:size], self._begun[size:]
        else:
            data = self._file.read(size)
        if self._quote is not None:
            self.quotes += data.count(self._quote)
        self.has_hexadecimal = self.has_hexadecimal or HEXADECIMAL.search(self._last + data) is not None
        self._last = data[-1:]
        return data

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self.closed = True


# -------------------------------------------------------------------------------------------------- errors


def _explained(
    piece: Piece,
    dialect: Dialect,
    names: tuple[str, ...],
    options: Any,
    error: Exception,
    within: Chunk | None = None,
) -> InputError:
    """The error of pyarrow with the line of the file; it knows rows, and of a part of a file only theirs."""
    try:
        for chunk in chunks(piece, KIND):
            check_utf8(piece.path, KIND, chunk)
    except InputError as found:
        return found
    text = str(error)
    number = ROW.search(text)
    column = COLUMN.search(text)
    reason = ROW.sub("", COLUMN.sub("", text)).removeprefix("CSV parse error: ")
    if "straddling" in text:
        return InputError(f"{piece.path} has a row of more than {BLOCK_BYTES >> 20} MB", hint=HINT)
    if column is None:
        ragged = _ragged(piece.path, dialect, len(names))
        if ragged is not None:
            return ragged
    line = None if number is None else _line_of(piece.path, dialect, int(number[1]), within)
    where = piece.path if line is None else f"{piece.path}:{line}"
    if column is not None:
        return _wrong_value(where, names[int(column[1])], reason, options)
    return InputError(f"{where}: {reason}", hint=HINT)


def _wrong_value(where: str, name: str, reason: str, options: Any) -> InputError:
    """The error for a value that is not of the type of its column."""
    found = VALUE.fullmatch(reason)
    value = None if found is None else found["value"] or found["number"]
    kind = options.column_types.get(name)
    if not value or kind is None:
        return InputError(f"{where}: column {name!r}: {reason}", hint=HINT_OF_VALUES)
    if is_number(value) and is_number_type(kind):
        message, hint = out_of_range(name, value, kind)
        return InputError(f"{where}: {message}", hint=hint)
    message = f"{where}: column {name!r} is declared as {declared_name(kind)}, which {value!r:.60} is not"
    return InputError(message, hint=HINT_OF_VALUES)


def _ragged(uri: str, dialect: Dialect, expected: int) -> InputError | None:
    """The error for the first row of another number of values."""
    for line, row in _numbered_rows(uri, dialect):
        if len(row) != expected:
            values = "1 value" if len(row) == 1 else f"{len(row)} values"
            columns = "1 column" if expected == 1 else f"{expected} columns"
            return InputError(f"{uri}:{line}: {values}, where there are {columns}", hint=HINT)
    return None


def _line_of(uri: str, dialect: Dialect, number: int, within: Chunk | None) -> int | None:
    """The line on which a row begins, rows counted from 1 with the header."""
    if within is not None:
        lines = [line for line in within.data.split(b"\n") if line.strip(b"\r")]
        begin = within.data.find(lines[number - 1]) if number <= len(lines) else 0
        return line_number(uri, KIND, within.offset + begin)
    rows = _numbered_rows(uri, dialect)
    return next((line for index, (line, _) in enumerate(rows, start=1) if index == number), None)


def line_of_row(piece: Piece, dialect: Dialect, row: int) -> int | None:
    """The line on which a row of a piece begins, rows counted from 0 without the header."""
    number = row if dialect.names is not None or piece.start else row + 1
    if dialect.newlines_in_values:
        return _line_of(piece.path, dialect, number + 1, None)
    for chunk in chunks(piece, KIND):
        starts, ends = bounds(chunk.data)
        filled = starts[ends > starts]
        if number < len(filled):
            return line_number(piece.path, KIND, chunk.offset + int(filled[number]))
        number -= len(filled)
    return None


def _numbered_rows(uri: str, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not empty, each with the line on which it begins."""
    with _python_text(uri) as text:
        rows = dialect.rows(text)
        line = 1
        for row in rows:
            if row:
                yield line, row
            line = rows.line_num + 1


def _check_ends(uri: str, dialect: Dialect, text: io.TextIOBase, line: int = 1) -> None:
    """Refuse text that ends within quotes; `line` is the number of its first line."""
    rows = csv.reader(text, delimiter=dialect.delimiter, quotechar=dialect.quote or '"', strict=True)
    begin = line
    try:
        for _ in rows:
            begin = line + rows.line_num
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            message = f"{uri}:{begin}: the quotes that open here are never closed"
            hint = "the file may be cut short, or quoted values hold line ends: newlines_in_values=True"
            raise InputError(message, hint=hint) from None
