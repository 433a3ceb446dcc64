"""Fingerprints of nodes: another for whatever may compute something else, the same in every process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from hyped_beam import processor
from hyped_beam.aggregators import Mean, Quantiles
from hyped_beam.nodes.fingerprint import NoFingerprintError, digest_of, fingerprint_of
from hyped_beam.processors.tokenizers.transformers import TransformersTokenizer

PRELUDE = """
import functools, re
from typing import ClassVar
import numpy as np
from hyped_beam import Aggregator, Processor, processor, Secret, env
"""

FUNCTION = """
LIMIT = 3
PATTERN = re.compile("a+")
TABLE = {"words": {"to", "be"}, "more": [1, (2.5, None)]}
WEIGHTS = np.arange(4.0)

def shorten(text, by=2):
    return PATTERN.sub("", text)[by:LIMIT]

class Helper:
    factor = 2
    def __init__(self, offset):
        self.offset = offset
    def of(self, text):
        return len(text) * self.factor + self.offset

HELPER = Helper(1)

def counting(step):
    def count(text):
        return step
    return count

three = counting(3)

@functools.lru_cache
def cached(text):
    return text + "!"

@processor
def node(text: str) -> int:
    found = [word for word in shorten(text).split() if word in TABLE["words"]]
    return len(found) + HELPER.of(cached(text)) + three(text) + int(WEIGHTS.sum())
"""


def made(source: str) -> Any:
    """The node that a script makes."""
    module = ModuleType("__main__")
    exec(compile(PRELUDE + textwrap.dedent(source), "script.py", "exec", dont_inherit=True), module.__dict__)  # noqa: S102
    return module.node


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 3", "LIMIT = 4"),
        ('re.compile("a+")', 're.compile("a+", re.I)'),
        ('{"to", "be"}', '{"to", "bee"}'),
        ("(2.5, None)", "(2.25, None)"),
        ("np.arange(4.0)", "np.arange(4.0) * 2"),
        ("by=2", "by=1"),
        ("factor = 2", "factor = 3"),
        ("HELPER = Helper(1)", "HELPER = Helper(2)"),
        ("len(text) * self.factor", "len(text) + self.factor"),
        ("counting(3)", "counting(4)"),
        ('text + "!"', 'text + "?"'),
        ("[word for word in", "[word.lower() for word in"),
        ("in TABLE", "not in TABLE"),
        ("node(text: str)", "node(text: str | None)"),
        ("node(text: str)", "node(text: str, other: str = None)"),
    ],
)
def test_whatever_a_function_uses_changes_its_fingerprint(old, new):
    assert old in FUNCTION
    assert fingerprint_of(made(FUNCTION.replace(old, new))) != fingerprint_of(made(FUNCTION))


@pytest.mark.parametrize("change", ["# a comment\n" + FUNCTION, FUNCTION + "\nUNUSED = 1\n", FUNCTION])
def test_what_it_does_not_use_does_not(change):
    assert fingerprint_of(made(change)) == fingerprint_of(made(FUNCTION))


CLASS = """
class Base(Processor):
    step: int = 1
    weight: ClassVar[int] = 2
    def more(self, n):
        return n + self.weight

class node(Base):
    def setup(self):
        self.held = self.more(self.step)
    def process_row(self, text: str) -> int:
        return self.held
node = node(step=2)
"""

AGGREGATOR = """
from typing import NamedTuple
from hyped_beam.nodes.groups import Groups
from hyped_beam.types.patterns import Float64Column, Int64Column, StringColumn
class node(Aggregator):
    class State(NamedTuple):
        count: Int64Column
    def update(self, value: StringColumn, by: Groups) -> State:
        return self.State(by.count(value))
    def merge(self, state: State, by: Groups) -> State:
        return self.State(by.sum(state.count))
    def finish(self, state: State) -> Int64Column:
        return state.count
