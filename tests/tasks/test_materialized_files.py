"""Values of nodes that run once: of several attempts at a range the first counts, with what it reports."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from hyped_beam.tasks.materialized_files import MaterializedFiles, MaterializedFolder


def attempt(where: MaterializedFolder, values: list[int]) -> MaterializedFiles:
    made = MaterializedFiles(where, 7)
    for value in values:
        made.add({3: pa.record_batch({"value": [value]}), 4: pa.record_batch({"value": [-value]})})
    return made


def read(folder: Path, batches: int) -> list[dict[int, list[int]]]:
    later = MaterializedFiles(MaterializedFolder(str(folder), 2, {3: 1, 4: 1}), 7)
    found = [later.next_batch((3, 4)) for _ in range(batches)]
    return [{node: batch["value"].to_pylist() for node, batch in one.items()} for one in found]


def test_later_scans_read_what_the_attempt_that_counts_has_kept(tmp_path: Path):
    where = MaterializedFolder(str(tmp_path), 1)
    first, second = attempt(where, [1, 2]), attempt(where, [8, 9])
    assert first.commit("record of the first", b"states of the first") == (
        "record of the first",
        b"states of the first",
    )
    told = read(tmp_path, 2)
    assert second.commit("record of the second", b"") == ("record of the first", b"states of the first")
    assert read(tmp_path, 2) == told == [{3: [1], 4: [-1]}, {3: [2], 4: [-2]}]
    assert len(list(tmp_path.iterdir())) == 3  # what the second kept is gone


def test_a_range_that_keeps_nothing_reports_what_it_found(tmp_path: Path):
    nothing = MaterializedFiles(MaterializedFolder(str(tmp_path), 1), 7)
    assert nothing.commit("record", b"states") == ("record", b"states")
    assert list(tmp_path.iterdir()) == []
