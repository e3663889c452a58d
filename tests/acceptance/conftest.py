"""Fixtures: data directories with an organization, servers on them, a client, a receiver."""

import shutil
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from pathlib import Path

import pytest

from tests.acceptance.client import Client
from tests.acceptance.house import Organization, Postroom, make_organization, started
from tests.acceptance.receiver import Receiver

Make = Callable[..., Postroom]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Organization]:
    """A data directory with one organization, made once and copied by each test that needs its own."""
    data = tmp_path_factory.mktemp("template") / "data"
    return data, make_organization(data)


@pytest.fixture(scope="session")
def organization(template: tuple[Path, Organization]) -> Organization:
    """The organization in every copy of the template."""
    return template[1]


@pytest.fixture
def data(template: tuple[Path, Organization], tmp_path: Path) -> Path:
    """A data directory of the test's own, with the organization."""
    return Path(shutil.copytree(template[0], tmp_path / "data"))


@pytest.fixture
def start(data: Path) -> Iterator[Make]:
    """Starts servers on the test's own data directory, and ends them with the test."""
    made: list[Postroom] = []

    def make(settings: Mapping[str, object] | None = None, **more: tuple[str, ...]) -> Postroom:
        made.append(Postroom(data, settings, **more))
        return made[-1].start()

    yield make
    for server in made:
        server.kill()


@pytest.fixture(scope="module")
def server(
    template: tuple[Path, Organization], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Postroom]:
    """A server that the tests of one module share; each makes its own queues."""
    data = Path(shutil.copytree(template[0], tmp_path_factory.mktemp("shared") / "data"))
    with Postroom(data) as running:
        yield running


@pytest.fixture
async def client(server: Postroom, organization: Organization) -> AsyncIterator[Client]:
    """A client of the shared server, with the organization's first key."""
    async with Client(server.url, organization.key) as client:
        yield client


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver that answers 200 unless told."""
    async with Receiver() as receiver:
        yield receiver


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows the last lines that its servers wrote."""
    report = yield
    if report.failed:
        report.sections += [(f"postroom at {server.url}", server.stderr[-4000:]) for server in started]
    return report
