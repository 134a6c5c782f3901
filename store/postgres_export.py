"""The stored tables as tables of PostgreSQL: typed, keyed, commented, all of them changed together or not at all.

1. One transaction. Two exports into one schema wait for each other; readers see the tables as they were until the end.
2. Of the exported markets (and of the stored currencies) the tables hold afterwards what the store holds; rows of
   others stay. Rows that are equal are not touched, so that an export of an unchanged store writes nothing.
3. A table of one of these names with other columns is somebody else's: the export is refused before any change.
4. A key has no nulls in PostgreSQL: a text of a key that is null in the store is '' there, and null again when read.
"""

from io import BytesIO

import polars as pl

from store import history, raw
from store.contracts import Master, code, first_notice, last_trade
from store.postgres_link import DatabaseError, checked, commit, connected, described, primary_key, shown
from store.segments import choose
from store.tables import CONTRACT, DAY, REAL, TABLES, TEXT, Table

TYPES = {
    pl.String: "text",
    pl.Int32: "integer",
    pl.Int64: "bigint",
    pl.Float64: "double precision",
    pl.Boolean: "boolean",
    pl.Date: "date",
    pl.Datetime: "timestamp with time zone",
}
NULL = r"\N"
SLICE = 200_000  # rows that are written at a time
OUT_DOCS = {
    "offset": "of the contract's prices to the first contract's, by difference [price]",
    "factor": "the same, by ratio",
    "adjusted": "back-adjusted by differences, the newest contract at its market price [price]",
    "next_contract": "the contract that would follow, YYYYMM",
    "next_price": "its price at the same moment [price]",
    "next_days": "between the last trades of the two [days]",
    "roll_yield": "what a long holder earns if the curve stays as it is [1/year]",
    "roll": "true on the last row of a contract",
}

CONTRACTS = Table(
    "contracts",
    "Each stored contract, and each of which a vendor gave dates: its life and the facts that held at its end.",
    {
        "source": (TEXT, "where the rows come from"),
        "root": (TEXT, "the master's symbol of the market, or the vendor's name of one it does not know"),
        "contract": (CONTRACT, "delivery month, YYYYMM"),
        "code": (TEXT, "short name, as MESH24"),
        "first_day": (DAY, "of the stored bars"),
        "last_day": (DAY, "of the stored bars"),
        "last_trade": (DAY, "the vendor's date, else by the exchange's rule"),
        "first_notice": (DAY, "the same; null: no notice"),
        "multiplier": (REAL, "[currency per 1.0 of price, one contract]"),
        "tick": (REAL, "least change of price [price]"),
        "currency": (TEXT, "ISO code"),
        "vendor_first_trade": (DAY, "as this source told it; null: not told"),
        "vendor_last_trade": (DAY, "as this source told it; null: not told"),
        "vendor_first_notice": (DAY, "as this source told it; null: not told"),
        "known": (TABLES["contracts"].schema["known"], "when the vendor's dates came into the store"),
    },
    ("source", "root", "contract"),
)
_BARS = TABLES["contract_bars"].columns
CONTINUOUS = Table(
    "continuous",
    "The rolled series of each market by the default rule: a row for each bar of the contract held.",
    {
        "root": _BARS["root"],
        "source": _BARS["source"],
        "rule": (TEXT, "the roll rule as written"),
        "time": _BARS["time"],
        "day": _BARS["day"],
        "source_time": _BARS["source_time"],
        "contract": (CONTRACT, "the contract held, YYYYMM"),
        **{name: _BARS[name] for name in ("open", "high", "low", "close", "settle", "volume", "open_interest")},
        **{name: (REAL, OUT_DOCS[name]) for name in ("offset", "factor", "adjusted")},
        "next_contract": (CONTRACT, OUT_DOCS["next_contract"]),
        "next_price": (REAL, OUT_DOCS["next_price"]),
        "roll": (pl.Boolean, OUT_DOCS["roll"]),
        **{name: (REAL, OUT_DOCS[name]) for name in ("next_days", "roll_yield")},
    },
    ("root", "time"),
)
STORED = ("contract_bars", "vendor_chains", "roll_calendars", "findings", "margins", "fx", "rates")
LAYOUTS = {table.name: table for table in (CONTRACTS, CONTINUOUS, *(TABLES[name] for name in STORED))}
WRITTEN = LAYOUTS | {"roll_versions": TABLES["roll_versions"]}  # which tells of another store, so is not taken back
NOT_NULL = ("root", "rank")  # beside the key; a chain without a rank is the held one


