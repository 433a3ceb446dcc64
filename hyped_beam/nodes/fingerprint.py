"""Fingerprints of what nodes compute: their configuration, their code, and what that code uses.

There are two, for two questions. `fingerprint_of` answers whether a node gives the same for the same, so
that what it once gave can be used again: code that is not known to, or that cannot be told, has none.
`program_digest` answers whether a program is the one that it was: everything has one, whether it gives the
same or not.
"""

from __future__ import annotations

import builtins
import os
import sys
import types
from typing import Any

from hyped_beam.nodes import pure_code
from hyped_beam.nodes.code_digest import CodeDigest
from hyped_beam.nodes.code_uses import Import, Uses
from hyped_beam.nodes.installed import (
    UnknownVersionError,
    is_installed_somewhere,
    version_of,
    version_string,
)
from hyped_beam.nodes.value_digest import NoFingerprintError
from hyped_beam.types.environment import EnvironmentValue

__all__ = ["NoFingerprintError", "digest_of", "fingerprint_of", "program_digest"]

_BY_NAME = frozenset({"getattr", "hasattr", "attrgetter", "methodcaller"})
_GENERATORS = ("random", "numpy.random")


def fingerprint_of(operation: Any) -> str:
    """What a node computes: equal for two that compute the same of the same, in any process.

    Raises:
        NoFingerprintError: It uses something of which that cannot be said.
    """
    try:
        return digest_of(operation)
    except NoFingerprintError as error:
        raise NoFingerprintError(f"{type(operation).__name__} {error}") from None


def digest_of(value: Any, *, may_read: bool = False) -> str:
    """The fingerprint of any value.

    Args:
        value: The value.
        may_read: Whether code may read files, for it is known otherwise what these hold.

    Raises:
        NoFingerprintError: It holds something of which that cannot be said.
    """
    digest = _PureDigest(trusts=may_read)
    try:
        digest.add(value)
    except UnknownVersionError as error:
        raise NoFingerprintError(str(error)) from None
    return digest.hexdigest()


def program_digest(value: Any) -> str:
    """What a program is: equal for the same one in any process, and another once its code has changed.

    Installed packages count by the number of their version. What cannot be told from others of its class,
    such as a lock or a client, counts as its class, as generators of random numbers do; variables of the
    environment count by name.

    Args:
        value: The nodes of the program, and whatever else it is made of.
    """
    digest = _ProgramDigest()
    digest.add(value)
    return digest.hexdigest()


class _PureDigest(CodeDigest):
    """Refuses code that is not known to give the same for the same."""

    def __init__(self, *, trusts: bool = False) -> None:
        super().__init__(trusts=trusts)
        self._attributes: set[str] = set()
        self._handed_on: set[str] = set()

    def hexdigest(self) -> str:
        """The fingerprint.

        Raises:
            NoFingerprintError: A module is handed on in which there is something impure that code names.
        """
        for module in sorted(self._handed_on):
            for name in sorted(self._attributes & vars(sys.modules[module]).keys()):
                held = vars(sys.modules[module])[name]
                is_module = isinstance(held, types.ModuleType)
                inner, taken = (held.__name__, None) if is_module else (module, name)
                self._check_pure(inner, taken, f"{module}.{name}, which")
        return super().hexdigest()

    def _version_of(self, module: str) -> str:
        return version_of(module)

    def _add_environment(self, value: EnvironmentValue) -> None:
        self._write("env", value.name, os.environ.get(value.name, "\0"))

    def _meet_handed_on(self, module: str) -> None:
        self._handed_on.add(module)

    def _meet_installed(self, module: str, name: str | None) -> None:
        of_module = module if name is None else f"{module}.{name}"
        self._check_pure(module, name, f"{of_module}, which")

    def _meet_function(self, function: types.FunctionType, uses: Uses) -> None:
        """Refuse code of which no fingerprint knows what it does, by the names that it uses."""
        name = function.__qualname__
        attributes = uses.attributes
        if _BY_NAME & uses.names():
            attributes = attributes | uses.strings
        if not self._trusts:
            self._attributes |= attributes
            if pure_code.asks_for_time(attributes | uses.names(), uses.strings):
                raise NoFingerprintError(f"uses {name}(), which {pure_code.NOT_REPEATABLE}")
        for attribute in sorted(attributes):
            self._meet_attribute(attribute, f"{name}()")
        for used in sorted(uses.names()):
            if used in ("__builtins__", "__loader__", "__spec__"):
                raise NoFingerprintError(f"uses {name}(), which {pure_code.FINDS_CODE}")
            hashes = used == "hash" and function.__name__ == "__hash__"
            if used not in function.__globals__ and hasattr(builtins, used) and not hashes:
                self._check_pure("builtins", used, f"{name}(), which uses {used}, which")

    def _meet_attribute(self, attribute: str, user: str) -> None:
        reason = pure_code.why_not_attribute(attribute)
        if reason is not None and (reason == pure_code.FINDS_CODE or not self._trusts):
            raise NoFingerprintError(f"uses {user}, which {reason}")

    def _check_pure(self, module: str, name: str | None, told: str) -> None:
        """Refuse what is installed and not known to give the same for the same, unless the node tells it."""
        if self._trusts and not pure_code.finds_code(module, name):
            return
        reason = pure_code.why_not(module, name)
        if reason is not None:
            raise NoFingerprintError(f"uses {told} {reason}")


class _ProgramDigest(CodeDigest):
    """Tells all code, pure or not, as far as it can be told."""

    def _version_of(self, module: str) -> str:
        return version_string(module)

    def _add_environment(self, value: EnvironmentValue) -> None:
        self._write("env", value.name)

    def _untold(self, value: Any, reason: str) -> None:
        del reason
        self._write("untold", type(value).__qualname__)

    def _module_of(self, imported: Import, package: str | None) -> types.ModuleType | None:
        top = imported.module.partition(".")[0]
        if imported.level == 0 and is_installed_somewhere(top):  # which may take long to import
            self._write("installed", imported.module, imported.taken or "", self._version_of(top))
            return None
        return super()._module_of(imported, package)

    def _add_object(self, value: Any) -> None:
        if type(value).__module__.startswith(_GENERATORS):
            self._untold(value, "it is at another place in each run")
        else:
            super()._add_object(value)
