"""Kelly: the published fractions, slow twins of the estimates, and that no cap is ever passed."""

import dated_market
import naive
import naive_sizing
import numpy as np
import pytest
from scipy.optimize import nnls

from engine.indicators import change, volatility
from engine.sizing.covariance import correlations, steps
from engine.sizing.growth import bet, fraction, fractions, growth_kept, line_fractions, paper_profit, week_fractions
from engine.sizing.kelly import Kelly, KellyPortfolio


def held_best(covariance, mean, against=True):
    """Fractions of several things at once."""
    out = np.zeros(len(mean))
    fractions(np.array(covariance, dtype=np.float64), np.array(mean, dtype=np.float64), against, out)
    return out


def drifting(sharpe, bars=3000, seed=11, correlation=None):
    """Markets with given Sharpe ratios a year."""
    market = dated_market.together(np.eye(len(sharpe)) if correlation is None else correlation, bars, seed)
    market.mark += np.round(4.0 * 8.0 * np.outer(np.arange(bars), sharpe) / np.sqrt(252.0)) * 0.25 / 4.0
    market.adjusted = market.mark.copy()
    return market


def sizes(sizer, market, forecast, usual=False):
    """Weights, or usual weights, of one line a market."""
    lines = np.arange(market.mark.shape[1]), np.ones(market.mark.shape[1])
    return (sizer.usual if usual else sizer.weights)(market, forecast, *lines)


def swings(size, market):
    """Volatility a year of each position, by capital."""
    return size * volatility(change(market.adjusted), 32.0) * np.sqrt(252.0) * market.multiplier * market.fx


# The published vectors


def test_even_odds_won_six_times_in_ten_are_a_fifth():
    # DOMAIN 2.3; Kelly 1956, growth 0.0201355136
    assert bet(0.6, 1.0) == pytest.approx(0.2, rel=1e-12)
    assert 0.6 * np.log(1.2) + 0.4 * np.log(0.8) == pytest.approx(0.0201355136, abs=5e-11)


def test_kelly_by_trades():
    # DOMAIN 2.3 and 2.8: 55 % at 1.5 to 1; 40 % at 2.25 to 1
    assert bet(0.55, 1.5) == pytest.approx(0.25, rel=1e-12)
    assert bet(0.40, 2.25) == pytest.approx(0.4 - 0.6 / 2.25) == pytest.approx(0.13333, abs=5e-6)


def test_thorps_fraction_and_its_growth():
    # DOMAIN 2.3: mu 0.11, r 0.06, sigma 0.15
    best = fraction(0.11 - 0.06, 0.15**2)
    assert best == pytest.approx(2.2222, abs=5e-5)
    assert 0.06 + best * 0.05 - best**2 * 0.15**2 / 2 == pytest.approx(0.1155556, abs=5e-8)


def test_half_of_kelly_keeps_three_quarters_of_the_growth():
    assert growth_kept(0.5) == 0.75 and growth_kept(1.0) == 1.0 and growth_kept(2.0) == 0.0


def test_three_assets_at_once():
    # DOMAIN 2.3: Thorp, Chan ex. 6.3; S = 0.4751530, g = 0.1528852 above a rate of 0.04
    mean = [0.1396, 0.0294, -0.0073]
    matrix = np.array([[0.1109, 0.0200, 0.0183], [0.0200, 0.0372, 0.0269], [0.0183, 0.0269, 0.0420]])
    best = held_best(matrix, mean)
    np.testing.assert_allclose(best, [1.2930844, 1.1701687, -1.4866900], atol=5e-8)
    np.testing.assert_allclose(best, np.linalg.solve(matrix, mean), rtol=1e-9)
    assert np.sqrt(best @ matrix @ best) == pytest.approx(0.4751530, abs=5e-8)
    assert 0.04 + best @ matrix @ best / 2 == pytest.approx(0.1528852, abs=5e-8)


