"""Models whose pickles are the same bytes in every process."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class SamePickle(BaseModel):
    """A pydantic model without a set in its pickle, whose order differs from process to process."""

    def __getstate__(self) -> dict[Any, Any]:
        state = super().__getstate__()
        return {**state, "__pydantic_fields_set__": sorted(state["__pydantic_fields_set__"])}

    def __setstate__(self, state: dict[Any, Any]) -> None:
        super().__setstate__({**state, "__pydantic_fields_set__": set(state["__pydantic_fields_set__"])})
