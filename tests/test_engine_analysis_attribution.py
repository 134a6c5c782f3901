"""Pivots of a run's money: by hand, and to the cent over random books."""

from functools import cache
from itertools import combinations

import numpy as np
import pytest

from engine import backtest
from engine.analysis.attribution import ACCOUNT, DIMENSIONS, NO_TRADE, WEEKDAYS, DimensionUnknown, attribution
from engine.analysis.source import curve
from tests import analysed, random_runs
from tests.small_runs import Buys, Wants, market, portfolio

SEEDS = range(24)


@cache
def random(seed):
    """The attribution of a random book, with labels of days or of days and markets."""
    run, curved, _ = random_runs.run_of(seed)
    rng, count = np.random.default_rng(seed), len(run.equity()) - 1
    labels = {name: rng.choice(["calm", "wild"], count) for name in curved.market.names}
    return run, attribution(run, curved, labels if seed % 2 else labels[curved.market.names[0]])


def two_markets():
    """A long for two days and another short over the turn of a year, 10 and 5 a point, in dollars and euro; interest.

    A: 100, 101, 102, then flat. B: 50, 49, 51, 49.5. Bought at the second bar's open, which is its mark of before.
    """
    days = np.array(["2024-12-30", "2024-12-31", "2025-01-02", "2025-01-03", "2025-01-06"], "datetime64[D]")
    mark = np.array([[100.0, 50.0], [101.0, 49.0], [102.0, 51.0], [102.0, 49.5], [102.0, 49.5]])
    held = market(
        mark, ("A", "B"), open=np.vstack([mark[:1], mark[:-1]]), multiplier=[[10.0, 5.0]] * 5, days=days,
        sectors=("metals", "bonds"), currencies=("USD", "EUR"), next_mark=mark + np.array([0.3, 0.0]), next_days=30.0,
        rate=np.array([0.0, 0.0, 0.036, 0.0, 0.0]),
    )  # fmt: skip
    wants = np.array([[1.0, -1.0], [1.0, -1.0], [0.0, -1.0], [0.0, 0.0], [0.0, 0.0]])
    run = backtest(held, portfolio((Buys.of(wants), {}), settings=["portfolio.capital=100000"]))
    return run, attribution(run, curve(held), ["calm", "calm", "wild", "wild", ""])


def rows(frame):
    return [tuple(row) for row in frame.rows()]


# ---- by hand


def test_each_market_has_its_price_split_into_spot_and_roll_yield():
    run, told = two_markets()
    # A: +10, +10; its curve pays -10 x 0.30 / 30 = -0.10 a day, for the two days to 2 January and the one to the 3rd,
    # into which it was carried. B, short: +5, -10, +7.5; its curve is flat. Interest on what is free at the close of
    # the 2nd: 100,015 less the margins of 10 + 10 for a contract of each, at 3.6 %, one day: 9.9995.
    assert rows(told.pivot("market", "cause")) == [
        ("A", "spot", pytest.approx(20.3)), ("A", "roll_yield", pytest.approx(-0.3)),
        ("B", "spot", pytest.approx(2.5)), (ACCOUNT, "interest", pytest.approx(9.9995)),
    ]  # fmt: skip
    assert told.total == pytest.approx(run.equity()["equity"][-1] - 100_000.0)


def test_days_have_years_weekdays_and_regimes():
    _, told = two_markets()
    assert rows(told.pivot("year", "market")) == [
        ("2024", "A", pytest.approx(10.0)), ("2024", "B", pytest.approx(5.0)), ("2025", "A", pytest.approx(10.0)),
        ("2025", "B", pytest.approx(-2.5)), ("2025", ACCOUNT, pytest.approx(9.9995)),
    ]  # fmt: skip
    weekday = dict(zip(WEEKDAYS, told.matrix("weekday"), strict=True))
    assert weekday == pytest.approx(dict.fromkeys(WEEKDAYS, 0.0) | {"Tuesday": 15.0, "Friday": 17.4995})
    assert dict(rows(told.pivot("month"))) == pytest.approx({"January": 17.4995, "December": 15.0})
    assert dict(rows(told.pivot("regime"))) == pytest.approx({"calm": 15.0, "wild": 17.4995})


