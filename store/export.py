"""The tables of a snapshot as files that other programs read: Parquet, CSV, or tables of Delta Lake.

1. The folder appears when it is whole: all is written beside it under a temporary name and renamed at the end. A
   folder that holds something is refused. What a killed export leaves is that temporary folder, and may be deleted.
2. Parquet and CSV: `contract_bars/ES.barchart.parquet`, a file a market, or currency, and source, in the order of the
   key; a market of more than `LARGE` rows has a file a year. Logs and findings are one file each, in the order in
   which their rows came. The same snapshot gives the same bytes, however its rows lie in the store.
3. Delta: a folder a table, bars and chains parted by source. Its files have names by chance and its log the time, so
   that two exports are equal by value only.
4. CSV is UTF-8 with times as ISO 8601 in UTC and nothing where a value is missing; an empty text is `""`. A text that a
   spreadsheet would run, as it begins with one of = + - @, a tab or a carriage return, has an apostrophe before it.
5. `README.md` and `tables.json` tell the snapshot and its hash, each column with type and unit, and the sha256 and rows
   of each file.
6. One market's rows, or one year's of a large one, are in memory at a time.

Runs are not exported: `frontmonth report` writes theirs.
"""

import contextlib
import json
import re
from dataclasses import dataclass, replace
from datetime import date
from hashlib import file_digest
from io import BytesIO
from itertools import count
from pathlib import Path

import polars as pl

from store import delta, durable
from store.answer import guarded
from store.durable import StoreError
from store.naming import axis
from store.segments import choose
from store.tables import TABLES

FORMATS = ("parquet", "csv", "delta")
LARGE = 4_000_000  # rows of a market that are one file
SLICE = 200_000  # rows of CSV that are written at a time
PORTION = 2_000_000  # rows that Delta is given at a time
STAMP = "%Y-%m-%dT%H:%M:%S%.6fZ"
_DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)")  # names that Windows keeps for itself
_TYPES = {pl.String: "text", pl.Int32: "int32", pl.Int64: "int64", pl.Float64: "float64", pl.Date: "date"}


class NotExported(StoreError):
    """Nothing was exported; the text says why."""


@dataclass(frozen=True)
class Part:
    """Rows of a table that are one file: those of a source and market; `year`, of a market that is large."""

    table: str
    files: tuple  # segments that may hold them
    labels: tuple  # (column, value) that all rows have; a value may be None
    year: int | None = None

    def read(self, archive, snapshot):
        """The rows, in their order."""
        days = None if self.year is None else (date(self.year, 1, 1), date(self.year, 12, 31))
        rows = archive.scan(self.table, replace(snapshot, files=self.files), days)
        if any(name not in segment.labels for name, _ in self.labels for segment in self.files):
            rows = rows.filter(pl.col(name).eq_missing(pl.lit(value)) for name, value in self.labels)
        rows = rows.collect(engine="in-memory")
        return rows.sort(TABLES[self.table].key, maintain_order=True) if self.labels else rows

    @property
    def stem(self):
        """Its file's name without the ending, before it is told from others."""
        told = [_safe(value) for _, value in reversed(self.labels)]
        return ".".join([*told, *([str(self.year)] if self.year else [])])


def export(archive, folder, format="parquet", tables=None, snapshot=None, progress=None):
    """Write tables of a snapshot into a folder.

    Parameters
    ----------
    archive : Archive
    folder : path
        Must be absent or empty, and outside of the store.
    format : str
        One of `FORMATS`.
    tables : list of str, optional
        All that have rows, if not given.
    snapshot : Snapshot or int, optional
        The newest, if not given.
    progress : callable(done, total, name), optional

    Returns
    -------
    dict
        `folder`, `format`, `snapshot` (its number) and `tables`: table, rows, files, bytes of each.

    Raises
    ------
    Refused
        No such format or table.
    NotExported
        The folder holds something, or lies in the store; or Delta is asked for and not installed.
    NotWritten, DiskFull
        Nothing stands in the folder.

    Examples
    --------
    >>> import tempfile
    >>> from store import open_archive
    >>> with tempfile.TemporaryDirectory() as place:
    ...     archive = open_archive(f"{place}/store", create=True)
    ...     rates = pl.DataFrame({"day": [date(2024, 3, 1)], "rate": [1.08]})
    ...     snapshot = archive.commit([archive.write("fx", rates, source="ecb", currency="EUR")])
    ...     done = export(archive, f"{place}/out", "csv")
    ...     text = (Path(place) / "out" / "fx" / "EUR.ecb.csv").read_text().splitlines()
    >>> done["tables"][0]["rows"], text
    (1, ['source,currency,day,rate,source_time,known', 'ecb,EUR,2024-03-01,1.08,,'])
    """
    choose(format, FORMATS, "format")
    names = [choose(name, TABLES, "table") for name in tables or TABLES]
    snapshot, target = archive.pin(snapshot), Path(folder).absolute()
    _free(target, archive.path)
    if format == "delta":
        delta.installed()
    staged = durable.temporary_name(target.parent)
    durable.make_folder(target.parent)
    try:
        staged.mkdir()
        made = _written(archive, snapshot, staged, format, dict.fromkeys(names), tables is None, progress)
        _move(staged, target)
    except OSError as error:
        raise durable.not_written(target, error) from error
    finally:
        with contextlib.suppress(OSError):
            if staged.exists():
                durable.remove_tree(staged)
    told = [{"table": one["table"], "rows": one["rows"]} | _size(one["files"]) for one in made]
    return {"folder": str(target), "format": format, "snapshot": snapshot.number, "tables": told}


