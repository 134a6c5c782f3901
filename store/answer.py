"""An answer to a question in SQL: its rows, the same as text, and as a file that a spreadsheet may open."""

from dataclasses import dataclass
from io import BytesIO

import polars as pl

KINDS = (".csv", ".parquet")  # of files
RISKY = r"^[=+\-@\t\r]"


@dataclass(frozen=True)
class Answer:
    """Rows of an answer; `cut`: there are more than were asked for; `snapshot`: number of what was asked."""

    frame: pl.DataFrame
    cut: bool
    snapshot: int | None = None


def write(frame, path, kind):
    """Write an answer as a file; texts of a CSV are safe to open in a spreadsheet.

    Parameters
    ----------
    frame : DataFrame
    path : path
        Must not exist.
    kind : str
        One of `KINDS`.

    Raises
    ------
    OSError
        Part of it may stand there.
    """
    with open(path, "xb") as file:
        if kind == ".csv":
            file.write(csv(frame).encode())
        else:
            buffer = BytesIO()  # polars tells a full disk by errors of its own
            frame.write_parquet(buffer)
            file.write(buffer.getbuffer())


def csv(frame):
    """The text of a CSV: UTF-8, times in UTC, nothing where a value is missing, no cell that is a formula.

    >>> csv(pl.DataFrame({"=x": ["=1+1", None], "low": [-37.63, 1.0]}))
    "'=x,low\\n'=1+1,-37.63\\n,1.0\\n"
    """
    return csv_of_texts(texts(frame), [name for name, dtype in frame.schema.items() if not _is_plain(dtype)])


def csv_of_texts(told, risky, heads=None):
    """The same for a frame of texts; only the columns named in `risky` can hold a formula, the others hold numbers.

    `heads` stand above the columns instead of their names.
    """
    heads = guarded(pl.DataFrame({"head": heads or told.columns}, schema={"head": pl.String})).transpose()
    rows = told.with_columns(guarded(told.select(risky)))
    return "".join(part.write_csv(include_header=False) for part in (heads, rows))


def guarded(frame):
    """The frame with an apostrophe before each text that a spreadsheet would take for a formula.

    >>> guarded(pl.DataFrame({"raw": ["=1+1", "5", None], "low": [-37.63, 1.0, 2.0]})).rows()
    [("'=1+1", -37.63), ('5', 1.0), (None, 2.0)]
    """
    text = pl.col(pl.String)
    return frame.with_columns(pl.when(text.str.contains(RISKY)).then(pl.lit("'") + text).otherwise(text).name.keep())


def texts(frame):
    """The frame with every value as text; null stays null.

    >>> from datetime import UTC, datetime
    >>> texts(pl.DataFrame({"a": [1.5], "b": [datetime(2024, 7, 1, 21, tzinfo=UTC)], "c": [[1, 2]]})).row(0)
    ('1.5', '2024-07-01 21:00:00Z', '[1, 2]')
    """
    return frame.with_columns(_told(column) for column in frame)


def _told(column):
    dtype = column.dtype
    if dtype.is_nested():
        return column.map_elements(
            lambda value: str(value.to_list() if hasattr(value, "to_list") else value), pl.String
        )
    if dtype == pl.Binary:
        return column.bin.encode("hex")
    if dtype == pl.Datetime:
        whole = (column.dt.epoch("us") % 1_000_000 == 0).all()
        return column.dt.strftime("%Y-%m-%d %H:%M:%S" + ("" if whole else "%.6f") + ("Z" if dtype.time_zone else ""))
    return column.cast(pl.String)


def _is_plain(dtype):
    """Whether values are numbers or dates, which begin with a sign but are no formula."""
    return dtype.is_numeric() or dtype.is_temporal() or dtype == pl.Boolean
