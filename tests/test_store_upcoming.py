"""store/upcoming.py: what comes, by hand, and against what then came; nothing later than the day asked for is read."""

from datetime import date

import polars as pl
import pytest

from store import history, open_archive, roll_versions
from store.contracts import UnknownRoot
from store.days import shift
from store.history import NotStored
from store.roll_rules import UnknownRule
from store.upcoming import DATES, SCHEMA, upcoming
from tests import small_store
from tests.stored_bars import bars, chain, days, store

# MES: last trade 2024-03-15 and 2024-06-21 (third Fridays), no notice; last allowed days 2024-03-14 and 2024-06-20
WEEK = days("2024-03-04", "2024-03-08")


@pytest.fixture
def archive(tmp_path):
    return open_archive(tmp_path / "store", create=True)


def market(archive, first, second, root="MES", when=WEEK, **more):
    """Two contracts of MES with this volume, or other columns, by day."""
    name = more.pop("name", "volume")
    contracts = more.pop("contracts", (202403, 202406))
    frames = [bars(c, when, 100.0, **{name: x}) for c, x in zip(contracts, (first, second), strict=True)]
    store(archive, *frames, root=root, **more)
    return archive


def one(archive, **words):
    """The only row."""
    frame = upcoming(archive, **words)
    assert frame.schema == SCHEMA
    return frame.row(0, named=True) if frame.height == 1 else pytest.fail(f"{frame.height} rows")


def picked(row, *names):
    return tuple(row[name] for name in names)


def test_a_market_that_has_not_crossed_and_has_no_past_is_expected_on_its_forced_day(archive):
    row = one(market(archive, [9.0, 9, 9, 9, 8], [1.0, 2, 3, 4, 6]))
    assert row == {
        "root": "MES", "rule": "volume:1", "source": "barchart", "as_of": date(2024, 3, 8), "stale": None,
        "held": 202403, "next": 202406, "status": "forced", "expected": date(2024, 3, 14), "latest": date(2024, 3, 14),
        "first_notice": None, "last_trade": date(2024, 3, 15), "sessions_to_expected": 4, "sessions_to_latest": 4,
        "sessions_to_first_notice": None, "sessions_to_last_trade": 5, "held_volume": 8.0, "next_volume": 6.0,
        "volume_ratio": 0.75, "held_open_interest": None, "next_open_interest": None, "open_interest_ratio": None,
        "crossed": 0, "needed": 1,
        "why": "next has 75 % of the held contract's volume; crossed on 0 of 1 days; forced: last trade 2024-03-15",
    }  # fmt: skip


def test_a_crossing_that_is_known_rolls_in_the_next_session(archive):
    market(archive, [9.0, 9, 9, 9, 8], [1.0, 2, 3, 4, 12])
    row = one(archive)
    assert picked(row, "status", "expected", "crossed", "needed") == ("rolls next session", date(2024, 3, 11), 1, 1)
    assert row["why"] == "next has 150 % of the held contract's volume; crossed on 1 of 1 days; rolls next session"
    row = one(archive, rule="volume:2")
    assert picked(row, "status", "expected", "crossed", "needed") == ("forced", date(2024, 3, 14), 1, 2)


def test_a_confirmation_is_counted_in_a_row_up_to_now(archive):
    market(archive, [5.0] * 5, [6.0, 4, 6, 6, 6])
    assert picked(one(archive, rule="volume:4"), "crossed", "status") == (3, "forced")
    assert picked(one(archive, rule="volume:3"), "crossed", "status") == (3, "rolls next session")


def test_open_interest_is_told_as_it_is_known_and_a_crossing_of_the_last_day_rolls_a_day_later(archive):
    market(archive, [9.0, 9, 9, 9, 8], [1.0, 2, 3, 3, 12], name="open_interest")
    row = one(archive, rule="oi:1")
    assert picked(row, "held_open_interest", "next_open_interest", "crossed") == (9.0, 3.0, 0)  # of the day before
    assert picked(row, "status", "expected") == ("crossed", date(2024, 3, 12))
    assert row["why"] == (
        "next has 33 % of the held contract's open interest; crossed on 0 of 1 days; rolls on 2024-03-12"
    )
    row = one(archive, rule="oi@1")
    assert picked(row, "held_open_interest", "status", "expected") == (8.0, "rolls next session", date(2024, 3, 11))


