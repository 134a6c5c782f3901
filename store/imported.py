"""What was imported before, and whether a file has to be read again.

1. A content is skipped under the name, the vendor and the root asked for (`--root`) under which it came; that of a zip,
   whose members have names of their own, under any name.
2. It is new again once a later import brought another content of that name into the same market and table: somebody
   brings the earlier one back. Not so where the call holds the later content too, or a new one of that name: a folder
   with old and new versions of a file is read once.
3. It is new again, too, where rows that it held were taken back with another import, which had brought them before it
   (`takeback`): the log has `TAKEN_BACK` among its reasons.
4. A file with a row that was released since it came is read for that row alone; such an import replaces no other.
"""

import json
from pathlib import Path
from typing import NamedTuple

from store import decisions
from store.tables import TABLES

TAKEN_BACK = "taken_back"  # of so many rows at most that the file held too
NEW, HELD, AGAIN, REPLACED = "new", "held", "again", "replaced"  # states of a content


class Past(NamedTuple):
    """One file of one import; `number` tells what came later."""

    number: int
    import_id: str
    sha256: str
    file: str
    vendor: str
    roots: frozenset
    tables: frozenset  # none: it was read for released rows alone
    asked: str
    under: tuple


class History:
    """What was imported up to a snapshot, and what this call takes."""

    def __init__(self, archive, snapshot):
        self.archive, self.snapshot, self.newer = archive, snapshot, None
        self._of, self._named, self._number = {}, {}, 0
        columns = ["import_id", "sha256", "file", "vendor", "roots", "tables", "asked", "reasons"]
        for row in archive.read("imports", snapshot, columns).iter_rows():
            self._add(*row)
        self.then = {sha256: {past.under for past in pasts} for sha256, pasts in self._of.items()}
        self._reopened = _reopened(archive, snapshot, self._of)

    def _add(self, import_id, sha256, file, vendor, roots, tables, asked, reasons=None):
        self._number += 1
        names = frozenset(TABLES) if tables is None else frozenset(tables.split(",")) - {""}
        under = file, vendor, roots
        past = Past(
            self._number, import_id, sha256, file, vendor, frozenset(roots.split(",")), names, asked or "", under
        )
        if TAKEN_BACK not in json.loads(reasons or "{}"):
            self._of.setdefault(sha256, []).append(past)
        self._named.setdefault((file, vendor), []).append(past)

    def took(self, report, under, asked):
        """A file came in with this call."""
        self._add("", report.sha256, *under, ",".join(report.tables), asked)

    def holds(self, sha256):
        """Whether this content was imported under whatever name."""
        return sha256 in self._of

    def state(self, report, vendor, asked, table=None, packed=False):
        """NEW, HELD, AGAIN or REPLACED, and the contents that replaced this one.

        Parameters
        ----------
        report : FileReport
        vendor : str or None
            Who would read it; None: it does not matter.
        asked : str
            The root asked for, or ''.
        table : str, optional
            The one table that its rows would go to.
        packed : bool
            Whether it is a zip, whose name does not matter.
        """
        name = None if packed else Path(report.file).name
        found = [
            past
            for past in self._of.get(report.sha256, ())
            if name in (None, past.file)
            and vendor in (None, past.vendor)
            and asked == past.asked
            and (table is None or not past.tables or table in past.tables)
        ]
        if not found:
            return NEW, ()
        if any((past.sha256, past.file) in self._reopened for past in found):
            return AGAIN, ()
        later = self._later(found)
        return (REPLACED, later) if later else (HELD, ())

    def _later(self, found):
        """Contents that came after the last of `found`, under its name and into its markets and tables."""
        last, roots = found[-1], frozenset().union(*(past.roots for past in found))
        tables, later = frozenset().union(*(past.tables for past in found)), set()
        for past in reversed(self._named[last.file, last.vendor]):
            if past.number <= last.number:
                break
            if past.sha256 != last.sha256 and past.roots & roots and past.tables & tables:
                later.add(past.sha256)
        return later

    def taken_since(self, head, report, under):
        """Whether another process has imported this content meanwhile."""
        if head == self.snapshot:
            return False
        if self.newer is None or self.newer.snapshot != head:
            self.newer = History(self.archive, head)
        return under in self.newer.then.get(report.sha256, set()) - self.then.get(report.sha256, set())


def _reopened(archive, snapshot, contents):
    """(sha256, file) of files with a row that was released after they were imported last."""
    ids = decisions.released(archive, snapshot)
    if not ids:
        return set()
    rows = archive.read("quarantine", snapshot, ["id", "rule", "import_id", "file"]).iter_rows()
    held = {(import_id, file.split("/")[0]) for id_, rule, import_id, file in rows if id_ in ids and rule != "unparsed"}
    latest = {(past.sha256, past.file): past.import_id for pasts in contents.values() for past in pasts}
    return {place for place, import_id in latest.items() if (import_id, place[1]) in held}
