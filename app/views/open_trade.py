"""One trade: the prices it was traded at, bar by bar, and every number that it is made of."""

from typing import NamedTuple

import numpy as np
import polars as pl
from bokeh.models import BoxAnnotation, ColumnDataSource, CustomJS, NoOverlap, NumeralTickFormatter, Range1d

from app import charts, theme
from app.charts import esc
from app.source import NoSource, given_of
from app.view import View
from app.views.trades import listing
from app.ways import Way

FRAMES = {"contract": "contract prices", "adjusted": "adjusted"}
DETAILS = {"folded": "stretches", "days": "every day"}
NOTHING = '<p class="note">No trade is open: pick a row of the table, or a point of the scatter.</p>'
LOADING = '<p class="note" role="status">Computing: reading the prices of the run …</p>'
SEEN = """
const card = document.getElementById("open_trade")
if (card && seen.text) setTimeout(() => card.scrollIntoView({block: "nearest", behavior: "smooth"}), 60)
"""
HEADS = (  # column of EXPLAINED, title, class
    ("day", "Day", "text"), ("what", "What, and how it is worked out", "text"), ("contract", "Contract", "text"),
    ("contracts", "Contracts", ""), ("from_price", "From", ""), ("to_price", "To", ""), ("adjusted", "Adjusted", ""),
    ("multiplier", "× multiplier", ""), ("fx", "× rate", ""), ("rate", "Of one", ""), ("value", "Value", ""),
    ("amount", "Amount, {currency}", ""),
)  # fmt: skip


PLAIN = {"fx": 1.0}  # what needs no column where it is the same in all rows


class Found(NamedTuple):
    """What is shown of a trade."""

    trade: dict  # its row in the table of trades
    chart: object  # TradeChart, or None
    explained: object  # its frame, or None
    reason: str  # why there is no chart, or no explanation; ""


def find(columns, number):
    """Chart and explanation of a trade; may take seconds the first time."""
    from engine.analysis.explain import TradeUnknown, explain
    from engine.analysis.trade_chart import trade_chart

    rows = columns.table.filter(pl.col("trade") == number)
    if rows.is_empty():
        raise TradeUnknown(f"run {columns.run.id} has no trade {number}; allowed: numbers of its table of trades")
    trade = rows.row(0, named=True)
    try:
        given = given_of(columns)
    except NoSource as error:
        return Found(trade, None, None, f"There is no chart: {error}.")
    chart = trade_chart(columns.run, given.inputs.market, trade)
    try:
        return Found(trade, chart, explain(columns.run, given, number), "")
    except TradeUnknown as error:
        return Found(trade, chart, None, f"There is no explanation: {error}.")


# ---------------------------------------------------------------------------------------------------------- pictures


def prices_of(chart, adjusted):
    """Bars of a frame: {day, low, high, mark, ...}, and the line of marks, broken where contracts change."""
    bars = chart.bars
    shift = bars["offset"].to_numpy() if adjusted else np.zeros(len(bars))
    day = charts.milliseconds(bars["day"].to_numpy())
    told = {name: bars[name].to_numpy() + shift for name in ("open", "high", "low", "mark")}
    told |= {"day": day, "contract": bars["contract"].cast(pl.String).to_numpy()}
    line = [day, told["mark"]]
    if not adjusted:
        at = np.searchsorted(day, charts.milliseconds(chart.rolls["day"].to_numpy())) + 1
        after = charts.milliseconds(chart.rolls["day"].to_numpy()), chart.rolls["next_price"].to_numpy()
        for k, later in enumerate(after):
            line[k] = np.insert(line[k], np.repeat(at, 2), np.column_stack([np.full(len(at), np.nan), later]).ravel())
    return told, {"day": line[0], "mark": line[1]}


