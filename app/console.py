"""The page `/data`: what the store holds, and a question in SQL over a snapshot of it.

Questions are answered by a process of their own (`app.question`); the page only looks now and then whether it is done,
so that the dashboard goes on answering. Whatever comes from the store is text that is escaped here.
"""

import logging

import panel as pn
import polars as pl
from bokeh.layouts import Row
from bokeh.models import (
    Button,
    ColumnDataSource,
    CustomJS,
    DataTable,
    Div,
    InlineStyleSheet,
    Select,
    StringFormatter,
    TableColumn,
    TextAreaInput,
)

from app import charts, page, shell
from app.charts import esc
from app.commands.output import counted
from app.question import Question
from app.view import failure
from store.answer import csv_of_texts
from store.archive import ArchiveMissing, StoreError, open_archive
from store.tables import TABLES
from store.tags import number_of, tags

log = logging.getLogger(__name__)
DATED, NUMBERED = 20, 500  # snapshots whose time is told in the list; that are in the list at all
PERIOD = 150  # between two looks at a question [ms]
EXAMPLES = {
    "Contracts of each market": (
        "select root, source, count(distinct contract) as contracts, min(day) as first, max(day) as last,\n"
        "       count(*) as bars\nfrom contract_bars\ngroup by all\norder by root, source"
    ),
    "Volume of a market, year by year": (
        "select year(day) as year, sum(volume) as volume, count(distinct contract) as contracts\n"
        "from contract_bars\nwhere root = (select min(root) from contract_bars)\ngroup by all\norder by year"
    ),
    "Rows that were refused": (
        "select vendor, rule, reason, count(*) as rows\nfrom quarantine\ngroup by all\norder by rows desc"
    ),
    "Imported files, newest first": (
        "select time, file, vendor, roots, rows_read, accepted, warned, quarantined\nfrom imports\norder by time desc"
    ),
    "Currencies": (
        "select currency, source, min(day) as first, max(day) as last, count(*) as days\nfrom fx\ngroup by all"
    ),
}
TYPES = {pl.String: "text", pl.Int32: "whole number", pl.Int64: "whole number", pl.Float64: "number", pl.Date: "day"}
RIGHT = ("whole", "real")
NARROW, WIDE, LETTER = 64, 420, 7.4  # of a column; of a letter [pixels]
TALL, LINE = 560, 26  # of the table, of a row [pixels]
SAVE = """
if (!cb_obj.tags.length) return
const file = new Blob([cb_obj.tags[0]], {type: "text/csv;charset=utf-8"})
const link = document.createElement("a")
link.href = URL.createObjectURL(file)
link.download = "answer.csv"
link.click()
setTimeout(() => URL.revokeObjectURL(link.href), 10000)
"""


def create(store_path):
    """The page of one visit."""
    try:
        archive = open_archive(store_path)
        head = archive.head()
        if not head.files:
            return page.nothing("The store is empty.", page.NO_STORE, LINKS)
        console = Console(archive, pn.state.add_periodic_callback)
        pn.state.on_session_destroyed(lambda _: console.question.close())
        body = shell.frame("Data", archive.place, BODY, LINKS, ASIDE)
        scripts = f"<script>{shell.asset('console.js')}</script>"
        roots = {"tables": console.tables, "question": console.form, "answer": console.answer}
        return page.Page(shell.blocks(body, scripts), "frontmonth: data", roots)
    except ArchiveMissing as error:
        return page.nothing("There is no store here.", f"<p>{esc(error)}</p>{page.NO_STORE}", LINKS)
    except Exception as error:
        log.exception("page of the tables of %s", store_path)
        return page.nothing("This page could not be made.", failure(type(error).__name__, str(error)), LINKS)


LINKS = (("./", "Dashboard"),)
ASIDE = '<details class="filters" open><summary><h2>Tables</h2></summary>{{ embed(roots.tables) }}</details>'
BODY = (
    '<main id="main"><div class="grid">'
    '<section id="question" class="card" aria-label="Question"><h2>Question</h2>{{ embed(roots.question) }}</section>'
    '<section id="answer" class="card" aria-label="Answer"><h2>Answer</h2>{{ embed(roots.answer) }}</section>'
    "</div></main>"
)


