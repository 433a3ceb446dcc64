"""Functions that make rows of rows: fewer, more, groups; `from hyped_beam import ops`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hyped_beam.aggregators import Min
from hyped_beam.augmentors import Explode, Filter, RepeatRows, Share
from hyped_beam.augmentors.exploding import VALUE
from hyped_beam.errors import CallSite, DefinitionError, DefinitionTypeError, shortened
from hyped_beam.ir.graph import Edge, Join, Kind
from hyped_beam.ir.scope import DATASET, reaches
from hyped_beam.nodes import grouping
from hyped_beam.nodes.call import meeting_of
from hyped_beam.nodes.different_rows import described
from hyped_beam.nodes.grouping import Each, GroupBy
from hyped_beam.nodes.pack import as_ref
from hyped_beam.nodes.refs import Ref, builder_of, edge_of, feature_of, hint_for_foreign, scope_of
from hyped_beam.processors.hashing import Hash
from hyped_beam.processors.lookup import Lookup
from hyped_beam.processors.row_number import RowNumber
from hyped_beam.types import features
from hyped_beam.types.features import Family


def filter(ref: Any, condition: Any) -> Any:
    """A value at those of its rows for which a condition is true; a null is not.

    Args:
        ref: The value, such as `flow.src_features`.
        condition: A condition on its rows, or on rows that they belong to, as of their group.

    Returns:
        The same value as rows of their own: what is computed from it is computed for these rows alone.

    Raises:
        DefinitionError: They belong to different rows.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam import ops
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"n": [1, 2, 3]})
        >>> src = flow_of(table.schema)
        >>> odd = ops.filter(src, src.n % 2 == 1)
        >>> evaluate(odd.n * 10, table).to_pylist()
        [10, 30]
    """
    value = as_ref(ref, "filter")
    return _chosen(value, Filter().call(condition=_condition(condition, value, "filter")))


def partition(ref: Any, condition: Any) -> tuple[Any, Any]:
    """A value at the rows for which a condition is true, and at all others: every row is in exactly one.

    Args:
        ref: The value.
        condition: A condition as `filter` takes it; where it is null the row is among the others.

    Returns:
        The rows for which it is true, and the others.
    """
    value = as_ref(ref, "partition")
    given = _condition(condition, value, "partition")
    return tuple(_chosen(value, Filter(keep=keep).call(condition=given)) for keep in (True, False))  # type: ignore[return-value]  # two of them


def explode(lists: Any, *, keep_empty: bool = False, with_position: bool = False) -> Any:
    """A row for each element of a list, or for the elements at one place of several equally long lists.

    Args:
        lists: A ref to a list, a mapping of names to lists, or a ref to a struct of lists.
        keep_empty: Whether a row without elements gives one row of null.
        with_position: Whether the rows are structs that also say the element's place, as `position`; the
            element of a single list is then its `value`.

    Returns:
        The elements, as rows of their own; each belongs to the row that its list stands in.

    Raises:
        DefinitionError: There is something else than lists.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam import ops
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"id": [1, 2], "text": ["to be", "or"]})
        >>> src = flow_of(table.schema)
        >>> words = ops.explode(src.text.split())
        >>> evaluate(ops.collect({"id": src.id, "word": words}), table).to_pylist()
        [{'id': 1, 'word': 'to'}, {'id': 1, 'word': 'be'}, {'id': 2, 'word': 'or'}]
    """
    node = Explode(keep_empty=keep_empty, with_position=with_position)
    ref = as_ref(lists, "explode")
    if features.family(feature_of(ref)) is Family.STRUCT:
        return node.call(**{name: ref[name] for name in features.fields(feature_of(ref))})
    return node.call(**{VALUE: ref})


def repeat(ref: Any, times: int) -> Any:
    """A value at each of its rows several times, one copy behind the other.

    Args:
        ref: The value.
        times: How often.
    """
    return _at(as_ref(ref, "repeat"), RepeatRows(times=times).call(value=ref))


def sample(ref: Any, fraction: float, *, seed: int = 0, by: Any = None) -> Any:
    """A value at about a fraction of its rows, chosen by a hash: the same ones each time.

    Args:
        ref: The value.
        fraction: How much, from 0 to 1.
        seed: Another seed chooses other rows.
        by: What is hashed, of its rows or of rows that they belong to: rows with equal values are chosen
            together. By default each row by itself, by its
            place in the source.
    """
    value = as_ref(ref, "sample")
    given: Any = fraction
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not 0 <= given <= 1:
        raise DefinitionTypeError(
            f"sample() takes a fraction from 0 to 1, got {fraction!r:.60}",
            site=CallSite.nearest(),
            hint="write ops.sample(ref, 0.1) for a tenth",
        )
    return _chosen(value, Share(stop=fraction).call(hashed=_hashed(value, by, seed, "sample")))


def distinct(ref: Any, by: Any) -> Any:
    """A value at the first row, in the order of the source, of each group of rows with an equal key.

    Args:
        ref: The value.
        by: A key, or a mapping of names to several.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam import ops
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"n": [3, 1, 3], "x": ["a", "b", "c"]})
        >>> src = flow_of(table.schema)
        >>> evaluate(ops.distinct(src, by=src.n).x, table).to_pylist()
        ['a', 'b']
    """
    value = as_ref(ref, "distinct")
    keys = grouping.named_keys(by)
    rows = _meeting("distinct", value, keys)
    number = _row_number(value, rows)
    return filter(value, number == Min().call(number, by=keys))


class Split(Mapping[str, Any]):
    """Parts of the rows, by name; `apply(collect=split)` makes a dict of datasets of them."""

    def __init__(self, parts: Mapping[str, Any]) -> None:
        self._parts = dict(parts)

    def __getitem__(self, name: str) -> Any:
        return self._parts[name]

    def __iter__(self) -> Any:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in self._parts:
            raise AttributeError(name)
        return self._parts[name]


def split(ref: Any, by: Any = None, *, seed: int = 0, **shares: float) -> Split:
    """A value at parts of its rows, chosen by a hash of what they are split by.

    Args:
        ref: The value.
        by: What is hashed, as for `sample`: rows with equal values come into the same part. By default
            each row by itself.
        seed: Another seed splits otherwise.
        **shares: How much of the rows each part gets; together 1.

    Returns:
        The parts, by name and as attributes.

    Raises:
        DefinitionError: The shares are not 1 together.
    """
    are_numbers = all(isinstance(share, (int, float)) for share in shares.values())
    if (
        len(shares) < 2  # noqa: PLR2004
        or not are_numbers
        or abs(sum(shares.values()) - 1) > 1e-9  # noqa: PLR2004
        or min(shares.values()) < 0
    ):
        told = ", ".join(f"{name}={share}" for name, share in shares.items()) or "none"
        raise DefinitionError(
            f"the shares of split() are 1 together, got {told}",
            site=CallSite.nearest(),
            hint="write train=.9, test=.1",
        )
    value = as_ref(ref, "split")
    hashed = _hashed(value, by, seed, "split")
    parts = {}
    start = 0.0
    for number, (name, share) in enumerate(shares.items()):
        stop = 1.0 if number == len(shares) - 1 else min(start + share, 1.0)
        parts[name] = _chosen(value, Share(start=start, stop=stop).options(name=name).call(hashed=hashed))
        start = stop
    return Split(parts)


def group_by(keys: Any, *, join: Join = "auto") -> GroupBy:
    """Groups of rows, one for each key: a scope, which aggregators are called on with `by=`.

    Args:
        keys: A mapping of names to refs, or a single ref. Nulls equal each other, so do NaNs.
        join: How values of groups get to the rows. "broadcast": all are put together in one place and go to
            every process. "shuffle": they are computed in 32 partitions of the keys, and each range of rows
            is given those of its own keys, so that no process holds all groups; groups that are collected
            then come in the order of the keys within each partition. "auto": the plan chooses, by the keys
            and the size of the source. The values are the same bits.

    Returns:
        The groups; `.keys` is the struct of their keys, a row for each group, in the order of the keys.

    Raises:
        DefinitionError: The keys are no refs, or belong to different rows.
        DefinitionTypeError: There is no such join.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam import ops
        >>> from hyped_beam.aggregators import Sum
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"k": ["b", "a", "b"], "n": [1, 2, 3]})
        >>> src = flow_of(table.schema)
        >>> g = ops.group_by({"k": src.k})
        >>> evaluate(ops.collect({"k": g.keys.k, "total": Sum().call(src.n, by=g)}), table).to_pylist()
        [{'k': 'a', 'total': 2}, {'k': 'b', 'total': 4}]
    """
    return grouping.group_by(keys, join)


def each(ref: Any) -> Each:
    """One group for each row of a value, of the rows that were made from it.

    So `Count().call(lines, by=ops.each(src))` counts the lines of each row of the source.

    Args:
        ref: A value of the rows that others were made from by `explode`, `filter`, ...
    """
    return grouping.each(ref)


def lookup(ref: Any, in_: Any, key: str, *, join: Join = "auto") -> Any:
    """The row of a second table that has a key, as a struct; null where none has it.

    Args:
        ref: The key.
        in_: The table: a reader, a path, or a dataset.
        key: The column of the table that is looked in; no two of its rows have the same.
        join: How its rows get to those of the source. "broadcast": each process holds the table in memory.
            "shuffle": in a job the table and the keys of the source meet in 32 partitions of the keys, which
            takes a further scan of the source's keys, and each range of rows is given the rows of the table
            that it needs. "auto": the plan chooses, by the size of the table. Outside of jobs, as in
            `batch_process`, the process holds the table.

    Returns:
        The other columns of the table, as a nullable struct.

    Raises:
        DefinitionError: The table has no such column, or it is of another type than the ref (`string` and
            `large_string` are one here).
        DefinitionTypeError: There is no such join.
    """
    from hyped_beam.dsl.sources import as_source

    grouping.check_join("lookup", join)
    how: dict[str, Any] = {} if join == "auto" else {"join": join}
    return Lookup(table=as_source(in_, argument="in_"), key=key, **how).call(as_ref(ref, "lookup"))


def align(ref: Any, to: Any) -> Any:
    """A value for the rows of another one, which belong to its rows.

    Args:
        ref: The value.
        to: A value of the rows that it is repeated for.

    Raises:
        DefinitionError: Those rows do not belong to its rows.
    """
    return _at(as_ref(ref, "align"), as_ref(to, "align"))


def _at(ref: Ref, rows: Ref) -> Ref:
    """A value for the rows of another one."""
    _refuse_other_flow(ref, rows)
    scopes = builder_of(ref).scopes
    if not reaches(scopes, scope_of(rows), scope_of(ref)):
        raise DefinitionError(
            f"{described(scopes[scope_of(rows)])} do not belong to {described(scopes[scope_of(ref)])}",
            site=CallSite.nearest(),
            hint="aggregate it per row first: align(Count().call(ref, by=ops.each(rows)), to=rows)",
        )
    return _for_rows(ref, scope_of(rows))


def _for_rows(ref: Ref, rows: int) -> Ref:
    return Ref(builder_of(ref), edge_of(ref), feature_of(ref), rows)


def _chosen(value: Ref, rows: Ref) -> Ref:
    """A value at rows that were chosen among those in which it met what chose them."""
    return _for_rows(value, scope_of(rows))


def _refuse_other_flow(ref: Ref, other: Ref) -> None:
    if builder_of(other) is not builder_of(ref):
        raise DefinitionError(
            f"{ref!r} and {other!r} belong to different flows",
            site=CallSite.nearest(),
            hint=hint_for_foreign([builder_of(ref), builder_of(other)]),
        )


def _meeting(function: str, value: Ref, used: Mapping[str, Any]) -> int:
    """The rows in which a value meets what chooses among its rows.

    Raises:
        DefinitionError: There are none: neither reaches the other by exactly one path.
    """
    for other in used.values():
        if isinstance(other, Ref):
            _refuse_other_flow(value, other)
    return meeting_of(function, {"ref": value, **used}, CallSite.nearest())


def _hashed(value: Ref, by: Any, seed: int, function: str) -> Ref:
    """A hash of what rows are chosen by, for the rows in which it meets the value."""
    if by is None:
        return Hash(seed=seed).call(_row_number(value, scope_of(value)))
    key = as_ref(by, function)
    rows = _meeting(function, value, {"by": key})
    return _for_rows(Hash(seed=seed).call(key), rows)


def _row_number(value: Ref, rows: int) -> Ref:
    """The number of each of some rows."""
    if rows == DATASET:
        raise DefinitionError("takes values of rows, got one of the whole dataset", site=CallSite.nearest())
    node = RowNumber()
    feature = features.value("int64")
    edge: Edge = builder_of(value).add(
        Kind.MAP,
        node,
        feature=feature,
        name="row_number",
        scope=rows,
        site=CallSite.nearest(),
        options=node._options,  # noqa: SLF001 - as `call` does
    )
    return Ref(builder_of(value), edge, feature)


def _condition(condition: Any, value: Ref, function: str) -> Ref:
    """A condition for the rows in which it meets the value."""
    if isinstance(condition, str):
        raise DefinitionTypeError(
            f"{function}() takes a condition on refs, got the text {shortened(condition)}",
            site=CallSite.nearest(),
            hint='write it with refs, as in src.label == "spam"',
        )
    ref = as_ref(condition, function)
    if features.family(feature_of(ref)) not in (Family.BOOLEAN, Family.NULL):
        raise DefinitionTypeError(
            f"{function}() takes a condition, got {features.describe(feature_of(ref))}",
            site=CallSite.nearest(),
            hint="compare it, as in src.n > 0",
        )
    return _for_rows(ref, _meeting(function, value, {"condition": ref}))
