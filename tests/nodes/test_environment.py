"""Options that stand in environment variables are known by name, and looked up where a node runs."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from urllib.parse import quote

import datasets
import pyarrow as pa
import pytest

from hyped_beam import DataFlow, Processor, Secret, env
from hyped_beam.errors import DefinitionError, FlowError, InputError, NodeError
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.passes import optimise
from hyped_beam.processors.templates.jinja2 import Jinja2
from hyped_beam.testing import flow_of
from hyped_beam.types import features
from hyped_beam.types.patterns import AnyColumn

KEY = "HYPED_BEAM_TEST_KEY"


class Ask(Processor):
    key: Secret[str]
    other: Secret[str] | None = None
    tries: int = 1

    def process_row(self, text: str) -> str:
        return f"{text} {self.key} {self.other}"


@pytest.fixture
def flow():
    return DataFlow(features={"text": "string"})


def asked(flow, **options):
    return {"answer": Ask(**options).call(flow.src_features.text)}


def test_it_is_looked_up_where_the_node_runs(flow, monkeypatch):
    collect = asked(flow, key=env(KEY))
    monkeypatch.setenv(KEY, "hush")
    assert flow.batch_process({"text": ["a"]}, collect=collect) == {"answer": ["a hush None"]}
    monkeypatch.setenv(KEY, "other")
    assert flow.batch_process({"text": ["a"]}, collect=collect) == {"answer": ["a other None"]}


@pytest.mark.parametrize("processes", [1, 2])
def test_workers_look_it_up(flow, monkeypatch, processes, tmp_path):
    monkeypatch.setenv(KEY, "hush")
    ds = datasets.Dataset.from_dict({"text": ["a"]})
    rows, _ = flow.apply(ds, collect=asked(flow, key=env(KEY)), num_proc=processes, cache_dir=tmp_path)
    assert rows["answer"][:] == ["a hush None"]


def test_a_variable_that_is_not_set_is_named(flow, monkeypatch, tmp_path):
    monkeypatch.delenv(KEY, raising=False)
    collect = asked(flow, key=env(KEY))
    with pytest.raises(InputError, match=f"the environment variable {KEY} is not set"):
        flow.batch_process({"text": ["a"]}, collect=collect)
    ds = datasets.Dataset.from_dict({"text": ["a"]})
    with pytest.raises(FlowError, match=f"the environment variable {KEY} is not set"):
        flow.apply(ds, collect=collect, num_proc=2, cache_dir=tmp_path)


def test_the_value_is_shown_and_saved_nowhere(flow, monkeypatch, tmp_path):
    monkeypatch.setenv(KEY, "hush")
    collect = asked(flow, key=env(KEY), other=env("HOME"))
    built, _ = flow.build(collect=collect)
    built.batch_process({"text": ["a"]})
    assert f"env('{KEY}')" in built.explain()
    assert "hush" not in built.explain() + repr(Ask(key=env(KEY))) + str(Ask(key=env(KEY)).identity())


def test_it_comes_back_from_a_saved_flow(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv(KEY, "hush")
    (tmp_path / "asking_nodes.py").write_text(
        "from hyped_beam import Processor, Secret\n"
        "class Ask(Processor):\n"
        "    key: Secret[str]\n"
        "    def process_row(self, text: str) -> str:\n"
        "        return f'{text} {self.key}'\n"
    )
    import asking_nodes

    flow = DataFlow(features={"text": "string"})
    path = tmp_path / "flow.json"
    flow.save(path, collect={"t": asking_nodes.Ask(key=env(KEY)).call(flow.src_features.text)})
    assert f'"options": {{"key": {{"env": "{KEY}"}}}}' in path.read_text()
    assert "hush" not in path.read_text()
    loaded = DataFlow.load(path, modules=["asking_nodes"])
    assert loaded.batch_process({"text": ["a"]}) == {"t": ["a hush"]}
    del sys.modules["asking_nodes"]


def test_it_is_not_folded_into_a_constant(monkeypatch):
    monkeypatch.setenv(KEY, "hush")
    src = flow_of({"text": "string"})
    from hyped_beam.dsl.outputs import Outputs, graph_of
    from hyped_beam.nodes.call import constant
    from hyped_beam.nodes.refs import Ref, builder_of

    fixed = Ref(builder_of(src), constant(builder_of(src), "a"), features.value("string"))
    folded = Ask(key="k").call(fixed)
    kept = Ask(key=env(KEY)).call(fixed)
    graph = optimise(graph_of(builder_of(src), Outputs({"f": folded, "k": kept, "t": src.text})), verify=True)
    assert [node.name for node in graph.nodes.values() if node.name == "ask"] == ["ask"]


def test_equal_variables_are_one_node():
    assert Ask(key=env(KEY)).identity() == Ask(key=env(KEY)).identity()
    assert Ask(key=env(KEY)).identity() != Ask(key=env("HOME")).identity()
    assert Ask(key=env(KEY)).identity() != Ask(key=f"${KEY}").identity()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Ask(key="k", tries=env(KEY)), "the option 'tries' is not declared secret"),
        (lambda: Jinja2(template=env(KEY)), "the option 'template' is not declared secret"),
        (lambda: Odd(tries=env(KEY)), "the option 'tries' takes no text"),
        (lambda: Ask(kee=env(KEY)), "Ask has no option 'kee'"),
        (lambda: env(""), r"env\(\) takes the name"),
        (lambda: env("A=B"), "variable, got 'A=B'"),
        (lambda: env(3), "variable, got 3"),
        (lambda: ParquetReader(env(KEY)), "not a path"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(DefinitionError, match=message) as raised:
        make()
    assert "test_environment.py:" in str(raised.value)


class Odd(Processor):
    tries: Secret[int] = 1

    def process_row(self, text: str) -> str:
        return text


class Typed(Processor):
    kind: Secret[str]

    def output(self, text: object) -> object:
        return features.value(self.kind)

    def process(self, text: AnyColumn) -> pa.Array:
        return text


def test_a_node_that_has_to_know_it_at_once_says_so(flow):
    with pytest.raises(DefinitionError, match="has to know kind where the flow is written"):
        Typed(kind=env(KEY)).call(text=flow.src_features.text)


@pytest.mark.parametrize("given", ["hush-hush", env(KEY)])
def test_a_secret_is_shown_nowhere(flow, given, monkeypatch, tmp_path):
    monkeypatch.setenv(KEY, "hush-hush")
    node = Ask(key=given)
    built, _ = flow.build(collect={"answer": node.call(flow.src_features.text)})
    built.plot(save=tmp_path / "flow.svg")
    shown = [repr(node), str(node), node.describe(), built.explain(), (tmp_path / "flow.svg").read_text()]
    assert not [text for text in shown if "hush" in text]
    assert node.identity() != Ask(key="other-other").identity()


def test_a_secret_as_text_is_not_saved(flow, tmp_path):
    with pytest.raises(DefinitionError, match="option 'key' of Ask is secret") as raised:
        flow.save(tmp_path / "flow.json", collect=asked(flow, key="hush-hush"))
    assert 'key=env("NAME")' in raised.value.hint
    assert "hush" not in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_a_wrong_secret_is_not_repeated():
    with pytest.raises(DefinitionError) as raised:
        Ask(key=["hush-hush"])
    assert "option 'key'" in str(raised.value)
    assert "hush" not in str(raised.value)


class Fails(Processor):
    key: Secret[str]

    def process_row(self, text: str) -> str:
        raise ValueError(f"https://ask.example/?key={self.key}&q={quote(self.key)} {self.key!r}")


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("given", ["hush \"hush'/\n", env(KEY)])
def test_a_secret_is_in_no_error(flow, given, monkeypatch, tmp_path, processes):
    monkeypatch.setenv(KEY, "hush \"hush'/\n")
    collect = {"t": Fails(key=given).call(flow.src_features.text)}
    ds = datasets.Dataset.from_dict({"text": ["a"]})
    with pytest.raises(NodeError) as raised:
        flow.apply(ds, collect=collect, num_proc=processes, cache_dir=tmp_path)
    assert "hush" not in str(raised.value) + raised.value.trace + str(raised.value.to_json())
    assert "key=***&q=***" in raised.value.cause


def test_a_saved_flow_gives_variables_to_secret_options_alone(flow, tmp_path, monkeypatch):
    """Not to a template, a constant or a column of text that a stranger has made of one."""
    monkeypatch.setenv(KEY, "hush-hush")
    path = tmp_path / "flow.json"
    prompt = Jinja2(template="to be replaced").call(features=flow.src_features)
    flow.save(path, collect={"t": prompt.rendered, "u": flow.src_features.text.replace("a", "replaced, too")})
    for old in ('"to be replaced"', '"replaced, too"'):
        changed = path.read_text().replace(old, f'{{"env": "{KEY}"}}')
        assert KEY in changed
        (tmp_path / "changed.json").write_text(changed)
        with pytest.raises(InputError):
            DataFlow.load(tmp_path / "changed.json")


@pytest.mark.parametrize("way", ["batch", "apply"])
def test_a_secret_is_in_no_traceback(flow, way, tmp_path):
    collect = {"t": Fails(key="hush-hush").call(flow.src_features.text)}
    ds = datasets.Dataset.from_dict({"text": ["a"]})
    run = {
        "batch": lambda: flow.batch_process({"text": ["a"]}, collect=collect, index=[7]),
        "apply": lambda: flow.apply(ds, collect=collect, cache_dir=tmp_path),
    }
    with pytest.raises(NodeError) as raised:
        run[way]()
    shown = [line for line in traceback.format_exception(raised.value) if "Fails(key=" not in line]
    assert "hush" not in "".join(shown)
    assert "ValueError: https://ask.example/?key=***" in "".join(shown)
    assert type(raised.value.__cause__).__name__ == "ValueError"


class OpensNothing(Processor):
    key: Secret[str]

    def setup(self):
        raise InputError(f"there is no {self.key}", hint=f"make {self.key}")

    def process_row(self, text: str) -> str:
        return text


def test_a_secret_is_not_said_of_a_file_that_is_not_there(flow):
    collect = {"t": OpensNothing(key="hush-hush").call(flow.src_features.text)}
    with pytest.raises(InputError, match=r"there is no \*\*\*") as raised:
        flow.batch_process({"text": ["a"]}, collect=collect)
    assert "hush" not in "".join(traceback.format_exception(raised.value))


SCRIPT = """
import datasets
from hyped_beam import DataFlow, Processor, Secret, env

class Local(Processor):
    key: Secret[str]
    other: Secret[str] | None = None

    def process_row(self, text: str) -> str:
        raise ValueError(f"{self} {self.key} {self.other}")

if __name__ == "__main__":
    flow = DataFlow(features={"text": "string"})
    collect = {"t": Local(key="hush-hush", other=env("HUSH")).call(flow.src_features.text)}
    try:
        ds = datasets.Dataset.from_dict({"text": ["a", "b"]})
        flow.apply(ds, collect=collect, num_proc=2, cache_dir="c")
    except Exception as error:
        print(error, error.trace)
"""


def test_a_class_that_is_sent_to_workers_by_its_value_keeps_its_secrets(tmp_path):
    """As one of `__main__` or a notebook is, with what its options are marked by."""
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env={**os.environ, "HUSH": "hush-too"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert "*** ***" in done.stdout
    assert "hush" not in done.stdout + done.stderr
