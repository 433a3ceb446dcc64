"""What is written down about an output: shards, the record of a range, the manifest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from typing_extensions import Self


@dataclass(frozen=True)
class Shard:
    """A file that was written.

    Attributes:
        file: Its name in the folder of the output.
        rows: How many rows it holds.
        size: Its bytes.
        checksum: Of its bytes: `xxh128:` and what the command `xxh128sum` prints.
    """

    file: str
    rows: int
    size: int
    checksum: str


@dataclass(frozen=True)
class RangeRecord:
    """A range that is done.

    Attributes:
        number: The number of the range.
        outputs: The shards it made, by the name of the output; none where it made no rows.
        states: The checksum of the states of its aggregates, or None where there are none.
    """

    number: int
    outputs: Mapping[str, tuple[Shard, ...]]
    states: str | None = None

    def rows(self, output: str) -> int:
        """The rows it made for an output."""
        return sum(shard.rows for shard in self.outputs[output])

    def to_json(self) -> str:
        """The record as JSON text; `from_json` takes it."""
        return as_json(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The record that `to_json` wrote down."""
        saved = json.loads(text)
        outputs = {
            name: tuple(Shard(**shard) for shard in shards) for name, shards in saved["outputs"].items()
        }
        return cls(saved["number"], outputs, saved["states"])


@dataclass(frozen=True)
class Manifest:
    """What one output of a finished job holds.

    Attributes:
        output: The name of the output.
        folder: Where its files are, absolute.
        rows: How many rows they hold.
        size: Their bytes.
        ranges: How many ranges the source was cut into.
        shards: The files, in the order of the source.
        fingerprint: Of the job, by what it is of: the program, the source, ...
        features: The `datasets.Features` in the form in which `datasets` saves them.
        columns: The Arrow type of each column, as text.
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

    @property
    def paths(self) -> list[str]:
        """The files, in the order of the source."""
        return [f"{self.folder}/{shard.file}" for shard in self.shards]

    def to_json(self) -> str:
        """The manifest as JSON text. It does not say where the folder is, which may be moved."""
        told = asdict(self)
        del told["folder"]
        return as_json({"version": 1, **told}, indent=1)

    @classmethod
    def from_json(cls, text: str, folder: str) -> Self:
        """The manifest that `to_json` wrote down."""
        saved = json.loads(text)
        del saved["version"]
        shards = tuple(Shard(**shard) for shard in saved.pop("shards"))
        return cls(folder=folder, shards=shards, **saved)


def as_json(value: Any, indent: int | None = None) -> str:
    """Values as JSON text whose bytes follow from them alone."""
    return json.dumps(value, indent=indent, sort_keys=indent is None, ensure_ascii=False) + "\n"
