"""store/constant.py: interpolation by hand, its laws, and a year of real VX."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
import test_store_rolls
from test_store_rolls import LATE, make_bars, random_market, weekdays

from store import tables
from store.constant import APART, NEITHER, NO_FAR, NO_NEAR, SCHEMA, constant_maturity
from store.contracts import Master

market = test_store_rolls.market
START = date(2024, 1, 1)  # a Monday


def two(market, near, far, ends=(20, 50), days=30, **fields):
    """Constant maturity of two contracts that end so many days after the first of `weekdays`."""
    n = len(near)
    bars = make_bars(weekdays(n), {202401: {"settle": near} | fields, 202402: {"settle": far}})
    trades = {c: START + timedelta(days=end) for c, end in zip((202401, 202402), ends, strict=True)}
    return constant_maturity(bars, market(trades=trades), days)


def test_a_price_between_two_contracts_by_hand(market):
    found = two(market, [20.0, 20.0], [23.0, 23.0])
    # day 0: 20 and 50 days away, w = (50 - 30) / 30; day 1: 19 and 49, w = 19/30
    assert found["weight"].to_list() == pytest.approx([20 / 30, 19 / 30])
    assert found["price"].to_list() == pytest.approx([21.0, 20 * 19 / 30 + 23 * 11 / 30])
    assert found.select("near_contract", "near_price", "near_days", "far_contract", "far_price", "far_days").row(0) == (
        202401, 20.0, 20, 202402, 23.0, 50,
    )  # fmt: skip
    assert found["tradable"].to_list() == [False, False] and found["days"].to_list() == [30, 30]
    assert dict(found.schema) == SCHEMA


def test_the_slide_along_the_curve_is_no_profit(market):
    found = two(market, [20.0, 20.0, 20.5], [23.0, 23.0, 23.2])
    assert found["price"][1] - found["price"][0] == pytest.approx(0.1)  # 3 points of curve by a thirtieth of it
    assert found["change"].to_list() == [None, 0.0, pytest.approx(19 / 30 * 0.5 + 11 / 30 * 0.2)]


def test_on_the_day_itself_it_is_the_contracts_own_price(market):
    found = two(market, [20.0, 20.0], [23.0, 24.0], ends=(30, 58))
    assert found.select("price", "weight", "near_days").row(0) == (20.0, 1.0, 30)
    alone = make_bars(weekdays(2), {202401: {"settle": [20.0, 21.0]}})
    found = constant_maturity(alone, market(trades={202401: START + timedelta(days=30)}))
    assert found["price"].to_list() == [20.0, None] and found["far_contract"].to_list() == [None, None]
    assert found["reason"].to_list() == [None, NO_FAR] and found["change"].to_list() == [None, 1.0]


def test_a_contract_is_out_on_its_last_trade_day(market):
    found = two(market, [20.0, 20.0, 20.0], [23.0, 23.0, 23.0], ends=(2, 60))
    assert found["price"].is_null().to_list() == [False, False, True]
    assert found["reason"].to_list() == [None, None, NO_NEAR]
    assert found["change"].to_list() == [None, 0.0, 0.0]  # held overnight, it still earns on that day


def test_there_is_no_extrapolation_and_the_reason_is_told(market):
    assert two(market, [20.0], [23.0], ends=(31, 60))["reason"].to_list() == [NO_NEAR]
    assert two(market, [20.0], [23.0], ends=(10, 29))["reason"].to_list() == [NO_FAR]
    found = two(market, [20.0], [None])
    assert found.select("price", "near_contract", "near_price", "weight", "reason").row(0) == (*[None] * 4, NO_FAR)
    bars = make_bars(weekdays(1), {202401: {"volume": [5.0]}})
    assert constant_maturity(bars, market())["reason"].to_list() == [NEITHER]


def test_a_missing_price_lets_the_next_contract_bracket(market):
    days = weekdays(1)
    unpriced = {"settle": [None], "volume": [3]}
    bars = make_bars(days, {202401: {"settle": [10]}, 202402: unpriced, 202403: unpriced, 202404: {"settle": [40]}})
    trades = {202401 + k: START + timedelta(days=x) for k, x in enumerate((10, 28, 55, 90))}
    found = constant_maturity(bars, market(trades=trades))
    assert found["price"].to_list() == pytest.approx([(60 * 10 + 20 * 40) / 80])
    assert found.select("near_contract", "far_contract").row(0) == (202401, 202404)


def test_close_counts_where_settle_does_not_bracket_but_never_one_of_each(market):
    days, trades = weekdays(1), {202401: START + timedelta(days=20), 202402: START + timedelta(days=50)}
    both = make_bars(days, {202401: {"settle": [10.0], "close": [11.0]}, 202402: {"close": [14.0]}})
    assert constant_maturity(both, market(trades=trades))["price"].to_list() == pytest.approx([12.0])
    apart = make_bars(days, {202401: {"settle": [10.0]}, 202402: {"close": [14.0]}})
    assert constant_maturity(apart, market(trades=trades))["reason"].to_list() == [APART]


def test_months_that_are_not_held_do_not_bracket(market):
    bars = make_bars(weekdays(1), {202401: {"settle": [10.0]}, 202402: {"settle": [99.0]}, 202403: {"settle": [14.0]}})
    trades = {
        202401: START + timedelta(days=20),
        202402: START + timedelta(days=40),
        202403: START + timedelta(days=60),
    }
    found = constant_maturity(bars, market(held="FHK", trades=trades))
    assert found["price"].to_list() == pytest.approx([11.0]) and found["far_contract"].to_list() == [202403]


def test_a_holding_without_a_price_is_held_on_and_told_of_at_the_next(market):
    found = two(market, [20.0, 20.0, 23.0], [23.0, None, 26.0])
    assert found["price"].is_null().to_list() == [False, True, False]
    assert found["change"].to_list() == [None, None, pytest.approx(3.0)]
    gone = two(market, [20.0, None, None], [23.0, 24.0, 25.0], ends=(1, 60))  # its last day has no bar
    assert gone["change"].to_list() == [None, None, None]


def test_within_the_day_the_last_moment_that_can_be_bracketed_counts(market):
    rows = [(202401, 15, 10.0), (202402, 15, 13.0), (202401, 16, 20.0), (202402, 16, 23.0), (202401, 17, 90.0)]
    each = [
        {"root": "XX", "contract": c, "day": START, "time": datetime(2024, 1, 1, h, tzinfo=UTC), "close": x}
        for c, h, x in rows
    ]
    bars = tables.TABLES["contract_bars"].conform(pl.DataFrame(each))
    trades = {202401: START + timedelta(days=20), 202402: START + timedelta(days=50)}
    found = constant_maturity(bars, market(trades=trades))
    assert found["price"].to_list() == pytest.approx([21.0]) and len(found) == 1


def test_a_market_without_facts_and_a_maturity_of_nothing_are_refused(market):
    bars = make_bars(weekdays(1), {202401: {"settle": [10.0]}})
    with pytest.raises(ValueError, match=r"needs the days of last trades"):
        constant_maturity(bars, None)
    spec = market()
    spec.root = "XX"
    with pytest.raises(ValueError, match=r"XX: a maturity of 0 days; allowed are 1 or more calendar days"):
        constant_maturity(bars, spec, 0)


def slow(bars, trades, days):
    """The same in plain Python: {day: (near, far, price)}."""
    out = {}
    for day in sorted(set(bars["day"])):
        priced = [
            ((trades[c] - day).days, c, x)
            for c, d, x in bars.select("contract", "day", "settle").rows()
            if d == day and x is not None and trades[c] > day
        ]
        near = max((row for row in priced if row[0] <= days), default=None)
        far = min((row for row in priced if row[0] > days), default=None)
        if near and near[0] == days:
            out[day] = (near[1], near[2])
        elif near and far:
            out[day] = (near[1], near[2] + (far[2] - near[2]) * (days - near[0]) / (far[0] - near[0]))
    return out


def test_the_laws_on_random_markets(market):
    told = 0
    for seed in range(60):
        bars, last, days, *_ = random_market(seed)
        bars = bars.filter(pl.any_horizontal(pl.col("settle", "volume").is_not_null()))
        spec, before = market(trades=last), bars.clone()
        for length in (5, 20):
            found = constant_maturity(bars, spec, length)
            assert bars.equals(before)
            rows = found.drop_nulls("price")
            twin = slow(bars, last, length)
            assert dict(zip(rows["day"], rows["near_contract"], strict=True)) == {d: x[0] for d, x in twin.items()}
            assert rows["price"].to_list() == pytest.approx([x[1] for x in twin.values()])
            two_legs = rows.drop_nulls("far_price")
            low, high = pl.min_horizontal("near_price", "far_price"), pl.max_horizontal("near_price", "far_price")
            inside = pl.col("price").is_between(low - 1e-9, high + 1e-9) & pl.col("weight").is_between(0, 1)
            assert two_legs.select(inside.all()).item()
            assert found.select((pl.col("price").is_null() == pl.col("reason").is_not_null()).all()).item()
            told += len(rows)
            day = days[len(days) // 2] if days else LATE
            part = constant_maturity(bars.filter(pl.col("day") <= day), spec, length)
            assert part.equals(found.filter(pl.col("day") <= day)), (seed, length)
    assert told > 500


def test_vx_of_2012_has_a_price_at_30_days(shared):
    paths = sorted((shared / "cfe_vx").glob("CFE_?1[123]_VX.csv"))
    frames = []
    for path in paths:
        table = pl.read_csv(path, infer_schema=False)
        contract = (2000 + int(path.name[5:7])) * 100 + "FGHJKMNQUVXZ".index(path.name[4]) + 1
        frames.append(table.select(
            pl.lit("VX").alias("root"), pl.lit(contract, pl.Int32).alias("contract"),
            pl.col("Trade Date").str.to_date("%m/%d/%Y").alias("day"), settle=pl.col("Settle").cast(pl.Float64),
        ).with_columns(time=pl.col("day").cast(pl.Datetime("us", "UTC"))))  # fmt: skip
    bars = tables.TABLES["contract_bars"].conform(pl.concat(frames).filter(pl.col("settle") > 0))
    found = constant_maturity(bars, Master.load().spec("VX"))
    year = found.filter(pl.col("day").is_between(date(2012, 1, 1), date(2012, 12, 14)))  # F13, the last file, ends then
    assert len(year) > 235
    assert year["price"].count() >= 0.95 * len(year)
    assert set(year.filter(pl.col("price").is_null())["reason"]) == {NO_NEAR}  # a cycle of five weeks begins
    assert year.filter(pl.col("price").is_null())["day"].dt.weekday().is_in([3, 4, 5]).all()
    # from the files: on 2012-06-01 M12, which ends on 06-20, settled at 27.75, and N12, to 07-18, at 29.15
    row = year.filter(pl.col("day") == date(2012, 6, 1)).select("near_days", "far_days", "price").row(0)
    assert row == (19, 47, pytest.approx((17 * 27.75 + 11 * 29.15) / 28))
    # long the constant maturity in contango: prices fell less than the holder lost
    fall = year["price"].drop_nulls()[-1] - year["price"][0]
    assert year["change"].sum() < fall < 0
