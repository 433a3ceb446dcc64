"""The digest of code: of functions, classes, modules and nodes, by what they do and what they use.

Code of installed packages is told by name and version; any other by what it is: the byte code of a
function, its defaults, what it closes over, the globals and the attributes of modules that it names, and so
on from there; a module that it hands on, by all that is in it.
"""

from __future__ import annotations

import functools
import importlib
import sys
import types
from abc import abstractmethod
from typing import Any

from pydantic import BaseModel

from hyped_beam.nodes.code_uses import Import, Path, Uses
from hyped_beam.nodes.configuration import Operator
from hyped_beam.nodes.installed import is_installed
from hyped_beam.nodes.interface import Interface
from hyped_beam.nodes.processor import FunctionProcessor
from hyped_beam.nodes.pure_code import words
from hyped_beam.nodes.value_digest import ValueDigest
from hyped_beam.types.environment import EnvironmentValue

# What Python and pydantic keep in a class of what is told otherwise, or of no consequence.
_OF_CLASSES = words(
    """
    __abstractmethods__ __annotate__ __annotate_func__ __annotations__ __annotations_cache__
    __class_vars__ __conditional_annotations__ __dataclass_params__ __dict__ __firstlineno__
    __module__ __non_callable_proto_members__ __orig_bases__ __parameters__ __protocol_attrs__
    __qualname__ __signature__ __static_attributes__ __weakref__ _abc_impl model_computed_fields
    model_config model_fields
    """
)


class CodeDigest(ValueDigest):
    """A hash of values, and of the code that they are and use."""

    # ---------------------------------------------------------------------------------------------- extended

    @abstractmethod
    def _add_environment(self, value: EnvironmentValue) -> None:
        """Add a variable of the environment."""

    def _meet_function(self, function: types.FunctionType, uses: Uses) -> None:
        """Look at a function and at what it names, before all that is added."""

    def _meet_attribute(self, attribute: str, user: str) -> None:
        """Look at an attribute that is called."""

    def _meet_installed(self, module: str, name: str | None) -> None:
        """Look at something of an installed module that is used, or at all of it."""

    def _meet_handed_on(self, module: str) -> None:
        """Look at an installed module that is handed on as a value."""

    # ------------------------------------------------------------------------------------------------ values

    def _add_code_value(self, value: Any) -> bool:
        """Add what is code, or a node; False where it is neither."""
        if isinstance(value, type):
            self._add_class(value)
        elif isinstance(value, types.ModuleType):
            self._add_module(value)
        elif isinstance(value, types.CodeType):
            self._add_code(value)
        elif isinstance(value, EnvironmentValue):
            self._add_environment(value)
        elif isinstance(value, BaseModel):
            self._add_model(value)
        else:
            return self._add_callable(value)
        return True

    # ----------------------------------------------------------------------------------------------- nodes

    def _add_model(self, value: Any) -> None:
        """A node, a reader or another model: its class and its fields."""
        told = getattr(value, "fingerprint", None) if isinstance(value, Operator) else None
        outer = self._trusts
        self._trusts = outer or told is not None
        if isinstance(value, Operator):
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
        self._trusts = outer
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
            self._meet_attribute(value.__name__, value.__qualname__)
            self.add(owner)
            return
        name = value.__module__ or getattr(owner, "__name__", None)
        if not is_installed(name):
            self._untold(value, f"uses {value!r}, whose module is not known")
        else:
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
        self._meet_function(function, uses)
        for name, path in uses.globals:
            if name in function.__globals__:
                self._write("global", name)
                self._add_used(function.__globals__[name], path)
            else:
                self._write("name", name)
        for imported in uses.imports:
            self._write("import", "." * imported.level + imported.module)
            module = self._module_of(imported, function.__globals__.get("__package__") or None)
            if module is None:
                continue
            paths: list[Path] = [()] if imported.stored is None else uses.paths(imported.stored)
            taken = () if imported.taken is None else (imported.taken,)
            for path in paths:
                self._add_used(module, (*taken, *path))

    def _module_of(self, imported: Import, package: str | None) -> types.ModuleType | None:
        """The module that a function imports when it runs; None where only its name can be told."""
        try:
            return _imported(imported, package)
        except Exception as error:  # noqa: BLE001 - whatever a module raises
            self._untold(imported, f"imports {imported.module!r}, which fails: {error}")
            return None

    def _add_used(self, value: Any, path: Path) -> None:
        """A value, or of a module what is taken from it; all of it where it is used in another way."""
        while isinstance(value, types.ModuleType) and path and not path[0].startswith("__"):
            module, (name, *rest) = value, path
            path = tuple(rest)
            self._write("attribute", name)
            try:  # what is not there yet may be when the code runs
                value = getattr(module, name)
            except Exception as error:  # noqa: BLE001 - whatever a module raises
                self._untold(module, f"uses {module.__name__}.{name}, which fails: {error}")
                return
            if is_installed(module.__name__) and not isinstance(value, types.ModuleType):
                by_value = module.__name__.startswith("hyped_beam") and hasattr(value, "__qualname__")
                self._add_installed(value.__module__ if by_value else module.__name__, name)
                return
        self.add(value)

    def _add_installed(self, module: str, name: str | None) -> None:
        """Add something of an installed module, or all of it: by name and version."""
        self._meet_installed(module, name)
        self._write("installed", module, name or "", self._version_of(module))

    def _add_module(self, module: types.ModuleType) -> None:
        """A module that is handed on: by its version, or by all that is in it."""
        if is_installed(module.__name__):
            self._add_installed(module.__name__, None)
            self._meet_handed_on(module.__name__)
            return
        self._write("module", module.__name__)
        for name, held in sorted(vars(module).items(), key=lambda item: item[0]):
            if name.startswith("__") and name != "__getattr__":
                continue
            self._write("attribute", name)
            if isinstance(held, types.ModuleType) and is_installed(held.__name__):
                self._write(held.__name__, self._version_of(held.__name__))
                self._meet_handed_on(held.__name__)
            else:
                self.add(held)

    def _add_class(self, cls: type) -> None:
        if is_installed(cls.__module__):
            self._add_installed(cls.__module__, cls.__qualname__)
            return
        self._write("class", cls.__qualname__)  # a script is a module of another name where it is imported
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


def _imported(imported: Import, package: str | None) -> types.ModuleType:
    """The module that code imports, or takes something from."""
    name = imported.module
    found = importlib.import_module("." * imported.level + name, package)
    if imported.taken is not None and not hasattr(found, imported.taken):
        importlib.import_module(f"{found.__name__}.{imported.taken}")
    return found if imported.leaf else sys.modules[name.partition(".")[0]]
