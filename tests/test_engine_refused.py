"""A finding of severity refuse keeps a run from the source that it is about, and from no other."""

from datetime import date

import pytest

from engine.market import MarketRefused, load, refused
from store import decisions
from tests.small_store import bars, build
from tests.stored_bars import find

DAY = date(2021, 6, 1)
SLIP = {"rule": "unit_slip", "severity": "refuse", "day": DAY, "value": "1.0", "reason": "0.01 times the day before"}


@pytest.fixture
def archive(tmp_path):
    """MES of two sources, of which a run reads barchart; and FGBL."""
    made = build(tmp_path)
    made.commit([made.write("contract_bars", bars("MES", 4000.0, 1), source="norgate", root="MES")])
    return made


def test_a_finding_on_a_source_that_is_not_read_keeps_no_market_from_being_run(archive):
    assert load(archive, ["MES"]).sources["MES"]["source"] == "barchart"
    find(archive, SLIP, source="norgate")
    assert load(archive, ["MES"]).roots == ("MES",)
    assert refused(archive, archive.head()) == []


def test_a_finding_on_the_source_that_is_read_does(archive):
    find(archive, SLIP, source="barchart")
    assert refused(archive, archive.head()) == ["MES"]
    with pytest.raises(MarketRefused, match=r"MES: unit_slip 2021-06-01 1\.0: 0\.01 times .* --release 000000000000"):
        load(archive)
    assert load(archive, ["FGBL"]).roots == ("FGBL",)
    decisions.release(archive, ["0" * 12], "looked it up")
    assert load(archive).roots == ("FGBL", "MES") and refused(archive, archive.head()) == []


@pytest.fixture
def lent(tmp_path):
    """ES, and MES whose own bars begin in 2022: before, those of ES stand in."""
    made = build(tmp_path)
    own = bars("MES", 4000.0, 1)
    old = made.files("contract_bars", root="MES")
    late = own.filter(own["day"] >= date(2022, 1, 3))
    made.commit([made.write("contract_bars", late, source="norgate", root="MES"),
                 made.write("contract_bars", own, source="barchart", root="ES")], old)  # fmt: skip
    return made


def test_a_finding_on_prices_that_stand_in_counts_where_they_do(lent):
    assert load(lent, ["MES"]).proxy.any()
    find(lent, SLIP, root="ES")
    with pytest.raises(MarketRefused, match="MES: prices of ES: unit_slip 2021-06-01"):
        load(lent, ["MES"])
    assert refused(lent, lent.head()) == ["ES", "MES"]
    find(lent, SLIP | {"day": date(2022, 6, 1)}, root="ES")
    assert load(lent, ["MES"]).roots == ("MES",)
    assert refused(lent, lent.head()) == ["ES"]
