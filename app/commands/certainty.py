"""The sections `certainty`, `benchmark` and `payments` of a run: how sure its numbers are, what it was worth beside a
benchmark, and what the investor earned where money was paid in or out."""

from app.commands.output import number, percent, say, table
from app.commands.tables import Made, absent


def certainty(run, archive):
    """The Sharpe ratio with its errors, and a band for every number."""
    from engine.analysis.bands import of_run
    from engine.analysis.daily import Daily, account

    daily, made = Daily.of(run), Made()
    made.add(
        "Sharpe ratio",
        "Standard error and 95 % interval as if returns were independent, and with their serial correlation.",
        lambda: _sharpe(account(run, daily)),
    )
    made.add(
        "Bands",
        "Where 95 of 100 runs of a world like this past would have come out, by the stationary bootstrap.",
        lambda: _bands(of_run(archive, run, _market(archive, run))),
    )
    return made.all()


def benchmark(run, archive):
    """The run beside the benchmark that its portfolio names."""
    made = Made()
    made.add("Benchmark", "Alpha, beta and correlation are of returns in excess of interest.", lambda: _beside(run))
    made.add("Years", "Return of each year, of the run and of its benchmark.", lambda: _years(run.benchmark()))
    return made.all()


def payments(run, archive):
    """What was paid in and out, and returns by time and by money."""
    from engine.analysis.flows import flows

    made = Made()
    made.add(
        "Returns",
        "By time: of the strategy, as in the summary. By money: of the investor, whose payments came when they came.",
        lambda: _rates(run),
    )
    made.add(
        "Payments",
        "`booked` before that day's first bar, `day` is the evening before; `since` is the return from the payment "
        "before, or from the start.",
        lambda: flows(run),
    )
    return made.all()


def show_benchmark(beside):
    """The benchmark in the summary of a run."""
    from engine.analysis.benchmark import NUMBERS

    say(f"beside {beside['name']}, {beside['from']} to {beside['to']}:")
    rows = [(label, _shown(kind, beside[key])) for key, (label, kind, *_) in NUMBERS.items()]
    half = (len(rows) + 1) // 2
    pairs = [rows[k] + (rows[k + half] if k + half < len(rows) else ("", "")) for k in range(half)]
    table(pairs, {" " * k: (lambda row, k=k: row[k]) for k in range(4)})


def _shown(kind, value):
    return percent(value) if kind == "percent" else number(value, ",.2f")


def _sharpe(account):
    import polars as pl

    from engine.significance import estimates, probabilistic_sharpe, track_record_years

    ways = estimates(account.returns, account.interest)
    rows = [(name, *told) for name, told in ways.items()]
    frame = pl.DataFrame(rows, ("returns", "sharpe", "error", "low", "high"), orient="row").fill_nan(None)
    sure = probabilistic_sharpe(account.returns, account.interest)
    needed = track_record_years(account.returns, account.interest)
    told = [f"It is above 0 with {percent(sure)}." if sure == sure else ""]
    told += [f"95 % would take {needed:.1f} years; there are {account.years:.1f}." if needed == needed else ""]
    return frame, " ".join(told).strip()


def _market(archive, run):
    """The market that a run was made of, and that its fills tell of; None where it is not there as it was."""
    from engine.analysis.source import market_of_run

    try:
        run.fills()
        return market_of_run(archive, run)
    except absent():
        return None


def _bands(frame):
    import polars as pl

    from engine.metrics import METRICS

    names = frame["metric"].to_list()
    told = frame.with_columns(
        pl.Series("number", [METRICS[name].label for name in names]),
        pl.Series("format", [METRICS[name].format for name in names]),
    )
    keys = ("number", "value", "low", "median", "high", "error", "defined", "of", "block", "resamples", "format")
    seeds = f"{100 * frame['level'][0]:g} %, seed {frame['seed'][0]}." if len(frame) else ""
    if frame.filter(metric="turnover")["value"].null_count():
        seeds += " Turnover has none: the run's fills, or the market that it was made of, are not there."
    return told.select("metric", *keys), seeds


def _beside(run):
    import polars as pl

    from engine.analysis.benchmark import NUMBERS

    frame, told = run.benchmark(), run.summary["benchmark"]
    rows = [(label, told[key], kind) for key, (label, kind, *_) in NUMBERS.items()]
    made = pl.DataFrame(rows, ("number", "value", "format"), orient="row")
    return made, f"{told['name']}, {told['from']} to {told['to']}, {len(frame.drop_nulls()) - 1:,} days."


def _years(frame):
    import polars as pl

    known = frame.drop_nulls()
    last = known.group_by(year=pl.col("day").dt.year(), maintain_order=True).last()
    worth = pl.concat([known.head(1).with_columns(year=pl.col("day").dt.year()).select(last.columns), last])
    change = pl.col("equity", "benchmark") / pl.col("equity", "benchmark").shift(1) - 1.0
    return worth.with_columns(change)[1:].select("year", run="equity", benchmark="benchmark")


def _rates(run):
    import polars as pl

    from engine.analysis.flows import rates

    told = rates(run)
    shown = {
        "time_weighted": ("Annual return, by time", "percent"),
        "money_weighted": ("Annual return, by money", "percent"),
        "paid_in": ("Paid in", "money"),
        "paid_out": ("Paid out", "money"),
        "profit": ("Profit", "money"),
    }
    rows = [(label, told[key], kind) for key, (label, kind) in shown.items()]
    return pl.DataFrame(rows, ("number", "value", "format"), orient="row").fill_nan(None)
