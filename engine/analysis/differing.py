"""What differs between two runs: which inputs, key by key, and which trades, with what they made of the profit."""

import json

import polars as pl

from engine.analysis.daily import by_market

INPUTS = {
    "input": pl.String,  # data, rolls, facts, params, costs, sizing, limits, ..., code, result
    "key": pl.String,  # setting, or what was compared
    "first": pl.String,  # what it is in the first run; null: it has none
    "second": pl.String,
}
OURS = "frontmonth"  # the program, where another one made a run
GROUPS = {"portfolio": "account", "strategies": "params", "sizing": "params", "spreads": "params"}  # section -> input
TRADES = {
    "market": pl.String,
    "strategy": pl.String,
    "entry_day": pl.Date,
    "differs": pl.String,  # of KINDS
    "contracts_1": pl.Float64,  # signed; null: the first run has no such trade [contracts]
    "contracts_2": pl.Float64,
    "exit_day_1": pl.Date,
    "exit_day_2": pl.Date,
    "exit_reason_1": pl.String,
    "exit_reason_2": pl.String,
    "net_1": pl.Float64,  # after costs [account currency]
    "net_2": pl.Float64,
    "difference": pl.Float64,  # net of the second less that of the first, none counts as 0 [account currency]
}
KINDS = ("only in the first", "only in the second", "side", "size and exit", "size", "exit", "money", "nothing")
SUMMARY = {
    "differs": pl.String,
    "trades": pl.Int32,
    "net_1": pl.Float64,  # [account currency]
    "net_2": pl.Float64,
    "difference": pl.Float64,  # sums to what the trades of the second run made more [account currency]
}
KEYS = ["market", "strategy", "entry_day", "number"]


def inputs(first, second):
    """The inputs in which two runs differ, and every setting that is another one.

    Parameters
    ----------
    first, second : RunResult

    Returns
    -------
    DataFrame
        Columns INPUTS; no row where both were made of the same. Hashes are told by their first 12 digits. A portfolio
        whose hash alone is another one had another table of costs, or another file of the user's own strategies. Other
        rolls hold other bars: of the same snapshot, days and markets that is no difference of data.
    """
    was, now = first.summary["hashes"], second.summary["hashes"]
    rows = [
        (name, "hash", *(_short(hashes.get(name)) for hashes in (was, now)))
        for name in sorted(set(was) | set(now))
        if name not in ("portfolio", "result") and was.get(name) != now.get(name)
    ]
    beside = _told(first.summary, second.summary)
    if not beside and first.summary.get("snapshot") and was.get("rolls") != now.get("rolls"):
        rows = [row for row in rows if row[0] != "data"]  # other rolls hold other bars of the same stored data
    rows += beside
    programs = [run.summary.get("program") for run in (first, second)]
    told = [{"program": one or OURS} for one in programs] if any(programs) else [_flat(first), _flat(second)]
    keys = [key for key in dict.fromkeys([*told[0], *told[1]]) if told[0].get(key) != told[1].get(key)]
    rows += [(_group(key), key, told[0].get(key), told[1].get(key)) for key in keys if key != "portfolio.name"]
    if not keys and was.get("portfolio") != now.get("portfolio"):
        own = "costs.toml, or a file of strategies beside the store"
        rows.append(("costs or code", own, _short(was.get("portfolio")), _short(now.get("portfolio"))))
    return pl.DataFrame(rows, schema=INPUTS, orient="row")


