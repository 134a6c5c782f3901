"""Where the money of a run came from: the section `attribution`, and the verb `explain`.

`attribution(run, archive, by, regime)` gives the tables of the section, as (title, frame, note).
"""

from pathlib import Path
from typing import Annotated

import typer

from app.commands.data import day_of, opened
from app.commands.output import emit, money, number, say, table, working
from app.commands.runs import KINDS, Run

USUAL = (  # pairs of dimensions that the section shows where none is asked for
    ("market", "cause"), ("sector", "cause"), ("year", "cause"), ("side", "holding"), ("exit_reason", "side"),
    ("weekday", None), ("month", None),
)  # fmt: skip
SHOWN = {  # of `explain`: heading -> text of a row
    "day": lambda row: row["day"],
    "what": lambda row: row["what"],
    "cause": lambda row: row["cause"],
    "contract": lambda row: row["contract"],
    "contracts": lambda row: number(row["contracts"]),
    "from": lambda row: number(row["from_price"]),
    "to": lambda row: number(row["to_price"]),
    "adjusted": lambda row: number(row["adjusted"]),
    "x multiplier": lambda row: number(row["multiplier"]),
    "x rate of exchange": lambda row: number(row["fx"]),
    "of a contract": lambda row: number(row["rate"]),
    "value": lambda row: number(row["value"], ",.9g"),
    "amount": lambda row: money(row["amount"]),
}


def attribution(run, archive, by=None, regime=None):
    """The tables of the section.

    Parameters
    ----------
    run : RunResult
    archive : Archive
    by : str, optional
        One or two dimensions, `market,cause`; the usual tables and the categories of trades, if not given.
    regime : str, optional
        Kind of the regimes, each market's own, for the dimension `regime`.
    """
    from app.money import curve_or_why
    from engine.analysis.attribution import attribution as made
    from engine.analysis.categories import categories

    curve, lacking = curve_or_why(archive, run)
    told = made(run, curve, _regimes(run, archive, regime) if regime else None)
    note = f"Sums to the change of equity. {lacking}".strip()
    if by is not None:
        names = [name.strip() for name in by.split(",")]
        if "regime" in names and not regime:
            raise typer.BadParameter(f"regime needs its kind: --regime {KINDS}", param_hint="--regime")
        told.matrix(*names)  # which says what is wrong with them
        return [(_title(names), told.wide(*names), note)]
    causes = "Spot and roll yield are the price." if curve else "Price is not split into spot and roll yield."
    tables = [("Cause", told.wide("cause"), f"{causes} {note}"), *_curves(told)]
    pairs = (*([("regime", "cause")] if regime else []), *USUAL)
    tables += [(_title(pair), told.wide(*pair), note) for pair in pairs]
    tables.append(("Categories of trades", categories(told), "Each trade in the first whose rule fits."))
    return tables


def _title(names):
    return " by ".join(filter(None, names)).replace("_", " ").capitalize()


def _regimes(run, archive, kind):
    """{market: its regime on each day of the run, as it was known at the close before}."""
    import numpy as np

    from engine.analysis.conditions import NOT_KNOWN, known_before
    from engine.analysis.daily import Daily
    from engine.analysis.regime_tables import regimes_of_run

    made, columns = regimes_of_run(archive, run, (kind,))
    daily = Daily.of(run)
    known = known_before(made[kind], columns, daily)
    texts = np.array([*known.names, NOT_KNOWN])  # the last one is of the code -1
    return dict(zip(daily.names, texts[known.market].T, strict=False))


def _curves(told):
    """On how many days no next contract was known, market by market, where there are such days."""
    import polars as pl

    lines = pl.DataFrame(
        {"market": [market for _, market in told.parts.lines], "days": told.parts.unknown, "of": told.parts.carried}
    )
    found = lines.group_by("market").sum().filter(pl.col("days") > 0).sort("market")
    if len(found):
        yield "No next contract", found, "Days on which a position was carried and its roll yield counts as nothing."


def explain(
    context: typer.Context,
    name: Run,
    trade: Annotated[
        int | None,
        typer.Argument(
            metavar="TRADE", help="Its number in trades.csv, which `report RUN --out DIR/` writes.", show_default=False
        ),
    ] = None,
    days: Annotated[
        tuple[str, str] | None,
        typer.Option("--days", metavar="FIRST LAST", help="A worksheet of these days.", show_default=False),
    ] = None,
    out: Annotated[str | None, typer.Option(metavar="FILE.csv", help="Where to write it.", show_default=False)] = None,
):
    """Every number of a trade, from signal to net; or a worksheet of some days, from contract prices to the headline
    numbers, each row with its formula in words, for checking in a spreadsheet."""
    if (trade is None) == (days is None):
        raise typer.BadParameter(
            "name a trade, as in `frontmonth explain last 7`, or days: --days 2020-03-02 2020-03-31"
        )
    if out is not None and Path(out).suffix != ".csv":
        raise typer.BadParameter(f"{out}: allowed is a name ending in .csv", param_hint="--out")
    if days is not None and out is None:
        raise typer.BadParameter("a worksheet is a file: --out FILE.csv", param_hint="--out")
    first, last = (day_of(day, "--days") for day in days) if days else (None, None)
    if days and first > last:
        raise typer.BadParameter(f"{first} is after {last}; the first day first", param_hint="--days")
    from engine import result
    from engine.analysis.source import given_of_run

    archive = opened(context)
    run = result.load(archive, name)
    with working(f"explain run {run.id}"):
        given = given_of_run(archive, run)
    told = {"run": run.id, "currency": run.summary["currency"], "simulated": run.simulated}
    if days:
        from engine.analysis.worksheet import worksheet

        frame = worksheet(run, given, first, last)
        told |= {"first": str(frame["day"].min()), "last": str(frame["day"].max())}
    else:
        from engine.analysis.explain import explain as explained

        frame = explained(run, given, trade)
        told |= {"trade": trade}
    told |= {"amount": float(frame["amount"].sum())}
    if out is not None:
        from store.answer import guarded

        guarded(frame).write_csv(out)
        told |= {"rows": len(frame), "file": out}
        emit(context, told, lambda d: say(f"{d['rows']:,} rows in {d['file']}: {money(d['amount'])} {d['currency']}"))
        return
    emit(context, told | {"steps": frame.to_dicts()}, lambda d: _show(d, frame))


def _show(document, frame):
    if document["simulated"]:
        say("Simulated prices: this run says nothing about real markets.")
    say(f"run {document['run']}, trade {document['trade']}, in {document['currency']}")
    table(frame.to_dicts(), SHOWN)
    say(f"sum of the amounts: {document['amount']:,.2f} {document['currency']}")
    for text in frame.filter(frame["value"].is_not_null()).select("what", "formula").unique(maintain_order=True).rows():
        say(": ".join(text))


VERBS = {
    "explain": (explain, "Every number of a trade, or of some days.", "frontmonth explain last 7 --out trade.csv"),
}
