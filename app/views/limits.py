"""Limits: where the account stands against its risk limits, when it broke them, and what brings it back."""

from typing import NamedTuple

import numpy as np
import polars as pl
from bokeh.models import BoxSelectTool, ColumnDataSource, FactorRange, Range1d

from app import charts, theme
from app.charts import esc
from app.view import brush
from app.views.risk import NOTHING
from app.views.worked import Worked, cell, note, table
from engine.analysis import cuts, risk_limits, standing, value_at_risk
from engine.analysis.source import SourceChanged, market_of_run
from engine.market import MarketUnknown
from engine.result import NotRunHere
from store.manifest import NotKept

WORDS = {
    "max_drawdown": "Drawdown", "value_at_risk": "Value at risk, 1 day", "margin_to_equity": "Margin to equity",
    "concentration": "Concentration of margin", "correlation": "Mean correlation", "loss_day": "Loss of the day",
    "loss_week": "Loss of the week", "loss_month": "Loss of the month", "stale_data": "Age of the oldest price",
}  # fmt: skip
ROW = 21  # height of a ribbon [pixels]


class Stands(NamedTuple):
    """A run against its limits."""

    now: pl.DataFrame  # of `standing.now`
    back: pl.DataFrame  # of `cuts.cuts`
    days: np.ndarray  # (time,)
    states: dict  # limit -> array (time,)
    file: str  # where the levels are from, in words
    held: pl.DataFrame | None  # value at risk of what is held on the last day; None where it is not known
    lacking: str  # why what reads prices is unknown; "" if it is not


def stands(run, archive):
    """The `Stands` of a run; the levels are those beside the store, else the ones that ship."""
    place = risk_limits.file_of(archive.path) if archive is not None else risk_limits.SHIPPED
    levels, lacking, market = risk_limits.read(place), "", None
    try:
        if archive is None:
            raise NotKept("there is no store")
        market = market_of_run(archive, run)
    except (MarketUnknown, NotKept, NotRunHere, SourceChanged) as error:
        lacking = f"Unknown is what reads prices: {error}."
    found = standing.Standing.of(run, levels, market)
    sides = None if market is None else cuts.Sides.of(run, market, found.daily.names)
    source = "the levels that ship, a place to begin" if place == risk_limits.SHIPPED else f"the levels of {place.name}"
    held = None if market is None else value_at_risk.of_held(run, market, found.daily)
    now, back = standing.now(found), cuts.cuts(found, sides)
    return Stands(now, back, found.daily.days[1:], found.states, source, held, lacking)


def value_text(limit, value):
    """A value in the unit of its limit.

    >>> value_text("loss_day", 0.0215), value_text("stale_data", 6.0), value_text("correlation", None)
    ('2.15 %', '6 days', '–')
    """
    if value is None:
        return charts.UNKNOWN
    if limit == "stale_data":
        return f"{value:.0f} {'day' if value == 1.0 else 'days'}"
    return charts.number(value, 3) if limit in ("concentration", "correlation") else charts.percent(value, 2)


def badge(state):
    """The state of a limit: a colour and its word."""
    colour = theme.LIMITS.get(state, theme.NEUTRAL)
    return f'<span class="state"><i class="dot" style="background:{colour}"></i>{esc(state)}</span>'


def gauge(row):
    """How much of its red level (or of what there is) a value uses, as a bar with a tick at amber."""
    end = row["red"] if row["red"] is not None else row["amber"]
    if row["value"] is None or not end or end <= 0.0:
        return "<td></td>"
    used, colour = row["value"] / end, theme.LIMITS.get(row["state"], theme.NEUTRAL)
    tick = f'<b style="left:{100.0 * row["amber"] / end:.1f}%"></b>' if row["amber"] is not None and row["red"] else ""
    wide = min(max(used, 0.0), 1.0) * 100.0
    return (
        f'<td class="text"><span class="gauge" title="{esc(charts.percent(used, 0))} of its last level">'
        f'<i style="width:{wide:.1f}%;background:{colour}"></i>{tick}</span></td>'
    )


def back_words(rows):
    """What brings a limit back, in words: the rows of `cuts.CUTS` of one limit.

    >>> row = {"back_to": "green", "market": "CL", "contracts": -2.0, "held": 5.0, "cost": 51.0, "after": 0.28,
    ...        "limit": "margin_to_equity", "method": "one market, all searched"}
    >>> back_words([row])
    'to green: sell 2 of 5 CL, cost 51, then 28.00 %'
    """
    parts = []
    for goal in dict.fromkeys(row["back_to"] for row in rows):
        mine = [row for row in rows if row["back_to"] == goal]
        if mine[0]["market"] is None:
            parts.append(f"to {goal}: {mine[0]['method']}")
            continue
        trades = [
            f"{'sell' if row['contracts'] < 0 else 'buy'} {charts.number(abs(row['contracts']))} of "
            f"{charts.number(abs(row['held']))} {row['market']}"
            for row in mine
        ]
        cost = sum(row["cost"] or 0.0 for row in mine)
        after = value_text(mine[0]["limit"], mine[0]["after"])
        parts.append(f"to {goal}: {', '.join(trades)}, cost {charts.number(cost)}, then {after}")
    return "; ".join(parts)


