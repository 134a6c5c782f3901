"""A real PostgreSQL server for tests: started in a folder of its own, on a Unix socket, gone afterwards.

Any role may connect without a password but `locked`, who needs `Server.password`. No network port is opened, so that
nothing else on the machine can meet it. The server refuses to run as root: then it runs as another user.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

PROGRAMS = ("initdb", "postgres", "pg_ctl")
SETTINGS = """
listen_addresses = ''
unix_socket_directories = '{folder}'
fsync = off
synchronous_commit = off
full_page_writes = off
max_wal_size = 4GB
shared_buffers = 64MB
password_encryption = 'scram-sha-256'
"""
ACCESS = "local all locked scram-sha-256\nlocal all all trust\n"


@dataclass(frozen=True)
class Server:
    """A running server; `folder` holds its socket."""

    folder: Path
    password: str = "s3cret-w0rd"  # of the role `locked`

    def url(self, database="postgres", user="postgres"):
        """The address of a database."""
        return f"postgresql://{user}@/{quote(database)}?host={quote(str(self.folder), safe='')}"

    def connect(self, database="postgres", user="postgres"):
        """A connection that commits each statement."""
        import psycopg

        return psycopg.connect(self.url(database, user), autocommit=True)

    def run(self, statement, database="postgres", user="postgres"):
        """Rows that a statement gives; none for one that gives no rows."""
        with self.connect(database, user) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []


def programs():
    """Name -> path of the server's programs; None where they are not installed."""
    folders = [Path(path) for path in os.environ.get("PATH", "").split(os.pathsep) if path]
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in folders:
        beside = (folder / "initdb").resolve().parent
        if all((beside / name).is_file() for name in PROGRAMS):
            return {name: str(beside / name) for name in PROGRAMS}
    return None


def _owner():
    """The user that the server runs as; None for the one who runs the tests."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return known.get("postgres") or known.get("nobody")


@pytest.fixture(scope="session")
def server():
    """A server with the roles `reader`, who may nothing, and `locked`, who needs a password."""
    found = programs()
    if found is None or (os.geteuid() == 0 and _owner() is None):
        pytest.skip("no PostgreSQL server can be started: initdb, postgres and pg_ctl, and a user that is not root")
    folder, owner = Path(tempfile.mkdtemp(prefix="pg-")), _owner()  # not pytest's: others cannot enter that
    if owner:
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    data = folder / "data"
    same = {"cwd": folder, "check": True, "capture_output": True} | ({"user": owner.pw_uid} if owner else {})
    environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "HOME": str(folder)}
    try:
        words = [found["initdb"], "-D", data, "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8"]
        subprocess.run(words, env=environment, **same)
        with open(data / "postgresql.conf", "a") as file:
            file.write(SETTINGS.format(folder=folder))
        (data / "pg_hba.conf").write_text(ACCESS)
        words = [found["pg_ctl"], "-D", data, "-w", "-l", folder / "log", "start"]
        subprocess.run(words, env=environment, **same)
        running = Server(folder)
        running.run(f"CREATE ROLE reader LOGIN; CREATE ROLE locked LOGIN PASSWORD '{running.password}'")
        yield running
    finally:
        if (data / "postmaster.pid").exists():
            subprocess.run([found["pg_ctl"], "-D", data, "-m", "immediate", "stop"], env=environment, **same)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database(server):
    """Name of an empty database of its own."""
    name = f"test{os.getpid()}"
    server.run(f"CREATE DATABASE {name}")
    yield name
    server.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def filled(tmp_path_factory):
    """A store with rows in every table that is exported; not to be changed."""
    from tests import postgres_store

    return postgres_store.build(tmp_path_factory.mktemp("filled") / "store")


@pytest.fixture(scope="session")
def exported(server, filled):
    """(address, store) of a database with that store in it, in the schema public; not to be changed."""
    from store import postgres

    server.run("CREATE DATABASE exported")
    postgres.export(filled, server.url("exported"))
    return server.url("exported"), filled


@pytest.fixture
def fresh(tmp_path):
    """An empty store."""
    from store import open_archive

    return open_archive(tmp_path / "fresh", create=True)
