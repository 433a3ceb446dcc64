"""Which scans of a job take states of aggregates from a cache, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hyped_beam.errors import InputError
from hyped_beam.execute.timing import COMPUTED, REUSED, Timings
from hyped_beam.io.entries import SUFFIX, prepare_folder
from hyped_beam.io.paths import lies_in, matched_by
from hyped_beam.launch.result import CacheUse
from hyped_beam.nodes.fingerprint import NoFingerprintError, digest_of
from hyped_beam.plan.fingerprint import StatesKey, states_key

if TYPE_CHECKING:
    from hyped_beam.io.readers.base import Reader
    from hyped_beam.io.writers.base import Writer
    from hyped_beam.lowering.state_cache import StateCache
    from hyped_beam.plan.planner import Plan

_UNTOLD = "the source does not tell what its files hold"


@dataclass(frozen=True)
class Caching:
    """The cache of a job.

    Attributes:
        folder: The folder of the cache.
        keys: What the states of each scan that has some follow from, by the number of the scan.
        refused: Why the states of a scan are not kept; empty where all are.
    """

    folder: str
    keys: Mapping[int, StatesKey] = field(default_factory=dict)
    refused: str = ""

    def of_scan(self, plan: Plan, number: int) -> StateCache | None:
        """The cache of a scan; None where its states are not kept."""
        from hyped_beam.lowering.state_cache import StateCache

        if number not in self.keys:
            return None
        scan = plan.passes[number].scan
        return StateCache(self.folder, self.keys[number], is_read=not scan.outputs and not scan.kept)

    def use(self, timings: Timings) -> CacheUse:
        """What came of it."""
        reused, computed = (timings.get(key, (0.0, 0))[1] for key in (REUSED, COMPUTED))
        refused = self.refused
        if self.keys and not reused + computed:
            refused = _UNTOLD
        return CacheUse(reused + computed, reused, refused or None)


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
    from hyped_beam.io.readers.first import FirstRows
    from hyped_beam.lowering.state_cache import FILES, STATES

    kept = (f"{STATES}/*/*{SUFFIX}", f"{FILES}/*{SUFFIX}")
    _check_apart(folder, kept, reader.inputs(), [writer.path for writer in writers.values()])
    if isinstance(reader, FirstRows):
        return Caching(folder, refused="only the first rows of the source are read")
    keys: dict[int, StatesKey] = {}
    refused = ""
    for number, scan in enumerate(one.scan for one in plan.passes):
        if not scan.combines:
            continue
        try:
            key = states_key(scan)
            # a format of one's own reads files in a way of its own
            read_by = digest_of(type(reader), may_read=True)
        except NoFingerprintError as error:
            refused = str(error)
        else:
            keys[number] = replace(key, digest=f"{key.digest} {read_by}")
    if keys:
        for inner in (STATES, FILES):
            prepare_folder(f"{folder}/{inner}")
    return Caching(folder, keys, refused)


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