def marks_of(found, adjusted):
    """Entry and exit, the legs of the rolls, and the stop in a frame, as columns of sources."""
    chart, trade = found.chart, found.trade
    days = charts.milliseconds(np.array([trade["entry_day"], trade["exit_day"]], "datetime64[D]"))
    shift = np.array([chart.entry_offset, chart.exit_offset]) if adjusted else np.zeros(2)
    ends = {"day": days, "price": np.array([trade["entry_price"], trade["exit_price"]]) + shift}
    ends["shape"] = np.array(["triangle" if trade["direction"] == "long" else "inverted_triangle", "square"], object)
    ends["what"] = np.array(["entry", "at the last mark" if trade.get("open") else "exit"], object)
    rolls = chart.rolls
    start, end = rolls["price"].to_numpy(), rolls["next_price"].to_numpy()
    if adjusted:
        start = end = start + rolls["offset"].to_numpy()
    legs = {
        "day": charts.milliseconds(rolls["day"].to_numpy()), "from": start, "to": end,
        "alpha": np.where(rolls["held"].to_numpy(), 1.0, 0.35),
        "size": np.full(len(rolls), 8.0 if len(rolls) < 12 else 5.5),
        "contract": rolls["contract"].cast(pl.String).to_numpy(),
        "next": rolls["next_contract"].cast(pl.String).to_numpy(),
        "spread": rolls["next_price"].to_numpy() - rolls["price"].to_numpy(),
    }  # fmt: skip
    held = chart.bars.filter("held")
    stop = np.full(len(held), chart.stop) - (0.0 if adjusted else held["offset"].to_numpy())
    known = len(held) if np.isfinite(chart.stop) else 0
    return ends, legs, {"day": charts.milliseconds(held["day"].to_numpy())[:known], "stop": stop[:known]}


def describe(found, currency):
    """The trade in words."""
    trade, chart = found.trade, found.chart
    size = charts.number(trade["contracts"], 0 if trade["contracts"] == int(trade["contracts"]) else 2)
    ended = "still open, last marked" if trade.get("open") else f"ended by {trade['exit_reason']}"
    stop = ""
    if chart is not None and np.isfinite(chart.stop):
        level = charts.price(float(f"{chart.stop - chart.entry_offset:.6g}"))
        stop = f" Its protective stop at the entry was at about {level}; how it moved later is not kept."
    rolls, bars = trade["rolls"], trade["bars"]
    return (
        f'<p class="note">{trade["direction"].capitalize()} {size} {esc(trade["market"])}: begun by '
        f"{esc(trade.get('entry_reason') or 'an order')} on {trade['entry_day']} at "
        f"{charts.price(trade['entry_price'])} in {trade['entry_contract'] or 'its contract'}, {esc(ended)} on "
        f"{trade['exit_day']} at {charts.price(trade['exit_price'])} in {trade['exit_contract'] or 'its contract'}, "
        f"after {bars} {'bar' if bars == 1 else 'bars'} and {rolls} {'roll' if rolls == 1 else 'rolls'}; costs "
        f"{esc(charts.money(trade['costs'], currency))}.{stop}</p>"
    )


def folded(explained):
    """The rows of an explanation, those of marks that follow one another as one: their amounts are summed."""
    plain = (explained["what"] == "mark") & (explained["cause"] == "price")
    rows = []
    for row, mark in zip(explained.iter_rows(named=True), plain.fill_null(False).to_list(), strict=True):
        last = rows[-1] if rows else None
        same = (
            mark
            and last
            and last["marks"]
            and (last["contract"], last["contracts"]) == (row["contract"], row["contracts"])
        )
        if not same:
            rows.append(row | {"marks": int(mark), "first": row["day"]})
            continue
        last |= {name: row[name] for name in ("day", "to_price", "adjusted")}
        last |= {"amount": last["amount"] + row["amount"], "marks": last["marks"] + 1}
        last |= {
            "fx": row["fx"] if last["fx"] == row["fx"] else None,
            "what": f"marks of {last['marks']} days, from {last['first']}",
        }
    return rows


