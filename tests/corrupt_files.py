"""Fifty and more files as vendors, mail programs and broken disks make them, and what becomes of each.

`FILES` maps a name to a `Case`. Text cases change `GOOD`, forty days of one contract in the layout `contract-csv`.
"""

import gzip
import io
import os
import zipfile
from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

HEADER = "date,open,high,low,settle,volume,open_interest"
NAME = "ES-2024H.csv"
HOURS = "Time,Open,High,Low,Close,Volume"


def _good():
    days = [date(2024, 1, 3) + timedelta(days=k) for k in range(58)]
    days = [day for day in days if day.weekday() < 5 and day not in (date(2024, 1, 15), date(2024, 2, 19))][:40]
    rows = []
    for k, day in enumerate(days):
        price = 4800 + 7 * k + 10 * (k % 3)
        rows.append(f"{day},{price},{price + 15.5},{price - 12.25},{price + 5},{1000000 + k},{2000000 + 90 * k}")
    return [HEADER, *rows]


GOOD = _good()


@dataclass(frozen=True)
class Case:
    """`make(folder)` writes the file and gives its path.

    Either `error`, words of the sentence by which it is refused; or `bad`, (line, column, rule) of each quarantined
    row, `warned` rows, and `found`, the rule of a finding that a check then has.
    """

    make: object
    error: str = ""
    bad: tuple = ()
    warned: int = 0
    found: str = ""
    rows: int = 40
    vendor: str | None = None
    root: str | None = None
    limit: int = 0  # of raw.LIMIT, for bombs that need not be big
    reason: str = ""  # words of the quarantined rows' reason


def text(lines, name=NAME, end="\n", code="utf-8"):
    """A writer of a text file."""
    return data((end.join(lines) + end).encode(code), name)


def data(content, name=NAME):
    """A writer of these bytes."""

    def make(folder):
        path = folder / name
        path.write_bytes(content)
        return path

    return make


def cells(line, **changes):
    """The good lines with some cells of one line (the header is line 1) changed."""
    names = HEADER.split(",")
    row = GOOD[line - 1].split(",")
    for name, value in changes.items():
        row[names.index(name)] = value
    return [*GOOD[: line - 1], ",".join(row), *GOOD[line:]]


def bad(rule, column, line=20, reason="", **changes):
    """A case of one bad cell, or several in one line."""
    return Case(text(cells(line, **changes)), bad=((line, column, rule),), reason=reason)


def times(factor, first, last):
    """The good lines with the prices of the lines first..last multiplied."""
    out = []
    for number, row in enumerate(GOOD, 1):
        parts = row.split(",")
        if first <= number <= last:
            parts[1:5] = [str(float(part) * factor) for part in parts[1:5]]
        out.append(",".join(parts))
    return out


def header(old, new):
    return [GOOD[0].replace(old, new), *GOOD[1:]]


def zipped(members, name="prices.zip", flag=False):
    """A writer of a zip; `flag` says that its members are encrypted."""

    def make(folder):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, lines in members.items():
                archive.writestr(member, lines if isinstance(lines, bytes) else "\n".join(lines) + "\n")
        content = bytearray(buffer.getvalue())
        if flag:
            for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
                content[content.index(signature) + offset] |= 1
        return data(bytes(content), name)(folder)

    return make


def sheet(body):
    """An Excel workbook, as far as an importer looks."""
    workbook = {"[Content_Types].xml": b"<Types/>", "xl/workbook.xml": b"<workbook/>"}
    return zipped(workbook | {"xl/worksheets/sheet1.xml": body.encode()}, "ES-2024H.xlsx")


def parquet(flip=False, **changes):
    """A writer of a Parquet file with the columns of our table; a type changed, or a byte of its footer."""

    def make(folder):
        rows = [line.split(",") for line in GOOD[1:]]
        frame = pl.DataFrame(rows, HEADER.split(","), orient="row").rename({"date": "day"})
        frame = frame.with_columns(pl.col("day").str.to_date(), pl.exclude("day").cast(pl.Float64))
        frame = frame.with_columns(contract=pl.lit(202403), **changes)
        path = folder / "ES.parquet"
        frame.write_parquet(path)
        if flip:
            content = bytearray(path.read_bytes())
            content[-20] ^= 0xFF
            path.write_bytes(bytes(content))
        return path

    return make


