"""Verbs on data: import, check, markets, contracts, roll, continuous, verify."""

from pathlib import Path
from typing import Annotated

import typer

from app.commands.output import emit, percent, progress, say, table


def register(app):
    """Add this group's verbs to the command."""
    app.command("import")(import_)
    app.command()(check)
    app.command()(markets)
    app.command()(contracts)
    app.command()(roll)
    app.command()(continuous)
    app.command()(verify)


def _archive(context, create=False):
    from store import open_archive

    return open_archive(context.obj.store, create=create)


def import_(
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument(help="Files or folders.", show_default=False)],
    vendor: Annotated[
        str | None, typer.Option(help="Read with this vendor's reader, or a profile of vendors.toml.")
    ] = None,
    root: Annotated[str | None, typer.Option(help="Store what is read under this root.")] = None,
):
    """Recognise, read, check and store vendors' files; a file imported before is skipped.

    Every row read is accepted, warned about or quarantined, and counted. All files of one call are committed at once.
    """
    from store import ingest

    with progress("import") as bar:
        reports = ingest.import_paths(_archive(context, create=True), paths, vendor, root, bar)
    counts = ("rows_read", "accepted", "warned", "quarantined")
    document = {
        "files": [
            {"file": r.file, "vendor": r.vendor, "roots": r.roots} | {c: getattr(r, c) for c in counts}
            | {"reasons": r.reasons, "skipped": r.skipped, "error": r.error or None}
            for r in reports
        ],
        "totals": {c: sum(getattr(r, c) for r in reports) for c in counts},
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
            "roots": lambda f: ", ".join(f["roots"][:6]),
            "rows read": lambda f: f"{f['rows_read']:,}",
            "accepted": lambda f: f"{f['accepted']:,}",
            "warned": lambda f: f"{f['warned']:,}",
            "quarantined": lambda f: f"{f['quarantined']:,}",
            "": lambda f: "imported before" if f["skipped"] else (f["error"] and "failed") or _reasons(f["reasons"]),
        },
    )
    skipped = sum(f["skipped"] for f in files)
    say(
        f"{len(files)} files, {totals['rows_read']:,} rows read = {totals['accepted']:,} accepted + {totals['warned']:,} "
        f"warned + {totals['quarantined']:,} quarantined"
        + (f"; {skipped} files were imported before" if skipped else "")
    )


def _reasons(reasons):
    return ", ".join(f"{name} {count:,}" for name, count in reasons.items())


def check(
    context: typer.Context,
    roots: Annotated[
        list[str] | None, typer.Argument(help="Markets; all, if none is named.", show_default=False)
    ] = None,
):
    """Print and store findings on what is stored: spikes, unit slips, stale prices, gaps, impossible rows."""
    from store import checks

    archive = _archive(context)
    wanted = _resolve(archive, roots)
    with progress("check") as bar:
        findings = checks.run(archive, wanted, bar)
    rows = findings.drop("source").to_dicts()
    emit(context, rows, lambda r: _show_findings(r))


def _show_findings(rows):
    table(
        rows[:200],
        {
            "severity": lambda f: f["severity"],
            "rule": lambda f: f["rule"],
            "market": lambda f: f["root"],
            "contract": lambda f: f["contract"] or "",
            "day": lambda f: f["day"] or "",
            "field": lambda f: f["field"] or "",
            "value": lambda f: f["value"] or "",
            "reason": lambda f: f["reason"],
        },
    )
    say(f"{len(rows):,} findings" + (", the first 200 shown; --json prints all" if len(rows) > 200 else ""))


def _resolve(archive, names):
    """Roots of the names given (a root, an alias or a continuous name); all stored ones if none is given."""
    from store.contracts import Master

    stored = {s.labels["root"] for table_ in ("contract_bars", "vendor_chains") for s in archive.files(table_)}
    if not names:
        return sorted(stored)
    master = Master.load(archive.path)
    roots = [name if name in stored else master.resolve(name) for name in names]
    absent = [root for root in roots if root not in stored]
    if absent:
        raise LookupError(f"{absent[0]} is not stored; stored are {', '.join(sorted(stored)) or 'none'}")
    return roots


def markets(context: typer.Context):
    """What the store holds, a line a market."""
    from store import checks
    from store.contracts import Master

    archive = _archive(context)
    master = Master.load(archive.path)
    rows = [_market(archive, master, root) for root in _resolve(archive, None)]
    quality = checks.quality(archive, [row["root"] for row in rows])
    emit(context, [row | {"quality": quality[row["root"]]} for row in rows], _show_markets)


