"""Correlations in weeks, and the rules that lean on them: what is known when, twins, published vectors, promises."""

import dated_market
import naive
import naive_sizing
import numpy as np
import pytest
from scipy.optimize import root

from engine.indicators import change, volatility
from engine.sizing import SIZERS
from engine.sizing.covariance import (
    LEAST,
    book_volatility,
    correlations,
    covariances,
    steps,
    week_correlations,
    week_numbers,
    weekly,
)
from engine.sizing.equal import EqualRisk, equal_risk, equal_shares
from engine.sizing.portfolio import PortfolioVolatility
from engine.sizing.volatility import VolatilityTarget

BLOCK = [[1.0, 0.8, 0.0], [0.8, 1.0, 0.0], [0.0, 0.0, 1.0]]


def sizes(sizer, market, forecast=None, strategy=None):
    """Weights of one line a market."""
    forecast = np.ones(market.mark.shape) if forecast is None else forecast
    lines = np.arange(market.mark.shape[1]), np.ones(market.mark.shape[1]), strategy
    return sizer.weights(market, forecast, *lines)


def profit(size, market):
    """Profit per unit of capital of each day: sizes of one row earn the change after the next."""
    worth = market.multiplier * market.fx
    return (size[:-2] * (np.nan_to_num(change(market.adjusted)) * worth)[2:]).sum(axis=1)


def swing(profits):
    """Volatility a year."""
    return float(np.sqrt(252.0 * np.mean(profits**2)))


# Weeks


def test_a_week_is_known_on_the_first_bar_of_a_later_one():
    days = np.array(["2024-01-04", "2024-01-05", "2024-01-08", "2024-01-12", "2024-01-22"], dtype="datetime64[D]")
    row, sums = weekly(np.array([[1.0], [2.0], [4.0], [np.nan], [8.0]]), week_numbers(days))
    assert row.tolist() == [0, 0, 1, 1, 2] and sums.ravel().tolist() == [3.0, 4.0]


def test_weeks_begin_on_monday():
    days = np.arange(np.datetime64("2019-12-25"), np.datetime64("2021-01-15"))
    numbers = week_numbers(days)
    for day, now, then in zip(days[1:].tolist(), numbers[1:], numbers[:-1], strict=True):
        assert now - then == (day.weekday() == 0)


def test_bars_within_a_day_are_of_its_week():
    days = np.repeat(np.array(["2024-01-05", "2024-01-08"], dtype="datetime64[D]"), 3)
    row, sums = weekly(np.ones((6, 1)), week_numbers(days))
    assert row.tolist() == [0, 0, 0, 1, 1, 1] and sums.ravel().tolist() == [3.0]


def test_correlations_equal_those_of_plain_python():
    market = dated_market.market(bars=420, markets=3)
    row, ours = correlations(market, np.arange(3), 30.0)
    days = [day.item() for day in market.days]
    for i, j in ((0, 1), (0, 2), (1, 2)):
        for t in (100, 200, 260, 299, 300, 301, 419):
            known = [week for week, _ in naive_sizing.weeks_of([np.nan] * (t + 1), days[: t + 1])][:-1]
            pair = []
            for m in (i, j):
                price = market.adjusted[: t + 1, m].tolist()
                sigma = naive.volatility(naive.change(price), 32.0)
                seen = np.cumsum(~np.isnan(naive.change(price)))
                sigma = [s if n >= 32 else np.nan for s, n in zip(sigma, seen, strict=True)]
                sums = dict(naive_sizing.weeks_of(naive_sizing.steps(price, sigma), days[: t + 1]))
                pair.append([sums[week] for week in known])
            twin = naive_sizing.correlation(*pair, 30.0)
            assert ours[row[t], i, j] == pytest.approx(twin, rel=1e-9, nan_ok=True)
            assert ours[row[t], j, i] == pytest.approx(twin, rel=1e-9, nan_ok=True)
    assert np.isfinite(ours[row[419]]).all()


def test_a_correlation_is_unknown_until_half_a_year_is_common():
    moves = np.random.default_rng(1).normal(size=(60, 2))
    moves[:20, 1] = np.nan
    known = np.isfinite(week_correlations(moves, 52.0)[:, 0, 1])
    np.testing.assert_array_equal(known, np.arange(61) >= 20 + LEAST)


def test_t43_markets_that_close_at_different_hours_move_together_over_weeks():
    # the same news reaches the second market a day later: nothing in common day by day, all but all week by week
    news = np.round(8.0 * np.random.default_rng(2).standard_normal(2000))
    prices = 4000.0 + 0.25 * np.cumsum(np.column_stack([news, np.roll(news, 1)]), axis=0)
    market = dated_market.of(prices)
    daily = steps(market, np.arange(2))[50:]
    row, matrices = correlations(market, np.arange(2), 500.0)
    assert abs(np.corrcoef(daily.T)[0, 1]) < 0.06
    assert matrices[row[-1], 0, 1] == pytest.approx(0.8, abs=0.06)  # four of five days are the same


