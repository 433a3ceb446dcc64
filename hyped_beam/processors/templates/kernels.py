"""Templates that are only text, fields and simple filters, as Arrow kernels over columns.

A kernel is used only where it gives what Jinja gives. What it cannot do for a batch (`NoKernelError`) is
rendered row by row, and the few values for which it would differ (case beyond ASCII) are computed in Python.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.processors.templates.fields import Path, path_of

if TYPE_CHECKING:
    from jinja2 import nodes

Step: TypeAlias = tuple[str, tuple[Any, ...]]
"""A filter and its arguments."""


class NoKernelError(Exception):
    """There is no kernel for the values of a batch."""


@dataclass(frozen=True)
class Field:
    """A field of the row, filtered.

    Attributes:
        path: Which field.
        steps: The filters, first to last.
    """

    path: Path
    steps: tuple[Step, ...] = ()


Piece: TypeAlias = "str | Field"


def pieces_of(tree: nodes.Template) -> list[Piece] | None:
    """The pieces that a template puts together; None where it is more than that."""
    from jinja2 import nodes

    pieces: list[Piece] = []
    for output in tree.body:
        if not isinstance(output, nodes.Output):
            return None
        for node in output.nodes:
            piece = node.data if isinstance(node, nodes.TemplateData) else _piece(node)
            if piece is None:
                return None
            pieces.append(piece)
    return pieces


def _piece(node: nodes.Node) -> Piece | None:
    from jinja2 import nodes

    if isinstance(node, nodes.Const) and isinstance(node.value, (str, int)):
        return str(node.value)
    steps: list[Step] = []
    while isinstance(node, nodes.Filter) and node.node is not None:
        step = _step(node)
        if step is None:
            return None
        steps.append(step)
        node = node.node
    path = path_of(node)
    return Field(path, tuple(reversed(steps))) if path else None


def _step(node: nodes.Filter) -> Step | None:
    from jinja2 import nodes

    name = {"count": "length", "d": "default"}.get(node.name, node.name)
    if name not in _FILTERS or node.kwargs or node.dyn_args or node.dyn_kwargs:
        return None
    arguments = tuple(arg.value for arg in node.args if isinstance(arg, nodes.Const))
    is_known = len(arguments) == len(node.args) and _FILTERS[name].takes(arguments)
    return (name, arguments) if is_known else None


def render(pieces: Sequence[Piece], row: pa.StructArray, most: int) -> pa.Array:
    """Put pieces together for all rows, none of which is null.

    Args:
        pieces: The pieces.
        row: The rows.
        most: How many bytes a row's output, and each value on the way to it, may have for kernels.

    Raises:
        NoKernelError: It cannot be done with kernels for these rows.
    """
    parts = [piece if isinstance(piece, str) else _filtered(piece, row, most) for piece in pieces]
    if sum(len(part) if isinstance(part, str) else _longest(part) for part in parts) > most:
        raise NoKernelError  # rendering them one by one says which is too long
    large = any(not isinstance(part, str) and pa.types.is_large_string(part.type) for part in parts)
    kind = pa.large_string() if large else pa.string()
    arguments = [pa.scalar(part, kind) if isinstance(part, str) else part.cast(kind) for part in [*parts, ""]]
    if all(isinstance(part, str) for part in parts):
        return pa.repeat(pa.scalar("".join(str(part) for part in parts), kind), len(row))
    if len(parts) == 1:
        return arguments[0]
    return pc.binary_join_element_wise(*arguments)


def _longest(column: pa.Array) -> int:
    """The bytes of the longest text."""
    return int(pc.max(pc.binary_length(column)).as_py() or 0)


def _filtered(piece: Field, row: pa.StructArray, most: int) -> pa.Array:
    column = _column(piece.path, row)
    for name, arguments in piece.steps:
        if name == "replace":
            column = as_text(column)
            old, new = (len(argument.encode()) for argument in arguments)
            longest = _longest(column)
            if longest + longest // old * max(new - old, 0) > most:
                raise NoKernelError
        column = _FILTERS[name].apply(column, *arguments)
    return as_text(column)


def _column(path: Path, row: pa.StructArray) -> pa.Array:
    column = row
    for name in path:
        if not pa.types.is_struct(column.type) or column.type.get_field_index(name) < 0 or column.null_count:
            raise NoKernelError  # an attribute of another value, or of None
        column = pc.struct_field(column, name)
    return column


def as_text(column: pa.Array) -> pa.Array:
    """What Jinja prints for the values of a column: what `str` gives."""
    kind = column.type
    if _is_text(kind):
        text = column
    elif pa.types.is_integer(kind):
        text = pc.cast(column, pa.string())
    elif pa.types.is_boolean(kind):
        text = pc.if_else(column, "True", "False")
    else:
        return pa.array([str(value) for value in column.to_pylist()], pa.string())
    return pc.fill_null(text, "None") if text.null_count else text


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _cased(
    kernel: Callable[[pa.Array], pa.Array], python: Callable[[str], str]
) -> Callable[[pa.Array], pa.Array]:
    """Arrow's case of ASCII, Python's of everything else: they differ in what is longer, final or dotted."""

    def apply(column: pa.Array) -> pa.Array:
        text = as_text(column)
        ascii_only = pc.string_is_ascii(text)
        cased = kernel(text)
        if pc.all(ascii_only).as_py() is not False:
            return cased
        others = pc.invert(ascii_only)
        values = [python(value) for value in text.filter(others).to_pylist()]
        return pc.replace_with_mask(cased, others, pa.array(values, text.type))

    return apply


def _trim(column: pa.Array, characters: str | None = None) -> pa.Array:
    text = as_text(column)
    if characters == "":
        return text
    return pc.utf8_trim(text, _white_space() if characters is None else characters)


@lru_cache(maxsize=1)
def _white_space() -> str:
    """All that `str.strip` strips; Arrow's own notion of white space differs."""
    return "".join(chr(code) for code in range(0x3001) if chr(code).isspace())


