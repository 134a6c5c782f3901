"""The portfolio on futures-backtest: one contract a market, tables in memory, margins that never bind."""

import numpy as np
import pandas as pd
from futures_backtest import BacktestConfig, BaseStrategy, TargetPosition
from futures_backtest.dataset import build_dataset
from futures_backtest.scheduler import Scheduler
from futures_backtest.types import AdapterMetadata

from bench.peers.workload import CAPITAL, COMMISSION, FAST, SLOW, TIE

PACKAGE = "futures-backtest"
BOOKS_AT_THE_NEXT_BAR = False
MARGIN = 0.0001  # share of the notional


class Tables:
    """Its adapter of data: frames by name."""

    def __init__(self, frames):
        self.frames = frames

    def metadata(self):
        return AdapterMetadata(adapter="memory", data_version="1", fingerprint="made")

    def load_table(self, name):
        return self.frames.get(name)


class Crossover(BaseStrategy):
    """Wants one contract of each market on the side of its averages; sums of closes are carried on from bar to bar."""

    def on_bar(self, context):
        if context.bars_seen == 1:
            self.closes = {name: [] for name in context.underlyings}
            self.sums = {name: [0.0, 0.0] for name in context.underlyings}
        if context.bars_seen == self.parameters["bars"]:
            return None
        wanted = []
        for name, closes in self.closes.items():
            close, sums = context.bars[name].close, self.sums[name]
            closes.append(close)
            for k, length in enumerate((FAST, SLOW)):
                sums[k] += close - (closes[-length - 1] if len(closes) > length else 0.0)
            if len(closes) >= SLOW:
                gap = sums[0] / FAST - sums[1] / SLOW
                lots = 0 if abs(gap) <= TIE * close else 1 if gap > 0 else -1
                wanted.append(TargetPosition(underlying=name, net_lots=lots))
        return wanted or None


def prepare(workload, fill):
    """The run, and what it told: equity (time,), fills (bar, market, contracts)."""
    days, names = pd.DatetimeIndex(workload.days), workload.names
    adapter = Tables(tables(workload, days, names))
    config = BacktestConfig.model_validate({
        "data": {
            "adapter": "mock", "underlyings": names, "start": days[0].date(), "end": days[-1].date(), "bar_freq": "1d",
        },
        "portfolio": {"initial_cash": CAPITAL, "margins_default": MARGIN},
        "routing": {"dominant_lag": 1, "roll_timing": "next_open"},
        "execution": {"market_fill": fill, "slippage_ticks": 1.0},
        "strategy": {"path": f"{__name__}:Crossover", "parameters": {"bars": len(days)}},
        "output": {"root": "not-written"},
    })  # fmt: skip

    def run():
        made = Scheduler(config, build_dataset(config.data, adapter), Crossover({"bars": len(days)}))
        made.run()
        return made

    def told(made):
        fills = [
            (days.get_loc(pd.Timestamp(one.trading_day)), names.index(one.underlying), signed(one))
            for one in made.fills
            if one.filled_lots
        ]
        return [row["equity"] for row in made.nav], fills

    return run, told


def signed(fill):
    """Lots bought, or sold below zero."""
    return fill.filled_lots if fill.side == "buy" else -fill.filled_lots


def tables(workload, days, names):
    """Bars and facts as it wants them: one contract a market, the dominant one from before the first day."""
    symbols = [f"{name}c" for name in names]
    every = {"symbol": np.repeat(symbols, len(days)), "trading_day": np.tile(days, len(names))}
    prices = {name: getattr(workload, name).T.ravel() for name in ("open", "high", "low", "close", "volume")}
    bars = {**every, "underlying": np.repeat(names, len(days)), "datetime": every["trading_day"], **prices}
    fees = dict.fromkeys(("open_fee_per_lot", "close_fee_per_lot", "close_today_fee_per_lot"), COMMISSION)
    facts = {"multiplier": workload.multiplier, "tick_size": workload.tick}
    before = [days[0] - pd.Timedelta(days=7)] * len(names)
    return {
        "bars": pd.DataFrame(bars),
        "settles": pd.DataFrame({**every, "settle_price": prices["close"]}),
        "contracts": pd.DataFrame({"symbol": symbols, "underlying": names, **facts}),
        "dominant_map": pd.DataFrame({"trading_day": before, "underlying": names, "dominant_symbol": symbols}),
        "charges": pd.DataFrame({"underlying": names, **fees}),
        "margins": pd.DataFrame({"underlying": names, "long_margin_rate": MARGIN, "short_margin_rate": MARGIN}),
    }
