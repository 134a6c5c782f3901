"""Contracts and rolls: the curve of a day, activity around a roll, and the continuous series over its contracts.

All views here show one market under one roll rule, which the first of them chooses. They are of the store, not of the
run; of the selection they take a first market and, for the span of the series, its days.
"""

import datetime

import numpy as np
from bokeh.models import (
    AutocompleteInput,
    ColumnDataSource,
    DateSlider,
    NoOverlap,
    NumeralTickFormatter,
    Range1d,
    Select,
    Span,
)

from app import charts, theme
from app.chainbook import COMMON, CURVES, around, chosen, curve, shape
from app.charts import esc
from app.view import View
from app.views.pieces import controls, note, points, style

WAIT = "Reading the contracts …"
LEFT, NEXT = theme.RUNS[0], theme.RUNS[1]  # of a roll: the contract left, the one that follows


class OfChain(View):
    """A view of the market that is chosen; what it shows without one is said in words."""

    def wire(self):
        """Follow what is chosen."""
        chosen(self.board).views.append(self)

    def settle(self, picked):
        """Begin to read the market."""
        chosen(self.board).want(self)

    def patch(self, picked):
        """What the book of the market puts into the models; words alone where there is none."""
        now = chosen(self.board)
        if now.book is None:
            return self.blank(note(esc(now.fault or WAIT)))
        return self.filled(now.book, picked)

    def blank(self, words):
        """What stands there without a book."""
        raise NotImplementedError

    def filled(self, book, picked):
        """What a book puts into the models."""
        raise NotImplementedError


class ChainMarket(OfChain):
    """The market and the rule that this page shows."""

    title = "Market and roll rule"
    guide = "What the views below show; prices are those stored now, not those of the run."
    saves = ()

    def draw(self, columns):
        """Two fields and a sentence."""
        now = chosen(self.board)
        self.market = Select(title="Market", value=now.root, options=now.roots or [""], width=150, **style())
        self.rule = AutocompleteInput(
            title="Roll rule", value=now.rule, completions=list(COMMON), restrict=False, min_characters=0,
            case_sensitive=False, width=190, **style(),
        )  # fmt: skip
        text = charts.words()
        models = {"chain_market": self.market, "chain_rule": self.rule, "chain_text": text}
        return charts.column(controls(self.market, self.rule), text), models

    def wire(self):
        """Another market or rule is read at once."""
        super().wire()
        self.market.on_change("value", lambda _attr, _old, new: self._picked("root", new))
        self.rule.on_change("value", lambda _attr, _old, new: self._picked("rule", new.strip()))

    def _picked(self, name, value):
        now = chosen(self.board)
        if not value or getattr(now, name) == value or (name == "root" and value not in now.roots):
            return
        with self.board.guard("The market could not be shown."):
            setattr(now, name, value)
            now.want(self)

    def blank(self, words):
        """The market, and why there is nothing of it."""
        return {"chain_market": {"value": chosen(self.board).root}, "chain_text": {"text": words}}

    def filled(self, book, picked):
        """What is stored of the market, in a sentence."""
        spec, rolls = book.spec, book.rolls
        name = f"{esc(spec.name)}, {esc(spec.exchange)}, {esc(spec.currency)}" if spec else "facts not known"
        spread = rolls["spread"].abs().mean()
        told = (
            f"<b>{esc(book.root)}</b>, {name}: {charts.number(book.chain['contract'].n_unique())} contracts from "
            f"{esc(book.source)}, {book.days[0]} to {book.days[-1]}; {charts.number(len(rolls))} rolls "
            f"by {esc(book.rule)}"
        )
        told += f", {points(spread, digits=4)} points between both contracts in the mean" if spread is not None else ""
        return {"chain_market": {"value": book.root}, "chain_text": {"text": note(f"{told}.")}}


