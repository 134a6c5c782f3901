"""Market: everything a run reads, as arrays (time, market); `load` makes it from the store.

The one door from the store into the engine. A market's rolled history is what `store.derived` keeps of it, so that a
second run loads arrays instead of building calendars again.
"""

import contextlib
import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path

import numpy as np

import store
from engine import facts
from engine.rows import COLUMNS, ROLLS, aligned, prices, rows_of
from engine.settings import ConfigError
from store import decisions, derived, history, kept, quality, roll_names, roll_versions
from store.contracts import Master, last_allowed
from store.derived import code_hash
from store.held import desk
from store.roll_rules import UnknownRule, parse_rule

EXPIRES = (
    "holds contracts through expiry, and would be delivered: it is for research (frontmonth continuous); a run needs "
    "exit=K with K of 1 or more"
)
FRESH, STALE = 7, 30  # days after which an exchange rate is a finding, and after which its markets are not traded


class MarketUnknown(ValueError):
    """A market that cannot be run: not stored, or without the facts that a run needs."""


class MarketRefused(ValueError):
    """A market whose data have a fault that nobody has decided about; the message says how to."""


class RuleRefused(ConfigError):
    """A roll rule that no run accepts."""


class RuleUnknown(ConfigError):
    """A text that is no roll rule and no name of a stored roll calendar; the nearest is told."""


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


def load(
    archive, roots=None, start=None, end=None, currency="USD", rule="volume:1", roll_fill="settle", snapshot=None,
    progress=None,
):  # fmt: skip
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
    rule : str or dict
        Roll rule of `store.roll_rules`, or the name of a stored calendar; or {root: rule}, that of all others under "".
    roll_fill : {"settle", "open"}
        Price at which roll legs trade; the series always uses the settlement.
    snapshot : Snapshot, optional
        Version of the data; the newest, if not given.
    progress : callable, optional
        Called as `progress(done, total, root)`: making the series of many markets for the first time takes a while.

    Raises
    ------
    MarketUnknown
        A root is not stored, or its facts are missing; the message names them.
    MarketRefused
        A root has a finding of severity `refuse` that nobody has decided about.
    RuleRefused
        A rule that holds contracts through expiry, which is for research only.
    UnknownRule
        A text that is no rule; the nearest is told.
    """
    snapshot = snapshot or archive.head()
    master = Master.load(archive.path)
    plans = _plans(archive, roots, master, snapshot)
    roots = list(plans)
    _undecided(archive, snapshot, plans)
    _priced(archive, snapshot, currency)
    specs = [history.spec(archive, root, master, snapshot) for root in roots]
    last = np.datetime64(end, "D").astype(np.int64) if end else np.iinfo(np.int64).max
    rules = _rules(rule, plans, master)
    requests = {root: _request(plan, rules[root]) for root, plan in plans.items()}
    made = derived.series(list(requests.values()), progress)
    plans = _begun(archive, snapshot, plans, made)
    series = {root: rows_of(one) for root, one in zip(roots, made, strict=True)}
    priceless = [root for root, rows in series.items() if not len(rows)]
    series = {root: rows[rows[:, 0] <= last] for root, rows in series.items() if len(rows)}
    specs, plans = [spec for spec in specs if spec.root in series], {root: plans[root] for root in series}
    if not any(len(rows) for rows in series.values()):
        raise MarketUnknown(f"no bar with a price of {', '.join(roots)}" + (f" up to {end}" if end else ""))
    roots = list(series)
    days = np.unique(np.concatenate([rows[:, 0] for rows in series.values()])).astype(np.int64)
    table = aligned(days, list(series.values()))
    arrays = prices(table, roll_fill)
    known = {name: facts.dated(master, roots, name, days) for name in ("multiplier", "tick")}
    known |= facts.margins(archive, snapshot, master, roots, days)
    currencies = tuple(spec.currency for spec in specs)
    simulated = any(plan.source == history.SAMPLE for plan in plans.values())
    fx, fx_age = facts.exchange(archive, snapshot, days, currencies, currency, simulated)
    ended = _ended(arrays, specs, [requests[root].exit for root in roots], days)
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
        quality=_quality(archive, roots, snapshot, days[-1].astype("datetime64[D]").item(), master),
        hashes={
            "data": _content([*series.values(), fx, fx_age, rate, *known.values()], roots),
            "rolls": _content([rows[:, ROLLS] for rows in series.values()], _ruled(rules, roots)),
            "contracts": master.hash,
        },
    )


def checked_rule(text, place="[rolls] rule", names=()):
    """The roll rule that a portfolio writes at a place, parsed; `names` are those of roll calendars that it may take.

    >>> str(checked_rule("Volume, exit=2"))
    'volume:1,exit=2'
    >>> checked_rule("volum:2", "[rolls.roots] GC")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    engine.market.RuleUnknown: [rolls.roots] GC: roll rule 'volum:2' is not known; did you mean 'volume:2'? ...
    """
    try:
        rule = parse_rule(text, names)
    except UnknownRule as error:
        raise RuleUnknown(f"{place}: {error}") from None
    if rule.exit is None:
        raise RuleRefused(f"{place}: roll rule {text!r} {EXPIRES}")
    return rule


def checked_rules(archive, rules, roots, snapshot=None):
    """Refuse a portfolio's rules, `Rolls.rules()`, that no run of these markets accepts, before anything is loaded."""
    for root, text in (rules if isinstance(rules, dict) else {"": rules}).items():
        markets = ([root] if root in roots else []) if root else roots
        place = f"[rolls.roots] {root}" if root else "[rolls] rule"
        checked_rule(text, place, _calendars(archive, text, markets, snapshot))


