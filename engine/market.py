"""Market: everything a run reads, as arrays (time, market); `load` makes it from the store.

The one door from the store into the engine. A market's rolled history is kept as one array in the store's cache, under
the hash of all that made it, so that a second run loads arrays instead of building calendars again.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl

import store
from engine import facts
from store import continuous, decisions, durable, history, quality, rolls
from store.contracts import Master, last_allowed
from store.days import sources as config_files

FRESH, STALE = 7, 30  # days after which an exchange rate is a finding, and after which its markets are not traded
COLUMNS = (
    "day",
    "open",
    "high",
    "low",
    "close",
    "settle",
    "volume",
    "open_interest",
    "contract",
    "offset",
    "roll",
    "roll_contract",
    "roll_from",
    "roll_to",
    "open_from",
    "open_to",
    "closed",
    "filled",
)
ROLL_COLUMNS = [COLUMNS.index(name) for name in ("day", "contract", "roll", "roll_contract", "roll_from", "roll_to")]


class MarketUnknown(ValueError):
    """A market that cannot be run: not stored, or without the facts that a run needs."""


class MarketRefused(ValueError):
    """A market whose data have a fault that nobody has decided about; the message says how to."""


@dataclass(frozen=True)
class Market:
    """What a run reads. Arrays are (time, market), C order, float64 and of the held contract, unless said.

    Prices are contract prices in the master's units, nan where the market has no bar; `adjusted` is the one series that
    reaches across rolls.
    """

    roots: tuple  # one a market
    days: np.ndarray  # (time,) datetime64[D], trade dates of the union of the markets
    open: np.ndarray  # [points]
    high: np.ndarray  # [points]
    low: np.ndarray  # [points]
    close: np.ndarray  # last trade [points]
    settle: np.ndarray  # the exchange's settlement [points]
    volume: np.ndarray  # [contracts]
    open_interest: np.ndarray  # [contracts]
    mark: np.ndarray  # settle, else close [points]
    offset: np.ndarray  # adjusted - contract price, anchored at the first contract; held through gaps [points]
    contract: np.ndarray  # int32 YYYYMM; 0 before the first
    roll: np.ndarray  # bool: what is held at the end of the bar rolls
    roll_contract: np.ndarray  # int32 YYYYMM rolled into
    roll_from: np.ndarray  # legs as the series has them [points]
    roll_to: np.ndarray
    roll_from_fill: np.ndarray  # legs as they trade [points]
    roll_to_fill: np.ndarray
    closed: np.ndarray  # bool: the contract ended without a price to roll at
    multiplier: np.ndarray  # [local currency / point]
    tick: np.ndarray  # [points]
    fx: np.ndarray  # account currency per local; the last published, nan before the first
    initial_margin: np.ndarray  # [local currency / contract]; nan unknown
    maintenance_margin: np.ndarray  # [local currency / contract]; nan unknown
    own_margin: np.ndarray  # bool: the margins are the user's own, not the exchange's
    proxy: np.ndarray  # bool: a bar of the full-size contract, from before this one was listed
    available: np.ndarray  # bool: has begun, has not ended, exchange rate not stale
    fx_age: np.ndarray  # since the exchange rate was published; infinite before the first [days]
    rate: np.ndarray  # (time,) interest on cash, known at the end of the bar [1/year]
    currencies: tuple  # one a market
    sectors: tuple  # one a market
    currency: str  # of the account
    simulated: bool  # whether any price is simulated
    priceless: tuple = ()  # roots that were asked for, of which no stored row has a price
    sources: dict = field(default_factory=dict)  # root -> {"source", "proxy", "until", "filled"}
    quality: dict = field(default_factory=dict)  # root -> store.quality.Quality
    hashes: dict = field(default_factory=dict)  # data, rolls, contracts

    @property
    def adjusted(self):
        """Back-adjusted by differences, anchored at the first contract; nan on a market's holiday. [points]"""
        return self.mark + self.offset

    def rows(self, first, last=None):
        """The same market between two row numbers (`last` excluded); earlier rows were needed only as history."""
        part = slice(first, last)
        arrays = {k: v[part] for k, v in vars(self).items() if isinstance(v, np.ndarray)}
        return Market(**(vars(self) | arrays))