@pytest.mark.parametrize("seed", range(20))
def test_fractions_that_are_not_negative_equal_another_librarys(seed):
    random = np.random.default_rng(seed)
    root = random.normal(size=(9, 6))
    matrix, mean = root.T @ root / 9 + 0.05 * np.eye(6), random.normal(0.02, 0.1, 6)
    factor = np.linalg.cholesky(matrix)
    twin, _ = nnls(factor.T, np.linalg.solve(factor, mean))
    np.testing.assert_allclose(held_best(matrix, mean, against=False), twin, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(held_best(matrix, mean), np.linalg.solve(matrix, mean), rtol=1e-7)


def test_fractions_that_do_not_settle_are_none():
    assert not held_best([[1.0, 2.0], [2.0, 1.0]], [0.1, 0.1]).any()


# The estimates


def test_paper_profits_equal_those_of_plain_python():
    market = dated_market.market(bars=200)
    forecast, moves = np.random.default_rng(2).normal(size=(200, 3)), steps(market, np.arange(3))
    ours = paper_profit(forecast, moves)
    for m in range(3):
        np.testing.assert_array_equal(ours[:, m], naive_sizing.paper_profit(forecast[:, m], moves[:, m].tolist()))
    known = np.flatnonzero(~np.isnan(moves[:, 0]))
    assert ours[known[5], 0] == forecast[known[3], 0] * moves[known[5], 0]


def test_t25_a_forecast_of_today_does_not_earn_todays_change_nor_tomorrows():
    market = dated_market.together(np.eye(1), bars=800)
    moves = steps(market, np.array([0]))
    for lead, earns in ((0, False), (1, False), (2, True)):
        forecast = np.nan_to_num(np.sign(np.roll(moves, -lead, axis=0)))
        best = line_fractions(paper_profit(forecast, moves), 500.0, 1.0)[-1, 0]
        assert (best > 0.5) == earns


def test_the_fraction_of_a_line_equals_that_of_plain_python():
    random = np.random.default_rng(7)
    profit = random.normal(0.05, 1.0, (300, 4))
    profit[random.random(profit.shape) < 0.1], profit[random.random(profit.shape) < 0.2] = np.nan, 0.0
    profit[:, 3] -= 0.3
    ours = line_fractions(profit, 120.0, 0.01)
    for m in range(4):
        for t in (50, 70, 100, 200, 299):
            twin = naive_sizing.kelly(profit[: t + 1, m].tolist(), 120.0, 0.01)
            assert ours[t, m] == pytest.approx(twin, rel=1e-9, abs=0)
    assert not ours[-1, 3] and ours[-1, :3].any()


def test_the_fractions_of_lines_together_equal_those_of_plain_python():
    random = np.random.default_rng(9)
    profit = random.normal(0.2, 1.0, (120, 3)) @ np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.3], [0.0, 0.0, 1.0]])
    profit[:40, 1] = 0.0
    profit[:10, 2] = np.nan
    number = np.arange(5, 126)
    ours = week_fractions(profit, number, 80.0, 0.01, 0.4, True, 13)
    for w in (60, 73, 99):
        assert number[w] % 13 == 0
        known = [profit[:w, 0].tolist(), profit[40:w, 1].tolist(), profit[10:w, 2].tolist()]
        mean, second = naive_sizing.moments(known, 80.0, 0.01, 0.4)
        lines = [i for i in range(3) if len(known[i]) >= 26]
        twin = np.linalg.solve(np.array(second)[np.ix_(lines, lines)], np.array(mean)[lines])
        np.testing.assert_allclose(ours[w, lines], twin, rtol=1e-8)
        np.testing.assert_array_equal(ours[w], ours[w + 12])  # kept until the next fit
        assert not np.array_equal(ours[w], ours[w + 13]) and not np.array_equal(ours[w], ours[w - 1])
    assert not ours[:34].any() and not ours[60, 1] and ours[73, 1]


def test_a_long_past_is_trusted_and_a_short_one_hardly():
    # a daily mean of 0.1 deviations, exactly; prior of a Sharpe ratio of 0.5 a year
    profit = np.tile([[1.1], [-0.9]], (5000, 1))
    prior = 0.25 / 252.0
    best = line_fractions(profit, 1e9, prior)[:, 0]
    for bars in (60, 1008, 10_000):
        assert best[bars - 1] == pytest.approx(0.1 * bars / (bars + 1008.0), rel=1e-6)
    assert line_fractions(profit, 1e9, 1e9)[-1, 0] == pytest.approx(0.1, rel=1e-6)


# The rules


def test_a_line_is_sized_by_what_it_earned():
    market, ones = drifting([1.5, -1.5, 0.0], bars=1500), np.ones((1500, 3))
    size = sizes(Kelly(fraction=0.5, prior=0.5, memory=1e6, cap=5), market, ones)
    profit = paper_profit(ones, steps(market, np.arange(3)))
    twin = 0.5 * naive_sizing.kelly(profit[:, 0].tolist(), 1e6, 0.25 / 252.0)
    sigma = naive.volatility(naive.change(market.adjusted[-1000:, 0].tolist()), 32.0)[-1]  # forgets sooner
    assert size[-1, 0] == pytest.approx(twin / 3 / sigma, rel=1e-9)  # a third of the capital is its own
    assert not size[-1, 1]  # what loses is not bet on
    assert 0.1 < swings(size, market)[-1, 0] * 3 < 1.5 / 2  # half of Kelly swings by half the Sharpe ratio, shrunk


def test_twice_the_risk_in_the_market_is_half_the_contracts():
    calm, wild = drifting([2.0]), drifting([2.0])
    wild.mark, wild.adjusted = 2.0 * calm.mark, 2.0 * calm.mark
    sizer, ones = Kelly(), np.ones((3000, 1))
    np.testing.assert_allclose(sizes(sizer, wild, ones), sizes(sizer, calm, ones) / 2.0, rtol=1e-12)


def test_kelly_is_never_beyond_its_cap():
    market = drifting([4.0, 2.0, -1.0])
    forecast = np.repeat(np.random.default_rng(3).normal(1.0, 1.0, (300, 3)), 10, axis=0)
    for cap in (0.05, 0.25):
        swing = np.abs(swings(sizes(Kelly(fraction=1.0, cap=cap, prior=5.0), market, forecast), market)) * 3
        assert np.nanmax(swing) == pytest.approx(cap, rel=1e-12)


