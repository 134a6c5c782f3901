"""Spreads that break, against accounts worked by hand: a leg ends, or falls silent, and what becomes of the others."""

import numpy as np
import pytest

from engine.book import PRICE
from tests.hand import account, events, exits, fills

nan = np.nan
PAIR = {"lines": {"member": [0, 0], "ratio": [1.0, -1.0]}, "markets": 2, "target": 2.0, "multiplier": 10.0}
ENDED = "closed: no matched price"


def pair(*rows, **changes):
    """Two of a spread of A and B, long A and short B; each bar tells the price of both, the open as the mark."""
    return account(**(PAIR | {"fill": [*rows], "mark": [*rows]} | changes))


def broken(ledger):
    """Events of spreads that broke: (bar, line, held)."""
    return [(t, i, size) for t, i, what, size, _ in events(ledger) if what == "spread broken"]


# A leg ends


def ends(bar, bars, column=0):
    """Where the contract of a column ends."""
    out = np.zeros((bars, 2), bool)
    out[bar, column] = True
    return out


def test_of_a_spread_of_which_a_leg_ends_the_other_is_closed_on_the_next_bar():
    """A is bought at 100 and ends at its mark of 104: 2 x 4 x 10 = 80. B is sold at 50 and bought at 53: -60. Eight
    sides of 2.00. The spread is wanted all the time, but nothing of it is entered before it is flat."""
    fill = [[nan, nan], [100.0, 50.0], [nan, 51.0], [90.0, 53.0], [91.0, 53.0]]
    mark = [[100.0, 50.0], [104.0, 50.0], [nan, 51.0], [90.0, 54.0], [91.0, 53.0]]
    ledger = pair(fill=fill, mark=mark, closed=ends(2, 5), commission=2.0)
    assert ledger.position.tolist() == [[0.0, 0.0], [2.0, -2.0], [0.0, -2.0], [0.0, 0.0], [2.0, -2.0]]
    assert ledger.equity[3] == 20000.0 + 80.0 - 60.0 - 16.0
    assert events(ledger) == [(2, 0, ENDED, 2.0, 0.0), (2, 0, "spread broken", 0.0, 0.0),
                              (2, 1, "spread broken", -2.0, 0.0)]  # fmt: skip
    assert fills(ledger)[2:4] == [(2, 0, "closed", -2.0, 104.0), (3, 1, "market", 2.0, 53.0)]
    assert exits(ledger.trades) == ["closed", "spread broken", "open", "open"]


def test_of_three_legs_both_others_are_closed():
    three = np.tile([100.0, 50.0, 20.0], (5, 1))
    three[2, 1] = nan
    closed = np.zeros((5, 3), bool)
    closed[2, 1] = True
    lines = {"member": [0, 0, 0], "ratio": [1.0, -2.0, 1.0]}
    ledger = account(fill=three, mark=three, target=[3.0, 3.0, 0.0, 0.0, 0.0], markets=3, lines=lines, closed=closed)
    assert ledger.position.tolist()[1:4] == [[3.0, -6.0, 3.0], [3.0, 0.0, 3.0], [0.0, 0.0, 0.0]]
    assert broken(ledger) == [(2, 0, 3.0), (2, 1, 0.0), (2, 2, 3.0)]
    assert exits(ledger.trades) == ["closed", "spread broken", "spread broken"]


def test_nothing_is_broken_where_all_legs_end_on_one_bar():
    ledger = pair([100.0, 50.0], [100.0, 50.0], [nan, nan], [nan, nan], closed=ends(2, 4) | ends(2, 4, 1))
    assert ledger.position.tolist()[1:] == [[2.0, -2.0], [0.0, 0.0], [0.0, 0.0]]
    assert broken(ledger) == []
    assert exits(ledger.trades) == ["closed", "closed"]


