"""Runs over the real markets, as arrays: what the engine was given, and the ledger that it left."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from engine import Portfolio, book, inputs
from engine.backtest import market_of
from engine.simulate import simulate

PEG = "RF"  # euro in francs, held at 1.20 until 15 January 2015: no volatility told of that day
CRISES = {
    "2008": ("2008-01-01", "2010-01-01"),
    "2014": ("2014-01-01", "2017-01-01"),
    "2020": ("2020-01-01", "2021-01-01"),
    "2022": ("2022-01-01", "2023-01-01"),
}
ALL = ("2001-06-01", "2030-01-01")


def portfolio(sizing, strategy="moving_average_cross", capital=1e7, head="", rest="", params="", start="2001-01-01"):
    """A portfolio of one strategy, from the texts of its sections."""
    markets = "" if "markets" in head else 'markets = "all"'
    return Portfolio.from_toml(
        f'[portfolio]\nname = "real"\ncapital = {capital!r}\nstart = {start}\n{markets}\n{head}\n'
        f'[[strategies]]\nname = "{strategy}"\n{params}\n[sizing]\n{sizing}\n{rest}\n'
    )


@dataclass(frozen=True)
class Run:
    """One run: its portfolio, what the engine was given, what it left."""

    portfolio: Portfolio
    given: inputs.Inputs
    ledger: book.Ledger

    @property
    def market(self):
        """The rows that were traded."""
        return self.given.market

    @property
    def columns(self):
        """Column of the market that each line trades."""
        return self.given.layout.lines.instrument

    @cached_property
    def base(self):
        """Capital at the beginning of each bar: what sizes follow."""
        start = self.portfolio.capital
        if not self.portfolio.compounding:
            return np.full(len(self.ledger.equity), start)
        return np.concatenate([[start], self.ledger.equity[:-1]])

    @cached_property
    def earned(self):
        """Profit of all lines on each bar, costs taken off, by capital."""
        return self.ledger.amount[:, :-1].sum(axis=(1, 2)) / self.base

    @cached_property
    def tradable(self):
        """Whether a market order of each line could fill on a bar."""
        prices = self.given.prices
        return ~(np.isnan(prices.fill) | np.isnan(prices.mark))[:, self.columns]

    def swing(self, span, without=()):
        """Volatility a year of a span, some days left out."""
        days = self.market.days
        inside = (days >= np.datetime64(span[0])) & (days < np.datetime64(span[1])) & ~np.isin(days, without)
        return float(self.earned[inside].std() * np.sqrt(252.0))

    def trades(self):
        """The trades, field by field."""
        return dict(zip(book.TRADE_FIELDS, self.ledger.trades.T, strict=True))

    def happened(self, kinds=None):
        """Bars and lines of events: a set of (t, line), of all kinds but those that are told otherwise."""
        rows = self.ledger.events
        wanted = rows if kinds is None else rows[np.isin(rows[:, 2], kinds)]
        return {(int(t), int(line)) for t, line in wanted[:, :2]}


def traded(market, told):
    """The `Run` of a portfolio over a market that is loaded."""
    first = int(np.searchsorted(market.days, np.datetime64(told.start, "D")))
    known, _ = inputs.with_margins(market, told, first)
    given = inputs.made(known, told, first)
    return Run(told, given, simulate(*given.arguments()))


def loaded(archive, told, roots):
    """The market as a portfolio's rolls and fills ask for it."""
    return market_of(archive, told, list(roots), archive.head())
