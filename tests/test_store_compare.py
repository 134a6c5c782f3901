"""Two sources against each other: by contract, by the contract of a chain, by the nearest contract; days and rolls."""

import json
from datetime import date

import polars as pl
import pytest

from store import compare, open_archive
from store.history import NotStored
from store.segments import Refused
from tests.stored_bars import bars, chain, days, store

WEEK = days("2024-03-04", "2024-03-08")
TWO = days("2024-03-04", "2024-03-22")  # 202403 of the S&P 500 has its last trade on the 15th


@pytest.fixture
def archive(tmp_path):
    return open_archive(tmp_path / "store", create=True)


def prices(found):
    return found.prices.select("contract", "day", "ours", "theirs", "equal").rows()


def test_two_sources_of_contracts_are_compared_contract_by_contract(archive):
    store(archive, bars(202403, WEEK, [1.0, 2.0, 3.0, 4.0, 5.0]), bars(202406, WEEK[:1], 9.0))
    store(archive, bars(202403, WEEK[:4], [1.0, 2.0, 3.5, 4.0]), bars(202406, WEEK[:1], 9.0), source="csi")
    found = compare.against(archive, "MES", "barchart", "csi")
    assert prices(found) == [
        (202403, WEEK[0], 1.0, 1.0, True), (202406, WEEK[0], 9.0, 9.0, True), (202403, WEEK[1], 2.0, 2.0, True),
        (202403, WEEK[2], 3.0, 3.5, False), (202403, WEEK[3], 4.0, 4.0, True),
    ]  # fmt: skip  # the fifth day is beyond the end of theirs
    assert found.disagreements.select("day", "difference", "ticks", "field").rows() == [(WEEK[2], -0.5, -2.0, "settle")]
    summary = found.summary()
    assert (summary["days_both"], summary["prices_compared"], summary["prices_equal"]) == (4, 5, 4)
    assert summary["share_equal"] == 0.8


def test_prices_within_half_a_tick_agree(archive):
    store(archive, bars(202403, WEEK[:3], [100.0, 100.0, 100.0]))
    store(archive, bars(202403, WEEK[:3], [100.125, 99.875, 100.13]), source="csi")  # a tick is 0.25
    found = compare.against(archive, "MES", None, "csi")
    assert found.prices["equal"].to_list() == [True, True, False]


def test_days_that_only_one_of_them_has_are_told_within_the_time_that_both_cover(archive):
    store(archive, bars(202403, [WEEK[0], WEEK[1], WEEK[3]]))
    store(archive, bars(202403, [WEEK[1], WEEK[2], WEEK[3], WEEK[4]]), source="csi")
    found = compare.against(archive, "MES", "barchart", "csi")
    assert (found.first, found.last) == (WEEK[1], WEEK[3])
    assert found.days() == ([WEEK[1], WEEK[3]], [], [WEEK[2]])
    document = found.document()
    assert (document["only_ours"], document["only_theirs"]) == ([], [WEEK[2].isoformat()])
    assert document["summary"]["prices_only_theirs"] == 1


def test_settlements_are_compared_with_settlements_and_last_trades_with_last_trades(archive):
    store(archive, bars(202403, WEEK[:3], settle=[5.0, None, 5.0], close=[7.0, 7.0, 7.0]))
    store(archive, bars(202403, WEEK[:3], settle=[5.0, 8.0, None], close=[9.0, 7.0, None]), source="csi")
    found = compare.against(archive, "MES", "barchart", "csi")
    told = found.prices.select("ours", "theirs", "field").rows()
    assert told == [(5.0, 5.0, "settle"), (7.0, 7.0, "close")]  # the third has no price, and theirs end there
    store(archive, bars(202403, WEEK[:1], settle=6.0), source="csi")
    store(archive, bars(202403, WEEK[:1], settle=None, close=7.0))
    found = compare.against(archive, "MES", "barchart", "csi")
    assert found.prices.select("ours", "theirs", "field").rows() == [(7.0, 6.0, "settle and close")]


def test_a_chain_is_compared_with_the_contract_that_it_says(archive):
    store(archive, bars(202403, WEEK[:3], [1.0, 2.0, 3.0]), bars(202406, WEEK[:4], [11.0, 12.0, 13.0, 14.0]))
    held = [202403, 202406, 202409]
    store(archive, chain([WEEK[0], WEEK[1], WEEK[3]], [1.0, 12.0, 99.0], price_contract=held), source="quantiacs")
    found = compare.against(archive, "MES", "barchart", "quantiacs")
    assert prices(found) == [
        (202403, WEEK[0], 1.0, 1.0, True), (202406, WEEK[1], 12.0, 12.0, True),
        (202403, WEEK[2], 3.0, None, None), (202409, WEEK[3], None, 99.0, None),
    ]  # fmt: skip
    assert found.prices["field"].to_list() == ["price", "price", None, None]


def test_a_nearby_series_is_compared_with_the_nearest_contracts_up_to_their_last_trade(archive):
    store(archive, *(bars(c, TWO, float(c)) for c in (202403, 202406, 202409)))
    near = [202403.0] * 10 + [202406.0] * 5  # ten sessions to Friday the 15th, the last trade
    store(archive, chain(TWO, near), chain(TWO, [x + 3 for x in near], rank=2), source="nearby", root="ES")
    found = compare.against(archive, "MES", "barchart", "ES:nearby")
    assert found.compared["equal"].all() and found.compared.height == 30
    second = found.prices.filter(pl.col("rank") == 2)["contract"].to_list()
    assert second == [202406] * 10 + [202409] * 5
    assert found.summary()["rolls"] == "not told by both"


