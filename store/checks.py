"""Sense of stored series: what a row alone cannot show. Nothing is changed; everything strange becomes a finding.

Each rule is a function of one market's bars, sorted by contract and day, with the columns `price` (settlement, else
close), `move` (change from the contract's bar before), `scale` (its usual size, from earlier bars only), `crowd`
(median move of the day over the chain) and `usual_volume`; it gives the rows at fault.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import polars as pl

from store import days
from store.contracts import Master, last_trade
from store.tables import TABLES

UNITS = 8.0  # a move of more usual moves is a spike: pysystemtrade refuses an update at 8
STALE = 5  # equal bars in a row with volume
SLIPS = (0.001, 0.01, 0.1, 10.0, 100.0, 1000.0)  # cents for dollars, eighths, yen per 100


@dataclass(frozen=True)
class Check:
    """A named rule over a series; `find(bars, spec)` gives rows with `contract`, `day`, `field`, `value`, `reason`."""

    name: str
    severity: str
    find: object


def run(archive, roots, progress=None):
    """Check the stored bars of `roots`; replaces their stored findings and returns all of them.

    Returns
    -------
    polars.DataFrame
        Columns of the table `findings`, by market, rule, day.
    """
    master = Master.load(archive.path)
    found = []
    for done, root in enumerate(roots):
        if progress:
            progress(done, len(roots), root)
        for source in sorted({s.labels["source"] for s in archive.files("contract_bars", root=root)}):
            bars = archive.read("contract_bars", root=root, source=source)
            found.append(market(bars, master.spec(root) if root in master.roots else None))
    findings = pl.concat([TABLES["findings"].empty(), *found]).sort("root", "rule", "day", "contract", "id")
    _store(archive, roots, findings)
    return findings


def market(bars, spec):
    """Findings on the bars of one market and source; `spec` is None for a market the master does not know."""
    if bars.is_empty():
        return TABLES["findings"].empty()
    prepared = _prepare(bars)
    parts = [_findings(check, check.find(prepared, spec), bars) for check in CHECKS]
    return pl.concat(parts)


def quality(archive, roots):
    """Share of each market's stored rows without a stored finding, 0 to 1; None where it was never checked."""
    findings = archive.read("findings", columns=["root", "contract", "day"])
    checked = {s.labels["root"] for s in archive.files("findings")}
    rows = {root: sum(s.rows for s in archive.files("contract_bars", root=root)) for root in roots}
    flagged = dict(findings.unique().group_by("root").len().iter_rows())
    return {r: 1.0 - min(flagged.get(r, 0), rows[r]) / rows[r] if r in checked and rows[r] else None for r in roots}


def _store(archive, roots, findings):
    old = [s for root in roots for s in archive.files("findings", root=root)]
    add = [archive.write("findings", findings.filter(pl.col("root") == root), root=root) for root in roots]
    archive.commit(add, [s.path for s in old], note=f"check {len(roots)} markets: {findings.height} findings")


def _prepare(bars):
    price = pl.coalesce("settle", "close")
    bars = bars.sort("contract", "day").with_columns(price.alias("price"))
    bars = bars.with_columns(pl.col("price").diff().over("contract").alias("move"))
    size = pl.col("move").abs()
    usual = size.rolling_median(60, min_samples=10).shift(1).over("contract")
    crowd = pl.col("move").median().over("day")
    peers = pl.col("move").count().over("day")
    volume = pl.col("volume").rolling_median(20, min_samples=5).shift(1).over("contract")
    return bars.with_columns(
        (1.4826 * usual).alias("scale"), crowd.alias("crowd"), peers.alias("peers"), volume.alias("usual_volume")
    )


def _pick(frame, field, reason):
    return frame.select(
        "contract",
        "day",
        pl.lit(field).alias("field"),
        pl.format("{}", pl.col("price" if field == "settle" else field)).alias("value"),
        reason.alias("reason"),
    )


def _spike(bars, spec):
    alone = pl.col("move") - pl.when(pl.col("peers") >= 3).then("crowd").otherwise(0.0)
    back = pl.col("move").shift(-1).over("contract")
    reverts = (back * pl.col("move") < 0) & (back.abs() > 0.5 * pl.col("move").abs())
    floor = 4 * (spec.tick if spec else 0.0)
    odd = (alone.abs() > UNITS * pl.col("scale")) & (alone.abs() > floor) & (pl.col("scale") > 0)
    rows = bars.filter(odd & reverts & ~_slipped())
    reason = pl.format("moved {} and back, {} usual moves; the chain moved {}", pl.col("move").round(6),
                       (alone.abs() / pl.col("scale")).round(1), pl.col("crowd").round(6))  # fmt: skip
    return _pick(rows, "settle", reason)


def _slipped():
    before = pl.col("price").shift(1).over("contract")
    ratio = pl.col("price") / before
    return pl.any_horizontal((ratio / slip - 1.0).abs() < 0.2 for slip in SLIPS).fill_null(False) & (
        before.abs() > 1e-12
    )


