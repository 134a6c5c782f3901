"""Rows taken out: all of a market, or what one import did, as if its files had never come."""

import tempfile
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from store import decisions, durable, open_archive, retention, undo
from store.archive import Conflict, Refused
from store.drop import drop_import, drop_root
from store.reading import Reading
from store.tables import TABLES
from tests.brought import DAY, ROWS, bars, bring, read, rows, simple
from tests.sample_files import JUNE, LINES, MARCH, NAME, changed, one, put


@pytest.fixture
def archive(tmp_path):
    return open_archive(tmp_path / "store", create=True)


def revisions(archive):
    return sorted(archive.read("revisions").select("column", "old", "new").rows())


def totals(archive):
    return {name: len(archive.read(name)) for name in TABLES if len(archive.read(name))}


# ---- what one import did


def test_rows_that_an_import_brought_go_and_values_that_it_changed_are_as_before(archive):
    bring(archive, bars([(1, 0, 5.0, 10.0, None), (1, 1, 6.0, 10.0, None)]))
    second = bring(archive, bars([(1, 1, 7.0, None, 3.0), (1, 2, 8.0, 10.0, None)]))
    third = bring(archive, bars([(1, 2, 9.0, None, None), (1, 3, 4.0, None, None)]))
    told = drop_import(archive, second, dry_run=True)
    assert archive.head().number == 3 and told["snapshot"] is None
    # Of the row of day 2 the volume came with the second import alone; its settle was changed by the third.
    assert drop_import(archive, second)["tables"] == told["tables"] == [
        {"table": "contract_bars", "rows_before": 4, "rows_after": 4},
        {"table": "imports", "rows_before": 3, "rows_after": 2},
        {"table": "revisions", "rows_before": 2, "rows_after": 0},
    ]  # fmt: skip
    assert simple(archive) == {
        (1, 0): (5.0, 10.0, None), (1, 1): (6.0, 10.0, None), (1, 2): (9.0, None, None), (1, 3): (4.0, None, None),
    }  # fmt: skip
    assert any("1 values that a later import changed again were left" in note for note in told["notes"])
    assert any(third in note and "in the same values" in note for note in told["notes"])
    assert archive.head().note == f"drop import {second}" and archive.verify() == []


def test_known_is_what_it_was_before(archive):
    bring(archive, bars([(1, 0, 5.0, None, None), (1, 1, 5.0, None, None)]))
    before = archive.read("contract_bars")
    second = bring(archive, bars([(1, 1, 7.0, None, None)]))
    assert not archive.read("contract_bars").equals(before)
    drop_import(archive, second)
    assert archive.read("contract_bars").equals(before)


def test_a_value_that_was_changed_and_changed_back_stands_by_the_last_import(archive):
    bring(archive, bars([(1, 0, 1.0, None, None)]))
    second = bring(archive, bars([(1, 0, 2.0, None, None)]))
    bring(archive, bars([(1, 0, 3.0, None, None)]))
    bring(archive, bars([(1, 0, 2.0, None, None)]))
    drop_import(archive, second)
    assert simple(archive) == {(1, 0): (2.0, None, None)}
    assert revisions(archive) == [("settle", 1.0, 3.0), ("settle", 3.0, 2.0)]


def test_a_roll_calendar_that_came_with_data_comes_back_whole(archive):
    def rolls(*days):
        frame = pl.DataFrame({"day": [DAY + timedelta(days=d) for d in days]}).with_columns(
            rule=pl.lit("mine:oi"), from_contract=pl.lit(202403, pl.Int32), to_contract=pl.lit(202406, pl.Int32),
            from_price=1.0, to_price=2.0,
        )  # fmt: skip
        return read("roll_calendars", frame)

    bring(archive, rolls(0, 1))
    second = bring(archive, rolls(2, 3, 4))
    before = archive.head().number
    drop_import(archive, second)
    assert rows(archive, "roll_calendars") == sorted(archive.read("roll_calendars", 1).drop("time").rows())
    undo.undo(archive, before)
    bring(archive, rolls(1))
    drop_import(archive, second)
    assert [row[4] for row in rows(archive, "roll_calendars")] == [DAY + timedelta(days=1)]


