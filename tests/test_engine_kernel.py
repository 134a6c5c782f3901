"""The compiler setting: runs must repeat bit for bit, and side by side."""

import numpy as np

from engine.kernel import kernel


@kernel
def added(values):
    """Sum from first to last."""
    total = 0.0
    for value in values:
        total += value
    return total


def test_sums_keep_the_order_in_which_they_are_written():
    values = np.array([1e16, 1.0, -1e16, 1.0] * 64 + [0.1] * 1000)
    total = 0.0
    for value in values.tolist():
        total += value
    assert added(values) == total
    assert total != added(values[::-1].copy())  # so that the order is seen to matter here


def test_a_kernel_frees_the_interpreter_lock_and_uses_no_fast_math():
    assert added.targetoptions["nogil"] is True
    assert not added.targetoptions["fastmath"]
    assert not added.targetoptions.get("parallel", False)


def test_a_kernel_is_kept_on_disk():
    added(np.ones(2))
    assert added.stats.cache_path
