"""White space, or other characters, off the ends."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import method
from hyped_beam.types.patterns import StringColumn


class _Trimming(Processor):
    """A node that takes characters off the ends of texts.

    Attributes:
        characters: The characters to take off; white space (as `str.isspace` has it) if None.
    """

    characters: str | None = None

    def trim(
        self,
        text: pa.Array,
        whitespace: Callable[[pa.Array], pa.Array],
        ascii_characters: Callable[[pa.Array, str], pa.Array],
        characters: Callable[[pa.Array, str], pa.Array],
    ) -> pa.Array:
        """The texts, by the kernel that fits the configuration."""
        if self.characters is None:
            return whitespace(text)
        # No byte of a wider character is ASCII, so that the texts themselves may hold anything.
        return (ascii_characters if self.characters.isascii() else characters)(text, self.characters)


@method("strip")
class Strip(_Trimming):
    """Each text without white space, or without some characters, at both ends, as `str.strip`.

    Example:
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> import pyarrow as pa
        >>> table = pa.table({"text": ["  a b ", None]})
        >>> evaluate(flow_of(table.schema).text.strip(), table).to_pylist()
        ['a b', None]
    """

    def process(self, text: StringColumn) -> StringColumn:
        return self.trim(text, pc.utf8_trim_whitespace, pc.ascii_trim, pc.utf8_trim)


@method("lstrip")
class LeftStrip(_Trimming):
    """Each text without white space, or without some characters, at its beginning, as `str.lstrip`."""

    def process(self, text: StringColumn) -> StringColumn:
        return self.trim(text, pc.utf8_ltrim_whitespace, pc.ascii_ltrim, pc.utf8_ltrim)


@method("rstrip")
class RightStrip(_Trimming):
    """Each text without white space, or without some characters, at its end, as `str.rstrip`."""

    def process(self, text: StringColumn) -> StringColumn:
        return self.trim(text, pc.utf8_rtrim_whitespace, pc.ascii_rtrim, pc.utf8_rtrim)