def export(archive, url, roots=None, schema="public", progress=None):
    """Write the newest snapshot into a PostgreSQL database.

    Parameters
    ----------
    archive : Archive
    url : str
        `postgresql://USER@HOST/DATABASE`, without a password.
    roots : list of str, optional
        Markets; all that are stored, if not given. Exchange and interest rates are always written.
    schema : str
        Made where there is none.
    progress : callable(done, total, name), optional

    Returns
    -------
    dict
        Table -> rows that were exported.

    Raises
    ------
    DatabaseError
        No connection, no permission, or a table of one of these names that is not ours; nothing was changed.
    """
    from psycopg import IntegrityError

    checked(url)  # before the store is read
    snapshot, made = archive.head(), {}
    master, scopes = Master.load(archive.path), _scopes(archive, snapshot, roots)
    steps = _Steps(progress, sum(len(scopes[_axis(layout)]) for layout in WRITTEN.values()))
    with connected(url) as connection:
        fresh = _prepare(connection, schema)
        for name, layout in WRITTEN.items():
            scope, write = scopes[_axis(layout)], _filled if name in fresh else _merged
            frames = (steps(name, part, _rows(archive, snapshot, master, name, part)) for part in scope)
            try:
                made[name] = write(connection, sql_name(schema, name), layout, scope, frames)
            except IntegrityError as error:
                told = raw.plain(f"{error.diag.message_primary}: {error.diag.message_detail}", 300)
                raise DatabaseError(f"{shown(url)}: table {name}: {told}; nothing was changed") from error
        steps("commit", "", None)
        commit(connection, url)
    return made


class _Steps:
    """Tells how far the work is: a step a table and market."""

    def __init__(self, progress, total):
        self.progress, self.total, self.done = progress, total, 0

    def __call__(self, table, part, rows):
        """The rows, when that was told."""
        if self.progress:
            self.progress(self.done, self.total, f"{table} {part}".rstrip())
        self.done += 1
        return rows


# ---- what is written


def _axis(layout):
    return "root" if "root" in layout.columns else "currency"


def _scopes(archive, snapshot, roots):
    """The markets and the currencies that are exported."""
    there = {"root": set(), "currency": set()}
    for name in (*STORED, "contracts", "roll_versions"):
        axis = _axis(TABLES[name])
        there[axis] |= {segment.labels[axis] for segment in archive.files(name, snapshot) if axis in segment.labels}
    wanted = there["root"] if roots is None else {choose(root, there["root"], "stored market") for root in roots}
    return {"root": sorted(wanted), "currency": sorted(there["currency"])}


def _rows(archive, snapshot, master, name, part):
    """Rows of a table of one market or currency, as PostgreSQL has them."""
    layout = WRITTEN[name]
    if name == "contracts":
        frame = _contracts(archive, snapshot, master, part)
    elif name == "continuous":
        frame = _continuous(archive, snapshot, part)
    else:
        frame = archive.read(name, snapshot, **{_axis(layout): part})
    if name == "findings":  # the same fault found twice has one id
        frame = frame.unique("id", keep="last", maintain_order=True)
    texts = [column for column in layout.key if layout.schema[column] == TEXT]
    ranks = [pl.col("rank").fill_null(1)] if "rank" in layout.columns else []
    return frame.select(*layout.schema).with_columns(
        *ranks, pl.col(texts).fill_null(""), pl.col(TEXT).exclude(texts).str.replace_all("\x00", r"\x00", literal=True)
    )


