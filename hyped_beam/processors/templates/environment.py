"""The Jinja environment that templates are parsed and rendered in: sandboxed, strict and deterministic."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

ROW = "inputs"
"""What a template calls the row."""

LARGEST = 1_000_000
"""The longest sequence that `*` may make, and the most bits of a number that `**` may."""

LEFT_OUT = {"random": "it would not give the same twice"}
"""Filters of Jinja that templates here do not have, and why."""


@lru_cache(maxsize=1)
def environment() -> SandboxedEnvironment:
    """The environment; made when it is first asked for, for Jinja takes 0.1 s to import."""
    from jinja2 import StrictUndefined
    from jinja2.runtime import Context
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class RowEnvironment(ImmutableSandboxedEnvironment):
        """Attributes of a dict are its items first: a field may be called `items` or `values`."""

        # Not folded while a template is compiled, and bounded when it runs.
        intercepted_binops = frozenset({"*", "**"})

        def getattr(self, obj: Any, attribute: str) -> Any:
            if type(obj) is dict:
                try:
                    return obj[attribute]
                except KeyError:
                    pass
            return super().getattr(obj, attribute)

        def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
            if _size(operator, left, right) > LARGEST:
                msg = f"the result of {operator} is too large"
                raise OverflowError(msg)
            return super().call_binop(context, operator, left, right)

    made = RowEnvironment(undefined=StrictUndefined, autoescape=False)
    del made.globals["lipsum"]  # random text
    for name in LEFT_OUT:
        del made.filters[name]
    return made


def _size(operator: str, left: Any, right: Any) -> int:
    if operator == "**":
        return left.bit_length() * right if isinstance(left, int) and isinstance(right, int) else 0
    for one, other in ((left, right), (right, left)):
        if isinstance(one, (str, bytes, list, tuple)) and isinstance(other, int):
            return len(one) * other
    return 0
