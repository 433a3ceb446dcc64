"""What byte code names: globals, attributes and imports."""

from __future__ import annotations

import dis
import types
from collections.abc import Iterator
from typing import Any, NamedTuple

_GLOBALS = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS", "STORE_GLOBAL", "DELETE_GLOBAL")
_LOCALS = (
    "LOAD_FAST",
    "LOAD_DEREF",
    "LOAD_CLASSDEREF",
    "LOAD_CLOSURE",
    "LOAD_FROM_DICT_OR_DEREF",
    "STORE_FAST_LOAD",
)
_ATTRIBUTES = ("LOAD_ATTR", "LOAD_METHOD")
_BETWEEN = ("EXTENDED_ARG", "CACHE", "NOP")

Path = tuple[str, ...]


class Import(NamedTuple):
    """A module that code imports.

    Attributes:
        module: Its name.
        level: How many levels up it is looked for.
        taken: What is taken from it; None for the module itself.
        stored: The name under which the code knows it; None where that is not known.
        leaf: Whether `import a.b` gives `a.b`, as with `as`, and not `a`.
    """

    module: str
    level: int
    taken: str | None
    stored: str | None
    leaf: bool


class Uses:
    """What a function and those within it name.

    Args:
        code: The code of the function.

    Attributes:
        globals: Names of globals, each with the attributes that are followed from there on, in order.
        locals: The same of local variables.
        attributes: All attributes.
        strings: The texts, which may be names of attributes.
        imports: The imports, in order.
    """

    def __init__(self, code: types.CodeType) -> None:
        self.globals: dict[tuple[str, Path], None] = {}
        self.locals: dict[tuple[str, Path], None] = {}
        self.attributes: set[str] = set()
        self.strings: set[str] = set()
        self.imports: list[Import] = []
        for part in _with_inner(code):
            self._add([one for one in dis.get_instructions(part) if one.opname not in _BETWEEN])
            self.strings.update(held for held in part.co_consts if isinstance(held, str))

    def names(self) -> set[str]:
        """The names of the globals."""
        return {name for name, _ in self.globals}

    def paths(self, name: str) -> list[Path]:
        """The attributes that are followed from a variable of this name."""
        return [path for known, path in (*self.locals, *self.globals) if known == name]

    def _add(self, code: list[dis.Instruction]) -> None:
        constants: list[Any] = [0, None]
        for place, instruction in enumerate(code):
            name, value = instruction.opname, instruction.argval
            if name in _GLOBALS or name.startswith(_LOCALS):
                found = self.globals if name in _GLOBALS else self.locals
                *others, last = value if isinstance(value, tuple) else (value,)
                found.update(dict.fromkeys((str(other), ()) for other in others))
                found[str(last), tuple(_followed(code, place + 1))] = None
            elif name == "IMPORT_NAME":
                level, taken = constants[-2:]
                self.imports += _imports(code, place, str(value), int(level or 0), tuple(taken or ()))
            elif name in ("LOAD_CONST", "LOAD_SMALL_INT"):
                constants.append(value)
            elif isinstance(value, str):
                self.attributes.add(value)


def _followed(code: list[dis.Instruction], place: int) -> Iterator[str]:
    """The attributes that are loaded one of the other from a place on."""
    while place < len(code) and code[place].opname in _ATTRIBUTES:
        yield str(code[place].argval)
        place += 1


def _imports(
    code: list[dis.Instruction], place: int, module: str, level: int, names: Path
) -> Iterator[Import]:
    """What one statement imports, and where it is kept."""
    taken: list[str] = []
    left = max(1, len(names))
    for instruction in code[place + 1 :]:
        if instruction.opname == "IMPORT_FROM":
            taken.append(str(instruction.argval))
        elif instruction.opname.startswith("STORE_"):
            held = instruction.argval
            stored = [str(one) for one in held] if isinstance(held, tuple) else [str(held)]
            if instruction.opname.startswith("STORE_FAST_LOAD"):
                stored = stored[:1]
            name = taken[-1] if names and taken else None
            yield Import(module, level, name, stored[0], leaf=bool(taken) or "." not in module)
            left -= 1
            if left == 0:
                return
        elif instruction.opname == "IMPORT_NAME":
            break
    yield Import(module, level, None, None, leaf=True)


def _with_inner(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _with_inner(constant)
