"""Parquet in our names: types, contracts, markets, days and moments, tables exported from a store; and its speed."""

import io
from datetime import UTC, date, datetime, timedelta
from time import perf_counter

import numpy as np
import polars as pl
import pytest

from store import open_archive, raw
from store.ingest import import_paths
from store.tables import TABLES
from store.vendors import parquet
from tests.vendor_files import file, sample

DAY = date(2024, 3, 6)
ROW = {"contract": [202403], "day": [DAY], "settle": [1.5]}


def packed(columns):
    data = io.BytesIO()
    pl.DataFrame(columns).write_parquet(data)
    return data.getvalue()


def read(columns, name="ES.parquet"):
    opened = file(**{name: packed(columns)})
    assert parquet.recognises(opened)
    return parquet.read(opened)


def one(columns, name="ES.parquet"):
    [reading] = read(columns, name)
    return reading


def test_a_sample_s_market_is_its_file_s_name():
    [reading] = sample(parquet, "ES.parquet")
    assert (reading.table, reading.vendor, reading.name) == ("contract_bars", "parquet", "ES")
    row = reading.frame.row(5, named=True)
    assert (row["contract"], row["day"], row["line"]) == (202406, date(2024, 3, 7), 6)
    assert [row[c] for c in ("open", "high", "low", "settle", "volume", "open_interest")] == [
        5061.0, 5071.0, 5051.0, 5066.25, 2000.0, 20001.0,
    ]  # fmt: skip
    assert (row["time"], reading.frame["fault"].null_count()) == (datetime(2024, 3, 7, 23, tzinfo=UTC), 8)


@pytest.mark.parametrize("contract", [202403, 20240300, 202403.0, "202403", "ESH24", "ES-2024H"])
def test_a_contract_may_be_a_number_or_a_code(contract):
    reading = one(ROW | {"contract": [contract]})
    assert (reading.name, reading.frame["contract"].to_list()) == ("ES", [202403])


def test_a_contract_may_be_a_label():
    assert one(ROW | {"contract": pl.Series(["ESH24"], dtype=pl.Categorical)}).frame["contract"][0] == 202403


def test_a_file_of_many_markets_is_a_reading_each():
    both = {"root": ["ES", "NQ", "ES"], "contract": [202403] * 3, "day": [DAY] * 3, "close": [1.0, 2.0, 3.0]}
    es, nq = read(both, "all.parquet")
    assert (es.name, es.frame["line"].to_list(), nq.name, nq.frame["line"].to_list()) == ("ES", [1, 3], "NQ", [2])


def test_codes_in_the_column_symbol_name_markets_too():
    es, nq = read({"symbol": ["ESH4", "NQH4", "what"], "day": [DAY] * 3, "settle": [1.0, 2.0, 3.0]}, "all.parquet")
    assert (es.name, es.frame["contract"].to_list()) == ("ES", [202403])
    assert nq.frame.select("contract", "fault").rows() == [(202403, None), (None, "not a contract code: what")]
    assert nq.headings[nq.frame["column"][1]] == "symbol"


def test_a_file_named_after_a_contract_needs_no_column_of_it():
    reading = one({"date": [DAY], "settle": [1.0]}, "NQH24.parquet")
    assert (reading.name, reading.frame["contract"][0]) == ("NQ", 202403)
    with pytest.raises(raw.Unreadable, match=r"ES\.parquet: no column contract"):
        one({"date": [DAY], "settle": [1.0]})


@pytest.mark.parametrize(
    "day",
    [DAY, datetime(2024, 3, 6), datetime(2024, 3, 6, 22, tzinfo=UTC), 20240306, "2024-03-06", "20240306"],
)
@pytest.mark.parametrize("name", ["day", "Date", "time", "timestamp"])
def test_a_day_may_be_a_date_a_moment_a_number_or_a_text(day, name):
    assert one({"contract": [202403], name: [day], "settle": [1.0]}).frame["day"].to_list() == [DAY]


def test_a_sunday_is_monday_s_and_keeps_its_own_time():
    frame = one(ROW | {"day": [date(2024, 3, 10)]}).frame
    assert frame.select("day", "time").row(0) == (date(2024, 3, 11), datetime(2024, 3, 10, 23, tzinfo=UTC))


@pytest.mark.parametrize(("step", "vendor"), [(1, "parquet-minute"), (5, "parquet-5-minute"), (60, "parquet-hour")])
def test_bars_within_the_day_have_their_moment_and_no_day(step, vendor):
    times = [datetime(2024, 3, 6, 15, 0) + timedelta(minutes=step * k) for k in range(6)]
    reading = one({"contract": [202403] * 6, "time": times, "close": [1.0] * 6})
    assert (reading.vendor, "day" in reading.frame.columns) == (vendor, False)
    assert reading.frame["time"][1] == times[1].replace(tzinfo=UTC)


