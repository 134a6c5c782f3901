"""A vendor's file as rows of text, every line accounted for.

1. Readers of CSV succeed on damaged files (RELIABILITY part 4), so nothing here infers: a file is split into lines,
   lines into fields, fields into numbers and dates, and whatever fails keeps its text, line and reason (`fault`).
2. A line ends at CR LF, LF or CR and nowhere else; line 1 is the header; a line of spaces and tabs is no row.
3. What makes a whole file useless is `Unreadable`: one sentence with the file, the line if there is one, and why.
4. Bytes that are not UTF-8 stay visible as `\\xe9`, and fail where a number or a date is wanted.
5. Members of a zip are read in memory and known by their names only: no path in one leads anywhere.
6. A store's own files are no vendor's: a store in a folder is passed by, and one that is named is refused.
"""

import gzip
import hashlib
import io
import lzma
import os
import re
import stat
import struct
import zipfile
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from store import lines

SUFFIXES = (".csv", ".txt", ".dat", ".parquet", ".dbn", ".zst", ".zip", ".gz")  # what is taken from a folder
TABLES = (".csv", ".txt")  # text
MEMBERS_TAKEN = (*TABLES, ".dat", ".parquet", ".dbn", ".zst")  # what is taken from a zip
MANIFEST = re.compile(r"\d{10}\.json")  # a snapshot of a store
DOWNLOADS = "downloads"  # where a store keeps what a vendor's service gave
A_STORE = "part of a store, no vendor's file: `frontmonth export` brings its tables elsewhere, a copy of it is a backup"
NO_DATA = (".specs.txt",)  # CSI's description of a file beside it
TEXTS = ("license", "licence", "readme", "copying", "notice", "changelog")  # what stands beside data for people to read
LIMIT = 1 << 30  # a file, packed or not, is at most this long: it is held in memory several times over [bytes]
OURS = ("part", "line", "raw", "column", "fault", "found", "cells", "file")  # names that a vendor's column cannot have
MEMBERS = 20_000  # of a zip
ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
GZIP = b"\x1f\x8b"
BLANK = lines.BLANK
FIRST_YEAR = 1848  # the Board of Trade of Chicago; `24-02-01` is no day of the year 24
UTF16 = (b"\xff\xfe", b"\xfe\xff")
_DAMAGE = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError,
           RuntimeError, ValueError, LookupError, OverflowError)  # fmt: skip


class Unreadable(ValueError):
    """A file that cannot be used at all; the message names it and says why."""


class LeftOut(Unreadable):
    """A file that is known and not imported on purpose: no error where it was found in a folder and not asked for."""

    def __init__(self, place, reason):
        super().__init__(f"{place}: {reason}")
        self.reason = reason


@dataclass(frozen=True)
class Part:
    """One table of a file: itself, or a member of a zip. `place` names it in messages, `name` is without folders.

    Of a large file it may be a piece (`pieces`): lines that follow `first` others, of which `head` has the first; or of
    Parquet `rows`, (path, number of the first row, how many), and no `data`.
    """

    place: str
    name: str
    data: bytes
    head: bytes = b""
    first: int = 0
    rows: tuple | None = None

    def header(self):
        """Its first line; of bytes that are no text, whatever stands there."""
        return self._header

    @cached_property
    def _header(self):  # each vendor asks for it
        _no_utf16(self)
        return lines.beginning(lines.normal(self.data[:4096]))[0].strip(BLANK)


@dataclass(frozen=True)
class RawFile:
    """A file as it came: its tables, whether they are members of a zip, and the members that are none."""

    path: Path
    sha256: str
    parts: tuple
    left_out: tuple = ()
    packed: bool = False


def plain(text, length=None):
    r"""Text for a message: on one line, whatever a name or a cell holds, and not longer than `length`.

    >>> plain("a\nb\x1b[1m")
    'a\\nb\\x1b[1m'
    """
    shown = str(text)
    if not shown.isprintable():
        shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)
    return shown if length is None or len(shown) <= length else shown[:length] + "…"


def files(paths):
    """The files of `paths`, folders searched, links followed once: a list of (path, what is wrong or None)."""
    found = []
    for path in map(Path, paths):
        if _of_a_store(path):
            found.append((path, f"{plain(path)}: {A_STORE}"))
        else:
            found += _inside(path) if os.path.isdir(path) else [(path, None)]
    return found


def _of_a_store(path):
    """Whether a path is a store, or one of its own files; what was downloaded into a store is a vendor's."""
    path = Path(os.path.realpath(path))
    above = [path, *path.parents]
    store = next((folder for folder in above if _is_store(folder)), None)
    return store is not None and path.relative_to(store).parts[:1] != (DOWNLOADS,)


def _is_store(folder):
    """Whether a folder is a store: it has snapshots, or all folders of a new one."""
    if not os.path.isdir(folder / "snapshots"):
        return False
    if all(os.path.isdir(folder / name) for name in ("data", "runs")):
        return True
    return any(MANIFEST.fullmatch(name) for name in os.listdir(folder / "snapshots"))


