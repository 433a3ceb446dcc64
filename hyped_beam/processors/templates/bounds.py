"""What the filters, tests and methods that templates may use can make, known before they make it.

All that Jinja and Python offer is listed: what another version adds is refused until it is.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, TypeAlias

from hyped_beam.processors.templates import budget
from hyped_beam.processors.templates.budget import (
    MOST_BITS,
    LimitError,
    made,
    size_as_text,
    size_of,
    spend,
)
from hyped_beam.processors.templates.formatting import check_percent, check_time_format, check_whole

Arguments: TypeAlias = tuple[Any, ...]
Named: TypeAlias = Mapping[str, Any]
Bound: TypeAlias = Callable[[Any, Arguments, Named], None]
"""Takes the steps for a call of something on a value, before it is made.

Raises:
    LimitError: It would take too many, or make too much.
"""

COPIED_A_STEP = 10_000
"""So many characters that are only copied, once more for each of something, are a step."""

STRIPPED_A_STEP = 1_000
"""So many times a character is looked up among those that are cut off, are a step."""

_RUN = re.compile(r"\s+|\S+")
_CODECS = frozenset({"ascii", "utf8", "utf16", "utf32", "latin1", "iso88591", "cp1252"})


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _argument(given: Arguments, named: Named, place: int, name: str, default: Any = None) -> Any:
    return given[place] if len(given) > place else named.get(name, default)


def _whole(value: Any, default: int = 0) -> int:
    return value if isinstance(value, int) else default


def _times(factor: int) -> Bound:
    """What it makes is no more than so many times what it is given."""

    def bound(value: Any, given: Arguments, named: Named) -> None:
        made(factor * size_of(value) + size_of(given) + size_of(named))

    return bound


def _work(factor: int) -> Bound:
    """It goes so often through what it is given."""

    def bound(value: Any, given: Arguments, named: Named) -> None:
        size = size_of(value)
        made(size + size_of(given) + size_of(named))
        spend(factor * size // 100)

    return bound


def _width(place: int, name: str) -> Bound:
    def bound(value: Any, given: Arguments, named: Named) -> None:
        made(size_of(value) + max(_whole(_argument(given, named, place, name, 80)), 0))

    return bound


def _replace(value: Any, given: Arguments, named: Named) -> None:
    old, new = _argument(given, named, 0, "old", ""), _argument(given, named, 1, "new", "")
    size, longest = size_of(value), size_of(new)
    if isinstance(value, (str, bytes)) and isinstance(old, type(value)) and isinstance(new, type(value)):
        size += value.count(old) * longest  # type: ignore[arg-type]  # both are text, or bytes
    else:
        size += (size + 1) * longest
    made(size)


def _indent(value: Any, given: Arguments, named: Named) -> None:
    width = _argument(given, named, 0, "width", 4)
    each = len(width) if isinstance(width, str) else max(_whole(width), 0)
    text = value if isinstance(value, str) else ""
    made(size_of(value) + each * (len(text.splitlines()) + 1))


def _join(value: Any, given: Arguments, named: Named) -> None:
    between = size_of(_argument(given, named, 0, "d", ""))
    items = len(value) if hasattr(value, "__len__") else 1
    made(size_of(value) + between * items)


def _join_method(value: Any, given: Arguments, named: Named) -> None:
    del named
    items = given[0] if given else ()
    made(size_as_text(items) + len(value) * (len(items) if hasattr(items, "__len__") else 1))


def _batch(value: Any, given: Arguments, named: Named) -> None:
    count, fill = _argument(given, named, 0, "linecount"), _argument(given, named, 1, "fill_with")
    made(size_of(value) + (0 if fill is None else max(_whole(count), 0) * max(size_of(fill), 1)))


def _slice(value: Any, given: Arguments, named: Named) -> None:
    count, fill = _argument(given, named, 0, "slices"), _argument(given, named, 1, "fill_with")
    made(size_of(value) + max(_whole(count), 0) * (1 if fill is None else max(size_of(fill), 1)))


def _format(value: Any, given: Arguments, named: Named) -> None:
    check_percent(str(value) if not isinstance(value, (str, bytes)) else value, tuple(given) or dict(named))


def _wordwrap(value: Any, given: Arguments, named: Named) -> None:
    width = max(_whole(_argument(given, named, 0, "width", 79), 79), 1)
    between = size_of(_argument(given, named, 2, "wrapstring", "\n"))
    text = str(value)
    words = text.split()
    made(len(text) + (len(text) // width + len(words)) * between)
    has_runs = len(text) > sum(map(len, words)) + len(words)  # of white space
    runs = _RUN.findall(text) if has_runs else words
    longest = max(map(len, runs), default=0)  # is cut once for each line, and copied each time
    spend(len(text) // width * longest // COPIED_A_STEP)


def _striptags(value: Any, given: Arguments, named: Named) -> None:
    del given, named
    text = str(value)
    made(len(text))
    spend(len(text) * text.count("<") // COPIED_A_STEP)  # each tag is cut out of a copy


def _urlize(value: Any, given: Arguments, named: Named) -> None:
    text = str(value)
    each = size_of(given) + size_of(named) + 60
    made(12 * len(text) + each * (len(text.split()) + 1))
    spend(len(text) // 5)


def _tojson(value: Any, given: Arguments, named: Named) -> None:
    size = size_of(value)
    made(6 * size + max(_whole(_argument(given, named, 0, "indent", 0)), 0) * (size // 4 + 1) * 2)


def _round(value: Any, given: Arguments, named: Named) -> None:
    check_whole(value)
    if abs(_whole(_argument(given, named, 0, "precision", 0))) > MOST_BITS // 4:
        msg = f"round takes a precision of at most {MOST_BITS // 4:,}"
        raise LimitError(msg)


def _int(value: Any, given: Arguments, named: Named) -> None:
    del given, named
    check_whole(value)
    if isinstance(value, (str, bytes)) and len(value) > MOST_BITS:
        msg = f"a whole number would have more than {MOST_BITS:,} bits"
        raise LimitError(msg)


def _strip(value: Any, given: Arguments, named: Named) -> None:
    made(size_of(value) + size_of(given) + size_of(named))
    characters = _argument(given, named, 0, "chars")
    if isinstance(value, (str, bytes)) and isinstance(characters, (str, bytes)):
        spend(len(value) * len(characters) // STRIPPED_A_STEP)  # each is looked up among all of them


def _sum(value: Any, given: Arguments, named: Named) -> None:
    size = size_of(value)
    made(size + size_of(given) + size_of(named))
    items = len(value) if hasattr(value, "__len__") else 1
    spend(size // COPIED_A_STEP * items)  # of lists the sum so far is copied for each


def _xmlattr(value: Any, given: Arguments, named: Named) -> None:
    _times(6)(value, given, named)


_LINEAR = _times(1)

FILTERS: Mapping[str, Bound] = {
    **dict.fromkeys(
        (
            "abs",
            "attr",
            "capitalize",
            "count",
            "d",
            "default",
            "filesizeformat",
            "first",
            "float",
            "items",
            "last",
            "length",
            "list",
            "lower",
            "map",
            "reject",
            "rejectattr",
            "reverse",
            "safe",
            "select",
            "selectattr",
            "string",
            "title",
            "truncate",
            "wordcount",
        ),
        _LINEAR,
    ),
    "trim": _strip,
    "upper": _times(3),
    **dict.fromkeys(("e", "escape", "forceescape"), _times(6)),
    "urlencode": _times(12),
    **dict.fromkeys(("dictsort", "groupby", "max", "min", "sort", "unique"), _work(20)),
    "pprint": _work(50),
    "batch": _batch,
    "center": _width(0, "width"),
    "format": _format,
    "indent": _indent,
    "int": _int,
    "join": _join,
    "replace": _replace,
    "round": _round,
    "slice": _slice,
    "striptags": _striptags,
    "sum": _sum,
    "tojson": _tojson,
    "urlize": _urlize,
    "wordwrap": _wordwrap,
    "xmlattr": _xmlattr,
}
"""The filters that templates have, and what bounds each; those that are left out are in `LEFT_OUT`."""

FREE = _names("d default ")
"""Filters that only return what they are given."""

SMALL = _names("abs capitalize count d default first float int last length list lower string trim upper ")
"""Filters that take no steps for a short text or a number: those that the turns of loops take are enough."""

SMALL_METHODS = _names(
    "capitalize casefold count endswith find index isalnum isalpha isdigit islower isspace isupper lower "
    "lstrip partition removeprefix removesuffix rfind rpartition rstrip split rsplit splitlines "
    "startswith strip swapcase title upper "
)
"""Methods of text that take no steps for a short one."""


def is_cheap_replace(old: Any = None, new: Any = None, *others: Any) -> bool:
    """Return whether replacing in a small text makes none that is much longer."""
    return not others and type(old) is str and type(new) is str and old != "" and len(new) <= budget.FEW


ALONE = frozenset({"trim", "strip", "lstrip", "rstrip"})
"""Of these filters and methods, those that take steps for a short text where they are given characters."""

SHOWN = frozenset({"e", "escape", "forceescape", "urlize", "xmlattr"})
"""Filters that show what they are given, besides those in `TEXT_FILTERS`."""

GONE_THROUGH = _names("!= < <= == > >= eq equalto ge greaterthan gt in le lessthan lt ne")
"""Tests that go through what they are given."""

TEXT_FILTERS = _names(
    "capitalize center filesizeformat format indent join lower pprint replace string striptags title "
    "tojson trim truncate upper urlencode wordwrap "
)
"""Filters that return text, which is bounded already when it is printed."""

TESTS = frozenset(
    (
        "!=",
        "<",
        "<=",
        "==",
        ">",
        ">=",
        "boolean",
        "callable",
        "defined",
        "divisibleby",
        "eq",
        "equalto",
        "escaped",
        "even",
        "false",
        "filter",
        "float",
        "ge",
        "greaterthan",
        "gt",
        "in",
        "integer",
        "iterable",
        "le",
        "lessthan",
        "lower",
        "lt",
        "mapping",
        "ne",
        "none",
        "number",
        "odd",
        "sameas",
        "sequence",
        "string",
        "test",
        "true",
        "undefined",
        "upper",
    )
)
GLOBALS = frozenset({"cycler", "dict", "joiner", "namespace", "range"})


def _codec(value: Any, given: Arguments, named: Named) -> None:
    name = str(_argument(given, named, 0, "encoding", "utf-8")).lower()
    if re.sub("[-_ ]", "", name).removesuffix("le").removesuffix("be") not in _CODECS:
        msg = f"templates do not know the encoding {name!r:.40}"  # some take the square of the length
        raise LimitError(msg)
    made(4 * size_of(value))


def _expandtabs(value: Any, given: Arguments, named: Named) -> None:
    each = max(_whole(_argument(given, named, 0, "tabsize", 8)), 0)
    made(len(value) + each * value.count("\t" if isinstance(value, str) else b"\t"))


def _translate(value: Any, given: Arguments, named: Named) -> None:
    del named
    table = given[0] if given else {}
    longest = max(map(size_of, table.values()), default=1) if isinstance(table, Mapping) else size_of(table)
    made(len(value) * max(longest, 1))


def _zoned(value: Any, given: Arguments, named: Named) -> None:
    del given, named
    if value.tzinfo is None:
        msg = "the time has no zone, and would be taken in that of the machine; give it one: tz="
        raise ValueError(msg)
    spend(1)


def _strftime(value: Any, given: Arguments, named: Named) -> None:
    check_time_format(_argument(given, named, 0, "format", ""))
    _times(30)(value, given, named)


def _to_bytes(value: Any, given: Arguments, named: Named) -> None:
    del value
    made(max(_whole(_argument(given, named, 0, "length", 1)), 0))


_TEXT: Mapping[str, Bound] = {
    **dict.fromkeys(
        (
            "capitalize",
            "count",
            "endswith",
            "find",
            "index",
            "isalnum",
            "isalpha",
            "isascii",
            "isdigit",
            "islower",
            "isspace",
            "istitle",
            "isupper",
            "lower",
            "partition",
            "removeprefix",
            "removesuffix",
            "rfind",
            "rindex",
            "rpartition",
            "startswith",
            "swapcase",
            "title",
            "rsplit",
            "split",
            "splitlines",
        ),
        _times(3),
    ),
    "upper": _times(3),
    **dict.fromkeys(("strip", "lstrip", "rstrip"), _strip),
    **dict.fromkeys(("center", "ljust", "rjust", "zfill"), _width(0, "width")),
    "expandtabs": _expandtabs,
    "join": _join_method,
    "replace": _replace,
    "translate": _translate,
}
_COLLECTION = dict.fromkeys(("copy", "count", "index"), _LINEAR)
_TIME: Mapping[str, Bound] = {
    **dict.fromkeys(("isoformat", "tzname", "utcoffset", "dst", "replace"), _times(30)),
    "strftime": _strftime,
}

METHODS: Mapping[type, Mapping[str, Bound]] = {
    str: {
        **_TEXT,
        **dict.fromkeys(
            ("casefold", "isdecimal", "isidentifier", "isnumeric", "isprintable", "unescape", "striptags"),
            _times(3),
        ),
        "encode": _codec,
        "striptags": _striptags,
    },
    bytes: {**_TEXT, "decode": _codec, "hex": _times(3)},
    bool: {},
    int: {
        **dict.fromkeys(("as_integer_ratio", "bit_count", "bit_length", "conjugate", "is_integer"), _LINEAR),
        "to_bytes": _to_bytes,
    },
    float: dict.fromkeys(("as_integer_ratio", "conjugate", "hex", "is_integer"), _LINEAR),
    Decimal: dict.fromkeys(
        (
            "adjusted",
            "as_tuple",
            "canonical",
            "compare",
            "conjugate",
            "copy_abs",
            "copy_negate",
            "copy_sign",
            "exp",
            "is_canonical",
            "is_finite",
            "is_infinite",
            "is_nan",
            "is_normal",
            "is_qnan",
            "is_signed",
            "is_snan",
            "is_subnormal",
            "is_zero",
            "ln",
            "log10",
            "logb",
            "max",
            "min",
            "normalize",
            "number_class",
            "quantize",
            "sqrt",
            "to_eng_string",
        ),
        _LINEAR,
    ),
    list: _COLLECTION,
    tuple: dict.fromkeys(("count", "index", "_asdict"), _LINEAR),
    range: dict.fromkeys(("count", "index"), _LINEAR),
    dict: dict.fromkeys(("copy", "get", "items", "keys", "values"), _LINEAR),
    datetime.datetime: {
        **_TIME,
        **dict.fromkeys(
            (
                "ctime",
                "date",
                "isocalendar",
                "isoweekday",
                "time",
                "timetuple",
                "timetz",
            ),
            _times(30),
        ),
        **dict.fromkeys(("astimezone", "timestamp"), _zoned),
        **dict.fromkeys(("toordinal", "utctimetuple", "weekday"), _LINEAR),
        # and what nanoseconds have besides, which come as pandas' own kind of times
        **dict.fromkeys(("ceil", "day_name", "floor", "month_name", "normalize", "round"), _LINEAR),
        **dict.fromkeys(("to_pydatetime", "tz_convert", "tz_localize"), _LINEAR),
    },
    datetime.date: {
        **dict.fromkeys(
            (
                "ctime",
                "isocalendar",
                "isoformat",
                "isoweekday",
                "replace",
                "timetuple",
                "toordinal",
                "weekday",
            ),
            _times(30),
        ),
        "strftime": _strftime,
    },
    datetime.time: _TIME,
    datetime.timedelta: dict.fromkeys(("total_seconds", "isoformat"), _LINEAR),
    datetime.tzinfo: dict.fromkeys(("dst", "fromutc", "tzname", "utcoffset"), _LINEAR),
}
"""The methods that templates may call, by the class of the value, and what bounds each."""


def method_bound(value: Any, name: str) -> Bound | None:
    """What bounds a method of a value; None where templates may not call it."""
    kind = type(value)
    table = METHODS.get(kind)
    if table is None:
        table = next((METHODS[base] for base in kind.__mro__ if base in METHODS), {})
    return table.get(name)


def check_operator(operator: str, left: Any, right: Any) -> None:
    """Take the steps for what an operator makes.

    Raises:
        LimitError: It would be too large.
    """
    if isinstance(left, int) and isinstance(right, int):
        bits = left.bit_length()
        size = {"*": bits + right.bit_length(), "**": bits * max(right, 0)}.get(operator, 0)
        if size > MOST_BITS:
            msg = f"the result of {operator} is too large"
            raise LimitError(msg)
    elif operator == "%":
        if isinstance(left, (str, bytes)):
            check_percent(left, right)
    elif operator == "*":
        for one, other in ((left, right), (right, left)):
            if isinstance(one, (str, bytes, list, tuple)) and isinstance(other, int):
                made(size_of(one) * max(other, 0))
    elif operator == "+" and isinstance(left, (str, bytes, list, tuple)):
        made(size_of(left) + size_of(right))
