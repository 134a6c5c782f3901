"""Tables of Delta Lake, written with the library `deltalake`, which is loaded only here.

It promises less than the store (nothing is flushed, no checksums), so that it is for other programs to read.
"""

import polars as pl

from store.durable import StoreError

PARTED = {"contract_bars": ["source"], "vendor_chains": ["source"]}
MISSING = "Delta needs the library deltalake, which is not installed: `pip install 'frontmonth[delta]'` brings it"


class NoDelta(StoreError):
    """The library is not installed, or could not write."""


def installed():
    """The library.

    Raises
    ------
    NoDelta
        It is not there.
    """
    try:
        import deltalake
    except ImportError:
        raise NoDelta(MISSING) from None
    return deltalake


def write(folder, table, frames, portion):
    """Write the rows of a table as a new table of Delta Lake.

    Parameters
    ----------
    folder : Path
        Must be absent.
    table : Table
    frames : iterable of DataFrame
    portion : int
        Rows that are written at a time, and are in memory then.

    Returns
    -------
    list of (Path, None)
        All its files, sorted, those of its log too.

    Raises
    ------
    NoDelta
        The library is not installed, or could not write.
    """
    library = installed()
    facts = {"partition_by": PARTED.get(table.name), "name": table.name, "description": table.doc}
    facts["writer_properties"] = library.WriterProperties(compression="ZSTD")
    try:
        for frame in _joined(frames, portion):
            library.write_deltalake(folder, frame, mode="append", **facts)
        if not folder.exists():
            library.write_deltalake(folder, table.empty(), **facts)
    except library.exceptions.DeltaError as error:
        raise NoDelta(f"table {table.name} could not be written: {str(error).splitlines()[0][:200]}") from error
    return [(path, None) for path in sorted(folder.rglob("*")) if path.is_file()]


def _joined(frames, portion):
    """The same rows in frames of at least so many."""
    held, rows = [], 0
    for frame in frames:
        held.append(frame)
        rows += frame.height
        if rows >= portion:
            yield pl.concat(held)
            held, rows = [], 0
    if held:
        yield pl.concat(held)
