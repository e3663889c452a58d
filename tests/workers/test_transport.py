"""Requests to addresses that users name: checked, bounded, and named for what went wrong."""

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import aiohappyeyeballs
import pytest

from postroom.domain.delivery import ANSWER_KEPT
from postroom.workers.transport import AddressRefused, Answer, name_of
from tests.acceptance.house import until
from tests.acceptance.receiver import MEGABYTE, Receiver, answer, dripping, garbage, hanging, huge, reset
from tests.support.workers import transport

pytestmark = pytest.mark.anyio

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@dataclass
class Wire:
    """A server that answers each request with bytes as they are, and counts."""

    answers: list[bytes]
    end: Callable[[asyncio.StreamWriter], None] | None = None
    heads: list[bytes] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            while True:
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(self.answers[min(len(self.heads), len(self.answers)) - 1])
                await writer.drain()
                if self.end is not None:
                    self.end(writer)
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            self.open -= 1
            writer.close()


@asynccontextmanager
async def wire(
    *answers: bytes, end: Callable[[asyncio.StreamWriter], None] | None = None
) -> AsyncIterator[Wire]:
    """The server on a free port of this machine."""
    place = Wire(list(answers), end)
    server = await asyncio.start_server(place.serve, "127.0.0.1", 0)
    place.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server:
        yield place


