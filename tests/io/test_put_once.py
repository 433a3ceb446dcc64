"""Files that are created by one of several who try, and files that are moved."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from hyped_beam.io import filesystem
from hyped_beam.io.filesystem import checksum_of, locate

MANY = 16


def test_the_first_wins_and_others_get_what_it_wrote(place):
    there, path = locate(f"{place}/a/x.json")
    assert there.why_not_once() is None
    assert there.put_once(path, b"first") == b"first"
    assert there.put_once(path, b"second") == b"first"
    assert there.read(path) == b"first"
    assert [child.name for child in there.children(path.rpartition("/")[0])] == ["x.json"]


def test_of_many_at_once_one_wins(place):
    there, path = locate(f"{place}/x.json")
    together = threading.Barrier(MANY)

    def put(number):
        together.wait()
        return there.put_once(path, str(number).encode())

    with ThreadPoolExecutor(MANY) as threads:
        found = list(threads.map(put, range(MANY)))
    assert set(found) == {there.read(path)}


def test_of_many_processes_one_wins(tmp_path):
    program = (
        "import sys; from hyped_beam.io.filesystem import LOCAL; sys.stdin.read(); "
        "print(LOCAL.put_once(sys.argv[1], sys.argv[2].encode()).decode())"
    )
    root = str(Path(__file__).parents[2])
    path = tmp_path / "x"
    begun = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(path), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": root},
        )
        for number in range(4)
    ]
    for process in begun:
        process.stdin.close()
    found = {process.stdout.read().strip() for process in begun}
    for process in begun:
        assert process.wait() == 0
        process.stdout.close()
    assert found == {path.read_text()}


def test_a_disk_without_hard_links(tmp_path, monkeypatch):
    def link(*_):
        raise OSError(filesystem.NO_LINKS[0], "no links here")

    monkeypatch.setattr(os, "link", link)
    path = str(tmp_path / "x")
    assert filesystem.LOCAL.put_once(path, b"first") == b"first"
    assert filesystem.LOCAL.put_once(path, b"second") == b"first"
    assert [child.name for child in tmp_path.iterdir()] == ["x"]


def test_a_file_is_moved(place):
    there, source = locate(f"{place}/a/x")
    target = locate(f"{place}/b/c/y")[1]
    there.write(source, b"one")
    assert there.move(source, target, checksum_of(b"one"))
    assert (there.read(source), there.read(target)) == (None, b"one")
    assert not there.move(source, f"{target}z", checksum_of(b"one"))
    there.write(source, b"two")
    assert there.move(source, target, checksum_of(b"two"))
    assert (there.read(source), there.read(target)) == (None, b"two")


def test_on_s3_what_is_there_already_is_not_copied_again(s3):
    there, source = locate(s3.uri("a"))
    target = locate(s3.uri("b"))[1]
    there.write(source, b"one")
    there.write(target, b"one")
    tag = s3.client.head_object(Bucket=s3.bucket, Key="b")["LastModified"]
    assert there.move(source, target, checksum_of(b"one"))
    assert s3.client.head_object(Bucket=s3.bucket, Key="b")["LastModified"] == tag
    assert s3.held() == ["b"]


@pytest.mark.parametrize("scheme", ["ftp", "http", "hf", "sftp", "webhdfs"])
def test_places_that_cannot_say_so(scheme):
    from hyped_beam.io.filesystem_fsspec import FsspecFileSystem

    assert f"on {scheme}:// only where there is none" in FsspecFileSystem(scheme, "host").why_not_once()


def test_a_package_that_is_missing_is_named(monkeypatch):
    from hyped_beam.io import conditional

    monkeypatch.setattr(conditional.importlib.util, "find_spec", lambda _: None)
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    assert "pip install 'hyped_beam[s3]'" in locate("s3://bucket/x")[0].why_not_once()
    assert "pip install 'hyped_beam[gcs]'" in locate("gs://bucket/x")[0].why_not_once()
    assert locate("gs://bucket/x?anonymous=true")[0].why_not_once() is None


# ----------------------------------------------------------------------------------------------------- Google


class Google(BaseHTTPRequestHandler):
    """What Google Cloud Storage answers to the upload of an object, by its JSON interface."""

    held: dict[str, bytes]
    lock = threading.Lock()

    def do_POST(self):
        place = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(place.query).items()}
        data = self.rfile.read(int(self.headers["Content-Length"]))
        assert place.path == "/upload/storage/v1/b/bucket/o"
        assert (query["uploadType"], query["ifGenerationMatch"]) == ("media", "0")
        with self.lock:
            created = self.held.setdefault(query["name"], data) is data
        answer = json.dumps({"name": query["name"]} if created else {"error": {"code": 412}}).encode()
        self.send_response(200 if created else 412)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def test_on_google_cloud_storage_the_request_has_the_condition():
    from hyped_beam.io.conditional import put_on_gcs

    Google.held = {}
    with ThreadingHTTPServer(("127.0.0.1", 0), Google) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        options = (("anonymous", "true"), ("endpoint_override", f"http://127.0.0.1:{server.server_port}"))
        assert put_on_gcs("bucket", "a b/c", b"first", options)
        assert not put_on_gcs("bucket", "a b/c", b"second", options)
        server.shutdown()
    assert Google.held == {"a b/c": b"first"}
    with pytest.raises(OSError, match="Could not connect"):
        put_on_gcs("bucket", "a", b"first", options)
