"""Regular expressions as the configuration of a node: those of RE2, checked where they are written."""

from __future__ import annotations

import re
from typing import Annotated, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import AfterValidator

from hyped_beam.errors import DefinitionError

# What people write who know Python's `re`, as patterns on the pattern, and what to do instead.
_MISSING = (
    (
        r"\(\?<?[=!]",
        "RE2 has no look-around: match more and take the part with .extract(), or combine two matches",
    ),
    (r"\\[1-9]|\(\?P=", "RE2 has no back-references: spell the alternatives out"),
    (
        r"[*+?}]\+|\(\?>",
        "RE2 has no possessive quantifiers or atomic groups, and never needs them: leave the + out",
    ),
    (r"\\Z", r"RE2 writes \z for the end of the text"),
    (r"\(\?\(", "RE2 has no conditional groups: spell the alternatives out"),
    (r"\\[uN]", r"RE2 writes \x{20AC} for a character by its code point"),
)


def check_pattern(pattern: str) -> str:
    """The pattern, if it is one.

    Raises:
        DefinitionError: It is no regular expression that RE2 takes.
    """
    try:
        pc.match_substring_regex(pa.array([""]), pattern=pattern)
    except pa.ArrowInvalid as error:
        problem = str(error).removeprefix("Invalid regular expression: ")
        hint = next((hint for written, hint in _MISSING if re.search(written, pattern)), None)
        raise DefinitionError(
            f"{pattern!r:.80} is no regular expression of RE2: {problem}",
            hint=hint or "the syntax is at https://github.com/google/re2/wiki/Syntax",
        ) from None
    return pattern


RegularExpression: TypeAlias = Annotated[str, AfterValidator(check_pattern)]
"""A regular expression of RE2, which Arrow uses: linear time, no look-around, no back-references."""


def group_names(pattern: str) -> list[str]:
    """The names of the groups of a pattern, in their order.

    Raises:
        DefinitionError: A group has no name, there is none, or two have the same.
    """
    try:
        found: list[str] = pc.extract_regex(pa.array([], pa.string()), pattern=pattern).type.names
    except pa.ArrowInvalid as error:
        raise DefinitionError(
            f"{pattern!r:.80}: a group has no name: {error}",
            hint="write (?P<name>...) for what becomes a field, and (?:...) for other groups",
        ) from None
    if not found:
        raise DefinitionError(
            f"{pattern!r:.80} has no group to extract",
            hint="write (?P<name>...) around each part that becomes a field",
        )
    return found


_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a", "b": "\b"}
_LARGEST_GROUP = 9


def rewrite(pattern: str, replacement: str) -> str:
    r"""A replacement in the form of RE2, from that of Python's `re.sub`: `\1`, `\g<1>`, `\g<name>`, `\n`.

    Args:
        pattern: The regular expression whose matches are replaced.
        replacement: What with.

    Raises:
        DefinitionError: It refers to a group that does not exist, or holds an unknown escape.
    """
    written = re.sub(
        r"\\(?:g<([^>]*)>|([0-9]{1,2})|(.)|$)",
        lambda found: _escape(pattern, found),
        replacement,
        flags=re.DOTALL,
    )
    try:
        pc.replace_substring_regex(pa.array([""]), pattern=pattern, replacement=written)
    except pa.ArrowInvalid:
        raise DefinitionError(
            f"the replacement {replacement!r:.80} refers to a group that {pattern!r:.80} does not have",
            hint="groups are the parts of the pattern in parentheses, counted from 1",
        ) from None
    return written


def _escape(pattern: str, found: re.Match[str]) -> str:
    name, number, other = found.groups()
    if number is not None and number.startswith("0"):
        hint = r"write \g<0> for the whole match"
    elif name is not None or number is not None:
        group = _group_number(pattern, name if name is not None else number)
        if group is not None and group <= _LARGEST_GROUP:
            return f"\\{group}"
        hint = "groups 1 to 9 can be referred to, by number or name"
    elif other == "\\":
        return "\\\\"
    elif other in _ESCAPES:
        return _ESCAPES[other]
    else:
        hint = r"write \\ for a backslash"
    raise DefinitionError(
        f"{found.group()!r} means nothing in a replacement for {pattern!r:.80}",
        hint=hint,
    )


def _group_number(pattern: str, name: str) -> int | None:
    if name.isdecimal():
        return int(name)
    # Escaped characters and classes are skipped, so that only real groups are counted.
    starts = re.finditer(r"\\.|\[\^?\]?(?:\\.|[^\]])*\]|\((?:(?!\?)|\?P?<(\w+)>)", pattern, flags=re.DOTALL)
    number = 0
    for start in starts:
        if start.group().startswith("("):
            number += 1
            if start.group(1) == name:
                return number
    return None
