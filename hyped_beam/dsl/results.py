"""Where the results of `apply` live: beside the files of their dataset, as those of `datasets.map` do."""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from datasets import config, is_caching_enabled
from datasets.fingerprint import generate_random_fingerprint
from datasets.table import MemoryMappedTable

from hyped_beam.dsl.result_files import open_sealed, seal
from hyped_beam.errors import CallSite, InputError
from hyped_beam.io.filesystem import sync_file
from hyped_beam.io.folders import BOOKKEEPING
from hyped_beam.io.readers.mapped_tables import mapped_tables, maps_its_files
from hyped_beam.io.writing_errors import FULL
from hyped_beam.ir.text import graph_text
from hyped_beam.nodes.configuration import Operator
from hyped_beam.nodes.fingerprint import NoFingerprintError, digest_of, fingerprint_of
from hyped_beam.nodes.installed import versions
from hyped_beam.types.scratch import ScratchFolder, process_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from datasets import Dataset

    from hyped_beam.plan.planner import Plan

_LOG = logging.getLogger("hyped_beam.cache")
_FOLDER = "hyped_beam"
_AGGREGATES = "aggregates"


@dataclass(frozen=True)
class Results:
    """The files of what a plan makes of a dataset.

    A file has the name that `datasets` gives such files, so that `Dataset.cleanup_cache_files` removes it:
    `cache-<fingerprint>.arrow`, or `cache-<fingerprint>_00000_of_00004.arrow` where there are several. They
    are renamed into place when all of them are complete, and count only if none is missing or cut.

    Attributes:
        folder: The folder that they are in.
        fingerprint: What they follow from; random where that is not known.
        is_known: Whether it is known.
    """

    folder: Path
    fingerprint: str
    is_known: bool

    def staging(self) -> ScratchFolder:
        """A new folder for files that are not complete, on the same file system.

        Raises:
            InputError: It cannot be made.
        """
        try:
            return ScratchFolder(self.folder)
        except OSError as error:
            raise _unusable(self.folder, "written to", error) from error

    def found(self, outputs: Sequence[str], *, aggregates: bool) -> Found | None:
        """What an earlier `apply` has left; None where it left nothing, or not all of it is whole.

        Args:
            outputs: The names of the outputs.
            aggregates: Whether there are aggregates, too.
        """
        if not self.is_known:
            return None
        try:
            tables = {name: _opened(self._shards_of(name)) for name in outputs}
            values = _opened([str(self._aggregates)]) if aggregates else []
        except (OSError, pa.ArrowException):  # removed or replaced a moment ago, or damaged
            return None
        if not all(tables.values()) or (aggregates and not values):
            return None
        return Found(tables, values[0].to_pylist()[0] if aggregates else None)

    def put(
        self, shards: Mapping[str, Sequence[str]], aggregates: pa.RecordBatch | None, staging: Path
    ) -> dict[str, list[MemoryMappedTable]]:
        """Rename complete files into place, once the disk has them if they can be found again.

        Another process that does the same at once writes the same bytes; whichever is later replaces them.
        Files are mapped before they get their names, by which another process may remove them at once.

        Args:
            shards: The files of each output, in order.
            aggregates: The values of aggregates; None for none.
            staging: A folder on the same file system.

        Returns:
            The rows of each output, by the files that they are in.

        Raises:
            InputError: They cannot be written: the disk is full, ...
        """
        try:
            return self._put(shards, aggregates, staging)
        except OSError as error:
            raise _unusable(self.folder, "written to", error) from error

    def _put(
        self, shards: Mapping[str, Sequence[str]], aggregates: pa.RecordBatch | None, staging: Path
    ) -> dict[str, list[MemoryMappedTable]]:
        moves: list[tuple[Path, Path]] = []
        tables: dict[str, list[MemoryMappedTable]] = {}
        for name, paths in shards.items():
            tables[name] = []
            for number, path in enumerate(paths):
                target = self._shard(name, number, len(paths))
                rows = MemoryMappedTable.from_file(path).table
                tables[name].append(MemoryMappedTable(rows, str(target)))
                moves.append((Path(path), target))
                if self.is_known:
                    seal(path, rows.num_rows)
        if aggregates is not None and self.is_known:
            made = staging / f"{_AGGREGATES}.arrow"
            with pa.OSFile(str(made), "wb") as file, pa.ipc.new_stream(file, aggregates.schema) as stream:
                stream.write_batch(aggregates)
            seal(made, aggregates.num_rows)
            moves.append((made, self._aggregates))
        for made, target in moves:
            made.replace(target)
        if self.is_known:
            sync_file(str(self.folder))
        return tables

    def of(self, output: str) -> str:
        """The fingerprint of one of several outputs."""
        return digest_of([self.fingerprint, output])

    def _shard(self, output: str, number: int, count: int) -> Path:
        suffix = "" if count == 1 else f"_{number:05d}_of_{count:05d}"
        return self.folder / f"cache-{self.of(output)}{suffix}.arrow"

    @property
    def _aggregates(self) -> Path:
        return self.folder / f"cache-{self.fingerprint}_{_AGGREGATES}.arrow"

    def _shards_of(self, output: str) -> list[str]:
        """The files of an output; none where not all of them are there."""
        pattern = re.compile(rf"cache-{self.of(output)}(?:_\d+_of_(\d+))?\.arrow")
        try:
            names = {path.name for path in self.folder.iterdir()}
        except OSError:
            return []
        for count in {int(match[1] or 1) for match in map(pattern.fullmatch, names) if match}:
            paths = [self._shard(output, number, count) for number in range(count)]
            if all(path.name in names for path in paths):
                return list(map(str, paths))
        return []


