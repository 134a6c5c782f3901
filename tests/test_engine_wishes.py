"""engine/wishes.py: what is known at a decision, and what of it each market can still trade (T43)."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from engine import inputs, wishes
from engine.backtest import backtest
from engine.members import Spread
from engine.session import of_rows
from engine.settings import ConfigError
from engine.signals import Signals
from engine.strategy import Strategy, program
from tests.small_runs import Buys, Wants, market, portfolio

NONE = np.nan
TURNED = 60  # day on which the second market closes elsewhere


def hours(days):
    """A market that closes at 6:00 and opens at 8:00, and one that closes at 22:00 and opens at 23:00, all UTC."""
    at = np.asarray(days, "datetime64[m]")
    close, opens = (np.stack([at + np.timedelta64(h, "h") for h in pair], 1) for pair in ((6, 22), (8, 23)))
    return close, opens


def same_hours(days):
    """Two markets that close at 22:00 and open at 23:00."""
    return tuple(np.repeat(times[:, 1:], 2, axis=1) for times in hours(days))


def walks(moved=0.0, when=hours, bars=400, day=TURNED):
    """Two markets that move together; the second one's close of one day is moved."""
    steps = np.random.default_rng(5).multivariate_normal([0.05, 0.05], [[1.0, 0.7], [0.7, 1.0]], size=bars)
    marks = 100.0 + np.cumsum(steps, axis=0)
    marks[day, 1] += moved
    return replace(market(marks), hours=when)


class Ups(Strategy):
    """Long after a rise, each market on its own."""

    def forecast(self, market):
        return np.sign(np.diff(market.adjusted, axis=0, prepend=market.adjusted[:1]))


class Led(Ups):
    """All go the way that the second has gone, with a stop as far as its move."""

    across = True

    def signals(self, market):
        shown = market.adjusted[:, 1].copy()
        for t in range(1, len(shown)):
            shown[t] = shown[t - 1] if np.isnan(shown[t]) else shown[t]
        move = np.repeat(np.diff(shown, prepend=shown[0])[:, None], 2, axis=1)
        return Signals.build(market, np.sign(move), stop=np.abs(move) + 0.5)


RULES = [
    ("portfolio_volatility", []), ("equal_risk", []), ("kelly_portfolio", []),
    ("volatility", ["sizing.diversification=causal"]),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "settings"), RULES)
@pytest.mark.parametrize("decision", [[], ["execution.decision=23:00 UTC"]])
def test_t43_no_size_of_a_market_reads_a_close_after_its_next_open(rule, settings, decision):
    told = portfolio((Ups(), {}), rule=rule, settings=settings + decision, capital=1e6)
    before, after = (inputs.made(walks(moved, day=350), told, 0).wishes for moved in (0.0, -12.0))
    for name in ("weight", "usual"):
        a, b = getattr(before, name), getattr(after, name)
        np.testing.assert_array_equal(a[:351, 0], b[:351, 0])  # row 350 fills at 8:00, the other closes at 22:00
        np.testing.assert_array_equal(a[:350], b[:350])
        assert a[340:351].any() and (a[351:] != b[351:]).any()


@pytest.mark.parametrize(("rule", "settings"), RULES)
def test_markets_that_close_together_are_sized_as_without_hours(rule, settings):
    told = portfolio((Ups(), {}), rule=rule, settings=settings, capital=1e6)
    with_hours, without = (inputs.made(walks(when=when), told, 0).wishes for when in (same_hours, None))
    np.testing.assert_array_equal(with_hours.weight, without.weight)
    np.testing.assert_array_equal(with_hours.usual, without.usual)


def test_t43_covariances_of_whole_contracts_are_known_at_the_first_close():
    told = portfolio((Ups(), {}), settings=["rounding=nearest_risk"])
    day = 350 - 350 % 5  # a Monday, on which last week's covariances are made
    before, after = (inputs.made(walks(moved, day=day), told, 0).risk for moved in (0.0, -12.0))
    of = [one.covariance[one.period[day]] for one in (before, after)]
    np.testing.assert_array_equal(*of)
    assert (before.covariance[-1] != after.covariance[-1]).any()


