"""Bars within the day as daily bars: against a slow twin, after new and restated minutes, and what a run then reads."""

import gzip
from datetime import UTC, date, datetime, timedelta
from math import fsum

import numpy as np
import polars as pl
import pytest

import engine
from bench import minute_files
from store import aggregate as module
from store import decisions, history, kept, open_archive, segments
from store.aggregate import READ, aggregate, daily
from store.archive import Conflict
from store.compact import compact
from store.held import sources
from store.ingest import import_paths
from store.tables import TABLES

MINUTES, DAILY = "parquet-minute", "parquet-minute-daily"
KEY = TABLES["contract_bars"].key
BAR = ("root", "contract", "day", "time", "open", "high", "low", "close", "settle", "volume", "open_interest")


@pytest.fixture(scope="module")
def minutes():
    """Minutes of two markets over New Year, no last day cut: root, contract, time, prices."""
    found = []
    for number, root in enumerate(("ES", "ZC")):
        made = minute_files.market(root, 14_000, np.random.default_rng(number), first=date(2014, 12, 22))
        rows = pl.concat(list(made)).with_columns(root=pl.lit(root))
        found.append(rows.filter(pl.col("day") < rows["day"].max()))
    return pl.concat(found)


@pytest.fixture
def archive(tmp_path):
    return open_archive(tmp_path / "store", create=True)


def taken(archive, rows, name="x"):
    """Import rows as a Parquet file, which tells no trade date."""
    path = archive.path.parent / f"{name}.parquet"
    rows.drop("day").write_parquet(path)
    [report] = import_paths(archive, [path])
    assert not report.error and not report.quarantined
    return archive


def bars(archive, root=None):
    rows = archive.read("contract_bars", source=DAILY).sort(KEY)
    return rows if root is None else rows.filter(pl.col("root") == root)


def one_by_one(rows):
    """Daily bars of stored minutes, a row at a time, as tuples of `BAR`."""
    found, ends = {}, {}
    for row in sorted(rows.to_dicts(), key=lambda row: (row["root"], row["contract"], row["time"])):
        found.setdefault((row["root"], row["contract"], row["day"]), []).append(row)
        place = row["root"], row["day"]
        ends[place] = max(ends.get(place, row["time"]), row["time"])
    told = []
    for (root, contract, day), day_rows in sorted(found.items()):
        each = {name: [r[name] for r in day_rows if r[name] is not None] for name in BAR[4:]}
        last = {name: each[name][-1] if each[name] else None for name in ("close", "settle", "open_interest")}
        told.append(
            (root, contract, day, ends[root, day], each["open"][0] if each["open"] else None,
             max(each["high"], default=None), min(each["low"], default=None), last["close"], last["settle"],
             fsum(each["volume"]) if each["volume"] else None, last["open_interest"])
        )  # fmt: skip
    return told


def test_daily_bars_are_those_of_a_slow_twin(archive, minutes):
    document = aggregate(taken(archive, minutes))
    stored = archive.read("contract_bars", source=MINUTES)
    expected = one_by_one(stored)
    assert bars(archive).select(BAR).rows() == expected
    assert [(m["root"], m["from"], m["source"], m["rows"], m["left_out"]) for m in document["markets"]] == [
        (root, MINUTES, DAILY, sum(row[0] == root for row in expected), None) for root in ("ES", "ZC")
    ]
    assert document["snapshot"] == archive.head().number == 2


def test_daily_bars_are_those_that_duckdb_makes(archive, minutes):
    aggregate(taken(archive, minutes))
    asked = f"""select root, contract, day, arg_min(open, time) as open, max(high) as high, min(low) as low,
                arg_max(close, time) as close, sum(volume) as volume from contract_bars where source = '{MINUTES}'
                group by all order by all"""
    theirs = archive.sql(asked)
    assert bars(archive).select(theirs.columns).equals(theirs.cast(bars(archive).select(theirs.columns).schema))


