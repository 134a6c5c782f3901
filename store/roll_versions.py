"""Stored roll calendars: versions that stay, names for them, and what each was made from.

1. A calendar's version is the hash of all that it says (`RollCalendar.version`): the same rolls have the same version,
   whoever makes them and when. Versions stay beside each other until they are removed.
2. A tag names one version of a market (see `roll_names`). It may be moved to another one, which is told.
3. A tag is a rule (of kind `given`, see `roll_rules`): its rolls are planned, wait for prices and are forced out as any
   others are. After its last roll it plans nothing, and contracts roll by `fallback: not in TAG`.
4. Roll calendars that came with vendors' data, as `lean:oi`, have no version: an import replaces them. What an older
   program stored has a version and no head: its author and time are not told.
"""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from store import roll_names, segments
from store.codes import MONTHS, letters_of, months_of
from store.roll_rules import UnknownRule, parse_rule
from store.rolls import SCHEMA, RollCalendar
from store.system import user
from store.tables import TABLES

_HEADS = TABLES["roll_versions"]
_PAIRS = pl.col("from_contract").append(pl.col("to_contract"))


def save(archive, made, tag=None, note="", author=None, snapshot=None, file=None):
    """Store roll calendars beside those that are stored; one that is stored already stays as it is.

    Parameters
    ----------
    archive : Archive
    made : list of (RollCalendar, str)
        Calendars and the sources of their prices, as `history.calendar` gives them.
    tag : str, optional
        Name of the calendar, one of each market; taken from the version that had it.
    note : str
        Kept with it; in place of an earlier note, if it is not empty.
    author : str, optional
        Who made it; else the user of this process.
    snapshot : Snapshot or int, optional
        What it was made from; the newest, if not given.
    file : path, optional
        The file that it was read from.

    Returns
    -------
    DataFrame
        Columns of `roll_versions`, one row a calendar, and `done`: what was done.

    Raises
    ------
    Refused
        A text that cannot be a tag, or one tag for several versions of a market.
    Conflict
        Another writer stored calendars of one of these markets meanwhile; nothing was changed.
    """
    head, markets = archive.head(), {}
    for calendar, source in made:
        markets.setdefault(calendar.root, {})[source, calendar.version] = calendar
    for root, calendars in markets.items() if tag else ():
        if len(calendars) > 1:
            raise segments.Refused(
                f"{root}: tag {roll_names.checked(tag)} for {len(calendars)} calendars; it names one"
            )
    same = {"note": " ".join(note.split()), "author": " ".join(str(author or user()).split())}
    same |= {"time": datetime.now(UTC)} | _origin(archive, snapshot, file)
    add, remove, told = [], [], []
    for root, calendars in markets.items():
        heads = archive.read("roll_versions", head, root=root).to_dicts()
        before = [dict(one) for one in heads]
        for (source, version), calendar in calendars.items():
            one = next((one for one in heads if (one["source"], one["version"]) == (source, version)), None)
            done = ["saved" if one is None else "stored before"]
            if one is None:
                heads.append(one := _head(calendar, source) | same)
            one["note"] = same["note"] or one["note"]
            done += roll_names.moved(heads, one, tag) if tag else []
            told.append(one | {"done": "; ".join(done)})
        if heads != before:
            add.append(_written(archive, root, heads))
            remove += archive.files("roll_versions", head, root=root)
        for source in dict.fromkeys(source for source, _ in calendars):
            kept = archive.read("roll_calendars", head, source=source, root=root)
            versions = set(kept["version"])
            new = [
                _rows(one, source)
                for (of, version), one in calendars.items()
                if of == source and version not in versions
            ]
            if any(rows.height for rows in new):
                add.append(archive.write("roll_calendars", pl.concat([kept, *new]), source=source, root=root))
                remove += archive.files("roll_calendars", head, source=source, root=root)
    archive.commit(add, remove, f"roll calendars of {len(markets)} markets{f', {tag}' if tag else ''}", base=head)
    return pl.DataFrame(told, _HEADS.schema | {"done": pl.String})