class Console:
    """The page's models, and what happens when they are used.

    `periodic(function, period)` calls a function every so many milliseconds, until what it returns is stopped.
    """

    def __init__(self, archive, periodic=None, question=None):
        self.archive, self.periodic = archive, periodic
        self.question = question or Question(archive.place)
        self.shown, self._repeated = None, None
        style = {"stylesheets": [charts.parts()], "margin": (4, 10, 4, 0)}
        self.tables = charts.words()
        self.snapshot = Select(title="Snapshot", value="head", options=[("head", "The newest")], width=300, **style)
        examples = [("", "Pick one"), *((name, name) for name in EXAMPLES)]
        self.example = Select(title="Example", value="", options=examples, width=300, **style)
        self.editor = TextAreaInput(
            title="One SELECT over the tables; Ctrl+Enter runs it", rows=9, cols=20, max_length=100_000,
            sizing_mode="stretch_width", **style,
        )  # fmt: skip
        self.run = Button(label="Run", css_classes=["main"], **style)
        self.cancel = Button(label="Cancel", disabled=True, **style)
        self.save = Button(label="Save as CSV", disabled=True, **style)
        self.elapsed = Div(stylesheets=[charts.parts()], margin=(10, 0, 0, 0))
        self.said, self.place = charts.words(role="status"), charts.column()
        self.form = charts.column(
            _row(self.example, self.snapshot), self.editor, _row(self.run, self.cancel, self.save, self.elapsed)
        )
        self.answer = charts.column(self.said, self.place)
        self._wire()
        self._write(first(archive))
        self._count()
        self.said.text = '<p class="note">Nothing was asked yet.</p>'
        try:
            self.snapshot.options = choices(archive)
        except StoreError as error:
            self.said.text = failure("Only the newest snapshot can be picked:", str(error))

    def _wire(self):
        self.run.on_click(self.start)
        self.cancel.on_click(self.stop)
        self.save.on_click(self._save)
        self.snapshot.on_change("value", lambda _attr, _old, _new: self._count())
        self.example.on_change("value", lambda _attr, _old, new: new and self._write(EXAMPLES[new]))
        self.save.js_on_change("tags", CustomJS(code=SAVE))

    def _write(self, text):
        self.editor.update(value=text, value_input=text)

    def _count(self):
        """The tables with the rows of the snapshot that is picked."""
        try:
            snapshot = self.archive.snapshot(number_of(self.archive, self.snapshot.value))
            self.tables.text = tables(snapshot)
        except StoreError as error:
            self.tables.text = failure("This snapshot cannot be read.", str(error))

    def start(self):
        """Ask what stands in the editor."""
        text = self.editor.value_input
        if not text.strip():
            self._tell(failure("There is no question.", "Write a SELECT, or pick an example."))
            return
        self._count()
        try:
            self.question.ask(text, self.snapshot.value)
        except OSError as error:
            log.exception("a process for a question")
            self._tell(failure("No process could be started to answer it:", str(error)))
            return
        self._tell('<p class="note">The question is running.</p>')
        self.run.disabled, self.cancel.disabled, self.save.disabled = True, False, True
        self.look()
        if self.periodic is not None and self._repeated is None:
            self._repeated = self.periodic(self.look, PERIOD)

    def look(self):
        """See whether there is an answer."""
        if self.cancel.disabled:  # a look that was due when the answer came
            return
        found = self.question.poll()
        if found is None:
            what = "Running" if self.question.ready else "Checking files"
            self.elapsed.text = f'<span class="note num">{what}, {self.question.seconds:.1f} s</span>'
            return
        self._end()
        if "answer" in found:
            self.shown = found["answer"]
            self.save.disabled = False
            self._tell(summary(self.shown), [grid(self.shown)] if self.shown["rows"] else [])
        else:
            self._tell(refusal(found["refused"]))

    def stop(self):
        """Give the question up."""
        self.question.cancel()
        self._end()
        self._tell('<p class="note">The question was cancelled.</p>')

    def _end(self):
        if self._repeated is not None:
            self._repeated.stop()
            self._repeated = None
        self.elapsed.text = ""
        self.run.disabled, self.cancel.disabled = False, True

    def _tell(self, text, below=()):
        self.said.text, self.place.children = text, list(below)

    def _save(self):
        """Send what is shown as a file."""
        self.save.tags = []  # the same file may be wanted twice
        self.save.tags = [file(self.shown)]


def choices(archive):
    """What the list of snapshots offers: the newest, those with a tag, then by number; (value, words)."""
    head = archive.head().number
    named = [(one["name"], f"{one['name']}: snapshot {one['number']}") for one in tags(archive)]
    numbers = range(head, max(head - NUMBERED, 0), -1)
    dated = [(str(k), f"Snapshot {k}{_time(archive, k)}") for k in numbers[:DATED]]
    return [("head", "The newest"), *named, *dated, *((str(k), f"Snapshot {k}") for k in numbers[DATED:])]


def _time(archive, number):
    try:
        return f", {archive.snapshot(number).time[:16].replace('T', ' ')}"
    except StoreError:
        return ", no longer kept"


def first(archive):
    """The example that a visit begins with: one over a table that has rows."""
    held = {segment.table for segment in archive.head().files}
    if "contract_bars" in held:
        return next(iter(EXAMPLES.values()))
    return f"select *\nfrom {min(held & TABLES.keys(), default='contract_bars')}\nlimit 100"


