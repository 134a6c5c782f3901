"""Bars read ahead, many markets in one go, are those that each market's own reading gives; in whatever groups."""

from dataclasses import replace
from datetime import date
from functools import partial
from types import SimpleNamespace

import polars as pl
import pytest

from store import ahead, derived, history, open_archive
from store.manifest import Damaged
from tests.small_store import build


@pytest.fixture
def archive(tmp_path):
    archive = build(tmp_path / "store")
    (archive.path / "contracts.csv").write_text(
        "root,field,value,valid_from,source\nMES,history_from,FGBL,2021-06-01,test\n"
    )
    rows = archive.read("contract_bars", root="FGBL").drop("root", "source")
    bare = rows.with_columns(pl.lit(None, pl.Float64).alias(name) for name in ("settle", "close"))
    some = pl.concat([rows.head(30), bare.slice(30, 40), rows.slice(70)])  # without a price, with volume
    for root, frame in {"FDAX": some, "ZC": bare, "SI": rows.head(3)}.items():
        archive.commit([archive.write("contract_bars", frame, source="barchart", root=root)])
        archive.commit([archive.write("contract_bars", frame.head(2), source="barchart", root=root)])
    return archive


def plans(archive):
    return [history.bars(archive, root) for root in ("MES", "FDAX", "FGBL", "ZC", "SI")]


def same(one, other):
    return one[1] == other[1] and one[0].schema == other[0].schema and one[0].equals(other[0])


@pytest.mark.parametrize("rows", [1, 700, ahead.ROWS])
def test_every_market_gets_its_own_bars(archive, monkeypatch, rows):
    monkeypatch.setattr(ahead, "ROWS", rows)
    wanted = plans(archive)
    assert wanted[0].proxy == "FGBL" and wanted[0].until == date(2021, 6, 1)
    with ahead.Ahead(wanted, derived.COLUMNS) as reader:
        for plan in wanted:
            assert same(reader.take(plan), plan.parts(derived.COLUMNS)), plan.root


def test_a_plan_may_be_taken_as_often_as_it_was_told_and_no_other(archive):
    one, two, other = plans(archive)[:3]
    with ahead.Ahead([one, two, one], derived.COLUMNS) as reader:
        found = [reader.take(plan) for plan in (two, one, one)]
        assert [reader.take(plan) for plan in (one, two, other)] == [None] * 3
    assert same(found[1], found[2]) and same(found[0], two.parts(derived.COLUMNS))


def test_damage_is_told_by_whoever_asks_for_the_bars(archive):
    wanted = plans(archive)
    path = archive.path / wanted[1].own()[0].path
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Damaged, match=r"data/contract_bars/\w+.parquet is damaged"):
        derived.series([history.request(plan, "volume:1") for plan in wanted])


def test_a_manifest_that_tells_other_counts_of_rows_mixes_no_markets(archive):
    snapshot = archive.head()
    files = tuple(replace(one, rows=one.rows + 1) if one.labels.get("root") == "SI" else one for one in snapshot.files)
    snapshot = replace(snapshot, files=files, hash="other")
    wanted = [history.bars(open_archive(archive.path), root, snapshot=snapshot) for root in ("SI", "FGBL")]
    with ahead.Ahead(wanted, derived.COLUMNS) as reader:
        assert all(same(reader.take(plan), plan.parts(derived.COLUMNS)) for plan in wanted)


def test_rows_of_kept_series_come_in_their_order_and_few_wait():
    read = []

    def rows(number):
        read.append(number)
        return number

    kept = [SimpleNamespace(rows=partial(rows, number)) for number in range(9)]
    held = [SimpleNamespace(rows="held")]
    found = ahead.frames([*kept[:4], *held, *kept[4:]])
    taken = [next(found)]
    assert len(read) <= 1 + ahead.SERIES
    assert [*taken, *found] == [0, 1, 2, 3, "held", 4, 5, 6, 7, 8] and read == list(range(9))


def test_what_fails_of_kept_series_fails_where_it_is_used():
    kept = [SimpleNamespace(rows=lambda: 1), SimpleNamespace(rows=lambda: 1 / 0), SimpleNamespace(rows=lambda: 3)]
    found = ahead.frames(kept)
    assert next(found) == 1
    with pytest.raises(ZeroDivisionError):
        next(found)
