"""Rules of one market side by side: what each costs, what its holder earns, and what a portfolio earns under it."""

from app.commands.data import code_text, priced
from app.commands.output import emit, money, number, percent, progress, say, table
from app.commands.portfolios import portfolio_of

MEASURES = {  # of a rule: heading -> text of its summary row
    "rolls": lambda r: number(r["rolls"], ",d"),
    "a year": lambda r: number(r["rolls_per_year"], ".1f"),
    "sessions before the last allowed day (median)": lambda r: number(r["sessions_left_median"], ".0f"),
    "volume left in the old contract (mean)": lambda r: percent(r["from_share_mean"], 0),
    "spread, its size (mean) [points]": lambda r: number(r["spread_size_mean"], ".5g"),
    "days in illiquid months": lambda r: _part(r["illiquid_days"], r["illiquid_share"]),
    "rolls that waited for a price": lambda r: number(r["waited"], ",d"),
    "rolls forced": lambda r: percent(r["forced_share"], 0),
    "rolls by date, for want of a crossing": lambda r: percent(r["fallback_share"], 0),
    "  of them, activity unknown": lambda r: percent(r["unknown_share"], 0),
    "positions closed for want of a price": lambda r: number(r["closed"], ",d"),
    "cost of rolling a year": lambda r: money(r["cost_per_year"]),
    "profit of a long holder [points]": lambda r: number(r["total_points"], "+,.10g"),
    "  of it by price": lambda r: number(r["price_points"], "+,.10g"),
    "  of it by rolling": lambda r: number(r["roll_points"], "+,.10g"),
    "profit of a long holder": lambda r: money(r["total_money"]),
    "  by rolling": lambda r: money(r["roll_money"]),
}
EARNED = {  # of a portfolio under a rule
    "total return": lambda r: percent(r["total_return"]),
    "annual return": lambda r: percent(r["annual_return"], 2),
    "Sharpe ratio": lambda r: number(r["sharpe"], ".3f"),
    "largest drawdown": lambda r: percent(r["max_drawdown"]),
    "rolls of positions": lambda r: number(r["rolls"], ",d"),
    "roll commission": lambda r: money(r["roll_commission"]),
    "roll slippage": lambda r: money(r["roll_slippage"]),
    "final equity": lambda r: money(r["final_equity"]),
    "  less that of the first rule": lambda r: money(r["final_equity_difference"]),
}


def compare(context, archive, root, rules, portfolio, show):
    from engine.costs import Costs
    from engine.trials import roll_cost, under_rules
    from store import history, laboratory
    from store.roll_names import is_rule

    bars, spec = priced(archive, root)[1], history.spec(archive, root)
    wanted = None if portfolio is None else portfolio_of(portfolio, archive)
    cost, currency = roll_cost(archive, root, wanted.costs if wanted else Costs()) if spec else (None, None)
    given = {rule: history.calendar(archive, root, rule)[0] for rule in rules if not is_rule(rule)}  # as --rule has it
    side = None if cost is None else cost / 2
    with progress("compare") as bar:
        found = laboratory.compare(bars, spec, rules, given, bar, side_cost=side)
    document = {"root": root, "currency": currency, "first": found.first, "last": found.last}
    document |= {"rules": found.summary.to_dicts()}
    document["rolls"] = [_pair(row, found.calendars) for row in found.rolls.to_dicts()]
    if wanted is not None:
        with progress("run") as bar:
            document["portfolio"] = under_rules(archive, wanted, rules, [root], progress=bar).to_dicts()
    emit(context, document, lambda _: _show_comparison(document, show))


def _pair(row, rules):
    """A pair of contracts that some rule rolls, with the day and the spread of each rule."""
    pair = {name: code_text(row[f"{name}_contract"]) for name in ("from", "to")}
    return pair | {f"{what}s": {rule: row[f"{what} {rule}"] for rule in rules} for what in ("day", "spread")}


def _show_comparison(document, show):
    if show:
        columns = {"from": lambda r: r["from"], "to": lambda r: r["to"]}
        for what in ("day", "spread"):
            rules = [row["rule"] for row in document["rules"] if not row["error"]]
            columns |= {f"{what} {rule}": (lambda r, w=f"{what}s", rule=rule: _cell(r[w][rule])) for rule in rules}
        table(document["rolls"], columns)
    told = f"{document['root']}, {document['first']} to {document['last']}"
    told += f", one contract, money in {document['currency']}" if document["currency"] else ""
    _transposed(document["rules"], MEASURES, told)
    if "portfolio" in document:
        _transposed(document["portfolio"], EARNED, f"the portfolio, {document['root']} rolled by each rule")


def _transposed(rows, measures, title):
    """A table with a column a rule; measures that no rule has are left out, errors are told below."""
    good = [row for row in rows if row["error"] is None]
    lines = [{"": heading} | {row["rule"]: show(row) for row in good} for heading, show in measures.items()]
    lines = [line for line in lines if any(line[row["rule"]] for row in good)]
    if good:
        table(
            lines, {"": lambda r: r[""]} | {r["rule"]: (lambda line, n=r["rule"]: line[n]) for r in good}, title=title
        )
    for row in rows:
        if row["error"] is not None:
            say(f"{row['rule']}: {row['error']}")


def _cell(value):
    return number(value, "+.10g") if isinstance(value, float) else value


def _part(count, share):
    return "" if count is None else f"{count:,} ({percent(share)})"
