"""engine/members.py: the column of a spread worked by hand, and who trades which line."""

import numpy as np
import pytest

from engine import backtest
from engine.members import Seen, Spread, layout, seen
from tests.small_runs import Buys, Wants, market, portfolio

GAP = np.nan
LEGS = {"A": 2, "B": -1}


def hand():
    """A of 50 dollars a point, away on the third bar and rolled before the fourth; B of 1,000 euro a point."""
    return market(
        [[100.0, 10.0], [101.0, 10.5], [GAP, 10.4], [98.0, 10.3]],
        multiplier=[[50.0, 1000.0]] * 4, fx=[[1.0, 1.1], [1.0, 1.2], [1.0, 1.2], [1.0, 1.25]],
        offset=[[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [5.0, 0.0]], currencies=("USD", "EUR"),
        volume=[[500.0, 90.0], [500.0, GAP], [GAP, 90.0], [40.0, 90.0]], liquidity=[[30.0, 9.0]] * 4,
        open_interest=[[7.0, 8.0]] * 4, available=[[True, True], [True, False], [True, True], [True, True]],
        contract=[[202406, 202403]] * 4, fx_age=[[0.0, 0.0], [0.0, 3.0], [0.0, 0.0], [0.0, 0.0]],
    )  # fmt: skip


def of(made, name):
    """The array of the spread's column."""
    return getattr(made, name)[:, -1]


def test_a_unit_earns_what_its_legs_earn_in_account_currency_over_a_holiday_of_one_and_a_roll():
    made = seen(hand(), {"pair": LEGS})
    # bar 1: 2 x 1.00 x 50 = 100 and -0.50 x 1000 x 1.2 = -600; bar 2: +0.10 x 1000 x 1.2 = 120, A is away;
    # bar 3: A from 101 to 98 + 5 in one step, 2 x 2.00 x 50 = 200, and +0.10 x 1000 x 1.25 = 125
    np.testing.assert_allclose(of(made, "adjusted"), [0.0, -500.0, GAP, -500.0 + 120.0 + 200.0 + 125.0])
    np.testing.assert_array_equal(made.adjusted[:, :2], hand().adjusted)


def test_its_mark_is_the_gross_notional_of_a_unit():
    # 2 x 100 x 50 + 10 x 1000 x 1.1; 2 x 101 x 50 + 10.5 x 1000 x 1.2; away; 2 x 98 x 50 + 10.3 x 1000 x 1.25
    np.testing.assert_allclose(of(seen(hand(), {"pair": LEGS}), "mark"), [21000.0, 22700.0, GAP, 22675.0])


def test_volumes_are_in_units_and_the_rest_is_that_of_both_legs():
    made = seen(hand(), {"pair": LEGS})
    np.testing.assert_array_equal(of(made, "volume"), [90.0, GAP, GAP, 20.0])  # 40 contracts of A are 20 units
    np.testing.assert_array_equal(of(made, "liquidity"), [9.0] * 4)
    np.testing.assert_array_equal(of(made, "open_interest"), [3.5] * 4)
    np.testing.assert_array_equal(of(made, "available"), [True, False, True, True])
    np.testing.assert_array_equal(of(made, "fx_age"), [0.0, 3.0, 0.0, 0.0])
    assert set(of(made, "multiplier")) == set(of(made, "fx")) == {1.0} and not of(made, "roll").any()
    assert all(np.isnan(of(made, name)).all() for name in ("open", "high", "low"))
    assert (made.names, made.ranks) == (("A", "B", "pair"), (0, 0, 0))
    assert (made.currencies[-1], made.sectors[-1]) == ("USD", "spreads")


def test_the_real_columns_and_the_market_itself_stay_as_they_are():
    before, made = hand(), seen(hand(), {"pair": LEGS, "other": {"B": 1, "A": 1}})
    for name, values in vars(before).items():
        if isinstance(values, np.ndarray) and values.ndim == 2:
            np.testing.assert_array_equal(getattr(made, name)[:, :2], values)
            assert getattr(made, name).shape == (4, 4) and getattr(made, name).flags.c_contiguous
    assert seen(before, {}) is before


def test_rows_of_it_are_its_rows():
    part = seen(hand(), {"pair": LEGS}).rows(1, 3)
    assert isinstance(part, Seen) and part.legs == {"pair": LEGS}
    np.testing.assert_array_equal(part.adjusted[:, -1], [-500.0, GAP])


def test_t14_the_level_of_the_adjusted_series_changes_no_bit():
    lifted = hand()
    lifted.offset[:, 0] += 1024.0
    one, other = (seen(made, {"pair": LEGS}).adjusted[:, -1] for made in (hand(), lifted))
    np.testing.assert_array_equal(one, other)


def test_t45_no_row_reads_a_later_one():
    whole = seen(hand(), {"pair": LEGS})
    for length in (1, 2, 3):
        part = seen(hand().rows(0, length), {"pair": LEGS})
        for name in ("adjusted", "mark", "volume", "available"):
            np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[:length])


