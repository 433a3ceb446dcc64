"""Encodings as Arrow columns, and the two ways to make them: by the backend, or by `transformers`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tokenizers import Tokenizer

COLUMNS = (
    "input_ids",
    "token_type_ids",
    "attention_mask",
    "special_tokens_mask",
    "offset_mapping",
    "length",
    "word_ids",
)
"""The columns there can be, in the order in which `transformers` returns them."""

DTYPES = {
    "input_ids": "int32",
    "token_type_ids": "int8",
    "attention_mask": "int8",
    "special_tokens_mask": "int8",
    "offset_mapping": "int32",
    "length": "int64",
    "word_ids": "int32",
}
"""What `datasets.map` stores, and int32 where that would take int64 for positions in a text."""


@dataclass
class Encoded:
    """What a tokenizer made of some texts.

    Attributes:
        values: A list for each chunk, by column; a column that is missing can be told from the others.
        chunks: How many chunks each text has; None where it is always one and they are not nested.
    """

    values: dict[str, Sequence[Any]] = field(default_factory=dict)
    chunks: NDArray[np.int64] | None = None


Encode = Callable[[Sequence[Any], "Sequence[Any] | None", bool], Encoded]
"""From texts, their pairs if there are any, and whether they are split into words, to encodings."""


def by_backend(
    backend: Tokenizer,
    columns: Sequence[str],
    *,
    add_special_tokens: bool,
    overflowing: bool,
) -> Encode:
    """Encode with the `tokenizers` library, all texts in one call.

    Args:
        backend: The tokenizer, set up.
        columns: The columns that are wanted.
        add_special_tokens: Whether to add special tokens.
        overflowing: Whether the chunks that were cut off are wanted.
    """
    places = {"offset_mapping", "word_ids"} & set(columns)
    # The fast one knows no places, and gives chunks of pairs wrong type ids.
    encode_batch = backend.encode_batch if places or overflowing else backend.encode_batch_fast
    is_padded = backend.padding is not None
    attributes = {
        "input_ids": "ids",
        "token_type_ids": "type_ids",
        "attention_mask": "attention_mask",
        "special_tokens_mask": "special_tokens_mask",
        "offset_mapping": "offsets",
        "word_ids": "word_ids",
    }
    if not is_padded:
        del attributes["attention_mask"]  # all ones
    wanted = {name: attribute for name, attribute in attributes.items() if name in {"input_ids", *columns}}

    def encode(texts: Sequence[Any], pairs: Sequence[Any] | None, are_words: bool) -> Encoded:  # noqa: FBT001 - private
        inputs = texts if pairs is None else list(zip(texts, pairs, strict=True))
        encodings = encode_batch(inputs, is_pretokenized=are_words, add_special_tokens=add_special_tokens)
        chunks = None
        if overflowing:
            parts = [[encoding, *encoding.overflowing] for encoding in encodings]
            chunks = np.fromiter(map(len, parts), np.int64, count=len(parts))
            encodings = list(chain.from_iterable(parts))
        return Encoded(
            {name: [getattr(one, attribute) for one in encodings] for name, attribute in wanted.items()},
            chunks,
        )

    return encode


def by_call(
    tokenizer: Any, columns: Sequence[str], *, overflowing: bool, options: Mapping[str, Any]
) -> Encode:
    """Encode by calling a tokenizer of `transformers`.

    Args:
        tokenizer: The tokenizer.
        columns: The columns that are wanted.
        overflowing: Whether the chunks that were cut off are wanted.
        options: Further options of the call.
    """
    flags = {
        "return_token_type_ids": "token_type_ids" in columns,
        "return_attention_mask": "attention_mask" in columns,
        "return_special_tokens_mask": "special_tokens_mask" in columns,
    }
    if tokenizer.is_fast:
        flags |= {
            "return_offsets_mapping": "offset_mapping" in columns,
            "return_overflowing_tokens": overflowing,
        }

    def encode(texts: Sequence[Any], pairs: Sequence[Any] | None, are_words: bool) -> Encoded:  # noqa: FBT001 - private
        if not texts:
            return Encoded(
                {name: [] for name in {"input_ids", *columns}}, np.zeros(0, np.int64) if overflowing else None
            )
        found = tokenizer(
            list(texts),
            None if pairs is None else list(pairs),
            is_split_into_words=are_words,
            verbose=False,
            **flags,
            **options,
        )
        values = {name: found[name] for name in COLUMNS if name in found and name != "length"}
        if "word_ids" in columns:
            values["word_ids"] = [found.word_ids(number) for number in range(len(found["input_ids"]))]
        chunks = None
        if overflowing:
            chunks = np.bincount(found["overflow_to_sample_mapping"], minlength=len(texts))
        return Encoded(values, chunks)

    return encode


def to_columns(encoded: Encoded, columns: Sequence[str], valid: NDArray[np.bool_]) -> dict[str, pa.Array]:
    """Encodings of the valid rows as columns of all rows; the others are null.

    Args:
        encoded: The encodings.
        columns: The columns that are wanted.
        valid: Which rows have been encoded.
    """
    ids = encoded.values["input_ids"]
    lengths = np.fromiter(map(len, ids), np.int64, count=len(ids))
    tokens = int(lengths.sum())
    made = {}
    for name in columns:
        if name == "length":
            values: pa.Array = pa.array(lengths)
            counts = None
        else:
            values = _flat(name, encoded.values.get(name), tokens)
            counts = lengths
        if encoded.chunks is not None:
            values = values if counts is None else _lists(values, counts)
            counts = encoded.chunks
        made[name] = _scattered(values, valid) if counts is None else _lists(values, counts, valid)
    return made


def _flat(name: str, lists: Sequence[Any] | None, tokens: int) -> pa.Array:
    """The values of all tokens, one after the other."""
    if lists is None:
        return pa.array(np.ones(tokens, DTYPES[name]))
    flat = chain.from_iterable(lists)
    if name == "word_ids":
        return pa.array(list(flat), DTYPES[name])  # special tokens have none
    if name == "offset_mapping":
        places = np.fromiter(chain.from_iterable(flat), np.int32, count=2 * tokens)
        return pa.FixedSizeListArray.from_arrays(pa.array(places), 2)
    if DTYPES[name] == "int8":
        return pa.array(np.frombuffer(b"".join(map(bytes, lists)), np.int8))
    return pa.array(np.fromiter(flat, DTYPES[name], count=tokens))


def _lists(
    values: pa.Array, counts: NDArray[np.int64], valid: NDArray[np.bool_] | None = None
) -> pa.ListArray:
    """Lists of so many values each; rows that are not valid are null and have no count."""
    if valid is None or valid.all():
        offsets = np.zeros(len(counts) + 1, np.int32)
        np.cumsum(counts, out=offsets[1:])
        return pa.ListArray.from_arrays(pa.array(offsets), values)
    spread = np.zeros(len(valid), np.int64)
    spread[valid] = counts
    offsets = np.zeros(len(valid) + 1, np.int32)
    np.cumsum(spread, out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets), values, mask=pa.array(~valid))


def _scattered(values: pa.Array, valid: NDArray[np.bool_]) -> pa.Array:
    if valid.all():
        return values
    spread = np.zeros(len(valid), np.int64)
    spread[valid] = values.to_numpy()
    return pa.array(spread, mask=~valid)
