"""What a SELECT may be made of: hostile statements are refused, and nothing of them is left; others pass."""

import os
import socket
from datetime import date
from hashlib import sha256

import duckdb
import polars as pl
import pytest

from store import query
from store.archive import open_archive
from store.query import BadQuery, answer
from store.statement import LONGEST, place
from store.tables import TABLES

READS = (  # files, folders, network: each by another door
    "select * from read_text('{secret}')",
    "select content from read_blob('{secret}')",
    "select * from read_csv('{secret}', header = false)",
    "select * from read_csv_auto('{secret}')",
    "select * from sniff_csv('{secret}')",
    "select * from read_json('{secret}')",
    "select * from read_ndjson_objects('{secret}')",
    "select * from read_parquet('{other}')",
    "select * from parquet_metadata('{other}')",
    "select * from parquet_file_metadata('{other}')",
    "select * from parquet_kv_metadata('{other}')",
    "select * from read_parquet('{link}')",
    "select * from read_parquet('{segment}/../../../../outside/other.parquet')",
    "select * from '{other}'",
    "select * from '{secret}'",
    'select * from "{secret}"',
    "select * from glob('{folder}/*')",
    "select * from glob('/*')",
    "select * from read_csv('http://127.0.0.1:{port}/x.csv')",
    "select * from 'https://127.0.0.1:{port}/x.parquet'",
    "select * from read_parquet('s3://bucket/x.parquet')",
    "select * from read_parquet('hf://datasets/x/y.parquet')",
    "select * from read_duckdb('{secret}')",
    "select * from sqlite_scan('{secret}', 'x')",
    "select * from query('from read_text(''{secret}'')')",
    "select * from json_execute_serialized_sql(json_serialize_sql('from read_text(''{secret}'')'))",
    "with x as (from read_text('{secret}')) select * from x",
    "select (select content from read_text('{secret}'))",
    "select * from fx where exists (from read_text('{secret}'))",
    "select * from fx, lateral (from read_text('{secret}'))",
    "select 1 union all select content from read_text('{secret}')",
    "describe from read_text('{secret}')",
)
WRITES = (
    "copy fx to '{free}'",
    "copy fx to '{segment}' (format csv, use_tmp_file false)",
    "copy (select 1) to '{segment}' (format parquet)",
    "copy fx from '{secret}'",
    "copy (select 1) to 'http://127.0.0.1:{port}/x.csv'",
    "explain analyze copy fx to '{free}'",
    "with x as (copy (select 1) to '{segment}' (format csv, use_tmp_file false)) select * from x",
    "with x as (copy (select 1) to '{segment}' (format parquet)) select * from x",
    "with x as (copy (select 1) to '{free}' (format csv)) select 1",
    "select * from (with x as (copy (select 1) to '{segment}' (format csv, use_tmp_file false)) select * from x)",
    "select (with x as (copy (select 1) to '{segment}' (format csv, use_tmp_file false)) select count(*) from x)",
    "select * from query('with x as (copy (select 1) to ''{segment}'' (use_tmp_file false)) select * from x')",
    "with x as (insert into fx values ('a') returning *) select * from x",
    "with x as (update fx set rate = 2 returning *) select * from x",
    "with x as (delete from fx returning *) select * from x",
    "create table x as select * from fx",
    "create or replace view fx as select 1",
    "insert into fx (currency) values ('XXX')",
    "delete from fx",
    "drop view fx",
    "export database '{folder}'",
    "import database '{folder}'",
    "attach '{free}' as other",
    "attach '{segment}' as other",
    "detach memory",
    "checkpoint",
    "vacuum",
    "call enable_logging(storage = 'file', storage_path = '{folder}/logs')",
    "select * from enable_logging(storage = 'file', storage_path = '{folder}/logs')",
    "select * from enable_profiling(save_location = '{free}')",
    "select * from force_checkpoint()",
    "create persistent secret s (type s3, key_id 'a', secret 'b')",
)
SETS = (
    "install httpfs",
    "load '{free}'",
    "force install spatial from 'http://127.0.0.1:{port}/'",
    "set enable_external_access = true",
    "set lock_configuration = false",
    "set allowed_paths = ['/']",
    "set threads = 8",
    "set memory_limit = '100GB'",
    "reset memory_limit",
    "pragma enable_profiling = 'json'",
    "pragma database_list",
    "set variable x = 1",
    "use memory",
    "begin transaction",
    "prepare x as select 1",
    "execute x",
    "create macro f(x) as x",
    "create function f(x) as table from read_text('{secret}')",
    "select 1; copy fx to '{free}'",
    "select 1; select 2",
    "select 1 /* */ ; /* ; */ set threads = 2",
)
TELLS = (  # of the machine, of settings, of what others asked
    "select current_setting('allowed_paths')",
    "select current_setting('secret_directory')",
    "select getenv('HOME')",
    "select * from duckdb_settings()",
    "select * from duckdb_settings",
    "select * from duckdb_secrets()",
    "select * from which_secret('s3://bucket/x', 's3')",
    "select sql from duckdb_views()",
    "select * from pg_catalog.pg_settings",
    "select * from information_schema.tables",
    "select * from duckdb_temporary_files()",
    "select * from duckdb_logs",
    "select * from pragma_platform()",
    "select * from system.main.duckdb_views",
    "with duckdb_settings as (from duckdb_settings) select * from duckdb_settings",
    "select * from (with duckdb_views as (select 1) from duckdb_views), duckdb_views",
    "select * from query_table('duckdb_views')",
    "select * from histogram('duckdb_views', 'sql')",
    "show all tables",
    "show databases",
    "select write_log('x')",
    "select sleep_ms(60000)",
    "select pg_sleep(60)",
    "select json_serialize_plan('from fx')",
    "select nextval('x')",
    "select * from sql",
    "select pg_get_viewdef(range) from range(5000)",
    "select setval('x', 1)",
    'with "duc\u212adb_views" as (select 1) select sql from duckdb_views',  # Python's lower() makes a k of that sign
    'with "duckdb_v\u0130ews" as (select 1) select sql from duckdb_views',
    'with "{folder}/\u212a.csv" as (select 1) select * from "{folder}/k.csv"',
)
PASS = (  # (text, its rows, worked out by hand: two currencies of one day, 1.1 and 1.0)
    ("select count(*) from fx", [(2,)]),
    ("from main.fx select currency order by 1 desc limit 1;", [("USD",)]),
    ("with a as (select rate from fx), b as (select max(rate) as m from a) select m from b", [(1.1,)]),
    ("with recursive t(n) as (select 1 union all select n + 1 from t where n < 4) select sum(n) from t", [(10,)]),
    ("select x.currency from fx x join fx y using (day) where y.rate > x.rate", [("USD",)]),
    ("select currency, sum(rate) from fx group by rollup (currency) order by all nulls last limit 1", [("EUR", 1.1)]),
    ("select currency from fx qualify row_number() over (order by rate) = 1", [("USD",)]),
    ("select \"EUR\" from (pivot fx on currency in ('EUR') using sum(rate) group by day)", [(1.1,)]),
    ("select name from (unpivot (select rate from fx) on rate) group by all", [("rate",)]),
    ("select case when rate > 1 then 'a' else 'b' end, rate between 1 and 1.05 from fx", [("a", False), ("b", True)]),
    ("select list_transform([1, 2], lambda x: x + 1)", [([2, 3],)]),
    ("select column_name from (describe fx) limit 2", [("source",), ("currency",)]),
    ("summarize select 1 as a", None),
    ("(select 1) union (select 1) except select 2", [(1,)]),
    ("select date_trunc('month', day)::date, day + interval 1 day > day from fx limit 1", [(date(2024, 1, 1), True)]),
    ("select * from range(2) a(x), unnest([7]) b(y) order by x", [(0, 7), (1, 7)]),
    ("values (1, 'copy fx to x')", [(1, "copy fx to x")]),
    (
        "select rate from fx asof join (select date '2024-01-05' as day) d on d.day >= fx.day order by 1",
        [(1.0,), (1.1,)],
    ),
    ("select exists (from fx), 1 = any(select 1), (select max(rate) from fx)", [(True, True, 1.1)]),
    ("select * exclude (source, source_time, known, day) from fx where rate = ?", [("USD", 1.0)]),
)


