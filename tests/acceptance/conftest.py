"""Fixtures: places with an organization in them, servers on them, a client, a receiver."""

import shutil
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.acceptance.chat import Chat, chatting
from tests.acceptance.client import Client
from tests.acceptance.house import Organization, Place, Postroom, Url, make_organization, started, variable
from tests.acceptance.receiver import Receiver
from tests.support.home import Kind
from tests.support.postgres import Server

Make = Callable[..., Postroom]

ON_POSTGRESQL = pytest.mark.databases("postgresql")
ON_BOTH = pytest.mark.databases("sqlite", "postgresql")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test, or each of a module's, runs once on each kind of database that its mark names."""
    marker = metafunc.definition.get_closest_marker("databases")
    if marker is not None and "database_kind" in metafunc.fixturenames:
        metafunc.parametrize("database_kind", marker.args, indirect=True, scope="module")


@pytest.fixture(scope="module")
def database_kind(request: pytest.FixtureRequest) -> Kind:
    """The kind of database that the test runs on."""
    kind: Kind = getattr(request, "param", "sqlite")
    return kind


@pytest.fixture(scope="session")
def furnished_directory(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Organization]:
    """A data directory with one organization, made once and copied by each test that needs its own."""
    data = tmp_path_factory.mktemp("template") / "data"
    return data, make_organization(data)


@pytest.fixture(scope="session")
def furnished_database(postgres: Server) -> tuple[str, Organization]:
    """The name of a database with one organization, made once and copied like the data directory."""
    postgres.create("acme")
    return "acme", make_organization(Url(postgres.url("acme")))


@pytest.fixture(scope="module")
def organization(database_kind: Kind, request: pytest.FixtureRequest) -> Organization:
    """The organization in every copy."""
    made = request.getfixturevalue(
        "furnished_directory" if database_kind == "sqlite" else "furnished_database"
    )
    organization: Organization = made[1]
    return organization


@pytest.fixture
def data(furnished_directory: tuple[Path, Organization], tmp_path: Path) -> Path:
    """A data directory of the test's own, with the organization."""
    return Path(shutil.copytree(furnished_directory[0], tmp_path / "data"))


@pytest.fixture
def database(postgres: Server, furnished_database: tuple[str, Organization]) -> Iterator[Url]:
    """A PostgreSQL database of the test's own, with the organization."""
    name = postgres.fresh(furnished_database[0])
    yield Url(postgres.url(name))
    postgres.drop(name)


@pytest.fixture
def place(database_kind: Kind, request: pytest.FixtureRequest) -> Place:
    """A data directory or database of the test's own, with the organization."""
    found: Place = request.getfixturevalue("data" if database_kind == "sqlite" else "database")
    return found


@pytest.fixture
def start(place: Place, tmp_path: Path) -> Iterator[Make]:
    """Starts servers on the test's own place, and ends them with the test."""
    data = place if isinstance(place, Path) else tmp_path / "server"
    with ExitStack() as running:

        def make(settings: Mapping[str, object] | None = None, **more: tuple[str, ...]) -> Postroom:
            server = Postroom(data, {**variable(place), **(settings or {})}, **more)
            return running.enter_context(server)

        yield make


@pytest.fixture(scope="module")
def server(
    database_kind: Kind, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Postroom]:
    """A server that the tests of one module share; each makes its own queues."""
    folder = tmp_path_factory.mktemp("shared")
    if database_kind == "sqlite":
        template, _ = request.getfixturevalue("furnished_directory")
        with Postroom(Path(shutil.copytree(template, folder / "data"))) as running:
            yield running
        return
    postgres: Server = request.getfixturevalue("postgres")
    template, _ = request.getfixturevalue("furnished_database")
    name = postgres.fresh(template)
    with Postroom(folder / "server", {"database": postgres.url(name)}) as running:
        yield running
    postgres.drop(name)


@pytest.fixture
async def client(server: Postroom, organization: Organization) -> AsyncIterator[Client]:
    """A client of the shared server, with the organization's first key."""
    async with Client(server.url, organization.key) as client:
        yield client


@pytest.fixture
async def chat(server: Postroom) -> AsyncIterator[Chat]:
    """An organization of the test's own on the shared server, to which something happened."""
    async with chatting(server.place, server.url) as chat:
        yield chat


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
        report.sections += [(f"postroom at {server.url}", server.last_words()) for server in started]
    return report
