"""The cache of aggregates: what has not changed is not read again, and nothing comes out otherwise for it."""

from __future__ import annotations

import gzip
import json
import logging
import os
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from hyped_beam import DataFlow, Processor, ops, processor
from hyped_beam.aggregators import Count, First, Last, Max, Mean, Min, Quantiles, Std, Sum, TopK
from hyped_beam.compile.__main__ import main
from hyped_beam.errors import DefinitionError, DefinitionTypeError, InputError
from hyped_beam.io import contents, entries
from hyped_beam.io.readers.arrow import ArrowReader
from hyped_beam.io.readers.csv import CsvReader
from hyped_beam.io.readers.json import JsonReader
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.readers.text import TextReader
from hyped_beam.io.writers.json import JsonDatasetWriter
from hyped_beam.types.patterns import Float64Column

FEATURES = {"x": "float64", "k": "string"}


def table(seed: int, rows: int = 100) -> pa.Table:
    values = np.random.default_rng(seed).normal(size=rows)
    return pa.table({"x": values, "k": [f"k{int(value * 10) % 4}" for value in values]})


def write_arrow(rows: pa.Table, path: Path) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, rows.schema) as writer:
        writer.write_table(rows)


def as_lines(rows: pa.Table) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows.to_pylist())


class Noted(Processor):
    """Says in a file how many rows it saw."""

    path: str

    def fingerprint(self) -> str:
        return "what it writes does not matter"

    def process(self, x: Float64Column) -> Float64Column:
        with Path(self.path).open("a") as file:
            file.write(f"{len(x)}\n")
        return x


class Source:
    """A folder of files, and how many rows of it nodes have seen."""

    def __init__(self, folder: Path) -> None:
        self.files = folder / "in"
        self.files.mkdir()
        self.notes = folder / "notes"
        self.cache = folder / "cache"

    def write(self, *numbers: int, rows: int = 100) -> None:
        for number in numbers:
            pq.write_table(table(number, rows), self.files / f"{number:03}.parquet")

    def seen(self) -> int:
        rows = sum(map(int, self.notes.read_text().split())) if self.notes.exists() else 0
        self.notes.unlink(missing_ok=True)
        return rows

    def run(self, reader: Any = None, *, cache: Any = True, aggregators: Any = None, **options: Any) -> Any:
        reader = reader or ParquetReader(self.files)
        flow = DataFlow(features=reader)
        src = flow.src_features
        if aggregators is None:
            x = Noted(path=str(self.notes)).call(src.x) * 3
            asked = {"mean": Mean().call(x), "std": Std().call(x), "last": Last().call(src.k)}
        else:
            asked = aggregators(src)
        job = flow.job(source=reader).aggregate(asked)
        return job.run(cache=str(self.cache) if cache is True else cache, **options)


@pytest.fixture
def source(tmp_path):
    return Source(tmp_path)


