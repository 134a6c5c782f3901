"""A market loaded where nothing is kept: the same bytes by any number of threads, nothing torn when it is killed."""

import json
import os
import shutil
import subprocess
import sys
import time

import pytest

from engine.market import load
from store import open_archive
from store.cached import torn
from tests.conftest import REPO
from tests.killing import problems, seeded
from tests.small_store import build
from tests.test_engine_keeping import same

HASHES = """
import hashlib, json, sys
import numpy as np
from engine.market import load
from store import open_archive
market = load(open_archive(sys.argv[1]), legs=True, roots=["MES", "MES.v.1", "MES.c.2", "FGBL.n.1", "FGBL"])
told = {name: hashlib.sha256(x.tobytes()).hexdigest() for name, x in vars(market).items() if isinstance(x, np.ndarray)}
print(json.dumps(told | market.hashes))
"""
AGAIN = """
import shutil, sys
from engine.market import load
from store import open_archive, kept
archive = open_archive(sys.argv[1])
print("begun", flush=True)
while True:
    load(archive, legs=True)
    shutil.rmtree(archive.cache)
    kept.memory.clear()
"""


def child(code, path, **environment):
    """A process of its own that runs a text with the store's path."""
    environment = os.environ | {"PYTHONPATH": str(REPO)} | environment
    return subprocess.Popen([sys.executable, "-c", code, str(path)], env=environment, stdout=subprocess.PIPE, text=True)


def test_one_two_and_four_threads_give_the_same_bytes(tmp_path):
    archive, found = build(tmp_path / "store"), []
    for threads in (1, 2, 4):
        shutil.rmtree(archive.cache, ignore_errors=True)
        told = child(HASHES, archive.path, POLARS_MAX_THREADS=str(threads)).communicate()[0]
        cache = {path.name for path in archive.cache.glob("*/*.arrow")}
        found.append((json.loads(told), cache))
    assert found[0][1] and found[0] == found[1] == found[2]


@pytest.mark.service
def test_a_cold_load_that_is_killed_leaves_nothing_torn(tmp_path, record_property):
    archive, chance = build(tmp_path / "store"), seeded(record_property)
    made, left = load(archive, legs=True), 0
    for _ in range(8):
        process = child(AGAIN, archive.path)
        assert process.stdout.readline() == "begun\n"
        time.sleep(chance.uniform(0.01, 0.2))
        process.kill()
        process.communicate()
        assert torn(archive.cache)["torn"] == [] and problems(archive) == []
        left += archive.cache.exists()
        assert same(load(open_archive(archive.path), legs=True), made)
        assert torn(archive.cache)["torn"] == []
    assert left, "no kill fell into the work"
