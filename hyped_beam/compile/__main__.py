"""`python -m hyped_beam.compile`: prints what a job would run, and runs it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from hyped_beam.compile.arguments import Request, parse
from hyped_beam.errors import DefinitionError, FlowError, InputError, JobError, error_line

if TYPE_CHECKING:
    from hyped_beam.compile.console import Console

DONE, FAILED, WRONG_INPUT = 0, 1, 2

TRACEBACK = "HYPED_BEAM_TRACEBACK"
"""The variable of the environment that lets an exception that nobody expected show where it came from."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: The arguments; those of the process by default.

    Returns:
        The exit status: 0 done, 1 the job failed, 2 what was given is wrong, 130 or 143 interrupted.
    """
    from hyped_beam.compile.console import console
    from hyped_beam.compile.interrupts import interruptible

    with interruptible() as interrupts:
        shown = console(as_json=False)
        try:
            request = parse(arguments)
            out = _own_stdout() if arguments is None else sys.stdout
            shown = console(as_json=request.json, out=out)
            with contextlib.redirect_stdout(sys.stderr):
                _answer(request, shown)
        except KeyboardInterrupt:
            shown.close()
            shown.interrupted(interrupts.status)
            return interrupts.status
        except SystemExit as left:  # --help
            return int(left.code or DONE)
        except (DefinitionError, InputError) as error:
            return _failed(shown, WRONG_INPUT, error)
        except FlowError as error:
            return _failed(shown, FAILED, error)
        except Exception as error:
            if os.environ.get(TRACEBACK):
                raise
            return _failed(shown, FAILED, _unexpected(error))
    return DONE


def _own_stdout() -> TextIO:
    """Standard output for us alone: what scripts, nodes and worker processes print goes to standard error."""
    sys.stdout.flush()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return out


def _answer(request: Request, shown: Console) -> None:
    from hyped_beam.compile.session import run_request

    run_request(request, shown)


def _failed(shown: Console, status: int, error: FlowError) -> int:
    shown.close()
    shown.failed(status, error)
    return status


def _unexpected(error: Exception) -> JobError:
    hint = f"this is a defect of hyped_beam; {TRACEBACK}=1 shows where it is, for a report"
    return JobError(f"unexpected {error_line(error)}", hint=hint)


if __name__ == "__main__":
    sys.exit(main())
