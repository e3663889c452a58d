"""A database, and the smallest thing that is written to it and read again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from postroom.store.database import Database, Reader, Transaction
from postroom.store.postgres import PostgresDatabase
from tests.support.home import Home, PostgresHome

NAMES: Final = "SELECT name FROM organizations ORDER BY name"


@asynccontextmanager
async def opened(home: Home) -> AsyncIterator[Database]:
    """The driver on a home."""
    database = await home.open()
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def pooled(home: PostgresHome, connections: int = 4) -> AsyncIterator[PostgresDatabase]:
    """The driver of PostgreSQL, with so many connections."""
    database = await PostgresDatabase.open(home.address, connections)
    try:
        yield database
    finally:
        await database.close()


async def insert(tx: Transaction, name: str) -> bool:
    """A new organization, unless the name is taken."""
    return bool(await tx.fetch("insert_organization", name, name, "UTC", None, 1))


async def write(database: Database, name: str) -> bool:
    """The smallest write there is."""
    return await database.transaction(lambda tx: insert(tx, name))


async def names(reader: Reader) -> list[str]:
    """The organizations that are there."""
    return [row[1] for row in await reader.fetch("list_organizations")]
