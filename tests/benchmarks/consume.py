"""Writing a streamed dataset that a flow was applied to: several processes, and memory as the input grows.

python -m tests.benchmarks consume
python -m tests.benchmarks.consume [rows of the speed test] [megabytes of the small memory test]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tests.benchmarks.measure import Row
from tests.benchmarks.tokenizing import MAILS, tokenizer_file

ROWS = 40_000
MEGABYTES = 1_000
SHARDS = 8
TEXT = "all the words of a text that is long enough to be one of some kilobytes " * 28


def mails(shards: list[int], rows: int) -> Iterator[dict[str, Any]]:
    """Real mails, over and over."""
    texts = pq.read_table(MAILS)["text"].to_pylist()
    for shard in shards:
        for row in range(rows):
            yield {"text": texts[(shard * rows + row) % len(texts)]}


def texts(shards: list[int], rows: int) -> Iterator[dict[str, Any]]:
    """Texts of two kilobytes."""
    for shard in shards:
        for row in range(rows):
            yield {"text": f"{shard} {row} {TEXT}"}


def consumed(kind: str, shards: int, rows: int, num_proc: int, folder: str) -> tuple[float, float]:
    """Seconds of writing, and megabytes that this process and its workers have had at most."""
    import datasets

    from hyped_beam import DataFlow
    from hyped_beam.aggregators import Count
    from hyped_beam.execute.pool import shared_pool
    from hyped_beam.io.writers.json import JsonDatasetWriter
    from hyped_beam.processors.tokenizers.transformers import TransformersTokenizer

    flow = DataFlow(features={"text": "string"})
    text = flow.src_features.text
    if kind == "tokens":
        node = TransformersTokenizer(tokenizer=tokenizer_file(), return_token_type_ids=False)
        generator, collect = mails, {"ids": node.call(text=text).input_ids}
    else:
        generator, collect = texts, {"text": text.upper(), "words": text.split().length()}

    def run(count: int, target: str) -> float:
        streamed = datasets.IterableDataset.from_generator(
            generator,
            gen_kwargs={"shards": list(range(shards)), "rows": count},
            features=datasets.Features({"text": datasets.Value("string")}),
        )
        pair = flow.apply(streamed, collect=collect, aggregators={"rows": Count().call(text)})
        began = time.perf_counter()
        JsonDatasetWriter(target, num_proc=num_proc).consume(pair)
        assert pair[1] == {"rows": shards * count}
        return time.perf_counter() - began

    run(5, f"{folder}/warm")  # imports, and the start of the workers
    taken = run(rows, f"{folder}/out")
    processes = [os.getpid()]
    if num_proc > 1:
        processes += [worker.process.pid for worker in shared_pool(num_proc).workers]
    return taken, sum(_peak(process) for process in processes)


def _peak(process: int) -> float:
    # Not `ru_maxrss`, which a process inherits from the one that started it.
    status = Path(f"/proc/{process}/status").read_text()
    return int(dict(line.split(":", 1) for line in status.splitlines())["VmHWM"].split()[0]) / 1024


def _run(kind: str, shards: int, rows: int, num_proc: int) -> tuple[float, float]:
    """What `consumed` returns, of a process of its own whose tokenizer has one thread."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = [kind, str(shards), str(rows), str(num_proc), folder]
        ran = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.consume", *arguments],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
        )
    taken, peak = ran.stdout.split()[-2:]
    return float(taken), float(peak)


def measure(rows: int = ROWS, megabytes: int = MEGABYTES) -> list[Row]:
    """The lines of the table."""
    lines = []
    for shards in (SHARDS, 1):
        one, _ = _run("tokens", shards, rows // shards, 1)
        four, _ = _run("tokens", shards, rows // shards, 4)
        what = f"consume {rows:,} streamed mails in {shards} shards, tokenised, num_proc=4"
        lines.append(Row(what, "num_proc=1", one / four, ">= 1.6", f"{one:.1f} / {four:.1f}"))
    for num_proc in (1, 4):
        for shards in (SHARDS, 1):
            count = megabytes * 1_000_000 // len(TEXT) // shards
            _, small = _run("texts", shards, count, num_proc)
            _, large = _run("texts", shards, 2 * count, num_proc)
            what = f"peak memory of consume, {2 * megabytes:,} MB in {shards} shards, num_proc={num_proc}"
            note = f"{large:.0f} / {small:.0f} MB"
            lines.append(Row(what, f"{megabytes:,} MB", large / small, "<= 1.1", note))
    return lines


if __name__ == "__main__":
    if len(sys.argv) > 5:
        kind, shards, rows, num_proc, folder = sys.argv[1:]
        print(*consumed(kind, int(shards), int(rows), int(num_proc), folder))
    else:
        for line in measure(*(int(number) for number in sys.argv[1:])):
            print(line)
