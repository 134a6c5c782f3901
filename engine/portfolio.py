"""Portfolio: what to run, as an object of params and as a TOML file, which say the same."""

import hashlib
import tomllib
from pathlib import Path

import param

from engine import settings
from engine.cash import Cash
from engine.columns import column
from engine.costs import Costs, SideCost, table_hash
from engine.inner import kinds_of
from engine.members import Spread
from engine.sections import SECTIONS, Benchmark, Execution, Limits, Margin, Rolls
from engine.settings import ConfigError, Markets
from engine.sizing import SIZERS, Sizer, VolatilityTarget
from engine.strategies import STRATEGIES
from engine.strategy import Strategy, blamed, snake_name, source_hash, unread_told


class Sleeve(param.Parameterized):
    """One strategy of a portfolio, with its share and its markets."""

    strategy = param.ClassSelector(class_=Strategy, allow_None=False, default=Strategy(), doc="What decides.")
    weight = param.Number(
        default=1.0,
        bounds=(0, 100),
        doc="Share of the strategy: sizes are multiplied by it, but contracts and amounts that are told as such. [1]",
    )
    markets = Markets(
        default="all", doc="What it trades of the portfolio's: roots, CL.v.1, CL.n.0, CL.c.3, and names of spreads."
    )
    capital = param.Number(
        default=None,
        allow_None=True,
        bounds=(0, 1),
        inclusive_bounds=(False, True),
        doc="Its own share of the capital, which its profit changes; none: all strategies share the account's. [1]",
    )
    start = param.CalendarDate(default=None, allow_None=True, doc="First day on which it wants anything; none: all.")
    stop = param.CalendarDate(default=None, allow_None=True, doc="Day from which it wants nothing; none: never.")

    def check(self, place: str) -> None:
        """Refuse a strategy that stops before it starts."""
        if self.start and self.stop and self.stop <= self.start:
            raise ConfigError(f"{place} stop = {self.stop} is not after start = {self.start}; allowed: a later day")