def _inside(folder):
    found, seen = [], set()
    failed = lambda error: found.append((Path(error.filename), f"{plain(error.filename)}: {error.strerror}"))  # noqa: E731
    for place, folders, names in os.walk(folder, onerror=failed, followlinks=True):
        facts = os.stat(place)
        if (facts.st_dev, facts.st_ino) in seen:  # a link back
            folders.clear()
            continue
        seen.add((facts.st_dev, facts.st_ino))
        folders[:] = [name for name in folders if not _is_store(Path(place, name))]
        found += [(Path(place, name), None) for name in names if _taken(name, SUFFIXES)]
    return sorted(found) or [(folder, f"{plain(folder)}: no file in it ends in {', '.join(SUFFIXES)}")]


def _taken(name, suffixes):
    return name.lower().endswith(suffixes) and not name.startswith(".")


def is_text(name):
    """Whether a file is for people to read, by its name: `LICENSE.txt`, `Readme.txt`."""
    stem, _, end = name.lower().rpartition(".")
    return end == "txt" and stem in TEXTS


def open_file(path):
    """Read a file whole; unpack gz and zip.

    Parameters
    ----------
    path : path

    Returns
    -------
    RawFile

    Raises
    ------
    Unreadable
        Missing, not a regular file, empty, damaged, encrypted, longer than `LIMIT`, or a zip without a table.
    """
    path = Path(path)
    told = plain(path)
    try:
        facts = os.stat(path)
        if not stat.S_ISREG(facts.st_mode):
            raise Unreadable(f"{told}: not a regular file")
        _small(told, facts.st_size)
        with open(path, "rb") as file:
            data = file.read(LIMIT + 1)  # it may be growing
    except FileNotFoundError:
        raise Unreadable(f"{told}: no such file") from None
    except OSError as error:
        raise Unreadable(f"{told}: {error.strerror}") from error
    _small(told, len(data))
    if not data:
        raise Unreadable(f"{told}: the file is empty (0 bytes)")
    try:
        parts, left_out = _parts(path, data)
    except Unreadable:
        raise
    except _DAMAGE as error:
        raise Unreadable(f"{told}: cannot be unpacked: {plain(error, 100)}") from error
    return RawFile(path, hashlib.sha256(data).hexdigest(), tuple(parts), tuple(left_out), data[:4] in ZIP)


def joined(files):
    """Several files of one folder as one, to be read together."""
    if len(files) == 1:
        return files[0]
    parts = tuple(part for file in files for part in file.parts)
    return RawFile(files[0].path.parent, "", parts)


def _small(told, size):
    if size > LIMIT:
        raise Unreadable(f"{told}: longer than {LIMIT >> 20} MiB; split it")


def _parts(path, data):
    name = plain(path.name)
    if data[:4] in ZIP:
        return _members(name, data)
    if data[:2] == GZIP:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
            data = packed.read(LIMIT + 1)
        _small(name, len(data))
        return [Part(name, path.stem, data)], []
    return [Part(name, path.name, data)], []


