"""What a stored run would have earned had its contracts been rolled by other rules.

The run is played again from the snapshot that it was made of, once as it is and once a rule, in all its markets or in
one alone. The rest of the portfolio stays as it is; nothing is saved.
"""

import polars as pl

from engine.analysis.scene import scene_of, with_params
from engine.analysis.whatif import ROLL_COSTS
from engine.settings import ConfigError, nearest

AS_RUN = "as it was run"
METRICS = ("final_equity", "total_return", "annual_return", "sharpe", "max_drawdown")  # of engine.metrics
RULED = {  # column -> polars type
    "rule": pl.String,  # or AS_RUN
    **dict.fromkeys(METRICS, pl.Float64),
    "market_profit": pl.Float64,  # of the market alone, after costs; null where all are rolled [account currency]
    "roll_costs": pl.Float64,  # commission, slippage and impact of rolling, of the market or of all [account currency]
    "rolls": pl.Int64,  # of positions of the market, or of all
    "difference": pl.Float64,  # of the final equity, to AS_RUN [account currency]
    "error": pl.String,  # why it could not be run by this rule; all else is null then
}


def under_rules(archive, run, rules, root=None, progress=None):
    """A stored run under each of several roll rules.

    Parameters
    ----------
    archive : Archive
    run : RunResult
    rules : sequence of str
        See `store.roll_rules`, or names of stored calendars.
    root : str, optional
        The market that rolls by them; all, if not given.
    progress : callable(done, total, rule), optional

    Returns
    -------
    polars.DataFrame
        Columns `RULED`: `AS_RUN` first, then one row a rule; of one without a calendar `error` tells why.

    Raises
    ------
    ConfigError
        The run does not trade the market.
    NotRunHere, SourceChanged
        The run cannot be played again, see `scene.scene_of`.
    """
    scene = scene_of(archive, run)
    traded = list(dict.fromkeys(scene.market.roots))
    if root is not None and root not in traded:
        raise ConfigError(f"the run does not trade {root!r}; allowed: {', '.join(traded)}{nearest(root, traded)}")
    wanted = [AS_RUN, *dict.fromkeys(str(rule).strip() for rule in rules)]
    rows = []
    for done, rule in enumerate(wanted):
        if progress:
            progress(done, len(wanted), rule)
        try:
            played = (scene if rule == AS_RUN else _rolled(scene, rule, root)).played()
        except (LookupError, ValueError) as error:  # a rule that gives some market no calendar
            rows.append({"rule": rule, "error": str(error)})
        else:
            rows.append({"rule": rule} | _told(played, root))
    if progress:
        progress(len(wanted), len(wanted), "")
    first = rows[0].get("final_equity")
    for row in rows:
        if first is not None and "final_equity" in row:
            row["difference"] = row["final_equity"] - first
    return pl.DataFrame(rows, RULED)


def _rolled(scene, rule, root):
    """The scene whose markets, or whose market `root` alone, roll by a rule."""
    own = scene.portfolio.rolls
    changed = {"rule": rule, "roots": {}} if root is None else {"roots": own.roots | {root: rule}}
    return scene.load(with_params(scene.portfolio, rolls=with_params(own, **changed)))


def _told(run, root):
    metrics, ledger, trades = run.metrics(), run.ledger(), run.trades()
    profit = None
    if root is not None:
        ledger, trades = (frame.filter(pl.col("root").cast(pl.String) == root) for frame in (ledger, trades))
        profit = ledger["amount"].sum()
    paid = ledger.filter(pl.col("cause").cast(pl.String).is_in(ROLL_COSTS))["amount"].sum()
    told = {name: metrics.get(name) for name in METRICS}
    return told | {"market_profit": profit, "roll_costs": 0.0 - paid, "rolls": int(trades["rolls"].sum())}
