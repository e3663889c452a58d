"""Handlers of API clients, as the hub API calls organizations."""

from postroom.domain.organization import Organization
from postroom.http.bodies import ApiClientAnswer, Named
from postroom.http.call import Call


async def post(call: Call) -> ApiClientAnswer:
    """Make an organization; its first key is made on the command line."""
    organization = await call.hub.organizations.create(call.body.name, created_by=call.org_id)
    return _answer(call, organization)


async def put(call: Call) -> ApiClientAnswer:
    """Rename the own organization, or one that it made."""
    organization = await call.hub.organizations.rename(call.org_id, call.path["client_id"], call.body.name)
    return _answer(call, organization)


def _answer(call: Call, organization: Organization) -> ApiClientAnswer:
    return ApiClientAnswer(
        api_client=Named(organization.id, organization.name),
        links=call.links(f"/api_clients/{organization.id}"),
    )
