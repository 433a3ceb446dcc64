"""Numbers with weights of each group: counted, or as a quantile sketch, halved where there are too many.

Numbers of weight 1 are on level 0. A level that holds `k` numbers is sorted, and every second one goes to the
next level with twice the weight, from the first or from the second on. That changes the rank of any number by
at most the weight, up or down with the same chance, and it happens once for `k` numbers of a level: so ranks
are off by at most `n / k` for each level, and by much less in the sum.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hyped_beam.nodes.reductions import order_of, sums
from hyped_beam.types.hashes import mixed
from hyped_beam.types.vectors import Vector


class Weighted(NamedTuple):
    """Numbers of several groups.

    Attributes:
        n: The number of groups.
        groups: For each number its group, ascending.
        values: The numbers (float64).
        weights: For how many each stands (int64): a power of 2 in a sketch.
    """

    n: int
    groups: Vector
    values: Vector
    weights: Vector


def compact(items: Weighted, k: int) -> Weighted:
    """The sketch with fewer than `k` numbers of each weight in each group."""
    if len(items.values) < k:
        return items
    weight, most = np.int64(1), items.weights.max()
    made: list[Weighted] = []
    promoted = None
    while promoted is not None or weight <= most:
        level = _of_weight(items, weight)
        if promoted is not None:
            level = _joined([level, promoted])
        rest, promoted = _halved(level, weight, k)
        made.append(rest)
        weight *= np.int64(2)
    return _joined(made)


def _of_weight(items: Weighted, weight: np.int64) -> Weighted:
    here = items.weights == weight
    if here.all():
        return items
    return Weighted(items.n, items.groups[here], items.values[here], items.weights[here])


def _joined(parts: list[Weighted]) -> Weighted:
    groups = np.concatenate([part.groups for part in parts])
    values = np.concatenate([part.values for part in parts])
    weights = np.concatenate([part.weights for part in parts])
    n = parts[0].n
    if n == 1:
        return Weighted(n, groups, values, weights)
    order = order_of(groups, n)
    return Weighted(n, groups[order], values[order], weights[order])


def _halved(level: Weighted, weight: np.int64, k: int) -> tuple[Weighted, Weighted | None]:
    """What stays on a level, and what goes to the next one, if a group has too many numbers."""
    n = level.n
    sizes = np.bincount(level.groups, minlength=n)
    crowded = sizes >= k
    if not crowded.any():
        return level, None
    inside = crowded[level.groups]
    groups, values = _sorted(level.groups[inside], level.values[inside], n)
    sizes = np.where(crowded, sizes, 0)
    places = np.arange(len(values)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    paired = places < np.repeat(sizes - sizes % 2, sizes)  # of an odd number the largest one stays
    kept = paired & (places % 2 == _coins(values, groups, n)[groups])
    single = Weighted(n, groups[~paired], values[~paired], np.full(np.sum(~paired), weight))
    promoted = Weighted(n, groups[kept], values[kept], np.full(np.sum(kept), 2 * weight))
    outside = Weighted(n, level.groups[~inside], level.values[~inside], level.weights[~inside])
    return _joined([outside, single]), promoted


def _sorted(groups: Vector, values: Vector, n: int) -> tuple[Vector, Vector]:
    """Numbers in ascending order, group after group."""
    if n == 1:
        return groups, np.sort(values)
    order = np.lexsort((values, groups))
    return groups[order], values[order]


def _coins(values: Vector, groups: Vector, n: int) -> Vector:
    """0 or 1 for each group, which follows from its numbers but looks like chance."""
    words = mixed(values.view(np.uint64).copy())
    heaps = words.sum(keepdims=True) if n == 1 else sums(words, groups, n)
    return (mixed(heaps) & np.uint64(1)).astype(np.int64)


def counted(items: Weighted) -> Weighted:
    """The different numbers of each group, ascending, with the sums of their weights."""
    groups, n = items.groups, items.n
    # what is merged consists of ascending runs, which a stable sort merges in one pass
    order = np.argsort(items.values, kind="stable") if n == 1 else np.lexsort((items.values, groups))
    groups, values, weights = groups[order], items.values[order], items.weights[order]
    new = np.ones(len(values), np.bool_)
    new[1:] = (values[1:] != values[:-1]) | (groups[1:] != groups[:-1])
    starts = np.flatnonzero(new)
    totals = np.add.reduceat(weights, starts) if len(starts) else weights
    return Weighted(n, groups[starts], values[starts], totals)


def quantile(items: Weighted, fraction: float, *, discrete: bool) -> Vector:
    """The quantile of each group; NaN where a group has no numbers.

    Args:
        items: The numbers.
        fraction: From 0 to 1.
        discrete: Whether to give the lower of the two numbers next to it, not what lies between them.
    """
    order = np.argsort(items.values) if items.n == 1 else np.lexsort((items.values, items.groups))
    values, weights = items.values[order], items.weights[order]
    ends = np.cumsum(weights)
    totals = sums(items.weights, items.groups, items.n)
    begins = np.cumsum(totals) - totals
    found = np.full(items.n, np.nan)
    there = totals > 0
    position = fraction * (totals[there] - 1)
    below = np.floor(position).astype(np.int64)
    share = position - below
    lower = values[np.searchsorted(ends, begins[there] + below, side="right")]
    if discrete:
        found[there] = lower
        return found
    above = np.minimum(below + 1, totals[there] - 1)
    upper = values[np.searchsorted(ends, begins[there] + above, side="right")]
    with np.errstate(all="ignore"):
        # From the nearer end, as numpy does: the same bits as its quantiles.
        step = upper - lower
        near = np.where(share < 0.5, lower + step * share, upper - step * (1 - share))  # noqa: PLR2004 - the middle
        between = np.where(np.isfinite(step), near, lower * (1 - share) + upper * share)
        between = np.where(lower == upper, lower, between)
    found[there] = np.where(share == 0, lower, between)
    return found
