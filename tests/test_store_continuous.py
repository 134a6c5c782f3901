"""store/continuous.py: joined series against cases solved by hand, pysystemtrade's own files and real contracts."""

import io
import zipfile
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
import test_store_rolls
from test_store_rolls import flat, make_bars, random_market, weekdays

from store import chain as chains
from store import expiry, tables
from store.continuous import SCHEMA, adjusted, stitch, stitch_chain
from store.contracts import Master
from store.rolls import calendar, chain_calendar

market = test_store_rolls.market
MES_YEARS = {2020: 0.21, 2021: 0.26, 2022: -0.19, 2023: 0.19}


def one_roll(market, old, new, **fields):
    """Five days of two contracts; volume crosses on the second day, so that the roll is on the third."""
    days = weekdays(len(old))
    n = len(days)
    bars = make_bars(days, {
        202403: {"settle": old, "volume": [9] + [1] * (n - 1), **fields}, 202406: {"settle": new, "volume": [5] * n},
    })  # fmt: skip
    return bars, calendar(bars, market())


def test_t3_the_gap_between_contracts_is_no_profit(market):
    bars, rolls = one_roll(market, [4000, 4050, 4100, 4110, 4120], [4020, 4075, 4125, 4135, 4150])
    found = stitch(bars, rolls)
    assert found["contract"].to_list() == [202403] * 3 + [202406] * 2
    assert found["offset"].to_list() == [0, 0, 0, -25, -25]
    assert found["adjusted"].to_list() == [4025, 4075, 4125, 4135, 4150]
    assert (found["adjusted"][4] - found["adjusted"][0]) * 50 == 6250
    assert found["roll"].to_list() == [False, False, True, False, False]
    assert found["from_price"].to_list() == [None, None, 4100, None, None]
    assert found["to_price"].to_list() == [None, None, 4125, None, None]
    assert found["next_contract"].to_list() == [202406] * 3 + [None] * 2
    assert found["next_price"].to_list() == [4020, 4075, 4125, None, None]


def test_no_bars_are_no_rows(market):
    bars, rolls = one_roll(market, [4000, 4050, 4100, 4110, 4120], [4020, 4075, 4125, 4135, 4150])
    found = stitch(bars.clear(), rolls)
    assert found.is_empty() and found.schema == SCHEMA


def test_through_expiry_a_series_keeps_what_the_market_did_where_a_vendor_lacks_the_last_days(market):
    """June goes from 134 to 139 while March, which trades until the sixth day, is not told: 5 points, not none."""
    bars = make_bars(weekdays(8), {
        202403: {"settle": [110, 112, 114, None, None, None, None, None]},
        202406: {"settle": [130, 132, 134, 135, 136, 137, 139, 140]},
    })  # fmt: skip
    ends = market({202403: weekdays(8)[5]}, trades={202403: weekdays(8)[5]})
    found = stitch(bars, calendar(bars, ends, "last-trade-0,exit=expiry"))
    assert found["contract"].to_list() == [202403] * 3 + [202406] * 2
    assert found["adjusted"].to_list() == [130, 132, 134, 139, 140]
    assert found.select("from_price", "to_price").row(2) == (114, 134)
    found = stitch(bars, calendar(bars, ends, "last-trade-0"))  # who may trade it is flat in between
    assert np.diff(found["adjusted"]).tolist() == [2, 2, 0, 1]


def test_t1_points_not_percent_of_the_adjusted_price(market):
    bars, rolls = one_roll(market, [100, 102, 104, 104, 104], [106, 108, 110, 111, 112])
    found = stitch(bars, rolls)
    back = found["adjusted"].to_numpy()
    assert back[:3].tolist() == [106, 108, 110]
    assert (back[1] - back[0]) / found["settle"][0] == 0.02


def test_t16_ratio_adjustment_is_not_rounded_to_ticks(market):
    bars, rolls = one_roll(market, [100, 102, 104, 104, 104], [106, 108, 110, 111, 112])
    found = adjusted(stitch(bars, rolls), "ratio").to_list()
    assert found[1] == pytest.approx(107.8846153846, abs=1e-9)
    assert found[2:] == pytest.approx([110, 111, 112])
    assert adjusted(stitch(bars, rolls), "none").to_list() == [100, 102, 104, 111, 112]


