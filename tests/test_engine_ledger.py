"""The ledger of any portfolio: every cent once, whatever happens to it on the way."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.book import CAUSES, COSTS, EVENTS, FX, GROSS, LINE, TRANSFER
from engine.simulate import simulate
from engine.tables import identity_holds
from tests import random_books

CENT = 0.005


def test_the_ledger_of_any_portfolio_sums_to_the_change_of_equity(portfolios):
    seen = set()

    @settings(max_examples=portfolios, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(seed=st.integers(0, 2**32 - 1))
    def adds_up(seed):
        book = random_books.book_of(seed)
        ledger, sleeves = simulate(*book), book[8]
        capital = sleeves.capital.sum()
        change = np.diff(ledger.equity, prepend=capital)
        assert np.allclose(ledger.amount.sum(axis=(1, 2)), change, rtol=0, atol=CENT)
        assert abs(ledger.amount.sum() - (ledger.equity[-1] - capital)) < CENT
        assert np.allclose(ledger.sleeve.sum(axis=1), ledger.equity, rtol=0, atol=CENT)
        assert identity_holds(ledger)
        by_line = ledger.amount[:, :-1].sum(axis=(0, 2)) - ledger.amount[:, :-1, FX].sum(axis=0)
        for told in (ledger.trades, ledger.legs):
            sums = np.bincount(told[:, LINE].astype(int), told[:, GROSS] + told[:, COSTS], len(by_line))
            assert np.allclose(sums, by_line, rtol=0, atol=CENT)
        seen.update(EVENTS[int(kind)] for kind in ledger.events[:, 2])
        seen.update(CAUSES[k] for k in np.flatnonzero(ledger.amount.any(axis=(0, 1))))

    adds_up()
    met = {"margin call", "partial fill", "roll over several days", "limit locked", "spread waits", CAUSES[TRANSFER]}
    met |= {CAUSES[FX]}  # fx = hold
    assert met <= seen, "the random portfolios must meet what could go wrong"
