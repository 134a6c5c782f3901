"""SQL over the files of a snapshot: an in-memory DuckDB that sees those files and nothing else.

One connection a question, closed with it, so that nothing is shared and nothing stays open. Only SELECT is run, and
the connection is locked before: no other file, no network, no extension, no setting can be reached from the text.
DuckDB's own sums of floats differ from run to run with more than one thread; results never come from here.
"""

import re

import polars as pl

from store.durable import StoreError
from store.tables import TABLES

_TYPES = {pl.String: "VARCHAR", pl.Int32: "INTEGER", pl.Int64: "BIGINT", pl.Float64: "DOUBLE", pl.Date: "DATE"}


class BadQuery(StoreError):
    """The SQL text is wrong, or asks for more than a SELECT."""


class _Stream:
    """A result on its way to polars, which remembers the type of what it reads for as long as the process lives.

    Were that type DuckDB's own, its library would be torn down too late, with pages of complaints on exit.
    """

    def __init__(self, relation):
        self.capsule = relation.__arrow_c_stream__()

    def __arrow_c_stream__(self, requested_schema=None):
        return self.capsule


def named(sql):
    """The tables whose names stand in the text.

    >>> [table.name for table in named("select * from FX join rates using (day)")]
    ['fx', 'rates']
    """
    return [table for table in TABLES.values() if re.search(rf"\b{table.name}\b", sql, re.IGNORECASE)]


def select(sql, params, paths, scratch):
    """The answer of one SELECT.

    Parameters
    ----------
    sql : str
    params : list or dict or None
    paths : list of (Table, list of str)
        The tables that the text may name, and their files.
    scratch : path
        Folder for what does not fit into memory.

    Returns
    -------
    DataFrame
    """
    import duckdb

    connection = duckdb.connect(":memory:")
    try:
        for table, files in paths:
            connection.execute(_view(table, files))
        _lock(connection, [path for _, files in paths for path in files], scratch)
        _only_select(connection.extract_statements(sql), duckdb.StatementType.SELECT)
        answer = connection.sql(sql, params=params)
        return pl.DataFrame(_Stream(answer))
    except duckdb.Error as error:
        reason = str(error).strip().splitlines()[0]
    finally:
        connection.close()
    raise BadQuery(f"the query cannot be run: {reason}")


def _only_select(statements, kind):
    if len(statements) != 1 or statements[0].type != kind:
        raise BadQuery("the query cannot be run: it must be one SELECT")


def _view(table, files):
    """SQL that makes a view of the files with all columns of the table; no rows where there is no file."""
    columns = ", ".join(f"NULL::{_type(dtype)} AS {_identifier(name)}" for name, dtype in table.schema.items())
    rows = f"SELECT {columns} WHERE false"
    if files:
        listed = ", ".join(_text(_pattern(path)) for path in files)
        rows += f" UNION ALL BY NAME (FROM read_parquet([{listed}], union_by_name = true))"
    return f"CREATE VIEW {_identifier(table.name)} AS {rows}"


def _lock(connection, files, scratch):
    """Shut the connection off from all but the files."""
    allowed = ", ".join(_text(name) for path in files for name in {path, _pattern(path)})
    connection.execute(f"SET allowed_paths = [{allowed}]")
    connection.execute(f"SET temp_directory = {_text(str(scratch / 'duckdb'))}")
    for setting in (
        "TimeZone = 'UTC'",
        "python_enable_replacements = false",
        "autoinstall_known_extensions = false",
        "autoload_known_extensions = false",
        "enable_external_access = false",
        "lock_configuration = true",
    ):
        connection.execute(f"SET {setting}")


def _type(dtype):
    return "TIMESTAMPTZ" if isinstance(dtype, pl.Datetime) else _TYPES[dtype]


def _identifier(name):
    return '"' + name.replace('"', '""') + '"'


def _text(value):
    return "'" + value.replace("'", "''") + "'"


def _pattern(path):
    """A path in which no character stands for others."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in path)
