"""How a node runs, as opposed to what it computes."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field, ValidationError

from hyped_beam.errors import wrong_options
from hyped_beam.types.checked_options import CheckedOptions


class Limits(CheckedOptions):
    """Bounds on the coroutines of a node.

    They hold for a job as a whole where `num_proc` processes of one machine do it, which share them evenly;
    on a cluster they hold for each worker process.

    Attributes:
        concurrency: How many rows (for `async process`: batches) are in flight at once.
        per_second: How many are started each second, at most.
        timeout: Seconds after which one is given up.
        retries: How often one that failed or timed out is tried again, waiting 0.1 s, 0.2 s, 0.4 s, ...
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    concurrency: int = Field(default=64, ge=1)
    per_second: float | None = Field(default=None, gt=0)
    timeout: float | None = Field(default=None, gt=0)
    retries: int = Field(default=0, ge=0)

    def __init__(self, **limits: Any) -> None:
        try:
            super().__init__(**limits)
        except ValidationError as error:
            raise wrong_options(type(self), limits, error) from None

    def shared_by(self, processes: int) -> Limits:
        """The share of one of several processes; each may have at least one coroutine in flight."""
        return self.model_copy(
            update={
                "concurrency": max(self.concurrency // processes, 1),
                "per_second": None if self.per_second is None else self.per_second / processes,
            }
        )


class Options(CheckedOptions):
    """How a node runs.

    Attributes:
        name: What to call it in plans, pictures and messages.
        batch_size: The most rows that it is given at once.
        limits: Bounds on its coroutines.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | None = None
    batch_size: int | None = Field(default=None, ge=1)
    limits: Limits = Limits()


DEFAULT_OPTIONS = Options()
