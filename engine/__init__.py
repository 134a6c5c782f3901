"""Computes on arrays (time, market): forecasts, sizes, the simulation, its numbers."""

from engine import compiled  # isort: skip  before any kernel is defined
from engine.backtest import backtest
from engine.market import Market, load
from engine.portfolio import Portfolio
from engine.result import RunResult
from engine.strategies import STRATEGIES

__all__ = ["STRATEGIES", "Market", "Portfolio", "RunResult", "backtest", "compiled", "load"]
