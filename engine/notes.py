"""What a reader of a result must know: stamps, margins and their sources, markets that ended, prices that stand in."""

from dataclasses import asdict

import numpy as np

from engine.book import SPREAD_BROKEN
from engine.cash import unbooked
from engine.market import FRESH, STALE
from engine.session import OWN
from engine.sizing.fixed import FixedContracts, FixedNotional

STAMPS = {
    "close": "market orders fill at the close of the next bar",
    "settle": "market orders fill at settlements, at which nobody can be sure to trade",
    "same_close": "market orders fill at the very close that decided them: this looks ahead",
}


def stamps(portfolio):
    """What makes a result more favourable than trading would have been, by the user's own choice."""
    if portfolio.execution.fill in STAMPS:
        yield STAMPS[portfolio.execution.fill]
    if portfolio.sizing.rounding == "fractional":
        yield "fractions of contracts are traded"


def margin_days(market, estimated):
    """Market-days on which the margin was the exchange's, the broker's own table, or an estimate."""
    begun = market.contract > 0
    broker = begun & market.own_margin & ~estimated
    return {
        "exchange": int((begun & ~estimated & ~broker).sum()),
        "broker": int(broker.sum()),
        "estimate": int((begun & estimated).sum()),
    }


def data(market, m):
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


def _ends(market):
    """Markets whose prices end before their last contract does: (root, last day)."""
    for m, root in enumerate(market.names):
        bars, closes = np.flatnonzero(~np.isnan(market.mark[:, m])), np.flatnonzero(market.closed[:, m])
        if len(bars) and len(closes) and bars[-1] < closes[-1]:
            yield root, market.days[bars[-1]]


def _each(market, rows):
    """(root, number of its rows that are true), market by market."""
    return zip(market.names, rows.sum(axis=0).tolist(), strict=True)


def _counted(market, rows):
    """Markets with the number of their rows that are true."""
    return ", ".join(f"{root} {n}" for root, n in _each(market, rows) if n)


def _spans(days):
    """Markets with the day on which something happened to them; of several their number, the first and the last.

    >>> list(_spans({"CL": ["2020-04-21"], "NG": ["2020-03-27", "2020-04-28", "2020-05-27"]}))
    ['CL 2020-04-21', 'NG 3 times from 2020-03-27 to 2020-05-27']
    """
    for root, found in days.items():
        yield f"{root} {found[0]}" if len(found) == 1 else f"{root} {len(found)} times from {found[0]} to {found[-1]}"


def _strangers(market, portfolio):
    """Settings of markets that are not traded, which may be slips: (what they are, the markets)."""
    spreads = {name for sleeve in portfolio.strategies if sleeve.markets != "all" for name in sleeve.markets}
    traded = {*market.roots, *market.names, *(spreads & set(portfolio.spreads))}
    costs = {*portfolio.costs.roots, *(row["root"] for row in portfolio.costs.dated if row.get("root"))}
    told = {
        "roll rules": set(portfolio.rolls.roots) - set(market.roots),
        "costs": costs - set(market.roots),
        "instrument weights": set(getattr(portfolio.sizing, "instrument_weights", {})) - traded,
    }
    return [(what, sorted(names)) for what, names in told.items() if names]


def _weightless(portfolio):
    """Strategies whose weight nobody reads: their contracts or amounts are told as such."""
    rule = portfolio.sizing
    amounts = isinstance(rule, FixedContracts | FixedNotional) and not rule.per_capital
    for label, sleeve in zip(portfolio.labels(), portfolio.strategies, strict=True):
        if sleeve.weight != 1 and (amounts or sleeve.strategy.kind() == "targets"):
            yield label


