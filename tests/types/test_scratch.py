"""Temporary folders: gone with their owner, however it ends, and only then."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hyped_beam.types import scratch
from hyped_beam.types.scratch import OWNER, PREFIX, ScratchFolder, sweep

HOLDS = """
import sys
from hyped_beam.types.scratch import ScratchFolder
folder = ScratchFolder(sys.argv[1])
(folder.path / "inner").mkdir()
(folder.path / "inner" / "file").write_text("x")
print(folder.path, flush=True)
sys.stdin.read()
"""


def owner(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert Path(process.stdout.readline().strip()).is_dir()
    return process


def test_a_folder_is_removed_when_it_is_left_or_forgotten(tmp_path: Path):
    with ScratchFolder(tmp_path) as folder:
        assert folder.path.parent == tmp_path
        assert folder.path.name.startswith(PREFIX)
        assert folder.path.stat().st_mode & 0o777 == 0o700
        (folder.path / "file").write_text("x")
    assert not list(tmp_path.iterdir())
    other = ScratchFolder(tmp_path)
    assert other.path.is_dir()
    del other
    gc.collect()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ended_by", [signal.SIGKILL, signal.SIGTERM, None])
def test_what_a_process_left_is_removed_by_the_next_one_and_not_before(tmp_path: Path, ended_by):
    first = owner(tmp_path)
    second = owner(tmp_path)
    third = owner(tmp_path)
    assert len(list(tmp_path.iterdir())) == 3  # they live
    if ended_by is None:
        first.communicate("")
        assert len(list(tmp_path.iterdir())) == 2
    else:
        first.send_signal(ended_by)
        first.communicate()
        assert len(list(tmp_path.iterdir())) == 3
    fourth = owner(tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
    for process in (second, third, fourth):
        process.communicate("")
    assert not list(tmp_path.iterdir())


def left(folder: Path, name: str, machine: bytes | None = None) -> Path:
    made = folder / f"{PREFIX}{name}"
    made.mkdir()
    (made / "file").write_text("x")
    if machine is not None:
        (made / OWNER).write_bytes(machine)
    return made


def test_what_is_not_known_to_be_left_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    target = tmp_path / "elsewhere"
    target.mkdir()
    (target / OWNER).write_bytes(scratch._machine())
    other_machine = left(tmp_path, "other-machine", b"another")
    without = left(tmp_path, "without")
    linked = tmp_path / f"{PREFIX}link"
    linked.symlink_to(target)
    by_link = left(tmp_path, "owner-link")
    (by_link / OWNER).symlink_to(target / OWNER)
    dead = left(tmp_path, "dead", scratch._machine())
    other_user = left(tmp_path, "other-user", scratch._machine())
    whose = os.lstat

    def lstat(path: Path) -> os.stat_result:
        found = list(whose(path))
        if Path(path) == other_user:
            found[4] = 12345
        return os.stat_result(found)

    monkeypatch.setattr(os, "lstat", lstat)
    monkeypatch.setattr(shutil, "rmtree", lambda path, **_: gone.append(Path(path)))
    gone: list[Path] = []
    sweep(str(tmp_path))
    assert gone == [dead]
    assert all(one.exists() for one in (other_machine, without, by_link, other_user, target))


@pytest.mark.parametrize("at", [1, 5, 15, 25])
def test_a_folder_whose_remover_was_killed_is_removed_by_the_next_one(tmp_path: Path, at: int):
    program = f"""
import os, signal, sys
from hyped_beam.types.scratch import ScratchFolder
folder = ScratchFolder({str(tmp_path)!r})
(folder.path / "inner").mkdir()
for number in range(25):
    (folder.path / str(number)).touch()
left = {at}
def kill(event, arguments):
    global left
    if event == "os.remove":
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(kill)
folder.close()
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -signal.SIGKILL
    assert [path.name for path in tmp_path.glob(f"{PREFIX}*/{OWNER}")] == [OWNER]
    sweep(str(tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_forked_child_removes_nothing_of_its_parent(tmp_path: Path):
    program = f"""
import os
from hyped_beam.types.scratch import ScratchFolder, remove_all
folder = ScratchFolder({str(tmp_path)!r})
child = os.fork()
if child == 0:
    remove_all()
    os._exit(0)
os.waitpid(child, 0)
assert folder.path.is_dir()
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    assert not list(tmp_path.iterdir())
