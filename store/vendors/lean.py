"""QuantConnect's LEAN data folder: zips of trade bars and open interest, and the folder's lists (`lean_lists`).

`future/<exchange>/minute/<root>/<YYYYMMDD>_<kind>.zip` has entries `<YYYYMMDD>_<root>_minute_<kind>_<YYYYMM>.csv` of
milliseconds since midnight; `future/<exchange>/{hour,daily}/<root>_<kind>.zip` has `<root>_<kind>_<YYYYMM>.csv` of
stamps `YYYYMMDD HH:mm`. No header; a stamp is the start of its bar.

1. Stamps are in the folder's data zone, which is UTC but for a few exchanges (market-hours-database.json,
   `dataTimeZone`): ES opens on Sunday at 22:00 in summer and at 23:00 in winter.
2. Hour and daily zips have the same names inside: one whose stamps are all at midnight is daily.
3. Open interest completes the daily bars. It is stamped when it was published: the day after the session it counts.
   Entries of minutes and hours repeat it as it was published again: the last of a UTC day counts, as in daily zips.
"""

import re

import polars as pl

from store import raw
from store.reading import About, Reading, daily
from store.vendors import lean_lists

NAME = "lean"
ABOUT = About(
    title="QuantConnect LEAN, data folder",
    files="the zips below future/<exchange>/minute, hour and daily, and the CSV in universes, margins, map_files and "
    "alternative/interest-rate, under their own names",
    gives="last trade and volume by minute, hour and day, open interest by day, the universes' daily bars (source "
    "lean-universe), margin histories, the continuous mappings as roll calendars, the Federal Reserve's credit rate",
    export="the folder as the LEAN command line or the repository lays it out; import all of it or a part",
    lacks="no settlements; daily bars are those of regular hours where minute and hour bars are of all; quotes, ticks, "
    "seconds, factor files, symbol properties and market hours are left out, and so are margins without a history",
)
TRADE = {"Open": "open", "High": "high", "Low": "low", "Close": "close", "Volume": "volume"}
INTEREST = {"Open interest": "open_interest"}
PERIODS = {"minute": pl.duration(minutes=1), "hour": pl.duration(hours=1)}
NOT_READ = {"tick": "ticks", "second": "bars of a second", "quote": "quotes (bid and ask)"}
ZONES = {"HSI": "Asia/Hong_Kong", "KM": "Asia/Seoul", "DX": "America/New_York"} | dict.fromkeys(
    ("FDAX", "FDIV", "FDXM", "FDXS", "FESX", "FSDX", "FSMX", "FTDX"), "Europe/Berlin"
)
DAY = 86_400_000  # [ms]
_ENTRY = re.compile(
    r"(?:(?P<day>\d{8})_(?P<root>[a-z0-9]+)_(?P<resolution>minute|second|tick)|(?P<market>[a-z0-9]+))"
    r"_(?P<kind>trade|quote|openinterest)_(?P<contract>(?:19|20)\d\d(?:0[1-9]|1[0-2]))(?:_\d{8})?\.csv"
)
_LATER = re.compile(rb"^\d{8} (?!00:00,)", re.MULTILINE)


def recognises(file):
    """Whether the parts are entries of LEAN's zips, or each one of its lists."""
    return all(_ENTRY.fullmatch(part.name) or lean_lists.kind(part) for part in file.parts)


def read(file):
    """The rows of `file` as a `Reading` a market and resolution, of trades and of open interest."""
    listed, groups = [], {}
    for part in file.parts:
        if lean_lists.kind(part):
            listed.append(part)
        else:
            root, resolution, kind, contract = _named(part)
            groups.setdefault((root, resolution or _slow(part, file), kind), []).append((part, contract))
    readings = lean_lists.read(file, listed) if listed else []
    return [*readings, *(_bars(*key, *zip(*parts, strict=True)) for key, parts in groups.items())]


def _named(part):
    match = _ENTRY.fullmatch(part.name)
    if match is None:
        raise raw.Unreadable(f"{part.place}: not named as an entry of LEAN's zips is, nor one of its lists")
    for what in (match["resolution"], match["kind"]):
        if what in NOT_READ:
            raise raw.LeftOut(part.place, f"{NOT_READ[what]} are not imported; trade and openinterest zips are")
    return (match["root"] or match["market"]).upper(), match["resolution"], match["kind"], int(match["contract"])


