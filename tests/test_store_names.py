"""store/names.py: what a name says, and what is told of a bad one."""

import pytest

from store import contracts, names
from store.contracts import Master
from store.names import BadName, Name, parse_name
from store.roll_rules import parse_rule


def test_letters_are_rules_and_the_last_number_is_the_rank():
    assert parse_name("ES.v.0") == Name("ES", "volume:1", 0)
    assert parse_name("ES.n.2") == Name("ES", "oi:1", 2)
    assert parse_name("CL.c.12") == Name("CL", "last-trade-0,exit=expiry", 12)
    assert parse_name(" databento:6E.v.1 ") == Name("databento:6E", "volume:1", 1)


def test_a_bare_root_names_no_rule():
    assert parse_name("6E") == Name("6E", None, 0)
    assert parse_name("BRENT-LAST") == Name("BRENT-LAST", None, 0)
    assert parse_name("HSI.HK") == Name("HSI.HK", None, 0)


@pytest.mark.parametrize("text", ["ES.x.0", "ES.V.0", "ES.v.-1", "ES.v.one", "ES.v.", "ES.v", "ES..0", ".v.0", ""])
def test_a_bad_name_is_told_with_what_is_allowed(text):
    with pytest.raises(BadName, match=r"write ROOT, or ROOT.LETTER.RANK: LETTER c .*, v \(volume:1\) or n \(oi:1\)"):
        parse_name(text)


def test_every_rule_of_a_name_can_be_read():
    for name in ("ES.c.0", "ES.v.0", "ES.n.0"):
        assert str(parse_rule(parse_name(name).rule)) == parse_name(name).rule


def test_the_master_finds_the_market_of_a_name_by_the_same_pattern():
    assert contracts.CONTINUOUS is names.CONTINUOUS
    master = Master.load()
    for text in ("ES.c.0", "ES.v.1", "ES.n.12"):
        assert master.resolve(text) == "ES" == master.resolve(parse_name(text).root)
