"""The portfolio on vectorbt, by its quickest engine.

Prices are multiplied by the multiplier, which it does not have; the tick lies in the order price, commission in fixed
fees. The notional is paid in cash, as it has no margin: it begins with more, which is taken off again.
"""

import numpy as np
import pandas as pd
import vectorbt as vbt

from bench.peers.workload import CAPITAL, COMMISSION, FAST, SLOW, TIE

PACKAGE = "vectorbt"
BOOKS_AT_THE_NEXT_BAR = False


def prepare(workload, fill):
    """The run, and what it told: equity (time,), fills (bar, market, contracts)."""
    close = pd.DataFrame(workload.close, index=pd.DatetimeIndex(workload.days), columns=workload.names)
    value = close * workload.multiplier
    seen = workload.open if fill == "next_open" else workload.close
    lent = 4.0 * value.max().sum()

    def run():
        gap = vbt.MA.run(close, FAST).ma.values - vbt.MA.run(close, SLOW).ma.values
        side = np.nan_to_num(np.sign(np.where(np.abs(gap) > TIE * workload.close, gap, 0.0)))
        side[-1] = side[-2]
        if fill != "same_close":
            side = np.vstack([np.zeros_like(side[:1]), side[:-1]])
        change = np.diff(side, axis=0, prepend=0.0)
        made = vbt.Portfolio.from_orders(
            value,
            size=np.where(change == 0.0, np.nan, change),
            size_type="amount",
            price=(seen + np.sign(change) * workload.tick) * workload.multiplier,
            fixed_fees=np.abs(change) * COMMISSION,
            init_cash=lent,
            group_by=True,
            cash_sharing=True,
            freq="1D",
        )
        return made, made.value()

    def told(outcome):
        made, equity = outcome
        orders = made.orders.records
        contracts = np.where(orders["side"] == 0, orders["size"], -orders["size"])
        return np.ravel(equity.values) - lent + CAPITAL, zip(orders["idx"], orders["col"], contracts, strict=True)

    return run, told
