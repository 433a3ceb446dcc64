"""The errors that users see: what is wrong, where in their code, and how to mend it."""

from __future__ import annotations

import contextlib
import difflib
import functools
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

NOT_THE_USERS = (str(Path(__file__).parent) + "/", "<frozen ", functools.__file__, contextlib.__file__)
"""How the file names of frames begin that are this package's or the interpreter's own."""

A_LINE_OF_NAMES = 5
"""How many names a message lists, unless they are few and short."""

CAUSE = 400
"""The most characters of a foreign exception's text in a message."""

COMMAND_LINE = str(Path(__file__).parent / "compile") + "/"
"""How the file names of frames begin that are the command line's; whoever called it wrote no flow."""


# Control characters but line ends and tabs, halves of characters, Unicode's ends of lines and paragraphs, and
# what changes the direction of text: a terminal obeys them, or cannot print them.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb\ud800-\udfff]"
)


def escaped(text: str, *, as_json: bool = False) -> str:
    r"""Escape in a text what a terminal would obey instead of printing it; line ends and tabs stay.

    All that is printed goes through it: names of columns, nodes and files may be a stranger's.

    Args:
        text: The text.
        as_json: Whether it is JSON, in whose strings the same characters are then meant.

    Example:
        >>> escaped("\x1b[31mred")
        '\\x1b[31mred'
    """
    if as_json:
        return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)


def escaped_name(name: str) -> str:
    """Escape a name that is printed without quotes: as `escaped`, and line ends and tabs, too."""
    return escaped(name).replace("\n", "\\n").replace("\t", "\\t")


def error_type(error: BaseException) -> str:
    """Return the name of an exception's class."""
    return str(type.__dict__["__name__"].__get__(type(error)))  # whatever its metaclass makes of the name


def error_text(error: BaseException, width: int = CAUSE) -> str:
    """Return what an exception says, at most so many characters of it; never raise.

    Args:
        error: Any exception, also of a class whose `__str__` raises or returns no text.
        width: The most characters.
    """
    try:
        text = str(error)
    except Exception as raised:  # noqa: BLE001 - it is the user's code
        return f"<its __str__ raises {error_type(raised)}>"
    return text if len(text) <= width else f"{text[: width - 3]}..."


def error_line(error: BaseException, width: int = CAUSE) -> str:
    """Return the class of an exception and what it says, in one line; never raise."""
    said = " ".join(error_text(error, width).split())
    return f"{error_type(error)}: {said}" if said else error_type(error)


