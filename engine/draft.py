"""Draft: the files of a sweep that is going on, appended to block by block, in the order of the combinations.

    plan.json       what is swept; another sweep does not go on here
    trials.part     float64 (combination, STATISTICS + 1): the last is the row of its returns, NOT_KEPT or REFUSED
    returns.part    float32 (kept, day)
    refused.part    lines of JSON: [combination, why]
    journal.part    a line a block: how much of each file is whole, and the sha256 of all up to there

What a kill leaves half written is cut off when the sweep goes on: a block counts once its line is in the journal and
the bytes that it tells of are those that were written.
"""

import contextlib
import json
import os
from hashlib import sha256
from pathlib import Path

import numpy as np

from engine.headline import STATISTICS

NOT_KEPT, REFUSED = -1.0, -2.0
FILES = ("trials", "returns", "refused")
WIDTH = len(STATISTICS) + 1


class SweepDiffers(ValueError):
    """A folder that holds another sweep, or one that is half done and was not asked to go on."""


class Draft:
    """A sweep in a folder; `done` combinations of it, `kept` of them with returns, `refused` of them."""

    def __init__(self, folder, plan, days, resume=False):
        self.folder, self.plan, self.days = Path(folder), plan, days
        self.done = self.kept = self.refused = 0
        self._chain = sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()
        self.folder.mkdir(parents=True, exist_ok=True)
        there = self.folder / "plan.json"
        if there.exists():
            self._compare(there, resume)
        else:
            self._begin()
        os.utime(self.folder)  # gc takes what nobody has gone on with for a month
        self._files = {name: open(self._path(name), "ab") for name in (*FILES, "journal")}  # noqa: SIM115  as long as it

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for file in self._files.values():
            with contextlib.suppress(OSError):  # what was not written is not in the journal
                file.close()

    def add(self, made):
        """Append a `blocks.Made`, whose combinations are the next ones."""
        state = np.full(len(made.numbers), NOT_KEPT)
        first = int(made.numbers[0]) if len(made.numbers) else 0
        state[made.kept - first] = np.arange(self.kept, self.kept + len(made.kept))
        for number in made.refused:
            state[number - first] = REFUSED
        chunks = {
            "trials": np.column_stack([made.statistics, state]).tobytes(),
            "returns": np.ascontiguousarray(made.returns, dtype=np.float32).tobytes(),
            "refused": "".join(json.dumps([number, why]) + "\n" for number, why in made.refused.items()).encode(),
        }
        self._chain = _linked(self._chain, chunks.values())
        for name, chunk in chunks.items():
            self._files[name].write(chunk)
            self._files[name].flush()
        self.done += len(made.numbers)
        self.kept += len(made.kept)
        self.refused += len(made.refused)
        ends = {name: self._files[name].tell() for name in FILES}
        told = {"done": self.done, "kept": self.kept, "refused": self.refused, "ends": ends}
        self._files["journal"].write(json.dumps(told | {"sha256": self._chain}).encode() + b"\n")
        self._files["journal"].flush()

    def trials(self, first=0, last=None):
        """Rows `first` to `last` (excluded) of `trials.part`, mapped, not read."""
        if not self.done:
            return np.zeros((0, WIDTH))
        whole = np.memmap(self._path("trials"), np.float64, "r", shape=(self.done, WIDTH))
        return whole[first : self.done if last is None else last]

    def returns(self):
        """`returns.part`, mapped, not read."""
        if not self.kept:
            return np.zeros((0, self.days), np.float32)
        return np.memmap(self._path("returns"), np.float32, "r", shape=(self.kept, self.days))

    def reasons(self):
        """(combination, why) of those that were refused, in their order."""
        with open(self._path("refused"), encoding="utf-8") as lines:
            for line in lines:
                yield tuple(json.loads(line))

    def _path(self, name):
        return self.folder / f"{name}.part"

    def _begin(self):
        for name in (*FILES, "journal"):
            self._path(name).write_bytes(b"")
        fresh = self.folder / "plan.json.part"
        fresh.write_text(json.dumps(self.plan, indent=1), encoding="utf-8")
        os.replace(fresh, self.folder / "plan.json")

    def _compare(self, path, resume):
        found = _plan(path)
        if found != self.plan:
            raise SweepDiffers(
                f"{self.folder} holds another sweep; allowed: an empty folder, or that of the same sweep to go on with"
            )
        if not resume:
            raise SweepDiffers(
                f"{self.folder} holds {half_done(self.folder):,} trials of this sweep; allowed: to go on with them "
                f"(resume), or an empty folder"
            )
        self._recover()

    def _recover(self):
        """Go back to the last block that is whole."""
        ends, lines = dict.fromkeys(FILES, 0), 0
        with contextlib.ExitStack() as held:
            files = {name: held.enter_context(open(self._path(name), "rb")) for name in (*FILES, "journal")}
            for line in files["journal"]:
                told = _journal(line)
                if told is None:
                    break
                chunks = [files[name].read(max(0, told["ends"][name] - ends[name])) for name in FILES]
                chain = _linked(self._chain, chunks)
                if chain != told["sha256"]:
                    break
                ends, self._chain, lines = told["ends"], chain, lines + len(line)
                self.done, self.kept, self.refused = told["done"], told["kept"], told["refused"]
        for name, end in (*ends.items(), ("journal", lines)):
            os.truncate(self._path(name), end)


def tidy(folder):
    """Take the parts away: the sweep is done."""
    for name in (*(f"{name}.part" for name in (*FILES, "journal")), "plan.json"):
        (Path(folder) / name).unlink(missing_ok=True)


def half_done(folder):
    """How many combinations the folder of a sweep has, as its journal says."""
    last = None
    with contextlib.suppress(OSError), open(Path(folder) / "journal.part", "rb") as lines:
        for line in lines:
            last = _journal(line) or last
    return last["done"] if last else 0


def _plan(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _journal(line):
    """What a line of the journal tells; None of one that was cut."""
    try:
        told = json.loads(line)
    except ValueError:
        return None
    return told if line.endswith(b"\n") else None


def _linked(chain, chunks):
    digest = sha256(chain.encode())
    for chunk in chunks:
        digest.update(len(chunk).to_bytes(8, "big"))
        digest.update(chunk)
    return digest.hexdigest()
