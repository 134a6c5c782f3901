"""Rows of one market that come into the store: the last of each key counts, column by column.

1. A null never overwrites a value: rows that carry only some columns complete the row of the same key.
2. A value that replaces another one is a revision, with both; one that comes where there was none is not.
3. `known` is the moment of the import that brought the row or changed a value of it last; equal rows keep theirs.
4. A row that was filled in from another source (`filled_from`) gives way, whole, to the first real row with a price.
5. A roll calendar is replaced whole: the rolls of a rule and version belong together. Another version stays.
6. Of a file that is read again for released rows, only these and rows of keys that are not stored come in (`behind`).
"""

import polars as pl

from store.naming import axis
from store.tables import TABLES, TIME

PRICES = ("close", "settle")
CALENDAR = ["rule", "version"]  # what tells the roll calendars of a market and source apart
STAMPS = ("known", "source_time")  # a row is not another one for these


def merged(stored, new, table, import_id):
    """One market's rows after an import.

    Parameters
    ----------
    stored : DataFrame
        Rows of the store, one to a key.
    new : DataFrame
        Rows of the import in the order in which they came, their `known` being its moment.
    table : Table
    import_id : str

    Returns
    -------
    rows : DataFrame
        In the order of the key.
    revisions : DataFrame
        Columns of the table `revisions`.
    restated : dict or None
        Of the stored rows, how many had a value replaced (`rows`), of how many (`of`), and the `first` of them:
        (contract, day, column, old, new). None if none had.
    """
    key = [name for name in table.key if name not in ("source", axis(table.name))]
    if table.name == "roll_calendars":
        stored = stored.join(_calendars(new), on=CALENDAR, how="anti", nulls_equal=True, maintain_order="left")
    rows = pl.concat([stored.with_columns(fresh=False), new.with_columns(fresh=True)])
    if _rising(rows, key):
        return rows.drop("fresh"), TABLES["revisions"].empty(), None
    rows = rows.sort(key, maintain_order=True)
    again = rows.select(pl.all_horizontal(pl.col(c).eq_missing(pl.col(c).shift()) for c in key)).to_series()
    again[0] = False
    if not again.any():
        return rows.drop("fresh"), TABLES["revisions"].empty(), None
    several = again | again.shift(-1, fill_value=False)
    number = again.not_().cum_sum().alias("number")
    steps = _steps(rows.with_columns(number).filter(several), table, key)
    changed = _changed(steps, table, key)
    single = rows.filter(~several)
    done = pl.concat([single, _last(steps, table, key).select(rows.columns)]).sort(key).drop("fresh")
    return done, _revisions(changed, table, import_id), _restated(changed, stored.height)


def behind(rows, others, stored, table):
    """Of the rows of a file that is read again, those that come in: none that would undo what came since.

    Parameters
    ----------
    rows : DataFrame
        With `since`, when a row was released, where any was.
    others : DataFrame
        Rows of the same import that are no part of it.
    stored : DataFrame
    table : Table

    Returns
    -------
    DataFrame
        A released row goes before one that was stored when it was released. Of a roll calendar, which is replaced
        whole, the rest of it too.
    """
    key = [name for name in table.key if name not in ("source", axis(table.name))]
    rows = rows if "since" in rows.columns else rows.with_columns(pl.lit(None, TIME).alias("since"))
    if table.name == "roll_calendars":
        rows = rows.filter(pl.col("since").is_not_null())
        rest = stored.join(_calendars(rows), on=CALENDAR, how="semi", nulls_equal=True, maintain_order="left")
        rest = rest.join(_calendars(others), on=CALENDAR, how="anti", nulls_equal=True, maintain_order="left")
        return pl.concat([rest, rows], how="diagonal")
    held = stored.filter(pl.col("filled_from").is_null()) if "filled_from" in table.columns else stored
    held = held.select(*key, pl.col("known").alias("was"), pl.lit(True).alias("held"))
    found = rows.join(held, on=key, how="left", nulls_equal=True, maintain_order="left")
    free = pl.col("held").is_null()
    let_in = pl.col("since").is_not_null() & (pl.col("was") <= pl.col("since")).fill_null(True)
    return found.filter(free | let_in).drop("was", "held")


def _calendars(rows):
    """Rule and version of each roll calendar that the rows belong to."""
    lacking = [pl.lit(None, pl.String).alias(name) for name in CALENDAR if name not in rows.columns]
    return rows.with_columns(lacking).select(pl.col(CALENDAR).cast(pl.String)).unique()


