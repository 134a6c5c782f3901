"""Attribution: a table of the money by any two dimensions, and the way from gross to net, cause by cause.

Both are of what is picked and sum to its net profit to the cent, which they say with both numbers.
"""

from datetime import date

import numpy as np
from bokeh.layouts import Row
from bokeh.models import CategoricalAxis, FactorRange, Range1d, Select

from app import charts, theme
from app.charts import esc
from app.columns import NOT_NOW
from app.money import COSTS, FILTERS, GROSS, Money
from app.view import View
from app.ways import Way
from engine.analysis.attribution import HELD

WORDS = {  # what causes and dimensions are called where their own name is no word
    "spot": "spot price", "roll_yield": "roll yield", "price": "price", "roll_gap": "roll gap",
    "entry_slippage": "slippage, entry", "exit_slippage": "slippage, exit", "impact": "impact",
    "commission": "commission", "roll_slippage": "roll slippage", "roll_impact": "roll impact",
    "roll_commission": "roll commission", "fx": "foreign exchange", "fee": "fees", "entry_reason": "entry reason",
    "exit_reason": "exit reason", "holding": "bars held",
}  # fmt: skip
WHOLE = {"net": "net, all causes", "gross": "gross, before costs", "costs": "all costs"}  # what a table can show
CENT = 0.005  # half of one [account currency]
LEAST = dict(zip((text for _, text in HELD), (0, *(most + 1 for most, _ in HELD)), strict=False))
BOUNDS = {text: (float(LEAST[text]), float(most) if np.isfinite(most) else None) for most, text in HELD}  # [bars]
KINDS = {"market": "root", "entry_reason": "entry", "exit_reason": "exit"}  # how `Columns.names` calls dimensions
WAIT = '<p class="note" role="status">Working out where every cent came from …</p>'
NOTHING = '<p class="note">Nothing of this run has these filters, or it had no money on these days: widen them.</p>'
ALIKE = "\u200b"  # of no width: tells amounts apart that read the same
BAR = 25  # height of a step of the waterfall [pixels]


def worded(name):
    """A cause or dimension in words.

    >>> worded("roll_yield"), worded("market"), worded("borrow_fee")
    ('roll yield', 'market', 'borrow fee')
    """
    return WORDS.get(name, name.replace("_", " "))


def check(total, picked, what):
    """Whether a sum is the net profit of what is picked, to the cent, with both numbers."""
    net, currency = float(picked.profit[picked.rows].sum()), picked.columns.currency
    same = abs(total - net) < CENT + 1e-12 * abs(picked.columns.capital)
    badge = '<span class="badge">adds up</span>' if same else '<span class="badge broken">differs</span>'
    both = [f'<b class="num">{esc(charts.money(value, currency, 2))}</b>' for value in (total, net)]
    words = "to the cent" if same else f"they differ by {esc(charts.money(total - net, currency, 2))}: tell us"
    return (
        f'<p class="sum" role="status">{badge} {what} {both[0]} = net profit of what is picked {both[1]}, {words}.</p>'
    )


class OfMoney(View):
    """What shows the money of a run; it is worked out beside the page when the view is first seen."""

    asked = False

    def settle(self, picked):
        """Work the money out, and the regimes if they are shown."""
        kind = self.kind(picked)
        known = kind is None or picked.columns.regimes_now(kind).missing != NOT_NOW
        if (Money.now(picked.columns) is None or not known) and not self.asked:
            self.asked = True
            self.later(lambda: self._worked_out(kind), lambda _: self._shown_now())

    def _worked_out(self, kind):
        if kind is not None:
            self.board.columns.regimes(kind)
        return Money.of(self.board)

    def _shown_now(self):
        self.asked = False
        self.board.show(self.board.slice)

    def kind(self, picked):
        """The kind of regimes that is shown, or None."""
        return None


# -------------------------------------------------------------------------------------------------------- waterfall


def steps(causes, amounts):
    """The way from gross to net: (label, amount, whether it is a sum of those above).

    >>> steps(["spot", "roll_gap", "commission", "interest"], [100.0, -5.0, -10.0, 2.0])[2:4]
    [('gross', 95.0, True), ('commission', -10.0, False)]
    >>> steps(["spot", "roll_gap", "commission", "interest"], [100.0, -5.0, -10.0, 2.0])[-1]
    ('net', 87.0, True)
    """
    told = dict(zip(causes, amounts, strict=True))
    first = [(worded(name), told[name], False) for name in GROSS if name in told]
    costs = [(worded(name), told[name], False) for name in COSTS if name in told]
    others = [(worded(name), told[name], False) for name in told if name not in (*GROSS, *COSTS)]
    gross = sum(amount for _, amount, _ in first)
    after = gross + sum(amount for _, amount, _ in costs)
    middle = [("after costs", after, True)] if costs and others else []
    net = after + sum(amount for _, amount, _ in others)
    return [*first, ("gross", gross, True), *costs, *middle, *others, ("net", net, True)]


