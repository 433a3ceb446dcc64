"""The files of saved flows: replaced whole or not at all, with large constants beside."""

from __future__ import annotations

from pathlib import Path

import pytest

from hyped_beam import DataFlow
from hyped_beam.errors import InputError
from tests.dsl.saved_flows import refused, saved_text


def test_saving_replaces_a_saved_flow_and_nothing_else(tmp_path):
    path, text = saved_text(tmp_path)
    flow = DataFlow(features={"text": "string"})
    flow.save(path, collect={"t": flow.src_features.text.lower()})
    assert path.read_text() != text
    other = tmp_path / "thesis.json"
    for content in ("my thesis", '{"format": "thesis"}', "[]"):
        other.write_text(content)
        with pytest.raises(InputError, match="is there already, and is no saved flow"):
            flow.save(other, collect={"t": flow.src_features.text})
        assert other.read_text() == content
    with pytest.raises(InputError, match="is a folder"):
        flow.save(tmp_path, collect={"t": flow.src_features.text})
    assert sorted(file.name for file in tmp_path.iterdir()) == ["flow.json", "thesis.json"]


def test_a_folder_is_made_and_one_that_cannot_be_is_named(tmp_path):
    flow = DataFlow(features={"text": "string"})
    flow.save(tmp_path / "a/b/flow.json", collect={"t": flow.src_features.text})
    assert [file.name for file in (tmp_path / "a/b").iterdir()] == ["flow.json"]
    with pytest.raises(InputError, match="cannot be written"):
        flow.save(tmp_path / "a/b/flow.json/c.json", collect={"t": flow.src_features.text})


def with_vocabulary(words, path):
    flow = DataFlow(features={"text": "string"})
    flow.save(path, collect={"t": flow.src_features.text.is_in(words)})


def test_large_constants_stand_beside(tmp_path):
    path = tmp_path / "flow.json"
    words = [f"word {number}" for number in range(10_000)]
    with_vocabulary(words, path)
    (beside,) = tmp_path.glob("*.arrow")
    assert beside.name.startswith("flow.")
    assert path.stat().st_size < 10_000
    assert DataFlow.load(path).batch_process({"text": ["word 9", "other"]}) == {"t": [True, False]}
    DataFlow.load(path).save(tmp_path / "b.json")
    assert sorted(file.suffix for file in tmp_path.iterdir()) == [".arrow", ".arrow", ".json", ".json"]

    before = path.read_text()
    with_vocabulary(words[1:], path)  # another vocabulary takes the place of the first
    assert path.read_text() != before
    assert len(list(tmp_path.glob("flow.*.arrow"))) == 1
    assert not beside.exists()
    with_vocabulary(["few"], path)
    assert list(tmp_path.glob("flow.*.arrow")) == []


def test_constants_that_changed_or_are_missing_are_noticed(tmp_path):
    path = tmp_path / "flow.json"
    with_vocabulary([f"word {number}" for number in range(10_000)], path)
    (beside,) = tmp_path.glob("*.arrow")
    content = beside.read_bytes()
    beside.write_bytes(content.replace(b"word 77", b"work 77", 1))
    assert "its checksum differs" in refused(path)
    beside.unlink()
    assert "cannot be read" in refused(path)
    text = path.read_text()
    path.write_text(text.replace(beside.name, "../" + beside.name))
    assert 'its "constants" name none' in refused(path)


def test_both_files_are_saved_or_none(tmp_path, monkeypatch):
    path = tmp_path / "flow.json"
    words = [f"word {number}" for number in range(10_000)]
    with_vocabulary(words, path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    replace = Path.replace

    def full(file, target):
        if Path(target).suffix == ".json":
            raise OSError(28, "No space left on device")
        return replace(file, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(InputError, match="No space left on device"):
        with_vocabulary(words[1:], path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_link_to_a_flow_is_followed(tmp_path):
    (tmp_path / "real").mkdir()
    with_vocabulary([f"word {number}" for number in range(10_000)], tmp_path / "real/flow.json")
    link = tmp_path / "flow.json"
    link.symlink_to("real/flow.json")
    loaded = DataFlow.load(link)
    loaded.save(link)
    assert link.is_symlink()
    assert len(list((tmp_path / "real").iterdir())) == 2
