"""Verbs on runs: run, runs, show, replay, delete, serve, demo."""

import gc
import time
from contextlib import contextmanager
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer

from app.commands.data import day_of, opened, resolved
from app.commands.output import compiling, counted, emit, megabytes, money, number, percent, progress, say, table
from app.commands.portfolios import portfolio_of
from app.commands.tables import of_a_metric

Run = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="Its id or the beginning of it, its portfolio's name, or `last`.", show_default=False
    ),
]
SECTIONS = "risk, trades, certainty, benchmark, payments, regimes, attribution, limits"
KINDS = "volatility, trend, term, risk, states"
DIMENSIONS = (
    "cause, market, sector, currency, strategy, side, holding, entry_reason, exit_reason, weekday, month, year, regime"
)
YEAR = 365  # days, below which numbers of a year are told with a note
MANY = 4  # markets beyond which they are only counted
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")]


def run(
    context: typer.Context,
    portfolio: Annotated[
        Path,
        typer.Argument(
            metavar="PORTFOLIO.toml",
            help="A file; or the name of one that ships or lies beside the store.",
            show_default=False,
        ),
    ],
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a setting, as sizing.target=0.1; may be repeated.",
            show_default=False,
        ),
    ] = None,
    start: Annotated[str | None, typer.Option(metavar="DAY", help="First day, as 2001-01-31.")] = None,
    end: Annotated[str | None, typer.Option(metavar="DAY", help="Last day.")] = None,
    as_known: Annotated[
        str | None,
        typer.Option("--as-known", metavar="DAY", help="Use the store as it was on that day, restatements undone."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Compute it again although it is stored.")] = False,
    profile: Annotated[bool, typer.Option("--profile", help="Tell time and most memory of each stage.")] = False,
):
    """Backtest a portfolio and save the run under the hash of all that went in.

    The same run again is not computed: the stored one is shown.
    """
    for change in set_ or []:
        if not change.partition("=")[1]:
            raise typer.BadParameter(f"{change}: write KEY=VALUE, as sizing.target=0.1", param_hint="--set")
    days = {"start": day_of(start, "--start"), "end": day_of(end, "--end")}
    known = day_of(as_known, "--as-known")
    with untidied(context.obj.began is None):
        from engine.backtest import run as backtest
        from engine.stages import nothing

    stages = _stages(context.obj.began) if profile else nothing
    archive = opened(context)
    changes = [*(set_ or []), *(f"portfolio.{key}={day}" for key, day in days.items() if day)]
    wanted = portfolio_of(portfolio, archive, changes)
    with progress("run") as bar, compiling(bar):
        made, stored = backtest(archive, wanted, archive.as_known(known) if known else None, force, stages)
    if known:
        snapshot = made.summary["snapshot"]["number"]
        typer.echo(f"prices as they were stored on {known}: snapshot {snapshot}; contract facts as of now", err=True)
    if stored:
        typer.echo(f"run {made.id} is stored already; --force computes it again", err=True)
    told = {"profile": stages.told()} if profile else {}
    emit(context, made.summary | {"stored": stored} | told, _show_run)


@contextmanager
def untidied(own):
    """While modules are imported, nothing is looked for that nobody needs, for all of it stays; nor later among them.
    Only in a process of its own: in another one all is as it was."""
    if not own:
        yield
        return
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


def _stages(began):
    """A clock of stages, the first of which, the imports, is over."""
    from engine.stages import Stages
    from store import system

    stages = Stages(system, time.perf_counter() - system.age() if began is None else began)
    stages("imports")
    return stages


def _show_run(summary):
    currency = summary["currency"]
    if summary["simulated"]:
        say("Simulated prices: this run says nothing about real markets.")
    for stamp in summary.get("stamps", []):
        say(f"Stamped: {stamp}.")
    markets = summary["markets"]
    say(
        f"run {summary['run']}  {summary['portfolio']}  {summary['start']} to {summary['end']}  "
        + (f"{len(markets)} markets" if len(markets) > MANY else ", ".join(markets))
    )
    rows = _told(summary["metrics"])
    half = (len(rows) + 1) // 2
    pairs = [rows[k] + (rows[k + half] if k + half < len(rows) else ("", "")) for k in range(half)]
    table(pairs, {" " * k: (lambda row, k=k: row[k]) for k in range(4)})
    if "benchmark" in summary:
        from app.commands.certainty import show_benchmark

        show_benchmark(summary["benchmark"])
    table(_sums(summary["ledger"]), {"cause": lambda c: c[0], currency: lambda c: money(c[1])})
    if summary["identity_holds"] is None:
        say(f"identity unknown: {summary['program']} tells no contracts")
    else:
        held = "holds" if summary["identity_holds"] else "BROKEN"
        told = f"identity {held}: contract and adjusted profit differ by {summary['identity_residual']:.2g} {currency}"
        apart = summary.get("trades_residual")
        say(told if apart is None else f"{told}, trades and ledger by {apart:.2g}")
    for line in _trust(summary):
        say(line)
    if groups := summary.get("event_groups"):
        columns = {"event": "kind", "market": "market", "times": "count", "first": "first", "last": "last"}
        table(_happened(groups), {heading: (lambda row, key=key: row[key]) for heading, key in columns.items()})
    for note in summary["notes"]:
        say(f"note: {note}")
    if (days := (date.fromisoformat(summary["end"]) - date.fromisoformat(summary["start"])).days) < YEAR:
        say(f"note: less than a year, {counted(days, 'day')}: numbers of a year are those of the days, carried on")
    if "profile" in summary:
        _show_profile(summary["profile"])
    elif took := summary["seconds"]:
        _show_seconds(took)


def _show_seconds(took):
    parts = ", ".join(f"{part} {took[part]:.2f}" for part in ("load", "prepare", "simulate", "analyse") if part in took)
    say(f"{took['total']:.2f} s: {parts}")


def _show_profile(profile):
    columns = {"stage": lambda row: row[0], "seconds": lambda row: f"{row[1]:.3f}", "most memory": lambda row: row[2]}
    seconds, memory = profile["seconds"], profile["memory"]
    table([(stage, seconds[stage], megabytes(memory[stage])) for stage in seconds], columns)
    kernels = profile["kernels"]
    took = f" in {kernels['seconds']:.1f} s" if kernels["compiled"] else ""
    say(f"kernels: {kernels['from_cache']} taken from the disk, {kernels['compiled']} compiled{took}")


def _sums(ledger):
    """(cause, amount) of each cause that moved money; those that trades are made of add up to that of all trades."""
    from engine.book import CAUSES, OF_TRADES

    causes = [(cause, ledger[cause]) for cause in dict.fromkeys((*CAUSES, *ledger)) if ledger.get(cause)]
    of_trades = [(cause, amount) for cause, amount in causes if cause in OF_TRADES]
    told = [*of_trades, ("all trades", sum(amount for _, amount in of_trades)), *causes[len(of_trades) :]]
    return [*told, ("change of equity", sum(amount for _, amount in causes))]


def _happened(groups):
    """Events, a row a kind and market; one row of a kind that happened in more than MANY markets."""
    for kind, found in groupby(groups, key=lambda group: group["kind"]):
        rows = [group | {"market": group["market"] or "account", "count": f"{group['count']:,}"} for group in found]
        if len(rows) > MANY:
            count = sum(group["count"] for group in groups if group["kind"] == kind)
            first, last = min(row["first"] for row in rows), max(row["last"] for row in rows)
            told = {"market": f"{len(rows)} markets", "count": f"{count:,}", "first": first, "last": last}
            rows = [{"kind": kind} | told]
        yield from rows


def _trust(summary):
    """Lines on margins, ambiguous bars, break-even and events; none of a run of before 0.5."""
    if days := summary.get("margin_days"):
        yield f"margin, market-days: {', '.join(f'{name} {count:,}' for name, count in days.items())}"
    found = summary.get("ambiguous", {"bars": 0})
    if found["bars"]:
        ends = [f"{name} {money(one['final_equity'])}" for name, one in found["policies"].items() if one]
        range_ = f"; final equity {', '.join(ends)}" if ends else ""
        yield f"ambiguous: {found['bars']:,} bars in {percent(found['share'])} of the trades{range_}"
    ticks = {name: value for name, value in summary.get("break_even_ticks", {}).items() if value is not None}
    if ticks:
        told = [f"{name} {number(value, ',.2f')}" for name, value in ticks.items()]
        yield f"break-even, ticks a side more: {', '.join(told)}"
    capital = {name: value for name, value in summary.get("smallest_account", {}).items() if value}
    if capital and "smallest_account_day" in summary:  # of an older run it may be of another rounding
        most = max(capital, key=capital.get)
        yield (
            f"smallest account: {money(capital[most])} {summary['currency']} hold one contract or unit of {most} at a "
            f"forecast of 1, as sized on {summary['smallest_account_day'][most]}; no other market needs more"
        )
    if summary.get("events") and "event_groups" not in summary:
        yield f"events: {', '.join(f'{kind} {count:,}' for kind, count in summary['events'].items())}"


def _marks(summary):
    marks = [name for name, there in (("simulated", summary["simulated"]), ("stamped", summary.get("stamps"))) if there]
    marks += [summary["program"]] if summary.get("program") else []
    return f" ({', '.join(marks)})" if marks else ""


def _told(metrics):
    """(label, text) of each metric, in the order of the engine's list."""
    from engine.metrics import METRICS

    names = [name for name in METRICS if name in metrics]
    return [(METRICS[name].label, of_a_metric(METRICS[name].format, metrics[name], name)) for name in names]


def runs(context: typer.Context):
    """The stored runs, newest first."""
    from engine import result

    damaged = []
    rows = result.listed(opened(context), damaged)
    emit(context, rows, _show_runs)
    for reason in damaged:
        typer.echo(f"frontmonth: {reason}", err=True)


def _show_runs(rows):
    if not rows:
        say("No run yet: `frontmonth run trend` makes one.")
        return
    table(
        rows,
        {
            "run": lambda r: r["run"],
            "portfolio": lambda r: r["portfolio"] + _marks(r),
            "start": lambda r: r["start"],
            "end": lambda r: r["end"],
            "markets": lambda r: len(r["markets"]),
            "annual return": lambda r: percent(r["metrics"]["annual_return"]),
            "Sharpe": lambda r: number(r["metrics"]["sharpe"], ".2f"),
            "max drawdown": lambda r: percent(r["metrics"]["max_drawdown"]),
            "created": lambda r: r["created"].replace("T", " ").removesuffix("+00:00"),
        },
    )


def _option(name, told):
    """An option of `show` that has no value of its own."""
    return typer.Option(metavar=name, help=told, show_default=False)


def show(
    context: typer.Context,
    name: Run,
    section: Annotated[str | None, _option("NAME", f"Tables in place of the summary: {SECTIONS}.")] = None,
    csv: Annotated[str | None, _option("DIR/", "Write the tables as CSV files into this folder.")] = None,
    regime: Annotated[str | None, _option("KIND", f"Of --section regimes and attribution: {KINDS}.")] = None,
    by: Annotated[str | None, _option("A[,B]", f"Of --section attribution: one or two of {DIMENSIONS}.")] = None,
    limits: Annotated[Path | None, _option("FILE", "Of --section limits: the levels.")] = None,
):
    """The summary of a stored run, or the tables of one of its sections."""
    from app.commands import sections

    told = sections.asked(section, by=by, regime=regime, limits=limits)
    if csv is not None and section is None:
        raise typer.BadParameter("is for the tables of a --section; `report RUN --out DIR/` has all of a run",
                                 param_hint="--csv")  # fmt: skip
    from engine import result

    archive = opened(context)
    found = result.load(archive, name)
    if section is None:
        emit(context, found.summary, _show_run)
        return
    sections.show(context, found, archive, section, csv, **told)


def replay(context: typer.Context, name: Run):
    """Compute a stored run again from its own version of the data and compare the hashes.

    The exit code is 1 if any of them differs: those of the data, the rolls, the contracts' facts, the portfolio, the
    code, and of the result itself.
    """
    from engine.backtest import replay as again

    with progress("replay") as bar, compiling(bar):
        before, after = again(opened(context), name)
    stored, replayed = before.summary["hashes"], after.summary["hashes"]
    different = [name for name in stored if replayed[name] != stored[name]]
    document = {
        "run": before.id, "same": not different, "different": different,
        "hashes": {"stored": stored, "replayed": replayed},
    }  # fmt: skip
    emit(context, document, _show_replay)
    if different:
        raise typer.Exit(1)


def _show_replay(document):
    different = document["different"]
    told = "the same, hash for hash"
    if different:
        told = f"differs in {', '.join(different)}" + ("" if "result" in different else "; the result is the same")
    say(f"run {document['run']}: {told}")


def delete(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="RUN...", help="Ids, or their beginnings.", show_default=False)],
):
    """Take runs out of the store for good; prices stay."""
    from engine import result

    archive = opened(context)
    found = {made.id: made for made in (result.load(archive, name) for name in names)}
    for made in found.values():
        made.delete(archive)
    emit(context, {"deleted": list(found)}, lambda d: say("\n".join(f"run {run} deleted" for run in d["deleted"])))


