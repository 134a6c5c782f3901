"""Settings: param objects from the plain tables of a TOML file and back, with one sentence for whatever is wrong.

The standard library reads TOML but does not write it; `to_toml` writes the part that settings need. It is canonical:
equal settings give equal text (every value is written, in the order of the params, numbers by their kind), so that the
text can be hashed.
"""

import datetime
import difflib
import json
import math
import tomllib

import param


class ConfigError(ValueError):
    """A setting that cannot be: where it stands, what came, what is allowed, the nearest name."""


class Markets(param.Parameter):
    """All markets there are (`"all"`), or a list of roots."""

    def _validate(self, value):
        roots = (
            isinstance(value, list | tuple) and len(value) > 0 and all(isinstance(root, str) and root for root in value)
        )
        if not (value == "all" or (roots and len(set(value)) == len(value))):
            raise ValueError(f"markets {value!r} are not {allowed(self)}")


def keys(kind) -> list[str]:
    """Names of the params of a class or an object, in their order, without param's own `name`."""
    return [key for key in kind.param if key != "name"]


def read(kind: type, table: object, place: str):
    """An object of a class from a table {param: value}; `place` begins each complaint."""
    check_keys(table, keys(kind), place)
    made = kind()
    for key, value in table.items():
        assign(made, key, value, place)
    return made


def assign(made, key: str, value: object, place: str) -> None:
    """Set one param, or say why not."""
    parameter = made.param[key]
    try:
        setattr(made, key, _convert(parameter, value))
    except ConfigError as fault:  # of a setting that holds settings: it has said what is allowed
        raise ConfigError(f"{place} {key}: {fault}") from fault
    except (ValueError, TypeError) as fault:
        wrong = f"{place} {key} = {shown(value)} is not allowed; allowed: {allowed(parameter)}"
        objects = [item for item in getattr(parameter, "objects", ()) if isinstance(item, str)]
        raise ConfigError(wrong + nearest(value, objects)) from fault


def check_keys(table: object, known, place: str) -> None:
    """Complain unless `table` is a table and all its keys are known."""
    if not isinstance(table, dict):
        raise ConfigError(f"{place} {shown(table)} is not a table; allowed: a table of {', '.join(known) or 'nothing'}")
    for key in table:
        if key not in known:
            choice = ", ".join(known) or "none"
            raise ConfigError(f"{place} {key}: unknown key; allowed: {choice}{nearest(key, known)}")


def nearest(name: object, known) -> str:
    """The known name that a wrong one comes closest to, as the end of a complaint; empty if none is like it.

    >>> nearest("volatilty", ["fixed", "volatility"])
    '; nearest: volatility'
    """
    close = difflib.get_close_matches(str(name).lower(), {str(k).lower(): k for k in known}, n=1, cutoff=0.4)
    original = {str(k).lower(): k for k in known}
    return f"; nearest: {original[close[0]]}" if close else ""


def shown(value: object) -> str:
    """A value as a TOML file would have it, on one line and not too long."""
    if isinstance(value, float) and 1e12 <= abs(value) < math.inf:
        return figure(value)
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."


def allowed(parameter: param.Parameter) -> str:
    """What a param takes, in words.

    >>> allowed(param.Integer(default=1, bounds=(1, 5000)))
    'a whole number from 1 to 5000'
    """
    if isinstance(parameter, Markets):
        return 'text "all" or a list of different roots, at least one'
    if isinstance(parameter, param.Selector):
        return " or ".join(shown(item) for item in parameter.objects)
    if isinstance(parameter, param.Boolean):
        return "true or false"
    if _is_number(parameter):
        return _range("a whole number" if isinstance(parameter, param.Integer) else "a number", parameter)
    if isinstance(parameter, param.CalendarDate):
        return "a date such as 2001-01-31"
    if isinstance(parameter, param.String):
        return f"text such as {parameter.label}" if parameter.regex and parameter.label else "text"
    return (parameter.doc or type(parameter).__name__).removesuffix(" [1]")  # a unit that tells a user nothing


def figure(value: float) -> str:
    """A number as a portfolio file may write it, and as one reads it.

    >>> figure(1000000000.0), figure(1e15), figure(0.25), figure(5000), figure(1234567.5)
    ('1_000_000_000', '1e15', '0.25', '5000', '1_234_567.5')
    """
    if abs(value) >= 1e12:
        return f"{value:g}".replace("e+", "e")
    return f"{value:_.15g}" if abs(value) >= 1e5 else f"{value:.15g}"


