"""Limits: what each cuts, in which order, and that every cut is told."""

import tomllib

import numpy as np
import pytest

from engine import book, limits, settings, state
from engine.kernel import opened
from engine.netting import Holdings, netting
from engine.sections import Execution, Limits, Margin, Rolls
from tests.plain_margin import Account, limited, nets_of, random_book, sums_of, table

APPLY, BOOKS = opened(limits.apply), range(250)
FIGURES = (
    "max_contracts", "sector_contracts", "side_contracts", "volume_share", "open_interest_share", "group_risk",
    "gross_notional", "net_notional", "margin_to_equity",
)  # fmt: skip


def facts_of(markets, **given):
    """One row of facts: a point is worth 10, all else 1 unless given."""
    rows = {name: np.full((1, markets), 10.0 if name == "multiplier" else 1.0) for name in book.Facts._fields}
    return book.Facts(**(rows | {name: np.array([values], float) for name, values in given.items()}))


def applied(target, held, price, lines, room, facts, *rest):
    """`limits.apply` of a row of facts."""
    each = np.array([getattr(facts, name)[0] for name in state.EACH], float)
    return APPLY(target, held, price, lines, room, each, *rest)


def cut(target, most, root=None, contract=None, member=None, ratio=None, sector=None, group=None, **given):
    """Targets after limits, and what was told, of lines that are a market each; equity is 1,000, prices are 2."""
    equity, whole, credit = given.pop("equity", 1000.0), given.pop("whole", True), given.pop("credit", 0.0)
    price = np.array(given.pop("price", [2.0] * len(target)), float)
    target, row = np.array(target, float), np.arange(len(target))
    lines = book.Lines(
        row,
        row if member is None else np.array(member),
        np.ones(len(row)) if ratio is None else np.array(ratio, float),
        0 * row,
        row if root is None else np.array(root),
        row if sector is None else np.array(sector),
        row if group is None else np.array(group),
    )
    held = Holdings(0 * target, 0 * target, 0 * row if contract is None else np.array(contract), 0 * row)
    cuts = np.empty((limits.KINDS * len(row), 4))
    figures = most.tuple(len(row), int(lines.group.max()) + 1)
    facts = facts_of(len(row), **given)
    count = applied(target, held, price, lines, netting(lines), facts, figures, credit, 1.0, equity, whole, cuts)
    told = [(int(i), book.EVENTS[int(kind)], wanted, got) for i, kind, wanted, got in cuts[:count].tolist()]
    return target.tolist(), told


def test_without_limits_nothing_is_cut():
    assert cut([1e6, -3.0], Limits()) == ([1e6, -3.0], [])


def test_contracts_of_a_root_are_limited_net_of_all_its_lines():
    target, told = cut([8, -2, 7], Limits(max_contracts=5), root=[0, 0, 1])
    assert target == [7, -2, 5]
    assert told == [(0, "limit contracts", 8, 7), (2, "limit contracts", 7, 5)]


def test_two_lines_of_a_root_give_in_proportion():
    """Nine net of twelve and three: five go, of the twelve and the six on the long side."""
    assert cut([12, 6, -9], Limits(max_contracts=4), root=[0, 0, 0])[0] == [8, 4, -9]  # 3 too few: whole, then 4


def test_a_limit_of_no_contracts_leaves_none():
    assert cut([3, -2, 4], Limits(max_contracts=0), root=[0, 0, 1])[0] == [2, -2, 0]  # of a root, net


def test_a_short_is_limited_as_a_long_is():
    assert cut([-8], Limits(max_contracts=5)) == ([-5], [(0, "limit contracts", -8, -5)])


def test_sector_contracts_are_added_long_and_short():
    """Twenty in the sector of which ten are allowed: each by half; the other sector is as it was."""
    target, told = cut([12, -8, 30], Limits(sector_contracts=10), sector=[0, 0, 2])
    assert target == [6, -4, 10]
    assert {kind for _, kind, *_ in told} == {"limit sector contracts"}


