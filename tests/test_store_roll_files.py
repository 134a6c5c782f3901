"""Roll calendars as files: what is written is read again, what is edited is checked, and every fault is named."""

import csv
import shutil
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store import history, open_archive, roll_versions, rolls
from store.contracts import Master
from store.ranks import ranked
from store.roll_files import BadCalendar, from_file, to_file
from store.roll_search import CLOSED
from tests import small_store

SPEC = Master.load().spec("MES")  # last trades on third Fridays: 2021-06-18, 2021-09-17, 2021-12-17; tick 0.25
BARS = small_store.bars("MES", 4000.0, 1).with_columns(root=pl.lit("MES"), source=pl.lit("barchart"))
HAND = [("2021-03-09", "202103", "202106"), ("2021-06-08", "202106", "202109"), ("2021-09-07", "202109", "202112")]
FIVE = ("ZC", "KC", "FGBL", "MCL", "ZN")


def settle(contract, day, bars=BARS):
    """The stored settlement."""
    return bars.filter((pl.col("contract") == contract) & (pl.col("day") == day))["settle"].item()


def written(path, *rows, header="day,from,to", separator=","):
    lines = [header.replace(",", separator), *(separator.join(row) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read(path, bars=BARS, spec=SPEC):
    return from_file(path, "MES", bars, spec)


def faults(path, bars=BARS, spec=SPEC):
    with pytest.raises(BadCalendar) as error:
        read(path, bars, spec)
    assert all(str(fault) in str(error.value) for fault in error.value.faults)
    return error.value.faults


def edited(path, changes, rule="last-trade-20", bars=BARS):
    """A calendar as written, with cells changed: {(line, column): text}."""
    to_file(rolls.calendar(bars, SPEC, rule), path)
    with open(path, newline="") as file:
        table = list(csv.reader(file))
    for (line, column), text in changes.items():
        table[line - 1][table[0].index(column)] = text
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows(table)
    return path


# ---- what is written is read again


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("rule", ["volume:1", "oi:2", "last-trade-20,months=HU", "month-end-2,exit=3"])
def test_a_calendar_that_was_written_is_that_calendar_again(tmp_path, rule, suffix):
    made = rolls.calendar(BARS, SPEC, rule)
    path = tmp_path / f"mes.{suffix}"
    to_file(made, path)
    found = read(path)
    assert found.version == made.version and found.frame.equals(made.frame)
    assert (found.rule, found.first, found.months, found.rank) == (made.rule, made.first, made.months, 0)


@pytest.mark.parametrize("rank", [1, 2])
def test_so_is_one_of_a_rank(tmp_path, rank):
    made = ranked(BARS, rolls.calendar(BARS, SPEC), rank, SPEC)
    to_file(made, tmp_path / "mes.csv")
    found = read(tmp_path / "mes.csv")
    assert (found.version, found.rank, found.end) == (made.version, rank, made.end)


def test_so_is_one_that_lacked_matched_prices(tmp_path):
    gap = (pl.col("contract") == 202106) & (pl.col("day") < date(2021, 6, 1))
    bars = BARS.filter(~gap)
    made = rolls.calendar(bars, SPEC, "last-trade-20,months=HM")
    assert made.frame["reason"][0] == CLOSED
    to_file(made, tmp_path / "mes.csv")
    assert read(tmp_path / "mes.csv", bars).version == made.version
    path = written(tmp_path / "own.csv", ("2021-06-01", "H21", "M21", CLOSED), header="day,from,to,reason")
    [row] = read(path, bars).frame.rows(named=True)
    assert (row["from_price"], row["to_price"]) == (settle(202103, date(2021, 3, 18)), settle(202106, date(2021, 6, 1)))
    assert row["decided"] == date(2021, 3, 18)  # the day before the last trade


def test_so_is_one_of_a_market_without_facts(tmp_path):
    made = rolls.calendar(BARS, None)
    to_file(made, tmp_path / "mes.csv")
    assert read(tmp_path / "mes.csv", spec=None).version == made.version


def test_a_calendar_that_holds_through_expiry_is_read_again_but_no_edit_of_it(tmp_path):
    made = rolls.calendar(BARS, SPEC, "last-trade-0,exit=expiry")
    to_file(made, tmp_path / "mes.csv")
    assert read(tmp_path / "mes.csv").version == made.version
    path = edited(tmp_path / "mes.csv", {(2, "reason"): "mine"}, "last-trade-0,exit=expiry")
    told = [(fault.row, fault.column, fault.reason) for fault in faults(path)]
    assert told[0] == (2, "day", "is after 2021-03-18, the last allowed day of 202103")
    assert len(told) == made.frame.height


def test_a_file_has_the_columns_that_are_told(tmp_path):
    made = rolls.calendar(BARS, SPEC)
    to_file(made, tmp_path / "mes.csv")
    first = (tmp_path / "mes.csv").read_text().splitlines()[:2]
    row = made.frame.row(0, named=True)
    assert first[0] == "day,time,from,to,from_price,to_price,reason,decided,rule,rank,end,version"
    assert first[1] == (
        f"{row['day']},{row['day']}T23:00:00Z,202103,202106,{row['from_price']},{row['to_price']},{row['reason']},"
        f"{row['decided']},volume:1,0,,{made.version}"
    )
    with pytest.raises(ValueError, match=r"must end in \.csv or \.parquet"):
        to_file(made, tmp_path / "mes.xlsx")


# ---- what somebody writes


def test_a_file_gives_days_and_contracts_and_the_store_their_prices(tmp_path):
    found = read(written(tmp_path / "mes.csv", *HAND))
    assert (found.rule, found.first, found.months, found.rank) == ("file", 202103, (3, 6, 9, 12), 0)
    expected = [
        (
            day,
            datetime(day.year, day.month, day.day, 23, tzinfo=UTC),
            a,
            b,
            settle(a, day),
            settle(b, day),
            None,
            "file",
        )
        for day, a, b in ((date.fromisoformat(d), int(a), int(b)) for d, a, b in HAND)
    ]
    assert found.frame.rows() == expected


def test_it_rolls_as_a_plan_of_the_same_days_does(tmp_path):
    plan = rolls.calendar(BARS, SPEC, "last-trade-12").frame
    rows = [(str(day), str(a), str(b)) for day, a, b in plan.select("day", "from_contract", "to_contract").iter_rows()]
    found = read(written(tmp_path / "mes.csv", *rows)).frame
    same = rolls.calendar(BARS, SPEC, "mine", plan).frame
    assert found.drop("reason", "decided").equals(same.drop("reason", "decided"))


@pytest.mark.parametrize("text", ["202106", "20210600", "202106.0", "2021M", "2021-M", "M21", "M1", "M2021", "MESM21",
                                  "MES-2021M", "MES 06-21"])  # fmt: skip
def test_contracts_are_written_in_many_ways(tmp_path, text):
    path = written(tmp_path / "mes.csv", ("2021-03-09", "H21", text), ("2021-06-08", text, "U21"))
    assert read(path).frame["to_contract"].to_list() == [202106, 202109]


@pytest.mark.parametrize(
    ("header", "rows", "separator"),
    [
        ("DATE_TIME,current_contract,next_contract,carry_contract",
         [(f"{day} 23:00:00", f"{a}00", f"{b}00", f"{a}00") for day, a, b in HAND], ","),
        ("Date;From Contract;To Contract", [("09.03.2021", "202103", "202106"), ("8.6.2021", "202106", "202109"),
                                            ("07.09.2021", "202109", "202112")], ";"),
        ("roll day\tfrom\tto", [("03/09/2021", "H21", "M21"), ("06/08/2021", "M21", "U21"),
                                 ("09/07/2021", "U21", "Z21"), ("11/30/2021", "Z21", "H22")], "\t"),
    ],
    ids=["pysystemtrade", "semicolons", "tabs"],
)  # fmt: skip
def test_columns_and_dates_go_by_other_names(tmp_path, header, rows, separator):
    path = tmp_path / "mes.csv"
    lines = [header, *(separator.join(row) for row in rows)]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode() + b"\r\n\r\n")
    found = read(path).frame
    assert found["day"].to_list()[:3] == [date.fromisoformat(day) for day, *_ in HAND]
    assert found["to_contract"].to_list()[:3] == [202106, 202109, 202112]


def test_parquet_may_have_dates_and_numbers(tmp_path):
    frame = pl.DataFrame(HAND, ["date", "from_contract", "to_contract"], orient="row")
    frame = frame.with_columns(pl.col("date").str.to_date(), pl.col("from_contract").cast(pl.Int64), price=pl.lit(None))
    frame.write_parquet(tmp_path / "mes.parquet")
    assert read(tmp_path / "mes.parquet").version == read(written(tmp_path / "mes.csv", *HAND)).version


def test_an_edited_file_is_its_own_rule_and_keeps_only_reasons_that_somebody_wrote(tmp_path):
    made = rolls.calendar(BARS, SPEC, "last-trade-20")
    earlier = made.frame["day"][1] - timedelta(days=1)
    assert earlier in BARS["day"]
    empty = dict.fromkeys([(3, "time"), (3, "from_price"), (3, "to_price")], "")
    found = read(edited(tmp_path / "mes.csv", empty | {(3, "day"): str(earlier), (3, "reason"): "holiday before"}))
    assert found.rule == "file" and found.version != made.version
    assert found.frame["decided"].null_count() == found.frame.height
    assert found.frame["reason"].to_list()[:3] == ["file", "holiday before", "file"]
    [difference] = made.diff(found).to_dicts()
    assert (difference["day"], difference["days"]) == (made.frame["day"][1], -1)
    assert difference["other_to_price"] == settle(202109, earlier)


def test_a_price_may_be_half_a_tick_off(tmp_path):
    day = date(2021, 3, 9)
    header = "day,from,to,from_price,to_price"
    prices = settle(202103, day), settle(202106, day)
    near = (str(day), "H21", "M21", repr(prices[0] + 0.125), repr(prices[1] - 0.125))
    frame = read(written(tmp_path / "mes.csv", near, header=header)).frame
    assert frame.row(0)[4:6] == prices  # those of the store
    far = (str(day), "H21", "M21", repr(prices[0] + 0.13), repr(prices[1] - 0.13))
    told = faults(written(tmp_path / "mes.csv", far, header=header))
    assert [(fault.row, fault.column) for fault in told] == [(2, "from_price"), (2, "to_price")]
    assert told[0].reason == f"is not {prices[0]!r}, as it is stored"
    assert len(faults(written(tmp_path / "mes.csv", near, header=header), spec=None)) == 2  # no tick is known


def hours(*rows):
    """Hourly bars of two contracts: (contract, hour, settle, close)."""
    names = ["contract", "hour", "settle", "close"]
    frame = pl.DataFrame(rows, names, orient="row").with_columns(
        root=pl.lit("MES"), source=pl.lit("x-hour"), day=pl.date(2021, 3, 9), source_time=pl.lit(""),
        contract=pl.col("contract").cast(pl.Int32), time=pl.datetime(2021, 3, 9, "hour", time_zone="UTC"),
        **{name: pl.lit(None, pl.Float64) for name in ("open", "high", "low", "volume", "open_interest")},
    )  # fmt: skip
    return frame.with_columns(pl.col("settle", "close").cast(pl.Float64))


def test_a_file_may_say_at_which_moment_of_the_day(tmp_path):
    bars = hours(
        (202103, 15, None, 10.0), (202106, 15, None, 12.0), (202103, 16, None, 11.0), (202106, 16, None, 14.0),
        (202103, 17, None, 20.0),
    )  # fmt: skip
    header, row = "day,from,to,time", ("2021-03-09", "H21", "M21")
    at = {
        "": (16, 11.0, 14.0), "2021-03-09T15:00:00Z": (15, 10.0, 12.0), "2021-03-09 10:00-05:00": (15, 10.0, 12.0),
        "2021-03-09 16:00": (16, 11.0, 14.0),
    }  # fmt: skip
    for text, (hour, *prices) in at.items():
        found = read(written(tmp_path / "mes.csv", (*row, text), header=header), bars).frame.row(0)
        assert (found[1], *found[4:6]) == (datetime(2021, 3, 9, hour, tzinfo=UTC), *prices)
    [fault] = faults(written(tmp_path / "mes.csv", (*row, "2021-03-09T17:00:00Z"), header=header), bars)
    assert (fault.row, fault.column) == (2, "time")
    assert fault.reason == "is no moment at which both have a price on that day"
    assert fault.remedy == "write 2021-03-09T16:00:00Z, or leave it empty"


def test_prices_of_two_fields_or_moments_do_not_match(tmp_path):
    path = written(tmp_path / "mes.csv", HAND[0])
    for other in ((202106, 15, None, 12.0), (202106, 16, 12.0, None)):
        [fault] = faults(path, hours((202103, 15, 10.0, None), other))
        assert fault.reason == "no price of both at one moment and of one field on it"


def test_a_store_that_was_revised_since_is_told(tmp_path):
    made = rolls.calendar(BARS, SPEC, "last-trade-0,exit=expiry")
    to_file(made, tmp_path / "mes.csv")
    row = made.frame.row(1, named=True)
    place = (pl.col("contract") == row["from_contract"]) & (pl.col("day") == row["day"])
    bars = BARS.with_columns(settle=pl.when(place).then(1.0).otherwise("settle"))
    [fault] = faults(tmp_path / "mes.csv", bars)
    assert (fault.row, fault.column, fault.reason) == (3, "from_price", "is not 1.0, as it is stored")


# ---- what is wrong


@pytest.mark.parametrize(
    ("changes", "column", "reason", "remedy"),
    [
        ({"day": "soon"}, "day", "is no date", "write it as 2020-03-09"),
        ({"day": ""}, "day", "is empty", "write it as 2020-03-09"),
        ({"day": "2021-05-30"}, "day", "is no day on which anything traded", "take 2021-05-28 or 2021-05-31"),
        ({"day": "2020-05-29"}, "day", "is before 2021-01-04, with which the store begins", "leave the row out"),
        ({"day": "2025-05-29"}, "day", "is after 2022-12-30, with which the store ends", "leave the row out"),
        ({"day": "2021-02-08"}, "day", "is not after 2021-02-19 of the row before", "put the rows in order"),
        ({"day": "2021-06-18"}, "day", "is after 2021-06-17, the last allowed day of 202106", "roll by then"),
        ({"from": "202109"}, "from", "is not 202106, into which the row before rolls", "write 202106"),
        ({"from": "ESM21"}, "from", "is a contract of ES, not of MES", "write it as 202003, 2020H or H20"),
        ({"from": "May"}, "from", "is no contract", "write it as 202003, 2020H or H20"),
        ({"to": "202105"}, "to", "has no bar in the store", "the nearest that have are 202103 or 202106"),
        ({"to": "202106"}, "to", "is not later than 202106", "roll into a later contract"),
        ({"to": "202103"}, "to", "may be held until 2021-03-18 only, which is not after the roll",
         "roll into a later contract, or earlier"),
        ({"to": ""}, "to", "is empty", "write the contract as 202003, 2020H or H20"),
        ({"from_price": "4000"}, "from_price", "as it is stored", "write that, or leave it empty"),
        ({"to_price": "dear"}, "to_price", "is no price", "write 4012.25, 110'165 (32nds) or 450'2 (eighths)"),
        ({"to_price": "inf"}, "to_price", "is no price", "or leave it empty"),
        ({"time": "noon"}, "time", "is no moment", "write it as 2020-03-09T22:00:00Z, or leave it empty"),
        ({"time": "2021-05-21T23:00:00Z"}, "time", "is no moment at which both", "write 2021-05-20T23:00:00Z, or"),
        ({"decided": "never"}, "decided", "is no date", "write it as 2020-03-09"),
        ({"rank": "first"}, "rank", "is no rank", "write 0 for the held contract"),
        ({"rank": "-1"}, "rank", "is no rank", "write 0 for the held contract, 1 for the one after it"),
        ({"rank": "9" * 20}, "rank", "is no rank", "write 0 for the held contract"),
        ({"rank": "1"}, "rank", "is not 0, as row 2 says of the whole calendar", "write the same in all rows"),
        ({"rule": "oi:1"}, "rule", "is not last-trade-20, as row 2 says of the whole calendar", "write the same in"),
        ({"version": "3f2a"}, "version", "as row 2 says of the whole calendar", "or one file a calendar"),
        ({"time": "0001-01-01T00:00:00+10:00"}, "time", "is no moment", "write it as 2020-03-09T22:00:00Z"),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_row_and_cell_and_what_to_do(tmp_path, changes, column, reason, remedy):
    path = edited(tmp_path / "mes.csv", {(3, name): text for name, text in changes.items()})
    told = faults(path)
    [fault] = [fault for fault in told if fault.column == column and reason in fault.reason]
    assert fault.row == 3 and remedy in fault.remedy and fault.value == changes[column]
    assert {fault.row for fault in told} <= {3, 4}  # the row after may not go on from it


def test_a_leg_without_a_price_is_named_with_the_nearest_days_that_have_both(tmp_path):
    gone = (pl.col("contract") == 202106) & pl.col("day").is_between(date(2021, 3, 8), date(2021, 3, 9))
    [fault] = faults(written(tmp_path / "mes.csv", HAND[0]), BARS.filter(~gone))
    assert (fault.row, fault.column, fault.value) == (2, "day", "2021-03-09")
    assert fault.reason == "no price of 202106 on it"
    assert fault.remedy == "take 2021-03-05 or 2021-03-10, on which both have one"


def test_all_faults_are_told_at_once_in_the_order_of_the_file(tmp_path):
    rows = [("2021-03-09", "202103", "202106"), ("x", "202109", "ESU21"), ("2021-06-08", "202109", "202109"),
            ("2021-05-08", "202109", "202112")]  # fmt: skip
    told = [(fault.row, fault.column) for fault in faults(written(tmp_path / "mes.csv", *rows))]
    assert told == [(3, "day"), (3, "from"), (3, "to"), (4, "to"), (5, "day"), (5, "day")]
    with pytest.raises(BadCalendar, match=r"^mes\.csv: 6 faults, so that it is not used\nrow 3, day 'x': is no date; "):
        read(tmp_path / "mes.csv")


def test_what_is_told_of_the_whole_calendar_may_stand_in_some_rows_only_but_is_the_same(tmp_path):
    header, rows = "day,from,to,rank,end", [(*row, "", "") for row in HAND]
    rows[1] = (*HAND[1], "1", "2022-03-17")
    found = read(written(tmp_path / "mes.csv", *rows, header=header))
    assert (found.rank, found.end) == (1, date(2022, 3, 17))
    rows[2] = (*HAND[2], "1", "2022-03-18")
    [fault] = faults(written(tmp_path / "mes.csv", *rows, header=header))
    assert (fault.row, fault.column) == (4, "end")
    assert fault.reason == "is not 2022-03-17, as row 3 says of the whole calendar"


def test_rows_and_a_header_at_fault_hide_no_others(tmp_path):
    rows = [HAND[0], ("2021-06-08", "202106"), ("2021-09-07", "202109", "202199"), ("2021-05-08", "x", "H22")]
    path = written(tmp_path / "mes.csv", *[(*row, "") if len(row) == 3 else row for row in rows],
                   header="day,from,to,form_price")  # fmt: skip
    told = [(fault.row, fault.column) for fault in faults(path)]
    assert told == [(1, "form_price"), (3, ""), (4, "to"), (5, "day"), (5, "day"), (5, "from")]
    [fault] = faults(written(tmp_path / "mes.csv", ("2021-03-09", "H21")))  # not one row is whole
    assert fault.reason == "2 cells, and the header has 3"
    twice = written(tmp_path / "mes.csv", (*HAND[0], "", ""), ("x", *HAND[1][1:], "", ""), header="day,from,to,end,end")
    assert [(fault.row, fault.column) for fault in faults(twice)] == [(1, "end"), (3, "day")]


def test_without_stored_bars_there_is_nothing_to_check_a_file_against(tmp_path):
    with pytest.raises(ValueError, match="MES: no row with a price is stored, against which"):
        read(written(tmp_path / "mes.csv", *HAND), BARS.clear())


def test_a_calendar_through_expiry_whose_contracts_end_early_is_that_calendar_again(tmp_path):
    early = (pl.col("contract") == 202106) & (pl.col("day") > date(2021, 6, 10))
    bars = BARS.filter(~early)
    made = rolls.calendar(bars, SPEC, "last-trade-0,exit=expiry")
    row = made.frame.row(1, named=True)
    assert (row["reason"], row["decided"], row["day"]) == (CLOSED, date(2021, 6, 18), date(2021, 6, 21))
    day = date(2021, 6, 10)  # the last on which both had a price
    assert (row["from_price"], row["to_price"]) == (settle(202106, day), settle(202109, day))
    for rank in (0, 1):
        one = ranked(bars, made, rank, SPEC)
        to_file(one, tmp_path / "mes.csv")
        assert read(tmp_path / "mes.csv", bars).version == one.version


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "1, day '': is missing among no columns; name it day or date or datetime"),
        ("day,from,to\n", "the file '': has no row: a roll calendar without a roll is none"),
        ("day,to\n2021-03-09,M21\n", "row 1, from '': is missing among day, to; name it from or fromcontract"),
        ("day,date,from,to\n1,2,3,4\n", "row 1, date '': is day, as day is; keep one of the two"),
        ("day,from,to,form_price\n1,2,3,4\n", "row 1, form_price '': is no column of ours, but near fromprice"),
        ("day,from,to\n2021-03-09,H21,M21,\n", "row 2,  '2021-03-09,H21,M21,': 4 cells, and the header has 3"),
        ("day,from,to\n03/04/2021,H21,M21\n", "may begin with the day or with the month"),
    ],
)
def test_a_file_that_is_no_calendar_at_all_says_why(tmp_path, text, told):
    path = tmp_path / "mes.csv"
    path.write_text(text)
    with pytest.raises(BadCalendar) as error:
        read(path)
    assert told in str(error.value)


