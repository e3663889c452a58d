"""`postroom send`."""

import subprocess
from pathlib import Path

import pytest

from postroom.service.hub import Hub
from tests.acceptance.house import DEADLINE, command, environment, run, run_json
from tests.cli.conftest import Things
from tests.cli.shell import arrange, in_terminal


def stored(data: Path, things: Things, message_id: str) -> bytes:
    """What a listener will be sent."""

    async def find(hub: Hub) -> bytes:
        return (await hub.messages.get(things.org, things.queue, message_id)).data

    return arrange(data, find)


def sent(data: Path, body: bytes, *words: str) -> "subprocess.CompletedProcess[bytes]":
    """`send orders` with bytes on standard input."""
    return subprocess.run(
        [command(), "send", "orders", *words, "--data", str(data)],
        env=environment({"body_limit": 100}),
        input=body,
        capture_output=True,
        timeout=DEADLINE,
        check=False,
    )


def test_data_on_the_command_line(data: Path, things: Things) -> None:
    """The argument is the message; the answer has its id and its name."""
    message = run_json("send", "orders", '{"n": 1}', "--name", "first", data=data)["message"]
    assert message["name"] == "first"
    assert stored(data, things, message["id"]) == b'{"n": 1}'


@pytest.mark.parametrize("words", [(), ("-",)])
def test_data_on_standard_input(data: Path, things: Things, words: tuple[str, ...]) -> None:
    """Standard input is the message, byte for byte; in a pipe the answer is its id."""
    body = "größer\r\nals\0 nichts\n\n".encode()
    done = sent(data, body, *words)
    assert (done.returncode, done.stderr) == (0, b"")
    assert stored(data, things, done.stdout.decode().rstrip("\n")) == body


def test_data_typed_at_a_terminal(data: Path, things: Things) -> None:
    """A person is told how to end the message."""
    code, shown = in_terminal("send", "orders", data=data, typed="hello\n\x04")
    assert code == 0
    assert "press Ctrl-D" in shown
    message_id = shown.partition("The message ")[2].split()[0]
    assert stored(data, things, message_id) == b"hello\n"


def test_a_closed_standard_input_is_empty(data: Path, things: Things) -> None:
    """Where there is no standard input at all, the message is empty."""
    script = f'"{command()}" send orders --data "{data}" <&-'
    done = subprocess.run(
        ["sh", "-c", script], env=environment({}), capture_output=True, timeout=DEADLINE, check=True
    )
    assert stored(data, things, done.stdout.decode().rstrip("\n")) == b""


@pytest.mark.parametrize(("body", "said"), [(b"x" * 101, b"larger than 100 bytes"), (b"\xff", b"not UTF-8")])
def test_what_is_no_message(data: Path, body: bytes, said: bytes) -> None:
    """What the HTTP API would not take is not taken here, and nothing is counted."""
    done = sent(data, body)
    assert done.returncode == 1
    assert said in done.stderr
    assert run_json("stats", data=data)["aggregated_api_usage_events"]["last_1_hours"]["message_added"] == 0


def test_the_largest_message(data: Path, things: Things) -> None:
    """As long as the limit is not too long."""
    assert sent(data, b"x" * 100).returncode == 0


def test_a_queue_that_is_no_utf_8(data: Path) -> None:
    """An argument that is not text is refused in a sentence."""
    done = subprocess.run(
        [command(), "send", "orders", b"\xff", "--data", str(data)],
        env=environment({}),
        capture_output=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert run("send", "orders", "ok", data=data).returncode == 0
