"""What the tests of saved flows share: a user's module, other processes, files that are changed by hand."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from hyped_beam import DataFlow
from hyped_beam.errors import InputError

ROOT = Path(__file__).parents[2]

MODULE = """
import asyncio
import enum
from typing import Any, NamedTuple

import pyarrow.compute as pc
from pydantic import SecretStr

from hyped_beam import Aggregator, Groups, Processor, processor
from hyped_beam.types.patterns import Int64Column, StringColumn


class Style(enum.Enum):
    LOUD = "loud"
    SOFT = "soft"


class Shout(Processor):
    mark: str = "!"
    style: Style = Style.LOUD
    times: tuple[float, ...] = (1.0,)
    secret: SecretStr = SecretStr("")
    anything: Any = None

    def process(self, text: StringColumn) -> StringColumn:
        return pc.binary_join_element_wise(pc.utf8_upper(text), self.mark, "")


class Outer:
    class Inner(Processor):
        async def process_row(self, text: str) -> int:
            await asyncio.sleep(0)
            return len(text)


class Characters(Aggregator):
    class State(NamedTuple):
        total: Int64Column

    def update(self, text: StringColumn, by: Groups) -> State:
        return self.State(by.sum(pc.utf8_length(text)))

    def merge(self, state: State, by: Groups) -> State:
        return self.State(by.sum(state.total))

    def finish(self, state: State) -> Int64Column:
        return state.total


@processor
def clean(text: str) -> str:
    return text.strip()


def made():
    @processor
    def local(text: str) -> str:
        return text

    class Local(Processor):
        def process(self, text: StringColumn) -> StringColumn:
            return text

    return local, Local()
"""


def elsewhere(script, *arguments, check=True, answers=None):
    """What a script prints in a process of its own, which reads `answers` from its standard input."""
    command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, input=answers)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout


RUN = """
    import json, sys
    from hyped_beam import DataFlow
    flow = DataFlow.load(sys.argv[1], modules=sys.argv[3:])
    print(json.dumps([flow.batch_process(json.loads(sys.argv[2])), str(flow.outputs.keys())]))
"""


def run_elsewhere(path, batch, *modules):
    return json.loads(elsewhere(RUN, path, json.dumps(batch), *modules))[0]


def save_with(node, path):
    flow = DataFlow(features={"text": "string"})
    flow.save(path, collect={"t": node.call(flow.src_features.text)})


def saved_text(tmp_path):
    flow = DataFlow(features={"text": "string"})
    path = tmp_path / "flow.json"
    flow.save(path, collect={"t": flow.src_features.text.upper()})
    return path, path.read_text()


def refused(path, *, modules=(), hosts=()):
    with pytest.raises(InputError) as raised:
        DataFlow.load(path, modules=modules, hosts=hosts)
    assert raised.value.hint
    return str(raised.value)
