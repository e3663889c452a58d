"""Commands on a PostgreSQL database: the same as on a file."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.client import unique
from tests.acceptance.house import run
from tests.cli.shell import background
from tests.cli.test_serve import READY, welcomed
from tests.support.postgres import Server


@pytest.fixture
def database(postgres: Server) -> Iterator[str]:
    """The address of an empty database."""
    name = unique("cli").replace("-", "_")
    postgres.create(name)
    yield postgres.url(name)
    postgres.drop(name)


def done(*words: str, database: str, stdin: str | None = None) -> str:
    """What the command printed; it must succeed without a word on standard error."""
    ended = run(*words, settings={"database": database}, stdin=stdin)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def test_commands(database: str) -> None:
    """The address is an option or a variable; only some commands make tables where there are none."""
    for words in (("stats",), ("queue", "list"), ("audit",), ("send", "orders", "x")):
        refused = run(*words, "--database", database)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "there is nothing of Postroom in postgresql://postroom:***@" in refused.stderr
        assert "postroom org create" in refused.stderr
    assert run("org", "create", "acme", "--database", database).returncode == 0
    assert done("migrate", database=database) == "The database is up to date.\n"
    assert done("org", "list", database=database).split("\t")[1] == "acme"
    assert done("key", "create", "more", database=database).startswith("name\tmore\n")
    assert len(done("key", "list", database=database).splitlines()) == 2
    assert "api_key_added\t1\t1\t" in done("stats", database=database)
    assert "\tapi_key_added\tmore\t" in done("events", database=database)
    assert done("audit", database=database) == ""


def test_a_database_that_does_not_hold_all_text(postgres: Server) -> None:
    """Every command refuses it in one sentence; none finds out when there is text that it cannot write."""
    postgres.rows("postgres", "CREATE DATABASE narrow_cli ENCODING 'LATIN1' TEMPLATE template0")
    for words in (("org", "create", "Bäckerei 🥐"), ("migrate",), ("serve", "--port", "0")):
        refused = run(*words, settings={"database": postgres.url("narrow_cli")})
        assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)
        assert "has the encoding LATIN1" in refused.stderr
    postgres.drop("narrow_cli")


def test_migrate(database: str) -> None:
    """It makes the tables and tells what was applied."""
    assert done("migrate", database=database).startswith("Applied migration 0001 (hub).\n")
    assert done("migrate", database=database) == "The database is up to date.\n"


def test_serve_and_its_welcome(database: str, tmp_path: Path) -> None:
    """The first start makes everything; the next one says how to make a key without telling a password."""
    variables = {"POSTROOM_DATABASE": database, "POSTROOM_PORT": "0"}
    with background(tmp_path / "first", "serve", "--welcome", variables=variables) as serving:
        welcomed(serving)
        assert "There was no organization yet" in serving.out
        assert serving.stop(signal.SIGTERM) == 0
    with background(tmp_path / "second", "serve", "--welcome", variables=variables) as serving:
        (line,) = welcomed(serving)
        assert READY.search(serving.out)
        assert re.search(r"is the database postgresql://postroom:\*\*\*@[\d.:]+/cli_\d+:$", serving.out, re.M)
        assert "--data" not in line
        words = line.replace("NAME", "mine").split()
        assert done(*words[1:], database=database).startswith("name\tmine\n")
        password = database.partition("@")[0].rpartition(":")[2]
        assert password not in serving.out + serving.err
