"""Jobs over files of all formats, here and on a store."""

from __future__ import annotations

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hyped_beam import DataFlow, ops
from hyped_beam.dsl.sources import as_source
from hyped_beam.errors import NodeError
from hyped_beam.io.filesystem import locate
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.parquet import ParquetDatasetWriter
from hyped_beam.nodes.processor import processor

TEXTS = {
    "x.jsonl": '{"text":"a"}\n{"text":"b c"}\n',
    "x.csv": "text\na\nb c\n",
    "x.txt": "a\nb c\n",
}


@pytest.mark.parametrize("num_proc", [1, 2])
def test_a_job_from_a_store_to_a_store(s3, num_proc):
    for group in ("ham", "spam"):
        filesystem, path = locate(s3.uri(f"in/group={group}/x.jsonl"))
        filesystem.write(path, b'{"text":"a"}\n{"text":"b c"}\n')
    reader = as_source(s3.uri("in"))
    flow = DataFlow(features=reader.features)
    src = flow.src_features
    columns = {"group": src.group, "words": src.text.split().length()}
    out = ParquetDatasetWriter(s3.uri("out"))
    flow.job(source=reader).write(collect=columns, to=out).run(num_proc=num_proc)
    made = ParquetReader(s3.uri("out"))
    rows = [
        row
        for part in made.ranges()
        for batch in made.read(part, ["group", "words"])
        for row in batch.to_pylist()
    ]
    assert rows == [{"group": group, "words": words} for group in ("ham", "spam") for words in (1, 2)]
    assert not [key for key in s3.held() if "tmp" in key]


@pytest.mark.parametrize("name", list(TEXTS))
def test_a_job_over_text_of_every_format(tmp_path, name):
    (tmp_path / name).write_text(TEXTS[name])
    reader = as_source(tmp_path / name)
    flow = DataFlow(features=reader.features)
    words = {"words": flow.src_features.text.split().length()}
    flow.job(source=reader).write(collect=words, to=ParquetDatasetWriter(tmp_path / "out")).run()
    assert pq.read_table(tmp_path / "out" / "part-00000.parquet")["words"].to_pylist() == [1, 2]


@processor
def picky(n: int) -> int:
    if n == 25:
        raise ValueError("25")
    return n


@processor
async def picky_coroutine(n: int) -> int:
    if n == 25:
        raise ValueError("25")
    return n


@pytest.mark.parametrize("num_proc", [1, 2])
@pytest.mark.parametrize("node", [picky, picky_coroutine])
@pytest.mark.parametrize("ending", ["parquet", "jsonl", "csv"])
def test_a_node_that_fails_knows_the_row_of_the_source_and_of_the_file(tmp_path, ending, node, num_proc):
    (tmp_path / "in").mkdir()
    for part in range(3):
        rows = range(part * 10, part * 10 + 10)
        path = tmp_path / "in" / f"{part}.{ending}"
        if ending == "parquet":
            pq.write_table(pa.table({"n": rows}), path)
        elif ending == "jsonl":
            path.write_text("".join(f'{{"n":{n}}}\n' for n in rows))
        else:
            path.write_text("n\n" + "".join(f"{n}\n" for n in rows))
    reader = as_source(tmp_path / "in")
    flow = DataFlow(features=reader.features)
    values = {"n": node.call(flow.src_features.n)}
    job = flow.job(source=reader).write(collect=values, to=ParquetDatasetWriter(tmp_path / "out"))
    with pytest.raises(NodeError, match=r"\n  file: .*/in/2\.[a-z]+, row 5\n  row: n=25") as caught:
        job.run(num_proc=num_proc)
    assert (caught.value.data_file, caught.value.data_row) == (str(tmp_path / "in" / f"2.{ending}"), 5)
    assert caught.value.row == (25 if ending == "parquet" else None)


def test_files_that_are_made_for_a_dataset_are_not_told(tmp_path):
    rows = datasets.Dataset.from_dict({"n": [24, 25]})
    rows.save_to_disk(tmp_path / "saved")
    for data in (rows, datasets.load_from_disk(tmp_path / "saved")):
        flow = DataFlow(features=rows.features)
        with pytest.raises(NodeError, match="at row 1: ") as caught:
            flow.apply(data, collect={"n": picky.call(flow.src_features.n)})
        assert caught.value.data_file == ""
        assert "file:" not in str(caught.value)


def test_a_row_that_an_augmentor_made_is_told_by_the_row_of_the_file_it_came_from(tmp_path):
    (tmp_path / "in").mkdir()
    for part in range(2):
        path = tmp_path / "in" / f"{part}.jsonl"
        path.write_text("".join(f'{{"n":[{n},{10 * n + 5}]}}\n' for n in (part, part + 1)))
    reader = as_source(tmp_path / "in")
    flow = DataFlow(features=reader.features)
    each = ops.explode(flow.src_features.n)
    job = flow.job(source=reader).write(
        collect={"n": picky.call(each)}, to=ParquetDatasetWriter(tmp_path / "out")
    )
    with pytest.raises(NodeError, match=r"file: .*/in/1.jsonl, row 1\n"):
        job.run()
