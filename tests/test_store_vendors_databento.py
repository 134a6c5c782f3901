"""Databento's files: bars, statistics and definitions; expected values by hand or from records decoded one by one."""

from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace

import databento_dbn as dbn
import pytest

from store import raw
from store.raw import Part, RawFile
from store.vendors import databento
from store.vendors import dbn as files
from tests import dbn_files
from tests.conftest import REPO
from tests.dbn_files import bar, definition, header, ns, statistic

SAMPLES = REPO / "tests" / "samples" / "databento"
SETTLE, INTEREST = dbn.StatType.SETTLEMENT_PRICE, dbn.StatType.OPEN_INTEREST
SEVENTH = date(2024, 3, 7)


def file(data, name="x.dbn"):
    return RawFile(Path(name), "", (Part(name, name, data),))


def read(*pieces):
    return databento.read(file(b"".join(pieces)))


def days(*rows):
    """A daily file of ESH4 (number 7)."""
    [reading] = read(header("ohlcv-1d", {"ESH4": 7}), *(bar("ohlcv-1d", 7, *row) for row in rows))
    return reading.frame


def settles(*rows):
    [reading] = read(header("statistics", {"ESH4": 7}), *(statistic(7, SETTLE, *row[:3], **row[3]) for row in rows))
    return reading.frame.select("day", "settle").rows()


def test_the_samples_are_what_their_maker_makes():
    made = dbn_files.samples()
    assert {path.name: path.read_bytes() for path in SAMPLES.iterdir()} == made


def test_a_daily_bar_is_a_utc_day_and_sunday_s_is_monday_s():
    opened = raw.open_file(SAMPLES / "ES.ohlcv-1d.dbn")
    assert databento.recognises(opened)
    [reading] = databento.read(opened)
    assert (reading.table, reading.vendor, reading.name, reading.partial) == ("contract_bars", "databento", "ES", False)
    frame = reading.frame
    assert frame["fault"].null_count() == frame.height
    assert frame.select("contract", "day", "open", "high", "low", "close", "volume", "line").rows() == [
        (202403, date(2024, 3, 7), 5110.25, 5165.5, 5108.0, 5157.75, 1500200.0, 1),
        (202406, date(2024, 3, 7), 5172.0, 5226.75, 5170.0, 5219.5, 80100.0, 2),
        (202403, date(2024, 3, 11), 5130.0, 5131.5, 5126.25, 5127.0, 4100.0, 4),
        (202403, date(2024, 3, 11), 5127.0, 5129.5, 5099.75, 5121.25, 1612000.0, 5),
    ]
    assert frame["time"].to_list()[2:] == [datetime(2024, 3, 10, 23, tzinfo=UTC), datetime(2024, 3, 11, 23, tzinfo=UTC)]
    assert frame["source_time"][0] == "2024-03-07T00:00:00.000000000Z"


SPREAD = "records left out, of symbols that are no single futures contract, as ESH4-ESM4: {}"


def test_a_spread_is_left_out_and_told_by_the_number_of_its_records():
    opened = raw.open_file(SAMPLES / "ES.ohlcv-1d.dbn")
    [reading] = databento.read(opened)
    assert reading.notes == (("ES.ohlcv-1d.dbn", SPREAD.format(1)),)
    assert reading.frame["line"].to_list() == [1, 2, 4, 5]
    head = header("ohlcv-1d", {"NQH4": 7, "ESH4-ESM4": 9})
    rows = [bar("ohlcv-1d", number, ns(2024, 3, 7 + number % 2), 1, 1, 1, 1) for number in (7, 9, 9)]
    other = Part("n.dbn", "n.dbn", b"".join([head, *rows]))
    found = {r.name: r.notes for r in databento.read(RawFile(Path("x"), "", (*opened.parts, other)))}
    assert found == {"ES": reading.notes, "NQ": (("n.dbn", SPREAD.format(2)),)}


def test_bars_within_the_day_end_a_period_later_and_have_a_source_of_their_own():
    [reading] = databento.read(raw.open_file(SAMPLES / "ES.ohlcv-1m.dbn.zst"))
    assert (reading.vendor, "day" in reading.frame.columns) == ("databento-minute", False)
    assert reading.frame["time"].to_list() == [datetime(2024, 3, 7, 14, n, tzinfo=UTC) for n in (1, 2, 3)]
    [reading] = read(header("ohlcv-1h", {"ESH4": 7}), bar("ohlcv-1h", 7, ns(2024, 3, 7, 14), 1, 1, 1, 1))
    assert (reading.vendor, reading.frame["time"][0]) == ("databento-hour", datetime(2024, 3, 7, 15, tzinfo=UTC))


