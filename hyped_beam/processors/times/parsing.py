"""Text as times: `to_timestamp`."""

from __future__ import annotations

import datetime
import re
import zoneinfo
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import field_validator

from hyped_beam.errors import nearest_name
from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import method
from hyped_beam.processors import conversions
from hyped_beam.processors.row_errors import with_hint
from hyped_beam.processors.times import directives
from hyped_beam.processors.times.units import SECONDS_PER_DAY
from hyped_beam.processors.times.zones import from_local, is_zone
from hyped_beam.types import features
from hyped_beam.types.features import Feature
from hyped_beam.types.patterns import StringColumn
from hyped_beam.types.vectors import Vector, column_of

_UNIT = "us"
_OFFSET = r"[T ][0-9:.]+(Z|[+-][0-9]{2}(:?[0-9]{2})?)$"


def _any_of(names: tuple[str, ...]) -> str:
    return "|".join(sorted(names, key=len, reverse=True))


# As in Python's strptime: the field that each directive says, and what it looks like.
_DIRECTIVES: dict[str, tuple[str, str]] = {
    "a": ("weekday", _any_of(directives.shortened(directives.WEEKDAYS))),
    "A": ("weekday", _any_of(directives.WEEKDAYS)),
    "b": ("month", _any_of(directives.shortened(directives.MONTHS))),
    "B": ("month", _any_of(directives.MONTHS)),
    "d": ("day", r"3[0-1]|[1-2]\d|0[1-9]|[1-9]| [1-9]"),
    "e": ("day", r"3[0-1]|[1-2]\d|0[1-9]|[1-9]| [1-9]"),
    "f": ("fraction", r"[0-9]{1,6}"),
    "H": ("hour", r"2[0-3]|[0-1]\d|\d"),
    "I": ("hour", r"1[0-2]|0[1-9]|[1-9]"),
    "j": ("day_of_year", r"36[0-6]|3[0-5]\d|[1-2]\d\d|0[1-9]\d|00[1-9]|[1-9]\d|0[1-9]|[1-9]"),
    "m": ("month", r"1[0-2]|0[1-9]|[1-9]"),
    "M": ("minute", r"[0-5]\d|\d"),
    "p": ("half", "AM|PM"),
    "S": ("second", r"6[0-1]|[0-5]\d|\d"),
    "y": ("year", r"\d\d"),
    "Y": ("year", r"\d\d\d\d"),
    "z": ("offset", r"[+-]\d\d:?[0-5]\d(?::?[0-5]\d(?:\.\d{1,6})?)?|(?-i:Z)"),
}


def _fields(format: str) -> dict[str, str]:
    """The letter of the directive that says each field.

    Raises:
        ValueError: Two say the same, or there is no such directive.
    """
    said: dict[str, str] = {}
    for letter, is_directive in directives.parts(format, _DIRECTIVES):
        if is_directive and (other := said.setdefault(_DIRECTIVES[letter][0], letter)) != letter:
            msg = f"'%{other}' and '%{letter}' say the same"
            raise ValueError(msg)
    letters = [letter for letter, is_directive in directives.parts(format, _DIRECTIVES) if is_directive]
    twice = next((letter for letter in letters if letters.count(letter) > 1), None)
    if twice:
        msg = f"'%{twice}' stands there twice"
        raise ValueError(msg)
    return said


