"""Sections of a run: the tables that `frontmonth show RUN --section NAME` prints, as JSON and as CSV too.

SECTIONS maps a name to a function (run, archive) -> list of (title, DataFrame, note): the note says in a line how the
table is read. `app.commands.tables` says how columns are headed and shown.
"""

import re
from pathlib import Path

import typer

from app.commands.attribution import attribution
from app.commands.certainty import benchmark, certainty, payments
from app.commands.limiting import limits
from app.commands.output import emit, say, table, working
from app.commands.risks import exceeded, risk, trades
from app.commands.tables import columns


def regimes(run, archive, regime=None):
    """What was earned in which conditions; of one kind of regime, all that is told of it."""
    from engine.analysis.regime_tables import section

    return section(run, archive, regime)


SECTIONS = {
    "risk": risk, "trades": trades, "certainty": certainty, "benchmark": benchmark, "payments": payments,
    "regimes": regimes, "attribution": attribution, "limits": limits,
}  # fmt: skip


PICTURES = {"risk": exceeded}  # section -> function (run) -> {name: SVG}
OPTIONS = {  # option -> sections, their argument
    "by": (("attribution",), "by"),
    "regime": (("regimes", "attribution"), "regime"),
    "limits": (("limits",), "file"),
}


def asked(section, **options):
    """Arguments of a section, of the options that were given; wrong usage where one is for another section."""
    given = {option: value for option, value in options.items() if value is not None}
    for option in given:
        if section not in OPTIONS[option][0]:
            names = " and ".join(f"--section {name}" for name in OPTIONS[option][0])
            raise typer.BadParameter(f"is for {names}", param_hint=f"--{option}")
    return {OPTIONS[option][1]: value for option, value in given.items()}


def show(context, run, archive, section, folder=None, **asked):
    """Print a section, or write it as one CSV file a table into a folder; what is `asked` is for that section alone."""
    if section not in SECTIONS:
        allowed = ", ".join(SECTIONS)
        raise typer.BadParameter(f"{section!r} is no section; allowed are {allowed}", param_hint="--section")
    with working(f"{section} of run {run.id}"):
        made = SECTIONS[section](run, archive, **asked)
        drawn = PICTURES[section](run) if folder is not None and section in PICTURES else {}
    tell(context, run, made, section, folder, drawn)


def tell(context, run, made, section, folder=None, drawn=None, **more):
    """Print tables, each (title, DataFrame, note), or write them as CSV into a folder, and beside them what is drawn,
    {name: SVG}; `more` goes into the JSON."""
    summary = run.summary
    told = {key: summary[key] for key in ("run", "portfolio", "simulated")}
    told |= {"currency": run.portfolio.currency, "stamps": summary.get("stamps", []), "section": section} | more
    if folder is not None:
        files = written(made, section, Path(folder))
        for name, picture in (drawn or {}).items():
            file = Path(folder) / f"{section}-{name}.svg"
            file.write_text(picture, encoding="utf-8")
            files.append(str(file))
        emit(context, told | {"files": files}, lambda document: say("\n".join(document["files"])))
        return
    tables = [{"title": title, "note": note, "rows": frame.to_dicts()} for title, frame, note in made]
    emit(context, told | {"tables": tables}, lambda document: _show(document, made))


def written(made, section, folder):
    from store.answer import guarded

    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for title, frame, _ in made:
        file = folder / f"{section}-{re.sub(r'[^a-z0-9]+', '-', title.lower()).strip('-')}.csv"
        guarded(frame).write_csv(file)
        files.append(str(file))
    return files


def _show(document, made):
    if document["simulated"]:
        say("Simulated prices: this run says nothing about real markets.")
    for stamp in document["stamps"]:
        say(f"Stamped: {stamp}.")
    for title, frame, note in made:
        say(f"\n{title}. {note}")
        if len(frame):
            table(frame.to_dicts(), columns(frame, document["currency"]))
        else:
            say(" nothing")
