"""Roll calendars as files: written for editing, and read back, checked against the stored prices.

    day, time, from, to, from_price, to_price, reason, decided, rule, rank, end, version

A row is a roll. `day`, `from` and `to` are needed; an empty price or moment is that of the store. Contracts are written
`202003`, `20200300`, `2020H`, `H20` or `ESH20`. Other names of columns are in `COLUMNS`: pysystemtrade's roll calendars
(`DATE_TIME,current_contract,next_contract`) are read as they are; a column that is none of ours is left alone.

1. A file is used as it is given: nothing waits, nothing is mended. Any fault refuses it, and all faults are told at
   once: row, column, value, what is wrong and what to do. Only a header without `day`, `from` or `to`, or with two of
   one, is told alone: its rows cannot be read.
2. Days rise and are trade dates. A roll leaves the contract that the row before went to, for a later one, not after the
   last allowed day of the contract that is left, nor of the other one.
3. On its day both contracts have a price of one moment and field, settle before close (DOMAIN T13); a price in the file
   is that price within half a tick (of a market without facts: a millionth).
4. A row whose reason is `closed: no matched price` lets the position end in the old contract at its last price, and go
   on in the other one from `day` on (see `rolls`).
5. A file that says of which version it was written, and still says the same, is that calendar again: rule, reasons and
   version. Any other one has the rule `file`; it does not say when its rolls were decided. `rule`, `rank`, `end` and
   `version` are of the whole calendar: rows that tell them must agree, and an empty cell tells nothing.
"""

import csv
import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from difflib import get_close_matches
from io import StringIO
from pathlib import Path

import polars as pl

from store import chain as chains
from store import codes, layout, raw
from store.roll_checks import as_written, judged
from store.rolls import closed

COLUMNS = {  # ours: what a file may call it, without capitals, blanks and underscores
    "day": ("day", "date", "datetime", "rollday"),
    "from": ("from", "fromcontract", "currentcontract"),
    "to": ("to", "tocontract", "nextcontract"),
    "time": ("time",),
    "from_price": ("fromprice",),
    "to_price": ("toprice",),
    "reason": ("reason",),
    "decided": ("decided",),
    "rule": ("rule",),
    "rank": ("rank",),
    "end": ("end",),
    "version": ("version",),
}
NEEDED = ("day", "from", "to")
OF_ALL = ("rule", "rank", "end", "version")  # what each row tells of the whole calendar
EMPTY = ("", "nan", "null", "none", "na")
_NEAR = 0.85  # likeness from which on an unknown column is a misspelt one of ours
_RANK = re.compile(r"\d{1,3}", re.ASCII)
_CLOCK = re.compile(r"[ T]\d\d?:\d\d.*")
_YEAR_FIRST = re.compile(rf"(\d{{4}})[-_]?([{codes.MONTHS}])")


@dataclass(frozen=True)
class Fault:
    """What is wrong: `row` is the line of a CSV file, its header being 1, or the row of a Parquet file; None: all."""

    row: int | None
    column: str
    value: str
    reason: str
    remedy: str

    def __str__(self):
        place = "" if self.row is None else f"row {self.row}, "
        return f"{place}{self.column} {raw.plain(self.value, 40)!r}: {self.reason}; {self.remedy}"


class BadCalendar(ValueError):
    """A file that is no roll calendar of the stored prices: `file` and `faults`; the message has all of them."""

    def __init__(self, file, faults):
        self.file, self.faults = file, tuple(faults)
        many = f"{len(self.faults)} faults" if len(self.faults) > 1 else "1 fault"
        super().__init__(
            "\n".join([f"{file}: {many}, so that it is not used", *(f"{fault}." for fault in self.faults)])
        )


@dataclass
class Row:
    """A row of a file: its cells as written, and what could be read of them."""

    line: int
    text: dict  # ours -> as written; empty where the row has more or fewer cells than the header
    heads: dict  # ours -> the file's name of the column
    read: dict = field(default_factory=dict)  # ours -> value; absent where the cell is empty or cannot be read

    def fault(self, column, reason, remedy):
        """A fault in one of its cells."""
        return Fault(self.line, self.heads.get(column, column), self.text.get(column, ""), reason, remedy)

    @property
    def closed(self):
        """Whether the position ends in the old contract, without matched prices."""
        return bool(closed([self.read.get("reason", "")])[0])


