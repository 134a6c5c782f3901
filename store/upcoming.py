"""Which positions roll soon: the state of each market's roll rule at its last stored close, and the days ahead.

1. **As of** the last stored day of a market, or a day that is asked for: no later row is read. The next session is the
   first on which anything can be done.
2. **Expected**: the roll day that follows if nothing else happens. The rule is asked itself, on the stored bars and
   sessions to come that have prices and no activity: a crossing that is known rolls then, a date rule on its planned
   day, an activity rule without a crossing on its forced day, `latest`. An activity rule rarely waits so long: where
   at least `LEAST` past rolls tell how many sessions before the last allowed day the market usually rolled, the median
   of the last `RECENT` of them is expected, not before the next session, or the day from which on activity counts
   (`volume+last-trade-15`), and not after `latest`.
3. **Latest**: the last day on which the rule may hold the contract: the last allowed day, or the day that bounds an
   activity rule (`volume/last-trade-8`).
4. Volume and open interest are those that the rule reads for the next session: of as many sessions before it as it
   takes until the number is known. A crossing counts as in `rolls`: strictly busier than the held contract, and than
   every nearer one that may still be held.
5. Data that end long before the newest of the store are `stale`: that many days behind it.
6. Where all markets are asked for, one that cannot be told (no price, no contract in a held month, a calendar by that
   name in other markets only) has a row with nothing but the reason, if `every` market is told. One whose facts are at
   fault, as a last trade by a rule that nobody knows, always has: `facts at fault` is its status.
"""

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl

from store import chain as chains
from store import days, doors, expiry, history, rolls
from store.contracts import Master, UnknownRoot
from store.roll_rules import KNOWN_AFTER, NAMES, Rule, UnknownRule, given_rule, parse_rule
from store.roll_search import Follower
from store.rolls import Position
from store.tables import TABLES

LEAST = 3  # past rolls from which a habit is taken
RECENT = 20  # past rolls that make it: right to a session for 81 % of 3,049 rolls by volume; all past ones for 66 %
STALE = 7  # days behind the newest market from which data are stale: longer than most holidays
OVERDUE = "overdue"
NEXT = "rolls next session"
KNOWN = "crossed"
PLANNED = "planned"
EXPECTED = "expected"
FORCED = "forced"
ALONE = "no next contract"
FAULT = "facts at fault"
COLUMNS = {"volume": "volume", "oi": "open_interest"}
DATES = ("expected", "latest", "first_notice", "last_trade")
SCHEMA = {
    "root": pl.String,
    "rule": pl.String,
    "source": pl.String,
    "as_of": pl.Date,
    "stale": pl.Int32,  # days behind the newest stored market; null where it is not
    "held": pl.Int32,
    "next": pl.Int32,
    "status": pl.String,
    "expected": pl.Date,
    "latest": pl.Date,
    "first_notice": pl.Date,
    "last_trade": pl.Date,
    **{f"sessions_to_{name}": pl.Int32 for name in DATES},  # negative once it has passed
    "held_volume": pl.Float64,
    "next_volume": pl.Float64,
    "volume_ratio": pl.Float64,  # next / held
    "held_open_interest": pl.Float64,
    "next_open_interest": pl.Float64,
    "open_interest_ratio": pl.Float64,
    "crossed": pl.Int32,  # days in a row up to now; null of a rule that goes by date
    "needed": pl.Int32,
    "why": pl.String,
}


