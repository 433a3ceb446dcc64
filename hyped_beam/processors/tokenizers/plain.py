"""Loading a `tokenizer.json` with the `tokenizers` library alone.

`transformers` takes one to seven seconds to import and reads more files than it needs. Where all that it
would do to a `tokenizer.json` is known, the same is done here; in every other case the answer is None.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hyped_beam.processors.tokenizers.loaded import Loaded

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CONFIGURATION = "tokenizer_config.json"
SPECIAL_TOKENS = "special_tokens_map.json"
ADDED_TOKENS = "added_tokens.json"
MODEL = "config.json"

UNLIMITED = 1e20
"""`transformers` takes a `model_max_length` above this for none."""

_NAMED_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_LISTED_TOKENS = ("additional_special_tokens", "extra_special_tokens")
_GENERIC = ("PreTrainedTokenizerFast", "TokenizersBackend")
_GENERIC_MODELS = ("gpt2", "gpt_neox", "llama")
_BERT = ("BertTokenizer", "BertTokenizerFast")
_BERT_MODELS = ("bert", "distilbert", "electra")
_BERT_TOKENS = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
_ALL_INPUTS = ["input_ids", "token_type_ids", "attention_mask"]
_UNDERSTOOD = {
    *_NAMED_TOKENS,
    *_LISTED_TOKENS,
    "added_tokens_decoder",
    "model_input_names",
    "model_max_length",
    "pad_token_type_id",
    "padding_side",
    "split_special_tokens",
    "tokenizer_class",
    "truncation_side",
}
_WITHOUT_EFFECT = {
    "add_bos_token",  # dropped by transformers where there is a tokenizer.json
    "add_eos_token",
    "backend",
    "chat_template",
    "clean_up_tokenization_spaces",
    "do_basic_tokenize",
    "is_local",
    "local_files_only",
    "max_length",
    "name_or_path",
    "never_split",
    "pad_to_multiple_of",
    "special_tokens_map_file",
    "stride",
    "tokenizer_file",
    "truncation_strategy",
}
_BERT_OPTIONS = {"do_lower_case", "strip_accents", "tokenize_chinese_chars"}


def load_plain(file: Path, folder: Path | None) -> Loaded | None:
    """The tokenizer that `transformers` would make of a `tokenizer.json`; None where that is not known.

    Args:
        file: The `tokenizer.json`.
        folder: The folder with the files beside it; None where it stands alone.

    Raises:
        OSError: A file cannot be read.
        ValueError: A file is no JSON.
    """
    configuration = _configuration(folder)
    if configuration is None:
        return None
    saved = json.loads(file.read_text(encoding="utf-8"))
    model = _json(folder, MODEL).get("model_type")
    name = configuration.get("tokenizer_class")
    if name in _BERT or (name is None and model in _BERT_MODELS):
        known = _UNDERSTOOD | _WITHOUT_EFFECT | _BERT_OPTIONS
        fits = model in (None, *_BERT_MODELS) and _is_bert(saved, configuration)
        defaults = {**_filled_up(saved), **_BERT_TOKENS, "model_input_names": _ALL_INPUTS}
    else:
        known = _UNDERSTOOD | _WITHOUT_EFFECT
        fits = (name in _GENERIC and model in (None, *_GENERIC_MODELS)) or (name is None and model is None)
        defaults = _filled_up(saved)
    configuration = {**defaults, **configuration}
    fits = fits and set(configuration) <= known and configuration.get("pad_token_type_id", 0) == 0
    if not fits or not _tokens_are_known(saved, configuration):
        return None
    return _loaded(file, configuration, is_bert=known >= _BERT_OPTIONS)


def _json(folder: Path | None, name: str) -> dict[str, Any]:
    if folder is None or not (folder / name).is_file():
        return {}
    found = json.loads((folder / name).read_text(encoding="utf-8"))
    return found if isinstance(found, dict) else {}


def _configuration(folder: Path | None) -> dict[str, Any] | None:
    if folder is not None and (folder / ADDED_TOKENS).exists():
        return None
    configuration = _json(folder, CONFIGURATION)
    if "added_tokens_decoder" not in configuration:
        configuration |= _json(folder, SPECIAL_TOKENS)
    return configuration


def _filled_up(saved: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults that a `tokenizer.json` which was saved while it cut and filled up brings along."""
    padding, truncation = saved.get("padding"), saved.get("truncation")
    found: dict[str, Any] = {}
    if padding is not None:
        found |= {
            "pad_token": padding["pad_token"],
            "padding_side": padding.get("direction", "Right").lower(),
            "pad_token_type_id": padding.get("pad_type_id", 0),
        }
    if truncation is not None:
        found["truncation_side"] = truncation.get("direction", "Right").lower()
    return found