def test_both_and_either_of_volume_and_open_interest_are_counted_as_the_rule_asks(archive):
    frames = [
        bars(202403, WEEK, 1.0, volume=5.0, open_interest=9.0),
        bars(202406, WEEK, 1.0, volume=6.0, open_interest=3.0),
    ]
    store(archive, *frames)
    assert picked(one(archive, rule="volume+oi"), "crossed", "status") == (0, "forced")
    row = one(archive, rule="volume/oi:9")
    assert picked(row, "crossed", "needed", "volume_ratio") == (5, 9, 1.2)
    assert row["why"].startswith(
        "next has 120 % of the held contract's volume and 33 % of the held contract's open int"
    )


def test_unknown_volume_is_said_and_the_roll_planned_two_sessions_before_the_last_allowed_day(archive):
    row = one(market(archive, None, None))
    assert picked(row, "status", "expected", "latest") == ("planned", date(2024, 3, 12), date(2024, 3, 14))
    assert row["why"] == (
        "volume of 202403 and 202406 is not known; crossed on 0 of 1 days; "
        "fallback: unknown volume (last trade 2024-03-15)"
    )


def past(archive, sessions):
    """MES up to 2024-02-02: each of four quarterly contracts is passed by the next one in volume so many sessions, and
    one more, before its last allowed day, the Thursday before the third Friday."""
    ends = {202303: date(2023, 3, 16), 202306: date(2023, 6, 15), 202309: date(2023, 9, 14), 202312: date(2023, 12, 14),
            202403: date(2024, 3, 14), 202406: date(2024, 6, 20)}  # fmt: skip
    passed = [shift("CME_EQUITY", end, -n - 1) for end, n in zip(ends.values(), sessions, strict=False)]
    busy = list(zip([date(2023, 1, 3), *passed, date.max], [*passed, date.max, date.max], strict=True))
    frames = []
    for (contract, end), (first, until) in zip(ends.items(), busy, strict=True):
        when = [day for day in days("2023-01-03", "2024-02-02") if day <= end]
        frames.append(bars(contract, when, 1.0, volume=[9.0 if first <= day < until else 1.0 for day in when]))
    return store(archive, *frames)


def test_without_a_crossing_the_markets_own_habit_is_expected(archive):
    past(archive, [4, 5, 6, 5])
    calendar = history.calendar(archive, "MES")[0].frame
    assert calendar["day"].to_list() == [
        date(2023, 3, 10), date(2023, 6, 8), date(2023, 9, 6), date(2023, 12, 7),
    ]  # fmt: skip
    row = one(archive, every=True)
    assert picked(row, "held", "status", "expected") == (202403, "expected", date(2024, 3, 7))  # five before the 14th
    assert row["why"].endswith("usually rolled 5 sessions before the last allowed day (median of 4)")
    assert upcoming(archive, sessions=22).is_empty()
    assert one(archive, sessions=23)["sessions_to_expected"] == 23


def test_two_past_rolls_are_no_habit(archive):
    past(archive, [4, 5, 6, 5])
    row = one(archive, asof=date(2023, 6, 9), every=True)
    assert picked(row, "held", "status", "expected") == (202309, "forced", date(2023, 9, 14))


def test_what_is_expected_is_not_earlier_than_the_next_session(archive):
    past(archive, [4, 5, 30, 40])
    frame = archive.read("contract_bars", root="MES").with_columns(volume=pl.lit(9.0))
    late = frame.filter((pl.col("contract") > 202312) & (pl.col("day") == date(2024, 2, 2)))
    more = [late.with_columns(day=pl.lit(day), time=pl.lit(day).cast(pl.Datetime("us", "UTC"))) for day in WEEK]
    archive.commit([archive.write("contract_bars", pl.concat(more), source="barchart", root="MES")])
    row = one(archive)  # the median, 17, is long over on 2024-03-08
    assert picked(row, "status", "expected") == ("expected", date(2024, 3, 11))


def test_a_rule_by_date_tells_its_planned_day(archive):
    market(archive, 5.0, 6.0)
    row = one(archive, rule="last-trade-3")
    assert picked(row, "status", "expected", "latest", "crossed", "needed") == (
        "planned", date(2024, 3, 12), date(2024, 3, 14), None, None,
    )  # fmt: skip
    assert row["why"] == "last-trade-3 (last trade 2024-03-15)" and row["volume_ratio"] == 1.2
    assert picked(one(archive, rule="last-trade-4"), "status", "expected") == ("rolls next session", date(2024, 3, 11))
    row = one(archive, rule="last-trade-0")
    assert picked(row, "status", "expected", "why") == ("forced", date(2024, 3, 14), "forced: last trade 2024-03-15")
    row = one(archive, rule="last-trade-0,exit=expiry")
    assert picked(row, "expected", "latest") == (date(2024, 3, 15), date(2024, 3, 15))


