"""Cash: spreads of interest, fees, payments in and out, and the clock of a run that says when they fall due.

A payment is booked before the first bar on or after its day; one from before the run's start is part of the capital.
The fee falls due at the first bar of each month but the run's first.
"""

import numpy as np
import param

from engine.book import Clock
from engine.charges import DAY, TEXT, Rows
from engine.settings import ConfigError, figure

UNITS = {"month": "M", "quarter": "Q", "year": "Y"}


class Cash(param.Parameterized):
    """What an account earns and pays beside its trades."""

    credit_spread = param.Number(
        default=0.0, bounds=(0, 1), doc="Taken off the rate on free cash, never below 0 by that. [1/year]"
    )
    debit_spread = param.Number(default=0.0, bounds=(0, 1), doc="Added to the rate on a deficit. [1/year]")
    fee = param.Number(
        default=0.0, bounds=(0, 1), doc="Of equity, a year; a twelfth is taken at the first bar of a month. [1/year]"
    )
    fixed_fee = param.Number(
        default=0.0, bounds=(0, 1e12), doc="Taken at the first bar of each month. [account currency]"
    )
    floor = param.Number(
        default=None,
        allow_None=True,
        bounds=(0, 1e15),
        doc="Equity below which all is sold and nothing bought again; none: no floor. [account currency]",
    )
    payments = Rows(
        columns={"day": DAY, "amount": (-1e15, 1e15), "note": TEXT},
        needed=("amount",),
        doc="Money paid in, or out where negative: tables with `day`, `amount` [account currency] and `note`.",
    )

    def check(self, capital: float, place: str) -> None:
        """Refuse a floor above the capital."""
        if self.floor is not None and self.floor > capital:
            most = figure(capital)
            raise ConfigError(
                f"{place} floor = {figure(self.floor)} is above [portfolio] capital = {most}, so that nothing would "
                f"ever be bought; allowed: at most {most}"
            )

    def numbers(self) -> dict:
        """The fields of `book.Account` that are said here.

        >>> Cash(fee=0.02).numbers()
        {'floor': -inf, 'credit_spread': 0.0, 'debit_spread': 0.0, 'fee': 0.02, 'fixed_fee': 0.0}
        """
        floor = -np.inf if self.floor is None else float(self.floor)
        told = {key: float(getattr(self, key)) for key in ("credit_spread", "debit_spread", "fee", "fixed_fee")}
        return {"floor": floor, **told}


def clock(market, cash, start=None, rebalance=None) -> Clock:
    """What belongs to the bars of a run themselves.

    Parameters
    ----------
    market : Market
        Its rows from the run's start on; days and rate are read. Several rows of one day are bars within it.
    cash : Cash
    start : date, optional
        Of the portfolio: payments from then on are booked; those of the first bar's day on, if not given.
    rebalance : array (time,), optional
        Bars at whose end sleeves go back to their shares, see `begins`; none, if not given.

    Returns
    -------
    Clock
    """
    days = np.asarray(market.days).astype("datetime64[D]")
    changes = days[1:] != days[:-1]
    return Clock(
        days=np.diff(days, prepend=days[:1]).astype(np.float64),
        day_end=np.append(changes, np.ones(len(days[:1]), bool)),
        month_begin=begins(days, "month"),
        rebalance=np.zeros(len(days), bool) if rebalance is None else np.ascontiguousarray(rebalance, bool),
        rate=np.ascontiguousarray(market.rate, np.float64),
        transfer=transfers(days, cash.payments, start),
    )


def begins(days, every):
    """First bars of a "month", "quarter" or "year", but for that of the first bar; bool array (time,).

    >>> begins(np.array(["2020-01-30", "2020-01-31", "2020-02-03", "2020-02-04"], "datetime64[D]"), "month")
    array([False, False,  True, False])
    """
    months = np.asarray(days).astype("datetime64[M]").astype(np.int64)
    period = months // {"M": 1, "Q": 3, "Y": 12}[UNITS[every]]
    return np.append(np.zeros(len(months[:1]), bool), period[1:] != period[:-1])


def transfers(days, payments, start=None):
    """Money paid in (out, where negative) before each bar trades, array (time,). [account currency]

    The payment of a Saturday comes with Monday's bar; what falls before the start or after the last bar is left out.

    >>> days = np.array(["2020-01-31", "2020-02-03", "2020-02-04"], "datetime64[D]")
    >>> paid = Cash(payments=[{"day": "2020-02-01", "amount": 500}, {"day": "2020-02-05", "amount": 9}]).payments
    >>> transfers(days, paid)
    array([  0., 500.,   0.])
    """
    out = np.zeros(len(days))
    for row in payments:
        bar = _bar(days, row["day"], start)
        if bar is not None:
            out[bar] += row["amount"]
    return out


def unbooked(days, payments, start=None):
    """Payments that no bar books: from before the start, or after the last bar."""
    return [row for row in payments if _bar(days, row["day"], start) is None]


def _bar(days, day, start):
    """Row that books a payment of a day; none where there is none."""
    day, first = np.datetime64(day, "D"), np.datetime64(days[0] if start is None else start, "D")
    row = int(np.searchsorted(days, day))
    return row if first <= day and row < len(days) else None
