"""LEAN's continuous mapping of ES and GC, and its factors, from our contract master, its own universes and Barchart.

A date of a map file is the last day of a contract; it counts days of the calendar, so the session of our roll is the
last one up to it. Modes: 0 last trading day, 1 first day of month, 2 open interest, 3 open interest annual.
"""

import json
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from store import continuous, days, history, ingest, open_archive, rolls
from store.contracts import Master
from store.tables import TABLES
from store.vendors import lean_lists

DAYS = {0: "last-trade-1", 1: "delivery-1"}  # our rules that are LEAN's modes
EVERY = ",months=FGHJKMNQUVXZ,exit=expiry"  # gold: serial months too, and into the month of delivery
PRICED = date(2019, 5, 31), date(2022, 6, 30)  # micro S&P contracts here, prices at LEAN
LAG = 2  # sessions until our open interest rules may use a number


@pytest.fixture(scope="module")
def archive(shared, tmp_path_factory):
    archive = open_archive(tmp_path_factory.mktemp("lean") / "store", create=True)
    future, daily = shared / "lean" / "future", shared / "barchart" / "daily"
    files = [future / "cme" / name for name in ("universes", "map_files", "daily")]
    files += [future / "comex" / name for name in ("universes", "map_files")]
    files += [daily / f"Day_{name}.zip" for name in ("SP500_micro", "GOLD_micro")]
    files += [shared / "barchart" / "hourly" / "Hour_SP500_micro.zip", shared / "quantiacs" / "F_ES.txt"]
    ingest.import_paths(archive, files)  # LEAN's quotes are left out, and said so
    return archive


@pytest.fixture(scope="module")
def maps(shared):
    """{(root, mode): [(last day, contract), ...]} of all lines of the map files but those without an end."""
    found = {}
    for root, exchange in (("ES", "cme"), ("GC", "comex")):
        text = (shared / "lean" / "future" / exchange / "map_files" / f"{root.lower()}.csv").read_text()
        for line in text.splitlines()[1:]:
            day, identifier, _, mode = line.split(",")
            if not day.startswith("2050"):
                last = date(int(day[:4]), int(day[4:6]), int(day[6:]))
                pair = last, lean_lists.contract(identifier.split(" ")[-1], root)
                found.setdefault((root, int(mode)), []).append(pair)
    return found


@pytest.fixture(scope="module")
def factors(shared):
    """{(root, mode): frame} of the factor files: day, spread and ratio at the roll of that day, panama, scale."""
    rows = []
    for root, exchange in (("ES", "cme"), ("GC", "comex")):
        text = (shared / "lean" / "future" / exchange / "factor_files" / f"{root.lower()}.csv").read_text()
        for line in filter(None, text.splitlines()):
            told = json.loads(line)
            panama, scale = told["BackwardsPanamaCanalScale"][0], told["BackwardsRatioScale"][0]
            rows.append((root, told["DataMappingMode"], date.fromisoformat(told["Date"][:10]), panama, scale))
    frame = pl.DataFrame(rows, ["root", "mode", "day", "panama", "scale"], orient="row").sort("root", "mode", "day")
    frame = frame.with_columns(
        spread=(pl.col("panama") - pl.col("panama").shift(-1)).over("root", "mode"),
        ratio=(pl.col("scale") / pl.col("scale").shift(-1)).over("root", "mode"),
    ).drop_nulls()
    return frame.partition_by("root", "mode", as_dict=True, include_key=False)


