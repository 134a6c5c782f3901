"""Tables in a real PostgreSQL server: typed, keyed, and whatever fails leaves them as they were."""

from datetime import UTC, date, datetime

import pytest

from store import history, open_archive, postgres
from store.archive import Damaged
from tests import small_store
from tests.postgres_store import DAYS, told
from tests.postgres_store import TABLE_NAMES as TAKEN_BACK

pytest_plugins = ("tests.postgres_server",)
pytestmark = pytest.mark.service
TABLE_NAMES = TAKEN_BACK | {"roll_versions"}


def test_every_table_is_there_with_types_a_key_and_comments(server, exported):
    listed = server.run("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'", "exported")
    assert {name for (name,) in listed} == TABLE_NAMES
    columns = dict(server.run(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'contract_bars'", "exported"
    ))  # fmt: skip
    assert columns == {
        "source": "text", "root": "text", "contract": "integer", "time": "timestamp with time zone", "day": "date",
        **dict.fromkeys(("open", "high", "low", "close", "settle", "volume", "open_interest"), "double precision"),
        "filled_from": "text", "source_time": "text", "known": "timestamp with time zone",
    }  # fmt: skip
    keys = dict(server.run("SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint "
                           "WHERE contype = 'p' AND connamespace = 'public'::regnamespace", "exported"))  # fmt: skip
    assert keys["contract_bars"] == 'PRIMARY KEY (source, root, contract, "time")'
    assert keys["continuous"] == 'PRIMARY KEY (root, "time")'
    assert keys["findings"] == "PRIMARY KEY (id)"
    assert keys.keys() == TABLE_NAMES
    assert server.run("SELECT col_description('fx'::regclass, 4)", "exported") == [("[USD per unit]",)]


def test_what_is_in_the_store_is_in_the_database(server, exported):
    archive = exported[1]
    bar = archive.read("contract_bars", root="MES").filter(contract=202203, day=date(2022, 1, 3)).row(0, named=True)
    [found] = server.run("SELECT open, settle, close, volume, time FROM contract_bars "
                         "WHERE root = 'MES' AND contract = 202203 AND day = '2022-01-03'", "exported")  # fmt: skip
    assert found == (bar["open"], bar["settle"], None, bar["volume"], datetime(2022, 1, 3, 23, tzinfo=UTC))
    for table in TABLE_NAMES - {"contracts", "continuous"}:
        [(count,)] = server.run(f"SELECT count(*) FROM {table}", "exported")
        assert count == archive.read(table).height > 0, table


def test_a_contract_is_described_with_the_facts_that_held_at_its_end(server, exported):
    names = "code, first_day, last_day, last_trade, first_notice, multiplier, tick, currency"
    [micro] = server.run(f"SELECT {names} FROM contracts WHERE root = 'MES' AND contract = 202203", "exported")
    # third Friday of March 2022; the first of its bars lies 270 days before, on a Monday
    assert micro == ("MESH22", date(2021, 6, 21), date(2022, 3, 18), date(2022, 3, 18), None, 5.0, 0.25, "USD")
    [bund] = server.run(f"SELECT {names} FROM contracts WHERE root = 'FGBL' AND contract = 202203", "exported")
    assert bund[4:] == (None, 1000.0, 0.01, "EUR")
    [csi] = server.run("SELECT first_day, last_trade, vendor_last_trade FROM contracts WHERE source = 'csi' "
                       "AND contract = 202403", "exported")  # fmt: skip
    assert csi == (None, date(2024, 3, 14), date(2024, 3, 14))  # the vendor's date goes before the rule's 15th


def test_the_continuous_series_are_those_of_the_store(exported):
    url, archive = exported
    found = postgres.read(url, "continuous")
    assert set(found["root"]) == {"MES", "FGBL", "ODD"}
    for root in ("MES", "FGBL"):
        one = found.filter(root=root)
        assert set(one["rule"]) == {"volume:1"}
        assert one.select(history.OUT).equals(history.table(archive, root))
        assert one["roll_yield"].drop_nulls().len() > 100 and one["next_days"].max() >= 89


def test_the_heads_of_stored_roll_calendars_are_there_and_are_not_taken_back(server, exported, fresh):
    url, archive = exported
    columns = ["source", "root", "version", "rule", "rank", "first", "months", "author", "snapshot", "snapshot_hash"]
    found = server.run(f"SELECT {', '.join(columns)} FROM roll_versions ORDER BY version", "exported")
    assert found == archive.read("roll_versions", columns=columns).sort("version").rows()
    rolled = dict(server.run("SELECT version, count(*) FROM roll_calendars JOIN roll_versions USING (source, root, "
                             "version) GROUP BY version", "exported"))  # fmt: skip
    assert rolled.keys() == {one[2] for one in found} and min(rolled.values()) > 3
    assert "say which column is which" in told(postgres.import_table, fresh, url, "roll_versions")