def _rising(rows, key):
    """Whether the rows stand in the order of the key, which then comes but once: the usual case, told quickly."""
    greater, equal = pl.lit(False), pl.lit(True)
    for name in key:
        greater = greater | (equal & (pl.col(name) > pl.col(name).shift()))
        equal = equal & (pl.col(name) == pl.col(name).shift())
    return bool(rows.select(greater.fill_null(False).slice(1).all()).item())


def _steps(rows, table, key):
    """Rows of keys that come more than once, each completed by those before it; in the order in which they came.

    With `at`, the number of the row, and `head`, that of the first one of its key. No window functions: they take a
    step of their own for each key, and a year of minutes that comes again has half a million.
    """
    values = [name for name in table.columns if name not in (*key, "known")]
    at = pl.int_range(pl.len(), dtype=pl.Int64)
    new = (pl.col("number") != pl.col("number").shift()).fill_null(True)
    rows = rows.with_columns(at.alias("at"), pl.when(new).then(at).forward_fill().alias("head"))
    begins = (pl.col("at") == pl.col("head")) | _begins(table)
    rows = rows.with_columns(pl.when(begins).then("at").forward_fill().alias("since"))
    return rows.with_columns(_completed(name) for name in values)


def _completed(name):
    """The last value of a column from the row `since` on; null where there is none."""
    last = pl.when(pl.col(name).is_not_null()).then("at").forward_fill()
    return pl.when(last >= pl.col("since")).then(pl.col(name).forward_fill()).alias(name)


def _begins(table):
    """Whether a row replaces those of its key whole: the first real one with a price after one that was filled in."""
    if "filled_from" not in table.columns:
        return pl.lit(False)
    filled = pl.col("filled_from").gather("head").is_not_null()
    real = pl.col("filled_from").is_null() & pl.any_horizontal(pl.col(PRICES).is_not_null())
    so_far = real.cast(pl.Int64).cum_sum() - real.cast(pl.Int64)  # real rows before this one
    return filled & real & (so_far == so_far.gather("head"))


def _last(steps, table, key):
    """The last row of each key, and since when it is known: since before, if the stored one is the same."""
    values = [name for name in table.columns if name not in (*key, *STAMPS)]
    moved = pl.any_horizontal(pl.col(c).ne_missing(pl.col(c).shift()) for c in values)
    moves = (moved & (pl.col("at") > pl.col("head"))).cast(pl.Int64).cum_sum()
    other = (moves > moves.gather("head")) | pl.col("fresh").gather("head")
    if "known" in table.columns:
        steps = steps.with_columns(pl.when(other).then("known").otherwise(pl.col("known").gather("head")))
    return steps.filter(pl.col("number").ne_missing(pl.col("number").shift(-1)))


def _changed(steps, table, key):
    """Values that replaced others: the row, `column`, `old`, `new`, and whether a `stored` row held the old one."""
    numbers = [name for name, dtype in table.schema.items() if dtype.is_numeric() and name not in key]
    again = pl.col("at") > pl.col("head")
    before = steps.with_columns(pl.when(again).then(pl.col(c).shift()).alias(f"old {c}") for c in numbers)
    before = before.with_columns((~pl.col("fresh").gather("head")).alias("stored"))
    kept = [
        c for c in ("number", "stored", "source", axis(table.name), "contract", "time", "day") if c in before.columns
    ]
    found = [
        before.filter(pl.col(f"old {c}").is_not_null() & pl.col(c).ne_missing(pl.col(f"old {c}"))).select(
            *kept, pl.lit(c).alias("column"),
            pl.col(f"old {c}").cast(pl.Float64).alias("old"), pl.col(c).cast(pl.Float64).alias("new"),
        )
        for c in numbers
    ]  # fmt: skip
    return pl.concat(found) if found else before.clear()


def _revisions(changed, table, import_id):
    if changed.is_empty():
        return TABLES["revisions"].empty()
    midnight = pl.col("day").cast(pl.Datetime("us")).dt.replace_time_zone("UTC") if "day" in table.columns else None
    rows = changed.with_columns(
        pl.lit(table.name).alias("of_table"),
        pl.col(axis(table.name)).alias("root"),
        pl.lit(import_id).alias("import_id"),
    )
    if "time" not in table.columns and midnight is not None:
        rows = rows.with_columns(midnight.alias("time"))
    return TABLES["revisions"].conform(rows.select(c for c in TABLES["revisions"].columns if c in rows.columns))


def _restated(changed, of):
    """How many stored rows had a value replaced, of how many, and the first of them."""
    stored = changed.filter("stored") if changed.height else changed
    if stored.is_empty() or "contract" not in stored.columns:
        return None
    first = stored.sort("number").row(0, named=True)
    told = (first["contract"], first.get("day"), first["column"], first["old"], first["new"])
    return {"rows": stored["number"].n_unique(), "of": of, "first": told}
