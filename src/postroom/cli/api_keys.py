"""`postroom key`."""

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from postroom.cli.command import Command, group
from postroom.cli.options import Json, Org
from postroom.cli.output import moment, say, show_fields, show_json, show_table
from postroom.cli.place import Place, with_place
from postroom.domain import scope
from postroom.domain.api_key import ApiKey, Encoding
from postroom.domain.errors import Invalid, NotFound
from postroom.domain.organization import Organization
from postroom.domain.scope import Scope

if TYPE_CHECKING:
    from postroom.service.hub import Hub

app = group("Make, list and disable API keys.")

Scopes = Annotated[
    list[str] | None,
    typer.Option(
        "--scope",
        metavar="RESOURCE:ACCESS[:ID,...]",
        help="What the key may do, as in queues:read or messages:write:ID; may be repeated. Without any, it"
        " may do all with queues, listeners and messages, and read events, schemas and stats.",
    ),
]
Everything = Annotated[
    bool,
    typer.Option(
        "--everything", help="The key may do everything, as an organization's first key; instead of scopes."
    ),
]
Encoded = Annotated[
    Encoding | None,
    typer.Option(
        "--encoding",
        help="How daily totals show lists to this key: as arrays or in strings; as the server does, if not"
        " given.",
    ),
]


@app.command("create", cls=Command)
@with_place
def create(
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", show_default=False)],
    scopes: Scopes = None,
    everything: Everything = False,
    encoding: Encoded = None,
    org: Org = None,
    place: Place,
    as_json: Json = False,
) -> None:
    """Make an API key, and show its secret this once."""
    granted = _granted(scopes, everything)
    made, secret = place.run_in(
        org, lambda hub, found: hub.api_keys.create(found.id, name, scopes=granted, encoding=encoding)
    )
    if as_json:
        show_json({"api_key": secret, "key": _shape(made)})
    else:
        show_fields({"name": made.name, "id": made.id, "api_key": secret}, "The key is shown only this once.")


def _granted(scopes: list[str] | None, everything: bool) -> tuple[Scope, ...]:
    if scopes and everything:
        raise Invalid("scopes", "give either --scope or --everything")
    if everything:
        return scope.EVERYTHING
    return tuple(_scope(text) for text in scopes) if scopes else scope.DEFAULT


@app.command("list", cls=Command)
@with_place
def list_all(*, org: Org = None, place: Place, as_json: Json = False) -> None:
    """List the API keys of an organization."""
    keys = place.run_in(org, lambda hub, found: hub.api_keys.of(found.id))
    if as_json:
        show_json({"api_keys": [_shape(key) for key in keys]})
    else:
        headings = ("ID", "Name", "Begins", "Status", "Last used at", "Scopes")
        show_table(headings, [_row(key) for key in keys], "There is no API key.")


@app.command("disable", cls=Command)
@with_place
def disable(
    *,
    key: Annotated[str, typer.Argument(metavar="NAME_OR_ID", show_default=False)],
    org: Org = None,
    place: Place,
    as_json: Json = False,
) -> None:
    """Disable an API key; a running server refuses it within a second."""
    disabled = place.run_in(org, lambda hub, found: _disable(hub, found, key))
    if as_json:
        show_json({"api_key": _shape(disabled)})
    else:
        say(f"The API key {disabled.name} is disabled.")


async def _disable(hub: "Hub", organization: Organization, key: str) -> ApiKey:
    keys = await hub.api_keys.of(organization.id)
    chosen = [each for each in keys if each.id == key] or [each for each in keys if each.name == key]
    if not chosen:
        raise NotFound(f"{organization.name} has no API key {key!r}; see postroom key list")
    if chosen[0].status == "disabled":
        return chosen[0]
    return await hub.api_keys.update(organization.id, chosen[0].id, status="disabled")


def _scope(text: str) -> Scope:
    resource, access, targets = [*text.split(":", 2), "", ""][:3]
    raw = {"resource": resource, "access": access, "targets": targets.split(",") if targets else "*"}
    try:
        return scope.parse([raw])[0]
    except Invalid as error:
        field, complaint = error.field.partition(".")[2], error.detail.partition(": ")[2]
        raise typer.BadParameter(f"in {text!r}, {field} {complaint}", param_hint="--scope") from error


def _row(key: ApiKey) -> tuple[str, ...]:
    everything = key.scopes == scope.EVERYTHING
    scopes = "everything" if everything else " ".join(_text(each) for each in key.scopes)
    return key.id, key.name, key.prefix, key.status, moment(key.last_used_at), scopes


def _text(each: Scope) -> str:
    parts = [each.resource, each.access]
    return ":".join(parts if isinstance(each.targets, str) else [*parts, ",".join(each.targets)])


def _shape(key: ApiKey) -> dict[str, Any]:
    """The key as the HTTP API shows it; times are ms."""
    shown: dict[str, Any] = msgspec.structs.asdict(key)
    del shown["org_id"], shown["digest"]
    return shown | {"key": shown.pop("prefix"), "scopes": scope.to_raw(key.scopes)}
