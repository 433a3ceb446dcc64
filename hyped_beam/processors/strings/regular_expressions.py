"""Regular expressions as options of nodes: those of Python's `re`, checked where they are written."""

from __future__ import annotations

import re
from typing import Annotated, NoReturn, TypeAlias

from pydantic import AfterValidator

from hyped_beam.errors import DefinitionError
from hyped_beam.processors.strings.regex.expression import Expression, Template, expression


def check_pattern(pattern: str) -> str:
    """The pattern, if it is one.

    Raises:
        DefinitionError: It is no regular expression of `re`, or RE2 cannot match it.
    """
    expression(pattern)
    return pattern


RegularExpression: TypeAlias = Annotated[str, AfterValidator(check_pattern)]
"""A regular expression of `re` that RE2 can match: linear time, no look-around, no back-references."""


def group_names(pattern: str) -> list[str]:
    """The names of the groups of a pattern, in their order.

    Raises:
        DefinitionError: A group has no name, or there is none.
    """
    found = expression(pattern)
    if not found.groups:
        raise DefinitionError(
            f"{pattern!r:.80} has no group to extract",
            hint="write (?P<name>...) around each part that becomes a field",
        )
    if found.groups > len(found.names):
        raise DefinitionError(
            f"{pattern!r:.80}: a group has no name",
            hint="write (?P<name>...) for what becomes a field, and (?:...) for other groups",
        )
    found.check_groups(frozenset(found.names.values()))
    return sorted(found.names, key=found.names.__getitem__)


_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a", "b": "\b", "\\": "\\"}
_PARTS = re.compile(r"\\(?:g<([^>]*)>|([0-9]{1,3})|(.)|$)", re.DOTALL)
_OCTAL = re.compile("0|[0-7]{3}")


def template(pattern: str, replacement: str) -> Template:
    r"""A replacement as Python's `re.sub` takes it: `\1`, `\g<1>`, `\g<name>`, `\n`.

    Args:
        pattern: The regular expression whose matches are replaced.
        replacement: What with.

    Raises:
        DefinitionError: It refers to a group that does not exist, or holds an unknown escape.
    """
    found = expression(pattern)
    parts: list[str | int] = []
    at = 0
    for part in _PARTS.finditer(replacement):
        parts.append(replacement[at : part.start()])
        at = part.end()
        name, number, other = part.groups()
        if number is not None and _OCTAL.match(number):
            _refuse(pattern, part.group(), r"write \g<0> for the whole match, and characters as they are")
        if number is not None:
            at -= max(len(number) - 2, 0)  # of a number, two digits at most are that of a group
            parts.append(_group(found, part.group(), number[:2]))
        elif name is not None:
            parts.append(_group(found, part.group(), name))
        elif other in _ESCAPES:
            parts.append(_ESCAPES[other])
        else:
            _refuse(pattern, part.group(), r"write \\ for a backslash")
    parts.append(replacement[at:])
    made = Template(tuple(part for part in parts if part != ""))
    found.check_groups(made.groups)
    found.check_spans()
    return made


def _group(found: Expression, written: str, name: str) -> int:
    number = int(name) if name.isascii() and name.isdecimal() else found.names.get(name)
    if number is None:
        known = (
            f"its groups are: {', '.join(found.names)}" if found.names else "none of its groups has a name"
        )
        _refuse(found.pattern, written, f"groups are referred to by number or name, and {known}")
    if number > found.groups:
        _refuse(found.pattern, written, "groups are the parts in parentheses, counted from 1")
    return number


def _refuse(pattern: str, written: str, hint: str) -> NoReturn:
    raise DefinitionError(f"{written!r} means nothing in a replacement for {pattern!r:.80}", hint=hint)
