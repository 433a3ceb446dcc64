"""Nodes that fail while a job runs: exit status 1, with the node, its line and the row."""

from __future__ import annotations

from tests.bad_input.corpus import Case


def _node(name: str, script: str, *says: str, processes: int = 1) -> Case:
    arguments = f"target.py --run --num-proc {processes}"
    return Case(name, arguments, says, status=1, script=script, lines=None)


def _write(value: str) -> str:
    return f'job = flow.job(source=reader).write(collect={{"x": {value}}}, to=JsonDatasetWriter("out"))\n'


TOO_FEW = """\
class Short(Processor):
    def process(self, text: StringColumn) -> StringColumn:
        return text[1:]

x = Short().call(text=src.text)  # <-
"""
WRONG_TYPE = """\
@processor
def wrong(n: int) -> int:
    return str(n) if n == 3 else n

x = wrong.call(src.n)  # <-
"""
WRONG_COLUMN = """\
class Wrong(Processor):
    def process(self, text: StringColumn) -> Int64Column:
        return pa.array(["a"] * len(text))

x = Wrong().call(text=src.text)  # <-
"""
NOTHING = """\
class Nothing(Processor):
    def process(self, text: StringColumn) -> StringColumn:
        pass

x = Nothing().call(text=src.text)  # <-
"""
RAISES = """\
@processor
def raises(n: int) -> int:
    if n == 7:
        raise ValueError("unlucky\\nnumber")
    return n

x = raises.call(src.n)  # <-
"""
SETUP = """\
class Unready(Processor):
    def setup(self) -> None:
        raise RuntimeError("no model here")

    def process(self, text: StringColumn) -> StringColumn:
        return text

x = Unready().call(text=src.text)  # <-
"""

BAD_ERROR = """\
class Bad(Exception):
    {method}

@processor
def bad(n: int) -> int:
    raise Bad()

x = bad.call(src.n)  # <-
"""


def _bad_error(name: str, method: str, *says: str) -> list[Case]:
    script = BAD_ERROR.format(method=method) + _write("x")
    return [
        _node(f"an exception {name}, in {count} processes", script, "'bad'", "Bad", *says, processes=count)
        for count in (1, 2)
    ]


NODES = [
    *_bad_error("whose __str__ raises", "def __str__(self): raise RuntimeError('no')", "its __str__ raises"),
    *_bad_error("whose __str__ returns no text", "def __str__(self): return 3", "its __str__ raises"),
    *_bad_error("whose __repr__ raises", "def __repr__(self): raise RuntimeError('no')"),
    *_bad_error("of 10 MB", "def __str__(self): return 'x' * 10**7", "xxx..."),
    *_bad_error(
        "that would clear the screen",
        "def __str__(self): return 'a\\x1b[2J\\u202eb\\ud800'",
        "a\\x1b[2J\\u202eb\\ud800",
    ),
    *_bad_error("that does not pickle", "def __init__(self): self.held = lambda: 1"),
    *_bad_error("whose hint raises", "hint = property(lambda self: 1 / 0)"),
    _node("a node that returns too few rows", TOO_FEW + _write("x"), "'short'", "returned 9 rows for 10"),
    _node("a node that returns a value of the wrong type", WRONG_TYPE + _write("x"), "'wrong'", "row 3"),
    _node(
        "a node that returns a column of the wrong type",
        WRONG_COLUMN + _write("x"),
        "'wrong'",
        "returned string, where int64",
    ),
    _node("a node that returns nothing", NOTHING + _write("x"), "'nothing'", "NoneType"),
    _node("a node that raises", RAISES + _write("x"), "'raises'", "row 7", "ValueError: unlucky", "n=7"),
    _node(
        "a node that raises in another process",
        RAISES + _write("x"),
        "'raises'",
        "row 7",
        "ValueError: unlucky",
        processes=2,
    ),
    _node("a node that cannot be set up", SETUP + _write("x"), "'unready'", "no model here"),
    _node("a value that is no number", 'x = src.text.cast("int64")  # <-\n' + _write("x"), "cast", "row 0"),
    _node("an integer that overflows", "x = src.n * 2**62  # <-\n" + _write("x"), "row 2"),
    _node("a division by zero", "x = 10 // src.n  # <-\n" + _write("x"), "row 0", "zero"),
]
