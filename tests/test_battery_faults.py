"""Every verb is killed at, or fails at, system calls on its files: one sentence, nothing lost, the next command works.

`pytest tests/test_battery_faults.py --faults 300` is the long form: so many calls, spread over verbs and kinds.
"""

import sys
from collections import Counter

import pytest

from tests import faults, grounds
from tests.forks import Forks
from tests.killing import finished_work, seeded

pytestmark = pytest.mark.service
PROVES = (1, 2, 4, 10)
TRIES = 3  # to hit the store with one fault
VERBS = {
    "import": grounds.Import,
    "compact": grounds.Compact,
    "run": grounds.Run,
    "backup": grounds.Backup,
    "restore": grounds.Restore,
    "undo": grounds.Undo,
    "gc": grounds.Collect,
    "tag": grounds.Tag,
}
STAGES = 10
FULL = {name: VERBS[name] for name in ("import", "compact", "backup", "run")}


@pytest.fixture(scope="module")
def forks():
    with Forks() as server:
        yield server


@pytest.fixture
def chance(record_property):
    return seeded(record_property)


def sentence(ended):
    """Assert that a command did its work, or said in one sentence why not."""
    if ended.code == 0:
        return
    assert ended.code == 1, (ended.code, ended.err)
    assert ended.err.startswith("frontmonth: ") and ended.err.count("\n") == 1, ended.err
    assert "Traceback" not in ended.err and "an error of frontmonth" not in ended.err, ended.err


def drawn(chance, points, count):
    """So many pairs of a call and what it does, kinds of calls and faults taking turns."""
    kinds = (faults.KILL, *faults.ERRORS)
    by_name = {}
    for point in points:
        for kind in kinds:
            by_name.setdefault((point.name, kind), []).append(point)
    order = []
    while len(order) < count:
        order += chance.sample(sorted(by_name), len(by_name))
    return [(chance.choice(by_name[name, kind]), kind) for name, kind in order[:count]]


def struck(forks, ground, call, kind):
    """Run a ground's work and let one call fail, and judge; whether the fault hit a file of the ground's."""
    command, log = forks.start(ground.folder, ground.work()), ground.folder / "strace"
    ended, calls = faults.traced(command, log, calls=(call.name,), inject=faults.injection(call, kind))
    hit = faults.fired(call, kind, ended, calls)
    sys.stdout.write(f"{kind} at {hit}, {call} was meant: exit code {ended.code}, {ended.err}\n")
    inside = hit is not None and bool(faults.points([hit], ground.places))
    if not inside and ended.code:  # another file, such as one of a vendor's: no fault of the store
        ended = finished_work(forks, ground)
    if not ended.killed:
        sentence(ended)
    ground.judge(ended)
    return inside


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_survives_a_fault_at_any_call(verb, forks, tmp_path, faults_of, chance, record_property):
    ground, count = VERBS[verb](tmp_path), Counter()
    ground.judge(finished_work(forks, ground))
    ended, calls = faults.traced(forks.start(tmp_path, ground.work()), tmp_path / "strace")
    assert ended.code == 0, ended.err
    ground.judge(ended)
    points = faults.points(calls, ground.places)
    assert {"openat", "fsync"} & {point.name for point in points}
    for call, kind in drawn(chance, points, faults_of[verb]):
        for _ in range(TRIES):  # calls do not come in the same order each time: one that was missed is meant again
            if hit := struck(forks, ground, call, kind):
                break
        count[f"{call.name} {kind}"] += hit
        if chance.random() < 0.5:
            ground.judge(finished_work(forks, ground))
    assert ground.judge(finished_work(forks, ground))
    record_property("calls", len(points))
    record_property("fired", count.total())
    record_property("kinds", ", ".join(f"{name} {number}" for name, number in sorted(count.items())))
    assert count.total() >= 0.7 * faults_of[verb], "the faults do not hit the store"


@pytest.fixture
def faults_of(request):
    """Verb -> at how many calls it is struck; of few faults each verb gets at least two."""
    share, rest = divmod(max(request.config.getoption("--faults"), 2 * len(VERBS)), len(VERBS))
    return {verb: share + (k < rest) for k, verb in enumerate(VERBS)}


@pytest.mark.parametrize("verb", FULL)
def test_a_full_disk_is_one_sentence_and_loses_nothing(verb, forks, tmp_path, record_property):
    told = []
    with faults.small_disk(tmp_path / "disk") as disk:
        ground = FULL[verb](disk / "ground")
        before = faults.free(disk)
        ground.judge(finished_work(forks, ground))
        need = 1.25 * (before - faults.free(disk))
        for stage in range(STAGES):
            work = ground.work()
            filler = faults.fill(disk, leave=int(need * stage / STAGES))
            ended = forks.run(tmp_path, work)
            sentence(ended)
            told.append(ended.code and "disk is full" in ended.err)
            filler.unlink()
            if not ground.judge(ended):
                assert ground.judge(finished_work(forks, ground)), "it does not go on after space was freed"
    record_property("stages", STAGES)
    record_property("full", sum(map(bool, told)))
    assert told[0], "a disk without any room was no obstacle"
