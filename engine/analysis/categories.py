"""Categories of trades: what became of each, by named rules; the first rule that fits in the order of RULES is it.

So that every trade is in exactly one category, and none is left out: what no rule fits is `other`, and counted too.
"""

import numpy as np
import polars as pl

CENT = 0.005  # half of one, less than which a trade has neither won nor lost [account currency]
LONG = 20  # bars that a trade is held at most and still was a short one [bars]
RULES = {
    "open": "not over when the run ended",
    "margin-cut": "a margin call or the capital floor sold some or all of it",
    "contract ended": "its contract, or that of another leg, could not be traded any more",
    "stopped": "a protective or trailing stop ended it at a loss",
    "target": "its target ended it",
    "cost-eaten": "earned before costs, and nothing after them",
    "roll-only": "won, but not without what the roll yield paid",
    "trend winner": f"won, held for more than {LONG} bars",
    "quick winner": f"won, held for at most {LONG} bars",
    "whipsaw": f"lost: the signal that began it was taken back within {LONG} bars",
    "slow loser": f"lost, held for more than {LONG} bars",
    "other": "what no rule fits",
}
CATEGORY = {"trade": pl.Int64, "category": pl.String}  # by number of the trade
CATEGORIES = {
    "category": pl.String,  # of RULES, those that have a trade
    "trades": pl.Int64,
    "share": pl.Float64,  # of all trades [1]
    "net": pl.Float64,  # [account currency]
    "mean": pl.Float64,  # net of a trade [account currency]
    "roll_yield": pl.Float64,  # part of the net; null where no curve is known [account currency]
    "costs": pl.Float64,  # [account currency]
    "bars": pl.Float64,  # held, mean [bars]
    "rule": pl.String,  # in words
}


def categories(told):
    """How many trades of each category there are, and what they made.

    Parameters
    ----------
    told : Attribution

    Returns
    -------
    polars.DataFrame
        `CATEGORIES`, in the order of the rules; the sums are those of all trades.
    """
    trades, known = told.parts.trades, told.curved
    by_cause, names = told.by_trade(), list(told.parts.causes)
    yields = by_cause[:, names.index("roll_yield")]
    frame = trades.select("trade", "net", "costs", "bars").with_columns(
        roll_yield=pl.Series(yields, dtype=pl.Float64) if known else pl.lit(None, pl.Float64)
    )
    frame = frame.join(category(told), on="trade")
    order = pl.Enum(list(RULES))
    found = frame.group_by(pl.col("category").cast(order)).agg(
        trades=pl.len().cast(pl.Int64), share=pl.len() / max(len(trades), 1), net=pl.col("net").sum(),
        mean=pl.col("net").mean(), roll_yield=pl.col("roll_yield").sum() if known else pl.lit(None, pl.Float64),
        costs=pl.col("costs").sum(), bars=pl.col("bars").mean(),
    )  # fmt: skip
    found = found.sort("category").with_columns(pl.col("category").cast(pl.String))
    return found.with_columns(rule=pl.col("category").replace_strict(RULES, return_dtype=pl.String)).cast(CATEGORIES)


def category(told):
    """The category of each trade: a frame of `CATEGORY`, by number.

    Parameters
    ----------
    told : Attribution
        Without a curve no trade is `roll-only`: what the roll yield paid is not known.
    """
    trades, names = told.parts.trades, list(told.parts.causes)
    by_cause = told.by_trade()
    net, bars = trades["net"].to_numpy(), trades["bars"].to_numpy()
    why = trades["exit_reason"].cast(pl.String).fill_null("").to_numpy()
    gross, won, lost = trades["gross"].to_numpy(), net >= CENT, net <= -CENT
    roll_yield = by_cause[:, names.index("roll_yield")]
    fits = {
        "open": trades["open"].to_numpy(),
        "margin-cut": told.parts.cut,
        "contract ended": np.isin(why, ("closed", "spread broken")),
        "stopped": np.isin(why, ("stop", "trailing stop")) & lost,
        "target": why == "target",
        "cost-eaten": (gross >= CENT) & ~won,
        "roll-only": won & (net - roll_yield < CENT),
        "trend winner": won & (bars > LONG),
        "quick winner": won,
        "whipsaw": lost & (bars <= LONG) & (why == "signal"),
        "slow loser": lost & (bars > LONG),
    }
    found = np.select(list(fits.values()), list(fits), "other")
    return pl.DataFrame({"trade": trades["trade"], "category": found.tolist()}, schema=CATEGORY).sort("trade")
