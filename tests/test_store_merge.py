"""Rows that come into a market: column by column the later counts, what it replaced is told, `known` moves with it."""

import random
import time
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from store.merge import behind, merged
from store.tables import TABLES, TIME

BARS = TABLES["contract_bars"]
THEN, NOW = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 6, 1, tzinfo=UTC)
DAY = date(2024, 3, 1)


def bars(*rows, known=NOW):
    """Rows of one market: (contract, days after the first, columns)."""
    frames = [
        {"source": "x", "root": "ES", "contract": contract, "day": DAY + timedelta(days=k), "known": known}
        | {"time": datetime(2024, 3, 1, 23, tzinfo=UTC) + timedelta(days=k)}
        | values
        for contract, k, values in rows
    ]
    return BARS.conform(pl.DataFrame(frames)) if frames else BARS.empty()


def merge(stored, new, table=BARS):
    rows, revisions, restated = merged(stored, new, table, "id")
    assert rows.schema == table.schema and revisions.schema == TABLES["revisions"].schema
    return rows, revisions.select("contract", "column", "old", "new").rows(), restated


def test_rows_of_an_empty_market_are_put_in_order():
    new = bars((202406, 0, {"settle": 2.0}), (202403, 1, {"settle": 1.0}), (202403, 0, {"settle": 3.0}))
    rows, revisions, restated = merge(bars(), new)
    assert rows["settle"].to_list() == [3.0, 1.0, 2.0]
    assert (revisions, restated) == ([], None)


def test_a_missing_value_never_overwrites_one_and_completing_is_no_revision():
    stored = bars((202403, 0, {"settle": 5.0, "volume": 9.0}), known=THEN)
    rows, revisions, restated = merge(stored, bars((202403, 0, {"open_interest": 7.0})))
    assert rows.select("settle", "volume", "open_interest", "known").row(0) == (5.0, 9.0, 7.0, NOW)
    assert (revisions, restated) == ([], None)


def test_a_row_may_come_without_a_price_and_be_completed_later():
    rows, _, _ = merge(bars(), bars((202403, 0, {"open_interest": 7.0}), known=THEN))
    rows, revisions, _ = merge(rows, bars((202403, 0, {"settle": 5.0})))
    assert rows.select("settle", "open_interest").row(0) == (5.0, 7.0)
    assert revisions == []


def test_a_changed_value_is_told_and_moves_the_moment_since_when_it_is_known():
    stored = bars((202403, 0, {"settle": 5.0}), (202403, 1, {"settle": 6.0}), known=THEN)
    rows, revisions, restated = merge(stored, bars((202403, 0, {"settle": 5.0}), (202403, 1, {"settle": 6.5})))
    assert rows.select("settle", "known").rows() == [(5.0, THEN), (6.5, NOW)]
    assert revisions == [(202403, "settle", 6.0, 6.5)]
    assert restated == {"rows": 1, "of": 2, "first": (202403, DAY + timedelta(days=1), "settle", 6.0, 6.5)}


def test_an_equal_row_changes_nothing():
    stored = bars((202403, 0, {"settle": 5.0, "source_time": "a"}), known=THEN)
    rows, revisions, _ = merge(stored, bars((202403, 0, {"settle": 5.0, "source_time": "a"})))
    assert rows.equals(stored) and revisions == []


def test_another_stamp_alone_is_no_other_row():
    stored = bars((202403, 0, {"settle": 5.0, "source_time": "a"}), known=THEN)
    rows, revisions, _ = merge(stored, bars((202403, 0, {"settle": 5.0, "source_time": "b"})))
    assert rows.select("source_time", "known").row(0) == ("b", THEN)
    assert revisions == []


def test_rows_of_one_import_are_completed_and_replaced_in_their_order():
    new = bars((202403, 0, {"settle": 5.0}), (202403, 0, {"open_interest": 3.0}), (202403, 0, {"settle": 6.0}))
    rows, revisions, restated = merge(bars(), new)
    assert rows.select("settle", "open_interest", "known").rows() == [(6.0, 3.0, NOW)]
    assert revisions == [(202403, "settle", 5.0, 6.0)]
    assert restated is None  # nothing that was stored has changed