node = node()
"""


@pytest.mark.parametrize(
    ("source", "old", "new"),
    [
        (CLASS, "node(step=2)", "node(step=3)"),
        (CLASS, "weight: ClassVar[int] = 2", "weight: ClassVar[int] = 3"),
        (CLASS, "n + self.weight", "n - self.weight"),
        (CLASS, "self.more(self.step)", "self.step"),
        (AGGREGATOR, "by.count(value)", "by.sum(value)"),
        (AGGREGATOR, "by.sum(state.count)", "by.max(state.count)"),
    ],
)
def test_classes_by_what_their_methods_do_and_those_of_their_bases(source, old, new):
    assert old in source
    assert fingerprint_of(made(source)) == fingerprint_of(made(source))
    assert fingerprint_of(made(source.replace(old, new))) != fingerprint_of(made(source))


def test_modules_by_what_is_used_of_them(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mail_rules.py").write_text(
        "LIMIT = 1\ndef other(): ...\ndef clean(text): return text[LIMIT:]\n"
    )
    (tmp_path / "mail_more.py").write_text("def late(text): return text\n")
    source = """
    import mail_rules
    @processor
    def node(text: str) -> str:
        from mail_more import late
        return late(mail_rules.clean(text))
    """
    found = {fingerprint_of(made(source))}
    import mail_more
    import mail_rules

    monkeypatch.setattr(mail_rules, "other", None)
    assert {fingerprint_of(made(source))} == found
    monkeypatch.setattr(mail_rules, "LIMIT", 2)
    found.add(fingerprint_of(made(source)))
    monkeypatch.setattr(mail_more, "late", lambda text: text + "!")
    found.add(fingerprint_of(made(source)))
    assert len(found) == 3
    monkeypatch.delitem(sys.modules, "mail_rules")
    monkeypatch.delitem(sys.modules, "mail_more")


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("return len(open(text).read())", "reads a file"),
        ("import pathlib; return len(pathlib.Path(text).read_text())", "reads a file"),
        ("import os; return len(os.environ['HOME'])", "reads the environment"),
        ("import os; return len(os.getenv('HOME'))", "reads the environment"),
        ("return LOCK.acquire()", "cannot be told"),
        ("import not_there; return 1", "imports 'not_there', which fails"),
    ],
)
def test_what_cannot_be_told_is_refused_with_the_reason(source, why):
    script = (
        f"import threading\nLOCK = threading.Lock()\n@processor\ndef node(text: str) -> int:\n    {source}\n"
    )
    with pytest.raises(NoFingerprintError, match=why):
        fingerprint_of(made(script))


def test_a_node_may_say_itself_what_it_reads(tmp_path):
    path = tmp_path / "words.txt"
    source = f"""
    import pathlib
    class node(Processor):
        def fingerprint(self):
            return pathlib.Path({str(path)!r}).read_text()
        def setup(self):
            self.words = open({str(path)!r}).read()
        def process_row(self, text: str) -> bool:
            return text in self.words
    node = node()
    """
    found = []
    for words in ("to be", "or not", "to be"):
        path.write_text(words)
        found.append(fingerprint_of(made(source)))
    assert found[0] == found[2] != found[1]


def test_what_the_environment_gives_counts_by_its_value(monkeypatch):
    source = """
    class node(Processor):
        key: Secret[str]
        def process_row(self, text: str) -> str:
            return self.key
    node = node(key=env("MAIL_KEY"))
    """
    monkeypatch.setenv("MAIL_KEY", "one")
    found = [fingerprint_of(made(source)), fingerprint_of(made(source))]
    monkeypatch.setenv("MAIL_KEY", "two")
    assert found[0] == found[1] != fingerprint_of(made(source))
    assert "one" not in found[0]


def test_functions_that_use_themselves_and_each_other_come_to_an_end():
    source = """
    LIMIT = 1
    def even(n): return n <= 0 or odd(n - LIMIT)
    def odd(n): return n > 0 and even(n - 1)
    loop = [even]
    loop.append(loop)
    @processor
    def node(n: int) -> bool:
        return loop[0](n)
    """
    before = fingerprint_of(made(source))
    assert fingerprint_of(made(source)) == before
    assert fingerprint_of(made(source.replace("LIMIT = 1", "LIMIT = 2"))) != before


def test_values_are_told_apart_by_type_and_by_each_part():
    values: list[Any] = [
        None, 0, 0.0, -0.0, False, "", b"", (), [], {}, set(), frozenset(),
        1, 1.0, True, "1", (1,), [1], {1: 1},
        pa.scalar(1), pa.scalar(1, pa.int8()), pa.array([1]), pa.array([1, None]), np.array([1]), np.int64(1),
        float("nan"), [[1]], [1, 1], {"a": 1, "b": 2}, {"b": 2, "a": 1}, int, len, "abc".upper, "abd".upper,
    ]  # fmt: skip
    digests = [digest_of(value) for value in values]
    assert len(set(digests)) == len(values)
    assert digests == [digest_of(value) for value in values]


def test_nodes_of_the_library_by_their_options():
    assert fingerprint_of(Mean()) == fingerprint_of(Mean())
    found = {fingerprint_of(node) for node in (Mean(), Quantiles(q=[0.5]), Quantiles(q=[0.25]))}
    assert len(found) == 3


def test_the_same_in_every_process(tmp_path):
    script = tmp_path / "script.py"
    told = "from hyped_beam.nodes.fingerprint import fingerprint_of\nprint(fingerprint_of(node))\n"
    script.write_text(PRELUDE + FUNCTION + told)

    def run(seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, str(script)]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    assert run("1") == run("2") != ""


def test_an_option_that_cannot_be_told_is_named():
    lock = threading.Lock()

    @processor
    def locked(text: str) -> str:
        with lock:
            return text

    with pytest.raises(NoFingerprintError, match=r"^locked uses a _thread.lock"):
        fingerprint_of(locked)


def test_a_tokenizer_by_what_its_files_hold(tmp_path):
    held = Path(__file__).parents[2] / "examples" / "data" / "tokenizer"
    shutil.copytree(held, tmp_path / "one")
    shutil.copytree(held, tmp_path / "two")
    node = TransformersTokenizer(tokenizer=str(tmp_path / "one"))
    before = node.fingerprint()
    assert TransformersTokenizer(tokenizer=str(tmp_path / "two")).fingerprint() == before
    file = tmp_path / "one" / "tokenizer.json"
    file.write_text(file.read_text() + "\n")
    assert node.fingerprint() != before
    assert TransformersTokenizer(tokenizer=str(file)).fingerprint() == node.fingerprint()
