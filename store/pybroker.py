"""A data source for PyBroker over continuous series; PyBroker and pandas are loaded only here, when one is made.

PyBroker trades one price series a symbol and knows no contracts: it gets the adjusted series, whose changes are those
of the contract held, rolls without a gap. It has no multiplier either: with `prices="money"` a share is a contract.

1. A bar a day: rows of one day are one bar. `close` is the mark of a run, settlement, else close.
2. PyBroker fills no order at prices of zero and below, and holds positions there at cost: they are refused here.
3. A day without an open, a high or a low would be filled at nan: it is left out and counted in `told`.
4. Nothing goes into PyBroker's own cache of prices: its key knows neither the store nor its version.
"""

import polars as pl

from store.durable import StoreError

MISSING = (
    "a data source of PyBroker needs the library lib-pybroker, which is not installed: "
    "`pip install 'frontmonth[pybroker]'` brings it"
)
PRICES = ("points", "money")
DAILY = (None, "", "1day", "1d")
CLOSES = {"settle": ("settle", "close"), "close": ("close", "settle")}
BAR = ("open", "high", "low", "close")
EXTRA = ("settle", "open_interest", "contract", "roll")  # beside PyBroker's own columns


class NoPyBroker(StoreError):
    """The library is not installed."""


class NotForPyBroker(ValueError):
    """Prices or a timeframe that PyBroker cannot be given; the message says which, and what to do."""


def pybroker_source(archive, *, adjusted="difference", prices="points", close="settle", rule=None, snapshot=None):
    """Continuous series of a store as a data source of PyBroker.

    Parameters
    ----------
    archive : Archive
    adjusted : str
        How contracts are joined: difference, ratio, forward or none, as `archive.continuous` has it; `none` has the gap
        of each roll in it. PyBroker's own `adjust` of a query goes before.
    prices : str
        `points`; or `money`: points times the contract's multiplier, so that a share is a contract. [points, or money
        of the market's own currency a contract]
    close : str
        Which price stands as `close`, the other where it is missing: `settle`, at which runs are marked, or `close`,
        the last trade.
    rule : str, optional
        Roll rule of symbols that tell none, as `MES`; `MES.v.0` tells its own.
    snapshot : Snapshot or int, optional
        Version of the data that is read, whatever is imported later; the newest, if not given.

    Returns
    -------
    pybroker.data.DataSource
        Its symbols are names of series: `MES`, `MES.v.0`, `CL.c.1`. Its frames have symbol, date, open, high, low,
        close and volume, all prices adjusted, and, for `pybroker.register_columns`, `settle` (the contract's own, in
        points), `open_interest`, `contract` (YYYYMM) and `roll` (1 on the last day of a contract, else 0). Its `told`
        has, of each symbol that was read, where the prices came from; `engine.pybroker.run_of` takes it.

    Raises
    ------
    NoPyBroker
        The library is not installed.
    """
    from store import doors
    from store.continuous import METHODS

    for name, value, allowed in (("adjusted", adjusted, METHODS), ("prices", prices, PRICES), ("close", close, CLOSES)):
        if value not in allowed:
            raise ValueError(f"{name} = {value!r} is not known; allowed are {', '.join(allowed)}")
    try:
        from pybroker.data import DataSource
    except ImportError as error:
        if (error.name or "pybroker").partition(".")[0] != "pybroker":
            raise  # the library is there, and lacks something of its own
        raise NoPyBroker(MISSING) from None

    class Continuous(DataSource):
        """Continuous series of one version of a store."""

        def __init__(self):
            super().__init__()
            self.archive, self.snapshot = archive, archive.pin(snapshot)
            self.told = {}

        def get_cached(self, symbols, timeframe, start_date, end_date, adjust):
            """Nothing: the store is at hand."""
            import pandas

            return pandas.DataFrame(), symbols

        def set_cached(self, timeframe, start_date, end_date, adjust, data):
            """Nothing is kept."""

        def _fetch_data(self, symbols, start_date, end_date, timeframe, adjust):
            if timeframe not in DAILY:
                raise NotForPyBroker(
                    f"timeframe {timeframe!r}: this source has a bar a day, timeframe '1d' or none; bars within the "
                    "day are read by `archive.bars`, and PyBroker takes them as a DataFrame"
                )
            days, method = (start_date.date(), end_date.date()), adjust or adjusted
            rows = doors.continuous(self.archive, sorted(symbols), method, rule, *days, self.snapshot)
            frame, told = _bars(rows, method, CLOSES[close]), {}
            if prices == "money":
                frame = _worth(self.archive, frame)
            for (symbol, root), part in frame.partition_by("name", "root", as_dict=True, maintain_order=True).items():
                told[symbol] = {"root": root, "adjusted": method, "prices": prices} | _origin(self, root, part)
            self.told |= told
            return _pandas(_priced(frame, method))

    return Continuous()


