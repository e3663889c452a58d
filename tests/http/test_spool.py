"""What somebody sends is kept aside, as far as there is room for it."""

import resource
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import pytest

from postroom.domain.activity import Activity
from postroom.domain.errors import Unavailable
from postroom.http.spool import Spool
from postroom.http.upload import Upload

pytestmark = pytest.mark.anyio
LINE = b'{"message_id": "m", "at": 1700000000000, "person": "p", "space": "s", "direct": true}\n'


def upload(*parts: bytes) -> Upload:
    """A body that comes in these parts."""
    messages = iter(
        {"type": "http.request", "body": part, "more_body": number < len(parts)}
        for number, part in enumerate(parts, 1)
    )

    async def receive() -> MutableMapping[str, Any]:
        return next(messages)

    return Upload(receive, {}, 10, 5)


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """As on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_it_is_read_as_it_came() -> None:
    """In whatever parts."""
    with Spool(1000) as spool:
        await spool.fill(upload(LINE[:20], LINE[20:] + LINE, b""))
        sent = Activity("x", "m", 1_700_000_000_000, "p", "s", True)
        assert list(spool.records("x")) == [sent, sent]


async def test_no_room_for_it() -> None:
    """A disk that is full is no fault of the sender's: try again."""
    with Spool(10_000_000) as spool, no_file_larger_than(2_000_000), pytest.raises(Unavailable):
        await spool.fill(upload(*[b" " * 500_000] * 8))
