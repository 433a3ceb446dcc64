"""A second table whose columns the flow knows, so that its files are opened only when rows are looked up."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Mapping, Sequence
from typing import Any

from hyped_beam.errors import DefinitionError, InputError, nearest_name
from hyped_beam.types import features
from hyped_beam.types.features import Feature

_READERS = "hyped_beam.io.readers"
"""The package of the readers that a saved flow may name."""

_SAVE_AGAIN = "save the flow again, or undo what was changed in the file"


class KnownTable:
    """A reader, and the columns that its table had when the flow was written.

    Args:
        reader: The reader.
        columns: The features of the columns.
        is_loaded: Whether they were read from a saved flow: the table may have changed since.
    """

    def __init__(self, reader: Any, columns: Mapping[str, Feature], *, is_loaded: bool = False) -> None:
        self.reader = reader
        self.features = dict(columns)
        self._is_loaded = is_loaded
        self._is_checked = not is_loaded

    def __reduce__(self) -> tuple[Any, ...]:
        return _known_table, (self.reader, self.features, self._is_loaded)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, KnownTable):
            return NotImplemented
        return bool(self.reader == other.reader) and features.same(self.features, other.features)

    def __hash__(self) -> int:
        return hash(repr(self))

    def __str__(self) -> str:
        return str(self.reader)

    def __repr__(self) -> str:
        return repr(self.reader)

    @property
    def paths(self) -> Sequence[str]:
        """The paths or URIs of its files; none where it is told in another way."""
        return getattr(self.reader, "paths", ())

    @property
    def uris(self) -> Sequence[str]:
        """Where it lies: paths and URIs, and names on the Hugging Face Hub."""
        return self.paths or (getattr(self.reader, "path", ""),)

    def extent(self) -> tuple[int | None, int | None]:
        """How large the table is; see `Reader.extent`."""
        extent: tuple[int | None, int | None] = self._checked().extent()
        return extent

    def ranges(self) -> Any:
        """The table cut into ranges; see `Reader.ranges`."""
        return self._checked().ranges()

    def scan(self, names: Sequence[str]) -> Any:
        """A scan of some columns; see `Reader.scan`."""
        return self._checked().scan(names)

    def content(self) -> str:
        """What the table holds; see `Reader.content`."""
        return str(self._checked().content())

    def driver_reads(self, processes: int) -> bool:
        """Whether rows are read where the job runs; see `Reader.driver_reads`."""
        return bool(self.reader.driver_reads(processes))

    def pinned(self) -> KnownTable:
        """The same table of the files as they are now; see `Reader.pinned`."""
        return KnownTable(self._checked().pinned(), self.features)

    def check_unchanged(self) -> None:
        """Refuse files that have changed since the table was pinned; see `Reader.check_unchanged`."""
        self.reader.check_unchanged()

    def _checked(self) -> Any:
        """Return the reader, once its table is known to have the columns still.

        Raises:
            InputError: A column is gone, or of another type.
        """
        if not self._is_checked:
            now = self.reader.features
            for name, feature in self.features.items():
                if name not in now or not features.same(now[name], feature):
                    is_now = features.shortened(now[name]) if name in now else "gone"
                    raise InputError(
                        f"the table {self} has changed since the flow was saved: its column {name!r} was "
                        f"{features.shortened(feature)}, and is {is_now}",
                        hint="give the table its columns back, or make the flow anew and save it",
                    )
            self._is_checked = True
        return self.reader

    def to_json(self) -> dict[str, Any]:
        """The reader, its options and the columns as plain JSON values, for `from_json`.

        Raises:
            ValueError: It is no reader of the library that is told by a path.
        """
        kind = type(self.reader)
        if kind.__name__ not in _savable(kind.__module__):
            msg = f"{kind.__name__} is no reader of the library that is told by a path"
            raise ValueError(msg)
        columns = {name: features.to_json(feature) for name, feature in self.features.items()}
        reader = f"{kind.__module__}:{kind.__name__}"
        return {"reader": reader, "options": self.reader.to_json(), "columns": columns}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> KnownTable:
        """The table that `to_json` wrote down; nothing is opened.

        Raises:
            DefinitionError: It names no reader, or its options or columns are none.
        """
        if set(saved) != {"reader", "options", "columns"} or not all(
            isinstance(saved[key], Mapping) for key in ("options", "columns")
        ):
            raise DefinitionError(
                "the table of a saved flow has a reader, its options and the columns of the table",
                hint=_SAVE_AGAIN,
            )
        module, _, name = str(saved["reader"]).partition(":")
        known = _savable(module)
        if name not in known:
            near = nearest_name(name, known)
            raise DefinitionError(
                f"the table is read by {str(saved['reader'])[:80]!r}, which is no reader of the library",
                hint=f"did you mean {near!r}?" if near else _SAVE_AGAIN,
            )
        try:
            columns = {column: features.from_json(one) for column, one in saved["columns"].items()}
            problem = features.problem_with(columns)
            _ = features.arrow_schema(columns)
        except (TypeError, ValueError) as error:
            raise DefinitionError(f"the columns of the table are none: {error}", hint=_SAVE_AGAIN) from None
        if problem is not None:
            raise DefinitionError(problem, hint=_SAVE_AGAIN)
        try:
            reader = known[name].from_json(dict(saved["options"]))
        except TypeError as error:  # of the signature: an option is missing
            raise DefinitionError(
                f"the options of the table's reader are none: {error}", hint=_SAVE_AGAIN
            ) from None
        return cls(reader, columns, is_loaded=True)


def _known_table(reader: Any, columns: Mapping[str, Feature], is_loaded: bool) -> KnownTable:  # noqa: FBT001 - of a pickle
    return KnownTable(reader, columns, is_loaded=is_loaded)


def _savable(module: str) -> dict[str, Any]:
    """The readers of a module of the library whose options are paths and plain values, by name."""
    package, _, name = module.rpartition(".")
    readers = importlib.import_module(_READERS)  # by name: io is above this part
    if package != _READERS or name not in {found.name for found in pkgutil.iter_modules(readers.__path__)}:
        return {}
    held = vars(importlib.import_module(module))
    base: Any = importlib.import_module(f"{_READERS}.base").Reader
    found: dict[str, Any] = {
        key: kind
        for key, kind in held.items()
        if inspect.isclass(kind) and issubclass(kind, base) and not inspect.isabstract(kind)
    }
    return {
        key: kind
        for key, kind in found.items()
        if kind.__module__ == module and {"paths", "path"} & set(kind.model_fields)
    }
