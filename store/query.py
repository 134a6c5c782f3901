"""SQL over the files of a snapshot: an in-memory DuckDB that sees those files and nothing else.

One connection a question, closed with it, so that nothing is shared and nothing stays open. What stands between a text
and the machine, each enough for what it is there for:

1. `statement.check`: one SELECT, made of the tables and of functions that only compute; nothing is run before.
2. A locked connection: no file but those of the snapshot, no network, no extension, no setting. A path that may be read
   may also be written, says DuckDB; so (1) is what keeps a file from being overwritten, and the file's own mode.
3. Limits: memory, one thread, time, rows. One call of a function cannot be interrupted, so that a text of a stranger,
   or of a page, is run in a process of its own that can be killed (`app.question`).

One thread also makes sums of floats repeat; with two they differ in the last digits from run to run. Results of runs
never come from here.
"""

import re
import shutil
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import polars as pl

from store.answer import Answer
from store.durable import NotWritten
from store.statement import DEEP, BadQuery, check
from store.tables import TABLES

__all__ = ["Answer", "BadQuery", "answer", "ask", "named", "select"]

SECONDS = 30.0  # after which a query is stopped, if nothing else is asked for
MEMORY = "2GB"  # that DuckDB may hold; more goes to files of its own
SPILL = "8GB"  # that those files may take
MOST = 10_000_000  # rows of an answer, if no limit is asked for
CELLS = 100_000_000  # values of an answer
COLUMNS = 2_000  # of an answer
AGAIN = 0.05  # an interrupt that came too early is repeated after this [s]
spills = set()  # folders of queries that this process is at
_FIRST, _LAST = -62_135_596_800_000, 253_402_300_799_999  # 0001-01-01 and the end of 9999 [ms since 1970]
_TYPES = {pl.String: "VARCHAR", pl.Int32: "INTEGER", pl.Int64: "BIGINT", pl.Float64: "DOUBLE", pl.Date: "DATE"}
_FITS = re.compile(  # types that polars takes as they are; others are handed on as text
    r"(U?(TINYINT|SMALLINT|INTEGER|BIGINT)|HUGEINT|DOUBLE|FLOAT|BOOLEAN|VARCHAR|DATE|TIME|BLOB|UUID|JSON|\"NULL\""
    r"|DECIMAL\(\d+,\d+\)|TIMESTAMP(_NS|_MS|_S)?|TIMESTAMP WITH TIME ZONE|ENUM\(.*\))(\[\d*\])*"
)


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


def ask(archive, text, params=None, snapshot=None, seconds=SECONDS, limit=None, memory=MEMORY, ready=None):
    """The answer of one SELECT over the tables of a snapshot.

    Parameters
    ----------
    archive : Archive
    text : str
        One SELECT of DuckDB's; tables go by their names.
    params : list or dict, optional
        For `?` or `$name` in the text.
    snapshot : Snapshot or int, optional
        The newest, if not given.
    seconds : float
        After which the query is stopped; checking files that this process has not read yet is not counted. What cannot
        be interrupted ends later, or never: see `Archive.sql`. [s]
    limit : int, optional
        Rows of the answer at most; `Answer.cut` says whether there were more. Without it all rows are given, up to
        `MOST`.
    memory : str
        That DuckDB may hold, as `2GB`; more goes to files of its own, which are removed at the end.
    ready : function, optional
        Called once the files were found to be right and the query begins.

    Returns
    -------
    Answer

    Raises
    ------
    BadQuery
        The text is wrong, asks for what it may not, or was stopped.
    """
    pinned = archive.pin(snapshot)
    paths = [(table, archive.paths([s for s in pinned.files if s.table == table.name])) for table in named(text)]
    if ready is not None:
        ready()
    found = answer(text, params, paths, archive.cache, seconds, limit, memory)
    return Answer(found.frame, found.cut, pinned.number)


