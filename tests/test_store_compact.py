"""Fewer files and the same store: every reader, the log of imports, releases, and other writers meanwhile."""

import random
import shutil
from datetime import date

import polars as pl
import pytest

from engine import Portfolio
from engine.backtest import identity
from engine.market import load
from store import compact as module
from store import decisions, history, imported, ingest, kept, open_archive, workers
from store.archive import Refused
from store.commit import GROWING
from store.compact import LOGS, compact, joins, stay
from store.reading import Reading
from store.tables import TABLES
from tests import small_store
from tests.sample_files import LINES, changed, put

PROVES = (5,)  # guarantees

CUT = date(2022, 11, 28)  # before it all comes at once, from then on two days a night
PORTFOLIO = """
[portfolio]
capital = 1_000_000
[[strategies]]
name = "moving_average_cross"
params = { fast = 5, slow = 20 }
"""
MARKETS = {name: small_store.bars(name, level, seed) for name, level, seed in (("MES", 4000.0, 1), ("FGBL", 170.0, 2))}
RATES = small_store.fx(1.1)


def bars_of(name, days, **columns):
    """Rows of a market on these days, as a reader hands them over."""
    told = {"file": "x.csv", "line": 2, "raw": "", "column": None, "fault": None} | columns
    frame = MARKETS[name].filter(pl.col("day").is_in(days))
    made = (pl.lit(v, pl.String if v is None else None).alias(k) for k, v in told.items())
    return Reading("contract_bars", "barchart", name, frame.with_columns(made))


def rates_of(days):
    told = {"file": "x.csv", "line": 2, "raw": "", "column": None, "fault": None}
    frame = RATES.filter(pl.col("day").is_in(days))
    made = (pl.lit(v, pl.String if v is None else None).alias(k) for k, v in told.items())
    return Reading("fx", "pysystemtrade", "EUR", frame.with_columns(made))


def take(archive, number, *readings):
    report = ingest.accept(archive, list(readings), f"{number}.csv", f"{number:064x}")
    assert not report.error


def silver(folder, number, contract, bad):
    """A file of one contract, with a row whose high is below its low if it is `bad`."""
    folder.mkdir(exist_ok=True)
    return put(folder / str(number), f"Day_SILVER_{contract}00.csv", changed(3, High="1") if bad else LINES)


def grow(archive, files):
    """Two markets and the euro night by night, with corrected values; files of a third with rows kept apart, of which
    two are released, and one of these comes in."""
    days = small_store.sessions()
    first = [day for day in days if day < CUT]
    take(archive, 0, *(bars_of(name, first) for name in MARKETS), rates_of(first))
    for number, k in enumerate(range(len(first), len(days), 2), 1):
        night = days[k : k + 2]
        take(archive, number, *(bars_of(name, night) for name in MARKETS), rates_of(night))
        ingest.import_paths(archive, [silver(files, number, 202403 + 100 * number, number % 3 == 0)])
        if number in (3, 7):
            take(archive, 100 + number, bars_of("MES", [days[k - 30]], settle=4000.25, file="late.csv"))
    ids = archive.read("quarantine")["id"].to_list()
    decisions.release(archive, ids[:1], "traded so", "ann")
    ingest.import_paths(archive, [files / "3"])
    decisions.accept(archive, "stale", ["MES"], "a holiday", "ann")
    decisions.release(archive, ids[1:2], "traded so too", "bob")
    return archive


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """A store of many imports, not to be changed, and the files of the third market."""
    folder = tmp_path_factory.mktemp("grown")
    archive = grow(open_archive(folder / "store", create=True), folder / "files")
    return archive, folder / "files"


@pytest.fixture
def archive(grown, tmp_path):
    """A copy of it."""
    return open_archive(shutil.copytree(grown[0].path, tmp_path / "store"))


