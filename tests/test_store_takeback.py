"""What one import did, taken back after whatever else was done: other imports, drops, undos, fills, compaction."""

import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from store import aggregate, compact, fill, ingest, open_archive, undo
from store.drop import drop_import, drop_root
from store.reading import Reading
from store.tables import TIME
from tests.brought import DAY, ROWS, bars, bring, rows, simple


@pytest.fixture
def archive(tmp_path):
    return open_archive(tmp_path / "store", create=True)


NUMBERS = ("settle", "volume", "open_interest")
OPERATION = st.one_of(
    st.tuples(st.just("bring"), st.fixed_dictionaries({"AAA": ROWS, "BBB": ROWS})),
    st.tuples(st.sampled_from(["drop", "root", "undo", "compact", "again"]), st.integers(0, 9)),
)


def files_of(folder, k, markets):
    """The files of import k, one a market; no two imports bring one value."""
    folder.mkdir()
    for root, held in markets.items():
        told = [
            (*key, *(v if v is None else 10.0 * k + v for v in values)) for key, values in held.items() if any(values)
        ]
        frame = bars(told or [(1, 0, 10.0 * k, None, None)]).frame.select("contract", "day", "time", *NUMBERS)
        frame.with_columns(source=pl.lit("mine"), root=pl.lit(root)).write_parquet(folder / f"{root}.parquet")
    return folder


class Done:
    """A store and what should be in it: of each import and market that counts, when it came and the files' number."""

    def __init__(self, folder):
        self.folder, self.archive = Path(folder), open_archive(f"{folder}/one", create=True)
        self.held, self.states, self.brought = {}, [{}], []

    def do(self, k, verb, what):
        number = self.archive.head().number
        getattr(self, verb)(k, what)
        self.states += [self.held] * (self.archive.head().number - number)

    def bring(self, k, what):
        files_of(self.folder / str(k), k, what)
        self.brought += [(k, root) for root in what]
        self._bring(k, [(k, root) for root in what])

    def again(self, k, what):
        """Files that were taken out come in again, with the values that they had."""
        here = {(number, root) for (_, root), (_, number) in self.held.items()}
        if lost := [one for one in self.brought if one not in here]:
            self._bring(k, [lost[what % len(lost)]])

    def _bring(self, k, files):
        done = ingest.import_paths(self.archive, [self.folder / str(of) / f"{root}.parquet" for of, root in files])
        assert not any(report.skipped or report.error for report in done)
        import_id = self.archive.read("imports")["import_id"][-1]
        self.held = self.held | {(import_id, root): (k, of) for of, root in files}

    def drop(self, k, what):
        if ids := [one for _, one in sorted({(came, import_id) for (import_id, _), (came, _) in self.held.items()})]:
            drop_import(self.archive, ids[what % len(ids)])
            self.held = {one: held for one, held in self.held.items() if one[0] != ids[what % len(ids)]}

    def root(self, k, what):
        if roots := sorted({root for _, root in self.held}):
            drop_root(self.archive, roots[what % len(roots)])
            self.held = {one: held for one, held in self.held.items() if one[1] != roots[what % len(roots)]}

    def undo(self, k, what):
        number = what % len(self.states)
        if self.archive.snapshot(number).files != self.archive.head().files:
            undo.undo(self.archive, number)
            self.held = self.states[number]

    def compact(self, k, what):
        compact.compact(self.archive, whole=True)

    def alone(self):
        """A store into which only that came."""
        other = open_archive(self.folder / "other", create=True)
        for came, of in sorted(set(self.held.values())):
            roots = sorted(root for (_, root), held in self.held.items() if held == (came, of))
            ingest.import_paths(other, [self.folder / str(of) / f"{root}.parquet" for root in roots])
        return other


@seed(11)
@settings(max_examples=8, deadline=None, database=None)
@given(operations=st.lists(OPERATION, min_size=3, max_size=9))
def test_whatever_is_done_between_a_drop_takes_what_the_import_brought_and_nothing_else(operations):
    with tempfile.TemporaryDirectory() as folder:
        done = Done(folder)
        for k, (verb, what) in enumerate(operations, 1):
            done.do(k, verb, what)
        other = done.alone()
        for table in ("contract_bars", "revisions"):
            assert rows(done.archive, table) == rows(other, table)
        assert sorted(done.archive.read("imports").select("import_id", "roots").rows()) == sorted(done.held)


def test_a_market_that_was_dropped_and_came_again_is_of_the_later_import(archive, tmp_path):
    ingest.import_paths(
        archive, [files_of(tmp_path / "a", 1, {"AAA": {(1, 0): (1, 1, 1)}, "BBB": {(1, 0): (1, 1, 1)}})]
    )
    first = archive.read("imports")["import_id"][0]
    drop_root(archive, "AAA")
    ingest.import_paths(archive, [tmp_path / "a" / "AAA.parquet"])
    notes = drop_import(archive, first)["notes"]
    assert archive.read("contract_bars").select("root", "settle").rows() == [("AAA", 11.0)]
    assert archive.read("imports").select("file", "roots").rows() == [("AAA.parquet", "AAA")] and notes == []