class Portfolio(param.Parameterized):
    """What to run: strategies and their markets, sizes, costs, margin, rolls and fills.

    >>> p = Portfolio(strategies=[Sleeve(strategy=STRATEGIES["moving_average_cross"](fast=20, slow=100))])
    >>> p.with_settings(["slow=150", "sizing.target=0.1"]).strategies[0].strategy.slow
    150
    >>> Portfolio.from_toml(p.to_toml()) == p
    True
    """

    name = param.String(default="portfolio", constant=False, doc="Name of the portfolio.")
    capital = param.Number(
        default=1e7, bounds=(0, 1e15), inclusive_bounds=(False, True), doc="Cash at the start. [account currency]"
    )
    currency = param.String(
        default="USD", regex="^[A-Z]{3}$", label="USD", doc="Currency of the account, by its ISO code."
    )
    compounding = param.Boolean(default=True, doc="Sizes follow equity; false: they stay at the capital of the start.")
    markets = Markets(default="all", doc="Roots that may be traded; all: every stored market with known specs.")
    start = param.CalendarDate(default=None, allow_None=True, doc="First day; none: the first there is.")
    end = param.CalendarDate(default=None, allow_None=True, doc="Last day; none: the last there is.")
    rebalance = param.Selector(
        default="never",
        objects=["never", "month", "quarter", "year"],
        doc="When strategies with capital of their own go back to their shares: at the first bar of each.",
    )
    strategies = param.List(default=[], item_type=Sleeve, doc="The strategies, at least one.")
    spreads = param.Dict(default={}, doc="Spreads that strategies may trade as one, {name: Spread}.")
    sizing = param.ClassSelector(class_=Sizer, allow_None=False, default=VolatilityTarget(), doc="Rule of the sizes.")
    costs = param.ClassSelector(class_=Costs, allow_None=False, default=Costs(), doc="What trading costs.")
    cash = param.ClassSelector(class_=Cash, allow_None=False, default=Cash(), doc="Interest, fees, payments.")
    margin = param.ClassSelector(class_=Margin, allow_None=False, default=Margin(), doc="Unknown margins.")
    limits = param.ClassSelector(class_=Limits, allow_None=False, default=Limits(), doc="Most that may be held.")
    rolls = param.ClassSelector(class_=Rolls, allow_None=False, default=Rolls(), doc="Rolls.")
    execution = param.ClassSelector(class_=Execution, allow_None=False, default=Execution(), doc="Fills.")
    benchmark = param.ClassSelector(class_=Benchmark, allow_None=False, default=Benchmark(), doc="Told beside it.")

    @classmethod
    def from_toml(cls, source: Path | str) -> "Portfolio":
        """A portfolio from a file, or from the text of one; a ConfigError says in one line what is wrong with it."""
        if isinstance(source, str) and ("\n" in source or source.lstrip().startswith("[")):
            return _checked(_portfolio(_parse(source, "portfolio text"), "portfolio text"), "portfolio text")
        path = Path(source)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as fault:
            raise ConfigError(
                f"{path}: cannot be read: {getattr(fault, 'strerror', None) or 'not UTF-8 text'}"
            ) from fault
        return _checked(_portfolio(_parse(text, str(path)), str(path), default_name=path.stem), str(path))

    def to_toml(self) -> str:
        """The portfolio as TOML text: every setting, in a fixed order, so that equal ones are equal texts."""
        return settings.to_toml(self.document())

    def fingerprint(self) -> str:
        """sha256 of the portfolio and of what it leans on: the cost file, and the user's strategies as loaded."""
        own = [source_hash(kind) for sleeve in self.strategies for kind in kinds_of(sleeve.strategy)]
        return hashlib.sha256("\n".join([self.to_toml(), table_hash(), *own]).encode()).hexdigest()

    def document(self) -> dict:
        """The portfolio as the plain tables of its TOML file."""
        parts = {key: settings.table_of(getattr(self, key)) for key in SECTIONS}
        parts["costs"]["roots"] = {root: settings.table_of(cost) for root, cost in sorted(self.costs.roots.items())}
        parts["rolls"]["roots"] = dict(sorted(self.rolls.roots.items()))
        for key in ("costs", "rolls"):
            if not parts[key]["roots"]:
                del parts[key]["roots"]
        spreads = {name: settings.table_of(spread) for name, spread in sorted(self.spreads.items())}
        return {
            "portfolio": settings.table_of(self, _head()),
            "strategies": [_sleeve_table(sleeve) for sleeve in self.strategies],
            **({"spreads": spreads} if spreads else {}),
            "sizing": {"rule": _rule_name(self.sizing), **settings.table_of(self.sizing)},
            **parts,
        }

    def with_settings(self, changes: list[str]) -> "Portfolio":
        """A copy with `key=value` settings put in, as the command's `--set` takes them.

        A key is dotted (`sizing.target`, `strategies.0.fast`, `portfolio.start`), or the last part alone where only one
        setting, or one of `[portfolio]`, is called so (`target`, `fast`, `start`). A new rule or strategy keeps the
        params that both know.
        """
        made = self
        for change in sorted(changes, key=_after_kinds):
            made = _changed(made, change)
        return _checked(made, "portfolio")

    def labels(self) -> list[str]:
        """One name for each strategy; a second one of the same kind is told apart by a number.

        >>> cross = STRATEGIES["moving_average_cross"]
        >>> Portfolio(strategies=[Sleeve(strategy=cross()), Sleeve(strategy=cross(fast=10))]).labels()
        ['moving_average_cross', 'moving_average_cross 2']
        """
        names = [snake_name(type(sleeve.strategy)) for sleeve in self.strategies]
        return [f"{n} {names[: i + 1].count(n)}" if n in names[:i] else n for i, n in enumerate(names)]

    def roots(self, stored) -> list[str]:
        """Markets to load, sorted: of those `stored`, and columns of them; one named and not stored is an error."""
        for name in sorted(set(self.spreads) & set(stored)):
            raise ConfigError(f"[spreads.{name}] has the name of a market; allowed: a name of its own")
        named = {name for s in range(len(self.strategies)) for name in self._traded(s, stored)}
        legs = {leg for name in named & set(self.spreads) for leg in self.spreads[name].legs}
        for leg in sorted(legs):
            _known_market(leg, stored, (), "[spreads] legs")
        return sorted(named - set(self.spreads) | legs)

    def named(self) -> set[str]:
        """Markets that it names, the legs of spreads as well; not those that `all` means."""
        lists = [self.markets, *(sleeve.markets for sleeve in self.strategies)]
        named = {name for markets in lists if markets != "all" for name in markets}
        return named - set(self.spreads) | {leg for spread in self.spreads.values() for leg in spread.legs}

    def members(self, names) -> list[tuple[int, str]]:
        """What is decided about: (strategy, one of the loaded `names` or a spread), strategy by strategy.

        >>> p = Portfolio(strategies=[Sleeve(strategy=STRATEGIES["moving_average_cross"](), markets=["ZN"])])
        >>> p.members(["MES", "ZN"])
        [(0, 'ZN')]
        """
        order = [*names, *sorted(self.spreads)]
        plain = [name for name in names if self.markets == "all" or name in self.markets]
        found = []
        for s in range(len(self.strategies)):
            mine = set(self._traded(s, plain, names))
            found += [(s, name) for name in order if name in mine]
        return found

    def _traded(self, s: int, stored, loaded=None) -> list[str]:
        """Markets and spreads of one strategy."""
        loaded = stored if loaded is None else loaded
        wanted = self.strategies[s].markets
        own = list(stored) if self.markets == "all" else list(self.markets)
        for name in () if self.markets == "all" else self.markets:
            _known_market(name, loaded, (), "[portfolio] markets")
        if wanted == "all":
            return [name for name in own if name in loaded or self.markets != "all"]
        for name in wanted:
            _known_market(name, own if self.markets != "all" else loaded, self.spreads, "[[strategies]] markets")
        return list(wanted)

    def __eq__(self, other):
        return self.to_toml() == other.to_toml() if isinstance(other, Portfolio) else NotImplemented

    __hash__ = None  # it can be changed: nothing may file it under what it was


