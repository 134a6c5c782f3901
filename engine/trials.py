"""Trials: the same portfolio many times with something changed, side by side: the rule by which it rolls, or the
settings of a grid (`sweep`)."""

import polars as pl

from engine import swept
from engine.backtest import backtest, market_of, roots_of, within_the_day
from engine.book import CAUSES
from engine.costs import Costs, side_cost
from engine.draft import half_done
from engine.grid import Grid
from engine.market import RuleRefused, RuleUnknown, checked_rule, refused, specified
from engine.portfolio import Portfolio
from engine.sections import Rolls
from engine.settings import ConfigError, assign, nearest
from engine.sweep import identity, sweep
from store import locks, roll_names, sweeps, tags
from store.contracts import Master
from store.segments import Refused

__all__ = ["HalfDone", "roll_cost", "stored_sweep", "sweep", "under_rules"]

METRICS = ("total_return", "annual_return", "volatility", "sharpe", "max_drawdown", "final_equity", "trades")
COMPARED = ("final_equity", "annual_return", "sharpe", "max_drawdown")
UNDER_RULES = {
    "rule": pl.String,
    **{name: pl.Int64 if name == "trades" else pl.Float64 for name in METRICS},  # as `engine.metrics` defines them
    "rolls": pl.Int64,  # of positions: a line that holds nothing on a roll day rolls nothing
    **dict.fromkeys(CAUSES, pl.Float64),  # the ledger by cause [account currency]
    "profit": pl.Float64,  # sum of the causes [account currency]
    **{f"{name}_difference": pl.Float64 for name in COMPARED},  # to the first rule that could be run
    "error": pl.String,  # why the portfolio could not be run by this rule; all else is null then
}


class HalfDone(ValueError):
    """A sweep that was interrupted, and was not asked to go on."""


def under_rules(archive, portfolio, rules, roots=None, snapshot=None, progress=None):
    """What a portfolio earns under each of several roll rules.

    Nothing is saved. All runs read one version of the data, so the same call gives the same numbers.

    Parameters
    ----------
    archive : Archive
    portfolio : Portfolio
        Its own rules stay for the markets that are not in `roots`.
    rules : sequence of str
        See `store.roll_rules`; the first is the one that the others are compared with.
    roots : list of str, optional
        Markets of the portfolio that roll by them; all, if not given.
    snapshot : Snapshot, optional
        Version of the data; the newest, if not given.
    progress : callable(done, total, rule), optional

    Returns
    -------
    polars.DataFrame
        Columns `UNDER_RULES`, one row a rule. A rule that names a roll calendar which is not stored of every market is
        told in `error`, and the others go on.

    Raises
    ------
    ConfigError
        A text that is no rule of a portfolio, or a root that this one does not trade.
    """
    snapshot = snapshot or archive.head()
    wanted = list(dict.fromkeys(str(rule).strip() for rule in rules))
    traded = roots_of(portfolio, specified(archive, snapshot)[0], refused(archive, snapshot))
    for root in roots or ():
        if root not in traded:
            raise ConfigError(
                f"the portfolio does not trade {root!r}; allowed: {', '.join(traded)}{nearest(root, traded)}"
            )
    portfolios = {rule: _rolled(portfolio, rule, roots) for rule in wanted}
    rows = []
    for done, (rule, changed) in enumerate(portfolios.items()):
        if progress:
            progress(done, len(wanted), rule)
        try:
            run = backtest(market_of(archive, changed, traded, snapshot), changed)
        except (LookupError, ValueError, Refused) as error:  # a rule that gives some market no calendar
            if isinstance(error, ConfigError) and not isinstance(error, RuleRefused | RuleUnknown):
                raise
            rows.append({"rule": rule, "error": str(error)})
        else:
            rows.append({"rule": rule} | _numbers(run))
    if progress:
        progress(len(wanted), len(wanted), "")
    first = next((row for row in rows if "error" not in row), {})
    return pl.DataFrame([row | _differences(row, first) for row in rows], UNDER_RULES)


