"""The command itself: its options, usage, exit codes, and how it behaves as a process."""

import ast
import contextlib
import os
import re
import signal
import subprocess
import sys

import pytest

from app.cli import hoisted, main
from store import open_archive
from tests import market_files
from tests.conftest import REPO


def test_options_of_every_verb_may_stand_before_or_after_it(call, built):
    words = ("--store", built, "--json")
    assert (
        call(*words, "markets").out == call("markets", *words).out == call("markets", "--json", f"--store={built}").out
    )


def test_the_store_is_found_by_the_environment_or_in_the_working_folder(call, built, monkeypatch):
    monkeypatch.chdir(built.parent)
    found = call("markets", "--store", built.name).out
    os.rename(built, built.with_name("frontmonth-store"))
    try:
        assert call("markets").out == found
    finally:
        os.rename(built.with_name("frontmonth-store"), built)
    monkeypatch.setenv("FRONTMONTH_STORE", str(built))
    with pytest.raises(SystemExit):
        main(["markets"])


def test_a_missing_store_is_said_in_one_line(call, tmp_path):
    found = call("markets", "--store", tmp_path / "none", code=1)
    assert "there is no store in" in found.err and found.err.count("\n") == 1
    assert not (tmp_path / "none").exists()


def test_debug_shows_the_traceback(tmp_path):
    with pytest.raises(Exception, match="there is no store"):
        main(["markets", "--debug", "--store", str(tmp_path / "none")])


@pytest.mark.parametrize(
    "words",
    [
        ["trade"], ["markets", "--jsn"], ["run"], ["contracts"], ["markets", "--store"], ["report", "last"],
        ["run", "x.toml", "--set", "a"], ["run", "x.toml", "--start", "tomorrow"], ["continuous", "MES", "GC"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage_exits_2_with_one_line(call, words):
    found = call(*words, code=2)
    assert found.out == ""
    assert found.err.startswith("frontmonth: ") and found.err.count("\n") == 1


def test_without_a_verb_the_help_is_shown_and_the_exit_code_is_2(call):
    assert "Commands:" in call(code=2).err


def test_the_version_is_told(call):
    assert call("--version").out.startswith("frontmonth 0.")


def test_every_verb_has_a_help_with_an_example(call):
    from app.commands import data, runs, series, sweeps

    for verb in [*data.VERBS, *series.VERBS, *runs.VERBS, *sweeps.VERBS]:
        text = call(verb, "--help").out
        assert f"Example: frontmonth {verb}" in text, verb


def test_every_verb_that_a_sentence_names_exists():
    from app.commands import (
        attribution,
        comparing,
        copies,
        data,
        imports,
        keeping,
        new,
        reports,
        rolls,
        runs,
        scenarios,
        series,
        sweeps,
        trust,
    )

    groups = (
        imports,
        trust,
        data,
        rolls,
        series,
        runs,
        reports,
        attribution,
        comparing,
        scenarios,
        sweeps,
        new,
        keeping,
        copies,
    )
    verbs = {verb for group in groups for verb in group.VERBS}
    named = {}
    for path in (path for package in ("app", "engine", "store") for path in (REPO / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for verb in re.findall(r"(?:`|>|Example: |^)frontmonth ([a-z]+)\b", node.value):
                    named.setdefault(verb, str(path.relative_to(REPO)))
    assert len(named) > 15
    assert {verb: place for verb, place in named.items() if verb not in verbs} == {}


def test_words_after_two_dashes_stay_where_they_are():
    assert hoisted(["import", "--", "--json", "--store"]) == ["import", "--", "--json", "--store"]


# real processes


def frontmonth(*words, **options):
    """The command as a process of its own."""
    code = "import sys; from app.cli import main; main(sys.argv[1:])"
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)], cwd=REPO, stdout=subprocess.PIPE, text=True, **options
    )


@pytest.mark.service
def test_help_is_quick():
    import time

    taken = []
    for _ in range(5):
        began = time.perf_counter()
        assert frontmonth("--help").communicate()[0].startswith("Usage: frontmonth")
        taken.append(time.perf_counter() - began)
    assert min(taken) < 0.3


@pytest.mark.service
@pytest.mark.parametrize("verb", [["markets"], ["run", "cross"], ["continuous", "MES"]], ids=" ".join)
def test_no_verb_but_serve_and_report_loads_panel(ran, verb):
    code = (
        "import sys; from app.cli import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit as end: assert end.code == 0\n"
        "print('\\nloaded:', sorted({'panel', 'bokeh', 'pandas', 'holoviews'} & set(sys.modules)))"
    )
    words = [sys.executable, "-c", code, *verb, "--store", str(ran[0])]
    done = subprocess.run(words, cwd=REPO, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded: []"


@pytest.mark.service
def test_a_reader_that_goes_away_is_no_failure(built):
    process = frontmonth("continuous", "MES", "--json", "--store", built, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    assert (process.wait(), process.stderr.read()) == (0, "")


@pytest.mark.service
@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo terminals on this platform")
def test_on_a_terminal_progress_is_shown_and_ctrl_c_leaves_the_store_as_it_was(store, tmp_path):
    many = tmp_path / "many"
    many.mkdir()
    text = dict(market_files.contracts("CORN"))[202112]
    for k in range(400):
        (many / f"Day_CORN{k}_20211200.csv").write_text(text.replace(".25", f".{k:03d}"))
    before = open_archive(store).head()
    ours, theirs = os.openpty()
    process = frontmonth("import", many, "--store", store, stderr=theirs)
    os.close(theirs)
    shown = b""
    while b"Day_CORN" not in shown:  # the bar names the file it is at: the work is under way
        shown += os.read(ours, 4096)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    with contextlib.suppress(OSError):  # the end of a terminal, on Linux
        while piece := os.read(ours, 4096):
            shown += piece
    assert b"frontmonth: interrupted" in shown
    assert process.stdout.read() == ""
    assert open_archive(store).head() == before
    assert open_archive(store).verify() == []
