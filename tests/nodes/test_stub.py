"""The stub of refs: it says what there is, in a form that type checkers read."""

from __future__ import annotations

import ast
import inspect

import pytest

from hyped_beam.nodes import refs, registry, stub
from hyped_beam.types.features import Family


@pytest.fixture(scope="module")
def tree() -> ast.Module:
    return ast.parse(stub.stub_text())


@pytest.fixture(scope="module")
def ref(tree) -> dict[str, ast.FunctionDef]:
    (found,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Ref"]
    members = [member for member in found.body if isinstance(member, ast.FunctionDef)]
    return {member.name: member for member in reversed(members)}  # the first of several


def signature(method: ast.FunctionDef) -> str:
    return f"({ast.unparse(method.args)}) -> {ast.unparse(method.returns)}"


def test_it_is_not_stale():
    written = stub.stub_path().read_text(encoding="utf-8")
    assert written == stub.stub_text(), f"run: {stub.COMMAND}"


def test_refs_have_every_method_of_the_library(ref):
    registry.load_library()
    methods = {
        name
        for family in set(Family) - {Family.STRUCT}
        for name, node in registry.methods_of(family).items()
        if node.__module__.startswith("hyped_beam.")
    }
    assert len(methods) > 20
    assert methods <= set(ref)


def test_refs_have_every_operator_of_the_class(ref):
    defined = {name for name, member in vars(refs.Ref).items() if inspect.isfunction(member)}
    assert defined <= set(ref)


def test_what_the_module_offers_is_there(tree):
    defined = {node.name for node in tree.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
    offered = {
        name
        for name, value in vars(refs).items()
        if getattr(value, "__module__", None) == refs.__name__ and not name.startswith("_")
    }
    assert offered == defined


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lower", "(self) -> Ref"),
        ("matches", "(self, pattern: str) -> Ref"),
        ("contains", "(self, pattern: str | bytes) -> Ref"),
        ("repeat", "(self, count: Ref | int) -> Ref"),
        ("round", "(self, digits: int=0) -> Ref"),
        ("strip", "(self, characters: str | None=None) -> Ref"),
        ("__add__", "(self, other: Any) -> Ref"),
        ("__getattr__", "(self, name: str) -> Ref"),
        ("__len__", "(self) -> NoReturn"),
    ],
)
def test_signatures_are_those_of_the_nodes(ref, name, expected):
    assert signature(ref[name]).startswith(expected)


def test_methods_are_documented_as_their_nodes_are(ref):
    documentation = ast.get_docstring(ref["matches"])
    assert documentation.startswith("Whether a regular expression matches")
    assert r'matches(r"\d+")' in documentation
    assert "Args:" in documentation


def test_a_method_of_two_nodes_is_documented_for_both(ref):
    documentation = ast.get_docstring(ref["starts_with"])
    assert "On string refs: " in documentation
    assert "On binary refs: " in documentation


def test_nodes_whose_arguments_have_other_names_are_overloads(tree):
    (found,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Ref"]
    methods = [node for node in found.body if isinstance(node, ast.FunctionDef) and node.name == "contains"]
    assert [signature(method) for method in methods] == [
        "(self, pattern: str | bytes) -> Ref",
        "(self, value: Any) -> Ref",
    ]
    assert all(ast.unparse(method.decorator_list[0]) == "overload" for method in methods)


def test_nodes_of_other_packages_stay_out(ref):
    assert all(
        node.__module__.startswith("hyped_beam.")
        for families in stub._methods().values()
        for node in families
    )