def test_a_text_that_is_no_number_or_date_is_the_row_s_fault():
    frame = one(
        {"contract": [202403] * 3, "day": ["2024-03-06", "soon", "2024-03-08"], "close": ["1.5", "2", "x"]}
    ).frame
    assert frame.select("close", "column", "fault").rows() == [
        (1.5, None, None), (2.0, "day", "not a date: soon"), (None, "close", "not a number: x"),
    ]  # fmt: skip


def test_the_values_of_a_row_that_may_be_kept_apart_are_shown():
    closes = [1.5, -2.0, None, 3.0, 4.0, 5.0]
    days = [date(2024, 3, day) for day in (4, 5, 6, 7, 7, 8)]
    frame = one({"contract": [202403] * 6, "day": days, "close": closes}).frame
    shown = "202403,2024-03-{},{}"
    assert frame["raw"].to_list() == [
        "row 1", shown.format("05", "-2.0"), shown.format("06", ""), shown.format("07", "3.0"),
        shown.format("07", "4.0"), "row 6",
    ]  # fmt: skip


def test_a_missing_value_is_null_however_it_is_written():
    assert one(ROW | {"open": [None], "high": [float("nan")]}).frame.select("open", "high").row(0) == (None, None)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (ROW | {"open": [[1.0]]}, "column open holds List"),
        (ROW | {"Settle": [1.0]}, "the columns settle and Settle are one in our names"),
        ({name: values[:0] for name, values in ROW.items()}, "the table has no row"),
        (ROW | {"day": [1.5]}, "column day holds Float64, no dates"),
    ],
)
def test_a_useless_table_is_refused_in_words(columns, message):
    with pytest.raises(raw.Unreadable, match=f"ES.parquet: {message}"):
        parquet.read(file(**{"ES.parquet": packed(columns)}))


def test_damaged_parquet_and_other_tables_are_not_taken():
    whole = packed(ROW)
    for data in (
        whole[:-9],
        b"PAR1",
        b"contract,day,settle\n",
        packed({"a": [1]}),
        packed({"day": [DAY], "n": [1], "close": [1]}),
    ):
        opened = file(**{"ES.parquet": data})
        assert not parquet.recognises(opened)
        with pytest.raises(raw.Unreadable, match=r"ES\.parquet: no Parquet with a date and with close or settle"):
            parquet.read(opened)
    torn = bytearray(whole)
    torn[4:40] = bytes(36)
    with pytest.raises(raw.Unreadable, match=r"ES\.parquet: no readable Parquet"):
        parquet.read(file(**{"ES.parquet": bytes(torn)}))


def exported(table, **values):
    """One row of a table of ours as an export of a store has it."""
    return TABLES[table].conform(pl.DataFrame({name: [value] for name, value in values.items()}))


def test_exported_bars_come_back_under_their_source():
    moment = datetime(2024, 3, 10, 23, tzinfo=UTC)
    bar = {
        "source": "norgate",
        "root": "SI",
        "contract": 202403,
        "time": moment,
        "day": date(2024, 3, 11),
        "settle": 24.0,
    }
    reading = one(exported("contract_bars", **bar, source_time="20240310"), "contract_bars.parquet")
    assert (reading.vendor, reading.name, reading.ours) == ("norgate", "SI", True)
    assert reading.frame.select("contract", "time", "day", "settle", "source_time").row(0) == (
        202403, moment, date(2024, 3, 11), 24.0, "20240310",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("table", "name", "vendor", "row"),
    [
        ("fx", "EUR", "ecb", {"source": "ecb", "currency": "EUR", "day": DAY, "rate": 1.1}),
        ("rates", "USD", "fred", {"source": "fred", "currency": "USD", "day": DAY, "rate": 0.05}),
        ("margins", "ES", "own", {"source": "own", "root": "ES", "day": DAY, "initial": 9.0, "maintenance": 8.0}),
        ("contracts", "ES", "x", {"source": "x", "root": "ES", "contract": 202403, "last_trade": DAY}),
        ("roll_calendars", "ES", "x", {"source": "x", "root": "ES", "rule": "oi", "day": DAY, "from_contract": 202403}),
        ("vendor_chains", "ES", "x", {"source": "x", "root": "ES", "rank": 1, "day": DAY, "price": 1.0}),
    ],
)
def test_other_tables_of_a_store_come_back(table, name, vendor, row):
    reading = one(exported(table, **row), f"{table}.parquet")
    assert (reading.table, reading.name, reading.vendor, reading.ours) == (table, name, vendor, True)
    given = {c: v for c, v in row.items() if c not in ("source", "root", "currency")}
    assert reading.frame.select(*given).row(0) == tuple(given.values())


