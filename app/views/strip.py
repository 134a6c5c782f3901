"""The numbers of what is picked."""

from app import charts
from app.charts import esc
from app.view import View
from engine.metrics import METRICS

TILES = (  # name in Slice.statistics, label, format, what it says
    ("profit", "Profit", "money", "All of the ledger on the days picked, after costs"),
    ("final_equity", "Equity at the end", "money", "Of the whole account, on the last day picked"),
    *((name, label, METRICS[name].format, METRICS[name].doc) for name, label in (
        ("total_return", "Total return"), ("annual_return", "Annual return"), ("volatility", "Volatility, annual"),
        ("sharpe", "Sharpe ratio"), ("sortino", "Sortino ratio"), ("calmar", "Calmar ratio"),
        ("max_drawdown", "Max drawdown"), ("max_drawdown_days", "Drawdown, days"), ("var_95", "VaR 95 %, daily"),
        ("trades", "Trades ended"), ("win_rate", "Win rate"), ("profit_factor", "Profit factor"),
        ("expectancy", "Expectancy, trade"),
    )),
    ("costs", "Costs", "money", "Commission, slippage and impact, those of rolls too"),
    ("cost_share", "Costs / gross profit", "percent", METRICS["cost_share"].doc),
    ("margin_mean", "Margin used, mean", "percent", "Initial margin over equity, mean of the days picked"),
    ("margin_peak", "Margin used, peak", "percent", "Initial margin over equity, highest of the days picked"),
    ("time_in_market", "Time in market", "percent", METRICS["time_in_market"].doc),
    ("turnover", "Turnover, all days", "ratio", "Notional traded over mean equity, a year, of the whole run"),
)  # fmt: skip
SIGNED = ("profit", "total_return", "annual_return", "expectancy")


def tiles(statistics, currency):
    """The figures as a list of terms."""
    parts = []
    for name, label, kind, meaning in TILES:
        value = statistics[name]
        tone = (" gain" if value > 0 else " loss" if value < 0 else "") if name in SIGNED else ""
        text = charts.formatted(value, kind, currency)
        parts.append(tile(label, text, meaning, tone))
    return f'<dl class="strip">{"".join(parts)}</dl>'


def tile(label, text, meaning, tone=""):
    """One labelled figure."""
    return f'<div title="{esc(meaning)}"><dt>{esc(label)}</dt><dd class="num{tone}">{esc(text)}</dd></div>'


def headline(picked):
    """Which days and markets the numbers are of, and why they may say little."""
    chosen = picked.chosen
    days = picked.columns.days
    dates = (
        f"{days[picked.first]} to {days[picked.last]}, {charts.number(picked.count)} days" if picked.count else "no day"
    )
    what = [
        ", ".join(sorted(chosen[name])) for name in ("sectors", "markets", "strategies", "directions") if chosen[name]
    ]
    text = f'<p class="note" role="status">{esc(dates)} · {esc(" · ".join(what) or "all markets")}</p>'
    return text + (f'<p class="warning" role="status">{esc(picked.warning)}</p>' if picked.warning else "")


class Strip(View):
    """Labelled figures of the days, markets and trades picked."""

    title = "Numbers"
    saves = ()

    def draw(self, columns):
        """One block of words."""
        block = charts.words()
        return block, {"strip": block}

    def patch(self, picked):
        """The figures of a slice."""
        return {"strip": {"text": headline(picked) + tiles(picked.statistics, picked.columns.currency)}}