def test_lines_are_the_legs_member_by_member():
    two = market(
        np.ones((2, 3)), ("CL.c.0", "CL.c.3", "ES"), roots=("CL", "CL", "ES"), sectors=("oil", "oil", "equity")
    )
    spreads = {"year": {"CL.c.0": 1, "CL.c.3": -2}}
    made = layout(two, [(0, "ES"), (0, "year"), (1, "CL.c.3")], ["one", "two"], spreads, [0, 1], [4, 4, -1])
    assert made.names == ("ES", "year", "CL.c.3")
    assert made.strategy.tolist() == [0, 0, 1] and made.column.tolist() == [2, 3, 1]
    told = {name: array.tolist() for name, array in made.lines._asdict().items()}
    assert told == {
        "instrument": [2, 0, 1, 1], "member": [0, 1, 1, 2], "ratio": [1.0, 1.0, -2.0, 1.0], "sleeve": [0, 0, 0, 1],
        "root": [1, 0, 0, 0], "sector": [0, 1, 1, 1], "group": [-1, 4, 4, 4],
    }  # fmt: skip
    assert made.labels == (("one", "ES"), ("one", "CL.c.0"), ("one", "CL.c.3"), ("two", "CL.c.3"))
    assert made.lines.ratio.dtype == np.float64 and made.lines.root.dtype == np.int64


# Through a run


def run(wanted, strategy=Wants, settings=(), **changes):
    """A pair of two contracts of A and one of B short, on ten bars."""
    steps = np.arange(10.0)
    both = market(np.column_stack([100.0 + steps, 50.0 - 0.5 * steps]), initial_margin=1.0, maintenance_margin=0.5)
    for name, (row, column) in changes.items():
        getattr(both, name)[row, column] = np.nan
    told = portfolio(
        (strategy.of(wanted), {"markets": ["pair"]}), spreads={"pair": Spread(legs=LEGS)}, settings=settings
    )
    return backtest(both, told)


def held(made, day):
    rows = made.positions()
    return dict(rows.filter(rows["day"] == day).select("market", "contracts").cast({"market": str}).rows())


@pytest.mark.parametrize("strategy", [Wants, Buys])
def test_both_legs_are_traded_by_ratio_and_earn_what_the_column_says(strategy):
    made = run([0, 3, 3, 3, 3, 3, 3, -1, -1, -1], strategy)
    units = [0, 0, 3, 3, 3, 3, 3, 3, -1, -1]
    for day, unit in zip(made.equity()["day"][1:], units, strict=True):
        assert held(made, day) == ({"A": 2.0 * unit, "B": -1.0 * unit} if unit else {})
    # bought at the open of a bar that is one price, so a unit earns 2 x 1 + 0.5 on each later bar; turned on bar 8
    profit = np.diff(made.equity()["equity"].to_numpy())
    np.testing.assert_allclose(profit, [0, 0, 0, 7.5, 7.5, 7.5, 7.5, 7.5, 7.5, -2.5])
    assert made.first_events == [] and made.identity_holds


def test_both_legs_wait_where_one_cannot_trade():
    made = run([3] * 10, open=(1, 1), mark=(1, 1))  # B has no bar on the day of the entry
    days = made.equity()["day"][1:].to_list()
    assert [held(made, day) for day in days[:3]] == [{}, {}, {"A": 6.0, "B": -3.0}]
    assert [(event["day"], event["kind"]) for event in made.first_events] == [(str(days[1]), "spread waits")]


def test_a_leg_that_has_no_more_prices_breaks_the_spread_and_the_result_says_so():
    gone = (slice(3, None), 1)  # B, from the fourth bar on
    made = run([3] * 10, open=gone, mark=gone, settings=["stale_leg_days=2"])
    days = made.equity()["day"][1:].to_list()
    assert [held(made, day) for day in days[4:6]] == [{"A": 6.0, "B": -3.0}, {"B": -3.0}]
    assert made.summary["events"] == {"spread broken": 2}
    assert [note for note in made.summary["notes"] if "broken" in note] == [
        f"spreads broken, a leg could no longer trade and the others were closed: 1: pair 1 (first {days[4]})",
        "legs of broken spreads that are still held at the end: pair B -3",
    ]
    reasons = dict(made.trades().select("market", "exit_reason").cast(str).rows())
    assert reasons == {"A": "spread broken", "B": "open"}


def test_a_cut_of_one_leg_is_a_cut_of_whole_units():
    made = run([4] * 10, settings=["limits.max_contracts=5"])  # of A, of which a unit has two
    assert held(made, made.equity()["day"][-1]) == {"A": 4.0, "B": -2.0}
    assert {event["kind"] for event in made.first_events} == {"limit contracts"}


def test_a_spread_sized_by_its_volatility_knows_no_other_price_than_what_it_earned():
    made = run([0.0] * 4 + [1.0] * 6, settings=["sizing.rule=volatility", "sizing.span=1", "rounding=fractional"])
    units = [held(made, day).get("B", 0.0) / -1.0 for day in made.equity()["day"][1:]]
    # 2.5 dollars a day a unit: 10 million x 0.2 / (2.5 x sqrt 252) units, filled on the bar after the fifth
    np.testing.assert_allclose(units[5], 1e7 * 0.2 / (2.5 * np.sqrt(252)))
    assert held(made, made.equity()["day"][6])["A"] == pytest.approx(2.0 * units[5])
