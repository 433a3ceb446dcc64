"""What a picture of a flow shows: boxes and arrows, with the words that stand on them.

A graph holds more than one wants to see. Constants become lines in the box that uses them, implicit casts
words on an arrow, and a struct that is collected for one node or output becomes what that node takes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from hyped_beam.errors import escaped_name
from hyped_beam.ir.graph import Edge, Graph, Kind, Node
from hyped_beam.ir.scope import BASE_SCOPES, DATASET, ScopeKind
from hyped_beam.nodes.configuration import Operator
from hyped_beam.nodes.promote import Promote
from hyped_beam.plan.joins import Choice
from hyped_beam.types import features
from hyped_beam.types.features import Family, Feature

LINE_WIDTH = 38
"""The most characters of a line; what is longer is cut."""

MOST_LINES = 6
"""The most lines in a box or on an arrow; of further ones the number is said."""

TOOLTIP_WIDTH = 600


@dataclass(frozen=True)
class Box:
    """A node as it is drawn.

    Attributes:
        node: Its number in the graph.
        kind: What kind of node it is.
        title: Its name.
        lines: Its configuration and its constants, in short.
        tooltip: The same at length, with its type and the line of code that made it.
    """

    node: int
    kind: Kind
    title: str
    lines: tuple[str, ...]
    tooltip: str


@dataclass(frozen=True)
class Arrow:
    """All edges from one node to another as they are drawn.

    Attributes:
        tail: The node that is used.
        head: The node that uses it.
        lines: What is used, one feature a line.
        whole_dataset: Whether it is one value for the whole dataset rather than one a row.
    """

    tail: int
    head: int
    lines: tuple[str, ...]
    whole_dataset: bool


@dataclass(frozen=True)
class Picture:
    """A flow as it is drawn."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


def picture_of(graph: Graph, joins: Mapping[int, Choice] | None = None) -> Picture:
    """What a picture of a graph shows.

    Args:
        graph: The graph.
        joins: Where groups are put together, by the number of their KEYS node; None where there is no plan.
    """
    hidden = _hidden(graph)
    shown = [node for node in graph.nodes.values() if node.id not in hidden]
    boxes: list[Box] = []
    arrows: list[Arrow] = []
    for node in shown:
        uses = list(_uses(graph, node, hidden))
        choice = (joins or {}).get(node.id)
        boxes.append(_box(graph, node, [use for use in uses if use.constant is not None], choice))
        arrows.extend(_arrows(graph, node, [use for use in uses if use.constant is None]))
        keys = graph.scopes[node.scope].node
        if node.kind is Kind.AGGREGATE and keys is not None and graph.nodes[keys].kind is Kind.KEYS:
            arrows.append(Arrow(keys, node.id, ("by",), whole_dataset=False))
    return Picture(tuple(boxes), tuple(arrows))


def cut(text: str, width: int = LINE_WIDTH) -> str:
    """A text on one line of a width."""
    line = " ".join(text.split()) if any(character in text for character in "\n\r\t") else text
    return line if len(line) <= width else line[: width - 1].rstrip() + "…"


@dataclass(frozen=True)
class _Use:
    """What a node uses as one of its inputs, with all that is not drawn looked through.

    Attributes:
        name: The name of the input, and in it of the field; empty for the one input of a node.
        edge: What is used.
        cast_to: The type it is implicitly cast to, or None.
        constant: The constant, in characters, where it is one.
    """

    name: str
    edge: Edge
    cast_to: str | None = None
    constant: str | None = None


def _hidden(graph: Graph) -> set[int]:
    """Constants, implicit casts, and structs that are there only for one node."""
    uses: dict[int, list[Edge]] = {}
    for node in graph.nodes.values():
        for edge in node.inputs.values():
            uses.setdefault(edge.node, []).append(edge)
    return {
        node.id
        for node in graph.nodes.values()
        if node.kind is Kind.CONST
        or isinstance(node.operation, Promote)
        or (_packs(node) and node.inputs and uses.get(node.id) == [Edge(node.id)])
    }


def _packs(node: Node) -> bool:
    return node.kind is Kind.MAP and bool(getattr(node.operation, "passes_inputs", False))


def _uses(graph: Graph, node: Node, hidden: set[int]) -> Iterator[_Use]:
    alone = len(node.inputs) == 1 and not _packs(node)
    for name, edge in node.inputs.items():
        yield from _look_through(graph, _Use("" if alone else name, edge), hidden)


def _look_through(graph: Graph, use: _Use, hidden: set[int]) -> Iterator[_Use]:
    used = graph.nodes[use.edge.node]
    if used.kind is Kind.CONST:
        shown = used.operation.describe() if not use.edge.path else str(use.edge)
        yield _Use(use.name, use.edge, constant=shown)
    elif used.id not in hidden:
        yield use
    elif isinstance(used.operation, Promote):
        (inner,) = used.inputs.values()
        cast_to = use.cast_to or _type_text(graph.feature(use.edge))
        through = Edge(inner.node, (*inner.path, *use.edge.path))
        yield from _look_through(graph, _Use(use.name, through, cast_to), hidden)
    else:
        for name, inner in used.inputs.items():
            column = f"{use.name}.{name}" if use.name else name
            yield from _look_through(graph, _Use(column, inner), hidden)


