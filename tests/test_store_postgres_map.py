"""Which column is which: tables of ours by their columns, others by a map, and what a wrong map is told."""

import pytest

from store.postgres_export import LAYOUTS, columns_of
from store.postgres_link import DatabaseError, Found
from store.postgres_map import likely, plan

BARS = Found("public", "bars", {"Ticker": "text", "ts": "timestamp with time zone", "px": "numeric", "Vol": "bigint"})


def refused(found, mapping, root=None):
    with pytest.raises(DatabaseError) as error:
        plan(found, mapping, root)
    return str(error.value)


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_a_table_of_ours_is_known_by_its_columns_under_any_name(name):
    how = plan(Found("old", "copy_of_it", columns_of(LAYOUTS[name])), None)
    assert (how.table, how.ours) == (name, True)
    assert "known" not in how.columns


def test_a_table_of_ours_that_lacks_a_column_is_none_of_ours():
    columns = columns_of(LAYOUTS["contract_bars"])
    del columns["settle"]
    assert "say which column is which" in refused(Found("public", "contract_bars", columns), None)


def test_a_map_may_use_other_names_of_ours_and_other_letters_of_theirs():
    how = plan(BARS, {"code": "ticker", "time": "ts", "settle": "px"})
    assert how.columns == {"contract": "Ticker", "time": "ts", "settle": "px"}
    assert how.order[:2] == ("contract", "time")
    assert how.together == ["contract"]
    assert how.types["settle"] == "numeric"


def test_a_likely_map_uses_each_column_once_and_days_by_their_type():
    found = Found(
        "public", "t", {"symbol": "text", "expiry": "text", "Trade Date": "date", "price": "real", "v": "int"}
    )
    assert likely(found) == {
        "root": "symbol", "contract": "expiry", "day": "Trade Date", "close": "price", "volume": "v"}  # fmt: skip
    assert likely(Found("public", "t", {"stamped": "timestamp without time zone"})) == {"time": "stamped"}


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"setle": "px"}, "there is no column 'setle' of ours: did you mean settle?"),
        ({"nonsense": "px"}, "allowed are root, contract, day"),
        ({"settle": "pxx"}, "bars has no column 'pxx': did you mean px?"),
        ({"settle": "quote"}, "it has Ticker text, ts timestamp with time zone, px numeric, Vol bigint"),
        ({"code": "Ticker", "contract": "ts"}, "contract is told twice"),
        ({"time": "ts", "settle": "px"}, "which column of bars is contract or code?"),
        ({"code": "Ticker", "settle": "px"}, "which column of bars is day or time?"),
        ({"code": "Ticker", "time": "ts"}, "which column of bars is settle or close?"),
        ({"volume": "Vol"}, "is contract or code and which is day or time?"),
        ({"rate": "px", "day": "ts"}, "which column of bars is currency?"),
        ({"rate": "px", "day": "ts", "currency": "Ticker", "settle": "px"}, "settle is no column of fx"),
    ],
)
def test_what_is_wrong_with_a_map_is_told(mapping, message):
    assert message in refused(BARS, mapping)


def test_exchange_rates_belong_to_no_market():
    assert "--root ES" in refused(BARS, {"rate": "px", "day": "ts", "currency": "Ticker"}, "ES")
