"""A finding among its neighbouring rows, what to decide about it, what was decided, and what the data are worth."""

from bokeh.models import Button, TextInput

from app import charts
from app.charts import esc
from app.findings import UNDONE, findings_of
from app.view import failure
from app.views.pieces import cells, controls, note, style, table
from app.views.quality import SHOWN, OfFindings

ACTIONS = {"release": "released", "accept": "accepted", "revoke": "taken back", "fill": "filled"}


class BadRow(OfFindings):
    """The row of a finding among its neighbours, and what to do about it."""

    title = "The row in its neighbourhood"
    guide = "Five rows of the contract before and after; the value at fault is marked. No price is ever changed here."
    saves = ("csv",)

    def draw(self, columns):
        """A table, a reason, buttons, and what happened."""
        text, said = charts.words(), charts.words(role="status")
        self.reason = TextInput(title="Reason, kept in the log", placeholder="why it is right as it is", max_length=500,
                                sizing_mode="stretch_width", **style())  # fmt: skip
        self.release = Button(label="Release this finding", css_classes=["main"], disabled=True, **style())
        self.accept = Button(label="Accept the rule", disabled=True, **style())
        models = {
            "row_text": text,
            "row_said": said,
            "row_reason": self.reason,
            "row_release": self.release,
            "row_accept": self.accept,
        }
        return charts.column(text, self.reason, controls(self.release, self.accept), said), models

    def wire(self):
        """Buttons decide; the last decision can be undone."""
        super().wire()
        self.release.on_click(lambda: self._decide("release"))
        self.accept.on_click(lambda: self._decide("accept"))
        self.board.verbs |= {"decision_undo": self._undo, "decision_revoke": self._revoke}

    def _decide(self, action, one=None, reason=None):
        with self.board.guard("The decision could not be made."):
            findings_of(self.board).decide(self, action, reason or self.reason.value, one)

    def _undo(self, _):
        if last := findings_of(self.board).last:
            self._decide("revoke", last, UNDONE)

    def _revoke(self, asked):
        now = findings_of(self.board)
        if now.ready and asked["value"] in now.standing:
            self._decide("revoke", [asked["value"]])

    def blank(self, words):
        """Words alone."""
        return {"row_text": {"text": words}, "row_release": {"disabled": True}, "row_accept": {"disabled": True}}

    def filled(self, now, picked):
        """The rows around what is picked, and what may be decided."""
        finding, refusal = now.finding(), now.refusal()
        text = note("Pick a finding: tap a cell of the calendar, or a row of the list.")
        if finding:
            text = neighbourhood(now, finding)
        elif refusal:
            text = raw_row(refusal)
        may = refusal is None or refusal["rule"] != "unparsed"
        where = f" {finding['rule']} in {finding['root']}" if finding else ""
        return {
            "row_text": {"text": text},
            "row_release": {"disabled": now.busy or not (finding or refusal) or not may,
                            "label": "Release this row" if refusal else "Release this finding"},
            "row_accept": {"disabled": now.busy or not finding, "label": f"Accept the rule{where}"},
            "row_said": {"text": said_of(now)},
        }  # fmt: skip


def said_of(now):
    """What happened to the last decision, and a button that undoes it."""
    if now.fault:
        return failure("No decision was made.", now.fault)
    undo = '<span class="switch"><button type="button" data-do="decision_undo">undo</button></span>' if now.last else ""
    return note(f"{esc(now.said)} {undo}") if now.said else ""


def neighbourhood(now, finding):
    """A finding in words, above its rows."""
    contract = f" {finding['contract']}" if finding["contract"] else ""
    told = (
        f"<b>{esc(finding['root'])}{contract}</b>, {finding['day'] or 'no single day'}: {esc(finding['rule'])} "
        f"({esc(finding['severity'])}), {esc(finding['field'] or '')} {esc(finding['value'] or '')}: "
        f"{esc(finding['reason'])}. {esc(finding['done'])}."
    )
    found = now.around(finding)
    if found is None:
        return note(told)
    columns, rows = found
    fields = {name.strip() for name in (finding["field"] or "").split(",")}
    lines = [f"<tr>{''.join(cell_of(row, name, fields) for name in columns)}</tr>" for row in rows]
    words = [name.replace("_", " ").replace("price contract", "contract") for name in columns]
    return note(told) + table(words, lines, range(2, len(columns)))