class TermStructure(OfChain):
    """Prices of all contracts on a day, by their last trading days."""

    title = "Term structure"
    guide = "Each contract at its last trading day; the filled dot is the one held. Move the day to see the curve move."

    def draw(self, columns):
        """A slider, a figure and words."""
        day = datetime.date(2020, 1, 1)
        self.day = None
        self.slider = DateSlider(
            title="Day", start=day, end=day + datetime.timedelta(1), value=day, step=86_400_000, format="%Y-%m-%d",
            sizing_mode="stretch_width", bar_color=theme.GAIN, disabled=True, **style(),
        )  # fmt: skip
        source = ColumnDataSource({name: [] for name in ("end", "price", "contract", "volume", "oi", "fill")})
        plot = charts.dated(400, Range1d(0, 1), Range1d(0, 1), "Prices by last trading day; its words stand below")
        plot.update(min_border_left=68)
        plot.yaxis.formatter = NumeralTickFormatter(format="0,0.[000000]")
        plot.yaxis.axis_label = "price [points]"
        plot.xaxis.ticker.desired_num_ticks = 5
        plot.xaxis.major_label_policy = NoOverlap(min_distance=12)
        plot.line("end", "price", source=source, color=LEFT, line_width=1.6)
        dots = plot.scatter("end", "price", source=source, size=9, fill_color="fill", line_color=LEFT, line_width=1.6)
        told = [("", "@contract"), ("last trade", "@end{%F}"), ("price", "@price{0,0.[000000]}"),
                ("volume", "@volume{0,0}"), ("open interest", "@oi{0,0}")]  # fmt: skip
        charts.hover(plot, dots, told, mode="mouse")
        plot.hover.formatters = {"@end": "datetime"}
        text = charts.words()
        models = {"term": source, "term_plot": plot, "term_x": plot.x_range, "term_y": plot.y_range,
                  "term_day": self.slider, "term_text": text}  # fmt: skip
        return charts.column(self.slider, plot, text), models

    def wire(self):
        """Follow the day of the slider."""
        super().wire()
        self.slider.on_change("value", lambda _attr, _old, new: self._moved(new))

    def _moved(self, value):
        day = as_day(value)
        if day != self.day and chosen(self.board).book is not None:
            with self.board.guard("The curve could not be shown."):
                self.day = day
                self.apply(self.board.slice)

    def blank(self, words):
        """No figure."""
        self.day = None
        return {"term_plot": {"visible": False}, "term_day": {"disabled": True}, "term_text": {"text": words}}

    def filled(self, book, picked):
        """The curve of the day of the slider; at first of the last day picked."""
        first, last = book.days[0].item(), book.days[-1].item()
        if self.day is None or not first <= self.day <= last:
            span = picked.chosen["days"]
            self.day = min(max(span[1], first), last) if span else last
        found = curve(book, self.day)
        ends = charts.milliseconds(found.end)
        fill = np.where(found.contract == (found.held or 0), LEFT, "rgba(0,0,0,0)").astype(object)
        names = np.array([str(contract) for contract in found.contract], object)
        data = {"end": ends, "price": found.mark, "contract": names, "volume": found.volume, "oi": found.open_interest,
                "fill": fill}  # fmt: skip
        low, high = charts.span(found.mark)
        start, end = (float(ends.min()), float(ends.max())) if len(ends) else (0.0, 0.0)
        air = max((end - start) * 0.04, 5 * charts.DAY_MS)
        return {
            "term": {"data": data},
            "term_x": {"start": start - air, "end": end + air},
            "term_y": {"start": low, "end": high},
            "term_plot": {"visible": bool(len(ends))},
            "term_day": {"start": first, "end": last, "value": self.day, "disabled": first == last},
            "term_text": {"text": note(curve_words(found))},
        }  # fmt: skip


def as_day(value):
    """The day that a slider tells: milliseconds from the browser, a date from Python."""
    if isinstance(value, int | float):
        return datetime.datetime.fromtimestamp(value / 1000.0, datetime.UTC).date()
    return value.date() if isinstance(value, datetime.datetime) else value


