"""Where a run came from: portfolio, hashes, events, and whether its two sums agree."""

from app import charts
from app.charts import esc
from app.commands.output import counted
from app.view import View
from app.views.strip import tile
from engine.book import CAUSES, OF_TRADES
from engine.metrics import METRICS
from engine.sections import TIES

SOURCES = ("exchange", "broker", "estimate")  # of margins
DATA = (("Market", "text"), ("Source", "text"), ("Quality", ""), ("Coverage", ""), ("Freshness", ""), ("Findings", ""),
        ("Marks", "text"))  # fmt: skip
HAPPENED = (("Event", "text"), ("Market", "text"), ("Times", ""), ("First", "text"), ("Last", "text"))
TOLERANCE, RELATIVE = 1e-6, 1e-12  # DESIGN 4: of the identity [account currency], [share of the profit moved]


def identity(run, columns):
    """Whether profit in contract prices and in adjusted prices agree, as a badge."""
    if program := run.summary.get("program"):
        return f"<p>Imported from {esc(program)}, which tells no contracts: the identity cannot be looked at.</p>"
    residual = run.summary.get("identity_residual")
    moved = abs(columns.cell["amount"]).sum()
    holds = run.summary.get("identity_holds", residual is not None and residual <= max(TOLERANCE, RELATIVE * moved))
    badge = '<span class="badge">holds</span>' if holds else '<span class="badge broken">broken</span>'
    told = "unknown" if residual is None else esc(cents(residual, columns.currency))
    return (
        f"<p>Identity of contract and adjusted prices: {badge} largest residual of a line {told}. Every day's profit "
        f"is counted in the contract that was held and again in the stitched series; both must agree.</p>{trades(run)}"
    )


def trades(run):
    """How the trades, and what is of none, make the change of equity."""
    apart, ledger = run.summary.get("trades_residual"), run.summary.get("ledger", {})
    if apart is None:
        return ""
    of_none = [cause for cause in CAUSES if cause not in OF_TRADES]
    parts = {"trades": sum(ledger[cause] for cause in OF_TRADES)} | {cause: ledger[cause] for cause in of_none}
    currency = run.summary["currency"]
    told = " + ".join(f"{name} {charts.money(amount, currency)}" for name, amount in parts.items() if amount)
    whole = charts.money(sum(parts.values()), currency)
    return (
        f"<p>Change of equity {whole}{f' = {esc(told)}' if told else ''}. The trades of a line, flat to flat or by "
        f"contract, miss its ledger by {esc(cents(apart, currency))} at most; what foreign money that is kept earns by "
        "its rate (fx) is of no trade.</p>"
    )


def cents(amount, currency):
    """An amount that should be nothing.

    >>> cents(2.1e-9, "USD"), cents(0.0, "USD"), cents(12.5, "EUR")
    ('less than $0.01', '$0.00', '€12.50')
    """
    told = charts.money(max(abs(amount), 0.01) if amount else 0.0, currency, 2)
    return f"less than {told}" if 0.0 < abs(amount) < 0.01 else told


def pairs(title, rows):
    """Names and values below one another."""
    lines = "".join(
        f'<tr><th scope="row" class="text">{esc(name)}</th><td class="text wrap">{esc(value)}</td></tr>'
        for name, value in rows
    )
    return f'<h3>{esc(title)}</h3><table class="pairs"><tbody>{lines}</tbody></table>' if lines else ""


def numbers(metrics, currency):
    """All numbers of the whole run, whatever is picked."""
    parts = []
    for name in [name for name in METRICS if name in metrics] + [name for name in metrics if name not in METRICS]:
        value, metric = metrics[name], METRICS.get(name)
        kind, label, meaning = (metric.format, metric.label, metric.doc) if metric else ("ratio", name, "")
        parts.append(tile(label, charts.formatted(value, kind, currency), meaning))
    return f'<h3>Numbers of the whole run</h3><dl class="strip">{"".join(parts)}</dl>'


def events(groups):
    """What happened besides trading, by kind and market, the rarest kind first."""
    if not groups:
        return '<h3>Events</h3><p class="note">None: no margin call, no forced close.</p>'
    lines = "".join(
        f'<tr><th scope="row" class="text">{esc(row["kind"])}</th><td class="text">{esc(row["market"] or "account")}'
        f'</td><td>{charts.number(row["count"])}</td><td class="text">{esc(row["first"])}</td>'
        f'<td class="text">{esc(row["last"])}</td></tr>'
        for row in groups
    )
    heads = "".join(f'<th scope="col" class="{kind}">{name}</th>' for name, kind in HAPPENED)
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>"
    told = "Each one, with what was wanted and what allowed, is in events.csv: frontmonth report RUN --out DIR/"
    return f'<h3>Events</h3><p class="note">{told}</p><div class="scroll">{table}</div>'


