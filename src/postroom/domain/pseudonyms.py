"""Keyed hashes that stand for people, spaces and messages: nobody without the key can tell whose they are."""

from collections.abc import Iterable
from hashlib import blake2b

SECRET_BYTES = 32
_ID = 16  # bytes; two of 10^9 messages share one with a chance of 10^-21
_GROUP = 4  # bytes


class Pseudonyms:
    """Of one source of an organization, keyed with the organization's secret."""

    def __init__(self, secret: bytes, source: str) -> None:
        name = source.encode("utf-8", "surrogatepass")
        about = len(name).to_bytes(4, "big") + name  # so that no name and id look like another name and id

        def begun(sort: bytes, size: int) -> blake2b:
            return blake2b(about, digest_size=size, key=secret, person=sort)

        self._person, self._space = begun(b"person", _ID), begun(b"space", _ID)
        self._message, self._group = begun(b"message", _ID - _GROUP), begun(b"group", _GROUP)

    def person(self, name: str) -> bytes:
        """Of a person, by the platform's id."""
        return _finished(self._person, name)

    def space(self, name: str) -> bytes:
        """Of a space, by the platform's id."""
        return _finished(self._space, name)

    def messages(self, names: Iterable[str]) -> list[bytes]:
        """Of messages that are taken in together, by the platform's ids.

        Each begins with a hash of the first half of the platform's id. Most platforms count their ids up, so
        messages that come together are kept together: the database writes a page for many of them, not for
        each one.
        """
        groups: dict[str, bytes] = {}
        made = []
        for name in names:
            half = name[: len(name) // 2]
            begin = groups.get(half)
            if begin is None:
                begin = groups[half] = _finished(self._group, half)
            made.append(begin + _finished(self._message, name))
        return made


def _finished(begun: blake2b, name: str) -> bytes:
    rest = begun.copy()
    rest.update(name.encode("utf-8", "surrogatepass"))
    return rest.digest()
