"""Tables of a section of a run: how each column is headed and shown, wherever it stands, and what cannot be made.

Shares are fractions in JSON and CSV, percent on the screen.
"""

from app.commands.output import money, number, percent

HIDDEN = ("format", "caution", "metric")  # columns that the screen tells in another way
OF_A_METRIC = (
    "value",
    "low",
    "median",
    "high",
    "error",
    "before",
    "after",
    "change",
)  # shown as the row's `format` says
OF_A_DAY = ("var_95", "var_99", "shortfall_95", "shortfall_99", "best_day", "worst_day")  # ends of names of metrics
OF_A_LIMIT = {  # column -> heading; shown in the unit of the row's limit
    "limit_value": "value", "limit_amber": "amber", "limit_red": "red", "limit_worst": "worst", "limit_after": "after",
}  # fmt: skip
SUMS = ("amount", "total")  # last column of a table of sums: the others are labels, as of causes or years
LEFT = ("Left out", "Tables that cannot be made of this run, and why.")


def _text(value):
    return "" if value is None else str(value)


def ratio(value):
    """A ratio, or a number of two decimals."""
    return number(value, ",.2f")


def _small(value):
    return percent(value, 2)


def _count(value):
    return number(value, ",.0f")


def _chance(value):
    return number(value, ".4f")


