"""Facts of the days as arrays (time, market): what contracts are, what margins, exchange and interest rates were known.

Each value holds from its own day on and is never carried back: what is not known yet is nan.
"""

from datetime import date

import numpy as np
import polars as pl

EPOCH = date(1970, 1, 1).toordinal()
FOREVER = date.min  # day of a fact that has always held
SAMPLE = "sample"  # source of simulated rows
OWN = "plain"  # source of the user's own margin tables


def dated(master, roots, name, days):
    """A dated fact as an array (time, market): each value from its first day on; nan before the first dated margin."""
    out = np.full((len(days), len(roots)), np.nan)
    for m, root in enumerate(roots):
        facts = master.facts(root, name)
        if not facts:
            continue
        if len(facts) == 1 and (facts[0].valid_from is None or not name.endswith("margin")):
            out[:, m] = float(facts[0].value)
            continue
        since = np.array([(fact.valid_from or FOREVER).toordinal() for fact in facts]) - EPOCH
        value = np.array([float(fact.value) for fact in facts])
        row = np.searchsorted(since, days, side="right") - 1
        earlier = np.nan if name.endswith("margin") else value[0]  # what a contract is, it has been; what it cost, not
        out[:, m] = np.where(row >= 0, value[row.clip(0)], earlier)
    return out


def margins(archive, snapshot, master, roots, days):
    """Both margins (time, market): the exchange's, and from the first day of a stored table on that one's.

    Of several tables the user's own goes last and wins; `own_margin` is true where it does.
    """
    names = {"initial_margin": "initial", "maintenance_margin": "maintenance"}
    out = {name: dated(master, roots, name, days) for name in names}
    own = np.zeros((len(days), len(roots)), bool)
    stored = archive.read("margins", snapshot, root=roots).partition_by("root", as_dict=True)
    for m, root in enumerate(roots):
        if (root,) not in stored:
            continue
        frame = stored[root,].sort("day")
        for source in sorted(set(frame["source"]), key=lambda source: (source == OWN, source)):
            rows = frame.filter(pl.col("source") == source)
            row = np.searchsorted(rows["day"].cast(pl.Int32).to_numpy(), days, side="right") - 1
            for name, column in names.items():
                out[name][:, m] = np.where(row >= 0, rows[column].to_numpy()[row.clip(0)], out[name][:, m])
            own[:, m] |= (row >= 0) & (source == OWN)
    return out | {"own_margin": own}


def exchange(archive, snapshot, days, currencies, account, simulated=False):
    """Rates (time, market) into the account's currency, last published, and their age in days.

    Simulated ones serve only a market that is `simulated`, and only where there are no real ones.
    """
    wanted = sorted({*currencies, account} - {"USD"})
    stored = archive.read("fx", snapshot, currency=wanted).partition_by("currency", as_dict=True) if wanted else {}
    usd = {"USD": (np.ones(len(days)), np.zeros(len(days)))}
    usd |= {c: _published(stored.get((c,)), days, simulated) for c in wanted}
    rate = np.stack([usd[c][0] / usd[account][0] for c in currencies], axis=1)
    age = np.stack([np.maximum(usd[c][1], usd[account][1]) for c in currencies], axis=1)
    same = np.array([c == account for c in currencies])
    rate[:, same], age[:, same] = 1.0, 0
    return np.ascontiguousarray(rate), np.ascontiguousarray(age)


def _published(stored, days, simulated):
    """Rate of a currency in USD on each day, last published, and its age in days; of its stored rows, or None."""
    if stored is None:
        return np.full(len(days), np.nan), np.full(len(days), np.inf)
    frame = _real(stored, simulated)
    frame = frame.drop_nulls("rate") if frame["rate"].null_count() else frame
    published = frame["day"].cast(pl.Int32).to_numpy().astype(np.int64)
    if not (published[1:] > published[:-1]).all():
        frame = frame.sort("day", "source_time", "source").unique("day", keep="last", maintain_order=True)
        published = frame["day"].cast(pl.Int32).to_numpy().astype(np.int64)
    if not len(published):
        return np.full(len(days), np.nan), np.full(len(days), np.inf)
    row = np.searchsorted(published, days, side="right") - 1
    known = row >= 0
    rate = np.where(known, frame["rate"].to_numpy()[row], np.nan)
    return rate, np.where(known, days - published[row], np.inf)


def interest(archive, snapshot, days, currency, simulated=False):
    """Interest on cash (time,), known at the end of the bar; 0 where none is stored. [1/year]"""
    frame = _real(archive.read("rates", snapshot, currency=currency), simulated).drop_nulls("rate").sort("day")
    if frame.is_empty():
        return np.zeros(len(days))
    row = np.searchsorted(frame["day"].cast(pl.Int32).to_numpy(), days, side="right") - 1
    return np.where(row >= 0, frame["rate"].to_numpy()[row], 0.0)


def _real(frame, simulated):
    """The real rows, if there are any or simulated ones may not serve."""
    real = (frame["source"] != SAMPLE).sum()
    return frame if real == len(frame) or (simulated and not real) else frame.filter(pl.col("source") != SAMPLE)
