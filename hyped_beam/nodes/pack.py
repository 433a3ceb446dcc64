"""`collect`: refs and constants put together to structs and lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.errors import CallSite, DefinitionTypeError
from hyped_beam.ir.graph import Edge, Source
from hyped_beam.nodes import call
from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.refs import Ref, builder_of, edge_of
from hyped_beam.nodes.registry import register
from hyped_beam.types import arrays, features
from hyped_beam.types.features import Feature
from hyped_beam.types.nesting import DEEPEST, TOO_DEEP, is_too_deep
from hyped_beam.types.patterns import AnyColumn, StructColumn


@register
class PackStruct(Processor):
    """A struct of its inputs, under their names."""

    passes_inputs: ClassVar[bool] = True

    def output(self, **fields: Feature) -> Feature:
        return dict(fields)

    def process(self, **fields: AnyColumn) -> dict[str, Any]:
        return fields


@register
class PackList(Processor):
    """A list of its inputs, in each row: as many elements as inputs."""

    accepts_scalars: ClassVar[bool] = True
    promote: ClassVar[bool] = True

    def output(self, **items: Feature) -> Feature:
        return features.list_of(next(iter(items.values())), length=len(items))

    def process(self, **items: AnyColumn) -> pa.Array:
        rows = next(len(item) for item in items.values() if isinstance(item, pa.Array))
        # A constant lies once behind the columns, whatever the number of rows.
        parts = [arrays.full(item, 1) if isinstance(item, pa.Scalar) else item for item in items.values()]
        places = np.empty((rows, len(parts)), np.int64)
        first = 0
        for number, (item, part) in enumerate(zip(items.values(), parts, strict=True)):
            places[:, number] = first if isinstance(item, pa.Scalar) else np.arange(first, first + rows)
            first += len(part)
        values = pc.take(pa.concat_arrays(parts), pa.array(places.ravel()), boundscheck=False)
        return pa.FixedSizeListArray.from_arrays(values, len(parts))


@register
class NullWhereNull(Processor):
    """A struct, null in the rows in which another one is: what a struct is made into is null where it is."""

    def output(self, made: Feature, original: Feature) -> Feature:  # noqa: ARG002 - null or not, whatever it is
        return made

    def process(self, made: StructColumn, original: StructColumn) -> pa.Array:
        nulls = original.is_null() if original.null_count else None
        if nulls is None:
            return made
        fields = [made.field(number) for number in range(made.type.num_fields)]
        return pa.StructArray.from_arrays(fields, names=made.type.names, mask=nulls)


def null_where(original: Ref, made: Ref) -> Ref:
    """A struct made from another, null where that one is.

    Args:
        original: The struct that it was made from.
        made: The struct, which is null nowhere.
    """
    if not _may_be_null(original):
        return made
    return call.record(NullWhereNull(), {"made": made, "original": original})


def _may_be_null(ref: Ref) -> bool:
    """Whether rows of a struct may be null: a source's, and those of several outputs or inputs, never are."""
    nodes, edge = builder_of(ref).nodes, edge_of(ref)
    operation = nodes[edge.node].operation
    while edge.path and isinstance(operation, PackStruct):
        passed = nodes[edge.node].inputs[edge.path[0]]
        edge = Edge(passed.node, (*passed.path, *edge.path[1:]))
        operation = nodes[edge.node].operation
    if edge.path or not isinstance(operation, (Processor, Source)):
        return True
    return not isinstance(operation, (Source, PackStruct)) and not isinstance(
        operation.interface().output, Mapping
    )


def pack(value: Any, *, columns: str | None = None) -> Ref:
    """Refs and constants as one ref, of a struct for a mapping and of a list for a list.

    Args:
        value: A ref, or a nested mapping or list that holds at least one.
        columns: What to call the fields of the mapping in messages.

    Raises:
        DefinitionTypeError: It holds no ref, or a mapping has keys that are no names.
    """
    check_depth(value)
    return _packed(value, columns)


def as_ref(value: Any, function: str) -> Ref:
    """Return what a function takes as a ref: a mapping or list that holds refs stands for what it packs to.

    Args:
        value: What was given.
        function: The name of the function, for messages.

    Raises:
        DefinitionTypeError: It neither is nor holds a ref.
    """
    if isinstance(value, Ref):
        return value
    if isinstance(value, (Mapping, list, tuple)) and call.holds_refs(value):
        return pack(value)
    raise DefinitionTypeError(
        f"{function}() takes a ref, got {value!r:.80}",
        site=CallSite.nearest(),
        hint='start from flow.src_features; a mapping or list of refs will do, as in {"text": src.text}',
    )


def check_depth(value: Any) -> None:
    """Refuse a value that no recursion should go down into.

    Raises:
        DefinitionTypeError: It is nested too deep.
    """
    if is_too_deep(value, DEEPEST + 1):
        raise DefinitionTypeError(TOO_DEEP, site=CallSite.nearest(), hint="give a flatter value")


def _packed(value: Any, columns: str | None) -> Ref:
    if isinstance(value, Ref):
        return value
    if isinstance(value, (Mapping, list, tuple)) and not value:
        kind = "struct" if isinstance(value, Mapping) else "list"
        raise DefinitionTypeError(
            f"an empty {kind} has no rows of its own: there is no ref in it",
            site=CallSite.nearest(),
            hint='give at least one ref: {"text": src.text}, or [src.a, src.b]',
        )
    if not call.holds_refs(value):
        raise DefinitionTypeError(
            f"there is no ref in {value!r:.80}",
            site=CallSite.nearest(),
            hint='give a ref, or a mapping of names to refs: {"text": src.text}',
        )
    if isinstance(value, Mapping):
        for name in value:
            if not isinstance(name, str) or not name or not features.is_name(name):
                raise DefinitionTypeError(
                    f"{name!r} is no name of a field",
                    site=CallSite.nearest(),
                    hint="names are non-empty text without null characters",
                )
        fields = {name: _inner(item) for name, item in value.items()}
        return call.record(
            PackStruct(), fields, written="a struct", parts=columns or "the fields of a struct"
        )
    items = {str(number): _inner(item) for number, item in enumerate(value)}
    return call.record(PackList(), items, written="a list", parts="the items of a list")


def _inner(value: Any) -> Any:
    return _packed(value, None) if call.holds_refs(value) else value