def test_a_market_with_notice_is_forced_out_by_it(archive):
    market(archive, 9.0, 1.0, root="ZC", contracts=(202403, 202405), when=days("2024-02-20", "2024-02-23"))
    row = one(archive)  # first notice of corn: the last business day before the delivery month
    assert picked(row, "first_notice", "last_trade", "latest") == (
        date(2024, 2, 29), date(2024, 3, 14), date(2024, 2, 28),
    )  # fmt: skip
    assert row["why"].endswith("forced: first notice 2024-02-29") and row["sessions_to_first_notice"] == 4


def test_a_date_that_bounds_activity_is_the_latest_day(archive):
    market(archive, 9.0, 1.0)
    row = one(archive, rule="volume/last-trade-3")
    assert picked(row, "status", "expected", "latest") == ("forced", date(2024, 3, 12), date(2024, 3, 12))
    assert row["why"].endswith("forced: last-trade-3 (last trade 2024-03-15)")
    market(archive, 1.0, 9.0, when=WEEK[:1])
    row = one(archive, rule="volume+last-trade-5")
    assert picked(row, "status", "expected", "latest") == ("expected", date(2024, 3, 8), date(2024, 3, 14))
    assert row["why"].endswith("crossed on 1 of 1 days; counts from last-trade-5 on")


def test_a_nearer_contract_that_is_busier_still_holds_a_crossing_back(archive):
    frames = [bars(c, WEEK, 1.0, volume=v) for c, v in ((202312, 0.0), (202403, 9.0), (202406, [1.0, 2, 3, 20, 8]))]
    store(archive, *frames, bars(202409, WEEK, 1.0, volume=[0.0, 0, 0, 0, 12]))
    row = one(archive, every=True)  # rolled on the 8th into June; September is busier than June, March busier than none
    assert picked(row, "held", "next", "crossed", "status") == (202406, 202409, 1, "rolls next session")
    store(archive, *frames, bars(202409, WEEK, 1.0, volume=[0.0, 0, 0, 0, 8.5]))
    assert picked(one(archive, every=True), "held", "next", "crossed") == (202406, 202409, 0)


def test_a_market_without_a_later_contract_says_so(archive):
    store(archive, bars(202403, WEEK, 1.0, volume=9.0))
    row = one(archive)
    assert picked(row, "next", "status", "expected", "latest") == (None, "no next contract", None, date(2024, 3, 14))
    assert row["why"] == "no later contract is stored; forced: last trade 2024-03-15"


def test_a_contract_past_its_last_allowed_day_is_overdue_and_told_however_few_sessions_are_asked_for(archive):
    store(archive, bars(202403, days("2024-03-04", "2024-03-15"), 1.0, volume=9.0))
    row = one(archive, sessions=0)
    assert picked(row, "status", "expected", "sessions_to_latest") == ("overdue", None, -1)
    assert row["why"] == "its last allowed day was 2024-03-14: last trade 2024-03-15"


def test_data_that_end_long_before_the_newest_are_stale(archive):
    market(archive, 9.0, 1.0)
    market(archive, 9.0, 1.0, root="MNQ", when=days("2024-03-04", "2024-03-06"))
    assert upcoming(archive)["stale"].to_list() == [None, None]
    market(archive, 9.0, 1.0, root="NQ", when=days("2024-02-20", "2024-02-23"))
    row = one(archive, roots=["NQ"])
    assert row["stale"] == 14 and row["why"].endswith("; its data end 14 days before the newest of the store")
    assert one(archive, roots=["NQ"], asof=date(2024, 2, 27))["stale"] is None


def test_the_soonest_come_first_and_only_those_within_the_sessions(archive):
    market(archive, 9.0, 1.0)
    market(archive, 9.0, 1.0, root="ZC", contracts=(202405, 202407))
    market(archive, [9.0, 9, 9, 9, 1], [1.0, 1, 1, 1, 9], root="SI", contracts=(202405, 202407))
    assert upcoming(archive)["root"].to_list() == ["SI", "MES"]
    assert upcoming(archive, every=True)["root"].to_list() == ["SI", "MES", "ZC"]
    assert upcoming(archive, sessions=3)["root"].to_list() == ["SI"]
    assert upcoming(archive, roots=["ZC", "SP500_micro"], every=True)["root"].to_list() == ["MES", "ZC"]


