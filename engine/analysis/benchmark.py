"""The benchmark of a run: traded by the same engine, with its contracts, rolls and costs, or read from a file (T53).

Rules:

* A traded one has the capital, currency, days, costs, interest, margins, rolls and fills of the run; no fees, payments,
  floor or limits. It is always long what it names, and trades where it is a tenth of a position off. A series of
  adjusted prices is never a benchmark.
* Both are compared on the days of the run from the first on which the benchmark has a value; between its days a
  benchmark keeps its last one. Payments into the run are no return.
* It stands in the run: its numbers in the summary, its equity in the table `benchmark`, the hash of what it was made of
  among the run's hashes. A file may go or change afterwards.
"""

import csv
import datetime
import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine import relative
from engine.cash import Cash
from engine.portfolio import Portfolio, Sleeve
from engine.ratios import period_returns
from engine.sections import Execution
from engine.settings import ConfigError
from engine.sizing import SIZERS
from engine.strategy import Strategy

BENCHMARK = {  # column -> polars type
    "day": "Date",
    "equity": "Float64",  # of the run, with the starting capital alone [account currency]
    "benchmark": "Float64",  # of the benchmark, with the run's equity on its first day; null before [account currency]
}
NUMBERS = {  # key of summary["benchmark"] -> (label, format, function, whether interest is taken out)
    "alpha": ("Alpha", "percent", relative.alpha, True),
    "beta": ("Beta", "ratio", relative.beta, True),
    "correlation": ("Correlation", "ratio", relative.correlation, True),
    "tracking_error": ("Tracking error", "percent", relative.tracking_error, False),
    "information_ratio": ("Information ratio", "ratio", relative.information_ratio, False),
    "up_capture": ("Up capture", "ratio", relative.up_capture, False),
    "down_capture": ("Down capture", "ratio", relative.down_capture, False),
}
BUFFER = 0.1  # share of a position by which it may differ before it is traded
FOLDER = "benchmarks"  # of the store, where files are looked for
USUAL_TARGET = 0.2  # volatility of `equal_risk` where neither it nor the portfolio's sizing has one [1/√year]


class AlwaysLong(Strategy):
    """A forecast of 1 for every market on every day."""

    def forecast(self, market):
        """1 everywhere."""
        return np.ones(market.mark.shape)


@dataclass(frozen=True)
class Series:
    """The worth of a benchmark by day."""

    name: str
    days: np.ndarray  # (row,) datetime64[D], rising
    worth: np.ndarray  # (row,) [any one unit]
    interest: np.ndarray  # (row,) credited since the row before, as a return [fraction]
    compounding: bool = True  # false: its returns are shares of its first worth


def portfolio_of(portfolio, roots, first):
    """The portfolio of a traded benchmark.

    Parameters
    ----------
    portfolio : Portfolio
        Whose `benchmark` is one of one_contract, equal_risk and mix.
    roots : sequence of str
        That the run trades.
    first : date
        First day of the run.

    Returns
    -------
    Portfolio

    >>> from engine.sections import Benchmark
    >>> run = Portfolio(benchmark=Benchmark(kind="mix", weights={"ES": 0.6, "ZN": 0.4}))
    >>> [(sleeve.markets, sleeve.weight) for sleeve in portfolio_of(run, ["GC"], datetime.date(2020, 1, 2)).strategies]
    [(['ES'], 0.6), (['ZN'], 0.4)]
    """
    asked = portfolio.benchmark
    own = {"rounding": "fractional" if portfolio.sizing.rounding == "fractional" else "toward_zero", "buffer": BUFFER}
    markets = sorted(set(roots)) if asked.markets == "all" else list(asked.markets)
    sleeves = [(markets, 1.0)]
    if asked.kind == "one_contract":
        sizer = SIZERS["fixed"](contracts=1.0, **own)
    elif asked.kind == "mix":
        sleeves = [([root], share) for root, share in asked.weights.items() if share > 0.0]
        markets = sorted(asked.weights)
        sizer = SIZERS["notional"](share=1.0, **own)
    else:
        target = getattr(portfolio.sizing, "target", USUAL_TARGET) if asked.target is None else asked.target
        sizer = SIZERS["equal_risk"](target=target, **own)
    fills = {key: getattr(portfolio.execution, key) for key in ("fill", "fx", "locked", "participation", "decision")}
    spreads = {key: getattr(portfolio.cash, key) for key in ("credit_spread", "debit_spread")}
    return Portfolio(
        name=f"benchmark of {portfolio.name}",
        capital=portfolio.capital,
        currency=portfolio.currency,
        compounding=portfolio.compounding,
        markets=markets,
        start=portfolio.start or first,
        end=portfolio.end,
        strategies=[Sleeve(strategy=AlwaysLong(), weight=share, markets=names) for names, share in sleeves],
        sizing=sizer,
        costs=portfolio.costs,
        cash=Cash(**spreads),
        margin=portfolio.margin,
        rolls=portfolio.rolls,
        execution=Execution(**fills),
    )


def told(portfolio, count):
    """What a traded benchmark is, in words; `count` is how many markets it trades.

    >>> from engine.sections import Benchmark
    >>> told(Portfolio(benchmark=Benchmark(kind="mix", weights={"ES": 0.6, "ZN": 0.4})), 2)
    '60 % ES, 40 % ZN'
    """
    asked = portfolio.benchmark
    if asked.kind == "one_contract":
        return f"one contract of {asked.markets[0]}"
    if asked.kind == "mix":
        return ", ".join(f"{100 * share:g} % {root}" for root, share in asked.weights.items())
    return (
        f"{count} market{'s' * (count != 1)} long at equal risk"
        if asked.kind == "equal_risk"
        else Path(asked.file).name
    )


