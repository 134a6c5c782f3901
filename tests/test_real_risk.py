"""A trend portfolio over the real markets, analysed: what adds up, what other libraries and slow twins say of it."""

import naive
import numpy as np
import pandas as pd
import polars as pl
import pytest

from engine import backtest, risk, tails, trade_metrics
from engine.analysis import activity, capacity, drawdowns, excursions, exposure, forecasts, trade_stats, value_at_risk
from engine.analysis.daily import Daily
from tests.real_runs import loaded, portfolio

ROOTS = ("FGBL", "KC", "LE", "MES", "MGC", "RF", "SI", "ZC", "ZN", "ZW")


@pytest.fixture(scope="module")
def analysed(real):
    """(run, market, days) of trend following in ten markets, 2001 to 2024."""
    told = portfolio('rule = "volatility"', head="markets = " + str([*ROOTS]).replace("'", '"') + "\nend = 2024-12-31")
    market = loaded(real, told, ROOTS)
    run = backtest(market, told)
    return run, market, Daily.of(run)


def test_every_fall_is_made_by_its_markets_to_the_cent(analysed):
    run, _, days = analysed
    falls, causes = drawdowns.drawdowns(run), drawdowns.causes(run)
    assert len(falls) > 50 and falls["depth"][0] == pytest.approx(min(naive.drawdowns(days.alone.tolist())), abs=1e-12)
    sums = dict(causes.group_by("drawdown").agg(pl.col("profit").sum()).rows())
    for row in falls.to_dicts():
        assert sums[row["drawdown"]] == pytest.approx(row["fall"], abs=0.005)
    assert falls["days"].max() == risk.longest_drawdown_days(days.alone, days.days)


def test_the_peg_that_broke_is_the_best_day_and_no_normal_distribution_has_it(analysed):
    """15 January 2015: the euro in francs, long or short, is a day for which no expansion about the normal is made."""
    _, _, days = analysed
    gain = np.abs(days.shares[:, days.names.index("RF")])
    assert days.days[1:][gain.argmax()] == np.datetime64("2015-01-15")
    assert "outside the domain" in tails.cornish_fisher_caution(days.returns)


def test_parts_add_up_and_forecasts_are_those_of_another_library(analysed):
    run, _, days = analysed
    found = value_at_risk.parts(run, daily=days)
    for level in (0.95, 0.99):
        sums = found.filter(level=level).sum().to_dicts()[0]
        assert sums["component_gaussian"] == pytest.approx(tails.gaussian_var(days.returns, level), rel=1e-9)
        assert sums["component_history"] == pytest.approx(tails.var(days.returns, level), rel=1e-9)
        assert sums["component_cvar"] == pytest.approx(tails.cvar(days.returns, level), rel=1e-9)
        told = forecasts.forecast(days.returns, "history", level)
        other = -pd.Series(days.returns).rolling(500, min_periods=250).quantile(round(1 - level, 12)).shift(1)
        np.testing.assert_allclose(told, other.to_numpy(), rtol=1e-9, atol=1e-15)
        moments = pd.Series(days.returns).rolling(500, min_periods=250)
        other = -(moments.mean() + tails.NORMAL.inv_cdf(round(1 - level, 12)) * moments.std(ddof=0)).shift(1)
        np.testing.assert_allclose(forecasts.forecast(days.returns, "gaussian", level), other, rtol=1e-6, atol=1e-9)


def test_filtered_history_keeps_to_its_level_out_of_sample(analysed):
    """Of 5,000 days: as many beyond as told, at both levels, with room for what 23 years may bring."""
    found = {
        (row["method"], row["level"]): row for row in forecasts.backtested(forecasts.forecasts(analysed[2])).to_dicts()
    }
    for level in (0.95, 0.99):
        row = found["filtered", level]
        assert row["days"] > 5000 and 0.7 < row["exceedances"] / row["expected"] < 1.4
    assert found["gaussian", 0.99]["exceedances"] > found["gaussian", 0.99]["expected"]  # tails are heavier than that


def test_exposure_is_that_of_the_account(analysed):
    run, _, _ = analysed
    found = exposure.exposure(run)
    np.testing.assert_allclose(found["margin"], run.equity()["margin"][1:], atol=0.005)
    np.testing.assert_allclose(exposure.Held.of(run).margin.sum(axis=1), run.equity()["margin"][1:], atol=0.005)
    assert found["bets"].drop_nulls().is_between(1.0, len(ROOTS)).all()
    shares = analysed[2].shares[:, :-1]
    weeks = pd.DataFrame(shares[: len(shares) // 5 * 5].reshape(-1, 5, shares.shape[1]).sum(axis=1)).replace(
        0.0, np.nan
    )
    matrix, _ = exposure.correlation_matrix(shares, 5, 26)
    np.testing.assert_allclose(matrix, weeks.corr(min_periods=26).to_numpy(), atol=1e-9)


def test_excursions_are_those_of_bars_looked_at_one_by_one(analysed):
    run, market, _ = analysed
    found = excursions.excursions(run, market)
    adjusted = market.adjusted
    high, low = (np.where(np.isnan(x), adjusted, x + market.offset) for x in (market.high, market.low))
    for trade, row in zip(run.trades().to_dicts(), found.to_dicts(), strict=True):
        m = market.names.index(trade["market"])
        first, last = (int(np.searchsorted(market.days, np.datetime64(trade[k]))) for k in ("entry_day", "exit_day"))
        bars = slice(first, last + 1 if trade["open"] else last)
        entry, out = trade["entry_price"] + market.offset[first, m], trade["exit_price"] + market.offset[last, m]
        side = 1 if trade["direction"] == "long" else -1
        worst, best = trade_metrics.excursions(entry, side, np.append(high[bars, m], out), np.append(low[bars, m], out))
        assert (row["adverse"], row["favourable"]) == (worst, best), trade


def test_years_and_groups_sum_to_the_run(analysed):
    run, market, days = analysed
    years = (days.days[-1] - days.days[0]).astype(int) / 365.25
    found = activity.by_year(run, market)
    assert found["traded"].sum() / days.equity.mean() / years == pytest.approx(run.metrics()["turnover"], rel=1e-9)
    paid = sum(run.summary["ledger"][cause] for cause in ("slippage", "impact", "commission", *activity.ROLL_COSTS))
    assert found["costs"].sum() == pytest.approx(paid, abs=0.005)
    for by in trade_stats.GROUPS:
        assert trade_stats.statistics(run.trades(), by)["net"].sum() == pytest.approx(
            run.trades()["net"].sum(), abs=0.005
        )


def test_a_large_market_takes_more_capital_than_a_small_one(analysed):
    run, market, _ = analysed
    capital = dict(capacity.capacity(run, market).select("market", "capital").rows())
    assert capital["ZN"] > 20 * capital["RF"] > 0.0
