"""Exchange rates through the dollar, by rates worked out by hand."""

from datetime import date

import polars as pl
import pytest

from store import currencies
from store.tables import TABLES

MONDAY, TUESDAY = date(2020, 1, 6), date(2020, 1, 7)


def quotes(*rates, days=(MONDAY, TUESDAY)):
    return pl.DataFrame({"day": list(days[: len(rates)]), "rate": list(rates)})


def fx(**rates):
    """Rows of the table fx: currency -> rate of Monday, or (Monday, Tuesday)."""
    rows = [
        {"currency": currency, "day": day, "rate": rate}
        for currency, values in rates.items()
        for day, rate in zip((MONDAY, TUESDAY), values if isinstance(values, tuple) else (values,), strict=False)
    ]
    return TABLES["fx"].conform(pl.DataFrame(rows))


def test_a_pair_against_the_dollar_is_the_rate_or_its_inverse():
    assert currencies.usd_per_unit("EURUSD", quotes(1.25))[0] == "EUR"
    assert currencies.usd_per_unit("EURUSD", quotes(1.25))[1]["rate"].to_list() == [1.25]
    currency, frame = currencies.usd_per_unit("USD/JPY", quotes(125.0, 100.0))
    assert currency == "JPY" and frame["rate"].to_list() == [0.008, 0.01]


def test_a_cross_gives_the_currency_that_is_not_known():
    currency, frame = currencies.usd_per_unit("EURGBP", quotes(0.8, 0.9), fx(GBP=(1.25, 1.30)))
    assert currency == "EUR" and frame["rate"].to_list() == pytest.approx([1.0, 1.17])
    currency, frame = currencies.usd_per_unit("EURSEK", quotes(10.0), fx(EUR=1.2))
    assert currency == "SEK" and frame["rate"].to_list() == pytest.approx([0.12])


def test_a_day_on_which_the_other_leg_lacks_is_a_fault_and_keeps_its_row():
    frame = quotes(0.8, 0.9).with_columns(
        pl.lit(None, pl.String).alias("fault"), pl.lit(None, pl.String).alias("column"), pl.Series("line", [2, 3])
    )
    _, found = currencies.usd_per_unit("EURGBP", frame, fx(GBP=1.25))
    assert found["rate"].to_list() == [1.0, None] and found["line"].to_list() == [2, 3]
    assert found["fault"].to_list() == [None, "no rate of GBP on that day"]
    assert found["column"].to_list() == [None, "rate"]


def test_a_rows_own_fault_stays():
    frame = quotes(0.8, 0.9).with_columns(pl.Series("fault", [None, "no number"]), pl.Series("column", [None, "Close"]))
    _, found = currencies.usd_per_unit("EURGBP", frame, fx(GBP=1.25))
    assert found["fault"].to_list() == [None, "no number"] and found["column"].to_list() == [None, "Close"]


def test_a_cross_of_two_strangers_and_a_word_that_is_no_pair_are_refused():
    with pytest.raises(currencies.BadPair, match="import EURUSD or GBPUSD before it"):
        currencies.usd_per_unit("EURGBP", quotes(0.8), fx(CHF=1.1))
    for text in ("EURO", "EUREUR", "EUR1SD", "EURUSDX", ""):
        with pytest.raises(currencies.BadPair, match="write EURUSD"):
            currencies.legs(text)


def test_of_several_rates_of_a_day_the_last_stamp_counts():
    known = fx(GBP=1.20).with_columns(pl.lit("2020-01-06 09:00").alias("source_time"))
    later = fx(GBP=1.25).with_columns(pl.lit("2020-01-06 23:00").alias("source_time"))
    _, frame = currencies.usd_per_unit("EURGBP", quotes(0.8), pl.concat([later, known]))
    assert frame["rate"].to_list() == pytest.approx([1.0])


def test_a_cross_that_is_not_its_legs_is_a_finding():
    known = fx(EUR=(1.20, 1.20), GBP=(1.50, 1.50))  # 0.80 pounds a euro
    found = currencies.cross_findings("EURGBP", quotes(0.805, 0.82), known, source="mine")
    assert found["day"].to_list() == [TUESDAY] and found["severity"].to_list() == ["warn"]
    assert found["root"].to_list() == ["EURGBP"] and found["value"].to_list() == ["0.82"]
    assert found["reason"].to_list() == ["EURUSD over GBPUSD is 0.8"]
    assert found.columns == list(TABLES["findings"].schema)


def test_days_without_both_legs_are_not_looked_at():
    assert currencies.cross_findings("EURGBP", quotes(0.5, 0.5), fx(EUR=(1.2, 1.2), GBP=1.5)).height == 1
    assert currencies.cross_findings("EURGBP", quotes(0.5, 0.5), fx(EUR=(1.2, 1.2))).is_empty()
