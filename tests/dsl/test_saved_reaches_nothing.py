"""Loading a saved flow opens no file but the flow's own, and asks neither the network nor the environment."""

from __future__ import annotations

import json
import os
import shutil
import tempfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hyped_beam import DataFlow, ops
from hyped_beam.errors import DefinitionTypeError, FlowError, InputError
from hyped_beam.io.readers.csv import CsvReader
from hyped_beam.processors.tokenizers.transformers import TransformersTokenizer
from tests.dsl.saved_flows import ROOT, elsewhere, refused

WATCHED = """
    import json, os, sys
    from pathlib import Path

    import hyped_beam
    from hyped_beam import DataFlow

    warm, path, out = sys.argv[1:]
    sys.path = [folder for folder in sys.path if folder]  # imports look into the working directory otherwise
    def use(path):
        flow = DataFlow.load(path)
        assert flow.features and flow.outputs and repr(flow)
        flow.explain()
        flow.plot(save=f"{out}/flow.svg")
        flow.save(f"{out}/again.json")

    use(warm)  # imports what is used only then
    events = []
    code = (sys.prefix, sys.base_prefix, str(Path(hyped_beam.__file__).parent))
    reaching = {
        "ctypes.dlopen", "glob.glob", "os.exec", "os.fork", "os.listdir", "os.posix_spawn", "os.scandir",
        "os.system", "os.walk",
    }

    def watch(event, arguments):
        if event == "open" or event in reaching:
            told = arguments[0]
            told = "" if isinstance(told, int) else os.fsdecode(told)
            if not told.startswith(code):  # modules that are imported, and what packages offer
                events.append([event, told])
        elif event.split(".")[0] in ("socket", "subprocess", "urllib", "http", "ftplib", "smtplib"):
            events.append([event, str(arguments)[:200]])

    sys.addaudithook(watch)
    use(path)
    print(json.dumps(events))
"""


def flow_with_files(folder):
    """A saved flow of a tokenizer, lookups and large constants; their files lie beside it."""
    folder.mkdir()
    made = folder / "tokenizer"
    shutil.copytree(ROOT / "examples/data/tokenizer", made)
    pq.write_table(pa.table({"id": ["a", "b"], "group": [1, 2]}), folder / "groups.parquet")
    (folder / "names.csv").write_text("id,name\na,ann\n")
    flow = DataFlow(features={"text": "string"})
    text = flow.src_features.text
    flow.save(
        folder / "flow.json",
        collect={
            "tokens": TransformersTokenizer(tokenizer=made, return_length=True).call(text=text),
            "group": ops.lookup(text, in_=str(folder / "groups.parquet"), key="id").group,
            "name": ops.lookup(text, in_=CsvReader(folder / "names.csv"), key="id"),
            "known": text.is_in([f"word {number}" for number in range(10_000)]),
        },
    )
    return folder / "flow.json"


def reached(tmp_path, path):
    """What loading, explaining, drawing and saving a flow again opens and calls, but its own files."""
    warm = flow_with_files(tmp_path / "warm")
    out = tmp_path / "out"
    out.mkdir()
    events = json.loads(elsewhere(WATCHED, warm, path, out).splitlines()[-1])
    (beside,) = path.parent.glob("*.arrow")
    own = {str(path), str(beside)}
    assert {told for event, told in events if event == "open"} >= own
    return [(event, told) for event, told in events if told not in own and not is_for_pictures(told, out)]


def is_for_pictures(told, out):
    """Whether it is an output, or a temporary file or the process of graphviz."""
    temporary = tuple(f"{tempfile.gettempdir()}/{prefix}" for prefix in ("tmp", "hyped-beam-"))
    return (
        told in ("", tempfile.gettempdir()) or told.startswith((str(out), *temporary)) or "graphviz" in told
    )


@pytest.mark.parametrize("are_there", [True, False])
def test_loading_opens_the_flow_and_its_constants_alone(tmp_path, are_there):
    path = flow_with_files(tmp_path / "flow")
    if not are_there:
        shutil.rmtree(path.parent / "tokenizer")
        for file in ("groups.parquet", "names.csv"):
            (path.parent / file).unlink()
    assert reached(tmp_path, path) == []


def test_loading_asks_neither_a_hub_nor_a_store_nor_a_host(tmp_path):
    path = flow_with_files(tmp_path / "flow")
    text = path.read_text()
    assert str(path.parent / "tokenizer") in text
    text = text.replace(str(path.parent / "tokenizer"), "a-stranger/their-model")
    text = text.replace(str(path.parent / "groups.parquet"), "s3://a-bucket/groups.parquet?region=eu-west-1")
    text = text.replace(str(path.parent / "names.csv"), "hf://datasets/a-stranger/names/names.csv")
    path.write_text(text)
    assert reached(tmp_path, path) == []


