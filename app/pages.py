"""Pages: what the dashboard shows where, as data. Page, report and navigation find it here.

A page is a list of slots; a slot is the name of a view in `app.views.VIEWS` and how many of the twelve columns of the
grid it takes. A page is built at its first visit; those of FIRST are there before anything else.
"""

from typing import NamedTuple


class Slot(NamedTuple):
    """A view and its place."""

    view: str
    width: int = 12  # of the grid's columns, on a wide screen
    kind: str = ""  # "tall": beside two rows, scrolled where longer; "alone": whole where two are in a row


class Page(NamedTuple):
    """A page of the dashboard."""

    title: str
    guide: str  # what it answers, in one line
    icon: str  # path of an SVG of 24 × 24, drawn as lines
    slots: tuple = ()


PAGES = {
    "overview": Page(
        "Overview", "What the run earned and risked, and where it came from.", "M4 19V5M4 19h16M8 15l4-5 3 3 5-7",
        (
            Slot("strip"), Slot("equity"), Slot("months", 7), Slot("rolling", 5), Slot("markets", 4, "tall"),
            Slot("sectors", 4), Slot("by_regime", 4), Slot("sides", 4), Slot("exits", 4), Slot("returns", 6),
            Slot("results", 6),
        ),
    ),
    "drawdowns": Page(
        "Drawdowns", "How deep it fell, how long, who caused it, how it came back.", "M3 6h5l4 10 3-6 3 4h3",
        (Slot("underwater"), Slot("drawdown_table"), Slot("drawdown_causes", 6), Slot("recoveries", 6)),
    ),
    "trades": Page(
        "Trades", "Every trade from flat to flat, and what happened in it.", "M5 6h14M5 12h14M5 18h9",
        (
            Slot("trades"), Slot("open_trade"), Slot("excursions", 6), Slot("streaks", 6), Slot("trade_results", 6),
            Slot("holding", 6),
        ),
    ),
    "attribution": Page(
        "Attribution", "Where every cent came from, by any two dimensions.",
        "M4 20h16M6 20V9h3v11M11 20V5h3v15M16 20v-7h3v7", (Slot("waterfall"), Slot("pivot")),
    ),
    "regimes": Page(
        "Regimes", "In which conditions it earned, and how sure that is.", "M3 5h6v14H3zM9 9h6v10H9zM15 6h6v13h-6z",
        (Slot("ribbons"), Slot("earnings"), Slot("spread", 6), Slot("transitions", 6), Slot("held_and_lost")),
    ),
    "risk": Page(
        "Risk", "What could be lost, what is held, and how near the limits are.",
        "M12 3l8 3v6c0 5-3.5 8-8 9c-4.500-1-8-4-8-9V6z",
        (
            Slot("limits"), Slot("exceedances", 7), Slot("var", 5), Slot("components", 5), Slot("correlation", 7),
            Slot("leverage", 6), Slot("concentration", 6), Slot("positions"),
        ),
    ),
    "compare": Page(
        "Compare", "Runs beside each other, and what differs in what went in.", "M8 4v16M16 4v16M4 8h8M12 16h8",
        (
            Slot("runs"), Slot("overlay"), Slot("numbers"), Slot("sureness", 6), Slot("alike", 6), Slot("inputs"),
            Slot("sweep_surface", 8), Slot("sweep_trial", 4, "alone"), Slot("sweep_lines"),
        ),
    ),
    "contracts": Page(
        "Contracts & rolls", "The chain behind each series: curve, activity, rolls, and what another rule would earn.",
        "M4 8h9a4 4 0 0 1 0 8H8M8 13l-3 3 3 3",
        (
            Slot("chain_market"), Slot("term_structure", 6), Slot("roll_activity", 6), Slot("joined"),
            Slot("roll_lab", 5), Slot("roll_dates", 7), Slot("roll_strategy"),
        ),
    ),
    "quality": Page(
        "Data quality", "What is odd in the prices, and what was decided about it.", "M4 12l5 5L20 6",
        (
            Slot("finding_calendar"), Slot("finding_list"), Slot("bad_row"), Slot("scores", 6),
            Slot("decisions", 6),
        ),
    ),
    "about": Page(
        "About this run", "What went in, how far to believe it.",
        "M12 11v6M12 7.5v.1M3 12a9 9 0 1 0 18 0a9 9 0 1 0-18 0",
        (Slot("about"),),
    ),
}  # fmt: skip
FIRST = ("strip", "equity")  # slots of the overview that are there when the page comes
SIDE = "controls"  # the view of the sidebar
ALWAYS = ("chips", SIDE)  # on every page


def views(page):
    """Names of the views of a page, in order.

    >>> views("about")
    ['about']
    """
    return [slot.view for slot in PAGES[page].slots]
