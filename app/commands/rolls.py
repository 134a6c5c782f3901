"""The verb roll: make roll calendars, look at them, compare rules, keep them as files and versions, see what comes."""

from pathlib import Path
from typing import Annotated

import typer

from app.commands import laboratory
from app.commands.data import code_text, opened, priced, resolved, series_of, stand_in
from app.commands.output import counted, emit, number, percent, progress, say, table

RULES = (
    "volume[:N], oi[:N], volume+oi[:N], volume/oi[:N], each with [+DATE][/DATE]; first-notice-K, last-trade-K, "
    "delivery-K, month-end-K, month-begin-K; then [,months=LETTERS][,exit=K]; or the name of a roll calendar."
)
DEFAULT = "Without it volume:1, or the chain's own."


def roll(
    context: typer.Context,
    roots: Annotated[
        list[str] | None, typer.Argument(metavar="ROOT...", help="Markets; all, if none is named.", show_default=False)
    ] = None,
    rule: Annotated[str | None, typer.Option(help=f"{RULES} {DEFAULT}")] = None,
    rank: Annotated[
        int | None, typer.Option(min=0, help="0: the held contract; n: the n-th listed after it.", show_default=False)
    ] = None,
    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose rows; else the first source of the market.")
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Print every roll: prices, spread, volume left, cost.")] = False,
    diff: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="A B", help="Where two calendars differ: rules, tags or versions. Stores nothing."),
    ] = None,
    compare: Annotated[
        list[str] | None,
        typer.Option(metavar="RULE RULE...", help="What each of these rules costs and earns. Stores nothing."),
    ] = None,
    portfolio: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With --compare: what this portfolio earns under each.", show_default=False),
    ] = None,
    upcoming: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Rolls, notices and last trades within N sessions.")
    ] = None,
    run: Annotated[
        str | None, typer.Option(metavar="RUN", help="With --upcoming: of the contracts that this run holds.")
    ] = None,
    from_: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="A calendar of your own: CSV or Parquet.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the calendar for editing.", show_default=False)
    ] = None,
    tag: Annotated[str | None, typer.Option(metavar="NAME", help="Name the calendar; the name is then a rule.")] = None,
    note: Annotated[str, typer.Option(metavar="TEXT", help="Kept with the calendar.")] = "",
    list_: Annotated[bool, typer.Option("--list", help="Print the stored calendars and their versions.")] = False,
    remove: Annotated[
        str | None, typer.Option(metavar="NAME", help="Remove a stored calendar: tag or version.")
    ] = None,
):
    """Make and store roll calendars: when each contract is left, for which, at which prices, and why."""
    modes = {"--diff": diff, "--compare": compare, "--upcoming": upcoming, "--from": from_, "--list": list_,
             "--remove": remove}  # fmt: skip
    given = [name for name, value in modes.items() if value]
    if len(given) > 1:
        raise typer.BadParameter(f"{' and '.join(given)} do not go together; one at a time")
    kept = ["--from", ""]  # "" is making one by a rule
    goes_with = {
        "--rule": (rule, "--upcoming", ""), "--rank": (rank, ""), "--out": (out, ""),
        "--source": (source, ""),
        "--show": (show, "--compare", *kept),
        "--portfolio": (portfolio, "--compare"), "--run": (run, "--upcoming"), "--tag": (tag, *kept),
        "--note": (note, *kept),
    }  # fmt: skip
    for name, (value, *others) in goes_with.items():
        if value and not {*(given or [""])} & {*others}:
            with_ = " or ".join(other or "a calendar made by a rule" for other in others)
            raise typer.BadParameter(f"it goes with {with_}", param_hint=name)
    if rule == "" or tag == "":
        raise typer.BadParameter("it is empty", param_hint="--rule" if rule == "" else "--tag")
    archive = opened(context)
    asked = series_of(archive, roots, rule, rank) if roots else []
    if given and any(series != (series[0], rule, rank or 0) for series in asked):
        raise typer.BadParameter(f"a market is wanted, not a series such as {roots[0]}", param_hint=given[0])
    wanted = [root for root, *_ in asked] or ([] if list_ else resolved(archive, None))
    if list_:
        _list(context, archive, wanted)
    elif diff:
        _diff(context, archive, wanted, *diff)
    elif compare:
        laboratory.compare(context, archive, _one(wanted, "--compare"), compare, portfolio, show)
    elif upcoming:
        _upcoming(context, archive, wanted if roots else None, upcoming, rule, run)
    elif remove:
        _remove(context, archive, _one(wanted, "--remove"), remove)
    elif from_:
        _from_file(context, archive, _one(wanted, "--from"), from_, show, tag, note)
    else:
        series = asked or [(root, rule, rank or 0) for root in wanted]
        _make(context, archive, series, source, show, out, tag, note)


