"""Making and naming organizations."""

import pytest

from postroom.domain.errors import Invalid, NameTaken, NotFound
from tests.support.clock import NOON, MovingClock
from tests.support.home import Home
from tests.support.hub import listed, opened, rows

pytestmark = pytest.mark.anyio


async def test_an_organization_by_its_id_and_by_its_name(home: Home) -> None:
    """Both find the same, in a list by name."""
    async with opened(home, MovingClock()) as hub:
        made = await hub.organizations.create("example.com/dev", "Europe/Berlin")
        other = await hub.organizations.create("acme", created_by=made.id)
        assert (
            await hub.organizations.get(made.id) == await hub.organizations.named("example.com/dev") == made
        )
        assert (made.time_zone, made.created_by, made.created_at) == ("Europe/Berlin", None, NOON)
        assert await hub.organizations.every() == [other, made]
        with pytest.raises(NotFound):
            await hub.organizations.get("-" * 21)
        with pytest.raises(NotFound):
            await hub.organizations.named("nobody")


@pytest.mark.parametrize(
    ("name", "zone", "error"), [("taken", "UTC", NameTaken), ("", "UTC", Invalid), ("a", "Mars", Invalid)]
)
async def test_what_breaks_a_rule_makes_nothing(
    home: Home, name: str, zone: str, error: type[Exception]
) -> None:
    """No organization, and no first key either."""
    async with opened(home, MovingClock()) as hub:
        await hub.organizations.create("taken")
        with pytest.raises(error):
            await hub.organizations.create(name, zone)
        with pytest.raises(error):
            await hub.organizations.found(name, zone)
        assert listed(await hub.organizations.every()) == ["taken"]
        assert rows(home, "SELECT count(*) FROM api_keys") == [(0,)]


async def test_who_may_rename_an_organization(home: Home) -> None:
    """Itself, and the one that made it; to all others it does not exist."""
    async with opened(home, MovingClock()) as hub:
        maker = await hub.organizations.create("maker")
        made = await hub.organizations.create("made", "Asia/Kathmandu", created_by=maker.id)
        stranger = await hub.organizations.create("stranger")
        renamed = await hub.organizations.rename(maker.id, made.id, "by its maker")
        assert renamed == await hub.organizations.get(made.id)
        assert (renamed.name, renamed.time_zone, renamed.created_by) == (
            "by its maker",
            "Asia/Kathmandu",
            maker.id,
        )
        await hub.organizations.rename(made.id, made.id, "by itself")
        for caller, target in ((stranger.id, made.id), (made.id, maker.id), (maker.id, "-" * 21)):
            with pytest.raises(NotFound):
                await hub.organizations.rename(caller, target, "mine")
        assert listed(await hub.organizations.every()) == ["by itself", "maker", "stranger"]


async def test_a_taken_name_renames_nothing(home: Home) -> None:
    """Its own name it may keep."""
    async with opened(home, MovingClock()) as hub:
        one, _ = await hub.organizations.create("one"), await hub.organizations.create("two")
        with pytest.raises(NameTaken):
            await hub.organizations.rename(one.id, one.id, "two")
        assert (await hub.organizations.rename(one.id, one.id, "one")).name == "one"
