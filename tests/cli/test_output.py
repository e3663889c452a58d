"""One answer in three forms: for a person at a terminal, for a pipe, for a program."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from postroom.cli.output import printable
from postroom.domain.usage import NAMES
from postroom.service.hub import Hub
from tests.acceptance.house import DEADLINE, command, environment, run, run_json
from tests.cli.conftest import NOWHERE, Things
from tests.cli.shell import arrange, in_terminal


def test_a_terminal_has_tables(data: Path, things: Things) -> None:
    """On a terminal there are headings, and every id is whole, however narrow it is."""
    code, shown = in_terminal("listener", "list", data=data)
    assert code == 0
    assert "Acknowledged" in shown
    assert things.listener in shown
    assert NOWHERE in shown


@pytest.mark.parametrize("words", [("stats",), ("queue", "list"), ("key", "list"), ("org", "list")])
def test_a_terminal_has_colours_and_a_pipe_has_none(data: Path, words: tuple[str, ...]) -> None:
    """Control sequences go to a terminal only."""
    assert "\x1b[" in in_terminal(*words, data=data)[1]
    piped = run(*words, data=data)
    assert "\x1b" not in piped.stdout
    assert piped.stderr == ""


def test_a_pipe_has_lines_with_tabs(data: Path, things: Things) -> None:
    """In a pipe each row is a line of columns between tabs, without headings."""
    (line,) = run("listener", "list", data=data).stdout.splitlines()
    assert line.split("\t") == [things.listener, "billing", "orders", "unknown", "0", "0", "0", NOWHERE]
    assert [row.split("\t")[0] for row in run("stats", data=data).stdout.splitlines()] == list(NAMES)


def test_json_has_the_shapes_of_the_api(data: Path, things: Things) -> None:
    """With --json the answer is what the HTTP API shows, without links."""
    (queue,) = run_json("queue", "list", data=data)["queues"]
    assert queue == {"id": things.queue, "name": "orders", "schema": None}
    (listener,) = run_json("listener", "list", data=data)["listeners"]
    assert listener["queue"] == {"id": things.queue, "name": "orders"}
    assert listener["liveness"] == {"state": "unknown", "success_count": 0, "failure_count": 0}
    assert listener["messages"]["missed"] == []
    windows = run_json("stats", data=data)["aggregated_api_usage_events"]
    assert list(windows) == ["last_24_hours", "last_1_hours", "today_so_far"]
    assert all(list(window) == list(NAMES) for window in windows.values())
    assert windows["last_24_hours"]["listener_added"] == 1


def test_json_goes_to_a_terminal_too(data: Path) -> None:
    """--json is JSON wherever it goes."""
    code, shown = in_terminal("stats", "--json", data=data)
    assert code == 0
    assert json.loads(shown)["aggregated_api_usage_events"]


def test_where_there_is_nothing(tmp_path: Path) -> None:
    """A person is told that there is nothing; a pipe gets no line, a program an empty list."""

    async def found(hub: Hub) -> None:
        await hub.organizations.found("empty")

    arrange(tmp_path, found)
    assert "There is no queue yet." in in_terminal("queue", "list", data=tmp_path)[1]
    assert run("queue", "list", data=tmp_path).stdout == ""
    assert run_json("queue", "list", data=tmp_path) == {"queues": []}


def test_letters_the_locale_lacks(data: Path) -> None:
    """Where the locale has no such letters they are escaped, and JSON is UTF-8 all the same."""

    async def named(hub: Hub) -> None:
        (organization,) = await hub.organizations.every()
        await hub.queues.create(organization.id, "größe")

    arrange(data, named)
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    for option, shown in (((), b"gr\\xf6\\xdfe"), (("--json",), "größe".encode())):
        done = subprocess.run(
            [command(), "queue", "list", "--data", str(data), *option],
            env=environment({}) | plain,
            capture_output=True,
            timeout=DEADLINE,
            check=True,
        )
        assert shown in done.stdout


def test_nothing_steers_the_terminal() -> None:
    """What is not printable is escaped; all letters of the world are let be."""
    assert printable("a\x1b[2Jb\tc\nd\u202e") == r"a\x1b[2Jb\tc\nd\u202e"
    assert printable("Größe 漢字 🎉") == "Größe 漢字 🎉"


@pytest.mark.parametrize("words", [("stats",), ("events",), ("events", "--json"), ("--help",)])
def test_a_reader_who_leaves(data: Path, words: tuple[str, ...]) -> None:
    """Where nobody reads any more the command ends without a word."""
    place = () if words == ("--help",) else ("--data", str(data))
    left, written = os.pipe()
    os.close(left)
    with os.fdopen(written, "wb") as out:
        done = subprocess.run(
            [command(), *words, *place],
            env=environment({}),
            stdout=out,
            stderr=subprocess.PIPE,
            timeout=DEADLINE,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, b"")


def test_a_full_disk(data: Path) -> None:
    """An answer that cannot be written is an error."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [command(), "stats", "--data", str(data)],
            env=environment({}),
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=DEADLINE,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == b"Error: No space left on device.\n"
