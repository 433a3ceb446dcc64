"""What a case of the corpus is: a folder, a command line, and what must be said about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

HEAD = """\
import pyarrow as pa
from hyped_beam import DataFlow, ops, processor
from hyped_beam.aggregators import Count, Mean
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.json import JsonDatasetWriter
from hyped_beam.nodes.processor import Processor
from hyped_beam.ops import collect
from hyped_beam.processors.templates.jinja2 import Jinja2
from hyped_beam.processors.tokenizers.transformers import TransformersTokenizer
from hyped_beam.types.patterns import Int64Column, StringColumn

reader = ParquetReader("rows.parquet")
flow = DataFlow(features=reader)
src = flow.src_features
"""
JOB = (
    'job = flow.job(source=reader).write("texts", collect={"text": src.text}, to=JsonDatasetWriter("out"))\n'
)
HERE = "# <-"
"""Marks the line of a script that the complaint must name."""


@dataclass(frozen=True)
class Case:
    """Something that is wrong.

    Attributes:
        name: What.
        arguments: The command line.
        says: What the complaint must hold: what is wrong, where, how to mend it.
        status: The exit status.
        script: The target, `target.py`; the head with a flow stands in front of it.
        bare: Whether it has no head.
        make: Makes other files in the case's folder.
        rows: Whether there is a `rows.parquet` of ten rows.
        lines: How many lines the complaint has; None for a node's, which shows its row below.
        how: What else `programs.run` is told, such as a `tiny_disk`.
    """

    name: str
    arguments: str = "target.py"
    says: tuple[str, ...] = ()
    status: int = 2
    script: str = JOB
    bare: bool = False
    make: Callable[[Path], None] | None = None
    rows: bool = True
    lines: int | None = 1
    how: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The script as it is in the folder."""
        return self.script if self.bare else HEAD + self.script

    @property
    def line(self) -> int | None:
        """The line of the script that the complaint must name."""
        return next((number for number, line in enumerate(self.text.splitlines(), 1) if HERE in line), None)

    def prepare(self, folder: Path) -> None:
        """Make its folder."""
        folder.mkdir()
        (folder / "target.py").write_text(self.text)
        if self.rows:
            pq.write_table(table(), folder / "rows.parquet")
        if self.make is not None:
            self.make(folder)


def table(rows: int = 10) -> pa.Table:
    """The rows of most cases."""
    return pa.table({"n": range(rows), "text": [f"t{number}" for number in range(rows)]})


def flow(name: str, script: str, *says: str) -> Case:
    """A case whose script is wrong at the marked line."""
    return Case(name, says=says, script=script)


def at_run(case: Case) -> Case:
    """The same case, run."""
    return replace(case, arguments=f"{case.arguments} --run")


def files(**contents: str | bytes) -> Callable[[Path], None]:
    """Makes files in a case's folder: `__` stands for `/` and `_dot_` for `.` in their names."""

    def make(folder: Path) -> None:
        for key, content in contents.items():
            path = folder / key.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return make