def stored_sweep(archive, portfolio, grid, *, resume=False, force=False, wait=600.0, tell=None, **how):
    """Sweep and keep the result in the store; one that is stored already is returned as it is, unless `force`.

    Parameters
    ----------
    archive : Archive
    portfolio : Portfolio
    grid : dict of {key: values}
    resume : bool
        Go on with one that was interrupted.
    force : bool
        Sweep again although it is stored, or half done.
    wait, tell
        As `store.locks.hold` takes them: one sweep of a store goes at a time.
    **how
        keep, screen, best, by, threads, progress, block; see `sweep`.

    Returns
    -------
    (Sweep, bool)
        And whether it was stored already.

    Raises
    ------
    HalfDone
        It was interrupted: neither `resume` nor `force` was asked for.
    """
    snapshot = archive.head()
    with tags.hold(archive, [snapshot.number], "sweep"):
        roots = roots_of(portfolio, specified(archive, snapshot)[0], refused(archive, snapshot))
        market = market_of(archive, portfolio, roots, snapshot)
        market, bars, within = within_the_day(archive, market, portfolio, snapshot)
        grid = Grid.of(portfolio, grid)
        named = {name: how[name] for name in ("keep", "screen", "best", "by") if name in how}
        sweep_id = identity(market, portfolio, grid, **named)
        if not force and sweep_id in sweeps.ids(archive):
            return swept.load(sweeps.folder(archive, sweep_id)), True
        with locks.hold(archive, "trials", "sweep", wait, tell):
            draft = sweeps.draft(archive, sweep_id)
            if force:
                sweeps.drop(archive, sweep_id)
            elif not resume and (done := half_done(draft)):
                raise HalfDone(
                    f"sweep {sweep_id} is half done, {done:,} of {len(grid):,} trials: --resume goes on with it, "
                    f"--force begins anew"
                )
            sweep(market, portfolio, grid, into=draft, resume=True, bars=bars, within=within, **how)
            sweeps.publish(archive, sweep_id)
    return swept.load(sweeps.folder(archive, sweep_id)), False


def roll_cost(master, root, costs=None):
    """What one contract costs to roll: two sides, each with commission and slippage; the spread itself is no cost.

    Parameters
    ----------
    master : Master or Archive
        Facts of the markets; of an archive, with the user's own beside it.
    root : str
    costs : Costs, optional
        Of a portfolio; the figures of `config/costs.toml`, if not given. Commission is taken `roll_commission` times.

    Returns
    -------
    (float, str)
        [currency / contract and roll] and that currency, the contract's.

    Raises
    ------
    UnknownRoot
        A market whose facts are not known.

    Source: DOMAIN T5 and T55. A roll of the S&P future, a tick of 0.25 points a leg at 50 dollars and 2.10 a side:

    >>> roll_cost(Master.load(), "ES", Costs(commission_per_side=2.10, slippage_ticks=1.0))
    (29.2, 'USD')
    """
    costs, known = costs or Costs(), master if isinstance(master, Master) else Master.load(master.path)
    spec = known.spec(root)
    cost = costs.of(root, spec.currency, roll=True)
    return 2 * side_cost(cost.commission_per_side, cost.slippage_ticks, spec.tick, spec.multiplier), spec.currency


def _rolled(portfolio, rule, roots):
    """A copy of the portfolio that rolls by `rule`, or whose markets `roots` do."""
    checked, own = Rolls(fill=portfolio.rolls.fill), portfolio.rolls
    assign(checked, "rule", rule, "[rolls]")
    name = rule.partition(",")[0].strip()
    checked_rule(rule, names=[name] if roll_names.possible(name) else [])
    if roots:
        checked.roots = own.roots | dict.fromkeys(roots, checked.rule)
        checked.rule = own.rule
    return Portfolio(**(portfolio.param.values() | {"rolls": checked}))


def _numbers(run):
    metrics = run.metrics()
    ledger = run.summary["ledger"]
    return {
        **{name: metrics[name] for name in METRICS},
        "rolls": int(run.trades()["rolls"].sum()),
        **ledger,
        "profit": sum(ledger.values()),
    }


def _differences(row, first):
    return {f"{name}_difference": _less(row[name], first[name]) for name in COMPARED if name in row}


def _less(value, other):
    return None if value is None or other is None else value - other
