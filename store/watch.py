"""Files as they come into a folder: a file is taken when it has been left alone for a while, and again when it changes.

Nothing is asked of the system but what a folder holds, so that it works on network drives too; whoever watches calls
`arrivals` again and again.
"""

import time

from store import raw

SETTLE = 2.0  # a file that was not written for so long is complete [s]


def arrivals(folder, seen, settle=SETTLE, clock=time.monotonic):
    """Files that are complete and were not taken yet.

    Parameters
    ----------
    folder : path
        Searched with its subfolders, as an import searches it.
    seen : dict
        What was there at the call before: an empty one at the first. It is changed.
    settle : float
        How long size and time of change of a file have to stay the same [s].
    clock : callable
        The time now [s].

    Returns
    -------
    list of Path
        In order; each is given once for each content.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "ES-2024H.csv").write_text("date,settle")
    ...     seen = {}
    ...     [[path.name for path in arrivals(folder, seen, clock=lambda: t)] for t in (0.0, 1.0, 2.0, 3.0)]
    [[], [], ['ES-2024H.csv'], []]
    """
    now, ready, there = clock(), [], set()
    for path, wrong in raw.files([folder]):
        facts = None if wrong else _facts(path)
        if facts is None:
            continue
        there.add(path)
        before, since, taken = seen.get(path, (None, now, False))
        if before != facts:
            since, taken = now, False
        if not taken and now - since >= settle:
            ready.append(path)
            taken = True
        seen[path] = facts, since, taken
    for path in seen.keys() - there:
        del seen[path]
    return ready


def _facts(path):
    """Size and time of change; None of a file that has just gone."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_size, facts.st_mtime_ns