def curve_words(found):
    """The curve in words."""
    if not len(found.mark):
        return f"No contract has a price on {found.day}."
    kind = shape(found.mark)
    words = {
        **{name: f"<b>{name.capitalize()}</b>: {told}" for name, told in CURVES.items()},
        "mixed": "<b>Mixed</b>: some later contracts cost more, some less", "flat": "<b>Flat</b>: all at one price",
        "alone": "Only one contract has a price",
    }[kind]  # fmt: skip
    words = f"{found.day}. {words}"
    if kind not in ("alone", "flat"):
        change = found.mark[-1] - found.mark[0]
        words += f" ({points(change, plus=True)} points from {found.contract[0]} to {found.contract[-1]})"
    if found.held:
        words += f". Held is {found.held}"
        there = {int(one): price for one, price in zip(found.contract, found.mark, strict=True)}
        if found.following in there and found.held in there:
            step = there[found.following] - there[found.held]
            words += f"; the next, {found.following}, is {points(step, plus=True)} points away"
        if np.isfinite(found.roll_yield):
            words += f": rolling pays a long {charts.percent(found.roll_yield)} a year if the curve stays as it is"
    return words + "."


ACTIVITY = {"volume": "Volume a day", "open_interest": "Open interest"}


class RollActivity(OfChain):
    """Volume and open interest of the contracts around a roll."""

    title = "Activity around a roll"
    guide = (
        "The contract left, the one that follows, and all others in grey. Full line: the roll; dashed: what decided it."
    )

    def draw(self, columns):
        """A list of the rolls, a figure each of volume and open interest, words."""
        self.pick = Select(title="Roll", value="", options=[""], width=300, **style())
        models = {"activity_roll": self.pick}
        x_range, plots = Range1d(0, 1), []
        for key, name in ACTIVITY.items():
            plot = charts.dated(150, x_range, Range1d(0, 1), f"{name} by contract; its words stand below")
            plot.update(min_border_left=68)
            plot.yaxis.formatter = NumeralTickFormatter(format="0,0.[0]a")
            plot.yaxis.ticker.desired_num_ticks = 4
            plot.xaxis.ticker.desired_num_ticks = 4
            plot.xaxis.major_label_policy = NoOverlap(min_distance=12)
            for what, colour, width in (("others", theme.NEUTRAL, 1.1), ("left", LEFT, 2.2), ("next", NEXT, 2.2)):
                source = models[f"{key}_{what}"] = ColumnDataSource({"day": [], "contract": [], key: []})
                line = plot.line("day", key, source=source, color=colour, line_width=width)
                charts.hover(plot, line, [("@contract", f"@{key}{{0,0}}"), ("", "@day{%F}")], mode="mouse")
            for what, dash in (("day", "solid"), ("decided", "dashed")):
                mark = Span(dimension="height", line_color=theme.NEUTRAL, line_dash=dash, line_width=1.4, visible=False)
                plot.add_layout(mark)
                models[f"{key}_{what}"] = mark
            models |= {f"{key}_y": plot.y_range, f"{key}_plot": plot}
            caption = charts.words()
            caption.text = f'<p class="axis">{name} [contracts]</p>'
            models[f"{key}_name"] = caption
            plots += [caption, plot]
        head, text = charts.words(), charts.words()
        models |= {"activity_x": x_range, "activity_head": head, "activity_text": text}
        return charts.column(self.pick, head, *plots, text), models

    def wire(self):
        """Another roll."""
        super().wire()
        self.pick.on_change("value", lambda _attr, _old, new: self._picked(new))

    def _picked(self, value):
        now = chosen(self.board)
        if not value or now.book is None or value == str(now.roll):
            return
        with self.board.guard("The roll could not be shown."):
            now.roll = int(value)
            if not 0 <= now.roll < len(now.book.rolls):
                raise ValueError(f"there is no roll {value}")
            now.show()

    def blank(self, words):
        """No figures."""
        hidden = {f"{key}_{part}": {"visible": False} for key in ACTIVITY for part in ("plot", "name")}
        return hidden | {
            "activity_roll": {"disabled": True},
            "activity_head": {"text": ""},
            "activity_text": {"text": words},
        }

    def filled(self, book, picked):
        """Lines, marks and words of the roll chosen."""
        roll = chosen(self.board).roll
        if roll is None:
            return self.blank(note("No contract was rolled: the chain has one contract alone, or ends before a roll."))
        row = book.rolls.row(roll, named=True)
        options = [
            (str(k), f"{day}: {one} to {other or 'none'}")
            for k, (day, one, other) in enumerate(book.rolls.select("day", "from_contract", "to_contract").rows())
        ][::-1]
        patch = {"activity_roll": {"options": options, "value": str(roll), "disabled": False}}
        for key in ACTIVITY:
            patch |= activity(book, roll, row, key)
        days = np.concatenate(
            [data["data"]["day"] for name, data in patch.items() if name.startswith("volume_") and "data" in data]
        )
        patch["activity_x"] = {"start": float(np.nanmin(days)), "end": float(np.nanmax(days))}
        key = [
            (f"{row['from_contract']}, left", LEFT),
            (f"{row['to_contract'] or 'none'}, next", NEXT),
            ("others", theme.NEUTRAL),
        ]
        words = {"activity_head": charts.legend(key), "activity_text": note(roll_words(row))}
        return patch | {name: {"text": text} for name, text in words.items()}