def parts(archive, snapshot, table):
    """What the rows of a table are parted into: a list of Part, in the order of source and market."""
    files = archive.files(table, snapshot)
    by = ("source", axis(table))
    if TABLES[table].key[:2] != by:
        return [Part(table, tuple(files), ())] if files else []
    held = {}
    for segment in files:
        for values in _values(archive, snapshot, segment, by):
            held.setdefault(values, []).append(segment)
    found = []
    for values in sorted(held, key=lambda values: [(value is not None, value or "") for value in values]):
        one = Part(table, tuple(held[values]), tuple(zip(by, values, strict=True)))
        found += [one] if sum(s.rows for s in one.files) <= LARGE else _by_year(one)
    return found


def _values(archive, snapshot, segment, by):
    """Source and market of the rows of a segment: as it says, or as the rows say."""
    if all(name in segment.labels for name in by):
        return [tuple(segment.labels[name] for name in by)]
    rows = archive.scan(segment.table, replace(snapshot, files=(segment,)))
    return rows.select(by).unique().collect(engine="in-memory").rows()


def _by_year(part):
    """A part year by year; whole where a file does not tell its days."""
    if "day" not in TABLES[part.table].schema or not all(s.first_day and s.last_day for s in part.files):
        return [part]
    first, last = min(s.first_day for s in part.files).year, max(s.last_day for s in part.files).year
    return [replace(part, year=year) for year in range(first, last + 1)]


# ---- writing


def _written(archive, snapshot, staged, format, names, only_full, progress):
    """Write all files; what was made: table, rows, files (name, bytes, sha256, rows)."""
    found = {name: parts(archive, snapshot, name) for name in names}
    found = {name: of for name, of in found.items() if of or not only_full}
    numbers, total, made = count(), sum(map(len, found.values())), []

    def tell(part):
        if progress:
            progress(next(numbers), total, f"{part.table} {part.stem}".rstrip())

    for name, of in found.items():
        heights = []
        frames = _read(archive, snapshot, of, heights, tell)
        if format == "delta":
            files = delta.write(staged / name, TABLES[name], frames, PORTION)
        else:
            files = _files(staged / name, format, of, frames)
        rows = sum(segment.rows for segment in archive.files(name, snapshot))
        if sum(heights) != rows:
            raise NotExported(f"table {name} has {rows} rows, of which {sum(heights)} were read; nothing was exported")
        made.append({"table": name, "rows": rows, "files": [_facts(staged, path, held) for path, held in files]})
    _describe(staged, snapshot, format, made)
    return made


def _read(archive, snapshot, of, heights, tell):
    """The rows of each part; `heights` gets how many."""
    for part in of:
        tell(part)
        frame = part.read(archive, snapshot)
        heights.append(frame.height)
        yield frame


def _files(folder, format, of, frames):
    """Write a file a part; (path, rows) of each."""
    folder.mkdir()
    taken, made = set(), []
    for part, frame in zip(of, frames, strict=True):
        if part.year is None or frame.height:  # a year between others may have no row
            path = folder / f"{_fresh(part.stem or part.table, taken)}.{format}"
            with open(path, "xb") as file:
                (_csv if format == "csv" else _parquet)(frame, file)
            made.append((path, frame.height))
    return made


def _parquet(frame, file):
    buffer = BytesIO()  # polars tells a full disk by errors of its own
    frame.write_parquet(buffer, compression="zstd", statistics=True)
    file.write(buffer.getbuffer())


def _csv(frame, file):
    for number, piece in enumerate(guarded(frame).iter_slices(SLICE) if frame.height else [frame]):
        buffer = BytesIO()
        piece.write_csv(buffer, include_header=number == 0, datetime_format=STAMP)
        file.write(buffer.getbuffer())


