"""store/laboratory.py: T3 by hand, a holder of dated contracts as twin, and another vendor's stitched series."""

from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest

from store import history, rolls, tables
from store.contracts import Master
from store.laboratory import SUMMARY, TOLD, compare, told
from store.roll_rules import UnknownRule

H, M, U = 202403, 202406, 202409  # of ES: the last trade is on Friday 2024-03-15, the last allowed day the 14th
ES = Master.load().spec("ES")  # 50 dollars a point
EARLY, LATE = "last-trade-5", "last-trade-2"  # Friday the 8th, Wednesday the 13th
DAYS = np.busday_offset("2024-03-04", np.arange(13)).tolist()  # Monday the 4th to Wednesday the 20th
NEAR = [4000, 4020, 4050, 4080, 4100, 4105, 4107, 4110, 4108, 4112]  # H, up to its last trade
NEXT = [4024, 4044, 4074, 4105, 4125, 4126, 4127, 4130, 4130, 4133, 4140, 4145, 4150]
FAR = [price + 20 for price in NEXT]
VOLUME = {  # of H, M, U
    H: [900, 900, None, 800, 600, 450, 80, 50, 20, 10],
    M: [90, 90, None, 150, 300, 500, 900, 900, 900, 900, 900, 900, 900],
    U: [10, 10, None, 50, 100, 50, 20, 50, 80, 90, 100, 100, 100],
}
REAL = ("MES", "ZC", "SI", "ZN")
RULES = ("volume:1", "oi", "first-notice-5", "last-trade-8", "month-end-3")


def make_bars(prices, volume=None, days=DAYS, root="ES", at=23):
    """`contract_bars` rows; `prices` and `volume` are {contract: list by day}, None where there is no bar or number."""
    rows = []
    for contract, values in prices.items():
        known = (volume or {}).get(contract, [None] * len(values))
        for day, price, traded in zip(days, values, known, strict=False):
            time = datetime(day.year, day.month, day.day, at, tzinfo=UTC)
            row = {"source": "test", "root": root, "contract": contract, "time": time, "day": day}
            row |= {"source_time": str(day), "settle": price, "volume": traded}
            rows += [row] if price is not None else []
    return tables.TABLES["contract_bars"].conform(pl.DataFrame(rows, infer_schema_length=None))


def s_and_p(**changes):
    return make_bars({H: NEAR, M: NEXT, U: FAR} | changes.pop("prices", {}), **({"volume": VOLUME} | changes))


def rows(found, *columns):
    """{rule: values of these columns of the summary}."""
    return {row[0]: row[1:] for row in found.summary.select("rule", *columns).iter_rows()}


def holder(bars, calendar, first, last):
    """Points that a holder of one dated contract earns from the close of `first` to that of `last`; bars are daily.

    Buys and sells are looked up in the bars: nothing of the calendar's prices and of no offset is used.
    """
    price = {(c, d): p for c, d, p in bars.select("contract", "day", pl.coalesce("settle", "close")).iter_rows()}
    changes = calendar.frame.select("day", "to_contract", "decided", "reason").rows()
    contract, entered, earned = calendar.first, None, 0.0
    for day, into, decided, reason in changes:
        broken = reason.startswith("closed")
        if day >= last and not (broken and day == last):
            break
        gone = max(d for c, d in price if c == contract and d <= decided) if broken else day
        if day > first or (day == first and not broken):
            earned += price[contract, gone] - price[contract, entered or first]
            entered = day
        contract = into
    return earned + price[contract, last] - price[contract, entered or first]


def test_t3_profit_is_the_change_of_price_less_the_spreads():
    found = compare(s_and_p(), ES, [EARLY, LATE])
    assert (found.first, found.last, found.rules) == (DAYS[0], DAYS[-1], (EARLY, LATE))
    # T3: 100 points in H, 25 in M, 6,250 dollars; the spliced price says 7,500, of which the spread of 25 was no profit
    assert rows(found, "total_points", "price_points", "roll_points")[EARLY] == (125.0, 150.0, -25.0)
    assert rows(found, "total_money", "price_money", "roll_money") == {
        EARLY: (6250.0, 7500.0, -1250.0),
        LATE: (6500.0, 7500.0, -1000.0),  # 110 points in H and 20 in M: rolled from 4110 to 4130
    }


def test_rolls_lie_side_by_side_and_a_pair_that_a_rule_does_not_roll_is_null():
    skips = f"{EARLY},months=HU"
    found = compare(s_and_p(), ES, [EARLY, LATE, skips]).rolls
    assert found.columns == [
        "from_contract", "to_contract", f"day {EARLY}", f"day {LATE}", f"day {skips}",
        f"spread {EARLY}", f"spread {LATE}", f"spread {skips}",
    ]  # fmt: skip
    assert found.rows() == [
        (H, M, date(2024, 3, 8), date(2024, 3, 13), None, 25.0, 20.0, None),
        (H, U, None, None, date(2024, 3, 8), None, None, 45.0),
    ]


