"""Bytes that end where they cannot be read any more, for those who first use what came before."""

from collections.abc import Callable

from postroom.sources.trouble import Unreadable


class UpToDamage:
    """What `source` reads, up to its end or to damage; then `trouble` says what is wrong."""

    def __init__(self, source: Callable[[int], bytes]) -> None:
        self.trouble: Unreadable | None = None
        self._source = source

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end, and behind damage."""
        if self.trouble is not None:
            return b""
        try:
            return self._source(size)
        except Unreadable as trouble:
            self.trouble = trouble
            return b""
