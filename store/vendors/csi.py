"""CSI (Commodity Systems Inc.), as Unfair Advantage exports it: one contract a file, laid out as the user chose.

1. Contracts: `PA2_2013H.csv` (History Format 2, no header: date, open, high, low, close, volume and open interest of
   the contract, then of all contracts), `849_PA2_2013_H.csv` (header, symbol behind CSI's number), `ES_202812.csv` (no
   header, dashed dates). A month is a letter or two digits, a year four digits or two.
2. A file without header whose rows end in the delivery month and an unadjusted close (field mask DOHLCVINU, as Trading
   Blox wants it) is a back-adjusted series: only what is real in it is kept, the unadjusted close and whose it is.
3. Series with `_B` in the place of a contract are back-adjusted, those with `_0000`, `_54` or `_61` are cash; both are
   refused, and so is the daily distribution file, which is known by its first line, `00,`.
4. `Close` is the settlement of combined and pit sessions, and the last trade of electronic ones (`CloseField` of the
   fact sheets), which have symbols of their own. The combined session is the one to export.
5. Units are CSI's: silver in cents, yen per 100 (symbols.csv has the factors).

Source: CSI's online help (History Format 2, field masks, distribution format) and fact sheets of 2022.
"""

import re
from datetime import date

import polars as pl

from store import bars, codes, layout, raw
from store.reading import About, Reading

NAME = "csi"
ABOUT = About(
    title="CSI Unfair Advantage, export of futures to text",
    files="one file a contract, PA2_2013H.csv, 849_PA2_2013_H.csv or ES_202812.csv, in folders or not; or an "
    "unadjusted close with delivery month in each row (Trading Blox)",
    gives="open, high, low, the settlement as Close (the last trade of electronic sessions), volume and open "
    "interest if exported",
    export="individual contracts, History Format 2 or a field mask DOHLC, DOHLCv, DOHLCvi, with or without header; "
    "contract volume (v, i), not totals (V, I)",
    lacks="a file does not say whether volume is the contract's or the market's; prices raised by OhlcOffset (markets "
    "that went below zero) are not lowered again; back-adjusted and cash series and the daily distribution "
    "file are refused",
)
HISTORY = ("Date", "Open", "High", "Low", "Close", "Volume", "Open Interest", "Total Volume", "Total Open Interest")
BLOX = ("Date", "Open", "High", "Low", "Close", "Volume", "Open Interest", "Delivery Month", "Unadjusted Close")
COLUMNS = {"open": "open", "high": "high", "low": "low", "close": "settle", "volume": "volume",
           "openinterest": "open_interest"}  # fmt: skip
NEEDED = ("date", "open", "high", "low", "close")
ELECTRONIC = re.compile(  # sessions of the master's markets whose close is the last trade
    "(AD|BP|CC|CD|CL|CT|CU|DX|ED|FC|FF|GC|HG|HO|JG|JN|JY|KC|LC|LH|MP|NE|NG|NK|OJ|PA|PL|RB|RR|SB|SF|SI|SJ|XC|XS|XW|YA)1|"
    "HIN|HSN|JN5|LC4|LG4|SS3|KE|UB|Z[BCFLMNOSTW]"
)
OTHERS = {name: f"CSI-{name}" for name in ("BZ", "R", "ZR")}  # benzene, Russell 1000, rand: not Brent, gilt, rice
_MONTH = rf"(?P<month>[{codes.MONTHS}]|0[1-9]|1[0-2])"
_YEAR = r"(?P<year>(?:19|20)\d\d|\d\d)"
_NUMBERED = re.compile(rf"\d+_(?P<market>[A-Z0-9]+)_{_YEAR}_{_MONTH}" + layout.SUFFIX)  # 849_PA2_2013_H
_FILES = (
    _NUMBERED,
    re.compile(rf"(?P<market>[A-Z0-9]+)_{_YEAR}_?{_MONTH}" + layout.SUFFIX),  # PA2_2013H, PA2_13H, ES_202812
    re.compile(rf"(?P<market>[A-Z0-9]{{1,2}})(?P<year>(?:19|20)\d\d){_MONTH}" + layout.SUFFIX),  # ES2028Z: mask SCYA
)
_ADJUSTED_FILE = re.compile(r"(?:\d+_)?[A-Z0-9]+_(?:\d{4}_?)?B" + layout.SUFFIX)
_CASH_FILE = re.compile(r"(?:\d+_)?[A-Z0-9]+_(?:0000|(?:\d{4}|\d\d)_?(?:54|61))" + layout.SUFFIX)
_BLOX_FILE = re.compile(r"(?P<market>[A-Z0-9]{1,2})[A-Z0-9_]*" + layout.SUFFIX)
_DAY = re.compile(r"(?:19|20)\d\d-?[01]\d-?[0-3]\d")
_DELIVERY = re.compile(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])")
_DISTRIBUTION = re.compile(r"00,\d")
_REFUSED = (
    (_ADJUSTED_FILE, "a back-adjusted series, whose prices no contract ever had; export individual contracts"),
    (_CASH_FILE, "a cash series, no contract; export individual contracts"),
)


def recognises(file):
    """Whether every part is named and laid out as an export of Unfair Advantage, or is the daily distribution file."""
    return all(_knows(part) for part in file.parts)


