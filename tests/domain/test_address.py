"""Where deliveries and probes may go."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from postroom.domain.address import Network, check_url, refusal
from postroom.domain.errors import Invalid

ipv4 = st.ip_addresses(v=4).map(lambda address: IPv4Address(int(address)))
ipv6 = st.ip_addresses(v=6).map(lambda address: IPv6Address(int(address)))
REACHABLE = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450:4001:82a::200e"]


@pytest.mark.parametrize("address", REACHABLE)
def test_public_addresses_may_be_called(address: str) -> None:
    """Given as text or as an address."""
    assert refusal(address, []) is None
    assert refusal(ip_address(address), []) is None


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "reserved"),
        ("10.0.0.1", "private"),
        ("100.64.0.1", "shared"),
        ("100.100.100.200", "metadata"),
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("168.63.129.16", "metadata"),
        ("169.254.0.1", "link-local"),
        ("169.254.169.254", "metadata"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.0.0.1", "reserved"),
        ("192.0.0.192", "metadata"),
        ("192.0.2.1", "documentation"),
        ("192.168.1.1", "private"),
        ("198.18.0.1", "benchmarking"),
        ("198.51.100.1", "documentation"),
        ("203.0.113.1", "documentation"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.255", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "broadcast"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("::1%lo", "loopback"),
        ("fc00::1", "private"),
        ("fd00::1", "private"),
        ("fd00:ec2::254", "metadata"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("fec0::1", "site-local"),
        ("ff02::1", "multicast"),
        ("ff02::1%1", "multicast"),
        ("2001:db8::1", "documentation"),
        ("3fff::1", "documentation"),
        ("100::1", "reserved"),
        ("5f00::1", "reserved"),
        ("4000::1", "reserved"),
        ("localhost", "not an address"),
        ("", "not an address"),
        ("127.1", "not an address"),
    ],
)
def test_other_addresses_are_refused(address: str, reason: str) -> None:
    """Everything that is not reachable from everywhere, with the reason."""
    assert refusal(address, []) == reason


@pytest.mark.parametrize(
    "edge", ["9.255.255.255", "11.0.0.0", "126.255.255.255", "128.0.0.0", "172.15.255.255", "172.32.0.0"]
)
def test_the_neighbours_of_refused_networks_may_be_called(edge: str) -> None:
    """A network ends where it ends."""
    assert refusal(edge, []) is None


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:169.254.169.254", "metadata"),
        ("::ffff:10.0.0.1%eth0", "private"),
        ("::127.0.0.1", "reserved"),
        ("::8.8.8.8", "reserved"),
        ("2002:7f00:1::", "loopback"),
        ("2002:a9fe:a9fe::1", "metadata"),
        ("64:ff9b::10.0.0.1", "private"),
        ("64:ff9b::169.254.169.254", "metadata"),
        ("64:ff9b:1::192.168.0.1", "reserved"),
        ("64:ff9b:1::8.8.8.8", "reserved"),
        ("2001:0:808:808:0:0:80ff:fffe", "reserved"),  # Teredo for 127.0.0.1
        ("2001:0:808:808:0:0:f7f7:f7f7", "reserved"),  # Teredo for 8.8.8.8
    ],
)
def test_an_embedded_address_is_judged_too(address: str, reason: str) -> None:
    """Whatever a gateway would make of the address must be harmless as well."""
    assert refusal(address, []) == reason


@given(ipv4)
def test_wrapping_an_ipv4_address_never_makes_it_callable(inner: IPv4Address) -> None:
    """Mapped, 6to4 and NAT64 forms are refused exactly if the address itself is."""
    number = int(inner)
    own = refusal(inner, [])
    assert refusal(IPv6Address((0xFFFF << 32) + number), []) == own
    assert refusal(IPv6Address((0x2002 << 112) + (number << 80) + 1), []) == own
    assert refusal(IPv6Address((0x64FF9B << 96) + number), []) == own


@given(ipv4 | ipv6)
def test_what_python_calls_private_is_refused(address: IPv4Address | IPv6Address) -> None:
    """Python's own judgement of the IANA registries agrees."""
    if address.is_private or address.is_multicast or address.is_loopback or address.is_link_local:
        assert refusal(address, []) is not None


@given(ipv4 | ipv6, st.integers(0, 32))
def test_an_allowed_network_opens_its_addresses(address: IPv4Address | IPv6Address, bits: int) -> None:
    """Whatever the address is otherwise."""
    network: Network = ip_network(f"{address}/{bits}", strict=False)
    assert refusal(address, [network]) is None


def test_an_allowed_network_opens_nothing_else() -> None:
    """Opening one network leaves the others closed; the mapped form is opened with its network."""
    allowed: list[Network] = [IPv4Network("10.1.0.0/16"), IPv6Network("fd00:1::/32")]
    assert refusal("10.1.2.3", allowed) is None
    assert refusal("::ffff:10.1.2.3", allowed) is None
    assert refusal("fd00:1::2", allowed) is None
    assert refusal("10.2.2.3", allowed) == "private"
    assert refusal("::ffff:10.2.2.3", allowed) == "private"
    assert refusal("fd00:2::2", allowed) == "private"
    assert refusal("127.0.0.1", allowed) == "loopback"


