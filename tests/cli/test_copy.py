"""`postroom copy`, as a person and a program see it."""

import asyncio
import json
import re
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from postroom.store.copying import TABLES
from tests.acceptance.client import unique
from tests.acceptance.house import run, run_json
from tests.cli.conftest import Things
from tests.cli.shell import background, in_terminal
from tests.support.home import PostgresHome, SqliteHome
from tests.support.hub import blocked
from tests.support.postgres import Server

ROWS = {"organizations": 1, "api_keys": 1, "queues": 1, "listeners": 1, "messages": 2, "deliveries": 2}
ROWS |= {"listener_counts": 1, "usage_events": 4, "series": 1}


@pytest.fixture
def source(data: Path) -> Path:
    """A data directory with two messages that wait for the same listener."""
    for text in ("one", "two"):
        run_json("send", "orders", text, data=data)
    return data


@pytest.fixture
def target(postgres: Server) -> Iterator[PostgresHome]:
    """A database without tables."""
    name = unique("copy").replace("-", "_")
    postgres.create(name)
    with closing(PostgresHome(postgres, name)) as home:
        yield home


def words(source: object, target: object) -> tuple[str, ...]:
    """The command line."""
    return "copy", "--from", str(source), "--to", str(target)


def test_lines_in_a_pipe(source: Path, target: PostgresHome) -> None:
    """Each table with its number of rows, in the order in which they are copied, and nothing else."""
    done = run(*words(f"sqlite:{source}", target.address))
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert [name for name, _ in lines] == list(TABLES)
    numbers = {name: int(number) for name, number in lines}
    assert numbers.items() >= ROWS.items()


def test_json(source: Path, target: PostgresHome, tmp_path: Path) -> None:
    """The rows of each table, and that both sides were held against each other; and the same way back."""
    there = json.loads(run(*words(f"sqlite:{source}", target.address), "--json").stdout)
    assert list(there["tables"]) == list(TABLES)
    assert there["tables"].items() >= ROWS.items()
    rest = {"verified": True, "unequal": {}, "differences": {"source": [], "target": []}}
    assert there == {"tables": there["tables"], **rest}
    back = json.loads(run(*words(target.address, f"sqlite:{tmp_path / 'back'}"), "--json").stdout)
    assert back == there
    assert run_json("listener", "list", data=tmp_path / "back") == run_json("listener", "list", data=source)


def test_bars_on_a_terminal(source: Path, tmp_path: Path) -> None:
    """A bar for each table with its rows, and what it came to in the end."""
    code, shown = in_terminal(*words(f"sqlite:{source}", f"sqlite:{tmp_path / 'new'}"))
    assert code == 0
    assert re.search(r"deliveries .*━.* 2 of 2", shown)
    assert shown.endswith(
        "Counting and auditing both databases.\nEvery row is there, and every count is what the facts give.\n"
    )


@pytest.mark.parametrize("table", ["organizations", "messages", "series"])
def test_interrupted(source: Path, target: PostgresHome, tmp_path: Path, table: str) -> None:
    """Ctrl-C ends it at once; until it is run again, nothing else can be done with the target."""
    line = words(f"sqlite:{source}", target.address)
    assert run("migrate", "--database", target.address).returncode == 0
    with target.beside() as other:
        other.execute("BEGIN")
        other.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")
        with background(tmp_path / "copy", *line) as copying:
            asyncio.run(blocked(target, "COPY"))
            assert copying.stop(signal.SIGINT) == 130
            assert copying.err == "Interrupted. Run the same command again to go on.\n"
            assert [each.split("\t")[0] for each in copying.out.splitlines()] == list(
                TABLES[: TABLES.index(table)]
            )
    told = (
        f"Error: the copy from sqlite:{source}/postroom.db into this database is not finished;"
        " run the same postroom copy again.\n"
    )
    for command in (("org", "list"), ("audit",), ("serve", "--port", "0")):
        refused = run(*command, "--database", target.address)
        assert (refused.returncode, refused.stdout, refused.stderr) == (1, "", told)
    assert run(*line).returncode == 0
    assert run("org", "list", "--database", target.address).stdout.split("\t")[1] == "acme"


def test_wrong_counts(source: Path, target: PostgresHome, things: Things) -> None:
    """The differences of both sides, on every kind of output, and 1; the copy is what the source is."""
    SqliteHome(source).rows("UPDATE listener_counts SET accepted = accepted + 1")
    done = run(*words(f"sqlite:{source}", target.address))
    assert done.returncode == 1
    line = f"{things.org}\t{things.listener}\tpending\t3\t2"
    assert done.stdout.splitlines()[-2:] == [f"source\t{line}", f"target\t{line}"]
    assert "can be used" in done.stderr
    assert run("org", "list", "--database", target.address).returncode == 0
    target.clear()
    told = json.loads(run(*words(f"sqlite:{source}", target.address), "--json").stdout)
    assert told["verified"] is False
    assert told["unequal"] == {}
    (difference,) = told["differences"]["target"]
    assert difference | {"counted": 3, "facts": 2} == difference
    target.clear()
    code, shown = in_terminal(*words(f"sqlite:{source}", target.address))
    assert code == 1
    assert "Facts" in shown


def test_complaints(source: Path, target: PostgresHome, tmp_path: Path) -> None:
    """One sentence that names what is wrong and shows no password."""
    good = f"sqlite:{source}"
    nothing = target.address.replace(target.name, "nothing")
    shown = target.address.partition("@")[2]
    cases = [
        (words("x:y", good), "--from should be a PostgreSQL URL such as", ", or sqlite:PATH."),
        (words(good, "sqlite:"), "--to should be a PostgreSQL URL such as", ", or sqlite:PATH."),
        (words(good, f"{target.address}#"), "--to should be a PostgreSQL URL such as", ", or sqlite:PATH."),
        (words(f"sqlite:{tmp_path / 'no'}", good), "there is nothing of Postroom in sqlite:", "."),
        (words(good, good), "are the same database; give two", "."),
        (words(good, nothing), "/nothing: there is no such database; make it with CREATE DATABASE", "."),
        (words(target.address, good), f"there is nothing of Postroom in postgresql://{shown}", "."),
        (words(good, target.address.replace("postroom:", "postroom:x")), "does not take this password", "."),
        (words(good, f"sqlite:{source.parent / 'data'}"), "are the same database; give two", "."),
    ]
    secret = target.address.split(":")[2].partition("@")[0]
    for line, told, end in cases:
        refused = run(*line)
        assert (refused.returncode, refused.stdout) == (1, ""), line
        assert refused.stderr.startswith("Error: ")
        assert told in refused.stderr
        assert refused.stderr.endswith(f"{end}\n")
        assert refused.stderr.count("\n") == 1
        assert secret not in refused.stderr


def test_both_addresses_are_needed() -> None:
    """As with every option that has no default."""
    refused = run("copy", "--from", "sqlite:x")
    assert refused.returncode == 2
    assert "--to" in refused.stderr
