"""Prism is for its user alone: nobody else reaches it, and a program that others reach gets no job."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from hyped_beam import DataFlow
from hyped_beam.dsl.job import Job
from hyped_beam.errors import DefinitionError, JobError
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.json import JsonDatasetWriter
from hyped_beam.launch.listening import Listener, listeners_at, listeners_of_group, read_lsof
from hyped_beam.launch.profiles import load_profile
from hyped_beam.launch.reach import ExposedRunnerWarning
from hyped_beam.launch.servers import Server, find_program

PRISM = pytest.mark.needs("prism")
DEADLINE_SECONDS = 600
NOBODY = 65534
EVERYWHERE = "0.0.0.0"  # noqa: S104 - what is refused here


@pytest.fixture
def job(tmp_path: Path) -> Job:
    pq.write_table(pa.table({"n": [1, 2, 3]}), tmp_path / "in.parquet")
    reader = ParquetReader(tmp_path / "in.parquet")
    flow = DataFlow(features=reader)
    to = JsonDatasetWriter(tmp_path / "out")
    return flow.job(source=reader).write(collect={"n": flow.src_features.n}, to=to)


@pytest.fixture
def prism() -> str:
    path = find_program(load_profile("prism"))
    assert path is not None
    return path


@pytest.fixture
def server(prism: str) -> Iterator[Server]:
    """The program as a job starts it."""
    profile = load_profile("prism")
    assert profile.server is not None
    started = Server(profile, prism, profile.server)
    yield started
    started.stop()


@pytest.fixture
def by_hand(prism: str) -> Iterator[int]:
    """The port of a program that somebody has started without a socket."""
    with subprocess.Popen(
        [prism, "--job_port=0", "--serve_http=false", "--log_kind=json"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        line = next(line for line in process.stderr if "Serving JobManagement" in line)
        yield int(line.rpartition("localhost:")[2].partition('"')[0])
        process.kill()


def other_addresses() -> list[str]:
    """The addresses of this machine that other machines know."""
    found = {
        str(info[4][0])
        for target in ("192.0.2.1", "2001:db8::1")  # for documentation; nothing is sent
        for info in [*routed(target)]
    }
    return sorted(found)


def routed(target: str) -> Iterator[tuple[Any, ...]]:
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect((target, 9))
        except OSError:  # this machine has no way there
            return
        yield (family, None, None, None, asked.getsockname())


def as_another_user(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program as a user without rights, once it has imported what stands before `drop()`."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    drop = f"""
import os, sys
def drop():
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
"""
    return subprocess.run(
        [sys.executable, "-c", drop + textwrap.dedent(program), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_SECONDS,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )


# -------------------------------------------------------------------------------- the program that we start


@PRISM
def test_the_program_that_a_job_starts_has_no_port(server: Server):
    assert listeners_of_group(server._process.pid) == []
    path = Path(server.endpoint.removeprefix("unix:"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.parent.stat().st_uid == os.geteuid()


@PRISM
def test_its_folder_goes_with_it(server: Server):
    folder = Path(server.endpoint.removeprefix("unix:")).parent
    assert folder.is_dir()
    server.stop()
    assert not folder.exists()


@PRISM
def test_another_user_cannot_open_its_socket(server: Server):
    path = server.endpoint.removeprefix("unix:")
    program = """
        import socket
        drop()
        try:
            socket.socket(socket.AF_UNIX).connect(sys.argv[1])
        except PermissionError:
            print("refused")
    """
    tried = as_another_user(program, path)
    assert (tried.stdout, tried.stderr) == ("refused\n", "")
    with socket.socket(socket.AF_UNIX) as ours:
        ours.connect(path)  # so that it was no other fault


@PRISM
def test_the_workers_of_a_job_have_no_port_either(server: Server):
    from hyped_beam.launch.loopback import Workers

    before = listeners_of_group(os.getpgrp())
    workers = Workers(PipelineOptions([]))
    try:
        assert sorted(listeners_of_group(os.getpgrp())) == sorted(before)
        path = Path(workers._socket.address.removeprefix("unix:"))
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    finally:
        workers.close()
    assert not path.parent.exists()


@PRISM
def test_a_temporary_folder_with_a_long_or_odd_name_does_no_harm(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("long" * 40, "100% odd #1"):
        (tmp_path / name).mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / name))
        profile = load_profile("prism")
        path = find_program(profile)
        assert path is not None
        assert profile.server is not None
        started = Server(profile, path, profile.server)
        started.stop()
        assert list((tmp_path / name).iterdir()) == []


@PRISM
def test_a_job_leaves_the_hook_of_threads_as_it_was(job: Job):
    before = threading.excepthook
    job.run(runner="prism")
    assert threading.excepthook == before


def test_the_time_that_a_server_may_take_to_answer_is_no_deadline_of_the_job():
    from hyped_beam.launch.loopback import LoopbackRunner

    options = PipelineOptions([], job_server_timeout=1)
    assert LoopbackRunner().create_job_service_handle(None, options).timeout is None


# ------------------------------------------------------------------------------------ one that runs already


@PRISM
def test_one_started_by_hand_is_not_reached_from_other_machines(by_hand: int):
    (listener,) = listeners_at(by_hand)
    assert listener == Listener("127.0.0.1", by_hand)
    socket.create_connection(("127.0.0.1", by_hand)).close()
    assert other_addresses(), "this machine has no address but loopback to try it from"
    for address in other_addresses():
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address, by_hand), source_address=(address, 0))


@PRISM
@pytest.mark.parametrize("kind", ["PROCESS", "DOCKER"])
def test_it_starts_no_program_for_a_job(job: Job, by_hand: int, tmp_path: Path, kind: str):
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/was-here\n")
    program.chmod(0o755)
    config = f'{{"command": "{program}"}}' if kind == "PROCESS" else str(program)
    options = {
        "job_endpoint": f"localhost:{by_hand}",
        "environment_type": kind,
        "environment_config": config,
    }
    with (
        pytest.warns(ExposedRunnerWarning),
        pytest.raises(JobError, match=f"this Prism starts no programs .*:{kind.lower()}:"),
    ):
        job.run(runner="prism", options=options)
    assert not (tmp_path / "was-here").exists()


@PRISM
def test_nor_for_another_user(by_hand: int, tmp_path: Path):
    tmp_path.chmod(0o777)
    program = """
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
        from apache_beam.runners.portability.portable_runner import PortableRunner
        endpoint, file = sys.argv[1:]
        config = '{"command": "/bin/sh", "env": {"ENV": "%s"}}' % file
        options = PipelineOptions(
            [], job_endpoint=endpoint, environment_type="PROCESS", environment_config=config
        )
        os.chdir("/")
        drop()
        try:
            with beam.Pipeline(runner=PortableRunner(), options=options) as pipeline:
                pipeline | beam.Create([1])
        except RuntimeError as error:
            print("this Prism starts no programs" in str(error))
    """
    assert as_another_user(program, f"localhost:{by_hand}", str(tmp_path)).stdout == "True\n"


@PRISM
def test_a_job_for_a_program_that_other_users_reach_says_so(job: Job, by_hand: int):
    endpoint = f"localhost:{by_hand}"
    said = (
        f"other users of this machine can give jobs to {endpoint}, cancel yours, read their rows and run code"
    )
    with pytest.warns(ExposedRunnerWarning, match=said) as caught:
        assert job.run(runner="prism", options={"job_endpoint": endpoint}).rows == {"rows": 3}
    assert [warning.filename for warning in caught if warning.category is ExposedRunnerWarning] == [__file__]


@PRISM
def test_a_job_for_a_socket_of_ones_own_says_nothing(
    job: Job, server: Server, recwarn: pytest.WarningsRecorder
):
    assert job.run(runner="prism", options={"job_endpoint": server.endpoint}).rows == {"rows": 3}
    assert [str(found.message) for found in recwarn if found.category is ExposedRunnerWarning] == []


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_a_program_that_other_machines_reach_gets_no_job(job: Job, tmp_path: Path, host: str):
    with socket.create_server((EVERYWHERE, 0)) as wide:
        port = wide.getsockname()[1]
        refused = f"the program at {host}:{port} listens on 0.0.0.0:{port}, where other machines reach it"
        with pytest.raises(DefinitionError) as caught:
            job.run(runner="prism", options={"job_endpoint": f"{host}:{port}"})
        wide.settimeout(0)
        with pytest.raises(BlockingIOError):  # nothing was sent to it
            wide.accept()
    assert refused in caught.value.message
    assert "--job_socket=" in str(caught.value.hint)
    assert not (tmp_path / "out").exists()


# -------------------------------------------------------------------------- programs that are built otherwise

LISTENS = """#!{python}
import socket, sys, time
wide = socket.create_server(("{host}", 0))
path = next(given.partition("=")[2] for given in sys.argv if given.startswith("--job_socket="))
print('"Serving JobManagement","endpoint":"unix:' + path + '"', flush=True)
wide.accept()
print("it was given a job", flush=True)
"""


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "#!/bin/sh\necho flag provided but not defined: -job_socket >&2\nseq 100\nexit 2\n",
            "is not built for one user alone: it would take jobs, and commands to run, from everybody",
        ),
        (
            '#!/bin/sh\necho \'"Serving JobManagement","endpoint":"localhost:8073"\'\nsleep 1000\n',
            "takes jobs at localhost:8073, and not at the socket of one user alone",
        ),
        (
            LISTENS.format(python=sys.executable, host=EVERYWHERE),
            r"listens on 0\.0\.0\.0:\d+, where other machines",
        ),
        (LISTENS.format(python=sys.executable, host=""), r"listens on .*:\d+, where other machines reach it"),
    ],
    ids=["stock", "port", "wide", "wider"],
)
def test_a_program_that_others_reach_is_refused(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, fault: str
):
    program = tmp_path / "prism"
    program.write_text(text)
    program.chmod(0o755)
    monkeypatch.setenv("HYPED_BEAM_PRISM", str(program))
    with pytest.raises(DefinitionError, match=fault) as caught:
        job.run(runner="prism")
    assert "build it with `" in str(caught.value.hint)
    assert caught.value.site is not None
    assert caught.value.site.file == __file__
    assert not (tmp_path / "out").exists()


def test_what_listens_is_found_with_its_addresses():
    for host, shown, inside in [("127.0.0.1", "127.0.0.1", True), (EVERYWHERE, EVERYWHERE, False)]:
        with socket.create_server((host, 0)) as made:
            port = made.getsockname()[1]
            (found,) = [listener for listener in listeners_of_group(os.getpgrp()) if listener.port == port]
            assert listeners_at(port) == [found]
            assert (str(found), found.is_loopback) == (f"{shown}:{port}", inside)
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as made:
        port = made.getsockname()[1]
        assert [str(found) for found in listeners_at(port)] == [f"[::1]:{port}"]
    assert Listener("::ffff:127.0.0.1", 1).is_loopback
    assert not Listener("::ffff:192.0.2.1", 1).is_loopback
    assert not Listener("::", 1).is_loopback


def test_what_lsof_prints_is_read():
    printed = "p123\nf5\nn*:8073\nf6\nn127.0.0.1:51000\nf7\nn[::1]:51001\nf8\nn192.0.2.7:22\n"
    assert [str(found) for found in read_lsof(printed) if not found.is_loopback] == [
        "0.0.0.0:8073",
        "192.0.2.7:22",
    ]
    assert len(read_lsof(printed)) == 4


# ----------------------------------------------------------------------------------------- the command line


@PRISM
@pytest.mark.parametrize("by_socket", [True, False])
def test_the_first_line_of_a_run_says_what_others_could_do(by_hand: int, tmp_path: Path, by_socket: bool):
    pq.write_table(pa.table({"n": [1, 2, 3]}), tmp_path / "in.parquet")
    (tmp_path / "target.py").write_text(
        """
from hyped_beam import DataFlow
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.json import JsonDatasetWriter

flow = DataFlow(features=ParquetReader("in.parquet"))
job = flow.job(source=ParquetReader("in.parquet"))
job = job.write(collect={"n": flow.src_features.n}, to=JsonDatasetWriter("out"))
"""
    )
    to = [] if by_socket else ["--job_endpoint", f"localhost:{by_hand}"]
    ran = subprocess.run(
        [sys.executable, "-m", "hyped_beam.compile", "target.py", "--run", "--runner", "prism", *to],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_SECONDS,
    )
    assert ran.returncode == 0, ran.stderr
    said = ran.stderr.splitlines()
    if by_socket:
        expected = "other users of this machine see that it runs, and can do no more"
    else:
        expected = (
            f"other users of this machine can give jobs to localhost:{by_hand}, cancel yours, read their "
        )
    assert expected in said[0]
    assert not any("Warning" in line for line in said)