def load(archive, roots=None, start=None, end=None, currency="USD", rule="volume:1", roll_fill="settle", snapshot=None):
    """Align stored contracts into a Market.

    Parameters
    ----------
    archive : Archive
    roots : list of str, optional
        All stored markets whose facts are known, if not given.
    start, end : date, optional
        Nothing after `end` is read. All before `start` is kept as history for indicators; see `Market.rows`.
    currency : str
        Of the account.
    rule : str
        Roll rule of `store.rolls`.
    roll_fill : {"settle", "open"}
        Price at which roll legs trade; the series always uses the settlement.
    snapshot : Snapshot, optional
        Version of the data; the newest, if not given.

    Raises
    ------
    MarketUnknown
        A root is not stored, or its facts are missing; the message names them.
    MarketRefused
        A root has a finding of severity `refuse` that nobody has decided about.
    """
    snapshot = snapshot or archive.head()
    master = Master.load(archive.path)
    plans = _plans(archive, roots, master, snapshot)
    roots = list(plans)
    _undecided(archive, snapshot, plans)
    _priced(archive, snapshot, currency)
    holidays = [_hash(path.read_text(encoding="utf-8")) for path in config_files("holidays.csv", archive.path)]
    specs = [history.spec(archive, root, master, snapshot) for root in roots]
    last = np.datetime64(end, "D").astype(np.int64) if end else np.iinfo(np.int64).max
    series = {spec.root: _series(archive, plans[spec.root], spec, rule, holidays) for spec in specs}
    priceless = [root for root, rows in series.items() if not len(rows)]
    series = {root: rows[rows[:, 0] <= last] for root, rows in series.items() if len(rows)}
    specs, plans = [spec for spec in specs if spec.root in series], {root: plans[root] for root in series}
    if not any(len(rows) for rows in series.values()):
        raise MarketUnknown(f"no bar with a price of {', '.join(roots)}" + (f" up to {end}" if end else ""))
    roots = list(series)
    days = np.unique(np.concatenate([rows[:, 0] for rows in series.values()])).astype(np.int64)
    table = _align(days, list(series.values()))
    arrays = _prices(table, roll_fill)
    known = {name: facts.dated(master, roots, name, days) for name in ("multiplier", "tick")}
    known |= facts.margins(archive, snapshot, master, roots, days)
    currencies = tuple(spec.currency for spec in specs)
    simulated = any(plan.source == history.SAMPLE for plan in plans.values())
    fx, fx_age = facts.exchange(archive, snapshot, days, currencies, currency, simulated)
    ended = _ended(arrays, specs, days)
    arrays["closed"] |= ended["now"]
    rate = facts.interest(archive, snapshot, days, currency, simulated)
    return Market(
        roots=tuple(roots),
        days=days.astype("datetime64[D]"),
        **arrays,
        **known,
        proxy=_proxies(table, plans, days),
        fx=fx,
        fx_age=fx_age,
        available=(arrays["contract"] > 0) & (fx_age <= STALE) & ~ended["since"],
        rate=rate,
        currencies=currencies,
        sectors=tuple(spec.sector for spec in specs),
        currency=currency,
        simulated=simulated,
        priceless=tuple(priceless),
        sources={root: _told(plan, table[:, m]) for m, (root, plan) in enumerate(plans.items())},
        quality=_quality(archive, roots, snapshot, days[-1].astype("datetime64[D]").item()),
        hashes={
            "data": _content([*series.values(), fx, fx_age, rate, *known.values()], roots),
            "rolls": _content([rows[:, ROLL_COLUMNS] for rows in series.values()], [rule, *roots]),
            "contracts": master.hash,
        },
    )


