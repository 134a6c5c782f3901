"""A day of a store in a few minutes: a dashboard and its visitors, nightly imports, a notebook, backtests that write.

`python -m tests.life ROLE STORE LOG` works until the moment that it reads from its standard input [s, time.monotonic,
which all processes share] and writes a line of JSON into LOG for each thing done:

    serve      the dashboard; first line of its output: its port
    visit      visitors, one after the other: each loads the page, opens its websocket, brushes, and leaves
    night      the command imports one more day of three markets and a currency, a night every few seconds
    notebook   reads bars, a continuous series and the answer of a SELECT
    batch      backtests, each of other settings, spread over the time

How calls are timed stands in `sharing`.
"""

import asyncio
import itertools
import json
import re
import subprocess
import sys
import threading
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from tornado.ioloop import IOLoop, PeriodicCallback

from bench.visitor import Visitor
from store import open_archive, system
from store.contracts import Master, last_allowed
from tests import market_files
from tests.conftest import REPO
from tests.sharing import Timed

NIGHT = 3.0  # between two imports [s]
VISIT = 3.0  # between two visits [s]
BREAK = 0.1  # of the notebook, between two looks [s]
BRUSHES = 3  # of a visit
FIRST_NIGHT, LAST_NIGHT = date(2023, 1, 2), date(2023, 11, 24)
ROOTS = [root for root, *_ in market_files.MARKETS.values()]
COUNT = (
    "select root, count(*) as bars, count(distinct (contract, day)) as keys, max(day)::varchar as last "
    "from contract_bars where root in ('MES', 'ZC', 'FGBL') group by root order by root"
)


# ---- roles: each yields what it did


def serve(store):
    """The dashboard, until its standard input ends; tells its memory and open files twice a second."""
    from app import serve as dashboard

    told = []

    def look():
        told.append({"at": time.monotonic(), "memory": system.memory(), "files": system.open_files()})

    def wait(loop):
        sys.stdin.read()
        loop.add_callback(loop.stop)

    def listening(line):
        PeriodicCallback(look, 500).start()
        threading.Thread(target=wait, args=(IOLoop.current(),), daemon=True).start()
        _say(re.search(r":(\d+)/", line)[1])

    dashboard.serve(store, port=0, tell=listening)
    yield from told


def visit(store, port, pid):
    """Visitors of the dashboard, one after the other."""
    for _ in _turns(VISIT):
        yield asyncio.run(stay(Visitor(port), int(pid)))


def night(store):
    """An import by the command, of a day more than the last."""
    spots = {name: spot(name) for name in market_files.MARKETS}
    for number in _turns(NIGHT):
        day = nights()[number]
        folder = delivered(Path(store).parent / "nights" / f"{day}", day, spots)
        began = time.monotonic()
        done = _command("import", str(folder), "--json", "--store", store)
        totals = json.loads(done.stdout)["totals"]
        yield {"began": began, "seconds": time.monotonic() - began, "day": str(day), "accepted": totals["accepted"]}


def notebook(store):
    """Looks at the store by its three doors; each answer must be of whole nights."""
    archive = open_archive(store)
    for _ in _turns(BREAK):
        with Timed() as counting:
            counts = archive.sql(COUNT).to_dicts()
        yield counting.line() | {"door": "sql", "last": min(one["last"] for one in counts), "faults": uneven(counts)}
        with Timed() as reading:
            bars = archive.bars("MES")
        doubled = bars.height - bars.select("contract", "day").unique().height
        last = str(bars["day"].max())
        yield reading.line() | {"door": "bars", "last": last, "faults": ["doubled bars"] if doubled else []}
        with Timed() as stitching:
            series = archive.continuous("MES.v.0")
        rising = series["day"].is_sorted() and series["day"].is_unique().all()
        last = str(series["day"].max())
        yield stitching.line() | {"door": "continuous", "last": last, "faults": [] if rising else ["days not in order"]}


def batch(store, count):
    """So many backtests, spread over the time; each is read back."""
    from engine import Portfolio
    from engine.backtest import run
    from engine.result import load

    path = Path(store) / "portfolios" / "cross.toml"
    archive, portfolio = open_archive(store), Portfolio.from_toml(path)
    for number in _turns(None, int(count)):
        with Timed() as running:
            made, stored = run(archive, portfolio.with_settings([f"fast={3 + number % 15}", f"slow={20 + number}"]))
        read = load(archive, made.id)
        faults = ["stored already"] if stored else []
        faults += [] if read.summary["metrics"] == made.summary["metrics"] else ["read back with other metrics"]
        yield running.line() | {"run": made.id, "faults": faults}


