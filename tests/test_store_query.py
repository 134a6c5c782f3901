"""SQL: one SELECT over the pinned files, and nothing else can be reached."""

import subprocess
import sys
import tempfile
import time
from datetime import UTC, date, datetime
from random import Random

import polars as pl
import pytest

from store import query
from store.archive import NotWritten, StoreError, open_archive
from store.query import BadQuery, answer, ask
from store.tables import TABLES
from tests.conftest import REPO


@pytest.fixture
def archive(tmp_path):
    archive = open_archive(tmp_path / "store", create=True)
    rows = pl.DataFrame({"currency": ["EUR", "USD"], "day": [date(2024, 1, 1)] * 2, "rate": [1.1, 1.0]})
    archive.commit([archive.write("fx", rows, source="ecb")])
    return archive


def test_values_come_by_parameter(archive):
    assert archive.sql("select rate from fx where currency = ?", ["EUR"]).rows() == [(1.1,)]
    assert archive.sql("select rate from FX where currency = $name", {"name": "x' or 1 = 1 --"}).rows() == []


def test_a_pinned_snapshot_is_asked(archive):
    archive.commit([], remove=archive.head().files)
    assert archive.sql("select count(*) from fx").item() == 0
    assert archive.sql("select count(*) from fx", snapshot=1).item() == 2


@pytest.mark.parametrize("name", sorted(TABLES))
def test_every_table_is_there_with_the_types_it_is_read_with(archive, name):
    table = TABLES[name]
    assert archive.sql(f"select * from {name}").schema == table.schema
    row = {table.empty().columns[0]: ["x"]}
    if "time" in table.schema:
        row["time"] = [datetime(2024, 7, 1, 21, tzinfo=UTC)]
    archive.commit([archive.write(name, pl.DataFrame(row))], remove=archive.files(name))
    assert archive.sql(f"select * from {name}").equals(archive.read(name))


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "selec 1",
        "select 1; select 2",
        "select * from no_such",
        "select no_such from fx",
        "copy fx to 'out.csv'",
        "explain analyze copy fx to 'out.csv'",
        "create table x as select * from fx",
        "attach 'other.db'",
        "install httpfs",
        "load httpfs",
        "set threads = 1",
        "set enable_external_access = true",
        "pragma database_list",
        "select * from read_text('/etc/passwd')",
        "select * from '/etc/passwd'",
        "select * from read_csv('https://example.com/x.csv')",
        "select * from glob('/*')",
        "select * from sql",
        "select getenv('HOME')",
        "select * from fx where rate = ?",
        "select 1 / 'a'",
        "select error('two\nlines')",
    ],
)
def test_anything_but_a_select_over_the_tables_is_refused_in_one_sentence(archive, sql, tmp_path):
    with pytest.raises(StoreError) as caught:
        archive.sql(sql)
    assert isinstance(caught.value, BadQuery)
    assert "\n" not in str(caught.value)
    assert kept_on_disk(archive) == []


def kept_on_disk(archive):
    """What queries have left in the cache."""
    return list((archive.cache / "sql").iterdir())


@pytest.fixture
def asked(archive):
    """A function that asks the archive, with limits."""
    return lambda text, params=None, **limits: ask(archive, text, params, **limits)


def test_an_answer_says_its_snapshot_and_whether_it_was_cut(asked):
    whole, exact, cut = (asked("select * from range(10)", limit=limit) for limit in (None, 10, 9))
    assert [(found.frame.height, found.cut, found.snapshot) for found in (whole, exact, cut)] == [
        (10, False, 1), (10, False, 1), (9, True, 1),
    ]  # fmt: skip


def test_the_first_rows_of_an_order_are_kept(asked):
    found = asked("select * from range(300000) t(n) order by n desc", limit=2)
    assert found.frame.rows() == [(299999,), (299998,)]


def test_without_a_limit_nothing_is_cut_unsaid(asked):
    with pytest.raises(BadQuery, match="more than 10,000,000 rows: aggregate, or cut it by LIMIT"):
        asked(f"select true from range({10**15})")


@pytest.mark.folder
def test_files_are_checked_before_the_clock_runs(archive):
    told = []
    ask(archive, "select 1 from fx", ready=lambda: told.append("ready"))
    assert told == ["ready"]
    (archive.path / archive.head().files[0].path).chmod(0o644)
    (archive.path / archive.head().files[0].path).write_bytes(b"other")
    with pytest.raises(StoreError, match="damaged"):
        ask(archive, "select 1 from fx", ready=lambda: told.append("never"))
    assert told == ["ready"]


@pytest.mark.parametrize(
    "sql",
    [
        "select count(*) from range(100000000) a, range(1000000) b",
        "with recursive t(n) as (select 1 union all select n + 1 from t) select count(*) from t",
        "select max(random()) from range(1000000000000)",
        "select * from " + ", ".join(f"(select 1) t{k}" for k in range(200)),
    ],
)
def test_a_query_without_end_is_stopped_at_its_time(asked, sql):
    began = time.monotonic()
    with pytest.raises(BadQuery, match=r"stopped after 0\.3 seconds: ask for less, or give it more time"):
        asked(sql, seconds=0.3)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("select list(range) from range(1000000000)", "needs more than 100MB of memory"),
        ("select string_agg(range::varchar) from range(1000000000)", "needs more than 100MB of memory"),
        ("select repeat('x', 10000000000)", "Cannot create a string of size"),
        ("select generate_series(1, 10000000000)", "Lists larger than"),
        ("select factorial(1000000)", "out of range"),
        ("select " + ", ".join("1" for _ in range(3000)), "3,000 columns, at most 2,000"),
        ("select " + ", ".join(["1"] * 100_000), "300,005 characters, at most 100,000"),
        ("select regexp_matches('a', '((((a{1,100}){1,100}){1,100}){1,100})')", "invalid repetition|too large"),
        ("select 'infinity'::timestamp as x", "column x has a time before year 1 or after 9999"),
    ],
)
def test_a_query_that_wants_too_much_is_refused_in_a_sentence(asked, sql, words):
    with pytest.raises(BadQuery, match=words):
        asked(sql, memory="100MB", seconds=20)


