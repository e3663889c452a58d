"""`postroom audit`, `migrate` and `version`, and `postroom` alone."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from postroom import __version__
from tests.acceptance.house import DEADLINE, environment, run, run_json
from tests.cli.conftest import Things
from tests.cli.shell import in_terminal


def test_audit_finds_nothing(data: Path) -> None:
    """Where every count is right it ends with 0, with a sentence for people."""
    assert run_json("audit", data=data) == {"ok": True, "differences": []}
    assert run("audit", data=data).stdout == ""
    code, shown = in_terminal("audit", data=data)
    assert (code, shown) == (0, "Every count is what the facts give.\n")


def test_audit_finds_a_difference(data: Path, things: Things) -> None:
    """It names what differs, and ends with 1."""
    run_json("send", "orders", "x", data=data)
    with sqlite3.connect(data / "postroom.db") as connection:
        connection.execute("UPDATE listener_counts SET accepted = accepted + 1")
    connection.close()
    done = run("audit", data=data)
    assert done.returncode == 1
    assert f"{things.org}\t{things.listener}\tpending\t2\t1\n" in done.stdout
    code, shown = in_terminal("audit", data=data)
    assert code == 1
    assert "Facts" in shown


def test_migrate(tmp_path: Path) -> None:
    """It makes a database, tells what was applied, and has nothing to do then."""
    applied = run_json("migrate", data=tmp_path)["applied"]
    assert applied[0] == {"number": 1, "name": "hub"}
    assert run_json("migrate", data=tmp_path) == {"applied": []}
    assert run("migrate", data=tmp_path).stdout == "The database is up to date.\n"
    first = run("migrate", data=tmp_path / "other").stdout.splitlines()[0]
    assert first == "Applied migration 0001 (hub)."


def test_version() -> None:
    """The same for people, pipes and programs, and as an option."""
    assert run("version").stdout == f"{__version__}\n"
    assert run("version", "--json").stdout == f'{{\n  "version": "{__version__}"\n}}\n'
    assert in_terminal("version") == (0, f"Postroom {__version__}\n")
    assert run("--version").stdout == f"Postroom {__version__}\n"


def test_alone_it_helps() -> None:
    """Without a command it lists them, in a pipe without frames."""
    alone = run()
    assert alone.returncode == 0
    assert alone.stdout == run("--help").stdout
    assert "\n  listener  List listeners.\n" in alone.stdout
    assert "╭" in in_terminal()[1]


def test_as_a_module() -> None:
    """`python -m postroom` is the same."""
    done = subprocess.run(
        [sys.executable, "-m", "postroom", "xyz"],
        env=environment({}),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "Error: No such command 'xyz'. See postroom --help.\n"


@pytest.mark.parametrize("words", [("version",), ("--help",), ("org", "--help")])
def test_nothing_heavy_is_loaded(words: tuple[str, ...]) -> None:
    """What needs no store loads no server, no client and no database."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "postroom", *words],
        env=environment({}),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=True,
    )
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "typer" in loaded
    assert not loaded & {"aiohttp", "apsw", "rich", "starlette", "structlog", "uvicorn", "postroom.runtime"}
