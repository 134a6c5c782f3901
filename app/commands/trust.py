"""The verb check: what is wrong with what is stored, and what somebody decided about it."""

from collections import Counter
from typing import Annotated

import typer

from app.commands.data import code_text, opened, resolved
from app.commands.output import counted, emit, number, percent, progress, say, table

SHOWN = 100  # rows shown as a table; all of them are in --json
WORST = 20  # disagreements of two sources shown


def check(
    context: typer.Context,
    roots: Annotated[
        list[str] | None, typer.Argument(metavar="ROOT...", help="Markets; all, if none is named.", show_default=False)
    ] = None,
    release: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Decide that this finding, or quarantined row, is right.")
    ] = None,
    accept: Annotated[
        str | None, typer.Option(metavar="RULE", help="Decide that a rule does not count for --market.")
    ] = None,
    revoke: Annotated[list[str] | None, typer.Option(metavar="ID", help="Take a decision back.")] = None,
    market: Annotated[list[str] | None, typer.Option(metavar="ROOT", help="Markets of --accept.")] = None,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; it is kept in the log.")] = "",
    log: Annotated[bool, typer.Option("--log", help="Print what was decided.")] = False,
    quarantine: Annotated[bool, typer.Option("--quarantine", help="Print the rows that were refused.")] = False,
    coverage: Annotated[
        bool, typer.Option("--coverage", help="Sessions expected and held, and contracts missing, by year.")
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(metavar="OTHER", help="Compare with another source of the market: SOURCE or ROOT:SOURCE."),
    ] = None,
    source: Annotated[str | None, typer.Option(metavar="NAME", help="The source to be compared or filled.")] = None,
    fill: Annotated[
        str | None, typer.Option(metavar="OTHER", help="Fill missing rows of one market from that source, marked.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what --fill would do, change nothing.")] = False,
    unfill: Annotated[bool, typer.Option("--unfill", help="Take filled rows of the markets out again.")] = False,
):
    """Look for what a row alone cannot show: spikes, unit slips, stale prices, gaps, impossible days.

    No price is changed; what is found is stored as findings and printed. Findings are no failure: the exit code is 0. A
    market with a finding of severity `refuse` is not run until somebody decides about it.
    """
    asked = {"--release": release, "--accept": accept, "--revoke": revoke, "--log": log, "--quarantine": quarantine,
             "--coverage": coverage, "--against": against, "--fill": fill, "--unfill": unfill}  # fmt: skip
    given = [name for name, value in asked.items() if value]
    if len(given) > 1:
        raise typer.BadParameter(f"{' and '.join(given)} do not go together; one at a time")
    goes_with = {"--market": (market, "--accept"), "--dry-run": (dry_run, "--fill"),
                 "--source": (source, "--against", "--fill", "--unfill"),
                 "--reason": (reason, "--release", "--accept", "--revoke", "--fill", "--unfill")}  # fmt: skip
    for name, (value, *others) in goes_with.items():
        if value and not {*given} & {*others}:
            raise typer.BadParameter(f"it goes with {' or '.join(others)}", param_hint=name)
    archive = opened(context)
    if release or accept or revoke:
        _decide(context, archive, release, accept, revoke, market or roots, reason)
    elif log:
        _log(context, archive)
    elif quarantine:
        _quarantine(context, archive)
    elif coverage:
        _coverage(context, archive, resolved(archive, roots))
    elif against:
        _against(context, archive, _one(archive, roots, "--against"), source, against)
    elif fill or unfill:
        _fill(context, archive, roots, source, fill, reason, dry_run)
    else:
        _check(context, archive, resolved(archive, roots))


def _one(archive, roots, option):
    if len(roots or []) != 1:
        raise typer.BadParameter("one ROOT is wanted", param_hint=option)
    return resolved(archive, roots)[0]


def _check(context, archive, roots):
    from store import checks

    with progress("check") as bar:
        findings = checks.run(archive, roots, bar)
    rows = findings.to_dicts()
    emit(context, [row | {"contract": code_text(row["contract"])} for row in rows], _show_findings)


