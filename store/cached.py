"""Whether the files of a store's cache are as they were written: those of markets, series, bars and qualities.

Nothing of the store is lost where one is not: whoever asks for it finds another checksum, and makes it anew. `verify`
tells of them, for a disk that alters a file of the cache may alter another one as well.
"""

from hashlib import sha256

from store import kept, mapped

FORMS = {
    mapped.ENDING: mapped.sound,
    ".arrow": kept.sound,
    ".json": lambda path: kept.read(path.parent, path.stem) is not None,
}


def torn(cache, part=None):
    """The files of a cache that are cut or altered.

    Parameters
    ----------
    cache : Path
        The folder; it may be absent.
    part : (int, int), optional
        `(2, 7)`: only the second of seven parts, by the names of the files.

    Returns
    -------
    dict
        checked : how many files were read; torn : names of those that are not as they were written, sorted.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     kept.write(Path(folder) / "series", "mine", {"states": []})
    ...     before = torn(Path(folder))
    ...     cut = (Path(folder) / "series" / "mine.json").write_bytes(b"cut")
    ...     before, torn(Path(folder))
    ({'checked': 1, 'torn': []}, {'checked': 1, 'torn': ['cache/series/mine.json']})
    """
    checked, found = 0, []
    for path in sorted(cache.glob("*/*")):
        if path.suffix not in FORMS or (part and _part(path, part[1]) != part[0]):
            continue
        try:
            sound = FORMS[path.suffix](path)
        except FileNotFoundError:
            continue  # replaced since it was listed
        except (OSError, ValueError):
            sound = False
        if sound or path.exists():
            checked += 1
            found += [] if sound else [f"cache/{path.parent.name}/{path.name}"]
    return {"checked": checked, "torn": found}


def _part(path, parts):
    return int(sha256(path.name.encode()).hexdigest()[:15], 16) % parts + 1
