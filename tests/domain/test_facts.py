"""Records get keys: each message once, in the order of keys, whoever makes them."""

from typing import Any, Final

from postroom.domain.activity import Activity, Client, Deletion
from postroom.domain.clock import DAY
from postroom.domain.facts import MOST_BEGUN, Facts, Keyring, Marks
from postroom.domain.pseudonyms import Pseudonyms
from postroom.domain.totals import traits

SECRET: Final = bytes(range(32))
AT: Final = 1_700_000_000_000


def sent(number: int, source: str = "slack", at: int = AT) -> Activity:
    """A message; each number is of another person."""
    person, files = f"p{number}", (number, 10 * number, 1)
    return Activity(source, f"m{number}", at, person, "s", number % 2 == 0, Client.MOBILE, *files)


def key(number: int, source: str = "slack") -> bytes:
    """What stands for its id."""
    (made,) = Pseudonyms(SECRET, source).messages([f"m{number}"])
    return made


def rows(facts: Facts) -> list[tuple[Any, ...]]:
    """Each message of them."""
    columns = facts.keys, facts.times, facts.people, facts.spaces, facts.traits
    files = facts.files, facts.file_bytes, facts.files_of_unknown_size
    return list(zip(*columns, *files, strict=True))


def row(each: Activity, number: int) -> tuple[Any, ...]:
    """The same of one."""
    return key(number, each.source), each.at, each.person, "s", traits(each), number, 10 * number, 1


def test_by_source_and_key() -> None:
    """Each source's messages and deletions, in the order of their keys."""
    numbers = range(20)
    records: list[Activity | Deletion] = [
        *map(sent, numbers),
        sent(3, "zulip"),
        Deletion("zulip", "m7"),
        Deletion("zulip", "m5", AT),
    ]
    keyed = Keyring(SECRET).keyed(records)
    slack, zulip = keyed.facts
    (marks,) = keyed.marks
    assert (slack.source, zulip.source, marks.source) == ("slack", "zulip", "zulip")
    assert rows(slack) == sorted((row(sent(number), number) for number in numbers), key=lambda one: one[0])
    assert rows(zulip) == [row(sent(3, "zulip"), 3)]
    times = dict(zip(marks.keys, marks.times, strict=True))
    assert times == {key(7, "zulip"): 0, key(5, "zulip"): AT}
    assert list(times) == sorted(times)
    assert (keyed.activities, keyed.deletions, keyed.count) == (21, 2, 23)


def test_what_comes_again() -> None:
    """Of one message the first stays; the others are counted on the days that they name."""
    again = sent(1, at=AT + 3 * DAY)
    (facts,) = Keyring(SECRET).keyed([sent(1), again, sent(2), again, sent(1)]).facts
    assert sorted(rows(facts)) == sorted([row(sent(1), 1), row(sent(2), 2)])
    assert facts.repeated == {AT // DAY: 1, AT // DAY + 3: 2}
    assert facts.count == 5


def test_deletions_that_come_again() -> None:
    """Count, and the message that one of them tells stays; it is none of the messages told by themselves."""
    gone = [Deletion("slack", "m1"), Deletion("slack", "m1", AT, sent(1)), Deletion("slack", "m2")]
    keyed = Keyring(SECRET).keyed([*gone, gone[0]])
    (marks,) = keyed.marks
    assert (marks.count, marks.repeated, sorted(marks.keys)) == (4, 2, sorted([key(1), key(2)]))
    assert rows(marks.sent) == [row(sent(1), 1)]
    assert (keyed.facts, keyed.activities, keyed.deletions) == ([], 0, 4)


def test_secrets_and_sources() -> None:
    """With another secret every key is another one; with as many sources as there may be none changes."""
    one, other = Keyring(SECRET), Keyring(SECRET[::-1])
    first = one.keyed([sent(1)])
    assert first.facts[0].keys != other.keyed([sent(1)]).facts[0].keys
    many = [sent(1, f"source {number}") for number in range(2 * MOST_BEGUN)]
    assert len({facts.keys[0] for facts in one.keyed(many).facts}) == len(many)
    assert one.keyed([sent(1)]) == first


def test_nothing() -> None:
    """No records are no facts and no marks."""
    keyed = Keyring(SECRET).keyed([])
    assert (keyed.facts, keyed.marks, keyed.count) == ([], [], 0)
    assert Marks("a", [], [], Facts("a", [], [], [], [], [], [], [], [], {}), 0).count == 0