def test_a_roll_is_told_with_the_volume_of_both_legs_and_the_days_that_were_left():
    found = told(s_and_p(), rolls.calendar(s_and_p(), ES, EARLY), ES)
    assert found.schema == TOLD
    assert found.rows() == [
        ("ES", date(2024, 3, 8), H, M, 4100.0, 4125.0, 25.0, 600.0, 300.0, 0.6, 0.3, 4, date(2024, 3, 7), EARLY)
    ]  # 600, 300 and 100 traded; the 11th to the 14th were left
    late = told(s_and_p(), rolls.calendar(s_and_p(), ES, LATE), ES).row(0, named=True)
    assert (late["from_share"], late["to_share"], late["sessions_left"]) == (0.05, 0.9, 1)


def test_who_holds_past_the_last_allowed_day_has_less_than_no_day_left():
    found = told(s_and_p(), rolls.calendar(s_and_p(), ES, "last-trade-0,exit=expiry"), ES)
    assert found.select("day", "sessions_left").row(0) == (date(2024, 3, 15), -1)


def test_shares_count_every_contract_of_the_chain_held_or_not():
    narrow = replace(ES, held_months="HM")
    found = told(s_and_p(), rolls.calendar(s_and_p(), narrow, EARLY), narrow)
    assert found["from_share"].to_list() == [0.6]


def test_days_in_an_illiquid_month_are_counted_where_volume_is_known():
    found = compare(s_and_p(), ES, [EARLY, LATE])
    told_of = ("days_held", "days_missing", "days_known", "illiquid_days", "illiquid_share")
    # the late rule still holds H on the 12th (80 of 1,000) and the 13th (50 of 1,000); of the 6th nothing is known
    assert rows(found, *told_of) == {EARLY: (13, 0, 12, 0, 0.0), LATE: (13, 0, 12, 2, 2 / 12)}
    strict = compare(s_and_p(), ES, [LATE], illiquid_below=0.5)
    assert rows(strict, "illiquid_days")[LATE] == (3,)  # and on the 11th, 450 of 1,000


def test_a_day_without_a_bar_of_the_contract_held_is_missing_and_not_illiquid():
    near = [*NEAR[:2], None, *NEAR[3:]]
    found = compare(s_and_p(prices={H: near}), ES, [EARLY])
    assert rows(found, "days_held", "days_missing", "days_known")[EARLY] == (12, 1, 12)
    assert rows(found, "total_points")[EARLY] == (125.0,)


def test_cost_is_two_sides_a_roll():
    found = compare(s_and_p(), ES, [EARLY], side_cost=14.6)  # T5: 29.20 a roll
    assert rows(found, "rolls", "sides")[EARLY] == (1, 2)
    assert rows(found, "rolls_per_year", "cost_per_year")[EARLY] == pytest.approx((365.25 / 16, 29.20 * 365.25 / 16))
    assert rows(compare(s_and_p(), ES, [EARLY]), "cost_per_year")[EARLY] == (None,)


def test_what_is_not_known_is_null_and_never_zero():
    found = compare(make_bars({H: NEAR, M: NEXT}), ES, [EARLY])
    columns = ("from_share_mean", "from_share_median", "illiquid_days", "illiquid_share")
    assert rows(found, "days_known", *columns)[EARLY] == (0, None, None, None, None)
    found = compare(make_bars({H: NEAR, M: NEXT}, {H: [0] * 10, M: [0] * 13}), ES, [EARLY])
    assert rows(found, "days_known", *columns)[EARLY] == (0, None, None, None, None)
    unknown = compare(s_and_p(root="PLUTONIUM"), None, [EARLY], side_cost=None)
    columns = ("sessions_left_mean", "total_money", "price_money", "roll_money", "cost_per_year")
    assert rows(unknown, *columns)[EARLY] == (None,) * 5
    assert rows(unknown, "total_points")[EARLY][0] is not None


def test_a_chain_of_a_vendor_is_told_without_volume():
    row = (DAYS[4], None, H, M, 4100.0, 4125.0, None, "pysystemtrade")
    made = rolls.RollCalendar("ES", "pysystemtrade", H, pl.DataFrame([row], rolls.SCHEMA, orient="row"))
    assert told(None, made).select("spread", "from_share", "sessions_left").row(0) == (25.0, None, None)


