"""A dashboard that serves, an import every few seconds, a notebook and backtests that write: nobody is in the way.

`pytest tests/test_life.py --life 600` is the long form: ten minutes, fifty backtests.
"""

import itertools
import statistics

import pytest

from store import open_archive
from tests import command
from tests.life import live, uneven

pytestmark = pytest.mark.service
PROVES = (1, 3)
PATIENCE = 1.0  # a reader waits for others for less than this [s]
RUNS = 50 / 600  # backtests a second in the long form
GROWTH = 0.10  # of the server's memory


def readings(logs):
    """Every call of a reader: {what: lines with seconds and waited}."""
    found = {f"page {part}": [visit[part] for visit in logs["visit"]] for part in ("load", "open")}
    found["page brush"] = [one for visit in logs["visit"] for one in visit["brushes"]]
    for line in logs["notebook"]:
        found.setdefault(f"notebook {line['door']}", []).append(line)
    return found


def growth(looks, warm):
    """By how much the server held more memory at the end than when it had become warm, and more files than before."""
    quarter = 1 + len(looks) // 4
    later = [look["memory"] for look in looks if look["at"] > warm]
    most = 1 + len(later) // 4
    memory = statistics.median(later[-most:]) / statistics.median(later[:most]) - 1.0
    return memory, max(one["files"] for one in looks[-quarter:]) - max(one["files"] for one in looks[:-quarter])


def warm(visits, life):
    """When the server has compiled what it needs, and as many pages are in memory as later: they go after 32 s."""
    return max(visits[1]["brushes"][-1]["began"], visits[0]["load"]["began"] + min(life / 3, 60.0))


def backward(lines):
    """Readings of the notebook that saw an older last day than the one before."""
    return [(a, b) for a, b in itertools.pairwise(lines) if b["last"] < a["last"]]


def test_a_store_is_lived_in_by_all_at_once(tmp_path, ran, life, record_property):
    store = command.copied(ran[0], tmp_path)
    count = max(5, round(life * RUNS))
    logs, errors = live(store, tmp_path, life, count)
    archive = open_archive(store)
    slowest = {what: max(line["seconds"] for line in lines) for what, lines in readings(logs).items()}
    waited = {what: max(line["waited"] for line in lines) for what, lines in readings(logs).items()}
    more_memory, more_files = growth(logs["serve"], warm(logs["visit"], life))
    numbers = {
        "visits": len(logs["visit"]), "imports": len(logs["night"]), "backtests": len(logs["batch"]),
        "readings": sum(len(lines) for lines in readings(logs).values()), "errors": len(errors),
        "longest_wait_s": round(max(waited.values()), 3), "slowest_s": {k: round(v, 2) for k, v in slowest.items()},
        "memory_mb": round(logs["serve"][-1]["memory"] / 1e6), "memory_growth": round(more_memory, 3),
    }  # fmt: skip
    for name, value in numbers.items():
        record_property(name, value)

    assert errors == {}
    assert [fault for lines in logs.values() for line in lines for fault in line.get("faults", [])] == []
    assert backward(logs["notebook"]) == []
    assert {what: seconds for what, seconds in waited.items() if seconds > PATIENCE} == {}
    assert more_memory < GROWTH and more_files <= 0
    assert len(logs["visit"]) > 2 and len(logs["batch"]) == count
    assert archive.verify() == []
    assert {line["run"] for line in logs["batch"]} < set(archive.run_ids())
    days = [line["day"] for line in logs["night"]]
    assert str(archive.bars("MES")["day"].max()) == days[-1] and all(line["accepted"] > 0 for line in logs["night"])


def test_the_judge_sees_what_must_not_be():
    counts = [{"root": root, "bars": 5, "keys": 5, "last": "2023-01-03"} for root in ("FGBL", "MES", "ZC")]
    assert uneven(counts) == []
    assert uneven(counts[:2])
    assert uneven([*counts[:2], counts[2] | {"last": "2023-01-02"}])
    assert uneven([*counts[:2], counts[2] | {"keys": 4}])
    assert backward([{"last": "2023-01-03"}, {"last": "2023-01-02"}])
    looks = [{"at": k, "memory": 100 + k, "files": 12 + k // 30} for k in range(40)]
    assert growth(looks, warm=9) == (pytest.approx(135.5 / 113.5 - 1.0), 1)
    assert growth([look | {"memory": 200, "files": 12 + k % 2} for k, look in enumerate(looks)], warm=9) == (0.0, 0)
