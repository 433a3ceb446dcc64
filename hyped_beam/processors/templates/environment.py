"""The Jinja environment that templates are parsed and rendered in: sandboxed, bounded, deterministic."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

ROW = "inputs"
"""What a template calls the row."""

LEFT_OUT = {"random": "it would not give the same twice"}
"""Filters of Jinja that templates here do not have, and why."""


@lru_cache(maxsize=1)
def environment() -> SandboxedEnvironment:
    """The environment; made when it is first asked for, for Jinja takes 0.1 s to import."""
    from hyped_beam.processors.templates.sandbox import make_environment

    return make_environment()
