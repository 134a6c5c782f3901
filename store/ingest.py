"""Bring files into the store: recognise, read, check, write; nothing is lost and all of it or none is committed.

Every row that was read ends up accepted, warned about (stored too) or quarantined (kept apart with its text and
reason); the three add up to the rows read, file by file. A file whose content was imported before is skipped.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from uuid import uuid4

import polars as pl

from store import raw
from store.archive import Conflict
from store.contracts import Master
from store.tables import TABLES, Rule, bar_rules

SUFFIXES = (".csv", ".txt", ".zip", ".gz", ".parquet")
BELOW_ZERO = ("energy",)  # sectors that may trade at or below zero: CME Group advisory 20-152 of 2020-04-03
_FX_RULES = [Rule("not_positive", "quarantine", "rate", "a rate at or below zero, or none",
                  ~(pl.col("rate") > 0).fill_null(False))]  # fmt: skip
_CHAIN_RULES = [Rule("no_time", "quarantine", "time", "no such moment in London", pl.col("time").is_null())]


@dataclass
class FileReport:
    """What became of one file."""

    file: str
    vendor: str = ""
    roots: list = field(default_factory=list)
    rows_read: int = 0
    accepted: int = 0
    warned: int = 0
    quarantined: int = 0
    reasons: dict = field(default_factory=dict)
    skipped: bool = False
    error: str = ""
    sha256: str = ""


@dataclass
class _Batch:
    """Rows waiting for the commit: (table, source, key value) -> frames, and the quarantined ones."""

    rows: dict = field(default_factory=dict)
    quarantine: list = field(default_factory=list)


def import_paths(archive, paths, vendor=None, root=None, progress=None):
    """Import files and folders in one commit.

    Parameters
    ----------
    archive : Archive
    paths : list of path
        Files, or folders whose files (csv, txt, zip, gz, parquet) are taken.
    vendor : str, optional
        Read with this vendor's reader; without it each vendor is asked whether it recognises the file.
    root : str, optional
        Store what is read under this root of the master, whatever the vendor calls it.
    progress : callable(done, total, name), optional

    Returns
    -------
    list of FileReport
        In the order of the names. A file that cannot be read has an `error`; the others are committed.
    """
    readers = _readers(vendor)
    master = Master.load(archive.path)
    files, reports = _expand(paths)
    known = set(archive.read("imports", columns=["sha256"])["sha256"])
    batch = _Batch()
    import_id = uuid4().hex[:12]
    for done, path in enumerate(files):
        if progress:
            progress(done, len(files), path.name)
        reports.append(_import_file(path, readers, root, master, known, batch, import_id))
    if progress:
        progress(len(files), len(files), "commit")
    _commit(archive, batch, [r for r in reports if r.sha256 and not r.skipped and not r.error], import_id)
    return reports


def accept(archive, readings, file, sha256, import_id=None):
    """Store `readings` (of a generator such as the sample, not of a file on disk); returns their FileReport."""
    master = Master.load(archive.path)
    import_id = import_id or uuid4().hex[:12]
    batch, report = _Batch(), FileReport(file=file, sha256=sha256)
    if sha256 in set(archive.read("imports", columns=["sha256"])["sha256"]):
        report.skipped = True
        return report
    _take(readings, None, master, batch, report, import_id)
    _commit(archive, batch, [report], import_id)
    return report


def _readers(vendor):
    from store.vendors import VENDORS

    if vendor is None:
        return list(VENDORS.values())
    if vendor not in VENDORS:
        near = get_close_matches(vendor, VENDORS, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise raw.Unreadable(f"unknown vendor {vendor!r}: allowed are {', '.join(VENDORS)}{hint}")
    return [VENDORS[vendor]]


def _expand(paths):
    files, reports = [], []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.is_file() and p.name.lower().endswith(SUFFIXES))
            files += inside
            if not inside:
                reports.append(FileReport(str(path), error=f"{path}: no file ending in {', '.join(SUFFIXES)}"))
        else:
            files.append(path)
    return files, reports


def _import_file(path, readers, root, master, known, batch, import_id):
    report = FileReport(file=str(path))
    try:
        file = raw.open_file(path)
        report.sha256 = file.sha256
        if file.sha256 in known:
            report.skipped = True
            return report
        reader = next((r for r in readers if len(readers) == 1 or r.recognises(file)), None)
        if reader is None:
            names = ", ".join(r.NAME for r in readers)
            raise raw.Unreadable(f"{path}: no vendor recognises this file; its first line is {file.first_line()[:80]!r}; "
                                 f"name one with --vendor ({names})")  # fmt: skip
        report.vendor = reader.NAME
        _take(reader.read(file), root, master, batch, report, import_id)
        known.add(file.sha256)
    except raw.Unreadable as error:
        report.error = str(error)
    if not report.error and not report.accepted + report.warned:
        report.error = f"{path}: no usable row among {report.rows_read}{_first(report)}"
    return report


def _first(report):
    return f" ({next(iter(report.reasons))})" if report.reasons else ""


def _take(readings, root, master, batch, report, import_id):
    reasons = Counter(report.reasons)
    for reading in readings:
        target, frame, rules = _translate(reading, root, master)
        good, warned, bad = _judge(frame, TABLES[reading.table], rules)
        report.vendor = report.vendor or reading.vendor
        report.roots.append(target)
        report.rows_read += frame.height
        report.quarantined += bad.height
        report.warned += warned
        report.accepted += good.height - warned
        for frame_, column in ((bad, "rule"), (good, "warning")):
            reasons.update({r: n for r, n in frame_[column].drop_nulls().value_counts().iter_rows()})
        key = "root" if "root" in TABLES[reading.table].columns else "currency"
        good = good.with_columns(pl.lit(reading.vendor).alias("source"), pl.lit(target).alias(key))
        batch.rows.setdefault((reading.table, reading.vendor, target), []).append(TABLES[reading.table].conform(good))
        if bad.height:
            batch.quarantine.append(_quarantined(bad, reading.vendor, import_id))
    report.reasons = dict(sorted(reasons.items()))


def _translate(reading, root, master):
    """Vendor's name and units into the master's; an unknown market keeps both."""
    frame = reading.frame
    if reading.table == "fx" or reading.table == "rates":
        return reading.name, frame, _FX_RULES if reading.table == "fx" else []
    alias = master.alias(reading.vendor, reading.name)
    target, factor = (alias.root, alias.factor) if alias else (reading.name, 1.0)
    target = root or target
    prices = [c for c in ("open", "high", "low", "close", "settle", "price", "carry", "forward") if c in frame.columns]
    if factor != 1.0:
        frame = frame.with_columns(pl.col(prices) * factor)
    if reading.table == "vendor_chains":
        return target, frame, _CHAIN_RULES
    negative = target not in master.roots or master.spec(target).sector in BELOW_ZERO
    return target, frame, bar_rules(negative_allowed=negative, settles=reading.settles)


def _judge(frame, table, rules):
    """Split a reading's rows: (good rows with a `warning`, number of warned ones, bad rows with `rule` and `reason`)."""
    key = [k for k in table.key if k in frame.columns]
    values = [c for c in table.columns if c in frame.columns and c not in (*key, "source_time", "day")]
    lacking = [pl.lit(None, table.schema[c]).alias(c) for c in table.columns if c not in frame.columns]
    frame = frame.with_columns(lacking)
    rule, reason, column = pl.lit(None, pl.String), pl.lit(None, pl.String), pl.lit(None, pl.String)
    warning = pl.lit(None, pl.String)
    for r in reversed(rules):
        if r.severity == "warn":
            warning = pl.when(r.bad).then(pl.lit(r.name)).otherwise(warning)
            continue
        rule = pl.when(r.bad).then(pl.lit(r.name)).otherwise(rule)
        reason = pl.when(r.bad).then(pl.lit(r.reason)).otherwise(reason)
        column = pl.when(r.bad).then(pl.lit(r.column)).otherwise(column)
    unparsed = pl.col("fault").is_not_null()
    frame = frame.with_columns(
        pl.when(unparsed).then(pl.lit("unparsed")).otherwise(rule).alias("rule"),
        pl.when(unparsed).then("fault").otherwise(reason).alias("reason"),
        pl.when(unparsed).then("column").otherwise(column).alias("column"),
        warning.alias("warning"),
    )
    good, bad = frame.filter(pl.col("rule").is_null()), frame.filter(pl.col("rule").is_not_null())
    good, twice = _duplicates(good, key, values)
    bad = pl.concat([bad, twice], how="diagonal_relaxed") if twice.height else bad
    warned = good["warning"].is_not_null().sum()
    return good, warned, bad


