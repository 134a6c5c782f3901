"""Changing: a loaded portfolio, of which some params are changed again and again, as by a slider."""

from engine.blocks import Group, Source
from engine.grid import Grid
from engine.headline import STATISTICS
from engine.settings import ConfigError, check_keys
from engine.strategy import StrategyError


def changing(market, portfolio, keys, bars=None, within=None):
    """Make ready what does not depend on some settings.

    Parameters
    ----------
    market, bars, within
        As `backtest` takes them.
    portfolio : Portfolio
    keys : sequence of str
        As those of a grid (`engine.grid`). Params of strategies of forecasts are quick: 40 markets over 20 years take
        about ten milliseconds. Of other settings all is made anew.

    Returns
    -------
    function of {key: value}
        Gives `headline.STATISTICS` as a dict, and the daily returns, float32 array (traded day,). [fraction]

    Raises
    ------
    ConfigError
        A key that is unknown or cannot be swept; of the function, a value that its key does not take.
    StrategyError
        Of the function: values that the strategy refuses.

    Examples
    --------
    See docs/sweep.md.
    """
    given = {"bars": bars, "within": within}
    first = Grid.of(portfolio, {key: [0] for key in keys})  # its values are not looked at before a block is made
    ready = Group(Source(market, portfolio, first, **given), 0) if len(first.params) == len(first.axes) else None

    def told(values):
        check_keys(values, list(keys), "changing:")
        if lacking := [key for key in keys if key not in values]:
            raise ConfigError(f"changing: no value of {', '.join(lacking)}; allowed: one of each of {', '.join(keys)}")
        grid = Grid.of(portfolio, {key: [value] for key, value in values.items()})
        group = ready.with_values(grid) if ready else Group(Source(market, portfolio, grid, **given), 0)
        made = group.block([0], {0})
        if why := made.refused.get(0):
            raise StrategyError(why)
        return dict(zip(STATISTICS, made.statistics[0].tolist(), strict=True)), made.returns[0]

    return told
