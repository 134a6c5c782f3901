"""engine/columns.py: columns of a market by name, rule and rank, against a store made by hand."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from engine.columns import Column, checked_rules, column, columns
from engine.market import MarketUnknown, RuleUnknown, load
from store import history, open_archive, roll_versions
from tests.small_store import QUARTERS, build, fx, sessions
from tests.test_engine_market import check_changes

SIX = ["MES", "FGBL.v.1", "MES.c.0", "MES.v.0", "MES.v.1", "MES.n.1"]
LAST_TRADES = {"2021-03": 18, "2021-06": 17, "2021-09": 16, "2021-12": 16}  # of MES the third Friday; the day before


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return build(tmp_path_factory.mktemp("small") / "store")


def equal(one, other, names, rows=None):
    """Whether these fields of two markets are the same to the bit, in the first rows."""
    return all(np.array_equal(getattr(one, name)[:rows], getattr(other, name)[:rows], equal_nan=True) for name in names)


# ---- names


def test_a_column_is_told_by_its_name_once_and_columns_stand_by_root_rule_and_rank(archive):
    market = load(archive, [*SIX, "MES", "MES.v.01"])
    assert market.names == ("FGBL.v.1", "MES", "MES.c.0", "MES.n.1", "MES.v.0", "MES.v.1")
    assert market.roots == ("FGBL", "MES", "MES", "MES", "MES", "MES")
    assert market.ranks == (1, 0, 0, 1, 0, 1)
    assert market.mark.shape == market.fx.shape == market.own_margin.shape == (len(market.days), 6)
    assert market.currencies == ("EUR", *["USD"] * 5) and len(market.sectors) == 6
    assert set(market.sources) == set(market.quality) == {"FGBL", "MES"}
    assert market.rows(5).names == market.names


def test_plain_roots_are_columns_of_rank_0_by_the_portfolio_s_rule(archive):
    market = load(archive)
    assert market.names == market.roots == ("FGBL", "MES") and market.ranks == (0, 0)
    for rule, name in (("volume:1", "MES.v.0"), ("oi:1", "MES.n.0"), ("last-trade-1", "MES.c.0")):
        plain, named = load(archive, ["MES"], rule=rule), load(archive, [name], rule="last-trade-20")
        assert equal(plain, named, ("mark", "offset", "contract", "roll", "closed", "available", "next_mark"))
        assert (named.names, named.roots) == ((name,), ("MES",))


def test_a_rule_of_a_root_is_of_its_plain_column_alone(archive):
    market = load(archive, ["MES", "MES.v.0"], rule={"": "oi:1", "MES": "last-trade-20"})
    assert np.array_equal(market.contract[:, 0], load(archive, ["MES"], rule="last-trade-20").contract[:, 0])
    assert np.array_equal(market.contract[:, 1], load(archive, ["MES"], rule="volume:1").contract[:, 0])
    assert (market.contract[:, 0] != market.contract[:, 1]).any()


def test_a_text_that_is_a_stored_root_is_that_market_whatever_it_looks_like():
    assert column("X.c.1", {"X.c.1"}) == Column("X.c.1", "X.c.1")
    assert [one.name for one in columns(["B.n.2", "B.n.10", "A", "B"])] == ["A", "B", "B.n.2", "B.n.10"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("SP500_micro.c.1", r"not stored: SP500_micro \(its root is MES\)"),
        ("MES.x.0", "not stored: MES.x.0; a column is written ROOT, or ROOT.v.N, ROOT.n.N, ROOT.c.N with a rank N"),
        ("NOPE.c.1", "not stored: NOPE; stored are FGBL, MES"),
        ("CL", "not stored: CL; stored are FGBL, MES"),
        ("ES", r"not stored: ES \(stored is MES, the same in another size\); stored are FGBL, MES"),
        ("MES.v.9", "MES: no rank 9: at most"),
    ],
)
def test_a_name_that_is_no_column_is_told_what_it_lacks(archive, name, said):
    with pytest.raises(MarketUnknown, match=said):
        load(archive, ["FGBL", name])


def test_hashes_name_the_columns(archive):
    asked = ["MES"], ["MES.v.0"], ["MES.v.1"], ["MES", "MES.v.1"]
    told = {tuple(names): load(archive, names).hashes for names in asked}
    for part in ("data", "rolls"):
        assert len({hashes[part] for hashes in told.values()}) == 4
    assert load(archive, ["MES.v.1", "MES"]).hashes == told["MES", "MES.v.1"]


def test_a_stored_calendar_is_looked_for_of_the_plain_columns_alone(tmp_path):
    archive = build(tmp_path / "store")
    roll_versions.save(archive, [history.calendar(archive, "MES", "last-trade-20")], "mine")
    checked_rules(archive, {"": "volume:1", "MES": "mine"}, ["MES", "MES.c.1"])
    checked_rules(archive, {"": "volume:1", "MES": "mine"}, ["MES.c.1"])  # rules no column of this run
    with pytest.raises(RuleUnknown, match="roll rule 'mine' is not known"):
        checked_rules(archive, "mine", ["FGBL", "MES.c.1"])


# ---- rules and ranks


def test_a_column_by_date_leaves_on_its_last_allowed_day_and_never_later(archive):
    market = load(archive, ["MES.c.0", "FGBL.c.0"])
    rolled = market.days[market.roll[:, 1]].astype(str).tolist()
    assert rolled[:4] == [f"{month}-{day}" for month, day in LAST_TRADES.items()]
    assert not market.closed[:-1].any()


def test_a_rank_holds_the_contract_so_many_behind_and_rolls_on_the_same_day(archive):
    market = load(archive, ["MES.v.0", "MES.v.1"])
    both = ~np.isnan(market.mark).any(axis=1)
    place = np.searchsorted(QUARTERS, market.contract)
    assert both.sum() > 400 and (place[both, 1] - place[both, 0] == 1).all()
    assert np.array_equal(market.roll[both, 0], market.roll[both, 1])
    assert np.allclose(np.diff(market.mark[both], axis=1), 2.0)  # each contract costs two points more
    check_changes(market)


def test_every_column_keeps_the_law_that_a_change_of_contract_is_a_roll_or_a_close(archive):
    check_changes(load(archive, [*SIX, "FGBL.c.1", "FGBL.v.2"]))


def test_the_next_contract_s_price_and_what_the_roll_pays_stand_beside_the_mark(archive):
    market = load(archive, ["MES", "FGBL"])
    t, m = 10, 1  # March: its last trade is on the 19th, June's on June 18th, which is 91 days later
    assert market.contract[t, m] == 202103 and not market.roll[t, m]
    assert market.next_mark[t, m] == pytest.approx(market.mark[t, m] + 2.0)
    assert market.next_days[t, m] == 91.0
    assert market.roll_yield[t, m] == pytest.approx((market.mark[t, m] / market.next_mark[t, m] - 1.0) * 365.0 / 91.0)
    assert market.roll_yield[t, m] < 0  # the next one is dearer
    rolled = market.roll[:, m] & ~np.isnan(market.roll_to[:, m])
    assert np.array_equal(market.next_mark[rolled, m], market.roll_to[rolled, m])


def test_t02_a_price_below_zero_has_a_next_price_and_no_yield(tmp_path):
    archive = build(tmp_path / "store")
    rows = archive.read("contract_bars", root="MES").drop("root", "source")
    low = [pl.col(name) - 4100.0 for name in ("open", "high", "low", "settle")]
    archive.commit([archive.write("contract_bars", rows.with_columns(*low), source="barchart", root="MES")],
                   archive.files("contract_bars", root="MES"))  # fmt: skip
    market = load(archive, ["MES"])
    below = (market.mark[:, 0] <= 0) & ~np.isnan(market.next_mark[:, 0])
    assert below.sum() > 20 and np.isnan(market.roll_yield[below]).all()
    assert np.allclose(market.next_mark[below] - market.mark[below], 2.0)


# ---- blind to the future


def cut(archive, folder, day):
    """A store with the rows up to a day."""
    short = open_archive(folder / str(day), create=True)
    rows = {root: archive.read("contract_bars", root=root).drop("root", "source") for root in ("MES", "FGBL")}
    parts = [short.write("contract_bars", part.filter(pl.col("day") <= day), source="barchart", root=root)
             for root, part in rows.items()]  # fmt: skip
    short.commit([*parts, short.write("fx", fx(1.10), source="pysystemtrade", currency="EUR")])
    return short


def test_t45_a_store_that_ends_earlier_has_the_same_rows_of_every_column(archive, tmp_path):
    wide = {days: load(archive, SIX, roll_days=days, legs=days == 2) for days in (2, 3)}
    fields = [name for name, values in vars(wide[3]).items() if isinstance(values, np.ndarray)]
    assert {"left_mark", "left_end", "roll_volume", "next_mark", "liquidity", "available", "closed"} < set(fields)
    last = [date(2021, 3, 18), date(2021, 3, 19), date(2021, 6, 7), date(2021, 6, 17)]  # rolls, and what follows them
    for day in (*last, *sessions(date(2021, 9, 1), date(2021, 9, 20))[::4], date(2022, 2, 1)):
        short = cut(archive, tmp_path, day)
        for days, whole in wide.items():
            part = load(short, SIX, roll_days=days, legs=days == 2)
            assert part.days[-1] == np.datetime64(day)
            for name in fields:
                assert equal(part, whole, [name], len(part.days)), (day, days, name)


def test_an_earlier_end_reads_the_same_rows_of_every_column(archive):
    whole = load(archive, SIX, roll_days=3)
    for day in (date(2021, 3, 10), date(2021, 6, 9), date(2022, 1, 5)):
        part = load(archive, SIX, end=day, roll_days=3)
        assert part.days[-1] == np.datetime64(day)
        for name, values in vars(part).items():
            if isinstance(values, np.ndarray):
                assert equal(part, whole, [name], len(part.days)), (day, name)


# ---- the end of a chain


def test_a_column_ends_when_its_own_last_contract_does(tmp_path):
    archive = build(tmp_path / "store")
    rows = archive.read("contract_bars", root="MES").drop("root", "source")
    few = rows.filter(pl.col("contract").is_in(QUARTERS[:2]))  # March and June 2021, and none after them
    old = archive.files("contract_bars", root="MES")
    archive.commit([archive.write("contract_bars", few, source="barchart", root="MES")], old)
    market = load(archive, ["MES.c.0", "MES.c.1", "FGBL"])
    assert market.names == ("FGBL", "MES.c.0", "MES.c.1")
    first, second = (market.days[market.closed[:, m]].tolist() for m in (1, 2))
    assert first == [date(2021, 6, 17)]  # June, the day before its last trade
    assert second == [date(2021, 3, 18)]  # June as rank 1, when rank 0 comes to it and nothing is behind
    for m, day in ((1, first[0]), (2, second[0])):
        assert not market.available[market.days >= np.datetime64(day), m].any()
        assert market.available[(market.days < np.datetime64(day)) & (market.contract[:, m] > 0), m].all()
    assert market.available[:, 0].all()


def test_each_market_that_is_not_stored_is_told_what_may_be_meant(archive):
    with pytest.raises(MarketUnknown) as fault:
        load(archive, ["CL", "ES", "SP500_micro", "FGBL"])
    assert str(fault.value) == (
        "not stored: CL, ES (stored is MES, the same in another size), SP500_micro (its root is MES); "
        "stored are FGBL, MES"
    )
