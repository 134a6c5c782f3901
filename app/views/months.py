"""Return of every month and year; a tap picks the days of one."""

import calendar
from datetime import date

import numpy as np

from app import charts
from app.charts import esc
from app.view import View

NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Year")
FULL = (0.06, 0.3)  # returns of a month and of a year whose cells have the whole colour


def cell(value, year, k, picked, framed):
    """One month, or the year at the end of its row, as a button; pale where no day of it is picked."""
    if not np.isfinite(value):
        return "<td></td>"
    strength = min(abs(value) / FULL[k == 12], 1.0)
    label = f"{NAMES[k]} {year}" if k < 12 else str(year)
    return (
        f'<td><button type="button" class="{"loss" if value < 0.0 else "gain"}{" strong" if strength > 0.8 else ""}'
        f'{"" if picked else " out"}" '
        f'style="--a:{strength:.2f}" data-do="month" data-column="{NAMES[k]}" data-row="{year}" '
        f'aria-label="{label}: {charts.percent(value)}" aria-pressed="{str(framed).lower()}">'
        f"{charts.number(value * 100.0, 1)}</button></td>"
    )


def table(months, picked, days):
    """Years below one another, newest first; the cell whose days are picked has a frame."""
    if not months:
        return '<p class="note">No day is picked: widen the filters.</p>'
    head = "".join(f'<th scope="col">{name}</th>' for name in NAMES)
    rows = (
        f'<tr><th scope="row">{year}</th>'
        + "".join(
            cell(v, year, k, picked[year][k], days == days_of(NAMES[k], year)) for k, v in enumerate(months[year])
        )
        + "</tr>"
        for year in sorted(months, reverse=True)
    )
    inside = f"<thead><tr><th></th>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f'<div class="scroll"><table class="months">{inside}</table></div>{describe(months)}'


def describe(months):
    """The best and the worst month in a sentence."""
    known = [
        (float(value), f"{NAMES[k]} {year}")
        for year, row in months.items()
        for k, value in enumerate(row[:12])
        if np.isfinite(value)
    ]
    if not known:
        return ""
    best, worst = max(known), min(known)
    won = sum(value > 0.0 for value, _ in known)
    return (
        f'<p class="note">{won} of {len(known)} months gained; best {esc(best[1])} {charts.percent(best[0])}, worst '
        f"{esc(worst[1])} {charts.percent(worst[0])}.</p>"
    )


def days_of(column, year):
    """First and last day of a month, or of the year.

    >>> days_of("Feb", 2016)[1], days_of("Year", 2015)[0]
    (datetime.date(2016, 2, 29), datetime.date(2015, 1, 1))
    """
    k = NAMES.index(column) + 1
    if k == len(NAMES):
        return date(year, 1, 1), date(year, 12, 31)
    return date(year, k, 1), date(year, k, calendar.monthrange(year, k)[1])


class Months(View):
    """Monthly returns with the totals of the years."""

    title = "Monthly returns"
    guide = "Percent: profit over the equity before, under all filters but the days. A tap picks a month or a year."
    saves = ("csv",)

    def draw(self, columns):
        """One block of words: a table that can be read aloud, copied and searched."""
        block = charts.words()
        return block, {"months": block}

    def patch(self, picked):
        """The table of a slice."""
        return {"months": {"text": table(picked.every_month, picked.month_picked, picked.chosen["days"])}}

    def wire(self):
        """A tap picks the days of a cell; the same tap again picks all."""
        self.board.verbs["month"] = self._tapped

    def _tapped(self, asked):
        days = days_of(asked["column"], int(asked["row"]))
        self.board.selection.pick(days=None if self.board.selection.days == days else days)
