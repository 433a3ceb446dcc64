"""The process pool: jobs travel, results come back, what dies is said and replaced."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hyped_beam.errors import InputError, JobError, NodeError
from hyped_beam.execute.pool import ProcessPool, shared_pool


class Square:
    """A job of this module, which its workers do not import: it travels with its code."""

    def __init__(self, folder: str | None = None) -> None:
        self.folder = folder

    def open(self) -> Square:
        if self.folder:
            Path(self.folder, f"open-{os.getpid()}").touch()
        return self

    def run(self, task: Any) -> Any:
        if task == "fail":
            raise NodeError(node="n", cause="ValueError: bad", site=None, row=7)
        if task == "odd error":
            raise ZeroDivisionError(task)
        if task == "lock":
            return threading.Lock()
        if task == "modules":
            return sorted(set(sys.modules) & {"apache_beam", "datasets", "torch"})
        if task == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if task == "exit":
            os._exit(3)
        if task == "environment":
            return os.environ.get("HYPED_BEAM_TEST_VARIABLE")
        if task == "folder":
            return str(Path.cwd())
        if task == "pid":
            return os.getpid()
        return task * task

    def close(self) -> None:
        if self.folder:
            Path(self.folder, f"close-{os.getpid()}").touch()


class Unopenable(Square):
    def open(self) -> Square:
        raise InputError("there is no such file")


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPool]:
    pool = ProcessPool(2)
    yield pool
    pool.close()


def test_every_task_has_its_result(pool: ProcessPool):
    assert sorted(pool.run(Square(), range(100))) == sorted(n * n for n in range(100))
    assert list(pool.run(Square(), [])) == []


def test_workers_live_on_between_jobs_and_import_nothing_heavy(pool: ProcessPool):
    before = {worker.process.pid for worker in pool.workers}
    assert set(pool.run(Square(), ["pid"] * 20)) <= before
    assert list(pool.run(Square(), ["modules"])) == [[]]


def test_each_worker_opens_a_job_once_and_closes_it_for_the_next(pool: ProcessPool, tmp_path: Path):
    list(pool.run(Square(str(tmp_path)), range(50)))
    opened = {file.name for file in tmp_path.glob("open-*")}
    assert 1 <= len(opened) <= 2
    assert not list(tmp_path.glob("close-*"))
    list(pool.run(Square(), range(50)))
    list(pool.run(Square(), range(50)))
    assert {file.name.replace("close", "open") for file in tmp_path.glob("close-*")} <= opened


@pytest.mark.parametrize(
    ("task", "kind", "message"),
    [
        ("fail", NodeError, "node 'n' failed at row 7: ValueError: bad"),
        ("odd error", JobError, "ZeroDivisionError: odd error"),
        ("lock", JobError, "a result cannot be sent between processes"),
        (
            "die",
            JobError,
            "a worker process was ended by SIGKILL\n  hint: the system may have run out of memory",
        ),
        ("exit", JobError, "a worker process ended with status 3"),
    ],
)
def test_what_goes_wrong_is_raised_and_the_next_job_runs(
    pool: ProcessPool, task: str, kind: type, message: str
):
    with pytest.raises(kind, match=message):
        list(pool.run(Square(), [1, 2, task, 3]))
    assert sorted(pool.run(Square(), [1, 2, 3])) == [1, 4, 9]


def test_a_job_that_cannot_be_opened_says_why(pool: ProcessPool):
    with pytest.raises(InputError, match="there is no such file"):
        list(pool.run(Unopenable(), [1, 2, 3]))
    assert sorted(pool.run(Square(), [4])) == [16]


def test_a_worker_that_died_between_jobs_is_replaced(pool: ProcessPool):
    list(pool.run(Square(), [1]))
    gone = pool.workers[0].process
    gone.kill()
    gone.wait()
    assert sorted(pool.run(Square(), range(10))) == [n * n for n in range(10)]
    assert gone.pid not in {worker.process.pid for worker in pool.workers}


def test_results_that_nobody_takes_do_not_disturb_the_next_job(pool: ProcessPool):
    results = pool.run(Square(), range(1000))
    next(results)
    results.close()
    assert sorted(pool.run(Square(), [5, 6])) == [25, 36]


def test_jobs_of_several_threads_follow_one_another(pool: ProcessPool):
    made: dict[int, list[int]] = {}

    def job(number: int) -> None:
        made[number] = sorted(pool.run(Square(), [number] * 5))

    threads = [threading.Thread(target=job, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == {number: [number * number] * 5 for number in range(6)}


def test_the_shared_pool_stays_until_another_number_is_asked_for():
    first = shared_pool(1)
    (pid,) = list(first.run(Square(), ["pid"]))
    assert shared_pool(1) is first
    other = shared_pool(2)
    assert other is not first
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    other.close()


SCRIPT = """
import os, sys
from hyped_beam.execute.pool import shared_pool
class Job:
    def open(self): return self
    def run(self, task): return os.getpid(), __name__
    def close(self): pass
