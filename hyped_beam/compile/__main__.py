"""`python -m hyped_beam.compile`: prints what a job would run, and runs it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from hyped_beam.errors import DefinitionError, FlowError, InputError

DONE, FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130

EXAMPLES = """\
examples:
  python -m hyped_beam.compile examples/mail.py:job             what it would run: the plan
  python -m hyped_beam.compile examples/mail.py:job --run       run it here
  python -m hyped_beam.compile my.jobs:mail --print ir          the graph of job `mail` in module `my.jobs`
"""


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> Any:
        raise InputError(message, hint=f"{self.prog} --help")


def parser() -> argparse.ArgumentParser:
    """The arguments of the command line."""
    made = _Parser(
        prog="python -m hyped_beam.compile",
        description="Print what a data flow job would run, or run it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("target", help="file.py[:name] or package.module[:name]; the name is `job` by default")
    made.add_argument("--run", action="store_true", help="run the job")
    made.add_argument(
        "--print", choices=["plan", "ir", "dot"], dest="form", help="what to print (the plan by default)"
    )
    made.add_argument("--plot", metavar="FILE", help="draw the flow to a .svg, .png or .pdf file")
    made.add_argument("--runner", default="direct", metavar="NAME", help="where to run (direct by default)")
    made.add_argument(
        "--num-proc", type=int, default=1, metavar="N", help="how many processes compute (1 by default)"
    )
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: The arguments; those of the process by default.

    Returns:
        The exit status: 0 done, 1 the job failed, 2 the input was wrong, 130 interrupted.
    """
    try:
        return _run(parser().parse_args(arguments))
    except (DefinitionError, InputError) as error:
        sys.stderr.write(f"error: {'; '.join(line.strip() for line in str(error).splitlines())}\n")
        return WRONG_INPUT
    except FlowError as error:
        sys.stderr.write(f"error: {error}\n")
        return FAILED
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return INTERRUPTED


def _run(chosen: argparse.Namespace) -> int:
    from hyped_beam.compile.report import ProgressBar, summary
    from hyped_beam.compile.target import load_target

    job = load_target(chosen.target)
    if chosen.num_proc < 1:
        raise InputError(f"--num-proc is at least 1, got {chosen.num_proc}")
    plan = job.plan()
    _print(plan, chosen.form, quiet=chosen.run and chosen.form is None and chosen.plot is not None)
    if chosen.plot:
        from hyped_beam.dsl.plot import save

        save(plan.graph, chosen.plot)
    if chosen.run:
        result = job.run(runner=chosen.runner, num_proc=chosen.num_proc, progress=ProgressBar())
        sys.stdout.write(summary(result) + "\n")
    return DONE


def _print(plan: Any, form: str | None, *, quiet: bool) -> None:
    if quiet:
        return
    if form == "ir":
        from hyped_beam.ir.text import graph_text

        sys.stdout.write(graph_text(plan.graph))
    elif form == "dot":
        from hyped_beam.dsl.plot import dot_text

        sys.stdout.write(dot_text(plan.graph))
    else:
        from hyped_beam.plan.text import plan_text

        sys.stdout.write(plan_text(plan))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
