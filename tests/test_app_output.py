"""How verbs print: JSON that any program reads, tables that people read, progress only on a terminal."""

import doctest
import importlib
import json
import re
from datetime import date
from random import Random
from types import SimpleNamespace

import numpy as np
import pytest

from app.cli import reason
from app.commands import output
from app.commands.output import clean, emit, number, progress, table
from engine import compiled


def context(json):
    return SimpleNamespace(obj=SimpleNamespace(json=json))


@pytest.mark.parametrize("module", ["app.cli", "app.commands.output"])
def test_examples_run(module):
    assert doctest.testmod(importlib.import_module(module)).failed == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -np.inf, np.float64("nan"), np.float32("nan"), None])
def test_what_is_no_number_is_null(value):
    assert clean({"value": [value]}) == {"value": [None]}


def test_json_holds_plain_values_only(capsys):
    document = {
        1: np.int32(2),
        "day": date(2024, 3, 1),
        "flag": np.bool_(True),
        "list": (np.float64(0.5), "x"),
        "path": b"x",
    }
    emit(context(json=True), document, show=None)
    assert json.loads(capsys.readouterr().out) == {
        "1": 2,
        "day": "2024-03-01",
        "flag": True,
        "list": [0.5, "x"],
        "path": "b'x'",
    }


def test_without_json_the_document_is_shown(capsys):
    shown = []
    emit(context(json=False), {"a": 1}, shown.append)
    assert (shown, capsys.readouterr().out) == ([{"a": 1}], "")


def test_a_table_keeps_every_text_whole_and_marks_up_nothing(capsys):
    table(
        [{"name": "[red]x[/red]", "sum": None}, {"name": "y", "sum": -1}],
        {"name": lambda r: r["name"], "sum": lambda r: r["sum"]},
    )
    out = capsys.readouterr().out
    assert "[red]x[/red]" in out and "-1" in out and "None" not in out


def test_a_table_without_headings_has_no_head(capsys):
    table([("a", "1")], {"": lambda r: r[0], " ": lambda r: r[1]})
    assert capsys.readouterr().out.split() == ["a", "1"]


def test_a_plain_table_is_letter_for_letter_that_of_the_library(capsys):
    random = Random(7)
    words = ["", "1", "-5.2", "price", "22,000", "a note [b]x[/b]", "a  b", " lead", "trail ", "12 %", "x" * 40, "[/]"]
    compared = 0
    for _ in range(400):
        count = random.randint(1, 5)
        cells = [random.choices(words, k=count) for _ in range(random.randint(1, 4))]
        bare = random.random() < 0.4
        headings = [" " * k for k in range(count)] if bare else random.choices(["", "USD", "a cause", "-1"], k=count)
        right = [all(row[k][:1] in "-+0123456789" for row in cells) for k in range(count)]
        if (lines := output.plain(cells, headings, right)) is not None:
            output._rich(cells, headings, right, None)
            assert capsys.readouterr().out == "".join(f"{line}\n" for line in lines)
            compared += 1
    assert compared > 100


def test_a_table_that_is_wide_or_not_plain_is_left_to_the_library():
    for cell in ("x" * 300, "two\nlines", "über", ""):
        assert output.plain([[cell]], ["a"], [False]) is None
    assert output.plain([], ["a"], [False]) is None
    assert output.plain([["1"]], ["[red]a"], [True]) is None


def test_on_a_narrow_terminal_a_wide_table_is_told_in_several_and_no_number_is_broken(capsys, monkeypatch):
    random = Random(3)
    for room in (80, 100):
        monkeypatch.setattr(output.sys.stdout, "isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", str(room))
        heads = ["market", "level", *(f"net of {k} [USD]" for k in range(14)), "most", "p", "most ", "p ", "a reason"]
        rows = [
            [root, level, *(f"{random.uniform(-9e7, 9e7):,.0f}" for _ in range(18)), "no price of it is known " * 3]
            for root in ("ES", "NK225M") for level in ("95 %", "99 %")
        ]  # fmt: skip
        table(rows, {head: (lambda row, k=k: row[k]) for k, head in enumerate(heads)})
        lines = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
        assert max(map(len, lines)) <= room
        told = " ".join(lines).split()
        for root, level, *numbers, _ in rows:
            assert [told.count(number) for number in numbers] == [1] * len(numbers)
            there = [line for line in lines if line.split()[:2] == [root, level.split()[0]]]
            assert len(there) >= 3  # whose row it is stands in every part
            assert all(number in " ".join(there) for number in numbers)


def test_the_wait_for_the_compiler_is_announced_before_it_and_only_where_there_is_one(capsys):
    with output.compiling():
        assert len(compiled.listeners) == 1
    assert (compiled.listeners, capsys.readouterr().err) == ([], "")
    with output.compiling():
        for seconds in (30, 9):
            compiled.listeners[0](seconds)
    told = "compiling the engine for what is asked, once on this machine: about {} s"
    told += "; `frontmonth warm` does it beforehand\n"
    assert (compiled.listeners, capsys.readouterr().err) == ([], told.format(30) + told.format(9))
    with output.compiling(everything=True):
        compiled.listeners[0](9)
        assert not compiled.listeners  # once
    assert (
        capsys.readouterr().err == "compiling the engine for all that may be asked, once on this machine: about 70 s\n"
    )


def test_no_progress_is_shown_where_nobody_looks(capsys):
    with progress("import") as step:
        assert step is None
    assert capsys.readouterr() == ("", "")


def test_a_number_that_is_missing_is_left_out():
    assert [number(v) for v in (None, float("nan"), 0.0, 110.515625)] == ["", "", "0", "110.515625"]


def test_reasons_are_one_line_and_name_the_file():
    assert reason(PermissionError(13, "Permission denied", "/x/y.csv")) == "/x/y.csv: Permission denied"
    assert reason(OSError("disk is full")) == "disk is full"
    assert reason(TypeError("a\nb")).startswith("TypeError: a b (an error of frontmonth")
