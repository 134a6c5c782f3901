"""What every test may use: where the real data lies, and an archive of its own."""

from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parent.parent
SHARED = REPO.parent / "shared"


NUMBERS = {  # option -> (a tenth of the soak's, or what an ordinary run takes; what it is)
    "kills": (20, "how often a command is killed"),
    "faults": (30, "at how many system calls a command fails or is killed"),
    "flips": (30, "how many bits of a store are flipped, one at a time"),
    "tampers": (20, "how many backups are altered"),
    "sequences": (50, "how many sequences of steps are compared with a model"),
    "steps": (50, "steps of such a sequence"),
    "seconds": (6, "how long writers, readers, compactor and gc share a store"),
    "life": (20, "how long dashboard, import, notebook and backtests share a store [s]"),
    "minutes": (1_000_000, "rows of minute bars that are imported"),
    "fuzz": (60, "how many spoiled files are imported"),
    "plants": (6, "faults planted of each kind"),
    "books": (200, "how many random books are traded by the simulation and by its slow twin"),
    "portfolios": (100, "how many random portfolios must have a ledger that adds up"),
    "cold": (0, "whether all code is compiled anew"),
}


def pytest_addoption(parser):
    for name, (usual, what) in NUMBERS.items():
        parser.addoption(f"--{name}", type=int, default=usual, help=what)
    parser.addoption("--on-s3", action="store_true", help="every store that a test makes is made in a bucket")


def pytest_configure(config):
    if config.getoption("--on-s3"):
        from tests import on_s3

        on_s3.begin(config)


def pytest_collection_modifyitems(config, items):
    if config.getoption("--on-s3"):
        skipped = pytest.mark.skip(reason="it looks into the files of a store's folder, and on S3 there is none")
        for item in items:
            if item.get_closest_marker("folder"):
                item.add_marker(skipped)


def _number(name):
    def number(request):
        return request.config.getoption(f"--{name}")

    number.__doc__ = f"Of --{name}: {NUMBERS[name][1]}."
    return pytest.fixture(number, name=name)


kills, faults, flips, tampers, sequences, steps = map(_number, list(NUMBERS)[:6])
seconds, life, minutes, fuzz, plants, books, portfolios, cold = map(_number, list(NUMBERS)[6:14])


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
