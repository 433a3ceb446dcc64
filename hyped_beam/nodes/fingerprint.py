"""Fingerprints of what nodes compute: their configuration, their code, and what that code uses.

Code of installed packages is known by its version. Code of the user's own is known by what it is: the byte
code of a function, its defaults, what it closes over, the globals and the attributes of modules that it
names, and so on from there. Where that ends at something that cannot be told, there is no fingerprint.
"""

from __future__ import annotations

import builtins
import copyreg
import dis
import enum
import functools
import hashlib
import importlib
import os
import struct
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pyarrow as pa
from pydantic import BaseModel

from hyped_beam.nodes.configuration import Configured
from hyped_beam.nodes.installed import UnknownVersionError, is_installed, version_of
from hyped_beam.nodes.interface import Interface
from hyped_beam.nodes.processor import FunctionProcessor
from hyped_beam.types import scalars
from hyped_beam.types.environment import EnvironmentValue

_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(...), type(NotImplemented), range, slice)
_NAMED_GLOBALS = ("LOAD_GLOBAL", "LOAD_NAME", "STORE_GLOBAL", "DELETE_GLOBAL")
_READS_FILES = frozenset({"read_text", "read_bytes"})
_READS_ENVIRONMENT = frozenset({"environ", "getenv"})
_DEEPEST = 200


class NoFingerprintError(Exception):
    """Something cannot be told from something else, so that results of it cannot be used again."""


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
    digest = _Digest(may_read=may_read)
    try:
        digest.add(value)
    except UnknownVersionError as error:
        raise NoFingerprintError(str(error)) from None
    return digest.hexdigest()


