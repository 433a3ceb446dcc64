"""How Sphinx makes a site of these pages: `make docs`, into build/docs."""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))
os.environ["HF_HUB_OFFLINE"] = "1"

import hyped_beam  # noqa: E402 - that of this checkout

project = "hyped_beam"
version = release = hyped_beam.__version__
language = "en"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 3
# In docstrings one pair of backquotes is code, as in Markdown.
default_role = "code"

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings say what is taken; annotations of columns are patterns, and long
autodoc_inherit_docstrings = False
strip_signature_backslash = True  # so that arguments named like `in_` are no links
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = "hyped_beam"
html_show_sourcelink = False
html_copy_source = False
html_show_copyright = False

LINK = re.compile(r"\[([^\]]+)\]\(([^)#\s:]+)(#[^)\s]*)?\)")


def unlink_files_outside(_app: Sphinx, docname: str, source: list[str]) -> None:
    """Leave the names of files in the checkout that are no pages, and so are not in the site."""
    page = DOCS / docname

    def shown(link: re.Match[str]) -> str:
        target = (page.parent / link[2]).resolve()
        return link[0] if target.is_relative_to(DOCS) else link[1]

    source[0] = LINK.sub(shown, source[0])


class Library(SphinxDirective):
    """`.. library:: hyped_beam.processors`: the nodes of a package, a section for each module."""

    required_arguments: ClassVar[int] = 1

    def run(self) -> list[nodes.Node]:
        """The sections."""
        lines: list[str] = []
        for module in modules_of(self.arguments[0]):
            found = [
                f".. autoclass:: {module.__name__}.{node.__name__}\n\n   {written_as(node)}\n"
                for node in nodes_of(module)
            ]
            if found:
                heading, _, rest = (module.__doc__ or "").strip().partition("\n")
                heading = heading.rstrip(".")
                lines += [heading, "-" * len(heading), rest, "", *found]
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def modules_of(package: str) -> Iterator[ModuleType]:
    """The modules of a package, those of packages within it too."""
    for found in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
        yield importlib.import_module(found.name)


def nodes_of(module: ModuleType) -> list[type[Any]]:
    """The public nodes that a module defines, in its order."""
    from hyped_beam import Aggregator, Augmentor, Processor

    kinds = (Aggregator, Augmentor, Processor)
    return [
        value
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, kinds)
        if value.__module__ == module.__name__ and not name.startswith("_")
    ]


def written_as(node: type[Any]) -> str:
    """Which methods and operators of refs a node is, as a line; empty where it is none."""
    from hyped_beam.nodes.registry import load_library, methods_of, operators_of
    from hyped_beam.types.features import Family

    load_library()
    written: dict[str, None] = {}
    for family in Family:
        written |= {f"`.{name}(...)`": None for name, known in methods_of(family).items() if known is node}
        written |= {f"`{sign}`": None for sign, known in operators_of(family).items() if known is node}
    return f"On refs: {', '.join(written)}." if written else ""


class CommandHelp(SphinxDirective):
    """`.. command-help::`: what `python -m hyped_beam.compile --help` prints."""

    def run(self) -> list[nodes.Node]:
        """The text as it is."""
        from hyped_beam.compile.arguments import parser

        os.environ["COLUMNS"] = "110"
        text = parser().format_help()
        return [nodes.literal_block(text, text, language="text")]


def hide_internal_arguments(*event: Any) -> tuple[str | None, str | None]:
    """The signature of a class without the `*args` of nodes, which only serve to refuse them."""
    _, _, _, _, _, signature, returned = event
    return re.sub(r"^\(\*args(, )?", "(", signature or "") or None, returned


def setup(app: Sphinx) -> dict[str, Any]:
    """Add what is above."""
    app.connect("source-read", unlink_files_outside)
    app.connect("autodoc-process-signature", hide_internal_arguments)
    app.add_directive("library", Library)
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True}