@contextmanager
def closed_port() -> Iterator[int]:
    """A port at which nothing listens, and that nobody else is given."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield int(bound.getsockname()[1])


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (200, None),
        (204, None),
        (299, None),
        (300, "redirect"),
        (304, "redirect"),
        (400, "status"),
        (410, "status"),
        (503, "status"),
        (599, "status"),
    ],
)
async def test_only_a_2xx_is_no_error(status: int, error: str | None) -> None:
    """A redirect is named so, all else by its status."""
    async with Receiver() as receiver, transport() as requests:
        found = await requests.request("GET", receiver.on("/", answer(status)))
        assert (found.status, found.error) == (status, error)


async def test_a_redirect_is_not_followed() -> None:
    """Wherever it points, nobody asks there."""
    async with Receiver() as receiver, transport() as requests:
        url = receiver.on("/", answer(307, b"moved", {"Location": receiver.url("/elsewhere")}))
        found = await requests.request("POST", url, {}, b"data")
        assert found == Answer(307, "redirect", b"moved")
        assert receiver.got("/elsewhere") == []


async def test_the_request_is_what_was_asked_for() -> None:
    """Method, headers and body; who asks; and no promise to understand compression."""
    async with Receiver() as receiver, transport() as requests:
        await requests.request("POST", receiver.url("/x?y=%20z"), {"x-own": "1"}, b"\x00data")
        (got,) = receiver.got("/x")
        assert (got.method, got.target, got.body) == ("POST", "/x?y=%20z", b"\x00data")
        assert got.headers["x-own"] == "1"
        assert got.headers["user-agent"].startswith("postroom/")
        assert "gzip" not in got.headers.get("accept-encoding", "")


async def test_cookies_are_not_kept() -> None:
    """A receiver learns nothing from one request in the next."""
    async with Receiver() as receiver, transport() as requests:
        url = receiver.on("/", answer(200, b"", {"Set-Cookie": "who=me"}))
        for _ in range(2):
            await requests.request("GET", url)
        assert all("cookie" not in got.headers for got in receiver.got("/"))


async def test_retry_after_is_passed_on() -> None:
    """As it was sent."""
    async with Receiver() as receiver, transport() as requests:
        url = receiver.on("/", answer(503, b"", {"Retry-After": "120"}))
        assert (await requests.request("GET", url)).retry_after == "120"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
async def test_an_address_that_is_not_open_is_never_connected_to(host: str) -> None:
    """However it is written or found: the address is checked, not the name."""
    async with wire(OK) as server, transport(allowed=()) as requests:
        found = await requests.request("GET", server.url.replace("127.0.0.1", host))
        assert found == Answer(error="refused_address")
        assert server.connections == 0


async def test_a_name_is_open_when_its_address_is() -> None:
    """`localhost` is reached where loopback is allowed."""
    async with wire(OK) as server, transport(allowed=("127.0.0.0/8", "::1/128")) as requests:
        found = await requests.request("GET", server.url.replace("127.0.0.1", "localhost"))
        assert found == Answer(200, None, b"ok")


async def test_a_name_with_several_refused_addresses_is_refused() -> None:
    """Not a connection that failed: nothing was tried."""
    kinds = (socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
    infos = [
        (socket.AF_INET, *kinds, ("127.0.0.1", 9)),
        (socket.AF_INET6, *kinds, ("::1", 9, 0, 0)),
        (socket.AF_INET, *kinds, ("10.0.0.1", 9)),
    ]
    async with transport(allowed=()) as requests:
        with pytest.raises(AddressRefused) as caught:
            await aiohappyeyeballs.start_connection(infos, socket_factory=requests._socket)
    assert name_of(caught.value) == "refused_address"


async def test_nobody_listens() -> None:
    """A connection that is refused by the other side."""
    with closed_port() as port:
        async with transport() as requests:
            found = await requests.request("GET", f"http://127.0.0.1:{port}/")
        assert found == Answer(error="connection")


async def test_a_name_that_nobody_has() -> None:
    """RFC 6761: names under .invalid do not resolve."""
    async with transport() as requests:
        found = await requests.request("GET", "http://nowhere.invalid/")
        assert found == Answer(error="dns")


async def test_tls_with_one_who_speaks_none() -> None:
    """An https URL for a server of plain HTTP."""
    async with Receiver() as receiver, transport() as requests:
        found = await requests.request("GET", receiver.url("/").replace("http:", "https:"))
        assert found == Answer(error="tls")
        assert receiver.got("/") == []


async def test_an_answer_that_does_not_come() -> None:
    """The request ends with its time."""
    async with Receiver() as receiver, transport(timeout=0.1) as requests:
        found = await requests.request("GET", receiver.on("/", hanging()))
        assert found == Answer(error="timeout")


async def test_an_answer_that_comes_byte_by_byte() -> None:
    """Never quite silent, and never done: its time is up all the same."""
    async with Receiver() as receiver, transport(timeout=0.2) as requests:
        found = await requests.request("GET", receiver.on("/", dripping()))
        assert found == Answer(error="timeout")


async def test_a_connection_that_is_reset() -> None:
    """Before an answer."""
    async with Receiver() as receiver, transport() as requests:
        found = await requests.request("GET", receiver.on("/", reset()))
        assert found == Answer(error="connection")


@pytest.mark.parametrize(
    "sent",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"\x00\xff\xfe\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
    ],
)
async def test_an_answer_that_is_no_http(sent: bytes) -> None:
    """Whatever comes: an error, never a success, and the end of the connection."""
    async with Receiver() as receiver, transport() as requests:
        found = await requests.request("GET", receiver.on("/", garbage(sent)))
        assert (found.status, found.body) == (None, b"")
        assert found.error in {"protocol", "connection"}


def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()


@pytest.mark.parametrize(
    "body",
    [
        b"content-length: 100\r\n\r\nhalf",
        b"transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ],
)
@pytest.mark.parametrize(("status", "error"), [(200, None), (500, "status")])
async def test_the_status_counts_though_the_body_breaks_off(
    body: bytes, status: int, error: str | None
) -> None:
    """A receiver that said 200 has the message: sending it again would repeat it."""
    sent = b"HTTP/1.1 %d X\r\n" % status + body
    async with wire(sent, end=hang_up) as server, transport() as requests:
        found = await requests.request("GET", server.url)
        assert (found.status, found.error) == (status, error)
        assert found.body in {b"half", b""}


async def test_a_body_that_is_no_http() -> None:
    """What its status says, or an error: in either case it comes to an end."""
    sent = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n"
    async with wire(sent) as server, transport() as requests:
        found = await requests.request("GET", server.url)
        assert (found.status, found.error) in {(200, None), (None, "protocol")}


async def test_the_status_counts_though_the_body_does_not_come() -> None:
    """The time is up after the head: what came by then is kept."""
    sent = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"
    async with wire(sent) as server, transport(timeout=1) as requests:
        assert await requests.request("GET", server.url) == Answer(200, None, b"half")
        await until(lambda: state(server), lambda count: count == 0)


async def state(server: Wire) -> int:
    """How many connections are open."""
    return server.open


@pytest.mark.parametrize("length", [ANSWER_KEPT - 1, ANSWER_KEPT, ANSWER_KEPT + 1])
async def test_the_beginning_of_an_answer_is_kept(length: int) -> None:
    """20,000 bytes at most."""
    async with Receiver() as receiver, transport() as requests:
        found = await requests.request("GET", receiver.on("/", answer(200, b"x" * length)))
        assert (found.status, len(found.body)) == (200, min(length, ANSWER_KEPT))


async def test_a_long_answer_is_cut_and_its_connection_closed() -> None:
    """The rest is not read: the server is still at it when the request is done."""
    async with Receiver() as receiver, transport() as requests:
        for _ in range(3):
            found = await requests.request("GET", receiver.on("/", huge(200, 50 * MEGABYTE)))
            assert (found.status, found.error, found.body) == (200, None, b"y" * ANSWER_KEPT)

        async def open_requests() -> int:
            return receiver.open_at("/")

        await until(open_requests, lambda count: count == 0)


async def test_connections_are_kept_for_whole_answers_only() -> None:
    """Short answers share a connection; after one that was cut there is a new one."""
    long = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n" + b"x" * MEGABYTE
    async with wire(OK, OK, long, OK) as server, transport() as requests:
        for _ in range(3):
            await requests.request("GET", server.url)
        assert server.connections == 1
        assert (await requests.request("GET", server.url)).body == b"ok"
        assert (server.connections, len(server.heads)) == (2, 4)


async def test_what_is_compressed_stays_so() -> None:
    """A few bytes cannot become many: the answer is kept as it came."""
    packed = gzip.compress(b"\x00" * 10 * MEGABYTE)
    async with Receiver() as receiver, transport() as requests:
        url = receiver.on("/", answer(200, packed, {"Content-Encoding": "gzip"}))
        found = await requests.request("GET", url)
        assert found == Answer(200, None, packed[:ANSWER_KEPT])


async def test_a_broken_encoding_disturbs_nobody() -> None:
    """It is not decoded, so it cannot fail."""
    async with Receiver() as receiver, transport() as requests:
        url = receiver.on("/", answer(200, b"no gzip", {"Content-Encoding": "gzip"}))
        assert await requests.request("GET", url) == Answer(200, None, b"no gzip")


async def test_an_interim_answer_is_not_the_answer() -> None:
    """103 first, 200 then."""
    async with (
        wire(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + OK) as server,
        transport() as requests,
    ):
        assert await requests.request("GET", server.url) == Answer(200, None, b"ok")


async def test_a_request_can_be_given_up() -> None:
    """When the process stops: the connection is closed."""
    async with Receiver() as receiver, transport() as requests:
        asking = asyncio.create_task(requests.request("GET", receiver.on("/", hanging())))
        await receiver.received("/")
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

        async def open_requests() -> int:
            return receiver.open_at("/")

        await until(open_requests, lambda count: count == 0)
