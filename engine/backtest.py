"""backtest(market, portfolio) -> RunResult: forecasts, sizes, simulation, numbers.

Forecasts and sizes are made on all rows of the market, so that indicators are warm; trading begins with the first row
of the portfolio's start: its targets fill on the bar after.
"""

import contextlib
import hashlib
import json
import time
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np

import engine
import store
from engine import finer, inputs, notes, result, tables
from engine.book import AMBIGUOUS, CAUSES, COSTS, COSTS_OF, GROSS, INTEREST, TOWARD_ZERO
from engine.columns import column
from engine.costs import break_even
from engine.market import checked_rules, code_hash, load, refused, specified
from engine.metrics import summary
from engine.ratios import period_returns, unpaid
from engine.sections import TIES
from engine.simulate import simulate
from engine.stages import nothing
from engine.strategy import blamed, running
from store import kept, tags

AMBIGUOUS_SHARE = 0.01  # of trades, above which the result tells its range under all policies [1]


class NoRows(ValueError):
    """The portfolio's dates leave nothing to trade."""


def run(archive, portfolio, snapshot=None, force=False, stages=nothing):
    """Load, backtest and save; a run that is stored already is returned as it is, unless `force`.

    Markets that have to be decided about first (`frontmonth check`) are left out where all are asked for, and named.
    `stages` is told when a stage is over: see `engine.stages`.

    Returns
    -------
    (RunResult, bool)
        And whether it was stored already.
    """
    snapshot = snapshot or archive.head()
    with tags.hold(archive, [snapshot.number], "run"):  # gc leaves it until the run names it, the newest one too
        return _run(archive, portfolio, snapshot, force, stages)


def _run(archive, portfolio, snapshot, force, stages):
    began = time.perf_counter()
    known, lacking = specified(archive, snapshot)
    undecided = refused(archive, snapshot)
    roots = roots_of(portfolio, known, undecided)
    market = market_of(archive, portfolio, roots, snapshot)
    market, bars, within = within_the_day(archive, market, portfolio, snapshot)
    market, beside = _benchmark(archive, market, portfolio, snapshot)
    loaded = time.perf_counter() - began
    stages("load")
    run_id = identity(market, portfolio)
    if not force and run_id in archive.run_ids():
        result.remember(archive, run_id)
        stored = result.load(archive, run_id)
        stages("read")
        return stored, True
    made = beside(backtest(market, portfolio, bars, within, stages))
    made.summary["seconds"]["load"] = round(loaded, 4)
    made.summary["seconds"]["total"] = round(time.perf_counter() - began, 4)
    if portfolio.markets == "all" and any(sleeve.markets == "all" for sleeve in portfolio.strategies):
        left = sorted(set(undecided) & set(known) - set(roots))
        told = {"their facts are missing": lacking, "to be decided about, see `frontmonth check`": left}
        made.summary["notes"] += [f"not traded, {why}: {', '.join(names)}" for why, names in told.items() if names]
    made.summary["snapshot"] = {"number": snapshot.number, "hash": snapshot.hash}
    made.save(archive, replace=force)
    result.remember(archive, run_id)
    stages("save")
    return made, False


def roots_of(portfolio, known, undecided):
    """Markets to load: those that the portfolio names, or all that are `known` and not `undecided`; `load` says what a
    named one lacks."""
    named = {column(name, known).root: name for name in portfolio.named()}
    strangers = sorted(name for root, name in named.items() if root not in known)
    return strangers or portfolio.roots([root for root in known if root in named or root not in undecided])


def replay(archive, name):
    """Compute a stored run again from the version of the data that it used; returns (stored, again)."""
    before = result.load(archive, name).ours("what it was made of: it cannot be computed again here")
    snapshot = archive.snapshot(before.summary["snapshot"]["number"])
    portfolio = before.portfolio
    market = market_of(archive, portfolio, before.summary["markets"], snapshot)
    market, bars, within = within_the_day(archive, market, portfolio, snapshot)
    market, beside = _benchmark(archive, market, portfolio, snapshot)
    return before, beside(backtest(market, portfolio, bars, within))


