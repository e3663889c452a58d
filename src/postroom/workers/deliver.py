"""Delivers what is owed: fair turns between listeners, a bound on requests for each and for all.

Each listener has a lane. Lanes with something due stand in a ring and take turns, one request at a turn, so
a listener that hangs holds up its own lane and nobody else's. What was just accepted is handed over in
memory; whatever does not fit stays in the store and is read when the lane runs empty.

A process has lanes only for listeners of the slots that it holds.
"""

import asyncio
import heapq
from collections import defaultdict, deque
from collections.abc import Coroutine

import structlog

from postroom.domain.clock import SECOND, Clock
from postroom.domain.delivery import Outcome, Owed, State
from postroom.domain.errors import Unavailable
from postroom.domain.listener import EVERY_SLOT, Listener, slot_of
from postroom.service.deliveries import Deliveries, Lane
from postroom.service.outbox import Accepted
from postroom.workers.attempt import attempt
from postroom.workers.lane import LaneQueue
from postroom.workers.transport import Transport

log = structlog.get_logger(__name__)

READ_AT_ONCE = 64
FED_AT_ONCE = 4
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
Key = tuple[str, str]


class Deliver:
    """Makes attempts: at most `per_listener` requests at once for each listener, `in_all` for all.

    It begins with the slots `held`.
    """

    name = "deliver"

    def __init__(
        self,
        deliveries: Deliveries,
        transport: Transport,
        clock: Clock,
        per_listener: int,
        in_all: int,
        held: frozenset[int] = EVERY_SLOT,
    ) -> None:
        self._deliveries = deliveries
        self._transport = transport
        self._clock = clock
        self._per_listener = per_listener
        self._in_all = in_all
        self._lanes: dict[Key, LaneQueue] = {}
        self._ring: deque[LaneQueue] = deque()
        self._stale: set[Key] = set()
        self._hungry: set[Key] = set()
        self._timers: list[tuple[int, Key]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._held = held
        self._running: defaultdict[Key, set[str]] = defaultdict(set)
        self._calmer = asyncio.Event()
        self._wake = asyncio.Event()
        self._all_stale = True
        self._stopping = False

    def owed(self, accepted: Accepted, at: int) -> None:
        """Messages were accepted at the time `at`, ms; the lanes start with them in turns."""
        for key, owed in accepted.items():
            if self.holds(key[1]):
                lane = self._lane(key)
                for each in owed:
                    lane.offer(each, at)
                self._consider(lane)
        self._start_ready()

    def changed(self, org_id: str, listener_id: str) -> None:
        """A listener was added, changed, found alive or dead, or deleted."""
        if self.holds(listener_id):
            self._lane((org_id, listener_id)).lane = None
            self._stale.add((org_id, listener_id))
            self._wake.set()

    def discarded(self, org_id: str, listener_id: str, message_id: str) -> None:
        """A message was deleted before it was delivered."""
        if self.holds(listener_id):
            self._lane((org_id, listener_id)).discard(message_id)

    def waiting(self, org_id: str, listener_id: str, since: int | None = None) -> None:
        """The store has something for a listener that this process may not know of; of late, or `since`."""
        if self.holds(listener_id):
            lane = self._lane((org_id, listener_id))
            lane.more = True
            if since is not None:
                lane.look_from(since)
            self._consider(lane)

    @property
    def held(self) -> frozenset[int]:
        """The slots whose listeners this process delivers to."""
        return self._held

    def holds(self, listener_id: str) -> bool:
        """Whether this process delivers to the listener."""
        return slot_of(listener_id) in self._held

    def hold(self, slots: frozenset[int]) -> None:
        """From now on, deliver to the listeners of these slots; what is under way goes on."""
        if slots == self._held:
            return
        self._all_stale = self._all_stale or not slots <= self._held
        self._held = slots
        for key in [key for key in self._lanes if not self.holds(key[1])]:
            self._lanes.pop(key).lane = None
        self._wake.set()

    def busy(self) -> frozenset[int]:
        """The slots with a request under way to one of their listeners, held or not."""
        return frozenset(slot_of(listener_id) for _, listener_id in self._running)

    async def ended(self, slots: frozenset[int]) -> None:
        """Wait until one of these slots is not busy any more."""
        while slots <= self.busy():
            self._calmer.clear()
            await self._calmer.wait()

    def look_everywhere(self) -> None:
        """Another process has written: look up every listener, and what it is owed."""
        self._all_stale = True
        self._wake.set()

    async def run(self) -> None:
        """Deliver until `stop` is called."""
        while not self._stopping:
            self._wake.clear()
            try:
                await self._look()
            except Unavailable as error:
                log.warning("store_unavailable", worker=self.name, detail=error.detail)
                asyncio.get_running_loop().call_later(LONGEST_PAUSE, self._wake.set)
            self._start_ready()
            await self._sleep()

    async def stop(self, patience: float) -> None:
        """Start nothing more; what is still under way after `patience` seconds is left to be repeated."""
        self._stopping = True
        self._wake.set()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _look(self) -> None:
        if self._all_stale:
            await self._look_up_all()
        while self._stale:
            await self._look_up(self._stale.pop())
        self._ring_alarms()
        while self._hungry:
            some = [self._lanes.get(self._hungry.pop()) for _ in range(min(len(self._hungry), FED_AT_ONCE))]
            hungry = [lane for lane in some if lane and lane.hungry]
            fed = await asyncio.gather(*(self._feed(lane) for lane in hungry), return_exceptions=True)
            for error in filter(None, fed):
                raise error

    async def _look_up(self, key: Key) -> None:
        try:
            known = await self._deliveries.lane(*key)
        except Unavailable:
            self._stale.add(key)
            raise
        self._learn(key, known)

    async def _look_up_all(self) -> None:
        self._all_stale = False
        try:
            found = {
                (each.listener.org_id, each.listener.id): each
                for each in await self._deliveries.lanes(self._held)
            }
            waiting = await self._deliveries.waiting()
        except Unavailable:
            self._all_stale = True
            raise
        for key in found.keys() | self._lanes.keys():
            self._learn(key, found.get(key), key in waiting)

    def _learn(self, key: Key, known: Lane | None, waiting: bool = True) -> None:
        """Take in what the store says of a listener, and whether something may wait for it there."""
        if not self.holds(key[1]):  # given up meanwhile
            return
        if known is None:
            if gone := self._lanes.pop(key, None):
                gone.lane = None
            return
        lane = self._lanes.get(key) or self._new_lane(key, more=False)
        reopened = lane.closed and known.open
        lane.lane = None if key in self._stale else known  # where it has changed again meanwhile
        lane.closed, lane.more = not known.open, lane.more or waiting
        lane.look_from(0)
        if reopened:
            self._start(self._hasten(lane))
        self._consider(lane)

    async def _hasten(self, lane: LaneQueue) -> None:
        """What waited for a listener that was off or dead goes on at once."""
        try:
            # Another process that delivers to it by now sees what is left.
            while not self._stopping and self._lanes.get(lane.key) is lane:
                if not await self._deliveries.hasten(*lane.key):
                    break
                self._search(lane)
                await asyncio.sleep(0)
        except Unavailable as error:
            log.warning("store_unavailable", worker=self.name, detail=error.detail)
            lane.closed = True  # so that it is tried again
            asyncio.get_running_loop().call_later(LONGEST_PAUSE, self.changed, *lane.key)
        self._search(lane)

    def _search(self, lane: LaneQueue) -> None:
        """Look at all that the store has for a listener."""
        lane.more = True
        lane.look_from(0)
        self._consider(lane)

    async def _feed(self, lane: LaneQueue) -> None:
        asked, since = READ_AT_ONCE + len(lane.running), lane.expect()
        try:
            read = await self._deliveries.due(*lane.key, asked, since)
        except Unavailable:
            lane.load([], 0, 0)
            self._hungry.add(lane.key)
            raise
        lane.load(read.some, asked, read.read_to)
        if read.next is not None:
            self._set_alarm(lane.key, read.next)
        self._consider(lane)

    def _consider(self, lane: LaneQueue) -> None:
        """Give a lane its place in the ring, or have it fed."""
        if lane.ready(self._per_listener) and not lane.in_ring:
            lane.in_ring = True
            self._ring.append(lane)
        elif lane.hungry:
            self._hungry.add(lane.key)
            self._wake.set()

    def _start_ready(self) -> None:
        while self._ring and len(self._tasks) < self._in_all and not self._stopping:
            lane = self._ring.popleft()
            lane.in_ring = False
            if lane.lane is not None and lane.ready(self._fair_share()):
                owed = lane.due.popleft()
                lane.running = self._running[lane.key]
                lane.running.add(owed.message_id)
                self._start(self._deliver(lane, lane.lane.listener, owed))
                self._consider(lane)
            elif not lane.due:
                self._consider(lane)

    def _fair_share(self) -> int:
        """How many requests a lane may have under way now: at most half of as many as are still free.

        So lanes that hang fill up only a part of all places, and one that comes later still finds some. A
        lane with more under way waits for one of its own to end.
        """
        free = self._in_all - len(self._tasks)
        return min(self._per_listener, max(free // 2, 1))

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._start_ready()

    async def _deliver(self, lane: LaneQueue, listener: Listener, owed: Owed) -> None:
        try:
            outcome = await self._attempt(listener, owed)
            if outcome is not None:
                await self._settle(outcome)
                if outcome.state is State.PENDING:
                    self._set_alarm(lane.key, outcome.at)
        except Exception:
            log.exception("delivery_broke", worker=self.name, message=owed.message_id, listener=listener.id)
            self._set_alarm(lane.key, self._clock() + SECOND, since=0)
        finally:
            lane.running.discard(owed.message_id)
            self._done(lane.key)

    def _done(self, key: Key) -> None:
        """A request has ended; by now, the listener may have another lane, or none."""
        if not self._running[key]:
            del self._running[key]
            self._calmer.set()
        if lane := self._lanes.get(key):
            self._consider(lane)

    async def _attempt(self, listener: Listener, owed: Owed) -> Outcome | None:
        """What a request came to; None where the message is gone."""
        data = owed.data
        if data is None:
            data = await self._deliveries.data(listener.org_id, owed.message_id)
        if data is None:
            return None
        number = owed.attempts + 1
        made, retry_after = await attempt(
            self._transport, self._clock, listener, owed.message_id, number, data
        )
        return self._deliveries.outcome(listener, owed, made, retry_after)

    async def _settle(self, outcome: Outcome) -> None:
        """Write an outcome; while the store takes none, wait with it rather than send the message again."""
        pause = FIRST_PAUSE
        while True:
            try:
                return await self._deliveries.settle(outcome)
            except Unavailable as error:
                log.warning("outcome_waits", worker=self.name, detail=error.detail)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _lane(self, key: Key) -> LaneQueue:
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._new_lane(key, more=True)
            self._stale.add(key)
            self._wake.set()
        return lane

    def _new_lane(self, key: Key, *, more: bool) -> LaneQueue:
        lane = self._lanes[key] = LaneQueue(*key, self._running.get(key, set()), more)
        return lane

    def _set_alarm(self, key: Key, at: int, since: int | None = None) -> None:
        """Look at the time `at`, ms, for what becomes due then; and from now on for what did `since`."""
        lane = self._lanes.get(key)
        if lane is None:
            return
        lane.look_from(at if since is None else since)
        if lane.wake_at is None or at < lane.wake_at:
            lane.wake_at = at
            heapq.heappush(self._timers, (at, key))
            self._wake.set()

    def _ring_alarms(self) -> None:
        now = self._clock()
        while self._timers and self._timers[0][0] <= now:
            at, key = heapq.heappop(self._timers)
            lane = self._lanes.get(key)
            if lane is not None and lane.wake_at == at:
                lane.wake_at, lane.more = None, True
                self._consider(lane)

    async def _sleep(self) -> None:
        if self._timers:
            wait = max(self._timers[0][0] - self._clock(), 1) / SECOND
            alarm = asyncio.get_running_loop().call_later(wait, self._wake.set)
            await self._wake.wait()
            alarm.cancel()
        else:
            await self._wake.wait()
