"""The stub of refs for type checkers and editors: `python -m hyped_beam.nodes.stub` writes it.

The registry supplies the methods of refs while a program runs, so nothing in `refs.py` says what they
are. The stub beside it does: what `refs.py` itself defines, and each method with the signature and the
documentation of the node behind it. Which methods a ref has depends on its type, which no type checker
knows; the stub therefore gives every ref all of them.
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hyped_beam.nodes import refs, registry
from hyped_beam.nodes.signatures import Parameter, parameters_of
from hyped_beam.types.features import Family

COMMAND = "python -m hyped_beam.nodes.stub"

PACKAGE = "hyped_beam."

HEADER = f'''# Written by `{COMMAND}`, never by hand.
# ruff: noqa: D301, E501, F401, I001, PYI021, PYI029, Q000
# fmt: off
"""Refs, with the methods that the registry supplies; a field of a method's name is `ref["name"]` here."""

import datetime
import decimal
from collections.abc import Mapping, Sequence
from typing import Literal, overload
'''


def stub_path() -> Path:
    """Where the stub is: beside `refs.py`."""
    return Path(refs.__file__).with_suffix(".pyi")


def stub_text() -> str:
    """The stub as it should be for the nodes of the library."""
    registry.load_library()
    tree = ast.parse(Path(refs.__file__).read_text(encoding="utf-8"))
    parts = [line for statement in tree.body for line in _statement(statement)]
    return "\n".join([HEADER, *parts]) + "\n"


def write_stub() -> Path:
    """Write the stub; returns its path."""
    path = stub_path()
    path.write_text(stub_text(), encoding="utf-8")
    return path


def _statement(statement: ast.stmt) -> Iterator[str]:
    """What a statement of `refs.py` is in the stub."""
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        if not (isinstance(statement, ast.ImportFrom) and statement.module == "__future__"):
            yield ast.unparse(statement)
    elif isinstance(statement, ast.FunctionDef) and not statement.name.startswith("_"):
        yield _signature(statement)
    elif isinstance(statement, ast.ClassDef):
        yield f"\nclass {statement.name}:"
        yield _documentation(ast.get_docstring(statement), "    ")
        is_ref = statement.name == refs.Ref.__name__
        for member in statement.body:
            if isinstance(member, ast.FunctionDef) and not member.decorator_list:
                yield textwrap.indent(_signature(member, of_ref=is_ref), "    ")
        if is_ref:
            for name, families in _methods().items():
                yield textwrap.indent(_method(name, families), "    ")


def _signature(function: ast.FunctionDef, *, of_ref: bool = False) -> str:
    returns = ast.unparse(function.returns) if function.returns else "Any"
    if of_ref and returns == "Any":
        returns = "Ref"
    ignored = "  # type: ignore[override]" if function.name in ("__eq__", "__ne__") and of_ref else ""
    head = f"def {function.name}({ast.unparse(function.args)}) -> {returns}:"
    documentation = ast.get_docstring(function)
    return f"{head}\n{_documentation(documentation, '    ')}" if documentation else f"{head} ...{ignored}"


def _methods() -> dict[str, dict[type[Any], list[Family]]]:
    """The methods of the library by name: the nodes behind each, with the families they are for."""
    found: dict[str, dict[type[Any], list[Family]]] = {}
    for family in Family:
        for name, node in registry.methods_of(family).items():
            if node.__module__.startswith(PACKAGE) and family is not Family.STRUCT:
                found.setdefault(name, {}).setdefault(node, []).append(family)
    return dict(sorted(found.items()))


def _method(name: str, families: Mapping[type[Any], list[Family]]) -> str:
    signatures = _merged([parameters_of(node) for node in families])
    heads = [f"def {name}({', '.join(['self', *map(str, listed)])}) -> Ref:" for listed in signatures]
    documentation = _described(families)
    body = f"\n{_documentation(documentation, '    ')}" if documentation else " ..."
    if len(heads) == 1:
        return heads[0] + body
    return "\n".join(["@overload\n" + heads[0] + body, *(f"@overload\n{head} ..." for head in heads[1:])])


def _described(families: Mapping[type[Any], list[Family]]) -> str:
    """The documentation of the nodes behind a method; of several, each with the refs that it is for."""
    shown = {
        node: inspect.cleandoc(node.__doc__ or "").replace("Attributes:\n", "Args:\n") for node in families
    }
    if len(shown) == 1:
        return next(iter(shown.values()))
    return "\n\n".join(
        f"On {' and '.join(family.value for family in families[node])} refs: {text}"
        for node, text in shown.items()
    )


def _merged(signatures: list[list[Parameter]]) -> list[list[Parameter]]:
    """One signature for all of the same names in the same order; those that take anything come last."""
    by_names: dict[tuple[str, ...], list[list[Parameter]]] = {}
    for signature in signatures:
        by_names.setdefault(tuple(parameter.name for parameter in signature), []).append(signature)
    merged = [_together(same) for same in by_names.values()]
    return sorted(merged, key=lambda signature: sum("Any" in parameter.types for parameter in signature))


def _together(signatures: list[list[Parameter]]) -> list[Parameter]:
    together = []
    for same in zip(*signatures, strict=True):
        listed = tuple(dict.fromkeys(kind for parameter in same for kind in parameter.types))
        defaults = {parameter.default for parameter in same}
        default = defaults.pop() if len(defaults) == 1 else "..."
        together.append(replace(same[0], types=listed, default=default))
    return together


def _documentation(text: str | None, indent: str) -> str:
    if not text:
        return ""
    escaped = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    ending = "\n" if "\n" in escaped else ""
    return textwrap.indent(f'"""{escaped}{ending}"""', indent)


def main() -> None:
    """Write the stub, and say where."""
    sys.stdout.write(f"{write_stub()}\n")


if __name__ == "__main__":
    main()
