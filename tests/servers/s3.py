"""An S3 server for tests: moto, in a process of its own, which ends when its standard input does.

It prints its port. Beside S3 it answers `GET /requests` with a line for each request since the last time that
was asked: the method, the path, and the bytes that were sent back.

Conditional requests are what moto lacks: it looks and writes in two steps, and copies over what is there. So
what writes is done one at a time, and a copy `If-None-Match: *` is refused here, as S3 does; and it removes
what no longer has the tag of `If-Match`.
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

REFUSED = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>PreconditionFailed</Code><Message>At least one of '
    b"the pre-conditions you specified did not hold</Message></Error>"
)


def refused(start_response):
    """The answer to a request whose condition does not hold."""
    headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(REFUSED)))]
    start_response("412 Precondition Failed", headers)
    return REFUSED


def tag(environ):
    """The tag of the object of a request; None where there is none."""
    told = {}
    look = {**environ, "REQUEST_METHOD": "HEAD", "CONTENT_LENGTH": "0"}
    for name in [name for name in look if name.startswith(("HTTP_X_AMZ_COPY", "HTTP_IF_"))]:
        del look[name]

    def answered(status, headers, *_):
        told.update({name.lower(): text for name, text in headers} if status.startswith("200") else {})

    b"".join(application(look, answered))
    return told.get("etag")


def answer(environ, start_response):
    """What S3 answers."""
    is_copy = "HTTP_X_AMZ_COPY_SOURCE" in environ
    if environ["REQUEST_METHOD"] == "DELETE" and environ.get("HTTP_IF_MATCH", tag(environ)) != tag(environ):
        return refused(start_response)
    if is_copy and environ.get("HTTP_IF_NONE_MATCH") == "*" and tag(environ):
        return refused(start_response)
    return b"".join(application(environ, start_response))


def recording(environ, start_response):
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    if path == "/requests":
        told = "\n".join(requests).encode()
        requests.clear()
        start_response("200 OK", [("Content-Length", str(len(told)))])
        return [told]
    if method in ("PUT", "DELETE"):
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
