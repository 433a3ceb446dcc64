"""Text files: lines, and whole files."""

from __future__ import annotations

import gzip

import pytest

from hyped_beam.errors import InputError
from hyped_beam.io.readers import lines
from hyped_beam.io.readers.text import TextReader


def column(reader, read_all, name="text"):
    return [value for batch in read_all(reader) for value in batch[name].to_pylist()]


@pytest.mark.parametrize(
    ("data", "texts"),
    [
        (b"a\r\n\nb\xe2\x80\xa8c\rd\n", ["a", "", "b\u2028c\rd"]),
        (b"a\n\n", ["a", ""]),
        (b"a", ["a"]),
        (b"\xef\xbb\xbfa\n", ["a"]),
        (b"", []),
    ],
)
def test_lines(tmp_path, read_all, data, texts):
    (tmp_path / "x.txt").write_bytes(data)
    (tmp_path / "y.txt.gz").write_bytes(gzip.compress(data))
    assert column(TextReader(tmp_path), read_all) == texts * 2
    kept = "".join(column(TextReader(tmp_path / "x.txt", keep_line_ends=True), read_all))
    assert kept.encode() == data.removeprefix(b"\xef\xbb\xbf")


@pytest.mark.parametrize("block", [1, 3, 7, 1000])
def test_each_line_is_in_exactly_one_range(tmp_path, read_all, monkeypatch, block):
    monkeypatch.setattr(lines, "LARGEST_BLOCK", block)
    monkeypatch.setattr(lines, "SMALLEST_BLOCK", block)
    monkeypatch.setattr(lines, "CHUNK_BYTES", 5)
    texts = ["", "a", "bc" * 20, "", "", "ä" * 3, "z"] * 3
    (tmp_path / "x.txt").write_text("\n".join(texts), encoding="utf-8")
    source = TextReader(tmp_path, origin="from")
    assert column(source, read_all) == texts
    assert [place["row"] for place in column(source, read_all, "from")] == list(range(len(texts)))
    assert {place["path"] for place in column(source, read_all, "from")} == {str(tmp_path / "x.txt")}


def test_whole_files_know_their_paths_and_very_many_share_batches(tmp_path, read_all):
    for number in range(8_000):
        (tmp_path / f"{number:04}.txt").write_text(f"file\n{number:04}\n")
    (tmp_path / "empty.txt").touch()
    source = TextReader(tmp_path, whole=True)
    assert column(source, read_all)[-2:] == ["file\n7999\n", ""]
    assert column(source, read_all, "path")[0] == str(tmp_path / "0000.txt")
    assert sum(part.rows for part in source.ranges()) == 8_001
    assert len(read_all(source)) < 4_000
    assert len(column(source, read_all)) == 8_001


def test_bytes_that_are_no_text_are_told_with_their_place(tmp_path, read_all):
    (tmp_path / "x.txt").write_bytes(b"a\nbc\xff\n")
    for whole in (False, True):
        with pytest.raises(InputError, match=r"x.txt:2: byte 3 of the line, 0xff, is not UTF-8"):
            read_all(TextReader(tmp_path, whole=whole))


def test_text_has_no_other_columns(tmp_path):
    (tmp_path / "x.txt").touch()
    with pytest.raises(
        InputError, match="no column 'txt', which features= declares\n  hint: did you mean 'text'"
    ):
        TextReader(tmp_path, features={"txt": "string"}).ranges()
