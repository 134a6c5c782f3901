"""Sections of a portfolio: margin, limits, rolls, execution and benchmark, each an object of params; SECTIONS has all.

`numbers` of a section are the fields of `book.Account` that are said in it.
"""

import numpy as np
import param

from engine import book
from engine.cash import Cash
from engine.costs import Costs
from engine.settings import ConfigError, Markets, shown
from engine.sizing.shares import InstrumentWeights

RULE = r"^ *[A-Za-z0-9][A-Za-z0-9_:@+/,=. -]*\Z"  # what it means is read with the store, see `market.checked_rule`
RULE_LABEL = (
    "volume:1, oi:2, volume+oi, volume/oi, volume/last-trade-8, first-notice-5, last-trade-5, month-end-3, each with "
    "months=GJMQZ or exit=2 after a comma, or the name of a roll calendar"
)
DECISION = r"^(own|([01]\d|2[0-3]):[0-5]\d [A-Z][A-Za-z_]+(/[A-Za-z_-]+){0,2})\Z"
CALLS = {
    "pro_rata": book.PRO_RATA,
    "largest_requirement": book.LARGEST_REQUIREMENT,
    "largest_loser": book.LARGEST_LOSER,
}
TIES = {"worst": book.WORST, "nearer": book.NEARER, "finer": book.FINER}


class Groups(param.Parameter):
    """Groups of markets, {name: [roots]}, sorted; none: the sectors. No root is in two of them."""

    def __set__(self, obj, val):
        if isinstance(val, dict) and all(_roots(value) for value in val.values()):
            val = {str(name): sorted(val[name]) for name in sorted(val, key=str)} or None
        super().__set__(obj, val)

    def _validate(self, value):
        if value is None:
            return
        fine = isinstance(value, dict) and all(_roots(roots) for roots in value.values())
        members = [root for roots in value.values() for root in roots] if fine else []
        if not fine or len(set(members)) < len(members):
            raise ValueError(f"groups {value!r} are not a table of lists of roots, each root in one of them at most")


def _roots(value) -> bool:
    return isinstance(value, list | tuple) and len(value) > 0 and all(isinstance(root, str) and root for root in value)


def _most(unit: str, doc: str, top: int = 10**6):
    """The param of a limit that may be none."""
    return param.Number(default=None, allow_None=True, bounds=(0, top), doc=f"{doc}; none: no limit. [{unit}]")


class Margin(param.Parameterized):
    """What a broker asks beyond the exchange, when it is called, and where the margin is not known for a day."""

    house = param.Number(
        default=1.0,
        bounds=(0, 10),
        inclusive_bounds=(False, True),
        doc="The broker asks this times the exchange's margin; a table of one's own is taken as it is. [1]",
    )
    missing = param.Selector(
        default="estimate", objects=["estimate", "error"], doc="Estimate it and flag the result, or refuse the run."
    )
    k = param.Number(
        default=5.0,
        bounds=(0, 50),
        inclusive_bounds=(False, True),
        doc="An estimate is k daily volatilities of the contract; exchanges ask for about four to six. [√day]",
    )
    call = param.Selector(
        default="pro_rata",
        objects=list(CALLS),
        doc="Whom a margin call cuts first: all alike, the one that requires most, or the one that loses most.",
    )
    spread_credit = param.Number(
        default=0.0,
        bounds=(0, 1),
        doc="Part of the margin of two contracts of one root that is waived where one hedges the other. [1]",
    )
    intraday = param.Number(
        default=1.0,
        bounds=(0, 1),
        inclusive_bounds=(False, True),
        doc="Part of the margin that is asked on bars that do not end the day. [1]",
    )

    def numbers(self) -> dict:
        """Fields of `book.Account`.

        >>> Margin(call="largest_loser").numbers()
        {'intraday_margin': 1.0, 'spread_credit': 0.0, 'call': 2}
        """
        return {
            "intraday_margin": float(self.intraday),
            "spread_credit": float(self.spread_credit),
            "call": CALLS[self.call],
        }