def test_each_leg_of_a_broken_spread_waits_for_itself_and_nothing_is_entered_until_all_are_flat():
    """A ends on bar 2. B is locked at its upper limit on bar 3 and has no open on bar 4; A, which has a price again, is
    not bought. B goes on bar 5, on bar 6 both are entered."""
    rows = [[100.0, 50.0], [100.0, 50.0], [nan, 50.0], [90.0, 55.0], [90.0, 54.0], [90.0, 53.0], [90.0, 52.0]]
    fill = [list(row) for row in rows]
    fill[4][1] = nan
    locked = [[0, 0]] * 3 + [[0, 1]] + [[0, 0]] * 3
    ledger = pair(*rows, fill=fill, closed=ends(2, 7), locked=locked)
    assert ledger.position.tolist()[2:] == [[0.0, -2.0]] * 3 + [[0.0, 0.0], [2.0, -2.0]]
    assert events(ledger)[1:] == [(2, 0, "spread broken", 0.0, 0.0), (2, 1, "spread broken", -2.0, 0.0),
                                  (3, 1, "limit locked", 2.0, 0.0)]  # fmt: skip
    assert fills(ledger)[3] == (5, 1, "market", 2.0, 53.0)


def test_t23_each_leg_of_a_broken_spread_trades_what_its_own_volume_allows():
    """Three legs of 3, -6 and 3; the last ends. A tenth of 20 are 2 of A, of 50 are 5 of B: no whole units of the
    spread, of which 2 and 4 would go."""
    rows = np.tile([100.0, 50.0, 20.0], (5, 1))
    rows[2, 2] = nan
    volume = np.full((5, 3), 1000.0)
    volume[3:, 0], volume[3:, 1] = 20.0, 50.0
    closed = np.zeros((5, 3), bool)
    closed[2, 2] = True
    ledger = account(fill=rows, mark=rows, target=3.0, markets=3, volume=volume, participation=0.1, closed=closed,
                     lines={"member": [0, 0, 0], "ratio": [1.0, -2.0, 1.0]})  # fmt: skip
    assert ledger.position.tolist()[1:] == [[3.0, -6.0, 3.0], [3.0, -6.0, 0.0], [1.0, -1.0, 0.0], [0.0, 0.0, 0.0]]
    assert events(ledger)[4:] == [(3, 0, "partial fill", -3.0, -2.0), (3, 1, "partial fill", 6.0, 5.0)]


# A leg falls silent


def test_a_spread_is_broken_after_so_many_days_without_a_price_of_one_leg():
    """A has no price from bar 2 to 6. With three days allowed bar 4 breaks the spread, B, sold at 50, is bought at the
    47 of bar 5: +60. A keeps its mark of 100 and is sold on bar 7, at 90: -200."""
    silent = [[nan, 49.0], [nan, 48.0], [nan, 48.0], [nan, 47.0], [nan, 45.0]]
    ledger = pair([100.0, 50.0], [100.0, 50.0], *silent, [90.0, 44.0], [90.0, 44.0], stale_leg_days=3)
    assert ledger.position.tolist()[1:] == (
        [[2.0, -2.0]] * 4 + [[2.0, 0.0]] * 2 + [[0.0, 0.0]] + [[2.0, -2.0]]
    )  # fmt: skip
    assert events(ledger) == [(4, 0, "spread broken", 2.0, 0.0), (4, 1, "spread broken", -2.0, 0.0)]
    assert fills(ledger)[2:4] == [(5, 1, "market", 2.0, 47.0), (7, 0, "market", -2.0, 90.0)]
    assert ledger.amount[:7, 0, PRICE].sum() == 0.0
    assert ledger.equity[7] == 20000.0 + 60.0 - 200.0
    assert exits(ledger.trades)[:2] == ["spread broken", "spread broken"]


