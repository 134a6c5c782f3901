"""The numbers of what is picked, beside those of the whole run, with bands by the bootstrap."""

from dataclasses import replace

import numpy as np

from app import charts
from app.charts import esc
from app.selection import told
from app.view import View
from engine.metrics import METRICS


def of_engine(*pairs):
    """Tiles of metrics: (name, label) each."""
    return [(name, label, METRICS[name].format, METRICS[name].doc) for name, label in pairs]


FIRST = (  # name in Slice.statistics, label, format, what it says
    ("profit", "Profit", "money", "All of the ledger on the days picked, after costs"),
    *of_engine(
        ("annual_return", "Annual return"), ("volatility", "Volatility, annual"), ("sharpe", "Sharpe ratio"),
        ("max_drawdown", "Max drawdown"), ("calmar", "Calmar ratio"), ("win_rate", "Win rate"),
        ("expectancy", "Expectancy"),
    ),
)  # fmt: skip
MORE = (
    *of_engine(
        ("total_return", "Total return"), ("sortino", "Sortino ratio"), ("max_drawdown_days", "Drawdown, days"),
        ("var_95", "VaR 95 %, daily"), ("trades", "Trades ended"), ("profit_factor", "Profit factor"),
    ),
    ("costs", "Costs", "money", "Commission, slippage and impact, those of rolls too"),
    ("cost_share", "Costs / gross profit", "percent", METRICS["cost_share"].doc),
    ("margin_peak", "Margin used, peak", "percent", "Initial margin over equity, highest of the days picked"),
    ("time_in_market", "Time in market", "percent", METRICS["time_in_market"].doc),
    ("final_equity", "Equity at the end", "money", "Of the whole account, on the last day picked"),
    ("turnover", "Turnover, all days", "ratio", "Notional traded over mean equity, a year, of the whole run"),
)  # fmt: skip
TILES = (*FIRST, *MORE)
SIGNED = ("profit", "total_return", "annual_return", "expectancy")
RESAMPLES = 1_000  # of a band of what is picked
MANY = 100_000  # trades, beyond which their numbers have no bands: those would be as narrow as they are slow to draw
KEPT = 30  # selections whose bands a page remembers
PAUSE = 700  # that a selection must stand before its bands are drawn [ms]


def tiles(statistics, whole, bands, currency):
    """The figures as lists of terms: those that matter first with the whole run and their bands beneath."""
    large = "".join(_large(tile, statistics, whole, bands, currency) for tile in FIRST)
    small = "".join(_small(tile, statistics, currency) for tile in MORE)
    return f'<div class="room"><dl class="strip">{large}</dl></div><dl class="more">{small}</dl>'


def tile(label, text, meaning, tone="", below=""):
    """One labelled figure."""
    return f'<div title="{esc(meaning)}"><dt>{esc(label)}</dt><dd class="num{tone}">{esc(text)}</dd>{below}</div>'


def _large(about, statistics, whole, bands, currency):
    name, label, kind, meaning = about
    below = ""
    if whole:
        told = charts.short_money(whole[name], currency) if kind == "money" else charts.formatted(whole[name], kind, "")
        below = f'<dd class="beside">whole {esc(told)}</dd>'
    if bands and name in bands:
        shown = charts.short_money if kind == "money" else lambda end, _: charts.formatted(end, kind, currency)
        low, high = (shown(end, currency) for end in bands[name])
        below += f'<dd class="beside" title="95 % of what the bootstrap drew">{esc(low)} to {esc(high)}</dd>'
    else:
        below += '<dd class="beside"></dd>'
    text = charts.formatted(statistics[name], kind, currency)
    return tile(label, text, meaning, tone(name, statistics[name]), below)


def _small(about, statistics, currency):
    name, label, kind, meaning = about
    return tile(label, charts.formatted(statistics[name], kind, currency), meaning, tone(name, statistics[name]))


def tone(name, value):
    """Class of a figure that is better or worse than nothing."""
    return (" gain" if value > 0 else " loss" if value < 0 else "") if name in SIGNED else ""


def headline(picked):
    """Which days and markets the numbers are of, and why they may say little."""
    days = picked.columns.days
    dates = (
        f"{days[picked.first]} to {days[picked.last]}, {charts.number(picked.count)} days" if picked.count else "no day"
    )
    text = f'<p class="note" role="status">{esc(dates)}, {charts.number(len(picked.trades))} trades ended</p>'
    return text + (f'<p class="warning" role="status">{esc(picked.warning)}</p>' if picked.warning else "")


def bands_of(account):
    """Name -> (low, high) of 95 % of what the bootstrap draws of an account; only what is defined."""
    from engine.analysis.bands import bands

    if len(account.trade_net) > MANY:
        account = replace(account, trade_net=account.trade_net[:0])
    found = bands(account, RESAMPLES, threads=1).drop_nulls(["low", "high"])
    names = {"total_return", *(name for name, *_ in FIRST)}
    told = {name: (low, high) for name, low, high in found.select("metric", "low", "high").rows() if name in names}
    total = told.get("total_return")
    if total and account.equity[0] > 0.0:
        told["profit"] = tuple(float(end * account.equity[0]) for end in total)
    return told


def key(chosen):
    """What a band is remembered by."""
    return tuple((name, tuple(value) if isinstance(value, list) else value) for name, value in chosen.items())


class Strip(View):
    """Labelled figures of the days, markets and trades picked."""

    title = "Numbers"
    guide = "Of what is picked; beneath, the whole run, and between which two values 95 % of bootstrap draws lie."
    saves = ()

    def draw(self, columns):
        """One block of words."""
        block = charts.words()
        self.bands = {}  # key of a selection -> its bands
        return block, {"strip": block}

    def patch(self, picked):
        """The figures of a slice."""
        partial = bool(told(picked.chosen))
        whole = self.board.whole.statistics if partial else None
        bands = self.bands.get(key(picked.chosen))
        return {"strip": {"text": headline(picked) + tiles(picked.statistics, whole, bands, picked.columns.currency)}}

    def settle(self, picked):
        """Draw the bands beside the page, once nothing moves any more."""
        kept, account = key(picked.chosen), picked.account
        if kept in self.bands or len(account.returns) < 2 or np.isnan(account.returns).any():
            return

        def show(found):
            self.bands[kept] = found
            while len(self.bands) > KEPT:
                self.bands.pop(next(iter(self.bands)))
            self.apply(self.board.slice)

        self.later(lambda: bands_of(account), show, PAUSE)