class _Digest:
    """A hash of values, and of the code that they are and use."""

    def __init__(self, *, may_read: bool = False) -> None:
        self._hash = hashlib.blake2b(digest_size=16)
        self._known: dict[int, tuple[bytes, Any]] = {}
        self._open: list[int] = []
        self._reads_on_its_own = may_read

    def hexdigest(self) -> str:
        return self._hash.hexdigest()

    def _write(self, *parts: str | bytes) -> None:
        for part in parts:
            encoded = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
            self._hash.update(struct.pack("<Q", len(encoded)))
            self._hash.update(encoded)

    def add(self, value: Any) -> None:
        """Add a value: by a hash of its own, so that it does not matter whether it stands elsewhere, too.

        Raises:
            NoFingerprintError: It holds something that cannot be told.
        """
        if type(value) in _PLAIN:
            self._write(type(value).__name__, repr(value))
        elif id(value) in self._known:
            self._write(self._known[id(value)][0])
        elif id(value) in self._open:
            self._write("within", str(len(self._open) - self._open.index(id(value))))
        elif len(self._open) > _DEEPEST:
            raise NoFingerprintError("is nested too deeply to be told from others")
        else:
            self._open.append(id(value))
            outer, self._hash = self._hash, hashlib.blake2b(digest_size=16)
            if not (self._add_container(value) or self._add_own(value) or self._add_callable(value)):
                self._add_object(value)
            digest = self._hash.digest()
            self._hash = outer
            self._known[self._open.pop()] = digest, value  # held, so that no other gets its id
            self._write(digest)

    def _add_container(self, value: Any) -> bool:
        """Add a collection of Python's; False where it is none."""
        kind = type(value)
        if kind in (tuple, list):
            self._write(kind.__name__, str(len(value)))
            self._add_all(value)
        elif kind in (dict, types.MappingProxyType):
            self._write("dict", str(len(value)))
            for key, inner in value.items():
                self._add_all((key, inner))
        elif kind in (set, frozenset):
            self._write(kind.__name__, *sorted(digest_of(inner) for inner in value))
        else:
            return False
        return True

    def _add_own(self, value: Any) -> bool:
        """Add what is told in a way of our own; False where it is told as other objects are."""
        if isinstance(value, type):
            self._add_class(value)
        elif isinstance(value, types.ModuleType):
            self._add_module(value, ())
        elif isinstance(value, types.CodeType):
            self._add_code(value)
        elif isinstance(value, EnvironmentValue):
            self._write("env", value.name, os.environ.get(value.name, "\0"))
        elif isinstance(value, BaseModel):
            self._add_model(value)
        elif isinstance(value, pa.Scalar):
            self._write("scalar", str(value.type), scalars.to_ipc({"": value}))
        else:
            return False
        return True

    def _add_all(self, values: Iterable[Any]) -> None:
        for value in values:
            self.add(value)

    # ----------------------------------------------------------------------------------------------- nodes

    def _add_model(self, value: Any) -> None:
        """A node, a reader or another model: its class and its fields."""
        told = getattr(value, "fingerprint", None) if isinstance(value, Configured) else None
        outer = self._reads_on_its_own
        self._reads_on_its_own = outer or told is not None
        if isinstance(value, Configured):
            self._add_interface(value.interface())
        if isinstance(value, FunctionProcessor):
            self._write("function")
            self.add(value._function)  # noqa: SLF001 - of the same package
        else:
            self.add(type(value))
            # not what they keep for themselves, such as the features of a reader's files
            names = type(value).model_fields
            self.add({name: value.__dict__[name] for name in names if name in value.__dict__})
            self.add(value.__pydantic_extra__)
        self._reads_on_its_own = outer
        if told is not None:
            self._write("fingerprint", str(told()))

    def _add_interface(self, interface: Interface) -> None:
        """What annotations say of how a node is called; types are told where it is used."""
        inputs = [(name, taken.optional, taken.admits_null) for name, taken in interface.inputs.items()]
        self._add_all((inputs, interface.row_wise, interface.coroutine))

    # ------------------------------------------------------------------------------------------------ code

    def _add_callable(self, value: Any) -> bool:
        """Add a function, or what is made of one; False where it is none."""
        if isinstance(value, types.FunctionType):
            self._add_function(value)
        elif isinstance(value, types.MethodType):
            self._write("method")
            self._add_all((value.__func__, value.__self__))
        elif isinstance(value, (staticmethod, classmethod)):
            self._write(type(value).__name__)
            self.add(value.__func__)
        elif isinstance(value, property):
            self._write("property")
            self._add_all((value.fget, value.fset, value.fdel))
        elif isinstance(value, functools.cached_property):
            self._write("cached property")
            self.add(value.func)
        elif isinstance(value, types.BuiltinFunctionType):
            self._write("builtin", value.__name__)
            owner = value.__self__
            self.add(owner if owner is not None else _module(value.__module__, value))
        elif isinstance(value, (types.MethodDescriptorType, types.WrapperDescriptorType)):
            self._write("builtin", value.__name__)
            self.add(value.__objclass__)
        elif callable(value) and callable(getattr(value, "__wrapped__", None)):  # as of `functools.lru_cache`
            self._write("wrapper", type(value).__name__)
            self.add(value.__wrapped__)
        else:
            return False
        return True

    def _add_function(self, function: types.FunctionType) -> None:
        self._write("function", function.__qualname__)
        self._add_all((function.__defaults__, function.__kwdefaults__))
        for cell in function.__closure__ or ():
            try:
                self.add(cell.cell_contents)
            except ValueError:  # nothing is in it yet
                self._write("empty")
        if is_installed(function.__module__):
            self._write(function.__module__, version_of(function.__module__))
            return
        self._add_code(function.__code__)
        self._add_uses(function)
        if vars(function):
            self.add({name: held for name, held in vars(function).items() if not name.startswith("__")})

    def _add_code(self, code: types.CodeType) -> None:
        """What is executed, without where it was written."""
        self._write("code", code.co_code, getattr(code, "co_exceptiontable", b""))
        counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
        names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
        self._add_all((counts, names, code.co_consts))

    def _add_uses(self, function: types.FunctionType) -> None:
        """The values of the globals that a function and those within it name."""
        uses = _Uses(function.__code__)
        self._check_reads(function, uses)
        for name in uses.globals:
            if name not in function.__globals__:
                self._write("name", name)
                continue
            self._write("global", name)
            value = function.__globals__[name]
            if isinstance(value, types.ModuleType):
                self._add_module(value, uses.attributes)
            else:
                self.add(value)
        for name, level, imported in uses.imports:
            package = function.__globals__.get("__package__") or None
            self._add_module(_imported(name, level, package), (*imported, *uses.attributes))

    def _check_reads(self, function: types.FunctionType, uses: _Uses) -> None:
        """Refuse code that reads what no fingerprint knows of, unless the node says what that holds."""
        if self._reads_on_its_own:
            return
        opens = "open" in uses.globals and function.__globals__.get("open", builtins.open) is builtins.open
        if opens or _READS_FILES & uses.attributes:
            what = "reads a file; a method fingerprint() of the node would say what that holds"
        elif _READS_ENVIRONMENT & (uses.attributes | set(uses.globals)):
            what = "reads the environment; an option that is given by env() can be told"
        else:
            return
        raise NoFingerprintError(f"uses {function.__qualname__}(), which {what}")

    def _add_module(self, module: types.ModuleType, attributes: Iterable[str]) -> None:
        """A module: by its version, or by those of its attributes that are named."""
        self._write("module", module.__name__)
        if is_installed(module.__name__):
            self._write(version_of(module.__name__))
            return
        for name in sorted(set(attributes)):
            held = module.__dict__.get(name, None)
            if held is None:
                continue
            self._write("attribute", name)
            if isinstance(held, types.ModuleType):
                self._add_module(held, attributes)
            else:
                self.add(held)

    def _add_class(self, cls: type) -> None:
        self._write("class", cls.__module__, cls.__qualname__)
        if is_installed(cls.__module__):
            self._write(version_of(cls.__module__))
            return
        self._add_all(cls.__bases__)
        for name, value in cls.__dict__.items():
            is_code = isinstance(value, (types.FunctionType, classmethod, staticmethod, property))
            is_special = (name.startswith("__") and name.endswith("__")) or name.startswith("__pydantic")
            if (is_special and not is_code) or name in ("model_config", "_abc_impl", "model_fields"):
                continue
            self._write("attribute", name)
            self.add(value)

    # --------------------------------------------------------------------------------------------- objects

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
            reason = f"{type(error).__name__}: {error}"
            raise NoFingerprintError(f"uses a {_name_of(kind)}, which cannot be told: {reason}") from None
        self._write("object", _name_of(kind))
        if isinstance(told, str):
            if not is_installed(getattr(value, "__module__", None) or kind.__module__):
                raise NoFingerprintError(f"uses {told}, a {_name_of(kind)}, of which only the name is known")
            self._write(told)
            return
        function, arguments, *rest = told
        self._add_all((function, arguments))
        state, items, pairs = (*rest[:3], None, None, None)[:3]
        self.add(state)
        self.add(None if items is None else list(items))
        self.add(None if pairs is None else list(pairs))