def market_of(archive, portfolio, roots, snapshot):
    """The market of a portfolio, with all history up to its end."""
    checked_rules(archive, portfolio.rolls.rules(), roots, snapshot)
    return load(
        archive,
        roots,
        end=portfolio.end,
        currency=portfolio.currency,
        rule=portfolio.rolls.rules(),
        roll_fill=portfolio.rolls.fill,
        snapshot=snapshot,
        roll_days=portfolio.rolls.days,
        legs=portfolio.execution.participation is not None or portfolio.costs.impact != "none",
    )


def within_the_day(archive, market, portfolio, snapshot):
    """(market, bars, within): bars within the day, read when somebody asks which order came first, and the market on
    them where it trades there; the data hash of the market covers both.

    Strategies with orders may have bars that can be told in two ways, whose range the result tells with the bars within
    the day: these are an input of such a run, too, whatever its `ties`.
    """
    bars = cache(partial(finer.load, archive, market, snapshot=snapshot))
    within = finer.execution(archive, market, snapshot=snapshot) if portfolio.execution.bars == "within" else None
    told = market.hashes
    if portfolio.execution.ties == "finer":
        told = told | {"data": finer.digest(told["data"], *bars())}
    elif within is None and any(sleeve.strategy.kind() == "signals" for sleeve in portfolio.strategies):
        told = told | {"data": _covered(archive, market, bars, snapshot)}
    if within is not None:
        told = told | {"data": within.market.hashes["data"]}
    return replace(market, hashes=told), bars, within


def _benchmark(archive, market, portfolio, snapshot):
    """(market, beside): what the benchmark is made of is an input of the run, too; `beside` tells a run beside it."""
    if portfolio.benchmark.kind == "none":
        return market, lambda made: made
    from engine.analysis import benchmark

    if portfolio.benchmark.kind == "file":
        series = benchmark.read(benchmark.place_of(portfolio.benchmark.file, archive.path))
        told, traded = benchmark.digest(series), None
    else:
        first = market.days[first_row(market, portfolio)].astype("datetime64[D]").item()
        wanted = benchmark.portfolio_of(portfolio, market.roots, first)
        known, _ = specified(archive, snapshot)
        traded = market_of(archive, wanted, roots_of(wanted, known, refused(archive, snapshot)), snapshot)
        told = finer.digest(*sorted(traded.hashes.values()))

    def beside(made):
        if traded is not None:
            name = benchmark.told(portfolio, len(set(traded.roots)))
            benchmark.attach(made, benchmark.series_of(backtest(traded, wanted), name))
        else:
            benchmark.attach(made, series)
        return made

    return replace(market, hashes=market.hashes | {"benchmark": told}), beside


def _covered(archive, market, bars, snapshot):
    """The market's data hash with all of its bars within the day; as it is where none are stored.

    Kept in the store's cache: to find a stored run nobody need read them again.
    """
    data, files = market.hashes["data"], finer.files(archive, market, snapshot)
    if not files:
        return data
    folder, name = archive.cache / "finer", finer.digest(data, code_version(), *files)
    found = kept.read(folder, name)
    if found is None:
        found = finer.digest(data, *bars())
        with contextlib.suppress(OSError):  # then it only costs time
            kept.write(folder, name, found)
    return found


def code_version():
    """sha256 over all code that a result depends on."""
    folders = (Path(engine.__file__).parent, Path(store.__file__).parent)
    return hashlib.sha256("".join(code_hash(folder) for folder in folders).encode()).hexdigest()


def identity(market, portfolio):
    """Id of a run: hash of the data, rolls, contract facts, portfolio and code that make it, 12 hex digits."""
    return hashlib.sha256(json.dumps(hashes(market, portfolio), sort_keys=True).encode()).hexdigest()[:12]


def hashes(market, portfolio):
    """Hashes of all that makes a run."""
    return market.hashes | {"portfolio": portfolio.fingerprint(), "code": code_version()}


