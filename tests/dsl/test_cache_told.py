"""What is said of the cache of aggregates: in the plan, while a job runs, and of what it has made."""

from __future__ import annotations

import io
import itertools
import json

import pytest

from hyped_beam import DataFlow, Processor, ops
from hyped_beam.aggregators import Count, Mean, Std
from hyped_beam.compile.__main__ import main
from hyped_beam.compile.console import TextConsole
from hyped_beam.io.readers.first import FirstRows
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.json import JsonDatasetWriter
from hyped_beam.types.patterns import Float64Column
from tests.dsl.cached_runs import FEATURES


class Drawn(Processor):
    """Of which nobody knows what it gives."""

    repeatable = False

    def process(self, x: Float64Column) -> Float64Column:
        return x


def scans(text: str) -> list[str]:
    """The heads of the scans of a plan, and what is said of the cache below them."""
    lines = text.splitlines()
    return [below.strip() for head, below in itertools.pairwise(lines) if head.startswith("scan")]


TAKEN = "cached: parts whose states are in the cache are not read, the states of others are kept"


def test_the_plan_says_of_each_scan_what_a_cache_does():
    flow = DataFlow(features=FEATURES)
    src = flow.src_features
    mean, std = Mean().call(src.x), Std().call(src.x)
    assert scans(flow.explain(aggregators={"mean": mean}, cache=True)) == [TAKEN]
    asked = {"collect": {"z": (src.x - mean) / std}, "aggregators": {"n": Count().call(src.x - mean)}}
    assert scans(flow.explain(**asked, cache="folder")) == [
        TAKEN,
        "cached: states are kept for later runs; all parts are read, for the scan writes rows",
    ]
    assert "cached" not in flow.explain(**asked)
    assert flow.explain(**asked, cache=False) == flow.explain(**asked)


def test_the_plan_says_why_nothing_is_kept(source):
    source.write(1)
    reader = ParquetReader(source.files)
    flow = DataFlow(features=reader)
    drawn = Drawn().call(flow.src_features.x)
    job = flow.job(source=reader).aggregate({"mean": Mean().call(drawn)})
    assert scans(job.explain(cache=source.cache)) == ["not cached: drawn is not repeatable"]
    first = flow.job(source=FirstRows(reader, 5)).aggregate({"n": Count().call(flow.src_features.x)})
    assert scans(first.explain(cache=source.cache)) == [
        "not cached: only the first rows of the source are read"
    ]
    assert not source.cache.exists()


def test_each_scan_says_how_much_of_it_was_read(source, tmp_path):
    source.write(*range(4))
    reader = ParquetReader(source.files)

    def run(name):
        flow = DataFlow(features=reader)
        src = flow.src_features
        off = src.x - Mean().call(src.x)
        some = ops.filter(src, src.x > 0)
        job = flow.job(source=reader).write(collect={"off": off}, to=JsonDatasetWriter(tmp_path / name))
        return job.aggregate({"std": Std().call(off), "some": Count().call(some.x)}).run(cache=source.cache)

    run("one")
    source.write(4)
    found = run("two").cache
    assert (found.parts, found.reused, found.read, found.refused) == (10, 4, 6, None)
    assert str(found) == (
        "scan 1: 4 of 5 parts from the cache, 1 read; "
        "scan 2: 0 of 5 parts from the cache, 5 read, for the scan writes rows"
    )


def test_scans_that_are_not_kept_are_told_beside_those_that_are(source):
    source.write(1, 2)

    def asked(src):
        return {"most": Mean().call(Drawn().call(src.x) - Mean().call(src.x))}

    found = [source.run(aggregators=asked) for _ in range(2)][1].cache
    assert [(scan.scan, scan.parts, scan.reused, scan.refused) for scan in found.scans] == [
        (1, 2, 2, None),
        (2, 0, 0, "drawn is not repeatable"),
    ]
    assert (found.refused, str(found.scans[1])) == ("drawn is not repeatable", "nothing from the cache")


def test_a_job_without_aggregates_says_so(source, tmp_path):
    source.write(1)
    flow = DataFlow(features=FEATURES)
    to = JsonDatasetWriter(tmp_path / "out")
    job = flow.job(source=str(source.files)).write(collect={"x": flow.src_features.x}, to=to)
    assert str(job.run(cache=source.cache).cache) == "nothing is aggregated"


@pytest.mark.parametrize("num_proc", [1, 2])
def test_progress_tells_rows_from_the_cache_from_those_that_are_read(source, num_proc):
    source.write(*range(5))
    seen = []
    source.run(progress=seen.append)
    assert (seen[-1].rows, seen[-1].cached_rows) == (500, 0)
    source.write(5)
    source.run(progress=seen.append, num_proc=num_proc)
    assert (seen[-1].rows, seen[-1].cached_rows, seen[-1].share) == (600, 500, 1)
    printed = io.StringIO()
    console = TextConsole(printed, printed)
    console.progress(seen[0])
    console.progress(seen[-1])
    assert " ranges, 600 rows (500 from the cache), " in printed.getvalue()


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
    assert "\naggregates: 0 of 3 parts from the cache, 3 read\n" in capsys.readouterr().out
    assert main([*command, "--json"]) == 0
    (done,) = [
        line for line in map(json.loads, capsys.readouterr().out.splitlines()) if line["event"] == "done"
    ]
    scan = {"scan": 1, "parts": 3, "reused": 3, "reads_all": None, "refused": None}
    assert done["cache"] == {"parts": 3, "reused": 3, "read": 0, "refused": None, "scans": [scan]}
    assert main([str(script), "--cache", str(source.cache)]) == 0
    assert "\n  cached: parts whose states are in the cache" in capsys.readouterr().out