def _replace(column: pa.Array, old: str, new: str) -> pa.Array:
    return pc.replace_substring(as_text(column), old, new)


def _length(column: pa.Array) -> pa.Array:
    if column.null_count:
        raise NoKernelError  # len(None) raises, at its row
    if _is_text(column.type):
        return pc.utf8_length(column)
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return pc.list_value_length(column)
    raise NoKernelError


def _default(column: pa.Array, value: str = "", falsy: bool = False) -> pa.Array:  # noqa: FBT001, FBT002 - as in Jinja
    if not falsy:
        return column  # a field is always defined, also where it is None
    if not _is_text(column.type):
        raise NoKernelError
    empty = pc.fill_null(pc.equal(pc.binary_length(column), 0), True)  # noqa: FBT003 - the value to fill in
    return pc.if_else(empty, pa.scalar(value, column.type), column)


@dataclass(frozen=True)
class _Filter:
    """A filter of Jinja as a kernel, and the constant arguments for which it is one."""

    apply: Callable[..., pa.Array]
    takes: Callable[[tuple[Any, ...]], bool]


def _none(arguments: tuple[Any, ...]) -> bool:
    return not arguments


def _texts(most: int) -> Callable[[tuple[Any, ...]], bool]:
    return lambda arguments: len(arguments) <= most and all(isinstance(item, str) for item in arguments)


def _takes_default(arguments: tuple[Any, ...]) -> bool:
    value, flags = arguments[:1], arguments[1:]
    return _texts(1)(value) and len(flags) <= 1 and all(isinstance(flag, bool) for flag in flags)


def _takes_replace(arguments: tuple[Any, ...]) -> bool:
    return len(arguments) == len(("old", "new")) and _texts(2)(arguments) and arguments[0] != ""


_FILTERS: Mapping[str, _Filter] = {
    "lower": _Filter(_cased(pc.ascii_lower, str.lower), _none),
    "upper": _Filter(_cased(pc.ascii_upper, str.upper), _none),
    "capitalize": _Filter(_cased(pc.ascii_capitalize, str.capitalize), _none),
    "trim": _Filter(_trim, _texts(1)),
    "string": _Filter(as_text, _none),
    "length": _Filter(_length, _none),
    "replace": _Filter(_replace, _takes_replace),
    "default": _Filter(_default, _takes_default),
}
