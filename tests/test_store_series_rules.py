"""Each kind of fault, planted in a quiet chain made by hand, is found where it is; the chain itself has none."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from store import checks, days, series_rules
from store.contracts import Master
from store.tables import TABLES

SPEC = Master.load().spec("MES")
CONTRACTS = (202403, 202406, 202409)
FIRST, LAST = date(2023, 9, 1), date(2024, 3, 14)  # Friday; the Thursday before 202403's last trade
HOLIDAYS = {"2023-09-04", "2023-11-23", "2023-12-25", "2024-01-01", "2024-01-15", "2024-02-19"}


def sessions():
    every = (FIRST + timedelta(days=k) for k in range((LAST - FIRST).days + 1))
    return [day for day in every if day.weekday() < 5 and str(day) not in HOLIDAYS]


DAYS = sessions()
DAY = DAYS[80]


def chain(**changes):
    """A quiet chain: one path, moves of about 20 points, a later contract dearer by 40; `changes` see `planted`."""
    steps = np.round(np.random.default_rng(7).normal(0, 20, len(DAYS)) * 4) / 4
    price = 4500 + np.cumsum(steps)
    frames = [
        pl.DataFrame({"day": DAYS, "settle": price + 40 * k, "volume": 50_000.0 / 10**k}).with_columns(
            contract=pl.lit(contract, pl.Int32),
            open=pl.col("settle") + 1,
            high=pl.col("settle") + 9,
            low=pl.col("settle") - 9,
        )
        for k, contract in enumerate(CONTRACTS)
    ]
    frame = pl.concat(frames).with_columns(
        source=pl.lit("barchart"),
        root=pl.lit("MES"),
        time=pl.col("day").cast(pl.Datetime("us", "UTC")) + pl.duration(hours=23),
    )
    return TABLES["contract_bars"].conform(frame)


def put(bars, where, **values):
    return bars.with_columns(pl.when(where).then(value).otherwise(name).alias(name) for name, value in values.items())


def at(contract=202406, first=DAY, last=None):
    days = pl.col("day").is_between(first, last or first)
    return days if contract is None else days & (pl.col("contract") == contract)


def shifted(bars, where, points):
    return put(bars, where, **{name: pl.col(name) + points for name in ("open", "high", "low", "settle")})


def scaled(bars, where, factor):
    return put(bars, where, **{name: pl.col(name) * factor for name in ("open", "high", "low", "settle")})


def found(bars, spec=SPEC):
    """(rule, contract, day) of every finding."""
    return checks.market(bars, spec).select("rule", "contract", "day").rows()


def units(bars, spec=SPEC):
    """The same, of units only: a price in another unit is off the tick grid besides."""
    return [row for row in found(bars, spec) if row[0].startswith("unit_")]


def test_a_quiet_chain_has_no_finding():
    assert found(chain()) == []


def test_no_bars_have_no_finding():
    assert checks.market(TABLES["contract_bars"].empty(), SPEC).is_empty()


def test_a_price_that_jumps_and_comes_back_is_a_spike():
    assert found(shifted(chain(), at(), 400)) == [("spike", 202406, DAY)]


def test_a_spike_of_two_days_is_found():
    assert ("spike", 202406, DAY) in found(shifted(chain(), at(last=DAYS[81]), 400))


def test_a_move_of_the_whole_chain_is_no_spike():
    assert found(shifted(chain(), at(None), 400)) == []


def test_a_move_that_a_neighbour_shares_is_no_spike():  # gas of 2018-11-14: the winter months, not the back ones
    assert found(shifted(shifted(chain(), at(202403), 400), at(202406), 300)) == []


def test_a_spike_does_not_hide_the_next_one():
    bars = shifted(shifted(chain(), at(), 400), at(first=DAYS[90]), 400)
    days = [day for rule, _, day in found(bars) if rule == "spike"]
    assert DAY in days and DAYS[90] in days


def test_a_jump_on_the_last_day_known_is_told():
    assert ("spike", 202406, LAST) in found(shifted(chain(), at(first=LAST), 400))


def test_a_price_that_stays_where_it_went_is_no_spike():
    bars = shifted(chain(), at(last=LAST), 400)
    assert [rule for rule, *_ in found(bars) if rule == "spike"] == []


def test_a_quiet_contract_s_few_ticks_are_no_spike():
    bars = put(chain(), pl.lit(True), settle=4500.0, open=4500.0, high=4509.0, low=4491.0, volume=0.0)
    assert found(put(bars, at(), settle=4501.0)) == []  # four ticks


@pytest.mark.parametrize("factor", [100.0, 0.01, 10.0, 0.001])
def test_a_price_in_another_unit_is_told_once(factor):
    assert units(scaled(chain(), at(), factor)) == [("unit_slip", 202406, DAY)]


def test_a_unit_that_changes_for_good_is_told_once():
    assert units(scaled(chain(), at(first=DAY, last=LAST), 0.01)) == [("unit_slip", 202406, DAY)]


def test_a_contract_wholly_in_another_unit_is_told_once():
    assert found(scaled(chain(), at(first=FIRST, last=LAST), 100.0)) == [("unit_level", 202406, FIRST)]


def test_prices_about_zero_are_no_slip():  # DOMAIN T2: 18.27, -37.63, 10.01
    low = shifted(chain(), at(None, FIRST, LAST), -4500)
    for bars in (low, put(low, at(), settle=-300.0)):
        slips = [day for rule, _, day in found(bars) if rule == "unit_slip"]
        assert [day for day in slips if day > DAYS[10]] == []  # by then it is known what moves are usual


def test_the_same_prices_on_five_days_with_volume_are_stale():
    bars = put(chain(), at(last=DAYS[84]), settle=4600.0, open=4600.0, high=4610.0, low=4590.0)
    assert ("stale", 202406, DAYS[81]) in found(bars)
    assert [rule for rule, *_ in found(put(bars, at(last=DAYS[84]), volume=0.0))].count("stale") == 0
    shorter = put(chain(), at(last=DAYS[83]), settle=4600.0, high=4610.0, low=4590.0, open=4600.0)
    assert [rule for rule, *_ in found(shorter)].count("stale") == 0


def test_a_settlement_outside_high_low_is_told():
    assert found(put(chain(), at(), settle=pl.col("high") + 0.25)) == [("settle_outside", 202406, DAY)]


def test_no_volume_on_a_day_with_a_range_is_told():
    assert found(put(chain(), at(), volume=0.0)) == [("no_volume", 202406, DAY)]


def test_no_volume_of_a_whole_market_is_told_once():
    assert found(put(chain(), at(None), volume=0.0)) == [("no_volume", None, DAY)]


def test_volume_that_the_vendor_never_had_is_no_fault():  # zero before 2001 is unknown
    assert found(put(chain(), at(None, FIRST, DAYS[60]), volume=0.0)) == []


def test_a_thin_contract_may_have_no_volume():
    thin = put(chain(), at(202409, FIRST, LAST), volume=40.0)
    assert found(put(thin, at(202409), volume=0.0)) == []


def test_a_contract_s_last_bar_may_have_no_volume():
    assert found(put(chain(), at(first=LAST), volume=0.0)) == []


def test_missing_days_are_told_on_the_day_after_them():
    assert found(chain().filter(~at(last=DAYS[84]))) == [("gap", 202406, DAYS[85])]


def test_a_day_that_the_whole_market_lacks_is_told_once_and_is_no_gap_of_a_contract():
    assert found(chain().filter(~at(None))) == [("missing_session", None, DAYS[81])]


def test_bars_after_the_last_trade_are_told_once():
    bars = chain()  # 202403 ends on Friday, 2024-03-15
    late = bars.filter(at(202403, LAST)).with_columns(pl.lit(date(2024, 3, 18)).alias("day"))
    later = late.with_columns(pl.lit(date(2024, 3, 19)).alias("day"))
    assert ("after_last_trade", 202403, date(2024, 3, 18)) in found(pl.concat([bars, late, later]))
    assert [rule for rule, *_ in found(pl.concat([bars, late, later]))].count("after_last_trade") == 1


def test_trade_on_a_holiday_is_told_once_a_day():
    holiday = date(2023, 12, 25)
    bars = chain()
    extra = bars.filter(at(None, date(2023, 12, 22))).with_columns(pl.lit(holiday).alias("day"))
    assert ("no_session", None, holiday) in found(pl.concat([bars, extra]))
    silent = extra.with_columns(volume=pl.lit(0.0))
    assert "no_session" not in [rule for rule, *_ in found(pl.concat([bars, silent]))]


def test_a_market_that_trades_on_most_holidays_has_another_calendar():
    bars = chain()
    closed = [day for day in days.calendar(SPEC.calendar).holidays.tolist() if date(2015, 1, 1) < day < FIRST]
    extra = [
        bars.filter(at()).with_columns(pl.lit(day).alias("day"), contract=pl.lit(202303, pl.Int32)) for day in closed
    ]
    told = checks.market(pl.concat([bars, *extra[3:]]), SPEC).filter(pl.col("rule") == "no_session")
    assert told.select("contract", "day").rows() == [(None, closed[-1])]
    assert f"traded on {len(closed) - 3} of " in told["reason"][0] and "not its calendar" in told["reason"][0]
    few = checks.market(pl.concat([bars, *extra[:5]]), SPEC).filter(pl.col("rule") == "no_session")
    assert few["day"].to_list() == closed[:5]


def test_a_contract_of_the_held_cycle_that_is_missing_is_told():
    bars = chain()
    older = bars.filter(pl.col("contract") == 202403).with_columns(pl.lit(202309, pl.Int32).alias("contract"))
    older = older.filter(pl.col("day") <= date(2023, 9, 15))
    assert ("missing_contract", 202312, None) in found(pl.concat([bars, older]))


def test_a_contract_that_is_not_due_yet_is_not_missing():
    assert found(chain().filter(pl.col("contract") != 202406)) == []


def test_a_market_without_specs_is_checked_as_far_as_it_goes():
    assert found(shifted(chain(), at(), 400), None)[0] == ("spike", 202406, DAY)
    assert found(scaled(chain(), at(), 100.0), None) == [("unit_slip", 202406, DAY)]


def test_a_sunday_row_and_its_monday_are_one_bar():
    bars = chain()
    monday = next(day for day in DAYS[60:] if day.weekday() == 0)
    early = bars.filter(at(None, monday)).with_columns(pl.col("time") - pl.duration(days=1), volume=pl.lit(5.0))
    prepared = series_rules.prepare(pl.concat([bars, early]))
    assert prepared.height == bars.height
    assert found(pl.concat([bars, early])) == []


def test_rows_without_a_price_are_no_bars():
    bars = chain()
    alone = bars.filter(at(202406)).with_columns(
        open=None, high=None, low=None, settle=None, open_interest=5.0, time=pl.col("time") - pl.duration(hours=1),
        day=pl.lit(date(2023, 12, 25)),
    )  # fmt: skip
    assert found(pl.concat([bars, alone], how="vertical_relaxed")) == []
    assert found(alone.cast(dict(bars.schema))) == []


def test_a_longer_history_keeps_the_earlier_scales():
    bars = chain()
    cut = bars.filter(pl.col("day") <= DAYS[100])
    columns = ["contract", "day", "move", "scale", "company", "usual_volume"]
    longer = series_rules.prepare(bars).filter(pl.col("day") <= DAYS[100]).select(columns)
    assert series_rules.prepare(cut).select(columns).equals(longer)


@pytest.mark.parametrize("check", series_rules.CHECKS, ids=lambda check: check.name)
def test_a_rule_has_words_and_changes_nothing(check):
    bars = series_rules.prepare(chain())
    copy = bars.clone()
    assert check.find(bars, SPEC).columns == ["contract", "day", "field", "value", "reason"]
    assert bars.equals(copy)
    assert check.find.__doc__ and check.severity in ("warn", "refuse")
