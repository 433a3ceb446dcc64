"""What is in a text: whether, where, and how often."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import method
from hyped_beam.processors.strings.buffers import Marks, RowBytes, booleans, integers
from hyped_beam.processors.strings.regex.expression import expression
from hyped_beam.processors.strings.regular_expressions import RegularExpression
from hyped_beam.types.patterns import BooleanColumn, Int64Column, StringColumn

_CONTINUATION_BITS = 0xC0
_CONTINUATION = 0x80


@method("length")
class Length(Processor):
    """Number of characters (code points) of each text.

    Example:
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> import pyarrow as pa
        >>> table = pa.table({"text": ["héé", "", None]})
        >>> evaluate(flow_of(table.schema).text.length(), table).to_pylist()
        [3, 0, None]
    """

    def process(self, text: StringColumn) -> Int64Column:
        lengths = pc.binary_length(text) if RowBytes.of(text).is_ascii else pc.utf8_length(text)
        return lengths.cast(pa.int64())


@method("contains")
class Contains(Processor):
    """Whether each text contains another one, literally.

    Attributes:
        pattern: The text to look for.

    Example:
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> import pyarrow as pa
        >>> table = pa.table({"text": ["a.b", "ab", None]})
        >>> evaluate(flow_of(table.schema).text.contains("."), table).to_pylist()
        [True, False, None]
    """

    pattern: str

    def process(self, text: StringColumn) -> BooleanColumn:
        if not self.pattern:
            return pc.match_substring(text, "")
        return booleans(RowBytes.of(text).occurrences(self.pattern.encode()) > 0, text)


@method("matches")
class Matches(Processor):
    r"""Whether a regular expression matches anywhere in each text.

    Attributes:
        pattern: A regular expression, as in `re.search`; `^` and `$` tie it to the ends of the text.

    Example:
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> import pyarrow as pa
        >>> table = pa.table({"text": ["order 17", "none", None]})
        >>> evaluate(flow_of(table.schema).text.matches(r"\d+"), table).to_pylist()
        [True, False, None]
    """

    pattern: RegularExpression

    def process(self, text: StringColumn) -> BooleanColumn:
        return expression(self.pattern).matches(text)


@method("starts_with")
class StartsWith(Processor):
    """Whether each text begins with another one, as `str.startswith`.

    Attributes:
        pattern: The text to look for.
    """

    pattern: str

    def process(self, text: StringColumn) -> BooleanColumn:
        return pc.starts_with(text, self.pattern)


@method("ends_with")
class EndsWith(Processor):
    """Whether each text ends with another one, as `str.endswith`.

    Attributes:
        pattern: The text to look for.
    """

    pattern: str

    def process(self, text: StringColumn) -> BooleanColumn:
        return pc.ends_with(text, self.pattern)


@method("find")
class Find(Processor):
    """At which character another text first occurs in each text, or -1, as `str.find`.

    Attributes:
        pattern: The text to look for.

    Example:
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> import pyarrow as pa
        >>> table = pa.table({"text": ["é=1", "none", None]})
        >>> evaluate(flow_of(table.schema).text.find("="), table).to_pylist()
        [1, -1, None]
    """

    pattern: str

    def process(self, text: StringColumn) -> Int64Column:
        found = pc.find_substring(text, self.pattern)
        rows = RowBytes.of(text)
        if rows.is_ascii:
            return found.cast(pa.int64())
        # Arrow counts bytes: characters begin at every byte that continues none.
        begins = Marks.of((rows.data & _CONTINUATION_BITS) != _CONTINUATION)
        bytes_before = pc.fill_null(found, -1).to_numpy(zero_copy_only=False)
        starts = rows.offsets[:-1]
        characters = begins.before(starts + np.maximum(bytes_before, 0)) - begins.before(starts)
        return integers(np.where(bytes_before < 0, -1, characters), text)


@method("count")
class Count(Processor):
    """How often another text occurs in each text without overlaps, as `str.count`.

    Attributes:
        pattern: The text to count; the empty one occurs before and after every character.

    Example:
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> import pyarrow as pa
        >>> table = pa.table({"text": ["aaa", "", None]})
        >>> evaluate(flow_of(table.schema).text.count("aa"), table).to_pylist()
        [1, 0, None]
    """

    pattern: str

    def process(self, text: StringColumn) -> Int64Column:
        return count_literal(text, self.pattern)


def count_literal(text: pa.Array, pattern: str) -> pa.Array:
    """How often a pattern occurs in each text, as `str.count`."""
    if not pattern:
        return pc.add(pc.utf8_length(text).cast(pa.int64()), 1)
    if overlaps_itself(pattern):
        return pc.count_substring(text, pattern).cast(pa.int64())
    return integers(RowBytes.of(text).occurrences(pattern.encode()), text)


def overlaps_itself(pattern: str) -> bool:
    """Whether two occurrences of a pattern can share characters, as those of "aa" in "aaa"."""
    return any(pattern.endswith(pattern[:size]) for size in range(1, len(pattern)))