def _calendars(archive, text, roots, snapshot):
    """Names of calendars that a rule may take: those stored of some of the markets; of no market, what may be one."""
    name = str(text).partition(",")[0].strip()
    if roll_names.is_rule(name):
        return []
    if not roots:
        return [name] if roll_names.possible(name) else []
    found = roll_versions.named(archive, list(roots), snapshot)
    if roll_names.digits(name):
        versions = roll_versions.listed(archive, list(roots), snapshot)["version"].drop_nulls()
        found += [name] if versions.str.starts_with(name.lower()).any() else []
    return list(dict.fromkeys(found))


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


def _begun(archive, snapshot, plans, made):
    """The plans, each `until` the first day with a price of the market's own where another stands in before it: the
    files tell the first row, which may have no price. Findings on the rows between are asked for as well."""
    later = {
        root: replace(plan, until=one.begin)
        for (root, plan), one in zip(plans.items(), made, strict=True)
        if plan.proxy_source and one.begin and one.begin > plan.until
    }
    if later:
        _undecided(archive, snapshot, later)
    return plans | later


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


def _quality(archive, roots, snapshot, day, master):
    """Root -> Quality on a day, from the cache if it is there."""
    made_of = [snapshot.hash, roots, day, master.hash, code_hash(Path(store.__file__).parent)]
    folder, name = archive.cache / "quality", _hash(made_of)
    known = kept.read(folder, name)
    if known is not None:
        return {root: quality.Quality(**parts) for root, parts in known.items()}
    found = quality.score(archive, roots, snapshot, day)
    with contextlib.suppress(OSError):  # then it only costs time
        kept.write(folder, name, {root: asdict(parts) for root, parts in found.items()})
    return found


def _content(arrays, names):
    """Hash of what was read, whatever files held it: the same prices give the same hash in any store."""
    digest = hashlib.sha256(json.dumps(names).encode())
    for values in arrays:
        digest.update(str(values.shape).encode() + np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def stored(archive, snapshot):
    """Root -> source of its contract bars; of several the first in the order of the vendors, the sample last."""
    found = desk(archive, snapshot)
    return {root: found.dated(root) for root in found.roots()}


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


def _near(name, names):
    near = get_close_matches(name, names, 1)
    return f"; did you mean {near[0]}?" if near else ""


def _meant(name, master):
    try:
        return f" (its root is {master.resolve(name)})"
    except LookupError:
        return ""


def _rules(rule, plans, master):
    """{root: rule as written} of every market."""
    rules = rule if isinstance(rule, dict) else {"": rule}
    for root in sorted(set(rules) - {"", *plans, *master.roots}):
        raise MarketUnknown(f"a roll rule is told of {root}, which is no market{_near(root, [*plans, *master.roots])}")
    return {root: rules.get(root, rules.get("", history.DEFAULT)) for root in plans}


def _ruled(rules, roots):
    """What names the rolls: the one rule of all markets, or each one's, and the markets."""
    told = {rules[root] for root in roots}
    return [*told, *roots] if len(told) == 1 else [[root, rules[root]] for root in roots]


def _request(plan, rule):
    """The series of a market by a rule, if a run may follow it."""
    wanted = history.request(plan, rule)
    if not wanted.tradable:
        raise RuleRefused(f"{plan.root}: roll rule {rule!r} {EXPIRES}")
    return wanted


def _priced(archive, snapshot, currency):
    """Refuse an account in a currency without any rate."""
    known = {"USD"} | {s.labels["currency"] for s in archive.files("fx", snapshot)}
    if currency not in known:
        raise MarketUnknown(
            f"no exchange rate of {currency} is stored; stored: {', '.join(sorted(known))}; import rates"
        )


def _ended(arrays, specs, exits, days):
    """Where a chain is over, or broken off: a contract has reached its last allowed day and no other was rolled into.

    Known beforehand (the day is a rule of the exchange), so nothing of the future is used: whether prices come again is
    not known before they do. `now` is the first such bar.
    """
    since = np.zeros((len(days), len(specs)), bool)
    for m, (spec, exit_) in enumerate(zip(specs, exits, strict=True)):
        priced = np.flatnonzero(~np.isnan(arrays["mark"][:, m]))
        for bar in np.flatnonzero(arrays["closed"][:, m]):
            again = priced[priced > bar]
            since[bar : again[0] if len(again) else None, m] = True
        final = int(arrays["contract"][-1, m])
        if not final:  # has not begun
            continue
        since[:, m] |= days >= np.datetime64(last_allowed(spec, final, exit_), "D").astype(np.int64)
    now = since & ~np.vstack([np.zeros((1, len(specs)), bool), since[:-1]])
    return {"since": since, "now": now}