def trust(summary, currency):
    """How far the numbers can be believed: stamps, margin days, ambiguous bars, what more trading may cost."""
    rows = [("Not as traded", stamp) for stamp in summary.get("stamps", [])]
    if days := summary.get("margin_days"):
        told = ", ".join(f"{name} {charts.number(days[name])}" for name in SOURCES)
        rows.append(("Margins, market-days", told))
    if found := summary.get("ambiguous"):
        rows.append(("Ambiguous bars", ambiguity(found, currency)))
    ticks = {name: value for name, value in summary.get("break_even_ticks", {}).items() if value is not None}
    if ticks:
        told = ", ".join(f"{name} {charts.number(value, 2)}" for name, value in ticks.items())
        rows.append(("Break-even, ticks a side more", told))
    capital = sorted((value, name) for name, value in summary.get("smallest_account", {}).items() if value)
    if days := {name: day for name, day in summary.get("smallest_account_day", {}).items() if day}:
        last = max(days.values())
        own = {name: "" if day == last else f" ({day})" for name, day in days.items()}  # its last size is an older one
        told = ", ".join(f"{name} {charts.money(value, currency)}{own.get(name, '')}" for value, name in capital)
        rows.append(("Smallest account", f"for one contract, as sized last ({last}): {told}"))
    return rows


def ambiguity(found, currency):
    """Bars whose inside could be told in two ways, and what each way would have made of the account."""
    told = f"{charts.number(found['bars'])} bars in {charts.number(found['trades'])} trades"
    told += f" ({charts.percent(found['share'])})" if found["trades"] else ""
    policies = found["policies"]
    ends = [f"{name} {charts.money(policies[name]['final_equity'], currency)}" for name in TIES if policies.get(name)]
    return told + (f"; equity at the end: {', '.join(ends)}" if ends else "")


def data(rows):
    """Where each market's prices come from and how good they are; proxies and filled rows are marked."""
    if not rows:
        return ""
    lines = "".join(_market(root, told, told.get("quality") or {}) for root, told in rows.items())
    heads = "".join(f'<th scope="col" class="{kind}">{name}</th>' for name, kind in DATA)
    told = "Quality is coverage × freshness × the share of days without an open finding, as of the last day of the run."
    if any((each.get("quality") or {}).get("score") is None for each in rows.values()):
        told += " Unknown until frontmonth check has looked at a market."
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>"
    return f'<h3>Data</h3><p class="note">{told}</p><div class="scroll">{table}</div>'


def _market(root, told, quality):
    marks = []
    if told.get("proxy_days"):
        marks.append(
            f'<span class="badge mark">{counted(told["proxy_days"], "proxy day")} of {esc(told["proxy"])}</span>'
        )
    if told.get("filled"):
        marks.append(f'<span class="badge mark">{counted(told["filled"], "row")} filled</span>')
    numbers = "".join(
        f"<td>{_share(quality.get(part))}</td>" for part in ("score", "coverage", "freshness", "findings")
    )
    words = f'<td class="text">{esc(told.get("source", ""))}</td>'
    head, last = f'<th scope="row" class="text">{esc(root)}</th>', f'<td class="text wrap">{" ".join(marks)}</td>'
    return f"<tr>{head}{words}{numbers}{last}</tr>"


def _share(value):
    return "" if value is None else charts.percent(value, 2)


def origin(run):
    """Id, dates, markets, hashes."""
    summary = run.summary
    rows = [("Run", run.id), ("Portfolio", run.name)]
    rows += [("Note", run.note)] if run.note else []
    rows += [("Imported from", summary["program"])] if summary.get("program") else []
    rows += [("Days", f"{summary.get('start', '')} to {summary.get('end', '')}")]
    rows += [("Markets", ", ".join(summary.get("markets", [])))]
    rows += [("Prices", "simulated" if run.simulated else "as imported")]
    rows += [(f"Hash of {name}", value) for name, value in summary.get("hashes", {}).items()]
    notes = summary.get("notes", [])
    return rows + [("Note of the engine", note) for note in ([notes] if isinstance(notes, str) else notes)]


class About(View):
    """What went into the run and what was odd in it; no selection changes it."""

    title = "About this run"
    saves = ("csv",)

    def draw(self, columns):
        """One block of words."""
        run, block = columns.run, charts.words()
        toml = f"<h3>Portfolio</h3><pre>{esc(run.portfolio.to_toml())}</pre>"
        block.text = (
            identity(run, columns)
            + numbers(run.metrics(), columns.currency)
            + pairs("How far to believe it", trust(run.summary, columns.currency))
            + pairs("Origin", origin(run))
            + data(run.summary.get("data", {}))
            + events(run.event_groups())
            + toml
        )
        return block, {}
