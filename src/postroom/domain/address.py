"""Where deliveries and probes may go: the form of their URLs, and the addresses they may connect to."""

import re
from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from urllib.parse import urlsplit

from postroom.domain.errors import Invalid

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_URL_LENGTH = 2048

_METADATA: frozenset[Address] = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",  # most clouds
        "169.254.170.2",  # AWS, credentials of containers
        "169.254.170.23",
        "168.63.129.16",  # Azure; looks public, is not
        "100.100.100.200",  # Alibaba
        "192.0.0.192",  # Oracle
        "fd00:ec2::254",  # AWS
        "fd00:ec2::23",
        "fd20:ce::254",  # Google
    )
)

# From the IANA special-purpose address registries; the first match gives the reason.
_REFUSED: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(text), reason)
    for text, reason in (
        ("0.0.0.0/32", "unspecified"),
        ("0.0.0.0/8", "reserved"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "reserved"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("255.255.255.255/32", "broadcast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("2001::/23", "reserved"),
        ("2001:db8::/32", "documentation"),
        ("3fff::/20", "documentation"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")
# No other part of IPv6 is reachable from everywhere.
_GLOBAL_IPV6 = (IPv6Network("2000::/3"), _NAT64)

_NETLOC = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[-0-9A-Za-z._]+)(?::(?P<port>[0-9]{1,5}))?")
_LABEL = re.compile(r"[0-9A-Za-z_](?:[-0-9A-Za-z_]{0,61}[0-9A-Za-z_])?")
_NUMBER = re.compile(r"[0-9]+|0[Xx][0-9A-Fa-f]*")


def refusal(address: str | IPv4Address | IPv6Address, allowed: Sequence[Network]) -> str | None:
    """Why no connection may be made to this address; None when one may. `allowed` networks are opened."""
    if isinstance(address, str):
        try:
            address = ip_address(address)
        except ValueError:
            return "not an address"
    if isinstance(address, IPv4Address):
        return _refusal(address, allowed)
    plain = IPv6Address(int(address))  # without its scope id
    if plain.ipv4_mapped:
        return None if _opened(plain, allowed) else _refusal(plain.ipv4_mapped, allowed)
    return _refusal(plain, allowed)


def _refusal(address: Address, allowed: Sequence[Network]) -> str | None:
    if _opened(address, allowed):
        return None
    inner = _embedded(address)
    return _own_reason(address) or (_refusal(inner, allowed) if inner else None)


def _opened(address: Address, allowed: Sequence[Network]) -> bool:
    return any(address in network for network in allowed)


def _own_reason(address: Address) -> str | None:
    """What the address itself is, whatever is embedded in it."""
    if address in _METADATA:
        return "metadata"
    for network, reason in _REFUSED:
        if address in network:
            return reason
    if isinstance(address, IPv6Address) and not any(address in network for network in _GLOBAL_IPV6):
        return "reserved"
    return None


def _embedded(address: Address) -> IPv4Address | None:
    """The IPv4 address to which a gateway passes on what is sent to this IPv6 address.

    Other forms that embed one (IPv4-compatible, Teredo, local NAT64) are refused whatever is in them.
    """
    if isinstance(address, IPv4Address):
        return None
    return IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else address.sixtofour


def check_url(field: str, url: str) -> str:
    """The URL, when it may be called; Invalid names the field.

    Only forms that every parser reads alike are let through, so that the host checked is the host called.
    """
    if len(url) > MAX_URL_LENGTH:
        raise Invalid(field, f"must have at most {MAX_URL_LENGTH} characters")
    if not re.fullmatch(r"[!-\[\]-~]+", url):
        raise Invalid(field, "must be ASCII without spaces and backslashes; encode anything else")
    scheme, netloc = _split(field, url)
    if scheme not in ("http", "https") or not url.lower().startswith(f"{scheme}://"):
        raise Invalid(field, "must begin with http:// or https://")
    if "@" in netloc:
        raise Invalid(field, "must not hold a user or a password")
    _check_netloc(field, netloc)
    return url


def _split(field: str, url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise Invalid(field, "must be a URL") from None
    return parts.scheme, parts.netloc


def _check_netloc(field: str, netloc: str) -> None:
    match = _NETLOC.fullmatch(netloc)
    if match is None or not _is_host(match["host"]):
        raise Invalid(field, "must name a host: a domain name, an IPv4 address or an [IPv6 address]")
    if match["port"] is not None and not 1 <= int(match["port"]) <= 65535:
        raise Invalid(field, "must have a port from 1 to 65535")


def _is_host(host: str) -> bool:
    if host.startswith("["):
        return _is_address(host[1:-1], IPv6Address)
    labels = host.removesuffix(".").split(".")
    if _NUMBER.fullmatch(labels[-1]):
        # 127.1, 0x7f000001 and their like are addresses to a resolver and names to some parsers.
        return _is_address(host, IPv4Address)
    return len(host) <= 253 and all(_LABEL.fullmatch(label) for label in labels)


def _is_address(text: str, kind: type[IPv4Address] | type[IPv6Address]) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True
