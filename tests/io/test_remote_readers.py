"""Readers of files that are on S3: the same rows, and no byte that nobody needs."""

from __future__ import annotations

import pickle

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hyped_beam.errors import InputError
from hyped_beam.io.filesystem import locate
from hyped_beam.io.readers.arrow import ArrowReader
from hyped_beam.io.readers.json import JsonReader
from hyped_beam.io.readers.parquet import ParquetReader


def put(uri, write):
    sink = pa.BufferOutputStream()
    write(sink)
    filesystem, path = locate(uri)
    filesystem.write(path, sink.getvalue())


def stream(table, sink):
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=1_000)


def file(table, sink):
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=1_000)


@pytest.fixture
def wide():
    """Two narrow columns and a broad one that does not compress."""
    noise = pa.array([bytes([row % 251, *(row * k % 256 for k in range(400))]) for row in range(20_000)])
    return pa.table({"n": range(20_000), "noise": noise, "half": [row / 2 for row in range(20_000)]})


@pytest.mark.parametrize(
    ("reader", "write", "name"),
    [
        (ParquetReader, lambda table, sink: pq.write_table(table, sink, row_group_size=5_000), "x.parquet"),
        (ArrowReader, stream, "x.arrow"),
        (ArrowReader, file, "x.arrow"),
    ],
)
def test_the_same_rows_as_of_local_files(s3, reader, write, name, words, read_all):
    for part in range(2):
        put(
            s3.uri(f"in/{part}{name}"),
            lambda sink, part=part: write(words.slice(part * 10_000, 10_000), sink),
        )
    source = reader(s3.uri("in"))
    assert pa.Table.from_batches(read_all(source)).combine_chunks().equals(words)
    assert reader(s3.uri(f"in/*{name}")).fingerprint() != source.fingerprint()
    scan = pickle.loads(pickle.dumps(source.scan(["n"])))  # noqa: S301 - as it travels to the workers
    assert sum(batch.num_rows for part in source.ranges() for batch in scan.read(part)) == 20_000


def test_of_parquet_only_the_footer_and_the_columns_asked_for_are_fetched(s3, wide, read_all):
    put(
        s3.uri("wide.parquet"),
        lambda sink: pq.write_table(wide, sink, row_group_size=5_000, compression="none"),
    )
    source = ParquetReader(s3.uri("wide.parquet"))
    ranges = source.ranges()
    scan = source.scan(["n"])
    s3.requests()
    assert sum(batch.num_rows for part in ranges for batch in scan.read(part)) == 20_000
    fetched = sum(size for method, _, size in s3.requests() if method == "GET")
    column = pq.read_metadata(
        pa.BufferReader(locate(s3.uri("wide.parquet"))[0].read(f"{s3.bucket}/wide.parquet"))
    )
    needed = sum(column.row_group(group).column(0).total_compressed_size for group in range(4))
    assert needed <= fetched < needed + 50_000


def test_no_secret_is_in_what_is_saved_and_travels(s3, monkeypatch, words):
    put(s3.uri("x.parquet"), lambda sink: pq.write_table(words, sink))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    source = ParquetReader(s3.uri("x.parquet"))
    fingerprint = source.fingerprint()
    saved = f"{source.to_json()}{source.ranges()}{pickle.dumps(source.scan(['n']))!r}{source}"
    assert "very-secret" not in saved
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    assert ParquetReader(s3.uri("x.parquet")).fingerprint() == fingerprint


def test_damaged_and_missing_files_on_a_store(s3):
    filesystem, path = locate(s3.uri("x.parquet"))
    filesystem.write(path, b"PAR1 is not enough")
    with pytest.raises(InputError, match=r"s3://.*x.parquet cannot be read as Parquet"):
        ParquetReader(s3.uri("x.parquet")).ranges()
    with pytest.raises(
        InputError, match=r"there is no file or folder .*\n  hint: did you mean bucket.*/x.parquet"
    ):
        ParquetReader(s3.uri("y.parquet")).ranges()
    with pytest.raises(InputError, match=r"there is no bucket 'not-there'"):
        ParquetReader("s3://not-there/y.parquet").ranges()


def test_an_object_that_is_replaced_by_one_of_its_size_is_refused(s3, read_all):
    lines = [("".join(f'{{"n": {n}}}\n' for n in range(first, first + 9))).encode() for first in (1000, 2000)]
    filesystem, path = locate(s3.uri("in/x.jsonl"))
    filesystem.write(path, lines[0])
    filesystem.write(locate(s3.uri("in/y.jsonl"))[1], lines[0])
    source = JsonReader(s3.uri("in")).pinned()
    source.check_unchanged()
    assert sum(batch.num_rows for batch in read_all(source)) == 18
    filesystem.write(path, lines[1])
    with pytest.raises(InputError, match=r"x\.jsonl has changed while it was read: its etag was"):
        source.check_unchanged()
    with pytest.raises(InputError, match=r"x\.jsonl has changed while it was read: its etag was"):
        read_all(source)
    filesystem.delete(path)
    with pytest.raises(InputError, match=r"x\.jsonl is gone"):
        source.check_unchanged()
