"""Targets that are none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.bad_input.corpus import JOB, Case, files


def _bare(name: str, script: str, *says: str, arguments: str = "target.py") -> Case:
    return Case(name, arguments, says, script=script, bare=True, rows=False)


def _none(name: str, arguments: str, *says: str, make: Callable[[Path], None] | None = None) -> Case:
    return Case(name, arguments, says, make=make)


TARGETS = [
    _none("a script that is not there", "tarket.py", "there is no file tarket.py", "did you mean target.py?"),
    _none("a script in a folder that is not there", "jobs/target.py", "jobs/target.py", "does not exist"),
    _none("a module that is not there", "no_such_module", "there is no module 'no_such_module'"),
    _none("a module that should be a script", "target.job", "target.job"),
    _none("a folder", "./", "is a folder"),
    _none("a file that is no script", "./rows.parquet", "rows.parquet", ".py"),
    _none("a saved flow that is not there", "flow.json", "there is no file flow.json"),
    _none("a name that is not there", "target.py:jobb", "'jobb'", "did you mean target.py:job?"),
    _bare("a script that raises on import", "x = {}\ny = x['key']  # <-\n", "KeyError: 'key'"),
    _bare(
        "a script that raises in a library",
        "import json\ny = json.loads('{')  # <-\n",
        "JSONDecodeError",
    ),
    _bare("a script that does not parse", "x = 1\nx ==== 2  # <-\n", "SyntaxError"),
    _bare(
        "a script that imports what is not there",
        "import no_such_package  # <-\n",
        "no_such_package",
        "install",
    ),
    _bare("a script that exits", "import sys\nsys.exit('bye')  # <-\n", "exits", "__main__"),
    _bare("a script that runs into itself", "def f():\n    return f()\nf()\n", "RecursionError"),
    _bare("a script of null bytes", "x = 1\0\n", "null"),
    _bare("a script without a job", "number = 3\n", "target.py has no name 'job'", "flow.job("),
    _bare("something that is no job", "job = 3\n", "target.py is no job but a int"),
    _bare("a function that returns no job", "def job():\n    pass\n", "NoneType"),
    _bare("a function that wants arguments", "def job(path):\n    pass\n", "path"),
    _bare(
        "a function that raises",
        "def job():\n    raise ValueError('not today')  # <-\n",
        "ValueError: not today",
    ),
    _bare(
        "a module that raises on import",
        "",
        "package/broken.py:1",
        "ZeroDivisionError",
        arguments="package.broken",
    ),
    _bare(
        "a script that has the name of a module",
        "",
        "json.py",
        "another name",
        arguments="json.py",
    ),
    Case(
        "two jobs, and none of them named",
        "target.py",
        ("2 jobs: first, second", "target.py:first"),
        script=JOB.replace("job =", "first =") + JOB.replace("job =", "second =").replace('"out"', '"other"'),
    ),
    Case(
        "a job of another name",
        "target.py",
        ("target.py has no name 'job'", "did you mean target.py:mails?"),
        script=JOB.replace("job =", "mails ="),
    ),
    Case("a flow without outputs", "target.py:flow", ("no outputs", "build")),
    Case(
        "a built flow without a source",
        "target.py:built --run",
        ("--input",),
        script="built, _ = flow.build(collect=src)\n",
    ),
    Case(
        "a built flow without a folder",
        "target.py:built --run --input rows.parquet",
        ("--output",),
        script="built, _ = flow.build(collect=src)\n",
    ),
]
_MADE = {
    "a module that raises on import": files(package____init___dot_py="", package__broken_dot_py="1 / 0\n"),
    "a script that has the name of a module": files(json_dot_py=""),
}
TARGETS = [
    case if case.name not in _MADE else Case(**{**vars(case), "make": _MADE[case.name]}) for case in TARGETS
]
