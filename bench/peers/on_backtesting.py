"""The portfolio on backtesting.py: one run a market, added up, as it trades one instrument at a time.

Prices are multiplied by the multiplier, which it does not have; the tick is paid with the commission. The notional is
paid in cash: it begins with more, which is taken off again.
"""

import warnings

import numpy as np
import pandas as pd
from backtesting import Backtest, Strategy

from bench.peers.workload import CAPITAL, FAST, SLOW, TIE, average

PACKAGE = "backtesting"
BOOKS_AT_THE_NEXT_BAR = True
LENT = 1e9


class Crossover(Strategy):
    """Holds one unit on the side of the averages."""

    def init(self):
        """The gap is 0 where it is not known: else the first bars that have one would be left out."""
        self.gap = self.I(lambda close: np.nan_to_num(average(close, FAST) - average(close, SLOW)), self.data.Close)

    def next(self):
        gap = self.gap[-1]
        wanted = 0 if abs(gap) <= TIE * self.data.Close[-1] else 1 if gap > 0 else -1
        if wanted == self.position.size:
            return
        self.position.close()
        if wanted > 0:
            self.buy(size=1)
        elif wanted < 0:
            self.sell(size=1)


def prepare(workload, fill):
    """The run, and what it told: equity (time,), fills (bar, market, contracts)."""
    warnings.simplefilter("ignore")
    days, fields = pd.DatetimeIndex(workload.days), ("open", "high", "low", "close")
    frames = []
    for m, multiplier in enumerate(workload.multiplier):
        prices = {name.title(): getattr(workload, name)[:, m] * multiplier for name in fields}
        frames.append(pd.DataFrame(prices | {"Volume": workload.volume[:, m]}, index=days))

    def run():
        return [
            Backtest(
                frame, Crossover, cash=LENT, commission=lambda size, price, cost=cost: abs(size) * cost,
                trade_on_close=fill == "same_close", finalize_trades=False,
            ).run()
            for frame, cost in zip(frames, workload.side_cost, strict=True)
        ]  # fmt: skip

    def told(outcomes):
        equity, fills = np.full(len(days), CAPITAL), []
        for m, outcome in enumerate(outcomes):
            equity += outcome["_equity_curve"]["Equity"].to_numpy() - LENT
            for trade in outcome["_trades"].itertuples():
                fills.append((trade.EntryBar, m, trade.Size))
                fills.append((trade.ExitBar, m, -trade.Size))
            fills += [(trade.entry_bar, m, trade.size) for trade in outcome["_strategy"].trades]
        return equity, fills

    return run, told
