"""Making, changing and recognising API keys."""

from typing import Any

import pytest

from postroom.domain.api_key import ApiKey, digest_of
from postroom.domain.errors import Invalid, NameTaken, NotAuthenticated, NotFound
from postroom.domain.scope import DEFAULT, EVERYTHING, Scope
from tests.support.clock import NOON, MovingClock
from tests.support.home import Home
from tests.support.hub import listed, opened, place, rows

pytestmark = pytest.mark.anyio


async def test_the_secret_is_known_once(home: Home) -> None:
    """64 URL-safe characters, of which the first eight and a digest are kept."""
    async with opened(home, MovingClock()) as hub:
        here = await place(hub)
        key, secret = await hub.api_keys.create(here.org_id, "one")
        assert len(secret) == 64
        assert (key.prefix, key.digest, key.scopes) == (secret[:8], digest_of(secret), DEFAULT)
        assert (key.created_at, key.updated_at, key.last_used_at) == (NOON, NOON, None)
        assert await hub.api_keys.authenticate(secret) == key
    stored = home.stored()
    assert secret.encode() not in stored
    assert secret.encode().hex().encode() not in stored
    assert secret[:8].encode() in stored


async def test_the_first_key_may_do_everything_and_is_not_counted(home: Home) -> None:
    """It comes with the organization."""
    async with opened(home, MovingClock()) as hub:
        organization, secret = await hub.organizations.found("acme")
        key = await hub.api_keys.authenticate(secret)
        assert (key.org_id, key.scopes) == (organization.id, EVERYTHING)
        assert await hub.statistics.events(organization.id, "all", None, 10) == []


@pytest.mark.parametrize("secret", ["", "unknown", "x" * 64, "\udcff"])
async def test_an_unknown_secret_is_nobodys(home: Home, secret: str) -> None:
    """Whatever it looks like."""
    async with opened(home, MovingClock()) as hub:
        await hub.organizations.found("acme")
        with pytest.raises(NotAuthenticated):
            await hub.api_keys.authenticate(secret)


async def test_switched_off_switched_on_and_deleted(home: Home) -> None:
    """Each takes effect with the next request, though keys are kept in memory."""
    async with opened(home, MovingClock()) as hub:
        here = await place(hub)
        key, secret = await hub.api_keys.create(here.org_id, "one")
        await hub.api_keys.authenticate(secret)
        await hub.api_keys.update(here.org_id, key.id, status="disabled")
        with pytest.raises(NotAuthenticated):
            await hub.api_keys.authenticate(secret)
        await hub.api_keys.update(here.org_id, key.id, status="enabled")
        await hub.api_keys.authenticate(secret)
        await hub.api_keys.delete(here.org_id, key.id)
        with pytest.raises(NotAuthenticated):
            await hub.api_keys.authenticate(secret)


async def test_an_update_changes_what_is_given(home: Home) -> None:
    """Scopes replace the whole list; all else stays, and the time of the change is kept."""
    clock = MovingClock()
    async with opened(home, clock) as hub:
        here = await place(hub)
        key, secret = await hub.api_keys.create(here.org_id, "one", scopes=(Scope("queues", "read"),))
        clock.pass_(seconds=1)
        renamed = await hub.api_keys.update(here.org_id, key.id, name="two")
        assert (renamed.name, renamed.scopes, renamed.status) == ("two", key.scopes, "enabled")
        assert (renamed.created_at, renamed.updated_at) == (NOON, NOON + 1_000)
        await hub.api_keys.update(here.org_id, key.id, scopes=())
        found = await hub.api_keys.get(here.org_id, key.id)
        assert (found.name, found.scopes) == ("two", ())
        assert (await hub.api_keys.authenticate(secret)).scopes == ()


