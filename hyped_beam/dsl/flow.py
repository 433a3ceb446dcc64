"""`DataFlow`: records a flow, and applies it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from hyped_beam.dsl.aggregates import LiveAggregates
from hyped_beam.dsl.fixed import FixedOutputs, fixed_in
from hyped_beam.dsl.keywords import checked_keywords
from hyped_beam.dsl.one_batch import run_batch, run_batch_async
from hyped_beam.dsl.outputs import ROWS, refuse_scans
from hyped_beam.dsl.recorded import RecordedFlow
from hyped_beam.execute.stage import StageRunner
from hyped_beam.passes.prune import prune
from hyped_beam.types.spans import Span

if TYPE_CHECKING:
    import apache_beam as beam

    from hyped_beam.dsl.job import Job


class DataFlow(RecordedFlow):
    """A data flow: a source of rows, and the nodes that are called on them.

    Args:
        features: The columns of the rows: `datasets.Features`, a dict of features, an Arrow schema, or
            anything with features, such as a dataset or a reader.

    Raises:
        DefinitionError: They are no features.

    Example:
        >>> import datasets
        >>> from hyped_beam import DataFlow
        >>> ds = datasets.Dataset.from_dict({"text": ["to be", "or not to be"]})
        >>> flow = DataFlow(features=ds.features)
        >>> words = flow.src_features.text.split().length()
        >>> counted, _ = flow.apply(ds, collect={"words": words})
        >>> counted["words"][:]
        [2, 4]
    """

    @checked_keywords
    def build(self, collect: Any = None, aggregators: Any = None) -> tuple[DataFlow, LiveAggregates | None]:
        """A flow whose outputs are fixed, pruned to what they need.

        It has the graph of this flow: each takes the refs of the other.

        Args:
            collect: A ref to a struct, or a nested mapping of refs: the columns of the output rows.
            aggregators: A nested mapping of refs of the whole dataset.

        Returns:
            The flow, and a mapping that mirrors `aggregators`: what the flow's batches have added up to.
            The mapping is None where no aggregates were asked for.

        Raises:
            DefinitionError: What was asked are no refs of this flow.
        """
        outputs = self._wanted(collect, aggregators)
        fixed = FixedOutputs(outputs, self._graph(outputs))
        return self._of(self._source, fixed), LiveAggregates(fixed.state) if fixed.state else None

    @checked_keywords
    def fit(
        self,
        data: Any,
        collect: Any = None,
        num_proc: int | None = None,
        unseen: Literal["null", "error"] = "null",
        *,
        cache: bool | str | os.PathLike[str] | None = None,
    ) -> DataFlow:
        """A flow whose rows need no aggregates any more: those of a dataset have become constants.

        It has a graph of its own, which holds these constants, and refs of its own: more is recorded on its
        `src_features` and its `outputs["rows"]`. Refs of this flow, which stand for values of whatever data
        they are computed over, are refused there.

        Args:
            data: A dataset, a reader or a path.
            collect: A ref to a struct, or a nested mapping of refs: the columns of the output rows.
            num_proc: How many processes compute.
            unseen: What becomes of rows whose key no group of the dataset has: their values of groups are
                null, or they are an error.
            cache: A folder to keep what each file adds to the aggregates in, so that another run need not
                read files that have not changed; True for one in the `datasets` cache. By default none.

        Returns:
            The flow, with its outputs fixed: it serves batches, is applied, saved, or run as a job:
            `fitted.job(source=ds).write(collect=fitted.outputs["rows"], to=writer)`.

        Raises:
            DefinitionError: What was asked are no refs of this flow, or groups, which are not served, or the
                rows are made by `ops.distinct`, which looks at all rows of the data that it is applied to.
            InputError: The data is not what the flow takes.
            NodeError: A node raised on a row.

        Example:
            >>> import datasets
            >>> from hyped_beam import DataFlow
            >>> from hyped_beam.aggregators import Mean
            >>> ds = datasets.Dataset.from_dict({"n": [1.0, 2.0, 6.0]})
            >>> flow = DataFlow(features=ds.features)
            >>> n = flow.src_features.n
            >>> flow.fit(ds, collect={"d": n - Mean().call(n)}).batch_process({"n": [4.0]})
            {'d': [1.0]}
        """
        from hyped_beam.dsl.caching import cache_folder
        from hyped_beam.dsl.fitting import fitted_graph, on_its_own, refuse_groups_alone

        plan = self._rows_plan(collect)
        refuse_groups_alone(plan)
        graph = fitted_graph(data, plan, num_proc=num_proc, unseen=unseen, cache=cache_folder(cache))
        return self._of(*fixed_in(on_its_own(graph, self._features), "fitted"))

    @checked_keywords
    def freeze(
        self, aggregates: Any, collect: Any = None, unseen: Literal["null", "error"] = "null"
    ) -> DataFlow:
        """A flow whose rows need no aggregates any more: what batches have added up to has become constants.

        It does what `fit` does, without another look at the rows: from the states that live aggregates hold
        now. More batches change nothing of it. As of `fit`, the graph and the refs are its own.

        Args:
            aggregates: What `build` returned beside the flow, or `apply` beside an iterable dataset.
            collect: As for `fit`. The aggregates that these rows need must have been asked for there, or be
                what those are made of.
            unseen: As for `fit`.

        Returns:
            The flow, with its outputs fixed: it serves batches, is applied, saved, or run as a job.

        Raises:
            DefinitionError: No batch was computed yet, or the rows need what the aggregates do not hold.

        Example:
            >>> from hyped_beam import DataFlow
            >>> from hyped_beam.aggregators import Mean
            >>> flow = DataFlow(features={"n": "float64"})
            >>> n = flow.src_features.n
            >>> mean = Mean().call(n)
            >>> built, aggregates = flow.build(collect={"n": n}, aggregators={"mean": mean})
            >>> for batch in ([1.0, 2.0], [6.0]):
            ...     _ = built.batch_process({"n": batch})
            >>> flow.freeze(aggregates, collect={"d": n - mean}).batch_process({"n": [4.0]})
            {'d': [1.0]}
        """
        from hyped_beam.dsl.fitting import on_its_own, refuse_groups_alone
        from hyped_beam.dsl.freezing import frozen_graph

        plan = self._rows_plan(collect)
        refuse_groups_alone(plan)
        graph = frozen_graph(aggregates, plan, self._builder, unseen=unseen)
        return self._of(*fixed_in(on_its_own(graph, self._features), "frozen"))

    @checked_keywords
    def batch_process(self, batch: Any, index: Sequence[int] | None = None, collect: Any = None) -> Any:
        """Run the flow on one batch, in this process.

        Args:
            batch: A dict of lists, a `pyarrow.Table` or a `pyarrow.RecordBatch`; columns that the flow does
                not read may be missing.
            index: The numbers of the batch's rows, for messages.
            collect: What to compute, for a flow whose outputs are not fixed by `build`.

        Returns:
            The output rows, in the form in which the batch came.

        Raises:
            InputError: The batch is not what the flow takes.
            NodeError: A node raised on a row.
        """
        fixed = self._fixed
        if collect is None and fixed is not None:
            plan = fixed.plan
            refuse_scans(plan, "a batch")
            return run_batch(plan, fixed.runner.get(), batch, index, fixed.state)
        plan = self._plan(self._wanted(collect, None))
        refuse_scans(plan, "a batch")
        with StageRunner(plan.scan) as runner:
            return run_batch(plan, runner, batch, index, None)

    @checked_keywords
    async def abatch_process(self, batch: Any, index: Sequence[int] | None = None) -> Any:
        """The async twin of `batch_process`, for a flow whose outputs are fixed by `build`.

        Calls made at the same time are in flight together; coroutines of the flow's nodes interleave.

        Args:
            batch: As for `batch_process`.
            index: As for `batch_process`.

        Returns:
            The output rows, in the form in which the batch came.
        """
        fixed = self._fixed
        if fixed is None:
            self._wanted(None, None)
            return None
        refuse_scans(fixed.plan, "a batch")
        runner = await asyncio.to_thread(fixed.runner.get)
        if not runner.uses_loop:
            return await asyncio.to_thread(self.batch_process, batch, index)
        return await run_batch_async(fixed.plan, runner, batch, index, fixed.state)

    @checked_keywords
    def preview(self, data: Any, collect: Any = None, n: int = 5) -> Any:
        """The output for the first rows of a dataset, as a table that shows itself in a notebook.

        Args:
            data: A dataset, an iterable dataset, or a batch.
            collect: What to compute; may be left out for a flow whose outputs are fixed by `build`.
            n: How many rows of the dataset.

        Returns:
            A `pandas.DataFrame` with the rows that come of the first `n`: one for each, fewer where some are
            left out, more where lists are exploded. It shows all columns, in a terminal below each other
            where they are wider.
        """
        from hyped_beam.dsl.applying import check_positive
        from hyped_beam.dsl.preview import first_rows, frame_of

        check_positive(n=n)
        plan = self._rows_plan(collect)
        refuse_scans(plan, "a preview")
        with StageRunner(plan.scan) as runner:
            batch = first_rows(data, n, plan.graph.source.feature)
            result = runner.run(runner.source_batch(batch, (Span(batch.num_rows, 0),)))
        return frame_of(result.outputs[ROWS])

    @checked_keywords
    def apply(  # noqa: PLR0913 - those of `Dataset.map` that apply, and what is asked for
        self,
        data: Any,
        collect: Any = None,
        aggregators: Any = None,
        batch_size: int | None = None,
        num_proc: int | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        fit_on: str | None = None,
        *,
        cache: bool | str | os.PathLike[str] | None = None,
        load_from_cache_file: bool | None = None,
    ) -> tuple[Any, Any]:
        """Run the flow over a dataset.

        A `Dataset` is computed now, on this machine and without Beam, and written to Arrow files; an
        `IterableDataset` lazily, as it is read. Rows keep their order.

        Args:
            data: A `datasets.Dataset`, `DatasetDict`, `IterableDataset` or `IterableDatasetDict`.
            collect: A ref to a struct, or a nested mapping of refs: the columns of the result. May be left
                out for a flow whose outputs are fixed by `build`.
            aggregators: A nested mapping of refs of the whole dataset.
            batch_size: The most rows that a node is given at once.
            num_proc: How many processes compute a `Dataset`. More than one are refused for an iterable, which
                is computed by those who read it: the workers of a loader, or those of a writer's `consume`.
            cache_dir: The folder that the Arrow files of the result are in. By default that of the dataset's
                own files, as for `Dataset.map`; of a dataset in memory one that ends with the process.
                Refused for an iterable, which makes none.
            fit_on: For a dict of splits whose rows need aggregates: the split that they are taken from, or
                "each" for each its own.
            cache: A folder to keep what each file adds to the aggregates in, so that another run need not
                read files that have not changed; True for one in the `datasets` cache. By default none.
            load_from_cache_file: Whether the files of an earlier call are used, where data, nodes and their
                code are the same. By default they are where `datasets` caches (`disable_caching()`).

        Returns:
            A dataset of the kind that was given (None where no rows were asked for), and the aggregates:
            None where none were asked for, a dict for a `Dataset`, a live mapping for an iterable, and
            one of these per split for a dict of datasets.

        Raises:
            DefinitionError: What was asked are no refs of this flow, or an argument is wrong.
            InputError: The data is not what the flow takes.
            NodeError: A node raised on a row.
        """
        from hyped_beam.dsl.applying import apply_to
        from hyped_beam.dsl.caching import cache_folder

        return apply_to(
            data,
            self._plan(self._wanted(collect, aggregators)),
            batch_size=batch_size,
            num_proc=num_proc,
            cache_dir=cache_dir,
            fit_on=fit_on,
            cache=cache_folder(cache, cache_dir),
            load_from_cache_file=load_from_cache_file,
        )

    @checked_keywords
    def job(self, source: Any) -> Job:
        """A Beam job that reads a source and writes files.

        Args:
            source: A reader, a path, a URI or a dataset.

        Example:
            >>> from hyped_beam.io.readers.parquet import ParquetReader
            >>> from hyped_beam.io.writers.json import JsonDatasetWriter
            >>> reader = ParquetReader("examples/data/mail.parquet")
            >>> flow = DataFlow(features=reader)
            >>> src = flow.src_features
            >>> job = flow.job(source=reader).write(collect={"id": src.id}, to=JsonDatasetWriter("out/"))
        """
        from hyped_beam.dsl.job import Job
        from hyped_beam.dsl.sources import as_source

        return Job(self._builder, as_source(source, self._features), {})

    @checked_keywords
    def save(self, path: str | os.PathLike[str], collect: Any = None, aggregators: Any = None) -> None:
        """Save the flow and what is asked of it: a readable JSON file, without pickle.

        Equal flows give equal files. A flow that was saved there before is replaced, whole or not at all.
        Large constants go into an Arrow file beside it.

        Args:
            path: The file.
            collect: As for `apply`; may be left out for a flow whose outputs are fixed by `build`.
            aggregators: As for `apply`.

        Raises:
            DefinitionError: A node cannot be saved: its class is of `__main__` or a notebook, local to a
                function or a lambda, or JSON does not hold one of its options.
            InputError: The file is something else than a saved flow, or cannot be written.

        Example:
            >>> import tempfile
            >>> flow = DataFlow(features={"text": "string"})
            >>> path = tempfile.mkdtemp() + "/flow.json"
            >>> flow.save(path, collect={"words": flow.src_features.text.split().length()})
            >>> DataFlow.load(path).batch_process({"text": ["to be"]})
            {'words': [2]}
        """
        from hyped_beam.dsl.saved import save_graph

        save_graph(prune(self._graph(self._wanted(collect, aggregators))), path)

    @staticmethod
    @checked_keywords
    def load(
        path: str | os.PathLike[str],
        modules: Iterable[str | ModuleType] = (),
        hosts: Iterable[str] = (),
    ) -> DataFlow:
        """The flow that was saved in a file; its outputs are fixed, as those of a flow that was built.

        Nothing in the file is executed, and what is imported for it are the nodes of the library and of
        installed packages, and of the modules that are named here. No file is opened but this one and that of
        large constants beside it, nothing is asked of the network, and no variable of the environment is
        looked up.

        Args:
            path: The file.
            modules: Modules with processors and aggregators of your own, by name; a package stands for
                the modules inside it, too.
            hosts: Hosts (and ports) at which the tables of lookups may lie, such as "minio.example.com:9000":
                reading one may give the host your credentials. Buckets of S3 and Google Cloud Storage, the
                Hugging Face Hub and files of this machine need no host.

        Raises:
            InputError: It is no saved flow, was changed by hand to something else, is of another version,
                or needs modules or hosts that are not named.
        """
        from hyped_beam.dsl.saved import load_graph

        return DataFlow._of(*fixed_in(load_graph(path, modules, hosts), "loaded"))

    @checked_keywords
    def as_transform(self, collect: Any = None) -> beam.PTransform:
        """The flow as a Beam transform, for somebody's own pipeline.

        Args:
            collect: As for `apply`.

        Returns:
            A `PTransform` from a PCollection of `pyarrow.RecordBatch` to one of `pyarrow.RecordBatch`, or
            from one of Beam rows to one of Beam rows.
        """
        from hyped_beam.launch.running import import_beam

        import_beam()
        from hyped_beam.dsl.transform import FlowTransform

        return FlowTransform(self._rows_plan(collect))
