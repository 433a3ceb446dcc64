"""What a node raises about the value of a row: built-in errors that carry a hint."""

from __future__ import annotations

from typing import TypeVar

Raised = TypeVar("Raised", bound=Exception)


def with_hint(error: Raised, hint: str) -> Raised:
    """An error with a hint, which the report of the row shows."""
    error.__dict__["hint"] = hint
    return error
