"""The server: who may ask, and what every answer says."""

import http.client
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
from tornado.httputil import HTTPHeaders

from app import serve as module
from app.serve import HEADERS, ServeRefused, refusal, serve, started
from tests.conftest import REPO

ALLOWED = {"127.0.0.1:5006", "localhost:5006"}


def asked(host="127.0.0.1:5006", path="/", **headers):
    fields = HTTPHeaders({"Host": host, **{name.replace("_", "-"): value for name, value in headers.items()}})
    return refusal(SimpleNamespace(host=host, path=path, headers=fields), ALLOWED)


def test_our_own_page_may_ask():
    assert asked() == 0
    assert asked("localhost:5006") == 0
    assert asked(path="/ws", Upgrade="websocket", Origin="http://127.0.0.1:5006") == 0


@pytest.mark.parametrize(
    "request_",
    [
        {"host": "evil.example"},
        {"host": "127.0.0.1:5007"},
        {"path": "/ws", "Upgrade": "websocket"},
        {"path": "/ws"},
        {"path": "/ws", "Upgrade": "websocket", "Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors", "path": "/autoload.js"},
    ],
)
def test_others_may_not(request_):
    assert asked(**request_) == 403


@pytest.mark.parametrize("address", ["0.0.0.0", "192.168.1.5", "::", "example.org"])
def test_no_other_machine_is_let_in(address, tmp_path):
    with pytest.raises(ServeRefused, match="no login"):
        started(tmp_path, address=address)


@pytest.mark.service
def test_a_live_server_guards_every_route(tmp_path):
    code = f"from app.serve import serve; serve({str(tmp_path)!r}, port=0)"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=REPO, stderr=subprocess.PIPE, text=True)
    try:
        told = next(line for line in process.stderr if "Dashboard at" in line)
        port = int(re.search(r":(\d+)/", told)[1])
        for path, host, status in (
            ("/", f"127.0.0.1:{port}", 200),
            ("/data", f"127.0.0.1:{port}", 200),
            ("/static/js/bokeh.min.js", f"localhost:{port}", 200),
            ("/nothing", f"127.0.0.1:{port}", 404),
            ("/", "evil.example", 403),
            ("/data", "evil.example", 403),
            ("/data/ws", f"127.0.0.1:{port}", 403),
            ("/ws", f"127.0.0.1:{port}", 403),
        ):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request("GET", path, headers={"Host": host})
            answer = connection.getresponse()
            assert answer.status == status, path
            assert not {name for name, value in HEADERS.items() if answer.getheader(name) != value}, path
            connection.close()
        with pytest.raises(ServeRefused, match="choose another"):
            started(tmp_path, port=port)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


@pytest.mark.service
def test_visits_that_have_ended_are_looked_for_as_long_as_it_serves(tmp_path, monkeypatch):
    seen = []

    def watched(*words):
        server = started(*words)
        job = server._tornado._cleanup_job  # frees what a closed page held, a process of its console too
        server.io_loop.add_callback(lambda: (seen.append(job.is_running()), server.io_loop.stop()))
        return server

    monkeypatch.setattr(module, "started", watched)
    serve(tmp_path, port=0, tell=lambda _: None)
    assert seen == [True]
