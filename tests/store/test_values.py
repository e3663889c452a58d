"""Values in a database: they come back as they went, whichever the driver."""

from typing import Any

import apsw
import asyncpg
import pytest

from postroom.store.database import Transaction
from tests.support.home import Home
from tests.support.hub import rows
from tests.support.writing import NAMES, names, opened, write

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("value", ["soon", b"x"])
async def test_a_column_refuses_what_it_is_not(home: Home, value: Any) -> None:
    """In a column of whole numbers nothing else is stored, and nothing is made to fit."""
    async with opened(home) as database:

        async def body(tx: Transaction) -> None:
            await tx.fetch("insert_organization", "one", "one", "UTC", None, value)

        with pytest.raises((apsw.ConstraintError, asyncpg.DataError)):
            await database.transaction(body)
    assert rows(home, NAMES) == []


@pytest.mark.parametrize("at", [0, -1, (1 << 63) - 1, -(1 << 63)])
@pytest.mark.parametrize("name", ["", "é\u2028👋", "a\nb", "\x01\x7f", "ﷺ", "'\";--", "\\x41"])
async def test_values_come_back_as_they_went(home: Home, at: int, name: str) -> None:
    """Text of every kind, whole numbers of 64 bits, bytes, and nothing."""

    async def body(tx: Transaction) -> None:
        await tx.execute("insert_organization", "org", name, "UTC", None, at)
        await tx.execute("insert_message", "org", "m", "q", None, name.encode() + b"\x00\xff")

    async with opened(home) as database:
        await database.transaction(body)
        assert await database.fetch("find_organization", "org") == [("org", name, "UTC", None, at)]
        found = [("org", "m", "q", None, name.encode() + b"\x00\xff")]
        assert await database.fetch("find_message", "org", "m", "q") == found


async def test_text_is_ordered_byte_by_byte(home: Home) -> None:
    """As ids are, and as they are compared: not by a language's rules."""
    mixed = ["-z", "0", "9a", "A", "Z9", "_", "a", "aB", "ab", "z", "é", "\U0001f600"]
    async with opened(home) as database:
        for name in reversed(mixed):
            await write(database, name)
        assert await names(database) == sorted(mixed, key=str.encode) == mixed