def _box(graph: Graph, node: Node, constants: list[_Use], choice: Choice | None) -> Box:
    lines = [*_configuration(graph, node), *(f"{use.name} = {use.constant}" for use in constants)]
    if choice is not None and node.kind is Kind.KEYS:
        lines = [choice.how]
    elif choice is not None:
        lines.append("the table by a shuffle" if choice.shuffled else "the table in every process")
    scope = graph.scopes[node.scope]
    kind = type(node.operation).__name__
    feature = f"{node.name}: {features.describe(node.feature)}"
    site = f"at {PurePath(node.site.file).name}:{node.site.line}" if node.site else ""
    whole = [kind if node.kind in (Kind.MAP, Kind.AGGREGATE) else "", *lines, feature, site]
    if scope not in BASE_SCOPES and node.kind is not Kind.AGGREGATE:
        lines.append(scope.name if node.kind is Kind.KEYS else f"rows of {scope.name}")
    return Box(
        node=node.id,
        kind=node.kind,
        title=cut(_title(node)),
        lines=_shortened(lines),
        tooltip="\n".join(cut(line, TOOLTIP_WIDTH) for line in whole if line),
    )


def _title(node: Node) -> str:
    if node.kind is Kind.KEYS:
        return "group by"
    if node.kind is Kind.SINK:
        return f"output {node.operation.name}"
    return "collect" if _packs(node) else node.name


def _configuration(graph: Graph, node: Node) -> list[str]:
    operation = node.operation
    if node.kind is Kind.SOURCE:
        return _columns(node)
    if node.kind is Kind.SINK:
        return []
    if node.kind is Kind.AGGREGATE:
        return [_over(graph, node), *_options(operation)]
    return list(_options(operation))


def _over(graph: Graph, node: Node) -> str:
    """What an aggregator gives one value of."""
    scope = graph.scopes[node.scope]
    if scope.id == DATASET:
        return "over the whole dataset"
    return f"for {scope.name}" if scope.kind is ScopeKind.GROUPS else f"for each of the {scope.name}"


def _columns(node: Node) -> list[str]:
    columns = list(features.fields(node.feature))
    unread = getattr(node.operation, "unread", 0)
    count = f"{len(columns)} columns" if len(columns) != 1 else "1 column"
    return [count + (f", {unread} more not read" if unread else "")]


def _options(operation: Any) -> Iterator[str]:
    if not isinstance(operation, Operator):
        described = operation.describe()
        yield from [described] if described else []
        return
    for name, value in operation.shown_options().items():
        if type(operation).model_fields[name].repr:
            yield f"{name} = {_from_here(value)!r}"


def _from_here(value: Any) -> Any:
    """A path in the working directory as seen from there, as in messages."""
    here = f"{Path.cwd()}{os.sep}"
    return value.removeprefix(here) if isinstance(value, str) else value


def _arrows(graph: Graph, node: Node, uses: list[_Use]) -> Iterator[Arrow]:
    by_tail: dict[int, list[_Use]] = {}
    for use in uses:
        by_tail.setdefault(use.edge.node, []).append(use)
    for tail, together in by_tail.items():
        lines = dict.fromkeys(_carried(graph, use) for use in together)
        yield Arrow(tail, node.id, _shortened(lines), graph.nodes[tail].scope == DATASET)


def _carried(graph: Graph, use: _Use) -> str:
    """What an arrow carries: the input that it is, where that says something, the field, and its type."""
    shown = path = ".".join(use.edge.path)
    if use.name not in ("", path, *use.edge.path[-1:]):
        shown = f"{use.name} = {path}" if path else use.name
    cast = f" as {use.cast_to}" if use.cast_to else ""
    return (f"{shown}: " if shown else "") + _type_text(graph.feature(use.edge)) + cast


def _type_text(feature: Feature) -> str:
    """A feature, shorter than `describe` makes it: of a struct only the names, of labels their number."""
    family = features.family(feature)
    if isinstance(feature, Mapping):
        return "{" + ", ".join(map(escaped_name, feature)) + "}"
    if features.is_class_label(feature):
        return f"ClassLabel({feature.num_classes})"
    if family is Family.LIST and isinstance(features.element(feature), Mapping):
        return f"list<{_type_text(features.element(feature))}>"
    return features.describe(feature)


def _shortened(lines: Iterable[str]) -> tuple[str, ...]:
    listed = [cut(line) for line in lines]
    if len(listed) > MOST_LINES:
        listed = [*listed[: MOST_LINES - 1], f"and {len(listed) - MOST_LINES + 1} more"]
    return tuple(listed)
