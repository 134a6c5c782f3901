"""Sense of what is stored: what a row alone cannot show becomes a finding, by the rules of `series_rules`.

Nothing is changed. A finding's id is the hash of what it is about, so that the same fault keeps it from check to check,
and what was decided about it (store/decisions.py) stays with it.
"""

import hashlib

import polars as pl

from store.contracts import Master
from store.naming import WITHIN_DAY
from store.series import TOLD, prepare
from store.series_rules import CHECKS, DUPLICATE_MARKET, RESTATED, suspicious
from store.tables import TABLES

DATED = ("tick", "price_limit", "history_from")  # facts of the master that the rules look at day by day
CHANGED = (
    0.005,
    0.05,
)  # share of the stored rows that an import changed: above the first told, above the second refused
FEW = 10  # rows that may change at any rate: the preliminary values of a chain's last day
PROBES = 17, (0, 8)  # markets are compared on the days whose number, divided by the first, leaves one of these
ALIKE = 0.9  # share of the rows that two markets share at least if one is a copy
BARS = ("open", "high", "low", "close", "settle", "volume")


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
    from store import decisions

    master, head = Master.load(archive.path), archive.head()
    found = [TABLES["findings"].empty()]
    for done, root in enumerate(roots):
        if progress:
            progress(done, len(roots), root)
        found += _sources(archive, head, root, master)
    stored = archive.read("findings", head, root=list(roots)) if roots else found[0]
    found += [duplicates(archive, roots, head), stored.filter(pl.col("rule") == RESTATED.name)]
    findings = pl.concat(found).unique("id", keep="first").sort("root", "rule", "day", "contract", "id")
    findings = decisions.settled(findings, archive, head)
    _store(archive, head, roots, findings)
    return findings


def _sources(archive, head, root, master):
    """Findings on each source of a market."""
    known = root in master.roots
    spec, facts = (master.spec(root), dated(master, root)) if known else (None, None)
    sources = sorted({segment.labels["source"] for segment in archive.files("contract_bars", head, root=root)})
    stored = (archive.read("contract_bars", head, root=root, source=source) for source in sources)
    return [market(bars, spec, facts) for bars in stored]


def dated(master, root):
    """The dated values of a market's facts, as `series.prepare` takes them."""
    number = {"tick": float}
    return {
        field: tuple((fact.valid_from, number.get(field, str)(fact.value)) for fact in master.facts(root, field))
        for field in DATED
    }


def market(bars, spec, facts=None):
    """Findings on the bars of one market and source; `spec` is None for a market the master does not know."""
    prepared = prepare(bars, spec, facts)
    return TABLES["findings"].empty() if prepared.is_empty() else _found(CHECKS, bars, prepared, spec)


def refusals(bars, spec, restated=None):
    """Findings of severity refuse on merged bars, for the import: the market is not run until somebody decides.

    Parameters
    ----------
    bars : DataFrame
        All `contract_bars` of one market and source.
    spec : ContractSpec or None
    restated : dict, optional
        What an import changed: `rows` stored rows changed, `of` rows stored before, `first` (contract, day, column,
        old, new).

    Returns
    -------
    DataFrame
        Columns of the table `findings`; a restatement of `CHANGED[0]` to `CHANGED[1]` of the rows has severity warn.
    """
    if bars.is_empty():
        return TABLES["findings"].empty()
    found = [TABLES["findings"].empty()] + ([_restated(bars, restated)] if restated else [])
    hard = [check for check in CHECKS if check.severity == "refuse"]
    if suspicious(bars):
        found.append(_found([check for check in hard if not check.within_days], bars, prepare(bars, spec), spec))
    found.append(_found([check for check in hard if check.within_days], bars, None, spec))
    return pl.concat(found)


def _found(checks, bars, prepared, spec):
    """What the checks find; those of bars within the day look at the stored bars, and at such sources only."""
    within = bars["source"][0].endswith(WITHIN_DAY)
    asked = [check for check in checks if within or not check.within_days]
    found = [_findings(c, c.find(bars if c.within_days else prepared, spec), bars) for c in asked]
    return pl.concat([TABLES["findings"].empty(), *found])