def test_trades_have_sides_reasons_and_a_holding_time_and_the_account_stands_apart():
    _, told = two_markets()
    assert told.pivot("side", "currency").rows() == [
        ("long", "USD", pytest.approx(20.0)), ("short", "EUR", pytest.approx(2.5)),
        (ACCOUNT, ACCOUNT, pytest.approx(9.9995)),
    ]  # fmt: skip
    assert told.matrix("side").tolist() == pytest.approx([20.0, 2.5, 0.0, 9.9995])  # long, short, no trade, account
    assert told.pivot("entry_reason")["entry_reason"].to_list() == ["market", ACCOUNT]
    assert told.pivot("exit_reason")["exit_reason"].to_list() == ["signal", ACCOUNT]
    assert told.pivot("holding")["holding"].to_list() == ["1-5", ACCOUNT]
    assert told.pivot("sector")["sector"].to_list() == ["bonds", "metals", ACCOUNT]


def test_a_wide_table_has_a_column_for_each_label_and_totals():
    _, told = two_markets()
    wide = told.wide("year", "market")
    assert wide.columns == ["year", "A", "B", ACCOUNT, "total"]
    assert wide["year"].to_list() == ["2024", "2025", "total"]
    assert wide.row(2)[1:] == pytest.approx((20.0, 2.5, 9.9995, 32.4995))
    assert told.wide("year").rows()[-1] == ("total", pytest.approx(32.4995))


def test_foreign_money_that_is_kept_is_of_its_market_and_of_no_trade():
    # T32: +2,500 euro at 1.10, then the trade is over; at 1.20 the 2,500 are worth 250 more
    mark = [18000.0, 18000.0, 18100.0, 18100.0, 18100.0]
    held = market(mark, multiplier=25.0, fx=[1.1, 1.1, 1.1, 1.1, 1.2], currencies=("EUR",))
    settings = ["portfolio.capital=100000", "execution.fx=hold"]
    run = backtest(held, portfolio((Buys.of([1.0, 1.0, 0.0, 0.0, 0.0]), {}), settings=settings))
    told = attribution(run, curve(held))
    assert dict(rows(told.pivot("side"))) == pytest.approx({"long": 2750.0, NO_TRADE: 250.0})
    assert rows(told.pivot("market")) == [("A", pytest.approx(3000.0))]


# ---- what is asked wrongly


def test_what_is_not_known_is_refused_with_what_is():
    run, told = two_markets()
    with pytest.raises(DimensionUnknown, match=r"'mraket' is no dimension; did you mean market\? allowed: cause, "):
        told.pivot("mraket")
    with pytest.raises(DimensionUnknown, match="ask for one, or two different ones"):
        told.pivot("market", "market")
    with pytest.raises(DimensionUnknown, match="currency is not known of this run without the market"):
        attribution(run).pivot("currency")
    with pytest.raises(DimensionUnknown, match="regime is not known of this run without a label of each day"):
        attribution(run).pivot("regime")
    with pytest.raises(DimensionUnknown, match="have 2 labels; needed is one of each of the 5 days"):
        attribution(run, regimes=["calm", "wild"]).pivot("regime")
    with pytest.raises(DimensionUnknown, match="regimes of B are not told; told are A"):
        attribution(run, regimes={"A": ["calm"] * 5}).pivot("regime")


def test_without_the_market_price_stays_whole_and_sectors_are_those_of_trades():
    told = attribution(two_markets()[0])
    assert dict(rows(told.pivot("cause"))) == pytest.approx({"price": 22.5, "interest": 9.9995})
    assert told.pivot("sector", "market").rows()[:2] == [
        ("bonds", "B", pytest.approx(2.5)), ("metals", "A", pytest.approx(20.0)),
    ]  # fmt: skip
    assert set(DIMENSIONS) - set(told.dimensions) == {"currency", "regime"}


def test_a_run_that_never_traded_has_pivots_of_nothing():
    held = market([100.0] * 3)
    run = backtest(held, portfolio((Buys.of([0.0] * 3), {})))
    told = attribution(run, curve(held), ["calm"] * 3)
    for by in combinations(DIMENSIONS, 2):
        assert told.pivot(*by).is_empty()
        assert told.matrix(*by).sum() == 0.0


# ---- random books


@pytest.mark.parametrize("seed", SEEDS)
def test_every_pivot_sums_to_the_change_of_equity_to_the_cent(seed):
    run, told = random(seed)
    equity = run.equity()["equity"]
    assert told.dimensions == tuple(DIMENSIONS)
    for by in [*((name,) for name in DIMENSIONS), *combinations(DIMENSIONS, 2)]:
        assert told.matrix(*by).sum() == pytest.approx(equity[-1] - equity[0], abs=0.005), by
        assert told.pivot(*by)["amount"].sum() == pytest.approx(equity[-1] - equity[0], abs=0.005), by