def listed(archive, root=None, snapshot=None):
    """Every stored roll calendar, those that came with vendors' data too.

    Parameters
    ----------
    archive : Archive
    root : str or list of str, optional
        Markets; all, if not given.
    snapshot : Snapshot, optional

    Returns
    -------
    DataFrame
        `root`, `rule`, `rank`, `tag`, `version` (null: a vendor's own), `source`, `rolls` [number], `first_day` and
        `last_day` of the rolls, `made_from`, then the rest of `roll_versions`; by market, rule and time.
    """
    snapshot = archive.head() if snapshot is None else snapshot
    labels = {} if root is None else {"root": root}
    key = ["source", "root", "version", "rule"]
    rolls = archive.read("roll_calendars", snapshot, **labels).sort("day")
    letter = dict(enumerate(MONTHS, 1))
    found = rolls.group_by(key, maintain_order=True).agg(
        rolls=pl.len(),
        first_day=pl.col("day").first(),
        last_day=pl.col("day").last(),
        _first=pl.col("from_contract").first(),
        _months=(_PAIRS % 100).unique().sort().replace_strict(letter, return_dtype=pl.String),
    )
    heads = archive.read("roll_versions", snapshot, **labels)
    frame = found.join(heads, on=key, how="full", coalesce=True, nulls_equal=True)
    frame = frame.with_columns(
        pl.col("rolls").fill_null(0),
        pl.coalesce("first", "_first").alias("first"),
        pl.coalesce("months", pl.col("_months").list.join("")).alias("months"),
        pl.col("rank").fill_null(0),
        pl.when(pl.col("file").is_not_null())
        .then(pl.format("file {}", "file"))
        .when(pl.col("snapshot").is_not_null())
        .then(pl.format("snapshot {}", "snapshot"))
        .when(pl.col("version").is_null())
        .then(pl.format("data of {}", "source"))
        .alias("made_from"),
    )
    first = ("root", "rule", "rank", "tag", "version", "source", "rolls", "first_day", "last_day", "made_from")
    rest = [name for name in _HEADS.columns if name not in first]
    return frame.select(*first, *rest).sort("root", "rule", "time", "version")


def load(archive, root, name, snapshot=None):
    """The stored calendar of a tag, or of a version told by at least `LEAST` of its first hex digits.

    Returns
    -------
    RollCalendar, str
        And the source of its prices.

    Raises
    ------
    Refused
        There is none of that name, or there are several.
    """
    snapshot = archive.head() if snapshot is None else snapshot
    rows = _versions(archive, root, snapshot)
    one = roll_names.chosen(rows, root, name)
    return _loaded(archive, one, snapshot), one["source"]


def made(archive, root, text, snapshot=None):
    """The calendar that a text means: that of a tag, of a version, else one made now by that rule.

    Parameters
    ----------
    archive : Archive
    root : str
    text : str
    snapshot : Snapshot, optional

    Returns
    -------
    RollCalendar, str
        And the source of its prices.

    Raises
    ------
    Refused
        The first digits of no version, or of several.
    UnknownRule
        Neither a rule nor the name of a calendar; the nearest is told.
    """
    from store import history

    snapshot = archive.head() if snapshot is None else snapshot
    rows = _versions(archive, root, snapshot)
    one = roll_names.found(rows, root, text)
    if one is not None:
        return _loaded(archive, one, snapshot), one["source"]
    if roll_names.digits(text):
        roll_names.chosen(rows, root, text)  # refused: there is none
    try:
        return history.calendar(archive, root, text, snapshot)
    except UnknownRule:
        parsed(root, text, [*named(archive, root, snapshot), *dict.fromkeys(one["version"] for one in rows)])
        raise


def named(archive, root, snapshot=None):
    """Names of the stored calendars of a market (or a list) that are rules: those of vendors, `lean:oi`, then tags."""
    found = []
    for one in listed(archive, root, snapshot).iter_rows(named=True):
        came_with_data = one["version"] is None and one["rule"].partition(":")[0] == one["source"]
        found += [one["rule"]] if came_with_data else roll_names.tags(one)
    return sorted(found, key=lambda name: (":" not in name, name))


