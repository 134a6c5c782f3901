"""Seasonal and spread strategies: cases worked by hand, slow twins; and the laws of these, of overlays and blends."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import strategy_market

from engine import members
from engine.indicators import change, volatility
from engine.market import Market
from engine.strategies import STRATEGIES
from engine.strategies.blend import Blend, Vote
from engine.strategies.calendar_spread import RollYieldSpread, SpreadReversion, SpreadTrend, reverting, spread_carry
from engine.strategies.regime import (
    DrawdownBrake,
    QuietOnly,
    TrendFilter,
    VolatilityManaged,
    VolatilityRegime,
)
from engine.strategies.seasonal import PreHoliday, SameMonth, SameMonthRank, TurnOfMonth, month_mean
from engine.strategy import StrategyError, snake_name

SEASONAL = (SameMonth, SameMonthRank, TurnOfMonth, PreHoliday)
SPREADS = (RollYieldSpread, SpreadReversion, SpreadTrend)
OVERLAYS = (VolatilityRegime, VolatilityManaged, QuietOnly, TrendFilter, DrawdownBrake)
BLENDS = (Blend, Vote)
ALL = (*SEASONAL, *SPREADS, *OVERLAYS, *BLENDS)
EWMAC = {"name": "ewmac", "params": {"fast": 4, "speeds": 1}}
CROSS = {"name": "moving_average_cross", "params": {"fast": 5, "slow": 20}}


def quick(kind):
    """The strategy with memories that are short enough for a test."""
    short = {"least": 60, "years": 2, "lookback": 60, "slow": 200}
    made = kind(**{key: value for key, value in short.items() if key in kind.param})
    if "inner" in kind.param:
        made.inner = EWMAC
    if "parts" in kind.param:
        made.parts = [EWMAC | {"weight": 2.0}, CROSS]
    return made


def lines(*columns, **others):
    """A market whose bars are one price each, column by column."""
    return strategy_market.of(np.array(columns, dtype=np.float64).T, **others)


def walk(bars=400, seed=3, markets=1):
    return strategy_market.of(100.0 + np.cumsum(np.random.default_rng(seed).normal(0.0, 1.0, (bars, markets)), axis=0))


@pytest.fixture(autouse=True)
def all_on_the_list():
    """Strategies may hold what is on the list."""
    before = dict(STRATEGIES)
    STRATEGIES.update({snake_name(kind): kind for kind in ALL})
    yield
    STRATEGIES.clear()
    STRATEGIES.update(before)


@pytest.fixture(scope="module")
def market():
    return strategy_market.market(bars=1100)


# Laws


@pytest.mark.parametrize("kind", ALL, ids=snake_name)
def test_t14_t45_neither_the_future_nor_the_level_of_the_adjusted_price_has_a_say(kind, market):
    strategy = quick(kind)
    whole = strategy.decision(market).forecast
    assert whole.shape == market.mark.shape and whole.dtype == np.float64 and whole.flags.c_contiguous
    assert np.isfinite(whole).all() and whole.any()
    for t in (1, 253, 700, 1099):
        np.testing.assert_array_equal(strategy.decision(strategy_market.prefix(market, t)).forecast, whole[:t])
        np.testing.assert_array_equal(
            strategy.decision(strategy_market.other_future(market, t)).forecast[:t], whole[:t]
        )
    np.testing.assert_array_equal(strategy.decision(strategy_market.lifted(market)).forecast, whole)


@pytest.mark.parametrize("kind", ALL, ids=snake_name)
def test_inputs_stay_as_they_were_and_the_same_twice_is_the_same(kind, market):
    kept = {name: values.copy() for name, values in vars(market).items() if isinstance(values, np.ndarray)}
    first, again = quick(kind).forecast(market), quick(kind).forecast(market)
    np.testing.assert_array_equal(first, again)
    for name, values in kept.items():
        np.testing.assert_array_equal(getattr(market, name), values)


@pytest.mark.parametrize("kind", ALL, ids=snake_name)
def test_before_the_warm_up_of_a_market_there_is_no_forecast_but_by_the_date(kind, market):
    strategy = quick(kind)
    if kind in (TurnOfMonth, PreHoliday):
        assert strategy.warm_up() == 0
        return
    moves = change(np.ascontiguousarray(market.adjusted))
    told = {"inner": 16, "parts": 16, "years": 2 * 250}  # of those held the quickest; two years and no more
    least = next((bars for key, bars in told.items() if key in kind.param), strategy.warm_up() - 1)
    seen = np.cumsum(~np.isnan(moves), axis=0) + 1
    assert not strategy.forecast(market)[seen < least].any() and least <= strategy.warm_up()


@pytest.mark.parametrize("kind", ALL, ids=snake_name)
def test_every_param_says_what_it_is_in_which_unit_and_within_bounds(kind):
    for key in set(kind.param) - {"name"}:
        told = kind.param[key]
        assert "[" in told.doc and told.doc.endswith("]")
        assert hasattr(told, "bounds") or type(told).__name__ in ("Boolean", "Selector", "Inner", "Parts")
        assert getattr(told, "bounds", True) or type(told).__name__ == "Parts"


@pytest.mark.parametrize("kind", ALL, ids=snake_name)
def test_a_market_that_does_not_move_has_no_forecast_but_by_the_date(kind):
    still = lines(np.full(600, 100.0), np.zeros(600), next_mark=np.array([[99.0, 0.0]] * 600))
    if kind not in (TurnOfMonth, PreHoliday):
        assert not quick(kind).forecast(still).any()


@pytest.mark.parametrize("kind", ALL, ids=snake_name)
def test_t2_forecasts_of_prices_below_zero_are_as_those_above(kind, market):
    """The same moves 8192 lower: no ratio of prices, no sign of one has a say."""
    low = strategy_market.lifted(market, 0.0)
    low.mark, low.next_mark, low.adjusted = market.mark - 8192.0, market.next_mark - 8192.0, market.adjusted - 8192.0
    low.high, low.low = market.high - 8192.0, market.low - 8192.0
    assert (np.nan_to_num(low.mark, nan=-1.0) < 0.0).all()
    np.testing.assert_array_equal(quick(kind).forecast(low), quick(kind).forecast(market))


def test_only_the_rank_reads_several_markets_at_once_and_what_holds_it(market):
    for kind in ALL:
        assert getattr(quick(kind), "across", False) == (kind is SameMonthRank)
        if kind is SameMonthRank:
            continue
        alone = strategy_market.of(market.mark[:, :1], market.offset[:, :1], next_mark=market.next_mark[:, :1])
        if kind is not Blend:
            np.testing.assert_array_equal(quick(kind).forecast(alone)[:, 0], quick(kind).forecast(market)[:, 0])
    assert TrendFilter(inner={"name": "carry_rank"}).across
    assert Blend(parts=[EWMAC, {"name": "trend_filter", "params": {"inner": {"name": "carry_rank"}}}]).across


# Seasonal


def years_of(rises, days):
    """A price that rises in some months of the year by `rises[month]` a day, else wobbles evenly."""
    month = days.astype("datetime64[M]").astype(int) % 12
    wobble = np.where(np.arange(len(days)) % 2, 1.0, -1.0)
    return 500.0 + np.cumsum(wobble + np.array([rises.get(m, 0.0) for m in month]))


def weekdays(first, last):
    days = np.arange(np.datetime64(first), np.datetime64(last))
    return days[np.is_busday(days)]


def test_a_month_that_used_to_rise_is_bought_from_its_first_bar_to_its_last_but_one():
    days = weekdays("2001-01-01", "2010-01-01")
    market = lines(years_of({3: 0.5, 9: -0.5}, days), days=days)
    forecast = SameMonth(years=3).forecast(market)[:, 0]
    month, year = days.astype("datetime64[M]").astype(int) % 12, days.astype("datetime64[Y]").astype(int) + 1970
    april = (year == 2008) & (month == 3)
    assert (forecast[april][:-1] > 1.0).all()
    assert forecast[april][-1] < 1.0  # May is what comes next
    assert forecast[np.flatnonzero(april)[0] - 1] > 1.0  # decided on the last bar of March, filled in April
    assert (forecast[(year == 2008) & (month == 9)][:-1] < -1.0).all()
    assert not forecast[year < 2004].any()  # three Aprils and no less


def plain_months(price, sigma, days, coming, years, excess):
    """Mean z and its standard error at the last row, from lists by month."""
    by_month, z = {}, {}
    for k, day in enumerate(days):
        if not math.isnan(price[k]):
            by_month.setdefault(str(day)[:7], []).append(k)
    names = sorted(by_month)
    for before, name in itertools.pairwise(names):
        following = np.datetime64(before, "M") + 1 == np.datetime64(name, "M")
        start, rows = by_month[before][-1], by_month[name]
        if following and name != names[-1] and not math.isnan(sigma[start]):
            z.setdefault(int(name[5:]), []).append(
                (price[rows[-1]] - price[start]) / sigma[start] / math.sqrt(len(rows))
            )
    own = z.get(coming, [])
    others = [one for month, many in z.items() if month != coming for one in many]
    if len(own) < years:
        return math.nan, math.nan
    mean = sum(own) / len(own)
    error = math.sqrt(sum((one - mean) ** 2 for one in own) / (len(own) - 1) / len(own))
    return mean - (sum(others) / len(others) if excess else 0.0), error


@pytest.mark.parametrize("excess", [True, False])
def test_means_of_months_are_those_of_plain_python(excess):
    market = strategy_market.market(bars=1500, seed=5)
    moves = change(np.ascontiguousarray(market.adjusted))
    sigma = np.where(np.cumsum(~np.isnan(moves), axis=0) >= 36, volatility(moves, 36.0), np.nan)
    mean, error = month_mean(market, 36.0, 2, excess)
    for t in (600, 1000, 1234, 1498):
        coming = int(str(market.days[t + 1])[5:7])
        for m in (0, 1):
            rows = market.adjusted[: t + 1, m], sigma[: t + 1, m], market.days[: t + 1]
            wanted = plain_months(*rows, coming, 2, excess)
            assert (mean[t, m], error[t, m])[: 1 if math.isnan(wanted[0]) else 2] == pytest.approx(
                wanted[: 1 if math.isnan(wanted[0]) else 2], rel=1e-9, nan_ok=True
            )


def test_without_the_other_months_a_market_that_always_rises_is_bought_in_all():
    days = weekdays("2001-01-01", "2010-01-01")
    market = lines(years_of(dict.fromkeys(range(12), 0.5), days), days=days)
    late = days > np.datetime64("2008-01-01")
    assert (SameMonth(excess=False).forecast(market)[late] == 2.0).all()
    assert np.abs(SameMonth(excess=True).forecast(market)[late]).mean() < 1.0


def test_a_month_after_a_month_without_bars_does_not_count():
    days = weekdays("2001-01-01", "2008-01-01")
    price = years_of({3: 0.5}, days)
    price[days.astype("datetime64[M]").astype(int) % 12 == 2] = np.nan  # no March, so no begin of April
    mean, _ = month_mean(lines(price, days=days), 36.0, 2, excess=False)
    april = days.astype("datetime64[M]").astype(int) % 12 == 3
    told = days[april & ~np.isnan(mean[:, 0])].astype(str).tolist()
    assert told == ["2003-04-30", "2004-04-30", "2005-04-29", "2006-04-28", "2007-04-30"]  # which tell of May


def test_ranks_of_months_sum_to_zero_and_the_best_month_is_bought():
    days = weekdays("2001-01-01", "2008-01-01")
    prices = [years_of({3: rise}, days) for rise in (-0.5, 0.0, 0.5)]
    forecast = SameMonthRank(years=3).forecast(lines(*prices, days=days))
    april = (days > np.datetime64("2007-04-01")) & (days < np.datetime64("2007-04-28"))
    np.testing.assert_allclose(forecast.sum(axis=1), 0.0, atol=1e-12)
    assert forecast[april].tolist() == [[-1.5, 0.0, 1.5]] * april.sum()


def test_the_turn_of_the_month_is_its_last_trading_day_and_the_first_three_of_the_next():
    """April 2024 ended on Tuesday the 30th; the first three of May were the 1st to the 3rd."""
    days = weekdays("2024-04-22", "2024-05-10")
    forecast = TurnOfMonth().forecast(lines(np.arange(len(days)), days=days))[:, 0]
    held = days[1:][forecast[:-1] == 1.0]  # what is decided on a bar is held on the next
    assert held.astype(str).tolist() == ["2024-04-30", "2024-05-01", "2024-05-02", "2024-05-03"]


def test_the_turn_of_the_month_knows_the_holidays_that_come():
    """Good Friday was 2024-03-29: the last trading day of March was Thursday; New Year's Day is no first day."""
    for first, last, wanted in (
        ("2024-03-20", "2024-04-10", ["2024-03-28", "2024-04-01", "2024-04-02", "2024-04-03"]),
        ("2024-12-20", "2025-01-15", ["2024-12-31", "2025-01-02", "2025-01-03", "2025-01-06"]),
        ("2021-05-20", "2021-06-10", ["2021-05-28", "2021-06-01", "2021-06-02", "2021-06-03"]),
    ):
        days = weekdays(first, last)
        days = days[~np.isin(days.astype(str), ["2024-03-29", "2024-12-25", "2025-01-01", "2025-01-09", "2021-05-31"])]
        forecast = TurnOfMonth().forecast(lines(np.arange(len(days)), days=days))[:, 0]
        assert days[1:][forecast[:-1] == 1.0].astype(str).tolist() == wanted


