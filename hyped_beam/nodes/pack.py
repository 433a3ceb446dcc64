"""`collect`: refs and constants put together to structs and lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.errors import CallSite, DefinitionTypeError
from hyped_beam.nodes import call
from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.refs import Ref
from hyped_beam.nodes.registry import register
from hyped_beam.types import features
from hyped_beam.types.features import Feature
from hyped_beam.types.patterns import AnyColumn


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
    """A list of its inputs, in each row."""

    promote: ClassVar[bool] = True

    def output(self, **items: Feature) -> Feature:
        return features.list_of(next(iter(items.values())))

    def process(self, **items: AnyColumn) -> pa.Array:
        columns = list(items.values())
        rows = len(columns[0])
        values = pa.concat_arrays(columns)
        order = pa.array(
            [row + column * rows for row in range(rows) for column in range(len(columns))], pa.int64()
        )
        offsets = pa.array(range(0, rows * len(columns) + 1, len(columns)), pa.int32())
        return pa.ListArray.from_arrays(offsets, pc.take(values, order))


def pack(value: Any) -> Ref:
    """Refs and constants as one ref, of a struct for a mapping and of a list for a list.

    Args:
        value: A ref, or a nested mapping or list that holds at least one.

    Raises:
        DefinitionTypeError: It holds no ref, or a mapping has keys that are no names.
    """
    if isinstance(value, Ref):
        return value
    if not call.holds_refs(value):
        raise DefinitionTypeError(
            f"there is no ref in {value!r:.80}",
            site=CallSite.nearest(),
            hint='give a ref, or a mapping of names to refs: {"text": src.text}',
        )
    if isinstance(value, Mapping):
        for name in value:
            if not isinstance(name, str) or not name:
                raise DefinitionTypeError(
                    f"{name!r} is no name of a field",
                    site=CallSite.nearest(),
                    hint="names are non-empty text",
                )
        return call.record(PackStruct(), {name: _inner(item) for name, item in value.items()})
    items = list(value)
    return call.record(PackList(), {str(number): _inner(item) for number, item in enumerate(items)})


def _inner(value: Any) -> Any:
    return pack(value) if call.holds_refs(value) else value
