"""Market: everything a run reads, as arrays (time, market); `load` makes it from the store.

The one door from the store into the engine. The same question is answered from the arrays that `engine.keeping` has of
it; else a market's rolled history is what `store.derived` keeps of it, so that no calendar is built twice.
"""

from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

import store.days
from engine import facts, keeping, session
from engine.columns import (
    Column,
    MarketRefused,
    MarketUnknown,
    RuleRefused,
    RuleUnknown,
    after_rolls,
    checked_rule,
    checked_rules,
    columns,
    left_bars,
    limits,
    refuse,
    requests,
)  # fmt: skip
from engine.hashes import Digest, hashes
from engine.locked import price_limits
from engine.rows import PLACE, Rows, aligned, left, nothing_left, prices, rows_of, union
from store import decisions, derived, history
from store.ahead import frames
from store.code import code_hash
from store.contracts import Master
from store.held import desk

__all__ = [
    "FRESH", "STALE", "Market", "MarketRefused", "MarketUnknown", "RuleRefused", "RuleUnknown",
    "checked_rule", "checked_rules", "code_hash", "load", "refused", "specified", "stored",
]  # fmt: skip

FRESH, STALE = 7, 30  # days after which an exchange rate is a finding, and after which its markets are not traded


@dataclass(frozen=True)
class Market:
    """What a run reads. Arrays are (time, market), C order, float64 and of the held contract, unless said.

    A market is a column: a root by a roll rule at a rank (`engine.columns`), so that a root may stand in several.
    Prices are contract prices in the master's units, nan where the market has no bar; `adjusted` is the one series that
    reaches across rolls. What `left_...` means, and when, `engine.rows` tells.
    """

    names: tuple  # one a market, each another: CL, or CL.c.3
    roots: tuple  # one a market; one may stand there several times
    ranks: tuple  # int, one a market: 0 the contract held, n the n-th listed after it
    days: np.ndarray  # (time,) datetime64[D], trade dates of the union of the markets
    open: np.ndarray  # [points]
    high: np.ndarray  # [points]
    low: np.ndarray  # [points]
    close: np.ndarray  # last trade [points]
    settle: np.ndarray  # the exchange's settlement [points]
    volume: np.ndarray  # [contracts]
    open_interest: np.ndarray  # [contracts]
    liquidity: np.ndarray  # mean of the known volumes of the last 20 bars; held through gaps [contracts]
    mark: np.ndarray  # settle, else close; on a roll the leg as the series has it [points]
    offset: np.ndarray  # adjusted - contract price, anchored at the first contract; held through gaps [points]
    contract: np.ndarray  # int32 YYYYMM; 0 before the first
    roll: np.ndarray  # bool: what is held at the end of the bar rolls
    roll_contract: np.ndarray  # int32 YYYYMM rolled into
    roll_from: np.ndarray  # legs as the series has them [points]
    roll_to: np.ndarray
    roll_from_fill: np.ndarray  # legs as they trade [points]
    roll_to_fill: np.ndarray
    roll_volume: np.ndarray  # the smaller volume of both legs of a roll; nan unknown, or not asked for [contracts]
    closed: np.ndarray  # bool: the contract ended without a price to roll at
    left_contract: np.ndarray  # int32 YYYYMM rolled out of lately, while it may still be held; else 0
    left_open: np.ndarray  # of that contract [points]
    left_mark: np.ndarray  # of that contract, by the field and at the moment of the mark [points]
    left_volume: np.ndarray  # the smaller of its volume and that of the contract held; nan unknown [contracts]
    left_end: np.ndarray  # bool: the last row on which it may be held; on a roll: nothing of it may stay
    next_mark: np.ndarray  # the contract that follows, by the field and at the moment of the mark [points]
    next_days: np.ndarray  # between the last trades of the contract held and of that one [calendar days]
    roll_yield: np.ndarray  # (mark / next_mark - 1) 365 / next_days; nan unless both are above 0 [1/year]
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
    limit_points: np.ndarray | None = None  # widest move of a day from the last settlement; nan not known [points]
    limit_share: np.ndarray | None = None  # the same, where the exchange tells it as a share [1]
    hours: object = None  # function of days: closes and next opens (time, market) of datetime64[m]; None: not known
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
        return replace(self, **arrays)


