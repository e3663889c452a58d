"""Keyed hashes that stand for people, spaces and messages: nobody without the key can tell whose they are."""

from collections.abc import Callable
from hashlib import blake2b

SECRET_BYTES = 32
_ID = 16  # bytes; two of 10^9 messages share one with a chance of 10^-21
_GROUP = 4  # bytes


class Pseudonyms:
    """Of one source of an organization, keyed with the organization's secret."""

    def __init__(self, secret: bytes, source: str) -> None:
        name = _bytes(source)
        about = len(name).to_bytes(4, "big") + name  # so that no name and id look like another name and id
        self.person = _hash(secret, b"person", about, _ID)
        self.space = _hash(secret, b"space", about, _ID)
        self._message = _hash(secret, b"message", about, _ID - _GROUP)
        self._group = _hash(secret, b"group", about, _GROUP)

    def messages(self) -> Callable[[str], bytes]:
        """What makes ids for some messages that are taken in together.

        An id begins with a hash of the first half of the platform's. Most platforms count their ids up, so
        messages that come together are kept together: the database writes a page for many of them, not for
        each one.
        """
        groups: dict[str, bytes] = {}
        group, message = self._group, self._message

        def make(name: str) -> bytes:
            half = name[: len(name) // 2]
            begin = groups.get(half)
            if begin is None:
                begin = groups[half] = group(half)
            return begin + message(name)

        return make


def _hash(secret: bytes, sort: bytes, about: bytes, size: int) -> Callable[[str], bytes]:
    begun = blake2b(about, digest_size=size, key=secret, person=sort)

    def make(name: str) -> bytes:
        rest = begun.copy()
        rest.update(_bytes(name))
        return rest.digest()

    return make


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