def cell_of(row, name, fields):
    """A value among its neighbours; the one at fault is marked, in a colour and in its words for readers of screens."""
    value = row[name]
    text = charts.UNKNOWN if value is None else charts.price(value) if isinstance(value, float) else str(value)
    kind = "text" if name in ("day", "contract", "price_contract") else ""
    if row["bad"]:
        kind += " at-fault" if name in fields or (name == "day" and not fields & row.keys()) else " near-fault"
    mark = ' title="at fault"' if "at-fault" in kind else ""
    return f'<td class="{kind}"{mark}>{esc(text)}</td>'


def raw_row(row):
    """A refused row as it came."""
    why = "It could not be read and cannot be released: mend the file." if row["rule"] == "unparsed" else ""
    return note(
        f"<b>{esc(row['file'])}</b>, line {row['line']}, column {esc(row['column'] or 'unknown')}: {esc(row['rule'])}, "
        f"{esc(row['reason'])}. {why}"
    ) + f"<pre>{esc(row['raw'])}</pre>"  # fmt: skip


class Scores(OfFindings):
    """What each market's data are worth."""

    title = "Quality by market"
    guide = "Coverage × clean days × freshness of the source that a run reads first; 0 while the market is not run."
    saves = ("csv",)

    def draw(self, columns):
        """A table."""
        text = charts.words()
        return text, {"scores": text}

    def blank(self, words):
        """Words alone."""
        return {"scores": {"text": words}}

    def filled(self, now, picked):
        """A row a market, the worst first."""
        rows = sorted(now.scores.items(), key=lambda pair: (2.0 if pair[1].score is None else pair[1].score, pair[0]))
        if not rows:
            return self.blank(note("The store holds no market."))
        lines = []
        for root, one in rows:
            shares = (one.score, one.coverage, one.findings, one.freshness)
            shares = [charts.number(None if share is None else 100.0 * share, 2) for share in shares]
            told = cells((*shares, charts.number(one.undecided), one.source), ("",) * 5 + ("text",))
            lines.append(f'<tr><th scope="row" class="text">{esc(root)}</th>{told}</tr>')
        heads = ("Market", "Quality [%]", "Coverage [%]", "Clean days [%]", "Freshness [%]", "Undecided", "Source")
        unknown = esc(", ".join(root for root, one in rows if one.score is None))
        told = note(f"Not checked yet: {unknown}; <code>frontmonth check</code> makes the checks.") if unknown else ""
        return {"scores": {"text": table(heads, lines, range(1, 6), long=True) + told}}


class Decisions(OfFindings):
    """Who decided what, when and why."""

    title = "Decisions"
    guide = "Newest first; nothing is ever taken out of the log. To take one back, write the reason above first."
    saves = ("csv",)

    def draw(self, columns):
        """A table."""
        text = charts.words()
        return text, {"decisions": text}

    def blank(self, words):
        """Words alone."""
        return {"decisions": {"text": words}}

    def filled(self, now, picked):
        """A row a decision."""
        if now.log.is_empty():
            return self.blank(note("Nothing was decided yet."))
        lines = [
            f"<tr>{self._row(row, row['id'] in now.standing, now.busy)}</tr>"
            for row in now.log.reverse().head(SHOWN).to_dicts()
        ]
        return {"decisions": {"text": table(("", "When", "Who", "What", "Why"), lines, long=True)}}

    def _row(self, row, standing, busy):
        about = " ".join(filter(None, (row["rule"], row["root"]))) or row["finding"] or row["source"] or ""
        what = ACTIONS.get(row["action"], row["action"])
        back = (
            '<td class="text"><span class="switch"><button type="button" data-do="decision_revoke" '
            f'data-value="{esc(row["id"])}" '
            f"{'disabled' if busy else ''}>take back</button></span></td>"
        )
        told = (f"{row['time']:%Y-%m-%d %H:%M}", row["author"], f"{what} {about}", row["reason"])
        return (back if standing else "<td></td>") + cells(told, ("text", "text", "text wrap", "text wrap"))