def test_a_scoped_address_can_be_allowed() -> None:
    """The scope id does not hide the address from its network."""
    assert refusal("fe80::1%eth0", [IPv6Network("fe80::/10")]) is None


GOOD_URLS = [
    "http://example.com",
    "https://example.com/",
    "HTTPS://Example.COM:443/hook?x=1&y=%20#part",
    "http://example.com:65535/a/../b",
    "http://a_b.example.com./x",
    "http://xn--bcher-kva.example/",
    "http://localhost:8080/",
    "http://1.2.3.4:80/",
    "http://[2606:4700::1111]/",
    "http://[::ffff:1.2.3.4]:8080/",
    "http://example.com?a@b:c",
    "http://example.com#@other",
    "http://example.com/http://user:pass@other/",
    "http://0x7f.example.com/",
]

BAD_URLS = [
    "",
    "example.com",
    "//example.com/",
    "http:",
    "http://",
    "http:///path",
    "http:/example.com",
    "http:example.com",
    "ftp://example.com/",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "unix:///run/docker.sock",
    "http://user@example.com/",
    "http://user:secret@example.com/",
    "http://@example.com/",
    "http://example.com:80@other.com/",
    "http://example.com\\@other.com/",
    "http:\\\\example.com/",
    "http://example.com/a\\b",
    "http://example.com/a b",
    " http://example.com/",
    "http://example.com/\n",
    "http://exam\tple.com/",
    "http://example.com/\x00",
    "http://example.com/\x7f",
    "http://example.com\r\nHost: other/",
    "http://example.com:0/",
    "http://example.com:65536/",
    "http://example.com:-1/",
    "http://example.com:+80/",
    "http://example.com:8 0/",
    "http://example.com:٨٠/",
    "http://example.com:/",
    "http://example.com:80:80/",
    "http://example.com:http/",
    "http://:80/",
    "http://.example.com/",
    "http://example..com/",
    "http://example.com../",
    "http://-example.com/",
    "http://example-.com/",
    "http://exa%6dple.com/",
    "http://exa$mple.com/",
    "http://[::1/",
    "http://::1/",
    "http://[1.2.3.4]/",
    "http://[fe80::1%25eth0]/",
    "http://[fe80::1%eth0]/",
    "http://[v1.x]/",
    "http://[::1]x/",
    "http://x[::1]/",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0177.0.0.1/",
    "http://127.0.0.1./",
    "http://127.0.0.0x1/",
    "http://1.2.3.4.5/",
    "http://256.1.1.1/",
    "http://\uff11\uff12\uff17.0.0.1/",
    "http://127。0。0。1/",
    "http://bücher.example/",
    "http://example.com/ü",
    "http://example.com/\u2028",
    "http://" + "a" * 64 + ".com/",
    "http://" + "a." * 127 + "com/",
    "http://example.com/" + "a" * 2030,
]


@pytest.mark.parametrize("url", GOOD_URLS)
def test_a_url_that_can_be_called_is_given_back(url: str) -> None:
    """Unchanged, and read as the client that calls it reads it."""
    assert check_url("notify_url", url) == url
    assert_read_alike(url)


@pytest.mark.parametrize("url", BAD_URLS)
def test_a_url_that_could_be_misread_is_refused(url: str) -> None:
    """The complaint names the field."""
    with pytest.raises(Invalid) as caught:
        check_url("liveness_url", url)
    assert caught.value.field == "liveness_url"


def test_a_long_url_is_taken_up_to_the_limit() -> None:
    """2048 characters are not too many."""
    assert check_url("notify_url", "http://example.com/".ljust(2048, "a"))


DELIMITERS = [":", "//", "/", "@", "#", "?", "[", "]", "%", ".", "-", "_", "\\", " ", "\t", "\x1f", "é", "。"]
HOSTS = ["a", "b.example", "127.0.0.1", "::1", "0x7f", "1", "v1", "xn--a"]
PARTS = ["http", "https", "HTTP", ":80", ":0", ":99999", "%25", "@b"]
mangled = st.lists(st.sampled_from(DELIMITERS + HOSTS + PARTS), max_size=8).map("".join)


@given(st.sampled_from(["", "http://", "https://a", "http://a.b:1", "http://[::1]"]), mangled)
def test_every_accepted_url_is_read_alike_by_both_parsers(start: str, rest: str) -> None:
    """The host that was checked is the host that the HTTP client connects to."""
    try:
        url = check_url("notify_url", start + rest)
    except Invalid:
        return
    assert_read_alike(url)


def assert_read_alike(url: str) -> None:
    parts, called = urlsplit(url), URL(url)
    assert called.scheme == parts.scheme
    assert called.raw_host is not None
    assert parts.hostname is not None
    assert same_host(called.raw_host, parts.hostname)
    assert called.explicit_port == parts.port
    assert called.raw_user is None
    assert called.raw_password is None


def same_host(one: str, other: str) -> bool:
    """Equal as names or as addresses, of which one may be written out."""
    return one == other or (":" in one and ip_address(one) == ip_address(other))
