"""Tables of a real PostgreSQL server that come in: ours equal, others by a map; what fails leaves the store whole."""

import os
import socket
from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest

from store import open_archive, postgres, postgres_rows
from store.tables import TABLES
from tests import small_store
from tests.postgres_store import DAYS, TABLE_NAMES, rows, told

pytest_plugins = ("tests.postgres_server",)
pytestmark = pytest.mark.service


# ---- tables of ours


@pytest.mark.parametrize("table", sorted(TABLE_NAMES - {"continuous", "contracts"}))
def test_an_exported_table_comes_back_equal(exported, fresh, table):
    url, archive = exported
    [report] = postgres.import_table(fresh, url, table)
    assert (report.error, report.quarantined, report.file) == ("", 0, table)
    assert report.rows_read == archive.read(table).height
    assert rows(fresh.read(table)).equals(rows(archive.read(table)))
    [again] = postgres.import_table(fresh, url, table)
    assert again.skipped


def test_of_the_contracts_the_vendors_dates_come_back(exported, fresh):
    [report] = postgres.import_table(fresh, exported[0], "contracts")
    assert (report.rows_read, report.accepted) == (2, 2)
    assert rows(fresh.read("contracts")).equals(rows(exported[1].read("contracts")))


def test_a_row_of_ours_knows_when_it_came_into_this_store(exported, fresh):
    before = datetime.now(UTC)
    postgres.import_table(fresh, exported[0], "rates")
    assert before <= fresh.read("rates")["known"].unique().item() <= datetime.now(UTC)


def test_a_continuous_series_is_not_taken_back(exported, fresh):
    assert "import that table" in told(postgres.import_table, fresh, exported[0], "continuous")


def test_small_pieces_make_the_same_rows(exported, fresh, monkeypatch):
    monkeypatch.setattr(postgres_rows, "CHUNK", 20_000)
    seen = []
    [report] = postgres.import_table(fresh, exported[0], "contract_bars", progress=lambda *step: seen.append(step))
    assert len(seen) > 10 and seen[0][:2] == (0, exported[1].read("contract_bars").height)
    assert report.quarantined == 0 and "unsorted" not in report.reasons
    assert rows(fresh.read("contract_bars")).equals(rows(exported[1].read("contract_bars")))


def test_random_bits_are_the_same_numbers_again(server, database, fresh):
    bits = np.random.default_rng(7).integers(0, 2**63, 4000, dtype=np.int64)
    numbers = bits.view(np.float64)
    numbers = numbers[np.isfinite(numbers) & (numbers > 0)]
    days = [date(1900, 1, 1).toordinal() + k for k in range(len(numbers))]
    rates = {"day": [date.fromordinal(day) for day in days], "rate": numbers}
    fresh.commit(
        [fresh.write("fx", small_store.fx(1.0, rates["day"]).with_columns(rate=numbers), source="x", currency="ABC")]
    )
    postgres.export(fresh, server.url(database))
    back = open_archive(fresh.path.parent / "back", create=True)
    postgres.import_table(back, server.url(database), "fx")
    assert np.array_equal(back.read("fx")["rate"].to_numpy().view(np.int64), numbers.view(np.int64))


def test_real_prices_come_back_equal(server, database, real, fresh):
    url, roots = server.url(database), ["MES", "ZC"]
    made = postgres.export(real, url, roots)
    stored = real.read("contract_bars", root=roots)
    assert made["contract_bars"] == stored.height > 50_000
    [report] = postgres.import_table(fresh, url, "contract_bars")
    assert report.quarantined == 0
    assert rows(fresh.read("contract_bars")).equals(rows(stored))
    assert (
        fresh.read("contract_bars", root="ZC").drop("known").equals(real.read("contract_bars", root="ZC").drop("known"))
    )


