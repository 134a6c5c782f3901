"""What a row must be like: each rule on a row that breaks it and on one that nearly does."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from store import open_archive, row_rules
from store.reading import daily
from store.tables import TABLES
from tests.sample_files import one, put

BARS = TABLES["contract_bars"]
GOOD = {
    "contract": 202403, "day": date(2024, 3, 1), "open": 100.0, "high": 102.0, "low": 99.0, "close": None,
    "settle": 101.0, "volume": 10.0, "open_interest": None,
}  # fmt: skip
SCHEMA = {name: BARS.schema[name] for name in GOOD}


def bars(*changes):
    """Rows a day apart, each the good one with something changed."""
    rows = [GOOD | {"day": GOOD["day"] + timedelta(days=k)} | change for k, change in enumerate(changes)]
    frame = daily(pl.DataFrame(rows, SCHEMA)).with_columns(
        line=pl.int_range(2, len(rows) + 2), fault=pl.lit(None, pl.String)
    )
    return frame.with_columns(column=pl.lit(None, pl.String), raw=pl.lit("raw"), file=pl.lit("x.csv"))


def split(frame, negative=False):
    return row_rules.split(frame, BARS, row_rules.bar_rules(negative))


@pytest.mark.parametrize(
    ("change", "rule", "column"),
    [
        ({"contract": None}, "contract", "contract"),
        ({"contract": 202413}, "contract", "contract"),
        ({"high": float("inf")}, "not_a_number", "high"),
        ({"settle": float("nan")}, "not_a_number", "settle"),
        ({"volume": float("nan")}, "not_a_number", "volume"),
        ({"open_interest": float("inf")}, "not_a_number", "open_interest"),
        ({"settle": None}, "no_price", "settle"),
        ({"settle": 0.0, "low": 0.0}, "not_positive", "low"),
        ({"high": 98.0}, "range", "high"),
        ({"open": 102.5}, "range", "open"),
        ({"close": 98.5}, "range", "close"),
        ({"settle": 12345.0}, "settle_far", "settle"),
        ({"settle": 1.01}, "settle_far", "settle"),
        ({"volume": -1.0}, "negative_volume", "volume"),
        ({"open_interest": -1.0}, "negative_volume", "open_interest"),
        ({"day": date.today() + timedelta(days=9), "contract": 204412}, "future", "time"),
        ({"day": date(2008, 3, 1)}, "far_from_delivery", "day"),
        ({"day": date(2024, 6, 3)}, "far_from_delivery", "day"),
        ({"day": None}, "no_time", "time"),
    ],
)
def test_a_bad_bar_is_kept_apart_with_its_reason(change, rule, column):
    good, bad = split(bars(change))
    assert good.is_empty()
    assert bad.select("rule", "column").row(0) == (rule, column)
    assert bad["reason"][0] and bad["raw"][0] == "raw"


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"open": None, "high": None, "low": None, "volume": None},  # a settlement only
        {"settle": None, "close": 101.0},
        {"open": 102.0, "settle": 99.0},  # on the edge
        {"open": 102.0 + 1e-12},  # a rounded number is not outside
        {"volume": 0.0},
        {"day": date(2024, 5, 31)},
        {"day": date(2010, 3, 1)},
    ],
)
def test_a_good_bar_is_kept(change):
    good, bad = split(bars(change))
    assert (good.height, bad.height, good["warning"].to_list()) == (1, 0, [None])


def test_a_settlement_may_lie_outside_high_low():  # DOMAIN T24: low 100, high 102, settlement 102.25
    good, bad = split(bars({"open": 101.0, "low": 100.0, "settle": 102.25}))
    assert bad.is_empty()
    assert good["warning"].to_list() == ["settle_outside"]


def test_crude_oil_below_zero_passes_where_the_market_allows_it():  # DOMAIN T2: 2020-04-20
    crude = {
        "contract": 202005,
        "day": date(2020, 4, 20),
        "open": 17.73,
        "high": 17.85,
        "low": -40.32,
        "settle": -37.63,
    }
    assert split(bars(crude), negative=True)[0].height == 1
    assert split(bars(crude), negative=False)[1]["rule"].to_list() == ["not_positive"]


def test_prices_below_zero_are_allowed_from_a_day_on():  # CME: from trade date 2020-04-06
    facts = ((None, "no"), (date(2020, 4, 6), "yes"))
    low = {"contract": 202005, "open": 1.0, "high": 1.0, "low": -40.0, "settle": -37.63}
    good, bad = split(bars(low | {"day": date(2020, 4, 3)}, low | {"day": date(2020, 4, 6)}), facts)
    assert good["day"].to_list() == [date(2020, 4, 6)]
    assert bad["rule"].to_list() == ["not_positive"]
    assert split(bars(low | {"day": date(2020, 4, 6)}), ())[1]["rule"].to_list() == ["not_positive"]


def test_what_did_not_parse_keeps_its_own_reason():
    frame = bars({"high": None, "low": 500.0}).with_columns(fault=pl.lit("not a number: x"), column=pl.lit("High"))
    _, bad = split(frame)
    assert bad.select("rule", "column", "reason").row(0) == ("unparsed", "High", "not a number: x")


def test_the_same_row_again_is_a_warning_and_another_one_is_kept_apart():
    day = {"day": GOOD["day"]}
    good, bad = split(bars(day, day, day | {"settle": 101.5}, {}))
    assert good.select("line", "warning").rows() == [(2, None), (3, "repeated"), (5, None)]
    assert bad.select("line", "rule", "column").rows() == [(4, "duplicate", "time")]
    assert "first" not in bad.columns and "again" not in good.columns


def test_a_repeated_row_may_lack_the_same_values():
    thin = {"day": GOOD["day"], "open": None, "volume": None}
    assert split(bars(thin, thin))[0]["warning"].to_list() == [None, "repeated"]


def test_rows_out_of_order_are_warned_about_within_their_contract():
    later, earlier = {"day": date(2024, 2, 2)}, {"day": date(2024, 2, 1)}
    other = {"day": date(2024, 1, 2), "contract": 202406}
    good, _ = split(bars(later, earlier, other))
    assert good["warning"].to_list() == [None, "unsorted", None]


def test_rules_change_no_row():
    frame = bars({}, {"high": 1.0})
    copy = frame.clone()
    split(frame)
    assert frame.equals(copy)


def others(table, **columns):
    frame = pl.DataFrame(columns, {c: TABLES[table].schema[c] for c in columns}, strict=False)
    lines = {
        "line": pl.int_range(2, frame.height + 2),
        "fault": pl.lit(None, pl.String),
        "column": pl.lit(None, pl.String),
    }
    return frame.with_columns(**lines)


def rules_broken(table, rules, **columns):
    _, bad = row_rules.split(others(table, **columns), TABLES[table], rules)
    return bad.sort("line").select("line", "rule", "column").rows()


def test_a_currency_has_a_day_and_a_rate_above_zero():
    day = date(2024, 3, 1)
    days = [day, day + timedelta(days=1), None, day, day, day, date.today() + timedelta(days=9)]
    rates = [1.1, None, 1.1, float("nan"), 0.0, float("inf"), 1.1]
    stamps = [str(k) for k in range(7)]
    assert rules_broken("fx", row_rules.fx_rules(), day=days, rate=rates, source_time=stamps) == [
        (3, "not_positive", "rate"), (4, "no_day", "day"), (5, "not_a_number", "rate"), (6, "not_positive", "rate"),
        (7, "not_a_number", "rate"), (8, "future", "day"),
    ]  # fmt: skip


def test_an_interest_rate_is_a_fraction_and_may_be_negative():
    days = [date(2024, 3, k) for k in (1, 4, 5, 6)]
    broken = rules_broken("rates", row_rules.rate_rules(), day=days, rate=[-0.005, 5.25, None, float("nan")])
    assert broken == [(3, "no_rate", "rate"), (4, "no_rate", "rate"), (5, "not_a_number", "rate")]


def test_a_chain_may_lack_a_leg_but_not_its_moment():
    moment = datetime(2024, 3, 1, 23, tzinfo=UTC)
    times = [moment, moment + timedelta(hours=1), None]
    assert rules_broken("vendor_chains", row_rules.chain_rules(), time=times, price=[None, float("inf"), 1.0]) == [
        (3, "not_a_number", "price"), (4, "no_time", "time"),
    ]  # fmt: skip


def test_a_chain_s_prices_are_above_zero_in_a_market_that_never_is_below():
    rules = row_rules.chain_rules((((None, "no")), (date(2020, 4, 6), "yes")))
    days = [date(2020, 4, 1), date(2020, 4, 2), date(2020, 4, 3), date(2020, 4, 3), date(2020, 4, 20)]
    moments = [datetime(d.year, d.month, d.day, 20 + k % 2, tzinfo=UTC) for k, d in enumerate(days)]
    legs = {"price": [-37.63, 20.0, 0.0, None, -37.63], "carry": [20.0, 0.0, None, None, 20.0]}
    same = {"time": moments, "day": days} | legs
    assert rules_broken("vendor_chains", rules, **same) == [
        (2, "not_positive", "price"), (3, "not_positive", "carry"), (4, "not_positive", "price"),
    ]  # fmt: skip
    assert len(rules_broken("vendor_chains", row_rules.chain_rules(False), **same)) == 4
    assert rules_broken("vendor_chains", row_rules.RULES_OF["vendor_chains"](), **same) == []


def test_a_nearby_series_is_held_to_its_market_s_facts(tmp_path):
    archive = open_archive(tmp_path / "store", create=True)
    lines = ["Date,Settle", "2020-04-17,18.27", "2020-04-20,-37.63", "2020-04-21,0", "2020-04-22,13.78"]
    corn = one(archive, put(tmp_path / "in", "CME_CL1.csv", lines), root="ZC")
    assert corn.quarantined == 2 and corn.reasons == {"not_positive": 2}
    oil = one(archive, put(tmp_path / "in", "CME_CL1.csv", lines), root="CL")
    assert oil.quarantined == 0 and archive.read("vendor_chains", root="CL")["price"].min() == -37.63
