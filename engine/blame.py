"""Faults inside a user's own strategy, as one sentence: file, line, function, what was raised, and what to do.

Where it failed is the innermost line of his files on the way to it. What numba compiles leaves no such line: of what it
cannot compile it tells one itself; a program that fails while it runs is called once more as plain Python, bar by bar,
to find it.
"""

import re
import traceback

import numpy as np

from engine.book import MEMORY

HINT = "mend it there, or take the strategy out of the portfolio; --debug shows the traceback"
_FUNCTION = re.compile(r"Function\(<(?:built-in )?function ([\w.]+)[^>]*>\)")
_LINE = re.compile(r'File "([^"]+)", line (\d+)')


def sentence(fault, files):
    """What failed in one of these files; None where no line of them led to it."""
    frames = [frame for frame in traceback.extract_tb(fault.__traceback__) if frame.filename in files]
    if not frames:
        return None
    last = frames[-1]
    line = compiled_line(fault, last.filename)
    place = f"line {last.lineno}, in {last.name}"
    if line and line != last.lineno:
        place = f"line {line}, compiled for line {last.lineno} in {last.name}"
    return f"{last.filename}, {place}: {cause(fault)}; {HINT}"


def of_program(fault, strategies, market):
    """What failed while programs were running; `strategies` are those of the user.

    The line is that of the first one that fails in the same way as plain Python, on prices alone and holding what it
    asked for; where none does, the functions are named.
    """
    for strategy in strategies:
        place = _failing_line(fault, strategy, market)
        if place:
            return f"{place}: {cause(fault)}; {HINT}"
    codes = [strategy.decide.function.__code__ for strategy in strategies]
    places = " or ".join(f"{code.co_filename}, line {code.co_firstlineno}, in {code.co_name}" for code in codes)
    return f"{places}: {cause(fault)}; {HINT}"


def compiled_line(fault, file):
    """The line of a file that numba could not compile; None of another fault."""
    loc = getattr(fault, "loc", None)
    if getattr(loc, "filename", None) == file:
        return loc.line
    lines = [int(line) for name, line in _LINE.findall(str(fault)) if file.replace("\\", "/").endswith(name)]
    return lines[-1] if lines and type(fault).__module__.startswith("numba") else None


def cause(fault):
    """What was raised, on one line; of numba's walls of text the reason.

    >>> cause(KeyError("fast")), cause(ValueError("too\\nmany"))
    ("KeyError: 'fast'", 'ValueError: too many')
    """
    return f"{type(fault).__name__}: {reason(fault)}".rstrip(": ")


def reason(fault):
    """The same without its kind.

    >>> from numba.core.errors import TypingError
    >>> reason(TypingError("Failed in nopython mode\\nNo match for signature:\\n\\n >>> add(int64, str)\\n\\nmore"))
    'No match for signature: add(int64, str)'
    """
    lines = [line.strip() for line in str(fault).splitlines() if line.strip()]
    if not type(fault).__module__.startswith("numba"):
        return " ".join(lines)
    lines = [line for line in lines if not line.startswith("Failed in")]
    told = " ".join(lines[: 2 if lines[:1] and lines[0].endswith(":") else 1])
    told = _FUNCTION.sub(r"\1", told).replace(">>> ", "")
    return told.removesuffix("Raised from None").rstrip(". ") or type(fault).__name__


def _failing_line(fault, strategy, market):
    """File, line and function at which a program fails as plain Python; none where it does not."""
    code = strategy.decide.function.__code__
    try:
        with np.errstate(divide="raise"):  # as compiled code has it for plain numbers
            _called(strategy, market)
    except Exception as again:  # noqa: BLE001  whatever it raises
        frames = [f for f in traceback.extract_tb(again.__traceback__) if f.filename == code.co_filename]
        alike = type(again) is type(fault) or (
            isinstance(fault, ZeroDivisionError) and isinstance(again, ArithmeticError)
        )
        if frames and alike:
            return f"{code.co_filename}, line {frames[-1].lineno}, in {frames[-1].name}"
    return None


def _called(strategy, market):
    """Call a program on every bar, uncompiled."""
    decide, params = strategy.decide.function, strategy.numbers()
    adjusted, mark = (np.array(values, dtype=np.float64, order="C") for values in (market.adjusted, market.mark))
    columns = np.arange(mark.shape[1], dtype=np.int64)
    memory, forecast, position = np.zeros((len(columns), MEMORY)), np.zeros(len(columns)), np.zeros(len(columns))
    for t in range(len(mark)):
        decide(t, columns, adjusted, mark, position, 1.0, params, memory, forecast)
        position[:] = forecast
