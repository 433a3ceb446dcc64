"""Jobs that are killed without a word, again and again, end in what an undisturbed one makes."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROWS = 1_600
OUTPUTS = 3
SECONDS = 600
"""How long a condition is waited for at most."""


class Program:
    """The program that runs the job.

    Args:
        source: The file that is read.
    """

    def __init__(self, source: Path) -> None:
        self.mark = uuid.uuid4().hex
        program = Path(__file__).with_name("killed_job.py")
        self.process = subprocess.Popen(
            [sys.executable, str(program), str(source)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(program.parents[2]), "TEST_MARK": self.mark},
        )

    def start(self, num_proc: int, folder: Path, runner: str = "direct") -> int:
        """Start the job; the number of its process."""
        self.process.stdin.write(f"{runner} {num_proc} {folder}\n")
        self.process.stdin.flush()
        return self._next("begun")

    def status(self) -> int:
        """How it ended, once it has."""
        return self._next("ended")

    def _next(self, what: str) -> int:
        """The next number that the program tells: a status that is taken for a process would be killed."""
        told, number = self.process.stdout.readline().split()
        assert told == what
        return int(number)

    def children(self) -> list[int]:
        """All processes that come of this program, but itself."""
        mark = f"TEST_MARK={self.mark}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != self.process.pid:
                try:
                    if mark in (entry / "environ").read_bytes():
                        found.append(int(entry.name))
                except OSError:  # it has ended since
                    continue
        return found


def paths(folder, pattern):
    """What matches a pattern, while jobs remove folders that are looked into."""
    while True:
        with contextlib.suppress(FileNotFoundError):
            return set(folder.glob(pattern))


def ranges_done(folder):
    return len(paths(folder, "numbers/__hyped_beam__/ranges/*/*.json"))


def files_begun(folder):
    """The files that are being written, or were when the job was killed."""
    return paths(folder, "*/__hyped_beam__/staged/*/*")


def is_finished(folder):
    return len(paths(folder, "*/__hyped_beam__/manifest.json")) == OUTPUTS


def wait_for(condition):
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("killed") / "in.parquet"
    groups = ["ham", "spam", None, "a/b"]
    table = pa.table(
        {
            "n": range(ROWS),
            "group": [groups[row * 7 % 4] for row in range(ROWS)],
            "text": [f"row {row}" for row in range(ROWS)],
        }
    )
    pq.write_table(table, path, row_group_size=64)
    return path


@pytest.fixture(scope="module")
def program(source):
    """Run the job as often as a test likes."""
    begun = Program(source)
    yield begun
    begun.process.stdin.close()
    begun.process.wait()
    begun.process.stdout.close()


@pytest.fixture(scope="module")
def undisturbed(program, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "out"
    program.start(1, folder)
    assert program.status() == 0
    return contents(folder)


def contents(folder):
    """The files, without what says how many jobs it took."""
    return {
        re.sub(r"/ranges/\d+/", "/ranges/", str(path.relative_to(folder))): re.sub(
            rb'"generation": \d+', b"", path.read_bytes()
        )
        for path in folder.rglob("*")
        if path.is_file()
    }


def wait_for_a_moment(folder, random):
    """Wait until the job has begun, or has done another range, or is about to commit one."""
    done, begun = ranges_done(folder), files_begun(folder)
    moment = random.choice(["soon", "after a range", "in a commit", "in a commit"])
    if moment == "after a range":
        wait_for(lambda: ranges_done(folder) > done or is_finished(folder))
    elif moment == "in a commit":
        wait_for(lambda: files_begun(folder) - begun or is_finished(folder))
        return
    time.sleep(random.uniform(0, 0.2))


@pytest.mark.parametrize(
    ("runner", "num_proc", "kills", "seed"),
    [
        ("direct", 1, 20, 0),
        ("direct", 2, 6, 1),
        pytest.param("prism", 1, 5, 2, marks=pytest.mark.needs("prism")),
    ],
)
def test_a_job_killed_at_random_moments_and_resumed_ends_as_if_undisturbed(
    runner, num_proc, kills, seed, undisturbed, program, tmp_path
):
    random = Random(seed)  # noqa: S311 - a seed, no secret
    folder = tmp_path / "out"
    done: list[int] = []
    halves = 0
    # a worker goes on for a moment when its parent is killed, and may finish what it writes
    may_finish = num_proc > 1 or runner == "prism"

    def struck() -> bool:
        return len(set(done)) > 2 and (halves > 0 or may_finish)

    while len(done) < kills or (not struck() and len(done) < 5 * kills):
        process = program.start(num_proc, folder, runner)
        wait_for_a_moment(folder, random)
        with contextlib.suppress(ProcessLookupError):  # it came to its end
            os.kill(process, signal.SIGKILL)
        if program.status() == -signal.SIGKILL:
            done.append(ranges_done(folder))
            halves += bool(files_begun(folder))
    assert struck()  # in the middle, and while it wrote
    program.start(num_proc, folder, runner)
    assert program.status() == 0
    assert contents(folder) == undisturbed
    wait_for(lambda: not program.children())
