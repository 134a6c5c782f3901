"""Every table of the store, once: its columns with unit and meaning, and its key.

What a row must be like is in `row_rules`; what only a sequence of rows shows is in `checks`.
"""

from dataclasses import dataclass

import polars as pl

TEXT, WHOLE, REAL, DAY = pl.String, pl.Int64, pl.Float64, pl.Date
CONTRACT = pl.Int32
TIME = pl.Datetime("us", "UTC")


@dataclass(frozen=True)
class Table:
    """A table of the store: `columns` maps a name to (polars type, meaning with unit); `key` makes a row unique."""

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
        (None, 'EUR', None, 1.0, None, None)
        """
        lacking = [pl.lit(None, dtype).alias(name) for name, dtype in self.schema.items() if name not in frame.columns]
        return frame.with_columns(lacking).select(pl.col(name).cast(dtype) for name, dtype in self.schema.items())


_SOURCE = {"source": (TEXT, "where the rows come from: a vendor, or `sample` for simulated prices")}
_ROOT = {"root": (TEXT, "the master's symbol of the market, or the vendor's name of one it does not know")}
_STAMP = {"source_time": (TEXT, "the vendor's stamp, unchanged")}
_KNOWN = {"known": (TIME, "when this version of the row came into the store; null in simulated rows")}

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
                "filled_from": (
                    TEXT,
                    "the source that a missing row was filled from; null in a row of its own source",
                ),
            }
            | _STAMP
            | _KNOWN,
            ("source", "root", "contract", "time"),
        ),
        Table(
            "vendor_chains",
            "Held, carry and forward prices, or nearby series, that a vendor publishes instead of contracts.",
            _SOURCE
            | _ROOT
            | {
                "rank": (pl.Int32, "1: the chain's held or front contract; n: the n-th nearby"),
                "time": (TIME, "UTC"),
                "day": (DAY, "trade date"),
                "price": (REAL, "settlement, else last trade, of the held contract or the nearby [price]"),
                "price_contract": (CONTRACT, "YYYYMM; null where the vendor does not say"),
                "carry": (REAL, "[price]"),
                "carry_contract": (CONTRACT, "YYYYMM"),
                "forward": (REAL, "next contract to be held [price]"),
                "forward_contract": (CONTRACT, "YYYYMM"),
                "open": (REAL, "of the contract of `price` [price]"),
                "high": (REAL, "[price]"),
                "low": (REAL, "[price]"),
                "volume": (REAL, "[contracts]"),
                "open_interest": (REAL, "as the vendor stamps it [contracts]"),
            }
            | _STAMP
            | _KNOWN,
            ("source", "root", "rank", "time"),
        ),
        Table(
            "contracts",
            "What a vendor says of single contracts; his dates go before the rules of the master.",
            _SOURCE
            | _ROOT
            | {
                "contract": (CONTRACT, "delivery month, YYYYMM"),
                "first_trade": (DAY, ""),
                "last_trade": (DAY, ""),
                "first_notice": (DAY, "null: not told, or none"),
            }
            | _KNOWN,
            ("source", "root", "contract"),
        ),
        Table(
            "margins",
            "Margins of the user's own, of a broker or a vendor; they go before the exchange's in the master.",
            _SOURCE
            | _ROOT
            | {
                "day": (DAY, "valid from"),
                "initial": (REAL, "overnight [currency of the market / contract]"),
                "maintenance": (REAL, "[currency of the market / contract]"),
            }
            | _KNOWN,
            ("source", "root", "day"),
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
            | _STAMP
            | _KNOWN,
            ("source", "currency", "day", "source_time"),
        ),
        Table(
            "rates",
            "Interest rates on cash.",
            _SOURCE
            | {"currency": (TEXT, "ISO code"), "day": (DAY, "known from this day"), "rate": (REAL, "[1/year]")}
            | _KNOWN,
            ("source", "currency", "day"),
        ),
        Table(
            "roll_calendars",
            "Rolls of stored roll calendars, of which `roll_versions` tells more, and of those that came with data.",
            _SOURCE
            | _ROOT
            | {
                "rule": (TEXT, "as written; `file`: somebody edited it; as `lean:oi`: it came with a vendor's data"),
                "version": (TEXT, "of the calendar that the roll belongs to; null: it came with a vendor's data"),
                "day": (DAY, "roll day: the last day of `from_contract`"),
                "time": (TIME, "end of that bar"),
                "from_contract": (CONTRACT, "YYYYMM"),
                "to_contract": (CONTRACT, "YYYYMM"),
                "from_price": (REAL, "[price]"),
                "to_price": (REAL, "at the same moment [price]"),
                "decided": (DAY, "the day whose close made the decision; null: not told"),
                "reason": (TEXT, ""),
            },
            ("source", "root", "rule", "version", "day"),
        ),
        Table(
            "roll_versions",
            "Stored roll calendars: who made each, when, and from what. A version stays until it is removed.",
            {"source": (TEXT, "where the prices of the rolls come from")}
            | _ROOT
            | {
                "version": (TEXT, "first 12 hex digits of the SHA-256 over all that the calendar says"),
                "rule": (TEXT, "the rule as written; `file`: a file that somebody edited"),
                "rank": (pl.Int32, "0: the held contract; n: the n-th listed after it"),
                "first": (CONTRACT, "held before the first roll, YYYYMM"),
                "end": (DAY, "of a rank: the day on which its last contract was left, while none had followed"),
                "months": (TEXT, "delivery months held, of FGHJKMNQUVXZ"),
                "tag": (TEXT, "its names, comma separated; a name stands for one version of a market; null: none"),
                "note": (TEXT, "what its maker wrote about it"),
                "author": (TEXT, "who stored it first; null: not told, as of one stored by an older program"),
                "time": (TIME, "when it was stored first; null: not told"),
                "snapshot": (WHOLE, "number of the snapshot that it was made from"),
                "snapshot_hash": (TEXT, "hash of that snapshot"),
                "file": (TEXT, "name of the file that it was read from; null: made by its rule"),
                "sha256": (TEXT, "of that file"),
            },
            ("source", "root", "version"),
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
            "decisions",
            "What somebody decided about findings and quarantined rows; a later one goes before an earlier.",
            {
                "id": (TEXT, ""),
                "time": (TIME, ""),
                "author": (TEXT, ""),
                "action": (TEXT, "release, accept, revoke or fill"),
                "finding": (TEXT, "id of what is released or, of a decision, revoked; null for a rule"),
                "rule": (
                    TEXT,
                    "the rule that is accepted, or that a released row broke; of `fill`: the source filled, "
                    "and its limits",
                ),
                "root": (TEXT, "the market; null for all"),
                "source": (
                    TEXT,
                    "of `fill`: where rows are taken from; of `accept`: only findings on its rows, null: all",
                ),
                "reason": (TEXT, ""),
            },
            ("id",),
        ),
        Table(
            "quarantine",
            "Rows that were refused, as they came.",
            {
                "id": (TEXT, "hash of vendor, file name, text and rule; the same row keeps it"),
                "import_id": (TEXT, ""),
                "vendor": (TEXT, ""),
                "file": (TEXT, "name as imported; for a zip, archive and member"),
                "line": (WHOLE, "line in that file, the header being 1"),
                "column": (TEXT, "the file's column at fault"),
                "rule": (TEXT, ""),
                "reason": (TEXT, ""),
                "severity": (TEXT, ""),
                "raw": (TEXT, "the row's text"),
            },
            (),
        ),
        Table(
            "imports",
            "Files that were imported; the same content is not imported twice under one name, vendor and root, unless "
            "another one came under that name since.",
            {
                "import_id": (TEXT, ""),
                "time": (TIME, "when it was imported"),
                "file": (TEXT, ""),
                "sha256": (TEXT, "of the file"),
                "vendor": (TEXT, ""),
                "roots": (TEXT, "comma separated"),
                "asked": (TEXT, "the root that was asked for (--root); empty: the vendor's own names"),
                "tables": (TEXT, "where the rows went, comma separated; empty: read again for released rows alone"),
                "rows_read": (WHOLE, "= accepted + warned + quarantined"),
                "accepted": (WHOLE, ""),
                "warned": (WHOLE, ""),
                "quarantined": (WHOLE, ""),
                "reasons": (TEXT, "JSON: reason -> rows"),
            },
            ("sha256", "file", "vendor", "roots"),
        ),
        Table(
            "revisions",
            "Values that a later file, or a later one of the same import, changed.",
            _SOURCE
            | {
                "of_table": (TEXT, "where the row stands"),
                "root": (TEXT, "the market; of `fx` and `rates` the currency"),
                "contract": (CONTRACT, "YYYYMM; null where the table has none"),
                "time": (TIME, "of the row; midnight of its day where it has none"),
                "column": (TEXT, ""),
                "old": (REAL, "a contract as a number"),
                "new": (REAL, "what is stored now; null where a filled row gave way"),
                "import_id": (TEXT, "the import that changed it"),
            },
            (),
        ),
    )
}