def load(
    archive, roots=None, start=None, end=None, currency="USD", rule="volume:1", roll_fill="settle", snapshot=None,
    progress=None, roll_days=1, legs=False,
):  # fmt: skip
    """Align stored contracts into a Market.

    Parameters
    ----------
    archive : Archive
    roots : list of str, optional
        Columns: a root, which rolls by `rule`, or ROOT.v.N, ROOT.n.N, ROOT.c.N with a rank N; see `engine.columns`. All
        stored markets whose facts are known, if not given.
    start, end : date, optional
        Nothing after `end` is read. All before `start` is kept as history for indicators; see `Market.rows`.
    currency : str
        Of the account.
    rule : str or dict
        Roll rule of `store.roll_rules`, or the name of a stored calendar; or {root: rule}, that of all others under "".
    roll_fill : {"settle", "open"}
        Price at which roll legs trade; the series always uses the settlement.
    snapshot : Snapshot, optional
        Version of the data; the newest, if not given.
    progress : callable, optional
        Called as `progress(done, total, root)`: making the series of many markets for the first time takes a while.
    roll_days : int
        Over which positions roll: the fields `left_...` tell of as many days less one after each roll.
    legs : bool
        Whether a cap on participation, or an impact by volume, reads `roll_volume`; what such a cap leaves behind is
        then told of up to its last allowed day. False, and one day: they are nan, 0 and false, and no bar is read.

    Raises
    ------
    MarketUnknown
        A root is not stored, its facts are missing, or a rank is none of its chain; the message names them.
    MarketRefused
        A root has a finding of severity `refuse` that nobody has decided about.
    RuleRefused
        A rule that holds contracts through expiry, which is for research only.
    UnknownRule
        A text that is no rule; the nearest is told.
    """
    snapshot, roots = snapshot or archive.head(), roots and list(roots)
    asked = {"roots": roots and sorted(set(roots)), "end": None if end is None else str(np.datetime64(end, "D"))}
    asked |= {"currency": currency, "rule": rule, "roll_fill": roll_fill, "roll_days": roll_days, "legs": bool(legs)}
    key = keeping.key(archive, snapshot, asked)
    if found := keeping.find(archive, key):
        every = (*found["roots"], *found["priceless"])
        for number, root in enumerate(every if progress else (), 1):
            progress(number, len(every), root)
        return Market(hours=partial(_hours, found.pop("specs")), **found)
    market, specs = _aligned(archive, roots, end, currency, rule, roll_fill, snapshot, progress, roll_days, legs)
    if keeping.key(archive, snapshot, asked) == key:  # nobody edited facts meanwhile
        keeping.keep(archive, key, market, specs)
    return market


def _aligned(archive, roots, end, currency, rule, roll_fill, snapshot, progress, roll_days, legs):
    """The Market of stored contracts, see `load`, and the facts of its columns."""
    master = Master.load(archive.path)
    wanted, plans = _plans(archive, roots, master, snapshot)
    _undecided(archive, snapshot, plans)
    _priced(archive, snapshot, currency)
    every, plans = _read(archive, snapshot, wanted, plans, requests(wanted, plans, rule, master), progress)
    read = [one if end is None else one.until(end) for one in every if len(one.rows)]
    if not any(len(one.rows) for one in read):
        raise MarketUnknown(
            f"no bar with a price of {', '.join(one.name for one in every)}" + (f" up to {end}" if end else "")
        )
    days = union([one.rows.days for one in read])
    digest = Digest([one.name for one in read], [values for one in read for values in one.rows])
    arrays = _prices(read, days, roll_fill)
    followed = roll_days > 1 or legs
    behind = _behind(arrays, read, days, roll_days, legs) if followed else nothing_left(arrays["mark"].shape)
    plans = {one.root: plans[one.root] for one in read}
    simulated = any(plan.source == history.SAMPLE for plan in plans.values())
    known = _facts(archive, snapshot, master, read, days, currency, simulated)
    rate = facts.interest(archive, snapshot, days, currency, simulated)
    limits = price_limits(master, [one.root for one in read], days.astype("datetime64[D]"))
    available = (arrays["contract"] > 0) & (known["fx_age"] <= STALE) & ~arrays.pop("ended")
    specs = tuple(one.request.spec for one in read)
    return Market(
        names=tuple(one.name for one in read),
        roots=tuple(one.root for one in read),
        ranks=tuple(one.column.rank for one in read),
        days=days.astype("datetime64[D]"),
        **arrays,
        **behind,
        **known,
        proxy=_proxies(read, plans, days),
        available=available,
        rate=rate,
        currencies=tuple(spec.currency for spec in specs),
        sectors=tuple(spec.sector for spec in specs),
        currency=currency,
        simulated=simulated,
        limit_points=limits[0],
        limit_share=limits[1],
        hours=partial(_hours, lambda: specs),
        priceless=tuple(one.name for one in every if not len(one.rows)),
        sources={root: _told(plan, read) for root, plan in plans.items()},
        quality=keeping.judged(archive, list(plans), snapshot, days[-1].astype("datetime64[D]").item(), master),
        hashes=hashes(read, digest, [*known.values(), rate, *(behind.values() if followed else ())], master),
    ), specs