def test_lines_of_one_contract_net_before_they_are_added():
    """12 and -8 of one contract are four; a calendar spread is both of its sides."""
    assert cut([12, -8], Limits(sector_contracts=10), root=[0, 0], sector=[0, 0])[0] == [12, -8]
    assert cut([12, -8], Limits(sector_contracts=10), root=[0, 0], sector=[0, 0], contract=[1, 2])[0] == [6, -4]


def test_long_and_short_sides_are_limited_apart():
    assert cut([12, 8, -5], Limits(side_contracts=10))[0] == [6, 4, -5]


def test_a_contract_is_limited_to_a_share_of_its_usual_volume():
    """T23 for positions: a volume of 40 and a tenth allow four; an unknown volume bounds nothing."""
    target, told = cut([10, 10], Limits(volume_share=0.1), liquidity=[40, np.nan])
    assert (target, told) == ([4, 10], [(0, "limit volume", 10, 4)])


def test_a_contract_is_limited_to_a_share_of_its_open_interest():
    target, told = cut([-10], Limits(open_interest_share=0.02), open_interest=[299])
    assert (target, told) == ([-5], [(0, "limit open interest", -10, -5)])


def test_the_risk_of_a_group_is_limited_as_if_it_moved_as_one():
    """sigma 1, a point is 10: 10 x sqrt(252) = 158.7 a contract and year; 500 are allowed, 3.15 contracts net."""
    target, told = cut([9, -2, 5], Limits(group_risk=0.5), group=[0, 0, -1])
    assert target == [5, -2, 5]
    assert told == [(0, "limit group risk", 9, 5)]


def test_what_has_no_known_risk_counts_none():
    assert cut([9, 2], Limits(group_risk=0.5), group=[0, 0], sigma=[np.nan, 1.0])[0] == [9, 2]


def test_gross_notional_is_long_and_short_added():
    """20 a contract; 1,000 of equity times 1.5 are 75 contracts, and 150 are wanted."""
    target, told = cut([100, -50], Limits(gross_notional=1.5))
    assert target == [50, -25]
    assert told == [(0, "limit gross notional", 100, 50), (1, "limit gross notional", -50, -25)]


def test_net_notional_cuts_the_heavier_side_only():
    assert cut([100, -20], Limits(net_notional=1.0))[0] == [70, -20]


def test_notional_of_a_negative_price_is_what_it_is_worth_without_the_sign():
    """CL on 2020-04-20."""
    assert cut([100], Limits(gross_notional=1.0), price=[-37.63])[0] == [2]


def test_margin_to_equity_scales_all_alike():
    target, told = cut([60, -40], Limits(margin_to_equity=0.5), initial=[10, 10])
    assert target == [30, -20]
    assert {kind for _, kind, *_ in told} == {"limit margin"}


def test_margin_within_the_day_is_a_share_of_it():
    most = Limits(margin_to_equity=0.5).tuple(1, 1)
    one, row = np.zeros(1), np.zeros(1, np.int64)
    lines, target, cuts = book.Lines(row, row, one + 1, row, row, row, row), np.array([60.0]), np.empty((9, 4))
    facts, room = facts_of(1, initial=[10]), netting(lines)
    held = Holdings(one, one, row, row)
    assert applied(target, held, one, lines, room, facts, most, 0.0, 0.5, 600.0, True, cuts) == 0
    assert applied(target, held, one, lines, room, facts, most, 0.0, 1.0, 600.0, True, cuts) == 1
    assert target.tolist() == [30]


def test_limits_are_told_apart_in_their_order():
    target, told = cut([100], Limits(max_contracts=60, volume_share=1.0, gross_notional=0.4), liquidity=[50])
    assert target == [20]
    assert told == [
        (0, "limit contracts", 100, 60),
        (0, "limit volume", 60, 50),
        (0, "limit gross notional", 50, 20),
    ]


