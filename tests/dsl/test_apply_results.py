"""Results of `apply` live as those of `datasets.map` do: found again, never stale, cleaned up."""

from __future__ import annotations

import datetime
import decimal
import errno
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest

from hyped_beam import DataFlow, Processor, Secret, env, ops, processor
from hyped_beam.aggregators import Count, Mean
from hyped_beam.errors import DefinitionError, InputError
from hyped_beam.io.readers.arrow import ArrowReader
from hyped_beam.io.readers.json import JsonReader
from hyped_beam.io.writers.arrow import ArrowDatasetWriter
from hyped_beam.types.patterns import Int64Column
from hyped_beam.types.scratch import PREFIX, ScratchFolder
from tests.dsl.applied_results import Times, applied, saved

DEADLINE = 60
FACTOR = 2


@pytest.fixture(autouse=True)
def caching() -> Iterator[None]:
    datasets.enable_caching()
    yield
    datasets.disable_caching()


@pytest.fixture
def ds(tmp_path: Path) -> datasets.Dataset:
    return saved(tmp_path / "ds")


def files(result: Any) -> list[tuple[str, int]]:
    """The files of a dataset, and when they were written."""
    return [(file["filename"], Path(file["filename"]).stat().st_mtime_ns) for file in result.cache_files]


# ------------------------------------------------------------------------------------- readers and writers


def rows_in(*paths: Any) -> int:
    reader = ArrowReader([str(path) for path in paths])
    return sum(
        batch.num_rows for part in reader.ranges() for batch in reader.read(part, list(reader.features))
    )


def test_readers_of_folders_leave_results_out(ds: datasets.Dataset, tmp_path: Path):
    result = applied(ds)
    ds.map(lambda row: {"n": row["n"] + 1})
    assert len(list((tmp_path / "ds").glob("cache-*"))) > len(result.cache_files)
    assert rows_in(tmp_path / "ds") == rows_in(tmp_path) == 100
    assert rows_in(*(name for name, _ in files(result))) == 100
    assert rows_in(tmp_path / "ds" / "cache-*_of_*.arrow") == 100
    for path in (tmp_path / "ds").glob("data-*"):
        path.unlink()
    with pytest.raises(InputError, match=r"holds only files of the cache of datasets.*\n.*name the files"):
        rows_in(tmp_path / "ds")


def test_readers_of_folders_leave_out_what_is_under_way(ds: datasets.Dataset, tmp_path: Path):
    with ScratchFolder(tmp_path / "ds") as staging:
        shutil.copy(ds.cache_files[0]["filename"], staging.path / "part-00000.arrow")
        assert rows_in(tmp_path / "ds") == 100


@pytest.mark.parametrize("by", [(), ("n",)])
def test_no_result_is_put_into_the_output_of_a_job(tmp_path: Path, monkeypatch, by: tuple[str, ...]):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    source = datasets.Dataset.from_dict({"n": [1] * 6, "m": range(6)})
    for overwrite in ("error", "resume", "replace"):
        flow = DataFlow(features=source.features)
        writer = ArrowDatasetWriter(tmp_path / "out", partition_by=by, overwrite=overwrite)
        flow.job(source=source).write(collect=flow.src_features, to=writer).run()
        part = datasets.Dataset.from_file(str(next((tmp_path / "out").rglob("part-*.arrow"))))
        apply_flow = DataFlow(features=part.features)
        first, again = (
            apply_flow.apply(part, collect={"m": apply_flow.src_features.m + 1})[0] for _ in range(2)
        )
        assert files(first) == files(again)
        assert {Path(name).parent for name, _ in files(first)} == {tmp_path / "cache" / "hyped_beam"}
        assert rows_in(tmp_path / "out") == 6


# ----------------------------------------------------------------------------------------------- messages


