"""The methods of binary refs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import method, operator
from hyped_beam.processors.strings.buffers import RowBytes, booleans, slice_bytes
from hyped_beam.types import features
from hyped_beam.types.features import Feature
from hyped_beam.types.patterns import BinaryColumn, BooleanColumn, Int64Column


@method("length")
class BinaryLength(Processor):
    """Number of bytes of each value."""

    def process(self, data: BinaryColumn) -> Int64Column:
        return pc.binary_length(data).cast(pa.int64())


@method("slice")
class BinarySlice(Processor):
    """The bytes of each value from one place to another, as `data[start:stop]`.

    Attributes:
        start: The first byte, from 0; counted from the end if negative.
        stop: The byte before which to stop; the end of the value if None.

    Example:
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> import pyarrow as pa
        >>> table = pa.table({"data": [b"hello", None]})
        >>> evaluate(flow_of(table.schema).data[-3:], table).to_pylist()
        [b'llo', None]
    """

    start: int = 0
    stop: int | None = None

    def output(self, data: Feature) -> Feature:
        return _of_any_length(data)

    def process(self, data: BinaryColumn) -> pa.Array:
        return slice_bytes(data.cast(self.output_type), self.start, self.stop)


@operator("+")
class ConcatenateBinary(Processor):
    """One value after the other; null where either is null."""

    accepts_scalars: ClassVar[bool] = True

    def output(self, left: Feature, right: Feature) -> Feature:
        return features.value(
            "large_binary" if "large_binary" in (left.dtype, right.dtype) else _of_any_length(left).dtype
        )

    def process(self, left: BinaryColumn, right: BinaryColumn) -> pa.Array:
        both = (pc.cast(left, self.output_type), pc.cast(right, self.output_type))
        return pc.binary_join_element_wise(*both, pa.scalar(b"", self.output_type))


@method("starts_with")
class BinaryStartsWith(Processor):
    """Whether each value begins with some bytes.

    Attributes:
        pattern: The bytes.
    """

    pattern: bytes

    def process(self, data: BinaryColumn) -> BooleanColumn:
        return pc.starts_with(_plain(data), self.pattern)


@method("contains")
class BinaryContains(Processor):
    """Whether each value contains some bytes.

    Attributes:
        pattern: The bytes.
    """

    pattern: bytes

    def process(self, data: BinaryColumn) -> BooleanColumn:
        column = _plain(data)
        if not self.pattern:
            return pc.match_substring(column, b"")
        return booleans(RowBytes.of(column).occurrences(self.pattern) > 0, column)


@method("decode")
class Decode(Processor):
    r"""The text that each value holds in UTF-8.

    Attributes:
        encoding: Always "utf-8".
        errors: What becomes of bytes that are no UTF-8: "strict" stops with an error, "replace" and "ignore"
            are those of `bytes.decode`, "null" makes the whole value null.

    Example:
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> import pyarrow as pa
        >>> table = pa.table({"data": [b"ok", b"\xff"]})
        >>> evaluate(flow_of(table.schema).data.decode(errors="null"), table).to_pylist()
        ['ok', None]
    """

    encoding: Literal["utf-8"] = "utf-8"
    errors: Literal["strict", "replace", "ignore", "null"] = "strict"

    def output(self, data: Feature) -> Feature:
        return features.value("large_string" if data.dtype == "large_binary" else "string")

    def process(self, data: BinaryColumn) -> pa.Array:
        data = _plain(data)
        try:
            return pc.cast(data, self.output_type)
        except pa.ArrowInvalid:
            if self.errors == "strict":
                raise
        return pa.array(self._decoded(data.to_pylist()), self.output_type)

    def _decoded(self, values: Iterable[bytes | None]) -> Iterable[str | None]:
        for value in values:
            if value is None:
                yield None
            elif self.errors == "null":
                try:
                    yield value.decode()
                except UnicodeDecodeError:
                    yield None
            else:
                yield value.decode(errors=self.errors)


def _of_any_length(feature: Feature) -> Feature:
    return feature if feature.dtype == "large_binary" else features.value("binary")


def _plain(data: pa.Array) -> pa.Array:
    """The values in a type that every kernel takes."""
    return data.cast(pa.binary()) if pa.types.is_fixed_size_binary(data.type) else data
