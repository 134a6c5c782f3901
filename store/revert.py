"""What one import did to the rows of a market, taken back: a merge of three versions of them.

Compared are the rows `before` the import, `after` it, and `now`. What it changed is what differs between the first two.

1. A row that it brought and that nobody changed since goes; one that it changed and nobody since is as it was before.
2. Of a row that a later import changed too, the values that this import brought and that still stand give way to those
   before it; what the later one changed stays. A value that a later import changed and changed back stands by that one,
   as `revisions` tells.
3. A revision by a later import, from a value of this one, becomes one from the value before; it goes where there was
   none, or the same.
4. Roll calendars are replaced whole, and so they come back whole.
5. What `before` holds of imports that were dropped since does not come back: there the import's own revisions tell the
   value before it, as rule 3 has left them. Values that are no numbers have none and are null then.

What a later import brought in the same values leaves no trace in the store, and goes with this one's: `Counts` tell of
how many rows that may be so.
"""

from typing import NamedTuple

import polars as pl

from store.merge import CALENDAR, PRICES, STAMPS
from store.naming import axis
from store.tables import TIME

_ROW = ("time", "contract", "column")  # what tells the revisions of a market and table apart


class Counts(NamedTuple):
    """What became of what an import did: values that were left, as a later one changed them; rows that were taken back
    whole, and rows of which a later one changed a part and the rest was taken back."""

    left: int = 0
    whole: int = 0
    part: int = 0


def reverted(now, after, before, table, mine, later, gone=()):
    """The rows of one market without what an import did to them.

    Parameters
    ----------
    now, after, before : DataFrame
        Rows of one market and source: of today, just after the import, and just before it.
    table : Table
    mine, later : DataFrame
        Revisions of this market and table by the import, and by later ones, in their order.
    gone : list of datetime
        Moments of imports that `before` knows and that were dropped since.

    Returns
    -------
    rows : DataFrame
        In the order of the key where any changed; else as they came.
    later : DataFrame
        The later revisions as they would be.
    counts : Counts
    """
    if table.name == "roll_calendars":
        rows = _calendars(now, after, before)
        return rows, later, Counts(whole=max(0, now.height - rows.height))
    key = [name for name in table.key if name not in ("source", axis(table.name))]
    values = [name for name in table.columns if name not in (*table.key, axis(table.name), "known", "day")]
    moved = _moved(after, before, key, values, table)
    wide = now.with_row_index("row").join(moved, on=key, how="inner", nulls_equal=True, maintain_order="left")
    if "known" in table.columns:  # a row that is known since earlier has come back to what it was
        wide = wide.filter((pl.col("known") >= pl.col("known after")).fill_null(True))
    if wide.is_empty():
        return now, later, Counts()
    wide = wide.with_columns(_same(values, table).alias("same"), *_told(table))
    if gone:
        wide = _corrected(wide, values, table, mine, gone)
    for name in values:
        wide = _standing(wide, name, later)
    rest = now.with_row_index("row").join(wide.select("row"), on="row", how="anti").drop("row")
    done = _restored(wide, values, table).select(now.columns)
    part = ~pl.col("same") & pl.any_horizontal(f"{name} stands" for name in values)
    left = pl.sum_horizontal(_left(name) for name in values)
    counts = wide.select(left.sum().alias("left"), pl.col("same").sum().alias("whole"), part.sum().alias("part"))
    rows = pl.concat([rest, done]).sort(key, maintain_order=True)
    return rows, _later(wide, values, later, table), Counts(*map(int, counts.row(0)))


def _moved(after, before, key, values, table):
    """Keys of the rows that the import brought or changed, with the values after it and before it."""
    held = ["known"] if "known" in table.columns else []
    then = before.select(*key, pl.lit(True).alias("was"), *(pl.col(c).alias(f"{c} before") for c in (*values, *held)))
    found = after.select(*key, *(pl.col(c).alias(f"{c} after") for c in (*values, *held)))
    found = found.join(then, on=key, how="left", nulls_equal=True).with_columns(pl.col("was").fill_null(False))
    other = pl.any_horizontal(pl.col(f"{c} after").ne_missing(pl.col(f"{c} before")) for c in (*values, *held))
    found = found.filter(~pl.col("was") | other)
    if "filled_from" not in table.columns:
        return found
    gave_way = pl.col("filled_from before").is_not_null() & pl.col("filled_from after").is_null()
    return found.with_columns(gave_way.alias("gave_way"))


def _same(values, table):
    """Whether a row is as the import left it: by the moment from which it is known, else by its values."""
    equal = pl.all_horizontal(pl.col(c).eq_missing(pl.col(f"{c} after")) for c in values)
    if "known" not in table.columns:
        return equal
    return pl.when(pl.col("known after").is_null()).then(equal).otherwise(pl.col("known") == pl.col("known after"))