def test_a_value_that_came_and_went_is_told_twice():
    stored = bars((202403, 0, {"settle": 5.0}), known=THEN)
    rows, revisions, _ = merge(stored, bars((202403, 0, {"settle": 6.0}), (202403, 0, {"settle": 5.0})))
    assert rows["settle"].to_list() == [5.0]
    assert revisions == [(202403, "settle", 5.0, 6.0), (202403, "settle", 6.0, 5.0)]


def test_a_filled_row_gives_way_whole_to_a_real_one():
    filled = {"open": 1.0, "settle": 5.0, "volume": 9.0, "filled_from": "y"}
    stored = bars((202403, 0, filled), known=THEN)
    rows, revisions, _ = merge(stored, bars((202403, 0, {"settle": 5.5})))
    assert rows.select("open", "settle", "volume", "filled_from", "known").row(0) == (None, 5.5, None, None, NOW)
    assert sorted(revisions) == [
        (202403, "open", 1.0, None), (202403, "settle", 5.0, 5.5), (202403, "volume", 9.0, None),
    ]  # fmt: skip


def test_a_filled_row_is_completed_by_one_without_a_price():
    stored = bars((202403, 0, {"settle": 5.0, "filled_from": "y"}), known=THEN)
    rows, _, _ = merge(stored, bars((202403, 0, {"open_interest": 4.0})))
    assert rows.select("settle", "open_interest", "filled_from").row(0) == (5.0, 4.0, "y")
    rows, _, _ = merge(stored, bars((202403, 0, {"open_interest": 4.0}), (202403, 0, {"settle": 6.0})))
    assert rows.select("settle", "filled_from").row(0) == (6.0, None)


def test_simulated_rows_are_known_since_no_moment():
    rows, _, _ = merge(bars((202403, 0, {"settle": 5.0}), known=None), bars((202403, 0, {"settle": 6.0}), known=None))
    assert rows.select("settle", "known").row(0) == (6.0, None)


def test_a_roll_calendar_is_replaced_rule_by_rule():
    table = TABLES["roll_calendars"]

    def rolls(rule, *days):
        same = {"source": "x", "root": "ES", "rule": rule, "from_contract": 202403, "to_contract": 202406}
        return table.conform(pl.DataFrame([same | {"day": DAY + timedelta(days=k)} for k in days]))

    stored = pl.concat([rolls("a", 0, 90), rolls("b", 1)])
    rows, revisions, _ = merge(stored, rolls("a", 2), table)
    assert rows.select("rule", "day").rows() == [("a", DAY + timedelta(days=2)), ("b", DAY + timedelta(days=1))]
    assert revisions == []


def test_an_import_replaces_the_calendar_of_its_rule_and_version_and_no_other_version():
    table = TABLES["roll_calendars"]

    def rolls(version, *days):
        same = {"source": "x", "root": "ES", "rule": "a", "version": version}
        same |= {"from_contract": 202403, "to_contract": 202406}
        return table.conform(pl.DataFrame([same | {"day": DAY + timedelta(days=k)} for k in days]))

    stored = pl.concat([rolls(None, 0, 90), rolls("v1", 0, 90), rolls("v2", 0)])
    told = lambda rows: [(row["version"], (row["day"] - DAY).days) for row in rows.to_dicts()]  # noqa: E731
    rows, revisions, _ = merge(stored, rolls(None, 3), table)  # a vendor's own
    assert told(rows) == [(None, 3), ("v1", 0), ("v1", 90), ("v2", 0)] and revisions == []
    rows, _, _ = merge(stored, rolls("v1", 5), table)
    assert told(rows) == [(None, 0), (None, 90), ("v1", 5), ("v2", 0)]
    again = rolls(None, 4).with_columns(since=pl.lit(NOW, TIME))
    assert told(behind(again, table.empty(), stored, table)) == [(None, 0), (None, 90), (None, 4)]
    assert told(behind(again, rolls(None, 7), stored, table)) == [(None, 4)]


