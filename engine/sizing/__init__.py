"""Sizing: from forecasts to contracts, or to contracts per unit of capital; rules by name."""

from engine.sizing.equal import EqualRisk
from engine.sizing.fixed import FixedContracts, FixedNotional
from engine.sizing.kelly import Kelly, KellyPortfolio
from engine.sizing.percent import PercentRisk
from engine.sizing.portfolio import PortfolioVolatility
from engine.sizing.shares import available_markets
from engine.sizing.sizer import YEAR, Sizer, per_unit, smallest_account
from engine.sizing.volatility import VolatilityTarget

SIZERS = {
    "fixed": FixedContracts,
    "notional": FixedNotional,
    "risk": PercentRisk,
    "volatility": VolatilityTarget,
    "portfolio_volatility": PortfolioVolatility,
    "kelly": Kelly,
    "kelly_portfolio": KellyPortfolio,
    "equal_risk": EqualRisk,
}

__all__ = ["SIZERS", "YEAR", "Sizer", "VolatilityTarget", "available_markets", "per_unit", "smallest_account"]