def ahead(archive, names, rule, snapshot):
    """{column: what follows the contracts that it rolls into, see `engine.columns.after_rolls`}."""
    master = Master.load(archive.path)
    wanted, plans = _plans(archive, names, master, snapshot)
    read, _ = _read(archive, snapshot, wanted, plans, requests(wanted, plans, rule, master), None)
    return {one.name: after_rolls(one.request, one.made) for one in read}


def _hours(specs, days):
    """Closes and next opens of the sessions of markets whose facts `specs()` gives, see `engine.session`."""
    specs = specs()
    return session.close_times(specs, days, store.days), session.next_opens(specs, days, store.days)


@dataclass(frozen=True)
class _Read:
    """A column with what was read of it."""

    column: Column
    request: derived.Request
    made: derived.Series
    rows: Rows

    @property
    def name(self):
        """Of the column."""
        return self.column.name

    @property
    def root(self):
        """Of the column."""
        return self.column.root

    def until(self, end):
        """What was known by the end of a day."""
        return replace(self, rows=self.rows.until(np.datetime64(end, "D").astype(np.int64)))


def _plans(archive, names, master, snapshot):
    """The columns of these names, and root -> where its bars come from; all stored markets whose facts are known, if
    none is named."""
    held = stored(archive, snapshot)
    wanted = columns(names or [root for root in held if root in master.roots], {*held, *master.roots})
    plans = {one.root: history.bars(archive, one.root, master, held.get(one.root), snapshot) for one in wanted}
    lent = {root: plan.source for root, plan in plans.items() if plan and root in master.roots}
    chains = {segment.labels["root"] for segment in archive.files("vendor_chains", snapshot)}
    refuse(wanted, held | lent, master, chains)
    return wanted, plans


def _read(archive, snapshot, wanted, plans, asked, progress):
    """The columns with their series, and the plans as these tell them; a rank that its chain lacks is refused."""
    try:
        made = derived.series(list(asked.values()), progress)
    except ValueError as error:
        raise MarketUnknown(str(error)) from error
    plans = _begun(archive, snapshot, plans, {one.root: found for one, found in zip(wanted, made, strict=True)})
    rows = [rows_of(found, frame) for found, frame in zip(made, frames(made), strict=True)]
    return [_Read(one, asked[one.name], *found) for one, *found in zip(wanted, made, rows, strict=True)], plans


def _prices(read, days, roll_fill):
    """{field of `Market`: array} of what comes from the rows, and `ended`, where a chain is over or broken off."""
    arrays = prices(aligned(days, [one.rows for one in read]), roll_fill)
    ended = _ended(arrays, read, days)
    arrays["closed"] |= ended["now"]
    return arrays | {"ended": ended["since"]}


def _behind(arrays, read, days, roll_days, legs):
    """{field of `Market`: array} of what is rolled out of and may still be held."""
    bars = [left_bars(one.request, one.made) for one in read]
    gone = [arrays["contract"][arrays["roll"][:, m], m] for m in range(len(read))]
    ends = [limits(one.request, contracts) for one, contracts in zip(read, gone, strict=True)]
    return left(arrays, days, bars, ends, roll_days, legs)