def uneven(counts):
    """What is wrong with the markets' numbers of bars: all end on one day, none has a bar twice."""
    faults = [] if len({one["last"] for one in counts}) == 1 and len(counts) == len(ROOTS) else [f"torn: {counts}"]
    return faults + [f"doubled: {one}" for one in counts if one["bars"] != one["keys"]]


# ---- a visitor


async def stay(visitor, pid):
    """One visit: the document of the page, its websocket, some gestures."""
    with Timed(pid) as loading:
        page = await visitor.load()
    faults = ["the page tells of a failure"] if 'class="failure"' in page else []
    with Timed(pid) as opening:
        await visitor.open()
    visitor.read()
    brushes = []
    for number in range(BRUSHES):
        with Timed(pid) as brushing:
            await visitor.brush(number)
        brushes.append(brushing.line())
    visitor.leave()
    return {"load": loading.line(), "open": opening.line(), "brushes": brushes, "faults": faults}


# ---- what a vendor delivers in a night


def nights():
    """The days that are imported one by one."""
    return market_files.weekdays(FIRST_NIGHT, LAST_NIGHT)


def spot(name):
    """Prices of a market on all days, the first ones as in `market_files`."""
    level = market_files.MARKETS[name][2]
    steps = np.random.default_rng(len(name)).normal(0.0003, 0.01, len(market_files.weekdays(end=LAST_NIGHT)))
    return level * np.exp(np.cumsum(steps))


def delivered(folder, day, spots):
    """A vendor's files of one day: a line of each contract that trades, and all exchange rates; the folder."""
    folder.mkdir(parents=True)
    t = market_files.weekdays(end=LAST_NIGHT).index(day)
    midnight = datetime.combine(day, datetime.min.time(), ZoneInfo("America/Chicago"))
    stamp = f"{midnight.astimezone(UTC):%Y-%m-%dT%H:%M:%S+0000}"
    for name, (root, months, _, carry) in market_files.MARKETS.items():
        spec = Master.load().spec(root)
        chain = [year * 100 + month for year in (2021, 2022, 2023) for month in months]
        for number, contract in enumerate(chain):
            end = last_allowed(spec, contract)
            if end - timedelta(days=270) <= day <= end:
                volume = 5000 if 8 < (end - day).days <= 110 else 300
                line = market_files.row(day, spots[name][t] + carry * number, volume).partition(",")[2]
                (folder / f"Day_{name}_{contract}00.csv").write_text(f"{market_files.HEADER}\n{stamp},{line}\n")
    rates = enumerate(market_files.weekdays(date(2020, 12, 28), day))
    lines = [f"{day} 23:00:00,{1.1 + 0.0001 * k:.4f}" for k, day in rates]
    (folder / "EURUSD.csv").write_text("\n".join(["DATETIME,PRICE", *lines, ""]))
    return folder


# ---- together


def live(store, folder, seconds, runs):
    """Let all share a store for so long; {role: lines of its log} and {role: what it wrote to stderr}."""
    server = _start(folder, "serve", store)
    port = server.stdout.readline().strip()
    roles = {"visit": (port, server.pid), "night": (), "notebook": (), "batch": (runs,)}
    running = {role: _start(folder, role, store, *words) for role, words in roles.items()}
    for process in running.values():
        assert process.stdout.readline() == "ready\n"
    until = time.monotonic() + seconds
    for process in running.values():
        process.stdin.write(f"{until}\n")
        process.stdin.flush()
    errors = {role: process.communicate()[1] for role, process in running.items()}
    errors["serve"] = server.communicate()[1]  # after the last visit
    logs = {role: [json.loads(line) for line in (folder / role).read_text().splitlines()] for role in errors}
    return logs, {role: text for role, text in errors.items() if text}


def _start(folder, role, store, *words):
    command = [sys.executable, "-m", "tests.life", role, str(store), str(folder / role), *map(str, words)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=REPO, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def _command(*words):
    code = "from app.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


def _say(word):
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def _until():
    return float(sys.stdin.readline())


def _turns(pause, count=None):
    """0, 1, 2, ... until the time is over, thrice at least, with a pause between; or so many spread over the time."""
    _say("ready")
    until, began = _until(), time.monotonic()
    pause = pause or (until - began) / count
    for number in itertools.count() if count is None else range(count):
        if count is None and number >= 3 and time.monotonic() > until:
            return
        yield number
        time.sleep(max(0.0, began + (number + 1) * pause - time.monotonic()) if pause >= 1.0 else pause)


def main():
    """One of the processes."""
    role, store, log, *words = sys.argv[1:]
    roles = {one.__name__: one for one in (serve, visit, night, notebook, batch)}
    with open(log, "w", encoding="utf-8") as file:
        for line in roles[role](store, *words):
            file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
