"""Exchange rates as the store keeps them: US dollars per unit of a currency; other pairs go through the dollar.

A pair is written as its quotation: `EURUSD` dollars per euro, `USDJPY` yen per dollar, `EURGBP` pounds per euro. Rules:

1. A pair with the dollar is the rate itself, or its inverse.
2. A cross gives the currency whose dollar rate is not known (of two known ones the first), by the other's rate of the
   same day. A day on which the other has none is no rate: the row is faulty and says so.
3. A cross of two known currencies can be checked against them: `cross_findings`.
"""

import polars as pl

from store.tables import TABLES

DOLLAR = "USD"
APART = 0.01  # a cross that differs more from its two legs is no fixing of another hour: rates move less in a day
RULE = "fx_cross"


class BadPair(ValueError):
    """A text that is no pair of currencies."""


def legs(pair):
    """The two currencies of a pair, the quoted one last.

    >>> legs("eur/gbp"), legs("USDJPY")
    (('EUR', 'GBP'), ('USD', 'JPY'))
    """
    letters = "".join(letter for letter in str(pair).upper() if letter not in "/_-. ")
    first, second = letters[:3], letters[3:]
    if len(letters) != 6 or not letters.isascii() or not letters.isalpha() or first == second:
        raise BadPair(f"{pair!r} is no pair of currencies: write EURUSD, USDJPY or EURGBP")
    return first, second


def usd_per_unit(pair, frame, known=None):
    """Rates of a pair as dollars per unit of one currency.

    Parameters
    ----------
    pair : str
        As quoted: EURGBP is pounds per euro.
    frame : DataFrame
        Columns `day` and `rate`, and any others, which stay; a column `fault` is filled where a leg lacks.
    known : DataFrame, optional
        Rows of the table `fx` for crosses.

    Returns
    -------
    (str, DataFrame)
        The currency, and the frame with its rate [USD per unit]; null where the other leg has none that day.

    >>> from datetime import date
    >>> yen = pl.DataFrame({"day": [date(2020, 1, 2)], "rate": [125.0]})
    >>> usd_per_unit("USDJPY", yen)[1]["rate"][0]
    0.008
    """
    first, second = legs(pair)
    if second == DOLLAR:
        return first, frame
    if first == DOLLAR:
        return second, frame.with_columns((1.0 / pl.col("rate")).alias("rate"))
    have = set() if known is None else set(known["currency"].unique())
    if not have & {first, second}:
        raise BadPair(f"{first}{second} is a cross: import {first}USD or {second}USD before it")
    lacks_first = second in have
    other = second if lacks_first else first
    joined = frame.join(_of(known, other), on="day", how="left", maintain_order="left")
    rate = pl.col("rate") * pl.col("leg") if lacks_first else pl.col("leg") / pl.col("rate")
    joined = joined.with_columns(rate.alias("rate"), *_told(joined, f"no rate of {other} on that day"))
    return (first if lacks_first else second), joined.drop("leg")


def cross_findings(pair, frame, known, source="", tolerance=APART):
    """Days on which a quoted cross is not what its two dollar rates say, as findings.

    Parameters
    ----------
    pair : str
    frame : DataFrame
        Columns `day` and `rate`, as quoted.
    known : DataFrame
        Rows of the table `fx` with both currencies; days that one of them lacks are not looked at.
    source : str
        Where the cross comes from.
    tolerance : float
        Relative difference that is none. [1]

    Returns
    -------
    DataFrame
        Columns of the table `findings`, severity warn; `root` is the pair.
    """
    first, second = legs(pair)
    both = (
        frame.select("day", "rate")
        .join(_of(known, first).rename({"leg": "one"}), on="day")
        .join(_of(known, second).rename({"leg": "two"}), on="day")
        .with_columns((pl.col("one") / pl.col("two")).alias("implied"))
    )
    off = both.filter((pl.col("rate") / pl.col("implied") - 1.0).abs() > tolerance).sort("day")
    text = pl.format("{}USD over {}USD is {}", pl.lit(first), pl.lit(second), pl.col("implied").round_sig_figs(6))
    name = f"{first}{second}"
    return TABLES["findings"].conform(
        off.select(
            pl.format("fx-{}-{}-{}", pl.lit(source), pl.lit(name), pl.col("day")).alias("id"),
            pl.lit("warn").alias("severity"),
            pl.lit(RULE).alias("rule"),
            pl.lit(source).alias("source"),
            pl.lit(name).alias("root"),
            "day",
            pl.lit("rate").alias("field"),
            pl.col("rate").cast(pl.String).alias("value"),
            text.alias("reason"),
        )
    )


def _of(known, currency):
    """(day, leg) of one currency: the last stamp of each day."""
    rows = known.filter(pl.col("currency") == currency)
    order = [name for name in ("day", "source_time") if name in rows.columns]
    return rows.sort(order).group_by("day", maintain_order=True).agg(pl.col("rate").last().alias("leg"))


def _told(frame, reason):
    """Columns that name the fault of rows without a leg; one that is there already stays."""
    missing = pl.col("leg").is_null() & pl.col("rate").is_not_null()
    if "fault" not in frame.columns:
        return []
    missing &= pl.col("fault").is_null()
    return [
        pl.when(missing).then(pl.lit(reason)).otherwise(pl.col("fault")).alias("fault"),
        pl.when(missing).then(pl.lit("rate")).otherwise(pl.col("column")).alias("column"),
    ]
