"""What a run reads, against a store made by hand."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from engine import Portfolio, backtest
from engine.market import MarketUnknown, RuleRefused, load
from store import derived, kept
from store.roll_rules import UnknownRule
from tests.small_store import build, sessions
from tests.test_engine_backtest import PORTFOLIO

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return build(tmp_path_factory.mktemp("small") / "store")


def test_markets_are_aligned_on_the_union_of_their_days(archive):
    market = load(archive)
    assert market.roots == ("FGBL", "MES")
    assert market.days.tolist() == sessions()
    assert market.currencies == ("EUR", "USD")
    assert market.mark.shape == market.fx.shape == (len(market.days), 2)


def test_the_second_load_comes_from_the_cache_and_is_equal(archive, monkeypatch):
    first = load(archive)
    kept.memory.clear()
    monkeypatch.setattr(derived, "_whole", None)  # nothing is made again
    second = load(archive)
    assert np.array_equal(first.adjusted, second.adjusted, equal_nan=True)
    assert first.hashes == second.hashes


def test_the_adjusted_series_has_no_gap_at_a_roll(archive):
    market = load(archive, ["MES"])
    rolled = np.flatnonzero(market.roll[:, 0])
    assert len(rolled) >= 7
    for t in rolled[:-1]:
        step = market.roll_from[t, 0] - market.roll_to[t, 0]
        assert step == pytest.approx(-2.0)  # each contract costs two points more than the one before
        assert market.offset[t + 1, 0] - market.offset[t, 0] == pytest.approx(step)
    spot = np.diff(market.adjusted[:, 0])
    assert np.abs(spot).max() < 200


def test_rows_belong_to_the_contract_left_on_its_last_day(archive):
    market = load(archive, ["MES"])
    t = int(np.flatnonzero(market.roll[:, 0])[0])
    assert market.contract[t, 0] == 202103
    assert market.contract[t + 1, 0] == market.roll_contract[t, 0] == 202106


def test_t33_a_rate_of_the_day_is_the_last_published_one(tmp_path):
    archive = build(tmp_path, euro=[1.10, 1.20], euro_days=[date(2021, 1, 4), date(2021, 1, 11)])
    market = load(archive, ["FGBL"], end=date(2021, 1, 12))
    assert market.fx[:, 0].tolist() == [1.10] * 5 + [1.20] * 2


def test_a_market_with_a_stale_rate_is_not_traded(tmp_path):
    archive = build(tmp_path, euro=[1.10], euro_days=[date(2021, 1, 4)])
    market = load(archive)
    day = market.days.astype(object).tolist().index(date(2021, 2, 3))
    assert market.available[day, 0]  # thirty days old
    assert not market.available[day + 1 :, 0].any()
    assert market.available[day + 1 : day + 200, 1].all()


def test_an_account_in_euro_has_the_inverse_rate(archive):
    market = load(archive, currency="EUR")
    assert market.fx[5].tolist() == pytest.approx([1.0, 1 / 1.10])


def test_a_currency_without_rates_is_never_one(archive):
    with pytest.raises(MarketUnknown, match="no exchange rate of JPY is stored; stored: EUR, USD"):
        load(archive, currency="JPY")


@pytest.mark.parametrize(("roots", "said"), [(["ES"], "not stored: ES"), (["MES", "NOPE"], "NOPE")])
def test_a_market_that_is_not_stored_is_named(archive, roots, said):
    with pytest.raises(MarketUnknown, match=said):
        load(archive, roots)


def test_an_unknown_market_is_refused_with_the_facts_to_add(tmp_path):
    archive = build(tmp_path)
    bars = archive.read("contract_bars", root="MES").drop("root", "source")
    archive.commit([archive.write("contract_bars", bars, source="barchart", root="HOUSEWARE")])
    with pytest.raises(MarketUnknown, match=r"HOUSEWARE: its facts are not known; add rows .* contracts.csv"):
        load(archive, ["HOUSEWARE"])


def test_t30_a_margin_before_its_first_dated_row_is_unknown(archive):
    market = load(archive, ["MES"])
    margins = market.initial_margin[:, 0]
    assert np.isnan(margins[0]) or margins[0] > 0
    assert not (margins == 0).any()
    assert not (margins[~np.isnan(margins)] == 0).any()


def test_an_earlier_end_leaves_the_rows_before_it_as_they_were(archive):
    whole, short = load(archive), load(archive, end=date(2021, 12, 1))
    rows = len(short.days)
    for name in ("mark", "offset", "contract", "roll", "available"):
        assert np.array_equal(
            getattr(short, name), getattr(whole, name)[:rows], equal_nan=name in ("mark", "offset")
        ), name


def test_rolls_may_fill_at_the_open_while_the_series_uses_the_settlement(archive):
    settle, opened = load(archive, ["MES"]), load(archive, ["MES"], roll_fill="open")
    t = int(np.flatnonzero(settle.roll[:, 0])[0])
    assert settle.roll_from_fill[t, 0] == settle.roll_from[t, 0]
    assert opened.roll_from_fill[t, 0] == opened.open[t, 0]
    assert np.array_equal(settle.adjusted, opened.adjusted, equal_nan=True)


def test_a_holiday_after_a_roll_shows_the_contract_rolled_into(tmp_path):
    archive = build(tmp_path)
    market = load(archive, ["MES"])
    t = int(np.flatnonzero(market.roll[:, 0])[0])
    holiday = market.days[t + 1].item()
    bars = archive.read("contract_bars", root="MES").filter(pl.col("day") != holiday)
    archive.commit(
        [archive.write("contract_bars", bars, source="barchart", root="MES")],
        archive.files("contract_bars", root="MES"),
    )
    both = load(archive)
    t, m = both.days.tolist().index(holiday), both.roots.index("MES")
    assert np.isnan(both.mark[t, m])
    assert both.contract[t - 1 : t + 2, m].tolist() == [202103, 202106, 202106]
    run = backtest(both, Portfolio.from_toml(PORTFOLIO.replace("2021-02-01", "2021-01-04")))
    held = run.positions().filter(
        pl.col("root").cast(pl.String) == "MES", pl.col("day").is_between(holiday - 3 * DAY, holiday)
    )
    assert held["contract"].unique().to_list() in ([202106], [202103, 202106], [])
    assert held["contract"].is_sorted()


def test_a_market_known_by_another_name_is_told_its_root(archive):
    with pytest.raises(MarketUnknown, match=r"not stored: SP500_micro \(its root is MES\)"):
        load(archive, ["SP500_micro"])


def test_each_market_rolls_by_its_own_rule(archive):
    mixed = load(archive, rule={"": "volume:1", "MES": "last-trade-20"})
    late, plain = load(archive, ["MES"], rule="last-trade-20"), load(archive)
    np.testing.assert_array_equal(mixed.contract[:, 1], late.contract[:, 0])
    np.testing.assert_array_equal(mixed.contract[:, 0], plain.contract[:, 0])
    assert (mixed.contract != plain.contract).any()
    assert len({market.hashes["rolls"] for market in (mixed, late, plain)}) == 3


def test_rules_that_are_all_the_same_are_one_rule(archive):
    told = load(archive, rule={"": "oi:1", "MES": "volume:1", "FGBL": "volume:1"})
    assert told.hashes == load(archive).hashes


def test_a_rule_of_a_market_that_there_is_none_of_is_refused(archive):
    with pytest.raises(MarketUnknown, match="a roll rule is told of MESS, which is no market; did you mean MES"):
        load(archive, rule={"": "volume:1", "MESS": "oi:1"})
    assert load(archive, rule={"": "volume:1", "GC": "oi:1"}).hashes == load(archive).hashes  # is none of this run


def test_a_rule_that_holds_through_expiry_is_for_research_only(archive):
    with pytest.raises(RuleRefused, match="MES: roll rule 'last-trade-0,exit=expiry' holds contracts through expiry"):
        load(archive, ["MES"], rule={"": "volume:1", "MES": "last-trade-0,exit=expiry"})


def test_an_unknown_rule_is_refused_with_the_nearest(archive):
    with pytest.raises(UnknownRule, match="did you mean 'volume:3'"):
        load(archive, rule="volum:3")


def test_progress_of_a_load_is_told(archive):
    told = []
    load(archive, rule="last-trade-11", progress=lambda *state: told.append(state))
    assert told == [(1, 2, "FGBL"), (2, 2, "MES")]
