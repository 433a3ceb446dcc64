"""Fingerprints of what nodes compute: their configuration, their code, and what that code uses.

Code of installed packages is known by its version, where it is known to give the same for the same. Code of
the user's own is known by what it is: the byte code of a function, its defaults, what it closes over, the
globals and the attributes of modules that it names, and so on from there; a module that it hands on, by all
that is in it. Where that ends at something that cannot be told, there is no fingerprint.
"""

from __future__ import annotations

import builtins
import copyreg
import enum
import functools
import hashlib
import importlib
import os
import struct
import sys
import types
from collections.abc import Callable, Iterable
from typing import Any

import pyarrow as pa
from pydantic import BaseModel

from hyped_beam.nodes import pure_code
from hyped_beam.nodes.code_uses import Import, Path, Uses
from hyped_beam.nodes.configuration import Configured
from hyped_beam.nodes.installed import UnknownVersionError, is_installed, version_of
from hyped_beam.nodes.interface import Interface
from hyped_beam.nodes.processor import FunctionProcessor
from hyped_beam.types import scalars
from hyped_beam.types.environment import EnvironmentValue

_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(...), type(NotImplemented), range, slice)
_BY_NAME = frozenset({"getattr", "hasattr", "attrgetter", "methodcaller"})
# What Python and pydantic keep in a class of what is told otherwise, or of no consequence.
_OF_CLASSES = pure_code.words(
    """
    __abstractmethods__ __annotate__ __annotate_func__ __annotations__ __annotations_cache__
    __class_vars__ __conditional_annotations__ __dataclass_params__ __dict__ __firstlineno__
    __module__ __non_callable_proto_members__ __orig_bases__ __parameters__ __protocol_attrs__
    __qualname__ __signature__ __static_attributes__ __weakref__ _abc_impl model_computed_fields
    model_config model_fields
    """
)
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
        self._known: dict[tuple[int, bool], tuple[bytes, Any]] = {}
        self._open: list[int] = []
        self._reads_on_its_own = may_read
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
        elif (place := (id(value), self._reads_on_its_own)) in self._known:
            self._write(self._known[place][0])
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
            self._open.pop()
            self._known[place] = digest, value  # held, so that no other gets its id
            self._write(digest)

    def _digest_of(self, value: Any) -> bytes:
        outer, self._hash = self._hash, hashlib.blake2b(digest_size=16)
        self.add(value)
        digest, self._hash = self._hash.digest(), outer
        return digest

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
            self._write(kind.__name__, *sorted(self._digest_of(inner) for inner in value))
        else:
            return False
        return True

    def _add_own(self, value: Any) -> bool:
        """Add what is told in a way of our own; False where it is told as other objects are."""
        if isinstance(value, type):
            self._add_class(value)
        elif isinstance(value, types.ModuleType):
            self._add_module(value)
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
            self._add_builtin(value)
        elif isinstance(value, (types.MethodDescriptorType, types.WrapperDescriptorType)):
            self._write("builtin", value.__name__)
            self.add(value.__objclass__)
        elif (
            callable(value)
            and callable(getattr(value, "__wrapped__", None))
            and is_installed(type(value).__module__)
        ):  # as of `functools.lru_cache`
            self._add_all((type(value), value.__wrapped__))
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
        module = function.__globals__.get("__name__") or function.__module__  # not that of what it wraps
        if is_installed(module):
            named = function.__module__ if is_installed(function.__module__) else module
            self._add_installed(named, function.__qualname__)
            return
        self._add_code(function.__code__)
        self._add_uses(function)
        if vars(function):
            self.add({name: held for name, held in vars(function).items() if name != "__signature__"})

    def _add_builtin(self, value: Any) -> None:
        """A function of an extension module, or a method of a value of such a one."""
        owner = value.__self__
        if owner is not None and not isinstance(owner, types.ModuleType):
            self._write("builtin", value.__name__)
            self._check_attribute(value.__name__, value.__qualname__)
            self.add(owner)
            return
        name = value.__module__ or getattr(owner, "__name__", None)
        if not is_installed(name):
            raise NoFingerprintError(f"uses {value!r}, whose module is not known")
        self._add_installed(str(name), value.__name__)

    def _add_code(self, code: types.CodeType) -> None:
        """What is executed, without where it was written."""
        self._write("code", code.co_code, getattr(code, "co_exceptiontable", b""))
        counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
        names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
        self._add_all((counts, names, code.co_consts))

    def _add_uses(self, function: types.FunctionType) -> None:
        """The values of the globals that a function and those within it name."""
        uses = Uses(function.__code__)
        self._check(function, uses)
        for name, path in uses.globals:
            if name in function.__globals__:
                self._write("global", name)
                self._add_used(function.__globals__[name], path)
            else:
                self._write("name", name)
        for imported in uses.imports:
            self._write("import", "." * imported.level + imported.module)
            module = _imported(imported, function.__globals__.get("__package__") or None)
            paths: list[Path] = [()] if imported.stored is None else uses.paths(imported.stored)
            taken = () if imported.taken is None else (imported.taken,)
            for path in paths:
                self._add_used(module, (*taken, *path))

    def _add_used(self, value: Any, path: Path) -> None:
        """A value, or of a module what is taken from it; all of it where it is used in another way."""
        while isinstance(value, types.ModuleType) and path and not path[0].startswith("__"):
            module, (name, *rest) = value, path
            path = tuple(rest)
            value = _attribute(module, name)
            self._write("attribute", name)
            if is_installed(module.__name__) and not isinstance(value, types.ModuleType):
                by_value = module.__name__.startswith("hyped_beam") and hasattr(value, "__qualname__")
                self._add_installed(value.__module__ if by_value else module.__name__, name)
                return
        self.add(value)

    def _check(self, function: types.FunctionType, uses: Uses) -> None:
        """Refuse code of which no fingerprint knows what it does, by the names that it uses."""
        name = function.__qualname__
        attributes = uses.attributes
        if _BY_NAME & uses.names():
            attributes = attributes | uses.strings
        if not self._reads_on_its_own:
            self._attributes |= attributes
            if pure_code.asks_for_time(attributes | uses.names(), uses.strings):
                raise NoFingerprintError(f"uses {name}(), which {pure_code.NOT_REPEATABLE}")
        for attribute in sorted(attributes):
            self._check_attribute(attribute, f"{name}()")
        for used in sorted(uses.names()):
            if used in ("__builtins__", "__loader__", "__spec__"):
                raise NoFingerprintError(f"uses {name}(), which {pure_code.FINDS_CODE}")
            hashes = used == "hash" and function.__name__ == "__hash__"
            if used not in function.__globals__ and hasattr(builtins, used) and not hashes:
                self._check_pure("builtins", used, f"{name}(), which uses {used}, which")

    def _check_attribute(self, attribute: str, user: str) -> None:
        reason = pure_code.why_not_attribute(attribute)
        if reason is not None and (reason == pure_code.FINDS_CODE or not self._reads_on_its_own):
            raise NoFingerprintError(f"uses {user}, which {reason}")

    def _check_pure(self, module: str, name: str | None, told: str) -> None:
        """Refuse what is installed and not known to give the same for the same, unless the node tells it."""
        if self._reads_on_its_own and not pure_code.finds_code(module, name):
            return
        reason = pure_code.why_not(module, name)
        if reason is not None:
            raise NoFingerprintError(f"uses {told} {reason}")

    def _add_installed(self, module: str, name: str | None) -> None:
        """Something of an installed module: by its name and version, where that says what it does."""
        of_module = module if name is None else f"{module}.{name}"
        self._check_pure(module, name, f"{of_module}, which")
        self._write("installed", module, name or "", version_of(module))

    def _add_module(self, module: types.ModuleType) -> None:
        """A module that is handed on: by its version, or by all that is in it."""
        if is_installed(module.__name__):
            self._add_installed(module.__name__, None)
            self._handed_on.add(module.__name__)
            return
        self._write("module", module.__name__)
        for name, held in sorted(vars(module).items(), key=lambda item: item[0]):
            if name.startswith("__") and name != "__getattr__":
                continue
            self._write("attribute", name)
            if isinstance(held, types.ModuleType) and is_installed(held.__name__):
                self._write(held.__name__, version_of(held.__name__))
                self._handed_on.add(held.__name__)
            else:
                self.add(held)

    def _add_class(self, cls: type) -> None:
        if is_installed(cls.__module__):
            self._add_installed(cls.__module__, cls.__qualname__)
            return
        self._write("class", cls.__module__, cls.__qualname__)
        self._add_all(cls.__bases__)
        if type(cls) is not type:
            self.add(type(cls))
        for name, value in cls.__dict__.items():
            if name in _OF_CLASSES or name.startswith("__pydantic"):
                continue
            if name == "__doc__" and "__dataclass_fields__" in cls.__dict__:  # it is made of the fields
                continue
            self._write("attribute", name)
            if name in ("__dataclass_fields__", "__private_attributes__"):
                self._add_defaults(value)
            else:
                self.add(value)
        if issubclass(cls, BaseModel):
            self._add_defaults(cls.model_fields)
            self._write(*(str(field.annotation) for field in cls.model_fields.values()))

    def _add_defaults(self, fields: Any) -> None:
        """What the fields of a class hold unless they are given, and what is said of them."""
        for name, field in fields.items():
            self._write(name)
            self._add_all(getattr(field, part, None) for part in ("default", "default_factory", "metadata"))

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
            module = getattr(value, "__module__", None) or kind.__module__
            if not is_installed(module):
                raise NoFingerprintError(f"uses {told}, a {_name_of(kind)}, of which only the name is known")
            self._add_installed(module, told)
            return
        self.add(kind)
        function, arguments, *rest = told
        if is_installed(getattr(function, "__module__", None)):  # it makes the object, which is told
            self._write(_name_of(function), version_of(function.__module__))
        else:
            self.add(function)
        self.add(arguments)
        state, items, pairs = (*rest[:3], None, None, None)[:3]
        self.add(state)
        self.add(None if items is None else list(items))
        self.add(None if pairs is None else list(pairs))


def _name_of(kind: Any) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _attribute(module: types.ModuleType, name: str) -> Any:
    """What a module holds under a name; what is not there yet may be when the code runs."""
    try:
        return getattr(module, name)
    except Exception as error:  # noqa: BLE001 - whatever a module raises
        raise NoFingerprintError(f"uses {module.__name__}.{name}, which fails: {error}") from None


def _imported(imported: Import, package: str | None) -> types.ModuleType:
    """The module that a function imports when it runs, or takes something from."""
    name = imported.module
    try:
        found = importlib.import_module("." * imported.level + name, package)
        if imported.taken is not None and not hasattr(found, imported.taken):
            importlib.import_module(f"{found.__name__}.{imported.taken}")
    except Exception as error:  # noqa: BLE001 - whatever a module raises
        raise NoFingerprintError(f"imports {name!r}, which fails: {error}") from None
    return found if imported.leaf else sys.modules[name.partition(".")[0]]
