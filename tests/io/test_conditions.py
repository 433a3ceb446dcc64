"""Conditions let a scan leave out what cannot meet them, and never a row that does."""

from __future__ import annotations

import math
import pickle

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hyped_beam.io.readers import base, file_scan, packing
from hyped_beam.io.readers.json import JsonReader
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.types.spans import numbers_of, row_at


@pytest.fixture
def big_groups(monkeypatch):
    """Row groups of ten rows are scan batches of their own."""
    monkeypatch.setattr(base, "BATCH_ROWS", 10)


@pytest.fixture
def numbers(tmp_path, big_groups):
    path = tmp_path / "x.parquet"
    table = pa.table({"n": range(100), "t": [f"{n // 10}" for n in range(100)], "unused": ["z"] * 100})
    pq.write_table(table, path, row_group_size=10)
    return path


def read(reader, columns, condition):
    scan = pickle.loads(pickle.dumps(reader.scan(columns, condition)))  # noqa: S301 - as it travels to the workers
    return [
        (part.first_row + span.first, batch)
        for part in reader.ranges()
        for (span,), batch in scan.numbered(part)
    ]


@pytest.mark.parametrize(
    ("condition", "starts"),
    [
        (pc.field("n") >= 75, [70, 80, 90]),
        ((pc.field("n") < 5) | (pc.field("t") == "9"), [0, 90]),
        (pc.field("t").isin(["3", "4"]), [30, 40]),
        (pc.field("n").is_null(), []),
        (pc.field("n") > 1000, []),
        (pc.field("nope") > 1, list(range(0, 100, 10))),  # a hint that says nothing
        (pc.field("n") == "x", list(range(0, 100, 10))),
        (None, list(range(0, 100, 10))),
    ],
)
def test_row_groups_are_left_out_by_their_statistics(numbers, condition, starts):
    found = read(ParquetReader(numbers), ["t"], condition)
    assert [start for start, _ in found] == starts
    assert all(batch["t"].to_pylist() == [f"{start // 10}"] * 10 for start, batch in found)


def test_row_groups_that_are_left_out_are_not_read(numbers):
    data = bytearray(numbers.read_bytes())
    column = pq.read_metadata(numbers).row_group(3).column(0)
    start = column.data_page_offset
    data[start : start + column.total_compressed_size] = bytes(column.total_compressed_size)
    numbers.write_bytes(bytes(data))
    assert [start for start, _ in read(ParquetReader(numbers), ["n"], pc.field("n") >= 75)] == [70, 80, 90]


def test_ranges_and_origins_do_not_depend_on_conditions(numbers, monkeypatch):
    for module in (base, packing):
        monkeypatch.setattr(module, "SMALLEST_RANGE_ROWS", 1)
    reader = ParquetReader(numbers, origin="from")
    found = read(reader, ["n", "from"], pc.field("n") == 55)
    assert len(reader.ranges()) > 3
    assert [start for start, _ in found] == [50]
    assert [row["from"]["row"] for row in found[0][1].to_pylist()] == list(range(50, 60))


def test_folders_that_cannot_meet_a_condition_are_not_opened(tmp_path):
    for group in "abc":
        path = tmp_path / f"group={group}" / "x.jsonl"
        path.parent.mkdir()
        path.write_text('{"n":1}\n')
    reader = JsonReader(tmp_path, features={"n": "int64", "group": "string"})
    scan = reader.scan(["group"], (pc.field("group") == "b") & (pc.field("n") > 0))
    parts = reader.ranges()
    (tmp_path / "group=a" / "x.jsonl").unlink()
    (tmp_path / "group=c" / "x.jsonl").unlink()
    assert [row for part in parts for batch in scan.read(part) for row in batch["group"].to_pylist()] == ["b"]


@pytest.fixture
def shared_segments(monkeypatch):
    """All files that a test makes are tiny, and share one segment."""
    monkeypatch.setattr(packing, "BATCHES_OF_TINY_FILES", 1)
    monkeypatch.setattr(packing, "SHARED_STEP", 2)
    monkeypatch.setattr(packing, "_ends_here", lambda *_: False)


@pytest.fixture
def tiny_files(tmp_path, shared_segments):
    """Six files of three rows in six folders, two of which share a batch."""
    for group in "abcdef":
        path = tmp_path / f"group={group}" / "x.parquet"
        path.parent.mkdir()
        pq.write_table(pa.table({"n": [10 * ord(group) + row for row in range(3)]}), path)
    return ParquetReader(tmp_path)


