"""Times as text: `strftime`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import field_validator

from hyped_beam.errors import DefinitionTypeError
from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import method
from hyped_beam.processors.times import directives
from hyped_beam.processors.times.fields import microseconds
from hyped_beam.processors.times.units import CalendarOrClockColumn
from hyped_beam.processors.times.zones import abbreviations, local, offsets
from hyped_beam.types import features
from hyped_beam.types.features import Family, Feature
from hyped_beam.types.patterns import StringColumn


def _padded(kernel: Callable[[pa.Array], pa.Array], width: int) -> Callable[[pa.Array], pa.Array]:
    """A number as digits with leading zeros."""
    table = pa.array([f"{number:0{width}}" for number in range(10**width)])
    return lambda time: table.take(kernel(time))


def _named(
    kernel: Callable[[pa.Array], pa.Array], names: Any, first: int = 0
) -> Callable[[pa.Array], pa.Array]:
    """A number as the name that it stands for."""
    table = pa.array(names)
    return lambda time: table.take(pc.subtract(kernel(time), first))


def _of_four_digits(kernel: Callable[[pa.Array], pa.Array]) -> Callable[[pa.Array], pa.Array]:
    return lambda time: pc.utf8_lpad(pc.cast(kernel(time), pa.string()), 4, "0")


def _in_century(time: pa.Array) -> pa.Array:
    year = pc.abs(pc.year(time))
    return pc.subtract(year, pc.multiply(pc.divide(year, 100), 100))


def _weeks_since(first: int) -> Callable[[pa.Array], pa.Array]:
    """Weeks of the year that have begun, counted from its first Monday (1) or Sunday (7)."""

    def weeks(time: pa.Array) -> pa.Array:
        past = pc.day_of_week(time, count_from_zero=True, week_start=first)
        return pc.divide(pc.subtract(pc.add(pc.day_of_year(time), 6), past), 7)

    return weeks


def _microseconds(time: pa.Array) -> pa.Array:
    return pc.utf8_lpad(pc.cast(microseconds(time), pa.string()), 6, "0")


_CLOCK: dict[str, Callable[[pa.Array], pa.Array]] = {
    "f": _microseconds,
    "H": _padded(pc.hour, 2),
    "I": _named(pc.hour, [f"{(hour - 1) % 12 + 1:02}" for hour in range(24)]),
    "M": _padded(pc.minute, 2),
    "p": _named(pc.hour, ["AM"] * 12 + ["PM"] * 12),
    "S": _padded(pc.second, 2),
}
_CALENDAR: dict[str, Callable[[pa.Array], pa.Array]] = {
    "a": _named(pc.day_of_week, directives.shortened(directives.WEEKDAYS)),
    "A": _named(pc.day_of_week, directives.WEEKDAYS),
    "b": _named(pc.month, directives.shortened(directives.MONTHS), 1),
    "B": _named(pc.month, directives.MONTHS, 1),
    "d": _padded(pc.day, 2),
    "e": _named(pc.day, [f"{day:2}" for day in range(32)]),
    "G": _of_four_digits(pc.iso_year),
    "j": _padded(pc.day_of_year, 3),
    "m": _padded(pc.month, 2),
    "u": _named(pc.day_of_week, list("1234567")),
    "U": _padded(_weeks_since(7), 2),
    "V": _padded(pc.iso_week, 2),
    "w": _named(pc.day_of_week, list("1234560")),
    "W": _padded(_weeks_since(1), 2),
    "y": _padded(_in_century, 2),
    "Y": _of_four_digits(pc.year),
}
_ZONE = ("z", "Z")
_KNOWN = frozenset([*_CLOCK, *_CALENDAR, *_ZONE])


@method("strftime")
class Strftime(Processor):
    """Each time as text in a format, as Python's `strftime` writes it in English.

    A timestamp is written as the clocks in its zone showed it; without a zone `%z` and `%Z` are empty. Years
    before 1000 have four digits, too.

    Attributes:
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

    format: str

    @field_validator("format")
    @classmethod
    def _check_directives(cls, format: str) -> str:
        list(directives.parts(format, _KNOWN))
        return format

    def output(self, time: Feature) -> Feature:
        if features.family(time) is Family.TIME:
            for letter, is_directive in directives.parts(self.format, _KNOWN):
                if is_directive and letter not in _CLOCK:
                    raise DefinitionTypeError(
                        f"{features.describe(time)} has nothing to write for '%{letter}'",
                        hint=f"a time of day takes {' '.join(f'%{name}' for name in _CLOCK)}",
                    )
        return features.value("string")

    def process(self, time: CalendarOrClockColumn) -> StringColumn:
        clock = pc.cast(time, pa.timestamp("s")) if pa.types.is_date(time.type) else local(time)
        pieces: list[Any] = [
            _written(part, time, clock) if is_directive else pa.scalar(part)
            for part, is_directive in directives.parts(self.format, _KNOWN)
        ]
        if not any(isinstance(piece, pa.Array) for piece in pieces):
            text = "".join(piece.as_py() for piece in pieces)
            return pc.if_else(time.is_valid(), text, pa.scalar(None, pa.string()))
        return pc.binary_join_element_wise(*pieces, "")


def _written(letter: str, time: pa.Array, clock: pa.Array) -> pa.Array | pa.Scalar:
    if letter not in _ZONE:
        return (_CLOCK.get(letter) or _CALENDAR[letter])(clock)
    if pa.types.is_date(time.type) or time.type.tz is None:
        return pc.if_else(time.is_valid(), "", pa.scalar(None, pa.string()))
    return abbreviations(time) if letter == "Z" else _written_offsets(time)


def _written_offsets(time: pa.Array) -> pa.Array:
    found, where = np.unique(offsets(time), return_inverse=True)
    texts = pa.array([_written_offset(seconds) for seconds in found.tolist()], pa.string())
    return pc.if_else(time.is_valid(), texts.take(pa.array(where)), pa.scalar(None, pa.string()))


def _written_offset(seconds: int) -> str:
    minutes, rest = divmod(abs(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{'-' if seconds < 0 else '+'}{hours:02}{minutes:02}" + (f"{rest:02}" if rest else "")
