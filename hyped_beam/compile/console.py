"""What is printed: for people, and for programs that read it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm

from hyped_beam.compile.summary import as_object, plain, summary
from hyped_beam.errors import FlowError, NodeError, escaped
from hyped_beam.io.folders import OutputFolder
from hyped_beam.launch.progress import Progress
from hyped_beam.launch.result import JobResult

_IN_PYTHON = (
    (re.compile(r'\boverwrite="(\w+)"'), r"--overwrite \1"),
    (re.compile(r"write DataFlow\.load\(\.\.\., modules=\['([\w.]+)'\]\)"), r"add --module \1"),
    (re.compile(r"write DataFlow\.load\(\.\.\., hosts=\['([^']+)'\]\)"), r"add --host \1"),
)
"""What hints write in Python that the command line has options for."""

EVENT_SECONDS = 5.0
"""The least time between two events of progress in which no range came to be done."""

USUAL_COLUMNS = 80

LINES_OF_A_JOB = 10
"""How many lines say how far a job is, where there is no terminal for a bar."""


class Console(ABC):
    """Where results and complaints are printed.

    Results are all that goes to standard output, so that it can be piped. A reader that goes away is no
    failure of a job.

    Args:
        out: Where results go.
        errors: Where everything else goes.
    """

    def __init__(self, out: TextIO, errors: TextIO) -> None:
        self.out = out
        self.errors = errors
        self._folders: tuple[str, ...] = ()

    @abstractmethod
    def show(self, form: str, text: str) -> None:
        """Print one form of a flow: its plan, its graph, ..."""

    @abstractmethod
    def note(self, text: str) -> None:
        """Say what the user should know of a job before it begins."""

    @abstractmethod
    def progress(self, progress: Progress) -> None:
        """Say how far a job is; called from another thread."""

    @abstractmethod
    def done(self, result: JobResult, aggregates_path: str | None) -> None:
        """Say what a job has made."""

    @abstractmethod
    def failed(self, status: int, error: FlowError) -> None:
        """Say what is wrong."""

    @abstractmethod
    def interrupted(self, status: int) -> None:
        """Say that it was interrupted."""

    def begin(self, folders: Iterable[str]) -> None:
        """Know that a job is begun, and where its outputs go."""
        self._folders = tuple(folders)

    @property
    def is_resumable(self) -> bool:
        """Whether the job has left something to go on from."""
        with contextlib.suppress(FlowError, OSError):
            return any(OutputFolder.at(folder).is_unfinished for folder in self._folders)
        return False

    @property
    def is_for_bytes(self) -> bool:
        """Whether standard output takes bytes: a terminal does not, nor do programs that read lines."""
        return False

    def show_bytes(self, content: bytes) -> None:
        """Write bytes to standard output."""
        self.out.flush()
        with self._reader_may_leave():
            self.out.buffer.write(content)
            self.out.buffer.flush()

    @abstractmethod
    def close(self) -> None:
        """End what is shown only while a job runs."""

    def _print(self, text: str) -> None:
        with self._reader_may_leave():
            self.out.write(text)
            self.out.flush()

    @contextlib.contextmanager
    def _reader_may_leave(self) -> Any:
        try:
            yield
        except BrokenPipeError:
            self.out = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the process ends


class TextConsole(Console):
    """For people: a bar on a terminal, lines elsewhere."""

    def __init__(self, out: TextIO, errors: TextIO) -> None:
        super().__init__(out, errors)
        self._shown: _Bar | _Lines | None = None

    @property
    def is_for_bytes(self) -> bool:
        """Whether standard output takes bytes, as a file or a pipe does."""
        return not self.out.isatty()

    def show(self, form: str, text: str) -> None:
        """Print one form of a flow as it is."""
        del form
        self._print(escaped(text))

    def note(self, text: str) -> None:
        """Print a line."""
        self.errors.write(f"{text}\n")
        self.errors.flush()

    def progress(self, progress: Progress) -> None:
        """Move the bar, or print a line."""
        if self._shown is None:
            self._shown = (
                _Bar(self.errors, progress) if self.errors.isatty() else _Lines(self.errors, progress)
            )
        self._shown.show(progress)

    def done(self, result: JobResult, aggregates_path: str | None) -> None:
        """Print the summary."""
        self._print(summary(result, aggregates_path) + "\n")

    def failed(self, status: int, error: FlowError) -> None:
        """Print one line, or what there is to say of a failure at run time."""
        del status
        self.errors.write(f"{_told(error)}\n")

    def interrupted(self, status: int) -> None:
        """Print how to go on."""
        del status
        more = (
            "; what is done is kept, and --overwrite resume goes on from there" if self.is_resumable else ""
        )
        self.errors.write(f"interrupted{more}\n")

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._shown is not None:
            self._shown.close()


class JsonConsole(Console):
    """For programs: one object a line on standard output, its kind under `event`."""

    def __init__(self, out: TextIO, errors: TextIO) -> None:
        super().__init__(out, errors)
        self._told_last: Progress | None = None

    def show(self, form: str, text: str) -> None:
        """Print one form of a flow."""
        self._event(form, text=text)

    def note(self, text: str) -> None:
        """Print it."""
        self._event("note", text=text)

    def progress(self, progress: Progress) -> None:
        """Print how far a job is."""
        told = self._told_last
        is_no_news = told is not None and progress.ranges_done == told.ranges_done and progress.share < 1
        if is_no_news and told is not None and progress.seconds - told.seconds < EVENT_SECONDS:
            return
        self._told_last = progress
        self._event(
            "progress",
            ranges_done=progress.ranges_done,
            ranges=progress.ranges,
            rows=progress.rows,
            cached_rows=progress.cached_rows,
            share=round(progress.share, 4),
            seconds=round(progress.seconds, 3),
        )

    def done(self, result: JobResult, aggregates_path: str | None) -> None:
        """Print what was made."""
        self._event("done", status=0, **as_object(result, aggregates_path))

    def failed(self, status: int, error: FlowError) -> None:
        """Print what is wrong, on standard error too."""
        told: dict[str, Any] = {"message": error.message, "hint": error.hint}
        if error.site is not None:
            told |= {"file": error.site.file, "line": error.site.line}
        if isinstance(error, NodeError):
            told |= {"node": error.node, "row": error.row, "cause": error.cause}
            if error.data_file:
                told |= {"data_file": error.data_file, "data_row": error.data_row}
        self._event("error", status=status, **told)
        self.errors.write(f"{_told(error)}\n")

    def interrupted(self, status: int) -> None:
        """Print that it was interrupted."""
        self._event("interrupted", status=status, resumable=self.is_resumable)

    def close(self) -> None:
        """Nothing: each event is a line."""

    def _event(self, event: str, **values: Any) -> None:
        line = json.dumps({"event": event, **plain(values)}, ensure_ascii=False)
        self._print(escaped(line, as_json=True) + "\n")


def console(*, as_json: bool, out: TextIO | None = None) -> Console:
    """The console for people, or the one for programs."""
    kind = JsonConsole if as_json else TextConsole
    return kind(out or sys.stdout, sys.stderr)


def _told(error: FlowError) -> str:
    """An error in one line, but for a node that raised, whose row and place have lines of their own."""
    if isinstance(error, NodeError):
        return escaped(f"error: {error}")
    line = "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
    for python, option in _IN_PYTHON:
        line = python.sub(option, line)
    return escaped(f"error: {line}")


# ------------------------------------------------------------------------------------------------- progress


class _Lines:
    """A line for each tenth of the job."""

    def __init__(self, errors: TextIO, first: Progress) -> None:
        self._errors = errors
        self._first = first
        self._tenth = 0

    def show(self, progress: Progress) -> None:
        tenth = int(LINES_OF_A_JOB * progress.share)
        if tenth > self._tenth:
            self._tenth = tenth
            ranges = f"{progress.ranges_done} of {progress.ranges} ranges"
            self._errors.write(f"{ranges}, {_rows(progress, self._first)}{_left(progress, self._first)}\n")
            self._errors.flush()

    def close(self) -> None: ...


class _Bar:
    """A bar that moves."""

    def __init__(self, errors: TextIO, first: Progress) -> None:
        self._errors = errors
        self._first = first
        self._bar: Any = tqdm(
            total=1.0,
            initial=first.share,
            file=errors,
            ncols=_columns(errors),
            nrows=20,  # a terminal that does not say how high it is gets no bar otherwise
            bar_format="{percentage:3.0f}% |{bar}| {desc}",
        )

    def show(self, progress: Progress) -> None:
        self._bar.n = progress.share
        self._bar.ncols = _columns(self._errors)
        ranges = f"{progress.ranges_done} of {progress.ranges} ranges"
        self._bar.set_description_str(
            f"{ranges}, {_rows(progress, self._first)}{_left(progress, self._first)}"
        )

    def close(self) -> None:
        self._bar.close()


def _columns(terminal: TextIO) -> int:
    """How wide a terminal is now; one that does not say so, as those of `script` and `expect`, is usual."""
    try:
        return os.get_terminal_size(terminal.fileno()).columns or USUAL_COLUMNS
    except OSError:
        return USUAL_COLUMNS


def _rows(progress: Progress, first: Progress) -> str:
    seconds = max(progress.seconds - first.seconds, 1e-9)
    read = progress.rows - progress.cached_rows - first.rows
    cached = f" ({progress.cached_rows:,} from the cache)" if progress.cached_rows else ""
    speed = f", {read / seconds:,.0f} rows/s" if read > 0 else ""
    return f"{progress.rows:,} rows{cached}{speed}"


def _left(progress: Progress, first: Progress) -> str:
    done = progress.share - first.share
    if done <= 0 or progress.share >= 1:
        return ""
    seconds = (progress.seconds - first.seconds) / done * (1 - progress.share)
    return f", {tqdm.format_interval(seconds)} left"
