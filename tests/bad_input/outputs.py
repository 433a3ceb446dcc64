"""Places that cannot be written to, or must not be."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.bad_input.corpus import Case, files, table

RUN = "target.py --run"
TWO = """\
job = (
    flow.job(source=reader)
    .write("texts", collect={"text": src.text}, to=JsonDatasetWriter("out"))
    .write("numbers", collect={"n": src.n}, to=JsonDatasetWriter("numbers"))
)
"""


AGGREGATE = 'job = flow.job(source=reader).aggregate({"mean": Mean().call(src.n)}, to="stats")\n'


def _earlier_output(folder: Path) -> None:
    (folder / "out" / "__hyped_beam__").mkdir(parents=True)
    (folder / "out" / "part-00000.jsonl").write_text('{"text": "old"}\n')
    (folder / "out" / "__hyped_beam__" / "fingerprint.json").write_text(
        '{"version": 1, "files": "part-NNNNN.jsonl", "program": "another"}'
    )


def _read_only(folder: Path) -> None:
    (folder / "locked").mkdir(mode=0o555)


def _input_folder(folder: Path) -> None:
    (folder / "data").mkdir()
    pq.write_table(table(), folder / "data" / "a.parquet")


def _large_rows(folder: Path) -> None:
    """Rows that do not compress, so that what they become exceeds the disk."""
    text = [f"{number * 2654435761 % 2**64:x}" * 4 for number in range(20_000)]
    pq.write_table(pa.table({"n": range(20_000), "text": text}), folder / "rows.parquet")


OUTPUTS = [
    Case(
        "an output folder that holds other things",
        RUN,
        ("'out'", "other files", "letter.txt"),
        make=files(out__letter_dot_txt="dear"),
    ),
    Case("an output folder that is a file", RUN, ("'out'", "is a file"), make=files(out="text")),
    Case("an output folder inside a file", f"{RUN} --output rows.parquet/out", ("rows.parquet/out",)),
    Case(
        "an output folder inside the input",
        f"{RUN} --input data --output data/out",
        ("data/out", "inside the input 'data'"),
        make=_input_folder,
    ),
    Case(
        "an output folder that is the input",
        f"{RUN} --input data --output data",
        ("data",),
        make=_input_folder,
    ),
    Case(
        "an output folder whose files the input's pattern matches",
        f"{RUN} --input 'data/**/*.parquet' --output data/out.parquet",
        ("the output 'data/out.parquet'", "the input 'data/**/*.parquet' matches it", "a folder apart"),
        make=_input_folder,
    ),
    Case(
        "an output folder that the input's pattern matches",
        f"{RUN} --input 'data/*.parquet' --output data/out.parquet",
        ("the output 'data/out.parquet'", "the input 'data/*.parquet' matches it"),
        make=_input_folder,
    ),
    Case(
        "a file of aggregates that the input's pattern matches",
        f"{RUN} --input 'data/*.parquet' --output aggregates=data/stats.parquet",
        ("the file of aggregates 'data/stats.parquet'", "'data/*.parquet' matches it", "another place"),
        script=AGGREGATE,
        make=_input_folder,
    ),
    Case(
        "a cache inside the input",
        f"{RUN} --input data --cache data/kept",
        ("the cache ", "data/kept", "lies in the input 'data'", "give another folder"),
        script=AGGREGATE,
        make=_input_folder,
    ),
    Case(
        "a cache whose files the input's pattern matches",
        f"{RUN} --input 'data/**/*' --cache data/kept",
        ("the cache ", "data/kept", "the input 'data/**/*' matches it", "give another folder"),
        script=AGGREGATE,
        make=_input_folder,
    ),
    Case("the output of an earlier job", RUN, ("'out'", "earlier job", "--overwrite"), make=_earlier_output),
    Case(
        "the output of another job, resumed",
        f"{RUN} --overwrite resume",
        ("'out'", "cannot be resumed", "--overwrite replace"),
        make=_earlier_output,
    ),
    Case(
        "a folder that must not be written to",
        f"{RUN} --output locked/out",
        ("locked", "ermission"),
        make=_read_only,
    ),
    Case(
        "an ending that tells no format",
        f"{RUN} --output texts.xlsx",
        ("'.xlsx'", "'texts.xlsx'", ".parquet, .arrow, .jsonl"),
    ),
    Case("a place that there is no file system for", f"{RUN} --output nofs://host/out", ("nofs",)),
    Case("an output that the job has not", f"{RUN} --output text=other", ("'text'", "did you mean 'texts'")),
    Case(
        "one of two outputs, without its name",
        f"{RUN} --output other",
        ("'other'", "texts, numbers"),
        script=TWO,
    ),
    Case("an output given twice", f"{RUN} --output texts=a --output texts=b", ("'texts'", "twice")),
    Case("an output without a folder", f"{RUN} --output texts=", ("texts=", "NAME=FOLDER")),
    Case(
        "two outputs into one folder",
        f"{RUN} --output texts=both --output numbers=both",
        ("share the folder 'both'",),
        script=TWO,
    ),
    Case(
        "one output inside another",
        f"{RUN} --output texts=both --output numbers=both/numbers",
        ("share the folder",),
        script=TWO,
    ),
    Case(
        "a type that the format cannot hold",
        f"{RUN} --output out.csv",
        ("CSV cannot hold column 'words'",),
        script='to = JsonDatasetWriter("out")\n'
        'job = flow.job(source=reader).write(collect={"words": src.text.split()}, to=to)\n',
    ),
    Case(
        "a type that the format of the writer cannot hold",
        says=("CSV cannot hold column 'words', which is list", "join a list to a string"),
        script="from hyped_beam.io.writers.csv import CsvDatasetWriter\n"
        'to = CsvDatasetWriter("out")\n'
        'job = flow.job(source=reader).write(collect={"words": src.text.split()}, to=to)  # <-\n',
    ),
    Case(
        "a partition by a column that is not collected",
        says=("no column 'txt'", "partition_by=", "did you mean 'text'"),
        script='to = JsonDatasetWriter("out", partition_by="txt")\n'
        'job = flow.job(source=reader).write(collect={"n": src.n, "text": src.text}, to=to)  # <-\n',
    ),
    Case(
        "a partition by a column whose values name no folders",
        says=("partition_by= cannot use column 'half', which is double", "cast it"),
        script='to = JsonDatasetWriter("out", partition_by="half")\n'
        'job = flow.job(source=reader).write(collect={"n": src.n, "half": src.n / 2}, to=to)  # <-\n',
    ),
    Case(
        "a partition by all columns, of rows that are groups",
        says=("partition_by= names all columns", "collect another"),
        script='to = JsonDatasetWriter("out", partition_by="text")\n'
        "g = ops.group_by(src.text)\n"
        'job = flow.job(source=reader).write(collect={"text": g.keys.text}, to=to)  # <-\n',
    ),
    Case(
        "a file of aggregates that is a folder",
        RUN,
        ("'stats'", "is a folder"),
        script=AGGREGATE,
        make=files(stats__letter_dot_txt="dear"),
    ),
    Case(
        "aggregates into a folder that must not be written to",
        RUN,
        ("locked/stats.json", "ermission"),
        status=1,
        script=AGGREGATE.replace("stats", "locked/stats.json"),
        make=_read_only,
    ),
    Case(
        "a full disk",
        f"{RUN} --output disk/out",
        ("No space left on device", "disk/out"),
        status=1,
        make=lambda folder: (_large_rows(folder), (folder / "disk").mkdir()),
        how={"tiny_disk": "disk"},
    ),
    Case(
        "a disk that takes no more in the middle of a file",
        RUN,
        ("File too large", "out"),
        status=1,
        make=_large_rows,
        how={"largest_file": 100_000},
    ),
]
