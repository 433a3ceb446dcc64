"""A layout of graphviz on matplotlib axes, as shapes and text that stay sharp at any size.

Imports matplotlib, so it is imported only when something is drawn.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import matplotlib.font_manager
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.font_manager import FontProperties
from matplotlib.ft2font import FT2Font, LoadFlags
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.transforms import Affine2D, Bbox

FAMILY = "DejaVu Sans"
"""The font that matplotlib itself brings along."""

NARROWING = 0.88
"""The size of text in that font that is as wide as text in Helvetica, which graphviz measured with."""

PADDING = 8.0
"""Points around the picture."""

POINTS_PER_INCH = 72.0

MEASURED_SIZE = 100.0
"""The size in which text is measured, large enough for rounding not to matter."""

LINE_STYLES = ("solid", "dashed", "dotted")

OVERHANG = 8.0
"""Points by which text may be wider than graphviz measured: less than the margins around it."""

BOLD = 1
"""The bit of graphviz's font characteristics that says bold."""


class ScaledText(Text):
    """Text whose size is in units of the data, so that it grows and shrinks with its axes."""

    def __init__(self, x: float, y: float, text: str, *, size_in_data: float, **arguments: Any) -> None:
        super().__init__(x, y, text, parse_math=False, **arguments)
        self._size_in_data = size_in_data

    def draw(self, renderer: RendererBase, *arguments: Any, **named: Any) -> None:
        """Draw it in the size that the axes have now."""
        self.set_fontsize(_points(self, self._size_in_data))
        super().draw(renderer, *arguments, **named)

    def get_window_extent(self, renderer: RendererBase | None = None, dpi: float | None = None) -> Bbox:
        """The space that it takes in the size that the axes have now."""
        self.set_fontsize(_points(self, self._size_in_data))
        return super().get_window_extent(renderer, dpi)


class ScaledPatch(PathPatch):
    """A shape whose line becomes thinner as its axes become smaller."""

    def __init__(self, path: Path, *, linewidth: float, **arguments: Any) -> None:
        super().__init__(path, linewidth=linewidth, **arguments)
        self._width_in_data = linewidth

    def draw(self, renderer: RendererBase) -> None:
        """Draw it in the size that the axes have now."""
        self.set_linewidth(min(self._width_in_data, _points(self, self._width_in_data)))
        super().draw(renderer)


def _points(artist: Artist, length: float) -> float:
    """A length of the data in points, as large as the axes are now."""
    figure = artist.get_figure(root=True)
    if figure is None or artist.axes is None:
        return length
    pixels = float(artist.axes.transData.get_matrix()[1, 1]) * length
    return max(pixels * POINTS_PER_INCH / figure.dpi, 0.01)


def figure_size(placed: dict[str, Any]) -> tuple[float, float]:
    """Width and height in inches of a figure in which text has the size that it was laid out in."""
    left, bottom, right, top = _bounds(placed)
    return (right - left) / POINTS_PER_INCH, (top - bottom) / POINTS_PER_INCH


def paint(placed: dict[str, Any], ax: Axes) -> None:
    """Draw a layout on axes, whose frame and ticks go."""
    left, bottom, right, top = _bounds(placed)
    ax.set_axis_off()
    ax.set_xlim(left, right)
    ax.set_ylim(bottom, top)
    ax.set_aspect("equal")
    for part in (placed, *placed.get("edges", ()), *placed.get("objects", ())):
        if part is not placed:
            _Pen(ax, part).draw(("_draw_", "_hdraw_", "_tdraw_"))
        _Pen(ax, part).draw(("_ldraw_",))


def _bounds(placed: dict[str, Any]) -> tuple[float, float, float, float]:
    left, bottom, right, top = (float(number) for number in placed["bb"].split(","))
    return left - PADDING, bottom - PADDING, right + PADDING, top + PADDING


class _Pen:
    """Carries out the drawing operations of graphviz ("xdot") for one node or edge."""

    def __init__(self, ax: Axes, part: dict[str, Any]) -> None:
        self.ax = ax
        self.part = part
        self.line = self.fill = "#000000"
        self.style = "solid"
        self.size = 10.0
        self.bold = False
        self.width = float(part.get("penwidth", 1.0))
        self.label = part.get("name", "")

    def draw(self, layers: tuple[str, ...]) -> None:
        for layer in layers:
            for operation in self.part.get(layer, ()):
                self._carry_out(operation["op"], operation)

    def _carry_out(self, code: str, operation: dict[str, Any]) -> None:
        if code == "c":
            self.line = operation["color"]
        elif code == "C":
            self.fill = operation["color"]
        elif code == "S":
            self.style = operation["style"] if operation["style"] in LINE_STYLES else self.style
        elif code == "F":
            self.size = operation["size"]
        elif code == "t":
            self.bold = bool(operation["fontchar"] & BOLD)
        elif code == "T":
            self._text(operation)
        elif code in "pPLbBeE":
            self._shape(_path(code, operation), filled=code in "PBE")

    def _shape(self, path: Path, *, filled: bool) -> None:
        over = 2 if "tail" not in self.part else 1
        self.ax.add_artist(
            ScaledPatch(
                path,
                facecolor=self.fill if filled else "none",
                edgecolor=self.line,
                linestyle=self.style,
                linewidth=self.width,
                zorder=over,
            )
        )

    def _text(self, operation: dict[str, Any]) -> None:
        weight = "bold" if self.bold else "normal"
        text = displayable(operation["text"], weight)
        size = self.size * NARROWING
        natural = _width(text, weight) * size
        if natural > operation["width"] + OVERHANG:
            size *= (operation["width"] + OVERHANG) / natural
        (x, y), align = operation["pt"], operation["align"]
        if "tail" not in self.part and align == "l":  # all lines of a box are centred
            x, align = x + operation["width"] / 2, "n"
        shown = ScaledText(
            x,
            y,
            text,
            size_in_data=size,
            family=FAMILY,
            weight=weight,
            color=self.line,
            horizontalalignment={"l": "left", "n": "center", "r": "right"}[align],
            verticalalignment="baseline",
            zorder=3,
            clip_on=True,
        )
        self.ax.add_artist(shown)


def _path(code: str, operation: dict[str, Any]) -> Path:
    if code in "eE":
        x, y, width, height = operation["rect"]
        return Affine2D().scale(width, height).translate(x, y).transform_path(Path.unit_circle())
    points = operation["points"]
    if code in "bB":
        return Path(points, [Path.MOVETO, *[Path.CURVE4] * (len(points) - 1)])
    if code == "L":
        return Path(points)
    return Path([*points, points[0]], closed=True)


@lru_cache(maxsize=4)
def _font(weight: str) -> FT2Font:
    found = matplotlib.font_manager.findfont(FontProperties(family=FAMILY, weight=weight))
    font = FT2Font(found)
    font.set_size(MEASURED_SIZE, POINTS_PER_INCH)
    return font


def displayable(text: str, weight: str = "normal") -> str:
    """A text with a box in place of each character that the font does not have."""
    font = _font(weight)
    return "".join(
        character if font.get_char_index(ord(character)) else "\N{WHITE SQUARE}" for character in text
    )


def _width(text: str, weight: str) -> float:
    """The width of a text in units of its size."""
    font = _font(weight)
    font.set_text(text, 0.0, flags=LoadFlags.NO_HINTING)
    return float(font.get_width_height()[0]) / 64 / MEASURED_SIZE
