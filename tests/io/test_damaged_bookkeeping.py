"""Files of the bookkeeping that hold something else: one sentence, and nothing is changed."""

from __future__ import annotations

import pyarrow as pa
import pytest

from hyped_beam.errors import InputError
from hyped_beam.io.commit import Destination, RangeCommit, done_ranges, finish, prepare, read_manifest
from hyped_beam.io.writers.json import JsonDatasetWriter

SCHEMA = pa.schema({"n": pa.int64()})
DAMAGE = ["[]", "null", "5", '"text"', "[" * 100_000]


@pytest.fixture
def made(tmp_path):
    claim = prepare([Destination("out", JsonDatasetWriter(tmp_path / "out"), SCHEMA)], "f")
    commit = RangeCommit(claim.destinations, 0)
    commit.write("out", pa.record_batch([pa.array([1])], schema=SCHEMA))
    finish(claim.destinations, [commit.commit()])
    claim.release()
    return claim.destinations


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("overwrite", ["replace", "resume"])
@pytest.mark.parametrize(
    "damage", [*DAMAGE, '{"generation": null}', '{"generation": [1]}', '{"generation": -1}']
)
def test_a_manifest_of_something_else(damage, overwrite, made, tmp_path):
    (tmp_path / "out" / "__hyped_beam__" / "manifest.json").write_text(damage)
    before = contents(tmp_path)
    message = r"__hyped_beam__/manifest\.json in the output '.*/out' is not what a job has written\n  hint: "
    with pytest.raises(InputError, match=message):
        prepare(made, "f", overwrite)
    assert contents(tmp_path) == before
    with pytest.raises(InputError, match=r"is not what a job has written"):
        read_manifest(made[0])


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_fingerprint_of_something_else(damage, made, tmp_path):
    (tmp_path / "out" / "__hyped_beam__" / "fingerprint.json").write_text(damage)
    before = contents(tmp_path)
    with pytest.raises(InputError, match=r"fingerprint\.json in the output '.*/out' is not what a job"):
        prepare(made, "f", "resume")
    assert contents(tmp_path) == before
    prepare(made, "f", "replace").release()


@pytest.mark.parametrize("damage", [*DAMAGE[:4], '{"outputs": []}', '{"outputs": {"out": [[]]}}'])
def test_a_record_of_something_else_is_a_range_that_is_done_again(damage, made, tmp_path):
    (record,) = (tmp_path / "out" / "__hyped_beam__" / "ranges").rglob("00000.json")
    record.write_text(damage)
    assert done_ranges(prepare(made, "f", "resume").destinations) == {}