def _bars(rows, method, close):
    """One adjusted bar a symbol and day, of the continuous tables."""
    mark = pl.coalesce("settle", "close")
    rows = rows.filter(mark.is_not_null()).with_columns(close=pl.coalesce(*close))
    by_ratio, adjusted = method == "ratio", pl.col("adjusted")
    rows = rows.with_columns(pl.col(*BAR) * (adjusted / mark) if by_ratio else pl.col(*BAR) + (adjusted - mark))
    volume = pl.when(pl.col("volume").count() > 0).then(pl.col("volume").sum()).alias("volume")
    last = (pl.col(name).drop_nulls().last() for name in ("close", "settle", "open_interest", "contract"))
    whole = (pl.col("open").drop_nulls().first(), pl.col("high").max(), pl.col("low").min(), volume, *last)
    return rows.group_by("name", "root", "day", maintain_order=True).agg(*whole, pl.col("roll").any())


def _worth(archive, frame):
    """The bars with prices as money of a contract."""
    from store.contracts import Master, UnknownRoot

    master, multiplier = Master.load(archive.path), {}
    for root in frame["root"].unique():
        if root not in master.roots:
            raise UnknownRoot(f"{root}: its multiplier is not known, so its prices cannot be told in money: use points")
        values = {fact.value for fact in master.facts(root, "multiplier")}
        if len(values) > 1:
            told = ", ".join(sorted(str(value) for value in values))
            raise NotForPyBroker(f"{root}: its multiplier changed ({told}): one series in money would jump; use points")
        multiplier[root] = float(values.pop())
    return frame.with_columns(pl.col(*BAR) * pl.col("root").replace_strict(multiplier, return_dtype=pl.Float64))


def _origin(source, root, part):
    """What a result should say of a symbol's prices."""
    from store import history

    bars = history.bars(source.archive, root, snapshot=source.snapshot)
    vendor = bars.source if bars else history.sources(source.archive, root, source.snapshot)[0][1]
    spec = history.spec(source.archive, root)
    until = bars.until if bars else None
    return {
        "source": vendor,
        "proxy": bars.proxy if bars else "",
        "proxy_days": int((part["day"] < until).sum()) if until else 0,
        "simulated": vendor == history.SAMPLE,
        "currency": spec.currency if spec else None,
        "sector": spec.sector if spec else None,
        "left_out": int(part.select(pl.any_horizontal(pl.col(*BAR).is_null()).sum()).item()),
    }


def _priced(frame, method):
    """The bars that PyBroker can fill orders on; NotForPyBroker where a price is not positive."""
    frame = frame.drop_nulls(BAR)
    low = frame.filter(pl.min_horizontal(*BAR) <= 0).sort("day").head(1).to_dicts()
    for row in low:
        price = min(row[name] for name in BAR)
        raise NotForPyBroker(
            f"{row['name']}: adjusted by {method}, a price is {price:g} on {row['day']}; PyBroker trades at none of "
            "zero or below: begin later, or use adjusted='ratio', or 'forward', whose first prices are the market's"
        )
    return frame


def _pandas(frame):
    """The frame as PyBroker wants it, without pyarrow."""
    import pandas

    columns = {"symbol": frame["name"].to_list(), "date": frame["day"].to_numpy().astype("datetime64[ns]")}
    columns |= {name: frame[name].to_numpy() for name in (*BAR, "volume", *EXTRA)}
    return pandas.DataFrame(columns | {"roll": frame["roll"].to_numpy().astype(float)})
