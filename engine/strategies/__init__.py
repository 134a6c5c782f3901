"""Strategies by name, ours first; a user's own are listed after them by `engine.strategy.load_user`."""

from engine.strategies.blend import Blend, Vote
from engine.strategies.calendar_spread import RollYieldSpread, SpreadReversion, SpreadTrend
from engine.strategies.carry import Carry, CarryRank, CarryTrend
from engine.strategies.regime import DrawdownBrake, QuietOnly, TrendFilter, VolatilityManaged, VolatilityRegime
from engine.strategies.reversion import BollingerReversal, RsiReversal, ShortTermReversal
from engine.strategies.seasonal import PreHoliday, SameMonth, SameMonthRank, TurnOfMonth
from engine.strategies.trend import Breakout, Ewmac, MovingAverageCross, TimeSeriesMomentum, TurtleUnits

STRATEGIES = {
    "moving_average_cross": MovingAverageCross,
    "ewmac": Ewmac,
    "time_series_momentum": TimeSeriesMomentum,
    "breakout": Breakout,
    "turtle_units": TurtleUnits,
    "carry": Carry,
    "carry_rank": CarryRank,
    "carry_trend": CarryTrend,
    "bollinger_reversal": BollingerReversal,
    "rsi_reversal": RsiReversal,
    "short_term_reversal": ShortTermReversal,
    "same_month": SameMonth,
    "same_month_rank": SameMonthRank,
    "turn_of_month": TurnOfMonth,
    "pre_holiday": PreHoliday,
    "roll_yield_spread": RollYieldSpread,
    "spread_reversion": SpreadReversion,
    "spread_trend": SpreadTrend,
    "volatility_regime": VolatilityRegime,
    "volatility_managed": VolatilityManaged,
    "quiet_only": QuietOnly,
    "trend_filter": TrendFilter,
    "drawdown_brake": DrawdownBrake,
    "blend": Blend,
    "vote": Vote,
}
