"""What `python -m bench.imports` measures: the files are what they are said to be, and every row of them is stored."""

import json

import pytest

from bench import imports
from store import ingest, open_archive


@pytest.mark.parametrize("layout", imports.LAYOUTS)
def test_each_layout_is_taken_whole(layout, tmp_path):
    imports.written(tmp_path / "in", layout, 2, 3, 30)
    assert len(list((tmp_path / "in").iterdir())) == (6 if layout == "contracts" else 2)
    assert imports.imported(tmp_path / "in", tmp_path / "store")["rows"] == 2 * 3 * 30
    archive = open_archive(tmp_path / "store")
    assert archive.read("contract_bars").select("root", "contract").n_unique() == 6
    assert all(report.skipped for report in ingest.import_paths(archive, [tmp_path / "in"]))


@pytest.mark.service
def test_every_figure_is_there(capsys):
    imports.main(["--markets", "1", "--contracts", "2", "--rows", "30", "--rounds", "1", "--json"])
    found = json.loads(capsys.readouterr().out)["imports"]
    assert set(found) == set(imports.LAYOUTS)
    for one in found.values():
        assert one["rows"] == 60 and one["rows_per_second"] > 0 and one["peak_bytes"] > 1e7
