"""Verbs on stored data: import, check, markets, contracts, verify."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from app.commands.output import emit, number, percent, progress, say, table

COUNTS = ("rows_read", "accepted", "warned", "quarantined")
SHOWN = 100  # findings shown as a table; all of them are in --json

Root = Annotated[
    str, typer.Argument(metavar="ROOT", help="Market: its root, a vendor's name or ES.c.0.", show_default=False)
]


def opened(context, create=False):
    """The store that the options name."""
    from store import open_archive

    return open_archive(context.obj.store, create=create)


def resolved(archive, names):
    """Roots of the names given (a root, an alias or a continuous name); all stored ones if none is given."""
    from store.contracts import Master

    stored = {s.labels["root"] for table_ in ("contract_bars", "vendor_chains") for s in archive.files(table_)}
    if not names:
        return sorted(stored)
    master = Master.load(archive.path)
    roots = [name if name in stored else master.resolve(name) for name in names]
    for name, root in zip(names, roots, strict=True):
        if root not in stored:
            what = root if name == root else f"{name} ({root})"
            raise LookupError(f"{what} is not stored; stored are {', '.join(sorted(stored)) or 'no markets'}")
    return list(dict.fromkeys(roots))


def import_(
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files or folders.", show_default=False)],
    vendor: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Read with this reader: barchart, pysystemtrade, or a layout described in vendors.toml, such as "
            "contract-csv. Without it every reader is asked whether the file is one of its own.",
        ),
    ] = None,
    root: Annotated[str | None, typer.Option(metavar="ROOT", help="Store what is read under this root.")] = None,
):
    """Recognise, read, check and store vendors' files: csv or txt, plain or in zip and gz.

    Every row is accepted, warned about or quarantined, and counted. All files of one call are committed at once; a file
    imported before is skipped. The exit code is 1 if any file could not be read or had no usable row.
    """
    from store import ingest

    there = [path for path in paths if path.exists()]
    if not there and not context.obj.store.exists():  # a wrong name is no reason to make a store
        raise FileNotFoundError(f"{paths[0]}: no such file or folder; nothing was imported")
    archive = opened(context, create=True)
    with progress("import") as bar:
        reports = ingest.import_paths(archive, paths, vendor, root, bar)
    document = {
        "snapshot": archive.head().number,
        "files": [
            {"file": r.file, "vendor": r.vendor or None, "roots": r.roots} | {c: getattr(r, c) for c in COUNTS}
            | {"reasons": r.reasons, "first": r.first or None, "notes": r.notes}
            | {"skipped": r.skipped, "error": r.error or None}
            for r in reports
        ],
        "totals": {c: sum(getattr(r, c) for r in reports) for c in COUNTS},
    }  # fmt: skip
    emit(context, document, _show_import)
    failed = [r for r in reports if r.error]
    for report in failed:
        typer.echo(f"frontmonth: {report.error}", err=True)
    if failed:
        raise typer.Exit(1)


def _show_import(document):
    files, totals = document["files"], document["totals"]
    table(
        files,
        {
            "file": lambda f: Path(f["file"]).name,
            "vendor": lambda f: f["vendor"],
            "roots": lambda f: ", ".join(f["roots"][:6]) + (" ..." if len(f["roots"]) > 6 else ""),
            "rows read": lambda f: f"{f['rows_read']:,}",
            "accepted": lambda f: f"{f['accepted']:,}",
            "warned": lambda f: f"{f['warned']:,}",
            "quarantined": lambda f: f"{f['quarantined']:,}",
            "": lambda f: "imported before" if f["skipped"] else (f["error"] and "failed") or _reasons(f["reasons"]),
        },
    )
    skipped = sum(f["skipped"] for f in files)
    say(
        f"{_counted(len(files), 'file')}, {totals['rows_read']:,} rows read = {totals['accepted']:,} accepted + "
        f"{totals['warned']:,} warned + {totals['quarantined']:,} quarantined"
        + (f"; {_counted(skipped, 'file')} imported before" if skipped else "")
    )
    if skipped and skipped == len(files):
        say("Nothing new: the store is as it was.")
    for first in (file["first"] for file in files if file["first"]):
        say(f"first in quarantine: {first}")
    for note in dict.fromkeys(note for file in files for note in file["notes"]):
        say(note)


def _counted(count, what):
    return f"{count:,} {what}" + ("s" if count != 1 else "")


def _reasons(reasons):
    return ", ".join(f"{name} {count:,}" for name, count in reasons.items())


def check(
    context: typer.Context,
    roots: Annotated[
        list[str] | None, typer.Argument(metavar="ROOT...", help="Markets; all, if none is named.", show_default=False)
    ] = None,
):
    """Look for what a row alone cannot show: spikes, unit slips, stale prices, gaps, impossible days.

    Nothing is changed; what is found is stored as findings and printed. Findings are no failure: the exit code is 0.
    """
    from store import checks

    archive = opened(context)
    wanted = resolved(archive, roots)
    with progress("check") as bar:
        findings = checks.run(archive, wanted, bar)
    rows = findings.drop("source").to_dicts()
    emit(context, [row | {"contract": code_text(row["contract"])} for row in rows], _show_findings)


def _show_findings(rows):
    if rows:
        columns = ("severity", "rule", "root", "contract", "day", "field", "value", "reason")
        table(rows[:SHOWN], {name: (lambda row, name=name: row[name]) for name in columns})
    by_rule = Counter(row["rule"] for row in rows)
    say(_counted(len(rows), "finding") + "".join(f"; {name} {count:,}" for name, count in by_rule.most_common()))
    if len(rows) > SHOWN:
        say(f"The first {SHOWN} are shown; --json prints all.")


def code_text(contract):
    """A delivery month as files and JSON have it: text, None where there is none."""
    return None if contract is None else str(contract)


def markets(context: typer.Context):
    """What the store holds, a line a market; simulated prices are marked."""
    from store import checks
    from store.contracts import Master

    archive = opened(context)
    master = Master.load(archive.path)
    rows = [_market(archive, master, root) for root in resolved(archive, None)]
    quality = checks.quality(archive, [row["root"] for row in rows])
    emit(context, [row | {"quality": quality[row["root"]]} for row in rows], _show_markets)


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
        say("`frontmonth check` fills the column quality: the share of rows without a finding.")


def contracts(context: typer.Context, root: Root):
    """The stored contracts of one market: days, volume, last trade and first notice."""
    import polars as pl

    from store import history
    from store.contracts import Master, code, first_notice, last_trade

    archive = opened(context)
    (root,) = resolved(archive, [root])
    kind, source = history.sources(archive, root)[0]
    if kind != "contract_bars":
        raise LookupError(f"{root}: only the chain of {source} is stored, no dated contracts")
    master = Master.load(archive.path)
    spec = master.spec(root) if root in master.roots else None
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


def verify(context: typer.Context):
    """Check every stored file against its checksum, and the chain of snapshots."""
    archive = opened(context)
    problems = [str(found) for found in archive.verify()]
    head = archive.head()
    document = {"snapshot": head.number, "hash": head.hash, "files": len(head.files), "problems": problems}
    whole = f"snapshot {head.number}: all of its {_counted(len(head.files), 'file')} are as they were written"
    emit(context, document, lambda d: say("\n".join(d["problems"]) or whole))
    if problems:
        raise typer.Exit(1)


VERBS = {
    "import": (import_, "Bring vendors' files into the store.", "frontmonth import prices/ --vendor barchart"),
    "check": (check, "Look for faults in what is stored.", "frontmonth check MES ZC"),
    "markets": (markets, "What the store holds.", "frontmonth markets --json"),
    "contracts": (contracts, "The stored contracts of one market.", "frontmonth contracts ZC"),
    "verify": (verify, "Compare every stored file with its checksum.", "frontmonth verify"),
}
