r"""A small alphabet for a pattern, in which RE2 says what it cannot say of Unicode.

RE2 knows `\b` for ASCII alone, and `$` either at the end of a text or before every line break. Characters
that no part of a pattern tells apart are therefore written as one and the same ASCII character: a word
character if they are such, another one if not. In texts so recoded `\b` of RE2 is that of `re`, and a line
break that ends a text can be written otherwise than all others.
"""

from __future__ import annotations

import collections
import functools
import itertools
import math
import sys
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from hyped_beam.processors.strings.regex.re2 import ANCHORS, NEVER, Dialect, class_of
from hyped_beam.processors.strings.regex.tree import Anchor, Chars, Ranges, Tree, every, parse

_CODES = sys.maxunicode + 1
LINE_BREAK = ord("\n")
_WORD_BYTES = tuple(code for code in range(128) if chr(code).isalnum() or code == ord("_"))
_OTHER_BYTES = tuple(code for code in range(128) if code not in _WORD_BYTES and code != LINE_BREAK)
_WIDEST = 3
_MOST_PIECES = 1 << 22
_MOST_LETTERS = 1 << 20
_TOO_MANY = "it tells too many characters apart"

WORD_ANCHORS = {
    Anchor.BOUNDARY: r"\w",
    Anchor.NO_BOUNDARY: r"\w",
    Anchor.ASCII_BOUNDARY: r"(?a)\w",
    Anchor.ASCII_NO_BOUNDARY: r"(?a)\w",
}
"""The anchors that depend on word characters, and which those are."""
_LINES = {Anchor.LINE_START, Anchor.LINE_END}


class AlphabetError(Exception):
    """There is no small alphabet for a pattern; says why."""


