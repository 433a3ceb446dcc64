"""Characters of a text by their place."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import method, operator
from hyped_beam.processors.strings.buffers import RowBytes, slice_bytes
from hyped_beam.types.patterns import StringColumn


@method("slice")
class Slice(Processor):
    """The characters of each text from one place to another, as `text[start:stop]`.

    Attributes:
        start: The first character, from 0; counted from the end if negative.
        stop: The character before which to stop; the end of the text if None.

    Example:
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> import pyarrow as pa
        >>> table = pa.table({"text": ["héllo", None]})
        >>> evaluate(flow_of(table.schema).text[1:-1], table).to_pylist()
        ['éll', None]
    """

    start: int = 0
    stop: int | None = None

    def process(self, text: StringColumn) -> StringColumn:
        return characters(text, self.start, self.stop)


@operator("[]")
class CharacterAt(Processor):
    """The character at a place of each text, or null where the text is too short.

    Attributes:
        index: The place, from 0; counted from the end if negative.

    Example:
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> import pyarrow as pa
        >>> table = pa.table({"text": ["héllo", ""]})
        >>> evaluate(flow_of(table.schema).text[1], table).to_pylist()
        ['é', None]
    """

    index: int

    def process(self, text: StringColumn) -> StringColumn:
        found = characters(text, self.index, None if self.index == -1 else self.index + 1)
        return pc.if_else(pc.equal(found, ""), pa.scalar(None, text.type), found)


def characters(text: pa.Array, start: int, stop: int | None) -> pa.Array:
    """The characters of each text from one place to another, as `text[start:stop]`."""
    if not RowBytes.of(text).is_ascii:
        return pc.utf8_slice_codeunits(text, start, stop)
    as_bytes = pa.large_binary() if pa.types.is_large_string(text.type) else pa.binary()
    return slice_bytes(text.view(as_bytes), start, stop).view(text.type)
