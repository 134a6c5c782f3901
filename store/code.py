"""The code that makes what is kept, as a hash: other code, and nothing that older code made is used."""

import hashlib
import os
from functools import cache


@cache
def code_hash(package):
    """sha256 over the source files of a package folder: part of what a cached or stored result depends on."""
    digest = hashlib.sha256()
    for path in sorted(_sources(package), key=lambda path: path.split(os.sep)):
        with open(path, "rb", buffering=0) as file:
            digest.update(os.path.basename(path).encode() + file.read())
    return digest.hexdigest()


def _sources(folder):
    """Paths of the source files below a folder, as texts: for hundreds `pathlib` takes as long as reading them."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _sources(entry.path)
            elif entry.name.endswith(".py"):
                yield entry.path