COLUMNS = {  # column -> heading, in which {currency} is that of the account, and how a value is shown
    "number": ("number", _text), "year": ("year", _text), "group": ("group", _text),
    "jan": ("jan", percent), "feb": ("feb", percent), "mar": ("mar", percent), "apr": ("apr", percent),
    "may": ("may", percent), "jun": ("jun", percent), "jul": ("jul", percent), "aug": ("aug", percent),
    "sep": ("sep", percent), "oct": ("oct", percent), "nov": ("nov", percent), "dec": ("dec", percent),
    "whole": ("year's", percent),
    "drawdown": ("no.", _text), "depth": ("depth", percent), "fall": ("fall [{currency}]", money),
    "days_down": ("days down", _count), "days_up": ("days up", _count), "days": ("days", _count),
    "causes": ("largest losers [{currency}]", _text),
    "method": ("method", _text), "level": ("level", lambda value: percent(value, 0)),
    "var": ("VaR", _small), "cvar": ("CVaR", _small),
    "var_money": ("VaR [{currency}]", money), "cvar_money": ("CVaR [{currency}]", money),
    "exceedances": ("exceeded", _count), "expected": ("expected", lambda value: number(value, ",.1f")),
    "kupiec": ("Kupiec LR", ratio), "kupiec_p": ("p", _chance),
    "independence": ("independence LR", ratio), "independence_p": ("p ", _chance),
    "coverage": ("both LR", ratio), "coverage_p": ("p  ", _chance), "worst_ratio": ("worst / VaR", ratio),
    "without": ("change without it", lambda value: percent(value, 3)),
    "marginal": ("marginal, per 100 % gross", lambda value: percent(value, 3)),
    "component_gaussian": ("part, gaussian", lambda value: percent(value, 3)),
    "component_history": ("part, history", lambda value: percent(value, 3)),
    "component_cvar": ("part of CVaR", lambda value: percent(value, 3)), "share": ("share", percent),
    "volatility": ("volatility", percent), "sharpe": ("Sharpe", ratio), "sortino": ("Sortino", ratio),
    "deepest": ("deepest", percent),
    "margin_to_equity": ("margin / equity", percent), "margin_to_equity_most": ("most", percent),
    "leverage": ("gross / equity", ratio), "leverage_most": ("most ", ratio),
    "net_leverage": ("net / equity", ratio),
    "markets": ("markets", lambda value: number(value, ",.1f")), "largest_share": ("largest of margin", percent),
    "bets": ("as equal bets", lambda value: number(value, ",.1f")),
    "margin_share": ("of margin", percent), "margin_share_most": ("most  ", percent),
    "correlation": ("correlation", ratio), "weeks": ("weeks", _count),
    "contracts": ("most contracts", lambda value: number(value, ",.10g")), "volume": ("volume a day", _count),
    "open_interest": ("open interest", _count),
    "of_volume": ("held / volume", _small), "of_volume_most": ("most", _small),
    "of_open_interest": ("held / open interest", _small), "of_open_interest_most": ("most ", _small),
    "days_to_leave": ("days to leave", ratio), "days_to_leave_most": ("most  ", ratio),
    "traded": ("traded / volume", _small), "traded_most": ("most   ", _small),
    "capital": ("capital [{currency}]", money), "traded_money": ("traded [{currency}]", money),
    "trades": ("trades", _count), "open": ("open", _count), "net": ("net [{currency}]", money),
    "costs": ("costs [{currency}]", money), "win_rate": ("won", percent), "payoff": ("payoff", ratio),
    "profit_factor": ("factor", ratio), "expectancy": ("a trade [{currency}]", money),
    "expectancy_r": ("a trade [R]", ratio), "sqn": ("SQN", ratio), "best": ("best [{currency}]", money),
    "worst": ("worst [{currency}]", money), "won_in_a_row": ("row won", _count),
    "lost_in_a_row": ("row lost", _count), "bars": ("bars", _count), "bars_median": ("median", _count),
    "rolls": ("rolls", ratio), "quantile": ("quantile", lambda value: percent(value, 0)), "r": ("R", ratio),
    "adverse": ("adverse", ratio), "favourable": ("favourable", ratio), "edge_ratio": ("edge ratio", ratio),
    "adverse_money": ("adverse [{currency}]", money), "favourable_money": ("favourable [{currency}]", money),
    "adverse_r": ("adverse [R]", ratio), "favourable_r": ("favourable [R]", ratio),
    "adverse_ranges": ("adverse [ranges]", ratio), "favourable_ranges": ("favourable [ranges]", ratio),
    "error": ("error", ratio), "low": ("low", ratio), "high": ("high", ratio), "defined": ("defined", percent),
    "block": ("block", lambda value: number(value, ",.1f")), "resamples": ("resamples", _count),
    "run": ("run", percent), "benchmark": ("benchmark", percent), "paid": ("paid [{currency}]", money),
    "since": ("since", percent), "equity_before": ("equity before [{currency}]", money),
    "long": ("long", percent), "short": ("short", percent),
    "equity": ("mean equity [{currency}]", money), "turnover": ("turnover", ratio), "fills": ("fills", _count),
    "roll_fills": ("of rolls", _count), "profit": ("profit [{currency}]", money), "commission": ("commission", money),
    "slippage": ("slippage", money), "roll_costs": ("rolls", money), "roll_gap": ("roll gap", money),
    "drag": ("cost drag", _small), "roll_drag": ("of rolls ", _small),
    "episodes": ("episodes", _count), "market_days": ("market days", _count), "annual": ("a year", percent),
    "difference": ("difference", percent), "difference_money": ("difference [{currency}]", money),
    "p_value": ("p", _chance), "p_moved": ("p moved", _chance),
    "in_market": ("in market", percent), "times": ("times", _count),
    "probability": ("probability", percent), "spells": ("spells", _count),
    "lasts": ("lasts [days]", lambda value: number(value, ",.1f")), "deepest_spell": ("in one spell", percent),
    "mean_drawdown": ("mean drawdown", percent), "fall_share": ("of the deepest fall", percent),
    "category": ("category", _text), "mean": ("a trade [{currency}]", money), "rule": ("rule", _text),
    "roll_yield": ("roll yield [{currency}]", money),
    "kind": ("kind", _text), "regime": ("regime", _text), "next": ("the day after", _text),
    "before": ("before [{currency}]", money), "after": ("after [{currency}]", money),
    "change": ("change [{currency}]", money), "what": ("what if", _text), "window": ("window", _text),
    "covered": ("in the data", _text), "earned": ("earned", percent), "worst_day": ("worst day", _text),
    "worst_return": ("its return", percent), "worst_money": ("its profit [{currency}]", money),
    "calls": ("margin calls", _count), "held": ("held", lambda value: number(value, ",.10g")),
    "price": ("price", number), "jump": ("jump", lambda value: number(value, "+.6g")),
    "on_day": ("on the day [{currency}]", money), "later": ("later [{currency}]", money),
    "final_equity": ("final equity [{currency}]", money), "total_return": ("return", percent),
    "max_drawdown": ("drawdown", percent), "needed": ("capital needed [{currency}]", money),
    "of_capital": ("times the capital", lambda value: number(value, ",.4g")), "impact_drag": ("of impact", _small),
    "run_id": ("run", _text), "other_run": ("other", _text), "scale": ("x", ratio),
    "annual_scaled": ("annual at one volatility", percent),
    "drawdown_scaled": ("drawdown at it", percent), "annual_return": ("annual", percent),
    "weekly": ("weekly", ratio),
    "difference_sharpe": ("Sharpe, first less second", ratio), "other_depth": ("its drawdown", percent),
    "meanwhile": ("earned meanwhile", percent), "input": ("input", _text), "differs": ("differs in", _text),
    "net_1": ("net, first [{currency}]", money), "net_2": ("net, second [{currency}]", money),
    "contracts_1": ("contracts, first", lambda value: number(value, ",.10g")),
    "contracts_2": ("second", lambda value: number(value, ",.10g")),
    "exit_day_1": ("exit, first", _text), "exit_day_2": ("second ", _text),
    "exit_reason_1": ("reason, first", _text), "exit_reason_2": ("second  ", _text),
    "other_money": ("other", money), "selection": ("selection", money), "sizing": ("sizing", money),
    "timing": ("timing", money), "cost": ("cost", money), "period": ("period", money),
    "total": ("total [{currency}]", money),
    "first": ("first", _text), "last": ("last", _text), "second": ("second", _text),
    "limit": ("limit", _text), "state": ("state", _text), "days_amber": ("amber days", _count),
    "days_red": ("red days", _count), "breaches": ("breaches", _count), "breach": ("no. ", _count),
    "who": ("most of it", _text), "back_to": ("back to", _text),
    "trade": ("trade", lambda value: number(value, "+,.10g")),
    "trade_cost": ("cost [{currency}]", money), "limited": ("with limits", percent),
    "unlimited": ("without", percent), "avoided": ("loss avoided", percent), "forgone": ("profit forgone", percent),
    "fall_limited": ("drawdown with", percent), "fall_unlimited": ("without ", percent),
    "trades_added": ("trades added", _count), "fills_added": ("fills added", _count),
    "warning": ("warning", _text), "volatility_regime": ("volatility", _text), "trend_regime": ("trend", _text),
    "term_regime": ("term structure", _text), "risk_regime": ("risk", _text), "states_regime": ("states", _text),
}  # fmt: skip


