"""What may be written on the command line, and what was."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from hyped_beam.errors import InputError, nearest_name

Form = Literal["plan", "ir", "dot", "proto"]

FORMS = ("plan", "ir", "dot", "proto")
OVERWRITES = ("error", "replace", "resume")

DESCRIPTION = """\
Shows what a data flow would do, and runs it.

A flow is written in Python and says what becomes of each row of some files; a job is a flow with a source
and folders to write to. Without --run nothing is computed or written: the plan is printed.
"""

EXAMPLES = """\
examples:
  What would be done? Print the plan of the variable `job` in a script:
      python -m hyped_beam.compile examples/mail.py

  Try it on the first 100 rows of other files, into a folder of one's own:
      python -m hyped_beam.compile examples/mail.py --run --limit 100 --input 'data/*.parquet' --output try/

  Run all of it with 4 processes, and go on with it after an interruption:
      python -m hyped_beam.compile examples/mail.py:job --run --num-proc 4 --overwrite resume

exit status:
  0 done; 1 the job failed while it ran; 2 what was given is wrong, and nothing was written;
  130 interrupted by Ctrl-C, 143 by SIGTERM: what is done is kept, --overwrite resume goes on from there
"""


@dataclass(frozen=True)
class Request:
    """What was asked for.

    Attributes:
        target: The job: `file.py[:name]`, `package.module[:name]` or `flow.json`.
        run: Whether to run it.
        form: What to print; None where that was not said.
        plot: The file to draw to.
        source: What is read instead of the job's source.
        outputs: The folders of outputs by their names; the name of a folder given alone is empty.
        limit: How many of the first rows are read.
        overwrite: What is done with earlier output, instead of what the writers say.
        verify: Whether resuming compares the checksums of files; None for what the writers say.
        runner: The name of a runner profile.
        num_proc: How many processes compute; None for what the writers say.
        cache: The folder that states of aggregates are kept in; None for none.
        json: Whether to print JSON objects, for machines.
        modules: The modules with the nodes of a saved flow.
        hosts: The hosts at which tables of a saved flow may lie.
        rest: The arguments that are not ours: Beam's options.
    """

    target: str
    run: bool
    form: Form | None
    plot: str | None
    source: str | None
    outputs: Mapping[str, str]
    limit: int | None
    overwrite: Literal["error", "replace", "resume"] | None
    verify: bool | None
    runner: str
    num_proc: int | None
    cache: str | None
    json: bool
    modules: tuple[str, ...]
    hosts: tuple[str, ...]
    rest: tuple[str, ...]


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line that says how to mend them."""

    def error(self, message: str) -> NoReturn:
        raise InputError(message, hint=f"{self.prog} --help")


