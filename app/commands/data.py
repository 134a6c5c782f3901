"""Verbs on what is stored: markets, contracts, sql; and what other verbs share."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from app.commands.output import emit, number, percent, say, table

SHOWN = 50  # rows of an answer
CELL = 200  # letters of one of its cells
Root = Annotated[
    str, typer.Argument(metavar="ROOT", help="Market: its root, a vendor's name or ES.c.0.", show_default=False)
]


def opened(context, create=False):
    """The store that the options name."""
    from store import open_archive

    return open_archive(context.obj.store, create=create)


def store_words(context):
    """The words of a command that name the store, where it is not the usual one."""
    return [] if context.obj.store == "frontmonth-store" else ["--store", context.obj.store]


def holding(context, archive, what="writing"):
    """The lock of the commands that do not go side by side; waits for the other one, and says for whom."""
    from store import locks

    tell = lambda text: typer.echo(f"frontmonth: {text}", err=True)  # noqa: E731
    return locks.hold(archive, what, context.command.name, context.obj.wait, tell)


def outside(archive, file):
    """Refuse to write a result among the files of a store."""
    if file.resolve().is_relative_to(archive.path):
        raise typer.BadParameter(f"{file} lies inside the store; choose another folder", param_hint="--out")


def resolved(archive, names):
    """Roots of the names given (a root, an alias or a continuous name); all stored ones if none is given."""
    from store import doors

    if names:
        return list(dict.fromkeys(doors.root_of(archive, name) for name in names))
    return sorted({s.labels["root"] for table_ in ("contract_bars", "vendor_chains") for s in archive.files(table_)})


def series_of(archive, names, rule=None, rank=None):
    """[(root, rule or None, rank)] that names and options mean: ES.v.1 says both itself."""
    from store import doors
    from store.names import parse_name

    found = []
    for text in names:
        name = parse_name(text)
        for option, told, asked in (("--rule", name.rule, rule), ("--rank", name.rule and name.rank, rank)):
            if told is not None and asked is not None and told != asked:
                raise typer.BadParameter(f"{text} says {told} itself", param_hint=option)
        found.append((doors.root_of(archive, text), rule or name.rule, name.rank if rank is None else rank))
    return list(dict.fromkeys(found))


def stand_in(archive, root):
    """Whose bars stand in for those of a market before a day: {"proxy", "until"}, both None where none do."""
    from store import history

    plan = history.bars(archive, root)
    first = min((s.first_day for s in plan.files() if s.first_day), default=None) if plan else None
    if first is None or not plan.proxy or plan.until is None or plan.until <= first:
        return {"proxy": None, "until": None}
    return {"proxy": plan.proxy, "until": plan.until}


def priced(archive, root):
    """Where the bars of a market come from, and the bars; an error where it has none with a price."""
    from store import history

    plan = history.bars(archive, root)
    bars = None if plan is None else plan.read()
    if bars is None or bars.is_empty():
        lacks = "no dated contracts are stored" if plan is None else "no stored row of its contracts has a price"
        raise history.NotStored(f"{root}: {lacks}; `frontmonth import` brings contract files in")
    return plan, bars


def code_text(contract):
    """A delivery month as files and JSON have it: text, None where there is none."""
    return None if contract is None else str(contract)


def day_of(text, option):
    """The day that an option names, None without one."""
    from datetime import date

    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise typer.BadParameter(f"{text}: write a day as 2001-01-31", param_hint=option) from None


def markets(context: typer.Context):
    """What the store holds, a line a market; simulated prices are marked."""
    from store import quality
    from store.contracts import Master

    archive = opened(context)
    master = Master.load(archive.path)
    rows = [_market(archive, master, root) for root in resolved(archive, None)]
    scores = quality.score(archive, [row["root"] for row in rows])
    emit(context, [row | _quality(scores.get(row["root"])) for row in rows], _show_markets)


def _quality(score):
    """Quality of a market as JSON has it: one number, and what it is made of."""
    from dataclasses import asdict

    if score is None:
        return {"quality": None, "quality_of": None}
    parts = asdict(score)
    return {"quality": parts.pop("score"), "quality_of": parts}


def _market(archive, master, root):
    from store import history

    segments = [s for t in ("contract_bars", "vendor_chains") for s in archive.files(t, root=root)]
    (kind, source), *_ = history.sources(archive, root)
    column = "contract" if kind == "contract_bars" else "price_contract"
    held = archive.read(kind, columns=[column], root=root, source=source)
    known = root in master.roots
    spec = master.spec(root) if known else None
    return {
        "root": root,
        "name": spec.name if known else root,
        "sector": spec.sector if known else None,
        "currency": spec.currency if known else None,
        "exchange": spec.exchange if known else None,
        "multiplier": spec.multiplier if known else None,
        "tick": spec.tick if known else None,
        "first_day": min(s.first_day for s in segments),
        "last_day": max(s.last_day for s in segments),
        "contracts": held[column].drop_nulls().n_unique(),
        "rows": sum(s.rows for s in segments),
        "simulated": source == "sample",
        "sources": sorted({s.labels["source"] for s in segments}),
        "aliases": [{"vendor": vendor, "name": name} for vendor, name in master.aliases(root)] if known else [],
        "specs": "known" if known else "missing",
    }


def _show_markets(rows):
    if not rows:
        say("The store is empty: `frontmonth import PATH` brings prices in.")
        return
    if any(row["simulated"] for row in rows):
        say("Simulated prices: markets marked with * hold no real market data.")
    table(
        rows,
        {
            "root": lambda r: r["root"] + ("*" if r["simulated"] else ""),
            "name": lambda r: r["name"],
            "sector": lambda r: r["sector"] or "specs missing",
            "currency": lambda r: r["currency"],
            "multiplier": lambda r: number(r["multiplier"], ",.10g"),
            "contracts": lambda r: f"{r['contracts']:,}",
            "rows": lambda r: f"{r['rows']:,}",
            "first day": lambda r: r["first_day"],
            "last day": lambda r: r["last_day"],
            "quality": lambda r: percent(r["quality"], 2),
        },
    )
    if any(row["quality"] is None for row in rows):
        say(
            "`frontmonth check` fills the column quality: coverage x freshness x share of days without an open finding."
        )


def contracts(
    context: typer.Context,
    root: Annotated[
        str | None,
        typer.Argument(metavar="ROOT", help="Market: its root, a vendor's name or ES.c.0.", show_default=False),
    ] = None,
    asof: Annotated[
        str | None, typer.Option(metavar="DAY", help="The chain on that day, by the values that are stored now.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Compare the master with a broker's contract or margin list.")
    ] = None,
    accept: Annotated[
        list[str] | None,
        typer.Option(metavar="ROOT.FIELD", help="Write that broker's value as a dated row of one's own; or `all`."),
    ] = None,
    since: Annotated[str | None, typer.Option(metavar="DAY", help="Valid from, of what is accepted; today.")] = None,
    vendor: Annotated[
        str,
        typer.Option(metavar="NAME", help="Whose names the list uses, as in symbols.csv: ib, tradestation, cqg ..."),
    ] = "",
):
    """The stored contracts of one market: days, volume, last trade and first notice; or the master against a list."""
    stray = [name for name, value in {"--accept": accept, "--since": since, "--vendor": vendor}.items() if value]
    if stray and not against:
        raise typer.BadParameter("it goes with --against FILE", param_hint=stray[0])
    if against:
        _against(context, against, vendor, accept or [], since)
    elif root is None:
        raise typer.BadParameter("which market? Or --against FILE", param_hint="ROOT")
    elif asof:
        _as_of(context, root, day_of(asof, "--asof"))
    else:
        _contracts(context, root)


def _contracts(context, root):
    import polars as pl

    from store import history
    from store.contracts import code, first_notice, last_trade

    archive = opened(context)
    (root,) = resolved(archive, [root])
    kind, source = history.sources(archive, root)[0]
    if kind != "contract_bars":
        raise LookupError(f"{root}: only the chain of {source} is stored, no dated contracts")
    spec = history.spec(archive, root)
    bars = archive.read("contract_bars", columns=["contract", "day", "volume"], root=root, source=source)
    rows = (
        bars.group_by("contract").agg(
            pl.len().alias("rows"), pl.col("day").min().alias("first_day"), pl.col("day").max().alias("last_day"),
            pl.col("volume").max().alias("highest_volume"),
        ).sort("contract").to_dicts()
    )  # fmt: skip
    for row in rows:
        row["code"] = code(root, row["contract"])
        row["last_trade"] = last_trade(spec, row["contract"]) if spec else None
        row["first_notice"] = first_notice(spec, row["contract"]) if spec else None
        row["contract"] = code_text(row["contract"])
    headings = ("code", "contract", "rows", "first_day", "last_day", "last_trade", "first_notice")
    columns = {name.replace("_", " "): (lambda row, name=name: row[name]) for name in headings}
    columns["highest volume"] = lambda row: number(row["highest_volume"], ",.0f")
    emit(context, rows, lambda rows: table(rows, columns))


def _as_of(context, root, day):
    from store import asof

    archive = opened(context)
    (root,) = resolved(archive, [root])
    rows = [row | {"contract": code_text(row["contract"])} for row in asof.chain(archive, root, day).to_dicts()]
    emit(context, rows, lambda rows: _show_chain(rows, root, day))


def _show_chain(rows, root, day):
    if not rows:
        say(f"{root}: no contract that traded by {day} ended after it; `frontmonth contracts {root}` lists all.")
        return
    said = {"settle": "g", "volume": ",.0f", "open_interest": ",.0f"}

    def show(name):
        if name == "held":
            return lambda row: "held" if row["held"] else ""
        return lambda row: number(row[name], said[name]) if name in said else row[name]

    headings = {"" if name == "held" else name.replace("_", " "): show(name) for name in rows[0]}
    table(rows, headings, f"{root} on {day}")


def _against(context, path, vendor, accepted, since):
    import datetime

    from store import broker
    from store.contracts import Master
    from store.places import place_of
    from store.raw import plain

    day = day_of(since, "--since") or datetime.date.today()
    master = Master.load(opened(context).path if place_of(context.obj.store).exists() else None)
    rows = broker.against(path, master, vendor, day).to_dicts()
    names = {f"{row['root']}.{row['field']}" for row in rows}
    unknown = [name for name in accepted if name != "all" and name not in names]
    if unknown:
        raise LookupError(
            f"{unknown[0]} is no disagreement of this list; there are {', '.join(sorted(names)) or 'none'}"
        )
    taken = [row for row in rows if "all" in accepted or f"{row['root']}.{row['field']}" in accepted]
    if taken:
        archive = opened(context)
        written = broker.accept(archive.path, taken, path.name, day)
        archive.place.put_beside(written.name, written.read_bytes())
    emit(context, [row | {"accepted": row in taken} for row in rows], _show_broker)
    for row, name in broker.strangers(path, master, vendor, day):
        typer.echo(f"{path}: row {row}: the master knows no {plain(name, 40)!r}", err=True)


def _show_broker(rows):
    if not rows:
        say("The list and the master agree.")
        return
    columns = ("root", "field", "ours", "theirs", "row")
    shown = {name: (lambda row, name=name: row.get(name)) for name in columns}
    table(rows, shown | {"": lambda row: "accepted" if row["accepted"] else ""})
    if not any(row["accepted"] for row in rows):
        say(
            "`--accept ROOT.FIELD` (or `--accept all`) writes theirs as dated rows into contracts.csv beside the store."
        )


def sql(
    context: typer.Context,
    text: Annotated[str, typer.Argument(metavar="SELECT", help="One SELECT of DuckDB's.", show_default=False)],
    version: Annotated[
        str, typer.Option("--snapshot", metavar="SNAPSHOT", help="Number, tag, day, head or head~1.")
    ] = "head",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write to this .csv or .parquet file.", show_default=False)
    ] = None,
):
    """Ask the tables of a snapshot in SQL; it sees those and nothing else, and writes nothing.

    It is stopped after 30 seconds. Tables and columns: the dashboard's page Data, or docs/data.md.
    """
    import polars as pl

    from app.question import ROWS
    from store import answer, durable, tags

    if out is not None and out.suffix not in answer.KINDS:
        raise typer.BadParameter(f"{out}: the name must end in .csv or .parquet", param_hint="--out")
    if out is not None and not out.absolute().parent.is_dir():
        raise typer.BadParameter(f"{out}: there is no folder {out.absolute().parent}", param_hint="--out")
    archive = opened(context)
    number = tags.number_of(archive, version)
    if out is not None:
        outside(archive, out)
        try:
            with durable.replaced(out) as staged:
                found = _asked(archive, text, number, None, staged, out)
        except OSError as error:
            raise durable.not_written(out, error) from error
        document = {"rows": found["rows"], "file": str(out)}
        return emit(context, document, lambda d: say(f"{d['rows']:,} rows written to {out}"))
    with tempfile.TemporaryDirectory(prefix="frontmonth-") as folder:
        file = Path(folder) / "answer.parquet"
        cut = _asked(archive, text, number, None if context.obj.json else ROWS, file, file)["cut"]
        frame = pl.read_parquet(file.read_bytes())
    return emit(context, frame.to_dicts() if context.obj.json else [], lambda _: _show_sql(frame, cut))


def _short(value):
    """A cell as a terminal can show it."""
    told = str(value) if isinstance(value, (str, list, dict, bytes)) else value
    return f"{told[:CELL]}..." if isinstance(told, str) and len(told) > CELL else told


def _asked(archive, text, number, rows, file, name):
    """Let a process of its own write the answer, as no other can always be stopped; how many rows, and if all."""
    from app.question import Limits, Question
    from store.statement import BadQuery

    question = Question(archive.place, Limits(rows=rows))
    question.ask(text, str(number), file, name)
    found = question.wait()
    if "refused" in found:
        raise BadQuery(found["refused"])
    return found["answer"]


def _show_sql(frame, cut):
    shown = frame.head(SHOWN).to_dicts()
    if frame.width:
        table(shown, {name: (lambda row, name=name: _short(row[name])) for name in frame.columns})
    if frame.height > SHOWN:
        say(f"The first {SHOWN} of {'more than ' * cut}{frame.height:,} rows; --out FILE has all.")
    elif not frame.height:
        say("no rows")


VERBS = {
    "markets": (markets, "What the store holds.", "frontmonth markets --json"),
    "contracts": (contracts, "The stored contracts of one market.", "frontmonth contracts ZC"),
    "sql": (sql, "Ask the stored tables in SQL.", 'frontmonth sql "select count(*) from contract_bars"'),
}
