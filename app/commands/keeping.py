"""Verbs that keep the store: verify, snapshots, tag, undo, drop, compact, gc."""

from contextlib import nullcontext, suppress
from datetime import date, timedelta
from typing import Annotated

import typer

from app.commands.data import holding, opened, resolved
from app.commands.output import counted, emit, megabytes, progress, say, table

NIGHTS = 7  # in so many nights `verify --tonight` reads every file once
SHOWN = 20  # names of files that gc shows
Dry = Annotated[bool, typer.Option("--dry-run", help="Tell what would be done; change nothing.")]
Version = Annotated[
    str, typer.Argument(metavar="SNAPSHOT", help="Number, tag, day, head or head~1.", show_default=False)
]


def verify(
    context: typer.Context,
    tonight: Annotated[
        bool, typer.Option("--tonight", help=f"A {NIGHTS}th of the files, another one each day of a week.")
    ] = False,
    part: Annotated[str | None, typer.Option(metavar="K/N", help="Only the K-th of N parts, such as 2/7.")] = None,
):
    """Check every stored file against its checksum, the chain of snapshots, the runs and the tags.

    The exit code is 1 if any is missing, cut or altered; each is named.
    """
    from store.archive import Damaged
    from store.cached import torn
    from store.verify import verify as check

    if tonight and part:
        raise typer.BadParameter("--tonight and --part do not go together", param_hint="--part")
    archive = opened(context)
    chosen = (date.today().toordinal() % NIGHTS + 1, NIGHTS) if tonight else _part(part)
    with progress("verify") as bar:
        document = check(archive, chosen, bar)
    with suppress(Damaged):  # told among the problems
        document["files"] = len(archive.head().files)
    document["cache"] = torn(archive.cache, chosen)
    emit(context, document, _show_verify)
    if document["problems"]:
        raise typer.Exit(1)


def _part(text):
    if text is None:
        return None
    first, _, of = text.partition("/")
    if not (first.isdigit() and of.isdigit() and 1 <= int(first) <= int(of)):
        raise typer.BadParameter(f"{text}: a part is written as 2/7", param_hint="--part")
    return int(first), int(of)


def _show_verify(document):
    for problem in document["problems"]:
        say(problem)
    of = "" if document["checked"] == document["of"] else f" of {document['of']:,}"
    read = f"{document['checked']:,}{of} files, {megabytes(document['bytes'])}, were read"
    if document["problems"]:
        say(f"{counted(len(document['problems']), 'problem')}; {read}")
    else:
        say(f"snapshot {document['snapshot']}: {read}; all are as they were written")
    for name in document["cache"]["torn"]:
        say(f"{name} is cut or altered: nothing is lost, it is made anew when it is next asked for; is the disk well?")


def snapshots(
    context: typer.Context,
    last: Annotated[int, typer.Option(metavar="N", min=1, help="So many of the newest.")] = 20,
    all_: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
):
    """The versions of the store, newest first: when and why each was made, its tags, and what keeps it from gc."""
    from store import retention

    rows = retention.snapshots(opened(context))
    emit(context, rows if all_ or context.obj.json else rows[:last], lambda shown: _show_snapshots(shown, len(rows)))


def _show_snapshots(rows, of):
    if not rows:
        say("Nothing was committed yet.")
        return
    columns = {
        "snapshot": lambda r: r["number"],
        "time": lambda r: (r["time"] or "")[:16].replace("T", " "),
        "rows": lambda r: "" if r["dropped"] else f"{r['rows']:,}",
        "files": lambda r: "" if r["dropped"] else f"{r['files']:,}",
        "size": lambda r: "" if r["dropped"] else megabytes(r["bytes"]),
        "tags": lambda r: ", ".join(r["tags"]),
        "runs": lambda r: r["runs"] or "",
        "kept as": lambda r: "dropped" if r["dropped"] else r["kept"] or "until gc",
        "note": lambda r: r["note"],
    }
    table(rows, columns)
    if len(rows) < of:
        say(f"The newest {len(rows)} of {of:,} are shown; --all shows all.")


