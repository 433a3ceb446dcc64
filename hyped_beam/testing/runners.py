"""Running one job in several places, and holding that it makes the same bytes in all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from hyped_beam.dsl.job import Job
from hyped_beam.io.folders import BOOKKEEPING
from hyped_beam.launch.result import JobResult
from hyped_beam.types.scratch import ScratchFolder

Place = str | tuple[str, Mapping[str, Any]]
"""The name of a runner profile, or one with Beam's options."""


def assert_same_on(
    job: Job, runners: str | Sequence[Place] = ("local", "direct"), num_proc: int | Sequence[int] = (1, 2)
) -> JobResult:
    """Run a job on several runners, and check that its files and aggregates are the same to the last bit.

    Nothing is written to where the job's writers point: each run has folders of its own, which are removed.

    Args:
        job: The job.
        runners: Names of runner profiles, or one; with Beam's options as in
            `["local", "prism", ("direct", {"direct_num_workers": 2})]`.
        num_proc: With how many processes it runs on each, or a single number.

    Returns:
        What the first run made; its files are gone.

    Raises:
        TypeError: It is no job.
        AssertionError: Two runs made something else; it says which, and the first file or value that differs.

    Example:
        >>> import datasets
        >>> from hyped_beam import DataFlow
        >>> from hyped_beam.aggregators import Mean
        >>> from hyped_beam.io.writers.json import JsonDatasetWriter
        >>> from hyped_beam.testing import assert_same_on
        >>> rows = datasets.Dataset.from_dict({"n": [1, 2, 6]})
        >>> flow = DataFlow(features=rows.features)
        >>> above = flow.src_features.n - Mean().call(flow.src_features.n)
        >>> job = flow.job(source=rows).write(collect={"above": above}, to=JsonDatasetWriter("out/"))
        >>> assert_same_on(job, num_proc=[1]).rows
        {'rows': 3}
    """
    _check_job(job)
    places: Sequence[Place] = [runners] if isinstance(runners, str) else runners
    num_proc = [num_proc] if isinstance(num_proc, int) else num_proc
    runs = list(run_in_places(job, places, num_proc))
    if not runs:
        raise AssertionError("there is no runner to run the job on")
    return runs[0].result


class Run(NamedTuple):
    """What a job has made in one place.

    Attributes:
        where: The place, for messages.
        result: The result; its files are gone.
        files: Their content, by their path in the folder of the job's outputs.
        shards: The files of rows of each output, in order, as they are named in `files`.
    """

    where: str
    result: JobResult
    files: Mapping[str, bytes]
    shards: Mapping[str, Sequence[str]]


def run_in_places(job: Job, places: Sequence[Place], num_proc: Sequence[int]) -> Iterator[Run]:
    """Run a job in several places, each compared with the first.

    Args:
        job: The job.
        places: Names of runner profiles, some with Beam's options.
        num_proc: With how many processes it runs in each.

    Raises:
        AssertionError: Two runs made something else.
    """
    first: Run | None = None
    for place in places:
        runner, options = (place, None) if isinstance(place, str) else place
        for processes in num_proc:
            where = f"{runner!r} with num_proc={processes}{f' and {options}' if options else ''}"
            with ScratchFolder() as scratch:
                folder = str(scratch.path)
                result = _moved(job, folder).run(runner=runner, options=options, num_proc=processes)
                shards = {
                    name: [str(Path(path).relative_to(folder)) for path in paths]
                    for name, paths in result.shards.items()
                }
                made = Run(where, result, _files(scratch.path), shards)
            if first is None:
                first = made
            else:
                _compare(first.files, made.files, first.where, where)
                if repr(result.aggregates) != repr(first.result.aggregates):  # for NaN is no equal of itself
                    raise AssertionError(
                        f"the aggregates on {first.where} are {first.result.aggregates}, on {where} "
                        f"{result.aggregates}"
                    )
            yield made


def _check_job(given: object) -> None:
    if not isinstance(given, Job):
        msg = f"assert_same_on takes a job, flow.job(source=...).write(...), got {type(given).__name__}"
        raise TypeError(msg)


def _moved(job: Job, folder: str) -> Job:
    """The job with outputs in another folder."""
    outputs = {
        name: replace(output, writer=output.writer.model_copy(update={"path": f"{folder}/{name}"}))
        for name, output in job.outputs.items()
    }
    told = None if job.aggregates_path is None else f"{folder}/aggregates.json"
    return replace(job, outputs=outputs, aggregates_path=told)


def _files(folder: Path) -> dict[str, bytes]:
    """The files of the outputs by their path, without what says when and by whom they were written."""
    found = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in found
        if BOOKKEEPING not in path.relative_to(folder).parts
    }


def _compare(first: Mapping[str, bytes], other: Mapping[str, bytes], one: str, where: str) -> None:
    for name in sorted({*first, *other}):
        if name not in other:
            raise AssertionError(f"{name} is made on {one}, not on {where}")
        if name not in first:
            raise AssertionError(f"{name} is made on {where}, not on {one}")
        if first[name] != other[name]:
            raise AssertionError(f"{name} is not the same on {one} and on {where}")
