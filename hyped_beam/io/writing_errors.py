"""What a system says about a file that cannot be written, as one line that names the output."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator

from hyped_beam.errors import FlowError
from hyped_beam.types.scratch import folder_around

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def failed_writing(output: str, folder: str, kind: type[FlowError]) -> Iterator[None]:
    """A context whose system errors become one of ours.

    Args:
        output: The name of the output that is written.
        folder: Its folder, as the user wrote it; or one for temporary files, which the user has not named.
        kind: The error to raise.
    """
    try:
        yield
    except OSError as error:
        around = folder_around(folder)
        if around is not None:
            message, hint = of_temporary_files(around, error)
            raise kind(message, hint=hint) from error
        message = f"the output {output!r} cannot be written to {folder!r}: {_reason(error)}"
        raise kind(message, hint=_hint(error.errno)) from error


def full_disk(error: OSError) -> tuple[str, str] | None:
    """What to say of temporary files for which there is no room: what is wrong, and how to fix it.

    Returns:
        None where it is another error, or not one of temporary files.
    """
    names = (error.filename, error.filename2)
    around = next(filter(None, (folder_around(name) for name in names if isinstance(name, str))), None)
    if error.errno not in FULL or (around is None and any(names)):
        return None
    return of_temporary_files(around or tempfile.gettempdir(), error)


def of_temporary_files(folder: str, error: OSError) -> tuple[str, str]:
    """What to say of temporary files, or results of `apply`, that cannot be written.

    Args:
        folder: The folder that the user knows, in which we have made one.
        error: What the system says.

    Returns:
        What is wrong, and how to fix it.
    """
    room = "make room there" if error.errno in FULL else "look at its permissions"
    if folder == os.path.abspath(tempfile.gettempdir()):  # noqa: PTH100 - as `ScratchFolder` does
        message = f"temporary files cannot be written to {folder!r}: {_reason(error)}"
        return message, f"{room}, or name another folder in the environment variable TMPDIR"
    message = f"the folder {folder!r} for results cannot be written to: {_reason(error)}"
    return message, f"{room}, or give another one: cache_dir=PATH"


def _reason(error: OSError) -> str:
    # Arrow says the system's words behind its own, and keeps the number.
    return os.strerror(error.errno) if error.errno else str(error).splitlines()[0]


def _hint(number: int | None) -> str | None:
    if number in FULL:
        return 'make room, and run it again with overwrite="resume"'
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "give a folder that you may write to"
    if number == errno.ENAMETOOLONG:
        return "a value of a partition column, or a part of the path, is too long for the name of a folder"
    return None