def test_a_market_that_stood_still_tells_no_correlation_and_breaks_none():
    market = dated_market.together(np.eye(3), bars=400)
    market.adjusted[:, 1] = 100.0
    market.adjusted[200:, 1] += 1e-200 * np.arange(200)
    _, matrices = correlations(market, np.arange(3), 52.0)
    assert np.isnan(matrices[-1, 0, 1]) and np.isfinite(matrices[-1, 0, 2])


def test_covariances_are_of_the_money_of_one_contract_a_day():
    market = dated_market.together([[1.0, 0.6], [0.6, 1.0]], bars=3000)
    market.multiplier[:, 0], market.fx[:, 1] = 50.0, 1.25
    matrices, row = covariances(market, np.array([0, 1, 0]), 500.0)
    sigma = volatility(change(market.adjusted), 32.0)[np.flatnonzero(np.diff(row, prepend=-1))[row[-1]]]
    worth = sigma * np.array([50.0, 1.25])
    last = matrices[row[-1]]
    assert last[0, 0] == pytest.approx(worth[0] ** 2) and last[1, 1] == pytest.approx(worth[1] ** 2)
    assert last[0, 2] == pytest.approx(last[0, 0])  # two lines of one market
    assert last[0, 1] / np.sqrt(last[0, 0] * last[1, 1]) == pytest.approx(0.6, abs=0.08)
    assert not matrices[0].any()


def test_the_volatility_of_a_book_equals_that_of_plain_python():
    random = np.random.default_rng(6)
    matrices = np.array([np.corrcoef(random.normal(size=(5, 30))) for _ in range(4)])
    matrices[2, 1, 3] = matrices[2, 3, 1] = np.nan
    risk, row = random.normal(size=(20, 5)), np.repeat(np.arange(4), 5)
    risk[3] = 0.0
    for lowest in (-1.0, 0.0):
        ours = book_volatility(risk, row, matrices, lowest)
        for t in range(20):
            twin = naive_sizing.book_volatility(risk[t], lambda i, j, t=t: matrices[row[t], i, j], lowest)
            assert ours[t] == pytest.approx(twin, rel=1e-9, abs=1e-12)


# The causal multiplier of diversification


def test_the_multiplier_of_markets_that_move_as_one_is_one_and_of_four_apart_two():
    flat = VolatilityTarget(weeks=500)
    for correlation, expected in ((np.full((4, 4), 1.0) - 1e-9 * (1 - np.eye(4)), 1.0), (np.eye(4), 2.0)):
        market = dated_market.together(correlation, bars=2500)
        causal = VolatilityTarget(diversification="causal", weeks=500)
        ratio = sizes(causal, market)[-1] / sizes(flat, market)[-1]
        np.testing.assert_allclose(ratio, expected, rtol=0.06)
        assert len(set(ratio.round(12))) == 1


def test_the_multiplier_is_one_over_the_root_of_w_rho_w_with_no_negative_correlation():
    # Carver's form: w = (1/2, 1/4, 1/4); rho 12 = 0.8, the others below zero count as 0
    market = dated_market.together([[1.0, 0.8, -0.3], [0.8, 1.0, -0.3], [-0.3, -0.3, 1.0]], bars=2500)
    weights = {"M0": 2.0}
    causal = VolatilityTarget(diversification="causal", weeks=300, instrument_weights=weights)
    ratio = sizes(causal, market) / np.where(
        size := sizes(VolatilityTarget(instrument_weights=weights), market), size, 1
    )
    row, matrices = correlations(market, np.arange(3), 300.0)
    for t in (300, 1000, 2499):
        rho, w = np.maximum(matrices[row[t]], 0.0), np.array([0.5, 0.25, 0.25])
        np.testing.assert_allclose(ratio[t], 1 / np.sqrt(w @ rho @ w), rtol=1e-12)


def test_the_multiplier_is_one_before_correlations_are_known_and_never_above_its_cap():
    market = dated_market.together(np.eye(12), bars=700)
    plain = sizes(VolatilityTarget(), market)
    ratio = sizes(VolatilityTarget(diversification="causal", most=2.5), market) / np.where(plain, plain, 1.0)
    assert set(ratio[33 : 5 * LEAST].ravel()) == {1.0}
    assert ratio.max() == pytest.approx(2.5) and ratio[-1] == pytest.approx(2.5)


