"""IQFeed (DTN): daily rows of a symbol, saved under its name.

1. `@ESZ15` is a contract, `@ES#` the front month as traded, `@ES#C` the back-adjusted front month (smoothed over the
   week before a roll), which is refused. Symbols without `@` (`QCLF16`) are read with `--vendor iqfeed`.
2. Without a header the fields are those of the feed's daily history: date, high, low, open, close, volume, open
   interest. With one, columns are found by their names.
3. The feed's manual does not call its close a settlement, so it is kept as the last trade.

Source: IQFeed, historical data, fields of a daily record.
"""

import re
from datetime import date

import polars as pl

from store import bars, codes, layout, raw
from store.reading import About, Reading

NAME = "iqfeed"
ABOUT = About(
    title="IQFeed (DTN), daily history saved as CSV",
    files="one file a symbol: @ESZ15.csv a contract, @ES#.csv the front month",
    gives="open, high, low, the close, volume and open interest",
    export="date, high, low, open, close, volume, open interest without header, or any order with a header",
    lacks="the feed does not say whether its close is the settlement; the back-adjusted @ES#C is refused",
)
ORDER = ("Date", "High", "Low", "Open", "Close", "Volume", "Open Interest")
NEEDED = ("open", "high", "low", "close")
COLUMNS = {"open": "open", "high": "high", "low": "low", "close": "close", "volume": "volume",
           "periodvolume": "volume", "openinterest": "open_interest"}  # fmt: skip
DATES = ("date", "datestamp", "timestamp", "datetime")
_FILE = re.compile(
    rf"(?P<market>@?[A-Z0-9]{{1,6}}?)(?:(?P<letter>[{codes.MONTHS}])(?P<year>\d\d)|#(?P<adjusted>C?))" + layout.SUFFIX
)


def recognises(file):
    """Whether every part is named after a symbol with `@` and holds such rows."""
    return all(
        part.name.startswith("@") and _FILE.fullmatch(part.name) and _fields(part) is not None for part in file.parts
    )


def read(file):
    """The rows of `file` as a `Reading` a market, series and layout."""
    groups = bars.grouped(_named(part) for part in file.parts)
    return [_market(*key, *zip(*parts, strict=True)) for key, parts in groups.items()]


def _fields(part):
    """(names of the fields, whether they are a header); None if the first line is neither header nor row."""
    fields = layout.cells(part.header(), ",")[1]
    if layout.has(fields, NEEDED) and any(layout.key(name) in DATES for name in fields):
        return fields, True
    values = fields[:-1] if fields[-1] == "" and len(fields) == len(ORDER) + 1 else fields  # the feed ends in a comma
    if len(values) in (len(ORDER) - 1, len(ORDER)) and layout.is_row(values, 5):
        return (*ORDER[: len(values)], *("end",) * (len(fields) - len(values))), False
    return None


def _named(part):
    match, found = _FILE.fullmatch(part.name), _fields(part)
    if match is None or found is None:
        raise raw.Unreadable(
            f"{part.place}: not a file named after a symbol (@ESZ15.csv) with date, high, low, open, close, volume"
        )
    if match["adjusted"]:
        raise raw.Unreadable(
            f"{part.place}: a back-adjusted series, whose prices no contract ever had; export the contracts, or "
            f"{match['market']}#"
        )
    contract = _contract(part, match) if match["letter"] else 0
    return (match["market"], not contract, *found), (part, contract)


def _contract(part, match):
    """Contract of the name, its year read as of the file's first day."""
    day = re.search(r"(?:19|20)\d\d", part.data[:4096].decode("ascii", "replace"))
    first = date(int(day[0]), 1, 1) if day else date(2000, 1, 1)
    return codes.parse_code(f"X{match['letter']}{match['year']}", first)[1]


def _market(market, chain, fields, with_header, parts, contracts):
    columns = {name: COLUMNS[layout.key(name)] for name in fields if layout.key(name) in COLUMNS}
    day = next(name for name in fields if layout.key(name) in DATES)
    frame = layout.numbers(raw.table(parts, [day, *columns], ",", None if with_header else list(fields)), columns)
    frame = layout.days(frame, day, layout.date_pattern(frame[day], parts[0].place))
    headings = dict.fromkeys(("time", "day"), day) | {ours: text for text, ours in columns.items()}
    if chain:
        frame = bars.placed(frame.rename({"close": "price"}), parts).with_columns(pl.lit(1, pl.Int32).alias("rank"))
        return Reading("vendor_chains", NAME, market, frame, headings | {"price": headings["close"]})
    return Reading("contract_bars", NAME, market, bars.placed(frame, parts, contract=contracts), headings)
