"""Bars within the day by year: which file a row goes to, what an import touches, and older stores without years."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from bench import minute_files
from store import checks, open_archive, years
from store.contracts import Master
from store.ingest import import_paths
from store.tables import TABLES

SOURCE = "parquet-minute"
KEY = TABLES["contract_bars"].key


@pytest.fixture(scope="module")
def rows():
    """Minutes of two markets over New Year: root, contract, time, prices."""
    import numpy as np

    frames = []
    for number, root in enumerate(("ES", "ZC")):
        made = minute_files.market(root, 12_000, np.random.default_rng(number), first=date(2014, 12, 24))
        frames += [frame.with_columns(root=pl.lit(root)).drop("day") for frame in made]
    return pl.concat(frames)


@pytest.fixture
def archive(tmp_path):
    return open_archive(tmp_path / "store", create=True)


def taken(archive, rows, name="x"):
    """Import rows as a Parquet file."""
    path = archive.path.parent / f"{name}.parquet"
    rows.write_parquet(path)
    [report] = import_paths(archive, [path])
    assert not report.error and report.quarantined == 0
    return report


def held(archive, root="ES"):
    """{year: (rows, paths)} of a market's files."""
    found = {}
    for segment in archive.files("contract_bars", root=root):
        count, paths = found.get(segment.labels.get("year"), (0, []))
        found[segment.labels.get("year")] = count + segment.rows, [*paths, segment.path]
    return found


def whole(archive, **columns):
    return archive.read("contract_bars").drop("known").sort(KEY)


def test_a_file_holds_one_market_and_year_of_the_end_of_its_bars(archive, rows):
    taken(archive, rows)
    for segment in archive.files("contract_bars"):
        assert set(segment.labels) == {"source", "root", "year"}
        times = archive.read("contract_bars", root=segment.labels["root"], year=segment.labels["year"])["time"]
        assert times.dt.year().unique().to_list() == [int(segment.labels["year"])] and len(times) == segment.rows
    assert sorted(held(archive)) == ["2014", "2015"]
    expected = rows.sort("root", "contract", "time").select("root", "contract", "time", "close", "volume")
    assert whole(archive).select(expected.columns).equals(expected)


def test_a_session_over_new_year_is_found_in_both_files(archive):
    """What trades in the evening of 2018-12-31 belongs to 2019-01-02, the session after the holiday (DOMAIN T40)."""
    evening = [datetime(2018, 12, 31, 23, 1, tzinfo=UTC) + timedelta(minutes=30 * k) for k in range(8)]
    taken(archive, pl.DataFrame({"root": "ES", "contract": 201903, "time": evening, "close": 2500.0}))
    assert {year: count for year, (count, _) in held(archive).items()} == {"2018": 2, "2019": 6}
    stored = archive.read("contract_bars")
    assert stored["day"].unique().to_list() == [date(2019, 1, 2)]
    assert archive.read("contract_bars", days=("2019-01-02", "2019-01-02")).height == 8


def test_an_import_touches_the_years_it_brings(archive, rows):
    taken(archive, rows)
    before = held(archive)
    late = rows.filter(pl.col("root") == "ES").sort("time").tail(1000)
    taken(archive, late.with_columns(close=pl.col("close") + 0.25, high=pl.col("high") + 1), "late")
    after = held(archive)
    assert after["2014"] == before["2014"] and after["2015"][1] != before["2015"][1]
    assert after["2015"][0] == before["2015"][0]
    revised = archive.read("revisions").filter(pl.col("column") == "close")
    assert (revised["new"] - revised["old"]).unique().to_list() == [0.25] and revised.height == late.height


def test_later_days_are_one_more_file_of_their_year(archive, rows):
    es = rows.filter(pl.col("root") == "ES")
    last = es["time"].max().replace(hour=0, minute=0)
    taken(archive, es.filter(pl.col("time") < last - timedelta(days=1)))
    before = held(archive)
    taken(archive, es.filter(pl.col("time") >= last + timedelta(hours=0)), "day")
    assert held(archive)["2015"][1][:-1] == before["2015"][1] and held(archive)["2014"] == before["2014"]


def test_what_comes_again_leaves_all_files_as_they_are(archive, rows):
    taken(archive, rows)
    before = held(archive), held(archive, "ZC")
    taken(archive, rows.reverse(), "again")
    assert (held(archive), held(archive, "ZC")) == before and archive.read("revisions").is_empty()


@pytest.mark.parametrize("brings", ["a later day", "a restated value", "nothing new"])
def test_a_market_of_an_older_store_is_parted_by_the_first_import_that_changes_it(archive, rows, brings, tmp_path):
    es = rows.filter(pl.col("root") == "ES").sort("time")
    old, new = es.head(-500), es.tail(500)
    if brings != "a later day":
        old, new = es, es.head(2000)
        new = new.with_columns(volume=pl.col("volume") + (1.0 if brings == "a restated value" else 0.0))
    once = open_archive(tmp_path / "once", create=True)
    taken(once, old, "old")
    stored = once.read("contract_bars").sort(KEY)
    archive.commit([archive.write("contract_bars", stored, source=SOURCE, root="ES")])
    taken(archive, new, "new")
    taken(once, new, "new")
    assert whole(archive).equals(whole(once))
    told = archive.read("revisions").drop("import_id")
    assert told.height == (2000 if brings == "a restated value" else 0)
    assert told.equals(once.read("revisions").drop("import_id"))
    assert set(held(archive)) == ({None} if brings == "nothing new" else {"2014", "2015"})
    assert not archive.verify()


