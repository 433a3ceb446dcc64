"""The writer of a folder that is given as text."""

from __future__ import annotations

import pytest

from hyped_beam.dsl.destinations import writer_like
from hyped_beam.errors import InputError
from hyped_beam.io.writers.csv import CsvDatasetWriter
from hyped_beam.io.writers.json import JsonDatasetWriter
from hyped_beam.io.writers.parquet import ParquetDatasetWriter


@pytest.mark.parametrize(
    ("folder", "made"),
    [
        ("other", JsonDatasetWriter("other", compression="gzip", overwrite="resume")),
        ("other.v2/", JsonDatasetWriter("other.v2/", compression="gzip", overwrite="resume")),
        ("other.jsonl", JsonDatasetWriter("other.jsonl", overwrite="resume")),
        ("other.jsonl.zst", JsonDatasetWriter("other.jsonl.zst", compression="zstd", overwrite="resume")),
        ("other.csv.bz2", CsvDatasetWriter("other.csv.bz2", compression="bz2", overwrite="resume")),
        ("other.TSV", CsvDatasetWriter("other.TSV", delimiter="\t", overwrite="resume")),
        (
            "s3://bucket/x.tsv.gz?region=x",
            CsvDatasetWriter(
                "s3://bucket/x.tsv.gz?region=x", delimiter="\t", compression="gzip", overwrite="resume"
            ),
        ),
        ("a.json/b.parquet/", ParquetDatasetWriter("a.json/b.parquet/", overwrite="resume")),
        ("s3://bucket/x.parquet", ParquetDatasetWriter("s3://bucket/x.parquet", overwrite="resume")),
        (".parquet", JsonDatasetWriter(".parquet", compression="gzip", overwrite="resume")),
    ],
)
def test_the_name_tells_the_format_and_the_other_writer_all_else(folder: str, made: object):
    like = JsonDatasetWriter("out", compression="gzip", overwrite="resume")
    assert writer_like(folder, like) == made


@pytest.mark.parametrize(
    ("folder", "delimiter", "compression"),
    [
        ("x.csv", ";", None),
        ("x.csv.zst", ";", "zstd"),
        ("x.tsv", "\t", None),
        ("x", ";", "gzip"),
    ],
)
def test_options_that_an_ending_does_not_tell_stay(folder, delimiter, compression):
    like = CsvDatasetWriter("out", delimiter=";", null="NA", compression="gzip")
    made = CsvDatasetWriter(folder, delimiter=delimiter, null="NA", compression=compression)
    assert writer_like(folder, like) == made
    assert writer_like("y.csv", CsvDatasetWriter("x", delimiter="\t")) == CsvDatasetWriter("y.csv")


@pytest.mark.parametrize("like", [None, JsonDatasetWriter("out")])
@pytest.mark.parametrize(
    ("folder", "ending", "hint"),
    [
        ("out.xlsx", ".xlsx", "known are .parquet, .arrow, .jsonl"),
        ("out/x.parqet", ".parqet", "did you mean '.parquet'?"),
        ("x.parquet.gz", ".parquet.gz", "known are .parquet"),
        ("x.gz", ".gz", "followed by .gz, .zst or .bz2"),
        ("out.v2", ".v2", "end it with a slash: 'out.v2/'"),
    ],
)
def test_endings_that_are_not_known(folder, ending, hint, like):
    with pytest.raises(InputError, match=f"no format has the ending '{ending}'") as caught:
        writer_like(folder, like, default=".parquet")
    assert hint in caught.value.hint


def test_without_another_writer_the_name_or_the_default_tells():
    assert writer_like("out.jsonl", None, default=".parquet") == JsonDatasetWriter("out.jsonl")
    assert writer_like("out", None, default=".parquet") == ParquetDatasetWriter("out")
    with pytest.raises(InputError, match="does not tell its format"):
        writer_like("out", None)