@pytest.mark.parametrize(
    ("uri", "host"),
    [
        ("s3://b/t.csv?endpoint_override=http://evil.example", "evil.example"),
        ("s3://b/t.csv?endpoint_override=http%3A%2F%2Fevil.example%3A9000", "evil.example:9000"),
        ("s3://b/t.csv?endpoint_override=evil.example&anonymous=false", "evil.example"),
        ("s3://b/t.csv?scheme=http", "http"),
        ("gs://b/t.csv?endpoint_override=evil.example", "evil.example"),
        ("ftp://user@EVIL.example:21/t.csv", "evil.example:21"),
        ("zip://t.csv", "t.csv"),
    ],
)
def test_a_host_that_the_user_has_not_named_is_refused(tmp_path, uri, host):
    path = flow_with_files(tmp_path / "flow")
    path.write_text(path.read_text().replace(str(path.parent / "names.csv"), uri))
    said = refused(path)
    assert f"its table lies at the host {host!r}" in said
    assert f"hosts=[{host!r}]" in said
    assert DataFlow.load(path, hosts=[host.upper()]).outputs


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("simplecache::https://evil.example/t.csv", "no file system for 'simplecache::https'"),
        ("filecache::s3://b/t.csv", "no file system for 'filecache::s3'"),
        ("s3://b/t.csv?region=evil.example%2F", "is no region"),
        ("s3://evil.example#/t.csv", "is not a name of a bucket"),
        ("s3://key:secret@b/t.csv", "holds credentials"),
    ],
)
def test_a_uri_that_leads_elsewhere_in_another_way_is_refused(tmp_path, uri, message):
    path = flow_with_files(tmp_path / "flow")
    path.write_text(path.read_text().replace(str(path.parent / "names.csv"), uri))
    assert message in refused(path)
    assert message in refused(path, hosts=["evil.example"])


def test_an_endpoint_without_credentials_needs_no_leave(tmp_path):
    path = flow_with_files(tmp_path / "flow")
    uri = "s3://b/t.csv?endpoint_override=evil.example&anonymous=true"
    path.write_text(path.read_text().replace(str(path.parent / "names.csv"), uri))
    assert DataFlow.load(path).outputs


def test_hosts_are_a_list(tmp_path):
    with pytest.raises(DefinitionTypeError, match="hosts= takes a list"):
        DataFlow.load(flow_with_files(tmp_path / "flow"), hosts="evil.example")


def test_a_table_that_has_changed_is_noticed_when_it_is_read(tmp_path):
    path = flow_with_files(tmp_path / "flow")
    table = path.parent / "groups.parquet"
    pq.write_table(pa.table({"id": ["a"], "group": [7], "more": [1]}), table)
    assert DataFlow.load(path).batch_process({"text": ["a", "c"]})["group"] == [7, None]
    for changed, is_now in ({"group": ["x"]}, "string"), ({"groups": [1]}, "gone"):
        pq.write_table(pa.table({"id": ["a"], **changed}), table)
        loaded = DataFlow.load(path)
        with pytest.raises(InputError) as raised:
            loaded.batch_process({"text": ["a"]})
        assert f"its column 'group' was int64, and is {is_now}" in str(raised.value)
        assert raised.value.hint


def test_a_tokenizer_that_has_changed_is_noticed_when_it_runs(tmp_path):
    folder = tmp_path / "flow"
    path = flow_with_files(folder)
    text = path.read_text()
    path.write_text(text.replace('"return_length": true', '"return_length": true, "padding": "longest"'))
    (folder / "tokenizer/tokenizer_config.json").write_text("{}")
    loaded = DataFlow.load(path)
    with pytest.raises(FlowError, match="has no padding token"):
        loaded.batch_process({"text": ["a"]})


REMOTE_CODE = """
import pathlib
pathlib.Path(__file__).with_name("it_ran").touch()
from transformers import PreTrainedTokenizerFast as Own
"""


def test_code_of_a_tokenizer_is_never_run_nor_asked_for(tmp_path):
    path = flow_with_files(tmp_path / "flow")
    folder = path.parent / "tokenizer"
    configuration = {"auto_map": {"AutoTokenizer": ["own.Own", "own.Own"]}, "tokenizer_class": "Own"}
    (folder / "tokenizer_config.json").write_text(json.dumps(configuration))
    (folder / "config.json").write_text(
        json.dumps({"model_type": "own", "auto_map": {"AutoConfig": "own.Own"}})
    )
    (folder / "own.py").write_text(REMOTE_CODE)
    script = """
        import sys
        from hyped_beam import DataFlow, FlowError
        from hyped_beam.processors.tokenizers.transformers import TransformersTokenizer
        loaded = DataFlow.load(sys.argv[1])
        src = DataFlow(features={"text": "string"}).src_features
        for use in (
            lambda: loaded.batch_process({"text": ["a"]}),
            lambda: TransformersTokenizer(tokenizer=sys.argv[2]).call(text=src.text),
        ):
            try:
                use()
            except FlowError as error:
                print(error)
    """
    said = elsewhere(script, path, folder, answers="y\n" * 10)
    assert said.count("cannot be loaded") == 2
    assert "Do you wish to run" not in said
    assert not list(tmp_path.rglob("it_ran"))


@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize("which", ["flow.json", "*.arrow"])
def test_a_pipe_or_a_device_is_refused(tmp_path, kind, which):
    path = flow_with_files(tmp_path / "flow")
    (file,) = path.parent.glob(which)
    file.unlink()
    if kind == "pipe":
        os.mkfifo(file)
    else:
        file.symlink_to("/dev/zero")
    assert "it is a pipe, a socket or a device, and no file" in refused(path)
    if which == "flow.json":
        flow = DataFlow(features={"text": "string"})
        with pytest.raises(InputError, match="is there already, and is no saved flow"):
            flow.save(path, collect={"t": flow.src_features.text})
