"""How often each value occurs: all of them, the most frequent ones, and vocabularies of texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from hyped_beam.aggregators.bounds import MAX_BYTES, MaxBytes, bounded_state, wide_feature, wide_values
from hyped_beam.aggregators.tallies import Tally, lengths_of, listed, places_in
from hyped_beam.nodes.aggregator import Aggregator
from hyped_beam.nodes.groups import Groups
from hyped_beam.nodes.registry import register
from hyped_beam.types import features
from hyped_beam.types.features import Family, Feature
from hyped_beam.types.patterns import AnyColumn, Int64Column, ListColumn, several
from hyped_beam.types.vectors import Vector, values_of

_TextsColumn: TypeAlias = Annotated[
    pa.Array, several("a string or a list of strings", Family.STRING, Family.LIST, Family.NULL)
]


class _Counts(NamedTuple):
    values: pa.Array
    counts: pa.Array


def counts_features(value: Feature) -> Mapping[str, Feature]:
    """The features of a state of values and counts."""
    return {"values": features.list_of(value), "counts": features.list_of(features.value("int64"))}


def bounded(tally: Tally, most: int, hint: str) -> Tally:
    """The tally, if no group has more values than are allowed.

    Raises:
        ValueError: One has.
    """
    if len(tally.values) > most and tally.sizes.max() > most:
        msg = f"there are more than max_values={most} different values: {hint}"
        raise ValueError(msg)
    return tally


def _records(columns: Mapping[str, pa.Array], groups: Vector, n: int) -> pa.Array:
    return listed(pa.StructArray.from_arrays(list(columns.values()), list(columns)), groups, n)


@register
class ValueCounts(Aggregator):
    """All different values, and how often each occurs: the most frequent first, then by value.

    Nulls are passed over, NaNs equal each other, and -0.0 is 0.0. Lists and structs, which have no order,
    come in that of their first rows where they occur equally often.

    Attributes:
        max_values: The most different values that there may be, in a group.

    Raises:
        NodeError: There are more.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.aggregators import ValueCounts
        >>> from hyped_beam.testing import aggregate, flow_of
        >>> table = pa.table({"n": [3, 1, 3, None]})
        >>> aggregate(ValueCounts().call(flow_of(table.schema).n), table)
        [{'value': 3, 'count': 2}, {'value': 1, 'count': 1}]
    """

    max_values: int = Field(default=100_000, gt=0)
    State = _Counts
    _HINT: ClassVar[str] = "allow more, or take the most frequent with TopK or ApproxTopK"

    def state_features(self, value: Feature) -> Mapping[str, Feature]:
        return counts_features(value)

    def output(self, value: Feature) -> Feature:
        return features.list_of({"value": value, "count": features.value("int64")})

    def update(self, value: AnyColumn, by: Groups) -> _Counts:
        return self.State(*bounded(Tally.of_rows(value, by), self.max_values, self._HINT).lists())

    def merge(self, state: _Counts, by: Groups) -> _Counts:
        tally = Tally.of_states(state.values, state.counts, by)
        return self.State(*bounded(tally, self.max_values, self._HINT).lists())

    def finish(self, state: _Counts) -> ListColumn:
        ranked = Tally.of_states(state.values, state.counts, _each(state.values)).ranked()
        columns = {"value": ranked.values, "count": pa.array(ranked.counts)}
        return _records(columns, ranked.groups, ranked.n)


def _each(states: pa.Array) -> Groups:
    """Each state as a group."""
    return Groups(len(states), pa.array(np.arange(len(states))))


@register
class TopK(Aggregator):
    """The most frequent values, exactly: at most `k`, each with how often it occurs, most frequent first.

    Values that occur equally often come in their order, lists and structs in that of their first rows. Nulls
    are passed over, NaNs equal each other, and -0.0 is 0.0.

    All different values are counted. Where those of all groups that one process puts together take more
    than `max_bytes`, it stops with an error: take `ApproxTopK`, whose state has a fixed size.

    Attributes:
        k: How many values.
        max_bytes: The most bytes of different values and counts, of all groups together: 256 MiB.

    Raises:
        NodeError: They take more.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.aggregators import TopK
        >>> from hyped_beam.testing import aggregate, flow_of
        >>> table = pa.table({"n": [3, 1, 3, 2, None]})
        >>> aggregate(TopK(k=2).call(flow_of(table.schema).n), table)
        [{'value': 3, 'count': 2}, {'value': 1, 'count': 1}]
    """

    k: int = Field(gt=0)
    max_bytes: MaxBytes = MAX_BYTES
    State = _Counts
    _HINT: ClassVar[str] = "use ApproxTopK"

    def state_features(self, value: Feature) -> Mapping[str, Feature]:
        return counts_features(wide_feature(value))

    def output(self, value: Feature) -> Feature:
        return features.list_of({"value": value, "count": features.value("int64")})

    def update(self, value: AnyColumn, by: Groups) -> _Counts:
        return self._counted(Tally.of_rows(value, by))

    def merge(self, state: _Counts, by: Groups) -> _Counts:
        return self._counted(Tally.of_states(state.values, state.counts, by))

    def _counted(self, tally: Tally) -> _Counts:
        values, counts = tally.lists(wide_values(tally.values))
        return bounded_state(self.State(values, counts), self.max_bytes, self._HINT)

    def finish(self, state: _Counts) -> ListColumn:
        top = Tally.of_states(state.values, state.counts, _each(state.values)).ranked().top(self.k)
        return _records({"value": top.values, "count": pa.array(top.counts)}, top.groups, top.n)


class _Frequent(NamedTuple):
    values: pa.Array
    counts: pa.Array
    error: Int64Column


@register
class ApproxTopK(Aggregator):
    """Frequent values: a list of at most `k`, each with how often it occurs at least, most frequent first.

    A value occurs at least `count` and at most `count + error` times. The error is 0 where a group has no
    more than `capacity` different values, and never more than the number of values divided by `capacity + 1`;
    a value that occurs more often than that is never missing from what is counted. Values that occur equally
    often come in their order, lists and structs in that of their first rows. Nulls are passed over.

    Counted as a frequent items sketch (Misra and Gries): where there are too many different values, the count
    of the first one too many is taken off all counts (Agarwal and others, *Mergeable Summaries*, 2012).

    Attributes:
        k: How many values.
        capacity: How many different values are counted at a time in each group: 10 times `k`, at least 1000,
            if None.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.aggregators import ApproxTopK
        >>> from hyped_beam.testing import aggregate, flow_of
        >>> table = pa.table({"n": [3, 1, 3, 2, None]})
        >>> aggregate(ApproxTopK(k=2).call(flow_of(table.schema).n), table)
        [{'value': 3, 'count': 2, 'error': 0}, {'value': 1, 'count': 1, 'error': 0}]
    """

    k: int = Field(gt=0)
    capacity: int | None = Field(default=None, gt=0)
    State = _Frequent

    @property
    def _held(self) -> int:
        return max(self.k, self.capacity or max(1000, 10 * self.k))

    def approximation(self) -> str:
        """By how much counts are too low at most."""
        return f"counts -{100 / (self._held + 1):.2g} % of the rows at most, above {self._held} values"

    def state_features(self, value: Feature) -> Mapping[str, Feature]:
        return {**counts_features(value), "error": features.value("int64")}

    def output(self, value: Feature) -> Feature:
        whole = features.value("int64")
        return features.list_of({"value": value, "count": whole, "error": whole})

    def update(self, value: AnyColumn, by: Groups) -> _Frequent:
        return self._frequent(Tally.of_rows(value, by), np.zeros(by.n, np.int64))

    def merge(self, state: _Frequent, by: Groups) -> _Frequent:
        tally = Tally.of_states(state.values, state.counts, by)
        return self._frequent(tally, values_of(by.sum(state.error)))

    def _frequent(self, tally: Tally, error: Vector) -> _Frequent:
        tally, taken = _reduced(tally, self._held)
        return self.State(*tally.lists(), pa.array(error + taken))

    def finish(self, state: _Frequent) -> ListColumn:
        top = Tally.of_states(state.values, state.counts, _each(state.values)).ranked().top(self.k)
        errors = pc.take(state.error, pa.array(top.groups))
        columns = {"value": top.values, "count": pa.array(top.counts), "error": errors}
        return _records(columns, top.groups, top.n)


def _reduced(tally: Tally, capacity: int) -> tuple[Tally, Vector]:
    """A tally of at most so many values in each group, and what was taken off the counts for it."""
    taken = np.zeros(tally.n, np.int64)
    if len(tally.values) <= capacity or tally.sizes.max() <= capacity:
        return tally, taken
    order = np.lexsort((-tally.counts, tally.groups))
    too_many = order[places_in(tally.groups, tally.n) == capacity]
    taken[tally.groups[too_many]] = tally.counts[too_many]
    counts = tally.counts - taken[tally.groups]
    return tally.with_counts(counts).where(counts > 0), taken


@register
class Vocabulary(Aggregator):
    """The different texts of a column, as a list: the most frequent first, then by text.

    The input is a text, or a list of texts (tokens), in each row; nulls are passed over. Counts are exact.
    `vocabulary.index(ref)` gives the place of each text in the list: an integer instead of a token.

    Attributes:
        size: How many texts are taken at most; all, if None.
        min_count: How often a text must occur to be taken.
        max_values: The most different texts that there may be, in a group, before any are left out.

    Raises:
        NodeError: There are more different texts than `max_values`.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.aggregators import Vocabulary
        >>> from hyped_beam.testing import aggregate, flow_of
        >>> table = pa.table({"text": ["b a", "b c", None]})
        >>> words = flow_of(table.schema).text.split()
        >>> aggregate(Vocabulary(size=2).call(words), table)
        ['b', 'a']
    """

    size: int | None = Field(default=None, gt=0)
    min_count: int = Field(default=1, gt=0)
    max_values: int = Field(default=10_000_000, gt=0)
    State = _Counts
    _HINT: ClassVar[str] = "allow more, or count coarser texts"

    def state_features(self, value: Feature) -> Mapping[str, Feature]:
        return counts_features(_text(value))

    def output(self, value: Feature) -> Feature:
        return features.list_of(_text(value))

    def update(self, value: _TextsColumn, by: Groups) -> _Counts:
        return by.once(f"vocabulary of {self.max_values}", value, lambda: self._counted(value, by))

    def _counted(self, value: pa.Array, by: Groups) -> _Counts:
        if pa.types.is_nested(value.type):
            groups = np.repeat(by.numbers, lengths_of(value))
            tally = Tally.of(by.n, groups, pc.list_flatten(value))
        else:
            tally = Tally.of_rows(value, by)
        return self.State(*bounded(tally, self.max_values, self._HINT).lists())

    def merge(self, state: _Counts, by: Groups) -> _Counts:
        tally = Tally.of_states(state.values, state.counts, by)
        return self.State(*bounded(tally, self.max_values, self._HINT).lists())

    def finish(self, state: _Counts) -> ListColumn:
        tally = Tally.of_states(state.values, state.counts, _each(state.values))
        ranked = tally.where(tally.counts >= self.min_count).ranked()
        if self.size is not None:
            ranked = ranked.top(self.size)
        return listed(ranked.values, ranked.groups, ranked.n)


def _text(value: Feature) -> Feature:
    inside = features.element(value) if features.family(value) is Family.LIST else value
    if features.family(inside) is Family.NULL:
        return features.value("string")
    if features.family(inside) is not Family.STRING:
        msg = f"takes a string or a list of strings, got {features.describe(value)}"
        raise TypeError(msg)
    return inside