def test_statistics_complete_the_days_that_they_are_of():
    settle, interest = databento.read(raw.open_file(SAMPLES / "ES.statistics.dbn.zst"))
    assert settle.partial and interest.partial and (settle.vendor, interest.vendor) == ("databento", "databento")
    assert settle.frame.select("contract", "day", "settle").rows() == [
        (202403, SEVENTH, 5157.25), (202406, SEVENTH, 5219.0),
    ]  # fmt: skip
    assert interest.frame.select("contract", "day", "open_interest").rows() == [(202403, SEVENTH, 2100700.0)]
    assert settle.frame["time"][0] == datetime(2024, 3, 7, 23, tzinfo=UTC)  # as the daily bar's


def test_the_final_settlement_counts_whenever_it_came():
    early, late = ns(2024, 3, 7, 22), ns(2024, 3, 8, 1)
    final, preliminary, intraday = {"flags": 3}, {"flags": 2}, {"flags": 11}
    assert settles((1, SEVENTH, early, final), (2, SEVENTH, late, preliminary)) == [(SEVENTH, 1.0)]
    assert settles((1, SEVENTH, late, preliminary), (2, SEVENTH, early, preliminary)) == [(SEVENTH, 1.0)]
    assert settles((1, SEVENTH, early, preliminary), (2, SEVENTH, late, intraday)) == [(SEVENTH, 1.0)]
    assert settles((1, SEVENTH, early, {"flags": 255}), (2, SEVENTH, late, {"flags": 255})) == [(SEVENTH, 2.0)]


def test_what_a_delete_took_back_does_not_count():
    gone = {"action": dbn.StatUpdateAction.DELETE}
    kept = date(2024, 3, 8)
    rows = settles(
        (1, SEVENTH, ns(2024, 3, 7, 22), {}), (1, SEVENTH, ns(2024, 3, 7, 23), gone), (3, kept, ns(2024, 3, 8, 22), {}),
        (9, kept, ns(2024, 3, 8, 20), gone),
    )  # fmt: skip
    assert rows == [(kept, 3.0)]


def test_a_statistic_of_no_day_is_at_fault():
    [reading] = read(header("statistics", {"ESH4": 7}), statistic(7, SETTLE, 1, None, ns(2024, 3, 7, 22)))
    assert reading.frame.select("column", "fault").rows() == [("ts_ref", "no trade date")]


def test_definitions_give_the_days_of_trading_and_leave_spreads_out():
    [reading] = databento.read(raw.open_file(SAMPLES / "ES.definition.dbn.zst"))
    assert (reading.table, reading.name) == ("contracts", "ES")
    assert reading.frame.select("contract", "first_trade", "last_trade").rows() == [
        (202403, date(2022, 3, 18), date(2024, 3, 15)), (202406, None, date(2024, 6, 21)),
    ]  # fmt: skip
    assert reading.notes == (("ES.definition.dbn.zst", SPREAD.format(1)),)


def test_the_last_definition_counts_and_the_day_is_chicago_s():
    head = header("definition", {"CLN4": 5})
    old = definition(5, "CLN4", "CL", 2024, 7, ns(2024, 6, 21, 18, 30), at=ns(2024, 3, 1))
    new = definition(5, "CLN4", "CL", 2024, 7, ns(2024, 6, 21, 2), at=ns(2024, 3, 2))
    [reading] = read(head, old, new)
    assert reading.frame.select("contract", "last_trade").rows() == [(202407, date(2024, 6, 20))]


