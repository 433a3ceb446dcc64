"""The cache of aggregates: another program finds nothing of this one, and the same one all."""

from __future__ import annotations

import logging
from pathlib import Path
from types import ModuleType
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from hyped_beam import DataFlow, Processor, ops, processor
from hyped_beam.aggregators import Max, Mean, Sum
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.json import JsonDatasetWriter
from hyped_beam.types.patterns import Float64Column
from tests.dsl.cached_runs import (
    FEATURES,
    Noted,
    bits,
    entry_files,
    same,
    table,
)


def node_of(source: str) -> Any:
    module = ModuleType("__main__")
    exec("from hyped_beam import processor\n" + source, module.__dict__)  # noqa: S102
    return module.clean


def test_a_function_of_the_same_name_that_does_something_else_is_another(source):
    source.write(1, 2)
    script = "STEP = 1\n@processor\ndef clean(x: float) -> float:\n    return round(x, STEP)\n"

    def run(script, cache=True):
        node = node_of(script)
        return source.run(cache=cache, aggregators=lambda src: {"sum": Sum().call(node.call(src.x))})

    assert run(script).cache.reused == 0
    assert run(script).cache.reused == 2
    for changed in (script.replace("STEP = 1", "STEP = 2"), script.replace("round(x, STEP)", "x + STEP")):
        found = run(changed)
        assert found.cache.reused == 0
        assert same(found, run(changed, cache=None))
    assert run(script).cache.reused == 2


def test_what_else_the_flow_computes_does_not_matter(source, tmp_path):
    source.write(1, 2)
    reader = ParquetReader(source.files)
    flow = DataFlow(features=reader)
    src = flow.src_features
    mean = {"mean": Mean().call(src.x)}
    written = (
        flow.job(source=reader)
        .write(collect={"k": src.k.upper(), "x": src.x}, to=JsonDatasetWriter(str(tmp_path / "out")))
        .aggregate(mean)
        .run(cache=source.cache)
    )
    assert (written.cache.parts, written.cache.reused) == (2, 0)
    alone = flow.job(source=reader).aggregate(mean).run(cache=source.cache)
    assert (alone.cache.parts, alone.cache.reused) == (2, 2)
    assert same(written, alone)
    again = (
        flow.job(source=reader)
        .write(collect={"x": src.x}, to=JsonDatasetWriter(str(tmp_path / "more")))
        .aggregate(mean)
    )
    assert again.run(cache=source.cache).cache.reused == 0  # its rows are read for the file
    assert (tmp_path / "more" / "part-00000.jsonl").exists()


def test_levels_and_groups_and_values_of_scans_before(source):
    source.write(*range(5))
    reader = ParquetReader(source.files)

    def fitted(cache):
        flow = DataFlow(features=reader)
        src = flow.src_features
        noted = Noted(path=str(source.notes)).call(src.x)
        off = noted - Mean().call(noted, by=src.k)
        return flow.fit(reader, collect={"far": off / Max().call(abs(off))}, cache=cache)

    rows = table(9, 10).to_pydict()
    without = fitted(None).batch_process(rows)
    assert source.seen() == 1_000 + 10
    assert bits(fitted(source.cache).batch_process(rows)) == bits(without)
    assert source.seen() == 1_000 + 10
    assert bits(fitted(source.cache).batch_process(rows)) == bits(without)
    assert source.seen() == 10
    source.write(5)
    more = fitted(source.cache).batch_process(rows)
    assert source.seen() == 100 + 600 + 10  # the second scan is of other means
    assert bits(more) == bits(fitted(None).batch_process(rows)) != bits(without)


def test_a_table_that_is_looked_up_counts_by_what_it_holds(source, tmp_path):
    source.write(1, 2)
    weights = tmp_path / "weights.parquet"

    def run():
        def asked(src):
            weight = ops.lookup(src.k, in_=str(weights), key="k").weight
            return {"sum": Sum().call(weight)}

        return source.run(aggregators=asked)

    pq.write_table(pa.table({"k": ["k1"], "weight": [1.0]}), weights)
    one = run()
    assert run().cache.reused == 2
    pq.write_table(pa.table({"k": ["k1"], "weight": [2.0]}), weights)
    two = run()
    assert (two.cache.reused, two.aggregates["sum"]) == (0, 2 * one.aggregates["sum"])


def test_what_is_not_repeatable_is_never_kept(source):
    @processor(repeatable=False)
    def drawn(x: float) -> float:
        return x

    source.write(1, 2)
    found = [source.run(aggregators=lambda src: {"sum": Sum().call(drawn.call(src.x))}) for _ in range(2)]
    assert [one.cache.reused for one in found] == [0, 0]
    assert found[0].cache.refused == "drawn is not repeatable"


def test_nor_is_what_later_scans_make_of_it(source, tmp_path):
    step = tmp_path / "step"

    class Drawn(Processor):
        path: str
        repeatable = False

        def process(self, x: Float64Column) -> Float64Column:
            return pa.compute.multiply(x, float(Path(self.path).read_text()))

    source.write(1, 2)
    reader = ParquetReader(source.files)

    def fitted(cache):
        flow = DataFlow(features=reader)
        drawn = Drawn(path=str(step)).call(flow.src_features.x)
        most = Max().call(drawn - Mean().call(drawn))
        fitted = flow.fit(reader, collect={"d": flow.src_features.x / most}, cache=cache)
        return fitted.batch_process({"x": [1.0]})["d"]

    for number in ("2", "4"):
        step.write_text(number)
        with pytest.warns(UserWarning, match="not repeatable"):
            found = fitted(source.cache)
        assert found == fitted(None)
    assert not entry_files(source)


def test_of_a_flow_with_rows_the_scans_before_are_kept(tmp_path, caplog):
    caplog.set_level(logging.INFO, "hyped_beam.cache")
    rows = datasets.Dataset(table(1, 1_000))
    flow = DataFlow(features=rows.features)
    src = flow.src_features
    collect = {"off": src.x - Mean().call(src.x, by=src.k)}
    one, two = (flow.apply(rows, collect=collect, cache=tmp_path / "cache")[0] for _ in range(2))
    assert bits(one[:]) == bits(two[:]) == bits(flow.apply(rows, collect=collect)[0][:])
    assert caplog.messages[1].split(" ")[1] == caplog.messages[1].split(" ")[3] != "0"


def test_code_that_cannot_be_told_is_not_kept_and_the_reason_is_said(source, tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("2")

    @processor
    def reads(x: float) -> float:
        return x * float(path.read_text())

    source.write(1, 2)

    def run():
        return source.run(aggregators=lambda src: {"sum": Sum().call(reads.call(src.x))})

    one = run()
    assert "reads a file" in one.cache.refused
    path.write_text("4")
    assert run().aggregates["sum"] == 2 * one.aggregates["sum"]
    flow = DataFlow(features=FEATURES)
    src = flow.src_features
    off = src.x - Mean().call(reads.call(src.x))
    with pytest.warns(UserWarning, match="aggregates are not cached: reads uses") as warned:
        flow.fit(str(source.files), collect={"x": off}, cache=source.cache)
    assert Path(warned[0].filename).name == Path(__file__).name
