"""Rules on prices: moves that stay, the tick grid, price limits; on the quiet chain made by hand."""

from dataclasses import replace
from datetime import date

import polars as pl
import pytest

from store import checks, ingest, open_archive, price_rules, series
from store.contracts import Master
from tests.test_store_series_rules import CONTRACTS, DAY, DAYS, FIRST, LAST, SPEC, at, chain, found, put, shifted

COARSE = replace(SPEC, price_limit="")


def told(rule, bars, facts=None, spec=SPEC):
    """(contract, day, reason) of the findings of one rule."""
    found = checks.market(bars, spec, facts).filter(pl.col("rule") == rule)
    return found.select("contract", "day", "reason").rows()


def test_a_move_that_stays_and_that_no_other_contract_made_is_told():
    bars = shifted(chain(), at(last=LAST), 400)
    assert ("lone_move", 202406, DAY) in found(bars, COARSE)
    assert [rule for rule, *_ in found(bars, COARSE)] == ["lone_move"]


def test_the_way_back_of_a_spike_is_no_lone_move():
    assert "lone_move" not in [rule for rule, *_ in found(shifted(chain(), at(), 400), COARSE)]


def test_a_price_off_the_tick_is_told_once_a_contract():
    bars = put(chain(), at(), high=pl.col("high") + 0.1)
    bars = put(bars, at(first=DAYS[90]), settle=pl.col("settle") + 0.07)
    [(contract, day, reason)] = told("off_tick", bars)
    assert (contract, day) == (202406, DAY)
    assert reason.startswith("2 prices off the grid of 0.25; the first is high ")


def test_settlements_on_half_ticks_are_on_a_grid_of_their_own():  # most of a year's settlements are
    finer = put(chain(), pl.col("day").dt.day() % 2 == 0, settle=pl.col("settle") + 0.125)
    assert told("off_tick", finer) == []
    [(contract, _, reason)] = told("off_tick", put(finer, at(), settle=pl.col("settle") + 0.07))
    assert contract == 202406 and "grid of 0.125; the first is settle" in reason
    [(contract, _, reason)] = told("off_tick", put(finer, at(), high=pl.col("high") + 0.125))
    assert contract == 202406 and "grid of 0.25; the first is high" in reason  # trades are on the tick all the same


def test_prices_on_no_grid_are_told_once_for_the_market():
    step = (pl.int_range(pl.len()) * 0.0137) % 0.25
    [(contract, day, reason)] = told("off_tick", put(chain(), at(None, FIRST, LAST), settle=pl.col("settle") + step))
    assert (contract, day) == (None, None) and "2 years lie on no grid" in reason


def test_a_coarser_tick_of_earlier_days_is_that_of_those_days():
    facts = {"tick": ((None, 0.5), (DAY, 0.25))}
    early = put(chain(), at(None, FIRST, LAST), **{c: (pl.col(c) * 2).round() / 2 for c in series.PRICES[:3]})
    early = put(early, at(None, FIRST, LAST), settle=(pl.col("settle") * 2).round() / 2)
    assert told("off_tick", put(early, at(first=DAYS[90]), settle=pl.col("settle") + 0.25), facts) == []
    [(contract, day, _)] = told("off_tick", put(early, at(first=DAYS[10]), settle=pl.col("settle") + 0.25), facts)
    assert (contract, day) == (202406, DAYS[10])


def test_a_final_settlement_may_be_off_the_tick():
    assert told("off_tick", put(chain(), at(first=LAST), settle=pl.col("settle") + 0.11)) == []


def test_a_market_without_specs_has_no_tick():
    assert told("off_tick", put(chain(), at(), settle=pl.col("settle") + 0.11), spec=None) == []


LIMIT = {"price_limit": ((None, "7%"),)}


def test_a_price_beyond_the_limit_is_told_once_a_day():
    fallen = shifted(chain(), at(None, DAY, LAST), -400)  # all contracts, from about 4,500: 8.9 %
    [(contract, day, reason)] = told("price_limit", fallen, LIMIT)
    assert (contract, day) == (None, DAY) and reason.endswith("in 3 contracts")
    assert told("price_limit", shifted(chain(), at(None, DAY, LAST), -250), LIMIT) == []
    assert told("price_limit", fallen, {"price_limit": ()}, COARSE) == []


def test_a_limit_holds_from_its_day_on():
    fallen = shifted(chain(), at(None, DAY, LAST), -400)
    assert told("price_limit", fallen, {"price_limit": ((DAYS[81], "7%"),)}) == []
    assert len(told("price_limit", fallen, {"price_limit": ((DAY, "7%"),)})) == 1


def test_a_limit_in_points_may_have_been_widened_by_half():
    facts = {"price_limit": ((None, "100"),)}
    flat = put(chain(), at(None, FIRST, LAST), settle=4500.0, open=4501.0, high=4509.0, low=4491.0)
    assert told("price_limit", shifted(flat, at(None, DAY, LAST), 140), facts) == []  # the high is 149 away
    assert [day for _, day, _ in told("price_limit", shifted(flat, at(None, DAY, LAST), 145), facts)] == [DAY]


