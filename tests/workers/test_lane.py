"""What a deliverer has in mind about one listener."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from postroom.domain.delivery import SHORT, Owed
from postroom.domain.ids import IdSource, time_of
from postroom.domain.listener import Listener
from postroom.domain.liveness import Liveness
from postroom.service.deliveries import Lane
from postroom.workers.lane import LATE, MOST_HELD, LaneQueue

LISTENER = Listener("org", "id", "queue", "name", "http://a/", "http://a/", "whsec_", "enabled", 0, 0)


def known(more: bool = False, running: set[str] | None = None) -> LaneQueue:
    """A lane that was looked up and is open."""
    lane = LaneQueue("org", "id", running or set(), more)
    lane.lane = Lane(LISTENER, Liveness())
    return lane


def read(lane: LaneQueue, *found: str, asked: int = 10) -> None:
    """The store is asked for so many, and gives these."""
    lane.expect()
    lane.load([Owed(message_id, 0) for message_id in found], asked, 0)


def held(lane: LaneQueue) -> list[str]:
    return [owed.message_id for owed in lane.due]


def test_what_is_offered_is_held_in_order() -> None:
    """While there is room and the store holds nothing before it."""
    lane = known()
    for number in range(MOST_HELD + 5):
        lane.offer(Owed(f"{number:03}", 0, b"x"), 0)
    assert held(lane) == [f"{number:03}" for number in range(MOST_HELD)]
    assert lane.more


def test_nothing_overtakes_what_is_in_the_store() -> None:
    """What is offered while the store holds more is left there, to be read in its turn."""
    lane = known(more=True)
    lane.offer(Owed("late", 0, b"x"), 0)
    assert held(lane) == []
    lane.expect()
    lane.offer(Owed("later", 0, b"x"), 0)
    assert held(lane) == []
    assert lane.more


@pytest.mark.parametrize(("size", "data"), [(SHORT, b"x" * SHORT), (SHORT + 1, None)])
def test_long_data_is_not_held(size: int, data: bytes | None) -> None:
    """It is read when its turn comes."""
    lane = known()
    lane.offer(Owed("message", 0, b"x" * size), 0)
    assert list(lane.due) == [Owed("message", 0, data)]


def test_what_is_under_way_is_not_taken_again() -> None:
    """The store gives it, as it is still pending there."""
    lane = known(running={"2"})
    read(lane, "1", "2", "3")
    assert held(lane) == ["1", "3"]
    assert not lane.more


def test_what_was_under_way_is_not_taken_again() -> None:
    """It ended while the store was being read, which may have begun before."""
    lane = known(running={"2"})
    lane.expect()
    lane.running.discard("2")
    lane.load([Owed("1", 0), Owed("2", 0)], 10, 0)
    assert held(lane) == ["1"]


def test_what_was_deleted_is_not_taken() -> None:
    """In memory, and while the store was being read."""
    lane = known()
    lane.offer(Owed("0", 0), 0)
    lane.discard("0")
    lane.expect()
    lane.discard("2")
    lane.load([Owed("1", 0), Owed("2", 0)], 10, 0)
    assert held(lane) == ["1"]


@pytest.mark.parametrize("offered", ["1", "2", "3"])
def test_what_may_have_been_read_is_left_in_the_store(offered: str) -> None:
    """The store knew of it, or of a newer one, before this process was told; it may be delivered by now."""
    lane = known()
    read(lane, "1", "3")
    lane.due.clear()
    read(lane)
    lane.offer(Owed(offered, 0), 0)
    assert held(lane) == []
    assert lane.more


def test_what_is_newer_than_all_that_was_read_is_held() -> None:
    """The store has not given it."""
    lane = known()
    read(lane, "1", "3")
    lane.offer(Owed("4", 0), 0)
    assert held(lane) == ["1", "3", "4"]
    assert not lane.more


def test_what_is_offered_while_the_store_is_read_is_read_again() -> None:
    """Whether the first reading has it or not."""
    lane = known()
    lane.expect()
    lane.offer(Owed("2", 0), 0)
    lane.load([Owed("1", 0), Owed("2", 0)], 10, 0)
    assert held(lane) == ["1", "2"]
    assert lane.more


def test_as_much_as_was_asked_for_means_more() -> None:
    """Fewer mean that this was all."""
    lane = known()
    read(lane, "1", asked=1)
    assert lane.more
    read(lane, "1", asked=2)
    assert not lane.more


def test_a_reading_that_failed_is_made_again() -> None:
    """Nothing was asked for, as it were, and all of that was given."""
    lane = known(more=True)
    lane.expect()
    lane.load([], 0, 0)
    assert lane.hungry


def test_when_a_request_can_be_made() -> None:
    """Looked up, open, something due, and a place free."""
    lane = known(running={"0"})
    assert not lane.ready(2)
    lane.due.extend([Owed("1", 0), Owed("2", 0)])
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
    lane.expect()
    lane.more = True
    assert not lane.hungry
    lane.load([Owed("1", 0)], 10, 0)
    assert not lane.hungry
    lane.discard("1")
    assert lane.hungry
    lane.more = False
    assert not lane.hungry
    lane.more, lane.lane = True, None
    assert not lane.hungry


def test_what_was_read_is_not_looked_at_again() -> None:
    """But for the last second, in which commits may still appear, and from where it is told to look."""
    lane = known(more=True)
    assert lane.expect() == 0
    lane.load([], 10, 50_000)
    assert lane.expect() == 50_000 - LATE
    lane.look_from(70_000)
    lane.load([], 10, 60_000)
    lane.look_from(58_000)
    assert lane.expect() == 58_000
    lane.look_from(7)  # while the store is being asked
    lane.load([], 10, 61_000)
    assert lane.expect() == 7


def test_all_is_looked_at_again_when_a_reading_failed() -> None:
    """It is not known what it would have given."""
    lane = known(more=True)
    lane.expect()
    lane.load([], 10, 50_000)
    lane.expect()
    lane.load([], 0, 0)
    assert lane.expect() == 0


def test_what_is_left_in_the_store_is_looked_at() -> None:
    """However long ago it was accepted."""
    lane = known(more=True)
    lane.expect()
    lane.load([], 10, 50_000)
    lane.more = True
    lane.offer(Owed("message", 0), 30_000)
    assert lane.expect() == 30_000


class Store(RuleBasedStateMachine):
    """A lane beside a store in which messages are accepted, sent, settled and deleted, in any order.

    Accepting is not at one moment: the store has a message before the lane is told of it, and the lane is
    told of older ones after newer ones. So is reading: the answer is of the moment when it was asked. What
    another process accepts may be seen later than it says; where it is much later, a search finds it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lane = known(more=True)
        self.now = 1_000_000
        self.ids = IdSource()
        self.pending: dict[str, int] = {}  # when each is due
        self.untold: list[str] = []
        self.unseen: list[str] = []  # accepted by another process, and not to be seen yet
        self.asked: list[tuple[str, int]] | None = None
        self.asked_at = 0
        self.accepted: list[str] = []
        self.sent: list[str] = []
        self.again: list[str] = []
        self.deleted: set[str] = set()

    @rule(time=st.integers(1, 2 * LATE))
    def pass_(self, time: int) -> None:
        """Some time; what is due again by then is looked for."""
        self.now += time
        if any(self.pending.get(message_id, self.now + 1) <= self.now for message_id in self.again):
            self.lane.more = True

    @rule(count=st.integers(1, 3))
    def accept(self, count: int) -> None:
        """The store has them; nobody was told."""
        for message_id in self._new(count):
            self.pending[message_id] = self.now
            self.untold.append(message_id)

    @rule(count=st.integers(1, 3))
    def accept_elsewhere(self, count: int) -> None:
        """Another process writes them."""
        self.unseen += self._new(count)

    def _new(self, count: int) -> list[str]:
        new = [self.ids.mint(self.now) for _ in range(count)]
        self.accepted += new
        return new

    @precondition(lambda self: self.unseen)
    @rule(data=st.data())
    def appear(self, data: st.DataObject) -> None:
        """One is there by now, and this process is told; soon enough, or a search follows."""
        message_id = data.draw(st.sampled_from(self.unseen))
        self.unseen.remove(message_id)
        self.pending[message_id] = time_of(message_id)
        self.lane.more = True
        if self.now - time_of(message_id) >= LATE:
            self.lane.look_from(0)

    @precondition(lambda self: self.untold)
    @rule(data=st.data())
    def tell(self, data: st.DataObject) -> None:
        """The lane, of any one of them."""
        message_id = data.draw(st.sampled_from(self.untold))
        self.untold.remove(message_id)
        if message_id not in self.deleted:
            self.lane.offer(Owed(message_id, 0), time_of(message_id))

    @precondition(lambda self: self.lane.hungry)
    @rule()
    def ask(self) -> None:
        """The store, for what became due since some time: the answer is on its way."""
        since, self.asked_at = self.lane.expect(), self.now
        due = ((at, message_id) for message_id, at in self.pending.items() if since <= at <= self.now)
        self.asked = [(message_id, at) for at, message_id in sorted(due)]

    @precondition(lambda self: self.asked is not None)
    @rule(most=st.integers(1, 5))
    def answer(self, most: int) -> None:
        """It arrives; at most so many were asked for, besides those under way."""
        assert self.asked is not None
        most += len(self.lane.running)
        given, self.asked = self.asked[:most], None
        read_to = given[-1][1] if len(given) == most else self.asked_at
        self.lane.load([Owed(message_id, 0) for message_id, _ in given], most, read_to)

    @precondition(lambda self: self.lane.ready(4))
    @rule()
    def send(self) -> None:
        """A request is made."""
        message_id = self.lane.due.popleft().message_id
        self.lane.running.add(message_id)
        self.sent.append(message_id)
        if message_id in self.again:
            self.again.remove(message_id)

    @precondition(lambda self: self.lane.running)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        """It was acknowledged, and this is written."""
        message_id = data.draw(st.sampled_from(sorted(self.lane.running)))
        self.pending.pop(message_id, None)
        self.lane.running.discard(message_id)

    @precondition(lambda self: self.lane.running)
    @rule(data=st.data(), wait=st.integers(0, 2 * LATE), written=st.integers(0, 2 * LATE))
    def refuse(self, data: st.DataObject, wait: int, written: int) -> None:
        """It was not, and is due again after a while; to write this takes a while, too."""
        message_id = data.draw(st.sampled_from(sorted(self.lane.running)))
        if message_id in self.pending:
            self.pending[message_id] = self.now + wait
            self.sent.remove(message_id)
            self.again.append(message_id)
        self.pass_(written)
        self.lane.running.discard(message_id)
        if message_id in self.pending:
            self.lane.look_from(self.pending[message_id])
            self.pass_(0)

    @precondition(lambda self: self.pending)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        """One that is pending."""
        message_id = data.draw(st.sampled_from(sorted(self.pending)))
        del self.pending[message_id]
        self.deleted.add(message_id)
        self.lane.discard(message_id)

    @invariant()
    def nothing_is_sent_twice(self) -> None:
        """Nor is it about to be; what was refused is sent once more."""
        all_of_them = self.sent + held(self.lane)
        assert len(set(all_of_them)) == len(all_of_them)

    @invariant()
    def nothing_deleted_is_about_to_be_sent(self) -> None:
        """What is deleted leaves the lane."""
        assert self.deleted.isdisjoint(held(self.lane))

    def teardown(self) -> None:
        """Everything that was not deleted is sent in the end."""
        for message_id in self.untold:
            if message_id not in self.deleted:
                self.lane.offer(Owed(message_id, 0), time_of(message_id))
        self.pass_(2 * LATE + 1)
        while self.asked is not None or self.lane.hungry or self.lane.due:
            self.finish_some()
            self.nothing_is_sent_twice()
        assert {*self.accepted} - {*self.unseen} <= {*self.sent, *self.deleted}

    def finish_some(self) -> None:
        """Whatever is to be done next."""
        if self.asked is not None:
            self.answer(3)
        elif not self.lane.due:
            self.ask()
        else:
            self.send()
            for message_id in self.lane.running:
                self.pending.pop(message_id, None)
            self.lane.running.clear()


TestStore = Store.TestCase
TestStore.settings = settings(max_examples=200)