def parser() -> argparse.ArgumentParser:
    """The arguments that are ours."""
    made = _Parser(
        prog="python -m hyped_beam.compile",
        usage="%(prog)s TARGET [options]",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    made.add_argument_group("the flow").add_argument(
        "target",
        metavar="TARGET",
        help="a script, a module or a saved flow: file.py[:name], package.module[:name] or flow.json; the "
        "name is that of a job, a built flow or a function that returns one, and `job` unless it is given",
    )
    _add_looking(made.add_argument_group("to look at it"))
    _add_running(made.add_argument_group("to run it"))
    other = made.add_argument_group("other")
    other.add_argument(
        "--module",
        dest="modules",
        action="append",
        default=[],
        metavar="NAME",
        help="a module with nodes of your own that flow.json uses; may be given several times",
    )
    other.add_argument(
        "--host",
        dest="hosts",
        action="append",
        default=[],
        metavar="NAME",
        help="a host at which tables of flow.json may lie, and that may be given your credentials",
    )
    other.add_argument("--json", action="store_true", help="print one JSON object a line, for programs")
    other.add_argument("--help", "-h", action="help", help="print this")
    other.description = "Options that are not listed here are Beam's, such as --direct_num_workers 2."
    return made


def _add_looking(group: Any) -> None:
    group.add_argument(
        "--print",
        dest="form",
        type=_one_of(FORMS),
        metavar="FORM",
        help="plan: what is done, step by step (the default); ir: the graph of nodes; dot: the graph for "
        "graphviz; proto: the Beam pipeline, as text on a terminal and as bytes in a file or pipe",
    )
    group.add_argument("--plot", metavar="FILE", help="draw the flow to a .svg, .png or .pdf file")


def _add_running(group: Any) -> None:
    group.add_argument("--run", action="store_true", help="run it, and say at the end what it has made")
    group.add_argument(
        "--input",
        dest="source",
        metavar="PATH",
        help="read this instead of the job's own source: a file, a folder, a URI, or a pattern in quotes",
    )
    group.add_argument(
        "--output",
        dest="outputs",
        action="append",
        default=[],
        metavar="[NAME=]FOLDER",
        help="write the output NAME to this folder or URI instead; a single output needs no name; "
        "FOLDER.csv, .jsonl, .parquet or .arrow also changes the format; aggregates=FILE is "
        "the file of aggregates",
    )
    group.add_argument(
        "--limit", type=_at_least_one, metavar="N", help="read only the first N rows, to try something"
    )
    group.add_argument(
        "--overwrite",
        type=_one_of(OVERWRITES),
        metavar="HOW",
        help="what is done with the output of an earlier run: error refuses it, replace removes it, resume "
        "does only what is missing (by default what the job says)",
    )
    group.add_argument(
        "--no-verify",
        dest="verify",
        action="store_false",
        default=None,
        help="with --overwrite resume: compare the sizes of files that are there, not their checksums",
    )
    group.add_argument(
        "--num-proc",
        type=_at_least_one,
        metavar="N",
        help="how many processes compute (by default the most that a writer of the job asks for, else 1)",
    )
    group.add_argument(
        "--cache",
        metavar="FOLDER",
        help="keep here what each file adds to the aggregates, and do not read again what has not changed",
    )
    group.add_argument(
        "--runner", default="direct", metavar="NAME", help="where it runs (direct, this machine, by default)"
    )


def parse(arguments: Sequence[str] | None = None) -> Request:
    """What was asked for.

    Args:
        arguments: The arguments; those of the process by default.

    Raises:
        InputError: They are wrong.
        SystemExit: They asked for help, which was printed.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    chosen, rest = parser().parse_known_args(given)
    fields = vars(chosen)
    fields["outputs"] = _by_name(fields["outputs"])
    fields["modules"] = tuple(fields["modules"])
    fields["hosts"] = tuple(fields["hosts"])
    return Request(**fields, rest=tuple(rest))


def own_options() -> list[str]:
    """The names of our options, with their dashes."""
    return [name for action in parser()._actions for name in action.option_strings]  # noqa: SLF001 - no other way


def _at_least_one(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def _one_of(names: Sequence[str]) -> Any:
    def check(text: str) -> str:
        if text in names:
            return text
        close = nearest_name(text, names)
        mend = f"did you mean {close!r}?" if close else f"there are {', '.join(names)}"
        raise argparse.ArgumentTypeError(f"there is no {text!r}: {mend}")

    return check


def _by_name(given: Sequence[str]) -> dict[str, str]:
    folders: dict[str, str] = {}
    for text in given:
        name, equals, folder = text.partition("=")
        if not equals or "/" in name:  # a folder whose name holds an equals sign
            name, folder = "", text
        if not folder:
            raise InputError(f"--output {text!r} names no folder", hint="write --output NAME=FOLDER")
        if name in folders:
            what = f"the output {name!r}" if name else "a folder without the name of its output"
            raise InputError(
                f"--output gives {what} twice", hint="write --output NAME=FOLDER, each name once"
            )
        folders[name] = folder
    return folders
