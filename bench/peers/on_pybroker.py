"""The portfolio on PyBroker: signals as a column of its data.

Prices are multiplied by the multiplier, which it does not have; tick and commission are a function of fees. The
notional is paid in cash: it begins with more, which is taken off again.
"""

from decimal import Decimal

import numpy as np
import pandas as pd
import pybroker
from pybroker import PriceType, Strategy, StrategyConfig

from bench.peers.workload import CAPITAL, side

PACKAGE = "lib-pybroker"
BOOKS_AT_THE_NEXT_BAR = False
LENT = 10**9


def prepare(workload, fill):
    """The run, and what it told: equity (time,), fills (bar, market, contracts)."""
    pybroker.disable_logging()
    pybroker.disable_progress_bar()
    pybroker.register_columns("wanted")
    days, names = pd.DatetimeIndex(workload.days), workload.names
    price = PriceType.OPEN if fill == "next_open" else PriceType.CLOSE
    fees = {name: Decimal(str(cost)) for name, cost in zip(names, workload.side_cost, strict=True)}
    prices = {
        name: (getattr(workload, name) * workload.multiplier).T.ravel() for name in ("open", "high", "low", "close")
    }
    frame = pd.DataFrame({"symbol": np.repeat(names, len(days)), "date": np.tile(days, len(names)), **prices})
    frame["volume"] = workload.volume.T.ravel()
    config = StrategyConfig(
        initial_cash=LENT, fee_mode=lambda info: fees[info.symbol] * Decimal(info.shares), round_fill_price=False,
        round_test_result=False, bars_per_year=252,
    )  # fmt: skip

    def crossover(context):
        long, short = context.long_pos(), context.short_pos()
        held = (float(long.shares) if long else 0.0) - (float(short.shares) if short else 0.0)
        change = context.wanted[-1] - held
        if change > 0:
            context.buy_fill_price, context.buy_shares = price, change
        elif change < 0:
            context.sell_fill_price, context.sell_shares = price, -change

    def run():
        given = frame.assign(wanted=side(workload.close).T.ravel())
        strategy = Strategy(given, days[0], days[-1] + pd.Timedelta(days=1), config)
        strategy.add_execution(crossover, names)
        return strategy.backtest(calc_bootstrap=False)

    def told(outcome):
        equity = outcome.portfolio["market_value"].astype(float).to_numpy() - LENT + CAPITAL
        orders = outcome.orders
        bars = days.get_indexer(orders["date"])
        contracts = np.where(orders["type"] == "buy", 1.0, -1.0) * orders["shares"].astype(float)
        return equity, zip(bars, [names.index(name) for name in orders["symbol"]], contracts, strict=True)

    return run, told