def _duplicates(good, key, values):
    """A second row of a key: the same values are a warning, other values go to quarantine; unsorted rows are warned."""
    first = pl.struct(key).is_first_distinct()
    if good.select(first.all()).item():
        twice = good.clear()
    else:
        firsts = good.filter(first).select(*key, pl.struct(values).alias("_first"))
        good = good.join(firsts, on=key, how="left", maintain_order="left")
        differs = ~first & (pl.struct(values).ne_missing(pl.col("_first")))
        twice = good.filter(differs).with_columns(
            pl.lit("duplicate").alias("rule"),
            pl.lit("second row of the same key with other values").alias("reason"),
            pl.lit(key[-1]).alias("column"),
        )
        again = pl.when(~first).then(pl.lit("repeated")).otherwise("warning")
        good = good.with_columns(again.alias("warning")).filter(~differs).drop("_first")
        twice = twice.drop("_first")
    within = [k for k in key if k not in ("time", "day", "source_time")]
    order = pl.col("time" if "time" in key else "day")
    backwards = (order < order.shift().over(within or ["file"])) & pl.col("warning").is_null()
    return good.with_columns(pl.when(backwards).then(pl.lit("unsorted")).otherwise("warning").alias("warning")), twice


def _quarantined(bad, vendor, import_id):
    return TABLES["quarantine"].conform(
        bad.with_columns(
            pl.lit(import_id).alias("import_id"), pl.lit(vendor).alias("vendor"), pl.lit("quarantine").alias("severity")
        )
    )