def test_a_table_without_known_is_merged_by_its_key():
    table = TABLES["roll_calendars"]
    same = {"source": "x", "root": "ES", "rule": "a", "day": DAY, "from_contract": 202403}
    twice = table.conform(pl.DataFrame([same | {"to_contract": 202406}, same | {"to_contract": 202409}]))
    rows, revisions, _ = merge(table.empty(), twice, table)
    assert rows["to_contract"].to_list() == [202409]
    assert revisions == [(None, "to_contract", 202406.0, 202409.0)]


def read_again(*rows):
    """Rows of one market: (days after the first, columns, when it was released)."""
    frame = bars(*((202403, k, values) for k, values, _ in rows))
    return frame.with_columns(since=pl.Series([since for *_, since in rows], dtype=TIME))


def came_in(rows, stored):
    return behind(rows, bars(), stored, BARS).select("day", "settle").rows()


def test_of_a_file_that_is_read_again_stored_rows_stay_and_others_come_in():
    stored = bars((202403, 0, {"settle": 5.0}), known=THEN)
    rows = read_again((0, {"settle": 6.0}, None), (1, {"settle": 7.0}, None))
    assert came_in(rows, stored) == [(DAY + timedelta(days=1), 7.0)]
    assert came_in(rows.drop("since"), stored) == [(DAY + timedelta(days=1), 7.0)]


def test_a_released_row_goes_before_the_row_it_was_released_against_and_not_before_a_later_one():
    rows = read_again((0, {"settle": 6.0}, datetime(2024, 3, 1, tzinfo=UTC)))
    assert came_in(rows, bars((202403, 0, {"settle": 5.0}), known=THEN)) == [(DAY, 6.0)]
    assert came_in(rows, bars((202403, 0, {"settle": 5.0}), known=None)) == [(DAY, 6.0)]
    assert came_in(rows, bars((202403, 0, {"settle": 5.0}), known=NOW)) == []
    filled = bars((202403, 0, {"settle": 5.0, "filled_from": "y"}), known=NOW)
    assert came_in(rows, filled) == [(DAY, 6.0)]


def test_a_roll_calendar_that_is_read_again_keeps_its_stored_rolls():
    table = TABLES["roll_calendars"]
    same = {"source": "x", "root": "ES", "rule": "a", "from_contract": 202403, "to_contract": 202406}
    rolls = table.conform(pl.DataFrame([same | {"day": DAY + timedelta(days=k)} for k in (0, 1, 2)]))
    again = rolls[1:].with_columns(since=pl.Series([None, NOW], dtype=TIME))
    rows = behind(again, table.empty(), rolls[:1], table)
    assert rows["day"].to_list() == [DAY, DAY + timedelta(days=2)]
    assert merged(rolls[:1], table.conform(rows), table, "id")[0].height == 2


def test_rates_of_a_currency_are_told_at_midnight_of_their_day():
    table = TABLES["fx"]

    def rate(value, known):
        same = {"source": "x", "currency": "EUR", "day": DAY, "source_time": "s", "known": known}
        return table.conform(pl.DataFrame([same | {"rate": value}]))

    rows, revisions, restated = merged(rate(1.0, THEN), rate(1.1, NOW), table, "id")
    assert rows.select("rate", "known").row(0) == (1.1, NOW)
    assert revisions.select("of_table", "root", "time", "old", "new").row(0) == (
        "fx", "EUR", datetime(2024, 3, 1, tzinfo=UTC), 1.0, 1.1,
    )  # fmt: skip
    assert restated is None


def test_a_vendor_s_dates_of_a_contract_are_completed_and_changed():
    table = TABLES["contracts"]

    def dates(known, **days):
        return table.conform(pl.DataFrame([{"source": "x", "root": "ES", "contract": 202403, "known": known} | days]))

    stored = dates(THEN, last_trade=DAY)
    rows, _, _ = merge(stored, dates(NOW, first_notice=DAY), table)
    assert rows.select("last_trade", "first_notice", "known").row(0) == (DAY, DAY, NOW)
    rows, _, _ = merge(stored, dates(NOW, last_trade=DAY), table)
    assert rows.equals(stored)


