"""Pipes, sockets and devices: refused at once wherever a file is read or written, never waited for."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hyped_beam import DataFlow, FlowError, ops
from hyped_beam.aggregators import Sum
from hyped_beam.errors import InputError
from hyped_beam.io.readers.arrow import ArrowReader
from hyped_beam.io.readers.csv import CsvReader
from hyped_beam.io.readers.json import JsonReader
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.readers.text import TextReader
from hyped_beam.io.writers.json import JsonDatasetWriter
from hyped_beam.processors.tokenizers.transformers import TransformersTokenizer

REFUSED = "is a pipe, a socket or a device, and no file"
# A test that waits for a pipe would wait for ever.
DEADLINE = 120


@pytest.fixture(autouse=True)
def deadline():
    """Interrupt what hangs."""
    signal.alarm(DEADLINE)
    yield
    signal.alarm(0)


@pytest.fixture
def folder(tmp_path):
    """A folder with a file of rows."""
    (tmp_path / "rows.jsonl").write_text('{"n": 1}\n{"n": 2}\n')
    return tmp_path


def special(path, kind):
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        # a path of a socket is short, a temporary folder's may not be
        here = Path.cwd()
        os.chdir(path.parent)
        try:
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(path.name)
        finally:
            os.chdir(here)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        os.mkfifo(path.with_name("elsewhere"))
        path.symlink_to(path.with_name("elsewhere"))
    return path


READERS = {
    "x.jsonl": JsonReader,
    "x.csv": CsvReader,
    "x.txt": TextReader,
    "x.parquet": ParquetReader,
    "x.arrow": ArrowReader,
    "x.jsonl.gz": JsonReader,
}


@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "link"])
@pytest.mark.parametrize("name", READERS)
def test_a_source_that_is_no_file_is_refused(folder, name, kind):
    path = special(folder / name, kind)
    for reader in (READERS[name](path), READERS[name](folder / f"*{name[1:]}", features={"n": "string"})):
        with pytest.raises(InputError, match=f"{name} {REFUSED}"):
            reader.ranges()
    flow = DataFlow(features={"n": "string"})
    job = flow.job(source=path).write(
        collect={"n": flow.src_features.n}, to=JsonDatasetWriter(folder / "out")
    )
    with pytest.raises(InputError, match=f"{name} {REFUSED}"):
        job.run(runner="local")


def test_what_stands_beside_files_does_no_harm(folder):
    special(folder / "control", "pipe")
    assert JsonReader(folder).extent()[1] is None
    with pytest.raises(InputError, match="there is no file or folder") as raised:
        JsonReader(folder / "row.jsonl").ranges()
    assert "did you mean" in str(raised.value)


def test_a_link_to_a_file_is_that_file(folder, read_all):
    (folder / "in").mkdir()
    (folder / "in" / "link.jsonl").symlink_to(folder / "rows.jsonl")
    assert sum(batch.num_rows for batch in read_all(JsonReader(folder / "in"))) == 2


@pytest.mark.parametrize("path", ["/dev/stdin", "/dev/null"])
def test_standard_input_is_no_source(path):
    with pytest.raises(InputError, match=f"{path} {REFUSED}"):
        JsonReader(path, features={"n": "int64"}).ranges()


@pytest.mark.parametrize("name", ["table.parquet", "table.jsonl"])
def test_a_table_that_is_no_file_is_refused(folder, name):
    special(folder / name, "pipe")
    flow = DataFlow(features={"n": "int64"})
    with pytest.raises(FlowError, match=f"{name} {REFUSED}"):
        ops.lookup(flow.src_features.n, in_=str(folder / name), key="n")


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_an_output_that_is_no_folder_is_refused(folder, kind):
    path = Path("/dev/null") if kind == "device" else special(folder / "out", kind)
    flow = DataFlow(features={"n": "int64"})
    n = flow.src_features.n
    job = flow.job(source=folder / "rows.jsonl")
    with pytest.raises(InputError, match=REFUSED):
        job.write(collect={"n": n}, to=JsonDatasetWriter(path)).run(runner="local")
    with pytest.raises(InputError, match=REFUSED):
        job.aggregate({"sum": Sum().call(n)}, to=path).run(runner="local")
    with pytest.raises(FlowError, match="cannot be written to"):
        job.aggregate({"sum": Sum().call(n)}).run(runner="local", cache=path)


def test_a_pipe_for_a_picture_is_refused(folder):
    path = special(folder / "flow.svg", "pipe")
    flow = DataFlow(features={"n": "int64"})
    with pytest.raises(FlowError, match=REFUSED):
        flow.plot(save=path)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "vocab.txt"])
def test_a_file_of_a_tokenizer_that_is_a_pipe_is_refused(folder, name):
    path = special(folder / name, "pipe")
    flow = DataFlow(features={"text": "string"})
    for place in (folder, path):
        with pytest.raises(FlowError, match=f"{name}' {REFUSED}"):
            TransformersTokenizer(tokenizer=str(place)).call(flow.src_features.text)


@pytest.mark.parametrize("given", ["--input", "--output", "target"])
def test_the_command_line_refuses_it_in_one_line(folder, given):
    script = "from hyped_beam import DataFlow\nfrom hyped_beam.io.writers.json import JsonDatasetWriter\n"
    script += 'flow = DataFlow(features={"n": "int64"})\n'
    script += f'job = flow.job(source="{folder}/rows.jsonl").write('
    script += f'collect={{"n": flow.src_features.n}}, to=JsonDatasetWriter("{folder}/out"))\n'
    (folder / "target.py").write_text(script)
    pipe = special(folder / "pipe.jsonl", "pipe")
    target = special(folder / "pipe.py", "pipe") if given == "target" else folder / "target.py"
    more = [] if given == "target" else [given, str(pipe)]
    ended = subprocess.run(
        [sys.executable, "-m", "hyped_beam.compile", str(target), "--run", *more],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert ended.returncode == 2, ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
    assert "pipe" in ended.stderr
    assert not (folder / "out").exists()
