"""Spreads, strategies with capital of their own, and the sections of a portfolio: read, written, changed, refused."""

import datetime
import itertools

import pytest

from engine import book
from engine.cash import Cash
from engine.costs import Costs
from engine.members import Spread
from engine.portfolio import ConfigError, Portfolio, Sleeve
from engine.sections import Execution, Limits, Margin, Rolls
from engine.sizing import SIZERS
from engine.strategies.trend import MovingAverageCross

CROSS = '[[strategies]]\nname = "moving_average_cross"\n'
SPREADS = '[spreads.crack]\nlegs = { RB = 1, CL = -1 }\n[spreads.year]\nlegs = { "CL.c.0" = 1, "CL.c.3" = -1 }\n'
FULL = {  # section -> key -> a value that is not the default, as TOML has it
    "portfolio": {"rebalance": "quarter", "compounding": False, "end": datetime.date(2020, 1, 2)},
    "sizing": {"rounding": "fractional", "buffer": 0.1, "target": 0.3},
    "costs": {"spread": "table", "impact": "volume", "roll_order": "spread", "roll_slippage_ticks": 0.5},
    "cash": {
        "credit_spread": 0.01, "debit_spread": 0.02, "fee": 0.02, "fixed_fee": 50.0, "floor": 1000.0,
        "payments": [{"day": datetime.date(2020, 1, 2), "amount": -5.0, "note": "rent"}],
    },
    "margin": {"call": "largest_loser", "spread_credit": 0.5, "intraday": 0.25, "house": 1.5},
    "limits": {
        "max_contracts": 5, "sector_contracts": 50.0, "side_contracts": 60.0, "volume_share": 0.1,
        "open_interest_share": 0.2, "group_risk": 0.3, "groups": {"metals": ["GC", "SI"]}, "gross_notional": 4.0,
        "net_notional": 2.0, "margin_to_equity": 0.5,
    },
    "rolls": {"days": 5, "fill": "open"},
    "execution": {
        "fill": "settle", "fx": "hold", "limit": "touch", "ties": "nearer", "locked": "flat", "participation": 0.1,
        "stale_leg_days": 8, "bars": "within", "decision": "16:00 America/New_York",
    },
}  # fmt: skip


def portfolio(text="", strategies=CROSS):
    return Portfolio.from_toml(text + strategies)


def two(**changes):
    """Two strategies, each with half of the capital."""
    text = CROSS + "capital = 0.5\nstart = 2020-01-01\n" + CROSS + "capital = 0.5\nstop = 2021-01-01\n"
    return Portfolio.from_toml(text).with_settings([f"{key}={value}" for key, value in changes.items()])


@pytest.mark.parametrize("section", FULL)
def test_every_setting_of_a_section_is_read_written_and_put_in(section):
    text, changes = [f"[{section}]"], []
    for key, value in FULL[section].items():
        shown = repr(value).lower() if isinstance(value, bool) else str(value) if key == "end" else _toml(value)
        text.append(f"{key} = {shown}")
        changes.append(f"{section}.{key}={shown}")
    read = portfolio("\n".join(text) + "\n")
    part = read if section == "portfolio" else getattr(read, section)
    assert {key: getattr(part, key) for key in FULL[section]} == FULL[section]
    assert Portfolio.from_toml(read.to_toml()) == read == portfolio().with_settings(changes) != portfolio()
    assert len({portfolio().with_settings([change]).to_toml() for change in changes}) == len(changes)


def _toml(value):
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + "}"
    return str(value) if isinstance(value, datetime.date | float | int) else f'"{value}"'


def test_all_settings_of_the_sections_are_in_this_file():
    kinds = {"cash": Cash, "limits": Limits, "execution": Execution}
    assert all(set(FULL[name]) == set(kind.param) - {"name"} for name, kind in kinds.items())
    assert set(FULL["margin"]) == set(Margin.param) - {"name", "missing", "k"}
    assert set(FULL["rolls"]) == set(Rolls.param) - {"name", "rule", "roots"}
    assert set(FULL["costs"]) < set(Costs.param)


