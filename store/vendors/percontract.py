"""One table with the daily rows of all contracts of a market, their open interest and their day of expiry.

`symbol,contract_month,expire_Year,expire_Month,expire_Day,tradingYear,tradingMonth,tradingDay_Day,days_to_expire,open,
high,low,close,volume,openInterest`, as scripts write it that collect contracts with pandas: whole numbers may be
written `1977.0`, and rows without a contract (`,NaT,,,…`) may come first; those are put into quarantine.

1. The contract is `contract_month` (`1977Mar`): the year in the symbol (`PAH77`) has two digits. The two must agree.
2. `close` is taken for the settlement: it moves on days without a trade, too.
3. The day of expiry is the contract's last trade.
4. Volume and open interest of early years may be 0 where they were not collected (palladium before 2000-12-29).
"""

import re

import polars as pl

from store import bars, layout, raw
from store.codes import MONTHS
from store.reading import About, Reading, daily

NAME = "percontract"
ABOUT = About(
    title="Table of contracts with open interest and expiry, as scripts in pandas write it",
    files="one CSV a market (PA_master.csv), whose rows have symbol, contract_month, expiry and trading day in columns",
    gives="open, high, low, the settlement as close, volume, open interest and the last trade of each contract",
    export="the columns symbol, contract_month, expire_Year, expire_Month, expire_Day, tradingYear, tradingMonth, "
    "tradingDay_Day, open, high, low, close, volume, openInterest",
    lacks="volume and open interest of early years may be 0 where nobody collected them",
)
COLUMNS = {"open": "open", "high": "high", "low": "low", "close": "settle", "volume": "volume",
           "openInterest": "open_interest"}  # fmt: skip
SYMBOL, MONTH = "symbol", "contract_month"
DAY = ("tradingYear", "tradingMonth", "tradingDay_Day")
EXPIRY = ("expire_Year", "expire_Month", "expire_Day")
_SYMBOL = re.compile(rf"^(?P<root>[A-Z0-9]+)(?P<letter>[{MONTHS}])(?P<year>\d\d)$")
_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def recognises(file):
    """Whether every part has the columns of such a table."""
    needed = {SYMBOL, MONTH, *DAY, *EXPIRY, *COLUMNS}
    return all(needed <= {*part.header().split(",")} for part in file.parts)


def read(file):
    """The rows of `file`: for each market its bars, and the expiry of its contracts."""
    frame = raw.table(file.parts, [SYMBOL, MONTH, *DAY, *EXPIRY, *COLUMNS])
    frame = _days(bars.placed(_contracts(frame), file.parts))
    frame = layout.numbers(frame, COLUMNS)
    nearest = pl.col("root").fill_null(strategy="backward").fill_null(strategy="forward")  # whose line it is
    if frame["root"].null_count() == frame.height:
        raise raw.Unreadable(f"{file.parts[0].place}: column {SYMBOL}: no row has a contract")
    for (root,), rows in frame.with_columns(nearest).partition_by("root", as_dict=True, maintain_order=True).items():
        yield from _market(root, rows)


def _market(root, rows):
    headings = {"time": DAY[-1], "day": DAY[-1], "contract": MONTH} | {ours: text for text, ours in COLUMNS.items()}
    yield Reading("contract_bars", NAME, root, rows, headings)
    # one row a contract: the bars account for the rows of the file
    told = rows.filter(pl.col("fault").is_null()).unique("contract", keep="first", maintain_order=True)
    dates = told.select("contract", "last_trade", "file", "line", "raw", "column", "fault")
    if dates.height:
        heads = {"last_trade": "expire_Day", "contract": MONTH}
        yield Reading("contracts", NAME, root, dates, heads, derived=True)


def _contracts(frame):
    """The frame with `root` and `contract`; a symbol that is none, or contradicts the month, is a fault."""
    symbol = pl.col(SYMBOL).str.extract_groups(_SYMBOL.pattern)
    month = pl.col(MONTH).str.extract_groups(r"^(?P<year>(?:19|20)\d\d)(?P<name>[A-Z][a-z]{2})$")
    frame = frame.with_columns(symbol.alias("_symbol"), month.alias("_month"))
    number = (
        pl.col("_month")
        .struct["name"]
        .replace_strict({name: k + 1 for k, name in enumerate(_NAMES)}, default=None, return_dtype=pl.Int32)
    )
    letter = (
        pl.col("_symbol")
        .struct["letter"]
        .replace_strict({name: k + 1 for k, name in enumerate(MONTHS)}, default=None, return_dtype=pl.Int32)
    )
    contract = pl.col("_month").struct["year"].cast(pl.Int32) * 100 + number
    frame = frame.with_columns(contract.alias("contract"), pl.col("_symbol").struct["root"].alias("root"))
    same = (letter == number) & (pl.col("_symbol").struct["year"] == pl.col("_month").struct["year"].str.slice(2))
    frame = raw.blame(frame, SYMBOL, pl.col("root").is_null(), "no contract")
    frame = raw.blame(frame, MONTH, pl.col("contract").is_null(), "not a month such as 1977Mar")
    return raw.blame(frame, MONTH, ~same, "not the month of the symbol").drop("_symbol", "_month")


def _days(frame):
    """The frame with `day`, `time` and `last_trade` from three columns each."""
    for columns, name in ((DAY, "day"), (EXPIRY, "last_trade")):
        year, month, day = (pl.col(c).cast(pl.Float64, strict=False).cast(pl.Int32, strict=False) for c in columns)
        text = pl.format("{}-{}-{}", year, month, day)
        frame = frame.with_columns(text.str.to_date("%Y-%m-%d", strict=False).alias(name), text.alias("source_time"))
        whole = pl.all_horizontal(pl.col(c).cast(pl.Float64, strict=False) % 1 == 0 for c in columns)
        frame = raw.blame(frame, columns[-1], pl.col(name).is_null() | ~whole.fill_null(False), "not a date")
    day = pl.concat_str(DAY, separator="-").alias("source_time")
    return daily(frame.with_columns(day))
