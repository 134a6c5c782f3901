"""Every view, by its name; page, report and notebook find it here."""

from app.views.about import About
from app.views.chips import Chips
from app.views.controls import Controls
from app.views.equity import Equity
from app.views.months import Months
from app.views.overview import Overview
from app.views.positions import Positions
from app.views.profit import Markets, Sectors
from app.views.strip import Strip
from app.views.trades import Trades

VIEWS = {
    "chips": Chips,
    "controls": Controls,
    "strip": Strip,
    "equity": Equity,
    "months": Months,
    "sectors": Sectors,
    "markets": Markets,
    "positions": Positions,
    "trades": Trades,
    "about": About,
}
__all__ = [
    "VIEWS", "About", "Chips", "Controls", "Equity", "Markets", "Months", "Overview", "Positions", "Sectors", "Strip",
    "Trades",
]  # fmt: skip