def test_a_definition_without_a_delivery_month_is_at_fault():
    head = header("definition", {"ESM4": 7, "ESU4": 8})
    [reading] = read(head, definition(7, "ESM4", "ES", 65535, 255, ns(2024, 6, 21, 13, 30)),
                     definition(8, "ESU4", "ES", 2024, 9, ns(2024, 9, 20, 13, 30)))  # fmt: skip
    assert reading.frame.select("contract", "fault").rows() == [
        (None, "no delivery month in its definition"), (202409, None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("symbol", "day", "contract"),
    [
        ("ESH1", date(2020, 12, 28), 202103),
        ("ESH1", date(2011, 3, 1), 201103),
        ("ESH1", date(2011, 5, 2), 202103),  # the one of March 2011 is delivered
        ("ZQG4", date(2024, 3, 1), 202402),  # settled after its month
        ("6EM24", date(2024, 1, 2), 202406),
        ("ESZ9", date(2020, 1, 2), 201912),
        ("ESZ9", date(2020, 2, 3), 202912),
        ("CLZ36", date(2026, 7, 1), 203612),
    ],
)
def test_a_year_of_one_digit_is_the_next_delivery(symbol, day, contract):
    assert files.symbols(decoded(header("ohlcv-1d", {symbol: 7}, day, date(2030, 1, 1))))["contract"].item() == contract


def decoded(head):
    return dbn.Metadata.decode(head)


def test_a_number_means_what_its_header_says_of_that_day():
    spans = {"ESH4": [(date(2024, 3, 1), date(2024, 3, 8), 7)], "NQH4": [(date(2024, 3, 8), date(2024, 4, 1), 7)]}
    rows = [bar("ohlcv-1d", 7, ns(2024, 3, day), 1, 1, 1, 1) for day in (7, 8)]
    assert [(r.name, r.frame["day"].to_list()) for r in read(header("ohlcv-1d", spans), *rows)] == [
        ("ES", [SEVENTH]), ("NQ", [date(2024, 3, 8)]),
    ]  # fmt: skip


def test_a_record_without_a_symbol_is_at_fault():
    frame = days((ns(2024, 3, 7), 1, 1, 1, 1), (ns(2024, 5, 7), 2, 2, 2, 2))
    assert frame.select("line", "column", "fault").rows()[1] == (2, "symbol", "no symbol for instrument 7 on that day")


def test_undefined_prices_are_missing():
    assert days((ns(2024, 3, 7), None, 2, 1, None)).select("open", "high", "close").row(0) == (None, 2.0, None)


def test_prices_are_the_nearest_doubles():  # polars divides otherwise from four rows on
    prices = [3702.75, 0.00691, 110.515625, -37.63]
    frame = days(*((ns(2024, 3, day), *prices) for day in (4, 5, 6, 7, 8)))
    assert frame.select("open", "high", "low", "close").unique().rows() == [tuple(prices)]


def test_a_daily_record_within_the_day_is_at_fault():
    assert days((ns(2024, 3, 7, 5), 1, 1, 1, 1))["fault"][0].startswith("not midnight, so no UTC day")


@pytest.mark.parametrize(
    ("data", "left"),
    [
        (header("ohlcv-1s", {"ESH4": 7}), True),
        (header("ohlcv-1d", {"ESH4-ESM4": 7}) + bar("ohlcv-1d", 7, ns(2024, 3, 7), 1, 1, 1, 1), True),
        (
            header("statistics", {"ESH4": 7}) + statistic(7, dbn.StatType.CLEARED_VOLUME, 5, SEVENTH, ns(2024, 3, 8)),
            True,
        ),
        (header(None, {"ESH4": 7}), False),
        (header("ohlcv-1d", {"ESH4": 7}), False),
        (header("ohlcv-1d", {"ES.c.0": 7}, asked="continuous") + bar("ohlcv-1d", 7, ns(2024, 3, 7), 1, 1, 1, 1), False),
    ],
)
def test_what_holds_nothing_for_us_is_left_out_and_what_was_ordered_wrongly_is_an_error(data, left):
    with pytest.raises(raw.Unreadable) as error:
        databento.read(file(data))
    assert isinstance(error.value, raw.LeftOut) is left


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"ts_event,rtype\n", "no DBN file; of Databento's encodings DBN is read, not CSV or JSON"),
        (b"DBN\x03xxxxxxxxxxxx", "cut short: it ends within its header"),
        (b"DBN\x63" + b"\0" * 200, "damaged"),
        (header("ohlcv-1s", {"ESH4": 7}), "of the schema ohlcv-1s, which is not read; read are ohlcv-1d, ohlcv-1h"),
        (header(None, {"ESH4": 7}), "a capture of the live feed"),
        (header("ohlcv-1d", {"ESH4": 7}), "no record in it"),
        (header("ohlcv-1d", {"ESH4": 7}) + bar("ohlcv-1d", 7, 0, 1, 1, 1, 1)[:40],
         "cut short: it ends within a record"),
        (dbn_files.samples()["ES.ohlcv-1m.dbn.zst"][:-9], "cut short: its zstd frame does not end"),
        (header("ohlcv-1d", {"ES.c.0": 7}, asked="continuous") + bar("ohlcv-1d", 7, ns(2024, 3, 7), 1, 1, 1, 1),
         "ES.c.0 is a continuous symbol, which names no contract: use the parent, as ES.FUT"),
        (header("ohlcv-1d", {"ESH4-ESM4": 7}) + bar("ohlcv-1d", 7, ns(2024, 3, 7), 1, 1, 1, 1),
         "no single futures contract in it: ESH4-ESM4"),
        (header("ohlcv-1d", {}) + bar("ohlcv-1d", 7, ns(2024, 3, 7), 1, 1, 1, 1), "its header names no symbol"),
        (header("statistics", {"ESH4": 7}) + statistic(7, dbn.StatType.CLEARED_VOLUME, 5, SEVENTH, ns(2024, 3, 8)),
         "no settlement and no open interest among its 1 statistics"),
        (header("ohlcv-1d", {"ESH4": 7}) + statistic(7, SETTLE, 5, SEVENTH, ns(2024, 3, 8)), "records of another kind"),
    ],
)  # fmt: skip
def test_a_useless_file_is_refused_with_the_reason(data, told):
    with pytest.raises(raw.Unreadable, match=rf"^x\.dbn: .*{told}"):
        databento.read(file(data))


