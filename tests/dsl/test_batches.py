"""Batches in the forms in which users have them."""

from __future__ import annotations

import asyncio
import datetime
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pytest

from hyped_beam import DataFlow, NodeError, processor
from hyped_beam.aggregators import Count
from hyped_beam.errors import DefinitionError, FlowError, InputError

FEATURES = datasets.Features(
    {
        "text": datasets.Value("string"),
        "n": datasets.Value("int64"),
        "label": datasets.ClassLabel(names=["ham", "spam"]),
    }
)
LISTS = {"text": ["a", None], "n": [1, 2], "label": [1, None]}


@pytest.fixture(scope="module")
def built() -> DataFlow:
    flow = DataFlow(features=FEATURES)
    src = flow.src_features
    made, _ = flow.build(collect={"t": src.text.upper(), "m": src.n + 1, "label": src.label})
    return made


def test_a_batch_comes_back_in_its_form(built: DataFlow):
    expected = {"t": ["A", None], "m": [2, 3], "label": [1, None]}
    assert built.batch_process(LISTS) == expected
    table = pa.table(LISTS)
    made = built.batch_process(table)
    assert isinstance(made, pa.Table)
    assert made.to_pydict() == expected
    assert datasets.Features.from_arrow_schema(made.schema)["label"] == FEATURES["label"]
    (record_batch,) = table.to_batches()
    made = built.batch_process(record_batch)
    assert isinstance(made, pa.RecordBatch)
    assert made.to_pydict() == expected


def test_batches_of_datasets_in_every_form(built: DataFlow):
    dataset = datasets.Dataset.from_dict(LISTS, features=FEATURES)
    assert built.batch_process(dataset[:2])["m"] == [2, 3]
    assert built.batch_process(dataset.with_format("numpy")[:1])["m"] == [2]
    assert built.batch_process(dataset.with_format("arrow")[:2])["m"].to_pylist() == [2, 3]
    assert built.batch_process({"text": np.array(["x"]), "n": np.array([4], np.int32), "label": [0]})[
        "m"
    ] == [5]
    mapped = dataset.map(built.batch_process, batched=True, remove_columns=dataset.column_names)
    assert mapped["m"][:] == [2, 3]


def test_columns_in_parts_slices_views_and_other_widths(built: DataFlow):
    table = pa.table(
        {
            "text": pa.array(["x", "y", "z"], pa.large_string()),
            "n": pa.array([1, 2, 3], pa.int8()),
            "label": [0, 0, 1],
        }
    )
    parts = pa.concat_tables([table.slice(0, 1), table.slice(1, 0), table.slice(1, 2)])
    assert built.batch_process(parts.slice(1))["m"].to_pylist() == [3, 4]
    view = table.set_column(0, "text", table["text"].cast(pa.string_view()))
    assert built.batch_process(view)["t"].to_pylist() == ["X", "Y", "Z"]
    dictionary = table.set_column(0, "text", table["text"].cast(pa.string()).dictionary_encode())
    assert built.batch_process(dictionary)["t"].to_pylist() == ["X", "Y", "Z"]


def test_empty_batches(built: DataFlow):
    assert built.batch_process({"text": [], "n": [], "label": []}) == {"t": [], "m": [], "label": []}
    assert built.batch_process(pa.table(LISTS).slice(0, 0)).num_rows == 0
    assert (
        built.batch_process(
            pa.schema([("text", pa.string()), ("n", pa.int64()), ("label", pa.int64())]).empty_table()
        ).num_rows
        == 0
    )


def test_columns_that_are_not_read_may_be_missing_or_there():
    flow = DataFlow(features=FEATURES)
    built, _ = flow.build(collect={"m": flow.src_features.n})
    assert built.batch_process({"n": [1], "more": [object()]}) == {"m": [1]}


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"text": ["a"], "n": [1]}, "the data has no column 'label', which the flow reads"),
        ({"texd": ["a"], "n": [1], "label": [0]}, "no column 'text'.*\n.*did you mean 'texd'"),
        (
            {"text": ["a"], "n": [1, 2], "label": [0]},
            "the columns of a batch have different lengths: 'n' has 2, others 1",
        ),
        ({"text": "a", "n": [1], "label": [0]}, "column 'text' of a batch is a list of values, got str"),
        ({"text": ["a"], "n": ["x"], "label": [0]}, "column 'n' does not hold int64"),
        ({"text": [1], "n": [1], "label": [0]}, "column 'text' does not hold string"),
        ({"text": ["a"], "n": [2**63], "label": [0]}, "column 'n' does not hold int64"),
        ({"text": ["a"], "n": [1], "label": ["spma"]}, "column 'label' does not hold ClassLabel"),
        (pa.table({"text": [1], "n": [1], "label": [0]}), "column 'text' is int64, the flow takes string"),
        (pa.table({"text": ["a"], "n": [1.5], "label": [0]}), "column 'n' is double, the flow takes int64"),
        (["a"], "a batch is a dict of lists, or a pyarrow table or record batch, got list"),
    ],
    ids=range(11),
)
def test_a_batch_that_does_not_fit_is_refused(built: DataFlow, batch: Any, message: str):
    with pytest.raises(InputError, match=message) as caught:
        built.batch_process(batch)
    assert caught.value.site is not None
    assert caught.value.site.file == __file__


def test_names_of_labels_are_taken(built: DataFlow):
    assert built.batch_process({"text": ["a", "b"], "n": [1, 2], "label": ["spam", 0]})["label"] == [1, 0]