@pytest.mark.parametrize("decision", ["07:00 UTC", "23:00 UTC"])
def test_t43_orders_and_episodes_come_with_the_decision_that_made_them(decision):
    told = portfolio((Led(), {}), settings=[f"execution.decision={decision}"], capital=1e6)
    before, after = (inputs.made(walks(moved), told, 0) for moved in (0.0, 8.0))
    for name in ("stop", "episode", "kind"):
        a, b = getattr(before.orders, name), getattr(after.orders, name)
        np.testing.assert_array_equal(a[: TURNED + 1, 0], b[: TURNED + 1, 0])
    made = before.orders
    turned = np.diff(np.sign(before.wishes.weight[:, 0])) != 0
    np.testing.assert_array_equal(turned[1:], np.diff(made.episode[:, 0])[1:] != 0)  # a turn is a new episode
    assert (before.orders.stop != after.orders.stop).any()


class Once(Strategy):
    """Long from the second bar, short from the fifth, with a stop of two points."""

    def signals(self, market):
        return Signals.build(market, np.array([0, 1, 1, 1, -1, -1, -1, -1, -1.0])[:, None], stop=2.0)


def test_t43_what_was_stopped_out_is_not_entered_again_by_a_late_decision():
    bars = {"open": [100.0] * 5 + [95.0] * 4, "low": [100.0] * 4 + [95.0] * 5, "high": [100.0] * 5 + [95.0] * 4}
    one = market([100.0] * 4 + [95.0] * 5, **bars)
    one = replace(one, hours=lambda days: tuple(times[:, :1] for times in hours(days)))
    told = portfolio((Once(), {}), settings=["execution.decision=23:00 UTC"], capital=1e6)
    found = inputs.made(one, told, 0)
    assert found.wishes.weight[:, 0].tolist() == [0, 0, 1, 1, 1, -1, -1, -1, -1]
    assert found.orders.episode[:, 0].tolist() == [0, 0, 1, 1, 1, 2, 2, 2, 2]
    assert backtest(one, told).fills()["contracts"].to_list() == [1.0, -1.0, -1.0]


def test_an_order_whose_day_was_skipped_comes_with_its_episode():
    entry, none = np.array([0.0, 0.0, 1.0, 0.0, 0.0])[:, None], np.full((5, 1), NONE)
    stop = np.where(entry > 0, 3.0, none)
    signals = Signals.build(market([100.0] * 5), entry, stop=stop)
    episode = signals.latched()[1]
    rows = np.array([-1, 0, 1, 3, 4])[:, None]  # the decision of row 2 is traded with that of row 3
    decision = SimpleNamespace(signals=signals, episode=episode)
    moved = wishes._signals_of(decision, rows, of_rows(episode, rows))
    np.testing.assert_array_equal(moved.stop.ravel(), [NONE, NONE, NONE, 3.0, NONE])


class Called(Strategy):
    """Long, bar by bar."""

    @program
    def decide(t, columns, adjusted, mark, position, equity, params, memory, forecast):
        forecast[:] = 1.0


class CalledAcross(Called):
    """One that reads several markets at once."""

    across = True


@pytest.mark.parametrize(
    ("strategy", "sleeve", "settings", "told"),
    [
        (CalledAcross(), {}, [], "`across`"),
        (Called(), {"markets": ["pair"]}, [], "spreads"),
        (Called(), {}, ["execution.decision=07:00 UTC"], r"\[execution\] decision = '07:00 UTC'; allowed: 'own'"),
        (Called(), {}, ["sizing.rule=kelly"], r"\[sizing\] rule = 'kelly'"),
        (Called(), {}, ["sizing.rule=kelly_portfolio"], r"\[sizing\] rule = 'kelly' or 'kelly_portfolio'"),
    ],
)
def test_t43_what_a_function_called_bar_by_bar_cannot_keep_is_refused(strategy, sleeve, settings, told):
    given = portfolio((strategy, sleeve), settings=settings, spreads={"pair": Spread(legs={"A": 1, "B": -1})})
    with pytest.raises(
        ConfigError, match=rf"strategies\]\] called\w*: a strategy that is called bar by bar does not go with {told}"
    ):
        inputs.made(walks(), given, 0)


@pytest.mark.parametrize("rule", ["portfolio_volatility", "equal_risk", "kelly_portfolio"])
def test_target_contracts_are_not_in_the_book_of_the_others(rule):
    sizes = [
        inputs.made(
            walks(when=None),
            portfolio((Buys.of(n), {"markets": ["A"]}), (Wants(), {"markets": ["B"]}), rule=rule, capital=1e6),
            0,
        ).wishes.weight[:, 1]
        for n in (0.0, 1.0, 100.0)
    ]
    assert sizes[0].any()
    np.testing.assert_array_equal(sizes[0], sizes[1])
    np.testing.assert_array_equal(sizes[0], sizes[2])
