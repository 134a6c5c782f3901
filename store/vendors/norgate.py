"""Norgate Data: contracts as the Norgate Data Updater exports them to text, and the same through its Python package.

1. A contract's file is named `ES-2023H.csv`, a continuous one `&ES.csv` (as traded) or `&ES_CCB.csv` (back-adjusted,
   refused). A file of any name may hold many contracts if it has a column Symbol.
2. Separator, header, order of columns (with a header) and format of dates are the user's choice and told from the file.
   Without a header the order is the export's own: [Symbol,] Date, Open, High, Low, Close [, Volume [, Open Interest]].
3. `Close` is the official settlement unless the session symbol says otherwise.
4. Open interest is stored as stamped. Norgate's market list of 2017 gives an offset of -1 for 92 of 106 markets: the
   figure of a row is that of the day before. A rule that rolls on open interest is then one day later than it looks.

Source: readme of the package norgatedata 1.0.77; its names of functions and columns.
"""

import re

import polars as pl

from store import bars, layout, raw
from store.codes import MONTHS
from store.reading import About, Reading

NAME = "norgate"
ABOUT = About(
    title="Norgate Data, text export and Python package",
    files="one file a contract, ES-2023H.csv, or many contracts in one file with a column Symbol; norgate:ES asks the "
    "package norgatedata where it is installed",
    gives="open, high, low, the settlement as Close, volume and open interest; the package first and last trade and "
    "first notice as well",
    export="comma, semicolon or tab, with or without header, any order of days; dates as YYYYMMDD are safest",
    lacks="open interest of most markets is stamped one day late (stored as stamped); of continuous series only the "
    "unadjusted &ES is taken",
)
COLUMNS = {"open": "open", "high": "high", "low": "low", "close": "settle", "volume": "volume",
           "openinterest": "open_interest"}  # fmt: skip
NEEDED = ("date", "open", "high", "low", "close")
ORDER = ("Date", "Open", "High", "Low", "Close", "Volume", "Open Interest")  # of files without a header
_CODE = rf"(?P<market>[A-Z0-9]+)-(?P<year>(?:19|20)\d\d)(?P<letter>[{MONTHS}])"
_CONTRACT = re.compile(_CODE)
_FILE = re.compile(_CODE + layout.SUFFIX)
_CONTINUOUS = re.compile(r"&(?P<market>[A-Z0-9]+)(?P<adjusted>_\w+)?" + layout.SUFFIX)
_MISSING = ("", "nan", "NaN", "None")
ADJUSTED = "a back-adjusted series, whose prices no contract ever had; export the contracts, or {} as traded"


def recognises(file):
    """Whether every part is named as Norgate names its symbols, or has a column of such names, and is laid out so."""
    return all(_knows(part) for part in file.parts)


def read(file):
    """The rows of `file` as a `Reading` a market and layout."""
    groups = bars.grouped(_placed(part) for part in file.parts)
    return [
        reading for key, parts in groups.items() for reading in _READERS[key[0]](*key[1:], *zip(*parts, strict=True))
    ]


def _knows(part):
    if not _FILE.fullmatch(part.name) and not _CONTINUOUS.fullmatch(part.name):
        return part.name.lower().endswith(raw.TABLES) and _has_symbols(part)
    return _header(part.header()) is not None


def _has_symbols(part):
    """Whether the first field of the first row, or that below a header's Symbol, is a contract."""
    separator, first = layout.cells(part.header())
    if _CONTRACT.fullmatch(first[0]):
        return _header(part.header()) is not None
    keys = [layout.key(name) for name in first]
    if "symbol" not in keys or not layout.has(first, NEEDED):
        return False
    second = part.data[:4096].decode("utf-8", "replace").split("\n")[1:2]
    row = [cell.strip(' \t"\r') for cell in second[0].split(separator)] if second else []
    return len(row) == len(first) and bool(_CONTRACT.fullmatch(row[keys.index("symbol")]))


def _header(line):
    """(separator, names of the fields, whether the first line is a header) from the first line; None of another."""
    separator, fields = layout.cells(line)
    if layout.has(fields, NEEDED):
        return separator, fields, True
    symbol = ("Symbol",) if _CONTRACT.fullmatch(fields[0]) else ()
    rest = fields[len(symbol) :]
    if len(rest) <= len(ORDER) and layout.is_row(rest, 4):
        return separator, (*symbol, *ORDER)[: len(fields)], False
    return None


