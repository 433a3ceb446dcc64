"""What is installed, and in which version: code that is told by that, as opposed to the user's own."""

from __future__ import annotations

import decimal
import functools
import hashlib
import importlib.metadata
import importlib.util
import locale
import os
import platform
import sys
import sysconfig
import time
import zoneinfo
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

_INSTALLED = tuple({f"{path}{os.sep}" for path in sysconfig.get_paths().values()})
_OWN_NAME = "hyped_beam"
_OWN = f"{Path(__file__).parent.parent}{os.sep}"
_BUILT_ON = ("pyarrow", "numpy", "datasets", "xxhash", "pydantic", "jinja2", "tokenizers", "transformers")


class UnknownVersionError(Exception):
    """An installed package that does not say its version."""


@functools.lru_cache(maxsize=4096)
def is_installed(name: str | None) -> bool:
    """Whether a module is the standard library's, an installed package's or this one's."""
    top = (name or "").partition(".")[0]
    if top in ("", "__main__", "__mp_main__"):
        return False
    if top in sys.stdlib_module_names or top in sys.builtin_module_names:
        return True
    module = sys.modules.get(name or "") or sys.modules.get(top)
    spec = getattr(module, "__spec__", None)
    file = getattr(module, "__file__", None) or getattr(spec, "origin", None)
    if file is None:  # of a namespace package
        paths = list(getattr(module, "__path__", ()))
        return bool(paths) and all(f"{path}{os.sep}".startswith(_INSTALLED) for path in paths)
    return str(file).startswith((*_INSTALLED, _OWN))


@functools.lru_cache(maxsize=1024)
def is_installed_somewhere(top: str) -> bool:
    """Whether a package is the standard library's or an installed one, found without importing it."""
    if top in sys.stdlib_module_names or top in sys.builtin_module_names:
        return True
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return False
    return spec is not None and str(spec.origin).startswith((*_INSTALLED, _OWN))


@functools.lru_cache(maxsize=1024)
def version_string(name: str) -> str:
    """The number of the version of an installed package; empty where it has none of its own, or says none."""
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names or top in sys.builtin_module_names:
        return ""
    if top == _OWN_NAME:
        return str(sys.modules[_OWN_NAME].__version__)
    try:
        return importlib.metadata.version(top)
    except importlib.metadata.PackageNotFoundError:
        names = sorted(set(importlib.metadata.packages_distributions().get(top, ())))
        return " ".join(f"{one} {importlib.metadata.version(one)}" for one in names)


@functools.lru_cache(maxsize=1024)
def version_of(name: str) -> str:
    """The version of an installed package, and what was installed, which may change without another number.

    Raises:
        UnknownVersionError: It does not say.
    """
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names or top in sys.builtin_module_names:
        return sys.version
    if top == _OWN_NAME:
        return _software()[_OWN_NAME]
    try:
        return _told(top)
    except importlib.metadata.PackageNotFoundError:
        pass
    names = importlib.metadata.packages_distributions().get(top)
    if names:
        return " ".join(_told(one) for one in sorted(set(names)))
    version = getattr(sys.modules.get(top), "__version__", None)
    if version is None:
        raise UnknownVersionError(f"uses the package {top}, whose version is not known")
    return str(version)


def _told(name: str) -> str:
    """The version of a distribution, and a hash of the checksums of its files."""
    found = importlib.metadata.distribution(name)
    files = hashlib.blake2b((found.read_text("RECORD") or "").encode(), digest_size=16).hexdigest()
    return f"{name} {found.version} {files}"


def _time_zones() -> str:
    """The version of the system's time zones, where it says so."""
    for folder in zoneinfo.TZPATH:
        file = Path(folder, "tzdata.zi")
        if file.is_file():
            with file.open(encoding="utf-8") as lines:
                return lines.readline().strip()
    return "unknown"


def versions() -> Mapping[str, str]:
    """What computes: this package as it is, what it is built on, Python, the machine and its settings.

    A program may change its time zone, its locale and the context of decimals while it runs; the rest stays.
    """
    return {
        **_software(),
        "time zone": f"{os.environ.get('TZ')} {time.tzname} {Path('/etc/localtime').resolve()}",
        "locale": locale.setlocale(locale.LC_ALL),
        "decimals": _context_of_decimals(),
    }


def _context_of_decimals() -> str:
    """How decimals are computed and rounded now, without what has happened so far."""
    context = decimal.getcontext()
    traps = sorted(signal.__name__ for signal, is_set in context.traps.items() if is_set)
    return f"{context.prec} {context.rounding} {context.Emin} {context.Emax} {context.clamp} {traps}"


@functools.cache
def _software() -> Mapping[str, str]:
    """What computes, as far as a process cannot change it."""
    own = hashlib.blake2b(digest_size=16)
    for file in sorted(Path(_OWN).rglob("*.py")):
        own.update(f"{file.relative_to(_OWN)}\0".encode())
        own.update(file.read_bytes())
    found = {
        _OWN_NAME: own.hexdigest(),
        "python": sys.version,
        "time zones": _time_zones(),
        "processor": f"{platform.machine()} {pa.runtime_info().simd_level}",
    }
    for name in _BUILT_ON:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "none"
    return found
