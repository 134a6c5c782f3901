"""What one row must be like to be kept, and the parting of rows that are from rows that are not.

1. A rule names the columns it looks at and, for each, an expression that is true where it is at fault. A null is never
   at fault but by a rule that says so.
2. A row that breaks a rule of severity QUARANTINE is kept apart with its text; the first rule it breaks is its reason.
   A row that breaks a rule of severity WARN is stored and counted.
3. Of several rows of one key the first is kept: the same values again are a warning, other values are kept apart.

Sources: RELIABILITY part 4 (practice of Norgate, CSI and pysystemtrade); others at the rule.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl

QUARANTINE, WARN = "quarantine", "warn"
PRICES = ("open", "high", "low", "close", "settle")
ACTIVITY = ("volume", "open_interest")
WHOLE = ("no_price", "no_rate")  # rules that a row which only completes another need not keep
LISTED = (
    15 * 12
)  # months before delivery at most; Barchart's 24 markets reach 46, ten-year strips of rates have to pass
AFTER = 2  # months after the delivery month at most; none of Barchart's rows lies after it
FAR = 0.5  # share of the price by which a settlement may lie outside high-low: Barchart's real ones reach 0.02


@dataclass(frozen=True)
class Rule:
    """A named rule: `faults` maps a column to the expression that is true where that column is at fault."""

    name: str
    severity: str
    reason: str
    faults: dict

    @property
    def bad(self):
        """True where the row breaks the rule."""
        return pl.any_horizontal(fault.fill_null(False) for fault in self.faults.values())

    @property
    def column(self):
        """The first column at fault."""
        return pl.coalesce(pl.when(fault).then(pl.lit(column)) for column, fault in self.faults.items())


def _each(columns, test):
    return {column: test(pl.col(column)) for column in columns}


def bar_rules(negative_allowed):
    """Rules of `contract_bars`.

    Parameters
    ----------
    negative_allowed : bool or tuple of (date or None, "yes" or "no")
        Whether the market may trade at or below zero, as crude oil did on 2020-04-20; or since when: the master's dated
        facts `negative_prices`, oldest first.

    Returns
    -------
    list of Rule
    """
    top, bottom = pl.col("high"), pl.col("low")
    outside = lambda c: (c - top > 1e-9 * top.abs()) | (bottom - c > 1e-9 * bottom.abs())  # noqa: E731
    beyond = pl.max_horizontal(pl.col("settle") - top, bottom - pl.col("settle"))
    ahead = _months(pl.col("contract") // 100, pl.col("contract") % 100) - _months(
        pl.col("day").dt.year(), pl.col("day").dt.month()
    )
    rules = [
        _no("time"),
        Rule("contract", QUARANTINE, "no delivery month YYYYMM",
             {"contract": pl.col("contract").is_null() | ~(pl.col("contract") % 100).is_between(1, 12)}),
        Rule("not_a_number", QUARANTINE, "not a finite number", _each((*PRICES, *ACTIVITY), lambda c: ~c.is_finite())),
        Rule("no_price", QUARANTINE, "neither close nor settlement",
             {"settle": pl.col("close").is_null() & pl.col("settle").is_null()}),
        Rule("range", QUARANTINE, "high below low, or open or close outside high-low",
             {"high": top < bottom} | _each(("open", "close"), outside)),
        Rule("settle_far", QUARANTINE, "settlement far outside high-low: another column, or another unit",
             {"settle": beyond > FAR * pl.max_horizontal(top.abs(), bottom.abs())}),
        Rule("negative_volume", QUARANTINE, "below zero", _each(ACTIVITY, lambda c: c < 0)),
        _future("time"),
        Rule("far_from_delivery", QUARANTINE, f"more than {LISTED // 12} years before or {AFTER} months after delivery",
             {"day": ~ahead.is_between(-AFTER, LISTED)}),
        # settlements need no trade: CSI documents that they are usually right outside high-low (DOMAIN T24)
        Rule("settle_outside", WARN, "settlement outside high-low", {"settle": outside(pl.col("settle"))}),
    ]  # fmt: skip
    rules[3:3] = _not_positive(PRICES, negative_allowed)
    return rules


def _not_positive(columns, negative_allowed):
    """The rule on prices at or below zero, as a list; none where the market may always have them."""
    if negative_allowed is True:
        return []
    allowed = _allowed(negative_allowed or ())
    faults = _each(columns, lambda c: (c <= 0) & ~allowed)
    return [Rule("not_positive", QUARANTINE, "at or below zero in a market that never is", faults)]


def _allowed(facts):
    """Whether prices at or below zero were allowed on a row's day; before the first fact they were not."""
    allowed = pl.lit(False)
    for day, told in facts:
        since = pl.lit(True) if day is None else (pl.col("day") >= day).fill_null(False)
        allowed = pl.when(since).then(pl.lit(told == "yes")).otherwise(allowed)
    return allowed


