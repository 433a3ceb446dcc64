"""Before a job: its output folders are looked at, then claimed. What is refused leaves nothing changed."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hyped_beam.errors import CallSite, DefinitionError, InputError, nearest_name
from hyped_beam.io.destinations import Destination
from hyped_beam.io.done import adopt, done_ranges
from hyped_beam.io.filesystem import locate
from hyped_beam.io.folders import OutputFolder
from hyped_beam.io.ownership import Ownership, check_owner, claim, new_token, refuse_owned
from hyped_beam.io.paths import matched_by
from hyped_beam.io.writing_errors import failed_writing

OVERWRITES = ("error", "replace", "resume")


@dataclass(frozen=True)
class Claim:
    """The folders that a job owns until it is over.

    Attributes:
        destinations: The outputs, which know their owner: what is committed is committed to these.
        owned: Their folders.
        made: For each folder the folders that were made for it, where all that is in it is the job's own;
            None for one whose earlier ranges it resumes.
    """

    destinations: tuple[Destination, ...]
    owned: tuple[Ownership, ...]
    made: tuple[tuple[str, ...] | None, ...]

    def release(self) -> None:
        """Let other jobs have the folders; called once the job is over."""
        for ownership in self.owned:
            ownership.release()

    def withdraw(self) -> None:
        """Leave nothing of the job, and let other jobs have the folders."""
        for ownership, made in zip(self.owned, self.made, strict=True):
            if made is None:
                ownership.release()
            else:
                ownership.withdraw(made)

    def withdraw_if_empty(self) -> None:
        """Leave nothing of a job that has not done a single range; what is done is kept to be resumed."""
        with contextlib.suppress(OSError, InputError):
            new = [each for each, made in zip(self.owned, self.made, strict=True) if made is not None]
            if not any(each.folder.record_numbers(each.owner.name) for each in new):
                self.withdraw()
                return
        self.release()

    def remove_unfinished(self) -> None:
        """Remove what was being written when processes were ended; what has a record gets its place."""
        if not all(ownership.is_current for ownership in self.owned):
            return
        done_ranges(self.destinations)
        for ownership in self.owned:
            folder, owner = ownership.folder, ownership.owner.name
            folder.remove_staged(owner)
            folder.remove_temporaries(folder.records(owner))


def check_outputs(
    destinations: Sequence[Destination], overwrite: str = "error", inputs: Sequence[str] = ()
) -> list[bool]:
    """Refuse outputs that a job cannot have; nothing is written.

    Args:
        destinations: The outputs.
        overwrite: What is done with the output of an earlier job: "error" refuses it, "replace" removes it,
            "resume" keeps the ranges that are done.
        inputs: The paths or URIs of what the job reads: files and folders, globs with what they match.

    Returns:
        For each output, whether its folder holds the output of an earlier job.

    Raises:
        InputError: A folder holds other things, is a file or a link, may not be written to, lies within the
            input, the folder of another output or an unfinished output of another job, would be matched by
            a glob of the input, holds an output that is not to be overwritten, or is written to by another
            job; or its store cannot tell jobs apart.
        DefinitionError: An output cannot be what it is told to be.
    """
    if overwrite not in OVERWRITES:
        close = nearest_name(overwrite, OVERWRITES)
        hint = f"did you mean {close!r}?" if close else f"one of {', '.join(map(repr, OVERWRITES))}"
        raise DefinitionError(f"overwrite= is {overwrite!r}", site=CallSite.nearest(), hint=hint)
    _check_apart(destinations)
    for destination in destinations:
        _check_outside(destination, inputs)
        destination.check()
    held = []
    for destination in destinations:
        with failed_writing(destination.name, destination.folder.given, InputError):
            held.append(_check_folder(destination.folder, overwrite))
            refuse_owned(destination.folder)
    return held


def _check_apart(destinations: Sequence[Destination]) -> None:
    seen: list[Destination] = []
    for destination in destinations:
        for other in seen:
            if _is_within(destination.folder, other.folder) or _is_within(other.folder, destination.folder):
                shared = f"share the folder {destination.writer.path!r}"
                message = f"the outputs {other.name!r} and {destination.name!r} {shared}"
                raise InputError(message, hint="give each output a folder of its own")
        seen.append(destination)


def _is_within(inner: OutputFolder, outer: OutputFolder) -> bool:
    if type(inner.filesystem) is not type(outer.filesystem):
        return False
    return _contains(outer.path, inner.path)


def _contains(outer: str, inner: str) -> bool:
    return inner == outer or inner.startswith(outer.rstrip("/") + "/")


def _check_outside(destination: Destination, inputs: Sequence[str]) -> None:
    """Refuse an output that is in what is read, or the other way round: a job would read what it writes."""
    folder = destination.folder
    real = folder.filesystem.real_path(folder.path)
    glob = matched_by(folder.given, inputs, [destination.shard_glob])
    if glob is not None:
        message = f"the output {folder.given!r} would be read as well: the input {glob!r} matches it"
        raise InputError(message, hint="write to a folder apart from what is read")
    for given in inputs:
        filesystem, path = locate(given)
        if type(filesystem) is not type(folder.filesystem):
            continue
        source = filesystem.real_path(path)
        if _contains(source, real):
            message = f"the output {folder.given!r} lies inside the input {given!r}"
        elif _contains(real, source):
            message = f"the input {given!r} lies inside the output folder {folder.given!r}"
        else:
            continue
        raise InputError(message, hint="write to a folder apart from what is read")


def _check_folder(folder: OutputFolder, overwrite: str, *, owned: bool = False) -> bool:
    """Refuse a folder that a job cannot have.

    Args:
        folder: The folder.
        overwrite: See `check_outputs`.
        owned: Whether the job has claimed it.
    """
    reason = folder.filesystem.missing(folder.path)
    if reason is not None:
        raise InputError(f"the output {folder.given!r} cannot be written: {reason}", hint="make it first")
    reason = folder.filesystem.why_not_once()
    if reason is not None:
        raise InputError(
            f"the output {folder.given!r} would not be safe from a second job: {reason}",
            hint="else write to a local folder, and copy it there",
        )
    folder.refuse_links()
    folder.refuse_within_another()
    holds = folder.holds_output(is_claimed=owned)
    if holds and overwrite == "error":
        if not owned:
            refuse_owned(folder)
        kind = "output" if folder.filesystem.info(folder.manifest) else "unfinished output"
        message = f"the folder {folder.given!r} holds the {kind} of an earlier job"
        raise InputError(message, hint='overwrite="replace" removes it, overwrite="resume" continues it')
    folder.filesystem.check_writable(folder.path)
    return holds


def prepare(
    destinations: Sequence[Destination],
    fingerprint: str | Mapping[str, str],
    overwrite: str = "error",
    inputs: Sequence[str] = (),
    *,
    verify: bool = True,
) -> Claim:
    """Make the folders of one kind of outputs ready; see `prepare_kinds`."""
    (claimed,) = prepare_kinds([destinations], fingerprint, overwrite, inputs, verify=verify)
    return claimed


def prepare_kinds(
    kinds: Sequence[Sequence[Destination]],
    fingerprint: str | Mapping[str, str],
    overwrite: str = "error",
    inputs: Sequence[str] = (),
    *,
    verify: bool = True,
) -> tuple[Claim, ...]:
    """Make the folders ready; called once, before any range is begun. All are claimed before one is changed.

    Args:
        kinds: The outputs, by what is committed together.
        fingerprint: Of all that decides what is written; a mapping lets a refusal say what has changed.
        overwrite: See `check_outputs`.
        inputs: See `check_outputs`.
        verify: Whether resuming reads what is there and compares checksums; else it compares sizes alone.

    Returns:
        For each kind the folders as the job's own, and the destinations to commit to.

    Raises:
        InputError: See `check_outputs`; or a folder holds the output of another job than the one resumed, or
            cannot be written to. Nothing of what was there has changed.
        DefinitionError: An output cannot be what it is told to be; nothing was written.
        OvertakenError: Another job has claimed a folder meanwhile.
    """
    told = {"job": fingerprint} if isinstance(fingerprint, str) else dict(fingerprint)
    places = [
        _Place(destination, _fingerprint_of(destination, kind, told))
        for kind in kinds
        for destination in kind
    ]
    holding = check_outputs([place.destination for place in places], overwrite, inputs)
    for place, holds in zip(places, holding, strict=True):
        place.check(overwrite, holds=holds)
    try:
        number = max((place.destination.folder.newest_generation() for place in places), default=0) + 1
        token = new_token()
        for place in places:
            place.claim(number, token)
        if not all(place.ownership.owner.is_locked for place in places):
            for place in places:  # one name in all of them
                place.ownership.owner = replace(place.ownership.owner, is_locked=False)
        for place in places:  # another job may have come and gone since; from here on there is none
            place.holds = _check_folder(place.destination.folder, overwrite, owned=True)
            place.check(overwrite, holds=place.holds)
            place.check_removable(overwrite)
        of_output = {place.destination.name: place for place in places}
        claims = []
        for kind in kinds:
            own = [of_output[destination.name] for destination in kind]
            _begin(own, overwrite, verify=verify)
            made = (None if place.holds and overwrite == "resume" else place.made for place in own)
            outputs = tuple(place.claimed for place in own)
            claims.append(Claim(outputs, tuple(place.ownership for place in own), tuple(made)))
    except BaseException:
        for place in places:
            place.disclaim()
        raise
    return tuple(claims)


class _Place:
    """An output whose folder is to be made ready.

    Args:
        destination: The output.
        fingerprint: What decides what is written to it.
    """

    def __init__(self, destination: Destination, fingerprint: Mapping[str, str]) -> None:
        self.destination = destination
        self.fingerprint = fingerprint
        self.made: tuple[str, ...] = ()
        self.owned: Ownership | None = None
        self.holds: bool | None = None

    def check(self, overwrite: str, *, holds: bool) -> None:
        """Refuse to resume the output of another job."""
        if holds and overwrite == "resume":
            with failed_writing(self.destination.name, self.destination.folder.given, InputError):
                _check_same(self.destination.folder, self.fingerprint)

    def check_removable(self, overwrite: str) -> None:
        """Refuse an earlier output whose files the system does not let go."""
        folder = self.destination.folder
        if self.holds and folder.filesystem.is_local:
            with failed_writing(self.destination.name, folder.given, InputError):
                folder.check_removable(with_shards=overwrite == "replace")

    def claim(self, number: int, token: str) -> None:
        """Become the owner of the folder."""
        folder = self.destination.folder
        with failed_writing(self.destination.name, folder.given, InputError):
            self.made = tuple(folder.missing_folders())
            self.owned = claim(folder, number, token)

    @property
    def ownership(self) -> Ownership:
        """The folder, which is claimed."""
        if self.owned is None:
            raise ValueError("it is not claimed yet")
        return self.owned

    @property
    def claimed(self) -> Destination:
        """The output as that of its owner."""
        return replace(self.destination, owner=self.ownership.owner)

    def disclaim(self) -> None:
        """Take back a claim, and the folders that were made for it; the output of an earlier job stays."""
        folder = self.destination.folder
        if self.owned is None:
            with contextlib.suppress(OSError, InputError):
                for path in (folder.generations, folder.bookkeeping, *self.made):
                    folder.filesystem.remove_if_empty(path)
            return
        if self.holds is None:  # nothing is written yet
            with contextlib.suppress(OSError, InputError):
                self.holds = folder.filesystem.info(folder.fingerprint) is not None
        if self.holds is False:
            self.owned.withdraw(self.made)
        else:
            self.owned.release()


def _fingerprint_of(
    destination: Destination, destinations: Sequence[Destination], told: Mapping[str, str]
) -> dict[str, str]:
    unlike = {"path": "", "overwrite": "error", "num_proc": None, "verify": True}  # nothing depends on them
    options = destination.writer.model_copy(update=unlike)
    return {
        **told,
        "output": destination.name,
        "set of outputs": ", ".join(other.name for other in destinations),
        "writer": f"{type(options).__name__} {options.model_dump_json()}",
    }


def _check_same(folder: OutputFolder, wanted: Mapping[str, str]) -> None:
    found = folder.read_fingerprint()
    has_records = any(folder.record_numbers(owner) for owner in folder.recorders())
    if not found and not has_records:  # it died before it said so, and has done nothing
        return
    changed = [name for name in {**wanted, **found} if found.get(name) != wanted.get(name)]
    if changed:
        message = f"the output in {folder.given!r} cannot be resumed: another {' and '.join(changed)} made it"
        raise InputError(message, hint='overwrite="replace" begins anew')


def _begin(places: Sequence[_Place], overwrite: str, *, verify: bool) -> None:
    """Leave of what the folders hold what is resumed, and say whose they are now."""
    destinations = [place.claimed for place in places]
    for place, destination in zip(places, destinations, strict=True):
        folder = destination.folder
        with failed_writing(destination.name, folder.given, InputError):
            check_owner(destination)
            if place.holds and overwrite == "replace":
                folder.clear()
            folder.filesystem.delete(folder.manifest)
            folder.write_fingerprint(place.fingerprint, destination.shard_names)
            folder.begin(destination.claimed.name, is_synced=destination.is_synced)
            if destination.is_synced:
                folder.filesystem.sync([path.rpartition("/")[0] or "/" for path in place.made])
    if overwrite == "resume" and any(place.holds for place in places):
        with failed_writing(destinations[0].name, destinations[0].folder.given, InputError):
            adopt(destinations, verify=verify)
    for destination in destinations:
        destination.folder.remove_older(destination.claimed.name)
