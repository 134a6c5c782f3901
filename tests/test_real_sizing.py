"""What the sizing rules promise, measured on forty years of real prices: realised against target, crises among them.

Frictionless and in fractions of contracts: a size of one row earns the change after the next. What costs, rolls
and whole contracts add is not in it: what is measured here is the rule alone.
"""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from engine.indicators import average_gap, change
from engine.sizing import SIZERS
from engine.sizing.covariance import covariances
from engine.sizing.sizer import point_risk
from engine.sizing.whole import nearest

FIRST, ALL = np.datetime64("1995-01-01"), ("1995-01-01", "2030-01-01")
CRISES = {"2008": ("2008-01-01", "2010-01-01"), "2014": ("2014-01-01", "2017-01-01")}
CRISES |= {"2020": ("2020-01-01", "2021-01-01"), "2022": ("2022-01-01", "2023-01-01")}


@pytest.fixture(scope="module")
def market(shared):
    """Adjusted prices of some thirty-five markets, one a weekday; sizes of a point are all 1."""
    folder = shared / "pysystemtrade" / "adjusted_prices_csv"
    if not folder.is_dir():
        pytest.skip("no adjusted prices of pysystemtrade in ../shared/data")
    series = {
        path.name.split(".")[0]: _daily(path) for path in sorted(folder.glob("*.csv.gz")) if "micro" not in path.name
    }
    days = np.unique(np.concatenate([own["day"].to_numpy() for own in series.values()]).astype("datetime64[D]"))
    days = days[np.is_busday(days)]
    mark = np.full((len(days), len(series)), np.nan)
    for m, own in enumerate(series.values()):
        own = own.filter(pl.col("day").dt.weekday() <= 5)
        mark[np.searchsorted(days, own["day"].to_numpy().astype("datetime64[D]")), m] = own["price"].to_numpy()
    seen = np.maximum.accumulate(~np.isnan(mark), axis=0)
    left = np.maximum.accumulate(~np.isnan(mark)[::-1], axis=0)[::-1]
    ones = np.ones(mark.shape)
    return SimpleNamespace(
        roots=tuple(series), days=days, mark=mark, adjusted=mark, available=seen & left, multiplier=ones, fx=ones
    )


def _daily(path):
    days = pl.col("DATETIME").str.slice(0, 10).str.to_date().alias("day")
    return (
        pl.read_csv(path, schema_overrides={"price": pl.Float64})
        .select(days, "price")
        .drop_nulls()
        .unique("day", keep="last", maintain_order=True)
    )


@pytest.fixture(scope="module")
def trend(market):
    """1 above, -1 below: average of 50 days against that of 200."""
    return np.sign(np.nan_to_num(average_gap(market.adjusted, 50) - average_gap(market.adjusted, 200)))


def weights(rule, market, forecast, **params):
    """Sizes of one line a market, of one strategy."""
    columns = np.arange(len(market.roots))
    return SIZERS[rule](**params).weights(market, forecast, columns, np.ones(len(columns)))


def earned(size, market, span):
    """Profit of each day of a span, by capital."""
    profit = (size[:-2] * np.nan_to_num(change(market.adjusted))[2:]).sum(axis=1)
    days = market.days[2:]
    return profit[(days >= np.datetime64(span[0])) & (days < np.datetime64(span[1]))]


def swing(size, market, span):
    """Volatility a year of a span."""
    return float(earned(size, market, span).std() * np.sqrt(252.0))


@pytest.mark.parametrize("rule", ["portfolio_volatility", "equal_risk"])
@pytest.mark.parametrize("book", ["trend", "long"])
def test_a_book_swings_as_it_is_told_through_every_crisis(market, trend, rule, book):
    size = weights(rule, market, trend if book == "trend" else np.ones(trend.shape), target=0.20)
    assert swing(size, market, ALL) == pytest.approx(0.20, rel=0.10)
    for name, span in CRISES.items():
        assert 0.16 < swing(size, market, span) < 0.27, name


