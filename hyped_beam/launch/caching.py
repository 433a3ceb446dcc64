"""Which scans of a job take states of aggregates from a cache, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hyped_beam.errors import InputError
from hyped_beam.execute.timing import COMPUTED, REUSED, Timings
from hyped_beam.io.entries import SUFFIX, prepare_folder
from hyped_beam.io.paths import lies_in, matched_by
from hyped_beam.launch.result import CacheUse, ScanCacheUse
from hyped_beam.nodes.fingerprint import NoFingerprintError, digest_of
from hyped_beam.plan.caching import ScanCaching, cached_scans

if TYPE_CHECKING:
    from hyped_beam.io.readers.base import Reader
    from hyped_beam.io.writers.base import Writer
    from hyped_beam.plan.planner import Plan
    from hyped_beam.tasks.state_cache import StateCache

_UNTOLD = "the source does not tell what its files hold"


@dataclass(frozen=True)
class Caching:
    """The cache of a job.

    Attributes:
        folder: The folder of the cache.
        scans: What it does for each scan that aggregates, by the place of the scan in the plan.
    """

    folder: str
    scans: Mapping[int, ScanCaching]

    def of_scan(self, number: int) -> StateCache | None:
        """The cache of a scan; None where its states are not kept."""
        from hyped_beam.tasks.state_cache import StateCache

        scan = self.scans.get(number)
        if scan is None or scan.key is None:
            return None
        return StateCache(self.folder, scan.key, is_read=not scan.reads_all)

    def use(self, timings: Sequence[Timings]) -> CacheUse:
        """What came of it.

        Args:
            timings: How long the parts of each scan took, and how many segments were found and kept.
        """
        return CacheUse(tuple(_use(number, scan, timings[number]) for number, scan in self.scans.items()))


def _use(number: int, scan: ScanCaching, timings: Timings) -> ScanCacheUse:
    reused, computed = (timings.get(key, (0.0, 0))[1] for key in (REUSED, COMPUTED))
    refused = scan.refused if scan.key is None or reused + computed else _UNTOLD
    return ScanCacheUse(number + 1, reused + computed, reused, scan.reads_all or None, refused or None)


def caching_of(plan: Plan, reader: Reader) -> Mapping[int, ScanCaching]:
    """What a cache does for each scan of a job that aggregates, by the place of the scan in the plan."""
    from hyped_beam.io.readers.first import FirstRows

    if isinstance(reader, FirstRows):
        return cached_scans(plan, "only the first rows of the source are read")
    try:
        # a format of one's own reads files in a way of its own
        read_by = digest_of(type(reader), may_read=True)
    except NoFingerprintError as error:
        return cached_scans(plan, str(error))
    return {
        number: scan
        if scan.key is None
        else replace(scan, key=replace(scan.key, digest=f"{scan.key.digest} {read_by}"))
        for number, scan in cached_scans(plan).items()
    }


def prepare_caching(
    folder: str | None, plan: Plan, reader: Reader, writers: Mapping[str, Writer]
) -> Caching | None:
    """Find out what can be kept of a job, and make the folder ready.

    Args:
        folder: The folder of the cache; None for none.
        plan: The plan.
        reader: The source.
        writers: The outputs.

    Raises:
        InputError: The folder lies in the source or in an output, would be matched by a glob of the source,
            or cannot be written to.
    """
    if folder is None:
        return None
    from hyped_beam.tasks.state_cache import FILES, STATES

    kept = (f"{STATES}/*/*{SUFFIX}", f"{FILES}/*{SUFFIX}")
    _check_apart(folder, kept, reader.inputs(), [writer.path for writer in writers.values()])
    scans = caching_of(plan, reader)
    if any(scan.key is not None for scan in scans.values()):
        for inner in (STATES, FILES):
            prepare_folder(f"{folder}/{inner}")
    return Caching(folder, scans)


def _check_apart(folder: str, kept: Sequence[str], inputs: Sequence[str], outputs: Sequence[str]) -> None:
    glob = matched_by(folder, inputs, kept)
    if glob is not None:
        raise InputError(
            f"the cache {folder!r} would be read as well: the input {glob!r} matches it",
            hint="give another folder: cache=PATH",
        )
    for what, places in (("input", inputs), ("output", outputs)):
        outer = lies_in(folder, places)
        if outer is not None:
            raise InputError(
                f"the cache {folder!r} lies in the {what} {outer!r}", hint="give another folder: cache=PATH"
            )
