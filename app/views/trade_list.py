"""The newest trades that ended on the days picked, as a table that needs no server."""

import numpy as np
import polars as pl
from bokeh.core.properties import field
from bokeh.models import (
    ColumnDataSource,
    DataTable,
    DateFormatter,
    InlineStyleSheet,
    NumberFormatter,
    StringFormatter,
    TableColumn,
)

from app import charts
from app.view import View

WHOLE, SIZE, PRICE = "0,0", "0,0.[00]", "0,0.[000000000]"
OPTIONAL = "entry_reason"  # a run of before 0.5 has none; where all begin at the market it says nothing
RESULT = "result"  # a whole number in the colour of its sign
TONES = ("var(--loss, #a34a14)", "var(--gain, #1c659c)")
FIELDS = (  # column of RunResult.trades, title, width in pixels, format
    ("market", "Market", 60, "text"), ("strategy", "Strategy", 150, "text"), ("direction", "Side", 46, "text"),
    ("contracts", "Contracts", 70, SIZE), ("entry_day", "Entry", 76, "date"), ("exit_day", "Exit", 76, "date"),
    ("net", "Net, {currency}", 84, RESULT), ("gross", "Gross", 70, RESULT), ("costs", "Costs", 58, WHOLE),
    ("entry_reason", "Begun by", 66, "text"),
    ("exit_reason", "Ended by", 74, "text"), ("rolls", "Rolls", 38, WHOLE), ("bars", "Bars", 40, WHOLE),
    ("entry_contract", "First", 56, "text"), ("exit_contract", "Last", 56, "text"),
    ("entry_price", "Entry price", 98, PRICE), ("exit_price", "Exit price", 98, PRICE), ("trade", "No.", 36, WHOLE),
)  # fmt: skip


MOST = 2_000  # rows of the table; a browser that is handed more begins to stutter


def columns_of(table):
    """Trades as columns of a source: days in milliseconds, contracts as text, a colour beside each result."""
    found = {}
    for name, _, _, kind in (row for row in FIELDS if row[0] in table.columns):
        values = table[name]
        if kind == "date":
            found[name] = values.to_numpy().astype("datetime64[ms]").astype(float)
        elif kind == "text":
            found[name] = np.array(["" if value is None else str(value) for value in values.to_list()], object)
        else:
            found[name] = values.cast(pl.Float64).fill_null(np.nan).to_numpy()
        if kind == RESULT:
            found[f"{name}_tone"] = np.where(found[name] < 0.0, *TONES).astype(object)
    return found


def formatter(name, kind):
    """How a cell is written. HTML templates would be nicer to read, but Bokeh compiles one anew for every cell."""
    if kind == "text":
        return StringFormatter()
    if kind == "date":
        return DateFormatter(format="%Y-%m-%d")
    tone = {"text_color": field(f"{name}_tone")} if kind == RESULT else {}
    return NumberFormatter(format=WHOLE if kind == RESULT else kind, text_align="right", **tone)


def grid(source, columns):
    """A table that draws the rows in sight only."""
    shown = [row for row in FIELDS if row[0] != "strategy" or len(columns.strategies) > 1]
    begun = set(columns.table.get_column(OPTIONAL, default=pl.Series([], dtype=pl.String)).drop_nulls())
    shown = [row for row in shown if row[0] != OPTIONAL or begun - {"market"}]
    fields = [
        TableColumn(
            field=name, title=title.format(currency=columns.currency), width=width, formatter=formatter(name, kind)
        )
        for name, title, width, kind in shown
    ]
    right = [
        f".slick-header-column:nth-child({k + 1})" for k, row in enumerate(shown) if row[3] not in ("text", "date")
    ]
    aligned = InlineStyleSheet(css=f"{', '.join(right)} {{ text-align: right !important; }}")
    return DataTable(
        source=source, columns=fields, sizing_mode="stretch_width", height=460, autosize_mode="none",
        index_position=None, row_height=26, reorderable=False, stylesheets=[charts.parts(), aligned],
    )  # fmt: skip


def describe(picked):
    """How many, and how they ended, in a sentence."""
    count, all_ = len(picked.trades), len(picked.columns.trade["net"])
    if not all_:
        return '<p class="note">There is no trade in this run.</p>'
    net = picked.columns.trade["net"][picked.trades]
    won = int((net > 0.0).sum())
    told = f"The newest {charts.number(MOST)} are shown. " if count > MOST else ""
    return (
        f'<p class="note">{charts.number(count)} of {charts.number(all_)} trades ended on the days picked, '
        f"{charts.number(won)} with a gain; net {charts.esc(charts.money(net.sum(), picked.columns.currency))}. {told}"
        "A trade lasts from flat to flat, rolls and resizes are inside it; click a heading to sort.</p>"
    )


class TradeList(View):
    """The newest strategy trades of what is picked, as a report can show them."""

    title = "Trades"
    guide = "Those that ended on the days picked, under all filters; the newest first."
    saves = ("csv",)

    def draw(self, columns):
        """A table over the rows that are shown."""
        source, text = ColumnDataSource(columns_of(columns.table.head(0))), charts.words()
        return charts.column(text, grid(source, columns)), {"trades": source, "trades_text": text}

    def patch(self, picked):
        """Rows of a slice."""
        rows = picked.columns.table[picked.trades[:MOST].tolist()]
        return {"trades": {"data": columns_of(rows)}, "trades_text": {"text": describe(picked)}}