def _months(year, month):
    return year.cast(pl.Int32) * 12 + month.cast(pl.Int32)


def chain_rules(negative_allowed=True):
    """Rules of `vendor_chains`: a moment, finite prices, above zero as `bar_rules` has it. A row may lack any leg: 22 %
    of pysystemtrade's CORN do."""
    legs = ("price", "carry", "forward")
    return [
        _no("time"),
        _future("time"),
        Rule("not_a_number", QUARANTINE, "not a finite number", _each(legs, _infinite)),
        *_not_positive(legs, negative_allowed),
        Rule("negative_volume", QUARANTINE, "below zero", _each(ACTIVITY, lambda c: c < 0)),
    ]


def fx_rules():
    """Rules of `fx`: a day, and a rate above zero."""
    return [
        _no("day"),
        _future("day"),
        Rule("not_a_number", QUARANTINE, "not a finite number", {"rate": _infinite(pl.col("rate"))}),
        Rule(
            "not_positive",
            QUARANTINE,
            "no rate, or one at or below zero",
            {"rate": ~(pl.col("rate") > 0).fill_null(False)},
        ),
    ]


def rate_rules():
    """Rules of `rates`: a day, and a fraction a year; above 1 it is taken for percent."""
    missing = ~(pl.col("rate").abs() <= 1).fill_null(False)
    return [
        _no("day"),
        Rule("not_a_number", QUARANTINE, "not a finite number", {"rate": _infinite(pl.col("rate"))}),
        Rule("no_rate", QUARANTINE, "no rate, or more than 100 % a year", {"rate": missing}),
    ]


def margin_rules():
    """Rules of `margins`: a day, and amounts above zero, the initial at least the maintenance."""
    return [
        _no("day"),
        _future("day"),
        Rule("not_a_number", QUARANTINE, "not a finite number", _each(("initial", "maintenance"), _infinite)),
        Rule("not_positive", QUARANTINE, "no margin, or one at or below zero",
             _each(("initial", "maintenance"), lambda c: ~(c > 0).fill_null(False))),
        Rule("initial_below", QUARANTINE, "initial margin below maintenance",
             {"initial": pl.col("initial") < pl.col("maintenance")}),
    ]  # fmt: skip


def contract_rules():
    """Rules of `contracts`: a delivery month, and some date."""
    return [
        Rule("contract", QUARANTINE, "no delivery month YYYYMM",
             {"contract": pl.col("contract").is_null() | ~(pl.col("contract") % 100).is_between(1, 12)}),
        Rule("no_day", QUARANTINE, "no date at all",
             {"last_trade": pl.all_horizontal(pl.col("first_trade", "last_trade", "first_notice").is_null())}),
    ]  # fmt: skip


def calendar_rules():
    """Rules of `roll_calendars`: a day, and two contracts of which the second is the later."""
    return [
        _no("day"),
        Rule("contract", QUARANTINE, "not from one contract to a later one",
             {"to_contract": ~(pl.col("to_contract") > pl.col("from_contract")).fill_null(False)}),
    ]  # fmt: skip


RULES_OF = {
    "vendor_chains": chain_rules,
    "fx": fx_rules,
    "rates": rate_rules,
    "margins": margin_rules,
    "contracts": contract_rules,
    "roll_calendars": calendar_rules,
}
"""Rules of each table but `contract_bars`; those of `vendor_chains` depend on the market, too, and may be told so."""


def _no(column):
    return Rule(f"no_{column}", QUARANTINE, f"no such {column}", {column: pl.col(column).is_null()})


def _future(column):
    return Rule(
        "future", QUARANTINE, "dated in the future", {column: pl.col(column) > datetime.now(UTC) + timedelta(days=1)}
    )


def _infinite(column):
    return ~column.is_finite()


