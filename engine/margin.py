"""Margin in dollars a contract, by date: what is required, when it is called, what is refused.

Requirements net the lines that hold the same contract. A margin that nobody knows is never zero: it is estimated from
volatility and flagged, or the run is refused.
"""

import numpy as np

from engine.kernel import kernel


class MarginUnknown(ValueError):
    """A market has no margin for some days and the portfolio asks for an error rather than an estimate."""


def estimated(volatility, multiplier, k):
    """Margin a contract where the exchange's figure is not known.

    .. math:: margin = k \\cdot \\sigma \\cdot M

    Parameters
    ----------
    volatility : array (time, market)
        Standard deviation of a day's price change. [points]
    multiplier : array (time, market)
        [local currency / point]
    k : float
        Days' standard deviations that the margin covers; exchanges aim at the loss of a day or two at 99 %.

    Returns
    -------
    array (time, market)
        [local currency / contract]; nan before the first volatility.

    >>> float(estimated(np.array([[30.0]]), np.array([[50.0]]), 4.0)[0, 0])
    6000.0
    """
    return k * volatility * multiplier


@kernel
def required(position, instrument, per_contract, fx):
    """Margin of all positions on one bar; lines of the same contract net first.

    Parameters
    ----------
    position : array (line,)
        [contracts, signed]
    instrument : array (line,)
        Index of the market of each line.
    per_contract : array (market,)
        [local currency / contract]
    fx : array (market,)
        [account currency / local]

    Returns
    -------
    float
        [account currency]; a market without position costs nothing whatever its margin.

    >>> required(np.array([3.0, -1.0]), np.array([0, 0]), np.array([10000.0]), np.array([1.2]))
    24000.0
    """
    net = np.zeros(per_contract.shape[0])
    for i in range(position.shape[0]):
        net[instrument[i]] += position[i]
    total = 0.0
    for m in range(net.shape[0]):
        if net[m] != 0.0:
            total += abs(net[m]) * per_contract[m] * fx[m]
    return total


@kernel
def cut(position, equity, initial):
    """Positions to which a margin call cuts: whole contracts, toward zero, until initial margin is at most equity.

    >>> cut(np.array([5.0, -3.0]), 6000.0, 10000.0)
    array([ 3., -1.])
    """
    share = 0.0
    if initial > 0.0 and equity > 0.0:
        share = min(1.0, equity / initial)
    return np.trunc(position * share)


@kernel
def affordable(target, position, instrument, per_contract, fx, equity):
    """Targets after the check of initial margin: decreases pass, increases are scaled down to what equity covers.

    T29: with equity 20,000 and 13,200 a contract a wish for two is one.

    >>> affordable(np.array([2.0]), np.array([0.0]), np.array([0]), np.array([13200.0]), np.array([1.0]), 20000.0)
    array([1.])
    """
    if required(target, instrument, per_contract, fx) <= equity:
        return target
    kept = np.empty_like(target)  # the part of each target that needs no increase
    for i in range(target.shape[0]):
        same_side = target[i] * position[i] > 0.0
        kept[i] = np.sign(target[i]) * min(abs(target[i]), abs(position[i])) if same_side else 0.0
    base = required(kept, instrument, per_contract, fx)
    whole = required(target, instrument, per_contract, fx)
    share = max(0.0, (equity - base) / (whole - base)) if whole > base else 0.0
    out = kept.copy()
    for _ in range(20):  # truncating lines that offset each other can raise the net: take less until it fits
        for i in range(target.shape[0]):
            out[i] = kept[i] + np.trunc((target[i] - kept[i]) * share)
        if share == 0.0 or required(out, instrument, per_contract, fx) <= equity:
            return out
        share *= 0.9
    return kept
