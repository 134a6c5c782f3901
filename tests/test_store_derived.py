"""Series that are kept: the same as if made anew, whatever came in, and never from a file that is not ours."""

import random
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta

import polars as pl
import pytest

from store import derived, history, kept, open_archive, workers
from tests import small_store

RULES = ("volume:1", "oi:2", "first-notice-2", "volume/oi@3:3,months=HMUZ,exit=2")
HALVED = date(2021, 12, 31)


@pytest.fixture
def archive(tmp_path):
    return small_store.build(tmp_path / "store")


@contextmanager
def counted():
    """How often a series is made whole, in a list of markets."""
    real, made = derived._whole, []

    def whole(request):
        made.append(request.plan.root)
        return real(request)

    derived._whole = whole
    try:
        yield made
    finally:
        derived._whole = real


def wanted(archive, root="MES", rule="volume:1", rank=0, snapshot=None):
    return history.request(history.bars(archive, root, snapshot=snapshot), rule, rank)


def anew(request):
    """The series made whole, without the cache."""
    real = derived._kept
    derived._kept = lambda request, found, *rest: found
    try:
        return derived._whole(request)
    finally:
        derived._kept = real


def same(one, other):
    """Whether two series are equal in every row of the table, the calendar and the legs."""
    calendars = one.calendar.document() == other.calendar.document() and one.calendar.frame.equals(other.calendar.frame)
    facts = replace(one.calendar, frame=None) == replace(other.calendar, frame=None)
    return calendars and facts and one.frame.equals(other.frame) and one.legs.equals(other.legs)


def put(archive, rows, root, source="barchart"):
    """Commit rows as a file of their own."""
    if rows.height:
        rows = rows.drop("root", "source", strict=False)
        archive.commit([archive.write("contract_bars", rows, source=source, root=root)])


def nights(path, rows, root, days):
    """A store into which the rows come in parts, those up to each of the days; yields it after each part."""
    archive = open_archive(path, create=True)
    for first, last in zip([date.min, *days], [*days, date.max], strict=True):
        put(archive, rows.filter((pl.col("day") > first) & (pl.col("day") <= last)), root)
        yield archive


def check_nights(path, rows, root, days, rules):
    """Every rule's series after every part is what all rows make; how many were made whole after the first part."""
    whole = 0
    for number, archive in enumerate(nights(path, rows, root, days)):
        for rule in rules:
            request = wanted(archive, root, rule)
            with counted() as made:
                found = derived.series([request])[0]
                assert same(found, anew(request)), (root, rule, days, number)
            whole += len(made) > 1 and number > 0
            kept.memory.clear()
            assert same(derived.series([request])[0], found)
    return whole


@pytest.mark.parametrize("seed", range(4))
def test_a_series_continued_is_what_all_its_rows_make(tmp_path, seed):
    rng = random.Random(seed)
    rows = small_store.build(tmp_path / "all").read("contract_bars", root="MES")
    dates = rows["day"].unique().sort().to_list()
    begin = rng.randrange(60, len(dates) - 10)
    days = [*dates[begin : begin + 3], *sorted(rng.sample(dates[begin + 3 :], 3))]  # nights, then a few longer breaks
    assert check_nights(tmp_path / "parts", rows, "MES", days, RULES) == 0