def split(frame, table, rules, apart=(), partial=False):
    """Part the rows that may be stored from those that may not.

    Parameters
    ----------
    frame : DataFrame
        A `Reading`'s.
    table : Table
    rules : list of Rule
    apart : list of str
        Columns that tell files apart: rows of several files may have one key.
    partial : bool
        Whether rows carry only some columns: two rows of a key that do not disagree complete each other.

    Returns
    -------
    good : DataFrame
        With `warning`, a rule's name or null; `repeated` rows are in it, and `unsorted` ones, earlier than the row
        before of the same contract.
    bad : DataFrame
        With `rule`, `reason`, `column`: a rule's, or `unparsed` and what failed; `duplicate`.
    """
    frame = frame.with_columns(
        pl.lit(None, dtype).alias(c) for c, dtype in table.schema.items() if c not in frame.columns
    )
    rules = [rule for rule in rules if not (partial and rule.name in WHOLE)]
    hard, soft = ([rule for rule in rules if rule.severity == severity] for severity in (QUARANTINE, WARN))
    unparsed = pl.col("fault").is_not_null()
    is_bad = frame.select(pl.any_horizontal(unparsed, *(rule.bad for rule in hard)).alias("bad"))["bad"]
    bad = frame.filter(is_bad).with_columns(
        _first(hard, "rule", lambda rule: pl.lit(rule.name), pl.when(unparsed).then(pl.lit("unparsed"))),
        _first(hard, "reason", lambda rule: pl.lit(rule.reason), pl.col("fault")),
        _first(hard, "column", lambda rule: rule.column, pl.col("column")),
    )
    good = frame.filter(~is_bad).with_columns(_first(soft, "warning", lambda rule: pl.lit(rule.name)))
    if _in_series(good, table, apart):
        return good, bad
    good, twice = _one_of_each(good, table, apart, partial)
    return _in_order(good, table, apart), pl.concat([bad, twice], how="diagonal") if twice.height else bad


def _first(rules, name, told, before=None):
    """What the first broken rule says, as a column; what stands before the rules goes first."""
    says = [] if before is None else [before]
    says += [pl.when(rule.bad).then(told(rule)) for rule in rules]
    return pl.coalesce(*says, pl.lit(None, pl.String)).alias(name)


def _series(table, apart):
    """The moment of a row, and what tells series of rows apart."""
    moment = next((name for name in ("time", "day") if name in table.key), None)
    return moment, [*apart, *(name for name in table.key if name not in ("source", "root", "currency", moment))]


def _in_series(good, table, apart):
    """Whether each series stands in one piece and its moments rise: then no key comes twice. A quick look at all."""
    moment, names = _series(table, apart)
    if moment is None or "source_time" in names:
        return False
    begins = pl.any_horizontal(pl.lit(False), *(pl.col(name).ne_missing(pl.col(name).shift()) for name in names))
    rises = (pl.col(moment) > pl.col(moment).shift()).fill_null(False)
    found = good.select(begins.alias("begins"), rises.alias("rises"))
    if not (found["begins"] | found["rises"])[1:].all():
        return False
    heads = good.filter(found["begins"]).select(names) if names else good.clear()
    return not names or heads.n_unique() == heads.height


def _one_of_each(good, table, apart, partial):
    """The rows without those of a key that was there before with other values; and those."""
    key = [*apart, *table.key]
    again = good.select(~pl.struct(key).is_first_distinct()).to_series()
    if not again.any():
        return good, good.clear()
    names = [c for c in table.columns if c not in (*key, "source_time", "day")]
    first = good.filter(~again).select(*key, *(pl.col(c).alias(f"first {c}") for c in names))
    good = good.with_columns(again.alias("again")).join(
        first, on=key, how="left", maintain_order="left", nulls_equal=True
    )
    differs = pl.any_horizontal(pl.col(c).ne_missing(pl.col(f"first {c}")) for c in names)
    clashes = pl.any_horizontal((pl.col(c) != pl.col(f"first {c}")).fill_null(False) for c in names)
    other = pl.col("again") & (clashes if partial else differs)
    added = ["again", *(f"first {c}" for c in names)]
    second = good.filter(other).with_columns(
        rule=pl.lit("duplicate"), reason=pl.lit("second row of its key, with other values"), column=pl.lit(key[-1])
    )
    repeated = pl.when(pl.col("again") & ~differs).then(pl.lit("repeated")).otherwise("warning").alias("warning")
    return good.filter(~other).with_columns(repeated).drop(added), second.drop(*added, "warning")


def _in_order(good, table, apart):
    """Rows that are earlier than the one before of the same contract get the warning `unsorted`."""
    moment, names = _series(table, apart)
    if moment is None:
        return good
    names = [name for name in names if name in (*apart, "contract", "rank")]
    moment = pl.col(moment)
    before = moment.shift().over(names) if names else moment.shift()
    told = pl.when(pl.col("warning").is_null() & (moment < before)).then(pl.lit("unsorted")).otherwise("warning")
    return good.with_columns(told.alias("warning"))
