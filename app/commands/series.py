"""Series made of stored bars: the verbs continuous, contract by contract, and aggregate, from minutes to days."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from app.commands.data import code_text, day_of, holding, opened, outside, resolved, series_of
from app.commands.output import emit, number, progress, say, table
from app.commands.rolls import DEFAULT, RULES

TAIL = 10  # rows of a table that are shown
MONTHS = ("contract", "next_contract", "near_contract", "far_contract")
Series = Annotated[
    str,
    typer.Argument(metavar="SERIES", help="Market: its root, a vendor's name, or ES.c.0, ES.v.1.", show_default=False),
]


def continuous(
    context: typer.Context,
    root: Series,
    adjust: Annotated[
        Literal["difference", "ratio", "forward", "none"],
        typer.Option(help="How contracts are joined; forward leaves the oldest at its market price."),
    ] = "difference",
    rank: Annotated[
        int | None, typer.Option(min=0, help="0: the held contract; n: the n-th listed after it.", show_default=False)
    ] = None,
    rule: Annotated[str | None, typer.Option(help=f"{RULES} {DEFAULT}")] = None,
    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose rows; else the first source of the market.")
    ] = None,
    maturity: Annotated[
        int | None,
        typer.Option(min=1, max=3650, metavar="DAYS", help="Constant maturity, for research: it cannot be traded."),
    ] = None,
    start: Annotated[str | None, typer.Option(metavar="DAY", help="First day.", show_default=False)] = None,
    end: Annotated[str | None, typer.Option(metavar="DAY", help="Last day.", show_default=False)] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write to this .csv or .parquet file.", show_default=False)
    ] = None,
):
    """The continuous series of one market; the newest contract is at its market price.

    Every row names the contract that was held, its own prices, and the offset and factor that join it to the others.
    ES.c.0 rolls at expiry (for research), ES.v.0 by volume, ES.n.0 by open interest; the last number is the rank.
    """
    if out is not None and out.suffix not in (".csv", ".parquet"):
        raise typer.BadParameter(f"{out}: the name must end in .csv or .parquet", param_hint="--out")
    first, last = day_of(start, "--start"), day_of(end, "--end")
    archive = opened(context)
    if out is not None:
        outside(archive, out)
    ((root, rule, rank),) = series_of(archive, [root], rule, rank)
    if maturity is not None:
        if rule or rank or source or adjust != "difference":
            raise typer.BadParameter(
                "it lies between contracts: it takes no --rule, --rank, --source or --adjust", param_hint="--maturity"
            )
        frame = _maturity(archive, root, maturity)
    else:
        from store import history

        frame = history.table(archive, root, rule, adjust, rank=rank, source=source)
    frame = _within(frame, first, last)
    months = [column for column in MONTHS if column in frame.columns]
    if out is None:
        rows = frame.to_dicts() if context.obj.json else []
        texts = [row | {column: code_text(row[column]) for column in months} for row in rows]
        return emit(context, texts, lambda _: _show_series(frame, root))
    frame.write_csv(out) if out.suffix == ".csv" else frame.write_parquet(out)
    document = {"root": root, "rows": frame.height, "file": str(out)}
    emit(context, document, lambda d: say(f"{d['rows']:,} rows of {root} written to {out}"))


def _maturity(archive, root, days):
    from store import history
    from store.constant import constant_maturity

    bars, spec = history.bars(archive, root), history.spec(archive, root)
    if bars is None or spec is None:
        lacks = "no dated contracts are stored" if bars is None else "its facts are not known, so no last trade either"
        raise history.NotStored(f"{root}: {lacks}")
    return constant_maturity(bars.read(), spec, days)


def _within(frame, first, last):
    import polars as pl

    wanted = pl.lit(True)
    wanted = wanted & (pl.col("day") >= first) if first else wanted
    return frame.filter(wanted & (pl.col("day") <= last) if last else wanted)


def _show_series(frame, root):
    if frame.is_empty():
        return say(f"{root}: no rows in these days")
    shown = ("open", "high", "low", "close", "settle", "volume", "offset", "adjusted", "roll_yield",
             "price", "near_price", "far_price", "weight", "change")  # fmt: skip
    columns = {
        name: (lambda row, name=name: row[name])
        for name in ("day", "contract", "near_contract", "far_contract")
        if name in frame.columns
    }
    columns |= {
        name: (lambda row, name=name: number(row[name], ".6g" if name in ("roll_yield", "weight") else "g"))
        for name in shown
        if name in frame.columns
    }
    if "reason" in frame.columns:
        columns |= {"why there is no price": lambda row: row["reason"]}
    if "roll" in frame.columns:
        columns |= {"roll": lambda row: "roll" if row["roll"] else ""}
    table(frame.tail(TAIL).to_dicts(), columns)
    first, last = frame["day"].min(), frame["day"].max()
    say(f"{root}: the last {min(TAIL, frame.height)} of {frame.height:,} rows, {first} to {last}; --out FILE has all")
    if "tradable" in frame.columns:
        if without := frame["price"].null_count():
            say(f"{without:,} rows have no price: no two contracts lie around those days")
        say("constant maturity is for research: no contract has this price, so it cannot be traded")
    return None


def aggregate(
    context: typer.Context,
    roots: Annotated[
        list[str] | None, typer.Argument(metavar="ROOT...", help="Markets; all, if none is named.", show_default=False)
    ] = None,
    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="Bars within the day of this source, such as firstrate-minute.")
    ] = None,
):
    """Make daily bars of stored bars within the day, contract by contract, as a source of their own.

    Only days that changed are made again. A day whose session may go on is left out until it is over.
    """
    from store.aggregate import aggregate as make

    archive = opened(context)
    with holding(context, archive), progress("aggregate") as bar:
        document = make(archive, resolved(archive, roots) if roots else None, source, bar)
    emit(context, document, _show_aggregate)


def _show_aggregate(document):
    rows = document["markets"]
    if not rows:
        return say("no bars within the day are stored: `frontmonth markets` lists what is")
    columns = {"market": lambda r: r["root"], "from": lambda r: r["from"], "daily source": lambda r: r["source"]}
    columns |= {name: (lambda r, name=name: f"{r[name]:,}") for name in ("rows", "days", "changed")}
    columns |= {"left out": lambda r: r["left_out"]}
    table(rows, columns)
    for row in rows:
        if row["refused"]:
            say(f"{row['root']} was left as it is: {row['refused']}")
    return say(f"snapshot {document['snapshot']}")


VERBS = {
    "aggregate": (
        aggregate,
        "Make daily bars of bars within the day.",
        "frontmonth aggregate ES --source firstrate-minute",
    ),
    "continuous": (
        continuous,
        "The continuous series of one market.",
        "frontmonth continuous MES --adjust difference --out MES.csv",
    ),
}
