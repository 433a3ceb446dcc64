"""A program for a test: values of a million groups back at rows; prints by how many MB the process grew.

python many_groups.py INPUT JOIN OUTPUT
"""

from __future__ import annotations

import sys
from pathlib import Path

import hyped_beam.lowering.bounded  # noqa: F401 - before it is measured
from hyped_beam import DataFlow, ops
from hyped_beam.aggregators import Count, Mean
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.arrow import ArrowDatasetWriter


def peak() -> float:
    """The most memory that the process has had so far, in MB; `ru_maxrss` has that of its parent, too."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def main() -> None:
    source, join, out = sys.argv[1:]
    reader = ParquetReader(source)
    flow = DataFlow(features=reader)
    src = flow.src_features
    g = ops.group_by(src.k, join=join)
    off = src.x - Mean().call(src.x, by=g)
    job = flow.job(source=reader).write(
        collect={"off": off, "n": Count().call(src.x, by=g)}, to=ArrowDatasetWriter(out)
    )
    before = peak()
    result = job.run()
    print(peak() - before, result.seconds)  # noqa: T201 - how the test is told


if __name__ == "__main__":
    main()