def one_line(error: pytest.ExceptionInfo[InputError]) -> str:
    text = str(error.value)
    assert len(text.splitlines()) <= 2  # the hint
    return text


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_folders_of_others_are_told_in_a_sentence(request: pytest.FixtureRequest):
    outer = Path(tempfile.mkdtemp(dir="/tmp"))  # which others may look into, unlike `tmp_path`
    request.addfinalizer(lambda: shutil.rmtree(outer))
    results, private = outer / "results", outer / "private"
    results.mkdir()
    private.mkdir(mode=0o700)
    (private / "x.jsonl").write_text('{"n": 1}\n')
    outer.chmod(0o755)
    in_memory = datasets.Dataset.from_dict({"n": [1, 2]})
    os.seteuid(65534)
    try:
        with pytest.raises(
            InputError, match=r"results' for results cannot be written to: Permission denied"
        ) as error:
            applied(in_memory, cache_dir=results)
        assert "cache_dir=PATH" in one_line(error)
        for path in (private / "x.jsonl", private, private / "*.jsonl"):
            with pytest.raises(InputError, match=r"may not be looked into|Permission denied") as error:
                _ = JsonReader(path).features
            one_line(error)
    finally:
        os.seteuid(0)


def test_a_full_disk_is_told_in_a_sentence(ds: datasets.Dataset, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError) as caught:
        applied(ds)
    assert "cannot be written to: No space left on device" in one_line(caught)
    assert "cache_dir=PATH" in one_line(caught)
    monkeypatch.undo()
    assert applied(ds)["m"][:] == [2 * n for n in range(100)]


NO_ROOM = """
    import resource, sys, tempfile
    import datasets
    from hyped_beam import DataFlow
    from hyped_beam.aggregators import Mean
    from hyped_beam.errors import FlowError
    what, folder, processes = sys.argv[1], sys.argv[2], int(sys.argv[3])
    rows = datasets.Dataset.from_dict({"n": range(500_000)})
    if what == "apply":
        rows.save_to_disk(f"{folder}/ds")
        rows = datasets.load_from_disk(f"{folder}/ds")
    flow = DataFlow(features=rows.features)
    n = flow.src_features.n
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))  # as if there were no more room
    try:
        if what == "apply":
            cache_dir = f"{folder}/results"
            flow.apply(rows, collect={"text": n.cast("string")}, num_proc=processes, cache_dir=cache_dir)
        else:
            flow.fit(rows, collect={"m": n - Mean().call(n)}, num_proc=processes)
    except FlowError as error:
        print(error)
"""


@pytest.mark.parametrize("what", ["apply", "copy"])
@pytest.mark.parametrize("processes", [1, 2])
def test_no_room_while_it_runs_is_told_with_the_folder_that_the_user_knows(tmp_path: Path, what, processes):
    (tmp_path / "tmp").mkdir()
    told = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(NO_ROOM), what, str(tmp_path), str(processes)],
        capture_output=True,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
        check=False,
    )
    if what == "apply":
        wanted = f"the folder {str(tmp_path / 'results')!r} for results cannot be written to: File too large"
        hint = "make room there, or give another one: cache_dir=PATH"
    else:
        wanted = f"temporary files cannot be written to {str(tmp_path / 'tmp')!r}: File too large"
        hint = "make room there, or name another folder in the environment variable TMPDIR"
    assert wanted in told.stdout, told.stdout + told.stderr
    assert hint in told.stdout
    assert "resume" not in told.stdout
    assert PREFIX not in told.stdout
    assert len(told.stdout.splitlines()) == 2


def test_a_path_that_no_file_can_have_is_told_in_a_sentence(tmp_path: Path):
    with pytest.raises(InputError, match="cannot be read: File name too long"):
        _ = JsonReader(tmp_path / ("x" * 300)).features


# -------------------------------------------------------------------------------------------- found again


def test_a_result_lies_beside_its_dataset_and_is_found_again(ds: datasets.Dataset, tmp_path: Path):
    first, again, other = applied(ds), applied(ds, num_proc=2), applied(ds, Times(factor=3))
    assert all(Path(name).parent == tmp_path / "ds" for name, _ in files(first))
    assert files(again) == files(first) != files(other)
    assert again._fingerprint == first._fingerprint != other._fingerprint
    assert (again["m"][:3], other["m"][:3]) == ([0, 2, 4], [0, 3, 6])
    assert not list((tmp_path / "ds").glob(f"{PREFIX}*"))


def test_another_process_finds_it(ds: datasets.Dataset, tmp_path: Path):
    program = f"""
        import datasets
        from hyped_beam import DataFlow, processor
        ds = datasets.load_from_disk({str(tmp_path / "ds")!r})
        flow = DataFlow(features=ds.features)
        @processor
        def less(n: int) -> int:
            return n - 1
        result, found = flow.apply(ds, collect={{"m": less.call(flow.src_features.n)}})
        print(files := [file["filename"] for file in result.cache_files], result["m"][:2])
    """
    told = [
        subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True
        )
        for _ in range(2)
    ]
    assert told[0].stdout == told[1].stdout
    assert told[0].stdout.endswith("[-1, 0]\n")
    assert len(list((tmp_path / "ds").glob("cache-*"))) == told[0].stdout.count("cache-")


