"""Strategy: params, and a decision from what is known at the close of each bar.

A strategy is a `param.Parameterized` with bounds and a doc (with its unit) on every param, and one function, which is
its kind:

- `forecast(market)`: an opinion for every market and bar; the position follows it.
- `signals(market)`: entries and exits, with the orders that enter and protect (`engine.signals.Signals`).
- `targets(market)`: contracts, as they are.
- `decide`: a `program`, called bar by bar with the positions and the equity of the strategy.

Users keep theirs as `strategies/*.py` beside the store; `load_user` lists them after ours. Such a file is trusted code:
it runs as the person who starts the command.
"""

import copy
import functools
import hashlib
import importlib.util
import inspect
import re
import sys
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numba
import numpy as np
import param

from engine import blame
from engine.book import MEMORY, PARAMS
from engine.settings import assign
from engine.signals import Signals, episodes

USER_MODULES = "frontmonth_user_strategies"
KINDS = ("forecast", "signals", "targets", "decide")
SIGNATURE = (
    "void(int64, int64[::1], float64[:, ::1], float64[:, ::1], float64[::1], float64, float64[::1], float64[:, ::1], "
    "float64[::1])"
)


unread: list[str] = []  # why files of the folder that `load_user` read last could not be used


class StrategyError(Exception):
    """A strategy that cannot be used: which file or class, which line, why."""


class Decision(NamedTuple):
    """What a strategy wants, whatever its kind; arrays (time, market)."""

    forecast: np.ndarray  # signed strength, 1 the usual long; or contracts; finite; of a program 0 [1]
    signals: Signals | None  # the orders behind it, if it is one of entries and exits
    episode: np.ndarray  # int32: a new number is a new wish to enter
    resize: bool  # an open position follows the forecast; else it stays as entered
    contracts: bool  # the forecast is contracts, and no sizing rule has a say
    program: object = None  # function that is called bar by bar, compiled
    params: np.ndarray = np.empty(0)  # what it is given


class Program:
    """A function called bar by bar, compiled when it is first asked for; see `program`."""

    def __init__(self, function):
        functools.update_wrapper(self, function)
        self.function = function

    @functools.cached_property
    def compiled(self):
        """The function as numba has it; a StrategyError names the file and line of what it cannot compile.

        Kept on disk for our own files. A user's file is run from its text, which may be edited at any moment, and is
        compiled once in each process: 0.1 to 0.5 s. Indices are checked (1 to 2 ns a call).
        """
        ours = not self.function.__module__.startswith(USER_MODULES)
        make = numba.njit(SIGNATURE, cache=ours, nogil=True, fastmath=False, boundscheck=True)
        try:
            return make(self.function)
        except Exception as fault:
            code = self.function.__code__
            line = blame.compiled_line(fault, code.co_filename) or code.co_firstlineno
            raise StrategyError(
                f"{code.co_filename}, line {line}: {self.__name__}: {blame.reason(fault)}; it is compiled: numbers, "
                f"loops and numpy only"
            ) from fault

    def __call__(self, *arguments):
        return self.compiled(*arguments)


def program(function):
    """Declare the `decide` of a strategy: a function called at the end of every bar.

    It is called as `decide(t, columns, adjusted, mark, position, equity, params, memory, forecast)`:

    ==========  ================  =============================================================================
    t           int               the bar; it may read rows 0..t of the prices, and no others
    columns     (member,) int     the column of each market that the strategy trades
    adjusted    (time, market)    adjusted prices, nan on a holiday: read differences only [points]
    mark        (time, market)    price of the contract held, nan on a holiday [points]
    position    (member,)         held after the bar [contracts]
    equity      float             of the strategy, after the bar [account currency]
    params      (param,)          the strategy's params that are numbers, in their order
    memory      (member, 16)      its own numbers, kept from bar to bar; 0 at first
    forecast    (member,)         to be filled: 1 is the usual long; as it was on the bar before
    ==========  ================  =============================================================================

    It is compiled: numbers, loops and numpy only. It sees each market at its own close, hence it goes neither with
    spreads, `across` nor another decision time: row t of a market may close after the next open of one of the others.
    """
    return Program(function)


