"""Before a job: its output folders are looked at, then claimed. What is refused leaves nothing changed."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hyped_beam.errors import CallSite, DefinitionError, FlowError, InputError, nearest_name
from hyped_beam.io.destinations import Destination
from hyped_beam.io.done import done_ranges
from hyped_beam.io.filesystem import locate
from hyped_beam.io.folders import OutputFolder
from hyped_beam.io.paths import matched_by
from hyped_beam.io.writing_errors import failed_writing

OVERWRITES = ("error", "replace", "resume")


@dataclass(frozen=True)
class Claim:
    """The folders that a job has claimed, those apart whose earlier ranges it resumes.

    Attributes:
        folders: Each with the folders that were made for it.
    """

    folders: tuple[tuple[OutputFolder, tuple[str, ...]], ...]

    def withdraw(self) -> None:
        """Leave nothing of the job."""
        for folder, made in self.folders:
            with contextlib.suppress(OSError):  # the job has failed, and says why itself
                folder.clear()
            folder.disclaim(made)

    def withdraw_if_empty(self) -> None:
        """Leave nothing of a job that has not done a single range; what is done is kept to be resumed."""
        with contextlib.suppress(OSError):
            if not any(folder.record_numbers() for folder, _ in self.folders):
                self.withdraw()


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
        InputError: A folder holds other things, is a file, may not be written to, lies within the input or
            the folder of another output, would be matched by a glob of the input, or holds an output that is
            not to be overwritten.
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


def _check_folder(folder: OutputFolder, overwrite: str) -> bool:
    reason = folder.filesystem.missing(folder.path)
    if reason is not None:
        raise InputError(f"the output {folder.given!r} cannot be written: {reason}", hint="make it first")
    holds = folder.holds_output()
    if holds and overwrite == "error":
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
) -> Claim:
    """Make the folders ready; called once, before any range is begun.

    Args:
        destinations: The outputs.
        fingerprint: Of all that decides what is written; a mapping lets a refusal say what has changed.
        overwrite: See `check_outputs`.
        inputs: See `check_outputs`.

    Returns:
        What lets the job take it all back.

    Raises:
        InputError: See `check_outputs`; or a folder holds the output of another job than the one resumed, or
            cannot be written to. Nothing of what was there has changed.
        DefinitionError: An output cannot be what it is told to be; nothing was written.
    """
    told = {"job": fingerprint} if isinstance(fingerprint, str) else dict(fingerprint)
    held = check_outputs(destinations, overwrite, inputs)
    wanted = [_fingerprint_of(destination, destinations, told) for destination in destinations]
    for destination, holds, fingerprints in zip(destinations, held, wanted, strict=True):
        if holds and overwrite == "resume":
            with failed_writing(destination.name, destination.folder.given, InputError):
                _check_same(destination.folder, fingerprints)
    new = [destination.folder for destination, holds in zip(destinations, held, strict=True) if not holds]
    made = tuple((folder, tuple(folder.missing_folders())) for folder in new)
    try:
        _claim(destinations, held, wanted, overwrite)
    except FlowError:
        for folder, folders in made:
            folder.disclaim(folders)
        raise
    if overwrite == "resume":
        return Claim(made)
    return Claim(
        (*made, *((each.folder, ()) for each, holds in zip(destinations, held, strict=True) if holds))
    )


def _fingerprint_of(
    destination: Destination, destinations: Sequence[Destination], told: Mapping[str, str]
) -> dict[str, str]:
    options = destination.writer.model_copy(update={"path": "", "overwrite": "error", "num_proc": None})
    return {
        **told,
        "output": destination.name,
        "set of outputs": ", ".join(other.name for other in destinations),
        "writer": f"{type(options).__name__} {options.model_dump_json()}",
    }


def _check_same(folder: OutputFolder, wanted: Mapping[str, str]) -> None:
    found = folder.read_fingerprint()
    changed = [name for name in {**wanted, **found} if found.get(name) != wanted.get(name)]
    if changed:
        message = f"the output in {folder.given!r} cannot be resumed: another {' and '.join(changed)} made it"
        raise InputError(message, hint='overwrite="replace" begins anew')


def _claim(
    destinations: Sequence[Destination],
    held: Sequence[bool],
    wanted: Sequence[Mapping[str, str]],
    overwrite: str,
) -> None:
    for destination, holds, fingerprint in zip(destinations, held, wanted, strict=True):
        folder = destination.folder
        with failed_writing(destination.name, folder.given, InputError):
            if holds and overwrite == "replace":
                folder.clear()
            folder.filesystem.delete(folder.manifest)
            folder.write_fingerprint(fingerprint)
    if any(held) and overwrite == "resume":
        remove_unrecorded(destinations)


def remove_unrecorded(destinations: Sequence[Destination]) -> None:
    """Remove what ranges left that were never done: a later attempt may make fewer files, or others."""
    with failed_writing(destinations[0].name, destinations[0].folder.given, InputError):
        done = done_ranges(destinations)
        for number in set(destinations[0].folder.record_numbers()) - set(done):
            destinations[0].folder.filesystem.delete(destinations[0].folder.record(number))
    for destination in destinations:
        with failed_writing(destination.name, destination.folder.given, InputError):
            shards = {shard.file for record in done.values() for shard in record.outputs[destination.name]}
            destination.folder.keep_only(shards)
