"""What the page of data quality shows: findings, refused rows, decisions, and the rows around a finding.

A decision is one commit of `store.decisions`, whole or not at all; after it everything is read again. Deciding needs a
reason, and can be taken back, which needs one too.
"""

from datetime import datetime

import numpy as np
import polars as pl

from app.chainbook import stored
from app.ways import Way
from store import decisions, quality
from store.durable import StoreError
from store.system import user

NEAR = 5  # rows shown before and after a finding
KINDS = {"open": "undecided", "all": "all findings", "refused": "rows refused"}
TABLES = {  # table -> columns of its neighbourhood, its contract's column
    "contract_bars": (("day", "open", "high", "low", "close", "settle", "volume", "open_interest"), "contract"),
    "vendor_chains": (("day", "price", "forward", "carry"), "price_contract"),
}
ALL = "all rules"
UNDONE = "undone on the page at once"


class Findings:
    """The findings of a board's store, which of them are looked at, and what was decided; its views share it."""

    kind, rule, picked = Way("findings", KINDS, "open"), Way("check", usual=ALL), Way("finding")

    def __init__(self, board):
        self.board, self.views = board, []
        self.cell = None  # (market, month as a date)
        self.markets, self.days = [], None  # those of the selection; none: all
        self.said, self.fault, self.last, self.busy, self.ready, self.begun = "", "", [], False, False, False

    @property
    def archive(self):
        """The store; None in a notebook that has the run alone."""
        return self.board.archive

    def want(self, view):
        """Read it, unless that was begun."""
        if self.archive is not None and not self.begun:
            self.begun = True
            view.later(self.read, lambda told: self.take(told))

    def read(self):
        """Everything that is shown, of one snapshot."""
        head = self.archive.head()
        roots = stored(self.archive)
        found = decisions.settled(self.archive.read("findings", head), self.archive, head).sort("root", "day", "rule")
        decided = found["done"].str.contains("^(released|accepted) ").fill_null(False)
        standing = decisions.in_force(self.archive, head)
        return {
            "roots": roots, "found": found.with_columns(decided=decided),
            "refused": decisions.quarantined(self.archive, head), "log": decisions.log(self.archive, head),
            "standing": set(standing.filter(pl.col("action") != "fill")["id"]),
            "released": decisions.released(self.archive, head),
            "scores": quality.score(self.archive, roots, head),
        }  # fmt: skip

    def take(self, told):
        """Show what was read."""
        for name, value in told.items():
            setattr(self, name, value)
        self.ready = True
        self.show()

    def narrow(self, picked):
        """Look at the markets and days of a selection alone, as far as the store has the markets."""
        self.markets = [root for root in picked.chosen["markets"] if root in self.roots]
        self.days = picked.chosen["days"]

    def show(self):
        """Put it into the views in sight; the others get it when they are."""
        for view in self.views:
            if view.shown:
                view.apply(self.board.slice)
            else:
                view.stale = True

    # ---------------------------------------------------------------------------------------------------- questions

    def counted(self):
        """Findings that have a day, by market and month: root, month, count, undecided, refuse, rules."""
        rows = self._of_rule().filter(pl.col("day").is_not_null())
        return rows.group_by("root", month=pl.col("day").dt.truncate("1mo")).agg(
            count=pl.len(), undecided=(~pl.col("decided")).sum(),
            refuse=(~pl.col("decided") & (pl.col("severity") == "refuse")).any(),
            rules=pl.col("rule").unique().sort().str.join(", "),
        ).sort("root", "month")  # fmt: skip

    def _of_rule(self):
        rows = self.found if self.kind == "all" else self.found.filter(~pl.col("decided"))
        if self.markets:
            rows = rows.filter(pl.col("root").is_in(self.markets))
        if self.days:
            rows = rows.filter(pl.col("day").is_between(*self.days))
        return rows if self.rule == ALL else rows.filter(pl.col("rule") == self.rule)

    def listed(self):
        """The findings of the cell that is picked, or all, worst first."""
        rows = self._of_rule()
        if self.cell is not None:
            root, month = self.cell
            rows = rows.filter((pl.col("root") == root) & (pl.col("day").dt.truncate("1mo") == month))
        worst = pl.col("severity").replace_strict({"refuse": 0, "quarantine": 1, "warn": 2}, default=3)
        return rows.sort("decided", worst, "day", maintain_order=True, nulls_last=True)

    def finding(self):
        """The finding that is picked, as a dict; None."""
        rows = self.found.filter(pl.col("id") == self.picked) if self.ready and self.picked else None
        return rows.row(0, named=True) if rows is not None and len(rows) else None

    def refusal(self):
        """The refused row that is picked, as a dict; None."""
        rows = self.refused.filter(pl.col("id") == self.picked) if self.ready and self.picked else None
        return rows.row(0, named=True) if rows is not None and len(rows) else None

    # ---------------------------------------------------------------------------------------------------- decisions

    def decide(self, view, action, reason, one=None):
        """Release or accept what is picked, or take decisions back, beside the page; what happened is said."""
        if self.busy:
            return
        if not " ".join(str(reason or "").split()):
            self.said, self.fault = "", "A decision needs its reason: write it first. Nothing was changed."
            return self.show()
        finding, refusal = self.finding(), self.refusal()
        if action == "revoke":
            work, what = lambda: decisions.revoke(self.archive, list(one), reason), f"{len(one)} taken back"
        elif action == "release" and (finding or refusal):
            picked, then = (
                self.picked,
                "the finding stands" if finding else "it comes in with the next import of its file",
            )
            what = f"released {picked}: {then}"
            work = lambda: decisions.release(self.archive, [picked], reason)  # noqa: E731
        elif action == "accept" and finding:
            rule, root = finding["rule"], finding["root"]
            what = f"accepted the rule {rule} in {root}, for findings to come too"
            work = lambda: decisions.accept(self.archive, rule, [root], reason)  # noqa: E731
        else:
            self.said, self.fault = "", "Pick a finding first. Nothing was changed."
            return self.show()
        self.busy, self.said, self.fault = True, "Writing the decision …", ""
        self.show()
        return view.later(lambda: self._written(work), lambda done: self._told(action, what, *done))

    def _written(self, work):
        try:
            made = work()
        except (StoreError, OSError) as error:
            return None, str(error), None
        return made, "", self.read()

    def _told(self, action, what, made, fault, told):
        self.busy = False
        if made is None:
            self.said, self.fault = "", f"Nothing was changed: {fault}"
            return self.show()
        who = made["author"][0] if len(made) else user()
        self.said, self.fault = f"{datetime.now():%H:%M}, {who}: {what}.", ""
        self.last = [] if action == "revoke" else made["id"].to_list()
        return self.take(told)

    # ------------------------------------------------------------------------------------------------ neighbourhood

    def around(self, finding):
        """(columns, rows) of the stored rows around a finding: rows are dicts, with `bad`, whether it is that row.

        A row of a day that is not stored has that day alone. None where the finding names no day.
        """
        if finding["day"] is None:
            return None
        for table, (columns, owner) in TABLES.items():
            labels = {"root": finding["root"], "source": finding["source"]}
            if not self.archive.files(table, **labels):
                continue
            rows = self.archive.read(table, columns=[*columns, owner, "time"], **labels)
            if finding["contract"] is not None:
                rows = rows.filter(pl.col(owner) == finding["contract"])
            return (owner, *columns), near(rows.sort(owner, "time"), finding["day"], (owner, *columns))
        return None


