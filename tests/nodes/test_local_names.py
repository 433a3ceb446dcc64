"""Nodes written inside a function, whose annotations are text that names what stands beside them."""

from __future__ import annotations

import subprocess
import sys
from typing import NamedTuple, Optional

import cloudpickle
import pyarrow as pa

from hyped_beam import Processor, processor
from hyped_beam.testing import evaluate, flow_of

TABLE = pa.table({"text": ["a", "bc"]})
SRC = flow_of(TABLE.schema)


def test_a_class_finds_the_record_beside_it():
    class Ends(NamedTuple):
        first: str
        length: int

    class Split(Processor):
        def process_row(self, text: str) -> Ends:
            return Ends(text[0], len(text))

    assert evaluate(Split().call(SRC.text), TABLE).to_pylist() == [
        {"first": "a", "length": 1},
        {"first": "b", "length": 2},
    ]


def test_a_function_finds_the_record_beside_it():
    class Ends(NamedTuple):
        first: str

    @processor
    def split(text: str) -> Ends:
        return Ends(text[0])

    assert evaluate(split.call(SRC.text).first, TABLE).to_pylist() == ["a", "b"]


def test_what_annotations_name_need_not_travel():
    class Longer(Processor):
        times: int = 2

        def process_row(self, text: str, more: Optional[str] = None) -> str:  # noqa: UP045 - a name of this module
            return text * self.times + (more or "")

    @processor
    def doubled(text: str, more: Optional[str] = None) -> str:  # noqa: UP045 - as above
        return text * 2 + (more or "")

    for node in (Longer(times=3), doubled):
        node.call(SRC.text)
        assert inputs_elsewhere(node) == "['text', 'more']"


def inputs_elsewhere(node):
    """The inputs as a process sees them in which the names of this module are not there."""
    program = "import pickle, sys; print(list(pickle.load(sys.stdin.buffer).interface().inputs))"
    done = subprocess.run(
        [sys.executable, "-c", program], input=cloudpickle.dumps(node), capture_output=True, check=True
    )
    return done.stdout.decode().strip()
