"""pysystemtrade's CSV folders: multiple prices, contract prices, roll calendars and spot FX; plain, gzipped or zipped.

| folder | file | header |
| --- | --- | --- |
| multiple_prices_csv | `CORN.csv` | `DATETIME,CARRY,CARRY_CONTRACT,PRICE,PRICE_CONTRACT,FORWARD,FORWARD_CONTRACT` |
| roll_calendars_csv | `CORN.csv` | `DATE_TIME,current_contract,next_contract,carry_contract` |
| fx_prices_csv | `EURUSD.csv` | `DATETIME,PRICE` |
| contract prices | `AUD_20180300.csv` | `DATETIME,OPEN,HIGH,LOW,FINAL,VOLUME`, or Barchart's header |

1. Stamps are naive London time, contracts `YYYYMM00`. Barchart's stamps are as in `barchart.py`, its close settles.
2. A contract's row stamped 23:00 (or 00:00) is a day's, any other an hour's: the hour starts at the stamp, as the
   broker behind it writes it.
3. Contract prices named by a real day are a weekly contract's and are refused, as in `barchart.py`.
4. Back-adjusted prices (`DATETIME,price`) are no prices that were ever traded, and are refused.
"""

import re

import polars as pl

from store import bars, raw
from store.reading import About, Reading, daily, on_session
from store.vendors import barchart

NAME = "pysystemtrade"
ABOUT = About(
    title="pysystemtrade's CSV folders",
    files="multiple prices and roll calendars (CORN.csv), contract prices (AUD_20180300.csv), FX (EURUSD.csv)",
    gives="held, carry and forward prices, bars and volume of contracts, rolls, currencies in dollars",
    export="multiple_prices_csv, roll_calendars_csv, fx_prices_csv and contract prices as they lie, also gzipped",
    lacks="no open interest; back-adjusted prices are refused, as they are made again from contracts here, and so are "
    "weekly contracts",
)
FX = ("DATETIME", "PRICE")
LEGS = ("CARRY", "PRICE", "FORWARD")
CHAIN = ("DATETIME", *(column for leg in LEGS for column in (leg, f"{leg}_CONTRACT")))
ROLLS = ("DATE_TIME", "current_contract", "next_contract", "carry_contract")
ADJUSTED = ("DATETIME", "price")
CONTRACT = ("DATETIME", "OPEN", "HIGH", "LOW", "FINAL", "VOLUME")
BARCHART = ("Time", "Open", "High", "Low", "Close", "Volume")
_STAMP = "%Y-%m-%d %H:%M:%S"
_MISSING = ("", "nan", "NaN")
_PAIR = re.compile(r"([A-Z]{3})USD\.(csv|txt)")
_DATED = re.compile(r"(?!Day_|Hour_)(?P<market>.+)_(?P<contract>\d{4}(?:0[1-9]|1[0-2]))(?P<day>\d\d)\.csv")
_CURRENCIES = {"MXP": "MXN"}  # the code of the old peso in the file's name; the rates are the new one's


def recognises(file):
    """Whether each part has one of the headers, and the name that goes with it."""
    return all(_layout(part) is not None for part in file.parts)


def read(file):
    """The rows of `file` as a `Reading` a market or currency."""
    contracts = bars.grouped(_named(part) for part in file.parts if _header(part) in (CONTRACT, BARCHART))
    readings = [reading for key, parts in contracts.items() for reading in _market(*key, *zip(*parts, strict=True))]
    layouts = {CHAIN: _chain, ROLLS: _rolls, ADJUSTED: _adjusted}
    rest = [part for part in file.parts if _header(part) not in (CONTRACT, BARCHART)]
    return readings + [layouts.get(_header(part), _fx)(part) for part in rest]


def _header(part):
    header = tuple(part.header().split(","))
    return CHAIN if sorted(header) == sorted(CHAIN) else header  # older ones have the same columns in another order


def _layout(part):
    header = _header(part)
    if header == FX:
        return _PAIR.fullmatch(part.name)
    if header in (CONTRACT, BARCHART):
        return _DATED.fullmatch(part.name)
    return header if header in (CHAIN, ROLLS, ADJUSTED) else None