def select(sql, params, paths, scratch, seconds=SECONDS, limit=None):
    """The rows of one SELECT, as a DataFrame; parameters as of `answer`."""
    return answer(sql, params, paths, scratch, seconds, limit).frame


def answer(sql, params, paths, scratch, seconds=SECONDS, limit=None, memory=MEMORY):
    """The answer of one SELECT over some files.

    Parameters
    ----------
    sql : str
    params : list or dict or None
    paths : list of (Table, list of str)
        The tables that the text may name, and their files: local, absolute.
    scratch : path
        Folder for what does not fit into memory; it may be absent.
    seconds, limit, memory
        As of `ask`.

    Returns
    -------
    Answer
    """
    import duckdb

    if limit is not None and limit < 1:
        raise BadQuery(f"a limit of {limit} rows leaves nothing: it must be 1 or more")
    reason = None
    with _folder(scratch) as spill:
        connection = duckdb.connect(":memory:")
        try:
            for table, files in paths:
                connection.execute(_view(table, files))
            _lock(connection, [path for _, files in paths for path in files], spill, memory)
            with _stopped(connection, seconds):
                frame, most = _run(connection, sql, params, limit)
        except duckdb.InterruptException:
            reason = f"it was stopped after {seconds:g} seconds: ask for less, or give it more time"
        except (duckdb.OutOfMemoryException, MemoryError):
            reason = f"it needs more than {memory} of memory: ask for fewer rows or columns"
        except (duckdb.Error, TypeError, ValueError) as error:
            reason = _reason(connection, error, sql)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            reason = f"its answer cannot be handed on ({_line(error)}); write it as text: value::VARCHAR"
        finally:
            connection.close()
    if reason is not None:
        raise BadQuery(f"the query cannot be run: {reason}")
    if frame.height > most and limit is None:
        raise BadQuery(f"the answer has more than {most:,} rows: aggregate, or cut it by LIMIT")
    return Answer(frame.head(most), frame.height > most)


# ------------------------------------------------------------------------------------------------- the connection