def test_by_weekdays_alone_a_holiday_at_the_months_end_counts_as_a_trading_day():
    days = weekdays("2024-03-20", "2024-04-10")
    forecast = TurnOfMonth(calendar="weekdays").forecast(lines(np.arange(len(days)), days=days))[:, 0]
    assert days[1:][forecast[:-1] == 1.0].astype(str).tolist()[0] == "2024-03-29"


def test_t45_the_turn_of_the_month_is_the_same_when_the_month_has_not_ended():
    days = weekdays("2023-01-02", "2024-12-31")
    whole = TurnOfMonth().forecast(lines(np.arange(len(days)), days=days))
    for t in range(1, len(days), 7):
        np.testing.assert_array_equal(TurnOfMonth().forecast(lines(np.arange(t), days=days[:t])), whole[:t])


def test_the_days_before_holidays_are_held():
    days = weekdays("2024-06-24", "2024-09-05")
    days = days[~np.isin(days.astype(str), ["2024-07-04", "2024-09-02"])]
    forecast = PreHoliday().forecast(lines(np.arange(len(days)), days=days))[:, 0]
    assert days[1:][forecast[:-1] == 1.0].astype(str).tolist() == ["2024-07-03", "2024-08-30"]
    two = PreHoliday(before=2).forecast(lines(np.arange(len(days)), days=days))[:, 0]
    assert days[1:][two[:-1] == 1.0].astype(str).tolist() == ["2024-07-02", "2024-07-03", "2024-08-29", "2024-08-30"]


