"""A small store with rows in every table that is exported, and what tests of a database ask of it."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from store import checks, history, roll_versions
from store.postgres import DatabaseError
from tests import small_store

TABLE_NAMES = {"contracts", "continuous", "contract_bars", "vendor_chains", "roll_calendars", "findings", "margins",
               "fx", "rates"}  # fmt: skip
DAYS = [date(2024, 3, day) for day in (11, 12, 13)]


def build(path):
    """The store."""
    archive = small_store.build(path)
    archive.commit(rows_of_others(archive))
    roll_versions.save(archive, [history.calendar(archive, "MES", rule) for rule in ("volume:1", "oi:1")])
    checks.run(archive, ["MES", "FGBL"])
    assert archive.read("findings").height
    return archive


def rows_of_others(archive):
    """Segments of the tables that `small_store` leaves empty, and bars that are hard to keep: odd floats and texts."""
    hard = [0.1 + 0.2, 1e-300, 5e-324, 1.7976931348623157e308, -37.63, 12345678.123456789]
    odd = ["", None, 'say "hi", twice', "two\nlines", "a\rb\\N\t'", "ä€𝄞"]
    moments = [datetime(2024, 3, 11, 23, k, 0, 123456, UTC) for k in range(len(hard))]
    bars = {"contract": 202406, "time": moments, "day": DAYS[0], "close": hard, "source_time": odd}
    chain = {"rank": [1, 2], "time": moments[:2], "day": DAYS[0], "price": [5.5, None], "open_interest": [None, 7.0]}
    told = {
        "contract": [202403, 202406],
        "first_trade": [None, date(2022, 6, 17)],
        "last_trade": [date(2024, 3, 14), None],
    }
    daily = {"day": DAYS, "rate": [0.05, 0.0525, -0.005]}
    margins = {"day": DAYS, "initial": [1265.0, 1300.5, 1400.0], "maintenance": [1150.0, 1200.0, 1300.0]}
    return [
        archive.write("contract_bars", pl.DataFrame(bars), source="odd", root="ODD"),
        archive.write("vendor_chains", pl.DataFrame(chain), source="pysystemtrade", root="ODD"),
        archive.write("contracts", pl.DataFrame(told), source="csi", root="MES"),
        archive.write("rates", pl.DataFrame(daily), source="fred", currency="USD"),
        archive.write("margins", pl.DataFrame(margins), source="broker", root="MES"),
        archive.write("fx", small_store.fx(1.25, DAYS).with_columns(source_time=None), source="ecb", currency="GBP"),
    ]


def told(call, *arguments, **options):
    """The message of a refusal."""
    with pytest.raises(DatabaseError) as error:
        call(*arguments, **options)
    return str(error.value)


def rows(frame):
    """A frame without the moment at which its rows came into their store, in order."""
    return frame.drop("known", strict=False).sort(pl.all())
