"""Findings in a store: kept with an id that stays, replaced by the next check, counted into a quality."""

from datetime import date

import polars as pl
import pytest

from store import checks, open_archive, sample
from store.tables import TABLES
from tests import small_store
from tests.test_store_series_rules import DAY, at, chain, put, shifted

SAME = ("spike", "unit_slip", "stale", "settle_outside", "no_volume", "after_last_trade")
FOUND_BY = dict(zip(SAME, SAME, strict=True)) | {"missing_days": "gap"}  # planted fault -> rule


@pytest.fixture
def archive(tmp_path):
    return open_archive(tmp_path / "store", create=True)


def store(archive, bars, **labels):
    labels = {"source": "barchart", "root": "MES"} | labels
    names = {"source": pl.lit(labels["source"]), "root": pl.lit(labels["root"])}
    old = archive.files("contract_bars", **labels)
    archive.commit([archive.write("contract_bars", bars.with_columns(**names), **labels)], old)


def test_findings_are_returned_and_stored(archive):
    store(archive, shifted(chain(), at(), 400))
    found = checks.run(archive, ["MES"])
    assert archive.read("findings").equals(found)
    [row] = found.to_dicts()
    assert {k: row[k] for k in ("severity", "rule", "source", "root", "contract", "day", "field", "done")} == {
        "severity": "warn", "rule": "spike", "source": "barchart", "root": "MES", "contract": 202406, "day": DAY,
        "field": "settle", "done": "kept; decide",
    }  # fmt: skip
    assert row["reason"].startswith("moved ") and float(row["value"]) > 0


def test_the_same_fault_keeps_its_id_and_is_not_stored_twice(archive):
    store(archive, shifted(chain(), at(), 400))
    first = checks.run(archive, ["MES"])
    assert checks.run(archive, ["MES"]).equals(first)
    assert archive.read("findings").height == 1


def test_a_fault_that_was_mended_has_no_finding_any_more(archive):
    store(archive, shifted(chain(), at(), 400))
    checks.run(archive, ["MES"])
    store(archive, chain())
    assert checks.run(archive, ["MES"]).is_empty()
    assert archive.read("findings").is_empty()


def test_a_check_of_one_market_leaves_the_findings_of_others(archive):
    store(archive, shifted(chain(), at(), 400))
    store(archive, shifted(chain(), at(), 400), root="MNQ")
    checks.run(archive, ["MES", "MNQ"])
    store(archive, chain())
    checks.run(archive, ["MES"])
    assert archive.read("findings")["root"].to_list() == ["MNQ"]


def test_every_source_of_a_market_is_checked_for_itself(archive):
    store(archive, chain())
    store(archive, shifted(chain(), at(), 400), source="contract-csv")
    assert checks.run(archive, ["MES"])["source"].to_list() == ["contract-csv"]


def test_an_unknown_market_and_one_that_is_not_stored_are_no_error(archive):
    store(archive, shifted(chain(), at(), 400), root="PLUTONIUM")
    assert checks.run(archive, ["PLUTONIUM", "ES"])["rule"].to_list() == ["spike"]


def test_progress_is_told_by_market(archive):
    store(archive, chain())
    told = []
    checks.run(archive, ["MES"], lambda *step: told.append(step))
    assert told == [(0, 1, "MES")]


def test_quality_is_the_share_of_bars_without_a_finding(archive):
    bars = chain()
    store(archive, put(shifted(bars, at(), 400), at(202403), volume=0.0))
    assert checks.quality(archive, ["MES", "ES"]) == {"MES": None, "ES": None}  # never checked
    checks.run(archive, ["MES"])
    assert checks.quality(archive, ["MES", "ES"]) == {"MES": 1 - 2 / bars.height, "ES": None}


def test_quality_is_never_below_nought(archive):
    store(archive, chain().head(1))
    rows = TABLES["findings"].empty()
    many = pl.DataFrame({"id": ["a", "b"], "root": ["MES"] * 2, "day": [date(2024, 1, 2), date(2024, 1, 3)]})
    archive.commit([archive.write("findings", pl.concat([rows, many], how="diagonal_relaxed"), root="MES")])
    assert checks.quality(archive, ["MES"]) == {"MES": 0.0}


def test_a_store_made_by_hand_has_only_findings_of_its_gaps(tmp_path):
    archive = small_store.build(tmp_path / "store")
    rules = set(checks.run(archive, ["MES", "FGBL"])["rule"])
    assert "unit_slip" not in rules and "stale" not in rules


def test_every_fault_of_the_sample_is_found_and_little_else(archive):
    sample.build(archive)
    roots = sorted({segment.labels["root"] for segment in archive.files("contract_bars")})
    found = checks.run(archive, roots)
    stored = [fault for fault in sample.planted(sample.SEED) if fault.kind in FOUND_BY]
    assert stored
    missed, known = [], set()
    for fault in stored:
        here = found.filter(
            (pl.col("root") == fault.root)
            & (pl.col("rule") == FOUND_BY[fault.kind])
            & (pl.col("contract") == fault.contract)
            & pl.col("day").is_between(fault.day, fault.until)
        )
        known |= set(here["id"])
        missed += [] if here.height else [fault]
    assert missed == []
    others = found.filter(~pl.col("id").is_in(list(known)))
    quarantined = archive.read("quarantine").height  # a row that was refused leaves a gap
    assert others.filter(pl.col("rule") != "gap").is_empty() and others.height <= quarantined


def test_the_real_findings_are_few_enough_to_be_read(real):
    roots = sorted({segment.labels["root"] for segment in real.files("contract_bars")})
    frames = [checks.market(real.read("contract_bars", root=root), checks.Master.load().spec(root)) for root in roots]
    counts = dict(pl.concat(frames)["rule"].value_counts().iter_rows())
    limits = {
        "spike": 25,
        "gap": 60,
        "settle_outside": 120,
        "no_volume": 260,
        "after_last_trade": 160,
        "no_session": 40,
    }
    assert {rule: n for rule, n in counts.items() if n > limits.get(rule, 10)} == {}
    spikes = pl.concat(frames).filter(pl.col("rule") == "spike").select("root", "contract", "day").rows()
    assert ("MES", 202112, date(2021, 9, 1)) in spikes  # 4275, flat, between 4510.75 and 4525.5
    assert not [day for root, _, day in spikes if root == "QG"]  # gas of 2018-11-14 was real
