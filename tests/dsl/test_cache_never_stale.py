"""The cache of aggregates, where what code reads or uses changes between two runs: as without a cache."""

from __future__ import annotations

import gzip
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hyped_beam import DataFlow
from hyped_beam.aggregators import Sum
from hyped_beam.io.readers.parquet import ParquetReader


class Runs:
    """Sums of what a node makes of a file, with a cache and without."""

    def __init__(self, folder: Path) -> None:
        self.reader = ParquetReader(folder / "in")
        self.cache = folder / "cache"

    def run(self, node: Any, *, cached: bool = True) -> Any:
        flow = DataFlow(features=self.reader)
        asked = {"sum": Sum().call(node.call(flow.src_features.n))}
        job = flow.job(source=self.reader).aggregate(asked)
        return job.run(cache=self.cache if cached else None, runner="local")

    def check(self, node: Any, changed: Any) -> Any:
        """Run, change something, and run again; what came of the cache."""
        first = self.run(node())
        changed()
        second = self.run(node())
        assert second.aggregates == self.run(node(), cached=False).aggregates != first.aggregates
        return second.cache


@pytest.fixture
def runs(tmp_path):
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"n": [1, 2, 3]}), tmp_path / "in" / "0.parquet")
    return Runs(tmp_path)


def node_of(source: str, **given: Any) -> Any:
    module = ModuleType("__main__")
    module.__dict__.update(given)
    script = "from hyped_beam import Aggregator, Processor, processor\n" + source
    exec(compile(script, "script.py", "exec", dont_inherit=True), module.__dict__)  # noqa: S102
    return module.node


# -------------------------------------------------------------------------------------------- what code reads


def write_text(path: Path, value: int) -> None:
    path.write_text(str(value))


def write_gzip(path: Path, value: int) -> None:
    path.write_bytes(gzip.compress(str(value).encode()))


def write_array(path: Path, value: int) -> None:
    with path.open("wb") as file:
        np.save(file, np.array([value]))


def write_parquet(path: Path, value: int) -> None:
    pq.write_table(pa.table({"w": [value]}), path)


def write_database(path: Path, value: int) -> None:
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("create table t(w)")
        database.execute("insert into t values (?)", (value,))


def write_bytes(path: Path, value: int) -> None:
    path.write_bytes(b"1" * value)


def write_folder(path: Path, value: int) -> None:
    path.mkdir(exist_ok=True)
    for number in range(value):
        (path / str(number)).touch()


READS = {
    "Path.open": ("from pathlib import Path", "int(Path(self.path).open().read())", write_text),
    "gzip.open": ("import gzip", "int(gzip.open(self.path).read())", write_gzip),
    "np.load": ("import numpy as np", "int(np.load(self.path)[0])", write_array),
    "np.fromfile": ("import numpy as np", "len(np.fromfile(self.path, dtype='u1'))", write_bytes),
    "pq.read_table": (
        "import pyarrow.parquet as pq",
        "pq.read_table(self.path)['w'][0].as_py()",
        write_parquet,
    ),
    "polars": ("import polars", "polars.read_parquet(self.path)['w'][0]", write_parquet),
    "sqlite3": (
        "import sqlite3",
        "sqlite3.connect(self.path).execute('select w from t').fetchone()[0]",
        write_database,
    ),
    "os.scandir": ("import os", "len(list(os.scandir(self.path)))", write_folder),
    "os.stat": ("import os", "os.stat(self.path).st_size", write_bytes),
    "mmap": ("import pyarrow as pa", "int(pa.memory_map(self.path).read())", write_text),
}


@pytest.mark.parametrize("how", READS)
def test_code_that_reads_in_any_way_is_not_kept(runs, tmp_path, how):
    imports, read, write = READS[how]
    path = tmp_path / "weight"
    write(path, 1)
    source = f"""
{imports}
class node(Processor):
    path: str
    def setup(self):
        self.weight = {read}
    def process_row(self, n: int) -> int:
        return n * self.weight
node = node(path={str(path)!r})
"""
    used = runs.check(lambda: node_of(source), lambda: write(path, 5))
    assert used.parts == 0
    assert "a method fingerprint() of the node would say" in used.refused


def test_nor_is_an_aggregator_that_does(runs, tmp_path):
    path = tmp_path / "weight"
    path.write_text("1")
    source = f"""
from pathlib import Path
from typing import NamedTuple
import pyarrow.compute as pc
from hyped_beam import Groups
from hyped_beam.types.patterns import Int64Column
class Weighted(Aggregator):
    path: str
    class State(NamedTuple):
        sum: Int64Column
    def update(self, value: Int64Column, by: Groups) -> State:
        with Path(self.path).open() as file:
            return self.State(by.sum(pc.multiply(value, int(file.read()))))
    def merge(self, state: State, by: Groups) -> State:
        return self.State(by.sum(state.sum))
    def finish(self, state: State) -> Int64Column:
        return state.sum
node = Weighted(path={str(path)!r})
"""

    def run(cache):
        flow = DataFlow(features=runs.reader)
        asked = {"sum": node_of(source).call(flow.src_features.n)}
        return flow.job(source=runs.reader).aggregate(asked).run(cache=cache, runner="local")

    assert run(runs.cache).aggregates == {"sum": 6}
    path.write_text("5")
    found = run(runs.cache)
    assert found.aggregates == run(None).aggregates == {"sum": 30}
    assert "reads a file" in found.cache.refused


# --------------------------------------------------------------------------------------------- what code uses


