"""A node's error inside a Beam worker: as text that survives every runner, and back."""

from __future__ import annotations

import json

from hyped_beam.errors import CallSite, FlowError, InputError, JobError, NodeError, error_text, error_type

_BEGIN, _END = "<<hyped-beam-failure ", " hyped-beam-failure>>"
_KINDS: dict[str, type[FlowError]] = {"InputError": InputError, "JobError": JobError}


class StageFailedError(RuntimeError):
    """What a stage raises inside a Beam worker: the failure as text that `find_failure` reads."""


def as_text(error: FlowError) -> str:
    """An error as text, with marks around it."""
    if isinstance(error, NodeError):
        saved: dict[str, object] = {"kind": "NodeError", **error.to_json()}
    else:
        kind = next((name for name, known in _KINDS.items() if isinstance(error, known)), "JobError")
        site = None if error.site is None else [error.site.file, error.site.line]
        saved = {"kind": kind, "message": error.message, "hint": error.hint, "site": site}
    # Hexadecimal, because runners quote, escape and re-wrap the messages of exceptions.
    first = next(iter(error.message.splitlines()), "")
    return f"{first} {_BEGIN}{json.dumps(saved).encode().hex()}{_END}"


def find_failure(text: str) -> FlowError | None:
    """The error in the text of an exception that a runner raised; None where there is none of ours."""
    begin = text.find(_BEGIN)
    end = text.find(_END, begin)
    if begin < 0 or end < 0:
        return None
    saved = json.loads(bytes.fromhex(text[begin + len(_BEGIN) : end]))
    kind = saved.pop("kind")
    if kind == "NodeError":
        return NodeError.from_json(saved)
    site = None if saved["site"] is None else CallSite(*saved["site"])
    return _KINDS[kind](saved["message"], site=site, hint=saved["hint"])


class raising_text:  # noqa: N801 - used as a statement
    """A context in which errors of ours become exceptions whose text survives the runner."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, FlowError):
            raise StageFailedError(as_text(error)) from error
        if isinstance(error, OSError):
            raise StageFailedError(as_text(JobError(f"{error_type(error)}: {error_text(error)}"))) from error
