"""What every test can ask for."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on the event loop that the server runs on."""
    return "asyncio"
