"""Folders that are laid out like datasets of the Hub."""

from __future__ import annotations

import pickle
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hyped_beam.errors import InputError
from hyped_beam.io.readers.hub import HubReader

README = """---
configs:
- config_name: mail
  default: true
  data_files:
  - split: train
    path: data/train-*
  - split: test
    path: data/test-*
- config_name: lines
  data_files: lines/*.jsonl
dataset_info:
- config_name: mail
  features:
  - name: text
    dtype: string
  - name: label
    dtype:
      class_label:
        names:
          '0': ham
          '1': spam
---
"""


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    (folder / "data").mkdir(parents=True)
    (folder / "lines").mkdir()
    (folder / "README.md").write_text(README)
    for number in range(2):
        table = pa.table({"text": [f"a{number}", "b"], "label": [number, 1]})
        pq.write_table(table, folder / "data" / f"train-0000{number}-of-00002.parquet")
    pq.write_table(pa.table({"text": ["c"], "label": [0]}), folder / "data" / "test-00000-of-00001.parquet")
    (folder / "lines" / "x.jsonl").write_text('{"n": 1}\n')
    return folder


def test_splits_configurations_and_features_are_those_of_datasets(repository, read_all):
    before = set(Path(datasets.config.HF_DATASETS_CACHE).rglob("*.arrow"))
    train, test = HubReader(repository), HubReader(str(repository), split="test")
    assert train.features["label"].names == ["ham", "spam"]
    assert [row for batch in read_all(train, ["text"]) for row in batch["text"].to_pylist()] == [
        "a0",
        "b",
        "a1",
        "b",
    ]
    assert sum(batch.num_rows for batch in read_all(test)) == 1
    assert [batch.to_pylist() for batch in read_all(HubReader(repository, "lines"))] == [[{"n": 1}]]
    assert train.fingerprint() != test.fingerprint()
    assert set(Path(datasets.config.HF_DATASETS_CACHE).rglob("*.arrow")) == before


def test_it_is_configuration_and_its_scan_travels(repository):
    reader = HubReader.from_json(HubReader(repository, split="test", origin="from").to_json())
    scan = pickle.loads(pickle.dumps(reader.scan(["from"])))  # noqa: S301 - as it travels to the workers
    (row,) = [
        row for part in reader.ranges() for batch in scan.read(part) for row in batch["from"].to_pylist()
    ]
    assert row == {"path": str(repository / "data" / "test-00000-of-00001.parquet"), "row": 0}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "tran"}, "has no split 'tran'\n  hint: did you mean 'train'"),
        ({"name": "male"}, "BuilderConfig 'male' not found"),
    ],
)
def test_what_is_not_there_is_told(repository, options, message):
    with pytest.raises(InputError, match=message):
        _ = HubReader(repository, **options).features


def test_no_dataset_is_told(tmp_path):
    for path in (tmp_path, tmp_path / "nothing", "nobody/nothing"):
        with pytest.raises(InputError, match=r"the dataset .* cannot be read"):
            _ = HubReader(path).features


def test_other_files_are_told(tmp_path):
    (tmp_path / "x.xml").write_text("<a><b>1</b></a>")
    with pytest.raises(InputError, match=r"x.xml' does not tell its format"):
        _ = HubReader(tmp_path).features