def test_a_regular_expression_cannot_blow_up(asked):
    assert asked("select regexp_matches(repeat('a', 100000), '(a*)*b')").frame.item() is False


def test_what_does_not_fit_into_memory_goes_to_files_that_are_gone_afterwards(archive, asked, monkeypatch):
    sql = "select md5(range::varchar) as a, range from range(600000) order by a limit 1 offset 599990"
    assert asked(sql, memory="40MB").frame.height == 1
    assert kept_on_disk(archive) == []
    monkeypatch.setattr(query, "SPILL", "1KB")
    with pytest.raises(BadQuery, match="needs more than 40MB of memory"):
        asked(sql, memory="40MB")


def test_sums_of_floats_are_the_same_every_time(archive):
    draw = Random(5)
    rates = pl.DataFrame({"rate": [draw.uniform(-1e9, 1e9) * 10.0 ** draw.randint(-9, 9) for _ in range(300_000)]})
    archive.commit([archive.write("fx", rates, source="ecb")])
    sql = "select sum(rate), avg(rate), stddev(rate), corr(rate, rate * rate) from fx where rate is not null"
    assert len({archive.sql(sql).rows()[0] for _ in range(3)}) == 1


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("interval 1 day", "1 day"), ("union_value(a := 1)", "1"), ("{'a': 1}", "{'a': 1}"), ("map {1: 2}", "{1=2}"),
        ("[1, null]", [1, None]), ("'a'::enum('a')", "a"), ("1::bit", "0" * 31 + "1"), ("null", None),
        ("1.50::decimal(5, 2)::varchar", "1.50"), ("1::variant", "1"), ("[interval 1 day]", "[1 day]"),
    ],
)  # fmt: skip
def test_a_value_of_any_type_can_be_handed_on(asked, value, told):
    assert asked(f"select {value} as x").frame.rows() == [(told,)]


def test_columns_of_one_name_are_told_apart(asked):
    assert asked("select 1 as a, 2 as a, 3 as b").frame.to_dict(as_series=False) == {"a": [1], "a_1": [2], "b": [3]}


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("selec 1", r'syntax error at or near "selec" \(line 1, column 1\)$'),
        ("select\n  currency,\n  no_such\nfrom fx", r'"no_such" not found .*"currency".* \(line 3, column 3\)$'),
        ("select " + "1 as a, " * 60 + "no_such from fx", r"\(line 1, column 488\)$"),
        ("select nofunc(1)", r"nofunc does not exist; Did you mean .* \(line 1, column 8\)$"),
        ("select sum(currency) from fx", r"'sum\(VARCHAR\)'.* type casts \(line 1, column 8\)$"),
        ("select ?", "not provided for the following parameters: 1"),
    ],
)
def test_an_error_tells_the_place_in_the_text(asked, sql, words):
    with pytest.raises(BadQuery, match=words):
        asked(sql)


def test_names_of_folders_cannot_reach_the_text(tmp_path):
    folder = tmp_path / 'it\'s [a] *? "folder"'
    folder.mkdir()
    TABLES["fx"].conform(pl.DataFrame({"rate": [2.0]})).write_parquet(folder / "a.parquet")
    paths = [(TABLES["fx"], [str(folder / "a.parquet")])]
    assert answer("select rate from fx", None, paths, folder / "cache").frame.rows() == [(2.0,)]


def test_a_limit_below_one_is_refused(asked):
    with pytest.raises(BadQuery, match="a limit of 0 rows leaves nothing"):
        asked("select 1", limit=0)


def test_where_the_cache_cannot_be_written_the_systems_temporary_folder_serves(tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("a file, in which no folder can be made")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    seen, run = [], query._run
    monkeypatch.setattr(query, "_run", lambda *of: (seen.extend((tmp_path / "temporary").iterdir()), run(*of))[1])
    sql = "select md5(range::varchar) as a, range from range(600000) order by a limit 1 offset 599990"
    assert answer(sql, None, [], tmp_path / "cache", memory="40MB").frame.height == 1
    assert len(seen) == 1 and list((tmp_path / "temporary").iterdir()) == []
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(NotWritten, match=r"no folder to keep in what is large.*: name one in TMPDIR"):
        answer("select 1", None, [], tmp_path / "cache")


@pytest.mark.service
def test_many_that_ask_at_once_are_not_in_each_others_way(archive):
    code = (
        "import sys; from store import open_archive; archive = open_archive(sys.argv[1])\n"
        "sys.stdin.read(1)\n"
        "for _ in range(60): assert archive.sql('select count(*) from fx').item() == 2"
    )
    command = [sys.executable, "-c", code, str(archive.path)]
    running = [subprocess.Popen(command, cwd=REPO, stdin=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
    for process in running:
        process.stdin.write(b"g")
        process.stdin.flush()
    assert [process.communicate()[1] for process in running] == [b"", b"", b""]
