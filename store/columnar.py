"""A part that is Parquet as rows with their numbers, as `raw.table` gives the rows of a text."""

import io

import polars as pl

from store import raw

MARK = b"PAR1"
DAMAGE = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError)
_NO_CELL = (pl.Binary, pl.Object, pl.Boolean, pl.Duration, pl.Time)


def schema(part):
    """Column -> type of a Parquet part; nothing of a part that is none."""
    if part.data[:4] != MARK:
        return {}
    try:
        return dict(pl.read_parquet_schema(part.rows[0] if part.rows else io.BytesIO(part.data)))
    except DAMAGE:
        return {}


def table(part, columns=None, brief=False):
    """The rows of a Parquet part.

    Parameters
    ----------
    part : Part
    columns : list of str, optional
        Those to be read; others are left alone.
    brief : bool
        Whether `raw` may be as short as `row 17`: writing the values of all rows takes longer than reading them.

    Returns
    -------
    DataFrame
        The columns, and `file`, `line` (number of the row, from 1), `raw` (its values), `column` and `fault` (null).

    Raises
    ------
    Unreadable
        No readable Parquet, no row, or a column of lists, bytes, truths or lengths of time.
    """
    try:
        frame, before = _read(part, columns)
    except DAMAGE as error:
        raise raw.Unreadable(f"{part.place}: no readable Parquet: {raw.plain(error, 100)}") from error
    if not frame.height:
        raise raw.Unreadable(f"{part.place}: the table has no row")
    for name, dtype in frame.schema.items():
        if dtype.is_nested() or dtype in _NO_CELL:
            raise raw.Unreadable(f"{part.place}: column {raw.plain(name, 40)} holds {dtype}, no numbers, dates or text")
    labels = [name for name, dtype in frame.schema.items() if dtype in (pl.Categorical, pl.Enum)]
    line = pl.int_range(1, pl.len() + 1) + before
    return frame.with_columns(
        pl.col(labels).cast(pl.String),
        line.alias("line"),
        (pl.format("row {}", line) if brief else _written(frame.columns)).alias("raw"),
        pl.lit(part.place).alias("file"),
        pl.lit(None, pl.String).alias("column"),
        pl.lit(None, pl.String).alias("fault"),
    )


def _read(part, columns):
    """The rows of a part, and how many of the file stand before them."""
    if part.rows is None:
        return pl.read_parquet(io.BytesIO(part.data), columns=columns), 0
    path, first, count = part.rows
    rows = pl.scan_parquet(path, glob=False).slice(first, count)
    return (rows if columns is None else rows.select(columns)).collect(engine="in-memory"), first


def told(frame, doubtful, columns):
    """The frame with the values of `columns` as `raw` in rows that are `doubtful` (truths); others keep theirs."""
    if not doubtful.any():
        return frame
    values = frame.filter(doubtful).select(_written(columns)).to_series()
    place = (doubtful.cast(pl.Int64).cum_sum() - 1).clip(lower_bound=0)
    return frame.with_columns(pl.when(doubtful).then(values.gather(place)).otherwise("raw").alias("raw"))


def _written(columns):
    return pl.concat_str(pl.col(columns).cast(pl.String).fill_null(""), separator=",")
