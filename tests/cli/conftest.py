"""A data directory with one organization that has a queue and a listener."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from postroom.service.hub import Hub
from tests.cli.shell import arrange

NOWHERE = "http://192.0.2.1/"  # an address that exists for documentation only; nothing is sent there


@dataclass(frozen=True)
class Things:
    """What is in the directory: the names are acme, orders and billing."""

    org: str
    key: str
    queue: str
    listener: str


async def _make(hub: Hub) -> Things:
    organization, key = await hub.organizations.found("acme")
    queue = await hub.queues.create(organization.id, "orders")
    listener = await hub.listeners.create(organization.id, queue.id, "billing", NOWHERE, NOWHERE)
    return Things(organization.id, key, queue.id, listener.id)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Things]:
    """Made once, and copied by each test that needs its own."""
    data = tmp_path_factory.mktemp("cli") / "data"
    return data, arrange(data, _make)


@pytest.fixture(scope="session")
def things(template: tuple[Path, Things]) -> Things:
    """What is in every copy."""
    return template[1]


@pytest.fixture
def data(template: tuple[Path, Things], tmp_path: Path) -> Path:
    """A data directory of the test's own."""
    return Path(shutil.copytree(template[0], tmp_path / "data"))