def to_file(calendar, path):
    """Write a calendar for editing, as CSV, or as Parquet where the name ends so.

    Parameters
    ----------
    calendar : RollCalendar
    path : path
        Replaced if it is there.
    """
    path = Path(path)
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise ValueError(f"{path}: the name must end in .csv or .parquet")
    same = {"rule": calendar.rule, "rank": calendar.rank, "end": calendar.end, "version": calendar.version}
    frame = calendar.frame.rename({"from_contract": "from", "to_contract": "to"})
    frame = frame.with_columns(pl.lit(value).alias(name) for name, value in same.items())
    frame = frame.select("day", "time", "from", "to", "from_price", "to_price", "reason", "decided", *same)
    if path.suffix.lower() == ".parquet":
        frame.write_parquet(path)
    else:
        frame.write_csv(path, datetime_format="%Y-%m-%dT%H:%M:%S%.fZ")


def from_file(path, root, bars, spec):
    """The calendar that a file gives, checked against the stored prices; nothing is stored.

    Parameters
    ----------
    path : path
        CSV (comma, semicolon or tab), or Parquet.
    root : str
    bars : DataFrame
        Rows of `contract_bars` of the market, one source.
    spec : ContractSpec or None
        Facts of the market; without them the last bars of contracts stand in for their last days.

    Returns
    -------
    RollCalendar

    Raises
    ------
    BadCalendar
        With every fault of the file.
    ValueError
        There are no bars to check it against.
    """
    chain = chains.load(bars)
    if not len(chain.days):
        raise ValueError(f"{root}: no row with a price is stored, against which a roll calendar could be checked")
    name, (rows, faults) = Path(path).name, _table(Path(path))
    whole = [row for row in rows if row.text]
    if not whole:
        raise BadCalendar(name, faults)
    faults += _read(whole, root, spec.price_unit if spec else "")
    rule, version = (_told(rows, column) for column in ("rule", "version"))
    if rule and version and not faults:
        calendar, wrong = judged(root, rows, chain, spec, rule)
        unedited = version in (as_written(root, rows, rule), calendar and calendar.version)
        if unedited and not wrong:
            return calendar
        if unedited:
            raise BadCalendar(name, wrong)
    calendar, wrong = judged(root, rows, chain, spec, None)
    if faults or wrong:
        columns = [head for row in rows[:1] for head in row.heads.values()]
        place = lambda fault: (fault.row or 0, columns.index(fault.column) if fault.column in columns else 0)  # noqa: E731
        raise BadCalendar(name, sorted([*faults, *wrong], key=place))
    return calendar


# ---- the file


def _table(path):
    """The rows of a file, at least one, and what is wrong with its shape."""
    if path.suffix.lower() == ".parquet":
        try:
            frame = pl.read_parquet(path)
        except pl.exceptions.PolarsError as error:
            raise BadCalendar(path.name, [_whole(f"is no readable Parquet ({str(error).splitlines()[0]})")]) from error
        table = [(k, list(map(_cell, row))) for k, row in enumerate(frame.iter_rows(), 1)]
        names = frame.columns
    else:
        text = path.read_bytes().decode("utf-8-sig", "backslashreplace")
        separator, _ = layout.cells(text.partition("\n")[0])
        reader = csv.reader(StringIO(text, newline=""), delimiter=separator)
        try:
            table = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
        except csv.Error as error:
            raise BadCalendar(path.name, [_whole(f"is no readable CSV ({error})")]) from error
        table = [(line, row) for line, row in table if any(row)]
        names = table.pop(0)[1] if table else []
    heads, faults = _heads(path.name, names)
    if not table:
        raise BadCalendar(path.name, [*faults, _whole("has no row: a roll calendar without a roll is none")])
    faults += [Fault(line, "", ",".join(row), f"{len(row)} cells, and the header has {len(names)}",
                     "write as many; quote a cell that has the separator in it")
               for line, row in table if len(row) != len(names)]  # fmt: skip
    place = {name: k for k, name in enumerate(names)}
    cells = lambda row: {c: row[place[head]] for c, head in heads.items()} if len(row) == len(names) else {}  # noqa: E731
    return [Row(line, cells(row), heads) for line, row in table], faults


def _whole(reason):
    return Fault(
        None, "the file", "", reason, "`frontmonth roll ROOT --rule RULE --out FILE.csv` writes one to begin with"
    )


def _cell(value):
    """A value of Parquet as it would be written in CSV."""
    return "" if value is None else value.isoformat() if isinstance(value, date) else str(value)


