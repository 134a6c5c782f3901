"""Plain tables of one's own: exchange rates, interest rates, margins; columns by name, in any order and case.

    margins   `root,date,initial,maintenance`; `market` or `symbol` for `root`, `day` or `valid_from` for `date`;
              without a market in it the file is named after one
    fx        `date,rate` in a file named after a pair, as quoted (EURUSD, USDJPY, EURGBP), or `date,EUR,JPY,...` in
              dollars per unit; the European Central Bank's `eurofxref-hist.csv`, in units per euro
    rates     `date,percent` or `date,fraction` in a file named after a currency, or with a column `currency`; or a
              series of FRED by its name

Interest is in percent or a fraction, as the header says; without a word in it, in percent where any value is above 1,
and in series that are known to be. 0.09 may be 9 % or 0.09 %: a file of such values alone is refused.
"""

import re
from dataclasses import dataclass

import polars as pl

from store import currencies, layout, raw
from store.reading import About, Reading

NAME = "plain"
KINDS = ("margins", "fx", "rates")
ABOUT = About(
    title="Plain tables of your own",
    files="CSV of exchange rates (EURUSD.csv), of interest rates (USD.csv, FRED's DFF.csv) or of margins",
    gives="exchange rates in US dollars, interest rates, margins that go before the exchange's",
    export="date,rate or date,EUR,JPY; date,percent or date,fraction; root,date,initial,maintenance; --kind where the "
    "header does not say it",
    lacks="prices",
)
CODES = (
    "USD EUR JPY GBP CHF AUD CAD NZD SEK NOK DKK HKD SGD KRW CNY CNH INR BRL MXN ZAR TRY PLN CZK HUF ILS THB MYR IDR "
    "PHP TWD RUB CLP COP PEN RON BGN ISK HRK LTL LVL EEK SKK SIT CYP MTL ROL TRL SAR AED"
)
ISO = frozenset(re.findall("[A-Z]+", CODES))
DATES = ("date", "day", "validfrom", "observationdate", "datetime", "timeperiod")
MARKETS = ("root", "market", "symbol")
AMOUNTS = {"initial": ("initial", "initialmargin"), "maintenance": ("maintenance", "maintenancemargin")}
SERIES = {  # names of series in percent a year: FRED's, and the Bank of England's
    "dff": "USD", "effr": "USD", "fedfunds": "USD", "sofr": "USD", "dtb3": "USD", "tb3ms": "USD", "dgs3mo": "USD",
    "ecbestrvolwgttrmdmnrt": "EUR", "ecbdfr": "EUR", "iudsoia": "GBP",
}  # fmt: skip
PERCENT, FRACTION = ("%", "percent", "pct"), ("fraction",)
_INTEREST = re.compile(r"(?:interest)?(?:rate)?[(\[]?(?:in)?(?:%|percent|pct|fraction)?[)\]]?")
BLANK = ("", ".", "-", "nan", "NaN", "N/A", "ND")  # `.` is FRED's
_PAIR = re.compile(r"([A-Za-z]{3})[-_/ ]?([A-Za-z]{3})(?![A-Za-z])")


