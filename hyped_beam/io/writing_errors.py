"""What a system says about a file that cannot be written, as one line that names the output."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

from hyped_beam.errors import FlowError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def failed_writing(output: str, folder: str, kind: type[FlowError]) -> Iterator[None]:
    """A context whose system errors become one of ours.

    Args:
        output: The name of the output that is written.
        folder: Its folder, as the user wrote it.
        kind: The error to raise.
    """
    try:
        yield
    except OSError as error:
        # Arrow says the system's words behind its own, and keeps the number.
        reason = os.strerror(error.errno) if error.errno else str(error).splitlines()[0]
        message = f"the output {output!r} cannot be written to {folder!r}: {reason}"
        raise kind(message, hint=_hint(error.errno)) from error


def _hint(number: int | None) -> str | None:
    if number in FULL:
        return 'make room, and run it again with overwrite="resume"'
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "give a folder that you may write to"
    if number == errno.ENAMETOOLONG:
        return "a value of a partition column, or a part of the path, is too long for the name of a folder"
    return None
