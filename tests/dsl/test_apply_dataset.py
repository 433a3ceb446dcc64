"""Flows applied to datasets that are there: every row in order, every type unharmed."""

from __future__ import annotations

import datetime
import os
import random
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest

from hyped_beam import DataFlow, NodeError, Processor, ops, processor
from hyped_beam.aggregators import Count, Max, Mean, Sum
from hyped_beam.errors import DefinitionError, DefinitionTypeError, InputError
from hyped_beam.types.patterns import Int64Column

ROWS = 50
FEATURES = datasets.Features(
    {
        "text": datasets.Value("string"),
        "n": datasets.Value("int64"),
        "label": datasets.ClassLabel(names=["a", "b"]),
    }
)


def made(rows: int = ROWS) -> datasets.Dataset:
    return datasets.Dataset.from_dict(
        {
            "text": [f"t {n}" for n in range(rows)],
            "n": list(range(rows)),
            "label": [n % 2 for n in range(rows)],
        },
        features=FEATURES,
    )


def on_disk(folder: Path, shards: int = 1) -> datasets.Dataset:
    made().save_to_disk(folder, num_shards=shards)
    return datasets.load_from_disk(folder)


SHAPES: dict[str, Callable[[Path], datasets.Dataset]] = {
    "in memory": lambda folder: made(),
    "from disk": on_disk,
    "from several files": lambda folder: on_disk(folder, 3),
    "shuffled": lambda folder: on_disk(folder).shuffle(seed=1),
    "selected": lambda folder: on_disk(folder).select([5, 3, 3, 40]),
    "a range": lambda folder: on_disk(folder, 2).select(range(10, 33)),
    "filtered": lambda folder: on_disk(folder).filter(lambda row: row["n"] % 7 == 0),
    "a shard": lambda folder: on_disk(folder, 2).shard(3, 1),
    "concatenated": lambda folder: datasets.concatenate_datasets([on_disk(folder), made(7)]),
    "concatenated slices": lambda folder: datasets.concatenate_datasets(
        [on_disk(folder).select(range(30, 40)), on_disk(folder / "b").select(range(5))]
    ),
    "side by side": lambda folder: datasets.concatenate_datasets(
        [on_disk(folder), datasets.Dataset.from_dict({"more": list(range(ROWS))})], axis=1
    ),
    "mapped": lambda folder: on_disk(folder).map(lambda row: {"text": row["text"] + "!"}),
    "with formats": lambda folder: on_disk(folder).with_format("numpy"),
    "columns in another order": lambda folder: on_disk(folder).select_columns(["label", "n", "text"]),
    "empty": lambda folder: made(0),
    "nothing selected": lambda folder: on_disk(folder).select([]),
    "one row": lambda folder: made(1),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_rows_keep_their_order_and_features(shape: str, tmp_path: Path):
    dataset = SHAPES[shape](tmp_path)
    flow = DataFlow(features=FEATURES)
    src = flow.src_features
    result, aggregates = flow.apply(
        dataset,
        collect={"n": src.n, "text": src.text.upper(), "label": src.label},
        aggregators={"n": Count().call(src.n), "sum": Sum().call(src.n)},
        cache_dir=tmp_path / "cache",
    )
    plain = dataset.with_format(None)
    assert result["n"][:] == plain["n"][:]
    assert result["text"][:] == [text.upper() for text in plain["text"]]
    assert result["label"][:] == plain["label"][:]
    assert result.features["label"] == FEATURES["label"]
    assert aggregates == {"n": len(dataset), "sum": sum(plain["n"])}


def test_renamed_columns_are_read_under_their_new_names(tmp_path: Path):
    dataset = on_disk(tmp_path).rename_columns({"text": "n", "n": "text"})
    flow = DataFlow(features=dataset)
    src = flow.src_features
    result, _ = flow.apply(dataset, collect={"up": src.n.upper(), "more": src.text + 1})
    assert result["up"][:3] == ["T 0", "T 1", "T 2"]
    assert result["more"][:3] == [1, 2, 3]
    both = on_disk(tmp_path / "b").rename_column("text", "x").select(range(4, 9)).rename_column("x", "y")
    flow = DataFlow(features=both)
    result, _ = flow.apply(both, collect={"y": flow.src_features.y, "n": flow.src_features.n})
    assert (result["y"][:], result["n"][:]) == ([f"t {n}" for n in range(4, 9)], list(range(4, 9)))


@pytest.fixture(scope="module")
def every_feature() -> datasets.Dataset:
    from PIL import Image

    tz = datetime.timezone.utc
    features = datasets.Features(
        {
            "label": datasets.ClassLabel(names=["x", "y"]),
            "image": datasets.Image(),
            "grid": datasets.Array2D(shape=(2, 3), dtype="float32"),
            "translation": datasets.Translation(languages=["de", "en"]),
            "several": datasets.TranslationVariableLanguages(languages=["de", "en"]),
            "at": datasets.Value("timestamp[us, tz=Europe/Berlin]"),
            "day": datasets.Value("date32"),
            "bytes": datasets.Value("large_binary"),
            "large": datasets.LargeList(datasets.Value("large_string")),
            "fixed": datasets.List(datasets.Value("int16"), length=2),
            "nested": {"a": [{"b": datasets.ClassLabel(names=["p", "q"]), "c": datasets.Value("float16")}]},
            "nothing": datasets.Value("null"),
        }
    )
    row = {
        "label": 1,
        "image": Image.new("L", (2, 2), 7),
        "grid": [[1, 2, 3], [4, 5, 6]],
        "translation": {"de": "ja", "en": "yes"},
        "several": {"language": ["de"], "translation": ["ja"]},
        "at": datetime.datetime(2024, 5, 6, 7, tzinfo=tz),
        "day": datetime.date(2024, 5, 6),
        "bytes": b"\x00\xff",
        "large": ["a", None],
        "fixed": [1, 2],
        "nested": {"a": [{"b": 1, "c": 0.5}]},
        "nothing": None,
    }
    empty = dict.fromkeys(features)
    return datasets.Dataset.from_list([row, empty, row], features=features)


@pytest.mark.parametrize("rows", [3, 0])
def test_every_feature_passes_unharmed(every_feature: datasets.Dataset, rows: int):
    dataset = every_feature.select(range(rows))
    flow = DataFlow(features=dataset)
    result, _ = flow.apply(
        dataset,
        collect={"in": flow.src_features, **{name: flow.src_features[name] for name in dataset.features}},
    )
    assert {name: feature for name, feature in result.features.items() if name != "in"} == dict(
        dataset.features
    )
    assert dict(result.features["in"]) == dict(dataset.features)
    left, right = (
        dataset.with_format("arrow")[:],
        result.select_columns(dataset.column_names).with_format("arrow")[:],
    )
    assert right.to_pylist() == left.to_pylist()
    assert result.with_format("arrow")[:].column("in").to_pylist() == left.to_pylist()


def test_image_columns_are_still_images(every_feature: datasets.Dataset):
    flow = DataFlow(features=every_feature)
    result, _ = flow.apply(every_feature, collect={"image": flow.src_features.image})
    assert result[0]["image"].getpixel((0, 0)) == 7
    assert result[1]["image"] is None


class Sizes(Processor):
    def process(self, n: Int64Column) -> Int64Column:
        import pyarrow as pa

        return pa.array([len(n)] * len(n))


def test_batch_size_bounds_what_nodes_get_and_a_node_may_want_its_own():
    flow = DataFlow(features=FEATURES)
    src = flow.src_features
    collect = {"a": Sizes().call(src.n), "b": Sizes().options(batch_size=3).call(src.n)}
    result, _ = flow.apply(made(10), collect=collect, batch_size=4)
    assert result["a"][:] == [4] * 8 + [2] * 2
    assert result["b"][:] == [3] * 9 + [1]
    result, _ = flow.apply(made(10), collect=collect)
    assert result["a"][:] == [10] * 10


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> datasets.Dataset:
    """Enough rows for several ranges."""
    source = random.Random(5)  # noqa: S311 - for repeatable tests
    values = [source.uniform(-1, 1) * 10.0 ** source.randint(-9, 9) for _ in range(300_000)]
    folder = tmp_path_factory.mktemp("large")
    datasets.Dataset.from_dict({"x": values, "n": list(range(len(values)))}).save_to_disk(
        folder, num_shards=3
    )
    return datasets.load_from_disk(folder)


@processor
def half(x: float) -> float:
    return x / 2


def test_aggregates_of_floats_are_the_same_bits_for_every_number_of_processes_and_batch_size(
    large: datasets.Dataset,
):
    flow = DataFlow(features=large)
    src = flow.src_features
    asked = {"sum": Sum().call(src.x), "mean": Mean().call(src.x * 3), "max": Max().call(src.x)}
    found = set()
    for options in ({}, {"num_proc": 2}, {"batch_size": 777}, {"num_proc": 2, "batch_size": 10_000}):
        rows, aggregates = flow.apply(large, aggregators=asked, **options)
        assert rows is None
        found.add(tuple(struct.pack("<d", aggregates[name]) for name in asked))
    assert len(found) == 1


def test_rows_come_in_order_out_of_several_processes(large: datasets.Dataset):
    flow = DataFlow(features=large)
    src = flow.src_features
    result, aggregates = flow.apply(
        large,
        collect={"n": src.n, "half": half.call(src.x)},
        aggregators={"c": Count().call(src.n)},
        num_proc=2,
    )
    assert result["n"][:] == list(range(len(large)))
    assert result[123_456]["half"] == large[123_456]["x"] / 2
    assert aggregates == {"c": len(large)}


class Bad(Processor):
    row: int
    how: str

    def process(self, n: Int64Column) -> Int64Column:
        import pyarrow.compute as pc

        if pc.any(pc.equal(n, self.row)).as_py():
            if self.how == "raises":
                msg = "bad\nrow"
                raise ValueError(msg)
            return n.slice(1)
        return n


class BadRow(Processor):
    row: int
    how: str

    def process_row(self, n: int) -> int:
        if n == self.row:
            if self.how == "raises":
                msg = "bad\nrow"
                raise ValueError(msg)
            return "x"  # type: ignore[return-value]
        return n


class BadCoroutine(BadRow):
    async def process_row(self, n: int) -> int:  # type: ignore[override]
        return BadRow.process_row(self, n)


@pytest.mark.parametrize(("how", "num_proc"), [("raises", 1), ("returns", 1), ("raises", 2)])
@pytest.mark.parametrize("node", [Bad, BadRow, BadCoroutine])
def test_exactly_the_row_at_fault_is_reported(node: Any, how: str, num_proc: int):
    rows = made(3000)
    flow = DataFlow(features=rows)
    ref = node(row=2345, how=how).call(flow.src_features.n)  # the call
    with pytest.raises(NodeError, match="at row 2345") as caught:
        flow.apply(rows, collect={"n": ref}, num_proc=num_proc, batch_size=100)
    error = caught.value
    assert (error.row, error.values) == (2345, "n=2345")
    assert error.site is not None
    assert (
        Path(error.site.file)
        .read_text(encoding="utf-8")
        .splitlines()[error.site.line - 1]
        .endswith("# the call")
    )
    assert ("ValueError: bad\nrow" if how == "raises" else "returned") in error.cause
    if how == "raises":
        assert "in process" in error.trace


def test_the_row_is_that_of_the_dataset_that_was_given(tmp_path: Path):
    rows = on_disk(tmp_path).select([4, 9, 2, 7])
    flow = DataFlow(features=rows)
    with pytest.raises(NodeError, match="at row 2: ValueError") as caught:
        flow.apply(rows, collect={"n": BadRow(row=2, how="raises").call(flow.src_features.n)})
    assert caught.value.values == "n=2"


def test_a_failed_apply_leaves_no_files(tmp_path: Path):
    rows = made(10)
    flow = DataFlow(features=rows)
    with pytest.raises(NodeError):
        flow.apply(
            rows, collect={"n": BadRow(row=2, how="raises").call(flow.src_features.n)}, cache_dir=tmp_path
        )
    assert list(tmp_path.rglob("*.arrow")) == []


def test_every_apply_has_its_own_files_in_the_cache_folder(tmp_path: Path):
    flow = DataFlow(features=FEATURES)
    first, _ = flow.apply(made(3), collect={"n": flow.src_features.n}, cache_dir=tmp_path)
    second, _ = flow.apply(made(3), collect={"n": flow.src_features.n + 1}, cache_dir=str(tmp_path))
    assert (first["n"][:], second["n"][:]) == ([0, 1, 2], [1, 2, 3])
    assert all(
        Path(file["filename"]).is_relative_to(tmp_path)
        for part in (first, second)
        for file in part.cache_files
    )


def test_results_are_datasets_like_any_other(tmp_path: Path):
    flow = DataFlow(features=FEATURES)
    result, _ = flow.apply(made(9), collect=ops.with_columns(flow.src_features, n=flow.src_features.n * 2))
    assert result.map(lambda row: {"n": row["n"] + 1})["n"][:3] == [1, 3, 5]
    again, _ = flow.apply(result, collect={"n": flow.src_features.n})
    assert again["n"][:] == list(range(0, 18, 2))
    result.save_to_disk(tmp_path)
    assert datasets.load_from_disk(tmp_path).features == FEATURES
    assert result._fingerprint != made(9)._fingerprint


def test_dicts_of_splits_give_one_of_each():
    splits = datasets.DatasetDict({"train": made(5), "test": made(2)})
    flow = DataFlow(features=FEATURES)
    src = flow.src_features
    rows, aggregates = flow.apply(splits, collect={"n": src.n + 1}, aggregators={"s": Sum().call(src.n)})
    assert isinstance(rows, datasets.DatasetDict)
    assert {name: split["n"][:] for name, split in rows.items()} == {"train": [1, 2, 3, 4, 5], "test": [1, 2]}
    assert aggregates == {"train": {"s": 10}, "test": {"s": 1}}
    rows, aggregates = flow.apply(splits, collect={"n": src.n})
    assert aggregates is None
    rows, aggregates = flow.apply(splits, aggregators={"s": Sum().call(src.n)})
    assert rows is None


def test_a_split_keeps_its_name():
    rows = datasets.Dataset.from_dict({"n": [1]}, split="train")
    flow = DataFlow(features=rows)
    result, _ = flow.apply(rows, collect={"n": flow.src_features.n})
    assert result.split == "train"


def test_wrong_arguments_are_refused_where_they_are_written():
    flow = DataFlow(features=FEATURES)
    collect = {"n": flow.src_features.n}
    for arguments, message in (
        ({"batch_size": 0}, "batch_size= is a number of at least 1, got 0"),
        ({"num_proc": -1}, "num_proc= is a number of at least 1, got -1"),
        ({"batchsize": 3}, "did you mean 'batch_size'"),
    ):
        with pytest.raises(DefinitionError, match=message) as caught:
            flow.apply(made(), collect=collect, **arguments)
        assert caught.value.site is not None
        assert caught.value.site.file == __file__
    with pytest.raises(DefinitionTypeError, match=r"takes a Dataset, .* got list"):
        flow.apply([{"n": 1}], collect=collect)
    with pytest.raises(DefinitionTypeError, match="nothing was asked for"):
        flow.apply(made())


def test_a_dataset_that_does_not_fit_is_refused():
    flow = DataFlow(features=FEATURES)
    collect = {"n": flow.src_features.n, "label": flow.src_features.label}
    with pytest.raises(InputError, match="no column 'n', which the flow reads"):
        flow.apply(made().remove_columns("n"), collect=collect)
    with pytest.raises(InputError, match="column 'n' is string, the flow was made for int64"):
        flow.apply(made().cast_column("n", datasets.Value("string")), collect=collect)
    other = made().cast_column("label", datasets.ClassLabel(names=["b", "a"]))
    with pytest.raises(InputError, match=r"column 'label' is ClassLabel\(b, a\)"):
        flow.apply(other, collect=collect)
    result, _ = flow.apply(made().remove_columns("text"), collect=collect)
    assert len(result) == ROWS


MAIN = """
import datasets
from typing import NamedTuple
import pyarrow.compute as pc
from hyped_beam import DataFlow, Processor, processor, Aggregator, Groups
from hyped_beam.types.patterns import Int64Column

OFFSET = 100

@processor
def plus(n: int) -> int:
    return n + OFFSET

@processor
async def plus_later(n: int) -> int:
    return n + OFFSET

class Twice(Processor):
    by: int = 2
    def process(self, n: Int64Column) -> Int64Column:
        return pc.multiply(n, self.by)

class Total(Aggregator):
    class State(NamedTuple):
        total: Int64Column
    def update(self, n: Int64Column, by: Groups) -> State:
        return self.State(by.sum(n))
    def merge(self, state: State, by: Groups) -> State:
        return self.State(by.sum(state.total))
    def finish(self, state: State) -> Int64Column:
        return state.total

ds = datasets.Dataset.from_dict({"n": list(range(1000))})
flow = DataFlow(features=ds)
n = flow.src_features.n
rows, totals = flow.apply(
    ds,
    collect={"a": plus.call(n), "b": plus_later.call(n), "c": Twice(by=3).call(n)},
    aggregators={"t": Total().call(n)},
    num_proc=2,
)
print(rows[999], totals)
"""


def test_nodes_of_a_script_without_a_main_guard_travel_to_processes(tmp_path: Path):
    script = tmp_path / "script.py"
    script.write_text(MAIN)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, str(script)],
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["{'a': 1099, 'b': 1099, 'c': 2997} {'t': 499500}"]