def _placed(part):
    """(kind, market, layout), (part, contract): what is read together."""
    found = _header(part.header())
    if found is None:
        raise raw.Unreadable(
            f"{part.place}: line 1: neither a header with Date, Open, High, Low, Close nor a row of Date and prices"
        )
    match, series = _FILE.fullmatch(part.name), _CONTINUOUS.fullmatch(part.name)
    contract = int(match["year"]) * 100 + MONTHS.index(match["letter"]) + 1 if match else 0
    if "symbol" in map(layout.key, found[1]) and not series:
        return ("symbols", found), (part, contract)
    if series and series["adjusted"]:
        raise raw.Unreadable(f"{part.place}: {ADJUSTED.format('&' + series['market'])}")
    if not match and not series:
        raise raw.Unreadable(f"{part.place}: not named SYMBOL-YYYYM.csv (ES-2023H.csv), as Norgate names a contract")
    return ("chain", series["market"], found) if series else ("contracts", match["market"], found), (part, contract)


def _table(found, parts):
    """Rows with numbers and days, and {our name: the file's}."""
    separator, fields, with_header = found
    named = {layout.key(name): name for name in fields}
    columns = {named[theirs]: ours for theirs, ours in COLUMNS.items() if theirs in named}
    others = [named[name] for name in ("date", "symbol", "deliverymonth") if name in named]
    frame = raw.table(parts, [*others, *columns], separator, None if with_header else list(fields))
    frame = layout.numbers(frame, columns, _MISSING)
    frame = layout.days(frame, named["date"], layout.date_pattern(frame[named["date"]], parts[0].place))
    headings = dict.fromkeys(("time", "day"), named["date"]) | {ours: text for text, ours in columns.items()}
    return bars.placed(frame, parts), headings, named


def _contracts(market, found, parts, contracts):
    frame, headings, _ = _table(found, parts)
    headings["contract"] = "file name"
    return [Reading("contract_bars", NAME, market, bars.placed(frame, parts, contract=contracts), headings)]


def _symbols(found, parts, contracts):
    frame, headings, named = _table(found, parts)
    text = headings["contract"] = named["symbol"]
    frame = bars.placed(bars.coded(frame, text), parts, of_the_name=contracts)
    other = (pl.col("of_the_name") > 0) & (pl.col("of_the_name") != pl.col("contract"))
    frame = raw.blame(frame, text, other, "not the contract that the file is named after")
    nearest = pl.col("coded").fill_null(strategy="forward").fill_null(strategy="backward")  # whose line it is
    if frame["coded"].null_count() == frame.height:
        raise raw.Unreadable(f"{parts[0].place}: column {raw.plain(text)}: no row has a contract and a date")
    markets = frame.with_columns(nearest).partition_by("coded", as_dict=True, maintain_order=True)
    return [Reading("contract_bars", NAME, market, rows, headings) for (market,), rows in markets.items()]


def _chain(market, found, parts, _):
    frame, headings, named = _table(found, parts)
    delivery = named.get("deliverymonth")
    if delivery:
        frame = raw.month(frame, delivery, "price_contract", _MISSING)
        headings["price_contract"] = delivery
    headings["price"] = headings.pop("settle")
    frame = frame.rename({"settle": "price"}).with_columns(pl.lit(1, pl.Int32).alias("rank"))
    return [Reading("vendor_chains", NAME, market, frame, headings)]


_READERS = {"contracts": _contracts, "symbols": _symbols, "chain": _chain}


def read_api(symbols, package=None):
    """What Norgate's Python package has of contracts (`ES-2023H`), markets (`ES`) or continuous series (`&ES`).

    Parameters
    ----------
    symbols : list of str
        A market means all its contracts, past and present.
    package : module, optional
        `norgatedata`, or what behaves like it; it needs Windows and the running Norgate Data Updater.

    Returns
    -------
    readings : list of Reading
        Of `contract_bars` and `contracts`, or `vendor_chains`.
    file : str
        What stands for the file's name, `norgate:ES`.
    sha256 : str
        Of the rows.

    Raises
    ------
    Unreadable
        No package, no running updater, an unknown or back-adjusted symbol.
    """
    from store import norgate_api

    return norgate_api.read(symbols, package)