def _head() -> list[str]:
    """Keys of the section [portfolio]: the params that are no section of their own."""
    return [
        "name",
        *(key for key in settings.keys(Portfolio) if key not in (*SECTIONS, "strategies", "spreads", "sizing")),
    ]


def _known_market(name: str, known, spreads, place: str) -> None:
    """Refuse a market that is not there: neither itself nor, of a name such as CL.c.3, its root; nor a spread."""
    roots = {column(one, known).root for one in known} | set(known)
    if name in spreads or name in roots or column(name, known).root in roots:
        return
    choice = f"{len(known)} markets, see `frontmonth markets`" if len(known) > 12 else ", ".join(known) or "none"
    choice += f", and the spreads {', '.join(spreads)}" if spreads else ""
    near = settings.nearest(name, [*known, *spreads])
    raise ConfigError(f"{place}: market '{name}' is not there; allowed: {choice}{near}")


# Reading: text -> tables -> objects


def _parse(text: str, place: str) -> dict:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise ConfigError(f"{place}: not TOML: {' '.join(str(fault).split())}") from fault


def _portfolio(document: dict, place: str, default_name: str = "portfolio") -> Portfolio:
    """The portfolio of a document; `place` is the file it came from."""
    known = ["portfolio", "strategies", "spreads", "sizing", *SECTIONS]
    for key in document:
        if key not in known:
            near = settings.nearest(key, known)
            raise ConfigError(f"{place}: unknown section [{key}]; allowed: {', '.join(known)}{near}")
    head = document.get("portfolio", {})
    settings.check_keys(head, _head(), f"{place}: [portfolio]")
    made = Portfolio(name=default_name)
    for key, value in head.items():
        settings.assign(made, key, value, f"{place}: [portfolio]")
    made.strategies = _sleeves(document.get("strategies", []), place)
    made.spreads = _spreads(document.get("spreads", {}), f"{place}: [spreads]")
    made.sizing = _sizer(document.get("sizing", {}), f"{place}: [sizing]")
    for key, kind in SECTIONS.items():
        read = READERS.get(kind, lambda table, where, kind=kind: settings.read(kind, table, where))
        setattr(made, key, read(document.get(key, {}), f"{place}: [{key}]"))
    return made


def _checked(made: Portfolio, place: str) -> Portfolio:
    """Rules that hold between settings."""
    for name, spread in made.spreads.items():
        if not spread.legs:
            raise ConfigError(
                f"{place}: [spreads.{name}] has no legs; allowed: legs = {{CL = 1, RB = -1}} and the like"
            )
        if made.markets != "all" and name in made.markets:
            raise ConfigError(f"{place}: [spreads.{name}] has the name of a market; allowed: a name of its own")
    for number, sleeve in enumerate(made.strategies):
        sleeve.check(f"{place}: [[strategies]] {number}:")
    shares = [sleeve.capital for sleeve in made.strategies if sleeve.capital is not None]
    if shares and (len(shares) < len(made.strategies) or abs(sum(shares) - 1.0) > 1e-9):
        raise ConfigError(
            f"{place}: [[strategies]] capital is {', '.join(str(s.capital) for s in made.strategies)}; allowed: shares "
            f"of all strategies that sum to 1, or of none"
        )
    made.cash.check(made.capital, f"{place}: [cash]")
    made.benchmark.check(f"{place}: [benchmark]")
    if made.start and made.end and made.start > made.end:
        raise ConfigError(
            f"{place}: [portfolio] end = {made.end} is before start = {made.start}; allowed: {made.start} or later"
        )
    return made


