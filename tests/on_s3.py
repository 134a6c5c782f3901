"""`pytest --on-s3`: every store that a test makes in a folder is made in a bucket instead, one for each folder.

Tests open stores as they always do; `store.places.place_of` is exchanged, here and in the processes that they start.
What a test laid beside its store before it opened it is put into the bucket; after that the working copy is what
`archive.path` says. Tests that look into the folder's own files carry `@pytest.mark.folder` and are skipped.
"""

import os
import shutil
import sys
import tempfile
import urllib.error
import urllib.request
from hashlib import sha256
from importlib.machinery import PathFinder
from pathlib import Path

SITE = Path(__file__).resolve().parent / "s3_site"
OWN = ("*.csv", "*.toml", "strategies/*.py", "portfolios/*.toml")
_made = set()


def place_of(address):
    """The place in a bucket that stands for a folder."""
    from store.bucket import Bucket

    if str(address).startswith("s3:/"):
        return Bucket(address)
    path = Path(address).resolve()
    told = path / "address.txt"
    source = Bucket(told.read_text().strip()) if told.is_file() else None
    if source and source.path == path:  # it is a working copy
        return source
    bucket = f"t-{sha256(str(path).encode()).hexdigest()[:24]}"
    place = Bucket(f"s3://{bucket}/store")
    if bucket not in _made and _make(bucket) and source:  # a copy of a working copy stands for a copy of the store
        for name in source.tree(""):
            place.hint(name, source.read(name))
        place.begin()
    _made.add(bucket)
    for own in (file for pattern in OWN for file in path.glob(pattern)):
        place.hint(own.relative_to(path).as_posix(), own.read_bytes())
    return place


def begin(config):
    """Start the service for a run of pytest, and exchange the function here and in all processes that it starts."""
    from tests.s3_server import Service

    service, folder = Service(), tempfile.mkdtemp(prefix="on-s3-")
    path = os.pathsep.join([str(SITE), *filter(None, [os.environ.get("PYTHONPATH")])])
    os.environ |= service.environment(folder) | {"PYTHONPATH": path}
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    config.add_cleanup(service.stop)
    install()


def install():
    """Exchange it in this process, in every module that has it already."""
    from store import places

    original, places.place_of = places.place_of, place_of
    for module in list(sys.modules.values()):
        if getattr(module, "place_of", None) is original:
            module.place_of = place_of


def hook():
    """Exchange it when this process first imports it."""
    sys.meta_path.insert(0, _Finder)


def _make(bucket):
    """Make a bucket; whether it is new."""
    url = f"{os.environ['AWS_ENDPOINT_URL']}/{bucket}"
    try:
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=30).close()
        return False
    except urllib.error.HTTPError as error:
        error.close()
    urllib.request.urlopen(urllib.request.Request(url, method="PUT"), timeout=30).close()
    return True


class _Finder:
    """Finds `store.places`, and exchanges the function when the module has been read."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "store.places":
            return None
        spec = PathFinder.find_spec(name, path, target)
        read = spec.loader.exec_module

        def exec_module(module):
            read(module)
            module.place_of = place_of

        spec.loader.exec_module = exec_module
        return spec
