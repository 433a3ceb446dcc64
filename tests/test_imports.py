"""Importing a module of ours changes nothing of the process that imports it."""

from __future__ import annotations

import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import hyped_beam

STATE = '''
import asyncio, atexit, contextlib, copyreg, decimal, faulthandler, gc, importlib, json, locale, logging
import multiprocessing, os, random, resource, signal, socket, sys, threading, warnings

registered = []

def noting(name, register):
    def note(*given, **named):
        registered.append(f"{name} by {sys._getframe(1).f_globals.get('__name__')}")
        return register(*given, **named)
    return note

atexit.register = noting("atexit", atexit.register)
os.register_at_fork = noting("register_at_fork", os.register_at_fork)

def loggers():
    found = {"": logging.root, **logging.root.manager.loggerDict}
    return {
        name: [logger.level, logger.propagate, logger.disabled, *map(repr, logger.handlers + logger.filters)]
        for name, logger in found.items()
        if isinstance(logger, logging.Logger) and not name.startswith("hyped_beam")
    }

def third_parties():
    """What libraries keep for all that use them; looked at only where they are imported."""
    found = {}
    if "pyarrow" in sys.modules:
        import pyarrow as pa
        found["pyarrow"] = [pa.default_memory_pool().backend_name, pa.cpu_count(), pa.io_thread_count()]
    if "numpy" in sys.modules:
        import numpy as np
        found["numpy"] = [np.geterr(), np.get_printoptions(), repr(np.random.get_state())]
    if "pandas" in sys.modules:
        import pandas as pd
        found["pandas"] = repr(pd.options.d)
    if "datasets" in sys.modules:
        import datasets
        found["datasets"] = [repr(sorted(vars(datasets.config).items())), datasets.is_progress_bar_enabled()]
    if "matplotlib" in sys.modules:
        import matplotlib
        found["matplotlib"] = [dict.__repr__(matplotlib.rcParams), matplotlib.get_backend(auto_select=False)]
    return found

def state():
    return {
        "hooks": [repr(hook) for hook in (
            sys.excepthook, sys.unraisablehook, sys.displayhook, threading.excepthook, sys.gettrace(),
            sys.getprofile(), threading.gettrace(), threading.getprofile(), sys.breakpointhook,
            sys.get_asyncgen_hooks(), gc.callbacks,
        )],
        "streams": [repr(stream) for stream in (sys.stdin, sys.stdout, sys.stderr)],
        "signals": {str(number): repr(signal.getsignal(number)) for number in signal.valid_signals()},
        "wakeup": signal.set_wakeup_fd(-1),
        "warnings": [repr(warnings.filters), repr(warnings.showwarning), repr(warnings.formatwarning)],
        "loggers": loggers(),
        "logging": [
            repr(logging.getLoggerClass()), repr(logging.getLogRecordFactory()), logging.raiseExceptions,
            repr(logging.lastResort), logging.root.manager.disable,
        ],
        "environment": dict(os.environ),
        "locale": locale.setlocale(locale.LC_ALL),
        "path": [sys.path, repr(sys.meta_path), repr(sys.path_hooks), os.getcwd()],
        "multiprocessing": multiprocessing.get_start_method(allow_none=True),
        "registered": list(registered),
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "children": multiprocessing.active_children(),
        "files": sorted(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None,
        "decimal": [repr(decimal.getcontext()), repr(decimal.DefaultContext)],
        "random": repr(random.getstate()),
        "asyncio": [repr(type(asyncio.get_event_loop_policy())), repr(asyncio._get_running_loop())],
        "faulthandler": faulthandler.is_enabled(),
        "collector": [gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()],
        "interpreter": [
            sys.getrecursionlimit(), sys.getswitchinterval(), getattr(sys, "get_int_max_str_digits", int)(),
        ],
        "sockets": socket.getdefaulttimeout(),
        "limits": [resource.getrlimit(kind) for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_STACK)],
        "pickling": sorted(map(repr, copyreg.dispatch_table)),
        "libraries": third_parties(),
    }
'''

IMPORT_ALL = """
ours, others = json.loads(sys.stdin.read())
for name in others:
    with contextlib.suppress(Exception):  # some make modules under names that are not imported
        importlib.import_module(name)
before = json.loads(json.dumps(state(), default=repr))
for name in ours:
    importlib.import_module(name)
after = json.loads(json.dumps(state(), default=repr))
changed = {name: [before[name], after[name]] for name in before if before[name] != after[name]}
print(json.dumps({"changed": changed, "imported": list(sys.modules)}))
"""


def our_modules() -> list[str]:
    found = pkgutil.walk_packages(hyped_beam.__path__, "hyped_beam.")
    return ["hyped_beam", *(module.name for module in found)]


def imported(ours: list[str], others: list[str]) -> dict:
    finished = subprocess.run(
        [sys.executable, "-c", STATE + IMPORT_ALL],
        input=json.dumps([ours, others]),
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
        cwd=Path(__file__).parent.parent,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def others() -> list[str]:
    """The modules of others that ours import, in the order in which they come."""
    return [
        name
        for name in imported(our_modules(), [])["imported"]
        if name.partition(".")[0] not in ("hyped_beam", "__main__")
    ]


def test_importing_all_modules_changes_nothing_of_the_process(others: list[str]):
    assert "apache_beam" in others, "what changes the process may be in modules that Beam comes with"
    assert imported(our_modules(), others)["changed"] == {}


def test_a_change_of_the_process_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "changes_much.py").write_text(
        """
import atexit, decimal, logging, os, signal, sys, threading, warnings
threading.excepthook = print
signal.signal(signal.SIGTERM, signal.SIG_IGN)
warnings.simplefilter("ignore")
logging.basicConfig()
os.environ["CHANGED"] = "yes"
atexit.register(len, "")
decimal.getcontext().prec = 5
sys.path.insert(0, "elsewhere")
"""
    )
    monkeypatch.syspath_prepend(tmp_path)
    changed = imported(["changes_much"], ["decimal"])["changed"]
    expected = {"hooks", "signals", "warnings", "loggers", "environment", "registered", "decimal", "path"}
    assert set(changed) == expected
