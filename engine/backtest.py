"""backtest(market, portfolio) -> RunResult: forecasts, sizes, simulation, numbers.

Forecasts and sizes are made on all rows of the market, so that indicators are warm; trading begins with the first row
of the portfolio's start: its targets fill on the bar after.
"""

import hashlib
import json
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

import engine
import store
from engine import margin, result
from engine.indicators import change, volatility
from engine.market import FRESH, STALE, checked_rules, code_hash, load, refused, specified
from engine.metrics import summary
from engine.ratios import period_returns
from engine.simulate import (
    CAUSES,
    COMMISSION,
    IMPACT,
    INTEREST,
    ROLL_COMMISSION,
    ROLL_SLIPPAGE,
    SLIPPAGE,
    Account,
    Facts,
    Prices,
    simulate,
)  # fmt: skip
from store import tags

SPAN = 32.0  # of the volatility under an estimated margin [bars]
COST_CAUSES = (SLIPPAGE, IMPACT, COMMISSION, ROLL_SLIPPAGE, ROLL_COMMISSION)


class NoRows(ValueError):
    """The portfolio's dates leave nothing to trade."""


def run(archive, portfolio, snapshot=None, force=False):
    """Load, backtest and save; a run that is stored already is returned as it is, unless `force`.

    Markets that have to be decided about first (`frontmonth check`) are left out where all are asked for, and named.

    Returns
    -------
    (RunResult, bool)
        And whether it was stored already.
    """
    snapshot = snapshot or archive.head()
    with tags.hold(archive, [snapshot.number], "run"):  # gc leaves it until the run names it, the newest one too
        return _run(archive, portfolio, snapshot, force)


def _run(archive, portfolio, snapshot, force):
    began = time.perf_counter()
    known, lacking = specified(archive, snapshot)
    undecided = refused(archive, snapshot)
    roots = roots_of(portfolio, known, undecided)
    market = market_of(archive, portfolio, roots, snapshot)
    loaded = time.perf_counter() - began
    run_id = identity(market, portfolio)
    if not force and run_id in archive.run_ids():
        result.remember(archive, run_id)
        return result.load(archive, run_id), True
    made = backtest(market, portfolio)
    made.summary["seconds"]["load"] = round(loaded, 4)
    made.summary["seconds"]["total"] = round(time.perf_counter() - began, 4)
    if portfolio.markets == "all":
        left = sorted(set(undecided) & set(known) - set(roots))
        told = {"their facts are missing": lacking, "to be decided about, see `frontmonth check`": left}
        made.summary["notes"] += [f"not traded, {why}: {', '.join(names)}" for why, names in told.items() if names]
    made.summary["snapshot"] = {"number": snapshot.number, "hash": snapshot.hash}
    made.save(archive, replace=force)
    result.remember(archive, run_id)
    return made, False


def roots_of(portfolio, known, undecided):
    """Markets to load: those that the portfolio names, or all that are `known` and not `undecided`; `load` says what a
    named one lacks."""
    lists = [portfolio.markets, *(sleeve.markets for sleeve in portfolio.strategies)]
    named = {root for markets in lists if markets != "all" for root in markets}
    strangers = sorted(named - set(known))
    return strangers or portfolio.roots([root for root in known if root in named or root not in undecided])


def replay(archive, name):
    """Compute a stored run again from the version of the data that it used; returns (stored, again)."""
    before = result.load(archive, name)
    snapshot = archive.snapshot(before.summary["snapshot"]["number"])
    portfolio = before.portfolio
    return before, backtest(market_of(archive, portfolio, before.summary["markets"], snapshot), portfolio)


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
    )


def code_version():
    """sha256 over all code that a result depends on."""
    folders = (Path(engine.__file__).parent, Path(store.__file__).parent)
    return hashlib.sha256("".join(code_hash(folder) for folder in folders).encode()).hexdigest()