def test_a_file_that_cannot_be_read_says_why(tmp_path):
    (tmp_path / "mes.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(BadCalendar, match="is no readable Parquet"):
        read(tmp_path / "mes.parquet")
    (tmp_path / "mes.csv").write_bytes(b"day,from,to\n\xe9,H21,M21\n")
    assert [fault.reason for fault in faults(tmp_path / "mes.csv")] == ["is no date"]
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "absent.csv")


def test_another_column_is_left_alone(tmp_path):
    rows = [(*row, "x") for row in HAND]
    assert read(written(tmp_path / "mes.csv", *rows, header="day,from,to,remark")).frame.height == 3


# ---- real prices


@pytest.fixture(scope="module")
def corn(real):
    """Bars, facts and the calendar by volume of corn."""
    rows, spec = history.bars(real, "ZC").read(), history.spec(real, "ZC")
    return rows, spec, rolls.calendar(rows, spec)


KINDS = {  # what is done to a row, and the column that is at fault
    "sunday": lambda row: ("day", str(row["day"] - timedelta(days=row["day"].weekday() + 1))),
    "years later": lambda row: ("day", str(row["day"] + timedelta(days=800))),
    "early": lambda row: ("day", str(row["day"] - timedelta(days=800))),
    "back": lambda row: ("to", str(row["from_contract"] - 100)),
    "other contract": lambda row: ("from", str(row["from_contract"] + 100)),
    "no such month": lambda row: ("to", str(row["to_contract"] // 100 * 100 + 13)),
    "price": lambda row: ("from_price", str(row["from_price"] + 0.5)),
    "other price": lambda row: ("to_price", str(row["to_price"] - 0.5)),
    "moment": lambda row: ("time", (row["time"] + timedelta(hours=1)).isoformat()),
}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_is_done_to_rows_of_a_real_calendar_is_found_there(corn, tmp_path_factory, data):
    bars, spec, made = corn
    path = tmp_path_factory.getbasetemp() / "corn.csv"
    to_file(made, path)
    table = [line.split(",") for line in path.read_text().splitlines()]
    apart = st.integers(1, made.frame.height // 2 - 1).map(lambda half: 2 * half)  # beside each other they hide faults
    places = data.draw(st.lists(apart, min_size=1, max_size=4, unique=True))
    done = set()
    for place in places:
        column, text = KINDS[data.draw(st.sampled_from(sorted(KINDS)))](made.frame.row(place, named=True))
        table[place + 1][table[0].index(column)] = text
        done.add((place + 2, column))
    path.write_text("\n".join(",".join(row) for row in table))
    with pytest.raises(BadCalendar) as error:
        from_file(path, "ZC", bars, spec)
    told = {(fault.row, fault.column) for fault in error.value.faults}
    assert done <= told
    near = {row + k for row, _ in done for k in (0, 1)}  # the row after may not go on from it
    assert {row for row, _ in told} <= near


def test_calendars_of_five_markets_are_saved_written_and_read_again(real, tmp_path):
    shutil.copytree(real.path, tmp_path / "store")
    archive = open_archive(tmp_path / "store")
    made = [history.calendar(archive, root, "volume:1") for root in FIVE]
    roll_versions.save(archive, made, tag="desk", author="ann")
    for root in FIVE:
        stored, source = roll_versions.load(archive, root, "desk")
        to_file(stored, tmp_path / f"{root}.csv")
        rows, spec = history.bars(archive, root).read(), history.spec(archive, root)
        again = from_file(tmp_path / f"{root}.csv", root, rows, spec)
        assert again.version == stored.version and stored.frame.height > 30
        given = roll_versions.plan(archive, root, "desk")
        assert rolls.calendar(rows, spec, "desk", given).frame["day"].equals(stored.frame["day"])
        before = archive.head().number
        roll_versions.save(archive, [(again, source)])
        assert archive.head().number == before


def test_a_calendar_of_pysystemtrade_is_checked_against_barchart_s_prices(real, shared):
    """COFFEE.csv as published: 82 rolls from 2007 to 2023, of which all days have prices of both contracts."""
    path = next(shared.glob("pysystemtrade*/roll_calendars_csv/COFFEE.csv"))
    found = from_file(path, "KC", history.bars(real, "KC").read(), history.spec(real, "KC"))
    theirs = pl.read_csv(path)
    assert found.frame["day"].cast(pl.String).to_list() == theirs["DATE_TIME"].str.head(10).to_list()
    assert (found.frame["to_contract"] * 100).to_list() == theirs["next_contract"].to_list()
