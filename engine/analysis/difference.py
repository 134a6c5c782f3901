r"""What the difference in profit of two runs is made of: selection, sizing, timing, costs; they sum to it exactly.

Market by market, on the days that both runs have, with G what a run earned before costs (`price` and `roll_gap`), s the
contracts that it held on the mean of these days (of all strategies, longs and shorts counted alike), k = G / s:

- **selection**: of a market that only one of them held, its G (less, if it was the first run that held it);
- **sizing**: of a market that both held, :math:`(s_2 - s_1) (k_1 + k_2) / 2`: more or fewer contracts, at the mean of
  what each contract earned;
- **timing**: :math:`(k_2 - k_1) (s_1 + s_2) / 2`: the contracts were there on other days, or on the other side. The two
  are G2 - G1. Of a market that one of them traded but held over no close (s = 0) all is timing;
- **cost**: slippage, impact and commission, of rolls too;
- **other**: interest, exchange of foreign money that is kept, fees, money paid in or out;
- **period**: all of the days that only one of the runs has.

Source: the split is Brinson, Hood and Beebower, "Determinants of Portfolio Performance", Financial Analysts Journal 42
(1986), with their interaction shared by halves (the midpoint of both runs in place of the first), so that neither run
is the benchmark: exchange the runs and every part changes its sign.
"""

import numpy as np
import polars as pl

PARTS = ("selection", "sizing", "timing", "cost", "other", "period")
DIFFERENCE = {
    "market": pl.String,  # the account last: what belongs to no market
    **dict.fromkeys(PARTS, pl.Float64),  # see above [account currency]
    "total": pl.Float64,  # their sum: profit of the second run less that of the first [account currency]
    "contracts_1": pl.Float64,  # held on the mean of the days that both have, s [contracts]
    "contracts_2": pl.Float64,
    "earned_1": pl.Float64,  # before costs on these days, G [account currency]
    "earned_2": pl.Float64,
}
ACCOUNT = "account"
GROSS = ("price", "roll_gap")
COSTS = ("slippage", "impact", "commission", "roll_slippage", "roll_impact", "roll_commission")


class NotComparable(ValueError):
    """Two runs whose profits cannot be compared."""


def difference(first, second):
    """The parts of what the second run earned more than the first, market by market.

    Parameters
    ----------
    first, second : RunResult

    Returns
    -------
    polars.DataFrame
        `DIFFERENCE`: a row a market that either run has money of, by name, and the account's. The column `total` sums
        to the difference of the changes of equity.

    Raises
    ------
    NotComparable
        The accounts are in different currencies.
    """
    currencies = [run.summary["currency"] for run in (first, second)]
    if currencies[0] != currencies[1]:
        raise NotComparable(
            f"run {first.id} is in {currencies[0]}, run {second.id} in {currencies[1]}; run one of them with "
            f"--set portfolio.currency={currencies[0]}"
        )
    common = _days(first).filter(_days(first).is_in(_days(second).implode()))
    one, other = _sums(first, common), _sums(second, common)
    joined = one.join(other, on="market", how="full", coalesce=True, suffix="_2").fill_null(0.0)
    parts = split(*(joined[name].to_numpy() for name in ("size", "size_2", "gross", "gross_2")))
    told = joined.select("market", **{name: pl.col(f"{name}_2") - pl.col(name) for name in ("cost", "other", "period")})
    told = told.with_columns(**{name: pl.Series(part, dtype=pl.Float64) for name, part in parts.items()})
    told = told.with_columns(
        total=pl.sum_horizontal(PARTS), contracts_1=joined["size"], contracts_2=joined["size_2"],
        earned_1=joined["gross"], earned_2=joined["gross_2"],
    )  # fmt: skip
    return told.select(*DIFFERENCE).cast(DIFFERENCE).sort(pl.col("market") == ACCOUNT, "market")


def split(size_1, size_2, gross_1, gross_2):
    """Selection, sizing and timing of what was earned before costs; arrays (market,).

    Two contracts earned 200, 100 each; three earned 450, 150 each: one contract more at the mean of 125, and 50 a
    contract more of the mean of 2.5. The second market was held by the first run alone.

    >>> parts = split(*(np.array(x) for x in ([2.0, 1.0], [3.0, 0.0], [200.0, 80.0], [450.0, 0.0])))
    >>> {name: part.tolist() for name, part in parts.items()}
    {'selection': [0.0, -80.0], 'sizing': [125.0, 0.0], 'timing': [125.0, 0.0]}
    """
    held = [(size > 0.0) | (gross != 0.0) for size, gross in ((size_1, gross_1), (size_2, gross_2))]
    both, sized = held[0] & held[1], (size_1 > 0.0) & (size_2 > 0.0)
    each = [
        np.divide(gross, size, out=np.zeros(len(size)), where=size > 0.0)
        for size, gross in ((size_1, gross_1), (size_2, gross_2))
    ]
    sizing = np.where(sized, (size_2 - size_1) * (each[0] + each[1]) / 2.0, 0.0)
    change = gross_2 - gross_1
    return {
        "selection": np.where(both, 0.0, change),
        "sizing": sizing,
        "timing": np.where(both, change - sizing, 0.0),
    }


def _days(run):
    return run.equity()["day"][1:]


def _sums(run, common):
    """market, gross, cost, other (on the common days), period (the other days), size."""
    ledger = run.ledger().select(
        "amount", pl.col("market").cast(pl.String).replace("", ACCOUNT), pl.col("cause").cast(pl.String),
        inside=pl.col("day").is_in(common.implode()),
    )  # fmt: skip
    kind = pl.when(~pl.col("inside")).then(pl.lit("period")).when(pl.col("cause").is_in(GROSS)).then(pl.lit("gross"))
    kind = kind.when(pl.col("cause").is_in(COSTS)).then(pl.lit("cost")).otherwise(pl.lit("other"))
    amount = pl.col("amount")
    sums = ledger.with_columns(kind=kind).group_by("market").agg(
        **{name: amount.filter(pl.col("kind") == name).sum() for name in ("gross", "cost", "other", "period")}
    )  # fmt: skip
    line = ["line"] if "line" in run.positions().columns else ["strategy"]
    held = run.positions().filter(pl.col("day").is_in(common.implode())).with_columns(pl.col("market").cast(pl.String))
    held = held.group_by("day", "market", *line).agg(pl.col("contracts").sum().abs())
    sizes = held.group_by("market").agg(size=pl.col("contracts").sum() / max(len(common), 1))
    return sums.join(sizes, on="market", how="full", coalesce=True).fill_null(0.0)