def test_an_account_has_every_number_of_the_sections():
    made = portfolio()
    told = made.execution.numbers() | made.margin.numbers() | made.rolls.numbers() | made.cash.numbers()
    ours = {"per_capital", "compounding", "rounding", "buffer", "power", "daily"}  # of sizing, costs, and bars
    assert set(told) == set(book.Account._fields) - ours


# Spreads


def test_a_spread_is_one_text_however_it_was_written():
    ways = [
        '[spreads.crack]\nlegs = { RB = 1, CL = -1 }\n[spreads.year]\nlegs = { "CL.c.0" = 1, "CL.c.3" = -1 }\n',
        '[spreads.year.legs]\n"CL.c.3" = -1\n"CL.c.0" = 1.0\n[spreads.crack.legs]\nCL = -1.0\nRB = 1\n',
    ]
    made = [portfolio(text) for text in ways]
    year, crack = Spread(legs={"CL.c.3": -1, "CL.c.0": 1}), Spread(legs={"RB": 1.0, "CL": -1})
    cross = MovingAverageCross()
    made.append(
        Portfolio(name="portfolio", strategies=[Sleeve(strategy=cross)], spreads={"year": year, "crack": crack})
    )
    assert len({one.to_toml() for one in made}) == 1 and len({one.fingerprint() for one in made}) == 1
    assert (
        '[spreads.crack.legs]\nCL = -1\nRB = 1\n\n[spreads.year.legs]\n"CL.c.0" = 1\n"CL.c.3" = -1\n'
        in made[0].to_toml()
    )
    for one in made:  # and the legs are traded in one order
        assert list(one.spreads["crack"].legs.items()) == [("CL", -1), ("RB", 1)]
        assert [name for _, name in one.members(["CL", "RB"])] == ["CL", "RB"]
        assert [name for _, name in one.with_settings(["strategies.0.markets=year,crack"]).members(["CL", "RB"])] == [
            "crack", "year",
        ]  # fmt: skip


def test_a_spread_loads_its_legs_and_is_decided_about_as_one():
    made = portfolio(SPREADS, CROSS + 'markets = ["ZN", "year"]\n')
    assert made.roots(["CL", "RB", "ZN"]) == ["CL.c.0", "CL.c.3", "ZN"]
    assert made.members(["CL.c.0", "CL.c.3", "ZN"]) == [(0, "ZN"), (0, "year")]
    assert made.named() == {"CL.c.0", "CL.c.3", "CL", "RB", "ZN"}


def test_all_markets_are_no_spreads_and_no_legs():
    made = portfolio(SPREADS, CROSS + CROSS + 'markets = ["crack"]\n')
    assert made.roots(["CL", "RB", "ZN"]) == ["CL", "RB", "ZN"]
    assert made.members(["CL", "RB", "ZN"]) == [(0, "CL"), (0, "RB"), (0, "ZN"), (1, "crack")]


def test_a_spread_of_markets_that_are_not_there_is_told():
    made = portfolio(SPREADS, CROSS + 'markets = ["crack"]\n')
    with pytest.raises(ConfigError, match=r"\[spreads\] legs: market 'RB' is not there; allowed: CL, ZN"):
        made.roots(["CL", "ZN"])
    with pytest.raises(
        ConfigError, match=r"market 'crak' is not there; allowed: CL, RB, and the spreads crack, year; ne"
    ):
        made.with_settings(["strategies.0.markets=crak"]).roots(["CL", "RB"])


def test_a_spread_with_the_name_of_a_stored_market_is_refused():
    made = portfolio('[spreads.CL]\nlegs = { "CL.c.0" = 1, "CL.c.3" = -1 }\n')
    with pytest.raises(ConfigError, match=r"\[spreads.CL\] has the name of a market; allowed: a name of its own"):
        made.roots(["CL", "RB"])


