"""The same portfolio by frontmonth and by other engines: whether they agree to the cent, and how long each takes.

    python -m bench.peers.run --envs DIR                      # 5 markets x 10 years
    python -m bench.peers.run --envs DIR --markets 5 40 --only vectorbt backtrader --json
    python -m bench.peers.run --envs DIR --docs               # writes the tables of docs/speed.md

Each engine has an environment of its own, DIR/NAME, for they want different versions of the same packages:

    python -m venv DIR/vectorbt && DIR/vectorbt/bin/pip install "vectorbt[rust]"

NAME and what to install are in PEERS; what is not there is left out, and told. The portfolio, its prices and the
moments at which orders fill are in `bench.peers.workload`. Every engine runs in a process of its own on the same files.
Rounds alternate with ours, on warm code: what else the machine does slows both, and the ratio is the median of theirs.
It ends with 1 where an engine does not agree to the cent.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.peers import workload
from bench.run import machine

REPO = Path(__file__).resolve().parent.parent.parent
PAGE = REPO / "docs" / "speed.md"
BEGIN, END = '<!-- peers: made by `make bench-peers ARGS="--envs DIR --docs"` -->', "<!-- end of peers -->"
OURS = "frontmonth"
LEAST = 5  # rounds, where a run is quick enough


class Peer(NamedTuple):
    """Another engine."""

    install: str  # what pip is given
    fills: tuple  # when its orders can fill; the first is timed
    lacks: str  # what had to be worked around


class Failed(Exception):
    """An engine that gave no answer."""


PEERS = {
    "vectorbt": Peer(
        "vectorbt[rust]", ("next_open", "next_close", "same_close"), "multiplier, margin; slippage in ticks"
    ),
    "backtrader": Peer(
        "backtrader numpy pandas", ("next_open", "next_close", "same_close"), "slippage in ticks of each market"
    ),
    "backtesting": Peer(
        "backtesting", ("next_open", "same_close"), "multiplier; slippage in ticks; more than one market"
    ),
    "zipline": Peer("zipline-reloaded", ("next_close",), "slippage in ticks of each market"),
    "nautilus": Peer("nautilus_trader pandas", ("same_close",), "-"),
    "futures-backtest": Peer("futures-backtest", ("next_open", "same_close"), "-"),
    "pybroker": Peer("lib-pybroker", ("next_open", "next_close"), "multiplier, margin; slippage in ticks"),
}


def main(arguments=None):
    """Measure, print tables, or one JSON document."""
    options = parser().parse_args(arguments)
    found = {"machine": machine(), "left_out": left_out(options), "agreement": [], "speed": []}
    for markets in options.markets if len(found["left_out"]) < len(PEERS) else ():
        with tempfile.TemporaryDirectory() as folder:
            workload.write(workload.made(markets, round(options.years * workload.YEAR)), folder)
            one_size(found, options, markets, Path(folder))
    print(json.dumps(found, indent=2) if options.json else tables(found))
    if options.docs:
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), tables(found)), encoding="utf-8")
    if not all(row.get("agrees") for row in found["agreement"]):
        raise SystemExit("an engine does not agree to the cent")


def parser():
    """The options of the command line."""
    made = argparse.ArgumentParser(prog="python -m bench.peers.run", description="frontmonth and other engines.")
    made.add_argument("--envs", type=Path, help="folder of the other engines' environments, one a name")
    made.add_argument("--markets", type=int, nargs="+", default=[5], help="sizes of the portfolio, one or more (5)")
    made.add_argument("--years", type=float, default=10.0, help="years of 252 bars (10)")
    made.add_argument("--rounds", type=int, default=LEAST, help="rounds that are timed, at most (5)")
    made.add_argument("--seconds", type=float, default=120.0, help="after which no round of an engine begins (120)")
    made.add_argument("--only", nargs="+", choices=list(PEERS), default=list(PEERS), help="these engines alone")
    made.add_argument("--docs", action="store_true", help="write the tables into docs/speed.md")
    made.add_argument("--json", action="store_true", help="print one JSON document")
    return made


def left_out(options):
    """Name -> why it is not measured."""
    found = {}
    for name in PEERS:
        if name not in options.only:
            found[name] = "not asked for"
        elif options.envs is None:
            found[name] = "no --envs"
        elif not interpreter(options.envs, name).exists():
            found[name] = f"no environment {name}; to install: {PEERS[name].install}"
    return found


def interpreter(envs, name):
    """Python of an environment."""
    return Path(envs).absolute() / name / "bin" / "python"


def one_size(found, options, markets, folder):
    """Every engine on one workload, into `found`."""
    ours = {}
    for fill in workload.FILLS:
        with Worker(sys.executable, OURS, folder, fill) as worker:  # compiles what is not compiled yet
            worker.run()
            ours[fill] = worker.told()
    for name in (name for name in PEERS if name not in found["left_out"]):
        python = interpreter(options.envs, name)
        for fill in PEERS[name].fills:
            row = {"engine": name, "markets": markets, "fill": fill}
            try:
                with Worker(python, name, folder, fill) as worker:
                    first = worker.run()
                    found["agreement"].append(row | agreement(ours[fill], worker.told()))
                    if fill == PEERS[name].fills[0]:
                        found["speed"].append(row | timed(worker, first, folder, options))
            except Failed as fault:
                found["agreement"].append(row | {"agrees": False, "error": str(fault)})


class Outcome(NamedTuple):
    """What an engine made of the portfolio."""

    version: str
    equity: np.ndarray  # (time,) [dollars]
    fills: np.ndarray  # (fill, 3): bar, market, contracts bought; one a bar and market


def agreement(ours, theirs):
    """How far they are apart. [cents]"""
    found = {"version": theirs.version, "fills": len(theirs.fills), "agrees": False}
    if len(ours.equity) != len(theirs.equity):
        return found | {"error": f"{len(theirs.equity)} days of equity; ours: {len(ours.equity)}"}
    apart = np.abs(ours.equity - theirs.equity) * 100.0
    found |= {"final": float(apart[-1]), "worst_day": float(apart.max())}
    found["same_fills"] = bool(np.array_equal(ours.fills, theirs.fills))
    found["agrees"] = bool(found["worst_day"] < 0.5 and found["same_fills"])  # nan agrees with nothing
    return found


def timed(theirs, first, folder, options):
    """Rounds in turns with ours. Seconds."""
    began, rounds = time.perf_counter(), []
    with Worker(sys.executable, OURS, folder, theirs.fill) as ours:
        our_first = ours.run()
        while len(rounds) < options.rounds and (not rounds or time.perf_counter() - began < options.seconds):
            rounds.append((ours.run()["seconds"], theirs.run()["seconds"]))
    return {
        "ours": statistics.median(one for one, _ in rounds),
        "theirs": statistics.median(other for _, other in rounds),
        "ratio": statistics.median(other / one for one, other in rounds),
        "rounds": len(rounds),
        "ours_from_start": our_first["from_start"],
        "theirs_from_start": first["from_start"],
    }


class Worker:
    """An engine's process, see `bench.peers.worker`; its prints are shown where it fails."""

    def __init__(self, python, name, folder, fill):
        self.name, self.folder, self.fill = name.replace("-", "_"), folder, fill
        self.python, self.process, self.log = str(python), None, None

    def __enter__(self):
        self.log = tempfile.TemporaryFile("w+")
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            [self.python, "-m", "bench.peers.worker", self.name, str(self.folder), self.fill],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, cwd=REPO,
            env=os.environ | {"PYTHONPATH": str(REPO), "PYTHONWARNINGS": "ignore"},
        )  # fmt: skip
        return self

    def __exit__(self, *fault):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()

    def run(self):
        """Once: its seconds, and those since its process began."""
        return self._ask("run") | {"from_start": time.perf_counter() - self.began}

    def told(self):
        """The `Outcome` of the last run."""
        answer = self._ask("told")
        equity, fills = (np.load(self.folder / f"{self.name}-{self.fill}-{what}.npy") for what in ("equity", "fills"))
        return Outcome(answer["version"], equity, fills)

    def _ask(self, word):
        try:
            self.process.stdin.write(word + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self.log.seek(0)
            raise Failed(self.log.read().strip().rpartition("\n")[2] or "ended without a word")
        return json.loads(line)


def tables(found):
    """Agreement and speed as Markdown."""
    m = found["machine"]
    lines = [
        f"{m['cpu']}, {m['cores']} cores, load {m['load']}, python {m['python']}, numba {m['numba']}.",
        "",
        "| engine | markets | filled | fills | final equity apart | worst day apart | the same fills | worked around |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *(agreement_row(row) for row in found["agreement"]),
        "",
        "| engine | markets | filled | frontmonth | engine | ratio | rounds | from start: ours, its |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *(speed_row(row) for row in found["speed"]),
    ]
    return "\n".join(lines + [f"\n{name}: left out: {why}" for name, why in found["left_out"].items()])


def agreement_row(row):
    """A line of the first table."""
    head = f"| {row['engine']} {row.get('version', '')} | {row['markets']} | {filled(row)} |"
    if "error" in row:
        return f"{head} | {row['error']} | | no | |".replace("\n", " ")
    apart = " | ".join(f"{row[name]:.2f} cents" for name in ("final", "worst_day"))
    same = "yes" if row["same_fills"] else "no"
    return f"{head} {row['fills']:,} | {apart} | {same} | {PEERS[row['engine']].lacks} |"


def speed_row(row):
    """A line of the second table."""
    starts = f"{shown(row['ours_from_start'])}, {shown(row['theirs_from_start'])}"
    return (
        f"| {row['engine']} | {row['markets']} | {filled(row)} | {shown(row['ours'])} | {shown(row['theirs'])} "
        f"| {row['ratio']:.1f} | {row['rounds']} | {starts} |"
    )


def filled(row):
    """When orders fill, in words."""
    return row["fill"].replace("_", " ")


def shown(seconds):
    """Seconds for people."""
    return f"{seconds * 1e3:.1f} ms" if seconds < 0.1 else f"{seconds:.2f} s"


def page(text, lines):
    """The page with these lines between its marks."""
    head, found, rest = text.partition(BEGIN)
    if not found or END not in rest:
        raise SystemExit(f"docs/speed.md has lost its mark {BEGIN} or {END}")
    return f"{head}{BEGIN}\n\n{lines}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    main()
