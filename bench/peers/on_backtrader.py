"""The portfolio on backtrader: a feed a market in one Cerebro, commission of futures with a multiplier.

Its slippage is one size for all markets, so the tick is paid with the commission.
"""

import backtrader as bt
import pandas as pd

from bench.peers.workload import CAPITAL, FAST, SLOW, TIE

PACKAGE = "backtrader"
BOOKS_AT_THE_NEXT_BAR = True


class Feed(bt.feeds.PandasData):
    """Bars without open interest."""

    params = (("openinterest", None),)


class Crossover(bt.Strategy):
    """Holds one contract of each market on the side of its averages."""

    params = (("how", None),)

    def __init__(self):
        self.averages = [
            (data, bt.ind.SMA(data.close, period=FAST), bt.ind.SMA(data.close, period=SLOW)) for data in self.datas
        ]
        self.filled = []

    def next(self):
        for data, fast, slow in self.averages:
            gap = fast[0] - slow[0]
            wanted = 0 if abs(gap) <= TIE * data.close[0] else 1 if gap > 0 else -1
            change = wanted - self.getposition(data).size
            if change > 0:
                self.buy(data=data, size=change, exectype=self.p.how)
            elif change < 0:
                self.sell(data=data, size=-change, exectype=self.p.how)

    def notify_order(self, order):
        if order.status == order.Completed:
            self.filled.append((len(order.data) - 1, order.data._name, order.executed.size))


class Equity(bt.Analyzer):
    """Value of the account after every bar."""

    def start(self):
        self.values = []

    def prenext(self):
        self.next()

    def next(self):
        self.values.append(self.strategy.broker.getvalue())


def prepare(workload, fill):
    """The run, and what it told: equity (time,), fills (bar, market, contracts)."""
    days, fields = pd.DatetimeIndex(workload.days), ("open", "high", "low", "close", "volume")
    frames = [
        pd.DataFrame({name: getattr(workload, name)[:, m] for name in fields}, index=days)
        for m in range(len(workload.names))
    ]

    def run():
        cerebro = bt.Cerebro(stdstats=False)
        cerebro.broker.setcash(CAPITAL)
        cerebro.broker.set_coc(fill == "same_close")
        for name, frame, cost, multiplier in zip(
            workload.names, frames, workload.side_cost, workload.multiplier, strict=True
        ):
            cerebro.adddata(Feed(dataname=frame), name=name)
            cerebro.broker.setcommission(
                commission=cost, margin=1.0, mult=multiplier, commtype=bt.CommInfoBase.COMM_FIXED, stocklike=False,
                name=name,
            )  # fmt: skip
        cerebro.addstrategy(Crossover, how=bt.Order.Close if fill == "next_close" else bt.Order.Market)
        cerebro.addanalyzer(Equity, _name="equity")
        return cerebro.run()[0]

    def told(strategy):
        early = fill == "same_close"
        fills = [(bar - early, workload.names.index(name), size) for bar, name, size in strategy.filled]
        return strategy.analyzers.equity.values, fills

    return run, told
