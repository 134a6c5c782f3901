"""The roll laboratory: two roll rules on one market side by side, and what the strategy would have earned by each."""

import numpy as np
import panel as pn
from bokeh.models import AutocompleteInput, Button, ColumnDataSource, NumeralTickFormatter, Range1d

from app import charts, theme
from app.chainbook import COMMON, chosen
from app.charts import esc
from app.view import View, failure
from app.views.contracts import WAIT, OfChain
from app.views.pieces import controls, note, points, style, texts
from app.ways import Way
from engine.settings import ConfigError
from store import history, laboratory
from store.durable import StoreError
from store.roll_names import is_rule

FIRST, SECOND = theme.RUNS[0], theme.RUNS[1]
MEASURES = {  # words -> function of (row, currency) of laboratory.SUMMARY
    "Rolls": lambda r, c: charts.number(r["rolls"]),
    "Rolls a year": lambda r, c: charts.number(r["rolls_per_year"], 2),
    "Sessions before the last allowed day, median": lambda r, c: charts.number(r["sessions_left_median"]),
    "Volume left in the old contract, mean": lambda r, c: charts.percent(r["from_share_mean"], 0),
    "Spread, its size, mean [points]": lambda r, c: points(r["spread_size_mean"], digits=4),
    "Days in illiquid months": lambda r, c: charts.percent(r["illiquid_share"]),
    "Rolls forced": lambda r, c: charts.percent(r["forced_share"], 0),
    "Cost of rolling one contract a year": lambda r, c: charts.money(r["cost_per_year"], c, 2),
    "Profit of a long holder [points]": lambda r, c: points(r["total_points"], plus=True),
    "By price [points]": lambda r, c: points(r["price_points"], plus=True),
    "By rolling [points]": lambda r, c: points(r["roll_points"], plus=True),
    "Profit of a long holder": lambda r, c: charts.money(r["total_money"], c),
}
EARNED = {  # words -> (column of engine.analysis.rolled.RULED, how it is written)
    "Final equity": ("final_equity", charts.money), "Against the run as it is": ("difference", charts.money),
    "Return a year": ("annual_return", lambda x, _: charts.percent(x, 2)),
    "Sharpe ratio": ("sharpe", lambda x, _: charts.number(x, 3)),
    "Max drawdown": ("max_drawdown", lambda x, _: charts.percent(x)),
    "Profit of the market": ("market_profit", charts.money), "Paid for rolling": ("roll_costs", charts.money),
    "Rolls of positions": ("rolls", lambda x, _: charts.number(x)),
}  # fmt: skip
SCOPES = {"one": "This market alone", "all": "All markets"}


class Laboratory:
    """The two rules that are compared, and what was found; the views of a board share it."""

    first, second = Way("first", usual=history.DEFAULT), Way("second", usual="last-trade-5")

    def __init__(self, board):
        self.board, self.views = board, []
        self.found, self.fault, self.asked = None, "", None
        self.money = None  # side cost and currency

    @property
    def rules(self):
        """Both rules."""
        return [self.first, self.second]

    def want(self, view):
        """Compare the rules on the market that is chosen, unless that was begun."""
        now = chosen(self.board)
        asked = (now.root, *self.rules)
        if now.book is None:
            self.found, self.asked = None, None
            return
        if asked == self.asked:
            return
        self.asked, self.found, self.fault = asked, None, ""
        self.show()
        view.later(lambda: self._compared(*asked), lambda found: self._take(asked, found))

    def _compared(self, root, *rules):
        archive = self.board.archive
        try:
            bars, spec = history.bars(archive, root).read(), history.spec(archive, root)
            cost, currency = roll_cost_of(archive, root, self.board.columns.run) if spec else (None, "")
            given = {rule: history.calendar(archive, root, rule)[0] for rule in rules if not is_rule(rule)}
            side = None if cost is None else cost / 2.0
            return laboratory.compare(bars, spec, rules, given, side_cost=side), currency
        except (LookupError, ValueError, StoreError) as error:
            return str(error)

    def _take(self, asked, found):
        if asked == self.asked:
            self.found, self.fault = (None, found) if isinstance(found, str) else (found, "")
            self.show()

    def show(self):
        """Put it into the views in sight."""
        for view in self.views:
            if view.shown:
                view.apply(self.board.slice)
            else:
                view.stale = True


