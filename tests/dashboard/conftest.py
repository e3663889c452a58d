"""Fixtures: a server with an organization, a client of it, and a real browser."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.acceptance.client import Client
from tests.acceptance.house import Organization, Postroom, make_organization
from tests.acceptance.receiver import Receiver
from tests.dashboard.browser import Browser, program


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data directory of the test's own server."""
    return tmp_path / "data"


@pytest.fixture
def organization(data: Path) -> Organization:
    """The one organization there is."""
    return make_organization(data)


@pytest.fixture
def server(data: Path, organization: Organization) -> Iterator[Postroom]:
    """A server of the test's own: what it counts is what the test did."""
    with Postroom(data) as running:
        yield running


@pytest.fixture
async def client(server: Postroom, organization: Organization) -> AsyncIterator[Client]:
    """A client with the organization's first key."""
    async with Client(server.url, organization.key) as client:
        yield client


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver that answers 200 unless told."""
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    """A browser with a new profile; under CI it must be there."""
    if program() is None:
        missing = "there is no `chromium` on PATH"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    async with Browser(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser
        assert browser.console == [], "no script may fail, and nothing may break the policy"