@dataclass(frozen=True)
class OfKind:
    """The reader for tables of one kind (None: of any that the header tells); `stored()` gives the rows of `fx`."""

    kind: str | None = None
    stored: object = None
    NAME: str = NAME

    def recognises(self, file):
        """Whether names and headers tell what each part holds."""
        return all(_told(part) in ((self.kind,) if self.kind else KINDS) for part in file.parts)

    def read(self, file):
        """The rows of `file` as a `Reading` a market or currency."""
        return [reading for part in file.parts for reading in self._readings(part)]

    def _readings(self, part):
        kind = self.kind or _told(part)
        if kind is None:
            raise raw.Unreadable(
                f"{part.place}: no table of margins, exchange or interest rates; name the kind: --kind"
            )
        separator, header = layout.cells(part.header())
        keys = {layout.key(name): name for name in header}
        date = next((keys[key] for key in DATES if key in keys), None)
        if date is None:
            raise raw.Unreadable(f"{part.place}: line 1: no column date; it has {raw.plain(', '.join(header), 120)}")
        if kind == "fx":
            return self._fx(part, separator, header, date)
        return (_margins if kind == "margins" else _rates)(part, separator, keys, date)

    def _fx(self, part, separator, header, date):
        columns = [name for name in header if name != date]
        pair = _pair(part.name)
        if pair is None and not set(columns) <= ISO:
            raise raw.Unreadable(
                f"{part.place}: not named after a pair of currencies, as EURUSD.csv, and no columns EUR"
            )
        frame = _dated(raw.table([part], [date, *columns], separator), part, date)
        if pair is not None:
            return [self._pair(part, _values(frame, columns, "rate"), pair, columns[0])]
        if "USD" in columns:
            readings = _per_euro(part, frame, columns)
        else:
            readings = [_of_currency(frame, name) for name in columns]
        return [reading for reading in readings if reading.frame.height]

    def _pair(self, part, frame, pair, column):
        try:
            known = self.stored() if self.stored and "USD" not in pair else None
            currency, frame = currencies.usd_per_unit("".join(pair), frame, known)
        except currencies.BadPair as error:
            raise raw.Unreadable(f"{part.place}: {error}") from error
        return Reading("fx", NAME, currency, frame, {"day": "date", "rate": column})


_ANY = OfKind()
recognises, read = _ANY.recognises, _ANY.read


def _told(part):
    """What a part holds, if its name and its header leave no doubt."""
    header = layout.cells(part.header())[1]
    keys = [layout.key(name) for name in header]
    values = [name for name, key in zip(header, keys, strict=True) if key not in DATES]
    if len(values) != len(header) - 1:
        return None
    if all(any(key in keys for key in known) for known in AMOUNTS.values()):
        return "margins" if set(keys) & set(MARKETS) else None  # without a market it may be LEAN's
    if values and set(values) <= ISO:
        return "fx"
    rate = [name for name in values if name and _INTEREST.fullmatch(layout.key(name))]
    if len(values) == 1 and (layout.key(values[0]) in SERIES or (rate and _currency(part.name))):
        return "rates"
    if len(values) == 1 and "rate" in keys and _pair(part.name):
        return "fx"
    return "rates" if len(values) == 2 and rate and "currency" in keys else None


def _pair(name):
    """The two currencies that a file is named after."""
    found = _PAIR.match(name)
    pair = found and (found[1].upper(), found[2].upper())
    return pair if pair and set(pair) <= ISO and pair[0] != pair[1] else None


def _currency(name):
    """The one currency that a file is named after: `USD.csv`, `rates_USD.csv`."""
    found = {word for word in re.split(r"[^A-Z]+", name.rpartition(".")[0].upper()) if word in ISO}
    return found.pop() if len(found) == 1 else None


def _dated(frame, part, date):
    frame = raw.stamp(frame, date, layout.date_pattern(frame[date], part.place))
    return frame.with_columns(
        pl.col("stamp").dt.date().alias("day"),
        pl.col(date).alias("source_time"),
        pl.lit(part.place).alias("file"),
    )


def _values(frame, columns, name):
    if len(columns) != 1:
        raise raw.Unreadable(f"{frame['file'][0]}: line 1: one column of values is wanted, not {', '.join(columns)}")
    return raw.number(_given(frame, columns[0]), columns[0], name)


def _given(frame, column):
    """The rows with something in a column: a day without a rate is left blank, or marked so."""
    return frame.filter(~pl.col(column).is_in(BLANK).fill_null(False))


def _of_currency(frame, name):
    """Rates of one column of a wide table; a blank cell is no rate of that day."""
    frame = raw.number(_given(frame, name), name, "rate")
    return Reading("fx", NAME, name, frame.sort("day", maintain_order=True), {"rate": name})