VALUES = ("open", "close", "settle", "volume", "filled_from", "source_time")


def one_by_one(stored, new):
    """The rules of the module, a row at a time: (rows, revisions, keys of restated rows)."""
    found, revisions, restated = {}, [], set()
    for fresh, rows in ((False, stored), (True, new)):
        for row in rows.to_dicts():
            key = row["contract"], row["time"]
            if key not in found:
                found[key] = row | {"fresh": fresh, "given way": row["filled_from"] is None, "first": row["known"]}
                continue
            old = found[key]
            priced = row["filled_from"] is None and (row["close"] is not None or row["settle"] is not None)
            whole = priced and not old["given way"]  # a row that was filled in gives way once
            merged_ = {c: row[c] if whole or row[c] is not None else old[c] for c in VALUES}
            changed = [c for c in VALUES if merged_[c] != old[c]]
            for c in ("open", "close", "settle", "volume"):
                if old[c] is not None and merged_[c] != old[c]:
                    revisions.append((row["contract"], c, old[c], merged_[c]))
                    restated |= set() if old["fresh"] else {key}
            moved = old.get("moved", False) or any(c != "source_time" for c in changed)
            same = {"fresh": old["fresh"], "given way": old["given way"] or priced, "first": old["first"]}
            found[key] = row | merged_ | same | {"moved": moved}
            found[key]["known"] = row["known"] if moved or old["fresh"] else old["first"]
    rows = [found[key] for key in sorted(found)]
    return BARS.conform(pl.DataFrame(rows, infer_schema_length=None).select(list(BARS.columns))), revisions, restated


@pytest.mark.parametrize("seed", range(20))
def test_many_rows_are_merged_as_they_are_one_by_one(seed):
    chance = random.Random(seed)

    def row(stored):
        price = chance.choice([None, 5.0, 5.0, 6.0])
        told = {"close": price, "settle": chance.choice([None, 4.0, 7.0]), "volume": chance.choice([None, 1.0, 2.0])}
        told |= {"open": chance.choice([None, 3.0]), "source_time": chance.choice([None, "a", "b"])}
        filled = stored and chance.random() < 0.3
        return chance.choice((202403, 202406)), chance.randrange(4), told | {"filled_from": "y" if filled else None}

    keys = {(c, k): values for c, k, values in (row(True) for _ in range(6))}
    stored = bars(*((c, k, keys[c, k]) for c, k in sorted(keys)), known=THEN)
    new = pl.concat([bars(row(False), known=NOW + timedelta(days=n)) for n in range(chance.randrange(1, 12))])
    expected, changes, restated = one_by_one(stored, new)
    rows, revisions, told = merge(stored, new)
    assert rows.equals(expected), f"seed {seed}"
    assert sorted(revisions, key=str) == sorted(changes, key=str), f"seed {seed}"
    assert (told["rows"] if told else 0) == len(restated), f"seed {seed}"


def test_a_year_of_minutes_that_comes_again_is_merged_in_time_linear_in_its_rows():
    """20 times the rows took 400 times as long while each key was a step of its own."""

    def seconds(count):
        times = pl.datetime_range(NOW, NOW + timedelta(minutes=count - 1), "1m", eager=True)
        year = BARS.conform(pl.DataFrame({"contract": 202412, "time": times, "close": 5.0}))
        again = year.with_columns(close=pl.when(pl.int_range(pl.len()) % 9 == 0).then(6.0).otherwise("close"))
        best = []
        for _ in range(3):
            began = time.process_time()
            assert merge(year, again)[2]["rows"] == -(-count // 9)
            best.append(time.process_time() - began)
        return min(best)

    assert seconds(100_000) < 80 * seconds(5_000) + 0.5
