"""Lines and fields of text files, as bytes: a quick way for what is provably regular, a careful one for the rest.

1. A line ends at CR LF, LF or CR and nowhere else; a line of spaces and tabs is no row.
2. Bytes are regular if they hold printable ASCII without a double quote, and every line has as many fields as the
   header. Only then a reader of CSV may split them: on all else such readers guess (RELIABILITY part 4).
3. Both ways give the same rows; the quick one is about three times as fast.
"""

import csv

import numpy as np
import polars as pl

BLANK = " \t"
MARK = b"\xef\xbb\xbf"  # of UTF-8, at the start of a file
PLAIN = bytes(code for code in range(32, 127) if code != ord('"')) + b"\t\n"
NEVER = "\x1e"  # a separator that is in no regular text: the line as one field
BEGINNING = 1 << 16  # what is shown to those who look for a header [bytes]


def normal(data):
    """The bytes with LF at line ends and without a byte order mark."""
    data = data.removeprefix(MARK)
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in data else data


def text(data):
    """Bytes as text; what is no UTF-8 stays visible as `\\xe9`."""
    return data.decode("utf-8", "backslashreplace")


def beginning(data):
    """The first lines of normal bytes."""
    if len(data) > BEGINNING:
        data = data[: data.rfind(b"\n", 0, BEGINNING) + 1 or BEGINNING]
    return text(data).split("\n")


def after(data, count):
    """Where the line begins that follows `count` lines of normal bytes; their length if there is none."""
    place = 0
    for _ in range(count):
        place = data.find(b"\n", place) + 1
        if not place:
            return len(data)
    return place


def rows(bodies, separator, header, wanted):
    """Rows of several bodies, which are normal bytes without their headers.

    Returns
    -------
    DataFrame
        `part` (number of the body), `line` (counted from 0 in each body), `raw`, a column of text for each wanted name
        of the header, and `found`, the number of fields; null where it is right in all rows. In order of part and line.
    """
    bodies = [body.removesuffix(b"\n") for body in bodies]
    numbers = [number for number, body in enumerate(bodies) if body]
    whole = b"\n".join(bodies[n] for n in numbers) + b"\n"
    if _regular(whole, separator, len(header)):
        return _quick(bodies, numbers, whole, separator, header, wanted)
    quick = [n for n in numbers if len(numbers) > 1 and _regular(bodies[n] + b"\n", separator, len(header))]
    slow = [n for n in numbers if n not in set(quick)]
    frames = [_careful(bodies, slow, separator, header, wanted)]
    if quick:
        whole = b"\n".join(bodies[n] for n in quick) + b"\n"
        frames.append(_quick(bodies, quick, whole, separator, header, wanted))
    return pl.concat(frames).sort("part", "line")


def fields(line, separator):
    """The fields of one line."""
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:  # a field longer than the module takes
        return line.split(separator)


def _regular(data, separator, width):
    if width < 2 or len(separator) != 1 or len(data) < 2 or data.translate(None, PLAIN):
        return False
    codes = np.frombuffer(data, np.uint8)
    ends, cuts = np.flatnonzero(codes == 10), np.flatnonzero(codes == ord(separator))
    if len(cuts) != len(ends) * (width - 1):
        return False
    cuts = cuts.reshape(len(ends), width - 1)
    return bool((cuts[:, -1] < ends).all() and (cuts[1:, 0] > ends[:-1]).all())


def _quick(bodies, numbers, data, separator, header, wanted):
    counts = [bodies[n].count(b"\n") + 1 for n in numbers]
    names = [str(k) for k in range(len(header))]
    picked = [str(header.index(name)) for name in wanted]
    cells = _split(data, separator, names).select(pl.col(p).alias(n) for p, n in zip(picked, wanted, strict=True))
    if b" " in data or b"\t" in data:
        cells = cells.with_columns(pl.all().str.strip_chars(BLANK))
    frame = _places(numbers, counts).with_columns(_split(data, NEVER, ["raw"])["raw"], *cells)
    if separator in BLANK:  # a line of nothing else
        frame = frame.filter(pl.col("raw").str.strip_chars(BLANK) != "")
    return frame.with_columns(pl.lit(None, pl.UInt32).alias("found"))


def _split(data, separator, names):
    """Fields of regular bytes, as text."""
    return pl.read_csv(
        data, has_header=False, separator=separator, quote_char=None, empty_string_is_null=False,
        schema=dict.fromkeys(names, pl.String), raise_if_empty=False,
    )  # fmt: skip


def _places(numbers, counts):
    line = np.concatenate([np.arange(count) for count in counts]) if counts else np.zeros(0)
    return pl.DataFrame(
        {"part": np.repeat(np.array(numbers, np.int32), counts).astype(np.int32), "line": line.astype(np.int64)}
    )


def _careful(bodies, numbers, separator, header, wanted):
    lines = [text(bodies[n]).split("\n") for n in numbers]
    frame = _places(numbers, [len(one) for one in lines])
    frame = frame.with_columns(pl.Series("raw", [line for one in lines for line in one], dtype=pl.String))
    frame = frame.filter(pl.col("raw").str.strip_chars(BLANK) != "")
    split = _quoted if frame["raw"].str.contains('"', literal=True).any() else _unquoted
    frame = split(frame, separator, header, wanted)
    frame = frame.with_columns(pl.col(wanted).str.strip_chars(BLANK))
    return frame.select("part", "line", "raw", *wanted, pl.col("found").cast(pl.UInt32))


def _quoted(frame, separator, header, wanted):
    split = [fields(line, separator) for line in frame["raw"]]
    at = {name: header.index(name) for name in wanted}
    cells = [
        pl.Series(name, [row[k] if k < len(row) else None for row in split], dtype=pl.String) for name, k in at.items()
    ]
    return frame.with_columns(pl.Series("found", [len(row) for row in split], dtype=pl.UInt32), *cells)


def _unquoted(frame, separator, header, wanted):
    split = pl.col("raw").str.split_exact(separator, len(header) - 1)
    picked = [pl.col("cells").struct.field(f"field_{header.index(name)}").alias(name) for name in wanted]
    found = pl.col("raw").str.count_matches(separator, literal=True) + 1
    return frame.with_columns(found.alias("found"), split.alias("cells")).with_columns(picked)