def identity(market, portfolio):
    """Id of a run: hash of the data, rolls, contract facts, portfolio and code that make it, 12 hex digits."""
    return hashlib.sha256(json.dumps(_hashes(market, portfolio), sort_keys=True).encode()).hexdigest()[:12]


def _hashes(market, portfolio):
    return market.hashes | {"portfolio": portfolio.fingerprint(), "code": code_version()}


def backtest(market, portfolio):
    """Trade a portfolio over a market.

    Parameters
    ----------
    market : Market
        With all history up to the portfolio's end; see `engine.market.load`.
    portfolio : Portfolio

    Returns
    -------
    RunResult

    Raises
    ------
    NoRows
        No bar between the portfolio's start and end.
    MarginUnknown
        A margin is missing and the portfolio wants an error, not an estimate.
    """
    began = time.perf_counter()
    strategy, instrument = portfolio.lines(market.roots)
    labels = portfolio.labels()
    lines = [(labels[s], market.roots[m]) for s, m in zip(strategy, instrument, strict=True)]
    first = _first_row(market, portfolio)
    initial, maintenance, estimated = margins(market, portfolio.margin, first)
    usable = market.available & (initial > 0) & (maintenance > 0)  # nan and 0 alike are unknown
    market = _with(market, initial_margin=initial, maintenance_margin=maintenance, available=usable)
    weight = weights(market, portfolio, strategy, instrument)
    part = market.rows(first)
    prices, facts = _inputs(part, portfolio)
    account = Account(
        capital=portfolio.capital,
        per_capital=portfolio.sizing.per_capital,
        compounding=portfolio.compounding,
        sweep=portfolio.execution.fx == "sweep",
        roll_commission=portfolio.costs.roll_commission,
        most=np.inf if portfolio.limits.max_contracts is None else portfolio.limits.max_contracts,
    )
    gaps = np.diff(part.days, prepend=part.days[:1]).astype(np.float64)
    ready = time.perf_counter()
    ledger = simulate(prices, facts, account, weight[first:].copy(), instrument, part.available, part.rate, gaps)
    simulated = time.perf_counter()
    made = _result(ledger, part, portfolio, lines, instrument, estimated[first:])
    made.summary["seconds"] = {
        "load": 0.0,
        "prepare": round(ready - began, 4),
        "simulate": round(simulated - ready, 4),
        "analyse": round(time.perf_counter() - simulated, 4),
        "total": round(time.perf_counter() - began, 4),
    }
    return made


def weights(market, portfolio, strategy, instrument):
    """Size of every line and bar (time, line), as the portfolio's sizing rule gives it for the forecasts."""
    forecast = np.zeros((len(market.days), len(instrument)))
    share = np.zeros(len(instrument))
    for s, sleeve in enumerate(portfolio.strategies):
        mine = strategy == s
        forecast[:, mine] = sleeve.strategy.forecast(market)[:, instrument[mine]]
        share[mine] = sleeve.weight
    return portfolio.sizing.weights(market, forecast, instrument, share, strategy)


def margins(market, rule, first=0):
    """Initial and maintenance margin (time, market), and where they are estimates.

    The exchange's figure from its first dated day on; before it, and where there is none, `rule.k` daily volatilities
    of the contract, maintenance and initial alike. Never zero, never carried back (T30). A broker asks `rule.house`
    times that; what the user's own table says is taken as it is.
    """
    missing = np.isnan(market.initial_margin) | np.isnan(market.maintenance_margin)
    begun = market.contract > 0
    lacking = [root for root, bad in zip(market.roots, (missing & begun)[first:].any(axis=0), strict=True) if bad]
    if rule.missing == "error" and lacking:
        days = {root: market.days[first:][(missing & begun)[first:, market.roots.index(root)]][0] for root in lacking}
        told = ", ".join(f"{root} on {day}" for root, day in days.items())
        raise margin.MarginUnknown(
            f"no margin for {told}; add dated rows initial_margin and maintenance_margin to contracts.csv beside the "
            f"store, or set [margin] missing = 'estimate'"
        )
    guess = margin.estimated(volatility(change(market.adjusted), SPAN), market.multiplier, rule.k)
    house = np.where(market.own_margin, 1.0, rule.house)
    return (
        np.where(missing, guess, market.initial_margin) * house,
        np.where(missing, guess, market.maintenance_margin) * house,
        missing & begun,
    )


