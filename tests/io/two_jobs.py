"""A program for a test: runs jobs side by side, each in a process of its own.

It imports everything once and forks. For each line `OVERWRITE NUM_PROC NUMBER FOLDER` on its standard input
it starts the job and prints the number of its process; how the job ended is written to a file in the folder:
its rows, or the error that it raised. Jobs wait in a node until there is a file `go` in the folder.

    python two_jobs.py INPUT
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import hyped_beam.lowering.bounded  # noqa: F401 - before it forks: it takes seconds
from hyped_beam import DataFlow, Processor
from hyped_beam.aggregators import Count
from hyped_beam.errors import FlowError
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.json import JsonDatasetWriter
from hyped_beam.types.patterns import Int64Column


class Waiting(Processor):
    """The same numbers, once there is a file."""

    go: str

    def process(self, n: Int64Column) -> Int64Column:
        while not os.path.exists(self.go):  # noqa: PTH110 - often
            time.sleep(0.002)
        return n


def run(source, folder, overwrite, num_proc, result):
    reader = ParquetReader(source)
    flow = DataFlow(features=reader)
    src = flow.src_features
    kept = Waiting(go=f"{folder}/go").call(src.n)
    to = {name: JsonDatasetWriter(f"{folder}/{name}", overwrite=overwrite) for name in ("a", "b")}
    job = flow.job(source=reader).write("a", collect={"n": kept}, to=to["a"])
    job = job.write("b", collect={"n": kept + 1}, to=to["b"]).aggregate({"count": Count().call(kept)})
    try:
        told = dict(job.run(runner="local", num_proc=num_proc).rows)
    except FlowError as error:
        told = {"error": str(error)}
    Path(f"{result}.tmp").write_text(json.dumps(told))
    Path(f"{result}.tmp").rename(result)


def main():
    (source,) = sys.argv[1:]
    DataFlow(features={"n": "int64"})  # finds all nodes
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            os.close(0)
            overwrite, num_proc, number, folder = line.rstrip("\n").split(" ", 3)
            run(source, folder, overwrite, int(num_proc), f"{folder}/result-{number}.json")
            from hyped_beam.execute.pool import close_shared_pool

            close_shared_pool()
            os._exit(0)
        print(process, flush=True)  # noqa: T201 - how the test is told
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return


if __name__ == "__main__":
    main()
