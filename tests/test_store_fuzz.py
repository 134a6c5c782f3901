"""Spoiled files: whatever comes, no traceback, every row accounted for, and what is stored is what the report says.

`pytest tests/test_store_fuzz.py --fuzz 1000` is the long form.
"""

import gzip
import io
import random
import shutil
import sys
import zipfile

import pytest

from store import ingest, open_archive
from tests.conftest import REPO

PROVES = (8,)  # guarantees

FOLDER = REPO / "tests" / "samples"
SAMPLES = sorted(path for path in FOLDER.rglob("*") if path.is_file() and path.name != "README.md")
PLAIN = ("barchart", "contract-csv", "pysystemtrade")  # vendors whose every line after the first is a row
ODD = (
    b"", b"\x00", b"\r", b"\n", b"\r\n", b'"', b",", b";", b"\t", b" ", b"\xff\xfe", b"\xef\xbb\xbf", "\u2028".encode(),
    b"\x85", b"\x0b", b"\x1c", b"\x1b[2J", b"\xe9", "٣".encode(), b"nan", b"inf", b"-", b"N/A", b"-1", b"0", b"1e999",
    b"9" * 400, b"1,234.5", b"<html>", b"2024-02-30", b"0001-01-01", b"9999-12-31T06:00:00+0000", b"202413",
)  # fmt: skip


@pytest.fixture
def archive(tmp_path):
    return open_archive(tmp_path / "store", create=True)


def rows_of(data):
    """Rows of a text, counted by its bytes alone: lines after the first that are not spaces and tabs."""
    lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")[1:]
    return sum(bool(line.strip(b" \t")) for line in lines)


def spoil(data, chance):
    """The bytes of a file with one to four things wrong."""
    for _ in range(chance.randint(1, 4)):
        data = chance.choice((_insert, _cut, _flip, _cell, _lines))(data, chance)
    return data


def _insert(data, chance):
    place = chance.randint(0, len(data))
    return data[:place] + chance.choice(ODD) + data[place:]


def _cut(data, chance):
    a, b = sorted(chance.randint(0, len(data)) for _ in range(2))
    return chance.choice((data[:a], data[b:], data[:a] + data[b:], data[:a] + data[a:b] * 2 + data[b:]))


def _flip(data, chance):
    place = chance.randrange(len(data) or 1)
    return data[:place] + bytes([chance.randrange(256)]) + data[place + 1 :]


def _cell(data, chance):
    lines = data.split(b"\n")
    row = chance.randrange(len(lines))
    cells = lines[row].split(b",")
    cells[chance.randrange(len(cells))] = chance.choice((*ODD, cells[chance.randrange(len(cells))]))
    lines[row] = b",".join(cells)
    return b"\n".join(lines)


def _lines(data, chance):
    ends = (b"\n", b"\r\n", b"\r")
    lines = data.splitlines()
    how = chance.randrange(4)
    if how == 0:
        chance.shuffle(lines)
    elif how == 1 and lines:
        lines.insert(chance.randint(0, len(lines)), chance.choice(lines))
    elif how == 2 and lines:
        lines.pop(chance.randrange(len(lines)))
    return chance.choice(ends).join(lines)


def pack(data, name, chance):
    """Now and then the file comes packed, and the packing may be spoiled too."""
    how = chance.random()
    if how < 0.8:
        return data, name
    if how < 0.9:
        packed, name = gzip.compress(data, mtime=0), f"{name}.gz"
    else:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, data)
        packed, name = buffer.getvalue(), f"{name}.zip"
    return (spoil(packed, chance) if chance.random() < 0.5 else packed), name


def test_spoiled_files_are_refused_or_accounted_for(tmp_path, fuzz):
    seed = random.randrange(10**6)
    sys.stdout.write(f"seed {seed}\n")  # shown when the test fails
    for number in range(fuzz):
        if number % 100 == 0:  # a fresh store now and then: merging is quick, and not what is tested here
            archive = open_archive(tmp_path / f"store{number}", create=True)
        _one(archive, tmp_path / str(number), random.Random(f"{seed}-{number}"))
    assert archive.verify() == []


def _one(archive, folder, chance):
    sample = chance.choice(SAMPLES)
    data = spoil(sample.read_bytes(), chance)
    content, name = pack(data, sample.name, chance)
    folder.mkdir()
    (folder / name).write_bytes(content)
    vendor = chance.choice((None, _vendor(sample)))
    before = archive.head()
    quarantined = archive.read("quarantine").height
    [report] = ingest.import_paths(archive, [folder / name], vendor=vendor)
    counts = [getattr(report, count) for count in ingest.COUNTS]
    assert counts[0] == sum(counts[1:]), report
    if report.error:
        assert archive.head() == before
        assert report.error.startswith(str(folder / name)) and "\n" not in report.error and report.error.isprintable()
    elif not report.skipped:
        assert archive.head().number == before.number + 1
        assert archive.read("quarantine").height - quarantined == report.quarantined
        if content is data and report.vendor in PLAIN:
            assert report.rows_read == rows_of(data), report
    shutil.rmtree(folder)


def _vendor(sample):
    """The vendor whose sample it is."""
    return sample.relative_to(FOLDER).parts[0]


@pytest.mark.parametrize("sample", [path for path in SAMPLES if _vendor(path) in PLAIN], ids=lambda path: path.name)
def test_every_sample_is_taken_whole(archive, sample):
    [report] = ingest.import_paths(archive, [sample])
    assert (report.error, report.vendor) == ("", _vendor(sample))
    assert report.accepted == report.rows_read == rows_of(sample.read_bytes())