@processor
def local_hour(n: int) -> int:
    """The hour of a point of time, where the process is."""
    return datetime.datetime.fromtimestamp(n).hour  # noqa: DTZ006 - the zone of the process is what is asked


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the time zone of a process cannot be set here")
@pytest.mark.parametrize("processes", [1, 2])
def test_another_time_zone_of_the_process_is_another_result(
    ds: datasets.Dataset, processes, request, monkeypatch
):
    def hours(zone: str) -> tuple[int, str]:
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        flow = DataFlow(features=ds.features)
        collect = {"hour": local_hour.call(flow.src_features.n)}
        result, _ = flow.apply(ds, collect=collect, num_proc=processes)
        return result["hour"][0], files(result)[0][0]

    request.addfinalizer(time.tzset)
    request.addfinalizer(monkeypatch.undo)
    (utc, first), (tokyo, second), (again, third) = hours("UTC"), hours("JST-9"), hours("UTC")
    assert (utc, tokyo, again) == (0, 9, 0)
    assert first == third != second


@processor
def share(n: int) -> str:
    """A quotient, with the digits that decimals have where it is computed."""
    return str(decimal.Decimal(n + 1) / decimal.Decimal(7))


def test_another_context_of_decimals_is_another_result(ds: datasets.Dataset):
    def shares(digits: int) -> str:
        flow = DataFlow(features=ds.features)
        with decimal.localcontext() as context:
            context.prec = digits
            result, _ = flow.apply(ds, collect={"share": share.call(flow.src_features.n)})
        return result["share"][0]

    found = [shares(digits) for digits in (28, 4, 28)]
    with decimal.localcontext(decimal.Context(prec=28)):
        assert found == [str(decimal.Decimal(ds["n"][0] + 1) / 7), found[1], found[0]]
    assert len(found[1].lstrip("0.")) <= 4


def test_aggregates_are_found_with_the_rows(ds: datasets.Dataset):
    def run() -> tuple[Any, Any]:
        flow = DataFlow(features=ds.features)
        n = flow.src_features.n
        asked = {"mean": Mean().call(n), "more": {"n": Count().call(n)}}
        return flow.apply(ds, collect={"above": n - Mean().call(n)}, aggregators=asked)

    (first, computed), (again, found) = run(), run()
    written = files(first)
    assert files(again) == written
    assert found == computed == {"mean": 49.5, "more": {"n": 100}}
    for path in Path(written[0][0]).parent.glob("cache-*_aggregates.arrow"):
        path.unlink()
    anew, computed = run()
    assert not set(files(anew)) & set(written)
    assert computed == found


def test_several_outputs_and_none_of_rows_are_found(ds: datasets.Dataset):
    def run() -> Any:
        flow = DataFlow(features=ds.features)
        return flow.apply(ds, collect=ops.split(flow.src_features, seed=1, a=0.5, b=0.5))[0]

    first, again = run(), run()
    assert {name: files(part) for name, part in first.items()} == {
        name: files(part) for name, part in again.items()
    }

    def nothing() -> Any:
        flow = DataFlow(features=ds.features)
        kept = ops.filter(flow.src_features, flow.src_features.n > 1000)
        return flow.apply(ds, collect={"n": kept.n})[0]

    empty, again = nothing(), nothing()
    assert (len(empty), empty.features) == (0, again.features)
    assert files(again) == files(empty) != []


def test_a_dict_of_splits_is_found(tmp_path: Path):
    splits = datasets.DatasetDict({"a": saved(tmp_path / "a"), "b": saved(tmp_path / "b", [1, 2, 3])})

    def run() -> Any:
        flow = DataFlow(features=splits["a"].features)
        n = flow.src_features.n
        return flow.apply(splits, collect={"above": n - Mean().call(n)}, fit_on="a")[0]

    first, again = run(), run()
    assert [files(again[name]) for name in "ab"] == [files(first[name]) for name in "ab"]
    assert again["b"]["above"][:] == [1 - 49.5, 2 - 49.5, 3 - 49.5]