def _told(table):
    """Time and contract of a row as `revisions` has them."""
    if "time" in table.columns:
        time = pl.col("time")
    elif "day" in table.columns:
        time = pl.col("day").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    else:
        time = pl.lit(None, TIME)
    contract = pl.col("contract") if "contract" in table.columns else pl.lit(None, pl.Int32)
    return time.alias("told time"), contract.alias("told contract")


def _corrected(wide, values, table, mine, gone):
    """`before` without what imports brought that were dropped since."""
    for name in values:
        before, after = pl.col(f"{name} before"), pl.col(f"{name} after")
        if not table.schema[name].is_numeric():
            if "known before" in wide.columns:
                stale = pl.col("known before").is_in(list(gone))
                wide = wide.with_columns(pl.when(stale).then(None).otherwise(before).alias(f"{name} before"))
            continue
        told = mine.filter(pl.col("column") == name)
        told = told.select(pl.col("time", "contract").name.prefix("told "), "old", "new")
        on = ["told time", "told contract"]
        held = told.select(*on, pl.col("old").alias("told value"), pl.lit(True).alias("held")).unique()
        truly = told.group_by(*on, pl.col("new").alias("told value"), maintain_order=True).agg(
            truly=pl.col("old").first()
        )
        for side, frame in ((before, held), (after, truly)):
            wide = wide.with_columns(side.cast(pl.Float64).alias("told value"))
            wide = wide.join(frame, on=[*on, "told value"], how="left", nulls_equal=True, maintain_order="left")
        changed = before.is_not_null() & after.ne_missing(before) & pl.col("held").is_null()
        put = pl.when(changed).then(pl.col("truly").cast(table.schema[name])).otherwise(before)
        wide = wide.with_columns(put.alias(f"{name} before")).drop("told value", "held", "truly")
    return wide


def _standing(wide, name, later):
    """Whether the import's value of a column stands: no later import changed it, not even to the same."""
    mine = pl.col(f"{name} after").ne_missing(pl.col(f"{name} before"))
    stands = mine & pl.col(name).eq_missing(pl.col(f"{name} after"))
    again = later.filter((pl.col("column") == name) & pl.col("new").is_not_null())
    back = pl.lit(False)
    if again.height:
        told = again.select(pl.col("time", "contract", "new").name.prefix("told "), pl.lit(True).alias("back")).unique()
        wide = wide.with_columns(pl.col(name).cast(pl.Float64).alias("told new"))
        on = ["told time", "told contract", "told new"]
        wide = wide.join(told, on=on, how="left", nulls_equal=True, maintain_order="left")
        back = pl.col("back").fill_null(False)
    wide = wide.with_columns((stands & ~back).alias(f"{name} stands"), mine.alias(f"{name} mine"))
    return wide.drop("told new", "back", strict=False)


def _restored(wide, values, table):
    """The rows that the import brought or changed, without that."""
    gave_way = _gave_way(wide, table)
    done = []
    for name in values:
        before = pl.when(gave_way & ~pl.col("same")).then(None).otherwise(pl.col(f"{name} before"))
        old = pl.col(f"{name} mine") & (pl.col("same") | pl.col(f"{name} stands"))
        done.append(pl.when(old).then(before).otherwise(pl.col(name)).alias(name))
    told = [name for name in values if name not in STAMPS]
    wide = wide.filter(pl.col("was") | ~pl.col("same")).with_columns(done)
    if "known" in table.columns:
        back = pl.all_horizontal(pl.col(name).eq_missing(pl.col(f"{name} before")) for name in told)
        wide = wide.with_columns(pl.when(pl.col("was") & back).then("known before").otherwise("known").alias("known"))
    return wide.filter(pl.any_horizontal(pl.col(told).is_not_null()))


def _gave_way(wide, table):
    """Whether the row before was one that was filled in, and a later import brought a price: then it had given way to
    that one, whole."""
    if "gave_way" not in wide.columns:
        return pl.lit(False)
    priced = pl.any_horizontal(pl.col(c).is_not_null() & ~pl.col(f"{c} stands") for c in PRICES)
    return pl.col("gave_way") & priced


def _left(name):
    """Whether the import's value of a column was changed by a later one."""
    return (pl.col(f"{name} mine") & ~pl.col("same") & ~pl.col(f"{name} stands")).cast(pl.Int64)


