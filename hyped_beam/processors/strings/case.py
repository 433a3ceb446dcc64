"""Upper and lower case."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import method
from hyped_beam.processors.strings.buffers import RowBytes
from hyped_beam.types.patterns import StringColumn

# Where Arrow maps one character to one, and Unicode (so Python and polars) maps to several, or looks at the
# characters around (the sigma at the end of a word). The tests go through all of Unicode.
_LOWER_EXCEPTIONS = "İΣ"
_UPPER_EXCEPTIONS = (
    "ßŉǰΐΰևẖẗẘẙẚὐὒὔὖᾀᾁᾂᾃᾄᾅᾆᾇᾈᾉᾊᾋᾌᾍᾎᾏᾐᾑᾒᾓᾔᾕᾖᾗᾘᾙᾚᾛᾜᾝᾞᾟᾠᾡᾢᾣᾤᾥᾦᾧᾨᾩᾪᾫᾬᾭᾮᾯᾲᾳᾴᾶᾷᾼ"
    "ῂῃῄῆῇῌῒ\u1fd3ῖῗῢ\u1fe3ῤῦῧῲῳῴῶῷῼﬀﬁﬂﬃﬄﬅﬆﬓﬔﬕﬖﬗ"
)


@method("lower")
class Lower(Processor):
    """Each text in lower case, as `str.lower`.

    Characters that are newer than the Python that runs follow Arrow's tables.

    Example:
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> import pyarrow as pa
        >>> table = pa.table({"text": ["Hello", "ΟΔΟΣ", None]})
        >>> evaluate(flow_of(table.schema).text.lower(), table).to_pylist()
        ['hello', 'οδος', None]
    """

    def process(self, text: StringColumn) -> StringColumn:
        rows = RowBytes.of(text)
        if rows.is_ascii:
            return pc.ascii_lower(text)
        lowered = pc.utf8_lower(text)
        return _with_exceptions(text, rows, lowered, _LOWER_EXCEPTIONS, str.lower)


@method("upper")
class Upper(Processor):
    """Each text in upper case, as `str.upper`.

    Characters that are newer than the Python that runs follow Arrow's tables.

    Example:
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> import pyarrow as pa
        >>> table = pa.table({"text": ["hello", "straße", None]})
        >>> evaluate(flow_of(table.schema).text.upper(), table).to_pylist()
        ['HELLO', 'STRASSE', None]
    """

    def process(self, text: StringColumn) -> StringColumn:
        rows = RowBytes.of(text)
        if rows.is_ascii:
            return pc.ascii_upper(text)
        raised = pc.utf8_upper(text)
        return _with_exceptions(text, rows, raised, _UPPER_EXCEPTIONS, str.upper)


def _with_exceptions(
    text: pa.Array, rows: RowBytes, converted: pa.Array, exceptions: str, convert: Callable[[str], str]
) -> pa.Array:
    """What the kernel gave, but what Python gives for the rows that hold one of its exceptions."""
    if not _may_hold(rows, exceptions):
        return converted
    differing = pc.fill_null(pc.match_substring_regex(text, f"[{exceptions}]"), False)  # noqa: FBT003 - no keyword
    exact = [convert(value) for value in text.filter(differing).to_pylist()]
    return pc.replace_with_mask(converted, differing, pa.array(exact, text.type))


def _may_hold(rows: RowBytes, characters: str) -> bool:
    """Whether the first two bytes of one of the characters occur: far cheaper than a regular expression."""
    beginnings = sorted({character.encode()[:2] for character in characters})
    return any(
        rows.holds(lead) and any(rows.holds(found) for found in beginnings if found.startswith(lead))
        for lead in sorted({beginning[:1] for beginning in beginnings})
    )
