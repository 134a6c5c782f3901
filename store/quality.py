"""Quality of a stored market, 0 to 1, so that a result can say what it was computed from.

Coverage is the share of the market's sessions between its first and last stored day on which something has a price,
findings the share of its stored days without a finding that nobody decided about, and freshness halves with every 250
sessions that the last stored day lies before `asof`. The score is their product, and 0 while a finding of severity
`refuse` is undecided; it is unknown (None) until the market was checked.

Judged is the source that a run reads first (`held.sources`). A finding without a day counts as one day.
"""

from dataclasses import asdict, dataclass
from datetime import date

import numpy as np
import polars as pl

from store import decisions
from store.coverage import busdays, days_held, sessions
from store.days import DAY
from store.held import desk
from store.series_rules import CHECKS, RESTATED

IMPORT = [*(check.name for check in CHECKS if check.severity == "refuse"), RESTATED.name]
HALF = 250.0  # sessions in which freshness halves: about a year


@dataclass(frozen=True)
class Quality:
    """What a market's data are worth; None is unknown."""

    score: float | None = None
    coverage: float | None = None
    freshness: float | None = None
    findings: float | None = None
    source: str = ""
    undecided: int = 0  # findings about which nobody decided
    refused: int = 0  # those of them for which the market is not run

    def document(self):
        """The same as a dict for JSON."""
        return asdict(self)


def score(archive, roots, snapshot=None, asof=None):
    """Quality of each market.

    Parameters
    ----------
    archive : Archive
    roots : list of str
    snapshot : Snapshot, optional
    asof : date, optional
        The day on which it is judged, such as the last of a run: later rows and findings do not count. Without it, the
        newest day that is stored of any market.

    Returns
    -------
    dict
        {root: Quality}; one of which nothing is stored is all None.
    """
    snapshot = snapshot or archive.head()
    asof = date.fromisoformat(asof) if isinstance(asof, str) else asof or _newest(archive, snapshot)
    undecided, checked = decisions.undecided(archive, snapshot), _checked(archive, snapshot)
    found, none = undecided.partition_by("root", "source", as_dict=True), undecided.clear()
    known, out = desk(archive, snapshot), {}
    for root in roots:
        table, source, stored = _place(known, root)
        if table is None:
            out[root] = Quality()
            continue
        spec = known.spec(stored)
        days = known.days_read(stored, source) if table == "contract_bars" else None
        days = days_held(archive, table, stored, source, snapshot) if days is None else days
        here, days = found.get((stored, source), none), days[days <= np.datetime64(asof, "D")]
        out[root] = _judged(days, spec, here, stored in checked, asof, source)
    return out


def _judged(days, spec, undecided, checked, asof, source):
    """Quality of a market with these days and undecided findings."""
    told = {"source": source, "undecided": undecided.height}
    told["refused"] = undecided["severity"].to_list().count("refuse")
    if not len(days):
        return Quality(score=0.0 if told["refused"] else None, **told)
    expected, held = sessions(spec, days)
    late = np.busday_count(days[-1] + DAY, np.datetime64(asof, "D") + DAY, busdaycal=busdays(spec))
    coverage, freshness = len(held) / max(len(expected), 1), float(0.5 ** (late / HALF))
    clean = _clean(days, undecided, asof) if checked else None
    total = None if clean is None else coverage * freshness * clean
    return Quality(0.0 if told["refused"] else total, coverage, freshness, clean, **told)


def _clean(days, undecided, asof):
    """Share of the days without a finding up to `asof`; a day that is not stored lacks in the coverage and is not
    counted again."""
    if undecided.is_empty():
        return 1.0
    undecided = undecided.filter(pl.col("day").fill_null(asof) <= asof)
    told = undecided["day"].drop_nulls().unique().to_numpy()
    flagged = int(np.isin(told, days).sum()) + undecided["day"].null_count()
    return 1.0 - min(flagged, len(days)) / len(days)


def _checked(archive, snapshot):
    """Markets that were checked: an import alone stores findings of the rules in `IMPORT` only, and no empty file."""
    files = archive.files("findings", snapshot)
    found = {segment.labels["root"] for segment in files if "checked" in segment.labels or not segment.rows}
    rules = archive.read("findings", snapshot, ["root", "rule"]).filter(~pl.col("rule").is_in(IMPORT))
    return found | set(rules["root"])


def _place(known, root):
    """(table, source, root) of the rows that a run reads first: the market's own, or those that stand in for it."""
    found = known.sources(root)
    if found:
        return *found[0], root
    stand_in = known.bars(root)
    return ("contract_bars", stand_in.source, stand_in.proxy) if stand_in else (None, "", root)


def _newest(archive, snapshot):
    """The newest stored day of any market; today in a store without any."""
    files = [segment for table in decisions.MARKETS for segment in archive.files(table, snapshot)]
    return max((segment.last_day for segment in files if segment.last_day), default=date.today())