def test_a_nearby_series_skips_no_contract_that_we_lack(archive):
    store(archive, bars(202403, WEEK[:1], 1.0), bars(202409, TWO, 3.0))
    store(archive, chain(TWO, [1.0] * 15), source="nearby")
    found = compare.against(archive, "MES", "barchart", "nearby")
    assert found.prices["contract"].to_list() == [202403] * 10 + [202406] * 5
    assert found.compared.height == 1 and found.prices["ours"].drop_nulls().to_list() == [1.0]


def test_without_facts_a_contract_is_nearest_until_its_last_bar(archive):
    store(archive, bars(1, WEEK[:2], 1.0), bars(2, WEEK, 2.0), root="PLUTONIUM")
    store(archive, chain(WEEK, [1.0, 1.0, 2.0, 2.0, 2.1]), source="nearby", root="PLUTONIUM")
    found = compare.against(archive, "PLUTONIUM", "barchart", "nearby")
    assert found.prices["contract"].to_list() == [1, 1, 2, 2, 2]
    assert found.prices["equal"].to_list() == [True, True, True, True, False]


def test_two_chains_are_compared_rank_by_rank_but_not_on_different_contracts(archive):
    ours = chain(WEEK[:3], [1.0, 2.0, 3.0], price_contract=[202403, 202403, 202406])
    theirs = chain(WEEK[:3], [1.0, 5.0, 3.5], price_contract=[202403, 202406, 202406])
    store(archive, ours, source="pysystemtrade")
    store(archive, theirs, source="quantiacs")
    found = compare.against(archive, "MES", "pysystemtrade", "quantiacs")
    assert found.prices["equal"].to_list() == [True, None, False]
    assert found.summary()["prices_of_other_contracts"] == 1


def test_a_nearby_series_is_compared_with_a_chain_by_the_contract_that_the_chain_says(archive):
    near, next_ = [1.0] * 10 + [2.0] * 5, [2.0] * 10 + [3.0] * 5  # 202403 to the 15th, then 202406
    store(archive, chain(TWO, near), chain(TWO, next_, rank=2), source="nearby")
    store(archive, chain(TWO, [1.0] * 4 + [2.0] * 11, price_contract=[202403] * 4 + [202406] * 11), source="quantiacs")
    for ours, theirs in (("nearby", "quantiacs"), ("quantiacs", "nearby")):
        found = compare.against(archive, "MES", ours, theirs)
        assert found.prices["equal"].to_list() == [True] * 15
        assert found.prices["contract"].to_list() == [202403] * 4 + [202406] * 11


def test_rolls_are_told_by_their_contracts(archive):
    def source(busier):
        front = bars(202403, TWO[:10], 1.0, volume=[9.0 if k < busier else 1.0 for k in range(10)])
        return front, bars(202406, TWO, 2.0, volume=5.0)

    store(archive, *source(4))
    store(archive, *source(6), source="csi")
    found = compare.against(archive, "MES", "barchart", "csi")
    row = (202403, 202406, TWO[5], TWO[7], 2)  # the close of day 4 (or 6) shows it: the roll is the day after
    assert found.rolls.rows() == [row]
    assert found.summary()["rolls_other_day"] == 1 and found.document()["rolls"][0]["ours"] == TWO[5].isoformat()


def test_a_time_may_be_given(archive):
    store(archive, bars(202403, WEEK))
    store(archive, bars(202403, WEEK), source="csi")
    found = compare.against(archive, "MES", None, "csi", first=WEEK[1], last=WEEK[2])
    assert (found.first, found.last, found.summary()["days_both"]) == (WEEK[1], WEEK[2], 2)


def test_sources_that_have_no_day_in_common_have_nothing_to_compare(archive):
    store(archive, bars(202403, WEEK[:2]))
    store(archive, bars(202403, WEEK[3:]), source="csi")
    summary = compare.against(archive, "MES", None, "csi").summary()
    assert (summary["first_day"], summary["prices_compared"], summary["share_equal"]) == (None, 0, None)


def test_what_is_not_there_is_refused_with_what_is(archive):
    store(archive, bars(202403, WEEK))
    store(archive, bars(202403, WEEK), source="csi")
    with pytest.raises(Refused, match=r"source of MES.*'cis'.*did you mean csi"):
        compare.against(archive, "MES", None, "cis")
    with pytest.raises(Refused, match="with itself"):
        compare.against(archive, "MES", None, "barchart")
    with pytest.raises(NotStored, match="ZC"):
        compare.against(archive, "MES", None, "ZC:csi")


def test_the_whole_comparison_can_be_written_as_json(archive):
    store(archive, bars(202403, WEEK, 1.0))
    store(archive, bars(202403, WEEK, 2.0), source="csi")
    document = compare.against(archive, "MES", None, "csi").document()
    [first, *_] = json.loads(json.dumps(document))["disagreements"]
    assert (first["contract"], first["day"], first["ours"], first["theirs"]) == ("202403", "2024-03-04", 1.0, 2.0)


def test_the_nearest_real_micro_contract_has_the_settlements_of_the_full_size_one(real, shared, tmp_path):
    archive = open_archive(tmp_path / "store", create=True)
    store(archive, real.read("contract_bars", root="MES", source="barchart"))
    quandl = pl.read_csv(shared / "quandl_chris" / "CME_ES1.csv", try_parse_dates=True)
    store(archive, chain(quandl["Date"].to_list(), quandl["Settle"].to_list()), source="nearby", root="ES")
    found = compare.against(archive, "MES", "barchart", "ES:nearby", first=date(2019, 5, 1), last=date(2020, 9, 30))
    both, ours, theirs = found.days()
    assert (len(both), len(ours), len(theirs)) == (342, 0, 0)
    assert found.compared["equal"].sum() >= 340
    assert found.disagreements.select("day", "ours", "theirs").rows() == [(date(2019, 6, 21), 2947.0, 2953.9)]
