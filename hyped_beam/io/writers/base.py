"""What a writer is: it turns record batches into the bytes of one file, a shard."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
from pydantic import Field, field_validator

from hyped_beam.io.filesystem import PendingFile
from hyped_beam.io.paths import Path, as_path
from hyped_beam.io.spec import IOSpec

if TYPE_CHECKING:
    from hyped_beam.launch.result import JobResult


class ShardWriter(ABC):
    """One shard that is being written."""

    @property
    def held_bytes(self) -> int:
        """Bytes, as they lie in memory, of rows that were given and are gathered before they are written."""
        return 0

    @abstractmethod
    def write(self, batch: pa.RecordBatch) -> None:
        """Append the rows of a batch of the shard's schema."""

    def flush(self) -> None:  # noqa: B027 - most formats gather nothing
        """Write what is gathered."""

    @abstractmethod
    def close(self) -> None:
        """Write what is left; the file itself is closed by whoever made it."""


class Writer(IOSpec):
    """A folder of files of one format.

    The rows of a range of the source become one file, `part-00003.parquet` for range 3. With `partition_by`,
    `max_shard_rows` or `shard_bytes` they may become several, which are numbered: `part-00003-00000.parquet`.

    Args:
        path: The folder. It must be missing, empty, or the output of an earlier job.
        overwrite: What is done with the output of an earlier job: "error" refuses it, "replace" removes it,
            "resume" keeps the ranges that are done.
        verify: Whether resuming reads the files that are there, and does again what has changed in them; else
            it looks at their sizes alone, which is quicker and takes a damaged file for a sound one. In
            stores other than S3 a job also reads its files before it ends: a late copy could have replaced
            one.
        partition_by: Columns whose values name folders, as in `group=spam/year=2024/part-00003-00000.jsonl`.
            Hive, Arrow, polars and duckdb read them back from there; the files do not hold them.
        max_shard_rows: How many rows a file holds at most.
        shard_bytes: After how many bytes a file is ended; it may be passed by a sixteenth. What Parquet has
            still to compress counts as it lies in memory.
        num_proc: How many processes compute and write; it changes nothing of what is written.

    Raises:
        DefinitionError: An option has a wrong value.
    """

    path: str
    overwrite: Literal["error", "replace", "resume"] = "error"
    verify: bool = Field(default=True, strict=True)
    partition_by: tuple[str, ...] = ()
    max_shard_rows: int | None = Field(default=None, gt=0)
    shard_bytes: int | None = Field(default=None, gt=0)
    num_proc: int | None = Field(default=None, ge=1, strict=True)

    def __init__(self, path: Path, **options: Any) -> None:
        super().__init__(path=path, **options)

    @field_validator("path", mode="before")
    @classmethod
    def _take_path(cls, given: Any) -> str:
        return as_path(given)

    @field_validator("partition_by", mode="before")
    @classmethod
    def _take_columns(cls, given: Any) -> Any:
        names = (given,) if isinstance(given, str) else given
        if isinstance(names, list | tuple) and len(set(names)) != len(names):
            raise ValueError("a column is named twice")
        return names

    @property
    @abstractmethod
    def suffix(self) -> str:
        """How the names of the files end."""

    @property
    def has_schema(self) -> bool:
        """Whether a file without rows still tells its columns; an output without any row gets such a file."""
        return True

    @property
    def cuts_ranges(self) -> bool:
        """Whether a range may become several files."""
        return bool(self.partition_by) or self.max_shard_rows is not None or self.shard_bytes is not None

    @abstractmethod
    def open_shard(self, file: PendingFile, schema: pa.Schema) -> ShardWriter:
        """Begin a shard.

        Args:
            file: Where its bytes go.
            schema: Of its rows, with their features as metadata under `huggingface`.
        """

    def check(self, schema: pa.Schema) -> None:
        """Refuse columns that the format cannot hold.

        Raises:
            DefinitionTypeError: There is such a column.
        """

    def consume(self, data: Any, progress: Any = None) -> JobResult:
        """Write a dataset: as one job in constant memory, computed and written by `num_proc` processes.

        What a flow was lazily applied to is read, computed and written in the processes, and the live
        aggregates are those of all rows afterwards. What else was put on top of it (`shuffle`, `map`, ...)
        is iterated over as it is. Rows keep their order.

        Args:
            data: A `Dataset` or `IterableDataset`, a dict of them (each split has a sub folder of its name),
                or the pair that `flow.apply` returned.
            progress: As for `Job.run`.

        Returns:
            What the job made; of a dict of datasets the outputs are called as the splits.

        Raises:
            DefinitionTypeError: It is no dataset.
            InputError: The folder holds something else, or the data is not what its features say.
            NodeError: A node raised on a row.
            JobError: The job failed for another reason.

        Example:
            >>> import datasets
            >>> from hyped_beam.io.writers.json import JsonDatasetWriter
            >>> JsonDatasetWriter("out/dump").consume(datasets.Dataset.from_dict({"n": [1, 2, 3]})).rows
            {'rows': 3}
        """
        from hyped_beam.dsl.consuming import consume

        return consume(self, data, progress)
