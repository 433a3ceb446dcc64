"""From an exception inside a node to the row that is at fault."""

from __future__ import annotations

import functools
import sysconfig
import traceback
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Protocol

import pyarrow as pa

from hyped_beam.errors import NOT_THE_USERS, CallSite, NodeError, error_text, error_type
from hyped_beam.ir.scope import Scope
from hyped_beam.nodes.configuration import Operator, secret_values
from hyped_beam.nodes.runtime import ResultError, RowError
from hyped_beam.plan.program import Program
from hyped_beam.types import arrays
from hyped_beam.types.arrays import Value
from hyped_beam.types.environment import without_secrets
from hyped_beam.types.spans import Span

STANDARD_LIBRARY = sysconfig.get_paths()["stdlib"]

RAISED = (Exception, SystemExit)
"""What is an error of the node that raised it: `sys.exit()` in a node ends no program."""

LINE = 200
"""The most characters of a row in a message."""


class Held(Protocol):
    """What holds rows: a batch, or what was taken of several."""

    def span_of(self, scopes: Sequence[Scope], scope: int, row: int) -> Span | None:
        """Where in the source a row of a scope is, or the one that it was made from."""


class RowLocation:
    """Where in the source the rows are that a step was given.

    Args:
        step: The step.
        held: What holds the rows.
        program: The program of the stage.
        chosen: The numbers of the rows that it was given; None for all.
        start: How many rows come before them.
    """

    def __init__(
        self, step: Any, held: Held, program: Program, chosen: pa.Array | None = None, start: int = 0
    ) -> None:
        self._step = step
        self._held = held
        self._program = program
        self._chosen = chosen
        self._start = start

    def after(self, rows: int) -> RowLocation:
        """Return the location some rows further on."""
        return RowLocation(self._step, self._held, self._program, self._chosen, self._start + rows)

    def of(self, row: int | None) -> Span | None:
        """Where in the source one of these rows is, or the one that it was made from."""
        if row is None:
            return None
        row += self._start
        if self._chosen is not None:
            row = self._chosen[row].as_py()
        return self._held.span_of(self._program.scopes, self._step.input_scope, row)


def found_error(
    error: BaseException,
    run: Callable[[Mapping[str, Value], int], Any],
    step: Any,
    inputs: Mapping[str, Value],
    rows: int,
    place: RowLocation,
) -> NodeError:
    """The error to report for a step that failed on a batch.

    An exception that a row raises alone as well is reported as the first such row raises it; what
    is wrong with a result is said of the batch.
    """
    found = find_row(run, inputs, rows, error) if step.operation.repeatable else None
    if found is None:
        return node_error(error, step, inputs, None, place)
    row, alone = found
    return node_error(error if isinstance(error, ResultError) else alone, step, inputs, row, place)


def node_error(
    error: BaseException, step: Any, inputs: Mapping[str, Value], row: int | None, place: RowLocation | None
) -> NodeError:
    """The error to report.

    Args:
        error: What was raised.
        step: The step that raised.
        inputs: The inputs that it was given.
        row: The row at fault, counted in these inputs; None where it is not known.
        place: Where these rows are; None where it is not known.
    """
    cause = cause_of(error)
    shown = functools.partial(masked, step)
    hint = _hint_of(cause)
    where = (None if place is None else place.of(row)) or Span(1, None)
    return NodeError(
        node=step.name,
        cause=shown(f"{error_type(cause)}: {error_text(cause)}"),
        site=step.site,
        row=where.first,
        data_file=where.path,
        data_row=where.first_in_file,
        values="" if row is None else shown(row_line(inputs, row)),
        trace=shown("".join(traceback.format_exception(cause))),
        raised_in=_raised_in(cause),
        hint=None if hint is None else shown(hint),
    )


def masked(step: Any, text: str) -> str:
    """A text in which no secret of a step's node can be read."""
    return without_secrets(
        text, secret_values(step.operation) if isinstance(step.operation, Operator) else []
    )


def shown_cause(error: BaseException, step: Any) -> BaseException:
    """What was raised, to be the cause of the error that is reported: tracebacks show it.

    Where that would show a secret of the node, it is an exception of the same name that says the
    same without.
    """
    cause = cause_of(error)
    trace = "".join(traceback.format_exception(cause))
    without = masked(step, trace)
    if without == trace:
        return cause
    named = {"__module__": type(cause).__module__}
    copy: Exception = type(error_type(cause), (Exception,), named)(masked(step, error_text(cause)))
    copy.add_note(without)
    return copy


