"""Values of nodes that may run only once, as files of the work folder: those of one attempt at each range.

A range may be tried several times, and its nodes may give something else each time. So the values of an
attempt are files under its name, and the first attempt that creates the record of the range is the one that
counts: later scans read its values, and every attempt reports its states.
"""

from __future__ import annotations

import json
import struct
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from hyped_beam.io.filesystem import LOCAL


@dataclass(frozen=True)
class MaterializedFolder:
    """Where kept values are.

    Attributes:
        folder: A local folder.
        scan: The number of the scan that keeps values now.
        scans: The scan that has kept the values of a node, by the number of the node.
    """

    folder: str = ""
    scan: int = 0
    scans: Mapping[int, int] = field(default_factory=dict)

    def record(self, scan: int, number: int) -> Path:
        """What says which attempt at a range counts."""
        return Path(self.folder, f"{scan}-{number:05d}.kept")

    def values(self, node: int, number: int, attempt: str) -> Path:
        """The values of a node, as an attempt at a range has made them."""
        return Path(self.folder, f"{number:05d}-{node}-{attempt}.arrow")


class MaterializedFiles:
    """Kept values of one range: those of this attempt, until one counts, and those of earlier scans.

    Args:
        where: Where they are.
        number: The number of the range.
    """

    def __init__(self, where: MaterializedFolder, number: int) -> None:
        self._where = where
        self._number = number
        self._held: dict[int, list[pa.RecordBatch]] = {}
        self._streams: dict[int, pa.RecordBatchReader] = {}

    def add(self, kept: Mapping[int, pa.RecordBatch]) -> None:
        """Keep the values of the next batch."""
        for node, batch in kept.items():
            self._held.setdefault(node, []).append(batch)

    def commit(self, record: str, states: bytes) -> tuple[str, bytes]:
        """Make the values those of the range, unless another attempt has done so.

        Args:
            record: What this attempt would report as its record.
            states: What it would report as its states.

        Returns:
            What the attempt that counts reports.
        """
        if not self._held:
            return record, states
        attempt = uuid.uuid4().hex
        paths = []
        for node, batches in self._held.items():
            paths.append(self._where.values(node, self._number, attempt))
            with (
                pa.OSFile(str(paths[-1]), "wb") as file,
                pa.ipc.new_stream(file, batches[0].schema) as writer,
            ):
                for batch in batches:
                    writer.write_batch(batch)
        told = json.dumps({"attempt": attempt, "record": record}).encode()
        data = struct.pack("<Q", len(told)) + told + states
        counts = LOCAL.put_once(str(self._where.record(self._where.scan, self._number)), data)
        if counts != data:
            for path in paths:
                path.unlink()
        said, states = _split(counts)
        return said["record"], states

    def next_batch(self, nodes: tuple[int, ...]) -> dict[int, pa.RecordBatch]:
        """What was kept of the next batch."""
        for node in nodes:
            if node not in self._streams:
                self._streams[node] = pa.ipc.open_stream(pa.memory_map(str(self._path(node))))
        return {node: self._streams[node].read_next_batch() for node in nodes}

    def _path(self, node: int) -> Path:
        said, _ = _split(self._where.record(self._where.scans[node], self._number).read_bytes())
        return self._where.values(node, self._number, said["attempt"])


def _split(data: bytes) -> tuple[dict[str, str], bytes]:
    (length,) = struct.unpack_from("<Q", data)
    said: dict[str, str] = json.loads(data[8 : 8 + length])
    return said, data[8 + length :]
