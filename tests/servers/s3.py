"""An S3 server for tests: moto, in a process of its own, which ends when its standard input does.

It prints its port. Beside S3 it answers `GET /requests` with a line for each request since the last time that
was asked: the method, the path, and the bytes that were sent back.

Conditional requests are what moto lacks: it looks and writes in two steps, and copies over what is there. So
what writes is done one at a time, and a copy `If-None-Match: *` is refused here, as S3 does.
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
writing = threading.Lock()

EXISTS = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>PreconditionFailed</Code><Message>At least one of '
    b"the pre-conditions you specified did not hold</Message><Condition>If-None-Match</Condition></Error>"
)


def is_there(environ):
    """Whether the object of a request is there."""
    told = []
    look = {**environ, "REQUEST_METHOD": "HEAD", "CONTENT_LENGTH": "0"}
    for name in [name for name in look if name.startswith("HTTP_X_AMZ_COPY") or name == "HTTP_IF_NONE_MATCH"]:
        del look[name]
    b"".join(application(look, lambda status, *_: told.append(status)))
    return told[0].startswith("200")


def answer(environ, start_response):
    """What S3 answers."""
    is_copy = "HTTP_X_AMZ_COPY_SOURCE" in environ
    if is_copy and environ.get("HTTP_IF_NONE_MATCH") == "*" and is_there(environ):
        headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(EXISTS)))]
        start_response("412 Precondition Failed", headers)
        return EXISTS
    return b"".join(application(environ, start_response))


def recording(environ, start_response):
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    if path == "/requests":
        told = "\n".join(requests).encode()
        requests.clear()
        start_response("200 OK", [("Content-Length", str(len(told)))])
        return [told]
    if method == "PUT":
        with writing:
            sent = answer(environ, start_response)
    else:
        sent = answer(environ, start_response)
    requests.append(f"{method} {path} {len(sent)}")
    return [sent]


server = make_server("127.0.0.1", 0, recording, threaded=True)
print(server.port, flush=True)  # noqa: T201 - how the tests find it
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
