"""What `python -m bench.rolls` measures: a made store as an import writes it, whose markets roll as real ones do."""

import json
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from bench import rolls
from store import history, open_archive
from store.contracts import Master


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    path = tmp_path_factory.mktemp("bench") / "store"
    rolls.made(path, len(rolls.FACTS), 2)
    return open_archive(path)


def test_made_markets_have_the_facts_of_real_ones(archive):
    own, ours = Master.load(archive.path), Master.load()
    for number, like in enumerate(rolls.FACTS):
        made, real = own.spec(rolls.root(number)), ours.spec(like)
        assert (made.held_months, made.last_trade_rules, made.calendar) == (
            real.held_months, real.last_trade_rules, real.calendar)  # fmt: skip


def test_rows_stand_as_an_import_writes_them(archive):
    for number in range(len(rolls.FACTS)):
        rows = archive.read("contract_bars", root=rolls.root(number))
        assert len(archive.files("contract_bars", root=rolls.root(number))) == 1
        assert rows.select("contract", "time").equals(rows.select("contract", "time").unique().sort("contract", "time"))
        ends = rows.group_by("contract").agg(pl.col("day").max()).sort("contract")
        assert ends["day"].max() <= rolls.END
        assert rows.filter(pl.col("volume").is_null() | pl.col("settle").is_null()).is_empty()


def test_markets_roll_by_volume_as_often_as_contracts_are_held(archive):
    for number in range(len(rolls.FACTS)):
        calendar, _ = history.calendar(archive, rolls.root(number))
        held = Master.load(archive.path).spec(rolls.root(number)).held_months
        assert calendar.shares() == {"volume": 1.0}
        assert abs(calendar.frame.height - 2 * len(held)) <= 2


def test_a_later_day_leaves_the_rows_before_it_as_they_were(archive):
    later = rolls.bars(0, archive.path, 2, last=rolls.END + timedelta(days=9))
    first = rolls.bars(0, archive.path, 2)
    assert later.filter(pl.col("day") <= rolls.END).equals(first)
    new = rolls.bars(0, archive.path, 2, rolls.END + timedelta(days=1), rolls.END + timedelta(days=9))
    assert new.equals(later.filter(pl.col("day") > rolls.END)) and new.height
    assert np.isfinite(new["settle"].to_numpy()).all()


@pytest.mark.service
def test_every_figure_is_there(tmp_path, capsys):
    rolls.main(["--markets", "3", "--years", "1", "--rounds", "1", "--folder", str(tmp_path), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"machine", "store", "rebuild", "update", "read"}
    assert found["store"]["markets"] == found["rebuild"]["markets"] == found["update"]["markets"] == 3
    assert found["update"]["new"] > 3 and found["update"]["rows"] == found["rebuild"]["rows"] + 3
    assert found["read"]["rows"] == found["update"]["rows"] and found["read"]["median"] > 0.0
    text = rolls.table(found)
    assert "rows of contracts a second" in text and found["machine"]["name"] in text