def _hint_of(cause: BaseException) -> str | None:
    """Return the hint that an exception brings along, where it has one."""
    try:
        hint = getattr(cause, "hint", None)
    except Exception:  # noqa: BLE001 - a property of the user's
        return None
    return hint if isinstance(hint, str) else None


def _raised_in(cause: BaseException) -> str:
    """The innermost line that is the user's: neither this package's nor an installed library's."""
    for frame in reversed(traceback.extract_tb(cause.__traceback__)):
        is_library = "site-packages" in frame.filename or frame.filename.startswith(STANDARD_LIBRARY)
        if not is_library and not frame.filename.startswith(NOT_THE_USERS):
            return f"{CallSite(frame.filename, frame.lineno or 0)}, {frame.name}"
    return ""


def row_line(inputs: Mapping[str, Value], row: int) -> str:
    """The values of one row, cut to a line."""
    shares = max(LINE // max(len(inputs), 1), 20)
    shown = []
    for name, value in inputs.items():
        scalar = value if isinstance(value, pa.Scalar) else arrays.whole(slice_value(value, row, 1), 1)[0]
        try:
            text = repr(scalar.as_py())
        except (OverflowError, ValueError):  # a time beyond what Python's datetime holds
            text = f"<{scalar.type} beyond the years 1 to 9999>"
        shown.append(f"{name}={text if len(text) <= shares else text[: shares - 3] + '...'}")
    return ", ".join(shown)


def slice_value(value: Value, start: int, rows: int) -> Value:
    """Some rows of a value."""
    if isinstance(value, pa.Scalar):
        return value
    if isinstance(value, Mapping):
        return {name: slice_value(column, start, rows) for name, column in value.items()}
    return value.slice(start, rows)


def slice_inputs(inputs: Mapping[str, Value], start: int, rows: int) -> dict[str, Value]:
    """Some rows of all inputs."""
    return {name: slice_value(value, start, rows) for name, value in inputs.items()}


def row_search(rows: int, *, some_pass: bool = False) -> Generator[tuple[int, int], bool, int | None]:
    """Find the first row that fails alone by halving a batch.

    It yields the start and the number of rows of what is to be tried, is sent whether that fails as the batch
    does, and returns the row; None where no single row is at fault.

    Args:
        rows: The number of rows of the batch.
        some_pass: Whether a row is only at fault where others pass.
    """
    start, length, passed = 0, rows, rows == 1
    while length > 1:
        half = length // 2
        if (yield start, half):
            length = half
        else:
            start, length, passed = start + half, length - half, True
    if length != 1 or not (yield start, 1):
        return None
    return start if passed or not some_pass else None


def find_row(
    run: Callable[[Mapping[str, Value], int], Any],
    inputs: Mapping[str, Value],
    rows: int,
    error: BaseException,
) -> tuple[int, BaseException] | None:
    """The first row on which a node fails alone as it does on the batch, and the error there.

    Args:
        run: Runs the node.
        inputs: The inputs.
        rows: The number of rows.
        error: What it raised on the batch.
    """
    search = row_search(rows, some_pass=is_length(error))
    raised = error
    try:
        start, length = next(search)
        while True:
            failed = False
            try:
                run(slice_inputs(inputs, start, length), length)
            except RAISED as other:
                failed = is_alike(error, other)
                raised = other if failed else raised
            start, length = search.send(failed)
    except StopIteration as found:
        return None if found.value is None else (found.value, raised)


def cause_of(error: BaseException) -> BaseException:
    """What was raised, without what says only where."""
    wraps = isinstance(error, (RowError, ResultError)) and error.__cause__ is not None
    return cause_of(error.__cause__) if wraps and error.__cause__ is not None else error


def is_length(error: BaseException) -> bool:
    """Whether a node returned too many or too few rows."""
    return isinstance(error, ResultError) and error.kind == "length"


def is_alike(error: BaseException, other: BaseException) -> bool:
    """Whether two failures are of one kind: raised as the same exception, or wrong in the same way."""
    if isinstance(error, ResultError) or isinstance(other, ResultError):
        return isinstance(error, ResultError) and isinstance(other, ResultError) and error.kind == other.kind
    one, two = cause_of(error), cause_of(other)
    return isinstance(two, type(one)) or isinstance(one, type(two))
