"""Lines and fields: the quick way and the careful one give the same rows, and only regular bytes go the quick way."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store import lines

HEADER = ["a", "b", "c"]


def both(monkeypatch, bodies, wanted=("a", "c"), separator=","):
    """The rows by the way that is chosen, and by the careful one."""
    chosen = lines.rows(bodies, separator, HEADER, list(wanted))
    monkeypatch.setattr(lines, "_regular", lambda *arguments: False)
    careful = lines.rows(bodies, separator, HEADER, list(wanted))
    monkeypatch.undo()
    return chosen, careful


def told(frame):
    """Rows with the number of fields written out."""
    return [(*row[:-1], 3 if row[-1] is None else row[-1]) for row in frame.iter_rows()]


def test_regular_bytes_go_the_quick_way():
    found = lines.rows([b"1,2,3\n4,5,6", b"7,8,9\n"], ",", HEADER, ["a", "c"])
    assert found.drop("found").rows() == [
        (0, 0, "1,2,3", "1", "3"), (0, 1, "4,5,6", "4", "6"), (1, 0, "7,8,9", "7", "9"),
    ]  # fmt: skip
    assert found["found"].null_count() == 3


@pytest.mark.parametrize(
    "body",
    [b"1,2,3\n4,5", b"1,2,3,4\n5,6", b'1,"2,x",3', b"1,2,\xe9", b"1,2,3\n\n4,5,6", b"1,2\x00,3", b"1,\xc3\xa9,3", b"x"],
)
def test_what_is_not_regular_goes_the_careful_way_alone(body):
    found = lines.rows([b"1,2,3\n", body, b"4,5,6\n"], ",", HEADER, ["a"])
    counted = found.filter(found["found"].is_not_null())
    assert set(counted["part"]) == {1}
    assert found["part"].to_list() == sorted(found["part"])


def test_blank_cells_and_blanks_around_cells(monkeypatch):
    chosen, careful = both(monkeypatch, [b"1,,\n ,2 ,\t3\n,,"])
    assert told(chosen) == told(careful)
    assert chosen.select("a", "c").rows() == [("1", ""), ("", "3"), ("", "")]


def test_a_body_without_rows_has_none():
    assert lines.rows([b""], ",", HEADER, ["a"]).is_empty()
    assert lines.rows([b"", b"1,2,3", b"\n"], ",", HEADER, ["a"])["part"].to_list() == [1]


@given(st.integers(), st.sampled_from([",", ";", "\t", "|"]))
def test_both_ways_give_the_same_rows_whatever_the_bytes(seed, separator):
    chance = random.Random(seed)
    signs = [separator, "\n", "\n", "a", "1.5", "-", " ", "\t", '"', "é", "\r", "\x00", "", "2024-01-02", "\u2028"]
    kinds = signs if chance.random() < 0.5 else [separator, separator, "\n", "7", "x"]
    count = chance.randint(1, 3)
    bodies = []
    for _ in range(count):
        cells = [
            "".join(chance.choice(kinds) for _ in range(chance.randint(0, 3))) for _ in range(chance.randint(0, 9))
        ]
        regular = "\n".join(separator.join("xyz"[: chance.randint(0, 3)] for _ in HEADER) for _ in range(3))
        bodies.append(lines.normal((regular if chance.random() < 0.5 else separator.join(cells)).encode()))
    with pytest.MonkeyPatch.context() as patch:
        chosen, careful = both(patch, bodies, separator=separator)
    assert told(chosen) == told(careful)


def test_the_beginning_ends_with_a_whole_line():
    data = b"x" * 40 + b"\n" + b"y" * lines.BEGINNING
    assert lines.beginning(data) == ["x" * 40, ""]
    assert lines.beginning(b"a\nb") == ["a", "b"]


def test_the_place_after_some_lines():
    assert [lines.after(b"a\nbc\nd", count) for count in range(5)] == [0, 2, 5, 6, 6]