@pytest.mark.parametrize("old", [[-4, -2, -1, -1, -1], [4, 2, 0, 1, 1]])
def test_t2_prices_that_are_not_positive_have_no_ratio(market, old):
    bars, rolls = one_roll(market, old, [5.0, 6, 7, 8, 9])
    found = stitch(bars, rolls)
    assert found["factor"].to_list() == [1, 1, 1, None, None]
    assert np.diff(found["adjusted"]).tolist() == [old[1] - old[0], old[2] - old[1], 1, 1]
    first = "202403 is at -4 on 2024-01-01" if old[0] < 0 else "202403 is at 0 on 2024-01-03"
    with pytest.raises(ValueError, match=rf"contract {first}: .* cannot be adjusted by ratio; use difference"):
        adjusted(found, "ratio")


def test_t2_a_roll_to_a_price_that_is_not_positive_has_no_ratio(market):
    bars, rolls = one_roll(market, [5.0, 5, 5, 5, 5], [-1.0, -1, -0.5, 8, 9])
    with pytest.raises(ValueError, match=r"roll out of 202403 on 2024-01-03 is from 5 to -0\.5: .* use difference"):
        adjusted(stitch(bars, rolls), "ratio")
    cut = stitch(bars.filter(pl.col("contract") == 202406), rolls)  # the row of the roll is not among these
    with pytest.raises(ValueError, match=r"a roll before the first row was not between positive prices"):
        adjusted(cut, "ratio")


def test_t2_crude_oil_below_zero_is_a_loss_of_points(market):
    bars = make_bars(weekdays(2), {202005: {"settle": [18.27, -37.63]}})
    found = stitch(bars, calendar(bars, market()))
    for method in ("difference", "forward", "none"):
        price = adjusted(found, method)
        assert (price[1] - price[0]) * 1000 == pytest.approx(-55900, abs=1e-9)


def test_t14_only_the_level_of_the_methods_by_difference_differs(market):
    bars, rolls = one_roll(market, [4000, 4050, 4100, 4110, 4120], [4020, 4075, 4125, 4135, 4150])
    found = stitch(bars, rolls)
    forward = adjusted(found, "forward")
    assert forward.to_list() == [4000, 4050, 4100, 4110, 4125]  # the first contract at its market price
    assert set(adjusted(found) - forward) == {25.0}
    raised = stitch(bars.with_columns(pl.col("settle") + 1024), rolls)  # of a calendar that a level does not touch
    assert np.diff(adjusted(raised, "forward")).tolist() == np.diff(forward).tolist()


def test_t15_the_true_range_across_a_roll_is_that_of_the_contract_held(market):
    bars, rolls = one_roll(market, [4000, 4050, 4100, 4100, 4120], [4025, 4075, 4125, 4125, 4150])
    bars = bars.with_columns(high=pl.col("settle") + 2, low=pl.col("settle") - 2)
    found = stitch(bars, rolls)
    joined = found.select(pl.col("high", "low", "settle") + pl.col("offset"))
    before = pl.col("settle").shift(1)
    reach = pl.max_horizontal("high", before) - pl.min_horizontal("low", before)
    spliced, held = (frame.select(x=reach)["x"] for frame in (found, joined))
    assert spliced[3] == 27 and held[3] == 4  # the price stood still


def test_carry_is_what_the_roll_pays_by_the_year(market):
    days = weekdays(5)
    bars, rolls = one_roll(market, [50.0, 49.5, 49.0, 49, 49], [49.5, 49.5, 49.5, 49.5, -1])
    ends = market(trades={202403: days[4], 202406: days[4] + timedelta(days=30)})
    found = stitch(bars, rolls, ends)
    assert found["next_days"].to_list() == [30, 30, 30, None, None]
    pays = [(x / 49.5 - 1) * 365 / 30 for x in (50, 49.5, 49)]
    assert found["roll_yield"].to_list() == [*(pytest.approx(x) for x in pays), None, None]
    assert found["roll_yield"][0] == pytest.approx(0.1229, abs=5e-5) and found["roll_yield"][2] < 0
    without = stitch(bars, rolls)
    assert without["next_days"][0] == pytest.approx(3 * 365 / 12)
    assert without["roll_yield"][0] == pytest.approx((50 / 49.5 - 1) * 4)


