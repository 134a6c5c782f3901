"""store/rolls.py, store/roll_rules.py: cases solved by hand, a slow twin, and the laws of a calendar."""

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from store import expiry, tables
from store.continuous import stitch_chain
from store.rolls import RollCalendar, calendar, chain_calendar

START = date(2024, 1, 1)  # a Monday
LATE = date(2024, 12, 2)


def weekdays(n, start=START):
    """n days, Monday to Friday."""
    return np.busday_offset(start, np.arange(n)).tolist()


def make_bars(days, columns):
    """`contract_bars` rows of one market: columns maps a contract to {field: list by day}; None is no value.

    A day on which all fields of a contract are None gives no row.
    """
    rows = []
    for contract, fields in columns.items():
        for t, day in enumerate(days):
            values = {name: None if x[t] is None else float(x[t]) for name, x in fields.items()}
            if any(x is not None for x in values.values()):
                time = datetime(day.year, day.month, day.day, 23, tzinfo=UTC)
                rows.append({"source": "test", "root": "XX", "contract": contract, "time": time, "day": day,
                             "source_time": str(day), **values})  # fmt: skip
    return tables.TABLES["contract_bars"].conform(pl.DataFrame(rows, infer_schema_length=None))


@pytest.fixture
def market(monkeypatch):
    """Makes the spec of a market whose contracts have the given last allowed days; no holidays."""

    def told(name, other=LATE):
        def of(spec, contracts, *_):
            found = [getattr(spec, name).get(int(contract), other) for contract in np.ravel(contracts)]
            return np.array(found, "datetime64[D]").reshape(np.shape(contracts))

        return of

    monkeypatch.setattr(expiry, "all_last_allowed", told("limits"))
    monkeypatch.setattr(expiry, "last_trades", told("trades"))
    monkeypatch.setattr(expiry, "first_notices", told("notices", None))
    shift = lambda name, day, n, extra=None: np.busday_offset(day, n, roll="backward" if n > 0 else "forward")  # noqa: E731
    monkeypatch.setattr("store.days.shift", shift)

    def make(limits=None, held="FGHJKMNQUVXZ", trades=None, notices=None):
        return SimpleNamespace(held_months=held, calendar="test", extra=None, limits=limits or {},
                               trades=trades or {}, notices=notices or {})  # fmt: skip

    return make


def rows(found):
    """(day, from, to, from price, to price, reason) of each roll."""
    return found.frame.select("day", "from_contract", "to_contract", "from_price", "to_price", "reason").rows()


def flat(n, settle=100.0, **fields):
    return {"settle": [settle] * n, **fields}


def test_t8_a_volume_roll_reads_only_the_volume_of_days_before(market):
    days = weekdays(4)
    bars = make_bars(days, {
        202401: {"settle": [10, 11, 12, 13], "volume": [100, 90, 80, 70]},
        202402: {"settle": [20, 21, 22, 23], "volume": [50, 95, 120, 150]},
    })  # fmt: skip
    found = calendar(bars, market())
    assert rows(found) == [(days[2], 202401, 202402, 12.0, 22.0, "volume")]
    assert found.frame["decided"].to_list() == [days[1]]
    assert found.first == 202401


def test_t8_open_interest_is_known_a_day_later_than_volume(market):
    days = weekdays(5)
    busy = {"open_interest": [100, 90, 80, 70, 60]}, {"open_interest": [50, 95, 120, 150, 160]}
    bars = make_bars(days, {202401: flat(5, **busy[0]), 202402: flat(5, **busy[1])})
    assert rows(calendar(bars, market(), "oi"))[0][0] == days[3]
    assert rows(calendar(bars, market(), "oi:2"))[0][0] == days[4]
    assert rows(calendar(bars, market(), "volume/oi"))[0][::5] == (days[3], "volume/oi")
    assert not rows(calendar(bars, market(), "volume+oi"))


def test_both_and_either_of_volume_and_open_interest(market):
    days = weekdays(6)
    bars = make_bars(days, {
        202401: flat(6, volume=[9, 9, 9, 1, 1, 1], open_interest=[9, 1, 1, 1, 1, 1]),
        202402: flat(6, volume=[5, 5, 5, 5, 5, 5], open_interest=[5, 5, 5, 5, 5, 5]),
    })  # fmt: skip
    assert rows(calendar(bars, market(), "volume/oi"))[0][0] == days[3]  # open interest of day 1
    assert rows(calendar(bars, market(), "volume+oi"))[0][0] == days[4]  # volume of day 3