def _facts(archive, snapshot, master, read, days, currency, simulated):
    """{field of `Market`: array} of what contracts and currencies are; looked up once a root."""
    specs = {one.root: one.request.spec for one in read}
    roots, currencies = list(specs), [spec.currency for spec in specs.values()]
    found = {name: facts.dated(master, roots, name, days) for name in ("multiplier", "tick")}
    found |= facts.margins(archive, snapshot, master, roots, days)
    found["fx"], found["fx_age"] = facts.exchange(archive, snapshot, days, currencies, currency, simulated)
    place = [roots.index(one.root) for one in read]
    return found if len(place) == len(roots) else {name: np.take(x, place, axis=1) for name, x in found.items()}


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


def _begun(archive, snapshot, plans, made):
    """The plans, each `until` the first day with a price of the market's own where another stands in before it: the
    files tell the first row, which may have no price. Findings on the rows between are asked for as well."""
    later = {
        root: replace(plan, until=made[root].begin)
        for root, plan in plans.items()
        if plan.proxy_source and made[root].begin and made[root].begin > plan.until
    }
    if later:
        _undecided(archive, snapshot, later)
    return plans | later


def _proxies(read, plans, days):
    """Bars that are proxies (time, market)."""
    out = np.zeros((len(days), len(read)), bool)
    for m, one in enumerate(read):
        if until := plans[one.root].until:
            own = one.rows.days
            out[np.searchsorted(days, own[own < np.datetime64(until, "D").astype(np.int64)]), m] = True
    return out


def _told(plan, read):
    """Where a market's bars came from, as results say it; rows filled in are those of its column with most of them."""
    filled = max(int(np.nansum(one.rows.values[PLACE["filled"]])) for one in read if one.root == plan.root)
    return {"source": plan.source, "proxy": plan.proxy, "until": plan.until, "filled": filled}


def stored(archive, snapshot):
    """Root -> source of its contract bars; of several the first in the order of the vendors, the sample last."""
    found = desk(archive, snapshot)
    return {root: found.dated(root) for root in found.roots()}


def specified(archive, snapshot):
    """Stored markets whose facts are known, sorted, and those whose facts are missing."""
    roots = Master.load(archive.path).roots
    held = stored(archive, snapshot)
    return sorted(r for r in held if r in roots), sorted(r for r in held if r not in roots)


def _priced(archive, snapshot, currency):
    """Refuse an account in a currency without any rate."""
    known = {"USD"} | {s.labels["currency"] for s in archive.files("fx", snapshot)}
    if currency not in known:
        raise MarketUnknown(
            f"no exchange rate of {currency} is stored; stored: {', '.join(sorted(known))}; `frontmonth import fx` "
            "brings more"
        )


def _ended(arrays, read, days):
    """Where a chain is over, or broken off: a contract has reached its last allowed day and no other was rolled into.

    Known beforehand (the day is a rule of the exchange), so nothing of the future is used: whether prices come again is
    not known before they do. A rank above 0 also ends on the day on which the rank below comes to its contract while no
    later one is listed: the calendar's end. `now` is the first such bar.
    """
    since = np.zeros(arrays["mark"].shape, bool)
    for m, one in enumerate(read):
        priced = np.flatnonzero(~np.isnan(arrays["mark"][:, m]))
        for bar in np.flatnonzero(arrays["closed"][:, m]):
            again = priced[priced > bar]
            since[bar : again[0] if len(again) else None, m] = True
        final = int(arrays["roll_contract" if arrays["roll"][-1, m] else "contract"][-1, m])
        if not final:  # has not begun
            continue
        since[:, m] |= days >= limits(one.request, [final])[0]
        if one.made.calendar.end is not None:
            since[:, m] |= days >= np.datetime64(one.made.calendar.end, "D").astype(np.int64)
    now = since & ~np.vstack([np.zeros((1, since.shape[1]), bool), since[:-1]])
    return {"since": since, "now": now}