async def test_a_keys_encoding(home: Home) -> None:
    """It is the server's until it is said, and again when it is taken back; other changes leave it."""
    async with opened(home, MovingClock()) as hub:
        here = await place(hub)
        key, secret = await hub.api_keys.create(here.org_id, "one")
        assert key.encoding is None
        strings, _ = await hub.api_keys.create(here.org_id, "two", encoding="string")
        assert (await hub.api_keys.get(here.org_id, strings.id)).encoding == "string"
        await hub.api_keys.update(here.org_id, key.id, encoding="array")
        await hub.api_keys.update(here.org_id, key.id, name="three")
        assert (await hub.api_keys.authenticate(secret)).encoding == "array"
        await hub.api_keys.update(here.org_id, key.id, encoding=None)
        assert (await hub.api_keys.authenticate(secret)).encoding is None


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"name": "taken"}, NameTaken),
        ({"name": ""}, Invalid),
        ({"status": "sleeping"}, Invalid),
        ({"encoding": "csv"}, Invalid),
        ({"name": "free", "status": "sleeping"}, Invalid),
    ],
)
async def test_a_change_that_breaks_a_rule_changes_nothing(
    home: Home, changes: dict[str, Any], error: type[Exception]
) -> None:
    """Neither the key nor a counter."""
    async with opened(home, MovingClock()) as hub:
        here = await place(hub)
        key, _ = await hub.api_keys.create(here.org_id, "one")
        await hub.api_keys.create(here.org_id, "taken")
        before = await hub.statistics.messages(here.org_id)
        with pytest.raises(error):
            await hub.api_keys.update(here.org_id, key.id, **changes)
        with pytest.raises(error):
            await hub.api_keys.create(here.org_id, **({"name": "new"} | changes))
        assert await hub.api_keys.get(here.org_id, key.id) == key
        assert listed(await hub.api_keys.of(here.org_id)) == ["one", "taken"]
        assert await hub.statistics.messages(here.org_id) == before


async def test_a_name_may_be_kept_freed_and_used_elsewhere(home: Home) -> None:
    """Unique within an organization, among what there is."""
    async with opened(home, MovingClock()) as hub:
        here, other = await place(hub), await place(hub)
        key, _ = await hub.api_keys.create(here.org_id, "one")
        await hub.api_keys.update(here.org_id, key.id, name="one")
        await hub.api_keys.create(other.org_id, "one")
        await hub.api_keys.delete(here.org_id, key.id)
        await hub.api_keys.create(here.org_id, "one")


async def test_another_organizations_key_does_not_exist(home: Home) -> None:
    """It can be neither read, changed nor deleted."""
    async with opened(home, MovingClock()) as hub:
        here, other = await place(hub), await place(hub)
        key, secret = await hub.api_keys.create(here.org_id, "one")
        with pytest.raises(NotFound):
            await hub.api_keys.get(other.org_id, key.id)
        with pytest.raises(NotFound):
            await hub.api_keys.update(other.org_id, key.id, status="disabled")
        with pytest.raises(NotFound):
            await hub.api_keys.delete(other.org_id, key.id)
        assert await hub.api_keys.of(other.org_id) == []
        assert (await hub.api_keys.authenticate(secret)).id == key.id


async def test_the_last_use_is_shown_at_once_and_kept_later(home: Home) -> None:
    """In memory until it is written down; then it outlives the process."""
    clock = MovingClock()
    used = "SELECT last_used_at FROM api_keys"

    async def shown(key: ApiKey) -> list[int | None]:
        one = await hub.api_keys.get(key.org_id, key.id)
        return [one.last_used_at, *listed(await hub.api_keys.of(key.org_id), "last_used_at")]

    async with opened(home, clock) as hub:
        here = await place(hub)
        key, secret = await hub.api_keys.create(here.org_id, "one")
        assert await shown(key) == [None, None]
        clock.pass_(seconds=5)
        await hub.api_keys.authenticate(secret)
        assert await shown(key) == [NOON + 5_000] * 2
        assert rows(home, used) == [(None,)]
        await hub.api_keys.keep_uses()
        assert rows(home, used) == [(NOON + 5_000,)]
    async with opened(home, clock) as hub:
        assert await shown(key) == [NOON + 5_000] * 2


async def test_a_use_that_could_not_be_written_is_not_forgotten(home: Home) -> None:
    """The key was deleted meanwhile: nothing to write, nothing breaks."""
    async with opened(home, MovingClock()) as hub:
        here = await place(hub)
        key, secret = await hub.api_keys.create(here.org_id, "one")
        await hub.api_keys.authenticate(secret)
        await hub.api_keys.delete(here.org_id, key.id)
        await hub.api_keys.keep_uses()
        assert rows(home, "SELECT count(*) FROM api_keys") == [(0,)]
