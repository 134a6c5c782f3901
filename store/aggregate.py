"""Daily bars of bars within the day: the rows of a source such as `firstrate-minute` as `firstrate-minute-daily`.

1. A bar is one contract's on one trade date (`day`, the session's): first open, highest high, lowest low, last close,
   sum of volume, last open interest. A settlement is none, unless the vendor stamps one on bars within the day: then
   the last. `known` is the moment at which the last of its bars came into the store.
2. All bars of a market and day end at one `time`: the end of the day's last bar of any of its contracts. A contract
   that traded last some minutes before has its last trade there, as in any table of daily closes; who wants both legs
   of a roll at one minute runs on the bars within the day themselves.
3. The last stored day is left out while its session may go on: until a bar of a later day is stored, or the stored bars
   reach the session's close, or its last hour in rows that came after the close. A run therefore never sees a part of a
   day as a day.
4. Made again is what changed: the days of files that came or went since, as a note in the cache tells. Without it all
   days are made again. A day that comes out as it is stored is left alone, and where all do nothing is committed.
5. Files are read a year at a time, market by market, so that memory does not grow with the years.

The daily source goes before the one that it is made of, and after a vendor's own daily bars (`held.sources`).
"""

import contextlib
from datetime import date, timedelta

import polars as pl

from store import decisions, kept, segments
from store.archive import Conflict
from store.commit import TRIES, has_room, later_rows
from store.contracts import Master
from store.days import UnknownHours, session
from store.held import desk
from store.naming import WITHIN_DAY
from store.tables import TABLES
from store.years import daily_of

TABLE = "contract_bars"
FORMAT = 1  # of the note; another one is none
NEAR = timedelta(hours=1)  # of the close; what came after it then holds all of the session
VALUES = ("open", "high", "low", "close", "settle", "volume", "open_interest")
READ = ("contract", "time", "day", *VALUES, "source_time", "known")
_BAR = (
    pl.col("open").drop_nulls().first(),
    pl.col("high").max(),
    pl.col("low").min(),
    pl.col("close", "settle", "open_interest").drop_nulls().last(),
    pl.when(pl.col("volume").count() > 0).then(pl.col("volume").sum()).alias("volume"),
    pl.col("time", "source_time").last(),
    pl.col("known").max(),
)


def aggregate(archive, roots=None, source=None, progress=None):
    """Store the daily bars of bars within the day, in one commit.

    Parameters
    ----------
    archive : Archive
    roots : list of str, optional
        All markets with bars within the day, if not given.
    source : str, optional
        Of which bars within the day, such as `firstrate-minute`; all, if not given.
    progress : callable(done, total, root), optional

    Returns
    -------
    dict
        `snapshot`, its number, and `markets`, a list of dicts: root, `from`, source, `rows` and `days` stored of the
        daily source, `changed` (rows of it that are new or were made anew), `left_out` (a day whose session may go on,
        or None), `refused` (a finding that nobody decided about, for which the market was left as it is, or None).

    Raises
    ------
    Refused
        No such source, or a market without bars within the day.
    Conflict
        Other writers kept changing the same markets; nothing was changed.
    """
    for left in reversed(range(TRIES)):
        head = archive.head()
        found = [_made(archive, head, *one, progress) for one in _numbered(_wanted(archive, head, roots, source))]
        if progress:
            progress(len(found), len(found), "commit")
        add, remove = ([s for one in found for s in one[name]] for name in ("add", "remove"))
        try:
            note = f"aggregate {len({one['root'] for one in found if one['add'] or one['remove']})} markets"
            snapshot = archive.commit(add, remove, note, base=head) if add or remove else head
            break
        except Conflict:
            if not left:
                raise
    for one in found:
        _keep_note(archive, snapshot, one)
    told = ("root", "from", "source", "rows", "days", "changed", "left_out", "refused")
    return {"snapshot": snapshot.number, "markets": [{name: one[name] for name in told} for one in found]}


