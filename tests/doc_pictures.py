"""Pictures of docs/rolls.md, of the sample store; `python -m tests.doc_pictures` draws them with Chromium."""

import shutil
import tempfile
from datetime import date, timedelta
from pathlib import Path

import polars as pl
from bokeh.layouts import column
from bokeh.models import ColumnDataSource, Label, NumeralTickFormatter, Span
from bokeh.plotting import figure
from bokeh.resources import INLINE

from app.theme import GAIN, LOSS
from store import history, laboratory, open_archive, sample
from tests.conftest import REPO

FOLDER = REPO / "docs" / "pictures"
ROOT = "CL"
GREY = "#7a828c"
WIDTH = 860
RULES = ("volume:1", "oi:1", "first-notice-5", "month-end-3", "last-trade-15")


def roll_day(archive, root=ROOT):
    """Volume of two contracts around a roll, and the prices of both on the roll day."""
    calendar, source = history.calendar(archive, root)
    roll = calendar.frame.filter(pl.col("reason") == "volume").row(-3, named=True)
    legs = [(roll["from_contract"], GAIN), (roll["to_contract"], LOSS)]
    near = pl.col("day").is_between(roll["day"] - timedelta(days=24), roll["day"] + timedelta(days=14))
    bars = archive.read("contract_bars", root=root, source=source).filter(near)
    pages = []
    for field, title in (("volume", "Volume of the day [contracts]"), ("settle", "Settlement [points]")):
        made = _figure(title, 230)
        for contract, colour in legs:
            rows = bars.filter(pl.col("contract") == contract).drop_nulls(field)
            held = (pl.col("day") <= roll["day"]) if contract == legs[0][0] else (pl.col("day") > roll["day"])
            made.line(_times(rows), rows[field].to_numpy(), color=colour, line_width=1.5, line_alpha=0.45)
            rows = rows.filter(held)
            made.line(
                _times(rows), rows[field].to_numpy(), color=colour, line_width=4,
                legend_label=f"{contract}, thick while held",
            )  # fmt: skip
        _mark(made, roll["decided"], "decided ", GREY, "right")
        _mark(made, roll["day"], " roll day", "#20242a", "left")
        made.legend.location = "bottom_left"
        made.legend.visible = field == "settle"
        pages.append(made)
    return column(pages)


def series(archive, root=ROOT):
    """One market joined in four ways."""
    made = _figure(f"{root}: one market, four ways to join its contracts [points]", 300)
    ways = (("none", GREY, "none: a step at every roll"), ("difference", GAIN, "difference: the newest at its price"),
            ("forward", LOSS, "forward: the first at its price"),
            ("ratio", "#44bb99", "ratio: the newest at its price"))  # fmt: skip
    for method, colour, told in ways:
        rows = history.table(archive, root, adjust=method)
        made.line(_times(rows), rows["adjusted"].to_numpy(), color=colour, line_width=1.5, legend_label=told)
    made.legend.location = "top_center"
    return made


def rules(archive, root=ROOT, of=RULES):
    """How much of the day's volume was left in the old contract when each rule rolled."""
    bars, spec = history.bars(archive, root).read(), history.spec(archive, root)
    told = [(rule, laboratory.told(bars, history.calendar(archive, root, rule)[0], spec)) for rule in of]
    made = figure(
        width=WIDTH, height=260, y_range=list(reversed(of)), toolbar_location=None, output_backend="canvas",
        title=f"{root}: share of the day's volume left in the old contract on the roll day, roll by roll [%]",
    )  # fmt: skip
    for k, (rule, rows) in enumerate(told):
        shares = [100 * share for share in rows["from_share"].drop_nulls()]
        source = ColumnDataSource(
            {"share": shares, "rule": [(rule, 0.5 * (i % 5 - 2) / 5) for i in range(len(shares))]}
        )
        made.scatter("share", "rule", source=source, size=6, alpha=0.45, color=(GAIN, LOSS)[k % 2])
    _plain(made)
    return made


PICTURES = {"roll-day": roll_day, "joined": series, "rules": rules}


def main():
    """Draw all of them."""
    from playwright.sync_api import sync_playwright

    FOLDER.mkdir(exist_ok=True)
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        archive = open_archive(Path(folder) / "store", create=True)
        sample.build(archive)
        made = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = made.new_page(viewport={"width": WIDTH + 16, "height": 640})
        for name, draw in PICTURES.items():
            page.set_content(html(draw(archive)))
            page.wait_for_selector("canvas")
            page.wait_for_timeout(1000)  # of a canvas nothing tells when it is painted
            page.locator("#picture").screenshot(path=FOLDER / f"{name}.png")


def html(drawn):
    """A page with nothing but the picture."""
    from bokeh.embed import components

    script, div = components(drawn)
    style = "<style>body{margin:0;background:#fff} #picture{display:inline-block;padding:6px}</style>"
    return f"<!doctype html><html><head>{INLINE.render()}{style}</head><body><div id=picture>{div}</div>{script}"


def _figure(title, height):
    made = figure(width=WIDTH, height=height, title=title, x_axis_type="datetime", toolbar_location=None)
    made.yaxis.formatter = NumeralTickFormatter(format="0,0.[00]")
    _plain(made)
    return made


def _times(rows):
    return rows["day"].cast(pl.Datetime("ms")).to_numpy()


def _plain(made):
    made.outline_line_color = None
    made.grid.grid_line_color = "#e4e7eb"
    made.title.text_font_size = "13px"


def _mark(made, day, text, colour, align):
    milliseconds = (day - date(1970, 1, 1)).days * 86_400_000
    made.add_layout(Span(location=milliseconds, dimension="height", line_color=colour, line_dash="dashed"))
    label = {"text": text, "text_font_size": "11px", "text_color": colour, "text_align": align}
    made.add_layout(Label(x=milliseconds, y=148, y_units="screen", **label))


if __name__ == "__main__":
    main()
