"""Rows of a second table, looked up by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import field_serializer, field_validator

from hyped_beam.errors import DefinitionError, InputError, nearest_name
from hyped_beam.ir.graph import Join
from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import register
from hyped_beam.nodes.tables import TableByKey
from hyped_beam.processors.known_table import KnownTable
from hyped_beam.types import arrays, features
from hyped_beam.types.features import Feature
from hyped_beam.types.identity import KeyIndex, RepeatedKeyError
from hyped_beam.types.patterns import AnyColumn
from hyped_beam.types.widths import interchangeable


@register
class Lookup(Processor):
    """The row of a table that has a key; null where none has it, or the key is null.

    Each process reads the table once, and holds it in memory; in jobs that shuffle it, a partition of it.

    Attributes:
        table: A reader of the table.
        key: The column of the table that holds the key, which no two of its rows have in common.
        join: How rows of the table find those of the source in a job.

    Raises:
        InputError: Two rows of the table have one key.
    """

    table: Any
    key: str
    join: Join = "auto"

    @field_validator("table", mode="before")
    @classmethod
    def _take_reader(cls, given: Any) -> Any:
        return KnownTable.from_json(given) if isinstance(given, Mapping) else given

    @field_serializer("table", when_used="json")
    def _save_table(self, table: Any) -> Any:
        return _known(table).to_json()

    def refuses_saving(self) -> DefinitionError | None:
        """A table that has no path cannot be told to whoever loads the flow."""
        held = getattr(getattr(self.table, "reader", self.table), "data", None)  # of a reader of datasets
        if held is None:
            return None
        return DefinitionError(
            f"the table of ops.lookup is a {type(held).__name__}, and a table is saved by its path",
            hint='write the table to Parquet, and give its path: in_="table.parquet"',
        )

    def resolve(self, **inputs: Feature) -> Lookup:
        """The same lookup that knows the columns of its table."""
        del inputs
        return self.model_copy(update={"table": _known(self.table)})

    def output(self, value: Feature) -> Feature:
        columns = dict(self.table.features)
        if self.key not in columns:
            near = nearest_name(self.key, columns)
            msg = f"the table has no column {self.key!r}" + (f": did you mean {near!r}?" if near else "")
            raise ValueError(msg)
        held = columns.pop(self.key)
        if not interchangeable(features.to_arrow(value), features.to_arrow(held)):
            shown = f"{features.describe(value)}, the key {self.key!r} of the table {features.describe(held)}"
            msg = f"looks up {shown}: cast one to the other"
            raise TypeError(msg)
        return columns

    def table_by_key(self) -> TableByKey:
        """The table."""
        return TableByKey(self.table, self.key, self.join)

    def with_rows(self, batches: Sequence[pa.RecordBatch]) -> Lookup:
        """The same node that knows some rows of the table alone."""
        return self.model_copy(update={"table": _Held(self.table.features, batches, _shown(self.table))})

    def fingerprint(self) -> str:
        """Of what the table holds."""
        return str(self.table.content())

    def setup(self) -> None:
        """Read the table."""
        names = [self.key, *(name for name in self.table.features if name != self.key)]
        scan = self.table.scan(names)
        batches = [batch for part in self.table.ranges() for batch in scan.read(part)]
        table = pa.Table.from_batches(batches) if batches else None
        rows = 0 if table is None else table.num_rows
        columns = {} if table is None else {name: table[name].combine_chunks() for name in names}
        keys = columns.pop(self.key, pa.nulls(0))
        present = keys.is_valid()
        if rows and keys.null_count:  # nothing equals a null
            columns = {name: pc.filter(column, present) for name, column in columns.items()}
            keys = pc.filter(keys, present)
        self.columns = columns
        try:
            self.index = KeyIndex({"key": keys}, len(keys))
        except RepeatedKeyError as error:
            raise InputError(
                f"the table {_shown(self.table)} has the key {self.key}={error.key['key']!r:.80} twice",
                hint="make the keys unique, or group the table first",
            ) from error

    def process(self, value: AnyColumn) -> pa.Array:
        places = self.index.find({"key": value}, len(value))
        missing = (places < 0) | value.is_null().to_numpy(zero_copy_only=False)
        taken = pa.array(places, mask=missing)
        fields = {
            field.name: arrays.conform(pc.take(self.columns[field.name], taken), field.type)
            if self.columns
            else pa.nulls(len(value), field.type)
            for field in self.output_type
        }
        if not fields:
            return arrays.struct_of({}, len(value))
        return pa.StructArray.from_arrays(list(fields.values()), list(fields), mask=pa.array(missing))


def _known(table: Any) -> KnownTable:
    return table if isinstance(table, KnownTable) else KnownTable(table, table.features)


def _shown(table: Any) -> str:
    """What a table is called: by its file or folder, if it is one."""
    paths: Sequence[str] = getattr(table, "paths", ())
    return str(paths[0]) if len(paths) == 1 else str(table)


class _Held:
    """Rows of a table in memory, read as a reader reads them."""

    def __init__(self, features: Any, batches: Sequence[pa.RecordBatch], shown: str) -> None:
        self.features = features
        self._batches = batches
        self._shown = shown

    def __str__(self) -> str:
        return self._shown

    def ranges(self) -> range:
        return range(1)

    def scan(self, names: Sequence[str]) -> _Held:
        del names
        return self

    def read(self, part: int) -> Sequence[pa.RecordBatch]:
        del part
        return self._batches
