"""A real S3 service for tests, in a process of its own: moto's, in memory, on a free port of this machine.

`python -m tests.s3_server` prints its address and serves until its input ends. What moto leaves out is added here: a
conditional put is one step, as Amazon's is; moto looks and then writes, and two writers may come between.

`Between` stands between a client and the service and breaks what a test wants broken.
"""

import contextlib
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from tests.conftest import REPO

KEYS = {"AWS_ACCESS_KEY_ID": "AKIAFRONTMONTHTEST", "AWS_SECRET_ACCESS_KEY": "kept/secret+word0123456789"}
_HOP = {"connection", "transfer-encoding", "content-length", "date", "server"}


class Service:
    """A running service; `url` is its address."""

    def __init__(self):
        command = [sys.executable, "-m", "tests.s3_server"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, cwd=REPO, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
        )
        self.url = self._process.stdout.readline().strip()
        assert self.url.startswith("http://127.0.0.1:"), "the S3 service did not start"

    def make_bucket(self, name):
        """Make a bucket, if it is not there yet."""
        request = urllib.request.Request(f"{self.url}/{name}", method="PUT")
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.urlopen(request, timeout=30).close()

    def environment(self, folder):
        """What a process needs to speak to it, with a cache in that folder."""
        return KEYS | {"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": self.url, "FRONTMONTH_CACHE": str(folder)}

    def stop(self):
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


@pytest.fixture(scope="session")
def service():
    """The service; a test that needs it skips where moto is not installed."""
    pytest.importorskip("moto", reason="no S3 service can be started: moto is not installed")
    running = Service()
    yield running
    running.stop()


@pytest.fixture
def cloud(service, tmp_path, monkeypatch):
    """Address of an empty place in a bucket; this process and those that it starts find service and credentials."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "FRONTMONTH_CACHE", "FRONTMONTH_STORE"))]:
        monkeypatch.delenv(name)
    for name, value in service.environment(tmp_path / "cache").items():
        monkeypatch.setenv(name, value)
    bucket = f"test-{uuid4().hex[:16]}"
    service.make_bucket(bucket)
    return f"s3://{bucket}/prices"


@pytest.fixture
def secrets():
    """What is never told: the keys that `cloud` uses."""
    return list(KEYS.values())


@pytest.fixture
def between(service, cloud, monkeypatch):
    """A `Between` that requests go through from now on; its `rule` says what happens to them."""
    with Between(service.url) as middle:
        monkeypatch.setenv("AWS_ENDPOINT_URL", middle.url)
        yield middle


@pytest.fixture
def quick(monkeypatch):
    """Tries follow each other at once."""
    from store import objects

    monkeypatch.setattr(objects, "PAUSES", (0.01, 0.02, 0.04, 0.08))


class Between:
    """Passes requests on to a service, but for those that `rule(request, number)` says something about:

    "drop" carries it out and breaks the connection; "cut" sends half of the answer; "lose" breaks the connection before
    anything is done; "hang" does nothing until it is let go; "force" takes its conditions off; (status, code, text) is
    the answer. `seen` lists all requests as (method, path).
    """

    def __init__(self, url, rule=lambda request, number: None):
        self.target, self.rule, self.seen, self._numbers = url, rule, [], count(1)
        self.go = threading.Event()
        between = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                between.answer(self)

            do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = handle_any

            def log_message(self, *words):
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *problem):
        self.go.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request):
        """Answer one request."""
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        self.seen.append((request.command, request.path))
        told = self.rule(request, next(self._numbers))
        if told == "hang":
            self.go.wait(60)
        if told in ("lose", "hang"):
            request.close_connection = True
            return
        if isinstance(told, tuple):
            content = f"<Error><Code>{told[1]}</Code><Message>{told[2]}</Message></Error>".encode()
            status, headers = told[0], {"Content-Length": str(len(content))}
        else:
            status, headers, content = self._asked(request, body, told == "force")
        if told == "drop":
            request.close_connection = True
            return
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        if "Content-Length" not in headers:
            request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(content[: len(content) // 2] if told == "cut" else content)
        request.close_connection = told == "cut"

    def _asked(self, request, body, force):
        conditions = {"if-none-match", "if-match"} if force else set()
        headers = {k: v for k, v in request.headers.items() if k.lower() not in conditions | {"connection"}}
        connection = HTTPConnection(urlsplit(self.target).netloc, timeout=60)
        with contextlib.closing(connection):
            connection.request(request.command, request.path, body, headers)
            found = connection.getresponse()
            return found.status, _kept(found.headers, request.command), found.read()


def _kept(headers, method):
    """Headers that are passed on; the length of an answer without a body too, as it says how long it would be."""
    hop = _HOP - ({"content-length"} if method == "HEAD" else set())
    return {name: value for name, value in headers.items() if name.lower() not in hop}


def _whole(app):
    """The application with conditional puts that nobody can come between."""
    lock = threading.Lock()

    def answer(environment, start):
        if environment["REQUEST_METHOD"] != "PUT":
            return app(environment, start)
        with lock:
            return list(app(environment, start))

    return answer


def main():
    """Serve until the input ends."""
    import logging

    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log(self, *words):
            """Say nothing."""

    logging.disable(logging.CRITICAL)
    os.environ |= KEYS
    app = _whole(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    sys.stdout.write(f"http://127.0.0.1:{server.server_address[1]}\n")
    sys.stdout.flush()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