def test_images_come_decoded_as_datasets_decodes_them():
    from PIL import Image

    features = datasets.Features({"image": datasets.Image(), "n": datasets.Value("int64")})
    image = Image.new("RGB", (3, 2), (255, 0, 0))
    dataset = datasets.Dataset.from_dict({"image": [image, None], "n": [1, 2]}, features=features)
    flow = DataFlow(features=features)
    built, _ = flow.build(
        collect={"image": flow.src_features.image, "in": {"image": flow.src_features.image}}
    )
    made = built.batch_process(dataset[:2])
    assert made["image"][0].size == (3, 2)
    assert made["image"][0].getpixel((0, 0)) == (255, 0, 0)
    assert made["image"][1] is None
    assert made["in"][0]["image"].size == (3, 2)
    assert built.batch_process(dataset.with_format("arrow")[:2])["image"][0].as_py()["bytes"]


def test_values_of_time_and_arrays_pass():
    features = datasets.Features(
        {
            "at": datasets.Value("timestamp[us, tz=Europe/Berlin]"),
            "grid": datasets.Array2D(shape=(2, 2), dtype="int32"),
            "both": datasets.Translation(languages=["de", "en"]),
        }
    )
    flow = DataFlow(features=features)
    built, _ = flow.build(collect=flow.src_features)
    at = datetime.datetime(2024, 1, 2, 3, tzinfo=datetime.timezone.utc)
    made = built.batch_process({"at": [at], "grid": [[[1, 2], [3, 4]]], "both": [{"de": "ja", "en": "yes"}]})
    assert made["at"][0] == at
    assert np.asarray(made["grid"][0]).tolist() == [[1, 2], [3, 4]]
    assert made["both"] == [{"de": "ja", "en": "yes"}]


@processor
def positive(n: int) -> int:
    if n < 0:
        raise ValueError(n)
    return n


@processor
async def slowly_positive(n: int) -> int:
    await asyncio.sleep(0)
    return positive(n)


@pytest.mark.parametrize("node", [positive, slowly_positive])
def test_the_index_numbers_rows_in_errors_and_must_fit(node: Any):
    flow = DataFlow(features={"n": datasets.Value("int64")})
    built, _ = flow.build(collect={"n": node.call(flow.src_features.n)})
    batch = {"n": [1, -2, 3]}
    with pytest.raises(NodeError, match="at row 71: ValueError: -2") as caught:
        built.batch_process(batch, index=[70, 71, 72])
    assert caught.value.row == 71
    with pytest.raises(NodeError, match="at row 71"):
        asyncio.run(built.abatch_process(batch, index=np.array([70, 71, 72])))
    with pytest.raises(DefinitionError, match="index= has 2 numbers for 3 rows"):
        built.batch_process(batch, index=[1, 2])


def test_calls_of_the_async_twin_are_in_flight_together():
    waiting: list[int] = []
    gate = asyncio.Event()

    @processor
    async def meet(n: int) -> int:
        waiting.append(n)
        if len(waiting) == 40:
            gate.set()
        await asyncio.wait_for(gate.wait(), 600)
        return n

    flow = DataFlow(features={"n": datasets.Value("int64")})
    built, live = flow.build(
        collect={"n": meet.call(flow.src_features.n)}, aggregators={"c": Count().call(flow.src_features.n)}
    )

    async def calls() -> list[Any]:
        return await asyncio.gather(*(built.abatch_process({"n": [n]}) for n in range(40)))

    assert asyncio.run(calls()) == [{"n": [n]} for n in range(40)]
    assert live == {"c": 40}


def test_the_async_twin_is_for_built_flows_and_takes_every_form():
    flow = DataFlow(features={"n": datasets.Value("int64")})
    with pytest.raises(FlowError, match="nothing was asked for"):
        asyncio.run(flow.abatch_process({"n": [1]}))
    built, _ = flow.build(collect={"n": flow.src_features.n * 2})
    assert asyncio.run(built.abatch_process(pa.table({"n": [4]}))).to_pydict() == {"n": [8]}
    with pytest.raises(InputError, match="has no column 'n'"):
        asyncio.run(built.abatch_process({"m": [4]}))


@pytest.mark.parametrize("node", [positive, slowly_positive])
def test_it_may_be_called_where_a_loop_runs(node: Any):
    flow = DataFlow(features={"n": datasets.Value("int64")})
    built, _ = flow.build(collect={"n": node.call(flow.src_features.n)})

    async def inside() -> Any:
        return built.batch_process({"n": [1]})

    assert asyncio.run(inside()) == {"n": [1]}


def test_a_coroutine_that_waits_for_its_own_loop_is_told_so():
    flow = DataFlow(features={"n": datasets.Value("int64")})
    built, _ = flow.build(collect={"n": slowly_positive.call(flow.src_features.n)})

    @processor
    async def nested(n: int) -> int:
        return built.batch_process({"n": [n]})["n"][0]

    @processor
    async def awaited(n: int) -> int:
        return (await built.abatch_process({"n": [n]}))["n"][0]

    with pytest.raises(NodeError, match=r"await .*abatch_process"):
        flow.batch_process({"n": [1]}, collect={"n": nested.call(flow.src_features.n)})
    assert flow.batch_process({"n": [1]}, collect={"n": awaited.call(flow.src_features.n)}) == {"n": [1]}
