"""Money paid in and out: what the strategy earned on each unit, and what the investor earned on his money.

The time-weighted return takes payments out: it is the strategy's, and the one of every other number here. The
money-weighted one is the rate at which all payments would have grown to what is there: the investor's, who may have
paid in at the right or at the wrong moment. Without payments they are the same.

A payment joins the account before a bar trades, so that it earns from the close before on: that is its day here.
"""

import numpy as np

from engine.ratios import YEAR_DAYS, annual_return, period_returns, years

FLOWS = {  # column -> polars type
    "day": "Date",  # the close from which on the payment earns
    "booked": "Date",  # the bar before which it was booked
    "paid": "Float64",  # in, out negative [account currency]
    "equity_before": "Float64",  # just before [account currency]
    "since": "Float64",  # return from the payment before, or from the start [fraction]
}
TURNS = 200  # of the search for a rate


def flows(run):
    """Every payment of a run.

    Returns
    -------
    polars.DataFrame
        Columns FLOWS, a row a day with a payment.
    """
    import polars as pl

    from engine.analysis.daily import Daily

    daily = Daily.of(run)
    rows = np.flatnonzero(daily.paid)
    growth = np.concatenate([[1.0], np.cumprod(1.0 + period_returns(daily.equity, True, daily.paid))])
    began = np.concatenate([[0], rows[:-1]]) if len(rows) else rows
    columns = {
        "day": daily.days[rows],
        "booked": daily.days[rows + 1],
        "paid": daily.paid[rows],
        "equity_before": daily.equity[rows],
        "since": growth[rows] / growth[began] - 1.0,
    }
    return pl.DataFrame(columns, schema={name: getattr(pl, kind) for name, kind in FLOWS.items()})


def rates(run):
    """What a run earned, by time and by money.

    Returns
    -------
    dict
        `paid_in` and `paid_out` after the start, both positive, and `profit` [account currency]; `time_weighted` and
        `money_weighted` [fraction a year]; null (nan) as `annual_return` and `money_weighted`.
    """
    from engine.analysis.daily import Daily

    daily = Daily.of(run)
    total = daily.alone[-1] / daily.alone[0] - 1.0
    days = np.concatenate([daily.days[:1], daily.days[:-1], daily.days[-1:]])
    amounts = np.concatenate([daily.equity[:1], daily.paid, -daily.equity[-1:]])
    return {
        "paid_in": float(np.sum(np.maximum(daily.paid, 0.0))),
        "paid_out": float(-np.sum(np.minimum(daily.paid, 0.0))),
        "profit": float(daily.equity[-1] - daily.equity[0] - daily.paid.sum()),
        "time_weighted": annual_return(total, years(daily.days), daily.compounding),
        "money_weighted": money_weighted(days, amounts),
    }


def money_weighted(days, amounts, year=YEAR_DAYS):
    r"""Rate a year at which all that was paid in grows to all that was taken out and is there at the end.

    .. math:: \sum_i F_i (1 + x)^{-(t_i - t_0) / year} = 0

    Parameters
    ----------
    days : array (payment,) of datetime64[D]
        In any order.
    amounts : array (payment,)
        Paid in, out negative; the capital at the start and, negative, the equity at the end belong to it. [any one
        currency]
    year : float
        Days of a year: 365.25 as in `ratios.annual_return`; spreadsheets (XIRR) take 365.

    Returns
    -------
    float
        [fraction a year]; nan without a payment in and one out, where there is no time between them, and where more
        than one rate, or none above -100 %, solves the equation.

    Source: C. Bacon, Practical Portfolio Performance Measurement and Attribution, 2nd ed., 2008, ch. 2 (modified
    internal rate of return).

    >>> days = np.array(["2021-01-01", "2022-01-01"], "datetime64[D]")
    >>> round(money_weighted(days, np.array([100.0, -110.0]), 365.0), 12)
    0.1
    """
    amounts = np.asarray(amounts, float)
    paid = amounts != 0.0
    days, amounts = np.asarray(days).astype("datetime64[D]")[paid], amounts[paid]
    if not len(amounts) or np.isnan(amounts).any():
        return np.nan
    passed = (days - days.min()).astype(float) / year

    def gained(growth):
        """Whether payments that grow by exp(growth) a year are worth something at the start."""
        return float(np.sum(amounts * np.exp(-growth * passed))) >= 0.0

    grid = np.linspace(-15.0, 15.0, 601)  # -99.99997 % to 3 million times a year
    changes = np.flatnonzero(np.diff([gained(growth) for growth in grid]))
    if len(changes) != 1:
        return np.nan
    low, high = float(grid[changes[0]]), float(grid[changes[0] + 1])
    side = gained(low)
    for _ in range(TURNS):
        middle = (low + high) / 2.0
        if middle in (low, high):
            break
        low, high = (middle, high) if gained(middle) == side else (low, middle)
    return float(np.expm1((low + high) / 2.0))