def test_a_table_written_from_a_store_comes_back_equal(tmp_path):
    archive, back = (open_archive(tmp_path / name, create=True) for name in ("store", "back"))
    archive.commit(stored_bars(archive))
    time = datetime(2024, 3, 6, 23, tzinfo=UTC)
    chain = {"rank": [1, 2], "time": time, "day": DAY, "price": [5.5, None], "open_interest": [None, 7.0]}
    rolls = {
        "rule": "oi",
        "version": "v1",
        "time": time,
        "day": DAY,
        "from_contract": 202403,
        "to_contract": 202406,
        "reason": "oi",
    }
    archive.commit([
        archive.write("vendor_chains", pl.DataFrame(chain), source="quantiacs", root="SI"),
        archive.write("roll_calendars", pl.DataFrame(rolls), source="norgate", root="SI"),
    ])  # fmt: skip
    for table in ("contract_bars", "vendor_chains", "roll_calendars"):
        held = archive.read(table)
        held.write_parquet(tmp_path / f"{table}.parquet")
        [report] = import_paths(back, [tmp_path / f"{table}.parquet"])
        assert (report.error, report.notes, report.quarantined, report.rows_read) == ("", [], 0, held.height)
        mine, theirs = (frame.drop("known", strict=False).sort(pl.all()) for frame in (held, back.read(table)))
        assert mine.equals(theirs), table


def stored_bars(archive):
    """Rows that an import could change: of vendors with factors, of days and minutes, filled in, without a price."""
    moments = [datetime(2024, 3, 10, 23, tzinfo=UTC), datetime(2024, 3, 11, 23, tzinfo=UTC)]
    days = [date(2024, 3, 11)] * 2  # Sunday's bar is Monday's
    bars = {"contract": 202405, "time": moments, "day": days, "settle": [24.5, 0.1 + 0.2], "source_time": ["a", None]}
    minutes = [datetime(2024, 3, 7, 23, k, tzinfo=UTC) for k in (0, 5, 10)]
    short = {"contract": 202405, "time": minutes, "day": [date(2024, 3, 7), *[date(2024, 3, 8)] * 2], "close": 24.0}
    filled = {"contract": 202405, "time": moments, "day": days, "settle": [24.5, None],
              "open_interest": [None, 9.0], "filled_from": ["csi", None]}  # fmt: skip
    return [
        archive.write("contract_bars", pl.DataFrame(bars), source="norgate", root="SI"),
        archive.write("contract_bars", pl.DataFrame(bars), source="norgate", root="unknown"),
        archive.write("contract_bars", pl.DataFrame(short), source="firstrate-5-minute", root="SI"),
        archive.write("contract_bars", pl.DataFrame(filled), source="barchart", root="SI"),
    ]


def test_real_bars_come_back_equal(real, tmp_path):
    held = real.read("contract_bars", root=["MES", "ZC", "JPY", "FGBL"])
    held.write_parquet(tmp_path / "bars.parquet")
    back = open_archive(tmp_path / "back", create=True)
    [report] = import_paths(back, [tmp_path / "bars.parquet"])
    assert (report.error, report.rows_read, report.quarantined) == ("", held.height, 0)
    order = ["source", "root", "contract", "time"]
    assert back.read("contract_bars").drop("known").sort(order).equals(held.drop("known").sort(order))


def test_a_file_with_a_source_and_without_the_columns_of_a_store_keeps_its_units_too():
    reading = one(ROW | {"root": ["SI"], "source": ["norgate"]}, "x.parquet")
    assert (reading.vendor, reading.ours, reading.partial) == ("norgate", True, False)
    other = one(ROW | {"root": ["SI"], "source": pl.Series([None], dtype=pl.String)}, "x.parquet")
    assert (other.vendor, other.ours) == ("parquet", False)


def test_a_market_s_file_is_read_at_more_than_a_million_rows_a_second():
    contracts = [(1980 + k // 12) * 100 + k % 12 + 1 for k in range(300)]
    price = np.linspace(100.0, 200.0, 300_000)
    months = np.repeat(np.datetime64("1980-01", "M") + np.arange(300).astype("timedelta64[M]"), 1000)
    days = months.astype("datetime64[D]") - np.tile(np.arange(1000, 0, -1), 300).astype("timedelta64[D]")
    columns = {"contract": np.repeat(np.array(contracts, np.int32), 1000), "day": days, "volume": np.arange(300_000)}
    opened = file(**{"ES.parquet": packed(columns | dict.fromkeys(("open", "high", "low", "settle"), price))})
    took = []
    for _ in range(4):  # others use the machine too
        start = perf_counter()
        [reading] = parquet.read(opened)
        took.append(perf_counter() - start)
    assert reading.frame.height / min(took) > 1_000_000
