"""Which numbers stand for the people, spaces and sources of an organization."""

import secrets
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import NamedTuple

from postroom.domain.errors import Invalid, NotFound
from postroom.domain.pseudonyms import SECRET_BYTES, Pseudonyms
from postroom.store import activities
from postroom.store.activities import Numbers
from postroom.store.database import Database, Transaction

MOST_NAMES = 200_000
"""People and spaces of one source in memory."""
MOST_BOOKS = 50
"""Sources in memory, of all organizations."""
MOST_SOURCES = 1_000
"""Of one organization; with more, something else was taken for the name of a source."""


class Names(NamedTuple):
    """The people and spaces that some activities of one source name."""

    people: set[str]
    spaces: set[str]


class Book(NamedTuple):
    """One source of an organization: its number, and those of people and spaces as far as they are known.

    Nobody, which is the person of some messages, has no number.
    """

    number: int
    people: dict[str, int | None]
    spaces: dict[str, int]

    def knows(self, names: Names) -> bool:
        """Whether all of them are in it."""
        return names.people <= self.people.keys() and names.spaces <= self.spaces.keys()

    def learn(self, new: "Book") -> None:
        """Take over what a newer one knows."""
        if len(self.people) + len(self.spaces) > MOST_NAMES:
            self.people.clear()
            self.spaces.clear()
        self.people.update(new.people)
        self.spaces.update(new.spaces)


class Numbering:
    """Gives numbers, and remembers them: they never change. `random_bytes` makes secrets."""

    def __init__(
        self, database: Database, random_bytes: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        self._database = database
        self._random_bytes = random_bytes
        self._books: defaultdict[str, dict[str, Book]] = defaultdict(dict)

    async def secret(self, org_id: str) -> bytes:
        """What the keys of an organization's records, people and spaces are made with; it never changes.

        Raises:
            NotFound: there is no such organization.
            Unavailable: the database does not take it now.
        """
        return await self._database.transaction(lambda tx: self._secret(tx, org_id))

    async def books(self, org_id: str, named: Mapping[str, Names]) -> Mapping[str, Book]:
        """The books of sources, which know all the people and spaces that are named, until others are asked.

        Raises:
            Invalid: the organization would get too many sources.
            NotFound: there is no such organization.
            Unavailable: the database does not take it now.
        """
        if sum(map(len, self._books.values())) > MOST_BOOKS:
            self._books.clear()
        books = self._books[org_id]
        while missing := _missing(books, named):  # others may make it forget meanwhile
            found = await self._database.transaction(partial(self._number, org_id=org_id, named=missing))
            for source, book in found.items():
                if source in books:
                    books[source].learn(book)
                else:
                    books[source] = book
        return books

    async def _number(self, tx: Transaction, org_id: str, named: Mapping[str, Names]) -> dict[str, Book]:
        secret = await self._secret(tx, org_id)
        numbers = await activities.hold_numbers(tx, org_id)
        sources = await _sources(tx, org_id, named)
        books: dict[str, Book] = {}
        for source, names in named.items():
            pseudonyms = Pseudonyms(secret, source)
            people = {pseudonyms.person(name): name for name in names.people if name}
            spaces = {pseudonyms.space(name): name for name in names.spaces}
            found = (
                await _numbered(tx, org_id, _PEOPLE, people, numbers.people),
                await _numbered(tx, org_id, _SPACES, spaces, numbers.spaces),
            )
            numbers = Numbers(found[0].next, found[1].next)
            books[source] = Book(sources[source], {"": None, **found[0].numbers}, found[1].numbers)
        await activities.set_numbers(tx, org_id, numbers)
        return books

    async def _secret(self, tx: Transaction, org_id: str) -> bytes:
        secret = await activities.secret(tx, org_id)
        if secret is None:
            await activities.set_secret(tx, org_id, self._random_bytes(SECRET_BYTES))
            secret = await activities.secret(tx, org_id)
        if secret is None:
            raise NotFound(f"there is no organization {org_id}")
        return secret


def _missing(books: Mapping[str, Book], named: Mapping[str, Names]) -> dict[str, Names]:
    """What is named and not in the books."""
    return {
        source: names
        for source, names in named.items()
        if source not in books or not books[source].knows(names)
    }


class _Sort(NamedTuple):
    """People or spaces: how those with a number are found, and how new ones get theirs."""

    find: Callable[[Transaction, str, Iterable[bytes]], Awaitable[dict[bytes, int]]]
    add: Callable[[Transaction, str, dict[bytes, int]], Awaitable[None]]


class _Numbered(NamedTuple):
    numbers: dict[str, int]
    next: int


_PEOPLE = _Sort(activities.people, activities.add_people)
_SPACES = _Sort(activities.spaces, activities.add_spaces)


async def _numbered(
    tx: Transaction, org_id: str, sort: _Sort, names: dict[bytes, str], first: int
) -> _Numbered:
    """A number for each of the names, which come by their ids; new ones are numbered from `first` on."""
    found = await sort.find(tx, org_id, names)
    new = {each: number for number, each in enumerate(sorted(names.keys() - found.keys()), first)}
    await sort.add(tx, org_id, new)
    numbers = {names[each]: number for each, number in (found | new).items()}
    return _Numbered(numbers, first + len(new))


async def _sources(tx: Transaction, org_id: str, names: Iterable[str]) -> dict[str, int]:
    """The numbers of all sources, among them these; the organization's numbers are held."""
    known = await activities.sources(tx, org_id)
    for name in sorted(set(names) - known.keys()):
        if len(known) >= MOST_SOURCES:
            raise Invalid("source", f"there are {MOST_SOURCES} sources already; use one of their names")
        known[name] = max(known.values(), default=-1) + 1
        await activities.add_source(tx, org_id, known[name], name)
    return known
