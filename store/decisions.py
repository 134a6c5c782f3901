"""Decisions about findings and quarantined rows: who decided what, when and why; nothing is ever taken out of the log.

1. `release` decides about one thing: a finding stands and is settled, a quarantined row comes in with the next import.
2. `accept` decides about a rule, in one market or in all, now and from then on: its findings are settled.
3. `revoke` takes a decision back. A later decision goes before an earlier one.
4. A market with a finding of severity `refuse` about which nobody decided is not run (`refused`).

Each call is one commit, which brings `done` of the stored findings up to date. A fill (store/fill.py) is a decision
too. A row that came in by a release is in quarantine no longer. It stays when the release is revoked, which the log
says; later imports keep it out.
"""

from datetime import UTC, datetime
from itertools import product
from uuid import uuid4

import polars as pl

from store import segments
from store.raw import plain
from store.series_rules import CHECKS, DUPLICATE_MARKET, RESTATED
from store.system import user
from store.tables import TABLES

OPEN = "kept; decide"  # `done` of a finding about which nobody decided
MARKETS = ("contract_bars", "vendor_chains")  # the tables whose files each hold one market
STAYS = "the row came in and stays"
WORDS = {"release": "released", "accept": "accepted"}


def release(archive, ids, reason, author=None):
    """Let findings stand, or quarantined rows in at the next import, by their ids; the decisions made.

    Raises
    ------
    Refused
        An id that no stored finding and no quarantined row has, that of a row which could not be read, or no reason.
    Conflict
        Another writer decided meanwhile; nothing was changed. As in all functions here that write.
    """
    head = archive.head()
    rows = {row["id"]: row for row in quarantined(archive, head).iter_rows(named=True)}
    known = set(archive.read("findings", head, ["id"])["id"].drop_nulls()) | rows.keys() - {None}
    for one in (ids := list(dict.fromkeys(ids))):
        segments.choose(one, known, "finding or quarantined row")
        if one in rows and rows[one]["rule"] == "unparsed":
            told = plain("{file}, line {line}, column {column}: {reason}".format_map(rows[one]), 200)
            raise segments.Refused(f"{one} could not be read and cannot be released: mend the file ({told})")
    broken = {one: rows[one]["rule"] if one in rows else None for one in ids}
    return record(archive, head, [entry("release", reason, author, finding=one, rule=broken[one]) for one in ids])


def accept(archive, rule, roots, reason, author=None, source=None):
    """Settle all findings of a rule in the markets `roots` (None: in all), those to come too; the decisions made.

    With `source`, only findings on its rows.
    """
    head = archive.head()
    stored = set(archive.read("findings", head, ["rule"])["rule"])
    named = {check.name for check in (*CHECKS, DUPLICATE_MARKET, RESTATED)}
    segments.choose(rule, named | stored, "rule of a finding")
    held = {segment.labels["root"] for table in MARKETS for segment in archive.files(table, head)}
    for root in roots or ():
        segments.choose(root, held, "stored market")
    same = {"rule": rule, "source": source}
    roots = list(dict.fromkeys(roots or [None]))
    return record(archive, head, [entry("accept", reason, author, root=root, **same) for root in roots])


def revoke(archive, ids, reason, author=None):
    """Take decisions back, by their own ids or by those of what they released; the decisions made."""
    head = archive.head()
    standing = in_force(archive, head)
    if filled := set(standing.filter(pl.col("action") == "fill")["id"]) & set(ids):
        raise segments.Refused(f"{min(filled)} is a fill: unfill takes its rows out again")
    known = standing.filter(pl.col("action") != "fill")
    names = set(known["id"]) | set(known["finding"].drop_nulls())
    for one in ids:
        segments.choose(one, names, "decision in force")
    ids = list(dict.fromkeys(ids))
    taken = known.filter(pl.col("id").is_in(ids) | pl.col("finding").is_in(ids).fill_null(False))
    out, entries = set(quarantined(archive, head)["id"]), []
    for one in taken.iter_rows(named=True):
        entries.append(entry("revoke", reason, author, finding=one["id"]))
        if one["action"] == "release" and one["rule"] is not None and one["finding"] not in out:
            entries[-1]["reason"] += f" ({STAYS})"
    return record(archive, head, entries)


def log(archive, snapshot=None):
    """All decisions in the order in which they were made, those revoked too: columns of the table `decisions`."""
    return archive.read("decisions", snapshot)


def in_force(archive, snapshot=None):
    """The decisions that nobody revoked, in the order in which they were made."""
    return _in_force(log(archive, snapshot))


def released(archive, snapshot=None):
    """Ids of the findings and quarantined rows whose release is in force."""
    return set(releases(archive, snapshot))