def test_a_second_export_of_the_same_store_writes_no_row(server, database, filled):
    made = postgres.export(filled, server.url(database))
    versions = {name: server.run(f"SELECT ctid, xmin FROM {name}", database) for name in sorted(TABLE_NAMES)}
    assert postgres.export(filled, server.url(database)) == made
    assert {name: server.run(f"SELECT ctid, xmin FROM {name}", database) for name in sorted(TABLE_NAMES)} == versions


def test_an_export_replaces_its_markets_and_leaves_others(server, database, filled):
    url = server.url(database)
    postgres.export(filled, url)
    change = """
        UPDATE contract_bars SET settle = 1; DELETE FROM contract_bars WHERE contract = 202106;
        INSERT INTO contract_bars (source, root, contract, time) VALUES ('x', 'MES', 202403, now()),
                                                                        ('x', 'ABC', 202403, now())
    """
    server.run(change, database)
    assert postgres.export(filled, url, ["MES"])["contract_bars"] == filled.read("contract_bars", root="MES").height
    found = postgres.read(url, "contract_bars")
    assert found.filter(root="MES").drop("known").equals(filled.read("contract_bars", root="MES").drop("known"))
    assert set(found.filter(root="FGBL")["settle"]) == {1.0}
    assert found.filter(root="ABC").height == 1


def test_progress_is_told_by_table_and_market(server, database, filled):
    steps = []
    postgres.export(filled, server.url(database), progress=lambda *step: steps.append(step))
    assert steps[0] == (0, len(steps) - 1, "contracts FGBL")
    assert steps[-1] == (len(steps) - 1, len(steps) - 1, "commit")


def test_a_schema_with_other_tables_of_these_names_is_refused_and_untouched(server, database, filled):
    server.run("CREATE TABLE fx (pair text, px numeric); INSERT INTO fx VALUES ('EURUSD', 1.1);"
               "CREATE VIEW rates AS SELECT 1 AS one", database)  # fmt: skip
    message = told(postgres.export, filled, server.url(database))
    assert "fx has pair text, px numeric and lacks source text, currency text, day date" in message
    assert "rates has one integer" in message and "nothing was changed" in message and "--schema" in message
    assert server.run("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'",
                      database) == [("fx",)]  # fmt: skip
    assert server.run("SELECT * FROM fx", database)[0][0] == "EURUSD"
    made = postgres.export(filled, server.url(database), schema='my "own" schema')
    assert server.run('SELECT count(*) FROM "my ""own"" schema".fx', database) == [(made["fx"],)]


def test_a_key_that_somebody_dropped_is_missed(server, database, filled):
    postgres.export(filled, server.url(database))
    server.run("ALTER TABLE rates DROP CONSTRAINT rates_pkey", database)
    assert "rates has not the primary key (source, currency, day)" in told(
        postgres.export, filled, server.url(database)
    )


def test_without_permission_nothing_is_changed(server, database, filled):
    message = told(postgres.export, filled, server.url(database, "reader"))
    assert "no permission: permission denied for schema public; nothing was changed" in message


@pytest.mark.parametrize("exports_before", [0, 1], ids=["the first", "a later one"])
def test_an_export_whose_connection_is_killed_leaves_nothing_half_done(server, database, filled, exports_before):
    url = server.url(database)
    for _ in range(exports_before):
        postgres.export(filled, url)
        server.run("UPDATE contract_bars SET settle = 1; UPDATE contracts SET tick = 2", database)

    def kill(done, total, name):
        if name == "roll_calendars MES":
            server.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}' "
                       "AND application_name = 'frontmonth'")  # fmt: skip

    message = told(postgres.export, filled, url, progress=kill)
    assert message.endswith("nothing was changed")
    if exports_before:
        assert server.run("SELECT min(settle), max(settle) FROM contract_bars", database) == [(1.0, 1.0)]
        assert server.run("SELECT min(tick), max(tick) FROM contracts", database) == [(2.0, 2.0)]
    else:
        assert server.run("SELECT 1 FROM pg_class WHERE relnamespace = 'public'::regnamespace", database) == []


@pytest.mark.folder
def test_a_damaged_store_is_told_and_nothing_is_written(server, database, tmp_path):
    archive = small_store.build(tmp_path / "store")
    path = archive.path / archive.files("fx")[0].path
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-9] + b"123456789")
    with pytest.raises(Damaged):
        postgres.export(open_archive(archive.path), server.url(database))
    assert server.run("SELECT 1 FROM pg_class WHERE relnamespace = 'public'::regnamespace", database) == []


def test_two_rows_of_one_key_are_told_and_nothing_is_written(server, database, fresh):
    twice = small_store.fx(1.0, DAYS[:1])
    fresh.commit([fresh.write("fx", twice, source="x", currency="ABC") for _ in range(2)])
    message = told(postgres.export, fresh, server.url(database))
    assert "table fx: could not create unique index" in message
    assert "(source, currency, day, source_time)=(x, ABC, 2024-03-11, 2024-03-11) is duplicated" in message
    assert server.run("SELECT 1 FROM pg_class WHERE relnamespace = 'public'::regnamespace", database) == []
