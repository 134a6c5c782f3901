"""Margin: netting, spread credit, who is cut by a call, what increase is refused."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest

from engine import book, margin
from engine import netting as nets
from engine.kernel import opened
from engine.netting import Holdings, left_of, netting, whole_part
from tests.conftest import REPO
from tests.plain_margin import Account, random_book

required = opened(nets.required)
call, affordable, pro_rata = (opened(kernel) for kernel in (margin.call, margin.affordable, margin.pro_rata))
RULES = (book.PRO_RATA, book.LARGEST_REQUIREMENT, book.LARGEST_LOSER)
BOOKS = range(200)


def lines_of(root, instrument=None, member=None, ratio=None):
    """Lines of some roots, each a member of its own unless said."""
    row = np.arange(len(root))
    market = row if instrument is None else np.array(instrument)
    mine = row if member is None else np.array(member)
    each = np.ones(len(root)) if ratio is None else np.array(ratio, float)
    return book.Lines(market, mine, each, 0 * row, np.array(root), row, row)


def holdings(position, contract=None, left=None, left_contract=None):
    position, zero = np.array(position, float), np.zeros(len(position), np.int64)
    behind = 0 * position if left is None else np.array(left, float)
    contract = zero + 202403 if contract is None else np.array(contract)
    return Holdings(position, behind, contract, zero if left_contract is None else np.array(left_contract))


def margin_of(held, lines, per_contract, credit=0.0, fx=1.0):
    each = np.array(per_contract, float)
    room = netting(lines)
    return required(held.position, held.left, held, lines, room, each, fx + 0 * each, credit)


def called(held, lines, per_contract, equity, rule, profit=None, credit=0.0, whole=True):
    each, out = np.array(per_contract, float), np.empty(len(held.position))
    profit = np.zeros(len(out)) if profit is None else np.array(profit, float)
    left = call(held, profit, lines, netting(lines), each, 1 + 0 * each, credit, equity, rule, whole, out)
    assert left <= max(equity, 0.0)
    return out.tolist()


def allowed(target, held, lines, per_contract, equity, credit=0.0, whole=True):
    each, out, target = np.array(per_contract, float), np.empty(len(target)), np.array(target, float)
    count = affordable(target, held, lines, netting(lines), each, 1 + 0 * each, credit, equity, whole, out)
    assert count == np.sum(out != target)
    return out.tolist()


def test_lines_of_one_contract_net_before_margin():
    assert margin_of(holdings([3, -1]), lines_of([0, 0]), [1000, 1000]) == 2000
    assert margin_of(holdings([3, -3]), lines_of([0, 0]), [1000, 1000]) == 0


def test_lines_of_two_contracts_of_a_root_do_not_net():
    assert margin_of(holdings([3, -1], [202403, 202406]), lines_of([0, 0]), [1000, 1000]) == 4000


def test_the_same_month_of_two_roots_does_not_net():
    assert margin_of(holdings([3, -1]), lines_of([0, 1]), [1000, 500]) == 3500


def test_a_part_left_in_the_old_contract_nets_with_who_holds_that():
    held = holdings([5, -2], [202406, 202403], [2, 0], [202403, 0])  # 3 of June, 2 - 2 of March
    assert margin_of(held, lines_of([0, 0]), [1000, 1000]) == 3000


def test_spread_credit_waives_a_part_of_both_sides():
    """Ten against four: 14 contracts, of which eight are matched; eight tenths of those eight are waived."""
    held = holdings([10, -4], [202403, 202406])
    assert margin_of(held, lines_of([0, 0]), [1000, 1000], credit=0.8) == pytest.approx(14000 - 0.8 * 8000)


def test_spread_credit_is_not_given_between_roots():
    assert margin_of(holdings([10, -4], [202403, 202406]), lines_of([0, 1]), [1000, 1000], credit=0.8) == 14000


def test_a_full_credit_leaves_the_unmatched():
    assert margin_of(holdings([10, -4], [202403, 202406]), lines_of([0, 0]), [1000, 1000], credit=1.0) == 6000


def test_the_larger_figure_holds_where_two_columns_have_one_contract():
    assert margin_of(holdings([1, 1]), lines_of([0, 0]), [1000, 1200]) == 2400


def test_a_market_without_position_may_have_no_margin():
    for root in ([0, 1], [0, 0]):
        assert margin_of(holdings([2, 0]), lines_of(root), [1000, np.nan]) == 2000


def test_t33_margin_of_a_foreign_market_is_converted():
    assert margin_of(holdings([1]), lines_of([0]), [10000], fx=1.20) == 12000


def test_a_reduction_takes_the_part_that_is_left_first():
    assert left_of(4.0, 5.0, 2.0) == 1.0
    assert left_of(-3.0, -5.0, -1.0) == 0.0
    assert left_of(0.0, 5.0, 2.0) == 0.0
    assert left_of(8.0, 5.0, 2.0) == 2.0


@pytest.mark.parametrize(("x", "expected"), [(2.999, 2), (3 - 1e-15, 3), (3.0, 3), (0.7, 0), (1e12 + 0.5, 1e12)])
def test_whole_parts_forgive_rounding_only(x, expected):
    assert whole_part(x) == expected


def test_t29_a_second_contract_that_equity_does_not_cover_is_refused():
    assert allowed([2], holdings([0]), lines_of([0]), [13200], 20000) == [1]
    assert allowed([2], holdings([0]), lines_of([0]), [13200], 26400) == [2]


def test_t29_a_call_cuts_whole_contracts_until_margin_is_covered():
    for rule in RULES:
        assert called(holdings([5]), lines_of([0]), [13200], 40000, rule) == [3]
        assert called(holdings([5]), lines_of([0]), [13200], 39600, rule) == [3]
        assert called(holdings([5]), lines_of([0]), [13200], 39599, rule) == [2]


@pytest.mark.parametrize("equity", [0.0, -5000.0])
@pytest.mark.parametrize("rule", RULES)
def test_without_equity_all_is_sold(rule, equity):
    assert called(holdings([5, -3]), lines_of([0, 1]), [1000, 2000], equity, rule) == [0, 0]


def test_what_fits_is_not_cut():
    for rule in RULES:
        assert called(holdings([5, -3]), lines_of([0, 1]), [1000, 2000], 11000, rule) == [5, -3]


def test_a_call_pro_rata_cuts_all_alike():
    """11,000 asked, 6,000 there: 5 and -3 times 6/11 are 2.7 and -1.6."""
    assert called(holdings([5, -3]), lines_of([0, 1]), [1000, 2000], 6000, book.PRO_RATA) == [2, -1]


def test_a_call_can_cut_the_largest_requirement_first():
    """5,000 and 6,000: the second gives three contracts, the most it has, and then it fits."""
    assert called(holdings([5, -3]), lines_of([0, 1]), [1000, 2000], 6000, book.LARGEST_REQUIREMENT) == [5, 0]
    assert called(holdings([5, -3]), lines_of([0, 1]), [1000, 2000], 4500, book.LARGEST_REQUIREMENT) == [4, 0]


def test_a_call_can_cut_the_largest_loser_first():
    held, lines = holdings([5, -3, 4]), lines_of([0, 1, 2])
    for equity, expected in ((10000, [0, -3, 4]), (9999, [0, -2, 4]), (4500, [0, 0, 4]), (3500, [0, 0, 3])):
        profit = [-900, 300, 500]
        assert called(held, lines, [1000, 2000, 1000], equity, book.LARGEST_LOSER, profit) == expected


def test_of_equal_losers_the_first_line_is_cut_first():
    assert called(holdings([3, 3]), lines_of([0, 1]), [1000, 1000], 5000, book.LARGEST_LOSER) == [2, 3]


def test_a_call_does_not_take_away_a_hedge():
    """Ten long and nine short of one contract require one: the long one gives that, the losing hedge stays."""
    held, lines = holdings([10, -9]), lines_of([0, 0])
    assert called(held, lines, [1000, 1000], 500, book.LARGEST_LOSER, [9, -9]) == [9, -9]
    assert called(held, lines, [1000, 1000], 500, book.LARGEST_REQUIREMENT) == [9, -9]


def test_a_call_pro_rata_goes_on_until_netted_lines_fit():
    out = called(holdings([10, -9]), lines_of([0, 0]), [1000, 1000], 500, book.PRO_RATA)
    assert out[0] + out[1] == 0


def test_where_no_single_cut_helps_a_call_cuts_pro_rata():
    """Ten against ten with a credit of 0.8 require 4,000; nine against ten require more."""
    held, lines = holdings([10, -10], [202403, 202406]), lines_of([0, 0])
    for rule in RULES:
        assert called(held, lines, [1000, 1000], 2000, rule, [-1, 0], credit=0.8) == [5, -5]


def test_a_spread_is_cut_by_whole_units():
    held, lines = holdings([6, -9, 4]), lines_of([0, 1, 2], member=[0, 0, 1], ratio=[2, -3, 1])
    for rule, expected in ((book.LARGEST_REQUIREMENT, [4, -6, 4]), (book.LARGEST_LOSER, [4, -6, 4])):
        assert called(held, lines, [1000, 1000, 1000], 14000, rule, [-5, 1, 0]) == expected
    assert called(held, lines, [1000, 1000, 1000], 14000, book.PRO_RATA) == [4, -6, 2]


def test_fractional_positions_are_cut_to_the_cent():
    held, lines = holdings([5.5, -3.25]), lines_of([0, 1])
    for rule in RULES:
        out = called(held, lines, [1000, 2000], 6000, rule, [0, -1], whole=False)
        assert 1000 * out[0] - 2000 * out[1] == pytest.approx(6000)


def test_decreases_pass_however_little_equity_there_is():
    assert allowed([2, 0], holdings([5, -3]), lines_of([0, 1]), [1000, 2000], -1e6) == [2, 0]


def test_increases_share_what_decreases_leave():
    """Base 2,000; 10,000 more are wanted and 5,000 there: half of each increase, whole."""
    assert allowed([2, -5], holdings([5, 0]), lines_of([0, 1]), [1000, 2000], 7000) == [2, -2]


def test_a_turn_is_an_increase_of_the_other_side():
    assert allowed([-4], holdings([5]), lines_of([0]), [1000], 2500) == [-2]


def test_an_increase_that_hedges_needs_no_equity():
    held, lines = holdings([10, 0]), lines_of([0, 0])
    assert allowed([10, -10], held, lines, [1000, 1000], 0) == [10, -10]


def test_a_spread_is_entered_by_whole_units():
    lines = lines_of([0, 1], member=[0, 0], ratio=[2, -3])
    assert allowed([8, -12], holdings([2, -3]), lines, [1000, 1000], 13999) == [4, -6]


def random_account(seed, whole):
    held, lines, per_contract, fx, credit, target = random_book(seed, whole)
    plain = Account(held, lines, per_contract, fx, credit)
    room = netting(lines)
    full = plain.required(list(held.position), list(held.left))
    share = np.random.default_rng(seed).choice([0.0, 0.2, 0.5, 0.9, 1.1])
    return held, lines, room, (per_contract, fx, credit), target, plain, full * share


def test_requirements_are_those_of_the_slow_twin():
    for seed in BOOKS:
        held, lines, room, rates, _, plain, _ = random_account(seed, whole=seed % 2 == 0)
        expected = plain.required(list(held.position), list(held.left))
        assert required(held.position, held.left, held, lines, room, *rates) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_calls_cut_as_the_slow_twin_does(rule):
    for seed in BOOKS:
        whole = seed % 3 > 0
        held, lines, room, rates, _, plain, equity = random_account(seed, whole)
        profit = np.random.default_rng(seed).integers(-3, 4, len(held.position)) * 100.0
        out = np.empty(len(profit))
        left = call(held, profit, lines, room, *rates, equity, rule, whole, out)
        assert out == pytest.approx(np.array(plain.call(profit, equity, rule, whole)), rel=1e-9, abs=1e-9), seed
        assert left <= equity
        assert np.all(out * held.position >= 0) and np.all(abs(out) <= abs(held.position))


def test_increases_are_refused_as_the_slow_twin_does():
    for seed in BOOKS:
        whole = seed % 3 > 0
        held, lines, room, rates, target, plain, equity = random_account(seed, whole)
        out, before = np.empty(len(target)), target.copy()
        affordable(target, held, lines, room, *rates, equity, whole, out)
        assert out == pytest.approx(np.array(plain.affordable(target, equity, whole)), rel=1e-9, abs=1e-9), seed
        assert np.array_equal(target, before)
        assert np.all(abs(out) <= abs(target)) and np.all(out * target >= 0)


def test_a_thousand_times_the_capital_stays_finite_and_quick():
    held = holdings([3e9, -2e9, 1e9], [202403, 202406, 202403])
    lines, began = lines_of([0, 0, 1]), time.perf_counter()
    for rule in RULES:
        for credit in (0.0, 0.5):
            out = np.array(called(held, lines, [1e5, 1e5, 2e6], 2.1e15, rule, [-1e12, 1e12, 0], credit))
            assert np.all(np.isfinite(out)) and np.all(out == np.trunc(out)) and np.sum(abs(out)) < 6e9
    assert time.perf_counter() - began < 5.0  # one contract after the other would take minutes


@pytest.mark.service
def test_kernels_read_and_write_inside_their_arrays():
    """Compiled, an index too large spoils memory in silence; as plain Python it is an error."""
    code = (
        "from tests import test_engine_limits as two, test_engine_margin as one\n"
        "one.BOOKS = two.BOOKS = range(40)\n"
        "for rule in one.RULES: one.test_calls_cut_as_the_slow_twin_does(rule)\n"
        "one.test_increases_are_refused_as_the_slow_twin_does()\n"
        "two.test_limits_cut_as_the_slow_twin_does()\n"
    )
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPO, env=environment)
    assert done.returncode == 0, done.stderr


def test_pro_rata_starts_from_what_it_is_given():
    held, lines = holdings([9, 9]), lines_of([0, 1])
    out = np.array([4.0, 2.0])
    one = np.array([1000.0, 1000.0])
    assert pro_rata(out, held, lines, netting(lines), one, one / one, 0.0, 3000.0, True) == 3000.0
    assert out.tolist() == [2.0, 1.0]
