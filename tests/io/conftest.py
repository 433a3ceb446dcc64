"""What the tests of files share."""

from __future__ import annotations

import importlib.util
import sys
import uuid
from pathlib import Path

import pyarrow as pa
import pytest

from hyped_beam.io.commit import Destination, RangeCommit, finish, prepare


def _load(name):
    spec = importlib.util.spec_from_file_location(f"io_{name}", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def cases():
    """The module of example features."""
    return _load("features")


@pytest.fixture
def write_table():
    """Write a table as a job of one output would: every batch is a range."""

    def write(writer, table, **options):
        destination = Destination("rows", writer, table.schema)
        claim = prepare([destination], "test", **options)
        records = []
        for number, batch in enumerate(table.to_batches()):
            commit = RangeCommit(claim.destinations, number)
            commit.write("rows", batch)
            records.append(commit.commit())
        (manifest,) = finish(claim.destinations, records)
        claim.release()
        return manifest

    return write


@pytest.fixture
def read_all():
    """All scan batches of a reader as one table."""

    def read(reader, columns=None):
        columns = list(reader.features) if columns is None else columns
        return [batch for part in reader.ranges() for batch in reader.read(part, columns)]

    return read


@pytest.fixture
def words():
    """A table of 20,000 rows with texts of different lengths."""
    rows = range(20_000)
    return pa.table(
        {"text": [f"row {row} " * (row % 5) for row in rows], "n": rows, "half": [row / 2 for row in rows]}
    )


@pytest.fixture(params=["local", "s3", "memory"])
def place(request, tmp_path):
    """The URI of an empty place, as a user would write it."""
    if request.param == "local":
        return str(tmp_path / "place")
    if request.param == "s3":
        return request.getfixturevalue("s3").uri("place")
    return f"memory://{uuid.uuid4().hex}"
