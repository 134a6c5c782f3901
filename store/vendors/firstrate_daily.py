"""FirstRate Data's daily bars of a contract: `NQZ08.txt`, `ES_H24_1day.txt`; commas, no header.

`2008-09-15,open,high,low,close,volume,open interest`. The vendor makes its bars of trades, so `close` is the last one.
Days without volume have no row. Its bars within the day are read by `firstrate`; both are stored as of that vendor.
"""

import re
from datetime import date

from store import bars, layout, raw
from store.codes import MONTHS, parse_code
from store.reading import About, Reading

NAME = "firstrate-daily"
VENDOR = "firstrate"
ABOUT = About(
    title="FirstRate Data, daily bars of single contracts",
    files="one text file a contract, NQZ08.txt or ES_H24_1day.txt, no header",
    gives="open, high, low, last trade, volume and open interest",
    export="files as delivered, one for each contract",
    lacks="no settlement; days without a trade have no row; continuous files are refused, adjusted or not",
)
FIELDS = ("date", "open", "high", "low", "close", "volume", "open_interest")
_FILE = re.compile(rf"(?P<market>[A-Z0-9]+?)_?(?P<letter>[{MONTHS}])(?P<year>\d\d)(?:_1day)?" + layout.SUFFIX)
_CONTINUOUS = re.compile(r"[A-Z0-9]+_.*(?i:continuous|full).*" + layout.SUFFIX)
_LINE = re.compile(r"(\d{4})-\d\d-\d\d((?:,[-+0-9.eE]+){5,6})")


def recognises(file):
    """Whether each part begins with a daily bar and is named after a contract, or is a continuous file."""
    return all(
        (_FILE.fullmatch(part.name) or _CONTINUOUS.fullmatch(part.name)) and _LINE.fullmatch(part.header())
        for part in file.parts
    )


def read(file):
    """The rows of `file` as a `Reading` a market, with or without open interest."""
    groups = bars.grouped(_named(part) for part in file.parts)
    return [_market(*key, *zip(*parts, strict=True)) for key, parts in groups.items()]


def _named(part):
    """(market, number of fields), (part, contract)."""
    if _CONTINUOUS.fullmatch(part.name):
        raise raw.Unreadable(f"{part.place}: a continuous series; import the files of single contracts")
    match, line = _FILE.fullmatch(part.name), _LINE.fullmatch(part.header())
    if match is None or line is None:
        raise raw.Unreadable(
            f"{part.place}: not FirstRate's: NQZ08.txt with lines 2008-09-15,open,high,low,close,volume,open "
            "interest is wanted"
        )
    contract = parse_code(f"X{match['letter']}{match['year']}", date(int(line[1]), 1, 1))[1]
    return (match["market"], 1 + line[2].count(",")), (part, contract)


def _market(market, count, parts, contracts):
    fields = list(FIELDS[:count])
    frame = raw.table(parts, fields, header=fields)
    frame = layout.numbers(frame, {name: name for name in fields[1:]})
    frame = layout.days(frame, "date", "%Y-%m-%d")
    headings = {"time": "date", "day": "date", "contract": "file name"}
    return Reading("contract_bars", VENDOR, market, bars.placed(frame, parts, contract=contracts), headings)
