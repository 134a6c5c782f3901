"""A market that is kept equals the one that was made, bit by bit; whatever it depends on changes its key."""

import os
import shutil
from contextlib import contextmanager
from dataclasses import asdict, fields
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from engine import keeping, market
from engine.market import Market, MarketRefused, code_hash, load
from store import coverage, decisions, mapped, open_archive
from tests.small_store import build, forget
from tests.stored_bars import find
from tests.test_engine_market import hours, put
from tests.test_engine_refused import SLIP

QUESTIONS = {
    "plain": {},
    "ranks": {"roots": ["MES", "MES.v.1", "MES.c.2", "FGBL.n.1", "FGBL"]},
    "end": {"end": date(2022, 3, 1)},
    "euro": {"currency": "EUR"},
    "rules": {"rule": {"": "volume:1", "MES": "last-trade-5"}},
    "at the open": {"roll_fill": "open"},
    "over days": {"roll_days": 3},
    "legs": {"legs": True},
}


@pytest.fixture
def archive(tmp_path):
    return build(tmp_path / "store")


def same(one, other):
    """Whether two markets are equal in all that they hold."""
    for name in (field.name for field in fields(Market)):
        a, b = getattr(one, name), getattr(other, name)
        assert type(a) is type(b), name
        if isinstance(a, np.ndarray):
            assert (a.dtype, a.shape, a.flags.c_contiguous, a.flags.writeable) == (
                b.dtype, b.shape, b.flags.c_contiguous, b.flags.writeable), name  # fmt: skip
            assert a.tobytes() == b.tobytes(), name
        elif name == "hours":
            assert (a.func, a.args[0](), a.keywords) == (b.func, b.args[0](), b.keywords)
            assert all(np.array_equal(*pair) for pair in zip(a(one.days), b(other.days), strict=True))
        elif name == "quality":
            assert {root: asdict(part) for root, part in a.items()} == {root: asdict(part) for root, part in b.items()}
            assert a == b
        else:
            assert a == b and repr(a) == repr(b), name
    return True


def check(archive, **question):
    """Load it three times: made, kept, and made without anything kept."""
    made = load(archive, **question)
    with nothing_made():
        found = load(archive, **question)
    shutil.rmtree(archive.cache)
    assert same(made, found) and same(load(archive, **question), made)
    return found


