"""Reading and writing against the same by hand, as ratios of medians, and peak memory of 1x and 10x a file.

    python tests/benchmarks/files.py

Reading by hand is pyarrow's own scan of the same columns; writing by hand is a loop over the same batches
into the format's bare writer (for JSON: `json.dumps` of each row), which counts, checks and commits nothing.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from hyped_beam.io.commit import Destination, RangeCommit, finish, prepare
from hyped_beam.io.readers.arrow import ArrowReader
from hyped_beam.io.readers.base import Reader
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.arrow import ArrowDatasetWriter
from hyped_beam.io.writers.base import Writer
from hyped_beam.io.writers.json import JsonDatasetWriter
from hyped_beam.io.writers.parquet import ParquetDatasetWriter

ROWS = 200_000
STORED_ROWS = 1_000  # as `datasets` stores them
RUNS = 5
READERS: dict[str, type[ArrowReader | ParquetReader]] = {"parquet": ParquetReader, "arrow": ArrowReader}
WRITERS: dict[str, type[Writer]] = {
    "parquet": ParquetDatasetWriter,
    "arrow": ArrowDatasetWriter,
    "json": JsonDatasetWriter,
}


def make(folder: Path, times: int) -> None:
    """Write the files that are read: 20 columns, of which two are texts."""
    rows = range(ROWS)
    text = pa.array([f'row {row} says "the quick brown fox"\n' for row in rows])
    columns = {"text": text, "name": text} | {f"n{index}": pa.array(rows) for index in range(18)}
    table = pa.table(columns)
    with (
        pa.OSFile(str(folder / f"{times}.arrow"), "wb") as file,
        pa.ipc.new_stream(file, table.schema) as stream,
        pq.ParquetWriter(folder / f"{times}.parquet", table.schema) as parquet,
    ):
        for _ in range(times):
            stream.write_table(table, max_chunksize=STORED_ROWS)
            parquet.write_table(table, row_group_size=100_000)


def read(reader: Reader, columns: Sequence[str]) -> list[pa.RecordBatch]:
    """All scan batches."""
    return [batch for part in reader.ranges() for batch in reader.read(part, columns)]


def read_by_hand(kind: str, path: str, columns: Sequence[str]) -> list[pa.RecordBatch]:
    """The same by pyarrow."""
    if kind == "parquet":
        return list(pads.dataset(path).to_batches(columns=list(columns), batch_size=65_536))
    table = pa.ipc.open_stream(pa.memory_map(path)).read_all().select(list(columns))
    return table.combine_chunks().to_batches(max_chunksize=65_536)


def write(writer: Writer, batches: Sequence[pa.RecordBatch]) -> None:
    """All batches, as one range of a job."""
    destinations = [Destination("rows", writer, batches[0].schema)]
    prepare(destinations, "benchmark", "replace")
    commit = RangeCommit(destinations, 0)
    for batch in batches:
        commit.write("rows", batch)
    finish(destinations, [commit.commit()])


def write_by_hand(kind: str, path: str, batches: Sequence[pa.RecordBatch]) -> None:
    """The same without counting, checksums and commit."""
    schema = batches[0].schema
    if kind == "parquet":
        with pq.ParquetWriter(path, schema) as parquet:
            for batch in batches:
                parquet.write_batch(batch)
    elif kind == "arrow":
        with pa.OSFile(path, "wb") as file, pa.ipc.new_stream(file, schema) as stream:
            for batch in batches:
                stream.write_batch(batch)
    else:
        with Path(path).open("w") as file:
            for batch in batches:
                file.writelines(json.dumps(row) + "\n" for row in batch.to_pylist())


def ratio(ours: Callable[[], object], theirs: Callable[[], object]) -> str:
    """Both in turn, medians."""
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(RUNS):
        for run, seconds in zip((ours, theirs), taken, strict=True):
            started = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - started)
    mine, other = (statistics.median(seconds) for seconds in taken)
    return f"{mine:7.3f} s {other:7.3f} s {mine / other:6.2f}"


def compare_reading(kind: str, path: str, columns: Sequence[str]) -> None:
    """One line of the table."""
    line = ratio(lambda: read(READERS[kind](path), columns), lambda: read_by_hand(kind, path, columns))
    print(f"read {len(columns):2} of 20 columns, {kind:8} {line}")


def compare_writing(kind: str, folder: Path, batches: Sequence[pa.RecordBatch]) -> None:
    """One line of the table."""
    line = ratio(
        lambda: write(WRITERS[kind](folder / f"out.{kind}"), batches),
        lambda: write_by_hand(kind, str(folder / f"bare.{kind}"), batches),
    )
    print(f"write 3 columns, {kind:15} {line}")


def peak(kind: str, path: Path) -> float:
    """Megabytes that a process of its own takes at most to read a file and write it as JSON lines."""
    command = [sys.executable, __file__, kind, str(path)]
    return float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def copy(kind: str, path: str) -> None:
    """What `peak` measures."""
    reader = READERS[kind](path)
    columns = ["text", "n0"]
    schema = reader.features.arrow_schema
    schema = pa.schema([schema.field(name) for name in columns])
    destinations = [Destination("rows", JsonDatasetWriter(path + ".copy"), schema)]
    prepare(destinations, "benchmark", "replace")
    records = []
    for part in reader.ranges():
        commit = RangeCommit(destinations, part.number)
        for batch in reader.read(part, columns):
            commit.write("rows", batch)
        records.append(commit.commit())
    finish(destinations, records)
    # Not `ru_maxrss`, which begins at what the parent process had.
    (most,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    print(int(most) / 1024)


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, 1)
        make(folder, 10)
        for kind in READERS:
            for columns in (["text", "n0"], [f"n{index}" for index in range(18)]):
                compare_reading(kind, str(folder / f"10.{kind}"), columns)
        batches = read(ArrowReader(folder / "10.arrow"), ["text", "n0", "n1"])
        for kind in WRITERS:
            compare_writing(kind, folder, batches)
        for kind in READERS:
            once, ten = (peak(kind, folder / f"{times}.{kind}") for times in (1, 10))
            print(f"peak memory, {kind:19} {once:6.0f} MB {ten:6.0f} MB {ten / once:6.2f}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        copy(*sys.argv[1:])
    else:
        main()
