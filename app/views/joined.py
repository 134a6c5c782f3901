"""The continuous series of a market over the contracts that it is made of, every roll marked."""

import numpy as np
import polars as pl
from bokeh.models import ColumnDataSource, NumeralTickFormatter, Range1d

from app import charts, theme
from app.chainbook import chosen, overlaps
from app.views.contracts import OfChain
from app.views.pieces import note, points
from app.ways import Way

SPANS = {"all": "All", "3": "3 years", "1": "1 year", "roll": "The roll"}
YEAR, LONG = 365.25, 120  # of a year; before a roll [days]


class Joined(OfChain):
    """The continuous series over the contracts that it is made of."""

    title = "Continuous against contracts"
    guide = "Blue: the contract held, orange: the adjusted series, grey: contracts just before and after they are held."
    span = Way("span", SPANS, "3")

    def draw(self, columns):
        """A figure with every roll marked, and words."""
        plot = charts.dated(340, Range1d(0, 1), Range1d(0, 1), "Contract prices and the adjusted series; words below")
        plot.update(min_border_left=68)
        plot.yaxis.formatter = NumeralTickFormatter(format="0,0.[000000]")
        plot.yaxis.axis_label = "price [points]"
        grey, held, series = (ColumnDataSource({"day": [], name: []}) for name in ("mark", "held", "adjusted"))
        rolls = ColumnDataSource({name: [] for name in ("day", "left", "entered", "spread", "contract", "next")})
        plot.line("day", "mark", source=grey, color=theme.NEUTRAL, line_width=1.0, line_alpha=0.65)
        plot.line("day", "adjusted", source=series, color=theme.LOSS, line_width=1.4)
        plot.line("day", "held", source=held, color=theme.GAIN, line_width=1.6)
        plot.segment("day", "left", "day", "entered", source=rolls, color=theme.RUNS[3], line_width=1.4)
        plot.scatter("day", "left", source=rolls, size=5, color=theme.RUNS[3], line_color=None)
        dots = plot.scatter("day", "entered", source=rolls, size=5, color=theme.RUNS[3], line_color=None)
        told = [("", "@day{%F}"), ("roll", "@contract to @next"), ("spread", "@spread{+0,0.[000000]} points")]
        charts.hover(plot, dots, told, mode="mouse")
        head, text = charts.words(), charts.words()
        models = {"joined_grey": grey, "joined_held": held, "joined_series": series, "joined_rolls": rolls,
                  "joined_x": plot.x_range, "joined_y": plot.y_range, "joined_plot": plot, "joined_head": head,
                  "joined_text": text}  # fmt: skip
        return charts.column(head, plot, text), models

    def wire(self):
        """Another span."""
        super().wire()
        self.board.verbs["joined_span"] = self._spanned

    def _spanned(self, asked):
        if asked["value"] in SPANS:
            self.span = asked["value"]
            self.apply(self.board.slice)

    def blank(self, words):
        """No figure."""
        return {"joined_plot": {"visible": False}, "joined_head": {"text": ""}, "joined_text": {"text": words}}

    def filled(self, book, picked):
        """Lines, rolls and axes of the span chosen."""
        first, last = self.ends(book, picked)
        lines = {"grey": ("mark", *overlaps(book, first.item(), last.item())), "held": ("held", *held_line(book))}
        lines["series"] = ("adjusted", book.series["day"].to_numpy(), book.series["adjusted"].to_numpy().astype(float))
        patch, seen = {}, [np.zeros(0)]
        for key, (name, days, values) in lines.items():
            inside = (days >= first) & (days <= last)
            patch[f"joined_{key}"] = {"data": {"day": charts.milliseconds(days[inside]), name: values[inside]}}
            seen.append(values[inside])
        rolls = book.rolls.filter(pl.col("day").is_between(first.item(), last.item()))
        patch["joined_rolls"] = {"data": rolls_of(rolls)}
        low, high = charts.span(np.concatenate(seen))
        start, end = charts.milliseconds(np.array([first, last]))
        names = {"held contract": theme.GAIN, "adjusted": theme.LOSS, "other contracts": theme.NEUTRAL}
        key = charts.legend([*names.items(), ("rolls", theme.RUNS[3])])
        switch = charts.switch("joined_span", SPANS, self.span, "How much is shown")
        return patch | {
            "joined_x": {"start": float(start), "end": float(max(end, start + charts.DAY_MS))},
            "joined_y": {"start": low, "end": high},
            "joined_plot": {"visible": True},
            "joined_head": {"text": f'<div class="row">{key}<span class="push"></span>{switch}</div>'},
            "joined_text": {"text": note(joined_words(book, rolls, first, last))},
        }

    def ends(self, book, picked):
        """First and last day shown: of the days picked, or up to the newest."""
        days, span = book.days, picked.chosen["days"]
        roll = chosen(self.board).roll
        if self.span == "roll" and roll is not None:
            at = np.datetime64(book.rolls["day"][roll], "D")
            return max(at - LONG, days[0]), min(at + LONG // 2, days[-1])
        first, last = (np.datetime64(day, "D") for day in span) if span else (days[0], days[-1])
        if self.span in ("3", "1") and not span:
            first = last - int(int(self.span) * YEAR)
        return max(first, days[0]), min(last, days[-1])


def held_line(book):
    """Days and marks of the contract held, a nan where it changes."""
    days, contract = book.series["day"].to_numpy(), book.series["contract"].to_numpy()
    marks = book.series.select(pl.coalesce("settle", "close")).to_series().to_numpy().astype(float)
    cuts = np.flatnonzero(np.diff(contract)) + 1
    return np.insert(days, cuts, days[cuts]), np.insert(marks, cuts, np.nan)


def rolls_of(rolls):
    """Rolls as columns of a source."""
    column = lambda name: rolls[name].cast(pl.Float64).fill_null(np.nan).to_numpy()  # noqa: E731
    texts = {"contract": rolls["from_contract"], "next": rolls["to_contract"]}
    return {
        "day": charts.milliseconds(rolls["day"].to_numpy()), "left": column("from_price"),
        "entered": column("to_price"), "spread": column("spread"),
        **{name: np.array([str(x or "none") for x in values], object) for name, values in texts.items()},
    }  # fmt: skip


def joined_words(book, rolls, first, last):
    """What a holder earned in a span, by price and by rolling, in words."""
    inside = book.series.filter(pl.col("day").is_between(first.item(), last.item()))
    inside = inside.with_columns(mark=pl.coalesce("settle", "close")).drop_nulls(["mark", "adjusted"])
    if inside.is_empty():
        return "No contract was held in these days."
    total, price = (inside[name][-1] - inside[name][0] for name in ("adjusted", "mark"))
    return (
        f"{first} to {last}, {charts.number(len(rolls))} {'roll' if len(rolls) == 1 else 'rolls'}: a holder of one "
        f"contract earned {points(total, plus=True)} points, {points(price, plus=True)} of it by price and "
        f"{points(total - price, plus=True)} by rolling. The newest contract stands at its market price."
    )
