"""Verbs on runs: run, runs, show, replay, report, serve, demo."""

from pathlib import Path
from typing import Annotated

import typer

from app.commands.output import emit, money, percent, say, table


def register(app):
    """Add this group's verbs to the command."""
    app.command()(run)
    app.command()(runs)
    app.command()(show)
    app.command()(replay)
    app.command()(report)
    app.command()(serve)
    app.command()(demo)


def _archive(context):
    from store import open_archive

    return open_archive(context.obj.store)


def _portfolio(path, archive):
    from engine.portfolio import Portfolio
    from engine.strategy import load_user

    load_user(archive.path / "strategies")
    beside = archive.path / "portfolios" / path.name
    return Portfolio.from_toml(path if path.exists() or not beside.exists() else beside)


def run(
    context: typer.Context,
    portfolio: Annotated[Path, typer.Argument(metavar="PORTFOLIO.toml", show_default=False)],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE, as sizing.target=0.1; may be repeated.", show_default=False),
    ] = None,
    start: Annotated[str | None, typer.Option(help="First day, YYYY-MM-DD.")] = None,
    end: Annotated[str | None, typer.Option(help="Last day, YYYY-MM-DD.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Compute it again although it is stored.")] = False,
):
    """Backtest a portfolio; the run is saved under the hash of all that went in."""
    from engine.backtest import run as backtest

    archive = _archive(context)
    changes = [
        *(set_ or []),
        *([f"portfolio.start={start}"] if start else []),
        *([f"portfolio.end={end}"] if end else []),
    ]
    wanted = _portfolio(portfolio, archive).with_settings(changes)
    made, stored = backtest(archive, wanted, force=force)
    if stored and not context.obj.json:
        typer.echo(f"run {made.id} is stored already; --force computes it again", err=True)
    emit(context, made.summary, _show_run)


def _show_run(summary):
    from engine.metrics import METRICS

    show = {"percent": percent, "money": money, "ratio": lambda v: "" if v is None else f"{v:,.2f}"}
    if summary["simulated"]:
        say("Simulated prices: this run says nothing about real markets.")
    say(
        f"run {summary['run']}  {summary['portfolio']}  {summary['start']} to {summary['end']}  {len(summary['markets'])} markets"
    )
    rows = [
        (METRICS[name].label, show.get(METRICS[name].format, lambda v: "" if v is None else f"{v:,}")(_known(value)))
        for name, value in summary["metrics"].items()
    ]
    half = (len(rows) + 1) // 2
    pairs = [rows[k] + (rows[k + half] if k + half < len(rows) else ("", "")) for k in range(half)]
    table(pairs, {"": lambda r: r[0], " ": lambda r: r[1], "  ": lambda r: r[2], "   ": lambda r: r[3]})
    causes = {cause: amount for cause, amount in summary["ledger"].items() if amount}
    table(causes.items(), {"cause": lambda c: c[0], summary["currency"]: lambda c: money(c[1])})
    say(
        f"identity: contract and adjusted profit differ by {summary['identity_residual']:.2g} {summary['currency']}"
        f" ({'holds' if summary['identity_holds'] else 'BROKEN'})"
    )
    for note in summary["notes"]:
        say(f"note: {note}")
    seconds = summary["seconds"]
    say(
        f"{seconds['total']:.2f} s: load {seconds['load']:.2f}, simulate {seconds['simulate']:.3f}, analyse {seconds['analyse']:.2f}"
    )


def _known(value):
    return None if value is None or value != value else value


def runs(context: typer.Context):
    """The stored runs, newest first."""
    from engine import result

    rows = result.listed(_archive(context))
    emit(
        context,
        rows,
        lambda rows: (
            table(
                rows,
                {
                    "run": lambda r: r["run"],
                    "portfolio": lambda r: r["portfolio"] + (" (simulated)" if r["simulated"] else ""),
                    "start": lambda r: r["start"],
                    "end": lambda r: r["end"],
                    "markets": lambda r: len(r["markets"]),
                    "annual return": lambda r: percent(_known(r["metrics"]["annual_return"])),
                    "Sharpe": lambda r: f"{r['metrics']['sharpe'] or 0:.2f}",
                    "max drawdown": lambda r: percent(_known(r["metrics"]["max_drawdown"])),
                    "created": lambda r: r["created"],
                },
            )
            if rows
            else say("No run yet: `frontmonth run config/portfolios/trend.toml` makes one.")
        ),
    )


def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="RUN", help="Id, its beginning, a portfolio's name, or `last`.")],
):
    """The summary of a stored run."""
    from engine import result

    emit(context, result.load(_archive(context), name).summary, _show_run)


def replay(context: typer.Context, name: Annotated[str, typer.Argument(metavar="RUN")]):
    """Compute a stored run again from its own version of the data and compare the hashes."""
    from engine.backtest import replay as again

    before, after = again(_archive(context), name)
    different = [k for k, v in before.summary["hashes"].items() if after.summary["hashes"][k] != v]
    document = {
        "run": before.id, "same": not different, "different": different,
        "hashes": {"stored": before.summary["hashes"], "replayed": after.summary["hashes"]},
    }  # fmt: skip
    emit(
        context,
        document,
        lambda d: say(
            f"run {d['run']}: " + ("the same, hash for hash" if d["same"] else f"differs in {', '.join(different)}")
        ),
    )
    if different:
        raise typer.Exit(1)


def report(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="RUN")],
    out: Annotated[str, typer.Option(help="FILE.html, or a folder that ends in / for CSV tables.")],
):
    """A run as one HTML file that needs no network, or as a folder of CSV tables."""
    from engine import result

    found = result.load(_archive(context), name)
    target = Path(out)
    if target.suffix == ".html":
        from app.report import report as write

        write(found, target)
        files = [str(target)]
    elif out.endswith("/") or target.is_dir() or not target.suffix:
        files = [str(target / file) for file in found.export(target)]
    else:
        raise ValueError(f"--out {out}: allowed are a name ending in .html, and a folder ending in /")
    emit(context, {"run": found.id, "files": files}, lambda d: say("\n".join(d["files"])))


def serve(
    context: typer.Context,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 5006,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
):
    """The dashboard, on this machine only."""
    from app.serve import serve as start

    start(context.obj.store, port=port, open=open_)


def demo(
    context: typer.Context,
    no_serve: Annotated[bool, typer.Option("--no-serve", help="Stop before serving.")] = False,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 5006,
):
    """A store of simulated prices, one run, its report in ./demo/report.html, the dashboard."""
    from app.report import report as write
    from config import FOLDER
    from engine.backtest import run as backtest
    from engine.portfolio import Portfolio
    from store import open_archive, sample

    archive = open_archive(context.obj.store, create=True)
    counts = sample.build(archive)
    say(f"store of simulated prices in {archive.path}: {counts}")
    made, _ = backtest(
        archive, Portfolio.from_toml(FOLDER / "portfolios" / "trend.toml").with_settings(["start=2013-01-02"])
    )
    _show_run(made.summary)
    target = Path("demo") / "report.html"
    target.parent.mkdir(exist_ok=True)
    write(made, target)
    say(f"report: {target}")
    if not no_serve:
        from app.serve import serve as start

        start(context.obj.store, port=port, run=made.id)
