"""The digest of a program: the same in every process, and another once its code is; pure or not."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from types import ModuleType
from typing import Any

import pytest

from hyped_beam.nodes.fingerprint import program_digest

PRELUDE = """
import random, threading, time
import numpy as np
from hyped_beam import Processor, Secret, env, processor
"""

IMPURE = """
LIMIT = 3
LOCK = threading.Lock()
DRAWS = random.Random()
MORE = np.random.default_rng()
SEEN = open(__file__)

def helper(n):
    return n + LIMIT

class node(Processor):
    url: Secret[str]
    repeatable = False
    async def setup(self):
        import sqlite3, not_to_be_found
        self.held = sqlite3.connect(self.url)
    async def process_row(self, n: int) -> int:
        with LOCK:
            return helper(n) + DRAWS.randint(1, 9) + int(time.time()) + len(eval("[]")) + len(SEEN.read())

node = node(url=env("SERVICE"))
"""


def made(source: str, name: str = "__main__") -> Any:
    """The node that a script makes."""
    module = ModuleType(name)
    module.__dict__["__file__"] = __file__
    exec(compile(PRELUDE + textwrap.dedent(source), "script.py", "exec", dont_inherit=True), module.__dict__)  # noqa: S102
    return module.node


def test_code_that_no_cache_would_keep_has_one_that_is_the_same_each_time(monkeypatch):
    found = {program_digest(made(IMPURE)) for _ in range(3)}
    monkeypatch.setenv("SERVICE", "another key")
    found.add(program_digest(made(IMPURE)))
    found.add(program_digest(made(IMPURE, "script")))  # imported, as the command line does
    assert len(found) == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 3", "LIMIT = 4"),
        ("n + LIMIT", "n - LIMIT"),
        ("randint(1, 9)", "randint(1, 8)"),
        ('eval("[]")', 'eval("[1]")'),
        ("connect(self.url)", "connect(self.url, 5)"),
        ('env("SERVICE")', 'env("OTHER")'),
        ("repeatable = False", "repeatable = True"),
        ("import sqlite3,", "import gzip as sqlite3,"),
    ],
)
def test_whatever_changes_in_it_makes_it_another(old, new):
    assert old in IMPURE
    assert program_digest(made(IMPURE)) != program_digest(made(IMPURE.replace(old, new)))


def test_the_same_in_every_process_and_without_importing_what_only_workers_need(tmp_path):
    script = tmp_path / "script.py"
    told = """
import sys
from hyped_beam.nodes.fingerprint import program_digest
print(program_digest(node), "sqlite3" in sys.modules, end="")
"""
    script.write_text(PRELUDE + IMPURE + told)

    def run(seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, str(script)]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    first = run("1")
    assert first == run("2") == f"{program_digest(made(IMPURE))} False"