def test_a_root_that_its_source_uses_for_other_units_is_not_multiplied_again(server, database, tmp_path, fresh):
    silver = pl.DataFrame({"contract": [202405], "time": [datetime(2024, 3, 11, 23, tzinfo=UTC)], "day": DAYS[:1],
                           "settle": [24.5]})  # fmt: skip
    archive = open_archive(tmp_path / "silver", create=True)
    archive.commit([archive.write("contract_bars", silver, source="norgate", root="SI")])
    postgres.export(archive, server.url(database))
    [report] = postgres.import_table(fresh, server.url(database), "contract_bars")
    assert (report.error, report.notes) == ("", [])
    assert rows(fresh.read("contract_bars")).equals(rows(archive.read("contract_bars")))
    assert fresh.read("contract_bars", source="norgate", root="SI")["settle"].to_list() == [24.5]


# ---- other people's tables

BARS = """
    CREATE TABLE bars (ticker varchar(12), ts timestamptz, o numeric, h numeric(12, 2), l real, px double precision,
                       vol bigint, comment text);
    INSERT INTO bars VALUES
        ('ESH24', '2024-03-11 17:00-05', 5110.25, 5130, 5100, 5123.5, 1500000, 'x'),
        ('ESM24', '2024-03-11 17:00-05', 5170.25, 5190, 5160, 5184.75, 200, NULL),
        ('ESH24', '2024-03-12 17:00-05', 5120.25, 5180, 5110, 5175.25, 1400000, NULL),
        ('NQH24', '2024-03-11 17:00-05', 18000, 18100, 17900, 18050.5, 600000, NULL)
"""
MAP = {"code": "ticker", "time": "ts", "open": "o", "high": "h", "low": "l", "settle": "px", "volume": "vol"}


def test_a_table_of_codes_is_read_by_a_map(server, database, fresh):
    server.run(BARS, database)
    [report] = postgres.import_table(fresh, server.url(database), "bars", MAP)
    assert (report.error, report.rows_read, report.accepted, report.roots) == ("", 4, 4, ["ES", "NQ"])
    assert report.notes == ["bars: daily bars, as a contract has one a day; ts is the trade date"]
    stored = fresh.read("contract_bars", root="ES", source="postgres").sort("time", "contract")
    assert stored.select("contract", "day", "open", "low", "settle", "close", "volume").rows() == [
        (202403, DAYS[0], 5110.25, 5100.0, 5123.5, None, 1500000.0),
        (202406, DAYS[0], 5170.25, 5160.0, 5184.75, None, 200.0),
        (202403, DAYS[1], 5120.25, 5110.0, 5175.25, None, 1400000.0),
    ]
    assert stored["time"][0] == datetime(2024, 3, 11, 23, tzinfo=UTC)
    assert stored["source_time"][0] == "2024-03-11 22:00:00+00"


def test_rows_at_fault_are_told_by_table_row_column_and_reason(server, database, fresh):
    server.run(BARS, database)
    server.run("ALTER TABLE bars ALTER px TYPE text; INSERT INTO bars VALUES"
               "('ESM24', '2024-03-12 17:00-05', 5170, 5190, 5160, 'dear', 1, NULL),"
               "('ESM24', '2024-03-13 17:00-05', 5170, 5160, 5190, '5180', 1, NULL),"
               "('what', '2024-03-12 17:00-05', 1, 1, 1, '1', 1, NULL),"
               "('ESU24', 'infinity', 1, 1, 1, '1', 1, NULL)", database)  # fmt: skip
    [report] = postgres.import_table(fresh, server.url(database), "bars", MAP)
    assert (report.rows_read, report.accepted, report.quarantined) == (8, 4, 4)
    found = {(r["file"], r["line"], r["column"], r["reason"]) for r in fresh.read("quarantine").to_dicts()}
    # in the order of code and moment: ESH24 twice, ESM24 three times, ESU24, NQH24, what
    assert found == {
        ("bars", 4, "px", "not a number: dear"),
        ("bars", 5, "h", "high below low, or open or close outside high-low"),
        ("bars", 6, "ts", "not a date: infinity"),
        ("bars", 8, "ticker", "no contract: write 202403 or ESH24: what"),
    }
    assert report.first.startswith("bars: line ")
    assert fresh.read("quarantine").filter(line=4)["raw"].item().startswith("ESM24,2024-03-12 22:00:00+00,5170,5190.00")


