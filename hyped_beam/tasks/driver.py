"""The loop of a bounded job: scan the source, reduce what the ranges report, compute partitions of groups.

A backend says how: in this process and a pool (`tasks.local`), over batches in memory (`tasks.memory`), or as
steps of a Beam pipeline (`lowering.bounded`), whose values are collections that are computed later.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

StageT = TypeVar("StageT")
"""What is known of a stage before it runs."""

ScannedT = TypeVar("ScannedT")
"""What the ranges of a scan have reported."""

PriorT = TypeVar("PriorT")
"""Results of the stages so far, which are the same for all ranges."""

ShuffledT = TypeVar("ShuffledT")
"""What the partitions of groups after one stage leave for the ranges and partitions of later ones."""


class Backend(ABC, Generic[StageT, ScannedT, PriorT, ShuffledT]):
    """How the parts of a bounded job are done."""

    @abstractmethod
    def no_results(self) -> PriorT:
        """Return the results before the first stage."""

    @abstractmethod
    def scan(self, level: int, stage: StageT, prior: PriorT, shuffled: Sequence[ShuffledT]) -> ScannedT:
        """Do all ranges of the source.

        Args:
            level: The number of the stage.
            stage: The stage.
            prior: Results of the stages before it.
            shuffled: What the partitions after each of these have left, for those that have partitions.
        """

    @abstractmethod
    def reduce(self, level: int, stage: StageT, scanned: ScannedT, prior: PriorT) -> PriorT:
        """Compute what follows from the states of all ranges, write what it makes, and add its results."""

    @abstractmethod
    def partitions(
        self, level: int, stage: StageT, scanned: ScannedT, prior: PriorT, shuffled: Sequence[ShuffledT]
    ) -> ShuffledT | None:
        """Compute the groups of each partition of their keys; None for a stage whose groups have none.

        Args:
            level: The number of the stage.
            stage: The stage.
            scanned: What its ranges have reported.
            prior: Results of the stages so far, this one included.
            shuffled: As for `scan`.
        """


def drive(stages: Sequence[StageT], backend: Backend[StageT, ScannedT, PriorT, ShuffledT]) -> None:
    """Run the stages of a bounded job in order.

    Each stage cuts and reads the source anew: what feeds both a combine and a consumer of its result is held
    in memory whole by local runners.

    Args:
        stages: The stages.
        backend: How their parts are done.
    """
    prior = backend.no_results()
    shuffled: list[ShuffledT] = []
    for level, stage in enumerate(stages):
        scanned = backend.scan(level, stage, prior, tuple(shuffled))
        prior = backend.reduce(level, stage, scanned, prior)
        left = backend.partitions(level, stage, scanned, prior, tuple(shuffled))
        if left is not None:
            shuffled.append(left)
