"""From what a user gave to files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from hyped_beam.errors import DefinitionError, InputError
from hyped_beam.io import globs
from hyped_beam.io.filesystem import locate
from hyped_beam.io.paths import find_files, matched_by

FILES = ["b.txt", "a.txt", "a.csv", ".hidden.txt", "sub/c.txt", "sub/deep/d.txt", "_ours/e.txt", "odd[1].txt"]


@pytest.fixture
def folder(tmp_path):
    for name in FILES:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "f.csv").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("", ["a.txt", "b.txt", "odd[1].txt", "sub/c.txt", "sub/deep/d.txt"]),
        ("a.csv", ["a.csv"]),
        (".hidden.txt", [".hidden.txt"]),
        ("odd[1].txt", ["odd[1].txt"]),
        ("*.txt", ["a.txt", "b.txt", "odd[1].txt"]),
        ("?.txt", ["a.txt", "b.txt"]),
        ("[!a].txt", ["b.txt"]),
        ("[ab].*", ["a.csv", "a.txt", "b.txt"]),
        ("*/*.txt", ["sub/c.txt"]),
        ("s*/**/*.txt", ["sub/c.txt", "sub/deep/d.txt"]),
        ("**/*.txt", ["a.txt", "b.txt", "odd[1].txt", "sub/c.txt", "sub/deep/d.txt"]),
        ("sub/**", ["sub/c.txt", "sub/deep/d.txt"]),
    ],
)
def test_a_path_means_files(folder, pattern, found):
    files = find_files([str(folder / pattern)], (".txt",))
    assert [str(Path(file.path).relative_to(folder)) for file in files] == found


def test_several_paths_keep_their_order_and_each_file_is_read_once(folder):
    files = find_files([str(folder / "b.txt"), str(folder / "*.txt")], (".txt",))
    assert [file.name for file in files] == ["b.txt", "a.txt", "odd[1].txt"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("b.tx", "there is no file or folder .*\n  hint: did you mean .*/b.txt"),
        ("sbu/c.txt", "there is no file or folder .*\n  hint: did you mean .*/sub"),
        ("*.txtt", "no file matches .*"),
        ("sub/*.csv", "no file matches .*\n  hint: .*sub holds c.txt, deep"),
        ("none", "there are no .txt files in the folder"),
    ],
)
def test_what_matches_nothing_is_told_with_the_nearest_name(folder, given, message):
    with pytest.raises(InputError, match=message):
        find_files([str(folder / given)], (".txt",))


def test_uris_and_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert locate("file:///a/b%20c")[1] == "/a/b c"
    assert locate("~/x")[1] == f"{tmp_path}/x"
    with pytest.raises(DefinitionError, match="no file system for 'nope'"):
        locate("nope://host/x")


@pytest.mark.parametrize(
    ("pattern", "place", "is_matched"),
    [
        ("in/**/*.csv", "in/o1.csv", True),
        ("in/**/*.csv", "in/deep/out", True),
        ("in/**/*.csv", "in", True),
        ("in/**/part-0001?.csv", "in/out", True),
        ("in/**/part-0001?.csv", "in/out/k", True),
        ("in/*.csv", "in/o1.csv", True),
        ("in/*.csv", "in/out", False),
        ("in/*/*.csv", "in/out", True),
        ("in/*/*.csv", "in/out/deep", False),
        ("in/[!o]*/*.csv", "in/out", False),
        ("in/[!o]*/*.csv", "in/new", True),
        ("in/[[]*/*.csv", "in/[a]", True),
        ("in/**/*.jsonl", "in/out", False),
        ("in/**/data-*.csv", "in/out", False),
        ("in/**", "in/out", True),
        ("in/**/*.csv", "in/_out", False),
        ("in/**/*.csv", "in/.out", False),
        ("in/**/*.csv", "other", False),
        ("in/**/*.csv", "inner", False),
        ("in/a.csv", "in/a.csv", False),
        ("in/o**.csv", "in/o1.csv", True),
        ("in/?**.csv", "in/o1.csv", True),
        ("in/o**.csv", "in/o/1.csv", False),
    ],
)
def test_what_is_to_be_written_is_told_from_what_a_glob_matches(tmp_path, pattern, place, is_matched):
    given = str(tmp_path / pattern)
    found = matched_by(str(tmp_path / place), ["other/*.csv", given], ["part-*.csv"])
    assert found == (given if is_matched else None)


def test_a_glob_matches_through_a_link(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "link").symlink_to("in")
    given = str(tmp_path / "in" / "*.csv")
    assert matched_by(str(tmp_path / "link" / "a.csv"), [given]) == given


@drawn(st.text("ab/*?", max_size=7), st.lists(st.text("ab", min_size=1, max_size=2), min_size=1, max_size=3))
def test_globs_that_match_one_path_may_share_it(pattern, parts):
    path = "/".join(parts)
    found = re.fullmatch(globs.as_regex(pattern), path) is not None
    assert globs.may_share(pattern, globs.escaped_glob(path)) == found