def _first_row(market, portfolio):
    if portfolio.start is None:
        return 0
    first = int(np.searchsorted(market.days, np.datetime64(portfolio.start, "D")))
    if first >= len(market.days):
        raise NoRows(f"no bar on or after start = {portfolio.start}; the markets end on {market.days[-1]}")
    return first


def _with(market, **changes):
    return type(market)(**(vars(market) | changes))


def _inputs(market, portfolio):
    """Arrays of the simulation; where a market is not available its facts are zero rather than nan."""
    commission, ticks = portfolio.costs.arrays(market.roots, market.currencies)
    shape = market.mark.shape
    known = {
        "multiplier": market.multiplier,
        "fx": market.fx,
        "initial": market.initial_margin,
        "maintenance": market.maintenance_margin,
    }
    facts = Facts(
        **{name: np.nan_to_num(values) for name, values in known.items()},
        slippage=np.nan_to_num(market.tick) * ticks,
        commission=np.ascontiguousarray(np.broadcast_to(commission, shape)),
    )
    prices = Prices(
        fill=market.open, mark=market.mark, offset=market.offset, contract=market.contract, roll=market.roll,
        closed=market.closed, roll_contract=market.roll_contract, roll_from=market.roll_from, roll_to=market.roll_to,
        roll_from_fill=market.roll_from_fill, roll_to_fill=market.roll_to_fill,
    )  # fmt: skip
    return Prices(*map(np.ascontiguousarray, prices)), Facts(*map(np.ascontiguousarray, facts))


def _result(ledger, market, portfolio, lines, instrument, estimated):
    tables = result.tables(ledger, market, lines, instrument, portfolio.capital)
    hashes = _hashes(market, portfolio) | {"result": result.result_hash(ledger)}
    totals = ledger.amount.sum(axis=(0, 1))
    events = result.events(ledger, market, lines)
    document = {
        "run": identity(market, portfolio),
        "portfolio": portfolio.name,
        "currency": portfolio.currency,
        "markets": list(market.roots),
        "start": str(market.days[0]),
        "end": str(market.days[-1]),
        "simulated": market.simulated,
        "metrics": _metrics(ledger, market, portfolio),
        "identity_residual": float(np.abs(ledger.residual).max(initial=0.0)),
        "identity_holds": result.identity_holds(ledger),
        "ledger": {cause: float(totals[k]) for k, cause in enumerate(CAUSES)},
        "events": {kind: sum(e["kind"] == kind for e in events) for kind in sorted({e["kind"] for e in events})},
        "data": {root: _data(market, m) for m, root in enumerate(market.roots)},
        "notes": [*_idle_rules(market, portfolio), *_notes(market, estimated, ledger, events)],
        "hashes": hashes,
    }
    return result.RunResult(document, portfolio, events, tables)


def _data(market, m):
    """What a result says of one market's prices: source, quality, proxies, filled rows."""
    found, root = market.sources.get(market.roots[m], {}), market.roots[m]
    proxies = int(market.proxy[:, m].sum())
    score = market.quality.get(root)
    return {
        "source": found.get("source", ""),
        "proxy": found.get("proxy", "") if proxies else "",
        "proxy_days": proxies,
        "filled": found.get("filled", 0),
        "quality": asdict(score) if score else None,
    }


