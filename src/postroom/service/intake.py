"""Taking in activity: each message once, whoever brings it, however often, in whatever order."""

import secrets
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from itertools import repeat
from operator import itemgetter
from typing import NamedTuple

from postroom.domain.activity import Activity, Deletion
from postroom.domain.clock import DAY
from postroom.domain.facts import Facts, Keyed, Keyring, Taken
from postroom.service.numbering import Book, Names, Numbering
from postroom.store import activities
from postroom.store.database import Database, Row, Transaction

MOST_KEYRINGS = 20
"""Organizations whose secrets are in memory."""
_KEY, _DAY, _SOURCE = 1, 2, 3  # places in a row

Also = Callable[[Transaction, Taken], Awaitable[None]]
"""What is to be done in the transaction that takes something in."""


class _Rows(NamedTuple):
    """What is to be written, in the order of keys; `records` is how many told it.

    `retold` are the keys of messages that are only told with their deletion, and `repeated` counts what came
    once more of the others, by (day, source).
    """

    messages: list[Row]
    deletions: list[Row]
    retold: set[bytes]
    repeated: Counter[tuple[int, int]]
    records: int


class Intake:
    """Takes activities and deletions in; `random_bytes` makes the secrets of organizations."""

    def __init__(
        self, database: Database, random_bytes: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        self._database = database
        self._numbering = Numbering(database, random_bytes)
        self._writer = random_bytes(8).hex()
        self._keyrings: dict[str, Keyring] = {}

    async def secret(self, org_id: str) -> bytes:
        """What the keys of the organization's records are made with.

        Raises:
            NotFound: there is no such organization.
            Unavailable: the database does not take it now.
        """
        return await self._numbering.secret(org_id)

    async def take(
        self, org_id: str, records: Iterable[Activity | Deletion], also: Also | None = None
    ) -> Taken:
        """As `keep`, of what has no keys yet."""
        if org_id not in self._keyrings:
            secret = await self.secret(org_id)
            if len(self._keyrings) >= MOST_KEYRINGS:
                self._keyrings.clear()
            self._keyrings[org_id] = Keyring(secret)
        return await self.keep(org_id, self._keyrings[org_id].keyed(records), also)

    async def keep(self, org_id: str, keyed: Keyed, also: Also | None = None) -> Taken:
        """Keep what is new, in one transaction with what is `also` to be done; durable when this returns.

        Of several activities with one id, the first that is taken in stays. It may all be done again.

        Raises:
            Invalid: the organization would get too many sources.
            NotFound: there is no such organization.
            Unavailable: the database does not take it now; nothing was changed.
        """
        rows = _rows(org_id, keyed, await self._numbering.books(org_id, _named(keyed)))

        async def body(tx: Transaction) -> Taken:
            taken = await self._write(tx, org_id, rows)
            if also is not None:
                await also(tx, taken)
            return taken

        return await self._database.transaction(body)

    async def _write(self, tx: Transaction, org_id: str, rows: _Rows) -> Taken:
        new = await activities.insert(tx, rows.messages)
        gone = await activities.delete(tx, rows.deletions)
        days = {row[_DAY] for row in rows.messages if row[_KEY] in new}.union(gone.values())
        days.discard(activities.UNKNOWN_DAY)
        known = _known(rows, new)
        await activities.add_duplicates(tx, org_id, known)
        # An answer that explains a day tells of duplicates as well.
        await activities.mark(tx, org_id, days.union(day for day, _ in known), self._writer)
        # A message that is only told with its deletion is one record with it.
        accepted = len(new - rows.retold) + len(gone.keys() | (new & rows.retold))
        return Taken(accepted, rows.records - accepted, len(new), len(gone), days)


def _known(rows: _Rows, new: set[bytes]) -> Counter[tuple[int, int]]:
    """What came again, by (day, source)."""
    known = rows.repeated.copy()
    if len(new) < len(rows.messages):
        again = (row for row in rows.messages if row[_KEY] not in new and row[_KEY] not in rows.retold)
        known.update((row[_DAY], row[_SOURCE]) for row in again)
    return known


def _named(keyed: Keyed) -> dict[str, Names]:
    """The people and spaces that the records name, by source."""
    named: defaultdict[str, Names] = defaultdict(lambda: Names(set(), set()))
    for facts in _all_facts(keyed):
        named[facts.source].people.update(facts.people)
        named[facts.source].spaces.update(facts.spaces)
    return named


def _all_facts(keyed: Keyed) -> Iterator[Facts]:
    yield from keyed.facts
    for marks in keyed.marks:
        yield marks.sent


def _rows(org_id: str, keyed: Keyed, books: Mapping[str, Book]) -> _Rows:
    """In the order of keys: so two who write the same ones wait for each other, and never in a circle."""
    rows = _Rows([], [], set(), Counter(), keyed.count)
    for facts in keyed.facts:
        book = books[facts.source]
        rows.messages.extend(_messages(org_id, facts, book))
        rows.repeated.update({(day, book.number): count for day, count in facts.repeated.items()})
    told = {key for facts in keyed.facts for key in facts.keys} if keyed.marks else set[bytes]()
    for marks in keyed.marks:
        book = books[marks.source]
        rows.deletions.extend(zip(repeat(org_id), marks.keys, repeat(book.number), marks.times))
        sent = [row for row in _messages(org_id, marks.sent, book) if row[_KEY] not in told]
        rows.messages.extend(sent)
        rows.retold.update(row[_KEY] for row in sent)
    rows.messages.sort(key=itemgetter(_KEY))
    rows.deletions.sort(key=itemgetter(_KEY))
    return rows


def _messages(org_id: str, facts: Facts, book: Book) -> Iterator[Row]:
    days = [at // DAY for at in facts.times]
    people = map(book.people.__getitem__, facts.people)
    spaces = map(book.spaces.__getitem__, facts.spaces)
    files = facts.files, facts.file_bytes, facts.files_of_unknown_size
    begin = repeat(org_id), facts.keys, days, repeat(book.number), facts.times
    return zip(*begin, people, spaces, facts.traits, *files, strict=False)