def _commit(archive, batch, reports, import_id, tries=10):
    """Merge the batch into the head and commit; when another writer was quicker, merge again into the new head."""
    if not reports:
        return
    for attempt in range(tries):
        snapshot = archive.head()
        add, remove = [], []
        for (table, source, name), frames in sorted(batch.rows.items()):
            merged, old, revisions = _merge(archive, snapshot, table, source, name, pl.concat(frames), import_id)
            key = "root" if "root" in TABLES[table].columns else "currency"
            add.append(archive.write(table, merged, source=source, **{key: name}))
            remove += [segment.path for segment in old]
            if revisions.height:
                add.append(archive.write("revisions", revisions, source=source, root=name))
        if batch.quarantine:
            add.append(archive.write("quarantine", pl.concat(batch.quarantine), import_id=import_id))
        add.append(archive.write("imports", _log(reports, import_id), import_id=import_id))
        try:
            archive.commit(add, remove, note=f"import {import_id}: {len(reports)} files")
            return
        except Conflict:
            if attempt == tries - 1:
                raise


def _merge(archive, snapshot, table, source, name, new, import_id):
    declared = TABLES[table]
    labels = {"source": source, ("root" if "root" in declared.columns else "currency"): name}
    old = archive.files(table, snapshot, **labels)
    key = list(declared.key)
    new = new.unique(key, keep="last", maintain_order=True)
    revisions = TABLES["revisions"].empty()
    if old:
        stored = archive.read(table, snapshot, **labels)
        revisions = _revisions(stored, new, declared, import_id)
        new = pl.concat([stored, new]).unique(key, keep="last", maintain_order=True)
    return new.sort(key), old, revisions


def _revisions(stored, new, table, import_id):
    if table.name != "contract_bars":
        return TABLES["revisions"].empty()
    key, numbers = list(table.key), [c for c, t in table.schema.items() if t == pl.Float64]
    both = stored.join(new, on=key, suffix="_new")
    changed = [
        both.filter(pl.col(c).ne_missing(pl.col(f"{c}_new"))).select(
            *key,
            pl.lit(c).alias("column"),
            pl.col(c).alias("old"),
            pl.col(f"{c}_new").alias("new"),
            pl.lit(import_id).alias("import_id"),
        )
        for c in numbers
    ]
    return TABLES["revisions"].conform(pl.concat(changed))


def _log(reports, import_id):
    rows = [
        {
            "import_id": import_id, "time": datetime.now(UTC), "file": Path(r.file).name, "sha256": r.sha256, "vendor": r.vendor,
            "roots": ",".join(r.roots), "rows_read": r.rows_read, "accepted": r.accepted, "warned": r.warned,
            "quarantined": r.quarantined, "reasons": json.dumps(r.reasons, sort_keys=True),
        }
        for r in reports
    ]  # fmt: skip
    return TABLES["imports"].conform(pl.DataFrame(rows))
