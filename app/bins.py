"""Bins of a histogram, fixed by the run: round edges, about two dozen, and ends that hold what lies beyond them.

Bin k holds edges[k] <= x < edges[k + 1]; the first one all that is smaller too, the last one all that is larger.
"""

import numpy as np

COUNT = 24  # bins, about
TAIL = 0.02  # share of the trades beyond either end, at most
STEPS = (1.0, 2.0, 2.5, 5.0)  # a width is one of these times a power of ten


def of_results(net):
    """Edges of the bins of results, zero one of them; array (bin + 1,). [account currency]

    >>> of_results(np.linspace(-1000.0, 1000.0, 101))[[0, 1, -2, -1]].tolist()
    [-1000.0, -900.0, 900.0, 1000.0]
    """
    low, high = np.quantile(net, (TAIL, 1.0 - TAIL)) if len(net) else (0.0, 0.0)
    return _edges(min(low, 0.0), max(high, 0.0), STEPS)


def of_holding(bars):
    """Edges of the bins of holding times, whole numbers from zero on; array (bin + 1,). [bars]

    >>> of_holding(np.array([1.0, 3.0, 3.0])).tolist()
    [0.0, 1.0, 2.0, 3.0, 4.0]
    """
    high = np.quantile(bars, 1.0 - TAIL) if len(bars) else 0.0
    return _edges(0.0, max(float(np.floor(high)), 0.0) + 1.0, (1.0, 2.0, 5.0), least=1.0)


def placed(values, edges):
    """Number of the bin of each value; array of int32."""
    return np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2).astype(np.int32)


def _edges(low, high, steps, least=0.0):
    """Multiples of a round width from below `low` to above `high`."""
    width = max((high - low) / COUNT, least)
    if not 0.0 < width < np.inf:
        return np.array([-1.0, 0.0, 1.0])
    power = 10.0 ** np.floor(np.log10(width))
    width = next((step * power for step in steps if step * power >= width * (1.0 - 1e-9)), 10.0 * power)
    first, last = np.floor(low / width + 1e-9), max(np.ceil(high / width - 1e-9), np.floor(low / width) + 1.0)
    return np.arange(first, last + 1.0) * width
