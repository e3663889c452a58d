"""Taking in activity: each message once, whoever brings it, however often, in whatever order."""

import secrets
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

from postroom.domain.activity import Activity, Deletion
from postroom.domain.clock import DAY
from postroom.domain.totals import traits
from postroom.service.numbering import Book, Names, Numbering
from postroom.store import activities
from postroom.store.database import Database, Row, Transaction

_DAY, _SOURCE = 2, 3  # places in a row


class Taken(NamedTuple):
    """How many records were new, how many known before, and the days whose totals change."""

    accepted: int
    duplicates: int
    days: set[int]


class _Batch(NamedTuple):
    """Rows by their ids, and what came twice in the batch: days with sources, and deletions."""

    activities: dict[bytes, Row]
    deletions: dict[bytes, Row]
    repeated: list[tuple[int, int]]
    deleted_again: list[bytes]


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
        batch = await self._batch(org_id, records)

        async def body(tx: Transaction) -> Taken:
            taken = await self._write(tx, org_id, batch)
            if also is not None:
                await also(tx, taken)
            return taken

        return await self._database.transaction(body)

    async def _batch(self, org_id: str, records: Sequence[Activity | Deletion]) -> _Batch:
        """Rows for the records; most name only whom the numbering knows, so that is found out by trying."""
        books = self._numbering.known(org_id)
        try:
            return _rows(org_id, records, books)
        except KeyError:
            return _rows(org_id, records, await self._numbering.books(org_id, _names(records)))

    async def _write(self, tx: Transaction, org_id: str, batch: _Batch) -> Taken:
        # In the order of ids: so two who write the same ones wait for each other, and never in a circle.
        rows = [batch.activities[each] for each in sorted(batch.activities)]
        new = await activities.insert(tx, rows)
        gone = await activities.delete(tx, [batch.deletions[each] for each in sorted(batch.deletions)])
        known = Counter(batch.repeated)
        if len(new) < len(rows):
            known.update((row[_DAY], row[_SOURCE]) for key, row in batch.activities.items() if key not in new)
        days = {batch.activities[each][_DAY] for each in new}.union(gone) - {activities.UNKNOWN_DAY}
        await activities.add_duplicates(tx, org_id, known)
        # An answer that explains a day tells of duplicates as well.
        await activities.mark(tx, org_id, days.union(day for day, _ in known), self._writer)
        again = len(batch.deletions) - len(gone) + len(batch.deleted_again)
        return Taken(len(new) + len(gone), known.total() + again, days)


def _names(records: Sequence[Activity | Deletion]) -> Mapping[str, Names]:
    """The people and spaces that the records name, by source."""
    named: defaultdict[str, Names] = defaultdict(lambda: Names(set(), set()))
    for record in records:
        names = named[record.source]
        if isinstance(record, Activity):
            names.spaces.add(record.space)
            names.people.add(record.person)
    return named


def _rows(org_id: str, records: Sequence[Activity | Deletion], books: Mapping[str, Book]) -> _Batch:
    """KeyError where a source, a person or a space is not in the books."""
    batch = _Batch({}, {}, [], [])
    for source in dict.fromkeys([record.source for record in records]):
        some = [record for record in records if record.source == source]
        _add_activities(batch, org_id, [each for each in some if isinstance(each, Activity)], books[source])
        _add_deletions(batch, org_id, [each for each in some if isinstance(each, Deletion)], books[source])
    return batch


def _add_activities(batch: _Batch, org_id: str, some: list[Activity], book: Book) -> None:
    number, people, spaces = book.number, book.people, book.spaces
    keys = book.pseudonyms.messages([each.message_id for each in some])
    for key, a in zip(keys, some, strict=True):
        at, day = a.at, a.at // DAY
        if key in batch.activities:
            batch.repeated.append((day, number))
            continue
        who, where, files = (
            people[a.person],
            spaces[a.space],
            (a.files, a.file_bytes, a.files_of_unknown_size),
        )
        batch.activities[key] = (org_id, key, day, number, at, who, where, traits(a), *files)


def _add_deletions(batch: _Batch, org_id: str, some: list[Deletion], book: Book) -> None:
    keys = book.pseudonyms.messages([each.message_id for each in some])
    for key, each in zip(keys, some, strict=True):
        if key in batch.deletions:
            batch.deleted_again.append(key)
        batch.deletions[key] = org_id, key, book.number, each.at or 0
