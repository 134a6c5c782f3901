"""The verbs import and export: vendors' files, folders that fill, databases and vendors' services."""

import re
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from app.commands.data import day_of, holding, opened
from app.commands.output import clean, counted, emit, progress, say, table
from app.words import Command

COUNTS = ("rows_read", "accepted", "warned", "quarantined")
KINDS = ("margins", "fx", "rates")
DATABASES = ("postgresql://", "postgres://")
LOOK = 2.0  # between two looks into a watched folder [s]


class ImportCommand(Command):
    """The command whose help ends with what each vendor delivers."""

    def format_epilog(self, ctx, formatter):
        super().format_epilog(ctx, formatter)
        from store import ingest

        with formatter.section("Readers (--vendor)"):
            for name, about in ingest.abouts().items():
                formatter.write_text(f"{name}: {about.title}. Files: {about.files}. Gives {about.gives}. "
                                     f"Export: {about.export}. Note: {about.lacks}.")  # fmt: skip
                formatter.write_paragraph()


def import_(
    context: typer.Context,
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[margins|fx|rates] SOURCE...",
            help="Files or folders; postgresql://HOST/DATABASE with --table; databento:ES or norgate:ES.",
            show_default=False,
        ),
    ] = None,
    vendor: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Read with this reader; without it every reader is asked whether a file is its own."
        ),
    ] = None,
    root: Annotated[str | None, typer.Option(metavar="ROOT", help="Store what is read under this root.")] = None,
    kind: Annotated[
        str | None,
        typer.Option(metavar="KIND", help="margins, fx or rates: what the files hold; or KIND as the first word."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would happen, change nothing.")] = False,
    watch: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Import files as they come into this folder, until Ctrl-C.")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Say yes: to a guessed layout, and to the cost of a download.")
    ] = False,
    table_: Annotated[str | None, typer.Option("--table", metavar="NAME", help="Table of a database.")] = None,
    map_: Annotated[
        str | None, typer.Option("--map", metavar="OURS=THEIRS,...", help="Columns of the table, as time=ts,settle=px.")
    ] = None,
    first: Annotated[str | None, typer.Option("--from", metavar="DAY", help="First day of a download.")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DAY", help="Last day of a download.")] = None,
):
    """Recognise, read, check and store prices, exchange and interest rates, margins.

    Every row is accepted, warned about or quarantined, and counted. All files of one call are committed at once; a file
    imported before is skipped. The exit code is 1 if any file could not be read or had no usable row.
    """
    sources = list(sources or [])
    if sources and sources[0] in KINDS and not Path(sources[0]).exists():
        kind = sources.pop(0)
    if kind and kind not in KINDS:
        raise typer.BadParameter(f"{kind}: {', '.join(KINDS)} are known; prices need none", param_hint="--kind")
    if root == "":
        raise typer.BadParameter("which market? --root ROOT", param_hint="--root")
    if "" in sources:
        raise typer.BadParameter("an empty name is no file and no folder", param_hint="SOURCE")
    if watch:
        return _watch(context, watch, vendor, root)
    if not sources:
        raise typer.BadParameter("what shall be imported? Files, folders, or --watch DIR", param_hint="SOURCE")
    from store.places import place_of

    paths = [Path(source) for source in sources if not _remote(source)]
    there = [path for path in paths if path.exists()]
    if paths and not there and not place_of(context.obj.store).exists():  # a wrong name is no reason to make a store
        raise FileNotFoundError(f"{paths[0]}: no such file or folder; nothing was imported")
    archive = _store(context, dry_run)
    if not dry_run:
        context.with_resource(holding(context, archive))
    reports, days = [], (day_of(first, "--from"), day_of(last, "--to"))
    for source in filter(_remote, sources):
        reports += _from_remote(archive, source, vendor, root, table_, map_, days, yes, dry_run)
    if paths:
        from store import ingest

        def call(files):
            with progress("import") as bar:
                return ingest.import_paths(archive, files, vendor, root, bar, kind, dry_run, _ask(context, bar))

        reports += _guessed(context, archive, call(paths), call, yes, dry_run)
    emit(context, _document(archive, reports, dry_run), _show_import)
    failed = [report for report in reports if report.error]
    for report in failed:
        typer.echo(f"frontmonth: {report.error}", err=True)
    if failed:
        raise typer.Exit(1)


def _store(context, dry_run):
    """The store; for a dry run without one an empty one, which is gone afterwards."""
    from store import open_archive
    from store.archive import ArchiveMissing

    try:
        return opened(context, create=not dry_run)
    except ArchiveMissing:
        return open_archive(context.with_resource(TemporaryDirectory()), create=True)


