"""Regular expressions as trees, read by the parser of Python's `re`.

The parser and the compiler of `re` are not public. They are used here alone, so that what a pattern means,
down to the characters in each class, is what this Python takes it for.
"""

from __future__ import annotations

import enum
import functools
import re
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from hyped_beam.errors import DefinitionError

if sys.version_info >= (3, 11):
    from re import _compiler as compiler  # type: ignore[attr-defined]  # not public
    from re import _constants as constants  # type: ignore[attr-defined]
    from re import _parser as parser  # type: ignore[attr-defined]
else:
    import sre_compile as compiler
    import sre_constants as constants
    import sre_parse as parser

Ranges: TypeAlias = tuple[tuple[int, int], ...]
"""Code points as ranges, the last of each included, in ascending order."""

_SYNTAX = (
    "the syntax is that of Python's re: https://docs.python.org/3/library/re.html#regular-expression-syntax"
)
_BLOCK = 256
_DEEPEST = 100
_MOST_LEVELS = 250
_MOST_CASELESS_SETS = 100
TOO_DEEP = "it is nested too deeply"
"""What is wrong with a pattern that holds too many parts in one another."""
LESS_DEEP = f"parts may be in at most {_DEEPEST} others: leave parentheses out that group nothing"
"""How to write it otherwise."""
_TYPE_FLAGS = re.ASCII | re.LOCALE | re.UNICODE


class Anchor(enum.Enum):
    """A condition on a position of the text."""

    START = "the start of the text"
    LINE_START = "the start of a line"
    END = "the end of the text"
    LAST = "the end of the text, or before the line break that ends it"
    LINE_END = "the end of a line"
    BOUNDARY = "between a word character and another one"
    NO_BOUNDARY = "not between a word character and another one"
    ASCII_BOUNDARY = "between a word character of ASCII and another one"
    ASCII_NO_BOUNDARY = "not between a word character of ASCII and another one"


@dataclass(frozen=True)
class Chars:
    """One character of a set."""

    ranges: Ranges


@dataclass(frozen=True)
class Sequence:
    """One part after another."""

    parts: tuple[Tree, ...]


@dataclass(frozen=True)
class Choice:
    """The first of several options with which the rest matches."""

    options: tuple[Tree, ...]


@dataclass(frozen=True)
class Repeat:
    """A part several times, as often as possible or, if not `greedy`, as rarely as possible."""

    part: Tree
    least: int
    most: int | None
    greedy: bool


@dataclass(frozen=True)
class Group:
    """A part whose match can be taken by its number, from 1."""

    number: int
    part: Tree


Tree: TypeAlias = Anchor | Chars | Sequence | Choice | Repeat | Group


@dataclass(frozen=True)
class Parsed:
    """A pattern that was read.

    Attributes:
        tree: What it matches.
        groups: The number of its groups.
        names: The numbers of those that have a name.
    """

    tree: Tree
    groups: int
    names: dict[str, int]


# What people write who know RE2 or PCRE, as patterns on the pattern, and what to write instead.
_OTHER_SYNTAX = (
    (r"\\z", r"write \Z for the end of the text"),
    (
        r"\\[pP]",
        r"Python's re has no classes such as \p{L}: [^\W\d_] is a letter, \d a digit, \w one of both or _",
    ),
    (r"\(\?<\w", "write (?P<name>...) for a group with a name"),
    (r"\\x\{", r"write \u20ac or \U0001f600 for a character by its code point"),
    (r"\\Q", "write re.escape(text) for text that is meant literally"),
    (
        r"\[\[:",
        r"Python's re has no classes such as [:alpha:]: [^\W\d_] is a letter, \d a digit, \s white space",
    ),
    (r"\[", r"write \[ for a bracket within a class"),
    (
        r"[*+?}]\+|\(\?>",
        "RE2 has no possessive quantifiers or atomic groups, and never needs them: leave the + out",
    ),
)
_NOT_IN_RE2 = {
    "ASSERT": "RE2 has no look-around: match more and take the part with .extract(), or combine two matches",
    "GROUPREF": "RE2 has no back-references: spell the alternatives out",
    "ATOMIC_GROUP": "RE2 has no atomic groups, and never needs them: write (?:...)",
    "POSSESSIVE_REPEAT": "RE2 has no possessive quantifiers, and never needs them: leave the + out",
    "GROUPREF_EXISTS": "RE2 has no conditional groups: spell the alternatives out",
}
_NOT_IN_RE2["ASSERT_NOT"] = _NOT_IN_RE2["ASSERT"]