def daily(rows):
    """One bar a contract and day of rows within the day, one market and source; see the rules above.

    Parameters
    ----------
    rows : DataFrame
        Columns `READ`, in any order.

    Returns
    -------
    DataFrame
        The same columns, by contract and day.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> at = [datetime(2024, 3, 4, 15, minute, tzinfo=UTC) for minute in (1, 2)]
    >>> bars = {"contract": 202406, "time": at, "day": date(2024, 3, 4), "open": [5.0, 6.0], "high": [7.0, 6.5]}
    >>> bars |= {"low": [4.5, 5.5], "close": [6.0, 5.5], "volume": [10.0, 2.0]}
    >>> made = daily(TABLES["contract_bars"].conform(pl.DataFrame(bars)).select(READ))
    >>> made.select("open", "high", "low", "close", "volume").row(0), made["time"][0].minute
    ((5.0, 7.0, 4.5, 5.5, 12.0), 2)
    """
    bars = rows.sort("contract", "time").group_by("contract", "day", maintain_order=True).agg(*_BAR)
    return bars.with_columns(pl.col("time").max().over("day")).sort("contract", "day").select(READ)


def _wanted(archive, head, roots, source):
    """(root, source of bars within the day) in order; refused where one that was asked for is not stored."""
    held = desk(archive, head)
    stored = [(root, name) for root in held.roots() for table, name in held.sources(root)
              if table == TABLE and name.endswith(WITHIN_DAY)]  # fmt: skip
    if source is not None:
        segments.choose(source, {name for _, name in stored}, "stored source of bars within the day")
    for root in roots or ():
        if not any(root == one and source in (None, name) for one, name in stored):
            of = f"of {source} " if source else ""
            raise segments.Refused(f"{root}: no bars within the day {of}are stored; `frontmonth markets` lists what is")
    return [(root, name) for root, name in stored if (not roots or root in roots) and source in (None, name)]


def _numbered(wanted):
    return [(number, len(wanted), *one) for number, one in enumerate(wanted)]


def _made(archive, head, number, total, root, source, progress):
    """What is to be done about one market: what `aggregate` tells of it, with `add`, `remove` and `note`."""
    if progress:
        progress(number, total, root)
    held, target = desk(archive, head), daily_of(source)
    inputs, old = held.segments(TABLE, root, source), held.segments(TABLE, root, target)
    stored = archive.read(TABLE, head, root=root, source=target)
    made = {"root": root, "from": source, "source": target, "add": [], "remove": [], "changed": 0, "refused": None}
    made |= {"rows": stored.height, "days": stored["day"].n_unique(), "left_out": None, "note": None, "old": old}
    refused = decisions.refused(archive, head, [root]).filter(pl.col("source") == source)
    if refused.height:
        row = refused.row(0, named=True)
        return made | {"refused": f"{row['rule']}: {row['reason']}; frontmonth check --release {row['id']}"}
    note = _note(archive, root, target, old)
    spans = _spans(note, inputs, old)
    if not spans:
        return made | {"left_out": note["left_out"] and date.fromisoformat(note["left_out"])}
    new, left_out = _rows(archive, head, root, source, spans, inputs)
    outside = pl.all_horizontal(pl.lit(True), *(~pl.col("day").is_between(*span) for span in spans))
    rows = TABLES[TABLE].conform(new.with_columns(source=pl.lit(target), root=pl.lit(root)))
    rows = pl.concat([stored.filter(outside), rows]).sort(TABLES[TABLE].key)
    made |= {"rows": rows.height, "days": rows["day"].n_unique(), "left_out": left_out}
    made["note"] = {"inputs": {s.sha256: _days(s) for s in inputs}, "left_out": left_out}
    stored = stored.sort(TABLES[TABLE].key)
    if not rows.equals(stored):
        made["changed"] = rows.join(stored, on=rows.columns, how="anti", nulls_equal=True).height
        made |= _written(archive, rows, stored, old, {"source": target, "root": root})
    return made


def _rows(archive, head, root, source, spans, inputs):
    """Daily bars of these days, made year by year, and the day that was left out."""
    made = [pl.DataFrame(schema={name: TABLES[TABLE].schema[name] for name in READ})]
    for days in _years(spans):
        rows = archive.scan(TABLE, head, days=days, root=root, source=source).select(READ)
        made.append(daily(rows.collect(engine="in-memory")))
    rows, last = pl.concat(made), max(s.last_day for s in inputs if s.last_day)
    held = rows.filter(pl.col("day") == last)
    if held.is_empty() or _over(archive, root, last, held["time"].max(), held["known"].max()):
        return rows, None
    return rows.filter(pl.col("day") != last), last


