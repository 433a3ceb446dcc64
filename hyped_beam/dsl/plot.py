"""Pictures of flows: on matplotlib axes, in files, in notebooks, and as DOT text."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from hyped_beam.dsl.drawing import dot as dots
from hyped_beam.dsl.drawing.picture import picture_of
from hyped_beam.errors import CallSite, DefinitionError, nearest_name
from hyped_beam.ir.graph import Graph
from hyped_beam.plan.joins import Choice

if TYPE_CHECKING:
    import pydot
    from matplotlib.axes import Axes

Joins: TypeAlias = Mapping[int, Choice]
"""Where groups are put together, by the number of their KEYS node."""

FORMATS = (".svg", ".png", ".pdf")
"""The kinds of file that pictures are saved to."""

DOTS_PER_INCH = 150
"""Of PNG files."""

LARGEST_FIGURE = 400.0
"""Inches; matplotlib makes no picture of more than 65,536 pixels a side."""


def draw(
    graph: Graph,
    *,
    ax: Axes | None = None,
    path: str | os.PathLike[str] | None = None,
    title: str | None = None,
    joins: Joins | None = None,
) -> Axes:
    """Draw a flow on matplotlib axes.

    Args:
        graph: The flow.
        ax: The axes to draw on; new ones by default, in a figure of pyplot as large as the flow needs.
        path: A file to save the picture to as well: `.svg`, `.png` or `.pdf`.
        title: A line above the flow.
        joins: Where groups are put together, as the plan chooses.

    Returns:
        The axes; a notebook shows them.

    Raises:
        DefinitionError: The file is of another kind, or its folder does not exist.
    """
    file = None if path is None else _checked(path)
    dot, placed = dots.arranged(picture_of(graph, joins), title=title)
    if file is not None:
        _write(file, dot, placed)

    from hyped_beam.dsl.drawing import axes

    if ax is None:
        from matplotlib import pyplot

        figure = pyplot.figure(figsize=_size(placed))
        ax = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.paint(placed, ax)
    return ax


def save(
    graph: Graph, path: str | os.PathLike[str], *, title: str | None = None, joins: Joins | None = None
) -> None:
    """Save the picture of a flow, without a figure of pyplot.

    Args:
        graph: The flow.
        path: The file: `.svg`, `.png` or `.pdf`.
        title: A line above the flow.
        joins: Where groups are put together, as the plan chooses.

    Raises:
        DefinitionError: The file is of another kind, or its folder does not exist.
    """
    file = _checked(path)
    _write(file, *dots.arranged(picture_of(graph, joins), title=title))


def svg(graph: Graph, *, title: str | None = None, joins: Joins | None = None) -> str:
    """A flow as an `<svg>` element that fits the width of the page it is put into."""
    dot, _ = dots.arranged(picture_of(graph, joins), title=title)
    document = dots.svg_of(dot)
    element = document[document.index("<svg") :]
    return element.replace("<svg ", '<svg style="max-width: 100%; height: auto" ', 1)


def dot_text(graph: Graph, *, title: str | None = None, joins: Joins | None = None) -> str:
    """A flow in the DOT language of graphviz."""
    dot, _ = dots.arranged(picture_of(graph, joins), title=title)
    return dot.to_string()


def _checked(path: str | os.PathLike[str]) -> Path:
    file = Path(path)
    suffix = file.suffix.lower()
    if suffix not in FORMATS:
        close = nearest_name(suffix, FORMATS)
        shown = f"ends in {file.suffix!r}" if suffix else "has no suffix"
        raise DefinitionError(
            f"a flow is drawn to {', '.join(FORMATS[:-1])} or {FORMATS[-1]}, and {str(path)!r} {shown}",
            site=CallSite.nearest(),
            hint=f"write {str(file.with_suffix(close or FORMATS[0]))!r}" if file.name else None,
        )
    if not file.parent.is_dir():
        raise DefinitionError(
            f"the folder {str(file.parent)!r} does not exist", site=CallSite.nearest(), hint="make it first"
        )
    if file.exists() and not file.is_file():
        kind = "a folder" if file.is_dir() else "a pipe, a socket or a device"
        raise DefinitionError(f"{str(path)!r} is {kind}, and no file", site=CallSite.nearest())
    return file


def _write(file: Path, dot: pydot.Dot, placed: dict[str, Any]) -> None:
    if file.suffix.lower() == ".svg":
        file.write_text(dots.svg_of(dot), encoding="utf-8")
        return

    from matplotlib.figure import Figure

    from hyped_beam.dsl.drawing import axes

    figure = Figure(figsize=_size(placed))
    axes.paint(placed, figure.add_axes((0.0, 0.0, 1.0, 1.0)))
    # without the date, the same flow is the same bytes
    metadata = {"CreationDate": None} if file.suffix.lower() == ".pdf" else {}
    figure.savefig(file, dpi=DOTS_PER_INCH, facecolor="white", metadata=metadata)


def _size(placed: dict[str, Any]) -> tuple[float, float]:
    """The size of the figure in inches."""
    from hyped_beam.dsl.drawing import axes

    width, height = axes.figure_size(placed)
    shrunk = min(1.0, LARGEST_FIGURE / max(width, height))
    return width * shrunk, height * shrunk