def _document(archive, reports, dry_run=False):
    return {
        "snapshot": archive.head().number,
        "dry_run": dry_run,
        "files": [
            {"file": r.file, "vendor": r.vendor or None, "roots": r.roots} | {c: getattr(r, c) for c in COUNTS}
            | {"reasons": r.reasons, "first": r.first or None, "notes": r.notes}
            | {"import_id": r.import_id or None, "skipped": r.skipped}
            | {"left_out": r.left_out or None, "error": r.error or None}
            for r in reports
        ],
        "totals": {c: sum(getattr(r, c) for r in reports) for c in COUNTS},
    }  # fmt: skip


def _remote(source):
    return source.startswith((*DATABASES, "databento:", "norgate:"))


def _from_remote(archive, source, vendor, root, table_, map_, days, yes, dry_run):
    """Reports of what a database or a vendor's service gave."""
    from store import ingest

    with progress("import") as bar:
        if source.startswith(DATABASES):
            from store import postgres

            if not table_:
                raise typer.BadParameter("which table of the database? --table NAME", param_hint="--table")
            name = vendor or postgres.VENDOR
            return postgres.import_table(archive, source, table_, _mapping(map_), root, dry_run, bar, name)
        if source.startswith("norgate:"):
            from store.vendors import norgate

            return [ingest.import_readings(archive, *norgate.read_api([source.partition(":")[2]]), root, dry_run)]
        return _download(archive, source.partition(":")[2], days, yes, dry_run, bar)


def _download(archive, symbol, days, yes, dry_run, bar):
    """Reports of what Databento's service gave, if the user agreed to its cost."""
    from store import databento_api

    if not days[0]:
        raise typer.BadParameter("from which day on? --from DAY", param_hint="--from")
    agreed = lambda cost: not dry_run and _pay(cost, yes, bar)  # noqa: E731
    found = databento_api.fetch(archive, symbol, *days, ask=agreed, progress=bar, dry_run=dry_run)
    if dry_run and found.declined:
        typer.echo(f"the download would cost {found.cost:,.2f} USD; nothing was downloaded", err=True)
    elif found.declined:
        raise RuntimeError(f"nothing was downloaded: {found.cost:,.2f} USD were not agreed to; --yes agrees")
    return found.reports


def _pay(cost, yes, bar):
    """Whether the user wants a download at this cost."""
    told = f"Databento says that this download costs {cost:,.2f} USD."
    if yes:
        typer.echo(told, err=True)
        return True
    return sys.stdin.isatty() and _confirmed(f"{told} Download?", bar)


def _mapping(text):
    """{ours: theirs} of `time=ts,settle=px`."""
    pairs = [part.partition("=") for part in (text or "").split(",") if part]
    for ours, _, theirs in pairs:
        if not theirs:
            raise typer.BadParameter(f"{ours}: write OURS=THEIRS, as time=ts", param_hint="--map")
    return {ours.strip(): theirs.strip() for ours, _, theirs in pairs}


def _confirmed(text, bar):
    """Whether the user says yes, the progress bar out of the way."""
    if bar:
        bar.stop()
    try:
        return typer.confirm(text, default=False, err=True)
    finally:
        if bar:
            bar.start()


def _ask(context, bar):
    """Asks on a terminal what an unknown market near a known one is; nobody is asked elsewhere."""
    if context.obj.json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None

    def ask(name, near, file):
        text = f"{file}: the master knows no {name}. Is it {near}? [y: store as {near}; n: a market of its own]"
        return near if _confirmed(text, bar) else None

    return ask


def _guessed(context, archive, reports, call, yes, dry_run):
    """The reports; files of an unknown layout are read by a guessed one, if the user agrees."""
    from store import guess, raw

    again = []
    for report in [r for r in reports if r.guess]:
        path = report.path
        try:
            found = guess.renamed(archive.path, guess.guess(raw.open_file(path).parts[0], path.stem))
        except raw.Unreadable as why:
            report.error += f"; and its layout cannot be guessed: {why}"
            continue
        _show_guess(found, report.file)
        if dry_run:
            report.error += "; a layout is guessed above: without --dry-run, --yes saves it and imports the file"
        elif yes or (sys.stdin.isatty() and not context.obj.json and typer.confirm(
            f"Save this layout as [{found.name}] and import the file?", err=True)):  # fmt: skip
            written = guess.save(archive.path, found)
            archive.place.put_beside(written.name, written.read_bytes())
            again.append(path)
        else:
            report.error += "; a layout is guessed above: --yes saves it and imports the file"
    if not again:
        return reports
    done = {report.file: report for report in call(again)}
    return [done.get(report.file, report) for report in reports]