def _sleeves(tables: object, place: str) -> list[Sleeve]:
    if not isinstance(tables, list) or not tables:
        raise ConfigError(
            f"{place}: no strategy; allowed: at least one [[strategies]] with a name of {', '.join(STRATEGIES)}"
        )
    return [_sleeve(table, f"{place}: [[strategies]] {number}:") for number, table in enumerate(tables)]


def _sleeve(table: object, place: str) -> Sleeve:
    """One strategy; its params stand in a table `params`, or beside name, weight and markets."""
    keys = [key for key in settings.keys(Sleeve) if key != "strategy"]
    own = ["name", *keys, "params"]
    kind = _kind(table, "name", STRATEGIES, place, required=True)
    extra = {key: value for key, value in table.items() if key not in own}
    settings.check_keys(extra, [*own, *settings.keys(kind)], place)
    params = table.get("params", {})
    settings.check_keys(params, settings.keys(kind), f"{place} params:")
    for key in extra.keys() & params.keys():
        raise ConfigError(f"{place} {key} stands there twice, beside params and in it; allowed: once")
    with blamed():
        made = Sleeve(strategy=settings.read(kind, extra | params, f"{place} params:"))
    for key in keys:
        if key in table:
            settings.assign(made, key, table[key], place)
    return made


def _spreads(tables: object, place: str) -> dict:
    if not isinstance(tables, dict):
        raise ConfigError(f"{place} is not a table; allowed: tables such as [spreads.crack] with legs")
    return {name: settings.read(Spread, table, f"{place[:-1]}.{name}]") for name, table in sorted(tables.items())}


def _sizer(table: object, place: str) -> Sizer:
    kind = _kind(table, "rule", SIZERS, place, default="volatility")
    known = ["rule", *settings.keys(kind)]
    settings.check_keys(table, known, place)
    return settings.read(kind, {key: value for key, value in table.items() if key != "rule"}, place)


def _kind(table: object, key: str, known: dict, place: str, default: str = "", required: bool = False) -> type:
    """The class that a table names."""
    if not isinstance(table, dict) or (required and key not in table):
        raise ConfigError(f"{place} no {key}; allowed: {', '.join(known)}")
    name = table.get(key, default)
    if not isinstance(name, str) or name not in known:
        near = settings.nearest(name, known) + (unread_told() if known is STRATEGIES else "")
        raise ConfigError(f"{place} {key} = {settings.shown(name)} is unknown; allowed: {', '.join(known)}{near}")
    return known[name]


def _costs(table: object, place: str) -> Costs:
    made, roots = _with_roots(Costs, table, place, "tables such as [costs.roots.MES]")
    made.roots = {root: settings.read(SideCost, one, f"{place} roots.{root}:") for root, one in roots}
    return made


def _rolls(table: object, place: str) -> Rolls:
    made, roots = _with_roots(Rolls, table, place, "a table [rolls.roots] of root = rule")
    made.roots = {root: settings.read(Rolls, {"rule": rule}, f"{place} roots.{root}:").rule for root, rule in roots}
    return made


def _with_roots(kind: type, table: object, place: str, allowed: str):
    """A section without its `roots`, and what they are by root, sorted."""
    settings.check_keys(table, settings.keys(kind), place)
    roots = table.get("roots", {})
    if not isinstance(roots, dict):
        raise ConfigError(f"{place} roots = {settings.shown(roots)} is not allowed; allowed: {allowed}")
    made = settings.read(kind, {key: value for key, value in table.items() if key != "roots"}, place)
    return made, sorted(roots.items())


READERS = {Costs: _costs, Rolls: _rolls}  # sections with figures of single roots


# Writing and changing: objects -> tables -> objects


def _sleeve_table(sleeve: Sleeve) -> dict:
    own = settings.table_of(sleeve, [key for key in settings.keys(Sleeve) if key != "strategy"])
    name = snake_name(type(sleeve.strategy))
    return {"name": name, **own, "params": settings.table_of(sleeve.strategy)}