class Strategy(param.Parameterized):
    """What every strategy is.

    Prices come as the market's adjusted series, whose level means nothing (it is anchored at the first contract held):
    read differences of it only, never its ratios or its sign (DOMAIN T1, T2, T14). Row t of all it returns reads rows
    0..t of the market and no others; what it asks for is filled at the next bar.
    """

    across = False  # whether it reads several markets at once: then it decides for all of them at one moment (T43)

    def forecast(self, market) -> np.ndarray:
        """Opinion for every market and bar, array (time, market) float64; 1 is the usual long, -1 the usual short.

        nan means no opinion and is held as 0; a market's holiday keeps the last opinion. Of the other kinds: the side
        that signals hold (what stops do to them is not known beforehand), the contracts of targets, and what a program
        asks for if it always holds what it asked for.
        """
        return _FORECASTS[self.kind()](self, market)

    def forecasts(self, market, values) -> np.ndarray:
        """Forecasts of many combinations of its params, array (combination, time, market), as `forecast` makes them.

        `values` is {param: array (combination,)}; params that it does not name stay as they are.
        """
        return np.ascontiguousarray([one.decision(market).forecast for one in self.variants(values)])

    def variants(self, values):
        """Copies of it, one for each combination of `values`."""
        names = list(values)
        for row in zip(*(np.asarray(values[name]).tolist() for name in names), strict=True):
            made = twin(self)
            for name, value in zip(names, row, strict=True):
                assign(made, name, value, f"{snake_name(type(self))}:")
            yield made

    def lanes(self, market, values):
        """The same as a table that combinations share (`engine.lanes.Lanes`), for the quickest screening; None: none.

        Row t of the table reads rows 0..t of the market.
        """
        return None

    def warm_up(self) -> int:
        """Bars of a market that must have been seen before its forecast means anything. [bars]"""
        return 0

    @classmethod
    def kind(cls) -> str:
        """Which of KINDS it is.

        >>> Strategy.kind()
        Traceback (most recent call last):
        ...
        engine.strategy.StrategyError: Strategy has no forecast(market), signals(market), targets(market) or decide
        """
        for above in cls.__mro__[: cls.__mro__.index(Strategy)]:  # of what is nearest, so that it may be replaced
            found = [kind for kind in KINDS if kind in vars(above)]
            if len(found) > 1:
                raise StrategyError(f"{cls.__name__} has {' and '.join(found)}; allowed: one of {', '.join(KINDS)}")
            if found:
                return found[0]
        raise StrategyError(f"{cls.__name__} has no forecast(market), signals(market), targets(market) or decide")

    def numbers(self) -> np.ndarray:
        """The params that are numbers or true or false, in their order: what a program is given."""
        values = [
            getattr(self, key) for key in self.param if isinstance(self.param[key], (param.Number, param.Boolean))
        ]
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)

    def decision(self, market) -> Decision:
        """What it wants of a market, checked: a StrategyError says what came instead."""
        kind = self.kind()
        if _is_user(type(self)):
            market = _of_its_own(market)
            self._callable(kind)
        if kind == "signals":
            signals = self.signals(market)
            if not isinstance(signals, Signals):
                raise StrategyError(f"{type(self).__name__}: signals(market) is no Signals; make it by Signals.build")
            held, episode = signals.latched()
            return Decision(held, signals, episode, resize=False, contracts=False)
        if kind == "decide":
            if not isinstance(self.decide, Program):
                raise StrategyError(f"{type(self).__name__}: decide is no program; write @program above it")
            if len(self.numbers()) > PARAMS:
                raise StrategyError(f"{type(self).__name__}: {len(self.numbers())} numbers; allowed: at most {PARAMS}")
            flat = np.zeros(market.mark.shape)
            none = np.zeros(flat.shape, dtype=np.int32)
            return Decision(flat, None, none, True, False, self.decide.compiled, self.numbers())
        wanted = self._checked(getattr(self, kind)(market), market.mark.shape, kind)
        return Decision(wanted, None, episodes(wanted), resize=True, contracts=kind == "targets")

    def _callable(self, kind):
        """A StrategyError where its function cannot be called as it will be."""
        called = getattr(self, kind)
        if kind == "decide" or not callable(called):
            return
        try:
            inspect.signature(called).bind(None)
        except TypeError as fault:
            code = getattr(called, "__code__", None)
            place = f"{code.co_filename}, line {code.co_firstlineno}: " if code else ""
            raise StrategyError(
                f"{place}{type(self).__name__}: {kind}{inspect.signature(called)} cannot be called: {fault}; "
                f"allowed: def {kind}(self, market)"
            ) from fault

    def _checked(self, values, shape, kind):
        what = f"{type(self).__name__}: {kind}(market)"
        if values is None:
            raise StrategyError(f"{what} returned nothing; allowed: an array (time, market) = {shape}")
        values = np.asarray(values)
        if values.dtype.kind not in "biuf":
            raise StrategyError(f"{what} returned values of the kind {values.dtype}; allowed: numbers, or nan")
        values = np.ascontiguousarray(values, dtype=np.float64)
        if values.shape != shape:
            raise StrategyError(f"{what} has shape {values.shape}; allowed: (time, market) = {shape}")
        return np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)