def series_of(run, name):
    """A run as a benchmark."""
    from engine.analysis.daily import Daily

    daily = Daily.of(run)
    interest = np.concatenate([[0.0], daily.interest / daily.base])
    return Series(name, daily.days, daily.alone, interest, daily.compounding)


def place_of(name, folder):
    """The file of a benchmark: a path, or one in a folder; a ConfigError tells where it is not."""
    places = [Path(name), Path(folder) / FOLDER / name]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise ConfigError(
            f"[benchmark] file = {name!r} is not there; allowed: a path, or a file in {places[1].parent} (looked for "
            f"{' and '.join(map(str, places))})"
        )
    return found


def read(path):
    """The series of a file with the columns day, and price or return.

    Its rows have to rise by day; prices are above 0, returns above -1 and fractions (0.01 is one percent). A return is
    that since the row before, so that the worth before the first row is 1 on the day before.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Series

    Raises
    ------
    ConfigError
        The first fault: file, row (the head is row 1), column, what came, what is allowed.
    """
    path = Path(path)
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as fault:
        raise ConfigError(f"{path}: cannot be read: {getattr(fault, 'strerror', None) or 'no CSV in UTF-8'}") from fault
    head = [name.strip().lower() for name in rows[0]] if rows else []
    values = [name for name in ("price", "return") if name in head]
    if "day" not in head or len(values) != 1:
        came = ", ".join(head) or "nothing"
        raise ConfigError(f"{path}: row 1: columns are {came}; allowed: day, and either price or return")
    days, numbers = [], []
    for number, row in enumerate(rows[1:], 2):
        if any(cell.strip() for cell in row):
            place = f"{path}: row {number}"
            cells = dict(zip(head, row, strict=False))
            days.append(_day(cells.get("day", ""), days, f"{place}, column day"))
            numbers.append(_number(cells.get(values[0], ""), values[0], f"{place}, column {values[0]}"))
    if len(days) < 2:
        raise ConfigError(f"{path}: has {len(days)} rows below its head; allowed: at least 2")
    days, numbers = np.array(days, "datetime64[D]"), np.array(numbers)
    if values == ["return"]:
        days = np.concatenate([days[:1] - np.timedelta64(1, "D"), days])
        numbers = np.cumprod(np.concatenate([[1.0], 1.0 + numbers]))
    return Series(path.name, days, numbers, np.zeros(len(days)))


def digest(series):
    """Hash of a series."""
    parts = (series.days.astype(np.int64), series.worth, series.interest)
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()


def attach(run, series):
    """Tell a run beside its benchmark: its summary gets `benchmark`, its tables get `benchmark`.

    Raises
    ------
    ConfigError
        They have fewer than two days in common.
    """
    import polars as pl

    mine = series_of(run, run.name)
    row = np.searchsorted(series.days, mine.days, side="right") - 1
    common = np.flatnonzero(row >= 0)
    if len(common) < 3 or series.days[-1] <= mine.days[common[0]]:
        raise ConfigError(
            f"[benchmark] {series.name}: its days, {series.days[0]} to {series.days[-1]}, have fewer than two of the "
            f"run's, {mine.days[0]} to {mine.days[-1]}; allowed: a benchmark of the same time"
        )
    last = int(np.searchsorted(mine.days, series.days[-1], side="right"))
    common, row = common[common < last], row[common[common < last]]
    returns = period_returns(mine.worth[common], mine.compounding)
    others = period_returns(series.worth[row], series.compounding)
    credited, theirs = (_since(one.interest, at) for one, at in ((mine, common), (series, row)))
    told = {"kind": run.portfolio.benchmark.kind, "name": series.name}
    told |= {"from": str(mine.days[common[0]]), "to": str(mine.days[common[-1]]), "days": len(returns)}
    for key, (_, _, function, excess) in NUMBERS.items():
        ready = (returns - credited, others - theirs) if excess else (returns, others)
        value = function(*ready)
        told[key] = None if math.isnan(value) else value + 0.0
    worth = np.full(len(mine.days), np.nan)
    worth[common] = series.worth[row] / series.worth[row[0]] * mine.worth[common[0]]
    columns = {"day": mine.days, "equity": mine.worth, "benchmark": worth}
    frame = pl.DataFrame(columns, schema={name: getattr(pl, kind) for name, kind in BENCHMARK.items()})
    run.summary["benchmark"] = told
    run._tables["benchmark"] = frame.with_columns(pl.col("benchmark").fill_nan(None))


def _since(interest, rows):
    """Interest of the rows after each up to the next one."""
    total = np.cumsum(interest)
    return np.diff(total[rows])


def _day(text, before, place):
    try:
        day = datetime.date.fromisoformat(text.strip())
    except ValueError as fault:
        raise ConfigError(f"{place}: {text.strip()!r} is no date; allowed: one such as 2001-01-31") from fault
    if before and day <= before[-1]:
        raise ConfigError(f"{place}: {day} is not after {before[-1]}; allowed: rows that rise by day, one a day")
    return day


def _number(text, kind, place):
    try:
        value = float(text.strip())
    except ValueError as fault:
        raise ConfigError(f"{place}: {text.strip()!r} is no number; allowed: one such as 0.0125 or 4512.25") from fault
    if kind == "price" and not (math.isfinite(value) and value > 0.0):
        raise ConfigError(f"{place}: {text.strip()} is not allowed; allowed: a price above 0")
    if kind == "return" and not -1.0 < value < 1.0:
        raise ConfigError(
            f"{place}: {text.strip()} is not allowed; allowed: a return above -1 and below 1 (0.01 is one percent)"
        )
    return value
