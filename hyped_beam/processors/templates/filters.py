"""The filters that templates have: those of Jinja, each of which takes its steps before it does anything.

Most values are short texts, numbers and lists of them. What they may cost is told by their class and length,
so that asking costs next to nothing; all others go the way of `bounded`. That a quick filter and Jinja's own
give the same is a property of the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from json import JSONEncoder
from types import GeneratorType
from typing import Any, TypeAlias

from markupsafe import Markup

from hyped_beam.processors.templates import bounds, budget, formatting
from hyped_beam.processors.templates.budget import CHARACTERS_A_STEP, COPIED, SHORT, SMALL, made

Filter: TypeAlias = Callable[..., Any]

_MOST_DIGITS = 300
_A_CHARACTER = 20
"""So many characters that a filter goes through slowly are a step."""

_NUMBERS = frozenset({int, float})
_encode = JSONEncoder(sort_keys=True).encode


def bounded(function: Filter, bound: bounds.Bound, name: str) -> Filter:
    """A filter that takes its steps before it does anything, of whatever it is given."""
    before = 1 if hasattr(function, "jinja_pass_arg") else 0
    is_small = name in bounds.SMALL
    is_alone = name in bounds.ALONE
    shows = name in bounds.TEXT_FILTERS | bounds.SHOWN

    @wraps(function)
    def general(*args: Any, **named: Any) -> Any:
        value = args[before] if len(args) > before else None
        if is_small and budget.is_small(value):
            others = (*args[before + 1 :], *named.values())
            if not others or (not is_alone and all(map(budget.is_small, others))):
                return function(*args, **named)
        if isinstance(value, Iterator):
            value = list(budget.counted(value))
            args = (*args[:before], value, *args[before + 1 :])
        budget.spend(1)
        given = args[before + 1 :]
        for one in (value, *given, *named.values()):
            budget.go_through(one)
            if shows and type(one) is not str:
                budget.size_as_text(one)
        bound(value, given, named)
        return budget.checked(function(*args, **named))

    quick = QUICK.get(name)
    return general if quick is None else wraps(function)(quick(function, general))


def bounded_test(function: Callable[..., Any], goes_through: Callable[[Any], Any]) -> Callable[..., Any]:
    """A test that takes the steps for what a value is compared with."""
    is_search = goes_through is budget.searched

    @wraps(function)
    def test(value: Any, other: Any) -> Any:
        if type(other) is str and len(other) < SMALL and not is_search:
            return function(value, other)
        return function(value, goes_through(other))

    return test


def _method(name: str) -> Callable[[Filter, Filter], Filter]:
    """A filter that is a method of text, and makes no more than three times as much."""
    method: Callable[[str], str] = getattr(str, name)

    def quick(function: Filter, general: Filter) -> Filter:
        del function

        def filter_(value: Any) -> Any:
            if type(value) is not str:
                return general(value)
            if len(value) < SMALL:
                return method(value)
            made(len(value))
            text = method(value)
            budget.check_size(len(text))
            return text

        return filter_

    return quick


def _of_text(function: Filter, general: Filter) -> Filter:
    """A filter that goes through a text slowly, and makes no more than three times as much."""

    def filter_(value: Any) -> Any:
        if type(value) is not str:
            return general(value)
        if len(value) < CHARACTERS_A_STEP:
            return function(value)
        budget.spend(len(value) // _A_CHARACTER)
        return budget.checked(function(value))

    return filter_


def _of_short_text(most: int) -> Callable[[Filter, Filter], Filter]:
    """A filter that goes through a text, and makes some hundred times as much of it where it is given little.

    Args:
        most: The length of the longest text that is short.
    """

    def quick(function: Filter, general: Filter) -> Filter:
        before = 1 if hasattr(function, "jinja_pass_arg") else 0

        def filter_(*args: Any, **named: Any) -> Any:
            value = args[before]
            if type(value) is not str or len(value) >= most:
                return general(*args, **named)
            for given in (*args[before + 1 :], *named.values()):
                kind = type(given)
                is_little = (
                    len(given) <= SHORT if kind is str else kind is bool or (kind is int and given <= SHORT)
                )
                if not is_little:
                    return general(*args, **named)
            if len(value) >= CHARACTERS_A_STEP:
                budget.spend(len(value) // _A_CHARACTER)
            return budget.checked(function(*args, **named))

        return filter_

    return quick


def _escape(function: Filter, general: Filter) -> Filter:
    def filter_(s: Any) -> Any:
        if type(s) is not str or len(s) >= COPIED:
            return general(s)
        if len(s) >= SMALL:
            made(len(s))
        return function(s)

    return filter_


def _indent(function: Filter, general: Filter) -> Filter:
    def filter_(s: Any, width: Any = 4, first: Any = False, blank: Any = False) -> Any:  # noqa: FBT002 - as in Jinja
        if type(s) is not str or len(s) >= COPIED or type(width) is not int or width > SHORT:
            return general(s, width, first, blank)
        text: str = function(s, width, first, blank)
        if len(text) >= _A_CHARACTER:
            made(len(text) + len(s) * (CHARACTERS_A_STEP // _A_CHARACTER))
        return text

    return filter_


def _truncate(function: Filter, general: Filter) -> Filter:
    def filter_(
        env: Any,
        s: Any,
        length: Any = 255,
        killwords: Any = False,  # noqa: FBT002 - as in Jinja
        end: Any = "...",
        leeway: Any = None,
    ) -> Any:
        if type(s) is str and len(s) < SMALL and type(end) is str and len(end) <= SHORT:
            return function(env, s, length, killwords, end, leeway)
        return general(env, s, length, killwords, end, leeway)

    return filter_


def _trim(function: Filter, general: Filter) -> Filter:
    del function

    def filter_(value: Any, chars: Any = None) -> Any:
        if type(value) is str and (chars is None or (type(chars) is str and len(chars) <= SHORT)):
            if len(value) >= SMALL:
                made(len(value))
            return value.strip(chars)
        return general(value, chars)

    return filter_


def _string(function: Filter, general: Filter) -> Filter:
    del function

    def filter_(object_: Any) -> Any:
        if type(object_) is str:
            return object_
        return str(object_) if budget.is_small(object_) else general(object_)

    return filter_


def _length(function: Filter, general: Filter) -> Filter:
    del function

    def filter_(obj: Any) -> Any:
        if type(obj) in (str, list, dict, tuple):
            return len(obj)
        return general(obj)

    return filter_


def _at(place: int) -> Callable[[Filter, Filter], Filter]:
    def quick(function: Filter, general: Filter) -> Filter:
        del function

        def filter_(environment: Any, seq: Any) -> Any:
            if type(seq) in (list, str) and seq:
                return seq[place]
            return general(environment, seq)

        return filter_

    return quick


def _of_number(function: Filter, general: Filter) -> Filter:
    def filter_(value: Any, *args: Any, **named: Any) -> Any:
        if not args and not named and budget.is_small(value):
            return function(value)
        return general(value, *args, **named)

    return filter_


def _round(function: Filter, general: Filter) -> Filter:
    def filter_(value: Any, precision: Any = 0, method: Any = "common") -> Any:
        if type(value) is float and type(precision) is int and -_MOST_DIGITS < precision < _MOST_DIGITS:
            return function(value, precision, method)
        return general(value, precision, method)

    return filter_


def _replace(function: Filter, general: Filter) -> Filter:
    del function

    def filter_(eval_ctx: Any, s: Any, old: Any, new: Any, count: Any = None) -> Any:
        are_texts = type(s) is str and type(old) is str and type(new) is str
        if are_texts and old and count is None and not eval_ctx.autoescape and len(old) <= SHORT:
            length = len(s)
            if length < SMALL and len(new) <= budget.FEW:
                return s.replace(old, new)
            if len(new) <= len(old) or (length < COPIED and len(new) <= SHORT):
                text = s.replace(old, new)
                made(len(text) if len(text) > length else length)  # noqa: FURB136 - as quick as can be
                return text
        return general(eval_ctx, s, old, new, count)

    return filter_


def _join(function: Filter, general: Filter) -> Filter:
    del function

    def filter_(eval_ctx: Any, value: Any, d: Any = "", attribute: Any = None) -> Any:
        if attribute is None and type(d) is str and not eval_ctx.autoescape:
            if type(value) is not list and isinstance(value, Iterator):
                value = list(value)  # each takes its step
            if type(value) is list:
                try:
                    size = sum(map(len, value)) + len(d) * len(value)
                except TypeError:
                    return general(eval_ctx, value, d)
                if size >= CHARACTERS_A_STEP:
                    made(size)
                try:
                    return d.join(value)
                except TypeError:  # not of text only
                    return general(eval_ctx, value, d)
        return general(eval_ctx, value, d, attribute)

    return filter_


def _tojson(function: Filter, general: Filter) -> Filter:
    del function

    def filter_(eval_ctx: Any, value: Any, indent: Any = None) -> Any:
        if indent is not None or not budget.is_light():
            return general(eval_ctx, value, indent)
        text = _encode(value)
        if len(text) >= CHARACTERS_A_STEP:
            made(len(text))
        escaped = text.replace("<", "\\u003c").replace(">", "\\u003e")
        return Markup(escaped.replace("&", "\\u0026").replace("'", "\\u0027"))  # noqa: S704 - as in Jinja

    return filter_


def _format(function: Filter, general: Filter) -> Filter:
    def filter_(value: Any, *args: Any, **kwargs: Any) -> Any:
        if not kwargs and formatting.is_short_percent(value, args):
            return value % args
        return general(value, *args, **kwargs)

    del function
    return filter_


def _lazy(function: Filter, general: Filter) -> Filter:
    """A filter that does something with each item, when it is asked for it."""

    def filter_(context: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
        for given in (*args, *kwargs.values()) if kwargs else args:
            if type(given) is not str or len(given) > SHORT:
                break
        else:
            if type(value) is list:
                return function(context, budget.turns(value), *args, **kwargs)
            if type(value) is GeneratorType:
                return function(context, budget.counted(value), *args, **kwargs)
        return general(context, value, *args, **kwargs)

    return filter_


def _items(function: Filter, general: Filter) -> Filter:
    """A filter of Jinja that goes through a list, and makes no more items of it."""
    before = 1 if hasattr(function, "jinja_pass_arg") else 0

    def filter_(*args: Any, **named: Any) -> Any:
        value = args[before]
        if type(value) is list and len(args) == before + 1 and not named:
            if len(value) > SHORT:
                budget.turns(value)
            return function(*args)
        return general(*args, **named)

    return filter_


def _grouped(function: Filter, general: Filter) -> Filter:
    """A filter of Jinja that makes lists of a few of the items of a list."""
    before = 1 if hasattr(function, "jinja_pass_arg") else 0

    def filter_(*args: Any, **named: Any) -> Any:
        value, count = args[before], args[-1]
        is_list_and_count = type(value) is list and len(args) == before + 2 and not named
        if is_list_and_count and type(count) is int and 0 < count <= SHORT:
            if len(value) > SHORT:
                budget.turns(value)
            return function(*args)
        return general(*args, **named)

    return filter_


def _sum(function: Filter, general: Filter) -> Filter:
    def filter_(environment: Any, iterable: Any, attribute: Any = None, start: Any = 0) -> Any:
        is_list = type(iterable) is list and attribute is None and type(start) in _NUMBERS
        if is_list and set(map(type, iterable)) <= _NUMBERS:
            if len(iterable) > SHORT:
                budget.turns(iterable)
            return function(environment, iterable, None, start)
        return general(environment, iterable, attribute, start)

    return filter_


def _unique(function: Filter, general: Filter) -> Filter:
    def filter_(environment: Any, value: Any, case_sensitive: Any = False, attribute: Any = None) -> Any:  # noqa: FBT002 - as in Jinja
        if type(value) is list and attribute is None and set(map(type, value)) == {str}:
            budget.spend(sum(map(len, value)) // 5 + len(value))
            return function(environment, value, case_sensitive)
        return general(environment, value, case_sensitive, attribute)

    return filter_


def _sort(function: Filter, general: Filter) -> Filter:
    def filter_(
        environment: Any,
        value: Any,
        reverse: Any = False,  # noqa: FBT002 - as in Jinja
        case_sensitive: Any = False,  # noqa: FBT002 - as in Jinja
        attribute: Any = None,
    ) -> Any:
        if type(value) is list and attribute is None and set(map(type, value)) == {str}:
            size = sum(map(len, value)) + 4 * len(value)
            made(size)
            budget.spend(size // 5)
            return function(environment, value, reverse, case_sensitive)
        return general(environment, value, reverse, case_sensitive, attribute)

    return filter_


QUICK: Mapping[str, Callable[[Filter, Filter], Filter]] = {
    "capitalize": _method("capitalize"),
    "lower": _method("lower"),
    "upper": _method("upper"),
    "title": _of_text,
    "wordcount": _of_text,
    "trim": _trim,
    "string": _string,
    "length": _length,
    "count": _length,
    "first": _at(0),
    "last": _at(-1),
    "float": _of_number,
    "int": _of_number,
    "abs": _of_number,
    "round": _round,
    "replace": _replace,
    "join": _join,
    "tojson": _tojson,
    "format": _format,
    "sort": _sort,
    "unique": _unique,
    "indent": _indent,
    **dict.fromkeys(("e", "escape", "forceescape"), _escape),
    "sum": _sum,
    "reverse": _items,
    "list": _items,
    **dict.fromkeys(("batch", "slice"), _grouped),
    "center": _of_short_text(COPIED),
    "truncate": _truncate,
    **dict.fromkeys(("striptags", "urlencode", "wordwrap"), _of_short_text(SMALL)),
    **dict.fromkeys(("map", "select", "reject", "selectattr", "rejectattr"), _lazy),
}
"""Filters that are quick with what they are mostly given, made of Jinja's own and the bounded one."""
