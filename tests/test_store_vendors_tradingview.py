"""TradingView's charts: contracts and nearbys, sessions that start the evening before, lengths."""

from datetime import UTC, date, datetime

import pytest

from store import raw
from store.vendors import tradingview
from tests.vendor_files import file, sample

HEADER = b"time,open,high,low,close,Volume\n"
EVENING = 1704150000  # 2024-01-01 17:00 in Chicago, where ES opens for 2024-01-02


def chart(name, *stamps):
    rows = b"".join(b"%s,1,2,1,1.5,7\n" % str(stamp).encode() for stamp in stamps)
    [reading] = tradingview.read(file(**{name: HEADER + rows}))
    return reading


def test_a_sample_of_a_contract():
    [reading] = sample(tradingview, "CME_MINI_ESH2024, 1D.csv")
    assert (reading.table, reading.vendor, reading.name) == ("contract_bars", "tradingview", "ES")
    row = reading.frame.row(0, named=True)
    assert (row["contract"], row["day"], row["source_time"]) == (202403, date(2024, 1, 2), "1704150000")
    assert [row[c] for c in ("open", "high", "low", "close", "volume")] == [4815.25, 4822.5, 4767.75, 4783.0, 1541200.0]
    assert reading.frame["day"].to_list()[-1] == date(2024, 1, 5)


def test_a_sample_of_a_nearby():
    [reading] = sample(tradingview, "CME_MINI_ES1!, 1D_4f0c2.csv")
    assert (reading.table, reading.name) == ("vendor_chains", "ES")
    assert reading.frame.select("rank", "day", "price").row(1) == (1, date(2024, 1, 3), 4743.75)


@pytest.mark.parametrize(
    ("name", "stamp", "day"),
    [
        ("CME_MINI_ESH2024, 1D.csv", EVENING, date(2024, 1, 2)),
        ("CME_MINI_ESH2024, 1D.csv", "2024-01-01T17:00:00-06:00", date(2024, 1, 2)),
        ("CME_MINI_ESH2024, 1D.csv", "2024-01-01T23:00:00Z", date(2024, 1, 2)),
        ("CME_MINI_ESH2024, 1D.csv", "2024-01-02", date(2024, 1, 2)),
        ("CME_MINI_ESH2024, 1D.csv", "2024-01-07T17:00:00-06:00", date(2024, 1, 8)),  # a Sunday
        ("CME_MINI_ESH2024, 1D.csv", "2024-01-05T17:00:00-06:00", date(2024, 1, 8)),  # a Friday evening
        ("CME_LEG2024, 1D.csv", "2024-01-02T08:30:00-06:00", date(2024, 1, 2)),
        ("EUREX_FGBLH2024, 1D.csv", "2024-01-02T01:10:00+01:00", date(2024, 1, 2)),
        ("NYMEX_DL_CLG2024, D.csv", EVENING, date(2024, 1, 2)),
    ],
)
def test_a_session_that_starts_in_the_evening_is_the_next_day_s(name, stamp, day):
    assert chart(name, stamp).frame["day"].to_list() == [day]


@pytest.mark.parametrize(
    ("name", "vendor", "end"),
    [
        ("CBOT_ZCH2024, 60.csv", "tradingview-hour", datetime(2024, 1, 2, 0, 0, tzinfo=UTC)),
        ("CBOT_ZCH2024, 1H.csv", "tradingview-hour", datetime(2024, 1, 2, 0, 0, tzinfo=UTC)),
        ("CBOT_ZCH2024, 5.csv", "tradingview-5-minute", datetime(2024, 1, 1, 23, 5, tzinfo=UTC)),
    ],
)
def test_a_bar_within_the_day_ends_its_length_after_the_stamp(name, vendor, end):
    reading = chart(name, EVENING)
    assert (reading.vendor, reading.frame["time"][0], "day" in reading.frame.columns) == (vendor, end, False)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("CBOT_ZCH2024, 1W.csv", "bars of 1W; export a chart of days, hours or minutes"),
        ("CBOT_ZC1!, 60.csv", "bars within the day of a continuous symbol; export single contracts"),
        ("chart.csv", "no chart of a future exported by TradingView"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(name, message):
    with pytest.raises(raw.Unreadable, match=message):
        chart(name, EVENING)


@pytest.mark.parametrize(
    ("name", "header", "known"),
    [
        ("CME_6EH2024, 1D.csv", HEADER, True),
        ("COMEX_GC2!, 1D (1).csv", HEADER, True),
        ("CME_6EH2024, 1D.csv", b"time,open,high,low,close\n", True),
        ("NASDAQ_AAPL, 1D.csv", HEADER, False),
        ("CME_6EH2024, 1D.csv", b"Date,Open,High,Low,Close\n", False),
    ],
)
def test_files_are_known_by_name_and_header(name, header, known):
    assert bool(tradingview.recognises(file(**{name: header}))) is known


def test_a_fault_names_the_file_s_column():
    reading = chart("CBOT_ZCH2024, 1D.csv", EVENING, "later")
    assert reading.frame.select("column", "fault").row(1) == ("start", "no seconds since 1970: later")
    assert reading.headings["start"] == "time"


def test_second_nearby_and_a_root_with_a_digit():
    reading = chart("CME_6E2!, 1D.csv", EVENING)
    assert (reading.name, reading.frame["rank"][0]) == ("6E", 2)