def test_contracts_that_are_held_are_told_in_place_of_the_rules_own(archive):
    market(archive, [9.0, 1, 1, 1, 1], [1.0, 9, 9, 9, 9])  # the rule holds June since the 6th
    market(archive, 9.0, 1.0, root="MNQ")
    assert upcoming(archive, roots=["MES"], every=True)["held"].to_list() == [202406]
    frame = upcoming(archive, held={"MES": [202403, 202406]}, every=True)
    assert frame.select("root", "held", "status").rows() == [
        ("MES", 202403, "overdue"), ("MES", 202406, "no next contract"),
    ]  # fmt: skip
    assert frame["expected"][0] == date(2024, 3, 11) and frame["last_trade"][0] == date(2024, 3, 15)
    assert frame["why"][0].endswith("the rule left it on 2024-03-06")
    with pytest.raises(NotStored, match="MES: contract 202409 is not stored or never held; last are 202403, 202406"):
        upcoming(archive, held={"MES": [202409]})


def test_a_held_contract_that_ended_long_ago_is_overdue(archive):
    later = bars(202406, days("2024-03-04", "2024-04-05"), 1.0, volume=5.0)
    store(archive, bars(202403, WEEK, 1.0, volume=[9.0, 1, 1, 1, 1]), later, bars(202409, WEEK, 1.0, volume=0.0))
    row = one(archive, held={"MES": [202403]}, rule="volume/last-trade-5", sessions=0)
    assert picked(row, "status", "latest", "sessions_to_last_trade") == (
        "overdue",
        date(2024, 3, 14),
        -14,
    )  # without Good Friday


def test_each_market_may_have_a_rule_of_its_own(archive):
    market(archive, 9.0, 1.0)
    market(archive, 9.0, 1.0, root="MNQ")
    found = upcoming(archive, rule={"MES": "last-trade-4", "": "last-trade-3"})
    assert found.select("root", "rule").rows() == [("MES", "last-trade-4"), ("MNQ", "last-trade-3")]


def test_what_cannot_be_told_is_left_out_of_all_and_refused_where_it_was_asked_for(archive):
    market(archive, 9.0, 1.0)
    store(archive, chain(WEEK, 4.0), source="pysystemtrade", root="SI")
    store(archive, bars(202403, WEEK, 3.0), root="PLUTO")
    store(archive, bars(202401, WEEK, 3.0), root="NQ")  # a month that nobody holds
    assert upcoming(archive)["root"].to_list() == ["MES"]
    everything = upcoming(archive, every=True)
    assert everything.select("root", "why").rows()[1] == ("NQ", "NQ: no bars in a held month (HMUZ)")
    for roots, kind, said in (
        (["SI"], NotStored, "SI: no dated contracts are stored"),
        (["PLUTO"], UnknownRoot, "PLUTO: its dates are not known; add its facts"),
        (["NQ"], ValueError, "held month"),
        (["ES"], NotStored, "ES is not stored; stored are MES, NQ, PLUTO, SI"),
    ):
        with pytest.raises(kind, match=said):
            upcoming(archive, roots=roots)
    with pytest.raises(UnknownRule, match="did you mean 'volume"):
        upcoming(archive, rule="volum:1")


@pytest.mark.parametrize(
    ("fact", "said"),
    [
        ("KC,last_trade,bogus,2010-01-01", "KC: no rule 'bogus' in store/rules.py"),
        ("KC,calendar,MARS,", "KC: no calendar 'MARS'"),
    ],
)
def test_a_fact_that_is_wrong_is_told_with_its_market_and_the_others_go_on(archive, fact, said):
    market(archive, 9.0, 1.0)
    market(archive, 9.0, 1.0, root="KC", contracts=(202405, 202407))
    (archive.path / "contracts.csv").write_text(f"root,field,value,valid_from,source\n{fact},test\n")
    frame = upcoming(archive)
    assert frame.select("root", "status").rows() == [("MES", "forced"), ("KC", "facts at fault")]
    assert frame["why"][1].startswith(said)
    with pytest.raises(LookupError, match=r"bogus|MARS"):
        upcoming(archive, roots=["KC"])


def test_a_calendar_of_one_market_is_the_rule_of_that_one_and_the_others_say_that_they_lack_it(archive):
    market(archive, [9.0, 9, 1, 1, 1], [1.0, 5, 9, 9, 9])
    market(archive, 9.0, 1.0, root="MNQ")
    roll_versions.save(archive, [history.calendar(archive, "MES")], tag="live")
    frame = upcoming(archive, rule="live", every=True)
    assert frame["root"].to_list() == ["MES", "MNQ"]
    assert frame["why"][1].startswith("MNQ: roll rule 'live' is not known; ")
    with pytest.raises(UnknownRule, match="MNQ: roll rule 'live' is not known"):
        upcoming(archive, roots=["MES", "MNQ"], rule="live")


