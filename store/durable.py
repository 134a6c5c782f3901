"""Files that survive what comes: a kill, a full disk, a power cut.

A file is durable when its bytes are flushed (`fsync`) and the folder that names it is flushed too. A name is taken
at most once: the bytes go to a temporary name, are flushed, and a hard link gives them the final name, which fails
if that exists. File systems without hard links (FAT, some network folders) get an exclusive create instead; there a
killed writer can leave a torn file behind, which its reader must recognise (see `manifest`).

What the platform can promise stands in `system`.
"""

import contextlib
import errno
import os
from pathlib import Path
from uuid import uuid4

from store import system
from store.system import flush as _flush
from store.system import remove

_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
TEMPORARY = ".tmp-"


class StoreError(Exception):
    """The store could not do what was asked; the text is one sentence for the user."""


class NotWritten(StoreError):
    """A file could not be written; what the store held before is untouched."""


class DiskFull(NotWritten):
    """No space left; free some and repeat the command."""


class StateUnknown(StoreError):
    """Written and visible, but the disk did not confirm it: look at the head before repeating anything."""


def not_written(path, error):
    """An OSError of writing a file as a StoreError to be raised: DiskFull, or NotWritten.

    >>> str(not_written("a.csv", OSError(errno.ENOSPC, "No space left on device")))
    'the disk is full: a.csv could not be written; nothing was changed'
    """
    if isinstance(error, StoreError):
        return error
    if error.errno in _FULL:
        return DiskFull(f"the disk is full: {path} could not be written; nothing was changed")
    return NotWritten(f"{path} could not be written ({error.strerror or error}); nothing was changed")


def write_new(path, data, awaited=False, flushed=True):
    """Write `data` under a name that must not exist yet and flush it; read-only from then on.

    The name itself is durable only after `sync_folder` of its folder.

    Parameters
    ----------
    path : path
    data : bytes
    awaited : bool
        Whether others look for this name: then a file that is whole is never taken away again.
    flushed : bool
        Whether it must outlive a power cut.

    Raises
    ------
    FileExistsError
        The name is taken.
    NotWritten, DiskFull
        Nothing stands under the name.
    StateUnknown
        All of it stands under an awaited name, but the disk did not confirm it.
    """
    path, rest = Path(path), memoryview(data)
    try:
        handle = os.open(path, system.FRESH, 0o444)
    except FileExistsError:
        raise
    except OSError as error:
        raise not_written(path, error) from error
    try:
        try:
            while rest:
                rest = rest[os.write(handle, rest) :]
            if flushed:
                _flush(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if awaited and not rest:
            raise StateUnknown(f"{path} is written but the disk did not confirm it ({error.strerror})") from error
        with contextlib.suppress(OSError):  # half a file under a name that nobody was told; `gc` takes what stays
            remove(path)
        raise not_written(path, error) from error


def write_once(path, data):
    """Give `data` a name that at most one writer can take; durable after `sync_folder`.

    Returns
    -------
    bool
        True where whoever sees the name sees all of it; false where hard links do not exist, and the name appeared
        before the bytes were whole.

    Raises
    ------
    FileExistsError
        Another writer was first.
    NotWritten, DiskFull, StateUnknown
        As `write_new` raises them.
    """
    path = Path(path)
    temporary = temporary_name(path.parent)
    write_new(temporary, data)
    try:
        linked = system.link(temporary, path)
        if not linked:
            write_new(path, data, awaited=True)
        return linked
    except FileExistsError:
        raise
    except OSError as error:
        raise not_written(path, error) from error
    finally:
        with contextlib.suppress(OSError):  # an idle second name of the same bytes; `gc` takes it
            remove(temporary)


def replace_hint(path, data):
    """Put `data` under a name, replacing what stood there; not flushed, so only for what may be lost."""
    with replaced(path) as temporary:
        temporary.write_bytes(data)


@contextlib.contextmanager
def replaced(path):
    """A fresh name beside `path` for a file that the block writes; at its end it takes the place of what stood there.

    If the block fails nothing is changed, and nothing is left of it.
    """
    temporary = temporary_name(Path(path).parent)
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):  # an idle file that nobody looks for
            remove(temporary)
        raise


def links_work(folder):
    """Whether the file system of `folder` has hard links, by trying one; true where nothing can be written at all."""
    first, second = temporary_name(folder), temporary_name(folder)
    try:
        first.touch()
        return system.link(first, second)
    except OSError:
        return True
    finally:
        for path in (first, second):
            with contextlib.suppress(OSError):
                remove(path)


def sync_folder(folder):
    """Flush the names in a folder; raises OSError if the disk does not confirm."""
    if system.FOLDERS_FLUSH:
        _flush_path(folder)


def make_folder(folder):
    """Make a folder whose name is durable; nothing happens if it is there."""
    folder = Path(folder)
    if folder.is_dir():
        return
    try:
        if not folder.parent.is_dir():
            make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)
    except OSError as error:
        raise not_written(folder, error) from error


def move_folder(source, target):
    """Flush all that a folder holds, then rename it to a name that must not exist, so that it is there whole or not.

    Raises
    ------
    FileExistsError
        The target is taken.
    StateUnknown
        Renamed, but the disk did not confirm it.
    """
    source, target = Path(source), Path(target)
    if target.exists():
        raise FileExistsError(errno.EEXIST, "taken", str(target))
    try:
        _sync_tree(source)
        os.rename(source, target)
    except OSError as error:
        if target.exists():  # another process was first: a rename onto a folder that holds something fails
            raise FileExistsError(errno.EEXIST, "taken", str(target)) from error
        raise not_written(target, error) from error
    try:
        sync_folder(target.parent)
    except OSError as error:
        raise StateUnknown(f"{target} is written but the disk did not confirm it ({error.strerror})") from error


def replace_folder(source, target):
    """As `move_folder`, but what has the name gives way, and is removed afterwards.

    Where the system can exchange two names there is no moment without the folder, else one that a kill may find.
    """
    source, target = Path(source), Path(target)
    aside = source
    try:
        _sync_tree(source)
        if not system.exchange(source, target):
            aside = source.with_name(f"{source.name}-old")
            os.rename(target, aside)
            try:
                os.rename(source, target)
            except OSError:
                os.rename(aside, target)
                raise
    except FileNotFoundError:  # it was removed meanwhile
        return move_folder(source, target)
    except OSError as error:
        raise not_written(target, error) from error
    try:
        sync_folder(target.parent)
    except OSError as error:
        raise StateUnknown(f"{target} is written but the disk did not confirm it ({error.strerror})") from error
    with contextlib.suppress(OSError):  # `gc` takes what stays
        remove_tree(aside)


def remove_tree(path):
    """Remove a file, or a folder with all it holds."""
    path = Path(path)
    if path.is_dir() and not path.is_symlink():
        for entry in path.iterdir():
            remove_tree(entry)
        path.rmdir()
    else:
        remove(path)


def temporary_name(folder):
    """A fresh name in `folder` that readers of the store pass over."""
    return Path(folder) / f"{TEMPORARY}{uuid4().hex}"


def _sync_tree(folder):
    if not folder.is_dir():
        _flush_path(folder)
        return
    for path in sorted(folder.iterdir()):  # not `rglob`, which may pass over a folder that cannot be read
        if path.is_dir() and not path.is_symlink():
            _sync_tree(path)
        elif path.is_file():
            _flush_path(path)
    sync_folder(folder)


def _flush_path(path):
    handle = system.to_flush(path)
    try:
        _flush(handle)
    finally:
        os.close(handle)