def bars_of(way):
    """Columns of HoloViews' waterfall: bars from `low` to `high`, and the lines that join them."""
    amount, whole = np.array([row[1] for row in way]), np.array([row[2] for row in way])
    end = np.cumsum(np.where(whole, 0.0, amount))
    start = np.where(whole, 0.0, end - amount)
    color = np.where(whole, theme.WHOLE, np.where(amount < 0.0, theme.LOSS, theme.GAIN)).astype(object)
    names = np.array([row[0] for row in way], object)
    bars = {"cause": names, "amount": amount, "low": np.minimum(start, end), "high": np.maximum(start, end),
            "color": color}  # fmt: skip
    return bars, {"x0": end[:-1], "x1": end[:-1], "y0": names[:-1], "y1": names[1:]}


def waterfall_plot(currency, x_range, y_range, amounts):
    """Bars drawn by HoloViews; the amounts stand in a column at the right."""
    import holoviews as hv
    from holoviews.plotting import bokeh  # noqa: F401  (whose options are set)

    element = hv.Waterfall([("gross", 1.0), ("net", 1.0)], "cause", "amount").opts(
        invert_axes=True, show_total=False, xlabel="", ylabel="", connector_line_color=theme.NEUTRAL,
        connector_line_dash="solid",
    )  # fmt: skip
    plot, sources = charts.drawn(element, 200, "From gross to net by cause; the numbers stand beside the bars",
                                 x_range=x_range, y_range=y_range)  # fmt: skip
    plot.renderers[0].glyph.update(
        y="cause", left="low", right="high", fill_color="color", line_color=None, height=0.66
    )
    plot.renderers[0].update(nonselection_glyph=None, selection_glyph=None, muted_glyph=None)  # they read other columns
    charts.zero_line(plot)
    charts.money_axis(plot.xaxis, currency)
    plot.xaxis.ticker.desired_num_ticks = 4
    plot.ygrid.visible = False
    plot.extra_y_ranges = {"amounts": amounts}
    told = CategoricalAxis(
        y_range_name="amounts",
        axis_line_color=None, major_tick_line_color=None, minor_tick_line_color=None, major_label_text_font=theme.FONT,
        major_label_text_font_size="12px", major_label_text_color=theme.INK,
    )  # fmt: skip
    plot.add_layout(told, "right")
    return plot, sources


class Waterfall(OfMoney):
    """From gross to net."""

    title = "From gross to net"
    guide = "Blue adds, orange takes away, grey is what is there up to here. Of what is picked."

    def draw(self, columns):
        """One plot, and words that tell its sums."""
        x_range, y_range, amounts = Range1d(0, 1), FactorRange(factors=[]), FactorRange(factors=[])
        plot, (bars, joins) = waterfall_plot(columns.currency, x_range, y_range, amounts)
        for source, names in (
            (bars, ("cause", "amount", "low", "high", "color")),
            (joins, ("x0", "x1", "y0", "y1")),
        ):
            source.data = {name: [] for name in names}
        text = charts.words()
        models = {"steps": bars, "joins": joins, "steps_x": x_range, "steps_y": y_range, "steps_amounts": amounts,
                  "steps_plot": plot, "steps_text": text}  # fmt: skip
        return charts.column(plot, text), models

    def patch(self, picked):
        """Bars, axes and words of a slice."""
        money = Money.now(picked.columns)
        if not isinstance(money, Money):
            words = WAIT if money is None else f'<p class="note">{esc(money.why)}</p>'
            return {"steps_plot": {"visible": False}, "steps_text": {"text": words}}
        causes = money.causes
        amounts = money.left(picked).matrix("cause")
        amounts = [float(amounts[money.told.parts.causes.index(name)]) for name in causes]
        if not any(amounts):
            return {"steps_plot": {"visible": False}, "steps_text": {"text": NOTHING}}
        way = steps(causes, amounts)
        bars, joins = bars_of(way)
        low, high = charts.span(np.concatenate([bars["low"], bars["high"]]), 0.0)
        count, currency = len(way), picked.columns.currency
        told = [charts.money(row[1], currency) + ALIKE * k for k, row in enumerate(way)]
        return {
            "steps_y": {"factors": [row[0] for row in reversed(way)]},
            "steps_amounts": {"factors": told[::-1]},
            "steps_x": {"start": low, "end": high},
            "steps_plot": {"height": BAR * count + 44, "visible": True},
            "steps": {"data": bars},
            "joins": {"data": joins},
            "steps_text": {"text": self._told(way, picked, money)},
        }

    def _told(self, way, picked, money):
        """The sum in words, and what the price is made of."""
        gross = next(amount for name, amount, _ in way if name == "gross")
        cost = sum(amount for name, amount, _ in way if name in {worded(cause) for cause in COSTS})
        share = f", {charts.percent(-cost / gross)} of the gross above" if gross > 0.0 and cost < 0.0 else ""
        currency = picked.columns.currency
        words = f"Costs took {charts.money(0.0 - cost, currency)}{share}. " if cost else "No costs. "
        lacking = f" {money.lacking}" if money.lacking else ""
        return check(way[-1][1], picked, "Causes sum to") + f'<p class="note">{esc(words + lacking)}</p>'