def roll_cost_of(archive, root, run):
    """(cost of rolling one contract, its currency): by the costs of the run, or the house's."""
    from engine.costs import Costs
    from engine.trials import roll_cost

    costs = getattr(run.portfolio, "costs", None)
    return roll_cost(archive, root, costs if isinstance(costs, Costs) else Costs())


def laboratory_of(board):
    """The `Laboratory` of a board."""
    if not hasattr(board, "laboratory"):
        board.laboratory = Laboratory(board)
    return board.laboratory


class OfLaboratory(OfChain):
    """A view of the comparison of two rules on the market that is chosen."""

    def wire(self):
        """Follow the market and the comparison."""
        super().wire()
        laboratory_of(self.board).views.append(self)

    def settle(self, picked):
        """Begin to read the market, then to compare."""
        super().settle(picked)
        laboratory_of(self.board).want(self)

    def filled(self, book, picked):
        """What the comparison puts into the models; it is begun with a book that came later."""
        lab = laboratory_of(self.board)
        if self.shown and lab.asked != (book.root, *lab.rules):
            lab.want(self)
        if lab.found is None:
            return self.blank(note(esc(lab.fault or "Comparing the rules …")))
        found, currency = lab.found
        errors = [f"{row['rule']}: {row['error']}" for row in found.summary.to_dicts() if row["error"]]
        if errors:
            return self.blank(note(esc("; ".join(errors))))
        return self.compared(found, currency)

    def compared(self, found, currency):
        """What a comparison puts into the models."""
        raise NotImplementedError


class RollLab(OfLaboratory):
    """Two rules: what each costs and earns its holder."""

    title = "Roll laboratory"
    guide = "Two rules on this market over one period, of a holder long one contract; the split is an attribution."
    saves = ("csv",)

    def draw(self, columns):
        """Two fields and a table."""
        rules = laboratory_of(self.board).rules
        self.fields = [
            AutocompleteInput(
                title=f"{name} rule", value=rule, completions=list(COMMON), restrict=False, min_characters=0,
                case_sensitive=False, width=170, **style(),
            ) for name, rule in zip(("First", "Second"), rules, strict=True)
        ]  # fmt: skip
        text = charts.words()
        return charts.column(controls(*self.fields), text), {"lab_text": text}

    def wire(self):
        """Another rule is compared at once."""
        super().wire()
        for k, field in enumerate(self.fields):
            field.on_change("value", lambda _attr, _old, new, k=k: self._picked(k, new.strip()))

    def _picked(self, k, rule):
        lab = laboratory_of(self.board)
        if rule and lab.rules[k] != rule:
            with self.board.guard("The rules could not be compared."):
                setattr(lab, ("first", "second")[k], rule)
                lab.want(self)

    def blank(self, words):
        """Words alone."""
        return {"lab_text": {"text": words}}

    def compared(self, found, currency):
        """The measures of both rules, and of the first against the second."""
        rows = {row["rule"]: row for row in found.summary.to_dicts()}
        one, two = (rows[rule] for rule in (found.rules[0], found.rules[-1]))
        shown = [(words, told(one, currency), told(two, currency)) for words, told in MEASURES.items()]
        shown = [row for row in shown if {row[1], row[2]} != {charts.UNKNOWN}]
        apart = found.rolls.select(found.rolls.columns[2:4]).drop_nulls() if len(rows) > 1 else None
        told = f"{found.first} to {found.last}, the days on which both rules hold a contract."
        if apart is not None and len(apart):
            days = (apart.to_series(1) - apart.to_series(0)).dt.total_days()
            told += f" {esc(found.rules[-1])} rolls {charts.number(abs(days.mean()), 1)} calendar days "
            told += f"{'later' if days.mean() > 0 else 'earlier'} in the mean than {esc(found.rules[0])}."
        return {"lab_text": {"text": texts(("", *found.rules[:1], found.rules[-1]), shown) + note(told)}}