def _is_bert(saved: Mapping[str, Any], configuration: Mapping[str, Any]) -> bool:
    """Whether its model is the one that `BertTokenizer` would make of its vocabulary."""
    model: dict[str, Any] = saved.get("model", {})
    unknown = _content(configuration.get("unk_token", _BERT_TOKENS["unk_token"]))
    return bool(
        model.get("type") == "WordPiece"
        and model.get("unk_token") == unknown
        and model.get("continuing_subword_prefix") == "##"
        and model.get("max_input_chars_per_word") == 100  # noqa: PLR2004 - the default of tokenizers
    )


def _content(token: Any) -> Any:
    return token.get("content") if isinstance(token, Mapping) else token


def _tokens_are_known(saved: Mapping[str, Any], configuration: Mapping[str, Any]) -> bool:
    """Whether all special tokens of the configuration stand in the `tokenizer.json`, as if added."""
    added = {token["content"]: token for token in saved.get("added_tokens", [])}
    if "added_tokens_decoder" in configuration:
        decoder = configuration["added_tokens_decoder"]
        listed = [{**token, "id": int(number)} for number, token in decoder.items()]
        if any(
            {"__type": "", **added.get(token["content"], {})} != {"__type": "", **token} for token in listed
        ):
            return False
        added = {token["content"]: added[token["content"]] for token in listed}
    named = [_content(configuration[name]) for name in _NAMED_TOKENS if configuration.get(name) is not None]
    if not all(token in added and added[token]["special"] for token in named):
        return False
    for name in _LISTED_TOKENS:
        extra = configuration.get(name) or []
        if not isinstance(extra, list) or not all(
            isinstance(token, str) and token in added and _is_plain(added[token]) for token in extra
        ):
            return False
    return True


def _is_plain(token: Mapping[str, Any]) -> bool:
    flags = ("lstrip", "rstrip", "single_word", "normalized")
    return bool(token["special"]) and not any(token[flag] for flag in flags)


def _loaded(file: Path, configuration: Mapping[str, Any], *, is_bert: bool) -> Loaded:
    from tokenizers import Tokenizer, processors

    backend = Tokenizer.from_file(str(file))
    if is_bert:
        _make_bert(backend, configuration)
    elif backend.post_processor is None:
        backend.post_processor = processors.TemplateProcessing(
            single="$A:0", pair="$A:0 $B:1", special_tokens=[]
        )
    max_length = configuration.get("model_max_length")
    pad_token = _content(configuration.get("pad_token"))
    return Loaded(
        backend=backend,
        input_names=tuple(configuration.get("model_input_names") or ("input_ids", "attention_mask")),
        max_length=None if max_length is None or max_length > UNLIMITED else int(max_length),
        pad_token=pad_token,
        pad_id=None if pad_token is None else backend.token_to_id(pad_token),
        padding_side=configuration.get("padding_side", "right"),
        truncation_side=configuration.get("truncation_side", "right"),
        split_special_tokens=bool(configuration.get("split_special_tokens", False)),
    )


def _make_bert(backend: Tokenizer, configuration: Mapping[str, Any]) -> None:
    """Give it the parts that `BertTokenizer` makes from its options, whatever the file says."""
    from tokenizers import normalizers, pre_tokenizers, processors

    backend.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=configuration.get("tokenize_chinese_chars", True),
        strip_accents=configuration.get("strip_accents"),
        lowercase=configuration.get("do_lower_case", True),
    )
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    first, last = (_content(configuration[name]) for name in ("cls_token", "sep_token"))
    backend.post_processor = processors.TemplateProcessing(
        single=f"{first}:0 $A:0 {last}:0",
        pair=f"{first}:0 $A:0 {last}:0 $B:1 {last}:1",
        special_tokens=[(token, backend.token_to_id(token)) for token in (first, last)],
    )
