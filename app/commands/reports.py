"""The verb report: a run as a file."""

from pathlib import Path
from typing import Annotated

import typer

from app.commands.data import opened
from app.commands.output import emit, progress, say
from app.commands.runs import Run


def report(
    context: typer.Context,
    name: Run,
    out: Annotated[str, typer.Option(metavar="FILE.html|DIR/", help="An HTML file, or a folder for CSV tables.")],
    sections: Annotated[
        str | None, typer.Option(metavar="A,B", help="Pages of the HTML file: overview, trades, risk, about; else all.")
    ] = None,
):
    """A run as one HTML file that needs no network, or as a folder of CSV tables."""
    target = Path(out)
    folder = out.endswith(("/", "\\")) or target.is_dir() or not target.suffix
    if not folder and target.suffix != ".html":
        raise typer.BadParameter(
            f"{out}: allowed are a name ending in .html, and a folder ending in /", param_hint="--out"
        )
    from engine import result

    archive = opened(context)
    found = result.load(archive, name)
    if folder:
        files = [str(target / file) for file in found.export(target)]
    else:
        with progress("report"):
            from app.report import SECTIONS, SectionUnknown
            from app.report import report as write

            asked = SECTIONS if sections is None else [part.strip() for part in sections.split(",") if part.strip()]
            try:
                files = [str(write(found, target, asked, archive))]
            except SectionUnknown as error:
                raise typer.BadParameter(str(error), param_hint="--sections") from error
    emit(context, {"run": found.id, "files": files}, lambda d: say("\n".join(d["files"])))


VERBS = {
    "report": (report, "A run as an HTML file or as CSV tables.", "frontmonth report last --out run.html"),
}
