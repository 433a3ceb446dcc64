"""Files that are not what they should be: read by the job's own reader, or given as --input."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.bad_input.corpus import Case, files, table

RUN = "target.py --run --input "


def _given(name: str, path: str, make: Callable[[Path], None] | None, *says: str) -> Case:
    """A case whose input is given on the command line."""
    return Case(name, f"{RUN}{path}", says, make=make)


def _own(name: str, make: Callable[[Path], None], *says: str) -> Case:
    """A case whose job reads what is wrong."""
    return Case(name, "target.py --run", says, make=make)


def _truncated(folder: Path) -> None:
    path = folder / "rows.parquet"
    path.write_bytes(path.read_bytes()[:-20])


def _damaged_inside(folder: Path) -> None:
    path = folder / "rows.parquet"
    pq.write_table(table(1000), path, compression="snappy", use_dictionary=False)
    content = bytearray(path.read_bytes())
    column = pq.read_metadata(path).row_group(0).column(1)
    start = column.data_page_offset
    content[start : start + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    path.write_bytes(content)


def _write(path: str, columns: pa.Table) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / path).parent.mkdir(exist_ok=True)
        pq.write_table(columns, folder / path)

    return make


def _both(*makers: Callable[[Path], None]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        for maker in makers:
            maker(folder)

    return make


def _duplicate_columns(folder: Path) -> None:
    pq.write_table(pa.table([[1], ["a"], ["b"]], names=["n", "text", "text"]), folder / "rows.parquet")


def _unreadable(folder: Path) -> None:
    (folder / "rows.parquet").chmod(0)


def _unreadable_folder(folder: Path) -> None:
    (folder / "data").mkdir(mode=0)


def _truncated_arrow(folder: Path) -> None:
    with pa.OSFile(str(folder / "rows.arrow"), "wb") as file, pa.ipc.new_file(file, table().schema) as writer:
        writer.write_table(table())
    path = folder / "rows.arrow"
    path.write_bytes(path.read_bytes()[:300])


def _damaged_text_in_arrow(folder: Path) -> None:
    """The place where a text ends is far outside of the file."""
    with pa.OSFile(str(folder / "rows.arrow"), "wb") as file, pa.ipc.new_file(file, table().schema) as writer:
        writer.write_table(table())
    path = folder / "rows.arrow"
    with pa.memory_map(str(path)) as file:
        ends = pa.ipc.open_file(file).get_batch(0).column(1).buffers()[1].to_pybytes()
    content = path.read_bytes()
    assert content.count(ends) == 1
    path.write_bytes(content.replace(ends, ends[:16] + b"\xff\xff\xff\x7f" + ends[20:]))


def _twice_in_table(folder: Path) -> None:
    pq.write_table(pa.table({"id": ["t1", "t2", "t1"], "name": ["a", "b", "c"]}), folder / "users.parquet")


def _lookup(join: str) -> str:
    return (
        f'name = ops.lookup(src.text, in_="users.parquet", key="id", join="{join}").name  # <-\n'
        'job = flow.job(source=reader).write(collect={"name": name}, to=JsonDatasetWriter("out"))\n'
    )


def _truncated_gzip(folder: Path) -> None:
    text = b"".join(b'{"n": %d, "text": "%d"}\n' % (number, number * 7919) for number in range(2000))
    (folder / "rows.jsonl.gz").write_bytes(gzip.compress(text)[:-300])


GOOD = '{"n": 1, "text": "a"}\n'

SOURCES = [
    Case(
        "a folder of CSV and JSON",
        "target.py --run --input data",
        ("'data' holds files of several formats", "data/a.csv for CsvReader", "data/b.jsonl for JsonReader"),
        make=files(data__a_dot_csv="n,text\n1,a\n", data__b_dot_jsonl='{"n":1,"text":"b"}\n'),
    ),
    _own("a truncated Parquet file", _truncated, "rows.parquet", "cannot be read as Parquet", "cut short"),
    _own("an empty Parquet file", files(rows_dot_parquet=b""), "rows.parquet", "Parquet"),
    _own(
        "a Parquet file in name only",
        files(rows_dot_parquet="n,text\n1,a\n"),
        "rows.parquet",
        "another format",
    ),
    _own("a Parquet file damaged inside", _damaged_inside, "rows.parquet", "cannot be read as Parquet"),
    _own(
        "two columns of one name in Parquet", _duplicate_columns, "rows.parquet", "several columns", "'text'"
    ),
    _own("an unreadable file", _unreadable, "rows.parquet", "ermission"),
    _own("no file where the job reads", lambda folder: (folder / "rows.parquet").unlink(), "rows.parquet"),
    _own(
        "a folder in the place of a file",
        lambda folder: ((folder / "rows.parquet").unlink(), (folder / "rows.parquet").mkdir()),
        "rows.parquet",
    ),
    _own(
        "a link that leads nowhere",
        lambda folder: (
            (folder / "rows.parquet").unlink(),
            (folder / "rows.parquet").symlink_to("gone.parquet"),
        ),
        "rows.parquet",
    ),
    _own(
        "a link that leads to itself",
        lambda folder: (
            (folder / "rows.parquet").unlink(),
            (folder / "rows.parquet").symlink_to("rows.parquet"),
        ),
        "rows.parquet",
    ),
    _own(
        "a pipe in the place of a file, which nobody writes to",
        lambda folder: ((folder / "rows.parquet").unlink(), os.mkfifo(folder / "rows.parquet")),
        "rows.parquet",
    ),
    _given(
        "files whose columns disagree",
        "data",
        _both(_write("data/a.parquet", table()), _write("data/b.parquet", table().drop_columns(["n"]))),
        "a.parquet",
        "b.parquet",
        "disagree",
        "'n'",
    ),
    _given(
        "files whose types disagree",
        "data/*.parquet",
        _both(
            _write("data/a.parquet", table()),
            _write("data/b.parquet", table().set_column(1, "text", pa.array([1] * 10))),
        ),
        "a.parquet",
        "b.parquet",
        "'text'",
    ),
    _given(
        "a file without a column of the flow",
        "other.parquet",
        _write("other.parquet", pa.table({"n": [1], "texts": ["a"]})),
        "'text'",
        "texts",
    ),
    _given(
        "a column of another type than the flow's",
        "other.parquet",
        _write("other.parquet", pa.table({"n": [1], "text": [1.5]})),
        "'text'",
        "string",
    ),
    _given("a pattern that nothing matches", "data/*.parquet", None, "no file matches 'data/*.parquet'"),
    _given("a file that is not there", "row.parquet", None, "'row.parquet'", "did you mean", "rows.parquet"),
    _given("a folder without files of a format", "data", files(data__a_dot_txt2="x"), "data"),
    _given("a folder that must not be looked into", "data", _unreadable_folder, "data"),
    _given("a file that does not tell its format", "rows.xyz", files(rows_dot_xyz="x"), "rows.xyz", "format"),
    _given("a source that there is no file system for", "nofs://host/rows.parquet", None, "nofs"),
    _given("a truncated Arrow file", "rows.arrow", _truncated_arrow, "rows.arrow", "Arrow"),
    _given("an Arrow file damaged inside", "rows.arrow", _damaged_text_in_arrow, "rows.arrow", "as Arrow"),
    *(
        Case(
            f"a table with a key twice, joined by {join}",
            f"target.py --run --num-proc {processes}",
            ("the table users.parquet has the key id='t1' twice", "make the keys unique"),
            script=_lookup(join),
            make=_twice_in_table,
        )
        for join, processes in (("broadcast", 1), ("broadcast", 2), ("shuffle", 2))
    ),
    _given("an empty Arrow file", "rows.arrow", files(rows_dot_arrow=b""), "rows.arrow", "empty"),
    _given(
        "a line that is not JSON",
        "rows.jsonl",
        files(rows_dot_jsonl=GOOD + '{"n": 2, "text": \n' + GOOD),
        "rows.jsonl:2:",
    ),
    _given(
        "a line that is JSON but no object",
        "rows.jsonl",
        files(rows_dot_jsonl=GOOD + "[1, 2]\n" + GOOD),
        "rows.jsonl:2:",
    ),
    _given(
        "JSON lines of bad UTF-8",
        "rows.jsonl",
        files(rows_dot_jsonl=GOOD.encode() + b'{"n": 2, "text": "\xff\xfe"}\n'),
        "rows.jsonl:2:",
        "UTF-8",
    ),
    _given(
        "a value of another type far down",
        "rows.jsonl",
        files(rows_dot_jsonl=GOOD * 5 + '{"n": "many", "text": "a"}\n'),
        "rows.jsonl",
        "n",
    ),
    _given("a truncated gzip file", "rows.jsonl.gz", _truncated_gzip, "rows.jsonl.gz"),
    _given(
        "a ragged CSV row",
        "rows.csv",
        files(rows_dot_csv="n,text\n1,a\n2,b,c\n3,d\n"),
        "rows.csv:3:",
    ),
    _given(
        "two columns of one name in CSV",
        "rows.csv",
        files(rows_dot_csv="n,text,text\n1,a,b\n"),
        "rows.csv",
        "'text'",
    ),
    _given(
        "CSV of bad UTF-8",
        "rows.csv",
        files(rows_dot_csv=b"n,text\n1,a\n2,\xff\xfe\n"),
        "rows.csv",
        "UTF-8",
    ),
    _given("an empty CSV file", "rows.csv", files(rows_dot_csv=b""), "rows.csv", "empty"),
    _given("an empty file of JSON lines", "rows.jsonl", files(rows_dot_jsonl=b""), "rows.jsonl"),
    _given(
        "JSON nested 200 deep",
        "rows.jsonl",
        files(rows_dot_jsonl=GOOD + '{"n": 1, "text": ' + "[" * 200 + "]" * 200 + "}\n"),
        "rows.jsonl:2: lists and structs are nested more than 48 deep",
    ),
    _given(
        "JSON nested 100,000 deep in a column that nobody reads",
        "rows.jsonl",
        files(
            rows_dot_jsonl=GOOD
            + '{"n": 1, "text": "a", "x": '
            + '{"a":' * 100_000
            + "1"
            + "}" * 100_001
            + "\n"
        ),
        "rows.jsonl:2: lists and structs are nested more than 48 deep",
    ),
    _given(
        "JSON with a column of a null character",
        "rows.jsonl",
        files(rows_dot_jsonl='{"n": 1, "text": "a", "a\\u0000b": 1}\n'),
        "rows.jsonl",
        "'a\\x00b'",
    ),
    _given(
        "CSV with a column of a null character",
        "rows.csv",
        files(rows_dot_csv="n,text,a\0b\n1,a,2\n"),
        "rows.csv",
        "'a\\x00b'",
    ),
    _given(
        "CSV with a column that would colour the terminal",
        "rows.csv",
        files(rows_dot_csv="n,\x1b[31mtext\n1,a\n"),
        "\\x1b[31mtext",
    ),
]