class RollDates(OfLaboratory):
    """The days and spreads of every roll under both rules."""

    title = "Dates and spreads"
    guide = "Spread paid at each roll under both rules, and how many days lie between them; the newest roll first."

    def draw(self, columns):
        """A figure and a table."""
        plot = charts.dated(
            190, Range1d(0, 1), Range1d(-1, 1), "Spread at each roll under both rules; as a table below"
        )
        plot.update(min_border_left=68)
        plot.yaxis.formatter = NumeralTickFormatter(format="+0,0.[000000]")
        plot.yaxis.axis_label = "spread [points]"
        plot.xaxis.ticker.desired_num_ticks = 5
        charts.zero_line(plot)
        models = {"dates_x": plot.x_range, "dates_y": plot.y_range, "dates_plot": plot}
        for key, colour, marker in (("first", FIRST, "circle"), ("second", SECOND, "diamond")):
            source = models[f"dates_{key}"] = ColumnDataSource({"day": [], "spread": [], "roll": []})
            dots = plot.scatter("day", "spread", source=source, size=7, color=colour, marker=marker, fill_alpha=0.8)
            charts.hover(plot, dots, [("@roll", "@spread{+0,0.[000000]}"), ("", "@day{%F}")], mode="mouse")
        head, text = charts.words(), charts.words()
        models |= {"dates_head": head, "dates_text": text}
        return charts.column(head, plot, text), models

    def blank(self, words):
        """No figure."""
        return {"dates_plot": {"visible": False}, "dates_head": {"text": ""}, "dates_text": {"text": words}}

    def compared(self, found, currency):
        """Dots and rows of every pair of contracts that either rule rolls."""
        one, two = found.rules[0], found.rules[-1]
        rows, patch, seen, days = found.rolls.to_dicts(), {}, [np.zeros(1)], []
        for key, rule in (("first", one), ("second", two)):
            mine = [row for row in rows if row[f"day {rule}"] is not None]
            spread = np.array(
                [np.nan if row[f"spread {rule}"] is None else row[f"spread {rule}"] for row in mine], float
            )
            when = charts.milliseconds(np.array([row[f"day {rule}"] for row in mine], "datetime64[D]"))
            names = np.array([f"{row['from_contract']} to {row['to_contract']}" for row in mine], object)
            patch[f"dates_{key}"] = {"data": {"day": when, "spread": spread, "roll": names}}
            seen.append(spread)
            days.append(when)
        low, high = charts.span(np.concatenate(seen))
        days = np.concatenate(days)
        if not len(days):
            return self.blank(note("Neither rule rolls in these days."))
        air = 20 * charts.DAY_MS
        lines = [date_row(row, one, two) for row in reversed(rows)]
        heads = ("Contracts", f"Day by {one}", f"Day by {two}", "Days", f"Spread {one}", f"Spread {two}")
        return patch | {
            "dates_x": {"start": float(days.min()) - air, "end": float(days.max()) + air},
            "dates_y": {"start": low, "end": high},
            "dates_plot": {"visible": True},
            "dates_head": {"text": charts.legend([(one, FIRST), (two, SECOND)])},
            "dates_text": {"text": texts(heads, lines, long=True)},
        }  # fmt: skip


def date_row(row, one, two):
    """A pair of contracts as texts."""
    first, second = row[f"day {one}"], row[f"day {two}"]
    days = f"{(second - first).days:+d}" if first and second else charts.UNKNOWN
    spreads = [points(row[f"spread {rule}"], plus=True) for rule in (one, two)]
    pair = f"{row['from_contract']}\u00a0→\u00a0{row['to_contract'] or 'none'}"
    return pair, first or charts.UNKNOWN, second or charts.UNKNOWN, days, *spreads


