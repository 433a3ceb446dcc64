"""Datasets as a source: which ranges they are cut into, and which rows these hold."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import datasets
import pyarrow as pa
import pytest

from hyped_beam.errors import DefinitionError, InputError
from hyped_beam.io.readers import streamed
from hyped_beam.io.readers.dataset import DatasetReader

ROWS = 50


def dataset(rows: int = ROWS) -> datasets.Dataset:
    return datasets.Dataset.from_dict({"n": list(range(rows)), "t": [f"t{n}" for n in range(rows)]})


def saved(folder: Path) -> datasets.Dataset:
    dataset().save_to_disk(folder / "saved")
    return datasets.load_from_disk(folder / "saved")


def rows_of(reader: DatasetReader, columns: list[str]) -> list[dict[str, Any]]:
    scan = reader.scan(columns)
    return [row for part in reader.ranges() for batch in scan.read(part) for row in batch.to_pylist()]


KINDS: dict[str, Callable[[Path], tuple[datasets.Dataset, list[int]]]] = {
    "in memory": lambda folder: (dataset(), list(range(ROWS))),
    "on disk": lambda folder: (saved(folder), list(range(ROWS))),
    "selected": lambda folder: (saved(folder).select([7, 3, 5]), [7, 3, 5]),
    "sliced": lambda folder: (saved(folder).select(range(10, 20)), list(range(10, 20))),
    "shuffled": lambda folder: (saved(folder).shuffle(seed=1), list(saved(folder).shuffle(seed=1)["n"])),
    "concatenated": lambda folder: (
        datasets.concatenate_datasets([saved(folder), dataset(3)]),
        [*range(ROWS), 0, 1, 2],
    ),
    "empty": lambda folder: (dataset(0), []),
}


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_a_dataset(kind: str, tmp_path: Path):
    data, expected = KINDS[kind](tmp_path)
    reader = DatasetReader(data).selecting(["t", "n"])
    assert reader.features == data.features
    assert [row["n"] for row in rows_of(reader, ["n"])] == expected
    assert [row["t"] for row in rows_of(reader, ["t", "n"])] == [f"t{n}" for n in expected]
    there = pickle.loads(cloudpickle.dumps(reader))  # noqa: S301 - our own
    assert [cut.to_json() for cut in there.ranges()] == [cut.to_json() for cut in reader.ranges()]
    assert not reader.driver_reads(4)
    assert reader.fingerprint() == DatasetReader(data).fingerprint()


def test_files_are_read_where_they_are_and_only_columns_that_are_read_are_copied(tmp_path: Path):
    reader = DatasetReader(saved(tmp_path))
    assert all(str(tmp_path) in path for path in reader.inputs())
    copied = DatasetReader(dataset()).selecting(["n"])
    assert copied.inputs() == ()
    (part,) = copied.ranges()
    path = part.pieces[0].path
    assert pa.ipc.open_stream(pa.OSFile(path)).schema.names == ["n"]
    del copied
    assert not Path(path).exists()


def test_a_folder_of_a_saved_dataset_is_one(tmp_path: Path):
    saved(tmp_path)
    for given in (tmp_path / "saved", str(tmp_path / "saved")):
        assert len(rows_of(DatasetReader(given), ["n"])) == ROWS
    datasets.DatasetDict({"train": dataset()}).save_to_disk(tmp_path / "splits")
    with pytest.raises(InputError, match="holds the splits train"):
        DatasetReader(tmp_path / "splits")
    with pytest.raises(InputError, match="no saved dataset"):
        DatasetReader(tmp_path / "nothing")
    with pytest.raises(DefinitionError, match="takes a Dataset"):
        DatasetReader(3)


# ------------------------------------------------------------------------------------------ streamed


def numbers(shards: list[int]) -> Iterator[dict[str, Any]]:
    for shard in shards:
        for row in range(10):
            yield {"n": shard * 10 + row, "t": f"t{row}"}


def stream(shards: int = 4, features: Any = None) -> datasets.IterableDataset:
    return datasets.IterableDataset.from_generator(
        numbers, gen_kwargs={"shards": list(range(shards))}, features=features
    )


def test_an_iterable_is_one_range_for_each_shard():
    reader = DatasetReader(stream())
    assert reader.features == datasets.Features({"n": datasets.Value("int64"), "t": datasets.Value("string")})
    assert [(cut.number, cut.rows, cut.first_row) for cut in reader.ranges()] == [
        (0, None, 0),
        (1, None, None),
        (2, None, None),
        (3, None, None),
    ]
    scan = reader.scan(["n"])
    assert [row["n"] for batch in scan.read(reader.ranges()[2]) for row in batch.to_pylist()] == list(
        range(20, 30)
    )
    assert [batch.num_rows for batch in reader.scan([]).read(reader.ranges()[1])] == [10]
    there = pickle.loads(cloudpickle.dumps(reader))  # noqa: S301 - our own
    assert there.ranges() == reader.ranges()


def test_shards_are_read_apart_only_where_that_gives_the_same_rows():
    def both(rows: dict[str, list[int]]) -> dict[str, list[int]]:
        return {"n": [sum(rows["n"])]}

    apart = {
        "map": stream().map(lambda row: {"n": row["n"] + 1}),
        "filter": stream().filter(lambda row: row["n"] % 2),
        "select columns": stream().select_columns(["n"]),
        "memory": dataset().to_iterable_dataset(num_shards=4),
        "format": stream().with_format("numpy"),
    }
    whole = {
        "take": stream().take(15),
        "skip": stream().skip(15),
        "batched map": stream().map(both, batched=True, batch_size=7, remove_columns=["t"]),
        "indices": stream().map(lambda row, index: {"n": index}, with_indices=True),
        "shuffled": stream().shuffle(seed=3, buffer_size=7),
        "interleaved": datasets.interleave_datasets([stream(), stream(2)]),
        "concatenated": datasets.concatenate_datasets([stream(), stream(2)]),
    }
    epoch = stream().shuffle(seed=3, buffer_size=1)
    epoch.set_epoch(2)
    whole["epoch"] = epoch
    for name, data in {**apart, **whole}.items():
        reader = DatasetReader(data)
        assert len(reader.ranges()) == (4 if name in apart else 1), name
        found = [row["n"] for row in rows_of(reader, ["n"])]
        assert found == [int(row["n"]) for row in data], name


def test_batches_end_where_rows_say_and_memory_stays_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(streamed, "BATCH_ROWS", 8)
    monkeypatch.setattr(streamed, "READ_ROWS", 4)
    made = 0

    def counted(shards: list[int]) -> Iterator[dict[str, Any]]:
        nonlocal made
        for row in numbers(shards):
            made += 1
            yield row

    data = datasets.IterableDataset.from_generator(counted, gen_kwargs={"shards": [0, 1]})
    features = {"n": "int64", "t": "string"}
    reader = DatasetReader(data, features=features)
    batches = reader.scan(["n"]).read(reader.ranges()[1])
    assert next(batches).num_rows == 8
    assert made <= 9
    assert [batch.num_rows for batch in batches] == [2]


def test_what_cannot_be_sent_to_workers_is_read_here(monkeypatch: pytest.MonkeyPatch):
    lock = __import__("threading").Lock()

    def locked(shards: list[int]) -> Iterator[dict[str, Any]]:
        with lock:
            yield from numbers(shards)

    data = datasets.IterableDataset.from_generator(locked, gen_kwargs={"shards": [0, 1, 2]})
    reader = DatasetReader(data)
    assert reader.driver_reads(1)
    assert not DatasetReader(stream()).driver_reads(4)
    assert DatasetReader(stream()).driver_reads(5)  # some would have nothing to do
    scan = reader.scan(["n"])
    assert pickle.loads(cloudpickle.dumps(scan)) is scan  # noqa: S301 - our own
    monkeypatch.setattr(streamed, "LARGEST_PICKLE", 10)
    assert DatasetReader(stream()).driver_reads(1)


def test_equal_iterables_have_equal_fingerprints_in_any_process(tmp_path: Path):
    script = tmp_path / "prints.py"
    script.write_text(
        "import datasets\n"
        "from hyped_beam.io.readers.dataset import DatasetReader\n"
        "def rows(shards):\n    yield from ({'n': n} for n in shards)\n"
        "for shards in ([1, 2], [1, 3]):\n"
        "    data = datasets.IterableDataset.from_generator(rows, gen_kwargs={'shards': shards})\n"
        "    print(DatasetReader(data).fingerprint())\n"
    )
    printed = [
        subprocess.run([sys.executable, script], capture_output=True, text=True, check=True).stdout.split()
        for _ in range(2)
    ]
    assert printed[0] == printed[1]
    assert printed[0][0] != printed[0][1]


def test_an_iterable_without_rows_needs_its_features():
    nothing = datasets.IterableDataset.from_generator(lambda: iter(()))
    with pytest.raises(InputError, match="does not say its features"):
        _ = DatasetReader(nothing).features
    assert rows_of(DatasetReader(nothing, features={"n": "int64"}), ["n"]) == []


def test_what_raises_while_it_is_read_is_said():
    def rows() -> Iterator[dict[str, Any]]:
        yield {"n": 1}
        raise OSError("the line is cut")

    data = datasets.IterableDataset.from_generator(rows)
    with pytest.raises(InputError, match="shard 0 of the dataset cannot be read: OSError: the line is cut"):
        rows_of(DatasetReader(data, features={"n": "int64"}), ["n"])
