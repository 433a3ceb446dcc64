"""The writer of a folder that is given as text."""

from __future__ import annotations

import pytest

from hyped_beam.dsl.destinations import writer_like
from hyped_beam.errors import InputError
from hyped_beam.io.writers.json import JsonDatasetWriter
from hyped_beam.io.writers.parquet import ParquetDatasetWriter


@pytest.mark.parametrize(
    ("folder", "made"),
    [
        ("other", JsonDatasetWriter("other", compression="gzip", overwrite="resume")),
        ("other.v2/", JsonDatasetWriter("other.v2/", compression="gzip", overwrite="resume")),
        ("other.jsonl", JsonDatasetWriter("other.jsonl", compression="gzip", overwrite="resume")),
        ("other.jsonl.zst", JsonDatasetWriter("other.jsonl.zst", compression="zstd", overwrite="resume")),
        ("a.json/b.parquet/", ParquetDatasetWriter("a.json/b.parquet/", overwrite="resume")),
        ("s3://bucket/x.parquet", ParquetDatasetWriter("s3://bucket/x.parquet", overwrite="resume")),
        (".parquet", JsonDatasetWriter(".parquet", compression="gzip", overwrite="resume")),
    ],
)
def test_the_name_tells_the_format_and_the_other_writer_all_else(folder: str, made: object):
    like = JsonDatasetWriter("out", compression="gzip", overwrite="resume")
    assert writer_like(folder, like) == made


def test_without_another_writer_the_name_or_the_default_tells():
    assert writer_like("out.jsonl", None, default=".parquet") == JsonDatasetWriter("out.jsonl")
    assert writer_like("out", None, default=".parquet") == ParquetDatasetWriter("out")
    with pytest.raises(InputError, match="does not tell its format"):
        writer_like("out", None)
