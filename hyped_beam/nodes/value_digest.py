"""The digest of values: of collections, Arrow data and objects of any class, by what they hold."""

from __future__ import annotations

import copyreg
import enum
import hashlib
import struct
import types
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import pyarrow as pa

from hyped_beam.errors import error_line
from hyped_beam.nodes.installed import is_installed
from hyped_beam.types import scalars

_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(...), type(NotImplemented), range, slice)
_DEEPEST = 200


class NoFingerprintError(Exception):
    """Something cannot be told from something else, so that results of it cannot be used again."""


class ValueDigest(ABC):
    """A hash of values; what code is, and which of it may be told, is said by those that extend it.

    Args:
        trusts: Whether code may read files, for it is known otherwise what these hold.
    """

    def __init__(self, *, trusts: bool = False) -> None:
        self._hash = hashlib.blake2b(digest_size=16)
        self._known: dict[tuple[int, bool], tuple[bytes, Any]] = {}
        self._open: list[int] = []
        self._trusts = trusts

    def hexdigest(self) -> str:
        """The fingerprint of all that was added."""
        return self._hash.hexdigest()

    def add(self, value: Any) -> None:
        """Add a value: by a hash of its own, so that it does not matter whether it stands elsewhere, too.

        Raises:
            NoFingerprintError: It holds something that cannot be told.
        """
        if type(value) in _PLAIN:
            self._write(type(value).__name__, repr(value))
        elif (place := (id(value), self._trusts)) in self._known:
            self._write(self._known[place][0])
        elif id(value) in self._open:
            self._write("within", str(len(self._open) - self._open.index(id(value))))
        elif len(self._open) > _DEEPEST:
            self._untold(value, "is nested too deeply to be told from others")
        else:
            self._open.append(id(value))
            outer, self._hash = self._hash, hashlib.blake2b(digest_size=16)
            if not (self._add_container(value) or self._add_code_value(value)):
                self._add_object(value)
            digest = self._hash.digest()
            self._hash = outer
            self._open.pop()
            self._known[place] = digest, value  # held, so that no other gets its id
            self._write(digest)

    # ---------------------------------------------------------------------------------------------- extended

    @abstractmethod
    def _add_code_value(self, value: Any) -> bool:
        """Add what is code, or a node; False where it is neither."""

    @abstractmethod
    def _add_installed(self, module: str, name: str | None) -> None:
        """Add something of an installed module, or all of it."""

    @abstractmethod
    def _version_of(self, module: str) -> str:
        """The version of an installed module."""

    def _untold(self, value: Any, reason: str) -> None:
        """Refuse a value that cannot be told from others of its class."""
        del value
        raise NoFingerprintError(reason)

    # ------------------------------------------------------------------------------------------------ values

    def _write(self, *parts: str | bytes) -> None:
        for part in parts:
            encoded = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
            self._hash.update(struct.pack("<Q", len(encoded)))
            self._hash.update(encoded)

    def _add_all(self, values: Iterable[Any]) -> None:
        for value in values:
            self.add(value)

    def _digest_of(self, value: Any) -> bytes:
        outer, self._hash = self._hash, hashlib.blake2b(digest_size=16)
        self.add(value)
        digest, self._hash = self._hash.digest(), outer
        return digest

    def _add_container(self, value: Any) -> bool:
        """Add a collection of Python's, or an Arrow array or scalar; False where it is none."""
        kind = type(value)
        if kind in (tuple, list):
            self._write(kind.__name__, str(len(value)))
            self._add_all(value)
        elif kind in (dict, types.MappingProxyType):
            self._write("dict", str(len(value)))
            for key, inner in value.items():
                self._add_all((key, inner))
        elif kind in (set, frozenset):
            self._write(kind.__name__, *sorted(self._digest_of(inner) for inner in value))
        elif isinstance(value, pa.Scalar):
            self._write("scalar", str(value.type), scalars.to_ipc({"": value}))
        elif isinstance(value, pa.Array):
            self._write("array", str(value.type), scalars.array_digest(value))
        else:
            return False
        return True

    def _add_object(self, value: Any) -> None:
        """Any other object, by what pickle would say of it."""
        kind = type(value)
        if isinstance(value, enum.Enum):
            self.add(kind)
            self._write(value.name)
            return
        try:
            reduce: Callable[[Any], Any] | None = copyreg.dispatch_table.get(kind)
            told = value.__reduce_ex__(4) if reduce is None else reduce(value)
        except Exception as error:  # noqa: BLE001 - whatever an object's own method raises
            self._untold(value, f"uses a {name_of(kind)}, which cannot be told: {error_line(error)}")
            return
        self._write("object", kind.__qualname__)
        if isinstance(told, str):
            module = getattr(value, "__module__", None) or kind.__module__
            if not is_installed(module):
                self._untold(value, f"uses {told}, a {name_of(kind)}, of which only the name is known")
            else:
                self._add_installed(module, told)
            return
        self.add(kind)
        function, arguments, *rest = told
        if is_installed(getattr(function, "__module__", None)):  # it makes the object, which is told
            self._write(name_of(function), self._version_of(function.__module__))
        else:
            self.add(function)
        self.add(arguments)
        state, items, pairs = (*rest[:3], None, None, None)[:3]
        self.add(state)
        self.add(None if items is None else list(items))
        self.add(None if pairs is None else list(pairs))


def name_of(kind: Any) -> str:
    """The full name of a class or a function."""
    return f"{kind.__module__}.{kind.__qualname__}"