@method("to_timestamp")
class ToTimestamp(Processor):
    """Each text as the time that it says, in microseconds.

    Without a format, texts are as in ISO 8601: `2001-10-26`, `2001-10-26 09:30`, `2001-10-26T09:30:00.5Z`.

    Attributes:
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

    format: str | None = None
    tz: str | None = None
    strict: bool = True

    @field_validator("format")
    @classmethod
    def _check_format(cls, format: str | None) -> str | None:
        if format is not None:
            _fields(format)
        return format

    @field_validator("tz")
    @classmethod
    def _check_zone(cls, tz: str | None) -> str | None:
        if tz is None or is_zone(tz):
            return tz
        close = nearest_name(tz, zoneinfo.available_timezones())
        hint = f"did you mean {close!r}?" if close else 'give one like "Europe/Berlin", "UTC" or "+02:00"'
        msg = f"there is no time zone {tz!r}; {hint}"
        raise ValueError(msg)

    def output(self, text: Feature) -> Feature:  # noqa: ARG002 - the same for all texts
        says_offset = self.format is not None and "offset" in _fields(self.format)
        return features.from_arrow(pa.timestamp(_UNIT, self.tz or ("UTC" if says_offset else None)))

    def process(self, text: StringColumn) -> pa.Array:
        if self.format is None:
            found = _parsed_iso(text, self.tz)
        else:
            found = _parsed(text, self.format, self.output_type)
        if self.strict and found.null_count > text.null_count:
            raise _misfit(text, found, self.format, self.tz)
        return found


def _misfit(text: pa.Array, found: pa.Array, format: str | None, tz: str | None) -> ValueError:
    wrong = pc.filter(text, pc.and_(text.is_valid(), found.is_null()))
    hint = "write .to_timestamp(..., strict=False) for null where a text does not fit"
    if format is None and tz is None and pc.match_substring_regex(wrong.slice(0, 1), _OFFSET)[0].as_py():
        hint = 'it says its offset from UTC: write .to_timestamp(tz="UTC")'
    wanted = "a time as in ISO 8601" if format is None else f"a time in the format {format!r}"
    return with_hint(ValueError(f"{wrong[0].as_py()!r:.80} is not {wanted}"), hint)


def _parsed_iso(text: pa.Array, tz: str | None) -> pa.Array:
    if tz is None:
        return _converted(text, None)
    says_offset = pc.match_substring_regex(text, _OFFSET)
    nothing = pa.scalar(None, text.type)
    instants = _converted(pc.if_else(says_offset, text, nothing), tz)
    clock = _converted(pc.if_else(says_offset, nothing, text), None)
    return instants if clock.null_count == len(clock) else pc.coalesce(instants, from_local(clock, tz))


def _converted(text: pa.Array, tz: str | None) -> pa.Array:
    source = features.from_arrow(text.type)
    return conversions.convert(text, source, features.from_arrow(pa.timestamp(_UNIT, tz)), strict=False)


def _parsed(text: pa.Array, format: str, output_type: pa.DataType) -> pa.Array:
    """The times of texts; null where one does not fit."""
    said = _fields(format)
    matched = pc.extract_regex(text, _expression(format))
    matched = pc.if_else(
        pc.equal(pc.struct_field(matched, "rest"), ""), matched, pa.scalar(None, matched.type)
    )
    valid = matched.is_valid().to_numpy(zero_copy_only=False)
    fields = {name: _numbers(letter, pc.struct_field(matched, name)) for name, letter in said.items()}
    if "half" in said and said.get("hour") == "I":
        fields["hour"] = fields["hour"] % 12 + 12 * fields["half"]
    elif said.get("hour") == "I":
        fields["hour"] = fields["hour"] % 12
    zero = np.zeros(len(text), np.int64)
    days, exists = _days(fields, zero)
    second = fields.get("second", zero)
    valid &= exists & (second < 60)  # noqa: PLR2004 - Python knows no leap seconds, either
    clock = (fields.get("hour", zero) * 60 + fields.get("minute", zero)) * 60 + second
    counts = (days * SECONDS_PER_DAY + clock) * 10**6 + fields.get("fraction", zero)
    if "offset" not in said:
        found = column_of(counts, pa.timestamp(_UNIT), valid)
        return found if output_type.tz is None else from_local(found, output_type.tz)
    ahead = fields["offset"]
    return column_of(counts - ahead, output_type, valid & (ahead != _NO_OFFSET))


def _expression(format: str) -> str:
    """The regular expression of a format, with what follows as the group `rest`, as Python matches it."""
    written = ""
    for part, is_directive in directives.parts(format, _DIRECTIVES):
        if is_directive:
            name, expression = _DIRECTIVES[part]
            written += f"(?P<{name}>{expression})"
        else:
            written += re.sub(r"(\\?\s)+", lambda _: r"\s+", re.escape(part))
    return f"(?is)^{written}(?P<rest>.*)$"


_NO_OFFSET = np.iinfo(np.int64).min


def _numbers(letter: str, texts: pa.Array) -> Any:
    """What the texts of a directive mean; 0 where there is none."""
    if letter == "z":
        return _offsets(texts)
    if letter in "aAbBp":
        names: Any = {"a": directives.WEEKDAYS, "b": directives.MONTHS, "p": ("AM", "PM")}[letter.lower()]
        short = directives.shortened(names) if letter in "ab" else names
        known = pa.array([name.lower() for name in short], texts.type)
        found = pc.index_in(pc.ascii_lower(texts), known)
        numbers = found.fill_null(0).to_numpy().astype(np.int64)
        return numbers + 1 if letter in "bB" else numbers
    if letter == "f":
        texts = pc.utf8_rpad(texts, 6, "0")
    numbers = pc.cast(pc.ascii_ltrim_whitespace(texts), pa.int64()).fill_null(0).to_numpy()
    if letter == "y":
        return numbers + np.where(numbers < 69, 2000, 1900)  # noqa: PLR2004 - as POSIX has it
    return numbers


def _offsets(texts: pa.Array) -> Any:
    """Microseconds ahead of UTC, of which few differ."""
    encoded = texts.dictionary_encode()
    known = [_offset(text) for text in encoded.dictionary.to_pylist()]
    return np.array([*known, 0], np.int64)[encoded.indices.fill_null(len(known)).to_numpy()]


def _offset(text: str) -> int:
    try:
        ahead = datetime.datetime.strptime(text, "%z").utcoffset() or datetime.timedelta()
    except ValueError:  # a day or more
        return int(_NO_OFFSET)
    return ahead // datetime.timedelta(microseconds=1)


def _days(fields: dict[str, Vector], zero: Vector) -> tuple[Vector, Vector]:
    """Days since 1970 of the dates that fields say, and whether there are such dates."""
    year = fields.get("year", zero + 1900)
    if "day_of_year" in fields:
        start = (year - 1970).astype("M8[Y]").astype("M8[D]").astype(np.int64)
        return start + fields["day_of_year"] - 1, year > 0
    month, day = fields.get("month", zero + 1), fields.get("day", zero + 1)
    months = (year - 1970) * 12 + month - 1
    start, following = (
        count.astype("M8[M]").astype("M8[D]").astype(np.int64) for count in (months, months + 1)
    )
    return start + day - 1, (year > 0) & (day <= following - start)