def test_the_files_of_a_dropped_import_come_in_again(archive, tmp_path):
    good, bad = put(tmp_path / "a", NAME, LINES), put(tmp_path / "b", NAME, changed(3, Close="9999", High="1"))
    one(archive, good)
    before = {name: rows(archive, name) for name in TABLES}
    report = one(archive, bad)
    assert report.quarantined and one(archive, bad).skipped
    import_id = archive.read("imports")["import_id"][-1]
    drop_import(archive, import_id)
    assert {name: rows(archive, name) for name in TABLES} == before
    assert not one(archive, bad).skipped and one(archive, good).skipped is False


def test_findings_are_made_anew_and_those_of_the_import_go(archive, tmp_path):
    one(archive, MARCH)
    before = {name: rows(archive, name) for name in TABLES}
    cells = [line.split(",") for line in LINES]
    lines = [",".join([r[0], *(str(float(x) * 100) for x in r[1:5]), r[5]]) for r in cells[1:]]
    one(archive, put(tmp_path / "bad", NAME, [LINES[0], *lines]))
    assert archive.read("findings").filter(pl.col("severity") == "refuse").height
    drop_import(archive, archive.read("imports")["import_id"][-1])
    assert {name: rows(archive, name) for name in TABLES} == before


def test_rows_that_were_released_and_let_in_are_in_quarantine_again(archive, tmp_path):
    bad = put(tmp_path / "a", NAME, changed(3, High="1"))
    one(archive, bad)
    [id_] = archive.read("quarantine")["id"]
    decisions.release(archive, [id_], "it is right")
    before = {name: rows(archive, name) for name in TABLES}
    assert one(archive, bad).accepted and archive.read("quarantine").is_empty()
    drop_import(archive, archive.read("imports")["import_id"][-1])
    assert {name: rows(archive, name) for name in TABLES} == before
    one(archive, bad)
    assert archive.read("quarantine").is_empty()


def test_an_import_is_dropped_once_and_unknown_ones_are_told(archive):
    first = bring(archive, bars([(1, 0, 1.0, None, None)]))
    with pytest.raises(Refused, match=f"no import '{first[:-1]}': did you mean {first}"):
        drop_import(archive, first[:-1])
    drop_import(archive, first)
    assert totals(archive) == {}
    with pytest.raises(Refused, match="no import"):
        drop_import(archive, first)


def test_drops_in_any_order_and_after_compaction_leave_nothing(archive):
    compact = pytest.importorskip("store.compact").compact
    ids = [bring(archive, bars([(1, day, float(k), None, None) for day in range(k, 5)])) for k in range(5)]
    compact(archive, whole=True)
    for import_id in (ids[2], ids[0], ids[4], ids[3], ids[1]):
        drop_import(archive, import_id)
    assert totals(archive) == {} and archive.verify() == []


def test_where_the_snapshots_beside_it_were_dropped_moments_and_revisions_tell(archive):
    bring(archive, bars([(1, 0, 1.0, 1.0, None), (1, 1, 1.0, None, None), (1, 4, 1.0, None, None)]))
    bring(archive, bars([(1, 0, 2.0, None, None), (1, 3, 2.0, None, None)]))
    third = bring(archive, bars([(1, 0, None, 3.0, None), (1, 1, 3.0, None, None), (1, 2, 3.0, None, None),
                                 (1, 3, 3.0, None, None), (1, 4, 3.0, None, None)]))  # fmt: skip
    bring(archive, bars([(1, 4, 4.0, None, None)]))
    bring(archive, bars([(1, 5, 5.0, None, None)]))
    later = datetime.now(UTC) + timedelta(days=100)
    assert retention.gc(archive, timedelta(0), dry_run=False, now=later)["snapshots"] == [2, 3, 4]
    told = drop_import(archive, third)
    assert simple(archive) == {
        (1, 0): (2.0, 1.0, None), (1, 1): (1.0, None, None), (1, 3): (2.0, None, None), (1, 4): (4.0, None, None),
        (1, 5): (5.0, None, None),
    }  # fmt: skip
    assert revisions(archive) == [("settle", 1.0, 2.0), ("settle", 1.0, 4.0)]
    assert told["notes"][0].startswith(
        "snapshots 2 and 3, just before and after the import, are not both kept: 1 and 5"
    )


