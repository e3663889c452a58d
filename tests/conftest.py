"""What every test can ask for."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.support.postgres import Missing, Server, binaries

# How long an example takes says something about the machine, and nothing about Postroom.
settings.register_profile("postroom", deadline=None)
settings.load_profile("postroom")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests run on the event loop that the server runs on."""
    return "asyncio"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL that the tests share, each with databases of its own; under CI it must be there."""
    try:
        binaries()
    except Missing as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    with Server() as server:
        yield server