def _unit(bars, spec):
    rows = bars.with_columns(
        (pl.col("price") / pl.col("price").shift(1).over("contract")).alias("ratio"), _slipped().alias("slip")
    )
    return _pick(rows.filter("slip"), "settle", pl.format("price is {} times the day before", pl.col("ratio").round(4)))


def _stale(bars, spec):
    same = (pl.col("move") == 0) & (pl.col("volume") > 0) & (pl.col("high") == pl.col("high").shift(1).over("contract"))
    streak = bars.with_columns(same.fill_null(False).alias("same"))
    streak = streak.with_columns(pl.col("same").rle_id().over("contract").alias("streak"))
    rows = streak.filter("same").group_by("contract", "streak").agg(
        pl.len().alias("bars"), pl.col("day").min(), pl.col("price").first()
    )  # fmt: skip
    rows = rows.filter(pl.col("bars") >= STALE - 1)
    return _pick(rows, "settle", pl.format("the same prices on {} days with volume", pl.col("bars") + 1))


def _outside(bars, spec):
    rows = bars.filter((pl.col("settle") > pl.col("high")) | (pl.col("settle") < pl.col("low")))
    return _pick(rows, "settle", pl.format("outside {} to {}", "low", "high"))


def _silent(bars, spec):
    known = bars.filter(pl.col("volume") > 0)["day"].min()
    rows = bars.filter((pl.col("volume") == 0) & (pl.col("high") > pl.col("low")) & (pl.col("usual_volume") > 100))
    rows = rows.filter(pl.col("day") >= known) if known else rows.clear()
    return _pick(rows, "volume", pl.format("no volume on a day with a range; usually {}", pl.col("usual_volume")))


def _late(bars, spec):
    if spec is None:
        return _pick(bars.clear(), "day", pl.lit(""))
    ends = {c: last_trade(spec, c) for c in bars["contract"].unique()}
    end = pl.col("contract").replace_strict(ends, default=None, return_dtype=pl.Date)
    rows = bars.with_columns(end.alias("end")).filter(pl.col("day") > pl.col("end"))
    return _pick(rows, "day", pl.format("after the last trading day {}", "end"))


def _holiday(bars, spec):
    if spec is None:
        return _pick(bars.clear(), "day", pl.lit(""))
    sessions = np.is_busday(bars["day"].to_numpy(), busdaycal=days.calendar(spec.calendar))
    rows = bars.filter(pl.Series(~sessions) & (pl.col("volume") > 0))
    return _pick(rows, "day", pl.format("{} traded on a day without a session", "volume"))


def _gap(bars, spec):
    sessions = bars.filter(pl.col("volume").is_null() | (pl.col("volume") > 0))["day"].unique().sort()
    number = pl.DataFrame({"day": sessions, "session": np.arange(len(sessions))})
    rows = bars.join(number, on="day").sort("contract", "day")
    missing = (pl.col("session").diff().over("contract") - 1).alias("missing")
    rows = rows.with_columns(missing).filter((pl.col("missing") > 0) & (pl.col("usual_volume") > 100))
    return _pick(rows, "day", pl.format("{} sessions of the market missing before it", "missing"))


def _absent(bars, spec):
    if spec is None:
        return _pick(bars.clear(), "day", pl.lit(""))
    held = {"FGHJKMNQUVXZ".index(letter) + 1 for letter in spec.held_months}
    have = set(bars["contract"].to_list())
    first, last = min(have), max(have)
    months = (y * 100 + m for y in range(first // 100, last // 100 + 1) for m in sorted(held))
    lacking = [c for c in months if first < c < last and c not in have]
    rows = pl.DataFrame(
        {"contract": pl.Series(lacking, dtype=pl.Int32), "day": pl.Series([None] * len(lacking), dtype=pl.Date)}
    )
    empty = pl.lit(None, pl.String)
    return rows.select("contract", "day", pl.lit("contract").alias("field"), empty.alias("value"),
                       pl.lit("no bars of a contract of the held cycle").alias("reason"))  # fmt: skip


CHECKS = (
    Check("unit_slip", "refuse", _unit),
    Check("spike", "warn", _spike),
    Check("stale", "warn", _stale),
    Check("settle_outside", "warn", _outside),
    Check("no_volume", "warn", _silent),
    Check("after_last_trade", "warn", _late),
    Check("no_session", "warn", _holiday),
    Check("gap", "warn", _gap),
    Check("missing_contract", "warn", _absent),
)


def _findings(check, rows, bars):
    source, root = bars["source"][0], bars["root"][0]
    ids = [
        hashlib.sha256(f"{check.name}|{source}|{root}|{contract}|{day}|{field}".encode()).hexdigest()[:12]
        for contract, day, field in rows.select("contract", "day", "field").iter_rows()
    ]
    frame = rows.with_columns(
        pl.Series("id", ids, dtype=pl.String), pl.lit(check.name).alias("rule"), pl.lit(check.severity).alias("severity"),
        pl.lit(source).alias("source"), pl.lit(root).alias("root"), pl.lit("kept; decide").alias("done"),
    )  # fmt: skip
    return TABLES["findings"].conform(frame)
