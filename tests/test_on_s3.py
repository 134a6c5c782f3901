"""A tenth of the store's tests with every store in a bucket; `pytest --on-s3 tests/test_store_*.py` runs them all."""

import re
import subprocess
import sys

import pytest

from tests.conftest import REPO

pytestmark = pytest.mark.service
FILES = ("archive", "commit", "model")


def test_the_tests_of_archive_commits_and_model_hold_in_a_bucket(request, record_property):
    if request.config.getoption("--on-s3"):
        pytest.skip("the whole run is on S3")
    pytest.importorskip("moto", reason="no S3 service can be started: moto is not installed")
    words = [sys.executable, "-m", "pytest", "--on-s3", "-p", "no:cacheprovider", "--sequences", "3", "--steps", "10"]
    words += [f"tests/test_store_{name}.py" for name in FILES]
    done = subprocess.run(words, cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:]
    for kind in ("passed", "skipped"):
        found = re.search(rf"(\d+) {kind}", done.stdout)
        record_property(kind, int(found[1]) if found else 0)
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 40
