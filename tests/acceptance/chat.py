"""An organization that something happened in: a few messages of three days, and a client of the server."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from postroom.domain.activity import Activity, Client, Deletion
from postroom.runtime import commanding
from postroom.settings import Settings, load
from tests.acceptance.client import Client as Http
from tests.acceptance.client import unique
from tests.acceptance.house import Place, clear_of_midnight

ROOT: Final = "/v1/analytics/messagingMetrics"
DAILY: Final = f"{ROOT}/dailyTotals"
MIB: Final = 2**20


def settings_of(place: Place) -> Settings:
    """What a command on the same place is told."""
    return load({"data" if isinstance(place, Path) else "database": place}, {}, None)


def day(back: int) -> str:
    """The date so many days before today, UTC."""
    return (datetime.now(UTC) - timedelta(days=back)).date().isoformat()


def at(back: int) -> int:
    """The noon of that day, ms."""
    return round(datetime.fromisoformat(f"{day(back)}T12:00:00+00:00").timestamp()) * 1000


def said(number: int, back: int, person: str = "ada", **more: Any) -> Activity:
    """A message in a room, from a desktop, unless told otherwise."""
    given: dict[str, Any] = {"source": "slack", "space": "room", "direct": False, "client": Client.DESKTOP}
    return Activity(message_id=f"m{number}", at=at(back), person=person, **(given | more))


def story() -> Sequence[Activity | Deletion]:
    """Two days, and one between them on which nothing happened; told anew, as midnight may have come."""
    return (
        said(1, 3),
        said(2, 3, "ben", client=Client.MOBILE, files=2, file_bytes=MIB),
        said(3, 3, "ben", space="ada and ben", direct=True, client=Client.OTHER, video=True),
        said(4, 3, "ben", source="zulip", client=Client.UNKNOWN, files=1, files_of_unknown_size=1),
        said(5, 3, "cat", by_bot=True),
        said(6, 3, "", system=True),
        said(7, 1, "cem", audio=True, recording=True),
        said(8, 1, "cem"),
        said(8, 1, "cem"),
        Deletion("slack", "m8"),
    )


@dataclass(frozen=True)
class Chat:
    """An organization to which the story happened."""

    place: Place
    org_id: str
    http: Http

    async def take(self, *records: Activity | Deletion) -> None:
        """Take something in as a command does, beside the server."""
        async with commanding(settings_of(self.place)) as hub:
            await hub.intake.take(self.org_id, records)

    async def totals(self, query: str = "") -> Any:
        """The metrics of an answer that must be a 200."""
        return (await self.http.get(f"{DAILY}?{query}"))["metrics"]

    async def refused(self, path: str, status: int, **headers: str) -> str:
        """The description in a refusal, which has the documented form."""
        return (await self.http.call("GET", path, headers=headers)).problem(status)


@asynccontextmanager
async def chatting(place: Place, url: str) -> AsyncIterator[Chat]:
    """A new organization to which the story happened, on the server at the URL, and its first key."""
    await clear_of_midnight()
    async with commanding(settings_of(place)) as hub:
        organization, secret = await hub.organizations.found(unique("chat"))
        await hub.intake.take(organization.id, story())
    async with Http(url, secret) as http:
        yield Chat(place, organization.id, http)


async def key(chat: Chat, **body: object) -> Http:
    """A client with another key of the organization, to be entered."""
    made = (await chat.http.post("/api_keys", name=unique("key"), **body))["api_key"]
    return Http(chat.http.url, made)


READS: Final = [{"resource": "analytics", "access": "read"}]
