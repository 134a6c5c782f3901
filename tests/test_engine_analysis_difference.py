"""What one run earned more than another, in parts that sum to it."""

from functools import cache

import numpy as np
import pytest

from engine import backtest
from engine.analysis.difference import ACCOUNT, DIFFERENCE, NotComparable, difference
from engine.result import RunResult
from tests import random_runs
from tests.small_runs import Buys, market, portfolio


@cache
def random(seed):
    """A random run in dollars."""
    run, _, _ = random_runs.run_of(seed)
    doors = ("equity", "trades", "ledger", "fills", "positions")
    return RunResult(run.summary | {"currency": "USD"}, None, [], {name: getattr(run, name)() for name in doors})


def made(wants, settings=(), mark=None, **changes):
    """A run over four days of A (up 10 points a day) and B (down 5), bought before the first rise."""
    steps = np.arange(5.0)
    mark = np.column_stack([100.0 + 10.0 * steps, 200.0 - 5.0 * steps]) if mark is None else mark
    held = market(mark, open=np.vstack([mark[:1], mark[:-1]]), **changes)
    return backtest(
        held, portfolio((Buys.of(np.array(wants, float)), {}), settings=["portfolio.capital=1e5", *settings])
    )


def row(found, name):
    """Selection, sizing, timing, cost, other, period and total of a market."""
    told = found.filter(found["market"] == name).row(0, named=True)
    return tuple(round(told[key], 9) for key in ("selection", "sizing", "timing", "cost", "other", "period", "total"))


def test_more_contracts_on_the_same_days_are_sizing():
    first = made([[2, 0]] * 5)  # 2 A over four closes of five: 8 / 5 = 1.6 contracts, 2 x 40 = 80: 50 a contract
    same = made([[4, 0], [4, 0], [0, 0], [0, 0], [0, 0]])  # 4 over two closes: 1.6 contracts, 4 x 20 = 80
    assert row(difference(first, same), "A") == (0.0,) * 7
    more = made([[4, 0]] * 3 + [[0, 0]] * 2)  # 4 over three: 2.4 contracts, 120: 50 a contract again
    assert row(difference(first, more), "A") == (0.0, 40.0, 0.0, 0.0, 0.0, 0.0, 40.0)  # 0.8 more, 50 each


def test_the_example_of_the_page_fewer_contracts_on_better_days():
    mark = np.column_stack([[100.0, 110.0, 120.0, 90.0, 90.0], [1.0] * 5])
    first, second = made([[2, 0]] * 5, mark=mark), made([[3, 0], [3, 0], [0, 0], [0, 0], [0, 0]], mark=mark)
    # first: 2 on four closes of five, s 1.6: 2 x (90 - 100) = -20, k -12.50
    # second: 3 on two closes, s 1.2: 3 x 20 = 60, k 50. Sizing (1.2 - 1.6) x 18.75 = -7.50, timing 62.50 x 1.4 = 87.50
    found = difference(first, second)
    assert row(found, "A") == (0.0, -7.5, 87.5, 0.0, 0.0, 0.0, 80.0)
    told = found.filter(found["market"] == "A").row(0, named=True)
    assert (told["contracts_1"], told["contracts_2"], told["earned_1"], told["earned_2"]) == (1.6, 1.2, -20.0, 60.0)


def test_a_market_that_one_run_alone_held_is_selection():
    both, one = made([[1, -1]] * 5), made([[1, 0]] * 5)
    assert row(difference(one, both), "B") == (20.0, 0.0, 0.0, 0.0, 0.0, 0.0, 20.0)
    assert row(difference(both, one), "B") == (-20.0, 0.0, 0.0, 0.0, 0.0, 0.0, -20.0)


def test_costs_and_interest_are_parts_of_their_own():
    free = made([[1, 0]] * 5)
    dear = made([[1, 0]] * 5, ["costs.commission_per_side=3"], rate=np.full(5, 0.036))
    found = difference(free, dear)
    assert row(found, "A")[:4] == (0.0, 0.0, 0.0, -3.0)
    assert row(found, ACCOUNT)[4] == pytest.approx(dear.summary["ledger"]["interest"])
    assert found["market"].to_list()[-1] == ACCOUNT


def test_days_that_one_run_alone_has_are_its_period():
    long, late = made([[1, 0]] * 5), made([[1, 0]] * 5, ["portfolio.start=2024-01-03"])
    found = difference(late, long)
    # the first of January is a Monday; long has 10 a day from the 2nd on; late buys on the 4th
    assert row(found, "A")[5] == 10.0
    assert found["total"].sum() == pytest.approx(20.0)


def test_accounts_of_different_currencies_are_not_compared():
    run = made([[1, 0]] * 5)
    other = RunResult(run.summary | {"currency": "EUR", "run": "ab"}, None, [], {})
    with pytest.raises(
        NotComparable, match=r"is in USD, run ab in EUR; run one of them with --set portfolio\.currency"
    ):
        difference(run, other)


@pytest.mark.parametrize("seed", range(0, 40, 2))
def test_the_parts_sum_to_the_difference_in_profit_and_change_sign_with_the_runs(seed):
    first, second = random(seed), random(seed + 1)
    changes = [run.equity()["equity"][-1] - run.equity()["equity"][0] for run in (first, second)]
    there, back = difference(first, second), difference(second, first)
    assert list(there.columns) == list(DIFFERENCE)
    assert there["total"].sum() == pytest.approx(changes[1] - changes[0], abs=0.005)
    for name in ("selection", "sizing", "timing", "cost", "other", "period", "total"):
        assert there[name].to_numpy() == pytest.approx(-back[name].to_numpy(), abs=1e-6)
    assert difference(first, first)["total"].abs().sum() < 1e-9