def bare(spec, contracts):
    """Bars of these contracts on every session of two years up to their delivery month's end, with a price of 100."""
    first, last = min(contracts) // 100 - 1, max(contracts) // 100 + 1
    sessions = np.arange(f"{first}-01-01", f"{last + 1}-01-01", dtype="M8[D]")
    sessions = sessions[np.is_busday(sessions, busdaycal=days.calendar(spec.calendar))]
    frame = pl.DataFrame({"contract": sorted(contracts)}, {"contract": pl.Int32})
    month = pl.date(pl.col("contract") // 100, pl.col("contract") % 100, 1)
    frame = frame.join(pl.DataFrame({"day": sessions}), how="cross")
    frame = frame.filter((pl.col("day") < month.dt.offset_by("1mo")) & (pl.col("day") > month.dt.offset_by("-14mo")))
    time = pl.col("day").cast(pl.Datetime("us", "UTC")) + pl.duration(hours=23)
    return TABLES["contract_bars"].conform(frame.with_columns(root=pl.lit(spec.root), time=time, settle=100.0))


def session(spec, day):
    """The last session up to a day."""
    return days.shift(spec.calendar, day + timedelta(days=1), -1)


@pytest.mark.parametrize(("root", "mode", "count"), [("ES", 0, 55), ("ES", 1, 55), ("GC", 0, 21), ("GC", 1, 21)])
def test_every_mapping_by_date_is_on_the_day_that_the_contract_master_tells(maps, root, mode, count):
    """No price is known to this calendar: last trades, delivery months and sessions alone give the days."""
    spec, lines = Master.load().spec(root), maps[root, mode]
    assert len(lines) == count
    first, last = lines[0][1], lines[-1][1]
    months = {"ES": (3, 6, 9, 12), "GC": range(1, 13)}[root]
    bars = bare(spec, [contract for contract in range(first, last + 100) if contract % 100 in months])
    made = rolls.calendar(bars, spec, DAYS[mode] + (EVERY if root == "GC" else ""))
    ours = dict(made.frame.select("from_contract", "day").iter_rows())
    assert [ours[contract] for _, contract in lines] == [session(spec, day) for day, _ in lines]


def mapped(lines, day):
    """The contract that LEAN holds on a day."""
    return next(contract for last, contract in lines if last >= day)


def universes(archive, root):
    """{day: {contract: open interest}}"""
    rows = archive.read("contract_bars", source="lean-universe", root=root).drop_nulls("open_interest")
    found = {}
    for day, contract, interest in rows.select("day", "contract", "open_interest").iter_rows():
        found.setdefault(day, {})[contract] = interest
    return found


def test_on_each_day_of_its_universes_lean_holds_the_contract_with_the_most_open_interest(archive, maps):
    """But for the two of July 2013, which have no row of the contract that was held, September 2013."""
    spec, lines, told = Master.load().spec("ES"), maps["ES", 2], universes(archive, "ES")
    assert len(told) == 37
    lacking = [day for day in told if mapped(lines, day) not in told[day]]
    assert lacking == [date(2013, 7, 11), date(2013, 7, 12)]
    for day in sorted(set(told) - set(lacking)):
        interest = told[day]
        busiest = max(interest, key=interest.get)
        assert busiest == mapped(lines, day) == mapped(lines, days.shift(spec.calendar, day, LAG)), day


def test_gold_is_held_by_open_interest_in_the_annual_mode_and_by_the_next_listed_month_in_the_other(archive, maps):
    """Mode 2 compares with the next listed month: December gold is left when serial January is the bigger one, which
    is its last day; on 26 November and 18 December 2013 February had been the biggest."""
    told = universes(archive, "GC")
    biggest = {day: max(interest, key=interest.get) for day, interest in told.items() if day < date(2013, 12, 31)}
    assert len(biggest) == 9
    annual, plain = maps["GC", 3], maps["GC", 2]
    assert [mapped(annual, day) for day in biggest if day < date(2013, 11, 22)] == [201312] * 7
    assert annual[4] == (date(2013, 11, 22), 201312)
    assert [biggest[date(2013, 11, 26)], biggest[date(2013, 12, 18)]] == [201402, 201402]
    assert mapped(plain, date(2013, 12, 18)) == 201312


def test_our_open_interest_rule_rolls_on_lean_s_day_if_it_may_know_the_number_a_day_earlier(archive, maps):
    """The roll of December 2013: December's 1.70 million of the 13th stand in for the days after, on which it only
    fell; March's are Quantiacs' of each session, of which LEAN publishes that of the 13th on the 16th."""
    published = archive.read("contract_bars", source="lean", root="ES").filter(pl.col("day") == date(2013, 12, 16))
    published = dict(published.drop_nulls("open_interest").select("contract", "open_interest").iter_rows())
    held = archive.read("vendor_chains", source="quantiacs", root="ES")
    held = held.filter(pl.col("day").is_between(date(2013, 12, 13), date(2013, 12, 20)))
    assert held["price_contract"].unique().to_list() == [201403]
    assert held["open_interest"][0] == published[201403] == 1_445_598
    later = universes(archive, "ES")[date(2013, 12, 18)][201312]
    assert later < published[201312] < held["open_interest"][1]
    march = held.select("day", contract=pl.lit(201403), open_interest="open_interest")
    december = held.select("day", contract=pl.lit(201312), open_interest=pl.lit(published[201312]))
    time = pl.col("day").cast(pl.Datetime("us", "UTC")) + pl.duration(hours=23)
    bars = pl.concat([march, december]).with_columns(root=pl.lit("ES"), settle=1800.0, time=time)
    bars, spec = TABLES["contract_bars"].conform(bars), Master.load().spec("ES")
    days_of = {rule: rolls.calendar(bars, spec, rule).frame.row(0, named=True) for rule in ("oi@1", "oi")}
    assert days_of["oi@1"]["day"] == date(2013, 12, 17)
    assert (date(2013, 12, 17), 201312) in maps["ES", 2]
    assert days_of["oi"]["day"] == date(2013, 12, 18)
    assert {row["reason"] for row in days_of.values()} == {"oi"}


def by_settlement(archive, mode):
    """The calendar that rolls the micro S&P on LEAN's days, and its continuous table."""
    bars, spec = archive.read("contract_bars", source="barchart", root="MES"), Master.load().spec("MES")
    given = history.plan(archive, "ES", "lean:oi") if mode == 2 else None
    made = rolls.calendar(bars, spec, DAYS.get(mode, "lean:oi"), given)
    return made, continuous.stitch(bars, made, spec)


@pytest.mark.parametrize(("mode", "count", "ticks", "far"), [(0, 13, 3, 1.25), (1, 13, 6, 3.5), (2, 13, 5, 1.5)])
def test_spreads_and_offsets_of_settlements_are_lean_s_within_ticks(archive, factors, mode, count, ticks, far):
    """Of 2019 to 2022; later LEAN had no prices and its factors are 1. `far`: points by which the sum may differ."""
    made, table = by_settlement(archive, mode)
    spec = Master.load().spec("MES")
    theirs = factors["ES", mode].filter(pl.col("day").is_between(*PRICED))
    theirs = theirs.with_columns(session=pl.Series([session(spec, day) for day in theirs["day"]]))
    both = made.frame.join(theirs, left_on="day", right_on="session")
    assert both.height == theirs.height == count
    ours = (both["to_price"] - both["from_price"]).to_numpy()
    assert np.abs(ours - both["spread"].to_numpy()).max() <= ticks * spec.tick
    # LEAN's scale is added to the prices up to its day and falls by each spread; so does our offset, from 0 on
    rows = table.filter(pl.col("day").is_in(both["day"].to_list()))
    offset, panama = rows["offset"].to_numpy(), both["panama"].to_numpy()
    assert np.abs((offset - offset[0]) - (panama - panama[0])).max() <= far
    factor, scale = rows["factor"].to_numpy(), both["scale"].to_numpy()
    assert np.abs((factor / factor[0]) / (scale / scale[0]) - 1).max() <= 7e-4
    assert set(factors["ES", mode].filter(pl.col("day") > date(2022, 7, 1))["spread"]) <= {0.0}


@pytest.mark.parametrize(("mode", "day"), [(0, date(2013, 12, 19)), (1, date(2013, 11, 29)), (2, date(2013, 12, 17))])
def test_spreads_of_lean_s_own_daily_closes_are_those_of_its_factors_within_two_ticks(archive, factors, mode, day):
    bars, spec = archive.read("contract_bars", source="lean", root="ES"), Master.load().spec("ES")
    bars = bars.filter(pl.col("day").is_between(date(2013, 10, 7), date(2013, 12, 20)))
    given = history.plan(archive, "ES", "lean:oi") if mode == 2 else None
    made = rolls.calendar(bars, spec, DAYS.get(mode, "lean:oi"), given).frame.row(0, named=True)
    assert (made["day"], made["from_contract"], made["to_contract"]) == (day, 201312, 201403)
    theirs = factors["ES", mode].filter(pl.col("day") >= day)["spread"][0]
    assert abs(made["to_price"] - made["from_price"] - theirs) <= 2 * spec.tick


def test_lean_s_factors_are_made_of_the_last_trades_before_midnight_utc(archive, factors):
    """Its spread and its ratio tell the price of the old contract: spread / (ratio - 1)."""
    hours = archive.read("contract_bars", source="barchart-hour", root="MES").sort("time")
    close = hours.partition_by("contract", as_dict=True)
    by_price, by_spread = [], []
    for mode in (0, 1, 2):
        made, _ = by_settlement(archive, mode)
        told = factors["ES", mode].filter(pl.col("day").is_between(*PRICED))
        for row in told.iter_rows(named=True):
            pair = made.frame.filter(pl.col("day") <= row["day"]).select("from_contract", "to_contract").row(-1)
            midnight = pl.lit(row["day"] + timedelta(days=1)).cast(pl.Datetime("us", "UTC"))
            old, new = (close[contract,].filter(pl.col("time") <= midnight)["close"][-1] for contract in pair)
            by_price.append(abs(old - row["spread"] / (row["ratio"] - 1)))
            by_spread.append(abs(new - old - row["spread"]))
    assert len(by_price) == 39
    assert sum(x < 0.51 for x in by_price) == 33
    assert sum(x < 0.51 for x in by_spread) == 24
    assert max(by_spread) <= 4.25


def test_gold_s_annual_factors_are_the_spreads_of_settlements_within_a_tick(archive, factors):
    bars, spec = archive.read("contract_bars", source="barchart", root="MGC"), Master.load().spec("MGC")
    plan = history.plan(archive, "GC", "lean:oi-annual")
    plan = plan.filter(pl.col("day") < date(2013, 8, 1))
    made = rolls.calendar(bars.filter(pl.col("day").is_between(date(2013, 1, 2), date(2013, 8, 1))), spec, "lean", plan)
    both = made.frame.join(factors["GC", 3], on="day")
    assert both["day"].to_list() == [date(2013, 1, 25), date(2013, 3, 22), date(2013, 5, 24), date(2013, 7, 16)]
    assert (both["to_price"] - both["from_price"] - both["spread"]).abs().max() <= spec.tick * 1.01
