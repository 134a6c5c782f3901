"""Plain tables of one's own: exchange rates, interest rates, margins; columns by name, in any order and case.

    margins   `root,date,initial,maintenance`; `market` or `symbol` for `root`, `day` or `valid_from` for `date`;
              without a market in it the file is named after one
    fx        `date,rate` in a file named after a pair, as quoted (EURUSD, USDJPY, EURGBP), or `date,EUR,JPY,...` in
              dollars per unit; the European Central Bank's `eurofxref-hist.csv`, in units per euro
    rates     `date,percent` or `date,fraction` in a file named after a currency, or with a column `currency`; or a
              series of FRED by its name

Interest is in percent or a fraction, as the header says; without a word in it, in percent in series that are known to
be, and where values are above 1 and their neighbours are of the same size. 0.09 may be 9 % or 0.09 %: a file of such
values alone is refused, and so is one where 5.33 stands beside 0.0533.
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
    lacks="no prices; interest that may be percent or a fraction is refused, and a day without a value is counted and "
    "not stored",
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
LOW = 0.25  # below it a rate beside one above 1 may be a fraction
LEAP, RARE_LEAP = 20, 10  # times by which two such neighbours differ; the second where most values are not above 1
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
        readings = []
        for part in sorted(file.parts, key=lambda part: is_cross(part.name)):
            readings += self._readings(part, readings)
        return readings

    def _readings(self, part, before):
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
            return self._fx(part, separator, header, date, before)
        return (_margins if kind == "margins" else _rates)(part, separator, keys, date)

    def _fx(self, part, separator, header, date, before):
        columns = [name for name in header if name != date]
        pair = _pair(part.name)
        if pair is None and not set(columns) <= ISO:
            raise raw.Unreadable(_no_currencies(part, columns))
        frame = _dated(raw.table([part], [date, *columns], separator), part, date)
        if pair is not None:
            return [self._pair(part, _values(frame, columns, "rate", part), pair, columns[0], before)]
        if "USD" in columns:
            readings = _per_euro(part, frame, columns)
        else:
            readings = [_of_currency(frame, name) for name in columns]
        return [reading for reading in readings if reading.frame.height]

    def _pair(self, part, frame, pair, column, before):
        try:
            known = self._legs(before) if "USD" not in pair else None
            currency, frame = currencies.usd_per_unit("".join(pair), frame, known)
        except currencies.BadPair as error:
            raise raw.Unreadable(f"{part.place}: {error}") from error
        return Reading("fx", NAME, currency, frame, {"day": "date", "rate": column}, notes=_blanks(frame, part))

    def _legs(self, before):
        """Rows of `fx` that are stored, and those read before."""
        frames = [
            reading.frame.select(pl.lit(reading.name).alias("currency"), "day", "rate", "source_time").drop_nulls()
            for reading in before
            if reading.table == "fx"
        ]
        frames += [self.stored()] if self.stored else []
        return pl.concat(frames, how="diagonal") if frames else None


def _no_currencies(part, columns):
    """Why a table is no table of exchange rates: nothing in it is a currency, or something is none."""
    none = [name for name in columns if name not in ISO]
    if len(none) == len(columns):
        return (
            f"{part.place}: not named after a pair of currencies, as EURUSD.csv, and none of its columns is a currency "
            f"as EUR: {raw.plain(', '.join(none), 120)}"
        )
    return (
        f"{part.place}: line 1: column {raw.plain(', '.join(none), 120)} is no currency that is known here; beside the "
        f"date a table of exchange rates has columns of {', '.join(sorted(ISO))}"
    )


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


def is_cross(name):
    """Whether a file is named after two currencies of which none is the dollar.

    >>> is_cross("EURGBP.csv"), is_cross("EURUSD.csv"), is_cross("USD.csv")
    (True, False, False)
    """
    pair = _pair(name)
    return pair is not None and "USD" not in pair


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


def _values(frame, columns, name, part):
    """The frame with numbers; rows of days without one are `idle`."""
    if len(columns) != 1:
        raise raw.Unreadable(f"{part.place}: line 1: one column of values is wanted, not {', '.join(columns)}")
    [column] = columns
    blank = pl.col(column).is_in(BLANK) & pl.col("fault").is_null()
    frame = frame.with_columns(pl.when(blank).then(pl.lit("no_value")).alias("idle"))
    frame = raw.number(frame, column, name, BLANK)
    if frame.height and frame["idle"].null_count() == 0:
        raise raw.Unreadable(f"{part.place}: no value in column {raw.plain(column, 40)}")
    return frame


def _blanks(frame, part):
    """How many days have no value."""
    blank = frame["idle"].count()
    return ((part.place, f"days without a value, counted and not stored: {blank}"),) if blank else ()


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
    frame = _values(frame, columns, "rate", part)
    key = layout.key(columns[0])
    known = SERIES.get(key) or _currency(part.name)
    if own is None and known is None:
        raise raw.Unreadable(
            f"{part.place}: the rate of which currency? Name the file USD.csv, or add a column currency"
        )
    whose = pl.col(own).str.to_uppercase() if own else pl.lit(known, pl.String)
    frame = _named(frame.with_columns(whose.alias("currency")), "currency", own or "currency", part)
    if _percent(key, columns[0], frame, part):
        frame = frame.with_columns(pl.col("rate") / 100)
    heads = {"day": date, "rate": columns[0]}
    return [
        Reading("rates", NAME, currency, rows, heads, notes=_blanks(rows, part))
        for (currency,), rows in frame.partition_by("currency", as_dict=True, maintain_order=True).items()
    ]


def _percent(key, column, frame, part):
    """Whether rates are in percent."""
    if key in SERIES or any(word in key for word in PERCENT):
        return True
    if any(word in key for word in FRACTION):
        return False
    high, name = frame["rate"].abs().max(), raw.plain(column, 40)
    if high and high <= 1:
        raise raw.Unreadable(
            f"{part.place}: line 1: no value of column {name} is above 1, so that {high:.4g} may be {100 * high:.4g} % "
            f"or {high:.4g} %: write percent or fraction for {name}"
        )
    leap = _leap(frame)
    if leap:
        raise raw.Unreadable(
            f"{part.place}: line {leap['line']}: column {name} has {leap['rate']:g} beside {leap['before']:g}: one of "
            f"them is mistyped, or percent and fractions are mixed; write percent or fraction for {name}"
        )
    return True


def _leap(frame):
    """The first row whose rate and the one before of its currency are too far apart to be in one unit; None if none."""
    rate, before = pl.col("rate").abs(), pl.col("before").abs()
    told = frame.filter(rate.is_finite() & (rate > 0)).sort("currency", "day", maintain_order=True)
    told = told.with_columns(pl.col("rate").shift().over("currency").alias("before"))
    high, low = pl.max_horizontal(rate, before), pl.min_horizontal(rate, before)
    limit = LEAP if told.select((rate > 1).mean() > 0.5).item() else RARE_LEAP
    apart = before.is_not_null() & (high > 1) & (low < LOW) & (high > limit * low)
    return next(told.filter(apart).sort("line").iter_rows(named=True), None)


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