class Limits(param.Parameterized):
    """Most that may be held; what is wanted beyond it is cut, and the cut is an event of the run."""

    max_contracts = param.Integer(
        default=None,
        allow_None=True,
        bounds=(0, 10**6),
        doc="Contracts of one root, long or short, all lines net; none: no limit. [contracts]",
    )
    sector_contracts = _most("contracts", "Contracts of one sector, long and short ones added", 10**9)
    side_contracts = _most("contracts", "Contracts of all markets that are long, and as many that are short", 10**9)
    volume_share = _most("1", "Of a contract, as a share of its mean daily volume", 1000)
    open_interest_share = _most("1", "Of a contract, as a share of its open interest", 1000)
    group_risk = _most("1/√year", "Volatility of a group as if all in it moved as one, as a share of equity", 1000)
    groups = Groups(
        default=None,
        allow_None=True,
        doc="Groups of `group_risk`, {name: [roots]}; a root in none of them has no such limit; none: the sectors.",
    )
    gross_notional = _most("1", "Notional of all contracts, long and short ones added, as a multiple of equity")
    net_notional = _most("1", "Notional of the long contracts less that of the short ones, as a multiple of equity")
    margin_to_equity = _most("1", "Initial margin of all, as a share of equity", 1000)

    def grouped(self, roots, sectors):
        """Number of the group of each of some roots, -1 for none, and the names of the groups.

        >>> Limits(groups={"metals": ["GC", "SI"]}).grouped(["ES", "GC"], ["equity", "metals"])
        (array([-1,  0]), ('metals',))
        """
        named = self.groups or {sector: [] for sector in sorted(set(sectors))}
        names = tuple(named)
        of = {root: number for number, name in enumerate(names) for root in named[name]}
        numbers = [
            of.get(root, -1) if self.groups else names.index(sector)
            for root, sector in zip(roots, sectors, strict=True)
        ]
        return np.array(numbers, np.int64), names

    def tuple(self, lines: int, groups: int) -> book.Limits:
        """As the simulation reads them, for so many lines and groups.

        >>> some = Limits(max_contracts=5).tuple(2, 0)
        >>> some.any, some.contracts, some.gross
        (True, array([5., 5.]), inf)
        """
        figures = [
            "max_contracts", "sector_contracts", "side_contracts", "volume_share", "open_interest_share", "group_risk",
            "gross_notional", "net_notional", "margin_to_equity",
        ]  # fmt: skip
        most = [np.inf if getattr(self, key) is None else float(getattr(self, key)) for key in figures]
        contracts, group = np.full(lines, most[0]), np.full(groups, most[5])
        return book.Limits(any(np.isfinite(most)), contracts, *most[1:5], group, *most[6:])


class Rolls(param.Parameterized):
    """When a position moves to the next contract, over how many days, and at what price."""

    rule = param.String(
        default="volume:1",
        regex=RULE,
        label=RULE_LABEL,
        doc="Rule of the roll calendars.",
    )
    fill = param.Selector(
        default="settle",
        objects=["settle", "open"],
        doc="Price at which both legs trade: the roll day's settlement, or its open.",
    )
    days = param.Integer(
        default=1,
        bounds=(1, 20),
        doc="Over which a position rolls, in equal parts, the first on the roll day; never past the last allowed day. "
        "[days]",
    )
    roots = param.Dict(default={}, doc="Rules of single roots, {root: rule}, before the one of all.")

    def rules(self):
        """{root: rule}, with the rule of all others under ""; the text alone where there are no others.

        >>> Rolls(rule="oi:2", roots={"GC": "oi,months=GJMQZ"}).rules()
        {'': 'oi:2', 'GC': 'oi,months=GJMQZ'}
        """
        return {"": self.rule} | self.roots if self.roots else self.rule

    def numbers(self) -> dict:
        """Fields of `book.Account`."""
        return {"roll_days": int(self.days)}