class Limits(Worked):
    """Where each risk limit stands, and when it was broken."""

    title = "Risk limits"
    guide = (
        "Of the whole account, at the close of the last day; beneath, every day that was not green. Drag to pick days."
    )

    def draw(self, columns):
        """A table above a row of colours for each limit."""
        source = ColumnDataSource({name: [] for name in ("limit", "left", "right", "state", "color")})
        first, last = charts.milliseconds(columns.days[[0, -1]])
        x_range, y_range, head, text = Range1d(first, last), FactorRange(factors=[]), charts.words(), charts.words()
        self.plot = charts.dated(120, x_range, y_range, "Days on which limits were amber or red; the table tells them")
        bars = self.plot.hbar("limit", left="left", right="right", height=0.7, source=source, fill_color="color",
                              line_color="color", line_width=1)  # fmt: skip
        rows = [("", "@limit: @state"), ("from", "@left{%F}"), ("to", "@right{%F}")]
        charts.hover(self.plot, bars, rows, mode="mouse")
        self.plot.hover[0].formatters = {"@left": "datetime", "@right": "datetime"}
        box = BoxSelectTool(dimensions="width", renderers=[], continuous=True)
        self.plot.add_tools(box)
        self.plot.toolbar.active_drag = box
        models = {"limits": source, "limits_y": y_range, "limits_plot": self.plot, "limits_head": head,
                  "limits_text": text}  # fmt: skip
        models |= {f"limits_{edge}": cover for edge, cover in charts.veils(self.plot)}
        return charts.column(head, self.plot, text), models

    def needs(self):
        """The standing of the run."""
        board = self.board
        return [("limits", lambda: stands(board.columns.run, board.archive))]

    def wire(self):
        """A box picks days."""
        brush(self.plot, self.board)

    def patch(self, picked):
        """Table, colours and veils."""
        lacking = note(NOTHING) if not picked.columns.roots else self.missing()
        if lacking:
            return {"limits_plot": {"visible": False}, "limits_head": {"text": lacking}, "limits_text": {"text": ""}}
        found, days = self.got("limits"), charts.milliseconds(picked.columns.days)
        everywhere = picked.chosen["days"] is None
        left, right = (days[picked.first - 1], days[picked.last]) if picked.count else (days[-1], days[-1])
        names = [WORDS[name] for name in found.states][::-1]
        return {
            "limits_head": {"text": told(found)},
            "limits_y": {"factors": names},
            "limits": {"data": ribbons(found)},
            "limits_plot": {"visible": True, "height": ROW * max(len(names), 1) + 36},
            "limits_text": {"text": summary(found)},
            "limits_left": {"right": float(left), "visible": not everywhere},
            "limits_right": {"left": float(right), "visible": not everywhere},
        }


def ribbons(found):
    """A row for each stretch of days of one colour but green."""
    rows, days = [], charts.milliseconds(found.days)
    for name, states in found.states.items():
        starts = np.flatnonzero(np.diff(states, prepend=-1))
        ends = np.append(starts[1:], len(states)) - 1
        rows += [
            (WORDS[name], days[max(a - 1, 0)], days[b], risk_limits.STATES[states[a]])
            for a, b in zip(starts, ends, strict=True)
            if states[a]
        ]
    columns = list(zip(*rows, strict=True)) if rows else [()] * 4
    told = {name: np.array(column, float if name in ("left", "right") else object)
            for name, column in zip(("limit", "left", "right", "state"), columns, strict=True)}  # fmt: skip
    return told | {"color": np.array([theme.LIMITS[state] for state in told["state"]], object)}


def told(found):
    """The table of limits; beneath one that is not green, what brings it back."""
    head = [("Limit", "text", ""), ("State", "text", ""), ("Now", "", "On the last day"),
            ("", "text", "Of the red level"),
            ("Amber above", "", ""), ("Red above", "", ""), ("Days amber", "", "Of all days"),
            ("Days red", "", "Of all days"), ("Highest", "", "Of all days"), ("on", "text", "")]  # fmt: skip
    rows = []
    for row in found.now.to_dicts():
        limit = row["limit"]
        rows.append(
            [
                f'<th scope="row" class="text">{esc(WORDS[limit])}</th>',
                f'<td class="text">{badge(row["state"])}</td>',
                cell(value_text(limit, row["value"])), gauge(row), cell(value_text(limit, row["amber"])),
                cell(value_text(limit, row["red"])), cell(charts.number(row["days_amber"])),
                cell(charts.number(row["days_red"])), cell(value_text(limit, row["worst"])),
                cell(str(row["worst_day"] or charts.UNKNOWN), "text nowrap"),
            ]
        )  # fmt: skip
        back = [one for one in found.back.to_dicts() if one["limit"] == limit]
        if back:
            rows.append([f'<td class="text back" colspan="10">{esc(back_words(back))}</td>'])
    return table(head, rows)


def summary(found):
    """How many limits are green, in a sentence, and where the levels are from."""
    states = found.now["state"].to_list()
    counts = ", ".join(
        f"{states.count(state)} {state}" for state in (*risk_limits.STATES, "unknown") if state in states
    )
    broken = [WORDS[row["limit"]] for row in found.now.to_dicts() if row["state"] in ("amber", "red")]
    more = f": {', '.join(broken)}" if broken else ""
    return note(
        f"{len(states)} limits of the whole run, {counts}{more}; {found.file}. A value at a level is within it. "
        f"{found.lacking}".strip()
    )
