"""RunResult: what a run leaves, as tables that add up, saved under the hash of all that went in.

    runs/<id>/run.json          summary, portfolio, events, hashes
    runs/<id>/<table>.parquet   equity, trades, contract_trades, positions, ledger, fills, sleeves, events, and, where
                                the portfolio names one, benchmark

A run's folder is written beside its place, synced and renamed: it is there whole or not at all.
"""

import hashlib
import json
import shutil
from datetime import UTC, datetime
from functools import cached_property, partial
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import polars as pl
import polars.selectors as cs

from engine.portfolio import Portfolio
from engine.strategy import load_user
from store import durable, recorded
from store.answer import guarded
from store.archive import Conflict, Damaged

LAST = "last-run"  # in the cache: the run that was asked for last
TABLES = ("equity", "trades", "contract_trades", "positions", "ledger", "fills", "sleeves", "events")
BEFORE = ("fills", "sleeves", "events")  # tables that a run of 0.4 does not have
SOME = ("benchmark",)  # that only some runs have
SEVERAL = 5  # runs of one name that a complaint names


class RunUnknown(ValueError):
    """No run of that name, or more than one."""


class RunDamaged(ValueError):
    """A stored run that cannot be read; the message names it and says what to do."""


class RunDiffers(ValueError):
    """A run computed again from the same inputs with another result, which must never happen."""


class NotRunHere(ValueError):
    """A run that was imported from another program, where one of ours is needed."""


class Elsewhere(NamedTuple):
    """In place of the Portfolio of a run that was imported: what the other program tells of it."""

    name: str
    capital: float
    currency: str
    program: str
    compounding: bool = True

    def to_toml(self):
        """The same as text; no portfolio that could be run."""
        told = (("name", self.name), ("capital", self.capital), ("currency", self.currency))
        lines = (f"{key} = {json.dumps(value)}" for key, value in told)
        return "\n".join((f"# run by {self.program}; its strategy is not known here", "[imported]", *lines, ""))


