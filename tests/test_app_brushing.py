"""What a brush costs the server: processor and bytes, not time, which says more of the machine than of the page."""

import asyncio
import re
import subprocess
import sys

import pytest

from bench.visitor import Visitor
from store import open_archive, system
from tests.conftest import REPO
from tests.synthetic_run import SyntheticRun, stored

BRUSHES, WARM = 30, 5
MOST = 0.045  # of a brush, three times what it is on a quiet machine [s of processor]
HEAVIEST = 90_000  # of a brush [bytes]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A dashboard over a run of 12 years and 3,000 trades, in a process of its own: (port, number of the process)."""
    archive = open_archive(tmp_path_factory.mktemp("served") / "store", create=True)
    stored(archive, SyntheticRun())
    code = f"from app.serve import serve; serve({str(archive.path)!r}, port=0)"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=REPO, stderr=subprocess.PIPE, text=True)
    told = next(line for line in process.stderr if "Dashboard at" in line)
    yield re.search(r":(\d+)/", told)[1], process.pid
    process.kill()
    process.wait()
    process.stderr.close()


async def brushed(port, pid):
    """(seconds of the server's processor, bytes) a brush, the whole overview in sight."""
    visitor = Visitor(port)
    await visitor.load()
    await visitor.open()
    visitor.read()
    for number in range(WARM):
        await visitor.brush(number)
    spent, received = system.spent(pid), visitor.received
    for number in range(BRUSHES):
        await visitor.brush(number)
    visitor.leave()
    return (system.spent(pid) - spent) / BRUSHES, (visitor.received - received) / BRUSHES


def test_a_brush_costs_the_server_little(server):
    seconds, size = asyncio.run(brushed(*server))
    assert 0.0 < seconds < MOST
    assert 5_000 < size < HEAVIEST, "fewer bytes than that redraw nothing"
