"""Databento's binary encoding: a file as a frame of records, and what its instruments are called.

1. The reader of `databento_dbn` takes a cut zstd stream for the end of the data, so the frames are walked first.
2. Prices are whole numbers of 1e-9. They are divided by numpy: polars divides by multiplying, which is off by a bit.
3. A symbol (`ESH1`) has one digit of year, and a contract trades before it is delivered, but for a last settlement
   after its month: of its deliveries the first is meant that is not before the month before the data.
"""

import re
from datetime import date

import numpy as np
import polars as pl

from store import raw
from store.codes import MONTHS

MAGIC, ZSTD = b"DBN", b"(\xb5/\xfd"
LIMIT = 1 << 28  # a file unpacked: 4.8 million bars, which take 2 GB while they are read [bytes]
STEP = 1 << 13  # bytes written to the decoder at a time: what they unpack to is held as objects for a moment
SCHEMAS = {
    "ohlcv-1d": "OHLCVMsg",
    "ohlcv-1h": "OHLCVMsg",
    "ohlcv-1m": "OHLCVMsg",
    "statistics": "StatMsg",
    "definition": "InstrumentDefMsg",
}
PRICES = ("open", "high", "low", "close", "price")
QUANTITIES = ("volume", "quantity")
PLAIN = ("instrument_id", "ts_event", "ts_recv", "ts_ref", "sequence", "stat_type", "update_action", "stat_flags",
         "expiration", "activation", "maturity_year", "maturity_month")  # fmt: skip
TEXTS = ("raw_symbol", "asset", "instrument_class")
UNDEFINED = ((1 << 63) - 1, (1 << 64) - 1)  # of signed and unsigned fields
_LETTER = rf"(?P<letter>[{MONTHS}])"
_SYMBOLS = (  # CME Globex: ESH1, 6EM24; ICE: `BRN FMZ0023!`
    re.compile(rf"(?P<root>[A-Z0-9]+){_LETTER}(?P<year>\d\d?)"),
    re.compile(rf"(?P<root>[A-Z0-9]+) +FM{_LETTER}00(?P<year>\d\d)!"),
)


class Empty(raw.Unreadable):
    """A file without a record."""


def records(part):
    """Schema, metadata and records of a file, those of older versions of DBN brought to the newest.

    Parameters
    ----------
    part : Part

    Returns
    -------
    schema : str
    metadata : databento_dbn.Metadata
    frame : DataFrame
        The fields named above, undefined ones null, and `line`, the record's number from 1.

    Raises
    ------
    Unreadable
        No DBN, cut short, damaged, too long, another schema than `SCHEMAS`, or empty.
    """
    import databento_dbn

    packed = part.data[:4] == ZSTD
    if not packed and part.data[:3] != MAGIC:
        raise raw.Unreadable(f"{part.place}: no DBN file; of Databento's encodings DBN is read, not CSV or JSON")
    if packed and not whole(part.data):
        raise raw.Unreadable(f"{part.place}: cut short: its zstd frame does not end; download it again")
    compression = databento_dbn.Compression.ZSTD if packed else databento_dbn.Compression.NONE
    try:
        metadata, data, left = _drained(databento_dbn.DBNDecoder(compression=compression), part)
    except raw.Unreadable:
        raise
    except (databento_dbn.DBNError, RuntimeError, ValueError, OverflowError) as error:
        raise _damaged(part, error) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # a class of the Rust side, which Python cannot import
            raise
        raise _damaged(part, error) from error
    if metadata is None or left:
        raise raw.Unreadable(f"{part.place}: cut short: it ends within {'a record' if metadata else 'its header'}")
    schema = str(metadata.schema)
    return schema, metadata, _frame(_array(getattr(databento_dbn, SCHEMAS[schema]), data, part))


def _damaged(part, error):
    return raw.Unreadable(f"{part.place}: damaged: {raw.plain(error, 100)}")


def _drained(decoder, part):
    """Metadata (or None), the bytes of all records, and how many bytes no record could be made of."""
    metadata, data, size = None, [], 0
    for start in range(0, len(part.data), STEP):
        decoder.write(part.data[start : start + STEP])
        found = decoder.decode()
        if found and metadata is None:
            metadata, *found = found
            _wanted(metadata.schema, part)
        data.append(b"".join(map(bytes, found)))
        size += len(data[-1])
        if size > LIMIT:
            raise raw.Unreadable(
                f"{part.place}: longer than {LIMIT >> 20} MiB unpacked; have it split by month or week"
            )
    return metadata, b"".join(data), len(decoder.buffer())