def stamped(settle, when, name):
    reading = bars([(1, 0, settle, None, None)], name=name)
    return replace(reading, frame=reading.frame.with_columns(source_time=pl.lit(when)))


def test_what_an_earlier_import_brought_stays_though_its_log_went_with_another_market(archive):
    bring(archive, stamped(1.0, "early", "AAA"), stamped(1.0, "early", "BBB"))
    before = archive.read("contract_bars", root="AAA")
    second = bring(archive, stamped(2.0, "late", "AAA"))
    drop_root(archive, "BBB")  # and with it the log of the file that brought AAA too
    drop_import(archive, second)
    assert archive.read("contract_bars").equals(before)


def test_revisions_of_a_later_import_are_put_right_though_its_log_went_with_another_market(archive):
    first = bring(archive, stamped(1.0, "early", "AAA"))
    bring(archive, stamped(2.0, "late", "AAA"), stamped(2.0, "late", "BBB"))
    drop_root(archive, "BBB")
    assert archive.read("revisions").select("old", "new").rows() == [(1.0, 2.0)]
    drop_import(archive, first)
    assert simple(archive) == {(1, 0): (2.0, None, None)} and archive.read("revisions").is_empty()


def test_a_filled_row_comes_back_unless_its_fill_was_revoked(archive):
    for days, vendor in ([(0, 2), "mine"], [(0, 1, 2), "other"]):
        bring(archive, bars([(1, day, 5000.0, None, None) for day in days], vendor, "MES"))
    fill.fill(archive, "MES", "mine", "other", "a hole")
    real = bring(archive, bars([(1, 1, 5001.0, None, None)], name="MES"))
    number = archive.head().number

    def mine():
        return archive.read("contract_bars", source="mine").sort("day").select("settle", "filled_from").rows()

    drop_import(archive, real)
    assert mine() == [(5000.0, None), (5000.0, "other"), (5000.0, None)]
    undo.undo(archive, number)
    fill.unfill(archive, "MES", "mine", "no longer trusted")
    drop_import(archive, real)
    assert mine() == [(5000.0, None), (5000.0, None)]


def test_bars_made_of_bars_that_go_are_told_and_stay(archive):
    frame = pl.DataFrame({"contract": [202403] * 2, "close": [5.0, 6.0], "volume": [1.0, 1.0]})
    days = [DAY, DAY + timedelta(days=1)]
    times = [datetime(2024, 3, 4 + k, 15, tzinfo=UTC) for k in (0, 1)]
    told = {"file": pl.lit("f"), "raw": pl.lit("x"), "line": pl.lit(1, pl.Int64)}
    told |= {name: pl.lit(None, pl.String) for name in ("column", "fault")}
    frame = frame.with_columns(pl.Series("day", days), pl.Series("time", times, TIME), **told)
    first = bring(archive, Reading("contract_bars", "mine-minute", "MES", frame, ours=True, partial=True))
    aggregate.aggregate(archive)
    daily = archive.read("contract_bars", source="mine-minute-daily")
    assert daily.height == 1
    notes = drop_import(archive, first)["notes"]
    assert notes == ["MES of mine-minute-daily, made of mine-minute, stays: drop it too, or aggregate again"]
    assert archive.read("contract_bars").equals(daily)


# ---- what later imports brought too


def test_nothing_is_told_of_later_imports_that_share_no_row(archive):
    ids = [bring(archive, bars([(1, day, 5.0, None, None)])) for day in range(6)]
    assert all(drop_import(archive, import_id)["notes"] == [] for import_id in ids[:3])
    assert len(simple(archive)) == 3


def test_rows_that_a_later_file_held_too_are_counted_and_its_import_brings_them_back(archive, tmp_path):
    paths = []
    for k, days in enumerate([range(5), range(3, 8), range(8, 9)]):
        frame = bars([(1, day, 5.0, None, None) for day in days]).frame.select("contract", "day", "time", "settle")
        paths.append(tmp_path / f"{k}.parquet")
        frame.with_columns(source=pl.lit("mine"), root=pl.lit("AAA")).write_parquet(paths[-1])
        ingest.import_paths(archive, [paths[-1]])
    first, second, third = archive.read("imports")["import_id"]
    whole = simple(archive)
    told = drop_import(archive, first, dry_run=True)
    assert drop_import(archive, first)["notes"] == told["notes"]
    [note] = told["notes"]
    assert (
        note.startswith("2 rows at most that went") and second in note and "(1.parquet)" in note and third not in note
    )
    assert sorted(day for _, day in simple(archive)) == [5, 6, 7, 8]
    assert [report.skipped for report in ingest.import_paths(archive, paths[1:])] == [False, True]
    assert simple(archive) == {key: value for key, value in whole.items() if key[1] >= 3}
    assert [report.skipped for report in ingest.import_paths(archive, paths)] == [False, True, True]
    assert simple(archive) == whole