def _rule_name(sizer: Sizer) -> str:
    for name, kind in SIZERS.items():
        if type(sizer) is kind:
            return name
    raise ConfigError(f"sizing rule {type(sizer).__name__} is not on the list; allowed: {', '.join(SIZERS)}")


def _is_kind(key: str) -> bool:
    """Whether a key names a rule or a strategy, on which the other keys depend."""
    parts = key.split(".")
    return key == "sizing.rule" or (parts[0] == "strategies" and parts[-1] == "name")


def _after_kinds(change: str) -> bool:
    """Sort key: a new rule or strategy comes before its params."""
    return not _is_kind(change.partition("=")[0].strip())


def _changed(portfolio: Portfolio, change: str) -> Portfolio:
    """The portfolio after one `key=value`."""
    key, equals, text = change.partition("=")
    key, place = key.strip(), f"--set {change}:"
    if not equals:
        raise ConfigError(f"{place} has no value; allowed: key=value, such as sizing.target=0.1")
    document, known = portfolio.document(), places(portfolio)
    path = path_of(key, known, place)
    table = document
    for part in path[:-1]:
        table = table[int(part)] if isinstance(table, list) else table.setdefault(part, {})
    value = settings.parsed(text, known.get(path) or _of_name(path))
    if _is_kind(".".join(path)):
        _keep_common(table, path, value)
    if value is None:
        table.pop(path[-1], None)
    else:
        table[path[-1]] = value
    return _portfolio(document, place.rstrip(":"))


def _of_name(path: tuple) -> param.Parameter | None:
    """The param of a setting of a name: costs.roots.MES.slippage_ticks, rolls.roots.GC, spreads.crack.legs."""
    if len(path) == 3 and path[0] == "spreads" and path[2] in settings.keys(Spread):
        return Spread.param[path[2]]
    if len(path) == 4 and path[:2] == ("costs", "roots") and path[3] in settings.keys(SideCost):
        return SideCost.param[path[3]]
    return Rolls.param["rule"] if len(path) == 3 and path[:2] == ("rolls", "roots") else None


def places(portfolio: Portfolio) -> dict[tuple, param.Parameter]:
    """Every setting that a key can mean: its path in the document, and its param."""
    found = {("portfolio", key): portfolio.param[key] for key in _head()}
    for i, sleeve in enumerate(portfolio.strategies):
        found[("strategies", str(i), "name")] = param.Selector(objects=list(STRATEGIES))
        found |= {("strategies", str(i), key): sleeve.param[key] for key in settings.keys(Sleeve) if key != "strategy"}
        own = sleeve.strategy
        found |= {("strategies", str(i), "params", key): own.param[key] for key in settings.keys(own)}
    found[("sizing", "rule")] = param.Selector(objects=list(SIZERS))
    for name in ("sizing", *SECTIONS):
        section = getattr(portfolio, name)
        found |= {(name, key): section.param[key] for key in settings.keys(section) if key != "roots"}
    return found


def path_of(key: str, known: dict, place: str) -> tuple:
    """The path that a key means, in full or in short."""
    path = tuple(key.split("."))
    if path[0] == "strategies" and len(path) == 3 and path not in known:
        path = (*path[:2], "params", path[2])
    if path in known or _of_name(path) is not None:
        return path
    meant = [one for one in known if one[-1] == key]
    head = [one for one in meant if one[0] == "portfolio"]
    if len(head or meant) == 1:
        return (head or meant)[0]
    names = [".".join(one) for one in known]
    if meant:
        raise ConfigError(f"{place} {key} means several settings; allowed: {', '.join('.'.join(one) for one in meant)}")
    near = settings.nearest(key, names) or settings.nearest(key.split(".")[-1], [one[-1] for one in known])
    choice = [name for name in names if name.startswith(f"{path[0]}.")] or names
    raise ConfigError(f"{place} {key}: unknown setting; allowed: {', '.join(choice)}{near}")


def _keep_common(table: dict, path: tuple, name: object) -> None:
    """Drop the params of the old rule or strategy that the new one does not have, or that were at their default."""
    kinds = SIZERS if path[0] == "sizing" else STRATEGIES
    kind, usual = kinds.get(name), settings.table_of(kinds[table[path[-1]]]())
    kept = table if path[0] == "sizing" else table["params"]
    for key in [key for key in kept if kind and key != "rule"]:
        if key not in settings.keys(kind) or kept[key] == usual.get(key):
            del kept[key]
