"""Coverage: on how many of a market's sessions something is stored, by year, and which contracts of its cycle are not.

A session is a trading day of the market's calendar (of a market that the master does not know: Monday to Friday), from
the first stored day to the last. It is held if some contract, or the first nearby of a chain, has a price on it; trade
on a day without a session counts for nothing (rule `no_session`).

A contract of the held cycle is missing if it has no price while it is the nearest of the cycle, that is after the last
trade of the one before it and up to its own. It is told in the year of its last trade, or in the last stored year while
it still trades. Contracts before the first one stored are not looked for.
"""

import numpy as np
import polars as pl

from store import history
from store.codes import months_of
from store.contracts import Master
from store.days import DAY, WEEK, calendar
from store.expiry import last_trade
from store.held import desk

SCHEMA = {
    "root": pl.String,
    "source": pl.String,
    "table": pl.String,
    "year": pl.Int32,
    "sessions_expected": pl.Int64,
    "sessions_held": pl.Int64,
    "share": pl.Float64,
    "contracts_missing": pl.List(pl.String),
    "first_day": pl.Date,
    "last_day": pl.Date,
}
_PRICED = {
    "contract_bars": pl.coalesce("settle", "close").is_not_null(),
    "vendor_chains": pl.col("price").is_not_null() & (pl.col("rank").fill_null(1) == 1),
}


def coverage(archive, roots, snapshot=None):
    """Sessions expected and held, by market, source and year.

    Parameters
    ----------
    archive : Archive
    roots : list of str
    snapshot : Snapshot, optional

    Returns
    -------
    polars.DataFrame
        `root`, `source`, the `table` it fills, `year`, `sessions_expected`, `sessions_held`, their `share`,
        `contracts_missing` (codes YYYYMM as text; none of a chain), `first_day` and `last_day` stored in that year.
    """
    master, snapshot = Master.load(archive.path), snapshot or archive.head()
    rows = []
    for root in roots:
        spec = history.spec(archive, root, master, snapshot)
        for table, source in history.sources(archive, root, snapshot):
            same = {"root": root, "source": source, "table": table}
            rows += [same | year for year in _years(archive, snapshot, same, spec)]
    return pl.DataFrame(rows, SCHEMA)


def days_held(archive, table, root, source, snapshot=None):
    """Days on which something of a market and source has a price: datetime64[D], ascending."""
    if table == "contract_bars" and (known := desk(archive, snapshot).days_read(root, source)) is not None:
        return known
    rows = archive.scan(table, snapshot, root=root, source=source).filter(_PRICED[table])
    return rows.select(pl.col("day").unique().sort()).collect(engine="in-memory")["day"].to_numpy()


def sessions(spec, days):
    """(expected, held): the sessions from the first of `days` to the last, and those of them that `days` has.

    Examples
    --------
    >>> mes = Master.load().spec("MES")  # Good Friday is none of its sessions
    >>> found = np.array(["2024-03-28", "2024-04-02"], "datetime64[D]")
    >>> [x.astype(str).tolist() for x in sessions(mes, found)]
    [['2024-03-28', '2024-04-01', '2024-04-02'], ['2024-03-28', '2024-04-02']]
    """
    if not len(days):
        return days, days
    every = np.arange(days[0], days[-1] + DAY)
    expected = every[np.is_busday(every, busdaycal=busdays(spec))]
    return expected, expected[days[np.searchsorted(days, expected)] == expected]


def busdays(spec):
    """The market's trading days, as numpy counts them; Monday to Friday of a market without facts."""
    return np.busdaycalendar(WEEK) if spec is None else calendar(spec.calendar, spec.extra)


def missing_contracts(bars, spec):
    """(contract, year) of those of the held cycle without a price while they were the nearest of it.

    Parameters
    ----------
    bars : polars.DataFrame
        `contract` and `day` of the bars that have a price, one market, one source.
    spec : ContractSpec

    Returns
    -------
    polars.DataFrame
    """
    first, end = bars["contract"].min(), bars["day"].max()
    held = months_of(spec.held_months)
    cycle = [year * 100 + month for year in range(first // 100, end.year + 2) for month in sorted(held)]
    cycle = [contract for contract in cycle if contract >= first]
    lasts = [last_trade(spec, contract) for contract in cycle]
    spans = pl.DataFrame(
        {"contract": cycle[1:], "after": lasts[:-1], "until": lasts[1:]},
        {"contract": pl.Int32, "after": pl.Date, "until": pl.Date},
    ).filter((pl.col("after") < end) & (pl.col("contract") > first))
    near = (pl.col("day") > pl.col("after")) & (pl.col("day") <= pl.col("until"))
    found = bars.join(spans, on="contract").filter(near)["contract"].unique()
    lacking = spans.filter(~pl.col("contract").is_in(found.to_list()))
    return lacking.select("contract", pl.min_horizontal("until", pl.lit(end)).dt.year().alias("year"))


def _years(archive, snapshot, place, spec):
    """The rows of one market and source, one a year."""
    days = days_held(archive, snapshot=snapshot, **place)
    expected, held = (pl.Series(x).dt.year().value_counts() for x in sessions(spec, days))
    lacking = {}
    if place["table"] == "contract_bars" and spec is not None and len(days):
        rows = archive.scan("contract_bars", snapshot, root=place["root"], source=place["source"])
        bars = rows.filter(_PRICED["contract_bars"]).select("contract", "day").collect(engine="in-memory")
        for contract, year in missing_contracts(bars, spec).iter_rows():
            lacking.setdefault(year, []).append(str(contract))
    expected, held = dict(expected.iter_rows()), dict(held.iter_rows())
    stored = pl.DataFrame({"day": days}).group_by(pl.col("day").dt.year().alias("year")).agg(
        pl.col("day").min().alias("first"), pl.col("day").max().alias("last")
    )  # fmt: skip
    span = {year: (first, last) for year, first, last in stored.iter_rows()}
    for year in sorted(set(expected) | set(span)):
        wanted, here = expected.get(year, 0), held.get(year, 0)
        first, last = span.get(year, (None, None))
        yield {
            "year": year,
            "sessions_expected": wanted,
            "sessions_held": here,
            "share": here / wanted if wanted else None,
            "contracts_missing": lacking.get(year, []),
            "first_day": first,
            "last_day": last,
        }
