"""Files of vendors for tests of their readers: the samples, parts made in memory, and what a reader gives for them."""

from store import raw
from store.raw import Part, RawFile
from tests.conftest import REPO

SAMPLES = REPO / "tests" / "samples"


def file(**parts):
    """A file of several parts: names and their bytes."""
    return RawFile(SAMPLES, "", tuple(Part(name, name, data) for name, data in parts.items()))


def sample(vendor, name):
    """The readings of a sample, which the reader must recognise."""
    opened = raw.open_file(SAMPLES / vendor.NAME / name)
    assert vendor.recognises(opened)
    return list(vendor.read(opened))


def real(vendor, path):
    """The readings of a real file, which the reader must recognise and read without a fault."""
    opened = raw.open_file(path)
    assert vendor.recognises(opened)
    readings = list(vendor.read(opened))
    assert all(reading.frame["fault"].null_count() == reading.frame.height for reading in readings)
    return readings