def _fx(part):
    pair = _PAIR.fullmatch(part.name)
    if pair is None:
        raise raw.Unreadable(f"{part.place}: not named after a currency in USD, as EURUSD.csv is")
    currency = _CURRENCIES.get(pair[1], pair[1])
    frame = raw.table([part], FX)
    frame = raw.number(raw.stamp(frame, "DATETIME", _STAMP), "PRICE", "rate")
    frame = frame.with_columns(pl.lit(currency).alias("currency"), *_places(part, "DATETIME"))
    return Reading("fx", NAME, currency, frame, {"day": "DATETIME", "rate": "PRICE"})


def _adjusted(part):
    raise raw.Unreadable(
        f"{part.place}: back-adjusted prices, which were never traded; import multiple prices or contract prices, and "
        "adjusted series are made from them here"
    )


def _chain(part):
    frame = raw.stamp(raw.table([part], CHAIN), "DATETIME", _STAMP)
    for leg in LEGS:
        frame = raw.number(frame, leg, leg.lower(), _MISSING)
        frame = raw.month(frame, f"{leg}_CONTRACT", f"{leg.lower()}_contract", _MISSING)
    frame = frame.with_columns(_london().alias("time"), pl.lit(1, pl.Int32).alias("rank"), *_places(part, "DATETIME"))
    headings = {"time": "DATETIME", "day": "DATETIME"} | {column.lower(): column for column in CHAIN[1:]}
    return Reading("vendor_chains", NAME, part.name.split(".")[0], frame, headings)


def _rolls(part):
    frame = raw.stamp(raw.table([part], ROLLS), "DATE_TIME", _STAMP)
    ours = {"current_contract": "from_contract", "next_contract": "to_contract"}
    for text, name in ours.items():
        frame = raw.month(frame, text, name, _MISSING)
    frame = frame.with_columns(_london().alias("time"), pl.lit(NAME).alias("rule"), *_places(part, "DATE_TIME"))
    headings = {"time": "DATE_TIME", "day": "DATE_TIME"} | {name: text for text, name in ours.items()}
    return Reading("roll_calendars", NAME, part.name.split(".")[0], frame, headings)


def _london():
    """The stamp in UTC; null where London's clocks skipped it, which the rule `no_time` keeps apart."""
    local = pl.col("stamp").dt.replace_time_zone("Europe/London", ambiguous="earliest", non_existent="null")
    return local.dt.convert_time_zone("UTC")


def _places(part, column):
    day = on_session(pl.col("stamp").dt.date()).alias("day")
    return pl.lit(part.place).alias("file"), day, pl.col(column).alias("source_time")


def _named(part):
    match = _DATED.fullmatch(part.name)
    if match is None:
        raise raw.Unreadable(f"{part.place}: contract prices, but not named <MARKET>_<YYYYMM00>.csv")
    barchart.no_weekly(part, match["day"])
    return (match["market"], _header(part)), (part, int(match["contract"]))


def _market(market, header, parts, contracts):
    """Daily and hourly rows of a market's contracts."""
    last = "settle" if header == BARCHART else "close"
    columns = dict(zip(header[1:], ("open", "high", "low", last, "volume"), strict=True))
    frame = bars.placed(bars.numbers(raw.table(parts, header), columns), parts, contract=contracts)
    headings = {"time": header[0], "day": header[0]} | {name: text for text, name in columns.items()}
    if header == BARCHART:
        frame = raw.stamp(frame, "Time", "%Y-%m-%dT%H:%M:%S%z")
        frame = barchart.trade_dates(frame.with_columns(pl.col("Time").alias("source_time")))
        return [Reading("contract_bars", NAME, market, frame, headings)]
    frame = raw.stamp(frame.with_columns(pl.col("DATETIME").alias("source_time")), "DATETIME", _STAMP)
    stamp = pl.col("stamp")
    whole = (stamp.dt.hour().is_in([0, 23]) & (stamp.dt.minute() == 0)).fill_null(True)
    days, hours = frame.filter(whole), frame.filter(~whole)
    days = daily(days.with_columns(pl.col("stamp").dt.date().alias("day")))
    hours = hours.with_columns(_london().alias("time") + pl.duration(hours=1))
    found = [(NAME, days), (bars.source(NAME, 60), hours)]
    return [Reading("contract_bars", name, market, rows, headings) for name, rows in found if rows.height]
