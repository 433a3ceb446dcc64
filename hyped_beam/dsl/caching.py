"""`cache=`: where states of aggregates are kept from one run to another."""

from __future__ import annotations

import logging
import os
import warnings
from pathlib import Path
from typing import Any

from hyped_beam.errors import CallSite, DefinitionError, DefinitionTypeError
from hyped_beam.launch.result import CacheUse

_LOG = logging.getLogger("hyped_beam.cache")
_FOLDER = "aggregates"


def results_folder(cache_dir: str | os.PathLike[str] | None) -> Path:
    """Where datasets that are made are kept: a folder in the cache of `datasets` by default."""
    from datasets import config

    return Path(cache_dir) if cache_dir is not None else Path(config.HF_DATASETS_CACHE) / "hyped_beam"


def cache_folder(cache: Any, cache_dir: str | os.PathLike[str] | None = None) -> str | None:
    """The folder that `cache=` means, absolute; None where nothing is kept.

    Args:
        cache: None or False for none; True for a folder beside the datasets that are made; or a path.
        cache_dir: Where datasets that are made are kept, if not in the cache of `datasets`.

    Raises:
        DefinitionTypeError: It is none of these.
        DefinitionError: It is not a folder of this machine.
    """
    if cache is None or cache is False:
        return None
    if cache is True:
        return str((results_folder(cache_dir) / _FOLDER).absolute())
    path = os.fspath(cache) if isinstance(cache, os.PathLike) else cache
    if not isinstance(path, str) or not path:
        raise DefinitionTypeError(
            f"cache= takes a folder, True or None, got {cache!r:.80}",
            site=CallSite.nearest(),
            hint='write cache=True, or cache="folder/"',
        )
    if "://" in path:
        raise DefinitionError(
            f"cache= takes a folder of this machine, got {path!r}",
            site=CallSite.nearest(),
            hint="give a folder that the workers share; what is read may be elsewhere",
        )
    return str(Path(path).expanduser().absolute())


def refuse_iterable(data: Any, folder: str | None) -> None:
    """Raise for an iterable dataset, whose rows are known only once they were read."""
    if folder is None:
        return
    from datasets import IterableDataset

    if isinstance(getattr(data, "data", data), IterableDataset):
        raise DefinitionError(
            "cache= does nothing for an iterable dataset: only reading it tells whether it has changed",
            site=CallSite.nearest(),
            hint="give the files that it is made of: flow.job(source=path), or flow.fit(path)",
        )


def tell(use: CacheUse | None) -> None:
    """Say what came of a cache that has no result to be looked up in: a warning where nothing is kept."""
    if use is None:
        return
    site = CallSite.nearest()
    if use.refused is not None and site is not None:
        told = UserWarning(f"aggregates are not cached: {use.refused}")
        warnings.warn_explicit(told, UserWarning, site.file, site.line)
    if use.parts:
        _LOG.info("aggregates: %s", use)
