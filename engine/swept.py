"""Swept: the results of a sweep, as files of a folder and as a `Sweep` that reads them.

sweep.json           what was swept, hashes, sha256 of the other files; written last
trials-0000.parquet  a row a combination: its values, statistics, row of its returns, why it was refused
returns.npy          float32 (kept, day): daily returns [fraction]
days.npy             datetime64[D] (day,)
full.parquet         of a screened sweep: the statistics of the best, run in full
portfolio.toml       what was swept
"""

import hashlib
import json
import os
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl

from engine.draft import NOT_KEPT
from engine.grid import text_of
from engine.headline import COUNTS, RANKED, STATISTICS
from engine.settings import ConfigError, nearest

PART = 65_536  # combinations of one file
RECORD = "sweep.json"
TRADED = pl.col("trades").fill_null(1) > 0  # what never traded has no drawdown, and is no plateau


class SweepDamaged(ValueError):
    """A sweep whose files are not as they were written."""


class Sweep:
    """A sweep that is done; `summary` is what `sweep.json` tells."""

    def __init__(self, folder, summary, own=None):
        self.folder, self.summary, self._own = Path(folder), summary, own

    @property
    def id(self):
        """Hash of all that went in, 12 hex digits."""
        return self.summary["sweep"]

    @property
    def names(self):
        """Keys of the grid, in the order in which combinations count."""
        return list(self.summary["grid"])

    def __len__(self):
        return self.summary["trials"]

    def scan(self):
        """All trials as a LazyFrame: `trial`, the keys, `STATISTICS`, `kept` (row of `returns`), `refused` (why)."""
        return pl.scan_parquet(self._files("trials-"))

    def trials(self):
        """The same, read."""
        return self.scan().collect(engine="in-memory")

    def full(self):
        """Of a screened sweep: `trial`, the keys and `STATISTICS` of those run in full, `kept`; else None."""
        found = self._files("full")
        return pl.read_parquet(found[0]) if found else None

    def returns(self):
        """Daily returns, float32 array (kept, day), mapped and not read. [fraction]"""
        return np.load(self.folder / "returns.npy", mmap_mode="r")

    def days(self):
        """Days of `returns`, array (day,)."""
        return np.load(self.folder / "days.npy")

    def best(self, count=20, by="sharpe"):
        """The best trials that traded, best first; of a screened sweep those run in full, with what the screen said."""
        checked(by)
        told = self.full()
        frame = self.scan() if told is None else told.lazy()
        frame = frame.filter(TRADED, pl.col(by).is_not_null()).sort([by, "trial"], descending=[True, False]).head(count)
        found = frame.drop("kept", "refused", strict=False).collect(engine="in-memory")
        if told is not None:
            other = self.scan().filter(pl.col("trial").is_in(found["trial"].implode())).select("trial", screened=by)
            found = found.join(other.collect(engine="in-memory"), on="trial", how="left", maintain_order="left")
        return found

    def around(self, trials, by="sharpe"):
        """Mean of a statistic over the neighbours of each trial on the grid, itself among them: a plateau is worth more
        than a peak. nan where none has it."""
        shape = tuple(len(values) for values in self.summary["grid"].values())
        near = [_neighbours(trial, shape) for trial in trials]
        wanted = sorted({number for one in near for number in one})
        frame = self.scan().filter(TRADED, pl.col("trial").is_in(wanted)).select("trial", by)
        value = {t: x for t, x in frame.collect(engine="in-memory").iter_rows() if x is not None}
        told = [[value[number] for number in one if number in value] for one in near]
        return [float(np.mean(one)) if one else float("nan") for one in told]

    def heat(self, across, up, by="sharpe"):
        """Median of a statistic over all other keys, of trials that traded; array (value of `up`, value of `across`),
        nan where none has it."""
        checked(by)
        for name in (across, up):
            if name not in self.names:
                raise ConfigError(
                    f"{name}: no key of this sweep; allowed: {', '.join(self.names)}{nearest(name, self.names)}"
                )
        shape = tuple(len(values) for values in self.summary["grid"].values())
        k, m = self.names.index(across), self.names.index(up)
        below = [int(np.prod(shape[i + 1 :])) for i in (k, m)]
        cell = lambda i, j: (pl.col("trial") // below[j] % shape[i]).cast(pl.Int32)  # noqa: E731
        frame = self.scan().filter(TRADED).select(cell(k, 0).alias("x"), cell(m, 1).alias("y"), pl.col(by)).drop_nulls()
        found = frame.group_by("x", "y").agg(pl.col(by).median()).collect(engine="in-memory")
        out = np.full((shape[m], shape[k]), np.nan)
        out[found["y"].to_numpy(), found["x"].to_numpy()] = found[by].to_numpy()
        return out

    def of_cell(self, values, by="sharpe"):
        """The trials that have these values, {key: its text}, best first by a statistic; those without it are last.

        Raises
        ------
        ConfigError
            A key or a value that is none of the grid's.
        """
        checked(by)
        grid, shape = self.summary["grid"], tuple(len(texts) for texts in self.summary["grid"].values())
        frame = self.scan()
        for name, text in values.items():
            if text not in grid.get(name, ()):
                allowed = f"values of {name}: {', '.join(grid[name])}" if name in grid else f"keys: {', '.join(grid)}"
                raise ConfigError(f"{name} = {text} is not in this sweep; {allowed}")
            k = self.names.index(name)
            frame = frame.filter(pl.col("trial") // int(np.prod(shape[k + 1 :])) % shape[k] == grid[name].index(text))
        return frame.sort([by, "trial"], descending=[True, False], nulls_last=True).collect(engine="in-memory")

    def sample(self, most=2000, by="sharpe"):
        """Trials that traded, for a picture: all, or the best half of `most` and as many evenly among the others."""
        frame = self.scan().filter(TRADED, pl.col(by).is_not_null()).sort([by, "trial"], descending=[True, False])
        count = frame.select(pl.len()).collect(engine="in-memory").item()
        if count <= most:
            return frame.collect(engine="in-memory")
        half = most // 2
        others = half + np.unique(np.linspace(0, count - half - 1, most - half).astype(np.int64))
        rows = np.concatenate([np.arange(half), others])
        return (
            frame.with_row_index("_row")
            .filter(pl.col("_row").is_in(rows.tolist()))
            .drop("_row")
            .collect(engine="in-memory")
        )

    def run_id(self, row, portfolio):
        """Id that a run of a trial has if it is made of the same data and code; `portfolio` is what was swept."""
        hashes = self.summary["hashes"] | {"portfolio": portfolio.with_settings(self.changes(row)).fingerprint()}
        return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()[:12]

    def changes(self, row):
        """The settings of a row of `trials` or `best` as `--set` takes them."""
        return [f"{key}={text_of(row[name])}" for name, key in self.summary["keys"].items()]

    def _files(self, begin):
        return [self.folder / name for name in sorted(self.summary["files"]) if name.startswith(begin)]


def is_whole(folder):
    """Whether a folder holds a sweep that is done."""
    return (Path(folder) / RECORD).is_file()


def load(folder, own=None, checked=True):
    """The sweep of a folder; its files are compared with their hashes if it is to be `checked`.

    Raises
    ------
    SweepDamaged
        A file is missing or not as it was written.
    """
    folder = Path(folder)
    try:
        record = json.loads((folder / RECORD).read_bytes())
        told = record.pop("checksum")
        if told != _checksum(record):
            raise ValueError("its checksum is wrong")
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SweepDamaged(f"{folder / RECORD} cannot be used: {reason}; sweep again with --force") from error
    for name, digest in record["files"].items() if checked else ():
        if not (folder / name).is_file() or _digest(folder / name) != digest:
            raise SweepDamaged(f"{folder / name} is missing or damaged; sweep again with --force")
    return Sweep(folder, record, own)


def checked(by):
    """Refuse a statistic that nothing is ranked by."""
    if by not in RANKED:
        raise ConfigError(f"{by}: no statistic to rank by; allowed: {', '.join(RANKED)}{nearest(by, RANKED)}")


def ranked(draft, by, count, without_kept=False):
    """Numbers of the best combinations of a draft that traded, best first; of equal ones the lower number."""
    column, found = STATISTICS.index(by), np.zeros((0, 2))
    for first in range(0, draft.done, PART):
        rows = np.array(draft.trials(first, min(first + PART, draft.done)))
        usable = ~np.isnan(rows[:, column]) & (rows[:, STATISTICS.index("trades")] != 0.0)
        if without_kept:
            usable &= rows[:, -1] == NOT_KEPT
        number = np.flatnonzero(usable)
        found = np.concatenate([found, np.column_stack([rows[number, column], number + first])])
        found = found[np.lexsort((found[:, 1], -found[:, 0]))][:count]
    return found[:, 1].astype(np.int64).tolist()


def write(draft, grid, document, portfolio, days, full=None):
    """Write the files of a sweep from its draft, the record last.

    Parameters
    ----------
    draft : Draft
    grid : Grid
    document : dict
        What the record tells beside its files.
    portfolio : str
        Text of the portfolio.
    days : array (day,)
    full : blocks.Made, optional
        Combinations that were chosen when all were known.
    """
    folder = draft.folder
    rows = (
        {}
        if full is None
        else dict(zip(full.kept.tolist(), range(draft.kept, draft.kept + len(full.kept)), strict=True))
    )
    names, reasons = [], draft.reasons()
    pending = next(reasons, None)
    for k, first in enumerate(range(0, max(draft.done, 1), PART)):
        last, why = min(first + PART, draft.done), {}
        while pending is not None and pending[0] < last:
            why[pending[0]] = pending[1]
            pending = next(reasons, None)
        names.append(f"trials-{k:04d}.parquet")
        _frame(np.array(draft.trials(first, last)), first, grid, rows, why).write_parquet(folder / names[-1])
    if document["screened"]:
        names.append("full.parquet")
        _full(full, grid, rows).write_parquet(folder / names[-1])
    _save_returns(folder / "returns.npy", draft, full, len(days))
    np.save(folder / "days.npy", days.astype("datetime64[D]"))
    (folder / "portfolio.toml").write_text(portfolio, encoding="utf-8")
    names += ["returns.npy", "days.npy", "portfolio.toml"]
    record = document | {
        "kept": draft.kept + (0 if full is None else len(full.kept)),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "files": {name: _digest(folder / name) for name in names},
    }
    fresh = folder / f"{RECORD}.part"
    fresh.write_text(json.dumps(record | {"checksum": _checksum(record)}, indent=1), encoding="utf-8")
    os.replace(fresh, folder / RECORD)


def _frame(rows, first, grid, added, why):
    """Trials from number `first` on."""
    numbers = np.arange(first, first + len(rows))
    told = _columns(numbers, rows, grid)
    state = rows[:, -1].copy()
    for number, row in added.items():
        if first <= number < first + len(rows):
            state[number - first] = row
    kept = pl.Series("kept", [int(x) if x >= 0 else None for x in state.tolist()], pl.Int64)
    refused = pl.Series("refused", [why.get(number) for number in numbers.tolist()], pl.String)
    return pl.DataFrame([*told, kept, refused])


def _full(full, grid, added):
    """Those of a screened sweep that were run in full."""
    kept = pl.Series("kept", [added.get(number) for number in full.numbers.tolist()], pl.Int64)
    refused = pl.Series("refused", [full.refused.get(number) for number in full.numbers.tolist()], pl.String)
    return pl.DataFrame([*_columns(full.numbers, full.statistics, grid), kept, refused])


def _columns(numbers, rows, grid):
    """Number, keys and statistics of combinations."""
    yield pl.Series("trial", numbers, pl.Int64)
    places = grid.places(numbers) if len(numbers) else np.zeros((0, len(grid.axes)), np.int64)
    for axis, column in zip(grid.axes, places.T, strict=True):
        values = pl.Series(axis.name, _alike(axis.values))
        yield values.gather(column)
    for k, name in enumerate(STATISTICS):
        values = pl.Series(name, np.ascontiguousarray(rows[:, k])).fill_nan(None)
        yield values.cast(pl.Int64) if name in COUNTS else values


def _alike(values):
    """Values of one axis as a column can have them: texts, where they are of several kinds."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int} or kinds <= {float} or kinds <= {bool} or kinds <= {str}:
        return list(values)
    if kinds <= {int, float}:
        return [None if value is None else float(value) for value in values]
    return [text_of(value) for value in values]


def _save_returns(path, draft, full, days):
    """The kept returns of the draft, then those chosen last, as one array; copied block by block."""
    more = np.zeros((0, days), np.float32) if full is None else full.returns.reshape(len(full.kept), days)
    header = {"descr": "<f4", "fortran_order": False, "shape": (draft.kept + len(more), days)}
    there = draft.returns()
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for first in range(0, len(there), 256):
            file.write(np.ascontiguousarray(there[first : first + 256]).tobytes())
        file.write(np.ascontiguousarray(more).tobytes())


def _neighbours(trial, shape):
    """Numbers of the combinations whose values are at most one place away in every key."""
    place = np.unravel_index(trial, shape)
    near = [range(max(0, p - 1), min(n, p + 2)) for p, n in zip(place, shape, strict=True)]
    return [int(np.ravel_multi_index(one, shape)) for one in product(*near)]


def _digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checksum(record):
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
