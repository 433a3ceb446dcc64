"""What globs are made of, and whether two of them may mean one file."""

from __future__ import annotations

import re
from collections.abc import Iterator

GLOB = re.compile(r"[*?\[]")

_PIECES = re.compile(r"\*\*/|\*\*|\*|\?|\[[^\]]+\]|[^*?\[]+|\[")
_CHARACTER = re.compile(r"\*\*|\*|\?|\[[^\]]+\]|.", re.DOTALL)


def escaped_glob(path: str) -> str:
    """The glob that matches a path alone."""
    return GLOB.sub(lambda found: f"[{found.group()}]", path)


def as_regex(pattern: str) -> str:
    """A glob as a regular expression; names that begin with a dot are matched only by a dot."""
    pieces = []
    for piece in _PIECES.findall(_plain(pattern)):
        if piece == "**/":
            pieces.append(r"(?:[^/.][^/]*/)*")
        elif piece == "**":
            pieces.append(r"[^.].*")
        elif piece == "*":
            pieces.append(r"[^/]*" if pieces and not pieces[-1].endswith(("/", "/)*")) else r"(?!\.)[^/]*")
        elif piece == "?":
            pieces.append(r"[^/]")
        elif piece.startswith("[") and len(piece) > 1:
            pieces.append("[^" + piece[2:] if piece[1] == "!" else piece)
        else:
            pieces.append(re.escape(piece))
    return "".join(pieces)


def may_share(one: str, other: str) -> bool:
    """Whether there may be a path that two globs match.

    Two sets of characters count as having one in common.

    Args:
        one: A glob.
        other: Another one.
    """
    return any(_meet(left, right) for left in _spelled(_plain(one)) for right in _spelled(_plain(other)))


def _plain(pattern: str) -> str:
    """A glob in which `**` stands for folders alone: beside other characters it means `*`, as for a shell."""
    parts = pattern.split("/")
    return "/".join(part if part == "**" else re.sub(r"\*{2,}", "*", part) for part in parts)


def _spelled(glob: str) -> Iterator[list[str]]:
    """The ways to read a glob, in pieces for one character or any number: `**/` may stand for no folder."""
    first, found, rest = glob.partition("**/")
    head = _CHARACTER.findall(first)
    if not found:
        yield head
        return
    for tail in _spelled(rest):
        yield head + tail
        yield [*head, "**", "/", *tail]


def _meet(one: list[str], other: list[str]) -> bool:
    """Whether two globs in pieces can be gone through side by side, character by character."""
    seen = {(0, 0)}
    waiting = [(0, 0)]
    while waiting:
        left, right = waiting.pop()
        if (left, right) == (len(one), len(other)):
            return True
        here = one[left] if left < len(one) else ""
        there = other[right] if right < len(other) else ""
        steps = []
        if here.startswith("*"):
            steps.append((left + 1, right))
            if _takes(here, there):
                steps.append((left, right + 1))
        if there.startswith("*"):
            steps.append((left, right + 1))
            if _takes(there, here):
                steps.append((left + 1, right))
        if here and there and "*" not in (here[0], there[0]) and _are_one(here, there):
            steps.append((left + 1, right + 1))
        waiting += [step for step in steps if step not in seen]
        seen.update(steps)
    return False


def _takes(wildcard: str, piece: str) -> bool:
    """Whether `*` or `**` stands for a character of a piece, too."""
    return bool(piece) and (wildcard == "**" or piece != "/")


def _are_one(here: str, there: str) -> bool:
    """Whether two pieces for one character can be the same one."""
    if len(there) > 1 or there == "?":
        here, there = there, here
    if len(there) > 1 or there == "?":
        return True
    if here == "?":
        return there != "/"
    if len(here) > 1:
        negates = here[1] == "!"
        held = here[2 if negates else 1 : -1].replace("[", r"\[")
        return re.fullmatch(f"[{'^' if negates else ''}{held}]", there) is not None
    return here == there