def rows(archive, snapshot=None):
    """All rows of all tables: in order of their key where tables grow by days, else in that in which they came."""
    found = {name: archive.read(name, snapshot) for name in TABLES}
    return {name: frame.sort(TABLES[name].key) if name in GROWING else frame for name, frame in found.items()}


def seen(archive):
    """All that readers make of a store."""
    snapshot, portfolio = archive.head(), Portfolio.from_toml(PORTFOLIO)
    market = load(archive, ["MES", "FGBL"])
    found = {"hashes": market.hashes, "run": identity(market, portfolio)}
    found |= {f"bars {root}": archive.bars(root) for root in ("MES", "FGBL", "SI")}
    found |= {f"calendar {root}": history.calendar(archive, root, "volume:1")[0].frame for root in ("MES", "FGBL")}
    found |= {f"table {root}": history.table(archive, root, "oi:1") for root in ("MES", "FGBL")}
    found |= {"continuous": archive.continuous(["MES.v.0", "FGBL.v.0"]), "released": decisions.releases(archive)}
    found |= {"pasts": imported.History(archive, snapshot)._of, "undecided": decisions.undecided(archive)}
    return found | rows(archive)


def same(first, second):
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert value.equals(second[name]) if isinstance(value, pl.DataFrame) else value == second[name], name


def test_the_store_of_these_tests_has_what_may_go_wrong(grown):
    archive, _ = grown
    assert len(archive.files("contract_bars", root="MES")) > 3 and len(archive.files("fx")) > 10
    held = {name: archive.read(name).height for name in LOGS}
    assert held["decisions"] == 3 and held["revisions"] > 3 and held["quarantine"] == 3 and held["imports"] > 25


@pytest.mark.parametrize("whole", [False, True])
def test_no_reader_sees_a_difference(grown, archive, whole):
    before = seen(grown[0])
    done = compact(archive, whole=whole)
    shutil.rmtree(archive.cache, ignore_errors=True)  # the series are made again, of the new files
    same(before, seen(archive))
    assert not archive.verify()
    assert done["files_after"] == len(archive.head().files) < done["files_before"] / 4
    assert done["snapshot"] == archive.head().number == grown[0].head().number + 1
    most = 1 if whole else 2
    for table, labels in (("contract_bars", {"root": "MES"}), ("contract_bars", {"root": "SI"}), ("fx", {})):
        assert 1 <= len(archive.files(table, **labels)) <= most


def test_cached_series_go_on_and_are_those_that_would_be_made_anew(archive, monkeypatch):
    roots = ["MES", "FGBL"]
    history.tables(archive, roots)
    compact(archive)
    kept.memory.clear()
    with monkeypatch.context() as patch:
        patch.setattr(workers, "make", lambda jobs, rows, processes: [] if not jobs else pytest.fail("made anew"))
        cached = history.tables(archive, roots)
    shutil.rmtree(archive.cache)
    kept.memory.clear()
    assert history.tables(archive, roots).equals(cached)


def test_old_snapshots_are_read_as_before(grown, archive):
    compact(archive, whole=True)
    for number in (1, 5, 20, grown[0].head().number):
        same(rows(grown[0], number), rows(archive, number))


def test_the_document_tells_each_file_that_was_made(grown, archive):
    done = compact(archive)
    told = {(one["table"], one["labels"].get("root")): one for one in done["groups"]}
    old = grown[0].files("contract_bars", root="MES")
    assert told["contract_bars", "MES"] == {
        "table": "contract_bars", "labels": {"root": "MES", "source": "barchart"}, "files": len(old) - 1,
        "rows": sum(s.rows for s in old[1:]), "bytes_before": sum(s.bytes for s in old[1:]),
        "bytes_after": archive.files("contract_bars", root="MES")[1].bytes,
    }  # fmt: skip
    assert archive.files("contract_bars", root="MES")[0] == old[0]  # two years stay beside four weeks
    assert told["imports", None]["labels"] == {} and told["imports", None]["rows"] == archive.read("imports").height


