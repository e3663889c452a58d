"""Activities are written many at a time, and it is told which of them were new."""

import pytest

from postroom.store import activities
from postroom.store.database import Row, Transaction
from postroom.store.sqlite import TOGETHER
from tests.support.home import Home
from tests.support.writing import opened

pytestmark = pytest.mark.anyio
MANY = 2 * TOGETHER + 50


def row(number: int, day: int = 7) -> Row:
    """A message of the organization that all of them are of."""
    return "org", number.to_bytes(16, "big"), day, 0, day * 86_400_000, number, 3, 1, 0, 0, 0


@pytest.mark.parametrize(
    "known",
    [
        [],
        [0],
        [TOGETHER - 1],
        [TOGETHER, MANY - 1],
        [3, 4, 5, TOGETHER + 1, MANY - 2],
        list(range(0, MANY, 2)),
        list(range(MANY)),
    ],
)
async def test_which_are_new(home: Home, known: list[int]) -> None:
    """Wherever those stand that were known, the others are answered, and only they are written."""
    rows = [row(number) for number in range(MANY)]
    before = [row(number, day=5) for number in known]

    async def insert(tx: Transaction) -> set[bytes]:
        await activities.insert(tx, before)
        return await activities.insert(tx, rows)

    async with opened(home) as database:
        new = await database.transaction(insert)
    assert new == {each[1] for each in rows} - {each[1] for each in before}
    kept = {bytes(key): day for key, day in home.rows("SELECT id, day FROM activities")}
    assert kept == {each[1]: each[2] for each in [*rows, *before]}


async def test_a_deletion_that_came_first(home: Home) -> None:
    """Gives its place to the message, which is new, and stays its mark."""
    rows = [row(number) for number in range(MANY)]
    marked = [each[:2] for each in rows if each[5] % 70 == 69]

    async def write(tx: Transaction) -> set[bytes]:
        gone = await activities.delete(tx, [(*each, 0, 99) for each in marked])
        assert gone == {key: activities.UNKNOWN_DAY for _, key in marked}
        return await activities.insert(tx, rows)

    async with opened(home) as database:
        assert await database.transaction(write) == {each[1] for each in rows}
    found = home.rows("SELECT id FROM activities WHERE deleted_at = 99 AND day = 7 ORDER BY id")
    assert [bytes(key) for (key,) in found] == [key for _, key in marked]
