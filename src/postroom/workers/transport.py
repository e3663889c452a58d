"""Requests to addresses that users name: the address connected to is checked, and all is bounded."""

import socket
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network
from types import TracebackType
from typing import Self

import aiohttp
import msgspec
from aiohttp import AddrInfoType

from postroom import __version__
from postroom.domain.address import refusal
from postroom.domain.delivery import ANSWER_KEPT

# Below the five seconds after which common servers close an idle connection, so that
# no request is sent into one that is being closed.
_KEEPALIVE = 4.0
_NAMES_KEPT = 10
_BUFFER = 2**14


class AddressRefused(OSError):
    """Deliveries may not connect to this address."""


class Answer(msgspec.Struct, frozen=True):
    """What a request came to: `error` is None only for a 2xx; `body` is the answer's beginning."""

    status: int | None = None
    error: str | None = None
    body: bytes = b""
    retry_after: str | None = None


class Transport:
    """Makes requests with a timeout in seconds; `allowed` networks are reached though they are not public."""

    def __init__(self, allowed: Sequence[IPv4Network | IPv6Network], timeout: float) -> None:
        self._allowed = allowed
        self._timeout = aiohttp.ClientTimeout(total=timeout)

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            limit=0,
            keepalive_timeout=_KEEPALIVE,
            ttl_dns_cache=_NAMES_KEPT,
            resolver=aiohttp.AsyncResolver(),  # not in threads: names that hang would hold up the others
            socket_factory=self._socket,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=self._timeout,
            headers={"User-Agent": f"postroom/{__version__}", "Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            read_bufsize=_BUFFER,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def request(
        self, method: str, url: str, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """Make one request, following no redirect; whatever goes wrong is in the answer."""
        answer = Answer()
        try:
            async with self._session.request(
                method, url, headers=headers, data=body, allow_redirects=False
            ) as response:
                answer = _answer(response)
                return msgspec.structs.replace(answer, body=await _beginning(response))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            # The status line alone acknowledges: a body that never ends takes nothing back.
            return answer if answer.status is not None else Answer(error=name_of(error))

    def _socket(self, info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        if refusal(str(address[0]), self._allowed) is not None:
            # One text for all addresses of a host: only errors that read alike are reported as one.
            raise AddressRefused("deliveries may not connect to this address")
        return socket.socket(family, kind, protocol)


# The first that fits; what fits none is a broken answer.
_NAMES: tuple[tuple[type[BaseException], str], ...] = (
    (TimeoutError, "timeout"),
    (AddressRefused, "refused_address"),
    (aiohttp.ClientConnectorDNSError, "dns"),
    (aiohttp.ClientSSLError, "tls"),
    (aiohttp.ClientConnectionError, "connection"),
    (OSError, "connection"),
)


def name_of(error: BaseException) -> str:
    """The class of what went wrong with a request."""
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, AddressRefused):
        return "refused_address"
    return next((name for kind, name in _NAMES if isinstance(error, kind)), "protocol")


def _answer(response: aiohttp.ClientResponse) -> Answer:
    status = response.status
    error = None if 200 <= status < 300 else "redirect" if 300 <= status < 400 else "status"
    return Answer(status, error, retry_after=response.headers.get("Retry-After"))


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    """The first bytes of the body; the connection is kept only when there are no more."""
    body = bytearray()
    try:
        while len(body) < ANSWER_KEPT and not response.content.at_eof():
            body += await response.content.read(ANSWER_KEPT - len(body))
    except (aiohttp.ClientError, TimeoutError):
        response.close()
    if not response.content.at_eof():
        response.close()
    return bytes(body)