def test_legs_are_set_added_and_changed_from_the_command_line():
    made = portfolio(SPREADS).with_settings(["spreads.crack.legs={RB = 2, CL = -2}", "spreads.fly.legs={ZF=2, ZN=-1}"])
    assert {name: spread.legs for name, spread in made.spreads.items()} == {
        "crack": {"CL": -2, "RB": 2}, "fly": {"ZF": 2, "ZN": -1}, "year": {"CL.c.0": 1, "CL.c.3": -1},
    }  # fmt: skip
    assert portfolio().with_settings(["spreads.fly.legs={ZF=2, ZN=-1}"]).spreads["fly"].legs == {"ZF": 2, "ZN": -1}


@pytest.mark.parametrize(
    "legs", [{"RB": 1}, {"RB": 1, "CL": 0}, {"RB": 1, "CL": 0.5}, {"RB": 1, "CL": 5000}, [1], "RB"]
)
def test_a_spread_made_in_python_is_checked_as_well(legs):
    with pytest.raises(ValueError, match="are not a table of at least two markets, each with a whole ratio"):
        Spread(legs=legs)


# Strategies with capital of their own


def test_own_capital_and_days_are_read_and_written():
    made = two(rebalance="month")
    assert [(s.capital, s.start, s.stop) for s in made.strategies] == [
        (0.5, datetime.date(2020, 1, 1), None), (0.5, None, datetime.date(2021, 1, 1)),
    ]  # fmt: skip
    assert made.rebalance == "month" and Portfolio.from_toml(made.to_toml()) == made


def test_shares_have_to_sum_to_one_after_all_changes():
    changes = ["strategies.0.capital=0.3", "strategies.1.capital=0.7"]
    assert [sleeve.capital for sleeve in two().with_settings(changes).strategies] == [0.3, 0.7]
    with pytest.raises(
        ConfigError, match=r"capital is 0.3, 0.5; allowed: shares of all strategies that sum to 1, or of n"
    ):
        two().with_settings(changes[:1])
    none = two().with_settings(["strategies.0.capital=none", "strategies.1.capital=none"])
    assert [sleeve.capital for sleeve in none.strategies] == [None, None]


def test_tenths_sum_to_one():
    tenths = Portfolio(strategies=[Sleeve(strategy=MovingAverageCross(), capital=0.1) for _ in range(10)])
    assert Portfolio.from_toml(tenths.to_toml()) == tenths  # ten times 0.1 is not 1.0 in floating point


# What is wanted goes together


def test_every_rule_of_sizes_knows_rounding_and_buffer():
    for rule, rounding in itertools.product(SIZERS, ["toward_zero", "fractional", "nearest_risk"]):
        made = portfolio().with_settings([f"sizing.rule={rule}", f"rounding={rounding}", "buffer=0.2"])
        assert (made.sizing.rounding, made.sizing.buffer) == (rounding, 0.2)


def test_a_short_key_of_the_new_sections_is_found():
    made = portfolio().with_settings(
        ["participation=0.05", "ties=nearer", "call=largest_loser", "floor=5", "group_risk=0.2", "rolls.days=3"]
    )
    assert (made.execution.participation, made.execution.ties, made.margin.call) == (0.05, "nearer", "largest_loser")
    assert (made.cash.floor, made.limits.group_risk, made.rolls.days) == (5.0, 0.2, 3)
    with pytest.raises(
        ConfigError, match=r"stop means several settings; allowed: strategies.0.stop, strategies.1.stop"
    ):
        two().with_settings(["stop=2020-05-05"])


def test_a_strategy_that_stops_on_or_before_its_start_is_refused_when_it_is_read():
    for stop in ("2020-01-01", "2019-06-01"):
        with pytest.raises(ConfigError, match=rf"\[\[strategies\]\] 0: stop = {stop} is not after start = 2020-01-01"):
            portfolio(strategies=CROSS + f"start = 2020-01-01\nstop = {stop}\n")
    assert portfolio(strategies=CROSS + "start = 2020-01-01\nstop = 2020-01-02\n").strategies[0].stop
