"""Categories of trades: what became of each, by named rules; the first rule that fits in the order of RULES is it.

So that every trade is in exactly one category, and none is left out: what no rule fits is `other`, and counted too.
"""

import numpy as np
import polars as pl

from engine.analysis.daily import among

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
    column, number = told.parts.of_trades, _numbers(told)
    yields = told.by_trade()[:, told.parts.causes.index("roll_yield")]
    amounts = {name: column(name).cast(pl.Float64).to_numpy() for name in ("net", "costs", "bars")}
    sums = {
        name: np.bincount(number, amount, len(RULES)) for name, amount in (amounts | {"roll_yield": yields}).items()
    }
    count = np.bincount(number, minlength=len(RULES))
    found = pl.DataFrame({"category": list(RULES), "trades": count, "rule": list(RULES.values())} | sums)
    found = found.filter(pl.col("trades") > 0).with_columns(
        share=pl.col("trades") / max(len(number), 1),
        mean=pl.col("net") / pl.col("trades"),
        bars=pl.col("bars") / pl.col("trades"),
        roll_yield=pl.col("roll_yield") if told.curved else pl.lit(None, pl.Float64),
    )
    return found.select(*CATEGORIES).cast(CATEGORIES)


def category(told):
    """The category of each trade: a frame of `CATEGORY`, by number.

    Parameters
    ----------
    told : Attribution
        Without a curve no trade is `roll-only`: what the roll yield paid is not known.
    """
    texts = pl.Series(list(RULES)).gather(_numbers(told))
    return pl.DataFrame({"trade": told.parts.of_trades("trade"), "category": texts}, schema=CATEGORY).sort("trade")


def _numbers(told):
    """Number in RULES of the category of each trade, in the order of `parts.trades`."""
    column = told.parts.of_trades
    net, bars, why = column("net").to_numpy(), column("bars").to_numpy(), column("exit_reason")
    gross, won, lost = column("gross").to_numpy(), net >= CENT, net <= -CENT
    roll_yield = told.by_trade()[:, told.parts.causes.index("roll_yield")]
    fits = {
        "open": column("open").to_numpy(),
        "margin-cut": told.parts.cut,
        "contract ended": among(why, ("closed", "spread broken")),
        "stopped": among(why, ("stop", "trailing stop")) & lost,
        "target": among(why, ("target",)),
        "cost-eaten": (gross >= CENT) & ~won,
        "roll-only": won & (net - roll_yield < CENT),
        "trend winner": won & (bars > LONG),
        "quick winner": won,
        "whipsaw": lost & (bars <= LONG) & among(why, ("signal",)),
        "slow loser": lost & (bars > LONG),
    }
    names = list(RULES)
    return np.select(list(fits.values()), [names.index(name) for name in fits], names.index("other"))
