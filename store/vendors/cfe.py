"""Cboe Futures Exchange: the exchange's own files of VX futures, one a contract.

1. Older files are named `CFE_K08_VX.csv`, with dates MM/DD/YYYY; from about 2013 on a disclaimer stands before their
   header. Newer ones are named after the day of settlement, `VX_2018-06-20.csv`, with ISO dates and the same header.
2. 0 in Open, High, Low, Close or Settle means that there is none. On a day without volume open, high, low and close are
   not trades but quotes (high, the bid, may lie above low, the ask), or the close of an older day: none is taken, the
   row keeps its settlement, and such rows are told by their number. A listing day has neither close nor settlement and
   is put into quarantine.
3. Prices before 2007-03-26 are ten times as large: the contract was re-scaled (symbols.csv has the dated factor).
4. VX and its weekly contracts share their files' names. The monthly contract settles on the Wednesday 30 days before
   the third Friday of the month after, or a day earlier (rule of contract 1202 of CFE's rulebook); others are refused,
   since the store has one contract a month.

Source: Cboe, historical data of VX futures.
"""

import re
from datetime import date, timedelta

import polars as pl

from store import bars, layout, raw
from store.codes import MONTHS
from store.reading import About, Reading

NAME = "cfe"
ABOUT = About(
    title="Cboe Futures Exchange, files of VX futures",
    files="one file a contract, CFE_K08_VX.csv or VX_2018-06-20.csv",
    gives="open, high, low, the last trade as Close, the settlement, volume and open interest",
    export="files as the exchange offers them, with or without the disclaimer",
    lacks="quotes of days without a trade are not taken; weekly contracts are refused",
)
COLUMNS = {"Open": "open", "High": "high", "Low": "low", "Close": "close", "Settle": "settle",
           "Total Volume": "volume", "Open Interest": "open_interest"}  # fmt: skip
TRADED = ("open", "high", "low", "close")
_OLD = re.compile(rf"CFE_(?P<letter>[{MONTHS}])(?P<year>\d\d)_(?P<market>[A-Z]+)" + layout.SUFFIX)
_NEW = re.compile(r"(?P<market>[A-Z]+)_(?P<day>20\d\d-[01]\d-[0-3]\d)" + layout.SUFFIX)
_START = "Trade Date"
_DISCLAIMER = "CFE data is compiled"
_WEEK = timedelta(days=7)


def recognises(file):
    """Whether every part is named as the exchange names a contract and begins with its header or its disclaimer."""
    return all(
        (_OLD.fullmatch(part.name) or _NEW.fullmatch(part.name))
        and part.header().startswith((f"{_START},Futures,", _DISCLAIMER))
        for part in file.parts
    )


def read(file):
    """The rows of `file` as a `Reading` a market and layout of dates."""
    groups = bars.grouped(_named(part) for part in file.parts)
    return [_market(*key, *zip(*parts, strict=True)) for key, parts in groups.items()]


def _named(part):
    """(market, pattern of the dates), (part, contract)."""
    if match := _OLD.fullmatch(part.name):
        year = int(match["year"])  # VIX futures began in 2004
        contract = (2000 + year) * 100 + MONTHS.index(match["letter"]) + 1
        return (match["market"], "%m/%d/%Y"), (part, contract)
    match = _NEW.fullmatch(part.name)
    if match is None:
        raise raw.Unreadable(
            f"{part.place}: not named CFE_K08_VX.csv or VX_2018-06-20.csv, as the exchange names a contract"
        )
    return (match["market"], "%Y-%m-%d"), (part, _monthly(part, match["day"]))


def _monthly(part, text):
    """Contract that settles on a day; a file of another day is a weekly contract's."""
    try:
        settles = date.fromisoformat(text)
    except ValueError:
        raise raw.Unreadable(f"{part.place}: {text} in the name is no date") from None
    year, month = divmod(settles.year * 12 + settles.month, 12)
    first = date(year, month + 1, 1)
    third_friday = first + timedelta(days=(4 - first.weekday()) % 7 + 14)
    if abs(third_friday - timedelta(days=30) - settles) >= _WEEK / 2:
        raise raw.Unreadable(
            f"{part.place}: settles on {text}, a weekly contract; the store has one contract a month, and those "
            f"settle on {third_friday - timedelta(days=30)}"
        )
    return settles.year * 100 + settles.month


def _market(market, pattern, parts, contracts):
    frame = raw.table(parts, [_START, "Futures", *COLUMNS], skip=_before)
    frame = bars.placed(layout.numbers(frame, COLUMNS), parts, contract=contracts)
    frame = layout.days(frame, _START, pattern)
    frame = raw.blame(
        frame, "Futures", _delivery() != pl.col("contract"), "not the contract that the file is named after"
    )
    prices = (*TRADED, "settle")
    frame = frame.with_columns(pl.when(pl.col(name) != 0).then(name).alias(name) for name in prices)
    notes = _quotes(frame, parts)
    frame = frame.with_columns(pl.when(pl.col("volume") != 0).then(name).alias(name) for name in TRADED)
    headings = {"time": _START, "day": _START, "contract": "Futures"} | {ours: text for text, ours in COLUMNS.items()}
    return Reading("contract_bars", NAME, market, frame, headings, notes=notes)


def _quotes(frame, parts):
    """How many rows of each part have quotes and no trade."""
    quoted = (pl.col("volume") == 0) & pl.any_horizontal(pl.col(TRADED).is_not_null())
    counts = frame.filter(quoted & pl.col("fault").is_null()).group_by("part").len().sort("part").iter_rows()
    told = "rows of days without a trade, whose quotes were taken as missing: {}"
    return tuple((parts[part].place, told.format(rows)) for part, rows in counts)


def _before(lines):
    """Lines before the header."""
    return next((number for number, line in enumerate(lines[:20]) if line.startswith(_START)), 0)


def _delivery():
    """Delivery month YYYYMM in texts such as `K (May 08)` and `F (Jan 2026)`; 0 in others."""
    year = pl.col("Futures").str.extract(r"^[A-Z] \([A-Za-z]{3} (?:20)?(\d\d)\)$").cast(pl.Int32, strict=False)
    letter = pl.col("Futures").str.slice(0, 1)
    month = letter.replace_strict({name: k + 1 for k, name in enumerate(MONTHS)}, default=None, return_dtype=pl.Int32)
    return ((2000 + year) * 100 + month).fill_null(0)
