"""What a line earned and paid, told again from contract prices, is the ledger and the trades, to a millionth."""

from collections import defaultdict
from types import SimpleNamespace

import numpy as np
import pytest

from engine.analysis.steps import Steps
from tests import random_books, random_runs

SEEDS = [seed for seed in range(60) if seed % 5 != 4]  # those of daily bars: within the day marks are not kept


def steps_of(seed):
    """(run, its steps) of a random book."""
    run, curved, ledger = random_runs.run_of(seed)
    prices, facts, lines = random_books.book_of(seed)[:3]
    given = SimpleNamespace(market=curved.market, prices=prices, facts=facts, layout=SimpleNamespace(lines=lines))
    return run, Steps(run, given), ledger


@pytest.mark.parametrize("seed", SEEDS)
def test_steps_from_fills_and_prices_are_the_ledger_day_by_day_and_cause_by_cause(seed):
    run, made, _ = steps_of(seed)
    booked, told = defaultdict(float), defaultdict(float)
    for row in run.ledger().iter_rows(named=True):
        if row["cause"] not in ("interest", "fx", "fee", "transfer"):
            booked[row["line"], row["day"], row["cause"]] += row["amount"]
    for line in range(len(made.column)):
        for step in made.of(line):
            told[line, made.days[step.day].item(), step.cause] += step.amount
    for key in {**booked, **told}:
        assert told[key] == pytest.approx(booked[key], abs=1e-6), key


@pytest.mark.parametrize("seed", SEEDS)
def test_steps_are_told_of_the_right_trade(seed):
    run, made, _ = steps_of(seed)
    for line in range(len(made.column)):
        trades = run.trades().filter(run.trades()["line"] == line).sort("trade")
        sums = np.zeros(len(trades))
        for step in made.of(line):
            sums[step.trade] += step.amount
        assert sums == pytest.approx(trades["net"].to_numpy(), abs=1e-5)


@pytest.mark.parametrize("seed", SEEDS[:12])
def test_steps_of_some_days_are_those_of_all_days(seed):
    _, made, _ = steps_of(seed)
    rng = np.random.default_rng(seed)
    for line in range(len(made.column)):
        every = made.of(line)
        first, last = sorted(rng.integers(0, len(made.days), 2).tolist())
        some = [step for step in every if first <= step.day <= last]
        again = made.of(line, first, last)
        assert len(again) == len(some)
        for one, other in zip(again, some, strict=True):
            assert one[:5] == other[:5]
            assert one[5:] == pytest.approx(other[5:], nan_ok=True, abs=1e-9)
