"""The trades that ended on the days picked: a page of rows at a time, sorted and searched where the run is."""

import numpy as np
from bokeh.models import TextInput

from app import charts
from app.charts import esc
from app.listing import NEWEST, SIZE, SORTED, Listing, pages, r_of
from app.view import View
from app.views.distributions import Results
from app.ways import Way

TEXT, DAY, NUMBER, MONEY, RESULT, PRICE, RATIO = "text", "day", "number", "money", "result", "price", "ratio"
FIELDS = (  # column of RunResult.trades or r, title, how it is written
    ("trade", "No.", NUMBER), ("market", "Market", TEXT), ("strategy", "Strategy", TEXT), ("direction", "Side", TEXT),
    ("contracts", "Size", NUMBER), ("entry_day", "Entry", DAY), ("exit_day", "Exit", DAY),
    ("net", "Net, {currency}", RESULT), ("r", "R", RATIO), ("costs", "Costs", MONEY), ("bars", "Bars", NUMBER),
    ("rolls", "Rolls", NUMBER), ("entry_reason", "Begun", TEXT), ("exit_reason", "Ended", TEXT),
    ("entry_contract", "First", TEXT),
    ("entry_price", "Entry at", PRICE), ("exit_price", "Exit at", PRICE),
)  # fmt: skip
UNSORTED = "entry_contract"
STEPS = (
    ("first", "First page", "«"),
    ("back", "Page before", "‹"),
    ("on", "Next page", "›"),
    ("last", "Last page", "»"),
)


def listing(board):
    """The listing of a visitor, which the table and the trade that is open share."""
    if "listing" not in vars(board):
        order = board.listing = Listing(board.columns)
        asked = {name: "".join(board.ways.get(name, ())) for name in ("sort", "find")}
        by, _, way = asked["sort"].partition(".")
        if by in SORTED:
            order.by, order.down = by, way != "up"
        order.find(asked["find"])
    return board.listing


def fields_of(columns):
    """What there is to tell of the trades of a run: no column that says the same of all of them."""
    table = columns.table
    left_out = set() if len(columns.strategies) > 1 else {"strategy"}
    if set(columns.entry_reasons) <= {"market", "unknown"}:
        left_out.add("entry_reason")
    if np.isnan(r_of(columns)).all():
        left_out.add("r")
    return [row for row in FIELDS if row[0] not in left_out and (row[0] in table.columns or row[0] == "r")]


def cell(value, kind):
    """A cell of the table, escaped."""
    if kind == RATIO:
        return f"<td>{charts.number(value, 2)}</td>"
    if kind in (TEXT, DAY):
        return f'<td class="text">{esc("–" if value is None else value)}</td>'
    if kind == RESULT:
        return f'<td class="{"loss" if value < 0 else "gain"}">{charts.number(value)}</td>'
    if kind == PRICE:
        return f"<td>{charts.price(value)}</td>"
    return f"<td>{charts.number(value, 0 if kind == MONEY or value == int(value) else 2)}</td>"


def headings(fields, order, currency):
    """A button each, which sorts."""
    made = []
    for name, title, kind in fields:
        text = esc(title.format(currency=currency))
        sort, mark = ("descending", " ▾") if order.down else ("ascending", " ▴")
        here = name == order.by
        ask = f'<button type="button" data-do="trade_sort" data-column="{name}">{text}{mark if here else ""}</button>'
        made.append(
            f'<th scope="col"{" class=text" if kind in (TEXT, DAY) else ""}{f" aria-sort={sort}" if here else ""}>'
            f"{text if name == UNSORTED else ask}</th>"
        )
    return "".join(made)


def table(columns, order, rows, opened):
    """The rows in sight; each is a button that opens the chart of its trade."""
    fields = fields_of(columns)
    part = columns.table[rows.tolist()]
    values = {name: part[name].to_list() for name, _, _ in fields if name != "r"}
    values["r"] = r_of(columns)[rows].tolist()
    lines = []
    for k in range(len(rows)):
        trade = values["trade"][k]
        ask = f'data-do="trade" data-trade="{trade}"'
        here = trade == opened
        pressed = f'aria-pressed="{str(here).lower()}"'
        button = f'<button type="button" {ask} {pressed} aria-label="Trade {trade}">{trade}</button>'
        cells = "".join(cell(values[name][k], kind) for name, _, kind in fields[1:])
        lines.append(f"<tr {ask}{' class=picked' if here else ''}><td>{button}</td>{cells}</tr>")
    head = headings(fields, order, columns.currency)
    return (
        f'<div class="scroll"><table class="rows sorted"><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody>'
        "</table></div>"
    )