@pytest.fixture
def rules(tmp_path, monkeypatch):
    """A module of the user's in a package of the user's."""
    package = tmp_path / "src" / "own_rules"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "steps.py").write_text("import os\nT = {'z': 1}\ndef f(n):\n    return n * T['z']\n")
    monkeypatch.syspath_prepend(tmp_path / "src")
    yield
    for name in [name for name in sys.modules if name.startswith("own_rules")]:
        del sys.modules[name]


BY_WHICH_WAY = {
    "attribute": "import own_rules.steps\ndef use(n): return own_rules.steps.f(n)",
    "dict": "import own_rules.steps\nmods = {'s': own_rules.steps}\ndef use(n): return mods['s'].f(n)",
    "object": "import own_rules.steps as s\nclass H: pass\nh = H()\nh.m = s\ndef use(n): return h.m.f(n)",
    "argument": "import own_rules.steps as s\ndef call(m, n): return m.f(n)\ndef use(n): return call(s, n)",
    "closure": "import own_rules.steps as s\ndef make(m): return lambda n: m.f(n)\nuse = make(s)",
    "default": "import own_rules.steps as s\ndef use(n, m=s): return m.f(n)",
    "result": "import own_rules.steps\ndef get(): return own_rules.steps\ndef use(n): return get().f(n)",
    "local": "import own_rules.steps as s\ndef use(n):\n    q = s\n    return q.f(n)",
    "package": "import own_rules.steps\np = [own_rules]\ndef use(n): return p[0].steps.f(n)",
    "imported": "def use(n):\n    import own_rules.steps as s\n    return s.f(n)",
    "imported from": "def use(n):\n    from own_rules import steps\n    return (lambda m: m.f(n))(steps)",
    "getattr": "import own_rules.steps as s\ndef use(n): return getattr(s, 'T')['z'] * n",
    "dunder": "import own_rules.steps as s\ndef use(n): return s.__dict__['T']['z'] * n",
}


@pytest.mark.parametrize("way", BY_WHICH_WAY)
def test_code_of_a_module_counts_by_whichever_way_it_is_reached(runs, rules, way):
    source = f"{BY_WHICH_WAY[way]}\n@processor\ndef node(n: int) -> int: return use(n)\n"
    node = node_of(source)
    assert runs.run(node).cache.refused is None
    assert runs.run(node_of(source)).cache.reused == 1

    def changed():
        sys.modules["own_rules.steps"].T = {"z": 9}

    used = runs.check(lambda: node_of(source), changed)
    assert (used.refused, used.reused) == (None, 0)


@pytest.mark.parametrize(
    "use",
    [
        "import importlib\n    return importlib.import_module('own_rules.steps').f(n)",
        "return eval('__import__(\"own_rules.steps\").steps.f(n)', {'n': n})",
        "import sys\n    return sys.modules['own_rules.steps'].f(n)",
        "return __import__('own_rules.steps').steps.f(n)",
    ],
)
def test_code_that_is_found_while_it_runs_is_not_kept(runs, rules, use):
    source = f"import own_rules.steps\n@processor\ndef node(n: int) -> int:\n    {use}\n"

    def changed():
        sys.modules["own_rules.steps"].T = {"z": 9}

    assert runs.check(lambda: node_of(source), changed).refused


def test_a_module_that_is_handed_on_gives_nothing_impure(runs, rules, tmp_path):
    path = tmp_path / "file"
    write_bytes(path, 1)
    source = f"""
import own_rules.steps
mods = [own_rules.steps]
@processor
def node(n: int) -> int: return n * mods[0].os.stat({str(path)!r}).st_size
"""
    used = runs.check(lambda: node_of(source), lambda: write_bytes(path, 5))
    assert "os.stat" in used.refused


TABLE_IN_CLASS = """
class node(Processor):
    __tab__ = {'z': 1}
    def process_row(self, n: int) -> int:
        return n * self.__tab__['z']
node = node()
"""
OF_A = "@processor\ndef node(n: int) -> int: return n * A.k"


@pytest.mark.parametrize(
    ("source", "old", "new"),
    [
        (
            TABLE_IN_CLASS,
            "'z': 1",
            "'z': 4",
        ),
        ("class M(type):\n    k = 1\nclass A(metaclass=M): pass\n" + OF_A, "k = 1", "k = 3"),
        (
            "import pydantic\nclass A(pydantic.BaseModel):\n    k: int = 1\n" + OF_A.replace("A.", "A()."),
            "= 1",
            "= 3",
        ),
    ],
)
def test_all_that_is_in_a_class_counts(runs, source, old, new):
    assert old in source
    made = [source]
    used = runs.check(lambda: node_of(made[0]), lambda: made.__setitem__(0, source.replace(old, new)))
    assert (used.refused, used.parts, used.reused) == (None, 1, 0)


@pytest.mark.parametrize(
    "draw",
    [
        "random.random()",
        "time.time_ns() / 1.0",
        "uuid.uuid4().int / 1.0",
        "np.random.random()",
        "os.urandom(6)[0] / 7",
    ],
)
def test_what_is_drawn_is_drawn_again(runs, draw):
    imports = "import os, random, time, uuid\nimport numpy as np\n"
    source = f"{imports}@processor\ndef node(n: int) -> float: return {draw}\n"
    used = [runs.run(node_of(source)).cache for _ in range(2)]
    assert all("not repeatable: set repeatable = False" in one.refused for one in used)
    assert [one.reused for one in used] == [0, 0]