def refusal(pattern: str, problem: str, hint: str | None = None) -> DefinitionError:
    """The error for a pattern that is not taken."""
    return DefinitionError(f"{pattern!r:.80} is not a regular expression: {problem}", hint=hint or _SYNTAX)


def parse(pattern: str) -> Parsed:
    """Read a pattern.

    Raises:
        DefinitionError: It is none of Python's `re`, its meaning is about to change there, or it holds what
            RE2 does not have.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            read = parser.parse(pattern)
    except RecursionError:
        raise refusal(pattern, TOO_DEEP, LESS_DEEP) from None
    except (re.error, Warning, OverflowError) as error:
        hint = next((hint for written, hint in _OTHER_SYNTAX if re.search(written, pattern)), None)
        raise refusal(pattern, str(error) or type(error).__name__, hint) from None
    tree = _Reader(pattern).tree(read, read.state.flags, 0)
    return Parsed(tree, read.state.groups - 1, dict(read.state.groupdict))


class _Reader:
    """Makes trees of what the parser gives for one pattern."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._caseless: set[_Item] = set()

    def tree(self, items: Any, flags: int, depth: int) -> Tree:
        """The tree of a list of the parser's items, which is in that many others."""
        if depth > _DEEPEST:
            raise refusal(self._pattern, TOO_DEEP, LESS_DEEP)
        parts = tuple(self._part(op, value, flags, depth + 1) for op, value in items)
        return parts[0] if len(parts) == 1 else Sequence(parts)

    def _part(self, op: Any, value: Any, flags: int, depth: int) -> Tree:
        name = str(op)
        if name in ("LITERAL", "NOT_LITERAL", "ANY", "IN"):
            item = _Item(op, value)
            if flags & re.IGNORECASE and name in ("NOT_LITERAL", "IN"):
                self._count_caseless(item)
            return Chars(_characters(item, flags & (_TYPE_FLAGS | re.IGNORECASE | re.DOTALL)))
        if name == "FAILURE":
            return Chars(())
        if name == "AT":
            return _anchor(str(value), flags)
        if name == "BRANCH":
            return Choice(tuple(self.tree(option, flags, depth) for option in value[1]))
        if name == "SUBPATTERN":
            number, added, removed, part = value
            if added & _TYPE_FLAGS:
                flags &= ~_TYPE_FLAGS
            inside = self.tree(part, (flags | added) & ~removed, depth)
            return inside if number is None else Group(number, inside)
        if name in ("MAX_REPEAT", "MIN_REPEAT"):
            least, most, part = value
            unlimited = most == constants.MAXREPEAT
            inside = self.tree(part, flags, depth)
            return Repeat(inside, int(least), None if unlimited else int(most), name == "MAX_REPEAT")
        hint = _NOT_IN_RE2.get(name)
        problem = hint.partition(":")[0] if hint else f"RE2 has no {name.lower()}"
        raise refusal(self._pattern, problem, hint)

    def _count_caseless(self, item: _Item) -> None:
        """Refuse too many different sets without case: `re` is asked about every character for each."""
        self._caseless.add(item)
        if len(self._caseless) > _MOST_CASELESS_SETS:
            problem = f"it has more than {_MOST_CASELESS_SETS} different sets in which case does not count"
            raise refusal(self._pattern, problem, "write (?i:...) around fewer of them")


def _anchor(name: str, flags: int) -> Anchor:
    lines, is_ascii = flags & re.MULTILINE, flags & re.ASCII
    return {
        "AT_BEGINNING": Anchor.LINE_START if lines else Anchor.START,
        "AT_BEGINNING_STRING": Anchor.START,
        "AT_END": Anchor.LINE_END if lines else Anchor.LAST,
        "AT_END_STRING": Anchor.END,
        "AT_BOUNDARY": Anchor.ASCII_BOUNDARY if is_ascii else Anchor.BOUNDARY,
        "AT_NON_BOUNDARY": Anchor.ASCII_NO_BOUNDARY if is_ascii else Anchor.NO_BOUNDARY,
    }[name]


