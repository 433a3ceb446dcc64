"""The JSON form of a graph: plain values, one node a line once they are written, and nothing to execute."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, StrictInt, StrictStr, TypeAdapter, ValidationError

from hyped_beam.errors import CallSite, FlowError, InputError, nearest_name
from hyped_beam.ir import own_operations
from hyped_beam.ir.graph import Edge, Graph, Kind, Node
from hyped_beam.ir.scope import BASE_SCOPES, Scope
from hyped_beam.ir.verify import BrokenGraphError, verify
from hyped_beam.types import features
from hyped_beam.types.features import Feature

_SAVE_AGAIN = "save the flow again, or undo what was changed in the file"
_RENUMBER = "give each node a number of its own"

_SCOPE = TypeAdapter(Scope)


class OperationForm(Protocol):
    """The JSON form of what nodes compute, of which the graph knows nothing."""

    def write(self, node: Node) -> tuple[Any, Any]:
        """The operation and the options of a node, as plain JSON values; None for no options.

        Raises:
            FlowError: They have no such form.
        """

    def read(self, operation: Any, options: Any, node: Node, given: Mapping[str, Feature]) -> Node:
        """The node with what `write` wrote down; its inputs have certain features.

        Raises:
            FlowError: It is nothing that `write` writes, or does not take or give those features.
        """


class _NodeForm(BaseModel):
    """A node as it is saved."""

    model_config = ConfigDict(extra="forbid")

    id: StrictInt
    kind: Kind
    name: StrictStr
    operation: Any
    inputs: dict[str, list[StrictInt | StrictStr]] = {}
    scope: StrictInt
    feature: Any
    options: Any = None
    site: tuple[StrictStr, StrictInt] | None = None
    input_scope: StrictInt | None = None


@dataclass(frozen=True)
class SavedGraph:
    """A graph as plain values.

    Attributes:
        content: `scopes` and `nodes`, as plain JSON values.
        constants: Large constants, arrays of one row, by the number of their node; kept beside the JSON.
    """

    content: Mapping[str, list[Any]]
    constants: Mapping[str, pa.Array]


def saved_graph(graph: Graph) -> Graph:
    """A graph as it is saved and comes back: numbered from 0, sinks last, without paths of this machine."""
    ordered = sorted(graph.nodes.values(), key=lambda node: node.kind is Kind.SINK)
    numbered = graph.with_nodes(ordered).renumbered()
    portable = numbered.with_nodes(
        replace(node, site=_portable(node.site)) for node in numbered.nodes.values()
    )
    scopes = tuple(replace(scope, site=_portable(scope.site)) for scope in portable.scopes)
    return replace(portable, scopes=scopes)


def _portable(site: CallSite | None) -> CallSite | None:
    """A line of a file below the working directory by its path from there, any other by the file's name."""
    if site is None or not Path(site.file).is_absolute():
        return site
    file, folder = Path(site.file), Path.cwd()
    inside = file.is_relative_to(folder)
    return CallSite(file.relative_to(folder).as_posix() if inside else file.name, site.line)


def to_json(graph: Graph, form: OperationForm) -> SavedGraph:
    """A graph as plain JSON values; equal graphs give equal ones.

    Args:
        graph: A graph that `saved_graph` made.
        form: How to write the operations of nodes.

    Raises:
        FlowError: A node has no such form.
    """
    constants: dict[str, pa.Array] = {}
    nodes = []
    for node in graph.nodes.values():
        own = node.kind in own_operations.OPERATIONS
        operation, options = (own_operations.to_json(node, constants), None) if own else form.write(node)
        saved: dict[str, Any] = {
            "id": node.id,
            "kind": node.kind.value,
            "name": node.name,
            "operation": operation,
            "inputs": {name: [edge.node, *edge.path] for name, edge in node.inputs.items()},
            "scope": node.scope,
            "feature": features.to_json(node.feature),
            "options": options,
            "site": None if node.site is None else [node.site.file, node.site.line],
            "input_scope": node.input_scope,
        }
        left_out = [key for key in ("inputs", "options", "site", "input_scope") if not saved[key]]
        nodes.append({key: value for key, value in saved.items() if key not in left_out})
    scopes = [_SCOPE.dump_python(scope, mode="json", exclude_defaults=True) for scope in graph.scopes]
    return SavedGraph({"scopes": scopes, "nodes": nodes}, constants)


