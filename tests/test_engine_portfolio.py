"""Portfolio: equal to its TOML both ways, changed by settings, and clear about what is wrong."""

import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from engine.costs import Costs, SideCost
from engine.portfolio import ConfigError, Portfolio, Sleeve
from engine.sections import Execution, Limits, Margin, Rolls
from engine.sizing import SIZERS, FixedContracts, VolatilityTarget
from engine.strategies import STRATEGIES
from engine.strategies.trend import MovingAverageCross

SHIPPED = sorted((Path(__file__).resolve().parent.parent / "config" / "portfolios").glob("*.toml"))
ROLL_RULES = ["oi:2", "volume/oi", "first-notice-5", "pysystemtrade", "volume@2+oi:3/month-begin+4,months=-FV,exit=2",
              "Volume, exit=2", "my_desk-1.2", "3f2a81cc"]  # fmt: skip
SMALL = '[[strategies]]\nname = "moving_average_cross"\n'


def small(**changes):
    """A portfolio of one strategy."""
    return Portfolio(strategies=[Sleeve(strategy=MovingAverageCross(fast=10, slow=40))], **changes)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_portfolio_equals_its_toml_both_ways(path):
    portfolio = Portfolio.from_toml(path)
    text = portfolio.to_toml()
    assert Portfolio.from_toml(text) == portfolio
    assert Portfolio.from_toml(text).to_toml() == text
    assert Portfolio.from_toml(str(path)) == portfolio
    assert portfolio.name == path.stem


def test_the_trend_portfolio_is_the_one_of_the_design():
    trend = Portfolio.from_toml(SHIPPED[[path.stem for path in SHIPPED].index("trend")])
    assert (trend.capital, trend.currency, trend.start) == (1e7, "USD", datetime.date(2001, 1, 1))
    assert trend.markets == trend.strategies[0].markets == "all"
    assert [type(sleeve.strategy) for sleeve in trend.strategies] == [MovingAverageCross]
    assert isinstance(trend.sizing, VolatilityTarget) and trend.sizing.target == 0.20
    assert (trend.rolls.rule, trend.rolls.fill, trend.execution.fx) == ("volume:1", "settle", "sweep")


@settings(max_examples=40, deadline=None)
@given(
    some.builds(
        Portfolio,
        name=some.text(some.characters(exclude_categories=["Cs"])),
        capital=some.one_of(some.integers(1, 10**9), some.floats(1.0, 1e12)),
        currency=some.sampled_from(["USD", "EUR", "JPY"]),
        compounding=some.booleans(),
        markets=some.one_of(
            some.just("all"), some.lists(some.sampled_from(["ZN", "MES", "6E"]), min_size=1, unique=True)
        ),
        start=some.one_of(some.none(), some.dates()),
        strategies=some.lists(
            some.builds(
                Sleeve,
                strategy=some.builds(MovingAverageCross, fast=some.integers(1, 50), slow=some.integers(50, 5000)),
                weight=some.floats(0, 100),
                markets=some.one_of(some.just("all"), some.just(["ZN", "6E"])),
            ),
            min_size=1,
            max_size=3,
        ),
        sizing=some.one_of(
            some.builds(FixedContracts, contracts=some.floats(0, 1e6)),
            some.builds(VolatilityTarget, target=some.floats(0, 5), span=some.integers(1, 5000)),
        ),
        costs=some.builds(
            Costs,
            commission_per_side=some.one_of(some.none(), some.floats(0, 100)),
            roots=some.dictionaries(
                some.sampled_from(["ZN", "6E"]), some.builds(SideCost, slippage_ticks=some.floats(0, 9))
            ),
        ),
        margin=some.builds(Margin, missing=some.sampled_from(["estimate", "error"]), k=some.floats(0.5, 50)),
        limits=some.builds(Limits, max_contracts=some.one_of(some.none(), some.integers(0, 100))),
        rolls=some.builds(
            Rolls,
            rule=some.sampled_from(ROLL_RULES),
            roots=some.dictionaries(some.sampled_from(["ZN", "6E"]), some.sampled_from(ROLL_RULES)),
        ),
        execution=some.builds(Execution, fx=some.sampled_from(["sweep", "hold"])),
    )
)
def test_every_portfolio_equals_its_toml_both_ways(portfolio):
    again = Portfolio.from_toml(portfolio.to_toml())
    assert again == portfolio and again.to_toml() == portfolio.to_toml()