def _one(wanted, option):
    if len(wanted) != 1:
        raise typer.BadParameter("one ROOT is wanted", param_hint=option)
    return wanted[0]


# ---- making and keeping


def _make(context, archive, series, source, show, out, tag, note):
    from store import history, roll_versions

    if out is not None and len(series) != 1:
        raise typer.BadParameter("one ROOT is wanted", param_hint="--out")
    snapshot = archive.head()
    make = lambda root, rule, rank: history.calendar(archive, root, rule, snapshot, rank, source)  # noqa: E731
    with progress("roll") as bar:
        made, failed = _each(make, series, bar)
    if out is not None:
        from store.roll_files import to_file

        to_file(made[0][0], out)
    saved = roll_versions.save(archive, made, tag=tag, note=note, snapshot=snapshot)
    _tell(context, archive, made, saved, show)
    if out is not None and not context.obj.json and history.bars(archive, series[0][0]) is not None:
        say(f"written to {out}; edit it, then: frontmonth roll {series[0][0]} --from {out} --tag NAME")
    _fail(failed)


def _each(make, series, bar=None):
    """What `make` makes of each (root, ...), and why it failed for others; if for all, the first reason is raised."""
    from store.segments import Refused

    made, failed = [], []
    for done, one in enumerate(series):
        if bar:
            bar(done, len(series), one[0])
        try:
            made.append(make(*one))
        except (LookupError, ValueError, Refused) as error:
            if len(series) == 1:
                raise
            failed.append(str(error) if str(error).startswith(one[0]) else f"{one[0]}: {error}")
    return made, failed if made else _fail(failed)


def _fail(failed):
    """End with an error that tells all reasons, one a line; nothing where there are none."""
    for text in failed[:-1]:
        typer.echo(f"frontmonth: {text}", err=True)
    if failed:
        raise ValueError(failed[-1])


def _from_file(context, archive, root, path, show, tag, note):
    from store import history, roll_versions
    from store.roll_files import BadCalendar, from_file

    plan, bars = priced(archive, root)
    try:
        calendar = from_file(path, root, bars, history.spec(archive, root))
    except BadCalendar as bad:
        emit(context, {"file": bad.file, "faults": [vars(fault) for fault in bad.faults]}, _show_faults)
        raise ValueError(f"{bad.file}: {counted(len(bad.faults), 'fault')}; nothing was stored") from None
    made = [(calendar, plan.source)]
    saved = roll_versions.save(archive, made, tag=tag, note=note, snapshot=plan.snapshot, file=path)
    _tell(context, archive, made, saved, show)


def _show_faults(document):
    names = ("row", "column", "value", "reason", "remedy")
    table(document["faults"], {name: (lambda fault, name=name: fault[name]) for name in names})


def _remove(context, archive, root, name):
    from store import roll_versions

    gone = roll_versions.remove(archive, root, name)
    emit(context, {"root": root, "removed": gone}, lambda d: say(f"{root}: removed {', '.join(d['removed'])}"))