@pytest.mark.parametrize("seed", SEEDS)
def test_every_pivot_of_two_has_the_sums_of_each_of_them(seed):
    _, told = random(seed)
    for one, other in combinations(DIMENSIONS, 2):
        both = told.matrix(one, other)
        assert both.sum(axis=1) == pytest.approx(told.matrix(one), abs=1e-5)
        assert both.sum(axis=0) == pytest.approx(told.matrix(other), abs=1e-5)


@pytest.mark.parametrize("seed", SEEDS)
def test_trades_by_cause_are_what_the_run_says_of_its_trades(seed):
    run, told = random(seed)
    by_trade = told.by_trade()
    assert by_trade.sum(axis=1) == pytest.approx(told.parts.trades["net"].to_numpy(), abs=1e-5)
    account = run.ledger().filter(run.ledger()["market"] == "")["amount"].sum()
    assert told.matrix("market")[-1] == pytest.approx(account, abs=1e-6)
    assert told.matrix("side")[-2:].sum() + by_trade.sum() == pytest.approx(told.total, abs=1e-5)


def test_a_line_that_never_traded_has_no_row_and_tears_nothing():
    walked = analysed.walk(1, 300, 3)
    wanted = analysed.wanted(1, 300, 3)
    wanted[:, 1] = 0.0
    run = backtest(walked, portfolio((Wants.of(wanted), {}), settings=analysed.COSTS))
    labels = {name: np.array(["a"] * (len(run.equity()) - 1)) for name in ("A", "C")}
    told = attribution(run, curve(walked), labels)
    equity = run.equity()["equity"]
    for by in ("sector", "currency", "market", "regime"):
        rows = told.wide(by, "cause")
        assert rows["total"][-1] == pytest.approx(equity[-1] - equity[0], abs=0.005)
        assert not {"", "unknown"} & set(rows[by])


# ---- some of it


def test_some_trades_days_and_causes_alone():
    # A, long: 10 on Tuesday and on Thursday; B, short: 5, -10, 7.5; interest 9.9995 on Friday (see `two_markets`)
    _, told = two_markets()
    trades = [market == "A" for market in told.parts.trades["market"]]
    assert told.only(trades).total == pytest.approx(20.0 + 9.9995)
    nothing = [False] * len(told.parts.lines)
    assert rows(told.only(trades, [*nothing, False]).pivot("market")) == [("A", pytest.approx(20.0))]
    assert rows(told.only([False, False], [*nothing, True]).pivot("market", "cause")) == [
        (ACCOUNT, "interest", pytest.approx(9.9995))
    ]
    new_year = told.parts.days >= np.datetime64("2025-01-01")
    assert rows(told.only(days=new_year).pivot("market", "year")) == [
        ("A", "2025", pytest.approx(10.0)), ("B", "2025", pytest.approx(-2.5)), (ACCOUNT, "2025", pytest.approx(9.9995))
    ]  # fmt: skip
    assert rows(told.only(causes=["spot"]).pivot("side", "cause")) == [
        ("long", "spot", pytest.approx(20.3)), ("short", "spot", pytest.approx(2.5))
    ]  # fmt: skip
    assert told.only(causes=[]).total == 0.0 and told.only(causes=[]).pivot("year").is_empty()
    assert told.labels("side") == ["long", "short", NO_TRADE, ACCOUNT]


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_asked_for_and_the_rest_of_it_are_all_of_it(seed):
    _, told = random(seed)
    rng, parts = np.random.default_rng(seed), told.parts
    of_days, of_causes = rng.random(len(parts.days)) < 0.5, rng.random(len(parts.causes)) < 0.5
    names = np.array(parts.causes)
    groups = [rng.random(len(parts.trades)) < 0.5, rng.random(len(parts.lines) + 1) < 0.5]
    halves = [told.only(*groups), told.only(*(~group for group in groups))]
    quarters = [told.only(days=of_days), told.only(days=~of_days, causes=names[of_causes])]
    quarters.append(told.only(days=~of_days, causes=names[~of_causes]))
    for by in [*((name,) for name in DIMENSIONS), *combinations(DIMENSIONS, 2)]:
        whole = pytest.approx(told.matrix(*by), abs=1e-5)
        assert sum(one.matrix(*by) for one in halves) == whole, by
        assert sum(one.matrix(*by) for one in quarters) == whole, by


@pytest.mark.parametrize("seed", SEEDS[:8])
def test_the_net_of_some_trades_is_what_the_run_says_of_them(seed):
    _, told = random(seed)
    some = np.random.default_rng(seed).random(len(told.parts.trades)) < 0.4
    alone = told.only(some, np.zeros(len(told.parts.lines) + 1, bool))
    assert alone.total == pytest.approx(told.parts.trades["net"].to_numpy()[some].sum(), abs=1e-5)
