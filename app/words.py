"""Words of the command line that are what they say, taken without the library that checks types.

Newer versions of typer load that library for the first word of any command, which takes 60 ms. A text, a list of texts,
a number that is one already and a path that can be read need no check; all else is left to typer.
"""

import os
from pathlib import Path

from typer.core import TyperCommand, TyperGroup

NUMBERS = (int, float)


class Command(TyperCommand):
    """A verb."""

    def get_params(self, ctx):
        return _quickened(super().get_params(ctx))


class Group(TyperGroup):
    """The command, whose options go before any verb."""

    def get_params(self, ctx):
        return _quickened(super().get_params(ctx))


class Plain:
    """What typer makes of the words of one param."""

    def __init__(self, typed):
        self._typed = typed

    def coerce(self, value, param, ctx):
        """The value of a word, or of several."""
        asked = self._typed.annotation
        several = param.multiple or param.nargs == -1
        if value is None:
            return () if several else None
        if several and asked == list[str] and isinstance(value, (list, tuple)) and _all_are(str, value):
            return list(value)
        info = self._typed.parameter_info
        if not several and type(value) is asked and (asked is str or (asked in NUMBERS and _within(value, info))):
            return value
        if not several and asked is Path and type(value) is str and _open(value, info):
            return Path(value)
        return self._typers(param).coerce(value, param=param, ctx=ctx)

    def _typers(self, param):
        param._runtime_param = None  # it makes its own
        return param.get_runtime_param()


def _quickened(params):
    for param in params:
        typed = getattr(param, "type_descriptor", None)
        if typed is not None and getattr(param, "_runtime_param", 0) is None and typed.parameter_info.parser is None:
            param._runtime_param = Plain(typed)
    return params


def _all_are(kind, values):
    return all(type(value) is kind for value in values)


def _within(value, info):
    """Whether a value is not outside of its bounds, if it has any."""
    return (info.min is None or value >= info.min) and (info.max is None or value <= info.max)


def _open(path, info):
    """Whether typer has nothing to say about a path."""
    strict = info.exists or info.resolve_path or info.allow_dash or info.writable or info.path_type
    plain = not strict and info.file_okay and info.dir_okay
    return plain and (not os.path.exists(path) or os.access(path, os.R_OK))