def test_equal_volume_is_no_crossing_and_n_confirmations_must_follow_each_other(market):
    days = weekdays(8)
    bars = make_bars(days, {
        202401: flat(8, volume=[5] * 8), 202402: flat(8, volume=[5, 6, 5, 6, 6, 5, 6, 6]),
    })  # fmt: skip
    assert rows(calendar(bars, market(), "volume:1"))[0][0] == days[2]
    assert rows(calendar(bars, market(), "volume:2"))[0][0] == days[5]
    assert not rows(calendar(bars, market(), "volume:3"))


def test_t9_once_rolled_it_never_goes_back(market):
    bars = make_bars(weekdays(5), {
        202401: flat(5, volume=[100, 90, 88, 80, 70]), 202402: flat(5, volume=[50, 95, 85, 120, 130]),
    })  # fmt: skip
    assert len(rows(calendar(bars, market()))) == 1


def test_idle_back_months_do_not_race_ahead(market):
    bars = make_bars(weekdays(8), {
        202401: flat(8, volume=[9, 3, 9, 9, 9, 1, 1, 1]), 202402: flat(8, volume=[4, 4, 0, 0, 5, 5, 5, 5]),
        202403: flat(8, volume=[0, 0, 1, 1, 1, 2, 6, 6]),
    })  # fmt: skip
    days = weekdays(8)
    assert [row[:3] for row in rows(calendar(bars, market()))] == [(days[2], 202401, 202402), (days[7], 202402, 202403)]


def test_t10_months_that_are_not_held_are_stepped_over(market):
    letters = {202400 + m: flat(5, volume=[m] * 5) for m in range(8, 13)}  # Q U V X Z, each busier than the one before
    found = calendar(make_bars(weekdays(5), letters), market(held="GJMQZ"))
    assert rows(found)[0][1:3] == (202408, 202412)


def test_t11_a_position_leaves_by_the_last_allowed_day(market):
    days = weekdays(10)
    bars = make_bars(days, {202401: flat(10, volume=[9] * 10), 202402: flat(10, volume=[1] * 10)})
    found = calendar(bars, market({202401: days[7]}))
    assert rows(found) == [(days[7], 202401, 202402, 100.0, 100.0, "fallback: no crossing")]


def test_zero_volume_is_unknown_until_some_contract_has_shown_any(market):
    days = weekdays(12)
    bars = make_bars(days, {
        202401: flat(12, volume=[0] * 12), 202402: flat(12, volume=[0] * 6 + [3] * 6),
        202403: flat(12, volume=[0] * 12),
    })  # fmt: skip
    found = calendar(bars, market({202401: days[4], 202402: days[10]}))
    assert [row[::5] for row in rows(found)] == [
        (days[2], "fallback: unknown volume"),
        (days[10], "fallback: no crossing"),
    ]
    assert rows(calendar(bars, market({202401: days[4]}), "oi"))[0][5] == "fallback: unknown open interest"


def test_t13_a_roll_waits_for_the_day_on_which_both_legs_have_a_price(market):
    days = weekdays(10)
    second = [200.0] * 5 + [None] + [201.0] * 4  # none on the planned day 5
    bars = make_bars(days, {202401: flat(10, volume=[0] * 10), 202402: {"settle": second, "volume": [0] * 10}})
    assert rows(calendar(bars, market({202401: days[7]}))) == [
        (days[6], 202401, 202402, 100.0, 201.0, "fallback: unknown volume, waited 1")
    ]


def test_both_legs_trade_at_the_same_field(market):
    days = weekdays(8)
    bars = make_bars(days, {
        202401: {"settle": [10] * 8, "close": [11] * 8, "volume": [0] * 8},
        202402: {"settle": [None] * 8, "close": [21] * 8, "volume": [0] * 8},
    })  # fmt: skip
    assert rows(calendar(bars, market({202401: days[5]})))[0][3:5] == (11.0, 21.0)


def test_t13_a_position_without_a_matched_price_is_closed_in_the_old_contract(market):
    days = weekdays(10)
    old = [100.0, 101, 102, 103] + [None] * 6  # cut at day 3 in the middle of the chain
    bars = make_bars(days, {202401: {"settle": old}, 202402: flat(10, 200.0)})
    found = calendar(bars, market({202401: days[7]}))
    assert rows(found) == [(days[8], 202401, 202402, 103.0, 200.0, "closed: no matched price")]
    assert found.frame["decided"].to_list() == [days[7]]


