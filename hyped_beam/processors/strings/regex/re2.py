"""Trees written in the syntax of RE2, for texts as they are or recoded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hyped_beam.processors.strings.regex.tree import (
    Anchor,
    Chars,
    Choice,
    Group,
    Ranges,
    Repeat,
    Sequence,
    Tree,
)

NEVER = r"[^\x00-\x{10FFFF}]"
"""What matches no character."""

ANCHORS = {
    Anchor.START: r"\A",
    Anchor.LINE_START: "(?m:^)",
    Anchor.END: r"\z",
    Anchor.LAST: r"\z",
    Anchor.LINE_END: "(?m:$)",
    Anchor.BOUNDARY: r"\b",
    Anchor.NO_BOUNDARY: r"\B",
    Anchor.ASCII_BOUNDARY: r"\b",
    Anchor.ASCII_NO_BOUNDARY: r"\B",
}


@dataclass(frozen=True)
class Dialect:
    """How characters and anchors are written.

    Attributes:
        chars: What matches one character of some ranges.
        anchors: What matches at the positions of each anchor.
    """

    chars: Callable[[Ranges], str]
    anchors: Mapping[Anchor, str]


def written(tree: Tree, dialect: Dialect, captured: frozenset[int] = frozenset()) -> str:
    """A tree in the syntax of RE2, as one unit that can be repeated or followed by others.

    Args:
        tree: The tree.
        dialect: How characters and anchors are written.
        captured: The groups whose matches are wanted; they are named `g1`, `g2`, ... by their numbers.
    """
    if isinstance(tree, Anchor):
        return dialect.anchors[tree]
    if isinstance(tree, Chars):
        return dialect.chars(tree.ranges)
    if isinstance(tree, Group):
        inside = written(tree.part, dialect, captured)
        return f"(?P<g{tree.number}>{inside})" if tree.number in captured else f"(?:{inside})"
    if isinstance(tree, Choice):
        return f"(?:{'|'.join(written(option, dialect, captured) for option in tree.options)})"
    if isinstance(tree, Sequence):
        return "".join(written(part, dialect, captured) for part in tree.parts)
    return f"(?:{written(tree.part, dialect, captured)}){_quantifier(tree)}"


def _quantifier(tree: Repeat) -> str:
    bounds = (tree.least, tree.most)
    known = {(0, None): "*", (1, None): "+", (0, 1): "?"}
    often = known.get(bounds) or f"{{{tree.least},{'' if tree.most is None else tree.most}}}"
    return often + ("" if tree.greedy else "?")


def class_of(ranges: Ranges) -> str:
    """A class of characters by their code points."""
    if not ranges:
        return NEVER
    inside = "".join(
        _code(first) if first == last else f"{_code(first)}-{_code(last)}" for first, last in ranges
    )
    single = len(ranges) == 1 and ranges[0][0] == ranges[0][1]
    return inside if single else f"[{inside}]"


def _code(code: int) -> str:
    character = chr(code)
    return character if character.isascii() and character.isalnum() else f"\\x{{{code:x}}}"