def test_two_portfolios_that_differ_anywhere_are_not_equal():
    changes = [
        "rolls.roots.ZN=oi",
        "capital=5",
        "slow=41",
        "sizing.target=0.1",
        "rolls.fill=open",
        "costs.roots.ZN.slippage_ticks=2",
        "k=3",
    ]
    made = [small(), *(small().with_settings([change]) for change in changes)]
    assert len({portfolio.to_toml() for portfolio in made}) == len(made)
    assert all(one != other for i, one in enumerate(made) for other in made[:i])


def test_the_fingerprint_knows_the_settings_and_the_cost_file(monkeypatch):
    one = small()
    assert one.fingerprint() == small().fingerprint() != small(capital=5.0).fingerprint()
    known = one.fingerprint()
    monkeypatch.setattr("engine.portfolio.table_hash", lambda: "an edited cost file")
    assert one.fingerprint() != known


def test_equal_settings_are_equal_text_however_they_were_written():
    loose = (
        '[[strategies]]\nslow = 40\nname = "moving_average_cross"\nfast = 10\n[portfolio]\nmarkets = ["ZN", "MES"]\n'
    )
    strict = (
        '[portfolio]\ncapital = 1e7\nmarkets = ["MES", "ZN"]\n'
        '[[strategies]]\nname = "moving_average_cross"\nparams = { fast = 10, slow = 40 }\n'
    )
    assert Portfolio.from_toml(loose).to_toml() == Portfolio.from_toml(strict).to_toml()
    assert Portfolio.from_toml(loose) == small(markets=["ZN", "MES"], capital=10_000_000)


def test_portfolios_do_not_share_their_parts():
    one, other = small(), small()
    one.sizing.target, one.costs.slippage_ticks = 0.1, 9.0
    assert other.sizing.target == 0.20 and other.costs.slippage_ticks is None
    assert Portfolio().sizing.target == 0.20