def absent():
    """What is raised where that is not there which a table of a run is made of."""
    from engine.analysis.source import SourceChanged
    from engine.market import MarketUnknown
    from engine.result import NotRunHere, RunUnknown
    from store.manifest import NotKept

    return MarketUnknown, NotKept, NotRunHere, RunUnknown, SourceChanged


class Made:
    """The tables of a section, and the reasons of those that this run does not have."""

    def __init__(self):
        self.tables, self.left = [], []

    def add(self, title, note, make):
        """A table; `make` gives the DataFrame, or the DataFrame and what to say after the note."""
        try:
            made = make()
        except absent() as error:
            self.left.append((title, str(error)))
            return
        frame, more = made if isinstance(made, tuple) else (made, "")
        self.tables.append((title, frame, f"{note} {more}".strip()))

    def all(self):
        """The tables, the last one of what is left out."""
        import polars as pl

        left = pl.DataFrame(self.left, schema={"table": pl.String, "reason": pl.String}, orient="row")
        return [*self.tables, *([(LEFT[0], left, LEFT[1])] if self.left else [])]


def columns(frame, currency):
    """Heading -> text of a row, of the columns that have anything to show."""
    found = {}
    if frame.columns[-1] in SUMS:
        first, *labels = frame.columns
        shown = [(name.replace("_", " "), lambda row, name=name: money(row[name])) for name in labels]
        return {first.replace("_", " "): lambda row: row[first]} | dict(shown)
    for name in frame.columns:
        heading, show_ = COLUMNS.get(name, (name.replace("_", " "), _usual))
        if name in OF_A_LIMIT:
            found[OF_A_LIMIT[name]] = lambda row, name=name: of_limit(row["limit"], row[name])
        elif name in OF_A_METRIC and "format" in frame.columns:
            found[name] = lambda row, name=name: of_a_metric(
                row["format"], row[name], row.get("metric", row.get("key", ""))
            )
        elif name not in HIDDEN and frame[name].null_count() < len(frame):
            found[heading.format(currency=currency)] = lambda row, name=name, show_=show_: show_(row[name])
    return found


def of_limit(limit, value):
    """A value in the unit of its risk limit.

    >>> of_limit("loss_day", 0.0215), of_limit("stale_data", 6.0), of_limit("correlation", 0.31)
    ('2.15 %', '6 days', '0.310')
    >>> of_limit("stale_data", 1.0)
    '1 day'
    """
    if limit == "stale_data":
        return f"{_count(value)} day{'s' * (value != 1)}" if value is not None else ""
    return number(value, ".3f") if limit in ("concentration", "correlation") else percent(value, 2)


def _usual(value):
    return number(value, ",.4g") if isinstance(value, float) else _text(value)


def of_a_metric(format, value, name=""):
    """A number of a run as its `format` says; a share of one day is small, and has one more digit.

    >>> of_a_metric("percent", 0.00538, "var_95"), of_a_metric("percent", 0.602, "total_return")
    ('0.54 %', '60.2 %')
    """
    if format == "percent" and name.endswith(OF_A_DAY):
        return _small(value)
    return {"percent": percent, "money": money, "ratio": ratio}.get(format, _count)(value)
