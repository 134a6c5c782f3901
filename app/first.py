"""A first visit: the page of an empty store, which makes the sample store and a first run at a press of a button.

A process of its own does the work, so that the page goes on answering; it says how far it is, a line of JSON each, and
ends itself with the server. There is one for each store, whoever looks at it. Every step is a commit of the store: what
is interrupted leaves what was whole, and pressing the button again goes on.
"""

import json
import logging
import os
import subprocess
import sys
import threading

import panel as pn
from bokeh.models import Button, CustomJS, Div

from app import charts
from app.charts import esc
from app.view import failure

log = logging.getLogger(__name__)
PERIOD = 300  # between two looks at the work [ms]
STAGES = {
    "sample": "Making simulated prices", "check": "Checking them", "run": "Computing a first run",
}  # fmt: skip
_COMMAND = "import sys; from app.first import main; main(sys.argv[1])"
_WORK = {}  # store -> Work


class Work:
    """The process that makes a sample store, and what it said last.

    Attributes
    ----------
    told : dict
        stage, done, total, name.
    state : str
        "", "running", "done" or "failed".
    fault : str
        Why it failed.
    """

    def __init__(self, store):
        self.store, self.told, self.state, self.fault = str(store), {}, "", ""
        self._lock = threading.Lock()

    def begin(self):
        """Begin, unless it was begun."""
        with self._lock:
            if self.state in ("running", "done"):
                return
            self.told, self.state, self.fault = {}, "running", ""
        process = subprocess.Popen(
            [sys.executable, "-c", _COMMAND, self.store], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        threading.Thread(target=self._follow, args=(process,), name="frontmonth: sample", daemon=True).start()

    def _follow(self, process):
        errors = []
        reader = threading.Thread(target=lambda: errors.extend(process.stderr), daemon=True)
        reader.start()
        for line in process.stdout:
            self.told = json.loads(line)
        code = process.wait()
        reader.join(1.0)
        if code or "done" not in self.told.get("stage", ""):
            last = next((line.strip() for line in reversed(errors) if line.strip()), "")
            log.error("the sample store could not be made: %s", "".join(errors))
            self.fault = last or f"the process ended with code {code}"
        self.state = "failed" if self.fault else "done"

    def words(self):
        """How far it is, as HTML."""
        if self.state == "failed":
            return failure("The sample could not be made.", self.fault)
        if self.state == "done":
            return '<p class="note">Done: <a href="./">open the dashboard</a>.</p>'
        stage, total = self.told.get("stage"), self.told.get("total") or 0
        if self.state != "running":
            return ""
        done = f": {self.told['done']} of {total}" if total else ""
        note = " (the code is compiled the first time, which takes a minute or two)" if stage == "run" else ""
        return f'<p class="note">{STAGES.get(stage, "Starting")}{done}{note} …</p>'


def work_of(store):
    """The `Work` of a store."""
    return _WORK.setdefault(str(store), Work(store))


class FirstVisit:
    """A button that makes the sample, and how far it is."""

    def __init__(self, store, periodic=None):
        if work_of(store).state == "done":
            del _WORK[str(store)]  # what it made is gone again
        self.work, self.periodic, self._repeated = work_of(store), periodic, None
        look = {"stylesheets": [charts.parts()]}
        self.button = Button(label="Make the sample and a first run", css_classes=["main"], **look)
        self.said = charts.words(role="status")
        self.over = Div(visible=False)
        self.over.js_on_change("text", CustomJS(code="if (cb_obj.text) location.assign('./')"))
        self.button.on_click(lambda _: self.begin())
        self.root = charts.column(self.button, self.said, self.over)
        if self.work.state == "running":
            self._watch()  # another visit began it
        self.look()

    def begin(self):
        """Begin the work, and look how far it is from time to time."""
        self.work.begin()
        self._watch()
        self.look()

    def _watch(self):
        if self.periodic is not None and self._repeated is None:
            self._repeated = self.periodic(self.look, PERIOD)

    def look(self):
        """Show how far it is."""
        state = self.work.state
        self.said.text = self.work.words()
        self.button.disabled = state in ("running", "done")
        if self._repeated is not None and state in ("done", "failed"):
            self._repeated.stop()
            self._repeated = None
            self.over.text = "done" if state == "done" else ""


def offer(store):
    """The model of a first visit's button, for a page that is served."""
    return FirstVisit(store, pn.state.add_periodic_callback).root


WORDS = """
<h3>Look around with simulated prices</h3>
<p>29 markets, 12 years, and a trend-following portfolio run on them. They are made here and marked as simulated
everywhere; nothing is downloaded. It takes about a minute. The store: <code>{store}</code></p>
{{{{ embed(roots.first) }}}}
<p>The same from the console: <code>frontmonth demo</code></p>
<h3>Import prices of your own</h3>
<p><code>frontmonth import FOLDER</code></p>
<p>Then run a portfolio, and load this page again:</p>
<p><code>frontmonth run trend</code></p>
<p class="note">With <code>--store {store}</code> before the verb, where that is not the usual store.</p>
"""


def words(store):
    """What the page of an empty store offers, as a template with a place for the button."""
    return WORDS.format(store=esc(store))


# ------------------------------------------------------------------------------------------------ the process itself


def main(store):
    """Make the sample store and a first run, and say how far it is."""
    threading.Thread(target=_end_with_server, daemon=True).start()

    def tell(stage):
        return lambda done, total, name="": _say({"stage": stage, "done": done, "total": total})

    try:
        make(store, tell)
    except Exception as error:  # noqa: BLE001  (whatever it is, the page tells it)
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        sys.exit(1)
    _say({"stage": "done"})


def make(store, tell):
    """The sample, its checks, and the run of the portfolio `trend`, in a store without other prices."""
    from pathlib import Path

    from app.commands.portfolios import portfolio_of
    from engine.backtest import run
    from store import checks, sample
    from store.archive import open_archive

    archive = open_archive(store, create=True)
    held = [segment for table in ("contract_bars", "vendor_chains") for segment in archive.files(table)]
    others = {segment.labels["source"] for segment in held} - {sample.SOURCE}
    if others:
        raise ValueError(f"the store holds prices of {', '.join(sorted(others))}: the sample is for a store of its own")
    sample.build(archive, progress=tell("sample"))
    checks.run(archive, sorted({s.labels["root"] for s in archive.files("contract_bars")}), tell("check"))
    tell("run")(0, 0)
    run(archive, portfolio_of(Path("trend"), archive))


def _say(told):
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def _end_with_server():
    sys.stdin.read()  # ends when the server does
    os._exit(1)
