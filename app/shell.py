"""The HTML around the views: one frame for the dashboard and the report, and the pages that have nothing to show.

Everything that is no picture is plain HTML: the rail of pages and filters, the bar with the run and its buttons, a card
for every view with its title, a line on how to read it, and its downloads. `page.js` makes it answer.
"""

from pathlib import Path

from app import theme
from app.badges import badges
from app.charts import esc
from app.commands.output import counted
from app.pages import PAGES, SIDE

ABOUT = (("Vendor", "title"), ("Files", "files"), ("Gives", "gives"), ("Export", "export"), ("Note", "lacks"))
HERE = Path(__file__).parent
BUTTONS = (  # what it does, its keys, its words, its icon
    ("undo", "Ctrl+Z", "Undo", "M9 7L4 12l5 5M4 12h11a5 5 0 0 1 0 10h-3"),
    ("redo", "Ctrl+Shift+Z", "Redo", "M15 7l5 5-5 5M20 12H9a5 5 0 0 0 0 10h3"),
    ("reset", "Escape", "Pick all again", "M6 6l12 12M18 6L6 18"),
    ("copy", "", "Copy the link to this view",
     "M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1"),
    ("theme", "", "Light or dark", "M12 3a9 9 0 1 0 9 9a7 7 0 0 1-9-9"),
)  # fmt: skip
MARKS = {True: "good", False: "bad", None: ""}  # of badges
OUT = "M7 17L17 7M9 7h8v8"  # leads elsewhere
SAVE = "M12 4v11m0 0l-4-4m4 4l4-4M5 20h14"


def asset(name):
    """The text of a file beside this one."""
    return (HERE / name).read_text(encoding="utf-8")


def head():
    """Style and theme of every page, inlined: nothing is asked of any other host."""
    return (
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<style>{theme.tokens()}{asset('page.css')}</style><script>{asset('page.js')}</script>"
    )


def icon(path):
    """A drawing of lines, which says nothing to readers of screens."""
    return f'<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d="{path}"/></svg>'


def rail(pages, run_chooser="", filters="", others=()):
    """Sidebar: name, runs, pages, other addresses (address, text), filters."""
    links = "".join(
        f'<a href="#/{name}" data-page="{name}">{icon(page.icon)}<span>{esc(page.title)}</span></a>'
        for name, page in pages.items()
    )
    links += "".join(f'<a href="{to}" class="other">{icon(OUT)}<span>{text}</span></a>' for to, text in others)
    return (
        '<aside class="rail" aria-label="Pages and filters"><div class="brand">frontmonth</div>'
        f'{run_chooser}<nav aria-label="Pages">{links}</nav>{filters}</aside>'
    )


def bar(title, small, buttons=BUTTONS):
    """Name of the run, and the buttons that hold for every page."""
    made = "".join(
        f'<button type="button" data-do="{name}" title="{words}{f" ({keys})" if keys else ""}" aria-label="{words}">'
        f"{icon(drawn)}</button>"
        for name, keys, words, drawn in buttons
    )
    return (
        f'<header class="bar"><h1>{esc(title)} <small>{esc(small)}</small></h1>'
        f'<div class="buttons" role="toolbar" aria-label="Selection and theme">{made}</div></header>'
    )


def card(slot, view):
    """Title, guide and downloads of a view, and the place where it is drawn."""
    guide = f'<p class="guide">{esc(view.guide)}</p>' if view.guide else ""
    saves = "".join(
        f'<button type="button" data-save="{kind}" title="Save as {kind.upper()}" aria-label="Save {esc(view.title)} '
        f'as {kind.upper()}">{kind.upper()}</button>'
        for kind in view.saves
    )
    tools = f'<div class="saves">{icon(SAVE)}{saves}</div>' if saves else ""
    return (
        f'<section id="{slot.view}" class="card w{slot.width} {slot.kind}" aria-label="{esc(view.title)}"><header><h2>'
        f'{esc(view.title)}</h2>{tools}</header>{guide}<div class="drawn">{{{{ embed(roots.{slot.view}) }}}}</div>'
        "</section>"
    )


def template(views, run, chooser="", notice="", others=(), pages=PAGES):
    """Jinja template of a run's page on the server, see `body`."""
    return blocks(body(views, run, chooser, notice, others, pages))


def embed(name):
    """Where the root of a name is drawn, as Bokeh's templates say it."""
    return f"{{{{ embed(roots.{name}) }}}}"


def body(views, run, chooser="", notice="", others=(), pages=PAGES):
    """The HTML of a run's pages; `views` is {name: View or its class}, `embed(roots.NAME)` is where each is drawn.

    chooser: HTML above the pages; notice: HTML above all; others: further addresses to link to, (address, text); pages:
    which pages there are.
    """
    filters = (
        f'<details class="filters" open><summary><h2>Filters</h2></summary>{{{{ embed(roots.{SIDE}) }}}}</details>'
    )
    shown = "".join(
        f'<div class="page" id="page-{name}" hidden><p class="lead">{esc(page.guide)}</p>'
        f'<div class="grid">{"".join(card(slot, views[slot.view]) for slot in page.slots)}</div></div>'
        for name, page in pages.items()
    )
    small = " · ".join(filter(None, (run.id, run.note)))
    return (
        '<a class="skip" href="#main">Skip to the content</a><div class="app">'
        + rail(pages, chooser, filters, others)
        + '<div class="stage">'
        + bar(run.name, small)
        + badged(run)
        + simulated(run)
        + '<div class="chips">'
        + embed("chips")
        + "</div>"
        + f'<main id="main" tabindex="-1"><div class="notices">{notice}{embed("alert")}</div>{shown}</main>'
        + '<div class="hidden" aria-hidden="true">'
        + embed("wish")
        + embed("gift")
        + "</div></div></div>"
    )


def badged(run):
    """Short words on how far the run can be believed, each with a title that says what they mean."""
    made = "".join(
        f'<li class="{MARKS[badge.good]}" title="{esc(badge.meaning)}">{esc(badge.words)}</li>' for badge in badges(run)
    )
    return f'<ul class="badges" aria-label="How far to believe this run">{made}</ul>' if made else ""


def simulated(run):
    """Lines above every page of a run that is not as trading would have been."""
    told = '<div class="simulated" role="note">Simulated prices: no market ever traded at them.</div>'
    return (told if run.simulated else "") + stamped(run.summary) + marks(run.summary.get("data", {}))


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


def empty(title, words, others=()):
    """Body of a page that has nothing to show: why, and what to do."""
    return frame("frontmonth", "", f'<main id="main" class="empty"><h2>{esc(title)}</h2>{words}</main>', others)


def frame(title, small, inside, others=(), aside=""):
    """Body of a page without a run; `aside` is what its rail holds below the links."""
    buttons = [button for button in BUTTONS if button[0] == "theme"]
    return (
        f'<a class="skip" href="#main">Skip to the content</a><div class="app{" wide" if aside else ""}">'
        f'{rail({}, filters=aside, others=others)}<div class="stage">{bar(title, small, buttons)}{inside}</div></div>'
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
