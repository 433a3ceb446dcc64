"""An S3 server for tests: moto, in a process of its own, which ends when its standard input does.

It prints its port. Beside S3 it answers `GET /requests` with a line for each request since the last time that
was asked: the method, the path, and the bytes that were sent back.
"""

from __future__ import annotations

import logging
import sys
import threading

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

logging.getLogger("werkzeug").setLevel(logging.ERROR)
application = DomainDispatcherApplication(create_backend_app)
requests: list[str] = []


def recording(environ, start_response):
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    if path == "/requests":
        told = "\n".join(requests).encode()
        requests.clear()
        start_response("200 OK", [("Content-Length", str(len(told)))])
        return [told]
    sent = b"".join(application(environ, start_response))
    requests.append(f"{method} {path} {len(sent)}")
    return [sent]


server = make_server("127.0.0.1", 0, recording, threaded=True)
print(server.port, flush=True)  # noqa: T201 - how the tests find it
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
