"""What a run held, how concentrated and how alike, and how large it was for its markets."""

from dataclasses import replace
from datetime import date
from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pytest

from engine import backtest
from engine.analysis import capacity, exposure
from engine.analysis.daily import Daily
from tests import analysed, small_runs
from tests.small_runs import Wants

DAYS = [date(2024, 1, k) for k in (1, 2, 3, 4)]


def held(*rows, equity=1000.0, margin=(30.0, 40.0, 0.0)):
    """A run that held these: (day, strategy, market, contract, contracts, notional, margin)."""
    names = ("day", "strategy", "market", "contract", "contracts", "notional", "margin")
    positions = pl.DataFrame([(DAYS[day], *rest) for day, *rest in rows], schema=names, orient="row")
    account = pl.DataFrame({"day": DAYS, "equity": equity, "margin": [0.0, *margin]})
    trades = pl.DataFrame({"market": ["A", "B"], "sector": ["metals", "energy"]})
    return SimpleNamespace(equity=lambda: account, positions=lambda: positions, trades=lambda: trades)


HAND = held(
    (1, "one", "A", 202403, 2.0, 600.0, 10.0), (1, "one", "B", 202403, -1.0, -900.0, 20.0),
    (2, "one", "A", 202403, 3.0, 900.0, 15.0), (2, "two", "A", 202403, -1.0, -300.0, 5.0),
    (2, "two", "A", 202406, 1.0, 310.0, 5.0), (2, "two", "B", 202403, 1.0, 900.0, 25.0),
)  # fmt: skip


def test_exposure_worked_by_hand():
    """On the second day A nets to two contracts over strategies, beside one of the contract that it rolls into."""
    found = exposure.exposure(HAND)
    assert found.schema == exposure.EXPOSURE
    first, second, third = found.to_dicts()
    assert (first["long"], first["short"], first["gross"], first["net"]) == (600.0, 900.0, 1500.0, -300.0)
    assert (first["leverage"], first["net_leverage"], first["margin_to_equity"]) == (1.5, -0.3, 0.03)
    assert (first["markets"], first["largest"], first["largest_share"]) == (2, "B", pytest.approx(2 / 3))
    assert first["concentration"] == pytest.approx(5 / 9) and first["bets"] == pytest.approx(1.8)
    assert (second["long"], second["short"], second["markets"]) == (600.0 + 310.0 + 900.0, 0.0, 2)
    assert second["largest_share"] == pytest.approx(25 / 40)  # of A: 10 net and 5 of the other contract
    assert (third["gross"], third["markets"], third["largest"], third["bets"]) == (0.0, 0, None, None)


def test_sectors_and_years_worked_by_hand():
    sectors, exposed = exposure.by_sector(HAND), exposure.exposure(HAND)
    assert sectors.schema == exposure.SECTORS
    assert sectors.filter(pl.col("day") == DAYS[1]).drop("day").rows() == [
        ("energy", 900.0, -900.0, 0.9, pytest.approx(2 / 3)), ("metals", 600.0, 600.0, 0.6, pytest.approx(1 / 3)),
    ]  # fmt: skip
    means = exposure.sector_means(sectors, exposed)
    assert means.schema == exposure.SECTOR_MEANS
    assert means.rows()[0] == ("energy", 2, 0.6, 0.9, pytest.approx((2 / 3 + 25 / 40) / 2), pytest.approx(2 / 3))
    (year,) = exposure.yearly(exposed).to_dicts()
    assert (year["year"], year["margin_to_equity_most"], year["leverage_most"]) == (2024, 0.04, 1.81)
    assert year["leverage"] == pytest.approx((1.5 + 1.81) / 3) and year["markets"] == pytest.approx(4 / 3)
    assert year["bets"] == pytest.approx((1.8 + 1600 / 850) / 2)  # of the days on which anything was held


@pytest.mark.parametrize("seed", range(3))
def test_of_one_strategy_gross_and_net_are_sums_of_its_positions_and_margin_is_the_account_s(seed):
    run, _ = analysed.made(seed)
    found = exposure.exposure(run)
    sums = (
        run.positions()
        .group_by("day")
        .agg(gross=pl.col("notional").abs().sum(), net=pl.col("notional").sum(), margin=pl.col("margin").sum())
    )
    both = found.join(sums, on="day", how="left", suffix="_own").fill_null(0.0)
    for name in ("gross", "net", "margin"):
        np.testing.assert_allclose(both[name], both[f"{name}_own"], atol=0.005)
    assert found["day"].to_list() == run.equity()["day"][1:].to_list()
    np.testing.assert_allclose(found["margin_to_equity"] * run.equity()["equity"][1:], found["margin"])
    by_day = exposure.by_sector(run).group_by("day").agg(pl.col("gross").sum(), pl.col("margin_share").sum())
    assert (by_day["margin_share"] - 1.0).abs().max() < 1e-12
    assert by_day["gross"].sum() == pytest.approx(found["gross"].sum())


def test_what_two_strategies_hold_against_each_other_is_no_exposure():
    market = small_runs.market(np.full(6, 100.0))
    run = backtest(market, small_runs.portfolio((Wants.of(3.0), {}), (Wants.of(-1.0), {})))
    last = exposure.exposure(run).to_dicts()[-1]
    assert (last["gross"], last["net"], last["margin"]) == (200.0, 200.0, 20.0)
    assert exposure.last_held(run).rows() == [("A", 2.0)]


