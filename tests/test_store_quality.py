"""Quality: each part worked out by hand on a few days, and told fast for a real store."""

import time
from datetime import date

import pytest

from store import checks, decisions, open_archive
from store.quality import Quality, score
from tests.stored_bars import bars, chain, days, find, store

MARCH = days("2024-03-01", "2024-03-28")  # 20 sessions


@pytest.fixture
def archive(tmp_path):
    return open_archive(tmp_path / "store", create=True)


def test_a_market_that_lacks_nothing_is_worth_one(archive):
    store(archive, bars(202406, MARCH))
    find(archive)
    assert score(archive, ["MES"]) == {"MES": Quality(1.0, 1.0, 1.0, 1.0, "barchart", 0, 0)}


def test_coverage_is_the_share_of_the_sessions_that_are_held(archive):
    store(archive, bars(202406, days("2024-03-01", "2024-03-28", ["2024-03-05"])))
    find(archive)
    found = score(archive, ["MES"])["MES"]
    assert (found.coverage, found.score) == (pytest.approx(19 / 20), pytest.approx(19 / 20))


def test_findings_is_the_share_of_the_days_without_one_that_is_undecided(archive):
    store(archive, bars(202406, MARCH))
    twice = {"day": MARCH[3]}, {"day": MARCH[3]}
    elsewhere = {"day": MARCH[5], "source": "csi"}, {"day": date(2024, 3, 29)}  # another source; a day not stored
    find(archive, *twice, {"day": MARCH[4]}, {"day": None}, *elsewhere)
    found = score(archive, ["MES"])["MES"]
    assert (found.findings, found.undecided) == (pytest.approx(17 / 20), 5)
    decisions.release(archive, ["000000000002"], "right as it is")
    assert score(archive, ["MES"])["MES"].findings == pytest.approx(18 / 20)


def test_freshness_halves_with_every_250_sessions_before_the_newest_stored_day(archive):
    store(archive, bars(202406, MARCH))
    find(archive)
    assert score(archive, ["MES"])["MES"].freshness == 1.0
    store(archive, bars(202406, days("2024-04-01", "2024-04-12")), root="ZC")  # 10 sessions later
    assert score(archive, ["MES"])["MES"].freshness == pytest.approx(0.5 ** (10 / 250))
    assert score(archive, ["MES"], asof="2024-03-28")["MES"].freshness == 1.0
    a_year = score(archive, ["MES"], asof=date(2025, 3, 28))["MES"].freshness
    assert a_year == pytest.approx(0.5, abs=0.01)  # 249 to 251 sessions


def test_of_an_earlier_day_later_rows_and_findings_do_not_count(archive):
    store(archive, bars(202406, days("2024-03-01", "2024-03-28", ["2024-03-20"])))
    find(archive, {"day": date(2024, 3, 25)})
    assert score(archive, ["MES"], asof=date(2024, 3, 15))["MES"] == Quality(1.0, 1.0, 1.0, 1.0, "barchart", 1, 0)


def test_a_market_that_is_refused_is_worth_nothing_until_somebody_decides(archive):
    store(archive, bars(202406, MARCH))
    find(archive, {"day": MARCH[0], "severity": "refuse", "rule": "unit_slip"}, {"day": MARCH[1]})
    found = score(archive, ["MES"])["MES"]
    assert (found.score, found.refused, found.findings) == (0.0, 1, pytest.approx(18 / 20))
    decisions.accept(archive, "unit_slip", ["MES"], "cents before March")
    assert score(archive, ["MES"])["MES"].score == pytest.approx(19 / 20)


def test_what_was_never_checked_has_no_score_but_the_other_parts(archive):
    store(archive, bars(202406, MARCH))
    assert score(archive, ["MES"])["MES"] == Quality(None, 1.0, 1.0, None, "barchart", 0, 0)


def test_of_a_market_that_is_not_stored_nothing_is_known(archive):
    assert score(archive, ["MES"]) == {"MES": Quality()}
    assert Quality().document() == {
        "score": None, "coverage": None, "freshness": None, "findings": None, "source": "", "undecided": 0, "refused": 0
    }  # fmt: skip


def test_the_source_that_a_run_reads_first_is_judged(archive):
    store(archive, chain(MARCH, [100.0] * len(MARCH)), source="pysystemtrade")
    assert score(archive, ["MES"])["MES"].source == "pysystemtrade"
    store(archive, bars(202406, MARCH[:10]))
    assert score(archive, ["MES"], asof=MARCH[9])["MES"].source == "barchart"


def test_a_pinned_snapshot_keeps_its_quality(archive):
    before = store(archive, bars(202406, MARCH))
    find(archive, {"day": MARCH[0]})
    assert score(archive, ["MES"], before)["MES"].score is None


def test_24_real_markets_are_judged_in_a_third_of_a_second(real, tmp_path):
    roots = sorted({segment.labels["root"] for segment in real.files("contract_bars")})
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        found = score(real, roots)
        taken.append(time.perf_counter() - start)
    assert len(found) == 24 and min(taken) < 0.33
    assert all(0.95 < one.coverage <= 1.0 for one in found.values())


def test_the_checks_and_the_quality_speak_of_the_same_findings(archive):
    jumped = [100.0 + (60.0 if k == 60 else k % 3) for k in range(80)]
    store(archive, bars(202406, days("2023-12-01", "2024-03-27")[:80], settle=jumped))
    found = checks.run(archive, ["MES"])
    undecided = score(archive, ["MES"])["MES"].undecided
    assert undecided == found.filter(found["source"] == "barchart").height > 0


def test_what_an_import_finds_is_no_check(archive):
    store(archive, bars(202406, MARCH))
    find(archive, {"day": MARCH[0], "severity": "refuse", "rule": "unit_slip"})
    decisions.accept(archive, "unit_slip", ["MES"], "cents before March")
    assert score(archive, ["MES"])["MES"] == Quality(None, 1.0, 1.0, None, "barchart", 0, 0)


def test_an_import_that_told_a_slip_has_not_checked_the_market_but_a_check_has(archive):
    store(archive, bars(202406, MARCH))
    find(archive, {"rule": "unit_slip", "severity": "refuse", "day": MARCH[3]})
    assert score(archive, ["MES"])["MES"].findings is None
    checks.run(archive, ["MES"])
    (segment,) = archive.files("findings", root="MES")
    assert segment.labels == {"root": "MES", "checked": "yes"}
    assert score(archive, ["MES"])["MES"].findings == 1.0