def _heads(file, names):
    """Our names of the columns and the file's, and what is wrong with them where the rows can be read all the same."""
    found, faults, twice = {}, [], set()
    for name in names:
        ours = next((ours for ours, others in COLUMNS.items() if layout.key(name) in others), None)
        near = get_close_matches(layout.key(name), [o for others in COLUMNS.values() for o in others], 1, _NEAR)
        if ours in found:
            faults.append(Fault(1, name, "", f"is {ours}, as {found[ours]} is", "keep one of the two"))
            twice.add(ours)
        elif ours is not None:
            found[ours] = name
        elif near:
            faults.append(Fault(1, name, "", f"is no column of ours, but near {near[0]}", "rename it"))
    allowed = {name: " or ".join(COLUMNS[name]) for name in NEEDED}
    faults += [
        Fault(1, name, "", f"is missing among {raw.plain(', '.join(names), 200) or 'no columns'}", f"name it {told}")
        for name, told in allowed.items()
        if name not in found
    ]
    if not twice.isdisjoint(NEEDED) or not found.keys() >= set(NEEDED):
        raise BadCalendar(file, faults)
    return {ours: name for ours, name in found.items() if ours not in twice}, faults


# ---- the cells


def _read(rows, root, unit):
    """Put into each row what can be read of its cells; the faults of those that cannot."""
    faults = []
    for column in ("day", "decided", "end"):
        _days(rows, column, faults)
    known = [row.read["day"] for row in rows if "day" in row.read]
    for k, row in enumerate(rows):
        near = row.read.get("day") or (known[min(k, len(known) - 1)] if known else None)
        readers = {
            "from": lambda text, near=near: _contract(text, root, near),
            "to": lambda text, near=near: _contract(text, root, near),
            "from_price": lambda text: codes.quote(text, unit),
            "to_price": lambda text: codes.quote(text, unit),
            "time": _moment,
            "reason": str,
            "rank": _rank,
        }
        for column, reader in readers.items():
            text = row.text.get(column, "")
            if text.lower() in EMPTY:
                if column in NEEDED:
                    faults.append(row.fault(column, "is empty", "write the contract as 202003, 2020H or H20"))
                continue
            try:
                row.read[column] = reader(text)
            except (ValueError, OverflowError) as error:
                faults.append(row.fault(column, *_why(column, error)))
    for column in OF_ALL:
        _agree(rows, column, faults)
    return faults


def _agree(rows, column, faults):
    """What is told of the whole calendar is the same in all rows that tell it."""
    read = lambda row: row.read[column] if column in row.read else row.text.get(column, "")  # noqa: E731
    telling = [row for row in rows if row.text.get(column, "").lower() not in EMPTY]
    for row in telling:
        if read(row) != read(telling[0]):
            told = f"is not {telling[0].text[column]}, as row {telling[0].line} says of the whole calendar"
            faults.append(row.fault(column, told, "write the same in all rows, or one file a calendar"))


def _why(column, error):
    if column in ("from", "to"):
        return str(error), "write it as 202003, 2020H or H20"
    if column == "time":
        return "is no moment", "write it as 2020-03-09T22:00:00Z, or leave it empty"
    if column == "rank":
        return "is no rank", "write 0 for the held contract, 1 for the one after it, and so on"
    return "is no price", f"{str(error).partition(': ')[2]}, or leave it empty"


def _days(rows, column, faults):
    texts = pl.Series([_CLOCK.sub("", row.text.get(column, "")) for row in rows])
    texts = texts.set(texts.str.to_lowercase().is_in(EMPTY), None)
    try:
        days = texts.str.to_datetime(layout.date_pattern(texts, ""), strict=False).dt.date()
    except raw.Unreadable as error:
        told = str(error).partition(": ")[2]
        faults.append(Fault(None, rows[0].heads[column], texts.drop_nulls()[0], told, "2020-03-09 is one day only"))
        return
    for row, text, day in zip(rows, texts, days, strict=True):
        if day is not None:
            row.read[column] = day
        elif column in NEEDED or text is not None:
            faults.append(row.fault(column, "is no date" if text else "is empty", "write it as 2020-03-09"))


def _contract(text, root, day):
    """The contract that a text means in a row of that day."""
    text = text.removesuffix(".0")
    year_first = _YEAR_FIRST.fullmatch(text)
    near = day or date.today()
    for written in (text, f"{root}-{year_first[1]}{year_first[2]}" if year_first else f"{root}{text}"):
        try:
            owner, contract = codes.parse_code(written, near)
        except codes.BadCode:
            continue
        if owner not in ("", root):
            raise ValueError(f"is a contract of {owner}, not of {root}")
        return contract
    raise ValueError("is no contract")


def _rank(text):
    if not _RANK.fullmatch(text):
        raise ValueError("is no rank")
    return int(text)


def _moment(text):
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _told(rows, column):
    """What a column says in all rows; empty where it does not say the same."""
    texts = {row.text.get(column, "") for row in rows}
    return texts.pop() if len(texts) == 1 else ""