def _contracts(archive, snapshot, master, root):
    """Each contract of a market: its stored life, the vendor's dates, the facts that held at its end."""
    key = list(CONTRACTS.key)
    days = {"first_day": pl.col("day").min(), "last_day": pl.col("day").max()}
    lived = archive.scan("contract_bars", snapshot, root=root).group_by(key).agg(**days).collect(engine="in-memory")
    told = archive.read("contracts", snapshot, root=root)
    told = told.rename({name: f"vendor_{name}" for name in ("first_trade", "last_trade", "first_notice")})
    frame = lived.join(told, on=key, how="full", coalesce=True).sort(key)
    spec = history.spec(archive, root, master, snapshot)
    facts = [_facts(spec, master, contract, day) for contract, day in frame.select("contract", "last_day").iter_rows()]
    names = ("last_trade", "first_notice", "multiplier", "tick", "currency")
    schema = {name: CONTRACTS.schema[name] for name in names}
    codes = pl.Series("code", [code(root, contract) for contract in frame["contract"]], dtype=TEXT)
    return pl.concat([frame.with_columns(codes), pl.DataFrame(facts, schema, orient="row")], how="horizontal")


def _facts(spec, master, contract, last_day):
    """Last trade, first notice, multiplier, tick and currency of a contract; nulls of a market that nobody knows."""
    if spec is None:
        return (None,) * 5
    end = last_trade(spec, contract)
    then = master.spec(spec.root, min(end, last_day or end))
    return end, first_notice(spec, contract), then.multiplier, then.tick, then.currency


def _continuous(archive, snapshot, root):
    """The continuous table of a market by the default rule."""
    found = history.sources(archive, root, snapshot)
    if not found:
        return CONTINUOUS.empty()
    kind, source = found[0]
    rule = history.DEFAULT if kind == "contract_bars" else source
    try:
        frame = history.table(archive, root, snapshot=snapshot)
    except history.NotStored:  # bars without a price cannot be joined
        return CONTINUOUS.empty()
    return frame.with_columns(pl.lit(root).alias("root"), pl.lit(source).alias("source"), pl.lit(rule).alias("rule"))


# ---- how it is written


def sql_name(schema, name):
    """The quoted name of a table."""
    from psycopg import sql

    return sql.Identifier(schema, name)


def columns_of(layout):
    """Column -> PostgreSQL's type."""
    return {name: TYPES[dtype if isinstance(dtype, type) else type(dtype)] for name, dtype in layout.schema.items()}


def _prepare(connection, schema):
    """Make what is missing; the names of the tables made. Refused if a table of these names is not ours."""
    from psycopg import sql

    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"frontmonth {schema}",))
    there = {name: described(connection, schema, name) for name in WRITTEN}
    foreign = [_difference(connection, found) for found in there.values() if found.columns]
    if any(foreign):
        raise DatabaseError(f"schema {raw.plain(schema)} holds tables that are not of this program's layout: "
                            f"{'; '.join(filter(None, foreign))}. Choose another one with --schema, or drop them; "
                            "nothing was changed")  # fmt: skip
    if not connection.execute("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = %s", (schema,)).fetchone():
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
    fresh = [name for name, found in there.items() if not found.columns]
    for name in fresh:
        _make(connection, sql_name(schema, name), WRITTEN[name])
    return fresh


def _difference(connection, found):
    """How a table that is there differs from ours; '' where it does not."""
    layout = WRITTEN[found.name]
    wanted, key = columns_of(layout), primary_key(connection, found)
    wrong = [f"{n} {kind}" for n, kind in found.columns.items() if wanted.get(n) != kind][:3]
    lacking = [f"{n} {kind}" for n, kind in wanted.items() if n not in found.columns][:3]
    told = [
        f"{what} {raw.plain(', '.join(names), 120)}" for what, names in (("has", wrong), ("lacks", lacking)) if names
    ]
    if not told and set(key) != set(layout.key):
        told = [f"has not the primary key ({', '.join(layout.key)})"]
    return f"{found.name} {' and '.join(told)}" if told else ""