RULES = "fixed, notional, risk, volatility, portfolio_volatility, kelly, kelly_portfolio, equal_risk"
LEGS = "Whole contracts of two or more markets in one unit, short ones negative"
WRONG = {
    "[portfolio]\ncapitl = 5\n": "[portfolio] capitl: unknown key; allowed: name, capital, currency, compounding, "
    "markets, start, end, rebalance; nearest: capital",
    "[portfolio]\ncapital = 0\n": "[portfolio] capital = 0 is not allowed; allowed: a number above 0 and at most 1",
    "[portfolio]\ncapital = inf\n": "[portfolio] capital = Infinity is not allowed",
    '[portfolio]\ncurrency = "dollars"\n': '[portfolio] currency = "dollars" is not allowed; allowed: text such as USD',
    '[portfolio]\nmarkets = "MES"\n': '[portfolio] markets = "MES" is not allowed; allowed: text "all" or a list',
    "[portfolio]\nstart = 2001-01-01T00:00:00\n": "[portfolio] start = ",
    "[portfolio]\nstart = 2010-01-01\nend = 2009-01-01\n": "[portfolio] end = 2009-01-01 is before start = 2010-01-01",
    "[sizng]\ntarget = 0.2\n": "unknown section [sizng]; allowed: portfolio, strategies, spreads, sizing, costs, "
    "cash, margin, limits, rolls, execution, benchmark; nearest: sizing",
    '[sizing]\nrule = "volatilty"\n': f'[sizing] rule = "volatilty" is unknown; allowed: {RULES}; nearest: volatility',
    '[sizing]\nrule = "fixed"\ntarget = 0.2\n': "[sizing] target: unknown key; allowed: rule, rounding, buffer, "
    "contracts",
    "[sizing]\nrule = 3\n": f"[sizing] rule = 3 is unknown; allowed: {RULES}",
    '[sizing]\ntarget = "big"\n': '[sizing] target = "big" is not allowed; allowed: a number from 0 to 5',
    '[rolls]\nrule = "volume;1"\n': '[rolls] rule = "volume;1" is not allowed; allowed: text such as volume:1',
    '[rolls]\nrule = "volume:1\\n"\n': '[rolls] rule = "volume:1\\n" is not allowed; allowed: text such as volume:1',
    '[rolls]\nrule = " "\n': '[rolls] rule = " " is not allowed; allowed: text such as volume:1',
    "[rolls]\nrule = 1\n": "[rolls] rule = 1 is not allowed; allowed: text such as volume:1",
    '[rolls.roots]\nGC = "oi?"\n': '[rolls] roots.GC: rule = "oi?" is not allowed; allowed: text such as volume:1',
    "[rolls]\nroots = 3\n": "[rolls] roots = 3 is not allowed; allowed: a table [rolls.roots] of root = rule",
    '[rolls]\nfill = "setle"\n': '[rolls] fill = "setle" is not allowed; allowed: "settle" or "open"; nearest: settle',
    '[execution]\nfill = "same"\n': '[execution] fill = "same" is not allowed; allowed: "open" or "close" or "settle" '
    'or "same_close"; nearest: same_close',
    '[execution]\nties = "best"\n': '[execution] ties = "best" is not allowed; allowed: "worst" or "nearer" or "finer"',
    '[execution]\nlimit = "toch"\n': '[execution] limit = "toch" is not allowed; allowed: "through" or "touch"',
    '[execution]\nlocked = "on"\n': '[execution] locked = "on" is not allowed; allowed: "known" or "flat" or "off"',
    '[execution]\nbars = "hour"\n': '[execution] bars = "hour" is not allowed; allowed: "day" or "within"',
    '[execution]\ndecision = "25:00 UTC"\n': '[execution] decision = "25:00 UTC" is not allowed; allowed: text such as '
    "own or 16:00 America/New_York",
    "[execution]\nparticipation = 0\n": "[execution] participation = 0 is not allowed; allowed: a number above 0 and "
    "at most 1",
    "[cash]\nfee = 2\n": "[cash] fee = 2 is not allowed; allowed: a number from 0 to 1",
    "[cash]\nfees = 0.02\n": "[cash] fees: unknown key; allowed: credit_spread, debit_spread, fee, fixed_fee, floor, "
    "payments; nearest: fee",
    "[cash]\npayments = [{ day = 2020-01-01 }]\n": "[cash] payments: row 1: has no amount; allowed: a number from "
    "-1e15 to 1e15",
    "[[cash.payments]]\nday = 2020-01-01\namount = 5\n[[cash.payments]]\ndya = 2020-01-01\namount = 5\n": "[cash] "
    "payments: row 2: dya is unknown; allowed: day, amount, note; nearest: day",
    "[cash]\nfloor = 1e8\n": "[cash] floor = 100_000_000 is above [portfolio] capital = 10_000_000, so that nothing "
    "would ever be bought; allowed: at most 10_000_000",
    "[portfolio]\ncapital = 2e15\n": "[portfolio] capital = 2e15 is not allowed; allowed: a number above 0 and at most "
    "1e15",
    '[sizing]\nrounding = "up"\n': '[sizing] rounding = "up" is not allowed; allowed: "toward_zero" or "fractional" or '
    '"nearest_risk"',
    "[sizing]\nbuffer = 2\n": "[sizing] buffer = 2 is not allowed; allowed: a number from 0 to 1",
    "[rolls]\ndays = 0\n": "[rolls] days = 0 is not allowed; allowed: a whole number from 1 to 20",
    '[margin]\ncall = "all"\n': '[margin] call = "all" is not allowed; allowed: "pro_rata" or "largest_requirement" or '
    '"largest_loser"',
    "[margin]\nintraday = 0\n": "[margin] intraday = 0 is not allowed; allowed: a number above 0 and at most 1",
    "[limits]\ngross_notional = -1\n": "[limits] gross_notional = -1 is not allowed; allowed: a number from 0 to ",
    '[limits]\ngroups = { a = ["ES"], b = ["ES"] }\n': '[limits] groups = {"a": ["ES"], "b": ["ES"]} is not allowed; '
    "allowed: Groups of `group_risk`, {name: [roots]}",
    '[portfolio]\nrebalance = "week"\n': '[portfolio] rebalance = "week" is not allowed; allowed: "never" or "month" '
    'or "quarter" or "year"',
    "spreads = 3\n": "[spreads] is not a table; allowed: tables such as [spreads.crack] with legs",
    "[spreads]\ncrack = 3\n": "[spreads.crack] 3 is not a table; allowed: a table of legs",
    "[spreads.crack]\n": "[spreads.crack] has no legs; allowed: legs = {CL = 1, RB = -1} and the like",
    "[spreads.crack]\nlegz = { RB = 1, CL = -1 }\n": "[spreads.crack] legz: unknown key; allowed: legs; nearest: legs",
    "[spreads.crack]\nlegs = { RB = 1 }\n": f'[spreads.crack] legs = {{"RB": 1}} is not allowed; allowed: {LEGS}',
    "[spreads.crack]\nlegs = { RB = 1, CL = 0 }\n": '[spreads.crack] legs = {"RB": 1, "CL": 0} is not allowed; '
    f"allowed: {LEGS}",
    "[spreads.crack]\nlegs = { RB = 1.5, CL = -1 }\n": '[spreads.crack] legs = {"RB": 1.5, "CL": -1} is not allowed; '
    f"allowed: {LEGS}",
    '[portfolio]\nmarkets = ["CL"]\n[spreads.CL]\nlegs = { "CL.c.0" = 1, "CL.c.3" = -1 }\n': "[spreads.CL] has the "
    "name of a market; allowed: a name of its own",
    '[margin]\nmissing = "zero"\n': '[margin] missing = "zero" is not allowed; allowed: "estimate" or "error"',
    "[limits]\nmax_contracts = -1\n": "[limits] max_contracts = -1 is not allowed; allowed: a whole number from 0",
    "[costs]\nslippage = 1\n": "[costs] slippage: unknown key; allowed: commission_per_side, slippage_ticks, "
    "half_spread_ticks, roll_slippage_ticks, impact_factor, spread, roll_order, roll_commission, impact, roots, dated; "
    "nearest: slippage_ticks",
    "[costs.roots.MES]\nslippage_ticks = -1\n": "[costs] roots.MES: slippage_ticks = -1 is not allowed; allowed: a",
    "[costs]\nroots = 3\n": "[costs] roots = 3 is not allowed; allowed: tables such as [costs.roots.MES]",
    "portfolio = 3\n": "[portfolio] 3 is not a table",
    "rolls = 3\n": "[rolls] 3 is not a table",
    "sizing = 3\n": f"[sizing] no rule; allowed: {RULES}",
}
WRONG_STRATEGIES = {
    "": "no strategy; allowed: at least one [[strategies]] with a name of moving_average_cross",
    "strategies = []\n": "no strategy; allowed: at least one [[strategies]]",
    "[strategies]\nname = 'moving_average_cross'\n": "no strategy; allowed: at least one [[strategies]]",
    "[[strategies]]\nweight = 1\n": "[[strategies]] 0: no name; allowed: moving_average_cross",
    "[[strategies]]\nname = 'moving_averge_cross'\n": '[[strategies]] 0: name = "moving_averge_cross" is unknown; '
    f"allowed: {', '.join(STRATEGIES)}; nearest: moving_average_cross",
    SMALL
    + "wieght = 1\n": "[[strategies]] 0: wieght: unknown key; allowed: name, weight, markets, capital, start, stop, "
    "params, fast, slow; nearest: weight",
    SMALL + "weight = -1\n": "[[strategies]] 0: weight = -1 is not allowed; allowed: a number from 0 to 100",
    SMALL + "capital = 2\n": "[[strategies]] 0: capital = 2 is not allowed; allowed: a number above 0 and at most 1",
    SMALL
    + "capital = 0.5\n": "[[strategies]] capital is 0.5; allowed: shares of all strategies that sum to 1, or of none",
    SMALL
    + "capital = 0.5\n"
    + SMALL: "[[strategies]] capital is 0.5, None; allowed: shares of all strategies that sum to",
    SMALL + 'stop = "x"\n': '[[strategies]] 0: stop = "x" is not allowed; allowed: a date such as 2001-01-31',
    SMALL + "params = { fats = 3 }\n": "[[strategies]] 0: params: fats: unknown key; allowed: fast, slow; nearest: fa",
    SMALL + "params = { fast = 2.5 }\n": "[[strategies]] 0: params: fast = 2.5 is not allowed; allowed: a whole number "
    "from 1 to 5000",
    SMALL + "params = 3\n": "[[strategies]] 0: params: 3 is not a table",
    SMALL + "fast = 3\nparams = { fast = 3 }\n": "[[strategies]] 0: fast stands there twice",
    SMALL + SMALL + "fast = 0\n": "[[strategies]] 1: params: fast = 0 is not allowed",
    SMALL + "weight = \n": "not TOML: ",
}


