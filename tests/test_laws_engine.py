"""T14, T45: every shipped strategy on every sizing rule, through the whole engine: forecasts, sizes, orders, positions.

What a run did until a day does not change with what came after; and no bit of it moves with the level of the adjusted
prices, which is an accident of where their history begins. Rounding and buffer go round, so that all are met.
"""

from dataclasses import replace

import numpy as np
import pytest

from engine import inputs, sizing
from engine.market import Market
from engine.members import Spread
from engine.portfolio import Portfolio, Sleeve
from engine.simulate import simulate
from engine.sizing import SIZERS
from engine.strategies import STRATEGIES
from engine.strategy import Strategy
from tests import strategy_market

BARS, CUT, LEVEL = 900, 800, 1024.0
ROOTS, SECTORS = ("MES", "ZN", "MCL"), ("equity", "rates", "energy")
QUICK = {  # so that all of them trade within the bars there are
    "moving_average_cross": {"fast": 5, "slow": 20},
    "ewmac": {"fast": 4},
    "time_series_momentum": {"lookback": 60},
    "breakout": {"slow": 60.0},
    "turtle_units": {"fast": 10.0, "slow": 40.0},
    "carry_trend": {"lookback": 60},
    "rsi_reversal": {"trend": 40, "stop": 2.0, "hold": 5},
    "same_month": {"years": 2},
    "same_month_rank": {"years": 2},
}
SLOW = {"fixed": {"contracts": 4.0}, "kelly": {"memory": 60.0}, "kelly_portfolio": {"memory": 26.0, "refit": 4}}
ROUNDINGS = sizing.sizer.ROUNDINGS


@pytest.fixture(scope="module")
def market():
    """Three markets with holidays, rolls at gaps, a late one, and the spread of two, on a grid of quarters."""
    made = strategy_market.market(bars=BARS, markets=len(ROOTS), seed=3)
    mark, offset = made.mark, made.offset
    rolls = np.zeros(mark.shape, dtype=bool)
    rolls[:-1] = offset[1:] != offset[:-1]
    mark = np.where(rolls & np.isnan(mark), made.next_mark, mark)
    last = rolls & ~np.isnan(mark)
    gap = np.vstack([offset[1:] - offset[:-1], np.zeros((1, mark.shape[1]))])
    legs = {"roll_from": np.where(last, mark, np.nan), "roll_to": np.where(last, mark - gap, np.nan)}
    legs |= {f"{name}_fill": values for name, values in list(legs.items())}
    nan, no = np.full(mark.shape, np.nan), np.zeros(mark.shape, dtype=bool)
    number = 202001 + np.cumsum(np.vstack([np.zeros((1, mark.shape[1]), bool), rolls[:-1]]), axis=0)
    whole = {"contract": number, "roll_contract": np.where(last, number + 1, 0), "left_contract": 0 * number}
    given = vars(made) | legs | {name: values.astype(np.int32) for name, values in whole.items()}
    given.pop("adjusted")
    given |= {
        "names": ROOTS, "roots": ROOTS, "ranks": (0,) * 3, "sectors": SECTORS, "currencies": ("USD",) * 3,
        "currency": "USD", "simulated": True, "rate": np.full(BARS, 0.02), "fx_age": 0.0 * mark,
        "roll": last, "closed": no, "left_end": no, "own_margin": no, "proxy": no,
        "liquidity": made.volume, "multiplier": np.full(mark.shape, 5.0),
        "initial_margin": np.full(mark.shape, 500.0), "maintenance_margin": np.full(mark.shape, 400.0),
        **dict.fromkeys(("roll_volume", "left_open", "left_mark", "left_volume"), nan),
        **dict.fromkeys(("limit_points", "limit_share"), nan),
    }  # fmt: skip
    return Market(**{name: given[name] for name in given if name in Market.__dataclass_fields__})


def traded(market, portfolio):
    """(named arrays of what the engine was given and made of it, row by row)."""
    known, _ = inputs.with_margins(market, portfolio, 0)
    given = inputs.made(known, portfolio, 0)
    ledger = simulate(*given.arguments())
    arrays = {"weight": given.wishes.weight, "usual": given.wishes.usual}
    arrays |= {name: getattr(ledger, name) for name in ("position", "left", "amount", "equity", "margin")}
    if given.orders is not None:
        levels = ("price", "limit", "stop_at", "target_at")
        arrays |= {name: values for name, values in given.orders._asdict().items() if name not in levels}
        arrays |= {name: getattr(given.orders, name) - known.offset[:, given.layout.column] for name in levels}
    return arrays, ledger.fills


def portfolio(name, rule, number):
    """One strategy on three markets and their spread, where it can trade one."""
    strategy = STRATEGIES[name](**QUICK.get(name, {}))
    sizer = SIZERS[rule](**SLOW.get(rule, {}), rounding=ROUNDINGS[number % 3], buffer=0.1 * (number % 2))
    traded = [*ROOTS] if strategy.kind() in ("signals", "decide") else [*ROOTS, "both"]
    return Portfolio(
        name="law", capital=3e6, strategies=[Sleeve(strategy=strategy, markets=traded)], sizing=sizer,
        spreads={"both": Spread(legs={"MES": 1, "MCL": -2})},
    )  # fmt: skip


def check(market, told):
    """Hold one portfolio against both laws; returns how often it held something."""
    whole, fills = traded(market, told)
    early, before = traded(market.rows(0, CUT), told)
    lifted, moved = traded(replace(market, offset=market.offset + LEVEL), told)
    for what in whole:
        assert early[what].tobytes() == whole[what][:CUT].tobytes(), f"{what} read what came later"
        assert lifted[what].tobytes() == whole[what].tobytes(), f"{what} reads the level"
    assert before.tobytes() == fills[fills[:, 0] < CUT].tobytes()
    assert moved.tobytes() == fills.tobytes()
    return np.count_nonzero(whole["position"])


@pytest.mark.parametrize(("number", "name"), list(enumerate(STRATEGIES)), ids=list(STRATEGIES))
def test_t14_t45_neither_what_comes_later_nor_the_level_moves_a_bit(market, number, name):
    called = STRATEGIES[name].kind() == "decide"  # what it will ask for is not known beforehand, as Kelly has to
    rules = [rule for rule in SIZERS if not (called and rule.startswith("kelly"))]
    held = [check(market, portfolio(name, rule, number + k)) for k, rule in enumerate(rules)]
    assert sum(n > 0 for n in held) >= len(rules) - 1, "it never traded: nothing is shown"


class Peeking(Strategy):
    """Holds what will rise on the next bar."""

    def forecast(self, market):
        return np.vstack([np.sign(np.nan_to_num(np.diff(market.adjusted, axis=0))), np.zeros((1, 4))])


class OfTheLevel(Strategy):
    """Holds what stands above a price."""

    def forecast(self, market):
        return np.where(market.adjusted > 4000.0, 1.0, -1.0)


@pytest.mark.parametrize(("kind", "told"), [(Peeking, "later"), (OfTheLevel, "level")])
def test_a_strategy_that_breaks_a_law_is_found_out(market, kind, told):
    with pytest.raises(AssertionError, match=told):
        check(market, replace_strategy(portfolio("ewmac", "fixed", 0), kind()))


def replace_strategy(made, strategy):
    """The same portfolio with another strategy."""
    made.strategies = [Sleeve(strategy=strategy, markets=made.strategies[0].markets)]
    return made