def test_each_strategy_has_the_multiplier_of_its_own_markets():
    market = dated_market.together(BLOCK, bars=1500)
    forecast, instrument, strategy = np.ones((1500, 4)), np.array([0, 1, 1, 2]), np.array([0, 0, 1, 1])
    causal = VolatilityTarget(diversification="causal").weights(market, forecast, instrument, np.ones(4), strategy)
    plain = VolatilityTarget().weights(market, forecast, instrument, np.ones(4), strategy)
    ratio = causal[-1] / plain[-1]
    np.testing.assert_allclose(ratio, [1 / np.sqrt(0.9)] * 2 + [np.sqrt(2.0)] * 2, rtol=0.06)
    np.testing.assert_allclose(ratio[::2], ratio[1::2], rtol=1e-12)


def test_a_multiplier_that_cannot_be_is_refused():
    assert VolatilityTarget(diversification=2).diversification == 2.0
    for wrong in ("Causal", 10.5, -1, True, None, float("nan")):
        with pytest.raises(ValueError, match="diversification"):
            VolatilityTarget(diversification=wrong)


# The volatility of the book


def test_the_book_of_the_day_has_the_target_volatility_by_its_own_estimate():
    market = dated_market.together(BLOCK, bars=800)
    forecast = np.repeat(np.random.default_rng(3).normal(size=(80, 3)), 10, axis=0)
    sizer = PortfolioVolatility(target=0.15, weeks=40, most=100)
    size = sizes(sizer, market, forecast)
    sigma = volatility(change(market.adjusted), 32.0)
    row, matrices = correlations(market, np.arange(3), 40.0)
    for t in (200, 399, 400, 799):
        swing_of = (size[t] * sigma[t] * np.sqrt(252.0)).tolist()
        twin = naive_sizing.book_volatility(swing_of, lambda i, j, t=t: matrices[row[t], i, j])
        assert twin == pytest.approx(0.15, rel=1e-9)


def test_the_book_swings_as_wanted_whatever_its_correlations_and_sides():
    for correlation in (np.eye(3), np.array(BLOCK), np.full((3, 3), 0.9) + 0.1 * np.eye(3)):
        market = dated_market.together(correlation, bars=4000)
        for forecast in (np.ones((4000, 3)), np.ones((4000, 3)) * [1.0, -1.0, 0.5]):
            realised = swing(profit(sizes(PortfolioVolatility(target=0.2), market, forecast), market)[500:])
            assert realised == pytest.approx(0.2, rel=0.08)


def test_a_hedged_book_is_not_raised_above_its_cap():
    market = dated_market.together(np.full((2, 2), 1.0) - 1e-9 * (1 - np.eye(2)), bars=600)
    forecast = np.ones((600, 2)) * [1.0, -1.0]
    plain = sizes(VolatilityTarget(), market, forecast)
    np.testing.assert_allclose(sizes(PortfolioVolatility(most=3), market, forecast)[-1], 3.0 * plain[-1], rtol=1e-12)


def test_an_unknown_correlation_is_taken_as_the_worse():
    market = dated_market.together(np.eye(2), bars=100)  # not yet half a year
    for forecast in ([1.0, 1.0], [1.0, -1.0]):
        size = sizes(PortfolioVolatility(), market, np.ones((100, 2)) * forecast)[-1]
        np.testing.assert_allclose(
            size, sizes(VolatilityTarget(), market, np.ones((100, 2)) * forecast)[-1], rtol=1e-12
        )


def test_lines_of_one_market_are_one_position_of_the_book():
    market = dated_market.together(np.eye(2), bars=600)
    lines = np.array([0, 0, 1]), np.array([0.5, 0.5, 1.0])
    sizer, plain = PortfolioVolatility(most=5), VolatilityTarget().weights(market, np.ones((600, 3)), *lines)[-1, 0]
    opposite = sizer.weights(market, np.ones((600, 3)) * [1.0, -1.0, 0.0], *lines)[-1]
    np.testing.assert_allclose(opposite, [5.0 * plain, -5.0 * plain, 0.0], rtol=1e-12)  # nothing: as far as the cap
    same = sizer.weights(market, np.ones((600, 3)) * [1.0, 1.0, 0.0], *lines)[-1]
    np.testing.assert_allclose(same, [2.0 * plain, 2.0 * plain, 0.0], rtol=1e-12)  # half of all risk: twice


# Equal risk


def test_the_published_weights_of_equal_risk():
    # T. Roncalli, Introduction to Risk Parity and Budgeting, 2013: volatilities 30, 20, 15 %; correlations 80, 50, 30 %
    deviation = np.array([0.30, 0.20, 0.15])
    correlation = np.array([[1.0, 0.8, 0.5], [0.8, 1.0, 0.3], [0.5, 0.3, 1.0]])
    out = np.zeros(3)
    assert equal_risk(correlation * np.outer(deviation, deviation), out) < 100
    np.testing.assert_allclose(out / out.sum(), [0.1969, 0.3244, 0.4787], atol=5e-5)


