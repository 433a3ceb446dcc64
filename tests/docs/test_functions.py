"""The table of functions in docs/data_flow.md says what `ops` holds."""

from __future__ import annotations

import inspect
from pathlib import Path

from hyped_beam import ops

PAGE = Path(__file__).parents[2] / "docs/data_flow.md"


def table() -> str:
    """One row per function: how it is called, and the first line of its documentation."""
    lines = ["| function | does |", "|---|---|"]
    for name in sorted(ops.__all__):
        first = (inspect.getdoc(getattr(ops, name)) or "").partition("\n")[0]
        shown = first.replace("|", "\\|")
        lines.append(f"| `{called(name)}` | {shown} |")
    return "\n".join(lines)


def called(name: str) -> str:
    """A call with the names of all arguments, and the defaults of those that have one."""
    parameters = inspect.signature(getattr(ops, name)).parameters.values()
    bare = [one.replace(annotation=one.empty) for one in parameters]
    shown = str(inspect.Signature(bare)).replace("(/", "(").replace(", /", "")
    return f"ops.{name}{shown}".replace("|", "\\|")


def test_table_of_functions_is_ops():
    _, _, rest = PAGE.read_text(encoding="utf-8").partition("<!-- functions: begin")
    written = rest.partition("-->\n")[2].partition("<!-- functions: end")[0].strip()
    assert written == table(), f"put this into {PAGE.name}:\n{table()}"
