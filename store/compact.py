"""Many small files become few; what any reader sees stays as it was, and old snapshots stay readable.

1. **Bars, chains, exchange and interest rates** grow by one file a market and night (`commit`). Of one group, which is
   table and labels (source, market, year), the files that came after the first are written as one, in the order of the
   key: a group is two files at most. The first stays while it holds `STAYS` times the rows of the others; else it is
   written anew with them. A night thus costs what came lately and not what is stored, in time and on the disk, where
   what was replaced lies for as long as a snapshot needs it. With `whole` each group is made one file at any cost.
2. **Logs** (`LOGS`) grow by one file an import and have no order but that in which their rows came. By the same rule
   neighbours are joined, row after row, over the whole table: any number of files stays, each with `STAYS` times the
   rows of all after it. A joined file holds many imports and lacks the labels in which they differ, so that the rows
   decide (`segments.may_hold`).
3. **All other tables** hold one file a market, which every change replaces; nothing is to be done.
4. The joined file stands in the list of files where the first of its parts stood: a log keeps its order though an
   import comes meanwhile, and an import is in the way only where it replaced one of the parts. Then these are left to
   the next call, as he has just written them anew.
5. Series in the cache, and notes of what was aggregated, go on: they are told that their rows lie in other files now.
6. Each commit is of `PORTION` bytes at most and complete in itself. What a killed call had written, and no commit
   names, is taken by `gc`.
"""

from dataclasses import dataclass, replace

from store import aggregate, derived
from store.commit import GROWING
from store.manifest import Conflict, Damaged
from store.naming import axis
from store.segments import choose, group
from store.tables import TABLES

LOGS = ("decisions", "imports", "quarantine", "revisions")
STAYS = 16  # times the rows of the files after it
PORTION = 256 << 20  # read for one commit [bytes]
TRIES = 10  # commits of one portion when others keep replacing its files


@dataclass(frozen=True, eq=False)
class Join:
    """Files of one table that are to be one, in the order of their commits, and its labels: those that all share."""

    files: tuple

    @property
    def table(self):
        """Its name."""
        return self.files[0].table

    @property
    def labels(self):
        """What holds for all rows."""
        return dict(set.intersection(*(set(segment.labels.items()) for segment in self.files)))

    @property
    def bytes(self):
        """Of all files."""
        return sum(segment.bytes for segment in self.files)

    def told(self, made):
        """As the document of `compact` has it; `made` is None where nothing was written."""
        rows = sum(segment.rows for segment in self.files)
        found = {"table": self.table, "labels": dict(sorted(self.labels.items())), "files": len(self.files)}
        return found | {"rows": rows, "bytes_before": self.bytes, "bytes_after": made and made.bytes}


def compact(archive, roots=None, dry_run=False, progress=None, whole=False):
    """Join small files of a store.

    Parameters
    ----------
    archive : Archive
    roots : list of str, optional
        Only bars and chains of these markets; all tables, if not given.
    dry_run : bool
        Only tell.
    progress : callable(done, total, name), optional
        A step a file that is made.
    whole : bool
        Make every group one file.

    Returns
    -------
    dict
        `snapshot` (the newest afterwards), `files_before` and `files_after` (of all tables), `groups`: table, labels,
        files, rows, bytes_before, bytes_after (null where nothing was written) of each file that was made; `dry_run`.

    Raises
    ------
    Refused
        No such market is stored.
    Conflict
        Others kept replacing these files; the commits before stand.

    Examples
    --------
    >>> import tempfile
    >>> from datetime import date
    >>> import polars as pl
    >>> from store import open_archive
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     archive = open_archive(folder, create=True)
    ...     for day in (1, 4, 5):
    ...         rate = pl.DataFrame({"day": [date(2024, 3, day)], "rate": [1.08]})
    ...         snapshot = archive.commit([archive.write("fx", rate, source="ecb", currency="EUR")])
    ...     done = compact(archive)
    ...     (done["files_before"], done["files_after"], archive.read("fx")["day"].dt.day().to_list())
    (3, 1, [1, 4, 5])
    """
    head = archive.head()
    before, found, made = len(head.files), joins(head, roots, whole), {}
    for portion in [] if dry_run else _portions(found):
        _joined(archive, portion, made, lambda name: progress and progress(len(made), len(found), name))
    done = found if dry_run else [one for one in found if one in made]
    after = archive.head()
    return {
        "snapshot": after.number,
        "files_before": before,
        "files_after": before - sum(len(one.files) - 1 for one in done),
        "groups": [one.told(made.get(one)) for one in done],
        "dry_run": dry_run,
    }


