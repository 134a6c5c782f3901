"""What kind of text table a part is, told from its first line: separator, header or none, and the pattern of its dates.

1. Nothing is inferred from numbers: a first line that begins with a date, or with the name of a contract, is a row;
   any other is a header.
2. `01/02/2024` is read by the order, day or month first, that all dates of the file allow. Where both fit, the file is
   refused: a guess would be right half of the time.
"""

import re
from functools import lru_cache

import polars as pl

from store import raw
from store.reading import daily

SEPARATORS = ",;\t"
SUFFIX = r"\.(?i:csv|txt)"
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|")  # or nothing
_SHAPES = tuple(
    (re.compile(shape), patterns)
    for shape, patterns in (
        (r"\d{8}", ("%Y%m%d",)),
        (r"\d{4}-\d\d?-\d\d?", ("%Y-%m-%d",)),
        (r"\d{4}/\d\d?/\d\d?", ("%Y/%m/%d",)),
        (r"\d{4}\.\d\d?\.\d\d?", ("%Y.%m.%d",)),
        (r"\d\d?/\d\d?/\d{4}", ("%d/%m/%Y", "%m/%d/%Y")),
        (r"\d\d?-\d\d?-\d{4}", ("%d-%m-%Y", "%m-%d-%Y")),
        (r"\d\d?\.\d\d?\.\d{4}", ("%d.%m.%Y",)),  # the point is European
        (r"\d\d?-[A-Za-z]{3}-\d{4}", ("%d-%b-%Y",)),
        (r"\d\d? [A-Za-z]{3} \d{4}", ("%d %b %Y",)),
    )
)
UNKNOWN = "%Y%m%d"  # of dates of no shape: their rows are at fault, whatever the pattern


@lru_cache(maxsize=4096)  # the files of one export share their header
def cells(line, separators=SEPARATORS):
    """The separator of a line and its fields, without quotes and blanks around them.

    >>> cells('"Date";Close')
    (';', ('Date', 'Close'))
    """
    separator = max(separators, key=line.count)
    return separator, tuple(field.strip(' \t"') for field in line.split(separator))


def key(name):
    """A name of a column without capitals, blanks and underscores.

    >>> key("Open Interest")
    'openinterest'
    """
    return name.lower().replace(" ", "").replace("_", "")


def has(fields, needed):
    """Whether fields are a header with all the `needed` keys."""
    return set(needed) <= {key(name) for name in fields}


def numbers(frame, columns, missing=("",)):
    """The frame with our numbers in place of the vendor's texts: `columns` is {theirs: ours}.

    The texts go: a header's `close` whose number is our `settle` must not be taken for our `close`.
    """
    for text, name in columns.items():
        frame = raw.number(frame, text, name, missing)
    return frame.drop(text for text in columns if text not in columns.values())


def patterns(text):
    """Patterns of strptime that a text has the shape of; none if it is no date.

    >>> patterns("20240131"), patterns("31/01/2024"), patterns("soon")
    (('%Y%m%d',), ('%d/%m/%Y', '%m/%d/%Y'), ())
    """
    return next((found for shape, found in _SHAPES if shape.fullmatch(text)), ())


def is_row(fields, least):
    """Whether fields are a date and, behind it, at least `least` numbers or blanks."""
    return len(fields) > least and bool(patterns(fields[0])) and all(NUMBER.fullmatch(field) for field in fields[1:])


def date_pattern(texts, place):
    """The pattern of dates in a column of text.

    Parameters
    ----------
    texts : Series of text
    place : str
        The file, for the refusal.

    Raises
    ------
    Unreadable
        The dates may be read in two ways.

    >>> date_pattern(pl.Series(["01/02/2024", "15/02/2024"]), "x.csv")
    '%d/%m/%Y'
    """
    found = next((found for text in texts.drop_nulls().head(1000) if (found := patterns(text))), (UNKNOWN,))
    if len(found) == 1:
        return found[0]
    read = [texts.str.to_datetime(pattern, strict=False) for pattern in found]
    failed = [dates.null_count() for dates in read]
    if failed[0] == failed[1] and not read[0].equals(read[1], null_equal=True):
        told = raw.plain(texts.drop_nulls()[0], 40)
        raise raw.Unreadable(
            f"{place}: dates such as {told} may begin with the day or with the month; export them as YYYYMMDD"
        )
    return found[failed.index(min(failed))]


def days(frame, text, pattern):
    """The frame with `day`, `time` and `source_time` of daily bars from a column of dates."""
    frame = raw.stamp(frame, text, pattern)
    return daily(frame.with_columns(pl.col("stamp").dt.date().alias("day"), pl.col(text).alias("source_time")))