def upcoming(
    archive, roots=None, sessions=20, rule=None, snapshot=None, progress=None, held=None, asof=None, every=False
):
    """What the markets' positions have before them: rolls, first notices, last trades.

    Parameters
    ----------
    archive : Archive
    roots : list of str, optional
        Roots, aliases or continuous names; else the markets of `held`, or all stored ones with dated contracts and
        known facts.
    sessions : int
        How far ahead: only markets of which one of `DATES` is so near, or has passed unheeded, are told.
    rule : str or dict, optional
        The roll rule; or one for each root, that of the others under "". By volume, if not given.
    snapshot : Snapshot or int, optional
    progress : callable(done, total, root), optional
    held : dict, optional
        {root: [contract, ...]}: contracts that are held, as YYYYMM; these are told in place of those that the rule
        holds, as if it did.
    asof : date, optional
        The last day that is read; the last stored one of each market, if not given.
    every : bool
        Tell all markets, however far their days are, and those that cannot be told, with the reason.

    Returns
    -------
    DataFrame
        Columns `SCHEMA`, a row a held contract, the soonest first. Where no date is expected, `why` says the reason.

    Raises
    ------
    NotStored, UnknownRoot, UnknownRule
        A market that was asked for has no dated contracts or no facts, or does not know the rule; or of all markets
        none does.

    Examples
    --------
    >>> import tempfile
    >>> from datetime import datetime
    >>> from store import open_archive
    >>> when = [day for day in (date(2024, 3, 6), date(2024, 3, 7)) for _ in range(2)]
    >>> bars = pl.DataFrame({"contract": [202403, 202406] * 2, "day": when, "settle": 100.0, "volume": [9.0, 3, 8, 6]})
    >>> bars = bars.with_columns(time=pl.col("day").cast(pl.Datetime("us", "UTC")))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     archive = open_archive(folder, create=True)
    ...     snapshot = archive.commit([archive.write("contract_bars", bars, source="barchart", root="MES")])
    ...     row = upcoming(archive).row(0, named=True)
    >>> row["held"], row["next"], row["status"], str(row["expected"]), row["sessions_to_last_trade"]
    (202403, 202406, 'forced', '2024-03-14', 6)
    >>> row["why"]
    "next has 75 % of the held contract's volume; crossed on 0 of 1 days; forced: last trade 2024-03-15"
    """
    snapshot = archive.pin(snapshot)
    wanted = roots if roots is not None else list(held or ()) or None
    asked = [doors.root_of(archive, name, snapshot) for name in wanted or ()]
    held = {doors.root_of(archive, name, snapshot): contracts for name, contracts in (held or {}).items()}
    master, newest, rows = Master.load(archive.path), _newest(archive, snapshot, asof), []
    asked = list(dict.fromkeys(asked)) if wanted is not None else _with_facts(archive, master, snapshot)
    known, unknown = set(), {}
    for done, root in enumerate(asked):
        if progress:
            progress(done, len(asked), root)
        text = (rule.get(root) or rule.get("") if isinstance(rule, dict) else rule) or history.DEFAULT
        try:
            given = history.plan(archive, root, text, snapshot)
            parsed = parse_rule(text) if given is None else history.as_made(given_rule(text), text, given)
            known.add(text)
            rows += _market(archive, master, root, parsed, given, snapshot, asof, newest, held.get(root))
        except (ValueError, LookupError) as error:
            if wanted is not None:
                raise
            if isinstance(error, UnknownRule):
                unknown.setdefault(text, error)
            told = str(error) if str(error).startswith(f"{root}: ") else f"{root}: {error}"
            fault = isinstance(error, LookupError) and not isinstance(error, history.NotStored)
            rows.append({"root": root, "rule": text, "status": FAULT if fault else None, "why": told})
    for text in unknown.keys() - known:  # a rule that nobody knows
        raise unknown[text]
    if progress:
        progress(len(asked), len(asked), "")
    near = pl.any_horizontal(pl.col(f"sessions_to_{name}").is_between(0, sessions) for name in DATES)
    late = ((pl.col("status") == OVERDUE) & pl.col("stale").is_null()) | (pl.col("status") == FAULT)
    frame = pl.DataFrame(rows, SCHEMA)
    frame = frame if every else frame.filter((near | late).fill_null(False))
    return frame.sort("sessions_to_expected", "sessions_to_latest", "root", "held", nulls_last=True)


def _with_facts(archive, master, snapshot):
    """Stored markets with dated contracts of which the master knows all facts."""
    stored = sorted({segment.labels["root"] for segment in archive.files("contract_bars", snapshot)})
    return [root for root in stored if _known(master, root)]


def _known(master, root):
    """Whether the master has all facts of a market, be they right or wrong."""
    try:
        return master.spec(root) is not None
    except UnknownRoot:
        return False
    except (ValueError, LookupError):  # it is told why
        return True


def _newest(archive, snapshot, asof):
    """The newest stored day of any market, at most `asof`."""
    last = [s.last_day for s in archive.files("contract_bars", snapshot) if s.last_day]
    return min(max(last, default=date.max), asof or date.max)