def test_a_position_is_closed_where_the_next_contract_begins_later(market):
    days = weekdays(12)
    bars = make_bars(days, {
        202401: flat(9, 100.0) | {"settle": [100.0] * 9 + [None] * 3}, 202403: {"settle": [None] * 9 + [200, 201, 202]},
    })  # fmt: skip
    found = calendar(bars, market({202401: days[7]}))
    assert rows(found) == [(days[9], 202401, 202403, 100.0, 200.0, "closed: no matched price")]
    assert found.frame["decided"].to_list() == [days[7]]


def test_the_end_of_all_data_is_no_event(market):
    days = weekdays(6)
    bars = make_bars(days, {202401: flat(6, volume=[9] * 6)})
    assert not rows(calendar(bars, market({202401: days[5]})))
    assert not rows(calendar(bars, market({202401: LATE})))


def test_a_missing_file_is_stepped_over(market):
    days = weekdays(6)
    bars = make_bars(days, {202401: flat(6, volume=[5] * 6), 202403: flat(6, volume=[1, 7, 7, 7, 7, 7])})
    assert rows(calendar(bars, market()))[0][:3] == (days[2], 202401, 202403)


def test_the_first_contract_is_the_nearest_not_past_its_last_allowed_day(market):
    days = weekdays(4)
    bars = make_bars(days, {202401: flat(4), 202402: flat(4), 202403: flat(4)})
    assert calendar(bars, market({202401: date(2023, 12, 29)})).first == 202402


def test_date_rules_count_business_days(market):
    days = weekdays(40)
    bars = make_bars(days, {202402: flat(40), 202403: flat(40)})
    spec = market({202402: date(2024, 2, 14)}, trades={202402: date(2024, 2, 20)}, notices={202402: date(2024, 2, 15)})
    assert rows(calendar(bars, spec, "first-notice-3"))[0][::5] == (date(2024, 2, 12), "first-notice-3")
    assert rows(calendar(bars, spec, "last-trade-5"))[0][::5] == (date(2024, 2, 13), "last-trade-5")
    assert rows(calendar(bars, spec, "last-trade-2"))[0][::5] == (date(2024, 2, 14), "forced: last-trade-2")
    assert rows(calendar(bars, spec, "month-end-1"))[0][::5] == (date(2024, 1, 30), "month-end-1")


def test_a_market_without_specs_rolls_before_its_contracts_last_bars_and_says_so():
    days = weekdays(12)
    bars = make_bars(days, {202401: flat(12) | {"settle": [100.0] * 8 + [None] * 4}, 202402: flat(12, 200.0)})
    assert rows(calendar(bars, None)) == [
        (days[5], 202401, 202402, 100.0, 200.0, "fallback: unknown volume, retrospective")
    ]


def test_sunday_and_monday_rows_are_one_day(market):
    days = weekdays(4)
    bars = make_bars(days, {
        202401: flat(4, volume=[9, 5, 5, 5]), 202402: flat(4, volume=[1, 3, 9, 9]),
    })  # fmt: skip
    twice = bars.filter(pl.col("day") == days[1], pl.col("contract") == 202402)
    sunday = twice.with_columns(source_time=pl.lit("2024-01-01x"), volume=pl.lit(3.0), settle=pl.lit(7.0))
    found = calendar(pl.concat([bars, sunday]), market())
    assert rows(found)[0][0] == days[2]  # 3 + 3 > 5