def _plans(archive, roots, master, snapshot):
    """Root -> where its bars come from; all stored markets whose facts are known, if none is named."""
    held = stored(archive, snapshot)
    named = sorted(set(roots)) if roots else sorted(root for root in held if root in master.roots)
    plans = {root: history.bars(archive, root, master, held.get(root), snapshot) for root in named}
    lent = {root: plan.source for root, plan in plans.items() if plan and root in master.roots}
    chains = {segment.labels["root"] for segment in archive.files("vendor_chains", snapshot)}
    _known(named, held | lent, master, chains)
    return plans


def _undecided(archive, snapshot, plans):
    """Refuse markets that would read rows with a fault of severity `refuse` that nobody has decided about."""
    open_ = _open(archive, snapshot, plans)
    if not open_:
        return
    root, first = open_[0]
    of = f"prices of {first['root']}: " if first["root"] != root else ""
    more = f" and {len(open_) - 1} more" if len(open_) > 1 else ""
    raise MarketRefused(
        f"{root}: {of}{first['rule']} {first['day'] or ''} {first['value'] or ''}: {first['reason']}{more}; mend "
        f"the data, or decide: frontmonth check --release {first['id']} --reason TEXT"
    )


def refused(archive, snapshot):
    """Stored markets that a run refuses until somebody decides about their findings, sorted."""
    if decisions.refused(archive, snapshot).is_empty():
        return []
    master = Master.load(archive.path)
    held = stored(archive, snapshot).items()
    plans = {root: history.bars(archive, root, master, source, snapshot) for root, source in held}
    return sorted({root for root, _ in _open(archive, snapshot, plans)})


def _open(archive, snapshot, plans):
    """(market, finding of severity `refuse` on rows that it would read, about which nobody decided)."""
    found = decisions.refused(archive, snapshot, sorted({r for m, plan in plans.items() for r in (m, plan.proxy) if r}))
    return [(m, row) for row in found.to_dicts() for m, plan in plans.items() if _reads(m, plan, row)]


def _reads(root, plan, row):
    """Whether a run of `root` reads the rows that a finding is about; of what stands in, those before its own."""
    place = row["root"], row["source"]
    early = row["day"] is None or plan.until is None or row["day"] < plan.until
    return place == (root, plan.source) or (place == (plan.proxy, plan.proxy_source) and early)


def _proxies(table, plans, days):
    """Bars that are proxies (time, market)."""
    out = np.zeros(table.shape[:2], bool)
    for m, plan in enumerate(plans.values()):
        if plan.until:
            out[:, m] = (days < np.datetime64(plan.until, "D").astype(np.int64)) & ~np.isnan(table[:, m, 0])
    return out


def _told(plan, rows):
    """Where a market's bars came from, as results say it."""
    filled = int(np.nansum(rows[:, COLUMNS.index("filled")]))
    return {"source": plan.source, "proxy": plan.proxy, "until": plan.until, "filled": filled}


def _quality(archive, roots, snapshot, day):
    """Root -> Quality on a day, from the cache if it is there."""
    made_of = [snapshot.hash, roots, day, code_hash(Path(store.__file__).parent)]
    path = archive.path / "cache" / f"{_hash(made_of)}.json"
    if path.exists():
        return {root: quality.Quality(**parts) for root, parts in json.loads(path.read_text()).items()}
    found = quality.score(archive, roots, snapshot, day)
    path.parent.mkdir(exist_ok=True)
    durable.replace_hint(path, json.dumps({root: asdict(parts) for root, parts in found.items()}).encode())
    return found


