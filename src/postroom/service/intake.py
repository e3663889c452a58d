"""Taking in activity: each message once, whoever brings it, however often, in whatever order."""

import secrets
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from postroom.domain.activity import Activity, Deletion
from postroom.domain.day import day_of
from postroom.domain.totals import traits
from postroom.service.numbering import Book, Names, Numbering
from postroom.store import activities
from postroom.store.database import Database, Row, Transaction

_ID, _DAY, _SOURCE = 1, 2, 3  # places in a row


class Taken(NamedTuple):
    """How many records were new, how many known before, and the days whose totals change."""

    accepted: int
    duplicates: int
    days: set[int]


class _Batch(NamedTuple):
    """Rows by their ids, and what came twice in the batch, counted by (day, source)."""

    activities: dict[bytes, Row]
    deletions: dict[bytes, Row]
    repeated: Counter[tuple[int, int]]
    deleted_again: Counter[bytes]


class Intake:
    """Takes activities and deletions in; `random_bytes` makes the secrets of organizations."""

    def __init__(
        self, database: Database, random_bytes: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        self._database = database
        self._numbering = Numbering(database, random_bytes)
        self._writer = random_bytes(8).hex()

    async def take(
        self,
        org_id: str,
        records: Sequence[Activity | Deletion],
        also: Callable[[Transaction, Taken], Awaitable[None]] | None = None,
    ) -> Taken:
        """Keep what is new, in one transaction with what is `also` to be done; durable when this returns.

        Of several activities with one id, the first that is taken in stays. It may all be done again.

        Raises:
            Invalid: the organization would get too many sources.
            NotFound: there is no such organization.
            Unavailable: the database does not take it now; nothing was changed.
        """
        books = await self._numbering.books(org_id, _names(records)) if records else {}
        batch = _batch(org_id, records, books)

        async def body(tx: Transaction) -> Taken:
            taken = await self._write(tx, org_id, batch)
            if also is not None:
                await also(tx, taken)
            return taken

        return await self._database.transaction(body)

    async def _write(self, tx: Transaction, org_id: str, batch: _Batch) -> Taken:
        # In the order of ids: so two who write the same ones wait for each other, and never in a circle.
        rows = [batch.activities[each] for each in sorted(batch.activities)]
        new = await activities.insert(tx, rows)
        gone = await activities.delete(tx, [batch.deletions[each] for each in sorted(batch.deletions)])
        known = batch.repeated + Counter((row[_DAY], row[_SOURCE]) for row in rows if row[_ID] not in new)
        days = {row[_DAY] for row in rows if row[_ID] in new}.union(gone) - {activities.UNKNOWN_DAY}
        again = len(batch.deletions) - len(gone) + batch.deleted_again.total()
        await activities.add_duplicates(tx, org_id, known)
        # An answer that explains a day tells of duplicates as well.
        await activities.mark(tx, org_id, days | {day for day, _ in known}, self._writer)
        return Taken(len(new) + len(gone), known.total() + again, days)


def _names(records: Iterable[Activity | Deletion]) -> Mapping[str, Names]:
    """The people and spaces that the records name, by source."""
    named: defaultdict[str, Names] = defaultdict(lambda: Names(set(), set()))
    for record in records:
        names = named[record.source]
        if isinstance(record, Activity):
            names.spaces.add(record.space)
            if record.person:
                names.people.add(record.person)
    return named


def _batch(org_id: str, records: Iterable[Activity | Deletion], books: Mapping[str, Book]) -> _Batch:
    batch = _Batch({}, {}, Counter(), Counter())
    made = {source: (book, book.pseudonyms.messages()) for source, book in books.items()}
    for record in records:
        book, message_id = made[record.source]
        new = message_id(record.message_id)
        if isinstance(record, Activity):
            if new in batch.activities:
                batch.repeated[day_of(record.at), book.number] += 1
            else:
                batch.activities[new] = _row(org_id, new, record, book)
        elif new in batch.deletions:
            batch.deleted_again[new] += 1
        else:
            batch.deletions[new] = org_id, new, book.number, record.at or 0
    return batch


def _row(org_id: str, new: bytes, activity: Activity, book: Book) -> Row:
    person = book.people[activity.person] if activity.person else None
    return (
        org_id,
        new,
        day_of(activity.at),
        book.number,
        activity.at,
        person,
        book.spaces[activity.space],
        traits(activity),
        activity.files,
        activity.file_bytes,
        activity.files_of_unknown_size,
    )