def from_json(
    saved: Mapping[str, Any],
    form: OperationForm,
    *,
    place: Callable[[int | None], CallSite],
    beside: Callable[[Mapping[str, pa.DataType]], Mapping[str, pa.Scalar]],
) -> Graph:
    """The graph that `to_json` wrote down, checked as if it had just been written.

    Args:
        saved: `scopes` and `nodes`, as plain JSON values.
        form: How to read the operations of nodes.
        place: The line of the file that the node of a number stands on; of None, the file.
        beside: Reads the large constants, by the number of their node, from their types.

    Raises:
        InputError: It is no graph.
    """
    reading = _Reading(form, place)
    scopes = reading.scopes(saved["scopes"])
    forms = reading.forms(saved["nodes"])
    types = reading.types_beside(forms)
    constants = beside(types) if types else {}
    nodes: dict[int, Node] = {}
    graph = Graph(nodes, scopes)
    for saved_node in forms.values():
        nodes[saved_node.id] = reading.node(saved_node, graph, forms, constants)
    try:
        verify(graph)
    except BrokenGraphError as error:
        problem = str(error).splitlines()[0]
        raise InputError(f"the flow breaks a rule: {problem}", site=place(None), hint=_SAVE_AGAIN) from None
    return graph


class _Reading:
    """Reads the parts of a saved graph, and says on which line one is wrong."""

    def __init__(self, form: OperationForm, place: Callable[[int | None], CallSite]) -> None:
        self._form = form
        self._place = place

    def scopes(self, saved: Any) -> tuple[Scope, ...]:
        try:
            read = tuple(_SCOPE.validate_python(scope) for scope in _list(saved, "scopes"))
        except (ValidationError, ValueError) as error:
            raise InputError(f"scopes: {_reason(error)}", site=self._place(None), hint=_SAVE_AGAIN) from None
        ordered = all(
            scope.id == number
            and all(0 <= one < number for one in scope.parents)
            and (scope.members is None or 0 <= scope.members < number)
            for number, scope in enumerate(read)
        )
        if read[: len(BASE_SCOPES)] != BASE_SCOPES or not ordered:
            raise InputError(
                "scopes: they are numbered from 0, parents first, and begin with the dataset and its rows",
                site=self._place(None),
                hint=_SAVE_AGAIN,
            )
        return read

    def forms(self, saved: Any) -> dict[int, _NodeForm]:
        """The nodes by number, each read by itself."""
        read: dict[int, _NodeForm] = {}
        try:
            listed = _list(saved, "nodes")
        except ValueError as error:
            raise InputError(str(error), site=self._place(None), hint=_SAVE_AGAIN) from None
        for position, node in enumerate(listed):
            number = node.get("id") if isinstance(node, dict) else None
            shown = f"%{number}" if isinstance(number, int) else f"number {position} of the list"
            try:
                form = _NodeForm.model_validate(node)
            except ValidationError as error:
                raise InputError(
                    f"node {shown}: {_reason(error)}", site=self._place_of(number), hint=_SAVE_AGAIN
                ) from None
            if form.id in read:
                raise InputError(
                    f"two nodes have the number {form.id}", site=self._place_of(form.id), hint=_RENUMBER
                )
            read[form.id] = form
        return read

    def types_beside(self, forms: Mapping[int, _NodeForm]) -> dict[str, pa.DataType]:
        """The types of the large constants, by their names in the file beside this one."""
        types: dict[str, pa.DataType] = {}
        for saved in forms.values():
            with self._naming(saved):
                if saved.kind in own_operations.OPERATIONS:
                    feature = _feature(saved.feature)
                    types |= own_operations.types_beside(saved.kind, saved.operation, saved.id, feature)
        return types

    def node(
        self,
        saved: _NodeForm,
        graph: Graph,
        forms: Mapping[int, _NodeForm],
        constants: Mapping[str, pa.Scalar],
    ) -> Node:
        """A node whose inputs are in the graph already."""
        with self._naming(saved):
            return self._node(saved, graph, forms, constants)

    @contextlib.contextmanager
    def _naming(self, saved: _NodeForm) -> Iterator[None]:
        """Errors inside name the node and its line."""
        try:
            yield
        except FlowError as error:
            message = f"node %{saved.id} ({saved.name}): {error.message}"
            raise InputError(message, site=self._place(saved.id), hint=error.hint) from error
        except ValueError as error:
            message = f"node %{saved.id} ({saved.name}): {_reason(error)}"
            raise InputError(message, site=self._place(saved.id), hint=_SAVE_AGAIN) from None

    def _node(
        self,
        saved: _NodeForm,
        graph: Graph,
        forms: Mapping[int, _NodeForm],
        constants: Mapping[str, pa.Scalar],
    ) -> Node:
        edges = {name: _edge(name, edge) for name, edge in saved.inputs.items()}
        for name, edge in edges.items():
            _check_edge(name, edge, saved, graph, forms)
        for scope in (saved.scope, saved.input_scope):
            if scope is not None and not 0 <= scope < len(graph.scopes):
                msg = f"there is no scope {scope}"
                raise ValueError(msg)
        node = Node(
            saved.id,
            saved.kind,
            saved.name,
            None,
            edges,
            saved.scope,
            _feature(saved.feature),
            None if saved.site is None else CallSite(*saved.site),
            input_scope=saved.input_scope,
        )
        if saved.kind in own_operations.OPERATIONS:
            operation = own_operations.from_json(saved.kind, saved.operation, node.feature, constants)
            return replace(node, operation=operation)
        given = {name: graph.feature(edge) for name, edge in edges.items()}
        return self._form.read(saved.operation, saved.options, node, given)

    def _place_of(self, number: Any) -> CallSite:
        return self._place(number if isinstance(number, int) else None)