def _content(arrays, names):
    """Hash of what was read, whatever files held it: the same prices give the same hash in any store."""
    digest = hashlib.sha256(json.dumps(names).encode())
    for values in arrays:
        digest.update(str(values.shape).encode() + np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def stored(archive, snapshot):
    """Root -> source of its contract bars; of several the first in the order of the vendors, the sample last."""
    roots = {segment.labels["root"] for segment in archive.files("contract_bars", snapshot)}
    return {root: history.sources(archive, root, snapshot)[0][1] for root in sorted(roots)}


@cache
def code_hash(package):
    """sha256 over the source files of a package folder: part of what a cached or stored result depends on."""
    digest = hashlib.sha256()
    for path in sorted(Path(package).rglob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _hash(content):
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def specified(archive, snapshot):
    """Stored markets whose facts are known, sorted, and those whose facts are missing."""
    roots = Master.load(archive.path).roots
    held = stored(archive, snapshot)
    return sorted(r for r in held if r in roots), sorted(r for r in held if r not in roots)


def _known(roots, sources, master, chains=()):
    """Refuse markets that cannot be run, each with what it lacks."""
    for root in roots:
        if root in sources and root not in master.roots:
            raise MarketUnknown(
                f"{root}: its facts are not known; add rows (root, field, value, valid_from, source) for multiplier, "
                f"tick, currency, last_trade to contracts.csv beside the store"
            )
        if root not in sources and root in chains:
            raise MarketUnknown(f"{root}: only a vendor's chain is stored; a run needs dated contracts")
    absent = [root for root in roots if root not in sources]
    if absent:
        raise MarketUnknown(
            f"not stored: {', '.join(absent)}{_meant(absent[0], master)}; "
            f"stored are {', '.join(sorted(sources)) or 'none'}"
        )
    if not roots:
        raise MarketUnknown("the store holds no market whose facts are known; import prices first")


def _meant(name, master):
    try:
        return f" (its root is {master.resolve(name)})"
    except LookupError:
        return ""


def _series(archive, plan, spec, rule, holidays):
    """The rolled history of one market as an array (bar, COLUMNS); from the cache if it is there."""
    given = history.plan(archive, plan.root, rule, plan.snapshot)
    made_of = [
        sorted(s.sha256 for s in plan.files()),
        [] if given is None else given.select("day", "from_contract", "to_contract").rows(),
        plan.root,
        plan.until,
        rule,
        replace(spec, extra=None),  # a store that moves keeps its hashes
        holidays,
        code_hash(Path(store.__file__).parent),
        COLUMNS,
    ]
    path = archive.path / "cache" / f"{_hash(made_of)}.npy"
    if path.exists():
        return np.load(path, allow_pickle=False)
    bars = plan.read()
    if bars.is_empty():
        return np.empty((0, len(COLUMNS)))
    calendar = rolls.calendar(bars, spec, rule, given)
    rows = _rows(continuous.stitch(bars, calendar), calendar, bars)
    path.parent.mkdir(exist_ok=True)
    buffer = BytesIO()
    np.save(buffer, rows, allow_pickle=False)
    durable.replace_hint(path, buffer.getvalue())
    return rows


def _rows(frame, calendar, bars):
    """Columns of `stitch` and of the calendar as one float array (bar, COLUMNS); bars that only close are added."""
    opens = bars.sort("time").unique(["day", "contract"], keep="first").select("day", "contract", "open")
    closing = pl.col("reason").str.starts_with("closed").fill_null(False)
    legs = calendar.frame.select(
        pl.when(closing).then("decided").otherwise("day").alias("day"),  # a close is acted on when it is decided
        "reason",
        pl.col("from_contract").alias("contract"),
        "to_contract",
        "from_price",
        "to_price",
    )
    legs = legs.join(opens.rename({"open": "open_from"}), on=["day", "contract"], how="left")
    legs = legs.join(
        opens.rename({"open": "open_to", "contract": "to_contract"}), on=["day", "to_contract"], how="left"
    )
    legs = legs.unique(["day", "contract"], keep="first", maintain_order=True)
    frame = frame.select(
        "day", "contract", "open", "high", "low", "close", "settle", "volume", "open_interest", "offset"
    )
    taken = bars.filter(pl.col("filled_from").is_not_null()).select("day", "contract", filled=True).unique()
    frame = frame.join(taken, on=["day", "contract"], how="left")
    frame = frame.join(legs, on=["day", "contract"], how="full", coalesce=True).sort("day", "contract")
    frame = frame.with_columns(pl.col("offset").forward_fill())
    rolls_now = pl.col("to_contract").is_not_null() & ~closing
    frame = frame.with_columns(
        pl.col("day").cast(pl.Int32),
        rolls_now.alias("roll"),
        pl.col("to_contract").fill_null(0).alias("roll_contract"),
        pl.col("from_price").alias("roll_from"),
        pl.col("to_price").alias("roll_to"),
        closing.alias("closed"),
        pl.col("filled").fill_null(False),
    )
    frame = frame.select(pl.col(COLUMNS).cast(pl.Float64).fill_null(np.nan))
    return np.ascontiguousarray(frame.to_numpy())


def _align(days, series):
    """One array (time, market, COLUMNS) from rows of several markets; nan where a market has no row."""
    table = np.full((len(days), len(series), len(COLUMNS)), np.nan)
    for m, rows in enumerate(series):
        table[np.searchsorted(days, rows[:, 0].astype(np.int64)), m] = rows
    return table


def _prices(table, roll_fill):
    columns = {name: np.ascontiguousarray(table[:, :, k]) for k, name in enumerate(COLUMNS)}
    del columns["day"], columns["filled"]
    flags = {name: columns.pop(name) == 1.0 for name in ("roll", "closed")}
    open_from, open_to = columns.pop("open_from"), columns.pop("open_to")
    legs = np.where(flags["roll"], columns["roll_from"], np.nan)
    settled = np.where(np.isnan(columns["settle"]), columns["close"], columns["settle"])
    columns["mark"] = np.where(np.isnan(legs), settled, legs)
    columns["offset"] = carried(columns["offset"])
    left = np.where(flags["roll"], columns["roll_contract"], columns["contract"])  # what is held after the bar
    contract = np.where(np.isnan(columns["contract"]), carried(left), columns["contract"])
    columns["contract"] = np.nan_to_num(contract).astype(np.int32)
    columns["roll_contract"] = np.nan_to_num(columns["roll_contract"]).astype(np.int32)
    at_open = (roll_fill == "open") & ~np.isnan(open_from) & ~np.isnan(open_to)
    columns["roll_from_fill"] = np.where(at_open, open_from, columns["roll_from"])
    columns["roll_to_fill"] = np.where(at_open, open_to, columns["roll_to"])
    return columns | flags


def carried(values):
    """Last value that is not nan, column by column."""
    rows = np.where(np.isnan(values), 0, np.arange(len(values))[:, None])
    return np.take_along_axis(values, np.maximum.accumulate(rows, axis=0), axis=0)


def _priced(archive, snapshot, currency):
    """Refuse an account in a currency without any rate."""
    known = {"USD"} | {s.labels["currency"] for s in archive.files("fx", snapshot)}
    if currency not in known:
        raise MarketUnknown(
            f"no exchange rate of {currency} is stored; stored: {', '.join(sorted(known))}; import rates"
        )


def _ended(arrays, specs, days):
    """Where a chain is over: its last contract has reached the last allowed day and no other was rolled into.

    Known beforehand (the day is a rule of the exchange), so nothing of the future is used. `now` is the first such bar.
    """
    since = np.zeros((len(days), len(specs)), bool)
    for m, spec in enumerate(specs):
        final = int(arrays["contract"][-1, m])
        if not final:  # has not begun
            continue
        since[:, m] = days >= np.datetime64(last_allowed(spec, final), "D").astype(np.int64)
    now = since & ~np.vstack([np.zeros((1, len(specs)), bool), since[:-1]])
    return {"since": since, "now": now}
