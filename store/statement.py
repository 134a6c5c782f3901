"""What a SELECT may be made of: only what stands on the lists of this file, by DuckDB's own parse of the text.

That a text is one SELECT does not say that it only reads. DuckDB 2.0 lets a WITH hold an INSERT or a `COPY … TO`, calls
the whole a SELECT, and writes even to a path that it was allowed to read; `query('…')` and others take SQL, or a path,
as a value. So the tree of the text is walked before it is run, and a part that is not known to be harmless is refused:

1. a FROM names a table of the store, a WITH of its own that is in sight there, a function of `ROWS`, or values;
2. no part writes, and none is of a kind that these lists do not know, as a newer DuckDB may bring;
3. no function tells of the machine or its settings, waits, or takes bytes for a state of DuckDB's own.
"""

import json
from difflib import get_close_matches
from string import ascii_lowercase, ascii_uppercase

from store.durable import StoreError
from store.tables import TABLES

LONGEST = 100_000  # of a text [characters]
ROWS = ("generate_series", "json_each", "json_tree", "range", "repeat", "unnest")  # functions that make rows of values
CLOSED = {  # functions of single values that are not for a question
    "combine", "current_setting", "currval", "finalize", "getenv", "json_serialize_plan", "json_serialize_sql",
    "json_deserialize_sql", "nextval", "pg_get_viewdef", "pg_sleep", "setval", "sleep_ms", "to_aggregate_state",
    "write_log",
}  # fmt: skip
DEEP = "its parts stand too deep inside one another"
_SELECTS = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
_SOURCES = {"BASE_TABLE", "EMPTY", "EXPRESSION_LIST", "JOIN", "PIVOT", "SHOW_REF", "SUBQUERY", "TABLE_FUNCTION"}
_ORDERS = {"ORDER_MODIFIER", "LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER", "DISTINCT_MODIFIER"}
_ORDERS |= {"ORDER_DEFAULT", "ASCENDING", "DESCENDING"}
_VALUES = {  # classes of expressions
    "BETWEEN", "CASE", "CAST", "COLLATE", "COLUMN_REF", "COMPARISON", "CONJUNCTION", "CONSTANT", "FUNCTION", "LAMBDA",
    "LAMBDA_REF", "OPERATOR", "PARAMETER", "POSITIONAL_REFERENCE", "STAR", "SUBQUERY", "TYPE", "WINDOW",
}  # fmt: skip
_SHOWN = {"DESCRIBE", "SUMMARY"}
_SMALL = str.maketrans(ascii_uppercase, ascii_lowercase)
_HOMES = ([], ["main"], ["memory"], ["memory", "main"])


class BadQuery(StoreError):
    """The SQL text is wrong, asks for more than a SELECT over the tables, or for more than it was given."""


def check(connection, text):
    """Refuse a text that is not one SELECT made of what the lists allow.

    Parameters
    ----------
    connection : DuckDBPyConnection
        Parses it; nothing of the text is run.
    text : str

    Raises
    ------
    BadQuery
        With the place in the text where there is one.
    """
    import duckdb

    if len(text) > LONGEST:
        raise BadQuery(f"the query has {len(text):,} characters, at most {LONGEST:,} are read")
    if not text.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in text):
        raise BadQuery("the query cannot be run: it has half of a character in it")
    statements = connection.extract_statements(text)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        one = bool(statements) and statements[-1].type == duckdb.StatementType.MULTI
        hint = "; a PIVOT tells its values: ON column IN (…)" if one else ""
        raise BadQuery(f"the query cannot be run: it must be one SELECT{hint}")
    tree = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [text]).fetchall()[0][0]
    try:
        walk(json.loads(tree), text)
    except RecursionError:
        raise BadQuery(f"the query cannot be run: {DEEP}") from None