def _slow(part, file):
    """`hour` or `daily`: by the folder, else by the stamps of the whole zip."""
    archive = part.place.split("/")[0]
    others = (p.data for p in file.parts if p.place.split("/")[0] == archive)
    return "hour" if "hour" in file.path.parts[-2:] or any(map(_LATER.search, others)) else "daily"


def _bars(root, resolution, kind, parts, contracts):
    columns = TRADE if kind == "trade" else INTEREST
    filled = [n for n, part in enumerate(parts) if part.data.strip()]
    parts, contracts = [parts[n] for n in filled], [contracts[n] for n in filled]
    if not parts:
        raise raw.Unreadable(f"{root}: its {resolution} entries are empty")
    frame = raw.table(parts, ["Time", *columns], header=["Time", *columns])
    for text, name in columns.items():
        frame = raw.number(frame, text, name)
    frame = frame.with_columns(
        pl.lit(pl.Series([part.place for part in parts])).gather("part").alias("file"),
        pl.lit(pl.Series(contracts, dtype=pl.Int32)).gather("part").alias("contract"),
        pl.col("Time").alias("source_time"),
    )
    frame = _minutes(frame, parts) if resolution == "minute" else raw.stamp(frame, "Time", "%Y%m%d %H:%M")
    headings = {"time": "Time", "day": "Time"} | {name: text for text, name in columns.items()}
    if kind != "trade" or resolution == "daily":
        frame = frame.with_columns(pl.col("stamp").dt.date().alias("day"))
        if resolution == "daily":
            return Reading("contract_bars", NAME, root, daily(frame), headings, partial=kind != "trade")
        frame = daily(_last_of_day(frame))
        return Reading("contract_bars", NAME, root, frame, headings, partial=True, notes=_superseded(frame))
    zone = ZONES.get(root, "UTC")
    local = pl.col("stamp").dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    frame = frame.with_columns((local.dt.convert_time_zone("UTC") + PERIODS[resolution]).alias("time"))
    return Reading("contract_bars", f"{NAME}-{resolution}", root, frame, headings)


def _last_of_day(frame):
    """Rows of open interest; those that a later one of the same contract and day took the place of are `idle`.

    They have no stamp of their own: the daily bar that they complete has one.
    """
    fine = pl.col("fault").is_null()
    later = pl.col("stamp") < pl.col("stamp").filter(fine).max().over("contract", "day")
    idle = pl.when(fine & later).then(pl.lit("superseded")).alias("idle")
    return frame.with_columns(pl.lit(None, pl.String).alias("source_time"), idle)


def _superseded(frame):
    """How many rows of a file, be it a zip or an entry of one, gave way to later ones of their day."""
    counts = frame.drop_nulls("idle").with_columns(pl.col("file").str.split("/").list.first().alias("archive"))
    counts = counts.group_by("archive").agg(pl.col("file").first(), pl.len()).sort("archive")
    told = "open interest that was published again on the same day, of which the last is kept; rows left: {}"
    return tuple((place, told.format(rows)) for _, place, rows in counts.iter_rows())


def _minutes(frame, parts):
    """The frame with `stamp`, from the day in the entry's name and the milliseconds in the row."""
    frame = raw.number(frame, "Time", "since")
    since = pl.col("since")
    frame = raw.blame(frame, "Time", ~since.is_between(0, DAY - 1) | (since % 1 != 0), "no millisecond of a day")
    days = pl.Series([part.name[:8] for part in parts]).str.to_datetime("%Y%m%d", strict=False)
    fine = pl.when(pl.col("fault").is_null()).then(since).cast(pl.Int64)
    frame = frame.with_columns(pl.lit(days).gather("part").alias("date"), fine.alias("since"))
    frame = frame.with_columns(
        (pl.col("date") + pl.duration(milliseconds="since")).cast(pl.Datetime("us")).alias("stamp"),
        pl.format("{} {}", pl.col("date").dt.strftime("%Y%m%d"), "Time").alias("source_time"),
    )
    return raw.blame(frame, "Time", pl.col("date").is_null(), "no such day in the entry's name")