def tables(snapshot):
    """The tables with their rows and columns, as HTML; those with rows first."""
    rows = {name: sum(s.rows for s in snapshot.files if s.table == name) for name in TABLES}
    ordered = sorted(TABLES.values(), key=lambda table: not rows[table.name])
    told = f'<p class="note">Rows of snapshot {snapshot.number}; open a table for its columns.</p>'
    return told + "".join(_table(table, rows[table.name]) for table in ordered)


def _table(table, rows):
    columns = "".join(
        f"<dt>{esc(name)} <i>{esc(_type(dtype))}{', key' if name in table.key else ''}</i></dt><dd>{esc(meaning)}</dd>"
        for name, (dtype, meaning) in table.columns.items()
    )
    none = "" if rows else ' class="none"'
    return (
        f"<details{none}><summary>{esc(table.name)} <b>{charts.number(rows)}</b></summary>"
        f'<p>{esc(table.doc)}</p><dl class="columns">{columns}</dl></details>'
    )


def _type(dtype):
    return "time, UTC" if isinstance(dtype, pl.Datetime) else TYPES[dtype]


def summary(answer):
    """How many rows, how long it took, and of which snapshot, in a sentence."""
    count = len(answer["rows"])
    cut = f"The first {charts.number(count)} of more rows" if answer["cut"] else counted(count, "row") if count else ""
    told = f"{cut or 'No row'} in {answer['seconds']:.2f} s, of snapshot {answer['snapshot']}."
    more = '<p class="warning">Not all rows are shown: aggregate, or ask for a part.</p>' if answer["cut"] else ""
    return f'<p class="note">{told}</p>{more}'


def refusal(sentence):
    """Why there is no answer."""
    first, colon, reason = sentence.partition("the query cannot be run: ")
    return failure("The query cannot be run:", reason) if colon and not first else failure("No answer:", sentence)


def grid(answer):
    """The rows as a table that draws those in sight only."""
    cells = [[_shown(cell, column["kind"]) for cell in values] for column, values in _columns(answer)]
    source = ColumnDataSource({f"c{k}": values for k, values in enumerate(cells)})
    heads = [column["name"] + _unit(column) for column in answer["columns"]]
    fields = [
        TableColumn(
            field=f"c{k}", title=esc(head), sortable=False, width=_width(head, cells[k]),
            formatter=StringFormatter(text_align="right" if column["kind"] in RIGHT else "left"),
        )
        for k, (head, column) in enumerate(zip(heads, answer["columns"], strict=True))
    ]  # fmt: skip
    heads = [f".slick-header-column:nth-child({k + 1})" for k, c in enumerate(answer["columns"]) if c["kind"] in RIGHT]
    aligned = InlineStyleSheet(
        css="".join(f"{head} {{ text-align: right; }} {head} span {{ float: none; }}" for head in heads)
    )
    return DataTable(
        source=source, columns=fields, sizing_mode="stretch_width", height=min(TALL, 50 + LINE * len(answer["rows"])),
        autosize_mode="none", index_position=None, row_height=LINE, reorderable=False, selectable=False,
        stylesheets=[charts.parts(), aligned],
    )  # fmt: skip


def _columns(answer):
    """Each column with its values."""
    values = zip(*answer["rows"], strict=True) if answer["rows"] else [()] * len(answer["columns"])
    return zip(answer["columns"], values, strict=True)


def _shown(cell, kind):
    """A cell as it is shown: at most ten digits, a dash where there is nothing."""
    if cell is None:
        return charts.UNKNOWN
    return f"{float(cell):.10g}" if kind == "real" else cell


def _unit(column):
    """The unit of a column of the tables, where all that have it agree; nothing for any other."""
    told = {meaning.rpartition("[")[2] for table in TABLES.values() for name, (_, meaning) in table.columns.items()
            if name == column["name"] and column["kind"] in RIGHT}  # fmt: skip
    unit = told.pop() if len(told) == 1 else ""
    return f" [{unit}" if unit.endswith("]") else ""


def _width(head, cells):
    """Pixels that show the head and nearly all cells."""
    letters = max([len(head) + 1, *(len(cell) for cell in cells[:200])])
    return int(min(max(NARROW, letters * LETTER + 16), WIDE))


def file(answer):
    """What is shown as the text of a CSV, every number with all its digits."""
    names = [f"c{k}" for k in range(len(answer["columns"]))]
    told = pl.DataFrame({k: pl.Series(v, dtype=pl.String) for k, (_, v) in zip(names, _columns(answer), strict=True)})
    risky = [name for name, column in zip(names, answer["columns"], strict=True) if column["kind"] == "text"]
    return csv_of_texts(told, risky, [column["name"] for column in answer["columns"]])


def _row(*models):
    return Row(*models, sizing_mode="stretch_width", styles={"flex-wrap": "wrap"})
