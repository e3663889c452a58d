"""What every test can ask for."""

import pytest
from hypothesis import settings

# How long an example takes says something about the machine, and nothing about Postroom.
settings.register_profile("postroom", deadline=None)
settings.load_profile("postroom")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests run on the event loop that the server runs on."""
    return "asyncio"
