"""Whatever is wrong: one line that says what, where and how to mend it; nothing written; nothing touched."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.bad_input.flows import FLOWS
from tests.bad_input.nodes import NODES
from tests.bad_input.options import OPTIONS
from tests.bad_input.outputs import OUTPUTS
from tests.bad_input.saved import SAVED
from tests.bad_input.sources import SOURCES
from tests.bad_input.targets import TARGETS

CORPUS = {case.name: case for case in (*FLOWS, *NODES, *OPTIONS, *OUTPUTS, *SAVED, *SOURCES, *TARGETS)}
PROGRESS = " ranges, "


def snapshot(folder: Path) -> dict[str, Any]:
    """All that a folder holds: kinds, rights, times and contents."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = None
        if path.is_symlink():
            content = os.readlink(path)  # noqa: PTH115 - the link itself, wherever it leads
        elif path.is_file():
            path.chmod(0o600)
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            path.chmod(status.st_mode & 0o7777)
        changed = None if path.is_dir() else status.st_mtime_ns
        found[str(path.relative_to(folder))] = (status.st_mode, changed, content)
    return found


@pytest.mark.parametrize("name", CORPUS)
def test_bad_input(name: str, run_program: Callable[..., dict[str, Any]], tmp_path: Path):
    case = CORPUS[name]
    folder = tmp_path / "case"
    case.prepare(folder)
    before = snapshot(folder)
    ended = run_program(folder, case.arguments, **case.how)
    complaint = ended["err"]
    if complaint == "no tiny disk here":
        pytest.skip("this machine lets no process mount a disk")
    assert not ended["timed_out"], complaint
    assert ended["status"] == case.status, complaint
    told = [line for line in complaint.splitlines() if PROGRESS not in line]
    assert told[0].startswith("error: "), complaint
    assert "Traceback" not in complaint
    if case.lines is not None:
        assert len(told) == case.lines, complaint
    for said in case.says:
        assert said in complaint, complaint
    if case.line is not None:
        assert f"target.py:{case.line}:" in complaint
    assert ended["out"] == ""
    assert snapshot(folder) == before
    assert ended["left"] == []


def test_the_corpus_is_large():
    assert len(CORPUS) >= 60