def _list(saved: Any, what: str) -> list[Any]:
    if not isinstance(saved, list):
        msg = f"{what} are a list, not {saved!r:.40}"
        raise ValueError(msg)  # noqa: TRY004 - of the file, not of an argument
    return saved


def _reason(error: ValueError) -> str:
    """What is wrong, in a line."""
    if not isinstance(error, ValidationError):
        return str(error)
    problem = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"])
    return f"{where}: {problem['msg']}" if where else str(problem["msg"])


def _edge(name: str, saved: list[int | str]) -> Edge:
    if not saved or not isinstance(saved[0], int) or not all(isinstance(part, str) for part in saved[1:]):
        msg = f'input {name!r} is a node\'s number and names of fields, as in [0, "text"], not {saved}'
        raise ValueError(msg)
    return Edge(saved[0], tuple(str(part) for part in saved[1:]))


def _check_edge(
    name: str, edge: Edge, saved: _NodeForm, graph: Graph, forms: Mapping[int, _NodeForm]
) -> None:
    if edge.node not in forms:
        raise InputError(f"its input {name!r} is node %{edge.node}, which is not there", hint=_SAVE_AGAIN)
    if edge.node not in graph.nodes:
        cycle = edge.node == saved.id or _reaches(edge.node, saved.id, forms)
        problem = "needs this one in turn: a cycle" if cycle else "comes later in the file"
        hint = "change one of the two" if cycle else "put each node behind its inputs"
        raise InputError(f"its input {name!r} is node %{edge.node}, which {problem}", hint=hint)
    feature = graph.nodes[edge.node].feature
    for part in edge.path:
        known = features.fields(feature)
        if part not in known:
            near = nearest_name(part, known)
            raise InputError(
                f"its input {name!r} is {edge}, but there is no field {part!r}",
                hint=f"did you mean {near!r}?" if near else f"there are: {', '.join(known) or 'none'}",
            )
        feature = known[part]


def _reaches(start: int, goal: int, forms: Mapping[int, _NodeForm]) -> bool:
    """Whether a node needs another one, directly or not."""
    seen: set[Any] = set()
    waiting: list[Any] = [start]
    while waiting:
        number = waiting.pop()
        if number == goal:
            return True
        if number in seen or number not in forms:
            continue
        seen.add(number)
        waiting.extend(edge[0] for edge in forms[number].inputs.values() if edge)
    return False


def _feature(saved: Any) -> Feature:
    try:
        feature = features.from_json(saved)
        exact = features.to_json(feature) == saved
    except (AttributeError, TypeError, ValueError) as error:
        msg = f"its feature is none: {error}"
        raise ValueError(msg) from None
    if not exact:
        msg = f"its feature is not as `datasets` writes {features.describe(feature)}: {json.dumps(saved):.80}"
        raise ValueError(msg)
    return feature
