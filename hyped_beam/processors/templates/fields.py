"""What a template says of the row: which fields it uses, and which it guards against being absent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hyped_beam.errors import UnknownNameError, nearest_name, unknown_name
from hyped_beam.processors.templates.environment import LEFT_OUT, ROW, environment
from hyped_beam.types import features
from hyped_beam.types.features import Feature

if TYPE_CHECKING:
    from jinja2 import nodes

Path = tuple[str, ...]

_DUNDERS = frozenset(
    name
    for kind in (object, type, type(lambda: None), type(iter([])), type(environment), Exception)
    for name in dir(kind)
    if name.startswith("__")
) | {"__globals__", "__subclasses__", "__mro__", "__bases__", "__builtins__", "__code__", "__closure__"}


_GUARDS = ("defined", "undefined", "default", "d")


@dataclass
class Uses:
    """How a template uses the row.

    Attributes:
        paths: The fields it reads, with the line of each.
        guarded: Fields that may be absent: asked for with `is defined`, `default` or `in`.
        whole: Whether it uses the row in another way than by fields.
        rebound: Whether it gives the name of the row to something else.
        names: All other names that it reads, with the line of each.
        guarded_names: Names that may be absent.
    """

    paths: list[tuple[Path, int]] = field(default_factory=list)
    guarded: set[Path] = field(default_factory=set)
    whole: bool = False
    rebound: bool = False
    names: list[tuple[str, int]] = field(default_factory=list)
    guarded_names: set[str] = field(default_factory=set)

    @property
    def columns(self) -> set[str] | None:
        """The fields of the row that are needed; None where all may be."""
        return None if self.whole or self.rebound else {path[0] for path, _ in self.paths}


def parse(template: str) -> nodes.Template:
    """The syntax tree of a template.

    Raises:
        ValueError: It does not parse, or does what templates may not.
    """
    from jinja2 import TemplateError, TemplateSyntaxError, meta

    try:
        tree = environment().parse(template)
        _refuse(tree)
        environment().compile(template)
    except TemplateSyntaxError as error:
        raise ValueError(f"line {error.lineno}: {error.message}{_near(str(error.message))}") from error
    except TemplateError as error:
        raise ValueError(str(error)) from error
    except (
        MemoryError,
        RecursionError,
        SyntaxError,
    ) as error:  # of Python, which the template is compiled to
        msg = "the template is nested too deep"
        raise ValueError(msg) from error
    uses = uses_of(tree)
    known = {ROW, *environment().globals, *uses.guarded_names, *_set_on_conditions(tree)}
    unknown = meta.find_undeclared_variables(tree) - known
    for name, line in uses.names:
        if name in unknown:
            raise ValueError(f"line {line}: there is no {name!r}; a field of the row is {ROW}.{name}")
    return tree


def _set_on_conditions(tree: nodes.Template) -> Iterator[str]:
    """Names that an `if` gives a value: whether they have one is known when the template runs."""
    from jinja2 import nodes

    for branch in tree.find_all(nodes.If):
        for name in branch.find_all(nodes.Name):
            if name.ctx == "store":
                yield name.name


def _near(message: str) -> str:
    """A hint for a filter or a test that does not exist."""
    quoted = message.partition("'")[2].partition("'")[0]
    if message.startswith("No filter named"):
        if quoted in LEFT_OUT:
            return f" {LEFT_OUT[quoted]}"
        close = nearest_name(quoted, environment().filters)
    elif message.startswith("No test named"):
        close = nearest_name(quoted, environment().tests)
    else:
        return ""
    return f" Did you mean {close!r}?" if close else ""


def _refuse(tree: nodes.Template) -> None:
    """Refuse other templates, and what leads out of the values of a row."""
    from jinja2 import nodes

    for node in tree.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)):
        raise ValueError(f"line {node.lineno}: a template cannot load another one")
    for attribute in tree.find_all(nodes.Getattr):
        if attribute.attr in _DUNDERS:
            raise ValueError(f"line {attribute.lineno}: {attribute.attr!r} is out of bounds in a template")
    for item in tree.find_all(nodes.Getitem):
        if isinstance(item.arg, nodes.Const) and item.arg.value in _DUNDERS:
            raise ValueError(f"line {item.lineno}: {item.arg.value!r} is out of bounds in a template")
    for used in tree.find_all(nodes.Filter):
        constants = [arg.value for arg in used.args if isinstance(arg, nodes.Const)]
        if used.name in ("attr", "map") and any(value in _DUNDERS for value in constants):
            raise ValueError(f"line {used.lineno}: {constants[0]!r} is out of bounds in a template")


def path_of(node: nodes.Node) -> Path | None:
    """The path from the row that an expression is, as `inputs.a["b"]` is ("a", "b"); else None."""
    from jinja2 import nodes

    steps: list[str] = []
    while isinstance(node, (nodes.Getattr, nodes.Getitem)):
        if isinstance(node, nodes.Getattr):
            steps.append(node.attr)
        elif isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
            steps.append(node.arg.value)
        else:
            return None
        node = node.node
    return tuple(reversed(steps)) if isinstance(node, nodes.Name) and node.name == ROW else None


def uses_of(tree: nodes.Node) -> Uses:
    """How a template uses the row."""
    uses = Uses()
    _collect(tree, uses)
    return uses


def _collect(node: nodes.Node, uses: Uses) -> None:
    from jinja2 import nodes

    path = path_of(node)
    if path:
        uses.paths.append((path, node.lineno))
        return
    if isinstance(node, nodes.Name):
        if node.name != ROW:
            uses.names.append((node.name, node.lineno))
        elif node.ctx == "load":
            uses.whole = True
        else:
            uses.rebound = True
    if isinstance(node, (nodes.Test, nodes.Filter)) and node.name in _GUARDS and node.node is not None:
        _guard(node.node, uses)
    if isinstance(node, nodes.Compare):
        uses.guarded |= set(_looked_up(node))
    for child in node.iter_child_nodes():
        _collect(child, uses)


def _guard(node: nodes.Node, uses: Uses) -> None:
    from jinja2 import nodes

    path = path_of(node)
    if path:
        uses.guarded.add(path)
    elif isinstance(node, nodes.Name):
        uses.guarded_names.add(node.name)
    elif isinstance(node, nodes.Filter) and node.node is not None:
        _guard(node.node, uses)


def _looked_up(node: nodes.Compare) -> Iterator[Path]:
    """The fields that `"x" in inputs` asks for."""
    from jinja2 import nodes

    for operand in node.ops:
        path = path_of(operand.expr)
        if path is not None and isinstance(node.expr, nodes.Const) and operand.op in ("in", "notin"):
            yield (*path, str(node.expr.value))


def check(uses: Uses, row: Feature) -> None:
    """Refuse fields that the row does not have, where it is certain that they are asked for.

    Raises:
        UnknownNameError: There is one.
    """
    if uses.rebound:
        return
    for path, line in uses.paths:
        missing = _missing(path, row, uses.guarded)
        if missing is not None:
            raise missing_field(missing, line, row)


def _missing(path: Path, row: Feature, guarded: set[Path]) -> Path | None:
    inner = row
    for depth, name in enumerate(path):
        known = features.fields(inner) if features.family(inner) is features.Family.STRUCT else None
        if known is None:
            return None
        if name not in known:
            is_method = hasattr(dict, name)
            return None if is_method or path[: depth + 1] in guarded else path[: depth + 1]
        inner = known[name]
    return None


def missing_field(path: Path, line: int, row: Feature) -> UnknownNameError:
    """The error for a field that the row does not have."""
    inner: Any = row
    for name in path[:-1]:
        inner = features.fields(inner)[name]
    known: Mapping[str, Feature] = features.fields(inner)
    owner = ".".join((ROW, *path[:-1]))
    return unknown_name("field", path[-1], known, of=f"line {line} of the template: {owner}")
