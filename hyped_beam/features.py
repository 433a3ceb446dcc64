"""Features of rows made from aggregates: `from hyped_beam import features`.

Each function is a few lines of nodes that anyone could write. What it returns is a ref like any other; the
aggregates in it are computed in an earlier scan, shared with equal ones, and become constants when the flow
is fitted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from hyped_beam import ops
from hyped_beam.aggregators import CollectList, Count, Max, Mean, Min, Quantiles, Std, Sum, Vocabulary
from hyped_beam.errors import CallSite, DefinitionError, DefinitionTypeError
from hyped_beam.nodes.call import holds_refs
from hyped_beam.nodes.pack import as_ref
from hyped_beam.nodes.refs import Ref, feature_of
from hyped_beam.processors.buckets import Bucketize
from hyped_beam.types import features
from hyped_beam.types.features import Family

_MOST = 2**31 - 1
"""More elements than a list can have."""


def z_score(ref: Any, by: Any = None, *, ddof: int = 0) -> Any:
    """How many standard deviations a number is away from the mean: `(x - mean) / std`.

    As `scipy.stats.zscore` and the StandardScaler of scikit-learn. Where the standard deviation is 0, it is
    the distance from the one number that there was, as with the latter: 0 for all that the mean was taken of.
    Null stays null; a NaN among the numbers makes all of them NaN.

    Args:
        ref: The number.
        by: What is one group, each with its own mean and deviation, as aggregators take it; by default the
            whole dataset is.
        ddof: What is taken off the number of values in the divisor of the variance: 0, or 1 for that of a
            sample. A group of no more than `ddof` values gives null.

    Returns:
        float64.

    Raises:
        DefinitionError: It is no number.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam import features
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"n": [1, 2, 3, 2, None]})
        >>> evaluate(features.z_score(flow_of(table.schema).n), table).to_pylist()
        [-1.414213562373095, 0.0, 1.414213562373095, 0.0, None]
    """
    number = _float(ref, "z_score")
    mean, std = Mean().call(number, by=by), Std(ddof=ddof).call(number, by=by)
    constant = std == 0
    # of equal numbers the mean is rounded, the minimum is not
    middle = ops.if_else(constant, Min().call(number, by=by), mean)
    return (number - middle) / ops.if_else(constant, 1.0, std)


def min_max(ref: Any, by: Any = None) -> Any:
    """Where a number lies between the smallest, 0, and the largest, 1: `(x - min) / (max - min)`.

    As the MinMaxScaler of scikit-learn. Where both are equal, it is `x - min`: 0 for all numbers that they
    were taken of. A fitted flow gives less than 0 or more than 1 for numbers beyond those that it has seen;
    `.clip(0, 1)` keeps them. Null and NaN stay, and count for nothing.

    Args:
        ref: The number.
        by: What is one group, each with its own extremes, as aggregators take it.

    Returns:
        float64.

    Raises:
        DefinitionError: It is no number.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam import features
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"n": [10, 20, 15, None]})
        >>> evaluate(features.min_max(flow_of(table.schema).n), table).to_pylist()
        [0.0, 1.0, 0.5, None]
    """
    number = _float(ref, "min_max")
    least = Min().call(number, by=by)
    span = Max().call(number, by=by) - least
    return (number - least) / ops.if_else(span == 0, 1.0, span)


def bucketize(ref: Any, buckets: int | None = None, boundaries: Any = None, by: Any = None) -> Any:
    """The number of the bucket that a number lies in, from 0.

    With `buckets=n` the boundaries are the `n`-quantiles of the numbers, so that each bucket holds about as
    many of them (as KBinsDiscretizer of scikit-learn with `strategy="quantile"`). They are exact; where
    there are more different numbers than `Quantiles` keeps, give boundaries by `ApproxQuantiles`. A boundary
    belongs to the bucket above it. Where a number occurs so often that quantiles are equal, buckets between
    them hold nothing. Null and NaN give null.

    Args:
        ref: The number.
        buckets: How many; 10, if no boundaries are given.
        boundaries: Boundaries in ascending order, one fewer than there are buckets; or a ref to a list of
            them.
        by: What is one group, each with its own quantiles, as aggregators take it.

    Returns:
        int64.

    Raises:
        DefinitionError: It is no number, or an argument is wrong.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam import features
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"n": [1, 2, 3, 4, 5, 600, None]})
        >>> src = flow_of(table.schema)
        >>> evaluate(features.bucketize(src.n, 3), table).to_pylist()
        [0, 0, 1, 1, 2, 2, None]
        >>> evaluate(features.bucketize(src.n, boundaries=[2, 100]), table).to_pylist()
        [0, 1, 1, 1, 1, 2, None]
    """
    number = _number(ref, "bucketize")
    if boundaries is not None:
        if buckets is not None or by is not None:
            raise _wrong("bucketize() takes boundaries, or the number of buckets and groups to find them for")
        return Bucketize().call(value=number, boundaries=_ascending(boundaries))
    count = 10 if buckets is None else buckets
    if not _is_from(2, count):
        raise _wrong(f"bucketize() takes 2 buckets or more, got {count!r:.80}")
    quantiles = Quantiles(q=tuple(part / count for part in range(1, count)))
    return Bucketize().call(value=number, boundaries=quantiles.call(number, by=by))


def one_hot(ref: Any, size: int | None = None, min_count: int = 1) -> Any:
    """A list with a one at the place of a text among the most frequent ones, and zeros elsewhere.

    The places are those of `Vocabulary(size=size, min_count=min_count)`, which one may also aggregate, to
    know which is which: it is computed once. Text that is not among them gives zeros alone, as OneHotEncoder
    of scikit-learn does with `handle_unknown="ignore"`; null gives null. Integers, booleans and labels are
    taken as their text.

    Each row holds as many bytes as there are texts. For many of them take `vocabulary.index(ref)` instead.

    Args:
        ref: The text.
        size: How many texts have a place at most; all, if None.
        min_count: How often a text must occur to have one.

    Returns:
        A list of int8, of the same length in all rows.

    Raises:
        DefinitionError: It is nothing of that, or an argument is wrong.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam import features
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"word": ["to", "be", "or", "to", None]})
        >>> evaluate(features.one_hot(flow_of(table.schema).word, size=2), table).to_pylist()
        [[1, 0], [0, 1], [0, 0], [1, 0], None]
    """
    text = as_ref(ref, "one_hot")
    if features.family(feature_of(text)) in (Family.INTEGER, Family.BOOLEAN):
        text = text.cast("string")
    if features.family(feature_of(text)) is not Family.STRING:
        raise _wrong(
            f"one_hot() takes text, integers, booleans or labels, got {features.describe(feature_of(text))}"
        )
    vocabulary = Vocabulary(size=size, min_count=min_count).call(text)
    return vocabulary.index(text, default=-1).one_hot(vocabulary.length())


def tfidf(
    tokens: Any,
    *,
    min_df: int = 1,
    sublinear_tf: bool = False,
    norm: Literal["l1", "l2"] | None = "l2",
) -> Any:
    """How much each token tells about its row: often in this row, and in few others.

    The weight of a token is `tf * idf`, where `tf` is how often it is in its row, `idf` is
    `ln((1 + n) / (1 + df)) + 1`, `n` is the number of rows, and `df` is the number of rows that have the
    token. The weights of a row are then divided by their norm. These are the formulas of TfidfVectorizer of
    scikit-learn with what it takes by default (`smooth_idf=True`).

    A row without tokens has no weights, and null gives null and is not counted. A fitted flow leaves out the
    tokens that it has not seen. With `ops.explode(tfidf(...))` each weight has a row of its own.

    Args:
        tokens: A list of tokens in each row, mostly of texts.
        min_df: In how many rows a token must be; others are left out.
        sublinear_tf: Whether `tf` is `1 + ln` of how often a token is in its row.
        norm: What the weights of a row are divided by: the root of the sum of their squares (l2), their sum
            (l1), or nothing (None).

    Returns:
        A list of structs of `token` and `weight` (float64), in the order in which the tokens first appear.

    Raises:
        DefinitionError: It is no list, or an argument is wrong.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam import features
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"text": ["to be or not to be", "to do", None]})
        >>> weights = features.tfidf(flow_of(table.schema).text.split(), norm=None)
        >>> evaluate(weights, table)[1].as_py()
        [{'token': 'to', 'weight': 1.0}, {'token': 'do', 'weight': 1.4054651081081644}]
    """
    lists = as_ref(tokens, "tfidf")
    if features.family(feature_of(lists)) is not Family.LIST:
        raise _wrong(
            f"tfidf() takes a list of tokens, got {features.describe(feature_of(lists))}",
            hint="write .split()" if features.family(feature_of(lists)) is Family.STRING else None,
        )
    if norm not in ("l1", "l2", None):
        raise _wrong(f'tfidf() takes norm="l1", "l2" or None, got {norm!r:.80}')
    if not _is_from(1, min_df):
        raise _wrong(f"tfidf() takes a number of rows from 1 as min_df, got {min_df!r:.80}")
    terms = ops.explode(lists.value_counts())
    token, tf, row = terms["value"], terms["count"].cast("float64"), ops.each(lists)
    rows, df = Count().call(lists), Count().call(token, by={"token": token})
    known = df >= min_df
    weight = (tf.log() + 1 if sublinear_tf else tf) * (((rows + 1) / (df + 1)).log() + 1)
    if norm == "l2":
        weight = weight / Sum().call(weight * weight, by=row, where=known).sqrt()
    elif norm == "l1":
        weight = weight / Sum().call(weight, by=row, where=known)
    weighted = ops.collect(token=token, weight=weight)
    weights = CollectList(limit=_MOST).call(weighted, by=row, where=known)
    return ops.if_else(lists.is_null(), None, weights)


def _number(value: Any, function: str) -> Ref:
    ref = as_ref(value, function)
    family = features.family(feature_of(ref))
    if family in (Family.INTEGER, Family.FLOAT, Family.DECIMAL):
        return ref
    raise _wrong(
        f"{function}() takes a number, got {features.shortened(feature_of(ref))}",
        hint='write .cast("float64")' if family in (Family.STRING, Family.BOOLEAN) else None,
    )


def _float(value: Any, function: str) -> Any:
    return _number(value, function).cast("float64")


def _is_from(least: int, value: Any) -> bool:
    return isinstance(value, int) and value >= least


def _ascending(boundaries: Any) -> Any:
    """Boundaries as they were given, if they are a ref or in order."""
    if holds_refs(boundaries):
        return as_ref(boundaries, "bucketize")
    if not isinstance(boundaries, Sequence) or isinstance(boundaries, (str, bytes)):
        raise _wrong(f"bucketize() takes a list of boundaries, got {boundaries!r:.80}")
    given = list(boundaries)
    try:
        in_order = not any(map(math.isnan, given)) and given == sorted(given)
    except TypeError:  # some are no numbers
        in_order = False
    if not in_order:
        raise _wrong(
            f"the boundaries of bucketize() are numbers in ascending order, got {given!r:.80}",
            hint="write boundaries=sorted(...)",
        )
    return given


def _wrong(message: str, hint: str | None = None) -> DefinitionError:
    return DefinitionTypeError(message, site=CallSite.nearest(), hint=hint)
