"""Flows inside somebody's own Beam pipeline."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable
from typing import Any, NamedTuple

import apache_beam as beam
import datasets
import pyarrow as pa
import pytest
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms import window
from apache_beam.utils.timestamp import Timestamp

from hyped_beam import DataFlow, processor
from hyped_beam.aggregators import Count
from hyped_beam.errors import InputError

FLOW = DataFlow(features={"text": datasets.Value("string"), "n": datasets.Value("int64")})
SRC = FLOW.src_features


@processor
async def later(n: int) -> int:
    await asyncio.sleep(0)
    return n + 1


@processor
def positive(n: int) -> int:
    if n < 0:
        raise ValueError(n)
    return n


def pipeline(fill: Callable[[beam.Pipeline], Any]) -> None:
    with beam.Pipeline(runner="DirectRunner") as made:
        fill(made)


def batch(*numbers: int) -> pa.RecordBatch:
    return pa.record_batch({"text": [f"t{n}" for n in numbers], "n": list(numbers)})


@pytest.mark.parametrize("more", [SRC.n + 1, later.call(SRC.n)], ids=["sync", "async"])
def test_record_batches(more: Any):
    def fill(made: beam.Pipeline) -> None:
        out = (
            made
            | beam.Create([batch(1, 2), batch(), batch(3)])
            | FLOW.as_transform(collect={"up": SRC.text.upper(), "more": more})
        )
        assert out.element_type is pa.RecordBatch
        assert_that(
            out | beam.FlatMap(lambda part: part.to_pylist()),
            equal_to([{"up": f"T{n}", "more": n + 1} for n in (1, 2, 3)]),
        )

    pipeline(fill)


class Row(NamedTuple):
    text: str
    n: int
    unused: float


@pytest.mark.parametrize("more", [SRC.n + 1, later.call(SRC.n)], ids=["sync", "async"])
def test_beam_rows(more: Any):
    rows = [beam.Row(text="a", n=1), beam.Row(text="b", n=2)]

    def fill(made: beam.Pipeline) -> None:
        out = made | beam.Create(rows) | FLOW.as_transform(collect={"up": SRC.text.upper(), "more": more})
        assert_that(out | beam.Map(lambda row: (row.up, row.more)), equal_to([("A", 2), ("B", 3)]))

    pipeline(fill)


def test_named_tuples_with_more_fields_than_are_read_and_nulls():
    def fill(made: beam.Pipeline) -> None:
        out = (
            made
            | beam.Create([Row("a", 1, 0.5)]).with_output_types(Row)
            | FLOW.as_transform(collect={"more": SRC.n + 1, "nothing": SRC.n + None})
            | beam.Select("more", "nothing")
        )
        assert_that(out | beam.Map(tuple), equal_to([(2, None)]))

    pipeline(fill)


def test_rows_with_lists_structs_and_times():
    flow = DataFlow(
        features={
            "words": datasets.List(datasets.Value("string")),
            "inner": {"x": datasets.Value("int64")},
            "at": datasets.Value("timestamp[us, tz=UTC]"),
        }
    )
    src = flow.src_features
    at = datetime.datetime(2024, 1, 2, tzinfo=datetime.timezone.utc)
    rows = [beam.Row(words=["a", "b"], inner=beam.Row(x=3), at=Timestamp.from_utc_datetime(at))]

    def fill(made: beam.Pipeline) -> None:
        out = (
            made
            | beam.Create(rows)
            | flow.as_transform(
                collect={"n": src.words.length(), "x": src.inner.x, "words": src.words, "day": src.at.day()}
            )
            | beam.Map(lambda row: (row.n, row.x, list(row.words), row.day))
        )
        assert_that(out, equal_to([(2, 3, ["a", "b"], 2)]))

    pipeline(fill)


class Places(beam.DoFn):
    def process(
        self, element: Any, at: Any = beam.DoFn.TimestampParam, place: Any = beam.DoFn.WindowParam
    ) -> Any:
        numbers = element["more"].to_pylist() if isinstance(element, pa.RecordBatch) else [element.more]
        yield numbers, float(at), (float(place.start), float(place.end))


@pytest.mark.parametrize("form", ["batches", "rows"])
@pytest.mark.parametrize("more", [SRC.n + 1, later.call(SRC.n)], ids=["sync", "async"])
def test_windows_and_timestamps_are_kept(form: str, more: Any):
    times = [3, 65, 61, 130]

    def fill(made: beam.Pipeline) -> None:
        elements = [batch(n) if form == "batches" else beam.Row(text="", n=n) for n in times]
        stamped = (
            made
            | beam.Create(elements)
            | beam.Map(
                lambda element: window.TimestampedValue(
                    element, element["n"][0].as_py() if isinstance(element, pa.RecordBatch) else element.n
                )
            )
        )
        if form == "rows":
            stamped = stamped | beam.Map(lambda row: row).with_output_types(
                beam.typehints.row_type.RowTypeConstraint.from_fields([("text", str), ("n", int)])
            )
        out = (
            stamped
            | beam.WindowInto(window.SlidingWindows(60, 30))
            | FLOW.as_transform(collect={"more": more})
            | beam.ParDo(Places())
        )
        expected = []
        for n in times:
            last = n // 30 * 30
            expected += [
                ([n + 1], float(n), (float(start), float(start + 60))) for start in (last, last - 30)
            ]
        assert_that(out, equal_to(expected))

    pipeline(fill)


def test_many_rows_of_a_bundle_stay_whole():
    def fill(made: beam.Pipeline) -> None:
        out = (
            made
            | beam.Create([beam.Row(text=str(n), n=n) for n in range(1000)], reshuffle=False)
            | FLOW.as_transform(collect={"n": SRC.n, "t": SRC.text})
            | beam.Map(lambda row: row.n == int(row.t))
            | beam.combiners.Count.PerElement()
        )
        assert_that(out, equal_to([(True, 1000)]))

    pipeline(fill)


def test_elements_that_are_neither_are_refused():
    with pytest.raises(
        Exception, match=r"the flow takes pyarrow\.RecordBatch or Beam rows with a schema, got dict"
    ):
        pipeline(lambda made: made | beam.Create([{"n": 1}]) | FLOW.as_transform(collect={"n": SRC.n}))


def test_rows_without_a_column_are_refused_when_the_pipeline_is_made():
    with pytest.raises(InputError, match="no column 'n', which the flow reads") as caught:
        pipeline(lambda made: made | beam.Create([beam.Row(m=1)]) | FLOW.as_transform(collect={"n": SRC.n}))
    assert caught.value.site is not None
    assert caught.value.site.file == __file__


def test_batches_without_a_column_or_of_other_types_say_so():
    for wrong in (pa.record_batch({"m": [1]}), pa.record_batch({"n": ["x"]})):
        with pytest.raises(Exception, match="column 'n'"):
            pipeline(
                lambda made, wrong=wrong: (
                    made | beam.Create([wrong]) | FLOW.as_transform(collect={"n": SRC.n + 1})
                )
            )


def test_errors_name_the_node_and_its_line():
    transform = FLOW.as_transform(collect={"n": positive.call(SRC.n)})
    with pytest.raises(
        Exception, match=r"test_transform.py:\d+: node 'positive' (?s:.*)ValueError: -5(?s:.*)\n  row: n=-5"
    ):
        pipeline(lambda made: made | beam.Create([batch(1, -5)]) | transform)


def test_a_flow_with_aggregates_gives_its_rows():
    flow, _ = FLOW.build(collect={"n": SRC.n}, aggregators={"c": Count().call(SRC.n)})
    rows = flow.as_transform()  # its rows alone
    pipeline(
        lambda made: assert_that(
            made | beam.Create([batch(4)]) | rows | beam.FlatMap(lambda b: b["n"].to_pylist()), equal_to([4])
        )
    )