def activity(book, roll, row, key):
    """What a roll puts into the figure of volume or open interest."""
    lines = around(book, roll, key)
    legs = {"left": row["from_contract"], "next": row["to_contract"]}
    parts = {what: [contract] if contract in lines else [] for what, contract in legs.items()}
    parts["others"] = [contract for contract in sorted(lines) if contract not in legs.values()]
    patch, top = {}, 0.0
    for what, contracts in parts.items():
        days, values, names = [np.zeros(0)], [np.zeros(0)], []
        for contract in contracts:
            when, value = lines[contract]
            days += [charts.milliseconds(when), charts.milliseconds(when[-1:])]
            values += [value, np.array([np.nan])]  # a gap before the next contract
            names += [str(contract)] * (len(when) + 1)
        patch[f"{key}_{what}"] = {
            "data": {"day": np.concatenate(days), key: np.concatenate(values), "contract": np.array(names, object)}
        }
        known = np.concatenate(values)[np.isfinite(np.concatenate(values))]
        top = max(top, float(known.max(initial=0.0)))
    for what in ("day", "decided"):
        at = None if row[what] is None else float(charts.milliseconds(np.datetime64(row[what], "D")))
        patch[f"{key}_{what}"] = {"location": at, "visible": at is not None}
    patch[f"{key}_y"] = {"start": 0.0, "end": top * 1.05 or 1.0}
    patch |= {f"{key}_{part}": {"visible": True} for part in ("plot", "name")}
    return patch


def roll_words(row):
    """A roll in words."""
    told = f"{row['day']}: {row['from_contract']} to {row['to_contract'] or 'nothing'}, by {esc(row['reason'])}"
    told += f", decided on {row['decided']}" if row["decided"] else ""
    if row["spread"] is not None:
        told += (
            f". Left at {points(row['from_price'])}, entered at {points(row['to_price'])}: "
            f"{points(row['spread'], plus=True)} points between both, which no one earns or loses"
        )
    if row["from_share"] is not None and row["to_share"] is not None:
        told += (
            f". Of that day's volume {charts.percent(row['from_share'], 0)} was left in the old contract, "
            f"{charts.percent(row['to_share'], 0)} was in the new one"
        )
    if row["sessions_left"] is not None:
        told += f"; {charts.number(row['sessions_left'])} sessions before the last day on which it may be held"
    return told + "."
