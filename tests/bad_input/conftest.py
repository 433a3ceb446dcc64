"""What the tests of bad input share: a process that starts others cheaply."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = Path(__file__).with_name("programs.py")
DEADLINE = 600


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of the command line under test."""
    return {
        **os.environ,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "TMPDIR": str(tmp_path_factory.mktemp("temporary")),
    }


@pytest.fixture(scope="module")
def run_program(environment: dict[str, str]) -> Iterator[Callable[..., dict[str, Any]]]:
    """Runs the command line in a folder, in a process of its own; see `programs.py`."""
    with subprocess.Popen(
        [sys.executable, str(PROGRAMS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as programs:
        assert programs.stdin is not None
        assert programs.stdout is not None
        assert programs.stdout.readline() == "ready\n"

        def run(folder: Path, arguments: str, **how: Any) -> dict[str, Any]:
            out, err = folder.with_suffix(".out"), folder.with_suffix(".err")
            request = {
                "folder": str(folder),
                "arguments": shlex.split(arguments),
                "out": str(out),
                "err": str(err),
                "environment": {},
                "deadline": DEADLINE,
                **how,
            }
            print(json.dumps(request), file=programs.stdin, flush=True)
            ended = json.loads(programs.stdout.readline())
            return {**ended, "out": out.read_text(), "err": err.read_text()}

        yield run
        programs.stdin.close()