@pytest.mark.parametrize("root", ["SI", "ZC", "FDAX", "VXM"])
def test_real_contracts_are_continued_as_well(real, tmp_path, root):
    rng = random.Random(root)
    rows = real.read("contract_bars", root=root, source="barchart")
    dates = rows["day"].unique().sort().to_list()
    days = sorted(rng.sample(dates[len(dates) // 2 :], 3))
    days = sorted({*days, dates[dates.index(days[1]) - 1], dates[-2]})
    assert check_nights(tmp_path, rows, root, days, ("volume:1", "oi:2")) == 0


def test_a_gap_in_which_no_contract_was_priced_is_continued_over(tmp_path):
    rows = small_store.build(tmp_path / "all").read("contract_bars", root="MES")
    end = date(2021, 6, 10)  # the contract held has no price any more, and is closed on the last day it may be
    rows = rows.filter((pl.col("contract") != 202106) | (pl.col("day") < end))
    rows = rows.filter((pl.col("contract") == 202106) | (pl.col("day") < end) | (pl.col("day") > date(2021, 7, 1)))
    days = [date(2021, 6, 9), date(2021, 7, 2), date(2021, 7, 6)]
    for archive in nights(tmp_path / "parts", rows, "MES", days):
        found = derived.series([wanted(archive)])[0]
        assert same(found, anew(wanted(archive)))
    assert "closed: no matched price" in found.calendar.shares()


def test_a_chain_that_has_ended_goes_on_when_a_contract_comes(tmp_path):
    rows = small_store.build(tmp_path / "all").read("contract_bars", root="MES")
    late = pl.col("contract") > 202109  # nothing of them is known until a week after the last day of September's
    rows = rows.filter(~late | (pl.col("day") >= date(2021, 9, 27)))
    ends, days = [], [date(2021, 9, 15), date(2021, 9, 16), date(2021, 9, 17), date(2021, 9, 24), date(2021, 9, 27)]
    for archive in nights(tmp_path / "parts", rows, "MES", days):
        with counted() as made:
            found = derived.series([wanted(archive)])[0]
            assert same(found, anew(wanted(archive)))
        assert len(made) == 1 + (not ends)
        kept.memory.clear()
        assert same(derived.series([wanted(archive)])[0], found)
        ends.append(found.calendar.end)
    assert ends == [None, None, date(2021, 9, 16), date(2021, 9, 16), None, None]
    assert found.calendar.frame["reason"][2] == "closed: no matched price"


def test_sunday_rows_of_a_later_file_are_bars_of_their_monday(tmp_path):
    rows = small_store.build(tmp_path / "all").read("contract_bars", root="MES")
    monday = pl.col("day").dt.weekday() == 1
    sundays = rows.filter(monday).with_columns(pl.col("time") - timedelta(days=1), open=pl.lit(1.0), volume=pl.lit(5.0))
    rows = pl.concat([rows, sundays]).sort("contract", "time")
    days = [date(2021, 8, 6), date(2021, 8, 9), date(2021, 8, 10), date(2021, 9, 13)]
    assert check_nights(tmp_path / "parts", rows, "MES", days, ("volume:1", "last-trade-5")) == 0


def test_bars_within_the_day_are_continued(tmp_path):
    rows = small_store.build(tmp_path / "all").read("contract_bars", root="MES").filter(pl.col("day") < HALVED)
    hours = [rows.with_columns(pl.col("time") - timedelta(hours=k), settle=None, close=pl.col("settle") + k)
             for k in (6, 3, 0)]  # fmt: skip
    rows = pl.concat(hours, how="vertical_relaxed").sort("contract", "time")
    days = [date(2021, 6, 1), date(2021, 6, 9), date(2021, 6, 10), date(2021, 11, 1)]
    assert check_nights(tmp_path / "parts", rows, "MES", days, ("volume:1",)) == 0


def test_the_opening_prices_of_the_legs_are_those_of_their_bars(archive):
    legs = derived.series([wanted(archive)])[0].legs
    bars = {(row["contract"], row["day"]): row["open"] for row in archive.read("contract_bars", root="MES").to_dicts()}
    assert legs.height > 6
    for row in legs.to_dicts():
        assert row["open_from"] == bars[row["from_contract"], row["day"]]
        assert row["open_to"] == bars[row["to_contract"], row["day"]]


@pytest.mark.parametrize("change", ["rewritten", "earlier", "facts", "holidays", "contracts"])
def test_what_changes_an_input_makes_the_series_anew(archive, change):
    before = derived.series([wanted(archive)])[0]
    bars = archive.read("contract_bars", root="MES")
    if change == "rewritten":  # with a day more, but in one file
        more = bars.filter(pl.col("day") == bars["day"].max()).with_columns(pl.col("day", "time") + timedelta(days=3))
        new = archive.write("contract_bars", pl.concat([bars, more]).drop("root", "source"),
                            source="barchart", root="MES")  # fmt: skip
        archive.commit([new], archive.files("contract_bars", root="MES"))
    elif change == "earlier":  # a file more, of days that are there
        row = bars.head(1).with_columns(contract=pl.lit(202009, pl.Int32))
        put(archive, row, "MES")
    elif change == "facts":
        (archive.path / "contracts.csv").write_text("root,field,value,valid_from,source\nMES,held_months,MZ,,test\n")
    elif change == "holidays":
        (archive.path / "holidays.csv").write_text("calendar,day,name\nCME_EQUITY,2021-03-09,a strike\n")
    else:
        dates = pl.DataFrame({"contract": [202103], "last_trade": [date(2021, 3, 5)]}).cast({"contract": pl.Int32})
        archive.commit([archive.write("contracts", dates, source="lean", root="MES")])
    with counted() as made:
        after = derived.series([wanted(archive)])[0]
    assert made == ["MES"]
    assert same(after, anew(wanted(archive)))
    changed = after.calendar.frame.height != before.calendar.frame.height or not same(before, after)
    assert changed or change in ("earlier", "holidays")
    with counted() as made:
        assert same(derived.series([wanted(archive)])[0], after)
    assert made == []


def test_a_market_without_facts_is_made_anew_every_time(tmp_path):
    rows = small_store.build(tmp_path / "all").read("contract_bars", root="MES")
    days = [date(2021, 12, 1), date(2021, 12, 2)]
    for number, archive in enumerate(nights(tmp_path / "parts", rows, "UNHEARD", days)):
        with counted() as made:
            assert same(derived.series([wanted(archive, "UNHEARD")])[0], anew(wanted(archive, "UNHEARD")))
        assert made.count("UNHEARD") == 2, number  # here and by `anew`


def test_a_rank_behind_the_held_contract_is_kept_beside_it(archive):
    found = [derived.series([wanted(archive, rank=rank)])[0] for rank in (0, 1)]
    assert [one.calendar.rank for one in found] == [0, 1]
    assert found[1].calendar.first > found[0].calendar.first
    with counted() as made:
        assert all(same(derived.series([wanted(archive, rank=rank)])[0], found[rank]) for rank in (0, 1))
    assert made == []


def test_days_before_a_micro_was_listed_are_kept_while_its_own_come(tmp_path):
    rows = small_store.build(tmp_path / "all").read("contract_bars", root="MES")
    archive = open_archive(tmp_path / "parts", create=True)
    facts = "root,field,value,valid_from,source\nMES,history_from,ES,2021-06-01,of this test\n"
    (archive.path / "contracts.csv").write_text(facts)
    listed, days = date(2021, 6, 1), [date(2021, 12, 1), date(2021, 12, 2), date(2022, 3, 15)]
    put(archive, rows.filter(pl.col("day") < listed), "ES")
    for first, last in zip([listed - timedelta(days=1), *days], [*days, date.max], strict=True):
        part = rows.filter((pl.col("day") > first) & (pl.col("day") <= last))
        put(archive, part.with_columns(pl.col("settle") + 1000.0), "ES")  # the full-size one goes on: nobody reads it
        put(archive, part, "MES")
        with counted() as made:
            found = derived.series([wanted(archive)])[0]
            assert same(found, anew(wanted(archive)))
        assert len(made) == (2 if first < listed else 1)
    assert found.frame["day"].min() == rows["day"].min() and found.frame["settle"].max() < 5500.0


def test_rows_that_were_filled_in_say_so(archive):
    bars = archive.read("contract_bars", root="MES")
    taken = (pl.col("contract") == 202103) & (pl.col("day") == date(2021, 1, 8))
    filled = bars.with_columns(filled_from=pl.when(taken).then(pl.lit("cfe")))
    archive.commit(
        [archive.write("contract_bars", filled.drop("root", "source"), source="barchart", root="MES")],
        archive.files("contract_bars", root="MES"),
    )
    frame = derived.series([wanted(archive)])[0].frame
    assert frame.filter("filled")["day"].to_list() == [date(2021, 1, 8)]


def test_series_of_one_market_may_have_ended_on_other_days(tmp_path):
    rows = small_store.build(tmp_path / "all").read("contract_bars", root="MES")
    days, snapshots = [date(2022, 6, 1), date(2022, 6, 2), date(2022, 6, 3)], []
    for number, archive in enumerate(nights(tmp_path / "parts", rows, "MES", days)):
        asked = RULES[:2] if number in (0, 3) else RULES[:1]  # the second is not asked for on two nights
        requests = [wanted(archive, rule=rule) for rule in asked]
        snapshots.append(archive.head())
        with counted() as made:
            found = derived.series(requests)
        assert len(made) == (2 if number == 0 else 0)
        assert all(same(one, anew(request)) for one, request in zip(found, requests, strict=True))
    for of in (reversed(snapshots), snapshots):
        requests = [wanted(archive, rule=rule, snapshot=snapshot) for snapshot in of for rule in RULES[:3]]
        found = derived.series(requests)
        assert all(same(one, anew(request)) for one, request in zip(found, requests, strict=True))


def test_a_file_that_came_to_two_states_is_read_once(tmp_path):
    rows = small_store.build(tmp_path / "all").read("contract_bars", root="MES")
    days = [date(2022, 6, 1), date(2022, 6, 2)]
    for number, archive in enumerate(nights(tmp_path / "parts", rows, "MES", days)):
        for rule in RULES[:2] if number == 0 else RULES[:1] if number == 1 else ():  # the second is a night behind
            derived.series([wanted(archive, rule=rule)])
    requests = [wanted(archive, rule=rule) for rule in RULES[:2]]
    states = [derived._state(request) for request in requests]
    assert [len(state["files"]) for state in states] == [2, 1]
    [found] = derived._added(requests, states).values()
    key = ["contract", "day"]
    assert found.select(key).sort(key).equals(rows.filter(pl.col("day") > days[0]).select(key).sort(key))


# ---- files


def files(archive, ending=".arrow"):
    return sorted(path for path in (archive.cache / "series").iterdir() if path.suffix == ending)


@pytest.mark.parametrize("harm", ["cut", "bit", "empty", "gone", "other", "folder"])
@pytest.mark.parametrize("ending", [".arrow", ".json"])
def test_a_file_that_is_not_as_it_was_written_is_never_served(archive, harm, ending):
    good = derived.series([wanted(archive), wanted(archive, "FGBL")])
    for path in files(archive, ending):
        content = path.read_bytes()
        path.unlink()
        if harm == "folder":
            path.mkdir()
        elif harm != "gone":
            changed = {"cut": content[:-40], "bit": content[:200] + b"?" + content[201:], "empty": b""}
            path.write_bytes(changed.get(harm) or files(archive, ending)[0].read_bytes())
    kept.memory.clear()
    again = derived.series([wanted(archive), wanted(archive, "FGBL")])
    assert all(same(*pair) for pair in zip(again, good, strict=True))


def test_what_was_made_again_is_read_the_next_time(archive):
    derived.series([wanted(archive)])
    for path in files(archive):
        path.write_bytes(b"torn")
    kept.memory.clear()
    assert derived.series([wanted(archive)])[0].frame.height > 400
    kept.memory.clear()
    with counted() as made:
        assert derived.series([wanted(archive)])[0].frame.height > 400
    assert made == []


def test_a_document_of_another_series_is_not_taken_for_ours(archive):
    requests = [wanted(archive), wanted(archive, "FGBL")]
    good = derived.series(requests)
    ours, other = (archive.cache / "series" / f"{request.name}.json" for request in requests)
    ours.write_bytes(other.read_bytes())
    assert same(derived.series(requests)[0], good[0])


def test_a_cache_that_cannot_be_written_only_costs_time(archive):
    archive.cache.write_text("no folder")
    assert same(derived.series([wanted(archive)])[0], anew(wanted(archive)))
    assert same(derived.series([wanted(archive)])[0], anew(wanted(archive)))


def test_states_of_older_snapshots_are_kept_and_then_dropped(archive):
    for number in range(5):
        rows = archive.read("contract_bars", root="MES").with_columns(pl.col("settle") + 0.25)
        old = archive.files("contract_bars", root="MES")
        derived.series([wanted(archive)])
        new = archive.write("contract_bars", rows.drop("root", "source"), source="barchart", root="MES")
        archive.commit([new], old)
        assert len(files(archive, ".json")) == 1
        assert len(files(archive)) <= 4 * min(number + 1, derived.KEPT)
    snapshots = archive.history()
    for snapshot, there in ((snapshots[-2], True), (snapshots[-4], True), (snapshots[0], False)):
        with counted() as made:
            derived.series([wanted(archive, snapshot=snapshot)])
        assert (made == []) == there, snapshot.number


def test_a_night_writes_the_short_pieces_only(tmp_path):
    rows = small_store.build(tmp_path / "all").read("contract_bars", root="MES")
    before = None
    for archive in nights(tmp_path / "parts", rows, "MES", [date(2022, 6, 1), date(2022, 6, 2), date(2022, 6, 3)]):
        derived.series([wanted(archive)])
        largest = max(files(archive), key=lambda path: path.stat().st_size)
        assert before in (None, largest)
        before = largest
    assert len(files(archive)) == 2


# ---- many


@pytest.mark.service
def test_series_do_not_depend_on_the_number_of_processes(archive):
    requests = [wanted(archive, root, rule) for root in ("MES", "FGBL") for rule in RULES[:2]]
    told = []
    with counted() as made:
        found = derived.series(requests, lambda *state: told.append(state), processes=2)
    assert made == []  # not here
    assert [state[:2] for state in told] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert sorted(state[2] for state in told) == ["FGBL", "FGBL", "MES", "MES"]
    assert all(same(one, anew(request)) for one, request in zip(found, requests, strict=True))


@pytest.mark.service
def test_what_a_process_cannot_make_is_told_here(archive, monkeypatch):
    with pytest.raises(ValueError, match="no bars in a held month"):
        derived.series([wanted(archive), wanted(archive, rule="volume,months=F")], processes=2)
    monkeypatch.setattr(workers, "_COMMAND", "raise SystemExit(3)")
    with counted() as made:
        assert derived.series([wanted(archive, "FGBL", rule) for rule in RULES[:2]], processes=2)[0].frame.height
    assert made == ["FGBL", "FGBL"]


def test_rules_that_make_the_same_rows_do_not_drop_each_other_s(tmp_path):
    rows = small_store.build(tmp_path / "all").read("contract_bars", root="MES")
    equal = ("volume:1", "volume/last-trade-4")  # volume crosses ten days before the end
    for archive in nights(tmp_path / "parts", rows, "MES", [date(2022, 6, 1), date(2022, 6, 2), date(2022, 6, 3)]):
        for rule in equal:
            derived.series([wanted(archive, rule=rule)])
        kept.memory.clear()
        with counted() as made:
            assert [derived.series([wanted(archive, rule=rule)])[0].frame.height > 300 for rule in equal]
        assert made == []


def test_progress_is_told_market_by_market(archive):
    told = []
    derived.series([wanted(archive, root) for root in ("MES", "FGBL")], lambda *state: told.append(state))
    assert told == [(1, 2, "MES"), (2, 2, "FGBL")]


def test_little_work_starts_no_process(monkeypatch):
    monkeypatch.setattr(workers, "_start", None)
    assert list(workers.make([{"rows": 9}] * workers.LEAST, 10**9)) == []
    assert list(workers.make([{"rows": 9}] * 99, workers.ROWS)) == []
    assert list(workers.make([{"rows": 9}] * 99, 10**9, processes=1)) == []


def test_what_was_made_before_a_series_that_cannot_be_is_kept(archive):
    with pytest.raises(ValueError, match="no bars in a held month"):
        derived.series([wanted(archive), wanted(archive, rule="volume,months=F"), wanted(archive, "FGBL")])
    kept.memory.clear()
    with counted() as made:
        derived.series([wanted(archive), wanted(archive, "FGBL")])
    assert made == ["FGBL"]


def test_what_cannot_be_written_is_given_all_the_same_and_other_errors_are_heard(archive, monkeypatch):
    requests = [wanted(archive, root) for root in ("MES", "FGBL")]

    def fail(error):
        def put(*_):
            raise error

        monkeypatch.setattr(kept, "put", put)

    fail(OSError("no space left"))
    found = derived.series(requests)
    assert all(same(one, anew(request)) for one, request in zip(found, requests, strict=True))
    assert not list((archive.cache / "series").glob("*"))
    fail(ZeroDivisionError("a fault of ours"))
    with pytest.raises(ZeroDivisionError, match="a fault of ours"):
        derived.series(requests)
