"""Datasets of the Hugging Face Hub, and local folders laid out like them, as a source."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import Field

from hyped_beam.errors import InputError, nearest_name
from hyped_beam.io.readers.base import Range, Reader, Scan
from hyped_beam.io.readers.files import FileReader
from hyped_beam.io.readers.formats import reader_of

SCHEME = "hf://datasets/"


class HubReader(Reader):
    r"""One split of a dataset of the Hub, or of a folder that is laid out like one.

    `datasets` says which files make a split, and their features, from the names of the files and the head of
    the `README.md`. The files are then read where they are, in ranges: nothing is copied into the cache of
    `datasets`, and nothing is downloaded that is local.

    Args:
        path: `user/repository`, `hf://datasets/user/repository`, or a local folder.
        name: The name of the configuration; the default one unless given.
        split: The name of the split.
        revision: The branch, tag or commit, of a dataset of the Hub.
        features: `datasets.Features` of the columns to offer; those of the dataset unless given.
        origin: The name of one more column, which says where each row comes from; see `FileReader`.

    Raises:
        DefinitionError: An option has a wrong value.

    Example:
        >>> import pathlib, tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> _ = pathlib.Path(folder.name, "test.csv").write_text("text\na\n")
        >>> HubReader(folder.name, split="test").features
        {'text': Value('string')}
    """

    path: str = Field(min_length=1)
    name: str | None = None
    split: str = "train"
    revision: str | None = None
    declared: Any = Field(default=None, alias="features")
    origin: str | None = Field(default=None, min_length=1)

    def __init__(self, path: Any, name: str | None = None, split: str = "train", **options: Any) -> None:
        given = str(path) if isinstance(path, Path) else path
        super().__init__(path=given, name=name, split=split, **options)

    @cached_property
    def files(self) -> FileReader:
        """The reader of the files of the split.

        Raises:
            InputError: There is no such dataset, configuration or split, or it is no dataset of files.
        """
        builder = self._builder()
        splits = builder.config.data_files or {}
        if self.split not in splits:
            close = nearest_name(self.split, splits)
            hint = f"did you mean {close!r}?" if close else f"there are: {', '.join(splits)}"
            raise InputError(f"{self} has no split {self.split!r}", hint=hint)
        if builder.name == "json" and builder.config.field is not None:
            raise InputError(f"{self} keeps its rows within a field", hint="convert it to JSON lines")
        options = {"features": self.declared or builder.info.features, "origin": self.origin}
        if builder.name == "csv" and builder.config.sep not in (None, ","):
            options["delimiter"] = builder.config.sep
        told = {name: value for name, value in options.items() if value is not None}
        return reader_of([str(file) for file in splits[self.split]], **told)

    def _builder(self) -> Any:
        import datasets

        path = self.path.removeprefix(SCHEME)
        try:
            return datasets.load_dataset_builder(path, self.name, revision=self.revision)
        except (ValueError, OSError, datasets.exceptions.DatasetsError) as error:
            reason = " ".join(str(error).split())[:300]
            hint = (
                "give a folder, or user/repository of the Hub; for the Hub look at the network and HF_TOKEN"
            )
            raise InputError(f"the dataset {self.path!r} cannot be read: {reason}", hint=hint) from None

    @property
    def features(self) -> Any:
        """The `datasets.Features` of the columns.

        Raises:
            InputError: The dataset is missing, a file is damaged, or files disagree.
        """
        return self.files.features

    def ranges(self) -> list[Range]:
        """The files of the split cut into ranges of some 64 MB."""
        return self.files.ranges()

    def scan(self, columns: Sequence[str], condition: Any = None) -> Scan:
        """A scan of some columns; workers open the files and need not ask for them again."""
        return self.files.scan(columns, condition)

    def inputs(self) -> Sequence[str]:
        """The files of the split."""
        return self.files.inputs()

    def pinned(self) -> HubReader:
        """The same reader of the files as they are now."""
        made = self.model_copy()
        made.__dict__["files"] = self.files.pinned()
        return made

    def check_unchanged(self) -> None:
        """Refuse files that are not what they were."""
        self.files.check_unchanged()

    def fingerprint(self) -> str:
        """Of the files of the split, and of how they are read."""
        return self.files.fingerprint()

    def content(self) -> str:
        """Of the bytes of the files of the split, and of how they are read."""
        return self.files.content()

    def __str__(self) -> str:
        name = "" if self.name is None else f", {self.name!r}"
        return f"{type(self).__name__}({self.path!r}{name}, split={self.split!r})"