def releases(archive, snapshot=None):
    """{id: when it was released} of the findings and quarantined rows whose release is in force."""
    made = in_force(archive, snapshot).filter(pl.col("action") == "release")
    return dict(made.select("finding", "time").iter_rows())


def quarantined(archive, snapshot=None):
    """The rows that are kept apart, not those that were released and came in: columns of the table `quarantine`."""
    return archive.read("quarantine", snapshot)


def settled(findings, archive, snapshot=None):
    """The findings with `done` as the decisions in force say: `released 2026-11-22 by NAME: reason`, `accepted ...`."""
    return _settled(findings, in_force(archive, snapshot))


def undecided(archive, snapshot=None, roots=None):
    """Stored findings about which nobody decided, of the markets `roots` (None: of all): columns of `findings`."""
    return _undecided(archive, snapshot, _found(archive, snapshot, roots))


def refused(archive, snapshot=None, roots=None):
    """Those of `undecided` that are of severity `refuse`: a market that has one is not to be run."""
    return _undecided(archive, snapshot, _found(archive, snapshot, roots).filter(pl.col("severity") == "refuse"))


def entry(action, reason, author=None, **about):
    """One row of the log, made now; `about` are its `finding`, `rule`, `root`, `source`."""
    reason = " ".join(str(reason or "").split())
    if not reason:
        raise segments.Refused(f"to {action} needs a reason, which is kept in the log")
    author = " ".join(str(author or user()).split())
    same = {"id": uuid4().hex[:12], "time": datetime.now(UTC), "author": author, "action": action}
    return same | about | {"reason": reason}


def record(archive, head, entries, add=(), remove=()):
    """Commit entries worked out on `head`, with other files that change with them; the decisions as stored."""
    if not entries:
        return TABLES["decisions"].empty()
    rows = TABLES["decisions"].conform(pl.DataFrame(entries, {c: TABLES["decisions"].schema[c] for c in entries[0]}))
    new, old = _restated(archive, head, _in_force(pl.concat([log(archive, head), rows])))
    first = entries[0]
    note = f"{first['action']} {first.get('finding') or first.get('rule') or ''}: {first['reason']}"
    archive.commit([archive.write("decisions", rows), *add, *new], [*remove, *old], note[:200], base=head)
    return rows


def _found(archive, snapshot, roots):
    """The stored findings of the markets `roots` (None: of all)."""
    return archive.read("findings", snapshot, **({} if roots is None else {"root": list(roots)}))


def _undecided(archive, snapshot, found):
    """Those of some findings about which nobody decided."""
    if found.is_empty():
        return found
    told = _told(found, in_force(archive, snapshot))
    return found.filter(pl.Series([text is None for text in told], dtype=pl.Boolean))


def _in_force(made):
    revoked = made.filter(pl.col("action") == "revoke")["finding"].to_list()
    return made.filter((pl.col("action") != "revoke") & ~pl.col("id").is_in(revoked))


def _restated(archive, head, standing):
    """Files of findings whose `done` changes, and those they replace."""
    new, old, by_root = [], [], {}
    for segment in archive.files("findings", head):
        by_root.setdefault(segment.labels.get("root"), []).append(segment)
    for root, files in by_root.items():
        found = archive.read("findings", head, root=root) if root else TABLES["findings"].empty()
        told = _settled(found, standing)
        if not told.equals(found):
            labels = {label: value for segment in files for label, value in segment.labels.items()}
            new.append(archive.write("findings", told, **labels))
            old += files
    return new, old


def _settled(findings, standing):
    """Findings with `done` of the last decision that concerns each; what is no longer decided is open again."""
    before = [OPEN if str(done).startswith(tuple(WORDS.values())) else done for done in findings["done"]]
    done = [text or old for text, old in zip(_told(findings, standing), before, strict=True)]
    return findings.with_columns(pl.Series("done", done, pl.String))


def _told(findings, standing):
    """What was decided about each finding, None where nothing was."""
    last = {}  # what a decision is about -> its number and text
    for number, row in enumerate(standing.filter(pl.col("action").is_in(list(WORDS))).iter_rows(named=True)):
        about = row["finding"] if row["action"] == "release" else (row["rule"], row["root"], row["source"])
        last[about] = number, f"{WORDS[row['action']]} {row['time']:%Y-%m-%d} by {row['author']}: {row['reason']}"
    told = []
    for one, rule, root, source in findings.select("id", "rule", "root", "source").iter_rows():
        keys = (one, *product([rule], [root, None], [source, None]))
        told.append(max((last[key] for key in keys if key in last), default=(0, None))[1])
    return told
