"""store/roll_search.py: who crossed whom, and the days of each contract, by hand; all else: test_store_rolls."""

from datetime import date

import numpy as np
import test_store_rolls
from test_store_rolls import flat, make_bars, weekdays

from store import chain as chains
from store.roll_rules import parse_rule
from store.roll_search import Dates, Follower, crossings

market = test_store_rolls.market


def volumes(*rows):
    """The chain of contracts from 202402 on with this volume by day."""
    n = len(rows[0])
    return chains.load(make_bars(weekdays(n), {202402 + k: flat(n, volume=row) for k, row in enumerate(rows)}))


def test_the_next_contract_that_has_a_number_crosses_if_it_is_busier_than_every_nearer_one():
    chain = volumes([9, 5, 5, 5], [4, 6, 6, 6], [1, 1, 7, 6])
    found = crossings(chain, ("volume",), np.full(3, 3))["volume"].reshape(3, 4)
    assert found.tolist() == [[-1, 1, 1, 1], [-1, -1, 2, -1], [-1, -1, -1, -1]]  # 6 against 6 is no crossing
    found = crossings(chain, ("volume",), np.array([0, 3, 3]))["volume"].reshape(3, 4)
    assert found[1].tolist() == [-1, -1, 2, -1]
    busy = volumes([9, 9, 9], [1, 1, 1], [2, 2, 10])  # the second may be crossed only where the first is out of the way
    found = crossings(busy, ("volume",), np.array([0, 2, 2]))["volume"].reshape(3, 3)
    assert found[1].tolist() == [-1, 2, 2]
    assert crossings(chain, (), np.full(3, 3)) == {}


def test_a_contract_without_a_number_is_stepped_over():
    chain = volumes([5, 5], [6, None], [7, 7])
    found = crossings(chain, ("volume",), np.full(3, 1))["volume"].reshape(3, 2)
    assert found.tolist() == [[1, -1], [2, -1], [-1, -1]]  # on the second day the middle one has a row, and no number


def test_a_crossing_counts_on_the_day_on_which_its_number_is_known(market):
    chain = volumes([9, 1, 9, 1, 1], [5, 5, 5, 5, 5])
    seen = lambda rule, until: Follower(chain, market(), parse_rule(rule)).crossed(0, 1, 0, until).astype(int).tolist()  # noqa: E731
    assert seen("volume", 5) == [0, 1, 0, 1, 1]  # days 1 to 5, of which the last is none of the chain
    assert seen("volume:3", 5) == [0, 1, 0, 1, 1]  # N is not counted here
    assert seen("volume@2", 5) == [0, 0, 1, 0, 1]
    assert seen("volume+oi", 3) == [0, 0, 0] and seen("volume/oi", 3) == [0, 1, 0]


def test_a_contract_that_stands_between_must_be_crossed_first(market):
    chain = volumes([5, 5], [4, 4], [9, 9])
    follower = Follower(chain, market(), parse_rule("volume"))
    assert not follower.crossed(0, 2, 0, 2).any()  # the third is busier, and the second, which is next, is not
    assert follower.crossed(1, 2, 0, 2).tolist() == [True, True]


def test_days_of_the_contracts_as_dates_and_as_numbers_of_the_chain(market):
    days = weekdays(10)
    chain = volumes([1] * 10, [1] * 10)
    limits = {202402: days[6], 202403: date(2024, 6, 3)}
    dates = Dates(chain, market(limits), parse_rule("volume"))
    assert dates.last.tolist() == [days[6], date(2024, 6, 3)]
    assert (dates.limit.tolist(), dates.leave.tolist()) == ([6, 9], [6, 10])
    assert dates.due.tolist() == [4, 10]  # two business days before, where activity is unknown
    dates = Dates(chain, market(limits, trades={202402: days[8]}), parse_rule("last-trade-1"))
    assert dates.forced.tolist() == [True, True] and dates.due[0] == 6  # planned for day 7, after the last allowed
    assert dates.reason(0) == "forced: last-trade-1"
    retrospective = Dates(chain, None, parse_rule("volume"))
    assert np.isnat(retrospective.last).all() and retrospective.suffix == ", retrospective"


def test_the_first_contract_is_the_nearest_with_a_price_that_may_still_be_held(market):
    days = weekdays(4)
    bars = make_bars(days, {202402: flat(4), 202403: {"settle": [None, 1, 1, 1], "volume": [1] * 4}})
    chain, rule = chains.load(bars), parse_rule("volume")
    assert Follower(chain, market(), rule).start() == (0, 0)
    assert Follower(chain, market({202402: days[0]}), rule).start() == (1, 1)
    assert Follower(chain, market(dict.fromkeys((202402, 202403), days[0])), rule).start() is None
