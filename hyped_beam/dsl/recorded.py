"""What a flow has recorded, and the plans of what is asked of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import Self

from hyped_beam.dsl.fixed import FixedOutputs, with_added
from hyped_beam.dsl.keywords import checked_keywords
from hyped_beam.dsl.outputs import ROWS, Outputs, graph_of, plan_of
from hyped_beam.errors import CallSite, DefinitionError, DefinitionTypeError, NearNames
from hyped_beam.ir.builder import GraphBuilder
from hyped_beam.ir.graph import Graph, Kind, Node
from hyped_beam.ir.scope import Scope
from hyped_beam.nodes.refs import Ref, builder_of, feature_of
from hyped_beam.nodes.registry import load_entry_points, load_library
from hyped_beam.passes.prune import prune
from hyped_beam.plan.joins import Choice
from hyped_beam.plan.planner import AGGREGATES, Plan
from hyped_beam.types import features as feature_types
from hyped_beam.types.nesting import DEEPEST, TOO_DEEP, is_too_deep


class RecordedFlow(NearNames):
    """A graph that is recorded into, and its outputs where they are fixed.

    A flow has one graph: its source, its outputs, and whatever is recorded on them are refs of one builder,
    and all that runs, is drawn or saved is made from it.

    Args:
        features: The columns of the source; see `DataFlow`.
    """

    @checked_keywords
    def __init__(self, features: Any) -> None:
        load_library()
        load_entry_points()
        columns = _read_features(features)
        builder = GraphBuilder()
        self._record_into(Ref(builder, builder.add_source(columns, CallSite.nearest()), columns), None)

    @classmethod
    def _of(cls, source: Ref, fixed: FixedOutputs) -> Self:
        """A flow whose outputs are fixed; source and outputs are refs of one builder."""
        flow = cls.__new__(cls)
        flow._record_into(source, fixed)  # noqa: SLF001 - of this class
        return flow

    def _record_into(self, source: Ref, fixed: FixedOutputs | None) -> None:
        self._features = feature_of(source)
        self._builder = builder_of(source)
        self._source = source
        self._fixed = fixed

    @property
    def _outputs(self) -> Outputs:
        return Outputs() if self._fixed is None else self._fixed.outputs

    @property
    def features(self) -> Any:
        """The columns of the source, as `datasets.Features`."""
        return self._features

    @property
    def src_features(self) -> Any:
        """The columns of the source, as `flow.src_features.text` or `flow.src_features["text"]`."""
        return self._source

    @property
    def outputs(self) -> Mapping[str, Any]:
        """What was asked of a flow whose outputs are fixed, by name (`rows`, `aggregates`).

        Example:
            >>> from hyped_beam import DataFlow
            >>> flow = DataFlow(features={"text": "string"})
            >>> built, _ = flow.build(collect={"text": flow.src_features.text})
            >>> list(flow.outputs), list(built.outputs)
            ([], ['rows'])
        """
        asked = {ROWS: self._outputs.collect, AGGREGATES: self._outputs.aggregators}
        return {name: value for name, value in asked.items() if value is not None}

    @checked_keywords
    def plan(self, collect: Any = None, aggregators: Any = None) -> Plan:
        """The plan of what would run.

        Args:
            collect: As for `apply`.
            aggregators: As for `apply`.

        Raises:
            DefinitionError: What was asked are no refs of this flow, or nothing was.
        """
        return self._plan(self._wanted(collect, aggregators))

    @checked_keywords
    def explain(
        self,
        collect: Any = None,
        aggregators: Any = None,
        *,
        cache: bool | str | os.PathLike[str] | None = None,
    ) -> str:
        """What would run: the graph after all passes, and the plan, as text.

        Args:
            collect: As for `apply`.
            aggregators: As for `apply`.
            cache: As for `apply`: say of each scan whether a cache keeps its states. Nothing is looked up.
        """
        from hyped_beam.dsl.caching import cache_folder
        from hyped_beam.plan.caching import cached_scans
        from hyped_beam.plan.text import plan_text

        plan = self.plan(collect, aggregators)
        return plan_text(plan, caching=None if cache_folder(cache) is None else cached_scans(plan))

    @checked_keywords
    def plot(
        self,
        ax: Any = None,
        save: str | os.PathLike[str] | None = None,
        collect: Any = None,
        aggregators: Any = None,
    ) -> Any:
        """Draw the flow.

        Args:
            ax: The matplotlib axes to draw on; new ones by default.
            save: A file to save the picture to as well: `.svg`, `.png` or `.pdf`.
            collect: As for `apply`: draw what it needs instead of the whole flow.
            aggregators: As for `apply`.

        Returns:
            The matplotlib axes; a notebook shows them.
        """
        from hyped_beam.dsl.plot import draw

        graph, joins = self._drawn(collect, aggregators)
        return draw(graph, ax=ax, path=save, joins=joins)

    def _drawn(self, collect: Any, aggregators: Any) -> tuple[Graph, Mapping[int, Choice]]:
        outputs = Outputs(collect, aggregators) or self._outputs
        if not outputs:
            return self._builder.build(), {}
        plan = self._plan(outputs)
        return plan.graph, plan.joins

    def _repr_html_(self) -> str:
        from hyped_beam.dsl.plot import svg

        graph, joins = self._drawn(None, None)
        return svg(graph, joins=joins)

    def _wanted(self, collect: Any, aggregators: Any) -> Outputs:
        wanted = Outputs(collect, aggregators)
        if wanted:
            return wanted
        if self._outputs:
            return self._outputs
        raise DefinitionTypeError(
            "nothing was asked for",
            site=CallSite.nearest(),
            hint='say what: collect={"name": ref}, or aggregators={"name": ref}',
        )

    def _rows_plan(self, collect: Any) -> Plan:
        """The plan for rows alone."""
        outputs = self._wanted(collect, None)
        if outputs.collect is None:
            raise DefinitionTypeError(
                "no rows were asked for", site=CallSite.nearest(), hint='say which: collect={"name": ref}'
            )
        return self._plan(outputs if not outputs.has_aggregators else Outputs(outputs.collect))

    def _graph(self, outputs: Outputs) -> Graph:
        """The graph for some outputs, before any pass; a flow whose outputs are fixed has one."""
        if self._fixed is not None and outputs is self._fixed.outputs:
            return self._fixed.graph
        return graph_of(self._builder, outputs)

    def _plan(self, outputs: Outputs) -> Plan:
        """The plan for some outputs; a flow whose outputs are fixed has one."""
        if self._fixed is not None and outputs is self._fixed.outputs:
            return self._fixed.plan
        return plan_of(graph_of(self._builder, outputs))

    def __repr__(self) -> str:
        graph = self._builder.build() if self._fixed is None else prune(self._fixed.graph)
        nodes = sum(node.kind not in (Kind.SOURCE, Kind.CONST, Kind.SINK) for node in graph.nodes.values())
        counted = "1 node" if nodes == 1 else f"{nodes} nodes"
        return f"DataFlow({feature_types.describe(self._features)}, {counted})"

    def __reduce__(self) -> tuple[Any, ...]:
        # The builder is pickled once, by reference, so that refs that are pickled beside a flow stay its own.
        # What the batches of a built flow have added up to is known in the process that made it.
        fixed = self._fixed
        if fixed is None:
            return _restored, (type(self), self._source)
        added = fixed.added_to(self._builder)
        return _restored, (type(self), self._source, fixed.outputs, added, fixed.graph.scopes)


def _restored(
    kind: type[RecordedFlow],
    source: Ref,
    outputs: Outputs | None = None,
    added: Sequence[Node] = (),
    scopes: Sequence[Scope] = (),
) -> RecordedFlow:
    """The flow that was pickled."""
    load_library()
    load_entry_points()
    flow = kind.__new__(kind)
    fixed = None if outputs is None else FixedOutputs(outputs, with_added(builder_of(source), added, scopes))
    flow._record_into(source, fixed)  # noqa: SLF001 - of the class beside it
    return flow


def _features_hint(given: Any) -> str:
    if given is None:  # as a stream says that does not know its columns
        return 'say which columns the rows have: DataFlow(features={"text": "string"})'
    if isinstance(given, (str, os.PathLike)):
        return "give a reader of the files: DataFlow(features=ParquetReader(path))"
    return "write DataFlow(features=ds.features)"


def _read_features(given: Any) -> Any:
    try:
        if is_too_deep(given, DEEPEST + 1):  # before anything of datasets goes down into it
            raise TypeError(TOO_DEEP)  # noqa: TRY301 - reported like all that is wrong with features
        columns = feature_types.as_features(given)
        problem = feature_types.problem_with(columns)
        if problem is not None:
            raise ValueError(problem)  # noqa: TRY301 - as above
    except DefinitionError as error:
        error.site = CallSite.nearest()
        raise
    except (TypeError, ValueError) as error:
        raise DefinitionError(
            f"features= takes the columns of a dataset: {error}",
            site=CallSite.nearest(),
            hint=_features_hint(given),
        ) from None
    return columns