def _list(context, archive, wanted):
    from store import roll_versions

    rows = roll_versions.listed(archive, wanted or None).to_dicts()
    emit(context, [row | {"first": code_text(row["first"])} for row in rows], _show_list)


def _show_list(rows):
    if not rows:
        return say("no roll calendar is stored; `frontmonth roll ROOT --rule RULE` makes one")
    names = ("root", "rule", "rank", "tag", "version", "source")
    columns = {name: (lambda row, name=name: row[name]) for name in names}
    columns |= {
        "rolls": lambda row: f"{row['rolls']:,}",
        "made": lambda row: f"{row['time']:%Y-%m-%d %H:%M}" if row["time"] else "",
        "by": lambda row: row["author"],
        "from": lambda row: row["made_from"],
        "note": lambda row: row["note"],
    }
    table(rows, columns)


# ---- showing


def _tell(context, archive, made, saved, show):
    documents = [
        calendar.document()
        | {"source": source, "tag": row["tag"], "done": row["done"]}
        | stand_in(archive, calendar.root)
        for (calendar, source), row in zip(made, saved.to_dicts(), strict=True)
    ]
    if show:
        for document, (calendar, source) in zip(documents, made, strict=True):
            _measured(archive, document, calendar, source)
    emit(context, documents[0] if len(documents) == 1 else documents, lambda _: _show_rolls(documents, show))


def _measured(archive, document, calendar, source):
    """Put spread, volume shares and cost beside each roll of a document."""
    from engine.costs import Costs
    from engine.trials import roll_cost
    from store import history, laboratory

    bars = history.bars(archive, calendar.root, source=source)
    spec = history.spec(archive, calendar.root)
    told = laboratory.told(bars.read(), calendar, spec).to_dicts() if bars else []
    cost, currency = roll_cost(archive, calendar.root, Costs()) if spec else (None, None)
    document["currency"] = currency
    for k, row in enumerate(document["rolls"]):
        row["spread"] = _spread(row)
        row |= {name: told[k][name] if told else None for name in ("from_share", "to_share", "sessions_left")}
        row["cost"] = cost


def _show_rolls(documents, show):
    for document in documents if show else ():
        columns = {
            "day": lambda r: r["day"],
            "from": lambda r: r["from"],
            "to": lambda r: r["to"],
            "from price": lambda r: number(r["from_price"]),
            "to price": lambda r: number(r["to_price"]),
            "spread": lambda r: number(r["spread"], "+.10g"),
            "volume left": lambda r: percent(r["from_share"], 0),
            "in the next": lambda r: percent(r["to_share"], 0),
            f"cost {document['currency'] or ''}".strip(): lambda r: number(r["cost"], ",.2f"),
            "reason": lambda r: r["reason"],
        }
        table(document["rolls"], columns, title=document["root"])
    table(
        documents,
        {
            "market": lambda d: d["root"],
            "rule": lambda d: d["rule"],
            "rolls": lambda d: f"{len(d['rolls']):,}",
            "version": lambda d: d["version"],
            "stored": lambda d: d["done"],
            "reasons": lambda d: ", ".join(f"{name} {percent(share)}" for name, share in d["reasons"].items()),
        },
    )
    for document in documents:
        if document["proxy"]:
            listed = document["until"].year == 9999  # the master does not say when
            which = "bars from before it was listed" if listed else f"bars before {document['until']}"
            say(f"{document['root']}: {which} are those of {document['proxy']}")


def _spread(roll_, prefix=""):
    prices = roll_[f"{prefix}from_price"], roll_[f"{prefix}to_price"]
    return None if None in prices else prices[1] - prices[0]


def _diff(context, archive, wanted, one, other):
    from store import roll_versions

    def differences(root):
        (mine, _), (theirs, _) = (roll_versions.made(archive, root, text) for text in (one, other))
        rows = mine.diff(theirs).to_dicts()
        texts = [row | {c: code_text(row[c]) for c in ("from_contract", "to_contract")} for row in rows]
        return {"root": root, "rule": one, "other": other, "rolls": len(mine.frame), "differences": texts}

    documents, failed = _each(differences, [(root,) for root in wanted])
    emit(context, documents[0] if len(documents) == 1 else documents, lambda _: _show_diff(documents))
    _fail(failed)


