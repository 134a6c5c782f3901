"""Sections of a portfolio: margin, limits, rolls and execution, each an object of params."""

import param

RULE = r"^ *[A-Za-z0-9][A-Za-z0-9_:@+/,=. -]*\Z"  # what it means is read with the store, see `market.checked_rule`
RULE_LABEL = (
    "volume:1, oi:2, volume+oi, volume/oi, volume/last-trade-8, first-notice-5, last-trade-5, month-end-3, each with "
    "months=GJMQZ or exit=2 after a comma, or the name of a roll calendar"
)


class Margin(param.Parameterized):
    """What a broker asks beyond the exchange, and where the margin of a contract is not known for a day."""

    house = param.Number(
        default=1.0,
        bounds=(0, 10),
        inclusive_bounds=(False, True),
        doc="The broker asks this times the exchange's margin; a table of one's own is taken as it is. [1]",
    )

    missing = param.Selector(
        default="estimate", objects=["estimate", "error"], doc="Estimate it and flag the result, or refuse the run."
    )
    k = param.Number(
        default=5.0,
        bounds=(0, 50),
        inclusive_bounds=(False, True),
        doc="An estimate is k daily volatilities of the contract; exchanges ask for about four to six. [√day]",
    )


class Limits(param.Parameterized):
    """Most that may be held."""

    max_contracts = param.Integer(
        default=None,
        allow_None=True,
        bounds=(0, 10**6),
        doc="Contracts of one line, long or short; none: no limit. [contracts]",
    )


class Rolls(param.Parameterized):
    """When a position moves to the next contract, and at what price."""

    rule = param.String(
        default="volume:1",
        regex=RULE,
        label=RULE_LABEL,
        doc="Rule of the roll calendars.",
    )
    fill = param.Selector(
        default="settle",
        objects=["settle", "open"],
        doc="Price at which both legs trade: the roll day's settlement or next open.",
    )
    roots = param.Dict(default={}, doc="Rules of single roots, {root: rule}, before the one of all.")

    def rules(self):
        """{root: rule}, with the rule of all others under ""; the text alone where there are no others.

        >>> Rolls(rule="oi:2", roots={"GC": "oi,months=GJMQZ"}).rules()
        {'': 'oi:2', 'GC': 'oi,months=GJMQZ'}
        """
        return {"": self.rule} | self.roots if self.roots else self.rule


class Execution(param.Parameterized):
    """How orders fill and where foreign profit goes."""

    fill = param.Selector(
        default="open", objects=["open"], doc="Price of an order: the next bar's open of the contract."
    )
    fx = param.Selector(
        default="sweep", objects=["sweep", "hold"], doc="Foreign profit is converted every day, or kept as a balance."
    )