# ------------------------------------------------------------------------------------------------------------ table


def heat(heads, values, kept, caption):
    """A table of amounts with totals, as HTML.

    Parameters
    ----------
    heads : (list of str, list of str)
        Of rows and columns, as HTML.
    values : array (row, column)
    kept : (array (row,) of bool, array (column,) of bool)
        What is picked and counts in totals; the rest is pale.
    caption : str
        As HTML.

    The colour of a cell is as deep as the root of its size: the largest of those picked has all of it.
    """
    top = float(np.abs(values[np.ix_(*kept)]).max(initial=0.0)) or 1.0
    tones = [["" if one else "pale" for one in picked] for picked in kept]
    head = "".join(f'<th scope="col" class="{tone}">{name}</th>' for name, tone in zip(heads[1], tones[1], strict=True))
    body = "".join(
        f'<tr><th scope="row" class="text {tone}">{name}</th>'
        + "".join(cell(value, top, picked and kept[1][j]) for j, value in enumerate(row))
        + f"{whole(row[kept[1]].sum(), tone)}</tr>"
        for name, row, picked, tone in zip(heads[0], values, kept[0], tones[0], strict=True)
    )
    sums = values[kept[0]].sum(axis=0)
    foot = "".join(whole(value, tone) for value, tone in zip(sums, tones[1], strict=True))
    return (
        f'<div class="scroll"><table class="heat"><caption>{caption}</caption><thead><tr><th class="text"></th>{head}'
        f'<th scope="col">total</th></tr></thead><tbody>{body}</tbody><tfoot><tr>'
        f'<th scope="row" class="text">total</th>{foot}{whole(sums[kept[1]].sum())}</tr></tfoot></table></div>'
    )


def cell(value, top, picked):
    """One amount over its colour; without one the cell is empty."""
    if value == 0.0:
        return "<td></td>"
    share = 100.0 * min(np.sqrt(abs(value) / top), 1.0)
    tone = f"{'gain' if value > 0.0 else 'loss'}-ground" + ("" if picked else " pale")
    return (
        f'<td class="{tone}" style="--deep:{share:.0f}%" title="{charts.number(value, 2)}">{charts.number(value)}</td>'
    )


def whole(value, tone=""):
    """A total."""
    return f'<td class="whole {tone}" title="{charts.number(value, 2)}">{charts.number(value)}</td>'