def test_each_market_swings_as_it_is_told(market):
    for m in range(len(market.roots)):
        alone = SimpleNamespace(roots=market.roots[m : m + 1], days=market.days)
        for name in ("mark", "adjusted", "available", "multiplier", "fx"):
            setattr(alone, name, np.ascontiguousarray(getattr(market, name)[:, m : m + 1]))
        size = weights("volatility", alone, np.ones(alone.mark.shape), target=0.20)
        held = alone.days[size[:, 0] > 0]
        assert swing(size, alone, (held[0], held[-1])) == pytest.approx(0.20, rel=0.25), market.roots[m]


def test_the_causal_multiplier_brings_a_long_book_nearer_to_its_target_and_not_above(market):
    longs = np.ones(market.mark.shape)
    plain = swing(weights("volatility", market, longs, target=0.20), market, ALL)
    causal = weights("volatility", market, longs, target=0.20, diversification="causal")
    assert plain < 0.10 < 0.14 < swing(causal, market, ALL) < 0.20
    for name, span in CRISES.items():
        assert swing(causal, market, span) < 0.24, name


def test_kelly_stays_near_its_cap_on_the_day_and_after(market, trend):
    size = weights("kelly_portfolio", market, trend, cap=0.25, leverage=1000.0)
    assert size.any() and swing(size, market, ALL) < 0.25 * 1.10
    for name, span in CRISES.items():
        assert swing(size, market, span) < 0.25 * 1.25, name
    single = weights("kelly", market, trend, cap=0.25)
    share = 1.0 / market.available.sum(axis=1).clip(1)[:, None]
    risk = np.abs(single) * np.nan_to_num(point_risk(market, np.arange(len(market.roots)), 32.0)) * np.sqrt(252.0)
    assert (risk <= 0.25 * share * (1 + 1e-9)).all() and single.any()


def test_a_stop_left_at_the_close_that_passes_it_costs_little_more_than_its_budget(market):
    columns = np.arange(len(market.roots))
    away = 2.0 * point_risk(market, columns, 32.0)
    longs = np.ones(away.shape)
    size = SIZERS["risk"](risk=0.01).weights(market, longs, columns, longs[0], None, away)
    np.testing.assert_allclose((size * away)[size > 0], 0.01, rtol=1e-9)
    np.testing.assert_allclose(size, weights("risk", market, longs, risk=0.01, multiple=2.0), rtol=1e-9)
    lost = []
    for m in columns:
        price, bars = market.adjusted[:, m], np.flatnonzero(~np.isnan(market.adjusted[:, m]))
        for k in range(100, len(bars) - 1, 40):
            if size[bars[k], m] > 0:
                after = price[bars[k + 1 :]]
                out = np.flatnonzero(after <= after[0] - away[bars[k], m])
                lost += [size[bars[k], m] * (after[0] - after[out[0]]) / 0.01] if len(out) else []
    assert len(lost) > 3000 and min(lost) >= 1.0
    assert np.median(lost) < 1.4 and np.quantile(lost, 0.95) < 2.5


def test_a_small_account_follows_its_ideal_book_closer_than_one_cut_toward_zero(market, trend):
    # a third to two thirds of a contract in each market: cutting leaves nothing at all
    ideal = weights("portfolio_volatility", market, trend, target=0.20)
    columns = np.arange(len(market.roots))
    matrices, row = covariances(market, columns)
    scale = np.where(swing_of := point_risk(market, columns, 32.0), swing_of, np.nan)
    rows = np.flatnonzero(market.days > FIRST)[::50]
    missed, nothing = [], []
    for t in rows:
        unit = np.nan_to_num(1.0 / scale[t])  # one contract of each market has this much risk: 1 a day
        small, own = ideal[t] * scale[t], matrices[row[t]] * np.outer(unit, unit)
        small = np.nan_to_num(small) / np.nanmax(np.abs(small)) * 0.9
        out, bound = np.zeros(len(small)), np.full(len(small), np.inf)
        nearest(small, np.zeros(len(small)), -bound, bound.copy(), own, np.zeros(len(small)), out)
        gap = out - small
        missed.append(gap @ own @ gap)
        nothing.append(small @ own @ small)
    assert np.sqrt(np.mean(missed)) < 0.6 * np.sqrt(np.mean(nothing))
