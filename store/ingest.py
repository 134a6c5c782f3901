"""Bring files into the store: recognise, read, check, write; nothing is lost and all of it or none is committed.

1. Every row that was read ends up accepted, warned about (stored too) or quarantined (kept apart with its text and
   reason); the three add up to the rows read, file by file.
2. A file is taken whole or not at all: one that cannot be read, or gives no usable row, leaves nothing in the store.
3. The same content under the same name, vendor and root is skipped (of a zip, whose members have their own names, under
   any). Files that overlap are merged: the row of the later file
   counts, and each value it changed is kept in `revisions`. A row equal to the stored one is accepted.
4. One commit for all files of a call. Another writer who was quicker in one of the markets makes it merge again.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from uuid import uuid4

import polars as pl

from store import raw, row_rules
from store.archive import Conflict
from store.contracts import Master
from store.naming import axis, of_one_market, root_named, translated
from store.segments import NAME
from store.tables import TABLES
from store.vendors import VENDORS, profile

COUNTS = ("rows_read", "accepted", "warned", "quarantined")
TRIES = 10  # merges when others keep committing to the same markets


@dataclass
class FileReport:
    """What became of one file; `first` tells the first quarantined row, `notes` what the user should look at."""

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
    first: str = ""
    notes: list = field(default_factory=list)

    def skip(self):
        """Nothing was taken: its rows are in the store already."""
        self.skipped, self.reasons, self.first = True, {}, ""
        for count in COUNTS:
            setattr(self, count, 0)


@dataclass
class _Taken:
    """Rows of one file, waiting for the commit: `rows` are (table, source, root or currency, frame)."""

    report: FileReport
    rows: list = field(default_factory=list)
    quarantine: list = field(default_factory=list)


def import_paths(archive, paths, vendor=None, root=None, progress=None):
    """Import files and folders in one commit.

    Parameters
    ----------
    archive : Archive
    paths : list of path
        Files, or folders whose files (csv, txt, zip, gz) are taken.
    vendor : str, optional
        Read with this vendor's reader; without it each vendor is asked whether it recognises the file.
    root : str, optional
        Store what is read under this root (or alias) of the master, or under this name, whatever the vendor calls it.
    progress : callable(done, total, name), optional

    Returns
    -------
    list of FileReport
        In the order of the names. A file that cannot be read has an `error`; the others are committed.
    """
    readers = _readers(archive, vendor)
    master = Master.load(archive.path)
    root = root and root_named(root, master)
    known = _known(archive, archive.head())
    found, taken, import_id = raw.files(paths), [], uuid4().hex[:12]
    for done, (path, wrong) in enumerate(found):
        if progress:
            progress(done, len(found), path.name)
        taken.append(_Taken(FileReport(file=raw.plain(path))))
        if wrong:
            taken[-1].report.error = wrong
            continue
        _take_file(path, readers, vendor, root, master, known, taken[-1])
    if progress:
        progress(len(found), len(found), "commit")
    _commit(archive, taken, import_id)
    return [one.report for one in taken]


def accept(archive, readings, file, sha256):
    """Store the `Reading`s of a generator such as the sample, not of a file on disk; their FileReport.

    `sha256` stands for the content: what was stored under it before is skipped.
    """
    taken = _Taken(FileReport(file=file, sha256=sha256))
    if sha256 in _known(archive, archive.head()):
        taken.report.skip()
    else:
        _take(readings, None, Master.load(archive.path), taken)
        _commit(archive, [taken], uuid4().hex[:12])
    return taken.report


def _readers(archive, vendor):
    own = archive.path / "vendors.toml"
    known = VENDORS | (profile.load(own) if own.is_file() else {})
    if vendor is None:
        return list(known.values())
    if vendor not in known:
        near = get_close_matches(vendor, known, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise raw.Unreadable(f"unknown vendor {vendor!r}: allowed are {', '.join(known)}{hint}")
    return [known[vendor]]


def _known(archive, snapshot):
    """What was imported: sha256 -> {(file, vendor, roots), ...}."""
    known = {}
    for sha256, *rest in archive.read("imports", snapshot, ["sha256", "file", "vendor", "roots"]).iter_rows():
        known.setdefault(sha256, set()).add(tuple(rest))
    return known


def _imported(known, file, report, vendor, root):
    """Whether this content was imported, under this vendor and root where they are given.

    The name counts too unless the file is a zip: two contracts of a few equal rows are told apart by it alone, and
    pysystemtrade's SP500.csv and SP500_micro.csv are the same bytes.
    """
    name = None if file.packed else _name(report)
    return any(
        name in (None, n) and vendor in (None, v) and root in (None, r) for n, v, r in known.get(file.sha256, ())
    )


def _take_file(path, readers, vendor, root, master, known, taken):
    report = taken.report
    try:
        file = raw.open_file(path)
        report.sha256 = file.sha256
        if _imported(known, file, report, vendor, root):
            report.skip()
            return
        reader = readers[0] if vendor else next((r for r in readers if r.recognises(file)), None)
        if reader is None:
            raise raw.Unreadable(f"no vendor recognises this file; its first line is {_start(file)}; "
                                 f"name one with --vendor ({', '.join(r.NAME for r in readers)})")  # fmt: skip
        report.vendor = reader.NAME
        _take(reader.read(file), root, master, taken)
        if file.left_out:
            report.notes.append(f"left out, as no csv: {', '.join(file.left_out[:5])}")
        if not report.accepted + report.warned:
            raise raw.Unreadable(
                f"no usable row among {report.rows_read}" + (f": {report.first}" if report.first else "")
            )
        known.setdefault(file.sha256, set()).add(_under(report))
    except raw.Unreadable as error:
        taken.rows, taken.quarantine = [], []
        report.error = _placed(path, str(error))


def _start(file):
    return repr(raw.plain(file.parts[0].header(), 80))


def _placed(path, message):
    """The message, beginning with the path."""
    told, name = raw.plain(path), raw.plain(path.name)
    if message.startswith(told):
        return message
    return f"{told.removesuffix(name)}{message}" if message.startswith(name) else f"{told}: {message}"


def _name(report):
    return Path(report.file).name


def _under(report):
    return _name(report), report.vendor, ",".join(report.roots)


def _take(readings, root, master, taken):
    """Judge the rows of readings and count them."""
    report, reasons = taken.report, Counter()
    for reading in readings if root is None else of_one_market(readings, root):
        name, frame, rules = translated(reading, root, master, report.notes)
        if not NAME.fullmatch(name):
            raise raw.Unreadable(
                f"market {raw.plain(name, 80)!r} is no name for the store: 1 to 64 letters, digits, dots, dashes and "
                "underscores, no dot first; give it one with --root"
            )
        good, bad = row_rules.split(frame, TABLES[reading.table], rules)
        warned = good.height - good["warning"].null_count()
        report.vendor = report.vendor or reading.vendor
        report.roots += [] if name in report.roots else [name]
        for count, rows in zip(COUNTS, (frame.height, good.height - warned, warned, bad.height), strict=True):
            setattr(report, count, getattr(report, count) + rows)
        reasons.update(
            dict([*bad["rule"].value_counts().iter_rows(), *good["warning"].drop_nulls().value_counts().iter_rows()])
        )
        good = good.filter(pl.col("warning").ne_missing("repeated"))
        told = {"source": reading.vendor, axis(reading.table): name}
        good = TABLES[reading.table].conform(good.with_columns(pl.lit(text).alias(c) for c, text in told.items()))
        taken.rows.append((reading.table, reading.vendor, name, good))
        if bad.height:
            bad = bad.with_columns(pl.col("column").replace(reading.headings), vendor=pl.lit(reading.vendor))
            taken.quarantine.append(bad.select("file", "line", "column", "rule", "reason", "raw", "vendor"))
            report.first = report.first or _sentence(bad.row(0, named=True))
    report.reasons = dict(sorted(reasons.items()))


def _sentence(row):
    return raw.plain(f"{row['file']}: line {row['line']}: column {row['column']}: {row['reason']}")


def _commit(archive, taken, import_id):
    """Merge what was taken into the head and commit; when another writer was quicker, merge again into the new head."""
    for left in reversed(range(TRIES)):
        head = archive.head()
        known = _known(archive, head)
        for one in taken:
            if one.rows and _under(one.report) in known.get(one.report.sha256, ()):  # by another process, just now
                one.report.skip()
                one.rows, one.quarantine = [], []
        fresh = [one for one in taken if one.rows]
        if not fresh:
            return
        add, remove = _written(archive, head, fresh, import_id)
        try:
            archive.commit(add, remove, f"import {import_id}: {len(fresh)} files", base=head)
            return
        except Conflict:
            if not left:
                raise


def _written(archive, head, taken, import_id):
    """Segments to add and to remove: each market that changes, its revisions, what was quarantined, the log."""
    groups, add, remove = {}, [], []
    for one in taken:
        for table, source, name, frame in one.rows:
            groups.setdefault((table, source, name), []).append(frame)
    for (table, source, name), frames in sorted(groups.items(), key=lambda group: group[0]):
        labels = {"source": source, axis(table): name}
        old, stored = archive.files(table, head, **labels), archive.read(table, head, **labels)
        merged, revisions = _merged(pl.concat([stored, *frames]), TABLES[table], import_id)
        if not merged.equals(stored):
            add.append(archive.write(table, merged, **labels))
            remove += old
        if revisions.height:
            add.append(archive.write("revisions", revisions, source=source, root=name))
    rows = [frame for one in taken for frame in one.quarantine]
    if rows:
        bad = pl.concat(rows).with_columns(import_id=pl.lit(import_id), severity=pl.lit(row_rules.QUARANTINE))
        add.append(archive.write("quarantine", bad, import_id=import_id))
    add.append(archive.write("imports", _log([one.report for one in taken], import_id), import_id=import_id))
    return add, remove


def _merged(rows, table, import_id):
    """Rows of which the last of each key counts, in the order of the key, and the values that this changed."""
    key = list(table.key)
    rows = rows.sort(key, maintain_order=True)
    same = rows.select(pl.all_horizontal(pl.col(c).eq_missing(pl.col(c).shift()) for c in key)).to_series()
    if not same.any():
        return rows, TABLES["revisions"].empty()
    numbers = [c for c, dtype in table.schema.items() if dtype.is_numeric() and c not in key]
    before = rows.with_columns(pl.col(c).shift().alias(f"old {c}") for c in numbers).filter(same)
    time = (
        pl.col("time") if "time" in table.columns else pl.col("day").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    )
    changed = [
        before.filter(pl.col(c).ne_missing(pl.col(f"old {c}"))).select(
            "source", pl.lit(table.name).alias("of_table"), pl.col(axis(table.name)).alias("root"),
            pl.col("contract") if "contract" in table.columns else pl.lit(None, pl.Int32).alias("contract"),
            time.alias("time"), pl.lit(c).alias("column"), pl.col(f"old {c}").cast(pl.Float64).alias("old"),
            pl.col(c).cast(pl.Float64).alias("new"), pl.lit(import_id).alias("import_id"),
        )
        for c in numbers
    ]  # fmt: skip
    last = ~same.shift(-1, fill_value=False)
    return rows.filter(last), TABLES["revisions"].conform(pl.concat(changed))


def _log(reports, import_id):
    same = ("sha256", "vendor", *COUNTS)
    rows = [
        {"import_id": import_id, "time": datetime.now(UTC), "file": _name(r), "roots": ",".join(r.roots)}
        | {"reasons": json.dumps(r.reasons, sort_keys=True)}
        | {name: getattr(r, name) for name in same}
        for r in reports
    ]
    return TABLES["imports"].conform(pl.DataFrame(rows))
