"""The portfolio on frontmonth: `engine.backtest` of a Market of the arrays, with the shipped crossover.

The whole run: forecasts, sizes, the loop with margin, currencies, ledger and trades, all metrics.
"""

from dataclasses import MISSING, fields

import numpy as np

from bench.peers.workload import CAPITAL, COMMISSION, FAST, SLOW
from engine import Market, Portfolio, backtest

PACKAGE = "frontmonth"
FILLS = {"next_open": "open", "next_close": "close", "same_close": "same_close"}
BOOKS_AT_THE_NEXT_BAR = True  # of same_close: fills are traded on the next bar, at the price of the last
PORTFOLIO = f"""
[portfolio]
name = "crossover"
capital = {CAPITAL}

[[strategies]]
name = "moving_average_cross"
fast = {FAST}
slow = {SLOW}

[sizing]
rule = "fixed"
contracts = 1

[costs]
commission_per_side = {COMMISSION}
slippage_ticks = 1

[execution]
fill = "FILL"
"""
FACTS = {  # of every bar
    "offset": 0.0, "contract": 203012, "fx": 1.0, "fx_age": 0.0, "initial_margin": 100.0, "maintenance_margin": 100.0,
    "available": True, "open_interest": 1e6,
}  # fmt: skip


def prepare(workload, fill):
    """The run, and what it told: equity (time,), fills (bar, market, contracts)."""
    made = market(workload)
    portfolio = Portfolio.from_toml(PORTFOLIO.replace("FILL", FILLS[fill]))
    early = fill == "same_close"

    def told(result):
        fills = result.fills()
        bars = np.searchsorted(made.days, fills["day"].to_numpy().astype("datetime64[D]")) - early
        markets = [made.names.index(name) for name in fills["market"]]
        equity = result.equity()["equity"].to_numpy()[-len(made.days) :]
        return equity, zip(bars, markets, fills["contracts"], strict=True)

    return lambda: backtest(made, portfolio), told


def market(workload):
    """The arrays as a Market without rolls, in dollars, with margins that never bind."""
    shape, names = workload.close.shape, tuple(workload.names)
    told = {
        "names": names, "roots": names, "ranks": (0,) * len(names), "currencies": ("USD",) * len(names),
        "sectors": ("made",) * len(names), "currency": "USD", "simulated": True, "days": workload.days,
        "rate": np.zeros(shape[0]), "settle": workload.close, "mark": workload.close, "liquidity": workload.volume,
        "sources": {name: {"source": "made", "proxy": "", "until": None, "filled": 0} for name in names},
    }  # fmt: skip
    told |= {name: getattr(workload, name) for name in ("open", "high", "low", "close", "volume")}
    told |= {name: np.tile(getattr(workload, name), (shape[0], 1)) for name in ("tick", "multiplier")}
    kinds = dict.fromkeys(("contract", "roll_contract", "left_contract"), np.int32)
    kinds |= dict.fromkeys(("roll", "closed", "left_end", "own_margin", "proxy", "available"), bool)
    for one in fields(Market):
        if one.name not in told and one.default is MISSING and one.default_factory is MISSING:
            kind = kinds.get(one.name, float)
            told[one.name] = np.full(shape, FACTS.get(one.name, np.nan if kind is float else 0), kind)
    return Market(**told)
