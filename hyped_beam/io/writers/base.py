"""What a writer is: it turns record batches into the bytes of one file, a shard."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

import pyarrow as pa
from pydantic import field_validator

from hyped_beam.io.endpoint import Endpoint
from hyped_beam.io.filesystem import PendingFile
from hyped_beam.io.paths import Path, as_path


class ShardWriter(ABC):
    """One shard that is being written."""

    @abstractmethod
    def write(self, batch: pa.RecordBatch) -> None:
        """Append the rows of a batch of the shard's schema."""

    @abstractmethod
    def close(self) -> None:
        """Write what is left; the file itself is closed by whoever made it."""


class Writer(Endpoint):
    """A folder of files of one format.

    Args:
        path: The folder. It must be missing, empty, or the output of an earlier job.
        overwrite: What is done with the output of an earlier job: "error" refuses it, "replace" removes it,
            "resume" keeps the ranges that are done.

    Raises:
        DefinitionError: An option has a wrong value.
    """

    has_schema: ClassVar[bool] = True
    """Whether a file without rows still tells its columns: an output without any row gets one."""

    path: str
    overwrite: Literal["error", "replace", "resume"] = "error"

    def __init__(self, path: Path, **options: Any) -> None:
        super().__init__(path=path, **options)

    @field_validator("path", mode="before")
    @classmethod
    def _take_path(cls, given: Any) -> str:
        return as_path(given)

    @property
    @abstractmethod
    def suffix(self) -> str:
        """How the names of the files end."""

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
