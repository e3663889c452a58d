"""Making and naming organizations."""

from postroom.domain.errors import NameTaken, NotFound
from postroom.domain.names import check_name
from postroom.domain.organization import Organization, check_time_zone
from postroom.service.api_keys import ApiKeys
from postroom.service.ledger import Entry, Ledger
from postroom.store import organizations
from postroom.store.database import Database


class Organizations:
    """The tenants."""

    def __init__(self, ledger: Ledger, database: Database, keys: ApiKeys) -> None:
        self._ledger = ledger
        self._database = database
        self._keys = keys

    async def create(self, name: str, time_zone: str = "UTC", created_by: str | None = None) -> Organization:
        """A new organization, without a key.

        Raises:
            Invalid: the name or the time zone breaks a rule.
            NameTaken: another organization has it.
        """
        check_name(name)
        check_time_zone(time_zone)
        return await self._ledger.commit(lambda entry: _insert(entry, name, time_zone, created_by))

    async def found(self, name: str, time_zone: str = "UTC") -> tuple[Organization, str]:
        """A new organization and the secret of its first key, which may do everything.

        Raises:
            Invalid: the name or the time zone breaks a rule.
            NameTaken: another organization has it.
        """
        check_name(name)
        check_time_zone(time_zone)

        async def body(entry: Entry) -> tuple[Organization, str]:
            organization = await _insert(entry, name, time_zone, None)
            return organization, await self._keys.insert_first(entry, organization.id)

        return await self._ledger.commit(body)

    async def get(self, org_id: str) -> Organization:
        """One by id.

        Raises:
            NotFound: there is none.
        """
        organization = await organizations.find(self._database, org_id)
        if organization is None:
            raise NotFound(f"there is no organization {org_id}")
        return organization

    async def named(self, name: str) -> Organization:
        """One by name.

        Raises:
            NotFound: there is none.
        """
        organization = await organizations.find_by_name(self._database, name)
        if organization is None:
            raise NotFound(f"there is no organization named {name!r}")
        return organization

    async def every(self) -> list[Organization]:
        """All, by name."""
        return await organizations.every(self._database)

    async def rename(self, caller: str, org_id: str, name: str) -> Organization:
        """Rename the organization `caller` itself, or one that it made.

        Raises:
            Invalid: the name breaks a rule.
            NameTaken: another organization has it.
            NotFound: there is none that the caller may rename.
        """
        check_name(name)

        async def body(entry: Entry) -> Organization:
            organization = await organizations.find(entry.tx, org_id)
            if organization is None or caller not in {organization.id, organization.created_by}:
                raise NotFound(f"there is no organization {org_id}")
            if not await organizations.rename(entry.tx, org_id, name):
                raise NameTaken(name)
            return Organization(
                org_id, name, organization.time_zone, organization.created_by, organization.created_at
            )

        return await self._ledger.commit(body)


async def _insert(entry: Entry, name: str, time_zone: str, created_by: str | None) -> Organization:
    organization = Organization(entry.mint(), name, time_zone, created_by, entry.at)
    if not await organizations.insert(entry.tx, organization):
        raise NameTaken(name)
    return organization