def _safe(text):
    """A part of a file's name: letters, digits, dash and underscore; never a folder's or a device's.

    >>> _safe("6E"), _safe("../../etc"), _safe("nul"), _safe(None)
    ('6E', '______etc', 'nul_', '_')
    """
    name = re.sub(r"[^A-Za-z0-9_-]", "_", text or "_")[:64]
    return f"{name}_" if _DEVICES.fullmatch(name) else name


def _fresh(stem, taken):
    """The stem, or one with a number where another file has it already, upper and lower case alike."""
    name, number = stem, 1
    while name.casefold() in taken:
        number += 1
        name = f"{stem}-{number}"
    taken.add(name.casefold())
    return name


# ---- the folder


def _free(target, store):
    """Refuse a folder that is not ours to fill."""
    if target.resolve().is_relative_to(store.resolve()):
        raise NotExported(f"{target} lies in the store {store}; name a folder outside of it")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise NotExported(f"{target} is there and not empty; name a new folder")


def _move(staged, target):
    """Give the finished folder its name."""
    if target.is_dir():
        with contextlib.suppress(OSError):  # somebody put something there meanwhile: told below
            target.rmdir()
    try:
        durable.move_folder(staged, target)
    except FileExistsError:
        raise NotExported(f"{target} is there and not empty; name a new folder") from None


def _facts(staged, path, rows):
    with open(path, "rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    found = {"file": path.relative_to(staged).as_posix(), "bytes": path.stat().st_size, "sha256": digest}
    return found if rows is None else found | {"rows": rows}


def _size(files):
    return {"files": len(files), "bytes": sum(one["bytes"] for one in files)}


def _describe(staged, snapshot, format, made):
    """README.md and tables.json."""
    told = {"number": snapshot.number, "hash": snapshot.hash, "time": snapshot.time, "note": snapshot.note}
    tables = [
        {"table": one["table"], "about": TABLES[one["table"]].doc, "rows": one["rows"]}
        | {"key": list(TABLES[one["table"]].key), "columns": _columns(TABLES[one["table"]]), "files": one["files"]}
        for one in made
    ]
    document = {"format": format, "snapshot": told, "tables": tables}
    (staged / "tables.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    (staged / "README.md").write_text(_readme(document), encoding="utf-8", newline="\n")


def _columns(table):
    return [{"name": name, "type": _type(dtype), "meaning": doc} for name, (dtype, doc) in table.columns.items()]


def _type(dtype):
    return "timestamp, UTC, microseconds" if isinstance(dtype, pl.Datetime) else _TYPES[dtype]


LAYOUT = """\
    [exported]
    file = '.+[.]csv'
    symbol = "contract"
    market = "root"
    [exported.columns]
    time = "day"
    open = "open"
    high = "high"
    low = "low"
    last = "settle"
    volume = "volume"
    open_interest = "open_interest"
"""
NAMED = "Files are named by market or currency and source; of a large market there is one a year.\n"
READ = {
    "parquet": f"""{NAMED}
`frontmonth import FOLDER` brings bars, chains, vendors' dates, margins, rates and roll calendars into another store as
they are; findings, decisions and logs belong to the store that they come from.
""",
    "csv": f"""{NAMED}
UTF-8; times are ISO 8601, in UTC; nothing stands where a value is missing, `""` is an empty text. A text that begins
with one of = + - @, a tab or a carriage return has an apostrophe before it.

`frontmonth import FOLDER/contract_bars` reads daily bars, with their settlements, where the `vendors.toml` of a
store has the lines below. Parquet comes back whole, without them.

{LAYOUT}""",
    "delta": "Each folder is a table of Delta Lake: `polars.read_delta(FOLDER)`, `deltalake.DeltaTable(FOLDER)`.\n",
}


def _readme(document):
    snapshot = document["snapshot"]
    lines = ["# Tables of a frontmonth store", "", f"Snapshot {snapshot['number']} of {snapshot['time'] or 'no time'},"]
    lines += [f"hash {snapshot['hash']}.", "", *READ[document["format"]].splitlines(), ""]
    lines += ["Null, or nothing, is a value that the source did not give; it is never 0.", ""]
    lines += ["Runs are not in it: `frontmonth report` writes their tables. `tables.json` tells the same as this file,"]
    lines += ["and the sha256 of each file.", ""]
    for one in document["tables"]:
        lines += [f"## {one['table']}", "", one["about"], ""]
        lines += [f"{one['rows']:,} rows in {len(one['files'])} files; key: {', '.join(one['key']) or 'none'}.", ""]
        lines += ["| column | type | meaning, unit |", "| --- | --- | --- |"]
        lines += [f"| `{c['name']}` | {c['type']} | {c['meaning'].replace('|', '/')} |" for c in one["columns"]]
        lines += [""]
    return "\n".join(lines)
