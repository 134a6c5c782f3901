"""Files for tests of vendors' readers: made from bytes, or samples of the repository."""

from store import raw
from store.raw import Part, RawFile
from tests.conftest import REPO

SAMPLES = REPO / "tests" / "samples"


def made(*parts):
    """A file of (name, bytes) parts."""
    return RawFile(SAMPLES, "", tuple(Part(name, name, data) for name, data in parts))


def sample(vendor, name):
    """A sample that is recognised by `vendor`."""
    opened = raw.open_file(SAMPLES / vendor.NAME / name)
    assert vendor.recognises(opened)
    return opened


def only(vendor, file):
    """The one reading of a file."""
    [reading] = vendor.read(file)
    return reading


def opened(folder, suffix="csv"):
    """All files of a folder as one."""
    parts = [part for path in sorted(folder.rglob(f"*.{suffix}")) for part in raw.open_file(path).parts]
    return RawFile(folder, "", tuple(parts))
