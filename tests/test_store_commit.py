"""From rows to one commit: what is made again when another writer was quicker, and what a commit replaces."""

import random
from datetime import UTC, date, datetime, timedelta
from itertools import chain, pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from store import checks, compare, history, open_archive
from store import commit as module
from store.commit import under
from store.coverage import coverage
from store.ingest import accept, import_paths
from store.intake import FileReport
from store.reading import Reading
from store.tables import TABLES
from tests.sample_files import LINES, MARCH, changed, put
from tests.stored_bars import bars, days


@pytest.fixture
def archive(tmp_path):
    return open_archive(tmp_path / "store", create=True)


@pytest.fixture
def markets(tmp_path):
    """Files of two markets."""
    return [put(tmp_path / "in", f"Day_{name}_20240300.csv", LINES) for name in ("SP500_micro", "SILVER")]


def overtaken(archive, monkeypatch, write):
    """The first commit is preceded by another writer's; the markets that are merged are told."""
    commit, merged, calls, told = archive.commit, module.merged, [], []

    def late(*arguments, **words):
        if not calls:
            calls.append(1)
            write(open_archive(archive.path))
            told.append("again")
        return commit(*arguments, **words)

    def merge(stored, new, *others):
        told.append(new["root"][0])
        return merged(stored, new, *others)

    monkeypatch.setattr(archive, "commit", late)
    monkeypatch.setattr(module, "merged", merge)
    return told


def test_only_the_market_that_another_writer_changed_is_merged_again(archive, markets, tmp_path, monkeypatch):
    other = put(tmp_path / "other", "Day_SILVER_20240600.csv", LINES)
    told = overtaken(archive, monkeypatch, lambda theirs: import_paths(theirs, [other]))
    import_paths(archive, markets)
    assert told == ["MES", "SI", "SI", "again", "SI"]  # ours, the other's, ours again
    assert archive.read("contract_bars").group_by("root").len().sort("root").rows() == [("MES", 10), ("SI", 20)]
    assert not archive.verify()


def test_a_writer_of_another_table_is_not_in_the_way(archive, markets, monkeypatch):
    rates = pl.DataFrame({"currency": ["EUR"], "rate": [1.0]})
    told = overtaken(archive, monkeypatch, lambda theirs: theirs.commit([theirs.write("fx", rates, source="x")]))
    import_paths(archive, markets)
    assert told == ["MES", "SI", "again"]
    assert archive.head().number == 2


def test_a_revision_is_told_once_however_often_it_was_merged(archive, tmp_path, monkeypatch):
    import_paths(archive, [MARCH])
    other = put(tmp_path / "other", "Day_SP500_micro_20240600.csv", LINES)
    overtaken(archive, monkeypatch, lambda theirs: import_paths(theirs, [other]))
    import_paths(archive, [put(tmp_path / "in", MARCH.name, changed(3, Close="5029"))])
    assert archive.read("revisions").select("old", "new").rows() == [(5028.5, 5029.0)]


def test_a_market_is_replaced_by_one_segment(archive, markets, tmp_path):
    import_paths(archive, markets)
    import_paths(archive, [put(tmp_path / "in", "Day_SILVER_20240900.csv", LINES)])
    assert [segment.rows for segment in archive.files("contract_bars", root="SI")] == [20]
    assert archive.read("contract_bars", 1, root="SI").height == 10  # the version of before


def segments(archive, root="MES", snapshot=None):
    """Rows of each file of a market, in the order of their commits."""
    return [segment.rows for segment in archive.files("contract_bars", snapshot, root=root)]


def test_later_days_are_a_segment_of_their_own_and_read_as_if_they_were_in_one(archive, tmp_path):
    import_paths(archive, [put(tmp_path / "first", MARCH.name, LINES[:-2])])
    [old] = archive.files("contract_bars")
    import_paths(archive, [put(tmp_path / "day", MARCH.name, [LINES[0], LINES[-2]])])
    import_paths(archive, [put(tmp_path / "whole", MARCH.name, LINES)])  # brings one day that is new, the rest again
    assert segments(archive) == [8, 1, 1]
    assert archive.files("contract_bars")[0] == old
    once = open_archive(tmp_path / "once", create=True)
    import_paths(once, [MARCH])
    assert archive.read("contract_bars").drop("known").equals(once.read("contract_bars").drop("known"))
    assert archive.read("revisions").is_empty() and archive.read("findings").equals(once.read("findings"))


