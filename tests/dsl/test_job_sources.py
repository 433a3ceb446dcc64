"""Jobs over files of all formats, here and on a store."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hyped_beam import DataFlow
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


def test_a_node_that_fails_knows_its_row_also_in_later_files(tmp_path):
    (tmp_path / "in").mkdir()
    for part in range(3):
        pq.write_table(pa.table({"n": range(part * 10, part * 10 + 10)}), tmp_path / "in" / f"{part}.parquet")

    @processor
    def picky(n: int) -> int:
        if n == 25:
            raise ValueError("25")
        return n

    reader = ParquetReader(tmp_path / "in")
    flow = DataFlow(features=reader.features)
    job = flow.job(source=reader).write(
        collect={"n": picky.call(flow.src_features.n)}, to=ParquetDatasetWriter(tmp_path / "out")
    )
    with pytest.raises(NodeError, match="at row 25"):
        job.run()