def random_market(seed):
    """Random bars with holes, zero years and unknown volume, and the same as lists for the slow twin."""
    rng = np.random.default_rng(seed)
    n, count = int(rng.integers(25, 60)), int(rng.integers(2, 7))
    days, contracts = weekdays(n), [202401 + k for k in range(count)]
    limit = np.sort(rng.choice(np.arange(3, n + 12), count, replace=False))
    last = {c: weekdays(n + 12)[i] for c, i in zip(contracts, limit, strict=True)}
    listed, gone = rng.integers(0, n // 2, count), limit + rng.integers(-6, 4, count)
    price, volume, quiet = [], [], int(rng.integers(0, n // 2))
    for t in range(n):
        alive = (t >= listed) & (t <= gone) & (rng.random() > 0.05)
        price.append([round(float(rng.normal(100, 5)), 2) if a and rng.random() > 0.1 else None for a in alive])
        traded = [float(rng.integers(0, 6)) if a and rng.random() > 0.1 else None for a in alive]
        volume.append([None if x is None else x * (t >= quiet) for x in traded])
    full = [t for t in range(n) if any(x is not None for x in price[t] + volume[t])]
    days, price, volume = ([x[t] for t in full] for x in (days, price, volume))
    columns = {
        c: {"settle": [row[k] for row in price], "volume": [row[k] for row in volume]} for k, c in enumerate(contracts)
    }
    return make_bars(days, columns), last, days, price, volume


@pytest.mark.parametrize("rule", ["volume", "volume:3", "oi", "volume/oi", "last-trade-4", "month-end-2"])
def test_t45_a_longer_history_leaves_earlier_rolls_as_they_were(market, rule):
    for seed in range(40):
        bars, last, days, *_ = random_market(seed)
        bars = bars.with_columns(open_interest=pl.col("volume") * 3 % 7)
        spec = market(last, trades={c: day + timedelta(days=1) for c, day in last.items()})
        try:
            full = calendar(bars, spec, rule)
        except ValueError:
            continue
        for t in np.random.default_rng(seed).choice(len(days), 6):
            part = bars.filter(pl.col("day") <= days[t])
            past = full.frame.filter(pl.col("day") <= days[t])
            try:
                assert calendar(part, spec, rule).frame.equals(past), (seed, days[t])
            except ValueError:  # not begun yet
                assert not len(past)


def test_the_version_is_a_hash_of_the_content(market):
    bars = make_bars(weekdays(4), {202401: flat(4, volume=[9, 1, 1, 1]), 202402: flat(4, volume=[5] * 4)})
    first, again = calendar(bars, market()), calendar(bars, market())
    assert first.version == again.version and len(first.version) == 12
    moved = RollCalendar("XX", first.rule, first.first, first.frame.with_columns(to_price=pl.col("to_price") + 1e-9))
    assert moved.version != first.version


def test_shares_diff_and_document(market):
    days = weekdays(6)
    bars = make_bars(days, {202401: flat(6, volume=[9, 1, 1, 1, 1, 1]), 202402: flat(6, volume=[5] * 6)})
    one, two = calendar(bars, market()), calendar(bars, market(), "volume:3")
    assert one.shares() == {"volume": 1.0}
    assert one.diff(two).select("day", "other_day", "days").rows() == [(days[2], days[4], 2)]
    assert not len(one.diff(one))
    roll = one.document()["rolls"][0]
    assert (roll["from"], roll["to"], roll["day"]) == ("202401", "202402", "2024-01-03")
    assert one.document()["reasons"] == {"volume": 1.0}


def test_no_bars_and_no_held_month_are_refused_in_a_sentence(market):
    bars = make_bars(weekdays(3), {202401: flat(3)})
    with pytest.raises(ValueError, match="no bars"):
        calendar(bars.clear(), market())
    with pytest.raises(ValueError, match="XX: no bars in a held month"):
        calendar(bars, market(held="HMUZ"))


def test_a_chain_of_one_contract_has_no_roll_and_one_that_names_none_no_calendar():
    days = weekdays(2)
    chain = tables.TABLES["vendor_chains"].conform(pl.DataFrame({
        "source": ["chris"] * 2, "root": ["X"] * 2, "day": days, "price": [10.0, 11.0], "price_contract": [202403] * 2,
        "time": [datetime(d.year, d.month, d.day, tzinfo=UTC) for d in days],
    }))  # fmt: skip
    found = chain_calendar(chain)
    assert (found.first, found.frame.height) == (202403, 0)
    assert stitch_chain(chain).select("contract", "adjusted", "roll").rows() == [
        (202403, 10.0, False), (202403, 11.0, False),
    ]  # fmt: skip
    for make in (chain_calendar, stitch_chain):
        with pytest.raises(ValueError, match="X: none of the 2 rows of the chain of chris says of which contract"):
            make(chain.with_columns(price_contract=pl.lit(None, pl.Int32)))
        with pytest.raises(ValueError, match="no rows of a vendor's chain"):
            make(chain.clear())


def test_a_vendors_chain_gives_its_own_rolls():
    days = weekdays(4)
    chain = tables.TABLES["vendor_chains"].conform(pl.DataFrame({
        "source": ["pysystemtrade"] * 4, "root": ["X"] * 4, "day": days,
        "time": [datetime(d.year, d.month, d.day, tzinfo=UTC) for d in days], "source_time": list("abcd"),
        "price": [10.0, 11.0, None, 15.0], "price_contract": [202403, 202403, 202406, 202406],
        "forward": [12.0, 13.5, 16.0, 17.0], "forward_contract": [202406, 202406, 202409, 202409],
    }))  # fmt: skip
    found = chain_calendar(chain)
    assert found.rule == "pysystemtrade" and found.first == 202403
    assert rows(found) == [(days[1], 202403, 202406, 11.0, 13.5, "pysystemtrade")]
    broken = chain.with_columns(forward=pl.lit(None, pl.Float64))
    assert rows(chain_calendar(broken)) == [(days[3], 202403, 202406, 11.0, 15.0, "closed: no matched price")]
