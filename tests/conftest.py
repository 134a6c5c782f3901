"""What every test may use: where the real data lies, and an archive of its own."""

from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parent.parent
SHARED = REPO.parent / "shared"


def pytest_addoption(parser):
    parser.addoption("--kills", type=int, default=10, help="how often a writer is killed (test_store_kill.py)")


@pytest.fixture
def kills(request):
    """How often a kill test kills."""
    return request.config.getoption("--kills")


@pytest.fixture(scope="session")
def shared():
    """The folder of real market data beside the checkout; tests that need it skip where it is absent."""
    if not (SHARED / "data").is_dir():
        pytest.skip("no ../shared/data beside the checkout")
    return SHARED / "data"