def backtest(market, portfolio, bars=None, within=None, stages=nothing, changed=None):
    """Trade a portfolio over a market.

    Parameters
    ----------
    market : Market
        With all history up to the portfolio's end; see `engine.market.load`.
    portfolio : Portfolio
    bars : book.Finer, or function without arguments that gives one; optional
        Bars within the day (`engine.finer.load`), for `execution.ties = "finer"`; where more than one trade in a
        hundred is ambiguous, the result tells with them what each policy would have made.
    within : finer.Within, optional
        The market on such bars (`engine.finer.execution`), for `execution.bars = "within"`.
    stages : engine.stages.Stages, optional
        Is told when a stage is over.
    changed : function of inputs.Inputs that gives others, optional
        What a what-if changes of what the simulation is given (`engine.analysis.whatif`); such a result is not saved,
        for its id does not tell it.

    Returns
    -------
    RunResult

    Raises
    ------
    NoRows
        No bar between the portfolio's start and end.
    MarginUnknown
        A margin is missing and the portfolio wants an error, not an estimate.
    ConfigError
        Settings that this market cannot serve: the message names both.
    StrategyError
        A user's own strategy failed: the message names file and line.
    """
    began = time.perf_counter()
    first = first_row(market, portfolio)
    market, estimated = inputs.with_margins(market, portfolio, first)
    known = bars() if callable(bars) and portfolio.execution.ties == "finer" else bars
    with blamed():
        given = inputs.made(market, portfolio, first, None if callable(known) else known, within)
        given = given if changed is None else changed(given)
    ready = time.perf_counter()
    stages("prepare")
    with running([sleeve.strategy for sleeve in portfolio.strategies], market):
        ledger = simulate(*given.arguments())
    simulated = time.perf_counter()
    stages("simulate")
    inside = None if within is None else within.served[first:]
    made = _result(ledger, market.rows(first), portfolio, given, estimated[first:], first, bars, inside)
    made.summary["seconds"] = {
        "load": 0.0,
        "prepare": round(ready - began, 4),
        "simulate": round(simulated - ready, 4),
        "analyse": round(time.perf_counter() - simulated, 4),
        "total": round(time.perf_counter() - began, 4),
    }
    stages("analyse")
    return made


def first_row(market, portfolio):
    """Row of the market at which the portfolio starts."""
    if portfolio.start is None:
        return 0
    first = int(np.searchsorted(market.days, np.datetime64(portfolio.start, "D")))
    if first >= len(market.days):
        raise NoRows(f"no bar on or after start = {portfolio.start}; the markets end on {market.days[-1]}")
    return first


def _result(ledger, market, portfolio, given, estimated, first, bars, inside):
    made_hash = tables.result_hash(ledger)
    clock = given.clock
    if given.account.daily:
        ledger, clock = tables.by_days(ledger, clock)
    sleeves = portfolio.labels() if len(given.sleeves.share) > 1 else ["account"]
    made = tables.tables(ledger, market, given.layout, portfolio.capital, sleeves, portfolio.compounding)
    sums = ledger.amount.sum(axis=0)  # (line and account, cause)
    totals, apart = sums.sum(axis=0), tables.trades_apart(ledger, sums)
    events = tables.events(ledger, market, given.layout)
    if inside is None and given.finer is not None and len(given.finer.first):
        inside = given.finer.last > given.finer.first
    smallest = _smallest_accounts(given)
    made["events"] = made["events"]()
    document = {
        "run": identity(market, portfolio),
        "portfolio": portfolio.name,
        "currency": portfolio.currency,
        "markets": list(market.names),
        "start": str(market.days[0]),
        "end": str(market.days[-1]),
        "simulated": market.simulated,
        "metrics": _metrics(ledger, sums, market, portfolio, clock),
        "identity_residual": float(np.abs(ledger.residual).max(initial=0.0)),
        "trades_residual": float(apart.max(initial=0.0)),
        "identity_holds": tables.identity_holds(ledger, apart),
        "ledger": {cause: float(totals[k]) + 0.0 for k, cause in enumerate(CAUSES)},
        "events": tables.counted(ledger),
        "event_groups": result.grouped(made["events"]),
        "stamps": list(notes.stamps(portfolio)),
        "margin_days": notes.margin_days(market, estimated),
        "ambiguous": _ambiguous(ledger, given, portfolio, first, bars),
        "smallest_account": {name: capital for name, (capital, _) in smallest.items()},
        "smallest_account_day": {name: day for name, (_, day) in smallest.items()},
        "break_even_ticks": _break_even(ledger, sums, market, portfolio, given.layout),
        "data": {name: notes.data(market, m) for m, name in enumerate(market.names)},
        "notes": list(notes.notes(market, portfolio, estimated, ledger, events, given.finer, inside, given.layout)),
        "hashes": hashes(market, portfolio) | {"result": made_hash},
    }
    return result.RunResult(document, portfolio, events, made)


