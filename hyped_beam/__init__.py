"""hyped_beam: data flows over Arrow batches, written in Python, run on Apache Beam.

This module is a table of contents: each name is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hyped_beam import ops
    from hyped_beam.dsl.flow import DataFlow
    from hyped_beam.errors import FlowError, NodeError
    from hyped_beam.nodes.aggregator import Aggregator
    from hyped_beam.nodes.augmentor import Augmentor, Rows
    from hyped_beam.nodes.groups import Groups
    from hyped_beam.nodes.options import Limits
    from hyped_beam.nodes.processor import Processor, processor
    from hyped_beam.types.environment import Secret, env

_CONTENTS = {
    "Aggregator": "hyped_beam.nodes.aggregator",
    "Augmentor": "hyped_beam.nodes.augmentor",
    "DataFlow": "hyped_beam.dsl.flow",
    "FlowError": "hyped_beam.errors",
    "Groups": "hyped_beam.nodes.groups",
    "Limits": "hyped_beam.nodes.options",
    "NodeError": "hyped_beam.errors",
    "Processor": "hyped_beam.nodes.processor",
    "Rows": "hyped_beam.nodes.augmentor",
    "Secret": "hyped_beam.types.environment",
    "env": "hyped_beam.types.environment",
    "ops": "hyped_beam.ops",
    "processor": "hyped_beam.nodes.processor",
}

__all__ = [
    "Aggregator",
    "Augmentor",
    "DataFlow",
    "FlowError",
    "Groups",
    "Limits",
    "NodeError",
    "Processor",
    "Rows",
    "Secret",
    "env",
    "ops",
    "processor",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _CONTENTS:
        if name.startswith("_"):
            msg = f"module 'hyped_beam' has no attribute {name!r}"
            raise AttributeError(msg)
        from hyped_beam.errors import unknown_name

        raise unknown_name("name", name, __all__, of="hyped_beam")
    module = importlib.import_module(_CONTENTS[name])
    return module if name == "ops" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