def trades(first, second):
    """The trades of two runs side by side, those that match in one row.

    Parameters
    ----------
    first, second : RunResult

    Returns
    -------
    DataFrame
        Columns TRADES, a row a trade of either; the one that differs by most money first. Sides are compared before
        sizes, sizes and exits (day or reason) before money; with the same in all of these but prices or costs a trade
        differs in money, from a hundredth of the currency on.
    """
    one, two = (_listed(run.trades()) for run in (first, second))
    both = one.join(two, on=KEYS, how="full", coalesce=True, suffix="_2")
    both = both.rename({name: f"{name}_1" for name in ("contracts", "exit_day", "exit_reason", "net")})
    difference = pl.col("net_2").fill_null(0.0) - pl.col("net_1").fill_null(0.0)
    found = both.with_columns(difference=difference).with_columns(differs=_kind())
    order = pl.col("difference").abs()
    return found.sort(order, *KEYS, descending=[True, *[False] * 4]).select(*TRADES).cast(TRADES)


def summary(found):
    """How many trades differ in what, and the money of it, of `trades`; columns SUMMARY."""
    sums = found.group_by("differs").agg(pl.len().alias("trades"), pl.col("net_1", "net_2", "difference").sum())
    order = pl.col("differs").replace_strict({kind: k for k, kind in enumerate(KINDS)}, return_dtype=pl.Int32)
    return sums.sort(order).select(*SUMMARY).cast(SUMMARY)


def _kind():
    """The expression that says in what two matched trades differ."""
    one, two = pl.col("contracts_1"), pl.col("contracts_2")
    exits = (pl.col("exit_day_1") != pl.col("exit_day_2")) | (pl.col("exit_reason_1") != pl.col("exit_reason_2"))
    sized = one != two
    kind = pl.when(two.is_null()).then(pl.lit(KINDS[0])).when(one.is_null()).then(pl.lit(KINDS[1]))
    kind = kind.when(one.sign() != two.sign()).then(pl.lit(KINDS[2])).when(sized & exits).then(pl.lit(KINDS[3]))
    kind = kind.when(sized).then(pl.lit(KINDS[4])).when(exits).then(pl.lit(KINDS[5]))
    return kind.when(pl.col("difference").abs() >= 0.005).then(pl.lit(KINDS[6])).otherwise(pl.lit(KINDS[7]))


def _listed(frame):
    """The trades of a run with the keys by which they match."""
    side = pl.when(pl.col("direction") == "short").then(-1.0).otherwise(1.0)
    day = ("market", "strategy", "entry_day")
    frame = by_market(frame).sort("trade").with_columns(pl.col("market", "strategy", "exit_reason").cast(pl.String))
    frame = frame.with_columns(number=pl.int_range(pl.len()).over(*day), contracts=pl.col("contracts") * side)
    return frame.select(*KEYS, "contracts", "exit_day", "exit_reason", "net")


def _told(one, two):
    """What the summaries say of other data: snapshots, markets, days."""
    if one["hashes"].get("data") == two["hashes"].get("data"):
        return []
    numbers = [(summary.get("snapshot") or {}).get("number") for summary in (one, two)]
    rows = [("data", "snapshot", *numbers), ("data", "first day", one["start"], two["start"])]
    rows += [("data", "last day", one["end"], two["end"])]
    alone = [sorted(set(a["markets"]) - set(b["markets"])) for a, b in ((one, two), (two, one))]
    rows += [("data", "markets that only it has", *(", ".join(names) or None for names in alone))]
    return [(what, key, *(None if v is None else str(v) for v in values)) for what, key, *values in rows
            if values[0] != values[1]]  # fmt: skip


def _flat(run):
    """{dotted key: value as text} of a run's portfolio."""
    return dict(_leaves(run.portfolio.document(), ()))


def _leaves(value, path):
    inner = value.items() if isinstance(value, dict) else enumerate(value) if _tables(value) else None
    if inner is None:
        yield ".".join(map(str, path)), json.dumps(value, default=str, ensure_ascii=False)
        return
    for key, one in inner:
        yield from _leaves(one, (*path, key))


def _tables(value):
    return isinstance(value, list) and len(value) > 0 and all(isinstance(one, dict) for one in value)


def _group(key):
    section = key.split(".")[0]
    return GROUPS.get(section, section)


def _short(digest):
    return None if digest is None else digest[:12]