def test_a_spread_is_cut_by_whole_units_and_all_its_legs_are_told():
    target, told = cut([12, -18], Limits(volume_share=1.0), member=[0, 0], ratio=[2, -3], liquidity=[100, 13])
    assert target == [8, -12]
    assert told == [(0, "limit volume", 12, 8), (1, "limit volume", -18, -12)]


def test_a_limit_that_another_cut_broke_is_kept_too():
    """Volume cuts the short line of a root that was within its net limit of four; so the long one has to follow."""
    most = Limits(max_contracts=4, volume_share=1.0)
    target, told = cut([10, -8], most, root=[0, 0], contract=[1, 2], liquidity=[100, 3])
    assert target == [7, -3]
    assert told == [(1, "limit volume", -8, -3), (0, "limit contracts", 10, 7)]


def test_a_target_that_meets_a_limit_is_not_cut_for_rounding():
    price = 0.1 + 0.2  # 3 x 0.1 is not 0.3
    assert cut([10], Limits(gross_notional=0.03), price=[price], equity=1000.0) == ([10], [])


def test_without_equity_what_is_measured_by_it_goes_to_zero():
    assert cut([10, -5], Limits(gross_notional=5.0), equity=-200.0)[0] == [0, 0]


def test_fractional_targets_meet_the_limit():
    target, _ = cut([100, -50], Limits(gross_notional=1.01), whole=False)
    assert sum(map(abs, target)) == pytest.approx(50.5)


def test_sectors_are_the_groups_where_none_are_named():
    numbers, names = Limits().grouped(["ES", "GC", "NQ"], ["equity", "metals", "equity"])
    assert (numbers.tolist(), names) == ([0, 1, 0], ("equity", "metals"))


def test_a_root_is_in_one_group_at_most():
    with pytest.raises(ValueError, match="one of them at most"):
        Limits(groups={"a": ["ES"], "b": ["ES", "NQ"]})


def test_groups_come_back_from_a_file_in_their_order():
    some = Limits(groups={"metals": ["SI", "GC"], "energy": ("NG", "CL")})
    text = settings.to_toml({"limits": settings.table_of(some)})
    assert text.endswith('[limits.groups]\nenergy = ["CL", "NG"]\nmetals = ["GC", "SI"]\n')
    again = settings.read(Limits, tomllib.loads(text)["limits"], "[limits]")
    assert settings.table_of(again) == settings.table_of(some)


@pytest.mark.parametrize("wrong", [{"energy": []}, {"energy": "CL"}, ["CL"], {"energy": [1]}])
def test_groups_are_lists_of_roots(wrong):
    with pytest.raises(settings.ConfigError, match=r"groups = .* is not allowed; allowed: Groups of"):
        settings.read(Limits, {"groups": wrong}, "[limits]")


@pytest.mark.parametrize("text", ["own", "16:00 America/New_York", "09:30 UTC"])
def test_a_decision_is_ones_own_or_at_a_time_of_day(text):
    assert Execution(decision=text).decision == text


@pytest.mark.parametrize("text", ["", "16:00", "24:00 UTC", "4pm America/New_York", "16:00 America/New York"])
def test_another_decision_is_refused(text):
    with pytest.raises(settings.ConfigError, match="text such as own or 16:00 America/New_York"):
        settings.read(Execution, {"decision": text}, "[execution]")


def test_what_sections_say_of_the_account_has_the_names_of_its_fields():
    told = Margin().numbers() | Rolls().numbers() | Execution().numbers()
    assert set(told) < set(book.Account._fields)
    assert told["participation"] == np.inf and told["roll_days"] == 1 and told["call"] == book.PRO_RATA


def test_every_figure_of_the_section_reaches_its_limit():
    for key in FIGURES:
        most = Limits(**{key: 3}).tuple(2, 1)
        assert most.any
        small = [np.min(value) for value in most[1:]]
        assert sorted(small)[0] == 3.0 and np.isinf(small).sum() == len(small) - 1
    assert not Limits().tuple(2, 1).any