# Calendar spread


def two_legs(near, far, next_near, next_far, fx=1.0, **others):
    """Two months of one market, 1000 a point, and the spread near less far as strategies see it."""
    plain = strategy_market.of(
        np.array([near, far], float).T,
        next_mark=np.array([next_near, next_far], float).T,
        multiplier=np.full((len(near), 2), 1000.0),
        fx=np.full((len(near), 2), fx),
        **others,
    )
    return members.seen(real(plain), {"s": {"M0": 1.0, "M1": -1.0}})


def real(plain):
    """A Market of what is given; its other arrays hold nothing."""
    told = {name: value for name, value in vars(plain).items() if name in Market.__dataclass_fields__}
    for name, field in Market.__dataclass_fields__.items():
        if name not in told and field.type is np.ndarray:
            told[name] = np.full(plain.mark.shape, np.nan)
    told |= {"ranks": (0,) * len(plain.names), "currencies": ("USD",) * len(plain.names), "currency": "USD"}
    return Market(**(told | {"rate": np.zeros(len(plain.days)), "simulated": True}))


def test_carry_of_a_spread_is_what_its_legs_earn_if_the_curve_stays():
    """Per 30.4 days the near leg earns 1.0 and the far one 0.25: 0.75 * 1000 * 12 a year, at 1000 of volatility."""
    steps = np.where(np.arange(60) % 2, 0.5, 0.0)
    market = two_legs(80 + steps, 70 - steps, 79 + steps, 69.75 - steps, next_days=365.0 / 12.0)
    usual = spread_carry(market, 10.0, 1.0)[-1]
    assert usual[2] == pytest.approx(0.75 * 1000 * 12 / (1000.0 * math.sqrt(252.0)))
    assert usual[0] == pytest.approx(1.0 * 12 / (0.5 * math.sqrt(252.0)))  # a plain market is its own leg, in points
    forecast = RollYieldSpread(span=10.0, smooth=1.0).forecast(market)
    assert forecast[-1, 2] == pytest.approx(3.0 * usual[2]) and not forecast[:10].any()


