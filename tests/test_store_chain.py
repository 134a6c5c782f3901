"""store/chain.py: rows by contract and time, prices of one moment and field, activity by day; all by hand."""

from datetime import UTC, date, datetime

import polars as pl
import pytest
from test_store_rolls import make_bars, weekdays

from store import chain as chains
from store.tables import TABLES

DAYS = weekdays(4)  # 1 to 4 January 2024


def two():
    """February has no price on the third day, March no row on the first; volume of the second day is not known."""
    return make_bars(DAYS, {
        202402: {"settle": [10, 11, None, 13], "close": [10.5, 11.5, 12.5, 13.5], "volume": [7, None, 0, 9]},
        202403: {"settle": [None, 21, None, None], "close": [None, 21.5, 22.5, 23.5], "volume": [None, 4, 5, 6]},
    })  # fmt: skip


def test_rows_are_in_the_order_of_contract_and_time_however_they_came():
    bars = two()
    for frame in (bars, bars.reverse(), bars.sample(fraction=1.0, shuffle=True, seed=3)):
        chain = chains.load(frame)
        assert (chain.root, chain.contracts.tolist(), chain.days.tolist()) == ("XX", [202402, 202403], DAYS)
        assert (chain.starts.tolist(), chain.day.tolist()) == ([0, 4, 7], [0, 1, 2, 3, 1, 2, 3])
        assert chain.row_owner.tolist() == chain.entry_owner.tolist() == [0] * 4 + [1] * 3
        assert chain.mark.tolist() == [10, 11, 12.5, 13, 21, 22.5, 23.5]
        assert (chain.first.tolist(), chain.last.tolist()) == ([0, 1], [3, 3])
        assert chain.gather([1, 4])["settle"].to_list() == [11, 21]


def test_prices_match_at_one_moment_by_settle_before_close():
    chain = chains.load(two())
    assert [pair and pair[:2] for pair in (chain.matched(0, 1, t) for t in range(4))] == [
        None, (11, 21), (12.5, 22.5), (13.5, 23.5),  # on the last day only one has a settle
    ]  # fmt: skip


def test_the_last_matched_day_of_a_span_is_found():
    gone = (pl.col("contract") == 202403) & (pl.col("day") == DAYS[3])
    chain = chains.load(two().filter(~gone))
    assert chain.matched_before(0, 1, 0, 3)[:2] == (12.5, 22.5)
    assert chain.matched_before(0, 1, 0, 1)[:2] == (11, 21)
    assert chain.matched_before(0, 1, 3, 3) is None and chain.matched_before(0, 1, 0, 0) is None


def test_a_number_is_told_or_not_known():
    chain = chains.load(two())
    assert [chain.number("volume", 0, t) for t in range(4)] == [7, None, 0, 9]
    assert [chain.number("volume", 1, t) for t in range(5)] == [None, 4, 5, 6, None]
    assert chain.number("oi", 0, 0) is None
    assert chain.known == {"volume": 0, "oi": 4}


def test_the_next_contract_is_the_nearest_that_is_listed():
    later = make_bars(DAYS, {202404: {"settle": [40, 41, 42, 43]}})
    chain = chains.load(pl.concat([two(), later]))
    assert chain.candidates(0, 0, 3) == [(2, 0, 0), (1, 1, 3)]  # April, until March comes
    assert chain.candidates(2, 0, 3) == []


def within(rows):
    """Bars of one contract: (day, hour, settle, volume, open interest)."""
    frame = pl.DataFrame(rows, ["day", "hour", "settle", "volume", "open_interest"], orient="row")
    time = pl.datetime(
        pl.col("day").dt.year(), pl.col("day").dt.month(), pl.col("day").dt.day(), "hour", time_zone="UTC"
    )
    return TABLES["contract_bars"].conform(frame.with_columns(contract=pl.lit(202402), root=pl.lit("XX"), time=time))


def test_bars_within_a_day_stay_apart_and_a_sunday_row_is_one_with_its_monday():
    chain = chains.load(within([(DAYS[0], 10, 1.0, 5.0, 3.0), (DAYS[0], 11, 2.0, 6.0, 4.0)]))
    assert (chain.mark.tolist(), chain.rows_on(0, 0)) == ([1, 2], (0, 2))
    assert (chain.number("volume", 0, 0), chain.number("oi", 0, 0)) == (11, 4)  # the sum, and the last
    monday = date(2024, 1, 8)
    rows = within([(monday, 22, 2.0, 6.0, None), (monday, 22, 3.0, 1.0, 4.0)])
    sunday = rows.with_columns(time=pl.Series([datetime(2024, 1, 7, 23, tzinfo=UTC), rows["time"][1]]))
    chain = chains.load(sunday)
    assert (chain.mark.tolist(), chain.number("volume", 0, 0), chain.number("oi", 0, 0)) == ([3], 7, 4)


def test_a_chain_of_other_months_is_refused_and_of_the_same_given_back():
    chain = chains.load(two(), (2,))
    assert chain.contracts.tolist() == [202402] and chains.load(chain, (2,)) is chain
    with pytest.raises(ValueError, match=r"the chain holds the months \(2,\), wanted are \(3,\)"):
        chains.load(chain, (3,))
