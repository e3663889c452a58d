"""PostgreSQL for the measurements: a server of their own, durable on disk, or one that the operator names."""

import asyncio
import secrets
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

import asyncpg

from bench import process
from tests.support.postgres import Missing, Server

T = TypeVar("T")

CONNECTIONS: Final = 180  # of pgbench and of all servers at once
SETTINGS: Final = ("fsync", "synchronous_commit", "wal_sync_method", "shared_buffers")


class Postgres:
    """A server; `pid` is its first process where it is ours."""

    def __init__(self, url: str, pid: int | None = None) -> None:
        self._url = url
        self._pid = pid

    @contextmanager
    def fresh(self) -> Iterator[str]:
        """The URL of a new database, which is dropped afterwards."""
        name = f"postroom_bench_{secrets.token_hex(4)}"
        run(self._url, f"CREATE DATABASE {name}")
        try:
            yield urlunsplit(urlsplit(self._url)._replace(path=f"/{name}"))
        finally:
            run(self._url, f"DROP DATABASE {name} WITH (FORCE)")

    def describe(self) -> str:
        """Its version and what makes its commits durable; OSError where it takes too few connections."""
        shown = {name: _setting(self._url, name) for name in ("server_version", "max_connections", *SETTINGS)}
        version, most = shown.pop("server_version"), shown.pop("max_connections")
        if int(most) < CONNECTIONS:
            raise OSError(f"the server takes {most} connections; the measurements need {CONNECTIONS}")
        return ", ".join([version, *(f"{name} {value}" for name, value in shown.items())])

    def processor_seconds(self) -> float:
        """Processor time of all its processes so far; 0 where they are not ours."""
        return process.processor_seconds(self._pid, ended=True) if self._pid else 0.0


@contextmanager
def server(where: str) -> Iterator[Postgres]:
    """The server with the URL `where`, or one started for as long as this lasts.

    Raises:
        OSError: there are no programs of PostgreSQL here.
    """
    if "://" in where:
        yield Postgres(where)
        return
    try:
        started = Server(durable=True)
    except Missing as error:
        raise OSError(str(error)) from error
    with started as own:
        yield Postgres(own.url(), own.pid)


def settle(url: str) -> None:
    """What a server does by itself some time after many rows were written."""
    run(url, "VACUUM (ANALYZE)")


def run(url: str, statement: str) -> list[tuple[Any, ...]]:
    """What one statement answers, in a connection of its own; OSError where the server refuses it."""

    async def ask() -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(url)
        try:
            return [tuple(row) for row in await connection.fetch(statement)]
        finally:
            await connection.close()

    return _wait(ask())


def apart(url: str) -> tuple[str, str]:
    """The URL without its password, and the password: other users can read the arguments of a program."""
    parts = urlsplit(url)
    login, at, hosts = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    return urlunsplit(parts._replace(netloc=f"{user}{at}{hosts}")), unquote(password)


def _setting(url: str, name: str) -> str:
    ((value,),) = run(url, f"SHOW {name}")
    return str(value)


def _wait(work: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(work)
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise OSError(f"PostgreSQL: {error}") from error