def _members(name, data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [m for m in archive.infolist() if not m.is_dir()]
        names = {m: m.filename.replace("\\", "/") for m in members}
        tables = [
            m
            for m in members
            if _taken(names[m].split("/")[-1], MEMBERS_TAKEN)
            and not names[m].lower().endswith(NO_DATA)
            and not names[m].startswith("__MACOSX/")
        ]
        if len(members) > MEMBERS:
            raise Unreadable(f"{name}: more than {MEMBERS} members")
        _small(name, sum(m.file_size for m in tables))
        left_out = sorted(plain(names[m]) for m in members if m not in tables)
        if not tables:
            raise Unreadable(f"{name}: no csv among its members {plain(', '.join(left_out[:5]), 200) or '(none)'}")
        tables.sort(key=lambda m: m.filename)
        return [Part(f"{name}/{plain(names[m])}", names[m].split("/")[-1], archive.read(m)) for m in tables], left_out


def table(parts, wanted, separator=",", header=None, skip=None):
    r"""The rows of several parts of one layout, columns picked by the names in each part's header.

    Parameters
    ----------
    parts : list of Part
    wanted : list of str
        Names of columns; others are left alone.
    separator : str
    header : list of str, optional
        Names of the fields of files that have no header line.
    skip : callable(list of str) -> int, optional
        How many lines stand before the header (or before the first row), told from a part's lines.

    Returns
    -------
    DataFrame
        `part` (its number), `line` (the header is line 1), `raw` (the row's text), a column of text for each wanted
        name, `column` and `fault`: null, or what is wrong with the row and where. A row with another number of fields
        than the header is at fault.

    Raises
    ------
    Unreadable
        UTF-16, no header, a wanted column that is missing or there twice.

    >>> rows = table([Part("x.csv", "x.csv", b"a,b\r\n1,2\r\n\r\n3\r\n")], ["b"])
    >>> rows.select("line", "b", "fault").rows()
    [(2, '2', None), (4, None, '1 fields instead of 2')]
    """
    alike = {}
    for number, part in enumerate(parts):
        head, first, body = _parted(part, separator, header, skip)
        alike.setdefault(head, []).append((number, first, body))
    frames = [_block(parts, head, members, wanted, separator) for head, members in alike.items()]
    return frames[0] if len(frames) == 1 else pl.concat(frames).sort("part", "line")


def _parted(part, separator, header, skip):
    """The header of a part, the number of its first line of rows, and the bytes from there on."""
    _no_utf16(part)
    if part.first:
        head, _, _ = _parted(Part(part.place, part.name, part.head), separator, header, skip)
        return head, part.first + 1, lines.normal(part.data)
    data = lines.normal(part.data)
    before = skip(lines.beginning(data)) if skip else 0
    if header is not None:
        return separator.join(header), before + 1, data[lines.after(data, before) :]
    start, end = lines.after(data, before), lines.after(data, before + 1)
    head = lines.text(data[start:end]).removesuffix("\n")
    if not head.strip(BLANK):
        raise Unreadable(f"{part.place}: line {before + 1}: no header")
    return head, before + 2, data[end:]


def _no_utf16(part):
    if part.data[:2] in UTF16:
        raise Unreadable(f"{part.place}: line 1: UTF-16 text; save it as UTF-8")


def _block(parts, head, members, wanted, separator):
    """Rows of the parts that share one header."""
    header = [name.strip(BLANK) for name in lines.fields(head, separator)]
    numbers, firsts, bodies = zip(*members, strict=True)
    for column in wanted:
        if header.count(column) != 1:
            wrong = "twice" if column in header else f"not in the header, which has {plain(', '.join(header), 120)}"
            raise Unreadable(f"{parts[numbers[0]].place}: line {firsts[0] - 1}: column {column} is {wrong}")
    frame = lines.rows(bodies, separator, header, list(wanted))
    part = frame["part"].to_numpy()
    frame = frame.with_columns(
        pl.Series("part", np.array(numbers, np.int32)[part]),
        pl.col("line") + pl.Series(np.array(firsts, np.int64)[part]),
    )
    return _faulty(frame, header).drop("found")


def _faulty(frame, header):
    """The frame with `column` and `fault`: a row with another number of fields is at fault where it ends."""
    whole = (pl.col("found") == len(header)).fill_null(True)
    if frame.select(whole.all()).item():
        return frame.with_columns(pl.lit(None, pl.String).alias(name) for name in ("column", "fault"))
    cut = pl.col("found").cast(pl.Int64).replace_strict(dict(enumerate(header)), default=header[-1])
    reason = pl.format("{} fields instead of {}", "found", pl.lit(len(header)))
    frame = frame.with_columns(
        pl.when(~whole).then(cut).cast(pl.String).alias("column"), pl.when(~whole).then(reason).alias("fault")
    )
    return frame.with_columns(pl.when(whole).then(name).alias(name) for name in frame.columns if name in header)


def blame(frame, text, wrong, what):
    """Rows that are `wrong` (an expression) get a fault: column `text`, and `what` with the text; earlier ones stay."""
    return _blame(frame, text, frame.select(wrong.alias("wrong")).to_series(), what)


def _blame(frame, text, wrong, what):
    bad = wrong.fill_null(False) & frame["fault"].is_null()
    if not bad.any():
        return frame
    reason = pl.format("{}: {}", pl.lit(what), pl.col(text).fill_null("").str.slice(0, 40))
    return frame.with_columns(
        pl.when(bad).then(pl.lit(text)).otherwise("column").alias("column"),
        pl.when(bad).then(reason).otherwise("fault").alias("fault"),
    )


def number(frame, text, name, missing=("",)):
    """Cast column `text` to a float column `name`; what is neither a number nor missing becomes the row's fault."""
    cells = frame[text]
    value = cells.cast(pl.Float64, strict=False)
    if value.null_count() or tuple(missing) != ("",):  # the usual case is quick: all cells are numbers
        blank = cells.is_in(list(missing))
        frame = _blame(frame, text, value.is_null() & ~blank, "not a number")
        value = frame.select(pl.when(~blank).then(value)).to_series()
    return frame.with_columns(value.alias(name))


def stamp(frame, text, pattern, name="stamp"):
    """Parse column `text` by a date pattern into a datetime `name`; what does not fit becomes the row's fault."""
    cells = frame[text]
    parsed = cells.str.to_datetime(pattern, strict=False)
    if parsed.null_count() or (parsed.dt.year() < FIRST_YEAR).any():
        parsed = frame.select(pl.when(parsed.dt.year() >= FIRST_YEAR).then(parsed)).to_series()
        frame = _blame(frame, text, parsed.is_null() & cells.is_not_null(), "not a date")
    return frame.with_columns(parsed.alias(name))


def month(frame, text, name, missing=("",)):
    """Parse a contract `YYYYMM` or `YYYYMM00` into a whole column `name`; what is none becomes the row's fault."""
    digits = pl.col(text).str.extract(r"^((?:19|20)\d\d(?:0[1-9]|1[0-2]))(?:\d\d(?:\.0)?)?$").cast(pl.Int32)
    blank = pl.col(text).is_in(list(missing))
    frame = blame(frame, text, digits.is_null() & ~blank, "not a contract YYYYMM00")
    return frame.with_columns(digits.alias(name))