def _wanted(schema, part):
    rest = f"which is not read; read are {', '.join(SCHEMAS)}"
    if schema is None:
        raise raw.Unreadable(f"{part.place}: a capture of the live feed, {rest}")
    if str(schema) not in SCHEMAS:
        raise raw.LeftOut(part.place, f"of the schema {raw.plain(schema, 20)}, {rest}")


def _array(kind, data, part):
    width = np.dtype(kind._dtypes).itemsize
    if not data:
        raise Empty(f"{part.place}: no record in it: no trading in that time, or a wrong symbol")
    found = np.frombuffer(data[: len(data) // width * width], kind._dtypes)
    if len(data) % width or not np.all(found["length"] == width // 4):
        raise raw.Unreadable(f"{part.place}: records of another kind among those of its schema")
    return found


def whole(data):
    """Whether all zstd frames of `data` end (RFC 8878, section 3.1.1)."""
    at = 0
    while at < len(data):
        if data[at + 1 : at + 4] == b"*M\x18":  # a frame to be skipped
            at += 8 + int.from_bytes(data[at + 4 : at + 8], "little")
        elif data[at : at + 4] == ZSTD and at + 5 <= len(data):
            at = _frame_end(data, at)
        else:
            return False
    return at == len(data) > 0


def _frame_end(data, at):
    descriptor = data[at + 4]
    single = descriptor >> 5 & 1
    at += 5 + (1 - single) + (0, 1, 2, 4)[descriptor & 3] + (single, 2, 4, 8)[descriptor >> 6]
    last = False
    while not last:
        if at + 3 > len(data):
            return len(data) + 1
        block = int.from_bytes(data[at : at + 3], "little")
        last = block & 1
        at += 3 + (1 if block >> 1 & 3 == 1 else block >> 3)  # a block of one repeated byte
    return at + 4 * (descriptor >> 2 & 1)


def _frame(found):
    names = found.dtype.names
    columns = {name: pl.Series(np.ascontiguousarray(found[name])) for name in PLAIN if name in names}
    for name in (*PRICES, *QUANTITIES):
        if name in names:
            values = np.ascontiguousarray(found[name])
            missing = np.isin(values, np.array([u for u in UNDEFINED if u <= np.iinfo(values.dtype).max], values.dtype))
            columns[name] = pl.Series(np.where(missing, np.nan, values / (1e9 if name in PRICES else 1.0)))
    for name in TEXTS:
        if name in names:
            columns[name] = pl.Series([text.decode("ascii", "backslashreplace") for text in found[name].tolist()])
    frame = pl.DataFrame(columns).with_columns(pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("line"))
    return frame.fill_nan(None)


def moment(name):
    """A column of nanoseconds as a datetime in UTC; the undefined one is null."""
    known = pl.when(pl.col(name) < UNDEFINED[0]).then(pl.col(name))
    return known.cast(pl.Int64).cast(pl.Datetime("ns")).dt.replace_time_zone("UTC")


def symbols(metadata):
    """What an instrument's number means from a day on: a frame (instrument_id, start, end, symbol, name, contract)."""
    rows = []
    for name, intervals in metadata.mappings.items():
        for interval in intervals:
            number, symbol = interval["symbol"], name
            if not number.isdecimal():  # asked by number, answered by name
                number, symbol = name, interval["symbol"]
            if number.isdecimal():
                start = interval["start_date"]
                rows.append((int(number), start, interval["end_date"], symbol, *parsed(symbol, start)))
    schema = {"instrument_id": pl.UInt32, "start": pl.Date, "end": pl.Date, "symbol": pl.String, "name": pl.String,
              "contract": pl.Int32}  # fmt: skip
    return pl.DataFrame(rows, schema, orient="row").sort("start")


def parsed(symbol, day: date):
    """Root and contract of a symbol as of a day; (None, None) of what is no single futures contract.

    >>> parsed("ESH1", date(2020, 12, 28)), parsed("ESH1-ESM1", date(2020, 12, 28))
    (('ES', 202103), (None, None))
    >>> parsed("ESH1", date(2015, 6, 1)), parsed("BRN FMZ0023!", date(2023, 7, 3))
    (('ES', 202103), ('BRN', 202312))
    """
    for shape in _SYMBOLS:
        match = shape.fullmatch(symbol)
        if match:
            month, cycle = MONTHS.index(match["letter"]) + 1, 10 ** len(match["year"])
            year = day.year - day.year % cycle - cycle + int(match["year"])
            while year * 12 + month < day.year * 12 + day.month - 1:  # the last settlement may come a month later
                year += cycle
            return match["root"], year * 100 + month
    return None, None
