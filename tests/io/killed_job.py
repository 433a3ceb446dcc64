"""A program for a test: runs a job as often as it is asked to, each time in a process of its own.

It imports everything once and forks, so that a run takes as long as the job. For each line
`RUNNER NUM_PROC FOLDER` on its standard input it prints `begun` with the number of the process that runs the
job, and then `ended` with its exit status.

    python killed_job.py INPUT
"""

from __future__ import annotations

import os
import sys
import time

import hyped_beam.lowering.bounded  # noqa: F401 - before it forks: it takes seconds
from hyped_beam import DataFlow, Processor, ops
from hyped_beam.aggregators import Count, Mean
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.json import JsonDatasetWriter
from hyped_beam.io.writers.parquet import ParquetDatasetWriter
from hyped_beam.types.patterns import Int64Column


class Slow(Processor):
    """The same numbers, a little later."""

    def process(self, n: Int64Column) -> Int64Column:
        time.sleep(0.1)
        return n


def run(source, folder, runner, num_proc):
    reader = ParquetReader(source)
    flow = DataFlow(features=reader)
    src = flow.src_features
    slow = Slow().call(src.n)
    per_number = ops.group_by({"half": src.n // 2}, join="shuffle")
    job = (
        flow.job(source=reader)
        .write(
            "numbers",
            collect={"n": slow, "text": src.text.upper()},
            to=JsonDatasetWriter(folder + "/numbers", compression="gzip", overwrite="resume"),
        )
        .write(
            "groups",
            collect={"n": slow * 2, "group": src.group},
            to=ParquetDatasetWriter(
                folder + "/groups", partition_by="group", max_shard_rows=25, overwrite="resume"
            ),
        )
        .write(
            "per_number",
            collect={"half": per_number.keys.half, "mean": Mean().call(slow, by=per_number)},
            to=JsonDatasetWriter(folder + "/per_number", overwrite="resume"),
        )
        .aggregate({"mean": Mean().call(slow), "count": Count().call(slow)}, to=folder + "/stats.json")
    )
    job.run(runner=runner, num_proc=num_proc)


def main():
    (source,) = sys.argv[1:]
    DataFlow(features={"n": "int64"})  # finds all nodes
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            os.close(0)
            runner, num_proc, folder = line.rstrip("\n").split(" ", 2)
            run(source, folder, runner, int(num_proc))
            sys.stdout.flush()
            os._exit(0)
        print("begun", process, flush=True)  # noqa: T201 - how the test is told
        _, status = os.waitpid(process, 0)
        print("ended", os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
