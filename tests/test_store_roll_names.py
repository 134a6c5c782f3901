"""Names of stored roll calendars: what may be a tag, and that no tag can be taken for anything else."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store import roll_names
from store.roll_rules import UnknownRule, parse_rule
from store.segments import Refused
from store.vendors import VENDORS


@pytest.mark.parametrize("tag", ["desk", "desk-2026.10_a", "Vol", "oilseeds", "x"])
def test_letters_digits_dashes_underscores_and_dots_make_a_tag(tag):
    assert roll_names.checked(tag) == tag


@pytest.mark.parametrize(
    ("tag", "why"),
    [
        ("", "is no tag"), ("2026", "is no tag"), ("-desk", "is no tag"), ("a b", "is no tag"), ("a,b", "is no tag"),
        ("lean:oi", "is no tag"), ("x" * 65, "is no tag"), ("é", "is no tag"), ("desk\n", "is no tag"),
        ("cafe", "reads as a version"), ("A1", "reads as a version"), ("c", "reads as a version"),
        ("volume", "reads as a roll rule"), ("OI", "reads as a roll rule"), ("volume-desk", "reads as a roll rule"),
        ("last-trade-5", "reads as a roll rule"), ("month-end.x", "reads as a roll rule"),
        ("v", "reads as a roll rule"), ("file", "reads as a roll rule"), ("barchart", "is the name of a vendor"),
        ("Lean", "is the name of a vendor"),
    ],
)  # fmt: skip
def test_what_reads_as_something_else_is_no_tag(tag, why):
    with pytest.raises(Refused, match=why):
        roll_names.checked(tag)


@settings(max_examples=300, deadline=None)
@given(st.text("volumeitra-s.135_fhbcd", min_size=1, max_size=14))
def test_a_tag_is_no_rule_no_version_and_no_vendor(tag):
    try:
        roll_names.checked(tag)
    except Refused:
        return
    with pytest.raises(UnknownRule):
        parse_rule(tag)
    assert not roll_names.digits(tag) and tag not in VENDORS
    assert parse_rule(f"{tag},exit=2", [tag]).name == tag
