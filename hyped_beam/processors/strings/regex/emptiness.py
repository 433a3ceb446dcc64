"""Which part of a tree matches empty text, and which does not.

RE2 and `re` agree on what matches, but `re` also takes empty matches right after others that are not empty,
and what is not empty where an empty match came first. The two kinds are therefore looked for apart.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from hyped_beam.processors.strings.regex.tree import (
    Anchor,
    Choice,
    Group,
    Repeat,
    Sequence,
    Tree,
    every,
    inner,
)

_MOST_OPTIONS = 256
_MOST_PARTS = 300_000
"""The most parts of a tree that was rewritten; RE2 takes hardly more."""

EMPTY = Sequence(())
"""What matches empty text everywhere."""


class TooManyOptionsError(Exception):
    """A pattern has too many ways to match empty text."""


class EmptyTurnsError(Exception):
    """A repeated part can be empty in a way that RE2 does not repeat as `re` does."""


@dataclass(frozen=True)
class Option:
    """One way to match, among others in the order in which they are tried.

    Attributes:
        tree: What it matches.
        empty: Whether that is empty text; if not, it never is.
    """

    tree: Tree
    empty: bool


def may_be_empty(tree: Tree) -> bool:
    """Whether a tree can match empty text."""
    if isinstance(tree, Sequence):
        return all(may_be_empty(part) for part in tree.parts)
    if isinstance(tree, Choice):
        return any(may_be_empty(option) for option in tree.options)
    if isinstance(tree, Repeat):
        return tree.least == 0 or may_be_empty(tree.part)
    if isinstance(tree, Group):
        return may_be_empty(tree.part)
    return isinstance(tree, Anchor)


def is_always_empty(tree: Tree) -> bool:
    """Whether a tree can match nothing but empty text."""
    if isinstance(tree, Sequence):
        return all(is_always_empty(part) for part in tree.parts)
    if isinstance(tree, Choice):
        return all(is_always_empty(option) for option in tree.options)
    if isinstance(tree, Repeat):
        return tree.most == 0 or is_always_empty(tree.part)
    if isinstance(tree, Group):
        return is_always_empty(tree.part)
    return isinstance(tree, Anchor)


def optional_groups(tree: Tree, *, is_optional: bool = False) -> set[int]:
    """The groups without a match of which a tree can match."""
    if isinstance(tree, Group):
        own = {tree.number} if is_optional else set()
        return own | optional_groups(tree.part, is_optional=is_optional)
    below = is_optional or isinstance(tree, Choice) or (isinstance(tree, Repeat) and tree.least == 0)
    return set().union(*(optional_groups(part, is_optional=below) for part in inner(tree)))


def in_empty_repeats(tree: Tree, *, inside: bool = False) -> set[int]:
    """The groups inside a repeated part that can be empty: RE2 and `re` differ about the last time of it."""
    if isinstance(tree, Group):
        return in_empty_repeats(tree.part, inside=inside) | ({tree.number} if inside else set())
    if isinstance(tree, Repeat):
        many = tree.most is None or tree.most > 1
        return in_empty_repeats(tree.part, inside=inside or (many and may_be_empty(tree.part)))
    parts = tree.parts if isinstance(tree, Sequence) else tree.options if isinstance(tree, Choice) else ()
    return set().union(*(in_empty_repeats(part, inside=inside) for part in parts))


def without_empty_turns(tree: Tree) -> Tree:
    """The same tree without repeated parts that can be empty, about which RE2 and `re` differ.

    What it matches is the same. Groups inside such parts are left out.

    Raises:
        EmptyTurnsError: What is repeated is empty in some places only, or in some of its options.
        TooManyOptionsError: There are too many ways to match empty text.
    """
    if isinstance(tree, Sequence):
        return Sequence(tuple(map(without_empty_turns, tree.parts)))
    if isinstance(tree, Choice):
        return Choice(tuple(map(without_empty_turns, tree.options)))
    if isinstance(tree, Group):
        return Group(tree.number, without_empty_turns(tree.part))
    if not isinstance(tree, Repeat):
        return tree
    part = without_empty_turns(tree.part)
    if tree.most in (0, 1) or not may_be_empty(part):
        return Repeat(part, tree.least, tree.most, tree.greedy)
    return bounded(_longer_turns(Repeat(part, tree.least, tree.most, tree.greedy)))


def bounded(tree: Tree) -> Tree:
    """A tree in which parts were repeated, unless it became much larger by that.

    Raises:
        TooManyOptionsError: It did.
    """
    if next(itertools.islice(every(tree), _MOST_PARTS, None), None) is not None:
        raise TooManyOptionsError
    return tree


def _longer_turns(tree: Repeat) -> Tree:
    """A repeated part that can be empty, as one that is not.

    Raises:
        EmptyTurnsError: There is none.
    """
    options = options_of(tree.part)
    empty = [option.empty for option in options]
    longer = tuple(option.tree for option in options if not option.empty)
    anywhere = any(option.empty and not _has_anchors(option.tree) for option in options)
    if not longer:
        if tree.least > 1 and not anywhere:
            raise EmptyTurnsError
        return _of_options(options, tree)
    repeated = Choice(longer)
    if empty == sorted(empty) and (anywhere or tree.least == 0):
        # A turn that is empty comes last, and then counts for all that are missing.
        if tree.greedy or tree.least == 0:
            return Repeat(repeated, 0, tree.most, tree.greedy)
        if tree.least == 1:
            more = Repeat(repeated, 0, None if tree.most is None else tree.most - 1, greedy=False)
            return Repeat(Sequence((repeated, more)), 0, 1, greedy=True)
    if empty[0] and not _has_anchors(options[0].tree) and tree.least <= 1:
        return Repeat(repeated, 0, tree.most, greedy=False)  # a turn that is empty comes first, and ends it
    raise EmptyTurnsError


def _of_options(options: list[Option], tree: Repeat) -> Tree:
    """What is always empty, once or not at all."""
    once = Choice(tuple(option.tree for option in options))
    return once if tree.least else Repeat(once, 0, 1, tree.greedy)


def _has_anchors(tree: Tree) -> bool:
    return any(isinstance(part, Anchor) for part in every(tree))


def options_of(tree: Tree) -> list[Option]:
    """The ways in which a tree matches, in the order in which they are tried, empty ones apart.

    Args:
        tree: A tree in which no repeated part can be empty.

    Raises:
        TooManyOptionsError: There are too many.
    """
    if not may_be_empty(tree):
        return [Option(tree, empty=False)]
    if isinstance(tree, Group):
        return options_of(tree.part)
    if isinstance(tree, Choice):
        return _few([option for part in tree.options for option in options_of(part)])
    if isinstance(tree, Sequence):
        return _sequence(list(tree.parts))
    if isinstance(tree, Repeat):
        return _repeat(tree)
    return [Option(tree, empty=True)]


def _sequence(parts: list[Tree]) -> list[Option]:
    found = [Option(EMPTY, empty=True)]
    for place, part in enumerate(parts):
        if not any(option.empty for option in found):
            break
        following: list[Option] = []
        then = options_of(part)
        for option in found:
            if not option.empty:
                following.append(option)
                continue
            for other in then:
                if other.empty:
                    following.append(Option(_both(option.tree, other.tree), empty=True))
                else:
                    rest = Sequence((*_conditions(option.tree), other.tree, *parts[place + 1 :]))
                    following.append(Option(rest, empty=False))
        found = _few(following)
    return found


def _both(first: Tree, second: Tree) -> Tree:
    """Two ways to match empty text in one: an anchor that is met twice is met once."""
    return Sequence(tuple(dict.fromkeys((*_conditions(first), *_conditions(second)))))


def _conditions(tree: Tree) -> tuple[Tree, ...]:
    return inner(tree) if isinstance(tree, Sequence) else (tree,)


def _repeat(tree: Repeat) -> list[Option]:
    if tree.most == 0:
        return [Option(EMPTY, empty=True)]
    # What is repeated is never empty, unless it is there once at most.
    if may_be_empty(tree.part):
        once = options_of(tree.part)
    else:
        once = [Option(Repeat(tree.part, 1, tree.most, tree.greedy), empty=False)]
    never = [Option(EMPTY, empty=True)] if tree.least == 0 else []
    return _few(once + never if tree.greedy else never + once)


def _few(options: list[Option]) -> list[Option]:
    """Options without empty ones that come after one that is empty everywhere."""
    found: list[Option] = []
    is_everywhere = False
    for option in options:
        if not option.empty or not is_everywhere:
            found.append(option)
        is_everywhere |= option.empty and not _has_anchors(option.tree)
    if len(found) > _MOST_OPTIONS:
        raise TooManyOptionsError
    return found