def test_a_spread_whose_far_leg_pays_more_is_sold():
    steps = np.where(np.arange(60) % 2, 0.5, 0.0)
    market = two_legs(80 + steps, 70 - steps, 80 + steps, 69 - steps, next_days=30.0)
    assert RollYieldSpread(span=10.0).forecast(market)[-1, 2] < 0.0


def test_a_leg_without_a_next_price_keeps_the_carry_of_the_spread():
    steps = np.where(np.arange(60) % 2, 0.5, 0.0)
    market = two_legs(80 + steps, 70 - steps, 79 + steps, 69.75 - steps, next_days=30.0)
    whole = spread_carry(market, 10.0, 1.0)
    market.next_mark[40:, 1] = np.nan
    late = spread_carry(market, 10.0, 1.0)
    assert (late[40:, 2] == whole[39, 2]).all() and (late[40:, 0] == whole[40:, 0]).all()


def test_a_spread_is_judged_in_account_currency_and_its_side_is_that_of_its_ratios(market):
    plain = real(strategy_market.of(market.mark, market.offset, next_mark=market.next_mark))
    one, other = {"M0": 1.0, "M1": -2.0}, {"M0": -1.0, "M1": 2.0}
    view = members.seen(plain, {"one": one, "other": other})
    for kind in SPREADS:
        forecast = quick(kind).forecast(view)
        assert forecast.shape == view.mark.shape and forecast[:, -2].any()
        np.testing.assert_allclose(forecast[:, -1], -forecast[:, -2], atol=1e-12)
        rich = members.seen(dataclasses.replace(plain, fx=4.0 * plain.fx), {"one": one, "other": other})
        np.testing.assert_allclose(quick(kind).forecast(rich), forecast, rtol=1e-9)


