"""No room for the database: 503 while there is none, service again when there is, and nothing is lost."""

import os
import random
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from anyio.to_thread import run_sync

from tests.acceptance.client import Client, Queue, counted, make_listener, make_queue, pages, send
from tests.acceptance.conftest import Make
from tests.acceptance.house import Organization, Postroom, audit, until
from tests.acceptance.receiver import Receiver
from tests.support.postgres import Server, account

pytestmark = pytest.mark.anyio

LARGE: Final = {"data": random.Random(3).randbytes(50_000).hex()}  # which no database makes smaller
MOST: Final = 400


async def fill(client: Client, queue: Queue) -> list[str]:
    """Send large messages until one is refused with 503 and Retry-After; those that were accepted."""
    accepted: list[str] = []
    for _ in range(MOST):
        answer = await client.call("POST", queue.messages, LARGE)
        if answer.status != 200:
            answer.problem(503)
            assert int(answer.headers["retry-after"]) >= 1
            return accepted
        accepted.append(answer.json()["message"]["id"])
    raise AssertionError(f"{MOST} messages went into a full disk")


async def recovered(client: Client, queue: Queue) -> str:
    """Wait until a large message is accepted again; its id."""

    async def again() -> object:
        answer = await client.call("POST", queue.messages, LARGE)
        return answer.json()["message"]["id"] if answer.status == 200 else answer.problem(503) and None

    return str(await until(again, lambda seen: seen is not None))


def limit_files(server: Postroom, size: int) -> None:
    """No file of the server's may grow beyond this size from now on; the hard limit stays."""
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def largest_file(folder: Path) -> int:
    return max(file.stat().st_size for file in folder.iterdir())


async def test_files_may_not_grow(start: Make, organization: Organization, receiver: Receiver) -> None:
    """While files may not grow, writes are 503 and reading goes on; lifted, all goes on and all is there."""
    server = start()
    async with Client(server.url, organization.key) as client:
        queue, other = await make_queue(client), await make_queue(client)
        listener = await make_listener(client, other, receiver.url("/hook"))
        first = await send(client, other)
        await counted(client, listener, acknowledged=1)
        limit_files(server, largest_file(server.data) + 1_000_000)
        accepted = await fill(client, queue)
        assert (await client.get(f"{other.messages}/{first}"))["message"]["id"] == first
        assert (await client.get("/stats/messages"))["_links"]
        limit_files(server, resource.RLIM_INFINITY)
        accepted.append(await recovered(client, queue))
        stored = [message["id"] for message in await pages(client, queue.messages, "messages")]
        assert stored[::-1] == accepted
        await send(client, other)
        await counted(client, listener, acknowledged=2)
    assert await run_sync(server.terminate) == 0
    await run_sync(audit, server.place)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB in memory."""
    yield from disk(tmp_path / "disk", "8m")


@pytest.fixture
def tablespace(postgres: Server) -> Iterator[Path]:
    """A place for databases on a file system of 16 MB in memory; a new one takes half of that."""
    who, folder = account(), postgres.folder / "tablespace"
    for place in disk(folder, "16m"):
        os.chown(place, who.uid or 0, who.gid or 0)
        postgres.rows("postgres", f"CREATE TABLESPACE small LOCATION '{place}'")
        yield place
        postgres.rows("postgres", "DROP TABLESPACE small")


def disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of this size, where the machine lets us mount one."""
    folder.mkdir()
    if os.geteuid() != 0 or not mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)):
        pytest.skip("mounting a tmpfs is not permitted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=60)


def mount(*words: str) -> bool:
    """Whether `mount` did it."""
    program = shutil.which("mount")
    if program is None:
        return False
    return subprocess.run([program, *words], capture_output=True, timeout=60, check=False).returncode == 0


async def test_the_disk_is_full(
    furnished_directory: tuple[Path, Organization], small_disk: Path, receiver: Receiver
) -> None:
    """On a full disk writes are 503; with more room all goes on and all is there, deliveries too."""
    data = Path(shutil.copytree(furnished_directory[0], small_disk / "data"))
    await fill_and_make_room(Postroom(data), furnished_directory[1], small_disk, receiver)


async def test_the_servers_disk_is_full(
    postgres: Server,
    furnished_database: tuple[str, Organization],
    tablespace: Path,
    tmp_path: Path,
    receiver: Receiver,
) -> None:
    """So too when it is the disk of the PostgreSQL server."""
    template, organization = furnished_database
    postgres.rows(
        "postgres", f"CREATE DATABASE tight TEMPLATE {template} TABLESPACE small STRATEGY FILE_COPY"
    )
    try:
        server = Postroom(tmp_path / "server", {"database": postgres.url("tight")})
        await fill_and_make_room(server, organization, tablespace, receiver)
    finally:
        postgres.drop("tight")


async def fill_and_make_room(
    server: Postroom, organization: Organization, folder: Path, receiver: Receiver
) -> None:
    """What must hold while the file system of this folder is full, and when it is not any more."""
    with server:
        async with Client(server.url, organization.key) as client:
            queue = await make_queue(client)
            listener = await make_listener(client, queue, receiver.url("/hook"))
            accepted = await fill(client, queue)
            assert (await client.get(queue.path))["queue"]["id"] == queue.id
            assert mount("-o", "remount,size=64m", str(folder))
            accepted.append(await recovered(client, queue))
            stored = {message["id"] for message in await pages(client, queue.messages, "messages")}
            assert stored == set(accepted)
            await counted(client, listener, accepted=len(stored), acknowledged=len(stored))
        assert await run_sync(server.terminate) == 0
        await run_sync(audit, server.place)
