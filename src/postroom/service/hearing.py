"""Taking in what platforms send to live sources, and answering at once when it is kept."""

import secrets
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import blake2b
from typing import NamedTuple

from postroom.domain.clock import Clock
from postroom.domain.errors import NotAuthenticated, NotFound
from postroom.domain.facts import Taken
from postroom.domain.live_source import Counts, Kind, LiveSource
from postroom.service.gathering import Gathering
from postroom.service.intake import Intake
from postroom.sources.live import matrix
from postroom.sources.live.registry import CONNECTORS, verified
from postroom.sources.live.request import IGNORED, REJECTED, Heard, Request, together
from postroom.sources.matrix import Event
from postroom.store import live_sources
from postroom.store.database import Database, Transaction
from postroom.store.live_sources import Room

STRIPES = 16
MOST_TRANSACTIONS = 1_000
ROOM_BYTES = 16


class Answer(NamedTuple):
    """The platform that is answered, and the challenge that it wants to hear back."""

    kind: Kind
    challenge: str | None


class _Kept(NamedTuple):
    """What is to be kept of a request."""

    heard: Heard
    rooms: dict[bytes, Room]


class Hearing:
    """What platforms send is verified, read, kept and counted, the last two in one transaction.

    Processes count in rows of their own, as far as `random_bytes` tells them apart.
    """

    def __init__(
        self,
        database: Database,
        intake: Intake,
        clock: Clock,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._database = database
        self._intake = intake
        self._clock = clock
        self._stripe = random_bytes(1)[0] % STRIPES
        self._gathering = Gathering(self._keep_all)
        self._transactions: dict[tuple[str, str], bytes] = {}

    async def admit(self, source_id: str, request: Request, *, to_matrix: bool = False) -> LiveSource:
        """The source that the request is for.

        Raises:
            NotFound: there is no such source, or its platform does not send its events in this way.
            NotAuthenticated: it is not the source's platform that sends it.
        """
        source = await live_sources.find(self._database, source_id)
        if source is None or (source.kind == "matrix") is not to_matrix:
            raise NotFound("there is no source that takes its events here")
        if not verified(source.kind, source.secret, request):
            raise NotAuthenticated(
                "the signature or token is not that of the source's platform, or the request is old;"
                " nothing was kept"
            )
        return source

    async def hear(self, source_id: str, request: Request) -> Answer:
        """Keep what a platform tells; answers what it wants to hear.

        Raises:
            NotFound: there is no such source.
            NotAuthenticated: it is not the source's platform that tells it.
            Unavailable: the database does not take it now; nothing was changed.
        """
        source = await self.admit(source_id, request)
        heard = CONNECTORS[source.kind].read(source.name, request)
        if heard.challenge is None:
            await self._keep(source, heard if source.status == "enabled" else IGNORED)
        return Answer(source.kind, heard.challenge)

    async def hear_transaction(self, source_id: str, name: str, request: Request) -> None:
        """Keep what a Matrix homeserver tells; what it sends again under the same `name` is counted once.

        Raises:
            NotFound: there is no such source.
            NotAuthenticated: it is not the source's homeserver that tells it.
            Unavailable: the database does not take it now; nothing was changed.
        """
        source = await self.admit(source_id, request, to_matrix=True)
        # A homeserver that was set up anew begins again with the names it had, so the name is not enough.
        content = blake2b(request.body, digest_size=16).digest()
        if self._transactions.get((source_id, name)) == content:
            return
        await self._hear_events(source, request)
        if len(self._transactions) >= MOST_TRANSACTIONS:
            del self._transactions[next(iter(self._transactions))]
        self._transactions[source_id, name] = content

    async def _hear_events(self, source: LiveSource, request: Request) -> None:
        events = matrix.events(request)
        if events is None:
            await self._keep(source, REJECTED)
        elif source.status != "enabled":
            await self._keep(source, Heard(ignored=len(events)))
        elif events:
            await self._keep(source, *await self._told(source, events))

    async def _told(self, source: LiveSource, events: list[Event | Heard]) -> tuple[Heard, dict[bytes, Room]]:
        """What the events say, and their rooms as far as these are now seen with other eyes."""
        names = {event.room_id for event in events if isinstance(event, Event)}
        ids = {name: _hash(source, name, ROOM_BYTES) for name in names}
        before = await live_sources.rooms(self._database, source.org_id, source.id, ids.values())
        rooms = {name: matrix.Room(*before[room]) for name, room in ids.items() if room in before}
        heard = matrix.read(source.name, events, rooms, partial(_hash, source, size=matrix.PERSON_BYTES))
        seen = {ids[name]: Room(room.people, room.created, room.invited) for name, room in rooms.items()}
        return heard, {room: found for room, found in seen.items() if before.get(room) != found}

    async def _keep(self, source: LiveSource, heard: Heard, rooms: dict[bytes, Room] | None = None) -> None:
        await self._gathering.submit(source, _Kept(heard, rooms or {}))

    async def _keep_all(self, source: LiveSource, some: Sequence[_Kept]) -> None:
        heard = together(each.heard for each in some)
        rooms = {room: found for each in some for room, found in each.rooms.items()}

        async def count(tx: Transaction, taken: Taken) -> None:
            place = source.org_id, source.id
            if not await live_sources.present(tx, *place):
                return  # deleted since it admitted these; what they told stays, as all that it took in before
            counts = Counts(taken.accepted, taken.duplicates, heard.ignored, heard.rejected)
            await live_sources.add_counts(tx, *place, self._stripe, counts, self._clock())
            await live_sources.write_rooms(tx, *place, rooms)

        await self._intake.take(source.org_id, heard.records, count)


def _hash(source: LiveSource, name: str, size: int) -> bytes:
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=size, key=source.salt).digest()
