"""Rows filled from a second source: only where both are of one price, each marked, in the log, and to be undone."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from store import decisions, ingest, open_archive
from store.fill import fill, unfill
from store.history import NotStored
from store.reading import Reading
from store.segments import Refused
from tests.stored_bars import bars, chain, days, store

DAYS = days("2024-03-18", "2024-03-28")  # nine sessions
HOLE = ["2024-03-21", "2024-03-22"]
WHY = "a night without a download"


@pytest.fixture
def archive(tmp_path):
    """MES of barchart lacks two sessions that csi has."""
    archive = open_archive(tmp_path / "store", create=True)
    store(archive, bars(202406, days("2024-03-18", "2024-03-28", HOLE), 100.0, volume=5.0))
    store(
        archive, bars(202406, DAYS, [100.25 if k in (2, 5) else 100.0 + k for k in range(9)], volume=7.0), source="csi"
    )
    return archive


def stored(archive, *columns, **labels):
    return archive.read("contract_bars", **({"root": "MES", "source": "barchart"} | labels)).select(*columns).rows()


def filled(archive):
    return [row[:2] for row in stored(archive, "day", "settle", "filled_from") if row[2]]


def test_a_gap_is_filled_row_by_row_and_each_row_says_from_where(archive):
    before = datetime.now(UTC)
    made = fill(archive, "MES", "barchart", "csi", WHY, author="Ada")
    assert made == {
        "root": "MES", "source": "barchart", "other": "csi", "filled": 2, "contracts": 1,
        "first_day": date(2024, 3, 21), "last_day": date(2024, 3, 22), "decision": made["decision"], "refused": [],
    }  # fmt: skip
    rows = archive.read("contract_bars", root="MES", source="barchart")
    assert rows["day"].to_list() == DAYS and rows["time"].dt.hour().unique().to_list() == [23]
    new = rows.filter(pl.col("filled_from") == "csi")
    assert new.select("day", "settle", "volume").rows() == [(DAYS[3], 103.0, 7.0), (DAYS[4], 104.0, 7.0)]
    assert before <= new["known"].min() == new["known"].max() <= datetime.now(UTC)
    assert rows.filter(pl.col("filled_from").is_null())["settle"].to_list() == [100.0] * 7


def test_a_fill_is_one_commit_and_stands_in_the_log(archive):
    number = archive.head().number
    made = fill(archive, "MES", "barchart", "csi", WHY, author="Ada")
    assert archive.head().number == number + 1
    [row] = decisions.log(archive).to_dicts()
    told = {name: row[name] for name in ("id", "author", "action", "rule", "root", "source", "reason")}
    assert told == {
        "id": made["decision"], "author": "Ada", "action": "fill", "root": "MES", "source": "csi", "reason": WHY,
        "rule": "barchart: gaps to 20 sessions, within 2 ticks",
    }  # fmt: skip
    assert stored(archive, "known", "filled_from")[3] == (row["time"], "csi")


def test_nothing_is_filled_twice(archive):
    fill(archive, "MES", "barchart", "csi", WHY)
    number = archive.head().number
    again = fill(archive, "MES", "barchart", "csi", WHY)
    assert (again["filled"], again["refused"], again["decision"]) == (0, [], None)
    assert archive.head().number == number


def test_a_dry_run_tells_and_changes_nothing(archive):
    number = archive.head().number
    made = fill(archive, "MES", "barchart", "csi", WHY, dry_run=True)
    assert (made["filled"], made["decision"], archive.head().number) == (2, None, number)


@pytest.mark.parametrize(("place", "day"), [(2, "2024-03-20"), (5, "2024-03-25")])
def test_a_gap_stays_where_the_sources_differ_beside_it(archive, place, day):
    other = [100.25 if k in (2, 5) else 100.0 for k in range(9)]
    other[place] = 100.75  # three ticks
    store(archive, bars(202406, DAYS, other), source="csi")
    made = fill(archive, "MES", "barchart", "csi", WHY)
    assert made["refused"] == [f"202406, gap of 2 after 2024-03-20: on {day} it has 100, the other 100.75"]
    assert made["filled"] == 0 and filled(archive) == []
    assert fill(archive, "MES", "barchart", "csi", WHY, ticks=3)["filled"] == 2


def test_a_gap_stays_where_the_other_has_nothing_to_compare_with(archive):
    store(archive, bars(202406, DAYS[3:]), source="csi")
    made = fill(archive, "MES", "barchart", "csi", WHY)
    assert made["refused"] == ["202406, gap of 2 after 2024-03-20: the other has no row on 2024-03-20 to compare with"]


def test_a_long_gap_stays(archive):
    made = fill(archive, "MES", "barchart", "csi", WHY, limit=1)
    assert made["refused"] == ["202406, gap of 2 after 2024-03-20: longer than 1 sessions"]
    assert fill(archive, "MES", "barchart", "csi", WHY, limit=2)["filled"] == 2


def test_only_sessions_inside_a_contracts_own_life_are_filled(archive):
    longer = days("2024-03-11", "2024-04-05")  # Good Friday, the 29th, is no session
    store(archive, bars(202406, [*DAYS, date(2024, 4, 1)]), root="MES")
    store(archive, bars(202406, longer), bars(202409, longer), source="csi")
    assert fill(archive, "MES", "barchart", "csi", WHY)["filled"] == 0


def test_a_row_without_a_price_is_not_written_over(archive):
    own = bars(202406, days("2024-03-18", "2024-03-28", HOLE))
    store(archive, own, bars(202406, [date(2024, 3, 21)], settle=None, open_interest=9.0))
    made = fill(archive, "MES", "barchart", "csi", WHY)
    assert made["refused"] == ["202406, gap of 2 after 2024-03-20: it has rows without a price"]


def test_what_was_filled_is_neither_taken_nor_leant_on(archive):
    theirs = bars(202406, DAYS[:3] + DAYS[5:]), bars(202406, DAYS[3:5], filled_from="norgate")
    store(archive, *theirs, source="csi")
    assert fill(archive, "MES", "barchart", "csi", WHY)["filled"] == 0
    own = (
        bars(202406, days("2024-03-18", "2024-03-28", [*HOLE, "2024-03-20"])),
        bars(202406, DAYS[2:3], 999.0, filled_from="x"),
    )
    store(archive, *own)
    store(archive, bars(202406, DAYS), source="csi")
    assert fill(archive, "MES", "barchart", "csi", WHY)["filled"] == 2  # 999 is no reason not to


def test_unfilling_takes_the_rows_out_and_revokes_the_decision(archive):
    own = stored(archive, pl.all())
    made = fill(archive, "MES", "barchart", "csi", WHY)
    with pytest.raises(Refused, match="unfill takes its rows out"):
        decisions.revoke(archive, [made["decision"]], "no")
    number = archive.head().number
    undone = unfill(archive, "MES", "barchart", "it was a holiday after all", author="Bob")
    assert undone == {"root": "MES", "source": "barchart", "removed": 2, "revoked": [made["decision"]]}
    assert archive.head().number == number + 1 and stored(archive, pl.all()) == own
    assert decisions.in_force(archive).is_empty() and decisions.log(archive)["author"].to_list()[-1] == "Bob"
    assert unfill(archive, "MES", "barchart", "again") == undone | {"removed": 0, "revoked": []}
    assert archive.head().number == number + 1


def test_a_later_row_of_the_source_itself_replaces_the_filled_one(archive):
    fill(archive, "MES", "barchart", "csi", WHY)
    row = bars(202406, DAYS[3:4], 102.5).select("contract", "day", "time", "settle")
    told = {"file": "late.csv", "line": 2, "raw": "", "column": None, "fault": None}
    late = row.with_columns(pl.lit(value, pl.String if value is None else None).alias(k) for k, value in told.items())
    ingest.accept(archive, [Reading("contract_bars", "barchart", "MES", late)], "late.csv", "0" * 64)
    rows = archive.read("contract_bars", root="MES", source="barchart").filter(pl.col("day") == DAYS[3])
    assert rows.select("settle", "volume", "filled_from").rows() == [(102.5, None, None)]
    assert filled(archive) == [(DAYS[4], 104.0)]


def test_what_cannot_be_filled_is_refused_with_the_reason(archive):
    store(archive, bars(202406, DAYS), source="csi-hour")
    store(archive, bars(202406, DAYS), source="csi", root="PLUTONIUM")
    store(archive, chain(DAYS, [1.0] * 9), source="nearby")
    number = archive.head().number
    for root, other, reason, told in (
        ("MES", "cs", WHY, "did you mean csi"),
        ("MES", "nearby", WHY, "no source of MES with dated contracts 'nearby'"),
        ("MES", "barchart", WHY, "from itself"),
        ("MES", "csi-hour", WHY, "bars within the day"),
        ("PLUTONIUM", "csi", WHY, "no tick is known"),
        ("MES", "csi", "", "needs a reason"),
    ):
        with pytest.raises(Refused, match=told):
            fill(archive, root, None, other, reason)
    with pytest.raises(NotStored, match="ZC"):
        fill(archive, "ZC", None, "csi", WHY)
    assert archive.head().number == number


def test_rows_taken_out_of_a_real_market_come_back_as_they_were(real, tmp_path):
    archive = open_archive(tmp_path / "store", create=True)
    whole = real.read("contract_bars", root="MES", source="barchart")
    inner = pl.col("day").is_between(
        pl.col("day").min().over("contract"), pl.col("day").max().over("contract"), closed="none"
    )
    out = inner & (pl.col("day").dt.ordinal_day() % 37 < 3)
    holes = whole.filter(~out)
    store(archive, holes)
    store(archive, whole, source="csi")
    made = fill(archive, "MES", "barchart", "csi", WHY)
    assert made["filled"] == whole.height - holes.height > 500 and made["refused"] == []
    values = [c for c in whole.columns if c not in ("filled_from", "known")]
    found = archive.read("contract_bars", root="MES", source="barchart")
    assert found.select(values).equals(whole.sort("contract", "time").select(values))
    assert found["filled_from"].count() == made["filled"]
