"""Pictures of docs/dashboard.md; `python -m tests.doc_pages` takes them of a run on the sample store with Chromium."""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from engine import Portfolio
from engine.backtest import run
from store import open_archive, sample
from tests.conftest import REPO

FOLDER = REPO / "docs" / "pictures"
PORTFOLIO = REPO / "config" / "portfolios" / "trend.toml"
SHOTS = {  # file -> (page, height [pixels], theme, what has to be there)
    "overview": ("overview", 1000, "light", "#results p.note"),
    "attribution-page": ("attribution", 900, "dark", "#pivot table"),
}


def take(address, folder, width=1280):
    """Write each picture of SHOTS, of the dashboard at an address."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--headless", "--no-sandbox"])
        for name, (page, height, theme, wanted) in SHOTS.items():
            size = {"width": width, "height": height}
            tab = browser.new_context(viewport=size, color_scheme=theme).new_page()
            tab.goto(f"{address}#/{page}")
            tab.locator(wanted).first.wait_for()
            tab.wait_for_timeout(3000)  # bands and regimes are computed beside the page
            tab.screenshot(path=folder / f"{name}.png")
        browser.close()


def main():
    """Make the store and a run, serve them, take the pictures."""
    with tempfile.TemporaryDirectory() as temporary:
        store = Path(temporary) / "store"
        archive = open_archive(store, create=True)
        sample.build(archive)
        run(archive, Portfolio.from_toml(PORTFOLIO))
        code = f"from app.serve import serve; serve({str(store)!r}, port=0)"
        process = subprocess.Popen([sys.executable, "-c", code], cwd=REPO, stderr=subprocess.PIPE, text=True)
        try:
            told = next(line for line in process.stderr if "Dashboard at" in line)
            take(re.search(r"http://\S+/", told)[0], FOLDER)
        finally:
            process.kill()


if __name__ == "__main__":
    main()
