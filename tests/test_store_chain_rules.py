"""Rules on contracts against each other, on the quiet chain made by hand: 40 points lie between two neighbours."""

from datetime import date, timedelta

import polars as pl

from store import checks
from tests.test_store_series_rules import CONTRACTS, DAY, DAYS, FIRST, LAST, SPEC, at, chain, found

VALUES = ("open", "high", "low", "settle", "volume")


def rules(bars, spec=SPEC):
    return [rule for rule, *_ in found(bars, spec)]


def crossed(bars, a, b, first, last):
    """The bars with the prices of two contracts exchanged on the days first..last."""
    other = pl.col("contract").replace({a: b, b: a})
    here = bars.filter(pl.col("day").is_between(first, last) & pl.col("contract").is_in([a, b]))
    rest = bars.join(here, on=["contract", "day"], how="anti")
    return pl.concat([rest, here.with_columns(other.alias("contract"))])


def test_contracts_that_change_places_for_some_days_are_told_once():
    bars = crossed(chain(), 202406, 202409, DAY, DAYS[83])
    assert ("crossed_chain", 202406, DAY) in found(bars)
    assert rules(bars).count("crossed_chain") == 1


def test_contracts_far_from_each_other_in_the_chain_are_found_too():
    assert ("crossed_chain", 202403, DAY) in found(crossed(chain(), 202403, 202409, DAY, DAY))


def test_contracts_still_exchanged_at_the_end_are_told():
    assert ("crossed_chain", 202406, DAYS[-3]) in found(crossed(chain(), 202406, 202409, DAYS[-3], LAST))


def test_a_spread_that_closes_for_good_is_no_crossing():
    bars = chain()
    narrowed = bars.with_columns(
        pl.when((pl.col("contract") == 202409) & (pl.col("day") >= DAY)).then(pl.col(c) - 80).otherwise(c).alias(c)
        for c in VALUES[:4]
    )
    assert "crossed_chain" not in rules(narrowed)


def test_a_contract_that_holds_another_s_prices_is_told():
    bars = chain()
    copy = bars.filter(at(202406, DAY, DAYS[84])).with_columns(contract=pl.lit(202409, pl.Int32))
    five = pl.concat([bars.filter(~at(202409, DAY, DAYS[84])), copy])
    [row] = [row for row in found(five) if row[0] == "duplicate_contract"]
    assert row == ("duplicate_contract", 202406, DAY)
    four = copy.filter(pl.col("day") < DAYS[84])
    assert "duplicate_contract" not in rules(pl.concat([bars.filter(~at(202409, DAY, DAYS[83])), four]))


def test_untraded_contracts_may_be_filled_from_their_neighbour():
    copy = chain().filter(at(202406, FIRST, LAST)).with_columns(contract=pl.lit(202409, pl.Int32), volume=0.0)
    assert "duplicate_contract" not in rules(pl.concat([chain().filter(~at(202409, FIRST, LAST)), copy]))


def ended():
    """The chain half a year later, when 202403 to 202409 have ended, with a contract that still trades."""
    later = chain().filter(pl.col("contract") == 202409)
    days = [date(2024, 3, 15) + timedelta(days=k) for k in range(7 * later.height // 5)]
    days = [day for day in days if day.weekday() < 5]
    more = later.head(len(days)).with_columns(contract=pl.lit(202412, pl.Int32), day=pl.Series(days))
    return pl.concat([chain(), more])


def test_a_contract_that_stops_before_its_last_trade_is_told():
    told = checks.market(ended(), SPEC).filter(pl.col("rule") == "cut_short")
    assert told["contract"].to_list() == [
        202406,
        202409,
    ]  # their bars stop in March; 202403 has them to its last but one
    assert "before 2024-06-21" in told["reason"][0]


def test_a_contract_still_trading_is_not_cut_short():
    assert "cut_short" not in rules(chain())


def test_a_contract_whose_decade_was_misread_starts_too_early():
    old = chain().filter(pl.col("contract") == 202403).with_columns(pl.lit(202803, pl.Int32).alias("contract"))
    more = [
        chain().filter(pl.col("contract") == 202409).with_columns(pl.lit(contract, pl.Int32).alias("contract"))
        for contract in (202412, *range(202501, 202508))
    ]
    told = [row for row in found(pl.concat([chain(), *more, old])) if row[0] == "early_contract"]
    assert told == [("early_contract", 202803, FIRST)]
    assert CONTRACTS[0] == 202403
