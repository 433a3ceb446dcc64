"""Tokenizing with the tokenizers of `transformers`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator, model_validator
from typing_extensions import Self

from hyped_beam.errors import CallSite, DefinitionError, DefinitionTypeError, nearest_name
from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import register
from hyped_beam.processors.tokenizers import encoding, loading
from hyped_beam.processors.tokenizers.loaded import Loaded, Settings
from hyped_beam.types import features
from hyped_beam.types.features import Family, Feature
from hyped_beam.types.patterns import several

TextColumn = Annotated[pa.Array, several("a string or a list of words", Family.STRING, Family.LIST)]

_OF_THE_MODEL = {"return_token_type_ids": "token_type_ids", "return_attention_mask": "attention_mask"}
"""The options that a tokenizer says where they are None, and the columns that they return."""

_PADDING = (False, True, "longest", "max_length", "do_not_pad")
_TRUNCATION = (False, True, "longest_first", "only_first", "only_second", "do_not_truncate")


@register
class TransformersTokenizer(Processor):
    """Tokens of each text, or of each pair of texts; options mean what they mean in `transformers`.

    `text` and `text_pair` are strings, or lists of strings: words that are split already. The output is a
    struct whose fields follow the options, in the types that `datasets.map` stores: `input_ids` (list of
    int32); `token_type_ids`, `attention_mask` and `special_tokens_mask` (lists of int8); `offset_mapping`
    (list of [start, end], in characters); `length` (int64); `word_ids` (list of int32, null for special
    tokens). A row whose text or pair is null is null in all of them.

    With `return_overflowing_tokens` a text that is cut gives several chunks. Rows keep their number, so
    that each field is then a list with one entry per chunk, and `length` a list of int64.

    A fast tokenizer is called once per batch. `padding=True` fills up to the longest text *of the batch*:
    say how large a batch is with `.options(batch_size=...)`, or pad to `"max_length"`, which is the same
    for every batch.

    Attributes:
        tokenizer: The name of a model on the Hugging Face Hub, a folder or a `tokenizer.json` (with the
            `tokenizer_config.json` beside it, if there is one); `model_name` is the same option. Nothing is
            downloaded when it is local or cached. Code that comes with a model is never run.
        padding: False; True or "longest": to the longest of the batch; "max_length".
        truncation: False; True or "longest_first": the longer of a pair first; "only_first"; "only_second".
        max_length: Tokens to cut or to fill up to, special tokens included; what the tokenizer says, if None.
        stride: Tokens that two neighbouring chunks of one text have in common.
        add_special_tokens: Whether to add the tokens that the model expects around a text.
        is_split_into_words: Whether texts are lists of words; told from the input's type, if None.
        return_token_type_ids: Whether to return which text of the pair a token is of; what the tokenizer
            says, if None.
        return_attention_mask: Whether to return which tokens are no padding; what the tokenizer says,
            if None.
        return_overflowing_tokens: Whether to return the rest of a text that is cut, as further chunks.
        return_special_tokens_mask: Whether to return which tokens are special.
        return_offsets_mapping: Whether to return where in the text each token is.
        return_length: Whether to return the number of tokens.
        return_word_ids: Whether to return which word each token is of.

    Raises:
        DefinitionError: The tokenizer is not there, or does not fit the options.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.processors.tokenizers.transformers import TransformersTokenizer
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"text": ["Dear friend", None]})
        >>> src = flow_of(table.schema)
        >>> tokens = TransformersTokenizer(tokenizer="examples/data/tokenizer").call(text=src.text)
        >>> evaluate(tokens.input_ids, table).to_pylist()
        [[1, 5307, 5586, 2], None]
    """

    tokenizer: str
    padding: bool | Literal["longest", "max_length", "do_not_pad"] = False
    truncation: bool | Literal["longest_first", "only_first", "only_second", "do_not_truncate"] = False
    max_length: int | None = Field(default=None, ge=1)
    stride: int = Field(default=0, ge=0)
    add_special_tokens: bool = True
    is_split_into_words: bool | None = None
    return_token_type_ids: bool | None = None
    return_attention_mask: bool | None = None
    return_overflowing_tokens: bool = False
    return_special_tokens_mask: bool = False
    return_offsets_mapping: bool = False
    return_length: bool = False
    return_word_ids: bool = False

    @model_validator(mode="before")
    @classmethod
    def _one_name(cls, given: Any) -> Any:
        if not isinstance(given, Mapping) or "model_name" not in given:
            return given
        rest = {name: value for name, value in given.items() if name != "model_name"}
        if rest.setdefault("tokenizer", given["model_name"]) != given["model_name"]:
            msg = (
                f"`tokenizer` and `model_name` are the same option, and differ: "
                f"{rest['tokenizer']!r:.80} and {given['model_name']!r:.80}"
            )
            raise ValueError(msg)
        return rest

    @field_validator("tokenizer", mode="before")
    @classmethod
    def _absolute_path(cls, given: Any) -> Any:
        if not isinstance(given, (str, os.PathLike)):
            msg = (
                "must be a name, a folder or a tokenizer.json "
                "(save a tokenizer that was made in Python with save_pretrained(folder), and give the folder)"
            )
            raise ValueError(msg)  # noqa: TRY004 - pydantic takes ValueError only
        source = os.fspath(given)
        if not isinstance(source, str) or not source:
            msg = "must be a name, a folder or a tokenizer.json"
            raise ValueError(msg)
        return source

    @field_validator("padding", "truncation", mode="before")
    @classmethod
    def _known_strategy(cls, given: Any, info: Any) -> Any:
        known = _PADDING if info.field_name == "padding" else _TRUNCATION
        if given is None:
            return False
        if given in known:
            return given
        close = (
            nearest_name(given, [name for name in known if isinstance(name, str)])
            if isinstance(given, str)
            else None
        )
        guess = f"; did you mean {close!r}?" if close else ""
        msg = f"must be one of {', '.join(map(repr, known))}{guess}"
        raise ValueError(msg)

    @model_validator(mode="after")
    def _options_have_effect(self) -> Self:
        cuts, fills = self._truncation != "do_not_truncate", self._padding != "do_not_pad"
        if self.max_length is not None and not cuts and self._padding != "max_length":
            msg = 'max_length has no effect without truncation=True or padding="max_length"'
            if fills:
                msg = 'max_length has no effect on padding to the longest: give padding="max_length"'
            raise ValueError(msg)
        if self.stride and not cuts:
            msg = "stride has no effect without truncation=True"
            raise ValueError(msg)
        return self

    @property
    def model_name(self) -> str:
        """The same as `tokenizer`."""
        return self.tokenizer

    @property
    def _padding(self) -> str:
        return _named(self.padding, off="do_not_pad", on="longest")

    @property
    def _truncation(self) -> str:
        return _named(self.truncation, off="do_not_truncate", on="longest_first")

    def output(self, text: Feature, text_pair: Feature | None = None) -> Feature:
        """The struct of what is returned."""
        self._check_inputs(text, text_pair)
        is_pair = text_pair is not None and features.family(text_pair) is not Family.NULL
        length = self._fixed_length(is_pair=is_pair)
        return {name: self._column_feature(name, length) for name in self._columns()}

    def resolve(self, **inputs: Feature) -> Self:
        """The same node with the columns that the tokenizer's model takes, and its path from anywhere."""
        self._check_inputs(inputs["text"], inputs.get("text_pair"))
        loaded = loading.load(self.tokenizer)
        self._check(loaded, is_pair=inputs.get("text_pair") is not None)
        taken: dict[str, Any] = {
            option: name in loaded.input_names
            for option, name in _OF_THE_MODEL.items()
            if getattr(self, option) is None
        }
        if self._padding == "max_length" and self.max_length is None:
            taken["max_length"] = loaded.max_length  # so that the type says how long all are
        return self.model_copy(update={"tokenizer": loading.absolute(self.tokenizer), **taken})

    def fingerprint(self) -> str:
        """Of what the files of the tokenizer hold."""
        return loading.fingerprint(self.tokenizer)

    def setup(self) -> None:
        """Load the tokenizer, which may be another than when the flow was written."""
        self._check(loading.load(self.tokenizer), is_pair=self._truncation == "only_second")
        self._encode = self._encoder(self.output_type.names)

    def process(self, text: TextColumn, text_pair: TextColumn | None = None) -> dict[str, pa.Array]:
        """Encode the rows that are not null, all in one call."""
        columns = self.output_type.names
        given = [column for column in (text, text_pair) if column is not None]
        valid = np.ones(len(text), np.bool_)
        for column in given:
            if column.null_count:
                valid &= pc.is_valid(column).to_numpy(zero_copy_only=False)
        chosen = pa.array(valid)
        texts = [_values(column if valid.all() else column.filter(chosen)) for column in given]
        encoded = self._encode(texts[0], texts[1] if text_pair is not None else None, _is_list(text.type))
        return encoding.to_columns(encoded, columns, valid)

    def _encoder(self, columns: list[str]) -> encoding.Encode:
        loaded = loading.load(self.tokenizer)
        settings = self._settings(loaded)
        if loaded.backend is not None:
            return encoding.by_backend(
                loading.load_configured(self.tokenizer, settings),
                columns,
                add_special_tokens=self.add_special_tokens,
                overflowing=self.return_overflowing_tokens,
            )
        return encoding.by_call(
            loading.load_wrapped(self.tokenizer),
            columns,
            overflowing=self.return_overflowing_tokens,
            options={**settings._asdict(), "add_special_tokens": self.add_special_tokens},
        )

    def _settings(self, loaded: Loaded) -> Settings:
        needs_length = self._truncation != "do_not_truncate" or self._padding == "max_length"
        max_length = (self.max_length or loaded.max_length) if needs_length else None
        return Settings(self._padding, self._truncation, max_length, self.stride)

    def _columns(self) -> list[str]:
        wanted = {
            "input_ids": True,
            "token_type_ids": self.return_token_type_ids,
            "attention_mask": self.return_attention_mask,
            "special_tokens_mask": self.return_special_tokens_mask,
            "offset_mapping": self.return_offsets_mapping,
            "length": self.return_length,
            "word_ids": self.return_word_ids,
        }
        return [name for name in encoding.COLUMNS if wanted[name]]

    def _fixed_length(self, *, is_pair: bool) -> int | None:
        """The number of tokens of every text, where all are padded and cut to it."""
        cuts_all = self._truncation == "longest_first" or (self._truncation == "only_first" and not is_pair)
        return self.max_length if self._padding == "max_length" and cuts_all else None

    def _column_feature(self, name: str, length: int | None) -> Feature:
        feature = features.value(encoding.DTYPES[name])
        if name == "offset_mapping":
            import datasets

            feature = datasets.List(feature, length=2)
        if name != "length":
            feature = features.list_of(feature, length=length)
        return features.list_of(feature) if self.return_overflowing_tokens else feature

    def _check_inputs(self, text: Feature, text_pair: Feature | None) -> None:
        """Refuse other types than texts or words, of both inputs alike."""
        kinds = {}
        for name, feature in (("text", text), ("text_pair", text_pair)):
            if feature is None or features.family(feature) is Family.NULL:
                continue
            kinds[name] = features.family(feature) is Family.LIST
            inner = features.element(feature) if kinds[name] else feature
            if features.family(inner) not in (Family.STRING, Family.NULL):
                raise DefinitionTypeError(
                    f"TransformersTokenizer takes a string or a list of words as {name!r}, "
                    f"got {features.shortened(feature)}",
                    site=CallSite.nearest(),
                )
        if len(set(kinds.values())) > 1:
            raise DefinitionTypeError(
                "TransformersTokenizer: one of 'text' and 'text_pair' is a text, the other a list of words",
                site=CallSite.nearest(),
                hint="split both into words, or neither",
            )
        are_words = next(iter(kinds.values()), False)
        if kinds and self.is_split_into_words not in (None, are_words):
            raise DefinitionTypeError(
                f"TransformersTokenizer: is_split_into_words={self.is_split_into_words} takes "
                f"{'a string' if are_words else 'a list of words'}, got {features.shortened(text)}",
                site=CallSite.nearest(),
                hint="leave is_split_into_words out: it is told from the type",
            )

    def _check(self, loaded: Loaded, *, is_pair: bool) -> None:
        """Refuse options that this tokenizer cannot follow."""
        settings = self._settings(loaded)
        if settings.padding != "do_not_pad" and loaded.pad_id is None:
            raise self._refused(
                "has no padding token, so that padding cannot be done",
                hint='leave padding=False, or name a "pad_token" in the tokenizer_config.json beside it',
            )
        needs_length = settings.padding == "max_length" or settings.truncation != "do_not_truncate"
        if needs_length and settings.max_length is None:
            raise self._refused("says no maximal length", hint="give max_length=")
        if settings.truncation == "only_second" and not is_pair:
            raise self._refused('has no second text to cut: truncation="only_second"', hint="give text_pair=")
        self._check_length(loaded, settings, is_pair=is_pair)
        needs_fast = [
            name
            for name in ("return_offsets_mapping", "return_overflowing_tokens", "return_word_ids")
            if getattr(self, name)
        ]
        if needs_fast and not loaded.is_fast:
            raise self._refused(f"is written in Python, and {needs_fast[0]}=True needs a fast one")
        if loaded.backend is not None:
            try:
                loading.load_configured(self.tokenizer, settings)
            except ValueError as error:
                raise self._refused(f"does not take these options: {error}") from error

    def _check_length(self, loaded: Loaded, settings: Settings, *, is_pair: bool) -> None:
        if settings.truncation == "do_not_truncate" or settings.max_length is None:
            return
        special = loaded.special_tokens(pair=is_pair) if self.add_special_tokens else 0
        if settings.max_length <= special:
            raise self._refused(
                f"adds {special} special tokens: max_length={settings.max_length} leaves none for the text"
            )
        if settings.stride >= settings.max_length - special:
            raise self._refused(
                f"has room for {settings.max_length - special} tokens of the text in a chunk, "
                f"and stride={settings.stride} must be less"
            )

    def _refused(self, why: str, hint: str | None = None) -> DefinitionError:
        return DefinitionError(f"the tokenizer {self.tokenizer!r} {why}", site=CallSite.nearest(), hint=hint)


def _named(given: Any, *, off: str, on: str) -> str:
    if given is True:
        return on
    return str(given) if given else off


def _is_list(arrow_type: pa.DataType) -> bool:
    kinds = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(is_kind(arrow_type) for is_kind in kinds)


def _values(column: pa.Array) -> list[Any]:
    """The texts, or the lists of words, of a column without nulls.

    Raises:
        ValueError: A word is null.
    """
    if not _is_list(column.type):
        texts: list[Any] = column.to_pylist()
        return texts
    lengths = pc.list_value_length(column).to_numpy(zero_copy_only=False)
    words = column.flatten()
    if words.null_count:
        msg = "a word is null"
        raise ValueError(msg)
    flat = words.to_pylist()
    ends = np.cumsum(lengths).tolist()
    return [flat[start:end] for start, end in zip([0, *ends], ends, strict=False)]
