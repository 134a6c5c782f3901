"""Strategy: params, and a forecast from what is known at the close of each bar.

A strategy is a `param.Parameterized` with bounds and a doc (with its unit) on every param, and one function,
`forecast`. Users keep theirs as `strategies/*.py` beside the store; `load_user` lists them after ours. Such a file is
trusted code: it runs as the person who starts the command.
"""

import hashlib
import importlib.util
import re
import sys
import traceback
from pathlib import Path

import numpy as np
import param

USER_MODULES = "frontmonth_user_strategies"


class StrategyError(Exception):
    """A strategy file of the user that cannot be used: which file, which line, why."""


class Strategy(param.Parameterized):
    """What every strategy is.

    Prices come as the market's adjusted series, whose level means nothing (it is anchored at the first contract held):
    read differences of it only, never its ratios or its sign (DOMAIN T1, T2, T14).
    """

    def forecast(self, market) -> np.ndarray:
        """Opinion for every market and bar, array (time, market) float64; 1 is the usual long, -1 the usual short.

        Row t reads rows 0..t of the market and no others; it is filled at the next bar. nan means no opinion and is
        held as 0; a market's holiday keeps the last opinion.
        """
        raise NotImplementedError(f"{type(self).__name__} has no forecast(market)")

    def warm_up(self) -> int:
        """Bars of a market that must have been seen before its forecast means anything. [bars]"""
        return 0


def snake_name(strategy: type) -> str:
    """Name under which a strategy is listed and written in a portfolio file.

    >>> snake_name(type("MovingAverageCross", (Strategy,), {}))
    'moving_average_cross'
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", strategy.__name__).lower()


def load_user(folder: Path | str) -> dict[str, type[Strategy]]:
    """List the strategies of `folder`/*.py after ours; returns them as {name: class}, file by file, in their order.

    The strategies of a folder loaded before are taken off the list, so that calling it again shows edited files. A
    folder that does not exist holds none. A file that cannot be imported, holds no strategy or takes a name that is
    already on the list is a StrategyError, and the list stays as it was.
    """
    from engine.strategies import STRATEGIES  # here, for that list is made of files that import this one

    ours = {name: kind for name, kind in STRATEGIES.items() if not _is_user(kind)}
    found: dict[str, type[Strategy]] = {}
    for path in sorted(Path(folder).glob("*.py")):
        for kind in _strategies_of(path):
            name = snake_name(kind)
            if name in ours or name in found:
                raise StrategyError(f"{path}: strategy '{name}' is already on the list; give the class another name")
            found[name] = kind
    STRATEGIES.clear()
    STRATEGIES.update(ours | found)
    return found


def source_hash(kind: type[Strategy]) -> str:
    """sha256 of the user's file that a strategy was loaded from; empty for ours, which the code's own hash covers."""
    return getattr(sys.modules.get(kind.__module__), "SOURCE_HASH", "") if _is_user(kind) else ""


def _is_user(kind: type) -> bool:
    return kind.__module__.startswith(USER_MODULES)


def _strategies_of(path: Path) -> list[type[Strategy]]:
    """Strategies written in one file, in its order."""
    module = _import(path)
    kinds = [kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, Strategy)]
    kinds = [kind for kind in dict.fromkeys(kinds) if kind.__module__ == module.__name__ and "forecast" in vars(kind)]
    if not kinds:
        raise StrategyError(f"{path}: holds no strategy (a subclass of engine.strategy.Strategy with a forecast)")
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