def _show_diff(documents):
    for document in documents:
        rule, other = document["rule"], document["other"]
        columns = {
            "from": lambda r: r["from_contract"],
            "to": lambda r: r["to_contract"],
            f"day by {rule}": lambda r: r["day"],
            f"day by {other}": lambda r: r["other_day"],
            "days": lambda r: number(r["days"], "+d"),
            "spread": lambda r: number(_spread(r), "+.10g"),
            "other spread": lambda r: number(_spread(r, "other_"), "+.10g"),
        }
        if document["differences"]:
            table(document["differences"], columns, title=document["root"])
        apart, rolls = counted(len(document["differences"]), "difference"), counted(document["rolls"], "roll")
        say(f"{document['root']}: {apart} between {rule} ({rolls}) and {other}")


# ---- what comes


def _upcoming(context, archive, roots, sessions, rule, run):
    from store import upcoming

    held, rule = (None, rule) if run is None else _held(archive, run, rule)
    with progress("roll") as bar:
        found = upcoming.upcoming(archive, roots, sessions, rule, held=held, progress=bar)
    months = ("held", "next")
    rows = [row | {name: code_text(row[name]) for name in months} for row in found.to_dicts()]
    emit(context, rows, lambda _: _show_upcoming(rows, sessions, run))
    if roots is None and run is None and not context.obj.json:
        _untold(archive)


def _untold(archive):
    """Which stored markets `--upcoming` passes over when none is named, and why."""
    from engine.market import specified
    from store.history import sources

    known, unknown = specified(archive, archive.head())
    chains = [root for root in resolved(archive, None) if root not in (*known, *unknown)]
    chains = [root for root in chains if not any(kind == "contract_bars" for kind, _ in sources(archive, root))]
    for roots, why in ((unknown, "their facts are not known"), (chains, "only a vendor's chain is stored")):
        if roots:
            say(f"not told: {', '.join(roots)}: {why}")


def _held(archive, run, rule):
    """{root: [contracts]} that a run holds at its end, and the rule it rolls by unless another is asked for."""
    from engine.result import load

    made, found = load(archive, run).ours("which contracts it holds"), {}
    last = made.positions()
    for row in last.filter(last["day"] == last["day"].max()).iter_rows(named=True):
        if row["contracts"]:
            found.setdefault(row["root"], set()).add(int(row["contract"]))
    return {root: sorted(contracts) for root, contracts in found.items()}, rule or made.portfolio.rolls.rules()


def _show_upcoming(rows, sessions, run):
    of = f" of {run}" if run else ""
    if not rows:
        return say(f"nothing{of} rolls, is given notice or ends within {counted(sessions, 'session')}")
    rows = sorted(rows, key=lambda row: bool(row["stale"]))  # those whose data have ended come last
    columns = {
        "market": lambda r: r["root"],
        "as of": lambda r: "" if r["as_of"] is None else f"{r['as_of']}{' (stale)' if r['stale'] else ''}",
        "held": lambda r: r["held"],
        "next": lambda r: r["next"],
        "expected": lambda r: _dated(r, "expected"),
        "latest": lambda r: _dated(r, "latest"),
        "first notice": lambda r: _dated(r, "first_notice"),
        "last trade": lambda r: _dated(r, "last_trade"),
        "why": lambda r: r["why"],
    }
    table(rows, columns)
    say("a number in brackets is that of sessions from the last stored day")
    return None


def _dated(row, name):
    return "" if row[name] is None else f"{row[name]} ({row[f'sessions_to_{name}']})"


VERBS = {
    "roll": (roll, "Make, show and compare roll calendars.", "frontmonth roll MES ZC --rule volume:1 --show"),
}
