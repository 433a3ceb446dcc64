"""Which code may be told: what is known to give the same for the same, and nothing else."""

from __future__ import annotations

import textwrap
from types import ModuleType
from typing import Any

import pytest

from hyped_beam.nodes.fingerprint import NoFingerprintError, fingerprint_of

PRELUDE = """
import base64, collections, contextlib, copy, dataclasses, datetime, decimal, enum, functools, hashlib, html
import itertools, json, logging, math, operator, os, random, re, statistics, string, sys, time, typing
import unicodedata, urllib.parse, uuid
import numpy as np, pyarrow as pa, pyarrow.compute as pc, pydantic
from hyped_beam import Processor, processor

LOG = logging.getLogger("mail")
TABLE = str.maketrans("ab", "cd")
ROUND = functools.partial(round, ndigits=2)
COUNTS = collections.Counter("abc")

@dataclasses.dataclass(frozen=True)
class Point:
    x: int = 1
    more: list = dataclasses.field(default_factory=list)

class Kind(enum.Enum):
    A = 1

class Pair(typing.NamedTuple):
    a: int = 3

class Model(pydantic.BaseModel):
    a: int = 3
    _b: int = pydantic.PrivateAttr(default=4)

def logged(function):
    @functools.wraps(function)
    def call(*arguments):
        LOG.debug("called")
        return function(*arguments)
    return call

@logged
def doubled(x):
    return x * 2
"""


def made(body: str, more: str = "") -> Any:
    """A node whose function returns an expression."""
    module = ModuleType("__main__")
    script = PRELUDE + textwrap.dedent(more) + f"\n@processor\ndef node(x: str) -> str:\n    return {body}\n"
    exec(compile(script, "script.py", "exec"), module.__dict__)  # noqa: S102
    return module.node


@pytest.mark.parametrize(
    "body",
    [
        're.sub("a", "b", x)',
        "math.sqrt(len(x))",
        "json.dumps(json.loads(x))",
        "collections.Counter(x) + COUNTS",
        "list(itertools.chain(x, string.ascii_letters))",
        'datetime.datetime.strptime(x, "%Y").isoformat()',
        "hashlib.sha256(x.encode()).hexdigest() + hashlib.blake2b(x.encode()).hexdigest()",
        'unicodedata.normalize("NFC", html.unescape(urllib.parse.unquote(x)))',
        "statistics.mean([decimal.Decimal(x)])",
        "operator.add(x, os.path.basename(x) + os.sep)",
        "uuid.uuid5(uuid.NAMESPACE_URL, x)",
        "LOG.info(x) or doubled(x.translate(TABLE))",
        "Point(1).x + Kind.A.value + Pair(1).a + Model(a=1).a + ROUND(1.5)",
        "np.where(np.isnan(np.ones(3)), 0, np.linalg.norm(np.arange(3)))",
        "pc.multiply(pa.array([1]), 2) if pa.types.is_string(pa.string()) else pa.compute.sum(x)",
        'getattr(x, "upper")()',
        "base64.b64encode(copy.deepcopy(x).encode())",
        "sorted(map(len, x.split()), key=lambda n: -n)[: sys.maxsize]",
    ],
)
def test_what_only_computes_is_told(body):
    assert fingerprint_of(made(body)) == fingerprint_of(made(body))


@pytest.mark.parametrize(
    ("body", "more", "why"),
    [
        ("np.load(x)", "", "numpy.load, which reads a file"),
        ("load(x)", "from numpy import load", "numpy.load, which reads a file"),
        ("pa.memory_map(x)", "", "reads a file"),
        ("pa.OSFile(x)", "", "pyarrow.OSFile"),
        ("pq.read_table(x)", "import pyarrow.parquet as pq", "reads a file"),
        ("pl.read_parquet(x)", "import polars as pl", "reads a file"),
        ("sqlite3.connect(x)", "import sqlite3", "reads a file"),
        ("gzip.open(x)", "import gzip", "reads a file"),
        ("Path(x).suffix", "from pathlib import Path", "reads a file"),
        ("opened(x)", "opened = open", "reads a file"),
        ("opened(x)", "opened = functools.partial(open, mode='rb')", "reads a file"),
        ("Files.read(x)", "class Files:\n    read = staticmethod(np.load)", "reads a file"),
        ("os.scandir(x)", "", "reads a file"),
        ("os.stat(x)", "", "os.stat, which is not known"),
        ("os.path.exists(x)", "", "not known"),
        ("(lambda module: module.load(x))(np)", "", "numpy, which is not known"),
        ("socket.create_connection(x)", "import socket", "socket.create_connection"),
        ("subprocess.run(x)", "import subprocess", "subprocess.run"),
        ("ParquetReader(x)", "from hyped_beam.io.readers.parquet import ParquetReader", "ParquetReader"),
        ("sys.modules[x]", "", "sys.modules"),
        ("os.environ[x]", "", "reads the environment"),
        ("eval(x)", "", "finds code while it runs"),
        ("exec(x)", "", "finds code while it runs"),
        ("globals()[x]", "", "finds code while it runs"),
        ("vars()", "", "finds code while it runs"),
        ("__import__(x)", "", "finds code while it runs"),
        ("importlib.import_module(x)", "import importlib", "finds code while it runs"),
        ('__builtins__["open"]', "", "finds code while it runs"),
        ("doubled.__globals__", "", "finds code while it runs"),
        ("random.random()", "", "not repeatable: set repeatable = False or give"),
        ("drawn.random()", "drawn = random.Random(1)", "not repeatable"),
        ("time.time()", "", "not repeatable"),
        ("uuid.uuid4()", "", "not repeatable"),
        ("secrets.token_hex()", "import secrets", "not repeatable"),
        ("os.urandom(3)", "", "not repeatable"),
        ("datetime.datetime.now()", "", "not repeatable"),
        ("datetime.date.today()", "", "not repeatable"),
        ("now()", "now = datetime.datetime.now", "not repeatable"),
        ("np.random.random()", "", "not repeatable"),
        ("rng.random()", "rng = np.random.default_rng(1)", "not repeatable"),
        ("hash(x)", "", "not repeatable"),
        ("pc.random(3)", "", "not repeatable"),
    ],
)
def test_what_may_give_something_else_is_refused_with_the_reason(body, more, why):
    with pytest.raises(NoFingerprintError, match=why):
        fingerprint_of(made(body, more))


