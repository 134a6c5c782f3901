"""An answer to a question in SQL: its rows, the same as text, and as a file that a spreadsheet may open."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from store import durable
from store.durable import NotWritten


@dataclass(frozen=True)
class Answer:
    """Rows of an answer; `cut`: there are more than were asked for; `snapshot`: number of what was asked."""

    frame: pl.DataFrame
    cut: bool
    snapshot: int | None = None


def write(frame, path):
    """Write an answer as a file, in the format that its name tells; texts are safe to open in a spreadsheet.

    Parameters
    ----------
    frame : DataFrame
    path : path
        `.csv` or `.parquet`; what is there is replaced.

    Returns
    -------
    Path
    """
    path = Path(path)
    if path.suffix not in (".csv", ".parquet"):
        raise NotWritten(f"{path} cannot be written: its name must end in .csv or .parquet")
    staged = durable.temporary_name(path.parent)
    try:
        if path.suffix == ".csv":
            staged.write_text(csv(frame), encoding="utf-8", newline="")
        else:
            frame.write_parquet(staged)
        staged.replace(path)
    except OSError as error:
        staged.unlink(missing_ok=True)
        raise NotWritten(f"{path} cannot be written: {error.strerror or error}") from error
    return path


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
    from store.export import guarded

    heads = guarded(pl.DataFrame({"head": heads or told.columns}, schema={"head": pl.String})).transpose()
    rows = told.with_columns(guarded(told.select(risky)))
    return "".join(part.write_csv(include_header=False) for part in (heads, rows))


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
