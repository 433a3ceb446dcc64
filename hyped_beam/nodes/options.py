"""How a node runs, as opposed to what it computes."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field, ValidationError

from hyped_beam.errors import wrong_options
from hyped_beam.types.checked_options import CheckedOptions

COROUTINES_AT_ONCE = 64


class Limits(CheckedOptions):
    """Bounds on the calls of a node: of each row, or of each batch where the node takes batches.

    They hold for a job as a whole where `num_proc` processes of one machine do it, which share them as they
    need them; on a cluster, and in the workers of a loader, they hold for each worker process.

    A node that is not `async` is called in threads where it has limits. So with a `concurrency` of more than
    one it has to be safe to be called by several threads at once. Python cannot end a thread: a call that
    takes longer than `timeout` is given up, its result is dropped, but it runs on beside the others until it
    returns. It keeps neither the job nor the program from ending. More than 256 of them at once are an error:
    such a node should give up by itself, as by the timeout of its client.

    Attributes:
        concurrency: How many calls are under way at once; by default 64 of a node that is `async`. Any other
            is called by one thread in each process by default.
        per_second: How many are started each second, at most.
        timeout: Seconds after which one is given up.
        retries: How often one that failed or timed out is tried again, waiting 0.1 s, 0.2 s, 0.4 s, ...
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    concurrency: int | None = Field(default=None, ge=1)
    per_second: float | None = Field(default=None, gt=0)
    timeout: float | None = Field(default=None, gt=0)
    retries: int = Field(default=0, ge=0)

    def __init__(self, **limits: Any) -> None:
        try:
            super().__init__(**limits)
        except ValidationError as error:
            raise wrong_options(type(self), limits, error) from None

    @property
    def is_set(self) -> bool:
        """Whether there is any."""
        return self != Limits()

    def at_once(self, *, coroutine: bool) -> int:
        """How many calls of a node one process may have under way.

        Args:
            coroutine: Whether the node is `async`.
        """
        return self.concurrency or (COROUTINES_AT_ONCE if coroutine else 1)


class Options(CheckedOptions):
    """How a node runs.

    Attributes:
        name: What to call it in plans, pictures and messages.
        batch_size: The most rows that it is given at once.
        limits: Bounds on its calls.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | None = None
    batch_size: int | None = Field(default=None, ge=1)
    limits: Limits = Limits()


DEFAULT_OPTIONS = Options()