def test_a_changed_row_is_a_revision(server, database, fresh):
    server.run(BARS, database)
    url = server.url(database)
    postgres.import_table(fresh, url, "bars", MAP)
    [again] = postgres.import_table(fresh, url, "bars", MAP)
    assert again.skipped
    server.run("UPDATE bars SET px = 5124 WHERE ticker = 'ESH24' AND o = 5110.25", database)
    [report] = postgres.import_table(fresh, url, "bars", MAP)
    assert not report.skipped
    [change] = fresh.read("revisions").to_dicts()
    assert (change["root"], change["contract"], change["column"], change["old"], change["new"]) == (
        "ES", 202403, "settle", 5123.5, 5124.0)  # fmt: skip


def test_a_dry_run_stores_nothing(server, database, fresh):
    server.run(BARS, database)
    [report] = postgres.import_table(fresh, server.url(database), "bars", MAP, dry_run=True)
    assert report.accepted == 4 and fresh.head().number == 0


def test_bars_within_the_day_get_a_source_and_a_trade_date_of_their_own(server, database, fresh):
    made = """
        CREATE TABLE hourly AS SELECT 'ES' AS market, DATE '2024-03-01' AS delivery, t AS finish, 5100.0 AS last
        FROM generate_series(timestamp '2024-03-11 20:00', '2024-03-12 02:00', '1 hour') t
    """
    server.run(made, database)
    columns = {"symbol": "market", "contract": "delivery", "time": "finish", "close": "last"}
    [report] = postgres.import_table(fresh, server.url(database), "hourly", columns)
    assert report.notes == ["hourly: bars within the day, as a contract has several on one; finish is their end, UTC"]
    stored = fresh.read("contract_bars", source="postgres-hour")
    assert stored["contract"].unique().to_list() == [202403]
    # Chicago's session starts at 17:00, on that day 22:00 UTC: the bar that ends at 23:00 belongs to the next day
    assert stored.group_by("day").len().sort("day").rows() == [(date(2024, 3, 11), 3), (date(2024, 3, 12), 4)]


def test_one_market_can_be_told_for_the_whole_table(server, database, fresh):
    made = """
        CREATE TABLE corn (month int, day text, settlement numeric);
        INSERT INTO corn VALUES (202403, '20240311', 441.25), (202405, '20240311', 452.5)
    """
    server.run(made, database)
    columns = {"contract": "month", "day": "DAY", "settle": "settlement"}
    url = server.url(database)
    postgres.import_table(fresh, url, "corn", columns, root="ZC")
    assert fresh.read("contract_bars", root="ZC")["settle"].to_list() == [441.25, 452.5]
    [report] = postgres.import_table(open_archive(fresh.path.parent / "b", create=True), url, "corn", columns)
    assert report.error.startswith("corn: no usable row among 2: corn: line 1: column month: no market in this code")


def test_exchange_rates_of_others_come_by_a_map(server, database, fresh):
    server.run("CREATE VIEW spot AS SELECT 'eur' AS ccy, DATE '2024-03-11' AS d, 1.0925::numeric AS usd", database)
    postgres.import_table(
        fresh, server.url(database), "spot", {"currency": "ccy", "day": "d", "rate": "usd"}, vendor="ecb"
    )
    assert fresh.read("fx", currency="EUR", source="ecb").select("day", "rate").rows() == [(DAYS[0], 1.0925)]


def test_names_with_quotes_dots_and_statements_are_only_names(server, database, fresh):
    schema, name, column = 'we"ird', 'odd "table".x; DROP TABLE keep', 'px", (SELECT 1) "'
    quoted = lambda text: '"' + text.replace('"', '""') + '"'  # noqa: E731
    place = f"{quoted(schema)}.{quoted(name)}"
    server.run(f"CREATE TABLE keep (a int); CREATE SCHEMA {quoted(schema)};"
               f"CREATE TABLE {place} (code text, day date, {quoted(column)} float8);"
               f"INSERT INTO {place} VALUES ('ESH24', '2024-03-11', 5123.5)", database)  # fmt: skip
    columns, url = {"code": "code", "day": "day", "settle": column}, server.url(database)
    [report] = postgres.import_table(fresh, url, f"{schema}.{name}", columns)
    assert (report.error, report.accepted) == ("", 1)
    for written in (name, place):
        assert postgres.import_table(fresh, url, written, columns)[0].skipped
    assert server.run("SELECT count(*) FROM keep", database) == [(0,)]
    assert postgres.read(url, name).rows() == [("ESH24", DAYS[0], 5123.5)]


