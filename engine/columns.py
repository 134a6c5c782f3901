"""Columns of a market: what their names mean, by which rule each one rolls, and what is refused before data are read.

    CL        the market by the portfolio's own rule; rank 0, the contract held
    CL.v.1    by volume (`volume:1`), rank 1: the contract after the one held (`store.ranks`)
    CL.n.0    by open interest (`oi:1`)
    CL.c.3    by date: left on its last allowed day (`last-trade-1`, and before first notice as always)

The same names of `frontmonth continuous` are research: `.c.` holds there through expiry, which a run never does.

And the bars of contracts that were rolled out of (`left_bars`), for positions that roll over several days, and those of
contracts that follow the ones rolled into (`after_rolls`). They are kept in the folders `left` and `ahead` of the
store's cache, as `store.derived` keeps series: of the same files, facts and code.
"""

import contextlib
import hashlib
import json
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import polars as pl

from engine.rows import MONTHS
from engine.settings import ConfigError
from store import history, kept, roll_names, roll_versions
from store.code import code_hash
from store.contracts import CONTINUOUS
from store.expiry import all_last_allowed
from store.held import PRICED
from store.roll_rules import SMART, UnknownRule, parse_rule

EXPIRES = (
    "holds contracts through expiry, and would be delivered: it is for research (frontmonth continuous); a run needs "
    "exit=K with K of 1 or more"
)
RULES = SMART | {"c": "last-trade-1"}  # of the letters of a name
STATES = 3  # of the bars of one series that are kept, as of older snapshots
_ENGINE = Path(__file__).parent


class MarketUnknown(ValueError):
    """A market that cannot be run: not stored, or without the facts that a run needs."""


class MarketRefused(ValueError):
    """A market whose data have a fault that nobody has decided about; the message says how to."""


class RuleRefused(ConfigError):
    """A roll rule that no run accepts."""


class RuleUnknown(ConfigError):
    """A text that is no roll rule and no name of a stored roll calendar; the nearest is told."""


@dataclass(frozen=True)
class Column:
    """A column of a market; `rule` is None where the portfolio says it."""

    name: str
    root: str
    rule: str | None = None
    rank: int = 0


# ---- names and rules


def column(name, roots=()):
    """The column that a name means; a text that is one of `roots` is that market, whatever it looks like.

    >>> column("CL"), column("CL.c.03")
    (Column(name='CL', root='CL', rule=None, rank=0), Column(name='CL.c.3', root='CL', rule='last-trade-1', rank=3))
    """
    match = None if name in roots else CONTINUOUS.fullmatch(name)
    if match is None:
        return Column(name, name)
    root, letter, rank = match["root"], match["rule"], int(match["rank"])
    return Column(f"{root}.{letter}.{rank}", root, RULES[letter], rank)


def columns(names, roots=()):
    """The columns of some names, each once, sorted by root, rule and rank.

    >>> [one.name for one in columns(["ES", "CL.v.10", "CL.v.2", "CL", "CL.v.02"])]
    ['CL', 'CL.v.2', 'CL.v.10', 'ES']
    """
    found = {one.name: one for one in (column(name, roots) for name in names)}
    return sorted(found.values(), key=lambda one: (one.root, one.rule or "", one.rank))


def checked_rule(text, place="[rolls] rule", names=()):
    """The roll rule that a portfolio writes at a place, parsed; `names` are those of roll calendars that it may take.

    >>> str(checked_rule("Volume, exit=2"))
    'volume:1,exit=2'
    >>> checked_rule("volum:2", "[rolls.roots] GC")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    engine.columns.RuleUnknown: [rolls.roots] GC: roll rule 'volum:2' is not known; did you mean 'volume:2'? ...
    """
    try:
        rule = parse_rule(text, names)
    except UnknownRule as error:
        raise RuleUnknown(f"{place}: {error}") from None
    if rule.exit is None:
        raise RuleRefused(f"{place}: roll rule {text!r} {EXPIRES}")
    return rule


def checked_rules(archive, rules, names, snapshot=None):
    """Refuse a portfolio's rules, `Rolls.rules()`, that no run of these columns accepts, before anything is loaded."""
    roots = [one.root for one in columns(names) if one.rule is None]
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


def requests(wanted, plans, rule, master):
    """{name: its series, as `store.derived` makes it} of columns; of a rule or {root: rule}, as `load` takes it."""
    rules = rule if isinstance(rule, dict) else {"": rule}
    for root in sorted(set(rules) - {"", *plans, *master.roots}):
        raise MarketUnknown(f"a roll rule is told of {root}, which is no market{_near(root, [*plans, *master.roots])}")
    usual = rules.get("", history.DEFAULT)
    return {one.name: _request(one, plans[one.root], one.rule or rules.get(one.root, usual)) for one in wanted}