class _Uses:
    """What code names.

    Args:
        code: The code, with that of the functions within it.

    Attributes:
        globals: The globals, in order.
        attributes: The attributes.
        imports: The modules: their name, how many levels up, and what is taken from them.
    """

    def __init__(self, code: types.CodeType) -> None:
        self.globals: dict[str, None] = {}
        self.attributes: set[str] = set()
        self.imports: list[tuple[str, int, tuple[str, ...]]] = []
        for part in _with_inner(code):
            self._add(part)

    def _add(self, code: types.CodeType) -> None:
        constants: list[Any] = [0, None]
        for instruction in dis.get_instructions(code):
            if instruction.opname in _NAMED_GLOBALS:
                self.globals[str(instruction.argval)] = None
            elif instruction.opname == "IMPORT_NAME":
                level, names = constants[-2:]
                self.imports.append((str(instruction.argval), int(level or 0), tuple(names or ())))
            elif instruction.opname in ("LOAD_CONST", "LOAD_SMALL_INT"):
                constants.append(instruction.argval)
            elif isinstance(instruction.argval, str):
                self.attributes.add(instruction.argval)


def _with_inner(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _with_inner(constant)


def _name_of(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _module(name: str | None, value: Any) -> types.ModuleType:
    found = sys.modules.get(name or "")
    if found is None:
        raise NoFingerprintError(f"uses {value!r}, whose module is not known")
    return found


def _imported(name: str, level: int, package: str | None) -> types.ModuleType:
    """The module that a function imports when it runs."""
    try:
        found = importlib.import_module("." * level + name, package)
    except Exception as error:  # noqa: BLE001 - whatever a module raises
        raise NoFingerprintError(f"imports {name!r}, which fails: {error}") from None
    if level == 0 and "." in name:  # `import a.b` binds `a`
        return sys.modules[name.partition(".")[0]]
    return found
