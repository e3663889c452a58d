"""`postroom listen`."""

import http.client
import json
import re
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from tests.cli.shell import Background, background, in_terminal

SECRET = "whsec_" + "A" * 43 + "="
OTHER = "whsec_" + "B" * 43 + "="
BODY = 'größe\n\x1b[2J"\t'


def port_of(listening: Background) -> int:
    """Where it listens, once it does."""
    found = listening.when(lambda out: re.search(r"^Listening at http://127\.0\.0\.1:(\d+)/$", out, re.M))
    assert found is not None
    return int(found.group(1))


def post(port: int, body: bytes, headers: dict[str, str], method: str = "POST") -> int:
    """The status of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, "/any/path?x=1", body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def signed(secret: str, body: str) -> dict[str, str]:
    """The headers of a message as Postroom sends it."""
    now = datetime.now(UTC)
    return {
        "webhook-id": "-m",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("-m", now, body),
        "postroom-queue": "-q",
        "postroom-listener": "-l",
        "postroom-attempt": "3",
    }


def test_what_arrives(tmp_path: Path) -> None:
    """A message is a line of what came, and is answered 200; without a secret nothing is verified."""
    with background(tmp_path / "run", "listen", "--port", "0") as listening:
        assert post(port_of(listening), BODY.encode(), signed(SECRET, BODY)) == 200
        line = listening.when(lambda out: out.split("\n")[1:-1])[0]
    assert line.split("\t")[1:] == ["-q", "-l", "-m", "3", "no secret", r'größe\n\x1b[2J"\t']


def test_true_and_false_signatures(tmp_path: Path) -> None:
    """With secrets, a signature made with any of them is verified, and every other is refused with 401."""
    words = ("listen", "--port", "0", "--secret", OTHER, "--secret", SECRET)
    with background(tmp_path / "run", *words) as listening:
        port, good = port_of(listening), signed(SECRET, BODY)
        assert post(port, BODY.encode(), good) == 200
        assert post(port, b"another", good) == 401
        assert post(port, b"\xff", good) == 401
        assert post(port, BODY.encode(), {}) == 401
        assert post(port, BODY.encode(), good | {"webhook-signature": "v1,%%% nonsense"}) == 401
        assert post(port, BODY.encode(), good | {"webhook-timestamp": "1"}) == 401
        listening.when(lambda out: out.count("\n") == 7)
        lines = listening.out.splitlines()[1:]
    assert [line.split("\t")[5] for line in lines] == ["verified"] + ["NOT VERIFIED"] * 5


def test_in_json(tmp_path: Path) -> None:
    """With --json standard output has nothing but one object for each message."""
    words = ("listen", "--port", "0", "--json", "--secret", SECRET)
    with background(tmp_path / "run", *words) as listening:
        port = int(_when_said(listening).rstrip("/").rpartition(":")[2])
        post(port, BODY.encode(), signed(SECRET, BODY))
        arrival = json.loads(listening.when(lambda out: out if out.endswith("\n") else ""))
    assert arrival.pop("at") > 0
    assert arrival == {
        "queue": "-q",
        "listener": "-l",
        "message": "-m",
        "attempt": "3",
        "verified": True,
        "body": BODY,
    }


def _when_said(listening: Background) -> str:
    """The URL, which is then told on standard error."""
    return listening.when(lambda _: listening.err.split()[-1] if listening.err.endswith("\n") else "")


def test_liveness_and_status(tmp_path: Path) -> None:
    """GET and HEAD are answered 200 whatever messages are answered, and are not printed."""
    with background(tmp_path / "run", "listen", "--port", "0", "--status", "503") as listening:
        port = port_of(listening)
        assert [post(port, b"", {}, method) for method in ("GET", "HEAD")] == [200, 200]
        assert post(port, b"x", {}) == 503
        assert post(port, b"x" * 3_000_000, {}) == 503
        listening.when(lambda out: len(out.split("\n")) == 4)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly(tmp_path: Path, number: int) -> None:
    """Both signals end it with 0 and without a word, also while a client keeps its connection."""
    with background(tmp_path / "run", "listen", "--port", "0") as listening:
        connection = http.client.HTTPConnection("127.0.0.1", port_of(listening), timeout=30)
        connection.request("GET", "/")
        connection.getresponse().read()
        assert listening.stop(number) == 0
        assert listening.err == ""
        connection.close()


def test_help_on_a_terminal() -> None:
    """Help names every option, also where it is framed."""
    code, shown = in_terminal("listen", "--help")
    assert code == 0
    assert "whsec_" in shown