def _market(archive, master, root):
    segments = [s for t in ("contract_bars", "vendor_chains") for s in archive.files(t, root=root)]
    known = root in master.roots
    spec = master.spec(root) if known else None
    bars = archive.read("contract_bars", columns=["contract"], root=root)
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
        "contracts": bars["contract"].n_unique(),
        "rows": sum(s.rows for s in segments),
        "simulated": any(s.labels["source"] == "sample" for s in segments),
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
            "currency": lambda r: r["currency"] or "",
            "multiplier": lambda r: f"{r['multiplier']:,g}" if r["multiplier"] else "",
            "contracts": lambda r: f"{r['contracts']:,}",
            "rows": lambda r: f"{r['rows']:,}",
            "first day": lambda r: r["first_day"],
            "last day": lambda r: r["last_day"],
            "quality": lambda r: percent(r["quality"]),
        },
    )


def contracts(
    context: typer.Context,
    root: Annotated[str, typer.Argument(help="Market.", show_default=False)],
):
    """The stored contracts of one market: days, volume, last trade and first notice."""
    import polars as pl

    from store.contracts import Master, code, first_notice, last_trade

    archive = _archive(context)
    (root,) = _resolve(archive, [root])
    master = Master.load(archive.path)
    spec = master.spec(root) if root in master.roots else None
    bars = archive.read("contract_bars", columns=["contract", "day", "volume"], root=root)
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
    headings = ("code", "contract", "rows", "first_day", "last_day", "last_trade", "first_notice", "highest_volume")
    emit(
        context,
        [row | {"contract": str(row["contract"])} for row in rows],
        lambda r: table(
            r, {h.replace("_", " "): (lambda row, h=h: "" if row[h] is None else row[h]) for h in headings}
        ),
    )


def roll(
    context: typer.Context,
    roots: Annotated[list[str], typer.Argument(help="Markets.", show_default=False)],
    rule: Annotated[
        str,
        typer.Option(
            help="volume:N, oi:N, volume+oi:N, volume/oi:N, first-notice-K, last-trade-K, month-end-K, or a vendor's name."
        ),
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Print every roll.")] = False,
):
    """Make and store a roll calendar: when each contract is left, for which, at which prices, and why."""
    from store import history

    archive = _archive(context)
    made = [history.calendar(archive, root, rule) for root in _resolve(archive, roots)]
    history.save(archive, made)
    documents = [calendar.document() for calendar, _ in made]
    emit(context, documents[0] if len(documents) == 1 else documents, lambda _: _show_rolls(documents, show))


def _show_rolls(documents, show):
    for document in documents:
        if show:
            table(
                document["rolls"],
                {
                    "day": lambda r: r["day"],
                    "from": lambda r: r["from"],
                    "to": lambda r: r["to"],
                    "from price": lambda r: f"{r['from_price']:g}",
                    "to price": lambda r: f"{r['to_price']:g}",
                    "gap": lambda r: f"{r['to_price'] - r['from_price']:+g}",
                    "reason": lambda r: r["reason"],
                },
                title=document["root"],
            )
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


def continuous(
    context: typer.Context,
    root: Annotated[str, typer.Argument(help="Market.", show_default=False)],
    adjust: Annotated[str, typer.Option(help="difference, ratio or none.")] = "difference",
    rule: Annotated[
        str | None, typer.Option(help="Roll rule, as in `roll`; a chain's own vendor if it came as one.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write to this .csv or .parquet file.")] = None,
):
    """The continuous series of one market; the newest contract is at its market price."""
    from store import history

    archive = _archive(context)
    (root,) = _resolve(archive, [root])
    frame = history.table(archive, root, rule, adjust)
    if out is None:
        emit(context, frame.to_dicts() if context.obj.json else frame, lambda f: say(f"{f.tail(10)}"))
        return
    if out.suffix not in (".csv", ".parquet"):
        raise ValueError(f"--out {out}: the name must end in .csv or .parquet")
    frame.write_csv(out) if out.suffix == ".csv" else frame.write_parquet(out)
    document = {"root": root, "rows": frame.height, "file": str(out)}
    emit(context, document, lambda d: say(f"{d['rows']:,} rows of {root} written to {out}"))


def verify(context: typer.Context):
    """Check every stored file against its checksum and the chain of snapshots."""
    problems = _archive(context).verify()
    emit(
        context,
        {"problems": problems},
        lambda d: say("\n".join(d["problems"]) or "every file and snapshot is as it was written"),
    )
    if problems:
        raise typer.Exit(1)
