"""Verbs on rolled series: roll, continuous."""

import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from app.commands.data import Root, code_text, opened, resolved
from app.commands.output import emit, number, percent, progress, say, table

RULES = (
    "volume[:N], oi[:N], volume+oi[:N], volume/oi[:N], first-notice-K, last-trade-K, month-end-K, or the vendor of a "
    "stored chain."
)
TAIL = 10  # rows of a continuous table that are shown


def roll(
    context: typer.Context,
    roots: Annotated[list[str], typer.Argument(metavar="ROOT...", help="Markets.", show_default=False)],
    rule: Annotated[str | None, typer.Option(help=f"{RULES} Without it volume:1, or the chain's own.")] = None,
    show: Annotated[bool, typer.Option("--show", help="Print every roll.")] = False,
    diff: Annotated[
        str | None, typer.Option(metavar="RULE", help="Store nothing; show where this other rule rolls otherwise.")
    ] = None,
):
    """Make and store a roll calendar: when each contract is left, for which, at which prices, and why."""
    from store import history

    archive = opened(context)
    wanted = resolved(archive, roots)
    made = []
    with progress("roll") as bar:
        for done, root in enumerate(wanted):
            if bar:
                bar(done, len(wanted), root)
            made.append(history.calendar(archive, root, rule))
    if diff is not None:
        return _diff(context, made, [history.calendar(archive, root, diff)[0] for root in wanted])
    history.save(archive, made)
    documents = [calendar.document() for calendar, _ in made]
    emit(context, documents[0] if len(documents) == 1 else documents, lambda _: _show_rolls(documents, show))


def _show_rolls(documents, show):
    for document in documents if show else ():
        columns = {
            "day": lambda r: r["day"],
            "from": lambda r: r["from"],
            "to": lambda r: r["to"],
            "from price": lambda r: number(r["from_price"]),
            "to price": lambda r: number(r["to_price"]),
            "gap": lambda r: number(_gap(r), "+.10g"),
            "reason": lambda r: r["reason"],
        }
        table(document["rolls"], columns, title=document["root"])
    table(
        documents,
        {
            "market": lambda d: d["root"],
            "rule": lambda d: d["rule"],
            "rolls": lambda d: f"{len(d['rolls']):,}",
            "version": lambda d: d["version"],
            "reasons": lambda d: ", ".join(f"{name} {percent(share)}" for name, share in d["reasons"].items()),
        },
    )


def _gap(roll):
    return None if None in (roll["from_price"], roll["to_price"]) else roll["to_price"] - roll["from_price"]


def _diff(context, made, others):
    documents = []
    for (calendar, _), other in zip(made, others, strict=True):
        rows = calendar.diff(other).to_dicts()
        texts = [row | {c: code_text(row[c]) for c in ("from_contract", "to_contract")} for row in rows]
        rules = {"root": calendar.root, "rule": calendar.rule, "other": other.rule, "rolls": len(calendar.frame)}
        documents.append(rules | {"differences": texts})
    emit(context, documents[0] if len(documents) == 1 else documents, lambda _: _show_diff(documents))


def _show_diff(documents):
    for document in documents:
        rule, other = document["rule"], document["other"]
        columns = {
            "from": lambda r: r["from_contract"],
            "to": lambda r: r["to_contract"],
            f"day by {rule}": lambda r: r["day"],
            f"day by {other}": lambda r: r["other_day"],
            "days": lambda r: number(r["days"], "+d"),
            "gap": lambda r: number(_gap(r), "+.10g"),
            "other gap": lambda r: number(
                _gap({"from_price": r["other_from_price"], "to_price": r["other_to_price"]}), "+.10g"
            ),
        }
        if document["differences"]:
            table(document["differences"], columns, title=document["root"])
        say(f"{document['root']}: {len(document['differences'])} of {document['rolls']} rolls differ ({rule}, {other})")


def continuous(
    context: typer.Context,
    root: Root,
    adjust: Annotated[
        Literal["difference", "ratio", "none"], typer.Option(help="How contracts are joined.")
    ] = "difference",
    rule: Annotated[str | None, typer.Option(help=f"{RULES} Without it volume:1, or the chain's own.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write to this .csv or .parquet file.", show_default=False)
    ] = None,
):
    """The continuous series of one market; the newest contract is at its market price.

    Every row names the contract that was held, its own prices, and the offset and factor that join it to the others.
    """
    if out is not None and out.suffix not in (".csv", ".parquet"):
        raise typer.BadParameter(f"{out}: the name must end in .csv or .parquet", param_hint="--out")
    if re.fullmatch(r".+\.[cvn]\.[1-9]\d*", root):
        raise typer.BadParameter(f"{root}: only rank 0, the held contract, is stitched", param_hint="ROOT")
    from store import history

    archive = opened(context)
    (root,) = resolved(archive, [root])
    frame = history.table(archive, root, rule, adjust)
    months = [name for name in ("contract", "next_contract") if name in frame.columns]
    if out is None:
        rows = frame.to_dicts() if context.obj.json else []
        texts = [row | {name: code_text(row[name]) for name in months} for row in rows]
        return emit(context, texts, lambda _: _show_series(frame, root))
    frame.write_csv(out) if out.suffix == ".csv" else frame.write_parquet(out)
    document = {"root": root, "rows": frame.height, "file": str(out)}
    emit(context, document, lambda d: say(f"{d['rows']:,} rows of {root} written to {out}"))


def _show_series(frame, root):
    prices = ("open", "high", "low", "close", "settle", "volume", "offset", "adjusted")
    columns = {name: (lambda row, name=name: row[name]) for name in ("day", "contract")}
    columns |= {name: (lambda row, name=name: number(row[name])) for name in prices}
    columns |= {"roll": lambda row: "roll" if row["roll"] else ""}
    table(frame.tail(TAIL).to_dicts(), columns)
    first, last = frame["day"].min(), frame["day"].max()
    say(f"{root}: the last {min(TAIL, frame.height)} of {frame.height:,} rows, {first} to {last}; --out FILE has all")


VERBS = {
    "roll": (roll, "Make a roll calendar.", "frontmonth roll MES ZC --rule volume:1 --show"),
    "continuous": (
        continuous,
        "The continuous series of one market.",
        "frontmonth continuous MES --adjust difference --out MES.csv",
    ),
}