@pytest.fixture(scope="module")
def place_of_crime(tmp_path_factory):
    """A store, a folder beside it with a secret, a socket that nobody should call; and their names."""
    top = tmp_path_factory.mktemp("hostile")
    archive = open_archive(top / "store", create=True)
    rows = pl.DataFrame({"currency": ["EUR", "USD"], "day": [date(2024, 1, 1)] * 2, "rate": [1.1, 1.0]})
    archive.commit([archive.write("fx", rows, source="ecb")])
    segment = archive.place.local(archive.head().files[0].path)
    archive.sql("select 1")  # makes the folder of what is large
    segment.chmod(0o644)  # the file's own mode is another fence; here it must stand without
    outside = top / "outside"
    outside.mkdir()
    for name in ("secret.txt", "k.csv"):
        (outside / name).write_text("a,secret\n")
    pl.DataFrame({"secret": ["a secret"]}).write_parquet(outside / "other.parquet")
    (segment.parent / "link.parquet").symlink_to(outside / "other.parquet")
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.setblocking(False)
        names = {"segment": segment, "secret": outside / "secret.txt", "other": outside / "other.parquet"}
        names |= {"link": segment.parent / "link.parquet", "folder": outside, "free": outside / "new.csv"}
        yield archive, names | {"port": listening.getsockname()[1]}, listening, top


