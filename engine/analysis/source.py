"""What an analysis needs beside a run's tables: the market that the run was made of.

The market is loaded again from the snapshot of the run and must be the same, number by number: its hashes are compared
with those that the run wrote down.
"""

from engine.backtest import market_of, within_the_day


class SourceChanged(ValueError):
    """The data of a run are not there any more as it used them; the message says what differs and what to do."""


def market_of_run(archive, run):
    """The `Market` that a run was made of, with all history before its start.

    Parameters
    ----------
    archive : Archive
    run : RunResult

    Returns
    -------
    Market
        As `engine.backtest.market_of` loads it: margins as they are stored, the portfolio's rules not applied.

    Raises
    ------
    NotRunHere
        The run was imported from another program.
    SourceChanged
        The run does not name its snapshot, the snapshot is gone, or it gives other data than the run had.
    """
    run.ours("the market that it was made of")
    told = run.summary.get("snapshot")
    if told is None:
        raise SourceChanged(f"run {run.id} was made of no stored snapshot: its market cannot be loaded again")
    snapshot = archive.snapshot(told["number"])
    market = market_of(archive, run.portfolio, run.summary["markets"], snapshot)
    whole, _, _ = within_the_day(archive, market, run.portfolio, snapshot)
    was, now = run.summary["hashes"], whole.hashes
    if different := [name for name in ("data", "rolls") if was[name] != now[name]]:
        raise SourceChanged(
            f"run {run.id} was made of other {' and other '.join(different)} than snapshot {told['number']} gives now "
            f"(data {was['data'][:12]}, now {now['data'][:12]}): facts of contracts, holidays or the code have changed "
            "since; run its portfolio again (frontmonth run) and ask of that run"
        )
    return market