class RunResult:
    """One run: `summary` (what `run --json` prints), `portfolio`, `first_events`, the tables, its `archive`."""

    archive = None

    def __init__(self, summary, portfolio, events, tables, meta=None):
        self.summary = summary
        self._portfolio = portfolio
        self.first_events = events
        self.meta = {"note": "", "tags": [], "created": ""} | (meta or {})
        self._tables = tables

    @cached_property
    def portfolio(self):
        """The Portfolio that was run; of a stored run it is made when first asked for."""
        return self._portfolio() if callable(self._portfolio) else self._portfolio

    @property
    def id(self):
        """Hash of all that went in, 12 hex digits."""
        return self.summary["run"]

    @property
    def name(self):
        """Name of the portfolio."""
        return self.summary["portfolio"]

    @property
    def note(self):
        """The user's note."""
        return self.meta["note"]

    @property
    def simulated(self):
        """Whether any price is simulated."""
        return self.summary["simulated"]

    def metrics(self):
        """Name -> number of `engine.metrics`; None where it is not defined."""
        return self.summary["metrics"]

    def equity(self):
        """day, equity, cash, margin, drawdown; the first row is the starting capital, before the first bar."""
        return self._table("equity")

    def trades(self):
        """One row a strategy trade: flat to flat, resizes and rolls inside it."""
        return self._table("trades")

    def contract_trades(self):
        """One row a contract held: a roll ends one and begins the next."""
        return self._table("contract_trades")

    def positions(self):
        """One row a day and line with a position: contract, contracts, mark, notional, margin.

        Its margin is that of the line alone: where lines net in one contract, or spreads have credit, the rows sum to
        more than the account's margin in `equity`.
        """
        return self._table("positions")

    def ledger(self):
        """One row a day, line and cause with an amount; sums to the change of equity."""
        return self._table("ledger")

    def fills(self):
        """One row a fill: day, line, contract, kind, contracts, prices with and without slippage, costs."""
        return self._table("fills")

    def sleeves(self):
        """One row a day and strategy with own capital (or one for all): its equity; their sum is the account's."""
        return self._table("sleeves")

    def events(self):
        """One row an event: day, line, kind, contracts wanted and allowed; `first_events` lists the first."""
        return self._table("events")

    def benchmark(self):
        """day, equity, benchmark: the run beside its benchmark; RunUnknown where its portfolio names none."""
        if "benchmark" not in self._tables:
            raise RunUnknown(f"run {self.id} has no benchmark; name one in the section [benchmark] of its portfolio")
        return self._table("benchmark")

    def event_groups(self):
        """Events by kind and market, the rarest kind first: `kind`, `market` ("": the account), `count`, `first` and
        `last` day."""
        told = self.summary.get("event_groups")
        if told is None:  # a run of before 0.5 has the first of each kind only
            rows = [(event["day"], event["root"], event["kind"]) for event in self.first_events]
            told = grouped(pl.DataFrame(rows, ("day", "market", "kind"), orient="row"))
        return told

    def _table(self, name):
        table = self._tables.get(name)
        if table is None:
            raise RunUnknown(f"run {self.id} is of an older version, which kept no {name}; run it again with --force")
        if callable(table):
            table = table()
        self._tables[name] = table
        return table

    @cached_property
    def identity_holds(self):
        """Whether contract and adjusted profit agree to rounding on every line; of an imported run it is not known."""
        return bool(self.summary["identity_holds"])

    def ours(self, wanted):
        """The run itself; NotRunHere, told what was `wanted`, of one that another program made."""
        if program := self.summary.get("program"):
            raise NotRunHere(f"run {self.id} was imported from {program}, which does not tell {wanted}")
        return self

    def save(self, archive, replace=False):
        """Write the run into the store, whole or not at all; one that is there stays.

        With `replace` a damaged one is written again; one that is as it was written has to have the same numbers.

        Raises
        ------
        RunDiffers
            The stored run, of the same inputs, has other numbers.
        """
        self.archive = archive
        there = self.id in archive.run_ids()
        if there and not (replace and self._damaged(archive)):
            return
        self.meta["created"] = self.meta["created"] or datetime.now(UTC).isoformat(timespec="seconds")
        staged = archive.stage()
        try:
            self._write(staged)
            self._publish(archive, staged, there)
        except BaseException:
            shutil.rmtree(staged, ignore_errors=True)  # gc takes what stays
            raise

    def _publish(self, archive, staged, replace):
        try:
            archive.publish(staged, self.id, replace)
        except Conflict:
            if self.id in archive.run_ids():  # another process saved the same run meanwhile
                durable.remove_tree(staged)
            else:  # a folder that lost its run.json
                archive.publish(staged, self.id, replace=True)

    def _damaged(self, archive):
        """Whether the stored run is damaged; RunDiffers if it is sound and has other numbers."""
        try:
            stored = load(archive, self.id)
            for read in stored._tables.values():
                *where, files = read.args
                read() if files is None else _content(*where, files)  # its sha256 says that it is as it was
        except RunDamaged:
            return True
        was, now = (run.summary["hashes"]["result"] for run in (stored, self))
        if was != now:
            raise RunDiffers(
                f"run {self.id} was computed again with another result: stored {was[:12]}, now {now[:12]}; the stored "
                f"one stays. Inputs and code are the same: `frontmonth verify`, then tell us with both results"
            )
        return False

    def _write(self, folder):
        """Write all files of the run into a folder and flush them."""
        files = {}
        for name in (*TABLES, *(name for name in SOME if name in self._tables)):
            buffer = BytesIO()
            self._table(name).write_parquet(buffer, compression="zstd")
            durable.write_new(folder / f"{name}.parquet", buffer.getvalue())
            files[f"{name}.parquet"] = hashlib.sha256(buffer.getvalue()).hexdigest()
        record = {
            "summary": self.summary,
            "portfolio": self.portfolio.to_toml(),
            "events": self.first_events,
            "meta": self.meta,
            "files": files,
        }
        record["checksum"] = recorded.checksum(json.loads(json.dumps(record)))
        durable.write_new(folder / "run.json", json.dumps(record, indent=1).encode())

    def delete(self, archive):
        """Take the run out of the store."""
        archive.drop_run(self.id)

    def export(self, folder):
        """Write the tables as CSV and the portfolio as TOML into `folder`; returns the file names.

        Texts that a spreadsheet would run as a formula get a leading apostrophe.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        written = [name for name in (*TABLES, *SOME) if name in self._tables]
        for name in written:
            frame = self._table(name)
            texts = [c for c, t in frame.schema.items() if t == pl.Categorical or isinstance(t, pl.Enum)]
            plain = frame.with_columns(pl.col(texts).cast(pl.String), cs.float() + 0.0)  # no -0.0
            guarded(plain).write_csv(folder / f"{name}.csv")
        (folder / "portfolio.toml").write_text(self.portfolio.to_toml())
        return [f"{name}.csv" for name in written] + ["portfolio.toml"]


def grouped(events):
    """What `RunResult.event_groups` tells of events with `day`, `market` and `kind`.

    >>> rows = [("2024-01-02", "CL", "limit locked"), ("2024-01-03", "", "ruined")]
    >>> rows += [("2024-01-04", "CL", "limit locked")]
    >>> for group in grouped(pl.DataFrame(rows, ("day", "market", "kind"), orient="row")):
    ...     print(list(group.values()))
    ['ruined', '', 1, '2024-01-03', '2024-01-03']
    ['limit locked', 'CL', 2, '2024-01-02', '2024-01-04']
    """
    names = pl.col("kind", "market").cast(pl.String)
    day, kinds = pl.col("day").cast(pl.String), pl.col("count").sum().over("kind")
    found = events.group_by(names).agg(count=pl.len(), first=day.min(), last=day.max())
    order = [kinds, pl.col("kind"), pl.col("count"), pl.col("market")]
    return found.sort(order, descending=[False, False, True, False]).to_dicts()


def load(archive, name):
    """The stored run whose id (or beginning of it), or whose portfolio's name if only one has it, is `name`.

    Raises
    ------
    RunUnknown
        None or several fit.
    """
    ids = archive.run_ids()
    fits = [i for i in ids if name and i.startswith(name)] or [
        i for i in ids if _record(archive, i)["summary"]["portfolio"] == name
    ]
    if name == "last" and ids:
        fits = [_last(archive, ids)]
    if len(fits) != 1:
        if not ids:
            raise RunUnknown(f"no run yet in {archive.place}; `frontmonth run trend` makes one")
        if not fits:
            raise RunUnknown(f"no run {name!r} in {archive.place}; `frontmonth runs` lists them")
        newest = sorted(fits, key=lambda i: _record(archive, i)["meta"]["created"], reverse=True)
        more = ", ..." if len(fits) > SEVERAL else ""
        raise RunUnknown(f"{len(fits)} runs are called {name!r} in {archive.place}; name one by its id, the newest "
                         f"first: {', '.join(newest[:SEVERAL])}{more}")  # fmt: skip
    record = _record(archive, fits[0])
    written = record.get("files") or dict.fromkeys(f"{table}.parquet" for table in TABLES if table not in BEFORE)
    tables = {
        table: partial(_read, archive, fits[0], table, record.get("files"))
        for table in (*TABLES, *SOME)
        if f"{table}.parquet" in written
    }

    def portfolio():
        summary = record["summary"]
        if program := summary.get("program"):
            return Elsewhere(summary["portfolio"], summary["capital"], summary["currency"], program)
        load_user(archive.path / "strategies", [])  # it may use one of the user's own; others may be broken
        return Portfolio.from_toml(record["portfolio"])

    found = RunResult(record["summary"], portfolio, record["events"], tables, record["meta"])
    found.archive = archive
    return found


def remember(archive, run_id):
    """Make a run the one that `last` means: the one that was asked for last, computed or found."""
    archive.cache.mkdir(exist_ok=True)
    durable.replace_hint(archive.cache / LAST, run_id.encode())


def _last(archive, ids):
    hint = archive.cache / LAST
    named = hint.read_text() if hint.is_file() else ""
    return named if named in ids else max(ids, key=lambda i: _record(archive, i)["meta"]["created"])


def listed(archive, damaged=None):
    """Summary and meta of every stored run, newest first; unreadable ones are told in the list `damaged`."""
    rows = []
    for run_id in archive.run_ids():
        try:
            record = _record(archive, run_id)
            rows.append(record["summary"] | {"created": record["meta"]["created"], "note": record["meta"]["note"]})
        except (RunDamaged, KeyError) as error:
            if damaged is None:
                raise
            damaged.append(str(error))
    return sorted(rows, key=lambda r: (r["created"], r["run"]), reverse=True)


def _record(archive, run_id):
    """What `run.json` holds, if it is as it was written; one of a program before 0.4 has no checksum."""
    name = f"runs/{run_id}/run.json"
    try:
        return recorded.record(archive.run_file(run_id, "run.json").read_bytes(), name)
    except (OSError, Damaged) as error:
        reason = str(error).removeprefix(f"{name} ")
        raise RunDamaged(
            f"{name} cannot be used: {reason}; restore it from a backup, or delete its folder and run it again"
        ) from error


def _read(archive, run_id, table, files):
    """A table of a stored run, if it is as it was written."""
    return pl.read_parquet(_content(archive, run_id, table, files))


def _content(archive, run_id, table, files):
    name = f"{table}.parquet"
    try:
        content = archive.run_file(run_id, name).read_bytes()
    except OSError as error:
        raise RunDamaged(f"runs/{run_id}/{name} cannot be read: {error.strerror}") from error
    if files is not None and hashlib.sha256(content).hexdigest() != files.get(name):
        raise RunDamaged(
            f"runs/{run_id}/{name} is damaged: its sha256 is not the one of run.json; restore it from a backup, or "
            "run it again with --force"
        )
    return content