@seed(5)
@settings(max_examples=5, deadline=None, database=None)
@given(imports=st.lists(ROWS, min_size=2, max_size=4), dropped=st.integers(0, 3))
def test_what_is_left_is_what_the_other_imports_alone_would_have_stored(imports, dropped):
    dropped %= len(imports)
    brought = [  # no two imports bring one value: what comes twice leaves no trace
        [(*key, *(v if v is None else 10.0 * k + v for v in values)) for key, values in rows.items() if any(values)]
        for k, rows in enumerate(imports, 1)
    ]
    brought = [rows for rows in brought if rows] or [[(1, 0, 1.0, None, None)]]
    with tempfile.TemporaryDirectory() as folder:
        archive, other = (open_archive(f"{folder}/{name}", create=True) for name in ("one", "two"))
        ids = [bring(archive, bars(rows), *currency(k)) for k, rows in enumerate(brought)]
        dropped %= len(ids)
        drop_import(archive, ids[dropped])
        for k, rows_ in enumerate(brought):
            if k != dropped:
                bring(other, bars(rows_), *currency(k))
        for table in ("contract_bars", "fx", "margins", "revisions"):
            assert rows(archive, table) == rows(other, table)
        assert len(archive.read("imports")) == len(ids) - 1


def currency(k):
    """Rates and margins of import k: one day of all, one of two, one of its own."""
    days = [DAY, DAY + timedelta(days=1 + k // 2), DAY + timedelta(days=10 + k)]
    rate = pl.DataFrame({"day": days, "rate": [1.0 + k] * 3})
    stamped = rate.with_columns(source_time=pl.col("day").cast(pl.String))
    margin = pl.DataFrame({"day": days, "initial": [2.0 + k] * 3, "maintenance": [1.0 + k, None, 1.0]})
    return read("fx", stamped, name="EUR"), read("margins", margin)


# ---- a market


def test_all_rows_of_a_market_go_and_its_files_come_in_again(archive, tmp_path):
    one(archive, MARCH)
    keep = {name: rows(archive, name) for name in TABLES}
    bad = put(tmp_path / "a", "Day_CORN_20240300.csv", changed(3, High="1"))
    assert one(archive, bad).quarantined == 1
    told = drop_root(archive, "ZC", dry_run=True)
    assert archive.head().number == 2 and told["dropped"] == {"root": "ZC", "source": None}
    held = {table["table"]: (table["rows_before"], table["rows_after"]) for table in told["tables"]}
    own = len(LINES) - 1
    assert held == {"contract_bars": (2 * own - 1, own), "quarantine": (1, 0), "imports": (2, 1)}
    assert drop_root(archive, "ZC")["tables"] == told["tables"]
    assert {name: rows(archive, name) for name in TABLES} == keep
    assert not one(archive, bad).skipped and one(archive, MARCH).skipped
    undo.undo(archive, 2)
    assert archive.read("quarantine").height == 1


def test_of_a_market_only_the_rows_of_one_source_go(archive):
    bring(archive, bars([(1, 0, 1.0, None, None)]), bars([(1, 0, 2.0, None, None)], vendor="other"))
    bring(archive, bars([(1, 0, 3.0, None, None)]), bars([(1, 0, 4.0, None, None)], vendor="other"))
    assert drop_root(archive, "AAA", source="other")["dropped"] == {"root": "AAA", "source": "other"}
    assert simple(archive) == {(1, 0): (3.0, None, None)} and revisions(archive) == [("settle", 1.0, 3.0)]
    with pytest.raises(Refused, match="no source of AAA 'others'"):
        drop_root(archive, "AAA", source="others")
    with pytest.raises(Refused, match="no stored market 'AAB': did you mean AAA"):
        drop_root(archive, "AAB")
    drop_root(archive, "AAA")
    assert "contract_bars" not in totals(archive) and "revisions" not in totals(archive)


def test_rows_of_other_markets_in_the_same_files_stay_and_the_order_of_the_log_too(archive):
    for k in range(3):
        bring(archive, bars([(1, k, 1.0, None, None)], name=("AAA", "CCC")[k % 2]))
    both = pl.DataFrame({"source": "mine", "root": ["AAA", "BBB"], "contract": [1, 1], "settle": [1.0, 2.0]})
    archive.commit([archive.write("contract_bars", both)])
    archive.commit([archive.write("imports", archive.read("imports"))], archive.files("imports"))
    archive.commit([archive.write("margins", pl.DataFrame({"source": ["mine"], "root": ["CCC"]}))])
    drop_root(archive, "AAA")
    assert sorted(archive.read("contract_bars")["root"]) == ["BBB", "CCC"]
    assert archive.read("imports")["roots"].to_list() == ["CCC"]


def test_decisions_stay_and_are_told(archive):
    bring(archive, bars([(1, 0, 1.0, None, None)]))
    decisions.accept(archive, "spike", ["AAA"], "known")
    assert any(
        "1 decisions about AAA stay in force: `frontmonth check --log`" in note
        for note in drop_root(archive, "AAA")["notes"]
    )
    assert len(archive.read("decisions")) == 1


def test_a_writer_who_was_quicker_is_not_lost(archive, monkeypatch):
    first = bring(archive, bars([(1, 0, 1.0, None, None)]))
    append, seen = archive.manifests.append, []

    def late(change, note):
        if not seen:
            seen.append(bring(open_archive(archive.path), bars([(1, 1, 2.0, None, None)])))
        return append(change, note)

    monkeypatch.setattr(archive.manifests, "append", late)
    drop_import(archive, first)
    assert simple(archive) == {(1, 1): (2.0, None, None)}
    monkeypatch.setattr(archive.manifests, "append", lambda change, note: change(archive.snapshot(1)))
    with pytest.raises(Conflict, match="nothing was changed"):
        drop_root(archive, "AAA")


def test_a_drop_that_fails_changes_nothing(archive, monkeypatch):
    bring(archive, bars([(1, 0, 1.0, None, None)]))
    head = archive.head()

    def fail(*args):
        raise durable.NotWritten("the disk is full")

    monkeypatch.setattr(archive.place, "write_once", fail)
    with pytest.raises(durable.NotWritten):
        drop_root(archive, "AAA")
    assert archive.head() == head


def test_bars_within_the_day_are_taken_back_year_by_year(archive):
    def minutes(*stamps, price):
        frame = pl.DataFrame({"contract": [202403] * len(stamps), "time": [datetime.fromisoformat(s) for s in stamps]})
        frame = frame.with_columns(
            pl.col("time").dt.replace_time_zone("UTC"), pl.col("time").dt.date().alias("day"), close=price, volume=1.0,
            open=price, high=price, low=price,
        )  # fmt: skip
        told = {"file": pl.lit("f"), "raw": pl.lit("x")}
        told |= {name: pl.lit(None, pl.String) for name in ("column", "fault")}
        frame = frame.with_columns(line=pl.lit(1, pl.Int64), **told)
        return Reading("contract_bars", "mine-minute", "AAA", frame, ours=True)

    bring(archive, minutes("2023-12-29T10:00", "2024-01-02T10:00", "2024-01-02T10:01", price=5.0))
    before, path = rows(archive), archive.files("contract_bars", year="2023")
    second = bring(archive, minutes("2024-01-02T10:01", "2025-01-02T10:00", price=6.0))
    drop_import(archive, second)
    assert rows(archive) == before and archive.files("contract_bars", year="2023") == path
    assert {segment.labels["year"] for segment in archive.files("contract_bars")} == {"2023", "2024"}
    drop_root(archive, "AAA", source="mine-minute")
    assert totals(archive) == {}


def test_june_alone_is_left_when_march_is_dropped(archive):
    one(archive, MARCH)
    one(archive, JUNE)
    drop_import(archive, archive.read("imports")["import_id"][0])
    alone = open_archive(archive.path.parent / "alone", create=True)
    one(alone, JUNE)
    assert {name: rows(archive, name) for name in TABLES} == {name: rows(alone, name) for name in TABLES}
