"""What the files of an output can be called: no job removes a file whose name it cannot have given."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from typing_extensions import Self

NUMBER = "NNNNN"
_NUMBER = r"\d{5,}"


@dataclass(frozen=True)
class ShardNames:
    """The names that the shards of an output can have.

    Attributes:
        keys: The columns whose values stand in the names of folders, the outermost first.
        name: What stands for the name of a file: numbers are `NNNNN`.

    Example:
        >>> from hyped_beam.io.shard_names import ShardNames
        >>> names = ShardNames(("group",), "part-NNNNN-NNNNN.jsonl")
        >>> str(names)
        'group=*/part-NNNNN-NNNNN.jsonl'
        >>> names.has("group=spam/part-00003-00000.jsonl"), names.has("group=spam/part-00003.bak.jsonl")
        (True, False)
    """

    keys: tuple[str, ...]
    name: str

    @classmethod
    def of(cls, keys: Sequence[str], suffix: str, *, is_numbered: bool) -> Self:
        """The names of the shards of a writer.

        Args:
            keys: The columns whose values stand in the names of folders.
            suffix: How the names end.
            is_numbered: Whether a range may make several files, which are numbered.
        """
        return cls(tuple(keys), f"part-{NUMBER}" + (f"-{NUMBER}" if is_numbered else "") + suffix)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The names that were written down as `str` tells them."""
        *folders, name = text.split("/")
        return cls(tuple(folder.removesuffix("=*") for folder in folders), name)

    def __str__(self) -> str:
        return "/".join([*(f"{key}=*" for key in self.keys), self.name])

    def has(self, path: str) -> bool:
        """Whether a shard can be called so, by its path in the folder of the output."""
        *folders, name = path.split("/")
        if len(folders) != len(self.keys):
            return False
        of_keys = (folder.startswith(f"{key}=") for folder, key in zip(folders, self.keys, strict=True))
        return all(of_keys) and re.fullmatch(_pattern(self.name), name) is not None


def _pattern(name: str) -> str:
    return re.escape(name).replace(NUMBER, _NUMBER)