@pytest.mark.parametrize("seed", range(5))
def test_rows_that_lack_values_are_made_one_bar_as_the_twin_makes_them(seed):
    chance = np.random.default_rng(seed)
    count = 300
    times = np.sort(chance.choice(3 * 1440, (2, count), replace=True), axis=None)
    frame = {"root": "ES", "contract": chance.choice([202403, 202406], 2 * count)}
    start = datetime(2024, 1, 8, tzinfo=UTC)
    frame |= {"time": [start + timedelta(minutes=int(k)) for k in times]}
    for name in ("open", "high", "low", "close", "settle", "volume", "open_interest"):
        values = chance.integers(1, 50, 2 * count) / 4
        frame[name] = pl.Series(np.where(chance.random(2 * count) < 0.97, np.nan, values), nan_to_null=True)
    rows = pl.DataFrame(frame).unique(["contract", "time"]).with_columns(day=pl.col("time").dt.date())
    stored = TABLES["contract_bars"].conform(rows.sample(fraction=1.0, shuffle=True, seed=seed))
    assert daily(stored.select(READ)).with_columns(root=pl.lit("ES")).select(BAR).rows() == one_by_one(stored), seed


def test_what_is_known_since_when_and_the_last_stamp_are_those_of_the_last_row():
    at = datetime(2024, 3, 4, 15, tzinfo=UTC)
    rows = {"contract": 202403, "day": date(2024, 3, 4), "time": [at, at + timedelta(minutes=1)], "close": 5.0}
    rows |= {"source_time": ["a", "b"], "known": [at + timedelta(days=9), at + timedelta(days=2)]}
    made = daily(TABLES["contract_bars"].conform(pl.DataFrame(rows)).select(READ))
    assert made.select("source_time", "known").row(0) == ("b", at + timedelta(days=9))


def test_nothing_new_commits_nothing_with_the_note_and_without_it(archive, minutes):
    aggregate(taken(archive, minutes))
    head = archive.head()
    for _ in range(2):
        document = aggregate(archive)
        assert archive.head() == head and document["snapshot"] == head.number
        assert [market["changed"] for market in document["markets"]] == [0, 0]
        for path in (archive.cache / "aggregate").iterdir():
            path.unlink()


def read_days(monkeypatch):
    """The spans of days that are made again from now on."""
    told, rows = [], module._rows

    def watched(archive, head, root, source, spans, inputs):
        told.append((root, [tuple(span) for span in spans]))
        return rows(archive, head, root, source, spans, inputs)

    monkeypatch.setattr(module, "_rows", watched)
    return told


def test_a_day_more_is_a_file_more_and_the_only_day_that_is_read(archive, minutes, monkeypatch):
    es, last = minutes.filter(pl.col("root") == "ES"), date(2014, 12, 30)
    aggregate(taken(archive, minutes.filter((pl.col("root") != "ES") | (pl.col("day") < last))))
    before = archive.files("contract_bars", source=DAILY, root="ES")
    told = read_days(monkeypatch)
    document = aggregate(taken(archive, es.filter(pl.col("day") == last), "day"))
    assert told == [("ES", [(last, last)])]
    assert archive.files("contract_bars", source=DAILY, root="ES")[:-1] == before
    assert {m["root"]: m["changed"] for m in document["markets"]} == {"ES": minute_files.ALIVE, "ZC": 0}
    assert bars(archive).select(BAR).rows() == one_by_one(archive.read("contract_bars", source=MINUTES))


def test_restated_minutes_change_their_day_alone(archive, minutes):
    aggregate(taken(archive, minutes))
    before = bars(archive)
    day = date(2014, 12, 30)
    late = minutes.filter((pl.col("root") == "ES") & (pl.col("day") == day))
    late = late.with_columns(high=pl.when(pl.int_range(pl.len()) == 7).then(9999.0).otherwise("high"))
    document = aggregate(taken(archive, late, "late"))
    assert {m["root"]: m["changed"] for m in document["markets"]} == {"ES": 1, "ZC": 0}
    after = bars(archive)
    assert after.filter(pl.col("high") == 9999.0)["day"].to_list() == [day]
    assert after.drop("high", "known").equals(before.drop("high", "known"))
    assert after.filter(pl.col("day") != day).equals(before.filter(pl.col("day") != day))


def test_days_whose_minutes_are_gone_are_gone(archive, minutes):
    aggregate(taken(archive, minutes))
    gone = archive.files("contract_bars", root="ES", year="2014")
    archive.commit([], gone, "dropped")
    aggregate(archive)
    assert bars(archive).select(BAR).rows() == one_by_one(archive.read("contract_bars", source=MINUTES))
    assert bars(archive, "ES")["day"].min() >= date(2015, 1, 1)