def test_a_second_call_finds_nothing_to_do(archive):
    number = compact(archive)["snapshot"]
    again = compact(archive)
    assert again["groups"] == [] and again["files_before"] == again["files_after"] and again["snapshot"] == number
    assert archive.head().number == number


def test_a_dry_run_tells_the_same_and_writes_nothing(archive):
    files = sorted(archive.path.rglob("*"))
    dry = compact(archive, dry_run=True)
    assert sorted(archive.path.rglob("*")) == files
    done = compact(archive)
    assert dry["files_after"] == done["files_after"] and dry["dry_run"] and not done["dry_run"]
    assert [one | {"bytes_after": None} for one in done["groups"]] == dry["groups"]


def test_of_named_markets_only_these_are_joined(archive):
    done = compact(archive, ["MES"])
    assert [(one["table"], one["labels"]["root"]) for one in done["groups"]] == [("contract_bars", "MES")]
    with pytest.raises(Refused, match="no stored market 'MEX': did you mean MES"):
        compact(archive, ["MEX"])


def test_progress_is_told_a_file_that_is_made(archive):
    steps = []
    done = compact(archive, progress=lambda *step: steps.append(step))
    assert [step[:2] for step in steps] == [(k, len(done["groups"])) for k in range(len(steps))]
    assert {"contract_bars MES", "fx EUR", "imports"} <= {name for _, _, name in steps}


# ---- what is imported and released afterwards


def test_later_imports_do_as_they_would_have_done(grown, tmp_path):
    stores = [open_archive(shutil.copytree(grown[0].path, tmp_path / name)) for name in ("plain", "compacted")]
    compact(stores[1])
    files = grown[1]
    for archive in stores:
        night = [date(2022, 12, 29), date(2022, 12, 30)]
        take(archive, 900, bars_of("MES", night, settle=4100.0), rates_of(night))
        assert [report.skipped for report in ingest.import_paths(archive, [files / "4"])] == [True]
        reports = ingest.import_paths(archive, [files / "6"])  # its row was released
        assert [report.reasons.get("released") for report in reports] == [1]
    plain, compacted = (rows(archive) for archive in stores)
    for name in ("quarantine", "imports", "revisions", "contract_bars", "fx"):
        frames = [frame.drop("import_id", "known", "time", strict=False).sort(pl.all()) for frame in
                  (plain[name], compacted[name])]  # fmt: skip
        assert frames[0].equals(frames[1]), name
    assert plain["quarantine"].height == 2


# ---- other writers, and crashes


def meanwhile(monkeypatch, write):
    """The first commit is preceded by another writer's."""
    swap, calls = module._swap, []

    def late(archive, pairs):
        calls.append(len(pairs))
        if len(calls) == 1:
            write(open_archive(archive.path))
        return swap(archive, pairs)

    monkeypatch.setattr(module, "_swap", late)
    return calls


def test_an_import_meanwhile_is_in_nobodys_way_and_comes_last_in_the_log(archive, tmp_path, monkeypatch):
    path = silver(tmp_path, 1, 203112, True)
    calls = meanwhile(monkeypatch, lambda theirs: ingest.import_paths(theirs, [path]))
    before = rows(archive)
    compact(archive)
    after = rows(archive)
    assert len(calls) == 1
    assert after["imports"]["file"].to_list() == [*before["imports"]["file"], path.name]
    assert after["quarantine"].head(before["quarantine"].height).equals(before["quarantine"])
    assert after["quarantine"].height == before["quarantine"].height + 1
    assert after["contract_bars"].height == before["contract_bars"].height + len(LINES) - 2
    assert not archive.verify()


