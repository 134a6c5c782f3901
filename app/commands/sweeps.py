"""The verbs sweep and sweeps: a portfolio with every combination of some settings, each recorded."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from app.commands.data import day_of, holding, opened, outside, store_words
from app.commands.output import compiling, counted, emit, money, number, percent, progress, say, table
from app.commands.portfolios import portfolio_of

left = []  # what an interrupted sweep of this process has kept, and how it goes on
SHOWN = 10  # of the best trials, in a table
Sort = Annotated[str, typer.Option(metavar="STATISTIC", help="What the best are the best by.")]
Out = Annotated[
    str | None, typer.Option(metavar="DIR", help="Write trials.csv and heatmap.svg there.", show_default=False)
]
Heat = Annotated[
    tuple[str, str] | None,
    typer.Option(metavar="KEY KEY", help="Axes of the heat map; else the first two params.", show_default=False),
]
Csv = Annotated[bool, typer.Option("--csv", help="Print all trials as CSV, and nothing else.")]


def sweep(
    context: typer.Context,
    portfolio: Annotated[
        Path,
        typer.Argument(metavar="PORTFOLIO.toml", help="A file, or a name, as of `run`.", show_default=False),
    ],
    grid: Annotated[
        list[str] | None,
        typer.Option(
            "--grid",
            metavar="KEY=VALUES",
            help="START:STOP:STEP (with its end), VALUE,VALUE or both; may be repeated.",
            show_default=False,
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of all trials.", show_default=False),
    ] = None,
    start: Annotated[str | None, typer.Option(metavar="DAY", help="First day, as 2001-01-31.")] = None,
    end: Annotated[str | None, typer.Option(metavar="DAY", help="Last day.")] = None,
    keep: Annotated[int, typer.Option(metavar="N", min=0, help="Trials whose daily returns are kept.")] = 2000,
    screen: Annotated[bool, typer.Option("--screen", help="Screen all, run the best in full.")] = False,
    best: Annotated[int, typer.Option(metavar="N", min=1, help="With --screen: how many are run in full.")] = 20,
    threads: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="As many as processors, at most 8; results are the same."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with one that was interrupted.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Sweep again although it is stored, or half done.")] = False,
    sort: Sort = "sharpe",
    heat: Heat = None,
    out: Out = None,
    csv: Csv = False,
):
    """Trade a portfolio with every combination of some settings, and keep the statistics of each.

    The same sweep again is not computed: the stored one is shown. Ctrl-C keeps what is done; --resume goes on.
    """
    for change in set_ or []:
        if not change.partition("=")[1]:
            raise typer.BadParameter(f"{change}: write KEY=VALUE, as sizing.target=0.1", param_hint="--set")
    if resume and force:
        raise typer.BadParameter("--resume and --force do not go together; one of them")
    if csv and context.obj.json:
        raise typer.BadParameter("--csv and --json do not go together; one of them")
    days = {"start": day_of(start, "--start"), "end": day_of(end, "--end")}
    from engine import grid as grids
    from engine.trials import stored_sweep

    archive = opened(context)
    folder = _folder(archive, out)
    wanted = _wanted(grid, grids)
    changes = [*(set_ or []), *(f"portfolio.{key}={day}" for key, day in days.items() if day)]
    asked = portfolio_of(portfolio, archive, changes)
    _checked(sort, heat, grids.Grid.of(asked, wanted))
    words = _words(context, portfolio, grid, changes, keep, screen, best)
    counts = []
    try:
        with progress("sweep") as bar, compiling(bar):
            made, stored = stored_sweep(
                archive, asked, wanted, resume=resume, force=force, keep=keep, screen=screen, best=best, by=sort,
                threads=threads, progress=_counting(counts, bar), wait=context.obj.wait, tell=_tell,
            )  # fmt: skip
    except KeyboardInterrupt:
        if counts:
            done, total = counts[-1]
            left.append(f"{done:,} of {total:,} trials are kept; this goes on: {shlex.join([*words, '--resume'])}")
        raise
    if stored:
        typer.echo(f"sweep {made.id} is stored already; --force computes it again", err=True)
    run = ["frontmonth", *store_words(context), "run", str(portfolio)]
    run += [word for change in changes for word in ("--set", change)]
    _told(context, made, stored, run, sort, heat, folder, csv, asked)


def sweeps(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="SWEEP", help="Its id, or the beginning of it.", show_default=False)
    ] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Take it out of the store.")] = False,
    sort: Sort = "sharpe",
    heat: Heat = None,
    out: Out = None,
    csv: Csv = False,
):
    """The stored sweeps, newest first; or one of them, as it was shown when it was made."""
    from store import sweeps as places

    if delete and name is None:
        raise typer.BadParameter("says nothing without a SWEEP; `frontmonth sweeps` lists them", param_hint="--delete")
    archive = opened(context)
    if name is None:
        return emit(context, _listed(archive, places), _show_list)
    found = [one for one in dict.fromkeys((*places.ids(archive), *places.drafts(archive))) if one.startswith(name)]
    if len(found) != 1:
        what = "no sweep" if not found else f"{len(found)} sweeps"
        raise ValueError(f"{what} {name!r} in {archive.place}; `frontmonth sweeps` lists them")
    if delete:
        with holding(context, archive, "trials"):
            places.drop(archive, found[0])
        return emit(context, {"deleted": found}, lambda d: say(f"sweep {d['deleted'][0]} deleted"))
    if found[0] not in places.ids(archive):
        raise ValueError(f"sweep {found[0]} is half done: `frontmonth sweep ... --resume` goes on with it")
    from engine import swept
    from engine.portfolio import Portfolio

    made = swept.load(places.folder(archive, found[0]))
    run = ["frontmonth", *store_words(context), "run", str(made.folder / "portfolio.toml")]
    known = Portfolio.from_toml(made.folder / "portfolio.toml") if _ours(made) else None
    _told(context, made, True, run, sort, heat, _folder(archive, out), csv, known)


# ---- what is asked


def _wanted(texts, grids):
    if not texts:
        raise typer.BadParameter("none is given; write KEY=VALUES, as fast=5:50:5", param_hint="--grid")
    found = {}
    for text in texts:
        key, values = grids.parsed(text)
        if key in found:
            raise typer.BadParameter(f"{key} stands there twice; allowed: once", param_hint="--grid")
        found[key] = values
    return found


def _checked(sort, heat, grid):
    """Refuse what cannot be shown before anything is computed."""
    from engine.settings import ConfigError, nearest
    from engine.swept import checked

    checked(sort)
    for name in heat or ():
        if name not in grid.names:
            allowed = ", ".join(grid.names)
            raise ConfigError(f"--heat {name}: no key of --grid; allowed: {allowed}{nearest(name, grid.names)}")


def _folder(archive, out):
    if out is None:
        return None
    folder = Path(out)
    outside(archive, folder)
    if folder.exists() and not folder.is_dir():
        raise typer.BadParameter(f"{out} is a file; allowed: a folder", param_hint="--out")
    return folder


def _counting(counts, bar):
    """A progress that remembers how far it came."""

    def step(done, total, name):
        counts[:] = [(done, total)]
        if bar:
            bar(done, total, name)

    return step


def _tell(text):
    typer.echo(f"frontmonth: {text}", err=True)


def _words(context, portfolio, grid, changes, keep, screen, best):
    """The command again."""
    words = ["frontmonth", *store_words(context), "sweep", str(portfolio)]
    for option, values in (("--grid", grid), ("--set", changes)):
        words += [word for value in values for word in (option, value)]
    words += ["--keep", str(keep)] if keep != 2000 else []
    return words + (["--screen", "--best", str(best)] if screen else [])


# ---- what is shown


def _told(context, made, stored, run, sort, heat, folder, csv, portfolio):
    rows = made.best(SHOWN, sort).to_dicts()
    for row, mean in zip(rows, made.around([row["trial"] for row in rows], sort), strict=True):
        row["around"] = mean
    files = _written(made, rows, sort, heat, folder) if folder else []
    if csv:
        import sys

        return _csv(made.trials()).write_csv(sys.stdout)
    summary = made.summary
    document = {key: value for key, value in summary.items() if key not in ("files", "checksum")}
    document |= {
        "stored": stored, "sort": sort, "best": rows, "table": str(made.folder), "files": files,
        "run": shlex.join([*run, *_changes(made, rows[0], portfolio)]) if rows else None, "why": _why(made),
    }  # fmt: skip
    emit(context, document, _show)


def _why(made):
    """Why combinations were refused: the first reasons, and how many there are of each."""
    import polars as pl

    found = made.scan().filter(pl.col("refused").is_not_null()).group_by("refused").agg(count=pl.len())
    found = found.sort("count", "refused", descending=[True, False]).head(3).collect(engine="in-memory")
    return [{"reason": reason, "count": count} for reason, count in found.iter_rows()]


def _changes(made, row, portfolio):
    """Words that make a run of a trial, keys as short as they may be."""
    from engine.grid import text_of

    words = []
    for name, key in made.summary["keys"].items():
        words += ["--set", f"{_short(name, key, portfolio)}={text_of(row[name])}"]
    return words


def _short(name, key, portfolio):
    from engine.portfolio import path_of, places
    from engine.settings import ConfigError

    try:
        return name if portfolio and ".".join(path_of(name, places(portfolio), "")) == key else key
    except ConfigError:  # short it would mean several
        return key


def _ours(made):
    """Whether the strategies of a stored sweep are all there."""
    from engine.portfolio import Portfolio
    from engine.settings import ConfigError

    try:
        return bool(Portfolio.from_toml(made.folder / "portfolio.toml"))
    except ConfigError:
        return False


def _show(document):
    if document["simulated"]:
        say("Simulated prices: this sweep says nothing about real markets.")
    say(
        f"sweep {document['sweep']}  {document['portfolio']}  {document['start']} to {document['end']}  "
        f"{counted(document['trials'], 'trial')}"
    )
    names, sort = list(document["grid"]), document["sort"]
    columns = {"trial": lambda row: row["trial"]}
    columns |= {name: (lambda row, name=name: row[name]) for name in names}
    shown = {
        "Sharpe": ("sharpe", _ratio), "annual return": ("annual_return", percent),
        "volatility": ("volatility", percent),
        "max drawdown": ("max_drawdown", percent), "trades": ("trades", _count), "costs": ("costs", money),
        "final equity": ("final_equity", money),
    }  # fmt: skip
    if sort not in [key for key, _ in shown.values()]:
        shown = {sort.replace("_", " "): (sort, _as_text(sort)), **shown}
    if document["screened"]:
        shown[f"screened {sort.replace('_', ' ')}"] = ("screened", _as_text(sort))
    columns |= {head: (lambda row, key=key, text=text: text(row[key])) for head, (key, text) in shown.items()}
    columns["neighbours"] = lambda row: _as_text(sort)(row["around"])
    if document["best"]:
        table(document["best"], columns)
    else:
        say(f"no trial that traded has a {sort.replace('_', ' ')}")
    if document["refused"]:
        say(f"refused: {counted(document['refused'], 'trial')}")
        for why in document["why"]:
            say(f"  {why['count']:,}: {why['reason']}")
    say(f"daily returns of {counted(document['kept'], 'trial')} kept in {document['table']}")
    if document["run"]:
        say(f"the best as a run: {document['run']}")
    for file in document["files"]:
        say(f"written: {file}")
    if not document["stored"] and document["combinations_per_second"]:
        rate = document["combinations_per_second"]
        say(f"{document['seconds']:.2f} s, {rate:,.0f} trials/s" if rate >= 10 else
            f"{document['seconds']:.2f} s, {rate:.2g} trials/s")  # fmt: skip


def _ratio(value):
    return number(value, ",.2f")


def _count(value):
    return number(value, ",.0f")


def _as_text(sort):
    from engine.metrics import METRICS

    return {"percent": percent, "money": money}.get(METRICS[sort].format, _ratio)


def _csv(frame):
    """A frame whose texts a spreadsheet does not run, without -0.0."""
    import polars.selectors as cs

    from store.answer import guarded

    return guarded(frame.with_columns(cs.float() + 0.0))


def _written(made, rows, sort, heat, folder):
    """Write trials.csv and the heat map; names of the files."""
    from app.heatmap import picture
    from engine.metrics import METRICS

    folder.mkdir(parents=True, exist_ok=True)
    _csv(made.trials()).write_csv(folder / "trials.csv")
    several = [name for name, values in made.summary["grid"].items() if len(values) > 1]
    first = sorted(made.names, key=lambda n: (n not in several, not made.summary["keys"][n].startswith("strategies.")))
    names = heat or tuple(first[:2])
    across, up = names if len(names) == 2 else (names[0], names[0])
    values = made.heat(across, up, sort)
    if across == up:  # of one key: a single row
        values, labels = values.diagonal()[None, :].copy(), ("", [""])
    else:
        labels = _labels(made, up)
    others = [name for name in several if name not in names]
    note = f"median over {', '.join(others)}; " if others else ""
    note += f"{counted(made.summary['trials'], 'trial')}, {made.summary['start']} to {made.summary['end']}"
    note += ", simulated prices" if made.summary["simulated"] else ""
    best = None
    if rows:
        place = [made.summary["grid"][name].index(_text(rows[0][name])) for name in names]
        best = (place[1], place[0]) if len(place) == 2 else (0, place[0])
    label = METRICS[sort].label
    label += f" [{made.summary['currency']}]" if METRICS[sort].format == "money" else ""
    title = f"{METRICS[sort].label} of {made.summary['portfolio']} by {' and '.join(dict.fromkeys(names))}"
    drawn = picture(values, _labels(made, across), labels, title, note, sort, best, label)
    (folder / "heatmap.svg").write_text(drawn, encoding="utf-8")
    return [str(folder / "trials.csv"), str(folder / "heatmap.svg")]


def _text(value):
    from engine.grid import text_of

    return text_of(value)


def _labels(made, name):
    unit = made.summary["units"].get(name, "")
    return (f"{name} [{unit}]" if unit else name), made.summary["grid"][name]


def _listed(archive, places):
    from engine import swept
    from engine.draft import half_done

    rows = []
    for sweep_id in places.ids(archive):
        try:
            summary = swept.load(places.folder(archive, sweep_id)).summary
        except swept.SweepDamaged as error:
            _tell(str(error))
            continue
        keys = ("sweep", "portfolio", "start", "end", "trials", "refused", "kept", "screened", "created", "grid")
        rows.append({key: summary[key] for key in keys} | {"done": summary["trials"]})
    rows += [
        {"sweep": sweep_id, "done": half_done(places.draft(archive, sweep_id)), "created": ""}
        for sweep_id in places.drafts(archive)
    ]
    return sorted(rows, key=lambda row: (row["created"], row["sweep"]), reverse=True)


def _show_list(rows):
    if not rows:
        say("No sweep yet: `frontmonth sweep trend --grid fast=10:50:10 --grid slow=100,200` makes one.")
        return
    table(
        rows,
        {
            "sweep": lambda r: r["sweep"],
            "portfolio": lambda r: r.get("portfolio", "half done: --resume"),
            "keys": lambda r: ", ".join(r.get("grid", ())),
            "start": lambda r: r.get("start"),
            "end": lambda r: r.get("end"),
            "trials": lambda r: f"{r['done']:,}",
            "created": lambda r: r["created"].replace("T", " ").removesuffix("+00:00"),
        },
    )


VERBS = {
    "sweep": (
        sweep,
        "A portfolio with every combination of some settings.",
        "frontmonth sweep trend --grid fast=5:50:5 --grid slow=50:200:10 --out sweep/",
    ),
    "sweeps": (sweeps, "The stored sweeps.", "frontmonth sweeps"),
}
