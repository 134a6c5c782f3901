"""Every table of the store, once: its columns with unit and meaning, its key, and the rules a row must pass.

A row rule is a named polars expression that is true for a bad row. `split` parts good rows from bad ones and keeps
the reasons; nothing is dropped. Rules look at one row; what needs a sequence of rows is in `checks`.

Source of the rules: exchange and vendor practice as cited at each rule.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl

TEXT, WHOLE, REAL, DAY = pl.String, pl.Int64, pl.Float64, pl.Date
CONTRACT = pl.Int32
TIME = pl.Datetime("us", "UTC")


@dataclass(frozen=True)
class Table:
    """A table of the store: `columns` maps a name to (polars type, meaning with unit); rows are unique by `key`."""

    name: str
    doc: str
    columns: dict
    key: tuple

    @property
    def schema(self):
        """Column name -> polars type, in order."""
        return {name: dtype for name, (dtype, _) in self.columns.items()}

    def empty(self):
        """A frame with these columns and no rows."""
        return pl.DataFrame(schema=self.schema)

    def conform(self, frame):
        """The frame with exactly these columns, in order and of these types; what it lacks is null.

        Examples
        --------
        >>> TABLES["fx"].conform(pl.DataFrame({"currency": ["EUR"], "rate": [1]})).row(0)
        (None, 'EUR', None, 1.0, None)
        """
        lacking = [pl.lit(None, dtype).alias(name) for name, dtype in self.schema.items() if name not in frame.columns]
        return frame.with_columns(lacking).select(pl.col(name).cast(dtype) for name, dtype in self.schema.items())


@dataclass(frozen=True)
class Rule:
    """A named rule: `bad` is true where a row breaks it; severity is `quarantine` (kept apart) or `warn` (kept)."""

    name: str
    severity: str
    column: str
    reason: str
    bad: pl.Expr


_SOURCE = {"source": (TEXT, "where the rows come from: a vendor, or `sample` for simulated prices")}
_ROOT = {"root": (TEXT, "the master's symbol of the market, or the vendor's name of one it does not know")}
_STAMP = {"source_time": (TEXT, "the vendor's stamp, unchanged")}

TABLES = {
    table.name: table
    for table in (
        Table(
            "contract_bars",
            "Bars of dated contracts, in the master's units.",
            _SOURCE
            | _ROOT
            | {
                "contract": (CONTRACT, "delivery month, YYYYMM"),
                "time": (TIME, "end of the bar, UTC"),
                "day": (DAY, "trade date; Saturday and Sunday rows belong to Monday"),
                "open": (REAL, "[price]"),
                "high": (REAL, "[price]"),
                "low": (REAL, "[price]"),
                "close": (REAL, "last trade; null where the vendor gives only the settlement [price]"),
                "settle": (REAL, "the exchange's settlement; null where the vendor gives only the last trade [price]"),
                "volume": (REAL, "[contracts]"),
                "open_interest": (REAL, "as the vendor stamps it [contracts]"),
            }
            | _STAMP,
            ("source", "root", "contract", "time"),
        ),
        Table(
            "vendor_chains",
            "Held, carry and forward prices that a vendor publishes instead of contracts.",
            _SOURCE
            | _ROOT
            | {
                "time": (TIME, "UTC"),
                "day": (DAY, "trade date"),
                "price": (REAL, "held contract [price]"),
                "price_contract": (CONTRACT, "YYYYMM"),
                "carry": (REAL, "[price]"),
                "carry_contract": (CONTRACT, "YYYYMM"),
                "forward": (REAL, "next contract to be held [price]"),
                "forward_contract": (CONTRACT, "YYYYMM"),
            }
            | _STAMP,
            ("source", "root", "time"),
        ),
        Table(
            "fx",
            "Currencies; of several rates of a day the last stamp counts.",
            _SOURCE
            | {
                "currency": (TEXT, "ISO code"),
                "day": (DAY, "the day the rate was published"),
                "rate": (REAL, "[USD per unit]"),
            }
            | _STAMP,
            ("source", "currency", "day", "source_time"),
        ),
        Table(
            "rates",
            "Interest rates on cash.",
            _SOURCE | {"currency": (TEXT, "ISO code"), "day": (DAY, "known from this day"), "rate": (REAL, "[1/year]")},
            ("source", "currency", "day"),
        ),
        Table(
            "roll_calendars",
            "Roll calendars that were asked for by name; `version` is the hash of the rolls.",
            _SOURCE
            | _ROOT
            | {
                "rule": (TEXT, "the rule as written"),
                "version": (TEXT, ""),
                "day": (DAY, "roll day: the last day of `from_contract`"),
                "time": (TIME, "end of that bar"),
                "from_contract": (CONTRACT, "YYYYMM"),
                "to_contract": (CONTRACT, "YYYYMM"),
                "from_price": (REAL, "[price]"),
                "to_price": (REAL, "at the same moment [price]"),
                "decided": (DAY, "the day whose close made the decision"),
                "reason": (TEXT, ""),
            },
            ("source", "root", "rule", "day"),
        ),
        Table(
            "findings",
            "What the checks found in stored rows.",
            {
                "id": (TEXT, "hash of the finding; the same fault keeps its id"),
                "severity": (TEXT, "quarantine, warn or refuse"),
                "rule": (TEXT, ""),
            }
            | _SOURCE
            | _ROOT
            | {
                "contract": (CONTRACT, "YYYYMM"),
                "day": (DAY, ""),
                "field": (TEXT, "column at fault"),
                "value": (TEXT, "what it held"),
                "reason": (TEXT, ""),
                "done": (TEXT, "what was done about it"),
            },
            ("id",),
        ),
        Table(
            "quarantine",
            "Rows that were refused, as they came.",
            {
                "import_id": (TEXT, ""),
                "vendor": (TEXT, ""),
                "file": (TEXT, "name as imported; for a zip, archive and member"),
                "line": (WHOLE, "line in that file, the header being 1"),
                "column": (TEXT, "vendor's column at fault"),
                "rule": (TEXT, ""),
                "reason": (TEXT, ""),
                "severity": (TEXT, ""),
                "raw": (TEXT, "the row's text"),
            },
            (),
        ),
        Table(
            "imports",
            "Files that were imported; the same content is never imported twice.",
            {
                "import_id": (TEXT, ""),
                "time": (TIME, "when it was imported"),
                "file": (TEXT, ""),
                "sha256": (TEXT, "of the file"),
                "vendor": (TEXT, ""),
                "roots": (TEXT, "comma separated"),
                "rows_read": (WHOLE, "= accepted + warned + quarantined"),
                "accepted": (WHOLE, ""),
                "warned": (WHOLE, ""),
                "quarantined": (WHOLE, ""),
                "reasons": (TEXT, "JSON: reason -> rows"),
            },
            ("sha256",),
        ),
        Table(
            "revisions",
            "Values that a later import changed.",
            _SOURCE
            | _ROOT
            | {
                "contract": (CONTRACT, "YYYYMM"),
                "time": (TIME, ""),
                "column": (TEXT, ""),
                "old": (REAL, ""),
                "new": (REAL, ""),
                "import_id": (TEXT, "the import that changed it"),
            },
            (),
        ),
    )
}

PRICES = ("open", "high", "low", "close", "settle")


def _any(columns, test):
    return pl.any_horizontal(test(pl.col(name)).fill_null(False) for name in columns)


def bar_rules(negative_allowed, settles):
    """Row rules of `contract_bars` for one market.

    Parameters
    ----------
    negative_allowed : bool
        Whether the market may trade at or below zero (crude oil did on 2020-04-20).
    settles : bool
        Whether the vendor's last price is the settlement: it may lie outside high-low, as settlements need no trade
        (CSI's documentation says that this is usually correct for futures), and is only warned about.

    Returns
    -------
    list of Rule
    """
    top, bottom = pl.col("high"), pl.col("low")
    inside = ("open",) if settles else ("open", "close")
    rules = [
        Rule("not_a_number", "quarantine", "open", "a price is not a finite number",
             _any(PRICES, lambda c: c.is_nan() | c.is_infinite())),
        Rule("no_price", "quarantine", "settle", "neither close nor settlement",
             pl.col("close").is_null() & pl.col("settle").is_null()),
        Rule("range", "quarantine", "high", "high below low, or open or close outside high-low",
             (top < bottom).fill_null(False)
             | _any(inside, lambda c: (c - top > 1e-9 * top.abs()) | (bottom - c > 1e-9 * bottom.abs()))),
        Rule("negative_volume", "quarantine", "volume", "volume or open interest below zero",
             _any(("volume", "open_interest"), lambda c: c < 0)),
        Rule("future", "quarantine", "time", "dated in the future", pl.col("time") > pl.lit(_tomorrow())),
        Rule("settle_outside", "warn", "settle", "settlement outside high-low",
             ((pl.col("settle") > top) | (pl.col("settle") < bottom)).fill_null(False)),
    ]  # fmt: skip
    if not negative_allowed:
        rules.insert(2, Rule("not_positive", "quarantine", "settle", "a price at or below zero in a market that has none",
                             _any(PRICES, lambda c: c <= 0)))  # fmt: skip
    return rules


def _tomorrow():
    return datetime.now(UTC) + timedelta(days=1)
