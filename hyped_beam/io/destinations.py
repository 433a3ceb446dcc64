"""An output of a job: its name, its writer, the schema of its rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from hyped_beam.io.folders import OutputFolder
from hyped_beam.io.ownership import Owner
from hyped_beam.io.partitions import Partition, check_partitions, folder_of, without
from hyped_beam.io.shard_names import ShardNames
from hyped_beam.io.writers.base import Writer


@dataclass(frozen=True)
class Destination:
    """An output of a job.

    Attributes:
        name: Its name in the job.
        writer: Where its rows go, and in which format.
        schema: Of its rows.
        owner: The job as the owner of its folder; None before it is claimed (`preparing.prepare`).
        is_synced: Whether what is written survives a machine that stops.
    """

    name: str
    writer: Writer
    schema: pa.Schema
    owner: Owner | None = None
    is_synced: bool = True

    @property
    def claimed(self) -> Owner:
        """The job as the owner of its folder.

        Raises:
            ValueError: The folder was not claimed.
        """
        if self.owner is None:
            raise ValueError(f"the folder {self.writer.path!r} was not claimed; see prepare()")
        return self.owner

    @property
    def folder(self) -> OutputFolder:
        """Where its shards go."""
        return OutputFolder.at(self.writer.path)

    @cached_property
    def file_schema(self) -> pa.Schema:
        """Of the rows in its files: partition columns stand in the names of folders."""
        return without(self.schema, self.writer.partition_by)

    def check(self) -> None:
        """Refuse columns that the format, or the names of folders, cannot hold.

        Raises:
            DefinitionError: There is such a column.
        """
        check_partitions(self.schema, self.writer.partition_by)
        self.writer.check(self.file_schema)

    @property
    def shard_names(self) -> ShardNames:
        """What its files can be called."""
        writer = self.writer
        return ShardNames.of(writer.partition_by, writer.suffix, is_numbered=writer.cuts_ranges)

    @property
    def shard_glob(self) -> str:
        """What matches the paths of all its files in its folder."""
        return f"{'*=*/' * len(self.writer.partition_by)}part-*{self.writer.suffix}"

    def shard_name(self, number: int, index: int = 0, partition: Partition | None = None) -> str:
        """The path of a file in the output's folder, which says what it holds.

        Args:
            number: The number of the range.
            index: Which of the range's files it is. They are numbered where a range may make several.
            partition: The partition whose rows it holds.
        """
        which = f"-{index:05d}" if self.writer.cuts_ranges else ""
        name = f"part-{number:05d}{which}{self.writer.suffix}"
        return f"{folder_of(partition)}/{name}" if partition else name
