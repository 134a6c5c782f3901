"""Sense of what is stored: what a row alone cannot show becomes a finding, by the rules of `series_rules`.

Nothing is changed. A finding's id is the hash of what it is about, so that the same fault keeps it from check to check.
"""

import hashlib

import polars as pl

from store.contracts import Master
from store.series_rules import CHECKS, prepare
from store.tables import TABLES


def run(archive, roots, progress=None):
    """Check the stored bars of `roots`; replaces their stored findings.

    Parameters
    ----------
    archive : Archive
    roots : list of str
    progress : callable(done, total, root), optional

    Returns
    -------
    polars.DataFrame
        All findings on them: columns of the table `findings`, by market, rule, day.
    """
    master, head = Master.load(archive.path), archive.head()
    found = [TABLES["findings"].empty()]
    for done, root in enumerate(roots):
        if progress:
            progress(done, len(roots), root)
        spec = master.spec(root) if root in master.roots else None
        sources = sorted({segment.labels["source"] for segment in archive.files("contract_bars", head, root=root)})
        found += [market(archive.read("contract_bars", head, root=root, source=source), spec) for source in sources]
    findings = pl.concat(found).sort("root", "rule", "day", "contract", "id")
    _store(archive, head, roots, findings)
    return findings


def market(bars, spec):
    """Findings on the bars of one market and source; `spec` is None for a market the master does not know."""
    if bars.is_empty():
        return TABLES["findings"].empty()
    prepared = prepare(bars)
    return pl.concat([_findings(check, check.find(prepared, spec), bars) for check in CHECKS])


def quality(archive, roots):
    """Share of each market's stored bars without a stored finding, 0 to 1; None where it was never checked."""
    head = archive.head()
    checked = {segment.labels["root"] for segment in archive.files("findings", head)}
    rows = {root: sum(s.rows for s in archive.files("contract_bars", head, root=root)) for root in roots}
    places = archive.read("findings", head, ["source", "root", "contract", "day"]).unique()
    flagged = dict(places.group_by("root").len().iter_rows())
    return {r: 1.0 - min(flagged.get(r, 0), rows[r]) / rows[r] if r in checked and rows[r] else None for r in roots}


def _store(archive, head, roots, findings):
    old = [segment for root in roots for segment in archive.files("findings", head, root=root)]
    add = [archive.write("findings", findings.filter(pl.col("root") == root), root=root) for root in roots]
    archive.commit(add, old, f"check {len(roots)} markets: {findings.height} findings", base=head)


def _findings(check, rows, bars):
    source, root = bars["source"][0], bars["root"][0]
    same = {"rule": check.name, "source": source, "root": root}
    ids = [_id(*same.values(), *place) for place in rows.select("contract", "day", "field").iter_rows()]
    told = same | {"severity": check.severity, "done": "kept; decide"}
    rows = rows.with_columns(pl.Series("id", ids, dtype=pl.String), *(pl.lit(v).alias(k) for k, v in told.items()))
    return TABLES["findings"].conform(rows)


def _id(*parts):
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()[:12]