def _link(folder):
    target = data("\n".join(GOOD).encode(), "elsewhere.txt")(folder)
    path = folder / NAME
    path.symlink_to(target)
    return path


def _dangling(folder):
    path = folder / NAME
    path.symlink_to(folder / "gone.csv")
    return path


def _pipe(folder):
    path = folder / NAME
    os.mkfifo(path)
    return path


def _sparse(folder):
    path = folder / NAME
    path.touch()
    os.truncate(path, 5 << 30)
    return path


def _closed(folder):
    path = text(GOOD)(folder)
    path.chmod(0)
    return path


def hours(*rows):
    """An hourly file of Barchart's layout."""
    return text([HOURS, *rows], "Hour_SP500_micro_20240300.csv")


TWICE = "2024-02-05T15:00:00+0000,4950,4955,4940,4951,100"
FLAT = [GOOD[0], *(f"{line.split(',')[0]},4900,4910,4890,4905,1000,2000" for line in GOOD[1:])]
JUNE = [GOOD[0], *(line.replace("2024-01", "2024-06").replace("2024-02", "2024-06") for line in GOOD[1:21])]

FILES = {
    "cut off mid-row": Case(text([*GOOD[:-1], GOOD[-1][:20]], end="\n"), bad=((41, "low", "unparsed"),),
                            reason="3 fields instead of 7"),
    "missing column": Case(text(header("settle", "last")), error="column settle is not in the header",
                           vendor="contract-csv"),
    "extra column": Case(text([line + ",9" if k else line + ",x" for k, line in enumerate(GOOD)])),
    "renamed column": Case(text(header("high", "High")), error="column high is not in the header",
                           vendor="contract-csv"),
    "column named twice": Case(text(header("open,", "settle,")), error="column open is not in the header",
                               vendor="contract-csv"),
    "swapped columns": Case(text(header("high,low", "low,high")), error="no usable row among 40"),
    "wrong delimiter": Case(text([line.replace(",", ";") for line in GOOD]), error="column date is not in the header",
                            vendor="contract-csv"),
    "decimal comma": Case(text(cells(20, open='"4933,25"')), bad=((20, "open", "unparsed"),), reason="not a number"),
    "thousands": Case(text(cells(20, open='"4,933.25"')), bad=((20, "open", "unparsed"),),
                      reason="not a number: 4,933.25"),
    "thousands without quotes": Case(text(cells(20, open="4,933.25")), bad=((20, "open_interest", "unparsed"),),
                                     reason="8 fields instead of 7"),
    "byte order mark": Case(data(b"\xef\xbb\xbf" + "\n".join(GOOD).encode())),
    "UTF-16": Case(data("\n".join(GOOD).encode("utf-16")), error="line 1: UTF-16 text"),
    "latin-1": Case(text(cells(20, open="49é3"), code="latin-1"), bad=((20, "open", "unparsed"),), reason="xe9"),
    "NUL": bad("unparsed", "open", open="49\x0033"),
    "CR only": Case(text(GOOD, end="\r")),
    "mixed line ends": Case(data(("\r\n".join(GOOD[:20]) + "\r" + "\n".join(GOOD[20:])).encode())),
    "quotes unclosed": Case(text(cells(20, open='"4933')), bad=((20, "high", "unparsed"),),
                            reason="2 fields instead of 7"),
    "400-digit number": bad("settle_far", "settle", settle="9" * 300),
    "400-digit volume": bad("not_a_number", "volume", volume="9" * 400),
    "1e999": bad("not_a_number", "settle", settle="1e999"),
    "NaN": bad("not_a_number", "settle", settle="nan"),
    "infinity": bad("not_a_number", "high", high="inf"),
    "blank settlement": bad("no_price", "settle", settle=""),
    "dash": bad("no_price", "settle", settle="-"),
    "N/A": bad("no_price", "settle", settle="N/A"),
    "two-digit year": bad("unparsed", "date", date="24-02-05", reason="not a date: 24-02-05"),
    "day and month exchanged": bad("unparsed", "date", date="2024-30-01", reason="not a date"),
    "day/month/year": bad("unparsed", "date", date="05/02/2024", reason="not a date"),
    "30 February": bad("unparsed", "date", date="2024-02-30", reason="not a date: 2024-02-30"),
    "time zone suffix": bad("unparsed", "date", date="2024-02-05T00:00:00-06:00", reason="not a date"),
    "hour of the summer time twice": Case(hours(TWICE, TWICE.replace("4951", "4952")), rows=2,
                                          bad=((3, "Time", "duplicate"),)),
    "doubled row": Case(text([*GOOD[:20], GOOD[19], *GOOD[20:]]), rows=41, warned=1),
    "doubled day with other values": Case(text([*GOOD[:20], cells(20, volume="7")[19], *GOOD[20:]]), rows=41,
                                          bad=((21, "date", "duplicate"),)),
    "unsorted": Case(text([*GOOD[:10], GOOD[11], GOOD[10], *GOOD[12:]]), warned=1),
    "descending": Case(text([GOOD[0], *GOOD[:0:-1]]), warned=39),
    "two markets under one name": Case(zipped({"ES-2024H.csv": GOOD, "NQ-2024H.csv": GOOD}), root="ES",
                                       error="holds 2 markets"),
    "months after the expiry": Case(text(JUNE, "ES-2024H.csv"), error="years before or 2 months after delivery"),
    "contract after expiry": Case(text(GOOD, "ES-2024F.csv"), found="after_last_trade"),
    "unknown month code": Case(text(GOOD, "ES-2024A.csv"), error="no vendor recognises"),
    "negative volume": bad("negative_volume", "volume", volume="-5"),
    "high below low": bad("range", "high", high="4000", low="4900"),
    "a hundredfold day": Case(text(times(100.0, 30, 30)), found="unit_slip"),
    "a hundredfold rest": Case(text(times(0.01, 30, 41)), found="unit_slip"),
    "eighths": bad("unparsed", "open", open="4933'2", reason="not a number: 4933'2"),
    "off the tick": Case(text(cells(20, high="4999.13")), found="off_tick"),
    "stale month": Case(text(FLAT), found="stale"),
    "empty lines": Case(data(b"\n\n \n"), error="no vendor recognises"),
    "header only": Case(text(GOOD[:1]), error="no usable row among 0"),
    "0 bytes": Case(data(b""), error="the file is empty"),
    "HTML error page": Case(text(["<!DOCTYPE html>", "<html><body>429 Too many requests</body></html>"]),
                            error="no vendor recognises this file; its first line is '<!DOCTYPE html>'"),
    "zip with 2 CSVs": Case(zipped({"ES-2024H.csv": GOOD, "ES-2024M.csv": GOOD}), rows=80),
    "zip with a wrong member": Case(zipped({"ES-2024H.csv": GOOD, "notes.csv": ["hello"]}), error="prices.zip"),
    "zip bomb": Case(zipped({NAME: b"0" * (1 << 21)}), error="longer than", limit=1 << 20),
    "zip slip": Case(zipped({"../../../ES-2024H.csv": GOOD})),
    "encrypted zip": Case(zipped({NAME: GOOD}, flag=True), error="cannot be unpacked"),
    "Excel with formulas": Case(sheet("<c><f>A1*100</f></c>"), error="no csv among its members"),
    "Excel with merged header": Case(sheet("<mergeCell ref='A1:C1'/>"), error="no csv among its members"),
    "gz cut": Case(data(gzip.compress("\n".join(GOOD).encode(), mtime=0)[:200], NAME + ".gz"),
                   error="cannot be unpacked"),
    "Parquet with wrong types": Case(parquet(settle=pl.lit("dear")), error="no usable row among 40"),
    "Parquet bit flip": Case(parquet(flip=True), error="ES.parquet"),
    "link": Case(_link),
    "dangling link": Case(_dangling, error="no such file"),
    "FIFO": Case(_pipe, error="not a regular file"),
    "5 GB sparse": Case(_sparse, error="longer than 1024 MiB"),
    "no permission": Case(_closed, error="Permission denied"),
    "name with a line break": Case(text(GOOD, "a\nb.csv"), error="no vendor recognises"),
    "name with quotes and an emoji": Case(text(GOOD, "'\"<b>😀.csv"), error="no vendor recognises"),
    "name of dots": Case(text(GOOD, "..-2024H.csv"), error="..-2024H.csv"),
}  # fmt: skip