class _Item:
    """An item of the parser's, which equals others that are written alike."""

    def __init__(self, op: Any, value: Any) -> None:
        self.op, self.value = op, value
        self._written = repr((op, value))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Item) and self._written == other._written

    def __hash__(self) -> int:
        return hash(self._written)


@functools.lru_cache(maxsize=1024)
def _characters(item: _Item, flags: int) -> Ranges:
    """The characters that an item matches: `re` itself is asked."""
    if str(item.op) == "LITERAL":
        if not flags & re.IGNORECASE:
            return ((item.value, item.value),)
        text = "".join(sorted({*_with_case(), chr(item.value)}))  # others equal none but themselves
        found = sorted({ord(text[place]) for span in _spans(item, flags, text) for place in range(*span)})
        return merged((code, code) for code in found)
    if str(item.op) == "NOT_LITERAL" and not flags & re.IGNORECASE:
        return _set([(constants.NEGATE, None), (constants.LITERAL, item.value)], flags)
    if str(item.op) == "IN" and not flags & re.IGNORECASE and not _is_category(item):
        return _set(item.value, flags)
    return tuple((start, stop - 1) for start, stop in _spans(item, flags, _every_character()))


def _is_category(item: _Item) -> bool:
    return len(item.value) == 1 and str(item.value[0][0]) == "CATEGORY"


def _set(items: Any, flags: int) -> Ranges:
    """The characters of a set in brackets: of all of them, `re` is asked about its classes alone."""
    ranges: list[tuple[int, int]] = []
    for op, value in items:
        if str(op) == "LITERAL":
            ranges.append((value, value))
        elif str(op) == "RANGE":
            ranges.append((int(value[0]), int(value[1])))
        elif str(op) == "CATEGORY":
            ranges.extend(_characters(_Item(constants.IN, [(op, value)]), flags))
    found = merged(iter(sorted(ranges)))
    if str(items[0][0]) != "NEGATE":
        return found
    firsts = [0, *(last + 1 for _, last in found)]
    lasts = [*(first - 1 for first, _ in found), sys.maxunicode]
    return tuple((first, last) for first, last in zip(firsts, lasts, strict=True) if first <= last)


def _spans(item: _Item, flags: int, text: str) -> Iterator[tuple[int, int]]:
    state = parser.State()
    one = parser.SubPattern(state, [(item.op, item.value)])
    many = parser.SubPattern(state, [(constants.MAX_REPEAT, (1, constants.MAXREPEAT, one))])
    kind = flags if flags & re.ASCII else flags | re.UNICODE
    return (found.span() for found in compiler.compile(many, kind).finditer(text))


@functools.cache
def _every_character() -> str:
    return np.arange(sys.maxunicode + 1, dtype="<u4").tobytes().decode("utf-32-le", "surrogatepass")


@functools.cache
def _with_case() -> str:
    """The characters that have another case."""
    every = _every_character()
    blocks = (every[start : start + _BLOCK] for start in range(0, len(every), _BLOCK))
    cased = (block for block in blocks if block.lower() != block or block.upper() != block)
    return "".join(
        character
        for character in "".join(cased)
        if character.lower() != character or character.upper() != character
    )


def merged(ranges: Iterator[tuple[int, int]]) -> Ranges:
    """Ranges in ascending order, with neighbours put together."""
    found: list[tuple[int, int]] = []
    for first, last in ranges:
        if found and found[-1][1] + 1 >= first:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return tuple(found)


def inner(tree: Tree) -> tuple[Tree, ...]:
    """What a tree consists of."""
    if isinstance(tree, Sequence):
        return tree.parts
    if isinstance(tree, Choice):
        return tree.options
    return (tree.part,) if isinstance(tree, (Repeat, Group)) else ()


def every(tree: Tree) -> Iterator[Tree]:
    """A tree and all that is inside it."""
    left = [tree]
    while left:
        part = left.pop()
        yield part
        left.extend(reversed(inner(part)))


def is_deep(tree: Tree) -> bool:
    """Whether a tree is too deep for what goes through it level by level."""
    level: list[Tree] = [tree]
    for _ in range(_MOST_LEVELS):
        level = [part for whole in level for part in inner(whole)]
        if not level:
            return False
    return True