def tag(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="NAME", show_default=False, help="None: list the tags.")] = None,
    version: Annotated[str, typer.Argument(metavar="SNAPSHOT", help="Number, tag, day, head or head~1.")] = "head",
    note: Annotated[str, typer.Option(metavar="TEXT", help="What the name stands for.")] = "",
    move: Annotated[bool, typer.Option("--move", help="Give a name that is used to another snapshot.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take the name away.")] = False,
):
    """Name a snapshot: it stays readable for as long as it has the name."""
    from store import tags

    archive = opened(context)
    if remove:
        if not name:
            raise typer.BadParameter("which tag? frontmonth tag NAME --remove", param_hint="--remove")
        tags.untag(archive, name)
    elif name:
        tags.tag(archive, name, tags.number_of(archive, version), note, move)
    emit(context, tags.tags(archive), _show_tags)


def _show_tags(rows):
    if not rows:
        say("No snapshot has a name yet: frontmonth tag NAME [SNAPSHOT]")
        return
    columns = {name: (lambda r, name=name: r[name]) for name in ("name", "number", "time", "author", "note")}
    table(rows, columns)


def undo(
    context: typer.Context,
    version: Version,
    note: Annotated[str | None, typer.Option(metavar="TEXT", help="Why; it stands in the list of snapshots.")] = None,
    dry_run: Dry = False,
):
    """Make the store as it was: a new snapshot equal to an old one, in all tables at once.

    Nothing is lost: the state before is the snapshot before, and `frontmonth undo` brings it back too. Runs, tags and
    the files of your own beside the store stay as they are.
    """
    from store import tags
    from store.undo import undo as back

    archive = opened(context)
    with nullcontext() if dry_run else holding(context, archive):
        document = back(archive, tags.number_of(archive, version), note, dry_run)
    emit(context, document, _show_undo)


def _show_undo(document):
    _show_changes(document["tables"])
    if document["dry_run"]:
        say(f"nothing was changed; without --dry-run the store would be as in snapshot {document['equal_to']}")
    else:
        say(f"snapshot {document['snapshot']} is equal to snapshot {document['equal_to']}; "
            f"`frontmonth undo {document['snapshot'] - 1}` takes this back")  # fmt: skip


def _show_changes(rows):
    changed = [row for row in rows if row["rows_before"] != row["rows_after"]]
    if changed:
        table(
            changed,
            {
                "table": lambda r: r["table"],
                "rows before": lambda r: f"{r['rows_before']:,}",
                "rows after": lambda r: f"{r['rows_after']:,}",
            },
        )


def drop(
    context: typer.Context,
    what: Annotated[
        str, typer.Argument(metavar="ROOT|IMPORT", help="A market, or the id of an import.", show_default=False)
    ],
    source: Annotated[str | None, typer.Option(metavar="NAME", help="Only the market's rows of this source.")] = None,
    dry_run: Dry = False,
):
    """Take a market out of the newest snapshot, or take back what one import did; its files can be imported again.

    Older snapshots still have the rows, until gc drops those that nothing keeps.
    """
    from store import doors
    from store import drop as drops

    archive = opened(context)
    ids = archive.read("imports", columns=["import_id"])["import_id"].unique().to_list()
    with nullcontext() if dry_run else holding(context, archive):
        if what in ids:
            if source:
                raise typer.BadParameter("it goes with a market, not with an import", param_hint="--source")
            document = drops.drop_import(archive, what, dry_run)
        else:
            document = drops.drop_root(archive, doors.root_of(archive, what), source, dry_run)
    emit(context, document, _show_drop)


