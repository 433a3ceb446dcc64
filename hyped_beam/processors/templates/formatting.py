"""What formatting makes, known before it is made: how long a text is, and whether a time is as it stands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

from hyped_beam.processors.templates.budget import (
    FEW,
    MOST_BITS,
    SMALL,
    LimitError,
    is_small,
    made,
    size_as_text,
    widths_in,
)

_PLACEHOLDER = re.compile(r"%(?:\(([^()]*)\))?[#0\- +]*[\d*]*(?:\.[\d*]*)?[hlL]?(.)?", re.DOTALL)
_DIRECTIVE = re.compile(r"%[-_0^#+]*\d*[EO:]*(.?)", re.DOTALL)
_SECONDS = "s"
_AS_WHOLE = frozenset("diu")
_AS_FEW = frozenset("sdifgeFGEcx")
_OF_A_CODE = 10  # a character that is shown by its number: "\U0001f600"
_OF_AN_ENTITY = 6  # a character that is escaped for HTML: "&quot;"


def check_width(specification: str) -> None:
    """Take the steps for the widths and precisions in a text, as in `{:>10}`."""
    made(widths_in(specification))


def check_time_format(format: Any) -> None:
    """Refuse `%s` in the format of a time: C takes the time in the zone of the machine, whatever its own is.

    Raises:
        ValueError: It is there.
    """
    if _SECONDS in _DIRECTIVE.findall(str(format)):
        msg = "'%s' would take the time in the zone of the machine; write .timestamp() of a time with a zone"
        raise ValueError(msg)


def check_whole(value: Any) -> None:
    """Refuse a decimal that would be a whole number of too many digits.

    Raises:
        LimitError: It would.
    """
    if isinstance(value, Decimal) and abs(value.adjusted()) > MOST_BITS // 4:
        msg = f"a whole number would have more than {MOST_BITS:,} bits"
        raise LimitError(msg)


def check_percent(template: Any, values: Any) -> None:
    """Take the steps for `template % values`: for each placeholder what it shows, and its width.

    Raises:
        LimitError: It would be too large.
    """
    text = template.decode("latin-1") if isinstance(template, bytes) else str(template)
    found = [match.groups() for match in _PLACEHOLDER.finditer(text) if match[2] != "%"]
    most = len(text) + widths_in(text)
    listed = values if isinstance(values, tuple) else (values,)
    kinds = {kind for _, kind in found}
    if kinds & _AS_WHOLE:
        for value in (*listed, *(values.values() if isinstance(values, Mapping) else ())):
            check_whole(value)
    if "*" in text:
        most += sum(abs(value) for value in listed if isinstance(value, int))
    factor = 1
    if kinds & {"r", "a"}:
        factor = _OF_A_CODE if any(_has_codes(value) for value in _shown_by(values, listed)) else 2
    if hasattr(template, "__html__"):
        factor *= _OF_AN_ENTITY
    if isinstance(values, Mapping):
        sizes = {str(name): size_as_text(value) for name, value in values.items()}
        longest = max(sizes.values(), default=0)
        all_of_it = size_as_text(values)
        shown = sum(all_of_it if name is None else sizes.get(name, longest) for name, _ in found)
    else:
        shown = size_as_text(values)
    made(most + factor * shown)


def _shown_by(values: Any, listed: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(values.values()) if isinstance(values, Mapping) else listed


def _has_codes(value: Any) -> bool:
    return isinstance(value, (str, bytes)) and not (value.isascii() and str(value).isprintable())


def is_short_percent(template: Any, values: Any) -> bool:
    """Return whether `template % values` costs next to nothing: a few short values, not made much wider."""
    if type(template) is not str or len(template) >= SMALL or not _has_few(template):
        return False
    if type(values) is not tuple:
        return is_small(values)
    return len(values) <= FEW and all(map(is_small, values))


@lru_cache(maxsize=256)
def _has_few(template: str) -> bool:
    """Whether a template has only few placeholders, as `%s` and `%5.2f`, and small numbers."""
    found = [match.groups() for match in _PLACEHOLDER.finditer(template) if match[2] != "%"]
    is_simple = all(name is None and kind in _AS_FEW for name, kind in found)
    return is_simple and "*" not in template and len(found) <= FEW and widths_in(template) < SMALL