class Execution(param.Parameterized):
    """How orders fill, on which bars, what was known when they were decided, and where foreign profit goes."""

    fill = param.Selector(
        default="open",
        objects=["open", "close", "settle", "same_close"],
        doc="Price of a market order: open, close or settlement of the next bar, or the close of the very bar that "
        "decided; all but the open are marked in the result.",
    )
    fx = param.Selector(
        default="sweep", objects=["sweep", "hold"], doc="Foreign profit is converted every day, or kept as a balance."
    )
    limit = param.Selector(
        default="through",
        objects=["through", "touch"],
        doc="A limit order fills when the price trades through it by a tick, or when it is touched.",
    )
    ties = param.Selector(
        default="worst",
        objects=list(TIES),
        doc="Which way a bar went whose orders could have filled in two ways: the worse one for the trader, the nearer "
        "extreme first, or as bars within the day say.",
    )
    locked = param.Selector(
        default="known",
        objects=["known", "flat", "off"],
        doc="A market at its daily limit is not bought (limit up) or sold (limit down): where the limit is known, on "
        "any one-price bar that moved, or never.",
    )
    participation = param.Number(
        default=None,
        allow_None=True,
        bounds=(0, 1),
        inclusive_bounds=(False, True),
        doc="Most of a bar's volume of the contract that is traded; none: no limit. [1]",
    )
    stale_leg_days = param.Integer(
        default=5,
        bounds=(1, 1000),
        doc="Of a spread that is held: days in a row on which one leg has no price while another has, after which the "
        "legs that can trade are closed. [days]",
    )
    bars = param.Selector(
        default="day", objects=["day", "within"], doc="Bars on which orders fill: those of days, or those within them."
    )
    decision = param.String(
        default="own",
        regex=DECISION,
        label="own or 16:00 America/New_York",
        doc="When decisions are made: each market at its own close, or all at a time of day, with what is known then.",
    )

    def numbers(self) -> dict:
        """Fields of `book.Account`.

        >>> Execution(fill="close", participation=0.1).numbers()
        {'sweep': True, 'at_open': False, 'through': True, 'policy': 0, 'participation': 0.1, 'stale_leg_days': 5}
        """
        return {
            "sweep": self.fx == "sweep",
            "at_open": self.fill == "open",
            "through": self.limit == "through",
            "policy": TIES[self.ties],
            "participation": np.inf if self.participation is None else float(self.participation),
            "stale_leg_days": int(self.stale_leg_days),
        }


class Benchmark(param.Parameterized):
    """What a run is told beside: traded by the same engine, with rolls and costs, or read from a file."""

    kind = param.Selector(
        default="none",
        objects=["none", "one_contract", "equal_risk", "mix", "file"],
        doc="One contract of one market, long; all markets long at equal risk; notionals in fixed shares of the "
        "capital, long; or a file of prices or returns.",
    )
    markets = Markets(default="all", doc="Of `one_contract`: a list of one. Of `equal_risk`: roots; all: the run's.")
    weights = InstrumentWeights(
        default={}, doc="Of `mix`: share of the capital that each root's notional is, {root: share}. [1]"
    )
    target = param.Number(
        default=None,
        allow_None=True,
        bounds=(0, 5),
        inclusive_bounds=(False, True),
        doc="Of `equal_risk`: volatility aimed at; none: that of `sizing.target`, where the rule has one, or 0.2. "
        "[1/√year]",
    )
    file = param.String(
        default="",
        doc="Of `file`: a CSV with the columns day, and price or return [fraction]; its path, or its name in the "
        "folder `benchmarks` of the store.",
    )

    def check(self, place: str) -> None:
        """Refuse what the kind needs and does not have, and what it does not read."""
        reads = {"one_contract": ["markets"], "equal_risk": ["markets", "target"], "mix": ["weights"], "file": ["file"]}
        mine = reads.get(self.kind, [])
        for key in ("markets", "weights", "target", "file"):
            if key not in mine and getattr(self, key) != self.param[key].default:
                told = f"allowed with {', '.join(mine)}" if mine else f"allowed: one of {', '.join(reads)}"
                raise ConfigError(f"{place} {key} is not read by kind = {shown(self.kind)}; {told}")
        if self.kind == "one_contract" and (self.markets == "all" or len(self.markets) != 1):
            raise ConfigError(
                f"{place} markets = {shown(self.markets)} is not allowed for one_contract; allowed: a list of one root"
            )
        if self.kind == "mix" and not any(self.weights.values()):
            raise ConfigError(f"{place} mix has no weights; allowed: a table such as {{ES = 0.6, ZN = 0.4}}")
        if self.kind == "file" and not self.file:
            raise ConfigError(f'{place} no file; allowed: a path, such as file = "index.csv"')


SECTIONS = {
    "costs": Costs, "cash": Cash, "margin": Margin, "limits": Limits, "rolls": Rolls, "execution": Execution,
    "benchmark": Benchmark,
}  # fmt: skip
