"""Strategies by name, ours first; a user's own are listed after them by `engine.strategy.load_user`."""

from engine.strategies.trend import MovingAverageCross

STRATEGIES = {
    "moving_average_cross": MovingAverageCross,
}
