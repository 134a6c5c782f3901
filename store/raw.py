"""A vendor's file as rows of text, every line accounted for.

Readers of CSV succeed on damaged files (a reader's success means nothing), so nothing here infers: a file is split
into lines, lines into fields, fields into numbers and dates, and whatever fails keeps its text, line and reason.
"""

import csv
import gzip
import hashlib
import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import polars as pl

LIMIT = 4 << 30  # bytes that one file may unpack to


class Unreadable(ValueError):
    """A file that cannot be used at all; the message names it and says why."""


@dataclass(frozen=True)
class RawFile:
    """A file as it came: `parts` are (name, bytes), one for a plain file, one a member for a zip."""

    path: Path
    sha256: str
    parts: tuple

    @property
    def name(self):
        """Name of the file without its folder."""
        return self.path.name

    def first_line(self):
        """First line of the first part, for recognising a layout."""
        head = self.parts[0][1][:4096] if self.parts else b""
        return head.decode("utf-8-sig", "replace").split("\n", 1)[0].strip()


def open_file(path):
    """Read `path` whole, unpack gz and zip.

    Raises
    ------
    Unreadable
        Missing, not a regular file, empty, damaged, encrypted, or unpacking to more than 4 GiB.
    """
    path = Path(path)
    if not path.exists():
        raise Unreadable(f"{path}: no such file")
    if not path.is_file():
        raise Unreadable(f"{path}: not a regular file")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from error
    if not data:
        raise Unreadable(f"{path}: the file is empty (0 bytes)")
    digest = hashlib.sha256(data).hexdigest()
    try:
        return RawFile(path, digest, tuple(_parts(path, data)))
    except (zipfile.BadZipFile, gzip.BadGzipFile, EOFError, zlib.error, RuntimeError, NotImplementedError) as error:
        raise Unreadable(f"{path}: cannot be unpacked: {error}") from error


def _parts(path, data):
    if data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = sorted((m for m in archive.infolist() if not m.is_dir()), key=lambda m: m.filename)
            if sum(m.file_size for m in members) > LIMIT:
                raise Unreadable(f"{path}: unpacks to more than {LIMIT >> 30} GiB")
            return [(PurePosixPath(m.filename).name, archive.read(m)) for m in members]
    if data[:2] == b"\x1f\x8b":
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
            plain = packed.read(LIMIT + 1)
        if len(plain) > LIMIT:
            raise Unreadable(f"{path}: unpacks to more than {LIMIT >> 30} GiB")
        return [(path.stem, plain)]
    return [(path.name, data)]


def rows(name, data, separator=","):
    """Split one part into its header and its rows.

    Returns
    -------
    header : list of str
    frame : columns `line` (the header is line 1), `raw` (the row's text), `fields` (list of texts)
        Blank lines are not rows.

    Examples
    --------
    >>> header, frame = rows("x.csv", b"a,b\\n1,2\\n\\n3\\n")
    >>> header, frame["line"].to_list(), frame["fields"].to_list()
    (['a', 'b'], [2, 4], [['1', '2'], ['3']])
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(f"{name}: not UTF-8 text (byte {error.start})") from error
    lines = text.splitlines()
    if not lines or not lines[0].strip():
        raise Unreadable(f"{name}: no header line")
    frame = pl.DataFrame(
        {"line": range(2, len(lines) + 1), "raw": lines[1:]}, schema={"line": pl.Int64, "raw": pl.String}
    )
    frame = frame.filter(pl.col("raw").str.strip_chars() != "")
    if '"' in text:
        fields = pl.Series(
            "fields",
            [next(csv.reader([line], delimiter=separator), []) for line in frame["raw"]],
            dtype=pl.List(pl.String),
        )
        header = next(csv.reader([lines[0]], delimiter=separator))
        return [h.strip() for h in header], frame.with_columns(fields)
    fields = pl.col("raw").str.split(separator).alias("fields")
    return [h.strip() for h in lines[0].split(separator)], frame.with_columns(fields)


def columns(name, header, frame, wanted):
    """Pick the columns `wanted` by name; a row with another number of fields gets a fault.

    Returns
    -------
    frame with `line`, `raw`, one text column a wanted name, `column` and `fault` (null where the row is whole)

    Raises
    ------
    Unreadable
        A wanted column is missing from the header.
    """
    missing = [column for column in wanted if column not in header]
    if missing:
        raise Unreadable(f"{name}: line 1: no column {missing[0]!r}; the header has {', '.join(header)}")
    whole = pl.col("fields").list.len() == len(header)
    picked = [
        pl.when(whole)
        .then(pl.col("fields").list.get(header.index(column), null_on_oob=True).str.strip_chars())
        .alias(column)
        for column in wanted
    ]
    reason = pl.format("{} fields instead of {}", pl.col("fields").list.len(), pl.lit(len(header)))
    fault = [
        pl.when(~whole).then(pl.lit(header[-1])).alias("column"),
        pl.when(~whole).then(reason).alias("fault"),
    ]
    return frame.select("line", "raw", *picked, *fault)


def number(frame, text, name, missing=("",)):
    """Cast column `text` to a float column `name`; what is neither a number nor missing becomes the row's fault."""
    value = pl.col(text).cast(pl.Float64, strict=False)
    blank = pl.col(text).is_in(list(missing))
    return _cast(
        frame, text, pl.when(blank).then(None).otherwise(value).alias(name), value.is_null() & ~blank, "not a number"
    )


def _cast(frame, text, parsed, wrong, what):
    bad = wrong & pl.col(text).is_not_null() & pl.col("fault").is_null()
    return frame.with_columns(
        parsed,
        pl.when(bad).then(pl.lit(text)).otherwise("column").alias("column"),
        pl.when(bad)
        .then(pl.format("{}: {}", pl.lit(what), pl.col(text).str.slice(0, 40)))
        .otherwise("fault")
        .alias("fault"),
    )


def stamp(frame, text, pattern, name="stamp"):
    """Parse column `text` by a date pattern into a datetime column `name`; what does not fit becomes the row's fault."""
    parsed = pl.col(text).str.to_datetime(pattern, strict=False)
    return _cast(frame, text, parsed.alias(name), parsed.is_null(), "not a date")
