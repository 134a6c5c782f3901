"""The HTML around the views: one frame for the dashboard and the report, and the pages that have nothing to show."""

from pathlib import Path

from app.charts import esc
from app.commands.output import counted

ABOUT = (("Vendor", "title"), ("Files", "files"), ("Gives", "gives"), ("Export", "export"), ("Note", "lacks"))
HERE = Path(__file__).parent
SECTIONS = ("strip", "equity", "months", "markets", "sectors", "positions", "trades", "about")
LINKS = (("strip", "Numbers"), ("months", "Months"), ("sectors", "Profit"), ("positions", "Positions"),
         ("trades", "Trades"), ("about", "About"))  # fmt: skip


def asset(name):
    """The text of a file beside this one."""
    return (HERE / name).read_text(encoding="utf-8")


def head():
    """Style and theme of every page, inlined: nothing is asked of any other host."""
    return (
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<style>{asset('page.css')}</style><script>{asset('page.js')}</script>"
    )


def top(title, small, links=LINKS, pages=()):
    """Name, links to the sections and to other pages (address, text), and the switch of the theme."""
    anchors = "".join(f'<a href="{to}">{text}</a>' for to, text in (*((f"#{n}", t) for n, t in links), *pages))
    return (
        '<a class="skip" href="#main">Skip to the content</a><header class="top">'
        f'<h1>{esc(title)} <small>{esc(small)}</small></h1><nav aria-label="Sections">{anchors}</nav>'
        '<button class="theme" type="button" aria-pressed="false">Dark</button></header>'
    )


def template(views, run, chooser="", scripts="", notice="", after="", pages=()):
    """Jinja template of a run's page; `views` is {name: View}, each becomes the root of its name.

    chooser: HTML above the filters; scripts: HTML for the head; notice: HTML above all; after: template text last;
    pages: other pages to link to, (address, text).
    """
    parts = "".join(
        f'<section id="{name}" class="{name}" aria-label="{esc(views[name].title)}"><h2>{esc(views[name].title)}</h2>'
        f"{{{{ embed(roots.{name}) }}}}</section>"
        for name in SECTIONS
    )
    told = '<div class="simulated" role="note">Simulated prices: no market ever traded at them.</div>'
    simulated = told if run.simulated else ""
    simulated += stamped(run.summary) + marks(run.summary.get("data", {}))
    small = " · ".join(filter(None, (run.id, run.note)))
    body = (
        top(run.name, small, pages=pages)
        + simulated
        + f'<div class="frame"><aside aria-label="Filters">{chooser}'
        + '<details class="filters" open><summary><h2>Filters</h2></summary>'
        + "{{ embed(roots.controls) }}</details></aside>"
        + f'<main id="main"><div class="notices">{notice}{{{{ embed(roots.alert) }}}}</div><div class="grid">'
        + f"{parts}</div></main></div>{after}"
    )
    return blocks(body, scripts)


def stamped(summary):
    """A line above the page for each stamp of a run: what makes it better than trading would have been."""
    return "".join(f'<div class="marked" role="note">Stamped: {esc(s)}</div>' for s in summary.get("stamps", []))


def marks(data):
    """A line above the page that names markets with proxy or filled prices."""
    proxies = [
        f"{root} ({counted(told['proxy_days'], 'day')} of {told['proxy']})"
        for root, told in data.items()
        if told["proxy_days"]
    ]
    filled = [f"{root} ({counted(told['filled'], 'row')})" for root, told in data.items() if told.get("filled")]
    said = {"Prices of another contract stand in: ": proxies, "Rows filled from a second source: ": filled}
    return "".join(
        f'<div class="marked" role="note">{title}{esc(", ".join(names))}</div>'
        for title, names in said.items()
        if names
    )


def vendors():
    """What each vendor's files bring, as a table; for the page of an empty store."""
    from store import ingest

    rows = "".join(
        f'<tr><th scope="row" class="text">{esc(name)}</th>'
        + "".join(f'<td class="text wrap">{esc(text)}</td>' for text in _of(about))
        + "</tr>"
        for name, about in ingest.abouts().items()
    )
    heads = "".join(f'<th scope="col" class="text">{name}</th>' for name in ("Reader", *(name for name, _ in ABOUT)))
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'


def _of(about):
    return [getattr(about, field) for _, field in ABOUT]


def blocks(body, scripts=""):
    """The blocks that Bokeh's and Panel's own page leave to be filled."""
    return f"{{% block postamble %}}{raw(head() + scripts)}{{% endblock %}}{{% block contents %}}{body}{{% endblock %}}"


def raw(text):
    """Text that Jinja must leave as it is."""
    return f"{{% raw %}}{text}{{% endraw %}}"
