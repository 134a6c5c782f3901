"""Verbs that copy the store: backup, restore, export."""

from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer

from app.commands.data import holding, opened, resolved
from app.commands.output import counted, emit, megabytes, progress, say, table

FORMATS = ("parquet", "csv", "delta")
DATABASES = ("postgresql:", "postgres:")


def backup(
    context: typer.Context,
    target: Annotated[str, typer.Argument(metavar="DIR", help="A folder, or s3://bucket/prefix.", show_default=False)],
    check_all: Annotated[
        bool, typer.Option("--check-all", help="Read again all that is in DIR, not a seventh.")
    ] = False,
):
    """Copy what DIR lacks: new files and snapshots, runs, tags, your own files beside the store.

    Each file is compared with its checksum on the way, and a seventh of those that are in DIR already, another one each
    day: a damaged one is copied again. Stopped at any point, DIR is the backup that it was before.
    """
    from store.backup import backup as copy

    archive = opened(context)
    with _alone(context, archive), progress("backup") as bar:
        document = copy(archive, target, bar, check_all)
    emit(context, document, _show_backup)


@contextmanager
def _alone(context, archive):
    """The lock of backups, where one can be made: a store on a disk that is read-only, or full, is backed up too."""
    from store.durable import NotWritten

    with ExitStack() as held:
        with suppress(NotWritten):
            held.enter_context(holding(context, archive, "backup"))
        yield


def _show_backup(document):
    say(f"snapshot {document['snapshot']} is in {document['target']}: {counted(document['files_copied'], 'file')} "
        f"copied ({megabytes(document['bytes_copied'])}), {document['files_held']:,} were there, "
        f"{counted(document['runs'], 'run')}")  # fmt: skip
    for name in document["mended"]:
        say(f"damaged in the backup, and copied again: {name}")
    if document["left_out"]:
        say(f"left out, as no part of a store: {', '.join(document['left_out'])}")
    say(f"`frontmonth restore {document['target']} --store NEW` makes a store of it again.")


def restore(
    context: typer.Context,
    target: Annotated[str, typer.Argument(metavar="DIR", help="The backup.", show_default=False)],
    as_of: Annotated[
        str | None, typer.Option(metavar="SNAPSHOT", help="The store as of then: number, tag, day, head.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Only look whether the backup is whole.")] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Put what is damaged or missing in the store in its place again.")
    ] = False,
):
    """Make a store of a backup: every file is compared with its checksum first, and all of it is there or nothing.

    The store (--store) must not exist yet, or be an empty folder; with --repair it is the one that lost something.
    """
    from store import backup as backups

    if check + repair + (as_of is not None) > 1:
        raise typer.BadParameter("--check, --repair and --as-of do not go together", param_hint="--check")
    if repair:
        return _repair(context, target)
    with progress("restore") as bar:
        if check:
            problems = [str(problem) for problem in backups.check(target)]
            emit(context, {"target": target, "problems": problems}, _show_check)
            if problems:
                raise typer.Exit(1)
            return None
        document = backups.restore(target, context.obj.store, as_of, bar)
    return emit(context, document, _show_restore)


def _repair(context, target):
    from store.restore import repair

    archive = opened(context)
    with holding(context, archive), holding(context, archive, "gc"), progress("verify") as bar:
        document = repair(target, context.obj.store, bar)
    emit(context, document, _show_repair)
    if document["left"]:
        raise typer.Exit(1)


def _show_repair(document):
    for problem in document["left"]:
        say(problem)
    for name in document["mended"]:
        say(f"mended: {name}")
    if not document["mended"] and not document["left"]:
        say(f"nothing to mend: snapshot {document['snapshot']} is as it was written")


def _show_check(document):
    for problem in document["problems"]:
        say(problem)
    if not document["problems"]:
        say(f"{document['target']} is whole")


def _show_restore(document):
    files, runs = counted(document["files"], "file"), counted(document["runs"], "run")
    say(f"{document['store']} is the store as of snapshot {document['snapshot']}: {files}, "
        f"{megabytes(document['bytes'])}, {runs}; all are as they were written")  # fmt: skip


def export(
    context: typer.Context,
    roots: Annotated[
        list[str] | None,
        typer.Argument(metavar="ROOT...", help="Markets, for a database; all, if none is named.", show_default=False),
    ] = None,
    to: Annotated[
        str, typer.Option(metavar="DIR|URL", help="A new folder, or postgresql://USER@HOST/DATABASE (no password).")
    ] = "",
    format_: Annotated[str, typer.Option("--format", metavar="NAME", help="Of a folder: parquet, csv, delta.")] = "",
    tables: Annotated[list[str] | None, typer.Option("--table", metavar="NAME", help="Only this table.")] = None,
    version: Annotated[
        str, typer.Option("--snapshot", metavar="SNAPSHOT", help="Number, tag, day, head or head~1.")
    ] = "head",
    schema: Annotated[
        str, typer.Option(metavar="NAME", help="Of a database: schema of the tables; made where it is missing.")
    ] = "public",
):
    """Write the stored tables into a folder (Parquet, CSV or Delta), or into a PostgreSQL database: all or nothing.

    In a database, rows of the exported markets that are there already are replaced; a password comes from PGPASSWORD or
    ~/.pgpass. Tables of a run: `frontmonth report RUN --out DIR/`.
    """
    if not to:
        raise typer.BadParameter("where to? a folder, or postgresql://USER@HOST/DATABASE", param_hint="--to")
    archive = opened(context)
    if to.startswith(DATABASES):
        return _to_database(context, archive, roots, to, schema, {"--format": format_, "--table": tables})
    if "://" in to:
        raise typer.BadParameter(f"{to}: a folder or a postgresql:// address is wanted", param_hint="--to")
    if format_ and format_ not in FORMATS:
        raise typer.BadParameter(f"{format_}: allowed are {', '.join(FORMATS)}", param_hint="--format")
    if roots:
        raise typer.BadParameter("a folder gets all markets; --table picks tables", param_hint="ROOT...")
    from store import tags
    from store.export import export as write

    with progress("export") as bar:
        document = write(archive, Path(to), format_ or "parquet", tables, tags.number_of(archive, version), bar)
    emit(context, document, _show_export)


def _to_database(context, archive, roots, to, schema, others):
    for option, value in others.items():
        if value:
            raise typer.BadParameter("it goes with a folder", param_hint=option)
    from store import postgres

    with progress("export") as bar:
        made = postgres.export(archive, to, resolved(archive, roots), schema=schema, progress=bar)
    emit(context, {"snapshot": archive.head().number, "schema": schema, "tables": made}, _show_database)


def _show_database(document):
    table(list(document["tables"].items()), {"table": lambda pair: pair[0], "rows": lambda pair: f"{pair[1]:,}"})
    say(f"snapshot {document['snapshot']} is in schema {document['schema']}")


def _show_export(document):
    columns = {
        "table": lambda r: r["table"],
        "rows": lambda r: f"{r['rows']:,}",
        "files": lambda r: f"{r['files']:,}",
        "size": lambda r: megabytes(r["bytes"]),
    }
    table(document["tables"], columns)
    say(f"snapshot {document['snapshot']} is in {document['folder']} as {document['format']}")


VERBS = {
    "backup": (backup, "Copy what is new into a backup.", "frontmonth backup /mnt/usb/futures"),
    "restore": (restore, "Make a store of a backup.", "frontmonth restore /mnt/usb/futures --store restored"),
    "export": (
        export,
        "Write tables into a folder or a database.",
        "frontmonth export --to tables --format csv",
    ),
}