def plan(archive, root, rule, snapshot=None):
    """The rolls that a rule takes from a stored calendar: that of a vendor's name, a tag or a version.

    Parameters
    ----------
    archive : Archive
    root : str
    rule : str or None
        As written, options and all.
    snapshot : Snapshot, optional

    Returns
    -------
    DataFrame or None
        Rows of `roll_calendars`, for `rolls.calendar(..., given=...)`; of a tag or version also `months`, the letters
        of the delivery months that are held after its last roll. None of a rule that goes by activity or date.

    Raises
    ------
    NotStored
        No such calendar came with a vendor's data.
    UnknownRule
        Neither a rule nor the name of a calendar.
    """
    from store import history

    name = str(rule or "").partition(",")[0].strip()
    if not name or roll_names.is_rule(name):
        return None
    snapshot = archive.head() if snapshot is None else snapshot
    from store.vendors import VENDORS

    vendor = name.partition(":")[0]
    if vendor in VENDORS:
        stored = archive.read("roll_calendars", snapshot, root=root, source=vendor)
        own = stored.filter((pl.col("rule") == name) & pl.col("version").is_null())
        if own.is_empty():
            known = ", ".join(named(archive, root, snapshot))
            raise history.NotStored(
                f"{root}: no roll calendar {name!r} is stored{f'; there are {known}' if known else ''}"
            )
        return own
    one = roll_names.found(_versions(archive, root, snapshot), root, name)
    if one is None:
        parsed(root, rule, named(archive, root, snapshot))
    rows = _rolls(archive, one, snapshot)
    if rows.is_empty():
        raise segments.Refused(f"{root}: the roll calendar {name} has no roll, and so is no rule")
    return rows.with_columns(months=pl.lit(one["months"]))


def parsed(root, rule, names=()):
    """As `parse_rule`, whose error tells the market, as the names of calendars are known in theirs only."""
    try:
        return parse_rule(rule, names)
    except UnknownRule as error:
        raise UnknownRule(f"{root}: {error}") from None


def tag(archive, root, name, tag):
    """Let the version that `name` tells go by `tag`, too; what was done, in a sentence.

    Raises
    ------
    Refused
        There is no such version, or the text cannot be a tag.
    Conflict
        Another writer changed the calendars of this market meanwhile; nothing was changed.
    """
    head = archive.head()
    rows = _versions(archive, root, head)
    one = roll_names.chosen(rows, root, name)
    heads = archive.read("roll_versions", head, root=root).to_dicts()
    known = [h for h in heads if (h["source"], h["version"]) == (one["source"], one["version"])]
    if not known:  # stored by an older program
        heads.append({column: one[column] for column in _HEADS.columns})
    told = roll_names.moved(heads, (known or heads)[-1], tag)
    if told:
        add = [_written(archive, root, heads)]
        archive.commit(add, archive.files("roll_versions", head, root=root), f"{root}: {told[0]}"[:200], base=head)
    return f"{root}: {told[0] if told else f'{tag} is {roll_names.short(one)} already'}"


def remove(archive, root, name):
    """Remove a stored calendar, by a tag or its version; of one that has other tags, a tag takes only itself away.

    Returns what was removed, a text a calendar or tag.
    """
    head = archive.head()
    rows = _versions(archive, root, head)
    one = roll_names.chosen(rows, root, name)
    others = [tag_ for tag_ in roll_names.tags(one) if tag_ != name]
    if others and name in roll_names.tags(one):
        heads = archive.read("roll_versions", head, root=root).to_dicts()
        for row in heads:
            row["tag"] = ",".join(tag_ for tag_ in roll_names.tags(row) if tag_ != name) or None
        old = archive.files("roll_versions", head, root=root)
        archive.commit([_written(archive, root, heads)], old, f"{root}: remove tag {name}", base=head)
        return [f"{name}, a tag of {one['version']}, which stays as {', '.join(others)}"]
    gone = [row for row in rows if row["version"] == one["version"]]
    add, old = [], []
    for source in dict.fromkeys(row["source"] for row in gone):
        stored = archive.read("roll_calendars", head, source=source, root=root)
        kept = stored.filter(pl.col("version").ne_missing(one["version"]))
        add += [archive.write("roll_calendars", kept, source=source, root=root)] if kept.height else []
        old += archive.files("roll_calendars", head, source=source, root=root)
    heads = archive.read("roll_versions", head, root=root).filter(pl.col("version") != one["version"]).to_dicts()
    add += [_written(archive, root, heads)] if heads else []
    old += archive.files("roll_versions", head, root=root)
    told = list(dict.fromkeys(roll_names.short(row) for row in gone))
    archive.commit(add, old, f"{root}: remove roll calendar {', '.join(told)}"[:200], base=head)
    return told