def test_what_comes_again_unchanged_leaves_a_market_of_several_segments_as_it_is(archive, tmp_path):
    import_paths(archive, [put(tmp_path / "first", MARCH.name, LINES[:-1])])
    import_paths(archive, [put(tmp_path / "day", MARCH.name, [LINES[0], LINES[-1]])])
    before = archive.files("contract_bars")
    import_paths(archive, [put(tmp_path / "again", "Day_SP500_micro_20240300.csv", LINES)])
    assert archive.files("contract_bars") == before and len(before) == 2


def test_a_value_that_changes_beside_a_later_day_is_a_revision_and_the_market_one_segment(archive, tmp_path):
    import_paths(archive, [put(tmp_path / "first", MARCH.name, LINES[:-1])])
    import_paths(archive, [put(tmp_path / "whole", MARCH.name, changed(3, Close="5029"))])
    assert segments(archive) == [10]
    assert archive.read("revisions").select("old", "new").rows() == [(5028.5, 5029.0)]


def test_a_contract_that_comes_with_its_past_is_no_later_day(archive, tmp_path):
    import_paths(archive, [put(tmp_path / "first", MARCH.name, LINES[:-1])])
    import_paths(archive, [put(tmp_path / "june", "Day_SP500_micro_20240600.csv", [LINES[0], *LINES[-2:]])])
    assert segments(archive) == [11]


@pytest.mark.parametrize(
    ("held", "more", "room"),
    [([75], 25, True), ([75], 26, False), ([75, 20], 5, True), ([20, 75], 6, False), ([1000, *[1] * 30], 1, True),
     ([1000, *[1] * 31], 1, False), ([1], 1, False)],
)  # fmt: skip
def test_a_market_has_32_segments_at_most_and_a_quarter_of_its_rows_outside_the_largest(archive, held, more, room):
    day = iter(days("2020-01-02", "2025-12-31"))
    frames = [bars(202412, [next(day) for _ in range(rows)]) for rows in (*held, more)]
    labels = {"source": "barchart", "root": "MES"}
    archive.commit([archive.write("contract_bars", frame.drop(*labels), **labels) for frame in frames[:-1]])
    taken(archive, [reading(frames[-1])])
    assert segments(archive) == ([*held, more] if room else [sum(held) + more])
    assert archive.read("contract_bars")["day"].is_sorted()


def test_a_market_whose_file_has_other_labels_is_merged_whole(archive):
    first = bars(202403, days("2024-01-02", "2024-01-31")).drop("source", "root")
    archive.commit([archive.write("contract_bars", first, source="barchart", root="MES", checked="yes")])
    taken(archive, [reading(bars(202403, days("2024-02-01", "2024-02-01")))])
    assert segments(archive) == [23]


def reading(frame, name="MES"):
    """Rows as a vendor's reader hands them over."""
    told = {"file": "x.csv", "line": 2, "raw": "", "column": None, "fault": None}
    frame = frame.select("contract", "day", "time", "settle", "volume")
    frame = frame.with_columns(pl.lit(v, pl.String if v is None else None).alias(k) for k, v in told.items())
    return Reading("contract_bars", "barchart", name, frame)


def taken(archive, readings):
    """Import these readings as one file."""
    archive.number = getattr(archive, "number", 0) + 1
    report = accept(archive, readings, f"{archive.number}.csv", f"{archive.number:064x}")
    assert not report.error
    return report


def test_two_writers_that_add_a_day_to_one_market_both_find_it_there(archive, tmp_path, monkeypatch):
    import_paths(archive, [put(tmp_path / "first", MARCH.name, LINES[:-2])])
    theirs = put(tmp_path / "theirs", MARCH.name, [LINES[0], LINES[-2]])
    told = overtaken(archive, monkeypatch, lambda other: import_paths(other, [theirs]))
    import_paths(archive, [put(tmp_path / "ours", MARCH.name, [LINES[0], LINES[-1]])])
    assert told == ["MES", "MES", "again", "MES"]
    assert segments(archive) == [8, 1, 1] and not archive.verify()


def test_the_day_before_that_another_writer_adds_meanwhile_is_put_in_its_place(archive, tmp_path, monkeypatch):
    import_paths(archive, [put(tmp_path / "first", MARCH.name, LINES[:-2])])
    theirs = put(tmp_path / "theirs", MARCH.name, [LINES[0], LINES[-1]])
    overtaken(archive, monkeypatch, lambda other: import_paths(other, [theirs]))
    import_paths(archive, [put(tmp_path / "ours", MARCH.name, [LINES[0], LINES[-2]])])
    assert segments(archive) == [10] and archive.read("contract_bars")["day"].is_sorted()