def near(rows, day, columns):
    """Rows from `NEAR` before a day to as many after it; the day itself is made where there is none.

    >>> from datetime import date
    >>> rows = pl.DataFrame({"day": [date(2024, 1, d) for d in (2, 3, 5)], "settle": [1.0, 2.0, 3.0]})
    >>> [(row["day"].day, row["settle"], row["bad"]) for row in near(rows, date(2024, 1, 4), ("day", "settle"))]
    [(2, 1.0, False), (3, 2.0, False), (4, None, True), (5, 3.0, False)]
    """
    rows = rows.select(columns).sort("day", maintain_order=True)
    if rows.filter(pl.col("day") == day).is_empty():
        rows = pl.concat([rows, pl.DataFrame({"day": [day]}, {"day": rows.schema["day"]})], how="diagonal").sort(
            "day", maintain_order=True
        )
    at = np.flatnonzero((rows["day"] == day).to_numpy())
    part = rows.slice(max(int(at[0]) - NEAR, 0), int(at[-1] - at[0]) + NEAR + 1 + min(int(at[0]), NEAR))
    return [row | {"bad": row["day"] == day} for row in part.to_dicts()]


def findings_of(board):
    """The `Findings` of a board."""
    if not hasattr(board, "findings"):
        board.findings = Findings(board)
    return board.findings
