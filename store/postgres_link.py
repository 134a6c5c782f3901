"""The way to a PostgreSQL server: addresses without passwords, connections, what tables are there, errors as sentences.

1. A password in an address would end up in shell histories, process lists and logs: it is refused before anything is
   connected or repeated. It comes from PGPASSWORD or from `~/.pgpass`, as every PostgreSQL program has it.
2. Names go into SQL as quoted identifiers only, values as parameters.
3. The session is set so that a value has one text: UTC, ISO dates, floats that read back to the same bits.
"""

import logging
import re
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches

from store import raw
from store.durable import StoreError

SCHEMES = ("postgresql://", "postgres://")
ADDRESS = "write postgresql://USER@HOST:PORT/DATABASE"
PASSWORD = "a password in the address is refused: put it into the environment as PGPASSWORD, or into ~/.pgpass"
PATIENCE = 10  # for an answer to a connection, where neither the address nor PGCONNECT_TIMEOUT says [s]
SESSION = "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'iso_8601'; SET extra_float_digits = 1"
SHOWN = 12  # tables named in a message

_TABLES = """
    SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
    ORDER BY NOT pg_catalog.pg_table_is_visible(c.oid), n.nspname <> 'public', n.nspname, c.relname
"""
_COLUMNS = """
    SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod) FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
_KEY = """
    SELECT a.attname FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_class c ON c.oid = i.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, place)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
    WHERE i.indisprimary AND n.nspname = %s AND c.relname = %s ORDER BY k.place
"""


class DatabaseError(StoreError):
    """A database cannot be used as asked; the message is one sentence and holds no password."""


@dataclass(frozen=True)
class Found:
    """A table or view of a database: `columns` maps a name to PostgreSQL's name of its type."""

    schema: str
    name: str
    columns: dict

    def __str__(self):
        return raw.plain(self.name if self.schema == "public" else f"{self.schema}.{self.name}")


def checked(url):
    """The parameters of an address.

    Raises
    ------
    DatabaseError
        It is none, or has a password in it; the message does not repeat it.

    Examples
    --------
    >>> checked("postgresql://me@localhost/futures")
    {'user': 'me', 'dbname': 'futures', 'host': 'localhost'}
    >>> checked("postgresql://me:secret@localhost/futures")
    Traceback (most recent call last):
    ...
    store.postgres_link.DatabaseError: a password in the address is refused: put it into the environment as PGPASSWORD,
    or into ~/.pgpass
    """
    from psycopg import Error
    from psycopg.conninfo import conninfo_to_dict

    text = str(url)
    if not text.startswith(SCHEMES):
        raise DatabaseError(f"not the address of a PostgreSQL database: {ADDRESS}")
    user, at, _ = text.partition("://")[2].partition("?")[0].rpartition("@")
    if re.search(r"password\s*=", text, re.IGNORECASE) or (at and ":" in user and not user.endswith(":")):
        raise DatabaseError(PASSWORD)
    try:
        found = conninfo_to_dict(text)
    except Error:  # its message repeats parts of the address
        raise DatabaseError(f"not the address of a PostgreSQL database: {ADDRESS}") from None
    if any("password" in name for name in found):
        raise DatabaseError(PASSWORD)
    return found


def shown(url):
    """The address for a message: user, server and database only."""
    found = checked(url)
    user = f"{found['user']}@" if found.get("user") else ""
    port = f":{found['port']}" if found.get("port") else ""
    return raw.plain(f"postgresql://{user}{found.get('host', 'localhost')}{port}/{found.get('dbname', '')}", 120)


@contextmanager
def connected(url, reads=False):
    """A connection in one transaction, committed by the caller; whatever the server refuses becomes a `DatabaseError`.

    Parameters
    ----------
    url : str
    reads : bool
        Only to read, and everything as of one moment.
    """
    import psycopg

    logging.getLogger("psycopg").addHandler(logging.NullHandler())  # what it tells of a lost connection, we tell
    parameters, place = checked(url), shown(url)
    parameters.setdefault("application_name", "frontmonth")
    with _sentences(place, "no connection"):
        waits = {} if "connect_timeout" in parameters else {"connect_timeout": PATIENCE}
        connection = psycopg.connect(**(waits | parameters), client_encoding="utf8")
    with _sentences(place, "nothing was imported" if reads else "nothing was changed"):
        try:
            connection.execute(SESSION)
            connection.commit()
            connection.read_only = reads or None
            if reads:
                connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            yield connection
        finally:
            connection.close()  # what was not committed is rolled back by the server


def commit(connection, url):
    """Commit; a connection lost just then leaves open whether it was done."""
    import psycopg

    try:
        connection.commit()
    except psycopg.OperationalError as error:
        told = "the connection was lost at the very end: the export is there whole or not at all; do it again"
        raise DatabaseError(f"{shown(url)}: {told}") from error


@contextmanager
def _sentences(place, outcome):
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        raise DatabaseError(f"{place}: {_reason(error)}; {outcome}") from error


def _reason(error):
    """Why, in PostgreSQL's own words, and what helps."""
    import psycopg

    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return f"no permission: {raw.plain(error.diag.message_primary, 200)}"
    if error.sqlstate is None and isinstance(error, psycopg.OperationalError):
        text = raw.plain(str(error).strip().splitlines()[0].removeprefix("connection failed: "), 300)
        hint = "; set PGPASSWORD, or write it into ~/.pgpass" if "no password supplied" in text else ""
        return f"{text}{hint}"
    told = [error.diag.message_primary or str(error).strip().splitlines()[0], error.diag.message_detail]
    return raw.plain(": ".join(part.rstrip(".") for part in told if part), 300)


def find(connection, name):
    """The table or view of that name: `bars`, `prices.bars`, or either quoted as in SQL.

    Raises
    ------
    DatabaseError
        There is none; the nearest, or those there are, are named.
    """
    there = [tuple(row) for row in connection.execute(_TABLES).fetchall()]
    label = lambda pair: pair[1] if pair[0] == "public" else ".".join(pair)  # noqa: E731
    labels = [raw.plain(label(pair)) for pair in there]
    told = ", ".join(labels[:SHOWN]) + (" ..." if len(labels) > SHOWN else "") or "none that you may see"
    if not name:
        raise DatabaseError(f"say which table, with --table; there are {told}")
    wanted = (name, *_unquoted(name))
    pair = next((pair for text in wanted for pair in there if text in (pair[1], ".".join(pair))), None)
    if pair is None:
        near = get_close_matches(name, labels, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {told}"
        raise DatabaseError(f"no table {raw.plain(name, 80)!r}: {hint}")
    return described(connection, *pair)


def _unquoted(name):
    """The name without SQL's quotes, if it has any.

    >>> _unquoted('prices."Odd.Bars"'), _unquoted("bars")
    (['prices.Odd.Bars'], [])
    """
    parts = re.findall(r'"((?:[^"]|"")+)"|([^".]+)', name) if '"' in name else []
    return [".".join(quoted.replace('""', '"') or plain for quoted, plain in parts)] if parts else []


def described(connection, schema, name):
    """The table or view with its columns, of which there may be none where it does not exist."""
    return Found(schema, name, dict(connection.execute(_COLUMNS, (schema, name)).fetchall()))


def primary_key(connection, found):
    """Columns of the primary key, in order; none where there is none."""
    return tuple(name for (name,) in connection.execute(_KEY, (found.schema, found.name)).fetchall())
