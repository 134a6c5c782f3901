"""The strategy trades that ended on the days picked."""

import numpy as np
from bokeh.models import (
    CDSView,
    ColumnDataSource,
    DataTable,
    DateFormatter,
    HTMLTemplateFormatter,
    IndexFilter,
    InlineStyleSheet,
    StringFormatter,
    TableColumn,
)

from app import charts
from app.view import View

# Templates of underscore.js: `<%- %>` escapes; only numbers are written here.
WHOLE = '<%- Number(value).toLocaleString("en-US", {maximumFractionDigits: 0}) %>'
NUMBER = f'<div class="right">{WHOLE}</div>'
TEN = 'Number(Number(value).toPrecision(10)).toLocaleString("en-US", {maximumFractionDigits: 9})'
PRICE = f'<div class="right"><%- {TEN} %></div>'
RESULT = f'<div class="right <%= value < 0 ? "loss" : "gain" %>">{WHOLE}</div>'
FIELDS = (  # column of RunResult.trades, title, width in pixels, format
    ("root", "Market", 66, "text"), ("strategy", "Strategy", 150, "text"), ("direction", "Side", 46, "text"),
    ("contracts", "Contracts", 72, NUMBER), ("entry_day", "Entry", 80, "date"), ("exit_day", "Exit", 80, "date"),
    ("net", "Net, {currency}", 84, RESULT), ("gross", "Gross", 76, RESULT), ("costs", "Costs", 62, NUMBER),
    ("exit_reason", "Ended by", 74, "text"), ("rolls", "Rolls", 42, NUMBER), ("bars", "Bars", 42, NUMBER),
    ("entry_contract", "First", 56, "text"), ("exit_contract", "Last", 56, "text"),
    ("entry_price", "Entry price", 80, PRICE), ("exit_price", "Exit price", 80, PRICE), ("trade", "No.", 40, NUMBER),
)  # fmt: skip


def columns_of(table):
    """The trades as columns of a source: days in milliseconds, contracts as text."""
    found = {}
    for name, _, _, kind in FIELDS:
        values = table[name]
        if kind == "date":
            found[name] = values.to_numpy().astype("datetime64[ms]").astype(float)
        elif kind == "text":
            found[name] = np.array([str(value) for value in values.to_list()], object)
        else:
            found[name] = values.to_numpy().astype(float)
    return found


def grid(source, view, columns):
    """A table that draws the rows in sight only."""
    formats = {"text": StringFormatter, "date": lambda: DateFormatter(format="%Y-%m-%d")}
    shown = [row for row in FIELDS if row[0] != "strategy" or len(columns.strategies) > 1]
    fields = [
        TableColumn(
            field=name,
            title=title.format(currency=columns.currency),
            width=width,
            formatter=formats[kind]() if kind in formats else HTMLTemplateFormatter(template=kind),
        )
        for name, title, width, kind in shown
    ]
    right = [f".slick-header-column:nth-child({k + 1})" for k, row in enumerate(shown) if row[3] not in formats]
    aligned = InlineStyleSheet(css=f"{', '.join(right)} {{ text-align: right !important; }}")
    return DataTable(
        source=source, view=view, columns=fields, sizing_mode="stretch_width", height=430, autosize_mode="none",
        index_position=None, row_height=26, reorderable=False, stylesheets=[charts.parts(), aligned],
    )  # fmt: skip


def describe(picked):
    """How many, and how they ended, in a sentence."""
    count, all_ = len(picked.trades), len(picked.columns.trade["net"])
    net = picked.columns.trade["net"][picked.trades]
    won = int((net > 0.0).sum())
    return (
        f'<p class="note">{charts.number(count)} of {charts.number(all_)} trades ended on the days picked, '
        f"{charts.number(won)} with a gain; net {charts.esc(charts.money(net.sum(), picked.columns.currency))}. A "
        "trade lasts from flat to flat, rolls and resizes are inside it; click a heading to sort.</p>"
    )


class Trades(View):
    """Strategy trades, newest first."""

    title = "Trades"

    def draw(self, columns):
        """A table over all trades with a filter."""
        source, rows, text = ColumnDataSource(columns_of(columns.table)), IndexFilter(indices=[]), charts.words()
        table = grid(source, CDSView(filter=rows), columns)
        return charts.column(text, table), {"trades": rows, "trades_text": text}

    def patch(self, picked):
        """Rows of a slice."""
        return {"trades": {"indices": picked.trades.tolist()}, "trades_text": {"text": describe(picked)}}
