"""What all tests share."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import hypothesis
import pyarrow as pa
import pytest

# A busy machine is no defect: examples may take as long as they take.
hypothesis.settings.register_profile("tests", deadline=None, max_examples=50)
hypothesis.settings.load_profile("tests")

LEFT_OUT = "left out: needs "

CACHE = pytest.StashKey[tempfile.TemporaryDirectory[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Keep tests, and the programs they start, off the network, the screen and the user's caches."""
    config.stash[CACHE] = tempfile.TemporaryDirectory(prefix="hyped_beam-tests-")
    os.environ |= {
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_CACHE": config.stash[CACHE].name,
        "MPLBACKEND": "agg",
    }
    import datasets  # not before its cache is where it belongs

    datasets.disable_caching()  # what is applied twice is computed twice


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove what the tests cached."""
    config.stash[CACHE].cleanup()


def is_here(program: str) -> bool:
    """Whether this machine has a program: on the PATH, or for a runner where its jobs look for it."""
    from hyped_beam.errors import DefinitionError
    from hyped_beam.launch.profiles import load_profile, profiles_folder
    from hyped_beam.launch.servers import find_program

    if not (profiles_folder() / program).is_dir():
        return shutil.which(program) is not None
    try:
        return find_program(load_profile(program)) is not None
    except DefinitionError:
        return False


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out a test whose programs are missing; under CI nothing may be left out."""
    needed = [program for mark in item.iter_markers("needs") for program in mark.args]
    missing = [program for program in needed if not is_here(program)]
    if not missing:
        return
    programs = " and ".join(missing)
    if os.environ.get("CI"):
        pytest.fail(f"needs {programs}, and with CI set no test is left out", pytrace=False)
    pytest.skip(LEFT_OUT + programs)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say at the end which programs were missing, and how many tests that cost."""
    reasons = [report.longrepr[2] for report in terminalreporter.stats.get("skipped", [])]
    left_out = Counter(reason.partition(LEFT_OUT)[2] for reason in reasons if LEFT_OUT in reason)
    if not left_out:
        return
    terminalreporter.section("left out")
    for programs, count in sorted(left_out.items()):
        terminalreporter.line(f"{count} tests need {programs}, which this machine does not have")


@pytest.fixture(scope="session")
def in_batches() -> Callable[..., pa.Table]:
    """Computes what is collected over a table cut into batches, here, and verifies every pass."""
    from hyped_beam.dsl.outputs import ROWS, Outputs, graph_of
    from hyped_beam.nodes.refs import builder_of
    from hyped_beam.passes import optimise
    from hyped_beam.plan.planner import make_plan
    from hyped_beam.tasks.memory import run_here

    def run(src: Any, collect: Any, table: pa.Table, batches: int = 3) -> pa.Table:
        plan = make_plan(optimise(graph_of(builder_of(src), Outputs(collect)), verify=True))
        whole = pa.RecordBatch.from_arrays(
            [pa.concat_arrays(column.chunks) for column in table.columns if column.num_chunks]
            or [pa.nulls(0, field.type) for field in table.schema],
            schema=table.schema,
        )
        ends = [round(whole.num_rows * part / batches) for part in range(batches + 1)]
        cut = [whole.slice(start, stop - start) for start, stop in itertools.pairwise(ends)]
        return pa.Table.from_batches(run_here(plan, cut)[ROWS])

    return run


class S3(NamedTuple):
    """A bucket of its own on a real S3 server, which the environment leads to.

    Attributes:
        endpoint: The server.
        bucket: The bucket, empty at first.
        client: A boto3 client, which sees what is really there.
    """

    endpoint: str
    bucket: str
    client: Any

    def uri(self, key: str = "") -> str:
        """The URI of a key."""
        return f"s3://{self.bucket}/{key}".rstrip("/")

    def held(self) -> list[str]:
        """What the bucket holds, uploads that are not complete left out."""
        return [found["Key"] for found in self.client.list_objects_v2(Bucket=self.bucket).get("Contents", [])]

    def requests(self) -> list[tuple[str, str, int]]:
        """Method, path and bytes sent of each request since the last call."""
        with urllib.request.urlopen(f"{self.endpoint}/requests") as answer:  # noqa: S310 - our own server
            lines = [line.rsplit(" ", 1) for line in answer.read().decode().splitlines()]
        return [(*line.split(" ", 1), int(size)) for line, size in lines]

    def demand_credentials(self, demanded: bool) -> None:
        """Whether the server looks at keys and policies; by itself it takes any."""
        allowed = b"0" if demanded else b"inf"
        request = urllib.request.Request(  # noqa: S310 - our own server
            f"{self.endpoint}/moto-api/reset-auth", data=allowed, headers={"Content-Type": "text/plain"}
        )
        urllib.request.urlopen(request).close()  # noqa: S310


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The endpoint of an S3 server, a process that lives as long as the tests."""
    program = Path(__file__).parent / "servers" / "s3.py"
    with subprocess.Popen(
        [sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        server.stdin.close()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> S3:
    """An empty bucket on a real S3 server; endpoint and credentials are in the environment."""
    import boto3

    environment = {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    bucket = f"bucket-{uuid.uuid4().hex[:12]}"
    client = boto3.client("s3")
    client.create_bucket(Bucket=bucket)
    return S3(s3_server, bucket, client)
