"""Files in, files out: whole jobs, readers alone and writers alone, each against the same by hand.

    python -m tests.benchmarks files
    python -m tests.benchmarks.files [rows]

By hand is what one would write with pyarrow (and orjson), which counts, checks and commits nothing.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.json as pajson
import pyarrow.parquet as pq

from hyped_beam import DataFlow
from hyped_beam.io.commit import Destination, RangeCommit, finish, prepare
from hyped_beam.io.readers.arrow import ArrowReader
from hyped_beam.io.readers.base import Reader
from hyped_beam.io.readers.json import JsonReader
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.arrow import ArrowDatasetWriter
from hyped_beam.io.writers.base import Writer
from hyped_beam.io.writers.csv import CsvDatasetWriter
from hyped_beam.io.writers.json import JsonDatasetWriter
from hyped_beam.io.writers.parquet import ParquetDatasetWriter
from tests.benchmarks.light_flow import make_texts
from tests.benchmarks.measure import Row, seconds

ROWS = 800_000
GROUP_ROWS = 100_000
NUMBERS = [f"n{index}" for index in range(18)]
WRITERS: dict[str, type[Writer]] = {
    "Parquet": ParquetDatasetWriter,
    "Arrow": ArrowDatasetWriter,
    "JSON lines": JsonDatasetWriter,
    "CSV": CsvDatasetWriter,
}

PEERS = {"JSON lines": "orjson", "CSV": "pyarrow, which quotes every text unseen"}


def write_sources(folder: Path, rows: int) -> None:
    """The same 20 columns, a text and a group and numbers, as Parquet, Arrow and JSON lines of 4 columns."""
    random = np.random.default_rng(0)
    texts = pa.array(make_texts(GROUP_ROWS))
    groups = pa.array(["ham", "spam", "unknown"]).take(pa.array(random.integers(0, 3, GROUP_ROWS)))
    numbers = {name: pa.array(random.integers(0, 1 << 40, GROUP_ROWS)) for name in NUMBERS}
    batch = pa.record_batch({"text": texts, "group": groups, **numbers})
    few = batch.select(["text", "group", "n0", "n1"]).to_pylist()
    lines = b"".join(orjson.dumps(row) + b"\n" for row in few)
    with (
        pq.ParquetWriter(str(folder / "in.parquet"), batch.schema) as parquet,
        pa.OSFile(str(folder / "in.arrow"), "wb") as file,
        pa.ipc.new_stream(file, batch.schema) as stream,
        (folder / "in.jsonl").open("wb") as text,
    ):
        for _ in range(max(rows // GROUP_ROWS, 1)):
            parquet.write_batch(batch)
            stream.write_batch(batch)
            text.write(lines)


def measure(rows: int = ROWS) -> list[Row]:
    """The lines of the table."""
    datasets.disable_progress_bars()
    folder = Path(tempfile.mkdtemp())
    try:
        write_sources(folder, rows)
        return [
            *parquet_jobs(folder, rows),
            *json_jobs(folder, rows),
            *readers(folder, rows),
            *writers(folder, rows),
        ]
    finally:
        shutil.rmtree(folder)


# ------------------------------------------------------------------------------------------------ whole jobs


def run_job(reader: Reader, writer: Writer, num_proc: int) -> None:
    """Lower case and the length of the texts, beside another column."""
    flow = DataFlow(features=reader)
    src = flow.src_features
    lower = src.text.lower()
    collect = {"text": lower, "length": lower.length(), "n0": src.n0}
    flow.job(source=reader).write(collect=collect, to=writer).run(num_proc=num_proc)
    shutil.rmtree(writer.path)


def by_hand(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same with Arrow's kernels."""
    lower = pc.utf8_lower(batch.column("text"))
    length = pc.cast(pc.utf8_length(lower), pa.int64())
    return pa.record_batch({"text": lower, "length": length, "n0": batch.column("n0")})