def test_a_market_that_stores_no_price_says_so(archive):
    market(archive, 9.0, 1.0)
    store(archive, bars(202405, WEEK, None, volume=5.0), root="ZC")
    assert upcoming(archive)["root"].to_list() == ["MES"]
    assert upcoming(archive, every=True)["why"][1] == "ZC: no row with a price is stored"
    assert upcoming(archive, every=True, asof=WEEK[3])["why"][1] == "ZC: no row with a price is stored up to 2024-03-07"


def test_progress_is_told_by_market(archive):
    told = []
    market(archive, 9.0, 1.0)
    upcoming(archive, progress=lambda *now: told.append(now))
    assert told == [(0, 1, "MES"), (1, 1, "")]


# ---- against what then came


def sessions_before(root_days, day, n):
    return root_days[root_days.index(day) - n]


def cut(real, roots):
    """(root, stored days, rolls by volume with their reasons) of real markets, the first year left out."""
    for root in roots:
        found = history.bars(real, root).read()["day"].unique().sort().to_list()
        rolls = history.calendar(real, root)[0].frame.filter(~pl.col("reason").str.starts_with("closed"))
        yield root, found, rolls.filter(pl.col("day") > found[260])


def test_ten_sessions_before_each_roll_of_the_past_it_is_told(real):
    named, apart = [], []
    for root, known, rolls in cut(real, ("MES", "ZC")):
        for roll in rolls.iter_rows(named=True):
            asof = sessions_before(known, roll["day"], 10)
            if asof < (rolls.filter(pl.col("day") < roll["day"])["day"].max() or date.min):
                continue  # it was not held so long
            row = one(real, roots=[root], asof=asof, every=True)
            assert picked(row, "held", "next") == (roll["from_contract"], roll["to_contract"])
            assert roll["day"] <= row["latest"]
            named.append(any(0 <= (row[f"sessions_to_{name}"] or 99) <= 20 for name in DATES))
            apart.append(10 - row["sessions_to_expected"])
    assert (
        len(named) > 100 and sum(named) / len(named) > 0.95
    )  # volume moved weeks before it usually does in the others
    assert sum(abs(n) <= 3 for n in apart) / len(apart) > 0.8


def test_on_the_eve_of_each_roll_by_activity_it_is_the_next_session_and_on_other_days_it_is_not(real):
    for root, known, rolls in cut(real, ("MES", "ZW")):
        for roll in rolls.tail(40)[::3].iter_rows(named=True):
            if "waited" in roll["reason"]:
                continue
            asof = (sessions_before(known, roll["day"], n) for n in (1, 2))
            eve, before = (one(real, roots=[root], asof=day, every=True) for day in asof)
            assert (eve["status"], eve["expected"]) == ("rolls next session", roll["day"]), roll
            assert before["status"] != "rolls next session"
            if roll["reason"] == "volume":
                assert (eve["crossed"], before["crossed"]) == (1, 0)


def test_no_later_row_is_read(real, tmp_path):
    whole = real.read("contract_bars", root="MES")
    for day in (date(2022, 6, 3), date(2023, 12, 5), date(2024, 9, 11)):
        stores = []
        for name, later in (("cut", pl.lit(False)), ("other", pl.lit(True))):
            archive = open_archive(tmp_path / f"{day}{name}", create=True)
            wrong = [pl.when(pl.col("day") > day).then(pl.col(c) * 7.0 + 1.0).otherwise(c).alias(c)
                     for c in ("settle", "close", "volume")]  # fmt: skip
            rows = whole.filter((pl.col("day") <= day) | later).with_columns(wrong)
            archive.commit([archive.write("contract_bars", rows, source="barchart", root="MES")])
            stores.append(upcoming(archive, asof=day, every=True))
        assert stores[0].equals(stores[1]) and stores[0].equals(upcoming(real, ["MES"], asof=day, every=True))


def test_a_tag_is_left_as_the_rule_that_made_it(tmp_path):
    archive = small_store.build(tmp_path / "store")
    roll_versions.save(archive, [history.calendar(archive, "MES", "volume,exit=4")], tag="early")
    told = [
        upcoming(archive, ["MES"], 400, rule=rule, every=True).row(0, named=True)["latest"]
        for rule in ("early", "early,exit=4", "volume,exit=4", "volume")
    ]
    assert told[0] == told[1] == told[2] < told[3]