def _per_euro(part, frame, columns):
    """Dollars per unit of each currency from units per euro, as the European Central Bank publishes them each day."""
    if not part.name.lower().startswith("eurofxref"):
        raise raw.Unreadable(
            f"{part.place}: line 1: a column USD: rates of which currency? Dollars per unit are wanted"
        )
    readings = []
    frame = raw.number(frame, "USD", "dollars", BLANK)
    for name in columns:
        rows = raw.number(_given(frame, name), name, "rate")
        rate = pl.col("dollars") / pl.col("rate") if name != "USD" else pl.col("rate")
        rows = rows.with_columns(rate.alias("rate")).sort("day", maintain_order=True)
        readings.append(Reading("fx", NAME, "EUR" if name == "USD" else name, rows, {"rate": name}))
    return readings


def _rates(part, separator, keys, date):
    own = keys.get("currency")
    columns = [name for key, name in keys.items() if name not in (date, own)]
    frame = _dated(raw.table([part], [date, *columns, *([own] if own else [])], separator), part, date)
    frame = _values(frame, columns, "rate")
    key = layout.key(columns[0])
    known = SERIES.get(key) or _currency(part.name)
    if own is None and known is None:
        raise raw.Unreadable(
            f"{part.place}: the rate of which currency? Name the file USD.csv, or add a column currency"
        )
    whose = pl.col(own).str.to_uppercase() if own else pl.lit(known, pl.String)
    frame = _named(frame.with_columns(whose.alias("currency")), "currency", own or "currency", part)
    if _percent(key, columns[0], frame["rate"], part):
        frame = frame.with_columns(pl.col("rate") / 100)
    heads = {"day": date, "rate": columns[0]}
    return [
        Reading("rates", NAME, currency, rows, heads)
        for (currency,), rows in frame.partition_by("currency", as_dict=True, maintain_order=True).items()
    ]


def _percent(key, column, rates, part):
    """Whether rates are in percent."""
    if key in SERIES or any(word in key for word in PERCENT):
        return True
    if any(word in key for word in FRACTION):
        return False
    high = rates.abs().max()
    if high and high <= 1:
        name = raw.plain(column, 40)
        raise raw.Unreadable(
            f"{part.place}: line 1: no value of column {name} is above 1, so that {high:.4g} may be {100 * high:.4g} % "
            f"or {high:.4g} %: write percent or fraction for {name}"
        )
    return True


def _margins(part, separator, keys, date):
    found = {name: next((keys[key] for key in known if key in keys), None) for name, known in AMOUNTS.items()}
    lacking = [name for name, column in found.items() if column is None]
    if lacking:
        raise raw.Unreadable(f"{part.place}: line 1: no column {lacking[0]}; it has {raw.plain(', '.join(keys), 120)}")
    market = next((keys[key] for key in MARKETS if key in keys), None)
    frame = raw.table([part], [date, *found.values(), *([market] if market else [])], separator)
    frame = _dated(frame, part, date)
    for name, column in found.items():
        frame = raw.number(frame, column, name)
    stem = part.name.partition(".")[0]
    frame = frame.with_columns((pl.col(market) if market else pl.lit(stem)).alias("market"))
    frame = _named(frame, "market", market or "market", part)
    return [
        Reading("margins", NAME, name, rows, found | {"day": date})
        for (name,), rows in frame.partition_by("market", as_dict=True, maintain_order=True).items()
    ]


def _named(frame, name, column, part):
    """The frame whose rows all belong to somebody: one that does not say to whom is at fault, and its neighbour's."""
    there = pl.col(name).fill_null("") != ""
    frame = raw.blame(frame, column, ~there, f"no {name}")
    frame = frame.with_columns(pl.when(there).then(pl.col(name)).forward_fill().backward_fill().alias(name))
    if frame.height and frame[name].null_count():
        raise raw.Unreadable(f"{part.place}: no row names a {name}")
    return frame