def test_a_record_shorter_than_its_kind_is_refused_though_the_decoder_panics():
    record = bytearray(bar("ohlcv-1d", 7, ns(2024, 3, 7), 1, 1, 1, 1))
    record[:2] = 10, 0  # says that it is a trade of 40 bytes; one has 48
    with pytest.raises(raw.Unreadable, match=r"^x\.dbn: damaged: .*TradeMsg.* at least 48 bytes"):
        databento.read(file(header("ohlcv-1d", {"ESH4": 7}) + bytes(record)))


def test_a_damaged_frame_is_refused():
    data = bytearray(dbn_files.samples()["ES.ohlcv-1m.dbn.zst"])
    data[9:13] = b"XXXX"  # its header
    with pytest.raises(raw.Unreadable, match=r"x\.dbn: damaged"):
        databento.read(file(bytes(data)))


def test_a_file_that_unpacks_to_too_much_is_refused(monkeypatch):
    monkeypatch.setattr(files, "LIMIT", 1000)
    with pytest.raises(raw.Unreadable, match="longer than 0 MiB unpacked; have it split"):
        days(*((ns(2024, 3, day), 1, 1, 1, 1) for day in range(1, 30)))


def test_files_of_an_older_version_are_brought_to_the_newest():
    head = bytearray(header("statistics", {"ESH4": 7}))
    old = dbn.Metadata.decode(bytes(head))
    mappings = [SimpleNamespace(raw_symbol="ESH4", intervals=[SimpleNamespace(
        start_date=date(2024, 3, 1), end_date=date(2024, 4, 1), symbol="7")])]  # fmt: skip
    head = bytes(dbn.Metadata("GLBX.MDP3", old.start, dbn.SType.RAW_SYMBOL, dbn.SType.INSTRUMENT_ID,
                              dbn.Schema.STATISTICS, symbols=["ESH4"], partial=[], not_found=[], mappings=mappings,
                              end=old.end, version=1))  # fmt: skip
    at = ns(2024, 3, 8, 3)
    one = dbn.StatMsgV1(1, 7, at, at, ns(2024, 3, 7), dbn_files.NO_PRICE, 2100500, INTEREST)
    [reading] = read(head, bytes(one))
    assert reading.frame.select("day", "open_interest").rows() == [(SEVENTH, 2100500.0)]


@pytest.mark.parametrize(
    ("name", "data", "known"),
    [
        ("x.dbn", b"DBN\x03", True),
        ("x.dbn.zst", b"(\xb5/\xfd", True),
        ("x.csv.zst", b"(\xb5/\xfd", False),
        ("x.dbn", b"Time,Open", False),
    ],
)
def test_files_are_known_by_their_first_bytes(name, data, known):
    assert databento.recognises(file(data, name)) is known


def test_the_real_files_hold_what_their_records_say(shared):
    read_, refused = {}, 0
    for path in sorted((shared / "databento").rglob("*.zst")):
        opened = raw.open_file(path)
        assert databento.recognises(opened)
        try:
            for reading in databento.read(opened):
                read_[path.name, reading.name] = reading
        except raw.Unreadable:
            refused += 1
            continue
        decoder = dbn.DBNDecoder(compression=dbn.Compression.ZSTD)
        decoder.write(path.read_bytes())
        metadata, *records = decoder.decode()
        if str(metadata.schema).startswith("ohlcv"):
            codes = {int(spans[0]["symbol"]): name for name, spans in metadata.mappings.items()}
            expected = sorted(
                (
                    codes[r.instrument_id][:2],
                    r.ts_event,
                    r.pretty_open,
                    r.pretty_high,
                    r.pretty_low,
                    r.pretty_close,
                    r.volume,
                )
                for r in records
            )
            found = [
                (root, ns_of(row[0]), *row[1:])
                for (name, root), reading in read_.items() if name == path.name
                for row in reading.frame.select("source_time", "open", "high", "low", "close", "volume").rows()
            ]  # fmt: skip
            assert sorted(found) == expected
    ends = {(root, c): day for (_, root), r in read_.items() if r.table == "contracts"
            for c, day in r.frame.select("contract", "last_trade").rows()}  # fmt: skip
    assert ends == {
        ("ES", 202103): date(2021, 3, 19), ("ES", 202306): date(2023, 6, 16), ("ES", 202409): date(2024, 9, 20),
        ("NQ", 202409): date(2024, 9, 20), ("ES", 202512): date(2025, 12, 19), ("ES", 202603): date(2026, 3, 20),
    }  # fmt: skip
    assert (len(read_), refused) == (10, 13)


def ns_of(text):
    moment = datetime.fromisoformat(text[:19] + "+00:00")
    return int(moment.timestamp()) * 10**9 + int(text[20:29])
