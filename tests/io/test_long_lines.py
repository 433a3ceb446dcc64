"""Lines of gigabytes in small compressed files are refused: at a limit, in linear time, in little memory."""

from __future__ import annotations

import gzip
import resource
import time

import pytest

from hyped_beam.errors import DefinitionError, InputError
from hyped_beam.io.readers import lines as lines_of
from hyped_beam.io.readers.base import Piece
from hyped_beam.io.readers.csv import CsvReader
from hyped_beam.io.readers.json import JsonReader
from hyped_beam.io.readers.lines import CHUNK_BYTES, LONGEST_LINE, chunks
from hyped_beam.io.readers.text import TextReader

MB = 1 << 20


def compressed(path, begin, megabytes, end=b""):
    """A file that begins with some bytes, and goes on with megabytes of one character."""
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(begin)
        for _ in range(megabytes):
            file.write(b"a" * MB)
        file.write(end)
    return path


def read(reader):
    names = list(reader.features)
    return sum(batch.num_rows for part in reader.ranges() for batch in reader.read(part, names))


@pytest.mark.parametrize(
    ("reader", "name", "begin", "line"),
    [
        (JsonReader, "rows.jsonl.gz", b'{"a": "b"}\n{"a": "', 2),
        (TextReader, "rows.txt.gz", b"first\nsecond\n", 3),
        (CsvReader, "rows.csv.gz", b"a,b\n1,2\n", None),
        (CsvReader, "rows.csv.gz", b"", None),
        (lambda path: CsvReader(path, newlines_in_values=False), "rows.csv.gz", b"a,b\n1,2\n", None),
        (lambda path: TextReader(path, whole=True), "rows.txt.gz", b"", None),
    ],
)
def test_a_line_of_a_gigabyte_is_refused(tmp_path, reader, name, begin, line):
    path = compressed(tmp_path / name, begin, 1024)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    with pytest.raises(InputError) as raised:
        read(reader(path))
    assert time.process_time() - began < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kB
    assert str(path) + (f":{line}: the line has more than 67,108,864 bytes" if line else "") in str(
        raised.value
    )
    assert raised.value.hint


@pytest.mark.parametrize(("reader", "name"), [(JsonReader, "rows.jsonl.gz"), (TextReader, "rows.txt.gz")])
def test_the_limit_is_an_option(tmp_path, reader, name):
    path = compressed(tmp_path / name, b'{"a": "', 6, b'"}\n{"a": "b"}\n')
    assert read(reader(path)) == 2
    with pytest.raises(InputError, match="max_line_bytes"):
        read(reader(path, max_line_bytes=5 * MB))
    assert read(reader(path, max_line_bytes=7 * MB)) == 2
    with pytest.raises(DefinitionError, match="max_line_bytes"):
        reader(path, max_line_bytes=10)
    made = reader.from_json(reader(path, max_line_bytes=7 * MB).to_json())
    assert made.max_line_bytes == 7 * MB


def test_long_lines_are_put_together_in_linear_time(tmp_path, monkeypatch):
    """What is read of a line is not copied again with each of a thousand pieces that are read."""
    size = 16 << 10
    monkeypatch.setattr(lines_of, "CHUNK_BYTES", size)
    path = tmp_path / "rows.txt"
    path.write_bytes(b"a" * (16 * MB) + b"\nb\n")

    def put_together():
        assert [len(chunk.data) for chunk in chunks(Piece(str(path), 0, None), "text")]

    def joined():
        with path.open("rb", buffering=0) as file:
            assert b"".join(iter(lambda: file.read(size), b""))

    assert _seconds(put_together) < 30 * _seconds(joined)  # some 2 times; over 100, were all copied again


def _seconds(function):
    """The least of a few times, in seconds of the processor."""
    taken = []
    for _ in range(5):
        began = time.process_time()
        function()
        taken.append(time.process_time() - began)
    return min(taken)


@pytest.mark.parametrize("sizes", [(1, 5, 1), (5, 1, 9), (4, 4), (0, 13, 0, 1)])
@pytest.mark.parametrize("ended", [True, False])
def test_lines_longer_than_what_is_read_at_once_are_whole(tmp_path, sizes, ended):
    lines = [bytes([97 + number]) * (size * MB + number) for number, size in enumerate(sizes)]
    content = b"\n".join(lines) + (b"\n" if ended else b"")
    path = tmp_path / "rows.txt"
    path.write_bytes(content)
    found = list(chunks(Piece(str(path), 0, None), "text"))
    assert b"".join(chunk.data for chunk in found) == content
    assert all(chunk.data.endswith(b"\n") for chunk in found[:-1])
    assert [chunk.offset for chunk in found] == [
        sum(len(other.data) for other in found[:n]) for n in range(len(found))
    ]
    step = 3 * MB + 1
    pieces = [
        Piece(str(path), start, min(start + step, len(content))) for start in range(0, len(content), step)
    ]
    pieces[-1] = Piece(str(path), pieces[-1].start, None)
    apart = b"".join(chunk.data for piece in pieces for chunk in chunks(piece, "text"))
    assert apart == content


def test_the_default_is_documented():
    assert LONGEST_LINE == 64 * MB
    assert CHUNK_BYTES == 4 * MB
    assert "max_line_bytes" in (JsonReader.__doc__ or "")
