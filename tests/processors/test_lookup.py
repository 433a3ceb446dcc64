"""Rows of a second table, found by key."""

from __future__ import annotations

import datetime
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hyped_beam import DataFlow, FlowError, ops
from hyped_beam.errors import InputError
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.testing import evaluate, flow_of

USERS = pa.table(
    {
        "id": pa.array([6, 2, None, 3], pa.int64()),
        "name": ["ann", None, "nobody", "bob"],
        "born": pa.array([datetime.date(2000, 1, day) for day in (1, 2, 3, 4)]),
        "tags": [["a"], [], None, ["b", "c"]],
        "at": [{"x": 1.5}, None, {"x": 2.5}, {"x": None}],
    }
)
ROWS = pa.table({"user": pa.array([2, None, 6, 7, 6], pa.int64()), "n": range(5)})

IN_MEMORY = datasets.Dataset.from_dict({"id": [6], "name": ["ann"]})


@pytest.fixture
def users(tmp_path):
    path = tmp_path / "users.parquet"
    pq.write_table(USERS, path, row_group_size=2)
    return str(path)


@pytest.fixture
def src():
    return flow_of(ROWS.schema)


def row(number):
    return {name: values for name, values in USERS.slice(number, 1).to_pylist()[0].items() if name != "id"}


@pytest.mark.parametrize("table", [str, ParquetReader, lambda path: datasets.Dataset(pq.read_table(path))])
@pytest.mark.parametrize("batches", [1, 3])
def test_the_row_of_the_key_or_null(src, users, table, batches, in_batches):
    found = ops.lookup(src.user, in_=table(users), key="id")
    rows = in_batches(src, {"n": src.n, "user": found}, ROWS, batches)
    assert rows["user"].to_pylist() == [row(1), None, row(0), None, row(0)]
    names = in_batches(src, {"name": found.name}, ROWS, batches)
    assert names["name"].to_pylist() == [None, None, "ann", None, "ann"]


def test_a_lookup_is_saved_with_its_reader(users, tmp_path):
    flow = DataFlow(features=datasets.Features.from_arrow_schema(ROWS.schema))
    user = ops.lookup(flow.src_features.user, in_=users, key="id")
    flow.save(tmp_path / "flow.json", collect={"name": user.name})
    loaded = DataFlow.load(tmp_path / "flow.json")
    assert loaded.batch_process({"user": [6, 1]}) == {"name": ["ann", None]}
    applied, _ = loaded.apply(datasets.Dataset(ROWS), num_proc=2)
    assert applied["name"][:] == [None, None, "ann", None, "ann"]


def test_keys_of_exploded_and_grouped_rows(src, users, in_batches):
    g = ops.group_by({"user": src.user})
    found = in_batches(
        src, {"user": g.keys.user, "name": ops.lookup(g.keys.user, in_=users, key="id").name}, ROWS
    )
    assert [tuple(each.values()) for each in found.to_pylist()] == [
        (2, None),
        (6, "ann"),
        (7, None),
        (None, None),
    ]


def test_two_rows_of_one_key_are_refused(src, tmp_path):
    pq.write_table(pa.table({"id": [1, 2, 1], "name": ["a", "b", "c"]}), tmp_path / "twice.parquet")
    found = ops.lookup(src.user, in_=str(tmp_path / "twice.parquet"), key="id").name
    with pytest.raises(InputError, match=r"the table .*twice\.parquet has the key id=1 twice") as caught:
        evaluate(found, ROWS)
    assert caught.value.site is not None
    assert caught.value.site.file == __file__


def test_an_empty_table_has_no_keys(src, tmp_path):
    pq.write_table(USERS.slice(0, 0), tmp_path / "empty.parquet")
    found = ops.lookup(src.user, in_=str(tmp_path / "empty.parquet"), key="id")
    assert evaluate(found, ROWS).to_pylist() == [None] * 5


def test_no_rows(src, users):
    assert evaluate(ops.lookup(src.user, in_=users, key="id").tags, ROWS.slice(0, 0)).to_pylist() == []


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda src, users: ops.lookup(src.user, in_=users, key="ids"), "no column 'ids': did you mean 'id'"),
        (
            lambda src, users: ops.lookup(src.user, in_=users, key="name"),
            "looks up int64, the key 'name' of the table string",
        ),
        (lambda src, users: ops.lookup(src.user.cast("int32"), in_=users, key="id"), "cast one to the other"),
        (lambda src, users: ops.lookup("user", in_=users, key="id"), r"lookup\(\) takes a ref, got 'user'"),
        (lambda src, users: ops.lookup(src.user, in_=users + "x", key="id"), "users.parquetx"),
        (
            lambda src, users: ops.lookup(src.user, in_={6: "ann"}, key="id"),
            r"got dict\n.*Dataset\.from_dict",
        ),
        (lambda src, users: ops.lookup(src.user, in_=[{"id": 6}], key="id"), r"got list\n.*from_list\(rows"),
        (lambda src, users: ops.lookup(src.user, in_=None, key="id"), "got NoneType\n.*give a path"),
        (
            lambda src, users: ops.lookup(src.user, in_=datasets.DatasetDict(a=IN_MEMORY), key="id"),
            "got DatasetDict\n.*give one split",
        ),
        (lambda src, users: ops.lookup(src.user, in_=7, key="id"), "7|int"),
    ],
)
def test_mistakes_are_named_on_their_line(src, users, write, message):
    with pytest.raises(FlowError, match=message) as caught:
        write(src, users)
    assert caught.value.site is not None
    assert caught.value.site.file == __file__


def test_a_table_in_memory_is_not_saved(tmp_path):
    flow = DataFlow(features={"user": "int64"})
    found = ops.lookup(flow.src_features.user, in_=IN_MEMORY, key="id")
    with pytest.raises(FlowError, match="is a Dataset, and a table is saved by its path") as caught:
        flow.save(tmp_path / "flow", collect={"name": found.name})
    assert caught.value.site is not None
    assert Path(caught.value.site.file).name == Path(__file__).name  # a saved flow has it as it is shown
    assert "write the table to Parquet" in caught.value.hint
    assert not list(tmp_path.iterdir())