def read(file):
    """The rows of `file` as a `Reading` a market and layout."""
    groups = bars.grouped(_placed(part) for part in file.parts)
    return [_READERS[key[0]](*key[1:], *zip(*parts, strict=True)) for key, parts in groups.items()]


def _knows(part):
    line = part.header()
    if _DISTRIBUTION.match(line):
        return True
    fields = layout.cells(line, ",")[1]
    if layout.has(fields, NEEDED):  # the header is anybody's: CSI's number must stand in the name
        return bool(_NUMBERED.fullmatch(part.name)) or (part.name[:1].isdigit() and _refusal(part) is not None)
    names = (*_FILES, _ADJUSTED_FILE, _CASH_FILE)
    return bool(_order(fields)) and (
        any(name.fullmatch(part.name) for name in names)
        or (_is_series(fields) and bool(_BLOX_FILE.fullmatch(part.name)))
    )


def _refusal(part):
    """Why a file that is CSI's cannot be used; None if it can."""
    if _DISTRIBUTION.match(part.header()):
        return "CSI's daily distribution file: its records mix contracts, totals and markets; export History Format 2"
    if part.name.lower().endswith(raw.NO_DATA):
        return "CSI's description of a file, no prices"
    if _is_series(layout.cells(part.header(), ",")[1]):
        return None
    return next((why for pattern, why in _REFUSED if pattern.fullmatch(part.name)), None)


def _order(fields):
    """Names of the fields of a row without a header; none if it is no such row."""
    if len(fields) == 8 or len(fields) > 9 or not _DAY.fullmatch(fields[0]) or not layout.is_row(fields, 4):
        return ()
    return HISTORY[: len(fields)]


def _is_series(fields):
    return len(fields) == len(BLOX) and bool(_DELIVERY.fullmatch(fields[7]))


def _placed(part):
    """(kind, market, names of the fields, whether they are a header), (part, contract): what is read together."""
    if why := _refusal(part):
        raise raw.Unreadable(f"{part.place}: {why}")
    fields = layout.cells(part.header(), ",")[1]
    with_header = layout.has(fields, NEEDED)
    order = fields if with_header else _order(fields)
    if not order:
        raise raw.Unreadable(
            f"{part.place}: line 1: neither a header with Date, Open, High, Low, Close nor a row of date and 4 to 6 "
            f"or 8 numbers; export with the field mask DOHLCvi"
        )
    match = next((found for name in _FILES if (found := name.fullmatch(part.name))), None)
    contract = match and _contract(match, part)
    if not with_header and _is_series(fields):  # else it may be a total volume that looks like a month
        if match is None and (series := _BLOX_FILE.fullmatch(part.name)):
            return ("series", series["market"], BLOX, False), (part, 0)
        order = BLOX if int(fields[7]) == contract else order
    if match is None:
        raise raw.Unreadable(
            f"{part.place}: not named after a contract, as 849_PA2_2013_H.csv, PA2_2013H.csv and ES_202812.csv are"
        )
    return ("contracts", match["market"], order, with_header), (part, contract)


def _contract(match, part):
    """Contract of a file's name; a year of two digits is read as of the file's first day."""
    month = match["month"] if match["month"].isdigit() else f"{codes.MONTHS.index(match['month']) + 1:02d}"
    if len(match["year"]) == 4:
        return int(match["year"] + month)
    day = _DAY.search(part.data[:4096].decode("ascii", "replace"))
    if day is None:
        raise raw.Unreadable(f"{part.place}: no date in its first lines, so that the year {match['year']} is not known")
    digits = day[0].replace("-", "")
    first = date(int(digits[:4]), max(1, min(12, int(digits[4:6]))), 1)
    return codes.parse_code(f"X {month}-{match['year']}", first)[1]


def _table(parts, fields, with_header, columns):
    """Rows with numbers and days, and {our name: the file's}."""
    taken = {name: columns[layout.key(name)] for name in fields if layout.key(name) in columns}
    day = next(name for name in fields if layout.key(name) == "date")
    others = [name for name in fields if layout.key(name) == "deliverymonth"]
    frame = raw.table(parts, [day, *others, *taken], ",", None if with_header else list(fields))
    frame = layout.numbers(frame, taken)
    frame = layout.days(frame, day, layout.date_pattern(frame[day], parts[0].place))
    return bars.placed(frame, parts), dict.fromkeys(("time", "day"), day) | {ours: name for name, ours in taken.items()}


def _contracts(market, fields, with_header, parts, contracts):
    columns = COLUMNS | {"close": "close"} if ELECTRONIC.fullmatch(market) else COLUMNS
    frame, headings = _table(parts, fields, with_header, columns)
    headings["contract"] = "file name"
    frame = bars.placed(frame, parts, contract=contracts)
    return Reading("contract_bars", NAME, OTHERS.get(market, market), frame, headings)


def _series(market, fields, with_header, parts, _):
    columns = {"unadjustedclose": "price", "volume": "volume", "openinterest": "open_interest"}
    frame, headings = _table(parts, fields, with_header, columns)
    frame = raw.month(frame, "Delivery Month", "price_contract").with_columns(pl.lit(1, pl.Int32).alias("rank"))
    headings["price_contract"] = "Delivery Month"
    return Reading("vendor_chains", NAME, OTHERS.get(market, market), frame, headings)


_READERS = {"contracts": _contracts, "series": _series}
