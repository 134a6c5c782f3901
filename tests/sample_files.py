"""The small files of `tests/samples`, ways to spoil them, and to see what an import makes of them."""

import zipfile

from store import ingest
from tests.conftest import REPO

SAMPLES = REPO / "tests" / "samples"
MARCH = SAMPLES / "barchart" / "Day_SP500_micro_20240300.csv"
JUNE = SAMPLES / "barchart" / "Day_SP500_micro_20240600.csv"
LINES = MARCH.read_text().splitlines()
NAME = MARCH.name


def put(folder, name, lines=None, end="\n", data=None):
    """A file of lines, or of bytes."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(end.join([*lines, ""]).encode() if data is None else data)
    return folder / name


def zipped(folder, name, members):
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / name, "w") as packed:
        for member, text in members.items():
            packed.writestr(member, text)
    return folder / name


def changed(row, **cells):
    """Lines of the March file with cells of one row changed; `row` is its line, the header being 1."""
    names = LINES[0].split(",")
    lines = [line.split(",") for line in LINES]
    for name, cell in cells.items():
        lines[row - 1][names.index(name)] = cell
    return [",".join(line) for line in lines]


def one(archive, path, **words):
    [report] = ingest.import_paths(archive, [path], **words)
    counts = [getattr(report, count) for count in ingest.COUNTS]
    assert counts[0] == sum(counts[1:])
    return report


def refused(archive, path, **words):
    """The error of a file that is refused whole, which leaves the store as it was."""
    before = archive.head()
    report = one(archive, path, **words)
    assert archive.head() == before
    assert report.error.startswith(str(path)) and report.error.isprintable()
    return report.error


def counts(report):
    return tuple(getattr(report, count) for count in ingest.COUNTS)
