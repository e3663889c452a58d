"""What a deliverer has in mind about one listener."""

import pytest

from postroom.domain.delivery import SHORT, Owed
from postroom.domain.listener import Listener
from postroom.domain.liveness import Liveness
from postroom.service.deliveries import Lane
from postroom.workers.lane import MOST_HELD, LaneQueue

LISTENER = Listener("org", "id", "queue", "name", "http://a/", "http://a/", "whsec_", "enabled", 0, 0)


def known(more: bool = False) -> LaneQueue:
    """A lane that was looked up and is open."""
    lane = LaneQueue("org", "id")
    lane.lane, lane.more = Lane(LISTENER, Liveness()), more
    return lane


def held(lane: LaneQueue) -> list[str]:
    return [owed.message_id for owed in lane.due]


def test_what_is_offered_is_held_in_order() -> None:
    """While there is room and the store holds nothing before it."""
    lane = known()
    for number in range(MOST_HELD + 5):
        lane.offer(Owed(str(number), 0, b"x"))
    assert held(lane) == [str(number) for number in range(MOST_HELD)]
    assert lane.more


def test_nothing_overtakes_what_is_in_the_store() -> None:
    """What is offered while the store holds more is left there, to be read in its turn."""
    lane = known(more=True)
    lane.offer(Owed("late", 0, b"x"))
    assert held(lane) == []
    lane.more = False
    lane.loading = True
    lane.offer(Owed("later", 0, b"x"))
    assert held(lane) == []
    assert lane.more


@pytest.mark.parametrize(("size", "data"), [(SHORT, b"x" * SHORT), (SHORT + 1, None)])
def test_long_data_is_not_held(size: int, data: bytes | None) -> None:
    """It is read when its turn comes."""
    lane = known()
    lane.offer(Owed("message", 0, b"x" * size))
    assert list(lane.due) == [Owed("message", 0, data)]


def test_what_is_under_way_is_not_taken_again() -> None:
    """The store gives it, as it is still pending there."""
    lane = known()
    lane.running = {"two"}
    lane.load([Owed("one", 0), Owed("two", 0), Owed("three", 1)], 10)
    assert held(lane) == ["one", "three"]
    assert not lane.more


def test_as_much_as_was_asked_for_means_more() -> None:
    """Fewer mean that this was all."""
    lane = known()
    lane.load([Owed("one", 0)], 1)
    assert lane.more


def test_when_a_request_can_be_made() -> None:
    """Looked up, open, something due, and a place free."""
    lane = known()
    assert not lane.ready(2)
    lane.due.extend([Owed("one", 0), Owed("two", 0)])
    lane.running = {"zero"}
    assert lane.ready(2)
    assert not lane.ready(1)
    lane.lane = Lane(LISTENER, Liveness(1, 3, "1000", 0))
    assert not lane.ready(2)
    lane.lane = None
    assert not lane.ready(2)


def test_when_the_store_is_asked() -> None:
    """Looked up, open, nothing in memory, the store may hold more, and nobody is asking."""
    lane = known(more=True)
    assert lane.hungry
    lane.loading = True
    assert not lane.hungry
    lane.loading = False
    lane.due.append(Owed("one", 0))
    assert not lane.hungry
    lane.discard("one")
    assert lane.hungry
    lane.more = False
    assert not lane.hungry
    lane.more, lane.lane = True, None
    assert not lane.hungry
