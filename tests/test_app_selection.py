"""Selection: what travels in a link, and what cannot be read is named."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.selection import CHOICES, KEPT, KINDS, LISTS, RANGES, SIDES, Selection
from engine.analysis import regimes

names = st.lists(st.text(min_size=1, max_size=8), max_size=4, unique=True)
days = st.none() | st.tuples(st.dates(), st.dates()).map(lambda ends: tuple(sorted(ends)))


@given(days, names, names, names, st.lists(st.sampled_from(["long", "short"]), unique=True))
def test_a_selection_comes_back_from_its_link(picked, markets, sectors, strategies, directions):
    made = Selection(days=picked, markets=markets, sectors=sectors, strategies=strategies, directions=directions)
    assert Selection.from_query(made.to_query()).key() == made.key()


ends = st.none() | st.floats(-1e9, 1e9) | st.integers(-(10**6), 10**6)
ranges = st.none() | st.tuples(ends, ends).map(lambda both: tuple(sorted(both)) if None not in both else both)
fields = {
    "days": days, **dict.fromkeys(LISTS.values(), names), **dict.fromkeys(RANGES.values(), ranges),
    "regime": st.sampled_from(KINDS),
}  # fmt: skip


@given(st.fixed_dictionaries(fields | {"trade": st.none() | st.integers(1, 10**7)}))
def test_every_field_comes_back_from_its_link(chosen):
    made = Selection(**chosen)
    back = Selection.from_query(made.to_query())
    assert back.key() == made.key()
    assert (back.trade, back.regime) == (made.trade, made.regime)


def test_links_of_before_say_what_they_said():
    picked = Selection.from_query("2015-01-02~2018-12-31;m:MES,ZC;s:Grains;n:trend;d:long")
    assert picked.days == (date(2015, 1, 2), date(2018, 12, 31))
    assert (picked.markets, picked.sectors, picked.strategies, picked.directions) == (
        ["MES", "ZC"], ["Grains"], ["trend"], ["long"],
    )  # fmt: skip


def test_the_ends_of_a_range_may_be_open_and_stand_in_either_order():
    assert Selection.from_query("h:5~").holding == (5, None)
    assert Selection.from_query("p:~-250.5").results == (None, -250.5)
    assert Selection.from_query("p:100~-100").results == (-100, 100)


def test_kinds_of_regimes_are_those_of_the_engine():
    assert tuple(regimes.NAMES) == KINDS


def test_everything_is_an_empty_link():
    assert Selection().to_query() == ""
    assert Selection.from_query("").key() == Selection().key()


def test_days_may_stand_in_either_order():
    assert Selection.from_query("2020-02-01~2019-01-01").days == (date(2019, 1, 1), date(2020, 2, 1))


@pytest.mark.parametrize(
    "text",
    [
        "2020-13-01~2020-12-01",
        "yesterday",
        "x:ES",
        "2020-01-01",
        "~",
        "h:5",
        "h:a~b",
        "p:1~inf",
        "p:nan~",
        "t:one",
        "k:moon",
        "2020-01-01~2020-01-02~2020-01-03",
        "h",
    ],
)
def test_a_link_that_cannot_be_read_says_what_came_and_what_is_allowed(text):
    with pytest.raises(ValueError, match="allowed are FIRST~LAST"):
        Selection.from_query(text)


def test_reset_is_one_step():
    picked = Selection(markets=["ZC"], days=(date(2020, 1, 1), date(2020, 2, 1)))
    steps = []
    picked.param.watch(lambda *events: steps.append(len(events)), list(picked.param))
    picked.reset()
    assert len(steps) == 1
    assert picked.key() == Selection().key()


def test_a_second_tap_takes_the_bar_out_again():
    picked = Selection()
    picked.toggle("markets", "ZC")
    picked.toggle("markets", "MES")
    picked.toggle("markets", "ZC")
    assert picked.markets == ["MES"]


# Undo and redo


def test_undo_brings_back_the_selection_before_and_redo_takes_the_step_again():
    picked = Selection()
    assert not picked.can_undo and not picked.can_redo
    picked.toggle("markets", "ZC")
    picked.days = (date(2020, 1, 1), date(2020, 2, 1))
    picked.param.update(sectors=["Grains"], directions=["long"])
    picked.undo()
    assert (picked.markets, picked.sectors, picked.directions) == (["ZC"], [], [])
    assert picked.days and picked.can_redo
    picked.undo()
    picked.undo()
    assert picked.key() == Selection().key() and not picked.can_undo
    picked.undo()  # nothing happens
    for _ in range(3):
        picked.redo()
    assert (picked.markets, picked.sectors, picked.directions) == (["ZC"], ["Grains"], ["long"])
    assert picked.can_undo and not picked.can_redo


def test_a_new_step_forgets_what_was_undone():
    picked = Selection()
    picked.toggle("markets", "ZC")
    picked.undo()
    picked.toggle("markets", "ES")
    assert not picked.can_redo
    picked.redo()
    assert picked.markets == ["ES"]


@given(st.lists(st.fixed_dictionaries(fields), min_size=1, max_size=8))
def test_undo_leads_through_all_that_was_picked(steps):
    picked = Selection()
    seen = [picked.key()]
    for step in steps:
        picked.param.update(**step)
        if picked.key() != seen[-1]:
            seen.append(picked.key())
    for key in reversed(seen[:-1]):
        picked.undo()
        while picked.key() != key:  # a list in another order is a step that shows the same
            picked.undo()
    while picked.can_redo:
        picked.redo()
    assert picked.key() == seen[-1]


def test_a_change_by_those_who_watch_an_undo_is_no_step():
    picked = Selection()
    picked.toggle("markets", "ZC")
    picked.toggle("sectors", "Grains")
    picked.param.watch(lambda *_: picked.param.update(directions=["long"]), ["sectors"])
    picked.undo()
    assert picked.directions == ["long"] and picked.can_redo
    picked.undo()
    assert picked.markets == [] and not picked.can_undo


def test_the_trade_that_is_open_is_no_step_and_no_filter():
    picked = Selection()
    picked.trade = 17
    assert not picked.can_undo and picked.key() == Selection().key()
    assert picked.to_query() == "t:17" and picked.chips() == []
    picked.reset()
    assert picked.trade == 17


def test_only_the_last_steps_are_kept():
    picked = Selection()
    for k in range(KEPT + 50):
        picked.holding = (k, None)
    for _ in range(KEPT + 50):
        picked.undo()
    assert picked.holding == (49, None) and not picked.can_undo


def test_a_step_is_one_event_for_those_who_watch():
    picked = Selection()
    steps = []
    picked.param.watch(lambda *events: steps.append(len(events)), list(picked.param))
    picked.toggle("markets", "ZC")
    picked.pick(days=(date(2020, 1, 1), date(2020, 2, 1)), sectors=["Grains"])
    picked.clear("days")
    picked.undo()
    assert len(steps) == 4


# Chips


def test_chips_tell_all_that_is_picked():
    picked = Selection(
        days=(date(2020, 1, 1), date(2020, 2, 1)), markets=["ZC", "ES"], directions=["long"], entry_reasons=["stop"],
        exit_reasons=["signal"], regimes=["low"], holding=(None, 20), results=(-1500.0, 2000.5),
    )  # fmt: skip
    assert [label for _, _, label in picked.chips()] == [
        "2020-01-01 to 2020-02-01", "ES", "ZC", "long", "begun by stop", "ended by signal", "volatility: low",
        "at most 20 bars", "net -1,500 to 2,000.5",
    ]  # fmt: skip
    for field, value, _ in picked.chips():
        picked.toggle(field, value) if isinstance(getattr(picked, field), list) else picked.clear(field)
    assert picked.key() == Selection().key() and picked.chips() == []


def test_the_sides_are_those_of_a_trade():
    assert SIDES == ("long", "short") and "directions" in CHOICES