def test_a_contract_near_delivery_has_no_limit():
    fallen = shifted(chain(), at(202403, date(2024, 2, 27), LAST), -400)
    assert told("price_limit", fallen, LIMIT) == []
    assert len(told("price_limit", shifted(chain(), at(202403, date(2024, 2, 22), LAST), -400), LIMIT)) == 1


def test_settlements_that_lie_outside_by_habit_are_told_once():
    outside = put(chain(), pl.col("contract") == 202409, settle=pl.col("high") + 0.25)  # a third of the days
    assert [(contract, day) for contract, day, _ in told("settle_outside", outside)] == [(None, None)]


def test_settlements_alone_are_stale_only_after_ten_days():
    bare = chain().with_columns(pl.lit(None, pl.Float64).alias(name) for name in ("open", "high", "low"))
    assert told("stale", put(bare, at(last=DAYS[88]), settle=4600.0)) == []  # nine days
    [(contract, day, reason)] = told("stale", put(bare, at(last=DAYS[89]), settle=4600.0))
    assert (contract, day) == (202406, DAYS[81]) and "10 days" in reason


@pytest.mark.parametrize("factor", [0.01, 0.1, 10.0, 1000.0])
def test_a_slip_of_units_is_always_suspicious(factor):
    assert not price_rules.suspicious(chain())
    assert price_rules.suspicious(put(chain(), at(), settle=pl.col("settle") * factor))
    whole = put(chain(), pl.col("contract") == CONTRACTS[1], settle=pl.col("settle") * factor)
    assert price_rules.suspicious(whole)


def long_chain():
    """The quiet chain with two contracts more, and `202412` from `DAY` on, without high and low on its first days."""
    more = [chain().filter(pl.col("contract") == 202409).with_columns(
        pl.lit(contract, pl.Int32).alias("contract"), *(pl.col(c) + dear for c in ("open", "high", "low", "settle"))
    ) for contract, dear in ((202412, 40), (202503, 80))]  # fmt: skip
    bars = pl.concat([chain(), *more]).filter((pl.col("contract") != 202412) | (pl.col("day") >= DAY))
    bare = at(202412, DAY, DAYS[83])
    return put(bars, bare, **{c: pl.lit(None, pl.Float64) for c in ("open", "high", "low")})


def prices(bars):
    """(rule, contract, day) of the findings on prices."""
    names = ("spike", "lone_move", "beside_chain", "unit_slip", "unit_level")
    return [row for row in found(bars, COARSE) if row[0] in names]


def test_a_first_settlement_beside_the_chain_is_told_and_the_right_one_after_it_is_not():
    assert prices(long_chain()) == []
    wrong = put(long_chain(), at(202412), settle=200.0)  # a placeholder, as Cboe's 1.00 of 2008-04-21
    assert prices(wrong) == [("beside_chain", 202412, DAY)]
    assert prices(put(long_chain(), at(202412), settle=5 * pl.col("settle"))) == [("beside_chain", 202412, DAY)]


def test_first_settlements_beside_the_chain_are_told_once():
    wrong = put(long_chain(), at(202412, DAY, DAYS[81]), settle=200.0)
    assert prices(wrong) == [("beside_chain", 202412, DAY)]


@pytest.mark.parametrize("factor", [0.01, 0.1, 100.0])
def test_a_first_settlement_in_another_unit_is_a_slip_on_its_own_day(factor):
    wrong = put(long_chain(), at(202412), settle=pl.col("settle") * factor)
    assert prices(wrong) == [("unit_slip", 202412, DAY)]
    [finding] = checks.refusals(wrong, COARSE).to_dicts()
    assert finding["reason"].endswith("times the other contracts of its day")


def test_a_contract_that_stays_where_it_began_is_not_beside_the_chain():
    dear = put(long_chain(), pl.col("contract") == 202412, settle=4 * pl.col("settle"))
    assert "beside_chain" not in [rule for rule, *_ in prices(dear)]


def test_three_contracts_are_too_few_to_say_which_is_wrong():
    few = long_chain().filter(pl.col("contract").is_in([202403, 202406, 202412]))
    wrong = put(few, at(202412), settle=200.0)
    assert "beside_chain" not in [rule for rule, *_ in prices(wrong)]


def test_the_placeholder_of_a_real_listing_is_told(shared, tmp_path):
    archive = open_archive(tmp_path / "store", create=True)
    files = [shared / "cfe_vx" / f"CFE_{code}_VX.csv" for code in ("K08", "M08", "N08", "Q08", "V08", "F09")]
    ingest.import_paths(archive, files)
    bars = archive.read("contract_bars", root="VX")
    [row] = checks.market(bars, Master.load().spec("VX")).filter(pl.col("rule") == "beside_chain").to_dicts()
    assert (row["contract"], row["day"], row["value"]) == (200901, date(2008, 4, 21), "1.0")
