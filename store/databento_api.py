"""Databento's historical HTTP API: what is missing is priced, asked about, downloaded month by month and imported.

1. Nothing that costs is asked for before `ask(cost)` said yes to the cost that Databento states for what is missing.
2. A month of a schema is a file below `downloads/databento` of the store. It gets its name when it is whole, so that a
   download that was broken off goes on where it stopped, and what is there is not paid for again.
3. All files of the days asked for are imported, those of earlier calls too; what was imported before is skipped.
"""

import os
import re
import time
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from store import ingest, raw
from store.contracts import Master
from store.databento_http import BASE, ApiError, Service
from store.durable import TEMPORARY, make_folder, remove, sync_folder
from store.vendors import databento, dbn

SCHEMAS = ("definition", "ohlcv-1d", "statistics")  # in the order of import: statistics complete the bars
DATASETS = {"CME": "GLBX.MDP3", "CBOT": "GLBX.MDP3", "NYMEX": "GLBX.MDP3", "COMEX": "GLBX.MDP3",
            "ICE US": "IFUS.IMPACT", "ICE Europe": "IFEU.IMPACT"}  # fmt: skip


@dataclass(frozen=True)
class Chunk:
    """One schema from a day on, to before `end`: a file."""

    schema: str
    first: date
    end: date
    path: Path

    @property
    def empty(self):
        """What stands for a file in which there was nothing."""
        return self.path.with_name(self.path.name + ".empty")

    @property
    def there(self):
        """Whether it was downloaded before."""
        return self.path.is_file() or self.empty.is_file()


@dataclass
class Fetched:
    """What came of a fetch: `cost` of what was missing [USD]; `declined` if the answer was no."""

    symbol: str
    dataset: str
    cost: float = 0.0
    declined: bool = False
    downloaded: list = field(default_factory=list)  # files of this call
    reports: list = field(default_factory=list)  # FileReport of all files of the days asked for


def fetch(archive, symbol, first, last=None, *, ask, key=None, base=BASE, dataset=None, schemas=SCHEMAS,
          progress=None, pause=time.sleep, dry_run=False):  # fmt: skip
    """Download what is missing of a market or a contract, and import it.

    Parameters
    ----------
    archive : Archive
    symbol : str
        A root of the master (all its contracts), a contract (`ESH4`) or Databento's parent symbol (`ES.FUT`).
    first, last : date
        Days, UTC; `last` is yesterday if not given.
    ask : callable(cost in USD) -> bool
        Called before anything is downloaded, unless all of it is there.
    key : str, optional
        Instead of the environment's.
    base : str, optional
        Instead of Databento's address, for tests: https, or http on this machine.
    dataset : str, optional
        Instead of the one of the market's exchange.
    schemas : sequence of str, optional
    progress : callable(done, total, name), optional
    pause : callable(seconds), optional
    dry_run : bool
        Import nothing; to download nothing either, answer no.

    Returns
    -------
    Fetched

    Raises
    ------
    ApiError
        No key, no such market, turned away, not reached, or an answer that is not understood.
    """
    name, kind, dataset = _asked(archive, symbol, dataset)
    last = last or datetime.now(UTC).date() - timedelta(days=1)
    if first > last:
        raise ApiError(f"databento: from {first} to {last} there is no day")
    service = Service(base, key, pause)
    folder = archive.path / "downloads" / "databento" / _plain(dataset) / _plain(name)
    chunks = [chunk for schema in schemas for chunk in _chunks(schema, first, last, folder)]
    done = Fetched(name, dataset)
    common = {"dataset": dataset, "symbols": name, "stype_in": kind, "stype_out": "instrument_id"}
    missing = [chunk for chunk in chunks if not chunk.there]
    if missing:
        done.cost = sum(service.cost(common | _span(*span)) for span in _spans(missing))
        if not ask(done.cost):
            done.declined = True
            return done
        make_folder(folder)
    for number, chunk in enumerate(missing):
        if progress:
            progress(number, len(missing), chunk.path.name)
        _download(service, common | _span(chunk.schema, chunk.first, chunk.end), chunk)
        done.downloaded.append(chunk.path)
    held = [chunk.path for chunk in chunks if chunk.path.is_file()]
    if held:
        done.reports = ingest.import_paths(archive, held, databento.NAME, progress=progress, dry_run=dry_run)
    return done


def _asked(archive, symbol, dataset):
    """Databento's symbol, its kind, and the dataset it is in."""
    text = str(symbol).strip()
    master = Master.load(archive.path)
    written = text.removesuffix(".FUT")
    contract = dbn.parsed(text, date.today())
    root = written if written in master.roots or contract[0] is None else contract[0]
    if not re.fullmatch(r"[A-Za-z0-9]{1,12}( +FM[A-Z]\d{4}!)?", written):
        raise ApiError(f"databento: {raw.plain(text, 40)!r} is no symbol: write ES (all contracts), ESH4 or ES.FUT")
    if dataset is None:
        if root not in master.roots:
            raise ApiError(f"databento: no market {root!r} in the contract master, so its dataset is not known")
        exchange = master.spec(root).exchange
        if exchange not in DATASETS:
            raise ApiError(f"databento: no dataset for {root} of {exchange}; there are {', '.join(DATASETS)}")
        dataset = DATASETS[exchange]
    if root == written:
        names = (
            [name for vendor, name in master.aliases(root) if vendor == databento.NAME] if root in master.roots else []
        )
        return f"{names[0] if names else root}.FUT", "parent", dataset
    return text, "raw_symbol", dataset


def _plain(text):
    return re.sub(r"[^A-Za-z0-9.-]", "_", text)


def _chunks(schema, first, last, folder):
    """Months of the days asked for."""
    end = last + timedelta(days=1)
    starts = [first]
    while (after := _next_month(starts[-1])) < end:
        starts.append(after)
    for begin, stop in pairwise([*starts, end]):
        name = f"{_plain(folder.name)}.{schema}.{begin:%Y%m%d}-{stop - timedelta(days=1):%Y%m%d}.dbn.zst"
        yield Chunk(schema, begin, stop, folder / name)


def _next_month(day):
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def _spans(chunks):
    """(schema, first, end) of chunks, those that follow each other as one: a price is asked for once."""
    spans = []
    for chunk in chunks:
        if spans and spans[-1][0] == chunk.schema and spans[-1][2] == chunk.first:
            spans[-1] = (chunk.schema, spans[-1][1], chunk.end)
        else:
            spans.append((chunk.schema, chunk.first, chunk.end))
    return spans


def _span(schema, first, end):
    return {"schema": schema, "start": first.isoformat(), "end": end.isoformat()}


def _download(service, wanted, chunk):
    """A chunk's file, in place once it is whole; of an answer without records a mark."""
    part = chunk.path.with_name(f"{TEMPORARY}{os.getpid()}-{chunk.path.name}")
    try:
        service.save(wanted | {"encoding": "dbn", "compression": "zstd"}, part)
        target = chunk.path
        try:
            dbn.records(raw.open_file(part).parts[0])
        except dbn.Empty:
            target = chunk.empty
        except raw.Unreadable as error:
            raise ApiError(
                f"databento: what came for {chunk.path.name} is no good file: {raw.plain(error, 200)}"
            ) from error
        os.replace(part, target)
        sync_folder(target.parent)
    except OSError as error:
        raise ApiError(f"databento: {raw.plain(chunk.path)} cannot be written: {error.strerror}") from error
    finally:
        if part.exists():
            remove(part)