def joins(snapshot, roots=None, whole=False):
    """The files of a snapshot that are to be joined: a list of Join, table by table."""
    held = {}
    for segment in snapshot.files:
        if segment.table in GROWING:
            held.setdefault(group(segment), []).append(segment)
        elif segment.table in LOGS and roots is None:
            held.setdefault((segment.table, ()), []).append(segment)
    if roots is not None:
        stored = {dict(labels).get("root") for _, labels in held} - {None}
        wanted = {choose(root, stored, "stored market") for root in roots}
        held = {key: files for key, files in held.items() if dict(key[1]).get("root") in wanted}
    most = {key: int(not whole) if key[0] in GROWING else len(files) for key, files in held.items()}
    late = {key: held[key][stay([s.rows for s in held[key]], most[key]) :] for key in sorted(held)}
    return [Join(tuple(files)) for files in late.values() if len(files) > 1]


def stay(rows, most):
    """How many of a group's files, of so many rows each in the order in which they came, stay as they are.

    >>> stay([2520, 100, 1], 1), stay([2520, 100, 1], 3), stay([2520, 157, 1], 1), stay([2520, 157, 1], 0)
    (1, 3, 0, 0)
    """
    after, found = sum(max(number, 1) for number in rows), 0
    for number in rows[:most]:
        after -= max(number, 1)
        if number < STAYS * after:
            break
        found += 1
    return found


def _portions(found):
    """The joins, parted so that one commit reads `PORTION` bytes at most, or is of one file."""
    portion, size = [], 0
    for one in found:
        if portion and size + one.bytes > PORTION:
            yield portion
            portion, size = [], 0
        portion.append(one)
        size += one.bytes
    if portion:
        yield portion


def _joined(archive, portion, made, tell):
    """Join the files of a portion in one commit; those that another writer replaced meanwhile drop out of `made`."""
    for left in reversed(range(TRIES)):
        head = archive.head()
        live = {segment.path for segment in head.files}
        fit = [one for one in portion if all(segment.path in live for segment in one.files)]
        for one in portion:
            if one in fit and one not in made:
                tell(f"{one.table} {one.labels.get(axis(one.table), '')}".rstrip())
                made[one] = _written(archive, head, one)
            elif one not in fit:
                made.pop(one, None)
        if not fit:
            return
        try:
            pairs = [(made[one], one.files) for one in fit]
            _swap(archive, pairs)
            for told in (derived, aggregate):
                told.joined(archive, pairs)
            return
        except Conflict:
            if not left:
                raise


def _written(archive, head, one):
    """The rows of a join as one file that nobody sees yet."""
    rows = archive.scan(one.table, replace(head, files=one.files)).collect(engine="in-memory")
    if rows.height != sum(segment.rows for segment in one.files):
        raise Damaged(f"{one.files[0].path} and those after it have {rows.height} rows, not those of the manifest")
    if one.table in GROWING:
        rows = rows.sort(TABLES[one.table].key, maintain_order=True)
    return archive.write(one.table, rows, **one.labels)


def _swap(archive, pairs):
    """Commit files in the places of those that they were made of: pairs of a Segment and its parts."""
    new = {parts[0].path: segment for segment, parts in pairs}
    gone = {part.path for _, parts in pairs for part in parts}

    def change(head):
        live = {segment.path for segment in head.files}
        if not gone <= live:
            raise Conflict(f"{min(gone - live)} was already replaced by another writer; nothing was changed")
        files = (new.get(segment.path, segment) for segment in head.files)
        return [segment for segment in files if segment.path not in gone]

    return archive.replace(list(new.values()), change, f"compact: {len(gone)} files into {len(new)}")
