"""A loaded tokenizer: what a node must know of it to check its options, and to run it."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class Settings(NamedTuple):
    """How a tokenizer cuts and fills up, in the terms of `transformers`.

    Attributes:
        padding: "longest", "max_length" or "do_not_pad".
        truncation: "longest_first", "only_first", "only_second" or "do_not_truncate".
        max_length: Tokens to cut to, or to fill up to.
        stride: Tokens that neighbouring chunks of a cut text have in common.
    """

    padding: str
    truncation: str
    max_length: int | None
    stride: int


@dataclass(frozen=True)
class Loaded:
    """A tokenizer and its own defaults.

    Attributes:
        backend: The tokenizer of the `tokenizers` library, where that alone does what `transformers` would.
        wrapped: The tokenizer of `transformers`, where only its own call will do.
        input_names: What its model takes: "input_ids", "token_type_ids", "attention_mask".
        max_length: The most tokens its model takes, where it says so.
        pad_token: The token that fills up, or None.
        pad_id: The number of that token.
        padding_side: "right" or "left".
        truncation_side: "right" or "left".
        split_special_tokens: Whether special tokens in the text are taken apart as other text is.
    """

    backend: Tokenizer | None
    input_names: tuple[str, ...]
    max_length: int | None = None
    pad_token: str | None = None
    pad_id: int | None = None
    padding_side: str = "right"
    truncation_side: str = "right"
    split_special_tokens: bool = False
    wrapped: Any = None

    @property
    def is_fast(self) -> bool:
        """Whether it knows offsets, words and chunks; one that is written in Python does not."""
        return self.backend is not None or bool(self.wrapped.is_fast)

    def special_tokens(self, *, pair: bool) -> int:
        """How many special tokens it adds to a text, or to a pair."""
        chosen = self.wrapped if self.backend is None else self.backend
        return int(chosen.num_special_tokens_to_add(pair))

    def configured(self, settings: Settings) -> Tokenizer:
        """A copy of the backend that cuts and fills up; its state is set here, and never changed again.

        Raises:
            ValueError: The settings contradict each other.
        """
        backend = copy.deepcopy(self.backend)
        if backend is None:
            msg = "only a tokenizer with a backend can be configured"
            raise ValueError(msg)
        backend.encode_special_tokens = self.split_special_tokens
        backend.no_truncation()
        backend.no_padding()
        if settings.truncation != "do_not_truncate" and settings.max_length is not None:
            try:
                backend.enable_truncation(
                    max_length=settings.max_length,
                    stride=settings.stride,
                    strategy=settings.truncation,
                    direction=self.truncation_side,
                )
            except BaseException as error:
                # tokenizers raises bare Exception here, and panics in older versions
                if isinstance(error, (KeyboardInterrupt, SystemExit)):
                    raise
                raise ValueError(str(error)) from None
        if settings.padding != "do_not_pad":
            backend.enable_padding(
                length=settings.max_length if settings.padding == "max_length" else None,
                direction=self.padding_side,
                pad_id=self.pad_id,
                pad_token=self.pad_token,
                pad_type_id=0,
            )
        return backend
