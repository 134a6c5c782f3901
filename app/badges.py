"""Badges: whether a run's data are good and its sums agree, in a few words that stand at the top of every page.

Rules:

1. *Data quality* is the mean of the scores that the run's markets had (`store.quality`) as of its last day; it is not
   good below 90 %, or with a market whose data were refused.
2. A run *adds up to the cent* where its ledger makes the change of its equity, and its trades make the ledger.
3. Its profit is *told twice alike* where contract prices and adjusted prices agree (DESIGN 4).
4. What was not looked at is said to be unknown: neither good nor bad.
"""

from statistics import fmean
from typing import NamedTuple

from app import charts
from app.commands.output import counted

GOOD = 0.9  # least mean score of data
CENT = 0.005  # what is no cent [account currency]
TOLERANCE = 1e-6  # of an identity that the run itself did not judge [account currency]
SHORT = 8  # letters of a hash


class Badge(NamedTuple):
    """A few words, what they mean, and whether that is good; None: it is neither."""

    words: str
    meaning: str
    good: bool | None


def badges(run):
    """The badges of a run, in the order in which they stand."""
    return [found for found in (quality(run), cent(run), twice(run), inputs(run)) if found]


def quality(run):
    """How good the data were; None for a run that does not tell its markets."""
    markets = run.summary.get("data", {})
    scores = {root: (told.get("quality") or {}).get("score") for root, told in markets.items()}
    known = {root: score for root, score in scores.items() if score is not None}
    if not markets:
        return None
    if not known:
        return Badge("Data quality unknown", "frontmonth check has not looked at the prices of this run.", None)
    mean, weakest = fmean(known.values()), min(known, key=known.get)
    unknown = f"; not looked at: {', '.join(sorted(set(scores) - set(known)))}" if len(known) < len(scores) else ""
    meaning = (
        f"Mean of {counted(len(known), 'market')} on the run's last day, "
        f"weakest {weakest} {charts.percent(known[weakest])}{unknown}. "
        "Quality is coverage × freshness × the share of days without an open finding."
    )
    return Badge(f"Data quality {charts.percent(mean, 0)}", meaning, mean >= GOOD and known[weakest] > 0.0)


def cent(run):
    """Whether ledger, equity and trades agree."""
    summary = run.summary
    apart, ledger, end = (summary.get(name) for name in ("trades_residual", "ledger", "metrics"))
    end = (end or {}).get("final_equity")
    if apart is None or not ledger or end is None:
        return Badge("Sums unknown", "This run does not tell how its ledger, its trades and its equity agree.", None)
    gap = abs(sum(ledger.values()) - (end - run.portfolio.capital))
    worst = max(gap, apart)
    if worst < CENT:
        meaning = "The causes of the ledger make the change of equity, and the trades of every line make its ledger."
        return Badge("Adds up to the cent", f"{meaning} Nothing misses by more than {worst:.1e}.", True)
    currency = summary.get("currency", run.portfolio.currency)
    meaning = (
        f"The ledger misses the change of equity by {charts.money(gap, currency, 2)}, "
        f"trades miss the ledger of their line by {charts.money(apart, currency, 2)} at most."
    )
    return Badge(f"Off by {charts.money(worst, currency, 2)}", meaning, False)


def twice(run):
    """Whether contract prices and adjusted prices tell one profit."""
    summary = run.summary
    residual = summary.get("identity_residual")
    if summary.get("program") or residual is None:
        return Badge("Told once", "This run tells no contracts: its profit cannot be counted in two ways.", None)
    holds = summary.get("identity_holds", residual <= TOLERANCE)
    meaning = (
        "Profit is counted in the contract that was held and again in the stitched series; "
        f"the line that is furthest apart differs by {residual:.1e}."
    )
    return Badge("Told twice alike" if holds else "Told twice, not alike", meaning, bool(holds))


def inputs(run):
    """What went in, by its hash; None where there is none."""
    hashes = run.summary.get("hashes", {})
    if not hashes.get("data"):
        return None
    told = ", ".join(f"{name} {value[:SHORT]}" for name, value in hashes.items())
    snapshot = run.summary.get("snapshot")
    of = f"snapshot {snapshot} of the store; " if snapshot is not None else ""
    span = (
        f"{run.summary.get('start', '')} to {run.summary.get('end', '')}, {len(run.summary.get('markets', []))} markets"
    )
    return Badge(f"Inputs {hashes['data'][:SHORT]}", f"{span}; {of}hashes: {told}", None)
