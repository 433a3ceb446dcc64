"""Processes that apply a flow: two at once, killed ones, and what they leave of datasets in memory."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import datasets
import pytest

from hyped_beam.types.scratch import PREFIX
from tests.dsl.applied_results import applied, saved

DEADLINE = 600


@pytest.fixture
def ds(tmp_path: Path) -> datasets.Dataset:
    return saved(tmp_path / "ds")


APPLY = """
import sys, time
from pathlib import Path
import datasets
from hyped_beam import DataFlow, Processor

class Held(Processor):
    folder: str
    def fingerprint(self):
        return "plus one"
    def process_row(self, n: int) -> int:
        folder = Path(self.folder)
        if n == 99 and not (folder / "go").exists():
            (folder / f"begun-{sys.argv[1]}").touch()
            while not (folder / "go").exists():
                time.sleep(0.005)
        return n + 1

if __name__ == "__main__":
    ds = datasets.load_from_disk("ds")
    flow = DataFlow(features=ds.features)
    result, _ = flow.apply(ds, collect={"m": Held(folder=".").call(flow.src_features.n)})
    assert result["m"][:] == list(range(1, 101))
    print([file["filename"] for file in result.cache_files])
"""


def start(folder: Path, name: str, program: str = APPLY) -> subprocess.Popen[str]:
    """A program in the middle of its work, with a folder of its own for temporary files."""
    (folder / "tmp").mkdir(exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-c", program, name],
        cwd=folder,
        env=os.environ | {"TMPDIR": str(folder / "tmp")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + DEADLINE
    while not (folder / f"begun-{name}").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process


def test_two_processes_at_once_make_the_same_files(ds: datasets.Dataset, tmp_path: Path):
    both = [start(tmp_path, name) for name in "ab"]
    (tmp_path / "go").touch()
    told = [process.communicate(timeout=DEADLINE) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert told[0][0] == told[1][0]
    assert not list((tmp_path / "ds").glob(f"{PREFIX}*"))
    assert not list((tmp_path / "tmp").iterdir())


@pytest.mark.parametrize("ended_by", [signal.SIGKILL, signal.SIGTERM])
def test_what_a_killed_process_began_is_not_taken_for_done_and_removed(ds, tmp_path: Path, ended_by: int):
    killed = start(tmp_path, "a")
    killed.send_signal(ended_by)
    killed.communicate(timeout=DEADLINE)
    assert killed.returncode == -ended_by
    left = [*(tmp_path / "ds").glob(f"{PREFIX}*"), *(tmp_path / "tmp").iterdir()]
    assert bool(left) == (ended_by == signal.SIGKILL)
    assert not list((tmp_path / "ds").glob("cache-*"))
    (tmp_path / "go").touch()
    done = subprocess.run(
        [sys.executable, "-c", APPLY, "b"],
        cwd=tmp_path,
        env=os.environ | {"TMPDIR": str(tmp_path / "tmp")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "cache-" in done.stdout
    assert not [*(tmp_path / "ds").glob(f"{PREFIX}*"), *(tmp_path / "tmp").iterdir()]


SPOOLS = """
import sys, time
from pathlib import Path
import datasets
from hyped_beam import DataFlow, processor
from hyped_beam.aggregators import Mean

@processor
def held(n: int) -> int:
    while n == 99:
        Path("begun-a").touch()
        time.sleep(0.005)
    return n

ds = datasets.Dataset.from_dict({"n": list(range(100))})
flow = DataFlow(features=ds.features)
n = held.call(flow.src_features.n)
DO
"""


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize(
    "does", ["flow.apply(ds, {'n': n}, num_proc=P)", "flow.fit(ds, {'n': n - Mean().call(n)}, num_proc=P)"]
)
def test_sigterm_leaves_no_copy_of_a_dataset_in_memory(tmp_path: Path, does: str, processes: int):
    process = start(tmp_path, "a", SPOOLS.replace("DO", does.replace("P", str(processes))))
    assert list((tmp_path / "tmp").glob(f"{PREFIX}*/rows.arrow"))
    process.terminate()
    process.communicate(timeout=DEADLINE)
    assert process.returncode == -signal.SIGTERM
    assert not list((tmp_path / "tmp").iterdir())


# ---------------------------------------------------------------------------------------- datasets in memory


def test_the_results_of_datasets_in_memory_end_with_the_process(tmp_path: Path):
    program = """
import datasets
from hyped_beam import DataFlow
ds = datasets.Dataset.from_dict({"n": [1, 2, 3]})
flow = DataFlow(features=ds.features)
first, _ = flow.apply(ds, collect={"n": flow.src_features.n + 1})
again, _ = flow.apply(first, collect={"n": flow.src_features.n + 1})
print(first["n"][:], again["n"][:], len(first.cache_files), len(again.cache_files))
"""
    cache = tmp_path / "cache"
    (tmp_path / "tmp").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"TMPDIR": str(tmp_path / "tmp"), "HF_DATASETS_CACHE": str(cache)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[2, 3, 4] [3, 4, 5] 1 1\n"
    assert not list((tmp_path / "tmp").iterdir())
    assert not list(cache.rglob("*.arrow"))


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
def test_no_copy_of_a_dataset_in_memory_stays_open():
    def deleted() -> list[str]:
        lines = Path("/proc/self/maps").read_text().splitlines()
        return [line for line in lines if "(deleted)" in line and PREFIX in line]

    gc.collect()
    before = deleted()
    for number in range(3):
        applied(datasets.Dataset.from_dict({"n": list(range(number, number + 1000))}))
    gc.collect()
    assert set(deleted()) <= set(before)