def serve(
    context: typer.Context,
    port: Port = 5006,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
):
    """The dashboard, for this machine only; Ctrl-C ends it."""
    from app.serve import serve as start

    start(context.obj.store, port=port, open=open_)


def warm(context: typer.Context):
    """Compile all that a run may need, once for a machine and a version; else the first run does it."""
    from app.warm import warm as compile_all

    with progress("compile") as bar, compiling(bar, everything=True):
        done = compile_all(bar)
    emit(context, done, _show_warm)


def _show_warm(done):
    if done["compiled"]:
        say(f"compiled in {done['seconds']:.0f} s; `frontmonth run` has nothing to wait for now")
    else:
        say(f"warm already: {counted(done['from_cache'], 'kernel')} taken from the disk")


def demo(
    context: typer.Context,
    no_serve: Annotated[bool, typer.Option("--no-serve", help="Stop before serving.")] = False,
    port: Port = 5006,
):
    """A store of simulated prices, one run, its report in ./demo/report.html, the dashboard."""
    from store import checks, sample

    archive = opened(context, create=True)
    others = {s.labels["source"] for s in archive.files("contract_bars")} - {sample.SOURCE}
    if others:
        raise ValueError(
            f"{archive.place} holds prices of {', '.join(sorted(others))}: "
            "give the demo a store of its own, --store DIR"
        )
    from app.report import report as write
    from engine.backtest import run as backtest

    with progress("sample") as bar:
        counts = sample.build(archive, progress=bar)
    if not counts["skipped"]:
        with progress("check") as bar:
            checks.run(archive, resolved(archive, None), bar)
    with progress("run") as bar, compiling(bar):
        made, _ = backtest(archive, portfolio_of(Path("trend"), archive))
    file = write(made, Path("demo") / "report.html", archive=archive)
    document = {"store": str(archive.place), "sample": counts, "run": made.id, "report": str(file)}
    emit(context, document, lambda d: _show_demo(d, made.summary))
    if not no_serve:
        from app.serve import serve as start

        start(context.obj.store, port=port, run=made.id)


def _show_demo(document, summary):
    counts = document["sample"]
    told = "is there already" if counts["skipped"] else f"{counts['markets']} markets, {counts['rows']:,} rows"
    say(f"simulated prices in {document['store']}: {told}")
    _show_run(summary)
    say(f"report: {document['report']}")


VERBS = {
    "run": (
        run,
        "Backtest a portfolio.",
        "frontmonth run config/portfolios/trend.toml --set sizing.target=0.1 --set slow=150",
    ),
    "warm": (warm, "Compile all beforehand.", "frontmonth warm"),
    "runs": (runs, "The stored runs.", "frontmonth runs"),
    "show": (show, "A stored run: its summary, or a section.", "frontmonth show last --section risk"),
    "replay": (replay, "Prove that a run repeats, hash for hash.", "frontmonth replay last"),
    "delete": (delete, "Delete stored runs.", "frontmonth delete 3f9a0c"),
    "serve": (serve, "The dashboard.", "frontmonth serve --port 5006 --open"),
    "demo": (demo, "See it all on simulated prices.", "frontmonth demo --no-serve"),
}