@pytest.mark.parametrize(
    ("condition", "batches"),
    [
        (None, ["aaabbb", "cccddd", "eeefff"]),
        (pc.field("group").isin(["b", "e", "f"]), ["bbb", "eeefff"]),
        (pc.field("n") < 10 * ord("b"), ["aaa"]),
        ((pc.field("n") > 10 * ord("c")) & (pc.field("group") != "e"), ["cccddd", "fff"]),
        (pc.field("group") == "z", []),
    ],
)
def test_small_files_that_share_batches_are_left_out_one_by_one(tiny_files, monkeypatch, condition, batches):
    for module in (packing, file_scan):
        monkeypatch.setattr(module, "BATCH_ROWS", 6)
    (part,) = tiny_files.ranges()
    found = list(tiny_files.scan(["group", "n"], condition).numbered(part))
    assert ["".join(batch["group"].to_pylist()) for _, batch in found] == batches
    for spans, batch in found:
        numbers = numbers_of(spans).to_pylist()
        assert numbers == [3 * "abcdef".index(row["group"]) + row["n"] % 10 for row in batch.to_pylist()]
        rows = [row_at(spans, row) for row in range(batch.num_rows)]
        assert [(row.path.split("/")[-2], row.first_in_file) for row in rows] == [
            (f"group={row['group']}", row["n"] % 10) for row in batch.to_pylist()
        ]


@pytest.mark.usefixtures("shared_segments")
def test_small_files_of_text_are_left_out_too(tmp_path):
    for group in "abc":
        path = tmp_path / f"group={group}" / "x.jsonl"
        path.parent.mkdir()
        path.write_text('{"n":1}\n{"n":2}\n')
    reader = JsonReader(tmp_path)
    (part,) = reader.ranges()
    ((spans, batch),) = reader.scan(["group"], pc.field("group") != "b").numbered(part)
    assert batch["group"].to_pylist() == ["a", "a", "c", "c"]
    assert [(span.rows, span.first, span.first_in_file) for span in spans] == [(2, 0, 0), (2, None, 0)]
    assert numbers_of(spans) is None


VALUES = st.one_of(st.none(), st.sampled_from([-1.0, 0.0, -0.0, 1.0, 2.0, math.nan, math.inf]))
WHOLE = st.one_of(st.none(), st.integers(-2, 2))


def conditions():
    compare = st.sampled_from(["__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"])
    leaf = st.one_of(
        st.builds(lambda op, v: getattr(pc.field("x"), op)(v), compare, st.sampled_from([-1.0, 0.0, 1.0])),
        st.builds(lambda op, v: getattr(pc.field("n"), op)(v), compare, st.integers(-2, 2)),
        st.builds(lambda name: pc.field(name).is_null(), st.sampled_from(["x", "n"])),
        st.builds(lambda name: pc.field(name).is_valid(), st.sampled_from(["x", "n"])),
        st.builds(lambda nan: pc.field("x").is_null(nan_is_null=nan), st.booleans()),
        st.builds(lambda: pc.is_nan(pc.field("x"))),
        st.builds(
            lambda values: pc.field("n").isin(values), st.lists(st.integers(-2, 2), min_size=1, max_size=3)
        ),
        st.builds(lambda v: (pc.field("x") + pc.field("n").cast("float64")) > v, st.sampled_from([0.0, 1.0])),
    )
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.builds(lambda a: ~a, inner),
            st.builds(lambda a, b: a & b, inner, inner),
            st.builds(lambda a, b: a | b, inner, inner),
        ),
        max_leaves=4,
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(rows=st.lists(st.tuples(VALUES, WHOLE), min_size=1, max_size=40), condition=conditions())
def test_no_row_that_meets_a_condition_is_left_out(tmp_path, big_groups, rows, condition):
    table = pa.table(
        {
            "row": range(len(rows)),
            "x": pa.array([x for x, _ in rows], pa.float64()),
            "n": pa.array([n for _, n in rows], pa.int64()),
        }
    )
    path = tmp_path / f"{hash(str(rows))}.parquet"
    pq.write_table(table, path, row_group_size=10)
    wanted = table.filter(condition)["row"].to_pylist()
    found = {
        row for _, batch in read(ParquetReader(path), ["row"], condition) for row in batch["row"].to_pylist()
    }
    path.unlink()
    assert set(wanted) <= found
