"""What a cache keeps of a plan: of which scans the states of aggregates, and which of these it gives back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hyped_beam.nodes.fingerprint import NoFingerprintError
from hyped_beam.plan.fingerprint import StatesKey, states_key
from hyped_beam.plan.planner import Plan
from hyped_beam.plan.program import Program


@dataclass(frozen=True)
class ScanCaching:
    """What a cache does for one scan.

    Attributes:
        key: What its states follow from, but for the rows; None where they are not kept.
        refused: Why its states are not kept; empty where they are.
        reads_all: Why all rows are read although their states are kept; empty where they need not be.
    """

    key: StatesKey | None
    refused: str = ""
    reads_all: str = ""

    def __str__(self) -> str:
        if self.key is None:
            return f"not cached: {self.refused}"
        if self.reads_all:
            return f"cached: states are kept for later runs; all parts are read, for {self.reads_all}"
        return "cached: parts whose states are in the cache are not read, the states of others are kept"


def cached_scans(plan: Plan, refused: str = "") -> Mapping[int, ScanCaching]:
    """What a cache does for each scan that aggregates, by its place in the plan.

    Args:
        plan: The plan.
        refused: Why nothing of the source can be kept; empty where that is not so.
    """
    scans = {at: one.scan for at, one in enumerate(plan.stages) if one.scan.combines}
    if refused:
        return {at: ScanCaching(None, refused) for at in scans}
    return {at: _of_scan(scan) for at, scan in scans.items()}


def _of_scan(scan: Program) -> ScanCaching:
    try:
        key = states_key(scan)
    except NoFingerprintError as error:
        return ScanCaching(None, str(error))
    return ScanCaching(key, reads_all=_why_all_are_read(scan))


def _why_all_are_read(scan: Program) -> str:
    reasons: Sequence[str] = (
        *(["the scan writes rows"] if scan.outputs else []),
        *(["values of nodes that run once are kept for the next scan"] if scan.materialized else []),
    )
    return " and ".join(reasons)