@dataclass(frozen=True)
class Found:
    """What an earlier `apply` has left.

    Attributes:
        tables: The rows of each output, by the files that they are in.
        aggregates: The values of the aggregates; None where there are none.
    """

    tables: dict[str, list[MemoryMappedTable]]
    aggregates: dict[str, Any] | None


def _opened(paths: Sequence[str]) -> list[MemoryMappedTable]:
    """Map files; none where one of them is not whole."""
    tables = [table for path in paths if (table := open_sealed(path)) is not None]
    return tables if len(tables) == len(paths) else []


def results_of(
    data: Dataset, plan: Plan, batch_size: int | None, cache_dir: str | os.PathLike[str] | None
) -> Results:
    """Where the results of a plan on a dataset are.

    Without `cache_dir`, those of a dataset in memory, or with the caching of `datasets` disabled, are in a
    folder that ends with this process.

    Args:
        data: The dataset.
        plan: The plan.
        batch_size: The most rows that a node is given at once.
        cache_dir: The folder that is asked for.

    Raises:
        InputError: The folder cannot be made.
    """
    folder = _folder(data, cache_dir)
    if folder is None:
        return Results(process_folder(), generate_random_fingerprint(), is_known=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(folder, "made", error) from error
    try:
        return Results(folder, _fingerprint(data, plan, batch_size), is_known=True)
    except NoFingerprintError as error:
        _LOG.info("the result is not reused: %s", error)
        return Results(folder, generate_random_fingerprint(), is_known=False)


def _unusable(folder: Path, what: str, error: OSError) -> InputError:
    room = "make room there, or give" if error.errno in FULL else "give"
    message = f"the folder {str(folder)!r} for results cannot be {what}: {error.strerror or error}"
    return InputError(message, site=CallSite.nearest(), hint=f"{room} another one: cache_dir=PATH")


def _folder(data: Dataset, cache_dir: str | os.PathLike[str] | None) -> Path | None:
    if not is_caching_enabled() and cache_dir is None:
        return None
    if cache_dir is not None:
        return Path(cache_dir).absolute()
    files = data.cache_files
    if not files:
        return None
    beside = Path(files[0]["filename"]).absolute().parent
    is_usable = os.access(beside, os.W_OK | os.X_OK) and not _is_output(beside)
    return beside if is_usable else Path(config.HF_DATASETS_CACHE) / _FOLDER


def _is_output(folder: Path) -> bool:
    """Whether a folder is, or lies in, the output of a job, which must hold nothing else."""
    return any((outer / BOOKKEEPING).is_dir() for outer in (folder, *folder.parents))


def _fingerprint(data: Dataset, plan: Plan, batch_size: int | None) -> str:
    """What the result follows from: the rows, the nodes and their code, and what computes them.

    Raises:
        NoFingerprintError: That is not known.
    """
    graph = plan.graph.renumbered()  # the numbers say what else was recorded into the flow
    for node in graph.nodes.values():
        if isinstance(node.operation, Operator) and not node.operation.repeatable:
            raise NoFingerprintError(f"{node.name} is not repeatable")
    nodes = [
        (
            repr(node.feature),
            fingerprint_of(node.operation),
            None if node.options is None else node.options.batch_size,  # nodes may look at whole batches
        )
        for node in graph.nodes.values()
    ]
    if not maps_its_files(mapped_tables(data)):
        raise NoFingerprintError("the files of the dataset are not shown to be those that it was opened from")
    files = [Path(file["filename"]).stat() for file in data.cache_files]
    source = [
        data._fingerprint,
        list(data.column_names),
        str(data.split),
        [(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino) for found in files],
    ]
    return digest_of([graph_text(graph), nodes, batch_size, dict(versions()), source])
