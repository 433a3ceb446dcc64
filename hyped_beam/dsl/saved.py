"""Saved flows: a graph as a readable JSON file, with large constants in an Arrow file beside it."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa

from hyped_beam.dsl.outputs import ROWS
from hyped_beam.errors import CallSite, DefinitionError, DefinitionTypeError, InputError, nearest_name
from hyped_beam.io.hosts import foreign_host
from hyped_beam.ir import json_form
from hyped_beam.ir.graph import Graph, Node
from hyped_beam.nodes.json_form import NodeForm, module_of
from hyped_beam.nodes.registry import load_entry_points, load_library
from hyped_beam.plan.joins import table_of
from hyped_beam.plan.planner import AGGREGATES
from hyped_beam.types import scalars
from hyped_beam.types.mapped import mapped_copy, open_regular
from hyped_beam.types.nesting import DEEPEST, is_too_deep

FORMAT = "hyped_beam flow"
VERSION = 1

_DEEPEST = 3 * DEEPEST
"""How deep the JSON may be nested: a list in a feature takes two levels of it."""

_KEYS = {"format", "version", "constants", "scopes", "nodes"}
_NAME_BESIDE = re.compile(r"[^/\\\x00]+\.arrow")
_NODE_LINE = re.compile(r'\s*\{"id": (\d+),')
_NO_FLOW = "a saved flow is what flow.save(path) writes"


def save_graph(graph: Graph, path: str | os.PathLike[str]) -> None:
    """Save a graph, whole or not at all; a flow that was saved there before is replaced.

    Args:
        graph: The graph, with a sink for each output.
        path: The file; one for large constants may be put beside it.

    Raises:
        DefinitionError: A node cannot be saved.
        InputError: The file is something else, or cannot be written.
    """
    target = _local(path)
    saved = json_form.to_json(json_form.saved_graph(graph), NodeForm())
    replaced = _replaced(target)
    beside: Path | None = None
    known = False
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        header: dict[str, Any] = {"format": FORMAT, "version": VERSION}
        if saved.constants:  # under a name of its own: the JSON decides which is read
            with _Writing(target) as file:
                scalars.write_ipc(saved.constants, file)
                digest = file.digest()
                beside = target.with_name(_beside(target, digest))
                known = beside.exists()
                file.publish(beside)
            header["constants"] = {"file": beside.name, "sha256": digest}
        with _Writing(target) as file:
            file.write(_text(header, saved.content))
            file.publish(target)
    except OSError as error:
        if beside is not None and not known:
            beside.unlink(missing_ok=True)
        raise InputError(
            f"{target} cannot be written: {error.strerror or error}", site=CallSite.nearest()
        ) from error
    if replaced is not None and (beside is None or replaced != beside.name):
        target.with_name(replaced).unlink(missing_ok=True)


def load_graph(
    path: str | os.PathLike[str], modules: Iterable[str | ModuleType] = (), hosts: Iterable[str] = ()
) -> Graph:
    """The graph that was saved in a file, checked as if it had just been written.

    Nothing of the file is executed. Imported is the library, what installed packages offer, and what of the
    named modules the flow uses.

    Args:
        path: The file.
        modules: Modules with nodes of the user's own, by name; a package stands for those inside it, too.
        hosts: Hosts at which tables may lie, beside those of the well-known stores.

    Raises:
        InputError: It is no saved flow, of another version, or needs modules or hosts that are not named.
    """
    source = _local(path)
    saved, lines = _read(source)
    load_library()
    load_entry_points()
    needed = {name for node in _dicts(saved["nodes"]) if (name := module_of(node.get("operation")))}
    named = {module.__name__ if isinstance(module, ModuleType) else module for module in _names(modules)}
    allowed = frozenset(_hosts(hosts))

    def place(number: int | None) -> CallSite:
        return CallSite(str(source), lines.get(number, 1) if number is not None else 1)

    graph = json_form.from_json(
        saved,
        NodeForm(named, needed),
        place=place,
        beside=lambda types: _read_constants(source, saved.get("constants"), types),
    )
    _check_outputs(source, graph)
    for node in graph.nodes.values():
        _check_hosts(node, allowed, place(node.id))
    return graph


def _check_hosts(node: Node, allowed: frozenset[str], site: CallSite) -> None:
    """Refuse a table at a host that the user has not named: it might be given credentials."""
    table = table_of(node.operation)
    for uri in () if table is None else getattr(table.reader, "uris", ()):
        try:
            host = foreign_host(uri)
        except DefinitionError as error:
            raise InputError(
                f"node %{node.id} ({node.name}): {error.message}", site=site, hint=error.hint
            ) from None
        if host is not None and host not in allowed:
            raise InputError(
                f"node %{node.id} ({node.name}): its table lies at the host {host!r}, which may be given "
                f"your credentials, and loading allows only hosts that are named",
                site=site,
                hint=f"if you trust it, write DataFlow.load(..., hosts=[{host!r}])",
            )


def _hosts(hosts: Any) -> list[str]:
    if isinstance(hosts, str) or not all(isinstance(host, str) for host in hosts):
        raise DefinitionTypeError(
            f"hosts= takes a list of names of hosts, got {hosts!r:.60}",
            site=CallSite.nearest(),
            hint='write hosts=["minio.example.com:9000"]',
        )
    return [host.lower() for host in hosts]


def _check_outputs(source: Path, graph: Graph) -> None:
    """Refuse a flow without outputs, or with others than `save` writes: a single one of rows, or a split."""
    names = [sink.operation.name for sink in graph.sinks]
    odd = [name for name in names if name not in (ROWS, AGGREGATES)]
    if names and (not odd or len(names) - (AGGREGATES in names) > 1):
        return
    problem = f"an output {odd[0]!r}" if odd else "no output"
    raise InputError(
        f"the flow has {problem}, where {ROWS!r}, {AGGREGATES!r} or both should be",
        site=CallSite(str(source), 1),
        hint="save the flow again, or undo what was changed in the file",
    )


def _local(path: str | os.PathLike[str]) -> Path:
    if not isinstance(path, (str, os.PathLike)):
        raise DefinitionTypeError(
            f"a flow is saved in a file, got {path!r:.60}",
            site=CallSite.nearest(),
            hint='give a path: "flow.json"',
        )
    if "://" in os.fspath(path):
        raise DefinitionError(
            f"{os.fspath(path)!r} is no file of this machine",
            site=CallSite.nearest(),
            hint="save the flow in a local file, and copy it",
        )
    given = Path(path)
    return given.resolve() if given.is_symlink() else given


def _names(modules: Any) -> list[Any]:
    if isinstance(modules, str) or not all(isinstance(name, (str, ModuleType)) for name in modules):
        raise DefinitionTypeError(
            f"modules= takes a list of names of modules, got {modules!r:.60}",
            site=CallSite.nearest(),
            hint='write modules=["mail_nodes"]',
        )
    return list(modules)


def _beside(target: Path, digest: str) -> str:
    return f"{target.stem}.{digest[:16]}.arrow"


def _text(header: Mapping[str, Any], content: Mapping[str, list[Any]]) -> bytes:
    """The file: a line for each node, so that two versions can be compared line by line."""
    lines = [f"{_dumped(key)}: {_dumped(value)}" for key, value in header.items()]
    for key, items in content.items():
        rows = ",\n".join(f"  {_dumped(item)}" for item in items)
        lines.append(f"{_dumped(key)}: [\n{rows}\n]")
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def _dumped(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # halves of characters, which only an escape can hold
        return json.dumps(value, allow_nan=False)
    return text


class _Writing(io.RawIOBase):
    """A file that is written beside another one, and appears whole or not at all.

    Args:
        beside: The other file.
    """

    def __init__(self, beside: Path) -> None:
        super().__init__()
        number, self._path = tempfile.mkstemp(dir=beside.parent, prefix=f".{beside.name}.", suffix=".tmp")
        self._file = os.fdopen(number, "wb")
        self._hash = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._hash.update(data)
        return self._file.write(data)

    def digest(self) -> str:
        """The SHA-256 of what was written."""
        return self._hash.hexdigest()

    def publish(self, target: Path) -> None:
        """Have it appear."""
        self._file.flush()
        os.fsync(self._file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        Path(self._path).chmod(0o666 & ~mask)  # as `open` makes files
        Path(self._path).replace(target)

    def __exit__(self, *error: object) -> None:
        self._file.close()
        Path(self._path).unlink(missing_ok=True)  # unless it was published


def _replaced(target: Path) -> str | None:
    """The file of large constants of the flow that is about to be replaced.

    Raises:
        InputError: It is no saved flow that would be replaced.
    """
    if not target.exists():
        return None
    if not target.is_dir():
        with contextlib.suppress(OSError, ValueError, RecursionError), open_regular(target) as file:
            saved = json.loads(file.read())
            if isinstance(saved, dict) and saved.get("format") == FORMAT:
                constants = saved.get("constants")
                name = constants.get("file") if isinstance(constants, dict) else None
                own = re.compile(re.escape(target.stem) + r"\.[0-9a-f]{16}\.arrow")
                return name if isinstance(name, str) and own.fullmatch(name) else None
    raise InputError(
        f"{target} is there already, and is {'a folder' if target.is_dir() else 'no saved flow'}",
        site=CallSite.nearest(),
        hint="give another name, or remove it",
    )


def _read(source: Path) -> tuple[dict[str, Any], dict[int, int]]:
    """The content of a file, and the line on which each node stands."""
    try:
        with open_regular(source) as file:
            text = file.read().decode("utf-8-sig")
    except FileNotFoundError:
        folder = source.parent
        names = [entry.name for entry in folder.glob("*.json")] if folder.is_dir() else []
        near = nearest_name(source.name, names)
        raise InputError(
            f"there is no file {source}",
            site=CallSite.nearest(),
            hint=f"did you mean {folder / near}?" if near else _NO_FLOW,
        ) from None
    except OSError as error:
        raise InputError(
            f"{source} cannot be read: {error.strerror or error}", site=CallSite.nearest(), hint=_NO_FLOW
        ) from error
    except UnicodeDecodeError:
        raise InputError(
            "this is no text, so no saved flow", site=CallSite(str(source), 1), hint=_NO_FLOW
        ) from None
    saved = _parsed(source, text)
    found = ((_NODE_LINE.match(line), number) for number, line in enumerate(text.split("\n"), 1))
    return saved, {int(match[1]): number for match, number in found if match}


def _parsed(source: Path, text: str) -> dict[str, Any]:
    try:
        saved = json.loads(text, object_pairs_hook=_without_repeats, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        cut = error.pos >= len(text.rstrip())
        raise InputError(
            "the file ends in the middle: it is cut off" if cut else f"this is no JSON: {error.msg}",
            site=CallSite(str(source), error.lineno),
            hint="save the flow again, or undo what was changed in the file",
        ) from None
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"this is no saved flow: {error}",
            site=CallSite(str(source), 1),
            hint="save the flow again, or undo what was changed in the file",
        ) from None
    place = CallSite(str(source), 1)
    if is_too_deep(saved, _DEEPEST):
        raise InputError(
            f"this is no saved flow: lists and mappings are nested more than {_DEEPEST} deep",
            site=place,
            hint=_NO_FLOW,
        )
    if not isinstance(saved, dict) or saved.get("format") != FORMAT:
        raise InputError(f'this is no saved flow: its "format" is not {FORMAT!r}', site=place, hint=_NO_FLOW)
    if saved.get("version") != VERSION:
        raise InputError(
            f"the flow is of version {saved.get('version')!r}, this hyped_beam reads version {VERSION}",
            site=place,
            hint="save the flow again with this hyped_beam, or install the one that saved it",
        )
    odd = set(saved) ^ _KEYS if "constants" in saved else set(saved) ^ (_KEYS - {"constants"})
    if odd:
        name = min(odd)
        problem = f"an unknown {name!r}" if name in saved else f"no {name!r}"
        raise InputError(
            f"the flow has {problem}",
            site=place,
            hint="save the flow again, or undo what was changed in the file",
        )
    return saved


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        msg = f"{twice!r} stands twice in one mapping"
        raise ValueError(msg)
    return made


def _no_constant(name: str) -> Any:
    msg = f'{name} is no JSON; write it as text, "{name}"'
    raise ValueError(msg)


def _dicts(nodes: Any) -> list[dict[str, Any]]:
    return [node for node in nodes if isinstance(node, dict)] if isinstance(nodes, list) else []


def _read_constants(source: Path, saved: Any, types: Mapping[str, pa.DataType]) -> dict[str, pa.Scalar]:
    """The large constants, from the file beside a flow."""
    place = CallSite(str(source), 1)
    digest = saved.get("sha256") if isinstance(saved, dict) else None
    name = saved.get("file") if isinstance(saved, dict) else None
    if not isinstance(name, str) or not isinstance(digest, str) or not _NAME_BESIDE.fullmatch(name):
        raise InputError(
            'the flow has constants in a file beside it, but its "constants" name none',
            site=place,
            hint="save the flow again, or undo what was changed in the file",
        )
    file = source.with_name(name)
    try:
        content = mapped_copy(file)  # the checksum is of what will be used, whatever becomes of the file
    except OSError as error:
        raise InputError(
            f"its constants are in {file}, which cannot be read: {error.strerror or error}",
            site=place,
            hint="copy both files together",
        ) from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise InputError(
            f"{file} is not as it was saved: its checksum differs",
            site=place,
            hint="copy both files together, or save the flow again",
        )
    try:
        return scalars.from_ipc(content, types)
    except ValueError as error:
        raise InputError(f"{file}: {error}", site=place, hint="save the flow again") from None