class Pivot(OfMoney):
    """The money by two dimensions."""

    title = "Money by any two dimensions"
    guide = "Blue earned, orange lost; the deeper, the more. The name of a row or column picks it; pale: not picked."
    saves = ("csv",)
    of_rows, of_columns, told = Way("rows", usual="market"), Way("columns", usual="cause"), Way("shown", usual="net")

    def draw(self, columns):
        """Three choices over a table."""
        sheets = [charts.parts()]
        asked = {"Rows": self.of_rows, "Columns": self.of_columns, "Shown": self.told}
        self.choices = [
            Select(title=title, value=value, options=[(value, worded(value))], stylesheets=sheets, width=170)
            for title, value in asked.items()
        ]
        table = charts.words()
        row = Row(*self.choices, sizing_mode="stretch_width", styles={"flex-wrap": "wrap", "gap": "0 4px"})
        models = {name: choice for name, choice in zip(("rows", "columns", "shown"), self.choices, strict=True)}
        return charts.column(row, table), models | {"pivot": table}

    def wire(self):
        """Another choice draws another table; a name of a row or column picks it."""
        for choice in self.choices:
            choice.on_change("value", lambda _attr, _old, _new: self._chosen())
        self.board.verbs["pivot"] = self._picked

    def kind(self, picked):
        """Regimes are worked out when they are asked for."""
        asked = "regime" in (self.choices[0].value, self.choices[1].value)
        return picked.chosen["regime"] if asked else None

    def _chosen(self):
        with self.board.guard("That table could not be made."):
            self.of_rows, self.of_columns, self.told = (choice.value for choice in self.choices)
            self.apply(self.board.slice)
            self.settle(self.board.slice)

    def patch(self, picked):
        """The table of a slice, or why there is none."""
        money = Money.now(picked.columns)
        if not isinstance(money, Money):
            words = WAIT if money is None else f'<p class="note">{esc(money.why)}</p>'
            return {"pivot": {"text": words}, **{name: {"disabled": True} for name in ("rows", "columns", "shown")}}
        options = self._options(money)
        for choice, way in zip(self.choices, (Pivot.of_rows, Pivot.of_columns, Pivot.told), strict=True):
            there = dict(options[way.name]["options"])  # a link may ask for what this run does not have
            options[way.name]["value"] = choice.value if choice.value in there else way.usual
        row, column, shown = (options[name]["value"] for name in ("rows", "columns", "shown"))
        return {**options, "pivot": {"text": self._table(money, picked, row, column, shown)}}

    def _options(self, money):
        """What can be chosen."""
        names = [*money.dimensions(), *(["regime"] if self.board.columns.market else [])]
        dimensions = [(name, worded(name)) for name in names]
        causes = [(name, worded(name)) for name in money.causes]
        told = {"rows": dimensions, "columns": dimensions, "shown": [*WHOLE.items(), *causes]}
        return {name: {"options": options, "disabled": False} for name, options in told.items()}

    def _table(self, money, picked, row, column, shown):
        if row == column:
            return '<p class="note">Rows and columns are the same: choose another dimension for one of them.</p>'
        kind, regimes = self.kind(picked), ""
        if kind is not None:
            found = picked.columns.regimes_now(kind)
            if not found.names:
                return WAIT if found.missing == NOT_NOW else f'<p class="note">{esc(found.missing)}</p>'
            regimes = f'<p class="note">Regime: {esc(kind)} of all markets together, known the evening before.</p>'
        causes = {"net": None, "gross": GROSS, "costs": COSTS}.get(shown, [shown])
        values, names = shown_of(money.left(picked, kind, (row, column), causes), row, column)
        if not values.size:
            return NOTHING
        asked = [picked.chosen[FILTERS[by][0]] if by in FILTERS else () for by in (row, column)]
        kept = [np.array([not one or name in one for name in labels]) for one, labels in zip(asked, names, strict=True)]
        heads = [
            [self._head(picked, by, name) for name in labels] for by, labels in zip((row, column), names, strict=True)
        ]
        what, currency = WHOLE.get(shown, worded(shown)).capitalize(), picked.columns.currency
        caption = f"{what} by {worded(row)} and {worded(column)} [{currency}]"
        total = float(values[np.ix_(*kept)].sum())
        if causes is None:
            words = check(total, picked, "The table sums to")
        else:
            words = f'<p class="sum">{esc(what)}: <b class="num">{esc(charts.money(total, currency, 2))}</b>.</p>'
            words += check(money.left(picked).total, picked, "All causes sum to")
        return words + heat(heads, values, kept, esc(caption)) + regimes

    def _head(self, picked, by, name):
        """The name of a row or column, as a button where it can be picked."""
        if not self._can(by, name):
            return esc(worded(name) if by == "cause" else name)
        pressed = name in picked.chosen[FILTERS[by][0]] if by in FILTERS else picked.chosen[SPANS[by]] == span(by, name)
        return (
            f'<button type="button" class="pick" data-do="pivot" data-by="{esc(by)}" data-name="{esc(name)}" '
            f'aria-pressed="{str(bool(pressed)).lower()}" title="Pick {esc(name)}">{esc(name)}</button>'
        )

    def _can(self, by, name):
        """Whether a name of a dimension can be picked."""
        if by == "regime":
            return name in self.board.columns.regimes_now(self.board.selection.regime).names
        if by in FILTERS:
            return name in self.board.columns.names(KINDS.get(by, by))[:-1]
        return name.isdecimal() if by == "year" else by == "holding" and name in BOUNDS

    def _picked(self, asked):
        """A name of a row or column was clicked; a second click takes it out again."""
        by, name, selection = str(asked["by"]), str(asked["name"]), self.board.selection
        if not self._can(by, name):
            raise ValueError(f"{name!r} of {by!r} cannot be picked")
        if by in FILTERS:
            selection.toggle(FILTERS[by][0], name)
        else:
            ends = span(by, name)
            selection.pick(**{SPANS[by]: None if getattr(selection, SPANS[by]) == ends else ends})


SPANS = {"year": "days", "holding": "holding"}  # dimensions whose names are ranges of a field


def span(by, name):
    """Ends of the range that a year, or a name of HELD, stands for."""
    return (date(int(name), 1, 1), date(int(name), 12, 31)) if by == "year" else BOUNDS[name]


def shown_of(left, row, column):
    """(amounts (row, column), (names of the rows, names of the columns)) without rows and columns of nothing."""
    values, names = left.matrix(row, column), (left.labels(row), left.labels(column))
    there = [np.flatnonzero(np.abs(values).sum(axis=axis)) for axis in (1, 0)]
    return values[np.ix_(*there)], [[labels[k] for k in rows] for labels, rows in zip(names, there, strict=True)]