@pytest.mark.parametrize(
    ("until", "known", "over"),
    [("2014-12-30 22:15", "2014-12-30 21:00", True), ("2014-12-30 21:30", "2014-12-31 06:00", True),
     ("2014-12-30 21:30", "2014-12-30 21:59", False), ("2014-12-30 18:00", "2015-01-01 00:00", False)],
)  # fmt: skip
def test_the_last_day_is_left_out_while_its_session_may_go_on(archive, minutes, until, known, over):
    """ES closed at 15:15 and, after a pause, at 16:00 in Chicago: 22:00 UTC; its bars until then are all there are."""
    until, known = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (until, known))
    rows = minutes.filter((pl.col("root") == "ES") & (pl.col("time") <= until))
    taken(archive, rows)
    stored = archive.read("contract_bars").with_columns(known=pl.lit(known))
    old = archive.files("contract_bars")
    archive.commit([archive.write("contract_bars", stored, source=MINUTES, root="ES", year="2014")], old)
    [market] = aggregate(archive)["markets"]
    day = date(2014, 12, 30)
    assert (market["left_out"], bars(archive)["day"].max() == day) == ((None, True) if over else (day, False))
    assert aggregate(archive)["markets"][0]["left_out"] == market["left_out"]


def test_a_day_that_was_left_out_comes_with_the_next_one(archive, minutes):
    es = minutes.filter(pl.col("root") == "ES")
    cut = datetime(2014, 12, 30, 12, 0, tzinfo=UTC)
    [market] = aggregate(taken(archive, es.filter(pl.col("time") <= cut)))["markets"]
    assert market["left_out"] == date(2014, 12, 30)
    aggregate(taken(archive, es.filter(pl.col("time") > datetime(2014, 12, 30, 23, 0, tzinfo=UTC)), "later"))
    assert date(2014, 12, 30) in bars(archive)["day"].to_list()
    assert bars(archive).select(BAR).rows() == one_by_one(archive.read("contract_bars", source=MINUTES))


def test_a_market_of_unknown_hours_waits_for_a_later_day(archive, minutes):
    rows = minutes.filter(pl.col("root") == "ZC").with_columns(root=pl.lit("QQQQ"))
    [market] = aggregate(taken(archive, rows))["markets"]
    assert market["left_out"] == archive.read("contract_bars", source=MINUTES)["day"].max()
    assert market["rows"] > 0


def test_a_market_with_a_finding_that_nobody_decided_about_is_left_as_it_is(archive, minutes):
    slipped = pl.when(pl.col("day") == date(2015, 1, 2)).then(100.0).otherwise(1.0)
    es = minutes.filter(pl.col("root") == "ES")
    es = es.with_columns((pl.col(name) * slipped).alias(name) for name in ("open", "high", "low", "close"))
    taken(archive, pl.concat([es, minutes.filter(pl.col("root") == "ZC")]))
    document = aggregate(archive)
    refused = {market["root"]: market["refused"] for market in document["markets"]}
    assert refused["ES"].startswith("unit_slip: ") and refused["ZC"] is None
    assert bars(archive)["root"].unique().to_list() == ["ZC"]
    decisions.release(archive, decisions.refused(archive)["id"].to_list(), "so it was")
    aggregate(archive)
    assert bars(archive, "ES").height


def test_what_was_asked_for_and_is_not_stored_is_refused(archive, minutes):
    taken(archive, minutes)
    with pytest.raises(segments.Refused, match="CL: no bars within the day are stored"):
        aggregate(archive, ["CL"])
    with pytest.raises(segments.Refused, match="did you mean parquet-minute"):
        aggregate(archive, source="parquet-minutes")
    assert [m["root"] for m in aggregate(archive, ["ZC"], MINUTES)["markets"]] == ["ZC"]
    assert bars(archive)["root"].unique().to_list() == ["ZC"]


def test_a_store_without_bars_within_the_day_has_nothing_to_do(archive):
    assert aggregate(archive) == {"snapshot": 0, "markets": []}


def test_minutes_that_another_writer_brings_meanwhile_are_in_it(archive, minutes, monkeypatch):
    es = minutes.filter(pl.col("root") == "ES")
    day = date(2015, 1, 5)
    taken(archive, es.filter(pl.col("day") != day))
    commit, calls = archive.commit, []

    def late(add, remove=(), note="", base=None):
        if not calls:
            calls.append(1)
            taken(open_archive(archive.path), es.filter(pl.col("day") == day), "theirs")
            raise Conflict("somebody else was first")
        return commit(add, remove, note, base)

    monkeypatch.setattr(archive, "commit", late)
    aggregate(archive)
    assert bars(archive).select(BAR).rows() == one_by_one(archive.read("contract_bars", source=MINUTES))


