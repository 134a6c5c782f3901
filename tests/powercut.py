"""What a power cut leaves: a disk that keeps what was flushed, worked out from the system calls of a command.

A `Disk` begins as a folder is and follows the calls. A file keeps the bytes that it had at its last fsync, a folder the
names that it had at its last fsync; the rest of it is lost, or, with a source of chance, lost or kept as chance wants,
as a real disk may write what nobody asked it to.
"""

from pathlib import Path


class File:
    """Bytes as the kernel has them, and as the disk has."""

    def __init__(self, data=b"", safe=b""):
        self.data, self.safe = data, safe


class Folder:
    """Names as the kernel has them, and as the disk has."""

    def __init__(self, names=()):
        self.names = dict(names)
        self.safe = dict(names)


class Disk:
    """A folder that follows system calls."""

    def __init__(self, path):
        self.path = Path(path)
        self.top = Folder({self.path.name: _loaded(self.path)} if self.path.exists() else {})

    def apply(self, call):
        """Do what a call (of `faults`) did; calls elsewhere, and those that failed, do nothing."""
        inside = [self._inside(path) for path in call.paths]
        if all(name is None for name in inside) or call.result is None or call.result < 0:
            return
        action = getattr(self, f"_{call.name.removesuffix('at').removesuffix('at2').removesuffix('64')}", None)
        if action is not None:
            action(call, *inside)

    def tree(self):
        """Name -> bytes of every file as the kernel has it; `None` for a folder."""
        return dict(_walked(self.top, lambda folder: folder.names, lambda file: file.data))

    def cut(self, chance=None):
        """Name -> bytes of what is left when the power goes now; `None` for a folder."""
        if chance is None:
            return dict(_walked(self.top, lambda folder: folder.safe, lambda file: file.safe))
        return dict(_walked(self.top, lambda folder: _some(folder, chance), lambda file: _part(file, chance)))

    # ---- calls; each name is a tuple of parts

    def _open(self, call, name):
        if "O_CREAT" in call.text and self._found(name) is None:
            self._folder(name).names[name[-1]] = File()
        elif "O_TRUNC" in call.text:
            self._found(name).data = b""

    def _write(self, call, name):
        self._found(name).data += call.data

    def _pwrite(self, call, name):
        file, at = self._found(name), call.number
        file.data = file.data[:at].ljust(at, b"\0") + call.data + file.data[at + len(call.data) :]

    _writev = _write

    def _ftruncate(self, call, name):
        self._found(name).data = self._found(name).data[: call.number]

    def _fsync(self, call, name):
        node = self._found(name)
        if isinstance(node, File):
            node.safe = node.data
        elif node is not None:
            node.safe = dict(node.names)

    _fdatasync = _fsync

    def _mkdir(self, call, name):
        self._folder(name).names[name[-1]] = Folder()

    def _link(self, call, old, new):
        self._folder(new).names[new[-1]] = self._found(old)

    def _rename(self, call, old, new):
        self._folder(new).names[new[-1]] = self._folder(old).names.pop(old[-1])

    def _unlink(self, call, name):
        del self._folder(name).names[name[-1]]

    _rmdir = _unlink

    # ---- inside

    def _inside(self, path):
        """Parts of a path from the folder on; none for the folder that holds it; None for what is elsewhere."""
        if path.is_relative_to(self.path):
            return path.relative_to(self.path.parent).parts
        return () if path == self.path.parent else None

    def _found(self, name):
        node = self.top
        for part in name:
            node = node.names.get(part) if isinstance(node, Folder) else None
        return node

    def _folder(self, name):
        return self._found(name[:-1])


def write_tree(tree, folder):
    """Write a disk's tree into a fresh folder."""
    for name, data in tree.items():
        path = Path(folder, *name)
        if data is None:
            path.mkdir(parents=True)
        else:
            path.write_bytes(data)


def _loaded(path):
    if path.is_dir():
        return Folder({entry.name: _loaded(entry) for entry in path.iterdir()})
    return File(path.read_bytes(), path.read_bytes())


def _walked(folder, names, data, above=()):
    """(name, bytes or None) of all below a folder, folders before what is in them."""
    for part, node in names(folder).items():
        yield (*above, part), None if isinstance(node, Folder) else data(node)
        if isinstance(node, Folder):
            yield from _walked(node, names, data, (*above, part))


def _some(folder, chance):
    """Names of which each that was not flushed is as it was or as it is."""
    either = {name: folder.names.get(name) for name in folder.names} | {
        name: folder.names.get(name) if chance.random() < 0.5 else folder.safe.get(name)
        for name in folder.names.keys() | folder.safe.keys()
        if folder.names.get(name) is not folder.safe.get(name)
    }
    return {name: node for name, node in sorted(either.items()) if node is not None}


def _part(file, chance):
    """Bytes of a file: those flushed, all, or some of what came after."""
    if file.data == file.safe:
        return file.data
    return chance.choice((file.safe, file.data, file.data[: chance.randrange(len(file.data) + 1)]))