def _run(connection, sql, params, limit):
    """(frame, most): the rows, one more than `most` of them if there are more."""
    check(connection, sql)
    most = limit or MOST
    relation = connection.sql(sql, params=params)
    width = len(relation.columns)
    if width > COLUMNS:
        raise BadQuery(f"the answer has {width:,} columns, at most {COLUMNS:,} are given")
    kinds = [str(kind) for kind in relation.types]
    if not all(map(_FITS.fullmatch, kinds)):
        relation = relation.project(", ".join(map(_handed, range(width), kinds, relation.columns)))
    most = min(most, CELLS // max(width, 1))
    return _dated(pl.DataFrame(_Stream(relation.limit(most + 1)))), most


def _dated(frame):
    """The frame, if its times are of the years that polars and Python can tell."""
    times = frame.select(pl.col(pl.Date).cast(pl.Datetime("ms")), pl.col(pl.Datetime).cast(pl.Datetime("ms")))
    for column in times.select(pl.all().to_physical()):
        if column.len() > column.null_count() and not (column.min() >= _FIRST and column.max() <= _LAST):
            raise BadQuery(f"column {column.name} has a time before year 1 or after 9999: write it as text, ::VARCHAR")
    return frame


def _handed(number, kind, name):
    """A column of an answer in a type that polars takes."""
    cast = "" if _FITS.fullmatch(kind) else "::VARCHAR"
    return f"#{number + 1}{cast} AS {_identifier(name)}"


@contextmanager
def _folder(scratch):
    """A fresh folder for DuckDB's own files, gone at the end; the one around it stays, as others may be using it."""
    folder = Path(scratch) / "sql" / uuid4().hex
    try:
        folder.mkdir(parents=True)
    except OSError:  # a store on a disk that is read-only, or full
        folder = _elsewhere()
    spills.add(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        spills.discard(folder)


def _elsewhere():
    """A fresh folder where the system has its temporary files."""
    try:
        return Path(tempfile.mkdtemp(prefix="frontmonth-sql-"))
    except OSError as error:
        raise NotWritten(
            f"a query has no folder to keep in what is large, neither in the cache nor in {tempfile.gettempdir()} "
            f"({error.strerror}): name one in TMPDIR"
        ) from error


@contextmanager
def _stopped(connection, seconds):
    """A block whose query is interrupted after a time."""
    done = threading.Event()

    def watch():
        late = not done.wait(seconds)
        while late:
            connection.interrupt()
            late = not done.wait(AGAIN)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _view(table, files):
    """SQL that makes a view of the files with all columns of the table; no rows where there is no file."""
    columns = ", ".join(f"NULL::{_type(dtype)} AS {_identifier(name)}" for name, dtype in table.schema.items())
    rows = f"SELECT {columns} WHERE false"
    if files:
        listed = ", ".join(_text(_pattern(path)) for path in files)
        rows += f" UNION ALL BY NAME (FROM read_parquet([{listed}], union_by_name = true))"
    return f"CREATE VIEW {_identifier(table.name)} AS {rows}"


def _lock(connection, files, spill, memory):
    """Shut the connection off from all but the files."""
    allowed = ", ".join(_text(name) for path in files for name in {path, _pattern(path)})
    for setting in (
        f"temp_directory = {_text(str(spill))}",
        f"max_temp_directory_size = {_text(SPILL)}",
        f"secret_directory = {_text(str(spill / 'secrets'))}",
        f"memory_limit = {_text(memory)}",
        "threads = 1",
        "TimeZone = 'UTC'",
        "enable_progress_bar = false",
        "python_enable_replacements = false",
        "allow_persistent_secrets = false",
        "allow_community_extensions = false",
        "autoinstall_known_extensions = false",
        "autoload_known_extensions = false",
        f"allowed_paths = [{allowed}]",
        "enable_external_access = false",
        "lock_configuration = true",
    ):
        connection.execute(f"SET {setting}")


# ------------------------------------------------------------------------------------------------------- its words


def _reason(connection, error, sql):
    """What DuckDB says is wrong with the text: its sentence, its hint and the place."""
    import duckdb

    if isinstance(error, (duckdb.BinderException, duckdb.CatalogException)):
        try:
            connection.execute(f"EXPLAIN {sql}")  # told so, an error has a place
        except duckdb.Error as placed:
            error = placed
    if "expression depth" in str(error):  # its hint is a setting, which is locked here
        return DEEP
    message, _, shown = str(error).partition("\n\nLINE ")
    message = re.sub(r"^[A-Z]\w*( \w+)? Error: ", "", message.partition("\n\tCandidate functions")[0])
    parts = [part.strip().rstrip(".!") for part in message.splitlines() if part.strip()]
    return "; ".join(parts) + _shown_place(shown, sql)


def _shown_place(shown, sql):
    """The place in the text that DuckDB points at: it repeats the line, cut to what fits, and puts a mark below."""
    head, _, mark = shown.partition("\n")
    number, _, line = head.partition(": ")
    if "^" not in mark or not line:
        return ""
    column, piece = mark.index("^") - len(f"LINE {number}: "), line
    if piece.startswith("..."):
        piece, column = piece[3:], column - 3
    if piece.startswith("EXPLAIN "):
        piece, column = piece[8:], column - 8
    piece = piece.removesuffix("...")
    for k, own in enumerate(sql.split("\n"), 1):
        if piece in own and column >= 0:
            return f" (line {k}, column {own.index(piece) + column + 1})"
    return ""


def _line(error):
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _type(dtype):
    return "TIMESTAMPTZ" if isinstance(dtype, pl.Datetime) else _TYPES[dtype]


def _identifier(name):
    return '"' + name.replace('"', '""') + '"'


def _text(value):
    return "'" + value.replace("'", "''") + "'"


def _pattern(path):
    """A path in which no character stands for others."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in path)