def _idle(market, portfolio, finer, inside=None):
    """Notes on settings that change nothing, where somebody may think they do."""
    for what, names in _strangers(market, portfolio):
        yield f"{what} of markets that are not traded: {', '.join(names)}"
    if labels := list(_weightless(portfolio)):
        yield f"weight changes nothing where contracts or amounts are told: {', '.join(labels)}"
    costs, execution = portfolio.costs, portfolio.execution
    factors = [costs.impact_factor, *(one.impact_factor for one in costs.roots.values())]
    factors += [row.get("impact_factor") for row in costs.dated]
    without = {
        "portfolio.rebalance, for no strategy has capital of its own": (
            portfolio.rebalance != "never" and all(sleeve.capital is None for sleeve in portfolio.strategies)
        ),
        "limits.groups, for there is no limits.group_risk": (
            bool(portfolio.limits.groups) and portfolio.limits.group_risk is None
        ),
        "costs.impact_factor, for costs.impact is 'none'": (
            costs.impact == "none" and any(factor is not None for factor in factors)
        ),
        "execution.ties = 'finer', for there are no bars within the day": (
            execution.ties == "finer" and (finer is None or not len(finer.first))
        ),
        "execution.bars = 'within', for there are no bars within the day": (
            execution.bars == "within" and inside is not None and not inside.any()
        ),
        f"execution.decision, for the hours are not known of {', '.join(market.names)}": (
            execution.decision != OWN and market.hours is None
        ),
        "execution.stale_leg_days, for no spread is traded": (
            execution.stale_leg_days != execution.param["stale_leg_days"].default
            and not any(set(sleeve.markets) & set(portfolio.spreads) for sleeve in portfolio.strategies)
        ),
        "margin.intraday, for execution.bars is 'day'": portfolio.margin.intraday != 1 and execution.bars == "day",
    }
    yield from (f"without effect: {what}" for what, idle in without.items() if idle)


def _unlimited(market, limits):
    """Limits by volume or open interest that cannot bind, for none is stored of some markets."""
    for share, what, values in (
        ("volume_share", "volume", market.volume), ("open_interest_share", "open interest", market.open_interest),
    ):  # fmt: skip
        none = [name for m, name in enumerate(market.names) if np.isnan(values[:, m]).all()]
        if getattr(limits, share) is not None and none:
            yield f"limits.{share} limits nothing of markets without stored {what}: {', '.join(none)}"


def _inside(market, inside):
    """On how many of their days the markets' bars within the day were there and told the daily bar."""
    traded = ~np.isnan(market.mark)
    told = inside & traded
    share = told.sum() / max(traded.sum(), 1)
    text = f"bars within the day were read on {told.sum():,} of {traded.sum():,} market-days ({share:.0%})"
    none = [name for name, count in _each(market, told) if not count]
    return text + (f"; none of {', '.join(none)}" if none else "")


def _broken(market, ledger, placed):
    """Spreads of which a leg could no longer trade, and legs that are still held without the others."""
    rows = ledger.events[ledger.events[:, 2] == SPREAD_BROKEN]
    members, found = placed.lines.member, {}
    for t, line in rows[:, :2].astype(np.int64).tolist():
        if line == 0 or members[line - 1] != members[line]:  # each leg has an event
            found.setdefault(placed.names[members[line]], []).append(market.days[t])
    if not found:
        return
    told = ", ".join(f"{name} {len(days)} (first {min(days)})" for name, days in found.items())
    count = sum(map(len, found.values()))
    yield f"spreads broken, a leg could no longer trade and the others were closed: {count}: {told}"
    last = ledger.position[-1]
    alone = [
        f"{placed.names[j]} {market.names[placed.lines.instrument[i]]} {last[i]:g}"
        for i, j in enumerate(members)
        if last[i] != 0 and (last[members == j] == 0).any()
    ]
    if alone:
        yield f"legs of broken spreads that are still held at the end: {', '.join(alone)}"


def notes(market, portfolio, estimated, ledger, events, finer=None, inside=None, placed=None):
    """What a reader of the result must know.

    `finer` are the bars within the day that were read, and `inside`, bool (time, market), says on which days there were
    any; none, if the portfolio asks for none; `placed` is the `Layout` of a portfolio.
    """
    yield from _idle(market, portfolio, finer, inside)
    yield from _unlimited(market, portfolio.limits)
    if inside is not None and inside.any():
        yield _inside(market, inside)
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
    gone = {}
    for event in closed:
        days = gone.setdefault(event["root"], []) if event["day"] <= last.get(event["root"], "9999") else [event["day"]]
        if event["day"] not in days:  # two lines of one contract are two events
            days.append(event["day"])
    if gone:
        yield f"closed because no price to roll at came in time: {', '.join(_spans(gone))}"
    if placed is not None:
        yield from _broken(market, ledger, placed)
    if not len(ledger.trades):
        yield "nothing was traded: see events and available markets; the capital may be too small for one contract"
    of = dict(zip(market.names, market.roots, strict=True))
    proxies = [f"{name} {n} of {market.sources[of[name]]['proxy']}" for name, n in _each(market, market.proxy) if n]
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
    late = unbooked(market.days, portfolio.cash.payments, portfolio.start)
    if late:
        yield f"payments that no bar books: {', '.join(dict.fromkeys(str(row['day']) for row in late))}"
    if market.simulated:
        yield "prices are simulated"