def _show_findings(rows):
    undecided = [row for row in rows if not row["done"].startswith(("released", "accepted"))]
    worst = {"refuse": 0, "quarantine": 1, "warn": 2}
    undecided.sort(key=lambda row: worst.get(row["severity"], 3))
    if undecided:
        several = len({row["source"] for row in undecided}) > 1
        place = ("root", "source") if several else ("root",)
        columns = ("id", "severity", "rule", *place, "contract", "day", "field", "value", "reason")
        table(undecided[:SHOWN], {name: (lambda row, name=name: row[name]) for name in columns})
    by_rule = Counter(row["rule"] for row in undecided)
    decided = len(rows) - len(undecided)
    say(
        counted(len(undecided), "finding")
        + "".join(f"; {name} {count:,}" for name, count in by_rule.most_common())
        + (f"; decided about {decided:,} more" if decided else "")
    )
    if len(undecided) > SHOWN:
        say(f"The first {SHOWN} are shown; --json prints all, `frontmonth check ROOT` those of one market.")
    refused = sorted({f"{row['root']} of {row['source']}" for row in undecided if row["severity"] == "refuse"})
    if refused:
        say(f"Not run until somebody decides: {', '.join(refused)}.")
        say("`frontmonth check --release ID --reason TEXT` says that a finding is right as it is;")
        say("`frontmonth check --accept RULE --market ROOT --reason TEXT` that the rule does not count there.")


def _decide(context, archive, release, accept, revoke, markets, reason):
    from store import decisions

    if not reason:
        raise typer.BadParameter("a decision needs its reason: --reason TEXT", param_hint="--reason")
    if release:
        made = decisions.release(archive, release, reason)
    elif revoke:
        made = decisions.revoke(archive, revoke, reason)
    elif markets:
        made = decisions.accept(archive, accept, resolved(archive, markets), reason)
    else:
        raise typer.BadParameter("which markets? --market ROOT", param_hint="--market")
    emit(context, made.to_dicts(), _show_log)


def _log(context, archive):
    from store import decisions

    emit(context, decisions.log(archive).to_dicts(), _show_log)


def _show_log(rows):
    if not rows:
        say("Nothing was decided yet.")
        return
    table(rows, {"id": lambda r: r["id"], "time": lambda r: f"{r['time']:%Y-%m-%d %H:%M}", "who": lambda r: r["author"],
                 "decision": lambda r: r["action"], "of": lambda r: r["finding"] or r["rule"] or r["source"],
                 "market": lambda r: r["root"], "reason": lambda r: r["reason"]})  # fmt: skip


def _quarantine(context, archive):
    from store import decisions

    rows = decisions.quarantined(archive).to_dicts()
    emit(context, rows, _show_quarantine)


def _show_quarantine(rows):
    columns = ("id", "file", "line", "column", "rule", "reason", "raw")
    if rows:
        table(rows[-SHOWN:], {name: (lambda row, name=name: str(row[name])[:80]) for name in columns})
    say(f"{counted(len(rows), 'row')} in quarantine" + (f"; the last {SHOWN} are shown" if len(rows) > SHOWN else ""))
    if rows:
        say("`frontmonth check --release ID --reason TEXT`, and the import of its file again, stores a row after all.")


def _coverage(context, archive, roots):
    from store import coverage

    emit(context, coverage.coverage(archive, roots).to_dicts(), _show_coverage)


def _show_coverage(rows):
    table(
        rows,
        {
            "root": lambda r: r["root"],
            "source": lambda r: r["source"],
            "year": lambda r: r["year"],
            "sessions": lambda r: number(r["sessions_expected"], ",.0f"),
            "held": lambda r: number(r["sessions_held"], ",.0f"),
            "share": lambda r: percent(r["share"], 1),
            "contracts missing": lambda r: _codes(r["contracts_missing"]),
        },
    )


def _codes(value):
    return value if isinstance(value, str) else ", ".join(map(str, value or []))


def _against(context, archive, root, source, other):
    from store import compare

    found = compare.against(archive, root, source, other)
    emit(context, found.document(), _show_against)


def _show_against(document):
    summary = document["summary"]
    table(list(summary.items()), {" ": lambda pair: pair[0].replace("_", " "), "  ": lambda pair: pair[1]})
    rows = document["disagreements"]
    if rows:
        table(rows[:WORST], {name: (lambda row, name=name: row[name]) for name in rows[0]}, "They disagree")
    if len(rows) > WORST:
        say(f"The first {WORST} of {len(rows):,} are shown; --json prints all.")


def _fill(context, archive, roots, source, other, reason, dry_run):
    from store import fill

    root = _one(archive, roots, "--fill" if other else "--unfill")
    if not reason:
        raise typer.BadParameter("filling needs its reason: --reason TEXT", param_hint="--reason")
    if other:
        made = fill.fill(archive, root, source, other, reason, dry_run=dry_run)
    else:
        made = fill.unfill(archive, root, source, reason)
    emit(context, made, _show_fill)


def _show_fill(document):
    gaps = document.get("refused", [])
    told = {name.replace("_", " "): value for name, value in document.items() if name != "refused"}
    table(list(told.items()), {" ": lambda pair: pair[0], "  ": lambda pair: pair[1]})
    for gap in gaps:
        say(f"left as it is: {gap}")


VERBS = {
    "check": (check, "Look for faults in what is stored, and decide about them.", "frontmonth check MES ZC"),
}
