"""Minute bars by the command: every step as a process, its memory, and what the made files are like."""

import pytest

from bench import minutes as bench
from bench.minute_files import ALIVE, LAYOUTS, Shape, market, write
from store import days, open_archive
from store.contracts import Master
from store.expiry import last_trade
from store.ingest import import_paths

ROW, FIXED = 54.0, 0.6e9  # memory a command may take: 6 GB of a hundred million rows [bytes a row, bytes]


@pytest.mark.service
def test_every_command_takes_minute_bars_in_bounded_memory(minutes, tmp_path, record_property):
    found = bench.measured(tmp_path, Shape.of(minutes))
    assert list(found["commands"]) == list(bench.COMMANDS) and found["rows"] == minutes
    for name, cost in found["commands"].items():
        record_property(f"{name}: seconds, MB", (cost["seconds"], round(cost["peak_bytes"] / 1e6)))
        assert cost["peak_bytes"] < min(FIXED + ROW * minutes, bench.LIMIT * 1e9), name
    held = {}
    for segment in open_archive(tmp_path / "store").files("contract_bars"):
        held[segment.labels["source"]] = held.get(segment.labels["source"], 0) + segment.rows
    assert held["parquet-minute"] == minutes and 0 < held["parquet-minute-daily"] < minutes / 100
    assert bench.table({"machine": bench.machine(), "sizes": [found]}).count("\n") == 2 + len(bench.COMMANDS)


@pytest.mark.service
def test_a_command_that_fails_or_takes_too_much_is_told(tmp_path):
    with pytest.raises(SystemExit, match="import never did"):
        bench.cost(["-c", "raise SystemExit('import never did')"], 1)
    heavy = bench.cost(["-c", "x = b'x' * 300_000_000"], 1)
    light = bench.cost(["-c", "pass"], 1)
    assert 300e6 < heavy["peak_bytes"] < 400e6 and light["peak_bytes"] < 50e6


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_holds_the_same_bars(tmp_path, layout):
    files = write(tmp_path / "files", Shape(20_000, 2), layout)
    archive = open_archive(tmp_path / "store", create=True)
    (archive.path / "vendors.toml").write_text(bench.SECTION)
    reports = import_paths(archive, files)
    assert not [report.error for report in reports if report.error]
    assert sum(report.accepted for report in reports) == 20_000
    stored = archive.read("contract_bars").sort("root", "contract", "time")
    made = [frame for number, root in enumerate(("ES", "ZN")) for frame in _market(root, number)]
    assert [len(made), len(stored)] == [20_000, 20_000]
    assert stored.select("root", "contract", "time", "day", "open", "close", "volume").rows() == sorted(made)


def _market(root, number):
    import numpy as np

    frames = market(root, Shape(20_000, 2).shares()[root], np.random.default_rng([1, number]))
    return [
        (root, *row) for f in frames for row in f.select("contract", "time", "day", "open", "close", "volume").rows()
    ]


def test_made_bars_are_in_their_sessions_and_volume_falls_to_the_back():
    import numpy as np

    spec = Master.load().spec("ZC")
    [rows] = market("ZC", 30_000, np.random.default_rng(7))
    for (day,), of_day in list(rows.group_by("day"))[:20]:
        hours = days.parts(spec, day)
        assert all(any(a < end <= b for a, b in hours) for end in of_day["time"].to_list())
        assert of_day["contract"].n_unique() <= ALIVE
        assert min(last_trade(spec, contract) for contract in of_day["contract"].unique()) >= day
        front = of_day.filter(of_day["contract"] == of_day["contract"].min())
        left = np.busday_count(day, last_trade(spec, front["contract"][0]))
        if left > 15:
            assert front["volume"].sum() > of_day["volume"].sum() / 2
    assert (rows["high"] >= rows["low"]).all() and rows["volume"].min() >= 1


def test_a_picture_has_a_curve_for_each_command_and_the_limit_is_told():
    sizes = [{"rows": rows, "commands": {name: {"seconds": rows / 1e6, "cpu_seconds": rows / 1e6, "peak_bytes": 1e9}
                                         for name in bench.DRAWN}} for rows in (10**6, 10**7)]  # fmt: skip
    drawn = bench.picture(sizes)
    assert drawn.count("<polyline") == 2 * len(bench.DRAWN) and all(f">{name}<" in drawn for name in bench.DRAWN)
    assert bench.exponent(sizes, "import") == pytest.approx(1.0) and bench.exponent(sizes[:1], "import") is None