def _request(wanted, plan, rule):
    """The series of a column by a rule, if a run may follow it."""
    found = history.request(plan, rule, wanted.rank)
    if not found.tradable:
        raise RuleRefused(f"{plan.root}: roll rule {rule!r} {EXPIRES}")
    return found


# ---- refused


def refuse(wanted, sources, master, chains=()):
    """Refuse columns that cannot be run, each with what its market lacks."""
    for root in dict.fromkeys(one.root for one in wanted):
        if root in sources and root not in master.roots:
            raise MarketUnknown(
                f"{root}: its facts are not known; add rows (root, field, value, valid_from, source) for multiplier, "
                f"tick, currency, last_trade to contracts.csv beside the store"
            )
        if root not in sources and root in chains:
            hint = _meant(root, sources, master)
            raise MarketUnknown(f"{root}: only a vendor's chain is stored; a run needs dated contracts{hint}")
    absent = list(dict.fromkeys(one.root for one in wanted if one.root not in sources))
    if absent:
        named = ", ".join(f"{name}{_meant(name, sources, master)}" for name in absent)
        written = any("." in name and not _root_of(name, master) for name in absent)
        form = "; a column is written ROOT, or ROOT.v.N, ROOT.n.N, ROOT.c.N with a rank N of 0, 1, 2..."
        raise MarketUnknown(
            f"not stored: {named}{form if written else ''}; stored are {', '.join(sorted(sources)) or 'none'}"
        )
    if not wanted:
        raise MarketUnknown("the store holds no market whose facts are known; import prices first")


def _near(name, names):
    near = get_close_matches(name, names, 1)
    return f"; did you mean {near[0]}?" if near else ""


def _meant(name, sources, master):
    """What may have been meant by a market that is not stored: its root, or the same in a contract of another size."""
    root = _root_of(name, master)
    if root and root != name:
        return f" (its root is {root})"
    sizes = [one for one in sorted(sources) if root and _family(one, master) == _family(root, master)]
    return f" (stored is {' and '.join(sizes)}, the same in another size)" if sizes else ""


def _root_of(name, master):
    """The root that a name means; none where it means none."""
    with contextlib.suppress(LookupError):
        return master.resolve(name)
    return None


def _family(root, master):
    """The full-size contract of a mini or micro; itself of any other."""
    return (master.spec(root).history_from or root) if root in master.roots else root


# ---- the contracts rolled out of


def limits(request, contracts):
    """Last allowed days of contracts, as days since 1970."""
    found = all_last_allowed(request.spec, np.asarray(contracts, np.int64), request.exit)
    return found.astype("datetime64[D]").astype(np.int64)


def left_bars(request, series):
    """Daily bars of the contracts that a series rolls out of, from the day of the roll to that of the next.

    Returns
    -------
    (array, array)
        Day and contract as one number (`engine.rows`), ascending; and (bar, 4): open, settle, close, volume. Settle and
        close are those of the moment of the held contract's bar, else nan: a spread is of one moment (DOMAIN T54). With
        the bars, on the day of a roll, of the contract rolled into.
    """
    frame = _kept(request, series, "left", _left)
    return frame["key"].to_numpy(), frame.select("open", "settle", "close", "volume").to_numpy()


def after_rolls(request, series):
    """What follows the contracts that a series rolls into, on the day of each roll.

    Returns
    -------
    polars.DataFrame
        `day`; `contract`, which is rolled into, and `next_contract`, which follows it as the series lists it then;
        `mark` and `next_mark` of the two at the moment of the roll, by one field, settle before close, null where one
        of them has none [points]; `next_days` between their last trades [calendar days].
    """
    return _kept(request, series, "ahead", _ahead)


def _kept(request, series, kind, made):
    """The frame `made(request, series)`, from the folder `kind` of the store's cache if it is there."""
    folder, inputs = request.archive.cache / kind, _hash([request.inputs, code_hash(_ENGINE)])
    states = (kept.read(folder, request.name) or {}).get("states", [])
    mine = next((one for one in states if one["inputs"] == inputs and one["files"] == request.files), None)
    found = kept.get(folder, mine["bars"]) if mine else None
    frame = found[0] if found else None
    if frame is None:
        frame = made(request, series)
        with contextlib.suppress(OSError):  # then it only costs time
            state = {"inputs": inputs, "files": request.files, "bars": kept.put(folder, request.name, frame)}
            states = [state, *(one for one in states if one != mine)]
            kept.write(folder, request.name, {"states": states[:STATES]})
            kept.drop(folder, {one["bars"] for one in states[STATES:]} - {one["bars"] for one in states[:STATES]})
    return frame


