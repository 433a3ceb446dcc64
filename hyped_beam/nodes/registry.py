"""The registry: finds nodes by name, and the methods and operators of a feature's family."""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
import re
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from hyped_beam.types.features import Family

NodeClass = TypeVar("NodeClass", bound=type[Any])

ENTRY_POINTS = "hyped_beam.nodes"
"""The entry points group under which other packages offer their nodes."""

LIBRARY = ("hyped_beam.processors", "hyped_beam.aggregators", "hyped_beam.augmentors")
"""The packages in which our own nodes live, one family of nodes a file."""

IMPLICIT = ("hyped_beam.nodes.pack", "hyped_beam.nodes.promote")
"""The modules with the nodes that calls add by themselves."""

_methods: dict[Family, dict[str, type[Any]]] = {family: {} for family in Family}
_operators: dict[tuple[str, Family], type[Any]] = {}
_nodes: dict[str, type[Any]] = {}


@lru_cache(maxsize=1024)
def snake_case(name: str) -> str:
    """A class name as the name of a function: `StartsWith` as `starts_with`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def register(node: NodeClass) -> NodeClass:
    """Make a node class known by its qualified name, so that a saved flow can name it."""
    _nodes[f"{node.__module__}:{node.__qualname__}"] = node
    return node


def registered() -> Mapping[str, type[Any]]:
    """All node classes known so far, by qualified name."""
    return dict(_nodes)


@lru_cache(maxsize=1)
def load_library() -> None:
    """Import every module of the library of nodes, so that refs have their methods.

    The modules import what is heavy (tokenizers, template engines) where they use it.
    """
    for package in LIBRARY:
        try:
            found = importlib.import_module(package)
        except ModuleNotFoundError as error:
            if error.name != package:
                raise
            continue
        for module in pkgutil.walk_packages(found.__path__, package + "."):
            importlib.import_module(module.name)
    for name in IMPLICIT:
        importlib.import_module(name)


def load_entry_points() -> None:
    """Import the nodes that installed packages offer."""
    _load_entry_points(tuple(sys.path))


@lru_cache(maxsize=4)
def _load_entry_points(path: tuple[str, ...]) -> None:  # noqa: ARG001 - where packages are looked for, which takes long
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        entry.load()


def offered_modules() -> frozenset[str]:
    """The modules in which installed packages offer nodes."""
    return frozenset(entry.module for entry in importlib.metadata.entry_points(group=ENTRY_POINTS))


def method(name: str) -> Callable[[NodeClass], NodeClass]:
    """Make a node a method of the refs that its first input takes.

    The method's arguments are the node's further inputs, in order, then its options, in order.

    Args:
        name: The method's name.
    """

    def decorate(node: NodeClass) -> NodeClass:
        for family in _first_input_families(node):
            known = _methods[family].setdefault(name, node)
            if known is not node:
                msg = f"{family.value} refs have two methods {name!r}: {known.__name__} and {node.__name__}"
                raise TypeError(msg)
        return register(node)

    return decorate


def operator(symbol: str) -> Callable[[NodeClass], NodeClass]:
    """Make a node of two inputs (or one) what an operator means for the refs that its first input takes.

    Args:
        symbol: The operator as Python writes it: "+", "//", "[]", "abs".
    """

    def decorate(node: NodeClass) -> NodeClass:
        for family in _first_input_families(node):
            known = _operators.setdefault((symbol, family), node)
            if known is not node:
                msg = f"{symbol} on {family.value} refs is two nodes: {known.__name__} and {node.__name__}"
                raise TypeError(msg)
        return register(node)

    return decorate


def _first_input_families(node: Any) -> frozenset[Family]:
    return frozenset(next(iter(node.interface().inputs.values())).pattern.families)


def methods_of(family: Family) -> Mapping[str, type[Any]]:
    """The methods of refs of a family."""
    return _methods[family]


def find_operator(symbol: str, family: Family) -> type[Any] | None:
    """The node that an operator means for refs of a family, or None."""
    return _operators.get((symbol, family))


def operators_of(family: Family) -> Mapping[str, type[Any]]:
    """The operators of refs of a family."""
    return {symbol: node for (symbol, owner), node in _operators.items() if owner is family}
