"""Regimes: what was earned, held and lost in each, how sure that is, and how they follow each other.

All is of what is picked, but for the regimes themselves: those that are not picked stay in sight beside those that are.
What the account held is told of the whole account on the days picked.
"""

from typing import NamedTuple

import numpy as np
from bokeh.models import FactorRange, Range1d

from app import charts, theme
from app.charts import esc
from app.columns import NOT_NOW
from app.crossfilter import crossfilter
from app.selection import Selection
from app.view import taps
from app.views.equity import colour
from app.views.ribbons import WAIT, WORDS, OfRegimes, note
from app.views.strip import PAUSE, key
from engine.analysis import chances, conditions
from engine.analysis.conditions import NOT_KNOWN, Known

NO_DAY = "No day is picked: widen the dates."
SAID = "How sure"  # the column of words
SURE = 0.05  # p-values above are as by chance


class Earned(NamedTuple):
    """What is picked, as `engine.analysis.conditions` reads a run: days in a row, whatever their regime."""

    returns: np.ndarray  # (time,) [fraction]
    profit: np.ndarray  # (time, 1) [account currency]
    interest: np.ndarray  # (time,) [fraction]
    base: np.ndarray  # (time,) 1: interest is a fraction already
    alone: np.ndarray  # (time + 1,) [account currency]
    compounding: bool


class Facts(NamedTuple):
    """What a slice earned on the days within its dates, and their regimes."""

    known: Known
    earned: Earned
    picked: tuple  # names of the regimes picked; none: all


def facts(picked):
    """The `Facts` of a slice by the kind of regimes that is chosen; a sentence where there are none."""
    kind = picked.chosen["regime"]
    found = picked.columns.regimes_now(kind)
    if not found.names:
        return WAIT if found.missing == NOT_NOW else found.missing
    free = crossfilter(picked.columns, Selection(**(picked.chosen | {"regimes": []})))
    if not free.count:
        return NO_DAY
    account, rows = free.account, free.rows
    code = coded(found)[rows]
    earned = Earned(account.returns, free.profit[rows][:, None], account.interest, np.ones(free.count), account.equity,
                    account.compounding)  # fmt: skip
    return Facts(Known(found.names[:-1], code, code[:, None]), earned, tuple(picked.chosen["regimes"]))


def coded(found):
    """Codes of the days as `engine.analysis.conditions` has them, -1 not known."""
    return np.where(found.code == len(found.names) - 1, -1, found.code).astype(np.int8)


def name_of(regime, names, picked):
    """A regime beside its colour, as a button that picks it."""
    return (
        f'<button type="button" class="pick" data-do="toggle" data-field="regimes" data-value="{esc(regime)}" '
        f'aria-pressed="{str(regime in picked).lower()}" title="Pick the days of {esc(regime)}">'
        f'<i class="dot" style="background:{shade(regime, names)}"></i>{esc(regime)}</button>'
    )


