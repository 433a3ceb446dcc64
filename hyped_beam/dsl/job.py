"""Jobs: a source, named outputs and where they go, run as one Beam pipeline."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from hyped_beam.dsl.keywords import checked_keywords
from hyped_beam.dsl.outputs import AGGREGATES, ROWS, graph_with_sinks, plan_of
from hyped_beam.errors import CallSite, DefinitionError, DefinitionTypeError
from hyped_beam.io.readers.base import Reader
from hyped_beam.io.writers.base import Writer
from hyped_beam.io.writers.json_text import lines
from hyped_beam.ir.graph import GraphBuilder
from hyped_beam.plan.planner import Plan


@dataclass(frozen=True)
class JobResult:
    """What a job made.

    Attributes:
        rows: The number of rows of each output, by its name.
        shards: The files of each output, in the order of the source.
        aggregates: The values of the aggregates, nested as they were asked for.
        seconds: How long it ran.
    """

    rows: Mapping[str, int]
    shards: Mapping[str, list[str]]
    aggregates: Mapping[str, Any] | None
    seconds: float


@dataclass(frozen=True)
class _Output:
    collect: Any
    writer: Writer


@dataclass(frozen=True)
class Job:
    """A source and named outputs; each call returns a job with one more.

    Attributes:
        builder: The graph of the flow.
        source: The reader, or a `datasets.Dataset`.
        outputs: Rows and their writers, by name.
        aggregators: What is aggregated.
        aggregates_path: The file that the aggregates are written to.
    """

    builder: GraphBuilder
    source: Any
    outputs: Mapping[str, _Output]
    aggregators: Any = None
    aggregates_path: str | None = None

    @checked_keywords
    def write(self, name: str = ROWS, collect: Any = None, to: Any = None) -> Job:
        """The job with one more output of rows.

        Args:
            name: The name of the output; a single one needs none.
            collect: A ref to a struct, or a nested mapping of refs.
            to: The writer.

        Raises:
            DefinitionError: The name is taken, or an argument is missing or wrong.
        """
        if not isinstance(name, str):
            raise DefinitionTypeError(
                f"the name of an output is text, got {type(name).__name__}",
                site=CallSite.nearest(),
                hint='write .write("name", collect=..., to=...)',
            )
        if name in self.outputs or name == AGGREGATES:
            raise DefinitionError(
                f"the job has an output {name!r} already",
                site=CallSite.nearest(),
                hint="give each its own name",
            )
        if not isinstance(to, Writer):
            raise DefinitionTypeError(
                f"to= takes a writer, got {type(to).__name__}",
                site=CallSite.nearest(),
                hint='write to=JsonDatasetWriter("folder/")',
            )
        if collect is None:
            raise DefinitionTypeError(
                "collect= is missing", site=CallSite.nearest(), hint="say which columns: collect={...}"
            )
        made = replace(self, outputs={**self.outputs, name: _Output(collect, to)})
        made.plan()  # what is wrong is said on this line
        return made

    @checked_keywords
    def aggregate(self, aggregators: Any, to: str | os.PathLike[str] | None = None) -> Job:
        """The job with aggregates.

        Args:
            aggregators: A nested mapping of refs of the whole dataset.
            to: A JSON file that they are written to.

        Raises:
            DefinitionError: They are no aggregates, or the job has some already.
        """
        if self.aggregators is not None:
            raise DefinitionError(
                "the job has aggregates already", site=CallSite.nearest(), hint="put all into one mapping"
            )
        made = replace(self, aggregators=aggregators, aggregates_path=None if to is None else os.fspath(to))
        made.plan()
        return made

    def plan(self) -> Plan:
        """The plan of the job.

        Raises:
            DefinitionError: It has no outputs.
        """
        if not self.outputs and self.aggregators is None:
            raise DefinitionError(
                "the job has no output", site=CallSite.nearest(), hint="add .write(collect=..., to=...)"
            )
        rows = {name: output.collect for name, output in self.outputs.items()}
        return plan_of(graph_with_sinks(self.builder, rows, self.aggregators))

    def explain(self) -> str:
        """What would run, as text."""
        from hyped_beam.plan.text import plan_text

        return plan_text(self.plan())

    @checked_keywords
    def plot(self, ax: Any = None, save: str | os.PathLike[str] | None = None) -> Any:
        """Draw what would run; see `DataFlow.plot`."""
        from hyped_beam.dsl.plot import draw

        return draw(self.plan().graph, ax=ax, path=save)

    @checked_keywords
    def run(
        self,
        runner: str = "direct",
        options: Mapping[str, Any] | None = None,
        num_proc: int = 1,
        progress: Any = None,
    ) -> JobResult:
        """Run the job and wait until it is done.

        Args:
            runner: The name of a runner profile.
            options: Beam's options.
            num_proc: How many processes compute.
            progress: Called with the number of ranges done and of all, while it runs.

        Raises:
            InputError: The source or an output folder is not what it should be; nothing was written.
            NodeError: A node raised on a row.
            JobError: The job failed for another reason.
        """
        from hyped_beam.dsl.applying import check_columns, check_positive
        from hyped_beam.launch.bounded import run_bounded

        check_positive(num_proc=num_proc)
        writers = {name: output.writer for name, output in self.outputs.items()}
        plan = self.plan()
        check_columns(self.source.features, plan)
        with tempfile.TemporaryDirectory(prefix="hyped-beam-") as work:
            result = run_bounded(
                plan,
                self._reader(plan, Path(work)),
                writers,
                processes=num_proc,
                runner=runner,
                work=Path(work),
                options=options,
                progress=progress,
                source=None if isinstance(self.source, Reader) else str(self.source._fingerprint),  # noqa: SLF001 - what `datasets` itself caches by
            )
        row = result.values.get(AGGREGATES)
        aggregates = None if row is None else row.to_pylist()[0]
        if self.aggregates_path is not None and row is not None:
            write_json(self.aggregates_path, row)
        return JobResult(result.rows, result.shards, aggregates, result.seconds)

    def _reader(self, plan: Plan, work: Path) -> Reader:
        if isinstance(self.source, Reader):
            return self.source
        from hyped_beam.dsl.dataset import reader_of

        return reader_of(self.source, plan, work)


def write_json(path: str, row: pa.RecordBatch) -> None:
    """Write aggregates to a file, whole or not at all, each value as `JsonDatasetWriter` writes it."""
    values = json.loads(b"".join(lines(row)))
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.tmp")
    beside.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    beside.replace(target)
