"""Two processes that name, change and delete the same things at the same moment."""

import asyncio
from collections.abc import Awaitable
from typing import Any, Final

import pytest

from postroom.domain.errors import NameTaken, NotFound
from postroom.domain.usage import Kind
from postroom.service.hub import Hub
from tests.support.hub import (
    NOWHERE,
    unique,
)
from tests.support.two import (
    Two,
)

pytestmark = pytest.mark.anyio


def naming(two: Two, hub: Hub, kind: str, name: str) -> Awaitable[Any]:
    """Make a new thing of that name."""
    org_id, queue_id = two.here.org_id, two.here.queue_id
    if kind == "key":
        return hub.api_keys.create(org_id, name)
    if kind == "queue":
        return hub.queues.create(org_id, name)
    if kind == "organization":
        return hub.organizations.create(name)
    return hub.listeners.create(org_id, queue_id, name, NOWHERE, NOWHERE)


async def renaming(two: Two, hub: Hub, kind: str, thing: Any, name: str) -> Any:
    """Give it another name."""
    org_id, queue_id = two.here.org_id, two.here.queue_id
    if kind == "key":
        return await hub.api_keys.update(org_id, thing[0].id, name)
    if kind == "queue":
        return await hub.queues.update(org_id, thing.id, name)
    if kind == "organization":
        return await hub.organizations.rename(thing.id, thing.id, name)
    return await hub.listeners.update(org_id, queue_id, thing.id, name=name)


KINDS = ("key", "queue", "listener", "organization")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_name_that_both_give_to_something_new(two: Two, kind: str) -> None:
    """One of them has it, the other one is told; nothing is counted for that one."""
    for _ in range(5):
        name = unique("wanted")
        both = (naming(two, each.hub, kind, name) for each in (two.here, two.there))
        answers = await asyncio.gather(*both, return_exceptions=True)
        assert [isinstance(answer, NameTaken) for answer in answers].count(True) == 1
        assert [isinstance(answer, Exception) for answer in answers].count(True) == 1
    await two.check()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_name_that_both_change_to(two: Two, kind: str) -> None:
    """One of them has it, the other one keeps what it had."""
    for _ in range(5):
        name = unique("wanted")
        mine = await naming(two, two.here.hub, kind, unique("mine"))
        yours = await naming(two, two.there.hub, kind, unique("yours"))
        answers = await asyncio.gather(
            renaming(two, two.here.hub, kind, mine, name),
            renaming(two, two.there.hub, kind, yours, name),
            return_exceptions=True,
        )
        assert [isinstance(answer, NameTaken) for answer in answers].count(True) == 1
        assert [isinstance(answer, Exception) for answer in answers].count(True) == 1
    await two.check()


DELETIONS: Final[dict[str, Kind]] = {
    "key": Kind.API_KEY_DELETED,
    "queue": Kind.QUEUE_DELETED,
    "listener": Kind.LISTENER_DELETED,
}


async def deleting(two: Two, hub: Hub, kind: str, thing: Any) -> None:
    """Delete it."""
    org_id, queue_id = two.here.org_id, two.here.queue_id
    if kind == "key":
        await hub.api_keys.delete(org_id, thing[0].id)
    elif kind == "queue":
        await hub.queues.delete(org_id, thing.id)
    else:
        await hub.listeners.delete(org_id, queue_id, thing.id)


@pytest.mark.parametrize("kind", DELETIONS)
async def test_what_both_delete_is_deleted_once(two: Two, kind: str) -> None:
    """One of them does, the other one is told that it is not there; one deletion is counted."""
    for _ in range(5):
        thing = await naming(two, two.here.hub, kind, unique("doomed"))
        both = (deleting(two, each.hub, kind, thing) for each in (two.here, two.there))
        answers = await asyncio.gather(*both, return_exceptions=True)
        assert sorted(type(answer).__name__ for answer in answers) == ["NoneType", "NotFound"]
    assert await two.stats(DELETIONS[kind]) == [5]
    await two.check()


@pytest.mark.parametrize("kind", DELETIONS)
async def test_what_one_changes_while_the_other_deletes_it(two: Two, kind: str) -> None:
    """Changed and then deleted, or not there any more: never told that the name is taken."""
    for _ in range(5):
        thing = await naming(two, two.here.hub, kind, unique("doomed"))
        both: list[Awaitable[Any]] = [
            renaming(two, two.here.hub, kind, thing, unique("name")),
            deleting(two, two.there.hub, kind, thing),
        ]
        changed, deleted = await asyncio.gather(*both, return_exceptions=True)
        assert deleted is None
        assert not isinstance(changed, Exception) or isinstance(changed, NotFound)
    assert await two.stats(DELETIONS[kind]) == [5]
    await two.check()


async def test_changes_of_different_fields_both_stay(two: Two) -> None:
    """One changes the name, the other the rest: neither puts back what the other one has changed."""
    org_id, queue_id = two.here.org_id, two.here.queue_id
    one, other = two.here.hub, two.there.hub
    for number in range(5):
        key, _ = await one.api_keys.create(org_id, unique("key"))
        await asyncio.gather(
            one.queues.update(org_id, queue_id, name=f"queue {number}"),
            other.queues.update(org_id, queue_id, raw_schema={"n": {"type": "number", "min": number}}),
            one.listeners.update(org_id, queue_id, two.listener.id, name=f"listener {number}"),
            other.listeners.update(
                org_id, queue_id, two.listener.id, notify_url=f"http://192.0.2.1/{number}"
            ),
            one.api_keys.update(org_id, key.id, name=f"key {number}"),
            other.api_keys.update(org_id, key.id, status="disabled"),
        )
        one.directory.forget()
        queue = await one.queues.get(org_id, queue_id)
        assert (queue.name, queue.raw_schema) == (f"queue {number}", {"n": {"type": "number", "min": number}})
        listener = await one.listeners.get(org_id, queue_id, two.listener.id)
        assert (listener.name, listener.notify_url) == (f"listener {number}", f"http://192.0.2.1/{number}")
        key = await one.api_keys.get(org_id, key.id)
        assert (key.name, key.status) == (f"key {number}", "disabled")
    await two.check()
