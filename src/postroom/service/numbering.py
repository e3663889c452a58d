"""Which numbers stand for the people, spaces and sources of an organization."""

import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import NamedTuple

from postroom.domain.errors import Invalid, NotFound
from postroom.domain.pseudonyms import SECRET_BYTES, Pseudonyms
from postroom.store import activities
from postroom.store.activities import Numbers
from postroom.store.database import Database, Transaction

MOST_NAMES = 200_000
"""People, and spaces, of one source in memory."""
MOST_BOOKS = 50
"""Sources in memory, of all organizations."""
MOST_SOURCES = 1_000
"""Of one organization; with more, something else was taken for the name of a source."""


class Names(NamedTuple):
    """The people and spaces that some activities of one source name."""

    people: set[str]
    spaces: set[str]


class Book(NamedTuple):
    """One source of an organization: its number, and those of people and spaces as far as they are known."""

    number: int
    pseudonyms: Pseudonyms
    people: dict[str, int]
    spaces: dict[str, int]

    def knows(self, names: Names) -> bool:
        """Whether all of them have a number here."""
        return names.people <= self.people.keys() and names.spaces <= self.spaces.keys()


class Numbering:
    """Gives numbers, and remembers them: they never change. `random_bytes` makes secrets."""

    def __init__(
        self, database: Database, random_bytes: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        self._database = database
        self._random_bytes = random_bytes
        self._books: dict[tuple[str, str], Book] = {}

    async def books(self, org_id: str, named: Mapping[str, Names]) -> dict[str, Book]:
        """The books of sources by their names, which know all the people and spaces that are named.

        Raises:
            Invalid: the organization would get too many sources.
            NotFound: there is no such organization.
            Unavailable: the database does not take it now.
        """
        missing = {
            source: names
            for source, names in named.items()
            if (org_id, source) not in self._books or not self._books[org_id, source].knows(names)
        }
        if missing:
            found = await self._database.transaction(lambda tx: self._number(tx, org_id, missing))
            self._remember(org_id, found, keep=named)
        return {source: self._books[org_id, source] for source in named}

    def _remember(self, org_id: str, found: Mapping[str, Book], keep: Iterable[str]) -> None:
        if len(self._books) + len(found) > MOST_BOOKS:
            kept = {(org_id, source) for source in keep}
            self._books = {key: book for key, book in self._books.items() if key in kept}
        for source, new in found.items():
            book = self._books.setdefault((org_id, source), new)
            _learn(book.people, new.people)
            _learn(book.spaces, new.spaces)

    async def _number(self, tx: Transaction, org_id: str, named: Mapping[str, Names]) -> dict[str, Book]:
        secret = await self._secret(tx, org_id)
        numbers = await activities.hold_numbers(tx, org_id)
        sources = await _sources(tx, org_id, named)
        books: dict[str, Book] = {}
        for source, names in named.items():
            pseudonyms = Pseudonyms(secret, source)
            people = {pseudonyms.person(name): name for name in names.people}
            spaces = {pseudonyms.space(name): name for name in names.spaces}
            found = (
                await _numbered(tx, org_id, _PEOPLE, people, numbers.people),
                await _numbered(tx, org_id, _SPACES, spaces, numbers.spaces),
            )
            numbers = Numbers(found[0].next, found[1].next)
            books[source] = Book(sources[source], pseudonyms, found[0].numbers, found[1].numbers)
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


def _learn(known: dict[str, int], new: dict[str, int]) -> None:
    if known is not new:
        if len(known) > MOST_NAMES:
            known.clear()
        known.update(new)