def _market(archive, master, root, rule, given, snapshot, asof, newest, contracts):
    """The rows of one market: of the contract that the rule holds, or of those that are held."""
    found = history.bars(archive, root, master, snapshot=snapshot)
    if found is None:
        raise history.NotStored(f"{root}: no dated contracts are stored, of which alone a rule tells what comes")
    if root not in master.roots:
        raise UnknownRoot(f"{root}: its dates are not known; add its facts to contracts.csv beside the store")
    bars, spec = found.read(), history.spec(archive, root, master, snapshot)
    bars = bars if asof is None else bars.filter(pl.col("day") <= asof)
    if bars.is_empty():
        raise history.NotStored(f"{root}: no row with a price is stored{f' up to {asof}' if asof else ''}")
    market = _Market(bars, spec, rule, given)
    behind = (newest - market.as_of).days
    same = {"root": root, "rule": str(market.rule), "source": found.source, "as_of": market.as_of}
    same["stale"] = behind if behind > STALE else None
    rows = [same | market.row(contract) for contract in contracts or [market.position.contract]]
    for row in rows if behind > STALE else ():
        row["why"] += f"; its data end {behind} days before the newest of the store"
    return rows


class _Market:
    """The bars of a market up to a day, and what its rule makes of them."""

    def __init__(self, bars, spec, rule, given):
        self.bars, self.spec, self.rule, self.given = bars, spec, rule, given
        self.as_of = bars["day"].max()
        self.chain = chains.load(bars, rolls.held_months(spec, str(rule), given))
        self.past = rolls.calendar(self.chain, spec, str(rule), given)
        self.contracts = self.chain.contracts.tolist()
        first = self.chain.days[0].item()
        began = Position(self.past.first, first, (), tuple((name, None) for name in KNOWN_AFTER))
        self.position = rolls.last_position(self.chain, self.past) or began

    def row(self, contract):
        """All that is told of a contract that is held at the close of `as_of`."""
        if contract not in self.contracts:
            last = ", ".join(map(str, self.contracts[-5:]))
            raise history.NotStored(
                f"{self.spec.root}: contract {contract} is not stored or never held; last are {last}"
            )
        roll = self.ahead(contract, str(self.rule), self.given)
        ending, limit = self.ending(contract)
        told = {"held": contract, "next": roll["to_contract"] if roll else self.after(contract)}
        told |= {"first_notice": expiry.first_notice(self.spec, contract)}
        told |= {"last_trade": expiry.last_trade(self.spec, contract), "latest": self.latest(contract, limit)}
        told |= self.state(contract, told["next"])
        told["status"], told["expected"], why = self.expected(contract, roll, limit, ending, told.get("crossed"))
        told["why"] = "; ".join([*self.said(told), why])
        for name in DATES:
            told[f"sessions_to_{name}"] = None if told[name] is None else self.between(self.as_of, told[name])
        return told

    # ---- days

    def between(self, first, last):
        """Sessions from one day to another."""
        return int(np.busday_count(first, last, busdaycal=days.calendar(self.spec.calendar, self.spec.extra)))

    def session(self, day, n):
        """The n-th session after a day."""
        return days.shift(self.spec.calendar, day, n, self.spec.extra)

    def limit(self, contract):
        """The last day on which the rule may hold a contract, whatever happens."""
        if self.rule.exit is None:
            return expiry.last_trade(self.spec, contract)
        return expiry.last_allowed(self.spec, contract, self.rule.exit)

    def ending(self, contract):
        """(what forces the position out, the last day on which it may be held)."""
        notice, end = expiry.first_notice(self.spec, contract), expiry.last_trade(self.spec, contract)
        by_notice = notice is not None and notice <= end and self.rule.exit is not None
        return f"first notice {notice}" if by_notice else f"last trade {end}", self.limit(contract)

    def latest(self, contract, limit):
        """That day, or the one that bounds an activity rule."""
        return min(self.bound(contract, self.rule.until) or limit, limit)

    def bound(self, contract, day):
        """When a `Day` of the rule is, for a contract, or the next session if it is over; None without one."""
        if day is None:
            return None
        rule = Rule("date", day.name, day.count, months=self.rule.months, exit=self.rule.exit)
        roll = self.ahead(contract, str(rule))
        return roll and max(roll["day"], self.session(self.as_of, 1))

    # ---- the rule

    def after(self, contract):
        """The contract that follows."""
        return next((other for other in self.contracts if other > contract), None)

    def ahead(self, contract, rule, given=None):
        """The roll out of a contract, if nothing but prices came in the sessions up to its end; None without one."""
        since, end = self.position.since, self.limit(contract)
        if end <= self.as_of:
            return None
        every = pl.date_range(self.as_of, end, closed="right", eager=True)
        open_ = [day for day in every if days.is_session(self.spec.calendar, day, self.spec.extra)]
        listed = [other for other in self.contracts if other >= contract]
        rows = [{"contract": other, "day": day, "settle": 1.0} for other in listed for day in open_]
        rows = pl.DataFrame(rows, {"contract": pl.Int32, "day": pl.Date, "settle": pl.Float64})
        when = pl.col("day").cast(pl.Datetime("us")).dt.replace_time_zone("UTC") + pl.duration(hours=23)
        rows = TABLES["contract_bars"].conform(rows.with_columns(time=when))
        past = pl.concat([self.bars.filter(pl.col("day") >= since), rows])
        position = replace(self.position, contract=contract)
        return next(rolls.calendar(past, self.spec, rule, given, position).frame.iter_rows(named=True), None)

    def expected(self, contract, roll, limit, ending, crossed):
        """(status, the roll day that is expected, why)."""
        tomorrow = self.session(self.as_of, 1)
        if limit <= self.as_of:
            return OVERDUE, None, f"its last allowed day was {limit}: {ending}"
        if roll is None:
            return ALONE, None, f"no later contract is stored; forced: {ending}"
        gone = self.past.frame.filter(pl.col("from_contract") == contract)["day"].max() or roll["day"]
        if gone <= self.as_of:
            return OVERDUE, tomorrow, f"the rule left it on {gone}"
        activity = self.rule.kind == "activity"
        if activity and roll["reason"].split(",")[0] == self.rule.name:
            near = roll["day"] == tomorrow
            return (NEXT if near else KNOWN), roll["day"], NEXT if near else f"rolls on {roll['day']}"
        unknown = roll["reason"].startswith("fallback: unknown")
        if activity and not unknown:
            since, (usual, rolled) = self.bound(contract, self.rule.since) or tomorrow, self.habit()
            if crossed >= self.rule.count and since < roll["day"]:
                return EXPECTED, since, f"counts from {self.rule.since} on"
            day = max(self.session(limit, -usual), since)
            if rolled >= LEAST and day < roll["day"]:
                told = f"{usual} session{'s' * (usual != 1)} before the last allowed day"
                return EXPECTED, day, f"usually rolled {told} (median of {rolled})"
        forced = (activity and not unknown) or roll["reason"].startswith("forced")
        bound = self.rule.until if activity and not unknown and roll["day"] < limit else None
        why = f"{roll['reason']} ({ending})" if not forced else f"forced: {bound} ({ending})" if bound else ""
        status = NEXT if roll["day"] == tomorrow else FORCED if forced else PLANNED
        return status, roll["day"], why or f"forced: {ending}"

    def habit(self):
        """(sessions from a roll to the last allowed day of the contract left, the median; of how many past rolls)."""
        past = self.past.frame.filter(~rolls.closed(pl.col("reason"))).tail(RECENT)
        left = [self.between(day, self.limit(old)) for day, old in past.select("day", "from_contract").iter_rows()]
        return (round(float(np.median(left))) if left else 0), len(left)

    # ---- activity

    def state(self, contract, follower):
        """Volume and open interest as the rule reads them for the next session, and how far it has crossed."""
        chain, tomorrow = self.chain, len(self.chain.days)
        k, c = (None if x is None else int(chain.contracts.searchsorted(x)) for x in (contract, follower))
        told, lags = {}, KNOWN_AFTER | dict(self.rule.known)
        for name, column in COLUMNS.items():
            t = tomorrow - lags[name]
            held, other = (None if x is None or t < 0 else chain.number(name, x, t) for x in (k, c))
            told |= {f"held_{column}": held, f"next_{column}": other}
            told[f"{column}_ratio"] = other / held if held and other is not None else None
        if self.rule.kind != "activity":
            return told
        since = int(chain.days.searchsorted(np.datetime64(self.position.since)))
        seen = [] if c is None else Follower(chain, self.spec, self.rule).crossed(k, c, since, tomorrow)
        crossed = np.append(~np.array(seen, bool)[::-1], True).argmax()  # decisions in a row, the last one's first
        return told | {"crossed": int(crossed), "needed": self.rule.count}

    def said(self, told):
        """The state of an activity rule in words."""
        if self.rule.kind != "activity" or told["next"] is None:
            return
        shares = {NAMES[name]: told[f"{COLUMNS[name]}_ratio"] for name in self.rule.reads}
        known = [f"{100 * x:.0f} % of the held contract's {name}" for name, x in shares.items() if x is not None]
        if known:
            yield f"next has {' and '.join(known)}"
        for name in [name for name in self.rule.reads if told[f"{COLUMNS[name]}_ratio"] is None]:
            lacking = [str(told[which]) for which in ("held", "next") if told[f"{which}_{COLUMNS[name]}"] is None]
            yield f"{NAMES[name]} of {' and '.join(lacking) or told['held']} is not known"
        yield f"crossed on {told['crossed']} of {told['needed']} days"
