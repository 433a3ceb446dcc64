"""A worker does not outlive its parent."""

from __future__ import annotations

import os
import subprocess
import sys
import time

PARENT = """
import cloudpickle, os, pathlib, signal, sys, threading
from hyped_beam.execute.pool import Worker

class Job:
    def open(self):
        return self
    def run(self, started):
        pathlib.Path(started).touch()
        threading.Event().wait()

worker = Worker(1)
worker.send("key", cloudpickle.dumps(Job()), sys.argv[1])
while not pathlib.Path(sys.argv[1]).exists():
    if worker.process.poll() is not None:
        sys.exit("the worker has gone")
print(worker.process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
DEADLINE_SECONDS = 600


def test_in_the_middle_of_a_task_its_parent_is_killed(tmp_path):
    # Not `capture_output`: the worker has the same pipe, so that waiting for its end waits for the worker.
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "started")], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.wait()
        deadline = time.monotonic() + DEADLINE_SECONDS
        while _is_there(worker):
            assert time.monotonic() < deadline, "the worker is still there"


def _is_there(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{process}/stat") as status:  # noqa: PTH123 - no file of ours
        return status.read().rpartition(")")[2].split()[0] != "Z"