class RollStrategy(View):
    """What the strategy would have earned under each rule."""

    title = "The strategy under both rules"
    guide = "The whole run is played again, as it was and by each rule, whatever is picked; nothing is stored."
    saves = ("csv",)
    scope = Way("scope", SCOPES, "one")

    def draw(self, columns):
        """A button and words."""
        self.asked, self.found, self.step = None, None, ""
        self.button = Button(label="Play the run under both rules", css_classes=["main"], **style())
        head, text = charts.words(), charts.words(role="status")
        models = {"ruled_button": self.button, "ruled_head": head, "ruled_text": text}
        return charts.column(head, self.button, text), models

    def wire(self):
        """A button begins it; a switch tells which markets roll by the rules."""
        for state in (chosen(self.board), laboratory_of(self.board)):
            state.views.append(self)
        self.button.on_click(self._begin)
        self.board.verbs["ruled_scope"] = self._scoped

    def _scoped(self, asked):
        if asked["value"] in SCOPES:
            self.scope = asked["value"]
            self.apply(self.board.slice)

    def _key(self):
        return (self.scope, chosen(self.board).root, *laboratory_of(self.board).rules)

    def patch(self, picked):
        """What is asked, how far it is, what was found."""
        now, key = chosen(self.board), self._key()
        busy = self.asked is not None and self.found is None
        missing = "" if self.board.archive is not None else now.fault or WAIT
        traded = now.root in self.board.columns.roots
        if not missing and self.scope == "one" and not traded:
            missing = f"The run does not trade {now.root}: choose all markets, or one that it trades."
        text = note(esc(missing or self.step))
        if not missing and self.found is not None and self.asked == key:
            text = self.told(self.found, picked.columns.currency)
        elif not missing and not busy:
            text = note(f"By {esc(key[2])} and by {esc(key[3])}: press the button to begin.")
        switch = charts.switch("ruled_scope", SCOPES, self.scope, "Which markets roll by the rules")
        return {
            "ruled_head": {"text": f'<div class="row"><span class="note">Roll by the rules:</span>{switch}</div>'},
            "ruled_button": {"disabled": busy or bool(missing)},
            "ruled_text": {"text": text},
        }

    def told(self, found, currency):
        """A table with a column a rule, or why there is none."""
        if isinstance(found, str):
            return failure("It could not be played again.", found)
        rows = found.to_dicts()
        good = [row for row in rows if row["error"] is None]
        lines = [(words, *(show(row[name], currency) for row in good)) for words, (name, show) in EARNED.items()]
        lines = [line for line in lines if set(line[1:]) != {charts.UNKNOWN}]
        faults = "".join(note(f"{esc(row['rule'])}: {esc(row['error'])}") for row in rows if row["error"])
        table = texts(("", *(row["rule"] for row in good)), lines) if good else ""
        return table + faults + (note(difference_words(good, currency)) if len(good) > 1 else "")

    def _begin(self, _=None):
        if self.asked is not None and self.found is None:
            return
        with self.board.guard("The run could not be played again."):
            scope, root, *rules = self.asked = self._key()
            self.found, self.step = None, "Computing: reading the prices …"
            self.apply(self.board.slice)
            document = pn.state.curdoc
            run, archive = self.board.columns.run, self.board.archive

            def progress(done, total, rule):
                words = f"Computing: {rule}, {done + 1} of {total} …" if done < total else "Computing: nearly done …"
                if document is not None and document.session_context is not None:
                    document.add_next_tick_callback(lambda: self._step(words))

            self.later(lambda: played(archive, run, rules, root if scope == "one" else None, progress), self._done)

    def _step(self, words):
        if self.found is None:
            self.step = words
            self.apply(self.board.slice)

    def _done(self, found):
        self.found = found
        self.apply(self.board.slice)


def played(archive, run, rules, root, progress):
    """`engine.analysis.rolled.under_rules`, or why there is none."""
    from engine.analysis.rolled import under_rules
    from engine.analysis.source import SourceChanged
    from engine.result import NotRunHere

    try:
        return under_rules(archive, run, rules, root, progress)
    except (ConfigError, NotRunHere, SourceChanged, LookupError, StoreError) as error:
        return str(error)


def difference_words(rows, currency):
    """Which rule earned most, in a sentence."""
    best = max(rows, key=lambda row: row["final_equity"])
    worst = min(rows, key=lambda row: row["final_equity"])
    apart = best["final_equity"] - worst["final_equity"]
    if apart == 0.0:
        return "All of them end at the same equity."
    return (
        f"Most is left by <b>{esc(best['rule'])}</b>, least by {esc(worst['rule'])}: "
        f"{esc(charts.money(apart, currency))} between them. Small differences of one history are chance."
    )
