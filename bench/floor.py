"""The floor: the least that a backtest can do over the same arrays, to measure our simulation against.

A moving-average crossover, filled at the next open one tick worse, commission, marked at the close. No rolls, margin,
currencies, limits or ledger: what those cost is the ratio of our loop to this one.

    python -m bench.floor           # 24 markets x 20 years of noise
"""

import time

import numba
import numpy as np

from store import system

TIE = 1e-9  # share of the price within which two averages are equal: rounding must not make a signal


@numba.njit(cache=True, nogil=True)
def floor(open, close, fast, slow, multiplier, tick, capital, contracts, commission, slippage):
    """Equity at each bar of a crossover that is always in the market once `slow` bars were seen.

    Parameters
    ----------
    open, close : array (time, market), C order
        nan where a market did not trade; it then keeps its order, its averages and its mark. [points]
    fast, slow : int
        Lengths of the two averages of the close. [bars of the market]
    multiplier, tick, contracts : array (market,)
        [account currency / point], [points], [contracts held, long or short]
    capital, commission, slippage : float
        [account currency], [account currency a contract and side], [ticks a side]

    Returns
    -------
    array (time,)
        [account currency]
    """
    times, markets = close.shape
    equity = np.empty(times)
    window = np.empty((markets, slow))  # the last `slow` closes of a market, in a ring
    count = np.zeros(markets, np.int64)
    place = np.zeros(markets, np.int64)
    sum_fast = np.zeros(markets)
    sum_slow = np.zeros(markets)
    held = np.zeros(markets)
    wanted = np.zeros(markets)
    last = np.zeros(markets)
    cost = np.empty(markets)
    for m in range(markets):
        cost[m] = slippage * tick[m] * multiplier[m] + commission
    share_fast, share_slow = 1.0 / fast, 1.0 / slow
    worth = capital
    for t in range(times):
        for m in range(markets):
            price, fill = close[t, m], open[t, m]
            if np.isnan(price) or np.isnan(fill):
                continue
            position, target = held[m], wanted[m]
            gain = position * (fill - last[m]) + target * (price - fill)
            worth += gain * multiplier[m] - abs(target - position) * cost[m]
            held[m] = target
            last[m] = price
            n, here = count[m], place[m]
            back = here - fast
            sum_fast[m] += price - (window[m, back if back >= 0 else back + slow] if n >= fast else 0.0)
            sum_slow[m] += price - (window[m, here] if n >= slow else 0.0)
            window[m, here] = price
            place[m] = here + 1 if here + 1 < slow else 0
            count[m] = n + 1
            if n + 1 >= slow:
                gap = sum_fast[m] * share_fast - sum_slow[m] * share_slow
                if abs(gap) > TIE * abs(price):
                    wanted[m] = contracts[m] if gap > 0.0 else -contracts[m]
        equity[t] = worth
    return equity


def walk(times, markets, seed=7):
    """Opens and closes of a random walk around 1000 points. Arrays (time, market)."""
    change = np.random.default_rng(seed).normal(0.0, 5.0, (2 * times, markets))
    path = 1000.0 + np.round(np.cumsum(change, axis=0) * 4.0) / 4.0
    return np.ascontiguousarray(path[0::2]), np.ascontiguousarray(path[1::2])


def seconds(function, rounds=20):
    """Best and median time of a call. [s]"""
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        function()
        taken.append(time.perf_counter() - start)
    return min(taken), float(np.median(taken))


def main(times=5040, markets=24):
    """Time the floor and say what a bar costs."""
    opens, closes = walk(times, markets)
    ones = np.ones(markets)
    arguments = (opens, closes, 20, 100, 50.0 * ones, 0.25 * ones, 1e7, ones, 2.5, 1.0)
    floor(*arguments)
    best, median = seconds(lambda: floor(*arguments))
    bars = times * markets
    print(f"{system.host()}: floor, {markets} markets x {times} bars:", end=" ")
    print(f"best {best * 1e3:.2f} ms ({best / bars * 1e9:.1f} ns a bar), median {median * 1e3:.2f} ms")


if __name__ == "__main__":
    main()