def test_a_market_that_another_writer_made_anew_meanwhile_is_left_to_the_next_call(archive, monkeypatch):
    value = bars_of("MES", [date(2022, 12, 1)], settle=4321.0)
    calls = meanwhile(monkeypatch, lambda theirs: take(theirs, 901, value))
    done = compact(archive)
    joined = {(one["table"], one["labels"].get("root")) for one in done["groups"]}
    assert len(calls) == 2 and calls[1] == calls[0] - 1
    assert ("contract_bars", "MES") not in joined and ("contract_bars", "FGBL") in joined
    assert archive.read("contract_bars", root="MES").filter(settle=4321.0).height == value.frame.height


def test_two_that_compact_at_once_do_it_once(archive, monkeypatch):
    calls = meanwhile(monkeypatch, compact)
    before = rows(archive)
    done = compact(archive)
    assert len(calls) == 2 and done["groups"] == []  # the other's call, then ours, which finds nothing left
    same(before, rows(archive))


def test_what_was_committed_before_a_crash_stands_and_the_rest_is_done_later(archive, monkeypatch):
    monkeypatch.setattr(module, "PORTION", 1)
    before, swap, calls = rows(archive), module._swap, []

    def crash(archive, pairs):
        calls.append(pairs)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return swap(archive, pairs)

    wanted, number = len(joins(archive.head())), archive.head().number
    with monkeypatch.context() as broken:
        broken.setattr(module, "_swap", crash)
        with pytest.raises(KeyboardInterrupt):
            compact(archive)
    assert archive.head().number == number + 2 and not archive.verify()
    same(before, rows(archive))
    assert len(compact(archive)["groups"]) == wanted - 2
    same(before, rows(archive))


# ---- how many files there are


NIGHTS, TRADED, CURRENCIES, CONTRACTS, LIMIT = 2520, 200, 30, 10, 2000


@pytest.mark.parametrize("past", [1, 2520], ids=["from nothing", "after ten years at once"])
def test_ten_years_of_nights_never_leave_two_thousand_files(past):
    """A model: a store of 200 markets of ten listed contracts, imported and compacted each night; only numbers."""
    chance = random.Random(5)
    grow = [[CONTRACTS * past] for _ in range(TRADED)] + [[past] for _ in range(CURRENCIES)]
    logs = {name: [] for name in LOGS}
    one_a_market = 4 * TRADED  # findings, vendors' dates, roll calendars and their heads
    most, written = 0, 0
    for _ in range(NIGHTS):
        for k, files in enumerate(grow):
            files.append(CONTRACTS if k < TRADED else 1)
        logs["imports"].append(chance.choice((1, TRADED)))
        logs["quarantine"] += [chance.randrange(1, 50)] * chance.randrange(2)
        logs["revisions"] += [chance.randrange(1, 20) for _ in range(chance.randrange(8))]
        logs["decisions"] += [1] * chance.randrange(2)
        most = max(most, one_a_market + sum(map(len, (*grow, *logs.values()))))
        for files, most_kept in [(files, 1) for files in grow] + [(files, len(files)) for files in logs.values()]:
            first = stay(files, most_kept)
            if len(files) - first > 1:
                files[first:] = [sum(files[first:])]
                written += files[first]
        assert max(map(len, grow)) <= 2 and max(map(len, logs.values())) < 12
    brought = sum(map(sum, grow)) + sum(map(sum, logs.values())) - past * (TRADED * CONTRACTS + CURRENCIES)
    assert most < LIMIT
    assert written < 150 * brought  # of two thousand and more, were each market made one file each night


def test_joined_files_are_those_after_the_last_that_is_large_beside_the_rest():
    """By the words of the rule, for many lists of sizes."""
    chance = random.Random(7)
    for _ in range(500):
        sizes = [chance.choice((1, 5, 50, 600, 10_000)) for _ in range(chance.randrange(1, 9))]
        large = [n >= module.STAYS * sum(sizes[k + 1 :]) for k, n in enumerate(sizes)]
        assert stay(sizes, len(sizes)) == (large.index(False) if False in large else len(sizes))
        assert stay(sizes, 1) == int(large[0]) and stay(sizes, 0) == 0