def explanation(explained, detail, currency):
    """The rows as a table that can be read aloud and checked."""
    rows = folded(explained) if detail == "folded" else list(explained.iter_rows(named=True))
    used = [head for head in HEADS if any(row[head[0]] not in (None, PLAIN.get(head[0])) for row in rows)]
    head = "".join(
        f'<th scope="col"{f" class={kind}" if kind else ""}>{esc(title.format(currency=currency))}</th>'
        for _, title, kind in used
    )
    lines = "".join(f"<tr>{''.join(_cell(row, name, kind) for name, _, kind in used)}</tr>" for row in rows)
    total = charts.number(float(explained["amount"].sum()), 2)
    return (
        f'<div class="scroll tall"><table class="steps"><caption>Its amounts sum to {total} {esc(currency)}, its net: '
        f"made of prices of contracts by the formula below each, none read from the ledger.</caption><thead><tr>"
        f"{head}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def _cell(row, name, kind):
    value = row[name]
    if value is None:
        return "<td></td>"
    if name == "what":
        cause, how = row["cause"], row["formula"]
        words = value if cause in (None, "price") or cause in value else f"{cause.replace('_', ' ')}: {value}"
        return f'<td class="text wrap">{esc(words)}{f"<small>{esc(how)}</small>" if how else ""}</td>'
    if kind:
        return f'<td class="{kind}">{esc(value)}</td>'
    if name == "amount":
        return f'<td class="{"loss" if value < 0 else "gain"}">{charts.number(value, 2)}</td>'
    return f"<td>{charts.price(value)}</td>"


# -------------------------------------------------------------------------------------------------------------- view


class OpenTrade(View):
    """The chart of the trade that is open, and its explanation."""

    title = "One trade"
    guide = "Highs and lows of the contract held and its marks, from 20 bars before the entry to 20 after the exit."
    frame, detail = Way("frame", FRAMES, "contract"), Way("detail", DETAILS, "folded")

    def draw(self, columns):
        """A figure, words above and below it, and a table."""
        self.found, self.asked = None, None
        plot = self.plot = charts.dated(360, Range1d(0, 1), Range1d(0, 1), "Prices of the trade; its words stand above")
        plot.update(visible=False, min_border_left=72)
        plot.xaxis.major_label_policy = NoOverlap(min_distance=12)
        plot.yaxis.formatter = NumeralTickFormatter(format="0,0.[0000000]")
        span = BoxAnnotation(fill_color=theme.NEUTRAL, fill_alpha=0.1, line_color=None, level="underlay")
        plot.add_layout(span)
        bars, line, ends, legs, stop = (ColumnDataSource({name: [] for name in names.split()}) for names in SOURCES)
        self._glyphs(bars, line, ends, legs, stop)
        head, table, seen = charts.words(), charts.words(), charts.words()
        seen.visible = False
        seen.js_on_change("text", CustomJS(args={"seen": seen}, code=SEEN))
        models = {
            "one_head": head, "one_table": table, "one_seen": seen, "one_plot": plot, "one_bars": bars,
            "one_line": line, "one_ends": ends, "one_legs": legs, "one_stop": stop, "one_held": span,
            "one_x": plot.x_range, "one_y": plot.y_range,
        }  # fmt: skip
        return charts.column(head, plot, table, seen), models

    def _glyphs(self, bars, line, ends, legs, stop):
        plot = self.plot
        ranges = plot.segment(
            "day", "low", "day", "high", source=bars, color=theme.NEUTRAL, line_width=2.2, line_alpha=0.75
        )
        plot.line("day", "mark", source=line, color=theme.RUNS[0], line_width=1.6)
        plot.line("day", "stop", source=stop, color=theme.LOSS, line_width=1.6, line_dash="dashed")
        plot.segment(
            "day", "from", "day", "to", source=legs, color=theme.NEUTRAL_INK, line_dash="dotted", line_alpha="alpha"
        )
        for side in ("from", "to"):
            at = plot.scatter(
                "day", side, source=legs, size="size", fill_color=theme.RUNS[3], fill_alpha="alpha", line_color=None
            )
        told = plot.scatter(
            "day", "price", source=ends, marker="shape", size=14, fill_color="color", line_color="white"
        )
        prices = [(name, f"@{name}{{0,0.[0000000]}}") for name in ("open", "high", "low", "mark")]
        charts.hover(plot, ranges, [("", "@day{%F}"), ("contract", "@contract"), *prices], mode="mouse")
        legs_told = [("", "@day{%F}"), ("roll", "@contract to @next"), ("spread", "@spread{+0,0.[0000000]}")]
        charts.hover(plot, at, legs_told, mode="mouse")
        charts.hover(plot, told, [("@what", "@price{0,0.[0000000]}"), ("", "@day{%F}")], mode="mouse")

    def patch(self, picked):
        """The trade that is open, in the frame that is chosen."""
        opened, found = self.board.selection.trade, self.found
        if opened is None or found is None or found.trade["trade"] != opened:
            text = NOTHING if opened is None else self._bar(picked, opened) + LOADING
            hidden = {"one_head": {"text": text}, "one_table": {"text": ""}, "one_plot": {"visible": False}}
            return hidden | {"one_seen": {"text": ""}}
        currency = picked.columns.currency
        missing = f'<p class="warning" role="note">{esc(found.reason)}</p>' if found.reason else ""
        rows = explanation(found.explained, self.detail, currency) if found.explained is not None else ""
        told = {
            "one_head": {"text": self._bar(picked, opened) + describe(found, currency) + missing + self._key()},
            "one_table": {"text": self._details() + rows if rows else ""},
            "one_plot": {"visible": found.chart is not None},
            "one_seen": {"text": str(opened)},
        }
        return told | (self._picture() if found.chart is not None else {})

    def _picture(self):
        adjusted, found = self.frame == "adjusted", self.found
        bars, line = prices_of(found.chart, adjusted)
        ends, legs, stop = marks_of(found, adjusted)
        ends["color"] = np.full(2, theme.LOSS if found.trade["net"] < 0.0 else theme.GAIN, object)
        low, high = charts.span(np.concatenate([bars["low"], bars["high"], ends["price"], stop["stop"], legs["to"]]))
        days = bars["day"]
        air = max(float(days[-1] - days[0]), charts.DAY_MS) * 0.02 if len(days) else charts.DAY_MS
        first, last = (float(days[0]), float(days[-1])) if len(days) else (0.0, 1.0)
        return {
            "one_bars": {"data": bars}, "one_line": {"data": line}, "one_ends": {"data": ends},
            "one_legs": {"data": legs}, "one_stop": {"data": stop},
            "one_held": {"left": float(ends["day"][0]), "right": float(ends["day"][1])},
            "one_x": {"start": first - air, "end": last + air}, "one_y": {"start": low, "end": high},
        }  # fmt: skip

    def _bar(self, picked, opened):
        """Name and result of the trade, and buttons: the ones beside it in the table, close."""
        columns, order = picked.columns, listing(self.board)
        table = columns.table
        trade = table.filter(pl.col("trade") == opened).row(0, named=True)
        rows, place = order.rows(picked), order.place(picked, opened)
        beside = [None, None] if place is None else [place - 1, place + 1]
        steps = "".join(
            f'<button type="button" data-do="trade" data-turn="1" data-trade="{_at(table, rows, k)}" '
            f"{'disabled ' if not _at(table, rows, k) else ''}>{words}</button>"
            for k, words in zip(beside, ("‹ previous", "next ›"), strict=True)
        )
        net = esc(charts.money(trade["net"], columns.currency))
        risk = trade.get("risk")
        ratio = f", {charts.number(trade['net'] / risk, 2)} R" if risk else ""
        return (
            f'<div class="row"><b class="one">Trade {opened}: {esc(trade["market"])}, {trade["entry_day"]} to '
            f'{trade["exit_day"]}, <span class="{"loss" if trade["net"] < 0 else "gain"}">{net}{ratio}</span></b>'
            f'<span class="push"></span><span class="switch" role="group" aria-label="Other trades">{steps}</span>'
            f'<span class="switch"><button type="button" data-do="trade" data-trade="{opened}">close ×</button></span>'
            "</div>"
        )

    def _key(self):
        if self.found.chart is None:
            return ""
        shown = [("marks", theme.RUNS[0]), ("high to low", theme.NEUTRAL), ("legs of a roll", theme.RUNS[3])]
        shown += [("stop at the entry", theme.LOSS)] if np.isfinite(self.found.chart.stop) else []
        ends = "▲ entry" if self.found.trade["direction"] == "long" else "▼ entry"
        return (
            f'<div class="row">{charts.legend(shown)}<span class="note">{ends} ■ exit</span><span class="push"></span>'
            f"{charts.switch('trade_frame', FRAMES, self.frame, 'Frame of the prices')}</div>"
        )

    def _details(self):
        return (
            f'<div class="row"><b class="one">Explained</b><span class="push"></span>'
            f"{charts.switch('trade_detail', DETAILS, self.detail, 'Marks of days')}</div>"
        )

    def settle(self, picked):
        """Begin to read the trade that is open."""
        opened = self.board.selection.trade
        if opened is None or opened == self.asked:
            return
        self.asked = opened

        def show(found):
            if self.board.selection.trade == found.trade["trade"]:
                self.found = found
                self.apply(self.board.slice)

        columns = self.board.columns
        self.later(lambda: find(columns, opened), show)

    def wire(self):
        """Follow which trade is open; buttons change what is shown of it."""
        self.board.verbs |= {"trade_frame": self._framed, "trade_detail": self._detailed}
        self.board.selection.param.watch(lambda *_: self._opened(), ["trade"])

    def _opened(self):
        self.asked = None
        if not self.shown:
            self.stale = True
            return
        with self.board.guard("The trade could not be shown."):
            self.apply(self.board.slice)
            self.settle(self.board.slice)

    def _framed(self, asked):
        if asked["value"] in FRAMES:
            self.frame = asked["value"]
            self.apply(self.board.slice)

    def _detailed(self, asked):
        if asked["value"] in DETAILS:
            self.detail = asked["value"]
            self.apply(self.board.slice)


SOURCES = (
    "day open high low mark contract", "day mark", "day price shape what color",
    "day from to alpha size contract next spread", "day stop",
)  # fmt: skip


def _at(table, rows, place):
    """Number of the trade at a place of the table, "" where there is none."""
    return "" if place is None or not 0 <= place < len(rows) else table["trade"][int(rows[place])]