def _over(archive, root, day, end, known):
    """Whether a day's session is over, by its last bar and the moment at which that came; unknown hours never end."""
    master = Master.load(archive.path)
    spec = master.spec(root) if root in master.roots else None
    try:
        hours = spec and session(spec, day)
    except UnknownHours:
        hours = None
    if not hours:
        return False
    return end >= hours[1] or (end >= hours[1] - NEAR and (known is None or known >= hours[1]))


def _written(archive, rows, stored, old, labels):
    """Segments to add and to remove: one more with the later days, or all of the market as one."""
    own = old and all(segment.labels == labels for segment in old)
    later = later_rows(rows, stored) if own else None
    if later is not None and has_room(old, later.height):
        return {"add": [archive.write(TABLE, later, **labels)]}
    return {"add": [archive.write(TABLE, rows, **labels)] if rows.height else [], "remove": old}


# ---- which days


def _spans(note, inputs, old):
    """[(first, last)] of the days to be made, apart from one another, in order; without a note all days."""
    now = {segment.sha256: _days(segment) for segment in inputs}
    before = note["inputs"] if note else {segment.sha256: _days(segment) for segment in old}
    changed = [days for sha256, days in (now | before).items() if (sha256 in now) != (sha256 in before) and days]
    if changed and note and note["left_out"]:
        changed.append([note["left_out"], note["left_out"]])
    found = []
    for first, last in sorted(tuple(map(date.fromisoformat, days)) for days in changed):
        if found and first <= found[-1][1] + timedelta(days=1):
            found[-1][1] = max(found[-1][1], last)
        else:
            found.append([first, last])
    return found


def _years(spans):
    """The same days, no more than a calendar year at a time."""
    for first, last in spans:
        for year in range(first.year, last.year + 1):
            yield max(first, date(year, 1, 1)), min(last, date(year, 12, 31))


def _days(segment):
    """First and last day of a file as the note has them; None of one without a day."""
    return segment.first_day and [segment.first_day.isoformat(), segment.last_day.isoformat()]


# ---- the note of what was aggregated


def _note(archive, root, target, old):
    """What the stored daily bars were made of; None where nobody knows, or they are others."""
    note = kept.read(archive.cache / "aggregate", f"{root}-{target}")
    if note is None or note["format"] != FORMAT or note["made"] != sorted(s.sha256 for s in old):
        return None
    return note


def _keep_note(archive, snapshot, one):
    """Note what the daily bars of a market were made of; where that fails they are made again the next time."""
    if one["note"] is None:
        return
    gone = {segment.path for segment in one["remove"]}
    made = sorted(s.sha256 for s in [*(s for s in one["old"] if s.path not in gone), *one["add"]])
    with contextlib.suppress(OSError):
        kept.write(
            archive.cache / "aggregate",
            f"{one['root']}-{one['source']}",
            one["note"] | {"format": FORMAT, "made": made},
        )


def joined(archive, pairs):
    """Keep the notes although files were joined into others of the same rows: [(new, parts)] of segments.

    A part that a note did not know yet is in it then, as a file that went: its days are made again.
    """
    folder = archive.cache / "aggregate"
    for path in sorted(folder.glob("*.json")):
        note = kept.read(folder, path.stem)
        if note is None or note["format"] != FORMAT:
            continue
        inputs, made = note["inputs"], set(note["made"])
        for new, parts in pairs:
            days = {part.sha256: _days(part) for part in parts}
            known = days.keys() & inputs.keys()
            if known:
                left = {sha256: inputs[sha256] for sha256 in inputs.keys() - known}
                inputs = left | {new.sha256: _days(new)} | {sha256: days[sha256] for sha256 in days.keys() - known}
            if days.keys() <= made:
                made = made - days.keys() | {new.sha256}
        told = note | {"inputs": inputs, "made": sorted(made)}
        if told != note:
            with contextlib.suppress(OSError):  # then all days are made again
                kept.write(folder, path.stem, told)
