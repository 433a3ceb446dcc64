"""What takes the cache of aggregates: datasets, splits, stores, and not iterables nor first rows."""

from __future__ import annotations

import logging

import datasets
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from hyped_beam import DataFlow
from hyped_beam.aggregators import Mean
from hyped_beam.errors import DefinitionError
from hyped_beam.io.readers.parquet import ParquetReader
from tests.dsl.cached_runs import (
    FEATURES,
    bits,
    same,
    table,
)


def test_datasets_in_memory_on_disk_and_chosen_from(tmp_path, caplog):
    caplog.set_level(logging.INFO, "hyped_beam.cache")
    rows = datasets.Dataset(table(1, 1_000))
    rows.save_to_disk(tmp_path / "saved")
    flow = DataFlow(features=rows.features)
    asked = {"mean": Mean().call(flow.src_features.x)}
    for data in (rows, datasets.load_from_disk(tmp_path / "saved"), rows.select(range(0, 1_000, 2))):
        caplog.clear()
        one, two = (flow.apply(data, aggregators=asked, cache=tmp_path / "cache")[1] for _ in range(2))
        assert bits(one) == bits(two) == bits(flow.apply(data, aggregators=asked)[1])
        parts = caplog.messages[1].split(" ")[1]
        assert caplog.messages == [
            f"aggregates: 0 of {parts} parts from the cache, {parts} read",
            f"aggregates: {parts} of {parts} parts from the cache, 0 read",
        ]


def test_splits_each_by_itself(tmp_path, caplog):
    caplog.set_level(logging.INFO, "hyped_beam.cache")
    splits = datasets.DatasetDict(
        {name: datasets.Dataset(table(seed)) for seed, name in enumerate(["a", "b"])}
    )
    flow = DataFlow(features=FEATURES)
    src = flow.src_features
    collect = {"off": src.x - Mean().call(src.x)}
    one, _ = flow.apply(splits, collect=collect, fit_on="a", cache=True, cache_dir=tmp_path)
    two, _ = flow.apply(splits, collect=collect, fit_on="a", cache=True, cache_dir=tmp_path)
    assert [one[name][:] for name in "ab"] == [two[name][:] for name in "ab"]
    assert caplog.messages[-1].split(" ")[1] == caplog.messages[-1].split(" ")[3] != "0"
    assert (tmp_path / "aggregates" / "states-1").is_dir()


def test_iterable_datasets_are_refused(tmp_path):
    rows = datasets.Dataset(table(1)).to_iterable_dataset()
    flow = DataFlow(features=FEATURES)
    x = flow.src_features.x
    asked = {"mean": Mean().call(x)}
    for run in (
        lambda: flow.apply(rows, collect={"x": x}, aggregators=asked, cache=tmp_path / "c"),
        lambda: flow.fit(rows, collect={"x": x - Mean().call(x)}, cache=tmp_path / "c"),
        lambda: flow.job(source=rows).aggregate(asked).run(cache=tmp_path / "c"),
    ):
        with pytest.raises(DefinitionError, match="cache= does nothing for an iterable dataset") as raised:
            run()
        assert raised.value.site.file == __file__
    assert not (tmp_path / "c").exists()


def test_files_of_a_store_are_told_by_its_tags_and_not_read_again(s3, source):
    from hyped_beam.io.filesystem import locate

    def put(number):
        sink = pa.BufferOutputStream()
        pq.write_table(table(number, 20_000), sink)
        filesystem, path = locate(s3.uri(f"in/{number}.parquet"))
        filesystem.write(path, sink.getvalue())

    for number in range(3):
        put(number)
    reader = ParquetReader(s3.uri("in"))
    first = source.run(reader)
    assert source.run(reader).cache.reused == 3
    put(3)
    put(1)
    found = source.run(reader)
    assert (found.cache.parts, found.cache.reused) == (4, 3)
    assert not same(first, found)
    s3.requests()
    assert source.run(reader).cache.reused == 4
    assert sum(size for *_, size in s3.requests()) < 100_000


def test_the_first_rows_alone_are_not_kept(source):
    from hyped_beam.io.readers.first import FirstRows

    source.write(1)
    found = source.run(FirstRows(ParquetReader(source.files), 10))
    assert found.cache.refused == "only the first rows of the source are read"
    assert found.cache.parts == 0
