"""TradingView's export of a chart: `CME_MINI_ESH2024, 1D.csv` of a contract, `CME_MINI_ES1!, 1D.csv` of the front one.

`time,open,high,low,close,Volume` and whatever indicators the chart shows; time in seconds since 1970 or as ISO.

1. The stamp is the start of the bar. A daily bar starts when its session does, often on the evening before: from noon
   on at the exchange, the trade date is the next day. An ISO date without an hour is the trade date.
2. `close` is the last trade or the settlement, as the chart's settings chose; it is taken for the last trade.
3. `ES2!` is the second nearby: continuous symbols give nearby series.
"""

import re

import polars as pl

from store import bars, raw
from store.reading import About, Reading, daily

NAME = "tradingview"
ABOUT = About(
    title="TradingView, the data of a chart",
    files="one CSV a chart: CME_MINI_ESH2024, 1D.csv of a contract, CME_MINI_ES1!, 1D.csv of a nearby",
    gives="open, high, low, close and volume by the day, hour or minute",
    export="Export chart data, UNIX or ISO time, without adjustment for contract changes (B-ADJ off)",
    lacks="no open interest; whether close is settlement or last trade is the chart's setting and not told in the file",
)
COLUMNS = ("open", "high", "low", "close")
ZONES = {"EUREX": "Europe/Berlin", "ICEEUR": "Europe/London", "ICEUS": "America/New_York", "HKEX": "Asia/Hong_Kong",
         "OSE": "Asia/Tokyo", "TOCOM": "Asia/Tokyo", "SGX": "Asia/Singapore", "ASX24": "Australia/Sydney"}  # fmt: skip
CHICAGO = "America/Chicago"  # of all others: CME, CBOT, NYMEX and COMEX open together
_FILE = re.compile(
    r"(?P<exchange>[A-Z0-9]+(?:_(?:MINI|DL|EOD|DLY))*)_(?P<symbol>[A-Z0-9]+?)"
    r"(?:(?P<rank>[1-9]\d?)!|(?P<contract>[FGHJKMNQUVXZ]\d{4})), ?(?P<length>\d*[A-Z]?)(?: ?[_(][^.]*)?\.csv"
)
_UNITS = {"": 1, "H": 60}


def recognises(file):
    """Whether each part is named as an exported chart of a future and has a bar's columns."""
    return all(_FILE.fullmatch(part.name) and _usable(part) for part in file.parts)


def read(file):
    """The rows of `file` as a `Reading` a market, or nearby, and length of bar."""
    charts = bars.grouped(_named(part) for part in file.parts)
    return [_chart(*key, *zip(*parts, strict=True)) for key, parts in charts.items()]


def _header(part):
    return part.header().split(",")


def _usable(part):
    return tuple(_header(part)[:5]) == ("time", *COLUMNS)


def _named(part):
    match = _FILE.fullmatch(part.name)
    if match is None or not _usable(part):
        raise raw.Unreadable(
            f"{part.place}: no chart of a future exported by TradingView: CME_MINI_ESH2024, 1D.csv with "
            "time,open,high,low,close is wanted"
        )
    volume = next((name for name in ("Volume", "volume") if name in _header(part)), None)
    zone = ZONES.get(match["exchange"].split("_")[0], CHICAGO)
    seconds = part.data[:4096].decode("utf-8-sig", "replace").split("\n")[1:2]
    seconds = bool(seconds and re.match(r"\d{6,11},", seconds[0]))
    length, rank = _length(part, match["length"]), int(match["rank"] or 0)
    if rank and length:
        raise raw.Unreadable(f"{part.place}: bars within the day of a continuous symbol; export single contracts")
    return (match["symbol"], length, volume, zone, rank > 0, seconds), (
        part,
        rank,
        f"{match['symbol']}{match['contract']}",
    )


def _length(part, written):
    """Minutes of a bar, None of a day."""
    if written in ("D", "1D"):
        return None
    digits, unit = re.fullmatch(r"(\d*)([A-Z]?)", written).groups()
    if unit not in _UNITS or not digits:
        raise raw.Unreadable(f"{part.place}: bars of {written}; export a chart of days, hours or minutes")
    return int(digits) * _UNITS[unit]


def _chart(symbol, length, volume, zone, nearby, seconds, parts, ranks, written):
    columns = {name: name for name in COLUMNS} | ({volume: "volume"} if volume else {})
    frame = bars.numbers(raw.table(parts, ["time", *columns]).rename({"time": "start"}), columns)
    frame = _started(frame.with_columns(pl.col("start").alias("source_time")), seconds)
    frame = frame.with_columns(_trade_date(zone).alias("day"))
    headings = {"time": "time", "day": "time", "start": "time", "price": "close", "volume": volume or "volume"}
    if nearby:
        frame = daily(bars.placed(frame, parts, rank=ranks).rename({"close": "price"}))
        return Reading("vendor_chains", NAME, symbol, frame, headings)
    frame = bars.by_name(frame, parts, written)
    if length is None:
        return Reading("contract_bars", NAME, symbol, daily(frame), headings)
    frame = frame.with_columns((pl.col("stamp") + pl.duration(minutes=length)).alias("time")).drop("day")
    return Reading("contract_bars", bars.source(NAME, length), symbol, frame, headings)


def _started(frame, seconds):
    """The frame with `stamp`, start of the bar in UTC; `dated` where the stamp is a date without an hour."""
    text = pl.col("start")
    if seconds:
        since = text.cast(pl.Int64, strict=False)
        frame = raw.blame(frame, "start", since.is_null(), "no seconds since 1970")
        stamp = pl.from_epoch(since, "s").dt.replace_time_zone("UTC").dt.cast_time_unit("us")
        return frame.with_columns(stamp.alias("stamp"), pl.lit(False).alias("dated"))
    dated = (text.str.len_chars() == 10).fill_null(False)
    whole = pl.when(dated).then(text + "T00:00:00+00:00").otherwise(text.str.replace("Z$", "+00:00"))
    frame = frame.with_columns(dated.alias("dated"), whole.alias("start"))
    return raw.stamp(frame, "start", "%Y-%m-%dT%H:%M:%S%z")


def _trade_date(zone):
    """Date of the session that starts at `stamp`: from noon on it is the next day's."""
    local = pl.col("stamp").dt.convert_time_zone(zone)
    evening = pl.when(local.dt.hour() >= 12).then(1).otherwise(0)
    return pl.when("dated").then(pl.col("stamp").dt.date()).otherwise(local.dt.date() + pl.duration(days=evening))
