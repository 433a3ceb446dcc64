"""A folder of files, and runs over it with a cache and without."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet as pq

from hyped_beam import DataFlow, Processor
from hyped_beam.aggregators import Last, Mean, Std
from hyped_beam.io import entries
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.types.patterns import Float64Column

FEATURES = {"x": "float64", "k": "string"}


def table(seed: int, rows: int = 100) -> pa.Table:
    values = np.random.default_rng(seed).normal(size=rows)
    return pa.table({"x": values, "k": [f"k{int(value * 10) % 4}" for value in values]})


def write_arrow(rows: pa.Table, path: Path) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, rows.schema) as writer:
        writer.write_table(rows)


def as_lines(rows: pa.Table) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows.to_pylist())


class Noted(Processor):
    """Says in a file how many rows it saw."""

    path: str

    def fingerprint(self) -> str:
        return "what it writes does not matter"

    def process(self, x: Float64Column) -> Float64Column:
        with Path(self.path).open("a") as file:
            file.write(f"{len(x)}\n")
        return x


class Source:
    """A folder of files, and how many rows of it nodes have seen."""

    def __init__(self, folder: Path) -> None:
        self.files = folder / "in"
        self.files.mkdir()
        self.notes = folder / "notes"
        self.cache = folder / "cache"

    def write(self, *numbers: int, rows: int = 100) -> None:
        for number in numbers:
            pq.write_table(table(number, rows), self.files / f"{number:03}.parquet")

    def seen(self) -> int:
        rows = sum(map(int, self.notes.read_text().split())) if self.notes.exists() else 0
        self.notes.unlink(missing_ok=True)
        return rows

    def run(self, reader: Any = None, *, cache: Any = True, aggregators: Any = None, **options: Any) -> Any:
        reader = reader or ParquetReader(self.files)
        flow = DataFlow(features=reader)
        src = flow.src_features
        if aggregators is None:
            x = Noted(path=str(self.notes)).call(src.x) * 3
            asked = {"mean": Mean().call(x), "std": Std().call(x), "last": Last().call(src.k)}
        else:
            asked = aggregators(src)
        job = flow.job(source=reader).aggregate(asked)
        return job.run(cache=str(self.cache) if cache is True else cache, **options)


def bits(value: Any) -> Any:
    """Values in a form in which no two of different bits are equal."""
    if isinstance(value, dict):
        return {name: bits(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [bits(inner) for inner in value]
    return struct.pack("<d", value) if isinstance(value, float) else value


def same(one: Any, other: Any) -> bool:
    return bits(one.aggregates) == bits(other.aggregates) and one.rows_in == other.rows_in


def entry_files(source: Source) -> list[Path]:
    return sorted(source.cache.rglob(f"states-*/**/*{entries.SUFFIX}"))
