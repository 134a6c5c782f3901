"""What every test may use: where the real data lies, and an archive of its own."""

from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parent.parent
SHARED = REPO.parent / "shared"


def pytest_addoption(parser):
    parser.addoption("--kills", type=int, default=10, help="how often a writer is killed (test_store_kill.py)")
    parser.addoption("--fuzz", type=int, default=60, help="how many spoiled files are imported (test_store_fuzz.py)")
    parser.addoption("--plants", type=int, default=6, help="faults planted of each kind (test_store_planted.py)")


@pytest.fixture
def plants(request):
    """How many faults of each kind are planted."""
    return request.config.getoption("--plants")


@pytest.fixture
def kills(request):
    """How often a kill test kills."""
    return request.config.getoption("--kills")


@pytest.fixture
def fuzz(request):
    """How many spoiled files a fuzz test imports."""
    return request.config.getoption("--fuzz")


@pytest.fixture(scope="session")
def shared():
    """The folder of real market data beside the checkout; tests that need it skip where it is absent."""
    if not (SHARED / "data").is_dir():
        pytest.skip("no ../shared/data beside the checkout")
    return SHARED / "data"


@pytest.fixture(scope="session")
def real(shared, tmp_path_factory):
    """A store with all Barchart contracts and the currencies of the real data."""
    from store import ingest, open_archive

    archive = open_archive(tmp_path_factory.mktemp("real") / "store", create=True)
    reports = ingest.import_paths(archive, [shared / "barchart" / "daily", shared / "pysystemtrade" / "fx_prices_csv"])
    assert not [r.error for r in reports if r.error]
    archive.reports = reports
    return archive


@pytest.fixture(scope="session")
def sent(tmp_path_factory):
    """(files, store): a vendor's small files, and a store that the command imported them into."""
    from tests import command

    return command.built(tmp_path_factory.mktemp("sent"))


@pytest.fixture(scope="session")
def files(sent):
    """A vendor's small files."""
    return sent[0]


@pytest.fixture(scope="session")
def built(sent):
    """A store of those files, not to be changed."""
    return sent[1]


@pytest.fixture
def store(built, tmp_path):
    """A copy of that store, for a test that changes it."""
    from tests import command

    return command.copied(built, tmp_path)


@pytest.fixture(scope="session")
def ran(tmp_path_factory):
    """(store, run): a store with one run in it, not to be changed."""
    from tests import command

    return command.ran(tmp_path_factory.mktemp("ran"))


@pytest.fixture
def call(capsys, monkeypatch):
    """The command in this process, as a function of its words."""
    from tests.command import Command

    return Command(capsys, monkeypatch)


@pytest.fixture
def document(call):
    """The command's JSON, as a function of its words."""
    return call.document