def _show_drop(document):
    _show_changes(document["tables"])
    for note in document["notes"]:
        say(f"note: {note}")
    dropped = document["dropped"]
    what = f"import {dropped['import']}" if "import" in dropped else dropped["root"]
    what += f" of {dropped['source']}" if dropped.get("source") else ""
    if document["dry_run"]:
        say(f"nothing was changed; without --dry-run {what} would be dropped")
    else:
        say(f"{what} is dropped; `frontmonth undo {document['snapshot'] - 1}` brings it back")


def compact(
    context: typer.Context,
    roots: Annotated[
        list[str] | None, typer.Argument(metavar="ROOT...", help="Markets; all tables, if none is named.")
    ] = None,
    dry_run: Dry = False,
):
    """Merge many small files into few: the same rows, read quicker. Do it monthly, or when imports were many."""
    from store.compact import compact as merge

    archive = opened(context)
    with nullcontext() if dry_run else holding(context, archive), progress("compact") as bar:
        document = merge(archive, resolved(archive, roots) if roots else None, dry_run, bar)
    emit(context, document, _show_compact)


def _show_compact(document):
    before, after = document["files_before"], document["files_after"]
    if not document["groups"]:
        say(f"nothing to merge: {counted(before, 'file')}")
        return
    would = "would become" if document["dry_run"] else "became"
    say(f"{counted(before, 'file')} {would} {after:,}; snapshot {document['snapshot']}")


def gc(
    context: typer.Context,
    dry_run: Dry = False,
    keep_days: Annotated[int, typer.Option(metavar="DAYS", min=0, help="Keep all snapshots of so many days.")] = 30,
    older_than: Annotated[
        float, typer.Option(metavar="HOURS", min=0, help="Leave files that are younger: a writer's work in progress.")
    ] = 24,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
):
    """Drop old snapshots that nothing keeps, and remove files that no snapshot names. On a terminal it asks first.

    Kept are: the newest, those of the last 30 days, the first of each month, and all that a tag or a run names.
    """
    import sys

    from store import retention

    archive, age = opened(context), timedelta(hours=older_than)
    document = retention.gc(archive, age, keep_days)
    if not dry_run and not yes and sys.stdin.isatty() and (document["files"] or document["snapshots"]):
        _show_gc(document)
        typer.confirm("Remove them?", abort=True, err=True)
    if not dry_run:
        document = retention.gc(archive, age, keep_days, dry_run=False)
    emit(context, document, _show_gc)


def _show_gc(document):
    names = document["files"]
    for name in names[:SHOWN]:
        say(name)
    if len(names) > SHOWN:
        say(f"and {counted(len(names) - SHOWN, 'more file')}; --json names all")
    would = "would be " if document["dry_run"] else ""
    dropped = counted(len(document["snapshots"]), "snapshot")
    say(f"{dropped} {would}dropped, {counted(len(names), 'file')} {would}removed: {megabytes(document['bytes'])}")
    later = document["later"]
    if later["files"]:
        told = f"{counted(later['files'], 'file')}, {megabytes(later['bytes'])}"
        say(f"{told}, of dropped snapshots are too young (--older-than): a later gc removes them")
    say("kept: " + ", ".join(f"{count:,} {reason}" for reason, count in document["kept"].items() if count))


VERBS = {
    "verify": (verify, "Compare every stored file with its checksum.", "frontmonth verify --tonight"),
    "snapshots": (snapshots, "The versions of the store.", "frontmonth snapshots --last 10"),
    "tag": (tag, "Name a snapshot, so that it is kept.", "frontmonth tag before-cleaning"),
    "undo": (undo, "Make the store as it was in an old snapshot.", "frontmonth undo 12"),
    "drop": (drop, "Take out a market, or what an import did.", "frontmonth drop PLUTONIUM --dry-run"),
    "compact": (compact, "Merge many small files into few.", "frontmonth compact"),
    "gc": (gc, "Drop old snapshots and remove what nothing names.", "frontmonth gc --dry-run"),
}
