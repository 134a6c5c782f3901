"""Regimes of markets: labels worked by hand, slow twins, and the same labels whatever comes after."""

from types import SimpleNamespace

import numpy as np
import pytest
import strategy_market

from engine.analysis import regimes
from engine.analysis.regimes import NAMES, UNKNOWN, banded, basket, correlation, labels, with_basket
from engine.strategies.regime import place

LOW, MIDDLE, HIGH = 0, 1, 2


def of_moves(*moves, **others):
    """A market of columns of moves, each from 1,000 on."""
    return strategy_market.of(1000.0 + np.cumsum(np.column_stack(moves), axis=0), **others)


def turns(*parts):
    """Moves up and down by turns: (bars, points) each."""
    return np.concatenate([np.tile([points, -points], bars // 2) for bars, points in parts])


# By hand


def test_volatility_is_high_when_moves_double_and_low_when_they_halve():
    """Moves of 4 points for two years, 8 for a quarter, 4, then 2: each other than nearly all of the years before."""
    market = of_moves(turns((504, 4.0), (62, 8.0), (252, 4.0), (100, 2.0)))
    code = labels(market, "volatility").market[:, 0]
    assert (code[: 36 + 252] == UNKNOWN).all() and code[36 + 252 + 1] != UNKNOWN
    assert (code[506:566] == HIGH).all()
    assert (code[825:918] == LOW).all()


def test_a_price_that_grows_is_not_wild_for_moving_by_as_large_a_share_of_itself():
    """A price that grows by 60 % a year and moves by 1 % a day: in points the last year is wilder than all before."""
    noise = 0.01 * np.random.default_rng(2).standard_normal(1500) + 0.6 / 252
    price = (100.0 * np.exp(np.cumsum(noise)))[:, None]
    assert (np.diff(price[-252:, 0]).std() / np.diff(price[:252, 0]).std()) > 8.0
    code = labels(strategy_market.of(price), "volatility").market[-252:, 0]
    assert (code == HIGH).mean() < 0.5 and (code != HIGH).any() and (code == LOW).any()


def test_volatility_is_a_share_of_the_price_of_the_contract_and_not_of_the_adjusted_one():
    """DOMAIN T1 and T14: where the adjusted prices of all history lie does not change a label; prices below zero have
    labels, too."""
    noise = np.random.default_rng(4).normal(0.0, 1.0, 1500)
    prices = (15.0 + np.cumsum(noise))[:, None]
    assert prices.min() < 0.0 < prices.max()
    plain = strategy_market.of(prices)
    code = labels(plain, "volatility").market
    assert (code[36 + 252 + 1 :] != UNKNOWN).all()
    moved = labels(strategy_market.of(prices, offset=np.full(prices.shape, 1024.0)), "volatility").market
    assert np.array_equal(moved, code)


def test_equal_volatility_is_normal():
    code = labels(of_moves(turns((800, 4.0))), "volatility")
    assert set(code.market[300:, 0].tolist()) == {MIDDLE}
    assert set(code.together[700:].tolist()) == {MIDDLE}


@pytest.mark.parametrize(("drift", "code"), [(0.02, MIDDLE), (0.0, MIDDLE), (0.05, HIGH), (-0.05, LOW)])
def test_a_trend_is_a_year_that_went_half_of_its_volatility(drift, code):
    """Moves of a point up and down with a drift: over 252 bars it makes 252 drift, over root 252 = 15.87 points: 0.05
    are 0.79 of a year's volatility, 0.02 are 0.32; the bound is 0.5."""
    market = of_moves(turns((600, 1.0)) + drift)
    found = labels(market, "trend")
    assert set(found.market[253:, 0].tolist()) == {code}
    assert (found.market[:252, 0] == UNKNOWN).all()


def test_a_curve_that_falls_with_time_is_backwardation_and_one_that_rises_contango():
    """Daily moves of a point: a year's volatility is 15.9 points. The next contract, 91 days later, 2 points below: 8
    points a year, half of the volatility; 0.1 above: 0.03 of it."""
    moves = [turns((300, 1.0))] * 3
    prices = 1000.0 + np.cumsum(np.column_stack(moves), axis=0)
    market = strategy_market.of(prices, next_mark=prices + np.array([-2.0, 0.1, 2.0]))
    found = labels(market, "term")
    assert [set(found.market[40:, m].tolist()) for m in range(3)] == [{HIGH}, {MIDDLE}, {LOW}]
    assert set(found.together[40:].tolist()) == {MIDDLE}  # one of each
    two = strategy_market.of(prices[:, :2], next_mark=prices[:, :2] - 2.0)
    assert set(labels(two, "term").together[40:].tolist()) == {HIGH}
    assert (labels(strategy_market.of(prices, next_mark=np.full(prices.shape, np.nan)), "term").market == UNKNOWN).all()


def test_a_price_below_zero_has_a_term_structure_as_any_other():
    prices = -50.0 + np.cumsum(turns((300, 1.0)))[:, None]
    found = labels(strategy_market.of(prices, next_mark=prices - 2.0), "term").market[:, 0]
    assert set(found[40:].tolist()) == {HIGH}


def test_risk_is_off_while_markets_go_together_of_either_sign():
    """Two years apart, a quarter as one (the second against the first), apart again."""
    random = np.random.default_rng(1)
    one, two = random.normal(0.0, 1.0, (2, 800))
    two[504:590] = -3.0 * one[504:590]
    found = labels(of_moves(one, two), "risk")
    assert found.together[550] == HIGH and (found.together[545:595] == HIGH).all()
    assert found.together[700] != HIGH
    np.testing.assert_array_equal(found.market[:, 0], found.together)  # of two markets all have the same
    assert (labels(of_moves(one), "risk").together == UNKNOWN).all()


def test_states_know_a_wild_month():
    random = np.random.default_rng(5)
    moves = random.normal(0.0, 1.0, 1700)
    for start in (300, 700, 1100, 1500):
        moves[start : start + 60] *= 4.0
    code = labels(of_moves(moves), "states").market[:, 0]
    assert (code[1510:1555] == 1).mean() > 0.9 and (code[1300:1490] == 0).mean() > 0.95


def test_a_market_that_is_not_traded_has_no_regime():
    market = strategy_market.market(bars=900)
    market.available[500:600, 2] = False
    for kind in NAMES:
        assert (labels(market, kind).market[500:600, 2] == UNKNOWN).all()


def test_the_basket_holds_each_market_at_the_same_risk():
    """Two markets of moves of 1 and of 10 points: each moves by one volatility, so do both together."""
    market = of_moves(turns((400, 1.0)), turns((400, 10.0)))
    assert np.isnan(basket(market)[:252]).all()  # a volatility has to be known, of a year
    np.testing.assert_allclose(np.abs(basket(market)[253:]), 1.0, rtol=1e-12)
    opposed = of_moves(turns((400, 1.0)), -turns((400, 10.0)))
    np.testing.assert_allclose(basket(opposed)[253:], 0.0, atol=1e-12)
    holiday = market.mark.copy()
    holiday[300, 0] = np.nan
    assert abs(basket(strategy_market.of(holiday))[300]) == pytest.approx(0.5)  # one stands still
    holiday[300] = np.nan
    assert np.isnan(basket(strategy_market.of(holiday))[300])
    assert np.isnan(with_basket(strategy_market.of(holiday))[300, -1])


def test_an_unknown_kind_names_those_that_are():
    with pytest.raises(KeyError, match="regime 'moon'; allowed: volatility, trend, term, risk, states"):
        labels(strategy_market.market(bars=10), "moon")


# Slow twins


def test_bands_are_those_of_plain_python():
    values = np.random.default_rng(2).normal(0.5, 0.2, (500, 1))
    values[::17] = np.nan
    ours, code = banded(values, 0.25, 0.75, 0.1)[:, 0], UNKNOWN
    for t, value in enumerate(values[:, 0]):
        if not np.isnan(value):
            above, below = value > (0.65 if code == HIGH else 0.75), value < (0.35 if code == LOW else 0.25)
            code = HIGH if above else LOW if below else MIDDLE
        assert ours[t] == code


def test_places_in_a_window_are_those_of_plain_python():
    values = np.round(np.random.default_rng(3).normal(0.0, 2.0, (300, 2)))
    values[::13, 1] = np.nan
    ours = place(values, 20, 50)
    for m in range(2):
        past, last = [], np.nan
        for t, value in enumerate(values[:, m]):
            if not np.isnan(value):
                window = past[-50:]
                if len(past) >= 20:
                    last = sum(1.0 if old < value else 0.5 if old == value else 0.0 for old in window) / len(window)
                past.append(value)
            assert ours[t, m] == pytest.approx(last, nan_ok=True)
    np.testing.assert_array_equal(place(values, 20), place(values, 20, 300))


def test_correlations_are_those_of_plain_python():
    moves = np.random.default_rng(4).normal(0.0, 1.0, (90, 4))
    moves[:, 1] += 0.8 * moves[:, 0]
    moves[::7, 2] = np.nan
    moves[40:80, 3] = np.nan  # too few of the window: it takes no part
    ours = correlation(moves, 20, 0.75)
    assert np.isnan(ours[:19]).all()
    for t in range(19, 90):
        window = moves[t - 19 : t + 1]
        there = [m for m in range(4) if (~np.isnan(window[:, m])).sum() >= 15]
        clean = np.nan_to_num(window)
        pairs = {
            (i, j): abs(clean[:, i] @ clean[:, j]) / np.sqrt((clean[:, i] @ clean[:, i]) * (clean[:, j] @ clean[:, j]))
            for i in there for j in there if i < j
        }  # fmt: skip
        assert ours[t, -1] == pytest.approx(np.mean(list(pairs.values())))
        for m in range(4):
            own = [value for pair, value in pairs.items() if m in pair]
            assert ours[t, m] == pytest.approx(np.mean(own) if own else np.nan, nan_ok=True)


# No look into the future


def peeks(whole, kinds=tuple(NAMES), cuts=8, seed=0, make=labels):
    """(kind, cut) of labels that change when the days after a cut are gone."""
    random = np.random.default_rng(seed)
    found = []
    for kind in kinds:
        told = make(whole, kind)
        for t in [1, *random.integers(2, len(whole.days), cuts).tolist()]:
            part = make(rows(whole, t), kind)
            same = np.array_equal(part.market, told.market[:t]) and np.array_equal(part.together, told.together[:t])
            found += [] if same else [(kind, t)]
    return found


def rows(market, last):
    """The first rows of a market of either kind."""
    return strategy_market.prefix(market, last) if isinstance(market, SimpleNamespace) else market.rows(0, last)


def test_labels_of_a_part_are_those_of_the_whole():
    market = strategy_market.market(bars=1500)
    assert not peeks(market, cuts=12)


@pytest.mark.parametrize("kind", NAMES)
def test_another_future_leaves_labels_as_they_are(kind):
    market = strategy_market.market(bars=1500, seed=2)
    told = labels(market, kind)
    for t in (700, 1100, 1499):
        other = labels(strategy_market.other_future(market, t), kind)
        np.testing.assert_array_equal(other.market[:t], told.market[:t])
        np.testing.assert_array_equal(other.together[:t], told.together[:t])


@pytest.mark.parametrize("kind", NAMES)
def test_the_level_of_an_adjusted_price_labels_nothing(kind):
    market = strategy_market.market(bars=1200, seed=3)
    told, lifted = labels(market, kind), labels(strategy_market.lifted(market), kind)
    np.testing.assert_array_equal(told.market, lifted.market)
    np.testing.assert_array_equal(told.together, lifted.together)


def test_labels_by_all_of_history_would_be_caught():
    """Three that look ahead: the mean of the whole sample, a centred average, and the row of tomorrow."""

    def whole_sample(market, kind):
        code = np.where(np.nan_to_num(market.adjusted) > np.nanmean(market.adjusted), HIGH, MIDDLE)
        return SimpleNamespace(market=code, together=code[:, 0])

    def centred(market, kind):
        sums = np.convolve(np.nan_to_num(market.adjusted[:, 0]), np.ones(21), "same")
        code = (np.diff(sums, prepend=0.0) > 0.0).astype(int)
        return SimpleNamespace(market=code[:, None], together=code)

    def tomorrow(market, kind):
        code = np.roll(labels(market, kind).together, -1)
        return SimpleNamespace(market=code[:, None], together=code)

    market = strategy_market.market(bars=1200)
    for make in (whole_sample, centred, tomorrow):
        assert peeks(market, ("trend",), make=make)


def test_labels_of_a_part_of_the_sample_are_those_of_the_whole(tmp_path):
    from engine.market import load
    from store import open_archive, sample

    archive = open_archive(tmp_path / "store", create=True)
    sample.build(archive)
    assert not peeks(load(archive), cuts=5)


def test_labels_of_a_part_of_the_real_markets_are_those_of_the_whole(real):
    from engine.market import load

    market = load(real, start=None)
    assert not peeks(market, cuts=3)
    for kind in NAMES:
        known = labels(market, kind).together
        assert (known[-2000:] != UNKNOWN).mean() > 0.5


# What noise is called


def test_noise_is_called_by_all_names_and_no_name_too_often():
    """Random walks without any regime: a quarter low, a quarter high by construction, 38 % flat, no states at all."""
    random = np.random.default_rng(6)
    market = strategy_market.of(1000.0 + np.cumsum(random.normal(0.0, 1.0, (2500, 20)), axis=0))
    shares = {}
    for kind in NAMES:
        code = labels(market, kind).market
        shares[kind] = np.bincount(code[code != UNKNOWN], minlength=3) / max((code != UNKNOWN).sum(), 1)
    np.testing.assert_allclose(shares["volatility"], [0.3, 0.4, 0.3], atol=0.06)  # the bands hold a state a little
    np.testing.assert_allclose(shares["trend"], [0.31, 0.38, 0.31], atol=0.08)
    np.testing.assert_allclose(shares["risk"], [0.3, 0.4, 0.3], atol=0.06)
    assert (labels(market, "states").market == UNKNOWN).mean() > 0.98
    assert regimes.QUARTERS[:2] == (0.25, 0.75)
