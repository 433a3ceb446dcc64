"""Finding and loading a tokenizer: by the name it has on the Hugging Face Hub, as a folder or as a file."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hyped_beam.errors import CallSite, DefinitionError
from hyped_beam.processors.tokenizers import plain
from hyped_beam.processors.tokenizers.loaded import Loaded, Settings

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FILE = "tokenizer.json"
HUB_FILES = [FILE, plain.CONFIGURATION, plain.SPECIAL_TOKENS, plain.ADDED_TOKENS, plain.MODEL]
HUB_VOCABULARIES = ["vocab*", "merges.txt", "*.model", "*.tiktoken", "tekken.json"]
HUB_TIMEOUT = 5.0
"""Seconds to wait for the Hub before what is in its cache must do."""

_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


def absolute(source: str) -> str:
    """A path made absolute, so that other processes find it; a name as it is."""
    expanded = Path(source).expanduser()
    if expanded.exists() or not _is_name(source):
        return str(expanded.absolute())
    return source


def _is_name(source: str) -> bool:
    return _NAME.fullmatch(source) is not None and not source.startswith(".") and not source.endswith(".json")


def load(source: str) -> Loaded:
    """The tokenizer of that name, folder or file; loaded once per process.

    Raises:
        DefinitionError: It is not there, or cannot be loaded.
    """
    path = _find(source)
    try:
        return _load(str(path), _stamp(path))
    except DefinitionError:
        raise
    except Exception as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DefinitionError(
            f"the tokenizer {source!r} cannot be loaded: {first}",
            site=CallSite.nearest(),
            hint="a folder needs what AutoTokenizer.from_pretrained takes: a tokenizer.json, or a vocabulary "
            "and a tokenizer_config.json",
        ) from error


def load_configured(source: str, settings: Settings) -> Tokenizer:
    """The backend of a tokenizer, set up; shared by all threads, for it is never changed again.

    Raises:
        DefinitionError: It is not there, or cannot be loaded.
        ValueError: The settings contradict each other.
    """
    load(source)
    path = _find(source)
    return _configured(str(path), _stamp(path), settings)


def load_wrapped(source: str) -> Any:
    """A tokenizer of `transformers` of one's own, for calling it changes its state.

    Raises:
        DefinitionError: It is not there, or cannot be loaded.
    """
    return copy.deepcopy(load(source).wrapped)


def fingerprint(source: str) -> str:
    """Of the files of a tokenizer.

    Raises:
        DefinitionError: It is not there.
    """
    path = _find(source)
    folder = path.parent if path.is_file() else path
    held = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name, _ in _stamp(path)}
    if path.is_file():
        held[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return json.dumps(held, sort_keys=True)


def _stamp(path: Path) -> tuple[tuple[str, int], ...]:
    """Changes when a file of the tokenizer does."""
    files = path.parent.iterdir() if path.is_file() else path.iterdir()
    names = sorted(file for file in files if file.suffix in (".json", ".txt", ".model", ".tiktoken"))
    for file in names:
        _check_regular(file)
    return tuple((file.name, file.stat().st_mtime_ns) for file in names)


@lru_cache(maxsize=8)
def _load(path: str, stamp: tuple[tuple[str, int], ...]) -> Loaded:  # noqa: ARG001 - part of the cache's key
    found = Path(path)
    folder = found.parent if found.is_file() else found
    beside = {file.name for file in folder.iterdir()} & {
        plain.CONFIGURATION,
        plain.MODEL,
        plain.SPECIAL_TOKENS,
    }
    file = folder / FILE if found.is_dir() else found
    alone = file.name != FILE or not beside
    if file.is_file():
        loaded = plain.load_plain(file, None if alone else folder)
        if loaded is not None:
            return loaded
    return _load_with_transformers(
        file, alone=alone and file.is_file(), has_configuration=bool(beside - {plain.SPECIAL_TOKENS})
    )


def _load_with_transformers(file: Path, *, alone: bool, has_configuration: bool) -> Loaded:
    import transformers

    if alone:
        tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(file))
    elif has_configuration:
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            str(file.parent),
            local_files_only=True,
            trust_remote_code=False,  # left out, it asks whoever sits at the terminal
        )
    else:
        tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(
            str(file.parent), local_files_only=True, trust_remote_code=False
        )
    max_length = tokenizer.model_max_length
    return Loaded(
        backend=tokenizer.backend_tokenizer if _is_called_as_usual(tokenizer) else None,
        wrapped=tokenizer,
        input_names=tuple(tokenizer.model_input_names),
        max_length=None if max_length is None or max_length > plain.UNLIMITED else int(max_length),
        pad_token=tokenizer.pad_token,
        pad_id=tokenizer.pad_token_id if tokenizer.pad_token is not None else None,
        padding_side=tokenizer.padding_side,
        truncation_side=tokenizer.truncation_side,
        split_special_tokens=bool(getattr(tokenizer, "split_special_tokens", False)),
    )


def _is_called_as_usual(tokenizer: Any) -> bool:
    """Whether calling it does no more than calling its backend."""
    from transformers import PreTrainedTokenizerFast

    used = ("__call__", "_encode_plus", "_convert_encoding", "set_truncation_and_padding", "pad")
    kind = type(tokenizer)
    return (
        isinstance(tokenizer, PreTrainedTokenizerFast)
        and all(getattr(kind, name, None) is getattr(PreTrainedTokenizerFast, name, None) for name in used)
        and tokenizer.pad_token_type_id == 0
    )


@lru_cache(maxsize=8)
def _configured(path: str, stamp: tuple[tuple[str, int], ...], settings: Settings) -> Tokenizer:
    return _load(path, stamp).configured(settings)


def _find(source: str) -> Path:
    path = Path(source)
    if path.exists():
        if not path.is_dir():
            _check_regular(path)
        return path
    if not _is_name(source):
        raise DefinitionError(
            f"there is no tokenizer at {source!r}",
            site=CallSite.nearest(),
            hint="give a folder, a tokenizer.json or the name of a model on the Hugging Face Hub",
        )
    return _hub_folder(source)


def _check_regular(file: Path) -> None:
    """Refuse a pipe, which would be waited for, and a device, which may have no end."""
    if file.exists() and not file.is_file() and not file.is_dir():
        message = f"{str(file)!r} is a pipe, a socket or a device, and no file of a tokenizer"
        raise DefinitionError(message, site=CallSite.nearest())


@lru_cache(maxsize=8)
def _hub_folder(name: str) -> Path:
    """The folder in the Hub's cache; nothing is asked of the network where it is there."""
    import huggingface_hub

    wanted = HUB_FILES + HUB_VOCABULARIES
    try:
        folder = Path(huggingface_hub.snapshot_download(name, allow_patterns=wanted, local_files_only=True))
        if any((folder / file).exists() for file in (FILE, plain.CONFIGURATION)):
            return folder
    except (OSError, ValueError):
        pass
    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=wanted, etag_timeout=HUB_TIMEOUT))
    except (OSError, ValueError) as error:
        offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
        why = "HF_HUB_OFFLINE is set" if offline else str(error).strip().splitlines()[0]
        raise DefinitionError(
            f"there is no tokenizer {name!r}: neither a folder or file here, nor a model in the cache of the "
            f"Hugging Face Hub, and it cannot be downloaded ({why})",
            site=CallSite.nearest(),
            hint="check the name, or give the path of a folder or of a tokenizer.json",
        ) from error