def test_without_a_map_the_columns_are_listed_and_one_is_proposed(server, database, fresh):
    server.run(BARS, database)
    message = told(postgres.import_table, fresh, server.url(database), "bars")
    assert "ticker character varying(12), ts timestamp with time zone, o numeric, h numeric(12,2)" in message
    assert "--map 'contract=ticker,time=ts,open=o,high=h,low=l,close=px,volume=vol'" in message


def test_a_missing_table_is_told_with_the_nearest(server, database, fresh):
    url = server.url(database)
    assert told(postgres.import_table, fresh, url, "bars").endswith("no table 'bars': there are none that you may see")
    server.run(BARS, database)
    assert told(postgres.import_table, fresh, url, "bar").endswith("did you mean bars?")
    assert "say which table, with --table; there are bars" in told(postgres.import_table, fresh, url, None)


def test_a_table_that_may_not_be_read_is_told(server, database, fresh):
    server.run(BARS, database)
    message = told(postgres.import_table, fresh, server.url(database, "reader"), "bars", MAP)
    assert "no permission: permission denied for table bars; nothing was imported" in message


def test_an_empty_table_is_told(server, database, fresh):
    server.run("CREATE TABLE bars (code text, day date, px float8)", database)
    columns = {"code": "code", "day": "day", "settle": "px"}
    assert "no row" in told(postgres.import_table, fresh, server.url(database), "bars", columns)


def test_an_import_whose_connection_is_killed_stores_nothing(server, exported, fresh, monkeypatch):
    monkeypatch.setattr(postgres_rows, "CHUNK", 20_000)

    def kill(done, total, name):
        if done:
            server.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'exported' "
                       "AND application_name = 'frontmonth'")  # fmt: skip

    message = told(postgres.import_table, fresh, exported[0], "contract_bars", progress=kill)
    assert message.endswith("nothing was imported") and fresh.head().number == 0


# ---- getting in


def test_a_server_that_is_not_there_is_told(fresh):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    message = told(postgres.import_table, fresh, f"postgresql://me@127.0.0.1:{port}/futures", "bars")
    assert "Connection refused" in message and message.endswith("; no connection")
    assert message.startswith(f"postgresql://me@127.0.0.1:{port}/futures: ")


def test_a_missing_database_is_told(server, fresh):
    assert 'database "nothing" does not exist' in told(postgres.import_table, fresh, server.url("nothing"), "bars")


@pytest.mark.parametrize("way", ["PGPASSWORD", "PGPASSFILE"])
def test_a_password_comes_from_the_environment_or_a_file(server, exported, tmp_path, monkeypatch, way):
    server.run("GRANT SELECT ON rates TO locked", "exported")
    url = server.url("exported", "locked")
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "pgpass"))
    assert "set PGPASSWORD" in told(postgres.read, url, "rates")
    if way == "PGPASSWORD":
        monkeypatch.setenv(way, server.password)
    else:
        (tmp_path / "pgpass").write_text(f"*:*:exported:locked:{server.password}\n")
        os.chmod(tmp_path / "pgpass", 0o600)
    assert postgres.read(url, "rates", ["currency"])["currency"].unique().to_list() == ["USD"]


def test_a_wrong_password_is_not_repeated(server, exported, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "wrong-w0rd")
    message = told(postgres.read, server.url("exported", "locked"), "rates")
    assert "password authentication failed" in message and "wrong-w0rd" not in message


def test_a_column_that_is_not_there_is_told(exported):
    assert "fx has no column 'rat'; it has source, currency" in told(postgres.read, exported[0], "fx", ["rat"])


def test_the_layouts_follow_the_tables_of_the_store(exported):
    for name in TABLE_NAMES - {"contracts", "continuous"}:
        assert postgres.read(exported[0], name).schema == TABLES[name].schema