class Alphabet:
    """A small alphabet in which a pattern means what it means in Unicode.

    Args:
        tree: The pattern.

    Attributes:
        width: The number of bytes that each character is written in.
        dialect: How trees are written for texts in this alphabet.

    Raises:
        AlphabetError: The pattern tells too many characters apart, or has anchors that RE2 cannot tell apart.
    """

    def __init__(self, tree: Tree) -> None:
        anchors = {part for part in every(tree) if isinstance(part, Anchor)}
        words = {WORD_ANCHORS[anchor] for anchor in anchors & set(WORD_ANCHORS)}
        if len(words) > 1:
            raise AlphabetError(r"it has \b of ASCII and of Unicode in one")
        self._marks_last = Anchor.LAST in anchors
        if self._marks_last and anchors & _LINES:
            raise AlphabetError("it has $ with and without (?m) in one")
        keeps_breaks = bool(anchors & _LINES)
        uses = collections.Counter(part.ranges for part in every(tree) if isinstance(part, Chars))
        word = _word(words.pop()) if words else None
        told_apart = set(uses) | ({word} if word else set())
        told_apart.add(((LINE_BREAK, LINE_BREAK),))
        classes, self._members = _classes(sorted(told_apart))
        if sum(len(self._members[ranges]) * count for ranges, count in uses.items()) > _MOST_LETTERS:
            raise AlphabetError(_TOO_MANY)
        self._break = int(classes[LINE_BREAK])
        is_word = np.isin(np.arange(int(classes.max()) + 1), self._members[word] if word else [])
        self._letters = _letters(is_word, both=word is None)
        self.width = self._letters.shape[1]
        if keeps_breaks:
            if self.width > 1:
                raise AlphabetError("it has (?m) and tells too many characters apart")
            self._letters[self._break] = LINE_BREAK
        self._table = self._letters[classes]
        self.dialect = Dialect(functools.cache(self._written), ANCHORS | {Anchor.LAST: "(?m:$)"})

    def recoded(self, codes: NDArray[np.uint32], ends: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Texts in this alphabet.

        Args:
            codes: The code points of all texts, one text after another.
            ends: Where each text ends.
        """
        found: NDArray[np.uint8] = self._table[codes].reshape(-1)
        if self._marks_last and len(codes):
            last = ends[np.diff(ends, prepend=0) > 0] - 1
            found[last[codes[last] == LINE_BREAK] * self.width] = LINE_BREAK
        return found

    def _written(self, ranges: Ranges) -> str:
        classes = self._members[ranges]
        letters = set(map(tuple, self._letters[classes].tolist()))
        if self._marks_last and self._break in classes:
            letters.add((LINE_BREAK, *(int(byte) for byte in self._letters[self._break][1:])))
        if not letters:
            return NEVER
        if self.width == 1:
            return class_of(tuple((byte, byte) for (byte,) in sorted(letters)))
        begun = itertools.groupby(sorted(letters), key=lambda letter: letter[:-1])
        return f"(?:{'|'.join(_beginning(start) + _ending(letters) for start, letters in begun)})"


def _beginning(letters: Iterable[int]) -> str:
    return "".join(class_of(((byte, byte),)) for byte in letters)


def _ending(letters: Iterable[tuple[int, ...]]) -> str:
    return class_of(tuple((letter[-1], letter[-1]) for letter in letters))


def _word(pattern: str) -> Ranges:
    (chars,) = (part for part in every(parse(pattern).tree) if isinstance(part, Chars))
    return chars.ranges


def _classes(sets: Sequence[Ranges]) -> tuple[NDArray[np.int32], dict[Ranges, NDArray[np.int64]]]:
    """For each code point the number of its class, of those in the same sets; and the classes of each set.

    Raises:
        AlphabetError: The sets cut each other into too many pieces.
    """
    starts = sorted({0, *(bound for ranges in sets for first, last in ranges for bound in (first, last + 1))})
    place = {start: number for number, start in enumerate(starts)}
    pieces = {ranges: [(place[first], place[last + 1]) for first, last in ranges] for ranges in sets}
    if sum(stop - start for spans in pieces.values() for start, stop in spans) > _MOST_PIECES:
        raise AlphabetError(_TOO_MANY)
    classes = np.zeros(len(starts), np.int64)
    sizes = np.zeros(len(starts) + 1, np.int64)
    sizes[0], known = len(starts), 1
    for spans in pieces.values():  # those of a class that are in the set become a class of their own
        inside = _numbers(spans)
        touched, numbers, counts = np.unique(classes[inside], return_inverse=True, return_counts=True)
        is_cut = counts < sizes[touched]
        made = known + np.cumsum(is_cut) - 1
        classes[inside] = np.where(is_cut, made, touched)[numbers]
        sizes[touched[is_cut]] -= counts[is_cut]
        sizes[made[is_cut]] = counts[is_cut]
        known += int(is_cut.sum())
    members = {ranges: np.unique(classes[_numbers(spans)]) for ranges, spans in pieces.items()}
    lengths = np.diff(starts, append=max(_CODES, starts[-1]))
    return np.repeat(classes, lengths).astype(np.int32), members


def _numbers(spans: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    """The whole numbers in some half-open spans."""
    if len(spans) == 1:
        return np.arange(*spans[0])
    return np.concatenate([np.zeros(0, np.int64), *(np.arange(start, stop) for start, stop in spans)])


def _letters(is_word: NDArray[np.bool_], *, both: bool) -> NDArray[np.uint8]:
    """What each class is written as.

    The first bytes of characters are never second ones, so that no match begins in the middle of one.
    """
    for width in range(1, _WIDEST + 1):
        pools = [(*_WORD_BYTES, *_OTHER_BYTES)] if both else [_OTHER_BYTES, _WORD_BYTES]
        kinds = [np.ones(len(is_word), bool)] if both else [~is_word, is_word]
        if all(
            math.prod(len(pool[place::width]) for place in range(width)) >= kind.sum()
            for pool, kind in zip(pools, kinds, strict=True)
        ):
            letters = np.zeros((len(is_word), width), np.uint8)
            for pool, kind in zip(pools, kinds, strict=True):
                written = itertools.product(*(pool[place::width] for place in range(width)))
                letters[kind] = np.array(list(itertools.islice(written, int(kind.sum()))), np.uint8).reshape(
                    -1, width
                )
            return letters
    raise AlphabetError(_TOO_MANY)
