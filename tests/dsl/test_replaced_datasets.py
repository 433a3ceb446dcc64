"""Datasets whose files were replaced or deleted after they were opened: the rows that they show are read."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest

from hyped_beam import DataFlow, ops
from hyped_beam.aggregators import Sum
from hyped_beam.io.readers.dataset import DatasetReader
from hyped_beam.io.writers.json import JsonDatasetWriter

OLD, NEW = [0, 1, 2, 3, 4, 5], [100, 101, 102, 103, 104, 105, 106, 107, 108, 109]


def saved(folder: Path, values: list[int]) -> datasets.Dataset:
    made = datasets.Dataset.from_dict({"x": values, "k": list(range(len(values)))})
    made.save_to_disk(folder)
    return datasets.load_from_disk(folder)


def replaced(folder: Path, values: list[int] = NEW) -> None:
    """Rename another Arrow file into the place of that of a saved dataset."""
    (new,) = saved(folder.with_name(f"new_{values[0]}"), values).cache_files
    (old,) = folder.glob("*.arrow")
    os.replace(new["filename"], old)  # noqa: PTH105 - as the user does


def deleted(folder: Path) -> None:
    (old,) = folder.glob("*.arrow")
    old.unlink()


CHANGES: dict[str, Callable[[Path], None]] = {
    "replaced": replaced,
    "replaced by as many rows": lambda folder: replaced(folder, NEW[: len(OLD)]),
    "deleted": deleted,
}


@pytest.fixture(autouse=True)
def caching() -> Iterator[None]:
    datasets.enable_caching()
    yield
    datasets.disable_caching()


def applied(data: datasets.Dataset, folder: Path) -> list[int]:
    del folder
    flow = DataFlow(features=data.features)
    made, _ = flow.apply(data, collect={"y": flow.src_features.x})
    return list(made["y"])


def aggregated(data: datasets.Dataset, folder: Path) -> list[int]:
    del folder
    flow = DataFlow(features=data.features)
    result = flow.job(source=data).aggregate({"sum": Sum().call(flow.src_features.x)}).run(runner="local")
    return OLD if result.aggregates == {"sum": sum(OLD)} else [result.aggregates["sum"]]


def written(data: Any, folder: Path, processes: int = 1) -> list[int]:
    flow = DataFlow(features=data.features)
    writer = JsonDatasetWriter(folder / "out")
    flow.job(source=data).write(collect={"x": flow.src_features.x}, to=writer).run(
        runner="local", num_proc=processes
    )
    made = datasets.load_dataset("json", data_files=f"{folder}/out/*.jsonl", cache_dir=f"{folder}/hub")
    return list(made["train"]["x"])


def looked_up(data: datasets.Dataset, folder: Path) -> list[int]:
    del folder
    keys = datasets.Dataset.from_dict({"k": list(range(len(OLD)))})
    flow = DataFlow(features=keys.features)
    found = ops.lookup(flow.src_features.k, in_=DatasetReader(data), key="k")
    made, _ = flow.apply(keys, collect={"x": found.x})
    return list(made["x"])


def iterated(data: datasets.Dataset, folder: Path) -> list[int]:
    return written(data.to_iterable_dataset(num_shards=2), folder, processes=2)


ENTRANCES = {f.__name__: f for f in (applied, aggregated, written, looked_up, iterated)}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("entrance", ENTRANCES)
def test_the_rows_that_a_dataset_shows_are_read(tmp_path: Path, change: str, entrance: str):
    data = saved(tmp_path / "data", OLD)
    CHANGES[change](tmp_path / "data")
    assert data["x"][:] == OLD
    assert ENTRANCES[entrance](data, tmp_path) == OLD


def test_results_of_a_replaced_dataset_are_not_those_of_its_new_files(tmp_path: Path):
    data = saved(tmp_path / "data", OLD)
    replaced(tmp_path / "data")
    assert applied(data, tmp_path) == OLD
    now = datasets.load_from_disk(tmp_path / "data")
    assert now._fingerprint == data._fingerprint
    assert applied(now, tmp_path) == NEW
    assert applied(data, tmp_path) == OLD
    assert DatasetReader(now).fingerprint() != DatasetReader(data).fingerprint()


def test_a_file_replaced_after_the_reader_has_looked_at_it_is_not_read(tmp_path: Path):
    data = saved(tmp_path / "data", OLD)
    before, replacing = (DatasetReader(data) for _ in range(2))
    known = [replacing.fingerprint(), replacing.ranges()]
    replaced(tmp_path / "data")
    assert replacing.fingerprint() != known[0]
    assert replacing.fingerprint() == before.fingerprint()
    pinned = replacing.pinned()
    assert [row["x"] for batch in pinned.read(pinned.ranges()[0], ["x"]) for row in batch.to_pylist()] == OLD
    pinned.check_unchanged()


def test_files_that_are_still_there_are_read_where_they_are(tmp_path: Path):
    data = saved(tmp_path / "da ta", OLD)
    several = datasets.concatenate_datasets([data, saved(tmp_path / "more", NEW)])
    for one in (data, several, pickle.loads(pickle.dumps(data)), data.rename_column("x", "z")):  # noqa: S301
        copied = "z" in one.column_names
        assert bool(DatasetReader(one).inputs()) is not copied
    replaced(tmp_path / "more")
    assert DatasetReader(several).inputs() == ()
    assert DatasetReader(data).inputs()