def test_equal_correlations_share_by_the_inverse_of_volatility():
    # Maillard, Roncalli and Teïletche 2010, eq. 5
    deviation = np.array([0.10, 0.20, 0.30, 0.40])
    for rho in (-0.2, 0.0, 0.5, 0.99):
        matrix = (rho + (1 - rho) * np.eye(4)) * np.outer(deviation, deviation)
        out = np.zeros(4)
        equal_risk(matrix, out)
        np.testing.assert_allclose(out * deviation, (out * deviation)[0], rtol=1e-8)


@pytest.mark.parametrize("seed", range(20))
def test_equal_risk_equals_the_root_found_by_another_library(seed):
    random = np.random.default_rng(seed)
    matrix = np.corrcoef(random.normal(size=(6, 12)))
    ours = np.zeros(6)
    assert equal_risk(matrix, ours) < 500
    found = root(lambda x: x * (matrix @ x) - 1 / 6, np.full(6, 0.5), tol=1e-13).x
    np.testing.assert_allclose(ours, found, rtol=1e-6)
    assert (ours > 0).all()
    np.testing.assert_allclose(ours * (matrix @ ours), 1 / 6, rtol=1e-8)


def test_equal_risk_that_does_not_settle_gives_all_the_same():
    impossible, out = np.array([[1.0, -0.9, -0.9], [-0.9, 1.0, -0.9], [-0.9, -0.9, 1.0]]), np.zeros(3)
    assert equal_risk(impossible, out) == 500
    assert np.isfinite(out).all() and (out > 0).all() and len(set(out)) == 1


def test_every_position_held_adds_the_same_to_a_book_of_target_volatility():
    market = dated_market.together(BLOCK, bars=800)
    forecast = np.ones((800, 3)) * [1.0, -1.0, 1.0]
    sigma = volatility(change(market.adjusted), 32.0)
    row, matrices = correlations(market, np.arange(3), 104.0)
    size = sizes(EqualRisk(target=0.15), market, forecast)
    for t in (300, 500, 799):
        risk = size[t] * sigma[t] * np.sqrt(252.0)
        parts = risk * (matrices[row[t]] @ risk)
        np.testing.assert_allclose(parts, 0.15**2 / 3, rtol=1e-8)
        np.testing.assert_array_equal(np.sign(size[t]), [1, -1, 1])


def test_equal_risk_gives_two_of_a_kind_less_than_the_one_apart():
    market = dated_market.together(BLOCK, bars=1500)
    size = sizes(EqualRisk(signed=False), market)[-1] * volatility(change(market.adjusted), 32.0)[-1]
    assert size[2] / size[0] == pytest.approx(np.sqrt(1.8), rel=0.1)  # x1 (x1 + 0.8 x2) = x3², x1 = x2


def test_unsigned_shares_do_not_move_when_another_market_turns():
    market = dated_market.together(BLOCK, bars=700)
    turned = np.ones((700, 3)) * [1.0, 1.0, -1.0]
    unsigned = EqualRisk(signed=False)
    np.testing.assert_array_equal(np.abs(sizes(unsigned, market, turned)), sizes(unsigned, market))
    assert sizes(EqualRisk(), market, np.ones((700, 3)) * [1.0, -1.0, 1.0])[-1, 0] > sizes(EqualRisk(), market)[-1, 0]


def test_a_market_without_a_forecast_has_no_share_of_the_risk():
    side = np.array([[1.0, 0.0, -1.0], [0.0, 0.0, 0.0]])
    out = equal_shares(side, np.zeros(2, dtype=np.int64), np.eye(3)[None], 5.0)
    np.testing.assert_allclose(out, [[np.sqrt(0.5), 0.0, np.sqrt(0.5)], [0.0, 0.0, 0.0]], rtol=1e-9)


def test_equal_risk_is_capped_where_a_hedge_would_raise_it_without_end():
    hedge = np.array([[[1.0, -0.9999], [-0.9999, 1.0]]])
    out = equal_shares(np.ones((1, 2)), np.zeros(1, dtype=np.int64), hedge, 5.0)
    np.testing.assert_allclose(out, [[2.5, 2.5]], rtol=1e-9)


def test_equal_risk_swings_as_wanted():
    market = dated_market.together(BLOCK, bars=4000)
    for forecast in (np.ones((4000, 3)), np.ones((4000, 3)) * [1.0, -1.0, 1.0]):
        realised = swing(profit(sizes(EqualRisk(target=0.2), market, forecast), market)[500:])
        assert realised == pytest.approx(0.2, rel=0.08)


def test_rules_that_look_at_correlations_name_their_memory():
    assert {name for name, kind in SIZERS.items() if "weeks" in kind.param} == {
        "volatility",
        "portfolio_volatility",
        "kelly_portfolio",
        "equal_risk",
    }
