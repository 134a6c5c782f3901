"""Rules on volume and open interest, on the quiet chain made by hand."""

import polars as pl

from store import checks
from tests.test_store_series_rules import DAY, DAYS, FIRST, LAST, SPEC, at, chain, found, put


def with_interest():
    """The chain with an open interest of ten times its volume that changes by about 100 a day."""
    wave = pl.int_range(pl.len()) % 7 * 100.0
    return chain().with_columns(open_interest=pl.col("volume") * 10 + wave)


def told(rule, bars):
    return [row for row in found(bars) if row[0] == rule]


def test_a_quiet_open_interest_has_no_finding():
    assert found(with_interest()) == []


def test_an_open_interest_that_falls_to_nought_and_comes_back_is_told():
    bars = put(with_interest(), at(), open_interest=0.0)
    assert ("oi_jump", 202406, DAY) in found(bars)


def test_a_lost_digit_on_the_last_day_is_told():
    assert told("oi_jump", put(with_interest(), at(first=LAST), open_interest=pl.col("open_interest") / 10)) == [
        ("oi_jump", 202406, LAST)
    ]


def test_an_open_interest_that_moves_on_for_good_is_no_jump():  # as at a roll, or at an index's weighing
    bars = put(with_interest(), at(first=DAY, last=LAST), open_interest=pl.col("open_interest") * 0.4)
    assert told("oi_jump", bars) == []


def test_a_thin_open_interest_may_jump():
    thin = with_interest().with_columns(open_interest=pl.col("open_interest") / 10_000)
    assert told("oi_jump", put(thin, at(202409), open_interest=0.0)) == []


def test_open_interest_that_the_vendor_does_not_have_is_no_fault():
    assert found(chain().with_columns(open_interest=pl.lit(0.0))) == []
    assert found(chain().with_columns(open_interest=pl.lit(None, pl.Float64))) == []


def test_a_contract_that_trades_and_never_has_open_interest_is_told():
    bars = put(with_interest(), at(first=FIRST, last=LAST), open_interest=0.0)
    assert told("volume_without_oi", bars) == [("volume_without_oi", 202406, FIRST)]
    null = put(with_interest(), at(first=FIRST, last=LAST), open_interest=None)
    assert told("volume_without_oi", null) == []


def test_open_interest_is_not_missed_before_any_contract_had_some():
    early = put(with_interest(), at(None, FIRST, DAYS[60]), open_interest=0.0)
    assert told("volume_without_oi", early) == []


def test_the_reason_names_the_change_and_what_is_usual():
    bars = put(with_interest(), at(), open_interest=0.0)
    [reason] = checks.market(bars, SPEC).filter((pl.col("rule") == "oi_jump") & (pl.col("day") == DAY))["reason"]
    assert reason.startswith("changed by -5") and "usual are 148.3" in reason  # 1.4826 x 100
