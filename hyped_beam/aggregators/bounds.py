"""The memory that exact aggregators may take: all different values are kept, up to a bound."""

from __future__ import annotations

from typing import Annotated, TypeAlias, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from hyped_beam.types import features
from hyped_beam.types.features import Family, Feature

MAX_BYTES = 256 * 2**20
"""The default bound of a state, in bytes."""

MaxBytes: TypeAlias = Annotated[int, Field(gt=0)]

_UNITS = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))

State = TypeVar("State", bound="tuple[pa.Array, ...]")


class StateTooLargeError(ValueError):
    """An exact aggregate whose state takes more memory than it may.

    Attributes:
        hint: What to do about it.
    """

    def __init__(self, needed: int, max_bytes: int, hint: str) -> None:
        super().__init__(
            f"the different values of all groups take {_shown(needed)}, more than max_bytes={max_bytes} "
            f"({_shown(max_bytes)})"
        )
        self.hint = f"{hint}; or allow more with max_bytes="


def bounded_state(state: State, max_bytes: int, hint: str) -> State:
    """Return a state that holds no more bytes than it may.

    The state of a part is never larger than that of the whole, so whether a whole dataset is refused does
    not depend on how it is cut.

    Args:
        state: The columns of the state, of all groups that are put together in one place.
        max_bytes: The bound.
        hint: What to write instead.

    Raises:
        StateTooLargeError: It holds more.
    """
    needed = sum(column.nbytes for column in state)
    if needed > max_bytes:
        raise StateTooLargeError(needed, max_bytes, hint)
    return state


def wide_feature(value: Feature) -> Feature:
    """The feature of values in a state: text and bytes have 64-bit offsets, so states of any size merge."""
    family = features.family(value)
    if family is Family.STRING:
        return features.value("large_string")
    return features.value("large_binary") if family is Family.BINARY else value


def wide_values(values: pa.Array) -> pa.Array:
    """Values as they are in a state; see `wide_feature`."""
    kind = values.type
    if pa.types.is_string(kind) or pa.types.is_string_view(kind):
        return pc.cast(values, pa.large_string())
    if pa.types.is_binary(kind) or pa.types.is_binary_view(kind) or pa.types.is_fixed_size_binary(kind):
        return pc.cast(values, pa.large_binary())
    return values


def _shown(size: int) -> str:
    for unit, name in _UNITS:
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} bytes"