def walk(part, text, sight=frozenset()):
    """Refuse a tree with a part that is not allowed; `sight`: names of the WITHs that it may read."""
    if isinstance(part, list):
        for each in part:
            walk(each, text, sight)
        return
    if not isinstance(part, dict):
        return
    if part.get("error") is True:
        raise BadQuery("the query cannot be run: it must be one SELECT")
    for each in (part.get("cte_map") or {}).get("map", ()):
        name, made = _lower(each["key"]), each["value"]
        own = {name} if (made.get("query_node") or {}).get("type") == "RECURSIVE_CTE_NODE" else set()
        walk(made, text, sight | own)
        sight |= {name}
    _allow(part, text, sight)
    for name, each in part.items():
        if name != "cte_map":
            walk(each, text, sight)


def _allow(part, text, sight):
    """Refuse one part of the tree by what it is."""
    kind, family = part.get("type"), part.get("class")
    if family is not None:
        if family not in _VALUES:
            raise _refused(f"{_plain(family)} is not allowed", part, text)
        if family in ("FUNCTION", "WINDOW"):
            _allow_function(part, text)
    elif not isinstance(kind, str) or kind in _ORDERS or kind in _SELECTS or kind.endswith("_TYPE_INFO"):
        return
    elif kind not in _SOURCES:
        raise _refused(f"{_plain(kind)} is not allowed, it must only select", part, text)
    elif kind == "BASE_TABLE":
        _allow_table(part, text, sight)
    elif kind == "TABLE_FUNCTION":
        name = _path(part["function"])[-1]
        if len(_path(part["function"])) > 1 or name not in ROWS:
            raise _refused(f"{name} is not open here; rows come from the tables and {_listed(ROWS)}", part, text)
    elif kind == "SHOW_REF" and not (part["show_type"] in _SHOWN and part["query"]):
        raise _refused(f"the tables are {_listed(TABLES)}; DESCRIBE tells the columns of one", part, text)


def _allow_table(part, text, sight):
    path = _path(part)
    if len(path) == 1 and path[0] in sight:
        return
    if path[-1] in TABLES and path[:-1] in _HOMES:
        if part.get("at_clause"):
            raise _refused("AT is not open here; a query asks one snapshot, which is named beside its text", part, text)
        return
    near = get_close_matches(path[-1], [*TABLES, *sight], 1)
    meant = f" (did you mean {near[0]}?)" if near else ""
    name = ".".join(part["qualified_name"]["path"])
    raise _refused(f"there is no table {name}{meant}; the tables are {_listed(TABLES)}", part, text)


def _allow_function(part, text):
    name = _path(part)[-1]
    if name in CLOSED or name.startswith("__internal") or part.get("export_state"):
        raise _refused(f"{name} is not open here", part, text)


def _path(part):
    return [_lower(name) for name in part["qualified_name"]["path"]]


def _lower(name):
    """A name as DuckDB compares it: A to Z only; Python makes a k of the Kelvin sign too, and so one of two names.

    >>> _lower("FX"), _lower("\\u212a") == "k"
    ('fx', False)
    """
    return name.translate(_SMALL)


def _refused(reason, part, text):
    return BadQuery(f"the query cannot be run: {reason}{place(text, part.get('query_location'))}")


def place(text, offset):
    """Where an offset [bytes] lies in a text, in words; empty where it lies in none.

    >>> place("select *" + chr(10) + "from nix", 14)
    ' (line 2, column 6)'
    """
    content = text.encode("utf-8", "replace")
    if offset is None or not 0 <= offset < len(content):
        return ""
    before = content[:offset].decode("utf-8", "replace").split("\n")
    return f" (line {len(before)}, column {len(before[-1]) + 1})"


def _plain(kind):
    """A kind of DuckDB's, in words: COPY_QUERY_NODE is a copy."""
    return kind.lower().removesuffix("_node").removesuffix("_query").removesuffix("_ref").replace("_", " ")


def _listed(names):
    return ", ".join(sorted(names))
