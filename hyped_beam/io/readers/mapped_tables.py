"""Tables of `datasets` in memory maps: whether the files at their paths are still those that they map."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from datasets import Dataset
from datasets.table import ConcatenationTable, MemoryMappedTable

_MAPS = Path("/proc/self/maps")


class _Mapping(NamedTuple):
    """A range of addresses that a file is mapped to; the file as the kernel names it."""

    start: int
    stop: int
    file: tuple[bytes, ...]


def mapped_tables(data: Dataset) -> list[MemoryMappedTable]:
    """Return the memory-mapped tables that a dataset consists of, that of its indices among them."""
    # datasets tells the paths of these tables (cache_files), and the tables themselves to nobody
    tables = (data._data, data._indices)  # noqa: SLF001
    return [block for table in tables for block in _blocks(table) if isinstance(block, MemoryMappedTable)]


def maps_its_files(tables: Iterable[MemoryMappedTable]) -> bool:
    """Whether tables are shown to map the files that are at their paths now.

    A file may have been deleted since it was mapped, or another one renamed into its place: the table has
    the rows of the old one, its path leads to others. The kernel tells which file is mapped where, on Linux
    alone; elsewhere, and of tables whose values are all copies, nothing is shown.
    """
    given = [table for table in tables if table.num_rows]
    if not given:
        return True
    probes: dict[str, pa.Buffer] = {}
    try:
        for path in {str(table.path) for table in given}:
            if os.stat(path).st_size == 0:  # noqa: PTH116 - a path may hold what Path normalises
                return False
            # Mapped once more and compared in the list of maps: stat() names files of some file systems
            # (overlayfs, btrfs) otherwise than that list does.
            with pa.memory_map(path) as file:
                probes[path] = file.read_buffer()
        mappings = list(_mappings(_MAPS.read_bytes()))
    except (OSError, pa.ArrowException):
        return False
    return all(_lies_in_file_of(table.table, probes[str(table.path)], mappings) for table in given)


def _lies_in_file_of(table: pa.Table, probe: pa.Buffer, mappings: list[_Mapping]) -> bool:
    files = {one.file for one in mappings if one.start <= probe.address < one.stop}
    spans = [(one.start, one.stop) for one in mappings if one.file in files]
    return any(start <= address < stop for address in _addresses(table) for start, stop in spans)


def _addresses(table: pa.Table) -> Iterator[int]:
    """The addresses of the buffers of a table's first chunks: all of its chunks are in one map."""
    for column in table.columns:
        for chunk in column.chunks[:1]:
            for buffer in chunk.buffers():
                if buffer is not None and buffer.size:
                    yield buffer.address


def _mappings(listed: bytes) -> Iterator[_Mapping]:
    """The maps of files in a list of the kernel: addresses, access, offset, device, inode, path."""
    for line in listed.splitlines():
        addresses, _, _, device, inode, *path = line.split(None, 5)
        if inode != b"0":
            start, stop = addresses.split(b"-")
            yield _Mapping(int(start, 16), int(stop, 16), (device, inode, *path))


def _blocks(table: Any) -> list[Any]:
    if isinstance(table, ConcatenationTable):
        return [block for row in table.blocks for block in row]
    return [table]
