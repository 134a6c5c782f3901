"""Loaded markets kept beside the store, so that the same question is answered by mapping a file into memory.

A market lies in the folder `markets` of the store's cache (`store.mapped`) under the hash of all that it depends on:

1. the snapshot: every table of the store, decisions and stored roll calendars too;
2. the shipped and the user's own files of facts, names, holidays, sessions and half days, by their content;
3. the code of store and engine, and the versions of the two libraries that compute;
4. the question: columns, end, currency, rules, roll prices, days of a roll, legs.

What was made while somebody edited those files is not kept. A market that is refused raises before anything is kept.
Qualities of markets lie beside them, in the folder `quality`: they serve other questions about the same data, too.

What took long to find out about a run lies in the folder `analysis`, under the run's id and the hash of the question
and the code; the run's own folder is never written to.
"""

import contextlib
import hashlib
import json
import math
import sys
from dataclasses import asdict, fields
from datetime import date
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import polars as pl

import store
from store import kept, mapped, quality
from store.code import code_hash
from store.contracts import NUMBERS, ContractSpec
from store.days import CONFIG, sources

FORMAT = 1
FILES = ("contracts.csv", "symbols.csv", "holidays.csv", "sessions.csv", "halfdays.csv")
FOLDER = "markets"  # of the store's cache
TUPLES = ("names", "roots", "ranks", "currencies", "sectors", "priceless")
PLAIN = ("currency", "simulated", "hashes")
_PACKAGES = Path(store.__file__).parent, Path(__file__).parent
for _package in _PACKAGES:
    code_hash(_package)  # now: of the code that is being loaded, not of what lies there when a market is asked for


def key(archive, snapshot, question):
    """The name of a market: the hash of all that it depends on, now."""
    files = hashlib.sha256("\n".join(segment.path for segment in snapshot.files).encode()).hexdigest()
    made_by = [code_hash(package) for package in _PACKAGES] + [np.__version__, pl.__version__, sys.byteorder]
    told = [FORMAT, snapshot.hash, files, _content(archive.path), made_by, question]
    return _hash(told)


def find(archive, name):
    """The fields of a kept `Market`, with `specs` in place of `hours`; None where it is absent, torn or altered.

    `specs` is a function without arguments that gives the facts of the markets: few runs ask for them.
    """
    found = mapped.read(archive.cache / FOLDER, name, name)
    if found is None:
        return None
    arrays, told = found
    told |= {field: tuple(told[field]) for field in TUPLES} | arrays
    told["sources"] = {root: one | {"until": _day(one["until"])} for root, one in told["sources"].items()}
    told["quality"] = {root: quality.Quality(**parts) for root, parts in told["quality"].items()}
    told["specs"] = partial(_specs, told["specs"], Path(archive.path).resolve())
    return told


def keep(archive, name, market, specs):
    """Keep a market under its name; where that fails, go on."""
    arrays = {field: values for field, values in vars(market).items() if isinstance(values, np.ndarray)}
    told = {field: getattr(market, field) for field in (*TUPLES, *PLAIN, "sources")}
    told["sources"] = {
        root: one | {"until": one["until"] and str(one["until"])} for root, one in told["sources"].items()
    }
    told["quality"] = {root: asdict(parts) for root, parts in market.quality.items()}
    told["specs"] = [_told(spec) for spec in specs]
    with contextlib.suppress(OSError):  # then it only costs time
        mapped.write(archive.cache / FOLDER, name, name, arrays, told)


def judged(archive, roots, snapshot, day, master):
    """Root -> Quality on a day, from the cache if it is there."""
    made_of = [snapshot.hash, roots, day, master.hash, code_hash(_PACKAGES[0])]
    folder, name = archive.cache / "quality", _hash(made_of)
    known = kept.read(folder, name)
    if known is not None:
        return {root: quality.Quality(**parts) for root, parts in known.items()}
    found = quality.score(archive, roots, snapshot, day)
    with contextlib.suppress(OSError):  # then it only costs time
        kept.write(folder, name, {root: asdict(parts) for root, parts in found.items()})
    return found


def of_run(archive, run_id, question, make):
    """A document about a run, from the cache if it is there, else made and kept.

    Parameters
    ----------
    archive : Archive
    run_id : str
    question : list
        What is asked, with all that the answer depends on beside the run and the code: plain values.
    make : function without arguments
        Gives the document, of plain values; nan is kept as such.
    """
    name = f"{run_id}-{_hash([question, [code_hash(package) for package in _PACKAGES], np.__version__])[:16]}"
    folder = archive.cache / "analysis"
    found = kept.read(folder, name)
    if found is None:
        found = make()
        with contextlib.suppress(OSError):  # then it only costs time
            kept.write(folder, name, found)
    return found


def _told(spec):
    """The facts of a market for JSON, without the folder of the user's own files, which may move."""
    told = {field.name: getattr(spec, field.name) for field in fields(spec) if field.name != "extra"}
    return told | {"dates": [(contract, *map(_text, days)) for contract, *days in spec.dates]}


def _specs(told, extra):
    """The facts of markets as they were told."""
    return tuple(_spec(one, extra) for one in told)


def _spec(told, extra):
    """The facts of a market as they were told."""
    told = told | {name: tuple(map(tuple, told[name])) for name in ("last_trade_rules", "first_notice_rules")}
    told["dates"] = tuple((contract, *map(_day, days)) for contract, *days in told["dates"])
    told |= {name: math.nan for name in NUMBERS if told[name] != told[name]}  # the one nan that equals itself in tuples
    return ContractSpec(**told, extra=extra)


def _text(day):
    return day and day.isoformat()


def _day(text):
    return text and date.fromisoformat(text)


def _content(folder):
    """Hash of the files of facts and hours, shipped and the user's own."""
    paths = [path for name in FILES for path in sources(name, folder)]
    return _hash([_read(str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in paths])


@lru_cache(maxsize=64)
def _read(path, changed, size):
    """Name and hash of a file, read anew when it was changed; where it lies does not count, as a store may move."""
    return Path(path).name, hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _shipped():
    """Hash the shipped files of facts, which come with the code and change as rarely."""
    for path in (CONFIG / name for name in FILES):
        with contextlib.suppress(OSError):  # whoever needs it tells that it is gone
            _read(str(path), path.stat().st_mtime_ns, path.stat().st_size)


def _hash(content):
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


_shipped()  # as the code: when it is loaded, and again when one of them has changed