def _make(connection, table, layout):
    from psycopg import sql

    held = {*layout.key, *NOT_NULL}
    made = [
        sql.SQL("{} {}{}").format(sql.Identifier(name), sql.SQL(kind), sql.SQL(" NOT NULL" if name in held else ""))
        for name, kind in columns_of(layout).items()
    ]
    connection.execute(sql.SQL("CREATE TABLE {} ({})").format(table, sql.SQL(", ").join(made)))
    connection.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(table, sql.Literal(layout.doc)))
    for name, (_, doc) in layout.columns.items():
        place = sql.SQL("{}.{}").format(table, sql.Identifier(name))
        connection.execute(sql.SQL("COMMENT ON COLUMN {} IS {}").format(place, sql.Literal(doc or None)))


def _filled(connection, table, layout, scope, frames):
    """Fill a table that was just made; its key afterwards, which is three times as quick."""
    from psycopg import sql

    count = _copied(connection, table, layout, frames)
    key = sql.SQL(", ").join(map(sql.Identifier, layout.key))
    connection.execute(sql.SQL("ALTER TABLE {} ADD PRIMARY KEY ({})").format(table, key))
    return count


def _merged(connection, table, layout, scope, frames):
    """Make the rows of `scope` those of `frames`, by way of a temporary table; equal rows are left alone."""
    from psycopg import sql

    names = [sql.Identifier(name) for name in layout.columns]
    rest = [sql.Identifier(name) for name in layout.columns if name not in layout.key]
    same = sql.SQL(" AND ").join(sql.SQL("s.{0} = t.{0}").format(sql.Identifier(name)) for name in layout.key)
    parts = {
        "t": table,
        "s": sql.Identifier(f"frontmonth_{layout.name}"),
        "axis": sql.Identifier(_axis(layout)),
        "same": same,
        "first": sql.Identifier(layout.key[0]),
        "key": sql.SQL(", ").join(map(sql.Identifier, layout.key)),
        "columns": sql.SQL(", ").join(names),
        "new": sql.SQL(", ").join(sql.SQL("s.{}").format(name) for name in names),
        "old": sql.SQL(", ").join(sql.SQL("t.{}").format(name) for name in names),
        "set": sql.SQL(", ").join(sql.SQL("{0} = EXCLUDED.{0}").format(name) for name in rest),
    }
    run = lambda text, values=None: connection.execute(sql.SQL(text).format(**parts), values)  # noqa: E731
    run("CREATE TEMPORARY TABLE {s} (LIKE {t}) ON COMMIT DROP")
    count = _copied(connection, parts["s"], layout, frames)
    run("ANALYZE {s}")
    run("DELETE FROM {t} t WHERE t.{axis} = ANY(%s) AND NOT EXISTS (SELECT 1 FROM {s} s WHERE {same})", (scope,))
    run(
        "INSERT INTO {t} ({columns}) SELECT {new} FROM {s} s LEFT JOIN {t} t ON {same} "
        "WHERE t.{first} IS NULL OR ({old}) IS DISTINCT FROM ({new}) ON CONFLICT ({key}) DO UPDATE SET {set}"
    )
    return count


def _copied(connection, table, layout, frames):
    """Stream rows into a table; how many."""
    from psycopg import sql

    columns, count = sql.SQL(", ").join(map(sql.Identifier, layout.columns)), 0
    text = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv, NULL {})").format(table, columns, sql.Literal(NULL))
    with connection.cursor() as cursor, cursor.copy(text) as copy:
        for frame in frames:
            count += frame.height
            for piece in frame.iter_slices(SLICE):
                buffer = BytesIO()
                piece.write_csv(buffer, include_header=False, quote_style="non_numeric", null_value=NULL)
                copy.write(buffer.getvalue())
    return count
