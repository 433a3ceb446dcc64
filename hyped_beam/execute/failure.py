"""From an exception inside a node to the row that is at fault."""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import pyarrow as pa

from hyped_beam.errors import NOT_THE_USERS, CallSite, NodeError, error_text, error_type
from hyped_beam.ir.scope import Scope
from hyped_beam.nodes.runtime import RowError
from hyped_beam.plan.program import Program
from hyped_beam.types import arrays
from hyped_beam.types.arrays import Value
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


class Place:
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

    def behind(self, rows: int) -> Place:
        """The place some rows further on."""
        return Place(self._step, self._held, self._program, self._chosen, self._start + rows)

    def of(self, row: int | None) -> Span | None:
        """Where in the source one of these rows is, or the one that it was made from."""
        if row is None:
            return None
        row += self._start
        if self._chosen is not None:
            row = self._chosen[row].as_py()
        return self._held.span_of(self._program.scopes, self._step.rows, row)


def found_error(
    error: BaseException,
    run: Callable[[Mapping[str, Value], int], Any],
    step: Any,
    inputs: Mapping[str, Value],
    rows: int,
    place: Place,
) -> NodeError:
    """The error to report for a step that raised on a batch: of the first row on which it raises alone."""
    row = find_row(run, inputs, rows) if step.operation.repeatable else None
    alone = error if row is None else error_at(run, inputs, row, error)
    return node_error(alone, step, inputs, row, place)


def node_error(
    error: BaseException, step: Any, inputs: Mapping[str, Value], row: int | None, place: Place | None
) -> NodeError:
    """The error to report.

    Args:
        error: What was raised.
        step: The step that raised.
        inputs: The inputs that it was given.
        row: The row at fault, counted in these inputs; None where it is not known.
        place: Where these rows are; None where it is not known.
    """
    cause = error.__cause__ if isinstance(error, RowError) and error.__cause__ is not None else error
    where = (None if place is None else place.of(row)) or Span(1, None)
    return NodeError(
        node=step.name,
        cause=f"{error_type(cause)}: {error_text(cause)}",
        site=step.site,
        row=where.first,
        data_file=where.path,
        data_row=where.first_in_file,
        values="" if row is None else row_line(inputs, row),
        trace="".join(traceback.format_exception(cause)),
        raised_in=_raised_in(cause),
        hint=_hint_of(cause),
    )


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


def error_at(
    run: Callable[[Mapping[str, Value], int], Any],
    inputs: Mapping[str, Value],
    row: int,
    error: BaseException,
) -> BaseException:
    """What a node raises on one row alone; what it raised on the batch, if it then raises nothing."""
    try:
        run(slice_inputs(inputs, row, 1), 1)
    except RAISED as alone:
        return alone
    return error


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


def find_row(
    run: Callable[[Mapping[str, Value], int], Any], inputs: Mapping[str, Value], rows: int
) -> int | None:
    """The first row on which a node raises, by halving the batch; None where no single row is at fault."""
    start, length = 0, rows
    while length > 1:
        half = length // 2
        try:
            run(slice_inputs(inputs, start, half), half)
        except RAISED:
            length = half
        else:
            start, length = start + half, length - half
    if length != 1:
        return None
    try:
        run(slice_inputs(inputs, start, 1), 1)
    except RAISED:
        return start
    return None
