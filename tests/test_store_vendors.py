"""What holds for every vendor in the list: its name, its words for the help, and files that no other claims."""

from dataclasses import fields

import pytest

from store import raw
from store.reading import About
from store.vendors import VENDORS
from tests.sample_files import SAMPLES

FILES = sorted(path for path in SAMPLES.rglob("*") if path.is_file() and path.parent != SAMPLES)


def vendor_of(path):
    """The vendor whose sample a file is: the folder below `samples`."""
    return path.relative_to(SAMPLES).parts[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SAMPLES).as_posix())
def test_a_sample_is_recognised_by_its_vendor_alone(path):
    file = raw.open_file(path)
    assert [name for name, vendor in VENDORS.items() if vendor.recognises(file)] == [vendor_of(path)]


def test_every_vendor_has_a_sample():
    assert {*VENDORS} - {vendor_of(path) for path in FILES} == set()


@pytest.mark.parametrize("name", VENDORS)
def test_a_vendor_says_what_it_delivers(name):
    vendor = VENDORS[name]
    assert name == vendor.NAME and isinstance(vendor.ABOUT, About)
    for field in fields(About):
        text = getattr(vendor.ABOUT, field.name)
        assert text and not text.endswith(".") and len(text) < 260, field.name
