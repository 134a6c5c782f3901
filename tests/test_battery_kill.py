"""Every verb that writes is killed at random; what it reported is there, nothing is torn, the next command works.

`pytest tests/test_battery_kill.py --kills 200` is the long form. The seed of a failure stands in its output.
"""

import pytest

from tests import grounds
from tests.forks import Forks, Interpreters
from tests.killing import kill_often, seeded

pytestmark = pytest.mark.service
PROVES = (1, 2)
VERBS = {
    "import": grounds.Import,
    "compact": grounds.Compact,
    "run": grounds.Run,
    "run --force": grounds.RunAgain,
    "backup": grounds.Backup,
    "restore": grounds.Restore,
    "undo": grounds.Undo,
}
SELDOM = ("run --force",)  # a quarter of the kills: all but its end is the work of `run`


@pytest.fixture(scope="module")
def forks():
    with Forks() as server:
        yield server


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_that_is_killed_is_wholly_there_or_not_at_all(verb, forks, tmp_path, kills, record_property):
    kills = kills // 4 if verb in SELDOM else kills
    counts = kill_often(forks, VERBS[verb](tmp_path), kills, seeded(record_property))
    for name, count in counts.items():
        record_property(name, count)


def test_the_command_as_a_user_starts_it_is_no_exception(tmp_path, kills, record_property):
    ground, start = grounds.Import(tmp_path), Interpreters()
    counts = kill_often(start, ground, max(kills // 10, 2), seeded(record_property))
    for name, count in counts.items():
        record_property(name, count)
    number = ground.opened().head().number
    again = start.run(tmp_path, ground.words("import", *(tmp_path / str(n) for n in range(ground.number))))
    assert (again.code, again.document["snapshot"]) == (0, number)
    assert all(file["skipped"] for file in again.document["files"])