def plain_reverting(distance, enter, leave, give_up, hold):
    """One market without holidays, as one would tell it."""
    out, side, since, barred = [], 0, 0, False
    for t, away in enumerate(distance):
        if (side == 1 and away >= -leave) or (side == -1 and away <= leave):
            side = 0
        elif side and (abs(away) > give_up or (hold and t - since >= hold)):
            side, barred = 0, True
        if abs(away) <= leave:
            barred = False
        if not side and not barred and enter < abs(away) <= give_up:
            side, since = (-1 if away > 0 else 1), t
        out.append(side)
    return out


@pytest.mark.parametrize("hold", [0, 3, 10])
def test_sides_of_a_reversion_are_those_of_plain_python(hold):
    distance = np.random.default_rng(8).normal(0.0, 2.0, 3000)
    distance[1:] = 0.7 * distance[1:] + 0.5 * distance[:-1]
    ours = reverting(distance[:, None], distance[:, None], 2.0, 0.5, 4.0, hold)[:, 0]
    np.testing.assert_array_equal(ours, plain_reverting(distance, 2.0, 0.5, 4.0, hold))
    assert set(ours) == {-1.0, 0.0, 1.0}


def test_a_dear_spread_is_sold_and_bought_back_at_its_mean():
    price = np.concatenate([np.tile([0.0, 1.0], 30), [5.0], np.full(3, 4.0), [0.5, 0.5]])
    forecast = SpreadReversion(length=60, give_up=20.0).forecast(lines(price))[:, 0]
    assert forecast[59:].tolist() == [0, -1, -1, -1, -1, 0, 0]


def test_t42_a_holiday_of_a_leg_neither_enters_nor_ages_a_position():
    distance = np.array([[0.0], [2.5], [2.4], [np.nan], [2.3], [2.2]])
    assert reverting(distance, distance, 2.0, 0.5, 4.0, 3).ravel().tolist() == [0, -1, -1, -1, -1, 0]


def test_distances_of_a_reversion_must_grow():
    with pytest.raises(StrategyError, match=r"2\.5, 2\.0, 4\.0; allowed: each above the one before"):
        SpreadReversion(leave=2.5).forecast(walk())


def test_the_trend_of_a_spread_is_its_change_over_what_a_random_walk_goes():
    """Steps of one point up: 60 in 60 bars, where a walk of that volatility goes √60 * √(2/π)."""
    price = np.concatenate([[0.0], np.cumsum(np.tile([1.0, 1.0, 1.0, -1.0], 30))])
    forecast = SpreadTrend(lookback=60, span=20.0).forecast(lines(price))
    assert not forecast[:60].any()
    assert forecast[60, 0] == 2.0 and SpreadTrend(lookback=4, span=20.0).forecast(lines(price))[-1, 0] == pytest.approx(
        2.0 / (2.0 * math.sqrt(2.0 / math.pi))
    )


def test_the_mean_size_of_a_random_walks_trend_is_one():
    market = strategy_market.of(np.cumsum(np.random.default_rng(2).normal(0.0, 1.0, (3000, 40)), axis=0))
    sizes = np.abs(SpreadTrend(lookback=20, span=500.0).forecast(market)[600:])
    assert sizes.mean() == pytest.approx(1.0, abs=0.08)  # less what the cap of 2 takes, which is 0.07


def test_names_of_the_list_are_those_of_the_classes():
    for kind in ALL:
        assert STRATEGIES.get(snake_name(kind), kind) is kind
