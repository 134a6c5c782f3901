"""Selection: what travels in a link, and what cannot be read is named."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.selection import Selection

names = st.lists(st.text(min_size=1, max_size=8), max_size=4, unique=True)
days = st.none() | st.tuples(st.dates(), st.dates()).map(lambda ends: tuple(sorted(ends)))


@given(days, names, names, names, st.lists(st.sampled_from(["long", "short"]), unique=True))
def test_a_selection_comes_back_from_its_link(picked, markets, sectors, strategies, directions):
    made = Selection(days=picked, markets=markets, sectors=sectors, strategies=strategies, directions=directions)
    assert Selection.from_query(made.to_query()).key() == made.key()


def test_everything_is_an_empty_link():
    assert Selection().to_query() == ""
    assert Selection.from_query("").key() == Selection().key()


def test_days_may_stand_in_either_order():
    assert Selection.from_query("2020-02-01~2019-01-01").days == (date(2019, 1, 1), date(2020, 2, 1))


@pytest.mark.parametrize("text", ["2020-13-01~2020-12-01", "yesterday", "x:ES", "2020-01-01", "~"])
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