def test_equal_minutes_give_equal_files_whatever_they_came_in(tmp_path, minutes):
    stores = [open_archive(tmp_path / name, create=True) for name in ("once", "often")]
    for archive in stores:
        archive.path.parent.joinpath(archive.path.name + "-in").mkdir()
    taken(stores[0], minutes)
    aggregate(stores[0])
    for number, (_, rows) in enumerate(minutes.sort("day").group_by(pl.col("day").dt.week(), maintain_order=True)):
        aggregate(taken(stores[1], rows, f"{number}"))
    rows = [bars(archive).drop("known") for archive in stores]
    assert rows[0].equals(rows[1]) and rows[0].height > 50


# ---- what a run reads


def test_daily_bars_go_before_the_minutes_and_after_a_vendors_own(archive, minutes):
    aggregate(taken(archive, minutes))
    assert [name for _, name in sources(archive, "ES")] == [DAILY, MINUTES]
    own = bars(archive, "ES").with_columns(source=pl.lit("norgate"))
    archive.commit([archive.write("contract_bars", own, source="norgate", root="ES")])
    assert [name for _, name in sources(archive, "ES")] == ["norgate", DAILY, MINUTES]


def test_a_run_of_daily_bars_sees_the_prices_that_one_of_the_minutes_sees(archive, minutes):
    taken(archive, minutes)
    fine = engine.load(archive)
    aggregate(archive)
    market = engine.load(archive)
    assert [told["source"] for told in market.sources.values()] == [DAILY, DAILY]
    assert market.days.tolist() == fine.days.tolist() and market.roots == fine.roots
    own = ~(fine.roll | np.roll(fine.roll, 1, axis=0))  # on a roll the minutes know when, the day does not
    for name in ("open", "high", "low", "close", "volume", "contract"):
        assert np.array_equal(getattr(market, name)[own], getattr(fine, name)[own], equal_nan=True), name


def test_series_of_minutes_are_kept_and_read_again(archive, minutes, monkeypatch):
    taken(archive, minutes)
    monkeypatch.setattr("store.derived.LARGE", 10)  # so that the rows are read again, not held
    first = engine.load(archive)
    kept.memory.clear()
    again = engine.load(archive)
    assert first.hashes == again.hashes
    assert (
        history.table(archive, "ES").height == history.table(archive, "ES").filter(pl.col("close").is_not_null()).height
    )


# ---- real minutes


def test_real_minutes_of_a_month_are_the_days_of_a_slow_twin(shared, archive):
    folder = archive.path.parent
    packed = shared / "ninjatrader_style" / "6EH4.XCME_1min_bars_20240101_20240131.csv.gz"
    (folder / "6EH4.XCME_1min.csv").write_bytes(gzip.decompress(packed.read_bytes()))
    [report] = import_paths(archive, [folder / "6EH4.XCME_1min.csv"])
    assert report.accepted + report.warned == 29_996
    [market] = aggregate(archive)["markets"]
    stored = archive.read("contract_bars", source="ninjatrader-minute")
    expected = [row for row in one_by_one(stored) if row[2] != market["left_out"]]
    found = archive.read("contract_bars", source="ninjatrader-minute-daily").sort(KEY)
    assert found.select(BAR).rows() == expected and 20 <= len(expected) <= 23  # sessions of January 2024
    assert not found["day"].dt.weekday().is_in([6, 7]).any()


def test_files_that_were_joined_are_not_read_again(archive, minutes, monkeypatch):
    es = minutes.filter((pl.col("root") == "ES") & (pl.col("day").dt.year() == 2014))  # one group of files
    days = es["day"].unique().sort()
    for number, day in enumerate(days[:-1]):
        aggregate(taken(archive, es.filter(pl.col("day") == day), f"day{number}"))
    assert compact(archive, whole=True)["groups"]
    told = read_days(monkeypatch)
    assert [market["changed"] for market in aggregate(archive)["markets"]] == [0]
    assert told == []
    taken(archive, es.filter(pl.col("day") == days[-1]), "new")  # joined before it was aggregated
    assert [one["files"] for one in compact(archive, whole=True)["groups"] if one["table"] == "contract_bars"] == [2]
    aggregate(archive)
    assert told == [("ES", [(days[-1], days[-1])])]
    assert bars(archive).select(BAR).rows() == one_by_one(archive.read("contract_bars", source=MINUTES))