def _metrics(ledger, market, portfolio):
    traded = ~np.isnan(market.mark).all(axis=1)
    equity = np.concatenate([[portfolio.capital], ledger.equity])
    held = np.concatenate([[True], traded])
    days = np.concatenate([market.days[:1] - np.timedelta64(1, "D"), market.days])
    gross = ledger.amount[:, :-1, :].sum(axis=(0, 2)) - ledger.amount[:, :-1, COST_CAUSES].sum(axis=(0, 2))
    base = equity[held][:-1] if portfolio.compounding else np.full(traded.sum(), portfolio.capital)
    interest = ledger.amount[traded, -1, INTEREST]
    return summary(
        period_returns(equity[held], portfolio.compounding),
        days[held],
        equity[held],
        ledger.trades[:, 11] + ledger.trades[:, 12],
        notional=float(ledger.notional.sum()),
        costs=-float(ledger.amount[:, :, COST_CAUSES].sum()),
        line_gross=gross,
        contracts=ledger.position[traded],
        interest=np.divide(interest, base, out=np.full(len(base), np.nan), where=base > 0),
        compounding=portfolio.compounding,
    )


def _ends(market):
    """Markets whose prices end before their last contract does: (root, last day)."""
    for m, root in enumerate(market.roots):
        bars, closes = np.flatnonzero(~np.isnan(market.mark[:, m])), np.flatnonzero(market.closed[:, m])
        if len(bars) and len(closes) and bars[-1] < closes[-1]:
            yield root, market.days[bars[-1]]


def _each(market, rows):
    """(root, number of its rows that are true), market by market."""
    return zip(market.roots, rows.sum(axis=0).tolist(), strict=True)


def _counted(market, rows):
    """Markets with the number of their rows that are true."""
    return ", ".join(f"{root} {n}" for root, n in _each(market, rows) if n)


def _idle_rules(market, portfolio):
    """A note on roll rules of markets that are not traded: a root may be a slip."""
    idle = sorted(set(portfolio.rolls.roots) - set(market.roots))
    return [f"roll rules of markets that are not traded: {', '.join(idle)}"] if idle else []


def _notes(market, estimated, ledger, events):
    """What a reader of the result must know."""
    begun = market.contract > 0
    if market.priceless:
        yield f"not traded, no stored row has a price: {', '.join(market.priceless)}"
    old = begun & (market.fx_age > FRESH) & (market.fx_age <= STALE)
    if aged := _counted(market, old):
        yield f"exchange rate older than {FRESH} days, days: {aged}"
    if stale := _counted(market, begun & (market.fx_age > STALE)):
        yield f"not traded for want of an exchange rate of at most {STALE} days, days: {stale}"
    ended = [f"{root} {day}" for root, day in _ends(market)]
    if ended:
        yield f"prices end, and what was held was closed at the last one when its contract ended: {', '.join(ended)}"
    last = {root: str(day) for root, day in _ends(market)}
    closed = [event for event in events if event["kind"] == "closed: no matched price"]
    gone = [f"{e['root']} {e['day']}" for e in closed if e["day"] <= last.get(e["root"], "9999")]
    if gone:
        yield f"closed because no price to roll at came in time: {', '.join(gone)}"
    if not len(ledger.trades):
        yield "nothing was traded: see events and available markets; the capital may be too small for one contract"
    proxies = [f"{root} {n} of {market.sources[root]['proxy']}" for root, n in _each(market, market.proxy) if n]
    if proxies:
        yield f"proxy days, prices of another contract stand in: {', '.join(proxies)}"
    filled = [f"{root} {told['filled']}" for root, told in market.sources.items() if told["filled"]]
    if filled:
        yield f"rows filled from a second source: {', '.join(filled)}"
    share = float(estimated[market.contract > 0].mean()) if (market.contract > 0).any() else 0.0
    if share > 0:
        yield f"margin is estimated from volatility on {share:.1%} of the markets' days"
    if not market.rate.any():
        yield "no interest rate series: cash earns nothing"
    if market.simulated:
        yield "prices are simulated"
