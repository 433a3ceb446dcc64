"""A picture as a DOT graph, and what graphviz makes of it: SVG, or the places of everything."""

from __future__ import annotations

import contextlib
import html
import importlib.metadata
import io
import json
import re
import shutil
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hyped_beam.dsl.drawing.picture import Arrow, Box, Picture
from hyped_beam.errors import FlowError, escaped
from hyped_beam.ir.graph import Kind

if TYPE_CHECKING:
    import pydot

EXECUTABLE = "graphviz-pure"
"""The distribution, and the program in it, that lays graphs out."""

PAGE = (11.0, 8.0)
"""Width and height in inches that a picture should rather fit into, a screen's worth of a notebook."""

DIRECTIONS = ("LR", "TB")
"""To the right, as one reads, where both fit a page."""

POINTS_PER_INCH = 72.0

INK, FAINT = "#1a1a1a", "#555555"


class Style(NamedTuple):
    """How boxes of a kind look; told apart by shape and by lightness as well as by hue."""

    shape: str
    fill: str
    line: str
    margin: str = "0.16,0.09"


# The hues are those of Okabe and Ito, which people with any colour vision tell apart.
STYLES = {
    Kind.SOURCE: Style("cylinder", "#d6eaf8", "#0072b2"),
    Kind.MAP: Style("box", "#f7f7f7", "#666666"),
    Kind.AGGREGATE: Style("octagon", "#fdebd0", "#d55e00", margin="0,0"),
    Kind.SINK: Style("box", "#cdeee2", "#009e73"),
}
OTHER_STYLE = Style("box", "#f5e6f0", "#cc79a7")


def dot_of(picture: Picture, *, direction: str, title: str | None = None) -> pydot.Dot:
    """A picture as a pydot graph.

    Args:
        picture: What to draw.
        direction: "LR" for left to right, "TB" for top to bottom.
        title: A line above it.
    """
    import pydot

    dot = pydot.Dot(
        "flow",
        graph_type="digraph",
        rankdir=direction,
        bgcolor="white",
        nodesep="0.3",
        ranksep="0.3",
        pad="0.1",
    )
    dot.set_node_defaults(fontname="Helvetica", fontsize="12", fontcolor=INK, height="0.3")
    dot.set_edge_defaults(
        fontname="Helvetica", fontsize="9.5", fontcolor=INK, color="#444444", arrowsize="0.7", penwidth="1"
    )
    if title:
        dot.set("label", _html([f"<b>{_escape(title)}</b>"]))
        dot.set("labelloc", "t")
        dot.set("fontname", "Helvetica")
        dot.set("fontsize", "14")
    for box in picture.boxes:
        dot.add_node(_node(box))
    for arrow in picture.arrows:
        dot.add_edge(_edge(arrow))
    return dot


def arranged(picture: Picture, *, title: str | None = None) -> tuple[pydot.Dot, dict[str, Any]]:
    """A picture in the direction in which it needs to be shrunk the least to fit a page.

    Args:
        picture: What to draw.
        title: A line above it.

    Returns:
        The graph, and where graphviz puts everything, in points: its JSON form with drawing operations.
    """
    tried = []
    for direction in DIRECTIONS:
        dot = dot_of(picture, direction=direction, title=title)
        placed: dict[str, Any] = json.loads(_run(dot, "json"))
        tried.append((dot, placed))
    return min(tried, key=lambda made: _shrinking(made[1]))


def _shrinking(placed: dict[str, Any]) -> float:
    left, bottom, right, top = (float(number) / POINTS_PER_INCH for number in placed["bb"].split(","))
    return max(1.0, (right - left) / PAGE[0], (top - bottom) / PAGE[1])


def svg_of(dot: pydot.Dot) -> str:
    """A graph as an SVG document."""
    return _run(dot, "svg").decode("utf-8")


def _node(box: Box) -> pydot.Node:
    import pydot

    style = STYLES.get(box.kind, OTHER_STYLE)
    title = f"<b>{_escape(box.title)}</b>"
    lines = [f'<font point-size="10" color="{FAINT}">{_escape(line)}</font>' for line in box.lines]
    return pydot.Node(
        f"n{box.node}",
        label=_html([title, *lines]),
        tooltip=_quoted(box.tooltip),
        shape=style.shape,
        margin=f'"{style.margin}"',
        style='"rounded,filled"' if box.kind is Kind.MAP else "filled",
        fillcolor=style.fill,
        color=style.line,
        penwidth="1.2",
        peripheries="2" if box.kind is Kind.SINK else "1",
    )


def _edge(arrow: Arrow) -> pydot.Edge:
    import pydot

    label = [f"&#160;{_escape(line)}&#160;" for line in arrow.lines]
    return pydot.Edge(
        f"n{arrow.tail}",
        f"n{arrow.head}",
        label=_html(label, align="left"),
        style="dashed" if arrow.whole_dataset else "solid",
        tooltip=_quoted("\n".join(arrow.lines)),
    )


def _html(lines: Iterable[str], align: str = "center") -> str:
    """Lines of markup as an HTML-like label; the last is left as it is, or it would end in an empty line."""
    listed = list(lines)
    if align == "center":
        return f"<{'<br/>'.join(listed)}>"
    return "<" + "".join(f'{line}<br align="{align}"/>' for line in listed) + ">"


# What XML 1.0 has no way to write.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", escaped(text))


def _escape(text: str) -> str:
    """Text as markup of an HTML-like label, where backslashes mean something and runs of spaces nothing."""
    markup = html.escape(_clean(text), quote=False)
    return markup.replace("\\", "\\\\").replace("  ", " &#160;")


def _quoted(text: str) -> str:
    """Text as a quoted string of DOT, which reads backslashes and character entities in it."""
    clean = _clean(text).replace("&", "&amp;")
    clean = clean.replace("\\", "\\\\").replace('"', '\\"').replace("\r", "").replace("\n", "&#10;")
    return f'"{clean}"'


def _run(dot: pydot.Dot, form: str) -> bytes:
    program = executable()
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):  # where pydot says what went wrong
            made: Any = dot.create(prog=program, format=form, encoding="utf-8")
    except (AssertionError, OSError) as error:
        raise FlowError(f"{program} cannot draw the flow: {said.getvalue().strip() or error}") from error
    return bytes(made)


@lru_cache(maxsize=1)
def executable() -> str:
    """The path of the program that lays graphs out: the one from the wheel, else one on the PATH.

    Raises:
        FlowError: There is none.
    """
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        for file in importlib.metadata.files(EXECUTABLE) or ():
            path = Path(str(file.locate()))
            if path.stem == EXECUTABLE and path.suffix in ("", ".exe") and path.is_file():
                return str(path.resolve())
    found = shutil.which(EXECUTABLE) or shutil.which("dot")
    if found is None:
        raise FlowError(f"the program {EXECUTABLE} is missing", hint=f"pip install {EXECUTABLE}")
    return found
