"""Tables of params in docs/strategies/*.md; `python -m tests.strategy_tables` writes them after their marks."""

import re

from engine import settings
from engine.strategies import STRATEGIES
from tests.conftest import REPO

PAGES = REPO / "docs" / "strategies"
MARK = "<!-- params of {}: made by `python -m tests.strategy_tables` -->"


def rows(kind):
    """The table of a strategy's params."""
    out = ["| param | default | allowed | what it is |", "| --- | --- | --- | --- |"]
    for key in settings.keys(kind):
        parameter = kind.param[key]
        cells = (f"`{key}`", f"`{settings.shown(parameter.default)}`", settings.allowed(parameter), parameter.doc)
        cells = [re.sub(r"\b(\d+)\.0\b", r"\1", cell).replace("|", "\\|") for cell in cells]
        out.append("| " + " | ".join(cells) + " |")
    return out


def pages():
    """{strategy: page} of every table that is marked."""
    found = {}
    for page in sorted(PAGES.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        found |= {name: page for name in STRATEGIES if MARK.format(name) in text}
    return found


def written(text, name, kind):
    """The page's text with the table of a strategy as the code has it."""
    mark = re.escape(MARK.format(name))
    table = "\n".join([MARK.format(name), *rows(kind)]) + "\n"
    return re.sub(rf"{mark}\n(?:\|.*\n)*", lambda _: table, text)


if __name__ == "__main__":
    for name, page in pages().items():
        page.write_text(written(page.read_text(encoding="utf-8"), name, STRATEGIES[name]), encoding="utf-8")
