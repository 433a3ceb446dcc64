"""One processor made ready to run: its inputs in the form it takes, its result checked and conformed."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import pyarrow as pa

from hyped_beam.errors import shortened
from hyped_beam.types import arrays
from hyped_beam.types.arrays import Value
from hyped_beam.types.indexed import Indexed


class RowError(Exception):
    """A row on which a node raised; the cause is what it raised.

    Attributes:
        row: Number of the row in the batch that the node was given; None where it is not known.
    """

    def __init__(self, row: int | None) -> None:
        super().__init__(row)
        self.row = row


class ResultError(Exception):
    """A node returned something else than it declares; the cause says what, and what was expected.

    Attributes:
        kind: What is wrong about it: "type" or "length".
    """

    def __init__(self, kind: Literal["type", "length"]) -> None:
        super().__init__(kind)
        self.kind = kind


@contextlib.contextmanager
def checking_result() -> Iterator[None]:
    """A context whose errors are those of a result that has the wrong type.

    Raises:
        ResultError: The result has the wrong type, or the wrong length.
    """
    try:
        yield
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise ResultError("type") from error


def check_length(result: Any, rows: int, message: str) -> None:
    """Refuse a result that has not one value for each row.

    Raises:
        ResultError: It has more or fewer.
    """
    if len(result) != rows:
        raise ResultError("length") from ValueError(message)


class ProcessorRuntime:
    """A processor that runs.

    Args:
        operation: The processor.
        output_type: The Arrow type that the flow has given its output.
    """

    def __init__(self, operation: Any, output_type: pa.DataType) -> None:
        self.node = operation.runtime_copy(output_type)
        self.interface = operation.interface()
        self.output_type = output_type
        self._accepts_scalars = operation.accepts_scalars
        self.tells_rows_apart = operation.tells_rows_apart

    @property
    def coroutine(self) -> bool:
        """Whether it must run in an event loop."""
        return self.interface.coroutine

    def hook(self, name: str) -> Callable[[], Awaitable[None] | None] | None:
        """`setup` or `teardown`, where the node has it."""
        return getattr(self.node, name, None)

    @property
    def needs_loop(self) -> bool:
        """Whether its hooks or its work are coroutines."""
        hooks = (self.hook("setup"), self.hook("teardown"))
        return self.coroutine or any(inspect.iscoroutinefunction(hook) for hook in hooks if hook)

    def prepare(self) -> None:
        """Import what the first values of Python's need to become columns, so that no row waits for it."""
        if self.interface.row_wise:
            arrays.from_values([], self.output_type)

    def run(self, inputs: Mapping[str, Value], rows: int) -> Value:
        """The output for one batch.

        Args:
            inputs: The inputs by name; those left out are missing.
            rows: The number of rows of the batch.

        Raises:
            RowError: It raised on a row, and it works row by row.
            ResultError: Its result has the wrong type or length.
            Exception: Whatever `process` raised.
        """
        if self.interface.row_wise:
            results = []
            for number, values in enumerate(self.row_values(inputs, rows)):
                try:
                    results.append(None if values is None else self.node.process_row(**values))
                except (Exception, SystemExit) as error:
                    raise RowError(number) from error
            return self.from_rows(results)
        return self.from_columns(self.node.process(**self.column_inputs(inputs, rows)), rows)

    def column_inputs(self, inputs: Mapping[str, Value], rows: int) -> dict[str, Any]:
        """The inputs as `process` takes them."""
        scalars = self._accepts_scalars and not all(isinstance(value, pa.Scalar) for value in inputs.values())
        return {
            name: value
            if (scalars and isinstance(value, pa.Scalar)) or isinstance(value, Indexed)
            else arrays.for_kernels(arrays.whole(value, rows))
            for name, value in inputs.items()
        }

    def row_values(self, inputs: Mapping[str, Value], rows: int) -> list[dict[str, Any] | None]:
        """The Python values of each row; None for rows that are skipped because an input is null."""
        names = list(inputs)
        columns = [
            [value.as_py()] * rows if isinstance(value, pa.Scalar) else arrays.whole(value, rows).to_pylist()
            for value in inputs.values()
        ]
        strict = [
            position
            for position, name in enumerate(names)
            if not (name in self.interface.inputs and self.interface.inputs[name].admits_null)
        ]
        return [
            None if any(row[position] is None for position in strict) else dict(zip(names, row, strict=True))
            for row in (zip(*columns, strict=True) if columns else ([()] * rows))
        ]

    def from_columns(self, result: Any, rows: int) -> Value:
        """What `process` returned, checked and in the declared type.

        Raises:
            ResultError: It is of another type, or has another number of rows.
        """
        with checking_result():
            return self._checked(result, rows)

    def _checked(self, result: Any, rows: int) -> Value:
        if isinstance(result, tuple) and hasattr(result, "_asdict"):
            result = result._asdict()
        if isinstance(result, Mapping) and pa.types.is_struct(arrays.storage_type(self.output_type)):
            wanted = {field.name: field.type for field in self.output_type}
            if set(result) != set(wanted):
                msg = f"returned the outputs {sorted(result)}, where {sorted(wanted)} are declared"
                raise TypeError(msg)
            return {
                name: value
                if isinstance(value := result[name], Mapping)
                else self._column(value, kind, rows, f"{name}: ")
                for name, kind in wanted.items()
            }
        return self._column(result, self.output_type, rows, "")

    def _column(self, result: Any, arrow_type: pa.DataType, rows: int, prefix: str) -> pa.Array:
        if isinstance(result, pa.ChunkedArray):
            result = result.combine_chunks()
        if isinstance(result, pa.Scalar):
            result = arrays.full(result, rows)
        if not isinstance(result, pa.Array):
            if not isinstance(result, Sequence) and not hasattr(result, "__array__"):
                msg = f"{prefix}returned {type(result).__name__}, where a column of {arrow_type} is declared"
                raise TypeError(msg)
            result = _from_sequence(result, arrow_type, prefix)
        check_length(result, rows, f"{prefix}returned {len(result)} rows for {rows}")
        try:
            return arrays.conform(result, arrow_type)
        except TypeError as error:
            msg = f"{prefix}{error}"
            raise TypeError(msg) from None

    def from_rows(self, results: list[Any]) -> Value:
        """What `process_row` returned for each row, as columns; None is a null row.

        Raises:
            RowError: A row is of another type than declared.
        """
        try:
            if self.interface.record is not None or isinstance(self.interface.output, Mapping):
                return {
                    field.name: arrays.from_values(
                        [None if row is None else _field(row, field.name) for row in results], field.type
                    )
                    for field in self.output_type
                }
            return arrays.from_values(results, self.output_type)
        except (pa.ArrowException, TypeError, ValueError, KeyError, AttributeError, OverflowError):
            if len(results) <= 1:
                raise RowError(0) from self._wrong_type(results)
            for number, row in enumerate(results):
                try:
                    self.from_rows([row])
                except RowError as found:
                    found.row = number
                    raise found from found.__cause__
            raise

    def _wrong_type(self, results: list[Any]) -> TypeError:
        shown = shortened(results[0]) if results else "nothing"
        return TypeError(f"returned {shown}, where {self.output_type} is declared")


def _from_sequence(result: Any, arrow_type: pa.DataType, prefix: str) -> pa.Array:
    try:
        return arrays.from_values(result, arrow_type)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        msg = f"{prefix}returned {type(result).__name__} that is not a column of {arrow_type}: {error}"
        raise TypeError(msg) from error


def _field(row: Any, name: str) -> Any:
    return row[name] if isinstance(row, Mapping) else getattr(row, name)