def tabular(head, rows, names, picked):
    """Rows of (regime, texts) as HTML; those that are not picked are pale."""
    heads = "".join(
        f'<th scope="col" class="{"text" if text == SAID else ""}" title="{esc(meaning)}">{esc(text)}</th>'
        for text, meaning in head
    )
    body = "".join(
        f'<tr class="{"pale" if picked and regime not in picked else ""}"><th scope="row" class="text">'
        f"{name_of(regime, names, picked)}</th>{''.join(cells)}</tr>"
        for regime, cells in rows
    )
    return (
        '<div class="scroll"><table class="plain"><thead><tr><th class="text" scope="col">Regime</th>'
        f"{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def number(text, tone=None):
    """A cell; blue of what is positive and orange of what is negative, where a `tone` is given."""
    kind = "" if not tone else "gain" if tone > 0.0 else "loss"
    return f'<td class="{kind}">{esc(text)}</td>'


# ------------------------------------------------------------------------------------------------------------ tables


class OfKind(OfRegimes):
    """A block of words on the regimes of the kind that is chosen."""

    key = ""  # name of its model
    saves = ("csv",)

    def draw(self, columns):
        """One block."""
        block = charts.words()
        return block, {self.key: block}

    def patch(self, picked):
        """The words of a slice, or why there are none."""
        kind = picked.chosen["regime"]
        found = facts(picked)
        text = note(found) if isinstance(found, str) else self.told(found, picked, kind)
        return {self.key: {"text": text}}

    def told(self, found, picked, kind):
        """The words on some `Facts`."""
        raise NotImplementedError


class Earnings(OfKind):
    """What was earned in each regime, and how sure that is."""

    title = "Performance by regime"
    guide = "What the days of each regime earned; p: how often chance alone makes a difference as large."
    key = "earnings"
    heads = (
        ("Days", "Days of the regime"), ("Share", "Of all days within the dates"),
        ("Episodes", f"Stretches {chances.APART} days or more apart, which are independent"),
        ("Profit", "After costs"), ("A year", "Mean return of a day x 252"), ("Volatility", "Of daily returns, a year"),
        ("Sharpe", "In excess of the interest credited"), ("Against others", "A year less that of all other days"),
        ("p", "How often chance makes a difference as large where means are alike: days are drawn with their regimes"),
        ("Moved", "How often one as large comes about when the regimes are moved against the days"),
        (SAID, "What p and episodes say"),
    )  # fmt: skip

    def draw(self, columns):
        """One block."""
        self.drawn = {}  # key of a selection -> its table with what is drawn
        return super().draw(columns)

    def settle(self, picked):
        """Draw the p-values beside the page, once nothing moves any more."""
        super().settle(picked)
        found, asked = facts(picked), _asked(picked)
        if isinstance(found, str) or asked in self.drawn:
            return

        def show(frame):
            self.drawn[asked] = frame
            self.apply(self.board.slice)

        self.later(lambda: conditions.performance(found.known, found.earned), show, PAUSE)

    def told(self, found, picked, kind):
        """The table, and what stands out."""
        frame = self.drawn.get(_asked(picked))
        if frame is None:
            frame = conditions.performance(found.known, found.earned, resamples=0)
        currency = picked.columns.currency
        rows = [(row["regime"], cells_of(row, currency)) for row in frame.to_dicts()]
        table = tabular(self.heads, rows, found.known.names, found.picked)
        return table + f'<p class="note">{esc(best_of(frame, kind))}</p>'


def _asked(picked):
    """What the numbers of a slice are remembered by; picked regimes change none."""
    return key(picked.chosen | {"regimes": []})


def cells_of(row, currency):
    """Texts of a row of `conditions.PERFORMANCE`."""
    drawn, moved = (charts.UNKNOWN if p is None else charts.number(p, 3) for p in (row["p_value"], row["p_moved"]))
    return [
        number(charts.number(row["days"])), number(charts.percent(row["share"], 0)),
        number("" if row["regime"] == NOT_KNOWN else charts.number(row["episodes"])),
        number(charts.money(row["profit"], currency), row["profit"]),
        number(charts.percent(row["annual"]), row["annual"]), number(charts.percent(row["volatility"])),
        number(charts.number(row["sharpe"], 2), row["sharpe"]),
        number(charts.percent(row["difference"]), row["difference"]),
        number(drawn), number(moved),
        f'<td class="text">{esc(sure(row))}</td>',
    ]  # fmt: skip


def sure(row):
    """What p-value and episodes of a row say, in words.

    >>> sure({"regime": "low", "p_value": 0.004, "warning": ""}), sure({"regime": "low", "p_value": 0.3, "warning": ""})
    ('1 in 250 by chance', 'as chance would')
    >>> sure({"regime": "low", "p_value": 0.004, "warning": "3 episodes, fewer than 10"})
    'an anecdote: 3 episodes, fewer than 10'
    """
    if row["p_value"] is None:
        return ""
    if row["warning"]:
        return f"an anecdote: {row['warning']}"
    return f"1 in {charts.number(1.0 / row['p_value'])} by chance" if row["p_value"] <= SURE else "as chance would"


def best_of(frame, kind):
    """Where most a year was earned, in a sentence, and what p-values do not say."""
    known = [row for row in frame.to_dicts() if row["regime"] != NOT_KNOWN and row["annual"] is not None]
    told = ""
    if len(known) > 1:
        best, worst = max(known, key=lambda row: row["annual"]), min(known, key=lambda row: row["annual"])
        told = (f"Most a year in {best['regime']} ({charts.percent(best['annual'])}), least in {worst['regime']} "
                f"({charts.percent(worst['annual'])}). ")  # fmt: skip
    return f"{told}By {WORDS[kind].lower()} of all markets together. Of twenty p-values one is below 0.05 by chance."


class Transitions(OfKind):
    """How regimes follow each other from day to day."""

    title = "From day to day"
    guide = "From the regime of the row to that of the column the day after, and how long one lasts."
    key = "transitions"

    def told(self, found, picked, kind):
        """The matrix of chances."""
        frame = conditions.transitions(found.known.together[:, None], found.known.names)
        names = found.known.names
        rows = []
        for regime, part in frame.group_by("regime", maintain_order=True):
            cells = [chance(value) for value in part["probability"]]
            spell, last = part["spells"][0], part["lasts"][0]
            rows.append((regime[0], [*cells, number(charts.number(spell)), number(charts.number(last, 1))]))
        heads = [(name, f"Chance of {name} the day after") for name in names]
        heads += [
            ("Stretches", "Unbroken ones"),
            ("Days each", "Mean length of a stretch; the last one as long as seen"),
        ]
        table = tabular(heads, rows, names, found.picked)
        return table + note(lasting(frame)) + note("Percent of days that have a day after, within the dates.")


def lasting(frame):
    """Which regime lasts longest, in a sentence."""
    known = frame.select("regime", "lasts").unique(maintain_order=True).drop_nulls()
    if known.is_empty():
        return "No regime was known on the days picked."
    told = [f"{name} {charts.number(days, 0)} {'day' if round(days) == 1 else 'days'}" for name, days in known.rows()]
    return f"A stretch lasts in the mean: {', '.join(told)}."


def chance(value):
    """A probability over its colour."""
    if value is None:
        return f"<td>{charts.UNKNOWN}</td>"
    return f'<td class="gain-ground" style="--deep:{100.0 * np.sqrt(value):.0f}%">{charts.percent(value)}</td>'


class HeldAndLost(OfKind):
    """What the account held in each regime, and how deep what is picked fell."""

    title = "Held and lost in each regime"
    guide = "Holdings are means of the whole account at the close; falls are of what is picked."
    key = "held_and_lost"
    heads = (
        ("Leverage", "Notional held, long and short, over equity"), ("Net", "Long less short, over equity"),
        ("Margin", "Of the account, over equity"), ("Markets", "Mean number with a position"),
        ("In the market", "Share of the days with any position"),
        ("Deepest fall", "Of the days of the regime alone, one after the other"),
        ("In one stretch", "Deepest fall within one unbroken stretch"),
        ("Mean drawdown", "Of what is picked, on its days"),
        ("Of the deepest", "Part of the deepest fall, peak to trough, that was lost on its days"),
    )  # fmt: skip

    def told(self, found, picked, kind):
        """Means and falls, a row a regime."""
        columns = picked.columns
        code = coded(columns.regimes_now(kind))[1:]
        asked = np.zeros(len(code), bool)
        asked[picked.first - 1 : picked.last] = True
        days = Days(columns.days, columns.equity)
        known = Known(found.known.names, code, code[:, None])
        held = {row["regime"]: row for row in conditions.exposure(columns.run, known, days, asked).to_dicts()}
        rows = []
        for row in conditions.drawdowns(found.known, found.earned).to_dicts():
            of = held.get(row["regime"], {})
            cells = [number(charts.number(of.get(name), 2)) for name in ("leverage", "net_leverage")]
            cells += [number(charts.percent(of.get("margin_to_equity"))), number(charts.number(of.get("markets"), 1)),
                      number(charts.percent(of.get("in_market"), 0))]  # fmt: skip
            cells += [
                number(charts.percent(row[name]), row[name]) for name in ("deepest", "deepest_spell", "mean_drawdown")
            ]
            rows.append((row["regime"], [*cells, number(charts.percent(row["fall_share"], 0))]))
        return tabular(self.heads, rows, found.known.names, found.picked)


class Days(NamedTuple):
    """Days and equity of an account, (time + 1,), as `conditions.exposure` reads them."""

    days: np.ndarray
    equity: np.ndarray


# ------------------------------------------------------------------------------------------------------ distribution


def spread_plot(x_range, y_range):
    """Quantiles by HoloViews: a line from 5 to 95 %, a bar from 25 to 75 %, a tick at the median, a dot at the mean."""
    import holoviews as hv
    from holoviews.plotting import bokeh  # noqa: F401  (whose options are set)

    row = [(0.0, "", 0.0, "")]
    line = hv.Segments(row, ["q05", "regime", "q95", "on"]).opts(
        line_color=theme.NEUTRAL, line_width=2, xlabel="", ylabel=""
    )
    bar = hv.Segments(row, ["q25", "regime", "q75", "on"]).opts(line_width=16)
    middle = hv.Points([(0.0, "")], ["median", "regime"]).opts(
        marker="dash", angle=90, size=16, line_width=2, color=theme.INK
    )
    mean = hv.Points([(0.0, "")], ["mean", "regime"]).opts(size=8, color=theme.LOSS, line_color="white")
    plot, sources = charts.drawn(line * bar * middle * mean, 200, "Quantiles of daily returns by regime",
                                 x_range=x_range, y_range=y_range)  # fmt: skip
    source = sources[0]
    for renderer in plot.renderers:
        renderer.data_source = source
    plot.renderers[1].glyph.line_color = "color"
    return plot, source


class Spread(OfRegimes):
    """How daily returns lie in each regime."""

    title = "Daily returns by regime"
    guide = "Line: 90 of 100 days; bar: the middle half; tick: median; dot: mean. All on one scale."
    columns = ("regime", "on", "days", "worst", "q05", "q25", "median", "q75", "q95", "best", "mean", "color")

    def draw(self, columns):
        """One plot and words."""
        x_range, y_range, text = Range1d(-1, 1), FactorRange(factors=[]), charts.words()
        plot, source = spread_plot(x_range, y_range)
        source.data = {name: [] for name in self.columns}
        charts.percent_axis(plot.xaxis)
        charts.zero_line(plot)
        plot.xaxis.ticker.desired_num_ticks = 3
        plot.ygrid.visible = False
        rows = [("", "@regime"), ("days", "@days{0,0}"), ("mean", "@mean{0.00 %}"), ("median", "@median{0.00 %}"),
                ("5 to 95 %", "@q05{0.00 %} to @q95{0.00 %}"), ("worst", "@worst{0.0 %}"),
                ("best", "@best{0.0 %}")]  # fmt: skip
        charts.hover(plot, plot.renderers[1], rows, mode="mouse")
        models = {"spread": source, "spread_x": x_range, "spread_y": y_range, "spread_plot": plot, "spread_text": text}
        self.plot = plot
        return charts.column(plot, text), models

    def wire(self):
        """A tap on a row picks its regime."""
        taps(self.plot, self.board, "regimes")

    def patch(self, picked):
        """Quantiles, axes and words of a slice."""
        found = facts(picked)
        if isinstance(found, str):
            return {"spread_plot": {"visible": False}, "spread_text": {"text": note(found)}}
        frame = conditions.distribution(found.known, found.earned)
        frame = frame.filter(frame["days"] > 0).reverse()
        data = {name: frame[name].to_numpy() for name in conditions.DISTRIBUTION if name != "regime"}
        names = frame["regime"].to_list()
        shades = [shade(name, found.known.names) for name in names]
        data |= {"regime": np.array(names, object), "on": np.array(names, object), "color": np.array(shades, object)}
        ends = charts.span(np.concatenate([data["q05"], data["q95"], data["mean"]]), 0.0)
        return {
            "spread_y": {"factors": names},
            "spread_x": {"start": ends[0], "end": ends[1]},
            "spread": {"data": data},
            "spread_plot": {"height": 36 * max(len(names), 1) + 44, "visible": True},
            "spread_text": {"text": spread_words(frame)},
        }


def spread_words(frame):
    """The widest and the narrowest in a sentence."""
    known = [row for row in frame.to_dicts() if row["regime"] != NOT_KNOWN]
    if not known:
        return note("No regime was known on the days picked.")
    told = [
        f"{row['regime']}: worst {charts.percent(row['worst'])}, median {charts.percent(row['median'], 2)}, best "
        f"{charts.percent(row['best'])}"
        for row in reversed(known)
    ]
    return note("; ".join(told) + ".")


def shade(regime, names):
    """Colour of a regime by its name."""
    return theme.UNKNOWN_REGIME if regime == NOT_KNOWN else colour(names.index(regime), len(names))
