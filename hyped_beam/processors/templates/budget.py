"""What the template of one row may cost: steps, and characters of what it makes."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from decimal import Decimal
from itertools import islice
from types import GeneratorType
from typing import Any, TypeVar

T = TypeVar("T")

MOST_STEPS = 1_000_000
MOST_CHARACTERS = 10_000_000

CHARACTERS_A_STEP = 100
"""So many characters or items that something goes through, or makes, are a step."""

LARGE = 100_000
"""A value of more characters makes every turn of a loop dearer, for the turn may look at all of it."""

MOST_BITS = 20_000
"""The most bits of a whole number: more digits than Python prints."""

ITEMS_A_STEP = 4
"""So many items that are made on the way, as those of a range, are a step."""

SMALL = 1_000
"""A text of fewer characters takes no steps in the simplest filters: the turns of loops do."""

COPIED = 10_000
"""Making a text of fewer characters by putting others together takes no steps: the turns of loops do."""

SHORT = 32
"""Looking for a text of no more characters in one that is `SMALL` takes no steps."""

_BITS_OF_SHORT = 64
SHORT_NUMBER = 2**_BITS_OF_SHORT
"""Whole numbers nearer to zero are as quick as any."""

FEW = 8
"""So many pieces are put together before their length is looked at."""

MOST_BUFFERED = 200
"""So many pieces in a buffer are joined in the middle of a loop."""

PIECES = 64
"""So many pieces of the output are taken at once: they may be large."""

_OF_A_NUMBER = 24
_NUMBERS = frozenset({int, float, bool, type(None)})
_TEXT = frozenset({str})
_HOLDING = frozenset({list, dict, tuple})
_NOTHING: dict[str, str] = {}
_VIEWS: tuple[type[Iterable[Any]], ...] = tuple(
    type(view) for view in (_NOTHING.keys(), _NOTHING.values(), _NOTHING.items())
)
_KINDS_HOLDING: tuple[type[Any], ...] = (str, bytes, Mapping, list, tuple, set, frozenset, *_VIEWS)
_SIZED: frozenset[type[Any]] = frozenset({list, tuple, dict, str, range, *_VIEWS})
_DIGITS = re.compile(r"\d+")
_MOST_DIGITS = 9


class LimitError(ValueError):
    """A template that costs more than it may."""


class Budget:
    """What is left for the row that a thread renders.

    Args:
        steps: How many steps.
        characters: How many characters the output may have, and each value on the way to it.
        template: How many characters the template has.

    Attributes:
        left: The steps that are left.
        weight: What a turn takes. No value of the row, or made of it, has as many characters as `weight`
            times `LARGE`.
    """

    __slots__ = ("characters", "left", "steps", "template", "weight")

    def __init__(self, steps: int = MOST_STEPS, characters: int = MOST_CHARACTERS, template: int = 0) -> None:
        self.steps = steps
        self.characters = characters
        self.template = template
        self.renew()

    def renew(self, row: int = 0) -> None:
        """Begin another row.

        Args:
            row: How many characters it has, about.
        """
        self.left = self.steps
        self.weight = 1 + (row + self.template) // LARGE


class _OfThread(threading.local):
    """The budget of the row that this thread renders, or of the template that it compiles."""

    def __init__(self) -> None:
        self.budget = Budget()


_THREAD = _OfThread()


def use(budget: Budget) -> None:
    """Have this thread spend from a budget."""
    _THREAD.budget = budget


def spend(steps: int) -> None:
    """Take some steps.

    Raises:
        LimitError: There are no more.
    """
    budget = _THREAD.budget
    budget.left -= steps
    if budget.left < 0:
        msg = f"the row takes more than {budget.steps:,} steps; max_steps= of the node allows more"
        raise LimitError(msg)


def check_size(size: int) -> None:
    """Refuse a value of more characters and items than it may have.

    Raises:
        LimitError: It is too large.
    """
    budget = _THREAD.budget
    if size > budget.characters:
        msg = (
            f"a value or the output would have more than {budget.characters:,} characters; "
            f"max_characters= of the node allows more"
        )
        raise LimitError(msg)


def made(size: int) -> None:
    """Take the steps for a value of so many characters and items, before it is made.

    Raises:
        LimitError: It is too large.
    """
    budget = _THREAD.budget
    if size > budget.characters:
        check_size(size)
    if size >= LARGE:
        budget.weight = max(budget.weight, 1 + size // LARGE)
    budget.left -= size // CHARACTERS_A_STEP
    if budget.left < 0:
        spend(0)


def size_of(value: Any) -> int:
    """How many characters a value has as text, about, with all that lies in it; not much more than may be.

    What is referred to twice is counted twice: so often it would be printed or compared.
    """
    return _size(value, _size_of_one)


def size_as_text(value: Any) -> int:
    """The same of a value that is shown.

    Raises:
        TypeError: It is no value, or holds something that is none: a function, a cycler, a generator.
    """
    return _size(value, _size_of_one_shown)


def _size_of_one(value: Any) -> int:
    """How many characters something has that holds nothing."""
    if isinstance(value, int):
        return _OF_A_NUMBER + value.bit_length() // 3
    return _OF_A_NUMBER + abs(value.adjusted()) if isinstance(value, Decimal) else _OF_A_NUMBER


def _size_of_one_shown(value: Any) -> int:
    kind: Any = type(value)
    is_undefined = hasattr(kind, "_fail_with_undefined_error")  # says itself what is wrong
    is_of_jinja = kind.__module__.startswith("jinja2.")
    is_bare = kind.__repr__ is object.__repr__ and kind.__str__ is object.__str__
    if not is_undefined and (is_of_jinja or is_bare or callable(value) or isinstance(value, Iterator)):
        msg = f"a template shows values, and this is none: {_called(value)}"
        raise TypeError(msg)
    return _size_of_one(value)


def _called(value: Any) -> str:
    if isinstance(value, Iterator):
        return f"a {type(value).__name__}; show its items: |list, or |join(', ')"
    name = getattr(value, "__name__", None)
    if callable(value) and isinstance(name, str):
        return f"{name} is called: {name}(...)"
    return f"a {type(value).__name__}"


def _size(value: Any, of_one: Callable[[Any], int]) -> int:  # noqa: C901 - each kind of value is told by its class first, for speed
    kind = type(value)
    if kind is str:
        return len(value)
    if kind in _NUMBERS:
        return _OF_A_NUMBER if kind is not int else _OF_A_NUMBER + value.bit_length() // 3
    if kind not in _HOLDING and not isinstance(value, _KINDS_HOLDING):
        return of_one(value)
    if kind is list and set(map(type, value)) <= _TEXT:
        return sum(map(len, value)) + 4 * len(value)
    most = _THREAD.budget.characters
    size, waiting = 0, [value]
    while waiting and size <= most:
        item = waiting.pop()
        kind = type(item)
        if kind is str:
            size += len(item) + 4
        elif kind in _NUMBERS:
            size += _OF_A_NUMBER if kind is not int else _OF_A_NUMBER + item.bit_length() // 3
        elif kind is dict or isinstance(item, Mapping):
            size += 4
            waiting.extend(item.keys())
            waiting.extend(item.values())
        elif kind is list or isinstance(item, (tuple, list, set, frozenset, *_VIEWS)):
            size += 4
            if len(item) > most:
                return len(item)
            waiting.extend(item)
        else:
            size += len(item) * 4 if isinstance(item, (str, bytes)) else of_one(item)
    return size


def checked(value: T) -> T:
    """Return a value that was just made, once it is known to be no larger than may be.

    Raises:
        LimitError: It is.
    """
    held: Any = value
    kind = type(held)
    if kind is str:
        if len(held) >= CHARACTERS_A_STEP:
            made(len(held))
    elif kind in _NUMBERS:
        if kind is int and held.bit_length() > MOST_BITS:
            msg = f"a whole number has more than {MOST_BITS:,} bits"
            raise LimitError(msg)
    elif kind in _HOLDING or isinstance(held, _KINDS_HOLDING):
        made(size_of(held))
    elif isinstance(held, Iterator):
        return counted(held)  # type: ignore[return-value]  # it iterates over the same
    return value


def is_small(value: Any) -> bool:
    """Return whether going through a value costs so little that the turns of loops around it are enough."""
    kind = type(value)
    if kind is str:
        return len(value) < SMALL
    return kind in _NUMBERS and (kind is not int or value.bit_length() <= _BITS_OF_SHORT)


def are_short_numbers(one: Any, other: Any) -> bool:
    """Return whether two values are numbers, and what is made of them is as cheap."""
    return (type(one) is float or (type(one) is int and -SHORT_NUMBER < one < SHORT_NUMBER)) and (
        type(other) is float or (type(other) is int and -SHORT_NUMBER < other < SHORT_NUMBER)
    )


SCALARS = _NUMBERS
"""Values that hold nothing, of kinds that are compared at once."""


def is_light() -> bool:
    """Return whether the row, and each value that was made of it, has fewer characters than `LARGE`."""
    return _THREAD.budget.weight == 1


def is_short(value: Any) -> bool:
    """Return whether looking for a value in a small one costs as little."""
    return len(value) <= SHORT if type(value) is str else is_small(value)


def widths_in(specification: str) -> int:
    """The sum of the numbers in a text, as in `{:>10}`; not much more than may be."""
    found = _DIGITS.findall(specification)
    return sum(int(number) if len(number) <= _MOST_DIGITS else 10**_MOST_DIGITS for number in found)


def go_through(value: T) -> T:
    """Take the steps for something that goes through what `size_of` does not, such as a range.

    Returns:
        The value, or such as takes them on the way.

    Raises:
        LimitError: There are too many.
    """
    held: Any = value
    if isinstance(held, Iterator):
        return counted(held)  # type: ignore[return-value]  # it iterates over the same
    if isinstance(held, range):
        spend(len(held) // ITEMS_A_STEP)
    return value


def compared(value: T) -> T:
    """Take the steps for what a value is compared with.

    Raises:
        LimitError: There are too many.
    """
    held: Any = value
    if type(held) is str:
        if len(held) >= SMALL:
            spend(len(held) // CHARACTERS_A_STEP)
    elif not is_small(value):
        spend(size_of(value) // CHARACTERS_A_STEP)
    return value


def searched(value: T) -> T:
    """Take the steps for a value in which something is looked for.

    Raises:
        LimitError: There are too many.
    """
    held: Any = value
    kind = type(held)
    if kind is str:
        if len(held) >= CHARACTERS_A_STEP:  # what is looked for may be as long
            spend(len(held) // CHARACTERS_A_STEP)
        return value
    if kind is dict or isinstance(value, Mapping):
        return value
    if isinstance(value, (str, bytes, list, tuple)):
        return compared(value)
    return go_through(value)


def is_in(value: Any, other: Any) -> Any:
    """Return `value in other`.

    Raises:
        LimitError: It takes too many steps.
    """
    kind = type(other)
    if kind is str:
        if type(value) is str and len(value) <= SHORT and len(other) < SMALL:
            return value in other
    elif kind is list and is_small(value):
        if len(other) > SHORT:
            spend(len(other) // ITEMS_A_STEP)
        return value in other
    return value in searched(other)


def counted(items: Iterator[Any]) -> Iterator[Any]:
    """Iterate, a step for each item."""
    budget = _THREAD.budget
    for item in items:
        budget.left -= budget.weight
        if budget.left < 0:
            spend(0)
        yield item


def _counted_dearly(items: Iterator[Any], each: int) -> Iterator[Any]:
    for item in items:
        spend(_THREAD.budget.weight * each)
        yield item


def _is_sized(items: Any) -> bool:
    return type(items) is not GeneratorType and isinstance(items, Sized)


def turns(items: Any, each: int = 1) -> Any:
    """Return what a loop goes through, once the steps of all turns are taken, or such as takes them.

    Args:
        items: What it goes through.
        each: The steps of a turn.

    Raises:
        LimitError: There are too many.
    """
    if type(items) is list or type(items) in _SIZED or _is_sized(items):
        budget = _THREAD.budget
        budget.left -= len(items) * budget.weight * each
        if budget.left < 0:
            spend(0)
        return items
    if type(items) is not GeneratorType and not isinstance(items, Iterable):
        return items
    return counted(iter(items)) if each == 1 else _counted_dearly(iter(items), each)


def held(value: T) -> T:
    """Return a collection that was just put together, once it is known to be no larger than may be.

    Raises:
        LimitError: It is.
    """
    collection: Any = value
    if type(collection) is dict:
        size = size_of(list(collection))
        collection = collection.values()
    else:
        size = 0
    for item in collection:
        kind = type(item)
        if kind is str:
            size += len(item) + 4
        elif kind in _NUMBERS and (kind is not int or -SHORT_NUMBER < item < SHORT_NUMBER):
            size += _OF_A_NUMBER
        else:
            size += 4 + size_of(item)
    if size >= CHARACTERS_A_STEP:
        made(size)
    return value


def text(value: Any) -> str:
    """Return what is printed of a value.

    Raises:
        LimitError: It is too long.
    """
    kind = type(value)
    if kind is str:
        return value
    if kind is int:
        if -SHORT_NUMBER < value < SHORT_NUMBER:
            return str(value)
    elif kind in _NUMBERS:
        return str(value)
    if not isinstance(value, str):
        made(size_as_text(value))
    return str(value)


def shown(value: Any) -> str:
    """Return what is printed of a sum that was just made.

    Raises:
        LimitError: It is too long.
    """
    return text(checked(value))


class Buffer(list[str]):
    """What is printed into a block, a macro or a recursive loop, before it is joined.

    Attributes:
        chunks: What was joined already.
        size: The characters of that.
    """

    __slots__ = ("chunks", "size")

    def __init__(self) -> None:
        super().__init__()
        self.chunks: list[str] = []
        self.size = 0


def flush(buffer: Buffer) -> None:
    """Join what loops have put into a buffer so far, so that it is known how much it is.

    Raises:
        LimitError: It is too long.
    """
    chunk = "".join(buffer)
    buffer.clear()
    buffer.chunks.append(chunk)
    buffer.size += len(chunk)
    check_size(buffer.size)
    made(len(chunk))


def joined(pieces: Iterable[str]) -> str:
    """Join text that goes on being a value.

    Raises:
        LimitError: It is too long.
    """
    kept: list[str]
    if isinstance(pieces, Buffer):
        kept = [*pieces.chunks, *pieces] if pieces.chunks else pieces
    else:
        iterator = iter(pieces)
        kept = [*islice(iterator, PIECES)]
        if len(kept) == PIECES:
            return joined_many(kept, iterator)
    if len(kept) > FEW:
        check_size(sum(map(len, kept)))
    text = "".join(kept)
    if len(text) >= CHARACTERS_A_STEP:
        made(len(text))
    return text


def joined_many(kept: list[str], others: Iterator[str]) -> str:
    """Join the first `PIECES` pieces and all others.

    Raises:
        LimitError: They are too long.
    """
    size = sum(map(len, kept))
    made(size)
    chunk = kept
    while len(chunk) == PIECES:
        chunk = list(islice(others, PIECES))
        more = sum(map(len, chunk))
        size += more
        if size > _THREAD.budget.characters:
            made(size)
        made(more)
        kept += chunk
    return "".join(kept)


def joined_parts(parts: tuple[str, ...]) -> str:
    """Join the parts of `a ~ b ~ c ...`.

    Raises:
        LimitError: It is too long.
    """
    return joined(list(parts))