def parquet_jobs(folder: Path, rows: int) -> list[Row]:
    """Two of 20 columns, from Parquet to Parquet."""
    source, target = str(folder / "in.parquet"), folder / "out"

    def pyarrow_dataset(threads: bool) -> None:
        lower = pc.utf8_lower(pads.field("text"))
        columns = {"text": lower, "length": pc.utf8_length(lower), "n0": pads.field("n0")}
        scanner = pads.dataset(source).scanner(columns=columns, use_threads=threads)
        pads.write_dataset(scanner, target, format="parquet", use_threads=threads)
        shutil.rmtree(target)

    def ours(num_proc: int) -> None:
        run_job(ParquetReader(source), ParquetDatasetWriter(target), num_proc)

    taken = seconds(
        {
            "ours": lambda: ours(1),
            "one thread": lambda: pyarrow_dataset(threads=False),
            "ours, 2": lambda: ours(2),
            "threads": lambda: pyarrow_dataset(threads=True),
        }
    )
    what = f"Parquet to Parquet, 2 of 20 columns, {rows / 1e6:g}M rows"
    return [
        _row(what, "pyarrow.dataset, one thread", taken["ours"], taken["one thread"], "<= 1.3"),
        _row(f"{what}, num_proc=2", "pyarrow.dataset, threads", taken["ours, 2"], taken["threads"], "<= 1.3"),
    ]


def json_jobs(folder: Path, rows: int) -> list[Row]:
    """From JSON lines to JSON lines."""
    source, target = str(folder / "in.jsonl"), folder / "out"

    def pyarrow_and_orjson() -> None:
        with target.open("wb") as file:
            for batch in pajson.open_json(source, read_options=pajson.ReadOptions(use_threads=False)):
                file.writelines(orjson.dumps(row) + b"\n" for row in by_hand(batch).to_pylist())
        target.unlink()

    def ours(num_proc: int) -> None:
        run_job(JsonReader(source), JsonDatasetWriter(target), num_proc)

    def mapped() -> None:
        cache = str(folder / "cache")
        data = datasets.load_dataset("json", data_files=source, split="train", cache_dir=cache)
        made = data.map(lower_and_length, remove_columns=data.column_names, load_from_cache_file=False)
        made.to_json(str(target))
        target.unlink()
        shutil.rmtree(cache)

    taken = seconds({"ours": lambda: ours(1), "by hand": pyarrow_and_orjson, "ours, 2": lambda: ours(2)})
    slow = seconds({"map": mapped}, 1)
    what = f"JSON lines to JSON lines, {rows / 1e6:g}M rows"
    return [
        _row(what, "pyarrow reading, orjson writing", taken["ours"], taken["by hand"], "<= 1.3"),
        _row(f"{what}, num_proc=2", "num_proc=1", taken["ours"], taken["ours, 2"], ">= 1.6"),
        _row(what, "datasets.map and to_json", slow["map"], taken["ours"], ">= 3"),
    ]


def lower_and_length(row: dict[str, Any]) -> dict[str, Any]:
    """The same in plain Python."""
    lower = row["text"].lower()
    return {"text": lower, "length": len(lower), "n0": row["n0"]}


# ------------------------------------------------------------------------------------------------- the parts


def readers(folder: Path, rows: int) -> Iterator[Row]:
    """Scan batches alone."""
    for kind, made, columns in (
        ("Parquet", ParquetReader(folder / "in.parquet"), ["text", "n0"]),
        ("Parquet", ParquetReader(folder / "in.parquet"), NUMBERS),
        ("Arrow", ArrowReader(folder / "in.arrow"), ["text", "n0"]),
        ("JSON lines", JsonReader(folder / "in.jsonl"), ["text", "n0"]),
    ):
        taken = seconds(
            {
                "ours": lambda made=made, columns=columns: read(made, columns),
                "hand": lambda kind=kind, columns=columns: read_by_hand(kind, folder, columns),
            }
        )
        what = f"reading {len(columns)} columns of {kind}, {rows / 1e6:g}M rows"
        yield _row(what, "pyarrow, one thread", taken["ours"], taken["hand"], "<= 1.3")