def _restated(bars, told):
    share = told["rows"] / max(told["of"], 1)
    if share <= CHANGED[0] or told["rows"] < FEW:
        return TABLES["findings"].empty()
    contract, day, column, old, new = told["first"]
    reason = f"{told['rows']} of {told['of']} stored rows changed; the first from {old} to {new}"
    row = {"contract": contract, "day": day, "field": column, "value": str(new), "reason": reason}
    return _findings(RESTATED, _one(row), bars, RESTATED.severity if share > CHANGED[1] else "warn")


def _one(row):
    """A finding's row as a rule gives it back."""
    return pl.DataFrame([row], {name: TABLES["findings"].schema[name] for name in TOLD})


def duplicates(archive, roots, snapshot=None):
    """Markets among `roots` whose bars or vendor's chain are those of another stored market; findings on the former.

    Equal are price, range and volume, so that a micro and its full-size contract, which settle alike, are two markets.
    """
    found = [TABLES["findings"].empty()]
    for table, values in (("contract_bars", BARS), ("vendor_chains", ("price", "volume"))):
        held = sorted({segment.labels["root"] for segment in archive.files(table, snapshot)})
        if len(held) > 1 and set(held) & set(roots):
            rows = _probed(archive.scan(table, snapshot), table, values)
            found.append(_alike(rows, roots))
    return pl.concat(found)


def _probed(rows, table, values):
    """A hash of every row on some days of the years, the same days for all markets."""
    key = "contract" if table == "contract_bars" else "rank"
    every, rests = PROBES
    probed = rows.filter((pl.col("day").dt.epoch("d") % every).is_in(list(rests)))
    content = pl.struct("time", key, *values).hash().alias("content")
    return probed.select("source", "root", "day", content).collect(engine="in-memory")


def _alike(rows, roots):
    """Findings on pairs of markets that share at least `ALIKE` of the rows of the days on which both have some."""
    shared = rows.filter(pl.struct("content", "day").is_duplicated())
    pairs = shared.join(shared, on=["day", "content"], suffix="_other")
    pairs = pairs.filter((pl.col("root") != pl.col("root_other")) & pl.col("root").is_in(list(roots)))
    pairs = pairs.group_by("source", "root", "source_other", "root_other").agg(
        pl.len().alias("same"), pl.col("day").min(), pl.col("day").max().alias("until")
    ).sort(pl.all())  # fmt: skip
    found = [TABLES["findings"].empty()]
    for pair in pairs.iter_rows(named=True):
        own = rows.filter(
            (pl.col("source") == pair["source"]) & (pl.col("root") == pair["root"])
            & pl.col("day").is_between(pair["day"], pair["until"])
        ).height  # fmt: skip
        if pair["same"] >= FEW and pair["same"] >= ALIKE * own:
            other = f"{pair['root_other']} of {pair['source_other']}"
            reason = f"the same rows as {other} on {100 * pair['same'] // own} % of the days compared"
            row = {"contract": None, "day": pair["day"], "field": pair["root_other"], "value": other, "reason": reason}
            found.append(_findings(DUPLICATE_MARKET, _one(row), pl.DataFrame([pair])))
    return pl.concat(found)


def _store(archive, head, roots, findings):
    old = [segment for root in roots for segment in archive.files("findings", head, root=root)]
    labels = {"checked": "yes"}  # an import stores findings too, of a few rules: it is no check
    add = [archive.write("findings", findings.filter(pl.col("root") == root), root=root, **labels) for root in roots]
    archive.commit(add, old, f"check {len(roots)} markets: {findings.height} findings", base=head)


def _findings(check, rows, bars, severity=None):
    source, root = bars["source"][0], bars["root"][0]
    same = {"rule": check.name, "source": source, "root": root}
    ids = [_id(*same.values(), *place) for place in rows.select("contract", "day", "field").iter_rows()]
    told = same | {"severity": severity or check.severity, "done": "kept; decide"}
    rows = rows.with_columns(pl.Series("id", ids, dtype=pl.String), *(pl.lit(v).alias(k) for k, v in told.items()))
    return TABLES["findings"].conform(rows)


def _id(*parts):
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()[:12]
