"""What is known of a file without reading it, and how it shows that the file has changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple

CHANGED, INODE = "changed", "inode"
"""The tags of a local file: when anything of it was changed (nanoseconds since 1970), and which one it is."""

_SECOND = 1_000_000_000


class Version(NamedTuple):
    """What a file system says of a file; of another content it says something else.

    Attributes:
        size: Bytes.
        modified: Nanoseconds since 1970, or of a store that knows no times another number; 0 for nothing.
        tags: What else tells one content of the file from another, by name: of a local file `CHANGED` and
            `INODE`, of a store the names that it gives, as `etag` or `generation`.
    """

    size: int
    modified: int = 0
    tags: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_json(cls, saved: Sequence[Any]) -> Version:
        """The version that `json.dumps` wrote down as a list."""
        size, modified, tags = saved
        return cls(size, modified, tuple((name, value) for name, value in tags))

    def difference(self, now: Version) -> str | None:
        """Return what another version says that this one does not; None where both may be the same.

        What only one of them knows is not compared: a list of files may tell less than a file that is open.
        """
        found = []
        if self.size != now.size:
            found.append(f"its size was {self.size:,} bytes, and is {now.size:,}")
        if self.modified and now.modified and self.modified != now.modified:
            found.append(f"it was modified {_shown(self.modified)}, and again {_shown(now.modified)}")
        before = dict(self.tags)
        for name, value in now.tags:
            if before.get(name, value) == value:
                continue
            if name == INODE:
                found.append("another file was put in its place")
            elif name != CHANGED:
                found.append(f"its {name} was {before[name]}, and is {value}")
            elif not found:
                when = _shown(int(value))
                found.append(f"its content or its attributes were changed {when}, and its old time was set")
        return "; ".join(found) or None


def _shown(nanoseconds: int) -> str:
    """A time as people read it; of a store without times only that it is another."""
    seconds, rest = divmod(nanoseconds, _SECOND)
    try:
        when = datetime.fromtimestamp(seconds, timezone.utc)
    except (OverflowError, ValueError, OSError):
        return f"as {nanoseconds}"
    return f"at {when:%Y-%m-%d %H:%M:%S}.{rest:09d} UTC"