def read(reader: Reader, columns: Sequence[str]) -> None:
    """All scan batches."""
    scan = reader.scan(columns)
    for part in reader.ranges():
        for _ in scan.read(part):
            pass


def read_by_hand(kind: str, folder: Path, columns: Sequence[str]) -> None:
    """The same by pyarrow."""
    if kind == "Parquet":
        scanner = pads.dataset(folder / "in.parquet").scanner(columns=list(columns), use_threads=False)
        for _ in scanner.to_batches():
            pass
    elif kind == "Arrow":
        table = pa.ipc.open_stream(pa.memory_map(str(folder / "in.arrow"))).read_all()
        table.select(list(columns)).combine_chunks().to_batches(max_chunksize=65_536)
    else:
        options = pajson.ReadOptions(use_threads=False)
        schema = pa.schema({"text": pa.string(), "n0": pa.int64()})
        parsing = pajson.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
        for _ in pajson.open_json(str(folder / "in.jsonl"), read_options=options, parse_options=parsing):
            pass


def writers(folder: Path, rows: int) -> Iterator[Row]:
    """Shards of three columns alone."""
    with pa.OSFile(str(folder / "in.arrow")) as file, pa.ipc.open_stream(file) as stream:
        batch = stream.read_next_batch().select(["text", "group", "n0"])
    batches = [batch] * max(rows // GROUP_ROWS, 1)
    for kind, writer in WRITERS.items():
        for options in ({}, {"partition_by": "group"}) if kind == "Parquet" else ({},):
            made = writer(folder / "out", **options)
            taken = seconds(
                {
                    "ours": lambda made=made: write(made, batches),
                    "hand": lambda kind=kind: write_by_hand(kind, folder / "hand", batches),
                }
            )
            partitioned = ", 3 partitions" if options else ""
            what = f"writing 3 columns as {kind}{partitioned}, {rows / 1e6:g}M rows"
            peer = "pyarrow, unpartitioned" if options else PEERS.get(kind, "pyarrow")
            yield _row(what, peer, taken["ours"], taken["hand"], "none" if kind == "CSV" else "<= 1.3")


def write(writer: Writer, batches: Sequence[pa.RecordBatch]) -> None:
    """All batches, as one range of a job."""
    # The peer does not sync either; what that costs is measured by `syncing`.
    destinations = [Destination("rows", writer, batches[0].schema, is_synced=False)]
    destinations = prepare(destinations, "benchmark", "replace").destinations
    commit = RangeCommit(destinations, 0)
    for batch in batches:
        commit.write("rows", batch)
    finish(destinations, [commit.commit()])
    shutil.rmtree(writer.path)


def write_by_hand(kind: str, path: Path, batches: Sequence[pa.RecordBatch]) -> None:
    """The same without counting, checksums and commit."""
    schema = batches[0].schema
    if kind == "JSON lines":
        with path.open("wb") as file:
            for batch in batches:
                file.writelines(orjson.dumps(row) + b"\n" for row in batch.to_pylist())
    else:
        made = open_by_hand(kind, str(path), schema)
        for batch in batches:
            made.write_batch(batch)
        made.close()
    path.unlink()


def open_by_hand(kind: str, path: str, schema: pa.Schema) -> Any:
    """pyarrow's writer of a format."""
    from pyarrow.csv import CSVWriter

    kinds: dict[str, Callable[..., Any]] = {
        "Parquet": pq.ParquetWriter,
        "Arrow": pa.ipc.new_stream,
        "CSV": CSVWriter,
    }
    return kinds[kind](path, schema)


def _row(what: str, against: str, over: float, under: float, bound: str) -> Row:
    return Row(what, against, over / under, bound, f"{over:.2f} / {under:.2f}")


if __name__ == "__main__":
    for line in measure(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS):
        print(line)
