"""Settings: tables to objects and back, and the sentence for what is wrong."""

import datetime
import tomllib

import param
import pytest
from hypothesis import given
from hypothesis import strategies as some

from engine.settings import ConfigError, Markets, allowed, nearest, parsed, read, table_of, to_toml


class Things(param.Parameterized):
    """One param of each kind."""

    count = param.Integer(default=1, bounds=(0, 10))
    share = param.Number(default=0.5, bounds=(0, 1), inclusive_bounds=(False, True))
    loud = param.Boolean(default=False)
    title = param.String(default="x")
    side = param.Selector(default="long", objects=["long", "short"])
    day = param.CalendarDate(default=None, allow_None=True)
    markets = Markets(default="all")
    pair = param.Tuple(default=(1, 2), length=2)


TABLE = {
    "count": 3,
    "share": 1,
    "loud": True,
    "title": "y",
    "side": "short",
    "day": datetime.date(2001, 1, 31),
    "markets": ["ZN", "MES"],
    "pair": [3, 4],
}


def test_a_table_becomes_an_object_and_the_same_table_again():
    made = read(Things, TABLE, "here:")
    assert (made.count, made.share, made.loud, made.day) == (3, 1.0, True, datetime.date(2001, 1, 31))
    again = table_of(made)
    assert again == TABLE | {"share": 1.0, "markets": ["MES", "ZN"], "pair": (3, 4)}
    assert table_of(read(Things, tomllib.loads(to_toml(again)), "here:")) == again


def test_what_is_left_out_has_its_default_and_none_is_left_out():
    assert read(Things, {}, "here:").count == 1
    assert "day" not in table_of(Things())


def test_none_where_the_default_is_a_value_cannot_be_written():
    class Odd(param.Parameterized):
        size = param.Number(default=1.0, allow_None=True)

    with pytest.raises(ConfigError, match=r"Odd.size = None cannot be written"):
        table_of(Odd(size=None))


@pytest.mark.parametrize(
    "key, value, told",
    [
        ("count", 11, "count = 11 is not allowed; allowed: a whole number from 0 to 10"),
        ("count", True, "count = true is not allowed; allowed: a whole number from 0 to 10"),
        ("count", 1.0, "count = 1.0 is not allowed; allowed: a whole number from 0 to 10"),
        ("share", 0, "share = 0 is not allowed; allowed: a number above 0 and at most 1"),
        ("share", float("nan"), "share = NaN is not allowed; allowed: a number above 0 and at most 1"),
        ("share", "much", 'share = "much" is not allowed; allowed: a number above 0 and at most 1'),
        ("loud", 1, "loud = 1 is not allowed; allowed: true or false"),
        ("title", 5, "title = 5 is not allowed; allowed: text"),
        ("side", "shrt", 'side = "shrt" is not allowed; allowed: "long" or "short"; nearest: short'),
        ("day", "2001-02-30", 'day = "2001-02-30" is not allowed; allowed: a date such as 2001-01-31'),
        ("day", 2001, "day = 2001 is not allowed; allowed: a date such as 2001-01-31"),
        ("markets", [], 'markets = [] is not allowed; allowed: text "all" or a list of different roots, at least one'),
        ("markets", "MES", 'markets = "MES" is not allowed; allowed: text "all" or a list of different roots'),
        ("markets", ["ZN", "ZN"], 'markets = ["ZN", "ZN"] is not allowed'),
        ("markets", ["ZN", 3], 'markets = ["ZN", 3] is not allowed'),
        ("coun", 3, "coun: unknown key; allowed: count, share, loud, title, side, day, markets, pair; nearest: count"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(key, value, told):
    with pytest.raises(ConfigError) as fault:
        read(Things, {key: value}, "here:")
    assert str(fault.value).startswith(f"here: {told}")
    assert "\n" not in str(fault.value)


def test_a_value_in_place_of_a_table_is_told():
    with pytest.raises(ConfigError, match="here: 3 is not a table; allowed: a table of count, share"):
        read(Things, 3, "here:")


def test_a_long_value_is_told_in_part():
    with pytest.raises(ConfigError) as fault:
        read(Things, {"count": "x" * 5000}, "here:")
    assert len(str(fault.value)) < 200


def test_nothing_is_near_to_what_is_not_like_it():
    assert nearest("zzz", ["fixed", "volatility"]) == ""
    assert nearest("Fixd", ["fixed", "volatility"]) == "; nearest: fixed"
    assert nearest("vol", ["fixed", "volatility"]) == "; nearest: volatility"


@pytest.mark.parametrize(
    "text, key, value",
    [
        ("3", "count", 3),
        ("0.5", "share", 0.5),
        ("true", "loud", True),
        ("2010-01-01", "day", datetime.date(2010, 1, 1)),
        ("none", "day", None),
        ("2010-01-01", "title", "2010-01-01"),
        ('"quoted"', "title", "quoted"),
        ("plain words", "title", "plain words"),
        ("all", "markets", "all"),
        ("MES", "markets", ["MES"]),
        ("MES, ZN", "markets", ["MES", "ZN"]),
        ('["MES", "ZN"]', "markets", ["MES", "ZN"]),
        ("3\nloud = true", "count", "3\nloud = true"),
    ],
)
def test_text_of_a_command_line_means_what_the_param_takes(text, key, value):
    assert parsed(text, Things.param[key]) == value


@given(
    some.dictionaries(
        some.text(some.characters(exclude_categories=["Cs"]), min_size=1, max_size=8),
        some.one_of(
            some.text(some.characters(exclude_categories=["Cs"])),
            some.booleans(),
            some.integers(-(2**63), 2**63 - 1),
            some.floats(allow_nan=False),
            some.dates(),
            some.lists(some.text(some.characters(exclude_categories=["Cs"]))),
        ),
        max_size=6,
    )
)
def test_whatever_is_written_reads_as_the_same(table):
    assert tomllib.loads(to_toml({"section": table, "rows": [table, {}]})) == {"section": table, "rows": [table, {}]}


def test_what_toml_cannot_hold_is_an_error():
    with pytest.raises(ConfigError, match="cannot be written to a portfolio file"):
        to_toml({"section": {"key": object()}})


def test_words_for_open_ends():
    assert allowed(param.Number(bounds=(0, None))) == "a number at least 0"
    assert allowed(param.Integer()) == "a whole number"
