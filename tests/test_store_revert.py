"""One import taken back: what is left is what the others alone would have stored, whatever they overlap."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from store.merge import merged
from store.revert import reverted
from store.tables import TABLES

BARS, REVISIONS = TABLES["contract_bars"], TABLES["revisions"]
VALUES = ("settle", "volume", "open_interest")
KEY = st.tuples(st.sampled_from([202403, 202406]), st.integers(0, 2))
VALUE = st.one_of(st.none(), st.integers(0, 3))
ROWS = st.dictionaries(KEY, st.tuples(VALUE, VALUE, VALUE), max_size=6)


def at(k):
    """Moment of import k."""
    return datetime(2024, 3, 1, 12, k, tzinfo=UTC)


def frame(k, rows):
    """Rows of import k; no two imports bring one value, as what comes twice leaves no trace."""
    told = []
    for (contract, day), values in sorted(rows.items()):
        if any(value is not None for value in values):
            time = datetime(2024, 3, 4, 23, tzinfo=UTC) + timedelta(days=day)
            values = (value if value is None else 10.0 * k + value for value in values)
            told.append(("mine", "ES", contract, time, time.date(), *values, at(k)))
    names = ("source", "root", "contract", "time", "day", *VALUES, "known")
    return BARS.conform(pl.DataFrame(told, {name: BARS.schema[name] for name in names}, orient="row"))


class World:
    """Rows and revisions after imports, as store/merge.py merges them, and after drops."""

    def __init__(self, imports):
        self.now, self.revisions, self.snapshots = BARS.empty(), REVISIONS.empty(), {}
        for k, rows in imports:
            before = self.now
            self.now, revisions, _ = merged(before, frame(k, rows), BARS, str(k))
            self.revisions = pl.concat([self.revisions, revisions])
            self.snapshots[k] = before, self.now
        self.revisions = self.revisions.with_row_index("place")
        self.dropped = []

    def drop(self, k):
        """Take import k back; how many of its values a later one had changed."""
        import_id, (before, after) = pl.col("import_id").cast(pl.Int64), self.snapshots[k]
        mine, later = self.revisions.filter(import_id == k), self.revisions.filter(import_id > k)
        gone = [at(other) for other in self.dropped if other < k]
        self.now, later, counts = reverted(self.now, after, before, BARS, mine, later, gone)
        self.revisions = pl.concat([self.revisions.filter(import_id < k), later])
        self.dropped.append(k)
        return counts.left

    def told(self, known=False):
        """All of it, to be compared."""
        rows = self.now if known else self.now.drop("known")
        return rows.sort("contract", "time").rows(), self.revisions.drop("place").sort(pl.all()).rows()


@seed(7)
@settings(max_examples=30, deadline=None, database=None)
@given(imports=st.lists(ROWS, min_size=2, max_size=5), data=st.data())
def test_imports_dropped_in_any_order_leave_what_the_others_alone_would_have_stored(imports, data):
    imports = list(enumerate(imports, 1))
    world = World(imports)
    order = data.draw(st.permutations([k for k, _ in imports]))
    for number, k in enumerate(order[: data.draw(st.integers(1, len(order)))]):
        world.drop(k)
        imports = [(other, rows) for other, rows in imports if other != k]
        assert world.told(known=not number) == World(imports).told(known=not number)


def test_a_table_of_nothing_stays_one():
    world = World([(1, {}), (2, {})])
    assert world.drop(1) == 0 and world.now.is_empty()


def test_values_that_a_later_import_changed_are_counted_and_left():
    key = 202403, 0
    world = World([(1, {key: (1, 1, 1)}), (2, {key: (2, 2, None)}), (3, {key: (3, None, None)})])
    assert world.drop(2) == 1
    [row] = world.now.select(VALUES).rows()
    assert row == (33.0, 11.0, 11.0)


def test_a_filled_row_that_the_import_replaced_comes_back_and_not_under_a_later_price():
    filled = frame(1, {(202403, 0): (1, 1, None)}).with_columns(filled_from=pl.lit("other"))
    real = frame(2, {(202403, 0): (2, None, None)})
    after, first, _ = merged(filled, real, BARS, "2")
    assert after["filled_from"].to_list() == [None]
    none = REVISIONS.empty().with_row_index("place")
    rows, _, _ = reverted(after, after, filled, BARS, first.with_row_index("place"), none)
    assert rows.equals(filled)
    now, second, _ = merged(after, frame(3, {(202403, 0): (3, None, 3)}), BARS, "3")
    rows, later, _ = reverted(now, after, filled, BARS, none, second.with_row_index("place"))
    assert rows.select("settle", "volume", "open_interest", "filled_from").rows() == [(33.0, None, 33.0, None)]
    assert later.is_empty()


def test_dates_of_contracts_come_back_too():
    table, key = TABLES["contracts"], ("mine", "ES", 202403)

    def dates(k, first, last):
        rows = [(*key, first and date(2024, 1, first), last and date(2024, 3, last), None, at(k))]
        return pl.DataFrame(rows, table.schema, orient="row")

    before = dates(1, 1, 15)
    after = merged(before, dates(2, None, 16), table, "2")[0]
    none = REVISIONS.empty().with_row_index("place")
    assert reverted(after, after, before, table, none, none)[0].equals(before)
    now = merged(after, dates(3, 3, None), table, "3")[0]
    assert reverted(now, after, before, table, none, none)[0].drop("known").equals(dates(3, 3, 15).drop("known"))
