"""engine/memo.py: what is remembered of a market, and arrays that are to be filled again and again."""

from threading import Thread

import numpy as np

from engine.memo import remembering, scratch, spare
from tests import small_runs


def test_only_what_was_handed_out_in_this_thread_may_be_written_over():
    market = remembering(small_runs.market([1.0, 2.0]))
    mine, other = scratch(market, "sizes", (3, 2)), []
    assert spare(market, mine) and scratch(market, "sizes", (3, 2)) is mine
    assert not spare(market, mine[:2]) and not spare(market, mine.copy()) and not spare(market, np.zeros((3, 2)))
    thread = Thread(target=lambda: other.append((scratch(market, "sizes", (3, 2)), spare(market, mine))))
    thread.start()
    thread.join()
    assert other[0][0] is not mine and not other[0][1] and not spare(market, other[0][0])


def test_of_a_market_that_remembers_nothing_no_array_is_spare():
    market = small_runs.market([1.0, 2.0])
    assert not spare(market, scratch(market, "sizes", (3, 2)))