def _left(request, series):
    """The bars of `left_bars` as a frame."""
    volume, now = pl.col("volume"), pl.col("time") == pl.col("moment")
    made = (
        _bars(request, series, _wanted(series))
        .group_by("day", "contract", maintain_order=True)
        .agg(
            pl.col("open").drop_nulls().first(),
            pl.col("settle", "close").filter(now).last(),
            pl.when(volume.count() > 0).then(volume.sum()).alias("volume"),
        )
    )
    key = pl.col("day").to_physical().cast(pl.Int64) * MONTHS + pl.col("contract")
    return made.select(key.alias("key"), pl.col("open", "settle", "close", "volume").fill_null(float("nan")))


def _ahead(request, series):
    """The frame of `after_rolls`."""
    first = series.frame.select("contract", "time", "next_contract", "next_days").sort("time", maintain_order=True)
    first = first.drop("time").unique("contract", keep="first", maintain_order=True)
    rolls = series.legs.filter(pl.col("to_price").is_not_null()).select("day", "time", contract="to_contract")
    rolls = rolls.join(first, on="contract", how="left", maintain_order="left").filter(pl.col("next_contract") > 0)
    legs = [
        rolls.select("contract", "day", moment="time"),
        rolls.select("day", contract="next_contract", moment="time"),
    ]
    wanted = pl.concat([leg.select("contract", "day", "moment") for leg in legs]).unique(maintain_order=True)
    bars = _bars(request, series, wanted).filter(pl.col("time") == pl.col("moment"))
    bars = bars.unique(["day", "contract"], keep="last", maintain_order=True).select(
        "day", "contract", "settle", "close"
    )
    found = rolls.join(bars, on=["day", "contract"], how="left", maintain_order="left").join(
        bars.rename({"contract": "next_contract"}), on=["day", "next_contract"], how="left", suffix="_next",
        maintain_order="left",
    )  # fmt: skip
    settled = pl.col("settle").is_not_null() & pl.col("settle_next").is_not_null()
    return found.select(
        "day", "contract", "next_contract",
        pl.when(settled).then("settle").otherwise("close").alias("mark"),
        pl.when(settled).then("settle_next").otherwise("close_next").alias("next_mark"),
        "next_days",
    )  # fmt: skip


def _bars(request, series, wanted):
    """The bars with a price of the rows (contract, day, moment) of `wanted`, by day, contract and time."""
    plan = request.plan
    parts = [(plan.own(), pl.lit(True))]
    parts += [(plan.lent(), pl.col("day") < (series.begin or plan.until))] if plan.proxy_source else []
    names = ("contract", "day", "time", "open", "settle", "close", "volume")
    bars = [
        request.archive.scan("contract_bars", replace(plan.snapshot, files=tuple(files)))
        .filter(PRICED, of)
        .select(names)
        .join(wanted.lazy(), on=["contract", "day"])
        .collect(engine="in-memory")
        for files, of in parts
    ]
    return pl.concat(bars).sort("day", "contract", "time")


def _wanted(series):
    """(contract, day, moment): contracts left, on the days of the series from their roll to the next; on a roll's day
    also the one rolled into. `moment` is that of the held contract's last bar of the day."""
    own = series.frame.select("day", "time", "contract").sort("time", maintain_order=True)
    own = own.group_by("day", "contract", maintain_order=True).agg(pl.col("time").last().alias("moment"))
    own = own.unique("day", keep="first", maintain_order=True).sort(
        "day"
    )  # after a roll within the day: the next one's
    days, legs, parts = own["day"].to_numpy(), series.legs.sort("day"), []
    rolled = legs["day"].to_numpy()
    for leg, side in (("from_contract", "right"), ("from_contract", "left"), ("to_contract", "right")):
        roll = rolled.searchsorted(days, side=side) - 1  # the last one, on the day itself or before it
        taken = np.flatnonzero(roll >= 0)
        if leg == "to_contract":
            taken = taken[rolled[roll[taken]] == days[taken]]
        parts.append(own[taken].with_columns(contract=legs[leg][roll[taken]]))
    return pl.concat(parts).unique(["contract", "day"], maintain_order=True)


def _hash(content):
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
