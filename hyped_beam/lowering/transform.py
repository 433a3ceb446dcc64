"""A stage inside somebody else's pipeline: record batches or rows in, the same out."""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from hyped_beam.errors import InputError, listed
from hyped_beam.execute.batch import Batch
from hyped_beam.execute.batch_result import BatchResult
from hyped_beam.execute.stage import StageRunner
from hyped_beam.types import arrays

BUNDLE_ROWS = 8192
"""The most rows of a bundle that are computed as one batch."""


class _Stage(beam.DoFn):
    """A stage that is open for as long as its worker keeps the DoFn.

    Args:
        program: The pickled program.
        output: The name of the output that is passed on.
        schema: The columns that the program reads.
    """

    def __init__(self, program: bytes, output: str, schema: pa.Schema) -> None:
        self.program = program
        self.output = output
        self.schema = schema
        self._runner: StageRunner | None = None

    def setup(self) -> None:
        self._runner = StageRunner(pickle.loads(self.program))  # noqa: S301 - made by the pipeline's author
        self._runner.open()

    def running(self) -> StageRunner:
        """The open executor; no property, because Beam looks at every attribute before `setup`."""
        assert self._runner is not None, "setup() runs first"  # noqa: S101 - Beam's promise
        return self._runner

    def teardown(self) -> None:
        if self._runner is not None:
            self._runner.close()


class OnRecordBatches(_Stage):
    """A stage on record batches, several of a bundle in flight where nodes are coroutines."""

    def start_bundle(self) -> None:
        self._flying: deque[tuple[Future[BatchResult], Timestamp, Any]] = deque()

    def process(
        self,
        element: pa.RecordBatch,
        timestamp: Any = beam.DoFn.TimestampParam,
        window: Any = beam.DoFn.WindowParam,
    ) -> Iterator[pa.RecordBatch]:
        program = self.running().program
        if not isinstance(element, pa.RecordBatch):
            msg = (
                f"the flow takes pyarrow.RecordBatch or Beam rows with a schema, got {type(element).__name__}"
                " declare them with .with_output_types(...), or make them with beam.Row(...)"
            )
            raise TypeError(msg)
        columns = {field.name: _column(element, field) for field in self.schema}
        batch = Batch({program.takes[0]: columns}, element.num_rows)
        self._flying.append((self.running().submit(batch), timestamp, window))
        if not self.running().uses_loop or len(self._flying) >= self.running().in_flight:
            yield self._landed()

    def _landed(self) -> WindowedValue:
        future, timestamp, window = self._flying.popleft()
        return WindowedValue(future.result().outputs[self.output], timestamp, [window])

    def finish_bundle(self) -> Iterator[WindowedValue]:
        while self._flying:
            yield self._landed()


class OnRows(_Stage):
    """A stage on Beam rows, computed as batches of the rows of a bundle."""

    def start_bundle(self) -> None:
        self._rows: list[Any] = []
        self._places: list[tuple[Any, Any]] = []

    def process(
        self, element: Any, timestamp: Any = beam.DoFn.TimestampParam, window: Any = beam.DoFn.WindowParam
    ) -> Iterator[WindowedValue]:
        self._rows.append(element)
        self._places.append((timestamp, window))
        if len(self._rows) >= BUNDLE_ROWS:
            yield from self._compute()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        if self._rows:
            yield from self._compute()

    def _compute(self) -> Iterator[WindowedValue]:
        rows, places = self._rows, self._places
        self._rows, self._places = [], []
        program = self.running().program
        columns = {
            field.name: arrays.from_values([_python(getattr(row, field.name)) for row in rows], field.type)
            for field in self.schema
        }
        batch = Batch({program.takes[0]: columns}, len(rows))
        result = self.running().run(batch)
        (output,) = program.outputs
        origins = batch.origins(program.scopes, output.scope)
        for values, origin in zip(result.outputs[self.output].to_pylist(), origins, strict=True):
            timestamp, window = places[origin]
            yield WindowedValue(beam.Row(**values), timestamp, [window])


def _column(batch: pa.RecordBatch, field: pa.Field) -> pa.Array:
    """A column of a batch in the type that the program takes."""
    if field.name not in batch.schema.names:
        msg = f"the batch has no column {field.name!r}, which the flow reads"
        raise InputError(msg, hint=f"it has: {listed(batch.schema.names)}")
    column = batch.column(field.name)
    try:
        return arrays.conform(column, field.type)
    except (TypeError, pa.ArrowException):
        msg = f"column {field.name!r} is {column.type}, the flow takes {field.type}"
        raise InputError(msg) from None


def _python(value: Any) -> Any:
    """A value inside a Beam row as Arrow takes it."""
    if hasattr(value, "_asdict"):
        return {name: _python(inner) for name, inner in value._asdict().items()}
    if isinstance(value, Timestamp):
        return value.to_utc_datetime(has_tz=True)
    if isinstance(value, Mapping):
        return {name: _python(inner) for name, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [_python(inner) for inner in value]
    return value
