"""Findings in a store: kept with an id that stays, replaced by the next check, counted into a quality."""

from datetime import date

import polars as pl
import pytest

from store import checks, decisions, open_archive, sample
from store.tables import TABLES
from tests import palladium, small_store
from tests.test_store_series_rules import DAY, SPEC, at, chain, scaled, shifted

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
    other = chain().with_columns(volume=pl.col("volume") + 1)
    store(archive, shifted(other, at(), 400), root="MNQ")
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


def test_a_decision_about_a_finding_outlives_the_next_check(archive):
    store(archive, shifted(chain(), at(), 400))
    [first] = checks.run(archive, ["MES"])["id"]
    decisions.release(archive, [first], "the exchange confirmed it", "Ann")
    [done] = checks.run(archive, ["MES"])["done"]
    assert done.startswith("released ") and done.endswith("by Ann: the exchange confirmed it")


def test_bars_that_are_in_order_are_not_refused():
    assert checks.refusals(chain(), SPEC).is_empty()
    assert checks.refusals(shifted(chain(), at(), 400), SPEC).is_empty()  # a spike is a warning
    assert checks.refusals(TABLES["contract_bars"].empty(), SPEC).is_empty()


@pytest.mark.parametrize("spec", [SPEC, None])
def test_a_slip_of_units_is_refused_with_the_id_that_a_check_gives_it(spec):
    bars = scaled(chain(), at(), 100.0)
    found = checks.refusals(bars, spec)
    checked = checks.market(bars, spec).filter(pl.col("severity") == "refuse")
    assert found["rule"].to_list() == ["unit_slip"]
    assert found.select("id", "reason").equals(checked.select("id", "reason"))


FIRST_CHANGE = (202403, date(2024, 1, 2), "settle", 4500.0, 4501.0)


@pytest.mark.parametrize(
    ("rows", "of", "severity"),
    [(5, 1000, []), (6, 1000, []), (10, 1900, ["warn"]), (50, 1000, ["warn"]), (51, 1000, ["refuse"]), (9, 9, [])],
)
def test_a_vendor_that_restates_much_is_told_and_one_that_restates_most_is_refused(rows, of, severity):
    found = checks.refusals(chain(), SPEC, {"rows": rows, "of": of, "first": FIRST_CHANGE})
    assert found["severity"].to_list() == severity  # more than 0.5 % and more than 5 %, but ten rows at least
    if severity:
        assert found.select("rule", "contract", "day", "field", "value").row(0) == (
            "restated", 202403, date(2024, 1, 2), "settle", "4501.0",
        )  # fmt: skip
        assert found["reason"][0] == f"{rows} of {of} stored rows changed; the first from 4500.0 to 4501.0"


def test_what_the_import_refused_stands_after_a_check(archive):
    store(archive, chain())
    found = checks.refusals(archive.read("contract_bars"), SPEC, {"rows": 90, "of": 100, "first": FIRST_CHANGE})
    archive.commit([archive.write("findings", found, root="MES")])
    assert checks.run(archive, ["MES"])["rule"].to_list() == ["restated"]
    assert checks.run(archive, ["MES"]).height == 1


def test_a_market_stored_twice_under_two_names_is_told(archive):
    store(archive, chain())
    store(archive, chain(), root="SP500", source="contract-csv")
    assert checks.duplicates(archive, ["ES"]).is_empty()
    [row] = checks.duplicates(archive, ["MES"]).to_dicts()
    assert (row["rule"], row["severity"], row["root"], row["source"]) == ("duplicate_market", "warn", "MES", "barchart")
    assert row["reason"] == "the same rows as SP500 of contract-csv on 100 % of the days compared"
    assert checks.duplicates(archive, ["MES", "SP500"])["root"].to_list() == ["MES", "SP500"]


def test_a_micro_that_settles_as_its_full_size_contract_is_a_market_of_its_own(archive):
    store(archive, chain())
    store(archive, chain().with_columns(volume=pl.col("volume") * 3), root="ES")
    assert checks.duplicates(archive, ["MES", "ES"]).is_empty()


def test_two_vendors_may_have_the_same_market(archive):
    store(archive, chain())
    store(archive, chain(), source="contract-csv")
    assert checks.duplicates(archive, ["MES"]).is_empty()


def test_a_chain_that_a_vendor_publishes_under_two_names_is_told(archive):  # pysystemtrade: SP500 and SP500_micro
    days = chain()["day"].unique().sort()
    rows = pl.DataFrame({"rank": 1, "day": days, "price": 4000.0 + pl.int_range(len(days), eager=True)})
    rows = rows.with_columns(time=pl.col("day").cast(pl.Datetime("us", "UTC")), source=pl.lit("pysystemtrade"))
    for root in ("MES", "SP500", "NQ"):
        frame = rows.with_columns(pl.lit(root).alias("root"), price=pl.col("price") * (2 if root == "NQ" else 1))
        archive.commit([archive.write("vendor_chains", frame, source="pysystemtrade", root=root)])
    assert checks.duplicates(archive, ["MES", "NQ"]).select("root", "value").rows() == [
        ("MES", "SP500 of pysystemtrade")
    ]


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
    world = others.filter(pl.col("rule").is_in(["price_limit", "before_listing"]))  # simulated prices know neither
    others = others.filter(~pl.col("id").is_in(world["id"].to_list()))
    assert others.filter(pl.col("rule") != "gap").is_empty() and others.height <= quarantined
    assert world.height <= 25


# one finding in a thousand bars; docs/quality.md tells which of them were false
MOST = {
    "after_last_trade": 160, "before_listing": 10, "gap": 60, "lone_move": 25, "missing_session": 100,
    "no_session": 40, "no_volume": 260, "off_tick": 100, "price_limit": 10, "settle_outside": 120, "spike": 25,
}  # fmt: skip


def test_the_real_findings_are_few_enough_to_be_read(real):
    roots, master = sorted({segment.labels["root"] for segment in real.files("contract_bars")}), checks.Master.load()
    frames = [
        checks.market(real.read("contract_bars", root=root), master.spec(root), checks.dated(master, root))
        for root in roots
    ]
    counts = dict(pl.concat(frames)["rule"].value_counts().iter_rows())
    assert {rule: n for rule, n in counts.items() if n > MOST.get(rule, 8)} == {}
    assert not [name for name in counts if name in ("unit_slip", "unit_level", "time_shift")]
    spikes = pl.concat(frames).filter(pl.col("rule") == "spike").select("root", "contract", "day").rows()
    assert ("MES", 202112, date(2021, 9, 1)) in spikes  # 4275, flat, between 4510.75 and 4525.5
    assert not [day for root, _, day in spikes if root == "QG"]  # gas of 2018-11-14 was real


REAL_FAULTS = [  # nobody planted them
    ("unit_slip", 200104, date(2001, 2, 5)),  # 1035.00, then 1.01
    ("oi_jump", 200109, date(2001, 5, 4)),  # 404, then 0, then 420
    ("oi_jump", 200109, date(2001, 6, 28)),  # 1267, then 0, then 1259
    ("spike", 198510, date(1985, 9, 3)),  # 107.00, then 3.50, then back
    ("lone_move", 198707, date(1987, 6, 3)),  # 62.05, then 137.00, while the others stood
]


def test_real_faults_are_found(shared):
    spec = checks.Master.load().spec("PA")
    found = checks.market(palladium.bars(shared), spec).select("rule", "contract", "day").rows()
    assert [fault for fault in REAL_FAULTS if fault not in found] == []