DAYS = days("2024-01-02", "2024-03-29")
CONTRACTS = (202403, 202406, 202409)
WEEKS = range(0, len(DAYS), 4)  # of four days


def past(seed):
    """Readings of two markets by the week they come in: two values a market are corrected by a later week, some rows
    come twice, the prices of one contract slip by two digits for three days."""
    chance, by_week = random.Random(seed), [[] for _ in WEEKS]
    for name in ("MES", "SI"):
        prices = {c: [100.0 + k % 7 + n for k in range(len(DAYS))] for n, c in enumerate(CONTRACTS)}
        if name == "SI":
            prices[202406][30:33] = [100.0 * price for price in prices[202406][30:33]]
        for week, k in enumerate(WEEKS):
            span = slice(max(k - chance.randrange(2), 0), k + 4)  # a row that comes again, perhaps
            rows = [bars(c, DAYS[span], prices[c][span], volume=5.0) for c in CONTRACTS]
            by_week[week].append(reading(pl.concat(rows), name))
        for week in chance.sample(range(8, len(WEEKS)), 2):
            late = bars(202403, [DAYS[WEEKS[week] - 9]], 99.5, volume=6.0)
            by_week[week].append(reading(late, name))
    return by_week


def kept(archive):
    """All that a store tells of its rows, whenever they came."""
    rows = archive.read("contract_bars").sort(TABLES["contract_bars"].key)
    changes = archive.read("revisions").drop("import_id").sort(pl.all())
    return rows, changes, archive.read("findings").sort("id")


@settings(max_examples=3, deadline=None)
@given(seed=some.integers(0, 10**6), cuts=some.sets(some.integers(1, len(WEEKS) - 1), min_size=3, max_size=8))
def test_a_history_that_comes_in_portions_is_stored_as_if_it_came_at_once(tmp_path_factory, seed, cuts):
    folder, by_week = tmp_path_factory.mktemp("portions"), past(seed)
    once, often = (open_archive(folder / name, create=True) for name in ("once", "often"))
    taken(once, list(chain(*by_week)))
    for first, end in pairwise([0, *sorted(cuts), len(WEEKS)]):
        taken(often, list(chain(*by_week[first:end])))
    whole = kept(once)
    assert [len(frame) for frame in whole[:2]] == [2 * 3 * len(DAYS), 2 * 2 * 2] and len(whole[2])
    for expected, found in zip(whole, kept(often), strict=True):
        assert found.equals(expected)


def test_who_reads_a_market_of_many_segments_finds_what_he_finds_in_one(real, tmp_path):
    roots, stores = ("MES", "VXM"), []
    for name in ("one", "many"):
        archive = open_archive(tmp_path / name, create=True)
        for root in roots:
            rows = real.read("contract_bars", root=root)
            cuts = [date.min, *(date(2025, 1, 1) + timedelta(days=20 * k) for k in range(12 * (name == "many")))]
            parts = [rows.filter(pl.col("day").is_between(a, b, closed="left"))
                     for a, b in zip(cuts, [*cuts[1:], date.max], strict=True)]  # fmt: skip
            add = [archive.write("contract_bars", part, source="barchart", root=root) for part in parts]
            archive.commit(add)
        stores.append(archive)
    one, many = stores
    assert (len(one.files("contract_bars")), len(many.files("contract_bars"))) == (2, 26)
    for read in (
        lambda archive: checks.run(archive, list(roots)),
        lambda archive: coverage(archive, list(roots)),
        lambda archive: history.calendar(archive, "MES", "volume:1")[0].frame,
        lambda archive: history.table(archive, "MES", "oi:1"),
        lambda archive: compare.against(archive, "MES", None, "VXM:barchart").prices,
    ):
        assert read(many).equals(read(one))


def test_a_content_goes_by_the_name_of_its_file_its_vendor_and_its_roots():
    assert under(FileReport("/a/b.zip", "v", ["ES", "CL"])) == ("b.zip", "v", "ES,CL")


def test_the_moment_of_an_import_is_in_its_log_and_its_rows(archive, markets):
    began = datetime.now(UTC)
    import_paths(archive, markets)
    moments = {*archive.read("imports")["time"], *archive.read("contract_bars")["known"]}
    assert len(moments) == 1 and began <= moments.pop() <= datetime.now(UTC)