def _later(wide, values, later, table):
    """Later revisions from a value of the import, as they would be without it."""
    wide = wide.filter(~pl.col("same"))
    if later.is_empty() or wide.is_empty():
        return later
    gave_way, lists = _gave_way(wide, table), []
    numbers = [name for name in values if table.schema[name].is_numeric()]
    for name in numbers:
        before = pl.when(gave_way).then(None).otherwise(pl.col(f"{name} before")).cast(pl.Float64)
        part = wide.filter(f"{name} mine").select(
            pl.col("told time").alias("time"), pl.col("told contract").alias("contract"),
            pl.lit(name).alias("column"), pl.col(f"{name} after").cast(pl.Float64).alias("old"), before.alias("truly"),
        )  # fmt: skip
        lists.append(part.filter(pl.col("old").is_not_null()))
    mine = pl.concat(lists).unique([*_ROW, "old"]) if lists else None
    if mine is None or mine.is_empty():
        return later
    found = later.join(
        mine.with_columns(pl.lit(True).alias("mine")), on=[*_ROW, "old"], how="left", nulls_equal=True,
        maintain_order="left",
    )  # fmt: skip
    found = found.with_columns((pl.col("mine") & (pl.int_range(pl.len()).over([*_ROW, "mine"]) == 0)).alias("mine"))
    found = found.with_columns(pl.when("mine").then("truly").otherwise("old").alias("old"))
    useless = pl.col("mine").fill_null(False) & (
        pl.col("old").is_null() | (pl.col("old") == pl.col("new")).fill_null(False)
    )
    return found.filter(~useless).select(later.columns)


def _calendars(now, after, before):
    """Roll calendars, of which each that is as the import left it is as it was before."""
    parts, rules = [], pl.concat([one.select(CALENDAR) for one in (now, after, before)]).unique(maintain_order=True)
    for rule, version in rules.iter_rows():
        mine = pl.col("rule").eq_missing(pl.lit(rule)) & pl.col("version").eq_missing(pl.lit(version))
        here, then, old = (one.filter(mine).sort("day") for one in (now, after, before))
        parts.append(old if here.equals(then) and not then.equals(old) else here)
    return pl.concat(parts) if parts else now


def apart(now, after, before, table, moment, mine, others):
    """`after` and `before` of one import alone, of snapshots between which others came in too.

    Parameters
    ----------
    now, after, before : DataFrame
        As of `reverted`.
    table : Table
    moment : datetime
        Of the import: rows that it brought, or changed last, are known since then.
    mine, others : DataFrame
        Revisions by this import, and by others.

    Returns
    -------
    after, before : DataFrame
        Only rows that the moment or a revision tells to be of this import. What tells neither is left alone.
    """
    if "known" not in table.columns:
        return now.clear(), now.clear()
    key = [name for name in table.key if name not in ("source", axis(table.name))]
    numbers = [c for c in table.columns if table.schema[c].is_numeric() and c not in table.key]
    last = after.filter(pl.col("known") == moment)
    rest = now.join(last, on=key, how="anti", nulls_equal=True).with_columns(*_told(table))
    told = mine.select(pl.col("time", "contract").name.prefix("told ")).unique()
    rest = rest.join(told, on=["told time", "told contract"], how="semi", nulls_equal=True).select(now.columns)
    then = _then(last, before, mine, others, key, numbers, table)
    old = _replaced(rest, mine, numbers, "old", table)
    new = _replaced(rest, mine, numbers, "new", table).with_columns(pl.lit(moment, TIME).alias("known"))
    return pl.concat([last, new]), pl.concat([then, old])


def _then(last, before, mine, others, key, numbers, table):
    """The rows `last` as they were before the import: as in `before`, or as they are where a revision tells of them."""
    told = mine.select(pl.col("time", "contract").name.prefix("told ")).unique()
    known = last.with_columns(*_told(table)).join(told, on=["told time", "told contract"], how="semi", nulls_equal=True)
    there = before.join(last, on=key, how="semi", nulls_equal=True)
    rows = pl.concat([there, known.select(last.columns).join(there, on=key, how="anti", nulls_equal=True)])
    present = last.join(rows, on=key, how="semi", nulls_equal=True)
    rows = _replaced(rows, others.filter(pl.col("new").is_not_null()), numbers, "new", table, present, key)
    return _replaced(rows, mine, numbers, "old", table)


def _replaced(rows, revisions, numbers, side, table, where=None, key=()):
    """Rows with the first `old`, or last `new`, value of each revision; `where`: only values that these rows have."""
    wide = rows.with_columns(*_told(table))
    for name in numbers:
        told = revisions.filter(pl.col("column") == name)
        if told.is_empty():
            continue
        told = told.group_by("time", "contract", maintain_order=True).agg(pl.col("old").first(), pl.col("new").last())
        told = told.select(pl.col("time", "contract").name.prefix("told "), pl.col(side).alias("put"))
        wide = wide.join(told, on=["told time", "told contract"], how="left", nulls_equal=True, maintain_order="left")
        if where is not None:
            held = where.select(*key, pl.col(name).cast(pl.Float64).alias("has"))
            wide = wide.join(held, on=list(key), how="left", nulls_equal=True, maintain_order="left")
            wide = wide.with_columns(pl.when(pl.col("put") == pl.col("has")).then("put").alias("put")).drop("has")
        wide = wide.with_columns(pl.coalesce(pl.col("put").cast(table.schema[name]), pl.col(name)).alias(name)).drop(
            "put"
        )
    return wide.select(rows.columns)