def test_a_silent_leg_holds_the_other_no_longer_than_the_days_allowed_though_it_is_not_wanted():
    """The wish ends on bar 2: both wait, as a spread does, until bar 3 breaks it."""
    rows = [[100.0, 50.0], [100.0, 50.0], [nan, 49.0], [nan, 48.0], [nan, 47.0]]
    ledger = pair(*rows, target=[2.0, 2.0, 0.0, 0.0, 0.0], stale_leg_days=2)
    assert ledger.position.tolist()[2:] == [[2.0, -2.0], [2.0, -2.0], [2.0, 0.0]]
    assert [(t, what) for t, _, what, *_ in events(ledger)] == [
        (3, "spread waits"), (3, "spread broken"), (3, "spread broken"),
    ]  # fmt: skip


@pytest.mark.parametrize(("days", "bar"), [(1, 2), (2, 4), (3, None)])
def test_days_on_which_no_leg_has_a_price_do_not_count_and_a_price_begins_anew(days, bar):
    """A is silent on bars 2, 4, 6 and 7; bar 3 is a holiday of both, on bar 5 A has a price."""
    silent = [[nan, 50.0], [nan, nan], [nan, 50.0], [100.0, 50.0], [nan, 50.0], [nan, 50.0]]
    ledger = pair([100.0, 50.0], [100.0, 50.0], *silent, stale_leg_days=days)
    assert [t for t, *_ in broken(ledger)][:1] == ([bar] if bar else [])


def test_each_leg_is_counted_for_itself():
    """A and B are silent in turn, neither on two days in a row."""
    rows = [[100.0, 50.0], [100.0, 50.0], [nan, 50.0], [100.0, nan], [nan, 50.0], [100.0, nan]]
    assert broken(pair(*rows, stale_leg_days=2)) == []


def test_days_without_a_price_are_counted_at_their_end_where_bars_are_within_the_day():
    """A day of one bar, then days of two. A has no price on bar 3, but on bar 4 of the same day; bars 5 to 8 are two
    days without one: the spread breaks on bar 8, and B goes on bar 9."""
    both, one = [100.0, 50.0], [nan, 50.0]
    rows = [both, both, both, one, both, one, one, one, one, one]
    end = [True, False, True, False, True, False, True, False, True, False]
    ledger = pair(*rows, stale_leg_days=2, day_end=end)
    assert broken(ledger) == [(8, 0, 2.0), (8, 1, -2.0)]
    assert ledger.position.tolist()[8:] == [[2.0, -2.0], [2.0, 0.0]]


def test_a_silent_leg_whose_contract_ends_is_closed_at_its_last_mark():
    """Broken on bar 3, B closed on bar 4, A with its contract on bar 5, at the 100 of bar 1; the break is told once."""
    silent = [[nan, 50.0]] * 4
    ledger = pair([100.0, 50.0], [100.0, 50.0], *silent, stale_leg_days=2, closed=ends(5, 6))
    assert ledger.position.tolist()[3:] == [[2.0, -2.0], [2.0, 0.0], [0.0, 0.0]]
    assert fills(ledger)[-1] == (5, 0, "closed", -2.0, 100.0)
    assert broken(ledger) == [(3, 0, 2.0), (3, 1, -2.0)]
    assert exits(ledger.trades) == ["spread broken", "closed"]


def test_below_the_floor_a_broken_spread_is_closed_for_that():
    """B rises from 50 to 60 on the bar on which A ends: -200 below the floor, which says why."""
    ledger = pair([100.0, 50.0], [100.0, 50.0], [nan, 60.0], [nan, 60.0], closed=ends(2, 4), floor=19_900.0)
    assert ledger.position.tolist()[3] == [0.0, 0.0]
    assert exits(ledger.trades) == ["closed", "capital floor"]


def test_a_market_alone_that_falls_silent_is_kept():
    ledger = account(fill=[100.0, 100.0] + [nan] * 8, mark=[100.0, 100.0] + [nan] * 8, target=1.0, stale_leg_days=1)
    assert ledger.position[1:, 0].tolist() == [1.0] * 9
    assert events(ledger) == []