def all_below(top):
    """Every name below a folder with what it holds."""
    return {
        str(path): os.readlink(path) if path.is_symlink() else sha256(path.read_bytes()).hexdigest()
        for path in sorted(top.rglob("*"))
        if path.is_file() or path.is_symlink()
    } | {str(path): "folder" for path in top.rglob("*") if path.is_dir()}


def assert_quiet(listening):
    with pytest.raises(BlockingIOError):
        listening.accept()


@pytest.mark.parametrize("sql", READS + WRITES + SETS + TELLS)
def test_a_hostile_statement_is_refused_in_one_sentence_and_leaves_nothing(place_of_crime, sql):
    archive, names, listening, top = place_of_crime
    before = all_below(top)
    with pytest.raises(BadQuery) as caught:
        archive.sql(sql.format(**names))
    assert "\n" not in str(caught.value)
    assert all_below(top) == before
    assert_quiet(listening)


@pytest.mark.parametrize("sql", READS)
def test_the_locked_connection_alone_keeps_files_and_network_away(place_of_crime, sql, monkeypatch):
    archive, names, listening, _ = place_of_crime
    monkeypatch.setattr(query, "check", lambda *_: None)
    with pytest.raises(BadQuery):
        archive.sql(sql.format(**names))
    assert_quiet(listening)


def test_without_the_check_a_select_could_overwrite_what_it_may_read(tmp_path, monkeypatch):
    file = tmp_path / "a.parquet"
    TABLES["fx"].empty().write_parquet(file)
    before = file.read_bytes()
    sql = f"with x as (copy (select 7) to '{file}' (format csv, use_tmp_file false)) select * from x -- fx"
    with pytest.raises(BadQuery, match="copy is not allowed, it must only select"):
        answer(sql, None, [(TABLES["fx"], [str(file)])], tmp_path)
    assert file.read_bytes() == before
    monkeypatch.setattr(query, "check", lambda *_: None)
    answer(sql, None, [(TABLES["fx"], [str(file)])], tmp_path)
    assert file.read_text() == "7\n7\n"  # of duckdb 2.0: a header and a row; the day this fails, the fence is doubled


@pytest.mark.parametrize(("sql", "rows"), PASS)
def test_what_only_selects_passes(place_of_crime, sql, rows):
    found = place_of_crime[0].sql(sql, [1.0] if "?" in sql else None)
    assert rows is None or found.rows() == rows


def test_every_kind_of_statement_but_select_is_refused():
    kinds = {"SELECT", "INVALID", "RELATION", "LOGICAL_PLAN", "MULTI"}
    assert duckdb.StatementType.__members__.keys() > kinds  # new kinds of a newer version are none of these either


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("select * from fxs", r"no table fxs \(did you mean fx\?\); the tables are contract.* \(line 1, column 15\)"),
        ("select *\nfrom fx\njoin nix using (day)", r"no table nix; .* \(line 3, column 6\)"),
        ("select 'é', * from nix", r"\(line 1, column 20\)"),
        ("from read_text('x')", r"read_text is not open here; rows come from the tables and .* \(line 1, column 6\)"),
        ("select current_setting('x')", r"current_setting is not open here \(line 1, column 8\)"),
        ("show tables", "the tables are contract_bars, .*DESCRIBE"),
        ("pivot fx on currency using sum(rate)", r"must be one SELECT; a PIVOT tells its values: ON column IN"),
        ("select " + "1 + " * 900 + "1", "too deep"),
        ("select " + "(" * 5000 + "1" + ")" * 5000, "too deep inside one another$"),
        ("select 1 from fx at (version => 1)", r"AT is not open here; a query asks one .* \(line 1, column 15\)"),
        ("select " + "1," * LONGEST + "1", "200,008 characters, at most 100,000"),
        ("select '\ud800'", "half of a character"),
    ],
)  # fmt: skip
def test_a_refusal_tells_what_where_and_what_is_allowed(place_of_crime, sql, words):
    with pytest.raises(BadQuery, match=words):
        place_of_crime[0].sql(sql)


def test_a_place_counts_lines_and_letters_not_bytes():
    assert place("é\né x", 6) == " (line 2, column 3)"
    assert place("x", None) == place("x", 1) == place("x", 2**64 - 1) == ""