def test_load_from_cache_file_and_disable_caching_are_those_of_datasets(ds: datasets.Dataset, tmp_path: Path):
    first = applied(ds)
    written = files(first)
    anew = applied(ds, load_from_cache_file=False)
    assert [name for name, _ in files(anew)] == [name for name, _ in written]
    assert not set(files(anew)) & set(written)
    assert first["m"][:] == anew["m"][:]
    datasets.disable_caching()
    apart, again = applied(ds), applied(ds)
    assert not {Path(name).parent for name, _ in files(apart)} & {tmp_path / "ds"}
    assert files(again) != files(apart)
    assert files(applied(ds, load_from_cache_file=True)) != files(again)


def test_a_folder_that_is_asked_for_is_used(ds: datasets.Dataset, tmp_path: Path):
    folder = tmp_path / "results"
    first, again = applied(ds, cache_dir=folder), applied(ds, cache_dir=str(folder))
    assert files(first) == files(again)
    assert {Path(name).parent for name, _ in files(first)} == {folder}
    in_memory = datasets.Dataset.from_dict({"n": [1, 2]})
    assert files(applied(in_memory, cache_dir=folder)) == files(applied(in_memory, cache_dir=folder))
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be made"):
        applied(ds, cache_dir=tmp_path / "file" / "inner")
    with pytest.raises(DefinitionError, match="load_from_cache_file= does nothing for an iterable"):
        applied(ds.to_iterable_dataset(), load_from_cache_file=True)


def test_cleanup_cache_files_removes_results(ds: datasets.Dataset, tmp_path: Path):
    flow = DataFlow(features=ds.features)
    n = flow.src_features.n
    applied(ds, Times(factor=5))
    result, _ = flow.apply(ds, collect={"n": n + 1}, aggregators={"mean": Mean().call(n)})
    result.cleanup_cache_files()
    assert {path.name for path in (tmp_path / "ds").glob("cache-*")} == {
        Path(name).name for name, _ in files(result)
    }
    assert ds.cleanup_cache_files() == len(result.cache_files)
    assert not list((tmp_path / "ds").glob("cache-*"))
    assert result["n"][:3] == [1, 2, 3]  # what is mapped stays


def test_maps_over_a_result_are_found_as_well(ds: datasets.Dataset):
    first = applied(ds).map(lambda row: {"m": row["m"] + 1})
    again = applied(ds).map(lambda row: {"m": row["m"] + 1})
    assert files(first) == files(again)


# --------------------------------------------------------------------------------------------- never stale


def with_closure(number: int) -> Any:
    @processor
    def plus(n: int) -> int:
        return n + number

    return plus


@processor
def by_global(n: int) -> int:
    return n * FACTOR


def one_body() -> Any:
    class Node(Processor):
        def process_row(self, n: int) -> int:
            return n + 1

    return Node()


def another_body() -> Any:
    class Node(Processor):
        def process_row(self, n: int) -> int:
            return n - 1

    Node.__qualname__ = one_body().__class__.__qualname__
    return Node()


class Sizes(Processor):
    def process(self, n: Int64Column) -> Int64Column:
        return [len(n)] * len(n)


class Keyed(Processor):
    key: Secret[str]

    def process_row(self, n: int) -> int:
        return n + int(self.key)


def change_global(value: int) -> Any:
    globals()["FACTOR"] = value
    return by_global


def change_variable(value: str) -> Any:
    os.environ["HYPED_BEAM_TEST_KEY"] = value
    return Keyed(key=env("HYPED_BEAM_TEST_KEY"))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (one_body, another_body, [-1, 0, 1]),
        (lambda: Times(factor=2), lambda: Times(factor=3), [0, 3, 6]),
        (lambda: with_closure(1), lambda: with_closure(2), [2, 3, 4]),
        (lambda: change_global(2), lambda: change_global(4), [0, 4, 8]),
        (lambda: change_variable("1"), lambda: change_variable("7"), [7, 8, 9]),
        (lambda: Sizes().options(batch_size=10), lambda: Sizes().options(batch_size=20), [20, 20, 20]),
    ],
    ids=["code", "configuration", "closure", "global", "environment", "batch size"],
)
def test_what_has_changed_is_computed_anew(ds, before: Callable[[], Any], after: Callable[[], Any], expected):
    first = applied(ds, before())
    assert files(applied(ds, before())) == files(first)
    changed = applied(ds, after())
    assert changed["m"][:3] == expected
    assert not set(files(changed)) & set(files(first))
    assert files(applied(ds, before())) == files(first)