def random_limits(rng, lines):
    """A few limits, so low that they cut about half of the time."""
    figures = (8, 30, 30, 0.02, 0.02, 0.3, 1.0, 0.5, 0.4)
    most = [float(x * rng.choice([0.2, 1, 3])) if rng.random() < 0.35 else np.inf for x in figures]
    groups = int(lines.group.max()) + 1
    return book.Limits(True, np.full(len(lines.root), most[0]), *most[1:5], np.full(groups, most[5]), *most[6:])


def random_case(seed):
    whole = seed % 4 > 0
    held, lines, per_contract, fx, credit, target = random_book(seed, whole)
    rng = np.random.default_rng(seed)
    markets = len(per_contract)
    volume = np.where(rng.random(markets) < 0.2, np.nan, rng.integers(50, 2000, markets))
    facts = facts_of(
        markets, fx=fx, initial=per_contract, liquidity=volume, open_interest=5 * volume, sigma=rng.random(markets)
    )
    price = np.where(rng.random(markets) < 0.1, np.nan, rng.integers(-5, 100, markets) / 4.0)
    equity = float(rng.choice([-10.0, 3e3, 3e4, 3e5]))
    account = Account(held, lines, per_contract, fx, credit)
    return account, target, held, price, lines, facts, random_limits(rng, lines), credit, equity, whole


def test_limits_cut_as_the_slow_twin_does():
    cutting = 0
    for seed in BOOKS:
        account, target, held, price, lines, facts, most, credit, equity, whole = random_case(seed)
        expected, rows = limited(account, target, price, lines, 0, facts, most, 0.5, equity, whole)
        out, cuts, room = target.copy(), np.empty((limits.KINDS * len(target), 4)), netting(lines)
        count = applied(out, held, price, lines, room, facts, most, credit, 0.5, equity, whole, cuts)
        assert out == pytest.approx(np.array(expected), rel=1e-9, abs=1e-9), seed
        assert cuts[:count] == pytest.approx(np.array(rows).reshape(-1, 4), rel=1e-9, abs=1e-9), seed
        cutting += count > 0
    assert cutting > len(BOOKS) / 3


def test_after_all_limits_none_is_exceeded_and_each_change_has_a_cause():
    for seed in BOOKS:
        account, target, held, price, lines, facts, most, credit, equity, whole = random_case(1000 + seed)
        out, cuts, room = target.copy(), np.empty((limits.KINDS * len(target), 4)), netting(lines)
        count = applied(out, held, price, lines, room, facts, most, credit, 1.0, equity, whole, cuts)
        assert np.all(out * target >= 0) and np.all(abs(out) <= abs(target))
        assert set(cuts[:count, 0].astype(int)) == set(np.flatnonzero(out != target))
        for kind, rule in table(account, price, lines, 0, facts, most, max(equity, 0.0)):
            if kind == book.LIMIT_MARGIN:
                assert account.after(list(out)) <= rule * (1 + 2e-9)
                continue
            net_of, weight, sum_of, most_of = rule
            nets = nets_of(out, net_of, weight)
            sums = sums_of(nets, net_of, sum_of)
            for k, net in nets.items():
                if net:
                    first = net_of.index(k)
                    assert sums[sum_of(first, net)] <= most_of(first, net) * (1 + 2e-9)
        again = out.copy()
        assert applied(again, held, price, lines, room, facts, most, credit, 1.0, equity, whole, cuts) == 0


def test_a_thousand_times_the_capital_stays_finite_and_is_explained():
    most = Limits(max_contracts=10**6, gross_notional=20, margin_to_equity=0.9, group_risk=5)
    target, told = cut([3e12, -2e12, 1e300], most, equity=1e18, initial=[5e4, 5e4, 1e5], price=[4e3, 1e2, 1.0])
    assert np.all(np.isfinite(target)) and np.all(np.array(target) == np.trunc(target))
    assert {line for line, *_ in told} == {0, 1, 2}