def user_frame() -> FrameType | None:
    """The innermost frame of the running call stack that lies outside this package."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the documented way to look at the stack
    while frame is not None and frame.f_code.co_filename.startswith(NOT_THE_USERS):
        frame = None if frame.f_code.co_filename.startswith(COMMAND_LINE) else frame.f_back
    return frame


@dataclass(frozen=True)
class CallSite:
    """A line of the user's code.

    Attributes:
        file: Path of the source file, as the interpreter knows it.
        line: Line number, from 1.
    """

    file: str
    line: int

    @classmethod
    def nearest(cls) -> CallSite | None:
        """The innermost frame of the running call stack that lies outside this package."""
        frame = user_frame()
        return None if frame is None else cls(frame.f_code.co_filename, frame.f_lineno)

    def __str__(self) -> str:
        try:
            shown = str(Path(self.file).relative_to(Path.cwd()))
        except ValueError:
            shown = self.file
        return f"{escaped_name(shown)}:{self.line}"


class FlowError(Exception):
    """Something that the user can mend.

    Args:
        message: What is wrong, in one sentence without a full stop.
        site: The line of the user's code that it is about.
        hint: How to mend it.
    """

    def __init__(self, message: str, *, site: CallSite | None = None, hint: str | None = None) -> None:
        self.message = escaped(message)
        super().__init__(self.message)
        self.site = site
        self.hint = None if hint is None else escaped(hint)

    def __reduce__(self) -> tuple[object, ...]:
        return _restore, (type(self), self.message, self.site, self.hint)

    def __str__(self) -> str:
        where = f"{self.site}: " if self.site else ""
        hint = f"\n  hint: {self.hint}" if self.hint else ""
        return f"{where}{self.message}{hint}"


class DefinitionError(FlowError):
    """What was written does not make a flow: a wrong type, name, option or scope."""


class DefinitionTypeError(DefinitionError, TypeError):
    """A value of a type that is not taken here."""


class UnknownNameError(DefinitionError, AttributeError, KeyError):
    """A field, method, input or option that does not exist."""

    __str__ = DefinitionError.__str__


class InputError(FlowError):
    """The data that was given (a file, a batch, a dataset) is not what the flow takes."""


class JobError(FlowError):
    """A job that failed for another reason than a node."""


class NodeError(FlowError):
    """A node that raised on a row.

    Attributes:
        node: Name of the node.
        row: Number of the row in the source, or None where it is not known.
        data_file: The file of the source that the row is from; empty where it is not known.
        data_row: Number of the row in that file, or None where it is not known.
        values: The node's inputs at that row, cut to a line.
        cause: Type and message of what was raised.
        trace: The traceback of what was raised, as text.
        raised_in: The line of the user's code that raised; empty where it is this package's or a library's.
    """

    def __init__(  # noqa: PLR0913 - the parts of a report, all by name
        self,
        *,
        node: str,
        cause: str,
        site: CallSite | None,
        row: int | None = None,
        data_file: str = "",
        data_row: int | None = None,
        values: str = "",
        trace: str = "",
        raised_in: str = "",
        hint: str | None = None,
    ) -> None:
        at = "" if row is None else f" at row {row}"
        shown = f"\n  raised in: {raised_in}" if raised_in else ""
        shown += f"\n  file: {data_file}" if data_file else ""
        shown += f", row {data_row}" if data_file and data_row is not None else ""
        shown += f"\n  row: {values}" if values else ""
        super().__init__(f"node {node!r} failed{at}: {cause}{shown}", site=site, hint=hint)
        self.node = node
        self.row = row
        self.data_file = data_file
        self.data_row = data_row
        self.values = values
        self.cause = cause
        self.trace = trace
        self.raised_in = raised_in

    def __reduce__(self) -> tuple[object, ...]:
        return _restore_node_error, (self.to_json(),)

    def to_json(self) -> dict[str, object]:
        """The error as plain JSON values, to cross processes and runners."""
        return {
            "node": self.node,
            "cause": self.cause,
            "file": self.site.file if self.site else None,
            "line": self.site.line if self.site else None,
            "row": self.row,
            "data_file": self.data_file,
            "data_row": self.data_row,
            "values": self.values,
            "trace": self.trace,
            "raised_in": self.raised_in,
            "hint": self.hint,
        }

    @classmethod
    def from_json(cls, saved: dict[str, object]) -> NodeError:
        """The error that `to_json` wrote down."""
        fields = dict(saved)
        file, line = fields.pop("file"), fields.pop("line")
        site = CallSite(str(file), int(str(line))) if file else None
        return cls(site=site, **fields)  # type: ignore[arg-type]  # JSON carries no static types


def _restore(kind: type[FlowError], message: str, site: CallSite | None, hint: str | None) -> FlowError:
    return kind(message, site=site, hint=hint)


def _restore_node_error(saved: dict[str, object]) -> NodeError:
    return NodeError.from_json(saved)


def listed(names: Iterable[str]) -> str:
    """All names, for a message of one line."""
    return ", ".join(map(escaped_name, names))


def some_of(names: Sequence[str], most: int = A_LINE_OF_NAMES) -> str:
    """Names for a message: at most so many, and dots for the others."""
    return listed(names[:most]) + (", ..." if len(names) > most else "")


def shortened(value: object, width: int = 80) -> str:
    """A value for a message: its `repr`, where that is long its beginning, dots and its last character."""
    shown = repr(value)
    return shown if len(shown) <= width else f"{shown[: width - 4]}...{shown[-1]}"


def nearest_name(name: str, names: Iterable[str]) -> str | None:
    """The name in `names` that `name` was probably meant to be, or None."""
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.6)
    return close[0] if close else None


def unknown_name(
    what: str, name: str, names: Iterable[str], *, of: str, site: CallSite | None = None
) -> UnknownNameError:
    """The error for a name that does not exist: says the nearest one, or all of them.

    Args:
        what: What kind of name it is: "field", "input", "option".
        name: The name that was given.
        names: The names there are.
        of: What was asked for it: "source", "node Jinja2".
        site: Where; the nearest line of the user's code where it is None.
    """
    known = sorted(names)
    close = nearest_name(name, known)
    if close is not None:
        hint = f"did you mean {close!r}?"
    elif known:
        hint = f"there are: {listed(known)}"
    else:
        hint = f"{of} has no {what}s"
    return UnknownNameError(f"{of} has no {what} {name!r}", site=site or CallSite.nearest(), hint=hint)


class NearNames:
    """Something whose unknown attributes are answered with the nearest name that there is."""

    if not TYPE_CHECKING:  # type checkers know the names there are

        def __getattr__(self, name: str) -> Any:
            if hasattr(type(self), name):  # a property that raised
                return object.__getattribute__(self, name)
            if name.startswith("_"):
                msg = f"{type(self).__name__} has no attribute {name!r}"
                raise AttributeError(msg)
            known = [one for one in dir(self) if not one.startswith("_")]
            raise unknown_name("attribute", name, known, of=type(self).__name__)


def wrong_options(
    owner: type[BaseModel], given: Mapping[str, Any], error: ValidationError
) -> DefinitionError:
    """The error for options that are unknown, missing or of a wrong value.

    Args:
        owner: The class whose options they are: a node, a reader, a writer.
        given: The options as they were written.
        error: What pydantic found.
    """
    problem = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    option = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = [field.alias or name for name, field in owner.model_fields.items()]
        return unknown_name("option", option, known, of=owner.__name__)
    if problem["type"] == "missing":
        message = f"{owner.__name__} needs the option {option!r}"
        return DefinitionError(message, site=CallSite.nearest(), hint=f"{owner.__name__}({option}=...)")
    reason = problem["msg"].removeprefix("Value error, ")
    shown = f", got {given[option]!r:.80}" if option in given else ""
    at = f" option {option!r}" if option else ""
    return DefinitionError(f"{owner.__name__}{at}: {reason}{shown}", site=CallSite.nearest())