@pytest.mark.parametrize("text", [*(text + SMALL for text in WRONG), *WRONG_STRATEGIES])
def test_a_mistake_is_told_in_one_line_with_its_file(tmp_path, text):
    told = WRONG.get(text.removesuffix(SMALL)) if text.removesuffix(SMALL) in WRONG else WRONG_STRATEGIES[text]
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as fault:
        Portfolio.from_toml(path)
    assert str(fault.value).startswith(f"{path}: {told}")
    assert "\n" not in str(fault.value)


def test_a_missing_file_and_a_file_of_bytes_are_told(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file"):
        Portfolio.from_toml(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"bytes\.toml: cannot be read: not UTF-8 text"):
        Portfolio.from_toml(tmp_path / "bytes.toml")


def test_a_complaint_ends_without_the_unit_of_a_fraction():
    with pytest.raises(ConfigError, match=r"past weeks\.$"):
        small().with_settings(["diversification=99"])


def test_a_floor_at_the_capital_is_allowed_and_above_it_refused_whichever_is_set_last():
    assert small(capital=1e6).with_settings(["floor=1e6"]).cash.floor == 1e6
    with pytest.raises(ConfigError, match=r"floor = 1_000_000 is above \[portfolio\] capital = 500_000"):
        small(capital=1e6).with_settings(["floor=1e6", "capital=5e5"])


def test_settings_change_a_copy():
    portfolio = small()
    changed = portfolio.with_settings(
        ["sizing.target=0.1", "strategies.0.fast=12", "start=2010-01-01", "markets=ZN,MES", "capital=5e5"]
    )
    assert (changed.sizing.target, changed.strategies[0].strategy.fast, changed.capital) == (0.1, 12, 5e5)
    assert changed.start == datetime.date(2010, 1, 1) and changed.markets == ["MES", "ZN"]
    assert portfolio == small()
    assert portfolio.with_settings([]) == portfolio


def test_a_key_may_be_short_where_it_means_one_thing():
    assert small().with_settings(["slow=99"]).strategies[0].strategy.slow == 99
    assert small().with_settings(["strategies.0.params.slow=99"]).strategies[0].strategy.slow == 99
    assert small().with_settings(["name=other"]).name == "other"
    with pytest.raises(ConfigError, match=r"fill means several settings; allowed: rolls.fill, execution.fill"):
        small().with_settings(["fill=open"])
    two = Portfolio(strategies=[Sleeve(strategy=MovingAverageCross()), Sleeve(strategy=MovingAverageCross())])
    with pytest.raises(ConfigError, match=r"fast means several settings; allowed: strategies.0.params.fast, strateg"):
        two.with_settings(["fast=9"])


def test_a_setting_may_be_taken_back():
    assert small(end=datetime.date(2020, 1, 1)).with_settings(["end=none"]).end is None


def test_a_new_rule_keeps_what_both_rules_know():
    fixed = small().with_settings(["sizing.contracts=3", "sizing.rule=fixed"])
    assert isinstance(fixed.sizing, FixedContracts) and fixed.sizing.contracts == 3
    assert isinstance(fixed.with_settings(["sizing.rule=volatility"]).sizing, VolatilityTarget)


def test_dates_are_judged_after_all_settings():
    old = small(start=datetime.date(2001, 1, 1), end=datetime.date(2005, 1, 1))
    assert old.with_settings(["start=2010-01-01", "end=2012-01-01"]).start.year == 2010
    with pytest.raises(ConfigError, match=r"portfolio: \[portfolio\] end = 2005-01-01 is before start = 2010-01-01"):
        old.with_settings(["start=2010-01-01"])


@pytest.mark.parametrize(
    "change, told",
    [
        (
            "sizing.targt=1",
            "sizing.targt: unknown setting; allowed: sizing.rule, sizing.rounding, sizing.buffer, sizing.t",
        ),
        ("targt=1", "targt: unknown setting; allowed: portfolio.name"),
        ("strategies.1.fast=3", "strategies.1.fast: unknown setting; allowed: strategies.0.name"),
        ("costs.roots.MES.slip=1", "costs.roots.MES.slip: unknown setting; allowed: costs.commission_per_side"),
        ("sizing.target", "has no value; allowed: key=value"),
        ("sizing.rule=vol", f'[sizing] rule = "vol" is unknown; allowed: {RULES}; nearest: volatility'),
        ("spreads.crack=1", "spreads.crack: unknown setting; allowed: portfolio.name"),
        ("spreads.crack.leg=1", "spreads.crack.leg: unknown setting; allowed: portfolio.name"),
        ("spreads.crack.legs={RB=1}", f'[spreads.crack] legs = {{"RB": 1}} is not allowed; allowed: {LEGS}'),
        (
            "strategies.0.capital=7",
            "[[strategies]] 0: capital = 7 is not allowed; allowed: a number above 0 and at most 1",
        ),
        ("cash.payments=5", "[cash] payments = 5 is not allowed; allowed: Money paid in"),
        ("limits.groups.a=1", "limits.groups.a: unknown setting; allowed: limits.max_contracts"),
        ("fast=x", '[[strategies]] 0: params: fast = "x" is not allowed; allowed: a whole number from 1 to 5000'),
        ("strategies.0.name=x", '[[strategies]] 0: name = "x" is unknown; allowed: moving_average_cross'),
    ],
)
def test_a_wrong_setting_is_told_in_one_line(change, told):
    with pytest.raises(ConfigError) as fault:
        small().with_settings([change])
    assert str(fault.value).startswith(f"--set {change}: {told}")
    assert "\n" not in str(fault.value)


def test_roots_are_sorted_and_of_those_stored():
    stored = ["ZN", "MES", "6E"]
    assert small().roots(stored) == ["6E", "MES", "ZN"]
    assert small(markets=["ZN", "MES"]).roots(stored) == ["MES", "ZN"]
    with pytest.raises(ConfigError, match=r"\[portfolio\] markets: market 'ME' is not there; .*nearest: MES"):
        small(markets=["ME"]).roots(stored)
    sleeve = Sleeve(strategy=MovingAverageCross(), markets=["ZN"])
    with pytest.raises(ConfigError, match=r"\[\[strategies\]\] markets: market 'ZN' is not there; allowed: MES"):
        Portfolio(strategies=[sleeve], markets=["MES"]).roots(stored)


def test_members_are_strategy_by_strategy():
    cross = MovingAverageCross()
    portfolio = Portfolio(strategies=[Sleeve(strategy=cross), Sleeve(strategy=cross, markets=["ZN"])])
    assert portfolio.members(["6E", "MES", "ZN"]) == [(0, "6E"), (0, "MES"), (0, "ZN"), (1, "ZN")]
    assert portfolio.labels() == ["moving_average_cross", "moving_average_cross 2"]


def test_every_strategy_and_every_rule_can_stand_in_a_portfolio():
    for kind in STRATEGIES.values():
        for rule in SIZERS.values():
            portfolio = Portfolio(strategies=[Sleeve(strategy=kind())], sizing=rule())
            assert Portfolio.from_toml(portfolio.to_toml()) == portfolio
