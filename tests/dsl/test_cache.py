"""The cache of aggregates: files that have not changed are not read again, and the bits stay the same."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from hyped_beam import ops
from hyped_beam.aggregators import Count, First, Last, Max, Mean, Min, Quantiles, Std, Sum, TopK
from hyped_beam.io.readers.arrow import ArrowReader
from hyped_beam.io.readers.csv import CsvReader
from hyped_beam.io.readers.json import JsonReader
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.readers.text import TextReader
from tests.dsl.cached_runs import (
    FEATURES,
    Source,
    as_lines,
    same,
    table,
    write_arrow,
)


@pytest.mark.parametrize(("files", "num_proc"), [(100, 1), (20, 2)])
def test_adding_one_file_to_many_reads_one(source, files, num_proc):
    source.write(*range(files))
    first = source.run(num_proc=num_proc)
    assert (first.cache.parts, first.cache.reused, source.seen()) == (files, 0, 100 * files)
    again = source.run(num_proc=num_proc)
    assert (again.cache.parts, again.cache.reused, source.seen()) == (files, files, 0)
    assert same(first, again)
    source.write(500)
    more = source.run(num_proc=num_proc)
    assert (str(more.cache), source.seen()) == (f"{files} of {files + 1} parts from the cache, 1 read", 100)
    assert f"aggregates: {files} of {files + 1} parts from the cache" in repr(more)
    assert same(more, source.run(cache=None))
    assert source.seen() == 100 * files + 100


def test_removed_changed_and_renamed_files(source):
    source.write(*range(10))
    source.run()
    assert source.seen() == 1_000
    (source.files / "003.parquet").unlink()
    assert same(found := source.run(), source.run(cache=False))
    assert (found.cache.reused, source.seen()) == (9, 900)
    pq.write_table(table(77), source.files / "004.parquet")
    assert source.run().cache.reused == 8
    assert source.seen() == 100
    (source.files / "004.parquet").rename(source.files / "zzz.parquet")
    shutil.copy(source.files / "005.parquet", source.files / "000-copy.parquet")
    found = source.run()
    assert (found.cache.parts, found.cache.reused, source.seen()) == (10, 10, 0)
    assert same(found, source.run(cache=None))


FORMATS = {
    "parquet": (ParquetReader, pq.write_table, {}),
    "arrow": (ArrowReader, write_arrow, {}),
    "csv": (CsvReader, pa.csv.write_csv, {"features": FEATURES}),
    "jsonl": (JsonReader, lambda rows, path: path.write_text(as_lines(rows)), {"features": FEATURES}),
    "jsonl.gz": (
        JsonReader,
        lambda rows, path: path.write_bytes(gzip.compress(as_lines(rows).encode())),
        {"features": FEATURES},
    ),
}


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format(source, suffix):
    reader, write, options = FORMATS[suffix]
    for number in range(6):
        write(table(number), source.files / f"{number}.{suffix}")
    first = source.run(reader(source.files, **options))
    parts = first.cache.parts
    assert (first.cache.reused, source.seen()) == (0, 600)
    write(table(6), source.files / f"6.{suffix}")
    more = source.run(reader(source.files, **options))
    assert (more.cache.reused, source.seen()) == (parts, 100)
    assert same(more, source.run(reader(source.files, **options), cache=None))


def test_lines_and_whole_files_of_text(source):
    for number in range(6):
        (source.files / f"{number}.txt").write_text(f"file {number}\nend\n")

    def run(whole, cache=True, names=False):
        def asked(src):
            longest = {"longest": Max().call(src.text.length()), "n": Count().call(src.text)}
            return longest | ({"last": Last().call(src.path)} if names else {})

        return source.run(TextReader(source.files, whole=whole), cache=cache, aggregators=asked)

    assert run(whole=True).aggregates == {"longest": 11, "n": 6}
    assert run(whole=False).aggregates == {"longest": 6, "n": 12}
    (source.files / "0.txt").rename(source.files / "9.txt")
    assert run(whole=True).cache.reused == 6
    assert run(whole=True, names=True).cache.reused == 0
    assert run(whole=True, names=True).cache.reused == 6
    (source.files / "9.txt").rename(source.files / "8.txt")
    found = run(whole=True, names=True)
    assert (found.cache.reused, found.aggregates["last"]) == (5, str(source.files / "8.txt"))


def test_columns_that_folders_tell_count_where_they_are_used(source):
    for group in "abc":
        (source.files / f"group={group}").mkdir()
        pq.write_table(table(1), source.files / f"group={group}" / "x.parquet")

    def run(uses_group, cache=True):
        return source.run(
            aggregators=lambda src: {
                "n": Count().call(src.x),
                **({"last": Last().call(src.group)} if uses_group else {}),
            },
            cache=cache,
        )

    assert run(uses_group=False).cache.parts == 3
    assert run(uses_group=True).cache.reused == 0
    (source.files / "group=c").rename(source.files / "group=d")
    assert run(uses_group=False).cache.reused == 3
    found = run(uses_group=True)
    assert (found.cache.reused, found.aggregates) == (2, {"n": 300, "last": "d"})


def test_one_part_of_a_large_file_is_a_part_of_its_own(source):
    pq.write_table(table(0, 10_000), source.files / "large.parquet", row_group_size=500)
    source.write(1)
    assert source.run().cache.parts > 10
    source.seen()
    source.write(2)
    assert source.run().cache.reused > 10
    assert source.seen() == 100


def test_rows_that_are_numbered_count_with_their_number(source):
    source.write(1, 2, 3)

    def run(cache=True):
        return source.run(
            cache=cache,
            aggregators=lambda src: {
                "n": Count().call(ops.sample(src, 0.5).x),
                "x": Sum().call(ops.sample(src, 0.5).x),
            },
        )

    assert run().cache.reused == 0
    assert run().cache.reused == 3
    source.write(2, rows=90)  # so that other numbers follow
    found = run()
    assert found.cache.reused == 1
    assert same(found, run(cache=None))


def test_the_origin_of_rows_counts_where_it_is_used(source):
    source.write(1, 2)

    def run(uses):
        return source.run(
            ParquetReader(source.files, origin="from"),
            aggregators=lambda src: {"first": First().call(src["from"].path if uses else src.k)},
        )

    assert [run(uses=True).cache.reused, run(uses=True).cache.reused, run(uses=False).cache.reused] == [
        0,
        2,
        0,
    ]
    (source.files / "001.parquet").rename(source.files / "000.parquet")
    assert run(uses=False).cache.reused == 2
    assert run(uses=True).aggregates == {"first": str(source.files / "000.parquet")}


def everything(src):
    """Aggregates of all kinds: commutative and not, sketches, of groups, of filtered and exploded rows."""
    x = src.x * 3
    some = ops.filter(src, src.x > 0)
    words = ops.explode(src.k.split("1"))
    return {
        "mean": Mean().call(x),
        "std": Std().call(x),
        "q": Quantiles(q=[0.1, 0.9]).call(x),
        "top": TopK(k=3).call(src.k),
        "first": First().call(src.k),
        "least": Min().call(some.x, where=src.k == "k1"),
        "words": Count().call(words),
        "groups": Count().call(ops.group_by({"k": src.k}).keys.k),
        "largest": Max().call(Mean().call(src.x, by=src.k)),
    }


class Changes(RuleBasedStateMachine):
    """Files come, go, change and are renamed, flows too: with the cache as without."""

    folder: Path

    @initialize()
    def begin(self) -> None:
        for path in self.folder.iterdir():
            shutil.rmtree(path)
        self.source = Source(self.folder)
        self.source.write(0)
        self.scale = 1.0
        self.next = 1

    @rule(rows=st.sampled_from([1, 30, 400]), copies=st.integers(1, 4))
    def add(self, rows: int, copies: int) -> None:
        for _ in range(copies):
            self.source.write(self.next, rows=rows)
            self.next += 1

    def pick(self, number: int) -> Path:
        files = sorted(self.source.files.iterdir())
        return files[number % len(files)]

    @rule(number=st.integers(0, 99), seed=st.integers(1_000, 1_010))
    def change(self, number: int, seed: int) -> None:
        path = self.pick(number)
        pq.write_table(table(seed, pq.read_metadata(path).num_rows), path)

    @rule(number=st.integers(0, 99), name=st.integers(0, 999))
    def rename(self, number: int, name: int) -> None:
        self.pick(number).rename(self.source.files / f"{name:03}.parquet")

    @rule(number=st.integers(0, 99))
    def remove(self, number: int) -> None:
        if len(list(self.source.files.iterdir())) > 1:
            self.pick(number).unlink()

    @rule(scale=st.sampled_from([1.0, 2.0, 0.1]))
    def configure(self, scale: float) -> None:
        self.scale = scale

    @invariant()
    def comes_out_the_same(self) -> None:
        def asked(src):
            return everything(src) | {"scaled": Sum().call(src.x * self.scale)}

        found = self.source.run(aggregators=asked)
        assert same(found, self.source.run(aggregators=asked, cache=None))
        again = self.source.run(aggregators=asked)
        assert same(found, again)
        assert again.cache.reused == again.cache.parts


def test_any_sequence_of_changes_gives_the_same_bits(tmp_path):
    Changes.folder = tmp_path
    run_state_machine_as_test(
        Changes,
        settings=settings(
            max_examples=3,
            stateful_step_count=5,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )


def test_files_of_one_size_and_time_but_other_bytes(source):
    source.write(1, 2)
    path = source.files / "001.parquet"
    source.run()
    before = path.stat()
    rows = pq.read_table(path)
    turned = rows.set_column(0, "x", pa.array(rows["x"].to_numpy()[::-1]))
    pq.write_table(turned, path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    found = source.run(aggregators=lambda src: {"first": First().call(src.x)})
    assert found.aggregates == {"first": turned["x"][0].as_py()}
    assert same(source.run(), source.run(cache=None))


OWN_READER = """
from hyped_beam.io.readers.json import JsonReader
class OwnReader(JsonReader):
    suffixes = (".rows",)
    def read_piece(self, piece, wanted, condition):
        open(piece.path).close()
        for row, batch in super().read_piece(piece, wanted, condition):
            yield row, batch.slice(1)
"""


def test_a_format_of_ones_own_counts_with_its_code(source):
    def run(script, cache=True):
        module = ModuleType("__main__")
        exec(script, module.__dict__)  # noqa: S102
        reader = module.OwnReader(source.files, features=FEATURES)
        return source.run(reader, cache=cache, aggregators=lambda src: {"sum": Sum().call(src.x)})

    for number in range(3):
        (source.files / f"{number}.rows").write_text(as_lines(table(number)))
    assert (run(OWN_READER).cache.refused, run(OWN_READER).cache.reused) == (None, 3)
    changed = OWN_READER.replace("slice(1)", "slice(2)")
    assert run(changed).cache.reused == 0
    assert same(run(changed), run(changed, cache=None))
    (source.files / "0.rows").rename(source.files / "5.rows")
    assert run(OWN_READER).cache.reused == 3