def test_a_store_of_years_and_one_without_say_the_same_of_a_market(archive, rows):
    """The checks of an import see the few rows of each year that they need, and tell the same as of all of them."""
    es = rows.filter(pl.col("root") == "ES")
    slipped = pl.when(pl.col("time").dt.date() == date(2015, 1, 2)).then(100.0).otherwise(1.0)
    prices = [(pl.col(name) * slipped).alias(name) for name in ("open", "high", "low", "close")]
    taken(archive, es.with_columns(prices))
    found = archive.read("findings")
    spec = Master.load().spec("ES")
    expected = checks.refusals(archive.read("contract_bars").sort(KEY), spec)
    assert found.drop("done").equals(expected.drop("done")) and "unit_slip" in found["rule"].to_list()


def test_a_shifted_clock_is_found_by_the_few_rows_that_are_looked_at(rows):
    es = rows.filter(pl.col("root") == "ES").with_columns(source=pl.lit(SOURCE), day=pl.col("time").dt.date())
    stored = TABLES["contract_bars"].conform(es.with_columns(time=pl.col("time") + timedelta(hours=4))).sort(KEY)
    spec = Master.load().spec("ES")
    few = years.thinned(stored, spec.timezone)
    assert 0 < few.height < stored.height / 10
    few = TABLES["contract_bars"].conform(few.with_columns(source=pl.lit(SOURCE), root=pl.lit("ES")))
    assert checks.refusals(few, spec).equals(checks.refusals(stored, spec))


def test_rows_of_no_price_and_of_one_contract_are_thinned_too():
    empty = TABLES["contract_bars"].empty()
    assert years.thinned(empty).height == 0
    one = pl.DataFrame({"contract": 202403, "time": [datetime(2024, 1, 2, tzinfo=UTC)], "day": [date(2024, 1, 2)]})
    assert years.thinned(TABLES["contract_bars"].conform(one)).height == 0
    assert years.thinned(TABLES["contract_bars"].conform(one.with_columns(settle=5.0)))["settle"].to_list() == [5.0]


def test_a_restatement_is_measured_by_all_years_of_the_market(archive, rows):
    """Restated rows are measured against all of the market's rows, not against those of their year."""
    es = rows.filter(pl.col("root") == "ES")
    taken(archive, es)
    of = es.height
    late = es.filter(pl.col("time") >= datetime(2015, 1, 1, tzinfo=UTC))
    taken(archive, late.with_columns(volume=pl.col("volume") + 1), "late")
    [row] = archive.read("findings").filter(pl.col("rule") == "restated").to_dicts()
    assert row["reason"].startswith(f"{late.height} of {of} stored rows changed")
    assert row["severity"] == ("refuse" if late.height > 0.05 * of else "warn")


def test_a_file_of_minutes_that_are_all_at_fault_leaves_nothing_and_the_others_come_in(archive, rows, tmp_path):
    es = rows.filter(pl.col("root") == "ES")
    es.with_columns(volume=-1.0).write_parquet(tmp_path / "bad.parquet")
    es.write_parquet(tmp_path / "good.parquet")
    bad, good = import_paths(archive, [tmp_path / "bad.parquet", tmp_path / "good.parquet"])
    assert "no usable row" in bad.error and not good.error
    assert archive.read("contract_bars").height == good.accepted == es.height


def overtaken(archive, monkeypatch, write):
    """The first commit is preceded by another writer's; how often ours was tried is told."""
    commit, tries = archive.commit, []

    def late(*arguments, **words):
        tries.append(1)
        if len(tries) == 1:
            write(open_archive(archive.path))
        return commit(*arguments, **words)

    monkeypatch.setattr(archive, "commit", late)
    return tries


@pytest.mark.parametrize(("theirs", "tries"), [("2015", 1), ("2014", 2)])
def test_writers_of_two_years_of_a_market_are_not_in_each_others_way(archive, rows, monkeypatch, theirs, tries):
    es = rows.filter(pl.col("root") == "ES")
    year = pl.col("time").dt.year()
    parts = {"ours": es.filter(year == 2014).head(2000), "2014": es.filter(year == 2014).tail(-2000)}
    parts["2015"] = es.filter(year == 2015)
    told = overtaken(archive, monkeypatch, lambda other: taken(other, parts[theirs], "theirs"))
    taken(archive, parts["ours"], "ours")
    assert len(told) == tries and not archive.verify()
    expected = pl.concat([parts["ours"], parts[theirs]]).sort("contract", "time")
    assert whole(archive).select(expected.columns).equals(expected)


def test_two_writers_that_part_an_older_market_leave_each_row_once(archive, rows, monkeypatch, tmp_path):
    es = rows.filter(pl.col("root") == "ES").sort("time")
    once = open_archive(tmp_path / "once", create=True)
    taken(once, es.head(6000), "old")
    stored = once.read("contract_bars").sort(KEY)
    archive.commit([archive.write("contract_bars", stored, source=SOURCE, root="ES")])
    told = overtaken(archive, monkeypatch, lambda other: taken(other, es[6000:9000], "theirs"))
    taken(archive, es[9000:], "ours")
    assert len(told) == 2 and set(held(archive)) == {"2014", "2015"}
    expected = es.sort("contract", "time")
    assert whole(archive).select(expected.columns).equals(expected)


def test_a_dry_run_of_minutes_tells_what_it_would_do_and_does_nothing(archive, rows, tmp_path):
    rows.write_parquet(tmp_path / "x.parquet")
    [report] = import_paths(archive, [tmp_path / "x.parquet"], dry_run=True)
    assert report.accepted == rows.height and archive.head().number == 0
    assert archive.place.tree("data") == archive.place.tree("runs") == []