def test_carry_is_unknown_where_a_price_is_missing_or_not_positive(market):
    bars, rolls = one_roll(market, [-2.0, 5.0, 5.0, 5, 5], [5.0, -5.0, None, 5.0, 5])
    assert rolls.frame["day"].to_list() == [weekdays(5)[3]]  # waited a day for the new leg's price
    found = stitch(bars, rolls)
    assert found["roll_yield"].to_list() == [None, None, None, 0.0, None]
    assert found["next_days"].null_count() == 1


def test_a_chain_that_is_at_hand_is_stitched_as_its_bars(market):
    bars, rolls = one_roll(market, [10, 11, 12, 12, 12], [20, 21, 22, 23, 24])
    assert stitch(chains.load(bars, rolls.months), rolls).equals(stitch(bars, rolls))
    with pytest.raises(ValueError, match="the chain holds the months"):
        stitch(chains.load(bars, (3,)), rolls)


def test_t45_forward_and_carry_of_earlier_rows_stay_bit_equal_as_history_grows(market):
    compared = 0
    for seed in range(40):
        bars, last, days, *_ = random_market(seed)
        spec = market(last, trades={c: day + timedelta(days=1) for c, day in last.items()})
        part = bars.filter(pl.col("day") <= days[2 * len(days) // 3]) if days else bars
        try:
            full, found = (stitch(x, calendar(x, spec), spec) for x in (bars, part))
        except ValueError:
            continue
        past = full.filter(pl.col("day") <= part["day"].max())
        assert adjusted(found, "forward").equals(adjusted(past, "forward")), seed
        if not past.filter(pl.col("roll") & pl.col("next_price").is_null()).height:
            kept = ["next_days", "roll_yield"]
            assert found.select(kept).equals(past.select(kept)), seed
        compared += len(found)
    assert compared > 300


def test_the_next_contract_is_the_nearest_later_one_listed_on_the_day(market):
    looked = 0
    for seed in range(40):
        bars, last, *_ = random_market(seed)
        spec = market(last, trades={c: day + timedelta(days=c % 7) for c, day in last.items()})
        try:
            found = stitch(bars, calendar(bars, spec), spec)
        except ValueError:
            continue
        price = {(c, d): x for c, d, x in bars.select("contract", "day", "settle").rows()}
        first = dict(bars.group_by("contract").agg(pl.col("day").min()).rows())
        for row in found.filter(~pl.col("roll")).to_dicts():
            later = [c for c, day in first.items() if c > row["contract"] and day <= row["day"]]
            after = min(later, default=None)
            near = row["settle"]  # its field is the one that counts
            far = price.get((after, row["day"])) if near else None
            apart = (spec.trades[after] - spec.trades[row["contract"]]).days if after else None
            assert (row["next_contract"], row["next_price"], row["next_days"]) == (after, far, apart)
            pays = (near / far - 1) * 365 / apart if far and apart > 0 else None
            assert row["roll_yield"] == (pays if pays is None else pytest.approx(pays))
            looked += 1
    assert looked > 500


def test_an_unknown_adjustment_is_refused(market):
    bars, rolls = one_roll(market, [1] * 5, [2] * 5)
    with pytest.raises(ValueError, match="'panama' is not known; allowed: difference, ratio, forward, none"):
        adjusted(stitch(bars, rolls), "panama")


def test_t54_the_gap_is_taken_at_one_moment_and_the_overnight_move_stays(market):
    bars, rolls = one_roll(market, [99, 99, 100, 103, 104], [101, 101, 102, 105, 106])
    found = stitch(bars, rolls)
    assert found["offset"].to_list()[2:4] == [0, -2]
    assert np.diff(found["adjusted"]).tolist() == [0, 1, 3, 1]


def test_a_break_between_contracts_earns_nothing(market):
    days = weekdays(10)
    old = [100.0, 101, 102, 103] + [None] * 6
    bars = make_bars(days, {202401: {"settle": old}, 202402: flat(10) | {"settle": list(range(200, 210))}})
    found = stitch(bars, calendar(bars, market({202401: days[7]})))
    assert found["day"].to_list() == days[:4] + days[8:]  # no row of the new contract before the old one was given up
    assert np.diff(found["adjusted"]).tolist() == [1, 1, 1, 0, 1]
    assert found["roll"].to_list() == [False] * 3 + [True] + [False] * 2
    assert found.row(3, named=True)["to_price"] == 208


def test_no_row_of_a_contract_after_its_last_allowed_day(market):
    days = weekdays(12)
    bars = make_bars(days, {
        202401: {"settle": list(range(12))}, 202403: {"settle": [None] * 10 + [20, 21]},
    })  # fmt: skip
    found = stitch(bars, calendar(bars, market({202401: days[7]})))
    assert found["day"].to_list() == days[:8] + days[10:]
    assert np.diff(found["adjusted"]).tolist() == [1] * 7 + [0, 1]


def test_days_of_other_contracts_alone_give_no_row_and_holes_are_not_filled(market):
    bars, rolls = one_roll(market, [10, 11, 12, 12, 12], [20, 21, 22, 23, 24])
    hole = bars.filter(~((pl.col("contract") == 202403) & (pl.col("day") == weekdays(2)[1])))
    assert stitch(hole, rolls)["day"].to_list() == [weekdays(5)[i] for i in (0, 2, 3, 4)]


def test_sunday_and_monday_rows_merge_into_one_bar(market):
    bars, rolls = one_roll(market, [10, 11, 12, 12, 12], [20, 21, 22, 23, 24], open=[1] * 5, high=[30] * 5, low=[5] * 5)
    day = weekdays(5)[1]
    chosen = bars.filter((pl.col("contract") == 202403) & (pl.col("day") == day))
    sunday = chosen.with_columns(
        source_time=pl.lit("2024-01-01x"), open=pl.lit(9.0), high=pl.lit(40.0), low=pl.lit(8.0), settle=pl.lit(77.0),
        volume=pl.lit(2.0),
    )  # fmt: skip
    for earlier in (timedelta(0), timedelta(days=1)):  # stamped like Monday's row, or a day before
        both = pl.concat([bars, sunday.with_columns(pl.col("time") - earlier)])
        row = stitch(both, rolls).filter(pl.col("day") == day)
        values = row.select("source_time", "open", "high", "low", "settle", "volume").rows()
        assert values == [("2024-01-02", 9.0, 40.0, 5.0, 11.0, 3.0)]


def test_intraday_rows_stay_apart_and_the_roll_is_at_its_moment(market):
    days, rows = weekdays(4), []
    traded = [(t, hour, contract) for t in range(4) for hour in (15, 16, 17) for contract in (202403, 202406)]
    traded.remove((2, 17, 202406))  # the new contract does not trade in the last hour of day 2
    for t, hour, contract in traded:
        old = contract == 202403
        time = datetime(days[t].year, days[t].month, days[t].day, hour, tzinfo=UTC)
        rows.append({"root": "X", "contract": contract, "day": days[t], "time": time, "source_time": str(hour),
                     "close": (100 if old else 200) + t + hour / 100,
                     "volume": 2.0 if not old else 3.0 if t == 0 else 1.0})  # fmt: skip
    bars = tables.TABLES["contract_bars"].conform(pl.DataFrame(rows))
    rolls = calendar(bars, market())
    assert rolls.frame.select("day", "from_price", "to_price").rows() == [(days[2], 102.16, 202.16)]
    found = stitch(bars, rolls)
    assert len(found) == 3 + 3 + 2 + 3
    assert found.filter("roll")["time"].to_list() == [datetime(2024, 1, 3, 16, tzinfo=UTC)]


def test_columns_are_those_of_the_file_and_inputs_are_not_changed(market):
    bars, rolls = one_roll(market, [10, 11, 12, 12, 12], [20, 21, 22, 23, 24])
    before = bars.clone()
    found = stitch(bars, rolls)
    assert dict(found.schema) == SCHEMA
    assert bars.equals(before)
    assert not any(found[name].is_nan().any() for name, kind in found.schema.items() if kind == pl.Float64)


def test_t45_offsets_of_earlier_rows_stay_bit_equal_as_history_grows(market):
    compared = 0
    for seed in range(60):
        bars, last, days, *_ = random_market(seed)
        spec = market(last)
        try:
            full = stitch(bars, calendar(bars, spec))
        except ValueError:
            continue
        for t in np.random.default_rng(seed).choice(len(days), 4):
            part = bars.filter(pl.col("day") <= days[t])
            try:
                found = stitch(part, calendar(part, spec))
            except ValueError:
                continue
            kept = ["time", "contract", "settle", "offset", "factor", "next_contract", "next_price"]
            past = full.filter(pl.col("day") <= days[t])
            if past.filter(pl.col("roll") & pl.col("next_price").is_null()).height:
                kept = kept[:5]  # a closed position: its last row learns only later what follows
            assert found.select(kept).equals(past.select(kept)), (seed, days[t])
            compared += len(found)
    assert compared > 1000


def test_adjusted_changes_are_those_of_the_contracts_held(market):
    for seed in range(40):
        bars, last, *_ = random_market(seed)
        try:
            rolls = calendar(bars, market(last))
        except ValueError:
            continue
        found = stitch(bars, rolls).filter(pl.col("settle").is_not_null())
        price = {(c, d): x for c, d, x in bars.select("contract", "day", "settle").rows()}
        closed = set(rolls.frame.filter(pl.col("reason").str.starts_with("closed"))["to_contract"])
        at = dict(rolls.frame.select("to_contract", "day").rows())
        rows = found.select("contract", "day", "settle", "adjusted").rows()
        for (c0, _, x0, a0), (c1, d1, x1, a1) in pairwise(rows):
            if c0 == c1:
                assert a1 - a0 == pytest.approx(x1 - x0, abs=1e-9)
            elif c1 in closed and at[c1] == d1:
                assert a1 - a0 == pytest.approx(0, abs=1e-9)
            elif c1 in at and (c0, at[c1]) in price and price[c0, at[c1]] == x0:
                assert a1 - a0 == pytest.approx(x1 - price[c1, at[c1]], abs=1e-9)


def read_chain(path):
    """Multiple prices as `vendor_chains` rows; stamps are read as UTC, which orders them as well."""
    stamp = pl.col("DATETIME").str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us")
    frame = pl.read_csv(path, schema_overrides=[pl.String] + [pl.Float64] * 6)
    names = {"price": "PRICE", "forward": "FORWARD", "carry": "CARRY"}
    return tables.TABLES["vendor_chains"].conform(frame.select(
        stamp.dt.replace_time_zone("UTC").alias("time"), stamp.dt.date().alias("day"),
        pl.lit("pysystemtrade").alias("source"), pl.lit(path.name.split(".")[0]).alias("root"),
        pl.col("DATETIME").alias("source_time"), *(pl.col(x).alias(name) for name, x in names.items()),
        *((pl.col(f"{x}_CONTRACT") // 100).alias(f"{name}_contract") for name, x in names.items()),
    ))  # fmt: skip


def test_pysystemtrades_adjusted_prices_are_rebuilt_row_by_row(shared):
    paths = sorted((shared / "pysystemtrade" / "multiple_prices_csv").glob("*.csv.gz"))
    assert len(paths) == 38
    for path in paths:
        found = stitch_chain(read_chain(path))
        theirs = pl.read_csv(
            path.parent.parent / "adjusted_prices_csv" / path.name, schema_overrides=[pl.String, pl.Float64]
        )
        theirs = theirs.with_columns(pl.col("price").fill_nan(None))
        both = theirs.join(found, left_on="DATETIME", right_on="source_time", how="left", maintain_order="left")
        assert both["time"].null_count() == 0, path.name
        assert both["adjusted"].is_null().equals(both["price"].is_null(), check_names=False), path.name
        assert both.select((pl.col("adjusted") - pl.col("price")).abs().max()).item() <= 1e-9, path.name
        rolls = chain_calendar(read_chain(path))
        assert rolls.shares() == {"pysystemtrade": 1.0}
        assert found["roll"].sum() == len(rolls.frame)
        assert found["offset"][0] == 0.0


def barchart(shared, name):
    """Daily rows of one market's zip as `contract_bars`."""
    frames = []
    with zipfile.ZipFile(shared / "barchart" / "daily" / f"Day_{name}.zip") as archive:
        for member in archive.namelist():
            contract = int(member.rsplit("_", 1)[1][:6])
            table = pl.read_csv(io.BytesIO(archive.read(member)), schema_overrides=[pl.String] + [pl.Float64] * 5)
            frames.append(table.with_columns(contract=pl.lit(contract, pl.Int32)))
    stamp = pl.col("Time").str.to_datetime("%Y-%m-%dT%H:%M:%S%z", time_zone="UTC", time_unit="us")
    frame = pl.concat(frames).with_columns(stamp.alias("time"))
    return tables.TABLES["contract_bars"].conform(frame.select(
        "contract", "time", pl.lit("barchart").alias("source"), pl.lit(name).alias("root"),
        pl.col("time").dt.convert_time_zone("America/Chicago").dt.date().alias("day"), source_time="Time",
        open="Open", high="High", low="Low", settle="Close", volume="Volume",
    ))  # fmt: skip


def test_the_sp_earned_what_it_earned_in_full_years(shared):
    bars = barchart(shared, "SP500_micro")
    found = stitch(bars, calendar(bars, Master.load().spec("MES")))
    change = pl.col("adjusted").diff() / pl.col("settle").shift(1)
    years = found.with_columns(year=pl.col("day").dt.year(), earned=change).group_by("year").agg(pl.col("earned").sum())
    earned = dict(years.rows())
    assert {year: earned[year] for year in MES_YEARS} == {
        year: pytest.approx(x, abs=0.015) for year, x in MES_YEARS.items()
    }


@pytest.mark.parametrize("name, root", [("SILVER", "SI"), ("US2", "ZT"), ("JGB-SGX-mini", "SGB")])
def test_real_chains_keep_the_laws(shared, name, root):
    spec, bars = Master.load().spec(root), barchart(shared, name)
    rolls = calendar(bars, spec)
    found = stitch(bars, rolls)
    for contract, day in found.group_by("contract").agg(pl.col("day").max()).rows():
        assert day <= expiry.last_allowed(spec, contract)
    assert found["day"].is_sorted() and found["contract"].is_sorted()
    for t in np.random.default_rng(7).choice(found["day"], 5):
        part = bars.filter(pl.col("day") <= t)
        again = calendar(part, spec)
        assert again.frame.equals(rolls.frame.filter(pl.col("day") <= t))
        kept = ["day", "contract", "settle", "offset", "factor"]
        assert stitch(part, again).select(kept).equals(found.filter(pl.col("day") <= t).select(kept))


def test_a_chain_that_tells_the_old_contract_on_the_first_new_row_keeps_the_days_profit():
    day = [datetime(2024, 1, d, tzinfo=UTC) for d in (1, 2, 3)]
    rows = {"source": "quantiacs", "root": "X", "time": day, "day": [x.date() for x in day],
            "price": [10.0, 11.0, 15.0], "price_contract": [202403, 202403, 202406],
            "carry": [None, None, 12.0], "carry_contract": [None, None, 202403]}  # fmt: skip
    chain = tables.TABLES["vendor_chains"].conform(pl.DataFrame(rows))
    found = stitch_chain(chain)
    assert found["adjusted"].to_list() == [13.0, 14.0, 15.0]  # the old contract went from 11 to 12
    assert chain_calendar(chain).frame.select("day", "from_price", "to_price", "reason").rows() == [
        (day[1].date(), 12.0, 15.0, "quantiacs")
    ]