def test_a_rule_without_a_calendar_says_why_and_the_others_go_on():
    found = compare(s_and_p(), ES, [EARLY, "volume,months=FG", LATE])
    lost = found.summary.row(1, named=True)
    assert "no bars in a held month (FG)" in lost["error"]
    assert all(lost[name] is None for name in SUMMARY if name not in ("rule", "error"))
    assert rows(found, "total_points", "error")[LATE] == (130.0, None)
    assert list(found.calendars) == [EARLY, LATE] and found.held["rule"].n_unique() == 2
    nothing = compare(s_and_p(), ES, ["volume,months=FG"])
    assert (nothing.first, nothing.rolls.height, nothing.held.height, nothing.summary.height) == (None, 0, 0, 1)


def test_without_bars_there_is_nothing_to_compare():
    with pytest.raises(ValueError, match="no bars to compare roll rules on"):
        compare(s_and_p().clear(), ES, [EARLY])


def test_a_rule_that_cannot_be_read_is_refused_before_any_work():
    with pytest.raises(UnknownRule, match="did you mean 'volume'"):
        compare(s_and_p(), ES, [EARLY, "volum"])


def test_a_stored_calendar_is_a_rule_by_its_name():
    plan = pl.DataFrame({"day": [DAYS[6]], "from_contract": [H], "to_contract": [M]})
    made = rolls.calendar(s_and_p(), ES, LATE)
    found = compare(s_and_p(), ES, ["mine", "theirs"], given={"mine": plan, "theirs": made})
    assert rows(found, "roll_points") == {"mine": (-20.0,), "theirs": (-20.0,)}  # of 4107 and 4127 on the 12th
    assert found.rolls.row(0)[2:4] == (DAYS[6], date(2024, 3, 13))


def test_all_rules_are_told_of_the_days_on_which_all_of_them_hold_a_contract():
    only_u = f"{EARLY},months=U"  # U is listed from the third day on
    bars = s_and_p(prices={U: [None, None, *FAR[2:]]})
    found = compare(bars, ES, [EARLY, only_u])
    assert (found.first, found.last) == (DAYS[2], DAYS[-1])
    assert rows(found, "days_held", "total_points") == {EARLY: (11, 50.0 + 25.0), only_u: (11, 4170.0 - 4094.0)}
    assert found.held.filter(pl.col("rule") == only_u)["contract"].unique().to_list() == [U]
    with pytest.raises(ValueError, match="on no day does every rule hold a contract"):
        compare(
            make_bars({H: NEAR[:3], U: [None] * 5 + FAR[5:]}), ES, ["last-trade-0,months=H", "last-trade-0,months=U"]
        )


def test_a_roll_on_the_first_day_counts_and_one_on_the_last_does_not():
    whole = {"mine": rolls.calendar(s_and_p(), ES, EARLY)}
    after, before = s_and_p().filter(pl.col("day") >= DAYS[4]), s_and_p().filter(pl.col("day") <= DAYS[4])
    columns = ("rolls", "total_points", "price_points", "roll_points")
    # bought at 4100 in H and rolled at that close: 25 points in M; the spliced price rose by 50
    assert rows(compare(after, ES, ["mine"], whole), *columns)["mine"] == (1, 25.0, 50.0, -25.0)
    assert rows(compare(before, ES, ["mine"], whole), *columns)["mine"] == (0, 100.0, 100.0, 0.0)


def test_a_break_earns_nothing():
    # H ends on its last allowed day, the 14th, at 4108; M has its first price on the 18th, 4140
    bars = s_and_p(prices={M: [None] * 10 + NEXT[10:], U: [None] * 13})
    found = compare(bars, ES, [EARLY])
    columns = ("rolls", "closed", "total_points", "price_points", "roll_points", "spread_size_mean", "waited")
    assert rows(found, *columns)[EARLY] == (1, 1, 108.0 + 10.0, 150.0, -32.0, None, 0)
    assert told(bars, found.calendars[EARLY], ES)["sessions_left"].to_list() == [0]


def test_a_wait_is_counted():
    found = compare(s_and_p(prices={M: [*NEXT[:4], None, *NEXT[5:]], U: [None] * 13}), ES, [EARLY])
    assert rows(found, "waited", "roll_points", "fallback_share", "forced_share")[EARLY] == (1, -21.0, 0.0, 0.0)


def test_forced_and_fallback_rolls_are_told_as_shares():
    found = compare(s_and_p(volume=None), ES, ["volume", "last-trade-0"])
    assert rows(found, "fallback_share", "forced_share") == {"volume": (1.0, 0.0), "last-trade-0": (0.0, 1.0)}