def describe(head):
    """One line on a stored calendar, a row of `listed` or `save`.

    >>> made_by = {"author": "ann", "time": datetime(2026, 10, 1, 12, 30, tzinfo=UTC), "snapshot": 12, "note": "first"}
    >>> describe({"rule": "volume:1", "source": "barchart", "version": "3f2a81cc01de", "tag": "live"} | made_by)
    'volume:1 of barchart, version 3f2a81cc01de (live), made by ann on 2026-10-01 12:30 from snapshot 12: first'
    """
    name = head["rule"] + (f" of rank {head['rank']}" if head.get("rank") else "")
    if head["version"] is None:
        return f"{name} of {head['source']}, as it came with the data"
    tags = f" ({head['tag']})" if head.get("tag") else ""
    by = f", made by {head['author']} on {head['time']:%Y-%m-%d %H:%M}" if head.get("time") else ""
    of = f" from file {head['file']}" if head.get("file") else ""
    of = of or (f" from snapshot {head['snapshot']}" if head.get("snapshot") is not None else "")
    note = f": {head['note']}" if head.get("note") else ""
    return f"{name} of {head['source']}, version {head['version']}{tags}{by}{of}{note}"


# ---- rows


def _versions(archive, root, snapshot):
    """The stored calendars of a market that have a version, as dicts."""
    return listed(archive, root, snapshot).filter(pl.col("version").is_not_null()).to_dicts()


def _head(calendar, source):
    named = {"source": source, "root": calendar.root, "version": calendar.version, "rule": calendar.rule}
    held = {"rank": calendar.rank, "first": calendar.first, "end": calendar.end, "months": letters_of(calendar.months)}
    return named | held | {"tag": None}


def _origin(archive, snapshot, file):
    """What a calendar was made from, in columns of `roll_versions`."""
    snapshot = archive.head() if snapshot is None else snapshot
    snapshot = archive.snapshot(snapshot) if isinstance(snapshot, int) else snapshot
    found = {"snapshot": snapshot.number, "snapshot_hash": snapshot.hash, "file": None, "sha256": None}
    if file is None:
        return found
    return found | {"file": Path(file).name, "sha256": hashlib.sha256(Path(file).read_bytes()).hexdigest()}


def _written(archive, root, heads):
    return archive.write("roll_versions", pl.DataFrame(heads, _HEADS.schema), root=root)


def _rows(calendar, source):
    """A calendar's rolls as rows of `roll_calendars`."""
    same = {"source": source, "root": calendar.root, "rule": calendar.rule, "version": calendar.version}
    frame = calendar.frame.with_columns(pl.lit(value).alias(name) for name, value in same.items())
    return TABLES["roll_calendars"].conform(frame)


def _rolls(archive, one, snapshot):
    rows = archive.read("roll_calendars", snapshot, root=one["root"], source=one["source"])
    return rows.filter(pl.col("version") == one["version"]).sort("day")


def _loaded(archive, one, snapshot):
    frame = _rolls(archive, one, snapshot).select(*SCHEMA)
    months = months_of(one["months"])
    calendar = RollCalendar(one["root"], one["rule"], one["first"], frame, months, one["rank"], one["end"])
    if calendar.version != one["version"]:
        raise segments.Refused(
            f"{one['root']}: the rolls stored as version {one['version']} are not those that it was made of (they say "
            f"{calendar.version}): rows were left out when they came in, or another program stored them; make it again"
        )
    return calendar
