"""`frontmonth import` is killed at random; what it reported is there, nothing is torn, the next command works.

`pytest tests/test_store_import_kill.py --kills 50` is the long form.
"""

import hashlib
import json
import random
import subprocess
import sys
import time

import pytest

from store.archive import open_archive
from tests.conftest import REPO
from tests.killing import judge

pytestmark = pytest.mark.service
MARKETS = ("SP500_micro", "SILVER", "CORN")
DAYS = [f"2024-01-{day:02d}" for day in (2, 3, 4, 5, 8, 9, 10, 11, 12, 16, 17, 18, 19, 22, 23, 24, 25, 26)]


def frontmonth(store, *arguments):
    """The command in a process of its own."""
    command = [sys.executable, "-c", "from app.cli import main; main()", *map(str, arguments)]
    command += ["--store", str(store), "--json"]
    return subprocess.Popen(command, cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process):
    """Exit code and output of a process that was left alone; nothing may stand on stderr."""
    out, errors = process.communicate()
    assert errors == ""
    return process.returncode, json.loads(out)


def written(folder, number):
    """A folder as a vendor sends it one evening: six contracts; after ten folders the contracts come again, revised."""
    folder.mkdir()
    for k, market in enumerate(MARKETS):
        for month in (3, 6):
            price = 1000 + 10 * number + k
            rows = [f"{day}T06:00:00+0000,{price},{price + 2},{price - 2},{price + 1},{100 + number}" for day in DAYS]
            year = 2024 + number % 10
            lines = "\n".join(["Time,Open,High,Low,Close,Volume", *rows, ""])
            (folder / f"Day_{market}_{year}{month:02d}00.csv").write_text(lines)
    return folder


def hashes(folder):
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def seconds(store, folder):
    """How long an import takes that nobody kills."""
    start = time.monotonic()
    assert ended(frontmonth(store, "import", folder))[0] == 0
    return time.monotonic() - start


def whole(archive, folder):
    """Whether all files of a folder are in the store, or none; anything in between is torn."""
    known = hashes(folder) & set(archive.read("imports")["sha256"])
    assert known in (set(), hashes(folder))
    return bool(known)


def test_an_import_that_is_killed_is_wholly_there_or_not_at_all(tmp_path, kills):
    seed = random.randrange(10**6)
    sys.stdout.write(f"seed {seed}\n")  # shown when the test fails
    chance, store = random.Random(seed), tmp_path / "store"
    usual = min(seconds(tmp_path / f"try{k}", written(tmp_path / f"warm{k}", k)) for k in range(2))
    told, done, before = [], set(), 0
    for number in range(kills):
        folder = written(tmp_path / str(number), number)
        process = frontmonth(store, "import", folder)
        try:
            out, errors = process.communicate(timeout=usual * chance.uniform(0.5, 1.2))
        except subprocess.TimeoutExpired:
            process.kill()
            out, errors = process.communicate()
        assert errors == ""
        if process.returncode == 0:
            done.add(number)
            told.append(json.loads(out)["snapshot"])
        if not store.exists():
            continue
        archive = judge(store, [])
        there = {n for n in range(number + 1) if whole(archive, tmp_path / str(n))}
        assert done <= there
        assert archive.read("contract_bars").select("root", "contract", "time").is_duplicated().sum() == 0
        assert all(before < snapshot <= archive.head().number for snapshot in told[-1:] if number in done)
        before = archive.head().number
        code, markets = ended(frontmonth(store, "markets"))
        assert (code, len(markets)) == (0, len(MARKETS) if there else 0)
    _completed(store, tmp_path, kills)


def _completed(store, folders, kills):
    """The same imports again bring in what is lacking, and then there is nothing left to bring in."""
    paths = [folders / str(number) for number in range(kills)]
    assert ended(frontmonth(store, "import", *paths))[0] == 0
    archive = open_archive(store)
    assert all(whole(archive, path) for path in paths)
    number = archive.head().number
    rows = archive.read("contract_bars")
    years = min(kills, 10)
    assert rows.height == years * 2 * len(MARKETS) * len(DAYS)
    code, document = ended(frontmonth(store, "import", *paths))
    assert (code, document["snapshot"]) == (0, number)
    assert all(file["skipped"] for file in document["files"])
    assert archive.verify() == []