print(*next(shared_pool(1).run(Job(), [0])), flush=True)
if sys.argv[1:] == ["kill"]:
    os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("end", ["", "kill"])
def test_workers_end_with_their_parent_however_it_ends(tmp_path: Path, end: str):
    script = tmp_path / "main.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, str(script), *([end] if end else [])],
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
        env=environment,
    )
    assert done.returncode == (-9 if end else 0), done.stderr
    pid, name = done.stdout.split()
    assert name == "__main__"  # the class came without its script being run again
    deadline = time.monotonic() + 600
    while Path(f"/proc/{pid}/stat").exists() and Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z":
        assert time.monotonic() < deadline, "the worker lives on"
        threading.Event().wait(0.02)


def test_workers_have_the_environment_of_the_time_of_the_job(pool, monkeypatch):
    list(pool.run(Square(), [1]))
    pids = {worker.process.pid for worker in pool.workers}
    monkeypatch.setenv("HYPED_BEAM_TEST_VARIABLE", "now")
    assert list(pool.run(Square(), ["environment"])) == ["now"]
    monkeypatch.delenv("HYPED_BEAM_TEST_VARIABLE")
    assert list(pool.run(Square(), ["environment"])) == [None]
    assert {worker.process.pid for worker in pool.workers} == pids


def test_workers_are_in_the_folder_of_the_time_of_the_job(pool, monkeypatch, tmp_path: Path):
    list(pool.run(Square(), [1]))
    monkeypatch.chdir(tmp_path)
    assert list(pool.run(Square(), ["folder"])) == [str(tmp_path)]


# ------------------------------------------------------------------------------------------- in order


class _Slow:
    """A job whose tasks are a number and the name of a file that must be there before it is done.

    Args:
        begun: A file that the first task makes.
    """

    def __init__(self, begun: str | None = None) -> None:
        self.begun = begun

    def open(self) -> _Slow:
        return self

    def close(self) -> None:
        pass

    def run(self, task: tuple[int, str | None]) -> tuple[int, bytes]:
        number, awaited = task
        if self.begun is not None:
            Path(self.begun).touch()
        while awaited is not None and not Path(awaited).exists():
            time.sleep(0.005)
        if number < 0:
            raise ValueError(number)
        return number, b"x" * (1 << 20)  # more than a pipe holds


def test_results_come_in_the_order_of_the_tasks_and_few_tasks_are_taken_ahead(tmp_path: Path):
    taken: list[int] = []
    awaited = tmp_path / "go"

    def tasks() -> Iterator[tuple[int, str | None, bytes]]:
        for number in range(40):
            taken.append(number)
            if number == 11:
                awaited.touch()  # which the first has waited for
            yield number, str(awaited) if number == 0 else None

    pool = ProcessPool(3)
    try:
        found = []
        for number, _ in pool.run_in_order(_Slow(), tasks()):
            found.append(number)
            assert len(taken) - len(found) <= 12
        assert found == list(range(40))
        assert list(pool.run_in_order(_Slow(), iter(()))) == []
    finally:
        pool.close()


def test_a_task_that_raises_is_raised_and_the_pool_goes_on():
    pool = ProcessPool(2)
    try:
        with pytest.raises(JobError, match="ValueError: -1"):
            list(pool.run_in_order(_Slow(), [(0, None), (-1, None), (2, None)]))
        assert [number for number, _ in pool.run_in_order(_Slow(), [(5, None), (4, None)])] == [5, 4]
    finally:
        pool.close()


def test_a_stopped_pool_ends_what_it_does(tmp_path: Path):
    pool = ProcessPool(2)
    begun = tmp_path / "begun"

    def stop_once_begun() -> None:
        deadline = time.monotonic() + 600
        while not begun.exists() and time.monotonic() < deadline:
            time.sleep(0.005)
        pool.stop()

    stopper = threading.Thread(target=stop_once_begun)
    stopper.start()
    try:
        with pytest.raises(JobError, match=r"was ended by SIGTERM|was cancelled"):
            list(pool.run_in_order(_Slow(str(begun)), [(0, str(tmp_path / "never"))]))
        with pytest.raises(JobError, match="cancelled"):
            list(pool.run_in_order(_Slow(), [(0, None)]))
    finally:
        stopper.join()
        pool.close()