def pager(order, rows):
    """Buttons to other pages, and which rows are in sight."""
    count, last = len(rows), max(pages(rows) - 1, 0)
    first = order.page * SIZE
    at = {"first": 0, "back": order.page - 1, "on": order.page + 1, "last": last}
    made = {
        name: f'<button type="button" data-do="trade_page" data-page="{at[name]}" aria-label="{label}" title="{label}"'
        f"{' disabled' if not 0 <= at[name] <= last or at[name] == order.page else ''}>{mark}</button>"
        for name, label, mark in STEPS
    }
    told = f"{charts.number(first + 1)} to {charts.number(min(first + SIZE, count))} of {charts.number(count)}"
    return (
        f'<div class="pager" role="group" aria-label="Pages of trades">{made["first"]}{made["back"]}<span '
        f'role="status">{told}</span>'
        f"{made['on']}{made['last']}</div>"
    )


def describe(picked, count, text):
    """How many, and how they ended, in a sentence."""
    net, currency = picked.columns.trade["net"][picked.trades], picked.columns.currency
    total = len(picked.columns.trade["net"])
    if not total:
        return '<p class="note">Nothing was traded in this run.</p>'
    if not len(net):
        return '<p class="note">No trade is picked: widen the filters.</p>'
    found = f" {charts.number(count)} of them with “{esc(text)}” in market or contract." if text else ""
    parts, won = (charts.number(len(net)), charts.number(total)), charts.number(int((net > 0.0).sum()))
    return (
        f'<p class="note">{parts[0]} of {parts[1]} trades ended on the days picked or, open, with the run, {won} '
        f"with a gain; net {esc(charts.money(net.sum(), currency))}.{found}</p>"
    )


class Trades(View):
    """Trades, a page of rows at a time."""

    title = "Trades"
    guide = "From flat to flat, rolls and resizes inside; a heading sorts, a row opens the chart of its trade."
    saves = ("csv",)
    sort, found = Way("sort", usual=f"{NEWEST}.down"), Way("find", usual="")

    def draw(self, columns):
        """A field to search in, words and rows."""
        self.order = listing(self.board)
        self.search = TextInput(
            title="Market or contract", placeholder="CL, 202012 …", value=self.order.text, width=220,
            stylesheets=[charts.parts()],
        )  # fmt: skip
        text, rows = charts.words(), charts.words()
        models = {"trade_words": text, "trade_rows": rows}
        return charts.column(text, self.search, rows), models

    def patch(self, picked):
        """The rows in sight of a slice."""
        rows, opened = self.order.rows(picked), self.board.selection.trade
        shown, columns = self.order.shown(picked), picked.columns
        told = table(columns, self.order, shown, opened) + pager(self.order, rows) if len(shown) else ""
        return {
            "trade_words": {"text": describe(picked, len(rows), self.order.text)},
            "trade_rows": {"text": told},
        }

    def wire(self):
        """Headings sort, buttons turn pages, rows open trades, a text finds some."""
        self.board.verbs |= {"trade": self._open, "trade_sort": self._sort, "trade_page": self._turn}
        self.search.on_change("value_input", lambda _attr, _old, text: self._find(text))
        self.board.selection.param.watch(lambda *_: self._again(), ["trade"])

    def _again(self):
        with self.board.guard("The table of trades could not follow."):
            if self.shown:
                self.apply(self.board.slice)
            else:
                self.stale = True

    def _open(self, asked):
        """Open a trade, or close it where it is open; with `turn`, the table turns to its page."""
        number = int(asked["trade"])
        if not (self.board.columns.table["trade"] == number).any():
            raise ValueError(f"trade {number} is none of this run")
        if asked.get("turn"):
            self.order.turn(self.board.slice, number)
        self.board.selection.trade = None if number == self.board.selection.trade else number

    def _sort(self, asked):
        self.order.sort(asked["column"])
        self.sort = f"{self.order.by}.{'down' if self.order.down else 'up'}"
        self.board.show(self.board.slice)  # the trade that is open has other neighbours

    def _turn(self, asked):
        self.order.page = int(asked["page"])
        self._again()

    def _find(self, text):
        self.order.find(text)
        self.found = self.order.text
        with self.board.guard("The table of trades could not follow."):
            self.board.show(self.board.slice)


class TradeResults(Results):
    """Trades by their net result, on the page of trades."""