def test_the_book_of_kelly_is_never_beyond_its_caps():
    market = drifting([4.0, 2.0, -1.0], correlation=[[1.0, 0.7, 0.0], [0.7, 1.0, 0.0], [0.0, 0.0, 1.0]])
    market.multiplier[:], market.fx[:, 2] = [50.0, 5.0, 1000.0], 1.1
    forecast = np.repeat(np.random.default_rng(3).normal(1.0, 1.0, (300, 3)), 10, axis=0)
    row, matrices = correlations(market, np.arange(3), 52.0)
    for cap, leverage in ((0.2, 1000.0), (5.0, 7.0), (0.0, 20.0)):
        sizer = KellyPortfolio(fraction=1.0, cap=cap, leverage=leverage, prior=5.0)
        size = sizes(sizer, market, forecast)
        swing, gross = swings(size, market), np.abs(size * market.mark * market.multiplier * market.fx).sum(axis=1)
        book = [
            naive_sizing.book_volatility(swing[t], lambda i, j, t=t: matrices[row[t], i, j])
            for t in range(40, 3000, 37)
        ]
        assert max(book) <= cap * (1 + 1e-12) and gross.max() <= leverage * (1 + 1e-12)
        if cap:
            assert max(book) == pytest.approx(cap) or gross.max() == pytest.approx(leverage)
        else:
            assert not size.any()


def test_neighbours_share_what_one_alone_would_have():
    pair = [[1.0, 0.999999], [0.999999, 1.0]]
    market = drifting([1.0, 1.0], correlation=pair)
    sizer = KellyPortfolio(shrink=0.0, prior=100.0, cap=5.0, leverage=1000.0)
    alone = dated_market.of(market.mark[:, :1].copy())
    both, one = sizes(sizer, market, np.ones((3000, 2))), sizes(sizer, alone, np.ones((3000, 1)))
    np.testing.assert_allclose(both[-1].sum(), one[-1, 0], rtol=0.02)
    apart = KellyPortfolio(shrink=1.0, prior=100.0, cap=5.0, leverage=1000.0)
    np.testing.assert_allclose(sizes(apart, market, np.ones((3000, 2)))[-1, 0], one[-1, 0], rtol=1e-6)


def test_a_hedge_is_held_against_its_forecast_only_where_that_is_allowed():
    market = drifting([2.0, 0.0], correlation=[[1.0, 0.9], [0.9, 1.0]])
    ones = np.ones((3000, 2))
    shape = {"shrink": 0.0, "prior": 100.0, "cap": 5.0, "leverage": 1000.0}
    assert sizes(KellyPortfolio(**shape, against=True), market, ones)[-1, 1] < 0
    assert sizes(KellyPortfolio(**shape), market, ones)[-1, 1] == 0.0
    assert (sizes(KellyPortfolio(), market, ones) >= 0).all()


def test_half_of_kelly_is_half_of_kelly():
    market, ones = drifting([1.0, 0.5]), np.ones((3000, 2))
    for kind, free in ((Kelly, {"cap": 5.0}), (KellyPortfolio, {"cap": 5.0, "leverage": 1000.0})):
        half, full = sizes(kind(fraction=0.5, **free), market, ones), sizes(kind(fraction=1.0, **free), market, ones)
        np.testing.assert_allclose(half, full / 2.0, rtol=1e-12)


def test_sizes_change_at_a_fit_or_with_the_volatility_and_not_between():
    market = drifting([1.0, 0.5])
    sizer = KellyPortfolio(refit=26, cap=5.0, leverage=1000.0)
    best = swings(sizes(sizer, market, np.ones((3000, 2))), market)[500:]
    moved = np.flatnonzero(np.abs(np.diff(best[:, 0])) > 1e-12)
    assert 15 <= len(moved) <= 20 and set(np.diff(moved)) == {130}


def test_strategies_are_fitted_apart_and_weighed():
    market = drifting([1.0, 0.5])
    lines = np.array([0, 1, 0, 1]), np.array([0.3, 0.3, 0.7, 0.7]), np.array([0, 0, 1, 1])
    both = KellyPortfolio().weights(market, np.ones((3000, 4)), *lines)
    alone = sizes(KellyPortfolio(), market, np.ones((3000, 2)))
    np.testing.assert_allclose(both, np.hstack([0.3 * alone, 0.7 * alone]), rtol=1e-12)


def test_a_price_that_jumps_after_standing_still_does_not_blind_the_rule_for_ever():
    market = drifting([2.0, 2.0])
    market.mark[100:400, 0] = market.mark[100, 0]
    market.mark[400:, 0] += 1e5
    market.adjusted = market.mark.copy()
    size = sizes(Kelly(memory=252), market, np.ones((3000, 2)))
    assert np.isfinite(size).all() and size[-1, 0] > 0
