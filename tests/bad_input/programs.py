"""Starts `python -m hyped_beam.compile` many times over, each a process of its own that needs no imports.

Run as a program it imports all there is to import, and then serves: a line of JSON on standard input names a
folder and arguments; a process is forked, becomes the command line in that folder, and ends; a line of JSON
on standard output says how. The first process lends its imports and nothing else: each has its own session,
its own standard streams, its own exit. A user's own process has no rights that let it read everything, so
root's are laid down.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import runpy
import signal
import sys
import time
from pathlib import Path
from typing import Any

KILLED = 137
CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
CAPABILITY_VERSION_3 = 0x20080522


def serve() -> None:
    """Answer requests until standard input ends."""
    preload()
    answers = os.fdopen(os.dup(1), "w")
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), file=answers, flush=True)


def preload() -> None:
    """Import what the command line imports while it runs a job."""
    import datasets  # noqa: F401
    import transformers  # noqa: F401

    import hyped_beam.compile.session
    import hyped_beam.lowering.bounded  # noqa: F401
    from hyped_beam.dsl.flow import DataFlow
    from hyped_beam.launch.running import import_beam

    import_beam()
    DataFlow(features={"text": "string"})  # which imports the library of nodes


def run(request: dict[str, Any]) -> dict[str, Any]:
    """One process, from its start to the end of all that it started."""
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        become(request)
    status, timed_out = waited(child, began + request["deadline"])
    return {
        "status": status,
        "timed_out": timed_out,
        "seconds": time.monotonic() - began,
        "left": session_members(child),
    }


def become(request: dict[str, Any]) -> None:
    """Be the command line."""
    status = 70  # of a process that could not even become it
    try:
        os.setsid()
        os.chdir(request["folder"])
        for descriptor, name, flags in (
            (0, os.devnull, os.O_RDONLY),
            (1, request["out"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
            (2, request["err"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        ):
            opened = os.open(name, flags, 0o644)
            os.dup2(opened, descriptor)
            os.close(opened)
        os.environ.update(request["environment"])
        if request.get("tiny_disk"):
            mount_tiny_disk(request["tiny_disk"])
        if request.get("largest_file"):
            resource.setrlimit(resource.RLIMIT_FSIZE, (request["largest_file"], request["largest_file"]))
        lay_down_rights()
        sys.stdin, sys.stdout, sys.stderr = (
            os.fdopen(number, mode) for number, mode in ((0, "r"), (1, "w"), (2, "w"))
        )
        sys.argv = ["compile", *request["arguments"]]
        runpy.run_module("hyped_beam.compile", run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001 - as the interpreter does it
        sys.excepthook(*sys.exc_info())
        status = 1
    finally:
        end(status)


def end(status: int) -> None:
    """End as an interpreter does: exit functions, streams, gone."""
    import atexit

    try:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def mount_tiny_disk(folder: str) -> None:
    """A disk of 64 kB in a folder, which only this process sees."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS):
        user, group = os.getuid(), os.getgid()
        if libc.unshare(CLONE_NEWNS | CLONE_NEWUSER) == 0:
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
            Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None)
    if libc.mount(b"tiny", folder.encode(), b"tmpfs", 0, b"size=64k"):
        os.write(2, b"no tiny disk here")
        os._exit(0)


def lay_down_rights() -> None:
    """Be bound by the permissions of files, also as root."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    rights = (ctypes.c_uint32 * 6)()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capget(header, rights) == 0:
        dac_override, dac_read_search = 1 << 1, 1 << 2
        for index in (0, 1, 2):
            rights[index] &= ~(dac_override | dac_read_search)
        libc.capset(header, rights)


def waited(child: int, deadline: float) -> tuple[int, bool]:
    """The exit status of a process, which is ended at the deadline."""
    while time.monotonic() < deadline:
        found, raw = os.waitpid(child, os.WNOHANG)
        if found:
            code = os.waitstatus_to_exitcode(raw)
            return (code if code >= 0 else 128 - code), False
        time.sleep(0.005)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return KILLED, True


def session_members(session: int) -> list[str]:
    """The processes of a session that live."""
    alive = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            head, _, fields = status.read_text().rpartition(")")
        except OSError:  # it has gone meanwhile
            continue
        state, _, _, its_session = fields.split()[:4]
        if int(its_session) == session and state != "Z":
            alive.append(head)
    return alive


if __name__ == "__main__":
    serve()
