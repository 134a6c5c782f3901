"""Large files of bars, read piece by piece: a table of five gigabytes needs the memory of one piece.

1. A text longer than `LARGE` is cut at line ends into pieces of about `PIECE`, Parquet of more than `ROWS` rows into
   pieces of as many. What is packed, and files of readers that do not say that they can (`in_pieces`), are read whole.
2. The rows come out as if the file were read whole: with their own line numbers, and a key that comes again in a later
   piece is found (`Seen`); in quarantine such a row of Parquet is told by its number, not by its values.
3. Where the length of bars is measured, the pieces of a market may differ, as one that holds the last three rows of a
   contract does: the length of the most rows counts for all (`alike`).
4. A file that changes while it is read is refused.
"""

import hashlib
import io
import os
import stat
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import polars as pl

from store import columnar, lines, raw
from store.naming import vendor_of

LARGE = 1 << 27  # of a text: the rows of a shorter one, parsed, take no more than 2 GB [bytes]
PIECE = 1 << 26  # [bytes]
ROWS = 3_000_000
HEAD = 1 << 20  # of a text, for those who look at its beginning [bytes]
KEY = ["contract", "time"]


@dataclass(frozen=True)
class LargeFile:
    """A file that is read in pieces. `parts`, of its beginning, are for readers to recognise it by."""

    path: Path
    parts: tuple
    facts: tuple  # size and time of the last change, when it was opened
    rows: int = 0  # of Parquet
    left_out = ()
    packed = False

    @cached_property
    def sha256(self):
        """Of all its bytes."""
        with open(self.path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def pieces(self):
        """A `RawFile` a piece, in order.

        Raises
        ------
        Unreadable
            A line without an end, or a file that changed meanwhile.
        """
        for part in self._tables() if self.rows else self._texts():
            yield raw.RawFile(self.path, "", (part,))
            if _facts(self.path) != self.facts:
                raise raw.Unreadable(f"{raw.plain(self.path.name)}: it changed while it was read")

    def _tables(self):
        count = -(-self.rows // ROWS)
        cuts = [self.rows * k // count for k in range(count + 1)]  # even ones: no piece of a few rows
        for first, end in pairwise(cuts):
            yield replace(self.parts[0], rows=(self.path, first, end - first))

    def _texts(self):
        size, before, (head,) = self.facts[0], 0, self.parts
        step = -(-size // -(-size // PIECE))
        with open(self.path, "rb") as file:
            while data := file.read(step):
                data += file.readline(step)
                if len(data) == 2 * step:
                    raise raw.Unreadable(f"{head.place}: line {before + 1}: no line end in {step >> 20} MiB; split it")
                yield replace(head, data=data, head=head.data if before else b"", first=before)
                before += lines.normal(data).count(b"\n")


def opened(path):
    """The file as one that is read in pieces; None of one that is not: what is wrong with it `raw.open_file` tells."""
    path = Path(path)
    try:
        facts = _facts(path)
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None
        with open(path, "rb") as file:
            start = file.read(HEAD)
        rows = _rows(path, start)
    except OSError:
        return None
    name = raw.plain(path.name)
    if rows > ROWS:
        return LargeFile(path, (raw.Part(name, path.name, columnar.MARK, rows=(path, 0, rows)),), facts, rows)
    text = (
        path.name.lower().endswith(raw.TABLES) and start[:2] not in (*raw.UTF16, raw.GZIP) and start[:4] not in raw.ZIP
    )
    if facts[0] <= LARGE or not text or b"\n" not in start:
        return None
    return LargeFile(path, (raw.Part(name, path.name, start[: start.rfind(b"\n") + 1]),), facts)


def _rows(path, start):
    """Rows of a Parquet file, 0 of what is none."""
    if start[:4] != columnar.MARK:
        return 0
    try:
        return pl.scan_parquet(path, glob=False).select(pl.len()).collect().item()
    except columnar.DAMAGE:
        return 0


def _facts(path):
    facts = os.stat(path)
    return facts.st_size, facts.st_mtime_ns


class Seen:
    """What the pieces of a file brought so far: rows by market, and where each contract stands."""

    def __init__(self):
        self._spans, self._last, self.counts = {}, {}, {}

    def before(self, group, frame, taken):
        """Rows of earlier pieces that those of `frame` have to be judged with; None where there are none.

        These are the rows of the same keys, and the last row of each contract, if the piece does not simply go on.

        Parameters
        ----------
        group : tuple
            Source, or vendor, and market.
        frame : DataFrame
        taken : callable
            Gives the frames of the earlier rows of the group, one after the other.
        """
        spans, now = self._spans.get(group, {}), _spans(frame)
        if all(contract not in spans or low > spans[contract][1] for contract, (low, _) in now.items()):
            return None
        found = []
        if any(c in spans and low <= spans[c][1] and high >= spans[c][0] for c, (low, high) in now.items()):
            found = [rows.join(frame.select(KEY), on=KEY, how="semi", maintain_order="left") for rows in taken()]
        last = [rows for contract, rows in self._last[group].items() if contract in now]
        return pl.concat([*found, *last], how="diagonal_relaxed")

    def took(self, group, good, guessed):
        """Rows of a group were taken; `guessed` is their source, where the length of its bars was measured."""
        if good.is_empty():
            return
        spans, last = (held.setdefault(group, {}) for held in (self._spans, self._last))
        for contract, (low, high) in _spans(good).items():
            old = spans.get(contract, (low, high))
            spans[contract] = min(low, old[0]), max(high, old[1])
        ends = alone(good.group_by("contract").tail(1)).partition_by("contract", as_dict=True)
        last |= {contract: rows for (contract,), rows in ends.items()}
        if guessed:
            self.counts[guessed, group[1]] = self.counts.get((guessed, group[1]), 0) + good.height

    def alike(self):
        """{(source, market): source}, of those that were guessed from few rows, the one of the most rows."""
        most = {}
        for (source, name), rows in sorted(self.counts.items()):
            same = vendor_of(source), name
            if same not in most or rows > self.counts[most[same], name]:
                most[same] = source
        found = {(source, name): most[vendor_of(source), name] for source, name in self.counts}
        return {group: source for group, source in found.items() if group[0] != source}


def alone(frame):
    """A copy that holds its own text alone: a few rows taken out of a frame keep the text of all in memory.

    >>> alone(pl.DataFrame({"raw": ["a", "b"]}).head(1))["raw"].to_list()
    ['a']
    """
    buffer = io.BytesIO()
    frame.write_ipc(buffer, compat_level=pl.CompatLevel.oldest())
    buffer.seek(0)
    return pl.read_ipc(buffer).cast(dict(frame.schema))


def _spans(frame):
    """{contract: (first, last time)}."""
    rows = (
        frame.drop_nulls(KEY).group_by("contract").agg(pl.col("time").min().alias("a"), pl.col("time").max().alias("b"))
    )
    return {contract: (low, high) for contract, low, high in rows.iter_rows()}
