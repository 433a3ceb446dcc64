"""Jobs: a source, named outputs and where they go, run as one Beam pipeline."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hyped_beam.dsl.keywords import checked_keywords
from hyped_beam.dsl.outputs import ROWS, graph_with_sinks, plan_of
from hyped_beam.dsl.rows import Split
from hyped_beam.dsl.sources import plan_for_source
from hyped_beam.errors import CallSite, DefinitionError, DefinitionTypeError, InputError, NearNames
from hyped_beam.io.destinations import Destination
from hyped_beam.io.readers.base import Reader
from hyped_beam.io.writers.base import Writer
from hyped_beam.ir.builder import GraphBuilder
from hyped_beam.plan.planner import AGGREGATES, Plan

if TYPE_CHECKING:
    from hyped_beam.launch.progress import Progress
    from hyped_beam.launch.result import JobResult


@dataclass(frozen=True)
class _Output:
    collect: Any
    writer: Writer


@dataclass(frozen=True, repr=False)
class Job(NearNames):
    """A source and named outputs; each call returns a job with one more.

    Attributes:
        builder: The graph of the flow.
        source: The reader.
        outputs: Rows and their writers, by name.
        aggregators: What is aggregated.
        aggregates_path: The file that the aggregates are written to.
    """

    builder: GraphBuilder
    source: Reader
    outputs: Mapping[str, _Output]
    aggregators: Any = None
    aggregates_path: str | None = None

    def __repr__(self) -> str:
        outputs = ", ".join(f"{name!r} to {output.writer.path}" for name, output in self.outputs.items())
        return f"Job({self.source}: {outputs or 'no rows'})"

    @checked_keywords
    def write(self, name: str = ROWS, collect: Any = None, to: Any = None) -> Job:
        """The job with one more output of rows.

        Args:
            name: The name of the output; a single one needs none.
            collect: A ref to a struct, or a nested mapping of refs.
            to: The writer.

        Raises:
            DefinitionError: The name is taken, an argument is missing or wrong, or the writer cannot write
                these columns: its format cannot hold one, or `partition_by=` names none of them.
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
        if isinstance(collect, Split):
            first = next(iter(collect))
            raise DefinitionTypeError(
                f"a split is one output for each of its parts: {', '.join(collect)}",
                site=CallSite.nearest(),
                hint=f'write one for each: .write("{first}", collect=parts.{first}, to=...)',
            )
        made = replace(self, outputs={**self.outputs, name: _Output(collect, to)})
        _checked_plan(made)  # what is wrong is said on this line
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
        _checked_plan(made)
        return made

    def plan(self) -> Plan:
        """The plan of the job, for its source as far as it can be looked at.

        Raises:
            DefinitionError: It has no outputs, or a writer cannot write its columns.
        """
        plan = _checked_plan(self)
        try:
            return plan_for_source(plan, self.source)
        except InputError:  # whoever reads it says so
            return plan

    @checked_keywords
    def explain(self, *, cache: bool | str | os.PathLike[str] | None = None) -> str:
        """What would run, as text.

        Args:
            cache: As for `run`: say of each scan whether a cache keeps its states. Nothing is looked up.
        """
        from hyped_beam.dsl.caching import cache_folder
        from hyped_beam.launch.caching import caching_of
        from hyped_beam.plan.text import plan_text

        plan = self.plan()
        caching = None if cache_folder(cache) is None else caching_of(plan, self.source)
        return plan_text(plan, caching=caching)

    @checked_keywords
    def plot(self, ax: Any = None, save: str | os.PathLike[str] | None = None) -> Any:
        """Draw what would run; see `DataFlow.plot`."""
        from hyped_beam.dsl.plot import draw

        plan = self.plan()
        return draw(plan.graph, ax=ax, path=save, joins=plan.joins)

    @checked_keywords
    def run(
        self,
        runner: str = "direct",
        options: Mapping[str, Any] | None = None,
        num_proc: int | None = None,
        progress: Callable[[Progress], None] | None = None,
        *,
        wait: bool = True,
        cache: bool | str | os.PathLike[str] | None = None,
    ) -> JobResult:
        """Run the job.

        Args:
            runner: The name of a runner profile.
            options: Beam's options.
            num_proc: How many processes compute; the most that a writer asks for by default, else one.
            progress: Called with a `Progress` at the start, as rows are done (some four times a second), and
                at the end; in a thread of its own.
            wait: Whether to return when the job is done; otherwise it runs in processes of its own, and
                is cancelled when this process ends before it.
            cache: A folder to keep what each file adds to the aggregates in, so that another run need not
                read files that have not changed; True for one in the `datasets` cache. By default none.

        Returns:
            What the job made.

        Raises:
            DefinitionError: The runner or an option is not known.
            InputError: The source or an output folder is not what it should be; nothing was written.
            NodeError: A node raised on a row.
            JobError: The job failed for another reason.

        Example:
            >>> from hyped_beam import DataFlow
            >>> from hyped_beam.aggregators import Count
            >>> flow = DataFlow(features={"text": "string"})
            >>> import datasets
            >>> rows = datasets.Dataset.from_dict({"text": ["to be", "or not"]})
            >>> job = flow.job(source=rows).aggregate({"n": Count().call(flow.src_features.text)})
            >>> job.run().aggregates
            {'n': 2}
        """
        from hyped_beam.dsl.applying import check_positive
        from hyped_beam.dsl.caching import cache_folder, refuse_iterable
        from hyped_beam.dsl.running import start

        check_positive(num_proc=num_proc)
        folder = cache_folder(cache)
        refuse_iterable(self.source, folder)
        asked = [output.writer.num_proc or 1 for output in self.outputs.values()]
        return start(
            self,
            runner=runner,
            options=options,
            processes=num_proc or max(asked, default=1),
            progress=progress,
            wait=wait,
            cache=folder,
        )


def _checked_plan(job: Job) -> Plan:
    """The plan of a job, whatever the size of its source."""
    if not job.outputs and job.aggregators is None:
        raise DefinitionError(
            "the job has no output", site=CallSite.nearest(), hint="add .write(collect=..., to=...)"
        )
    rows = {name: output.collect for name, output in job.outputs.items()}
    plan = plan_of(graph_with_sinks(job.builder, rows, job.aggregators))
    for output in plan.row_outputs:
        Destination(output.name, job.outputs[output.name].writer, output.schema).check()
    return plan
