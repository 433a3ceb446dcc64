"""Places that hold files: the local machine, S3 (a real server), and what fsspec knows."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path

import pytest

from hyped_beam.errors import DefinitionError, InputError, UnknownNameError
from hyped_beam.io.filesystem import locate
from hyped_beam.io.paths import find_files

MEGABYTE = 1 << 20


def info_of(uri):
    filesystem, path = locate(uri)
    return filesystem.info(path)


def test_a_file_is_there_once_it_is_published(place):
    filesystem, path = locate(f"{place}/a/b.txt")
    pending = filesystem.create(path)
    pending.write(b"one ")
    pending.write(memoryview(b"two"))
    pending.flush()
    pending.close()
    assert filesystem.info(path) is None
    assert filesystem.read(path) is None
    pending.publish()
    pending.discard()
    info = filesystem.info(path)
    assert (info.name, info.is_folder, info.size, pending.size) == ("b.txt", False, 7, 7)
    assert info.modified > 0
    assert info_of(info.uri) == info
    assert filesystem.read(path) == b"one two"
    with filesystem.open_input(path) as file:
        assert file.size() == 7
        file.seek(4)
        assert file.read() == b"two"
    assert filesystem.info(path.rpartition("/")[0]).is_folder


def test_what_is_discarded_was_never_there(place, tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    filesystem, path = locate(f"{place}/a/b.txt")
    pending = filesystem.create(path)
    for _ in range(12):
        pending.write(bytes(MEGABYTE))
    pending.discard()
    pending.write(b"late")  # as pyarrow does, which ends what it has begun
    pending.close()
    pending.publish()
    assert filesystem.info(path) is None
    assert filesystem.children(path.rpartition("/")[0]) == []
    assert list((tmp_path / "temporary").iterdir()) == []


def test_large_files_are_whole(place):
    filesystem, path = locate(f"{place}/large.bin")
    pending = filesystem.create(path)
    parts = [bytes([number]) * MEGABYTE for number in range(23)]
    for part in parts:
        pending.write(part)
    pending.publish()
    assert filesystem.read(path) == b"".join(parts)


def test_a_file_may_be_replaced(place):
    filesystem, path = locate(f"{place}/x.json")
    filesystem.write(path, b"old and long")
    filesystem.write(path, b"new")
    assert filesystem.read(path) == b"new"
    assert [child.name for child in filesystem.children(locate(place)[1])] == ["x.json"]


def test_folders_are_listed_by_name_and_removed_whole(place):
    filesystem, folder = locate(place)
    assert filesystem.children(folder) == []
    for name in ("b.txt", "a/c.txt", "a/d/e.txt", "_hidden/f.txt", ".g.txt"):
        filesystem.write(f"{folder}/{name}", name.encode())
    assert [(child.name, child.is_folder) for child in filesystem.children(folder)] == [
        (".g.txt", False),
        ("_hidden", True),
        ("a", True),
        ("b.txt", False),
    ]
    assert [file.path.removeprefix(f"{folder}/") for file in filesystem.walk(folder)] == [
        "a/c.txt",
        "a/d/e.txt",
        "b.txt",
    ]
    filesystem.delete(f"{folder}/a")
    filesystem.delete(f"{folder}/b.txt")
    filesystem.delete(f"{folder}/never.txt")
    assert [file.path for file in filesystem.walk(folder)] == []
    assert filesystem.read(f"{folder}/.g.txt") == b".g.txt"


def test_globs_and_folders(place):
    filesystem, folder = locate(place)
    for name in ("b.txt", "a.txt", "a.csv", "sub/c.txt", "odd name?.txt"):
        filesystem.write(f"{folder}/{name}", b"")
    for pattern, names in {
        "": ["a.txt", "b.txt", "odd name?.txt", "sub/c.txt"],
        "/?.txt": ["a.txt", "b.txt"],
        "/**/*.txt": ["a.txt", "b.txt", "odd name?.txt", "sub/c.txt"],
        "/*/c.*": ["sub/c.txt"],
    }.items():
        found = find_files([place + pattern], (".txt",))
        assert [file.path.removeprefix(f"{folder}/") for file in found] == names
        assert [locate(file.uri) == (filesystem, file.path) for file in found if filesystem.is_local] in (
            [],
            [True] * len(found),
        )
        assert [info_of(file.uri) for file in found] == found
    with pytest.raises(InputError, match=r"there is no file or folder .*\n  hint: did you mean .*a\.txt"):
        find_files([f"{place}/a.tx"], (".txt",))


# ---------------------------------------------------------------------------------------------------- S3


def test_options_stand_in_the_uri_and_go_with_each_file(s3, monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    host = s3.endpoint.removeprefix("http://")
    for query in (
        f"endpoint_override={host}&scheme=http",
        f"endpoint_override=http://{host}&region=us-east-1",
    ):
        filesystem, folder = locate(f"{s3.uri('a b')}?{query}")
        filesystem.write(f"{folder}/x=1&y?.txt", b"x")
        (found,) = find_files([f"{s3.uri('a b')}/*.txt?{query}"], (".txt",))
        assert set(found.uri.rpartition("?")[2].split("&")) == set(query.split("&"))
        assert info_of(found.uri) == found
    assert "a b/x=1&y?.txt" in s3.held()


def test_an_upload_that_is_broken_off_leaves_nothing(s3):
    filesystem, path = locate(s3.uri("x/part.jsonl"))
    pending = filesystem.create(path)
    pending.write(bytes(12 * MEGABYTE))
    del pending
    assert s3.held() == []


@pytest.mark.usefixtures("s3")
def test_missing_buckets_are_told():
    filesystem, path = locate("s3://not-there/x/y.txt")
    with pytest.raises(InputError, match=r"no file matches .*: there is no bucket 'not-there'\n  hint: "):
        find_files(["s3://not-there/x/*.parquet"], (".parquet",))
    with pytest.raises(InputError, match=r"there is no bucket 'not-there', for 's3://not-there/x/y.txt'"):
        filesystem.write(path, b"x")
    assert filesystem.info(path) is None
    assert filesystem.read(path) is None


def test_wrong_credentials_are_told_without_repeating_them(s3, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    filesystem, path = locate(s3.uri("x.txt"))
    s3.demand_credentials(True)
    try:
        for ask in (
            filesystem.info,
            filesystem.children,
            filesystem.read,
            lambda path: filesystem.write(path, b""),
        ):
            with pytest.raises(
                InputError, match=r"access to 's3://.*' was refused\n  hint: set AWS_ACC"
            ) as caught:
                ask(path)
            assert "very-secret" not in str(caught.value)
            assert "nobody" not in str(caught.value)
    finally:
        s3.demand_credentials(False)


def test_a_store_that_does_not_answer_is_told(monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        filesystem, path = locate("s3://bucket/x.txt")
        with pytest.raises(InputError, match=r"the store of 's3://bucket/x.txt' cannot be reached"):
            filesystem.info(path)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("s3://KEY:hidden@bucket/x", "the URI s3://...bucket holds credentials, before the '@'"),
        ("s3://bucket/x?secret_key=hidden", "holds credentials, as the option 'secret_key'"),
        ("sftp://me:hidden@host/x", "holds credentials"),
        ("https://host/x?X-Amz-Signature=hidden", "holds credentials"),
    ],
)
def test_credentials_do_not_belong_into_uris(uri, message):
    with pytest.raises(DefinitionError, match=message) as caught:
        locate(uri)
    assert "hidden" not in str(caught.value)


def test_wrong_uris():
    with pytest.raises(
        DefinitionError, match=r"no file system for 'nope', in 'nope://x'\n  hint: fsspec says"
    ):
        locate("nope://x")
    with pytest.raises(UnknownNameError, match=r"no option 'regoin'\n  hint: did you mean 'region'"):
        locate("s3://bucket/x?regoin=eu")
    with pytest.raises(DefinitionError, match=r"'s3:///x' names no bucket"):
        locate("s3:///x")


def test_locating_looks_at_nothing(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://192.0.2.1:1")
    for uri in ("s3://bucket/x", "gs://bucket/x", "memory://x", "ftp://host/x", str(Path("relative"))):
        filesystem, path = locate(uri)
        assert locate(filesystem.uri(path))[1] == path