def _ambiguous(ledger, given, portfolio, first, bars):
    """Bars that could be told in two ways, trades with such a bar, and, where they are more than one in a hundred, what
    each policy would have made of the account (T19); of `finer` nothing where no bars within the day are known."""
    trades = ledger.trades[:, AMBIGUOUS] > 0
    share = float(trades.mean()) if len(trades) else 0.0
    told = {"bars": int(ledger.ambiguous.sum()), "trades": int(trades.sum()), "share": share, "policies": {}}
    for policy, number in TIES.items() if share > AMBIGUOUS_SHARE else ():
        changed = replace(given, account=given.account._replace(policy=number))
        if policy == "finer":
            known = given.finer
            if known is None and callable(bars) and not given.account.daily:
                known = inputs.later_bars(bars(), first)
            if known is None or not len(known.first):
                told["policies"][policy] = None
                continue
            changed = replace(changed, finer=known)
        end = float(simulate(*changed.arguments()).equity[-1])
        told["policies"][policy] = {"final_equity": end, "total_return": end / portfolio.capital - 1.0}
    return told


def _smallest_accounts(given):
    """Market or spread -> (capital at which one contract or unit of it is held at a forecast of 1, the day of the sizes
    it is told of), which is the last on which it was sized; of several strategies the smaller. (None, None) where sizes
    do not follow the capital, and where contracts are not rounded toward zero: fractions are held on any account, and
    which contracts are nearest in risk depends on all others. [account currency]"""
    found, usual = {}, given.wishes.usual
    asked = given.account.per_capital and given.account.rounding == TOWARD_ZERO
    for j, name in enumerate(given.layout.names):
        sized = np.flatnonzero(usual[:, j] > 0.0)
        before, _ = found.setdefault(name, (None, None))
        if asked and not given.wishes.contracts[j] and len(sized):
            capital = float(1.0 / usual[sized[-1], j])
            if before is None or capital < before:
                found[name] = capital, str(given.market.days[sized[-1]])
    return found


def _break_even(ledger, sums, market, portfolio, placed):
    """Strategy -> how many ticks a side more it could pay before its profit is gone; null where it traded nothing."""
    instrument = placed.lines.instrument
    strategy = placed.strategy[placed.lines.member]
    tick = (market.tick * market.multiplier * market.fx)[:, instrument]
    profit = sums[:-1].sum(axis=1)
    ticks = break_even(profit, ledger.fills, np.nan_to_num(tick), strategy)
    labels = portfolio.labels()
    told = [float(x) for x in ticks] + [np.nan] * (len(labels) - len(ticks))
    return {label: None if np.isnan(x) else x for label, x in zip(labels, told, strict=True)}


def _metrics(ledger, sums, market, portfolio, clock):
    traded = ~np.isnan(market.mark).all(axis=1)
    equity = np.concatenate([[portfolio.capital], ledger.equity])
    held = np.concatenate([[True], traded])
    days = np.concatenate([market.days[:1] - np.timedelta64(1, "D"), market.days])
    gross = sums[:-1].sum(axis=1) - sums[:-1, COSTS_OF].sum(axis=1)
    paid = np.cumsum(np.concatenate([[0.0], clock.transfer]))[held]
    flows = np.diff(paid)
    base = equity[held][:-1] + flows if portfolio.compounding else np.full(traded.sum(), portfolio.capital)
    interest = ledger.amount[traded, -1, INTEREST]
    found = summary(
        period_returns(equity[held], portfolio.compounding, flows),
        days[held],
        unpaid(equity[held], flows, portfolio.compounding),
        ledger.trades[:, GROSS] + ledger.trades[:, COSTS],
        notional=float(ledger.notional.sum()),
        costs=-float(sums[:, COSTS_OF].sum()),
        line_gross=gross,
        contracts=ledger.position[traded],
        interest=np.divide(interest, base, out=np.full(len(base), np.nan), where=base > 0),
        compounding=portfolio.compounding,
    )
    found["final_equity"] = float(equity[-1])
    return {name: value if value is None else value + 0 for name, value in found.items()}  # no -0.0