@contextmanager
def nothing_made():
    """Within the block no market can be made of series."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(market, "_aligned", None)
        yield


def kept_files(archive):
    return sorted((archive.cache / keeping.FOLDER).glob("*.arrays"))


@pytest.mark.parametrize("question", QUESTIONS)
def test_what_is_kept_equals_what_was_made(archive, question):
    check(archive, **QUESTIONS[question])


def test_bars_within_the_day_and_a_market_without_a_price(tmp_path):
    archive = open_archive(tmp_path / "store", create=True)
    put(archive, hours(), source="barchart-hour")
    bare = hours().with_columns(pl.lit(None, pl.Float64).alias(name) for name in ("open", "high", "low", "close"))
    put(archive, bare.drop("settle", strict=False), root="ZC", source="lean")
    assert check(archive, legs=True).priceless == ("ZC",)


def test_real_contracts_of_several_ranks_with_their_margins(real):
    roots = ["ZC.c.0", "ZC.v.1", "SI", "FDAX", "VXM"]
    question = {"roots": roots, "end": date(2020, 1, 1), "roll_days": 2}
    forget(real)
    assert same(load(real, **question), load(real, **question)) and len(kept_files(real)) == 1


def test_dates_of_single_contracts_and_own_holidays(archive):
    (archive.path / "holidays.csv").write_text("calendar,day,name\nCME_EQUITY,2021-03-09,a strike\n")
    dates = pl.DataFrame({"contract": [202103, 202106], "last_trade": [date(2021, 3, 5), date(2021, 6, 4)],
                          "first_notice": [None, date(2021, 6, 1)]}).cast({"contract": pl.Int32})  # fmt: skip
    archive.commit([archive.write("contracts", dates, source="lean", root="MES")])
    assert check(archive).hours.args[0]()[1].dates[0] == (202103, date(2021, 3, 5), None)


def test_a_proxy_keeps_the_day_on_which_its_own_rows_begin(archive):
    (archive.path / "contracts.csv").write_text(
        "root,field,value,valid_from,source\nMES,history_from,FGBL,2021-06-01,test\n"
    )
    assert check(archive, roots=["MES"]).sources["MES"]["until"] == date(2021, 6, 1)


def test_an_earlier_version_is_kept_beside_the_newest(archive):
    before, first = load(archive), archive.head()
    put(archive, archive.read("contract_bars", root="MES").head(1).with_columns(contract=pl.lit(202009, pl.Int32)))
    load(archive)
    with nothing_made():
        assert same(load(archive, snapshot=first), before)
        assert same(load(archive, snapshot=archive.head()), load(archive))
    assert len(kept_files(archive)) == 2


# ---- the key


def more_data(archive, patch):
    row = archive.read("contract_bars", root="MES").head(1).with_columns(contract=pl.lit(202009, pl.Int32))
    put(archive, row)


def more_rates(archive, patch):
    rate = pl.DataFrame({"day": [date(2021, 1, 4)], "rate": [0.01]})
    archive.commit([archive.write("rates", rate, source="pysystemtrade", currency="USD")])


def decision(archive, patch):
    decisions.accept(archive, "unit_slip", None, "known", author="me")


def own_file(name, text):
    return lambda archive, patch: (archive.path / name).write_text(text)


def other_code(package):
    def changed(path):
        return "other" if path.name == package else code_hash(path)

    return lambda archive, patch: patch.setattr(keeping, "code_hash", changed)


CHANGES = {
    "data": more_data,
    "interest": more_rates,
    "a decision": decision,
    "facts": own_file("contracts.csv", "root,field,value,valid_from,source\nMES,tick,0.5,,test\n"),
    "names": own_file("symbols.csv", "vendor,name,root,price_factor,history_from,valid_from\nmine,SPX,MES,1,,\n"),
    "holidays": own_file("holidays.csv", "calendar,day,name\nCME_EQUITY,2021-03-09,a strike\n"),
    "sessions": own_file("sessions.csv", "market,open,close,valid_from,source\nMES,-1d 17:00,15:00,,test\n"),
    "half days": own_file("halfdays.csv", "market,day,close,name,source\nMES,2021-03-09,12:00,a storm,test\n"),
    "code of the store": other_code("store"),
    "code of the engine": other_code("engine"),
    "numpy": lambda archive, patch: patch.setattr(keeping.np, "__version__", "0"),
    "polars": lambda archive, patch: patch.setattr(keeping.pl, "__version__", "0"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_all_that_a_market_depends_on_changes_its_key(archive, monkeypatch, change):
    load(archive)
    [first] = kept_files(archive)
    CHANGES[change](archive, monkeypatch)
    found = load(archive)
    assert len(kept_files(archive)) == 2 and first in kept_files(archive)
    forget(archive)
    assert same(load(archive), found)


def test_each_question_has_a_key_of_its_own(archive):
    for question in QUESTIONS.values():
        load(archive, **question)
    more = [{"rule": "oi:1"}, {"rule": "last-trade-5"}, {"roots": ["MES"]}, {"roots": ["MES.v.0"]}, {"roll_days": 2}]
    for question in more:
        load(archive, **question)
    assert len(kept_files(archive)) == len(QUESTIONS) + len(more)


def test_the_same_question_in_other_words_is_one(archive):
    for question in ({"roots": ["MES", "FGBL"]}, {"roots": ("FGBL", "MES", "MES")}, {"roots": iter(["MES", "FGBL"])}):
        assert load(archive, **question, end="2022-03-01").roots == ("FGBL", "MES")
        load(archive, ["FGBL", "MES"], end=date(2022, 3, 1), start=date(2021, 6, 1))
    assert len(kept_files(archive)) == 1


def test_a_store_that_was_moved_keeps_its_markets(archive, tmp_path):
    before = load(archive)
    shutil.copytree(archive.path, tmp_path / "moved")
    with nothing_made():
        found = load(open_archive(tmp_path / "moved"))
    assert found.mark.tobytes() == before.mark.tobytes()
    assert {spec.extra for spec in found.hours.args[0]()} == {(tmp_path / "moved").resolve()}


# ---- what goes wrong


@pytest.mark.parametrize("harm", ["cut", "bit", "empty", "folder", "other"])
def test_a_file_that_is_not_as_it_was_written_is_made_again(archive, harm):
    before = load(archive)
    [path] = kept_files(archive)
    content = path.read_bytes()
    path.unlink()
    if harm == "folder":
        path.mkdir()
    else:
        bit = content[:9000] + bytes([content[9000] ^ 4]) + content[9001:]
        path.write_bytes({"cut": content[:-4096], "bit": bit, "empty": b"", "other": b"PAR1" + content[4:]}[harm])
    assert same(load(archive), before)
    if harm != "folder":
        assert path.read_bytes() == content


def test_what_was_made_while_facts_were_edited_is_not_kept(archive, monkeypatch):
    make = market._aligned

    def edited(*arguments):
        made = make(*arguments)
        (archive.path / "holidays.csv").write_text("calendar,day,name\nCME_EQUITY,2021-03-09,a strike\n")
        return made

    monkeypatch.setattr(market, "_aligned", edited)
    load(archive)
    assert kept_files(archive) == []


def test_a_market_that_is_refused_is_refused_though_it_was_kept_before(archive):
    load(archive)
    find(archive, SLIP, source="barchart")
    for _ in range(2):
        with pytest.raises(MarketRefused):
            load(archive)
    assert len(kept_files(archive)) == 1


def test_a_cache_that_cannot_be_written_only_costs_time(archive):
    archive.cache.mkdir()
    (archive.cache / keeping.FOLDER).write_text("no folder")
    assert same(load(archive), load(archive))


def test_a_market_too_large_is_made_every_time(archive, monkeypatch):
    monkeypatch.setattr(mapped, "MOST", 100_000)
    assert same(load(archive), load(archive)) and kept_files(archive) == []


def test_gc_takes_markets_that_nobody_loaded_for_a_month(archive):
    load(archive)
    load(archive, ["MES"])
    old, young = kept_files(archive)
    month = (datetime.now(UTC) - timedelta(days=31)).timestamp()
    os.utime(old, (month, month))
    assert archive.gc(dry_run=False) == [old.relative_to(archive.path).as_posix()]
    assert kept_files(archive) == [young]


def test_progress_is_told_of_a_kept_market_too(archive):
    load(archive)
    told = []
    load(archive, progress=lambda *state: told.append(state))
    assert told == [(1, 2, "FGBL"), (2, 2, "MES")]


def test_days_that_were_read_with_the_bars_are_those_that_are_stored(archive):
    bare = archive.read("contract_bars", root="MES").tail(1).with_columns(
        pl.col("day", "time").dt.offset_by("3d"), settle=pl.lit(None, pl.Float64))  # fmt: skip
    put(archive, bare)
    load(archive)
    for root in ("MES", "FGBL"):
        bars = archive.read("contract_bars", root=root).filter(pl.coalesce("settle", "close").is_not_null())
        found = coverage.days_held(archive, "contract_bars", root, "barchart")
        assert found.dtype == "datetime64[D]" and found.tolist() == bars["day"].unique().sort().to_list()