def bits(value: Any) -> Any:
    """Values in a form in which no two of different bits are equal."""
    if isinstance(value, dict):
        return {name: bits(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [bits(inner) for inner in value]
    return struct.pack("<d", value) if isinstance(value, float) else value


def same(one: Any, other: Any) -> bool:
    return bits(one.aggregates) == bits(other.aggregates) and one.rows_in == other.rows_in


# ---------------------------------------------------------------------------------------- files come and go


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
    assert (str(more.cache), source.seen()) == (f"{files} of {files + 1} parts from the cache", 100)
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


# ------------------------------------------------------------------------------------------------ programs


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


# ----------------------------------------------------------------------------------------------- the folder


def entry_files(source: Source) -> list[Path]:
    return sorted(source.cache.rglob(f"states-*/**/*{entries.SUFFIX}"))


@pytest.mark.parametrize("how", ["cut", "flipped", "empty", "other", "swapped", "folder", "unreadable form"])
def test_damaged_entries_are_not_used_and_replaced(source, how):
    source.write(1, 2, 3)
    first = source.run()
    files = entry_files(source)
    assert len(files) == 3
    source.seen()
    data = files[0].read_bytes()
    if how == "swapped":
        files[0].rename(files[0].with_suffix(".x"))
        files[1].rename(files[0])
        files[0].with_suffix(".x").rename(files[1])
    elif how == "folder":
        files[0].unlink()
        files[0].mkdir()
    elif how == "unreadable form":
        entry = entries.Entries(str(source.cache / "states-1"))
        key = data[len(entries.MAGIC) + 20 :].partition(b'{"batches"')[0].decode()
        assert entry.read(key) is not None
        entry.write(key, b'{"batches": 1, "rows_in": 1, "rows": 1}\nnothing of Arrow')
    else:
        flipped = bytes([*data[:-1], data[-1] ^ 1])
        files[0].write_bytes({"cut": data[:-5], "flipped": flipped, "empty": b"", "other": b"mine\n"}[how])
    second = source.run()
    damaged = 2 if how == "swapped" else 1
    assert same(first, second)
    assert (second.cache.reused, source.seen()) == (3 - damaged, 100 * damaged)
    if how != "folder":
        assert source.run().cache.reused == 3


def test_each_byte_of_an_entry_counts(source):
    source.write(1)
    first = source.run()
    (file,) = entry_files(source)
    data = file.read_bytes()
    entry = entries.Entries(str(source.cache / "states-1"))
    key = data[len(entries.MAGIC) + 20 :].partition(b'{"batches"')[0].decode()
    for place in range(0, len(data), 7):
        file.write_bytes(bytes([*data[:place], data[place] ^ 0x55, *data[place + 1 :]]))
        assert entry.read(key) is None, place
    file.write_bytes(data)
    assert entry.read(key) is not None
    assert same(first, source.run())


def test_two_programs_at_once_keep_what_a_third_uses(source, tmp_path):
    source.write(*range(8))
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        "from hyped_beam import DataFlow, ops\n"
        "from hyped_beam.aggregators import Max, Mean, Std\n"
        "flow = DataFlow(features={'x': 'float64', 'k': 'string'})\n"
        "src = flow.src_features\n"
        "some = ops.filter(src, src.k.is_in(['k1', 'k2', 'k3']))\n"
        "most = Max().call(Mean().call(some.x * 3, by=some.k))\n"
        "job = flow.job(source=sys.argv[1]).aggregate({'most': most, 'std': Std().call(some.x)})\n"
        "print(job.run(cache=sys.argv[2]).aggregates)\n"
    )
    command = [sys.executable, str(script), str(source.files), str(source.cache)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = {process.communicate()[0] for process in both}

    def asked(src):
        some = ops.filter(src, src.k.is_in(["k1", "k2", "k3"]))
        return {"most": Max().call(Mean().call(some.x * 3, by=some.k)), "std": Std().call(some.x)}

    third = source.run(aggregators=asked)
    assert told == {f"{third.aggregates}\n"}
    assert third.cache.reused == 8
    assert not [path for path in source.cache.rglob("*") if path.name.endswith(".tmp")]


def test_a_file_that_changes_between_being_told_and_being_read_leaves_no_entry(source, tmp_path, monkeypatch):
    source.write(1, 2)
    path, other = source.files / "002.parquet", tmp_path / "other.parquet"
    original = path.read_bytes()
    pq.write_table(table(99), other)
    real = ParquetReader.read_piece

    def replacing(reader, piece, *arguments):
        if piece.path == str(path) and other.exists():
            other.replace(path)
        return real(reader, piece, *arguments)

    monkeypatch.setattr(ParquetReader, "read_piece", replacing)
    source.run()
    assert not other.exists()
    path.write_bytes(original)
    found = source.run()
    assert (found.cache.reused, same(found, source.run(cache=None))) == (1, True)


def test_files_are_not_read_to_be_told_while_they_stay_as_they_are(source, monkeypatch):
    hashed = []
    real = contents.fingerprint_of
    monkeypatch.setattr(contents, "fingerprint_of", lambda uri: hashed.append(uri) or real(uri))
    monkeypatch.setattr(contents, "SETTLED_SECONDS", 0)
    source.write(*range(4))
    source.run()
    assert len(hashed) == 4
    source.run()
    assert len(hashed) == 4
    source.write(2)
    assert source.run().cache.reused == 4
    assert hashed[4:] == [str(source.files / "002.parquet")]
    for file in (source.cache / "files-1").iterdir():
        if file.is_file() and file.suffix == entries.SUFFIX:
            file.write_text(file.read_text().replace("xxh128:", "xxh128:0"))
    assert source.run().cache.reused == 4
    assert len(hashed) == 9


def test_files_that_were_changed_just_now_are_read_each_time(source, monkeypatch):
    hashed = []
    real = contents.fingerprint_of
    monkeypatch.setattr(contents, "fingerprint_of", lambda uri: hashed.append(uri) or real(uri))
    source.write(1)
    source.run()
    source.run()
    assert len(hashed) >= 2


def test_what_was_not_used_for_long_is_removed_and_nothing_else(source):
    source.write(1, 2)
    source.cache.mkdir()
    (source.cache / "mine.json").write_text("{}")
    (source.cache / f"mine{entries.SUFFIX}").write_text("mine")
    source.run()
    old = time.time() - 40 * 86_400
    first, second = entry_files(source)
    for path in (first, source.cache / "mine.json", source.cache / f"mine{entries.SUFFIX}"):
        os.utime(path, (old, old))
    os.utime(source.cache / "states-1" / "swept", (old, old))
    source.run()
    assert (source.cache / "mine.json").exists()
    assert (source.cache / f"mine{entries.SUFFIX}").exists()
    assert second.exists()
    assert source.run().cache.reused == 2


def test_the_folder_may_be_removed_at_any_time(source):
    source.write(1, 2)
    first = source.run()
    shutil.rmtree(source.cache)
    assert same(first, source.run())
    assert source.run().cache.reused == 2


# --------------------------------------------------------------------------------------------- what takes it


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
            f"aggregates: 0 of {parts} parts from the cache",
            f"aggregates: {parts} of {parts} parts from the cache",
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


def test_true_is_a_folder_in_the_cache_of_datasets(source):
    source.write(1)
    assert source.run(cache=None).cache is None
    flow = DataFlow(features=FEATURES)
    x = flow.src_features.x
    flow.fit(str(source.files), collect={"x": x - Mean().call(x)}, cache=True)
    assert (Path(datasets.config.HF_DATASETS_CACHE) / "hyped_beam" / "aggregates" / "states-1").is_dir()


@pytest.mark.parametrize(
    ("cache", "error", "message"),
    [
        (1, DefinitionTypeError, "cache= takes a folder, True or None, got 1"),
        ("", DefinitionTypeError, "cache= takes a folder"),
        ("s3://bucket/cache", DefinitionError, "cache= takes a folder of this machine"),
        ("in/cache", InputError, "lies in the input"),
        ("in/001.parquet", InputError, "lies in the input"),
        ("file.txt", InputError, "cannot be written to"),
    ],
)
def test_what_is_no_folder_of_its_own_is_refused(source, tmp_path, monkeypatch, cache, error, message):
    monkeypatch.chdir(tmp_path)
    source.write(1)
    (tmp_path / "file.txt").write_text("mine")
    with pytest.raises(error, match=message):
        source.run(cache=cache)
    assert (tmp_path / "file.txt").read_text() == "mine"


def test_a_cache_in_an_output_is_refused(source, tmp_path):
    source.write(1)
    reader = ParquetReader(source.files)
    flow = DataFlow(features=reader)
    x = flow.src_features.x
    job = flow.job(source=reader).write(
        collect={"x": x - Mean().call(x)}, to=JsonDatasetWriter(str(tmp_path / "out"))
    )
    with pytest.raises(InputError, match="lies in the output"):
        job.run(cache=tmp_path / "out" / "cache")
    assert not (tmp_path / "out").exists()


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


def test_the_command_line_takes_it_and_says_what_came_of_it(source, tmp_path, capsys):
    source.write(*range(3))
    script = tmp_path / "flow_of_this_test.py"
    script.write_text(
        "from hyped_beam import DataFlow\n"
        "from hyped_beam.aggregators import Mean\n"
        "flow = DataFlow(features={'x': 'float64', 'k': 'string'})\n"
        "mean = Mean().call(flow.src_features.x)\n"
        f"job = flow.job(source={str(source.files)!r}).aggregate({{'mean': mean}})\n"
    )
    command = [str(script), "--run", "--cache", str(source.cache)]
    assert main(command) == 0
    assert "\naggregates: 0 of 3 parts from the cache\n" in capsys.readouterr().out
    assert main([*command, "--json"]) == 0
    (done,) = [
        line for line in map(json.loads, capsys.readouterr().out.splitlines()) if line["event"] == "done"
    ]
    assert done["cache"] == {"parts": 3, "reused": 3, "refused": None}