def _of_its_own(market):
    """The market with arrays of its own: what a user's strategy writes into them changes nothing that is traded."""
    made = copy.copy(market)
    for name, values in vars(market).items():
        if isinstance(values, np.ndarray):
            object.__setattr__(made, name, values.copy())
    return made


def told_by(strategy: Strategy, name: str, market, values: dict):
    """What `forecasts` or `lanes` of a strategy gives; of a class that says anew what it forecasts, by that alone."""
    above = type(strategy).__mro__
    says, own = (next(k for k, one in enumerate(above) if each in vars(one)) for each in (strategy.kind(), name))
    asked = getattr(above[own] if own <= says else Strategy, name)
    return asked(strategy, _of_its_own(market) if _is_user(type(strategy)) else market, values)


def twin(strategy: Strategy) -> Strategy:
    """Another strategy with the same params, and whatever else its maker has set on it; `copy.copy` shares params."""
    made = type(strategy)(**{key: value for key, value in strategy.param.values().items() if key != "name"})
    vars(made).update({name: value for name, value in vars(strategy).items() if not name.startswith("_param")})
    return made


def snake_name(strategy: type) -> str:
    """Name under which a strategy is listed and written in a portfolio file.

    >>> snake_name(type("MovingAverageCross", (Strategy,), {}))
    'moving_average_cross'
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", strategy.__name__).lower()


def load_user(folder: Path | str, broken: list[str] | None = None) -> dict[str, type[Strategy]]:
    """List the strategies of `folder`/*.py after ours; returns them as {name: class}, file by file, in their order.

    The strategies of a folder loaded before are taken off the list, so that calling it again shows edited files. A
    folder that does not exist holds none. A file that cannot be imported, holds no strategy or takes a name that is
    already on the list is a StrategyError, and the list stays as it was. With a list `broken` such a file is left out
    instead and told there, and in `unread`, which whoever looks for a strategy of that file reads.
    """
    from engine.strategies import STRATEGIES  # here, for that list is made of files that import this one

    ours = {name: kind for name, kind in STRATEGIES.items() if not _is_user(kind)}
    found: dict[str, type[Strategy]] = {}
    faults: list[str] = []
    for path in sorted(Path(folder).glob("*.py")):
        try:
            found |= _named(path, ours | found)
        except StrategyError as fault:
            if broken is None:
                raise
            faults.append(str(fault))
    STRATEGIES.clear()
    STRATEGIES.update(ours | found)
    unread[:] = faults
    if broken is not None:
        broken += faults
    return found


def unread_told() -> str:
    """The end of a complaint about an unknown strategy: files in which it may stand; empty if all could be read."""
    return "".join(f"; not read: {fault}" for fault in unread)


@contextmanager
def blamed():
    """What is raised inside a user's strategy becomes a StrategyError that names his file and line."""
    try:
        yield
    except StrategyError:
        raise
    except Exception as fault:
        files = [
            getattr(module, "__file__", "") for name, module in sys.modules.items() if name.startswith(USER_MODULES)
        ]
        told = blame.sentence(fault, files)
        if told is None:
            raise
        raise StrategyError(told) from fault


@contextmanager
def running(strategies, market):
    """As `blamed`, of programs that are called from compiled code: they leave no line."""
    try:
        yield
    except Exception as fault:
        theirs = [one for one in strategies if one.kind() == "decide" and _is_user(type(one))]
        if not theirs:
            raise
        raise StrategyError(blame.of_program(fault, theirs, market)) from fault


def source_hash(kind: type[Strategy]) -> str:
    """sha256 of the user's file that a strategy was loaded from; empty for ours, which the code's own hash covers."""
    return getattr(sys.modules.get(kind.__module__), "SOURCE_HASH", "") if _is_user(kind) else ""


def _is_user(kind: type) -> bool:
    return kind.__module__.startswith(USER_MODULES)


def _named(path: Path, known: dict) -> dict[str, type[Strategy]]:
    """The strategies of one file by their names, none of which is `known` already."""
    found = {}
    for kind in _strategies_of(path):
        name = snake_name(kind)
        if name in known or name in found:
            raise StrategyError(f"{path}: strategy '{name}' is already on the list; give the class another name")
        found[name] = kind
    return found


def _strategies_of(path: Path) -> list[type[Strategy]]:
    """Strategies written in one file, in its order."""
    module = _import(path)
    kinds = [kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, Strategy)]
    kinds = [
        kind for kind in dict.fromkeys(kinds) if kind.__module__ == module.__name__ and set(KINDS) & set(vars(kind))
    ]
    if not kinds:
        raise StrategyError(
            f"{path}: holds no strategy (a subclass of engine.strategy.Strategy with one of {', '.join(KINDS)})"
        )
    return kinds


def _import(path: Path):
    """Run the file as a module of its own name, afresh; whatever it raises becomes one sentence with file and line."""
    name = f"{USER_MODULES}.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # param and pickle look classes up there
    source = path.read_bytes()
    module.SOURCE_HASH = hashlib.sha256(source).hexdigest()  # of what runs, not of what the file may be by then
    try:
        # Compiled from the text, not through the byte-code cache: that one judges by a time stamp of whole seconds and
        # would miss a quick second edit of the same length.
        exec(compile(source, str(path), "exec"), module.__dict__)
    except (Exception, SystemExit) as fault:
        del sys.modules[name]
        raise StrategyError(f"{path}, line {_line(fault, path)}: {type(fault).__name__}: {_first(fault)}") from fault
    return module


def _line(fault: BaseException, path: Path) -> int:
    """Line of the file at which it failed: the innermost frame that lies in it, else the line of a syntax error."""
    if isinstance(fault, SyntaxError) and fault.filename == str(path):
        return fault.lineno or 0
    lines = [frame.lineno for frame in traceback.extract_tb(fault.__traceback__) if frame.filename == str(path)]
    return lines[-1] if lines else 0


def _first(fault: BaseException) -> str:
    """First line of what the fault says."""
    return (str(fault.msg if isinstance(fault, SyntaxError) else fault).splitlines() or [""])[0]


def _program_alone(strategy, market):
    """Forecasts of a program that always holds what it asked for, (time, market), with an equity of 1."""
    decide, params = strategy.decide.compiled, strategy.numbers()
    adjusted, mark = (np.array(values, dtype=np.float64, order="C") for values in (market.adjusted, market.mark))
    columns = np.arange(mark.shape[1], dtype=np.int64)
    out, memory = np.zeros(mark.shape), np.zeros((len(columns), MEMORY))
    position, forecast = np.zeros(len(columns)), np.zeros(len(columns))
    for t in range(len(mark)):
        decide(t, columns, adjusted, mark, position, 1.0, params, memory, forecast)
        position[:] = out[t] = forecast
    return out


def _none(strategy, market):
    raise StrategyError(f"{type(strategy).__name__}: forecast(market) is called from within itself")


_FORECASTS = {
    "forecast": _none,
    "signals": lambda strategy, market: strategy.signals(market).latched()[0],
    "targets": lambda strategy, market: strategy.targets(market),
    "decide": _program_alone,
}