def test_other_data_is_computed_anew(ds: datasets.Dataset, tmp_path: Path):
    first = applied(ds)
    for other, expected in (
        (ds.select(range(5, 9)), [10, 12, 14]),
        (ds.sort("n", reverse=True), [198, 196, 194]),
        (saved(tmp_path / "other", [7, 8, 9]), [14, 16, 18]),
    ):
        assert applied(other)["m"][:3] == expected
    where = Path(ds.cache_files[0]["filename"])
    there = where.stat()
    in_place = bytearray(where.read_bytes())
    at = in_place.index((98).to_bytes(8, "little") + (99).to_bytes(8, "little"))
    in_place[at : at + 8] = (77).to_bytes(8, "little")
    where.write_bytes(in_place)
    os.utime(where, ns=(there.st_atime_ns, there.st_mtime_ns))
    again = datasets.load_from_disk(tmp_path / "ds")
    assert again._fingerprint == ds._fingerprint  # `datasets` itself does not see it
    assert applied(again)["m"][98] == 154
    assert first["m"][98] == 196


def test_the_order_of_columns_is_that_of_the_dataset(ds: datasets.Dataset):
    def run(data: datasets.Dataset) -> datasets.Dataset:
        flow = DataFlow(features=data.features)
        return flow.apply(data, collect=flow.src_features)[0]

    assert run(ds).column_names == ["n", "text"]
    assert run(ds.select_columns(["text", "n"])).column_names == ["text", "n"]


def test_what_may_give_something_else_each_time_is_computed_each_time(ds: datasets.Dataset):
    class Once(Times):
        repeatable = False

    @processor
    def now(n: int) -> int:
        return int(time.time()) * 0 + n

    for node in (Once(), now):
        first, again = applied(ds, node), applied(ds, node)
        assert not set(files(first)) & set(files(again))
        assert first["m"][:] == again["m"][:]
    assert ds.cleanup_cache_files() == 4 * len(first.cache_files)


def test_what_is_there_in_part_is_computed_anew(ds: datasets.Dataset):
    first = applied(ds)
    written = files(first)
    assert len(written) > 1
    Path(written[-1][0]).unlink()
    again = applied(ds)
    assert again["m"][:] == first["m"][:]
    assert not set(files(again)) & set(written)
    for name, _ in files(again):
        Path(name).write_bytes(b"")
    assert applied(ds)["m"][:] == first["m"][:]


def cut_at_a_batch(path: Path) -> None:
    """Leave a valid stream of one batch less, as a disk may that lost the end of a file."""
    with pa.ipc.open_stream(path.read_bytes()) as stream:
        batches = list(stream)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, batches[0].schema) as stream:
        for batch in batches[:-1]:
            stream.write_batch(batch)


def zero_the_tail(path: Path) -> None:
    size = path.stat().st_size
    os.truncate(path, size // 2)
    os.truncate(path, size)


@pytest.mark.parametrize("damage", [cut_at_a_batch, zero_the_tail])
def test_a_cut_or_zeroed_file_is_computed_anew(ds, damage: Callable[[Path], None]):
    def run() -> tuple[Any, Any]:
        flow = DataFlow(features=ds.features)
        n = flow.src_features.n
        return flow.apply(ds, collect={"m": n + 1}, aggregators={"mean": Mean().call(n)})

    first, computed = run()
    expected = first["m"][:]
    written = files(first)
    assert files(run()[0]) == written
    for path in [*(name for name, _ in written), *map(str, Path(written[0][0]).parent.glob("*_aggregates*"))]:
        damage(Path(path))
        again, found = run()
        assert (again["m"][:], found) == (expected, computed)
        assert files(run()[0]) == files(again)


def test_a_result_whose_files_another_process_removes_at_once_is_whole(ds, tmp_path: Path):
    def remove(event: str, arguments: tuple[Any, ...]) -> None:
        if is_on and event == "os.rename" and str(arguments[1]).startswith(str(tmp_path / "ds" / "cache-")):
            ds.cleanup_cache_files()

    is_on = True
    sys.addaudithook(remove)  # as a process that does nothing else, at the worst of moments
    try:
        for _ in range(2):
            assert applied(ds)["m"][:] == [2 * n for n in range(100)]
    finally:
        is_on = False
