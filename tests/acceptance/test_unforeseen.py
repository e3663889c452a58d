"""What nobody foresaw: 500 with an id, and the log says more under it."""

import re
import sqlite3

import pytest

from tests.acceptance.client import Client
from tests.acceptance.conftest import Make
from tests.acceptance.house import Organization

pytestmark = pytest.mark.anyio


async def test_an_unforeseen_error_is_found_in_the_log(start: Make, organization: Organization) -> None:
    """A table that somebody took away breaks a request, tells its sender only an id, and breaks no other."""
    server = start()
    with sqlite3.connect(server.database) as damaging:
        damaging.execute("ALTER TABLE schemas RENAME TO taken_away")
    damaging.close()
    async with Client(server.url, organization.key) as client:
        detail = (await client.call("GET", "/queues")).problem(500)
        found = re.search(r"\b[0-9a-f]{16}\b", detail)
        assert found, detail
        assert "schemas" not in detail
        # The log is written before the answer is sent.
        line = next(line for line in server.stderr.splitlines() if found[0] in line)
        assert "no such table" in line
        assert organization.key not in server.stderr
        (await client.call("GET", "/health")).ok()
        (await client.call("GET", "/listeners")).ok()