def test_a_node_that_says_what_it_reads_may_read_in_any_way_but_not_find_code():
    source = """
    import importlib, sqlite3
    class Read(Processor):
        path: str
        def fingerprint(self):
            return "1"
        def setup(self):
            self.rows = {body}
        def process_row(self, x: str) -> str:
            return x
    """

    def told(body):
        module = ModuleType("__main__")
        more = textwrap.dedent(source).format(body=body)
        exec(f"{PRELUDE}{more}\nnode = Read(path='a')\n", module.__dict__)  # noqa: S102
        return fingerprint_of(module.node)

    assert told("sqlite3.connect(self.path)") != told("np.load(self.path)")
    with pytest.raises(NoFingerprintError, match="finds code"):
        told("importlib.import_module(self.path)")


@pytest.mark.parametrize(
    ("source", "old", "new"),
    [
        ("class A:\n    __tab__ = {'z': 1}", "'z': 1", "'z': 2"),
        ("class M(type):\n    k = 1\nclass A(metaclass=M):\n    pass", "k = 1", "k = 2"),
        ("@dataclasses.dataclass\nclass A:\n    x: int = 1", "= 1", "= 2"),
        (
            "@dataclasses.dataclass\nclass A:\n    x: list = dataclasses.field(default_factory=list)",
            "=list",
            "=set",
        ),
        ("class A(pydantic.BaseModel):\n    x: int = 1", "= 1", "= 2"),
        ("class A(pydantic.BaseModel):\n    x: int = 1", "int", "float"),
        ("class A(pydantic.BaseModel):\n    _x: int = pydantic.PrivateAttr(default=1)", "=1", "=2"),
        ("class A:\n    '''a prompt'''", "prompt", "text"),
    ],
)
def test_all_that_is_in_a_class_counts(source, old, new):
    assert old in source
    before = fingerprint_of(made("A", source))
    assert before == fingerprint_of(made("A", source))
    assert before != fingerprint_of(made("A", source.replace(old, new)))


def test_of_what_wraps_a_function_all_counts():
    source = """
    class Scaled:
        def __init__(self, function, scale):
            functools.update_wrapper(self, function)
            self.scale = scale
        def __call__(self, x):
            return self.__wrapped__(x) * self.scale
    def outer(function):
        @functools.wraps(function)
        def wrapped(x):
            return function(x, 3)
        return wrapped
    rounded = outer(math.pow)
    scaled = Scaled(doubled, 2)
    """
    before = fingerprint_of(made("scaled(rounded(x))", source))
    for old, new in (("doubled, 2", "doubled, 3"), ("function(x, 3)", "function(x, 4)")):
        assert fingerprint_of(made("scaled(rounded(x))", source.replace(old, new))) != before


@pytest.mark.parametrize(
    ("body", "more", "why"),
    [
        ("held[0].os.stat(x)", "held = [logging]", "logging.os"),
        ("pa.not_there.LocalFileSystem(x)", "", "pyarrow.not_there, which fails"),
        ("np.datetime64('now')", "", "not repeatable"),
        ("re.enum.sys.modules[x]", "", "sys.modules"),
        ("object.__getattribute__(x, 'a')", "", "finds code"),
    ],
)
def test_nor_is_it_reached_in_a_roundabout_way(body, more, why):
    with pytest.raises(NoFingerprintError, match=why):
        fingerprint_of(made(body, more))
