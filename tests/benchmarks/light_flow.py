"""The light flow: a template, lower case, a count of words, a search, a score; against peers.

python -m tests.benchmarks light_flow [rows]
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam import DataFlow, ops
from hyped_beam.processors.templates.jinja2 import Jinja2
from tests.benchmarks.measure import Row, seconds

ROWS = 5_000_000
SMALL = 50_000
WORDS = [
    "please",
    "find",
    "the",
    "new",
    "report",
    "about",
    "your",
    "account",
    "and",
    "unsubscribe",
    "here",
    "today",
    "free",
    "offer",
    "meeting",
    "with",
    "all",
    "of",
    "them",
    "in",
    "Berlin",
    "at",
    "nine",
    "thanks",
    "for",
    "that",
    "mail",
]


def make_texts(rows: int) -> list[str]:
    """Short texts of some 57 bytes, the same each time."""
    chosen = np.random.default_rng(0).integers(0, len(WORDS), (rows, 10))
    words = np.array(WORDS, dtype=object)
    return [" ".join(line) for line in words[chosen]]


def make_dataset(rows: int, folder: Path) -> datasets.Dataset:
    """The texts as a dataset that is memory-mapped from a file, as loaded ones are."""
    made = datasets.Dataset.from_dict({"text": make_texts(rows), "id": range(rows)})
    made.save_to_disk(str(folder / "texts"))
    return datasets.load_from_disk(str(folder / "texts"))


def flow_of(ds: datasets.Dataset) -> tuple[DataFlow, dict[str, Any]]:
    """The light flow."""
    flow = DataFlow(features=ds.features)
    src = flow.src_features
    text = src.text.lower()
    words = text.split().length()
    found = text.contains("unsubscribe")
    prompt = Jinja2(template="Input: {{ inputs.text }}").call(features=ops.collect({"text": src.text}))
    score = ops.if_else(found, 1.0, words / 100)
    return flow, {"prompt": prompt.rendered, "lower": text, "words": words, "found": found, "score": score}


def by_hand(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same with Arrow's kernels, as one would write it."""
    text = pc.utf8_lower(batch.column("text"))
    words = pc.cast(pc.list_value_length(pc.utf8_split_whitespace(text)), pa.int64())
    found = pc.match_substring(text, "unsubscribe")
    prompt = pc.binary_join_element_wise("Input: ", batch.column("text"), "")
    score = pc.if_else(found, 1.0, pc.divide(pc.cast(words, pa.float64()), 100.0))
    return pa.RecordBatch.from_arrays(
        [prompt, text, words, found, score], ["prompt", "lower", "words", "found", "score"]
    )


def hand_written(ds: datasets.Dataset, folder: Path) -> None:
    """A loop over Arrow batches that writes one Arrow file."""
    writer = None
    path = folder / "by-hand.arrow"
    with pa.OSFile(str(path), "wb") as file:
        for batch in ds.data.table.combine_chunks().to_batches(max_chunksize=65_536):
            made = by_hand(batch)
            writer = writer or pa.ipc.new_stream(file, made.schema)
            writer.write_batch(made)
        assert writer is not None
        writer.close()
    path.unlink()  # as ours is: what is left to be written to disk would slow down whoever comes next


def row_by_row(row: dict[str, Any]) -> dict[str, Any]:
    """The same in plain Python."""
    text = row["text"].lower()
    words = len(text.split())
    found = "unsubscribe" in text
    score = 1.0 if found else words / 100
    return {"prompt": f"Input: {row['text']}", "lower": text, "words": words, "found": found, "score": score}


def batched(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """The same in plain Python, a batch at a time."""
    lower = [text.lower() for text in batch["text"]]
    words = [len(text.split()) for text in lower]
    found = ["unsubscribe" in text for text in lower]
    return {
        "prompt": [f"Input: {text}" for text in batch["text"]],
        "lower": lower,
        "words": words,
        "found": found,
        "score": [1.0 if hit else count / 100 for hit, count in zip(found, words, strict=True)],
    }


def row_wise_beam(ds: datasets.Dataset, folder: Path) -> None:
    """The same as a row-wise Beam pipeline that writes Parquet, on the same runner."""
    import apache_beam as beam
    from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner

    schema = by_hand(ds.data.table.slice(0, 1).combine_chunks().to_batches()[0]).schema
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        _ = (
            pipeline
            | beam.Create([0])
            | beam.FlatMap(lambda _: iterate_rows(ds))
            | beam.Map(row_by_row)
            | beam.io.WriteToParquet(str(folder / "beam"), schema)
        )


def iterate_rows(ds: datasets.Dataset) -> Iterator[dict[str, Any]]:
    """The rows of a dataset as fast as `datasets` gives them."""
    for batch in ds.with_format("arrow").iter(10_000):
        yield from batch.to_pylist()


def measure(rows: int = ROWS) -> list[Row]:
    """The lines of the table."""
    folder = Path(tempfile.mkdtemp())
    try:
        return _measure(rows, folder)
    finally:
        shutil.rmtree(folder)


def _measure(rows: int, folder: Path) -> list[Row]:
    ds = make_dataset(rows, folder)
    flow, collect = flow_of(ds)

    def apply(data: datasets.Dataset, num_proc: int = 1) -> None:
        target = folder / "ours"
        flow.apply(data, collect=collect, num_proc=num_proc, cache_dir=target, load_from_cache_file=False)
        shutil.rmtree(target)

    def mapped(data: datasets.Dataset, function: Any, **options: Any) -> None:
        made = data.map(function, remove_columns=data.column_names, load_from_cache_file=False, **options)
        made.cleanup_cache_files()

    datasets.disable_progress_bars()
    large = seconds(
        {
            "ours": lambda: apply(ds),
            "by hand": lambda: hand_written(ds, folder),
            "ours, 2 processes": lambda: apply(ds, num_proc=2),
        },
        5,
    )
    part = ds.select(range(min(rows, 1_000_000)))
    middle = seconds({"ours": lambda: apply(part), "batched": lambda: mapped(part, batched, batched=True)}, 1)
    tiny = ds.select(range(min(rows, SMALL)))
    slow = seconds({"map": lambda: mapped(tiny, row_by_row), "beam": lambda: row_wise_beam(tiny, folder)}, 1)
    each = large["ours"] / rows
    what = f"light flow, {rows / 1e6:g}M texts"
    peers = [
        Row(what, "a loop over Arrow batches", *_ratio(large["ours"], large["by hand"], "<= 1.3")),
        Row(
            f"{what}, num_proc=2", "num_proc=1", *_ratio(large["ours"], large["ours, 2 processes"], ">= 1.6")
        ),
        Row(
            "light flow, 1M texts",
            "datasets.map(batched=True)",
            *_ratio(middle["batched"], middle["ours"], ">= 1.5"),
        ),
    ]
    rowwise = [
        Row(
            "light flow, a row",
            peer,
            taken / SMALL / each,
            bound,
            f"{taken / SMALL * 1e6:.1f} / {each * 1e6:.2f} us",
        )
        for peer, taken, bound in (
            ("datasets.map", slow["map"], ">= 30"),
            ("row-wise Beam", slow["beam"], ">= 7"),
        )
    ]
    return peers + rowwise


def _ratio(over: float, under: float, bound: str) -> tuple[float, str, str]:
    return over / under, bound, f"{over:.2f} / {under:.2f}"


if __name__ == "__main__":
    for line in measure(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS):
        print(line)