def test_of_a_run_that_held_nothing_every_table_is_whole_and_empty():
    run, market = analysed.empty()
    found = exposure.exposure(run)
    assert len(found) == 30 and found["gross"].sum() == 0.0 and found["largest_share"].null_count() == 30
    assert exposure.by_sector(run).schema == exposure.SECTORS and exposure.by_sector(run).is_empty()
    assert exposure.sector_means(exposure.by_sector(run), found).is_empty()
    assert exposure.correlations(run).schema == exposure.CORRELATIONS and exposure.correlations(run).is_empty()
    assert capacity.capacity(run, market).schema == capacity.CAPACITY and capacity.capacity(run, market).is_empty()
    assert np.isnan(exposure.mean_correlation(exposure.correlations(run)))


# Correlation


def test_correlations_are_those_of_another_library_over_the_weeks_of_both():
    rng = np.random.default_rng(4)
    shares = rng.normal(size=(1003, 3)) @ rng.normal(size=(3, 3))
    shares[:400, 0] = 0.0  # not held
    shares[700:, 1] = 0.0
    found, count = exposure.correlation_matrix(shares, 5, 26)
    weeks = pd.DataFrame(shares[:1000].reshape(200, 5, 3).sum(axis=1)).replace(0.0, np.nan)
    np.testing.assert_allclose(found, weeks.corr().to_numpy(), atol=1e-12)
    assert count.tolist() == [[120, 60, 120], [60, 140, 140], [120, 140, 200]]
    assert np.isnan(exposure.correlation_matrix(shares, 5, 61)[0][0, 1])


def test_pairs_stand_once_the_highest_first_and_too_few_weeks_are_null():
    run, _ = analysed.made(1)
    found = exposure.correlations(run)
    assert found.schema == exposure.CORRELATIONS and len(found) == 3
    assert found["correlation"].is_sorted(descending=True)
    assert exposure.correlations(run, least=1000)["correlation"].null_count() == 3
    matrix, _ = exposure.correlation_matrix(Daily.of(run).shares[:, :-1], 5, 26)
    assert exposure.mean_correlation(found) == pytest.approx(matrix[np.triu_indices(3, 1)].mean())


def test_independent_bets_of_cases_that_are_known():
    """Alike: one; uncorrelated and as large: as many as there are; Meucci's entropy of 1/5 and 4/5 in between."""
    signs = np.array(np.meshgrid([1.0, -1.0], [1.0, -1.0], [1.0, -1.0])).reshape(3, -1).T
    assert exposure.independent_bets(signs[:, [0, 0, 0]]) == pytest.approx(1.0)
    found = exposure.independent_bets(signs * [1.0, 2.0, 1e-12])
    assert found == pytest.approx(np.exp(-(0.2 * np.log(0.2) + 0.8 * np.log(0.8))))
    assert np.isnan(exposure.independent_bets(np.zeros((9, 2))))


# Capacity


def test_capacity_worked_by_hand():
    """Ten, then twenty of a market that trades 100 a day and has 400 open: a tenth and a fifth of its volume."""
    wanted = [0, 10, 10, 20, 20, 20]
    market = small_runs.market(np.full(8, 100.0), liquidity=100.0, open_interest=400.0)
    run = backtest(
        market, small_runs.portfolio((Wants.of([*wanted, 20, 20]), {}), settings=["portfolio.capital=50000"])
    )
    (row,) = capacity.capacity(run, market, part=0.1, sure=0.5).to_dicts()
    assert (row["contracts"], row["volume"], row["open_interest"]) == (20.0, 100.0, 400.0)
    sizes = run.positions()["contracts"].to_numpy()
    assert sizes.tolist() == [10.0, 10.0, 20.0, 20.0, 20.0, 20.0]
    assert row["of_volume"] == pytest.approx(sizes.mean() / 100.0) and row["of_volume_most"] == 0.2
    assert row["of_open_interest_most"] == 0.05 and row["days_to_leave_most"] == pytest.approx(2.0)
    assert row["days_to_leave"] == pytest.approx(sizes.mean() / 10.0)
    assert (row["traded"], row["traded_most"]) == (pytest.approx(0.1), 0.1)  # two days of ten contracts
    assert row["capital"] == pytest.approx(50_000.0)  # ten of a hundred are the tenth that is allowed


def test_twice_the_share_is_twice_the_capital_and_unknown_volume_is_left_out():
    run, market = analysed.made(2)
    found, twice = (capacity.capacity(run, market, part).sort("market") for part in (0.05, 0.1))
    np.testing.assert_allclose(twice["capital"], 2.0 * found["capital"])
    np.testing.assert_allclose(found["days_to_leave"], 2.0 * twice["days_to_leave"])
    unknown = replace(market, liquidity=np.full(market.mark.shape, np.nan))
    assert capacity.capacity(run, unknown)["capital"].null_count() == 3
    with pytest.raises(ValueError, match="part = 0: allowed is a share above 0 and up to 1"):
        capacity.capacity(run, market, 0)
