"""The directives of `strftime` formats: `%Y-%m-%d` as the parts that it is made of."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

COMPOSITES = {
    "c": "%a %b %e %H:%M:%S %Y",
    "D": "%m/%d/%y",
    "F": "%Y-%m-%d",
    "h": "%b",
    "R": "%H:%M",
    "T": "%H:%M:%S",
    "x": "%m/%d/%y",
    "X": "%H:%M:%S",
}
"""Directives that stand for several others, as in the C locale."""

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def shortened(names: Iterable[str]) -> tuple[str, ...]:
    """Names of months or days as `%b` and `%a` write them."""
    return tuple(name[:3] for name in names)


def parts(format: str, known: Container[str]) -> Iterator[tuple[str, bool]]:
    """The literal texts and the letters of the directives in a format, each with whether it is a directive.

    Args:
        format: The format.
        known: The letters of the directives that there are, those of `COMPOSITES` aside.

    Raises:
        ValueError: It has a directive that does not exist.
    """
    text, rest = "", format
    while rest:
        before, percent, after = rest.partition("%")
        text += before
        if not percent:
            break
        letter, rest = after[:1], after[1:]
        if letter == "%":
            text += "%"
        elif letter in COMPOSITES:
            rest = COMPOSITES[letter] + rest
        elif letter and letter in known:
            if text:
                yield text, False
            yield letter, True
            text = ""
        else:
            raise ValueError(_unknown(letter, known))
    if text:
        yield text, False


def _unknown(letter: str, known: Container[str]) -> str:
    everything = "aAbBcdDeFfGhHIjmMpRSTuUVwWxXyYzZ"
    listed = " ".join(f"%{name}" for name in everything if name in known or name in COMPOSITES)
    return f"there is no directive '%{letter}' here; there are {listed} %%"
