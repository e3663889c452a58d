"""Handlers of API keys."""

from msgspec import UNSET

from postroom.domain import api_key, scope
from postroom.http.bodies import ApiKey, ApiKeyAnswer, ApiKeysAnswer, LinksAnswer, SecretAnswer
from postroom.http.call import Call


async def get_all(call: Call) -> ApiKeysAnswer:
    """List the keys of the organization."""
    visible = call.visible("api_keys")
    keys = [key for key in await call.hub.api_keys.of(call.org_id) if visible([key.id])]
    return ApiKeysAnswer(
        api_keys=[_shown(key) for key in keys],
        links=call.links("/api_keys", ((key.name, _path(key.id)) for key in keys)),
    )


async def post(call: Call) -> SecretAnswer:
    """Make a key; the answer is its secret, shown this once."""
    scopes = scope.DEFAULT if call.body.scopes is None else scope.parse(call.body.scopes)
    name, status, encoding = call.body.name, call.body.status, call.body.encoding
    key, secret = await call.hub.api_keys.create(call.org_id, name, status, scopes, encoding)
    return SecretAnswer(api_key=secret, links=call.links(_path(key.id)))


async def get(call: Call) -> ApiKeyAnswer:
    """Show a key."""
    return _answer(call, await call.hub.api_keys.get(call.org_id, call.path["key_id"]))


async def put(call: Call) -> ApiKeyAnswer:
    """Change a key."""
    scopes = UNSET if call.body.scopes is UNSET else scope.parse(call.body.scopes)
    key_id, body = call.path["key_id"], call.body
    changed = await call.hub.api_keys.update(
        call.org_id, key_id, body.name, body.status, scopes, body.encoding
    )
    return _answer(call, changed)


async def delete(call: Call) -> LinksAnswer:
    """Delete a key."""
    await call.hub.api_keys.delete(call.org_id, call.path["key_id"])
    return LinksAnswer(links=call.links(_path(call.path["key_id"])))


def _answer(call: Call, key: api_key.ApiKey) -> ApiKeyAnswer:
    return ApiKeyAnswer(api_key=_shown(key), links=call.links(_path(key.id)))


def _shown(key: api_key.ApiKey) -> ApiKey:
    times = key.created_at, key.updated_at, key.last_used_at
    return ApiKey(key.id, key.name, *times, key.prefix, key.status, scope.to_raw(key.scopes), key.encoding)


def _path(key_id: str) -> str:
    return f"/api_keys/{key_id}"
