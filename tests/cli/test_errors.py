"""What goes wrong is one sentence on standard error that says what to do, and an exit code."""

import socket
from pathlib import Path

import pytest

from postroom.service.hub import Hub
from tests.acceptance.house import run
from tests.cli.shell import arrange, in_terminal


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("send", "nowhere", "x"), 1, "there is no queue nowhere"),
        (("send", "orders", "x", "--name", ""), 1, "name: must not be empty"),
        (("send",), 2, "Missing argument 'QUEUE'. See postroom send --help."),
        (("key", "disable", "nobody"), 1, "acme has no API key 'nobody'; see postroom key list"),
        (("key", "create", "x", "--scope", "oven:read"), 2, "'oven:read', resource must be one of"),
        (("key", "create", "x", "--scope", "queues"), 2, "access must be read or write"),
        (("key", "create", "x", "--scope", "queues:read:1"), 2, "targets[0] must be an id"),
        (("key", "create", "x", "--scope", "api_keys:read"), 2, "is protected"),
        (("org", "create", "acme"), 1, "'acme' is taken"),
        (("org", "create", "x", "--time-zone", "Mars/Base"), 1, "'Mars/Base' is no time zone"),
        (("stats", "--org", "nobody"), 1, "there is no organization 'nobody'; there are acme"),
        (("stats", "--jason"), 2, "No such option: --jason"),
        (("stats", "more"), 2, "Got unexpected extra argument(s) (more). See postroom stats --help."),
        (("sned",), 2, "Did you mean 'send'? See postroom --help."),
        (("org",), 2, "Missing command. See postroom org --help."),
        (("events", "--events", "kitchen"), 2, "--events"),
        (("listen", "--port", "65536"), 2, "--port"),
        (("listen", "--status", "99"), 2, "--status"),
        (("listen", "--secret", "x"), 2, "whsec_"),
        (("listen", "--secret", "whsec_"), 2, "whsec_"),
        (("listen", "--host", "192.0.2.1"), 1, "192.0.2.1 is no address of this machine"),
        (("serve", "--host", "192.0.2.1"), 1, "192.0.2.1 is no address of this machine"),
        (("serve", "--port", "x"), 1, "port (option --port): 'x' should be"),
        (("serve", "--processes", "2"), 1, "processes (option --processes): '2' should be 1 where"),
        (("audit", "--database", "mysql://u:p@h/d"), 1, "'mysql://u:***@h/d' should be a PostgreSQL URL"),
        (("audit", "--database", ""), 1, "'' should be a PostgreSQL URL; for the embedded"),
        (("audit", "--database"), 2, "Option '--database' requires an argument"),
        (("org", "list", "--data"), 2, "Option '--data' requires an argument"),
        (("serve", "--config", "no.toml"), 1, "no.toml: cannot be read"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_one_sentence(data: Path, words: tuple[str, ...], code: int, said: str) -> None:
    """Standard error has one line, standard output nothing."""
    place = data if words[0] in {"send", "key", "stats", "events", "serve"} or "create" in words else None
    done = run(*words, data=place)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_every_bad_setting_has_a_line(tmp_path: Path) -> None:
    """A command complains of all settings that cannot be used, as the server does."""
    bad = {"port": "many", "jitter": 7, "kitchen": 1}
    refused = run("stats", data=tmp_path, settings=bad)
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 3


@pytest.mark.parametrize("words", [("stats",), ("queue", "list"), ("audit",), ("send", "orders", "x")])
def test_no_database_is_made_by_mistake(tmp_path: Path, words: tuple[str, ...]) -> None:
    """A misspelt directory is told, and not made."""
    refused = run(*words, data=tmp_path / "typo")
    assert refused.returncode == 1
    assert "there is nothing of Postroom in" in refused.stderr
    assert "postroom org create" in refused.stderr
    assert not (tmp_path / "typo").exists()


@pytest.mark.parametrize("words", [("stats",), ("org", "create", "x"), ("migrate",), ("serve",)])
def test_a_directory_beside_a_database(data: Path, words: tuple[str, ...]) -> None:
    """Where an option names a directory, a database named elsewhere is not taken in its stead, nor it."""
    refused = run(*words, data=data, settings={"database": "postgresql://u:hidden@127.0.0.1:1/d"})
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == (
        f"data (option --data): '{data}' given, but database (environment variable POSTROOM_DATABASE) too; "
        "leave one of them out\n"
    )


@pytest.mark.parametrize("words", [("stats",), ("org", "create", "x"), ("migrate",), ("serve",)])
def test_a_database_that_nobody_serves(words: tuple[str, ...]) -> None:
    """A database out of reach is a sentence without its password; no directory is made in its stead."""
    refused = run(*words, "--database", "postgresql://u:hidden@127.0.0.1:1/d", settings={"port": 0})
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("Error: ")
    assert refused.stderr.count("\n") == 1
    assert "hidden" not in refused.stderr


def test_no_organization(tmp_path: Path) -> None:
    """Where there is no organization the sentence says how to make one."""
    assert run("migrate", data=tmp_path).returncode == 0
    refused = run("stats", data=tmp_path)
    assert refused.returncode == 1
    assert "there is no organization yet; make one with postroom org create NAME" in refused.stderr


def test_which_organization(data: Path) -> None:
    """With several organizations a command asks which, names the first ones, and reads POSTROOM_ORG."""

    async def more(hub: Hub) -> None:
        for number in range(12):
            await hub.organizations.found(f"org {number:02}")

    arrange(data, more)
    refused = run("queue", "list", data=data)
    assert refused.returncode == 1
    assert "say which organization with --org NAME; there are acme, org 00," in refused.stderr
    assert "org 08 and 3 more." in refused.stderr
    assert "orders" in run("queue", "list", data=data, settings={"org": "acme"}).stdout
    assert "orders" in run("queue", "list", "--org", "acme", data=data, settings={"org": "org 01"}).stdout


def test_a_port_that_is_taken(data: Path) -> None:
    """The sentence names the port and what to do, for `serve` and for `listen`."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = str(bound.getsockname()[1])
        for done in (run("serve", "--port", port, data=data), run("listen", "--port", port)):
            assert done.returncode == 1
            assert done.stderr == f"Error: the port {port} of 127.0.0.1 is taken; give another --port.\n"


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    """A file where the directory should be is a sentence."""
    (tmp_path / "file").touch()
    refused = run("org", "create", "x", data=tmp_path / "file")
    assert refused.returncode == 1
    assert refused.stderr.startswith("Error: the data directory ")
    assert refused.stderr.count("\n") == 1


def test_errors_on_a_terminal(data: Path) -> None:
    """A person reads the same sentence, without a traceback or a frame."""
    code, shown = in_terminal("send", "nowhere", "x", data=data)
    assert (code, shown) == (1, "Error: there is no queue nowhere.\n")
