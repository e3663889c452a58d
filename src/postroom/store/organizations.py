"""Organizations in the database."""

from postroom.domain.organization import Organization
from postroom.store.database import Reader, Transaction


async def insert(tx: Transaction, organization: Organization) -> bool:
    """False where the name is taken."""
    o = organization
    return bool(await tx.fetch("insert_organization", o.id, o.name, o.time_zone, o.created_by, o.created_at))


async def find(reader: Reader, org_id: str) -> Organization | None:
    """One by id."""
    rows = await reader.fetch("find_organization", org_id)
    return Organization(*rows[0]) if rows else None


async def find_by_name(reader: Reader, name: str) -> Organization | None:
    """One by name."""
    rows = await reader.fetch("find_organization_by_name", name)
    return Organization(*rows[0]) if rows else None


async def every(reader: Reader) -> list[Organization]:
    """All of them, by name."""
    return [Organization(*row) for row in await reader.fetch("list_organizations")]


async def rename(tx: Transaction, org_id: str, name: str) -> bool:
    """False where the name is taken."""
    return bool(await tx.fetch("rename_organization", org_id, name))
