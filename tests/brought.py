"""Small readings brought into a store, and what is in it then, for the tests of taking them out again."""

from datetime import date

import polars as pl
from hypothesis import strategies as st

from store import ingest
from store.reading import DAY_ENDS, Reading
from store.tables import TABLES

DAY = date(2024, 3, 4)  # a Monday
VALUE = st.one_of(st.none(), st.integers(0, 3))
ROWS = st.dictionaries(
    st.tuples(st.sampled_from([1, 2]), st.integers(0, 2)), st.tuples(VALUE, VALUE, VALUE), min_size=1
)


def bars(rows, vendor="mine", name="AAA"):
    """A reading of (contract: 1 March, 2 June; day of the week, settle, volume, open interest)."""
    names = ("contract", "day", "settle", "volume", "open_interest")
    kinds = dict(zip(names, (pl.Int32, pl.Int64, pl.Float64, pl.Float64, pl.Float64), strict=True))
    frame = pl.DataFrame(rows, kinds, orient="row")
    frame = frame.with_columns(contract=202400 + 3 * pl.col("contract"), day=pl.lit(DAY) + pl.duration(days="day"))
    return read("contract_bars", frame, vendor, name)


def read(table, frame, vendor="mine", name="AAA"):
    """A reading of rows that a store exported: nothing is translated."""
    if "time" in TABLES[table].columns:
        end = pl.col("day").cast(pl.Datetime("us")).dt.replace_time_zone("UTC") + DAY_ENDS
        frame = frame.with_columns(time=end)
    told = {
        "file": pl.lit("f"),
        "raw": pl.lit("x"),
        "column": pl.lit(None, pl.String),
        "fault": pl.lit(None, pl.String),
    }
    frame = frame.with_columns(**told).with_row_index("line", offset=1).with_columns(pl.col("line").cast(pl.Int64))
    return Reading(table, vendor, name, frame, partial=True, ours=True)


def bring(archive, *readings):
    """Import readings as the content of a file; the id of the import."""
    sha = f"{archive.head().number}"
    report = ingest.import_readings(archive, iter(readings), f"file{sha}", sha)
    assert report.error == ""
    return archive.read("imports")["import_id"][-1]


def rows(archive, table="contract_bars", **labels):
    """Rows as they are told apart, without the moment from which they are known."""
    columns = [name for name in TABLES[table].columns if name not in ("known", "time", "import_id")]
    return archive.read(table, **labels).select(columns).sort(pl.all()).rows()


def simple(archive):
    """{(contract, day of the week): (settle, volume, open interest)}."""
    found = archive.read("contract_bars").sort("contract", "day")
    found = found.select(
        (pl.col("contract") - 202400) // 3, (pl.col("day") - DAY).dt.total_days(), "settle", "volume", "open_interest"
    ).rows()
    return {row[:2]: row[2:] for row in found}