def parsed(text: str, parameter: param.Parameter) -> object:
    """The value that text on a command line means for a param; text that means none comes back as it is.

    >>> parsed("10", param.Integer()), parsed("EUR", param.String()), parsed("MES,ZN", Markets())
    (10, 'EUR', ['MES', 'ZN'])
    """
    text = text.strip()
    if text.lower() in ("", "none") and parameter.allow_None:
        return None
    value = _toml_value(text)
    if isinstance(parameter, Markets) and not isinstance(value, list):
        return "all" if value == "all" else [root.strip() for root in text.split(",")]
    if isinstance(parameter, param.String) and not isinstance(value, str):
        return text
    return value


def table_of(made, names=None) -> dict:
    """Params of an object (or those of some names) as a plain table; what is None is left out."""
    values = {key: _plain(made.param[key], getattr(made, key)) for key in names or keys(made)}
    for key, value in values.items():
        if value is None and made.param[key].default is not None:
            raise ConfigError(
                f"{type(made).__name__}.{key} = None cannot be written, for TOML has no null; allowed: a value"
            )
    return {key: value for key, value in values.items() if value is not None}


def to_toml(document: dict) -> str:
    """Text of a document of plain tables, lists of tables, and values.

    >>> print(to_toml({"sizing": {"rule": "fixed", "contracts": 2.0}}), end="")
    [sizing]
    rule = "fixed"
    contracts = 2.0
    """
    return "\n".join(_sections(document, ())).lstrip("\n") + "\n"


def _range(words: str, parameter: param.Number) -> str:
    low, high = (None if end is None else figure(end) for end in parameter.bounds or (None, None))
    above, below = parameter.inclusive_bounds
    if low is not None and high is not None and above and below:
        return f"{words} from {low} to {high}"
    ends = [f"{'at least' if above else 'above'} {low}"] if low is not None else []
    ends += [f"{'at most' if below else 'below'} {high}"] if high is not None else []
    return " ".join([words, " and ".join(ends)]).strip()


def _is_number(parameter: param.Parameter) -> bool:
    """Whether it takes numbers; param's dates are Numbers by birth."""
    return isinstance(parameter, param.Number) and not isinstance(parameter, param.Date | param.CalendarDate)


def _convert(parameter: param.Parameter, value: object) -> object:
    """A TOML value as the param's type; a ValueError where param itself would let a wrong one pass."""
    if _is_number(parameter):
        if isinstance(value, bool) or (isinstance(value, float) and not math.isfinite(value)):
            raise ValueError("not a number")
        return value if isinstance(parameter, param.Integer) or not isinstance(value, int) else float(value)
    if isinstance(parameter, param.CalendarDate) and isinstance(value, str):
        return datetime.date.fromisoformat(value)
    if isinstance(parameter, Markets) and isinstance(value, list | tuple):
        return sorted(value, key=str)
    return tuple(value) if isinstance(parameter, param.Tuple) and isinstance(value, list) else value


def _plain(parameter: param.Parameter, value: object) -> object:
    """A param's value as TOML has it, the same for equal values."""
    if isinstance(value, bool) or value is None:
        return value
    if _is_number(parameter) and not isinstance(parameter, param.Integer):
        return float(value)
    if isinstance(parameter, Markets) and value != "all":
        return sorted(value)
    return value


def _toml_value(text: str) -> object:
    try:
        document = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return document["value"] if set(document) == {"value"} else text


def _sections(table: dict, path: tuple) -> list[str]:
    """Lines of a table: its values first, then the tables inside it."""
    inner = {k: v for k, v in table.items() if isinstance(v, dict) or _is_tables(v)}
    lines = [f"{_key(k)} = {_text(v)}" for k, v in table.items() if k not in inner]
    for key, value in inner.items():
        name = ".".join(map(_key, (*path, key)))
        for one in value if _is_tables(value) else [value]:
            bare = bool(one) and all(isinstance(v, dict) for v in one.values())  # TOML implies it by the tables within
            head = [] if bare else ["", f"[[{name}]]" if _is_tables(value) else f"[{name}]"]
            lines += [*head, *_sections(one, (*path, key))]
    return lines


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(isinstance(item, dict) for item in value)


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else _text(key)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):  # a basic string escapes as JSON does, and the delete character too
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_text, value)) + "]"
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, int | float):
        return repr(value)
    raise ConfigError(f"{value!r} cannot be written to a portfolio file; allowed: text, numbers, dates, lists of these")
