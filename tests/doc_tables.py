"""Tables of the docs that the code dictates; `python -m tests.doc_tables` writes them into docs/*.md."""

import inspect
import re

from engine import settings
from engine.costs import SideCost
from engine.members import Spread
from engine.metrics import METRICS, SUMMARY
from engine.portfolio import SECTIONS, Portfolio, Sleeve, _head
from engine.sizing import SIZERS
from engine.strategies import STRATEGIES
from store import ingest
from tests import peers
from tests.conftest import REPO

PLACES = {
    "portfolio": "docs/portfolio.md",
    "sizing": "docs/portfolio.md",
    "metrics": "docs/numbers.md",
    "vendors": "docs/data.md",
    "accuracy": "docs/accuracy.md",
}


def portfolio():
    """Every key of a portfolio file: default, what is allowed, what it is."""
    rows = ["| key | default | allowed | what it is |", "| --- | --- | --- | --- |"]
    rows += _keys("portfolio", Portfolio, _head())
    names = " or ".join(f"`{name}`" for name in STRATEGIES)
    rows.append(f"| `strategies.0.name` | needed | {names}, or one of your own | Which strategy. |")
    rows += _keys("strategies.0", Sleeve, [key for key in settings.keys(Sleeve) if key != "strategy"])
    told = "on the page of each strategy, see [strategies](strategies.md#those-that-ship)"
    rows.append(f"| `strategies.0.params.KEY` | those of the strategy | {told} | Params of the strategy. |")
    rows += _keys("spreads.NAME", Spread, settings.keys(Spread))
    rules = " or ".join(f'"{name}"' for name in SIZERS)
    rows.append(f'| `sizing.rule` | `"volatility"` | {rules} | Rule of the sizes. |')
    for name, kind in SIZERS.items():
        rows += _keys(f"sizing ({name})", kind, settings.keys(kind))
    for name, kind in SECTIONS.items():
        rows += _keys(name, kind, [key for key in settings.keys(kind) if key != "roots"])
        if name == "costs":
            rows += _keys("costs.roots.ROOT", SideCost, settings.keys(SideCost))
        if name == "rolls":
            rows.append("| `rolls.roots.ROOT` | that of `rolls.rule` | as `rolls.rule` | Rule of a single root. |")
    return rows


def _keys(place, kind, names):
    section, _, note = place.partition(" ")
    for name in names:
        parameter = kind.param[name]
        default = "none" if parameter.default is None else f"`{settings.shown(parameter.default)}`"
        if parameter.owner is SideCost:
            default = "the market's own in `config/costs.toml`" if place == "costs" else "that of `[costs]`"
        cells = (f"`{section}.{name}` {note}".strip(), default, settings.allowed(parameter), parameter.doc)
        cells = [re.sub(r"\d{7,}(?:\.0)?|\b(\d+)\.0\b", _short, cell) for cell in cells]
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _short(match):
    value = float(match[0])
    return f"{value:_.0f}" if 1e6 <= value < 1e12 else f"{value:g}".replace("e+", "e")


def sizing():
    """What each rule of sizes does, and where its formula and source stand."""
    rows = ["| `rule` | what it does | formula and source |", "| --- | --- | --- |"]
    for name, kind in SIZERS.items():
        path = "/".join(kind.__module__.split("."))
        rows.append(f"| `{name}` | {inspect.getdoc(kind).splitlines()[0]} | `{path}.py` |")
    return rows


def metrics():
    """Every number of the summary, in one sentence, and the names of the others."""
    rows = ["| key | name | what it says |", "| --- | --- | --- |"]
    rows += [f"| `{name}` | {METRICS[name].label} | {METRICS[name].doc} |" for name in SUMMARY]
    others = ", ".join(f"`{name}`" for name in METRICS if name not in SUMMARY)
    return [*rows, "", f"`engine.metrics.METRICS` has more: {others}."]


def vendors():
    """What each reader's files bring."""
    rows = []
    for name, about in ingest.abouts().items():
        told = {"Files:": about.files, "Gives": about.gives, "Export:": about.export, "Note:": about.lacks}
        rows += ["", " ".join([f"**`{name}`**: {about.title}.", *(f"*{word}* {text}." for word, text in told.items())])]
    return [*rows, ""]


def accuracy():
    """Where a library has another number: both of the same series, the cause, who is right."""
    rows = ["| library | number | ours | theirs | cause | who is right |", "| --- | --- | --- | --- | --- | --- |"]
    for one in peers.DIFFERENCES:
        values = " | ".join(f"{of(peers.BACON):.6g}" for of in (one.ours, one.theirs))
        rows.append(f"| {one.library} | `{one.number}` | {values} | {one.cause} | {one.right} |")
    same = [f"{library} ({', '.join(f'`{number}`' for number in found)})" for library, found in peers.SAME.items()]
    return [*rows, "", f"The same to seven digits: {'; '.join(same)}."]


MAKERS = {"portfolio": portfolio, "sizing": sizing, "metrics": metrics, "vendors": vendors, "accuracy": accuracy}


def written(name):
    """The text of a page with its table as the code has it now."""
    page = (REPO / PLACES[name]).read_text(encoding="utf-8")
    lines = "\n".join(MAKERS[name]())
    begin = f"<!-- {name}: made by `python -m tests.doc_tables` -->"
    assert begin in page, f"{PLACES[name]} has lost its mark {begin}"
    return re.sub(rf"{re.escape(begin)}.*?<!-- end -->", lambda _: f"{begin}\n{lines}\n<!-- end -->", page, flags=re.S)


if __name__ == "__main__":
    for table in PLACES:
        (REPO / PLACES[table]).write_text(written(table), encoding="utf-8")
