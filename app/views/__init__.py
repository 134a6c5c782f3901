"""Every view, by its name; page, report and notebook find it here."""

from app.views.about import About
from app.views.attribution import Pivot, Waterfall
from app.views.bars import ByRegime, Entries, Exits, Markets, Sectors, Sides, Strategies
from app.views.chips import Chips
from app.views.compare import Alike, Inputs, Numbers, Overlay, Runs, Sureness
from app.views.contracts import ChainMarket, RollActivity, TermStructure
from app.views.controls import Controls
from app.views.decisions import BadRow, Decisions, Scores
from app.views.distributions import Holding, Results, Returns
from app.views.drawdowns import DrawdownCauses, DrawdownTable, Recoveries, Underwater
from app.views.equity import Equity
from app.views.excursions import Excursions, Streaks
from app.views.holdings import Concentration, Correlation, Leverage
from app.views.joined import Joined
from app.views.limits import Limits
from app.views.months import Months
from app.views.open_trade import OpenTrade
from app.views.overview import Overview
from app.views.positions import Positions
from app.views.quality import FindingCalendar, FindingList
from app.views.regimes import Earnings, HeldAndLost, Spread, Transitions
from app.views.ribbons import Ribbons
from app.views.risk import Components, Exceedances, ValueAtRisk
from app.views.roll_lab import RollDates, RollLab, RollStrategy
from app.views.rolling import Rolling
from app.views.strip import Strip
from app.views.sweep import SweepLines, SweepSurface, SweepTrial
from app.views.trade_list import TradeList
from app.views.trades import TradeResults, Trades

VIEWS = {
    "chips": Chips,
    "controls": Controls,
    "strip": Strip,
    "equity": Equity,
    "months": Months,
    "rolling": Rolling,
    "sides": Sides,
    "strategies": Strategies,
    "exits": Exits,
    "entries": Entries,
    "by_regime": ByRegime,
    "returns": Returns,
    "results": Results,
    "holding": Holding,
    "sectors": Sectors,
    "markets": Markets,
    "positions": Positions,
    "trades": Trades,
    "trade_list": TradeList,
    "waterfall": Waterfall,
    "pivot": Pivot,
    "ribbons": Ribbons,
    "earnings": Earnings,
    "spread": Spread,
    "transitions": Transitions,
    "held_and_lost": HeldAndLost,
    "limits": Limits,
    "exceedances": Exceedances,
    "var": ValueAtRisk,
    "components": Components,
    "correlation": Correlation,
    "leverage": Leverage,
    "concentration": Concentration,
    "runs": Runs,
    "overlay": Overlay,
    "numbers": Numbers,
    "sureness": Sureness,
    "alike": Alike,
    "inputs": Inputs,
    "sweep_surface": SweepSurface,
    "sweep_trial": SweepTrial,
    "sweep_lines": SweepLines,
    "chain_market": ChainMarket,
    "term_structure": TermStructure,
    "roll_activity": RollActivity,
    "joined": Joined,
    "roll_lab": RollLab,
    "roll_dates": RollDates,
    "roll_strategy": RollStrategy,
    "finding_calendar": FindingCalendar,
    "finding_list": FindingList,
    "bad_row": BadRow,
    "scores": Scores,
    "decisions": Decisions,
    "about": About,
    "underwater": Underwater,
    "drawdown_table": DrawdownTable,
    "drawdown_causes": DrawdownCauses,
    "recoveries": Recoveries,
    "open_trade": OpenTrade,
    "excursions": Excursions,
    "streaks": Streaks,
    "trade_results": TradeResults,
}
__all__ = [
    "VIEWS", "About", "ByRegime", "Chips", "Controls", "DrawdownCauses", "DrawdownTable", "Entries", "Equity",
    "Excursions", "Exits", "Holding", "Markets", "Months", "OpenTrade", "Overview", "Positions", "Recoveries",
    "Results", "Returns", "Rolling", "Sectors", "Sides", "Strategies", "Streaks", "Strip", "TradeList",
    "TradeResults", "Trades", "Underwater",
]  # fmt: skip
