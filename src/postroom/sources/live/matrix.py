"""Matrix: what a homeserver pushes to an application service.

* `Authorization: Bearer` the hs_token, or `access_token` in the query, as it was before version 1.4.
* A transaction has `events`; what is a message is as in an export. Ephemeral events are left aside, and
  events of other types are ignored, whatever they look like.
* No event tells whether its room is direct. A room is when an invitation said so (`is_direct`); when its
  creation was seen here, so that all who ever joined were seen too, and they are no more than two; or when
  two people were seen to join or to be invited, and nobody else was ever seen. Any other room counts as a
  group. Who only changes a name or picture, which is told as joining once more, has not joined.
* What was seen of a room is remembered, its people as keyed hashes.

https://spec.matrix.org/latest/application-service-api/
"""

from collections.abc import Callable, Iterable
from functools import partial

import msgspec

from postroom.sources import matrix
from postroom.sources.live.request import IGNORED, REJECTED, Heard, Request, decoded, heard, same, together
from postroom.sources.matrix import Event
from postroom.sources.records import Converted

PERSON_BYTES = 8
_ENOUGH = 3
_BOTH = 0b11  # of two people


class Room(msgspec.Struct, frozen=True):
    """What was seen of a room: its first people, its creation, and whether an invitation called it direct.

    `people` are hashes of PERSON_BYTES, one after the other; then, where some were seen to join, a byte with
    a bit for each who was, the lowest for the first.
    """

    people: bytes = b""
    created: bool = False
    invited: bool = False

    @property
    def direct(self) -> bool:
        """Whether it is between two people."""
        known, joined = self._people()
        return (
            self.invited
            or (self.created and len(known) < _ENOUGH)
            or (len(known) == _ENOUGH - 1 and joined == _BOTH)
        )

    def with_person(self, person: bytes, *, joins: bool = False) -> "Room":
        """The room when this person was seen in it, too, or was seen to join it."""
        known, joined = self._people()
        if person not in known:
            if len(known) >= _ENOUGH:
                return self
            known.append(person)
        joined |= joins << known.index(person)
        marks = bytes([joined]) if joined else b""
        return msgspec.structs.replace(self, people=b"".join(known) + marks)

    def _people(self) -> tuple[list[bytes], int]:
        """Those who were seen, and which of them were seen to join."""
        count, marked = divmod(len(self.people), PERSON_BYTES)
        known = [self.people[at * PERSON_BYTES : (at + 1) * PERSON_BYTES] for at in range(count)]
        return known, self.people[-1] if marked else 0


Rooms = dict[str, Room]
Hash = Callable[[str], bytes]
"""Makes PERSON_BYTES of a person's id."""


class _Kind(msgspec.Struct):
    type: str


class _Other(msgspec.Struct):
    """Of an event that tells nothing, who was seen where."""

    type: str
    event_id: str
    sender: str
    origin_server_ts: int
    room_id: str


class _Transaction(msgspec.Struct):
    events: list[msgspec.Raw]


_TRANSACTION = msgspec.json.Decoder(_Transaction).decode
_KIND = msgspec.json.Decoder(_Kind).decode
_OTHER = msgspec.json.Decoder(_Other).decode
_EVENT = msgspec.json.Decoder(Event).decode
_READ = matrix.TOLD | {"m.room.create", "m.room.member"}


def verified(secret: str, request: Request) -> bool:
    """Whether the homeserver knows the token."""
    scheme, _, token = request.header(b"authorization").partition(b" ")
    if not scheme:
        token = request.token.encode("utf-8", "replace")
    elif scheme.lower() != b"bearer":
        return False
    return same(token.strip(), secret.encode())


def events(request: Request) -> list[Event | Heard] | None:
    """The events of a transaction, or what was heard where that is all; None when it is no transaction."""
    transaction = decoded(_TRANSACTION, request.body)
    if transaction is None:
        return None
    return [_event(bytes(raw)) for raw in transaction.events]


def _event(raw: bytes) -> Event | Heard:
    kind = decoded(_KIND, raw)
    if kind is None:
        return REJECTED
    if kind.type in _READ:
        return decoded(_EVENT, raw) or REJECTED
    other = decoded(_OTHER, raw)
    return IGNORED if other is None else Event(*msgspec.structs.astuple(other))


def read(source: str, found: Iterable[Event | Heard], rooms: Rooms, hashed: Hash) -> Heard:
    """What the events say; `rooms` are those they are in, and are changed to what was seen by then."""
    return together(_heard(source, event, rooms, hashed) for event in found)


def _heard(source: str, event: Event | Heard, rooms: Rooms, hashed: Hash) -> Heard:
    if isinstance(event, Heard):
        return event
    room = rooms[event.room_id] = _seen(rooms.get(event.room_id, Room()), event, hashed)
    if event.type not in matrix.TOLD:
        return IGNORED
    convert: Callable[[], Converted] = partial(matrix.record, source, event, room.direct)
    return heard(convert)


def _seen(room: Room, event: Event, hashed: Hash) -> Room:
    room = room.with_person(hashed(event.sender))
    if event.type == "m.room.create":
        return msgspec.structs.replace(room, created=True)
    if event.type != "m.room.member" or event.state_key is None:
        return room
    room = room.with_person(hashed(event.state_key), joins=_joins(event))
    if event.content is not None and event.content.is_direct is True:
        return msgspec.structs.replace(room, invited=True)
    return room


def _joins(event: Event) -> bool:
    """Whether somebody comes in, or is asked to."""
    before = event.unsigned
    # A change of name or picture is a membership, too; where it is not told of what, it may be one.
    was_in = before is not None and (
        before.prev_content.membership == "join" if before.prev_content else bool(before.replaces_state)
    )
    return event.content is not None and event.content.membership in {"join", "invite"} and not was_in
