# Written by `python -m hyped_beam.nodes.stub`, never by hand.
# ruff: noqa: D301, E501, F401, I001, PYI021, PYI029, Q000
# fmt: off
"""Refs, with the methods that the registry supplies; a field of a method's name is `ref["name"]` here."""

import datetime
import decimal
from collections.abc import Mapping, Sequence
from typing import Literal, overload

import inspect
from collections.abc import Iterable
from typing import Any, NoReturn
from hyped_beam.errors import CallSite, DefinitionTypeError, UnknownNameError, escaped_name, listed
from hyped_beam.ir.builder import GraphBuilder
from hyped_beam.ir.graph import Edge
from hyped_beam.nodes import registry, suggestions
from hyped_beam.types import features
from hyped_beam.types.features import Family, Feature

class Ref:
    """A value of a flow: the output of a node, or a field inside it.

    On a struct `.x` is always the field `x`, and `["x"]` works for any name; so a ref has no public
    attributes of its own. What it is, `feature_of(ref)` and `repr(ref)` say.
    """
    def __init__(self, builder: GraphBuilder, edge: Edge, feature: Feature, scope: int | None=None) -> None: ...
    def __getattr__(self, name: str) -> Ref: ...
    def __getitem__(self, key: Any) -> Ref: ...
    def __dir__(self) -> list[str]: ...
    def __repr__(self) -> str: ...
    def __format__(self, specification: str) -> NoReturn: ...
    def __hash__(self) -> int: ...
    def __add__(self, other: Any) -> Ref: ...
    def __radd__(self, other: Any) -> Ref: ...
    def __sub__(self, other: Any) -> Ref: ...
    def __rsub__(self, other: Any) -> Ref: ...
    def __mul__(self, other: Any) -> Ref: ...
    def __rmul__(self, other: Any) -> Ref: ...
    def __truediv__(self, other: Any) -> Ref: ...
    def __rtruediv__(self, other: Any) -> Ref: ...
    def __floordiv__(self, other: Any) -> Ref: ...
    def __rfloordiv__(self, other: Any) -> Ref: ...
    def __mod__(self, other: Any) -> Ref: ...
    def __rmod__(self, other: Any) -> Ref: ...
    def __pow__(self, other: Any) -> Ref: ...
    def __rpow__(self, other: Any) -> Ref: ...
    def __and__(self, other: Any) -> Ref: ...
    def __rand__(self, other: Any) -> Ref: ...
    def __or__(self, other: Any) -> Ref: ...
    def __ror__(self, other: Any) -> Ref: ...
    def __xor__(self, other: Any) -> Ref: ...
    def __rxor__(self, other: Any) -> Ref: ...
    def __lt__(self, other: Any) -> Ref: ...
    def __le__(self, other: Any) -> Ref: ...
    def __gt__(self, other: Any) -> Ref: ...
    def __ge__(self, other: Any) -> Ref: ...
    def __eq__(self, other: object) -> Ref: ...  # type: ignore[override]
    def __ne__(self, other: object) -> Ref: ...  # type: ignore[override]
    def __invert__(self) -> Ref: ...
    def __neg__(self) -> Ref: ...
    def __pos__(self) -> Ref: ...
    def __abs__(self) -> Ref: ...
    def __round__(self, digits: int=0) -> Ref: ...
    def __floor__(self) -> Ref: ...
    def __ceil__(self) -> Ref: ...
    def __bool__(self) -> NoReturn: ...
    def __len__(self) -> NoReturn: ...
    def __iter__(self) -> NoReturn: ...
    def __contains__(self, item: object) -> NoReturn: ...
    def __int__(self) -> NoReturn: ...
    def __float__(self) -> NoReturn: ...
    def __index__(self) -> NoReturn: ...
    def abs(self) -> Ref:
        """On integer and float and decimal refs: The absolute value; that of the smallest integer of a type overflows, which is an error.

        On duration refs: The length of each duration, without its direction.
        """
    def all(self) -> Ref:
        """Whether all elements of each list are true; true for an empty one. Nulls are passed over."""
    def any(self) -> Ref:
        """Whether any element of each list is true; false for an empty one. Nulls are passed over."""
    def between(self, lower: Any, upper: Any) -> Ref:
        """Whether a value lies between two bounds, both of them included.

        Example:
            >>> import pyarrow as pa
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> table = pa.table({"x": [1, 5, None]})
            >>> evaluate(flow_of(table.schema).x.between(2, 5), table).to_pylist()
            [False, True, None]
        """
    def cast(self, to: Any, strict: bool = True, source: Any = None) -> Ref:
        """Each value in another type; one that does not fit is an error, or null with `strict=False`.

        A number does not fit where it would overflow or lose its fraction (round it first); integers may be
        rounded to floats. Text is read in the form in which numbers, booleans ("true", "false", "1", "0") and
        times (ISO 8601) are written, without white space; floats are written as Python does. A `ClassLabel` is
        its number to other types, but its name to text, from text, and to another `ClassLabel`; -1, no label,
        has no name. Times are counted in their unit; an instant with a time zone is cast to the date and the
        text that it has there. Lists and structs are cast inside.

        Args:
            to: The type: a dtype ("int64"), a `datasets` feature, or a Python type (int, float, str, bool, ...).
            strict: Whether a value that does not fit is an error; else it becomes null.
            source: The feature of the input, which `call` fills in.

        Example:
            >>> import pyarrow as pa
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> table = pa.table({"x": ["1", "b", None]})
            >>> evaluate(flow_of(table.schema).x.cast(int, strict=False), table).to_pylist()
            [1, None, None]
        """
    def ceil(self) -> Ref:
        """The least whole number that is not less."""
    def clip(self, lower: Any = None, upper: Any = None) -> Ref:
        """Each value, raised to `lower` and lowered to `upper`; either may be left out. NaN stays NaN.

        Example:
            >>> import pyarrow as pa
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> table = pa.table({"x": [1, 5, None]})
            >>> evaluate(flow_of(table.schema).x.clip(lower=2), table).to_pylist()
            [2, 5, None]
        """
    @overload
    def contains(self, pattern: str | bytes) -> Ref:
        """On string refs: Whether each text contains another one, literally.

        Args:
            pattern: The text to look for.

        Example:
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> import pyarrow as pa
            >>> table = pa.table({"text": ["a.b", "ab", None]})
            >>> evaluate(flow_of(table.schema).text.contains("."), table).to_pylist()
            [True, False, None]

        On binary refs: Whether each value contains some bytes.

        Args:
            pattern: The bytes.

        On list refs: Whether each list contains a value: an element that is equal to it, or NaN where it is NaN.

        Null where the list or the value is null; elements that are null are passed over. A `ClassLabel` takes
        the names of its labels.

        Example:
            >>> import pyarrow as pa
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> table = pa.table({"tags": [["a", "b"], [None], None], "tag": ["b", "b", "b"]})
            >>> src = flow_of(table.schema)
            >>> evaluate(src.tags.contains("a"), table).to_pylist()
            [True, False, None]
            >>> evaluate(src.tags.contains(src.tag), table).to_pylist()
            [True, False, None]
        """
    @overload
    def contains(self, value: Any) -> Ref: ...
    def count(self, pattern: str) -> Ref:
        """How often another text occurs in each text without overlaps, as `str.count`.

        Args:
            pattern: The text to count; the empty one occurs before and after every character.

        Example:
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> import pyarrow as pa
            >>> table = pa.table({"text": ["aaa", "", None]})
            >>> evaluate(flow_of(table.schema).text.count("aa"), table).to_pylist()
            [1, 0, None]
        """
    def date(self) -> Ref:
        """The date of each timestamp, in its time zone.

        Example:
            >>> import datetime, pyarrow as pa
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> table = pa.table({"sent": [datetime.datetime(2001, 10, 26, 9, 30)]})
            >>> evaluate(flow_of(table.schema).sent.date(), table).to_pylist()
            [datetime.date(2001, 10, 26)]
        """
    def day(self) -> Ref:
        """The day of the month, from 1."""
    def decode(self, encoding: Literal['utf-8'] = 'utf-8', errors: Literal['strict', 'replace', 'ignore', 'null'] = 'strict') -> Ref:
        """The text that each value holds in UTF-8.

        Args:
            encoding: Always "utf-8".
            errors: What becomes of bytes that are no UTF-8: "strict" stops with an error, "replace" and "ignore"
                are those of `bytes.decode`, "null" makes the whole value null.

        Example:
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> import pyarrow as pa
            >>> table = pa.table({"data": [b"ok", b"\\xff"]})
            >>> evaluate(flow_of(table.schema).data.decode(errors="null"), table).to_pylist()
            ['ok', None]
        """
    def encode(self, encoding: Literal['utf-8'] = 'utf-8') -> Ref:
        """The bytes of each text.

        Args:
            encoding: Always "utf-8".

        Example:
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> import pyarrow as pa
            >>> table = pa.table({"text": ["é"]})
            >>> evaluate(flow_of(table.schema).text.encode(), table).to_pylist()
            [b'\\xc3\\xa9']
        """
    def ends_with(self, pattern: str) -> Ref:
        """Whether each text ends with another one, as `str.endswith`.

        Args:
            pattern: The text to look for.
        """
    def epoch(self, unit: Literal['s', 'ms', 'us', 'ns'] = 's') -> Ref:
        """How many whole units have passed since 1970-01-01 00:00 UTC, rounded down.

        A timestamp without a time zone, and a date, count as UTC.

        Args:
            unit: "s", "ms", "us" or "ns".

        Example:
            >>> import datetime, pyarrow as pa
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> table = pa.table({"sent": [datetime.datetime(1970, 1, 1, 0, 1), None]})
            >>> evaluate(flow_of(table.schema).sent.epoch("ms"), table).to_pylist()
            [60000, None]
        """
    def exp(self) -> Ref:
        """The number e to the power of the value: inf above 709.78, 0 below -745.13.

        Example:
            >>> import pyarrow as pa
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> table = pa.table({"n": [0, 1000, None]})
            >>> evaluate(flow_of(table.schema).n.exp(), table).to_pylist()
            [1.0, inf, None]
        """
    def extract(self, pattern: str) -> Ref:
        """The named groups of the first match of a regular expression, as a struct.

        Where it does not match, the struct is null, and so are its fields. A group that took no part in a match
        is null, as in `re`.

        Args:
            pattern: A regular expression whose groups all have names: `(?P<year>[0-9]{4})`.

        Example:
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> import pyarrow as pa
            >>> table = pa.table({"text": ["Subject: Hi", "none"]})
            >>> found = flow_of(table.schema).text.extract("^Subject: (?P<subject>.*)$")
            >>> evaluate(found.subject, table).to_pylist()
            ['Hi', None]
        """
    def fill_null(self, replacement: Any) -> Ref:
        """Each value, or `replacement` where it is null; of their common type.

        Example:
            >>> import pyarrow as pa
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> table = pa.table({"x": [1, None]})
            >>> evaluate(flow_of(table.schema).x.fill_null(0), table).to_pylist()
            [1, 0]
        """
    def find(self, pattern: str) -> Ref:
        """At which character another text first occurs in each text, or -1, as `str.find`.

        Args:
            pattern: The text to look for.

        Example:
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> import pyarrow as pa
            >>> table = pa.table({"text": ["é=1", "none", None]})
            >>> evaluate(flow_of(table.schema).text.find("="), table).to_pylist()
            [1, -1, None]
        """
    def flatten(self) -> Ref:
        """The elements of the inner lists of each list, one level less deep; inner lists that are null have none.

        Lists of a fixed length of lists of a fixed length give lists of a fixed length, in which an inner list
        that is null stands for as many nulls.

        Example:
            >>> import pyarrow as pa
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> table = pa.table({"n": [[[1, 2], [], [3]], [None], None]})
            >>> evaluate(flow_of(table.schema).n.flatten(), table).to_pylist()
            [[1, 2, 3], [], None]
        """
    def floor(self) -> Ref:
        """The greatest whole number that is not greater."""
    def hash(self, seed: int = 0) -> Ref:
        """A stable 64-bit hash of each value: for sampling and splitting, not against adversaries.

        It depends on the value and the seed only, never on the machine, the process or the width of the type. A
        null has a hash, too. How it is defined stands at the top of `hyped_beam/types/hashes.py`.

        Args:
            seed: Another seed gives another, unrelated hash.

        Example:
            >>> import pyarrow as pa
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> table = pa.table({"x": ["a", "b"]})
            >>> evaluate(flow_of(table.schema).x.hash() % 10, table).to_pylist()
            [5, 4]
        """
    def hour(self) -> Ref:
        """The hour, from 0 to 23, in the time zone of the timestamp.

        Example:
            >>> import datetime, pyarrow as pa
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> noon = datetime.datetime(2001, 7, 1, 12, tzinfo=datetime.timezone.utc)
            >>> table = pa.table({"sent": pa.array([noon], pa.timestamp("s", "Europe/Berlin"))})
            >>> evaluate(flow_of(table.schema).sent.hour(), table).to_pylist()
            [14]
        """
    def index(self, value: Any, default: int | None = None) -> Ref:
        """At which place a value, or each element of a list of values, first is in each list, from 0.

        With a list that is the same for all rows, such as a `Vocabulary`, each value is looked up in one hash
        table. Null where the value or the list is null; and `default`, or null if it is not given, where the list
        does not have the value. NaN is found where NaN is.

        Example:
            >>> import pyarrow as pa
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> table = pa.table({"tags": [["a", "b"], ["b"], None], "tag": ["b", "c", "b"]})
            >>> src = flow_of(table.schema)
            >>> evaluate(src.tags.index(src.tag), table).to_pylist()
            [1, None, None]
            >>> evaluate(src.tags.index(src.tag, default=-1), table).to_pylist()
            [1, -1, None]
        """
    def is_in(self, values: Ref | Sequence[Any]) -> Ref:
        """Whether each value is one of some values; null where it is null.

        Nulls among the values are passed over, NaN is found in a list that has it, and a `ClassLabel` takes the
        names of its labels. The values may also be a list column: then each row has its own.

        Example:
            >>> import pyarrow as pa
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> table = pa.table({"x": ["a", "b", None]})
            >>> evaluate(flow_of(table.schema).x.is_in(["a", "c"]), table).to_pylist()
            [True, False, None]
        """
    def is_nan(self) -> Ref:
        """Whether each number is NaN; null where it is null, false for integers."""
    def is_not_null(self) -> Ref:
        """Whether each value is not null."""
    def is_null(self) -> Ref:
        """Whether each value is null; NaN is not."""
    def join(self, separator: Ref | str) -> Ref:
        """The texts of each list as one text, with a separator between them, as `str.join`.

        Texts that are null are passed over; an empty list gives the empty text. The separator is the same for
        all rows, or a ref that gives each row its own.

        Example:
            >>> import pyarrow as pa
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> table = pa.table({"tags": [["a", None, "b"], [], None]})
            >>> evaluate(flow_of(table.schema).tags.join(", "), table).to_pylist()
            ['a, b', '', None]
        """
    def length(self) -> Ref:
        """On string refs: Number of characters (code points) of each text.

        Example:
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> import pyarrow as pa
            >>> table = pa.table({"text": ["héé", "", None]})
            >>> evaluate(flow_of(table.schema).text.length(), table).to_pylist()
            [3, 0, None]

        On binary refs: Number of bytes of each value.

        On list refs: Number of elements of each list, nulls included; null for a null list.

        Example:
            >>> import pyarrow as pa
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> table = pa.table({"tags": [["a", "b"], [], None]})
            >>> evaluate(flow_of(table.schema).tags.length(), table).to_pylist()
            [2, 0, None]
        """
    def log(self) -> Ref:
        """The natural logarithm: -inf of zero, NaN of negative numbers.

        Example:
            >>> import pyarrow as pa
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> table = pa.table({"n": [1, 0, -1, None]})
            >>> evaluate(flow_of(table.schema).n.log(), table).to_pylist()
            [0.0, -inf, nan, None]
        """
    def log10(self) -> Ref:
        """The logarithm to the base of 10: -inf of zero, NaN of negative numbers."""
    def log2(self) -> Ref:
        """The logarithm to the base of 2: -inf of zero, NaN of negative numbers."""
    def lower(self) -> Ref:
        """Each text in lower case, as `str.lower`.

        Characters that are newer than the Python that runs follow Arrow's tables.

        Example:
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> import pyarrow as pa
            >>> table = pa.table({"text": ["Hello", "ΟΔΟΣ", None]})
            >>> evaluate(flow_of(table.schema).text.lower(), table).to_pylist()
            ['hello', 'οδος', None]
        """
    def lstrip(self, characters: str | None = None) -> Ref:
        """Each text without white space, or without some characters, at its beginning, as `str.lstrip`."""
    def matches(self, pattern: str) -> Ref:
        """Whether a regular expression matches anywhere in each text.

        Args:
            pattern: A regular expression, as in `re.search`; `^` and `$` tie it to the ends of the text.

        Example:
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> import pyarrow as pa
            >>> table = pa.table({"text": ["order 17", "none", None]})
            >>> evaluate(flow_of(table.schema).text.matches(r"\\d+"), table).to_pylist()
            [True, False, None]
        """
    def max(self) -> Ref:
        """The largest element of each list; null if it has none. NaN only where there is nothing else.

        Example:
            >>> import pyarrow as pa
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> table = pa.table({"n": [[2, None, 1], [], None]})
            >>> evaluate(flow_of(table.schema).n.max(), table).to_pylist()
            [2, None, None]
        """
    def mean(self) -> Ref:
        """The arithmetic mean of each list; null if it has no elements. Of durations, rounded down to the unit.

        Example:
            >>> import pyarrow as pa
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> table = pa.table({"n": [[1, None, 2], [], None]})
            >>> evaluate(flow_of(table.schema).n.mean(), table).to_pylist()
            [1.5, None, None]
        """
    def microsecond(self) -> Ref:
        """The microseconds of the second, from 0 to 999999, as in Python."""
    def might_contain(self, value: Any) -> Ref:
        """Whether a value may be in the set that a Bloom filter, made by `BloomFilter`, describes.

        False is certain; true is wrong as often as the filter's `error` says. Null where the value or the filter
        is null. The value must have the family of type that the filter was made of: 1 and 1.0 differ.

        Example:
            >>> import pyarrow as pa
            >>> from hyped_beam.aggregators import BloomFilter
            >>> from hyped_beam.testing import aggregate, evaluate, flow_of
            >>> small = BloomFilter(capacity=100).call(flow_of({"n": "int64"}).n)
            >>> known = aggregate(small, pa.table({"n": [1, 2]}))
            >>> table = pa.table({"known": [known] * 3, "n": [2, 3, None]})
            >>> src = flow_of(table.schema)
            >>> evaluate(src.known.might_contain(src.n), table).to_pylist()
            [True, False, None]
        """
    def min(self) -> Ref:
        """The smallest element of each list; null if it has none. NaN only where there is nothing else.

        Example:
            >>> import pyarrow as pa
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> table = pa.table({"n": [[2, None, 1], [], None]})
            >>> evaluate(flow_of(table.schema).n.min(), table).to_pylist()
            [1, None, None]
        """
    def minute(self) -> Ref:
        """The minute of the hour."""
    def month(self) -> Ref:
        """The month, from 1."""
    def one_hot(self, size: Ref | int) -> Ref:
        """A list of zeros with a one at the place that a number names, from 0; each an int8.

        A number that names no place (-1, or the size and more) gives zeros alone; so does what
        `index(ref, default=-1)` does not find in a list. Null gives null, and so does a size of null.

        Raises:
            NodeError: A size is negative.

        Example:
            >>> import pyarrow as pa
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> table = pa.table({"n": [2, 0, -1, None]})
            >>> evaluate(flow_of(table.schema).n.one_hot(3), table).to_pylist()
            [[0, 0, 1], [1, 0, 0], [0, 0, 0], None]
        """
    def pad(self, width: int, side: Literal['left', 'right', 'both'] = 'left', fill: str = ' ') -> Ref:
        """Each text filled up to a width in characters; longer ones stay as they are.

        Args:
            width: The least number of characters.
            side: Where to fill: "left" (as `str.rjust`), "right" (`str.ljust`) or "both" (`str.center`).
            fill: The character to fill with.

        Example:
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> import pyarrow as pa
            >>> table = pa.table({"text": ["7", None]})
            >>> evaluate(flow_of(table.schema).text.pad(3, fill="0"), table).to_pylist()
            ['007', None]
        """
    def quarter(self) -> Ref:
        """The quarter of the year, from 1."""
    def repeat(self, count: Ref | int) -> Ref:
        """Each text several times in a row, as `text * count`; none at all for negative counts.

        Example:
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> import pyarrow as pa
            >>> table = pa.table({"text": ["ab", None]})
            >>> evaluate(flow_of(table.schema).text.repeat(2), table).to_pylist()
            ['abab', None]
        """
    def replace(self, old: str, new: str, count: int = -1) -> Ref:
        """Each text with the occurrences of one text replaced by another, as `str.replace`.

        Args:
            old: The text to replace, literally; the empty one stands before and after every character.
            new: What to put there.
            count: How many to replace, from the left; all if negative.

        Example:
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> import pyarrow as pa
            >>> table = pa.table({"text": ["a.b.c", None]})
            >>> evaluate(flow_of(table.schema).text.replace(".", "-", 1), table).to_pylist()
            ['a-b.c', None]
        """
    def replace_regex(self, pattern: str, replacement: str) -> Ref:
        """Each text with what a regular expression matches replaced.

        Args:
            pattern: A regular expression.
            replacement: What to put there, as in `re.sub`: `\\1` and `\\g<name>` are groups, `\\g<0>` the match.

        Example:
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> import pyarrow as pa
            >>> table = pa.table({"text": ["call 555-1234", None]})
            >>> evaluate(flow_of(table.schema).text.replace_regex(r"\\d", "#"), table).to_pylist()
            ['call ###-####', None]
        """
    def round(self, digits: int = 0) -> Ref:
        """Each number rounded to `digits` decimal places, halves to even, exactly as Python's `round` does.

        Args:
            digits: How many decimal places; negative ones round to tens, hundreds, ...

        Example:
            >>> import pyarrow as pa
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> table = pa.table({"x": [2.5, 2.675, 1234.0]})
            >>> evaluate(round(flow_of(table.schema).x, 2), table).to_pylist()
            [2.5, 2.67, 1234.0]
        """
    def rstrip(self, characters: str | None = None) -> Ref:
        """Each text without white space, or without some characters, at its end, as `str.rstrip`."""
    def second(self) -> Ref:
        """The second of the minute."""
    def slice(self, start: int = 0, stop: int | None = None) -> Ref:
        """On string refs: The characters of each text from one place to another, as `text[start:stop]`.

        Args:
            start: The first character, from 0; counted from the end if negative.
            stop: The character before which to stop; the end of the text if None.

        Example:
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> import pyarrow as pa
            >>> table = pa.table({"text": ["héllo", None]})
            >>> evaluate(flow_of(table.schema).text[1:-1], table).to_pylist()
            ['éll', None]

        On binary refs: The bytes of each value from one place to another, as `data[start:stop]`.

        Args:
            start: The first byte, from 0; counted from the end if negative.
            stop: The byte before which to stop; the end of the value if None.

        Example:
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> import pyarrow as pa
            >>> table = pa.table({"data": [b"hello", None]})
            >>> evaluate(flow_of(table.schema).data[-3:], table).to_pylist()
            [b'llo', None]

        On list refs: The elements of each list from one place to another, as `items[start:stop]`.

        Args:
            start: The first element, from 0; counted from the end if negative.
            stop: The element before which to stop; the end of the list if None.

        Example:
            >>> import pyarrow as pa
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> table = pa.table({"tags": [["a", "b", "c"], [], None]})
            >>> evaluate(flow_of(table.schema).tags[-2:], table).to_pylist()
            [['b', 'c'], [], None]
        """
    def sort(self, descending: bool = False, nulls_last: bool = False) -> Ref:
        """The elements of each list from the smallest to the largest, or the other way round.

        NaN counts as larger than all numbers. Text is ordered by code points, a `ClassLabel` by its labels.

        Args:
            descending: Whether the largest come first.
            nulls_last: Whether elements that are null come last, rather than first; in either direction.

        Example:
            >>> import pyarrow as pa
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> table = pa.table({"n": [[3, None, 1], [], None]})
            >>> src = flow_of(table.schema)
            >>> evaluate(src.n.sort(), table).to_pylist()
            [[None, 1, 3], [], None]
            >>> evaluate(src.n.sort(descending=True, nulls_last=True), table).to_pylist()
            [[3, 1, None], [], None]
        """
    def split(self, separator: str | None = None) -> Ref:
        """The parts of each text between separators, as `str.split`.

        Args:
            separator: What separates, literally. If None, runs of white space do, and there are no empty parts.

        Example:
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> import pyarrow as pa
            >>> table = pa.table({"text": [" a  b ", "", None]})
            >>> src = flow_of(table.schema)
            >>> evaluate(src.text.split(), table).to_pylist()
            [['a', 'b'], [], None]
            >>> evaluate(src.text.split("  "), table).to_pylist()
            [[' a', 'b '], [''], None]
        """
    def split_regex(self, pattern: str) -> Ref:
        """The parts of each text between the matches of a regular expression, as `re.split` without groups.

        Args:
            pattern: A regular expression; where it matches empty text, it separates there, too.

        Example:
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> import pyarrow as pa
            >>> table = pa.table({"text": ["a, b;c", "", None]})
            >>> evaluate(flow_of(table.schema).text.split_regex(r"[,;]\\s*"), table).to_pylist()
            [['a', 'b', 'c'], [''], None]
        """
    def sqrt(self) -> Ref:
        """The square root: NaN of negative numbers.

        Example:
            >>> import pyarrow as pa
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> table = pa.table({"n": [9, -1, None]})
            >>> evaluate(flow_of(table.schema).n.sqrt(), table).to_pylist()
            [3.0, nan, None]
        """
    def starts_with(self, pattern: str | bytes) -> Ref:
        """On string refs: Whether each text begins with another one, as `str.startswith`.

        Args:
            pattern: The text to look for.

        On binary refs: Whether each value begins with some bytes.

        Args:
            pattern: The bytes.
        """
    def strftime(self, format: str) -> Ref:
        """Each time as text in a format, as Python's `strftime` writes it in English.

        A timestamp is written as the clocks in its zone showed it; without a zone `%z` and `%Z` are empty. Years
        before 1000 have four digits, too.

        Args:
            format: Text with Python's directives, and `%D %e %F %h %R %T` as in C. A time of day takes those for
                hours, minutes, seconds and microseconds only.

        Raises:
            DefinitionError: The format has an unknown directive, or one that the input has no value for.

        Example:
            >>> import datetime, pyarrow as pa
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> table = pa.table({"sent": [datetime.datetime(2001, 10, 26, 9, 30, 5), None]})
            >>> evaluate(flow_of(table.schema).sent.strftime("%d.%m.%Y %H:%M:%S"), table).to_pylist()
            ['26.10.2001 09:30:05', None]
        """
    def strip(self, characters: str | None = None) -> Ref:
        """Each text without white space, or without some characters, at both ends, as `str.strip`.

        Example:
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> import pyarrow as pa
            >>> table = pa.table({"text": ["  a b ", None]})
            >>> evaluate(flow_of(table.schema).text.strip(), table).to_pylist()
            ['a b', None]
        """
    def sum(self) -> Ref:
        """The sum of each list; 0 for an empty one. The sum of booleans is the number of true ones.

        Integers widen to int64 (unsigned ones to uint64), floats to float64, decimals to 38 digits (76, if they
        are decimal256); durations stay durations. Overflow is an error.

        Example:
            >>> import pyarrow as pa
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> table = pa.table({"n": [[1, None, 2], [], None]})
            >>> evaluate(flow_of(table.schema).n.sum(), table).to_pylist()
            [3, 0, None]
        """
    def time(self) -> Ref:
        """The time of day of each timestamp, in its time zone and its unit."""
    def to_timestamp(self, format: str | None = None, tz: str | None = None, strict: bool = True) -> Ref:
        """Each text as the time that it says, in microseconds.

        Without a format, texts are as in ISO 8601: `2001-10-26`, `2001-10-26 09:30`, `2001-10-26T09:30:00.5Z`.

        Args:
            format: What the texts look like, in the directives of Python's `strptime` (English names), and
                `%D %e %F %R %T` as in C.
            tz: The time zone of the result. Texts that do not say their offset from UTC are local times there;
                one that the clocks show twice is the first of both. Without it the result has no time zone,
                except with `%z` in the format: then it is in UTC.
            strict: Whether a text that does not fit is an error; else it becomes null.

        Raises:
            DefinitionError: The format has an unknown directive, or there is no such time zone.

        Example:
            >>> import pyarrow as pa
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> table = pa.table({"day": ["26.10.2001", "?"]})
            >>> evaluate(flow_of(table.schema).day.to_timestamp("%d.%m.%Y", strict=False), table).to_pylist()
            [datetime.datetime(2001, 10, 26, 0, 0), None]
        """
    def total_seconds(self) -> Ref:
        """Each duration in seconds, as float64.

        Example:
            >>> import datetime, pyarrow as pa
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> table = pa.table({"took": [datetime.timedelta(minutes=1, milliseconds=500), None]})
            >>> evaluate(flow_of(table.schema).took.total_seconds(), table).to_pylist()
            [60.5, None]
        """
    def truncate(self, unit: Literal['year', 'quarter', 'month', 'week', 'day', 'hour', 'minute', 'second', 'millisecond', 'microsecond']) -> Ref:
        """The start of the year, month, ..., second that each time lies in; the type stays.

        Years, days and the like are those of the time zone of a timestamp. In the hour that a change of clocks
        repeats, the first hour stays the first and the second the second.

        Args:
            unit: "year", "quarter", "month", "week" (from Monday), "day", "hour", "minute", "second",
                "millisecond" or "microsecond"; for dates only down to "day", for times of day from "hour".

        Raises:
            DefinitionError: There is no such unit, or the input does not have it.

        Example:
            >>> import datetime, pyarrow as pa
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> table = pa.table({"sent": [datetime.datetime(2001, 10, 26, 9, 30)]})
            >>> evaluate(flow_of(table.schema).sent.truncate("day"), table).to_pylist()
            [datetime.datetime(2001, 10, 26, 0, 0)]
        """
    def unique(self) -> Ref:
        """The elements of each list without those that came before in it; the others keep their order.

        Null is an element as any other, so is NaN, and 0.0 equals -0.0.

        Example:
            >>> import pyarrow as pa
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> table = pa.table({"tags": [["b", "a", "b"], [None, None], None]})
            >>> evaluate(flow_of(table.schema).tags.unique(), table).to_pylist()
            [['b', 'a'], [None], None]
        """
    def upper(self) -> Ref:
        """Each text in upper case, as `str.upper`.

        Characters that are newer than the Python that runs follow Arrow's tables.

        Example:
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> import pyarrow as pa
            >>> table = pa.table({"text": ["hello", "straße", None]})
            >>> evaluate(flow_of(table.schema).text.upper(), table).to_pylist()
            ['HELLO', 'STRASSE', None]
        """
    def value_counts(self) -> Ref:
        """The different elements of each list in the order in which they first appear, and how often each occurs.

        A list of structs of `value` and `count` (int64). As in the aggregator of that name, nulls are passed
        over, NaNs equal each other, and -0.0 is 0.0; elements are of any type, lists and structs too.

        Example:
            >>> import pyarrow as pa
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> table = pa.table({"tags": [["b", "a", None, "b"], [], None]})
            >>> evaluate(flow_of(table.schema).tags.value_counts(), table).to_pylist()
            [[{'value': 'b', 'count': 2}, {'value': 'a', 'count': 1}], [], None]
        """
    def week(self) -> Ref:
        """The week of the year as ISO 8601 counts them, from 1: weeks start on Monday, week 1 has January 4."""
    def weekday(self) -> Ref:
        """The day of the week as Python counts them: Monday is 0."""
    def year(self) -> Ref:
        """The year.

        Example:
            >>> import datetime, pyarrow as pa
            >>> from hyped_beam.testing import evaluate, flow_of
            >>> table = pa.table({"sent": [datetime.datetime(2001, 10, 26, 9, 30), None]})
            >>> evaluate(flow_of(table.schema).sent.year(), table).to_pylist()
            [2001, None]
        """

class BoundMethod:
    """A method of a ref: calling it adds the node behind it to the flow."""
    def __init__(self, ref: Ref, name: str, node: type[Any]) -> None: ...
    def __call__(self, *args: Any, **arguments: Any) -> Any:
        """Add the node to the flow."""
    def __repr__(self) -> str: ...
    def __getattr__(self, name: str) -> NoReturn: ...
    def _not_called(self) -> DefinitionTypeError: ...
def builder_of(ref: Ref) -> GraphBuilder:
    """The graph that a ref's flow records into."""
def edge_of(ref: Ref) -> Edge:
    """The edge that a ref stands for."""
def scope_of(ref: Ref) -> int:
    """The number of the scope whose rows a ref has a value for."""
def hint_for_foreign(builders: Iterable[GraphBuilder], asked: GraphBuilder | None=None) -> str:
    """Where to take refs from, for an error about refs of several flows.

    Args:
        builders: The graphs that the flows of the refs record into.
        asked: That of the flow that was given the refs; None where they only met.
    """
def feature_of(ref: Ref) -> Feature:
    """The Hugging Face feature of a ref."""