def _show_guess(found, file):
    """The guessed layout and five rows by it, on stderr."""
    from store import guess

    typer.echo(f"{file}: no reader knows this layout. Guessed, as it would stand in vendors.toml:", err=True)
    typer.echo(guess.toml(found), err=True)
    for row in found.rows:
        typer.echo(
            "  " + ", ".join(f"{name} {clean(value)}" for name, value in row.items() if value is not None), err=True
        )
    for doubt in found.doubts:
        typer.echo(f"  doubt: {doubt}", err=True)


def _watch(context, folder, vendor, root):
    """Import what comes into a folder, a line a batch, until interrupted."""
    from store import ingest, locks, watch

    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder")
    archive, seen, waiting = opened(context, create=True), {}, []
    typer.echo(f"watching {folder}; Ctrl-C ends it", err=True)
    while True:
        waiting += watch.arrivals(folder, seen)
        if waiting:
            try:
                with holding(context, archive):
                    reports = ingest.import_paths(archive, waiting, vendor, root, asked_for=False)
            except locks.Busy as error:  # the files wait too
                typer.echo(f"frontmonth: {error}", err=True)
                continue
            waiting = []
            fresh = [report for report in reports if not report.skipped]
            if fresh:
                emit(context, _document(archive, fresh), _show_import)
                sys.stdout.flush()
            for report in fresh:
                if report.error:
                    typer.echo(f"frontmonth: {report.error}", err=True)
        time.sleep(LOOK)


def _show_import(document):
    files, totals = document["files"], document["totals"]
    shown = files
    if len(files) > SHOWN_FILES:
        shown = [f for f in files if f["error"] or f["reasons"]] + [f for f in files if f["left_out"]]
        shown = shown[:SHOWN_FILES]
    table(
        shown,
        {
            "file": lambda f: Path(f["file"]).name,
            "vendor": lambda f: f["vendor"],
            "roots": lambda f: ", ".join(f["roots"][:6]) + (" ..." if len(f["roots"]) > 6 else ""),
            "rows read": lambda f: f"{f['rows_read']:,}",
            "accepted": lambda f: f"{f['accepted']:,}",
            "warned": lambda f: f"{f['warned']:,}",
            "quarantined": lambda f: f"{f['quarantined']:,}",
            "": _became,
        },
    )
    if len(shown) < len(files):
        say(f"{len(shown)} of {len(files):,} files are shown, those with something to tell; --json prints all.")
    skipped, left_out = sum(f["skipped"] for f in files), sum(f["left_out"] is not None for f in files)
    say(
        f"{counted(len(files), 'file')}, {totals['rows_read']:,} rows read = {totals['accepted']:,} accepted + "
        f"{totals['warned']:,} warned + {totals['quarantined']:,} quarantined"
        + (f"; {counted(skipped, 'file')} imported before" if skipped else "")
        + (f"; {counted(left_out, 'file')} left out" if left_out else "")
    )
    if document["dry_run"]:
        say("A dry run: nothing was stored.")
    elif skipped and skipped + left_out == len(files):
        say("Nothing new: the store is as it was.")
    for import_id in dict.fromkeys(file["import_id"] for file in files if file["import_id"]):
        say(f"import {import_id}: snapshot {document['snapshot']}; `frontmonth drop {import_id}` takes it back")
    for first in [file["first"] for file in files if file["first"]][:SHOWN_FIRST]:
        say(f"first in quarantine: {first}")
    for sentence in _left_out(files):
        say(sentence)
    for note in _notes(files):
        say(note)


SHOWN_FILES = 60
SHOWN_FIRST = 10  # files whose first quarantined row is told
COUNT = re.compile(r"(.+): (\d+)")  # a note that counts


def _became(file):
    if file["skipped"]:
        return "imported before"
    return "left out" if file["left_out"] else (file["error"] and "failed") or _reasons(file["reasons"])


def _left_out(files):
    """A sentence a reason for which files were left out."""
    names = {}
    for file in files:
        if file["left_out"]:
            names.setdefault(file["left_out"], []).append(Path(file["file"]).name)
    for reason, found in names.items():
        many = f" and {counted(len(found) - 1, 'other file')}" if len(found) > 1 else ""
        yield f"left out: {clean(found[0])}{many}: {reason}"


def _notes(files):
    """The notes, each once; those that count the same thing in several files as one, with the sum."""
    found = {}
    for file in files:
        for note in file["notes"]:
            count = COUNT.fullmatch(note)
            found.setdefault(count[1] if count else note, []).append(int(count[2]) if count else None)
    return [note if counts[0] is None else f"{note}: {sum(counts):,}" for note, counts in found.items()]


def _reasons(reasons):
    return ", ".join(f"{name} {count:,}" for name, count in reasons.items())


VERBS = {
    "import": (import_, "Bring vendors' files into the store.", "frontmonth import prices/ --vendor barchart"),
}
