"""What is written down about an output: shards, the record of a range, the manifest."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import xxhash
from typing_extensions import Self

MANIFEST_VERSION = 1


@dataclass(frozen=True)
class Shard:
    """A file that was written.

    Attributes:
        file: Its path in the folder of the output: its name, behind the folders of its partition.
        rows: How many rows it holds.
        size: Its bytes.
        checksum: Of its bytes: `xxh128:` and what the command `xxh128sum` prints.
        partition: The values of the partition columns, as text, or None for null; empty without such columns.
    """

    file: str
    rows: int
    size: int
    checksum: str
    partition: Mapping[str, str | None] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The shard as plain values, as keyword arguments of it."""
        told = asdict(self)
        if not self.partition:
            del told["partition"]
        return told


@dataclass(frozen=True)
class RangeRecord:
    """A range that is done.

    Attributes:
        number: The number of the range.
        outputs: All shards it made, by the name of the output; none where it made no rows.
        states: The checksum of the states of its aggregates, or None where there are none.
        rows_in: The rows of the source that it holds.
        generation: Of the job that vouches for it; see `ownership`.
    """

    number: int
    outputs: Mapping[str, tuple[Shard, ...]]
    states: str | None = None
    rows_in: int = 0
    generation: int = 0

    @cached_property
    def attempt(self) -> str:
        """The name of the attempt that made it, which follows from what it made: equal ones have one name."""
        made = replace(self, generation=0).to_json()
        return xxhash.xxh3_64_hexdigest(made.encode())

    def rows(self, output: str) -> int:
        """The rows it made for an output."""
        return sum(shard.rows for shard in self.outputs[output])

    def to_json(self) -> str:
        """The record as JSON text; `from_json` takes it."""
        outputs = {name: [shard.to_dict() for shard in shards] for name, shards in self.outputs.items()}
        told = {
            "number": self.number,
            "outputs": outputs,
            "states": self.states,
            "rows_in": self.rows_in,
            "generation": self.generation,
        }
        return as_json(told)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The record that `to_json` wrote down."""
        saved = json.loads(text)
        outputs = {
            name: tuple(Shard(**shard) for shard in shards) for name, shards in saved["outputs"].items()
        }
        return cls(saved["number"], outputs, saved["states"], saved["rows_in"], saved.get("generation", 0))


@dataclass(frozen=True)
class Manifest:
    """What one output of a finished job holds.

    It is kept in the folder as `__hyped_beam__/manifest.json`, one JSON object whose bytes follow from what
    was written alone::

        {
         "version": 1,
         "output": "tokens",                       the name of the output in its job
         "rows": 3, "size": 57,                    of all files
         "ranges": 2,                              how many the source was cut into
         "generation": 1,                          how many jobs have written to the folder
         "suffix": ".jsonl",                       how the names of files end, also where there are none
         "partition_by": ["group"],
         "columns": {"group": "string", "n": "int64"},     Arrow types; partition columns too
         "features": {"n": {"dtype": "int64", "_type": "Value"}, ...},     for Features.from_dict
         "fingerprint": {"program": "...", "source": "...", "output": "tokens", "writer": "..."},
         "shards": [                               in the order of the source
          {"file": "group=spam/part-00000-00000.jsonl", "rows": 3, "size": 57,
           "checksum": "xxh128:...",               what xxh128sum prints
           "partition": {"group": "spam"}}         only where there are partition columns; null for nulls
         ]
        }

    Attributes:
        output: The name of the output.
        folder: Where its files are, an absolute path or a URI; not in the file, as folders may be moved.
        rows: How many rows they hold.
        size: Their bytes.
        ranges: How many ranges the source was cut into.
        shards: The files, in the order of the source; those of one range in the order of their partitions.
        fingerprint: Of the job, by what it is of: the program, the source, ...
        features: The `datasets.Features` in the form in which `datasets` saves them.
        columns: The Arrow type of each column, as text.
        partition_by: The columns that stand in the names of folders, not in the files.
        generation: Of the job that wrote it; see `ownership`.
        suffix: How the names of its files end.
    """

    output: str
    folder: str
    rows: int
    size: int
    ranges: int
    shards: tuple[Shard, ...]
    fingerprint: Mapping[str, str]
    features: Any
    columns: Mapping[str, str]
    partition_by: Sequence[str] = ()
    generation: int = 0
    suffix: str = ""

    @property
    def paths(self) -> list[str]:
        """The files, as paths or URIs, in the order of the source."""
        folder, query = self.folder, ""
        if "://" in folder:  # the options of a store stand behind the path
            folder, mark, query = folder.partition("?")
            query = mark + query
        return [f"{folder}/{shard.file}{query}" for shard in self.shards]

    def to_json(self) -> str:
        """The manifest as JSON text."""
        told = {
            "version": MANIFEST_VERSION,
            "output": self.output,
            "rows": self.rows,
            "size": self.size,
            "ranges": self.ranges,
            "generation": self.generation,
            "suffix": self.suffix,
            "partition_by": list(self.partition_by),
            "columns": dict(self.columns),
            "features": self.features,
            "fingerprint": dict(self.fingerprint),
            "shards": [shard.to_dict() for shard in self.shards],
        }
        return as_json(told, indent=1)

    @classmethod
    def from_json(cls, text: str, folder: str) -> Self:
        """The manifest that `to_json` wrote down."""
        saved = json.loads(text)
        del saved["version"]
        shards = tuple(Shard(**shard) for shard in saved.pop("shards"))
        return cls(folder=folder, shards=shards, partition_by=tuple(saved.pop("partition_by")), **saved)


def as_json(value: Any, indent: int | None = None) -> str:
    """Values as JSON text whose bytes follow from them alone."""
    return json.dumps(value, indent=indent, sort_keys=indent is None, ensure_ascii=False) + "\n"
