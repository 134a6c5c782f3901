"""Files in Databento's binary encoding with invented numbers: for the samples, the tests and the fake service."""

from datetime import UTC, date, datetime
from types import SimpleNamespace

import databento_dbn as dbn

NO_PRICE = dbn.UNDEF_PRICE
NO_STAMP = dbn.UNDEF_TIMESTAMP
RTYPES = {"ohlcv-1d": dbn.RType.OHLCV_1D, "ohlcv-1h": dbn.RType.OHLCV_1H, "ohlcv-1m": dbn.RType.OHLCV_1M,
          "ohlcv-1s": dbn.RType.OHLCV_1S}  # fmt: skip


def ns(*moment):
    """Nanoseconds of a moment in UTC."""
    return int(datetime(*moment, tzinfo=UTC).timestamp()) * 10**9


def header(schema, symbols, first=date(2024, 3, 1), end=date(2024, 4, 1), asked="raw_symbol"):
    """The head of a file: `symbols` maps a symbol to its instrument's number, or to [(first, end, number), ...]."""
    mappings = [
        SimpleNamespace(
            raw_symbol=symbol,
            intervals=[
                SimpleNamespace(start_date=start, end_date=stop, symbol=str(number))
                for start, stop, number in (spans if isinstance(spans, list) else [(first, end, spans)])
            ],
        )
        for symbol, spans in symbols.items()
    ]
    return bytes(
        dbn.Metadata(
            "GLBX.MDP3", ns(first.year, first.month, first.day), dbn.SType.from_str(asked), dbn.SType.INSTRUMENT_ID,
            dbn.Schema.from_str(schema) if schema else None, symbols=list(symbols), partial=[], not_found=[],
            mappings=mappings, end=ns(end.year, end.month, end.day), version=3,
        )
    )  # fmt: skip


def bar(schema, number, start, *prices, volume=10):
    """A bar; prices in points, None undefined."""
    return bytes(dbn.OHLCVMsg(RTYPES[schema], 1, number, start, *map(fixed, prices), volume))


def statistic(number, kind, value, of, at, flags=0, action=dbn.StatUpdateAction.NEW, sequence=1):
    """A statistic of a trade date, published at `at`: settlement prices in points, the others quantities."""
    settles = kind == dbn.StatType.SETTLEMENT_PRICE
    price, quantity = (fixed(value), dbn.UNDEF_STAT_QUANTITY) if settles else (NO_PRICE, value)
    day = NO_STAMP if of is None else ns(of.year, of.month, of.day)
    return bytes(
        dbn.StatMsg(1, number, at, at, day, price, quantity, kind, sequence=sequence, update_action=action,
                    stat_flags=flags)
    )  # fmt: skip


def definition(number, symbol, asset, year, month, expiration, activation=NO_STAMP, kind="F", at=None):
    """A definition; of its many fields those that are read."""
    at = at or ns(2024, 3, 1)
    return bytes(
        dbn.InstrumentDefMsg(
            1, number, at, at, fixed(0.25), fixed(0.01), symbol, asset, "FUT", dbn.InstrumentClass(kind),
            dbn.SecurityUpdateAction("A"), expiration=expiration, activation=activation, maturity_year=year,
            maturity_month=month,
        )
    )  # fmt: skip


def fixed(points):
    """A price in units of 1e-9."""
    return NO_PRICE if points is None else round(points * 10**9)


def zstd(data):
    """The data in one zstd frame of blocks that are not compressed (RFC 8878, section 3.1.1)."""
    size = 1 << 16
    blocks = [data[start : start + size] for start in range(0, len(data), size)] or [b""]
    head = b"(\xb5/\xfd" + bytes([0, 0x58])  # no checksum, no size; a window of 2 MiB
    last = len(blocks) - 1
    return head + b"".join((len(b) << 3 | (n == last)).to_bytes(3, "little") + b for n, b in enumerate(blocks))


def samples():
    """The files in tests/samples/databento: name -> bytes. A week of March 2024 of two contracts and a spread."""
    symbols = {"ESH4": 11, "ESM4": 12, "ESH4-ESM4": 13}
    days = [
        bar("ohlcv-1d", 11, ns(2024, 3, 7), 5110.25, 5165.5, 5108.0, 5157.75, volume=1500200),
        bar("ohlcv-1d", 12, ns(2024, 3, 7), 5172.0, 5226.75, 5170.0, 5219.5, volume=80100),
        bar("ohlcv-1d", 13, ns(2024, 3, 7), 61.7, 61.9, 61.6, 61.8, volume=9000),
        bar("ohlcv-1d", 11, ns(2024, 3, 10), 5130.0, 5131.5, 5126.25, 5127.0, volume=4100),
        bar("ohlcv-1d", 11, ns(2024, 3, 11), 5127.0, 5129.5, 5099.75, 5121.25, volume=1612000),
    ]
    settle, interest = dbn.StatType.SETTLEMENT_PRICE, dbn.StatType.OPEN_INTEREST
    seventh = date(2024, 3, 7)
    statistics = [
        statistic(11, settle, 5157.5, seventh, ns(2024, 3, 7, 21, 5), flags=2),
        statistic(11, dbn.StatType.TRADING_SESSION_HIGH_PRICE, 0, None, ns(2024, 3, 7, 21, 30), flags=255),
        statistic(11, settle, 5157.25, seventh, ns(2024, 3, 7, 23, 0), flags=3),
        statistic(12, settle, 5219.0, seventh, ns(2024, 3, 7, 23, 0), flags=3),
        statistic(11, interest, 2100500, seventh, ns(2024, 3, 8, 3, 0), flags=255),
        statistic(11, interest, 2100700, seventh, ns(2024, 3, 8, 14, 0), flags=255),
    ]
    definitions = [
        definition(11, "ESH4", "ES", 2024, 3, ns(2024, 3, 15, 13, 30), ns(2022, 3, 18, 13, 30)),
        definition(12, "ESM4", "ES", 2024, 6, ns(2024, 6, 21, 13, 30)),
        definition(13, "ESH4-ESM4", "ES", 2024, 3, ns(2024, 3, 15, 13, 30), kind="S"),
    ]
    minutes = [bar("ohlcv-1m", 11, ns(2024, 3, 7, 14, n), 5120 + n, 5121.5 + n, 5119 + n, 5121 + n) for n in range(3)]
    return {
        "ES.ohlcv-1d.dbn": header("ohlcv-1d", symbols) + b"".join(days),
        "ES.statistics.dbn.zst": zstd(header("statistics", symbols) + b"".join(statistics)),
        "ES.definition.dbn.zst": zstd(header("definition", symbols) + b"".join(definitions)),
        "ES.ohlcv-1m.dbn.zst": zstd(header("ohlcv-1m", symbols) + b"".join(minutes)),
    }