def test_bars_within_the_day_tell_the_same_profit():
    """Two bars a day; the roll is at the later one, so all that a day's end decides stays as it was."""
    morning = {c: [p + 3 for p in prices] for c, prices in {H: NEAR, M: NEXT, U: FAR}.items()}
    volume = {c: [None if v is None else v / 2 for v in values] for c, values in VOLUME.items()}
    both = pl.concat([s_and_p(volume=volume), make_bars(morning, volume, at=15)])
    left = ["rule", "days_held", "from_share_mean", "illiquid_days", "total_points", "price_points", "roll_points"]
    once, twice = (compare(bars, ES, [EARLY, LATE]) for bars in (s_and_p(), both))
    assert twice.summary.select(left).equals(once.summary.select(left))
    assert twice.held.equals(once.held)


def test_inputs_stay_as_they_were_and_progress_is_told():
    bars, steps = s_and_p(), []
    before = bars.clone()
    compare(bars, ES, [EARLY, LATE, EARLY], progress=lambda *step: steps.append(step))
    assert bars.equals(before)
    assert steps == [(0, 2, EARLY), (1, 2, LATE), (2, 2, "")]  # a rule that came twice is one


@pytest.fixture(scope="module")
def compared(real):
    """{root: (bars, Comparison)} of real markets."""
    out = {}
    for root in REAL:
        bars = history.bars(real, root).read()
        out[root] = bars, compare(bars, history.spec(real, root), RULES, side_cost=10.0)
    return out


@pytest.mark.parametrize("root", REAL)
def test_real_profit_is_that_of_a_holder_of_dated_contracts(compared, root):
    bars, found = compared[root]
    for rule, (total, price, roll) in rows(found, "total_points", "price_points", "roll_points").items():
        assert total == pytest.approx(price + roll, abs=1e-9)
        assert total == pytest.approx(holder(bars, found.calendars[rule], found.first, found.last), abs=1e-9)
        spreads = found.rolls[f"spread {rule}"].drop_nulls()
        assert roll == pytest.approx(-spreads.sum(), abs=1e-9)
        assert len(spreads) == rows(found, "rolls")[rule][0]


@pytest.mark.parametrize("root", REAL)
def test_real_shares_are_those_of_the_bars(compared, root):
    bars, found = compared[root]
    volume = {(c, d): v for c, d, v in bars.select("contract", "day", "volume").iter_rows()}
    total = dict(bars.group_by("day").agg(pl.col("volume").sum()).iter_rows())
    made = found.calendars["volume:1"]
    for row in told(bars, made).iter_rows(named=True):
        for leg in ("from", "to"):
            mine, all_ = volume.get((row[f"{leg}_contract"], row["day"])), total[row["day"]]
            known = mine is not None and all_ > 0
            assert row[f"{leg}_share"] == (pytest.approx(mine / all_) if known else None)


@pytest.mark.parametrize(
    ("root", "market", "first", "last", "tolerance"),
    [
        ("ZN", "US10", date(1995, 1, 3), date(2004, 12, 31), 0.01),
        ("ZN", "US10", date(2005, 1, 3), date(2014, 12, 31), 0.01),
        ("ZN", "US10", date(2010, 1, 4), date(2020, 12, 31), 0.01),
        ("SI", "SILVER", date(1995, 1, 3), date(2004, 12, 30), 0.10),
        ("SI", "SILVER", date(2010, 1, 4), date(2020, 12, 31), 0.10),
    ],
)
def test_the_roll_part_is_that_of_another_vendors_stitched_series(real, shared, root, market, first, last, tolerance):
    """pysystemtrade holds the same months and rolls by its own calendar: back-adjusted less unadjusted price, from a
    day to another on which both hold the same contract, is what its rolls were worth. A note's holder earns by rolling
    (the coupon is above the rate of the loan), a holder of silver pays (storage and interest)."""
    folder = shared / "pysystemtrade"
    prices = pl.read_csv(folder / "multiple_prices_csv" / f"{market}.csv.gz").with_columns(
        pl.read_csv(folder / "adjusted_prices_csv" / f"{market}.csv.gz")["price"]
    )
    prices = prices.drop_nulls(["PRICE", "price"]).with_columns(pl.col("DATETIME").str.slice(0, 10).str.to_date())
    prices = prices.filter(pl.col("DATETIME").is_between(first, last))
    offset = prices["price"] - prices["PRICE"]
    bars = history.bars(real, root).read().filter(pl.col("day").is_between(first, last))
    found = compare(bars, history.spec(real, root), ["volume:1"])
    held = found.held["contract"]
    assert [prices["PRICE_CONTRACT"][i] // 100 for i in (0, -1)] == [held[0], held[-1]]
    theirs = offset[-1] - offset[0]
    assert np.sign(theirs) == (1 if root == "ZN" else -1)
    assert rows(found, "roll_points")["volume:1"][0] == pytest.approx(theirs, rel=tolerance)
